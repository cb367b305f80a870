//! One instance of a function: a process and the invocation that it is working on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::ProcessInfo;
use crate::process::Process;

/// What an instance gets to work on.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    /// The time that it is told it has, in real time from its taking: the start of an instance is not counted.
    pub(crate) time: Duration,
    pub(crate) arn: String,
    pub(crate) payload: Bytes,
}

/// What an instance makes of it.
#[derive(Debug)]
pub(crate) enum Answer {
    Response(Bytes),
    Error(Bytes),
}

#[derive(Debug)]
pub(crate) struct Instance {
    id: String,
    function: String,
    process: Process,
    inbox: mpsc::UnboundedSender<Delivery>,
    outbox: tokio::sync::Mutex<mpsc::UnboundedReceiver<Delivery>>,
    current: Mutex<Option<Current>>,
    invocations: AtomicU64,
    peak_rss_bytes: AtomicU64,
}

#[derive(Debug)]
struct Delivery {
    invocation: Invocation,
    taken: oneshot::Sender<()>,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Current {
    request_id: String,
    answer: oneshot::Sender<Answer>,
}

impl Instance {
    pub(crate) fn new(id: String, function: String, process: Process) -> Self {
        let (inbox, outbox) = mpsc::unbounded_channel();
        Self {
            id,
            function,
            process,
            inbox,
            outbox: tokio::sync::Mutex::new(outbox),
            current: Mutex::default(),
            invocations: AtomicU64::new(0),
            peak_rss_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn function(&self) -> &str {
        &self.function
    }

    /// Lays an invocation ready. The first receiver tells when the instance has taken it, the second what came of it; an error from
    /// either means that nothing will come.
    pub(super) fn give(&self, invocation: Invocation) -> (oneshot::Receiver<()>, oneshot::Receiver<Answer>) {
        let (taken, is_taken) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        // A failed send drops the senders, which the receivers notice.
        let _ = self.inbox.send(Delivery { invocation, taken, answer });
        (is_taken, answered)
    }

    /// The next invocation, as soon as there is one; `None` when the instance has been ended. An earlier one without an answer is
    /// given up.
    pub(crate) async fn next(&self) -> Option<Invocation> {
        self.current().take();
        let mut outbox = self.outbox.lock().await;
        let Delivery { invocation, taken, answer } = tokio::select! {
            delivery = outbox.recv() => delivery?,
            _ = self.process.ended() => return None,
        };
        *self.current() = Some(Current { request_id: invocation.request_id.clone(), answer });
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let _ = taken.send(());
        Some(invocation)
    }

    /// Takes the answer to the invocation under way; says whether it was that one.
    pub(crate) fn answer(&self, request_id: &str, answer: Answer) -> bool {
        let current = self.current().take_if(|current| current.request_id == request_id);
        match current {
            Some(current) => current.answer.send(answer).is_ok(),
            None => false,
        }
    }

    /// Looks how much memory the process has held so far.
    pub(crate) fn note_memory(&self) {
        if let Some(bytes) = self.process.peak_rss_bytes() {
            self.peak_rss_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// Gives up whatever was laid ready or taken.
    pub(crate) fn close(&self) {
        self.current().take();
        tracing::debug!(instance = self.id, function = self.function, "an instance has ended");
    }

    pub(crate) fn kill(&self) {
        self.process.kill();
    }

    pub(crate) fn alive(&self) -> bool {
        self.process.alive()
    }

    pub(crate) async fn ended(&self) -> String {
        self.process.ended().await
    }

    pub(crate) fn info(&self) -> ProcessInfo {
        ProcessInfo {
            function: self.function.clone(),
            pid: self.process.pid(),
            peak_rss_bytes: self.peak_rss_bytes.load(Ordering::Relaxed),
            invocations: self.invocations.load(Ordering::Relaxed),
            alive: self.alive(),
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
