//! The conditions that a fault test switches off, one at a time, to show that it would notice.

#[cfg(feature = "faults")]
use crate::SettingsError;
use crate::Store;

/// The variable that names the condition that is switched off.
#[cfg(feature = "faults")]
pub const SABOTAGE: &str = "PENSTOCK_SABOTAGE";

/// A condition that a fault test can switch off.
#[cfg(feature = "faults")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// [`Conditions::no_older_running`].
    NoOlderRunning,
    /// [`Conditions::first`].
    First,
    /// [`Conditions::newest`].
    Newest,
    /// [`Conditions::equal`].
    Equal,
    /// [`Conditions::consistent`].
    Consistent,
    /// [`Conditions::tallied_once`].
    TalliedOnce,
    /// [`Conditions::delete_ordered`].
    DeleteOrdered,
    /// [`Conditions::tombstone`].
    Tombstone,
    /// [`Conditions::tombstone_bookkeeping`].
    TombstoneBookkeeping,
    /// [`Conditions::tombstone_while_running`].
    TombstoneWhileRunning,
    /// [`Conditions::floor`].
    Floor,
    /// [`Conditions::floor_anew`].
    FloorAnew,
    /// [`Conditions::gate`].
    Gate,
    /// [`Conditions::gate_wait`].
    GateWait,
    /// [`Conditions::decision`].
    Decision,
    /// [`Conditions::removal_rev`].
    RemovalRev,
    /// [`Conditions::removal_evidence`].
    RemovalEvidence,
    /// [`Conditions::held_runs`].
    HeldRuns,
    /// [`Conditions::confirm_wait`].
    ConfirmWait,
    /// [`Conditions::confirm_gate`].
    ConfirmGate,
    /// [`Conditions::sparing`].
    Sparing,
    /// [`Conditions::outbox`].
    Outbox,
    /// [`Conditions::digest_epoch`].
    DigestEpoch,
    /// [`Conditions::digest_unnamed`].
    DigestUnnamed,
    /// [`Conditions::digest_last`].
    DigestLast,
    /// [`Conditions::digest_cleared`].
    DigestCleared,
    /// [`Conditions::digest_holes`].
    DigestHoles,
    /// [`Conditions::digest_whole`].
    DigestWhole,
    /// [`Conditions::digest_named`].
    DigestNamed,
    /// [`Conditions::digest_status`].
    DigestStatus,
    /// [`Conditions::digest_failed`].
    DigestFailed,
    /// [`Conditions::digest_next`].
    DigestNext,
    /// [`Conditions::digest_apart`].
    DigestApart,
    /// [`Conditions::digest_drops`].
    DigestDrops,
    /// [`Conditions::digest_distinct`].
    DigestDistinct,
    /// [`Conditions::digest_same`].
    DigestSame,
}

#[cfg(feature = "faults")]
impl Condition {
    /// Every condition.
    pub const ALL: [Self; 36] = [
        Self::NoOlderRunning,
        Self::First,
        Self::Newest,
        Self::Equal,
        Self::Consistent,
        Self::TalliedOnce,
        Self::DeleteOrdered,
        Self::Tombstone,
        Self::TombstoneBookkeeping,
        Self::TombstoneWhileRunning,
        Self::Floor,
        Self::FloorAnew,
        Self::Gate,
        Self::GateWait,
        Self::Decision,
        Self::RemovalRev,
        Self::RemovalEvidence,
        Self::HeldRuns,
        Self::ConfirmWait,
        Self::ConfirmGate,
        Self::Sparing,
        Self::Outbox,
        Self::DigestEpoch,
        Self::DigestUnnamed,
        Self::DigestLast,
        Self::DigestCleared,
        Self::DigestHoles,
        Self::DigestWhole,
        Self::DigestNamed,
        Self::DigestStatus,
        Self::DigestFailed,
        Self::DigestNext,
        Self::DigestApart,
        Self::DigestDrops,
        Self::DigestDistinct,
        Self::DigestSame,
    ];

    /// What [`SABOTAGE`] holds to switch it off.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoOlderRunning => "no_older_running",
            Self::First => "first",
            Self::Newest => "newest",
            Self::Equal => "equal",
            Self::Consistent => "consistent",
            Self::TalliedOnce => "tallied_once",
            Self::DeleteOrdered => "delete_ordered",
            Self::Tombstone => "tombstone",
            Self::TombstoneBookkeeping => "tombstone_bookkeeping",
            Self::TombstoneWhileRunning => "tombstone_while_running",
            Self::Floor => "floor",
            Self::FloorAnew => "floor_anew",
            Self::Gate => "gate",
            Self::GateWait => "gate_wait",
            Self::Decision => "decision",
            Self::RemovalRev => "removal_rev",
            Self::RemovalEvidence => "removal_evidence",
            Self::HeldRuns => "held_runs",
            Self::ConfirmWait => "confirm_wait",
            Self::ConfirmGate => "confirm_gate",
            Self::Sparing => "sparing",
            Self::Outbox => "outbox",
            Self::DigestEpoch => "digest_epoch",
            Self::DigestUnnamed => "digest_unnamed",
            Self::DigestLast => "digest_last",
            Self::DigestCleared => "digest_cleared",
            Self::DigestHoles => "digest_holes",
            Self::DigestWhole => "digest_whole",
            Self::DigestNamed => "digest_named",
            Self::DigestStatus => "digest_status",
            Self::DigestFailed => "digest_failed",
            Self::DigestNext => "digest_next",
            Self::DigestApart => "digest_apart",
            Self::DigestDrops => "digest_drops",
            Self::DigestDistinct => "digest_distinct",
            Self::DigestSame => "digest_same",
        }
    }
}

/// The conditions that the first promises stand on. A rule gets them as a value and skips those that are switched off.
///
/// Under the first five a row that changes nothing costs no write: the validator's `apply` explains them. Those of
/// deletes and tombstones are explained in [`crate::deletes`] and in the engine's `merge`, those of replaces in
/// [`crate::replace`], those of digests in `SEMANTICS.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// No older import of the kind ran when this one was accepted.
    pub no_older_running: bool,
    /// No earlier row of the file names the record.
    pub first: bool,
    /// The record holds no stamp that is newer than the row.
    pub newest: bool,
    /// Merged with the row, the record shows what it shows.
    pub equal: bool,
    /// The record was read consistently.
    pub consistent: bool,
    /// A chunk's tally has one name, by which a second delivery finds the first one's.
    pub tallied_once: bool,
    /// A delete is made only if nothing has taken a place in the order since it read the next one.
    pub delete_ordered: bool,
    /// A delete leaves a tombstone in the record's item.
    pub tombstone: bool,
    /// A tombstone keeps who made the record and who touched it last.
    pub tombstone_bookkeeping: bool,
    /// A tombstone does not expire if an import of the kind runs at the delete.
    pub tombstone_while_running: bool,
    /// A tombstone has the stamp of its delete.
    pub floor: bool,
    /// That stamp stays when the record is made anew.
    pub floor_anew: bool,
    /// While a replace is at the gate of its kind, no other upload of the kind is accepted.
    pub gate: bool,
    /// A replace removes nothing before the imports that were accepted before it have ended.
    pub gate_wait: bool,
    /// From its decision on a removal cannot be cancelled.
    pub decision: bool,
    /// A tombstone of a removal is written only where the record is still as it was read.
    pub removal_rev: bool,
    /// A repeat of a shard's removal counts the tombstones that it finds and that are its own.
    pub removal_evidence: bool,
    /// A held import counts as one that runs.
    pub held_runs: bool,
    /// A confirmed removal waits until nobody else writes rows.
    pub confirm_wait: bool,
    /// A confirmed removal is at the gate of its kind.
    pub confirm_gate: bool,
    /// A removal spares what a newer import wrote.
    pub sparing: bool,
    /// An event is stored in the transaction that makes what it tells of.
    pub outbox: bool,
    /// A digest is used only at the place in the order for which it holds.
    pub digest_epoch: bool,
    /// A row is compared with a digest only if its file has not named its record before.
    pub digest_unnamed: bool,
    /// A digest has what the last row said that named a record.
    pub digest_last: bool,
    /// What a row clears is part of what it says.
    pub digest_cleared: bool,
    /// A deleted record leaves a hole in the digests that hold behind its delete.
    pub digest_holes: bool,
    /// A splitter that goes on elsewhere than at the start of a file has no digest, and makes none.
    pub digest_whole: bool,
    /// The digest behind a replace has what its file names, and nothing else.
    pub digest_named: bool,
    /// An import that is cancelled or fails leaves no digest.
    pub digest_status: bool,
    /// An import leaves no digest if more rows have failed than its splitter saw rejected.
    pub digest_failed: bool,
    /// An import leaves no digest if anything has taken a place in the order since it did.
    pub digest_next: bool,
    /// The digest of other columns holds behind an import only if it has no field in common with them.
    pub digest_apart: bool,
    /// Rows that are dropped are not applied. Without it they are, and one that is not unchanged ends its validator.
    pub digest_drops: bool,
    /// A file is known as a whole only if each of its rows was accepted and names a record of its own.
    pub digest_distinct: bool,
    /// A file is another one again only if both are read in the same way.
    pub digest_same: bool,
}

impl Conditions {
    /// All of them, as everywhere but in a fault test.
    pub const ALL: Self = Self {
        no_older_running: true,
        first: true,
        newest: true,
        equal: true,
        consistent: true,
        tallied_once: true,
        delete_ordered: true,
        tombstone: true,
        tombstone_bookkeeping: true,
        tombstone_while_running: true,
        floor: true,
        floor_anew: true,
        gate: true,
        gate_wait: true,
        decision: true,
        removal_rev: true,
        removal_evidence: true,
        held_runs: true,
        confirm_wait: true,
        confirm_gate: true,
        sparing: true,
        outbox: true,
        digest_epoch: true,
        digest_unnamed: true,
        digest_last: true,
        digest_cleared: true,
        digest_holes: true,
        digest_whole: true,
        digest_named: true,
        digest_status: true,
        digest_failed: true,
        digest_next: true,
        digest_apart: true,
        digest_drops: true,
        digest_distinct: true,
        digest_same: true,
    };

    /// All but the one that [`SABOTAGE`] names in this process's environment.
    ///
    /// # Errors
    /// [`SettingsError::NoCondition`] when there is none of that name.
    #[cfg(feature = "faults")]
    pub(crate) fn from_env() -> Result<Self, SettingsError> {
        let Ok(name) = std::env::var(SABOTAGE) else { return Ok(Self::ALL) };
        let condition = Condition::ALL.into_iter().find(|condition| condition.name() == name);
        Ok(Self::without(condition.ok_or(SettingsError::NoCondition(SABOTAGE))?))
    }

    /// All but one.
    #[cfg(feature = "faults")]
    pub fn without(condition: Condition) -> Self {
        let mut conditions = Self::ALL;
        let switched_off = match condition {
            Condition::NoOlderRunning => &mut conditions.no_older_running,
            Condition::First => &mut conditions.first,
            Condition::Newest => &mut conditions.newest,
            Condition::Equal => &mut conditions.equal,
            Condition::Consistent => &mut conditions.consistent,
            Condition::TalliedOnce => &mut conditions.tallied_once,
            Condition::DeleteOrdered => &mut conditions.delete_ordered,
            Condition::Tombstone => &mut conditions.tombstone,
            Condition::TombstoneBookkeeping => &mut conditions.tombstone_bookkeeping,
            Condition::TombstoneWhileRunning => &mut conditions.tombstone_while_running,
            Condition::Floor => &mut conditions.floor,
            Condition::FloorAnew => &mut conditions.floor_anew,
            Condition::Gate => &mut conditions.gate,
            Condition::GateWait => &mut conditions.gate_wait,
            Condition::Decision => &mut conditions.decision,
            Condition::RemovalRev => &mut conditions.removal_rev,
            Condition::RemovalEvidence => &mut conditions.removal_evidence,
            Condition::HeldRuns => &mut conditions.held_runs,
            Condition::ConfirmWait => &mut conditions.confirm_wait,
            Condition::ConfirmGate => &mut conditions.confirm_gate,
            Condition::Sparing => &mut conditions.sparing,
            Condition::Outbox => &mut conditions.outbox,
            Condition::DigestEpoch => &mut conditions.digest_epoch,
            Condition::DigestUnnamed => &mut conditions.digest_unnamed,
            Condition::DigestLast => &mut conditions.digest_last,
            Condition::DigestCleared => &mut conditions.digest_cleared,
            Condition::DigestHoles => &mut conditions.digest_holes,
            Condition::DigestWhole => &mut conditions.digest_whole,
            Condition::DigestNamed => &mut conditions.digest_named,
            Condition::DigestStatus => &mut conditions.digest_status,
            Condition::DigestFailed => &mut conditions.digest_failed,
            Condition::DigestNext => &mut conditions.digest_next,
            Condition::DigestApart => &mut conditions.digest_apart,
            Condition::DigestDrops => &mut conditions.digest_drops,
            Condition::DigestDistinct => &mut conditions.digest_distinct,
            Condition::DigestSame => &mut conditions.digest_same,
        };
        *switched_off = false;
        conditions
    }
}

impl Store {
    /// The conditions of this store and of its callers' rules: all, unless a fault test switches one off.
    #[cfg(feature = "faults")]
    pub fn conditions(&self) -> Conditions {
        self.settings().conditions
    }

    /// The conditions of this store and of its callers' rules: all.
    #[cfg(not(feature = "faults"))]
    #[inline(always)]
    pub fn conditions(&self) -> Conditions {
        Conditions::ALL
    }

    /// The name under which a chunk's tally is written: its number. Without [`Conditions::tallied_once`] each delivery
    /// has another name, so a chunk is counted as often as it is delivered.
    pub(crate) fn tally_name(&self, chunk: u32) -> String {
        if self.conditions().tallied_once {
            return chunk.to_string();
        }
        format!("{chunk}-{}", u64::from_be_bytes(crate::random()))
    }
}
