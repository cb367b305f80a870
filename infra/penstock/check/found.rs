//! What a check finds: in a chunk, and in the whole file.

use std::collections::BTreeMap;

use penstock_client::ErrorSummary;
use penstock_model::{
    ErrorCounts, ErrorCursor, RowError,
    limits::{ERROR_EXAMPLES, SUMMED_ERRORS},
};
use serde::Serialize;

use crate::groups::SHOWN_ERRORS;

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
    pub(super) errors: Errors,
}

/// Errors by their kinds, as the service counts them, with those that are shown.
#[derive(Debug, Default)]
pub(super) struct Errors {
    counts: ErrorCounts,
    /// Those that stand at the places of the counts, and some that did.
    examples: BTreeMap<ErrorCursor, RowError>,
    /// The first ones, whatever their kind.
    pub(super) first: Vec<RowError>,
}

impl Errors {
    /// Those of a chunk.
    pub(super) fn of(chunk: u32, errors: &[RowError]) -> Self {
        let counts = ErrorCounts::of(chunk, &[errors]);
        let examples = counts.places().into_iter().map(|at| (at, errors[at.index].clone())).collect();
        Self { counts, examples, first: errors.iter().take(SHOWN_ERRORS).cloned().collect() }
    }

    /// Takes those that come behind these in the file.
    pub(super) fn extend(&mut self, behind: Self) {
        self.counts.add(behind.counts);
        self.examples.extend(behind.examples);
        let room = SHOWN_ERRORS - self.first.len();
        self.first.extend(behind.first.into_iter().take(room));
        if self.examples.len() > 2 * SUMMED_ERRORS * ERROR_EXAMPLES {
            let places = self.counts.places();
            self.examples.retain(|at, _| places.contains(at));
        }
    }

    /// What the service would say of them.
    pub(super) fn summary(&self) -> ErrorSummary {
        let mut counts = self.counts.clone();
        counts.keep_most();
        ErrorSummary::of(counts, &self.examples)
    }
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
    pub(super) errors: Errors,
    /// All errors, a JSON object a line.
    pub(super) lines: Vec<u8>,
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
