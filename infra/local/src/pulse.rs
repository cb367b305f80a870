//! A pulse: a waiter watches it instead of polling.

use std::sync::Arc;

use tokio::sync::watch;

/// A counter of changes. A waiter subscribes, checks its condition, and sleeps until the next change.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    changes: Arc<watch::Sender<u64>>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { changes: Arc::new(watch::channel(0).0) }
    }

    /// Wakes every waiter; a repeat wakes them again.
    pub(crate) fn beat(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Returns once `condition` gives something; it is asked again after each beat.
    pub(crate) async fn until<T>(&self, mut condition: impl FnMut() -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = condition() {
                return found;
            }
            changes.changed().await.expect("the sender lives in self");
        }
    }

    /// A view of the changes, for waits that also wait for something else.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
