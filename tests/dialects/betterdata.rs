//! Better Data: six endpoints, an array each; a job and its status.

use penstock_model::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    crowd::{Caller, Ended, ROWS},
    documents::{Body, Document, ErrorForm},
    key,
    support::{Stack, TOKEN, http::send},
    transcript::{named, play, play_on},
};

pub(crate) static DOCUMENT: Document = Document {
    dialect: "betterdata",
    tests: include_str!("betterdata.rs"),
    form: ErrorForm { code: None, message: "/error", status: None },
    path: "/api/import/status/imp_x",
    upload: Some(("/api/import/catalog", Body::Json)),
    refusals: &[
        (400, "the body is not valid JSON"),
        (400, "products[] is required"),
        (400, "levels[] is required"),
        (400, "suppliers[] is required"),
        (400, "purchaseOrders[] is required"),
        (400, "orders[] is required"),
        (400, "records[] is required"),
        (401, "the API key is missing or wrong"),
        (403, "the API key lacks the scope import:read"),
        (403, "the API key lacks the scope import:write"),
        (404, "Job not found"),
        (404, "there is nothing at this path"),
        (405, "this path does not take this method"),
        (413, "the body is larger than 10485760 bytes, the most that is taken"),
    ],
    client: |caller| Box::pin(client(caller)),
};

#[tokio::test(flavor = "multi_thread")]
async fn six_sorts_of_rows_are_imported_with_their_defaults() {
    let stack = Stack::start().await;
    play(&stack, include_str!("betterdata/imports.txt")).await;
    let fields = async |kind: &str, key: &str| {
        let record = stack.client.record(kind, key).await.expect("answers");
        record.unwrap_or_else(|| panic!("{kind}/{key} is there"))["fields"].clone()
    };
    let shown = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    for (kind, key, wanted) in [
        ("catalog", "P-1", r#"{"externalId":"P-1","name":"P-1"}"#),
        ("catalog", "P-2", r#"{"externalId":"P-2","name":"Tea","origin":{"country":"LK"}}"#),
        ("suppliers", "S-1", r#"{"externalId":"S-1","name":"Leaves Ltd"}"#),
        (
            "purchase-orders",
            "PO-1",
            r#"{"externalPoNumber":"PO-1","supplierId":"S-1","destinationLocationId":"L1","status":"PENDING",
                "lines":[{"skuId":"P-1","quantity":2,"unitCost":1.1},{"skuId":"P-2","quantity":1,"unitCost":0.5}]}"#,
        ),
        ("orders", "O-1", r#"{"externalOrderId":"O-1","lines":[{"skuId":"P-1","quantity":3,"locationId":"L1"}]}"#),
        (
            "demand-history",
            "P-1,L1,2026-W05,ALL",
            // The second row is of the same week: Sunday, the first of February.
            r#"{"skuId":"P-1","locationId":"L1","weekStarting":"2026-02-01","week":"2026-W05","channel":"ALL","actualDemand":9,
                "forecastedDemand":8}"#,
        ),
        (
            "demand-history",
            "P-1,L1,2026-W06,WEB",
            r#"{"skuId":"P-1","locationId":"L1","weekStarting":"2026-02-02","week":"2026-W06","channel":"WEB","actualDemand":0,
                "forecastedDemand":0}"#,
        ),
    ] {
        assert_eq!(fields(kind, key).await, shown(wanted), "{kind}/{key}");
    }
    // The account goes before a location, and no digit of a number is lost.
    let level = stack.client.record("inventory", "P-1,1-L1").await.expect("answers").expect("there");
    assert_eq!(level["fields"]["locationId"], "1-L1");
    let level = stack.get("/v1/records/inventory/P-1%2C1-L1").await;
    assert!(level.text().contains("\"quantityOnHand\":12345678901234567890.123456789"), "{}", level.text());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_is_checked_before_anything_else() {
    let stack = Stack::start().await;
    let (reader, writer) = (key(&stack, &[Scope::ImportRead]).await, key(&stack, &[Scope::ImportWrite]).await);
    let large = "x".repeat(10 * 1024 * 1024 + 1);
    let deep = "[".repeat(127) + &"]".repeat(127);
    let names = named(&[("reader", &reader), ("writer", &writer), ("a byte too many", &large), ("too deep", &deep)]);
    play_on(&stack, include_str!("betterdata/refusals.txt"), names).await;
    // Nothing of this is an import.
    assert_eq!(stack.get("/v1/imports").await.json()["imports"], json!([]));
    stack.stop().await;
}

/// `errors[]` shows the first thousand of what is wrong with the rows of a job, in their order.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_shows_the_first_thousand_errors() {
    let stack = Stack::with(|options| options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "300".into()))).await;
    // Two errors in each row.
    let rows: Vec<Value> = (0..1_500).map(|_| json!({ "quantityOnHand": "many", "locationId": "L" })).collect();
    let request = stack.request(Method::POST, "/api/import/inventory").header("x-api-key", TOKEN);
    let job = send(request.json(&json!({ "levels": rows }))).await;
    assert_eq!((job.status, &job.json()["rowCount"]), (202, &json!(1_500)));
    let id = job.json()["jobId"].as_str().expect("an id").to_owned();
    stack.ended(&id).await;
    let status = stack.get(&format!("/api/import/status/{id}")).await.json();
    assert_eq!((&status["rowCount"], &status["failedCount"]), (&json!(1_500), &json!(1_500)));
    let errors = status["errors"].as_array().expect("errors");
    let rows: Vec<u64> = errors.iter().map(|error| error["row"].as_u64().expect("a row")).collect();
    assert_eq!(rows, (1..=500).flat_map(|row| [row, row]).collect::<Vec<_>>());
    stack.stop().await;
}

/// One account's client in the crowd: rows of which the last lacks its id.
async fn client(caller: &Caller<'_>) -> Ended {
    let credential = || ("x-api-key", caller.token.to_owned());
    let mut rows: Vec<Value> =
        (1..=ROWS).map(|row| json!({ "externalId": format!("A-{row}"), "name": caller.says() })).collect();
    rows.push(json!({ "name": "no id" }));
    let created = caller.ask(Method::POST, "/api/import/catalog", credential()).json(&json!({ "products": rows }));
    let created = send(created).await.json();
    let id = created["jobId"].as_str().expect("an id");
    let path = format!("/api/import/status/{id}");
    let status = caller.ended(id, &path, credential(), &["COMPLETED", "FAILED"]).await;
    assert_eq!((&status["processedCount"], &status["failedCount"]), (&json!(ROWS + 1), &json!(1)), "{status}");
    Ended { path, imports: 1, record: ("catalog", "A-1", "name") }
}
