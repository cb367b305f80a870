//! Reviews: the claims of their chunks, and their confirmation. [`penstock_model::review`] decides; here it is
//! persisted.
//!
//! ```text
//! upload         validate                  imports table                    api                     splitter
//!  │ accept ───────────────────────────────▶ what the order is like
//!  │              │ claims ────────────────▶ one item for each new record
//!  │              │ † review.claimed
//!  │              │ last tally: held ──────▶ and the order to remove the claims
//!  │              │ † review.held           │
//!  │              ▼ report                  │ ◀──────────────── confirm │
//!  │                                        │  one transaction: the review ends; the import that applies it is there,
//!  │                                        │  with its place in the order
//!  │                                        │        † review.confirmed │
//!  │                                        │ ◀────── what it has left: │
//!  │                                        │         quota, upload     │
//!  │                                        │             † review.left │ order the split ────▶ splits it
//! ```
//!
//! - *A claim is made once.* It holds the chunk's number. A chunk that is delivered again finds its own, and counts the
//!   same rows as the ones that make records.
//! - *The claims go when the last chunk is tallied, or the review ends before.* The order to remove them is stored in
//!   that transaction. It is due when a chunk that was delivered twice can be at work no more, and carried out as
//!   [`crate::removals`] draws.
//! - *A confirmation is one transaction*, on the condition that the review is held, and that nothing has taken a place
//!   since it was looked whether the catalogue may have changed. So of two confirmations one makes an import, and so it
//!   is with a cancel. A repeat finds which.
//! - *A death behind it.* What the review has left is left by the repeat, or by the sweeper, which also orders the
//!   split of an import that makes no progress.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::TransactWriteItem;
use penstock_engine::key::RecordName;
use penstock_model::{
    AccountId, Actor, Checkpoint, Import, ImportId, Order, Stage, StoredObject, Transition,
    limits::{CLAIM_SHARDS, READ_BATCH, REMOVAL_AGAIN_MS, WRITE_BATCH},
    review::JudgedAt,
};
use serde::Deserialize;

use crate::{
    Backoff, Result, Store,
    accept::KindOrder,
    change::Change,
    crash,
    dynamo::{from_item, n, putting, s, updating, value},
    places::place,
    quota::IMPORTS,
    records::Written,
    table::{claim_key, claims_pk, due_shard, import_key, removal_key},
};

/// What became of the confirmation of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reviewed {
    /// This import applies it, from now on or before.
    As(ImportId),
    /// The catalogue may have changed since.
    Moved(Moved),
    /// It does not wait to be confirmed.
    NotHeld,
    /// This import is at the gate of the kind.
    GateTaken(ImportId),
    /// There is no such import.
    Missing,
}

/// Who may have changed the catalogue since the rows of a review began to be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// The imports that ran then, and those that have taken a place since.
    pub imports: Vec<ImportId>,
    /// Deletes that have.
    pub deletes: u64,
    /// Further places that were not looked at.
    pub more: u64,
}

#[derive(Deserialize)]
struct Claim {
    pk: String,
    sk: String,
    chunk: u32,
}

impl Store {
    /// That a review accepts an upload: what the order of its kind is like, as an action of the transaction that
    /// accepts it.
    pub(crate) fn judge_action(
        &self,
        import: &Import,
        object: &StoredObject,
        KindOrder { next, running, held, .. }: KindOrder,
    ) -> Result<TransactWriteItem> {
        let running = running.difference(&held).filter_map(|id| id.parse().ok()).collect();
        let judge = Transition::Judge { object: object.clone(), at: JudgedAt { next, running } };
        Ok(Change::by(import, &judge, self.now_ms())?
            .set("due_at", n(self.next_look()))
            .set("due_shard", s(due_shard(&import.id)))
            .in_action(self.update_action(import_key(&import.account, &import.id))))
    }

    /// Claims records that rows of a review's chunk would make; of each in turn whether the chunk holds the claim. A
    /// repeat finds the claims of the first time.
    ///
    /// # Errors
    /// The table does not take the claims for long; any of them may be made.
    pub async fn claim(&self, review: &ImportId, chunk: u32, names: &[&RecordName]) -> Result<Vec<bool>> {
        let table = self.imports_table();
        let insert = format!(r#"INSERT INTO "{table}" VALUE {{'pk': ?, 'sk': ?, 'chunk': ?}}"#);
        let claims: Vec<(String, String)> = names.iter().map(|name| claim_key(review, name)).collect();
        let mut holders: HashMap<&(String, String), u32> = HashMap::new();
        let mut left: Vec<&(String, String)> = claims.iter().collect();
        let mut pause = Backoff::default();
        while !left.is_empty() {
            let mut unmade = Vec::new();
            for batch in left.chunks(WRITE_BATCH) {
                let statements = batch.iter().map(|(pk, sk)| (insert.clone(), vec![s(pk), s(sk), n(chunk)])).collect();
                for (claim, written) in batch.iter().zip(self.execute(statements).await?) {
                    match written {
                        Written::Stored => drop(holders.insert(*claim, chunk)),
                        Written::ReadAgain => unmade.push(*claim),
                    }
                }
            }
            // Somebody holds them, or the table gave no answer.
            for batch in unmade.chunks(READ_BATCH) {
                let keys = batch.iter().map(|(pk, sk)| crate::dynamo::key(pk, sk)).collect();
                for item in self.batch_get(table, keys).await? {
                    let Claim { pk, sk, chunk } = from_item("a claim", item)?;
                    let place = (pk, sk);
                    if let Some(claim) = batch.iter().find(|claim| ***claim == place) {
                        holders.insert(*claim, chunk);
                    }
                }
            }
            left = unmade.into_iter().filter(|claim| !holders.contains_key(claim)).collect();
            if !left.is_empty() {
                pause.wait("dynamodb:BatchExecuteStatement").await?;
            }
        }
        crash::point("review.claimed");
        Ok(claims.iter().map(|claim| holders.get(claim) == Some(&chunk)).collect())
    }

    /// The order to remove the claims of a review, as an action of the transaction from which on no chunk needs them. A
    /// repeat has them removed once more.
    pub(crate) fn remove_claims_action(&self, review: &Import) -> Result<TransactWriteItem> {
        let now = self.now_ms();
        let at = now + REMOVAL_AGAIN_MS;
        let change = self.removal_change(&review.account, &review.id, at)?;
        let change = change.set("missing_from", n(now)).set("last_at", n(at));
        Ok(change.in_action(self.update_action(removal_key(&review.account, &review.id))))
    }

    /// Removes claims of a review, shard by shard; whether those were all. A repeat removes what is there then.
    pub(crate) async fn delete_claims(&self, review: &ImportId) -> Result<bool> {
        for shard in 0..CLAIM_SHARDS {
            let (keys, is_whole) = self.keys_page(self.imports_table().to_owned(), claims_pk(review, shard)).await?;
            self.delete_items(self.imports_table(), keys).await?;
            if !is_whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Has a review that is judged wait to be confirmed, and its claims removed, in one transaction; orders its
    /// rejected rows to be written. A repeat finds it held.
    pub(crate) async fn hold_review(&self, import: &Import) -> Result<()> {
        let now = self.now_ms();
        let settings = self.settings();
        let hold = import.hold_review(now, settings.confirm_ms(), settings.upload_retention_ms());
        let Some(hold @ Transition::Hold { until, rows, .. }) = &hold else { return Ok(()) };
        // Where rows are rejected, the sweeper looks whether their file is written.
        let rejected = rows.is_some_and(|rows| rows.failed > 0);
        let due_at = if rejected { self.next_look() } else { until + 1 };
        let event = self.heard(import.event(hold, now)).await?;
        let held = Change::by(import, hold, now)?.set("due_at", n(due_at));
        let held = held.in_action(self.update_action(import_key(&import.account, &import.id)));
        let mut actions = vec![held, self.remove_claims_action(import)?];
        actions.extend(self.event_action(event.as_ref())?);
        if !self.transact_unless_changed(actions).await? {
            return Ok(());
        }
        crash::point("review.held");
        self.order_told(event.as_ref()).await?;
        if rejected {
            self.send(&Order::to_report(import)).await?;
        }
        Ok(())
    }

    /// Confirms a review, in one transaction: the review ends, and the import with the id `new` is there and applies
    /// it, at the next place in the order of its kind. `even_if_moved` is whether that is to be where the catalogue may
    /// have changed since; `by` is who confirms, and so who makes that import. A repeat finds the import of the first
    /// time.
    pub async fn confirm_review(
        &self,
        account: &AccountId,
        id: &ImportId,
        new: ImportId,
        by: &Actor,
        even_if_moved: bool,
    ) -> Result<Reviewed> {
        let mut pause = Backoff::default();
        loop {
            let Some(review) = self.import(account, id).await? else { return Ok(Reviewed::Missing) };
            if let Some(applies) = &review.confirmed_as {
                return Ok(Reviewed::As(applies.clone()));
            }
            if self.end_held(&review).await? {
                return Ok(Reviewed::NotHeld);
            }
            let kind_order = self.kind_order(&review).await?;
            let kind_was_empty = kind_order.is_empty();
            let KindOrder { next, running, gate, .. } = kind_order;
            let (now, kept_ms) = (self.now_ms(), self.settings().upload_retention_ms());
            let applies = review.applying(new.clone(), now, kept_ms, next, running.is_empty());
            let (Some(applies), Some(confirm)) = (applies, review.confirm_as(&new)) else {
                return Ok(Reviewed::NotHeld);
            };
            let applies = Import { created_by: Some(by.clone()), kind_was_empty, ..applies };
            if let Some(gate) = gate {
                return Ok(Reviewed::GateTaken(gate));
            }
            let judged_at = review.judged_at.clone().unwrap_or_default();
            if !even_if_moved && judged_at.may_have_moved(next) {
                return Ok(Reviewed::Moved(self.moved(&review, &judged_at, next).await?));
            }
            let mut ended = Change::by(&review, &confirm, now)?
                .set("due_at", n(self.next_look()))
                .set("confirmed_by", value("who asks", by)?);
            let reads = match review.from {
                None => {
                    ended = ended.add_to_set("readers", &new);
                    None
                }
                Some(_) => Some(self.read_also_action(&applies)),
            };
            let bytes = applies.object.as_ref().map_or(0, |object| object.bytes);
            let mut actions = vec![
                ended.in_action(self.update_action(import_key(account, id))),
                putting(self.new_import_action(&applies)?),
                updating(self.take_order_place(&applies, next, applies.no_older_running)),
                putting(self.put_action(place(account, &review.kind, next, &new))),
                self.count_bytes_action(account, bytes),
                // The review leaves its place behind that, so there may be one more for a moment.
                self.retake_place_action(account, &new),
            ];
            actions.extend(self.use_action(&applies));
            actions.extend(reads);
            let ended = self.heard(review.event(&confirm, now)).await?;
            let begun = self.heard(applies.event_of_new(now)).await?;
            actions.extend(self.event_action(ended.as_ref())?);
            actions.extend(self.event_action(begun.as_ref())?);
            match self.transact(actions).await? {
                None => {
                    crash::point("review.confirmed");
                    self.order_told(ended.as_ref()).await?;
                    self.order_told(begun.as_ref()).await?;
                    self.has_kind(&applies).await?;
                    return Ok(Reviewed::As(new));
                }
                // Something took the place, or the review has moved on: look again.
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// Orders the split of the import that applies a review, unless that has begun. A repeat orders it again, which is
    /// harmless.
    pub async fn order_applied(&self, applies: &Import) -> Result<()> {
        let has_begun = applies.checkpoint != Checkpoint::START || !applies.split_begun.is_empty();
        if applies.stage() != Stage::Splitting || has_begun {
            return Ok(());
        }
        self.order_again(applies).await
    }

    /// Has a review that has ended count against its account's quota no more, and read no other import's upload once
    /// its rejected rows are written. A repeat, and a review that holds neither, changes nothing.
    pub async fn leave_review(&self, review: &Import) -> Result<()> {
        let mut pause = Backoff::default();
        loop {
            let mut actions = vec![self.leave_place_action(&review.account, self.account_quota(), IMPORTS, &review.id)];
            if !review.owes_report() {
                actions.extend(self.leave_upload_action(review).await?);
            }
            if self.transact(actions).await?.is_none() {
                break;
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
        crash::point("review.left");
        Ok(())
    }

    /// Who may have changed the catalogue, by the places that were taken since. At most [`READ_BATCH`] of those are
    /// looked at, the first.
    async fn moved(&self, review: &Import, JudgedAt { next: from, running }: &JudgedAt, next: u64) -> Result<Moved> {
        let looked: BTreeSet<u64> = (*from..next).take(READ_BATCH).collect();
        let places = self.imports_of_places(&review.account, &review.kind, &looked).await?;
        let mut imports: Vec<ImportId> = running.iter().cloned().collect();
        for id in places.values().filter(|id| !running.contains(id)) {
            if !imports.contains(id) {
                imports.push(id.clone());
            }
        }
        let deletes = (looked.len() - places.len()) as u64;
        Ok(Moved { imports, deletes, more: next.saturating_sub(*from) - looked.len() as u64 })
    }
}
