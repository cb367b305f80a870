//! An import: what was asked for, how far it is, how it ended.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, Actor, ErrorCursor, Format, Grammar, ImportId, InboxFile, Job, KindName, Layout, PartsUpload,
    PresetName, ReadOptions, Rows, ShortRows, Stamp, Tally, WebhookId, again, codes,
    digest::{Built, Digests, Source},
    limits,
    replace::{Everything, ToRemove},
    review::JudgedAt,
};

/// Where an import stands. The last five are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing has been uploaded yet.
    AwaitingUpload,
    /// The upload is being split and its rows applied, or waits for its turn, or records are removed.
    Processing,
    /// It waits to be told: its rows are applied, and it would remove more records than its guard lets pass; or it is a
    /// review, and its rows are judged.
    AwaitingConfirmation,
    /// Every row was applied.
    Completed,
    /// Every row was looked at; some were rejected.
    CompletedWithErrors,
    /// The import ended early; `failure` says why.
    Failed,
    /// Its owner cancelled it.
    Cancelled,
    /// Nothing was uploaded in time.
    Expired,
}

impl Status {
    /// Every one.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::AwaitingUpload,
        Self::Processing,
        Self::AwaitingConfirmation,
        Self::Completed,
        Self::CompletedWithErrors,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Whether nothing more will happen to the import.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::AwaitingUpload | Self::Processing | Self::AwaitingConfirmation)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingUpload => "awaiting_upload",
            Self::Processing => "processing",
            Self::AwaitingConfirmation => "awaiting_confirmation",
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// Why an import ended early: a permanent failure, told to its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// A stable word for programs, such as `missing_column`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::codes::failures())))]
    pub code: String,
    /// A sentence for people that names place and limit.
    pub message: String,
}

impl Failure {
    /// A failure with a code, which is one of [`codes`](crate::codes), and a sentence.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        debug_assert!(codes::is_failure(code), "{code} is not the code of a failure");
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// What a row does to a record that is already there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Sets the fields that it has.
    #[default]
    Upsert,
    /// Nothing: only new records are made.
    Create,
    /// Sets the fields that hold nothing.
    Fill,
    /// What [`Mode::Upsert`] does; and behind the last row every record that the file does not name is removed, see
    /// [`crate::replace`].
    Replace,
}

impl Mode {
    /// What the mode means to one row: a replace is an upsert, and whoever applies rows knows no other.
    pub fn of_rows(self) -> Self {
        match self {
            Self::Replace => Self::Upsert,
            other => other,
        }
    }
}

/// What an empty cell says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EmptyCells {
    /// Nothing: the field stays as it is.
    #[default]
    Keep,
    /// That the field shall hold nothing. In the mode [`Mode::Fill`], which empties nothing, it is
    /// [`EmptyCells::Keep`].
    Clear,
}

/// Stops an import whose first rows are bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Abort {
    /// The threshold judges this many rows, from the first: 1 to [`crate::limits::ABORT_ROWS`].
    pub rows: u64,
    /// The import fails once more than this share of them is rejected, in percent: 0 to 99.
    pub percent: u8,
}

impl Abort {
    /// The order to end early, if `failed` rejected rows among the first [`Abort::rows`] are too many.
    pub fn halt(&self, failed: u64) -> Option<Halt> {
        let exceeded = failed * 100 > self.rows * u64::from(self.percent);
        let message = || {
            format!(
                "{failed} of the first {} rows were rejected, the limit is {} %; nothing further was begun",
                self.rows, self.percent
            )
        };
        exceeded.then(|| Halt::failed(Failure::new("too_many_rejected", message())))
    }
}

/// How an import is to be done, as its creator chose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "AllOptions")]
pub struct ImportOptions {
    /// The byte between two cells; detected when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Whether a quote at the start of a cell opens a quoted one; it does when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoting: Option<bool>,
    /// The encoding of the text, by any label of the WHATWG Encoding Standard; detected when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// The sheet of a workbook; the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The field of the kind for each column that is named here. The other columns are matched by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mapping: BTreeMap<String, String>,
    /// What rows do to records that are there.
    #[serde(default)]
    pub mode: Mode,
    /// What empty cells say.
    #[serde(default)]
    pub empty_cells: EmptyCells,
    /// Whether rows are judged against the stored catalogue alone and nothing is written.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether rows are judged against the stored catalogue and one another, and nothing is written until that is
    /// confirmed: see [`crate::review`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
    /// When to stop early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
    /// How many of the records that were there a [`Mode::Replace`] may remove without being confirmed, in percent: 0 to
    /// 100, [`limits::MOST_REMOVED_PERCENT`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_removed_percent: Option<u8>,
    /// Whether every row is read and applied, also one that says again what was said last of its record: for a table
    /// that was written by other means. See [`crate::digest`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// How the file is read, where its kind or its content does not say so.
    #[serde(flatten)]
    pub reading: ReadOptions,
}

/// The options as they are read, side by side: so a member that is none is refused with the names of those that are.
/// Each may be `null`, which is its default.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "NewImportOptions"))]
#[serde(default, deny_unknown_fields, expecting = "an object")]
pub(crate) struct AllOptions {
    delimiter: Option<char>,
    quoting: Option<bool>,
    encoding: Option<String>,
    sheet: Option<String>,
    mapping: Option<BTreeMap<String, String>>,
    mode: Option<Mode>,
    empty_cells: Option<EmptyCells>,
    dry_run: Option<bool>,
    review: Option<bool>,
    abort: Option<Abort>,
    most_removed_percent: Option<u8>,
    force: Option<bool>,
    decimal_char: Option<char>,
    group_char: Option<char>,
    date_format: Option<String>,
    true_values: Option<Vec<String>>,
    false_values: Option<Vec<String>>,
    header_line: Option<u64>,
    comment: Option<char>,
    escape: Option<char>,
    short_rows: Option<ShortRows>,
    rows_at: Option<String>,
}

impl From<AllOptions> for ImportOptions {
    fn from(all: AllOptions) -> Self {
        let reading = ReadOptions {
            decimal_char: all.decimal_char,
            group_char: all.group_char,
            date_format: all.date_format,
            true_values: all.true_values.unwrap_or_default(),
            false_values: all.false_values.unwrap_or_default(),
            header_line: all.header_line,
            comment: all.comment,
            escape: all.escape,
            short_rows: all.short_rows,
            rows_at: all.rows_at,
        };
        Self {
            delimiter: all.delimiter,
            quoting: all.quoting,
            encoding: all.encoding,
            sheet: all.sheet,
            mapping: all.mapping.unwrap_or_default(),
            mode: all.mode.unwrap_or_default(),
            empty_cells: all.empty_cells.unwrap_or_default(),
            dry_run: all.dry_run.unwrap_or_default(),
            review: all.review.unwrap_or_default(),
            abort: all.abort,
            most_removed_percent: all.most_removed_percent,
            force: all.force.unwrap_or_default(),
            reading,
        }
    }
}

impl ImportOptions {
    /// Whether rows change the catalogue.
    pub fn writes(&self) -> bool {
        !self.dry_run && !self.review
    }
}

/// The stored object that an import reads, pinned when the upload is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Its version, where the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Its size in bytes.
    pub bytes: u64,
}

impl StoredObject {
    /// Whether both are the same upload: the same version where both have one, else the same ETag.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.version, &other.version) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => self.etag == other.etag,
        }
    }
}

/// How a file is cut, pinned when its import is created: splitting again must give the same chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunking {
    /// Bytes of rows in one chunk, at most.
    pub bytes: usize,
    /// Rows in one chunk, at most.
    pub rows: u64,
    /// Chunks whose fates and tallies share one block.
    pub per_block: u32,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { bytes: limits::CHUNK_BYTES, rows: limits::CHUNK_ROWS, per_block: limits::BLOCK_CHUNKS }
    }
}

impl Chunking {
    /// The block to which a chunk belongs.
    pub fn block_of(&self, chunk: u32) -> u32 {
        chunk / self.per_block
    }

    /// Chunks between two checkpoints.
    pub fn per_checkpoint(&self) -> u32 {
        (self.per_block / 4).max(1)
    }
}

/// Where a splitter continues: everything before this place has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The next chunk, from 0.
    pub chunk: u32,
    /// The byte at which it starts.
    pub offset: u64,
    /// The data row with which it starts, from 1.
    pub row: u64,
    /// The physical line at which it starts, from 1.
    pub line: u64,
}

impl Checkpoint {
    /// The start of a file.
    pub const START: Self = Self { chunk: 0, offset: 0, row: 1, line: 1 };
}

/// An order to end early: no chunk begins any more, those that have begun are finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// [`Status::Cancelled`] or [`Status::Failed`].
    pub status: Status,
    /// Why, for a failed import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// The rejected rows file of an ended import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its key in the results bucket.
    pub key: String,
    /// How many rows it holds.
    pub rows: u64,
}

/// How far the writer of a rejected rows file is, where one invocation is not enough for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportCheckpoint {
    /// The multipart upload that its parts belong to.
    pub upload: String,
    /// By what that upload's file is known.
    pub mark: String,
    /// When the first invocation began, in Unix milliseconds.
    pub begun_at: i64,
    /// How many parts are stored.
    pub parts: u32,
    /// The part of the import's errors that comes next.
    pub next: ErrorCursor,
    /// How many rows are written.
    pub rows: u64,
}

/// An import as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// Whose it is.
    pub account: AccountId,
    /// The kind of its records.
    pub kind: KindName,
    /// Where it stands.
    pub status: Status,
    /// When it was created, in Unix milliseconds.
    pub created_at: i64,
    /// The last moment to upload by the upload URL, in Unix milliseconds. [`Import::deadline`] is that of whatever way
    /// the file takes.
    pub expires_at: i64,
    /// Its upload in parts, the newest if several were begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsUpload>,
    /// When its upload was accepted, in Unix milliseconds. Its lags are counted from this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<i64>,
    /// When it ended, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<i64>,
    /// What its creator called the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// The version of an account's own kind, from 1; 0 for a bundled kind.
    #[serde(default)]
    pub kind_version: u32,
    /// What its creator says the file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// How it is to be done.
    #[serde(default)]
    pub options: ImportOptions,
    /// Its place in the order of acceptance; 0 until it is accepted.
    #[serde(default)]
    pub order: u64,
    /// Whether no older import of its account and kind ran when this one was accepted. Then every row that is applied
    /// later and belongs before one of its rows is a row of this import too.
    #[serde(default)]
    pub no_older_running: bool,
    /// Whether no record of its kind was known when this one was accepted.
    #[serde(default)]
    pub kind_was_empty: bool,
    /// The digests of its kind that held when this one was accepted, until it ends.
    #[serde(default, skip_serializing_if = "Digests::is_empty")]
    pub digests: Digests,
    /// The set of its file's columns; `None` until they have been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The digest that its splitter has written, if it read the whole file in one go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Built>,
    /// The upload; `None` until it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<StoredObject>,
    /// The detected format, encoding and packing of the upload; `None` until they are detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// The file's columns; `None` until its header has been read, and for a file without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The columns that no field is named after.
    #[serde(default)]
    pub ignored_columns: Vec<String>,
    /// Notes that its rows add to those of its layout.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub notes: BTreeSet<String>,
    /// How its file is cut.
    #[serde(default)]
    pub chunking: Chunking,
    /// How far the splitter is.
    pub checkpoint: Checkpoint,
    /// Blocks that exist.
    #[serde(default)]
    pub opened_blocks: u32,
    /// Data rows of the file; `None` until splitting has ended. From then on no further block is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Data rows that the api counted while it received the file, for dialects that answer with their number; the
    /// splitter's count is `total`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u64>,
    /// Blocks whose sums are in `noted_tally`.
    #[serde(default)]
    pub noted_blocks: Vec<u32>,
    /// The sums of the noted blocks.
    #[serde(default)]
    pub noted_tally: Tally,
    /// An order to end early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<Halt>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The final counts of an ended import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// The rejected rows file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// How far the writer of that file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_at: Option<ReportCheckpoint>,
    /// The chunk at which its checkpoint stood when its splitter was last dead-lettered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_died_at: Option<u32>,
    /// Splits of its file that have begun: each names how far splitting was ([`Import::split_stands`]) and itself,
    /// `<stands>:<split>`. One that stopped for a reason that passes is taken off again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub split_begun: BTreeSet<String>,
    /// What the sweeper saw when it last looked: how far the splitter was, and how many rows were accounted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_swept: Option<String>,
    /// The import at the gate of its kind that its upload waits for; its own id until it has been looked whether there
    /// is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<ImportId>,
    /// Where it is no file's but an order to remove all records of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everything: Option<Everything>,
    /// What a replace would remove, once that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_remove: Option<ToRemove>,
    /// Until when it may be confirmed, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<i64>,
    /// What the order of its kind was when the rows of a review began to be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_at: Option<JudgedAt>,
    /// The import that applies what a review has judged, since that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_as: Option<ImportId>,
    /// The place in the order that its removal took when it was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<u64>,
    /// The stamp of its tombstones, once its removal is decided: place and row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removes: Option<(u64, u64)>,
    /// Records that it removed, at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
    /// Counts of its removal that have begun, as [`Import::split_begun`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub count_begun: BTreeSet<String>,
    /// The stored upload of another import, where it reads that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<again::Source>,
    /// The imports that read its upload and may yet do so.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub readers: BTreeSet<ImportId>,
    /// Who created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Actor>,
    /// Who confirmed what it removes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<Actor>,
    /// Who cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<Actor>,
    /// When its upload was found while the gate of its kind was taken, in Unix milliseconds; that of one that did not
    /// wait is [`Import::accepted_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_at: Option<i64>,
    /// When the first split of its file began, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_began_at: Option<i64>,
    /// When its file had been split, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_ended_at: Option<i64>,
    /// When the first chunk was tallied of the block that was noted first, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_began_at: Option<i64>,
    /// When its last block was noted so far, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_ended_at: Option<i64>,
    /// When what it removes was confirmed, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<i64>,
    /// When it was ordered to end early, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted_at: Option<i64>,
    /// The import whose rejected rows its file has, mended; see [`crate::story`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<ImportId>,
    /// The first import of the story that it belongs to, once it corrects another one or is corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story: Option<ImportId>,
    /// The preset that its options are of, where they were not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<PresetName>,
    /// The file of the inbox that is its upload, where it came so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<InboxFile>,
    /// What its events carry, as its creator chose.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The endpoint that is told its events, whatever that asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookId>,
}

impl Import {
    /// An import with the default options that awaits its upload from `created_at` to `expires_at`, in Unix
    /// milliseconds.
    pub fn new(id: ImportId, account: AccountId, kind: KindName, created_at: i64, expires_at: i64) -> Self {
        Self {
            id,
            account,
            kind,
            status: Status::AwaitingUpload,
            created_at,
            expires_at,
            parts: None,
            accepted_at: None,
            completed_at: None,
            filename: None,
            kind_version: 0,
            format: None,
            options: ImportOptions::default(),
            order: 0,
            no_older_running: false,
            kind_was_empty: false,
            digests: Digests::new(),
            source: None,
            digest: None,
            object: None,
            layout: None,
            columns: None,
            ignored_columns: Vec::new(),
            notes: BTreeSet::new(),
            chunking: Chunking::default(),
            checkpoint: Checkpoint::START,
            opened_blocks: 0,
            total: None,
            counted: None,
            noted_blocks: Vec::new(),
            noted_tally: Tally::default(),
            halt: None,
            failure: None,
            rows: None,
            report: None,
            report_at: None,
            split_died_at: None,
            split_begun: BTreeSet::new(),
            last_swept: None,
            waiting_for: None,
            everything: None,
            to_remove: None,
            held_until: None,
            judged_at: None,
            confirmed_as: None,
            confirmed: None,
            removes: None,
            removed: None,
            count_begun: BTreeSet::new(),
            from: None,
            readers: BTreeSet::new(),
            created_by: None,
            confirmed_by: None,
            cancelled_by: None,
            found_at: None,
            split_began_at: None,
            split_ended_at: None,
            rows_began_at: None,
            rows_ended_at: None,
            confirmed_at: None,
            halted_at: None,
            corrects: None,
            story: None,
            preset: None,
            inbox: None,
            metadata: BTreeMap::new(),
            webhook: None,
        }
    }

    /// How far splitting is: a text that is another one after every step of it that lasts.
    pub fn split_stands(&self) -> String {
        let has_layout = if self.layout.is_some() { "read" } else { "unread" };
        format!("{}.{}.{has_layout}", self.checkpoint.chunk, self.opened_blocks)
    }

    /// How many splits have begun where splitting stands now, and got no further as far as is known.
    pub fn splits_begun_here(&self) -> usize {
        let here = self.split_stands();
        let began_here = |entry: &&String| entry.rsplit_once(':').is_some_and(|(stands, _)| stands == here);
        self.split_begun.iter().filter(began_here).count()
    }

    /// Why an import fails whose splits begin and get no further.
    pub fn split_failure(&self) -> Failure {
        Failure::new(
            "split_failed",
            format!(
                "the file could not be read beyond row {}: reading it was begun {} times and ended the program each \
                 time, or took longer than it may; save the file anew, as CSV, or send it in parts",
                self.checkpoint.row - 1,
                limits::SPLIT_TRIES
            ),
        )
    }

    /// Whether rows of an import that has ended, or of a review that is judged, were rejected, so that there is a file
    /// of them to write.
    pub fn has_rejected_rows(&self) -> bool {
        self.rows.is_some_and(|rows| rows.failed > 0)
    }

    /// Whether the import's rejected rows file is still to be written.
    pub fn owes_report(&self) -> bool {
        self.has_rejected_rows() && self.report.is_none()
    }

    /// How rows stand in the import's text. Before that is known there are none.
    pub fn grammar(&self) -> Grammar {
        self.layout.as_ref().map_or(Grammar::CSV, |layout| layout.grammar)
    }

    /// What the import's chunks have in common.
    pub fn job(&self) -> Job {
        Job {
            account: self.account.clone(),
            import: self.id.clone(),
            order: if self.is_review() { Stamp::LAST_ORDER } else { self.order },
            no_older_running: self.no_older_running,
            kind_was_empty: self.kind_was_empty,
            kind: self.kind.clone(),
            kind_version: self.kind_version,
            options: ImportOptions {
                mode: self.options.mode.of_rows(),
                most_removed_percent: None,
                force: false,
                ..self.options.clone()
            },
            chunking: self.chunking,
            grammar: self.grammar(),
            reading: self.layout.as_ref().map(|layout| layout.reading.clone()).unwrap_or_default(),
            columns: self.columns.clone().unwrap_or_default(),
        }
    }
}
