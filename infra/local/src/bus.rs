//! The bus: what EventBridge takes of Penstock, over its JSON protocol (`application/x-amz-json-1.1`).
//!
//! Source: the Amazon EventBridge API Reference, PutEvents. There is one bus, and there are no rules: what is put on it
//! is remembered, the last of it, and told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::events::{Event, Events};
use crate::pulse::Pulse;
use crate::queue::random_id;

/// The name of the local cloud's bus.
pub(crate) const NAME: &str = "penstock";

/// Entries that are remembered, at most: the last.
const REMEMBERED: usize = 10_000;
/// Entries of one request, at most.
const ENTRIES: usize = 10;
/// Bytes of the entries of one request, at most.
const BYTES: usize = 1 << 20;

/// The bus. Cheap to clone; all clones are one bus.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    put: Arc<Mutex<VecDeque<BusEntry>>>,
    events: Option<Events>,
    activity: Pulse,
}

/// What was put on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEntry {
    /// Who put it there.
    pub source: String,
    /// What has happened.
    pub detail_type: String,
    /// The whole of it.
    pub detail: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    event_bus_name: Option<String>,
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
}

impl Bus {
    pub(crate) fn new(events: Option<Events>, activity: Pulse) -> Self {
        Self { put: Arc::default(), events, activity }
    }

    /// What was put on it, the oldest first.
    pub(crate) fn entries(&self) -> Vec<BusEntry> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<BusEntry>> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an entry; the answer of it.
    fn take(&self, entry: Entry) -> Value {
        let refused = |code: &str, message: &str| json!({ "ErrorCode": code, "ErrorMessage": message });
        let Entry { event_bus_name: Some(bus), source: Some(source), detail_type: Some(detail_type), detail } = entry
        else {
            return refused("InvalidArgument", "Parameter EventBusName, Source or DetailType is not set.");
        };
        if bus != NAME {
            return refused("ResourceNotFoundException", "There is no such event bus.");
        }
        let Some(Ok(detail @ Value::Object(_))) = detail.map(|detail| serde_json::from_str(&detail)) else {
            return refused("MalformedDetail", "Detail is malformed.");
        };
        if let Some(events) = &self.events {
            let data = &detail["data"];
            let of = ["import", "export", "webhook"].iter().find_map(|sort| data[*sort]["id"].as_str());
            let of = of.unwrap_or_default().to_owned();
            events.tell(Event::OnBus { what: detail_type.clone(), id: text(&detail["id"]), of });
        }
        let mut put = self.lock();
        if put.len() == REMEMBERED {
            put.pop_front();
        }
        put.push_back(BusEntry { source, detail_type, detail });
        drop(put);
        self.activity.beat();
        json!({ "EventId": random_id() })
    }

    fn call(&self, target: &str, body: &[u8]) -> Result<Value, (&'static str, String)> {
        if target != "AWSEvents.PutEvents" {
            return Err(("UnknownOperationException", String::new()));
        }
        let malformed = |error: serde_json::Error| ("SerializationException", error.to_string());
        let PutEvents { entries } = serde_json::from_slice(body).map_err(malformed)?;
        if entries.is_empty() || entries.len() > ENTRIES || body.len() > BYTES {
            let limits = format!("PutEvents takes 1 to {ENTRIES} entries, of {BYTES} bytes together");
            return Err(("ValidationException", limits));
        }
        let answers: Vec<Value> = entries.into_iter().map(|entry| self.take(entry)).collect();
        let failed = answers.iter().filter(|answer| answer.get("ErrorCode").is_some()).count();
        Ok(json!({ "FailedEntryCount": failed, "Entries": answers }))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The bus as a router, to be served anywhere.
pub(crate) fn router(bus: Bus) -> Router {
    Router::new().fallback(answer).with_state(bus)
}

async fn answer(State(bus): State<Bus>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (status, body) = match bus.call(target, &body) {
        Ok(body) => (StatusCode::OK, body),
        Err((code, message)) => (StatusCode::BAD_REQUEST, json!({ "__type": code, "message": message })),
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string()).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn put(bus: &Bus, entries: &Value) -> Value {
        bus.call("AWSEvents.PutEvents", json!({ "Entries": entries }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_put_is_remembered_and_what_is_malformed_is_refused_by_itself() {
        let bus = Bus::new(None, Pulse::new());
        let entry = |bus: &str, detail: &str| {
            let what = "import.completed";
            json!({ "EventBusName": bus, "Source": "penstock", "DetailType": what, "Detail": detail })
        };
        let answer = put(&bus, &json!([entry(NAME, r#"{"id":"evt_1"}"#), entry("other", "{}"), entry(NAME, "no")]));
        assert_eq!(answer["FailedEntryCount"], 2);
        let codes: Vec<_> = answer["Entries"].as_array().unwrap().iter().map(|one| text(&one["ErrorCode"])).collect();
        assert_eq!(codes, ["", "ResourceNotFoundException", "MalformedDetail"]);
        let entries = bus.entries();
        assert_eq!((entries.len(), &entries[0].detail["id"]), (1, &json!("evt_1")));
        assert!(bus.call("AWSEvents.PutEvents", br#"{"Entries":[]}"#).is_err());
        assert!(bus.call("AWSEvents.PutRule", b"{}").is_err());
    }
}
