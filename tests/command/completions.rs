//! Completions: each shell takes its script, and completes the command as when somebody presses the tabulator.
//!
//! Where zsh or fish is absent its test says so and passes, but not where `CI` is `true`: there nothing may be left
//! out.

use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use super::{run, stderr, stdout, text};

/// A folder with a shell's script in a file of this name.
fn script(shell: &str, name: &str) -> TempDir {
    let output = run(&["completions", shell]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""), "{shell}");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), &output.stdout).expect("a file");
    folder
}

/// What a shell says to a script of its own, run in a folder; `None` where the machine does not have the shell.
fn said(folder: &Path, shell: &str, arguments: &[&str]) -> Option<String> {
    // A shell that waits for what never comes is ended.
    let mut command = Command::new("timeout");
    command.args(["60", shell]).args(arguments).current_dir(folder).env("HOME", folder);
    let output: Output = command.output().expect("timeout(1) runs");
    if output.status.code() == Some(127) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{shell} is not installed, and CI leaves no shell out");
        println!("NOT RUN: {shell} is not installed");
        return None;
    }
    assert!(output.status.success(), "{shell}: {}{}", stdout(&output), stderr(&output));
    assert_eq!(stderr(&output), "", "{shell}");
    Some(stdout(&output).to_owned())
}

#[test]
fn no_other_shell_has_a_script() {
    assert_eq!(run(&["completions", "cmd"]).status.code(), Some(1));
}

#[test]
fn bash_completes_the_command() {
    let folder = script("bash", "penstock");
    let complete = |words: &str, at: usize| {
        let script = format!(
            "source ./penstock; COMP_WORDS=({words}); COMP_CWORD={at}; \
             _penstock penstock \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at} - 1]}}\"; echo \"${{COMPREPLY[*]}}\""
        );
        said(folder.path(), "bash", &["-c", &script]).expect("bash").trim().to_owned()
    };
    assert_eq!(complete("penstock rej", 1), "rejected");
    assert_eq!(complete("penstock import --mod", 2), "--mode");
    assert_eq!(complete("penstock import --mode ''", 3), "upsert create fill replace");
    assert_eq!(complete("penstock kinds te", 2), "template");
}

#[test]
fn fish_completes_the_command() {
    let folder = script("fish", "penstock.fish");
    for (typed, wanted) in [
        ("penstock rej", &["rejected"][..]),
        ("penstock import --empty-", &["--empty-cells"]),
        ("penstock import --mode ", &["create", "fill", "replace", "upsert"]),
        ("penstock kinds te", &["template"]),
    ] {
        let script = format!("source penstock.fish; complete -C '{typed}'");
        let Some(shown) = said(folder.path(), "fish", &["--no-config", "-c", &script]) else { return };
        // Each with what it is, behind a tabulator.
        let offered: Vec<&str> = shown.lines().map(|line| line.split('\t').next().unwrap_or(line)).collect();
        assert_eq!(offered, wanted, "{typed}");
    }
}

/// What an interactive zsh reads first: the script in a folder of functions, and a command that says how it was called.
const ZSH_START: &str = r#"
PS1=''
fpath=($PWD $fpath)
autoload -Uz compinit
compinit -D -u
bindkey '^I' complete-word
penstock() { print -r -- "ran<$*>" }
"#;

/// Types into an interactive zsh, on a terminal of its own: a tabulator and a line feed behind each line.
const ZSH_TYPES: &str = r#"
zmodload zsh/zpty || exit 3
zpty shell "env -i PATH=$PATH TERM=dumb HOME=$PWD zsh -f -i"
zpty -w shell "source ./start"
for typed in "$@"; do
    zpty -w -n shell "$typed"$'\t\n'
    zpty -r shell out "*ran<*>*"
    print -r -- "${${out##*ran<}%%>*}"
done
zpty -d shell
"#;

#[test]
fn zsh_completes_the_command() {
    let folder = script("zsh", "_penstock");
    std::fs::write(folder.path().join("start"), ZSH_START).expect("a file");
    let types = folder.path().join("types");
    std::fs::write(&types, ZSH_TYPES).expect("a file");
    let typed = ["penstock rej", "penstock import --empty-c", "penstock import --mode ups", "penstock kinds te"];
    let Some(ran) = said(folder.path(), "zsh", &[&["-f", text(&types)][..], &typed].concat()) else { return };
    let ran: Vec<&str> = ran.lines().collect();
    assert_eq!(ran, ["rejected", "import --empty-cells", "import --mode upsert", "kinds template"]);
}
