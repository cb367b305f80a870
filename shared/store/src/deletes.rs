//! Deletes of records, each one transaction with the order of their kind.
//!
//! A delete takes a place in the order as an import does, and leaves a tombstone with its stamp. Its transaction fails
//! if anything has taken a place since the order was read. So when it is made, nothing newer than it can be in the
//! record, nor can a row have been left out because of the record (the validator's `apply`): the record goes as a
//! whole.
//!
//! ```text
//! delete                                   an upload of the kind
//!  │ records, consistently                  │
//!  │ order: next is n ─────────┐            │ accepted, place n: next is n + 1
//!  │                           │            │ its row equals the record: no write
//!  │ transaction: next is n? ──┴──▶ no ─────┼─▶ both are read again
//!  ▼ yes: next is n + 1, tombstones (n, 0)  ▼
//! ```
//!
//! Without the condition on `next` the tombstone (n, 0) would stand below a row that left no stamp, and the record that
//! this row wants would be missing.
//!
//! The digests of the kind that hold at the place of the delete hold behind it, too, but for the deleted records: each
//! gets a hole for each of them, in the same transaction.
//!
//! **A tombstone may go** when no import of an earlier place can write any more: then it has nothing to keep out. If no
//! import runs at the delete, which the same transaction checks, that is so when the processes of ended imports are
//! gone: it expires after [`TOMBSTONE_SECONDS`], far more than a function lives. Otherwise it stays. A record that is
//! made anew does not expire: the write that makes it takes `expires_at` away.

use std::time::Instant;

use penstock_model::{
    AccountId, KindName, Record, Stamp,
    limits::{
        RECORD_DELETE_BYTES, RECORD_DELETE_SECONDS, RECORD_SHARDS, RECORD_SHARDS_AT_ONCE, TOMBSTONE_SECONDS,
        TOMBSTONES_AT_ONCE,
    },
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    Backoff, Result, Store,
    accept::KindOrder,
    change::Change,
    dynamo::{n, value},
    records::{Page, RecordName, item},
    table::kind_order_key,
};

/// What became of records that were to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many were deleted.
    pub deleted: usize,
    /// The keys that name no record, as they were given, each once.
    pub missing: Vec<String>,
    /// How many are not deleted yet: uploads and other deletes of the kind took the next place again and again.
    pub left: usize,
}

/// Records that a delete has found, and the place in the order that it takes if nothing takes it before.
#[derive(Debug)]
pub struct Sighting {
    /// The records that are there. Those that would be too much for one transaction are left out.
    pub records: Vec<(RecordName, Record)>,
    /// The names under which there is no record.
    pub absent: Vec<RecordName>,
    account: AccountId,
    kind: KindName,
    /// The order of the kind.
    order: KindOrder,
}

/// Whether there are records of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordsLook {
    /// There are none.
    None,
    /// There are.
    Found,
    /// There are none so far. The look goes on from there.
    Unfinished(Looked),
}

/// How far a look through a kind's records has come, which found tombstones alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looked {
    /// The next place in the order of the kind when the look began.
    pub(crate) next: u64,
    /// Shards whose look has begun: the first ones.
    begun: usize,
    /// Those among them that go on.
    open: Vec<OpenShard>,
}

/// A shard that goes on behind a sort key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OpenShard {
    shard: u8,
    after: Option<String>,
}

impl Looked {
    /// A look that is about to begin.
    pub(crate) fn before(next: u64) -> Self {
        Self { next, begun: 0, open: Vec::new() }
    }
}

impl Store {
    /// Deletes records of a kind by their canonical keys, at most
    /// [`RECORD_DELETE_BATCH`](penstock_model::limits::RECORD_DELETE_BATCH): all of them in one transaction and at one
    /// place in the order, or where they are large in several. A key that names no record changes nothing and takes no
    /// place.
    ///
    /// A transaction that meets others pauses and looks again, for [`RECORD_DELETE_SECONDS`]. A repeat finds the
    /// records gone; so does a call whose first request had its effect and no answer, which then counts them as
    /// missing.
    pub async fn delete_records(&self, account: &AccountId, kind: &KindName, keys: &[String]) -> Result<Deleted> {
        let names: Vec<RecordName> = keys.iter().map(|key| RecordName::of(account, kind, key)).collect();
        let mut named: Vec<(&RecordName, &String)> = Vec::new();
        for (name, key) in names.iter().zip(keys) {
            if named.iter().all(|(known, _)| *known != name) {
                named.push((name, key));
            }
        }
        let mut left: Vec<&RecordName> = named.iter().map(|(name, _)| *name).collect();
        let mut done = Deleted::default();
        let (began, mut pause) = (Instant::now(), Backoff::default());
        while !left.is_empty() {
            let sighting = self.sight_records(account, kind, &left).await?;
            left.retain(|name| !sighting.absent.contains(*name));
            let missing = named.iter().filter(|(name, _)| sighting.absent.contains(*name));
            done.missing.extend(missing.map(|(_, key)| (*key).clone()));
            let (made, call) = match sighting.records.is_empty() {
                // Where nothing was read at all, the table is busy.
                true => (!sighting.absent.is_empty(), "dynamodb:BatchGetItem"),
                false => (self.delete_sighted(&sighting).await?, "dynamodb:TransactWriteItems"),
            };
            if made {
                done.deleted += sighting.records.len();
                left.retain(|name| sighting.records.iter().all(|(deleted, _)| deleted != *name));
            } else if began.elapsed().as_secs() >= RECORD_DELETE_SECONDS || pause.wait(call).await.is_err() {
                break;
            }
        }
        done.left = left.len();
        Ok(done)
    }

    /// Looks at records that are to be deleted, and at the order of their kind, both consistently. Changes nothing.
    pub async fn sight_records(&self, account: &AccountId, kind: &KindName, names: &[&RecordName]) -> Result<Sighting> {
        let Page { records: mut found, unread } = self.records_page(names).await?;
        let order: KindOrder = self.get_item("an order", kind_order_key(account, kind)).await?.unwrap_or_default();
        let (mut records, mut absent, mut bytes) = (Vec::new(), Vec::new(), 0);
        for name in names.iter().copied().filter(|name| !unread.contains(*name)) {
            match found.remove(name).filter(|record| !record.is_gone()) {
                None => absent.push(name.clone()),
                Some(record) => {
                    bytes += record.bytes();
                    if records.is_empty() || bytes <= RECORD_DELETE_BYTES {
                        records.push((name.clone(), record));
                    }
                }
            }
        }
        let (account, kind) = (account.clone(), kind.clone());
        Ok(Sighting { records, absent, account, kind, order })
    }

    /// Deletes the records that were sighted, in one transaction that takes the next place in the order; whether it was
    /// made. It is not if anything has taken that place, or has written one of the records, since they were sighted.
    ///
    /// A repeat of one that was made is not made: the records have another `rev`.
    pub async fn delete_sighted(&self, sighting: &Sighting) -> Result<bool> {
        let Sighting { records, account, kind, order: sighted, .. } = sighting;
        let (conditions, next, idle) = (self.conditions(), sighted.next, sighted.running.is_empty());
        let order = Change::default().named("next", "next").set("next", n(next + 1));
        let expires_at =
            (idle || !conditions.tombstone_while_running).then(|| self.now_ms() / 1000 + TOMBSTONE_SECONDS as i64);
        let order = match (conditions.delete_ordered, expires_at.is_some() && conditions.tombstone_while_running) {
            (false, _) => order,
            (true, false) => order.only_if("#next = :read").value("read", n(next)),
            (true, true) => order.only_if("#next = :read AND attribute_not_exists(running)").value("read", n(next)),
        };
        // An import that ends meanwhile may say of other digests that they hold. They are lost, which costs reads.
        let order = match sighted.digests_behind_delete(conditions, records.iter().map(|(name, _)| name)) {
            None => order,
            Some(behind) if behind.is_empty() => order.remove("digests"),
            Some(behind) => order.set("digests", value("digests", &behind)?),
        };
        let mut actions = vec![order.in_action(self.update_action(kind_order_key(account, kind)))];
        for (name, record) in records {
            let key = item::key(name);
            let table = &self.settings().records_table;
            if !conditions.tombstone {
                let as_read =
                    Change::default().only_if("#rev = :read").named("rev", "rev").value("read", n(record.rev));
                actions.push(as_read.in_deletion(table, key));
                continue;
            }
            let gone = Stamp::of_delete(next);
            let mut tombstone = record.deleted(gone);
            if !conditions.tombstone_bookkeeping {
                let never = Stamp { order: 0, row: 0 };
                (tombstone.made, tombstone.last.stamp) = (never, never);
            }
            let change = Change::default()
                .only_if("#rev = :read")
                .value("read", n(record.rev))
                .set("rev", n(record.rev + 1))
                .set("stamps", item::attributes(&tombstone)?.0)
                .remove("fields");
            let change = match conditions.floor {
                true => change.set("gone", item::gone(gone)),
                false => change,
            };
            let change = match expires_at {
                Some(at) => change.set("expires_at", n(at)),
                None => change,
            };
            let update = aws_sdk_dynamodb::types::Update::builder().table_name(table).set_key(Some(key));
            actions.push(change.in_action(update));
        }
        Ok(self.transact(actions).await?.is_none())
    }

    /// Looks whether there are records of a kind, from a place on, by one query a shard where there are none;
    /// tombstones do not count. It ends when it has read so many pages, or up to [`RECORD_SHARDS_AT_ONCE`] more.
    pub(crate) async fn look_for_records(
        &self,
        account: &AccountId,
        kind: &KindName,
        mut looked: Looked,
        pages: usize,
    ) -> Result<RecordsLook> {
        let mut read = 0;
        loop {
            while looked.open.len() < RECORD_SHARDS_AT_ONCE && looked.begun < RECORD_SHARDS {
                looked.open.push(OpenShard { shard: looked.begun as u8, after: None });
                looked.begun += 1;
            }
            if looked.open.is_empty() {
                return Ok(RecordsLook::None);
            }
            if read >= pages {
                return Ok(RecordsLook::Unfinished(looked));
            }
            read += looked.open.len();
            let mut looks = JoinSet::new();
            for OpenShard { shard, after } in looked.open.drain(..) {
                let (store, account, kind) = (self.clone(), account.clone(), kind.clone());
                looks.spawn(async move {
                    let page = store.shard_page(&account, &kind, shard, after.as_deref(), TOMBSTONES_AT_ONCE).await;
                    (shard, page)
                });
            }
            while let Some(look) = looks.join_next().await {
                let (shard, page) = look.expect("no look panics");
                let page = page?;
                if page.records.iter().any(|(_, record)| !record.is_gone()) {
                    return Ok(RecordsLook::Found);
                }
                let more = page.next.map(|after| OpenShard { shard, after: Some(after) });
                looked.open.extend(more);
            }
        }
    }
}
