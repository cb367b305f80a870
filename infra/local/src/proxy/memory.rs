//! What reads were answered the last time, so that the next one can be answered the same.

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

    /// The last fresh answer, once: replicas catch up, so the read after that is fresh again, however fast or slow the machine is.
    pub(super) fn take(&self, read: &Read) -> Option<Bytes> {
        self.answers().remove(read)
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Read, Bytes>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
