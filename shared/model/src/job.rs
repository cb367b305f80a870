//! What every chunk of an import has in common.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Chunking, Grammar, ImportId, ImportOptions, KindName, Mode, ReadOptions, Stamp};

/// What is the same for every chunk of an import: all that a validator needs besides the rows. [`crate::Import::job`]
/// gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Whose import it is.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
    /// The import's place in the order of acceptance.
    pub order: u64,
    /// Whether no older import of the account and kind ran when this one was accepted.
    #[serde(default)]
    pub no_older_running: bool,
    /// Whether no record of the kind was known when the import was accepted: one that has to be made is made without
    /// being read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kind_was_empty: bool,
    /// The kind of its records.
    pub kind: KindName,
    /// The version of an account's own kind, from 1; 0 for a bundled kind.
    pub kind_version: u32,
    /// How the import is to be done.
    pub options: ImportOptions,
    /// How the file is cut.
    pub chunking: Chunking,
    /// How rows stand in the text.
    pub grammar: Grammar,
    /// How the file is read, as the import's layout has it pinned.
    #[serde(default, skip_serializing_if = "ReadOptions::is_empty")]
    pub reading: ReadOptions,
    /// The file's columns, where it names them.
    pub columns: Vec<String>,
}

impl Job {
    /// The job of a file of which nothing is stored: a dry run of an upsert by an import that runs alone.
    pub fn dry(
        account: AccountId,
        kind: KindName,
        options: &ImportOptions,
        grammar: Grammar,
        columns: Vec<String>,
    ) -> Self {
        Self {
            account,
            import: ImportId::new(0, [0; 10]),
            order: 1,
            no_older_running: true,
            kind_was_empty: false,
            kind,
            kind_version: 0,
            options: ImportOptions { mode: Mode::Upsert, dry_run: true, abort: None, ..options.clone() },
            chunking: Chunking::default(),
            grammar,
            reading: options.reading.clone(),
            columns,
        }
    }

    /// Whether the import is the first that makes records of its kind: a record that no earlier row of the file names
    /// does not exist.
    pub fn is_first_load(&self) -> bool {
        self.kind_was_empty && self.options.writes()
    }

    /// The stamp of a row of this import.
    pub fn stamp(&self, row: u64) -> Stamp {
        Stamp { order: self.order, row }
    }
}
