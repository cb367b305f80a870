//! Looking at one import.

use penstock_model::{AccountId, Import, ImportId, Order, Retention, Stage};
use penstock_store::{Result, Store};
use tracing::info;

/// What the sweeper found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// There is nothing left to look at.
    Done,
    /// It is as it should be; the sweeper will look again.
    Fine,
    /// Its upload's event was lost: it is split now.
    Found,
    /// The copy of its file of the inbox was lost: it is ordered again.
    Copied,
    /// Nothing was uploaded in time: it has expired.
    Expired,
    /// It had made no progress: lost messages are sent again.
    Resumed,
    /// Its rejected rows file is missing, so many seconds after it ended: the report is ordered again.
    Reported(u64),
    /// What its upload waited for is over: it is accepted now.
    Woken,
    /// Nobody confirmed it in time: it has ended.
    Unconfirmed,
}

impl Sight {
    /// For how long a rejected rows file has been missing, in seconds.
    pub(crate) fn report_age(&self) -> u64 {
        if let Self::Reported(seconds) = self { *seconds } else { 0 }
    }
}

/// Looks at an import and does what is missing. A repeat does it again; all that follows is idempotent.
///
/// # Errors
/// What may be different next time; the import stays due.
pub async fn look(store: &Store, account: &AccountId, id: &ImportId) -> Result<Sight> {
    let Some(import) = store.import(account, id).await? else { return Ok(Sight::Done) };
    // Parts of an upload that was given up, or of one beside the upload that was accepted.
    if import.left_parts().is_some() {
        store.remove_parts(&import).await?;
    }
    let sight = match import.stage() {
        Stage::AwaitingUpload => awaiting(store, &import).await?,
        Stage::Waiting => waiting(store, &import).await?,
        Stage::Held => held(store, &import).await?,
        Stage::Splitting | Stage::Applying | Stage::Confirmed | Stage::Removing | Stage::Halting => {
            running(store, &import).await?
        }
        // One whose time is over gets no file any more, and goes.
        Stage::Expired | Stage::Ended if import.owes_report() && !is_over(store, &import) => {
            store.send(&Order::to_report(&import)).await?;
            store.note_swept(account, id, "ended").await?;
            let waits_ms = import.ended_at().map_or(0, |ended_at| store.now_ms() - ended_at);
            Sight::Reported(u64::try_from(waits_ms / 1000).unwrap_or_default())
        }
        Stage::Ended if import.object.is_none() => cancelled(store, &import).await?,
        Stage::Expired | Stage::Ended => {
            if import.is_judged() {
                store.leave_review(&import).await?;
            }
            store.note_ended(&import).await?;
            Sight::Done
        }
    };
    if !matches!(sight, Sight::Fine | Sight::Done) {
        info!(import.id = %id, ?sight, "an import was taken up");
    }
    Ok(sight)
}

fn is_over(store: &Store, import: &Import) -> bool {
    let kept_ms = store.settings().import_retention_ms();
    matches!(import.retention(store.now_ms(), kept_ms), Retention::Read(_) | Retention::Over)
}

async fn awaiting(store: &Store, import: &Import) -> Result<Sight> {
    // The object is looked for before the time is: an upload that S3 accepted in time counts.
    if store.find_upload(&import.account, &import.id).await?.is_some() {
        store.send(&Order::to_continue(import, import.split_died_at)).await?;
        store.note_swept(&import.account, &import.id, "found").await?;
        return Ok(Sight::Found);
    }
    if store.expire(import).await? {
        // Not before: an upload in parts can be completed as long as its import awaits it.
        store.remove_parts(import).await?;
        return Ok(Sight::Expired);
    }
    if import.inbox.is_some() {
        store.send(&Order::to_continue(import, import.split_died_at)).await?;
        store.note_swept(&import.account, &import.id, "copied").await?;
        return Ok(Sight::Copied);
    }
    store.note_swept(&import.account, &import.id, "awaiting").await?;
    Ok(Sight::Fine)
}

/// An upload that waits for the replace at the gate of its kind. Whoever frees the gate tells it; that may be lost.
async fn waiting(store: &Store, import: &Import) -> Result<Sight> {
    let woken = store.wake_waiting(import).await?;
    store.note_swept(&import.account, &import.id, "waiting").await?;
    Ok(if woken { Sight::Woken } else { Sight::Fine })
}

/// A replace or a review that waits to be confirmed, until its time is over. The order to write the rejected rows of a
/// review may be lost.
async fn held(store: &Store, import: &Import) -> Result<Sight> {
    if store.end_held(import).await? {
        return Ok(Sight::Unconfirmed);
    }
    if import.owes_report() {
        store.send(&Order::to_report(import)).await?;
    } else if let Some(until) = import.held_until {
        store.look_again_at(&import.account, &import.id, until + 1).await?;
        return Ok(Sight::Fine);
    }
    store.note_swept(&import.account, &import.id, "held").await?;
    Ok(Sight::Fine)
}

/// An import that ended before anything was uploaded. Its URLs may store an object yet, and the event of that may be
/// lost: when they have expired, whatever is there is removed.
async fn cancelled(store: &Store, import: &Import) -> Result<Sight> {
    let (account, id) = (&import.account, &import.id);
    if store.now_ms() <= import.uploads_end_at() {
        store.look_again_at(account, id, import.uploads_end_at() + 1).await?;
        return Ok(Sight::Fine);
    }
    store.order_removal(account, id).await?;
    store.note_ended(import).await?;
    Ok(Sight::Done)
}

async fn running(store: &Store, import: &Import) -> Result<Sight> {
    let progress = store.progress(import).await?;
    if import.last_swept.as_deref() != Some(&progress) {
        store.note_swept(&import.account, &import.id, &progress).await?;
        return Ok(Sight::Fine);
    }
    store.note_full_blocks(import).await?;
    let settled = store.settle(&import.account, &import.id).await?;
    if let Some(order) = settled.and_then(|import| import.resume()) {
        store.send(&order).await?;
    }
    store.note_swept(&import.account, &import.id, &progress).await?;
    Ok(Sight::Resumed)
}
