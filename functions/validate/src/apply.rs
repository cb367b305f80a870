//! Applying accepted rows: read, merge, write if nobody else did, as often as it takes.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use penstock_engine::{
    key,
    merge::{Draft, Outcome},
    plan::Plan,
    rows::{Finding, Row},
};
use penstock_model::{Job, Tally, limits::RECORD_ITEM_BYTES};
use penstock_store::{
    Backoff, Result, Store,
    records::{READ_BATCH, RecordKey, WRITE_BATCH, Write, Written},
};

/// Groups of [`READ_BATCH`] records that are under way at once.
const GROUPS: usize = 4;

/// What became of a chunk's accepted rows.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) tally: Tally,
    /// Rows whose write can never succeed, and why.
    pub(crate) refused: Vec<(u64, Finding)>,
}

/// The rows of one record, in the file's order: they become one write.
struct Fold {
    key: RecordKey,
    rows: Vec<Row>,
}

/// Applies every row, each record by one conditional write. A repeat finds the rows' stamps in the records and counts them as the first
/// time.
///
/// # Errors
/// When the table does not take the writes for long, or other writers keep coming first: the message goes back, nothing is lost.
pub(crate) async fn apply(store: &Store, plan: &Plan, job: &Job, rows: Vec<Row>) -> Result<Applied> {
    let mut folds: Vec<Fold> = Vec::new();
    let mut places: HashMap<RecordKey, usize> = HashMap::new();
    for row in rows {
        let key = key::hash(&job.account, &job.kind, &row.key);
        let place = *places.entry(key).or_insert(folds.len());
        match folds.get_mut(place) {
            Some(fold) => fold.rows.push(row),
            None => folds.push(Fold { key, rows: vec![row] }),
        }
    }
    let groups = folds.chunks(READ_BATCH).map(|group| apply_group(store, plan, job, group));
    stream::iter(groups)
        .buffer_unordered(GROUPS)
        .try_fold(Applied::default(), |mut all, group| async move {
            all.tally += group.tally;
            all.refused.extend(group.refused);
            Ok(all)
        })
        .await
}

async fn apply_group(store: &Store, plan: &Plan, job: &Job, group: &[Fold]) -> Result<Applied> {
    let mut applied = Applied::default();
    let mut pending: Vec<&Fold> = group.iter().collect();
    let mut pause = Backoff::default();
    loop {
        let keys: Vec<RecordKey> = pending.iter().map(|fold| fold.key).collect();
        let mut stored = store.records(&keys).await?;
        let drafts: Vec<Merged<'_>> =
            pending.iter().map(|fold| merge(plan, job, fold, Draft::stored(stored.remove(&fold.key)))).collect();
        let (to_write, done): (Vec<Merged<'_>>, _) =
            drafts.into_iter().partition(|merged| merged.draft.changed && !job.dry_run);
        done.into_iter().for_each(|merged| merged.count(&mut applied));
        pending.clear();
        for batch in to_write.chunks(WRITE_BATCH) {
            let writes: Vec<Write<'_>> = batch.iter().filter_map(Merged::write).collect();
            for (merged, written) in batch.iter().zip(store.write_records(&writes).await?) {
                match written {
                    Written::Stored => merged.clone().count(&mut applied),
                    Written::ReadAgain => pending.push(merged.fold),
                }
            }
        }
        if pending.is_empty() {
            return Ok(applied);
        }
        pause.wait("dynamodb:BatchExecuteStatement").await?;
    }
}

/// A record with a fold's rows in it, not written yet.
#[derive(Clone)]
struct Merged<'a> {
    fold: &'a Fold,
    draft: Draft,
    outcomes: Vec<Outcome>,
    refused: Vec<u64>,
}

impl Merged<'_> {
    fn write(&self) -> Option<Write<'_>> {
        self.draft.record.as_ref().map(|record| Write { key: self.fold.key, record })
    }

    fn count(self, applied: &mut Applied) {
        for outcome in self.outcomes {
            let tally = &mut applied.tally;
            *match outcome {
                Outcome::Created => &mut tally.created,
                Outcome::Updated => &mut tally.updated,
                Outcome::Unchanged => &mut tally.unchanged,
                Outcome::Skipped => &mut tally.skipped,
            } += 1;
        }
        for row in self.refused {
            let message = format!("with this row the record would have more than {RECORD_ITEM_BYTES} bytes");
            applied.refused.push((row, Finding::row("record_item_too_large", message)));
        }
    }
}

/// Applies a fold's rows to what is stored: one on top of the other, or in a dry run each for itself.
fn merge<'a>(plan: &Plan, job: &Job, fold: &'a Fold, stored: Draft) -> Merged<'a> {
    let mut merged =
        Merged { fold, draft: stored.clone(), outcomes: Vec::with_capacity(fold.rows.len()), refused: Vec::new() };
    for row in &fold.rows {
        if job.dry_run {
            merged.draft = stored.clone();
        }
        let before = merged.draft.record.as_ref().map_or(0, |record| record.bytes());
        // Only a record that might become too large is worth a copy to fall back on.
        let fallback = (before + row.bytes() > RECORD_ITEM_BYTES).then(|| merged.draft.clone());
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
