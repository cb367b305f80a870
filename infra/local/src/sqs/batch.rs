//! The batch operations: the request as a whole is refused or not, and then each entry stands for itself.

use std::collections::HashSet;

use penstock_model::limits::{MESSAGE_BATCH, MESSAGE_BYTES};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::SqsError;
use super::{NewMessage, Receipt, Service, Visibility};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<Entry<T>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<T> {
    id: String,
    #[serde(flatten)]
    content: T,
}

impl<T> Batch<T> {
    fn check(&self) -> Result<(), SqsError> {
        if self.entries.is_empty() {
            return Err(SqsError::empty_batch());
        }
        if self.entries.len() > MESSAGE_BATCH {
            return Err(SqsError::too_many_entries(self.entries.len(), MESSAGE_BATCH));
        }
        let mut ids = HashSet::new();
        for Entry { id, .. } in &self.entries {
            let shaped = (1..=80).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            if !shaped {
                return Err(SqsError::invalid_id());
            }
            if !ids.insert(id) {
                return Err(SqsError::ids_not_distinct(id));
            }
        }
        Ok(())
    }

    /// Does `act` with each entry and gathers what came of it.
    fn each(self, mut act: impl FnMut(T) -> Result<Value, SqsError>) -> Value {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for Entry { id, content } in self.entries {
            match act(content) {
                Ok(mut done) => {
                    done["Id"] = Value::String(id);
                    successful.push(done);
                }
                Err(error) => failed.push(error.entry(&id)),
            }
        }
        json!({ "Successful": successful, "Failed": failed })
    }
}

pub(super) fn send(service: &Service, batch: Batch<NewMessage>) -> Result<Value, SqsError> {
    let queue = service.queue(&batch.queue_url)?.clone();
    batch.check()?;
    let bytes = batch.entries.iter().map(|entry| entry.content.body.len()).sum();
    if bytes > MESSAGE_BYTES {
        return Err(SqsError::batch_too_long(bytes, MESSAGE_BYTES));
    }
    Ok(batch.each(|message| {
        message.check()?;
        message.send(&queue)
    }))
}

pub(super) fn delete(service: &Service, batch: Batch<Receipt>) -> Result<Value, SqsError> {
    let queue = service.queue(&batch.queue_url)?.clone();
    batch.check()?;
    Ok(batch.each(|entry| {
        queue.delete(&entry.receipt_handle)?;
        Ok(json!({}))
    }))
}

pub(super) fn change_visibility(service: &Service, batch: Batch<Visibility>) -> Result<Value, SqsError> {
    let queue = service.queue(&batch.queue_url)?.clone();
    batch.check()?;
    Ok(batch.each(|entry| {
        entry.change(&queue)?;
        Ok(json!({}))
    }))
}
