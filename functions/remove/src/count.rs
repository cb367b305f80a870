//! Counting what an import removes: the file is read for the records that it names, and the shards of its kind for
//! those that it does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use futures::{StreamExt, TryStreamExt, stream};
use penstock_engine::{
    key::RecordName,
    kind::Kind,
    merge::{self, Removal},
    named::{self, NamedKeys, Reader},
};
use penstock_model::{
    Import, Record, Stamp,
    limits::{NAMED_KEYS, RECORD_QUERY_ITEMS, RECORD_SHARDS, REPLACE_READ_BYTES, REPLACE_SHARDS_AT_ONCE},
};
use penstock_runtime::{Deadline, chain};
use penstock_store::{
    Result, Store, StoreError,
    records::WRITE_BATCH,
    replace::{Pass, ShardTally},
    text::TextError,
};
use tracing::warn;

use crate::{list::List, run::Stop, turns::Turns};

/// Counts the shards that are not counted yet, each once. A repeat goes on with those that are left.
pub(crate) async fn run(
    store: &Store,
    import: &Import,
    before: &BTreeMap<u8, ShardTally>,
    deadline: Deadline,
) -> Result<(), Stop> {
    let mut left: BTreeSet<u8> =
        (0..=u8::MAX).take(RECORD_SHARDS).filter(|shard| !before.contains_key(shard)).collect();
    let kind = kind(store, import).await?;
    let is_last = !store.others_held(import).await?;
    let turns = Turns::new(store, import, Pass::Count, deadline);
    while let (Some(first), Some(last)) = (left.first().copied(), left.last().copied()) {
        let end = usize::from(first) + shards_at_once(import.total.unwrap_or(0)) - 1;
        let range = first..=last.min(u8::try_from(end).unwrap_or(u8::MAX));
        let named = names(store, import, kind.as_ref(), range, deadline).await?;
        let shards: Vec<u8> = turns.in_order(left.range(named.shards().clone()).copied().collect());
        let counting = Counting { store, import, named: &named, is_last, turns: &turns };
        let counts = shards.iter().map(|shard| counting.shard(*shard));
        stream::iter(counts.collect::<Vec<_>>()).buffer_unordered(REPLACE_SHARDS_AT_ONCE).try_collect::<()>().await?;
        left.retain(|shard| !named.shards().contains(shard));
    }
    Ok(())
}

/// How many shards' names of a file of so many rows surely have room together, as their hashes spread them: at least
/// one.
fn shards_at_once(rows: u64) -> usize {
    let room = RECORD_SHARDS as u64 * (NAMED_KEYS as u64 / 8 * 7) / rows.max(1);
    usize::try_from(room).unwrap_or(RECORD_SHARDS).clamp(1, RECORD_SHARDS)
}

/// The kind as it was when the import was created; `None` for an order to remove everything, which has no file.
async fn kind(store: &Store, import: &Import) -> Result<Option<Kind>, Stop> {
    if import.everything.is_some() {
        return Ok(None);
    }
    let gone = || Stop::Unremoved("the kind of this import no longer exists".to_owned());
    store.compiled_kind(&import.account, &import.kind, import.kind_version).await?.ok_or_else(gone).map(Some)
}

/// The records that the file names in a range of shards, or in the first part of it where they are too many to be held
/// at once.
async fn names(
    store: &Store,
    import: &Import,
    kind: Option<&Kind>,
    mut shards: RangeInclusive<u8>,
    deadline: Deadline,
) -> Result<NamedKeys, Stop> {
    loop {
        let mut named = NamedKeys::of(shards.clone(), NAMED_KEYS);
        let Some(kind) = kind else { return Ok(named) };
        match read(store, import, kind.clone(), &mut named, deadline).await? {
            Ok(()) => return Ok(named),
            Err(named::Stop::Unreadable(row)) => return Err(Stop::Unremoved(row.to_string())),
            Err(named::Stop::Full(full)) => match named::halves(&shards) {
                Some([first, _]) => shards = first,
                None => return Err(Stop::Unremoved(full.to_string())),
            },
        }
    }
}

/// Reads the pinned file from its start to its end.
async fn read(
    store: &Store,
    import: &Import,
    kind: Kind,
    named: &mut NamedKeys,
    deadline: Deadline,
) -> Result<Result<(), named::Stop>, Stop> {
    // Without a layout nothing was split: there are no rows.
    if import.layout.is_none() {
        return Ok(Ok(()));
    }
    let mut reader = Reader::new(import.job(), kind).map_err(|failure| Stop::Unremoved(failure.message))?;
    let mut text = store.text(import, 0);
    while let Some(bytes) = text.next().await.map_err(unreadable)? {
        if let Err(stop) = reader.push(&bytes, named) {
            return Ok(Err(stop));
        }
        if deadline.is_near() && text.offset() > REPLACE_READ_BYTES {
            return Err(Stop::NoTime);
        }
    }
    Ok(reader.finish(named))
}

/// A text that was split once is read the same again: what fails there is the storage's fault, unless the file is gone.
fn unreadable(error: TextError) -> Stop {
    match error {
        TextError::Store(StoreError::ObjectGone) => Stop::Unremoved("the uploaded file is no longer stored".to_owned()),
        TextError::Store(error) => Stop::Transient(error),
        TextError::Failed(failure) => {
            warn!(failure.code, "a text that was split cannot be read again");
            Stop::Transient(StoreError::Unavailable { call: "s3:GetObject", reason: failure.code })
        }
    }
}

/// What is the same for every shard of a range.
#[derive(Clone, Copy)]
struct Counting<'a> {
    store: &'a Store,
    import: &'a Import,
    named: &'a NamedKeys,
    /// No older import runs, not even held.
    is_last: bool,
    turns: &'a Turns<'a>,
}

impl Counting<'_> {
    /// Lists and counts what goes of a shard.
    async fn shard(self, shard: u8) -> Result<(), Stop> {
        let Self { store, import, named, turns, .. } = self;
        if turns.is_done_by_another(shard) {
            return Ok(());
        }
        let mut list = List::new(store, import, shard);
        let mut after: Option<String> = None;
        loop {
            turns.goes_on()?;
            let page =
                store.shard_page(&import.account, &import.kind, shard, after.as_deref(), RECORD_QUERY_ITEMS).await?;
            for (key, record) in &page.records {
                if !record.is_gone() && record.made.order < import.order {
                    list.note_older();
                }
                if let Removal::Removes(_) = judge(store, import, record, key, named) {
                    list.push(key).await?;
                }
            }
            let lasting: Vec<&(String, Record)> = page.lasting.iter().map(|at| &page.records[*at]).collect();
            self.expire(&lasting).await;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        turns.end(list).await
    }

    /// Has tombstones of earlier places expire that were left to this pass: no import of an earlier place than theirs
    /// runs any more. One that cannot be told so now is left to the next pass.
    async fn expire(self, lasting: &[&(String, Record)]) {
        let Self { store, import, is_last, .. } = self;
        let older = |(_, record): &&&(String, Record)| record.gone.is_some_and(|gone| gone.order < import.order);
        let name = |(key, record): &&(String, Record)| (RecordName::of(&import.account, &import.kind, key), record.rev);
        let tombstones: Vec<(RecordName, u64)> = lasting.iter().filter(older).filter(|_| is_last).map(name).collect();
        for batch in tombstones.chunks(WRITE_BATCH) {
            if let Err(error) = store.expire_tombstones(batch).await {
                warn!(import.id = %import.id, error = chain(&error), "tombstones stay until the next removal");
                return;
            }
        }
    }
}

/// What the import does to a record that it read.
pub(crate) fn judge(store: &Store, import: &Import, record: &Record, key: &str, named: &NamedKeys) -> Removal {
    let newest = match store.conditions().sparing {
        true => Stamp::of_replace(import.order),
        false => Stamp { order: u64::MAX, row: u64::MAX },
    };
    merge::removal(record, key, named, newest, import.removal_stamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_room_is_read_once_and_a_larger_one_for_fewer_shards_each_time() {
        assert_eq!([0, 1, 1_000_000].map(shards_at_once), [RECORD_SHARDS; 3]);
        let most = NAMED_KEYS as u64;
        assert_eq!((shards_at_once(2 * most), shards_at_once(1_000 * most)), (112, 1));
    }
}
