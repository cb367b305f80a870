//! Listing the records of a kind.
//!
//! A kind lies in [`RECORD_SHARDS`] shards, and in each in the order of its sort keys. A list goes through the shards
//! one after the other, so every record that is there all the while is listed once, whatever is written beside it.
//!
//! Many shards of a small kind are read at once; of a large kind one alone, since it has more than a page. So the
//! number that is read at once doubles while shards end with little in them, and is one again where one has more.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use futures::{StreamExt, TryStreamExt, stream};
use penstock_engine::key::RecordName;
use penstock_model::{
    AccountId, ImportId, KindName, Record,
    limits::{
        PAGE_DEFAULT, RECORD_PAGE_BYTES, RECORD_QUERY_ITEMS, RECORD_READ_BYTES, RECORD_SHARDS, RECORD_SHARDS_AT_ONCE,
    },
    views::{ListedRecord, RecordPage},
};
use penstock_store::{Store, records::ShardPage};
use serde::Deserialize;

use super::{cursor::Place, fields, no_kind, place_of};
use crate::{
    auth::{Caller, Read},
    named::Named,
    page::{Page, invalid_cursor},
    refusal::Refusal,
};

/// The filters of the list, in its query.
#[derive(Debug, Deserialize)]
pub(in crate::native) struct ListQuery {
    changed_by: Option<String>,
    changed_after: Option<String>,
}

/// Which records are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    /// All that are there.
    All,
    /// Those whose newest row is of the import with this place in the order.
    ChangedBy(u64),
    /// Those whose newest row is of an import behind this place, and those that were deleted behind it.
    ChangedAfter(u64),
}

// A shard is a byte.
const _: () = assert!(RECORD_SHARDS == 1 << u8::BITS);

impl Filter {
    /// What is shown of a stored record, if it is in the list.
    fn line(self, key: &str, record: &Record) -> Result<Option<ListedRecord>, Refusal> {
        let (is_gone, newest) = (record.is_gone(), record.changed().order);
        let listed = match self {
            Self::All => !is_gone,
            Self::ChangedBy(order) => !is_gone && newest == order,
            Self::ChangedAfter(order) => newest > order,
        };
        if !listed {
            return Ok(None);
        }
        let fields = if is_gone { None } else { Some(fields(record)?) };
        Ok(Some(ListedRecord { key: key.to_owned(), fields, deleted: is_gone }))
    }
}

/// Bytes of a line, within a few: those of its fields decide.
fn bytes_of(line: &ListedRecord) -> usize {
    line.key.len() + line.fields.as_ref().map_or(0, |fields| fields.get().len()) + 24
}

pub(in crate::native) async fn list(
    State(store): State<Store>,
    caller: Caller<Read>,
    kind: Named<KindName>,
    page: Page,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<RecordPage>, Refusal> {
    let limit = page.limit(PAGE_DEFAULT)?;
    let Query(query) = query.map_err(|_| {
        Refusal::bad_request("invalid_query", "changed_by and changed_after are each the id of an import")
    })?;
    let account = &caller.account;
    let kind = kind.get().ok_or_else(no_kind)?;
    store.kind(account, kind).await?.ok_or_else(no_kind)?;
    let filter = filter(&store, &caller, kind, &query).await?;
    // No part of it can hold a slash.
    let name = format!("{account}/{kind}/{filter:?}");
    let from = match &page.cursor {
        None => Place::START,
        Some(cursor) => Place::read(cursor, &name).ok_or_else(invalid_cursor)?,
    };
    let (records, next) = read(&store, account, kind, filter, from, limit).await?;
    Ok(Json(RecordPage { records, next_cursor: next.map(|place| place.cursor(&name)) }))
}

async fn filter(store: &Store, caller: &Caller<Read>, kind: &KindName, query: &ListQuery) -> Result<Filter, Refusal> {
    let order = async |id: &String| {
        let id = id.parse::<ImportId>().ok();
        place_of(store, caller, id.as_ref(), kind, "list").await
    };
    match (&query.changed_by, &query.changed_after) {
        (None, None) => Ok(Filter::All),
        (Some(id), None) => order(id).await.map(Filter::ChangedBy),
        (None, Some(id)) => order(id).await.map(Filter::ChangedAfter),
        (Some(_), Some(_)) => {
            Err(Refusal::bad_request("invalid_query", "a list takes changed_by or changed_after, not both"))
        }
    }
}

/// How much one request reads at once, and has read.
#[derive(Debug)]
struct Reading {
    /// Shards that are read at once.
    shards: usize,
    /// Records that one query is asked for, where not all that are read are listed.
    items: usize,
    queries: usize,
    bytes: usize,
}

impl Reading {
    /// Notes what a round of queries has read.
    fn note(&mut self, pages: &[ShardPage]) {
        let bytes: usize = pages.iter().flat_map(|page| &page.records).map(|(_, record)| record.bytes()).sum();
        let sparse = bytes < RECORD_PAGE_BYTES / 2 && pages.iter().all(|page| page.next.is_none());
        self.shards = if sparse { (self.shards * 2).min(RECORD_SHARDS_AT_ONCE) } else { 1 };
        self.items = (self.items * 2).min(RECORD_QUERY_ITEMS);
        self.queries += pages.len();
        self.bytes += bytes;
    }

    fn is_enough(&self) -> bool {
        self.queries >= RECORD_SHARDS || self.bytes >= RECORD_READ_BYTES
    }
}

/// The page of a list from a place on, and where the next one goes on. It may have fewer than `limit` records, or none,
/// and end all the same because enough was read.
async fn read(
    store: &Store,
    account: &AccountId,
    kind: &KindName,
    filter: Filter,
    from: Place,
    limit: usize,
) -> Result<(Vec<ListedRecord>, Option<Place>), Refusal> {
    let (mut lines, mut bytes, mut last) = (Vec::new(), 0, None);
    let mut reading = Reading { shards: 1, items: limit, queries: 0, bytes: 0 };
    let mut at = from;
    loop {
        let shards: Vec<u8> = (at.shard..=u8::MAX).take(reading.shards).collect();
        let items = if filter == Filter::All { limit - lines.len() } else { reading.items };
        let query = |shard: u8| {
            let after = at.after.as_deref().filter(|_| shard == at.shard);
            store.shard_page(account, kind, shard, after, items)
        };
        let queries: Vec<_> = shards.iter().copied().map(query).collect();
        let pages: Vec<ShardPage> = stream::iter(queries).buffered(RECORD_SHARDS_AT_ONCE).try_collect().await?;
        reading.note(&pages);
        for (shard, page) in shards.into_iter().zip(pages) {
            for (key, record) in &page.records {
                let Some(line) = filter.line(key, record)? else { continue };
                bytes += bytes_of(&line);
                if !lines.is_empty() && bytes > RECORD_PAGE_BYTES {
                    return Ok((lines, last));
                }
                lines.push(line);
                last = Some(Place { shard, after: Some(RecordName::of(account, kind, key).sort) });
                if lines.len() == limit {
                    return Ok((lines, last));
                }
            }
            let goes_on = page.next.is_some();
            let next = if goes_on { Some(Place { shard, after: page.next }) } else { Place::behind(shard) };
            let Some(next) = next else { return Ok((lines, None)) };
            at = next;
            if goes_on {
                break;
            }
        }
        if reading.is_enough() {
            return Ok((lines, Some(at)));
        }
    }
}
