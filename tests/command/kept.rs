//! What a person has is kept, and what goes wrong is said: schemas, logs, rows on full disks, files of an earlier run,
//! pipes that nobody reads, and results that cannot be printed.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use penstock_model::{ImportOptions, Status};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Dev, GOOD, Running, SOME_BAD,
    gate::{Fate, Gate},
    import_of, names, penstock, run, signal as send_signal, stderr, stdout,
    support::{Stack, TOKEN},
    text, until,
};

const SCHEMA: &str = r#"{"name":"gadgets","primaryKey":["id"],"fields":[{"name":"id","type":"string","constraints":{"required":true}}]}"#;

#[test]
fn a_schema_is_an_input_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, schema) = (folder.path().join("a.csv"), folder.path().join("gadgets.json"));
    std::fs::write(&file, "id\n1\n\"\"\n").expect("a file");
    std::fs::write(&schema, SCHEMA).expect("a file");
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(&schema, &link).expect("a link");
    for command in ["check", "import"] {
        for (kind, rejected) in [(&schema, &schema), (&schema, &link), (&link, &schema)] {
            let output = run(&[command, text(&file), "--kind", text(kind), "--rejected", text(rejected)]);
            assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{command}");
            assert!(stderr(&output).contains("is a file that is read"), "{command}: {}", stderr(&output));
            assert_eq!(std::fs::read_to_string(&schema).expect("the schema"), SCHEMA, "{command}");
        }
    }
    assert_eq!(names(folder.path()), ["a.csv", "gadgets.json", "link.json"]);
}

#[test]
fn what_the_shell_has_open_is_written_to_and_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, SOME_BAD).expect("a file");
    for command in ["check", "import"] {
        for (place, redirected) in [
            ("/dev/stdout", ">> log"),
            ("-", ">> log"),
            ("/dev/stderr", "2>> log"),
            ("/dev/fd/1", ">> log"),
            ("/proc/self/fd/2", "2>> log"),
            ("/dev/fd/7", "7>> log"),
            ("/proc/self/fd/7", "7> log"),
        ] {
            let log = folder.path().join("log");
            std::fs::write(&log, "what was there\n").expect("a file");
            let inode = std::fs::metadata(&log).expect("a file").ino();
            let script = format!("exec {redirected}; echo before >&${{0#*:}}; \"$@\"; echo after >&${{0#*:}}");
            let number = redirected.split('>').next().filter(|number| !number.is_empty()).unwrap_or("1");
            let command_line = penstock(&[command, text(&file), "--rejected", place]);
            let mut shell = Command::new("bash");
            shell.args(["-c", &script, &format!("sh:{number}")]).arg(command_line.get_program());
            shell.args(command_line.get_args()).env("XDG_CONFIG_HOME", "/nonexistent");
            for name in ["PENSTOCK_URL", "PENSTOCK_TOKEN", "PENSTOCK_PROFILE", "PENSTOCK_KEY"] {
                shell.env_remove(name);
            }
            let output = shell.current_dir(folder.path()).stdin(Stdio::null()).output().expect("a shell");
            let written = std::fs::read_to_string(&log).expect("the log");
            let what = format!("{command} {place} {redirected}: {written:?} {}", stderr(&output));
            assert_eq!(std::fs::metadata(&log).expect("a file").ino(), inode, "{what}");
            let kept = redirected.contains(">>");
            assert_eq!(written.starts_with("what was there\nbefore\n"), kept, "{what}");
            assert!(written.contains("before\n") && written.ends_with("after\n"), "{what}");
            assert!(written.contains("_row,_line,_errors,") && written.contains(",C,,d,red\n"), "{what}");
            std::fs::remove_file(&log).expect("removed");
        }
    }
    assert_eq!(names(folder.path()), ["a.csv"]);
    // An output of the other commands, too.
    let dev = Dev::start(&[]);
    let output = dev.run("local.secret", &["kinds", "template", "products", "-o", "-"]);
    assert!(stdout(&output).starts_with("sku,"), "{}", stderr(&output));
    assert!(!Path::new("-").exists());
}

/// Runs the command where no file can have more than some kilobytes, in a shell that leaves the signal as it is.
fn run_in_little_room(arguments: &[&str]) -> Output {
    let command = penstock(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 16; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    shell.stdin(Stdio::null()).env("XDG_CONFIG_HOME", "/nonexistent").output().expect("a shell")
}

#[test]
fn a_limit_of_a_files_length_is_a_full_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, rejected) = (folder.path().join("a.csv"), folder.path().join("bad.csv"));
    let rows: String = (0..20_000).map(|row| format!("SKU-{row},,brand\n")).collect();
    std::fs::write(&file, format!("sku,name,brand\n{rows}")).expect("a file");
    std::fs::write(&rejected, "the old one").expect("a file");
    let dev = Dev::start(&[]);
    let service = ["--url", &dev.url, "--token", "local.secret"];
    let place = ["--rejected", text(&rejected)];
    let check = [&["check", text(&file)][..], &place].concat();
    let import = [&["import", text(&file)][..], &place, &service].concat();
    for arguments in [check, import] {
        let output = run_in_little_room(&arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("bad.csv cannot be written: File too large"), "{}", stderr(&output));
        assert_eq!(std::fs::read_to_string(&rejected).expect("the old file"), "the old one");
        assert_eq!(names(folder.path()), ["a.csv", "bad.csv"]);
    }
}

#[test]
fn rejected_rows_that_are_not_saved_are_said_of_each_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
    for file in [&first, &second] {
        std::fs::write(file, SOME_BAD).expect("a file");
    }
    let dev = Dev::start(&[]);
    let call = ["import", text(&first), text(&second), "--rejected", "/dev/full"];
    let output = dev.run("local.secret", &call);
    assert_eq!(output.status.code(), Some(1));
    for file in [&first, &second] {
        let of = format!("penstock: {}: the rejected rows of imp_", text(file));
        let said = stderr(&output).lines().find(|line| line.starts_with(&of));
        let said = said.unwrap_or_else(|| panic!("{}: {}", text(file), stderr(&output)));
        assert!(said.contains("`penstock rejected imp_") && said.contains("No space left"), "{said}");
        let total = stdout(&output).lines().find(|line| line.starts_with(&format!("  {}  ", text(file))));
        assert!(total.is_some_and(|line| line.ends_with("its rejected rows are not saved")), "{}", stdout(&output));
    }
    let output = dev.run("local.secret", &[&call[..], &["--json"]].concat());
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line["rejected_file"], Value::Null);
        let id = line["import"]["id"].as_str().expect("an import");
        let error = line["error"].as_str().expect("an error");
        assert!(error.contains(&format!("`penstock rejected {id} -o PATH --url {}`", dev.url)), "{error}");
        assert_eq!(line["id"], id);
    }
}

#[test]
fn a_pipe_that_nobody_reads_is_left_by_a_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, pipe) = (folder.path().join("a.csv"), folder.path().join("pipe"));
    // Rejected rows enough to fill a pipe.
    let rows: String = (0..20_000).map(|row| format!("SKU-{row},,brand\n")).collect();
    std::fs::write(&file, format!("sku,name,brand\n{rows}")).expect("a file");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    for signal in ["INT", "TERM", "HUP"] {
        let mut running = Running::start(penstock(&["import", text(&file), "--rejected", text(&pipe)]));
        running.says("waiting for a reader of");
        send_signal(&running.child, signal);
        let (code, printed, said) = running.ends();
        assert_eq!(code, Some(1), "SIG{signal}: {said:?}");
        assert!(said.last().is_some_and(|line| line.contains("interrupted; nothing was uploaded")), "{said:?}");
        assert!(printed.contains("nothing was imported") || printed.is_empty(), "{printed}");

        // One that stops reading.
        let mut running = Running::start(penstock(&["import", text(&file), "--rejected", text(&pipe)]));
        running.says("waiting for a reader of");
        let mut reader = File::open(&pipe).expect("a reader");
        let mut start = [0; 4];
        reader.read_exact(&mut start).expect("the first rows");
        assert_eq!(&start, b"_row");
        send_signal(&running.child, signal);
        running.says("its rejected rows are being saved");
        send_signal(&running.child, signal);
        let (code, _, said) = running.ends();
        assert_eq!(code, Some(1), "SIG{signal}: {said:?}");
        assert!(said.last().is_some_and(|line| line.contains("its rejected rows are not saved")), "{said:?}");
    }
    // Who reads gets all of it.
    let running = Running::start(penstock(&["import", text(&file), "--rejected", text(&pipe)]));
    let read = std::fs::read_to_string(&pipe).expect("the rows");
    assert_eq!((read.lines().count(), running.ends().0), (20_001, Some(2)));
    assert_eq!(names(folder.path()), ["a.csv", "pipe"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_reading_ends_a_watch_and_not_its_import() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let mut running = Running::start(penstock(&["watch", &import.id, "--url", stack.cloud.url(), "--token", TOKEN]));
    drop(running.child.stdout.take());
    let (code, _, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
    assert_eq!(code, Some(1), "{said:?}");
    let last = format!("nobody reads standard output any more; {} goes on", import.id);
    assert!(said.last().is_some_and(|line| line.contains(&last)), "{said:?}");
    assert_eq!(stack.client.import(&import.id).await.expect("there").status, Status::AwaitingUpload);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_stops_no_other_file() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (bad, good) = (folder.path().join("bad.csv"), folder.path().join("good.csv"));
    std::fs::write(&bad, SOME_BAD).expect("a file");
    std::fs::write(&good, GOOD).expect("a file");
    let rejected = format!("{}.rejected.csv", text(&bad));
    for files in [&[text(&bad)][..], &[text(&bad), text(&good)]] {
        let gate = Gate::before(stack.cloud.url()).await;
        gate.rule(Method::GET, "/errors", Fate::Answered(500, 9));
        let service = ["--url", gate.url(), "--token", TOKEN];
        let running = Running::start(penstock(&[&["import"], files, &service].concat()));
        let (code, printed, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
        assert_eq!(code, Some(2), "{said:?}");
        assert!(said.iter().any(|line| line.contains("the errors of imp_") && line.contains("500")), "{said:?}");
        assert!(printed.contains(&format!("rejected rows: {rejected}")), "{printed}");
        assert!(printed.lines().last().is_some_and(|line| line.starts_with("imported into")), "{printed}");
        assert_eq!(printed.contains("2 files: 1 fine, 1 with rejected rows, 0 failed"), files.len() == 2, "{printed}");

        // Nothing can be printed at all.
        let mut command = penstock(&[&["import"], files, &["--url", stack.cloud.url(), "--token", TOKEN]].concat());
        command.stdout(OpenOptions::new().write(true).open("/dev/full").expect("a device"));
        let output = tokio::task::spawn_blocking(move || command.stderr(Stdio::piped()).output());
        let output = output.await.expect("it ends").expect("the command runs");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.matches("standard output cannot be written to: No space left").count(), 1, "{said}");
        assert!(said.contains(&format!("rejected rows: {rejected}")), "{said}");
        assert!(said.lines().last().is_some_and(|line| line.starts_with("imported into")), "{said}");
        assert_eq!(said.contains("2 files: 1 fine, 1 with rejected rows, 0 failed"), files.len() == 2, "{said}");
    }
    stack.stop().await;
}

#[test]
fn a_file_below_dev_is_a_file_and_pipes_have_a_place_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let memory = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let file = memory.path().join("rows.txt");
    std::fs::write(&file, SOME_BAD).expect("a file");
    let mut command = penstock(&["import", text(&file), "--json"]);
    let output = command.current_dir(folder.path()).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(import_of(&output)["filename"], "rows.txt");
    assert!(!stderr(&output).contains("into a temporary file"), "{}", stderr(&output));
    assert_eq!(names(memory.path()), ["rows.txt", "rows.txt.rejected.csv"]);
    assert_eq!(names(folder.path()), [""; 0]);

    std::fs::write(folder.path().join("a"), SOME_BAD).expect("a file");
    let line = penstock(&["import"]);
    let mut shell = Command::new("bash");
    shell.args(["-c", "exec \"$@\" <(cat a) <(cat a)", "bash"]).arg(line.get_program()).args(line.get_args());
    shell.env("XDG_CONFIG_HOME", "/nonexistent").env_remove("PENSTOCK_URL").env_remove("PENSTOCK_TOKEN");
    let output = shell.current_dir(folder.path()).stdin(Stdio::null()).output().expect("a shell");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let found = names(folder.path());
    assert!(found.len() == 3 && found[1..].iter().all(|name| name.starts_with("fd")), "{found:?}");
    for name in &found[1..] {
        let rows = std::fs::read_to_string(folder.path().join(name)).expect("the rows");
        assert!(name.ends_with(".rejected.csv") && rows.contains(",C,,d,red\n"), "{name}: {rows}");
    }
}

#[test]
fn all_files_of_a_folder_can_be_imported_again() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.csv"), SOME_BAD).expect("a file");
    std::fs::write(folder.path().join("b.csv"), GOOD).expect("a file");
    let all = || {
        let given = names(folder.path());
        let given: Vec<&str> = given.iter().map(String::as_str).filter(|name| name.ends_with(".csv")).collect();
        let mut command = penstock(&[&["import"], &given[..]].concat());
        command.current_dir(folder.path()).output().expect("the command runs")
    };
    let output = all();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(names(folder.path()), ["a.csv", "a.csv.rejected.csv", "b.csv"]);
    // Somebody has begun to mend it.
    let rejected = folder.path().join("a.csv.rejected.csv");
    let mended = std::fs::read_to_string(&rejected).expect("the rows").replace(",C,,d,red", ",C,c,d,red");
    std::fs::write(&rejected, &mended).expect("a file");
    let output = all();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("a.csv.rejected.csv is left out: it holds rejected rows of a.csv"), "{said}");
    assert!(said.contains("a.csv.rejected.csv was there before, and is"), "{said}");
    assert!(stdout(&output).contains("2 files: 1 fine, 1 with rejected rows"), "{}", stdout(&output));
    assert_eq!(names(folder.path()), ["a.csv", "a.csv.rejected.csv", "a.csv.rejected.csv.old", "b.csv"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("a.csv.rejected.csv.old")).expect("a file"), mended);
    assert!(std::fs::read_to_string(&rejected).expect("the rows").contains(",C,,d,red"));
    // By itself it is a file like any other.
    std::fs::write(&rejected, &mended).expect("a file");
    let output = run(&["import", text(&rejected)]);
    assert!(stdout(&output).contains("2 rows: 1 created"), "{}", stdout(&output));
}

#[test]
fn the_rejected_rows_of_json_are_called_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = r#"{"sku":"A","name":"","brand":"b"}"#;
    for (name, content, rejected) in [
        ("a.ndjson", format!("{row}\n"), "a.ndjson.rejected.ndjson"),
        ("b.json", format!("[{row}]"), "b.json.rejected.ndjson"),
        // Its name does not say it, and what an earlier run left has the name that it has.
        ("c.txt", format!("{row}\n"), "c.txt.rejected.ndjson"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, content).expect("a file");
        for _ in 0..2 {
            let output = run(&["import", text(&file)]);
            assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
            let place = folder.path().join(rejected);
            assert!(stdout(&output).contains(&format!("rejected rows: {}", text(&place))), "{}", stdout(&output));
            assert_eq!(names(folder.path()), [name, rejected]);
            let line: Value = serde_json::from_slice(&std::fs::read(&place).expect("rows")).expect("JSON");
            assert_eq!((&line["_row"], &line["sku"]), (&json!(1), &json!("A")));
        }
        let again = run(&["import", text(&file), text(&folder.path().join(rejected))]);
        assert!(stderr(&again).contains(&format!("{rejected} is left out")), "{}", stderr(&again));
        for name in names(folder.path()) {
            std::fs::remove_file(folder.path().join(name)).expect("removed");
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_checked_is_not_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, rejected) = (folder.path().join("a.csv"), folder.path().join("bad.csv"));
    for change in ["shorter", "longer"] {
        let rows: String = (0..200_000).map(|row| format!("SKU-{row},,brand\n")).collect();
        std::fs::write(&file, format!("sku,name,brand\n{rows}")).expect("a file");
        std::fs::write(&rejected, "the old one").expect("a file");
        // Its errors fill the pipe, so that it stands in the middle until they are read.
        let mut command = penstock(&["check", text(&file), "--errors", "--rejected", text(&rejected)]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut out = child.stdout.take().expect("piped");
        let mut first = [0; 1];
        out.read_exact(&mut first).expect("errors");
        let mut opened = OpenOptions::new().write(true).open(&file).expect("a file");
        match change {
            "shorter" => opened.set_len(100_000).expect("cut"),
            _ => {
                opened.seek(SeekFrom::End(0)).expect("its end");
                opened.write_all(b"more,,more\n").expect("written");
            }
        }
        std::io::copy(&mut out, &mut std::io::sink()).expect("read");
        let status = until("the end", || child.try_wait().expect("a child"));
        let said = std::io::read_to_string(child.stderr.take().expect("piped")).expect("text");
        assert_eq!(status.code(), Some(1), "{change}: {said}");
        assert!(said.contains("a.csv changed while it was read: it had ") && said.contains("and has"), "{said}");
        assert_eq!(std::fs::read_to_string(&rejected).expect("the old file"), "the old one", "{change}");
        assert_eq!(names(folder.path()), ["a.csv", "bad.csv"], "{change}");
    }
}

#[test]
fn a_proxy_sees_nothing_of_what_is_on_this_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, SOME_BAD).expect("a file");
    // It takes connections and answers nothing: whoever asks it fails, and is seen.
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    proxy.set_nonblocking(true).expect("it need not wait");
    let url = format!("http://{}", proxy.local_addr().expect("an address"));
    let dev = Dev::start(&[]);
    let service = ["--url", &dev.url, "--token", "local.secret"];
    for more in [&[][..], &service] {
        let mut command = penstock(&[&["import", text(&file)], more].concat());
        for name in ["http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            command.env(name, &url);
        }
        let output = command.output().expect("the command runs");
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(proxy.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it was asked");
    }
}

#[test]
fn json_is_taken_by_every_command_that_prints_a_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, SOME_BAD).expect("a file");
    let dev = Dev::start(&[]);
    let json = |arguments: &[&str]| -> Value {
        let output = dev.run("local.secret", &[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}", stderr(&output)))
    };
    let cost = import_of(&run(&["cost", "--rows", "10", "--json"]));
    assert_eq!((&cost["runs"][0]["name"], &cost["runs"][0]["rows"]), (&json!("new"), &json!(10)));
    let import = json(&["import", text(&file)]);
    let id = import["id"].as_str().expect("an id");
    // A record is JSON anyway.
    let get = ["records", "get", "products", "A"];
    assert_eq!(json(&get), import_of(&dev.run("local.secret", &get)));
    assert_eq!(json(&["kinds", "show", "products"])["name"], "products");
    let template = json(&["kinds", "template", "products"]);
    assert_eq!(template["kind"], "products");
    assert!(template["template"].as_str().is_some_and(|line| line.starts_with("sku,") && !line.contains('\n')));
    let rejected = json(&["rejected", id]);
    let rows = std::fs::read_to_string(format!("{}.rejected.csv", text(&file))).expect("the rows");
    assert_eq!(rejected, json!({ "id": id, "rejected": rows }));

    let config = |arguments: &[&str]| -> Value {
        let output = penstock(arguments).env("XDG_CONFIG_HOME", folder.path()).output().expect("the command runs");
        assert!(!stdout(&output).contains("secret"), "{}", stdout(&output));
        import_of(&output)
    };
    let path = folder.path().join("penstock/config.toml");
    let stored = config(&["login", "--url", &dev.url, "--token", "local.secret", "--json"]);
    assert_eq!(stored, json!({ "profile": "default", "url": dev.url, "key_id": "local", "config": path }));
    let removed = config(&["logout", "--json"]);
    assert_eq!(removed, json!({ "profile": "default", "removed": true, "config": path }));
}

#[test]
fn the_last_admin_key_of_another_account_is_not_revoked_unasked() {
    let dev = Dev::start(&[]);
    let make = |scopes: &str| {
        let output = dev.run("local.secret", &["keys", "create", "--account", "2", "--scopes", scopes, "--json"]);
        import_of(&output)["id"].as_str().expect("an id").to_owned()
    };
    let (admin, reader) = (make("admin"), make("import:read"));
    let revoke = |more: &[&str]| dev.run("local.secret", &[&["keys", "revoke"], more].concat());
    for (more, why) in [
        (&[&*admin][..], "may be the last admin key of another"),
        (&[&admin, "--account", "2"], "is the last admin key of its account"),
        (&[&admin, "--account", "1"], "the account 1 has no key"),
    ] {
        let output = revoke(more);
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{more:?}: {}", stderr(&output));
    }
    let second = make("admin");
    for more in [&[&*admin, "--account", "2"][..], &[&reader, "--account", "2"], &[&second, "--force"]] {
        assert_eq!(revoke(more).status.code(), Some(0), "{more:?}");
    }
}
