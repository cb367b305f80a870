//! The course of an import: who asked for it, by which client, when it came to each of its stages, and what its rows
//! cost, as an estimate.

use std::time::Duration;

use penstock_client::{Import, NewImport, NewKey};
use penstock_model::{ImportOptions, Mode, Scope, Status, cost, limits};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Stack, TOKEN, files,
    held::{HELD, half_done, held},
    http::send,
    upload,
};

/// A key of account `1` with a label: its id and its token.
async fn labelled(stack: &Stack, label: &str) -> (String, String) {
    let scopes = vec![Scope::ImportRead, Scope::ImportWrite, Scope::RecordDelete, Scope::ImportConfirm];
    let key = NewKey { account: Some("1".into()), scopes, label: Some(label.into()) };
    let key = stack.client.create_key(&key).await.expect("a key is made");
    (key.id, key.token.expect("a token"))
}

/// The name by which an import of this client's key is told.
fn by(key: &str, label: Option<&str>, client: &str, api: &str) -> Value {
    match label {
        Some(label) => json!({ "key": key, "label": label, "client": client, "api": api }),
        None => json!({ "key": key, "client": client, "api": api }),
    }
}

fn shown<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("JSON")
}

async fn show(stack: &Stack, id: &str) -> Import {
    stack.client.import(id).await.expect("there")
}

/// The name of the typed client.
fn client() -> String {
    format!("penstock/{}", env!("CARGO_PKG_VERSION"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_tells_who_created_and_cancelled_it() {
    let stack = Stack::start().await;
    let (key, token) = labelled(&stack, "nightly").await;
    let new = |agent: &str| {
        let request = stack.request(Method::POST, "/v1/imports").bearer_auth(&token).header("user-agent", agent);
        send(request.json(&json!({})))
    };
    let created = new("erp/7 (batch)").await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["created_by"], by(&key, Some("nightly"), "erp/7 (batch)", "native"));
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    // As a list tells it, and with a key that has been revoked since.
    stack.client.revoke_key(&key).await.expect("revoked");
    let listed = stack.client.list(None, 1).await.expect("a page").imports.remove(0);
    assert_eq!(shown(&listed.created_by), created.json()["created_by"]);
    assert_eq!((&listed.cancelled_by, &listed.cost), (&None, &None));
    // Somebody else cancels it, and a repeat by a third one changes nothing.
    stack.client.cancel(&id).await.expect("cancelled");
    let (_, other) = labelled(&stack, "other").await;
    stack.client_of(&other).cancel(&id).await.expect("a repeat");
    let cancelled = show(&stack, &id).await;
    assert_eq!(shown(&cancelled.cancelled_by), by("test", None, &client(), "native"));
    assert_eq!((cancelled.times.halted_at, cancelled.times.uploaded_at), (None, None), "it ended at once");
    // A name without end is cut.
    let (_, token) = labelled(&stack, "").await;
    let request = stack.request(Method::POST, "/v1/imports").bearer_auth(&token);
    let long = send(request.header("user-agent", "x".repeat(limits::CLIENT_CHARS + 50)).json(&json!({}))).await;
    let named = long.json()["created_by"]["client"].as_str().expect("a name").to_owned();
    assert_eq!(named, "x".repeat(limits::CLIENT_CHARS));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_a_dialect_tells_which() {
    let stack = Stack::start().await;
    let post = stack.request(Method::POST, "/v1/products/import").bearer_auth(TOKEN).header("user-agent", "shop/1");
    let created = send(post).await.json();
    let import = show(&stack, created["id"].as_str().expect("an id")).await;
    assert_eq!(shown(&import.created_by), by("test", None, "shop/1", "algure"));
    let rows = json!({ "products": [{ "externalId": "A", "name": "a" }] });
    let post = stack.request(Method::POST, "/api/import/catalog").header("x-api-key", TOKEN);
    let created = send(post.header("user-agent", "shop/2").json(&rows)).await.json();
    let import = show(&stack, created["jobId"].as_str().expect("an id")).await;
    assert_eq!(shown(&import.created_by), by("test", None, "shop/2", "betterdata"));
    stack.stop().await;
}

/// The clock is the test's: what comes later is told as later.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_tells_when_it_came_to_each_of_its_stages() {
    let stack = held().await;
    let created = stack.create(ImportOptions::default()).await;
    assert_eq!(created.times, Default::default());
    stack.pass(Duration::from_secs(600)).await;
    assert_eq!(upload(&created, &files::plain(0, 100, "1")).await, 200);
    stack.cloud.quiet().await;
    stack.cloud.faults().clear();
    let split = show(&stack, &created.id).await;
    assert_eq!((split.status, split.rows.total), (Status::Processing, Some(100)));
    assert!(split.times.split_ended_at.is_some() && split.cost.is_none(), "{split:#?}");
    assert_eq!((&split.times.rows_began_at, &split.times.rows_ended_at), (&None, &None));
    // Some of the ten chunks come within the first half of the time, the others after it.
    stack.pass(HELD / 2).await;
    stack.cloud.quiet().await;
    assert!((1..100).contains(&show(&stack, &created.id).await.rows.processed));
    stack.pass(HELD).await;
    let ended = stack.ended(&created.id).await;
    let times = &ended.times;
    let at = |time: &Option<String>| time.clone().expect("it came to this");
    let course = [
        ended.created_at.clone(),
        at(&times.uploaded_at),
        at(&times.split_ended_at),
        at(&times.rows_began_at),
        at(&times.rows_ended_at),
    ];
    for pair in [0, 2, 3].map(|first| &course[first..=first + 1]) {
        assert!(pair[0] < pair[1], "minutes lie between: {course:?}");
    }
    assert!(times.uploaded_at == times.accepted_at && times.accepted_at <= times.split_began_at, "{times:?}");
    assert!(times.split_began_at <= times.split_ended_at && times.rows_ended_at <= ended.completed_at, "{times:?}");
    assert_eq!((&times.halted_at, &times.confirmed_at), (&None, &None));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_cancelled_while_it_runs_tells_when_and_what_was_done() {
    let stack = held().await;
    let running = half_done(&stack, &files::plain(0, 100, "1"), 100).await;
    stack.client.cancel(&running.id).await.expect("cancelled");
    stack.pass(HELD).await;
    let ended = stack.ended(&running.id).await;
    assert_eq!(ended.status, Status::Cancelled);
    assert_eq!(shown(&ended.cancelled_by), by("test", None, &client(), "native"));
    let (began, halted) = (ended.times.rows_began_at.expect("some"), ended.times.halted_at.expect("it ran"));
    assert!(began <= halted && Some(&began) >= ended.times.split_ended_at.as_ref(), "{began} {halted}");
    let estimate = ended.cost.expect("it has ended");
    assert_eq!(estimate, cost::estimate(&ended.rows, 0, false));
    assert!(estimate.dollars > 0.0 && estimate.dollars < cost::NEW as f64 / 1e4 / 1e4, "{estimate:?}");
    stack.stop().await;
}

/// An upload that waits at the gate was there before it was accepted. Whoever confirms is another than who created.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_waits_and_a_replace_that_is_confirmed_tell_so() {
    let stack = held().await;
    let first = stack.uploaded(&files::plain(0, 20, "1")).await;
    stack.pass(HELD).await;
    assert_eq!(stack.ended(&first.id).await.rows.created, 20);
    let options = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    let replace = stack.create(options).await;
    assert_eq!(upload(&replace, &files::plain(0, 2, "1")).await, 200);
    stack.cloud.quiet().await;
    let waiting = stack.uploaded(&files::plain(0, 20, "1")).await;
    stack.cloud.quiet().await;
    let waits = show(&stack, &waiting.id).await;
    assert_eq!((waits.waiting_for.as_ref(), &waits.times.accepted_at), (Some(&replace.id), &None));
    let uploaded_at = waits.times.uploaded_at.expect("it is there");
    stack.cloud.faults().clear();
    stack.pass(HELD).await;
    let show_replace = async || show(&stack, &replace.id).await;
    stack.passes_until("it is held", async || show_replace().await.status == Status::AwaitingConfirmation).await;
    let accepted = stack.ended(&waiting.id).await;
    assert_eq!(accepted.times.uploaded_at.as_ref(), Some(&uploaded_at));
    assert!(accepted.times.accepted_at > accepted.times.uploaded_at, "{:?}", accepted.times);
    let (key, token) = labelled(&stack, "the boss").await;
    stack.client_of(&token).confirm(&replace.id).await.expect("confirmed");
    stack.pass(HELD).await;
    let ended = stack.ended(&replace.id).await;
    assert_eq!(shown(&ended.created_by), by("test", None, &client(), "native"));
    assert_eq!(shown(&ended.confirmed_by), by(&key, Some("the boss"), &client(), "native"));
    let confirmed_at = ended.times.confirmed_at.expect("it was confirmed");
    assert!(ended.times.rows_ended_at.is_some_and(|rows| rows <= confirmed_at));
    // The waiting import has written 18 of the records since, so that none goes.
    assert_eq!(ended.cost, Some(cost::estimate(&ended.rows, ended.removed, false)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rows_cost_is_estimated_by_what_became_of_them() {
    let stack = Stack::start().await;
    let mut file = files::plain(0, 50, "1");
    file.extend(b"SKU-bad,,Brand,1\n");
    let import = stack.import(&file).await;
    let ten_billionths = 50 * cost::NEW + cost::FAILED;
    let wanted = ten_billionths.div_ceil(10_000) as f64 / 1e6;
    let cost = import.cost.expect("it has ended");
    assert_eq!((cost.dollars, cost.region.as_str(), cost.prices.as_str()), (wanted, cost::REGION, cost::PRICES));
    let again = stack.import(&files::plain(0, 50, "1")).await.cost.expect("it has ended");
    assert!(again.dollars < wanted / 2.0, "rows that change nothing are read alone: {again:?}");
    let options = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let dry = stack.import_as(NewImport { options, ..NewImport::default() }, &files::plain(100, 50, "1")).await;
    assert_eq!((dry.rows.created, dry.cost.expect("it has ended").dollars), (50, again.dollars));
    stack.stop().await;
}
