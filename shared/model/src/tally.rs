//! Counting rows: per chunk, and summed over an import.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The counts of one chunk's rows. A tally is written once per chunk and never added to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 7]", into = "[u64; 7]")]
pub struct Tally {
    /// Rows that made a record.
    pub created: u64,
    /// Rows that changed a record.
    pub updated: u64,
    /// Rows whose values the record already had.
    pub unchanged: u64,
    /// Rows that the import's mode left aside.
    pub skipped: u64,
    /// Rows that were rejected.
    pub failed: u64,
    /// Row errors stored; at least one for each rejected row.
    pub errors: u64,
    /// Rejected rows among those that the import's abort threshold judges.
    pub failed_early: u64,
}

impl Tally {
    /// Rows accounted for.
    pub fn processed(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.skipped + self.failed
    }
}

impl From<[u64; 7]> for Tally {
    fn from([created, updated, unchanged, skipped, failed, errors, failed_early]: [u64; 7]) -> Self {
        Self { created, updated, unchanged, skipped, failed, errors, failed_early }
    }
}

impl From<Tally> for [u64; 7] {
    fn from(tally: Tally) -> Self {
        let Tally { created, updated, unchanged, skipped, failed, errors, failed_early } = tally;
        [created, updated, unchanged, skipped, failed, errors, failed_early]
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.errors += other.errors;
        self.failed_early += other.failed_early;
    }
}

/// An import's rows as its owner sees them. At the end
/// `total = created + updated + unchanged + skipped + failed + unprocessed`, and `processed` is the first five of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rows {
    /// Data rows of the file; `None` until splitting has ended.
    pub total: Option<u64>,
    /// Rows accounted for so far.
    pub processed: u64,
    /// Rows that made a record.
    pub created: u64,
    /// Rows that changed a record.
    pub updated: u64,
    /// Rows whose values the record already had.
    pub unchanged: u64,
    /// Rows that the import's mode left aside.
    pub skipped: u64,
    /// Rows that were rejected; their errors say why.
    pub failed: u64,
    /// Rows that were never looked at, since the import was cancelled, aborted or failed.
    pub unprocessed: u64,
}

impl Rows {
    /// The rows of a tally; nothing is unprocessed.
    pub fn new(total: Option<u64>, tally: &Tally) -> Self {
        Self {
            total,
            processed: tally.processed(),
            created: tally.created,
            updated: tally.updated,
            unchanged: tally.unchanged,
            skipped: tally.skipped,
            failed: tally.failed,
            unprocessed: 0,
        }
    }
}
