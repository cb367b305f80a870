//! Deletes of records: what a client sees of them, that each rule behind them is needed, and that random schedules of
//! imports, deletes and replaces leave the catalogue that one event after the other leaves.

mod api;
mod replaces;
mod rules;
mod schedules;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;

/// What DynamoDB answers to a request about a table, on the wire.
async fn ask_table(stack: &support::Stack, table: &str, operation: &str, mut request: Value) -> Value {
    request["TableName"] = table.into();
    let url = stack.cloud.store().settings().dynamodb_endpoint.clone().expect("the local cloud's");
    let call = support::http::client().post(format!("{url}/"));
    let call = call.header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let call = call.header("content-type", "application/x-amz-json-1.0").body(request.to_string());
    let answer = support::http::send(call).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}
