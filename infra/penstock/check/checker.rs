//! Checking one chunk.

use std::collections::BTreeMap;

use penstock_engine::{
    plan::{ChunkPlan, Plan},
    rows,
};
use penstock_model::{Body, Chunk, Job, RowError};
use penstock_report::rejected;

use super::sink::Wanted;
use crate::{follow::FIRST_ERRORS, terminal};

/// What a chunk holds, as far as it is wanted.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) rows: u64,
    pub(super) accepted: u64,
    pub(super) failed: u64,
    pub(super) codes: BTreeMap<String, u64>,
    /// The first errors.
    pub(super) first: Vec<RowError>,
    /// All errors, a JSON object a line.
    pub(super) errors: Vec<u8>,
    /// The rejected rows as their file has them, but for one that the chunk does not hold.
    pub(super) rejected: Vec<u8>,
    /// Where in the text stands a rejected row that the chunk does not hold, and how many bytes it has.
    pub(super) refused: Option<(u64, u64)>,
}

/// Checks chunks, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Checker {
    plan: ChunkPlan,
    job: Job,
}

impl Checker {
    pub(super) fn new(plan: Plan, job: Job) -> Self {
        Self { plan: ChunkPlan::new(plan), job }
    }

    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Checks a chunk's rows. The same chunk always gives the same answer.
    pub(super) fn check(&mut self, chunk: &Chunk, wanted: Wanted) -> Checked {
        let records = rows::Records::of(&self.job, chunk);
        let rows::Checked { accepted, mut errors } = rows::check(self.plan.for_next(), &self.job, &records);
        if errors.is_empty() {
            return Checked { rows: accepted, accepted, ..Checked::default() };
        }
        let failed = errors.chunk_by(|a, b| a.row == b.row).count() as u64;
        let mut checked = Checked { rows: accepted + failed, accepted, failed, ..Checked::default() };
        for error in &errors {
            match checked.codes.get_mut(&error.code) {
                Some(count) => *count += 1,
                None => drop(checked.codes.insert(error.code.clone(), 1)),
            }
        }
        if wanted.errors {
            for error in &errors {
                let line = terminal::json_line(error).expect("an error is written to memory");
                checked.errors.extend(line.as_bytes());
                checked.errors.push(b'\n');
            }
        }
        if wanted.rejected {
            self.reject(chunk, &errors, &mut checked);
        }
        errors.truncate(FIRST_ERRORS);
        checked.first = errors;
        checked
    }

    fn reject(&self, chunk: &Chunk, errors: &[RowError], checked: &mut Checked) {
        let Job { grammar, columns, .. } = &self.job;
        let mut rejected = errors.chunk_by(|a, b| a.row == b.row).peekable();
        match &chunk.body {
            Body::Rows(bytes) => {
                rows::for_each_record(*grammar, chunk.first_row, chunk.first_line, bytes, |record| {
                    if let Some(errors) = rejected.next_if(|errors| errors[0].row == record.row) {
                        rejected::row(*grammar, columns, errors, &record, &mut checked.rejected);
                    }
                });
            }
            Body::Refused(_) => {
                rejected.for_each(|errors| rejected::reasons(*grammar, errors, &mut checked.rejected));
                checked.refused = Some((chunk.offset, chunk.bytes));
            }
        }
    }
}
