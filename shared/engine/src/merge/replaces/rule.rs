//! The rules of replaces.

/// A rule of replaces that a run leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    /// None of them.
    Nothing,
    /// While a replace is at the gate, no other upload is accepted.
    Gate,
    /// Nothing is counted, and so nothing removed, before older imports have ended.
    GateWait,
    /// Nor before the last row is accounted for.
    LastRow,
    /// Nothing cancels a removal that is decided.
    Decision,
    /// A repeat counts the tombstones that it finds and that are its own.
    Evidence,
    /// A tombstone takes the place of the record that was read, of no other.
    Revision,
    /// Records are read consistently.
    Consistent,
    /// A rejected row names its record.
    Rejected,
    /// A row whose key cannot be read keeps every record.
    Unreadable,
    /// Rows below a tombstone of a removal change nothing.
    Floor,
    /// A tombstone stays while an import that is older than it runs.
    StaysWhileOlderRun,
    /// And for as long as a process of one that has ended may live.
    StaysWhileProcessesLive,
    /// A held import counts as one that runs.
    HeldRuns,
    /// A confirmed removal waits until nobody else writes rows.
    ConfirmWait,
    /// It takes the gate.
    ConfirmGate,
    /// It spares what is newer than the import's rows.
    Sparing,
}
