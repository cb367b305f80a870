//! The command on a terminal: what it draws and asks, and what it never lets through.

use std::io::{ErrorKind, Read, Write};
use std::process::Child;

use pty_process::{
    Size,
    blocking::{Command, Pty},
};

use super::{CLEAN, Dev, GOOD, descendants, folder_with, import_of, names, stderr, stdout, still_there, until};

/// A terminal with the command on it.
struct Terminal {
    pty: Pty,
    child: Child,
    /// All that has been sent to it.
    shown: String,
}

impl Terminal {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (pty, its_end) = pty_process::blocking::open().expect("a terminal");
        pty.resize(Size::new(40, 200)).expect("a size");
        // As `penstock` in the parent does.
        let command = Command::new("env").args(["--default-signal=HUP", env!("CARGO_BIN_EXE_penstock")]);
        let mut command = command.args(arguments);
        for (name, value) in CLEAN {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.envs(environment.iter().copied()).spawn(its_end).expect("the command runs");
        Self { pty, child, shown: String::new() }
    }

    /// Reads on; `false` once the command has let go of the terminal.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.pty.read(&mut bytes) {
            Ok(0) => false,
            Ok(read) => {
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
                true
            }
            // What Linux says of a terminal that nobody has open any more.
            Err(error) if error.raw_os_error() == Some(5) => false,
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until this is shown.
    fn shows(&mut self, part: &str) {
        while !self.shown.contains(part) {
            assert!(self.read(), "{part:?} is not in {:?}", self.shown);
        }
    }

    fn types(&mut self, keys: &str) {
        self.pty.write_all(keys.as_bytes()).expect("typed");
    }

    /// Waits for the end: the exit code, and all that was shown.
    fn ends(mut self) -> (Option<i32>, String) {
        while self.read() {}
        (self.child.wait().expect("it ends").code(), self.shown)
    }
}

pub(crate) fn on_terminal(arguments: &[&str]) -> (Option<i32>, String) {
    Terminal::start(arguments, &[]).ends()
}

#[test]
fn progress_is_a_bar_and_the_rest_are_lines() {
    let (_folder, file) = folder_with("good.csv", GOOD);
    let (code, shown) = on_terminal(&["import", &file]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.starts_with("importing into a local cloud in memory"), "{shown:?}");
    // A bar that is drawn again in its place, and gone in the end.
    assert!(
        shown.contains(&format!("uploading {} bytes", GOOD.len())) && shown.contains("rows, 0 failed"),
        "{shown:?}"
    );
    assert!(shown.contains("00:00:00 [") && shown.contains("\r\u{1b}[2K"), "{shown:?}");
    let after = shown.rsplit("\u{1b}[2K").next().expect("something");
    assert!(after.contains("2 rows: 2 created") && after.ends_with("nothing of it is kept\r\n"), "{after:?}");
    // On a terminal that cannot move its cursor there are lines alone.
    let (code, shown) = Terminal::start(&["import", &file], &[("TERM", "dumb")]).ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains('\u{1b}') && shown.contains("\r\ncompleted: "), "{shown:?}");
}

#[test]
fn colours_are_for_those_who_want_them() {
    for call in [&["--help"][..], &["import", "--help"], &["fly"]] {
        let (_, shown) = on_terminal(call);
        assert!(shown.contains("\u{1b}["), "{shown:?}");
        let (_, shown) = Terminal::start(call, &[("NO_COLOR", "1")]).ends();
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}

#[test]
fn what_is_lost_for_good_is_asked_about() {
    let dev = Dev::start(&[]);
    let (_folder, file) = folder_with("good.csv", GOOD);
    let service = ["--url", &dev.url, "--token", "local:secret"];
    let import = || {
        let import = import_of(&dev.run("local.secret", &["import", &file, "--json"]));
        import["id"].as_str().expect("an id").to_owned()
    };
    let answer = |arguments: &[&str], question: &str, answer: &str| {
        let mut terminal = Terminal::start(&[arguments, &service].concat(), &[]);
        terminal.shows(question);
        terminal.types(answer);
        terminal.ends()
    };
    let id = import();
    for no in ["n\r", "\r", "\u{4}", "\u{3}"] {
        let (code, shown) = answer(&["delete", &id], "[y/N]", no);
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("good.csv") && shown.contains("is not deleted"), "{shown}");
        assert_eq!(dev.run("local.secret", &["status", &id]).status.code(), Some(0));
    }
    let (code, shown) = answer(&["delete", &id], "[y/N]", "y\r");
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(dev.run("local.secret", &["status", &id]).status.code(), Some(1));
    // Who says so beforehand is not asked.
    let (code, shown) = on_terminal(&[&["delete", &import(), "--yes"][..], &service].concat());
    assert!(code == Some(0) && !shown.contains("[y/N]"), "{shown}");
    // Nor is a script.
    assert_eq!(dev.run("local.secret", &["delete", &import()]).status.code(), Some(0));

    let (code, shown) = answer(&["keys", "revoke", "local"], "revoke it all the same? [y/N]", "no\r");
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("the last admin key"), "{shown}");
    let output = dev.run("local.secret", &["keys", "revoke", "local"]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("--force"), "{}", stderr(&output));
    assert_eq!(dev.run("local.secret", &["list"]).status.code(), Some(0));
    // With another one there is nothing to ask.
    let made = dev.run("local.secret", &["keys", "create", "--scopes", "admin,import:read"]);
    let token = stdout(&made).trim();
    let output = dev.run("local.secret", &["keys", "revoke", "local", "--json"]);
    assert_eq!(import_of(&output), serde_json::json!({ "id": "local", "revoked": true }));
    let (id, _) = token.split_once('.').expect("a token");
    assert_eq!(dev.run(token, &["keys", "revoke", id]).status.code(), Some(1));
    assert_eq!(dev.run(token, &["keys", "revoke", id, "--force"]).status.code(), Some(0));
    assert_eq!(dev.run(token, &["list"]).status.code(), Some(1));
}

/// An import that takes a while, by a terminal that it can be interrupted from.
fn long_import(temporary: &str) -> (tempfile::TempDir, Terminal, std::collections::BTreeMap<u32, u64>) {
    let rows: String = (0..200_000).map(|row| format!("SKU-{row},Product,Brand\n")).collect();
    let (folder, file) = folder_with("long.csv", &format!("sku,name,brand\n{rows}"));
    let mut terminal = Terminal::start(&["import", &file], &[("TMPDIR", temporary)]);
    terminal.shows("processing: ");
    let children = descendants(terminal.child.id());
    assert!(!children.is_empty());
    (folder, terminal, children)
}

#[test]
fn the_interrupt_key_ends_an_import_and_says_what_is_true() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (folder, mut terminal, children) = long_import(temporary.path().to_str().expect("UTF-8"));
    terminal.types("\u{3}");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(1), "{shown:?}");
    let last = shown.trim_end().lines().last().expect("a line");
    assert!(last.contains("penstock: interrupted; the local cloud ends with this command"), "{last:?}");
    assert_eq!(still_there(&children), [0; 0]);
    assert_eq!((names(temporary.path()), names(folder.path())), (vec![], vec!["long.csv".to_owned()]));
}

#[test]
fn a_terminal_that_is_closed_ends_an_import_without_a_trace() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (folder, terminal, children) = long_import(temporary.path().to_str().expect("UTF-8"));
    let Terminal { pty, mut child, .. } = terminal;
    drop(pty);
    let status = until("the end", || child.try_wait().expect("a child"));
    assert_eq!(status.code(), Some(1));
    assert_eq!(still_there(&children), [0; 0]);
    assert_eq!((names(temporary.path()), names(folder.path())), (vec![], vec!["long.csv".to_owned()]));
}

#[test]
fn a_key_is_not_shown_while_it_is_typed() {
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path().to_str().expect("UTF-8");
    let dev = Dev::start(&["--key", "me:hush"]);
    let mut terminal = Terminal::start(&["login"], &[("XDG_CONFIG_HOME", home)]);
    terminal.shows("URL of the service: ");
    terminal.types(&format!("{}\r", dev.url));
    terminal.shows("API key");
    // Typed once the echo is off: until then the terminal shows what is typed ahead.
    until("no echo", || (!echoes(&terminal.pty)).then_some(()));
    terminal.types("me:hush\r");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(&dev.url) && !shown.contains("hush"), "{shown}");
    let (code, shown) = Terminal::start(&["list"], &[("XDG_CONFIG_HOME", home)]).ends();
    assert_eq!((code, &*shown), (Some(0), ""));
}

/// Whether a terminal shows what is typed.
fn echoes(pty: &Pty) -> bool {
    let flags = rustix::termios::tcgetattr(pty).expect("a terminal").local_modes;
    flags.contains(rustix::termios::LocalModes::ECHO)
}

#[test]
fn a_person_reads_words_and_a_program_json() {
    let dev = Dev::start(&[]);
    let service = ["--url", &dev.url, "--token", "local:secret"];
    let rows: String = (1..=13).map(|row| format!("S-{row},name,brand,x{row}\n")).collect();
    let (_folder, file) = folder_with("bad.csv", &format!("sku,name,brand,cost\n{rows}"));
    let (code, shown) = on_terminal(&[&["import", &file][..], &service].concat());
    assert_eq!(code, Some(2), "{shown}");
    let at = shown.find("imp_").expect("an id");
    let id = &shown[at..at + 30];
    let all = format!("  13 rejected rows in all; `penstock errors {id} --url {}` shows all errors", dev.url);
    assert!(shown.contains(&all), "{shown}");
    assert!(shown.ends_with(&format!("nothing was imported into {}\r\n", dev.url)), "{shown:?}");

    let (_, status) = on_terminal(&[&["status", id][..], &service].concat());
    assert!(status.contains("13 rows: 0 created") && status.contains("`penstock errors imp_"), "{status}");
    let (_, errors) = on_terminal(&[&["errors", id][..], &service].concat());
    assert_eq!(errors.lines().count(), 13, "{errors}");
    assert!(errors.lines().all(|line| line.contains("; cell \"x")), "{errors}");
    let (_, summary) = on_terminal(&[&["errors", id, "--summary"][..], &service].concat());
    let lines: Vec<&str> = summary.lines().collect();
    assert_eq!(
        lines[..2],
        ["errors  rows  code            field  in the rows", "    13    13  invalid_number  cost   1-13",]
    );
    assert!(lines[2].contains("`--decimal-char`") && lines[3].contains("; cell \"x1\""), "{summary}");
    assert_eq!(lines.last(), Some(&"13 errors in 13 rows"), "{summary}");
    let (code, watched) = on_terminal(&[&["watch", id][..], &service].concat());
    assert!(code == Some(2) && watched.contains("13 failed"), "{watched}");
    for command in ["status", "watch"] {
        let (_, json) = on_terminal(&[&[command, id, "--json"][..], &service].concat());
        let json = &json[json.find('{').expect("JSON")..];
        assert_eq!(serde_json::from_str::<serde_json::Value>(json).expect("JSON")["id"], id);
    }
    let (_, json) = on_terminal(&[&["errors", id, "--json"][..], &service].concat());
    let first: serde_json::Value = serde_json::from_str(json.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["row"], &first["value"]), (&1.into(), &"x1".into()));
}

#[test]
fn no_file_and_no_service_draws_on_the_terminal() {
    let evil = "\u{1b}[31m\u{9b}31m\u{202e}\u{7}";
    let dev = Dev::start(&[]);
    let service = ["--url", &dev.url, "--token", "local:secret"];
    let content = format!("sku,name,brand,cost,{evil}column\nS{evil},{evil},b,{evil},c\n");
    let (_folder, file) = folder_with(&format!("{evil}.csv"), &content);
    let (code, shown) = on_terminal(&[&["import", &file][..], &service].concat());
    assert_eq!(code, Some(2), "{shown:?}");
    let at = shown.find("imp_").expect("an id");
    let id = shown[at..at + 30].to_owned();
    let mut screens = vec![shown];
    for call in [
        &["status", &id][..],
        &["status", &id, "--json"],
        &["watch", &id],
        &["errors", &id],
        &["errors", &id, "--json"],
        &["rejected", &id],
        &["list"],
        &["list", "--json"],
    ] {
        screens.push(on_terminal(&[call, &service].concat()).1);
    }
    let (code, shown) = on_terminal(&["import", &file, "--preview"]);
    assert_eq!(code, Some(0), "{shown:?}");
    screens.push(shown);
    for shown in screens {
        // The bar's own: to the start of a line, away with the line, up a line.
        let own = shown.replace("\u{1b}[2K", "").replace("\u{1b}[1A", "").replace("\r\n", "\n").replace("\r", "");
        let hidden = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!own.contains(hidden), "{own:?}");
        assert!(own.contains("31m"), "it was not about this: {own:?}");
    }
}
