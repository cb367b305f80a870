//! What reads were answered a moment ago, so that a later one can be answered the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Replicas catch up, usually within a second; nothing older is given.
const LONGEST: Duration = Duration::from_secs(2);
/// Beyond this many requests all are forgotten.
const CAPACITY: usize = 4096;

/// A read: its operation and its body.
pub(super) type Read = (String, Bytes);

#[derive(Debug, Default)]
pub(super) struct Memory {
    answers: Mutex<HashMap<Read, (Instant, Bytes)>>,
}

impl Memory {
    /// Remembers a fresh answer in place of an earlier one.
    pub(super) fn note(&self, read: Read, answer: Bytes) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= CAPACITY {
            answers.clear();
        }
        answers.insert(read, (Instant::now(), answer));
    }

    /// The last fresh answer, if it is not too old.
    pub(super) fn recall(&self, read: &Read) -> Option<Bytes> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(read).filter(|(at, _)| at.elapsed() <= LONGEST).map(|(_, answer)| answer.clone())
    }
}
