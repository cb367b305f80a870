//! A cell: as a file has it, as its field accepts it, or why its field does not.

use std::borrow::Cow;

use penstock_model::{Decimal, Value};

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

/// What a field makes of a cell: its value, `None` where the cell holds nothing and need not, or all that is wrong with
/// it.
pub type CellResult<'a> = Result<Option<Cell<'a>>, Vec<CellError>>;

/// Why a field does not take a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellError {
    /// What is at fault below the field, such as `[0].quantity`; empty for the cell as a whole.
    pub path: String,
    /// A stable word for programs, such as `too_long`.
    pub code: &'static str,
    /// A sentence for people. It names the rule that was broken, and where it is plain what was meant, how to write it.
    pub message: String,
}

impl CellError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { path: String::new(), code, message: message.into() }
    }

    /// The same error, of something below what it was said of.
    pub(crate) fn below(mut self, parent: &str) -> Self {
        self.path.insert_str(0, parent);
        self
    }
}
