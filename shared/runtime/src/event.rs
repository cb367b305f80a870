//! Events: what AWS hands to a function.

use aws_lambda_events::{s3::S3Event, sqs::SqsEvent};
use penstock_model::{AccountId, ImportId, InboxFile, StoredObject};
use penstock_store::{inbox, uploads, versions::decoded};
use serde::Deserialize;
use serde_json::Value;

/// An invocation's payload, told apart by the source of its first record (AWS Lambda Developer Guide, "Using Lambda
/// with Amazon SQS").
#[derive(Debug)]
pub enum Event {
    /// Messages of a queue.
    Messages(SqsEvent),
    /// Anything else.
    Other(Value),
}

impl Event {
    /// Reads a payload.
    ///
    /// # Errors
    /// When it says that it is a queue's and is none.
    pub fn read(payload: Value) -> Result<Self, serde_json::Error> {
        if payload.pointer("/Records/0/eventSource").and_then(Value::as_str) == Some("aws:sqs") {
            return Ok(Self::Messages(serde_json::from_value(payload)?));
        }
        Ok(Self::Other(payload))
    }
}

/// One upload was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadEvent {
    /// Whose import it is for.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
    /// The object as the event tells it.
    pub object: StoredObject,
}

/// What a storage event tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageEvent {
    /// One upload was stored.
    Upload(UploadEvent),
    /// A file was dropped off.
    Inbox(InboxFile),
}

impl StorageEvent {
    /// The uploads and files of the inbox that a storage event tells of (Amazon S3 User Guide, "Event message
    /// structure"); other objects are left out. S3's test event, which has no records, tells of none.
    ///
    /// # Errors
    /// When the payload is no storage event.
    pub fn read(payload: Value) -> Result<Vec<Self>, serde_json::Error> {
        if payload.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            return Ok(Vec::new());
        }
        let event: S3Event = serde_json::from_value(payload)?;
        let events = event.records.into_iter().filter_map(|record| {
            let object = record.s3.object;
            let key = decoded(object.key.as_deref()?)?;
            let version = object.version_id.filter(|version| !version.is_empty() && version != "null");
            let bytes = u64::try_from(object.size?).ok()?;
            if inbox::is_file(&key) {
                // What S3 calls a version that has no id, where a bucket keeps none.
                let version = version.unwrap_or_else(|| "null".to_owned());
                return Some(Self::Inbox(InboxFile { key, version, bytes }));
            }
            let (account, import) = uploads::of_key(&key)?;
            let object = StoredObject { version, etag: object.e_tag?.trim_matches('"').to_owned(), bytes };
            Some(Self::Upload(UploadEvent { account, import, object }))
        });
        Ok(events.collect())
    }
}

/// The record of an asynchronous invocation that failed for good, as Lambda sends it to a queue (AWS Lambda Developer
/// Guide, "Capturing records of Lambda asynchronous invocations").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedInvocation {
    /// Which invocation failed, and how often.
    pub request_context: RequestContext,
    /// What the function was invoked with.
    pub request_payload: Value,
}

/// Which invocation failed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext {
    /// The function's name, version included.
    pub function_arn: String,
    /// Why Lambda gave it up.
    pub condition: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const IMPORT: &str = "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F";

    fn event(key: &str, version: Option<&str>) -> Value {
        json!({ "Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1", "eventTime": "2026-11-21T18:14:19.000Z",
            "eventName": "ObjectCreated:Put", "userIdentity": { "principalId": "AWS:X" },
            "requestParameters": { "sourceIPAddress": "127.0.0.1" }, "responseElements": { "x-amz-request-id": "1" },
            "s3": { "s3SchemaVersion": "1.0", "configurationId": "c", "bucket": { "name": "b", "ownerIdentity": { "principalId": "P" }, "arn": "arn:aws:s3:::b" },
                "object": { "key": key, "size": 12, "eTag": "abc", "versionId": version, "sequencer": "0055" } } }] })
    }

    fn read(payload: Value) -> Vec<StorageEvent> {
        match Event::read(payload).expect("an event") {
            Event::Other(payload) => StorageEvent::read(payload).expect("a storage event"),
            Event::Messages(_) => panic!("not a queue's event"),
        }
    }

    #[test]
    fn keys_come_encoded() {
        let object = StoredObject { version: Some("v1".into()), etag: "abc".into(), bytes: 12 };
        let (account, import) = ("shop_1".parse().expect("valid"), IMPORT.parse().expect("valid"));
        let upload = StorageEvent::Upload(UploadEvent { account, import, object });
        assert_eq!(read(event(&format!("uploads%2Fshop_1%2F{IMPORT}"), Some("v1"))), [upload]);
        let file = InboxFile { key: "inbox/1/nightly/a b+cä%.csv".into(), version: "v1".into(), bytes: 12 };
        assert_eq!(read(event("inbox/1/nightly/a+b%2Bc%C3%A4%25.csv", Some("v1"))), [StorageEvent::Inbox(file)]);
    }

    #[test]
    fn other_objects_are_left_out() {
        for key in ["uploads/1/other+file.csv", "inbox/1/nightly/", "inbox", "refused/1/a"] {
            assert_eq!(read(event(key, Some("v1"))), [], "{key}");
        }
        for version in [None, Some("null")] {
            let file = InboxFile { key: "inbox/1/nightly/a.csv".into(), version: "null".into(), bytes: 12 };
            assert_eq!(read(event("inbox/1/nightly/a.csv", version)), [StorageEvent::Inbox(file)]);
        }
        assert_eq!(read(json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b" })), []);
        assert!(StorageEvent::read(json!({ "detail-type": "Scheduled Event" })).is_err());
    }

    #[test]
    fn messages_are_told_by_their_source() {
        let messages = json!({ "Records": [{ "messageId": "1", "body": "b", "eventSource": "aws:sqs" }] });
        assert!(matches!(Event::read(messages), Ok(Event::Messages(batch)) if batch.records.len() == 1));
    }
}
