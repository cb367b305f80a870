//! Nobody has to guess when to ask again.

use futures::{StreamExt, stream::FuturesUnordered};
use penstock_model::{ImportOptions, Status, limits};
use serde_json::Value;

use crate::support::{
    Stack,
    held::{HELD, held},
};

/// All but one of five waits are there at once. The fifth is answered although nothing has changed, the others by what
/// changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_too_many_is_answered_at_once() {
    let stack = Stack::start().await;
    let id = stack.create(ImportOptions::default()).await.id;
    let path = format!("/v1/imports/{id}?wait={}", limits::WAIT_SECONDS);
    let mut waits: FuturesUnordered<_> = (0..=limits::WAITS).map(|_| stack.get(&path)).collect();
    let first = waits.next().await.expect("an answer").json();
    assert_eq!(first["status"], "awaiting_upload");
    stack.client.cancel(&id).await.expect("is cancelled");
    let rest: Vec<Value> = waits.map(|answer| answer.json()["status"].clone()).collect().await;
    assert_eq!(rest, vec![Value::from("cancelled"); limits::WAITS as usize]);
    stack.stop().await;
}

/// An import has ended and its rejected rows are not written yet: every answer says when to ask again. Then they are
/// there, and no answer says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_final_status_has_its_rejected_rows_or_says_when() {
    let stack = held().await;
    let import = stack.uploaded(b"sku,name,brand\nA,a,b\n,a,b\n").await;
    let path = format!("/v1/imports/{}", import.id);
    // Its chunk, and then the order to write its rejected rows, are held back.
    stack.cloud.quiet().await;
    stack.pass(HELD).await;
    stack.cloud.quiet().await;
    let ended = stack.get(&path).await;
    assert_eq!(
        (ended.json()["status"].as_str(), &ended.json()["rejected"]),
        (Some("completed_with_errors"), &Value::Null)
    );
    assert_eq!(ended.header("retry-after"), Some("1"));
    let rejected = stack.get(&format!("{path}/rejected")).await;
    assert_eq!((rejected.refusal(), rejected.header("retry-after")), ((409, "not_ready".to_owned()), Some("1")));
    stack.pass(HELD).await;
    assert_eq!(stack.ended(&import.id).await.status, Status::CompletedWithErrors);
    let ended = stack.get(&path).await;
    assert_eq!((&ended.json()["rejected"]["rows"], ended.header("retry-after")), (&Value::from(1), None));
    assert_eq!(stack.get(&format!("{path}/rejected")).await.status, 303);
    stack.stop().await;
}
