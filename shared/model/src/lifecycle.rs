//! The life of an import: where it stands, and what comes next.
//!
//! ```text
//!                 ┌── expire ──▶ Expired ── accept ──┐
//!                 │                                  ▼
//!          AwaitingUpload ──────── accept ───▶ Splitting ── total ──▶ Applying ── end ──▶ Ended
//!                 │                                │                     │                 ▲ ▲
//!                 │                                └──────── halt ───────┴──▶ Halting ─ end ┘ │
//!                 └── end (halt) ─────────────────────────────────────────────────────────────┘
//! ```
//!
//! Everything here is pure: it looks at an import as it was read and says what is to be done. A change is a [`Transition`]. The store writes
//! what [`Transition::writes`] says on the condition that the import still stands where [`Transition::is_made_from`] allows it, so that of two
//! who decide at the same time the second finds what the first one did.
//!
//! Whoever adds a stage finds by the compiler what has to be decided about it.

use serde_json::{Map, Value, json};

use crate::{
    Abort, Block, Checkpoint, Failure, Halt, Import, Order, Rows, Status, StoredObject, Tally, limits::EXPIRY_GRACE_MS,
    listed::listed,
};

listed! {
    /// Where an import stands. Several stages may share one [`Status`], which is what its owner sees.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Stage {
        /// Nothing has been uploaded yet.
        AwaitingUpload,
        /// Nothing was uploaded in time. An upload that the storage took in time still counts.
        Expired,
        /// Its file is being split; the first chunks may have been applied.
        Splitting,
        /// Its file has been split; some rows are still to be accounted for.
        Applying,
        /// It has been ordered to end early: no chunk begins any more, those that have begun are finished.
        Halting,
        /// It has ended for good.
        Ended,
    }
}

/// By what a stage is told in a stored import. The store makes its conditions of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Its status is one of these.
    pub statuses: &'static [Status],
    /// Whether [`Import::halt`] is there; either way where there is nothing.
    pub halt: Option<bool>,
    /// Whether [`Import::total`] is there; either way where there is nothing.
    pub total: Option<bool>,
}

impl Stage {
    /// By what the stage is told.
    pub fn marks(self) -> Marks {
        const FINAL: &[Status] = &[Status::Completed, Status::CompletedWithErrors, Status::Failed, Status::Cancelled];
        let (statuses, halt, total): (&[Status], _, _) = match self {
            Self::AwaitingUpload => (&[Status::AwaitingUpload], None, None),
            Self::Expired => (&[Status::Expired], None, None),
            Self::Splitting => (&[Status::Processing], Some(false), Some(false)),
            Self::Applying => (&[Status::Processing], Some(false), Some(true)),
            Self::Halting => (&[Status::Processing], Some(true), None),
            Self::Ended => (FINAL, None, None),
        };
        Marks { statuses, halt, total }
    }
}

/// A change of an import's stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// Its upload is accepted.
    Accept {
        /// The object that the import is about from now on.
        object: StoredObject,
        /// Its place in the order of acceptance of its account and kind.
        order: u64,
        /// Whether no older import of the account and kind runs.
        no_older_running: bool,
    },
    /// Its file has been split.
    Split {
        /// The file's data rows.
        total: u64,
    },
    /// It is ordered to end early.
    Halt(Halt),
    /// It ends.
    End {
        /// How.
        status: Status,
        /// Why, for a failed import.
        failure: Option<Failure>,
        /// The final counts of an import that has run.
        rows: Option<Rows>,
    },
}

impl Transition {
    /// Whether the transition is made from this stage.
    pub fn is_made_from(&self, stage: Stage) -> bool {
        match stage {
            Stage::AwaitingUpload => matches!(self, Self::Accept { .. } | Self::End { rows: None, .. }),
            Stage::Expired => matches!(self, Self::Accept { .. }),
            Stage::Splitting => matches!(self, Self::Split { .. } | Self::Halt(_) | Self::End { rows: Some(_), .. }),
            Stage::Applying => matches!(self, Self::Halt(_) | Self::End { rows: Some(_), .. }),
            Stage::Halting => matches!(self, Self::End { rows: Some(_), .. }),
            Stage::Ended => false,
        }
    }

    /// What the transition writes into the import, by the names of [`Import`]'s fields; one with the value `null` is removed. `now_ms` is the
    /// moment at which it is made, in Unix milliseconds.
    pub fn writes(&self, now_ms: i64) -> Map<String, Value> {
        let writes = match self {
            Self::Accept { object, order, no_older_running } => json!({
                "status": Status::Processing,
                "object": object,
                "order": order,
                "no_older_running": no_older_running,
                "accepted_at": now_ms,
                // That of an import that had expired.
                "completed_at": null,
            }),
            Self::Split { total } => json!({ "total": total }),
            Self::Halt(halt) => json!({ "halt": halt }),
            Self::End { status, failure, rows } => {
                let mut writes = json!({ "status": status, "completed_at": now_ms });
                // Neither removes anything: an import ends once.
                if let Some(failure) = failure {
                    writes["failure"] = json!(failure);
                }
                if let Some(rows) = rows {
                    writes["rows"] = json!(rows);
                }
                writes
            }
        };
        let Value::Object(writes) = writes else { unreachable!("every transition writes an object") };
        writes
    }

    /// Whether the sweeper has something to look at afterwards.
    pub fn stays_due(&self) -> bool {
        match self {
            Self::Accept { .. } | Self::Split { .. } | Self::Halt(_) => true,
            // A rejected rows file is still to be written.
            Self::End { rows, .. } => rows.is_some_and(|rows| rows.failed > 0),
        }
    }
}

/// What an upload means to an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// The import was waiting for it: it is to be accepted.
    Expected,
    /// It is the one that the import is about.
    Known,
    /// It changes nothing, for this reason.
    Ignored(&'static str),
}

/// What is left to do until an import has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Nothing now: it waits for its upload, or for rows to be accounted for.
    Wait,
    /// Its blocks are to be closed; [`Import::end_early`] says what follows.
    CloseBlocks,
    /// It ends.
    End(Transition),
    /// It has ended, and its rejected rows are to be written.
    Report,
    /// Nothing any more.
    Done,
}

/// What deleting an import takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It ends first, so that no upload is accepted while its traces are removed.
    End(Transition),
    /// It runs: it cannot be deleted.
    Refused,
    /// It is removed.
    Remove,
}

/// The blocks of a halted import, closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClosedBlocks {
    sum: Tally,
    last_row: u64,
    unfinished: bool,
}

impl ClosedBlocks {
    /// Takes one more block, as it was when it had been closed.
    pub fn add(&mut self, block: &Block) {
        self.sum += block.sum();
        self.last_row = self.last_row.max(block.last_row());
        self.unfinished |= !block.is_at_rest();
    }
}

impl Halt {
    /// The order of an import's owner.
    pub fn cancelled() -> Self {
        Self { status: Status::Cancelled, failure: None }
    }

    /// The order of the service, for a reason that its owner is told.
    pub fn failed(failure: Failure) -> Self {
        Self { status: Status::Failed, failure: Some(failure) }
    }
}

impl Import {
    /// Where the import stands.
    pub fn stage(&self) -> Stage {
        match self.status {
            Status::AwaitingUpload => Stage::AwaitingUpload,
            Status::Expired => Stage::Expired,
            Status::Processing if self.halt.is_some() => Stage::Halting,
            Status::Processing if self.total.is_some() => Stage::Applying,
            Status::Processing => Stage::Splitting,
            Status::Completed | Status::CompletedWithErrors | Status::Failed | Status::Cancelled => Stage::Ended,
        }
    }

    /// What an upload that is stored under the import's key means to it.
    pub fn on_upload(&self, object: &StoredObject) -> Uploaded {
        match self.stage() {
            Stage::AwaitingUpload | Stage::Expired => Uploaded::Expected,
            Stage::Splitting | Stage::Applying | Stage::Halting => match &self.object {
                Some(pinned) if pinned.is(object) => Uploaded::Known,
                _ => Uploaded::Ignored("the import is about another object"),
            },
            Stage::Ended => Uploaded::Ignored("the import has ended"),
        }
    }

    /// What an order to end early does. The first order counts, and an import that has ended stays as it is.
    pub fn on_halt(&self, halt: &Halt) -> Option<Transition> {
        let Halt { status, failure } = halt.clone();
        match self.stage() {
            Stage::AwaitingUpload => Some(Transition::End { status, failure, rows: None }),
            Stage::Splitting | Stage::Applying => Some(Transition::Halt(halt.clone())),
            Stage::Expired | Stage::Halting | Stage::Ended => None,
        }
    }

    /// That the import expires, if nothing has been uploaded by then. Whoever asks has looked for the object: an upload that the storage took
    /// in time counts.
    pub fn expire(&self, now_ms: i64) -> Option<Transition> {
        let is_over = now_ms > self.expires_at + EXPIRY_GRACE_MS;
        match self.stage() {
            Stage::AwaitingUpload if is_over => {
                Some(Transition::End { status: Status::Expired, failure: None, rows: None })
            }
            Stage::AwaitingUpload
            | Stage::Expired
            | Stage::Splitting
            | Stage::Applying
            | Stage::Halting
            | Stage::Ended => None,
        }
    }

    /// The threshold of rejected rows, while there is something left that it can stop.
    pub fn abort(&self) -> Option<Abort> {
        match self.stage() {
            Stage::Splitting | Stage::Applying => self.options.abort,
            Stage::AwaitingUpload | Stage::Expired | Stage::Halting | Stage::Ended => None,
        }
    }

    /// What is left to do until the import has ended.
    pub fn settle(&self) -> Settlement {
        match (self.stage(), self.total) {
            (Stage::AwaitingUpload | Stage::Splitting, _) => Settlement::Wait,
            (Stage::Applying, Some(total)) if self.noted_blocks.len() >= self.opened_blocks as usize => {
                Settlement::End(self.complete(total))
            }
            (Stage::Applying, _) => Settlement::Wait,
            (Stage::Halting, _) => Settlement::CloseBlocks,
            (Stage::Expired | Stage::Ended, _) if self.owes_report() => Settlement::Report,
            (Stage::Expired | Stage::Ended, _) => Settlement::Done,
        }
    }

    /// The end of an import all of whose blocks are noted.
    fn complete(&self, total: u64) -> Transition {
        let rows = Rows::new(Some(total), &self.noted_tally);
        let early = self.noted_tally.failed_early;
        let (status, failure) = match self.options.abort.and_then(|abort| abort.halt(early)) {
            // The tally that showed it was also the last one.
            Some(Halt { status, failure }) => (status, failure),
            None if rows.failed > 0 => (Status::CompletedWithErrors, None),
            None => (Status::Completed, None),
        };
        Transition::End { status, failure, rows: Some(rows) }
    }

    /// The end of an import that has been ordered to, if every chunk that had begun is accounted for. `blocks` are all its blocks.
    pub fn end_early(&self, blocks: &ClosedBlocks) -> Option<Transition> {
        let Halt { status, failure } = self.halt.clone().filter(|_| !blocks.unfinished)?;
        // Where splitting never ended, the file's rows are those that are known.
        let total = self.total.unwrap_or(blocks.last_row.max(self.checkpoint.row - 1));
        let rows = Rows::new(Some(total), &blocks.sum);
        let rows = Rows { unprocessed: total - rows.processed, ..rows };
        Some(Transition::End { status, failure, rows: Some(rows) })
    }

    /// What has to be sent once more for an import that has stood still: messages may have been lost on their way.
    pub fn resume(&self) -> Option<Order> {
        match self.stage() {
            // A split that died here before must not start over as if it never had, or it would never be given up.
            Stage::Splitting => {
                Some(Order::to_continue(self, self.split_died_at.filter(|at| *at == self.checkpoint.chunk)))
            }
            Stage::Applying | Stage::Halting => Some(Order::to_resend(self, Checkpoint::START)),
            Stage::AwaitingUpload | Stage::Expired | Stage::Ended => None,
        }
    }

    /// What deleting the import takes.
    pub fn delete(&self) -> Deletion {
        match self.stage() {
            Stage::AwaitingUpload => {
                Deletion::End(Transition::End { status: Status::Cancelled, failure: None, rows: None })
            }
            Stage::Splitting | Stage::Applying | Stage::Halting => Deletion::Refused,
            Stage::Expired | Stage::Ended => Deletion::Remove,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fate, ImportId, ImportOptions, Verdict};

    const HOUR_MS: i64 = 3_600_000;

    fn awaiting() -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        Import::new(ImportId::new(1, [7; 10]), account, kind, 0, HOUR_MS)
    }

    fn object(etag: &str) -> StoredObject {
        StoredObject { version: None, etag: etag.to_owned(), bytes: 10 }
    }

    fn accept() -> Transition {
        Transition::Accept { object: object("a"), order: 3, no_older_running: true }
    }

    /// The import as the store has it after a transition.
    fn after(import: &Import, transition: &Transition) -> Import {
        assert!(transition.is_made_from(import.stage()), "{transition:?} from {:?}", import.stage());
        let mut stored = serde_json::to_value(import).expect("JSON");
        for (name, value) in transition.writes(7) {
            stored[name] = value;
        }
        serde_json::from_value(stored).expect("an import")
    }

    /// An import at each of the stages.
    fn at(stage: Stage) -> Import {
        match stage {
            Stage::AwaitingUpload => awaiting(),
            Stage::Expired => after(&awaiting(), &awaiting().expire(2 * HOUR_MS).expect("its time is over")),
            Stage::Splitting => after(&awaiting(), &accept()),
            Stage::Applying => {
                Import { opened_blocks: 1, ..after(&at(Stage::Splitting), &Transition::Split { total: 20 }) }
            }
            Stage::Halting => {
                let running = at(Stage::Splitting);
                after(&running, &running.on_halt(&Halt::cancelled()).expect("it runs"))
            }
            Stage::Ended => after(&awaiting(), &awaiting().on_halt(&Halt::cancelled()).expect("it waits")),
        }
    }

    fn end(transition: &Transition) -> (Status, Option<&str>, Option<Rows>) {
        match transition {
            Transition::End { status, failure, rows } => (*status, failure.as_ref().map(|f| f.code.as_str()), *rows),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stage_is_told_by_its_marks_and_by_no_others() {
        for stage in Stage::ALL {
            let import = at(*stage);
            assert_eq!(import.stage(), *stage);
            let fits = |other: &&Stage| {
                let Marks { statuses, halt, total } = other.marks();
                statuses.contains(&import.status)
                    && halt.is_none_or(|there| there == import.halt.is_some())
                    && total.is_none_or(|there| there == import.total.is_some())
            };
            assert_eq!(Stage::ALL.iter().filter(fits).collect::<Vec<_>>(), [stage]);
        }
        // Marks of an import that was halted when it had been split.
        let split = at(Stage::Applying);
        assert_eq!(after(&split, &Transition::Halt(Halt::cancelled())).stage(), Stage::Halting);
    }

    #[test]
    fn what_is_decided_can_be_made_from_where_it_was_decided() {
        for stage in Stage::ALL {
            let import = Import { opened_blocks: 0, ..at(*stage) };
            let settled = match import.settle() {
                Settlement::End(transition) => Some(transition),
                Settlement::CloseBlocks => import.end_early(&ClosedBlocks::default()),
                Settlement::Wait | Settlement::Report | Settlement::Done => None,
            };
            let deleted = match import.delete() {
                Deletion::End(transition) => Some(transition),
                Deletion::Refused | Deletion::Remove => None,
            };
            let accepted = (import.on_upload(&object("a")) == Uploaded::Expected).then(accept);
            let decided = [import.on_halt(&Halt::cancelled()), import.expire(i64::MAX), settled, deleted, accepted];
            for transition in decided.into_iter().flatten() {
                assert!(transition.is_made_from(*stage), "{transition:?} from {stage:?}");
                assert_ne!(after(&import, &transition).stage(), *stage);
            }
        }
    }

    #[test]
    fn an_upload_is_accepted_once_and_late_if_need_be() {
        let of = |stage, etag: &str| at(stage).on_upload(&object(etag));
        for waiting in [Stage::AwaitingUpload, Stage::Expired] {
            assert_eq!(of(waiting, "a"), Uploaded::Expected);
            let import = after(&at(waiting), &accept());
            assert_eq!((import.order, import.no_older_running, import.accepted_at), (3, true, Some(7)));
            assert_eq!(import.completed_at, None, "that it expired is past");
        }
        for running in [Stage::Splitting, Stage::Applying, Stage::Halting] {
            assert_eq!(of(running, "a"), Uploaded::Known);
            assert_eq!(of(running, "b"), Uploaded::Ignored("the import is about another object"));
        }
        assert_eq!(of(Stage::Ended, "a"), Uploaded::Ignored("the import has ended"));
    }

    #[test]
    fn an_import_expires_after_its_grace_and_only_while_it_waits() {
        assert_eq!(awaiting().expire(HOUR_MS + EXPIRY_GRACE_MS), None);
        let expired = at(Stage::Expired);
        assert_eq!((expired.status, expired.completed_at, expired.rows), (Status::Expired, Some(7), None));
        assert_eq!(at(Stage::Splitting).expire(i64::MAX), None);
    }

    #[test]
    fn the_first_order_to_end_counts() {
        let halting = at(Stage::Halting);
        assert_eq!((halting.status, halting.completed_at), (Status::Processing, None));
        assert_eq!(halting.on_halt(&Halt::failed(Failure::new("late", "too late"))), None);
        let failed = awaiting().on_halt(&Halt::failed(Failure::new("early", "no upload wanted"))).expect("it waits");
        assert_eq!(end(&failed), (Status::Failed, Some("early"), None));
        assert!(!failed.stays_due());
    }

    #[test]
    fn an_import_ends_when_every_block_is_noted() {
        let tally = Tally { created: 17, failed: 3, failed_early: 2, errors: 3, ..Tally::default() };
        let import = Import { noted_tally: tally, ..at(Stage::Applying) };
        assert_eq!(import.settle(), Settlement::Wait);
        let noted = Import { noted_blocks: vec![0], ..import };
        let Settlement::End(ended) = noted.settle() else { panic!("every block is noted") };
        let rows = Rows { total: Some(20), processed: 20, created: 17, failed: 3, ..Rows::default() };
        assert_eq!(end(&ended), (Status::CompletedWithErrors, None, Some(rows)));
        assert!(ended.stays_due());
        let ended = after(&noted, &ended);
        assert_eq!(ended.settle(), Settlement::Report);
        let all_good = Import { noted_tally: Tally { created: 20, ..Tally::default() }, ..noted.clone() };
        let Settlement::End(completed) = all_good.settle() else { panic!("every block is noted") };
        assert_eq!((end(&completed).0, completed.stays_due()), (Status::Completed, false));
        assert_eq!(after(&all_good, &completed).settle(), Settlement::Done);
        // Too many of the first rows, shown by the last tally.
        let options = ImportOptions { abort: Some(Abort { rows: 10, percent: 10 }), ..ImportOptions::default() };
        let Settlement::End(failed) = (Import { options, ..noted }).settle() else { panic!("every block is noted") };
        assert_eq!(end(&failed), (Status::Failed, Some("too_many_rejected"), Some(rows)));
    }

    #[test]
    fn too_many_rejected_rows_halt_an_import_that_runs() {
        let options = ImportOptions { abort: Some(Abort { rows: 10, percent: 10 }), ..ImportOptions::default() };
        for stage in Stage::ALL {
            let import = Import { options: options.clone(), ..at(*stage) };
            let runs = matches!(stage, Stage::Splitting | Stage::Applying);
            assert_eq!(import.abort().and_then(|abort| abort.halt(1)), None);
            let halt = import.abort().and_then(|abort| abort.halt(2));
            assert_eq!(halt.map(|halt| halt.status), runs.then_some(Status::Failed), "{stage:?}");
        }
        assert_eq!(at(Stage::Splitting).abort(), None, "no threshold was set");
    }

    #[test]
    fn a_halted_import_ends_when_what_has_begun_is_accounted_for() {
        let mut block = Block { size: 4, closed: true, ..Block::default() };
        block.fates.insert("0".into(), Fate { verdict: Verdict::Begun, last_row: 10 });
        block.fates.insert("1".into(), Fate { verdict: Verdict::Begun, last_row: 20 });
        block.tallies.insert("0".into(), Tally { created: 10, ..Tally::default() });
        let closed = |block: &Block| {
            let mut blocks = ClosedBlocks::default();
            blocks.add(block);
            blocks
        };
        let halting = at(Stage::Halting);
        assert_eq!(halting.settle(), Settlement::CloseBlocks);
        assert_eq!(halting.end_early(&closed(&block)), None, "a chunk has begun");
        block.tallies.insert("1".into(), Tally { created: 9, ..Tally::default() });
        let ended = halting.end_early(&closed(&block)).expect("all is accounted for");
        let rows = Rows { total: Some(20), processed: 19, created: 19, unprocessed: 1, ..Rows::default() };
        assert_eq!(end(&ended), (Status::Cancelled, None, Some(rows)));
        // Of a file that was split as a whole, or further than chunks have a fate, more is known.
        let split = Import { total: Some(50), ..halting.clone() };
        let total =
            |import: &Import| end(&import.end_early(&closed(&block)).expect("ends")).2.and_then(|rows| rows.total);
        assert_eq!(total(&split), Some(50));
        let further = Import { checkpoint: Checkpoint { row: 31, ..Checkpoint::START }, ..halting };
        assert_eq!(total(&further), Some(30));
        assert_eq!(at(Stage::Splitting).end_early(&closed(&block)), None, "nobody ordered it");
    }

    #[test]
    fn what_may_have_been_lost_is_sent_again() {
        let resumed = |stage| at(stage).resume();
        assert_eq!(resumed(Stage::Splitting), Some(Order::to_continue(&awaiting(), None)));
        for stage in [Stage::Applying, Stage::Halting] {
            assert_eq!(resumed(stage), Some(Order::to_resend(&awaiting(), Checkpoint::START)));
        }
        for stage in [Stage::AwaitingUpload, Stage::Expired, Stage::Ended] {
            assert_eq!(resumed(stage), None);
        }
        let died = Import { split_died_at: Some(0), ..at(Stage::Splitting) };
        assert_eq!(died.resume(), Some(Order::to_continue(&awaiting(), Some(0))));
        let got_further = Import { checkpoint: Checkpoint { chunk: 4, ..Checkpoint::START }, ..died };
        assert_eq!(got_further.resume(), Some(Order::to_continue(&awaiting(), None)));
    }

    #[test]
    fn only_what_does_not_run_is_deleted() {
        for stage in Stage::ALL {
            let runs = matches!(stage, Stage::Splitting | Stage::Applying | Stage::Halting);
            assert_eq!(at(*stage).delete() == Deletion::Refused, runs, "{stage:?}");
        }
        let Deletion::End(ended) = awaiting().delete() else { panic!("it waits") };
        assert_eq!(after(&awaiting(), &ended).delete(), Deletion::Remove);
    }
}
