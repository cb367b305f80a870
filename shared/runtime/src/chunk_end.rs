//! The end of a chunk: its errors, its tally, and what either may have been the last condition of.
//!
//! The validator ends the chunks that it has applied, the sweeper those that it gives up, the splitter those whose rows
//! are dropped one and all. Each step finds what was done before, so that whoever comes second carries on.

use penstock_engine::rows;
use penstock_model::{AccountId, Block, Body, Chunk, Import, ImportId, Job, RowError, Settlement, Tally, limits};
use penstock_store::{Result, Store, errors::Extent};
use tracing::info;

use crate::metrics::{self, Metric};

/// Why a chunk's rows failed as a whole; its fate says it, so that whoever accounts for them says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// [`penstock_model::Verdict::Failed`].
    NotProcessed,
    /// [`penstock_model::Verdict::Stuck`].
    Stuck,
}

impl GivenUp {
    /// The code of the rows' errors.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotProcessed => "not_processed",
            Self::Stuck => "row_takes_too_long",
        }
    }

    fn message(self, chunk: &Chunk, alone_seconds: u64) -> String {
        match self {
            Self::NotProcessed => {
                "the row could not be processed, repeatedly, for a reason that lies with the service; send it again"
                    .to_owned()
            }
            Self::Stuck => format!(
                "the rows {} to {} were begun {} times and never worked out: a row among them takes longer than {} seconds \
                 with this kind, or ends the program; shorten its cells or simplify the kind's patterns, and send the rows \
                 again",
                chunk.first_row,
                chunk.first_row + chunk.rows - 1,
                limits::CHUNK_TRIES + 1,
                alone_seconds
            ),
        }
    }
}

/// Accounts for the rows of a chunk that was given up: each has failed. A repeat finds the tally and goes on behind it.
///
/// # Errors
/// What may be different next time.
pub async fn give_up(store: &Store, job: &Job, chunk: &Chunk, why: GivenUp) -> Result<()> {
    let errors = rows::reject_all(job, chunk, why.code(), &why.message(chunk, store.settings().chunk_seconds));
    finish(store, job, chunk, Tally::default(), &errors).await
}

/// Stores a decided chunk's errors and its tally, to which the rejected rows are added here, and does what may follow.
/// A repeat stores the same errors and finds the tally.
///
/// # Errors
/// What may be different next time.
pub async fn finish(store: &Store, job: &Job, chunk: &Chunk, tally: Tally, errors: &[RowError]) -> Result<()> {
    let extent = Extent {
        offset: chunk.offset,
        bytes: chunk.bytes,
        first_row: chunk.first_row,
        first_line: chunk.first_line,
        refused: matches!(chunk.body, Body::Refused(_)),
    };
    store.put_errors(&job.import, chunk.index, extent, errors).await?;
    let early_rows = job.options.abort.map_or(0, |abort| abort.rows);
    let rejected = || RowError::by_row(errors).map(|row| row[0].row);
    let tally = Tally {
        failed: rejected().count() as u64,
        errors: errors.len() as u64,
        failed_early: rejected().filter(|row| *row <= early_rows).count() as u64,
        ..tally
    };
    let tallied = store.tally(job, chunk.index, &tally).await?;
    tell(store, job, chunk, &tally).await?;
    match tallied {
        Some(block) => after_tally(store, job, chunk, &block).await,
        None => Ok(()),
    }
}

/// Begins and tallies chunks of one block whose rows are dropped one and all, and does what may follow. One that has
/// begun, or must not begin any more, is left to whoever decided that. A repeat changes nothing.
///
/// # Errors
/// What may be different next time.
pub async fn unchanged(store: &Store, job: &Job, chunks: &[Chunk]) -> Result<()> {
    let Some((mut block, is_made)) = store.tally_unchanged(job, chunks).await? else { return Ok(()) };
    if !is_made {
        for chunk in chunks.iter().filter(|_| chunks.len() > 1) {
            let Some((now, _)) = store.tally_unchanged(job, std::slice::from_ref(chunk)).await? else { return Ok(()) };
            block = now;
        }
    }
    for chunk in chunks.iter().filter(|chunk| block.is_tallied(chunk.index)) {
        tell(store, job, chunk, &Tally { unchanged: chunk.rows, ..Tally::default() }).await?;
    }
    // What the block is like is the same for each of them, and the first has the first rows.
    match chunks.iter().find(|chunk| block.is_tallied(chunk.index)) {
        Some(first) => after_tally(store, job, first, &block).await,
        None => Ok(()),
    }
}

/// Does what follows where every row of an import's file, so many, counts as unchanged at once. A repeat changes
/// nothing, and writes the metrics again.
///
/// # Errors
/// What may be different next time.
pub async fn same(store: &Store, account: &AccountId, import: &ImportId, rows: u64) -> Result<()> {
    metrics::write(&[(Metric::RowsUnchanged, rows)], &[("import.id", import.as_str())]);
    settle(store, account, import).await
}

/// Writes a chunk's counts to the metrics, and of the file's first one how long it took. A repeat writes them again.
async fn tell(store: &Store, job: &Job, chunk: &Chunk, tally: &Tally) -> Result<()> {
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
    Ok(())
}

fn lag(metric: Metric, import: &Import, until_ms: i64) {
    let Some(accepted_at) = import.accepted_at else { return };
    let lag_ms = u64::try_from(until_ms - accepted_at).unwrap_or(0);
    metrics::write(&[(metric, lag_ms)], &[("import.id", import.id.as_str())]);
}

/// Ends the import if this was the last of it, and writes how long it took. Two validators that are last together write
/// it twice.
async fn settle(store: &Store, account: &AccountId, import: &ImportId) -> Result<()> {
    let before_ms = store.now_ms();
    if let Some(import) = store.settle(account, import).await?
        && let Some(completed_at) = import.completed_at.filter(|at| *at >= before_ms)
    {
        lag(Metric::EndLag, &import, completed_at);
    }
    Ok(())
}

/// Does what a tally may have been the last condition of: its block is full, the import has ended, too many of the
/// first rows are rejected. A repeat changes nothing.
///
/// # Errors
/// What may be different next time.
pub async fn after_tally(store: &Store, job: &Job, chunk: &Chunk, block: &Block) -> Result<()> {
    if block.closed {
        settle(store, &job.account, &job.import).await?;
    } else if block.is_full()
        && let Some(import) = store.import(&job.account, &job.import).await?
    {
        // Whoever makes the last of the changes that the end waits for settles it, and nobody else: each order to
        // remove reads the file once more. Who finds the block noted may come again because the one who did died.
        let noted = store.note(&import, job.chunking.block_of(chunk.index), block).await?;
        if noted.is_none_or(|now| now.settle() != Settlement::Wait) {
            settle(store, &job.account, &job.import).await?;
        }
    }
    // Rows beyond those that the threshold looks at change nothing about it.
    if job.options.abort.is_none_or(|abort| chunk.first_row > abort.rows) {
        return Ok(());
    }
    let Some(import) = store.import(&job.account, &job.import).await? else { return Ok(()) };
    let Some(abort) = import.abort() else { return Ok(()) };
    let failed = store.sum(&import).await?.failed_early;
    if let Some(halt) = abort.halt(failed) {
        info!(import.id = %job.import, failed, "too many of the first rows are rejected");
        store.order_halt(&job.account, &job.import, &halt).await?;
        store.settle(&job.account, &job.import).await?;
    }
    Ok(())
}
