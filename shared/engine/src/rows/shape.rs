//! The shape of a row: whether it has the cells that its header names, and whether it is a record at all or what
//! programs write around records.

use std::borrow::Cow;

use penstock_model::advice::Setting;

use super::{Finding, RowReader, cells::RecordCells, ragged};
use crate::{
    cell::CellError,
    invisible::{is_blank, trimmed},
    mapping::ADDED,
    sheet,
};

impl RowReader<'_> {
    /// Whether a row whose landmark begins with this byte may be no record, so that it is worth a look at all of it.
    #[inline]
    fn may_be_no_record(&self, first: u8) -> bool {
        !first.is_ascii_graphic() || first == b'-' || first == self.landmark.1
    }

    /// Checks that a delimited row has the cells that the header names. Surplus cells that say nothing are as good as
    /// none, and so are missing cells of columns without a name.
    #[inline]
    pub(super) fn delimited_shape(&self, cells: RecordCells<'_>) -> Result<(), Finding> {
        let columns = self.plan.columns().len();
        if cells.len() == columns && !self.may_be_no_record(cells.first_byte(self.landmark.0)) {
            return Ok(());
        }
        self.odd_shape(cells)
    }

    #[inline(never)]
    fn odd_shape(&self, cells: RecordCells<'_>) -> Result<(), Finding> {
        let text = |at: usize| match cells.get(at) {
            Some(cell) => String::from_utf8_lossy(cell),
            None => Cow::Borrowed(""),
        };
        let columns = self.plan.columns().len();
        let is_short = cells.len() < self.plan.least_cells() && !self.takes_short;
        // `Screws, 100 pieces` without quotes moves all cells behind it, and the last, which may be empty, is one too
        // many. A delimiter that moves cells leaves one surplus cell and at most one space. Where more cells begin with
        // a space, and none begins otherwise, delimiters are written so in this file.
        let is_spaced = |at: usize| text(at).starts_with(' ');
        let spaced = || (1..columns).filter(|at| is_spaced(*at)).count();
        let are_all = || (1..columns).all(|at| is_spaced(at) || text(at).is_empty());
        let is_moved = || spaced() > 0 && !(spaced() > cells.len() - columns && are_all());
        let says_more = || (columns..cells.len()).any(|at| !is_blank(&text(at)));
        if is_short || cells.len() > columns && (says_more() || is_moved()) {
            let is_escaped =
                cells.texts().any(|(_, cell)| cell.ends_with(b"\\") || memchr::memmem::find(cell, b"\\\"").is_some());
            let mut message = ragged(cells.len(), columns);
            if is_escaped && !self.takes_escapes {
                let option = Setting::Escape.to("\\");
                message.push_str(&format!("; if \\\" is a quote in a cell, give {option}"));
            }
            return Err(Finding::row("ragged_row", message));
        }
        self.is_record(cells.len(), text)
    }

    /// Checks that a sheet's row is a record.
    #[inline]
    pub(super) fn sheet_shape(&self, landmark: Option<&str>, bytes: &[u8]) -> Result<(), Finding> {
        let first = landmark.and_then(|cell| cell.strip_prefix('"').unwrap_or(cell).bytes().next());
        if !first.is_some_and(|first| self.may_be_no_record(first)) {
            return Ok(());
        }
        let cells = sheet::cells_as_text(bytes);
        self.is_record(cells.len(), |at| Cow::Borrowed(cells.get(at).map_or("", String::as_str)))
    }

    /// Checks that a row is neither the header again nor a line of dashes, as programs draw it below a header.
    fn is_record<'t>(&self, cells: usize, text: impl Fn(usize) -> Cow<'t, str>) -> Result<(), Finding> {
        let header = self.plan.header();
        // In a rejected rows file the row has its reasons before it.
        let is_added = |at: usize| header.get(at).is_some_and(|name| ADDED.contains(&name.as_str()));
        let is_name = |(at, name): (usize, &String)| is_added(at) || trimmed(&text(at)) == trimmed(name);
        if !header.is_empty() && header.iter().enumerate().all(is_name) {
            let message = "the row is the header again, so it is no record: take it out, or leave it rejected";
            return Err(Finding::row("repeated_header", message.to_owned()));
        }
        let dashes = |at: usize| {
            let (cell, is_unnamed) = (text(at), header.get(at).is_none_or(String::is_empty));
            let cell = trimmed(&cell);
            let is_line = cell.bytes().all(|byte| byte == b'-') && (is_unnamed || !cell.is_empty());
            is_line.then_some(cell.len())
        };
        let mut lengths = (0..cells.max(self.plan.least_cells())).filter(|at| !is_added(*at)).map(dashes);
        if let Some(longest) = lengths.try_fold(0, |longest, length| Some(longest.max(length?)))
            && longest > 1
        {
            let message = "the row is a line of dashes, so it is no record: take it out, or leave it rejected";
            return Err(Finding::row("separator_row", message.to_owned()));
        }
        Ok(())
    }
}

/// Checks that a key's text was not written by a spreadsheet that took it for a number: `5.90123E+12`, or with a comma.
/// `1E5` and `12E3` are keys like any other.
#[inline]
pub(super) fn spelt_out(key: &[u8]) -> Result<(), CellError> {
    match key {
        [b'1'..=b'9', b'.' | b',', rest @ ..] if ends_scientific(rest) => Err(CellError::new(
            "scientific_key",
            "a spreadsheet wrote this key in scientific notation, so digits of it are lost: format its column as text \
             there, fill in the whole keys, and save the file again",
        )),
        _ => Ok(()),
    }
}

/// Whether digits, `E+` and two or three digits follow the point.
fn ends_scientific(rest: &[u8]) -> bool {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let exponent = rest[digits..].strip_prefix(b"E+");
    let is_exponent =
        |exponent: &[u8]| matches!(exponent.len(), 2 | 3) && exponent.iter().all(|byte| byte.is_ascii_digit());
    digits > 0 && exponent.is_some_and(is_exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_excel_writes_is_a_key_without_its_digits() {
        for key in ["5.90123E+12", "5,90123E+12", "1.0E+10", "4.00638E+123"] {
            assert_eq!(spelt_out(key.as_bytes()).expect_err(key).code, "scientific_key");
        }
        for key in ["1E5", "12E3", "1E+12", "5.90123E12", "5.90123e+12", "59.0123E+12", "5.E+12", "0.5E+12", "5.9E+1"] {
            assert_eq!(spelt_out(key.as_bytes()), Ok(()), "{key}");
        }
        for key in ["", "5", "5.", "5.9E+1a", "5.9E-12", "X5.90123E+12", "5.90123E+12-B", "5.90123E+1234"] {
            assert_eq!(spelt_out(key.as_bytes()), Ok(()), "{key}");
        }
    }
}
