//! What the engine is measured against: the checks of the kind `products`, written by hand for these columns over the
//! readers that everybody uses. It makes no rows and no keys; it counts the good rows and collects the errors of the
//! others.

use std::fmt;

use serde::{
    Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::Value;

use super::products::COLUMNS;

/// A row error as the engine's: where, what, and a sentence.
pub(crate) struct HandError {
    pub(crate) row: u64,
    pub(crate) line: u64,
    pub(crate) field: &'static str,
    pub(crate) value: String,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Reads the file by `csv::ByteRecord` and looks at nothing; how many records there are.
pub(crate) fn byte_records(file: &[u8]) -> u64 {
    let mut reader = csv::Reader::from_reader(file);
    let mut record = csv::ByteRecord::new();
    let mut records = 0;
    while reader.read_byte_record(&mut record).expect("in memory") {
        records += 1;
    }
    records
}

/// Checks every row; how many are good, and the errors of the others.
pub(crate) fn check(file: &[u8]) -> (u64, Vec<HandError>) {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let mut record = csv::ByteRecord::new();
    let (mut row, mut good, mut errors) = (0, 0, Vec::new());
    while reader.read_byte_record(&mut record).expect("in memory") {
        row += 1;
        let line = record.position().map_or(0, csv::Position::line);
        let before = errors.len();
        check_row(row, line, &record, &mut errors);
        good += u64::from(errors.len() == before);
    }
    (good, errors)
}

fn check_row(row: u64, line: u64, record: &csv::ByteRecord, errors: &mut Vec<HandError>) {
    let mut error = |at: usize, value: &[u8], code, message: &str| {
        let value = String::from_utf8_lossy(value).into_owned();
        errors.push(HandError { row, line, field: COLUMNS[at], value, code, message: message.to_owned() });
    };
    if record.len() != COLUMNS.len() {
        return error(0, b"", "ragged_row", "the row has more or fewer cells than the header names columns");
    }
    // One look at the whole row; where it is not good, nobody needs to be fast.
    let Ok(text) = std::str::from_utf8(record.as_slice()) else {
        return error(0, record.as_slice(), "invalid_utf8", "the row is not UTF-8");
    };
    if memchr::memchr(0, record.as_slice()).is_some() {
        return error(0, record.as_slice(), "nul_byte", "the row holds NUL");
    }
    let cell = |at: usize| record.range(at).map_or("", |range| &text[range]);
    for at in [0, 1, 5] {
        if cell(at).is_empty() {
            error(at, b"", "required", "must hold a value");
        }
    }
    for at in [3, 6, 7] {
        let cell = cell(at);
        if !cell.is_empty() && !is_number(cell.trim()) {
            error(at, cell.as_bytes(), "invalid_number", "not a number; write it as 1234.56");
        }
    }
    let active = cell(9);
    if !active.is_empty() && !is_boolean(active.trim()) {
        error(9, active.as_bytes(), "invalid_boolean", "neither true nor false");
    }
    let units = cell(18);
    if !units.is_empty() && units.trim().parse::<i64>().is_err() {
        error(18, units.as_bytes(), "invalid_integer", "not a whole number");
    }
}

fn is_number(text: &str) -> bool {
    !text.ends_with(|c: char| c.is_ascii_alphabetic()) && text.parse::<f64>().is_ok()
}

fn is_boolean(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "1" | "false" | "False" | "FALSE" | "0")
}

/// Reads NDJSON into `serde_json::Value`, one after the other.
pub(crate) fn ndjson_values(file: &[u8]) -> u64 {
    serde_json::Deserializer::from_slice(file)
        .into_iter::<Value>()
        .inspect(|value| assert!(value.is_ok(), "JSON"))
        .count() as u64
}

/// Reads an array's elements into `serde_json::Value`, one after the other.
pub(crate) fn array_values(file: &[u8]) -> u64 {
    struct Counted;

    impl<'de> Visitor<'de> for Counted {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<u64, A::Error> {
            let mut count = 0;
            while elements.next_element::<Value>()?.is_some() {
                count += 1;
            }
            Ok(count)
        }
    }

    serde_json::Deserializer::from_slice(file).deserialize_seq(Counted).expect("an array")
}
