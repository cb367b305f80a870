//! The time that each chunk of a batch has.
//!
//! An invocation's time is shared so that no chunk takes its neighbours along:
//!
//! ```text
//! first deliveries, side by side   rows worked out on a thread each, for CHUNK_TOGETHER_SECONDS ┐
//! chunks that came again, in turn  rows worked out alone, for CHUNK_ALONE_SECONDS               ├─▶ applied in turn, each
//! a single chunk                   as one that is alone                                         ┘   for its share of the rest
//! ```
//!
//! What runs over its time goes back to the queue, and the others go on.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use penstock_model::limits::CHUNK_TOGETHER_SECONDS;
use tokio::{sync::Mutex, time::Instant};

/// What an invocation has at least, whatever it is told: so each gets on.
const LEAST: Duration = Duration::from_secs(1);

/// The time of an invocation, and how many of its chunks still have to be applied.
#[derive(Debug)]
pub(crate) struct Time {
    end: Instant,
    /// For how long the rows of a chunk may be worked out that is alone.
    alone: Duration,
    left_to_apply: AtomicUsize,
    /// Chunks are applied one at a time: memory holds the records of one.
    pub(crate) applying: Mutex<()>,
}

impl Time {
    /// The time of an invocation of `chunks` chunks that has this much left, and the time of one that is alone.
    pub(crate) fn new(left: Duration, alone: Duration, chunks: usize) -> Self {
        Self {
            end: Instant::now() + left.max(LEAST),
            alone,
            left_to_apply: AtomicUsize::new(chunks),
            applying: Mutex::new(()),
        }
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// For how long the rows of one of `together` chunks are worked out that are worked off side by side.
    pub(crate) fn together(&self, together: usize) -> Duration {
        to_work_out(self.left(), self.alone, together)
    }

    /// Whether there is time for another chunk alone. For the first of an invocation there always is.
    pub(crate) fn has_room(&self, is_first: bool) -> bool {
        is_first || self.left() >= self.alone
    }

    /// For how long the next chunk may be applied: its share of what is left.
    pub(crate) fn share(&self) -> Duration {
        share(self.left(), self.left_to_apply.load(Ordering::SeqCst))
    }

    /// One chunk less has to be applied: it is, or it goes back.
    pub(crate) fn done(&self) {
        self.left_to_apply.fetch_sub(1, Ordering::SeqCst);
    }
}

fn to_work_out(left: Duration, alone: Duration, together: usize) -> Duration {
    let most = if together > 1 { alone.min(Duration::from_secs(CHUNK_TOGETHER_SECONDS)) } else { alone };
    most.min(left)
}

fn share(left: Duration, left_to_apply: usize) -> Duration {
    left / u32::try_from(left_to_apply.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use penstock_model::limits::CHUNK_ALONE_SECONDS;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_chunk_beside_others_has_less_time_than_one_alone_and_none_has_more_than_is_left() {
        let alone = seconds(CHUNK_ALONE_SECONDS);
        assert_eq!(to_work_out(seconds(22), alone, 1), alone);
        assert_eq!(to_work_out(seconds(22), alone, 4), seconds(CHUNK_TOGETHER_SECONDS));
        assert_eq!(to_work_out(seconds(22), seconds(1), 4), seconds(1));
        assert_eq!(to_work_out(seconds(1), alone, 1), seconds(1));
    }

    #[test]
    fn what_is_left_is_shared_by_those_that_are_left() {
        assert_eq!(share(seconds(20), 4), seconds(5));
        assert_eq!(share(seconds(20), 1), seconds(20));
        assert_eq!(share(seconds(20), 0), seconds(20));
        assert_eq!(share(Duration::ZERO, 2), Duration::ZERO);
    }

    #[test]
    fn the_first_chunk_of_an_invocation_is_begun_however_little_time_it_is_told() {
        let alone = seconds(CHUNK_ALONE_SECONDS);
        let time = Time::new(Duration::ZERO, alone, 2);
        assert!(time.has_room(true) && !time.has_room(false));
        assert!(time.left() > Duration::ZERO);
        assert!(Time::new(seconds(22), alone, 2).has_room(false));
    }
}
