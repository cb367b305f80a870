//! Items: what an attribute looks like, and how an item becomes a value of the model.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{transact_write_items::TransactWriteItemsError, update_item::UpdateItemError},
    types::AttributeValue,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Result, StoreError};

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The key of an item in the imports table.
pub(crate) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))])
}

/// A value as one attribute.
pub(crate) fn value<T: Serialize>(what: &'static str, value: &T) -> Result<AttributeValue> {
    serde_dynamo::to_attribute_value(value).map_err(StoreError::unreadable(what))
}

/// Reads an item; attributes that the type does not know are left aside.
///
/// # Errors
/// [`StoreError::Unreadable`] when it is not what this version writes.
pub fn from_item<T: DeserializeOwned>(what: &'static str, item: Item) -> Result<T> {
    serde_dynamo::from_item(item).map_err(StoreError::unreadable(what))
}

/// What a conditional update found instead of what it asked for: `Some(item)`, empty where there is no item; `None` for another error.
pub(crate) fn condition_failed(error: &SdkError<UpdateItemError>) -> Option<Item> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
            Some(failed.item().cloned().unwrap_or_default())
        }
        _ => None,
    }
}

/// Why a transaction was cancelled: the code of each of its actions (`None`, `ConditionalCheckFailed`, `TransactionConflict`, …).
pub(crate) fn cancelled(error: &SdkError<TransactWriteItemsError>) -> Option<Vec<&str>> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            Some(cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect())
        }
        _ => None,
    }
}
