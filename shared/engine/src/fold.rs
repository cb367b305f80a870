//! Folding: what the rows of a chunk that name one record do to it together, and what they count as.
//!
//! An import applies them one on top of the other. A dry run judges each for itself. A review judges them one on top of
//! the other as an import does, writes nothing, and so cannot see what the rows of other chunks do to the record. That
//! matters only where there is no record yet: one row of the file makes it, whichever, and to all the others it is
//! there. So each chunk that would make the record claims it. The chunk that holds the claim counts a row as the one
//! that makes it, and the others do not ([`Folded::made_elsewhere`]).
//!
//! What a row counts as depends on nothing else that another row does: whether it is accepted is judged by the row
//! alone, and to a record that is there a mode does the same whatever it holds: `create` skips, the others update or
//! leave it unchanged. The one exception is a record that outgrows its item: that is judged with the rows of the same
//! chunk, and not with those of others.

use penstock_model::{Job, Mode, Tally, limits::RECORD_ITEM_BYTES};

use crate::{
    key::RecordName,
    merge::{Draft, Outcome},
    plan::Plan,
    rows::Row,
};

/// A record with a chunk's rows in it, not written yet.
#[derive(Debug)]
pub struct Folded {
    /// The record.
    pub draft: Draft,
    /// What became of the rows, in their order, but for those that were refused.
    pub outcomes: Vec<Outcome>,
    /// The numbers of the rows whose write can never succeed: the record would be too large.
    pub refused: Vec<u64>,
}

/// Applies a chunk's rows of one record to what is stored, as their import is to be done.
pub fn fold(plan: &Plan, job: &Job, name: &RecordName, stored: Draft, rows: &[Row<'_>]) -> Folded {
    let each_alone = job.options.dry_run.then(|| stored.clone());
    let mut folded = Folded { draft: stored, outcomes: Vec::with_capacity(rows.len()), refused: Vec::new() };
    // A key that the sort key cannot hold is stored beside the fields.
    let most_bytes = RECORD_ITEM_BYTES.saturating_sub(name.whole.as_ref().map_or(0, String::len));
    for row in rows {
        if let Some(stored) = &each_alone {
            folded.draft = stored.clone();
        }
        let before = folded.draft.record.as_ref().map_or(0, |record| record.bytes());
        // Only a record that might become too large is worth a copy to fall back on.
        let added = plan.kind().bytes_with_defaults(row.bytes());
        let fallback = (before + added > most_bytes).then(|| folded.draft.clone());
        let outcome = folded.draft.apply(plan, job.options.mode, job.stamp(row.row), row);
        match fallback {
            Some(fallback) if folded.draft.record.as_ref().is_some_and(|record| record.bytes() > most_bytes) => {
                folded.draft = fallback;
                folded.refused.push(row.row);
            }
            _ => folded.outcomes.push(outcome),
        }
    }
    folded
}

impl Folded {
    /// Whether one of the rows would make the record.
    pub fn makes(&self) -> bool {
        self.outcomes.contains(&Outcome::Created)
    }

    /// That a row of another chunk makes the record: what would have made it finds it there.
    pub fn made_elsewhere(&mut self, mode: Mode) {
        for outcome in self.outcomes.iter_mut().filter(|outcome| **outcome == Outcome::Created) {
            *outcome = if mode == Mode::Create { Outcome::Skipped } else { Outcome::Updated };
        }
    }

    /// Counts the outcomes.
    pub fn count(&self, tally: &mut Tally) {
        for outcome in &self.outcomes {
            *match outcome {
                Outcome::Created => &mut tally.created,
                Outcome::Updated => &mut tally.updated,
                Outcome::Unchanged => &mut tally.unchanged,
                Outcome::Skipped => &mut tally.skipped,
            } += 1;
        }
    }
}

#[cfg(test)]
mod tests;
