//! The `penstock` command, as a process.

mod again;
mod completions;
mod corrects;
mod doctor;
mod exports;
mod gate;
mod imports;
mod kept;
mod line;
mod listen;
mod outputs;
mod parts;
mod presets;
mod profiles;
mod records;
mod replace;
mod review;
mod service;
mod signals;
mod terminal;
mod webhooks;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{self, lines::Lines};

/// Within this time something that has to happen has happened, or never will.
const DEADLINE: Duration = Duration::from_secs(60);

const GOOD: &str = "sku,name,brand\nA,a,b\nB,b,c\n";
const SOME_BAD: &str = "sku,name,brand,colour\nA,a,b,red\nB,b\nC,,d,red\n";
const HOPELESS: &str = "sku,description\nA,a\n";

/// The command, without anything that this process's environment, or its user's profiles, say to it. A hangup reaches
/// it even where the tests run under `nohup`.
fn penstock(arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_penstock")]).args(arguments).stdin(Stdio::null());
    for (name, value) in CLEAN {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// What the command's environment is to say.
const CLEAN: [(&str, Option<&str>); 8] = [
    ("PENSTOCK_KEY", None),
    ("PENSTOCK_URL", None),
    ("PENSTOCK_TOKEN", None),
    ("PENSTOCK_PROFILE", None),
    ("PENSTOCK_WEBHOOK_SECRET", None),
    ("NO_COLOR", None),
    ("TERM", Some("xterm")),
    ("XDG_CONFIG_HOME", Some("/nonexistent")),
];

fn run(arguments: &[&str]) -> Output {
    penstock(arguments).output().expect("the command runs")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

/// A folder with a file in it, and the file's path.
fn folder_with(name: &str, content: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a file");
    let path = path.to_str().expect("a path in UTF-8").to_owned();
    (folder, path)
}

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The names of what is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Sends a process a signal.
fn signal(child: &Child, signal: &str) {
    let kill = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
}

/// The command while it runs, and what it says on standard error.
struct Running {
    child: Child,
    said: Vec<String>,
    lines: Lines,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command runs");
        let lines = Lines::of(child.stderr.take().expect("piped"));
        Self { child, said: Vec::new(), lines }
    }

    /// Reads until it has said a line with this in it.
    fn says(&mut self, part: &str) {
        while !self.said.last().is_some_and(|line| line.contains(part)) {
            let line = self.lines.next().unwrap_or_else(|| panic!("{part:?} is not in {:#?}", self.said));
            self.said.push(line);
        }
    }

    /// Waits for its end: its exit code, standard output, and the lines of standard error.
    fn ends(mut self) -> (Option<i32>, String, Vec<String>) {
        self.said.extend(self.lines.by_ref());
        let output = self.child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"), self.said)
    }
}

/// Looks until `look` finds something.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `penstock dev` on a port of its own, with a folder for whatever it keeps for itself.
struct Dev {
    child: Child,
    url: String,
    /// What it printed until it was ready, line by line.
    said: Vec<String>,
    temporary: TempDir,
}

impl Dev {
    fn start(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut child = penstock(&["dev", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let mut said = Vec::new();
        // It prints the URL first and says at the end how to end it.
        for line in Lines::of(child.stdout.take().expect("piped")) {
            said.push(line);
            if said.last().is_some_and(|line| line.starts_with("Interrupt")) {
                break;
            }
        }
        let url =
            said.first().and_then(|line| line.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:")));
        let url = url.unwrap_or_else(|| panic!("no URL: {said:?}")).to_owned();
        Self { child, url, said, temporary }
    }

    /// A call of the command against it.
    fn run(&self, token: &str, arguments: &[&str]) -> Output {
        run(&[arguments, &["--url", &self.url, "--token", token]].concat())
    }

    /// Sends it a signal and waits for its end.
    fn end(&mut self, signal: &str) -> ExitStatus {
        self::signal(&self.child, signal);
        until("the end", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Running processes: their parents and the moments of their starts, by id.
fn processes() -> BTreeMap<u32, (u32, u64)> {
    let read = |entry: std::fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        // proc_pid_stat(5): what follows the name, which stands in brackets, is separated by spaces.
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        (fields[0] != "Z").then_some(())?;
        Some((id, (fields[1].parse().ok()?, fields[19].parse().ok()?)))
    };
    std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| read(entry.ok()?)).collect()
}

/// A process's children, and theirs, as id and start.
fn descendants(of: u32) -> BTreeMap<u32, u64> {
    let all = processes();
    let mut found = BTreeMap::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for (&id, &(_, started)) in all.iter().filter(|(_, (its_parent, _))| *its_parent == parent) {
            found.insert(id, started);
            parents.push(id);
        }
    }
    found
}

fn still_there(of: &BTreeMap<u32, u64>) -> Vec<u32> {
    let all = processes();
    of.iter().filter(|(id, started)| all.get(id).is_some_and(|(_, now)| now == *started)).map(|(&id, _)| id).collect()
}

fn import_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {:?}", stdout(output)))
}
