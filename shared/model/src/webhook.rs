//! Webhooks: the endpoints of an account, and the deliveries of events to them.
//!
//! ```text
//!                 an attempt begins          2xx
//! ────▶ pending ────────────────────┬─────────────────────────────────────────────────▶ delivered
//!          ▲                        │   anything else, none, or its sender died           │
//!          │      later             │                                                     │ resend
//!          ├────────────────────────┤                                                     │
//!          │                        ├── the tenth of them, or 410 ────────────────────▶ failed ┐
//!          │                        └── the endpoint is disabled ─────────────────────▶ dropped├─ resend
//!          └───────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Everything here is pure: what a delivery becomes is a function of what it is and of what happened. The store writes
//! the new one in place of the old one on the condition that its `rev` is still that one's. So of two senders one makes
//! an attempt, and a sender that dies costs that attempt and no more.
//!
//! An attempt has begun when it is written down, before anything is sent: whoever is told it, the delivery knows of it.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, Event, EventId, EventType, InvalidId, KindName, WebhookId,
    event::Listener,
    limits::{
        DELIVERY_ATTEMPTS_KEPT, DELIVERY_DAYS, DELIVERY_DELAYED_SECONDS, DELIVERY_LEASE_MS, WEBHOOK_FAILING_DAYS,
        WEBHOOK_RETRY_AFTER_SECONDS, WEBHOOK_SECRET_OVERLAP_SECONDS, WEBHOOK_SECRETS,
    },
    listed::listed,
};

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 24 * 60 * 60 * SECOND_MS;

/// How long after each attempt but the last one the next one comes, in seconds: ten attempts over about three days.
pub const RETRY_SECONDS: [u64; 9] = [5, 60, 10 * 60, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, 20 * 3_600, 30 * 3_600];

/// Attempts of a delivery before it is given up.
pub const ATTEMPTS: u32 = RETRY_SECONDS.len() as u32 + 1;

listed! {
    /// How what is sent to an endpoint is signed.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    pub enum SignatureStyle {
        /// By HMAC-SHA256 with a secret that both sides have (Standard Webhooks, `v1`).
        #[default]
        V1,
        /// By Ed25519: the endpoint has the public key alone (Standard Webhooks, `v1a`).
        V1a,
        /// By one header `X-PM-Signature: sha256=<HMAC>`, as ProductsManager's documents have it.
        ProductsManager,
    }
}

impl SignatureStyle {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1a => "v1a",
            Self::ProductsManager => "productsmanager",
        }
    }
}

impl fmt::Display for SignatureStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for SignatureStyle {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let known = Self::ALL.into_iter().find(|style| style.as_str() == text);
        known.ok_or(InvalidId::new("a signature style is v1, v1a or productsmanager"))
    }
}

listed! {
    /// Why an endpoint is disabled.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "snake_case")]
    pub enum DisabledFor {
        /// Its account has done so.
        Asked,
        /// It has answered that it is gone (410).
        Gone,
        /// It has done nothing but fail for days.
        Failing,
    }
}

impl DisabledFor {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// That an endpoint is disabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub reason: DisabledFor,
    /// Since when, in Unix milliseconds.
    pub at: i64,
}

/// A secret of an endpoint: whoever has it can sign what is sent there. It is shown once, and never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// The secret as it is shown, such as `whsec_…`.
    pub secret: String,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// Until when it signs beside a newer one, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSecret")
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// An endpoint of an account, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub account: AccountId,
    /// Where events are sent to.
    pub url: String,
    /// The events that it asks for; all where there is nothing. With an empty list it is told those of the imports
    /// alone that name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<BTreeSet<EventType>>,
    /// The kinds whose events it asks for; all where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<KindName>>,
    /// What its account calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How what is sent is signed.
    #[serde(default)]
    pub style: SignatureStyle,
    /// Its secrets, the newest first.
    pub secrets: Vec<WebhookSecret>,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// Where it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Since when nothing but failures was seen of it, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<i64>,
    /// How often it has been written; every write is conditional on it.
    pub rev: u64,
}

/// What is changed of an endpoint: what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Where events are sent to from now on.
    pub url: Option<String>,
    /// The events that it asks for; `Some(None)` is all.
    pub events: Option<Option<BTreeSet<EventType>>>,
    /// The kinds whose events it asks for; `Some(None)` is all.
    pub kinds: Option<Option<BTreeSet<KindName>>>,
    /// What its account calls it.
    pub description: Option<Option<String>>,
    /// Whether nothing is sent to it.
    pub disabled: Option<bool>,
}

impl Webhook {
    /// An endpoint that is told everything, signed as Standard Webhooks has it.
    pub fn new(id: WebhookId, account: AccountId, url: String, secret: String, created_at: i64) -> Self {
        Self {
            id,
            account,
            url,
            events: None,
            kinds: None,
            description: None,
            style: SignatureStyle::default(),
            secrets: vec![WebhookSecret { secret, created_at, expires_at: None }],
            created_at,
            disabled: None,
            failing_since: None,
            rev: 1,
        }
    }

    /// The same after one more write.
    fn next(&self) -> Self {
        Self { rev: self.rev + 1, ..self.clone() }
    }

    /// What it asks for.
    pub fn listener(&self) -> Listener {
        Listener {
            since: self.created_at,
            events: self.events.clone(),
            kinds: self.kinds.clone(),
            disabled: self.disabled.is_some(),
        }
    }

    /// The endpoint after a change. One that is enabled again, or has another URL, is as one that never failed.
    pub fn change(&self, change: WebhookChange, now_ms: i64) -> Self {
        let next = self.next();
        let WebhookChange { url, events, kinds, description, disabled } = change;
        let (disabled, failing_since) = match disabled {
            None => (next.disabled, next.failing_since),
            Some(false) => (None, None),
            Some(true) => {
                let asked = Disabled { reason: DisabledFor::Asked, at: now_ms };
                (next.disabled.or(Some(asked)), next.failing_since)
            }
        };
        let failing_since = failing_since.filter(|_| url.as_ref().is_none_or(|url| *url == self.url));
        Self {
            url: url.unwrap_or(next.url),
            events: events.unwrap_or(next.events),
            kinds: kinds.unwrap_or(next.kinds),
            description: description.unwrap_or(next.description),
            disabled,
            failing_since,
            ..next
        }
    }

    /// The endpoint with a new secret, beside which those that it has sign for a day; `None` if they are too many.
    pub fn rotate(&self, secret: String, now_ms: i64) -> Option<Self> {
        let until = now_ms + WEBHOOK_SECRET_OVERLAP_SECONDS * SECOND_MS;
        let mut secrets = vec![WebhookSecret { secret, created_at: now_ms, expires_at: None }];
        for old in self.signing(now_ms) {
            secrets.push(WebhookSecret { expires_at: Some(old.expires_at.unwrap_or(until).min(until)), ..old.clone() });
        }
        (secrets.len() <= WEBHOOK_SECRETS).then(|| Self { secrets, ..self.next() })
    }

    /// The secrets that sign at this moment, in Unix milliseconds, the newest first.
    pub fn signing(&self, now_ms: i64) -> impl Iterator<Item = &WebhookSecret> {
        self.secrets.iter().filter(move |secret| secret.expires_at.is_none_or(|until| now_ms < until))
    }

    /// What the endpoint becomes by an attempt that has ended so at `now_ms`, and by which its delivery was or was not
    /// given up: it begins to fail, answers again, or is disabled. `None` where nothing changes.
    ///
    /// Only a delivery that was given up disables it: one failure after a week without events is no week of failures.
    pub fn after(&self, outcome: &Outcome, given_up: bool, now_ms: i64) -> Option<Self> {
        if self.disabled.is_some() {
            return None;
        }
        let disabled = |reason| Self { disabled: Some(Disabled { reason, at: now_ms }), ..self.next() };
        match self.failing_since {
            None if outcome.is_success() => None,
            Some(_) if outcome.is_success() => Some(Self { failing_since: None, ..self.next() }),
            _ if outcome.is_gone() => Some(disabled(DisabledFor::Gone)),
            None => Some(Self { failing_since: Some(now_ms), ..self.next() }),
            Some(since) if given_up && now_ms - since >= WEBHOOK_FAILING_DAYS * DAY_MS => {
                Some(disabled(DisabledFor::Failing))
            }
            Some(_) => None,
        }
    }
}

listed! {
    /// Where a delivery stands.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    pub enum DeliveryState {
        /// It is to be attempted, or attempted again.
        Pending,
        /// The endpoint has answered 2xx.
        Delivered,
        /// It was attempted as often as it may be, or the endpoint is gone.
        Failed,
        /// The endpoint was disabled when it was its turn.
        Dropped,
    }
}

impl DeliveryState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// One attempt of a delivery. Of one whose sender died nothing but its begin is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began, in Unix milliseconds.
    pub at: i64,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint has answered.
    Answered {
        /// The status of its answer.
        status: u16,
        /// How long it asks to be left alone, in seconds (RFC 9110 §10.2.3).
        retry_after_seconds: Option<u64>,
        /// The first bytes of the answer.
        body: String,
    },
    /// There was no answer, for a reason that this word names.
    Failed(String),
}

impl Outcome {
    /// Whether the event has arrived.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }

    /// Whether the endpoint says that there is none any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Answered { status: 410, .. })
    }
}

/// The delivery of one event to one endpoint, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where to.
    pub webhook: WebhookId,
    /// What.
    pub event: Event,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it has been written; every write is conditional on it.
    pub rev: u64,
    /// Attempts that have begun. The next one has this number, from 0.
    pub begun: u32,
    /// Attempts among them that have begun since it was ordered, or ordered again.
    pub tries: u32,
    /// The last of them, the oldest first.
    pub attempts: Vec<Attempt>,
    /// When the next attempt comes, in Unix milliseconds; until then one may be under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<i64>,
    /// Whether an attempt is under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub under_way: bool,
    /// The first bytes of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// What a sender that takes a delivery up finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryBegin {
    /// It is to be sent: this is the delivery once the attempt is written down.
    Send(Box<Delivery>),
    /// It has been attempted as often as it may be, and the last sender died: this is the delivery then.
    GiveUp(Box<Delivery>),
    /// Somebody else has taken it up, or its time has not come.
    Nothing,
}

impl Delivery {
    /// A delivery that nobody has attempted; one to a disabled endpoint is dropped, and can be ordered again.
    pub fn new(webhook: WebhookId, is_disabled: bool, event: Event, now_ms: i64) -> Self {
        let (state, next_at) = match is_disabled {
            false => (DeliveryState::Pending, Some(now_ms)),
            true => (DeliveryState::Dropped, None),
        };
        Self {
            webhook,
            event,
            state,
            rev: 1,
            begun: 0,
            tries: 0,
            attempts: Vec::new(),
            next_at,
            under_way: false,
            answer: None,
        }
    }

    /// Its id: that of its event, of which an endpoint has one delivery.
    pub fn id(&self) -> &EventId {
        &self.event.id
    }

    /// The same after one more write.
    fn next(&self) -> Self {
        Self { rev: self.rev + 1, ..self.clone() }
    }

    fn ended(&self, state: DeliveryState) -> Self {
        Self { state, next_at: None, under_way: false, ..self.next() }
    }

    /// What becomes of it when a sender takes up its attempt of this number.
    ///
    /// The sender looks for the endpoint behind that: so no attempt that begins after the endpoint was deleted, or
    /// disabled, sends anything.
    pub fn begin(&self, attempt: u32, now_ms: i64) -> DeliveryBegin {
        if attempt != self.begun || !self.is_due(now_ms) {
            return DeliveryBegin::Nothing;
        }
        if self.tries >= ATTEMPTS {
            return DeliveryBegin::GiveUp(Box::new(self.ended(DeliveryState::Failed)));
        }
        let mut attempts = self.attempts.clone();
        attempts.push(Attempt { at: now_ms, ms: None, status: None, error: None });
        let kept = attempts.len().saturating_sub(DELIVERY_ATTEMPTS_KEPT);
        attempts.drain(..kept);
        DeliveryBegin::Send(Box::new(Self {
            begun: self.begun + 1,
            tries: self.tries + 1,
            attempts,
            next_at: Some(now_ms + DELIVERY_LEASE_MS),
            under_way: true,
            ..self.next()
        }))
    }

    /// What becomes of it when the attempt that is under way finds its endpoint disabled: nothing was sent.
    pub fn drop_attempt(&self) -> Self {
        let mut dropped = self.ended(DeliveryState::Dropped);
        dropped.attempts.pop();
        dropped
    }

    /// What becomes of it when the attempt that is under way has ended, after `ms` milliseconds. `draw` is from 0 to 1,
    /// and moves the next attempt by a tenth of its delay either way.
    pub fn end_attempt(&self, outcome: &Outcome, ms: u64, now_ms: i64, draw: f64) -> Self {
        let mut told = self.next();
        told.under_way = false;
        if let Some(attempt) = told.attempts.last_mut() {
            attempt.ms = Some(ms);
            match outcome {
                Outcome::Answered { status, .. } => attempt.status = Some(*status),
                Outcome::Failed(code) => attempt.error = Some(code.clone()),
            }
        }
        let mut asked_seconds = None;
        told.answer = match outcome {
            Outcome::Answered { body, retry_after_seconds, .. } => {
                asked_seconds = *retry_after_seconds;
                Some(body.clone()).filter(|body| !body.is_empty())
            }
            Outcome::Failed(_) => None,
        };
        if outcome.is_success() {
            return Self { state: DeliveryState::Delivered, next_at: None, ..told };
        }
        let delay = RETRY_SECONDS.get((told.tries as usize).saturating_sub(1)).filter(|_| !outcome.is_gone());
        let Some(delay) = delay else { return Self { state: DeliveryState::Failed, next_at: None, ..told } };
        let drawn = (*delay * 1_000) as f64 * (0.9 + 0.2 * draw.clamp(0.0, 1.0));
        let asked_ms = asked_seconds.unwrap_or(0).min(WEBHOOK_RETRY_AFTER_SECONDS) as i64 * SECOND_MS;
        Self { next_at: Some(now_ms + (drawn as i64).max(asked_ms)), ..told }
    }

    /// The delivery that is ordered again: it is attempted at once, and as often as a new one. Where an attempt is
    /// under way that is the next one.
    pub fn resend(&self, now_ms: i64) -> Self {
        let next_at = self.next_at.filter(|_| self.under_way).unwrap_or(now_ms);
        Self { state: DeliveryState::Pending, tries: 0, next_at: Some(next_at), ..self.next() }
    }

    /// How long the order of the next attempt is held back by its queue, in whole seconds; `None` where there is none,
    /// or it is later than a queue can hold it: then the sweeper orders it.
    pub fn delay_seconds(&self, now_ms: i64) -> Option<u32> {
        let next_at = self.next_at.filter(|_| self.state == DeliveryState::Pending && !self.under_way)?;
        let wait_ms = u64::try_from(next_at - now_ms).unwrap_or(0);
        u32::try_from(wait_ms.div_ceil(1_000)).ok().filter(|seconds| *seconds <= DELIVERY_DELAYED_SECONDS)
    }

    /// When the sweeper orders the next attempt, in Unix milliseconds, if it is not ordered otherwise by then; `None`
    /// where there is none.
    pub fn due_at(&self, now_ms: i64) -> Option<i64> {
        let next_at = self.next_at.filter(|_| self.state == DeliveryState::Pending)?;
        // One that is ordered has some time to come.
        Some(if self.delay_seconds(now_ms).is_some() { next_at + DELIVERY_LEASE_MS } else { next_at })
    }

    /// Whether the next attempt may begin: its time has come, or the lease of the one before is over.
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.state == DeliveryState::Pending && self.next_at.is_some_and(|next_at| next_at <= now_ms)
    }

    /// Until when it is kept, in Unix milliseconds, if it is written now.
    pub fn kept_until(&self, now_ms: i64) -> i64 {
        self.event.at.max(self.next_at.unwrap_or(now_ms)) + DELIVERY_DAYS * DAY_MS
    }
}

#[cfg(test)]
mod tests;
