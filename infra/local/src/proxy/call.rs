//! Calls in the terms of IAM (function, action, resource), so that policies can be compared with them.
//!
//! Each function signs with an access key of its own; the actions are those that the Service Authorization Reference
//! asks for: a transaction is allowed by what is in it, a batch of statements by its statements, a HEAD by
//! `s3:GetObject`, every step of a multipart upload but listing it and giving it up by `s3:PutObject`, and a batch of
//! messages by `sqs:SendMessage`.

use http::Request;
use serde_json::Value;

use super::Service;

/// A call that a function has made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The function whose credentials signed it: also what is presigned. `api` is also the local cloud's own process.
    pub function: String,
    /// The action, such as `dynamodb:GetItem`.
    pub action: String,
    /// What it acts on: `table`, `table/index/name`, `bucket`, `bucket/prefix`, or the name of a queue or a bus.
    pub resource: String,
}

/// The access key id of a function's processes.
pub(crate) fn access_key_id(function: &str) -> String {
    format!("{PREFIX}{}", function.to_ascii_uppercase())
}

const PREFIX: &str = "AKIALOCAL";

/// Whose key a request was signed with, by its header or its URL; `None` for a form, which says it in its body.
pub(super) fn function<B>(request: &Request<B>) -> Option<String> {
    let header = request.headers().get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let signed = header.or(request.uri().query())?;
    let key = signed.split_once(PREFIX)?.1;
    let key = &key[..key.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(key.len())];
    Some(key.to_ascii_lowercase())
}

/// The actions and resources of a request to DynamoDB, SQS or EventBridge.
pub(super) fn of_json(service: Service, operation: &str, request: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if service == Service::Sqs {
        let queue = text(&request["QueueUrl"]).rsplit('/').next().unwrap_or_default().to_owned();
        return vec![(format!("sqs:{}", operation.trim_end_matches("Batch")), queue)];
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if service == Service::EventBridge {
        let entries = list(&request["Entries"]);
        return entries.iter().map(|entry| (format!("events:{operation}"), text(&entry["EventBusName"]))).collect();
    }
    match operation {
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = request["RequestItems"].as_object().map(|tables| tables.keys().cloned().collect());
            let tables: Vec<String> = tables.unwrap_or_default();
            tables.into_iter().map(|table| (format!("dynamodb:{operation}"), table)).collect()
        }
        "TransactWriteItems" => {
            let items = list(&request["TransactItems"]);
            let of = |item: &Value| -> Option<(String, String)> {
                let (name, action) = item.as_object()?.iter().find(|(_, action)| action.is_object())?;
                let name = if name == "ConditionCheck" { "ConditionCheck" } else { name };
                Some((format!("dynamodb:{name}Item"), text(&action["TableName"])))
            };
            items.iter().filter_map(of).collect()
        }
        "BatchExecuteStatement" => {
            let of = |statement: &Value| {
                let statement = text(&statement["Statement"]);
                let mut words = statement.split_whitespace();
                let action = match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                    "INSERT" => "PartiQLInsert",
                    "UPDATE" => "PartiQLUpdate",
                    "DELETE" => "PartiQLDelete",
                    _ => "PartiQLSelect",
                };
                let table = statement.split('"').nth(1).unwrap_or_default().to_owned();
                (format!("dynamodb:{action}"), table)
            };
            list(&request["Statements"]).iter().map(of).collect()
        }
        _ => {
            let index = request["IndexName"].as_str().map(|index| format!("/index/{index}")).unwrap_or_default();
            vec![(format!("dynamodb:{operation}"), text(&request["TableName"]) + &index)]
        }
    }
}

/// The action and resource of a request to S3. One that finds nothing needs `s3:ListBucket` to be told so.
pub(super) fn of_s3(operation: &str, path: &str, query: &str, found: bool) -> Vec<(String, String)> {
    let path = path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let prefix = key.split_once('/').map_or(key, |(prefix, _)| prefix);
    let versioned = query.split('&').any(|pair| pair.starts_with("versionId="));
    let action = match operation {
        "GetObject" | "HeadObject" if versioned => "GetObjectVersion",
        "GetObject" | "HeadObject" => "GetObject",
        "AbortMultipartUpload" => "AbortMultipartUpload",
        "DeleteObject" if versioned => "DeleteObjectVersion",
        "DeleteObject" => "DeleteObject",
        "ListParts" => "ListMultipartUploadParts",
        "ListObjectsV2" | "HeadBucket" => return vec![("s3:ListBucket".to_owned(), bucket.to_owned())],
        "ListObjectVersions" => return vec![("s3:ListBucketVersions".to_owned(), bucket.to_owned())],
        "ListMultipartUploads" => return vec![("s3:ListBucketMultipartUploads".to_owned(), bucket.to_owned())],
        _ => "PutObject",
    };
    let mut calls = vec![(format!("s3:{action}"), format!("{bucket}/{prefix}"))];
    if !found && action.starts_with("GetObject") {
        calls.push(("s3:ListBucket".to_owned(), bucket.to_owned()));
    }
    calls
}

/// The same of a copy: what it reads, and what it writes.
pub(super) fn of_copy(source: &str, path: &str, found: bool) -> Vec<(String, String)> {
    let (from, version) = source.split_once('?').unwrap_or((source, ""));
    let mut calls = of_s3("GetObject", from, version, found);
    calls.extend(of_s3("PutObject", path, "", true));
    calls
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_known_by_its_key() {
        let key = access_key_id("split");
        let signed = format!("AWS4-HMAC-SHA256 Credential={key}/20261121/local/s3/aws4_request, SignedHeaders=host");
        let request = Request::builder().header("authorization", signed).body(()).unwrap();
        assert_eq!(function(&request).as_deref(), Some("split"));
        let uri = format!("/b/k?X-Amz-Credential={key}%2F20261121&X-Amz-Expires=1");
        assert_eq!(function(&Request::builder().uri(uri).body(()).unwrap()).as_deref(), Some("split"));
        assert_eq!(function(&Request::builder().uri("/b").body(()).unwrap()), None);
    }

    #[test]
    fn what_is_inside_is_what_must_be_allowed() {
        let pair = |action: &str, resource: &str| (action.to_owned(), resource.to_owned());
        let statements = json!({ "Statements": [{ "Statement": "INSERT INTO \"t\" VALUE {'pk': ?}" }] });
        let calls = of_json(Service::DynamoDb, "BatchExecuteStatement", &statements);
        assert_eq!(calls, [pair("dynamodb:PartiQLInsert", "t")]);
        let transaction =
            json!({ "TransactItems": [{ "Put": { "TableName": "t" } }, { "Update": { "TableName": "u" } }] });
        let calls = of_json(Service::DynamoDb, "TransactWriteItems", &transaction);
        assert_eq!(calls, [pair("dynamodb:PutItem", "t"), pair("dynamodb:UpdateItem", "u")]);
        let query = json!({ "TableName": "t", "IndexName": "due" });
        assert_eq!(of_json(Service::DynamoDb, "Query", &query), [pair("dynamodb:Query", "t/index/due")]);
        let put = json!({ "Entries": [{ "EventBusName": "penstock", "Source": "penstock" }] });
        assert_eq!(of_json(Service::EventBridge, "PutEvents", &put), [pair("events:PutEvents", "penstock")]);
        let send = json!({ "QueueUrl": "http://127.0.0.1:1/000000000000/chunks" });
        assert_eq!(of_json(Service::Sqs, "SendMessageBatch", &send), [pair("sqs:SendMessage", "chunks")]);
        let copy = [pair("s3:GetObjectVersion", "b/from"), pair("s3:PutObject", "b/to")];
        assert_eq!(of_copy("b/from/k%2B?versionId=1", "/b/to/k", true), copy);
        assert_eq!(of_s3("UploadPart", "/b/p/k", "partNumber=1", true), [pair("s3:PutObject", "b/p")]);
        assert_eq!(of_s3("ListParts", "/b/p/k", "uploadId=1", true), [pair("s3:ListMultipartUploadParts", "b/p")]);
        assert_eq!(of_s3("ListObjectVersions", "/b", "versions=", true), [pair("s3:ListBucketVersions", "b")]);
        let versions = ["", "versionId=1"].map(|query| of_s3("DeleteObject", "/b/p/k", query, true).remove(0));
        assert_eq!(versions, [pair("s3:DeleteObject", "b/p"), pair("s3:DeleteObjectVersion", "b/p")]);
        let absent = of_s3("HeadObject", "/b/p/k", "", false);
        assert_eq!(absent, [pair("s3:GetObject", "b/p"), pair("s3:ListBucket", "b")]);
    }
}
