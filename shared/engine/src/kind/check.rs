//! Checking a cell against its field.

use std::{borrow::Cow, sync::Arc};

use penstock_model::{Decimal, Value};

use super::{
    advice,
    nested::{self, Items},
    number::{self, Evidence, NumberRule},
    temporal::TemporalRule,
    text::{Length, TextRule},
};
use crate::{
    cell::{Cell, CellError, CellResult, Input},
    invisible::{has_visible_ends, trimmed},
};

/// Whether a row has to name a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Optional,
    Required,
    /// The field is a part of the key.
    Key {
        required: bool,
    },
}

/// One field of a kind, compiled to check cells.
#[derive(Debug, Clone)]
pub struct FieldCheck {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) missing: Arc<[String]>,
    pub(super) rule: Rule,
    /// The allowed values, and the sentence that names them.
    pub(super) enumeration: Option<(Vec<Value>, String)>,
    /// A prefix of every text.
    pub(super) prefix: Option<String>,
    /// Whether the field is a part of the key.
    pub(super) in_key: bool,
    /// Which texts are accepted as they are.
    as_it_is: AsItIs,
    /// Which other texts are quickly seen to be good.
    plainly_good: PlainlyGood,
}

/// Which texts a field accepts without a look at what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AsItIs {
    /// None.
    None,
    /// All that are not empty.
    Any,
    /// Those that begin with a visible character: the field is required.
    Visible,
    /// Those that also end with one: the field is of the key.
    Tidy,
}

/// Which texts are seen to be good without a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlainlyGood {
    /// None.
    None,
    /// An empty one.
    Empty,
    /// Numbers as programs write them.
    Numbers,
    /// The same without a point.
    Integers,
    /// The words for true and false.
    Words,
}

/// The rule of a field's type.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    String(TextRule),
    Number(NumberRule),
    Integer(NumberRule),
    Boolean { true_values: Vec<String>, false_values: Vec<String> },
    Temporal(Box<TemporalRule>),
    Year(NumberRule),
    Array { length: Length, items: Option<Items> },
    List { length: Length, delimiter: String, item: Box<Rule> },
    Object { length: Length },
    Any,
}

impl FieldCheck {
    /// A field that accepts anything.
    pub(super) fn anything(name: &str, missing: Arc<[String]>) -> Self {
        Self::new(name, Presence::Optional, missing, Rule::Any, None, None)
    }

    pub(super) fn new(
        name: &str,
        presence: Presence,
        missing: Arc<[String]>,
        rule: Rule,
        enumeration: Option<(Vec<Value>, String)>,
        prefix: Option<String>,
    ) -> Self {
        let takes_any = match &rule {
            Rule::String(rule) => rule.takes_any(),
            rule => matches!(rule, Rule::Any),
        };
        let is_plain =
            takes_any && enumeration.is_none() && prefix.is_none() && missing.iter().all(|missing| missing.is_empty());
        let as_it_is = match presence {
            _ if !is_plain => AsItIs::None,
            Presence::Optional => AsItIs::Any,
            Presence::Required => AsItIs::Visible,
            Presence::Key { .. } => AsItIs::Tidy,
        };
        let required = matches!(presence, Presence::Required | Presence::Key { required: true });
        let in_key = matches!(presence, Presence::Key { .. });
        let name = name.to_owned();
        let plainly_good = PlainlyGood::None;
        let mut check = Self { name, required, in_key, missing, rule, enumeration, prefix, as_it_is, plainly_good };
        check.know_plainly_good();
        check
    }

    /// Finds out which texts are plainly good. To be called when the rule has changed.
    pub(super) fn know_plainly_good(&mut self) {
        self.plainly_good = match &self.rule {
            _ if self.enumeration.is_some() || self.missing.iter().any(|missing| !missing.is_empty()) => {
                PlainlyGood::None
            }
            Rule::Number(rule) if rule.takes_any_number() => PlainlyGood::Numbers,
            Rule::Integer(rule) if rule.takes_any_number() => PlainlyGood::Integers,
            Rule::Boolean { .. } => PlainlyGood::Words,
            Rule::Number(_) | Rule::Integer(_) => PlainlyGood::None,
            _ if !self.required && self.missing.iter().any(String::is_empty) => PlainlyGood::Empty,
            _ => PlainlyGood::None,
        };
    }

    /// The field's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a row needs a value for it.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether it holds text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.rule, Rule::String(_))
    }

    /// Whether it holds dates or times.
    pub(crate) fn is_temporal(&self) -> bool {
        matches!(self.rule, Rule::Temporal(_))
    }

    /// Whether it holds numbers with a fraction.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.rule, Rule::Number(_))
    }

    /// The decimal character of the field, and what a cell says of that of its file; `None` where it says nothing.
    pub(crate) fn evidence(&self, cell: &str) -> Option<(char, Evidence)> {
        match &self.rule {
            Rule::Number(rule) if cell.contains(['.', ',']) && !self.missing.iter().any(|missing| missing == cell) => {
                Some((rule.decimal_char, rule.evidence(cell)?))
            }
            _ => None,
        }
    }

    /// Whether the field accepts a text as it is, without a check. Most cells are such.
    #[inline]
    pub(crate) fn takes_as_it_is(&self, text: &str) -> bool {
        match self.as_it_is {
            AsItIs::None => false,
            AsItIs::Any => !text.is_empty(),
            AsItIs::Visible => text.as_bytes().first().is_some_and(u8::is_ascii_graphic),
            AsItIs::Tidy => has_visible_ends(text),
        }
    }

    /// Whether a text is quickly seen to be one that [`FieldCheck::check`] accepts. No false positives; false negatives
    /// cost a check.
    #[inline]
    pub(crate) fn is_plainly_good(&self, text: &str) -> bool {
        match (self.plainly_good, &self.rule) {
            (PlainlyGood::None, _) => false,
            (PlainlyGood::Empty, _) => text.is_empty(),
            (PlainlyGood::Numbers, _) => number::is_plain(text),
            (PlainlyGood::Integers, _) => number::is_plain(text) && !text.contains('.'),
            (PlainlyGood::Words, Rule::Boolean { true_values, false_values }) => {
                !text.is_empty() && [true_values, false_values].into_iter().flatten().any(|value| value == text)
            }
            (PlainlyGood::Words, _) => false,
        }
    }

    /// The value of a cell; `None` where the cell is empty and may be. Nothing is allocated for a text, a number, an
    /// integer or a boolean that is accepted and is stored as it is written.
    ///
    /// # Errors
    /// Everything that is wrong with the cell, at most [`penstock_model::limits::CELL_ERRORS`] things.
    pub fn check<'a>(&self, input: Input<'a>) -> CellResult<'a> {
        self.check_at(input, 1)
    }

    /// The same at a depth, 1 for a field that is not in an array or object.
    pub(super) fn check_at<'a>(&self, input: Input<'a>, depth: usize) -> CellResult<'a> {
        let missing = match input {
            Input::Null => true,
            Input::Text(text) | Input::Number(text) => self.missing.iter().any(|missing| missing == text),
            Input::Boolean(_) | Input::Json(_) | Input::Date(_) => false,
        };
        let (input, missing) = match input {
            Input::Text(text) if !missing && (self.in_key || self.required) => self.seen(text),
            input => (input, missing),
        };
        if missing && self.required {
            return Err(vec![CellError::new("required", "must hold a value")]);
        }
        if missing {
            return Ok(None);
        }
        let cell = self.rule.read(input, depth)?;
        if let Some((values, names)) = &self.enumeration
            && !values.iter().any(|value| cell == *value)
        {
            return Err(vec![CellError::new("not_in_enum", names.clone())]);
        }
        Ok(Some(match (cell, &self.prefix) {
            (Cell::Text(text), Some(prefix)) => Cell::Text(Cow::Owned(format!("{prefix}{text}"))),
            (cell, _) => cell,
        }))
    }
}

impl FieldCheck {
    /// What a text says to somebody who looks at it, and whether that is nothing. Of a key what is invisible at its
    /// ends does not count; where empty texts are no values, what is invisible as a whole is none either.
    fn seen<'a>(&self, text: &'a str) -> (Input<'a>, bool) {
        let visible = trimmed(text);
        match self.in_key {
            true => (Input::Text(visible), visible.is_empty() || self.missing.iter().any(|missing| missing == visible)),
            false => (Input::Text(text), visible.is_empty() && self.missing.iter().any(String::is_empty)),
        }
    }
}

impl Rule {
    pub(super) fn read<'a>(&self, input: Input<'a>, depth: usize) -> Result<Cell<'a>, Vec<CellError>> {
        let cell = match (self, input) {
            (Self::Array { length, items: Some(items) }, Input::Text(json) | Input::Json(json)) => {
                if matches!(input, Input::Json(_)) && !json.starts_with('[') {
                    return Err(vec![wrong_type("an array")]);
                }
                // A text that is no array is one error; the items of an array have their own.
                let value = items.check(json)?;
                return sized(value, *length).map(Cell::Nested).map_err(|error| vec![error]);
            }
            (Self::List { length, delimiter, item }, Input::Text(text)) => {
                let items = text.split(delimiter.as_str()).map(|text| item.read(Input::Text(text), depth + 1));
                return sized(nested::items(items)?, *length).map(Cell::Nested).map_err(|error| vec![error]);
            }
            (Self::List { length, item, .. }, Input::Json(json)) => {
                let items = nested::list_of(json, |input| item.read(input, depth + 1))?;
                return sized(items, *length).map(Cell::Nested).map_err(|error| vec![error]);
            }
            (Self::List { .. }, _) => Err(wrong_type("a list")),
            (Self::String(rule), Input::Text(text) | Input::Number(text) | Input::Date(text)) => {
                rule.check(text).map(|()| Cell::Text(Cow::Borrowed(text)))
            }
            (Self::String(_), _) => Err(wrong_type("text")),
            (Self::Number(rule), Input::Text(text)) => rule.number(text).map(Cell::Number),
            (Self::Number(rule), Input::Number(literal)) => rule.json(literal).map(Cell::Number),
            (Self::Number(_), _) => Err(wrong_type("a number")),
            (Self::Integer(rule), Input::Text(text)) => rule.integer(text).map(Cell::Number),
            (Self::Integer(rule), Input::Number(literal)) => rule.json_integer(literal).map(Cell::Number),
            (Self::Integer(_), _) => Err(wrong_type("a whole number")),
            (Self::Boolean { .. }, Input::Boolean(boolean)) => Ok(Cell::Boolean(boolean)),
            // Spreadsheets, and JSON that is made from them, have 1 and 0.
            (Self::Boolean { true_values, false_values }, Input::Text(text) | Input::Number(text)) => {
                boolean(text, true_values, false_values).map(Cell::Boolean)
            }
            (Self::Boolean { .. }, _) => Err(wrong_type("true or false")),
            (Self::Temporal(rule), Input::Text(text)) => rule.check(text).map(Cell::Text),
            (Self::Temporal(rule), Input::Date(text)) => rule.check_iso(text).map(Cell::Text),
            (Self::Temporal(rule), Input::Number(literal)) => Err(advice::temporal_number(rule, literal).map_or_else(
                || wrong_type("a string with a date or a time"),
                |said| CellError::new("wrong_type", said),
            )),
            (Self::Temporal(_), _) => Err(wrong_type("a string with a date or a time")),
            (Self::Year(rule), Input::Text(text)) => {
                match text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) {
                    true => rule.integer(text).map(Cell::Number),
                    false => Err(no_year()),
                }
            }
            (Self::Year(rule), Input::Number(literal)) => match Decimal::parse(literal).map(|year| year.as_i64()) {
                Ok(Some(0..=9999)) => rule.json_integer(literal).map(Cell::Number),
                _ => Err(no_year()),
            },
            (Self::Year(_), _) => Err(wrong_type("a year")),
            (Self::Array { .. }, Input::Json(json)) if !json.starts_with('[') => Err(wrong_type("an array")),
            (Self::Array { length, .. }, Input::Text(json) | Input::Json(json)) => {
                nested::array(json, depth).and_then(|value| sized(value, *length)).map(Cell::Nested)
            }
            (Self::Array { .. }, _) => Err(wrong_type("an array")),
            (Self::Object { .. }, Input::Json(json)) if !json.starts_with('{') => Err(wrong_type("an object")),
            (Self::Object { length }, Input::Text(json) | Input::Json(json)) => {
                nested::object(json, depth).and_then(|value| sized(value, *length)).map(Cell::Nested)
            }
            (Self::Object { .. }, _) => Err(wrong_type("an object")),
            (Self::Any, Input::Text(text) | Input::Date(text)) => Ok(Cell::Text(Cow::Borrowed(text))),
            (Self::Any, Input::Number(literal)) => NumberRule::default().json(literal).map(Cell::Number),
            (Self::Any, Input::Boolean(boolean)) => Ok(Cell::Boolean(boolean)),
            (Self::Any, Input::Json(json)) => nested::value(json, depth).map(Cell::Nested),
            (Self::Any, Input::Null) => Err(wrong_type("a value")),
        };
        cell.map_err(|error| vec![error])
    }
}

fn sized(value: Value, length: Length) -> Result<Value, CellError> {
    match &value {
        Value::List(items) => length.check("items", || items.len())?,
        Value::Object(members) => length.check("members", || members.len())?,
        _ => {}
    }
    Ok(value)
}

/// The boolean of one of the values, with or without spaces around it.
fn boolean(text: &str, true_values: &[String], false_values: &[String]) -> Result<bool, CellError> {
    for text in [text, text.trim()] {
        for (values, boolean) in [(true_values, true), (false_values, false)] {
            if values.iter().any(|value| value == text) {
                return Ok(boolean);
            }
        }
    }
    Err(CellError::new("invalid_boolean", advice::boolean(text, true_values, false_values)))
}

fn no_year() -> CellError {
    CellError::new("invalid_year", "not a year of four digits")
}

fn wrong_type(wanted: &str) -> CellError {
    CellError::new("wrong_type", format!("{wanted} is expected"))
}

#[cfg(test)]
mod tests {
    use super::Input;
    use crate::kinds;

    #[test]
    fn what_is_seen_to_be_good_at_once_is_good() {
        let texts = [
            "",
            " ",
            "\u{a0}",
            "a ",
            " a",
            "ä",
            "0",
            "7",
            "007",
            "1.5",
            "1.",
            ".5",
            "1.2.3",
            "-1",
            "true",
            "TRUE",
            "1e3",
            "x",
            "2026-11-21",
            "999999999999999999",
        ];
        let digits = "9".repeat(19);
        for schema in kinds::all() {
            let kind = kinds::compiled(schema.name.as_str());
            for (field, text) in kind.fields().iter().flat_map(|field| texts.iter().map(move |text| (field, *text))) {
                let seen = field.takes_as_it_is(text) || field.is_plainly_good(text);
                assert!(!seen || field.check(Input::Text(text)).is_ok(), "{} {text}", field.name());
                let is_literal = serde_json::from_str::<serde_json::Number>(text).is_ok();
                let seen = is_literal && field.is_plainly_good(text);
                assert!(!seen || field.check(Input::Number(text)).is_ok(), "{} {text}", field.name());
            }
            assert!(!kind.fields().iter().any(|field| field.is_plainly_good(&digits)));
        }
    }
}
