//! Exports: one item each in the imports table, under its account. [`penstock_model::Export`] decides what becomes of
//! one; here it is persisted, each write on the condition that nobody else has written since it was read.
//!
//! ```text
//! api                     imports table            exports queue        export                       S3
//!  │ create ────────────▶ the export, its place
//!  │ † export.created
//!  │ ────────────────────────────────────────────▶ order ─────────────▶ begin
//!  ▼ 202                                                                 │ shards ─ part ───────────▶ UploadPart
//!                                                                        │ † export.part
//!                         ◀───────────────────────────────────────────── │ checkpoint
//!                                                                        │ † export.checkpoint
//!                                                 ◀──── the rest ─────── │ near its time limit
//!                                                                        │ † export.continued
//!                                                                        │ all read ────────────────▶ complete
//!                                                                        │ † export.stored
//!                         ◀───────────────────────────────────────────── │ completed, its place is free
//!                                                                        ▼ † export.ended
//! ```
//!
//! The file may hold nothing twice and lack nothing: a part that was stored and not noted is no part of it, and what
//! stood in it is read again. An order that is lost, or whose reader died for good, is sent again by the sweeper, which
//! also removes what a cancelled, failed or deleted export has left: see [`crate::export_files`].

use std::collections::BTreeSet;

use penstock_model::{AccountId, Export, ExportId, limits};
use serde::Deserialize;

use crate::{
    Backoff, Result, Store, StoreError,
    change::Change,
    crash,
    dynamo::{Item, from_item, is_made, n, putting, s, to_item},
    idempotency::{Idempotency, Seen},
    names::Own,
    quota::Quota,
    table::{DUE_SHARDS, account_pk, export_key, export_of, export_shard, unfinished_key},
};

/// The quota of an account's unfinished exports, and the set that it counts.
const QUOTA: Quota = Quota { name: EXPORTS, max: limits::ACCOUNT_EXPORTS };
pub(crate) const EXPORTS: &str = "exports";

/// The outcome of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportCreation {
    /// The export exists now.
    Created,
    /// The same request has been made before; this is its export.
    Repeated(ExportId),
    /// The `Idempotency-Key` has been used for another request.
    OtherRequest,
    /// The account has as many unfinished exports as it may have; nothing is stored.
    NoPlace,
}

/// The exports of an account that count against its quota.
#[derive(Default, Deserialize)]
struct Unfinished {
    #[serde(default)]
    exports: BTreeSet<ExportId>,
}

impl Store {
    /// Stores a new export, counts it against its account's quota, and stores what its `Idempotency-Key` stands for, in
    /// one transaction.
    ///
    /// A repeat with the same key and request gives the export of the first time; without a key it makes another one.
    pub async fn create_export(&self, export: &Export, idempotency: Option<&Idempotency>) -> Result<ExportCreation> {
        let place = self.take_place_action(&export.account, QUOTA, EXPORTS, &export.id);
        let put = self.put_action(self.export_item(export)?).condition_expression("attribute_not_exists(pk)");
        let mut actions = vec![putting(put), place];
        if let Some(idempotency) = idempotency {
            actions.push(self.remember_action(&export.account, idempotency, &export.id, export.created_at)?);
        }
        let mut pause = Backoff::default();
        loop {
            let Some(reasons) = self.transact(actions.clone()).await? else { break };
            if let Some(idempotency) = idempotency.filter(|_| reasons[2] == "ConditionalCheckFailed") {
                match self.seen(&export.account, idempotency, &export.id).await? {
                    Seen::Nothing => {}
                    Seen::Own => break,
                    Seen::Earlier(first) => return Ok(ExportCreation::Repeated(first)),
                    Seen::Other => return Ok(ExportCreation::OtherRequest),
                }
            } else if reasons[0] == "ConditionalCheckFailed" {
                // The client repeated a call that had had its effect.
                break;
            } else if reasons[1] == "ConditionalCheckFailed" {
                let key = unfinished_key(&export.account, QUOTA.name);
                let counted: Unfinished = self.get_item("unfinished exports", key).await?.unwrap_or_default();
                if counted.exports.len() >= QUOTA.max {
                    return Ok(ExportCreation::NoPlace);
                }
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
        crash::point("export.created");
        Ok(ExportCreation::Created)
    }

    /// The item of an export. While there may be something to do for it, `due_at` has the sweeper find it; once it has
    /// ended, the table forgets it when its file is no longer kept.
    fn export_item(&self, export: &Export) -> Result<Item> {
        let mut item = to_item("an export", export)?;
        item.extend(export_key(&export.account, &export.id));
        let stall_ms = self.next_look() - self.now_ms();
        if let Some(due_at) = export.due_at(self.now_ms(), stall_ms) {
            item.insert("due_shard".into(), s(export_shard(&export.id)));
            item.insert("due_at".into(), n(due_at));
        }
        if let Some(until) = export.retained_until {
            item.insert("ttl".into(), n(until.max(export.removed_until.unwrap_or(0)) / 1000 + 1));
        }
        Ok(item)
    }

    /// The account's export of this id, read consistently, one that was deleted too.
    pub async fn export(&self, account: &AccountId, id: &ExportId) -> Result<Option<Export>> {
        self.get_item("an export", export_key(account, id)).await
    }

    /// The account's exports, newest first, at most `limit` of them, after the one that `after` names; without those
    /// that were deleted.
    pub async fn list_exports(
        &self,
        account: &AccountId,
        after: Option<&ExportId>,
        limit: usize,
    ) -> Result<Vec<Export>> {
        let mut exports = Vec::new();
        let mut start = after.map(|id| export_key(account, id));
        loop {
            let page = self
                .query(account_pk(account), Own::Export.text())
                .scan_index_forward(false)
                .limit(limits::PAGE_MAX as i32)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::unavailable("dynamodb:Query"))?;
            for item in page.items.unwrap_or_default() {
                let export: Export = from_item("an export", item)?;
                if !export.deleted {
                    exports.push(export);
                }
                if exports.len() == limit {
                    return Ok(exports);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(exports);
            }
        }
    }

    /// Writes what an export has become in place of what it was; whether this call did. An export that ends leaves its
    /// account's quota in the same transaction.
    ///
    /// A repeat of a write that was made finds another revision and answers `false`: read again.
    pub async fn replace_export(&self, old: &Export, new: &Export) -> Result<bool> {
        debug_assert_eq!(new.rev, old.rev + 1, "every write is another revision");
        let item = self.export_item(new)?;
        if new.status.is_final() && !old.status.is_final() {
            let put = self
                .put_action(item)
                .condition_expression("rev = :rev")
                .expression_attribute_values(":rev", n(old.rev));
            let leave = self.leave_place_action(&new.account, QUOTA, EXPORTS, &new.id);
            let event = self.heard(new.event()).await?;
            let told = self.event_action(event.as_ref())?;
            let actions: Vec<_> = [putting(put), leave].into_iter().chain(told).collect();
            let mut pause = Backoff::default();
            loop {
                let Some(reasons) = self.transact(actions.clone()).await? else {
                    self.order_told(event.as_ref()).await?;
                    return Ok(true);
                };
                if reasons[0] == "ConditionalCheckFailed" {
                    return Ok(false);
                }
                pause.wait("dynamodb:TransactWriteItems").await?;
            }
        }
        self.put_revision(item, old.rev).await
    }

    /// Forgets an export that was deleted, unless it was written since. A repeat finds it gone.
    pub async fn forget_export(&self, export: &Export) -> Result<()> {
        let unchanged = Change::default().only_if("rev = :rev").value("rev", n(export.rev));
        let gone = unchanged.in_deletion(self.imports_table(), export_key(&export.account, &export.id));
        self.transact(vec![gone]).await.map(drop)
    }

    /// The exports that are due for a look of the sweeper. The index may lag behind; a look at an export that needs
    /// none does nothing.
    pub async fn due_exports(&self) -> Result<Vec<(AccountId, ExportId)>> {
        self.exports_due_until(self.now_ms()).await
    }

    /// Every export for which there may be something to do, now or later.
    pub async fn unfinished_exports(&self) -> Result<Vec<(AccountId, ExportId)>> {
        self.exports_due_until(i64::MAX).await
    }

    async fn exports_due_until(&self, at_ms: i64) -> Result<Vec<(AccountId, ExportId)>> {
        let mut due = Vec::new();
        for shard in 0..DUE_SHARDS {
            due.extend(self.due_in(format!("export-{shard}"), at_ms, None, export_of).await?);
        }
        Ok(due)
    }

    /// Has the sweeper look at an export again after the stall time, or, if what it has left is removed at a moment of
    /// its own, then. A repeat moves the next look, no more.
    pub async fn put_off_export(&self, export: &Export) -> Result<()> {
        let at = export.removed_until.filter(|until| *until > self.now_ms()).unwrap_or_else(|| self.next_look());
        let change = Change::of_existing().only_if("attribute_exists(due_at)").set("due_at", n(at));
        is_made(change.in_update(self.update(export_key(&export.account, &export.id)))).await.map(drop)
    }
}
