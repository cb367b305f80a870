//! `penstock dev`: who may start it how, what it says, and what it leaves.

use std::{
    io::Write as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use penstock_client::{Client, NewImport};
use serde_json::Value;

use super::{
    closed::rights,
    products,
    support::{
        http::{client, send},
        lines::Lines,
    },
};

/// Within this time something that has to happen has happened, or never will.
const DEADLINE: Duration = Duration::from_secs(60);

fn penstock(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["PENSTOCK_URL", "PENSTOCK_TOKEN", "PENSTOCK_PROFILE", "PENSTOCK_KEY"] {
        command.env_remove(name);
    }
    command
}

/// Ends with an error: its message.
fn refused(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the command runs");
    assert_eq!((status.code(), stdout.as_slice()), (Some(1), &b""[..]));
    String::from_utf8(stderr).expect("text")
}

/// `penstock dev` until it is dropped.
struct Dev {
    child: Child,
    url: String,
    said: Vec<String>,
    lines: Lines,
}

impl Dev {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut said: Vec<String> = Vec::new();
        let mut printed = Lines::of(child.stdout.take().expect("piped"));
        while !said.last().is_some_and(|line| line.starts_with("Interrupt")) {
            said.push(printed.next().expect("more"));
        }
        let url = said[0].strip_prefix("Penstock listens on ").expect("its address").to_owned();
        let lines = Lines::of(child.stderr.take().expect("piped"));
        Self { child, url, said, lines }
    }

    fn with(arguments: &[&str]) -> Self {
        Self::start(penstock(&[&["dev", "--listen", "127.0.0.1:0"], arguments].concat()))
    }

    /// Reads lines until one has this in it: that one.
    fn tells(&mut self, part: &str) -> String {
        loop {
            let line = self.lines.next().unwrap_or_else(|| panic!("nothing of {part:?}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Ends it: the lines that have not been read.
    fn end(mut self) -> Vec<String> {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
        let rest = self.lines.by_ref().collect();
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        rest
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Imports a file: its id.
async fn import(dev: &Dev, token: &str, file: Vec<u8>) -> String {
    let client = Client::new(&dev.url, token).expect("a client");
    let import = client.create(&NewImport::default(), None).await.expect("an import");
    let bytes = file.len() as u64;
    client.upload(import.upload.as_ref().expect("a URL"), bytes, file).await.expect("uploaded");
    import.id
}

#[test]
fn others_reach_it_with_a_key_of_its_own_alone() {
    for arguments in [
        &["--listen", "0.0.0.0:0"][..],
        &["--listen", "[::]:0"],
        &["--listen", "0.0.0.0:0", "--key", "local.secret"],
        &["--listen", "127.0.0.1:0", "--public-url", "http://penstock.test:9000"],
    ] {
        let said = refused(penstock(&[&["dev"], arguments].concat()));
        assert!(said.contains("default key") && said.contains("--key-file") && said.contains("PENSTOCK_KEY"), "{said}");
    }
    for url in ["penstock.test", "http://a/b", "ftp://a"] {
        let said = refused(penstock(&["dev", "--listen", "127.0.0.1:0", "--public-url", url]));
        assert!(said.contains("scheme, host and port"), "{said}");
    }
    let mut command = penstock(&["dev", "--listen", "0.0.0.0:0", "--public-url", "http://penstock.test:9000"]);
    command.env("PENSTOCK_KEY", "own:word");
    let dev = Dev::start(command);
    assert!(dev.url.starts_with("http://127.0.0.1:"), "{:?}", dev.said);
    assert_eq!(dev.said[1], "Clients reach it at http://penstock.test:9000");
    let shown = dev.said.join("\n");
    assert!(shown.contains("own.SECRET") && !shown.contains("word"), "{shown}");
    dev.end();
    let mut command = penstock(&["dev", "--listen", "0.0.0.0:0"]);
    command.env("PENSTOCK_KEY", "own:word");
    let dev = Dev::start(command);
    assert!(dev.said[1].contains(&dev.url) && dev.said[1].contains("--public-url"), "{:?}", dev.said);
    dev.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_comes_by_environment_or_file_and_is_seen_by_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "own:word\n").expect("a file");
    let by_file = penstock(&["dev", "--listen", "127.0.0.1:0", "--key-file", file.to_str().expect("UTF-8")]);
    let mut by_environment = penstock(&["dev", "--listen", "127.0.0.1:0"]);
    by_environment.env("PENSTOCK_KEY", "own:word");
    for command in [by_file, by_environment] {
        let dev = Dev::start(command);
        let line = std::fs::read(format!("/proc/{}/cmdline", dev.child.id())).expect("Linux tells");
        assert!(!String::from_utf8_lossy(&line).contains("word"));
        assert!(Client::new(&dev.url, "own.word").expect("a client").kinds().await.is_ok());
        assert!(Client::new(&dev.url, "local.secret").expect("a client").kinds().await.is_err());
        dev.end();
    }
    let said = refused(penstock(&["dev", "--listen", "127.0.0.1:0", "--key-file", "/nonexistent/key"]));
    assert!(said.contains("/nonexistent/key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_and_each_stage_has_a_line() {
    let mut dev = Dev::with(&[]);
    let mut file = products(3);
    file.extend(b"BAD\n");
    let bytes = file.len();
    let id = import(&dev, "local.secret", file).await;
    let told = dev.tells("POST /v1/imports");
    assert!(told.starts_with("POST /v1/imports 201 ") && told.ends_with(" ms"), "{told}");
    for stage in [
        format!("{id} uploaded: {bytes} bytes"),
        format!("PUT /uploads/uploads/1/{id} 200 "),
        format!("{id} processing"),
        format!("{id} split: 4 rows"),
        format!("{id} completed_with_errors: 4 rows processed, 1 of them rejected"),
        format!("{id} reported"),
    ] {
        let line = dev.tells(&stage);
        assert!(!line.contains("Signature") && !line.contains('?'), "{line}");
    }
    let answer =
        send(client().put(format!("{}/uploads/uploads/1/{id}?X-Amz-Signature=secret", dev.url)).body("x")).await;
    assert!(answer.status >= 400);
    let line = dev.tells(&format!("PUT /uploads/uploads/1/{id} {} ", answer.status));
    assert!(line.ends_with(" ms InvalidRequest") && !line.contains("secret"), "{line}");
    dev.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_it_quiet_hears_of_failed_uploads_alone() {
    let mut dev = Dev::with(&["--quiet"]);
    let id = import(&dev, "local.secret", products(3)).await;
    let health = send(client().get(format!("{}/health", dev.url))).await;
    assert_eq!(health.status, 200);
    let answer = send(client().put(format!("{}/uploads/uploads/1/{id}", dev.url)).body("x")).await;
    assert_eq!(answer.status, 403);
    let told = dev.lines.next().expect("a line");
    assert!(
        told.starts_with(&format!("PUT /uploads/uploads/1/{id} 403 ")) && told.ends_with(" AccessDenied"),
        "{told}"
    );

    // One whose sender is gone in the middle.
    let client = Client::new(&dev.url, "local.secret").expect("a client");
    let import = client.create(&NewImport::default(), None).await.expect("an import");
    let url = import.upload.expect("a URL").url;
    let (address, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    write!(stream, "PUT /{path} HTTP/1.1\r\nhost: {address}\r\nif-none-match: *\r\ncontent-length: 1000\r\n\r\nsku,")
        .expect("sent");
    drop(stream);
    let told = dev.lines.next().expect("a line");
    assert!(
        told.starts_with(&format!("PUT /uploads/uploads/1/{} ", import.id)) && told.contains(" broke off after "),
        "{told}"
    );
    assert_eq!(dev.end(), [""; 0]);
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("UTF-8");
    let first = Dev::with(&["--data", data]);
    let said = refused(penstock(&["dev", "--listen", "127.0.0.1:0", "--data", data]));
    for part in [data, &format!("process {}", first.child.id()), &first.url] {
        assert!(said.contains(part), "{part}: {said}");
    }
    first.end();
    Dev::with(&["--data", data]).end();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_read_what_it_keeps() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let temporary = folder.path().join("temporary");
    std::fs::create_dir(&temporary).expect("a folder");
    let command = |arguments: &[&str]| {
        let mut command = penstock(&[&["dev", "--listen", "127.0.0.1:0"], arguments].concat());
        command.env("TMPDIR", &temporary);
        command
    };
    for mut dev in [Dev::start(command(&["--data", data.to_str().expect("UTF-8")])), Dev::start(command(&[]))] {
        let mut file = products(3);
        file.extend(b"BAD\n");
        import(&dev, "local.secret", file).await;
        dev.tells("reported");
        // The folder for temporary ones is the test's own.
        let kept =
            |place: &Path| -> Vec<_> { rights(place).into_iter().skip(usize::from(place == temporary)).collect() };
        for place in [&data, &temporary] {
            for (path, is_folder, mode) in kept(place) {
                assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{}", path.display());
            }
        }
        assert!(kept(&data).len() + kept(&temporary).len() > 10);
        dev.end();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_file_is_there_while_it_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ready.json");
    let earlier = r#"{"url":"http://127.0.0.1:1","pid":1,"account":"1","key_id":"an earlier run, which was killed"}"#;
    std::fs::write(&path, earlier).expect("a file");
    let started = Instant::now();
    let mut command =
        penstock(&["dev", "--listen", "127.0.0.1:0", "--quiet", "--ready-file", path.to_str().expect("UTF-8")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let ready: Value = loop {
        // It is whole as soon as it is there.
        match std::fs::read_to_string(&path) {
            Ok(text) if text == earlier => {}
            Ok(text) => break serde_json::from_str(&text).expect("JSON"),
            Err(_) => {}
        }
        assert!(started.elapsed() < DEADLINE, "no ready file within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    println!("ready after {:?}", started.elapsed());
    let url = ready["url"].as_str().expect("a URL");
    assert_eq!(send(client().get(format!("{url}/health"))).await.status, 200);
    println!("healthy after {:?}", started.elapsed());
    let wanted =
        serde_json::json!({ "url": url, "public_url": url, "pid": child.id(), "account": "1", "key_id": "local" });
    assert_eq!(ready, wanted);
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
    assert_eq!(names, ["ready.json"]);
    assert!(Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(!path.exists());

    let said = refused(penstock(&["dev", "--listen", "127.0.0.1:0", "--ready-file", "/nonexistent/ready.json"]));
    assert!(said.contains("/nonexistent/ready.json"), "{said}");
}

#[test]
fn a_ready_file_takes_the_place_of_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let start = |ready: &str, more: &[&str]| {
        penstock(&[&["dev", "--listen", "127.0.0.1:0", "--ready-file", ready], more].concat())
    };
    for content in ["mine", "", "own:word\n", r#"{"url":"mine"}"#] {
        std::fs::write(place("mine"), content).expect("a file");
        let said = refused(start(&text(&place("mine")), &[]));
        assert!(said.contains("mine is there, and is no ready file"), "{said}");
        assert_eq!(std::fs::read_to_string(place("mine")).expect("it stays"), content);
    }
    std::fs::write(place("key"), "own:word").expect("a file");
    std::os::unix::fs::symlink(place("key"), place("link")).expect("a link");
    for ready in ["key", "link"] {
        let said = refused(start(&text(&place(ready)), &["--key-file", &text(&place("key"))]));
        assert!(said.contains("is the key file"), "{said}");
        assert_eq!(std::fs::read_to_string(place("link")).expect("it stays"), "own:word");
    }
    // One that does not start leaves what is there, and no file of its own.
    let ready = text(&place("ready"));
    let first = Dev::start(start(&ready, &[]));
    let before = std::fs::read(&ready).expect("the ready file");
    let said = refused(start(&ready, &[]));
    assert!(said.contains(&format!("process {}", first.child.id())) && said.contains(&first.url), "{said}");
    let address = first.url.strip_prefix("http://").expect("an address");
    refused(penstock(&["dev", "--listen", address, "--ready-file", &text(&place("other"))]));
    assert!(!place("other").exists());
    assert_eq!(std::fs::read(&ready).expect("the ready file"), before);
    // What took its place meanwhile is not the run's to remove.
    std::fs::remove_file(&ready).expect("removed");
    std::fs::write(&ready, "mine").expect("a file");
    first.end();
    assert_eq!(std::fs::read_to_string(&ready).expect("it stays"), "mine");
}

#[test]
fn a_folder_of_somebody_is_no_place_for_data() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["lock", "keys", "notes.txt"] {
        let file = folder.path().join(name);
        std::fs::write(&file, "mine").expect("a file");
        let rights_before = rights(folder.path());
        let data = folder.path().to_str().expect("UTF-8");
        let said = refused(penstock(&["dev", "--listen", "127.0.0.1:0", "--data", data]));
        assert!(said.contains("no folder of a local cloud"), "{said}");
        assert_eq!(std::fs::read_to_string(&file).expect("it stays"), "mine");
        assert_eq!(rights(folder.path()), rights_before);
        std::fs::remove_file(&file).expect("removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_to_both_sides() {
    let dev = penstock(&["dev", "--listen", "127.0.0.1:0", "--quiet"]);
    let mut shell = Command::new("sh");
    // No file may have more than this, as on a disk that fills.
    shell.args(["-c", "ulimit -f 64; exec \"$@\"", "sh"]).arg(dev.get_program()).args(dev.get_args());
    for name in ["PENSTOCK_URL", "PENSTOCK_TOKEN", "PENSTOCK_PROFILE", "PENSTOCK_KEY"] {
        shell.env_remove(name);
    }
    let mut dev = Dev::start(shell);
    let client = Client::new(&dev.url, "local.secret").expect("a client");
    let import = client.create(&NewImport::default(), None).await.expect("an import");
    let file = vec![b'x'; 200_000];
    let bytes = file.len() as u64;
    let refused = client.upload(import.upload.as_ref().expect("a URL"), bytes, file).await;
    let told = refused.expect_err("there is no room").to_string();
    assert!(told.contains("no more can be written in the folder") && told.contains("File too large"), "{told}");
    let line = dev.tells(&format!("PUT /uploads/uploads/1/{} 500 ", import.id));
    assert!(line.contains("no more can be written in the folder"), "{line}");
    dev.end();
}
