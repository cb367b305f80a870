//! Records: read a hundred to a request, written twenty-five to a request, each write conditional on what was read.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::{AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest},
};
use penstock_engine::key;
pub use penstock_model::limits::{READ_BATCH, WRITE_BATCH};
use penstock_model::{AccountId, Applied, Decimal, KindName, Record, Stamp, Value};
use serde::{Deserialize, Serialize};

use crate::{
    Result, Store, StoreError,
    dynamo::{Item, n, s},
};

/// A record's name in the table: see [`penstock_engine::key::hash`].
pub type RecordKey = [u8; 32];

/// The records that one request read.
#[derive(Debug)]
pub struct Page {
    /// The records that exist among those that were read.
    pub records: HashMap<RecordKey, Record>,
    /// Keys that were not read this time.
    pub unread: Vec<RecordKey>,
}

/// A record to be written in place of what was read.
#[derive(Debug, Clone)]
pub struct Write<'a> {
    /// Its name.
    pub key: RecordKey,
    /// The record; its `rev` is the one that was read, 0 for a record that is to be made.
    pub record: &'a Record,
}

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored, under the next `rev`.
    Stored,
    /// Not stored, or unknown: the record has changed since it was read, or the table gave no answer. Read it again; it
    /// may hold the rows.
    ReadAgain,
}

/// The stored bookkeeping of a record. Its names are short, since each of a million records has them.
#[derive(Serialize, Deserialize)]
struct Bookkeeping {
    /// `made`.
    m: (u64, u64),
    /// `last`, and 1 if it changed what the record shows.
    l: (u64, u64, u8),
    /// The stamp that most fields have.
    s: (u64, u64),
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
        let most = counts.into_iter().max_by_key(|&(at, count)| (count, at)).map_or(record.made, |(at, _)| at);
        let mut book = Self {
            m: pair(record.made),
            l: (record.last.stamp.order, record.last.stamp.row, u8::from(record.last.changed)),
            s: pair(most),
            t: Vec::new(),
            d: Vec::new(),
            x: HashMap::new(),
        };
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

fn attributes(record: &Record) -> Result<(AttributeValue, AttributeValue)> {
    let book = serde_json::to_string(&Bookkeeping::of(record)).map_err(StoreError::unreadable("a record's stamps"))?;
    let fields = record.fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
    Ok((s(book), AttributeValue::M(fields)))
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

fn value(attribute: &AttributeValue) -> Option<Value> {
    Some(match attribute {
        AttributeValue::S(text) => Value::Text(text.clone()),
        AttributeValue::N(number) => Value::Number(Decimal::parse(number).ok()?),
        AttributeValue::Bool(boolean) => Value::Boolean(*boolean),
        AttributeValue::L(items) => Value::List(items.iter().map(value).collect::<Option<_>>()?),
        AttributeValue::M(members) => {
            let member = |(name, member): (&String, &AttributeValue)| Some((name.clone(), value(member)?));
            Value::Object(members.iter().map(member).collect::<Option<_>>()?)
        }
        AttributeValue::Null(_) => Value::Null,
        _ => return None,
    })
}

fn read(item: &Item) -> Option<(RecordKey, Record)> {
    let key = RecordKey::try_from(item.get("pk")?.as_b().ok()?.as_ref()).ok()?;
    let rev = item.get("rev")?.as_n().ok()?.parse().ok()?;
    let book: Bookkeeping = serde_json::from_str(item.get("stamps")?.as_s().ok()?).ok()?;
    let mut record = Record {
        rev,
        made: stamp(book.m),
        last: Applied { stamp: Stamp { order: book.l.0, row: book.l.1 }, changed: book.l.2 == 1 },
        fields: Default::default(),
        stamps: book.t.into_iter().map(|name| (name, stamp(book.s))).collect(),
    };
    for (name, attribute) in item.get("fields")?.as_m().ok()? {
        record.stamps.insert(name.clone(), stamp(book.s));
        record.fields.insert(name.clone(), value(attribute)?);
    }
    record.stamps.extend(book.d.into_iter().map(|name| (name, record.made.of_default())));
    record.stamps.extend(book.x.into_iter().map(|(name, at)| (name, stamp(at))));
    Some((key, record))
}

fn item_key(key: &RecordKey) -> Item {
    Item::from([("pk".to_owned(), AttributeValue::B(Blob::new(key)))])
}

fn unknown() -> StoreError {
    StoreError::Unreadable { what: "a record", source: "unknown form".into() }
}

impl Store {
    /// The account's record of this kind and canonical key, read consistently.
    pub async fn record(&self, account: &AccountId, kind: &KindName, canonical: &str) -> Result<Option<Record>> {
        let key = key::hash(account, kind, canonical);
        Ok(self.records(&[key]).await?.remove(&key))
    }

    /// The records of at most [`READ_BATCH`] keys, read consistently; one that does not exist is left out.
    pub async fn records(&self, keys: &[RecordKey]) -> Result<HashMap<RecordKey, Record>> {
        let items = self.batch_get(&self.settings().records_table, keys.iter().map(item_key).collect()).await?;
        items.into_iter().map(|item| read(&item).ok_or_else(unknown)).collect()
    }

    /// What one request reads of at most [`READ_BATCH`] records, consistently: DynamoDB answers at most 16 MB.
    pub async fn records_page(&self, keys: &[RecordKey]) -> Result<Page> {
        let (items, unread) =
            self.batch_get_page(&self.settings().records_table, keys.iter().map(item_key).collect()).await?;
        let records = items.into_iter().map(|item| read(&item).ok_or_else(unknown)).collect::<Result<_>>()?;
        let key = |item: &Item| item.get("pk")?.as_b().ok()?.as_ref().try_into().ok();
        Ok(Page { records, unread: unread.iter().filter_map(key).collect() })
    }

    /// Writes at most [`WRITE_BATCH`] records with different keys, each only if it has not changed since it was read.
    ///
    /// A repeat of a write that was stored finds another `rev` and answers [`Written::ReadAgain`]; the record that is
    /// read then holds the rows' stamps.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the table did not take the request; any of its writes may have been stored.
    pub async fn write_records(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let table = &self.settings().records_table;
        let insert = format!(r#"INSERT INTO "{table}" VALUE {{'pk': ?, 'rev': ?, 'stamps': ?, 'fields': ?}}"#);
        let update = format!(r#"UPDATE "{table}" SET rev = ? SET stamps = ? SET fields = ? WHERE pk = ? AND rev = ?"#);
        let mut statements = Vec::with_capacity(writes.len());
        for Write { key, record } in writes {
            let key = AttributeValue::B(Blob::new(key));
            let (stamps, fields) = attributes(record)?;
            let next = n(record.rev + 1);
            let (statement, parameters) = match record.rev {
                0 => (&insert, vec![key, next, stamps, fields]),
                rev => (&update, vec![next, stamps, fields, key, n(rev)]),
            };
            let request =
                BatchStatementRequest::builder().statement(statement).set_parameters(Some(parameters)).build();
            statements.push(request.expect("the statement is set"));
        }
        let output = self
            .dynamodb()
            .batch_execute_statement()
            .set_statements(Some(statements))
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:BatchExecuteStatement"))?;
        let mut responses = output.responses.unwrap_or_default().into_iter();
        writes
            .iter()
            .map(|_| match responses.next().map(|response| response.error.and_then(|error| error.code)) {
                Some(None) => Ok(Written::Stored),
                // A statement that the table refuses as such would be refused for ever.
                Some(Some(
                    code @ (BatchStatementErrorCodeEnum::ValidationError
                    | BatchStatementErrorCodeEnum::AccessDenied
                    | BatchStatementErrorCodeEnum::ResourceNotFound),
                )) => Err(StoreError::Unavailable {
                    call: "dynamodb:BatchExecuteStatement",
                    reason: code.as_str().to_owned(),
                }),
                _ => Ok(Written::ReadAgain),
            })
            .collect()
    }
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
        };
        let (stamps, fields) = attributes(&record).expect("writes");
        let item = Item::from([
            ("pk".into(), AttributeValue::B(Blob::new([7; 32]))),
            ("rev".into(), n(4)),
            ("stamps".into(), stamps),
            ("fields".into(), fields),
        ]);
        assert_eq!(read(&item), Some(([7; 32], record)));
    }
}
