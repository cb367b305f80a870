//! Looking at one import.

use penstock_model::{AccountId, Checkpoint, Import, ImportId, Status, limits::EXPIRY_GRACE_MS};
use penstock_store::{
    Result, Store,
    queues::{SplitOrder, SplitTask},
};
use tracing::info;

/// What the sweeper found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// There is nothing left to look at.
    Done,
    /// It is as it should be; it will be looked at again.
    Fine,
    /// Its upload's event was lost: it is split now.
    Found,
    /// Nothing was uploaded in time: it has expired.
    Expired,
    /// It had made no progress: what may have been lost is done again.
    Resumed,
    /// Its rejected rows file is missing: it is asked for again.
    Reported,
}

/// Looks at an import and does what is missing. A repeat does it again, which everything that follows can take.
///
/// # Errors
/// What may be different next time; the import stays due.
pub async fn look(store: &Store, account: &AccountId, id: &ImportId) -> Result<Sight> {
    let Some(import) = store.import(account, id).await? else { return Ok(Sight::Done) };
    let sight = match import.status {
        Status::AwaitingUpload => awaiting(store, &import).await?,
        Status::Processing => processing(store, &import).await?,
        _ if import.has_rejected_rows() && import.report.is_none() => {
            store.send_report(&import).await?;
            store.looked_at(account, id, Some("ended")).await?;
            Sight::Reported
        }
        _ => {
            store.looked_at(account, id, None).await?;
            Sight::Done
        }
    };
    if !matches!(sight, Sight::Fine | Sight::Done) {
        info!(import.id = %id, ?sight, "an import was taken up");
    }
    Ok(sight)
}

async fn awaiting(store: &Store, import: &Import) -> Result<Sight> {
    // The object is looked for before the time is: an upload that S3 accepted in time counts.
    if store.find_upload(&import.account, &import.id).await?.is_some() {
        store.send_split(&order(import, SplitTask::GoOn { died_at: import.split_died_at })).await?;
        store.looked_at(&import.account, &import.id, Some("found")).await?;
        return Ok(Sight::Found);
    }
    if store.now_ms() > import.expires_at + EXPIRY_GRACE_MS && store.expire(&import.account, &import.id).await? {
        return Ok(Sight::Expired);
    }
    store.looked_at(&import.account, &import.id, Some("awaiting")).await?;
    Ok(Sight::Fine)
}

async fn processing(store: &Store, import: &Import) -> Result<Sight> {
    let progress = format!("{} {}", import.checkpoint.chunk, store.rows(import).await?.processed);
    if import.seen.as_deref() != Some(&progress) {
        store.looked_at(&import.account, &import.id, Some(&progress)).await?;
        return Ok(Sight::Fine);
    }
    store.note_full_blocks(import).await?;
    let settled = store.settle(&import.account, &import.id).await?;
    if settled.is_some_and(|import| import.status == Status::Processing) {
        // No further chunk is cut from a file that has been split, or whose import is to end early; some may have been lost on their way.
        let task = if import.total.is_some() || import.halt.is_some() {
            SplitTask::SendAgain(Checkpoint::START)
        } else {
            // A split that died here before must not start over as if it never had, or it would never be given up.
            SplitTask::GoOn { died_at: import.split_died_at.filter(|at| *at == import.checkpoint.chunk) }
        };
        store.send_split(&order(import, task)).await?;
    }
    store.looked_at(&import.account, &import.id, Some(&progress)).await?;
    Ok(Sight::Resumed)
}

fn order(import: &Import, task: SplitTask) -> SplitOrder {
    SplitOrder { account: import.account.clone(), import: import.id.clone(), task }
}
