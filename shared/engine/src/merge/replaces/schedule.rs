//! Schedules: what is there at the start, what happens, and how processes fare.

use penstock_model::Mode;
use proptest::{prelude::*, sample::Index};

use crate::merge::tests::{Says, says};

/// What a row of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Good,
    Rejected,
    /// Rejected, and nobody can tell which record it names.
    Unreadable,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct FileRow {
    pub(super) key: usize,
    pub(super) says: Says,
    pub(super) sort: Sort,
}

/// What becomes of a replace that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Confirm,
    Cancel,
}

#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) mode: Mode,
    pub(super) rows: Vec<FileRow>,
    /// How many of the records that were there go without a word, in percent.
    pub(super) most: u8,
    pub(super) answer: Answer,
}

/// What happens, in this order; what it begins overlaps with whatever comes.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Upload(File),
    Delete(usize),
    /// Of one of the imports so far.
    Cancel(Index),
}

#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// Records that are there at the start.
    pub(super) start: Vec<Option<Says>>,
    pub(super) events: Vec<Event>,
    /// Of a hundred steps, so many each are followed by a death, a lost answer, a standstill.
    pub(super) faults: u64,
    /// Whether an upload is accepted only when no import runs that is not held.
    pub(super) is_serial: bool,
    pub(super) seed: u64,
}

/// What schedules hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds {
    /// Of ten imports that are replaces, and how many of them are stopped by their guard.
    pub(super) replaces: u32,
    pub(super) held: u32,
    pub(super) deletes: u32,
    pub(super) cancels: u32,
    pub(super) keys: usize,
    pub(super) is_serial: bool,
}

pub(super) const ALL: Kinds = Kinds { replaces: 5, held: 5, deletes: 2, cancels: 1, keys: 4, is_serial: false };

impl Kinds {
    fn file(self) -> impl Strategy<Value = File> {
        let Kinds { replaces, held, keys, is_serial, .. } = self;
        let sort = prop_oneof![30 => Just(Sort::Good), 4 => Just(Sort::Rejected), 1 => Just(Sort::Unreadable)];
        let rows = prop::collection::vec((0..keys, says(true), sort), 0..5);
        let others = if is_serial { vec![Mode::Upsert, Mode::Create, Mode::Fill] } else { vec![Mode::Upsert] };
        let mode = prop_oneof![replaces => Just(Mode::Replace), 10 - replaces => prop::sample::select(others)];
        let most = prop_oneof![held => prop::sample::select(vec![0, 30]), 10 - held => Just(100u8)];
        let answer = prop_oneof![4 => Just(Answer::Confirm), 1 => Just(Answer::Cancel)];
        (mode, rows, most, answer).prop_map(|(mode, rows, most, answer)| {
            let row = |(key, says, sort)| FileRow { key, says, sort };
            File { mode, rows: rows.into_iter().map(row).collect(), most, answer }
        })
    }

    pub(super) fn schedules(self) -> impl Strategy<Value = Schedule> {
        let Kinds { deletes, cancels, keys, is_serial, .. } = self;
        let event = prop_oneof![
            8 => self.file().prop_map(Event::Upload),
            deletes => (0..keys).prop_map(Event::Delete),
            cancels => any::<Index>().prop_map(Event::Cancel),
        ];
        let start = prop::collection::vec(prop::option::weighted(0.6, says(false)), keys);
        let faults = prop::sample::select(vec![0u64, 2, 8]);
        (start, prop::collection::vec(event, 1..6), faults, any::<u64>())
            .prop_map(move |(start, events, faults, seed)| Schedule { start, events, faults, is_serial, seed })
    }
}
