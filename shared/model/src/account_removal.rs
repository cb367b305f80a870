//! The removal of an account, with all that is stored of it.
//!
//! ```text
//!  DELETE               all imports and      all found    a day after they      all found once more, and
//!                       exports have ended   is gone      had ended             nothing of the account is left
//! ────────▶ halting ──────────▶ purging ──────▶ waiting ──────▶ checking ──────────────────────▶ removed
//!              ▲                                   │
//!              └─── one of them runs after all ────┘
//! ```
//!
//! A process that was at work for the account when its keys were revoked may still write: a request on its way, a
//! validator that stands still. Far within a day it has ended. So what there is goes at once, and what came meanwhile
//! goes a day later. Until then the items stay by which everything of an account is found: its imports and the orders
//! of its kinds. The account's name is not given anew before all is gone, so a removal never meets a new account of the
//! same name.
//!
//! Everything here is pure. The store writes what a removal becomes in place of what it was, on the condition that its
//! `rev` is still that one's.

use serde::{Deserialize, Serialize};

use crate::{AccountId, limits, listed::listed};

listed! {
    /// Where the removal of an account stands.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    pub enum AccountRemovalStage {
        /// Its keys are revoked, its imports and exports are being ended.
        Halting,
        /// What is stored of it is being removed.
        Purging,
        /// What was in flight may still write.
        Waiting,
        /// What has been written meanwhile is being removed, and then the account itself.
        Checking,
        /// Nothing of it is left but this report.
        Removed,
    }
}

listed! {
    /// What of an account is removed, in this order.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum PurgeStep {
        /// Objects in the buckets, all versions of them, and unfinished multipart uploads.
        #[default]
        Files,
        /// Records and tombstones, kind by kind and shard by shard.
        Records,
        /// Blocks and row errors of its imports.
        Imports,
        /// The same of imports that were deleted and are still being removed.
        Deleted,
        /// The items in its own partition, and its keys. Only when nothing is found by them any more.
        Own,
    }
}

impl PurgeStep {
    /// The step behind this one.
    fn next(self) -> Option<Self> {
        let at = Self::ALL.iter().position(|step| *step == self)?;
        Self::ALL.get(at + 1).copied()
    }
}

/// Where a purge stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgePlace {
    /// What is being removed.
    pub step: PurgeStep,
    /// The sort key of the last kind, or import, with which the step is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The shard of the next kind's records that is next.
    #[serde(default)]
    pub shard: u16,
}

/// What went, by counts. What a sweeper removed that died before it could note it is not counted, or of an item that
/// was found again counted twice: some thousand at each death, at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RemovedCounts {
    /// API keys.
    pub keys: u64,
    /// Kinds of the account's own.
    pub kinds: u64,
    /// Imports.
    pub imports: u64,
    /// Exports.
    pub exports: u64,
    /// Records, with the tombstones of those that were deleted.
    pub records: u64,
    /// Versions of uploads.
    pub uploads: u64,
    /// Rejected rows files and files of exports.
    pub files: u64,
}

impl std::ops::AddAssign for RemovedCounts {
    fn add_assign(&mut self, more: Self) {
        self.keys += more.keys;
        self.kinds += more.kinds;
        self.imports += more.imports;
        self.exports += more.exports;
        self.records += more.records;
        self.uploads += more.uploads;
        self.files += more.files;
    }
}

/// What one step of a purge did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// What went.
    pub counts: RemovedCounts,
    /// Where the step goes on; none when it is done.
    pub rest: Option<PurgePlace>,
}

/// The removal of an account as it is stored: in the end the report of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRemoval {
    /// The account.
    pub account: AccountId,
    /// Where it stands.
    pub stage: AccountRemovalStage,
    /// How often it has been written; every write is conditional on it. It begins at a number that no removal of this
    /// account had before.
    pub rev: u64,
    /// When it was ordered, in Unix milliseconds.
    pub ordered_at: i64,
    /// When a sweeper is to go on with it, in Unix milliseconds; none when it is done. Whoever goes on moves this to
    /// the end of its turn first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<i64>,
    /// When the last of its imports and exports had ended, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted_at: Option<i64>,
    /// When nothing was left, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<i64>,
    /// Where its purge stands.
    #[serde(default)]
    pub place: PurgePlace,
    /// What went so far.
    #[serde(default)]
    pub removed: RemovedCounts,
}

impl AccountRemoval {
    /// A removal that nobody has begun with, in place of an earlier one of the same account, if there was one.
    pub fn new(account: AccountId, now_ms: i64, before: Option<&Self>) -> Self {
        let unused = u64::try_from(now_ms).unwrap_or(0);
        Self {
            account,
            stage: AccountRemovalStage::Halting,
            rev: before.map_or(unused, |before| unused.max(before.rev + 1)),
            ordered_at: now_ms,
            due_at: Some(now_ms),
            halted_at: None,
            removed_at: None,
            place: PurgePlace::default(),
            removed: RemovedCounts::default(),
        }
    }

    /// When the wait for what was in flight is over, in Unix milliseconds; none before it has begun.
    pub fn waits_until(&self) -> Option<i64> {
        self.halted_at.map(|at| at + limits::ACCOUNT_REMOVAL_WAIT_SECONDS as i64 * 1000)
    }

    /// Until when the report is kept, in Unix milliseconds; none before all is removed.
    pub fn report_until(&self) -> Option<i64> {
        self.removed_at.map(|at| at + limits::ACCOUNT_REPORT_SECONDS as i64 * 1000)
    }

    /// The end of the turn of whoever takes it up or goes on with it at this moment.
    fn turn_end(now_ms: i64) -> i64 {
        now_ms + limits::ACCOUNT_REMOVAL_TURN_SECONDS as i64 * 1000
    }

    /// The same after one more write, at whose end this is due.
    fn next(&self, due_at: i64) -> Self {
        Self { rev: self.rev + 1, due_at: Some(due_at), ..self.clone() }
    }

    /// The removal in the hands of a sweeper, if it is due: nobody else takes it up before the turn is over.
    pub fn take_up(&self, now_ms: i64) -> Option<Self> {
        self.due_at.filter(|at| *at <= now_ms).map(|_| self.next(Self::turn_end(now_ms)))
    }

    /// The removal of which its sweeper has done a part, and goes on with the same.
    pub fn kept(&self, now_ms: i64) -> Self {
        self.next(Self::turn_end(now_ms))
    }

    /// Whether whoever wrote it at this moment goes on with it at once.
    pub fn is_taken(&self, now_ms: i64) -> bool {
        self.due_at == Some(Self::turn_end(now_ms))
    }

    /// The removal that the sweeper which has it puts down, to be gone on with at this moment.
    pub fn put_down(&self, at_ms: i64) -> Self {
        self.next(at_ms)
    }

    /// Its imports and exports have ended: the purge begins.
    pub fn halted(&self, now_ms: i64) -> Self {
        let next = self.next(Self::turn_end(now_ms));
        Self { stage: AccountRemovalStage::Purging, halted_at: Some(now_ms), place: PurgePlace::default(), ..next }
    }

    /// The wait is over. Where something runs after all, it is ended first.
    pub fn waited(&self, now_ms: i64, has_unfinished: bool) -> Self {
        let stage = if has_unfinished { AccountRemovalStage::Halting } else { AccountRemovalStage::Checking };
        Self { stage, place: PurgePlace::default(), ..self.next(Self::turn_end(now_ms)) }
    }

    /// What a step of the purge makes of it. Of the first purge the account's own items are no part; the second one
    /// removes them last, and `None` says that it is done with them.
    pub fn purged(&self, now_ms: i64, purged: &Purged) -> Option<Self> {
        let mut next = self.next(Self::turn_end(now_ms));
        next.removed += purged.counts;
        let step = match (&purged.rest, self.place.step.next()) {
            (Some(rest), _) => {
                next.place = rest.clone();
                return Some(next);
            }
            (None, step) => step,
        };
        match (self.stage, step) {
            (AccountRemovalStage::Checking, None) => return None,
            (AccountRemovalStage::Purging, None | Some(PurgeStep::Own)) => {
                next.stage = AccountRemovalStage::Waiting;
                next.due_at = next.waits_until();
                next.place = PurgePlace::default();
            }
            (_, step) => next.place = PurgePlace { step: step.unwrap_or_default(), ..PurgePlace::default() },
        }
        Some(next)
    }

    /// The report: nothing of the account is left.
    pub fn finish(&self, now_ms: i64, last: &RemovedCounts) -> Self {
        let mut report = Self {
            stage: AccountRemovalStage::Removed,
            rev: self.rev + 1,
            due_at: None,
            removed_at: Some(now_ms),
            place: PurgePlace::default(),
            ..self.clone()
        };
        report.removed += *last;
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn removal() -> AccountRemoval {
        AccountRemoval::new("shop".parse().expect("valid"), 1_000, None)
    }

    fn nothing_left() -> Purged {
        Purged { counts: RemovedCounts { records: 1, ..RemovedCounts::default() }, rest: None }
    }

    /// The stages and steps that a removal goes through from a stage on, until it rests or is done.
    fn walk(mut removal: AccountRemoval) -> (Vec<PurgeStep>, Option<AccountRemoval>) {
        let (stage, mut steps) = (removal.stage, Vec::new());
        loop {
            steps.push(removal.place.step);
            match removal.purged(5_000, &nothing_left()) {
                Some(next) if next.stage == stage => removal = next,
                next => return (steps, next),
            }
        }
    }

    #[test]
    fn one_sweeper_at_a_time_has_it() {
        let taken = removal().take_up(1_000).expect("it is due");
        assert!(taken.take_up(1_000 + 299_999).is_none());
        assert!(taken.take_up(1_000 + 300_000).is_some(), "its sweeper has died");
        assert_eq!(taken.put_down(7_000).take_up(6_999), None);
        assert_eq!(taken.rev, removal().rev + 1);
    }

    #[test]
    fn the_first_purge_leaves_what_the_second_finds_everything_by() {
        let halted = removal().halted(4_000);
        let (steps, waits) = walk(halted);
        assert_eq!(steps, [PurgeStep::Files, PurgeStep::Records, PurgeStep::Imports, PurgeStep::Deleted]);
        let waits = waits.expect("it waits");
        assert_eq!((waits.stage, waits.due_at), (AccountRemovalStage::Waiting, Some(4_000 + DAY_MS)));
        let (steps, done) = walk(waits.waited(4_000 + DAY_MS, false));
        assert_eq!((steps, done), (PurgeStep::ALL.to_vec(), None));
    }

    #[test]
    fn what_runs_after_all_is_ended_first_and_the_day_begins_anew() {
        let waits = walk(removal().halted(4_000)).1.expect("it waits");
        let again = waits.waited(4_000 + DAY_MS, true);
        assert_eq!(again.stage, AccountRemovalStage::Halting);
        assert_eq!(again.halted(9_000 + DAY_MS).waits_until(), Some(9_000 + 2 * DAY_MS));
    }

    #[test]
    fn a_step_that_is_not_done_goes_on_at_its_place() {
        let rest = PurgePlace { step: PurgeStep::Records, after: Some("kind#a".into()), shard: 16 };
        let purged = Purged { counts: RemovedCounts { records: 5, ..RemovedCounts::default() }, rest: Some(rest) };
        let next = removal().halted(4_000).purged(5_000, &purged).expect("it goes on");
        assert_eq!((next.stage, Some(next.place)), (AccountRemovalStage::Purging, purged.rest));
        assert_eq!(next.removed.records, 5);
    }

    #[test]
    fn a_report_names_the_account_and_counts_and_a_later_removal_has_a_rev_of_its_own() {
        let report = removal().finish(9_000, &RemovedCounts { keys: 2, ..RemovedCounts::default() });
        assert_eq!((report.removed.keys, report.due_at), (2, None));
        assert_eq!(report.report_until(), Some(9_000 + 90 * DAY_MS));
        let later = AccountRemoval::new(report.account.clone(), 0, Some(&report));
        assert!(later.rev > report.rev);
        assert_eq!(later.removed, RemovedCounts::default());
    }
}
