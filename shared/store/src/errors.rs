//! Row errors: stored per chunk in parts, so that an all-bad file costs hundreds of writes and not millions.
//!
//! ```text
//! errors#<import>           a head for each chunk with errors, in the order of the file: where its rows stand, how
//!                           many parts there are, and compressed how often each kind of error occurs
//! errors#<import>#<shard>   the parts of a chunk, compressed; chunks are spread over the shards
//! ```
//!
//! The head is written last: a chunk's errors are there when all of them are.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
pub use penstock_model::ErrorCursor;
use penstock_model::{
    Block, ErrorCounts, Import, ImportId, RowError,
    limits::{ERROR_PART_BYTES, ERROR_SHARDS, READ_BATCH, REMOVED_AT_ONCE},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Result, Store, StoreError, crash,
    dynamo::{self, Item, items, n, to_item},
    table::{error_part_key, error_shard, error_shard_pk, errors_key, errors_pk, errors_sk},
};

/// The code of a row that would make its record too large.
pub const RECORD_ITEM_TOO_LARGE: &str = "record_item_too_large";

/// Where a chunk's rows stand in the uploaded object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The first row.
    pub first_row: u64,
    /// The physical line on which the bytes start.
    pub first_line: u64,
    /// Whether the bytes are one record that the splitter refused.
    pub refused: bool,
}

/// One stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPart {
    /// Where the part stands; `index` is 0.
    pub cursor: ErrorCursor,
    /// Where its chunk's rows stand in the object.
    pub extent: Extent,
    /// Its errors, in the order of the file. A row's errors are never spread over two parts.
    pub errors: Vec<RowError>,
}

/// Cuts errors into parts that fit an item, between rows: of each its errors, and their text.
fn parts(errors: &[RowError]) -> Result<Vec<(&[RowError], String)>> {
    let mut parts = Vec::new();
    let mut part = String::from("[");
    let (mut start, mut end) = (0, 0);
    for row in RowError::by_row(errors) {
        let mut text = serde_json::to_string(row).map_err(StoreError::unreadable("row errors"))?;
        text.truncate(text.len() - 1);
        if part.len() > 1 && part.len() + text.len() > ERROR_PART_BYTES {
            part.push(']');
            parts.push((&errors[start..end], std::mem::replace(&mut part, String::from("["))));
            start = end;
        }
        if part.len() > 1 {
            part.push(',');
        }
        part.push_str(&text[1..]);
        end += row.len();
    }
    part.push(']');
    parts.push((&errors[start..], part));
    Ok(parts)
}

/// What there is of a chunk's errors.
#[derive(Serialize, Deserialize)]
struct Head {
    chunk: u32,
    extent: Extent,
    /// The number of parts.
    parts: u32,
}

/// Level 3 is the library's default: on row errors some ten times smaller, at some hundred megabytes a second.
const COMPRESSION_LEVEL: i32 = 3;

/// Heads that are read at once when errors are counted.
const HEADS_AT_ONCE: usize = 1_000;

/// Parts that are read at once when single errors are looked up: some MB of them, unpacked.
const PARTS_AT_ONCE: usize = 8;

fn compressed(text: &str) -> Result<AttributeValue> {
    let bytes = zstd::encode_all(text.as_bytes(), COMPRESSION_LEVEL).map_err(StoreError::unreadable("row errors"))?;
    Ok(AttributeValue::B(Blob::new(bytes)))
}

fn unknown() -> StoreError {
    StoreError::Unreadable { what: "row errors", source: "unknown form".into() }
}

/// What is compressed in an item.
fn unpacked<T: DeserializeOwned>(item: &Item, name: &str) -> Result<T> {
    let stored = item.get(name).and_then(|stored| stored.as_b().ok()).ok_or_else(unknown)?;
    let text = zstd::decode_all(stored.as_ref()).map_err(StoreError::unreadable("row errors"))?;
    serde_json::from_slice(&text).map_err(StoreError::unreadable("row errors"))
}

/// The errors of a stored part.
fn errors_of(part: &Item) -> Result<Vec<RowError>> {
    unpacked(part, "errors")
}

/// Where a stored part stands.
#[derive(Deserialize)]
struct Place {
    chunk: u32,
    part: u32,
}

fn read(part: Item, extents: &BTreeMap<u32, Extent>) -> Result<ErrorPart> {
    let errors = errors_of(&part)?;
    let Place { chunk, part } = dynamo::from_item("row errors", part)?;
    let extent = *extents.get(&chunk).ok_or_else(unknown)?;
    Ok(ErrorPart { cursor: ErrorCursor { chunk, part, index: 0 }, extent, errors })
}

impl Store {
    /// Stores the errors of a chunk. A repeat writes the same items again, since the same chunk has the same errors:
    /// rows that were refused beside their records stay refused, see [`Store::refused_rows`].
    pub async fn put_errors(&self, import: &ImportId, chunk: u32, extent: Extent, errors: &[RowError]) -> Result<()> {
        if errors.is_empty() {
            return Ok(());
        }
        let (errors, texts): (Vec<_>, Vec<_>) = parts(errors)?.into_iter().unzip();
        let head = Head { chunk, extent, parts: texts.len() as u32 };
        let counts = ErrorCounts::of(chunk, &errors);
        let counts = serde_json::to_string(&counts).map_err(StoreError::unreadable("row errors"))?;
        for (part, text) in texts.into_iter().enumerate() {
            let mut item = error_part_key(import, chunk, part as u32);
            item.insert("chunk".into(), n(chunk));
            item.insert("part".into(), n(part));
            item.insert("errors".into(), compressed(&text)?);
            self.put_item(item).await?;
        }
        crash::point("validate.error_parts");
        let mut item = to_item("row errors", &head)?;
        item.extend(errors_key(import, chunk));
        item.insert("counts".into(), compressed(&counts)?);
        self.put_item(item).await?;
        crash::point("validate.errors");
        Ok(())
    }

    /// The heads of the chunks with errors, in the order of the file from this chunk on, at most `limit`.
    async fn error_heads(&self, import: &ImportId, from: u32, limit: usize) -> Result<Vec<Head>> {
        let query = self.query_from(errors_pk(import), errors_sk(from));
        let heads = items(query, Some(limit)).await?;
        heads.into_iter().map(|item| dynamo::from_item("row errors", item)).collect()
    }

    /// The next parts of an import's errors in the order of the file, from the part in which `from` stands on, at most
    /// `limit`, which is at most [`READ_BATCH`]; empty at the end.
    pub async fn error_parts(&self, import: &ImportId, from: ErrorCursor, limit: usize) -> Result<Vec<ErrorPart>> {
        let (mut chunk, mut part) = (from.chunk, from.part);
        loop {
            // One more, since nothing may be left of the first.
            let heads = self.error_heads(import, chunk, limit + 1).await?;
            let Some(last) = heads.last().map(|head| head.chunk) else { return Ok(Vec::new()) };
            let first = |head: &Head| if head.chunk == chunk { part } else { 0 };
            let keys = heads.iter().flat_map(|head| (first(head)..head.parts).map(|part| (head.chunk, part)));
            let keys = keys.take(limit).map(|(chunk, part)| error_part_key(import, chunk, part)).collect();
            let found = self.batch_get(self.imports_table(), keys).await?;
            let extents = heads.iter().map(|head| (head.chunk, head.extent)).collect();
            let mut found = found.into_iter().map(|item| read(item, &extents)).collect::<Result<Vec<_>>>()?;
            if !found.is_empty() {
                found.sort_by_key(|part| (part.cursor.chunk, part.cursor.part));
                return Ok(found);
            }
            // They are being removed.
            (chunk, part) = (last.saturating_add(1), 0);
        }
    }

    /// How many errors of each kind an import's file has, as far as its chunks have been worked off: the sum of what
    /// the chunks' heads say, page by page. A million bad rows are some 250 heads or more, of a few hundred bytes each.
    pub async fn error_counts(&self, import: &ImportId) -> Result<ErrorCounts> {
        let (mut counts, mut from) = (ErrorCounts::default(), 0);
        loop {
            let heads = items(self.query_from(errors_pk(import), errors_sk(from)), Some(HEADS_AT_ONCE)).await?;
            for head in &heads {
                counts.add(unpacked(head, "counts")?);
            }
            let Some(last) = heads.into_iter().next_back() else { return Ok(counts) };
            from = dynamo::from_item::<Head>("row errors", last)?.chunk.saturating_add(1);
        }
    }

    /// The errors that stand in these places; those that are being removed are left out. Each part that one of them is
    /// in is read once, few at a time.
    pub async fn errors_at(
        &self,
        import: &ImportId,
        places: &BTreeSet<ErrorCursor>,
    ) -> Result<BTreeMap<ErrorCursor, RowError>> {
        let parts: BTreeSet<(u32, u32)> = places.iter().map(|place| (place.chunk, place.part)).collect();
        let parts: Vec<(u32, u32)> = parts.into_iter().collect();
        let mut found = BTreeMap::new();
        for parts in parts.chunks(PARTS_AT_ONCE) {
            let keys = parts.iter().map(|(chunk, part)| error_part_key(import, *chunk, *part)).collect();
            for item in self.batch_get(self.imports_table(), keys).await? {
                let errors = errors_of(&item)?;
                let Place { chunk, part } = dynamo::from_item("row errors", item)?;
                let all = errors.into_iter().enumerate();
                let all = all.map(|(index, error)| (ErrorCursor { chunk, part, index }, error));
                found.extend(all.filter(|(place, _)| places.contains(place)));
            }
        }
        Ok(found)
    }

    /// At most `limit` errors in the order of the file from `from` on, and where the next page starts, if there are
    /// more.
    pub async fn errors(
        &self,
        import: &ImportId,
        from: ErrorCursor,
        limit: usize,
    ) -> Result<(Vec<RowError>, Option<ErrorCursor>)> {
        let mut errors = Vec::new();
        let mut next = from;
        loop {
            let parts = self.error_parts(import, next, 4).await?;
            if parts.is_empty() {
                return Ok((errors, None));
            }
            for part in parts {
                let skip =
                    if (part.cursor.chunk, part.cursor.part) == (next.chunk, next.part) { next.index } else { 0 };
                for (index, error) in part.errors.into_iter().enumerate().skip(skip) {
                    if errors.len() == limit {
                        return Ok((errors, Some(ErrorCursor { index, ..part.cursor })));
                    }
                    errors.push(error);
                }
                next = ErrorCursor { part: part.cursor.part + 1, index: 0, ..part.cursor };
            }
        }
    }

    /// At most `limit` rejected rows in the order of the file after the first `skip`, each with its errors.
    ///
    /// Chunks before the page are passed over by their tallies, and their errors not read. While an import runs, its
    /// chunks are tallied in no order, and what stands on a page may move; once it has ended, every rejected row stands
    /// on one page.
    pub async fn rejected_rows(&self, import: &Import, skip: u64, limit: usize) -> Result<Vec<Vec<RowError>>> {
        let (mut next, mut skip) = match self.chunk_after(import, skip).await? {
            Some((chunk, skip)) => (ErrorCursor { chunk, ..ErrorCursor::default() }, skip),
            None => return Ok(Vec::new()),
        };
        let mut rows = Vec::new();
        loop {
            let parts = self.error_parts(&import.id, next, 4).await?;
            let Some(last) = parts.last() else { return Ok(rows) };
            next = ErrorCursor { part: last.cursor.part + 1, ..last.cursor };
            for part in parts {
                for row in RowError::by_row(&part.errors) {
                    if skip > 0 {
                        skip -= 1;
                    } else if rows.len() == limit {
                        return Ok(rows);
                    } else {
                        rows.push(row.to_vec());
                    }
                }
            }
        }
    }

    /// The tallied chunk in which the rejected row after the first `skip` stands, and how many come before it there.
    async fn chunk_after(&self, import: &Import, mut skip: u64) -> Result<Option<(u32, u64)>> {
        let numbers: Vec<u32> = (0..import.opened_blocks).collect();
        for numbers in numbers.chunks(READ_BATCH) {
            let blocks: BTreeMap<u32, Block> = self.blocks(&import.id, numbers).await?.into_iter().collect();
            for block in blocks.values() {
                for (chunk, tally) in block.tallies_in_order() {
                    if skip < tally.failed {
                        return Ok(Some((chunk, skip)));
                    }
                    skip -= tally.failed;
                }
            }
        }
        Ok(None)
    }

    /// The rows of a chunk that are stored as refused beside their records, also by a validator that died before it had
    /// stored all of the chunk's errors.
    pub async fn refused_rows(&self, import: &ImportId, chunk: u32) -> Result<Vec<u64>> {
        let parts = self.query(error_shard_pk(import, error_shard(chunk)), &format!("{}#", errors_sk(chunk)));
        let mut rows = Vec::new();
        for item in items(parts, None).await? {
            let refused = errors_of(&item)?.into_iter().filter(|error| error.code == RECORD_ITEM_TOO_LARGE);
            rows.extend(refused.map(|error| error.row));
        }
        Ok(rows)
    }

    /// Removes an import's errors; whether that is all of them: no more than some [`REMOVED_AT_ONCE`] items are removed
    /// in one call. A repeat goes on where the last one stopped.
    pub(crate) async fn delete_errors(&self, import: &ImportId) -> Result<bool> {
        let shards = (0..ERROR_SHARDS).map(|shard| error_shard_pk(import, shard));
        let mut left = REMOVED_AT_ONCE;
        for pk in shards.chain([errors_pk(import)]) {
            let keys = self.query_from(pk, errors_sk(0)).projection_expression("pk, sk");
            // One more than is removed, so that it shows whether that is all.
            let mut found = items(keys, Some(left + 1)).await?;
            let is_more = found.len() > left;
            found.truncate(left);
            left -= found.len();
            self.delete_items(self.imports_table(), found).await?;
            if is_more {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_and_keep_a_rows_errors_together() {
        let error = |row: u64| RowError {
            row,
            line: row,
            source_row: None,
            key: None,
            field: Some("f".into()),
            value: Some("\u{1}".repeat(200)),
            code: "c".into(),
            message: "m".repeat(100),
        };
        let errors: Vec<RowError> = (1..=2000).flat_map(|row| [error(row), error(row)]).collect();
        let parts = parts(&errors).expect("serialises");
        assert!(parts.len() > 5 && parts.iter().all(|(_, text)| text.len() <= ERROR_PART_BYTES + 2));
        let read: Vec<Vec<RowError>> =
            parts.iter().map(|(_, text)| serde_json::from_str(text).expect("JSON")).collect();
        assert_eq!(read.concat(), errors);
        assert!(parts.iter().zip(&read).all(|((errors, _), read)| errors == read));
        for pair in read.windows(2) {
            assert_ne!(pair[0].last().map(|e| e.row), pair[1].first().map(|e| e.row));
        }
    }
}
