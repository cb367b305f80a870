//! What a local cloud tells of as it happens: requests, and the stages of imports and exports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use penstock_model::{ExportStatus, Failure, Rows, Status};
use tokio::sync::mpsc;

/// How many events wait for whoever listens, at most. What comes beyond is counted.
const WAITING: usize = 4096;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request of a client has been answered, or has broken off.
    Request(Asked),
    /// An import has reached a stage.
    Import {
        /// The import's id.
        id: String,
        /// What it has reached.
        stage: Reached,
    },
    /// An export has reached a stage.
    Export {
        /// The export's id.
        id: String,
        /// What it has reached.
        stage: ExportReached,
    },
    /// An event has been put on the bus.
    OnBus {
        /// Its type.
        what: String,
        /// Its id.
        id: String,
        /// The id of what it has happened to.
        of: String,
    },
    /// So many events came faster than they were taken, and are not told.
    Missed(u64),
}

/// A request of a client, as far as it can be shown: without its query, which may hold a signature.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The status of its answer; `None` if the client was gone before there was one, or before its body had come.
    pub status: Option<u16>,
    /// The storage's word for why it was refused; its whole sentence where the fault is the storage's own.
    pub code: Option<String>,
    /// How long it took, from the end of its head to the head of the answer.
    pub took: Duration,
    /// Whether a file was to be stored by it.
    pub is_upload: bool,
}

impl Asked {
    /// Whether something was lost or broken that its sender may not notice.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        match self.status {
            Some(status) => status >= 500 || (self.is_upload && status >= 400),
            None => self.is_upload,
        }
    }
}

/// A stage of an import.
#[derive(Clone, Debug, PartialEq)]
pub enum Reached {
    /// Its file has been stored.
    Uploaded {
        /// The file's size.
        bytes: u64,
    },
    /// Its file waits until a replace of its kind has ended.
    Waits {
        /// That import.
        gate: String,
    },
    /// Its file has been accepted and is being read.
    Reading,
    /// Its file has been read to its end.
    Split {
        /// The file's rows.
        rows: u64,
    },
    /// It is a review, and waits to be confirmed.
    Judged,
    /// It waits to be confirmed what it would remove.
    Held {
        /// How many records.
        records: u64,
    },
    /// It has ended.
    Ended {
        /// How.
        status: Status,
        /// What became of its rows.
        rows: Rows,
        /// Why it failed.
        failure: Option<Failure>,
    },
    /// Its rejected rows can be fetched.
    Reported,
}

/// A stage of an export.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportReached {
    /// It has been ordered.
    Ordered {
        /// The kind of its records.
        kind: String,
    },
    /// Records are being read.
    Reading,
    /// It has ended.
    Ended {
        /// How.
        status: ExportStatus,
        /// Records in its file.
        records: u64,
        /// Bytes of the file.
        bytes: u64,
        /// Why it failed.
        failure: Option<Failure>,
    },
}

/// Where a local cloud tells its events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<Event>,
    missed: Arc<AtomicU64>,
}

impl Events {
    /// A place to tell events, and the other end, at which they come.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender, missed: Arc::default() }, receiver)
    }

    /// Tells an event, without waiting.
    pub(crate) fn tell(&self, event: Event) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 && self.sender.try_send(Event::Missed(missed)).is_err() {
            self.missed.fetch_add(missed, Ordering::Relaxed);
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(event) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_takes_is_counted() {
        let (events, mut receiver) = Events::channel();
        let event = || Event::Import { id: "imp".to_owned(), stage: Reached::Reading };
        (0..WAITING + 3).for_each(|_| events.tell(event()));
        for _ in 0..WAITING {
            assert!(matches!(receiver.try_recv(), Ok(Event::Import { .. })));
        }
        assert!(receiver.try_recv().is_err());
        events.tell(event());
        assert!(matches!(receiver.try_recv(), Ok(Event::Missed(3))));
        assert!(matches!(receiver.try_recv(), Ok(Event::Import { .. })));
    }
}
