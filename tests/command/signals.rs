//! Interruptions: what ends, what is left, and what is said.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use penstock_client::Import;
use penstock_model::Status;
use reqwest::Method;

use super::{
    Dev, GOOD, Running, SOME_BAD, descendants, folder_with,
    gate::{Fate, Gate},
    names, penstock, signal as send_signal, stderr, still_there,
    support::{self, Stack, TOKEN, lines::Lines},
    until,
};

#[test]
fn a_signal_ends_an_import_with_its_local_cloud() {
    let rows: String = (0..200_000).map(|row| format!("SKU-{row},Product,Brand\n")).collect();
    let (_folder, file) = folder_with("long.csv", &format!("sku,name,brand\n{rows}"));
    for signal in ["TERM", "INT", "HUP"] {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut child = penstock(&["import", &file])
            .env("TMPDIR", temporary.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut progress = Lines::of(child.stderr.take().expect("piped"));
        while !progress.next().expect("a line").starts_with("processing") {}
        let children = descendants(child.id());
        assert!(!children.is_empty());
        send_signal(&child, signal);
        let rest: Vec<String> = progress.collect();
        let status = until("the end", || child.try_wait().expect("a child"));
        assert_eq!(status.code(), Some(1), "{rest:?}");
        assert!(rest.last().is_some_and(|line| line.contains("interrupted")), "{rest:?}");
        assert_eq!(still_there(&children), [0; 0], "SIG{signal}");
        assert_eq!(std::fs::read_dir(temporary.path()).expect("a folder").count(), 0, "a temporary folder is left");
    }
}

#[test]
fn a_signal_ends_dev_and_all_its_children() {
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    for signal in ["TERM", "INT", "HUP"] {
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
fn who_has_hangups_ignored_is_not_ended_by_one() {
    // As `nohup` does.
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "trap '' HUP; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_penstock"),
        "dev",
        "--listen",
        "127.0.0.1:0",
    ]);
    let mut child = shell.stdout(Stdio::piped()).spawn().expect("a shell");
    let mut lines = Lines::of(child.stdout.take().expect("piped"));
    let first = lines.next().expect("a line");
    let url = first.split_whitespace().last().expect("a URL").to_owned();
    send_signal(&child, "HUP");
    // A process gets its signals in the order of their numbers: what comes after the first has been dealt with comes
    // after it.
    let output = super::run(&["list", "--url", &url, "--token", "local.secret"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    send_signal(&child, "TERM");
    assert_eq!(until("the end", || child.try_wait().expect("a child")).code(), Some(0));
}

#[test]
fn an_interrupted_check_leaves_the_old_file_and_no_other() {
    let (folder, file) = folder_with("a.csv", SOME_BAD);
    let (pipe, rejected) = (folder.path().join("pipe"), folder.path().join("bad.csv"));
    std::fs::write(&rejected, "the old one").expect("a file");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    for signal in ["TERM", "INT", "HUP"] {
        // Its errors fill the pipe that nobody reads, so that it stands in the middle.
        let rows: String = (0..200_000).map(|row| format!("SKU-{row},,brand\n")).collect();
        std::fs::write(&file, format!("sku,name,brand\n{rows}")).expect("a file");
        let mut command = penstock(&["check", &file, "--errors", "--rejected", rejected.to_str().expect("UTF-8")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        assert!(!out.fill_buf().expect("errors").is_empty());
        send_signal(&child, signal);
        let status = until("the end", || child.try_wait().expect("a child"));
        let said = std::io::read_to_string(child.stderr.take().expect("piped")).expect("text");
        assert_eq!((status.code(), &*said), (Some(1), "penstock: interrupted; nothing is written\n"), "SIG{signal}");
        assert_eq!(std::fs::read_to_string(&rejected).expect("the old file"), "the old one");
        assert_eq!(names(folder.path()), ["a.csv", "bad.csv", "pipe"], "SIG{signal}");
    }
}

/// An import of a file through a gate, as far as the gate lets it.
async fn held(stack: &Stack, file: &str, method: Method, path: &'static str, fate: Fate) -> (Gate, Running) {
    let gate = Gate::before(stack.cloud.url()).await;
    gate.rule(method, path, fate);
    let running = Running::start(penstock(&["import", file, "--url", gate.url(), "--token", TOKEN]));
    gate.met(1).await;
    (gate, running)
}

/// Waits until an import's upload has been accepted.
async fn begun(stack: &Stack, id: &str) {
    let is_accepted =
        async || stack.client.import(id).await.expect("the import is there").status != Status::AwaitingUpload;
    support::until("the upload is accepted", is_accepted).await;
}

async fn newest(stack: &Stack) -> Import {
    stack.client.list(None, 1).await.expect("a list").imports.remove(0)
}

/// What an interrupted command said last.
async fn interrupted(running: Running, signal: &str) -> String {
    send_signal(&running.child, signal);
    let (code, printed, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
    assert_eq!((code, &*printed), (Some(1), ""), "SIG{signal}: {said:?}");
    let last = said.last().expect("a line").clone();
    assert!(last.starts_with("penstock: interrupted; "), "SIG{signal}: {said:?}");
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_says_what_is_true_of_the_import() {
    let stack = Stack::start().await;
    let (folder, file) = folder_with("some bad.csv", SOME_BAD);
    for signal in ["INT", "HUP"] {
        // Before the service has said that there is an import.
        let (_gate, running) = held(&stack, &file, Method::POST, "/v1/imports", Fate::HeldBefore).await;
        let said = interrupted(running, signal).await;
        assert!(said.contains("nothing was uploaded"), "{said}");
        assert!(
            stack.client.list(None, 1).await.expect("a list").imports.iter().all(|import| import.status.is_final())
        );

        // While the file is on its way.
        let (gate, running) = held(&stack, &file, Method::PUT, "/", Fate::HeldBefore).await;
        let said = interrupted(running, signal).await;
        let import = newest(&stack).await;
        assert_eq!((import.status, import.rows.processed), (Status::Cancelled, 0));
        assert!(said.contains(&format!("{} is cancelled, and nothing of it was imported", import.id)), "{said}");
        gate.open();

        // When it has arrived, and its import has even ended, but nobody has told the command.
        let (_gate, running) = held(&stack, &file, Method::PUT, "/", Fate::HeldAfter).await;
        let id = newest(&stack).await.id;
        // The gate holds the answer; that the upload has been stored shows in the import alone.
        begun(&stack, &id).await;
        let ended = stack.ended(&id).await;
        assert_eq!(ended.status, Status::CompletedWithErrors);
        let said = interrupted(running, signal).await;
        assert!(said.contains(&format!("{id} has ended: completed_with_errors, 3 rows")), "{said}");

        // While its rows are looked at.
        let (gate, running) = held(&stack, &file, Method::GET, "/v1/imports/", Fate::HeldBefore).await;
        let id = newest(&stack).await.id;
        let said = interrupted(running, signal).await;
        let told = format!("{id} is uploaded and goes on at {}", gate.url());
        let cancel = format!("`penstock cancel {id} --url {}` cancels it", gate.url());
        assert!(said.contains(&told) && said.contains(&cancel) && !said.contains(TOKEN), "{said}");
        assert_eq!(stack.ended(&id).await.status, Status::CompletedWithErrors);
    }
    assert_eq!(names(folder.path()), ["some bad.csv"]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_json_reads_which_import_was_interrupted() {
    let stack = Stack::start().await;
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    for (method, path, status) in [(Method::PUT, "/", "cancelled"), (Method::GET, "/v1/imports/", "awaiting_upload")] {
        let gate = Gate::before(stack.cloud.url()).await;
        gate.rule(method, path, Fate::HeldBefore);
        let running = Running::start(penstock(&["import", &file, "--json", "--url", gate.url(), "--token", TOKEN]));
        gate.met(1).await;
        let id = newest(&stack).await.id;
        send_signal(&running.child, "INT");
        let (code, printed, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
        let line: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(
            (code, &line["file"], &line["id"]),
            (Some(1), &file.as_str().into(), &id.as_str().into()),
            "{said:?}"
        );
        // As it was last seen, without the URL that takes its file.
        let import = &line["import"];
        assert_eq!((&import["id"], &import["status"]), (&line["id"], &status.into()), "{printed}");
        assert!(!printed.contains("Signature"), "{printed}");
        assert!(line["error"].as_str().is_some_and(|error| error.starts_with("interrupted; ")), "{printed}");
        gate.open();
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_are_saved_before_an_interruption_is_obeyed() {
    let stack = Stack::start().await;
    let (folder, file) = folder_with("some bad.csv", SOME_BAD);
    let second = folder.path().join("second.csv");
    std::fs::write(&second, GOOD).expect("a file");
    for times in [1, 2] {
        let gate = Gate::before(stack.cloud.url()).await;
        gate.rule(Method::GET, "/rejected", Fate::HeldBefore);
        let files = [file.as_str(), second.to_str().expect("UTF-8")];
        let service = ["--url", gate.url(), "--token", TOKEN];
        let mut running = Running::start(penstock(&[&["import"][..], &files, &service].concat()));
        gate.met(1).await;
        let id = newest(&stack).await.id;
        send_signal(&running.child, "INT");
        running.says("its rejected rows are being saved");
        if times == 2 {
            send_signal(&running.child, "INT");
        } else {
            gate.open();
        }
        let (code, printed, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
        // One file's rows are there or not; the other's import was not begun.
        assert_eq!(code, Some(1), "{said:?}");
        assert!(printed.contains("second.csv  not begun"), "{printed}");
        assert_eq!(newest(&stack).await.id, id);
        let rejected = format!("{file}.rejected.csv");
        if times == 2 {
            assert!(printed.contains(&format!("{id} has ended, its rejected rows are not saved")), "{printed}");
            assert_eq!(names(folder.path()), ["second.csv", "some bad.csv"]);
        } else {
            assert!(std::fs::read_to_string(&rejected).expect("the rejected rows").contains(",B,b\n"));
            std::fs::remove_file(&rejected).expect("removed");
        }
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_out_of_reach_for_a_moment_is_asked_again() {
    let stack = Stack::start().await;
    let (_folder, file) = folder_with("good.csv", GOOD);
    let gate = Gate::before(stack.cloud.url()).await;
    gate.rule(Method::GET, "/v1/imports/", Fate::Answered(503, 3));
    let running = Running::start(penstock(&["import", &file, "--url", gate.url(), "--token", TOKEN]));
    let (code, printed, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
    assert_eq!(code, Some(0), "{said:?}");
    assert!(said.iter().filter(|line| line.contains("503") && line.contains("trying again")).count() == 1, "{said:?}");
    assert!(printed.contains("2 rows: 2 created"), "{printed}");
    // An upload is not lost because the answer to it is.
    let (gate, running) = held(&stack, &file, Method::PUT, "/", Fate::LostAfter).await;
    let id = newest(&stack).await.id;
    begun(&stack, &id).await;
    gate.open();
    let (code, printed, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
    assert!(said.iter().any(|line| line.contains("502") && line.contains("has arrived all the same")), "{said:?}");
    assert!(printed.contains("2 unchanged"), "{printed}");
    assert_eq!((code, stack.ended(&id).await.status), (Some(0), Status::Completed));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_cancelled_without_an_answer_did_not_arrive() {
    let stack = Stack::start().await;
    let (_folder, file) = folder_with("good.csv", GOOD);
    let (gate, running) = held(&stack, &file, Method::PUT, "/", Fate::HeldBefore).await;
    // The service cancels it, and its answer is lost.
    gate.rule(Method::POST, "/cancel", Fate::LostAfter);
    send_signal(&running.child, "INT");
    let id = newest(&stack).await.id;
    let is_cancelled = async || stack.client.import(&id).await.expect("is there").status == Status::Cancelled;
    support::until("it is cancelled", is_cancelled).await;
    gate.open();
    let (code, printed, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
    assert_eq!((code, &*printed), (Some(1), ""), "{said:?}");
    let truth = format!("the upload broke off: {id} is cancelled, and nothing of it was imported");
    assert!(said.last().is_some_and(|line| line.contains(&truth)), "{said:?}");
    stack.stop().await;
}
