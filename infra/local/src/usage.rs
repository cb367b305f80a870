//! What is used of the services, counted as bills count it, by what goes over the wire between the functions and the
//! services.
//!
//! Units of DynamoDB are those that its answers tell (`ReturnConsumedCapacity`, which the proxy asks for). An answer
//! that tells none though it costs something, that of a write whose condition was not met, counts by the item that it
//! shows, else as the least that such a write costs. What Lambda asks of SQS in a function's name is not on the wire
//! here, and counts as its polling would: a receive and a delete for each batch.
//!
//! Sources: the Amazon DynamoDB Developer Guide, "DynamoDB read and write operations"; Amazon SQS pricing ("every 64 KB
//! chunk of a payload is billed as 1 request").

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dynoxide::types::{AttributeValue, Item, item_size, write_capacity_units};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a payload that SQS bills as one request.
const QUEUE_UNIT_BYTES: usize = 64 << 10;
/// Messages that one request deletes, at most.
const DELETE_BATCH: usize = 10;

/// What was asked for, by whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Operation {
    /// `dynamodb`, `s3`, `sqs` or `lambda`; `logs` of what was printed.
    pub service: String,
    /// As its API reference has it, such as `BatchGetItem`; `Invoke` of Lambda.
    pub name: String,
    /// The function whose credentials signed the request: `api` also for what was presigned, `lambda` for the polling
    /// of queues.
    pub function: String,
    /// The table, bucket, queue or function; the first of several; empty for a request that the weather refused.
    pub resource: String,
}

/// How much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Requests that arrived, refused ones included; invocations of Lambda; lines of logs.
    pub requests: u64,
    /// Members of batches and transactions; 1 for any other request.
    pub items: u64,
    /// Read units that DynamoDB bills: 4 KiB read consistently.
    pub read_units: f64,
    /// Write units that DynamoDB bills: 1 KiB of an item written, also in an index.
    pub write_units: f64,
    /// Requests that SQS bills: one for each 64 KiB of a payload that was begun.
    pub queue_units: u64,
    /// How long invocations took, from when they were handed to an instance, a fresh one's start included, to their
    /// answers.
    pub milliseconds: u64,
    /// Bytes of lines of logs.
    pub bytes: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.requests += more.requests;
        self.items += more.items;
        self.read_units += more.read_units;
        self.write_units += more.write_units;
        self.queue_units += more.queue_units;
        self.milliseconds += more.milliseconds;
        self.bytes += more.bytes;
    }
}

impl Counts {
    fn without(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            items: self.items - earlier.items,
            read_units: self.read_units - earlier.read_units,
            write_units: self.write_units - earlier.write_units,
            queue_units: self.queue_units - earlier.queue_units,
            milliseconds: self.milliseconds - earlier.milliseconds,
            bytes: self.bytes - earlier.bytes,
        }
    }
}

/// What has been used since a local cloud was started. Of what goes through the proxy there is only something with
/// [`crate::Options::proxy`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    by_operation: BTreeMap<Operation, Counts>,
}

impl Usage {
    /// What was asked for, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Operation, &Counts)> {
        self.by_operation.iter()
    }

    /// The sum over the operations that `wanted` picks.
    #[must_use]
    pub fn total(&self, wanted: impl Fn(&Operation) -> bool) -> Counts {
        let mut total = Counts::default();
        self.iter().filter(|(operation, _)| wanted(operation)).for_each(|(_, counts)| total += *counts);
        total
    }

    /// The sum over a service.
    #[must_use]
    pub fn of_service(&self, service: &str) -> Counts {
        self.total(|operation| operation.service == service)
    }

    /// The sum over a resource, such as a table, of a service.
    #[must_use]
    pub fn of_resource(&self, service: &str, resource: &str) -> Counts {
        self.total(|operation| operation.service == service && operation.resource == resource)
    }

    /// What was used since `earlier`, a usage of the same cloud.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = |(operation, counts): (&Operation, &Counts)| {
            let counts = counts.without(earlier.by_operation.get(operation).copied().unwrap_or_default());
            (counts != Counts::default()).then(|| (operation.clone(), counts))
        };
        Self { by_operation: self.iter().filter_map(more).collect() }
    }
}

impl FromIterator<(Operation, Counts)> for Usage {
    /// The sum of all, by operation.
    fn from_iter<I: IntoIterator<Item = (Operation, Counts)>>(parts: I) -> Self {
        let mut usage = Self::default();
        for (operation, counts) in parts {
            *usage.by_operation.entry(operation).or_default() += counts;
        }
        usage
    }
}

/// What a function has printed so far.
pub(crate) fn printed(function: &str, log: &[u8]) -> (Operation, Counts) {
    let lines = log.iter().filter(|byte| **byte == b'\n').count() as u64;
    let counts = Counts { requests: lines, items: lines, bytes: log.len() as u64 - lines, ..Counts::default() };
    (of("logs", "PutLogEvents", function, function), counts)
}

/// Where usage is added up. Cheap to clone; all clones are one meter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    usage: Arc<Mutex<Usage>>,
}

impl Meter {
    pub(crate) fn read(&self) -> Usage {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add(&self, operation: &Operation, counts: Counts) {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        match usage.by_operation.get_mut(operation) {
            Some(sum) => *sum += counts,
            None => drop(usage.by_operation.insert(operation.clone(), counts)),
        }
    }

    /// An invocation that has ended, well or badly.
    pub(crate) fn invoked(&self, function: &str, took: Duration) {
        let operation = of("lambda", "Invoke", function, function);
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.add(&operation, Counts { requests: 1, items: 1, milliseconds, ..Counts::default() });
    }

    /// A batch of messages, of so many bytes together, that was received for a function.
    pub(crate) fn received(&self, queue: &str, messages: usize, bytes: usize) {
        let counts =
            Counts { requests: 1, items: messages as u64, queue_units: queue_units(bytes), ..Counts::default() };
        self.add(&of("sqs", "ReceiveMessage", "lambda", queue), counts);
    }

    /// Messages of a batch that a function has dealt with.
    pub(crate) fn deleted(&self, queue: &str, messages: usize) {
        let requests = messages.div_ceil(DELETE_BATCH) as u64;
        let counts = Counts { requests, items: messages as u64, queue_units: requests, ..Counts::default() };
        self.add(&of("sqs", "DeleteMessageBatch", "lambda", queue), counts);
    }
}

pub(crate) fn of(service: &str, name: &str, function: &str, resource: &str) -> Operation {
    let owned = str::to_owned;
    Operation { service: owned(service), name: owned(name), function: owned(function), resource: owned(resource) }
}

/// What a payload of that size is billed as.
fn queue_units(bytes: usize) -> u64 {
    bytes.div_ceil(QUEUE_UNIT_BYTES).max(1) as u64
}

/// The table, index or queue that a request to DynamoDB or SQS is about; the first of several.
pub(crate) fn resource(operation: &str, request: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let first = |list: &Value| list.as_array().and_then(|list| list.first()).cloned().unwrap_or_default();
    let found = match operation {
        "BatchGetItem" | "BatchWriteItem" => {
            request["RequestItems"].as_object().and_then(|tables| tables.keys().next()).cloned()
        }
        "TransactWriteItems" | "TransactGetItems" => {
            let member = first(&request["TransactItems"]);
            member.as_object().and_then(|member| member.values().find_map(|action| text(&action["TableName"])))
        }
        "BatchExecuteStatement" => {
            let statement = first(&request["Statements"]);
            statement["Statement"].as_str().and_then(|words| words.split('"').nth(1)).map(str::to_owned)
        }
        _ => text(&request["TableName"]).or_else(|| {
            let url = text(&request["QueueUrl"])?;
            url.rsplit('/').next().map(str::to_owned)
        }),
    };
    found.unwrap_or_default()
}

/// What a request to SQS is billed as: by the messages that it carries.
pub(crate) fn billed_by_queue(request: &Value) -> u64 {
    let bytes = |message: &Value| message["MessageBody"].as_str().map_or(0, str::len);
    let batch = request["Entries"].as_array().map_or(0, |entries| entries.iter().map(bytes).sum());
    queue_units(batch + bytes(request))
}

/// Makes a request to DynamoDB, as it is sent, ask for what it consumes. One that asks already, or is no object, stays
/// as it is.
pub(crate) fn asking_for_units(request: &Value, sent: bytes::Bytes) -> bytes::Bytes {
    let members = request.as_object().filter(|members| !members.is_empty());
    let start = sent.iter().position(|byte| *byte == b'{');
    match (members, start) {
        (Some(members), Some(start)) if !members.contains_key("ReturnConsumedCapacity") => {
            [&sent[..=start], br#""ReturnConsumedCapacity":"TOTAL","#, &sent[start + 1..]].concat().into()
        }
        _ => sent,
    }
}

/// What of an answer of DynamoDB tells what it cost.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(rename = "__type")]
    error: Option<String>,
    consumed_capacity: Option<Consumed>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    cancellation_reasons: Vec<Reason>,
    #[serde(default)]
    responses: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Consumed {
    One(Capacity),
    ByTable(Vec<Capacity>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Capacity {
    capacity_units: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reason {
    code: Option<String>,
    item: Option<Value>,
}

/// The units that an answer of DynamoDB to an operation stands for: those read, those written.
pub(crate) fn units(operation: &str, request: &Value, answer: &[u8]) -> (f64, f64) {
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else { return (0.0, 0.0) };
    let told = match &answer.consumed_capacity {
        Some(Consumed::One(capacity)) => Some(capacity.capacity_units),
        Some(Consumed::ByTable(tables)) => Some(tables.iter().map(|table| table.capacity_units).sum()),
        None => None,
    };
    let reads = match operation {
        "GetItem" | "BatchGetItem" | "Query" | "Scan" | "TransactGetItems" => true,
        "BatchExecuteStatement" => request["Statements"][0]["Statement"].as_str().is_some_and(|statement| {
            statement.trim_start().get(..6).is_some_and(|verb| verb.eq_ignore_ascii_case("SELECT"))
        }),
        _ => false,
    };
    let units = told.unwrap_or_else(|| if reads { 0.0 } else { unmet(operation, &answer) });
    if reads { (units, 0.0) } else { (0.0, units) }
}

/// The units of writes whose conditions were not met, where the answer tells none.
fn unmet(operation: &str, answer: &Answer) -> f64 {
    let failed = |code: &str| matches!(code, "ConditionalCheckFailed" | "DuplicateItem");
    match (operation, answer.error.as_deref().map(|error| error.rsplit('#').next().unwrap_or_default())) {
        // Each member is prepared before one of them is found unmet; what comes after the preparation is not done.
        (_, Some("TransactionCanceledException")) => answer
            .cancellation_reasons
            .iter()
            .map(|reason| match reason.code.as_deref() {
                Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => 0.0,
                _ => of_item(reason.item.as_ref()),
            })
            .sum(),
        (_, Some("ConditionalCheckFailedException")) => of_item(answer.item.as_ref()),
        ("BatchExecuteStatement", None) => {
            let members = answer.responses.as_array().map(Vec::as_slice).unwrap_or_default();
            let unmet = members.iter().filter(|member| member["Error"]["Code"].as_str().is_some_and(failed));
            unmet.map(|member| of_item(member["Error"].get("Item"))).sum()
        }
        _ => 0.0,
    }
}

/// What a write costs that finds this item, or one that is not shown.
fn of_item(item: Option<&Value>) -> f64 {
    let item: Option<Item> = item.and_then(|item| {
        let attributes = item.as_object()?.iter();
        attributes
            .map(|(name, value)| Some((name.clone(), serde_json::from_value::<AttributeValue>(value.clone()).ok()?)))
            .collect()
    });
    write_capacity_units(item.map_or(0, |item| item_size(&item)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_queue_bills_each_64_kib_begun_of_a_requests_payload() {
        let entry = |bytes: usize| json!({ "Id": "a", "MessageBody": "x".repeat(bytes) });
        assert_eq!(billed_by_queue(&json!({ "QueueUrl": "q" })), 1);
        assert_eq!(billed_by_queue(&entry(65_536)), 1);
        assert_eq!(billed_by_queue(&entry(65_537)), 2);
        assert_eq!(billed_by_queue(&json!({ "Entries": [entry(40_000), entry(40_000)] })), 2);
    }

    #[test]
    fn a_request_asks_for_its_units_once_and_is_otherwise_as_it_was() {
        let asks = |text: &'static str| asking_for_units(&serde_json::from_str(text).unwrap(), text.into());
        let asked: Value = serde_json::from_slice(&asks(r#" {"TableName":"{t"}"#)).unwrap();
        assert_eq!(asked, json!({ "TableName": "{t", "ReturnConsumedCapacity": "TOTAL" }));
        for as_it_is in [r#"{"ReturnConsumedCapacity":"NONE"}"#, "{}", "[]"] {
            assert_eq!(asks(as_it_is), as_it_is);
        }
    }

    #[test]
    fn units_are_those_that_the_answer_tells() {
        let told = |operation: &str, answer: Value| units(operation, &json!({}), answer.to_string().as_bytes());
        assert_eq!(told("GetItem", json!({ "ConsumedCapacity": { "CapacityUnits": 0.5 } })), (0.5, 0.0));
        let by_table = json!({ "ConsumedCapacity": [{ "CapacityUnits": 3.0 }, { "CapacityUnits": 2.0 }] });
        assert_eq!(told("TransactWriteItems", by_table.clone()), (0.0, 5.0));
        let select = json!({ "Statements": [{ "Statement": "select * from \"t\"" }] });
        assert_eq!(units("BatchExecuteStatement", &select, by_table.to_string().as_bytes()), (5.0, 0.0));
        assert_eq!(told("UpdateItem", json!({ "__type": "x#ThrottlingException" })), (0.0, 0.0));
    }

    #[test]
    fn a_write_whose_condition_is_not_met_costs_what_the_item_there_does() {
        let told = |operation: &str, answer: Value| units(operation, &json!({}), answer.to_string().as_bytes()).1;
        let large = json!({ "pk": { "S": "x".repeat(2000) } });
        let failed = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        assert_eq!(told("UpdateItem", json!({ "__type": failed })), 1.0);
        assert_eq!(told("UpdateItem", json!({ "__type": failed, "Item": large })), 2.0);
        let statement = |code: &str| json!({ "Error": { "Code": code, "Item": large } });
        let answer = json!({ "Responses": [statement("ConditionalCheckFailed"), statement("ThrottlingError")] });
        assert_eq!(told("BatchExecuteStatement", answer), 2.0);
        let reasons = json!([{ "Code": "None" }, { "Code": "ConditionalCheckFailed", "Item": large }]);
        let answer = json!({ "__type": "x#TransactionCanceledException", "CancellationReasons": reasons });
        assert_eq!(told("TransactWriteItems", answer), 3.0);
    }

    #[test]
    fn a_log_is_counted_by_its_lines_and_their_bytes() {
        let (operation, counts) = printed("split", b"{\"a\":1}\n{}\n");
        assert_eq!((&*operation.service, &*operation.function), ("logs", "split"));
        assert_eq!(counts, Counts { requests: 2, items: 2, bytes: 9, ..Counts::default() });
    }

    #[test]
    fn what_was_used_between_two_readings_is_their_difference() {
        let meter = Meter::default();
        meter.received("chunks", 4, 300_000);
        let before = meter.read();
        meter.received("chunks", 1, 10);
        meter.deleted("chunks", 11);
        meter.invoked("validate", Duration::from_millis(20));
        let since = meter.read().since(&before);
        assert_eq!(since.of_resource("sqs", "chunks").queue_units, 1 + 2);
        assert_eq!(since.of_service("lambda"), Counts { requests: 1, items: 1, milliseconds: 20, ..Counts::default() });
        assert_eq!(since.total(|operation| operation.name == "ReceiveMessage").items, 1);
        assert_eq!(meter.read().since(&meter.read()), Usage::default());
    }
}
