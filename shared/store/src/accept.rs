//! Accepting an upload, and what its splitter writes into the import.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use penstock_model::{AccountId, Checkpoint, Import, ImportId, Layout, Status, StoredObject};
use serde::Deserialize;

use crate::{
    Backoff, Result, Store, crash,
    due::due_shard,
    dynamo::{Updated, from_item, is_made, n, s, send, updating, value},
    imports::{import_key, kind_key},
};

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

/// The item of an account and kind: the next place in the order of acceptance, and the imports that run.
#[derive(Deserialize)]
struct Turnstile {
    next: u64,
    #[serde(default)]
    running: BTreeSet<String>,
}

impl Store {
    /// Accepts an upload: the import turns from awaiting to processing, pinned to this object, and takes its place in the order of its
    /// account and kind, in one transaction, which also records whether an older import runs.
    ///
    /// A repeat for the same object finds the import as it is now; one for another object changes nothing.
    pub async fn accept(&self, account: &AccountId, id: &ImportId, object: &StoredObject) -> Result<Acceptance> {
        let mut pause = Backoff::default();
        loop {
            let Some(import) = self.import(account, id).await? else {
                return Ok(Acceptance::Nothing("there is no such import"));
            };
            match &import.object {
                // S3 judges a URL when its request begins: an upload may be stored long after the import has expired, and still counts.
                _ if import.status.is_final() && import.status != Status::Expired => {
                    return Ok(Acceptance::Nothing("the import has ended"));
                }
                Some(pinned) if pinned.is(object) => return Ok(Acceptance::Go(Box::new(import))),
                Some(_) => return Ok(Acceptance::Nothing("the import is about another object")),
                None => {}
            }
            let kind: Option<Turnstile> = self.get_item("an order", kind_key(account, &import.kind)).await?;
            let Turnstile { next: order, running } = kind.unwrap_or(Turnstile { next: 1, running: BTreeSet::new() });
            let alone = running.is_empty();
            let started = self
                .update_action(import_key(account, id))
                .update_expression(
                    "SET #status = :processing, #object = :object, #order = :order, alone = :alone, due_at = :due, due_shard = :shard, \
                     accepted_at = :now \
                     REMOVE completed_at",
                )
                .condition_expression("#status IN (:awaiting, :expired)")
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#object", "object")
                .expression_attribute_names("#order", "order")
                .expression_attribute_values(":processing", s(Status::Processing.as_str()))
                .expression_attribute_values(":awaiting", s(Status::AwaitingUpload.as_str()))
                .expression_attribute_values(":expired", s(Status::Expired.as_str()))
                .expression_attribute_values(":shard", s(due_shard(id)))
                .expression_attribute_values(":object", value("an object", object)?)
                .expression_attribute_values(":order", n(order))
                .expression_attribute_values(":alone", AttributeValue::Bool(alone))
                .expression_attribute_values(":now", n(self.now_ms()))
                .expression_attribute_values(":due", n(self.next_look()));
            let ordered = self
                .update_action(kind_key(account, &import.kind))
                .update_expression("SET #next = :next ADD running :running")
                // An import that ended meanwhile may be counted as one that runs, but none that has begun may be missed.
                .condition_expression(if alone {
                    "attribute_not_exists(pk) OR (#next = :order AND attribute_not_exists(running))"
                } else {
                    "#next = :order"
                })
                .expression_attribute_names("#next", "next")
                .expression_attribute_values(":order", n(order))
                .expression_attribute_values(":next", n(order + 1))
                .expression_attribute_values(":running", AttributeValue::Ss(vec![id.to_string()]));
            match self.transact(vec![updating(started), updating(ordered)]).await? {
                None => crash::point("split.accepted"),
                // Another event, or another import of the kind, was accepted meanwhile: look again.
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// Records what an accepted import's upload is, and its columns where it names them. A repeat writes the same.
    pub async fn set_layout(
        &self,
        import: &Import,
        layout: &Layout,
        columns: &[String],
        ignored: &[String],
    ) -> Result<Step> {
        let update = self
            .update(import_key(&import.account, &import.id))
            .update_expression("SET layout = :layout, #columns = :columns, ignored_columns = :ignored")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#columns", "columns")
            .expression_attribute_values(":layout", value("a layout", layout)?)
            .expression_attribute_values(":columns", value("columns", &columns)?)
            .expression_attribute_values(":ignored", value("columns", &ignored)?);
        let made = is_made(update).await?;
        crash::point("split.columns");
        Ok(if made { Step::Made } else { Step::Overtaken })
    }

    /// Moves the checkpoint: everything before `to` has been sent.
    ///
    /// A repeat finds it moved. A splitter that finds it elsewhere than `from`, or the import about to end, is overtaken.
    pub async fn checkpoint(&self, import: &Import, from: Checkpoint, to: Checkpoint) -> Result<Step> {
        let update = self
            .update(import_key(&import.account, &import.id))
            .update_expression("SET #checkpoint = :to")
            .condition_expression(
                "#checkpoint.#chunk = :from AND attribute_not_exists(halt) AND attribute_not_exists(#total)",
            )
            .expression_attribute_names("#checkpoint", "checkpoint")
            .expression_attribute_names("#chunk", "chunk")
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":from", n(from.chunk))
            .expression_attribute_values(":to", value("a checkpoint", &to)?)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let step = match send(update).await? {
            Updated::Made(_) => Step::Made,
            Updated::Unmet(item) if item.is_empty() => Step::Overtaken,
            Updated::Unmet(item) => {
                // The client repeated a call that had had its effect, or an equal splitter was first by a hair: both may go on.
                let now: Import = from_item("an import", item)?;
                let goes_on = now.halt.is_none() && now.total.is_none() && !now.status.is_final();
                if goes_on && now.checkpoint == to { Step::Made } else { Step::Overtaken }
            }
        };
        crash::point("split.checkpoint");
        Ok(step)
    }

    /// Ends splitting: the file has `total` data rows, and the blocks that exist are all of them.
    ///
    /// A repeat writes the same. An import that is to end early keeps what it has, and so does one that has another total.
    pub async fn set_total(&self, import: &Import, total: u64) -> Result<Step> {
        let update = self
            .update(import_key(&import.account, &import.id))
            .update_expression("SET #total = :total")
            .condition_expression(
                "attribute_exists(pk) AND attribute_not_exists(halt) AND (attribute_not_exists(#total) OR #total = :total)",
            )
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":total", n(total));
        let made = is_made(update).await?;
        crash::point("split.total");
        Ok(if made { Step::Made } else { Step::Overtaken })
    }
}
