//! Records as they are stored, and the stamps that order what was written to them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::Decimal;

/// When a value was said: by which import (in the order in which imports were accepted), in which of its rows.
///
/// Stamps are totally ordered; an upsert keeps, field by field, the value with the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The import's place in the order of acceptance of its account and kind, from 1.
    pub order: u64,
    /// The row within the import, from 1.
    pub row: u64,
}

impl Stamp {
    /// The stamp of a kind's defaults: older than any row.
    pub const LOWEST: Self = Self { order: 0, row: 0 };
}

/// The value of a field. A field that holds nothing has no value at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text; never empty.
    Text(String),
    /// A number or an integer.
    Number(Decimal),
    /// A boolean.
    Boolean(bool),
}

impl Value {
    /// Bytes of the value as DynamoDB counts them, within a few bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 3,
            Self::Number(number) => number.as_str().len() / 2 + 3,
            Self::Boolean(_) => 1,
        }
    }
}

/// As JSON: a number is written with every digit that it has. Needs serde_json's serializer, which passes raw numbers through.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::Number(number) => serde_json::value::RawValue::from_string(number.to_string())
                .expect("a canonical decimal is a JSON number")
                .serialize(serializer),
        }
    }
}

/// The row that touched a record last, so that a replay of it can answer as the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The row.
    pub stamp: Stamp,
    /// Whether it changed what the record shows, not stamps alone.
    pub changed: bool,
}

/// A record of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// How often the record has been written; every write is conditional on it.
    pub rev: u64,
    /// The row that inserted it. Never changed.
    pub made: Stamp,
    /// The row that touched it last.
    pub last: Applied,
    /// What the record shows.
    pub fields: BTreeMap<String, Value>,
    /// The stamp of every field that was ever written; one without a value in `fields` was cleared.
    pub stamps: BTreeMap<String, Stamp>,
}

impl Record {
    /// Bytes of the record's fields and stamps as DynamoDB counts them, within a few bytes, stamps uncompressed.
    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.bytes() + 1).sum();
        let stamps: usize = self.stamps.keys().map(|name| name.len() + 16).sum();
        fields + stamps + 100
    }
}
