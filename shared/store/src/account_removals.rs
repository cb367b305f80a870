//! Removals of accounts: an item each, which the sweeper finds by the index `due`.
//! [`penstock_model::AccountRemoval`] decides what becomes of one; here it is persisted, each write on the condition
//! that nobody else has written it since it was read. What is removed, and how, is in [`crate::purge`].
//!
//! ```text
//! api                       imports table                    sweeper
//!  │ order ───────────────▶ the account is being removed,
//!  │ † account.ordered      its removal (one transaction)
//!  │ keys revoked
//!  ▼ 202                       │ due now ─────────────────▶ taken up: nobody else has it for a while
//!                              │                            │ † account.taken
//!                              │                            │ keys revoked, imports and exports ended
//!                              │                            │ † account.revoked, account.ended
//!                              ◀──── place and counts ───── │ purge, step by step: † account.purged
//!                              │                            ▼ † account.noted
//!                              │ due a day later ─────────▶ taken up: purge, step by step, in the end
//!                              │                            │ the items of the account († account.own)
//!                              ◀──── the report, and the ── │
//!                              account is free              ▼ † account.removed
//! ```
//!
//! The interleavings:
//!
//! - *A key is made while the account is being removed.* Its transaction is refused, because the account's line in the
//!   list of accounts says so ([`crate::accounts`]). One that was made before is in the account's list, and is revoked.
//! - *A request, a splitter, a validator, a report or an export is at work when the keys are revoked.* Whatever it
//!   makes is found when the day is over. If it made an import or an export that runs, that is ended first, and the
//!   day begins anew.
//! - *Two sweepers find the same removal due.* One takes it up, for longer than it may live. So no sweeper still
//!   removes what it has read when a removal is closed, and never anything of a new account of the same name.
//! - *A sweeper dies.* When its turn is over, another goes on where the last step was noted.

use penstock_model::{AccountId, AccountRemoval, AccountRemovalStage, limits::KEYS_REVOKED_AT_ONCE};

use crate::{
    Backoff, Result, Store, StoreError, crash,
    dynamo::{Item, deleting, items, n, putting, s},
    purge::Ended,
    table::{ACCOUNT_REMOVALS_DUE, account_pk, account_removal_key, account_removal_of, listed_account_key},
};

/// How long a removal rests whose imports and exports have not all ended, in milliseconds: until the next sweep.
const HALT_LOOK_MS: i64 = 30 * 1000;

/// What became of a removal at one step.
#[derive(Debug)]
pub enum Stepped {
    /// It goes on at once: this is the removal now.
    GoesOn(Box<AccountRemoval>),
    /// There is nothing more to do now.
    Rests,
    /// Nothing of the account is left: this is the report.
    Done(Box<AccountRemoval>),
}

impl Store {
    /// Orders the removal of an account, in one transaction with the mark that no key of it may be made any more, and
    /// revokes its first [`KEYS_REVOKED_AT_ONCE`] keys. `None` where there is no such account and never was.
    ///
    /// A repeat gives the removal as it stands, or the report of the last one where the account is gone.
    pub async fn order_account_removal(&self, account: &AccountId) -> Result<Option<AccountRemoval>> {
        let mut pause = Backoff::default();
        loop {
            let before = self.account_removal(account).await?;
            let listed = self.account(account).await?;
            let removal = match (before, listed) {
                (Some(before), None) => return Ok(Some(before)),
                (Some(before), Some(listed)) if listed.removing => before,
                (None, None) if !self.has_items(account).await? => return Ok(None),
                (before, _) => {
                    let ordered = AccountRemoval::new(account.clone(), self.now_ms(), before.as_ref());
                    let put = self.put_action(removal_item(&ordered)?);
                    let put = match &before {
                        None => put.condition_expression("attribute_not_exists(pk)"),
                        Some(before) => {
                            put.condition_expression("rev = :rev").expression_attribute_values(":rev", n(before.rev))
                        }
                    };
                    let marked = self.removing_action(account);
                    if self.transact(vec![putting(put), marked]).await?.is_some() {
                        // Another request ordered it meanwhile, or a key of the account is being made.
                        pause.wait("dynamodb:TransactWriteItems").await?;
                        continue;
                    }
                    crash::point("account.ordered");
                    ordered
                }
            };
            self.revoke_keys(account, KEYS_REVOKED_AT_ONCE).await?;
            return Ok(Some(removal));
        }
    }

    /// Whether something stands in an account's own partition. One that was made by a version without a list of
    /// accounts is known by that.
    async fn has_items(&self, account: &AccountId) -> Result<bool> {
        let query = self.query_partition(self.imports_table(), account_pk(account)).projection_expression("pk");
        Ok(!items(query, Some(1)).await?.is_empty())
    }

    /// The removal of an account, or the report of it, read consistently.
    pub async fn account_removal(&self, account: &AccountId) -> Result<Option<AccountRemoval>> {
        self.get_item("the removal of an account", account_removal_key(account)).await
    }

    /// The accounts whose removals are due, the longest due first. The index may lag behind; one that is not due is not
    /// taken up.
    pub async fn due_account_removals(&self) -> Result<Vec<AccountId>> {
        let due = self.due_in(ACCOUNT_REMOVALS_DUE.to_owned(), self.now_ms(), None, account_removal_of).await?;
        Ok(due.into_iter().map(|(account, ())| account).collect())
    }

    /// Takes up the removal of an account, if it is due: until the turn is over nobody else does. A repeat finds it
    /// taken.
    pub async fn take_up_account_removal(&self, account: &AccountId) -> Result<Option<AccountRemoval>> {
        let Some(removal) = self.account_removal(account).await? else { return Ok(None) };
        let Some(taken) = removal.take_up(self.now_ms()) else { return Ok(None) };
        let taken = self.replace_account_removal(&removal, taken).await?;
        crash::point("account.taken");
        Ok(taken)
    }

    /// Puts a removal down that this sweeper has and that is to be gone on with at once. A repeat changes nothing.
    pub async fn put_down_account_removal(&self, removal: &AccountRemoval) -> Result<()> {
        self.replace_account_removal(removal, removal.put_down(self.now_ms())).await.map(drop)
    }

    /// Makes one step of a removal that this sweeper has, of a bounded number of requests, and notes it. A repeat finds
    /// done what was done.
    ///
    /// # Errors
    /// What may be different next time; the removal is due again when the turn is over.
    pub async fn step_account_removal(&self, removal: &AccountRemoval) -> Result<Stepped> {
        let account = &removal.account;
        let (now, waits) = (self.now_ms(), removal.waits_until().unwrap_or(0));
        let next = match removal.stage {
            AccountRemovalStage::Removed => return Ok(Stepped::Rests),
            AccountRemovalStage::Halting => {
                let revoked = self.revoke_keys(account, KEYS_REVOKED_AT_ONCE).await?;
                crash::point("account.revoked");
                let ended = if revoked { self.end_all(account).await? } else { Ended::Told };
                crash::point("account.ended");
                match ended {
                    Ended::All => removal.halted(now),
                    Ended::Told => removal.kept(now),
                    Ended::Waits => removal.put_down(now + HALT_LOOK_MS),
                }
            }
            AccountRemovalStage::Waiting if now < waits => removal.put_down(waits),
            AccountRemovalStage::Waiting => removal.waited(now, self.has_unfinished(account).await?),
            AccountRemovalStage::Purging | AccountRemovalStage::Checking => {
                let purged = self.purge(account, &removal.place).await?;
                crash::point("account.purged");
                match removal.purged(now, &purged) {
                    Some(next) => next,
                    None => return self.finish_account_removal(removal.finish(now, &purged.counts)).await,
                }
            }
        };
        let goes_on = next.is_taken(now);
        let noted = self.replace_account_removal(removal, next).await?;
        crash::point("account.noted");
        Ok(match noted.filter(|_| goes_on) {
            Some(next) => Stepped::GoesOn(Box::new(next)),
            None => Stepped::Rests,
        })
    }

    /// Takes the account off the list and puts the report in place of its removal, in one transaction: the name is free
    /// from then on. A repeat finds it done.
    async fn finish_account_removal(&self, report: AccountRemoval) -> Result<Stepped> {
        let put = self
            .put_action(removal_item(&report)?)
            .condition_expression("rev = :rev")
            .expression_attribute_values(":rev", n(report.rev - 1));
        let actions = vec![putting(put), deleting(self.imports_table(), listed_account_key(&report.account))];
        if !self.transact_unless_changed(actions).await? {
            return Ok(Stepped::Rests);
        }
        crash::point("account.removed");
        Ok(Stepped::Done(Box::new(report)))
    }

    /// Writes what a removal has become in place of what it was; `None` where somebody else has written it since.
    async fn replace_account_removal(
        &self,
        old: &AccountRemoval,
        new: AccountRemoval,
    ) -> Result<Option<AccountRemoval>> {
        let put = self.put_action(removal_item(&new)?).condition_expression("rev = :rev");
        let put = putting(put.expression_attribute_values(":rev", n(old.rev)));
        Ok(self.transact_unless_changed(vec![put]).await?.then_some(new))
    }
}

/// A removal as it is stored: on the sweeper's list while there is something to do, and until it expires otherwise.
fn removal_item(removal: &AccountRemoval) -> Result<Item> {
    let unreadable = StoreError::unreadable("the removal of an account");
    let mut item: Item = serde_dynamo::to_item(removal).map_err(unreadable)?;
    item.extend(account_removal_key(&removal.account));
    if removal.due_at.is_some() {
        item.insert("due_shard".into(), s(ACCOUNT_REMOVALS_DUE));
    }
    if let Some(until) = removal.report_until() {
        item.insert("ttl".into(), n(until / 1000 + 1));
    }
    Ok(item)
}
