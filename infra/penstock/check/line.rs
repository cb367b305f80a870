//! The line that chunks go through: checked by one thread or by several, taken in the file's order by one.
//!
//! Chunks go to the threads in turn, and the checked chunks are taken in the same turn. So they need no sorting, and no
//! more than a few chunks for each thread are held.

use std::{
    ops::ControlFlow,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{Scope, ScopedJoinHandle},
};

use penstock_model::{Chunk, Layout};

use super::{checker::Checker, collector::Collector, found::CheckedChunk};

/// Chunks, and checked chunks, that wait at each thread.
const WAITING: usize = 1;

/// A line; nothing goes through before [`Line::start`].
pub(super) struct Line<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    threads: usize,
    state: State<'scope>,
}

enum State<'scope> {
    Waiting(Box<Collector>),
    /// One thread does everything, this one.
    Alone {
        collector: Box<Collector>,
        checker: Box<Checker>,
        trouble: Option<anyhow::Error>,
    },
    Together {
        given: usize,
        to_check: Vec<SyncSender<Chunk>>,
        taker: ScopedJoinHandle<'scope, anyhow::Result<Collector>>,
    },
    Moved,
}

impl<'scope, 'env> Line<'scope, 'env> {
    pub(super) fn new(scope: &'scope Scope<'scope, 'env>, threads: usize, collector: Collector) -> Self {
        Self { scope, threads, state: State::Waiting(Box::new(collector)) }
    }

    /// Makes the line ready for chunks.
    pub(super) fn start(&mut self, checker: Checker, layout: &Layout) {
        let State::Waiting(mut collector) = std::mem::replace(&mut self.state, State::Moved) else {
            unreachable!("a line is started once");
        };
        collector.start(layout, checker.form());
        self.state = if self.threads == 1 {
            State::Alone { collector, checker: Box::new(checker), trouble: None }
        } else {
            let wanted = collector.wanted();
            let (to_check, to_take): (Vec<_>, Vec<_>) = (0..self.threads)
                .map(|_| {
                    let (to_check, chunks) = sync_channel::<Chunk>(WAITING);
                    let (checked, to_take) = sync_channel::<CheckedChunk>(WAITING);
                    let mut checker = checker.clone();
                    self.scope.spawn(move || {
                        while let Ok(chunk) = chunks.recv() {
                            if checked.send(checker.check(&chunk, wanted)).is_err() {
                                return;
                            }
                        }
                    });
                    (to_check, to_take)
                })
                .unzip();
            let taker = self.scope.spawn(move || take(*collector, &to_take));
            State::Together { given: 0, to_check, taker }
        };
    }

    /// Has a chunk checked. It breaks where nothing is taken any more; then [`Line::end`] says why.
    pub(super) fn give(&mut self, chunk: Chunk) -> ControlFlow<()> {
        let is_taken = match &mut self.state {
            State::Alone { collector, checker, trouble } => {
                let checked = checker.check(&chunk, collector.wanted());
                *trouble = collector.take(checked).err();
                trouble.is_none()
            }
            State::Together { given, to_check, .. } => {
                *given += 1;
                to_check[(*given - 1) % self.threads].send(chunk).is_ok()
            }
            State::Waiting(_) | State::Moved => unreachable!("chunks come after the columns"),
        };
        if is_taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Waits for all that was given to be taken.
    ///
    /// # Errors
    /// Why the rest could not be taken.
    pub(super) fn end(self) -> anyhow::Result<Collector> {
        match self.state {
            State::Waiting(collector) => Ok(*collector),
            State::Alone { collector, trouble, .. } => trouble.map_or(Ok(*collector), Err),
            State::Together { to_check, taker, .. } => {
                drop(to_check);
                taker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            State::Moved => unreachable!("a line has an end"),
        }
    }
}

/// Takes the checked chunks, in the file's order.
fn take(mut collector: Collector, from: &[Receiver<CheckedChunk>]) -> anyhow::Result<Collector> {
    for checked in from.iter().cycle() {
        // Where the thread whose turn it is gives no more, none does.
        let Ok(checked) = checked.recv() else { break };
        collector.take(checked)?;
    }
    Ok(collector)
}
