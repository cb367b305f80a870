//! The item of a record: how a record and its stamps are stored.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use penstock_engine::key::RecordName;
use penstock_model::{Applied, Decimal, Record, Stamp, Value};
use serde::{Deserialize, Serialize};

use crate::{
    Result, StoreError,
    dynamo::{self, Item, n, s},
};

/// The stored bookkeeping of a record. Its names are short, since each of a million records has them.
#[derive(Serialize, Deserialize)]
struct Bookkeeping {
    /// Order and row of `made`; order and row of `last`, left out where it is the same row; 0 if that row changed
    /// nothing that the record shows.
    m: Vec<u64>,
    /// The stamp that most fields have; absent where it is that of `last`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<(u64, u64)>,
    /// Fields that have that stamp and no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    t: Vec<String>,
    /// Fields that have the default of the row that made the record, and its stamp.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    d: Vec<String>,
    /// Fields with another stamp.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    x: HashMap<String, (u64, u64)>,
}

fn pair(stamp: Stamp) -> (u64, u64) {
    (stamp.order, stamp.row)
}

fn stamp((order, row): (u64, u64)) -> Stamp {
    Stamp { order, row }
}

impl Bookkeeping {
    fn of(record: &Record) -> Self {
        let mut counts: HashMap<Stamp, usize> = HashMap::new();
        for at in record.stamps.values() {
            *counts.entry(*at).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|&(at, count)| (count, at)).map_or(record.last.stamp, |(at, _)| at);
        let Applied { stamp: last, changed } = record.last;
        let mut m = vec![record.made.order, record.made.row];
        if last != record.made || !changed {
            m.extend([last.order, last.row]);
        }
        if !changed {
            m.push(0);
        }
        let mut book =
            Self { m, s: (most != last).then_some(pair(most)), t: Vec::new(), d: Vec::new(), x: HashMap::new() };
        let default = record.made.of_default();
        for (name, at) in &record.stamps {
            if *at == default && record.fields.contains_key(name) {
                book.d.push(name.clone());
            } else if *at != most {
                book.x.insert(name.clone(), pair(*at));
            } else if !record.fields.contains_key(name) {
                book.t.push(name.clone());
            }
        }
        book
    }
}

/// The attributes of a record that a write sets, beside its `rev`: `stamps` and `fields`.
pub(crate) fn attributes(record: &Record) -> Result<(AttributeValue, AttributeValue)> {
    let book = serde_json::to_string(&Bookkeeping::of(record)).map_err(StoreError::unreadable("a record's stamps"))?;
    let fields = record.fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
    Ok((s(book), AttributeValue::M(fields)))
}

/// The stamp of the delete of a record, as its item has it.
pub(crate) fn gone(at: Stamp) -> AttributeValue {
    s(format!("[{},{}]", at.order, at.row))
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Text(text) => s(text.as_str()),
        Value::Number(number) => n(number),
        Value::Boolean(boolean) => AttributeValue::Bool(*boolean),
        Value::List(items) => AttributeValue::L(items.iter().map(attribute).collect()),
        Value::Object(members) => {
            AttributeValue::M(members.iter().map(|(name, member)| (name.clone(), attribute(member))).collect())
        }
        Value::Null => AttributeValue::Null(true),
    }
}

fn value(attribute: AttributeValue) -> Option<Value> {
    Some(match attribute {
        AttributeValue::S(text) => Value::Text(text),
        AttributeValue::N(number) => Value::Number(Decimal::parse(&number).ok()?),
        AttributeValue::Bool(boolean) => Value::Boolean(boolean),
        AttributeValue::L(items) => Value::List(items.into_iter().map(value).collect::<Option<_>>()?),
        AttributeValue::M(members) => {
            let member = |(name, member)| Some((name, value(member)?));
            Value::Object(members.into_iter().map(member).collect::<Option<_>>()?)
        }
        AttributeValue::Null(_) => Value::Null,
        _ => return None,
    })
}

/// The name of an item: of one that holds its attributes, or its keys alone.
pub(crate) fn name(item: &Item) -> Option<RecordName> {
    let text = |name: &str| Some(item.get(name)?.as_s().ok()?.clone());
    Some(RecordName { partition: text("pk")?, sort: text("sk")?, whole: text("key") })
}

/// The record of an item and its name. The item's texts become the record's, so that none is in memory twice.
///
/// # Errors
/// [`StoreError::Unreadable`] when the item is not what this version writes.
pub(crate) fn read(item: Item) -> Result<(RecordName, Record)> {
    let unknown = || StoreError::Unreadable { what: "a record", source: "unknown form".into() };
    Ok((name(&item).ok_or_else(unknown)?, record(item).ok_or_else(unknown)?))
}

fn record(mut item: Item) -> Option<Record> {
    let rev = item.get("rev")?.as_n().ok()?.parse().ok()?;
    let book: Bookkeeping = serde_json::from_str(item.get("stamps")?.as_s().ok()?).ok()?;
    let (made, last) = match book.m[..] {
        [order, row] => (stamp((order, row)), Applied { stamp: stamp((order, row)), changed: true }),
        [order, row, last, last_row] => {
            (stamp((order, row)), Applied { stamp: stamp((last, last_row)), changed: true })
        }
        [order, row, last, last_row, 0] => {
            (stamp((order, row)), Applied { stamp: stamp((last, last_row)), changed: false })
        }
        _ => return None,
    };
    let most = book.s.map_or(last.stamp, stamp);
    let gone = match item.get("gone") {
        Some(gone) => Some(stamp(serde_json::from_str(gone.as_s().ok()?).ok()?)),
        None => None,
    };
    let mut record = Record {
        rev,
        made,
        last,
        fields: Default::default(),
        stamps: book.t.into_iter().map(|name| (name, most)).collect(),
        gone,
    };
    // A tombstone has none.
    let fields = match item.remove("fields") {
        Some(AttributeValue::M(fields)) => fields,
        None => HashMap::new(),
        Some(_) => return None,
    };
    for (name, attribute) in fields {
        record.stamps.insert(name.clone(), most);
        record.fields.insert(name, value(attribute)?);
    }
    record.stamps.extend(book.d.into_iter().map(|name| (name, made.of_default())));
    record.stamps.extend(book.x.into_iter().map(|(name, at)| (name, stamp(at))));
    Some(record)
}

/// The key of the item of a record.
pub(crate) fn key(name: &RecordName) -> Item {
    dynamo::key(name.partition.as_str(), name.sort.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_stamps_and_tombstones_included() {
        let at = |order, row| Stamp { order, row };
        let text = |text: &str| Value::Text(text.into());
        let number = Value::Number(Decimal::parse("-0.10").expect("a number"));
        let exact = Decimal::parse("12345678901234567890.000000001").expect("a number");
        let line = BTreeMap::from([
            ("quantity".into(), Value::Number(exact)),
            ("note".into(), Value::Null),
            ("gift".into(), Value::Boolean(true)),
            ("empty".into(), text("")),
        ]);
        let lines = Value::List(vec![Value::Object(line), Value::List(Vec::new()), text("x")]);
        let record = Record {
            rev: 4,
            made: at(1, 9),
            last: Applied { stamp: at(3, 2), changed: true },
            fields: BTreeMap::from([
                ("a".into(), text("x")),
                ("b".into(), number),
                ("c".into(), Value::Boolean(false)),
                ("d".into(), text("0012")),
                ("lines".into(), lines),
            ]),
            stamps: BTreeMap::from([
                ("a".into(), at(3, 2)),
                ("b".into(), at(3, 2)),
                ("c".into(), at(1, 9).of_default()),
                ("d".into(), at(3, 2)),
                ("lines".into(), at(1, 2).of_default()),
                ("never".into(), at(1, 9).of_default()),
                ("gone".into(), at(3, 2)),
                ("long gone".into(), at(2, 1)),
            ]),
            gone: None,
        };
        comes_back(&record);
        for (stamp, changed) in [(at(1, 9), true), (at(1, 9), false), (at(3, 2), false)] {
            comes_back(&Record { last: Applied { stamp, changed }, ..record.clone() });
        }
        comes_back(&Record { gone: Some(Stamp::of_delete(1)), ..record.clone() });
        comes_back(&record.deleted(Stamp::of_delete(4)));
        comes_back(&Record { fields: BTreeMap::new(), stamps: BTreeMap::new(), ..record });
    }

    fn comes_back(record: &Record) {
        let (stamps, fields) = attributes(record).expect("writes");
        let mut item = Item::from([
            ("pk".into(), s("shop#products#07")),
            ("sk".into(), s("SKU-1")),
            ("rev".into(), n(4)),
            ("stamps".into(), stamps),
        ]);
        // A tombstone has none, and is read as one that has none in it.
        item.extend((!record.is_gone()).then_some(("fields".into(), fields)));
        item.extend(record.gone.map(|at| ("gone".into(), gone(at))));
        let (name, read) = read(item).expect("reads");
        assert_eq!((name.key(), &read), ("SKU-1", record));
    }

    /// What an item has beside its fields, in bytes as DynamoDB counts them (Amazon DynamoDB Developer Guide, "Item
    /// sizes and formats"): names and texts by their bytes, a number one byte and one for every two digits.
    fn bytes_beside_fields(name: &RecordName, rev: u64, stamps: &str) -> usize {
        let number = 1 + rev.to_string().len().div_ceil(2);
        "pk".len()
            + name.partition.len()
            + "sk".len()
            + name.sort.len()
            + "rev".len()
            + number
            + "stamps".len()
            + stamps.len()
            + "fields".len()
    }

    /// An item whose partition key was the SHA-256 of account, kind and key, with its stamps written out, had no fewer
    /// bytes.
    #[test]
    fn a_name_that_can_be_read_costs_no_bytes() {
        let at = |order, row| Stamp { order, row };
        let (made, later) = (at(7, 123_456), at(12, 4_711));
        let fields: BTreeMap<String, Value> =
            ["sku", "name"].map(|name| (name.to_owned(), Value::Text("x".to_owned()))).into();
        for (account, kind, key) in [
            ("shop", "products", "SKU-0012345"),
            ("acme-germany", "inventory", "SKU-0012345,BERLIN-2"),
            ("42", "contacts", "somebody.with.a.name@example.com"),
        ] {
            let name = RecordName::of(&account.parse().expect("valid"), &kind.parse().expect("valid"), key);
            for (last, all) in [(made, made), (later, later)] {
                let stamps = fields.keys().map(|name| (name.clone(), all)).collect();
                let last = Applied { stamp: last, changed: true };
                let record = Record { rev: 0, made, last, fields: fields.clone(), stamps, gone: None };
                let (stamps, _) = attributes(&record).expect("writes");
                let bytes = bytes_beside_fields(&name, 1_764_000_000_000, stamps.as_s().expect("text"));
                let pair = |stamp: Stamp| format!("[{},{}]", stamp.order, stamp.row);
                let (m, l, s) = (pair(made), format!("[{},{},1]", last.stamp.order, last.stamp.row), pair(all));
                let before = format!(r#"{{"m":{m},"l":{l},"s":{s}}}"#);
                let before = "pk".len() + 32 + "rev".len() + 2 + "stamps".len() + before.len() + "fields".len();
                assert!(bytes <= before, "{name:?}: {bytes}, it was {before}");
            }
        }
    }
}
