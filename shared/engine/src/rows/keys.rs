//! The keys that rows name, accepted or not.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use penstock_model::{Body, Job, RecordFlaw, limits};

use super::{Cells, Faults, Finding, Records, each_that_is_held, refused};
use crate::plan::Plan;

/// A row that may name a record of which nobody can tell which one it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key of row {row} (line {line}) cannot be read: {reason}")]
pub struct Unreadable {
    /// The row, from 1.
    pub row: u64,
    /// The physical line on which it starts, from 1.
    pub line: u64,
    /// Why, for the owner of the file.
    pub reason: String,
}

/// Calls `take` with the canonical key of every row of a chunk, accepted or not, until it wants no more: then the
/// answer is what it says. The plan is a [keyed](Plan::keyed) one. Rows that are no records name nothing.
///
/// # Errors
/// [`Unreadable`]: the first row whose key cannot be read.
pub(crate) fn each_key<B>(
    plan: &mut Plan,
    job: &Job,
    records: &Records<'_>,
    take: impl FnMut(&str) -> ControlFlow<B>,
) -> Result<ControlFlow<B>, Unreadable> {
    if let Body::Refused(refusal) = records.chunk.body {
        let reason = match refusal {
            RecordFlaw::TooLarge => format!(
                "it has {} bytes, and no key is looked for in a row of more than {}",
                records.chunk.bytes,
                limits::NAMED_RECORD_BYTES
            ),
            _ => refused(refusal, records.chunk).message,
        };
        return Err(Unreadable { row: records.chunk.first_row, line: records.chunk.first_line, reason });
    }
    let (is_over, end) = (Cell::new(false), RefCell::new(Ok(ControlFlow::Continue(()))));
    let stop = |with| {
        is_over.set(true);
        *end.borrow_mut() = with;
    };
    let take = RefCell::new(take);
    let give = |key: &str| {
        if let wanted @ ControlFlow::Break(_) = (*take.borrow_mut())(key) {
            stop(Ok(wanted));
        }
    };
    let accept = |plan: &Plan, _, cells: &mut Cells<'_>| give(&plan.kind().key_of(cells));
    let reject = |plan: &Plan, row, line, cells: &Cells<'_>, faults: Faults| {
        if faults.findings.iter().any(Finding::is_of_no_record) {
            return;
        }
        match faults.findings.iter().find(|found| found.hides_key(plan, cells)) {
            None => give(&plan.kind().key_of(cells)),
            Some(found) => stop(Err(Unreadable { row, line, reason: found.message.clone() })),
        }
    };
    each_that_is_held(plan, job, records, true, || is_over.get(), accept, reject);
    end.into_inner()
}

impl Finding {
    /// Whether it says that the row is what programs write around records.
    fn is_of_no_record(&self) -> bool {
        matches!(self.code.as_str(), "repeated_header" | "separator_row")
    }

    /// Whether the key of a row with these good cells cannot be told, because of this finding. A finding of the row as
    /// a whole hides it. One of a field from which a part of the key is taken only hides it where the row does not say
    /// that part itself.
    fn hides_key(&self, plan: &Plan, cells: &Cells<'_>) -> bool {
        let kind = plan.kind();
        self.field.as_ref().is_none_or(|name| kind.index_of(name).is_none_or(|field| kind.key_needs(cells, field)))
    }
}
