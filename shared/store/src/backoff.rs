//! Waiting before a retry.

use std::time::Duration;

use crate::{Result, StoreError};

/// Exponential backoff with full jitter, for retries of a service's call. It is not for polling a condition.
#[derive(Debug, Default)]
pub struct Backoff {
    waits: u32,
}

impl Backoff {
    /// Waits between 0 and 20 ms × 2^n, at most 2 s, so that writers that contend for an item spread out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] in the name of a call, without waiting, when it has waited 16 times.
    pub async fn wait(&mut self, call: &'static str) -> Result<()> {
        if self.waits == 16 {
            return Err(StoreError::Unavailable { call, reason: "not in many tries".to_owned() });
        }
        let bound_ms = (20u64 << self.waits.min(7)).min(2_000);
        self.waits += 1;
        let jitter_ms = u64::from_be_bytes(crate::random()) % bound_ms;
        tokio::time::sleep(Duration::from_millis(jitter_ms)).await;
        Ok(())
    }
}
