//! Transcripts: requests and the answers that they have to get, written as they go over the wire.
//!
//! Lines with `>` are sent, lines with `<` are expected, `= ended {id}` waits for the end of an import, `= pass 60`
//! lets seconds pass; all else is for the reader. An expected body is JSON, or `...` where it is told elsewhere.
//! `{name}` matches anything the first time, and the same from then on, in requests too.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde_json::Value;

use super::support::{
    Stack,
    http::{Answer, send},
};

/// What the placeholders stand for.
pub(crate) type Names = BTreeMap<String, String>;

/// Placeholders that stand for something already.
pub(crate) fn named(names: &[(&str, &str)]) -> Names {
    names.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Plays a transcript; gives what its placeholders came to stand for.
pub(crate) async fn play(stack: &Stack, transcript: &str) -> Names {
    play_on(stack, transcript, Names::new()).await
}

/// As [`play`], with placeholders that stand for something already.
pub(crate) async fn play_on(stack: &Stack, transcript: &str, mut names: Names) -> Names {
    let mut lines = transcript.lines().map(str::trim).peekable();
    while let Some(line) = lines.peek().copied() {
        if let Some(id) = line.strip_prefix("= ended ") {
            stack.ended(&filled(id, &names)).await;
            lines.next();
        } else if let Some(seconds) = line.strip_prefix("= pass ") {
            stack.pass(Duration::from_secs(seconds.parse().expect("seconds"))).await;
            lines.next();
        } else if line.starts_with('>') {
            let sent: Vec<&str> =
                std::iter::from_fn(|| lines.next_if(|line| line.starts_with('>'))).map(rest).collect();
            let wanted: Vec<&str> =
                std::iter::from_fn(|| lines.next_if(|line| line.starts_with('<'))).map(rest).collect();
            let answer = request(stack, &sent, &names).await;
            expect(&answer, &wanted, &mut names, sent[0]);
        } else {
            lines.next();
        }
    }
    names
}

/// Every answer that a transcript expects: its status, and its body where that is no placeholder.
pub(crate) fn answers(transcript: &str) -> Vec<(u16, Value)> {
    let mut lines = transcript.lines().map(str::trim).peekable();
    let mut answers = Vec::new();
    while let Some(line) = lines.next() {
        let Some(status) = line.strip_prefix('<') else { continue };
        let status = status.trim().parse().expect("a status");
        let rest = std::iter::from_fn(|| lines.next_if(|line| line.starts_with('<'))).map(rest);
        let body: String = rest.skip_while(|line| !line.starts_with('{')).collect();
        answers.push((status, serde_json::from_str(&body).unwrap_or_default()));
    }
    answers
}

fn rest(line: &str) -> &str {
    let line = &line[1..];
    line.strip_prefix(' ').unwrap_or(line)
}

fn filled(text: &str, names: &Names) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

async fn request(stack: &Stack, sent: &[&str], names: &Names) -> Answer {
    let line = sent[0].strip_suffix(" HTTP/1.1").unwrap_or(sent[0]);
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let mut request = stack.request(Method::from_bytes(method.as_bytes()).expect("a method"), &filled(path, names));
    let (mut form, mut chunked) = (false, false);
    let head: Vec<&str> = sent[1..].iter().take_while(|line| !line.is_empty()).copied().collect();
    for line in &head {
        let (name, value) = line.split_once(": ").expect("a header");
        form |= value.starts_with("multipart/form-data");
        if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = true;
        } else {
            request = request.header(name, filled(value, names));
        }
    }
    let body = sent.get(head.len() + 2..).unwrap_or_default();
    let body = filled(&body.join(if form { "\r\n" } else { "\n" }), names);
    if chunked {
        let pieces: Vec<_> =
            body.into_bytes().chunks(10).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        send(request.body(reqwest::Body::wrap_stream(futures::stream::iter(pieces)))).await
    } else {
        send(request.body(body)).await
    }
}

fn expect(answer: &Answer, wanted: &[&str], names: &mut Names, what: &str) {
    let mut wanted = wanted.iter();
    let status = wanted.next().expect("a status is expected");
    assert_eq!(answer.status.to_string(), **status, "{what}: {}", answer.text());
    let mut body = String::new();
    for line in wanted {
        match line.split_once(": ") {
            Some((name, value)) if body.is_empty() && !line.starts_with('{') => {
                let header = answer.header(name).unwrap_or_default().to_owned();
                matches(&Value::from(value), &Value::from(header), names, &format!("{what}: {name}"));
            }
            _ => body.push_str(line),
        }
    }
    if body.is_empty() {
        assert_eq!(answer.text(), "", "{what}");
        return;
    }
    if body == "..." {
        return;
    }
    let wanted: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"));
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(["application/json", "application/problem+json"].contains(&kind), "{what}: {kind}");
    let found: Value = serde_json::from_slice(&answer.body).expect("JSON");
    matches(&wanted, &found, names, what);
}

/// Holds a value to what is wanted.
fn matches(wanted: &Value, found: &Value, names: &mut Names, place: &str) {
    match (wanted, found) {
        (Value::String(text), _) if text.starts_with('{') && text.ends_with('}') => {
            let name = text.trim_matches(['{', '}']).to_owned();
            let shown = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            let known = names.entry(name).or_insert_with(|| shown.clone());
            assert_eq!(*known, shown, "{place}: {text}");
        }
        (Value::Object(wanted), Value::Object(found)) => {
            let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(wanted), keys(found), "{place}");
            for (name, wanted) in wanted {
                matches(wanted, &found[name], names, &format!("{place}/{name}"));
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            assert_eq!(wanted.len(), found.len(), "{place}: {found:?}");
            for (at, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                matches(wanted, found, names, &format!("{place}/{at}"));
            }
        }
        _ => assert_eq!(wanted, found, "{place}"),
    }
}
