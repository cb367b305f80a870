//! A workbook's sheet as text: a JSON array of cells a line, line *n* for the sheet's row *n*.
//!
//! Cells are what the workbook stores, not what it would show: a date is a date in ISO 8601, a number has the 15 digits
//! that Excel keeps, a formula is the value that was stored with it. A cell that holds an error, such as `#N/A`,
//! becomes `{"error": "#N/A"}`, one that holds a date `{"date": "2026-11-21"}`: neither can be taken for text.
//!
//! A workbook comes from strangers, and a few kilobytes of it unpack to gigabytes. So no more of it is held than the
//! limits say: [`limits::ARCHIVE_DIRECTORY_BYTES`] of its archive's directory, [`limits::WORKBOOK_HELD_BYTES`] of what
//! cells refer to, [`limits::WORKBOOK_TEXT_BYTES`] of what is being read. The rest passes by.

mod ambiguous;
mod cells;
mod held;
mod lines;
mod moment;
mod number;
mod text;
mod workbook;
mod xml;

use cells::{Extent, Holds, each_cell};
use lines::Lines;
use penstock_model::{
    Failure,
    advice::{Setting, shown},
    limits,
};
use workbook::{Sheet, Workbook};
use xml::Flaw;

use crate::upload::{Sink, Upload};

/// Bytes that are handed on at once, but for the rest of a row.
const PIECE_BYTES: usize = 64 * 1024;

/// What stands for the value of a cell whose formula has none that is stored.
pub(crate) const NOT_CALCULATED: &str = "a formula without a stored value";

/// What a workbook is found to hold before any of its rows is read.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// The name of the sheet that is to be read.
    pub(crate) sheet: String,
    /// The names of some others, for a message; none where a sheet is wanted.
    pub(crate) others: Vec<String>,
    /// Whether a text of the sheet may be a number that is read in two ways, as `1.234` is. Where it is not so, there
    /// is none.
    pub(crate) may_be_ambiguous: bool,
}

/// Looks whether a sheet can be read within the limits: the one that is wanted, or else the first of those that are
/// shown. So what is damaged or too large is known before any row is read.
///
/// # Errors
/// `unknown_sheet` with those that there are; `empty_file` where it holds nothing, with the sizes of the others;
/// `workbook_too_large` and `archive_too_large` with the part and the limit; `damaged_file`.
pub(crate) fn inspect(upload: impl Upload, bytes: u64, wanted: Option<&str>) -> Result<Inspected, Failure> {
    if bytes > limits::WORKBOOK_BYTES {
        return Err(too_large(format!("the workbook has {bytes} bytes, the limit is {}", limits::WORKBOOK_BYTES)));
    }
    let mut workbook = Workbook::open(upload)?;
    let sheet = choose(workbook.sheets(), wanted)?;
    let may_be_ambiguous = workbook.references()?.texts.may_be_ambiguous();
    let holds = workbook.read_sheet(sheet, Holds::read)?;
    if !holds.anything {
        return Err(empty(&mut workbook, sheet));
    }
    let sheets = workbook.sheets();
    let others = sheets.iter().enumerate().filter(|(at, _)| wanted.is_none() && *at != sheet);
    let others = others.map(|(_, other)| shown(&other.name)).take(limits::SHOWN_NAMES).collect();
    let may_be_ambiguous = may_be_ambiguous || holds.ambiguous;
    Ok(Inspected { sheet: sheets[sheet].name.clone(), others, may_be_ambiguous })
}

fn too_large(message: String) -> Failure {
    Failure::new("workbook_too_large", message)
}

fn damaged(what: &str) -> Failure {
    Failure::new("damaged_file", format!("the workbook cannot be read: {what}"))
}

/// Which sheet has this name, or the first.
fn choose(sheets: &[Sheet], wanted: Option<&str>) -> Result<usize, Failure> {
    let found = match wanted {
        None => (!sheets.is_empty()).then_some(0),
        Some(wanted) => sheets.iter().position(|sheet| sheet.name == wanted),
    };
    found.ok_or_else(|| {
        let names = listed(sheets.iter().map(quoted), sheets.len());
        let there = if sheets.is_empty() { "no sheet of cells".to_owned() } else { names };
        let message = match wanted {
            None => format!("the workbook has {there}"),
            Some(wanted) => format!("there is no sheet `{wanted}`; the workbook has {there}"),
        };
        Failure::new("unknown_sheet", message)
    })
}

/// That a sheet is empty, what others there are, and how to choose one: the first that holds something.
fn empty<U: Upload>(workbook: &mut Workbook<U>, sheet: usize) -> Failure {
    let name = quoted(&workbook.sheets()[sheet]);
    let count = workbook.sheets().len();
    let (mut others, mut choice) = (Vec::new(), None);
    for other in (0..count).filter(|other| *other != sheet).take(limits::SHOWN_NAMES) {
        let size = match workbook.read_sheet(other, Extent::read) {
            Ok(Extent { rows: 0, .. }) => "empty".to_owned(),
            Ok(Extent { rows, columns }) => {
                choice = choice.or(Some(other));
                format!("{rows} rows, {columns} columns")
            }
            Err(_) => "not readable".to_owned(),
        };
        others.push(format!("{} ({size})", quoted(&workbook.sheets()[other])));
    }
    let mut message = match count {
        1 => format!("the sheet {name} is empty, and there is no other"),
        _ => format!("the sheet {name} is empty; there is {}", listed(others.into_iter(), count - 1)),
    };
    if let Some(choice) = choice {
        let choice = Setting::Sheet.to(workbook.sheets()[choice].name.as_str());
        message.push_str(&format!("; to read that one, give {choice}"));
    }
    Failure::new("empty_file", message)
}

fn quoted(sheet: &Sheet) -> String {
    format!("`{}`", shown(&sheet.name))
}

/// Some of so many items as a list.
fn listed(items: impl Iterator<Item = String>, count: usize) -> String {
    let mut list = items.take(limits::SHOWN_NAMES).collect::<Vec<_>>().join(", ");
    if count > limits::SHOWN_NAMES {
        list.push_str(&format!(" and {} more", count - limits::SHOWN_NAMES));
    }
    list
}

/// Hands the rows of a sheet, the first if none is named, to `sink`. Rows that say nothing are blank lines, and so are
/// those above the row `header`, from 1.
///
/// # Errors
/// `damaged_file`, `unknown_sheet`, `sheet_too_large`, `too_many_columns` in the first row; `workbook_too_large` and
/// `archive_too_large` with the part and the limit.
pub fn each_row(upload: impl Upload, sheet: Option<&str>, header: u64, sink: Sink<'_>) -> Result<(), Failure> {
    let mut workbook = Workbook::open(upload)?;
    let sheet = choose(workbook.sheets(), sheet)?;
    let references = workbook.references()?;
    let (mut lines, mut written) = (Lines::below(header), 0);
    let mut is_wanted = true;
    workbook.read_sheet(sheet, |xml| {
        each_cell(xml, &references, |row, column, value| {
            lines.go_to(row)?;
            if lines.bytes.len() >= PIECE_BYTES && lines.is_between_rows() {
                written += lines.bytes.len() as u64;
                // Cells may refer to one long text over and over.
                if written > limits::WORKBOOK_UNPACKED_BYTES {
                    let limit = limits::WORKBOOK_UNPACKED_BYTES;
                    let message = format!("the sheet's cells hold more than {limit} bytes of text");
                    return Err(Flaw::Failed(too_large(message)));
                }
                is_wanted = sink(&lines.bytes).is_continue();
                lines.clear();
            }
            lines.cell(column, &value)?;
            Ok(is_wanted)
        })
    })?;
    if is_wanted {
        lines.end_row();
        let _ = sink(&lines.bytes);
    }
    Ok(())
}

/// The letters of a column, from 0.
pub(crate) fn letters(column: usize) -> String {
    let (before, last) = (column / 26, char::from(b'A' + (column % 26) as u8));
    let before = before.checked_sub(1).map(letters).unwrap_or_default();
    format!("{before}{last}")
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

#[cfg(test)]
mod tests;
