//! Validating one chunk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use penstock_engine::{
    notes,
    plan::Plan,
    rows::{self, Row},
};
use penstock_model::{Begin, Block, Chunk, ChunkMessage, Dropped, Job, Repeats, Verdict, limits::RECORD_ITEM_BYTES};
use penstock_runtime::{
    chain,
    chunk_end::{self, GivenUp},
    metrics::{self, Metric},
};
use penstock_store::{Result, Store, StoreError, blocks::Try, crash, errors::RECORD_ITEM_TOO_LARGE};
use tokio::{runtime::Handle, sync::oneshot, task::spawn_blocking, time::timeout};
use tracing::{debug, info, warn};

use crate::{
    apply::{self, Rules},
    turn::Time,
};

/// A chunk that is to be worked off, and how.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) message: ChunkMessage,
    /// The try's name in the chunk's block, if it is noted.
    noted: Option<String>,
    /// For how long its rows may be worked out.
    work_out_for: Duration,
}

impl Turn {
    /// The turn of a chunk whose message comes for the first time.
    pub(crate) fn first(message: ChunkMessage, work_out_for: Duration) -> Self {
        Self { message, noted: None, work_out_for }
    }
}

/// What is to be done with a chunk that came again.
#[derive(Debug)]
pub(crate) enum Again {
    /// It is worked off in this turn. `died` is whether a try of it got no further before.
    Turn { turn: Box<Turn>, died: bool },
    /// Nothing any more.
    Done,
}

/// Notes that a chunk that came again is tried, and says what is to be done with it; does what is left to do with one
/// that is decided.
///
/// A chunk is poison if its tries begin and never get as far as *begin* (see [`run`]). How often its message was
/// received says nothing of that: a neighbour may have ended the process, or a table may be throttled. So each try is
/// noted in the chunk's block before it begins, from the second delivery on, and is taken back if it got further and
/// failed there, since that reason passes.
///
/// # Errors
/// What may be different next time: the message goes back to its queue.
pub(crate) async fn take_up_again(store: &Store, message: ChunkMessage, time: &Time) -> Result<Again> {
    let ChunkMessage { job, chunk, .. } = &message;
    match store.begin_try(job, chunk).await? {
        Try::Begun { tries, .. } if Block::is_stuck(tries) => {
            give_up(store, job, chunk, tries).await?;
            Ok(Again::Done)
        }
        Try::Begun { name, tries } => Ok(Again::Turn {
            died: tries > 1,
            turn: Box::new(Turn { message, noted: Some(name), work_out_for: time.together(1) }),
        }),
        // All its accepted rows will be applied, however long that takes.
        Try::Decided(Begin::Verdict { verdict: Verdict::Begun, .. }) => {
            Ok(Again::Turn { died: false, turn: Box::new(Turn { message, noted: None, work_out_for: time.left() }) })
        }
        Try::Decided(begin) => {
            after_decision(store, job, chunk, begin).await?;
            Ok(Again::Done)
        }
    }
}

/// Takes back the note of a try that did not come to its end for a reason that passes.
pub(crate) async fn take_back(store: &Store, job: &Job, chunk: &Chunk, noted: Option<String>) {
    if let Some(name) = noted
        && let Err(error) = store.take_back_try(job, chunk, &name).await
    {
        warn!(import.id = %job.import, chunk.index, error = chain(&error), "a try that passed stays noted");
    }
}

/// Gives a turn back that has not begun, since there is no time for it.
pub(crate) async fn give_back(store: &Store, turn: Turn) -> StoreError {
    take_back(store, &turn.message.job, &turn.message.chunk, turn.noted).await;
    StoreError::OutOfTime("the batch before a chunk")
}

/// Validates a chunk and applies its rows.
///
/// ```text
/// (try) ─▶ parse ─▶ begin (the first decision wins) ─▶ records ─▶ errors ─▶ tally (the first wins) ─▶ note ─▶ settle
///   │        └── out of time, or the process ends: the try stays noted
///   └── too many tries that got no further: the chunk's rows fail
/// ```
///
/// # Errors
/// What may be different next time: the message goes back to its queue.
pub(crate) async fn run(store: &Store, turn: Turn, time: Arc<Time>) -> Result<()> {
    let Turn { message: ChunkMessage { job, chunk, repeats, dropped, .. }, noted, work_out_for } = turn;
    let kind = store.compiled_kind(&job.account, &job.kind, job.kind_version).await?;
    let kind = kind.ok_or_else(|| unreadable("the kind is unknown"))?;
    let kind = kind.read_by(&job.reading).map_err(|failure| unreadable(&failure.message))?;
    let plan = Plan::compile(kind, job.grammar, &job.columns, &job.options.mapping);
    let plan = plan.map_err(|failure| unreadable(&failure.code))?;
    let work = Arc::new(Work { store: store.clone(), job, chunk, repeats, dropped, time });
    match work.clone().work_off(plan, work_out_for).await {
        Ok(()) => Ok(()),
        Err(Stop::WorkingOut(error)) => Err(error),
        Err(Stop::Behind(error)) => {
            // It got further, so this was no try of a chunk that cannot.
            take_back(store, &work.job, &work.chunk, noted).await;
            Err(error)
        }
    }
}

/// Fails the rows of a chunk whose tries got no further, unless it begins at this moment.
async fn give_up(store: &Store, job: &Job, chunk: &Chunk, tries: usize) -> Result<()> {
    info!(import.id = %job.import, chunk.index, tries, "a chunk is given up: its tries got no further");
    let begin = store.decide(job, chunk, Verdict::Stuck).await?;
    crash::point("validate.stuck");
    match begin {
        Begin::Verdict { verdict: Verdict::Begun, .. } => Err(StoreError::OutOfTime("another try of the chunk")),
        begin => after_decision(store, job, chunk, begin).await,
    }
}

/// Does what is left to do with a chunk that was decided before, and not to be applied here.
async fn after_decision(store: &Store, job: &Job, chunk: &Chunk, begin: Begin) -> Result<()> {
    match begin {
        // Whoever gave the chunk up may have died before its rows were accounted for.
        Begin::Verdict { verdict: Verdict::Failed, .. } => {
            chunk_end::give_up(store, job, chunk, GivenUp::NotProcessed).await
        }
        Begin::Verdict { verdict: Verdict::Stuck, .. } => chunk_end::give_up(store, job, chunk, GivenUp::Stuck).await,
        Begin::Tallied(block) => chunk_end::after_tally(store, job, chunk, &block).await,
        Begin::Closed | Begin::Verdict { verdict: Verdict::Begun, .. } => {
            debug!(import.id = %job.import, chunk.index, "the import is to end, or is gone");
            Ok(())
        }
    }
}

/// Where a chunk stopped.
enum Stop {
    /// While its rows were worked out.
    WorkingOut(StoreError),
    /// Behind that.
    Behind(StoreError),
}

/// A chunk and all that it takes to work it off.
struct Work {
    store: Store,
    job: Job,
    chunk: Chunk,
    repeats: Repeats,
    dropped: Dropped,
    time: Arc<Time>,
}

impl Work {
    /// Works the rows out and applies them, on a thread of its own: rows borrow the chunk's text, and other chunks of
    /// the batch go on meanwhile.
    ///
    /// When the time is over, the thread stops at the next row; until then it goes on, and whoever waits does not.
    async fn work_off(self: Arc<Self>, mut plan: Plan, work_out_for: Duration) -> Result<(), Stop> {
        let began = Instant::now();
        let is_over = Arc::new(AtomicBool::new(false));
        let (tell_worked_out, worked_out) = oneshot::channel();
        let (runtime, stopped) = (Handle::current(), is_over.clone());
        let thread = spawn_blocking(move || {
            crash::point("validate.working_out");
            let records = rows::Records::of(&self.job, &self.chunk);
            let parsed = rows::parse_unless(&mut plan, &self.job, &records, || stopped.load(Ordering::Relaxed));
            let Some(parsed) = parsed else { return Err(Stop::WorkingOut(StoreError::OutOfTime("a chunk's rows"))) };
            // Whoever does not wait any more has given the chunk back.
            if tell_worked_out.send(()).is_err() {
                return Err(Stop::Behind(StoreError::OutOfTime("a chunk's rows")));
            }
            runtime.block_on(self.begin_and_apply(&mut plan, parsed, began)).map_err(Stop::Behind)
        });
        match timeout(work_out_for, worked_out).await {
            // The thread goes on, or it has ended by a panic and says so.
            Ok(_) => {}
            Err(_) => {
                is_over.store(true, Ordering::Relaxed);
                return Err(Stop::WorkingOut(StoreError::OutOfTime("a chunk's rows")));
            }
        }
        thread.await.unwrap_or_else(|panic| {
            Err(Stop::WorkingOut(StoreError::Unreadable { what: "a chunk's rows", source: panic.into() }))
        })
    }

    /// Applies the rows in their turn and in their share of the time. What is not done then is as after a death: the
    /// next delivery goes on from there.
    async fn begin_and_apply(&self, plan: &mut Plan, parsed: rows::Parsed<'_>, began: Instant) -> Result<()> {
        let _turn = self.time.applying.lock().await;
        let applied = self.decide_and_apply(plan, parsed, began);
        timeout(self.time.share(), applied).await.unwrap_or(Err(StoreError::OutOfTime("applying a chunk")))
    }

    async fn decide_and_apply(&self, plan: &mut Plan, parsed: rows::Parsed<'_>, began: Instant) -> Result<()> {
        let Self { store, job, chunk, repeats, dropped, .. } = self;
        let before = match store.decide(job, chunk, Verdict::Begun).await? {
            Begin::Verdict { verdict: Verdict::Begun, before } => before,
            begin => return after_decision(store, job, chunk, begin).await,
        };
        crash::point("validate.begun");
        // A row that was refused before, beside a record that has become smaller since, stays refused: its error is
        // stored.
        let refused = if before { store.refused_rows(&job.import, chunk.index).await? } else { Vec::new() };
        let (rows, mut errors) = (parsed.rows, parsed.errors);
        let (rows, refused_before): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| !refused.contains(&row.row));
        let conditions = store.conditions();
        // A chunk that was made again says of no row that it is dropped: then it is applied, and counts the same.
        let is_dropped = |row: &Row<'_>| dropped.has((row.row - chunk.first_row) as usize);
        let (dropped_rows, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| conditions.digest_drops && is_dropped(row));
        let rules =
            Rules { plan: &*plan, job, chunk: chunk.index, first_row: chunk.first_row, repeats, dropped, conditions };
        let mut applied = apply::apply(store, rules, rows).await?;
        applied.tally.unchanged += dropped_rows.len() as u64;
        crash::point("validate.records");
        let refused: Vec<u64> = refused_before.into_iter().map(|row| row.row).chain(applied.refused).collect();
        if !refused.is_empty() {
            let message = format!("with this row the record would have more than {RECORD_ITEM_BYTES} bytes");
            errors.extend(rows::reject(plan, job, chunk, &refused, RECORD_ITEM_TOO_LARGE, &message));
        }
        errors.sort_by_key(|error| error.row);
        if let Some(note) = notes::of_errors(errors.iter().map(|error| error.code.as_str())) {
            store.add_note(&job.account, &job.import, note).await?;
        }
        chunk_end::finish(store, job, chunk, applied.tally, &errors).await?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        metrics::write(&[(Metric::ChunkLatency, took_ms)], &[("import.id", job.import.as_str())]);
        Ok(())
    }
}

fn unreadable(reason: &str) -> StoreError {
    StoreError::Unreadable { what: "a chunk message", source: reason.into() }
}
