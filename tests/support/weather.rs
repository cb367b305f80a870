//! Bad weather: what goes wrong while a test works.

use std::time::Duration;

use penstock_client::Import;
use penstock_local::{Faults, WireFaults};

use super::try_upload;

/// A bit of everything that may go wrong with events, messages, instances and requests, drawn from the seed.
pub fn storm(seed: u64) -> Faults {
    Faults {
        seed,
        event_twice: 0.3,
        event_late: 0.2,
        event_lost: 0.2,
        message_twice: 0.3,
        message_reordered: 0.5,
        deletion_forgotten: 0.2,
        kill_during: 0.1,
        kill_within: Duration::from_millis(100),
        kill_after_response: 0.1,
        deadline_near: 0.2,
        wire: WireFaults { error_before: 0.02, error_after: 0.02, transaction_conflict: 0.1, ..WireFaults::default() },
        ..Faults::default()
    }
}

/// Uploads a file as a client does whose request may be refused, or whose answer be cut: it tries again, and 412 says
/// that the file is there.
pub async fn upload_through(seed: u64, import: &Import, file: &[u8]) {
    let mut tries = 0;
    while !matches!(try_upload(import, file).await, Some(200 | 412)) {
        tries += 1;
        assert!(tries < 50, "seed {seed}: {} is not uploaded", import.id);
    }
}
