//! A sheet's rows as they are handed on: a JSON array of cells a line.

use penstock_model::{Failure, limits};

use super::{
    cells::Value,
    damaged, moment,
    number::{decimal, few_digits},
};
use crate::{invisible::is_blank, strings::plain_bytes};

/// Rows as they are written.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    /// Where in them the row starts that is being written.
    row_start: usize,
    /// The row that is being written, from 0.
    row: u32,
    /// Cells of it that have been written.
    column: u32,
    /// Where its last cell was, and the next one may be.
    next_column: u32,
    in_row: bool,
    /// Whether any of its cells says something.
    says: bool,
    /// The row of the header, from 0. What is above it is left out.
    header: u32,
    /// Columns of the header. Behind them a text that says nothing is nothing.
    most: Option<u32>,
}

impl Lines {
    /// The rows from that of the header on, which is counted from 1.
    pub(super) fn below(header: u64) -> Self {
        Self { header: u32::try_from(header.saturating_sub(1)).unwrap_or(u32::MAX), ..Self::default() }
    }

    /// Whether all that is written is whole rows.
    pub(super) fn is_between_rows(&self) -> bool {
        !self.in_row
    }

    /// Forgets what has been written, which is whole rows.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.row_start = 0;
    }

    /// Goes to a row, the one that is being written or a later one.
    ///
    /// # Errors
    /// `sheet_too_large`, `damaged_file` where the row has been passed.
    #[inline]
    pub(super) fn go_to(&mut self, row: u32) -> Result<(), Failure> {
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

    /// Ends the row that is being written. Of one whose cells all say nothing its line alone is left: it is a blank
    /// row.
    pub(super) fn end_row(&mut self) {
        if self.in_row && self.says {
            self.bytes.push(b']');
            self.most.get_or_insert(self.column);
        } else if self.in_row {
            self.bytes.truncate(self.row_start);
        }
        (self.in_row, self.says, self.column, self.next_column) = (false, false, 0, 0);
    }

    /// Writes a cell of the row.
    ///
    /// # Errors
    /// `too_many_columns` in the first row, `damaged_file` where the cell has been passed.
    #[inline]
    pub(super) fn cell(&mut self, column: u32, value: &Value<'_>) -> Result<(), Failure> {
        if matches!(value, Value::Empty) || self.row < self.header {
            return Ok(());
        }
        if column < self.next_column {
            return Err(damaged("its cells are not in their order"));
        }
        self.next_column = column + 1;
        let is_surplus = self.most.is_some_and(|most| column >= most);
        // Of a row that says something it makes no difference.
        let says = self.says && !is_surplus || !matches!(value, Value::Text(text) if is_blank(text));
        if is_surplus && !says {
            return Ok(());
        }
        if self.go_right_to(column)? {
            self.says |= says;
            self.value(value);
        }
        Ok(())
    }

    /// Goes to a cell of the row. `false` where the row is too long already, for which it will be rejected.
    #[inline]
    fn go_right_to(&mut self, column: u32) -> Result<bool, Failure> {
        if self.bytes.len() - self.row_start > limits::RECORD_BYTES {
            return Ok(false);
        }
        if column as usize >= limits::COLUMNS && self.most.is_none() {
            return Err(too_many_columns(column));
        }
        // Cells so far out make the row one with too many of them; how far out they are makes no difference.
        let column = column.min(self.column.max(limits::COLUMNS as u32));
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
    fn value(&mut self, value: &Value<'_>) {
        match *value {
            Value::Empty => self.bytes.extend(b"null"),
            Value::Text(text) => self.json(text),
            Value::Number(number) => self.number(number),
            Value::Boolean(boolean) => self.plain(&boolean),
            Value::Moment { days, is_1904 } => self.date(moment::moment(days, is_1904)),
            Value::Elapsed { days } => self.date(moment::elapsed(days)),
            Value::Date(text) => self.tagged("date", text),
            Value::Error(text) => self.tagged("error", text),
        }
    }

    #[inline]
    pub(super) fn number(&mut self, number: f64) {
        match few_digits(number) {
            Some((digits, 0)) => self.plain(&digits),
            Some((digits, scale)) => self.pointed(digits, scale),
            None => match decimal(number) {
                Some(text) => self.bytes.extend_from_slice(text.as_bytes()),
                None => self.tagged("error", "a number of more digits than a workbook keeps"),
            },
        }
    }

    fn date(&mut self, text: Option<String>) {
        match text {
            Some(text) => self.tagged("date", &text),
            None => self.tagged("error", "a date that Excel's calendar does not have"),
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

#[cold]
fn too_many_columns(column: u32) -> Failure {
    let message = format!("the first row has a cell in column {}, the limit is {}", column + 1, limits::COLUMNS);
    Failure::new("too_many_columns", message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(number: f64) -> String {
        let mut lines = Lines::default();
        lines.number(number);
        String::from_utf8(lines.bytes).expect("text")
    }

    proptest! {
        #![proptest_config(crate::cases(8000))]

        #[test]
        fn numbers_of_few_digits_are_written_like_all_others(digits in -20_000_000i64..20_000_000, scale in 0usize..7, more in any::<f64>()) {
            let short = format!("{digits}e-{scale}").parse().expect("a number");
            for given in [short, more, more % 1e6, more.round()] {
                if let Some(wanted) = decimal(given) {
                    prop_assert_eq!(number(given), wanted);
                }
            }
            prop_assert!(few_digits(short).is_some() == (decimal(short).expect("short").split('.').nth(1).is_none_or(|behind| behind.len() <= 4)));
        }
    }

    fn rows(cells: &[(u32, u32, Value<'_>)]) -> String {
        let mut lines = Lines::default();
        for (row, column, value) in cells {
            lines.go_to(*row).expect("in order");
            lines.cell(*column, value).expect("in order");
        }
        lines.end_row();
        String::from_utf8(lines.bytes).expect("text")
    }

    #[test]
    fn a_row_of_nothing_but_empty_texts_is_blank() {
        let (text, empty) = (Value::Text, Value::Text(""));
        let cells = [
            (1, 0, empty),
            (1, 3, text("\u{a0} ")),
            (2, 0, text("a")),
            (2, 1, empty),
            (2, 2, text("c")),
            (3, 1, empty),
        ];
        assert_eq!(rows(&cells), "\n\n[\"a\",\"\",\"c\"]\n");
        assert_eq!(rows(&[(0, 1, empty)]), "");
    }

    #[test]
    fn behind_the_columns_of_the_first_row_empty_texts_are_nothing_and_all_else_is_whole() {
        let (text, empty) = (Value::Text, Value::Text(""));
        let cells =
            [(0, 0, text("a")), (1, 0, empty), (1, 1, empty), (1, 2, text("x")), (1, 3, empty), (1, 5, text("y"))];
        assert_eq!(rows(&cells), "[\"a\"]\n[\"\",null,\"x\",null,null,\"y\"]");
        let far = [(0, 0, text("a")), (1, 16_000, text("x")), (1, 16_100, text("y"))];
        let gap = ",null".repeat(limits::COLUMNS - 1);
        assert_eq!(rows(&far), format!("[\"a\"]\n[null{gap},\"x\",\"y\"]"));
    }

    #[test]
    fn what_is_no_order_and_what_is_too_much_is_refused() {
        let mut lines = Lines::default();
        lines.go_to(1).expect("forwards");
        lines.cell(1, &Value::Boolean(true)).expect("forwards");
        assert_eq!(lines.go_to(0).expect_err("back").code, "damaged_file");
        assert_eq!(lines.cell(1, &Value::Boolean(true)).expect_err("back").code, "damaged_file");
        let wide = lines.cell(limits::COLUMNS as u32, &Value::Boolean(true)).expect_err("too far");
        assert_eq!((wide.code.as_str(), wide.message.contains("1001")), ("too_many_columns", true));
        assert_eq!(lines.go_to(limits::SHEET_ROWS).expect_err("too far").code, "sheet_too_large");
    }
}
