//! Arrays and objects: JSON becomes values with exact numbers, and items are checked by a schema of their own.

use std::{borrow::Cow, collections::BTreeMap};

use penstock_model::{Decimal, Value, limits};
use serde_json::value::RawValue;

use super::check::FieldCheck;
use crate::{
    cell::{Cell, CellError, Input},
    members::Members,
};

/// Characters of a member's name that a path shows.
const NAME_CHARS: usize = 64;

/// The schema of an array's items, compiled.
#[derive(Debug, Clone)]
pub(super) struct Items {
    pub(super) fields: Vec<(FieldCheck, Option<Value>)>,
    pub(super) keeps_additional: bool,
}

fn list(raw: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw).ok()
}

/// Members by name; `None` where one comes twice.
fn members(raw: &str) -> Option<BTreeMap<Cow<'_, str>, &RawValue>> {
    let Members(members) = serde_json::from_str(raw).ok()?;
    let count = members.len();
    let by_name = BTreeMap::from_iter(members);
    (by_name.len() == count).then_some(by_name)
}

/// A raw JSON value as the input of a check.
pub(super) fn input<'a>(raw: &'a str, text: &'a mut Cow<'_, str>) -> Result<Input<'a>, CellError> {
    match raw.as_bytes().first() {
        Some(b'n') => Ok(Input::Null),
        Some(b't') => Ok(Input::Boolean(true)),
        Some(b'f') => Ok(Input::Boolean(false)),
        Some(b'[' | b'{') => Ok(Input::Json(raw)),
        Some(b'"') => {
            *text = Cow::Owned(string(raw)?);
            Ok(Input::Text(text))
        }
        _ => Ok(Input::Number(raw)),
    }
}

fn string(raw: &str) -> Result<String, CellError> {
    // A lone surrogate is the only error that a string of well-formed JSON can have.
    let text: String = serde_json::from_str(raw)
        .map_err(|_| CellError::new("invalid_utf8", "the JSON string holds half a surrogate pair"))?;
    without_nul(&text)?;
    Ok(text)
}

fn without_nul(text: &str) -> Result<(), CellError> {
    if text.contains('\0') { Err(CellError::new("nul_byte", "the JSON string holds NUL")) } else { Ok(()) }
}

fn member_name(name: &str) -> Result<(), CellError> {
    if name.is_empty() {
        return Err(CellError::new("invalid_object", "a member of the object has no name"));
    }
    without_nul(name)
}

/// The step of a path to a member. A name is cut, since its length has no limit of its own.
fn step(name: &str) -> String {
    std::iter::once('.').chain(name.chars().take(NAME_CHARS)).collect()
}

/// The value of well-formed JSON at this depth: 1 for what is not in an array or object.
pub(super) fn value(raw: &str, depth: usize) -> Result<Value, CellError> {
    let deeper = || {
        let limit = limits::NESTING;
        let deep = || CellError::new("too_deep", format!("arrays and objects more than {limit} deep in one another"));
        (depth <= limit).then_some(()).ok_or_else(deep)
    };
    match raw.as_bytes().first() {
        Some(b'[') => {
            deeper()?;
            let items = list(raw).ok_or_else(no_array)?;
            let item =
                |(at, raw): (usize, &&RawValue)| value(raw.get(), depth + 1).map_err(|e| e.below(&format!("[{at}]")));
            Ok(Value::List(items.iter().enumerate().map(item).collect::<Result<_, _>>()?))
        }
        Some(b'{') => {
            deeper()?;
            let members = members(raw).ok_or_else(no_object)?;
            let member = |(name, raw): (Cow<'_, str>, &RawValue)| {
                member_name(&name)?;
                let value = value(raw.get(), depth + 1).map_err(|error| error.below(&step(&name)))?;
                Ok((name.into_owned(), value))
            };
            Ok(Value::Object(members.into_iter().map(member).collect::<Result<_, _>>()?))
        }
        Some(b'"') => Ok(Value::Text(string(raw)?)),
        Some(b'n') => Ok(Value::Null),
        Some(b't') => Ok(Value::Boolean(true)),
        Some(b'f') => Ok(Value::Boolean(false)),
        _ => {
            let number = Decimal::parse(raw);
            number.map(Value::Number).map_err(|error| CellError::new("invalid_number", error.to_string()))
        }
    }
}

/// A text without the white space that JSON has (RFC 8259 §2).
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// The array in a JSON text, at this depth.
pub(super) fn array(text: &str, depth: usize) -> Result<Value, CellError> {
    match trimmed(text) {
        raw if raw.starts_with('[') => value(raw, depth),
        _ => Err(no_array()),
    }
}

/// The object in a JSON text, at this depth.
pub(super) fn object(text: &str, depth: usize) -> Result<Value, CellError> {
    match trimmed(text) {
        raw if raw.starts_with('{') => value(raw, depth),
        _ => Err(no_object()),
    }
}

/// The list of these items, or what is wrong with them: at most [`limits::CELL_ERRORS`] errors.
pub(super) fn items<'a>(
    items: impl Iterator<Item = Result<Cell<'a>, Vec<CellError>>>,
) -> Result<Value, Vec<CellError>> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for (at, item) in items.enumerate() {
        match item {
            Ok(item) => values.push(Value::from(item)),
            Err(found) => errors.extend(found.into_iter().map(|error| error.below(&format!("[{at}]")))),
        }
        if errors.len() >= limits::CELL_ERRORS {
            errors.truncate(limits::CELL_ERRORS);
            break;
        }
    }
    if errors.is_empty() { Ok(Value::List(values)) } else { Err(errors) }
}

/// The list of the items of a JSON array, each of which `read` reads.
pub(super) fn list_of(
    json: &str,
    read: impl Fn(Input<'_>) -> Result<Cell<'_>, Vec<CellError>>,
) -> Result<Value, Vec<CellError>> {
    let raws = list(trimmed(json)).ok_or_else(|| vec![no_array()])?;
    items(raws.into_iter().map(|raw| {
        let mut text = Cow::Borrowed("");
        let input = input(raw.get(), &mut text).map_err(|error| vec![error])?;
        read(input).map(Cell::into_owned)
    }))
}

fn no_array() -> CellError {
    CellError::new("invalid_array", "not a JSON array")
}

fn no_object() -> CellError {
    CellError::new("invalid_object", "not a JSON object whose members each come once")
}

impl Items {
    /// The array of items in a JSON text, defaults filled in. At most [`limits::CELL_ERRORS`] errors.
    pub(super) fn check(&self, text: &str) -> Result<Value, Vec<CellError>> {
        let items = list(trimmed(text)).ok_or_else(|| vec![no_array()])?;
        let (mut checked, mut errors) = (Vec::with_capacity(items.len()), Vec::new());
        for (at, item) in items.into_iter().enumerate() {
            match self.item(item.get()) {
                Ok(item) => checked.push(Value::Object(item)),
                Err(found) => errors.extend(found.into_iter().map(|error| error.below(&format!("[{at}]")))),
            }
            if errors.len() >= limits::CELL_ERRORS {
                errors.truncate(limits::CELL_ERRORS);
                break;
            }
        }
        if errors.is_empty() { Ok(Value::List(checked)) } else { Err(errors) }
    }

    fn item(&self, raw: &str) -> Result<BTreeMap<String, Value>, Vec<CellError>> {
        let Some(mut given) = raw.starts_with('{').then(|| members(raw)).flatten() else {
            return Err(vec![CellError::new("wrong_type", "an object is expected")]);
        };
        let (mut item, mut errors) = (BTreeMap::new(), Vec::new());
        for (field, default) in &self.fields {
            let raw = given.remove(field.name());
            let mut text = Cow::Borrowed("");
            let checked = match raw.map_or(Ok(Input::Null), |raw| input(raw.get(), &mut text)) {
                // An array and an object are around it.
                Ok(input) => field.check_at(input, 3),
                Err(error) => Err(vec![error]),
            };
            match checked {
                Ok(cell) => {
                    if let Some(value) = cell.map(Value::from).or_else(|| default.clone()) {
                        item.insert(field.name().to_owned(), value);
                    }
                }
                Err(found) => errors.extend(found.into_iter().map(|error| error.below(&format!(".{}", field.name())))),
            }
        }
        if self.keeps_additional {
            for (name, raw) in given {
                let kept = member_name(&name).and_then(|()| {
                    // An array and an object are around it.
                    value(raw.get(), 3).map_err(|error| error.below(&step(&name)))
                });
                match kept {
                    Ok(value) => drop(item.insert(name.into_owned(), value)),
                    Err(error) => errors.push(error),
                }
            }
        }
        if errors.is_empty() { Ok(item) } else { Err(errors) }
    }
}
