//! The steps of a validator with one row.

use penstock_model::{Mode, Stage};

use super::{
    process::{RowAt, Step, Work},
    rule::Without,
    schedule::{FileRow, Sort},
    world::World,
};
use crate::merge::{Draft, Outcome, tests::apply};

impl World<'_> {
    pub(super) fn row(&mut self, import: usize, row: usize, at: RowAt) -> Step {
        let without = self.without;
        let on = |at| Step::Goes(Work::Row { import, row, at });
        let stored = &mut self.imports[import];
        let FileRow { key, says, sort } = stored.file.rows[row];
        let stamp = stored.row_stamp(row);
        match at {
            RowAt::Begin => {
                let is_done = stored.tallied.contains(&row) || stored.import.stage() == Stage::Ended;
                if is_done || stored.is_closed && !stored.begun.contains(&row) {
                    return Step::Done;
                }
                stored.begun.insert(row);
                on(if sort == Sort::Good { RowAt::Read } else { RowAt::Tally })
            }
            RowAt::Read => on(RowAt::Write(self.records.get(&key).cloned())),
            RowAt::Write(read) => {
                let newest = read.as_ref().and_then(|record| record.newest());
                let mut seen = read.as_deref().cloned();
                if let (Without::Floor, Some(record)) = (without, &mut seen) {
                    record.gone = record.gone.filter(|gone| gone.row != u64::MAX);
                }
                let mut draft = Draft::stored(seen);
                let mode = stored.file.mode.of_rows();
                let outcome = apply(&mut draft, mode, stamp, &says);
                let is_first = !stored.file.rows[..row].iter().any(|other| other.key == key);
                let is_left_out = mode == Mode::Upsert
                    && stored.import.no_older_running
                    && is_first
                    && newest.is_some_and(|newest| newest < stamp)
                    && outcome == Outcome::Unchanged;
                if !draft.changed || is_left_out {
                    return on(RowAt::Tally);
                }
                let record = draft.record.expect("a row makes one");
                let is_written = self.write(key, read.map(|record| record.rev), record);
                on(if is_written && !self.is_fault() { RowAt::Tally } else { RowAt::Read })
            }
            RowAt::Tally => {
                if stored.tallied.insert(row) {
                    let tally = &mut stored.import.noted_tally;
                    if sort == Sort::Good { tally.updated += 1 } else { tally.failed += 1 }
                }
                if stored.is_accounted_for() {
                    stored.import.noted_blocks = vec![0];
                }
                Step::Done
            }
        }
    }
}
