//! `penstock listen`: each change of an import once, on a line and by POST.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Stdio,
    sync::mpsc,
};

use penstock_webhooks::{VerifyKey, signature};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{Dev, GOOD, SOME_BAD, folder_with, import_of, penstock, signal, stderr, support::lines::Lines, until};

#[test]
fn every_change_is_printed_and_forwarded_once() {
    let dev = Dev::start(&[]);
    let (_folder, good) = folder_with("good.csv", GOOD);
    let (_folder, bad) = folder_with("some bad.csv", SOME_BAD);
    let import = |file: &str| {
        let output = dev.run("local.secret", &["import", file, "--json"]);
        import_of(&output)["id"].as_str().unwrap_or_else(|| panic!("{}", stderr(&output))).to_owned()
    };
    let before = import(&good);
    // Whoever gets the events: it refuses the first.
    let receiver = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = receiver.local_addr().expect("an address").to_string();
    let (posted, posts) = mpsc::channel::<(HeaderMap, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut statuses = ["500 Internal Server Error"].into_iter().chain(std::iter::repeat("204 No Content"));
        for stream in receiver.incoming() {
            let stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream);
            while let Some((head, length)) = head(&mut reader) {
                assert!(head.starts_with("POST /hooks HTTP/1.1"), "{head}");
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                if posted.send((headers(&head), body)).is_err() {
                    return;
                }
                let answer = format!("HTTP/1.1 {}\r\ncontent-length: 0\r\n\r\n", statuses.next().expect("endless"));
                reader.get_mut().write_all(answer.as_bytes()).expect("written");
            }
        }
    });
    let hook = format!("{address}/hooks");
    let service = ["--url", &dev.url, "--token", "local:secret", "--every", "0.1"];
    let mut child = penstock(&[&["listen", "--json", "--forward-to", &hook][..], &service].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut said = Lines::of(child.stderr.take().expect("piped"));
    let first = said.next().expect("a line");
    assert!(first.starts_with(&format!("listening to the imports of {}", dev.url)), "{first}");
    let told = said.next().expect("a line");
    let key = told.strip_prefix("what is posted is verified with ").expect("the secret").to_owned();
    let (one, two) = (import(&good), import(&bad));
    // Events until both have ended.
    let mut events: Vec<Value> = Vec::new();
    let mut lines = Lines::of(child.stdout.take().expect("piped"));
    let ended = |events: &[Value], id: &str| {
        events.iter().any(|event| event["data"]["import"]["id"] == id && !event["data"]["import"]["rows"].is_null())
    };
    while !(ended(&events, &one) && ended(&events, &two)) {
        let line = lines.next().expect("a line");
        events.push(serde_json::from_str(&line).expect("JSON"));
    }
    for event in &events {
        let status = event["data"]["import"]["status"].as_str().expect("a status");
        assert_eq!(event["type"], format!("import.{status}"));
        // What was over before is no news.
        assert_ne!(event["data"]["import"]["id"], before.as_str(), "{events:#?}");
        assert!(event["id"].as_str().is_some_and(|id| id.starts_with("evt_")), "{event}");
    }
    for id in [&one, &two] {
        let of_one: Vec<&str> = events
            .iter()
            .filter(|event| event["data"]["import"]["id"] == id.as_str())
            .filter_map(|event| event["type"].as_str())
            .collect();
        let mut once = of_one.clone();
        once.dedup();
        assert_eq!(once, of_one, "a status came twice");
        let order = ["import.processing", "import.completed", "import.completed_with_errors"];
        assert!(of_one.is_sorted_by_key(|kind| order.iter().position(|known| known == kind)), "{of_one:?}");
    }
    // Each is posted once, and signed as an endpoint is told it.
    let key: VerifyKey = key.parse().expect("a secret");
    for event in &events {
        let (headers, body) = posts.recv().expect("a post");
        assert_eq!(&serde_json::from_slice::<Value>(&body).expect("JSON"), event);
        assert_eq!(headers["webhook-id"], event["id"].as_str().expect("an id"));
        let at: i64 = headers["webhook-timestamp"].to_str().expect("ASCII").parse().expect("seconds");
        assert_eq!(signature::verify(std::slice::from_ref(&key), &headers, &body, at), Ok(()));
        assert!(signature::verify(std::slice::from_ref(&key), &headers, b"{}", at).is_err());
    }
    // One that was not taken is said.
    let refused = said.next().expect("a line");
    assert!(refused.contains("was not taken") && refused.contains("500"), "{refused}");
    signal(&child, "INT");
    assert_eq!(until("the end", || child.try_wait().expect("a child")).code(), Some(0));
}

/// The head of an HTTP request, and how long its body is.
fn head(reader: &mut impl BufRead) -> Option<(String, usize)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    Some((head, length.unwrap_or(0)))
}

/// The headers of a head.
fn headers(head: &str) -> HeaderMap {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let header = |(name, value): (&str, &str)| {
        let name: HeaderName = name.parse().expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    lines.map(header).collect()
}

/// A secret that is given verifies as well, and is not told by the help.
#[test]
fn a_secret_may_be_given() {
    let dev = Dev::start(&[]);
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let arguments = ["listen", "--forward-to", "127.0.0.1:9", "--url", &dev.url, "--token", "local.secret"];
    let mut command = penstock(&arguments);
    let mut child = command.env("PENSTOCK_WEBHOOK_SECRET", secret).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut said = Lines::of(child.stderr.take().expect("piped"));
    said.next().expect("a line");
    assert_eq!(said.next().as_deref(), Some(&*format!("what is posted is verified with {secret}")));
    signal(&child, "INT");
    assert_eq!(until("the end", || child.try_wait().expect("a child")).code(), Some(0));
    let help = penstock(&["listen", "--help"]).env("PENSTOCK_WEBHOOK_SECRET", secret).output().expect("it runs");
    assert!(!String::from_utf8_lossy(&help.stdout).contains(secret));
}

#[test]
fn a_person_reads_a_line_an_event() {
    let dev = Dev::start(&[]);
    let (_folder, bad) = folder_with("some bad.csv", SOME_BAD);
    let service = ["--url", &dev.url, "--token", "local:secret", "--every", "0.1"];
    let mut child = penstock(&[&["listen"][..], &service].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut said = Lines::of(child.stderr.take().expect("piped"));
    said.next().expect("a line");
    let id = import_of(&dev.run("local.secret", &["import", &bad, "--json"]))["id"].as_str().expect("an id").to_owned();
    let mut lines = Lines::of(child.stdout.take().expect("piped"));
    let last = lines.find(|line| line.contains("completed_with_errors"));
    let last = last.expect("a line");
    assert!(last.contains(&id) && last.contains("3 rows, 2 failed") && last.ends_with("some bad.csv"), "{last}");
    signal(&child, "TERM");
    assert_eq!(until("the end", || child.try_wait().expect("a child")).code(), Some(0));
}

#[test]
fn it_ends_when_its_reader_is_gone() {
    let dev = super::Dev::start(&[]);
    let (_folder, file) = super::folder_with("good.csv", super::GOOD);
    let arguments = ["listen", "--json", "--every", "0.1", "--url", &dev.url, "--token", "local.secret"];
    let mut running = super::Running::start(super::penstock(&arguments));
    running.says("listening to the imports");
    assert_eq!(dev.run("local.secret", &["import", &file]).status.code(), Some(0));
    // As `head -1`: nothing more happens afterwards.
    let out = running.child.stdout.take().expect("piped");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
    assert!(line.contains("\"type\":\"import."), "{line}");
    let (code, printed, _) = running.ends();
    assert_eq!((code, &*printed), (Some(0), ""));
}
