//! The event source mapping: queue → function, in batches, with partial batch responses.
//!
//! Source: the AWS Lambda Developer Guide, "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source
//! in Lambda". What the function has dealt with is deleted; the rest becomes visible again when its visibility timeout
//! ends, by the local clock.

use bytes::Bytes;
use penstock_model::limits::INVOCATION_BYTES;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::lambda::{FunctionError, LambdaHost};
use crate::queue::{Message, Queue};
use crate::sqs::{arn, system_attributes};
use crate::usage::Meter;

/// Room for all of an event but the bodies.
const ENVELOPE_BYTES: usize = 64 << 10;

/// One queue's mapping to one function.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) queue: Queue,
    pub(crate) function: &'static str,
    pub(crate) batch_size: usize,
    pub(crate) host: LambdaHost,
    pub(crate) meter: Meter,
}

impl Mapping {
    /// Delivers until the host is stopped: as many batches at once as the function's concurrency allows.
    pub(crate) async fn run(self) {
        loop {
            tokio::select! {
                () = self.queue.visible() => {}
                () = self.host.stopped() => return,
            }
            // The slot comes first: a message's visibility timeout must not run while it waits for one.
            let Ok(slot) = self.host.reserve(self.function).await else { return };
            let busy = self.host.busy();
            let batch = self.queue.take_within(self.batch_size, INVOCATION_BYTES - ENVELOPE_BYTES, None);
            if batch.is_empty() {
                continue;
            }
            self.meter.received(self.queue.name(), batch.len(), batch.iter().map(|message| message.body.len()).sum());
            let mapping = self.clone();
            tokio::spawn(async move {
                let payload = Bytes::from(event(mapping.queue.name(), &batch).to_string());
                let result = mapping.host.invoke_in(slot, payload).await;
                mapping.settle(&batch, result);
                drop(busy);
            });
        }
    }

    fn settle(&self, batch: &[Message], result: Result<Bytes, FunctionError>) {
        let done = match result {
            Ok(response) => succeeded(&response, batch),
            Err(FunctionError::Stopped) => return,
            Err(error) => {
                tracing::warn!(function = self.function, messages = batch.len(), %error, "a batch failed");
                return;
            }
        };
        if done.len() < batch.len() {
            tracing::warn!(
                function = self.function,
                failed = batch.len() - done.len(),
                messages = batch.len(),
                "messages failed"
            );
        }
        self.meter.deleted(self.queue.name(), done.len());
        for message in done {
            self.queue.delete(&message.receipt).expect("a receipt that the queue has given is well formed");
        }
    }
}

/// The batch as an event.
pub(crate) fn event(queue: &str, batch: &[Message]) -> Value {
    let record = |message: &Message| {
        json!({
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": system_attributes(message),
            "messageAttributes": {},
            "md5OfBody": message.body_md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": arn(queue),
            "awsRegion": crate::REGION,
        })
    };
    json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() })
}

/// Which messages of the batch the response leaves dealt with: all but the failures it lists; none if it is not such a
/// list, or lists what is not in the batch.
pub(crate) fn succeeded<'a>(response: &[u8], batch: &'a [Message]) -> Vec<&'a Message> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Response {
        batch_item_failures: Option<Vec<Failure>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        item_identifier: String,
    }

    if response.trim_ascii().is_empty() {
        return batch.iter().collect();
    }
    let failures = match serde_json::from_slice::<Option<Response>>(response) {
        Ok(response) => response.and_then(|response| response.batch_item_failures).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "a response is no partial batch response");
            return Vec::new();
        }
    };
    let failed = |message: &Message| failures.iter().any(|failure| failure.item_identifier == message.id);
    let known = |failure: &Failure| batch.iter().any(|message| message.id == failure.item_identifier);
    if !failures.iter().all(known) {
        return Vec::new();
    }
    batch.iter().filter(|message| !failed(message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Vec<Message> {
        let message = |id: &str| Message {
            id: id.to_owned(),
            receipt: format!("receipt-{id}"),
            body: "body".to_owned(),
            body_md5: "841a2d689ad86bd1611447453c22c6fc".to_owned(),
            group: Some("account".to_owned()),
            sent_ms: 1,
            first_received_ms: 2,
            receive_count: 3,
            dead_letter_source: None,
        };
        ["a", "b", "c"].map(message).to_vec()
    }

    fn succeeded_ids(response: &str) -> String {
        let batch = batch();
        succeeded(response.as_bytes(), &batch).iter().map(|message| message.id.as_str()).collect()
    }

    #[test]
    fn a_response_that_lists_no_failure_leaves_the_whole_batch_done() {
        for response in ["", " ", "null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
            assert_eq!(succeeded_ids(response), "abc", "{response:?}");
        }
    }

    #[test]
    fn what_is_listed_fails_and_the_rest_is_done() {
        assert_eq!(succeeded_ids(r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#), "ac");
        assert_eq!(succeeded_ids(r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}]}"#), "ac");
    }

    #[test]
    fn a_response_that_cannot_be_understood_fails_the_whole_batch() {
        for response in [
            "no json",
            "true",
            "\"text\"",
            r#"{"batchItemFailures":{}}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"unknown"}]}"#,
            r#"{"batchItemFailures":[{"badKey":"a"}]}"#,
        ] {
            assert_eq!(succeeded_ids(response), "", "{response:?}");
        }
    }

    #[test]
    fn an_event_is_shaped_as_aws_shapes_it() {
        let event = event("chunks", &batch()[..1]);
        let expected = json!({ "Records": [{
            "messageId": "a",
            "receiptHandle": "receipt-a",
            "body": "body",
            "attributes": {
                "ApproximateReceiveCount": "3",
                "SentTimestamp": "1",
                "SenderId": "AIDALOCALCLOUD",
                "ApproximateFirstReceiveTimestamp": "2",
                "MessageGroupId": "account",
            },
            "messageAttributes": {},
            "md5OfBody": "841a2d689ad86bd1611447453c22c6fc",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:chunks",
            "awsRegion": "us-east-1",
        }] });
        assert_eq!(event, expected);
    }
}
