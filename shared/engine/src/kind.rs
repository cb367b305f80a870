//! A kind: a schema, compiled once for an account, that checks cells, names records and sets defaults.
//!
//! What a cell may look like follows Table Schema v1 (<https://specs.frictionlessdata.io/table-schema/>) as
//! `frictionless-py` 5.21 reads it. It differs on purpose in these:
//!
//! - `NaN`, `INF` and Python's `1_000` are no numbers. Numbers of more than 38 digits and integers of more than 64 bits
//!   are refused. Where `bareNumber` is false, `5-` and `(5)` do not become 5, nor does `$.5`. An integer may have a
//!   `groupChar`, as in Table Schema v2.
//! - Groups of digits have three digits before the decimal character, two or three further left, and none behind it:
//!   frictionless leaves a `groupChar` out wherever it stands, so that `1,5` becomes 15.
//! - Spaces around a boolean are ignored, as around a number.
//! - A `pattern` matches the whole text whatever alternatives it has, and takes no look-around and no back-references.
//! - A URI has no character that RFC 3986 does not give it. A UUID has its hyphens. An e-mail address has no quoted
//!   local part.
//! - A date that is not in the calendar is refused: frictionless makes day 366 of 2026 the first of 2027. So is the
//!   hour 24. A moment without an offset is compared as if it were in UTC.
//! - Bounds of the table: nothing nested deeper than [`penstock_model::limits::NESTING`], no NUL in JSON, no member
//!   without a name.

mod advice;
mod check;
mod compile;
mod components;
mod default;
mod document;
mod example;
pub(crate) mod habits;
mod nested;
mod number;
mod number_style;
mod reading;
pub(crate) mod rules;
mod strptime;
mod temporal;
mod text;
mod work;
mod written;

use std::{collections::HashMap, sync::Arc};

use penstock_model::{Conversion, FieldsMatch, InvalidOption, KindName, ReadOptions, Value};

pub use check::FieldCheck;
pub(crate) use number::Evidence;

use crate::{cell::Cell, key};
use rules::Rules;
use strptime::DatePattern;

/// A schema, compiled to check the rows of one account.
#[derive(Debug, Clone)]
pub struct Kind {
    name: KindName,
    fields: Vec<FieldCheck>,
    places: HashMap<String, usize>,
    /// The fields of the key, in the order in which a key is written.
    key: Vec<usize>,
    /// The defaults of a new record, by field.
    defaults: Vec<(usize, DefaultRule)>,
    keeps_additional: bool,
    exact_columns: bool,
    fields_match: FieldsMatch,
    missing: Arc<[String]>,
    reading: ReadOptions,
    keeps_digest: bool,
    /// What has to be true of a row; `None` where there is nothing of that sort.
    rules: Option<Arc<Rules>>,
}

/// The default of a field.
#[derive(Debug, Clone)]
enum DefaultRule {
    Constant(Value),
    From { field: usize, conversion: Option<Conversion> },
}

/// Why a document is not the schema of a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct SchemaError {
    /// The place of the error, a JSON pointer (RFC 6901) into the document: `/fields/3/constraints/pattern`; empty for
    /// the document.
    pub pointer: String,
    /// A sentence for people.
    pub message: String,
}

impl Kind {
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

    /// Which columns a file of the kind must have, and whether it may have others.
    pub(crate) fn fields_match(&self) -> FieldsMatch {
        self.fields_match
    }

    /// How files of the kind are read, where their imports do not say otherwise.
    pub fn reading(&self) -> &ReadOptions {
        &self.reading
    }

    /// Whether rows of an import may be dropped that say again what was said last of their records.
    pub fn keeps_digest(&self) -> bool {
        self.keeps_digest
    }

    /// What has to be true of a row as a whole, if there is anything of that sort.
    pub(crate) fn rules(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref()
    }

    /// Whether a column has to have exactly the name of its field.
    pub(crate) fn has_exact_columns(&self) -> bool {
        self.exact_columns
    }

    /// Adds a field for an additional column, which accepts anything, and gives its place. A field that is there
    /// already stays as it is.
    pub fn add_field(&mut self, name: &str) -> usize {
        if let Some(place) = self.index_of(name) {
            return place;
        }
        self.fields.push(FieldCheck::anything(name, self.missing.clone()));
        self.places.insert(name.to_owned(), self.fields.len() - 1);
        self.fields.len() - 1
    }

    /// The canonical key of the record that a row is about, see [`key::canonical`]. A part that the row does not name,
    /// or clears, is the part's default, if it has one.
    pub fn key_of(&self, row: &[(usize, Option<Cell<'_>>)]) -> String {
        key::canonical(self.key.iter().map(|&field| self.value(row, field)))
    }
}

/// Checks that the date format of an import's options is a pattern of dates or of moments.
///
/// # Errors
/// Why it is not.
pub fn date_format(format: &str) -> Result<(), InvalidOption> {
    DatePattern::of_option(format).map(drop).map_err(|rule| InvalidOption::new("date_format", rule))
}

#[cfg(test)]
mod tests;
