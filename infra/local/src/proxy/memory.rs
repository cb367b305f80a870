//! The last answers to reads, so that a later read can get an old one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Beyond this many requests all are forgotten.
const CAPACITY: usize = 4096;

/// A read: its operation and its body.
pub(super) type Read = (String, Bytes);

#[derive(Debug, Default)]
pub(super) struct Memory {
    answers: Mutex<HashMap<Read, Bytes>>,
}

impl Memory {
    /// Remembers a fresh answer in place of an earlier one.
    pub(super) fn note(&self, read: Read, answer: Bytes) {
        let mut answers = self.answers();
        if answers.len() >= CAPACITY {
            answers.clear();
        }
        answers.insert(read, answer);
    }

    /// The last fresh answer, once. The read after that is fresh again: replicas catch up.
    pub(super) fn take(&self, read: &Read) -> Option<Bytes> {
        self.answers().remove(read)
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Read, Bytes>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
