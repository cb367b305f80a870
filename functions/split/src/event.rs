//! What starts a splitter.

use aws_lambda_events::{s3::S3Event, sqs::SqsEvent};
use penstock_model::{AccountId, ImportId, StoredObject};
use penstock_store::uploads;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// An invocation's payload.
#[derive(Debug)]
pub enum SplitEvent {
    /// Objects were stored. Those that are no import's upload are left out.
    Uploads(Vec<UploadEvent>),
    /// Messages of the splits queue.
    Orders(SqsEvent),
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

impl SplitEvent {
    /// Tells the shapes apart by the source of the first record (Amazon S3 User Guide, "Event message structure"; AWS Lambda Developer
    /// Guide, "Using Lambda with Amazon SQS"). S3's test event, which has no records, is no uploads.
    ///
    /// # Errors
    /// When the payload is neither.
    pub fn read(payload: Value) -> Result<Self, serde_json::Error> {
        if payload.pointer("/Records/0/eventSource").and_then(Value::as_str) == Some("aws:sqs") {
            return Ok(Self::Orders(serde_json::from_value(payload)?));
        }
        if payload.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            return Ok(Self::Uploads(Vec::new()));
        }
        Ok(Self::Uploads(uploads(serde_json::from_value(payload)?)))
    }
}

/// The uploads that an S3 event tells of.
pub(crate) fn uploads(event: S3Event) -> Vec<UploadEvent> {
    let uploads = event.records.into_iter().filter_map(|record| {
        let object = record.s3.object;
        let (account, import) = uploads::of_key(&decoded(object.key.as_deref()?)?)?;
        let object = StoredObject {
            version: object.version_id.filter(|version| !version.is_empty() && version != "null"),
            etag: object.e_tag?.trim_matches('"').to_owned(),
            bytes: u64::try_from(object.size?).ok()?,
        };
        Some(UploadEvent { account, import, object })
    });
    uploads.collect()
}

/// An event's key as it is: events carry it form-encoded, a space as `+`.
fn decoded(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
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

    fn read(payload: Value) -> Vec<UploadEvent> {
        match SplitEvent::read(payload).expect("a storage event") {
            SplitEvent::Uploads(uploads) => uploads,
            SplitEvent::Orders(_) => panic!("not a queue's event"),
        }
    }

    #[test]
    fn keys_come_encoded() {
        let uploads = read(event(&format!("uploads%2Fshop_1%2F{IMPORT}"), Some("v1")));
        assert_eq!(uploads[0].account.as_str(), "shop_1");
        assert_eq!(uploads[0].import.as_str(), IMPORT);
        assert_eq!(uploads[0].object, StoredObject { version: Some("v1".into()), etag: "abc".into(), bytes: 12 });
        assert_eq!(decoded("a+b%2Bc%C3%A4").as_deref(), Some("a b+cä"));
    }

    #[test]
    fn objects_that_are_no_upload_are_left_out() {
        assert_eq!(read(event("uploads/1/other+file.csv", None)), []);
        assert_eq!(read(json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b" })), []);
        assert!(SplitEvent::read(json!({ "detail-type": "Scheduled Event" })).is_err());
    }
}
