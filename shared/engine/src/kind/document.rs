//! The document of a schema as it is published: its name, and the members that mean nothing here.

use std::borrow::Cow;

use penstock_model::{Field, KindName, Others, RowRule, Schema};
use serde_json::value::RawValue;

use super::{SchemaError, compile::At};
use crate::{
    mapping::{mistyped, normalised},
    members::Members,
};

/// The members that a schema, a field, constraints and the schema of items have.
const OF_SCHEMA: [&str; 13] = [
    "name",
    "title",
    "description",
    "fields",
    "primaryKey",
    "missingValues",
    "fieldsMatch",
    "uniqueKeys",
    "additionalFields",
    "columnNames",
    "reading",
    "digest",
    "rules",
];
const OF_FIELD: [&str; 18] = [
    "name",
    "title",
    "description",
    "type",
    "format",
    "constraints",
    "decimalChar",
    "groupChar",
    "bareNumber",
    "trueValues",
    "falseValues",
    "missingValues",
    "categories",
    "delimiter",
    "itemType",
    "default",
    "scope",
    "itemSchema",
];
const OF_CONSTRAINTS: [&str; 11] = [
    "required",
    "unique",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "maxScale",
    "pattern",
    "enum",
];

/// A document without the byte order mark that some programs put before it.
pub(super) fn without_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json)
}

/// The document with this name, unless it has one that can be a kind's. What is no object stays as it is.
pub(super) fn named<'a>(json: &'a [u8], name: &KindName) -> Cow<'a, [u8]> {
    let json = without_mark(json);
    let Ok(Members::<&RawValue>(members)) = serde_json::from_slice(json) else { return Cow::Borrowed(json) };
    let is_name = |value: &RawValue| serde_json::from_str::<KindName>(value.get()).is_ok();
    if members.iter().any(|(member, value)| member == "name" && is_name(value)) {
        return Cow::Borrowed(json);
    }
    let mut document = format!("{{\"name\":\"{name}\"");
    for (member, value) in members.iter().filter(|(member, _)| member != "name") {
        let member = serde_json::to_string(member).expect("a text is written to memory");
        document.push_str(&format!(",{member}:{value}"));
    }
    document.push('}');
    Cow::Owned(document.into_bytes())
}

/// Whether two lists name the same fields.
pub(super) fn is_same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|name| other.contains(name))
}

/// How like a member's name one has to be that means nothing to be taken for a mistake.
#[derive(Clone, Copy)]
pub(super) enum Like {
    /// But for case, `_`, `-` and the like it is that.
    Same,
    /// Or a letter or two of it are wrong.
    Mistyped,
}

/// Checks the members that mean nothing: one that is spelt like one that does would be lost without a word, and a rule
/// that cannot be kept is no rule.
pub(super) fn spelt(schema: &Schema, like: Like) -> Result<(), SchemaError> {
    let root = At::root();
    check(&schema.others, &OF_SCHEMA, &root, like)?;
    for (place, RowRule { others, .. }) in schema.rules.iter().enumerate() {
        check(others, &["rule", "message", "fields"], &root.then("rules").then(place), like)?;
    }
    fields(&schema.fields, &root.then("fields"), like)
}

fn fields(all: &[Field], at: &At, like: Like) -> Result<(), SchemaError> {
    for (place, field) in all.iter().enumerate() {
        let at = at.then(place);
        check(&field.others, &OF_FIELD, &at, like)?;
        let at_constraints = at.then("constraints");
        if field.constraints.others.0.iter().any(|name| name == "jsonSchema") {
            let message = "is not supported; an array takes an itemSchema, which says the fields of its objects";
            return at_constraints.then("jsonSchema").fail(message);
        }
        check(&field.constraints.others, &OF_CONSTRAINTS, &at_constraints, like)?;
        if let Some(items) = &field.item_schema {
            check(&items.others, &["fields"], &at.then("itemSchema"), like)?;
            fields(&items.fields, &at.then("itemSchema").then("fields"), like)?;
        }
    }
    Ok(())
}

fn check(others: &Others, known: &[&'static str], at: &At, like: Like) -> Result<(), SchemaError> {
    for name in &others.0 {
        let plain = normalised(name);
        let same = known.iter().copied().find(|known| normalised(known) == plain);
        // A name such as `x-rules` or `$rules` is another program's own.
        let is_word = name.chars().all(char::is_alphanumeric);
        let meant = match like {
            Like::Mistyped if is_word => same.or_else(|| mistyped(known.iter().copied(), name)),
            _ => same,
        };
        if let Some(meant) = meant {
            return at.then(name).fail(format!("means nothing here; did you mean `{meant}`?"));
        }
    }
    Ok(())
}
