//! Rows that are JSON: objects, and the arrays as which a sheet's rows come.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Finding, Reading, RowReader, flat::Flat, not_in_encoding, text};
use crate::{
    kind::{Cell, CellError, Input},
    members::{Members, Text},
};

impl RowReader<'_> {
    /// Reads the JSON object that a text begins with, if it is as [`flat`] reads it; how long it is. What has been read of any other is to
    /// be forgotten.
    pub(super) fn flat<'r>(&mut self, reading: &mut Reading<'r>, text: &'r str) -> Option<usize> {
        let mut flat = Flat::open(text)?;
        for place in 0.. {
            let field = match self.plan.expected_at(place) {
                Some((name, field)) if flat.pass_name(name).is_some() => field,
                _ => self.plan.member_at(place, flat.name()?),
            };
            let (input, shown) = flat.value()?;
            if let Some(field) = field
                && self.is_first(reading, field, || Cow::Borrowed(shown.as_bytes()))
            {
                self.cell(reading, field, input, shown.as_bytes());
            }
            if !flat.goes_on()? {
                break;
            }
        }
        self.not_named(reading);
        Some(flat.length())
    }

    /// Reads a row that is to be a JSON object. It may be as [`flat`] reads it unless that has been tried.
    pub(super) fn object<'r>(
        &mut self,
        reading: &mut Reading<'r>,
        bytes: &'r [u8],
        may_be_flat: bool,
    ) -> Result<(), Finding> {
        let row = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
        if may_be_flat {
            if self.flat(reading, row) == Some(row.len()) {
                return Ok(());
            }
            self.begin(reading);
        }
        let Members::<&RawValue>(members) = serde_json::from_str(row).map_err(|error| not_an_object(row, &error))?;
        for (name, value) in members {
            if let Some(field) = self.plan.member(&name)
                && self.is_first(reading, field, || shown(value.get()).unwrap_or(Cow::Borrowed(b"null")))
            {
                self.json_cell(reading, field, value);
            }
        }
        self.not_named(reading);
        Ok(())
    }

    /// Whether the member that means this field is the row's only one so far, which it is to be.
    #[inline]
    fn is_first<'v>(&mut self, reading: &mut Reading<'_>, field: usize, shown: impl FnOnce() -> Cow<'v, [u8]>) -> bool {
        if self.named_by.len() <= field {
            self.named_by.resize(self.plan.kind().fields().len(), 0);
        }
        if std::mem::replace(&mut self.named_by[field], self.readings) != self.readings {
            return true;
        }
        let field = self.plan.kind().field(field).name();
        let error = CellError {
            path: String::new(),
            code: "duplicate_member",
            message: "two members of the row mean this field".to_owned(),
        };
        reading.findings.push(Finding::cell(field, &shown(), error));
        false
    }

    /// Looks for fields that a row needs and has not named.
    fn not_named(&self, reading: &mut Reading<'_>) {
        for (at, field) in self.plan.kind().fields().iter().enumerate() {
            let is_named = self.named_by.get(at).is_some_and(|by| *by == self.readings);
            if field.is_required() && !is_named {
                self.cell(reading, at, Input::Null, b"");
            }
        }
    }

    /// Reads a sheet's row. Cells that it does not have at its end hold nothing.
    pub(super) fn sheet_row<'r>(&mut self, reading: &mut Reading<'r>, bytes: &'r [u8]) -> Result<(), Finding> {
        let row = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
        let row: Vec<&RawValue> = serde_json::from_str(row).map_err(|error| not_an_object(row, &error))?;
        let columns = self.plan.columns().len();
        if row.len() > columns {
            let message = format!("the row has a cell in column {}, the first row names {columns}", row.len());
            return Err(Finding::row("ragged_row", message));
        }
        for at in 0..columns {
            let Some(field) = self.plan.columns()[at] else { continue };
            match row.get(at) {
                None => self.cell(reading, field, Input::Null, b""),
                Some(cell) => match tagged(cell.get()) {
                    Some(Tagged { error: Some(shown), .. }) => {
                        let message = format!("the sheet has an error in this cell: {shown}");
                        let error = CellError { path: String::new(), code: "cell_error", message };
                        let field = self.plan.kind().field(field).name();
                        reading.findings.push(Finding::cell(field, shown.as_bytes(), error));
                    }
                    Some(Tagged { date: Some(date), .. }) => self.date(reading, field, &date),
                    _ => self.json_cell(reading, field, cell),
                },
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
                Some(Tagged { date, error }) => date.or(error).map(|text| Cow::Owned(text.into_owned().into_bytes())),
                None => shown(cell),
            }
        };
        fields.iter().map(cell).collect()
    }

    fn date(&self, reading: &mut Reading<'_>, field: usize, date: &str) {
        let checked = self.plan.kind().field(field).check(Input::Date(date));
        self.take(reading, field, owned(checked), date.as_bytes());
    }

    fn json_cell<'r>(&self, reading: &mut Reading<'r>, field: usize, value: &'r RawValue) {
        let (raw, check) = (value.get(), self.plan.kind().field(field));
        // As a sheet's dates stand in a rejected rows file, which may come again.
        if let (true, Some(Tagged { date: Some(date), .. })) = (check.is_temporal(), tagged(raw)) {
            return self.date(reading, field, &date);
        }
        let checked = match raw.as_bytes().first() {
            Some(b'"') => match serde_json::from_str(raw) {
                Ok(Text(Cow::Borrowed(string))) => match text(string.as_bytes()) {
                    Ok(string) => return self.cell(reading, field, Input::Text(string), string.as_bytes()),
                    Err(error) => Err(vec![error]),
                },
                // A string with escapes is not in the row as it is meant.
                Ok(Text(Cow::Owned(string))) => match text(string.as_bytes()) {
                    Ok(text) => {
                        let checked = owned(check.check(Input::Text(text)));
                        return self.take(reading, field, checked, string.as_bytes());
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
        self.take(reading, field, checked, raw.as_bytes());
    }
}

type Checked<'a> = Result<Option<Cell<'a>>, Vec<CellError>>;

fn owned(checked: Checked<'_>) -> Checked<'static> {
    checked.map(|cell| cell.map(Cell::into_owned))
}

/// A JSON value as errors show it: a string without its quotes, nothing for `null`.
fn shown(raw: &str) -> Option<Cow<'_, [u8]>> {
    match raw.as_bytes().first() {
        Some(b'n') | None => None,
        Some(b'"') => Some(match serde_json::from_str(raw) {
            Ok(Text(Cow::Borrowed(text))) => Cow::Borrowed(text.as_bytes()),
            Ok(Text(Cow::Owned(text))) => Cow::Owned(text.into_bytes()),
            Err(_) => Cow::Borrowed(raw.as_bytes()),
        }),
        Some(_) => Some(Cow::Borrowed(raw.as_bytes())),
    }
}

/// A sheet's cell that is neither text nor number nor boolean.
#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(borrow)]
    date: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
}

fn tagged(cell: &str) -> Option<Tagged<'_>> {
    if cell.starts_with('{') { serde_json::from_str(cell).ok() } else { None }
}

fn not_utf8(bytes: &[u8], valid_up_to: usize) -> Finding {
    Finding::row("invalid_utf8", not_in_encoding("row", bytes, valid_up_to))
}

/// Why a text is no object. The parser's messages for bad syntax name the place and what belongs there, and repeat nothing.
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
