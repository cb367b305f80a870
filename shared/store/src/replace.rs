//! Replaces: the gate of a kind, and what is counted and removed shard by shard. [`penstock_model::replace`] decides
//! what becomes of one; here it is persisted.
//!
//! ```text
//! upload          order of the kind        remove                            imports table          records
//!  │ accept ─────▶ gate                     │
//!  │ another ────▶ waiting                  │
//!  │ † replace.waits                        │
//!  │ last tally ─────────────── order ─────▶│ does anybody else run? ◀─ running
//!  │                                        │ every shard, consistently ◀─────────────────────────── query
//!  │                                        │ † replace.listed, .counted ─────▶ keys, count
//!  │                                        │ few enough: decided ────────────▶ import
//!  │                                        │ † replace.decided
//!  │                                        │ the listed keys ◀──── read again ───────────────────── tombstones
//!  │                                        │ † replace.tombstones, .removed ─▶ keys, removed
//!  │               gate is free ◀───────────│ all shards: ended ──────────────▶ import
//!  │ another ◀──── woken                    ▼ † replace.woken
//! ```
//!
//! - *The gate.* While it is set nothing of the kind is accepted: the transaction that accepts is on the condition that
//!   it is not. So behind the imports that ran before nobody writes rows, and what was read of a record stays so but
//!   for deletes, which pass.
//! - *A count is written once.* The keys of a shard are listed first, each run in parts of its own, then its count,
//!   which names the run: of two runs one wins, and the other one's parts are nobody's.
//! - *The list is all that the removal needs.* From the count on records of the list can only leave it: an API delete
//!   takes them, or a newer import writes them while this one is held. What was not listed is never removed.
//! - *A tombstone is evidence.* Each is written on the condition that its record has the `rev` that was read. A repeat
//!   finds the tombstones of the first time by their stamp, and counts them; while the import runs they cannot expire.
//! - *The end* frees the gate in its transaction. Whoever ends an import while a gate is set tells the import at the
//!   gate; the `remove` function tells those that wait when the gate is free. Where that is lost, the sweeper tells
//!   them.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use penstock_model::{
    AccountId, Actor, Event, Halt, Import, ImportId, Order, Stage, StoredObject, Transition,
    digest::Digests,
    limits::{READ_BATCH, RECORD_SHARDS},
    replace::ToRemove,
};
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Result, Store, StoreError,
    accept::KindOrder,
    change::Change,
    crash,
    dynamo::{Updated, from_item, is_made, items, key, n, putting, s, send, set_of, to_item, updating, value},
    places::place,
    table::{REPLACE_KEYS, import_key, kind_order_key, replace_keys_key, replace_pk},
};

/// The two passes over the shards of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// What would go is counted.
    Count,
    /// It goes.
    Remove,
}

impl Pass {
    fn sort_key(self) -> &'static str {
        match self {
            Self::Count => "counted",
            Self::Remove => "removed",
        }
    }
}

/// What a pass found in a shard, written once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardTally {
    /// Records that would go, or went.
    pub records: u64,
    /// Records that were there before the import, those among them. In a count alone.
    #[serde(default)]
    pub of: u64,
    /// The run whose list of their keys counts.
    pub run: String,
    /// The parts of that list.
    pub parts: u32,
}

/// What became of a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// It is confirmed, now or before.
    Confirmed,
    /// It does not wait to be confirmed.
    NotHeld,
    /// Another import is at the gate of the kind.
    GateTaken(ImportId),
    /// There is no such import.
    Missing,
}

#[derive(Deserialize)]
struct Tallied {
    pk: String,
    #[serde(flatten)]
    tally: ShardTally,
}

#[derive(Deserialize)]
struct Keys {
    #[serde(default)]
    keys: Vec<String>,
}

impl Store {
    /// The order of an import's account and kind, read consistently.
    pub(crate) async fn kind_order(&self, import: &Import) -> Result<KindOrder> {
        let key = kind_order_key(&import.account, &import.kind);
        Ok(self.get_item("an order", key).await?.unwrap_or_default())
    }

    /// Has an import wait for the one at the gate of its kind, in one transaction that is made while that is there;
    /// whether it was made. The event, if there is one, is told by the same transaction. A repeat writes the same.
    pub(crate) async fn wait_for(
        &self,
        import: &Import,
        object: Option<&StoredObject>,
        gate: &ImportId,
        event: Option<&Event>,
    ) -> Result<bool> {
        let wait = Transition::Wait { object: object.cloned(), gate: gate.clone() };
        let waits = Change::by(import, &wait, self.now_ms())?
            .set("due_at", n(self.next_look()))
            .set("due_shard", s(crate::table::due_shard(&import.id)))
            .set_to("found_at = if_not_exists(found_at, :found_at)")
            .value("found_at", n(self.now_ms()))
            .in_action(self.update_action(import_key(&import.account, &import.id)));
        let noted = self
            .update_action(kind_order_key(&import.account, &import.kind))
            .update_expression("ADD #waiting :ids")
            .condition_expression("#gate = :gate")
            .expression_attribute_names("#waiting", "waiting")
            .expression_attribute_names("#gate", "gate")
            .expression_attribute_values(":gate", s(gate.as_str()))
            .expression_attribute_values(":ids", set_of(&import.id));
        let mut actions = vec![waits, updating(noted)];
        if import.stage() == Stage::Expired {
            actions.push(self.retake_place_action(&import.account, &import.id));
        }
        actions.extend(self.event_action(event)?);
        let is_made = self.transact(actions).await?.is_none();
        crash::point("replace.waits");
        if is_made {
            self.order_told(event).await?;
        }
        Ok(is_made)
    }

    /// Whether the import's removal may be counted, or decided: nobody but itself runs and is not held. One that is
    /// decided goes on.
    pub async fn may_remove(&self, import: &Import) -> Result<bool> {
        let conditions = self.conditions();
        let waits = match import.stage() {
            Stage::Applying => conditions.gate_wait,
            Stage::Confirmed => conditions.confirm_wait,
            _ => false,
        };
        if !waits {
            return Ok(true);
        }
        let KindOrder { running, held, .. } = self.kind_order(import).await?;
        Ok(running.iter().all(|other| other == import.id.as_str() || held.contains(other)))
    }

    /// Whether another import of the kind is held.
    pub async fn others_held(&self, import: &Import) -> Result<bool> {
        Ok(self.kind_order(import).await?.held.iter().any(|other| other != import.id.as_str()))
    }

    /// That an import which has ended is no more among those of its kind that run, are held or wait; where it is at the
    /// gate, the gate is free. The condition is that this import is at the gate, or none; and where digests are given,
    /// which are then those of the kind, that nothing has taken a place since this import did. A repeat writes the
    /// same.
    pub(crate) fn leave_kind_action(
        &self,
        import: &Import,
        gate: Option<&ImportId>,
        made_records: bool,
        digests: Option<&Digests>,
    ) -> Result<TransactWriteItem> {
        let mut left = self
            .update_action(kind_order_key(&import.account, &import.kind))
            .expression_attribute_names("#gate", "gate")
            .expression_attribute_values(":ids", set_of(&import.id));
        let mut sets = "running :ids".to_owned();
        for (set, may_be) in [("held", import.held_until.is_some()), ("waiting", import.waiting_for.is_some())] {
            if may_be {
                sets.push_str(&format!(", #{set} :ids"));
                left = left.expression_attribute_names(format!("#{set}"), set);
            }
        }
        let is_mine = gate == Some(&import.id);
        let mut condition = if gate.is_some() { "#gate = :gate" } else { "attribute_not_exists(#gate)" }.to_owned();
        if let Some(gate) = gate {
            left = left.expression_attribute_values(":gate", s(gate.as_str()));
        }
        let free = if is_mine { "REMOVE #gate " } else { "" };
        let mut made = Vec::new();
        if made_records {
            made.push("has_records = :true");
            left = left.expression_attribute_values(":true", AttributeValue::Bool(true));
        }
        if let Some(digests) = digests {
            made.push("digests = :digests");
            left = left.expression_attribute_values(":digests", value("digests", digests)?);
            if self.conditions().digest_next {
                condition.push_str(" AND #next = :next");
                left = left
                    .expression_attribute_names("#next", "next")
                    .expression_attribute_values(":next", n(import.order + 1));
            }
        }
        let made = if made.is_empty() { String::new() } else { format!("SET {} ", made.join(", ")) };
        Ok(updating(left.condition_expression(condition).update_expression(format!("{made}{free}DELETE {sets}"))))
    }

    /// Has the `remove` function tell whoever waits for the end of an import, or for the gate that it has left. A
    /// repeat sends the same order again.
    pub(crate) async fn wake(&self, import: &Import, gate: Option<&ImportId>) -> Result<()> {
        let Some(gate) = gate else { return Ok(()) };
        crash::point("replace.woken");
        self.send(&Order::to_remove(&import.account, gate)).await
    }

    /// Orders those imports to go on that wait for the gate of the kind, which this one has left. A repeat sends the
    /// same orders again.
    pub async fn wake_all(&self, import: &Import) -> Result<()> {
        let KindOrder { gate, waiting, .. } = self.kind_order(import).await?;
        for waiting in waiting.into_iter().filter(|_| gate.is_none()) {
            let order = Order::Continue { account: import.account.clone(), import: waiting, died_at: None };
            self.send(&order).await?;
        }
        Ok(())
    }

    /// Orders an import that waits to be accepted, if the one that it waits for has left the gate; whether it has. For
    /// the sweeper. A repeat sends the same order again.
    pub async fn wake_waiting(&self, import: &Import) -> Result<bool> {
        let gate = self.kind_order(import).await?.gate;
        let is_free = gate.is_none() || gate != import.waiting_for;
        if is_free {
            self.send(&Order::to_continue(import, None)).await?;
        }
        Ok(is_free)
    }

    /// Without [`crate::conditions::Conditions::decision`]: halts a removal that is decided.
    pub(crate) async fn halt_removal(&self, account: &AccountId, id: &ImportId, halt: &Halt) -> Result<()> {
        let change = Change::at(&[Stage::Removing]).set("halt", value("a halt", halt)?);
        is_made(change.in_update(self.update(import_key(account, id)))).await.map(drop)
    }

    /// Notes in the import that a count of what it removes begins, with so many shards counted before; the import as it
    /// is then, and the name of the entry. `None` if it is not counted any more.
    ///
    /// Each call is a count of its own. The entry is added to a set, so a request that is sent again by the client
    /// after it had its effect adds nothing.
    pub async fn begin_count(&self, import: &Import, shards: usize) -> Result<Option<(Import, String)>> {
        let name = format!("{shards}:{}", crate::hex(&crate::random::<6>()));
        let update = Change::at(&[Stage::Applying])
            .in_update(self.update(import_key(&import.account, &import.id)))
            .update_expression("ADD count_begun :begun")
            .expression_attribute_values(":begun", set_of(&name))
            .return_values(ReturnValue::AllNew);
        match send(update).await? {
            Updated::Made(item) => Ok(Some((from_item("an import", item)?, name))),
            Updated::Unmet(_) => Ok(None),
        }
    }

    /// Takes a count that has stopped for a reason that passes off its import again. A repeat finds it gone.
    pub async fn take_back_count(&self, import: &Import, name: &str) -> Result<()> {
        let update = self
            .update(import_key(&import.account, &import.id))
            .update_expression("DELETE count_begun :begun")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":begun", set_of(name));
        is_made(update).await.map(drop)
    }

    /// The tallies of a pass, by shard, read consistently; a shard without one is left out.
    pub async fn shard_tallies(&self, import: &ImportId, pass: Pass) -> Result<BTreeMap<u8, ShardTally>> {
        let shards: Vec<u8> = (0..=u8::MAX).take(RECORD_SHARDS).collect();
        let mut tallies = BTreeMap::new();
        for group in shards.chunks(READ_BATCH) {
            let keys = group.iter().map(|&shard| key(replace_pk(import, shard), pass.sort_key())).collect();
            for item in self.batch_get(self.imports_table(), keys).await? {
                let Tallied { pk, tally } = from_item("a shard's tally", item)?;
                if let Some(shard) = pk.rsplit_once('#').and_then(|(_, hex)| u8::from_str_radix(hex, 16).ok()) {
                    tallies.insert(shard, tally);
                }
            }
        }
        Ok(tallies)
    }

    /// Writes the tally of a shard, unless another run has; whether it is this run's. A repeat finds it written.
    pub async fn tally_shard(&self, import: &ImportId, shard: u8, pass: Pass, tally: &ShardTally) -> Result<bool> {
        let mut item = to_item("a shard's tally", tally)?;
        item.extend(key(replace_pk(import, shard), pass.sort_key()));
        let sent = self
            .dynamodb()
            .put_item()
            .table_name(self.imports_table())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let is_made = match sent {
            Ok(_) => true,
            Err(error) => match error.as_service_error() {
                // The client may have repeated a call that had had its effect.
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let found = failed.item().cloned().unwrap_or_default();
                    from_item::<ShardTally>("a shard's tally", found)?.run == tally.run
                }
                _ => return Err(StoreError::unavailable("dynamodb:PutItem")(error)),
            },
        };
        crash::point(match pass {
            Pass::Count => "replace.counted",
            Pass::Remove => "replace.removed",
        });
        Ok(is_made)
    }

    /// Stores a part of a run's list of keys. A repeat writes the same.
    pub async fn put_keys(&self, import: &ImportId, shard: u8, run: &str, part: u32, keys: &[String]) -> Result<()> {
        let mut item = replace_keys_key(import, shard, run, part);
        item.insert("keys".into(), value("keys", &keys)?);
        self.put_item(item).await?;
        crash::point("replace.listed");
        Ok(())
    }

    /// A part of a run's list of keys, read consistently; nothing where there is none.
    pub async fn listed_keys(&self, import: &ImportId, shard: u8, run: &str, part: u32) -> Result<Vec<String>> {
        let found: Option<Keys> = self.get_item("keys", replace_keys_key(import, shard, run, part)).await?;
        Ok(found.map(|found| found.keys).unwrap_or_default())
    }

    /// Makes the decision to remove, if the import stands where it can be decided; whether this call did. From then on
    /// nothing stops the removal. A repeat finds it made.
    pub async fn decide_removal(&self, import: &Import, decision: &Transition) -> Result<bool> {
        let is_made = self.make(import, decision).await?;
        crash::point("replace.decided");
        Ok(is_made)
    }

    /// Has an import wait to be confirmed, in one transaction that frees the gate of its kind; whether this call did.
    /// It goes on counting as one that runs. A repeat finds it held.
    pub async fn hold(&self, import: &Import, hold: &Transition) -> Result<bool> {
        let Transition::Hold { until, .. } = hold else { return Ok(false) };
        let now = self.now_ms();
        let event = self.heard(import.event(hold, now)).await?;
        let held = Change::by(import, hold, now)?
            .set("due_at", n(until + 1))
            .in_action(self.update_action(import_key(&import.account, &import.id)));
        let also = if self.conditions().held_runs { "" } else { " DELETE running :ids" };
        let free = self
            .update_action(kind_order_key(&import.account, &import.kind))
            .update_expression(format!("REMOVE #gate ADD #held :ids{also}"))
            .condition_expression("#gate = :gate")
            .expression_attribute_names("#gate", "gate")
            .expression_attribute_names("#held", "held")
            .expression_attribute_values(":gate", s(import.id.as_str()))
            .expression_attribute_values(":ids", set_of(&import.id));
        let mut actions = vec![held, updating(free)];
        actions.extend(self.event_action(event.as_ref())?);
        let mut pause = Backoff::default();
        while let Some(reasons) = self.transact(actions.clone()).await? {
            if reasons.iter().any(|reason| reason == "ConditionalCheckFailed") {
                return Ok(false);
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
        crash::point("replace.held");
        self.order_told(event.as_ref()).await?;
        Ok(true)
    }

    /// Confirms what a held import removes, in one transaction: it is at the gate of its kind again, its removal takes
    /// the next place in the order, and who confirmed it is noted. A repeat finds it confirmed.
    pub async fn confirm(&self, account: &AccountId, id: &ImportId, by: &Actor) -> Result<Confirmation> {
        let conditions = self.conditions();
        let mut pause = Backoff::default();
        loop {
            let Some(import) = self.import(account, id).await? else { return Ok(Confirmation::Missing) };
            match import.stage() {
                Stage::Held => {}
                _ if import.confirmed.is_some() && import.halt.is_none() => return Ok(Confirmation::Confirmed),
                _ => return Ok(Confirmation::NotHeld),
            }
            let KindOrder { next, gate, .. } = self.kind_order(&import).await?;
            if let Some(gate) = gate.filter(|_| conditions.confirm_gate) {
                return Ok(Confirmation::GateTaken(gate));
            }
            let confirmed = Change::by(&import, &Transition::Confirm { order: next }, self.now_ms())?
                .set("due_at", n(self.next_look()))
                .set("confirmed_by", value("who asks", by)?)
                .in_action(self.update_action(import_key(account, id)));
            let ordered = self
                .update_action(kind_order_key(account, &import.kind))
                .expression_attribute_names("#next", "next")
                .expression_attribute_names("#held", "held")
                .expression_attribute_values(":read", n(next))
                .expression_attribute_values(":next", n(next + 1))
                .expression_attribute_values(":ids", set_of(&import.id));
            let ordered = match conditions.confirm_gate {
                true => ordered
                    .update_expression("SET #next = :next, #gate = :gate DELETE #held :ids")
                    .condition_expression("#next = :read AND attribute_not_exists(#gate)")
                    .expression_attribute_names("#gate", "gate")
                    .expression_attribute_values(":gate", s(id.as_str())),
                false => ordered
                    .update_expression("SET #next = :next DELETE #held :ids")
                    .condition_expression("#next = :read"),
            };
            let placed = putting(self.put_action(place(account, &import.kind, next, id)));
            match self.transact(vec![confirmed, updating(ordered), placed]).await? {
                None => {
                    crash::point("replace.confirmed");
                    return Ok(Confirmation::Confirmed);
                }
                // Something took the place, or the import has moved on: look again.
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// Ends a replace that runs: see [`Store::settle`]. A repeat finds it ended.
    pub async fn end_replace(&self, import: Import, end: &Transition) -> Result<Option<Import>> {
        self.end(import, end).await
    }

    /// Ends a held import that nobody confirmed in time, with a note; whether its time is over. A repeat, and an import
    /// that was confirmed since it was read, changes nothing.
    pub async fn end_held(&self, import: &Import) -> Result<bool> {
        let Some(end) = import.end_held(self.now_ms()) else { return Ok(false) };
        let days = self.settings().confirm_days;
        let records = import.to_remove.unwrap_or_default().records;
        let note = match import.is_review() {
            true => "nothing was imported: the review was not confirmed in time".to_owned(),
            false => {
                format!("nothing was removed: the removal of {records} records was not confirmed within {days} days")
            }
        };
        self.add_note(&import.account, &import.id, &note).await?;
        self.end(import.clone(), &end).await?;
        Ok(true)
    }

    /// Records that an import has removed: at its end that is all, before it those of the shards that are done, and
    /// none before its removal is decided.
    pub async fn removed(&self, import: &Import) -> Result<u64> {
        match (import.removed, import.stage()) {
            (Some(removed), _) => Ok(removed),
            (None, Stage::Removing) => {
                let tallies = self.shard_tallies(&import.id, Pass::Remove).await?;
                Ok(tallies.values().map(|tally| tally.records).sum())
            }
            (None, _) => Ok(0),
        }
    }

    /// How far the removal of an import is, as the sweeper tells one look from the next.
    pub(crate) async fn removal_progress(&self, import: &Import) -> Result<String> {
        let pass = match import.stage() {
            Stage::Applying if import.is_replace() => Pass::Count,
            Stage::Removing => Pass::Remove,
            _ => return Ok(String::new()),
        };
        Ok(format!(" {pass:?} {}", self.shard_tallies(&import.id, pass).await?.len()))
    }

    /// Removes the tallies and lists that a replace has left. A repeat removes what is there then.
    pub(crate) async fn delete_replace(&self, import: &ImportId) -> Result<()> {
        for shard in (0..=u8::MAX).take(RECORD_SHARDS) {
            let pk = replace_pk(import, shard);
            for item in items(self.query(pk.clone(), REPLACE_KEYS).projection_expression("sk"), None).await? {
                if let Some(sk) = item.get("sk").and_then(|sk| sk.as_s().ok()) {
                    self.delete_item(key(pk.clone(), sk)).await?;
                }
            }
            for pass in [Pass::Count, Pass::Remove] {
                self.delete_item(key(pk.clone(), pass.sort_key())).await?;
            }
        }
        Ok(())
    }

    /// The sum of what the shards of a count found; `None` while some are not counted.
    pub fn counted(tallies: &BTreeMap<u8, ShardTally>) -> Option<ToRemove> {
        let sum = |part: fn(&ShardTally) -> u64| tallies.values().map(part).sum();
        (tallies.len() == RECORD_SHARDS).then(|| ToRemove { records: sum(|t| t.records), of: sum(|t| t.of) })
    }
}
