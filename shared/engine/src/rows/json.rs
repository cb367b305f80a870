//! Rows that are JSON: objects, and the arrays of a sheet's rows.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Finding, RowBuffer, RowReader, flat::Flat, not_in_encoding, shape::spelt_out, text};
use crate::{
    cell::{Cell, CellError, CellResult, Input},
    members::{JsonString, Members},
    rejected, sheet,
};

impl RowReader<'_> {
    /// Reads the JSON object at the start of a text, if it is one that [`flat`] reads, and gives its length. Of any
    /// other object the buffer may hold a part, which does not count.
    pub(super) fn flat<'r>(&mut self, buffer: &mut RowBuffer<'r>, text: &'r str) -> Option<usize> {
        let mut flat = Flat::open(text)?;
        for place in 0.. {
            let field = match self.plan.expected_at(place) {
                Some((name, field)) if flat.pass_name(name).is_some() => field,
                _ => self.plan.member_at(place, flat.name()?),
            };
            let (input, shown) = flat.value()?;
            if let Some(field) = field
                && self.is_first(buffer, field, || Cow::Borrowed(shown.as_bytes()))
            {
                self.cell(buffer, field, input, shown.as_bytes());
            }
            if !flat.goes_on()? {
                break;
            }
        }
        self.not_named(buffer);
        Some(flat.length())
    }

    /// Reads a row that should be a JSON object. [`flat`] is tried first, unless it has been.
    pub(super) fn object<'r>(
        &mut self,
        buffer: &mut RowBuffer<'r>,
        bytes: &'r [u8],
        may_be_flat: bool,
    ) -> Result<(), Finding> {
        let row = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
        if may_be_flat {
            if self.flat(buffer, row) == Some(row.len()) {
                return Ok(());
            }
            self.begin(buffer);
        }
        let Members::<&RawValue>(members) = serde_json::from_str(row).map_err(|error| not_an_object(row, &error))?;
        for (name, value) in members {
            if let Some(field) = self.plan.member(&name)
                && self.is_first(buffer, field, || shown(value.get()).unwrap_or(Cow::Borrowed(b"null")))
            {
                self.json_cell(buffer, field, value);
            }
        }
        self.not_named(buffer);
        Ok(())
    }

    /// Whether no member of the row before meant this field; another one is an error.
    #[inline]
    fn is_first<'v>(
        &mut self,
        buffer: &mut RowBuffer<'_>,
        field: usize,
        shown: impl FnOnce() -> Cow<'v, [u8]>,
    ) -> bool {
        if self.named_by.len() <= field {
            self.named_by.resize(self.plan.kind().fields().len(), 0);
        }
        if std::mem::replace(&mut self.named_by[field], self.begun) != self.begun {
            return true;
        }
        let field = self.plan.kind().field(field).name();
        let error = CellError {
            path: String::new(),
            code: "duplicate_member",
            message: "two members of the row mean this field".to_owned(),
        };
        buffer.findings.push(Finding::cell(field, &shown(), error));
        false
    }

    /// Checks the fields that are required and that the row does not name.
    fn not_named(&self, buffer: &mut RowBuffer<'_>) {
        for (at, field) in self.plan.kind().fields().iter().enumerate() {
            let is_named = self.named_by.get(at).is_some_and(|by| *by == self.begun);
            if field.is_required() && !is_named && self.plan.reads(at) {
                self.cell(buffer, at, Input::Null, b"");
            }
        }
    }

    /// Reads a sheet's row. Cells that are missing at its end count as empty.
    pub(super) fn sheet_row<'r>(&mut self, buffer: &mut RowBuffer<'r>, bytes: &'r [u8]) -> Result<(), Finding> {
        let row = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
        let row: Vec<&RawValue> = serde_json::from_str(row).map_err(|error| not_an_object(row, &error))?;
        self.sheet_shape(row.get(self.landmark.0).map(|cell| cell.get()), bytes)?;
        let columns = self.plan.columns().len();
        if row.len() > columns {
            let message = format!(
                "the row has a cell in column {} ({}), the first row names {columns}: name that column too, or empty the cell",
                row.len(),
                sheet::letters(row.len() - 1)
            );
            return Err(Finding::row("ragged_row", message));
        }
        for at in 0..columns {
            let Some(field) = self.plan.columns()[at] else { continue };
            match row.get(at) {
                None => self.cell(buffer, field, Input::Null, b""),
                Some(cell) if cell.get() == "null" => self.cell(buffer, field, Input::Null, b""),
                Some(cell) => match tagged(cell.get()) {
                    Some(Tagged { error: Some(shown), .. }) => {
                        let field = self.plan.kind().field(field).name();
                        buffer.findings.push(error_in_sheet(field, &shown));
                    }
                    Some(Tagged { date: Some(date), .. }) => self.date(buffer, field, &date),
                    _ => match unquoted(cell.get()).and_then(rejected::error_of).filter(|_| self.is_of_rejected) {
                        Some(shown) => {
                            let field = self.plan.kind().field(field).name();
                            buffer.findings.push(error_in_sheet(field, shown));
                        }
                        None => self.json_cell(buffer, field, cell),
                    },
                },
            }
        }
        for &(column, field) in &self.text_keys {
            if let Some(key) = row.get(column).and_then(|cell| unquoted(cell.get()))
                && let Err(error) = spelt_out(key)
            {
                let name = self.plan.kind().field(field).name();
                buffer.findings.retain(|found| found.field.as_deref() != Some(name));
                buffer.findings.push(Finding::cell(name, key, error));
            }
        }
        Ok(())
    }

    /// The members of an object that are these fields, as errors show them.
    pub(super) fn members_of<'r>(&mut self, fields: &[usize], bytes: &'r [u8]) -> Vec<Option<Cow<'r, [u8]>>> {
        let Ok(Members::<&RawValue>(members)) = serde_json::from_slice(bytes) else { return Vec::new() };
        let mut found = vec![None; fields.len()];
        for (name, value) in members {
            let field = self.plan.member(&name);
            if let Some(place) = fields.iter().position(|of_key| Some(*of_key) == field) {
                found[place] = found[place].take().or_else(|| shown(value.get()));
            }
        }
        found
    }

    /// The cells of a sheet's row that are these fields, as errors show them.
    pub(super) fn sheet_cells_of<'r>(&self, fields: &[usize], bytes: &'r [u8]) -> Vec<Option<Cow<'r, [u8]>>> {
        let Ok(row) = serde_json::from_slice::<Vec<&RawValue>>(bytes) else { return Vec::new() };
        let cell = |field: &usize| {
            let column = self.plan.columns().iter().position(|column| *column == Some(*field))?;
            let cell = row.get(column)?.get();
            match tagged(cell) {
                // An error names no record.
                Some(Tagged { date, .. }) => date.map(|text| Cow::Owned(text.into_owned().into_bytes())),
                None => shown(cell),
            }
        };
        fields.iter().map(cell).collect()
    }

    /// A cell of a sheet's row, as errors show it.
    pub(super) fn sheet_cell_of<'r>(&self, column: usize, bytes: &'r [u8]) -> Option<Cow<'r, [u8]>> {
        let row = serde_json::from_slice::<Vec<&RawValue>>(bytes).ok()?;
        shown(row.get(column)?.get())
    }

    /// A member of an object that a file of rejected rows adds, as errors show it; `None` where it is a field.
    pub(super) fn added_member_of<'r>(&mut self, name: &str, bytes: &'r [u8]) -> Option<Cow<'r, [u8]>> {
        memchr::memmem::find(bytes, name.as_bytes())?;
        if self.plan.member(name).is_some() {
            return None;
        }
        let Members::<&RawValue>(members) = serde_json::from_slice(bytes).ok()?;
        shown(members.into_iter().find(|(own, _)| own == name)?.1.get())
    }

    fn date(&self, buffer: &mut RowBuffer<'_>, field: usize, date: &str) {
        let checked = self.plan.kind().field(field).check(Input::Date(date));
        self.take(buffer, field, owned(checked), date.as_bytes());
    }

    fn json_cell<'r>(&self, buffer: &mut RowBuffer<'r>, field: usize, value: &'r RawValue) {
        let (raw, check) = (value.get(), self.plan.kind().field(field));
        // A rejected rows file writes a sheet's dates like this, and may be imported again.
        if let (true, Some(Tagged { date: Some(date), .. })) = (check.is_temporal(), tagged(raw)) {
            return self.date(buffer, field, &date);
        }
        let checked = match raw.as_bytes().first() {
            Some(b'"') => match serde_json::from_str(raw) {
                Ok(JsonString(Cow::Borrowed(string))) => match text(string.as_bytes()) {
                    Ok(string) => return self.cell(buffer, field, Input::Text(string), string.as_bytes()),
                    Err(error) => Err(vec![error]),
                },
                // The text of a string with escapes is not in the row, so it cannot be borrowed.
                Ok(JsonString(Cow::Owned(string))) => match text(string.as_bytes()) {
                    Ok(text) => {
                        let checked = owned(check.check(Input::Text(text)));
                        return self.take(buffer, field, checked, string.as_bytes());
                    }
                    Err(error) => Err(vec![error]),
                },
                Err(_) => Err(vec![CellError {
                    path: String::new(),
                    code: "invalid_json",
                    message: "an escape in the string is no character".to_owned(),
                }]),
            },
            Some(b'n') | None => check.check(Input::Null),
            Some(b't') => check.check(Input::Boolean(true)),
            Some(b'f') => check.check(Input::Boolean(false)),
            Some(b'{' | b'[') => check.check(Input::Json(raw)),
            Some(_) => check.check(Input::Number(raw)),
        };
        self.take(buffer, field, checked, raw.as_bytes());
    }
}

/// What stands between the quotes of a JSON string.
fn unquoted(raw: &str) -> Option<&[u8]> {
    raw.strip_prefix('"')?.strip_suffix('"').map(str::as_bytes)
}

/// That a sheet's cell holds an error. A formula that nobody has calculated shows nothing, so there is no cell to show.
pub(super) fn error_in_sheet(field: &str, shown: &str) -> Finding {
    let is_not_calculated = shown == sheet::NOT_CALCULATED;
    let message = match is_not_calculated {
        true => {
            "the formula in this cell has no stored value: open the workbook in a spreadsheet and save it".to_owned()
        }
        false => format!("the sheet has an error in this cell: {shown}"),
    };
    let found = Finding::cell(field, shown.as_bytes(), CellError { path: String::new(), code: "cell_error", message });
    Finding { value: found.value.filter(|_| !is_not_calculated), ..found }
}

/// The same result, borrowing nothing.
fn owned(checked: CellResult<'_>) -> CellResult<'static> {
    checked.map(|cell| cell.map(Cell::into_owned))
}

/// A JSON value as errors show it: a string without its quotes, nothing for `null`.
fn shown(raw: &str) -> Option<Cow<'_, [u8]>> {
    match raw.as_bytes().first() {
        Some(b'n') | None => None,
        Some(b'"') => Some(match serde_json::from_str(raw) {
            Ok(JsonString(Cow::Borrowed(text))) => Cow::Borrowed(text.as_bytes()),
            Ok(JsonString(Cow::Owned(text))) => Cow::Owned(text.into_bytes()),
            Err(_) => Cow::Borrowed(raw.as_bytes()),
        }),
        Some(_) => Some(Cow::Borrowed(raw.as_bytes())),
    }
}

/// A sheet's cell that is neither text nor number nor boolean.
#[derive(Deserialize)]
pub(crate) struct Tagged<'a> {
    /// The date or the time of one that holds it.
    #[serde(borrow)]
    pub(crate) date: Option<Cow<'a, str>>,
    /// What the sheet shows of one that holds an error.
    #[serde(borrow)]
    pub(crate) error: Option<Cow<'a, str>>,
}

/// A sheet's cell of this JSON, if it is neither text nor number nor boolean.
pub(crate) fn tagged(cell: &str) -> Option<Tagged<'_>> {
    if cell.starts_with('{') { serde_json::from_str(cell).ok() } else { None }
}

fn not_utf8(bytes: &[u8], valid_up_to: usize) -> Finding {
    Finding::row("invalid_utf8", not_in_encoding("row", bytes, valid_up_to))
}

/// Why a text is no object. The parser's messages for bad syntax name the place and what is expected there, and repeat
/// no part of the text.
fn not_an_object(row: &str, error: &serde_json::Error) -> Finding {
    if error.is_data() {
        let what = match row.as_bytes().first() {
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        return Finding::row("not_an_object", format!("the row is {what}, where a JSON object belongs"));
    }
    Finding::row("invalid_json", format!("the row is not JSON: {error} of the row"))
}
