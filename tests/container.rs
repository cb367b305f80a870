//! `infra/container`: `penstock serve` as a container. There is no engine here: each step of the Dockerfile is done in
//! a folder, but for what the base images bring, and for compiling, in whose place the tests' own build is taken.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Stack, TOKEN};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// What the base images bring, of which a later stage takes something.
const OF_THE_BASE: [&str; 1] = ["/etc/ssl/certs/ca-certificates.crt"];

/// A stage of the build: its files, and what its image says.
struct Stage {
    name: String,
    base: String,
    root: TempDir,
    environment: BTreeMap<String, String>,
    workdir: String,
    /// Of each instruction that describes the image, the last one's text.
    says: BTreeMap<String, String>,
}

impl Stage {
    /// A path of the image, here.
    fn here(&self, path: &str) -> PathBuf {
        let absolute = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.workdir) };
        self.root.path().join(absolute.trim_start_matches('/'))
    }

    /// The words of an instruction in the form that starts no shell.
    fn words(&self, instruction: &str) -> Vec<String> {
        let said = self.says.get(instruction).unwrap_or_else(|| panic!("no {instruction}"));
        let list = said.rfind('[').map(|start| &said[start..]).expect("a list of words");
        serde_json::from_str(list).expect("JSON")
    }

    /// A command of the image, to be started here: with its environment and no other, as its user where that can be
    /// chosen.
    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(self.here(&words[0]));
        command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin").envs(&self.environment);
        if rustix::process::geteuid().is_root() {
            let (user, group) = self.says["USER"].split_once(':').expect("user and group");
            command.uid(user.parse().expect("a number")).gid(group.parse().expect("a number"));
        }
        command
    }
}

/// The names of the context that no step sees.
fn ignored() -> Vec<String> {
    let text = fs::read_to_string(Path::new(REPOSITORY).join("infra/container/Dockerfile.dockerignore")).expect("text");
    text.lines().map(|line| line.trim_start_matches("**/").to_owned()).collect()
}

fn copy(from: &Path, to: &Path, ignored: &[String]) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("its entries") {
            let name = entry.expect("an entry").file_name();
            if !ignored.iter().any(|ignored| name.to_str() == Some(ignored)) {
                copy(&from.join(&name), &to.join(&name), ignored);
            }
        }
    } else {
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        // The executable is large. What an editor or a test has just removed is no part of it.
        let _ = fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop));
    }
}

/// A `cargo` that puts the tests' own build where the asked one would be, and says what it was asked for.
fn shim(folder: &Path) {
    let cargo = folder.join("cargo");
    let built = env!("CARGO_BIN_EXE_penstock");
    let script = format!(
        "#!/bin/sh\nset -e\necho \"$@\" >> {folder}/asked\nmkdir -p target/release\n\
         ln {built} target/release/penstock 2>/dev/null || cp {built} target/release/penstock\n",
        folder = folder.display()
    );
    fs::write(&cargo, script).expect("a script");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("it can be run");
}

/// Does every step of the Dockerfile; the stages, and what cargo was asked for.
fn built() -> (Vec<Stage>, String) {
    let text = fs::read_to_string(Path::new(REPOSITORY).join("infra/container/Dockerfile")).expect("a Dockerfile");
    let tools = tempfile::tempdir().expect("a folder");
    shim(tools.path());
    let mut stages: Vec<Stage> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (instruction, rest) = line.split_once(' ').expect("an instruction");
        if instruction == "FROM" {
            let (base, name) = rest.split_once(" AS ").unwrap_or((rest, ""));
            let root = tempfile::tempdir().expect("a folder");
            fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("others may look");
            let (environment, says) = Default::default();
            stages.push(Stage { name: name.into(), base: base.into(), root, environment, workdir: "/".into(), says });
            continue;
        }
        let last = stages.len() - 1;
        let (earlier, stage) = stages.split_at_mut(last);
        let stage = &mut stage[0];
        match instruction {
            "WORKDIR" => {
                stage.workdir = rest.to_owned();
                fs::create_dir_all(stage.here(rest)).expect("a folder");
            }
            "ENV" => {
                let (name, value) = rest.split_once('=').expect("a variable");
                stage.environment.insert(name.to_owned(), value.to_owned());
            }
            "COPY" => {
                let words: Vec<_> = rest.split(' ').collect();
                match words[..] {
                    [from, source, target] => {
                        let from = from.strip_prefix("--from=").expect("a stage");
                        let from = earlier.iter().find(|stage| stage.name == from).expect("an earlier stage");
                        match from.here(source) {
                            source if source.exists() => copy(&source, &stage.here(target), &[]),
                            _ => assert!(OF_THE_BASE.contains(&source), "nothing made {source}"),
                        }
                    }
                    [source, target] => {
                        let source = Path::new(REPOSITORY).join(source);
                        assert!(source.exists(), "{line}");
                        copy(&source, &stage.here(target), &ignored());
                    }
                    _ => panic!("what is {line:?}?"),
                }
            }
            "RUN" => {
                let mut command = Command::new("sh");
                let path = format!("{}:/usr/bin:/bin", tools.path().display());
                command.args(["-e", "-c", rest]).current_dir(stage.here(&stage.workdir)).env_clear();
                let ran = command.env("PATH", path).envs(&stage.environment).output().expect("sh");
                assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
            }
            "USER" | "EXPOSE" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD" => {
                stage.says.insert(instruction.to_owned(), rest.to_owned());
            }
            _ => panic!("what is {line:?}?"),
        }
    }
    let asked = fs::read_to_string(tools.path().join("asked")).expect("cargo was called");
    (stages, asked.trim().to_owned())
}

/// One that answers, and is told to end.
#[tokio::test(flavor = "multi_thread")]
async fn the_image_serves_without_rights_says_that_it_is_well_and_ends_when_requests_have_their_answers() {
    let stack = Stack::start().await;
    let (stages, _) = built();
    let image = stages.last().expect("a stage");
    let start = [image.words("ENTRYPOINT"), image.words("CMD")].concat();
    let mut command = image.command(&start);
    command.envs(stack.cloud.environment().iter().map(|(name, value)| (name, value)));
    // Not the image's: other tests listen too.
    command.env("PENSTOCK_LISTEN", "127.0.0.1:0").stdout(Stdio::piped());
    let mut process = command.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let address =
        line.trim().strip_prefix("Penstock listens on http://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("Linux tells");
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("its user");
    assert!(uid.split_whitespace().all(|uid| uid != "0"), "{uid}");
    let health = || {
        let mut command = image.command(&image.words("HEALTHCHECK"));
        command.env("PENSTOCK_LISTEN", &address).stderr(Stdio::null()).status().expect("it runs").success()
    };
    assert!(health());

    // A request is under way when the end is asked for: the server waits for its body.
    let body = r#"{"kind": "products"}"#;
    let mut client = TcpStream::connect(&address).expect("it listens");
    let head = format!(
        "POST /v1/imports HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).expect("sent");
    let mut answer = BufReader::new(client.try_clone().expect("the other half"));
    let mut line = String::new();
    answer.read_line(&mut line).expect("a line");
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    let pid = Pid::from_raw(process.id().cast_signed()).expect("an id");
    kill_process(pid, Signal::TERM).expect("it is told");
    client.write_all(body.as_bytes()).expect("sent");
    let mut rest = String::new();
    answer.read_to_string(&mut rest).expect("an answer");
    assert!(rest.trim_start().starts_with("HTTP/1.1 201"), "{rest}");
    assert_eq!(process.wait().expect("it ends").code(), Some(0));
    assert!(!health(), "nobody listens");
    stack.stop().await;
}

#[test]
fn the_build_is_that_of_the_workspace_with_its_compiler_and_without_what_tests_want() {
    let (stages, asked) = built();
    let [build, image] = &stages[..] else { panic!("two stages") };
    let toolchain = fs::read_to_string(Path::new(REPOSITORY).join("rust-toolchain.toml")).expect("text");
    let version = build.base.strip_prefix("rust:").and_then(|base| base.split('-').next()).expect("a version");
    assert!(toolchain.contains(&format!("channel = \"{version}\"")), "{version}");
    assert_eq!(build.environment["RUSTUP_TOOLCHAIN"], version);
    // The same Debian: what is built there runs here.
    assert_eq!(
        build.base.rsplit('-').next(),
        image.base.strip_prefix("debian:").and_then(|base| base.split('-').next())
    );
    let words: Vec<_> = asked.split(' ').collect();
    assert_eq!(words, ["build", "--locked", "--release", "--package", "penstock", "--bin", "penstock"]);
    // What the step sees is a workspace, whose package and executable have these names.
    let manifest = build.here("Cargo.toml");
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--locked", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(&manifest)
        .output()
        .expect("cargo");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == "penstock").expect("the command");
    let is_command = |target: &&Value| target["name"] == "penstock" && target["kind"][0] == "bin";
    assert!(package["targets"].as_array().expect("targets").iter().any(|target| is_command(&target)));
    assert!(!build.here(".git").exists());
}

#[test]
fn the_image_listens_where_it_says_as_nobody() {
    let (stages, _) = built();
    let image = stages.last().expect("a stage");
    assert_eq!(image.environment["PENSTOCK_LISTEN"], format!("0.0.0.0:{}", image.says["EXPOSE"]));
    let (user, group) = image.says["USER"].split_once(':').expect("user and group");
    assert!(user != "0" && group != "0" && user.parse::<u32>().is_ok(), "a number needs no list of users");
    // What it runs is there, and is no one's to change.
    for words in [image.words("ENTRYPOINT"), image.words("HEALTHCHECK")] {
        let mode = image.here(&words[0]).metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{words:?}");
    }
}
