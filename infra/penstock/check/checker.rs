//! Checking one chunk.

use std::sync::Arc;

use penstock_engine::{
    plan::{ChunkPlan, Plan},
    rejected::Form,
    rows,
};
use penstock_model::{Body, Chunk, Job, RowError};

use super::found::{CheckedChunk, Errors, RefusedRow, Wanted};
use crate::terminal;

/// Checks chunks, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Checker {
    plan: ChunkPlan,
    job: Job,
    form: Arc<Form>,
}

impl Checker {
    /// A checker of chunks of a file that is read by this plan. Its rejected rows are written in this form.
    pub(super) fn new(plan: Plan, job: Job, form: Form) -> Self {
        Self { plan: ChunkPlan::new(plan), job, form: Arc::new(form) }
    }

    pub(super) fn form(&self) -> &Arc<Form> {
        &self.form
    }

    /// Checks a chunk's rows. The same chunk always gives the same answer.
    pub(super) fn check(&mut self, chunk: &Chunk, wanted: Wanted) -> CheckedChunk {
        let records = rows::Records::of(&self.job, chunk);
        let rows::Validated { accepted, errors } = rows::check(self.plan.for_next(), &self.job, &records);
        if errors.is_empty() {
            return CheckedChunk { rows: accepted, accepted, ..CheckedChunk::default() };
        }
        let failed = RowError::by_row(&errors).count() as u64;
        let mut checked = CheckedChunk { rows: accepted + failed, accepted, failed, ..CheckedChunk::default() };
        for error in &errors {
            match checked.codes.get_mut(&error.code) {
                Some(count) => *count += 1,
                None => drop(checked.codes.insert(error.code.clone(), 1)),
            }
        }
        if wanted.errors {
            for error in &errors {
                let line = terminal::json_line(error).expect("an error is written to memory");
                checked.lines.extend(line.as_bytes());
                checked.lines.push(b'\n');
            }
        }
        if wanted.rejected {
            self.reject(chunk, &errors, &mut checked);
        }
        checked.errors = Errors::of(chunk.index, &errors);
        checked
    }

    fn reject(&self, chunk: &Chunk, errors: &[RowError], checked: &mut CheckedChunk) {
        let mut rejected = RowError::by_row(errors).peekable();
        match &chunk.body {
            Body::Rows(bytes) => {
                rows::for_each_record(&self.job, chunk.first_row, chunk.first_line, bytes, |record| {
                    if let Some(errors) = rejected.next_if(|errors| errors[0].row == record.row) {
                        self.form.row(errors, &record, &mut checked.rejected);
                    }
                });
            }
            Body::Refused(_) => {
                checked.refused =
                    Some(RefusedRow { offset: chunk.offset, bytes: chunk.bytes, errors: errors.to_vec() });
            }
        }
    }
}
