//! What a check finds: in a chunk, and in the whole file.

use std::collections::BTreeMap;

use penstock_model::RowError;
use serde::Serialize;

use crate::groups::Groups;

/// What is wanted beside counts and first errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Every error, on standard output.
    pub(super) errors: bool,
    /// The rejected rows.
    pub(super) rejected: bool,
}

/// What was found in a file.
#[derive(Default)]
pub(super) struct Found {
    pub(super) rows: RowCounts,
    pub(super) codes: BTreeMap<String, u64>,
    pub(super) groups: Groups,
}

/// How many rows there are, and what becomes of them.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct RowCounts {
    pub(super) total: u64,
    pub(super) accepted: u64,
    pub(super) failed: u64,
}

/// What was found in a chunk, as far as it is wanted.
#[derive(Debug, Default)]
pub(super) struct CheckedChunk {
    pub(super) rows: u64,
    pub(super) accepted: u64,
    pub(super) failed: u64,
    pub(super) codes: BTreeMap<String, u64>,
    /// The errors by their kinds.
    pub(super) groups: Groups,
    /// All errors, a JSON object a line.
    pub(super) errors: Vec<u8>,
    /// The rejected rows as their file has them, but for one that the chunk does not hold.
    pub(super) rejected: Vec<u8>,
    /// A rejected row that the chunk does not hold.
    pub(super) refused: Option<RefusedRow>,
}

/// A rejected row that is too long to be held, or cannot be trusted.
#[derive(Debug)]
pub(super) struct RefusedRow {
    /// Where in the text it stands.
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) errors: Vec<RowError>,
}
