//! What is stored, and the processes that work on it, one step after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use penstock_model::{Mode, Record, Stage, Stamp};

use super::{
    process::{Process, RowAt, Step, Work},
    rule::Without,
    schedule::{Answer, Event, Schedule},
    stored::Stored,
};
use crate::merge::{Draft, tests::apply};

/// Steps that a process lives, at most: then its function has been ended.
pub(super) const LIFE: u64 = 80;

pub(super) struct World<'s> {
    pub(super) without: Without,
    pub(super) records: BTreeMap<usize, Rc<Record>>,
    /// What was stored before the last write.
    pub(super) before: BTreeMap<usize, Rc<Record>>,
    pub(super) imports: Vec<Stored<'s>>,
    pub(super) next: u64,
    pub(super) running: BTreeSet<usize>,
    pub(super) held: BTreeSet<usize>,
    pub(super) gate: Option<usize>,
    pub(super) deleted: Vec<(u64, usize)>,
    pub(super) processes: Vec<Process>,
    pub(super) time: u64,
    /// Since when no older import has run, for each tombstone with this `rev`.
    pub(super) quiet: BTreeMap<usize, (u64, Option<u64>, u64)>,
    pub(super) fresh: u64,
    pub(super) random: u64,
    pub(super) schedule: &'s Schedule,
}

impl<'s> World<'s> {
    pub(super) fn new(schedule: &'s Schedule, without: Without) -> Self {
        let mut world = Self {
            without,
            records: BTreeMap::new(),
            before: BTreeMap::new(),
            imports: Vec::new(),
            next: 2,
            running: BTreeSet::new(),
            held: BTreeSet::new(),
            gate: None,
            deleted: Vec::new(),
            processes: Vec::new(),
            time: 0,
            quiet: BTreeMap::new(),
            fresh: 1_000_000,
            random: schedule.seed,
            schedule,
        };
        for (key, says) in schedule.start.iter().enumerate() {
            if let Some(says) = says {
                let mut draft = Draft::stored(None);
                apply(&mut draft, Mode::Upsert, Stamp { order: 1, row: 1 + key as u64 }, says);
                world.records.extend(draft.record.map(|record| (key, Rc::new(Record { rev: 1, ..record }))));
            }
        }
        world
    }

    /// A number below another; always the same ones for a seed (SplitMix64).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(super) fn is_fault(&mut self) -> bool {
        let faults = self.schedule.faults;
        self.below(100) < faults
    }

    pub(super) fn start(&mut self, work: Work) {
        self.processes.push(Process { work, began: self.time, stands_until: 0 });
    }

    pub(super) fn has(&self, wanted: impl Fn(&Work) -> bool) -> bool {
        self.processes.iter().any(|process| wanted(&process.work))
    }

    /// Writes a record if its `rev` is still the one read.
    pub(super) fn write(&mut self, key: usize, read: Option<u64>, record: Record) -> bool {
        let now = self.records.get(&key);
        if now.map(|now| now.rev) != read {
            return false;
        }
        let rev = match read {
            Some(rev) => rev + 1,
            None => {
                self.fresh += 1000;
                self.fresh
            }
        };
        self.before.extend(self.records.insert(key, Rc::new(Record { rev, ..record })).map(|old| (key, old)));
        true
    }

    /// Whether nobody but this import writes rows of the kind.
    pub(super) fn is_alone(&self, import: usize) -> bool {
        self.running.iter().all(|other| *other == import || self.held.contains(other))
    }

    /// What a happening begins.
    pub(super) fn happens(&mut self, event: &'s Event) {
        match event {
            Event::Upload(file) => {
                let number = self.imports.len();
                self.imports.push(Stored::new(number, file));
                self.start(Work::Upload(number));
            }
            // That one request deletes a record is shown beside this file.
            &Event::Delete(key) => {
                let live = self.records.get(&key).filter(|record| !record.is_gone()).cloned();
                if let Some(record) = live {
                    let at = Stamp::of_delete(self.next);
                    self.write(key, Some(record.rev), record.deleted(at));
                    self.deleted.push((self.next, key));
                    self.next += 1;
                }
            }
            Event::Cancel(which) => {
                if !self.imports.is_empty() {
                    self.start(Work::Cancel(which.index(self.imports.len())));
                }
            }
        }
    }

    /// Starts again what has died, as redeliveries and the sweeper do.
    pub(super) fn sweep(&mut self) {
        for import in 0..self.imports.len() {
            let stored = &self.imports[import];
            let stage = stored.import.stage();
            if matches!(stage, Stage::AwaitingUpload | Stage::Waiting) {
                if !self.has(|work| matches!(work, Work::Upload(of) if *of == import)) {
                    self.start(Work::Upload(import));
                }
                continue;
            }
            if stage == Stage::Ended {
                continue;
            }
            let left: Vec<usize> = (0..stored.file.rows.len())
                .filter(|row| !stored.tallied.contains(row))
                .filter(|row| !stored.is_closed || stored.begun.contains(row))
                // One that ends while it waits for the gate has no chunks.
                .filter(|_| stored.import.order > 0)
                .collect();
            for row in left {
                if !self
                    .has(|work| matches!(work, Work::Row { import: of, row: at, .. } if (*of, *at) == (import, row)))
                {
                    self.start(Work::Row { import, row, at: RowAt::Begin });
                }
            }
            if !self.has(|work| matches!(work, Work::Settle(of) if *of == import)) {
                self.start(Work::Settle(import));
            }
            if stage == Stage::Held
                && !self.has(|work| matches!(work, Work::Confirm(of) | Work::Cancel(of) if *of == import))
            {
                let answer = self.imports[import].file.answer;
                self.start(if answer == Answer::Confirm { Work::Confirm(import) } else { Work::Cancel(import) });
            }
        }
    }

    /// Tombstones go that nothing needs any more.
    pub(super) fn reap(&mut self) {
        let records: Vec<(usize, Rc<Record>)> =
            self.records.iter().map(|(key, record)| (*key, record.clone())).collect();
        for (key, record) in records {
            let Some(gone) = record.gone.filter(|_| record.is_gone()) else {
                self.quiet.remove(&key);
                continue;
            };
            let is_older_running = self.running.iter().any(|import| self.imports[*import].import.order <= gone.order);
            let seen = (record.rev, None, self.time);
            let (rev, since, met) = self.quiet.entry(key).or_insert(seen);
            if *rev != record.rev {
                (*rev, *since, *met) = seen;
            }
            *since = if is_older_running { None } else { since.or(Some(self.time)) };
            let goes = match self.without {
                Without::StaysWhileOlderRun => self.time - *met > LIFE / 2,
                Without::StaysWhileProcessesLive => since.is_some(),
                _ => since.is_some_and(|since| self.time - since > LIFE),
            };
            if goes {
                self.records.remove(&key);
                self.quiet.remove(&key);
            }
        }
    }

    /// Runs the schedule to its end; whether it has one.
    pub(super) fn run(&mut self) -> bool {
        let mut events = self.schedule.events.iter();
        loop {
            self.time += 1;
            if self.time > 20_000 {
                return false;
            }
            if self.time.is_multiple_of(5) {
                self.reap();
            }
            if self.time.is_multiple_of(10) || self.processes.is_empty() {
                self.sweep();
            }
            let now = self.time;
            self.processes.retain(|process| now - process.began <= LIFE || matches!(process.work, Work::Cancel(_)));
            let is_awake = |process: &Process| process.stands_until <= now;
            let awake = self.processes.iter().filter(|process| is_awake(process)).count();
            let pick = self.below(awake as u64 + 1) as usize;
            let at = (0..self.processes.len()).filter(|at| is_awake(&self.processes[*at])).nth(pick);
            let Some(at) = at else {
                match events.next() {
                    Some(event) => self.happens(event),
                    None if self.processes.is_empty()
                        && self.imports.iter().all(|of| of.import.stage() == Stage::Ended) =>
                    {
                        return true;
                    }
                    None => {}
                }
                continue;
            };
            let work = self.processes[at].work.clone();
            let is_answer = matches!(work, Work::Cancel(_) | Work::Confirm(_));
            match self.step(work) {
                Step::Goes(work) => self.processes[at].work = work,
                Step::Waits => {}
                Step::Done => {
                    self.processes.swap_remove(at);
                    continue;
                }
            }
            if is_answer {
                continue;
            }
            if self.is_fault() {
                self.processes.swap_remove(at);
            } else if self.is_fault() || self.is_fault() {
                self.processes[at].stands_until = now + self.below(LIFE);
            }
        }
    }
}
