//! Imports: the control plane's items, one per import, and what changes them.
//!
//! An import's item is `account#<account>` / `import#<id>`, so that a list is one query and a foreign id looks like a missing one. While
//! there may be something to do for it, the item carries `due_at`, by which the sweeper finds it through the index `due`.

use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, Select, TransactWriteItem, Update,
};
use penstock_model::{AccountId, Checkpoint, Halt, Import, ImportId, KindName, Report, Status, StoredObject, limits};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Backoff, Result, Store, StoreError, crash,
    dynamo::{self, Item, cancelled, condition_failed, from_item, n, s, value},
};

/// What an `Idempotency-Key` stands for.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// SHA-256 of the request that it came with, in hexadecimal.
    pub request: String,
}

/// What became of a creation.
#[derive(Debug)]
pub enum Creation {
    /// The import exists now.
    Created,
    /// The same request has been made before; this is its import.
    Repeated(ImportId),
    /// The key has been used for another request.
    OtherRequest,
}

/// What became of an upload's event.
#[derive(Debug)]
pub enum Acceptance {
    /// The import is about this object: go on at its checkpoint.
    Go(Box<Import>),
    /// There is nothing to do: the import is unknown, has ended, or is about another object.
    Nothing(&'static str),
}

/// What became of a splitter's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was made, now or before.
    Made,
    /// Another splitter went on, or the import is to end: stop.
    Overtaken,
}

/// Which imports to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those with this status.
    pub status: Option<Status>,
    /// Those of this kind.
    pub kind: Option<KindName>,
}

/// Where an import is found, as the sweeper's index tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose it is.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    import: ImportId,
    request: String,
    expires_at: i64,
}

fn account_pk(account: &AccountId) -> String {
    format!("account#{account}")
}

fn import_sk(id: &ImportId) -> String {
    format!("import#{id}")
}

pub(crate) fn import_key(account: &AccountId, id: &ImportId) -> Item {
    dynamo::key(account_pk(account), import_sk(id))
}

pub(crate) fn kind_key(account: &AccountId, kind: &KindName) -> Item {
    dynamo::key(account_pk(account), format!("kind#{kind}"))
}

fn idempotency_key(account: &AccountId, key: &str) -> Item {
    let hash: String = Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    dynamo::key(account_pk(account), format!("idempotency#{hash}"))
}

/// The number of partitions of the sweeper's index.
pub const DUE_SHARDS: u32 = 4;

fn due_shard(id: &ImportId) -> String {
    let last = id.as_str().bytes().last().unwrap_or(0);
    (u32::from(last) % DUE_SHARDS).to_string()
}

impl Store {
    /// Stores a new import, and what its `Idempotency-Key` stands for, in one transaction.
    ///
    /// A repeat with the same key and request gives the import of the first time; without a key it makes another import.
    pub async fn create_import(&self, import: &Import, idempotency: Option<&Idempotency>) -> Result<Creation> {
        let mut item: Item = serde_dynamo::to_item(import).map_err(StoreError::unreadable("an import"))?;
        item.extend(import_key(&import.account, &import.id));
        item.insert("due_shard".into(), s(due_shard(&import.id)));
        item.insert("due_at".into(), n(self.next_look()));
        let put = Put::builder()
            .table_name(self.imports_table())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .expect("table and item are set");
        let mut actions = vec![TransactWriteItem::builder().put(put).build()];
        if let Some(idempotency) = idempotency {
            let expires_at = import.created_at + limits::IDEMPOTENCY_MS;
            let remembered = Remembered { import: import.id.clone(), request: idempotency.request.clone(), expires_at };
            let mut item: Item = serde_dynamo::to_item(remembered).map_err(StoreError::unreadable("a request"))?;
            item.extend(idempotency_key(&import.account, &idempotency.key));
            item.insert("ttl".into(), n(expires_at / 1000));
            let put = Put::builder()
                .table_name(self.imports_table())
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
                .expression_attribute_values(":now", n(import.created_at))
                .build()
                .expect("table and item are set");
            actions.push(TransactWriteItem::builder().put(put).build());
        }
        let mut pause = Backoff::default();
        loop {
            let sent = self.dynamodb().transact_write_items().set_transact_items(Some(actions.clone())).send().await;
            let Err(error) = sent else { return Ok(Creation::Created) };
            let reasons = cancelled(&error);
            match (reasons.as_deref(), idempotency) {
                // The client repeated a call that had had its effect.
                (Some(["ConditionalCheckFailed"]), None) => return Ok(Creation::Created),
                (Some([_, "ConditionalCheckFailed"]), Some(idempotency)) => {
                    let remembered: Option<Remembered> =
                        self.get_item("a request", idempotency_key(&import.account, &idempotency.key)).await?;
                    match remembered {
                        Some(first) if first.request != idempotency.request => return Ok(Creation::OtherRequest),
                        Some(first) if first.import == import.id => return Ok(Creation::Created),
                        Some(first) => return Ok(Creation::Repeated(first.import)),
                        None => {}
                    }
                }
                (Some(reasons), _) if reasons.contains(&"TransactionConflict") => {
                    pause.wait("dynamodb:TransactWriteItems").await?
                }
                _ => return Err(StoreError::unavailable("dynamodb:TransactWriteItems")(error)),
            }
        }
    }

    /// The account's import of this id, read consistently.
    pub async fn import(&self, account: &AccountId, id: &ImportId) -> Result<Option<Import>> {
        self.get_item("an import", import_key(account, id)).await
    }

    /// The account's imports, newest first, at most `limit` of them, after the one that `after` names.
    pub async fn list_imports(
        &self,
        account: &AccountId,
        filter: &Filter,
        after: Option<&ImportId>,
        limit: usize,
    ) -> Result<Vec<Import>> {
        let mut imports = Vec::new();
        let mut start = after.map(|id| import_key(account, id));
        loop {
            let mut query = self
                .dynamodb()
                .query()
                .table_name(self.imports_table())
                .key_condition_expression("pk = :pk AND begins_with(sk, :import)")
                .expression_attribute_values(":pk", s(account_pk(account)))
                .expression_attribute_values(":import", s("import#"))
                .scan_index_forward(false)
                .consistent_read(true)
                .limit(limits::PAGE_MAX as i32)
                .set_exclusive_start_key(start);
            let mut conditions = Vec::new();
            if let Some(status) = filter.status {
                query = query
                    .expression_attribute_names("#status", "status")
                    .expression_attribute_values(":status", s(status.as_str()));
                conditions.push("#status = :status");
            }
            if let Some(kind) = &filter.kind {
                query = query
                    .expression_attribute_names("#kind", "kind")
                    .expression_attribute_values(":kind", s(kind.as_str()));
                conditions.push("#kind = :kind");
            }
            if !conditions.is_empty() {
                query = query.filter_expression(conditions.join(" AND "));
            }
            let page = query.send().await.map_err(StoreError::unavailable("dynamodb:Query"))?;
            for item in page.items.unwrap_or_default() {
                imports.push(from_item("an import", item)?);
                if imports.len() == limit {
                    return Ok(imports);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(imports);
            }
        }
    }

    /// Accepts an upload: the import turns from awaiting to processing, pinned to this object, and takes its place in the order of its
    /// account and kind, in one transaction.
    ///
    /// A repeat for the same object finds the import as it is now; one for another object changes nothing.
    pub async fn accept(&self, account: &AccountId, id: &ImportId, object: &StoredObject) -> Result<Acceptance> {
        let mut pause = Backoff::default();
        loop {
            let Some(import) = self.import(account, id).await? else {
                return Ok(Acceptance::Nothing("there is no such import"));
            };
            match &import.object {
                _ if import.status.is_final() => return Ok(Acceptance::Nothing("the import has ended")),
                Some(pinned) if pinned.is(object) => return Ok(Acceptance::Go(Box::new(import))),
                Some(_) => return Ok(Acceptance::Nothing("the import is about another object")),
                None => {}
            }
            let kind: Option<Turnstile> = self.get_item("an order", kind_key(account, &import.kind)).await?;
            let order = kind.map_or(1, |kind| kind.next);
            let started = Update::builder()
                .table_name(self.imports_table())
                .set_key(Some(import_key(account, id)))
                .update_expression("SET #status = :processing, #object = :object, #order = :order, due_at = :due")
                .condition_expression("#status = :awaiting")
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#object", "object")
                .expression_attribute_names("#order", "order")
                .expression_attribute_values(":processing", s(Status::Processing.as_str()))
                .expression_attribute_values(":awaiting", s(Status::AwaitingUpload.as_str()))
                .expression_attribute_values(":object", value("an object", object)?)
                .expression_attribute_values(":order", n(order))
                .expression_attribute_values(":due", n(self.next_look()))
                .build()
                .expect("table, key and expression are set");
            let ordered = Update::builder()
                .table_name(self.imports_table())
                .set_key(Some(kind_key(account, &import.kind)))
                .update_expression("SET #next = :next ADD running :running")
                .condition_expression("attribute_not_exists(pk) OR #next = :order")
                .expression_attribute_names("#next", "next")
                .expression_attribute_values(":order", n(order))
                .expression_attribute_values(":next", n(order + 1))
                .expression_attribute_values(":running", AttributeValue::Ss(vec![id.to_string()]))
                .build()
                .expect("table, key and expression are set");
            let sent = self
                .dynamodb()
                .transact_write_items()
                .transact_items(TransactWriteItem::builder().update(started).build())
                .transact_items(TransactWriteItem::builder().update(ordered).build())
                .send()
                .await;
            match sent {
                Ok(_) => crash::point("split.accepted"),
                // Another event, or another import of the kind, was accepted meanwhile: look again.
                Err(error) if cancelled(&error).is_some() => pause.wait("dynamodb:TransactWriteItems").await?,
                Err(error) => return Err(StoreError::unavailable("dynamodb:TransactWriteItems")(error)),
            }
        }
    }

    /// Records the columns of an accepted import's file. A repeat writes the same.
    pub async fn set_columns(&self, import: &Import, columns: &[String], ignored: &[String]) -> Result<()> {
        self.dynamodb()
            .update_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(&import.account, &import.id)))
            .update_expression("SET #columns = :columns, ignored_columns = :ignored")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#columns", "columns")
            .expression_attribute_values(":columns", value("columns", &columns)?)
            .expression_attribute_values(":ignored", value("columns", &ignored)?)
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:UpdateItem"))?;
        crash::point("split.columns");
        Ok(())
    }

    /// Moves the checkpoint: everything before `to` has been sent.
    ///
    /// A repeat, and a splitter that finds the checkpoint elsewhere than `from`, or the import halted, is overtaken.
    pub async fn checkpoint(&self, import: &Import, from: Checkpoint, to: Checkpoint) -> Result<Step> {
        let sent = self
            .dynamodb()
            .update_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(&import.account, &import.id)))
            .update_expression("SET #checkpoint = :to")
            .condition_expression(
                "#checkpoint.#chunk = :from AND attribute_not_exists(halt) AND attribute_not_exists(#total)",
            )
            .expression_attribute_names("#checkpoint", "checkpoint")
            .expression_attribute_names("#chunk", "chunk")
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":from", n(from.chunk))
            .expression_attribute_values(":to", value("a checkpoint", &to)?)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let step = match sent {
            Ok(_) => Step::Made,
            Err(error) => match condition_failed(&error) {
                // The client repeated a call that had had its effect, or an equal splitter was first by a hair: both may go on.
                Some(found) => {
                    if self.stands_at(found, to)? {
                        Step::Made
                    } else {
                        Step::Overtaken
                    }
                }
                None => return Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
            },
        };
        crash::point("split.checkpoint");
        Ok(step)
    }

    fn stands_at(&self, item: Item, to: Checkpoint) -> Result<bool> {
        if item.is_empty() {
            return Ok(false);
        }
        let import: Import = from_item("an import", item)?;
        Ok(import.checkpoint == to && import.halt.is_none() && import.total.is_none() && !import.status.is_final())
    }

    /// Ends splitting: the file has `total` data rows, and the blocks that exist are all of them.
    ///
    /// A repeat writes the same; an import that is to end early keeps what it has.
    pub async fn set_total(&self, import: &Import, total: u64) -> Result<Step> {
        let sent = self
            .dynamodb()
            .update_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(&import.account, &import.id)))
            .update_expression("SET #total = :total")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(halt)")
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":total", n(total))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let step = match sent {
            Ok(_) => Step::Made,
            Err(error) if condition_failed(&error).is_some() => Step::Overtaken,
            Err(error) => return Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
        };
        crash::point("split.total");
        Ok(step)
    }

    /// Orders an import to end early, unless it has been ordered to or has ended; gives the import as it is afterwards.
    ///
    /// An import that still awaits its upload ends at once. For one that is processing the order alone stops nothing: [`Store::settle`]
    /// closes its blocks. A repeat changes nothing.
    pub async fn order_halt(&self, account: &AccountId, id: &ImportId, halt: &Halt) -> Result<Option<Import>> {
        let mut sets = "SET #status = :final, completed_at = :now".to_owned();
        let mut ended = self.dynamodb().update_item().table_name(self.imports_table());
        if let Some(failure) = &halt.failure {
            sets.push_str(", failure = :failure");
            ended = ended.expression_attribute_values(":failure", value("a failure", failure)?);
        }
        let ended = ended
            .set_key(Some(import_key(account, id)))
            .update_expression(sets + " REMOVE due_at, due_shard")
            .condition_expression("#status = :awaiting")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":final", s(halt.status.as_str()))
            .expression_attribute_values(":awaiting", s(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":now", n(self.now_ms()))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match ended {
            Ok(output) => return output.attributes.map(|item| from_item("an import", item)).transpose(),
            Err(error) if condition_failed(&error).is_some() => {}
            Err(error) => return Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
        }
        let ordered = self
            .dynamodb()
            .update_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(account, id)))
            .update_expression("SET halt = :halt")
            .condition_expression("#status = :processing AND attribute_not_exists(halt)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", s(Status::Processing.as_str()))
            .expression_attribute_values(":halt", value("an order", halt)?)
            .send()
            .await;
        match ordered {
            Ok(_) => crash::point("halt.ordered"),
            Err(error) if condition_failed(&error).is_some() => {}
            Err(error) => return Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
        }
        self.import(account, id).await
    }

    /// Remembers where the checkpoint stood when the import's splitter was dead-lettered; `false` if it stood there the last time too, so
    /// that trying again has brought nothing. A repeat counts as another time.
    pub async fn note_dead_split(&self, import: &Import) -> Result<bool> {
        let sent = self
            .dynamodb()
            .update_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(&import.account, &import.id)))
            .update_expression("SET split_died_at = :chunk")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(split_died_at) OR split_died_at < :chunk)",
            )
            .expression_attribute_values(":chunk", n(import.checkpoint.chunk))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if condition_failed(&error).is_some() => Ok(false),
            Err(error) => Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
        }
    }

    /// Marks an import to which nothing was uploaded as expired. A repeat, and an import that has been accepted meanwhile, changes nothing.
    pub async fn expire(&self, account: &AccountId, id: &ImportId) -> Result<bool> {
        let sent = self
            .dynamodb()
            .update_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(account, id)))
            .update_expression("SET #status = :expired, completed_at = :now REMOVE due_at, due_shard")
            .condition_expression("#status = :awaiting")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":expired", s(Status::Expired.as_str()))
            .expression_attribute_values(":awaiting", s(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":now", n(self.now_ms()))
            .send()
            .await;
        let expired = match sent {
            Ok(_) => true,
            Err(error) if condition_failed(&error).is_some() => false,
            Err(error) => return Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
        };
        crash::point("sweep.expired");
        Ok(expired)
    }

    /// Records the rejected rows file of an ended import; the sweeper need not look at it any more. A repeat writes the same.
    pub async fn set_report(&self, import: &Import, report: &Report) -> Result<()> {
        let sent = self
            .dynamodb()
            .update_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(&import.account, &import.id)))
            .update_expression("SET report = :report REMOVE due_at, due_shard")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":report", value("a report", report)?)
            .send()
            .await;
        match sent {
            Ok(_) => {}
            // The import was deleted while its report was written.
            Err(error) if condition_failed(&error).is_some() => {}
            Err(error) => return Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
        }
        crash::point("report.recorded");
        Ok(())
    }

    /// Removes the item of an import that does not run; whether it is gone. A repeat finds it gone.
    pub async fn delete_import(&self, import: &Import) -> Result<bool> {
        let sent = self
            .dynamodb()
            .delete_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(&import.account, &import.id)))
            .condition_expression("attribute_not_exists(pk) OR #status <> :processing")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", s(Status::Processing.as_str()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(false)
            }
            Err(error) => Err(StoreError::unavailable("dynamodb:DeleteItem")(error)),
        }
    }

    /// The imports that are due for a look, the longest due first within each part of the index. The index may lag behind; a look at an
    /// import that needs none does nothing.
    pub async fn due_imports(&self) -> Result<Vec<Due>> {
        let mut due = Vec::new();
        for shard in 0..DUE_SHARDS {
            let mut start = None;
            loop {
                let page = self
                    .dynamodb()
                    .query()
                    .table_name(self.imports_table())
                    .index_name("due")
                    .select(Select::AllProjectedAttributes)
                    .key_condition_expression("due_shard = :shard AND due_at <= :now")
                    .expression_attribute_values(":shard", s(shard.to_string()))
                    .expression_attribute_values(":now", n(self.now_ms()))
                    .set_exclusive_start_key(start)
                    .send()
                    .await
                    .map_err(StoreError::unavailable("dynamodb:Query"))?;
                for item in page.items.unwrap_or_default() {
                    let part = |name: &str, prefix: &str| {
                        item.get(name)
                            .and_then(|v| v.as_s().ok())
                            .and_then(|text| text.strip_prefix(prefix))
                            .map(str::to_owned)
                    };
                    if let (Some(account), Some(import)) = (part("pk", "account#"), part("sk", "import#"))
                        && let (Ok(account), Ok(import)) = (account.parse(), import.parse())
                    {
                        due.push(Due { account, import });
                    }
                }
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(due)
    }

    /// Notes what the sweeper saw and when it is to look again; without anything left to look at, takes the import off its list.
    ///
    /// A repeat moves the next look, no more.
    pub async fn looked_at(&self, account: &AccountId, id: &ImportId, seen: Option<&str>) -> Result<()> {
        let update = self
            .dynamodb()
            .update_item()
            .table_name(self.imports_table())
            .set_key(Some(import_key(account, id)))
            .condition_expression("attribute_exists(due_at)");
        let update = match seen {
            Some(seen) => update
                .update_expression("SET due_at = :due, seen = :seen")
                .expression_attribute_values(":due", n(self.next_look()))
                .expression_attribute_values(":seen", s(seen)),
            None => update.update_expression("REMOVE due_at, due_shard"),
        };
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error).is_some() => Ok(()),
            Err(error) => Err(StoreError::unavailable("dynamodb:UpdateItem")(error)),
        }
    }

    /// When the sweeper is to look at an import that is touched now, in Unix milliseconds.
    pub(crate) fn next_look(&self) -> i64 {
        self.now_ms() + self.settings().stall_seconds as i64 * 1000
    }

    /// Reads one item consistently.
    pub(crate) async fn get_item<T: serde::de::DeserializeOwned>(
        &self,
        what: &'static str,
        key: Item,
    ) -> Result<Option<T>> {
        let output = self
            .dynamodb()
            .get_item()
            .table_name(self.imports_table())
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:GetItem"))?;
        output.item.map(|item| from_item(what, item)).transpose()
    }
}

/// The item of an account and kind: the next place in the order of acceptance, beside the set of imports that run.
#[derive(Deserialize)]
struct Turnstile {
    next: u64,
}
