//! Receivers in Python and Node.js that verify with the libraries that the specification publishes.
//!
//! Where one cannot be run these tests say so and pass, but not where `CI` is `true`: there nothing may be left out.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;
use penstock_webhooks::{Answer, Secret, signature};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::support::{BODY, Names, local};

/// How long a program may take to start.
const START: Duration = Duration::from_secs(120);

/// Says that a receiver is not run.
fn left_out(why: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}, and CI leaves no receiver out");
    println!("NOT RUN: {why}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers")
}

fn python() -> Option<Command> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ci/standardwebhooks/bin/python");
    if !python.exists() {
        left_out("the receiver in Python is not installed: .ci/tool standardwebhooks");
        return None;
    }
    let mut command = Command::new(python);
    command.arg("receiver.py");
    Some(command)
}

fn node(script: &str) -> Option<Command> {
    if !folder().join("node_modules/standardwebhooks").is_dir() {
        left_out("the receiver in Node.js is not installed: npm ci --prefix shared/webhooks/tests/receivers");
        return None;
    }
    let mut command = Command::new("node");
    command.arg(script);
    Some(command)
}

/// A program that receives, and ends with this.
struct Running {
    url: String,
    _child: Child,
}

async fn start(mut command: Command, key: &str) -> Running {
    let command = command.current_dir(folder()).env("WEBHOOK_SECRET", key).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program is installed");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let port = timeout(START, lines.next_line()).await.expect("it starts").expect("it writes").expect("its port");
    Running { url: format!("http://127.0.0.1:{port}/"), _child: child }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970");
    i64::try_from(since.as_secs()).expect("the time fits")
}

async fn answer(receiver: &Running, headers: HeaderMap, body: &'static [u8]) -> Answer {
    let sent = local(Names::default()).send(&receiver.url, headers, Bytes::from_static(body)).await;
    sent.outcome.expect("an answer")
}

/// What one of `secrets` has signed is taken, and nothing else.
async fn verifies(receiver: &Running, secret: &Secret) {
    let other = Secret::random();
    let signed = |secrets: &[&Secret], at| signature::standard(secrets.iter().copied(), "evt_1", at, BODY);
    // While a secret is replaced, both sign, and a receiver has either.
    for secrets in [&[secret][..], &[secret, &other], &[&other, secret]] {
        let taken = answer(receiver, signed(secrets, now()), BODY).await;
        assert_eq!((taken.status, taken.body.as_str()), (200, "import.completed"));
    }
    let strange = answer(receiver, signed(&[&other], now()), BODY).await;
    assert_eq!((strange.status, strange.body.as_str()), (401, "No matching signature found"));
    let altered = answer(receiver, signed(&[secret], now()), b"{\"type\":\"import.failed\"}").await;
    assert_eq!((altered.status, altered.body.as_str()), (401, "No matching signature found"));
}

async fn refuses_old(receiver: &Running, secret: &Secret) {
    let old = answer(receiver, signature::standard([secret], "evt_1", now() - 400, BODY), BODY).await;
    assert_eq!((old.status, old.body.as_str()), (401, "Message timestamp too old"));
    let unsigned = answer(receiver, HeaderMap::new(), BODY).await;
    assert_eq!((unsigned.status, unsigned.body.as_str()), (401, "Missing required headers"));
}

#[tokio::test]
async fn python_verifies_what_is_sent() {
    let Some(command) = python() else { return };
    let secret = Secret::random();
    let receiver = start(command, &secret.expose()).await;
    verifies(&receiver, &secret).await;
    refuses_old(&receiver, &secret).await;
}

#[tokio::test]
async fn node_verifies_what_is_sent() {
    let Some(command) = node("receiver.mjs") else { return };
    let secret = Secret::random();
    let receiver = start(command, &secret.expose()).await;
    verifies(&receiver, &secret).await;
    refuses_old(&receiver, &secret).await;
}

/// The libraries verify `v1` alone. This receiver verifies `v1a` by the ed25519 of Node.js.
#[tokio::test]
async fn node_verifies_ed25519_with_the_public_key() {
    let Some(command) = node("ed25519.mjs") else { return };
    let secret = Secret::random_asymmetric();
    let receiver = start(command, &secret.verifies().expose()).await;
    verifies(&receiver, &secret).await;
}

/// The page for people shows lines of the receivers that are run here.
#[test]
fn the_page_shows_lines_that_are_run() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/api/API.md"));
    let page = page.expect("the page of the API");
    for (language, file) in [("python", "receiver.py"), ("js", "receiver.mjs")] {
        let run = std::fs::read_to_string(folder().join(file)).expect("a receiver");
        let (_, block) = page.split_once(&format!("```{language}\n")).expect("a block");
        let (block, _) = block.split_once("```").expect("its end");
        let shown: Vec<&str> = block.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(shown.len() > 2, "{block}");
        for line in shown {
            assert!(run.lines().any(|run| run.trim() == line), "{file} does not run {line}");
        }
    }
}
