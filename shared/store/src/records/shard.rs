//! Reading records without their keys: one shard of a kind, in the order of its sort keys.

use penstock_engine::key;
use penstock_model::{AccountId, KindName, Record};

use super::item;
use crate::{Result, Store, StoreError, dynamo::s};

/// What one request read of a shard.
#[derive(Debug)]
pub struct ShardPage {
    /// The records with their canonical keys, in the order of their sort keys, tombstones included.
    pub records: Vec<(String, Record)>,
    /// The places in `records` of tombstones that do not expire.
    pub lasting: Vec<usize>,
    /// The sort key behind which the shard goes on; none at its end.
    pub next: Option<String>,
}

impl Store {
    /// A page of one shard of an account's records of a kind, by one request, read consistently: those behind the sort
    /// key `after`, at most `limit`, and at most 1 MB of them. A page that ends the shard has no `next`; one that has
    /// may be followed by an empty one.
    pub async fn shard_page(
        &self,
        account: &AccountId,
        kind: &KindName,
        shard: u8,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ShardPage> {
        let query = self
            .dynamodb()
            .query()
            .table_name(&self.settings().records_table)
            .expression_attribute_values(":pk", s(key::partition(account, kind, shard)))
            .consistent_read(self.conditions().consistent)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let query = match after {
            None => query.key_condition_expression("pk = :pk"),
            Some(after) => query
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":after", s(after)),
        };
        let output = query.send().await.map_err(StoreError::unavailable("dynamodb:Query"))?;
        let next = output.last_evaluated_key().and_then(item::name).map(|name| name.sort);
        let (mut records, mut lasting) = (Vec::new(), Vec::new());
        for item in output.items.unwrap_or_default() {
            let expires = item.contains_key("expires_at");
            let (name, record) = item::read(item)?;
            if record.is_gone() && !expires {
                lasting.push(records.len());
            }
            records.push((name.key().to_owned(), record));
        }
        Ok(ShardPage { records, lasting, next })
    }
}
