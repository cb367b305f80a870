//! Processes: what each does, and what it knows.

use std::{collections::BTreeSet, rc::Rc};

use penstock_model::Record;

/// A process: what it does, and what it knows.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Upload(usize),
    Cancel(usize),
    Confirm(usize),
    Settle(usize),
    /// One row of an import.
    Row {
        import: usize,
        row: usize,
        at: RowAt,
    },
    /// Counts what goes, and decides.
    Count {
        import: usize,
        shard: usize,
    },
    Decide(usize),
    Remove {
        import: usize,
        shard: usize,
        at: RemoveAt,
    },
}

#[derive(Debug, Clone)]
pub(super) enum RowAt {
    Begin,
    Read,
    Write(Option<Rc<Record>>),
    Tally,
}

#[derive(Debug, Clone)]
pub(super) enum RemoveAt {
    Read { keys: Vec<usize>, gone: BTreeSet<usize> },
    Write { keys: Vec<usize>, gone: BTreeSet<usize>, record: Rc<Record> },
}

#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) work: Work,
    pub(super) began: u64,
    pub(super) stands_until: u64,
}

/// What a step comes to.
pub(super) enum Step {
    Goes(Work),
    /// The same step again later.
    Waits,
    Done,
}
