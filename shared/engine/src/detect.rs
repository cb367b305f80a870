//! Detecting what an upload is: from its content first, then from what its creator declared, then from its name.

pub(crate) mod encoding;
mod foreign;

use std::io::Read;

use penstock_model::{Compression, Failure, Format, Grammar, Layout, UTF_8, delimiter_byte, limits};
use serde::de::IgnoredAny;

pub use encoding::known_encoding;

use crate::{
    archive::Archive,
    decode,
    hints::Hints,
    sheet,
    upload::{self, Upload, cannot_be_read},
};

/// Detects what an upload of `bytes` bytes is. The same bytes and hints always give the same answer.
///
/// # Errors
/// A permanent failure: `unsupported_format`, those of [`encoding::encoding`], those of [`decode::each_piece`].
pub(crate) fn detect(mut upload: impl Upload, bytes: u64, hints: &Hints<'_>) -> Result<Layout, Failure> {
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
    let (format, grammar) = grammar(&text, complete, hints);
    let layout = Layout { compression, encoding: encoding.name().to_owned(), ..Layout::plain(format, grammar) };
    Ok(noting_contradictions(layout, hints))
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

fn workbook(mut upload: impl Upload, bytes: u64, hints: &Hints<'_>) -> Result<Layout, Failure> {
    upload::rewind(&mut upload)?;
    let (sheet, other_sheets) = sheet::inspect(upload, bytes, hints.options.sheet.as_deref())?;
    let layout = Layout { sheet: Some(sheet), other_sheets, ..Layout::plain(Format::Xlsx, Grammar::Sheet) };
    Ok(noting_contradictions(layout, hints))
}

/// Format and grammar of a text.
fn grammar(text: &str, complete: bool, hints: &Hints<'_>) -> (Format, Grammar) {
    let wanted = hints.format.or_else(|| hints.named_format());
    match json(text, complete, wanted, &hints.known_names()) {
        Some(Grammar::Lines) => (Format::Ndjson, Grammar::Lines),
        Some(grammar) => (Format::Json, grammar),
        None => {
            let quoting = hints.options.quoting.unwrap_or(true);
            let delimiter = match hints.options.delimiter.and_then(|c| delimiter_byte(c).ok()) {
                Some(delimiter) => delimiter,
                None => delimiter(text, complete, quoting, hints),
            };
            let format = if delimiter == b'\t' { Format::Tsv } else { Format::Csv };
            (format, Grammar::Delimited { delimiter, quoting })
        }
    }
}

/// The grammar of a text that is JSON.
fn json(text: &str, complete: bool, wanted: Option<Format>, is_field: &dyn Fn(&str) -> bool) -> Option<Grammar> {
    let text = text.trim_start();
    let mut start = text.chars().filter(|c| !c.is_ascii_whitespace());
    let asked = matches!(wanted, Some(Format::Json | Format::Ndjson));
    match (start.next()?, start.next()) {
        ('[', None | Some('{' | ']')) => return Some(Grammar::Elements { enveloped: false }),
        ('[', _) if asked => return Some(Grammar::Elements { enveloped: false }),
        ('{', Some('"' | '}')) => {}
        ('{', _) if asked => {}
        _ => return None,
    }
    let enveloped = Some(Grammar::Elements { enveloped: true });
    let first_line = text.lines().next().unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => {
            let object = &text[..values.byte_offset()];
            let rest = text[values.byte_offset()..].trim_start();
            if !rest.is_empty() || !complete {
                return if object.contains('\n') { enveloped } else { Some(Grammar::Lines) };
            }
            match wanted {
                Some(Format::Ndjson) => Some(Grammar::Lines),
                Some(Format::Json) => enveloped,
                // An object on several lines is no NDJSON.
                _ if holds_rows(object, is_field) || object.contains('\n') => enveloped,
                _ => Some(Grammar::Lines),
            }
        }
        // The object goes on beyond the sample, or is broken. It stands on a line of its own where that is declared,
        // where it ends on its line, and where another object starts on the next one.
        _ if wanted == Some(Format::Ndjson) => Some(Grammar::Lines),
        _ => {
            let behind = text[first_line.len()..].trim_start();
            let goes_on = first_line.trim_end().ends_with(['[', ',', '{', ':']);
            let ends = first_line.trim_end().ends_with('}');
            let is_line = !behind.is_empty() && (ends || (behind.starts_with('{') && !goes_on));
            if is_line { Some(Grammar::Lines) } else { enveloped }
        }
    }
}

/// Whether a single object is an envelope around the one array of objects in it, rather than a record.
fn holds_rows(object: &str, is_field: &dyn Fn(&str) -> bool) -> bool {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_str(object) else { return false };
    let mut arrays = members.iter().filter_map(|(name, value)| Some((name, value.as_array()?)));
    match (arrays.next(), arrays.next()) {
        (Some((name, rows)), None) => rows.iter().all(serde_json::Value::is_object) && !is_field(name),
        _ => false,
    }
}

/// Delimiters that are detected, the likelier first.
pub(crate) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Records from which the delimiter is detected.
const SNIFFED_RECORDS: usize = 100;

/// The delimiter by which the first record names most fields of the kind; among equals, the one by which most records
/// have as many cells as the first; then the one that gives most cells.
fn delimiter(text: &str, complete: bool, quoting: bool, hints: &Hints<'_>) -> u8 {
    let is_known = hints.known_names();
    let tab_first = hints.format == Some(Format::Tsv);
    let score = |delimiter: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .quoting(quoting)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let mut records: Vec<csv::ByteRecord> =
            reader.byte_records().take(SNIFFED_RECORDS + 1).map_while(Result::ok).collect();
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
