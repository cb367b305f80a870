//! The local cloud's tables and buckets, as somebody who has all their permissions sees them.

use serde_json::{Value, json};

use super::{Stack, http, storage};

/// What DynamoDB answers to a request about a table, on the wire.
pub async fn ask_table(stack: &Stack, table: &str, operation: &str, mut request: Value) -> Value {
    request["TableName"] = table.into();
    let url = stack.cloud.store().settings().dynamodb_endpoint.clone().expect("the local cloud's");
    let call = http::client().post(format!("{url}/"));
    let call = call.header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let call = call.header("content-type", "application/x-amz-json-1.0").body(request.to_string());
    let answer = http::send(call).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// Puts items into a table. A repeat puts the same ones there.
pub async fn put_items(stack: &Stack, table: &str, items: &[Value]) {
    for some in items.chunks(25) {
        let puts: Vec<_> = some.iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect();
        let answer = ask_table(stack, table, "BatchWriteItem", json!({ "RequestItems": { table: puts } })).await;
        assert_eq!(answer["UnprocessedItems"], json!({}), "{table}");
    }
}

/// Every item of a table.
pub async fn items_of(stack: &Stack, table: &str) -> Vec<Value> {
    let (mut items, mut start) = (Vec::new(), Value::Null);
    loop {
        let request = if start.is_null() { json!({}) } else { json!({ "ExclusiveStartKey": start }) };
        let page = ask_table(stack, table, "Scan", request).await;
        items.extend(page["Items"].as_array().expect("items").iter().cloned());
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return items;
        }
    }
}

/// Every item of the imports table.
pub async fn import_items(stack: &Stack) -> Vec<Value> {
    items_of(stack, &stack.cloud.store().settings().imports_table).await
}

/// Every item of the records table.
pub async fn record_items(stack: &Stack) -> Vec<Value> {
    items_of(stack, &stack.cloud.store().settings().records_table).await
}

/// The text of a key attribute of an item.
pub fn key<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().expect("a text")
}

/// Every version of every object of both buckets, and every unfinished multipart upload, by key.
pub async fn objects(stack: &Stack) -> Vec<(String, String)> {
    let settings = stack.cloud.store().settings();
    let s3 = storage::s3(stack);
    let mut found = Vec::new();
    for bucket in [&settings.uploads_bucket, &settings.results_bucket] {
        let page = s3.list_object_versions().bucket(bucket).prefix("").send().await.expect("S3 lists them");
        assert_ne!(page.is_truncated(), Some(true));
        for version in page.versions() {
            let key = version.key().expect("a key").to_owned();
            found.push((key, version.e_tag().unwrap_or_default().to_owned()));
        }
        let uploads = s3.list_multipart_uploads().bucket(bucket).send().await.expect("S3 lists them");
        found.extend(uploads.uploads().iter().map(|upload| (upload.key().expect("a key").to_owned(), "open".into())));
    }
    found
}
