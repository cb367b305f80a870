//! Caps: an account's unfinished imports, and its bytes a day. Over them each API answers 429, in its own form, and
//! says why and until when; nobody else is concerned, and nothing counts twice.

use std::time::Duration;

use penstock_client::NewImport;
use penstock_model::Status;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{self, OTHER_TOKEN, Stack, TOKEN, files, http, upload};

async fn with(name: &str, value: &str) -> Stack {
    Stack::with(|options| options.environment.push((name.to_owned(), value.to_owned()))).await
}

/// A request for an import at each API, and where its answer holds the code of an error.
fn creations(stack: &Stack) -> Vec<(&'static str, RequestBuilder)> {
    let bearer = |path: &str| stack.request(Method::POST, path).bearer_auth(TOKEN);
    let form = |request: RequestBuilder, kind: &str, file: &'static str| {
        let file = reqwest::multipart::Part::text(file).file_name("file.csv");
        request.multipart(reqwest::multipart::Form::new().text("type", kind.to_owned()).part("file", file))
    };
    let contacts = stack.request(Method::POST, "/imports").header("authorization", format!("apiKey {TOKEN}"));
    let rows = stack.request(Method::POST, "/api/import/catalog").header("x-api-key", TOKEN);
    vec![
        ("native", bearer("/v1/imports").json(&json!({ "kind": "products" }))),
        ("algure", bearer("/v1/products/import")),
        ("productsmanager", form(bearer("/api/v1/imports"), "", "ean,title\n4006381333931,Pen\n")),
        ("betterdata", rows.json(&json!({ "products": [{ "externalId": "P-1" }] }))),
        ("connectif", form(contacts, "contacts", "_email\na@example.org\n")),
        (
            "quotiza",
            bearer("/api/v1/products/import").json(&json!({
            "account_id": "1", "products": [{ "sku": "A", "name": "a", "cost": 1 }] })),
        ),
    ]
}

/// Each API refuses a further import, in the form of its errors.
async fn refused_everywhere(stack: &Stack, code: &str, most_seconds: u64) {
    for (api, request) in creations(stack) {
        let answer = http::send(request).await;
        assert_eq!(answer.status, 429, "{api}: {}", answer.text());
        let seconds: u64 = answer.header("retry-after").expect("a time").parse().expect("seconds");
        assert!((1..=most_seconds).contains(&seconds), "{api}: {seconds}");
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        match api {
            "native" => assert_eq!(answer.problem().1, code),
            "quotiza" => assert!(!body.to_string().contains("job_id"), "{body}"),
            _ => assert!(body.to_string().contains("account has"), "{api}: {body}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_so_many_unfinished_imports_and_no_more() {
    let stack = with("PENSTOCK_ACCOUNT_IMPORTS", "2").await;
    let new = NewImport::default();
    let first = stack.client.create(&new, Some("again")).await.expect("the first");
    assert_eq!(stack.client.create(&new, Some("again")).await.expect("the same").id, first.id);
    let second = stack.client.create(&new, None).await.expect("the second: a repeat does not count twice");
    refused_everywhere(&stack, "too_many_imports", 60).await;
    assert_eq!(stack.client.create(&new, Some("again")).await.expect("it is still the first").id, first.id);
    // Another account has its own.
    stack.client_of(OTHER_TOKEN).create(&new, None).await.expect("another's");
    // One that is cancelled, and one that is done, make room.
    stack.client.cancel(&first.id).await.expect("cancelled");
    let third = stack.client.create(&new, None).await.expect("the third");
    assert_eq!(support::refused(stack.client.create(&new, None).await), (429, "too_many_imports".to_owned()));
    assert_eq!(upload(&second, &files::plain(0, 10, "1")).await, 200);
    assert_eq!(stack.ended(&second.id).await.status, Status::Completed);
    stack.client.create(&new, None).await.expect("the fourth");
    assert_eq!(stack.client.import(&third.id).await.expect("there").status, Status::AwaitingUpload);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_uploads_so_many_bytes_a_day_and_no_more() {
    let file = files::plain(0, 100, "1");
    let most = (file.len() * 2).to_string();
    let stack = with("PENSTOCK_ACCOUNT_DAY_BYTES", &most).await;
    let import = stack.import(&file).await;
    assert_eq!(import.status, Status::Completed);
    let sized = |bytes: usize| NewImport { size: Some(bytes as u64), ..NewImport::default() };
    let refused = stack.client.create(&sized(file.len() + 1), None).await;
    assert_eq!(support::refused(refused), (429, "too_many_bytes".to_owned()));
    let second = stack.client.create(&sized(file.len()), None).await.expect("it fits");
    assert_eq!(upload(&second, &file).await, 200);
    assert_eq!(stack.ended(&second.id).await.status, Status::Completed);
    refused_everywhere(&stack, "too_many_bytes", 86_400).await;
    stack.client_of(OTHER_TOKEN).create(&NewImport::default(), None).await.expect("another's");
    stack.pass(Duration::from_secs(24 * 3600)).await;
    stack.client.create(&sized(file.len()), None).await.expect("the next day");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_reads_no_import_and_no_import_that_has_ended_takes_a_place() {
    let stack = Stack::with(|options| {
        options.proxy = true;
        options.environment.push(("PENSTOCK_ACCOUNT_IMPORTS".into(), "3".into()));
    })
    .await;
    let new = NewImport::default();
    let mut imports = Vec::new();
    for _ in 0..3 {
        imports.push(stack.client.create(&new, None).await.expect("there is a place"));
    }
    let before = stack.cloud.usage();
    assert_eq!(support::refused(stack.client.create(&new, None).await), (429, "too_many_imports".to_owned()));
    let used = stack.cloud.usage().since(&before);
    assert!(used.of_service("dynamodb").requests > 0);
    assert_eq!(used.total(|operation| operation.name == "BatchGetItem").requests, 0);
    assert!(used.of_service("dynamodb").requests <= 8, "{used:?}");
    // However one ends, its place is free at once: deleted, expired, cancelled.
    stack.client.delete(&imports[0].id).await.expect("deleted");
    stack.pass(Duration::from_secs(40 * 60)).await;
    assert_eq!(stack.ended(&imports[1].id).await.status, Status::Expired);
    for _ in 0..3 {
        let again = stack.client.create(&new, None).await.expect("there is a place");
        stack.client.cancel(&again.id).await.expect("cancelled");
    }
    stack.stop().await;
}
