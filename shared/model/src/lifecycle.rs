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
//! An upload whose kind has a replace at its gate is Waiting until it is accepted. A replace goes on behind Applying:
//! [`crate::replace`] draws Held, Confirmed and Removing. So does a review, as [`crate::review`] draws.
//!
//! Everything here is pure: it takes an import as it was read and gives what is to be done. A change is a
//! [`Transition`]. The store writes [`Transition::writes`] on the condition that the import still stands at a stage
//! that [`Transition::is_made_from`] allows. Of two concurrent transitions the second one is refused; its maker reads
//! the import again and decides anew.
//!
//! A new stage or status does not compile until every decision here has an answer for it.

use serde_json::{Map, Value, json};

use crate::{
    Abort, Block, Checkpoint, Failure, Halt, Import, ImportId, Order, Rows, Stamp, Status, StoredObject, Tally,
    limits::EXPIRY_GRACE_MS, listed::listed, replace::ToRemove, review::JudgedAt,
};

listed! {
    /// Where an import stands. Several stages may share one [`Status`], which is what its owner sees.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Stage {
        /// Nothing has been uploaded yet.
        AwaitingUpload,
        /// Nothing was uploaded in time. An upload that the storage took in time still counts.
        Expired,
        /// Its upload is there, and waits until the replace at the gate of its kind has left it.
        Waiting,
        /// Its file is being split; the first chunks may have been applied.
        Splitting,
        /// Its file has been split; rows are still to be accounted for, or what a replace removes is to be counted.
        Applying,
        /// A replace whose rows are applied, and whose removal waits to be confirmed; or a review whose rows are
        /// judged.
        Held,
        /// A replace whose removal is confirmed, and waits until nobody else writes rows.
        Confirmed,
        /// A replace whose removal is decided: records go.
        Removing,
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
    /// Whether [`Import::waiting_for`] is there; either way where there is nothing.
    pub waiting_for: Option<bool>,
    /// Whether [`Import::confirmed`] is there; either way where there is nothing.
    pub confirmed: Option<bool>,
    /// Whether [`Import::removes`] is there; either way where there is nothing.
    pub removes: Option<bool>,
}

impl Stage {
    /// By what the stage is told.
    pub fn marks(self) -> Marks {
        const FINAL: &[Status] = &[Status::Completed, Status::CompletedWithErrors, Status::Failed, Status::Cancelled];
        const EITHER: Marks =
            Marks { statuses: &[], halt: None, total: None, waiting_for: None, confirmed: None, removes: None };
        const RUNS: Marks = Marks { statuses: &[Status::Processing], halt: Some(false), ..EITHER };
        match self {
            Self::AwaitingUpload => Marks { statuses: &[Status::AwaitingUpload], ..EITHER },
            Self::Expired => Marks { statuses: &[Status::Expired], ..EITHER },
            Self::Waiting => Marks { waiting_for: Some(true), ..RUNS },
            Self::Splitting => Marks { total: Some(false), waiting_for: Some(false), ..RUNS },
            Self::Applying => Marks { total: Some(true), confirmed: Some(false), removes: Some(false), ..RUNS },
            Self::Held => Marks { statuses: &[Status::AwaitingConfirmation], ..RUNS },
            Self::Confirmed => Marks { confirmed: Some(true), removes: Some(false), ..RUNS },
            Self::Removing => Marks { removes: Some(true), ..RUNS },
            Self::Halting => {
                const HALTED: &[Status] = &[Status::Processing, Status::AwaitingConfirmation];
                Marks { statuses: HALTED, halt: Some(true), ..EITHER }
            }
            Self::Ended => Marks { statuses: FINAL, ..EITHER },
        }
    }
}

/// A change of an import's stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// Its upload is there, and waits for the import at the gate of its kind.
    Wait {
        /// The object that the import is about from now on; an order to remove records has none.
        object: Option<StoredObject>,
        /// The import at the gate.
        gate: ImportId,
    },
    /// Its upload is accepted.
    Accept {
        /// The object that the import is about from now on; an order to remove records has none.
        object: Option<StoredObject>,
        /// Its place in the order of acceptance of its account and kind.
        order: u64,
        /// Whether no older import of the account and kind runs.
        no_older_running: bool,
    },
    /// Its upload is accepted by a review, which takes no place in the order.
    Judge {
        /// The object that the import is about from now on.
        object: StoredObject,
        /// What the order of its kind is.
        at: JudgedAt,
    },
    /// Its file has been split.
    Split {
        /// The file's data rows.
        total: u64,
    },
    /// It would remove more records than its guard lets pass, or is a review that is judged: it waits to be confirmed.
    Hold {
        /// What it would remove, where it is a replace.
        to_remove: Option<ToRemove>,
        /// Until when it may be confirmed, in Unix milliseconds.
        until: i64,
        /// The final counts, where it is a review.
        rows: Option<Rows>,
    },
    /// Its owner confirms what it is to remove.
    Confirm {
        /// The place in the order that its removal takes.
        order: u64,
    },
    /// Its owner confirms a review, which ends: another import applies what it has judged.
    ConfirmAs {
        /// The import that does.
        import: ImportId,
        /// How the review ends.
        status: Status,
    },
    /// Its removal is decided: from now on nothing stops it.
    Decide {
        /// The stamp of its tombstones.
        stamp: Stamp,
        /// What was counted.
        to_remove: ToRemove,
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
        /// How many records were removed, by an import whose removal was decided.
        removed: Option<u64>,
    },
}

impl Transition {
    /// Whether the transition is made from this stage.
    pub fn is_made_from(&self, stage: Stage) -> bool {
        match stage {
            Stage::AwaitingUpload => {
                let ends = matches!(self, Self::End { rows: None, .. });
                ends || self.accepts() || matches!(self, Self::Wait { .. })
            }
            Stage::Expired => self.accepts() || matches!(self, Self::Wait { .. }),
            Stage::Waiting => self.accepts() || matches!(self, Self::Wait { .. } | Self::Halt(_)),
            Stage::Splitting => {
                matches!(self, Self::Split { .. } | Self::Halt(_) | Self::End { rows: Some(_), removed: None, .. })
            }
            Stage::Applying => matches!(
                self,
                Self::Hold { .. }
                    | Self::Decide { .. }
                    | Self::Halt(_)
                    | Self::End { rows: Some(_), removed: None, .. }
            ),
            Stage::Held => {
                let ends = matches!(self, Self::ConfirmAs { .. } | Self::End { rows: Some(_), removed: None, .. });
                ends || matches!(self, Self::Confirm { .. } | Self::Halt(_))
            }
            Stage::Confirmed => matches!(self, Self::Decide { .. } | Self::Halt(_)),
            Stage::Removing => matches!(self, Self::End { rows: Some(_), removed: Some(_), .. }),
            Stage::Halting => matches!(self, Self::End { rows: Some(_), removed: None, .. }),
            Stage::Ended => false,
        }
    }

    /// The status that the import has behind it; `None` where it has the same one.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Wait { .. } | Self::Accept { .. } | Self::Judge { .. } | Self::Confirm { .. } => {
                Some(Status::Processing)
            }
            Self::Hold { .. } => Some(Status::AwaitingConfirmation),
            Self::ConfirmAs { status, .. } | Self::End { status, .. } => Some(*status),
            Self::Split { .. } | Self::Decide { .. } | Self::Halt(_) => None,
        }
    }

    /// Whether an upload is accepted by it.
    fn accepts(&self) -> bool {
        matches!(self, Self::Accept { .. } | Self::Judge { .. })
    }

    /// Whether the import ends by it with rejected rows, so that there is a file of them to write.
    pub fn has_rejected_rows(&self) -> bool {
        matches!(self, Self::End { rows: Some(rows), .. } if rows.failed > 0)
    }

    /// Whether the import ends by it with records made, or that would have been.
    pub fn has_created_rows(&self) -> bool {
        matches!(self, Self::End { rows: Some(rows), .. } if rows.created > 0)
    }

    /// Whether the import ends by it.
    pub fn ends(&self) -> bool {
        matches!(self, Self::End { .. })
    }

    /// What the transition writes into the import, by the names of [`Import`]'s fields; one with the value `null` is
    /// removed. `now_ms` is the moment at which it is made, in Unix milliseconds.
    pub fn writes(&self, now_ms: i64) -> Map<String, Value> {
        let writes = match self {
            Self::Wait { object, gate } => json!({
                "status": Status::Processing,
                "object": object,
                "waiting_for": gate,
                "completed_at": null,
            }),
            Self::Accept { object, order, no_older_running } => {
                let mut writes = json!({
                    "status": Status::Processing,
                    "object": object,
                    "order": order,
                    "no_older_running": no_older_running,
                    "accepted_at": now_ms,
                    // That of an import that had expired.
                    "completed_at": null,
                    "waiting_for": null,
                });
                if object.is_none() {
                    // There is no file: no row is to be applied.
                    writes["total"] = json!(0);
                }
                writes
            }
            Self::Judge { object, at } => json!({
                "status": Status::Processing,
                "object": object,
                "judged_at": at,
                "accepted_at": now_ms,
                "completed_at": null,
                "waiting_for": null,
            }),
            Self::Split { total } => json!({ "total": total, "split_ended_at": now_ms }),
            Self::Hold { to_remove, until, rows } => {
                let mut writes = json!({ "status": Status::AwaitingConfirmation, "held_until": until });
                if let Some(to_remove) = to_remove {
                    writes["to_remove"] = json!(to_remove);
                }
                if let Some(rows) = rows {
                    writes["rows"] = json!(rows);
                }
                writes
            }
            Self::ConfirmAs { import, status } => {
                json!({ "status": status, "confirmed_as": import, "confirmed_at": now_ms, "completed_at": now_ms })
            }
            Self::Confirm { order } => {
                json!({ "status": Status::Processing, "confirmed": order, "confirmed_at": now_ms })
            }
            Self::Decide { stamp, to_remove } => {
                json!({ "removes": (stamp.order, stamp.row), "to_remove": to_remove })
            }
            Self::Halt(halt) => json!({ "halt": halt, "halted_at": now_ms }),
            Self::End { status, failure, rows, removed } => {
                let mut writes = json!({ "status": status, "completed_at": now_ms });
                // Neither removes anything: an import ends once.
                if let Some(failure) = failure {
                    writes["failure"] = json!(failure);
                }
                if let Some(rows) = rows {
                    writes["rows"] = json!(rows);
                }
                if let Some(removed) = removed {
                    writes["removed"] = json!(removed);
                }
                writes
            }
        };
        let Value::Object(writes) = writes else { unreachable!("every transition writes an object") };
        writes
    }

    /// Whether the sweeper has something to look at after the transition of this import.
    pub fn stays_due(&self, import: &Import) -> bool {
        match self {
            Self::Wait { .. }
            | Self::Accept { .. }
            | Self::Judge { .. }
            | Self::Split { .. }
            | Self::Hold { .. }
            | Self::Confirm { .. }
            // What the import that applies it has taken over is to be left.
            | Self::ConfirmAs { .. }
            | Self::Decide { .. }
            | Self::Halt(_) => true,
            // An upload in parts may have begun since the import was read: its parts are to be removed.
            Self::End { rows: None, .. } => true,
            // A rejected rows file is still to be written, or parts are left.
            Self::End { rows: Some(rows), .. } => rows.failed > 0 || import.left_parts().is_some(),
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
    /// What its file does not name is to be counted, or removed, once nobody else writes rows.
    Remove,
    /// It is a review, and judged: it waits to be confirmed.
    Hold,
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
    /// This import reads its upload: it cannot be deleted.
    Read(ImportId),
    /// It is removed.
    Remove,
}

/// The blocks of a halted import, closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClosedBlocks {
    /// When the first chunk of them was tallied, in Unix milliseconds.
    pub tallied_from: Option<i64>,
    sum: Tally,
    last_row: u64,
    unfinished: bool,
}

impl ClosedBlocks {
    /// Takes one more block, as it was when it had been closed.
    pub fn add(&mut self, block: &Block) {
        self.tallied_from = self.tallied_from.into_iter().chain(block.tallied_from).min();
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
            Status::Processing | Status::AwaitingConfirmation if self.halt.is_some() => Stage::Halting,
            Status::AwaitingConfirmation => Stage::Held,
            Status::Processing if self.waiting_for.is_some() => Stage::Waiting,
            Status::Processing if self.removes.is_some() => Stage::Removing,
            Status::Processing if self.confirmed.is_some() => Stage::Confirmed,
            Status::Processing if self.total.is_some() => Stage::Applying,
            Status::Processing => Stage::Splitting,
            Status::Completed | Status::CompletedWithErrors | Status::Failed | Status::Cancelled => Stage::Ended,
        }
    }

    /// What an upload that is stored under the import's key means to it.
    pub fn on_upload(&self, object: &StoredObject) -> Uploaded {
        match self.stage() {
            Stage::AwaitingUpload | Stage::Expired => Uploaded::Expected,
            stage @ (Stage::Waiting
            | Stage::Splitting
            | Stage::Applying
            | Stage::Held
            | Stage::Confirmed
            | Stage::Removing
            | Stage::Halting) => match &self.object {
                Some(pinned) if pinned.is(object) && stage == Stage::Waiting => Uploaded::Expected,
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
            Stage::AwaitingUpload => Some(Transition::End { status, failure, rows: None, removed: None }),
            Stage::Waiting | Stage::Splitting | Stage::Applying | Stage::Held | Stage::Confirmed => {
                Some(Transition::Halt(halt.clone()))
            }
            Stage::Expired | Stage::Removing | Stage::Halting | Stage::Ended => None,
        }
    }

    /// The expiry of an import whose time to upload is over. The caller has found no upload: one that the storage took
    /// in time counts, however late it is found.
    pub fn expire(&self, now_ms: i64) -> Option<Transition> {
        let is_over = now_ms > self.deadline() + EXPIRY_GRACE_MS;
        match self.stage() {
            Stage::AwaitingUpload if is_over => {
                Some(Transition::End { status: Status::Expired, failure: None, rows: None, removed: None })
            }
            _ => None,
        }
    }

    /// The threshold of rejected rows, while there is something left that it can stop.
    pub fn abort(&self) -> Option<Abort> {
        match self.stage() {
            Stage::Splitting | Stage::Applying => self.options.abort,
            Stage::AwaitingUpload
            | Stage::Expired
            | Stage::Waiting
            | Stage::Held
            | Stage::Confirmed
            | Stage::Removing
            | Stage::Halting
            | Stage::Ended => None,
        }
    }

    /// What is left to do until the import has ended.
    pub fn settle(&self) -> Settlement {
        match (self.stage(), self.total) {
            (Stage::AwaitingUpload | Stage::Waiting | Stage::Splitting | Stage::Held, _) => Settlement::Wait,
            (Stage::Applying, Some(total)) if self.is_accounted_for() => match self.complete(total) {
                Transition::End { failure: None, .. } if self.is_replace() => Settlement::Remove,
                Transition::End { failure: None, .. } if self.is_review() => Settlement::Hold,
                end => Settlement::End(end),
            },
            (Stage::Applying, _) => Settlement::Wait,
            (Stage::Confirmed | Stage::Removing, _) => Settlement::Remove,
            (Stage::Halting, _) => Settlement::CloseBlocks,
            (Stage::Expired | Stage::Ended, _) if self.owes_report() => Settlement::Report,
            (Stage::Expired | Stage::Ended, _) => Settlement::Done,
        }
    }

    /// Whether its file is split and all its blocks are noted.
    pub(crate) fn is_accounted_for(&self) -> bool {
        self.total.is_some() && self.noted_blocks.len() >= self.opened_blocks as usize
    }

    /// The final counts of an import all of whose blocks are noted.
    pub(crate) fn counts(&self, total: u64) -> Rows {
        Rows::new(Some(total), &self.noted_tally)
    }

    /// The end of an import all of whose blocks are noted.
    fn complete(&self, total: u64) -> Transition {
        let rows = self.counts(total);
        let early = self.noted_tally.failed_early;
        let (status, failure) = match self.options.abort.and_then(|abort| abort.halt(early)) {
            // The tally that showed it was also the last one.
            Some(Halt { status, failure }) => (status, failure),
            None if rows.failed > 0 => (Status::CompletedWithErrors, None),
            None => (Status::Completed, None),
        };
        Transition::End { status, failure, rows: Some(rows), removed: None }
    }

    /// The end of a replace all of whose rows are accounted for, where nothing is removed: while what would go is
    /// counted, or while it waits to be confirmed; and of a review while it does.
    pub fn end_unremoved(&self) -> Option<Transition> {
        let total = self.total.filter(|_| matches!(self.stage(), Stage::Applying | Stage::Held))?;
        ((self.is_replace() || self.is_review()) && self.is_accounted_for()).then(|| self.complete(total))
    }

    /// The end of a replace that has removed so many records.
    pub fn end_removed(&self, records: u64) -> Option<Transition> {
        let total = self.total.filter(|_| self.stage() == Stage::Removing)?;
        let Transition::End { status, failure, rows, .. } = self.complete(total) else { return None };
        Some(Transition::End { status, failure, rows, removed: Some(records) })
    }

    /// The end of a held import that nobody confirmed in time, if that is over.
    pub fn end_held(&self, now_ms: i64) -> Option<Transition> {
        let is_over = self.stage() == Stage::Held && self.held_until.is_some_and(|until| now_ms > until);
        self.end_unremoved().filter(|_| is_over)
    }

    /// The end of an import that has been ordered to, if every chunk that had begun is accounted for. `blocks` are all
    /// its blocks.
    pub fn end_early(&self, blocks: &ClosedBlocks) -> Option<Transition> {
        let Halt { status, failure } = self.halt.clone().filter(|_| !blocks.unfinished)?;
        // Where splitting never ended, the file's rows are those that are known.
        let total = self.total.unwrap_or(blocks.last_row.max(self.checkpoint.row - 1));
        let mut sum = blocks.sum;
        if self.noted_blocks.is_empty() {
            // The rows of a file that was known again are noted at once, and are of no block.
            sum += self.noted_tally;
        }
        let rows = Rows::new(Some(total), &sum);
        let rows = Rows { unprocessed: total - rows.processed, ..rows };
        Some(Transition::End { status, failure, rows: Some(rows), removed: None })
    }

    /// What has to be sent once more for an import that has stood still: messages may have been lost on their way.
    pub fn resume(&self) -> Option<Order> {
        match self.stage() {
            // A split that died here before must not start over as if it never had, or it would never be given up.
            Stage::Splitting => {
                Some(Order::to_continue(self, self.split_died_at.filter(|at| *at == self.checkpoint.chunk)))
            }
            // Whoever settles it has ordered it to go on.
            Stage::Applying if self.is_replace() && self.is_accounted_for() => None,
            Stage::Applying | Stage::Halting => Some(Order::to_resend(self, Checkpoint::START)),
            Stage::AwaitingUpload
            | Stage::Expired
            | Stage::Waiting
            | Stage::Held
            | Stage::Confirmed
            | Stage::Removing
            | Stage::Ended => None,
        }
    }

    /// What deleting the import takes.
    pub fn delete(&self) -> Deletion {
        match self.stage() {
            Stage::AwaitingUpload => {
                Deletion::End(Transition::End { status: Status::Cancelled, failure: None, rows: None, removed: None })
            }
            Stage::Waiting
            | Stage::Splitting
            | Stage::Applying
            | Stage::Held
            | Stage::Confirmed
            | Stage::Removing
            | Stage::Halting => Deletion::Refused,
            Stage::Expired | Stage::Ended => match self.readers.first() {
                Some(reader) => Deletion::Read(reader.clone()),
                None => Deletion::Remove,
            },
        }
    }
}

#[cfg(test)]
mod tests;
