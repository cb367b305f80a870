//! The end of an import: any function may find it, and it is made once. [`penstock_model::Import::settle`] decides;
//! here it is persisted.

use std::{collections::HashSet, sync::Mutex};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use penstock_model::{
    AccountId, Actor, Block, Halt, Import, ImportId, Order, Rows, Settlement, Stage, Tally, Transition,
    limits::REQUEST_BLOCKS,
};

use crate::{
    Backoff, Result, Store,
    accept::KindOrder,
    change::Change,
    crash,
    dynamo::{Updated, from_item, is_made, n, send, set_of, value},
    quota::IMPORTS,
    table::import_key,
};

/// Notes that this process has added to imports. Adding one again does no harm and costs a write.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<HashSet<(ImportId, String)>>);

/// Notes that are remembered at once, at most.
const REMEMBERED_NOTES: usize = 64;

impl Store {
    /// Adds a note to an import, which shows it beside those of its layout. A repeat changes nothing; nor does a note
    /// for an import that is gone.
    pub async fn add_note(&self, account: &AccountId, id: &ImportId, note: &str) -> Result<()> {
        let noted = || self.inner.noted.0.lock().expect("no holder panics");
        let entry = (id.clone(), note.to_owned());
        if noted().contains(&entry) {
            return Ok(());
        }
        let update = self
            .update(import_key(account, id))
            .update_expression("ADD #notes :notes")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#notes", "notes")
            .expression_attribute_values(":notes", set_of(note));
        is_made(update).await?;
        let mut noted = noted();
        if noted.len() == REMEMBERED_NOTES {
            noted.clear();
        }
        noted.insert(entry);
        Ok(())
    }

    /// Makes a transition of an import that runs in no order; whether this call did. One that ends the import takes it
    /// from its account's quota as well, in one transaction. A repeat, and an import that has moved on since it was
    /// read, changes nothing.
    pub(crate) async fn make(&self, import: &Import, transition: &Transition) -> Result<bool> {
        let now = self.now_ms();
        self.make_change(import, transition, Change::by(import, transition, now)?, now).await
    }

    async fn make_change(&self, import: &Import, transition: &Transition, change: Change, now_ms: i64) -> Result<bool> {
        let key = import_key(&import.account, &import.id);
        if !transition.ends() {
            return is_made(change.in_update(self.update(key))).await;
        }
        let event = self.heard(import.event(transition, now_ms)).await?;
        let leave = self.leave_place_action(&import.account, self.account_quota(), IMPORTS, &import.id);
        let mut actions = vec![change.in_action(self.update_action(key)), leave];
        actions.extend(self.event_action(event.as_ref())?);
        if !self.transact_unless_changed(actions).await? {
            return Ok(false);
        }
        self.order_told(event.as_ref()).await?;
        Ok(true)
    }

    /// Notes a full block's sums in the import, once, and gives the import as this leaves it: of those who note its
    /// blocks and total it one alone finds it accounted for. A repeat changes nothing, and gives nothing.
    pub async fn note(&self, import: &Import, number: u32, block: &Block) -> Result<Option<Import>> {
        debug_assert!(block.is_full());
        let sums: [u64; 7] = block.sum().into();
        let now = self.now_ms();
        let mut change = Change::at(&[Stage::Splitting, Stage::Applying, Stage::Halting])
            .only_if("NOT contains(noted_blocks, :number)")
            .set_to("noted_blocks = list_append(noted_blocks, :numbers)")
            .set_to("rows_began_at = if_not_exists(rows_began_at, :rows_began_at)")
            .value("rows_began_at", n(block.tallied_from.unwrap_or(now)))
            .set("rows_ended_at", n(now))
            .value("number", n(number))
            .value("numbers", AttributeValue::L(vec![n(number)]));
        for (at, sum) in sums.iter().enumerate() {
            change = change
                .set_to(format!("noted_tally[{at}] = noted_tally[{at}] + :sum{at}"))
                .value(format!("sum{at}"), n(sum));
        }
        let update = change.in_update(self.update(import_key(&import.account, &import.id)));
        let noted = match send(update.return_values(ReturnValue::AllNew)).await? {
            Updated::Made(item) => Some(from_item("an import", item)?),
            Updated::Unmet(_) => None,
        };
        crash::point("validate.noted");
        Ok(noted)
    }

    /// Orders an import to end early, unless it has been ordered to or has ended.
    ///
    /// An import that still awaits its upload ends at once. For one that is processing the order alone stops nothing:
    /// [`Store::settle`] closes its blocks. A repeat changes nothing.
    pub async fn order_halt(&self, account: &AccountId, id: &ImportId, halt: &Halt) -> Result<()> {
        self.halt(account, id, halt, None).await
    }

    /// Orders an import to end early as its owner wants it, and notes who: as [`Store::order_halt`].
    pub async fn cancel(&self, account: &AccountId, id: &ImportId, by: &Actor) -> Result<()> {
        self.halt(account, id, &Halt::cancelled(), Some(by)).await
    }

    async fn halt(&self, account: &AccountId, id: &ImportId, halt: &Halt, by: Option<&Actor>) -> Result<()> {
        while let Some(import) = self.import(account, id).await?
            && let Some(transition) = import.on_halt(halt)
        {
            let now = self.now_ms();
            let change = Change::by(&import, &transition, now)?;
            let change = match by {
                Some(by) => change.set("cancelled_by", value("who asks", by)?),
                None => change,
            };
            // Where it was not made, the import has gone on since it was read.
            if self.make_change(&import, &transition, change, now).await? {
                break;
            }
        }
        if !self.conditions().decision {
            self.halt_removal(account, id, halt).await?;
        }
        crash::point("halt.ordered");
        Ok(())
    }

    /// Notes every full block that is not noted yet. For the sweeper: the validator that filled a block may have died
    /// before noting it.
    pub async fn note_full_blocks(&self, import: &Import) -> Result<()> {
        for (number, block) in self.blocks(&import.id, &unnoted(import)).await? {
            if block.is_full() {
                self.note(import, number, &block).await?;
            }
        }
        Ok(())
    }

    /// Ends the import if nothing more can happen to its rows, and gives it as it is then.
    ///
    /// It is called after every step that may have been the last: by the splitter, the validators, the sweeper, and
    /// after an order to halt. It is idempotent, also under concurrency. A halted import's blocks are closed here
    /// first.
    pub async fn settle(&self, account: &AccountId, id: &ImportId) -> Result<Option<Import>> {
        let Some(mut import) = self.import(account, id).await? else { return Ok(None) };
        let end = match import.settle() {
            Settlement::Wait | Settlement::Done => None,
            Settlement::End(end) => Some(end),
            Settlement::CloseBlocks => {
                let blocks = self.close_blocks(&import).await?;
                import.rows_began_at = import.rows_began_at.or(blocks.tallied_from);
                import.end_early(&blocks)
            }
            Settlement::Remove => {
                if self.may_remove(&import).await? {
                    self.send(&Order::to_remove(account, id)).await?;
                    crash::point("replace.ordered");
                }
                None
            }
            Settlement::Hold => {
                self.hold_review(&import).await?;
                return self.import(account, id).await;
            }
            Settlement::Report => {
                self.send(&Order::to_report(&import)).await?;
                None
            }
        };
        match end {
            Some(end) => self.end(import, &end).await,
            None => Ok(Some(import)),
        }
    }

    /// As [`Store::settle`], as far as a request may take: an import of more than [`REQUEST_BLOCKS`] blocks that are to
    /// be closed is left to the splitter, by an order, and is given as it is. A repeat orders it again.
    pub async fn settle_in_a_request(&self, account: &AccountId, id: &ImportId) -> Result<Option<Import>> {
        match self.import(account, id).await? {
            Some(import) if import.settle() == Settlement::CloseBlocks && import.opened_blocks > REQUEST_BLOCKS => {
                self.send(&Order::to_continue(&import, import.split_died_at)).await?;
                Ok(Some(import))
            }
            _ => self.settle(account, id).await,
        }
    }

    /// Ends an import that runs, and takes it from those of its kind that run, in one transaction; if it is at the gate
    /// of its kind, the gate is free in the same one, and so is the upload that it reads if that is another import's
    /// and no rejected rows are to be read from it. Whoever waits for the gate is told. Where nothing has taken a place
    /// in the order of the kind since the import did, that transaction says which digests hold from now on.
    pub(crate) async fn end(&self, import: Import, end: &Transition) -> Result<Option<Import>> {
        let now = self.now_ms();
        let event = self.heard(import.event(end, now)).await?;
        let ended = Change::by(&import, end, now)?;
        // That of blocks that were closed, and are noted no more.
        let ended = match import.rows_began_at {
            Some(at) => ended.set("rows_began_at", n(at)),
            None => ended,
        };
        let ended = if import.digests.is_empty() { ended } else { ended.remove("digests") };
        let ended = ended.in_action(self.update_action(import_key(&import.account, &import.id)));
        let mut digests = Some(self.digests_behind(&import, end)).filter(|digests| !digests.is_empty());
        if !self.conditions().digest_next
            && let Some(digests) = &mut digests
        {
            let KindOrder { next, .. } = self.kind_order(&import).await?;
            digests.values_mut().for_each(|digest| digest.epoch = next);
        }
        let made_records = end.has_created_rows() && import.options.writes();
        let mut gate = import.at_gate().then(|| import.id.clone());
        let mut pause = Backoff::default();
        loop {
            let leave_place = self.leave_place_action(&import.account, self.account_quota(), IMPORTS, &import.id);
            let mut actions = vec![ended.clone(), leave_place];
            if import.is_in_order() {
                actions.push(self.leave_kind_action(&import, gate.as_ref(), made_records, digests.as_ref())?);
            }
            if !end.has_rejected_rows() || import.report.is_some() {
                actions.extend(self.leave_upload_action(&import).await?);
            }
            if import.is_review() {
                actions.push(self.remove_claims_action(&import)?);
            }
            actions.extend(self.event_action(event.as_ref())?);
            let Some(reasons) = self.transact(actions).await? else {
                self.order_told(event.as_ref()).await?;
                self.wake(&import, gate.as_ref()).await?;
                break;
            };
            // Someone else ended it.
            if reasons[0] == "ConditionalCheckFailed" {
                break;
            }
            if import.is_in_order() && reasons[2] == "ConditionalCheckFailed" {
                let order = self.kind_order(&import).await?;
                gate = order.gate;
                digests = digests.filter(|_| order.next == import.order + 1 || !self.conditions().digest_next);
            }
            // An import of the same kind is being accepted or ended at this moment.
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
        crash::point("end.ended");
        let import = self.import(&import.account, &import.id).await?;
        if let Some(import) = &import
            && import.owes_report()
        {
            self.send(&Order::to_report(import)).await?;
            crash::point("end.report_sent");
        }
        Ok(import)
    }

    /// An import's rows as they are now: final, or the noted sums and the blocks that are not noted yet, all read
    /// consistently, so that counters only grow.
    pub async fn rows(&self, import: &Import) -> Result<Rows> {
        match import.rows {
            Some(rows) => Ok(rows),
            None => Ok(Rows::new(import.total, &self.sum(import).await?)),
        }
    }

    /// The sums of all chunks that are tallied now.
    pub async fn sum(&self, import: &Import) -> Result<Tally> {
        let mut sum = import.noted_tally;
        for block in self.blocks(&import.id, &unnoted(import)).await?.values() {
            sum += block.sum();
        }
        Ok(sum)
    }
}

fn unnoted(import: &Import) -> Vec<u32> {
    (0..import.opened_blocks).filter(|number| !import.noted_blocks.contains(number)).collect()
}
