//! Exports that stand still, and what ended ones have left.

use lambda_runtime::Error;
use penstock_model::{AccountId, ExportId, ExportLook, Order};
use penstock_runtime::{Deadline, chain};
use penstock_store::{Result, Store, crash};
use tracing::{info, warn};

/// What became of the exports of one sweep.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    pub(crate) looked_at: usize,
    pub(crate) failed: usize,
}

/// Looks at the exports that are due, until the invocation's time is near its end. One that cannot be looked at now
/// keeps no others waiting; it stays due.
///
/// # Errors
/// When the list of them cannot be read.
pub(crate) async fn sweep(store: &Store, deadline: Deadline) -> Result<Exports, Error> {
    let mut exports = Exports::default();
    for (account, id) in store.due_exports().await? {
        if deadline.is_near() {
            break;
        }
        match look(store, &account, &id).await {
            Ok(()) => exports.looked_at += 1,
            Err(error) => {
                exports.failed += 1;
                warn!(export.id = %id, error = chain(&error), "an export could not be looked at");
            }
        }
    }
    Ok(exports)
}

/// Sends the order of an export that stands still again: its reader counts its tries and gives it up. Removes what a
/// cancelled, failed or deleted one has left. A repeat does it again; all of it is idempotent.
async fn look(store: &Store, account: &AccountId, id: &ExportId) -> Result<()> {
    let Some(export) = store.export(account, id).await? else { return Ok(()) };
    match export.look(store.now_ms()) {
        ExportLook::Nothing => Ok(()),
        ExportLook::Resend => {
            store.send(&Order::to_export(&export)).await?;
            crash::point("export.resent");
            info!(export.id = %id, "an export stood still: its order is sent again");
            store.put_off_export(&export).await
        }
        ExportLook::Remove(left) => {
            // What has ended otherwise has no file that anybody may have.
            store.remove_export_file(&export).await?;
            match left {
                None => store.forget_export(&export).await,
                Some(left) => {
                    if store.replace_export(&export, &left).await? {
                        store.put_off_export(&left).await?;
                    }
                    Ok(())
                }
            }
        }
    }
}
