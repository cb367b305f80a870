//! One standard queue, in memory: visibility timeouts, receive counts, redrive.
//!
//! Source: the Amazon SQS Developer Guide, "Amazon SQS visibility timeout" and "Using dead-letter queues in Amazon
//! SQS". Delivery is at least once and in no promised order; here it is once, in turn among the message groups and
//! oldest first within one, unless the weather says otherwise.

mod visible;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::LocalClock;
use crate::faults::{Source, Weather};
use crate::pulse::Pulse;
use visible::Visible;

/// How a queue behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a received message stays hidden, unless the receiver asks for something else.
    pub visibility_timeout: Duration,
    /// After how many receives a message goes to the dead-letter queue instead of being received again.
    pub max_receive_count: u32,
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The id that SQS gave when it was sent; the same on every delivery.
    pub id: String,
    /// What to delete it with; another on every delivery.
    pub receipt: String,
    /// The body as it was sent.
    pub body: String,
    /// The MD5 of the body, in lower-case hexadecimal digits.
    pub body_md5: String,
    /// The tenant, by which fair queues share out deliveries.
    pub group: Option<String>,
    /// When it was sent, in milliseconds by the local clock.
    pub sent_ms: i64,
    /// When it was first received.
    pub first_received_ms: i64,
    /// How many times it has been received, this one included.
    pub receive_count: u32,
    /// The queue from which it was redriven, if this is a dead-letter queue.
    pub dead_letter_source: Option<String>,
}

/// What is in a queue at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that a receiver would get now.
    pub visible: usize,
    /// Messages received and neither deleted nor visible again.
    pub in_flight: usize,
    /// Messages sent with a delay that has not passed.
    pub delayed: usize,
}

impl Depth {
    /// All messages in the queue.
    #[must_use]
    pub fn total(self) -> usize {
        self.visible + self.in_flight + self.delayed
    }
}

/// Why a receipt handle was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// No queue ever gave out such a handle.
    #[error("the receipt handle is not valid")]
    Malformed,
    /// The message is deleted, or has been received again since.
    #[error("the receipt handle has expired")]
    Expired,
    /// The message is visible: there is no timeout to change.
    #[error("the message is not in flight")]
    NotInFlight,
}

/// A queue. Cheap to clone; all clones are one queue.
#[derive(Clone, Debug)]
pub struct Queue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    settings: QueueSettings,
    dead_letters: Option<Queue>,
    clock: LocalClock,
    weather: Weather,
    /// Beats when this queue changes.
    changed: Pulse,
    /// Beats when anything in the cloud changes.
    activity: Pulse,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By order of arrival.
    messages: BTreeMap<u64, Queued>,
    /// Arrival numbers of the messages that may be received now.
    visible: Visible,
    /// The others, by the time at which they become visible.
    hidden: BTreeSet<(i64, u64)>,
    /// Where the live receipts point.
    receipts: HashMap<String, u64>,
    next_arrival: u64,
}

/// A message as the queue holds it.
#[derive(Clone, Debug)]
struct Queued {
    id: String,
    body: String,
    body_md5: String,
    group: Option<String>,
    sent_ms: i64,
    first_received_ms: Option<i64>,
    receive_count: u32,
    receipt: Option<String>,
    visible_at_ms: i64,
    dead_letter_source: Option<String>,
    /// A second delivery that the weather made.
    double: bool,
    /// The weather has undone its deletion once.
    deletion_forgotten: bool,
}

impl Queue {
    pub(crate) fn new(
        name: &str,
        settings: QueueSettings,
        dead_letters: Option<Queue>,
        clock: LocalClock,
        weather: Weather,
        activity: Pulse,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                settings,
                dead_letters,
                clock,
                weather,
                changed: Pulse::new(),
                activity,
                state: Mutex::default(),
            }),
        }
    }

    /// The queue's name, the last segment of its URL.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> QueueSettings {
        self.inner.settings
    }

    /// Where messages go that were received too often.
    #[must_use]
    pub fn dead_letters(&self) -> Option<&Queue> {
        self.inner.dead_letters.as_ref()
    }

    /// Puts a message on the queue and returns its id. A repeat puts another one there. Limits are the caller's to
    /// check: the service does, this does not.
    pub fn send(&self, body: String, group: Option<String>, delay: Duration) -> String {
        let now = self.inner.clock.now_ms();
        let faults = self.inner.weather.faults();
        let mut delay_ms = millis(delay);
        if self.inner.weather.strikes(Source::Queues, faults.message_delayed) {
            delay_ms += millis(self.inner.weather.up_to(Source::Queues, faults.delay));
        }
        let id = random_id();
        self.insert(Queued {
            id: id.clone(),
            body_md5: md5_hex(body.as_bytes()),
            body,
            group,
            sent_ms: now,
            first_received_ms: None,
            receive_count: 0,
            receipt: None,
            visible_at_ms: now + delay_ms,
            dead_letter_source: None,
            double: false,
            deletion_forgotten: false,
        });
        id
    }

    /// Up to `max` messages that are visible now, hidden from others for `visibility_timeout` (the queue's if `None`).
    /// A message that was received too often moves to the dead-letter queue instead. A repeat gives other messages.
    pub fn take(&self, max: usize, visibility_timeout: Option<Duration>) -> Vec<Message> {
        self.take_within(max, usize::MAX, visibility_timeout)
    }

    /// As [`Queue::take`], but stops before the bodies, written as JSON strings, exceed `max_bytes` together. The first
    /// is always taken.
    pub(crate) fn take_within(
        &self,
        max: usize,
        max_bytes: usize,
        visibility_timeout: Option<Duration>,
    ) -> Vec<Message> {
        let timeout_ms = millis(visibility_timeout.unwrap_or(self.inner.settings.visibility_timeout));
        let weather = &self.inner.weather;
        let faults = weather.faults();
        let mut taken = Vec::new();
        let mut dead = Vec::new();
        let mut doubles = Vec::new();
        {
            let mut state = self.state();
            let now = self.inner.clock.now_ms();
            state.show_due(now);
            let mut passed_over = Vec::new();
            let mut bytes = 0;
            while taken.len() < max {
                let reorder = state.visible.len() > 1 && weather.strikes(Source::Queues, faults.message_reordered);
                let next = if reorder {
                    let place = weather.below(Source::Queues, state.visible.len().min(64) as u64);
                    state.visible.nth(usize::try_from(place).unwrap_or(0))
                } else {
                    state.visible.next()
                };
                let Some(arrival) = next else { break };
                let message = state.messages.get_mut(&arrival).expect("a visible message is stored");
                bytes += json_bytes(&message.body);
                if bytes > max_bytes && !taken.is_empty() {
                    break;
                }
                let (receipt, group) = (message.receipt.take(), message.group.clone());
                state.visible.remove(&group, arrival);
                state.visible.had_turn(&group);
                if let Some(receipt) = receipt {
                    state.receipts.remove(&receipt);
                }
                let message = state.messages.get_mut(&arrival).expect("a visible message is stored");
                if self.inner.dead_letters.is_some() && message.receive_count >= self.inner.settings.max_receive_count {
                    dead.extend(state.messages.remove(&arrival));
                    continue;
                }
                let receipt = random_id();
                message.receive_count += 1;
                message.receipt = Some(receipt.clone());
                let first_received_ms = *message.first_received_ms.get_or_insert(now);
                if message.receive_count == 1
                    && !message.double
                    && weather.strikes(Source::Queues, faults.message_twice)
                {
                    doubles.push(Queued { receipt: None, visible_at_ms: now, double: true, ..message.clone() });
                }
                if timeout_ms > 0 {
                    message.visible_at_ms = now + timeout_ms;
                } else {
                    passed_over.push((group, arrival));
                }
                taken.push(Message {
                    id: message.id.clone(),
                    receipt: receipt.clone(),
                    body: message.body.clone(),
                    body_md5: message.body_md5.clone(),
                    group: message.group.clone(),
                    sent_ms: message.sent_ms,
                    first_received_ms,
                    receive_count: message.receive_count,
                    dead_letter_source: message.dead_letter_source.clone(),
                });
                let visible_at_ms = message.visible_at_ms;
                state.receipts.insert(receipt, arrival);
                if passed_over.last().is_none_or(|(_, passed_over)| *passed_over != arrival) {
                    state.hidden.insert((visible_at_ms, arrival));
                }
            }
            // Still visible, but not twice to the same receiver at once.
            for (group, arrival) in passed_over {
                state.visible.insert(&group, arrival);
            }
        }
        for double in doubles {
            self.insert(double);
        }
        if let Some(queue) = &self.inner.dead_letters {
            for message in dead {
                queue.insert(Queued {
                    receive_count: 0,
                    first_received_ms: None,
                    visible_at_ms: self.inner.clock.now_ms(),
                    dead_letter_source: Some(self.inner.name.clone()),
                    ..message
                });
            }
        }
        self.beat();
        taken
    }

    /// As [`Queue::take`], but waits up to `wait` of real time for the first message to become visible.
    pub async fn receive(&self, max: usize, wait: Duration, visibility_timeout: Option<Duration>) -> Vec<Message> {
        let until = tokio::time::Instant::now() + wait;
        loop {
            let taken = self.take(max, visibility_timeout);
            if !taken.is_empty() || wait.is_zero() {
                return taken;
            }
            if tokio::time::timeout_at(until, self.visible()).await.is_err() {
                return Vec::new();
            }
        }
    }

    /// Resolves once a message is visible.
    pub async fn visible(&self) {
        let mut changes = self.inner.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let next_ms = {
                let mut state = self.state();
                state.show_due(self.inner.clock.now_ms());
                if !state.visible.is_empty() {
                    return;
                }
                state.hidden.first().map(|(visible_at_ms, _)| *visible_at_ms)
            };
            let due = async {
                match next_ms {
                    Some(next_ms) => self.inner.clock.sleep_until(next_ms).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                changed = changes.changed() => changed.expect("the sender lives in self"),
            }
        }
    }

    /// Deletes the message of the newest receipt; an older one, or one already used, succeeds and deletes nothing, as
    /// SQS has it for standard queues.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] for a handle that no queue gives out.
    pub fn delete(&self, receipt: &str) -> Result<(), ReceiptError> {
        check_receipt(receipt)?;
        {
            let mut state = self.state();
            if let Some(arrival) = state.receipts.get(receipt).copied()
                && let Some(message) = state.messages.get_mut(&arrival)
                && !message.deletion_forgotten
                && self.inner.weather.strikes(Source::Queues, self.inner.weather.faults().deletion_forgotten)
            {
                message.deletion_forgotten = true;
                return Ok(());
            }
            if let Some(arrival) = state.receipts.remove(receipt)
                && let Some(message) = state.messages.remove(&arrival)
            {
                state.visible.remove(&message.group, arrival);
                state.hidden.remove(&(message.visible_at_ms, arrival));
            }
        }
        self.beat();
        Ok(())
    }

    /// Hides the message for `timeout` from now on; zero makes it visible at once. A repeat counts from its own moment.
    ///
    /// # Errors
    /// [`ReceiptError`] when the handle names no message in flight.
    pub fn change_visibility(&self, receipt: &str, timeout: Duration) -> Result<(), ReceiptError> {
        check_receipt(receipt)?;
        {
            let mut state = self.state();
            let now = self.inner.clock.now_ms();
            state.show_due(now);
            let arrival = *state.receipts.get(receipt).ok_or(ReceiptError::Expired)?;
            let group = state.messages.get(&arrival).and_then(|message| message.group.clone());
            if state.visible.contains(&group, arrival) {
                return Err(ReceiptError::NotInFlight);
            }
            let visible_at_ms = now + millis(timeout);
            let message = state.messages.get_mut(&arrival).expect("a live receipt points to a stored message");
            let before_ms = std::mem::replace(&mut message.visible_at_ms, visible_at_ms);
            state.hidden.remove(&(before_ms, arrival));
            state.hidden.insert((visible_at_ms, arrival));
        }
        self.beat();
        Ok(())
    }

    /// Deletes everything, in flight or not. A repeat deletes what has come since.
    pub fn purge(&self) {
        {
            let mut state = self.state();
            let next_arrival = state.next_arrival;
            *state = State { next_arrival, ..State::default() };
        }
        self.beat();
    }

    /// What is in the queue now.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let mut state = self.state();
        state.show_due(self.inner.clock.now_ms());
        let in_flight = state
            .hidden
            .iter()
            .filter(|(_, arrival)| state.messages.get(arrival).is_some_and(|message| message.receipt.is_some()))
            .count();
        Depth { visible: state.visible.len(), in_flight, delayed: state.hidden.len() - in_flight }
    }

    fn insert(&self, message: Queued) {
        {
            let mut state = self.state();
            let arrival = state.next_arrival;
            state.next_arrival += 1;
            state.hidden.insert((message.visible_at_ms, arrival));
            state.messages.insert(arrival, message);
            state.show_due(self.inner.clock.now_ms());
        }
        self.beat();
    }

    fn beat(&self) {
        self.inner.changed.beat();
        self.inner.activity.beat();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes visible what is due.
    fn show_due(&mut self, now_ms: i64) {
        while let Some(&(visible_at_ms, arrival)) = self.hidden.first() {
            if visible_at_ms > now_ms {
                break;
            }
            self.hidden.pop_first();
            let group = &self.messages.get(&arrival).expect("a hidden message is stored").group;
            self.visible.insert(group, arrival);
        }
    }
}

/// How many bytes `text` has as a JSON string, quotes not counted.
fn json_bytes(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t')).count();
    text.len() + escaped
}

/// The MD5 of `bytes` in lower-case hexadecimal digits, as SQS reports it and its clients check it.
pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    use md5::Digest;
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 128 random bits in the shape of a UUID.
pub(crate) fn random_id() -> String {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the operating system has random numbers");
    let digits = u128::from_be_bytes(bits);
    let digits = format!("{digits:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

fn check_receipt(receipt: &str) -> Result<(), ReceiptError> {
    let shaped = receipt.len() == 36 && receipt.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if shaped { Ok(()) } else { Err(ReceiptError::Malformed) }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
