//! What the documents say is so: their commands run and print what is shown, and what they name exists.
//!
//! A block of `sh` is run as it stands, unless a comment right above it says otherwise:
//!
//! - `<!-- run by FILE -->`: each of its lines stands in this file, which CI runs.
//! - `<!-- run by FILE.rs: TEST -->`: this test runs it.
//! - `<!-- stays running -->`: it is started before the document's other blocks and ended after them.
//! - `<!-- not run: REASON -->`.
//!
//! Anything else fails. A block of `text` right behind a block that is run is what it prints; a line `…` stands for any
//! lines.

mod help;
mod markdown;
mod shell;

use std::{collections::BTreeSet, path::Path, process::Command};

use help::Help;
use markdown::{Document, Mark};
use penstock_engine::kinds;
use regex::Regex;
use shell::Checkout;

/// Bytes of the README, at most.
const README_BYTES: usize = 9_000;

/// Columns of prose, at most.
const COLUMNS: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the repository, those that are not committed yet among them, relative to its root.
fn files() -> Vec<String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(root()).output().expect("git runs");
    assert!(output.status.success(), "{output:?}");
    let names = String::from_utf8(output.stdout).expect("names in UTF-8");
    // One that is deleted and not committed is still listed.
    names.split_terminator('\0').filter(|name| root().join(name).is_file()).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn documents() -> Vec<Document> {
    let paths = files().into_iter().filter(|path| path.ends_with(".md"));
    let documents: Vec<Document> = paths.map(|path| Document::read(&path, &read(&path))).collect();
    assert!(documents.len() > 10, "{}", documents.len());
    documents
}

/// Fails with everything that was found.
fn none(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn commands_are_run_and_print_what_is_shown() {
    let documents = documents();
    let files = &files();
    let found = std::thread::scope(|scope| {
        let run = |document| scope.spawn(move || Checkout::of(root(), files).run(document));
        let runs: Vec<_> = documents.iter().filter(|document| document.runs()).map(run).collect();
        runs.into_iter().flat_map(|run| run.join().expect("no panic")).collect()
    });
    none(found);
}

#[test]
fn commands_that_are_not_run_here_are_commands_and_are_run_where_it_is_said() {
    let mut found = Vec::new();
    for document in documents() {
        for block in &document.blocks {
            let place = format!("{}:{}", document.path, block.line);
            found.extend(shell::syntax(&block.commands).map(|error| format!("{place}: {error}")));
            let Mark::RunBy { file, test } = &block.mark else { continue };
            let text = read(file);
            match test {
                Some(test) if text.contains(&format!("fn {test}(")) => {}
                Some(test) => found.push(format!("{place}: {file} has no test {test}")),
                None => {
                    let missing = block.commands.lines().find(|line| !text.contains(line.trim()));
                    found.extend(missing.map(|line| format!("{place}: {file} does not run `{line}`")));
                }
            }
        }
    }
    none(found);
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let mut found = Vec::new();
    for document in &documents {
        for link in document.links.iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, at)| (path, Some(at)));
            let target = if path.is_empty() { document.path.clone() } else { markdown::beside(&document.path, path) };
            if !root().join(&target).exists() {
                found.push(format!("{}: there is no {target}", document.path));
            } else if let Some(anchor) = anchor {
                let there = documents.iter().find(|document| document.path == target);
                if !there.is_some_and(|document| document.anchors.contains(anchor)) {
                    found.push(format!("{}: {target} has no heading #{anchor}", document.path));
                }
            }
        }
    }
    none(found);
}

#[test]
fn paths_and_tests_that_are_named_exist() {
    let files = files();
    let folders: BTreeSet<&str> =
        files.iter().filter_map(|file| file.split_once('/')).map(|(first, _)| first).collect();
    let code: Vec<(&String, String)> =
        files.iter().filter(|file| file.ends_with(".rs")).map(|file| (file, read(file))).collect();
    let item = Regex::new("^[a-z0-9_]+(::[a-z0-9_]+)+$").expect("a pattern");
    let mut found = Vec::new();
    for document in documents() {
        for span in &document.spans {
            let name = span.split_whitespace().next().unwrap_or_default();
            let is_path = name.split_once('/').is_some_and(|(first, _)| folders.contains(first));
            if is_path && !name.contains(['<', '*', '{', '…']) && !root().join(name).exists() {
                found.push(format!("{}: there is no {name}", document.path));
            }
            if item.is_match(span) {
                let module = span.split("::").next().unwrap_or_default();
                let last = span.rsplit("::").next().unwrap_or_default();
                let is_module =
                    |file: &String| file.ends_with(&format!("/{module}.rs")) || file.contains(&format!("/{module}/"));
                let holds =
                    |text: &String| text.contains(&format!("fn {last}(")) || text.contains(&format!("mod {last}"));
                if !files.iter().any(is_module) || !code.iter().any(|(_, text)| holds(text)) {
                    found.push(format!("{}: there is no {span}", document.path));
                }
            }
        }
    }
    none(found);
}

#[test]
fn options_of_the_command_are_those_that_its_help_has() {
    let help = Help::read();
    let reference = documents().into_iter().find(|document| document.path.ends_with("COMMAND.md")).expect("COMMAND.md");
    let mut left: BTreeSet<&str> = help.commands().collect();
    let mut found = Vec::new();
    for synopsis in reference.texts.iter().flat_map(|text| help::calls(text)) {
        let Some(options) = help.options(&synopsis.command) else {
            found.push(format!("there is no `penstock {}`", synopsis.command));
            continue;
        };
        left.remove(synopsis.command.as_str());
        if *options != synopsis.options {
            let command = synopsis.command;
            found.push(format!("`penstock {command}` has {options:?}, the document {:?}", synopsis.options));
        }
    }
    found.extend(left.into_iter().map(|command| format!("`penstock {command}` is not in COMMAND.md")));
    // Elsewhere a call need not be whole, but right.
    for document in documents() {
        let blocks = document.blocks.iter().map(|block| block.commands.replace(shell::CARGO, shell::COMMAND));
        for call in document.spans.iter().cloned().chain(blocks).flat_map(|text| help::calls(&text)) {
            let options = help.options(&call.command);
            if options.is_none_or(|options| !call.options.is_subset(options)) {
                found.push(format!("{}: `penstock {}` {:?}", document.path, call.command, call.options));
            }
        }
    }
    none(found);
}

#[test]
fn the_readme_is_short_and_prose_is_wrapped() {
    let length = read("README.md").len();
    assert!(length <= README_BYTES, "the README has {length} bytes, the limit is {README_BYTES}");
    let mut found = Vec::new();
    for document in documents() {
        let wide = |(line, text): &(usize, String)| {
            (text.chars().count() > COLUMNS).then(|| format!("{}:{line}: more than {COLUMNS} columns", document.path))
        };
        found.extend(document.prose.iter().filter_map(wide));
    }
    none(found);
}

/// Comments wrap where code does. Drawings and tables are as wide as they are.
#[test]
fn comments_wrap_where_code_does() {
    let mut found = Vec::new();
    for path in files().into_iter().filter(|path| path.ends_with(".rs")) {
        let mut in_drawing = false;
        for (at, line) in read(&path).lines().enumerate() {
            let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
            let comment = comment.trim_start_matches(['/', '!']).trim_start();
            in_drawing ^= comment.starts_with("```");
            if !in_drawing && !comment.starts_with('|') && line.chars().count() > COLUMNS {
                found.push(format!("{path}:{}: more than {COLUMNS} columns", at + 1));
            }
        }
    }
    none(found);
}

#[test]
fn bundled_kinds_are_listed() {
    let listed = read("shared/schemas/KINDS.md");
    for schema in kinds::all() {
        let default = if schema.name.as_str() == kinds::DEFAULT { " (the default)" } else { "" };
        let key: Vec<String> = schema.primary_key.iter().map(|field| format!("`{field}`")).collect();
        let additional = match schema.additional_fields {
            penstock_model::AdditionalFields::Keep => "kept",
            penstock_model::AdditionalFields::Ignore => "ignored",
        };
        let row = format!("| `{}`{default} | {} | {additional} |", schema.name, key.join(", "));
        assert!(listed.contains(&row), "{row}");
    }
}
