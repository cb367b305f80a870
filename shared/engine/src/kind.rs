//! A kind: a schema compiled once, for one account, that checks cells, names records and sets defaults.
//!
//! What a cell may look like follows Table Schema v1 (<https://specs.frictionlessdata.io/table-schema/>) as `frictionless-py` 5.21 reads it.
//! It differs on purpose in these:
//!
//! - Numbers: `NaN`, `INF` and Python's `1_000` are none; more than 38 digits are refused, and integers of more than 64 bits. Where
//!   `bareNumber` is false, `5-` and `(5)` do not become 5, nor does `$.5`. An integer may have a `groupChar`, as in Table Schema v2.
//! - Spaces around a boolean are ignored, as around a number.
//! - A `pattern` matches the whole text whatever alternatives it has, and takes no look-around and no back-references.
//! - A URI has no character that RFC 3986 does not give it. A UUID has its hyphens. An e-mail address has no quoted local part.
//! - A date that is not in the calendar is none: frictionless makes day 366 of 2026 the first of 2027. The hour 24 is none. A moment
//!   without an offset is compared as if it were in UTC.
//! - Bounds of the table: nothing nested deeper than [`penstock_model::limits::NESTING`], no NUL in JSON, no member without a name.

mod check;
mod compile;
mod default;
mod nested;
mod number;
mod strptime;
mod temporal;
mod text;

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use penstock_model::{AccountId, Conversion, Decimal, KindName, Schema, Value};

pub use check::FieldCheck;

use crate::key;

/// A schema, ready to check rows of one account.
#[derive(Debug, Clone)]
pub struct Kind {
    name: KindName,
    fields: Vec<FieldCheck>,
    places: HashMap<String, usize>,
    /// The fields of the key, in the order in which a key is written.
    key: Vec<usize>,
    /// What a new record gets in fields that its row does not name.
    defaults: Vec<(usize, Default)>,
    keeps_additional: bool,
    exact_columns: bool,
    missing: Arc<[String]>,
}

/// What a new record gets in one field.
#[derive(Debug, Clone)]
enum Default {
    Constant(Value),
    From { field: usize, conversion: Option<Conversion> },
}

/// Why a document is no schema of a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct SchemaError {
    /// What is at fault, as a JSON pointer (RFC 6901) into the document: `/fields/3/constraints/pattern`; empty for the document.
    pub pointer: String,
    /// A sentence for people.
    pub message: String,
}

/// A cell as a file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// The `null` of JSON.
    Null,
    /// A cell of a delimited file, or a string of JSON.
    Text(&'a str),
    /// The literal of a JSON number.
    Number(&'a str),
    /// A JSON boolean.
    Boolean(bool),
    /// The text of a JSON array or object.
    Json(&'a str),
    /// A date, a time or both as a spreadsheet keeps them, in ISO 8601 whatever the field's format says of text.
    Date(&'a str),
}

/// A cell that its field accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Text; a date, a time.
    Text(Cow<'a, str>),
    /// A number, an integer, a year.
    Number(Decimal),
    /// A boolean.
    Boolean(bool),
    /// An array or an object, never anything else.
    Nested(Value),
}

impl<'a> Cell<'a> {
    /// A value as a cell that says it. Nothing of a text is copied.
    pub fn of(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(Cow::Borrowed(text)),
            Value::Number(number) => Self::Number(*number),
            Value::Boolean(boolean) => Self::Boolean(*boolean),
            nested => Self::Nested(nested.clone()),
        }
    }

    /// The same cell again. Nothing of a text is copied.
    pub fn borrowed(&'a self) -> Self {
        match self {
            Self::Text(text) => Self::Text(Cow::Borrowed(text)),
            other => other.clone(),
        }
    }

    /// The same, of text that need not outlive it.
    pub fn into_owned(self) -> Cell<'static> {
        match self {
            Self::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Self::Number(number) => Cell::Number(number),
            Self::Boolean(boolean) => Cell::Boolean(boolean),
            Self::Nested(value) => Cell::Nested(value),
        }
    }

    /// Bytes of the value as DynamoDB counts them, within a few bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 3,
            Self::Number(number) => Value::Number(*number).bytes(),
            Self::Boolean(boolean) => Value::Boolean(*boolean).bytes(),
            Self::Nested(value) => value.bytes(),
        }
    }
}

/// Whether a cell says what is stored.
impl PartialEq<Value> for Cell<'_> {
    fn eq(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(text), Value::Text(value)) => text == value,
            (Self::Number(number), Value::Number(value)) => number == value,
            (Self::Boolean(boolean), Value::Boolean(value)) => boolean == value,
            (Self::Nested(nested), value) => nested == value,
            _ => false,
        }
    }
}

impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Text(text) => Self::Text(text.into_owned()),
            Cell::Number(number) => Self::Number(number),
            Cell::Boolean(boolean) => Self::Boolean(boolean),
            Cell::Nested(value) => value,
        }
    }
}

/// Why a field does not take a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellError {
    /// What is at fault below the field, such as `[0].quantity`; empty for the cell as a whole.
    pub path: String,
    /// A stable word for programs, such as `too_long`.
    pub code: &'static str,
    /// A sentence for people. It names the rule that was broken, never the cell.
    pub message: String,
}

impl CellError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { path: String::new(), code, message: message.into() }
    }

    /// The same, of something below what it was said of.
    fn below(mut self, parent: &str) -> Self {
        self.path.insert_str(0, parent);
        self
    }
}

impl Kind {
    /// Reads the document of a schema. Whether the schema makes sense is told by [`Kind::compile`].
    ///
    /// # Errors
    /// With the place of the first thing that is not supported or not as it should be.
    pub fn parse(json: &[u8]) -> Result<Schema, SchemaError> {
        compile::parse(json)
    }

    /// Compiles a schema for an account.
    ///
    /// # Errors
    /// With the place of the first thing in the schema that makes no sense.
    pub fn compile(schema: &Schema, account: &AccountId) -> Result<Self, SchemaError> {
        compile::compile(schema, account)
    }

    /// The kind's name.
    pub fn name(&self) -> &KindName {
        &self.name
    }

    /// The fields, in the schema's order, and then those that were added.
    pub fn fields(&self) -> &[FieldCheck] {
        &self.fields
    }

    /// The field in this place.
    ///
    /// # Panics
    /// If there is none; places come from [`Kind::index_of`], [`Kind::key_fields`] and [`Kind::add_field`].
    pub fn field(&self, index: usize) -> &FieldCheck {
        &self.fields[index]
    }

    /// The place of the field of this name, which is case-sensitive.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The places of the fields of the key, in the order in which a key is written. At least one is required.
    pub fn key_fields(&self) -> &[usize] {
        &self.key
    }

    /// Whether columns that no field is named after are kept.
    pub fn keeps_additional(&self) -> bool {
        self.keeps_additional
    }

    /// Whether a column has to have exactly the name of its field.
    pub(crate) fn has_exact_columns(&self) -> bool {
        self.exact_columns
    }

    /// Adds a field for an additional column: it takes anything. A field that is there already stays as it is. The answer is its place.
    pub fn add_field(&mut self, name: &str) -> usize {
        if let Some(place) = self.index_of(name) {
            return place;
        }
        self.fields.push(FieldCheck::anything(name, self.missing.clone()));
        self.places.insert(name.to_owned(), self.fields.len() - 1);
        self.fields.len() - 1
    }

    /// The canonical key of the record that a row is about, see [`key::canonical`]. A part that the row does not name, or clears, is the
    /// part's default, if it has one.
    pub fn key_of(&self, row: &[(usize, Option<Cell<'_>>)]) -> String {
        key::canonical(self.key.iter().map(|&field| self.value(row, field)))
    }
}

#[cfg(test)]
mod tests;
