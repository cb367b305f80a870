//! An export's text: records become a file from which an import with no options reads the same records.
//!
//! As NDJSON a record is an object on a line: the fields of the schema in its order, then the others. As CSV it is a
//! row between commas below a header that names the schema's fields in their order, behind a byte order mark, by which
//! spreadsheets and an import know the encoding. Both are UTF-8, and each line ends with `\n`. NDJSON has no mark; of a
//! few characters alone an import may ask which encoding they are in.
//!
//! A cell is never changed to please a program: one that begins with `=`, `+`, `-` or `@` stands as it is, or the
//! round trip would not be exact. Only what the reader itself would take apart, `="…"`, is put into another such.
//!
//! CSV needs its columns before its first row, and records are read shard by shard. So a kind that keeps additional
//! fields has no CSV: which there are is known at the end alone, and of a cell nobody can tell whether it was a number
//! or a text. What else cannot be said in cells is refused with its reason before anything is read
//! ([`RecordWriter::new`]).
//!
//! Whatever is written is read again by the engine at once, and compared. A record that would not be read as it is
//! ([`Text::inexact`]) is written nonetheless, and counted: a key that looks like a spreadsheet's `1.5E+10`, a value
//! that an earlier version of the kind took and this one does not, a line over [`limits::RECORD_BYTES`].

use std::collections::{BTreeMap, HashMap, HashSet};

use penstock_model::{
    AccountId, Body, Chunk, ExportFormat, Failure, Grammar, ImportOptions, Job, Value, advice::shown, limits,
};

use crate::{
    header,
    kind::Kind,
    plan::{ChunkPlan, Plan},
    rows::{self, Records, is_formula_of_text},
};

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The members of a line that says of a record that it was deleted.
const DELETED: [&str; 2] = ["deleted", "key"];

/// Writes the records of one kind. It holds no record: memory is that of one page.
#[derive(Debug, Clone)]
pub struct RecordWriter {
    kind: Kind,
    format: ExportFormat,
    head: Vec<u8>,
    /// How what is written is read.
    job: Job,
    plan: ChunkPlan,
}

/// A record as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Its canonical key.
    pub key: &'a str,
    /// What it shows; `None` where it was deleted.
    pub fields: Option<&'a BTreeMap<String, Value>>,
}

/// The text of some records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The lines.
    pub bytes: Vec<u8>,
    /// Records that stand in them.
    pub records: u64,
    /// Lines that say of a record that it was deleted.
    pub deleted: u64,
    /// Records among them that an import would not read as they are.
    pub inexact: u64,
}

impl RecordWriter {
    /// A writer of an account's records of a kind.
    ///
    /// # Errors
    /// A permanent failure, `not_flat`: CSV cannot say all records of this kind exactly, and why.
    pub fn new(kind: Kind, account: &AccountId, format: ExportFormat) -> Result<Self, Failure> {
        let (grammar, head, columns) = match format {
            ExportFormat::Ndjson => (Grammar::Lines, Vec::new(), Vec::new()),
            ExportFormat::Csv => {
                let (head, columns) = header_of(&kind)?;
                (Grammar::CSV, head, columns)
            }
        };
        let plan = Plan::compile(kind.clone(), grammar, &columns, &BTreeMap::new())?;
        if format == ExportFormat::Csv
            && let Some(at) = (0..columns.len()).find(|at| plan.columns()[*at] != Some(*at))
        {
            let name = shown(&columns[at]);
            return Err(not_flat(&kind, format!("a column called `{name}` is not found to be that field")));
        }
        let options = ImportOptions { reading: kind.reading().clone(), ..ImportOptions::default() };
        let job = Job::dry(account.clone(), kind.name().clone(), &options, grammar, columns);
        Ok(Self { kind, format, head, job, plan: ChunkPlan::new(plan) })
    }

    /// Whether a file that says of records that they were deleted can be told apart from one that has such records: a
    /// line `{"deleted":true,"key":"…"}` must be none that a record of the kind can have. A record holds one of its key
    /// fields at least, so it has such a line only where a key field is called so.
    ///
    /// # Errors
    /// A permanent failure, `ambiguous_deletions`, which says why.
    pub fn check_deletions(kind: &Kind) -> Result<(), Failure> {
        let can_hold = |name: &&str| kind.keeps_additional() || kind.index_of(name).is_some();
        let is_key = |name: &str| kind.key_fields().iter().any(|at| kind.field(*at).name() == name);
        if !DELETED.iter().all(can_hold) || !DELETED.iter().any(|name| is_key(name)) {
            return Ok(());
        }
        let message = format!(
            "a record of kind `{}` may have the fields `deleted` and `key` alone, and its line would be the one that \
             says of a record that it was deleted: read `GET /v1/records/{0}?changed_after=…`, or export without \
             changed_after",
            kind.name()
        );
        Err(Failure::new("ambiguous_deletions", message))
    }

    /// What the file begins with, before any record.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The lines of records, each with a key of its own. In CSV one that was deleted has none.
    pub fn write<'r>(&mut self, records: impl Iterator<Item = Written<'r>> + Clone) -> Text {
        let mut text = Text::default();
        let mut long = HashSet::new();
        for Written { key, fields } in records.clone() {
            let start = text.bytes.len();
            match (fields, self.format) {
                (Some(fields), ExportFormat::Ndjson) => self.kind.write_json(fields, &mut text.bytes),
                (Some(fields), ExportFormat::Csv) => self.row(fields, &mut text.bytes),
                (None, ExportFormat::Ndjson) => {
                    let line = serde_json::json!({ DELETED[0]: true, DELETED[1]: key });
                    text.bytes.extend(line.to_string().into_bytes());
                    text.deleted += 1;
                }
                (None, ExportFormat::Csv) => continue,
            }
            text.records += u64::from(fields.is_some());
            if text.bytes.len() - start > limits::RECORD_BYTES - 1 {
                long.insert(key);
            }
            text.bytes.push(b'\n');
        }
        text.inexact = self.inexact(&mut text.bytes, records, &long);
        text
    }

    fn row(&self, fields: &BTreeMap<String, Value>, file: &mut Vec<u8>) {
        let start = file.len();
        for (at, field) in self.kind.fields().iter().enumerate() {
            if at > 0 {
                file.push(b',');
            }
            match fields.get(field.name()) {
                Some(value) => self.cell(&field.as_cell(value), at == 0, file),
                None => self.cell(field.missing_text(), at == 0, file),
            }
        }
        // A row of one empty cell would be a blank line.
        if file.len() == start {
            file.extend(b"\"\"");
        }
    }

    fn cell(&self, text: &str, is_first: bool, file: &mut Vec<u8>) {
        if !is_formula_of_text(text.as_bytes()) {
            return self.quoted(text, is_first, file);
        }
        self.quoted(&format!("=\"{}\"", text.replace('"', "\"\"")), is_first, file);
    }

    /// Writes a cell, in quotes where it would not be read as it is without.
    fn quoted(&self, text: &str, is_first: bool, file: &mut Vec<u8>) {
        let reading = self.kind.reading();
        // A line that begins with a comment's character is no record.
        let is_comment = is_first && reading.comment.is_some_and(|comment| text.starts_with(comment));
        if !is_comment && memchr::memchr3(b',', b'"', b'\n', text.as_bytes()).is_none() && !text.contains('\r') {
            return file.extend(text.bytes());
        }
        file.push(b'"');
        let escape = reading.escape.and_then(|escape| u8::try_from(escape).ok());
        for byte in text.bytes() {
            if byte == b'"' || Some(byte) == escape {
                file.push(byte);
            }
            file.push(byte);
        }
        file.push(b'"');
    }

    /// How many of these records an import would not read from the text as they are.
    fn inexact<'r>(
        &mut self,
        bytes: &mut Vec<u8>,
        records: impl Iterator<Item = Written<'r>>,
        long: &HashSet<&str>,
    ) -> u64 {
        let lines = std::mem::take(bytes);
        let (index, offset, length) = (0, 0, lines.len() as u64);
        let (first_row, first_line, rows) = (1, 1, 1);
        let chunk = Chunk { index, first_row, first_line, offset, bytes: length, rows, body: Body::Rows(lines) };
        let plan = self.plan.for_next();
        let cut = Records::of(&self.job, &chunk);
        let parsed = rows::parse(plan, &self.job, &cut);
        let kind = plan.kind();
        let read: HashMap<&str, &rows::Cells<'_>> =
            parsed.rows.iter().map(|row| (row.key.as_str(), &row.cells)).collect();
        let is_exact = |record: &Written<'r>, fields: &BTreeMap<String, Value>| {
            let Some(cells) = read.get(record.key) else { return false };
            !long.contains(record.key)
                && cells.len() == fields.len()
                && cells.iter().all(|(place, cell)| {
                    cell.as_ref().zip(fields.get(kind.field(*place).name())).is_some_and(|(cell, value)| cell == value)
                })
        };
        let inexact = records.filter(|record| record.fields.is_some_and(|fields| !is_exact(record, fields))).count();
        drop(read);
        drop(parsed);
        drop(cut);
        if let Body::Rows(lines) = chunk.body {
            *bytes = lines;
        }
        inexact as u64
    }
}

fn not_flat(kind: &Kind, why: impl std::fmt::Display) -> Failure {
    let message = format!("CSV cannot hold the records of kind `{}` as they are: {why}; take `ndjson`", kind.name());
    Failure::new("not_flat", message)
}

/// The header line of a kind, and the names in it.
fn header_of(kind: &Kind) -> Result<(Vec<u8>, Vec<String>), Failure> {
    if kind.keeps_additional() {
        let why = "it keeps additional fields, and which there are is not known before the last record is read";
        return Err(not_flat(kind, why));
    }
    if let Some(field) = kind.fields().iter().find(|field| field.is_nested()) {
        let why = format!("the field `{}` holds more than one cell says", shown(field.name()));
        return Err(not_flat(kind, why));
    }
    if let Some(field) = kind.fields().iter().find(|field| !field.can_say_nothing()) {
        let name = shown(field.name());
        return Err(not_flat(kind, format!("`missingValues` names no cell that says that `{name}` holds nothing")));
    }
    if kind.reading().header_line.is_some_and(|line| line > 1) {
        return Err(not_flat(kind, "its `header_line` presets that files have lines above their header"));
    }
    let mut head = MARK.to_vec();
    for (at, field) in kind.fields().iter().enumerate() {
        if at > 0 {
            head.push(b',');
        }
        // In quotes no name is taken for several, whatever the delimiter is supposed to be.
        let name = field.name();
        match name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            true => head.extend(name.bytes()),
            false => head.extend(format!("\"{}\"", name.replace('"', "\"\"")).into_bytes()),
        }
    }
    head.push(b'\n');
    let columns =
        header::columns(&head[MARK.len()..], Grammar::CSV).map_err(|failure| not_flat(kind, failure.message))?;
    Ok((head, columns))
}

#[cfg(test)]
mod tests;
