//! Accounts that are being removed.
//!
//! The sweeper removes them itself, and no function of its own does. It is the one that may remove files already, its
//! schedule is the clock that a removal needs, and what is done by one look is bounded by its time anyway, since a
//! removal goes on where the last look noted it. A further function would need a queue, an alarm and a role that may
//! delete everything as well.

use lambda_runtime::Error;
use penstock_model::AccountId;
use penstock_runtime::{Deadline, chain};
use penstock_store::{Result, Store, account_removals::Stepped};
use tracing::{info, warn};

/// What became of the removals of accounts of one sweep.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) looked_at: usize,
    pub(crate) failed: usize,
}

/// Goes on with the removals of accounts that are due, the longest due first, until the invocation's time is near its
/// end. One that is put down is the last in the next sweep, so they take turns. One that cannot be gone on with now
/// keeps no others waiting; it is due again when its turn is over.
///
/// # Errors
/// When the list of them cannot be read.
pub(crate) async fn sweep(store: &Store, deadline: Deadline) -> Result<Accounts, Error> {
    let mut accounts = Accounts::default();
    for account in store.due_account_removals().await? {
        if deadline.is_near() {
            break;
        }
        match look(store, &account, deadline).await {
            Ok(()) => accounts.looked_at += 1,
            Err(error) => {
                accounts.failed += 1;
                warn!(account = %account, error = chain(&error), "the removal of an account could not be gone on with");
            }
        }
    }
    Ok(accounts)
}

/// Goes on with one removal. A repeat goes on where this one stopped.
async fn look(store: &Store, account: &AccountId, deadline: Deadline) -> Result<()> {
    let Some(mut removal) = store.take_up_account_removal(account).await? else { return Ok(()) };
    loop {
        match store.step_account_removal(&removal).await? {
            Stepped::GoesOn(next) => removal = *next,
            Stepped::Rests => return Ok(()),
            Stepped::Done(report) => {
                info!(account = %account, records = report.removed.records, "an account is removed");
                return Ok(());
            }
        }
        if deadline.is_near() {
            return store.put_down_account_removal(&removal).await;
        }
    }
}
