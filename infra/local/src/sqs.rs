//! SQS over its JSON protocol (`application/x-amz-json-1.0`), in front of the queues.
//!
//! Source: the Amazon SQS API Reference. Limits: a message and a batch up to 1 MiB, ten messages to a batch, and only
//! the characters that XML 1.0 allows. Message attributes are refused: Penstock sends none.

mod batch;
mod error;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use penstock_model::limits::MESSAGE_BYTES;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::queue::{Message, Queue, md5_hex};
use error::SqsError;

/// A body of 1 MiB may be six times as long when every character is escaped.
const REQUEST_BYTES: usize = 8 << 20;
const MAX_VISIBILITY_SECONDS: i64 = 43_200;
const MAX_DELAY_SECONDS: i64 = 900;
const MAX_WAIT_SECONDS: i64 = 20;

/// The account to which everything in the local cloud belongs.
pub(crate) const ACCOUNT_ID: &str = "000000000000";

#[derive(Clone, Debug)]
struct Service {
    queues: Arc<BTreeMap<String, Queue>>,
}

/// The service as a router, to be served anywhere.
pub(crate) fn router(queues: Arc<BTreeMap<String, Queue>>) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::max(REQUEST_BYTES)).with_state(Service { queues })
}

async fn answer(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let result = match target.strip_prefix("AmazonSQS.") {
        Some(operation) => service.call(operation, &headers, &body).await,
        None => Err(SqsError::unknown_operation(target)),
    };
    let (status, error, body) = match result {
        Ok(body) => (StatusCode::OK, None, body),
        Err(error) => (StatusCode::BAD_REQUEST, Some(error.query_code()), error.body()),
    };
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body.to_string()).into_response();
    if let Some(error) = error.and_then(|error| error.parse().ok()) {
        response.headers_mut().insert("x-amzn-query-error", error);
    }
    response
}

impl Service {
    async fn call(&self, operation: &str, headers: &HeaderMap, body: &[u8]) -> Result<Value, SqsError> {
        match operation {
            "SendMessage" => self.send(parse(body)?),
            "SendMessageBatch" => batch::send(self, parse(body)?),
            "ReceiveMessage" => self.receive(parse(body)?).await,
            "DeleteMessage" => self.delete(&parse(body)?),
            "DeleteMessageBatch" => batch::delete(self, parse(body)?),
            "ChangeMessageVisibility" => self.change_visibility(&parse(body)?),
            "ChangeMessageVisibilityBatch" => batch::change_visibility(self, parse(body)?),
            "GetQueueUrl" => self.url(&parse(body)?, headers),
            "GetQueueAttributes" => self.attributes(&parse(body)?),
            "PurgeQueue" => self.queue(&parse::<QueueUrl>(body)?.queue_url).map(|queue| {
                queue.purge();
                json!({})
            }),
            _ => Err(SqsError::unknown_operation(operation)),
        }
    }

    /// A queue's URL ends in its name; what comes before depends on the way by which the client reached us.
    fn queue(&self, url: &str) -> Result<&Queue, SqsError> {
        url.rsplit('/').next().and_then(|name| self.queues.get(name)).ok_or_else(SqsError::no_such_queue)
    }

    fn send(&self, request: SendMessage) -> Result<Value, SqsError> {
        let queue = self.queue(&request.queue_url)?;
        request.message.check()?;
        if request.message.body.len() > MESSAGE_BYTES {
            return Err(SqsError::invalid(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {MESSAGE_BYTES} bytes."
            )));
        }
        request.message.send(queue)
    }

    async fn receive(&self, request: ReceiveMessage) -> Result<Value, SqsError> {
        let queue = self.queue(&request.queue_url)?;
        let max = bounded("MaxNumberOfMessages", request.max_number_of_messages.unwrap_or(1), 1, 10)?;
        let wait = bounded("WaitTimeSeconds", request.wait_time_seconds.unwrap_or(0), 0, MAX_WAIT_SECONDS)?;
        let visibility = request
            .visibility_timeout
            .map(|seconds| bounded("VisibilityTimeout", seconds, 0, MAX_VISIBILITY_SECONDS).map(Duration::from_secs))
            .transpose()?;
        let wanted: Vec<String> =
            request.attribute_names.into_iter().chain(request.message_system_attribute_names).collect();
        let max = usize::try_from(max).expect("at most 10");
        let messages = queue.receive(max, Duration::from_secs(wait), visibility).await;
        if messages.is_empty() {
            return Ok(json!({}));
        }
        let messages: Vec<Value> = messages.iter().map(|message| received(message, &wanted)).collect();
        Ok(json!({ "Messages": messages }))
    }

    fn delete(&self, request: &DeleteMessage) -> Result<Value, SqsError> {
        self.queue(&request.queue_url)?.delete(&request.entry.receipt_handle)?;
        Ok(json!({}))
    }

    fn change_visibility(&self, request: &ChangeVisibility) -> Result<Value, SqsError> {
        request.entry.change(self.queue(&request.queue_url)?)?;
        Ok(json!({}))
    }

    fn url(&self, request: &QueueName, headers: &HeaderMap) -> Result<Value, SqsError> {
        let queue = self.queue(&request.queue_name)?;
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        Ok(json!({ "QueueUrl": format!("http://{host}/{ACCOUNT_ID}/{}", queue.name()) }))
    }

    fn attributes(&self, request: &QueueAttributes) -> Result<Value, SqsError> {
        let queue = self.queue(&request.queue_url)?;
        let depth = queue.depth();
        let settings = queue.settings();
        let mut attributes = BTreeMap::from([
            ("ApproximateNumberOfMessages", depth.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", depth.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string()),
            ("MaximumMessageSize", MESSAGE_BYTES.to_string()),
            ("QueueArn", arn(queue.name())),
            ("VisibilityTimeout", settings.visibility_timeout.as_secs().to_string()),
        ]);
        if let Some(dead_letters) = queue.dead_letters() {
            let policy = json!({
                "deadLetterTargetArn": arn(dead_letters.name()),
                "maxReceiveCount": settings.max_receive_count,
            });
            attributes.insert("RedrivePolicy", policy.to_string());
        }
        if !request.attribute_names.iter().any(|name| name == "All") {
            attributes.retain(|name, _| request.attribute_names.iter().any(|wanted| wanted == name));
        }
        Ok(json!({ "Attributes": attributes }))
    }
}

/// The name by which policies and events call a queue.
pub(crate) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{}:{ACCOUNT_ID}:{queue}", crate::REGION)
}

/// The attributes that SQS itself gives to a message, by name.
pub(crate) fn system_attributes(message: &Message) -> BTreeMap<&'static str, String> {
    let mut attributes = BTreeMap::from([
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        ("ApproximateFirstReceiveTimestamp", message.first_received_ms.to_string()),
        ("SentTimestamp", message.sent_ms.to_string()),
        ("SenderId", "AIDALOCALCLOUD".to_owned()),
    ]);
    if let Some(group) = &message.group {
        attributes.insert("MessageGroupId", group.clone());
    }
    if let Some(source) = &message.dead_letter_source {
        attributes.insert("DeadLetterQueueSourceArn", arn(source));
    }
    attributes
}

fn received(message: &Message, wanted: &[String]) -> Value {
    let mut attributes = system_attributes(message);
    if !wanted.iter().any(|name| name == "All") {
        attributes.retain(|name, _| wanted.iter().any(|wanted| wanted == name));
    }
    let mut json = json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": message.body_md5,
        "Body": message.body,
    });
    if !attributes.is_empty() {
        json["Attributes"] = json!(attributes);
    }
    json
}

/// What a message to be sent consists of, alone or in a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewMessage {
    #[serde(rename = "MessageBody", default)]
    body: String,
    delay_seconds: Option<i64>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
    #[serde(default)]
    message_attributes: BTreeMap<String, Value>,
}

impl NewMessage {
    /// Everything but the size, which in a batch is judged for all together.
    fn check(&self) -> Result<(), SqsError> {
        if self.body.is_empty() {
            return Err(SqsError::missing("The request must contain the parameter MessageBody."));
        }
        if !self.message_attributes.is_empty() {
            return Err(SqsError::unsupported("The local queues carry no message attributes."));
        }
        if self.message_deduplication_id.is_some() {
            return Err(SqsError::invalid("MessageDeduplicationId is for FIFO queues only.".to_owned()));
        }
        if let Some(refused) = self.body.chars().find(|&character| !allowed(character)) {
            return Err(SqsError::invalid_contents(refused));
        }
        self.delay().map(|_| ())
    }

    fn delay(&self) -> Result<Duration, SqsError> {
        bounded("DelaySeconds", self.delay_seconds.unwrap_or(0), 0, MAX_DELAY_SECONDS).map(Duration::from_secs)
    }

    fn send(self, queue: &Queue) -> Result<Value, SqsError> {
        let delay = self.delay()?;
        let md5 = md5_hex(self.body.as_bytes());
        let id = queue.send(self.body, self.message_group_id, delay);
        Ok(json!({ "MessageId": id, "MD5OfMessageBody": md5 }))
    }
}

/// `SendMessage`, "Message contents": `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF`.
fn allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: NewMessage,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    wait_time_seconds: Option<i64>,
    visibility_timeout: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Receipt {
    receipt_handle: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteMessage {
    queue_url: String,
    #[serde(flatten)]
    entry: Receipt,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Visibility {
    receipt_handle: String,
    #[serde(default)]
    visibility_timeout: i64,
}

impl Visibility {
    fn change(&self, queue: &Queue) -> Result<(), SqsError> {
        let seconds = bounded("VisibilityTimeout", self.visibility_timeout, 0, MAX_VISIBILITY_SECONDS)?;
        Ok(queue.change_visibility(&self.receipt_handle, Duration::from_secs(seconds))?)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeVisibility {
    queue_url: String,
    #[serde(flatten)]
    entry: Visibility,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueName {
    queue_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueUrl {
    queue_url: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body).map_err(|error| SqsError::malformed(&error))
}

fn bounded(name: &str, value: i64, least: i64, most: i64) -> Result<u64, SqsError> {
    u64::try_from(value).ok().filter(|_| (least..=most).contains(&value)).ok_or_else(|| {
        SqsError::invalid(format!(
            "Value {value} for parameter {name} is invalid. Reason: must be between {least} and {most}, if provided."
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn the_characters_that_sqs_refuses_are_refused_and_no_others() {
        let refused = |code: u32| code < 0x20 && ![0x9, 0xa, 0xd].contains(&code) || code == 0xfffe || code == 0xffff;
        for character in (0..=0x0010_ffff).filter_map(char::from_u32) {
            assert_eq!(allowed(character), !refused(u32::from(character)), "U+{:04X}", u32::from(character));
        }
    }
}
