//! The weather: what goes wrong in the local cloud, on purpose and repeatably.
//!
//! AWS delivers events and messages at least once, in any order, and kills functions when it likes. Everything is off
//! by default. What happens is drawn from one seeded generator per kind of fault, so that a schedule can be repeated as
//! far as the machine's own timing allows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// How often a message may have been received for the weather to kill who works on it. What dies at every delivery is
/// poison, and given up as that: weather alone must not make any, however long the work takes on a busy machine.
pub(crate) const KILLED_RECEIVES: u64 = 2;

/// How often each fault strikes: probabilities from 0 to 1. The default is fair weather.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Where the generators start. Print it, so that the schedule can be repeated.
    pub seed: u64,
    /// A storage event is delivered twice.
    pub event_twice: f64,
    /// A storage event is never delivered.
    pub event_lost: f64,
    /// A storage event is held back until the clock is next advanced.
    pub event_late: f64,
    /// A storage event is followed by one for a key of which nobody has heard.
    pub event_for_another_key: f64,
    /// A message is delivered a second time while it is being worked on; at most once for each message.
    pub message_twice: f64,
    /// A message's deletion is forgotten, so that it comes back when its visibility timeout ends; at most once for each
    /// message.
    pub deletion_forgotten: f64,
    /// A message other than the oldest is received first.
    pub message_reordered: f64,
    /// A sent message becomes visible only after up to [`Faults::delay`].
    pub message_delayed: f64,
    /// The longest extra delay of a delayed message.
    pub delay: Duration,
    /// An instance is killed (SIGKILL) during an invocation, after up to [`Faults::kill_within`]; but not one with a
    /// message that has been received more than twice: weather alone makes no message poison.
    pub kill_during: f64,
    /// The longest time after which such a kill comes.
    pub kill_within: Duration,
    /// An instance is killed as soon as it has answered, and the answer is not looked at.
    pub kill_after_response: f64,
    /// Only these functions are killed; empty means all.
    pub kill_functions: Vec<String>,
    /// An invocation is told at its start that its time is over; it is not killed for that.
    pub deadline_near: f64,
    /// What goes wrong on the wire between the functions and the services; needs [`crate::Options::proxy`].
    pub wire: WireFaults,
}

/// What goes wrong between a client and DynamoDB, S3 or SQS: probabilities from 0 to 1, each for any request of any
/// service unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WireFaults {
    /// 500 or 503, nothing done.
    pub error_before: f64,
    /// Done, but answered 500.
    pub error_after: f64,
    /// A burst of throttling starts: this request and the next up to [`WireFaults::throttle_burst`] are refused as each
    /// service does it.
    pub throttle: f64,
    /// How many requests of a service a burst refuses, at most.
    pub throttle_burst: u32,
    /// A table of which every request is refused as throttled, until the weather clears.
    pub throttled_table: Option<String>,
    /// The connection is cut, nothing done.
    pub cut_before: f64,
    /// Done, and the connection is cut in the middle of the answer.
    pub cut_after: f64,
    /// Done, but the answer is held for [`WireFaults::hold`] and then the connection cut.
    pub timeout_after: f64,
    /// How long such an answer is held.
    pub hold: Duration,
    /// DynamoDB answers a batch only in part (`UnprocessedKeys`, `UnprocessedItems`).
    pub partial_batch: f64,
    /// A member of a `BatchExecuteStatement` that had its effect is answered with an error of the service.
    pub statement_error: f64,
    /// A transaction is answered `TransactionCanceledException` with `TransactionConflict`, nothing done.
    pub transaction_conflict: f64,
    /// The connection is cut, and DynamoDB makes the write up to [`WireFaults::late`] later: that of a process which
    /// read before, stood still, and comes to write when others have gone on, or when it is gone itself.
    pub write_late: f64,
    /// How late such a write is, at most.
    pub late: Duration,
    /// A read that does not ask for consistency gets the previous answer to the same request. Each answer is repeated
    /// once.
    pub stale_read: f64,
}

/// The weather of a running cloud. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Weather {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    faults: Faults,
    clear: AtomicBool,
    generators: [Mutex<Generator>; Source::COUNT],
}

/// Who asks. Each source has a generator of its own, so that one's timing does not change what another draws.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Events,
    Queues,
    Instances,
    DynamoDb,
    S3,
    Sqs,
    EventBridge,
}

impl Source {
    const COUNT: usize = 7;
}

impl Weather {
    pub(crate) fn new(faults: Faults) -> Self {
        let mut seeds = Generator::new(faults.seed);
        let generators = std::array::from_fn(|_| Mutex::new(Generator::new(seeds.next())));
        Self { inner: Arc::new(Inner { faults, clear: AtomicBool::new(false), generators }) }
    }

    /// What was asked for at the start.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// The weather clears: from now on nothing goes wrong on purpose. A repeat changes nothing.
    pub fn clear(&self) {
        self.inner.clear.store(true, Ordering::SeqCst);
    }

    /// The weather returns after [`Weather::clear`]. A repeat changes nothing.
    pub fn resume(&self) {
        self.inner.clear.store(false, Ordering::SeqCst);
    }

    /// Whether a fault of the given probability strikes now.
    pub(crate) fn strikes(&self, source: Source, probability: f64) -> bool {
        probability > 0.0 && !self.inner.clear.load(Ordering::SeqCst) && self.draw(source).fraction() < probability
    }

    /// A number below `bound`, which must not be 0.
    pub(crate) fn below(&self, source: Source, bound: u64) -> u64 {
        self.draw(source).next() % bound
    }

    /// A duration from 0 to `longest`.
    pub(crate) fn up_to(&self, source: Source, longest: Duration) -> Duration {
        longest.mul_f64(self.draw(source).fraction())
    }

    /// When to kill an instance of `function` during the invocation that begins now with this event, if at all.
    pub(crate) fn kill_during(&self, function: &str, event: &[u8]) -> Option<Duration> {
        let faults = &self.inner.faults;
        (self.kills(function) && self.strikes(Source::Instances, faults.kill_during))
            .then(|| self.up_to(Source::Instances, faults.kill_within))
            .filter(|_| most_receives(event) <= KILLED_RECEIVES)
    }

    /// Whether to kill an instance of `function` that has just answered.
    pub(crate) fn kill_after_response(&self, function: &str) -> bool {
        self.kills(function) && self.strikes(Source::Instances, self.inner.faults.kill_after_response)
    }

    /// The time that an invocation is told it has; it is killed after `timeout`.
    pub(crate) fn time_told(&self, timeout: Duration) -> Duration {
        if self.strikes(Source::Instances, self.inner.faults.deadline_near) { Duration::ZERO } else { timeout }
    }

    fn kills(&self, function: &str) -> bool {
        let only = &self.inner.faults.kill_functions;
        only.is_empty() || only.iter().any(|name| name == function)
    }

    fn draw(&self, source: Source) -> std::sync::MutexGuard<'_, Generator> {
        self.inner.generators[source as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014): small, seeded, good
/// enough to choose faults.
#[derive(Debug)]
struct Generator {
    state: u64,
}

impl Generator {
    fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 (included) to 1 (excluded).
    #[allow(clippy::cast_precision_loss)]
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How often that message of a queue's event was received which was received most often; 0 where there is none.
fn most_receives(event: &[u8]) -> u64 {
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    let records = event["Records"].as_array().into_iter().flatten();
    let receives = records.filter_map(|record| record["attributes"]["ApproximateReceiveCount"].as_str()?.parse().ok());
    receives.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        let mut generator = Generator::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| generator.next()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn fair_weather_never_strikes_and_foul_weather_repeats_itself() {
        let fair = Weather::new(Faults::default());
        assert!((0..1000).all(|_| !fair.strikes(Source::Events, fair.faults().event_lost)));

        let foul = || {
            let weather = Weather::new(Faults { seed: 7, event_lost: 0.5, ..Faults::default() });
            (0..64).map(|_| weather.strikes(Source::Events, 0.5)).collect::<Vec<_>>()
        };
        assert_eq!(foul(), foul());
        assert!(foul().contains(&true) && foul().contains(&false));
    }

    #[test]
    fn cleared_weather_stays_clear_until_it_resumes() {
        let weather = Weather::new(Faults { event_lost: 1.0, ..Faults::default() });
        assert!(weather.strikes(Source::Events, 1.0));
        weather.clear();
        assert!(!weather.strikes(Source::Events, 1.0));
        weather.resume();
        assert!(weather.strikes(Source::Events, 1.0));
    }
}
