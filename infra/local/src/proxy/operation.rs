//! What a request asks for, told from outside.

use http::{Method, Request};
use serde_json::Value;

use super::Service;

/// The operation's name: from the target header, or for S3 from method, path and query.
pub(super) fn name<B>(service: Service, request: &Request<B>) -> String {
    if service != Service::S3 {
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let path = request.uri().path().trim_start_matches('/');
    let on_object = path.split_once('/').is_some_and(|(_, key)| !key.is_empty());
    let query = request.uri().query().unwrap_or_default();
    let has = |wanted: &str| query.split('&').any(|pair| pair.split('=').next() == Some(wanted));
    let name = match (request.method(), on_object) {
        (&Method::GET, true) if has("uploadId") => "ListParts",
        (&Method::GET, true) => "GetObject",
        (&Method::HEAD, true) => "HeadObject",
        (&Method::PUT, true) if has("partNumber") => "UploadPart",
        (&Method::PUT, true) if copied(request).is_some() => "CopyObject",
        (&Method::PUT, true) => "PutObject",
        (&Method::DELETE, true) if has("uploadId") => "AbortMultipartUpload",
        (&Method::DELETE, true) => "DeleteObject",
        (&Method::POST, true) if has("uploads") => "CreateMultipartUpload",
        (&Method::POST, true) => "CompleteMultipartUpload",
        (&Method::GET, false) if has("uploads") => "ListMultipartUploads",
        (&Method::GET, false) if has("versions") => "ListObjectVersions",
        (&Method::GET, false) => "ListObjectsV2",
        (&Method::HEAD, false) => "HeadBucket",
        (&Method::POST, false) if has("delete") => "DeleteObjects",
        (&Method::POST, false) => "PostObject",
        _ => "other",
    };
    name.to_owned()
}

/// What a request has S3 copy, as its header names it: bucket and key, and behind a question mark the version.
pub(super) fn copied<B>(request: &Request<B>) -> Option<&str> {
    request.headers().get("x-amz-copy-source")?.to_str().ok()
}

/// How many members a batch or transaction has.
pub(super) fn members(operation: &str, request: &Value) -> Option<u64> {
    let length = |value: &Value| value.as_array().map_or(0, Vec::len);
    let by_table = |field: &str, items: fn(&Value) -> &Value| {
        let tables = request[field].as_object()?;
        Some(tables.values().map(|table| length(items(table))).sum::<usize>())
    };
    let members = match operation {
        "BatchExecuteStatement" => length(&request["Statements"]),
        "ExecuteTransaction" => length(&request["TransactStatements"]),
        "TransactWriteItems" | "TransactGetItems" => length(&request["TransactItems"]),
        "BatchGetItem" => by_table("RequestItems", |table| &table["Keys"])?,
        "BatchWriteItem" => by_table("RequestItems", |table| table)?,
        "SendMessageBatch" | "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" => length(&request["Entries"]),
        _ => return None,
    };
    u64::try_from(members).ok()
}

/// Whether an operation of DynamoDB may change something.
pub(super) fn writes(operation: &str) -> bool {
    matches!(
        operation,
        "BatchExecuteStatement" | "BatchWriteItem" | "DeleteItem" | "PutItem" | "TransactWriteItems" | "UpdateItem"
    )
}

/// Whether DynamoDB may answer a read from a replica that has not caught up.
pub(super) fn may_be_stale(operation: &str, request: &Value) -> bool {
    let consistent = |value: &Value| value["ConsistentRead"].as_bool().unwrap_or(false);
    match operation {
        "GetItem" | "Query" | "Scan" => !consistent(request),
        "BatchGetItem" => request["RequestItems"].as_object().is_some_and(|tables| !tables.values().any(consistent)),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_are_known_by_their_requests() {
        let s3 =
            |method: &str, uri: &str| name(Service::S3, &Request::builder().method(method).uri(uri).body(()).unwrap());
        assert_eq!(s3("PUT", "/uploads/uploads/x?X-Amz-Expires=1"), "PutObject");
        assert_eq!(s3("GET", "/uploads/uploads/x?versionId=1"), "GetObject");
        assert_eq!(s3("GET", "/uploads?list-type=2"), "ListObjectsV2");
        assert_eq!(s3("POST", "/uploads/x?uploads="), "CreateMultipartUpload");
        assert_eq!(s3("GET", "/uploads?uploads="), "ListMultipartUploads");
        assert_eq!(s3("GET", "/uploads?versions=&prefix=uploads%2Fx"), "ListObjectVersions");
        let request = Request::builder().header("x-amz-target", "DynamoDB_20120810.GetItem").body(()).unwrap();
        assert_eq!(name(Service::DynamoDb, &request), "GetItem");
    }

    #[test]
    fn only_reads_that_do_not_ask_for_consistency_may_be_stale() {
        assert!(may_be_stale("GetItem", &json!({ "TableName": "t" })));
        assert!(!may_be_stale("GetItem", &json!({ "TableName": "t", "ConsistentRead": true })));
        assert!(!may_be_stale(
            "BatchGetItem",
            &json!({ "RequestItems": { "t": { "Keys": [], "ConsistentRead": true } } })
        ));
        assert!(!may_be_stale("UpdateItem", &json!({})));
    }

    #[test]
    fn members_of_batches_are_counted() {
        assert_eq!(members("BatchExecuteStatement", &json!({ "Statements": [{}, {}] })), Some(2));
        assert_eq!(
            members("BatchGetItem", &json!({ "RequestItems": { "a": { "Keys": [1, 2] }, "b": { "Keys": [3] } } })),
            Some(3)
        );
        assert_eq!(members("GetItem", &json!({})), None);
    }
}
