//! Applying accepted rows: read, merge, write if nobody else did, as often as it takes.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use penstock_engine::{
    key,
    merge::{Draft, Outcome},
    plan::Plan,
    rows::Row,
};
use penstock_model::{Job, Record, Tally, limits::RECORD_ITEM_BYTES};
use penstock_store::{
    Backoff, Result, Store,
    records::{Page, READ_BATCH, RecordKey, WRITE_BATCH, Write, Written},
};
use tokio::sync::Mutex;

/// Groups of [`READ_BATCH`] records that are under way at once.
const GROUPS: usize = 4;

/// Bytes of records in one page over which it is worked off alone.
const LARGE_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// What became of a chunk's accepted rows.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) tally: Tally,
    /// Rows whose write can never succeed: the record would be too large.
    pub(crate) refused: Vec<u64>,
}

/// The rows of one record, in the file's order: they become one write.
struct Fold<'r> {
    key: RecordKey,
    rows: Vec<Row<'r>>,
}

/// Applies every row, each record by one conditional write. A repeat finds the rows' stamps in the records and counts them as the first
/// time.
///
/// # Errors
/// When the table does not take the writes for long, or other writers keep coming first: the message goes back, nothing is lost.
pub(crate) async fn apply(store: &Store, plan: &Plan, job: &Job, rows: Vec<Row<'_>>) -> Result<Applied> {
    let mut folds: Vec<Fold<'_>> = Vec::new();
    let mut places: HashMap<RecordKey, usize> = HashMap::new();
    for row in rows {
        let key = key::hash(&job.account, &job.kind, &row.key);
        let place = *places.entry(key).or_insert(folds.len());
        match folds.get_mut(place) {
            Some(fold) => fold.rows.push(row),
            None => folds.push(Fold { key, rows: vec![row] }),
        }
    }
    let reading = Mutex::new(());
    let groups = folds.chunks(READ_BATCH).map(|group| apply_group(store, plan, job, group, &reading));
    stream::iter(groups)
        .buffer_unordered(GROUPS)
        .try_fold(Applied::default(), |mut all, group| async move {
            all.tally += group.tally;
            all.refused.extend(group.refused);
            Ok(all)
        })
        .await
}

/// Applies the folds of one group.
///
/// Groups read one at a time. A page of large records is written before anything more is read, so that memory does not grow with the records
/// either; small ones are written beside the other groups' reads and writes.
async fn apply_group(
    store: &Store,
    plan: &Plan,
    job: &Job,
    group: &[Fold<'_>],
    reading: &Mutex<()>,
) -> Result<Applied> {
    let mut applied = Applied::default();
    let mut pending: Vec<&Fold<'_>> = group.iter().collect();
    let mut pause = Backoff::default();
    while !pending.is_empty() {
        let turn = reading.lock().await;
        let keys: Vec<RecordKey> = pending.iter().map(|fold| fold.key).collect();
        let Page { mut records, unread } = store.records_page(&keys).await?;
        let large = records.values().map(Record::bytes).sum::<usize>() > LARGE_PAGE_BYTES;
        let _turn = large.then_some(turn);
        let (read, mut left): (Vec<&Fold<'_>>, Vec<&Fold<'_>>) =
            pending.iter().partition(|fold| !unread.contains(&fold.key));
        let mut met_others = read.is_empty();
        for batch in read.chunks(WRITE_BATCH) {
            let mut to_write = Vec::with_capacity(batch.len());
            for &fold in batch {
                let merged = merge(plan, job, fold, Draft::stored(records.remove(&fold.key)));
                if merged.draft.changed && !job.dry_run { to_write.push(merged) } else { merged.count(&mut applied) }
            }
            let writes: Vec<Write<'_>> = to_write.iter().filter_map(Merged::write).collect();
            let written = if writes.is_empty() { Vec::new() } else { store.write_records(&writes).await? };
            for (merged, written) in to_write.iter().zip(written) {
                match written {
                    Written::Stored => merged.count(&mut applied),
                    Written::ReadAgain => {
                        met_others = true;
                        left.push(merged.fold);
                    }
                }
            }
        }
        pending = left;
        if met_others {
            pause.wait("dynamodb:BatchExecuteStatement").await?;
        }
    }
    Ok(applied)
}

/// A record with a fold's rows in it, not written yet.
struct Merged<'a> {
    fold: &'a Fold<'a>,
    draft: Draft,
    outcomes: Vec<Outcome>,
    refused: Vec<u64>,
}

impl Merged<'_> {
    fn write(&self) -> Option<Write<'_>> {
        self.draft.record.as_ref().map(|record| Write { key: self.fold.key, record })
    }

    fn count(&self, applied: &mut Applied) {
        for outcome in &self.outcomes {
            let tally = &mut applied.tally;
            *match outcome {
                Outcome::Created => &mut tally.created,
                Outcome::Updated => &mut tally.updated,
                Outcome::Unchanged => &mut tally.unchanged,
                Outcome::Skipped => &mut tally.skipped,
            } += 1;
        }
        applied.refused.extend(&self.refused);
    }
}

/// Applies a fold's rows to what is stored: one on top of the other, or in a dry run each for itself.
fn merge<'a>(plan: &Plan, job: &Job, fold: &'a Fold<'a>, stored: Draft) -> Merged<'a> {
    let alone = job.dry_run.then(|| stored.clone());
    let mut merged = Merged { fold, draft: stored, outcomes: Vec::with_capacity(fold.rows.len()), refused: Vec::new() };
    for row in &fold.rows {
        if let Some(stored) = &alone {
            merged.draft = stored.clone();
        }
        let before = merged.draft.record.as_ref().map_or(0, |record| record.bytes());
        // Only a record that might become too large is worth a copy to fall back on.
        let added = plan.kind().bytes_with_defaults(row.bytes());
        let fallback = (before + added > RECORD_ITEM_BYTES).then(|| merged.draft.clone());
        let outcome = merged.draft.apply(plan, job.mode, job.stamp(row.row), row);
        match fallback {
            Some(fallback) if merged.draft.record.as_ref().is_some_and(|record| record.bytes() > RECORD_ITEM_BYTES) => {
                merged.draft = fallback;
                merged.refused.push(row.row);
            }
            _ => merged.outcomes.push(outcome),
        }
    }
    merged
}
