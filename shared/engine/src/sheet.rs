//! A workbook's sheet as text: a JSON array of cells a line, line *n* for the sheet's row *n*.
//!
//! Cells are what the workbook stores, not what it would show: a date is a date in ISO 8601, a number has the 15 digits that Excel keeps, a
//! formula is the value that was stored with it. A cell that holds an error, such as `#N/A`, becomes `{"error": "#N/A"}`, one that holds a
//! date `{"date": "2026-11-21"}`: neither can be taken for text.

mod inspector;

use std::io::{BufReader, Read};

use calamine::{DataRef, ExcelDateTime, Reader, Sheet, SheetType, SheetVisible, Xlsx, XlsxError};
use inspector::{Inspector, Oddity};
use penstock_model::{Failure, limits};
use zip::ZipArchive;

use crate::{
    strings::plain_bytes,
    upload::{Sink, Upload, archive_failure},
};

/// Bytes that are handed on at once, but for the rest of a row.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes that are read from the upload at once.
const READ_BYTES: usize = 256 * 1024;

/// Looks whether a workbook can be read within the limits, without holding any of it, and gives the names of its worksheets, those that are
/// shown first.
///
/// # Errors
/// `workbook_too_large` with the limit that it breaks; `damaged_file`.
pub(crate) fn inspect(mut upload: impl Upload, bytes: u64) -> Result<Vec<String>, Failure> {
    if bytes > limits::WORKBOOK_BYTES {
        return Err(too_large(format!("the workbook has {bytes} bytes, the limit is {}", limits::WORKBOOK_BYTES)));
    }
    let mut archive = ZipArchive::new(BufReader::with_capacity(READ_BYTES, &mut upload)).map_err(archive_failure)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut all = 0;
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).map_err(archive_failure)?;
        let name: String = part.name().map_err(archive_failure)?.chars().take(100).collect();
        let lower = name.to_ascii_lowercase();
        let is_text = lower.ends_with(".xml") || lower.ends_with(".rels");
        let is_sheet = is_text && lower.contains("worksheets/") && !lower.ends_with(".rels");
        let (mut own, mut inspector) = (0, Inspector::default());
        loop {
            let read = part.read(&mut buffer).map_err(|_| damaged(&format!("part {name} does not unpack")))?;
            if read == 0 {
                break;
            }
            own += read as u64;
            all += read as u64;
            if all > limits::WORKBOOK_UNPACKED_BYTES {
                let limit = limits::WORKBOOK_UNPACKED_BYTES;
                return Err(too_large(format!("the workbook unpacks to more than {limit} bytes")));
            }
            if !is_sheet && own > limits::WORKBOOK_PART_BYTES {
                let limit = limits::WORKBOOK_PART_BYTES;
                return Err(too_large(format!("the workbook's part {name} unpacks to more than {limit} bytes")));
            }
            if is_text {
                inspector.look(&buffer[..read]).map_err(|what| match what {
                    Oddity::LongText => {
                        let limit = limits::WORKBOOK_TEXT_BYTES;
                        too_large(format!("the workbook's part {name} has a text of more than {limit} bytes"))
                    }
                    Oddity::Declaration => damaged(&format!("part {name} has comments, CDATA or a document type")),
                    Oddity::Announcement => damaged(&format!("part {name} announces more strings than it can hold")),
                })?;
            }
        }
    }
    drop(archive);
    upload.rewind().map_err(|_| damaged("it cannot be read"))?;
    Ok(worksheets(&open(upload)?))
}

/// The names of the worksheets, those that are shown first. Chart sheets and macros hold no rows.
fn worksheets<R: Upload>(workbook: &Xlsx<BufReader<R>>) -> Vec<String> {
    let mut sheets: Vec<&Sheet> =
        workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).collect();
    sheets.sort_by_key(|sheet| sheet.visible != SheetVisible::Visible);
    sheets.into_iter().map(|sheet| sheet.name.clone()).collect()
}

#[cold]
fn too_many_columns(column: u32) -> Failure {
    let message = format!("the first row has a cell in column {}, the limit is {}", column + 1, limits::COLUMNS);
    Failure::new("too_many_columns", message)
}

fn too_large(message: String) -> Failure {
    Failure::new("workbook_too_large", message)
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
    let name = choose(&worksheets(&workbook), sheet)?;
    let mut cells = workbook.worksheet_cells_reader(&name).map_err(unreadable)?;
    let mut text = Text::default();
    let mut written = 0;
    while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(unreadable)? {
        let (row, column) = cell.pos;
        text.go_to(row)?;
        if text.bytes.len() >= PIECE_BYTES && !text.in_row {
            written += text.bytes.len() as u64;
            // Cells may refer to one long text over and over.
            if written > limits::WORKBOOK_UNPACKED_BYTES {
                let limit = limits::WORKBOOK_UNPACKED_BYTES;
                return Err(too_large(format!("the sheet's cells hold more than {limit} bytes of text")));
            }
            if sink(&text.bytes).is_break() {
                return Ok(());
            }
            text.bytes.clear();
            text.row_start = 0;
        }
        match (&cell.value, cell.formula) {
            // Whoever wrote the workbook did not reckon.
            (DataRef::Empty, Some(_)) => text.tagged_cell(column, "error", "a formula without a stored value")?,
            (value, _) => text.cell(column, value)?,
        }
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
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Where in them the row starts that is being written.
    row_start: usize,
    /// The row that is being written, from 0.
    row: u32,
    /// Cells of it that have been written.
    column: u32,
    in_row: bool,
    /// Columns of the first row, beyond which one more cell of a row is enough to tell that it has too many.
    most: Option<u32>,
}

impl Text {
    #[inline]
    fn go_to(&mut self, row: u32) -> Result<(), Failure> {
        if row == self.row { Ok(()) } else { self.go_down_to(row) }
    }

    fn go_down_to(&mut self, row: u32) -> Result<(), Failure> {
        if row >= limits::SHEET_ROWS {
            let message = format!("the sheet has a row {}, the limit is {}", u64::from(row) + 1, limits::SHEET_ROWS);
            return Err(Failure::new("sheet_too_large", message));
        }
        if row < self.row {
            return Err(damaged("its rows are not in their order"));
        }
        self.end_row();
        // Rows that the sheet leaves out are empty lines, so that lines are rows.
        self.bytes.resize(self.bytes.len() + (row - self.row) as usize, b'\n');
        self.row = row;
        self.row_start = self.bytes.len();
        Ok(())
    }

    fn end_row(&mut self) {
        if self.in_row {
            self.bytes.push(b']');
            self.most.get_or_insert(self.column);
        }
        (self.in_row, self.column) = (false, 0);
    }

    #[inline]
    fn cell(&mut self, column: u32, value: &DataRef<'_>) -> Result<(), Failure> {
        if !matches!(value, DataRef::Empty) && self.has_room(column)? {
            self.value(value);
        }
        Ok(())
    }

    fn tagged_cell(&mut self, column: u32, tag: &str, text: &str) -> Result<(), Failure> {
        if self.has_room(column)? {
            self.tagged(tag, text);
        }
        Ok(())
    }

    /// Goes to a cell of the row. `false` where it makes no difference any more: the row has too many cells, or is too long, already.
    #[inline]
    fn has_room(&mut self, column: u32) -> Result<bool, Failure> {
        let row_bytes = self.bytes.len() - self.row_start.min(self.bytes.len());
        if self.most.is_some_and(|most| self.column > most) || row_bytes > limits::RECORD_BYTES {
            return Ok(false);
        }
        if column < self.column {
            return Err(damaged("its cells are not in their order"));
        }
        // A cell that far out makes the row one with too many cells wherever exactly it stands.
        let column = self.most.map_or(column, |most| column.min(most.max(limits::COLUMNS as u32)));
        if self.most.is_none() && column as usize >= limits::COLUMNS {
            return Err(too_many_columns(column));
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
        self.column = column + 1;
        Ok(true)
    }

    #[inline]
    fn value(&mut self, value: &DataRef<'_>) {
        match value {
            DataRef::Int(number) => self.plain(number),
            DataRef::Float(number) => match few_digits(*number) {
                Some((digits, 0)) => self.plain(&digits),
                Some((digits, scale)) => self.pointed(digits, scale),
                None => match decimal(*number) {
                    Some(text) => self.bytes.extend_from_slice(text.as_bytes()),
                    None => self.tagged("error", "a number of more digits than a workbook keeps"),
                },
            },
            DataRef::Bool(boolean) => self.plain(boolean),
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

    #[inline]
    fn json(&mut self, text: &str) {
        if plain_bytes(text.as_bytes()).is_none() {
            self.bytes.reserve(text.len() + 2);
            self.bytes.push(b'"');
            self.bytes.extend_from_slice(text.as_bytes());
            return self.bytes.push(b'"');
        }
        self.plain(text);
    }

    fn plain<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        serde_json::to_writer(&mut self.bytes, value).expect("writing text to memory succeeds");
    }

    /// Writes digits, the last `scale` of them behind a point.
    fn pointed(&mut self, digits: i64, scale: usize) {
        if digits < 0 {
            self.bytes.push(b'-');
        }
        let start = self.bytes.len();
        self.plain(&digits.unsigned_abs());
        let missing = (scale + 1).saturating_sub(self.bytes.len() - start);
        self.bytes.splice(start..start, std::iter::repeat_n(b'0', missing));
        self.bytes.insert(self.bytes.len() - scale, b'.');
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

/// The digits of a number that has 15 or fewer, four or fewer of them behind its point, and how many those are; nearly all are such.
///
/// A number of so many digits is the only one that reads as its `f64` (IEEE 754 keeps 15), and dividing by a power of ten rounds correctly:
/// so if digits over that power are the number again, they are its digits.
fn few_digits(number: f64) -> Option<(i64, usize)> {
    [1.0, 10.0, 100.0, 1_000.0, 10_000.0].into_iter().enumerate().find_map(|(scale, power)| {
        let digits = (number * power).round();
        let is_it = digits / power == number && digits.abs() < 1e15 && !(digits == 0.0 && number.is_sign_negative());
        is_it.then_some((digits as i64, scale))
    })
}

/// A number with the digits that Excel keeps: 15, so that a price of 19.99 is 19.99; whole ones exactly up to 2^53, beyond which a workbook's
/// numbers do not tell which of several was meant.
fn decimal(number: f64) -> Option<String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 {
        let whole =
            || if number == 0.0 && number.is_sign_negative() { "-0".to_owned() } else { (number as i64).to_string() };
        return (number.abs() <= EXACT).then(whole);
    }
    // The shortest text that is this number has at most 15 digits where rounding to 15 changes nothing, which is nearly always.
    let shortest = number.to_string();
    if shortest.len() <= 15 {
        return Some(shortest);
    }
    let rounded: f64 = format!("{number:.14e}").parse().ok()?;
    Some(rounded.to_string())
}

/// A moment in ISO 8601: a date where it has no time, a time where it has no date.
fn date(moment: &ExcelDateTime) -> String {
    if moment.is_duration() {
        let seconds = (moment.as_f64() * 86_400.0).round() as i64;
        return format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, millisecond) = moment.to_ymd_hms_milli();
    let mut time = format!("{hour:02}:{minute:02}:{second:02}");
    if millisecond > 0 {
        time.push_str(&format!(".{millisecond:03}"));
    }
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_that_a_workbook_cannot_tell_apart_are_none() {
        assert_eq!((decimal(1e21), decimal(340_123_450_000_000_018.0)), (None, None));
    }

    #[test]
    fn numbers_have_the_digits_that_excel_shows() {
        for (number, text) in [
            (19.99, "19.99"),
            (0.1 + 0.2, "0.3"),
            (4_006_381_333_931.0, "4006381333931"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (-0.0, "-0"),
            (1.5e-7, "0.00000015"),
        ] {
            assert_eq!(decimal(number).as_deref(), Some(text));
        }
    }

    proptest! {
        #![proptest_config(crate::cases(8000))]

        #[test]
        fn numbers_of_few_digits_are_written_like_all_others(digits in -20_000_000i64..20_000_000, scale in 0usize..7, more in any::<f64>()) {
            let short = format!("{digits}e-{scale}").parse().expect("a number");
            for number in [short, more, more % 1e6, more.round()] {
                let mut text = Text::default();
                text.value(&DataRef::Float(number));
                if let Some(wanted) = decimal(number) {
                    prop_assert_eq!(String::from_utf8_lossy(&text.bytes).into_owned(), wanted);
                }
            }
            prop_assert!(few_digits(short).is_some() == (decimal(short).expect("short").split('.').nth(1).is_none_or(|behind| behind.len() <= 4)));
        }
    }

    fn inspected(part: &str, cut: usize) -> Result<(), Oddity> {
        let (before, behind) = part.as_bytes().split_at(cut);
        let mut inspector = Inspector::default();
        inspector.look(before)?;
        inspector.look(behind)
    }

    #[test]
    fn what_a_reader_would_hold_at_once_is_noticed_wherever_the_pieces_are_cut() {
        let long = "x".repeat(limits::WORKBOOK_TEXT_BYTES + 1);
        let brackets = "<".repeat(limits::WORKBOOK_TEXT_BYTES + 1);
        for part in [format!("<a>{long}</a>"), format!("<a b='{brackets}'/>"), format!("<a {long}=\"\">")] {
            for cut in [0, 2, 5, 1000] {
                assert!(matches!(inspected(&part, cut), Err(Oddity::LongText)), "{}", &part[..10]);
            }
        }
        for part in ["<a><![CDATA[x]]></a>", "<a><!-- x --></a>", "<!DOCTYPE a>", "<?xml?><a/><?x?>"] {
            assert!((0..part.len()).all(|cut| matches!(inspected(part, cut), Err(Oddity::Declaration))), "{part}");
        }
        let fine = "<?xml version='1.0'?><sst count=\"7\" uniqueCount=\"100000\"><si><t>a > b</t></si></sst>";
        assert!((0..fine.len()).all(|cut| inspected(fine, cut).is_ok()));
    }

    #[test]
    fn an_announced_count_is_checked_before_anyone_makes_room_for_it() {
        for part in [
            "<sst uniqueCount=\"99999999999999\">",
            "<sst uniqueCount  =\n'99999999999999'>",
            "<sst uuniqueCount=99999999999999>",
        ] {
            assert!((0..part.len()).all(|cut| matches!(inspected(part, cut), Err(Oddity::Announcement))), "{part}");
        }
    }
}
