//! Validating one chunk.

use std::time::Instant;

use penstock_engine::{plan::Plan, rows};
use penstock_model::{Chunk, ChunkMessage, Halt, Import, Job, RowError, Status, Tally, limits::RECORD_ITEM_BYTES};
use penstock_runtime::metrics::{self, Metric};
use penstock_store::{
    Result, Store, StoreError,
    blocks::{Begin, Block, Verdict},
    crash,
    errors::{Extent, RECORD_ITEM_TOO_LARGE},
};
use tracing::{debug, info};

use crate::apply::{self, Rules};

/// Validates the chunk of a message and applies its rows.
///
/// ```text
/// parse ─▶ begin (the first decision wins) ─▶ records ─▶ errors ─▶ tally (the first wins) ─▶ note ─▶ settle
/// ```
///
/// # Errors
/// What may be different next time: the message goes back to its queue.
pub async fn run(store: &Store, body: &str) -> Result<()> {
    let ChunkMessage { job, chunk, repeats, .. } = ChunkMessage::decode(body)?;
    let began = Instant::now();
    crash::point("validate.received");
    let kind = store.compiled_kind(&job.account, &job.kind, job.kind_version).await?;
    let kind = kind.ok_or_else(|| unreadable("the kind is unknown"))?;
    let plan = Plan::compile(kind, job.grammar, &job.columns, &job.mapping);
    let mut plan = plan.map_err(|failure| unreadable(&failure.message))?;
    let records = rows::Records::of(&job, &chunk);
    let parsed = rows::parse(&mut plan, &job, &records);
    match store.decide(&job, &chunk, Verdict::Begun).await? {
        Begin::Verdict { verdict: Verdict::Begun, before } => {
            crash::point("validate.begun");
            // A row that was refused before, beside a record that has become smaller since, stays refused: its error is stored.
            let refused = if before { store.refused_rows(&job.import, chunk.index).await? } else { Vec::new() };
            let (rows, mut errors) = (parsed.rows, parsed.errors);
            let (rows, again): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| !refused.contains(&row.row));
            let rules = Rules { plan: &plan, job: &job, repeats: &repeats, conditions: store.conditions() };
            let applied = apply::apply(store, rules, rows).await?;
            crash::point("validate.records");
            let refused: Vec<u64> = again.into_iter().map(|row| row.row).chain(applied.refused).collect();
            if !refused.is_empty() {
                let message = format!("with this row the record would have more than {RECORD_ITEM_BYTES} bytes");
                errors.extend(rows::reject(&mut plan, &job, &chunk, &refused, RECORD_ITEM_TOO_LARGE, &message));
            }
            errors.sort_by_key(|error| error.row);
            finish_chunk(store, &job, &chunk, applied.tally, &errors).await?;
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            metrics::write(&[(Metric::ChunkLatency, took_ms)], &[("import.id", job.import.as_str())]);
            Ok(())
        }
        // The sweeper gave the chunk up before it began, and may have died before its rows were accounted for.
        Begin::Verdict { verdict: Verdict::Failed, .. } => fail_chunk(store, &job, &chunk).await,
        Begin::Tallied(block) => after_tally(store, &job, &chunk, &block).await,
        Begin::Closed => {
            debug!(import.id = %job.import, chunk.index, "the import is to end, or is gone");
            Ok(())
        }
    }
}

fn unreadable(reason: &str) -> StoreError {
    StoreError::Unreadable { what: "a chunk message", source: reason.into() }
}

/// Accounts for the rows of a chunk that was given up: each has failed. A repeat finds the tally and goes on behind it.
///
/// # Errors
/// What may be different next time.
pub async fn fail_chunk(store: &Store, job: &Job, chunk: &Chunk) -> Result<()> {
    let message = "the row could not be processed, repeatedly, for a reason that lies with the service; send it again";
    let errors = rows::reject_all(job, chunk, "not_processed", message);
    finish_chunk(store, job, chunk, Tally::default(), &errors).await
}

/// Stores a decided chunk's errors and its tally, to which the rejected rows are added here, and whatever may follow.
///
/// # Errors
/// What may be different next time.
async fn finish_chunk(store: &Store, job: &Job, chunk: &Chunk, tally: Tally, errors: &[RowError]) -> Result<()> {
    let extent = Extent {
        offset: chunk.offset,
        bytes: chunk.bytes,
        first_row: chunk.first_row,
        first_line: chunk.first_line,
        refused: matches!(chunk.body, penstock_model::Body::Refused(_)),
    };
    store.put_errors(&job.import, chunk.index, extent, errors).await?;
    let early_rows = job.abort.map_or(0, |abort| abort.rows);
    let rejected = || errors.chunk_by(|a, b| a.row == b.row).map(|row| row[0].row);
    let tally = Tally {
        failed: rejected().count() as u64,
        errors: errors.len() as u64,
        failed_early: rejected().filter(|row| *row <= early_rows).count() as u64,
        ..tally
    };
    let tallied = store.tally(job, chunk.index, &tally).await?;
    let rows = [
        (Metric::RowsCreated, tally.created),
        (Metric::RowsUpdated, tally.updated),
        (Metric::RowsUnchanged, tally.unchanged),
        (Metric::RowsSkipped, tally.skipped),
        (Metric::RowsFailed, tally.failed),
    ];
    metrics::write(&rows, &[("import.id", job.import.as_str()), ("chunk.index", &chunk.index.to_string())]);
    if chunk.index == 0
        && let Some(import) = store.import(&job.account, &job.import).await?
    {
        lag(Metric::FirstRowLag, &import, store.now_ms());
    }
    match tallied {
        Some(block) => after_tally(store, job, chunk, &block).await,
        None => Ok(()),
    }
}

fn lag(metric: Metric, import: &Import, until_ms: i64) {
    let Some(accepted_at) = import.accepted_at else { return };
    let lag_ms = u64::try_from(until_ms - accepted_at).unwrap_or(0);
    metrics::write(&[(metric, lag_ms)], &[("import.id", import.id.as_str())]);
}

/// Ends the import if this was the last of it, and writes how long it took. Two validators that are last together write it twice.
async fn settle(store: &Store, job: &Job) -> Result<()> {
    let before_ms = store.now_ms();
    if let Some(import) = store.settle(&job.account, &job.import).await?
        && let Some(completed_at) = import.completed_at.filter(|at| *at >= before_ms)
    {
        lag(Metric::EndLag, &import, completed_at);
    }
    Ok(())
}

/// What a tally may have been the last condition of: its block full, the import ended, too many of the first rows rejected. A repeat changes
/// nothing.
///
/// # Errors
/// What may be different next time.
pub async fn after_tally(store: &Store, job: &Job, chunk: &Chunk, block: &Block) -> Result<()> {
    if block.closed {
        settle(store, job).await?;
    } else if block.is_full()
        && let Some(import) = store.import(&job.account, &job.import).await?
    {
        store.note(&import, job.chunking.block_of(chunk.index), block).await?;
        settle(store, job).await?;
    }
    let Some(abort) = job.abort.filter(|abort| chunk.first_row <= abort.rows) else { return Ok(()) };
    let Some(import) = store.import(&job.account, &job.import).await? else { return Ok(()) };
    if import.status == Status::Processing && import.halt.is_none() {
        let failed = store.sum(&import).await?.failed_early;
        if abort.exceeded(failed) {
            info!(import.id = %job.import, failed, "too many of the first rows are rejected");
            let halt = Halt { status: Status::Failed, failure: Some(abort.failure(failed)) };
            store.order_halt(&job.account, &job.import, &halt).await?;
            store.settle(&job.account, &job.import).await?;
        }
    }
    Ok(())
}
