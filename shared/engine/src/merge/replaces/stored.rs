//! Imports as they are stored.

use std::collections::{BTreeMap, BTreeSet};

use penstock_model::{Import, ImportId, ImportOptions, Mode, Stamp, Status, Transition};

use super::schedule::File;

/// An import as it is stored, with what belongs to it.
pub(super) struct Stored<'s> {
    pub(super) import: Import,
    pub(super) file: &'s File,
    pub(super) begun: BTreeSet<usize>,
    pub(super) tallied: BTreeSet<usize>,
    pub(super) is_closed: bool,
    /// The keys of each shard that go, and how many older records it has.
    pub(super) counted: BTreeMap<usize, (Vec<usize>, u64)>,
    pub(super) removed: BTreeMap<usize, u64>,
    /// Records that became tombstones of this import.
    pub(super) truth: u64,
    pub(super) was_decided: bool,
}

impl<'s> Stored<'s> {
    /// The import with this number, before its upload.
    pub(super) fn new(number: usize, file: &'s File) -> Self {
        let id = ImportId::new(number as i64, [number as u8; 10]);
        let (account, kind) = ("1".parse().expect("valid"), "things".parse().expect("valid"));
        let options = ImportOptions {
            mode: file.mode,
            most_removed_percent: (file.mode == Mode::Replace).then_some(file.most),
            ..ImportOptions::default()
        };
        Self {
            import: Import { options, opened_blocks: 1, ..Import::new(id, account, kind, 0, 1) },
            file,
            begun: BTreeSet::new(),
            tallied: BTreeSet::new(),
            is_closed: false,
            counted: BTreeMap::new(),
            removed: BTreeMap::new(),
            truth: 0,
            was_decided: false,
        }
    }

    /// Makes a transition, as the store does: if the import stands where it is made from.
    pub(super) fn make(&mut self, transition: &Transition) -> bool {
        let is_made = transition.is_made_from(self.import.stage());
        if is_made {
            write(&mut self.import, transition);
        }
        is_made
    }

    pub(super) fn is_accounted_for(&self) -> bool {
        self.tallied.len() == self.file.rows.len()
    }

    pub(super) fn row_stamp(&self, row: usize) -> Stamp {
        Stamp { order: self.import.order, row: row as u64 + 1 }
    }
}

/// Writes what [`Transition::writes`] says, at the moment 0, without the way through JSON, which takes most of a run's
/// time. That it is the same is shown below.
fn write(import: &mut Import, transition: &Transition) {
    match transition.clone() {
        Transition::Wait { object, gate } => {
            (import.status, import.completed_at) = (Status::Processing, None);
            (import.object, import.waiting_for) = (object, Some(gate));
        }
        Transition::Accept { object, order, no_older_running } => {
            (import.status, import.completed_at, import.accepted_at) = (Status::Processing, None, Some(0));
            (import.order, import.no_older_running, import.waiting_for) = (order, no_older_running, None);
            if object.is_none() {
                import.total = Some(0);
            }
            import.object = object;
        }
        Transition::Split { total } => (import.total, import.split_ended_at) = (Some(total), Some(0)),
        Transition::Judge { object, at } => {
            (import.status, import.completed_at, import.accepted_at) = (Status::Processing, None, Some(0));
            (import.object, import.judged_at, import.waiting_for) = (Some(object), Some(at), None);
        }
        Transition::Hold { to_remove, until, rows } => {
            (import.status, import.held_until) = (Status::AwaitingConfirmation, Some(until));
            import.to_remove = to_remove.or(import.to_remove);
            import.rows = rows.or(import.rows);
        }
        Transition::ConfirmAs { import: applies, status } => {
            (import.status, import.confirmed_at, import.completed_at) = (status, Some(0), Some(0));
            import.confirmed_as = Some(applies);
        }
        Transition::Confirm { order } => {
            (import.status, import.confirmed, import.confirmed_at) = (Status::Processing, Some(order), Some(0));
        }
        Transition::Decide { stamp, to_remove } => {
            (import.removes, import.to_remove) = (Some((stamp.order, stamp.row)), Some(to_remove));
        }
        Transition::Halt(halt) => (import.halt, import.halted_at) = (Some(halt), Some(0)),
        Transition::End { status, failure, rows, removed } => {
            (import.status, import.completed_at) = (status, Some(0));
            import.failure = failure.or(import.failure.take());
            import.rows = rows.or(import.rows);
            import.removed = removed.or(import.removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use penstock_model::{Failure, Halt, Rows, StoredObject, replace::ToRemove, review::JudgedAt};

    use super::*;

    /// What the store writes, and reads again.
    fn through_json(import: &Import, transition: &Transition) -> Import {
        let mut item = serde_json::to_value(import).expect("writes");
        for (name, value) in transition.writes(0) {
            item[name] = value;
        }
        serde_json::from_value(item).expect("reads")
    }

    #[test]
    fn what_is_written_is_what_the_transition_says() {
        let file =
            File { mode: Mode::Replace, rows: Vec::new(), most: 30, answer: super::super::schedule::Answer::Confirm };
        let object = Some(StoredObject { version: Some("v".to_owned()), etag: "e".to_owned(), bytes: 1 });
        let to_remove = ToRemove { records: 3, of: 7 };
        let (gate, rows) = (ImportId::new(1, [8; 10]), Rows { total: Some(4), processed: 4, ..Rows::default() });
        let failure = Failure::new("split_failed", "too early");
        let mut transitions = vec![
            Transition::Split { total: 4 },
            Transition::Hold { to_remove: Some(to_remove), until: 9, rows: None },
            Transition::Hold { to_remove: None, until: 10, rows: Some(rows) },
            Transition::ConfirmAs { import: gate.clone(), status: Status::Completed },
            Transition::Confirm { order: 6 },
            Transition::Decide { stamp: Stamp::of_delete(6), to_remove },
            Transition::Halt(Halt::cancelled()),
            Transition::Halt(Halt::failed(failure.clone())),
        ];
        let at = JudgedAt { next: 4, running: [gate.clone()].into() };
        transitions.extend(object.clone().map(|object| Transition::Judge { object, at }));
        for object in [None, object] {
            transitions.push(Transition::Wait { object: object.clone(), gate: gate.clone() });
            for no_older_running in [true, false] {
                transitions.push(Transition::Accept { object: object.clone(), order: 5, no_older_running });
            }
        }
        for (status, failure) in [(Status::Expired, None), (Status::Failed, Some(failure)), (Status::Completed, None)] {
            for (rows, removed) in [(None, None), (Some(rows), None), (Some(rows), Some(3))] {
                let failure = failure.clone();
                transitions.push(Transition::End { status, failure, rows, removed });
            }
        }
        // Each behind each other: none leaves what another takes away.
        for first in &transitions {
            let mut import = Stored::new(2, &file).import;
            write(&mut import, first);
            assert_eq!(import, through_json(&Stored::new(2, &file).import, first), "{first:?}");
            for second in &transitions {
                let mut after = import.clone();
                write(&mut after, second);
                assert_eq!(after, through_json(&import, second), "{second:?} behind {first:?}");
            }
        }
    }
}
