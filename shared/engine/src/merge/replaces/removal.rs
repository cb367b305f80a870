//! The steps of what counts and removes what a file does not name.

use penstock_model::{
    Record, Stage, Stamp,
    replace::{Guard, ToRemove},
};

use super::{
    process::{RemoveAt, Step, Work},
    rule::Without,
    schedule::Sort,
    world::World,
};
use crate::{
    merge::{Removal, removal},
    named::NamedKeys,
};

pub(super) fn canonical(key: usize) -> String {
    format!("K{key}")
}

pub(super) fn shard(key: usize) -> usize {
    key % 2
}

impl World<'_> {
    /// Reads a shard for what goes, and notes it once.
    pub(super) fn count(&mut self, import: usize, of: usize) -> Step {
        let mut page = self.records.clone();
        if self.without == Without::Consistent && self.below(3) == 0 {
            page.extend(self.before.clone());
        }
        let stored = &self.imports[import];
        if stored.import.stage() != Stage::Applying {
            return Step::Done;
        }
        let named = self.named(import);
        let order = stored.import.order;
        let there = page.iter().filter(|(key, _)| shard(**key) == of);
        let older = there.clone().filter(|(_, record)| !record.is_gone() && record.made.order < order).count();
        let goes = there
            .filter(|(key, record)| matches!(self.judge(import, record, **key, &named), Removal::Removes(_)))
            .map(|(key, _)| *key)
            .collect();
        self.imports[import].counted.entry(of).or_insert((goes, older as u64));
        Step::Done
    }

    pub(super) fn decide(&mut self, import: usize) {
        let stored = &mut self.imports[import];
        let to_remove = ToRemove {
            records: stored.counted.values().map(|(goes, _)| goes.len() as u64).sum(),
            of: stored.counted.values().map(|(_, older)| older).sum(),
        };
        match stored.import.guard(to_remove, 0, 1) {
            Guard::Pass(decision) => stored.was_decided |= stored.make(&decision),
            Guard::Hold(hold) => {
                if stored.make(&hold) {
                    self.held.insert(import);
                    self.gate = self.gate.filter(|at| *at != import);
                    if self.without == Without::HeldRuns {
                        self.running.remove(&import);
                    }
                }
            }
        }
    }

    pub(super) fn named(&self, import: usize) -> NamedKeys {
        let mut named = NamedKeys::of(0..=255, 100);
        for row in &self.imports[import].file.rows {
            let names = match row.sort {
                Sort::Good => true,
                Sort::Rejected => self.without != Without::Rejected,
                Sort::Unreadable => false,
            };
            if names {
                named.add(&canonical(row.key)).expect("room");
            }
        }
        named
    }

    pub(super) fn judge(&self, import: usize, record: &Record, key: usize, named: &NamedKeys) -> Removal {
        let import = &self.imports[import].import;
        let newest = match self.without {
            Without::Sparing => Stamp { order: u64::MAX, row: u64::MAX },
            _ => Stamp::of_replace(import.order),
        };
        removal(record, &canonical(key), named, newest, import.removal_stamp())
    }

    pub(super) fn remove(&mut self, import: usize, shard: usize, at: RemoveAt) -> Step {
        let on = |at| Step::Goes(Work::Remove { import, shard, at });
        if self.imports[import].removed.contains_key(&shard) || self.imports[import].import.stage() == Stage::Ended {
            return Step::Done;
        }
        match at {
            RemoveAt::Read { mut keys, mut gone } => {
                let Some(key) = keys.last().copied() else {
                    self.imports[import].removed.insert(shard, gone.len() as u64);
                    return Step::Done;
                };
                // None of the list is named.
                let named = NamedKeys::of(0..=255, 0);
                let read = self.records.get(&key).cloned();
                match read.as_ref().map(|record| self.judge(import, record, key, &named)) {
                    Some(Removal::Removes(_)) => {
                        let record = read.expect("was judged");
                        return on(RemoveAt::Write { keys, gone, record });
                    }
                    Some(Removal::Removed) if self.without != Without::Evidence => drop(gone.insert(key)),
                    _ => {}
                }
                keys.pop();
                on(RemoveAt::Read { keys, gone })
            }
            RemoveAt::Write { mut keys, mut gone, record } => {
                let key = *keys.last().expect("one was read");
                let tombstone = record.deleted(self.imports[import].import.removal_stamp());
                let now = self.records.get(&key);
                let is_live = now.is_some_and(|now| !now.is_gone());
                let read = if self.without == Without::Revision { now.map(|now| now.rev) } else { Some(record.rev) };
                if self.write(key, read, tombstone) {
                    self.imports[import].truth += u64::from(is_live);
                    if !self.is_fault() {
                        gone.insert(key);
                        keys.pop();
                    }
                }
                on(RemoveAt::Read { keys, gone })
            }
        }
    }
}
