//! Records: read a hundred to a request, written twenty-five to a request, each write conditional on what was read.

pub(crate) mod item;
mod shard;
mod tombstones;

use std::collections::HashMap;

pub use penstock_engine::key::RecordName;
pub use penstock_model::limits::{READ_BATCH, RECORD_SHARDS, WRITE_BATCH};
use penstock_model::{AccountId, KindName, Record};

pub use self::shard::ShardPage;
use crate::{
    Result, Store,
    dynamo::{n, s},
};

/// The records that one request read.
#[derive(Debug, Default)]
pub struct Page {
    /// The records that exist among those that were read.
    pub records: HashMap<RecordName, Record>,
    /// Those that were not read this time.
    pub unread: Vec<RecordName>,
}

/// A record to be written in place of what was read.
#[derive(Debug, Clone)]
pub struct Write<'a> {
    /// Its name.
    pub name: &'a RecordName,
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

impl Store {
    /// The account's record of this kind and canonical key, read consistently; a tombstone is none.
    pub async fn record(&self, account: &AccountId, kind: &KindName, canonical: &str) -> Result<Option<Record>> {
        let name = RecordName::of(account, kind, canonical);
        Ok(self.records(&[&name]).await?.remove(&name).filter(|record| !record.is_gone()))
    }

    /// The records of at most [`READ_BATCH`] names, tombstones too, read consistently; one that does not exist is left
    /// out.
    pub async fn records(&self, names: &[&RecordName]) -> Result<HashMap<RecordName, Record>> {
        let keys = names.iter().map(|name| item::key(name)).collect();
        let items = self.batch_get(&self.settings().records_table, keys).await?;
        items.into_iter().map(item::read).collect()
    }

    /// What one request reads of at most [`READ_BATCH`] records, consistently: DynamoDB answers at most 16 MB.
    pub async fn records_page(&self, names: &[&RecordName]) -> Result<Page> {
        let keys = names.iter().map(|name| item::key(name)).collect();
        let (items, unread) = self.batch_get_page(&self.settings().records_table, keys).await?;
        let records = items.into_iter().map(item::read).collect::<Result<_>>()?;
        Ok(Page { records, unread: unread.iter().filter_map(item::name).collect() })
    }

    /// Writes at most [`WRITE_BATCH`] records with different keys, each only if it has not changed since it was read.
    ///
    /// A record that is made begins with the clock's milliseconds as its `rev`: a number that no record of this name
    /// had before, so that a write which goes on from what was there before finds another one. One that is made anew in
    /// the place of a tombstone goes on from the tombstone's, keeps its `gone`, and does not expire any more.
    ///
    /// A repeat of a write that was stored finds another `rev` and answers [`Written::ReadAgain`]; the record that is
    /// read then holds the rows' stamps.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the table did not take the request; any of its writes may have been stored.
    pub async fn write_records(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let table = &self.settings().records_table;
        let insert = format!(r#"INSERT INTO "{table}" VALUE {{'pk': ?, 'sk': ?, 'rev': ?, 'stamps': ?, 'fields': ?}}"#);
        let insert_cut = format!(
            r#"INSERT INTO "{table}" VALUE {{'pk': ?, 'sk': ?, 'rev': ?, 'stamps': ?, 'fields': ?, 'key': ?}}"#
        );
        let update = update_statement(table, &["rev", "stamps", "fields"], &[], &["rev"]);
        // A tombstone may expire; the record that is made of it must not. What is not there is removed all the same.
        let also: &[&str] = if self.conditions().floor_anew { &["expires_at"] } else { &["expires_at", "gone"] };
        let anew = update_statement(table, &["rev", "stamps", "fields"], also, &["rev"]);
        let now = self.now_ms();
        let mut statements = Vec::with_capacity(writes.len());
        for Write { name, record } in writes {
            let (pk, sk) = (s(name.partition.as_str()), s(name.sort.as_str()));
            let (stamps, fields) = item::attributes(record)?;
            let (statement, parameters) = match (record.rev, &name.whole) {
                (0, None) => (&insert, vec![pk, sk, n(now), stamps, fields]),
                (0, Some(key)) => (&insert_cut, vec![pk, sk, n(now), stamps, fields, s(key)]),
                (rev, _) => {
                    let update = if record.gone.is_some() { &anew } else { &update };
                    (update, vec![n(rev + 1), stamps, fields, pk, sk, n(rev)])
                }
            };
            statements.push((statement.clone(), parameters));
        }
        self.execute(statements).await
    }
}

/// The statement that changes one item of a table: sets and removes attributes, if others have the values that follow
/// the key's. Names stand in double quotes, since some are reserved words, such as `fields` (Amazon DynamoDB Developer
/// Guide, "Reserved words in DynamoDB").
fn update_statement(table: &str, set: &[&str], remove: &[&str], only_if: &[&str]) -> String {
    let set: String = set.iter().map(|name| format!(r#" SET "{name}" = ?"#)).collect();
    let remove: String = remove.iter().map(|name| format!(r#" REMOVE "{name}""#)).collect();
    let only_if: String = only_if.iter().map(|name| format!(r#" AND "{name}" = ?"#)).collect();
    format!(r#"UPDATE "{table}"{set}{remove} WHERE "pk" = ? AND "sk" = ?{only_if}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_statement_stands_in_quotes() {
        assert_eq!(
            update_statement("t", &["rev", "fields"], &["expires_at", "gone"], &["rev"]),
            r#"UPDATE "t" SET "rev" = ? SET "fields" = ? REMOVE "expires_at" REMOVE "gone" WHERE "pk" = ? AND "sk" = ? AND "rev" = ?"#
        );
    }
}
