//! Running the blocks of a document as a reader would: in a copy of the repository, one after another in one shell.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use regex::Regex;
use tempfile::TempDir;

use super::markdown::{Document, Mark};

/// How the documents call the command in a checkout. Here it is built already.
pub(crate) const CARGO: &str = "cargo run -- ";

/// How it is called where it is installed.
pub(crate) const COMMAND: &str = "penstock ";

/// The address at which the documents have a local cloud listen. Here the system chooses the port.
const ADDRESS: &str = "127.0.0.1:9000";

/// Within this time the blocks of a document end, or never will.
const DEADLINE: Duration = Duration::from_secs(120);

/// What documents use that a machine may lack.
const PROGRAMS: [&str; 3] = ["curl", "openssl", "python3"];

/// What the shell prints behind each block.
const END: &str = "--- the block has ended";

/// A copy of the repository's files, and `penstock` on the path.
pub(crate) struct Checkout {
    folder: TempDir,
    path: String,
}

impl Checkout {
    pub(crate) fn of(root: &Path, files: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("copy");
        for file in files {
            let to = copy.join(file);
            std::fs::create_dir_all(to.parent().expect("it has a parent")).expect("a folder");
            std::fs::copy(root.join(file), to).expect("a copy");
        }
        // As it is in a checkout in which something has been built.
        std::fs::create_dir_all(copy.join("target")).expect("a folder");
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).expect("a folder");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_penstock"), programs.join("penstock")).expect("a link");
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        Self { folder, path }
    }

    fn shell(&self, commands: &str) -> Command {
        let mut shell = Command::new("sh");
        shell
            .args(["-eu", "-c", commands])
            .current_dir(self.folder.path().join("copy"))
            .env("PATH", &self.path)
            .env("TMPDIR", self.folder.path())
            .env_remove("PENSTOCK_KEY")
            .env_remove("PENSTOCK_URL")
            .env_remove("PENSTOCK_TOKEN")
            .stdin(Stdio::null())
            .process_group(0);
        shell
    }

    /// Runs the blocks of a document that are to be run: what is not as it says.
    pub(crate) fn run(&self, document: &Document) -> Vec<String> {
        let of = |mark| document.blocks.iter().filter(move |block| block.mark == mark);
        let beside = of(Mark::StaysRunning).map(|block| Beside::start(self, &block.commands.replace(CARGO, COMMAND)));
        let beside: Vec<Beside> = beside.collect();
        assert!(beside.len() < 2, "{}: only one block may stay running", document.path);
        let address = beside.first().map_or(ADDRESS, |beside| beside.address.as_str());
        let here = |commands: &str| commands.replace(CARGO, COMMAND).replace(ADDRESS, address);
        let script: String =
            of(Mark::Run).map(|block| format!("{}\nprintf '%s\\n' '{END}'\n", here(&block.commands))).collect();
        if let Some(program) = PROGRAMS.iter().find(|program| script.contains(**program) && !is_installed(program)) {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "{program} is not installed, and CI runs everything"
            );
            println!("NOT RUN: {}: {program} is not installed", document.path);
            return Vec::new();
        }
        let (printed, errors) = self.output(&script);
        let mut outputs: Vec<&str> = printed.split(&format!("{END}\n")).collect();
        let rest = outputs.pop().unwrap_or_default();
        let mut found = Vec::new();
        for (at, block) in of(Mark::Run).enumerate() {
            let place = format!("{}:{}", document.path, block.line);
            let Some(output) = outputs.get(at) else {
                found.push(format!("{place}: the block fails:\n{rest}{errors}"));
                break;
            };
            if let Some(shown) = block.prints.as_deref().filter(|shown| !agree(shown, output)) {
                found.push(format!("{place}: the block prints\n{output}and not\n{shown}{errors}"));
            }
        }
        found.extend(self.changed(document));
        found
    }

    /// Standard output and standard error of a script, to its end.
    fn output(&self, script: &str) -> (String, String) {
        let path = |name: &str| self.folder.path().join(name);
        let file = |name: &str| File::create(path(name)).expect("a file");
        let mut child = self.shell(script).stdout(file("output")).stderr(file("errors")).spawn().expect("a shell");
        let started = Instant::now();
        while child.try_wait().expect("a child").is_none() {
            if started.elapsed() > DEADLINE {
                end(&mut child, "KILL");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let read = |name: &str| String::from_utf8_lossy(&std::fs::read(path(name)).expect("a file")).into_owned();
        (read("output"), read("errors"))
    }

    /// The documents that its commands have written anew, differently.
    fn changed(&self, document: &Document) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let written = document.blocks.iter().flat_map(|block| block.commands.split_whitespace());
        let written = written.filter(|word| word.ends_with(".md"));
        let differs = written.filter(|path| {
            let read = |root: &Path| std::fs::read_to_string(root.join(path)).expect("a document");
            read(root) != read(&self.folder.path().join("copy"))
        });
        differs.map(|path| format!("{}: its commands write another {path} than is committed", document.path)).collect()
    }
}

/// What runs beside the blocks of a document.
struct Beside {
    child: Child,
    address: String,
}

impl Beside {
    fn start(checkout: &Checkout, commands: &str) -> Self {
        let any_port = commands.replace(ADDRESS, "127.0.0.1:0");
        let mut child =
            checkout.shell(&format!("exec {}", any_port.trim())).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut said).expect("text");
        let address = said.trim_end().rsplit_once("http://").map(|(_, address)| address.to_owned());
        let address = address.unwrap_or_else(|| panic!("no address: {said:?}"));
        // It goes on writing to where it wrote.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Self { child, address }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        end(&mut self.child, "TERM");
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child and to what it has started.
fn end(child: &mut Child, signal: &str) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-s", signal, "--", &group]).status();
}

fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// What is wrong with the syntax of commands.
pub(crate) fn syntax(commands: &str) -> Option<String> {
    let checked = Command::new("sh").args(["-n", "-c", commands]).output().expect("a shell");
    (!checked.status.success()).then(|| String::from_utf8_lossy(&checked.stderr).into_owned())
}

/// Whether an output is what is shown, but for ids, secrets, times and speeds. A line `…` stands for any lines.
fn agree(shown: &str, output: &str) -> bool {
    let (shown, output) = (masked(shown), masked(output));
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    line_up(&lines(&shown), &lines(&output))
}

fn line_up(shown: &[String], output: &[String]) -> bool {
    match shown.split_first() {
        None => output.is_empty(),
        Some((line, rest)) if line.trim() == "…" => (0..=output.len()).any(|from| line_up(rest, &output[from..])),
        Some((line, rest)) => output.first() == Some(line) && line_up(rest, &output[1..]),
    }
}

fn masked(text: &str) -> String {
    let masks = [
        ("(imp|whk)_[0-9A-Z]{26}", "${1}_ID"),
        ("whsec_(…|[A-Za-z0-9+/]+=*)", "whsec_SECRET"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"[\d.]+ s, \d+ rows/s", "SECONDS, SPEED"),
    ];
    masks.iter().fold(text.to_owned(), |text, (pattern, mask)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *mask).into_owned()
    })
}

#[test]
fn outputs_agree_but_for_ids_times_and_speeds() {
    let shown = "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F  completed\n0.4 s, 19 rows/s\n";
    assert!(agree(shown, "imp_01KD8ZC4S2G9QJ7V5N3M1K0H6X  completed\n12.0 s, 3 rows/s\n"));
    assert!(!agree(shown, "imp_01KD8ZC4S2G9QJ7V5N3M1K0H6X  failed\n12.0 s, 3 rows/s\n"));
    assert!(agree("a\n…\nd\n", "a\nb\nc\nd\n") && agree("a\n…\n", "a\n") && !agree("a\n…\nd\n", "a\nb\n"));
    assert!(!agree("a\n", "a\nb\n") && !agree("a\nb\n", "a\n"));
}

#[test]
fn a_slip_in_a_command_is_found() {
    assert_eq!(syntax("true | cat\n"), None);
    assert!(syntax("if true; then\n").is_some());
}
