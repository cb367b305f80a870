//! The removal of one import, from where it stands.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use penstock_model::{
    AccountId, Import, ImportId, Order, Settlement, Stage,
    limits::{RECORD_SHARDS, REPLACE_SHARDS_AT_ONCE, REPLACE_TRIES},
    replace::{Guard, ToRemove},
};
use penstock_runtime::{Deadline, chain};
use penstock_store::{
    Result, Store, StoreError, crash,
    replace::{Pass, ShardTally},
};
use tracing::{info, warn};

use crate::{count, remove, turns::Turns};

/// Why a pass stops before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nothing can be removed, for this reason, which the import's owner is told.
    Unremoved(String),
    /// Another run went on, or the import is to end.
    Overtaken,
    /// The invocation's time is near its end.
    NoTime,
    /// Something may be different next time.
    Transient(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Transient(error)
    }
}

/// Counts what an import removes, decides, and removes it, from where that stands; or hands the rest on when the
/// invocation's time is near its end. Nothing happens while its rows are not accounted for, or somebody else writes
/// rows of its kind. A repeat at the same time shares the work: what is done of a shard is written once.
///
/// # Errors
/// What may be different next time.
pub async fn run(store: &Store, account: &AccountId, id: &ImportId, deadline: Deadline) -> Result<()> {
    let Some(import) = store.import(account, id).await? else { return Ok(()) };
    if import.settle() != Settlement::Remove {
        let import = store.settle(account, id).await?;
        // Whoever waits for the gate that it has left is told.
        return match import.filter(|import| import.is_replace() && !import.at_gate_now()) {
            Some(import) => store.wake_all(&import).await,
            None => Ok(()),
        };
    }
    if !store.may_remove(&import).await? {
        info!(import.id = %id, "others write rows of the kind: the removal waits");
        return Ok(());
    }
    let stopped = match advance(store, import, deadline).await {
        Ok(()) => return Ok(()),
        Err(stopped) => stopped,
    };
    match stopped {
        Stop::NoTime => {
            info!(import.id = %id, "the invocation's time is near its end: the rest is handed on");
            store.send(&Order::to_remove(account, id)).await?;
            crash::point("replace.continued");
            Ok(())
        }
        Stop::Overtaken => {
            info!(import.id = %id, "another run went on, or the import is to end");
            Ok(())
        }
        Stop::Unremoved(reason) => {
            warn!(import.id = %id, "nothing is removed");
            unremoved(store, account, id, &reason).await
        }
        Stop::Transient(error) => Err(error),
    }
}

/// Ends an import that cannot tell what to remove. A repeat finds it ended.
async fn unremoved(store: &Store, account: &AccountId, id: &ImportId, reason: &str) -> Result<()> {
    let Some(import) = store.import(account, id).await? else { return Ok(()) };
    if let Some(end) = import.end_unremoved() {
        store.add_note(account, id, &format!("nothing was removed: {reason}")).await?;
        store.end_replace(import, &end).await?;
    }
    Ok(())
}

async fn advance(store: &Store, import: Import, deadline: Deadline) -> Result<(), Stop> {
    let (account, id) = (import.account.clone(), import.id.clone());
    let again = async || store.import(&account, &id).await?.ok_or(Stop::Overtaken);
    if import.stage() == Stage::Applying {
        let to_remove = counted(store, &import, deadline).await?;
        let held_ms = store.settings().confirm_ms();
        match import.guard(to_remove, store.now_ms(), held_ms) {
            Guard::Pass(decision) => drop(store.decide_removal(&import, &decision).await?),
            Guard::Hold(hold) => {
                let held = store.hold(&import, &hold).await?;
                info!(import.id = %id, to_remove.records, to_remove.of, held, "the removal waits to be confirmed");
                return Ok(store.wake_all(&import).await?);
            }
        }
    } else if import.stage() == Stage::Confirmed {
        let decision = import.decide(import.to_remove.unwrap_or_default());
        store.decide_removal(&import, &decision).await?;
    }
    // Where it was not decided, it was halted meanwhile.
    let import = again().await?;
    if import.stage() != Stage::Removing {
        store.settle(&account, &id).await?;
        return Ok(());
    }
    let removed = removed(store, &import, deadline).await?;
    info!(import.id = %id, removed, "the records are removed");
    let end = again().await?.end_removed(removed).ok_or(Stop::Overtaken)?;
    store.end_replace(import, &end).await?;
    Ok(())
}

/// What the import removes, counted shard by shard.
async fn counted(store: &Store, import: &Import, deadline: Deadline) -> Result<ToRemove, Stop> {
    let before = store.shard_tallies(&import.id, Pass::Count).await?;
    let begun = store.begin_count(import, before.len()).await?;
    let (import, begun) = begun.ok_or(Stop::Overtaken)?;
    // A file that ends the program that reads it, or takes longer than an invocation, says nothing.
    if import.counts_begun(before.len()) > REPLACE_TRIES {
        return Err(Stop::Unremoved(format!(
            "the file could not be read for the records that it names: that was begun {REPLACE_TRIES} times and ended \
             the program each time, or took longer than it may; send it in parts, with the mode `upsert`"
        )));
    }
    crash::point("replace.begun");
    if let Err(stopped) = count::run(store, &import, &before, deadline).await {
        if let Stop::Transient(_) = &stopped
            && let Err(error) = store.take_back_count(&import, &begun).await
        {
            warn!(import.id = %import.id, error = chain(&error), "a count that stopped stays noted");
        }
        return Err(stopped);
    }
    let tallies = store.shard_tallies(&import.id, Pass::Count).await?;
    Store::counted(&tallies).ok_or(Stop::Overtaken)
}

/// Removes what was listed; how many records of it went.
async fn removed(store: &Store, import: &Import, deadline: Deadline) -> Result<u64, Stop> {
    let lists = store.shard_tallies(&import.id, Pass::Count).await?;
    let before = store.shard_tallies(&import.id, Pass::Remove).await?;
    let left: BTreeMap<u8, ShardTally> = lists.into_iter().filter(|(shard, _)| !before.contains_key(shard)).collect();
    let turns = Turns::new(store, import, Pass::Remove, deadline);
    let left = turns.in_order(left.into_iter().collect());
    let shards = left.iter().map(|(shard, list)| remove::shard(store, import, *shard, list, &turns));
    stream::iter(shards.collect::<Vec<_>>()).buffer_unordered(REPLACE_SHARDS_AT_ONCE).try_collect::<()>().await?;
    let tallies = store.shard_tallies(&import.id, Pass::Remove).await?;
    if tallies.len() < RECORD_SHARDS {
        return Err(Stop::Overtaken);
    }
    Ok(tallies.values().map(|tally| tally.records).sum())
}
