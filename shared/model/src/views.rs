//! The JSON of the native API: what it shows, which its client reads, and the bodies that it takes.
//!
//! With the feature `schema` each has a JSON Schema, of which the API's document is made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    AccountRemovalStage, Actor, Compression, DeliveryState, DisabledFor, ErrorCount, ErrorCounts, ErrorCursor,
    EventMessage, EventType, ExportCompression, ExportFormat, ExportStatus, Failure, Format, Grammar, ImportOptions,
    Layout, RemovedCounts, RowError, RowRange, Rows, Scope, SignatureStyle, Status, Value, cost::CostEstimate, remedy,
    story::StorySum,
};

/// What an import is asked for with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// The kind of its records.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[a-z0-9-]{1,64}$")))]
    pub kind: Option<String>,
    /// The id of an import whose upload it reads: nothing is uploaded. The kind is that import's unless one is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The id of an import whose rejected rows its file has, mended. The kind is that import's unless one is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<String>,
    /// The preset whose kind and options it has, where none are given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[a-z0-9-]{1,64}$")))]
    pub preset: Option<String>,
    /// What its file is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What its file is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::FILENAME_CHARS)))]
    pub filename: Option<String>,
    /// The size of its file in bytes. Not with `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = crate::limits::UPLOAD_BYTES)))]
    pub size: Option<u64>,
    /// How it is to be done.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "crate::import::AllOptions"))]
    pub options: ImportOptions,
    /// What its events carry, as names and texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("maxProperties" = crate::limits::METADATA_KEYS)))]
    pub metadata: BTreeMap<String, String>,
    /// The id of an endpoint that is told its events, whatever that asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// The options that take the place of the preset's although they hold their defaults.
    #[serde(skip)]
    pub named: BTreeSet<&'static str>,
}

impl NewImport {
    /// The body of the request: without the options that would take the place of its preset's and say nothing.
    ///
    /// # Errors
    /// There is no way to write it.
    pub fn body(&self) -> Result<serde_json::Value, serde_json::Error> {
        let mut body = serde_json::to_value(self)?;
        if self.preset.is_some() {
            let default = |name: &&str| ((*name).to_owned(), serde_json::Value::Null);
            let mut options: serde_json::Map<_, _> = self.named.iter().map(default).collect();
            options.extend(self.options.said());
            body["options"] = options.into();
        }
        Ok(body)
    }
}

/// What a preset is put as.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPreset {
    /// The kind of the records of its imports.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[a-z0-9-]{1,64}$")))]
    pub kind: String,
    /// How its imports are done.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "crate::import::AllOptions"))]
    pub options: ImportOptions,
}

/// A preset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// The kind of the records of its imports.
    pub kind: String,
    /// How its imports are done.
    pub options: ImportOptions,
    /// When it was put, in RFC 3339.
    pub put_at: String,
    /// Who put it.
    pub put_by: Actor,
}

impl From<crate::Preset> for Preset {
    fn from(preset: crate::Preset) -> Self {
        let crate::Preset { name, kind, options, put_at, put_by } = preset;
        Self { name: name.into(), kind: kind.into(), options, put_at: crate::rfc3339(put_at), put_by }
    }
}

/// One line of the list of presets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PresetLine {
    /// Its name.
    pub name: String,
    /// The kind of the records of its imports.
    pub kind: String,
    /// When it was put, in RFC 3339.
    pub put_at: String,
}

/// A page of presets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PresetPage {
    /// The presets, by name.
    pub presets: Vec<PresetLine>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

/// What an import is confirmed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, expecting = "an object")]
pub struct Confirm {
    /// Whether a review is applied although the catalogue may have changed since its rows were judged.
    pub even_if_moved: bool,
}

/// What an export is ordered with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewExport {
    /// The kind of its records.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[a-z0-9-]{1,64}$")))]
    pub kind: String,
    /// How records stand in its file.
    #[serde(default)]
    pub format: ExportFormat,
    /// How the file is compressed.
    #[serde(default)]
    pub compression: ExportCompression,
    /// The id of an import: only records that were changed, or deleted, after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_after: Option<String>,
}

/// An export.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Export {
    /// Its id.
    pub id: String,
    /// The kind of its records.
    pub kind: String,
    /// The version of an account's own kind.
    pub kind_version: Option<u32>,
    /// How records stand in its file.
    pub format: ExportFormat,
    /// How the file is compressed.
    pub compression: ExportCompression,
    /// The import after which a record was changed.
    pub changed_after: Option<String>,
    /// Where it stands.
    pub status: ExportStatus,
    /// When it was created, in RFC 3339.
    pub created_at: String,
    /// When it ended, in RFC 3339.
    pub ended_at: Option<String>,
    /// Until when it and its file are kept, in RFC 3339.
    pub retained_until: Option<String>,
    /// Records in the file so far.
    pub records: u64,
    /// Lines that say of a record that it was deleted.
    pub deleted: u64,
    /// Records that an import of the file would not read as they are.
    pub inexact: u64,
    /// Bytes of the file so far.
    pub bytes: u64,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Where the file is, once it is there and as long as it is kept.
    pub url: Option<String>,
    /// Until when that can be asked, in RFC 3339.
    pub url_expires_at: Option<String>,
}

/// A page of exports.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExportPage {
    /// The exports, newest first.
    pub exports: Vec<Export>,
    /// The cursor of the next page, if there is one.
    pub next_cursor: Option<String>,
}

/// An import.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Import {
    /// Its id.
    pub id: String,
    /// The kind of its records.
    pub kind: String,
    /// Where it stands.
    pub status: Status,
    /// When it was created, in RFC 3339.
    pub created_at: String,
    /// The last moment to upload, in RFC 3339.
    pub expires_at: String,
    /// When it ended, in RFC 3339.
    pub completed_at: Option<String>,
    /// Until when it is kept, with its errors and its rejected rows, in RFC 3339, and longer while another import reads
    /// what was uploaded to it; none while it has not ended.
    #[serde(default)]
    pub retained_until: Option<String>,
    /// The import whose upload it reads, where nothing was uploaded to it.
    #[serde(default)]
    pub from: Option<String>,
    /// The import that it corrects.
    #[serde(default)]
    pub corrects: Option<String>,
    /// Until when what was uploaded is kept, in RFC 3339, unless the import that it was uploaded to is deleted; none
    /// before that is accepted.
    #[serde(default)]
    pub source_expires_at: Option<String>,
    /// What its file is called.
    pub filename: Option<String>,
    /// The version of an account's own kind.
    pub kind_version: Option<u32>,
    /// What its creator says the file is.
    pub format: Option<Format>,
    /// How it is done.
    pub options: ImportOptions,
    /// The preset that its options are of, where they were not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// What its events carry, as its creator chose.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The endpoint that is told its events, whatever that asks for.
    #[serde(default)]
    pub webhook: Option<String>,
    /// What the upload turned out to be, once it has been looked at.
    pub detected: Option<Detected>,
    /// The file's columns, once its header has been read.
    pub columns: Option<Vec<String>>,
    /// The columns that no field is named after.
    pub ignored_columns: Vec<String>,
    /// Its rows so far.
    pub rows: Rows,
    /// The status in which it is about to end, when it was cancelled or failed.
    pub ending: Option<Status>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Records that it removed, or has removed so far.
    #[serde(default)]
    pub removed: u64,
    /// Records that it would remove, or was to, once that is counted.
    #[serde(default)]
    pub to_remove: Option<u64>,
    /// Until when that, or what a review has judged, can be confirmed, in RFC 3339.
    #[serde(default)]
    pub confirm_until: Option<String>,
    /// The import that applies what a review has judged, since that was confirmed.
    #[serde(default)]
    pub confirmed_as: Option<String>,
    /// The import that its upload waits for.
    #[serde(default)]
    pub waiting_for: Option<String>,
    /// Notes of an import without a file; those of others stand in `detected`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Its rejected rows file, once it is there.
    pub rejected: Option<Rejected>,
    /// Who created it; none for one that was created by a version that did not note it.
    #[serde(default)]
    pub created_by: Option<Actor>,
    /// Who confirmed what it removes.
    #[serde(default)]
    pub confirmed_by: Option<Actor>,
    /// Who cancelled it.
    #[serde(default)]
    pub cancelled_by: Option<Actor>,
    /// When it came to its stages.
    #[serde(default)]
    pub times: Times,
    /// What its rows have cost, as an estimate, once it has ended.
    #[serde(default)]
    pub cost: Option<CostEstimate>,
    /// How to upload the file by one PUT, right after creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// How to upload the file from a browser's form, right after creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
}

/// When an import came to its stages beside its creation and its end, in RFC 3339. None for a stage that it has not
/// come to or does not have, and for one that was made by a version that did not note it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Times {
    /// When its upload was found.
    pub uploaded_at: Option<String>,
    /// When it took its place in the order of imports: after its upload, and later where that waited.
    pub accepted_at: Option<String>,
    /// When splitting its file began.
    pub split_began_at: Option<String>,
    /// When its file had been split.
    pub split_ended_at: Option<String>,
    /// When its first rows were accounted for. Of a large file chunks are noted 64 at a time; it is told when the first
    /// of them are.
    pub rows_began_at: Option<String>,
    /// When its last rows were accounted for, or the last that are noted so far.
    pub rows_ended_at: Option<String>,
    /// When what it removes was confirmed.
    pub confirmed_at: Option<String>,
    /// When it was cancelled, or found to fail, while it ran.
    pub halted_at: Option<String>,
}

/// What an upload turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Detected {
    /// Its format.
    pub format: Format,
    /// What it is packed in.
    pub compression: Option<Compression>,
    /// The encoding of its text.
    pub encoding: String,
    /// The byte between two cells.
    pub delimiter: Option<char>,
    /// Whether a quote at the start of a cell opens a quoted one.
    pub quoting: Option<bool>,
    /// The sheet of a workbook.
    pub sheet: Option<String>,
    /// Where content, declaration and name contradict one another, and how text was read that is not UTF-8.
    pub notes: Vec<String>,
}

impl From<Layout> for Detected {
    fn from(layout: Layout) -> Self {
        let (delimiter, quoting) = match layout.grammar {
            Grammar::Delimited { delimiter, quoting } => (Some(char::from(delimiter)), Some(quoting)),
            Grammar::Lines | Grammar::Elements { .. } | Grammar::Concatenated | Grammar::Sheet => (None, None),
        };
        let Layout { format, compression, encoding, sheet, notes, .. } = layout;
        Self { format, compression, encoding, delimiter, quoting, sheet, notes }
    }
}

/// The rejected rows file, once it is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rejected {
    /// How many they are.
    pub rows: u64,
}

/// Where the rejected rows file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RejectedLink {
    /// The URL; it is a credential, and good for 300 seconds.
    pub url: String,
}

/// How to upload a file by one request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Upload {
    /// The method.
    pub method: String,
    /// The URL; it is a credential.
    pub url: String,
    /// Headers that have to be sent as they are.
    pub headers: BTreeMap<String, String>,
}

/// How to upload a file from a browser's form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Form {
    /// Where to post.
    pub url: String,
    /// Fields that go before the file.
    pub fields: BTreeMap<String, String>,
}

/// Which imports are listed: those that have all that is given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportFilter {
    /// Where they stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The kind of their records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// Which records of a kind are listed; with neither, all. No more than one may be given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordFilter {
    /// Those that this import made or changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// Those that an import which was accepted after this one made, changed or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_after: Option<String>,
}

/// A record of a list, or the note that it was deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListedRecord {
    /// Its canonical key.
    pub key: String,
    /// Its fields, as the service writes them: a number has every digit. None where it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, serde_json::Value>"))]
    pub fields: Option<Box<RawValue>>,
    /// It was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// A page of records.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordPage {
    /// The records.
    pub records: Vec<ListedRecord>,
    /// Where the next page begins; none on the last page.
    pub next_cursor: Option<String>,
}

/// Where a record and its fields come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Provenance {
    /// The row that made it.
    pub made: Origin,
    /// The newest row that it has.
    pub changed: Origin,
    /// The row of each field that was ever set.
    pub fields: BTreeMap<String, Origin>,
}

/// The row that something comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Origin {
    /// Its import, also one that was deleted since; none for one that was accepted by a version that did not note it.
    pub import: Option<String>,
    /// Its number in the import, from 1.
    pub row: u64,
    /// The value is a default, which the record got when that row made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// The field holds nothing: the row cleared it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cleared: bool,
}

/// One line of the list of kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KindLine {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The newest version of an account's own kind.
    pub version: Option<u32>,
}

/// The kinds that there are.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KindList {
    /// The kinds.
    pub kinds: Vec<KindLine>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

/// The versions of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionList {
    /// The versions, newest first.
    pub versions: Vec<KindLine>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

/// A page of imports.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportPage {
    /// The imports.
    pub imports: Vec<Import>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

/// A page of row errors.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorPage {
    /// The errors.
    pub errors: Vec<RowError>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

/// The errors of an import's rows by code and field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorSummary {
    /// All errors.
    pub errors: u64,
    /// Rows with at least one error.
    pub rows: u64,
    /// Errors that are in no group. Where there are none, each group is exact; else it may lack some of these.
    pub other: u64,
    /// The groups, those with the most errors first.
    pub groups: Vec<ErrorGroup>,
}

impl ErrorSummary {
    /// The summary of these counts, which shows the groups that are counted apart. `examples` are the errors that stand
    /// at their places.
    pub fn of(counts: ErrorCounts, examples: &BTreeMap<ErrorCursor, RowError>) -> Self {
        let (errors, rows, other) = (counts.errors, counts.rows, counts.others());
        let group = |count: ErrorCount| ErrorGroup {
            what_to_do: remedy(&count.code).to_owned(),
            examples: count.first.iter().filter_map(|place| examples.get(place).cloned()).collect(),
            code: count.code,
            field: count.field,
            errors: count.errors,
            rows: count.rows,
            ranges: count.ranges,
        };
        Self { errors, rows, other, groups: counts.apart.into_iter().map(group).collect() }
    }
}

/// The errors with one code in one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorGroup {
    /// The code.
    pub code: String,
    /// The field, where the errors name one, without the places of items: `lines[].quantity`.
    pub field: Option<String>,
    /// Errors.
    pub errors: u64,
    /// Rows with at least one of them.
    pub rows: u64,
    /// Ranges in which all these rows are. They hold no other row where they have `rows` rows together.
    pub ranges: Vec<RowRange>,
    /// What to do, in a sentence.
    pub what_to_do: String,
    /// The first errors.
    pub examples: Vec<RowError>,
}

/// An import with those that it corrects and those that correct it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct History {
    /// The imports, the first one first.
    pub rounds: Vec<HistoryRound>,
    /// The rows of all of them, each counted once.
    pub sum: StorySum,
}

/// One import of a history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryRound {
    /// Its id.
    pub id: String,
    /// Where it stands, or how it ended.
    pub status: Status,
    /// When it was created, in RFC 3339.
    pub created_at: String,
    /// When it ended, in RFC 3339.
    pub completed_at: Option<String>,
    /// Its rows so far.
    pub rows: Rows,
    /// The import; none where it was deleted.
    pub import: Option<Import>,
}

/// What a key is asked for with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whose it is to be; the asking key's account if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it is to be used for.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub scopes: Vec<Scope>,
    /// What its maker calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::KEY_LABEL_CHARS)))]
    pub label: Option<String>,
}

/// An API key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made, in RFC 3339.
    pub created_at: String,
    /// When it was used last, in RFC 3339, to within an hour; missing while it has not been used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// What its maker called it.
    pub label: Option<String>,
    /// Whether it is no longer taken.
    pub revoked: bool,
    /// `<id>.<secret>`, right after its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The secret alone, right after its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// An account's keys.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<Key>,
}

/// What an endpoint is made with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where events are sent to: `https://…`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::WEBHOOK_URL_BYTES)))]
    pub url: String,
    /// The events that it asks for; all if not given. With none it is told those of the imports that name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<AskedEvent>>"))]
    pub events: Option<Vec<EventType>>,
    /// The kinds whose events it asks for; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::WEBHOOK_KINDS)))]
    pub kinds: Option<Vec<String>>,
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::WEBHOOK_DESCRIPTION_CHARS)))]
    pub description: Option<String>,
    /// How what is sent to it is signed.
    #[serde(default)]
    pub signature: SignatureStyle,
}

/// What is changed of an endpoint: what is not given stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookPatch {
    /// Where events are sent to from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::WEBHOOK_URL_BYTES)))]
    pub url: Option<String>,
    /// The events that it asks for; null is all.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<AskedEvent>>"))]
    pub events: Option<Option<Vec<EventType>>>,
    /// The kinds whose events it asks for; null is all.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Vec<String>>", length(min = 1, max = crate::limits::WEBHOOK_KINDS))
    )]
    pub kinds: Option<Option<Vec<String>>>,
    /// What to call it; null is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<String>", length(max = crate::limits::WEBHOOK_DESCRIPTION_CHARS))
    )]
    pub description: Option<Option<String>>,
    /// Whether nothing is sent to it. `false` enables one again that was disabled since it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// What is there, be it null; what is not there is none.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// The events that an endpoint may ask for.
#[cfg(feature = "schema")]
#[derive(Debug)]
pub(crate) struct AskedEvent;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for AskedEvent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AskedEvent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let asked: Vec<&str> =
            EventType::ALL.into_iter().filter(|what| what.is_for_webhooks()).map(EventType::as_str).collect();
        schemars::json_schema!({ "type": "string", "enum": asked })
    }
}

/// An endpoint of an account: where its events are sent to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where events are sent to.
    pub url: String,
    /// The events that it asks for; null is all.
    pub events: Option<Vec<EventType>>,
    /// The kinds whose events it asks for; null is all.
    pub kinds: Option<Vec<String>>,
    /// What its account calls it.
    pub description: Option<String>,
    /// How what is sent to it is signed.
    pub signature: SignatureStyle,
    /// The public key that verifies what is sent to it, `whpk_…`, where that is signed by Ed25519.
    pub public_key: Option<String>,
    /// The secret, `whsec_…`, right after it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The secrets that sign what is sent to it, the newest first.
    pub secrets: Vec<WebhookSecretLine>,
    /// When it was made, in RFC 3339.
    pub created_at: String,
    /// Why nothing is sent to it, where that is so.
    pub disabled: Option<DisabledFor>,
    /// Since when nothing is sent to it, in RFC 3339.
    pub disabled_at: Option<String>,
    /// Since when nothing but failures was seen of it, in RFC 3339.
    pub failing_since: Option<String>,
}

/// What is shown of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookSecretLine {
    /// When it was made, in RFC 3339.
    pub created_at: String,
    /// Until when it signs beside a newer one, in RFC 3339.
    pub expires_at: Option<String>,
}

/// An account's endpoints.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookList {
    /// The endpoints, newest first.
    pub webhooks: Vec<Webhook>,
}

/// What became of an event at an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delivery {
    /// Its id: that of its event.
    pub id: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// The last attempts, the oldest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// When the next attempt is made, in RFC 3339.
    pub next_at: Option<String>,
    /// The begin of the body of the last answer. It is whatever the endpoint wrote.
    pub answer: Option<String>,
    /// What is sent. A stack shows it without a URL, unless its parameter `EventsApiUrl` names one.
    pub event: EventMessage,
}

/// An attempt to deliver an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryAttempt {
    /// When it began, in RFC 3339.
    pub at: String,
    /// How long it took, in milliseconds; null while it is under way, and where its sender died.
    pub ms: Option<u64>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why there was no answer.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::codes::attempts_or_none())))]
    pub error: Option<String>,
}

/// A page of deliveries.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryPage {
    /// The deliveries, that of the newest event first.
    pub deliveries: Vec<Delivery>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

/// Which deliveries are ordered again: those that have not arrived, of the events of a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResendRange {
    /// The events that happened from this moment on, in RFC 3339.
    pub after: String,
    /// And before this moment, in RFC 3339.
    pub before: String,
    /// The `next_cursor` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How many deliveries were ordered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resent {
    /// How many.
    pub resent: u64,
    /// With what to go on, where not all events of the time were looked at.
    pub next_cursor: Option<String>,
}

/// Problem details (RFC 9457).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Problem"))]
#[serde(default)]
pub struct ProblemBody {
    /// `about:blank`: the code says more.
    pub r#type: String,
    /// The name of the status.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// The stable word for programs.
    pub code: String,
    /// The sentence for people.
    pub detail: String,
    /// Where in a schema the fault is, as a JSON Pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Who may have changed the catalogue since a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
}

/// Who may have changed the catalogue since the rows of a review were judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Moved {
    /// The imports that ran then, and those that were accepted since.
    pub imports: Vec<String>,
    /// Deletes since.
    pub deletes: u64,
    /// Further imports and deletes since, which were not looked at.
    pub more: u64,
}

/// The parts of a file for which URLs are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PartNumbers {
    /// Their numbers, from 1.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::PART_URLS), inner(range(min = 1, max = crate::limits::PARTS))))]
    pub numbers: Vec<u32>,
}

/// Where parts of an import's file go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartUrls {
    /// The parts that were asked for.
    pub parts: Vec<PartUrl>,
    /// The last moment at which the upload can be completed, in RFC 3339.
    pub expires_at: String,
    /// The last moment at which the sending of one of these parts may begin, in RFC 3339.
    pub urls_expire_at: String,
}

/// How to upload one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartUrl {
    /// Which it is, from 1.
    pub number: u32,
    /// The method.
    pub method: String,
    /// The URL; it is a credential.
    pub url: String,
    /// Headers that have to be sent as they are.
    pub headers: BTreeMap<String, String>,
}

/// The parts of which a file is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TakenParts {
    /// All of them, by their numbers, without a gap.
    pub parts: Vec<TakenPart>,
}

/// A part that the storage has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TakenPart {
    /// Which it is, from 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::limits::PARTS)))]
    pub number: u32,
    /// What the storage calls its bytes.
    pub etag: String,
}

/// A record that an import would remove, or has removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Removal {
    /// Its canonical key.
    pub key: String,
}

/// A page of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemovalPage {
    /// The records.
    pub removals: Vec<Removal>,
    /// Where the next page begins; none on the last page.
    pub next_cursor: Option<String>,
}

/// What has to be said for every record of a kind to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoveAll {
    /// The kind once more.
    pub kind: String,
    /// How many records there are: then it does not wait to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// Records that are to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeysToDelete {
    /// Their canonical keys, not percent-encoded as a whole.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::RECORD_DELETE_BATCH)))]
    pub keys: Vec<String>,
}

/// What became of records that were to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deleted {
    /// How many were deleted.
    pub deleted: u64,
    /// The keys that name no record.
    pub not_found: Vec<String>,
}

/// A record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Record {
    /// Its kind.
    pub kind: String,
    /// Its canonical key.
    pub key: String,
    /// Its fields, as the service writes them: a number has every digit.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, serde_json::Value>"))]
    pub fields: Box<RawValue>,
    /// Where they come from, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// How a file, or its first part, is read.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preview {
    /// What it turned out to be.
    pub detected: Detected,
    /// Its columns.
    pub columns: Vec<PreviewColumn>,
    /// Rows that `filled` and `samples` of the columns are of: the first ones, 1,000 at most.
    pub sampled: u64,
    /// Its first rows.
    pub rows: Vec<PreviewRow>,
    /// Why an import of it would fail.
    pub failure: Option<Failure>,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviewColumn {
    /// Its name.
    pub column: String,
    /// The field that it is mapped to; none for an ignored column.
    pub field: Option<String>,
    /// Rows that hold something there.
    pub filled: u64,
    /// The first different cells that are not empty, three at most.
    pub samples: Vec<String>,
}

/// A row of a file as it is read.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviewRow {
    /// Its number, from 1.
    pub row: u64,
    /// What it says of each field; null where it empties it.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, serde_json::Value>"))]
    pub fields: BTreeMap<String, Option<Value>>,
    /// Why it would be rejected.
    pub errors: Vec<RowError>,
}

/// Whether the service answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Account {
    /// The account.
    pub account: String,
    /// When its first key was made, in RFC 3339.
    pub created_at: String,
    /// Whether it is being removed.
    pub removing: bool,
    /// Keys that are not revoked.
    pub keys: u64,
    /// Kinds of its own.
    pub kinds: u64,
    /// Imports that have not ended.
    pub imports_unfinished: u64,
    /// Exports that have not ended.
    pub exports_unfinished: u64,
}

/// A page of accounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountPage {
    /// The accounts by name.
    pub accounts: Vec<Account>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

/// The removal of an account, in the end the report of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountRemoval {
    /// The account.
    pub account: String,
    /// Where it stands.
    pub status: AccountRemovalStage,
    /// When it was ordered, in RFC 3339.
    pub ordered_at: String,
    /// When what was in flight cannot act any more, in RFC 3339; none before all imports and exports have ended.
    pub waits_until: Option<String>,
    /// When nothing was left, in RFC 3339.
    pub removed_at: Option<String>,
    /// Until when the report is kept, in RFC 3339.
    pub retained_until: Option<String>,
    /// What went so far.
    pub removed: RemovedCounts,
}
