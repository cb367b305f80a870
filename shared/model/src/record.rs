//! Records as they are stored, and the stamps that order what was written to them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::Decimal;

/// The place of a value in the order: its import (in the order in which imports were accepted) and its row within the
/// import.
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
    /// A place that no import takes, behind all that are taken: rows of a review are judged as those of an import that
    /// comes after whatever there is, so none of their stamps is that of a stored row.
    pub const LAST_ORDER: u64 = u32::MAX as u64;

    /// The stamp of the defaults that a row with this stamp gives to a record that it makes. It is older than the stamp
    /// of any row, and the earlier the row, the *newer* it is. So the defaults of the earliest row, which in file order
    /// makes the record, win in whatever order the rows are applied.
    ///
    /// Orders and rows are distinct below 2^32. No upload has as many rows (5 GiB of at least two bytes each), and no
    /// account as many imports of a kind.
    pub fn of_default(self) -> Self {
        let bound = |number: u64| number.min(u64::from(u32::MAX));
        Self { order: 0, row: u64::MAX - (bound(self.order) << 32 | bound(self.row)) }
    }

    /// The row whose defaults have this stamp, if it is the stamp of defaults.
    pub fn default_of(self) -> Option<Self> {
        let number = u64::MAX - self.row;
        (self.order == 0).then_some(Self { order: number >> 32, row: number & u64::from(u32::MAX) })
    }

    /// The stamp of a delete that took this place in the order: newer than every row of an import that took an earlier
    /// one, older than every row of one that takes a later one.
    pub fn of_delete(order: u64) -> Self {
        Self { order, row: 0 }
    }

    /// The stamp of what a replace removes behind its last row: newer than every row of its import, older than whatever
    /// takes a later place.
    pub fn of_replace(order: u64) -> Self {
        Self { order, row: u64::MAX }
    }
}

/// The value of a field. A field that holds nothing has no value at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text. That of a field is empty only where the kind's `missingValues` leave the empty cell out.
    Text(String),
    /// A number, an integer or a year.
    Number(Decimal),
    /// A boolean.
    Boolean(bool),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Object(BTreeMap<String, Value>),
    /// Nothing, inside an array or an object alone.
    Null,
}

impl Value {
    /// Bytes of the value as DynamoDB counts them, within a few bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 3,
            Self::Number(number) => number.digits() / 2 + 3,
            Self::Boolean(_) | Self::Null => 1,
            Self::List(items) => items.iter().map(|item| item.bytes() + 1).sum::<usize>() + 3,
            Self::Object(members) => {
                members.iter().map(|(name, member)| name.len() + member.bytes() + 1).sum::<usize>() + 3
            }
        }
    }
}

/// As JSON: a number is written with every digit that it has. Needs serde_json's serializer, which passes raw numbers
/// through.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::Number(number) => serde_json::value::RawValue::from_string(number.to_string())
                .expect("a canonical decimal is a JSON number")
                .serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => serializer.collect_map(members),
            Self::Null => serializer.serialize_unit(),
        }
    }
}

/// The row that touched a record last. By it a retry of that row finds the answer of the first time.
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
    /// What every write is conditional on, and raises by one. It begins with the milliseconds of the clock when the
    /// record is stored for the first time; 0 is a record that is to be made.
    pub rev: u64,
    /// The row that inserted it. Never changed.
    pub made: Stamp,
    /// The row that touched it last.
    pub last: Applied,
    /// What the record shows.
    pub fields: BTreeMap<String, Value>,
    /// The stamp of every field that was ever written; one without a value in `fields` was cleared.
    pub stamps: BTreeMap<String, Stamp>,
    /// The stamp of the last delete of the record, kept when the record is made anew: a row that is older changes
    /// nothing.
    pub gone: Option<Stamp>,
}

impl Record {
    /// Whether this is a tombstone: what a delete leaves of a record. It has no fields and no stamps, and whoever
    /// shows, lists or counts records takes it for none. A record that is there has the stamp of its key at least.
    pub fn is_gone(&self) -> bool {
        self.stamps.is_empty()
    }

    /// What a delete leaves of the record: a tombstone. `rev` is left as it is: it counts writes. `made` and `last`
    /// stay, so that a row that is delivered again is counted as the first time.
    pub fn deleted(&self, at: Stamp) -> Self {
        let Self { rev, made, last, .. } = *self;
        Self { rev, made, last, fields: BTreeMap::new(), stamps: BTreeMap::new(), gone: Some(at) }
    }

    /// The newest stamp of the record: of the row that made it, or of one that set or cleared a field. A tombstone has
    /// none.
    pub fn newest(&self) -> Option<Stamp> {
        let newest = || self.stamps.values().copied().fold(self.made.max(self.last.stamp), Stamp::max);
        (!self.is_gone()).then(newest)
    }

    /// The stamp of what was done to it last: of its newest row, or of the delete that left a tombstone.
    pub fn changed(&self) -> Stamp {
        self.newest().or(self.gone).unwrap_or(self.made)
    }

    /// Bytes of the record's fields and stamps as DynamoDB counts them, within a few bytes, stamps uncompressed.
    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.bytes() + 1).sum();
        let stamps: usize = self.stamps.keys().map(|name| name.len() + 16).sum();
        fields + stamps + 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_are_written_with_every_digit() {
        let number = Value::Number(Decimal::parse("12345678901234567890.000000001").expect("a number"));
        let line = BTreeMap::from([("quantity".to_owned(), number), ("note".to_owned(), Value::Null)]);
        let value = Value::List(vec![Value::Object(line), Value::Text("x".into()), Value::Boolean(true)]);
        let json = serde_json::to_string(&value).expect("writes");
        assert_eq!(json, r#"[{"note":null,"quantity":12345678901234567890.000000001},"x",true]"#);
        assert!(value.bytes() > 20);
    }

    #[test]
    fn the_defaults_of_an_earlier_row_are_newer_and_older_than_any_row() {
        let at = |order, row| Stamp { order, row };
        let rows = [at(2, 1), at(1, 9), at(1, 2), at(1, 1)];
        let order = rows.map(Stamp::of_default);
        assert_eq!(order.map(Stamp::default_of), rows.map(Some));
        assert_eq!(at(1, 1).default_of(), None);
        assert!(order.is_sorted() && order[0] < order[3] && order[3] < at(1, 1));
    }
}
