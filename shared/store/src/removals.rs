//! Deleted imports, and uploads that no import is about: what is said to be gone is gone, with every version of it.
//!
//! Only the sweeper removes versions. Everybody else leaves an order, [`Removal`], an item of the imports table that
//! the sweeper finds by the index `due`. So the one who reads hostile files cannot remove any, a death after the answer
//! loses nothing, and a request takes no longer for a large import than for a small one.
//!
//! An import goes by [`Store::remove_ended`], whether its owner deletes it or its time is over ([`crate::retention`]).
//!
//! ```text
//! api, or sweeper           imports table                        sweeper                    S3
//!  │ delete ──────────────▶ the import goes, its order comes
//!  │ † delete.ordered       (one transaction)
//!  ▼ 204                       │ due now ────────────────────────▶ remove ─────────────────▶ parts, every version,
//!                              │                                   † removal.versions        rejected rows file
//!                              ◀── due at `last_at` ────────────── row errors, blocks
//!                              │                                   † removal.noted
//!                              │ due at `last_at` ───────────────▶ remove: all of it again
//!                              ◀── the order goes ────────────────
//! splitter                     ▲                                   † removal.closed
//!  │ an event of an object     │
//!  │ that is not kept: turn_away
//! ```
//!
//! What is removed is decided when an order is carried out, from the import as it is then ([`Import::kept`]):
//!
//! - **The import awaits its upload, or has expired**: nothing. An upload that S3 took in time counts, however late it
//!   is stored.
//! - **It is about an object**: every version but that one. The object is pinned in the transaction that accepts it and
//!   never changes, so nothing that is removed can be accepted afterwards.
//! - **It has ended without an object**: every version. It never accepts one any more.
//! - **It is missing**: everything, once it cannot be one that is about to be made: see below.
//!
//! Of a review that is judged, or has ended, its claims go as well ([`crate::review`]).
//!
//! The interleavings, one by one:
//!
//! - *An upload arrives while the import is being accepted.* Of two objects one is pinned. The event of the other one,
//!   in whichever order they come, finds the import about another object, and orders a removal; the sweeper keeps what
//!   is pinned. As long as neither is pinned, nothing is removed.
//! - *An import is accepted while an order is carried out.* The order found it awaiting or expired, and removes
//!   nothing.
//! - *A late upload of an expired import is accepted while the import is deleted.* The deletion's transaction is
//!   refused, because the import has moved on, and the deletion decides anew: the import runs, and cannot be deleted.
//! - *An upload is cancelled or deleted and stored all the same.* Its event orders the removal. Where the event is
//!   lost, the sweeper, which has the import or the order on its list until the URLs have expired, looks then.
//! - *An object is stored while the sweeper removes the others.* Its event changes the order's mark, so that the
//!   sweeper cannot close the order or put it off: it is carried out once more.
//! - *An import is deleted while an order about it is carried out.* The deletion replaces the order and its mark.
//! - *A form's file is stored before its import is made* ([`crate::uploaded`]), and its event finds no import. The
//!   order waits for [`STRAY_MS`](penstock_model::limits::STRAY_MS); if there is an import by then, it keeps its
//!   object. A repeat of the event does not shorten the wait.
//! - *An import is deleted while its rejected rows are written, or a chunk is delivered again.* What they leave is
//!   removed at the last look, which comes after the longest invocation.
//!
//! What is left, all with a lost event: an upload that began in the last moments of its URL and took longer than the
//! order lives; a late upload of an import that has expired; and a form's second object of an import that has run. The
//! bucket's lifecycle rule removes these, as it removes any upload: after `UploadRetentionDays`, and once more as many
//! as a version that is not current. Parts on their way while their upload was given up go two days after it began.

use aws_sdk_s3::error::ProvideErrorMetadata;
use penstock_model::{
    AccountId, Deletion, Import, ImportId, Kept, Removal, Stage, StoredObject, Uploaded,
    limits::{REMOVAL_REQUESTS_AT_ONCE, REMOVED_AT_ONCE, STRAY_MS},
};
use tokio::task::JoinSet;

use crate::{
    Backoff, Result, Store, StoreError,
    change::Change,
    crash,
    due::Due,
    dynamo::{Item, is_made, n, putting, s, to_item, value},
    table::{block_key, import_key, removal_key, removal_shard},
    uploads::{rejected_key, upload_key},
    versions::Behind,
};

/// What became of the deletion of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, now or before.
    Gone,
    /// It runs; nothing is changed.
    Runs,
    /// This import reads its upload; nothing is changed.
    Read(ImportId),
}

/// What became of an import that was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It is gone by this call.
    Now,
    /// It stands elsewhere than it did, or is gone.
    MovedOn,
    /// Somebody else is at it, or at what goes with it, at this moment.
    Busy,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Everything is removed. The order is closed, or comes again when nothing can be stored any more.
    All,
    /// As much as is removed at once; the order is due again.
    Part,
    /// It is not due: the index lags behind, or another sweeper was first.
    Nothing,
}

fn mark() -> String {
    crate::hex(&crate::random::<16>())
}

impl Store {
    /// Deletes an import. Refused, with nothing changed, while it runs or another import reads its upload. A repeat
    /// finds it missing.
    pub async fn delete(&self, account: &AccountId, id: &ImportId) -> Result<Deleted> {
        let mut pause = Backoff::default();
        loop {
            let Some(import) = self.import(account, id).await? else { return Ok(Deleted::Gone) };
            match import.delete() {
                Deletion::End(transition) => {
                    self.make(&import, &transition).await?;
                    continue;
                }
                Deletion::Refused => return Ok(Deleted::Runs),
                Deletion::Read(reader) => return Ok(Deleted::Read(reader)),
                Deletion::Remove => {}
            }
            match self.remove_ended(&import).await? {
                Gone::Now => return Ok(Deleted::Gone),
                // It has moved on or is gone: the next round decides.
                Gone::MovedOn => {}
                Gone::Busy => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// Removes an import that has ended: from now on it is missing, what is left of it is ordered to be removed, the
    /// place that it took tells whose it was, another import's upload is read by it no more, and its story keeps what
    /// became of its rows, in one transaction. It is made while the import stands where it did when it was read, and
    /// nobody reads its upload. A repeat finds it missing.
    pub(crate) async fn remove_ended(&self, import: &Import) -> Result<Gone> {
        let gone = Change::at(&[Stage::Expired, Stage::Ended]).only_if("attribute_not_exists(readers)");
        let gone = match import.completed_at {
            // One that had expired may have run and ended since.
            Some(at) => gone.only_if("completed_at = :ended_at").value("ended_at", n(at)),
            None => gone,
        };
        let gone = gone.in_deletion(self.imports_table(), import_key(&import.account, &import.id));
        let removal = import.removal(self.now_ms(), mark());
        let mut actions = vec![gone, putting(self.put_action(item(&removal)?))];
        actions.extend(self.taken_action(import));
        actions.extend(self.leave_upload_action(import).await?);
        actions.extend(self.leave_story_action(import).await?);
        let Some(reasons) = self.transact(actions).await? else {
            crash::point("delete.ordered");
            return Ok(Gone::Now);
        };
        Ok(if reasons[0] == "ConditionalCheckFailed" { Gone::MovedOn } else { Gone::Busy })
    }

    /// What becomes of an object that was stored under an import's key and is not its upload: its removal is ordered.
    /// An object that the import may still accept, or has accepted, stays. A repeat orders the same again.
    pub async fn turn_away(&self, account: &AccountId, id: &ImportId, object: &StoredObject) -> Result<()> {
        match self.import(account, id).await? {
            Some(import) if import.object.as_ref().is_some_and(|pinned| pinned.is(object)) => Ok(()),
            Some(import) => match import.on_upload(object) {
                Uploaded::Ignored(_) => self.order_removal(account, id).await,
                Uploaded::Expected | Uploaded::Known => Ok(()),
            },
            None => self.order_removal_of_stray(account, id).await,
        }
    }

    /// Orders the removal of what is stored under the import's key and is not kept, now. An order that is there comes
    /// now; a repeat does the same again.
    pub async fn order_removal(&self, account: &AccountId, id: &ImportId) -> Result<()> {
        let now = self.now_ms();
        let change = self.removal_change(account, id, now)?;
        let change = change.set("missing_from", n(now)).set_to("#last_at = if_not_exists(#last_at, :missing_from)");
        let change = change.named("last_at", "last_at");
        is_made(change.in_update(self.update(removal_key(account, id)))).await?;
        crash::point("removal.ordered");
        Ok(())
    }

    /// Orders the removal of what is stored for an import that does not exist: now, if it has been deleted; after a
    /// while, if it may be about to be made. A repeat does not change when.
    async fn order_removal_of_stray(&self, account: &AccountId, id: &ImportId) -> Result<()> {
        let now = self.now_ms();
        let of_deleted = self.removal_change(account, id, now)?.only_if("missing_from <= :due_at");
        if !is_made(of_deleted.in_update(self.update(removal_key(account, id)))).await? {
            let from = now + STRAY_MS;
            let waits = self.removal_change(account, id, from)?.only_if("attribute_not_exists(pk)");
            let waits = waits.set("missing_from", n(from)).set("last_at", n(from));
            is_made(waits.in_update(self.update(removal_key(account, id)))).await?;
        }
        crash::point("removal.ordered");
        Ok(())
    }

    pub(crate) fn removal_change(&self, account: &AccountId, id: &ImportId, due_at: i64) -> Result<Change> {
        Ok(Change::default()
            .set("account", value("an account", account)?)
            .set("import", value("an import's id", id)?)
            .set("mark", s(mark()))
            .set("due_shard", s(removal_shard(id)))
            .set("due_at", n(due_at)))
    }

    /// The order about an import, if there is one.
    pub async fn removal(&self, account: &AccountId, id: &ImportId) -> Result<Option<Removal>> {
        self.get_item("a removal", removal_key(account, id)).await
    }

    /// Carries an order out. A repeat goes on where the last one stopped, and finds removed what was removed.
    ///
    /// # Errors
    /// What may be different next time: the order stays due.
    pub async fn remove(&self, due: &Due) -> Result<Removed> {
        let Due { account, import: id } = due;
        let Some(removal) = self.removal(account, id).await?.filter(|removal| removal.due_at <= self.now_ms()) else {
            return Ok(Removed::Nothing);
        };
        let import = self.import(account, id).await?;
        let is_gone = import.is_none();
        let is_judged = import.as_ref().is_some_and(Import::is_judged);
        let is_all = match import.as_ref().map(Import::kept) {
            Some(Kept::All) => true,
            Some(Kept::Only(object)) => self.remove_versions(account, id, Some(object)).await?,
            Some(Kept::Nothing) => self.remove_versions(account, id, None).await?,
            None => self.remove_traces(&removal).await?,
        };
        let is_all = is_all && (!is_judged || self.delete_claims(id).await?);
        crash::point("removal.versions");
        let now = self.now_ms();
        let again_at = match is_all {
            false => Some(now),
            true if (is_gone || is_judged) && now < removal.last_at => Some(removal.last_at),
            true => None,
        };
        // An order that came meanwhile stays as it is.
        let unchanged = Change::default().only_if("#mark = :mark").named("mark", "mark");
        let unchanged = unchanged.value("mark", s(&removal.mark));
        match again_at {
            Some(at) => {
                let put_off = unchanged.set("due_at", n(at));
                is_made(put_off.in_update(self.update(removal_key(account, id)))).await?;
                crash::point("removal.noted");
            }
            None => {
                self.transact(vec![unchanged.in_deletion(self.imports_table(), removal_key(account, id))]).await?;
                crash::point("removal.closed");
            }
        }
        Ok(if is_all { Removed::All } else { Removed::Part })
    }

    /// Puts an order off that could not be carried out, so that it keeps no others waiting. A repeat does so again.
    pub async fn put_off_removal(&self, due: &Due) -> Result<()> {
        let change = Change::of_existing().set("due_at", n(self.next_look()));
        is_made(change.in_update(self.update(removal_key(&due.account, &due.import)))).await.map(drop)
    }

    /// Removes what an import that is missing has left; whether that is all of it.
    async fn remove_traces(&self, removal: &Removal) -> Result<bool> {
        let Removal { account, import: id, .. } = removal;
        if let Some(upload) = &removal.parts {
            self.abort(account, id, upload).await?;
        }
        // The files first: they are the most that is left, and what is waited for.
        self.remove_from_inbox(removal.inbox.clone()).await?;
        let mut is_all = self.remove_versions(account, id, None).await?;
        let rejected = rejected_key(account, id);
        if let Some(upload) = &removal.report {
            self.abort_multipart(&self.settings().results_bucket, &rejected, upload).await?;
        }
        self.remove_result(&rejected).await?;
        is_all &= self.delete_errors(id).await?;
        if removal.replaced {
            self.delete_replace(id).await?;
        }
        if removal.reviewed {
            is_all &= self.delete_claims(id).await?;
        }
        let blocks = (0..removal.opened_blocks).map(|block| block_key(id, block)).collect();
        self.delete_items(self.imports_table(), blocks).await?;
        Ok(is_all)
    }

    /// Removes an object of the results bucket. A repeat finds it gone.
    pub(crate) async fn remove_result(&self, key: &str) -> Result<()> {
        let sent = self.inner.s3.delete_object().bucket(&self.settings().results_bucket).key(key).send().await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(StoreError::unavailable("s3:DeleteObject")(error)),
        }
    }

    /// Removes every version that is stored under the import's key, and every delete marker; or, if one is to be kept,
    /// every other version. Whether that is all there is: no more than [`REMOVED_AT_ONCE`] are removed in one call. A
    /// repeat removes what is there then.
    async fn remove_versions(&self, account: &AccountId, id: &ImportId, kept: Option<&StoredObject>) -> Result<bool> {
        if kept.is_some_and(|kept| kept.version.is_none()) {
            // The bucket keeps no versions: there is one object, and it cannot be told which.
            return Ok(true);
        }
        let kept = kept.and_then(|kept| kept.version.as_deref());
        let key = upload_key(account, id);
        let (mut behind, mut removed) = (Behind::default(), 0);
        loop {
            let page = self.list_versions(&key, behind, REMOVED_AT_ONCE).await?;
            let versions = page.versions.into_iter().map(|version| (version.key, version.id));
            let versions = versions.filter(|(_, version)| Some(version.as_str()) != kept);
            let markers = page.markers.into_iter().filter(|_| kept.is_none());
            let unwanted: Vec<(String, String)> = versions.chain(markers).filter(|(of, _)| *of == key).collect();
            removed += unwanted.len();
            self.delete_object_versions(unwanted).await?;
            match page.rest {
                None => return Ok(true),
                Some(_) if removed >= REMOVED_AT_ONCE => return Ok(false),
                Some(rest) => behind = rest,
            }
        }
    }

    /// Removes versions of uploads, each by its key and its id. A repeat finds them gone.
    pub(crate) async fn delete_object_versions(&self, versions: Vec<(String, String)>) -> Result<()> {
        for group in versions.chunks(REMOVAL_REQUESTS_AT_ONCE) {
            let mut requests = JoinSet::new();
            for (key, version) in group {
                let delete = self.inner.s3.delete_object().bucket(&self.settings().uploads_bucket);
                let delete = delete.key(key).version_id(version);
                requests.spawn(async move {
                    match delete.send().await {
                        Ok(_) => Ok(()),
                        Err(error) if matches!(error.code(), Some("NoSuchVersion" | "NoSuchKey")) => Ok(()),
                        Err(error) => Err(StoreError::unavailable("s3:DeleteObject")(error)),
                    }
                });
            }
            while let Some(done) = requests.join_next().await {
                done.map_err(|error| StoreError::Unavailable { call: "s3:DeleteObject", reason: error.to_string() })??;
            }
        }
        Ok(())
    }
}

/// A removal as it is stored, on the sweeper's list.
fn item(removal: &Removal) -> Result<Item> {
    let mut item = to_item("a removal", removal)?;
    item.extend(removal_key(&removal.account, &removal.import));
    item.insert("due_shard".into(), s(removal_shard(&removal.import)));
    Ok(item)
}
