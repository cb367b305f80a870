//! Detecting what an upload is: from its content first, then from what its creator declared, then from its name.

pub(crate) mod encoding;
mod envelope;
mod foreign;

use std::io::Read;

use encoding_rs::Encoding;
use penstock_model::{Compression, Failure, Format, Grammar, Layout, ReadOptions, UTF_8, delimiter_byte, limits};
use serde::de::IgnoredAny;

pub use encoding::known_encoding;
use envelope::Envelope;

use crate::{
    archive::Archive,
    decode,
    hints::Hints,
    invisible::{is_blank, is_invisible},
    rejected,
    sheet::{self, Inspected},
    split::{byte, told_delimiter},
    upload::{self, Upload, cannot_be_read},
};

/// What an upload is, and the text from which that was told.
pub(crate) struct Detected {
    pub(crate) layout: Layout,
    /// `None` for a workbook.
    pub(crate) sample: Option<Sample>,
    /// Whether there may be a number that is read in two ways, as `1.234` is; of a text that is not known.
    pub(crate) may_be_ambiguous: bool,
    /// Whether it is a file of rejected rows: options that say how the first file stood do not hold for it.
    pub(crate) is_of_rejected: bool,
}

/// The start of an upload's text.
pub(crate) struct Sample {
    /// The first [`limits::DETECT_BYTES`] of it before it was decoded, at most.
    pub(crate) text: String,
    /// Whether that is the whole text.
    pub(crate) complete: bool,
}

/// Detects what an upload of `bytes` bytes is. The same bytes and hints always give the same answer.
///
/// # Errors
/// A permanent failure: `unsupported_format`, `ambiguous_rows`, those of [`encoding::encoding`], those of
/// [`decode::each_piece`].
pub(crate) fn detect(mut upload: impl Upload, bytes: u64, hints: &Hints<'_>) -> Result<Detected, Failure> {
    let mut magic = Vec::new();
    upload.by_ref().take(foreign::SIGNATURE_BYTES as u64).read_to_end(&mut magic).map_err(|_| cannot_be_read())?;
    upload::rewind(&mut upload)?;
    if let Some(failure) = foreign::by_signature(&magic) {
        return Err(failure);
    }
    let compression = match magic.as_slice() {
        [0x1f, 0x8b, ..] => Some(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => {
            if is_workbook(&mut upload)? {
                return workbook(upload, bytes, hints);
            }
            Some(Compression::Zip)
        }
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => {
            let what = "an old Office document such as an Excel workbook (XLS), or one that is protected by a password";
            return Err(foreign::unsupported(what));
        }
        _ => None,
    };
    upload::rewind(&mut upload)?;
    let mut sample = Vec::new();
    let unpacked = decode::unpack(compression, upload, bytes)?;
    let read = unpacked.take(limits::DETECT_BYTES as u64 + 1).read_to_end(&mut sample);
    // A compressed file whose end is not there cannot be unpacked to an end.
    if !hints.partial || sample.is_empty() {
        read.map_err(decode::failure)?;
    }
    let of_packed = &sample[..sample.len().min(foreign::SIGNATURE_BYTES)];
    if compression.is_some()
        && let Some(failure) = foreign::by_signature_of_packed(of_packed)
    {
        return Err(failure);
    }
    let complete = sample.len() <= limits::DETECT_BYTES && !hints.partial;
    sample.truncate(limits::DETECT_BYTES);
    let encoding = encoding::encoding(&sample, complete, hints.options.encoding.as_deref())?;
    let (text, _) = encoding.decode_with_bom_removal(&sample);
    if let Some(failure) = foreign::by_text(&text) {
        return Err(failure);
    }
    let mut reading = hints.reading();
    let of_rejected = rejected::told(&text, hints.options.quoting.unwrap_or(true));
    let (format, grammar) = match of_rejected {
        // Its header is its first line, its rows begin with their numbers, and its objects are a line each.
        Some(grammar) => {
            reading = ReadOptions { header_line: None, comment: None, rows_at: None, ..reading };
            (format_of(grammar), grammar)
        }
        None => grammar(&text, complete, hints, &reading)?,
    };
    let plain = Layout::plain(format, grammar);
    let has_mark = Encoding::for_bom(&sample).is_some();
    let layout = Layout { compression, encoding: encoding.name().to_owned(), has_mark, reading, ..plain };
    let sample = Sample { text: text.into_owned(), complete };
    let is_of_rejected = of_rejected.is_some();
    let layout = noting_contradictions(layout, hints);
    Ok(Detected { layout, sample: Some(sample), may_be_ambiguous: true, is_of_rejected })
}

/// Whether an archive is an Excel workbook rather than one that holds a file.
fn is_workbook(upload: &mut impl Upload) -> Result<bool, Failure> {
    let archive = Archive::open(upload)?;
    if let Some(failure) = foreign::by_entries(&archive) {
        return Err(failure);
    }
    let has = |is_it: &dyn Fn(&str) -> bool| archive.entries().iter().any(|entry| is_it(&entry.name));
    Ok(has(&|name| name == "[Content_Types].xml") && has(&|name| name.ends_with("workbook.xml")))
}

fn workbook(mut upload: impl Upload, bytes: u64, hints: &Hints<'_>) -> Result<Detected, Failure> {
    upload::rewind(&mut upload)?;
    let Inspected { sheet, others, may_be_ambiguous } = sheet::inspect(upload, bytes, hints.options.sheet.as_deref())?;
    let plain = Layout::plain(Format::Xlsx, Grammar::Sheet);
    let layout = Layout { sheet: Some(sheet), other_sheets: others, reading: hints.reading(), ..plain };
    let layout = noting_contradictions(layout, hints);
    Ok(Detected { layout, sample: None, may_be_ambiguous, is_of_rejected: false })
}

/// Format and grammar of a text.
///
/// # Errors
/// `ambiguous_rows`.
fn grammar(text: &str, complete: bool, hints: &Hints<'_>, reading: &ReadOptions) -> Result<(Format, Grammar), Failure> {
    let wanted = hints.format.or_else(|| hints.named_format());
    Ok(match json(text, complete, wanted, reading.rows_at.is_some(), &hints.known_names())? {
        Some(Grammar::Lines) => (Format::Ndjson, Grammar::Lines),
        Some(grammar) => (Format::Json, grammar),
        None => {
            let quoting = hints.options.quoting.unwrap_or(true);
            let delimiter = match hints.options.delimiter.and_then(|c| delimiter_byte(c).ok()) {
                Some(delimiter) => delimiter,
                None => delimiter(text, complete, quoting, hints, reading),
            };
            let grammar = Grammar::Delimited { delimiter, quoting };
            (format_of(grammar), grammar)
        }
    })
}

/// The format of a text whose rows are delimited, or objects on lines.
fn format_of(grammar: Grammar) -> Format {
    match grammar {
        Grammar::Delimited { delimiter: b'\t', .. } => Format::Tsv,
        Grammar::Delimited { .. } => Format::Csv,
        _ => Format::Ndjson,
    }
}

/// The grammar of a text that is JSON. `is_envelope` says that an object holds the rows, if there is only one.
fn json(
    text: &str,
    complete: bool,
    wanted: Option<Format>,
    is_envelope: bool,
    is_field: &dyn Fn(&str) -> bool,
) -> Result<Option<Grammar>, Failure> {
    let text = text.trim_start_matches(is_invisible);
    let mut start = text.chars().filter(|c| !c.is_ascii_whitespace());
    let asked = matches!(wanted, Some(Format::Json | Format::Ndjson));
    match (start.next(), start.next()) {
        // Rows that are arrays are refused one by one, as what they are.
        (Some('['), Some('[')) if matches!(start.next(), Some('"' | '[' | ']' | '{' | '-' | '0'..='9')) => {
            return Ok(Some(Grammar::Elements { enveloped: false }));
        }
        (Some('['), None | Some('{' | ']')) => return Ok(Some(Grammar::Elements { enveloped: false })),
        (Some('['), _) if asked => return Ok(Some(Grammar::Elements { enveloped: false })),
        (Some('{'), Some('"' | '}')) => {}
        (Some('{'), _) if asked => {}
        _ => return Ok(None),
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => {
            let end = values.byte_offset();
            let mut found = Envelope::of(&text[..end], is_field);
            // An array of a record's own field is no envelope.
            found.arrays.retain(|(_, member)| !is_field(member));
            let is_alone = text[end..].trim_start().is_empty();
            if is_alone && is_envelope {
                return Ok(Some(Grammar::Elements { enveloped: true }));
            }
            match is_alone && (complete || !found.arrays.is_empty()) {
                true => single(&text[..end], &found, wanted),
                false => Ok(Some(several(text, end))),
            }
        }
        // The object goes on beyond the sample, or is broken. It stands on a line of its own where that is declared,
        // where it ends on its line, and where another object starts on the next one.
        _ if is_envelope => Ok(Some(Grammar::Elements { enveloped: true })),
        _ if wanted == Some(Format::Ndjson) => Ok(Some(Grammar::Lines)),
        _ => {
            let first_line = text.lines().next().unwrap_or_default();
            let behind = text[first_line.len()..].trim_start();
            let goes_on = first_line.trim_end().ends_with(['[', ',', '{', ':']);
            let ends = first_line.trim_end().ends_with('}');
            let is_line = !behind.is_empty() && (ends || (behind.starts_with('{') && !goes_on));
            if is_line { Ok(Some(Grammar::Lines)) } else { envelope(&Envelope::of(text, is_field)) }
        }
    }
}

/// The grammar of a document that is one object: an envelope, or a record.
fn single(object: &str, found: &Envelope, wanted: Option<Format>) -> Result<Option<Grammar>, Failure> {
    let is_line = !object.contains('\n');
    match wanted {
        Some(Format::Ndjson) if is_line => Ok(Some(Grammar::Lines)),
        _ if found.arrays.is_empty() && found.fields > 0 => {
            Ok(Some(if is_line { Grammar::Lines } else { Grammar::Concatenated }))
        }
        _ => envelope(found),
    }
}

/// The grammar of an envelope.
///
/// # Errors
/// `ambiguous_rows` where it has several arrays of objects.
fn envelope(found: &Envelope) -> Result<Option<Grammar>, Failure> {
    if found.arrays.len() < 2 {
        return Ok(Some(Grammar::Elements { enveloped: true }));
    }
    let message = format!(
        "the document has several arrays of objects, {}, and only one can hold the rows: the option `rows_at` \
         (`--rows-at`) names it",
        found.listed()
    );
    Err(Failure::new("ambiguous_rows", message))
}

/// Objects from which it is told whether each stands on a line of its own.
const LOOKED_AT_OBJECTS: usize = 100;

/// The grammar of a text of several objects, of which the first ends there: a line each, or however they stand.
fn several(text: &str, first_end: usize) -> Grammar {
    let is_line = |start: usize, end: usize| {
        let before = text[..start].trim_end_matches(' ');
        !text[start..end].contains('\n') && (before.is_empty() || before.ends_with(['\n', '\r']))
    };
    if !is_line(0, first_end) {
        return Grammar::Concatenated;
    }
    let mut values = serde_json::Deserializer::from_str(&text[first_end..]).into_iter::<IgnoredAny>();
    let mut start = first_end;
    for _ in 0..LOOKED_AT_OBJECTS {
        let Some(Ok(_)) = values.next() else { break };
        let end = first_end + values.byte_offset();
        start += text[start..end].len() - text[start..end].trim_start().len();
        if !is_line(start, end) {
            return Grammar::Concatenated;
        }
        start = end;
    }
    Grammar::Lines
}

/// A text from a line on, from 1.
fn below(text: &str, line: u64) -> &str {
    let mut rest = text;
    for _ in 1..line {
        let Some(end) = rest.find(['\n', '\r']) else { return "" };
        rest = rest[end..].strip_prefix("\r\n").unwrap_or(&rest[end + 1..]);
    }
    rest
}

/// Delimiters that are detected, the likelier first.
pub(crate) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Records from which the delimiter is detected.
const SNIFFED_RECORDS: usize = 100;

/// The delimiter of which the first line tells Excel; else the one by which the first record names most fields of the
/// kind; among equals, the one by which most records have as many cells as the first; then the one that gives most
/// cells. Records that say nothing do not count.
fn delimiter(text: &str, complete: bool, quoting: bool, hints: &Hints<'_>, reading: &ReadOptions) -> u8 {
    let text = below(text, reading.header_line.unwrap_or(1));
    let first_line = text.split(['\n', '\r']).find(|line| !is_blank(line)).unwrap_or_default();
    if let Some(told) = told_delimiter(first_line.as_bytes()) {
        return told;
    }
    let is_known = hints.known_names();
    let tab_first = hints.format == Some(Format::Tsv);
    let score = |delimiter: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .quoting(quoting)
            .escape(byte(reading.escape))
            .comment(byte(reading.comment))
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let says = |record: &csv::ByteRecord| !record.iter().all(|cell| std::str::from_utf8(cell).is_ok_and(is_blank));
        let records = reader.byte_records().map_while(Result::ok).filter(says);
        let mut records: Vec<csv::ByteRecord> = records.take(SNIFFED_RECORDS + 1).collect();
        if records.len() > 1 && (!complete || records.len() > SNIFFED_RECORDS) {
            records.pop();
        }
        let Some(header) = records.first() else { return (0, 0, 0, false) };
        if header.len() < 2 {
            return (0, 0, 0, false);
        }
        let known = header.iter().filter(|name| std::str::from_utf8(name).is_ok_and(&is_known)).count();
        let even = records.iter().filter(|record| record.len() == header.len()).count();
        (known, even * 1000 / records.len(), header.len(), tab_first && delimiter == b'\t')
    };
    // `max_by_key` takes the last of equals.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| score(*delimiter)).unwrap_or(b',')
}

fn noting_contradictions(mut layout: Layout, hints: &Hints<'_>) -> Layout {
    let found = layout.format;
    // Any delimiter may stand in a file that is called CSV.
    let contradicts = |said: Format| said != found && !(said == Format::Csv && found == Format::Tsv);
    if let Some(declared) = hints.format.filter(|said| contradicts(*said)) {
        layout.notes.push(format!("declared as {declared}, but its content is {found}"));
    }
    if let Some(named) = hints.named_format().filter(|said| contradicts(*said)) {
        layout.notes.push(format!("named as {named}, but its content is {found}"));
    }
    if found.is_text() && hints.options.sheet.is_some() {
        layout.notes.push("a sheet is named, but the file is no workbook".to_owned());
    }
    if layout.encoding != UTF_8 && hints.options.encoding.is_none() {
        layout.notes.push(format!("its text is not UTF-8 and is read as {}", layout.encoding));
    }
    layout
}

#[cfg(test)]
mod tests;
