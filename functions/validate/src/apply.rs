//! Applying accepted rows: read, merge, compare and set, retry on a conflict.
//!
//! **A row that changes stamps alone may cost no write.** A nightly export of a whole catalogue consists of such rows.
//! A stamp protects a row's values from rows that are applied later although they belong before it. So the write is
//! left out if, and only if, there can be no such row. For each of the five conditions there is a schedule that breaks
//! the first promise without it (`tests/chaos.rs`, for *newest* `tests/unchanged.rs`):
//!
//! - *alone*: no older import of the account and kind ran when this one was accepted. Rows of an older one belong
//!   before this row.
//! - *first*: no earlier row of the file names the record. Such a row may be applied after this one.
//! - *newest*: the record holds no stamp that is newer than the row. A record that a newer row made has defaults, and
//!   this row's stamps would protect them from rows between the two.
//! - *equal*: merging the row changes no value of the record.
//! - *consistent*: the record was read consistently. An older state may have the row's values although the present one
//!   does not.
//!
//! **The first load of a kind reads nothing.** Where no record of the kind was known when the import was accepted, a
//! record is merged as one that does not exist, and written on the condition that it does not. That is a hint, not a
//! promise: whoever meets a record all the same reads it, and so does a row that writes nothing, since no condition
//! has told that its record is missing.
//!
//! **Rows that the splitter dropped** do not come here: they are counted as unchanged.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use penstock_engine::{
    fold::{self, Folded},
    key::RecordName,
    merge::{Draft, Outcome},
    plan::Plan,
    rows::Row,
};
use penstock_model::{Dropped, Job, Mode, Record, Repeats, Stamp, Tally};
use penstock_store::{
    Backoff, Result, Store,
    conditions::Conditions,
    records::{Page, READ_BATCH, WRITE_BATCH, Write, Written},
};
use tokio::sync::Mutex;

/// Groups of [`READ_BATCH`] records that are under way at once.
const GROUPS: usize = 4;

/// Bytes of records in one page over which it is worked off alone.
const LARGE_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// The outcome of a chunk's accepted rows.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) tally: Tally,
    /// Rows whose write can never succeed: the record would be too large.
    pub(crate) refused: Vec<u64>,
}

/// The rows of one record, in the file's order: they become one write.
struct Fold<'r> {
    name: &'r RecordName,
    rows: Vec<Row<'r>>,
}

/// The rules by which a chunk's rows are applied.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) job: &'a Job,
    /// The number of the chunk.
    pub(crate) chunk: u32,
    /// The number of its first row.
    pub(crate) first_row: u64,
    /// The rows that may name a record that an earlier row of the file names.
    pub(crate) repeats: &'a Repeats,
    /// The rows that the splitter dropped. They come here in a fault test alone.
    pub(crate) dropped: &'a Dropped,
    /// The conditions for leaving a write out.
    pub(crate) conditions: Conditions,
}

/// Applies every row, each record by one conditional write. A repeat finds the rows' stamps in the records and counts
/// them as the first time.
///
/// # Errors
/// When the table refuses the writes for long, or other writers keep winning: the message goes back, and nothing is
/// lost.
pub(crate) async fn apply(store: &Store, rules: Rules<'_>, rows: Vec<Row<'_>>) -> Result<Applied> {
    let Rules { job, .. } = rules;
    let mut folds: Vec<Fold<'_>> = Vec::new();
    let names: Vec<RecordName> = rows.iter().map(|row| RecordName::of(&job.account, &job.kind, &row.key)).collect();
    let mut places: HashMap<&RecordName, usize> = HashMap::new();
    for (name, row) in names.iter().zip(rows) {
        let place = *places.entry(name).or_insert(folds.len());
        match folds.get_mut(place) {
            Some(fold) => fold.rows.push(row),
            None => folds.push(Fold { name, rows: vec![row] }),
        }
    }
    let reading = Mutex::new(());
    let groups = folds.chunks(READ_BATCH).map(|group| apply_group(store, rules, group, &reading));
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
/// Groups read one at a time. A page of large records is written before anything more is read, so that memory does not
/// grow with the records either; small ones are written beside the other groups' reads and writes.
async fn apply_group(store: &Store, rules: Rules<'_>, group: &[Fold<'_>], reading: &Mutex<()>) -> Result<Applied> {
    let mut applied = Applied::default();
    let mut pending: Vec<&Fold<'_>> = group.iter().collect();
    let mut pause = Backoff::default();
    // In the first load of a kind, a record that no earlier row of the file may name is taken to be missing, until it
    // has been met.
    let mut assumes = rules.job.is_first_load();
    while !pending.is_empty() {
        let is_assumed_missing =
            |fold: &Fold<'_>| assumes && !fold.rows.iter().any(|row| rules.repeats.may_be(row.row));
        let turn = reading.lock().await;
        let names: Vec<&RecordName> =
            pending.iter().filter(|fold| !is_assumed_missing(fold)).map(|fold| fold.name).collect();
        let Page { mut records, unread } =
            if names.is_empty() { Page::default() } else { store.records_page(&names).await? };
        let large = records.values().map(Record::bytes).sum::<usize>() > LARGE_PAGE_BYTES;
        let _turn = large.then_some(turn);
        let (read, mut left): (Vec<&Fold<'_>>, Vec<&Fold<'_>>) =
            pending.iter().partition(|fold| !unread.contains(fold.name));
        let mut met_others = read.is_empty();
        for batch in read.chunks(WRITE_BATCH) {
            let mut merged: Vec<Merged<'_>> =
                batch.iter().map(|fold| merge(rules, fold, Draft::stored(records.remove(fold.name)))).collect();
            if rules.job.options.review {
                claim(store, rules, &mut merged).await?;
            }
            let (to_write, done): (Vec<_>, Vec<_>) = merged.into_iter().partition(|merged| merged.has_to_be_written);
            for merged in done {
                if is_assumed_missing(merged.fold) { left.push(merged.fold) } else { merged.count(&mut applied) }
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
        assumes = false;
        if met_others {
            pause.wait("dynamodb:BatchExecuteStatement").await?;
        }
    }
    Ok(applied)
}

/// A record with a fold's rows in it, not written yet.
struct Merged<'a> {
    fold: &'a Fold<'a>,
    folded: Folded,
    has_to_be_written: bool,
}

impl Merged<'_> {
    fn write(&self) -> Option<Write<'_>> {
        self.folded.draft.record.as_ref().map(|record| Write { name: self.fold.name, record })
    }

    fn count(&self, applied: &mut Applied) {
        self.folded.count(&mut applied.tally);
        applied.refused.extend(&self.folded.refused);
    }
}

/// Applies a fold's rows to what is stored.
fn merge<'a>(rules: Rules<'_>, fold: &'a Fold<'a>, stored: Draft) -> Merged<'a> {
    let Rules { plan, job, .. } = rules;
    // A tombstone has none: a row makes the record anew, and its write is never left out.
    let newest = stored.record.as_ref().and_then(Record::newest);
    if !rules.conditions.digest_drops {
        hold_to_shadow(rules, fold, &stored);
    }
    let folded = fold::fold(plan, job, fold.name, stored, &fold.rows);
    let mut merged = Merged { fold, folded, has_to_be_written: false };
    merged.has_to_be_written =
        merged.folded.draft.changed && job.options.writes() && !may_be_left_out(rules, &merged, newest);
    merged
}

/// In a fault test, which has dropped rows applied: ends the program if one is not unchanged where it is applied for
/// the first time.
fn hold_to_shadow(rules: Rules<'_>, fold: &Fold<'_>, stored: &Draft) {
    let Rules { plan, job, first_row, dropped, .. } = rules;
    for row in fold.rows.iter().filter(|row| dropped.has((row.row - first_row) as usize)) {
        let stamp = job.stamp(row.row);
        let was_applied = |record: &Record| {
            record.made == stamp
                || record.last.stamp == stamp
                || record.gone.is_some_and(|gone| stamp < gone)
                || record.stamps.values().any(|at| *at == stamp || *at == stamp.of_default())
        };
        let outcome = stored.clone().apply(plan, job.options.mode, stamp, row);
        let holds = outcome == Outcome::Unchanged || stored.record.as_ref().is_some_and(was_applied);
        assert!(holds, "row {} of {} was dropped, and is {outcome:?}", row.row, job.import);
    }
}

/// Claims the records that rows of a review would make, and counts those of which another chunk holds the claim as made
/// there. A repeat finds the chunk's own claims.
async fn claim(store: &Store, Rules { job, chunk, .. }: Rules<'_>, judged: &mut [Merged<'_>]) -> Result<()> {
    let mut making: Vec<&mut Merged<'_>> = judged.iter_mut().filter(|merged| merged.folded.makes()).collect();
    let names: Vec<&RecordName> = making.iter().map(|merged| merged.fold.name).collect();
    let claimed = store.claim(&job.import, chunk, &names).await?;
    for (merged, is_claimed) in making.iter_mut().zip(claimed) {
        if !is_claimed {
            merged.folded.made_elsewhere(job.options.mode);
        }
    }
    Ok(())
}

/// Whether a write that changes stamps alone may be left out: the conditions at the head of this file. The store reads
/// records consistently.
fn may_be_left_out(rules: Rules<'_>, merged: &Merged<'_>, newest: Option<Stamp>) -> bool {
    let ([row], [outcome]) = (&merged.fold.rows[..], &merged.folded.outcomes[..]) else { return false };
    let needed = rules.conditions;
    rules.job.options.mode == Mode::Upsert
        && (!needed.no_older_running || rules.job.no_older_running)
        && (!needed.first || !rules.repeats.may_be(row.row))
        && (!needed.newest || newest.is_some_and(|newest| newest < rules.job.stamp(row.row)))
        && (!needed.equal || *outcome == Outcome::Unchanged)
}
