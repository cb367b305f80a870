//! The line that chunks go through: checked by one thread or by several, taken in the file's order by one.
//!
//! Chunks go to the threads in turn, and what comes of them is taken in the same turn, so that it needs no sorting and no more than a few
//! chunks for each thread are anywhere.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use penstock_model::{Chunk, ImportOptions, Layout};

use super::{
    checker::{Checked, Checker},
    sink::Sink,
};

/// Chunks, or what comes of them, that wait at each thread.
const WAITING: usize = 1;

/// A line; nothing goes through before [`Line::start`].
pub(super) struct Line<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    threads: usize,
    state: State<'scope>,
}

enum State<'scope> {
    Waiting(Box<Sink>),
    /// One thread does everything, this one.
    Alone {
        sink: Box<Sink>,
        checker: Box<Checker>,
        trouble: Option<anyhow::Error>,
    },
    Together {
        given: usize,
        to_check: Vec<SyncSender<Chunk>>,
        taker: ScopedJoinHandle<'scope, (Sink, Option<anyhow::Error>)>,
    },
    Moved,
}

/// What was given is not taken any more; [`Line::end`] says why.
#[derive(Debug)]
pub(super) struct Closed;

impl<'scope, 'env> Line<'scope, 'env> {
    pub(super) fn new(scope: &'scope Scope<'scope, 'env>, threads: usize, sink: Sink) -> Self {
        Self { scope, threads, state: State::Waiting(Box::new(sink)) }
    }

    /// Makes the line ready for chunks.
    pub(super) fn start(&mut self, checker: Checker, layout: &Layout, options: &ImportOptions) {
        let State::Waiting(mut sink) = std::mem::replace(&mut self.state, State::Moved) else {
            unreachable!("a line is started once");
        };
        sink.start(layout, options, &checker.job().columns);
        self.state = if self.threads == 1 {
            State::Alone { sink, checker: Box::new(checker), trouble: None }
        } else {
            let wanted = sink.wanted();
            let (to_check, to_take): (Vec<_>, Vec<_>) = (0..self.threads)
                .map(|_| {
                    let (to_check, chunks) = sync_channel::<Chunk>(WAITING);
                    let (checked, to_take) = sync_channel::<Checked>(WAITING);
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
            let taker = self.scope.spawn(move || take(*sink, &to_take));
            State::Together { given: 0, to_check, taker }
        };
    }

    /// Has a chunk checked.
    ///
    /// # Errors
    /// [`Closed`].
    pub(super) fn give(&mut self, chunk: Chunk) -> Result<(), Closed> {
        match &mut self.state {
            State::Alone { sink, checker, trouble } => {
                let checked = checker.check(&chunk, sink.wanted());
                sink.take(checked).map_err(|error| {
                    *trouble = Some(error);
                    Closed
                })
            }
            State::Together { given, to_check, .. } => {
                *given += 1;
                to_check[(*given - 1) % self.threads].send(chunk).map_err(|_| Closed)
            }
            State::Waiting(_) | State::Moved => unreachable!("chunks come after the columns"),
        }
    }

    /// Waits for all that was given: what was found, and what kept the rest from being taken.
    pub(super) fn end(self) -> (Sink, Option<anyhow::Error>) {
        match self.state {
            State::Waiting(sink) => (*sink, None),
            State::Alone { sink, trouble, .. } => (*sink, trouble),
            State::Together { to_check, taker, .. } => {
                drop(to_check);
                taker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            State::Moved => unreachable!("a line has an end"),
        }
    }
}

/// Takes what comes of the chunks, in their order.
fn take(mut sink: Sink, from: &[Receiver<Checked>]) -> (Sink, Option<anyhow::Error>) {
    for checked in from.iter().cycle() {
        // Of the thread whose turn it is nothing more comes: then of none.
        let Ok(checked) = checked.recv() else { break };
        if let Err(error) = sink.take(checked) {
            return (sink, Some(error));
        }
    }
    (sink, None)
}
