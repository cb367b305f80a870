//! Events: what is told to whoever waits. An event is thin: it says which import or export has come where, and counts;
//! never a cell, nor a sentence that may repeat one.
//!
//! An event is made of a transition ([`Import::event`], [`Export::event`]) and stored in the transaction that makes the
//! transition. Each happens once in the life of an import or export, so its id follows from what has happened: whoever
//! is told it twice can tell so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, Export, ExportId, ExportStatus, Import, ImportId, InvalidId, KindName, Rows, Status, Transition,
    Webhook, WebhookId, id::EventId, limits::BUS_MS, listed::listed, rfc3339, webhook::DisabledFor,
};

listed! {
    /// What has happened.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    pub enum EventType {
        /// The upload of an import was found.
        #[serde(rename = "import.processing")]
        ImportProcessing,
        /// An import has applied every row.
        #[serde(rename = "import.completed")]
        ImportCompleted,
        /// An import has looked at every row and rejected some.
        #[serde(rename = "import.completed_with_errors")]
        ImportCompletedWithErrors,
        /// An import has ended early, for a reason that it names.
        #[serde(rename = "import.failed")]
        ImportFailed,
        /// An import was cancelled, and has ended.
        #[serde(rename = "import.cancelled")]
        ImportCancelled,
        /// Nothing was uploaded to an import in time.
        #[serde(rename = "import.expired")]
        ImportExpired,
        /// An import waits to be confirmed.
        #[serde(rename = "import.awaiting_confirmation")]
        ImportAwaitingConfirmation,
        /// The file of an export is there.
        #[serde(rename = "export.completed")]
        ExportCompleted,
        /// An export has ended without a file.
        #[serde(rename = "export.failed")]
        ExportFailed,
        /// Somebody asked for an event, to see that it comes. It goes to one endpoint alone.
        #[serde(rename = "webhook.test")]
        WebhookTest,
        /// An endpoint was disabled, since it did not answer as it should. It goes to the bus alone.
        #[serde(rename = "webhook.disabled")]
        WebhookDisabled,
    }
}

impl EventType {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImportProcessing => "import.processing",
            Self::ImportCompleted => "import.completed",
            Self::ImportCompletedWithErrors => "import.completed_with_errors",
            Self::ImportFailed => "import.failed",
            Self::ImportCancelled => "import.cancelled",
            Self::ImportExpired => "import.expired",
            Self::ImportAwaitingConfirmation => "import.awaiting_confirmation",
            Self::ExportCompleted => "export.completed",
            Self::ExportFailed => "export.failed",
            Self::WebhookTest => "webhook.test",
            Self::WebhookDisabled => "webhook.disabled",
        }
    }

    /// Whether an endpoint may ask for it.
    pub const fn is_for_webhooks(self) -> bool {
        !matches!(self, Self::WebhookTest | Self::WebhookDisabled)
    }

    /// Whether it is put on the bus.
    pub const fn is_for_bus(self) -> bool {
        !matches!(self, Self::WebhookTest)
    }

    /// What an import's new status tells; `None` for that of a new import.
    fn of_import(status: Status) -> Option<Self> {
        match status {
            Status::AwaitingUpload => None,
            Status::Processing => Some(Self::ImportProcessing),
            Status::AwaitingConfirmation => Some(Self::ImportAwaitingConfirmation),
            Status::Completed => Some(Self::ImportCompleted),
            Status::CompletedWithErrors => Some(Self::ImportCompletedWithErrors),
            Status::Failed => Some(Self::ImportFailed),
            Status::Cancelled => Some(Self::ImportCancelled),
            Status::Expired => Some(Self::ImportExpired),
        }
    }
}

impl std::fmt::Display for EventType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for EventType {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let known = Self::ALL.into_iter().find(|what| what.as_str() == text);
        known.ok_or(InvalidId::new("there is no event of this type"))
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id: the same however often it is told.
    pub id: EventId,
    /// What has happened.
    #[serde(rename = "type")]
    pub what: EventType,
    /// When, in Unix milliseconds.
    pub at: i64,
    /// Whose it is.
    pub account: AccountId,
    /// What it has happened to.
    pub subject: Subject,
    /// The endpoint that its import names: it is told whatever it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookId>,
}

/// What an event has happened to, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An import.
    Import(ImportSubject),
    /// An export.
    Export(ExportSubject),
    /// An endpoint.
    Webhook(WebhookSubject),
}

/// An import, as an event tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSubject {
    /// Its id.
    pub id: ImportId,
    /// The kind of its records.
    pub kind: KindName,
    /// Where it stands.
    pub status: Status,
    /// Whether it is a dry run or a review, which change no record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writes_nothing: bool,
    /// Its final counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// Records that it would remove, where it waits to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_remove: Option<u64>,
    /// Records that it has removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
    /// The code of its failure. The sentence stays with the import: it may name what stands in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The import that applies it, where it is a review that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_as: Option<ImportId>,
    /// What its creator had it carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// An export, as an event tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportSubject {
    /// Its id.
    pub id: ExportId,
    /// The kind of its records.
    pub kind: KindName,
    /// Where it stands.
    pub status: ExportStatus,
    /// Records in its file.
    pub records: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// The code of its failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// An endpoint, as an event tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSubject {
    /// Its id.
    pub id: WebhookId,
    /// Why it was disabled, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<DisabledFor>,
}

impl Import {
    /// What is told when a transition of the import is made at `now_ms`; `None` for one that its owner does not see,
    /// and for a confirmation, which its owner has made.
    pub fn event(&self, transition: &Transition, now_ms: i64) -> Option<Event> {
        let status = transition.status().filter(|status| *status != self.status)?;
        if status == Status::Processing {
            return self.event_of_upload(now_ms);
        }
        let (mut rows, mut to_remove, mut removed, mut failure, mut confirmed_as) = (None, None, None, None, None);
        match transition {
            Transition::End { failure: why, rows: counts, removed: records, .. } => {
                // One that ends before its file came has counted nothing.
                rows = counts.or(Some(Rows::default()));
                (removed, failure) = (*records, why.as_ref().map(|failure| failure.code.clone()));
            }
            Transition::Hold { to_remove: would, rows: counts, .. } => {
                rows = counts.or_else(|| self.total.map(|total| self.counts(total)));
                to_remove = would.map(|would| would.records);
            }
            Transition::ConfirmAs { import, .. } => {
                (rows, confirmed_as) = (self.rows, Some(import.clone()));
            }
            Transition::Wait { .. }
            | Transition::Accept { .. }
            | Transition::Judge { .. }
            | Transition::Split { .. }
            | Transition::Confirm { .. }
            | Transition::Decide { .. }
            | Transition::Halt(_) => {}
        }
        let subject = ImportSubject { rows, to_remove, removed, failure, confirmed_as, ..self.subject(status) };
        self.tell(subject, now_ms)
    }

    /// What is told when its upload is found at `now_ms`, whether it is accepted at once or waits; `None` where that
    /// was told before.
    pub fn event_of_upload(&self, now_ms: i64) -> Option<Event> {
        let is_first = matches!(self.status, Status::AwaitingUpload | Status::Expired);
        is_first.then(|| self.tell(self.subject(Status::Processing), now_ms)).flatten()
    }

    /// What is told when the import is made, at `now_ms`, with its upload: `None` for one that awaits it.
    pub fn event_of_new(&self, now_ms: i64) -> Option<Event> {
        self.tell(self.subject(self.status), now_ms)
    }

    fn subject(&self, status: Status) -> ImportSubject {
        ImportSubject {
            id: self.id.clone(),
            kind: self.kind.clone(),
            status,
            writes_nothing: !self.options.writes(),
            rows: None,
            to_remove: None,
            removed: None,
            failure: None,
            confirmed_as: None,
            metadata: self.metadata.clone(),
        }
    }

    fn tell(&self, subject: ImportSubject, now_ms: i64) -> Option<Event> {
        let what = EventType::of_import(subject.status)?;
        Some(Event {
            id: EventId::new(now_ms, self.id.random_bits(), what as u8, 0),
            what,
            at: now_ms,
            account: self.account.clone(),
            subject: Subject::Import(subject),
            webhook: self.webhook.clone(),
        })
    }
}

impl Export {
    /// What is told of an export that has ended; `None` for one that has not, or was cancelled.
    pub fn event(&self) -> Option<Event> {
        let what = match self.status {
            ExportStatus::Completed => EventType::ExportCompleted,
            ExportStatus::Failed => EventType::ExportFailed,
            ExportStatus::Pending | ExportStatus::Processing | ExportStatus::Cancelled => return None,
        };
        let at = self.ended_at?;
        let subject = ExportSubject {
            id: self.id.clone(),
            kind: self.kind.clone(),
            status: self.status,
            records: self.checkpoint.records,
            bytes: self.checkpoint.bytes,
            failure: self.failure.as_ref().map(|failure| failure.code.clone()),
        };
        Some(Event {
            id: EventId::new(at, self.id.random_bits(), what as u8, 0),
            what,
            at,
            account: self.account.clone(),
            subject: Subject::Export(subject),
            webhook: None,
        })
    }
}

impl Webhook {
    /// An event that somebody asks for at `now_ms`, which `random` tells from others.
    pub fn test_event(&self, now_ms: i64, random: [u8; 10]) -> Event {
        let id = EventId::new(now_ms, random, EventType::WebhookTest as u8, 0);
        self.event(id, EventType::WebhookTest, now_ms, None)
    }

    /// What is told when the endpoint has been disabled since it does not answer as it should; `None` where it was not.
    pub fn disabled_event(&self) -> Option<Event> {
        let disabled = self.disabled.as_ref().filter(|disabled| disabled.reason != DisabledFor::Asked)?;
        let what = EventType::WebhookDisabled;
        let id = EventId::new(disabled.at, self.id.random_bits(), what as u8, self.rev);
        Some(self.event(id, what, disabled.at, Some(disabled.reason)))
    }

    fn event(&self, id: EventId, what: EventType, at: i64, disabled: Option<DisabledFor>) -> Event {
        let subject = Subject::Webhook(WebhookSubject { id: self.id.clone(), disabled });
        Event { id, what, at, account: self.account.clone(), subject, webhook: Some(self.id.clone()) }
    }
}

impl Event {
    /// The kind that it is about, where it is about one.
    pub fn kind(&self) -> Option<&KindName> {
        match &self.subject {
            Subject::Import(import) => Some(&import.kind),
            Subject::Export(export) => Some(&export.kind),
            Subject::Webhook(_) => None,
        }
    }

    /// Whether it happened so long ago that nobody tries any more to put it on a bus that does not take it.
    pub fn is_late(&self, now_ms: i64) -> bool {
        now_ms - self.at > BUS_MS
    }

    /// The event as it is sent. `base` is the URL of the API, without a slash at its end, where that is known.
    pub fn message(&self, base: Option<&str>) -> EventMessage {
        let url = |rest: String| base.map(|base| format!("{base}/v1/{rest}"));
        let mut data = EventData { account: self.account.to_string(), import: None, export: None, webhook: None };
        match &self.subject {
            Subject::Import(import) => {
                data.import = Some(ImportTold {
                    id: import.id.to_string(),
                    kind: import.kind.to_string(),
                    status: import.status,
                    writes_nothing: import.writes_nothing,
                    rows: import.rows,
                    to_remove: import.to_remove,
                    removed: import.removed,
                    failure: import.failure.clone(),
                    confirmed_as: import.confirmed_as.as_ref().map(ToString::to_string),
                    metadata: import.metadata.clone(),
                    url: url(format!("imports/{}", import.id)),
                });
            }
            Subject::Export(export) => {
                data.export = Some(ExportTold {
                    id: export.id.to_string(),
                    kind: export.kind.to_string(),
                    status: export.status,
                    records: export.records,
                    bytes: export.bytes,
                    failure: export.failure.clone(),
                    url: url(format!("exports/{}", export.id)),
                });
            }
            Subject::Webhook(webhook) => {
                data.webhook = Some(WebhookTold {
                    id: webhook.id.to_string(),
                    disabled: webhook.disabled,
                    url: url(format!("webhooks/{}", webhook.id)),
                });
            }
        }
        EventMessage { id: self.id.to_string(), what: self.what, timestamp: rfc3339(self.at), data }
    }
}

/// An event as it is sent, to an endpoint and to the bus (Standard Webhooks, "Payload structure").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventMessage {
    /// The id of the event: the same however often it is sent.
    pub id: String,
    /// What has happened.
    #[serde(rename = "type")]
    pub what: EventType,
    /// When, in RFC 3339.
    pub timestamp: String,
    /// What it has happened to.
    pub data: EventData,
}

/// What an event has happened to: one of the three is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventData {
    /// Whose it is.
    pub account: String,
    /// An import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportTold>,
    /// An export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportTold>,
    /// An endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookTold>,
}

/// An import in an event, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportTold {
    /// Its id.
    pub id: String,
    /// The kind of its records.
    pub kind: String,
    /// Where it stood.
    pub status: Status,
    /// It is a dry run or a review: it changes no record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writes_nothing: bool,
    /// Its final counts, once it has ended or waits to be confirmed.
    pub rows: Option<Rows>,
    /// Records that it would remove, where it waits to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_remove: Option<u64>,
    /// Records that it has removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
    /// The code of its failure.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::codes::failures_or_none())))]
    pub failure: Option<String>,
    /// The import that applies it, where it is a review that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_as: Option<String>,
    /// What its creator had it carry.
    pub metadata: BTreeMap<String, String>,
    /// Where it is asked for, with a key.
    pub url: Option<String>,
}

/// An export in an event, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExportTold {
    /// Its id.
    pub id: String,
    /// The kind of its records.
    pub kind: String,
    /// Where it stood.
    pub status: ExportStatus,
    /// Records in its file.
    pub records: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// The code of its failure.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::codes::failures_or_none())))]
    pub failure: Option<String>,
    /// Where it is asked for, with a key.
    pub url: Option<String>,
}

/// An endpoint in an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookTold {
    /// Its id.
    pub id: String,
    /// Why it was disabled, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<DisabledFor>,
    /// Where it is asked for, with a key.
    pub url: Option<String>,
}

/// Who of an account listens: its endpoints, and what they ask for. It is one small item, so one consistent read tells
/// whether an event is to be stored at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listeners(pub BTreeMap<WebhookId, Listener>);

/// What one endpoint asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// When it was made, in Unix milliseconds: what happened before is not told.
    pub since: i64,
    /// The events that it asks for; all where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<BTreeSet<EventType>>,
    /// The kinds whose events it asks for; all where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<KindName>>,
    /// Whether it is disabled: what it asks for is kept for it, and not sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

impl Listener {
    /// Whether it asks for an event.
    fn takes(&self, id: &WebhookId, event: &Event) -> bool {
        if event.at < self.since {
            return false;
        }
        if event.webhook.as_ref() == Some(id) {
            return event.what != EventType::WebhookDisabled;
        }
        event.what.is_for_webhooks()
            && self.events.as_ref().is_none_or(|events| events.contains(&event.what))
            && match (&self.kinds, event.kind()) {
                (Some(kinds), Some(kind)) => kinds.contains(kind),
                (None, _) | (_, None) => true,
            }
    }
}

impl Listeners {
    /// The endpoints that an event is to be told.
    pub fn of<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = (&'a WebhookId, &'a Listener)> {
        self.0.iter().filter(|(id, listener)| listener.takes(id, event))
    }

    /// Whether an event is to be stored and told: to an endpoint, or to the bus where there is one.
    pub fn hear(&self, event: &Event, has_bus: bool) -> bool {
        (has_bus && event.what.is_for_bus()) || self.of(event).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, Halt, StoredObject};

    fn import() -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        Import::new(ImportId::new(1, [7; 10]), account, kind, 1, 2)
    }

    fn end(status: Status) -> Transition {
        let failure =
            (status == Status::Failed).then(|| Failure::new("missing_column", "the column »Lamp« is missing"));
        Transition::End { status, failure, rows: Some(Rows::default()), removed: None }
    }

    fn accept() -> Transition {
        let object = StoredObject { version: None, etag: "e".into(), bytes: 1 };
        Transition::Accept { object: Some(object), order: 1, no_older_running: true }
    }

    #[test]
    fn every_type_has_its_word() {
        for what in EventType::ALL {
            assert_eq!(what.as_str().parse(), Ok(what));
            assert_eq!(serde_json::to_value(what).expect("JSON"), what.as_str());
        }
    }

    #[test]
    fn what_an_owner_sees_is_told_once_and_what_it_does_not_see_is_not() {
        let told = |import: &Import, transition: &Transition| import.event(transition, 5).map(|event| event.what);
        let awaits = import();
        assert_eq!(told(&awaits, &accept()), Some(EventType::ImportProcessing));
        let expired = Import { status: Status::Expired, ..import() };
        assert_eq!(told(&expired, &accept()), Some(EventType::ImportProcessing));
        let runs = Import { status: Status::Processing, ..import() };
        assert_eq!(told(&runs, &accept()), None);
        assert_eq!(told(&runs, &Transition::Split { total: 1 }), None);
        assert_eq!(told(&runs, &Transition::Halt(Halt::cancelled())), None);
        for status in [Status::Completed, Status::CompletedWithErrors, Status::Failed, Status::Cancelled] {
            let what = told(&runs, &end(status)).expect("it has ended");
            assert_eq!(what.as_str(), format!("import.{}", status.as_str()));
        }
        let hold = Transition::Hold { to_remove: None, until: 9, rows: Some(Rows::default()) };
        assert_eq!(told(&runs, &hold), Some(EventType::ImportAwaitingConfirmation));
        let held = Import { status: Status::AwaitingConfirmation, ..import() };
        assert_eq!(told(&held, &Transition::Confirm { order: 2 }), None);
    }

    #[test]
    fn an_id_follows_from_what_has_happened() {
        let event = |import: &Import, transition: &Transition, at| import.event(transition, at).expect("told").id;
        let (first, other) = (import(), Import { id: ImportId::new(1, [8; 10]), ..import() });
        assert_eq!(event(&first, &accept(), 5), event(&first, &accept(), 5));
        let ids: BTreeSet<EventId> = [&first, &other]
            .into_iter()
            .flat_map(|import| {
                [accept(), end(Status::Failed), end(Status::Completed)].map(|made| event(import, &made, 5))
            })
            .collect();
        assert_eq!(ids.len(), 6);
        assert!(event(&first, &end(Status::Failed), 5) < event(&other, &accept(), 6), "they sort by their time");
    }

    #[test]
    fn a_message_has_the_code_of_a_failure_and_not_its_sentence() {
        let runs = Import { status: Status::Processing, ..import() };
        let event = runs.event(&end(Status::Failed), 1_795_284_859_999).expect("told");
        let message = serde_json::to_string(&event.message(Some("https://a.example"))).expect("JSON");
        assert!(message.contains(r#""failure":"missing_column""#) && !message.contains("Lamp"), "{message}");
        assert!(message.contains(r#""type":"import.failed","timestamp":"2026-11-21T18:14:19Z""#), "{message}");
        assert!(message.contains(&format!("\"https://a.example/v1/imports/{}\"", runs.id)), "{message}");
        assert!(!event.id.as_str().contains('.'), "the id is signed between full stops");
    }

    #[test]
    fn an_endpoint_is_told_what_it_asks_for_since_it_is_there() {
        let ids = [[1; 10], [2; 10], [3; 10]].map(|random| WebhookId::new(1, random));
        let all = Listener { since: 3, events: None, kinds: None, disabled: false };
        let failures = Listener { events: Some([EventType::ImportFailed].into()), ..all.clone() };
        let vendors = Listener { kinds: Some(["vendors".parse().expect("valid")].into()), ..all.clone() };
        let listeners = Listeners(ids.iter().cloned().zip([all, failures, vendors]).collect());
        let told = |event: &Event| listeners.of(event).map(|(id, _)| id.clone()).collect::<Vec<_>>();
        let runs = Import { status: Status::Processing, ..import() };
        let at = |now| runs.event(&end(Status::Failed), now).expect("told");
        assert_eq!(told(&at(2)), []);
        assert_eq!(told(&at(3)), ids[..2]);
        let completed = runs.event(&end(Status::Completed), 5).expect("told");
        assert_eq!(told(&completed), ids[..1]);
        let named = Event { webhook: Some(ids[2].clone()), ..completed.clone() };
        assert_eq!(told(&named), [ids[0].clone(), ids[2].clone()]);
        let nobody = Listeners::default();
        assert!(!nobody.hear(&completed, false) && nobody.hear(&completed, true));
    }
}
