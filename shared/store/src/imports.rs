//! Imports: the control plane's items, one per import. While there may be something to do for an import, its item
//! carries `due_at`, by which the sweeper finds it through the index `due`; and once it has ended, for
//! [`crate::retention`].

use aws_sdk_dynamodb::types::builders::PutBuilder;
use penstock_model::{
    AccountId, Import, ImportId, KindName, Report, ReportCheckpoint, Stage, Status, limits, story::NoCorrection,
};

pub use crate::idempotency::Idempotency;
use crate::{
    Backoff, Result, Store, StoreError,
    change::Change,
    crash,
    dynamo::{from_item, is_made, n, putting, s, to_item, value},
    idempotency::Seen,
    names::Own,
    quota::IMPORTS,
    table::{account_pk, due_shard, import_key},
    uploads::rejected_key,
};

/// The outcome of a creation.
#[derive(Debug)]
pub enum Creation {
    /// The import exists now.
    Created,
    /// The same request has been made before; this is its import.
    Repeated(ImportId),
    /// The key has been used for another request.
    OtherRequest,
    /// The account has as many unfinished imports as it may have; nothing is stored.
    NoPlace,
    /// The import's kind has been removed meanwhile, or its version has; the import has ended.
    NoKind,
    /// The upload that it would read is gone with its import; nothing is stored.
    NoUpload,
    /// As many imports read that upload as may; nothing is stored.
    UploadBusy,
    /// It cannot correct the import that it names; nothing is stored.
    NotCorrected(NoCorrection),
}

/// Which imports to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those with this status.
    pub status: Option<Status>,
    /// Those of one of these kinds; of any kind when there is none.
    pub kinds: Vec<KindName>,
}

impl Store {
    /// Stores a new import, counts it against its account's quota, and stores what its `Idempotency-Key` stands for, in
    /// one transaction; and with it that it reads another one's upload, or corrects another one.
    ///
    /// A repeat with the same key and request gives the import of the first time; without a key it makes another
    /// import.
    pub async fn create_import(&self, import: &Import, idempotency: Option<&Idempotency>) -> Result<Creation> {
        let mut actions = vec![putting(self.new_import_action(import)?)];
        if let Some(idempotency) = idempotency {
            actions.push(self.remember_action(&import.account, idempotency, &import.id, import.created_at)?);
        }
        let quota = self.account_quota();
        let place = actions.len();
        actions.push(self.take_place_action(&import.account, quota, IMPORTS, &import.id));
        actions.extend(self.use_action(import));
        let reads = actions.len();
        actions.extend(self.read_upload_action(import));
        // One that reads what is there has begun.
        let event = self.heard(import.event_of_new(import.created_at)).await?;
        let mut pause = Backoff::default();
        loop {
            let corrects = match self.correct_actions(import).await? {
                Ok(corrects) => corrects,
                // The transaction had its effect, and its answer was lost.
                Err(NoCorrection::Corrected { by, .. }) if by == import.id => {
                    return self.created(import, idempotency).await;
                }
                Err(why) => return Ok(Creation::NotCorrected(why)),
            };
            let told = self.event_action(event.as_ref())?;
            let Some(reasons) = self.transact(actions.iter().cloned().chain(corrects).chain(told).collect()).await?
            else {
                self.order_told(event.as_ref()).await?;
                return self.created(import, idempotency).await;
            };
            if let Some(idempotency) = idempotency.filter(|_| reasons[1] == "ConditionalCheckFailed") {
                match self.seen(&import.account, idempotency, &import.id).await? {
                    Seen::Nothing => {}
                    Seen::Own => return self.created(import, Some(idempotency)).await,
                    Seen::Earlier(first) => return Ok(Creation::Repeated(first)),
                    Seen::Other => return Ok(Creation::OtherRequest),
                }
            } else if reasons[0] == "ConditionalCheckFailed" {
                // The client repeated a call that had had its effect.
                return self.created(import, idempotency).await;
            } else if reasons[place] == "ConditionalCheckFailed" && !self.has_place(&import.account, quota).await? {
                return Ok(Creation::NoPlace);
            } else if reasons.get(reads).is_some_and(|reason| reason == "ConditionalCheckFailed")
                && let Some(why) = self.unreadable(import).await?
            {
                return Ok(why);
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }

    /// Where the kind has gone meanwhile, the import has ended, and its key stands for nothing.
    async fn created(&self, import: &Import, idempotency: Option<&Idempotency>) -> Result<Creation> {
        if import.corrects.is_some() {
            crash::point("story.joined");
        }
        if self.has_kind(import).await? {
            return Ok(Creation::Created);
        }
        if let Some(idempotency) = idempotency {
            self.forget(&import.account, idempotency, &import.id).await?;
        }
        Ok(Creation::NoKind)
    }

    /// The put of an import that does not exist yet. The sweeper looks at it when it has made no progress for the stall
    /// time.
    pub(crate) fn new_import_action(&self, import: &Import) -> Result<PutBuilder> {
        let mut item = to_item("an import", import)?;
        item.extend(import_key(&import.account, &import.id));
        item.insert("due_shard".into(), s(due_shard(&import.id)));
        item.insert("due_at".into(), n(self.next_look()));
        Ok(self.put_action(item).condition_expression("attribute_not_exists(pk)"))
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
                .query(account_pk(account), Own::Import.text())
                .scan_index_forward(false)
                .limit(limits::PAGE_MAX as i32)
                .set_exclusive_start_key(start);
            let mut conditions = Vec::new();
            if let Some(status) = filter.status {
                query = query
                    .expression_attribute_names("#status", "status")
                    .expression_attribute_values(":status", s(status.as_str()));
                conditions.push("#status = :status");
            }
            let kinds: Vec<String> = (0..filter.kinds.len()).map(|at| format!(":kind{at}")).collect();
            let of_kinds = format!("#kind IN ({})", kinds.join(", "));
            if !kinds.is_empty() {
                query = query.expression_attribute_names("#kind", "kind");
                for (name, kind) in kinds.iter().zip(&filter.kinds) {
                    query = query.expression_attribute_values(name, s(kind.as_str()));
                }
                conditions.push(&of_kinds);
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

    /// Notes how far the writer of an import's rejected rows is, unless the file is recorded, or another writer has
    /// noted something since the import was read; whether it is noted. A repeat is refused.
    pub(crate) async fn note_report(&self, import: &Import, at: &ReportCheckpoint) -> Result<bool> {
        let change = Change::of_existing().only_if("attribute_not_exists(#report)").named("report", "report");
        let change = match &import.report_at {
            None => change.only_if("attribute_not_exists(report_at)"),
            Some(before) => change
                .only_if("report_at.#upload = :upload AND report_at.#parts = :parts")
                .named("upload", "upload")
                .named("parts", "parts")
                .value("upload", s(&before.upload))
                .value("parts", n(before.parts)),
        };
        let change = change.set("report_at", value("how far a report is", at)?);
        is_made(change.in_update(self.update(import_key(&import.account, &import.id)))).await
    }

    /// Removes what an attempt to write the import's rejected rows has left that nobody goes on with. A repeat finds
    /// nothing.
    pub async fn give_up_report(&self, import: &Import, left: &ReportCheckpoint) -> Result<()> {
        let key = rejected_key(&import.account, &import.id);
        self.abort_multipart(&self.settings().results_bucket, &key, &left.upload).await?;
        let change = Change::of_existing().only_if("report_at.#upload = :upload").named("upload", "upload");
        let change = change.value("upload", s(&left.upload)).remove("report_at");
        is_made(change.in_update(self.update(import_key(&import.account, &import.id)))).await.map(drop)
    }

    /// Records the rejected rows file of an import; the sweeper need not look at it any more, and where it read
    /// another import's upload it does so no more. A review that waits to be confirmed stays on the sweeper's list, and
    /// reads on. A repeat writes the same.
    pub async fn set_report(&self, import: &Import, report: &Report) -> Result<()> {
        let is_held = import.stage() == Stage::Held;
        let ended_at = import.ended_at().unwrap_or(import.created_at);
        let change = Change::of_existing().set("report", value("a report", report)?);
        // Where this writer has not gone on from it, whoever does finds the file recorded, and gives up.
        let change = if import.report_at.is_some() { change.remove("report_at") } else { change };
        let change = if is_held { change } else { change.ended(&import.id, ended_at) };
        let key = import_key(&import.account, &import.id);
        // Where the condition is not met, the import was deleted while its report was written.
        if import.from.is_none() || is_held {
            is_made(change.in_update(self.update(key))).await?;
        } else {
            let recorded = change.in_action(self.update_action(key));
            let mut pause = Backoff::default();
            loop {
                let mut actions = vec![recorded.clone()];
                actions.extend(self.leave_upload_action(import).await?);
                let reasons = self.transact(actions).await?;
                if reasons.is_none_or(|reasons| reasons[0] == "ConditionalCheckFailed") {
                    break;
                }
                pause.wait("dynamodb:TransactWriteItems").await?;
            }
        }
        crash::point("report.recorded");
        Ok(())
    }
}
