//! Accepting an upload, and what its splitter writes into the import.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, builders::UpdateBuilder,
};
use penstock_model::{
    AccountId, Checkpoint, Import, ImportId, Layout, Stage, StoredObject, Tally, Transition, Uploaded,
    digest::{Built, Digests, Source},
};
use serde::Deserialize;

use crate::{
    Backoff, Result, Store,
    change::Change,
    crash,
    dynamo::{Updated, from_item, is_made, n, putting, s, send, set_of, updating, value},
    places::place,
    table::{due_shard, import_key, kind_order_key},
};

/// The outcome of an upload's event.
#[derive(Debug)]
pub enum Acceptance {
    /// The import reads this object: continue at its checkpoint.
    Go(Box<Import>),
    /// There is nothing to do: the import is unknown, has ended, or is about another object.
    Nothing(&'static str),
}

/// The outcome of a splitter's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was made, now or before.
    Made,
    /// Another splitter is ahead, or the import is to end: stop.
    Overtaken,
}

/// The order of an account and kind, in which imports and deletes take their places: the next place, the imports that
/// run, and what [`crate::replace`] says of the gate.
#[derive(Debug, Deserialize)]
pub(crate) struct KindOrder {
    pub(crate) next: u64,
    #[serde(default)]
    pub(crate) running: BTreeSet<String>,
    /// Whether an import that has ended made records of the kind.
    #[serde(default)]
    pub(crate) has_records: bool,
    /// The replace that keeps other uploads from being accepted.
    #[serde(default)]
    pub(crate) gate: Option<ImportId>,
    /// The imports among those that run which wait to be confirmed.
    #[serde(default)]
    pub(crate) held: BTreeSet<String>,
    /// The imports whose uploads wait for the gate.
    #[serde(default)]
    pub(crate) waiting: BTreeSet<ImportId>,
    /// The digests of the kind; some hold no more.
    #[serde(default)]
    pub(crate) digests: Digests,
}

impl Default for KindOrder {
    fn default() -> Self {
        let (running, held) = (BTreeSet::new(), BTreeSet::new());
        let (waiting, digests) = (BTreeSet::new(), Digests::new());
        Self { next: 1, running, has_records: false, gate: None, held, waiting, digests }
    }
}

impl KindOrder {
    /// Whether no import is known to have made a record of the kind, or to be making one. It is a hint: records that
    /// are there all the same cost a write that is refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && !self.has_records
    }
}

impl Store {
    /// Accepts an upload: the import turns from awaiting to processing, pinned to this object, and takes its place in
    /// the order of its account and kind, in one transaction, which also records whether an older import runs, notes
    /// whose place it is, and counts the upload's bytes for the day. It pins the digests of the kind that hold at that
    /// place.
    ///
    /// A review takes no place and waits for nobody: it notes what the order of the kind is like.
    ///
    /// While a replace is at the gate of the kind, the import waits instead, without a place, and pinned to this object
    /// all the same. Accepting a replace puts it at the gate, in the same transaction.
    ///
    /// A repeat for the same object finds the import as it is now; one for another object changes nothing.
    pub async fn accept(&self, account: &AccountId, id: &ImportId, object: &StoredObject) -> Result<Acceptance> {
        self.accept_as(account, id, Some(object)).await
    }

    /// The same for an order to remove every record of a kind, which has no file.
    pub async fn accept_everything(&self, account: &AccountId, id: &ImportId) -> Result<Acceptance> {
        self.accept_as(account, id, None).await
    }

    async fn accept_as(&self, account: &AccountId, id: &ImportId, object: Option<&StoredObject>) -> Result<Acceptance> {
        let conditions = self.conditions();
        let mut pause = Backoff::default();
        loop {
            let Some(import) = self.import(account, id).await? else {
                return Ok(Acceptance::Nothing("there is no such import"));
            };
            match object.map_or_else(|| import.on_everything(), |object| import.on_upload(object)) {
                Uploaded::Expected => {}
                Uploaded::Known => return Ok(Acceptance::Go(Box::new(import))),
                Uploaded::Ignored(reason) => return Ok(Acceptance::Nothing(reason)),
            }
            let event = self.heard(import.event_of_upload(self.now_ms())).await?;
            let kind_order = self.kind_order(&import).await?;
            if let Some(object) = object.filter(|_| import.is_review()) {
                // Whatever takes a place from here on comes behind what is noted.
                let mut actions = vec![
                    self.judge_action(&import, object, kind_order)?,
                    self.count_bytes_action(account, object.bytes),
                ];
                if import.stage() == Stage::Expired {
                    actions.push(self.retake_place_action(account, id));
                }
                actions.extend(self.event_action(event.as_ref())?);
                match self.transact(actions).await? {
                    None => {
                        crash::point("split.accepted");
                        self.order_told(event.as_ref()).await?;
                    }
                    Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
                }
                continue;
            }
            let kind_was_empty = kind_order.is_empty();
            let digests = kind_order.digests_now(conditions);
            let KindOrder { next: order, running, gate, .. } = kind_order;
            if let Some(gate) = gate.filter(|_| conditions.gate) {
                let waits = import.waiting_for.as_ref() == Some(&gate);
                if !waits && !self.wait_for(&import, object, &gate, event.as_ref()).await? {
                    pause.wait("dynamodb:TransactWriteItems").await?;
                    continue;
                }
                return Ok(Acceptance::Nothing("it waits for the import at the gate of its kind"));
            }
            let no_older_running = running.is_empty();
            let accepted = Transition::Accept { object: object.cloned(), order, no_older_running };
            let accepted = Change::by(&import, &accepted, self.now_ms())?
                .set("kind_was_empty", AttributeValue::Bool(kind_was_empty))
                .set("due_at", n(self.next_look()))
                .set("due_shard", s(due_shard(id)));
            let accepted =
                if digests.is_empty() { accepted } else { accepted.set("digests", value("digests", &digests)?) };
            let accepted = accepted.in_action(self.update_action(import_key(account, id)));
            let counted = self.count_bytes_action(account, object.map_or(0, |object| object.bytes));
            let placed = putting(self.put_action(place(account, &import.kind, order, id)));
            let taken = updating(self.take_order_place(&import, order, no_older_running));
            let mut actions = vec![accepted, taken, counted, placed];
            if import.stage() == Stage::Expired {
                actions.push(self.retake_place_action(account, id));
            }
            actions.extend(self.event_action(event.as_ref())?);
            match self.transact(actions).await? {
                None => {
                    crash::point("split.accepted");
                    self.order_told(event.as_ref()).await?;
                }
                // Another event, or another import of the kind, was accepted meanwhile: look again.
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// That an import takes a place in the order of its kind, and a replace the gate, as an update of the order. Its
    /// condition is that the place is the next one and the gate free, and with `no_older_running` that no import runs.
    /// A repeat finds the place taken.
    pub(crate) fn take_order_place(&self, import: &Import, place: u64, no_older_running: bool) -> UpdateBuilder {
        let conditions = self.conditions();
        // An import that ended meanwhile may be counted as one that runs, but none that has begun may be missed.
        let mut condition = match no_older_running {
            true => "#next = :order AND attribute_not_exists(running)",
            false => "#next = :order",
        }
        .to_owned();
        let key = kind_order_key(&import.account, &import.kind);
        let mut ordered = self.update_action(key).expression_attribute_names("#next", "next");
        if conditions.gate {
            condition.push_str(" AND attribute_not_exists(#gate)");
            ordered = ordered.expression_attribute_names("#gate", "gate");
        }
        if no_older_running {
            condition = format!("attribute_not_exists(pk) OR ({condition})");
        }
        let mut expression = "SET #next = :next".to_owned();
        if import.is_replace() && conditions.gate {
            expression.push_str(", #gate = :gate");
            ordered = ordered.expression_attribute_values(":gate", s(import.id.as_str()));
        }
        expression.push_str(" ADD running :running");
        if import.waiting_for.is_some() {
            expression.push_str(" DELETE waiting :running");
        }
        ordered
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_values(":order", n(place))
            .expression_attribute_values(":next", n(place + 1))
            .expression_attribute_values(":running", set_of(&import.id))
    }

    /// Notes in the import that a split of its file begins where splitting stands; the import as it is then, and the
    /// name of the entry. `None` if the import is not being split any more.
    ///
    /// Each call is a split of its own. The entry is added to a set, so a request that is sent again by the client
    /// after it had its effect adds nothing.
    pub async fn begin_split(&self, import: &Import) -> Result<Option<(Import, String)>> {
        let name = format!("{}:{}", import.split_stands(), crate::hex(&crate::random::<6>()));
        let update = Change::at(&[Stage::Splitting])
            .in_update(self.update(import_key(&import.account, &import.id)))
            .update_expression("SET split_began_at = if_not_exists(split_began_at, :now) ADD split_begun :begun")
            .expression_attribute_values(":begun", set_of(&name))
            .expression_attribute_values(":now", n(self.now_ms()))
            .return_values(ReturnValue::AllNew);
        match send(update).await? {
            Updated::Made(item) => Ok(Some((from_item("an import", item)?, name))),
            Updated::Unmet(_) => Ok(None),
        }
    }

    /// Takes a split that has stopped for a reason that passes off its import again. A repeat finds it gone.
    pub async fn take_back_split(&self, import: &Import, name: &str) -> Result<()> {
        let update = self
            .update(import_key(&import.account, &import.id))
            .update_expression("DELETE split_begun :begun")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":begun", set_of(name));
        is_made(update).await.map(drop)
    }

    /// Records what an accepted import's upload is, its columns where it names them, and its source. A repeat writes
    /// the same.
    pub async fn set_layout(
        &self,
        import: &Import,
        layout: &Layout,
        columns: &[String],
        ignored: &[String],
        source: &Source,
    ) -> Result<Step> {
        let change = Change::of_existing()
            .set("layout", value("a layout", layout)?)
            .set("source", value("a source", source)?)
            .set("columns", value("columns", &columns)?)
            .set("ignored_columns", value("columns", &ignored)?);
        let made = is_made(change.in_update(self.update(import_key(&import.account, &import.id)))).await?;
        crash::point("split.columns");
        Ok(if made { Step::Made } else { Step::Overtaken })
    }

    /// Moves the checkpoint: everything before `to` has been sent.
    ///
    /// A repeat finds it moved. A splitter that finds it elsewhere than `from`, or the import about to end, is
    /// overtaken.
    pub async fn checkpoint(&self, import: &Import, from: Checkpoint, to: Checkpoint) -> Result<Step> {
        let change = Change::at(&[Stage::Splitting])
            .only_if("#checkpoint.#chunk = :from")
            .named("chunk", "chunk")
            .value("from", n(from.chunk))
            .set("checkpoint", value("a checkpoint", &to)?);
        let step = self.step(import, change, |now| now.stage() == Stage::Splitting && now.checkpoint == to).await?;
        crash::point("split.checkpoint");
        Ok(step)
    }

    /// Ends splitting: the file has `total` data rows, and the blocks that exist are all of them. Where the splitter
    /// has written a digest, that is noted with it. Gives the import as this leaves it, so that of those who total it
    /// and note its blocks one alone finds it accounted for; `None` where this splitter was overtaken.
    ///
    /// A repeat writes the same. An import that is to end early keeps what it has, and so does one that has a total: of
    /// two splitters the digest of the first is noted, if that has one.
    pub async fn set_total(&self, import: &Import, total: u64, digest: Option<&Built>) -> Result<Option<Import>> {
        let change = Change::by(import, &Transition::Split { total }, self.now_ms())?;
        let change = match digest {
            Some(built) => change.set("digest", value("a digest", built)?),
            None => change,
        };
        let now = self.step_to(import, change, |now| now.halt.is_none() && now.total == Some(total)).await?;
        crash::point("split.total");
        Ok(now)
    }

    /// Ends splitting before it has begun: each of the file's rows is known to change nothing, and counts as unchanged.
    /// The layout, with its columns, has been set; `note` says it to the import's creator. One update does all of it,
    /// so no block and no chunk is needed. `None` where a block has been opened, or this splitter was overtaken.
    ///
    /// A repeat finds the total, and gives the import as it is.
    pub async fn end_split_of_same(&self, import: &Import, rows: u64, note: &str) -> Result<Option<Import>> {
        let (now, tally) = (self.now_ms(), Tally { unchanged: rows, ..Tally::default() });
        let change = Change::by(import, &Transition::Split { total: rows }, now)?
            .only_if("opened_blocks = :none")
            .value("none", n(0))
            .set("noted_tally", value("a tally", &tally)?)
            .set("rows_began_at", n(now))
            .set("rows_ended_at", n(now))
            .add_to_set("notes", note);
        let is_done = |now: &Import| now.halt.is_none() && now.opened_blocks == 0 && now.total == Some(rows);
        let now = self.step_to(import, change, is_done).await?;
        crash::point("split.same");
        Ok(now)
    }

    /// Makes a splitter's change of its import. Where its condition is not met, `is_done` decides from the import as it
    /// is now whether the change had been made before: the client retried a call that had had its effect, or another
    /// splitter made the same change. Either way this splitter may continue.
    async fn step(&self, import: &Import, change: Change, is_done: impl FnOnce(&Import) -> bool) -> Result<Step> {
        let now = self.step_to(import, change, is_done).await?;
        Ok(now.map_or(Step::Overtaken, |_| Step::Made))
    }

    /// As [`Store::step`]; the import as it is then, or `None` if this splitter was overtaken.
    async fn step_to(
        &self,
        import: &Import,
        change: Change,
        is_done: impl FnOnce(&Import) -> bool,
    ) -> Result<Option<Import>> {
        let update = change
            .in_update(self.update(import_key(&import.account, &import.id)))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(match send(update).await? {
            Updated::Made(item) => Some(from_item("an import", item)?),
            Updated::Unmet(item) if item.is_empty() => None,
            Updated::Unmet(item) => Some(from_item("an import", item)?).filter(is_done),
        })
    }
}
