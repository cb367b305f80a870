//! Imports and rejected rows, as the dialects show them.

use penstock_engine::key;
use penstock_model::{Import, RowError};
use penstock_store::{Store, StoreError};

/// The current counts of an import, in rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Rows of the file; `None` until they are counted, by the api or by the splitter.
    pub(super) counted: Option<u64>,
    pub(super) processed: u64,
    pub(super) created: u64,
    /// Rows whose record was there. A row that repeats what its record holds has updated it, as far as its sender is
    /// concerned.
    pub(super) updated: u64,
    pub(super) failed: u64,
}

impl Counts {
    pub(super) async fn of(store: &Store, import: &Import) -> Result<Self, StoreError> {
        let rows = store.rows(import).await?;
        Ok(Self {
            counted: import.counted.or(rows.total),
            processed: rows.processed,
            created: rows.created,
            updated: rows.updated + rows.unchanged,
            failed: rows.failed,
        })
    }

    /// Rows of the file, as far as they are known: the processed ones until all are counted.
    pub(super) fn total(&self) -> u64 {
        self.counted.unwrap_or(self.processed)
    }

    /// Rows that did not fail.
    pub(super) fn succeeded(&self) -> u64 {
        self.processed - self.failed
    }
}

/// The content of the one key field of a rejected row, as the file has it.
pub(super) fn key_cell(errors: &[RowError]) -> Option<String> {
    errors.first()?.key.as_deref().map(key::unescaped)
}
