//! Event notifications about stored objects.
//!
//! Source: the Amazon S3 User Guide, "Event message structure" (version 2.1).

use bytes::Bytes;
use penstock_model::FunctionName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::clock::{LocalClock, rfc3339};
use crate::faults::{Source, Weather};
use crate::lambda::LambdaHost;
use crate::queue::random_id;
use crate::stages::Stages;

/// Only objects below these prefixes are notified.
const PREFIXES: [&str; 2] = ["uploads/", "inbox/"];
const FUNCTION: &str = FunctionName::Split.as_str();
/// What stays as it is in a key; a space becomes `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/');

/// A stored object.
#[derive(Clone, Debug)]
pub(crate) struct StoredObject {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) version: String,
    /// `Put`, `Post`, `Copy` or `CompleteMultipartUpload`.
    pub(crate) how: &'static str,
}

/// Tells the split function about stored objects; the weather may lose, delay or double what it says.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    pub(crate) host: LambdaHost,
    pub(crate) clock: LocalClock,
    pub(crate) weather: Weather,
    /// Who tells people about imports.
    pub(crate) stages: Option<Stages>,
}

impl Notifier {
    /// Invokes the function asynchronously. A repeat tells it again.
    pub(super) fn tell(&self, object: &StoredObject) {
        if let Some(stages) = &self.stages {
            stages.stored(object);
        }
        let Some(prefix) = PREFIXES.iter().find(|prefix| object.key.starts_with(*prefix)) else { return };
        let faults = self.weather.faults();
        let strikes = |probability| self.weather.strikes(Source::Events, probability);
        let payload = self.payload(object);
        let (lost, late) = (strikes(faults.event_lost), strikes(faults.event_late));
        let (twice, another) = (strikes(faults.event_twice), strikes(faults.event_for_another_key));
        if !lost {
            self.deliver(payload.clone(), late);
        }
        if twice {
            self.deliver(payload, false);
        }
        if another {
            let stranger =
                StoredObject { key: format!("{prefix}{}", random_id()), version: random_id(), ..object.clone() };
            self.deliver(self.payload(&stranger), false);
        }
    }

    fn deliver(&self, payload: Bytes, late: bool) {
        if !late {
            self.host.invoke_async(FUNCTION, payload);
            return;
        }
        let host = self.host.clone();
        let advanced = self.clock.next_advance();
        tokio::spawn(async move {
            tokio::select! {
                () = advanced.rings() => host.invoke_async(FUNCTION, payload),
                () = host.stopped() => {}
            }
        });
    }

    fn payload(&self, object: &StoredObject) -> Bytes {
        Bytes::from(event(object, self.clock.now_ms()).to_string())
    }
}

fn event(object: &StoredObject, now_ms: i64) -> Value {
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": crate::REGION,
        "eventTime": rfc3339(now_ms),
        "eventName": format!("ObjectCreated:{}", object.how),
        "userIdentity": { "principalId": "LOCAL" },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": { "x-amz-request-id": random_id(), "x-amz-id-2": "local" },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": object.bucket,
                "ownerIdentity": { "principalId": "LOCAL" },
                "arn": format!("arn:aws:s3:::{}", object.bucket),
            },
            "object": {
                "key": encode(&object.key),
                "size": object.size,
                "eTag": object.etag,
                "versionId": object.version,
                // Versions are made in ascending order, which is what a sequencer tells.
                "sequencer": object.version.get(..16).unwrap_or_default().to_uppercase(),
            },
        },
    }] })
}

/// A key as events and lists carry it.
pub(super) fn encode(key: &str) -> String {
    utf8_percent_encode(key, ENCODED).to_string().replace("%20", "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_aws_encodes_them() {
        assert_eq!(encode("uploads/imp_01/my file (ü)+1.csv"), "uploads/imp_01/my+file+%28%C3%BC%29%2B1.csv");
    }

    #[test]
    fn an_event_names_the_object_and_its_version() {
        let object = StoredObject {
            bucket: "uploads".to_owned(),
            key: "uploads/a b".to_owned(),
            size: 7,
            etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            version: "0000000000000abc0123456789abcdef".to_owned(),
            how: "Put",
        };
        let event = event(&object, 1_700_000_000_007);
        let record = &event["Records"][0];
        assert_eq!(record["eventName"], "ObjectCreated:Put");
        assert_eq!(record["eventTime"], "2023-11-14T22:13:20.007Z");
        let expected = json!({
            "key": "uploads/a+b",
            "size": 7,
            "eTag": "d41d8cd98f00b204e9800998ecf8427e",
            "versionId": "0000000000000abc0123456789abcdef",
            "sequencer": "0000000000000ABC",
        });
        assert_eq!(record["s3"]["object"], expected);
    }
}
