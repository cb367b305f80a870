//! Items: what an attribute looks like, and how an item becomes a value of the model.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    operation::{
        query::builders::QueryFluentBuilder,
        transact_write_items::TransactWriteItemsError,
        update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    },
    types::{
        AttributeValue, CancellationReason, Delete, DeleteRequest, KeysAndAttributes, Put, TransactWriteItem, Update,
        WriteRequest,
        builders::{PutBuilder, UpdateBuilder},
    },
};
use penstock_model::limits::{REMOVAL_REQUESTS_AT_ONCE, REMOVED_A_SECOND, WRITE_BATCH};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{Backoff, Result, Store, StoreError};

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A set of one text: where it is added to a set that has it, nothing changes, and so a repeat changes nothing.
pub(crate) fn set_of(member: impl ToString) -> AttributeValue {
    AttributeValue::Ss(vec![member.to_string()])
}

/// The key of an item in the imports table.
pub(crate) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))])
}

/// A value as one attribute.
pub(crate) fn value<T: Serialize>(what: &'static str, value: &T) -> Result<AttributeValue> {
    serde_dynamo::to_attribute_value(value).map_err(StoreError::unreadable(what))
}

/// A value as the attributes of an item, without its key. A mapping that names a column without a name is written as
/// pairs: an attribute of a map has a name of one character at least
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>). No other map of ours is named
/// by users and may hold an empty name.
pub(crate) fn to_item<T: Serialize>(what: &'static str, value: &T) -> Result<Item> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(StoreError::unreadable(what))?;
    if let Some(mapping) = mapping_of(&mut item)
        && let AttributeValue::M(columns) = mapping
        && columns.contains_key("")
    {
        let pair = |(column, field)| AttributeValue::L(vec![s(column), field]);
        *mapping = AttributeValue::L(columns.drain().map(pair).collect());
    }
    Ok(item)
}

/// Reads an item as [`to_item`] writes it; attributes that the type does not know are left aside.
///
/// # Errors
/// [`StoreError::Unreadable`] when it is not what this version writes.
pub(crate) fn from_item<T: DeserializeOwned>(what: &'static str, mut item: Item) -> Result<T> {
    if let Some(mapping) = mapping_of(&mut item)
        && let AttributeValue::L(pairs) = mapping
    {
        let pair = |pair: &AttributeValue| match pair.as_l().map(Vec::as_slice) {
            Ok([AttributeValue::S(column), field]) => Some((column.clone(), field.clone())),
            _ => None,
        };
        let columns: Option<HashMap<_, _>> = pairs.iter().map(pair).collect();
        if let Some(columns) = columns {
            *mapping = AttributeValue::M(columns);
        }
    }
    serde_dynamo::from_item(item).map_err(StoreError::unreadable(what))
}

/// The mapping among the options of an import or a preset, if the item has one.
fn mapping_of(item: &mut Item) -> Option<&mut AttributeValue> {
    match item.get_mut("options") {
        Some(AttributeValue::M(options)) => options.get_mut("mapping"),
        _ => None,
    }
}

/// The outcome of a conditional update.
pub(crate) enum Updated {
    /// It was made. The item as the update asked for it, else an empty one.
    Made(Item),
    /// Its condition was not met. The item as it was found, if the update asked for that, else an empty one.
    Unmet(Item),
}

impl Store {
    /// An update of one item of the imports table, without its expressions.
    pub(crate) fn update(&self, key: Item) -> UpdateItemFluentBuilder {
        self.dynamodb().update_item().table_name(self.imports_table()).set_key(Some(key))
    }

    /// The same as an action of a transaction.
    pub(crate) fn update_action(&self, key: Item) -> UpdateBuilder {
        Update::builder().table_name(self.imports_table()).set_key(Some(key))
    }

    /// A put of one item into the imports table as an action of a transaction, without its condition.
    pub(crate) fn put_action(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(self.imports_table()).set_item(Some(item))
    }

    /// Sends actions as one transaction: `None` when it was made, else for each action why it was cancelled (`None`,
    /// `ConditionalCheckFailed`, `TransactionConflict`, …).
    pub(crate) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<Option<Vec<String>>> {
        match self.dynamodb().transact_write_items().set_transact_items(Some(actions)).send().await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let reason = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
                    Ok(Some(cancelled.cancellation_reasons().iter().map(reason).collect()))
                }
                _ => Err(StoreError::unavailable("dynamodb:TransactWriteItems")(error)),
            },
        }
    }

    /// Sends actions as one transaction until nobody else is at one of their items; `false` where the condition of the
    /// first does not hold, and nothing was made. A repeat of one that was made finds that it does not.
    pub(crate) async fn transact_unless_changed(&self, actions: Vec<TransactWriteItem>) -> Result<bool> {
        let mut pause = Backoff::default();
        while let Some(reasons) = self.transact(actions.clone()).await? {
            if reasons[0] == "ConditionalCheckFailed" {
                return Ok(false);
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
        Ok(true)
    }

    /// Reads at most [`READ_BATCH`](penstock_model::limits::READ_BATCH) items of a table by their keys, consistently;
    /// an item that does not exist is left out. Retries the keys that the table did not process, and fails when that
    /// takes too long.
    pub(crate) async fn batch_get(&self, table: &str, keys: Vec<Item>) -> Result<Vec<Item>> {
        let (mut items, mut unread) = self.batch_get_page(table, keys).await?;
        let mut pause = Backoff::default();
        while !unread.is_empty() {
            pause.wait("dynamodb:BatchGetItem").await?;
            let (more, rest) = self.batch_get_page(table, unread).await?;
            items.extend(more);
            unread = rest;
        }
        Ok(items)
    }

    /// The same by one request: the items that it read, and the keys that it did not process.
    pub(crate) async fn batch_get_page(&self, table: &str, keys: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>)> {
        if keys.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let consistent = self.conditions().consistent;
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(consistent).build();
        let output = self
            .dynamodb()
            .batch_get_item()
            .request_items(table, request.expect("keys are set"))
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:BatchGetItem"))?;
        let items = output.responses.unwrap_or_default().into_values().flatten().collect();
        let unread =
            output.unprocessed_keys.unwrap_or_default().remove(table).map(|rest| rest.keys).unwrap_or_default();
        Ok((items, unread))
    }

    /// Puts one item into the imports table, whatever stands there. A repeat puts the same.
    pub(crate) async fn put_item(&self, item: Item) -> Result<()> {
        let sent = self.dynamodb().put_item().table_name(self.imports_table()).set_item(Some(item)).send().await;
        sent.map(drop).map_err(StoreError::unavailable("dynamodb:PutItem"))
    }

    /// Removes one item of the imports table. A repeat finds it gone.
    pub(crate) async fn delete_item(&self, key: Item) -> Result<()> {
        let sent = self.dynamodb().delete_item().table_name(self.imports_table()).set_key(Some(key)).send().await;
        sent.map(drop).map_err(StoreError::unavailable("dynamodb:DeleteItem"))
    }

    /// Removes items of a table by their keys, whatever they are, 25 to a request and some requests at once, and no
    /// more than [`REMOVED_A_SECOND`], so that the table has room for others. A repeat finds them gone.
    ///
    /// # Errors
    /// The table does not take all of them for long; some may be gone.
    pub(crate) async fn delete_items(&self, table: &str, keys: Vec<Item>) -> Result<()> {
        let (began, mut requests) = (Instant::now(), JoinSet::new());
        for (at, batch) in keys.chunks(WRITE_BATCH).enumerate() {
            let pace = Duration::from_secs_f64((at * WRITE_BATCH) as f64 / REMOVED_A_SECOND as f64);
            sleep_until(began + pace).await;
            if requests.len() == REMOVAL_REQUESTS_AT_ONCE {
                joined(requests.join_next().await)?;
            }
            let (store, table, batch) = (self.clone(), table.to_owned(), batch.to_vec());
            requests.spawn(async move { store.delete_batch(&table, batch).await });
        }
        while let Some(done) = requests.join_next().await {
            joined(Some(done))?;
        }
        Ok(())
    }

    async fn delete_batch(&self, table: &str, keys: Vec<Item>) -> Result<()> {
        let deletion = |key| {
            let deletion = DeleteRequest::builder().set_key(Some(key)).build().expect("the key is set");
            WriteRequest::builder().delete_request(deletion).build()
        };
        let mut left: Vec<WriteRequest> = keys.into_iter().map(deletion).collect();
        let mut pause = Backoff::default();
        loop {
            let sent = self.dynamodb().batch_write_item().request_items(table, left).send().await;
            let output = sent.map_err(StoreError::unavailable("dynamodb:BatchWriteItem"))?;
            left = output.unprocessed_items.unwrap_or_default().remove(table).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            pause.wait("dynamodb:BatchWriteItem").await?;
        }
    }

    /// A query of the items of a partition of the imports table whose sort keys begin so: consistent, in their order.
    pub(crate) fn query(&self, pk: String, prefix: &str) -> QueryFluentBuilder {
        self.query_where("pk = :pk AND begins_with(sk, :sk)", pk, prefix)
    }

    /// The same of the items from a sort key on.
    pub(crate) fn query_from(&self, pk: String, sk: String) -> QueryFluentBuilder {
        self.query_where("pk = :pk AND sk >= :sk", pk, sk)
    }

    /// A query of all items of a partition of a table: consistent, in their order.
    pub(crate) fn query_partition(&self, table: &str, pk: String) -> QueryFluentBuilder {
        self.dynamodb()
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(pk))
            .consistent_read(true)
    }

    fn query_where(&self, condition: &str, pk: String, sk: impl Into<String>) -> QueryFluentBuilder {
        self.dynamodb()
            .query()
            .table_name(self.imports_table())
            .key_condition_expression(condition)
            .expression_attribute_values(":pk", s(pk))
            .expression_attribute_values(":sk", s(sk))
            .consistent_read(true)
    }

    /// Reads one item of the imports table consistently.
    pub(crate) async fn get_item<T: DeserializeOwned>(&self, what: &'static str, key: Item) -> Result<Option<T>> {
        self.read_item(key).await?.map(|item| from_item(what, item)).transpose()
    }

    /// The same as it is stored.
    pub(crate) async fn read_item(&self, key: Item) -> Result<Option<Item>> {
        let output = self
            .dynamodb()
            .get_item()
            .table_name(self.imports_table())
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:GetItem"))?;
        Ok(output.item)
    }
}

/// The outcome of a request that was sent beside others.
pub(crate) fn joined<T>(done: Option<std::result::Result<Result<T>, JoinError>>) -> Result<Option<T>> {
    done.map(|done| done.expect("no request panics")).transpose()
}

/// Sends a conditional update.
pub(crate) async fn send(update: UpdateItemFluentBuilder) -> Result<Updated> {
    match update.send().await {
        Ok(output) => Ok(Updated::Made(output.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Updated::Unmet(failed.item().cloned().unwrap_or_default()))
            }
            _ => Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
        },
    }
}

/// Sends a conditional update; whether it was made.
pub(crate) async fn is_made(update: UpdateItemFluentBuilder) -> Result<bool> {
    Ok(matches!(send(update).await?, Updated::Made(_)))
}

/// What a query finds, over all its pages, or the first `limit` items.
pub(crate) async fn items(mut query: QueryFluentBuilder, limit: Option<usize>) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    loop {
        let left = limit.map(|limit| i32::try_from(limit - items.len()).unwrap_or(i32::MAX));
        let sent = query.clone().set_limit(left).send().await;
        let page = sent.map_err(StoreError::unavailable("dynamodb:Query"))?;
        items.extend(page.items.unwrap_or_default());
        if page.last_evaluated_key.is_none() || limit.is_some_and(|limit| items.len() >= limit) {
            return Ok(items);
        }
        query = query.set_exclusive_start_key(page.last_evaluated_key);
    }
}

/// An update as an action of a transaction.
pub(crate) fn updating(update: UpdateBuilder) -> TransactWriteItem {
    let update = update.build().expect("table, key and expression are set");
    TransactWriteItem::builder().update(update).build()
}

/// A put as an action of a transaction.
pub(crate) fn putting(put: PutBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().put(put.build().expect("table and item are set")).build()
}

/// A deletion of one item, whether it is there or not, as an action of a transaction.
pub(crate) fn deleting(table: &str, key: Item) -> TransactWriteItem {
    let delete = Delete::builder().table_name(table).set_key(Some(key)).build().expect("table and key are set");
    TransactWriteItem::builder().delete(delete).build()
}

#[cfg(test)]
mod tests {
    use penstock_model::{Import, ImportId, ImportOptions};

    use super::*;

    fn import(mapping: &[(&str, &str)]) -> Import {
        let import =
            Import::new(ImportId::new(1, [7; 10]), "a".parse().expect("valid"), "k".parse().expect("valid"), 1, 2);
        let mapping = mapping.iter().map(|(column, field)| ((*column).to_owned(), (*field).to_owned())).collect();
        Import { options: ImportOptions { mapping, ..ImportOptions::default() }, ..import }
    }

    #[test]
    fn a_mapping_is_stored_as_a_map_and_as_pairs_where_a_column_has_no_name() {
        let named = import(&[("Title", "name"), ("0", "")]);
        let mut item = to_item("an import", &named).expect("written");
        assert!(mapping_of(&mut item).expect("there").is_m(), "as every release has stored it");
        assert_eq!(from_item::<Import>("an import", item).expect("read"), named);

        let unnamed = import(&[("", "sku"), ("Title", "name"), ("\0", "")]);
        let mut item = to_item("an import", &unnamed).expect("written");
        assert!(mapping_of(&mut item).expect("there").is_l());
        assert_eq!(from_item::<Import>("an import", item.clone()).expect("read"), unnamed);
        *mapping_of(&mut item).expect("there") = AttributeValue::L(vec![s("no pair")]);
        assert!(from_item::<Import>("an import", item).is_err());
    }
}
