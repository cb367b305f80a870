//! The `penstock` command, as a process.

mod support;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use penstock_client::Client;
use reqwest::Method;
use serde_json::Value;
use support::http::{self, send};
use tempfile::TempDir;

/// Within this time something that has to happen has happened, or never will.
const DEADLINE: Duration = Duration::from_secs(60);

const GOOD: &str = "sku,name,brand\nA,a,b\nB,b,c\n";
const SOME_BAD: &str = "sku,name,brand,colour\nA,a,b,red\nB,b\nC,,d,red\n";
const HOPELESS: &str = "sku,description\nA,a\n";

/// The command, without anything that this process's environment says to it.
fn penstock(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(arguments).env_remove("PENSTOCK_URL").env_remove("PENSTOCK_TOKEN").stdin(Stdio::null());
    command
}

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
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            said.push(line.expect("text"));
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
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
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

// penstock import, on its own.

#[test]
fn an_import_of_good_rows_exits_with_0() {
    let (_folder, file) = folder_with("good.csv", GOOD);
    let output = run(&["import", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("completed\n"), "{text}");
    assert!(text.contains("2 rows: 2 created, 0 updated, 0 unchanged, 0 skipped, 0 failed, 0 unprocessed\n"), "{text}");
    assert!(text.contains("rows/s"), "{text}");
    // No terminal: progress in plain lines, and not on standard output.
    assert!(stderr(&output).lines().any(|line| line.contains("uploading")), "{}", stderr(&output));
    assert!(!stderr(&output).contains('\u{1b}'), "{:?}", stderr(&output));
    assert!(!Path::new(&format!("{file}.rejected.csv")).exists());
}

#[test]
fn an_import_with_bad_rows_exits_with_2_and_writes_them_beside_the_input() {
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    let output = run(&["import", &file]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("3 rows: 1 created, 0 updated, 0 unchanged, 0 skipped, 2 failed, 0 unprocessed\n"), "{text}");
    assert!(text.contains("row 2, line 3: ") && text.contains("(ragged_row)"), "{text}");
    assert!(text.contains("row 3, line 4: ") && text.contains("(required)"), "{text}");
    assert!(text.contains("ignored columns: colour"), "{text}");
    let path = format!("{file}.rejected.csv");
    assert!(text.contains(&path), "{text}");
    let rejected = std::fs::read_to_string(path).expect("the rejected rows");
    let lines: Vec<&str> = rejected.lines().collect();
    assert_eq!(lines.len(), 3, "{rejected}");
    assert_eq!(lines[0], "_row,_line,_errors,sku,name,brand,colour");
    assert!(lines[1].starts_with("2,3,") && lines[1].ends_with(",B,b"), "{rejected}");
    assert!(lines[2].starts_with("3,4,") && lines[2].ends_with(",C,,d,red"), "{rejected}");
}

#[test]
fn an_import_that_fails_exits_with_1_and_says_why() {
    let (_folder, file) = folder_with("hopeless.csv", HOPELESS);
    let output = run(&["import", &file]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("missing_column: "), "{}", stdout(&output));
    assert!(stdout(&output).contains("`brand`"), "{}", stdout(&output));
}

#[test]
fn json_prints_the_import_and_nothing_else() {
    for (content, code, status) in
        [(GOOD, 0, "completed"), (SOME_BAD, 2, "completed_with_errors"), (HOPELESS, 1, "failed")]
    {
        let (folder, file) = folder_with("file.csv", content);
        let rejected = folder.path().join("else where.csv");
        let output = run(&["import", &file, "--json", "--rejected", rejected.to_str().expect("UTF-8")]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let import = import_of(&output);
        assert_eq!(import["status"], status);
        assert_eq!(import["filename"], "file.csv");
        // Credentials are not for a log.
        assert!(import.get("upload").is_none() && import.get("form").is_none(), "{import}");
        assert_eq!(rejected.exists(), code == 2);
        assert!(!Path::new(&format!("{file}.rejected.csv")).exists());
    }
}

#[test]
fn the_options_of_an_import_reach_the_service() {
    let (_folder, file) = folder_with("semicolons.csv", "sku;name;brand\nA;a,1;b\n");
    let output = run(&["import", &file, "--json", "--delimiter", ";", "--dry-run", "--kind", "products"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let import = import_of(&output);
    assert_eq!((&import["options"]["delimiter"], &import["options"]["dry_run"]), (&";".into(), &true.into()));
    assert_eq!(import["rows"]["created"], 1);
    let output = run(&["import", &file, "--kind", "unicorns"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("unicorns"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_imported_is_said_with_exit_code_1() {
    let (folder, file) = folder_with("good.csv", GOOD);
    let missing = folder.path().join("missing.csv").to_str().expect("UTF-8").to_owned();
    let directory = folder.path().to_str().expect("UTF-8").to_owned();
    // A port on which nobody listens any more.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let nobody = format!("http://127.0.0.1:{port}");
    for (arguments, parts) in [
        (&["import", &missing][..], &["missing.csv", "No such file"][..]),
        (&["import", &directory], &[&*directory, "not a file"]),
        (&["import", &file, "--url", &nobody, "--token", "a.b"], &["no answer from the service"]),
        (&["import", &file, "--url", "nonsense", "--token", "a.b"], &[]),
        (&["status", "imp_1", "--url", &nobody, "--token", "a.b"], &["no answer from the service"]),
        (&["list", "--url", &nobody, "--token", "a.b"], &["no answer from the service"]),
        (&["errors", "imp_1", "--url", &nobody, "--token", "a.b"], &["no answer from the service"]),
        (&["dev", "--listen", "127.0.0.1:0", "--key", "no-secret"], &["--key"]),
        (&["dev", "--listen", "127.0.0.1:0", "--key", "bad id:secret"], &["key"]),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
        let message = stderr(&output);
        let last = message.lines().last().unwrap_or_default();
        assert!(last.starts_with("penstock: ") && !message.contains("panicked"), "{arguments:?}: {message}");
        for part in parts {
            assert!(last.contains(part), "{part:?} is not in {last:?}");
        }
    }
}

#[test]
fn a_call_that_is_none_exits_with_1_and_not_as_if_rows_had_failed() {
    for arguments in [&["import"][..], &["import", "x.csv", "--url", "http://127.0.0.1:1"], &["fly"], &[]] {
        let output = run(arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

#[test]
fn a_signal_ends_an_import_with_its_local_cloud() {
    let rows: String = (0..200_000).map(|row| format!("SKU-{row},Product,Brand\n")).collect();
    let (_folder, file) = folder_with("long.csv", &format!("sku,name,brand\n{rows}"));
    for signal in ["TERM", "INT"] {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut child = penstock(&["import", &file])
            .env("TMPDIR", temporary.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut progress = BufReader::new(child.stderr.take().expect("piped")).lines();
        while !progress.next().expect("a line").expect("text").starts_with("processing") {}
        let children = descendants(child.id());
        assert!(!children.is_empty());
        let kill = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
        let rest: Vec<String> = progress.map_while(Result::ok).collect();
        let status = until("the end", || child.try_wait().expect("a child"));
        assert_eq!(status.code(), Some(1), "{rest:?}");
        assert!(rest.last().is_some_and(|line| line.contains("interrupted")), "{rest:?}");
        assert_eq!(still_there(&children), [0; 0], "SIG{signal}");
        assert_eq!(std::fs::read_dir(temporary.path()).expect("a folder").count(), 0, "a temporary folder is left");
    }
}

// penstock dev, and the command against it.

#[test]
fn the_command_works_against_a_running_service() {
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    let mut dev = Dev::start(&["--key", "me:pass.word", "--account", "shop"]);
    let token = "me.pass.word";
    assert!(dev.said.iter().any(|line| line.contains(&format!("curl {}/health", dev.url))), "{:?}", dev.said);
    let output = dev.run(token, &["import", &file, "--json"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let import = import_of(&output);
    let id = import["id"].as_str().expect("an id");
    assert!(Path::new(&format!("{file}.rejected.csv")).exists());

    let output = dev.run(token, &["status", id]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(import_of(&output), import);

    let output = dev.run(token, &["errors", id]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let errors: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let shown: Vec<_> = errors.iter().map(|error| (error["row"].as_u64(), error["code"].as_str())).collect();
    assert_eq!(shown, [(Some(2), Some("ragged_row")), (Some(3), Some("required"))]);

    let second = import_of(&dev.run(token, &["import", &file, "--json"]));
    let output = dev.run(token, &["list"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, import) in lines.iter().zip([&second, &import]) {
        assert!(line.starts_with(import["id"].as_str().expect("an id")), "{lines:?}");
        assert!(line.contains("completed_with_errors") && line.contains("some bad.csv"), "{line}");
    }
    assert_eq!(stdout(&dev.run(token, &["list", "--limit", "1"])).lines().count(), 1);

    // The same by the environment.
    let output = penstock(&["status", id]).env("PENSTOCK_URL", &dev.url).env("PENSTOCK_TOKEN", token).output();
    assert_eq!(import_of(&output.expect("the command runs")), import);
    let output =
        penstock(&["import", &file, "--json"]).env("PENSTOCK_URL", &dev.url).env("PENSTOCK_TOKEN", token).output();
    let third = import_of(&output.expect("the command runs"));
    assert_eq!(dev.run(token, &["status", third["id"].as_str().expect("an id")]).status.code(), Some(0));

    for wrong in ["me.pass.wore", "local.secret"] {
        for call in [&["import", &file][..], &["status", id], &["errors", id], &["list"]] {
            let output = dev.run(wrong, call);
            assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{call:?}");
            assert!(stderr(&output).contains("401"), "{}", stderr(&output));
        }
    }
    let output = dev.run(token, &["status", "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no such import"), "{}", stderr(&output));
    assert_eq!(dev.end("TERM").code(), Some(0));
}

#[test]
fn a_signal_ends_dev_and_all_its_children() {
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    for signal in ["TERM", "INT"] {
        let mut dev = Dev::start(&[]);
        assert_eq!(dev.run("local.secret", &["import", &file, "--json"]).status.code(), Some(2));
        let children = descendants(dev.child.id());
        // split, validate and report have run by now.
        assert!(children.len() >= 3, "{children:?}");
        assert_eq!(dev.end(signal).code(), Some(0), "SIG{signal}");
        assert_eq!(still_there(&children), [0; 0], "SIG{signal}");
        let left: Vec<_> = std::fs::read_dir(dev.temporary.path()).expect("a folder").collect();
        assert!(left.is_empty(), "SIG{signal}: {left:?}");
    }
}

#[test]
fn a_local_import_leaves_no_process_and_no_file_behind() {
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    let temporary = tempfile::tempdir().expect("a folder");
    let mut child = penstock(&["import", &file])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let child = child.as_mut().expect("the command runs");
    let mut children = BTreeMap::new();
    let status = until("the end", || {
        children.extend(descendants(child.id()));
        child.try_wait().expect("a child")
    });
    assert_eq!(status.code(), Some(2));
    assert!(!children.is_empty());
    assert_eq!(still_there(&children), [0; 0]);
    let left: Vec<_> = std::fs::read_dir(temporary.path()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_instances_run_side_by_side() {
    let (_folder, file) = folder_with("good.csv", GOOD);
    let (mut one, mut two) = (Dev::start(&[]), Dev::start(&[]));
    assert_ne!(one.url, two.url);
    let first = import_of(&one.run("local.secret", &["import", &file, "--json"]));
    let second = import_of(&two.run("local.secret", &["import", &file, "--json"]));
    for import in [&first, &second] {
        // Neither has seen the other's records.
        assert_eq!(import["rows"]["created"], 2);
    }
    for (dev, own, other) in [(&one, &first, &second), (&two, &second, &first)] {
        let output = dev.run("local.secret", &["list"]);
        let list = stdout(&output);
        assert!(list.contains(own["id"].as_str().expect("an id")), "{list}");
        assert!(!list.contains(other["id"].as_str().expect("an id")), "{list}");
    }
    assert_eq!(one.end("TERM").code(), Some(0));
    // One's end is not the other's.
    assert_eq!(two.run("local.secret", &["import", &file]).status.code(), Some(0));
    assert_eq!(two.end("INT").code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&["dev", "--listen", &address]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
}

#[test]
fn what_is_in_the_data_folder_survives_a_restart() {
    let (folder, file) = folder_with("some bad.csv", SOME_BAD);
    let data = folder.path().join("deep").join("data");
    let data = data.to_str().expect("UTF-8");
    let mut dev = Dev::start(&["--data", data]);
    let import = import_of(&dev.run("local.secret", &["import", &file, "--json"]));
    assert_eq!(import["status"], "completed_with_errors");
    assert_eq!(dev.end("TERM").code(), Some(0));

    let mut dev = Dev::start(&["--data", data]);
    let id = import["id"].as_str().expect("an id");
    assert_eq!(import_of(&dev.run("local.secret", &["status", id])), import);
    assert_eq!(stdout(&dev.run("local.secret", &["errors", id])).lines().count(), 2);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = Client::new(&dev.url, "local.secret").expect("a client");
        let record = client.record("products", "A").await.expect("answers").expect("is there");
        assert_eq!(record["fields"]["name"], "a");
        let path = folder.path().join("rejected again.csv");
        client.save_rejected(id, &path).await.expect("the rejected rows are there");
        let again = std::fs::read_to_string(path).expect("text");
        assert_eq!(again, std::fs::read_to_string(format!("{file}.rejected.csv")).expect("text"));
        let request = http::client().request(Method::GET, format!("{}/health", dev.url));
        assert_eq!(send(request).await.status, 200);
    });
    // The rows that are there already are found.
    let again = import_of(&dev.run("local.secret", &["import", &file, "--json"]));
    assert_eq!((&again["rows"]["created"], &again["rows"]["unchanged"]), (&0.into(), &1.into()));
    assert_eq!(dev.end("INT").code(), Some(0));
}

#[test]
fn output_that_nobody_reads_on_is_no_failure() {
    let (_folder, file) = folder_with("products.csv", GOOD);
    let mut child =
        penstock(&["import", &file]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // As `head` does when it has enough.
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn a_preview_tells_what_a_file_would_be_taken_for() {
    let (_folder, file) = folder_with("export.csv", "Artikel;Titel;brand\nA;a;b\nB;;b\n");
    let output = run(&["import", &file, "--preview", "--map", "Artikel=sku", "--map", "Titel=name"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(
        lines,
        [
            "csv, UTF-8, delimiter ';'",
            "  \"Artikel\" is sku",
            "  \"Titel\" is name",
            "  \"brand\" is brand",
            r#"row 1: {"brand":"b","name":"a","sku":"A"}"#,
            "row 2, line 3: `name` must hold a value (required)",
        ]
    );
    let output = run(&["import", &file, "--preview"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("missing_column"), "{}", stdout(&output));
}
