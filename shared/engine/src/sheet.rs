//! A workbook's sheet as text: a JSON array of cells a line, line *n* for the sheet's row *n*.
//!
//! Cells are what the workbook stores, not what it would show: a date is a date in ISO 8601, a number has the 15 digits that Excel keeps, a
//! formula is the value that was stored with it. A cell that holds an error, such as `#N/A`, becomes `{"error": "#N/A"}`, one that holds a
//! date `{"date": "2026-11-21"}`: neither can be taken for text.

use std::io::{BufReader, Read};

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx, XlsxError};
use memchr::{memchr_iter, memmem};
use penstock_model::{Failure, limits};
use zip::ZipArchive;

use crate::decode::{Sink, Upload, archive_failure};

/// Bytes that are handed on at once, but for the rest of a row.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes that are read from the upload at once.
const READ_BYTES: usize = 256 * 1024;

/// Looks whether a workbook can be read within the limits, without holding any of it, and gives its sheets' names.
///
/// # Errors
/// `workbook_too_large` with the limit that it breaks; `damaged_file`.
pub(crate) fn inspect(mut upload: impl Upload, bytes: u64) -> Result<Vec<String>, Failure> {
    let too_large = |message: String| Failure::new("workbook_too_large", message);
    if bytes > limits::WORKBOOK_BYTES {
        return Err(too_large(format!("the workbook has {bytes} bytes, the limit is {}", limits::WORKBOOK_BYTES)));
    }
    let mut archive = ZipArchive::new(BufReader::with_capacity(READ_BYTES, &mut upload)).map_err(archive_failure)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut all = 0;
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).map_err(archive_failure)?;
        let name: String = part.name().map_err(archive_failure)?.chars().take(100).collect();
        let is_sheet = name.contains("worksheets/") && !name.ends_with(".rels");
        let is_text = name.ends_with(".xml") || name.ends_with(".rels");
        let (mut own, mut run, mut first) = (0, 0, true);
        loop {
            let read = part.read(&mut buffer).map_err(|_| damaged(&format!("part {name} does not unpack")))?;
            if read == 0 {
                break;
            }
            let piece = &buffer[..read];
            own += read as u64;
            all += read as u64;
            if all > limits::WORKBOOK_UNPACKED_BYTES {
                let limit = limits::WORKBOOK_UNPACKED_BYTES;
                return Err(too_large(format!("the workbook unpacks to more than {limit} bytes")));
            }
            if is_text && !is_sheet && own > limits::WORKBOOK_PART_BYTES {
                let limit = limits::WORKBOOK_PART_BYTES;
                return Err(too_large(format!("the workbook's part {name} unpacks to more than {limit} bytes")));
            }
            if is_text && longest_run(piece, &mut run) > limits::WORKBOOK_TEXT_BYTES {
                let limit = limits::WORKBOOK_TEXT_BYTES;
                return Err(too_large(format!("the workbook's part {name} has a text of more than {limit} bytes")));
            }
            if std::mem::take(&mut first) && announces_too_much(piece) {
                return Err(damaged(&format!("part {name} announces more strings than it can hold")));
            }
        }
    }
    drop(archive);
    upload.rewind().map_err(|_| damaged("it cannot be read"))?;
    Ok(open(upload)?.sheet_names())
}

/// The longest stretch without the start of a tag; `run` is how long it has been at the end of the last piece.
fn longest_run(piece: &[u8], run: &mut usize) -> usize {
    let (mut longest, mut from) = (0, 0);
    for tag in memchr_iter(b'<', piece) {
        longest = longest.max(*run + tag - from);
        (*run, from) = (0, tag);
    }
    *run += piece.len() - from;
    longest.max(*run)
}

/// Whether shared strings announce a number of them for which no part that is allowed has room: a reader would make room first.
fn announces_too_much(start: &[u8]) -> bool {
    let Some(at) = memmem::find(start, b"uniqueCount=") else { return false };
    let digits = start[at + b"uniqueCount=".len()..].iter().skip(1).take_while(|byte| byte.is_ascii_digit());
    let count = digits.fold(0u64, |count, digit| count.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    // The shortest string is `<si/>`.
    count > limits::WORKBOOK_PART_BYTES / 5
}

fn open<R: Upload>(upload: R) -> Result<Xlsx<BufReader<R>>, Failure> {
    Xlsx::new(BufReader::with_capacity(READ_BYTES, upload)).map_err(unreadable)
}

fn damaged(what: &str) -> Failure {
    Failure::new("damaged_file", format!("the workbook cannot be read: {what}"))
}

fn unreadable(error: XlsxError) -> Failure {
    match error {
        XlsxError::Password => damaged("it is protected by a password"),
        // The reader's messages may repeat what stands in the file.
        _ => damaged("it is not what an Excel workbook is"),
    }
}

/// Hands the rows of a sheet, the first if none is named, to `sink`.
///
/// # Errors
/// `damaged_file`, `unknown_sheet`, `sheet_too_large`.
pub fn each_row(upload: impl Upload, sheet: Option<&str>, sink: Sink<'_>) -> Result<(), Failure> {
    let mut workbook = open(upload)?;
    let name = choose(&workbook.sheet_names(), sheet)?;
    let mut cells = workbook.worksheet_cells_reader(&name).map_err(unreadable)?;
    let mut text = Text { bytes: Vec::with_capacity(2 * PIECE_BYTES), row: 0, column: 0, in_row: false, most: None };
    while let Some(cell) = cells.next_cell().map_err(unreadable)? {
        let (row, column) = cell.get_position();
        text.go_to(row)?;
        if text.bytes.len() >= PIECE_BYTES && !text.in_row {
            if sink(&text.bytes).is_break() {
                return Ok(());
            }
            text.bytes.clear();
        }
        text.cell(column, cell.get_value())?;
    }
    text.end_row();
    let _ = sink(&text.bytes);
    Ok(())
}

/// The sheet of this name, or the first.
///
/// # Errors
/// `unknown_sheet` with those that there are.
pub(crate) fn choose(sheets: &[String], wanted: Option<&str>) -> Result<String, Failure> {
    let found = match wanted {
        None => sheets.first(),
        Some(wanted) => sheets.iter().find(|sheet| *sheet == wanted),
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<String> = sheets.iter().map(|sheet| format!("`{sheet}`")).collect();
        let wanted = wanted.unwrap_or_default();
        Failure::new("unknown_sheet", format!("there is no sheet `{wanted}`; the workbook has {}", names.join(", ")))
    })
}

/// Rows as they are written.
struct Text {
    bytes: Vec<u8>,
    /// The row that is being written, from 0.
    row: u32,
    /// Cells of it that have been written.
    column: u32,
    in_row: bool,
    /// Columns of the first row, beyond which one more cell of a row is enough to tell that it has too many.
    most: Option<u32>,
}

impl Text {
    fn go_to(&mut self, row: u32) -> Result<(), Failure> {
        if row >= limits::SHEET_ROWS {
            let message = format!("the sheet has a row {}, the limit is {}", u64::from(row) + 1, limits::SHEET_ROWS);
            return Err(Failure::new("sheet_too_large", message));
        }
        if row < self.row {
            return Err(damaged("its rows are not in their order"));
        }
        if row > self.row {
            self.end_row();
            // Rows that the sheet leaves out are empty lines, so that lines are rows.
            self.bytes.resize(self.bytes.len() + (row - self.row) as usize, b'\n');
            self.row = row;
        }
        Ok(())
    }

    fn end_row(&mut self) {
        if self.in_row {
            self.bytes.push(b']');
            self.most.get_or_insert(self.column);
        }
        (self.in_row, self.column) = (false, 0);
    }

    fn cell(&mut self, column: u32, value: &DataRef<'_>) -> Result<(), Failure> {
        if matches!(value, DataRef::Empty) || self.most.is_some_and(|most| self.column > most) {
            return Ok(());
        }
        if column < self.column {
            return Err(damaged("its cells are not in their order"));
        }
        // A cell that far out makes the row one with too many cells wherever exactly it stands.
        let column = self.most.map_or(column, |most| column.min(most.max(limits::COLUMNS as u32)));
        if self.most.is_none() && column as usize >= limits::COLUMNS {
            let message =
                format!("the first row has a cell in column {}, the limit is {}", column + 1, limits::COLUMNS);
            return Err(Failure::new("too_many_columns", message));
        }
        if !self.in_row {
            self.bytes.push(b'[');
            self.in_row = true;
        }
        for gap in self.column..column {
            self.bytes.extend(if gap == 0 { &b"null"[..] } else { b",null" });
        }
        if column > 0 {
            self.bytes.push(b',');
        }
        self.value(value);
        self.column = column + 1;
        Ok(())
    }

    fn value(&mut self, value: &DataRef<'_>) {
        match value {
            DataRef::Int(number) => self.bytes.extend(number.to_string().bytes()),
            DataRef::Float(number) => self.bytes.extend(decimal(*number).bytes()),
            DataRef::Bool(boolean) => self.bytes.extend(boolean.to_string().bytes()),
            DataRef::String(text) => self.json(text),
            DataRef::SharedString(text) => self.json(text),
            DataRef::DateTime(moment) => self.tagged("date", &date(moment)),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => self.tagged("date", text),
            DataRef::Error(error) => self.tagged("error", &error.to_string()),
            DataRef::Empty => self.bytes.extend(b"null"),
        }
    }

    fn tagged(&mut self, tag: &str, text: &str) {
        self.bytes.push(b'{');
        self.json(tag);
        self.bytes.push(b':');
        self.json(text);
        self.bytes.push(b'}');
    }

    fn json(&mut self, text: &str) {
        serde_json::to_writer(&mut self.bytes, text).expect("writing text to memory succeeds");
    }
}

/// The cells of a row as it is written here, each as text: an empty one as empty text, a date or an error as its text.
pub fn cells_as_text(row: &[u8]) -> Vec<String> {
    let cells: Vec<serde_json::Value> = serde_json::from_slice(row).unwrap_or_default();
    let text = |cell: serde_json::Value| match cell {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text,
        serde_json::Value::Object(tagged) => {
            tagged.into_values().find_map(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
        }
        other => other.to_string(),
    };
    cells.into_iter().map(text).collect()
}

/// A number with the digits that Excel keeps: whole ones up to 2^53 exactly, others to 15 places, so that a price of 19.99 is 19.99.
fn decimal(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
        return format!("{number:.0}");
    }
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    rounded.to_string()
}

/// A moment in ISO 8601: a date where it has no time, a time where it has no date.
fn date(moment: &ExcelDateTime) -> String {
    if moment.is_duration() {
        let seconds = (moment.as_f64() * 86_400.0).round() as i64;
        return format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    if moment.as_f64() < 1.0 {
        time
    } else if moment.as_f64().fract() == 0.0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02}T{time}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_excel_shows() {
        for (number, text) in [
            (19.99, "19.99"),
            (0.1 + 0.2, "0.3"),
            (4_006_381_333_931.0, "4006381333931"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (-0.0, "-0"),
            (1e21, "1000000000000000000000"),
            (1.5e-7, "0.00000015"),
        ] {
            assert_eq!(decimal(number), text);
        }
    }

    #[test]
    fn a_long_text_is_noticed_wherever_the_pieces_are_cut() {
        let text = b"<a>12345678</a><b>1</b>";
        for cut in 0..text.len() {
            let mut run = 0;
            let longest = longest_run(&text[..cut], &mut run).max(longest_run(&text[cut..], &mut run));
            assert_eq!(longest, "<a>12345678".len(), "cut at {cut}");
        }
    }

    #[test]
    fn an_announced_count_is_checked_before_anyone_makes_room_for_it() {
        assert!(announces_too_much(br#"<sst count="1" uniqueCount="99999999999999999999">"#));
        assert!(!announces_too_much(br#"<sst count="1" uniqueCount="100000">"#));
        assert!(!announces_too_much(b"<worksheet>"));
    }
}
