//! Removing what was listed of one shard.

use penstock_engine::{key::RecordName, merge::Removal, named::NamedKeys};
use penstock_model::{Import, Record};
use penstock_store::{
    Backoff, Store,
    records::{Page, READ_BATCH, WRITE_BATCH, Write, Written},
    replace::ShardTally,
};

use crate::{count::judge, list::List, run::Stop, turns::Turns};

/// Removes the records of a list, each if it is still one that goes, and writes down which went. A repeat finds the
/// tombstones of the first time, and counts them.
pub(crate) async fn shard(
    store: &Store,
    import: &Import,
    shard: u8,
    listed: &ShardTally,
    turns: &Turns<'_>,
) -> Result<(), Stop> {
    if turns.is_done_by_another(shard) {
        return Ok(());
    }
    let mut list = List::new(store, import, shard);
    for part in 0..listed.parts {
        let keys = store.listed_keys(&import.id, shard, &listed.run, part).await?;
        for group in keys.chunks(READ_BATCH) {
            turns.goes_on()?;
            for key in remove(store, import, group).await? {
                list.push(key).await?;
            }
        }
    }
    turns.end(list).await
}

/// Removes at most [`READ_BATCH`] records; the keys of those that went, now or before.
async fn remove<'k>(store: &Store, import: &Import, keys: &'k [String]) -> Result<Vec<&'k str>, Stop> {
    let conditions = store.conditions();
    // None of the list is named.
    let named = NamedKeys::of(0..=u8::MAX, 0);
    let named_as = |key: &'k String| (RecordName::of(&import.account, &import.kind, key), key.as_str());
    let mut pending: Vec<(RecordName, &str)> = keys.iter().map(named_as).collect();
    let mut gone = Vec::new();
    let mut pause = Backoff::default();
    while !pending.is_empty() {
        let names: Vec<&RecordName> = pending.iter().map(|(name, _)| name).collect();
        let Page { mut records, unread } = store.records_page(&names).await?;
        let mut left = Vec::new();
        let mut tombstones: Vec<(RecordName, &str, Record)> = Vec::new();
        for (name, key) in pending {
            if unread.contains(&name) {
                left.push((name, key));
                continue;
            }
            match records.remove(&name).map(|record| judge(store, import, &record, key, &named)) {
                Some(Removal::Removes(tombstone)) => tombstones.push((name, key, tombstone)),
                Some(Removal::Removed) if conditions.removal_evidence => gone.push(key),
                Some(Removal::Removed | Removal::Stays) | None => {}
            }
        }
        for batch in tombstones.chunks(WRITE_BATCH) {
            let writes: Vec<Write<'_>> = batch.iter().map(|(name, _, record)| Write { name, record }).collect();
            let written = store.write_tombstones(&writes).await?;
            for ((name, key, _), written) in batch.iter().zip(written) {
                match written {
                    Written::Stored => gone.push(key),
                    Written::ReadAgain => left.push((name.clone(), key)),
                }
            }
        }
        pending = left;
        if !pending.is_empty() {
            pause.wait("dynamodb:BatchExecuteStatement").await?;
        }
    }
    Ok(gone)
}
