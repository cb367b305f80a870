//! What `penstock --help` says of the command.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use regex::Regex;

/// The options of each command, by its words after `penstock`.
pub(crate) struct Help(BTreeMap<String, BTreeSet<String>>);

/// A call of the command.
pub(crate) struct Call {
    pub(crate) command: String,
    pub(crate) options: BTreeSet<String>,
}

impl Help {
    /// Asks the command, and each of its commands.
    pub(crate) fn read() -> Self {
        let mut help = Self(BTreeMap::new());
        help.ask(&[]);
        help
    }

    fn ask(&mut self, command: &[&str]) {
        let asked = Command::new(env!("CARGO_BIN_EXE_penstock")).args(command).arg("--help").output();
        let text = String::from_utf8(asked.expect("the command runs").stdout).expect("text");
        let Some((_, commands)) = text.split_once("\nCommands:\n") else {
            // What its examples call may be another command.
            let (of_its_own, _) = text.split_once("\nExamples:\n").unwrap_or((&text, ""));
            self.0.insert(command.join(" "), options(of_its_own));
            return;
        };
        let names = commands.lines().take_while(|line| !line.is_empty());
        // Descriptions are indented further.
        let names = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        for name in names.filter(|name| !name.is_empty() && *name != "help") {
            self.ask(&[command, &[name]].concat());
        }
    }

    pub(crate) fn commands(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn options(&self, command: &str) -> Option<&BTreeSet<String>> {
        self.0.get(command)
    }
}

fn options(text: &str) -> BTreeSet<String> {
    let option = Regex::new("--[a-z][a-z-]*").expect("a pattern");
    let found = option.find_iter(text).map(|found| found.as_str().to_owned());
    found.filter(|option| option != "--help" && option != "--version").collect()
}

/// The calls of the command in a text: each from `penstock` and a command at the start of a line to the end of the line
/// and of the indented lines below it.
pub(crate) fn calls(text: &str) -> Vec<Call> {
    let call = Regex::new(r"(?m)^penstock((?: [a-z]+)+)\b(?:.*\n +.*)*.*").expect("a pattern");
    let read = |found: regex::Captures<'_>| {
        let words: Vec<&str> = found[1].split_whitespace().collect();
        // `keys list` is a command, `list` one without a second word.
        let groups = ["accounts", "exports", "keys", "kinds", "presets", "records", "webhooks"];
        let depth = if groups.contains(&words[0]) { 2 } else { 1 };
        Call { command: words[..depth.min(words.len())].join(" "), options: options(&found[0]) }
    };
    call.captures_iter(text).map(read).collect()
}

#[test]
fn a_call_goes_on_over_indented_lines() {
    let calls = calls(
        "penstock import FILE [--url URL]\n         [--map A=B]...\npenstock keys list [--account A]\nno penstock x",
    );
    let shown: Vec<_> = calls.iter().map(|call| (call.command.as_str(), call.options.len())).collect();
    assert_eq!(shown, [("import", 2), ("keys list", 1)]);
}
