//! The steps of the processes that carry an import from one stage to the next. What becomes of it is decided by the
//! pure functions of the model.

use std::collections::BTreeSet;

use penstock_model::{ClosedBlocks, Halt, Settlement, Stage, StoredObject, Transition};

use super::{
    process::{Process, RemoveAt, RowAt, Step, Work},
    rule::Without,
    schedule::Sort,
    world::World,
};

impl World<'_> {
    pub(super) fn end(&mut self, import: usize, end: &Transition) {
        if self.imports[import].make(end) {
            self.running.remove(&import);
            self.held.remove(&import);
            self.gate = self.gate.filter(|at| *at != import);
        }
    }

    pub(super) fn step(&mut self, work: Work) -> Step {
        match work {
            Work::Upload(import) => self.accept(import),
            Work::Cancel(import) => {
                let halt = Halt::cancelled();
                let stored = &mut self.imports[import];
                match stored.import.on_halt(&halt) {
                    Some(halted) => drop(stored.make(&halted)),
                    None if self.without == Without::Decision && stored.import.stage() == Stage::Removing => {
                        stored.import.halt = Some(halt);
                    }
                    None => {}
                }
                Step::Done
            }
            Work::Confirm(import) => {
                let place = Transition::Confirm { order: self.next };
                if self.gate.is_some() && self.without != Without::ConfirmGate {
                    return Step::Waits;
                }
                if self.below(4) > 0 {
                    return Step::Waits;
                }
                if self.imports[import].make(&place) {
                    self.next += 1;
                    self.held.remove(&import);
                    self.running.insert(import);
                    if self.without != Without::ConfirmGate {
                        self.gate = Some(import);
                    }
                }
                Step::Done
            }
            Work::Settle(import) => self.settle(import),
            Work::Row { import, row, at } => self.row(import, row, at),
            Work::Count { import, shard } => self.count(import, shard),
            Work::Decide(import) => {
                self.decide(import);
                Step::Done
            }
            Work::Remove { import, shard, at } => self.remove(import, shard, at),
        }
    }

    pub(super) fn accept(&mut self, import: usize) -> Step {
        let stage = self.imports[import].import.stage();
        if !matches!(stage, Stage::AwaitingUpload | Stage::Waiting) {
            return Step::Done;
        }
        if self.schedule.is_serial && !self.is_alone(import) {
            return Step::Waits;
        }
        let object = Some(StoredObject { version: None, etag: "e".to_owned(), bytes: 1 });
        if let Some(gate) = self.gate.filter(|_| self.without != Without::Gate) {
            let gate = self.imports[gate].import.id.clone();
            self.imports[import].make(&Transition::Wait { object, gate });
            return Step::Waits;
        }
        let accepted = Transition::Accept { object, order: self.next, no_older_running: self.running.is_empty() };
        let total = self.imports[import].file.rows.len() as u64;
        if self.imports[import].make(&accepted) {
            self.next += 1;
            self.running.insert(import);
            if self.imports[import].import.is_replace() && self.without != Without::Gate {
                self.gate = Some(import);
            }
            self.imports[import].make(&Transition::Split { total });
            for row in 0..total as usize {
                for _ in 0..1 + self.below(2) {
                    self.start(Work::Row { import, row, at: RowAt::Begin });
                }
            }
        }
        Step::Done
    }

    pub(super) fn settle(&mut self, import: usize) -> Step {
        let stored = &mut self.imports[import];
        if stored.is_accounted_for() {
            stored.import.noted_blocks = vec![0];
        }
        let mut settlement = stored.import.settle();
        if self.without == Without::LastRow && stored.import.is_replace() && stored.import.stage() == Stage::Applying {
            settlement = Settlement::Remove;
        }
        match settlement {
            // None of them is a review.
            Settlement::Wait | Settlement::Hold => return Step::Waits,
            Settlement::End(end) => self.end(import, &end),
            Settlement::CloseBlocks => {
                stored.is_closed = true;
                if stored.begun.is_subset(&stored.tallied)
                    && let Some(end) = stored.import.end_early(&ClosedBlocks::default())
                {
                    self.end(import, &end);
                }
            }
            Settlement::Remove => return self.go_on(import),
            Settlement::Report | Settlement::Done => return Step::Done,
        }
        Step::Waits
    }

    /// A removal goes on from where it stands.
    pub(super) fn go_on(&mut self, import: usize) -> Step {
        let stage = self.imports[import].import.stage();
        let waits = match stage {
            Stage::Applying => self.without != Without::GateWait,
            Stage::Confirmed => self.without != Without::ConfirmWait,
            _ => false,
        };
        if waits && !self.is_alone(import) {
            return Step::Waits;
        }
        let is_unreadable = self.imports[import].file.rows.iter().any(|row| row.sort == Sort::Unreadable);
        if stage == Stage::Applying && is_unreadable && self.without != Without::Unreadable {
            if let Some(end) = self.imports[import].import.end_unremoved() {
                self.end(import, &end);
            }
            return Step::Waits;
        }
        match stage {
            Stage::Applying => {
                for shard in [0, 1] {
                    let is_count = |work: &Work| matches!(work, Work::Count { import: of, shard: at } if (*of, *at) == (import, shard));
                    if !self.imports[import].counted.contains_key(&shard) && !self.has(is_count) {
                        self.start(Work::Count { import, shard });
                    }
                }
                if !self.imports[import].is_accounted_for() && self.imports[import].counted.len() == 2 {
                    // Without the rule of the last row: what is decided is no question yet.
                    self.start_removals(import);
                } else if self.imports[import].counted.len() == 2
                    && !self.has(|work| matches!(work, Work::Decide(of) if *of == import))
                {
                    self.start(Work::Decide(import));
                }
            }
            Stage::Confirmed => {
                let stored = &mut self.imports[import];
                let decision = stored.import.decide(stored.import.to_remove.unwrap_or_default());
                stored.was_decided |= stored.make(&decision);
            }
            _ => {
                self.start_removals(import);
                let stored = &self.imports[import];
                if stored.removed.len() == 2 {
                    let end = stored.import.end_removed(stored.removed.values().sum());
                    end.iter().for_each(|end| self.end(import, end));
                }
            }
        }
        Step::Waits
    }

    /// Starts the removal of each shard that is not tallied, some of them twice.
    pub(super) fn start_removals(&mut self, import: usize) {
        for shard in [0, 1] {
            let copies = 1 + self.below(2) as usize;
            let is_removal = |work: &&Process| matches!(work.work, Work::Remove { import: of, shard: at, .. } if (of, at) == (import, shard));
            let there = self.processes.iter().filter(is_removal).count();
            if !self.imports[import].removed.contains_key(&shard) && there < copies {
                let keys = self.imports[import].counted[&shard].0.clone();
                self.start(Work::Remove { import, shard, at: RemoveAt::Read { keys, gone: BTreeSet::new() } });
            }
        }
    }
}
