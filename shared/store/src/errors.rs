//! Row errors: stored per chunk in parts, so that an all-bad file costs hundreds of writes and not millions.
//!
//! One query reads the parts of an import in the order of the file.

use std::collections::BTreeMap;

use penstock_model::{
    Block, Import, ImportId, RowError,
    limits::{ERROR_PART_BYTES, READ_BATCH, REMOVED_AT_ONCE},
};
use serde::{Deserialize, Serialize};

use crate::{
    Result, Store, StoreError, crash,
    dynamo::{self, Item, n, s},
    table::{error_part_key, error_part_sk, errors_pk},
};

/// The code of a row that would make its record too large.
pub const RECORD_ITEM_TOO_LARGE: &str = "record_item_too_large";

/// Where in an import's errors a page starts: a part, and an error in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCursor {
    /// The chunk.
    pub chunk: u32,
    /// The part of the chunk's errors.
    pub part: u32,
    /// The error in the part.
    pub index: usize,
}

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

/// Cuts errors into parts that fit an item, between rows.
fn parts(errors: &[RowError]) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut part = String::from("[");
    for row in RowError::by_row(errors) {
        let mut text = serde_json::to_string(row).map_err(StoreError::unreadable("row errors"))?;
        text.truncate(text.len() - 1);
        if part.len() > 1 && part.len() + text.len() > ERROR_PART_BYTES {
            part.push(']');
            parts.push(std::mem::replace(&mut part, String::from("[")));
        }
        if part.len() > 1 {
            part.push(',');
        }
        part.push_str(&text[1..]);
    }
    part.push(']');
    parts.push(part);
    Ok(parts)
}

impl Store {
    /// Stores the errors of a chunk. A repeat writes the same items again, since the same chunk has the same errors:
    /// rows that were refused beside their records stay refused, see [`Store::refused_rows`].
    pub async fn put_errors(&self, import: &ImportId, chunk: u32, extent: Extent, errors: &[RowError]) -> Result<()> {
        if errors.is_empty() {
            return Ok(());
        }
        let extent = dynamo::value("an extent", &extent)?;
        for (part, text) in parts(errors)?.into_iter().enumerate() {
            let mut item = error_part_key(import, chunk, part as u32);
            item.insert("chunk".into(), n(chunk));
            item.insert("part".into(), n(part));
            item.insert("extent".into(), extent.clone());
            item.insert("errors".into(), s(text));
            self.dynamodb()
                .put_item()
                .table_name(self.imports_table())
                .set_item(Some(item))
                .send()
                .await
                .map_err(StoreError::unavailable("dynamodb:PutItem"))?;
        }
        crash::point("validate.errors");
        Ok(())
    }

    /// The next parts of an import's errors in the order of the file, from the part in which `from` stands on; empty at
    /// the end. At most as many as one query reads (1 MB).
    pub async fn error_parts(&self, import: &ImportId, from: ErrorCursor, limit: i32) -> Result<Vec<ErrorPart>> {
        #[derive(Deserialize)]
        struct StoredPart {
            chunk: u32,
            part: u32,
            extent: Extent,
            errors: String,
        }
        let page = self
            .dynamodb()
            .query()
            .table_name(self.imports_table())
            .key_condition_expression("pk = :pk AND sk >= :from")
            .expression_attribute_values(":pk", s(errors_pk(import)))
            .expression_attribute_values(":from", s(error_part_sk(from.chunk, from.part)))
            .consistent_read(true)
            .limit(limit)
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:Query"))?;
        let read = |item: Item| {
            let StoredPart { chunk, part, extent, errors } = dynamo::from_item("row errors", item)?;
            let errors = serde_json::from_str(&errors).map_err(StoreError::unreadable("row errors"))?;
            Ok(ErrorPart { cursor: ErrorCursor { chunk, part, index: 0 }, extent, errors })
        };
        page.items.unwrap_or_default().into_iter().map(read).collect()
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

    /// The rows of a chunk that are stored as refused beside their records.
    pub async fn refused_rows(&self, import: &ImportId, chunk: u32) -> Result<Vec<u64>> {
        let mut rows = Vec::new();
        let mut next = ErrorCursor { chunk, ..ErrorCursor::default() };
        loop {
            let parts = self.error_parts(import, next, 4).await?;
            let Some(last) = parts.last() else { return Ok(rows) };
            next = ErrorCursor { part: last.cursor.part + 1, ..last.cursor };
            let of_chunk = parts.iter().filter(|part| part.cursor.chunk == chunk).flat_map(|part| &part.errors);
            rows.extend(of_chunk.filter(|error| error.code == RECORD_ITEM_TOO_LARGE).map(|error| error.row));
            if next.chunk != chunk {
                return Ok(rows);
            }
        }
    }

    /// Removes an import's errors; whether that is all of them: no more than some [`REMOVED_AT_ONCE`] parts are removed
    /// in one call. A repeat goes on where the last one stopped.
    pub(crate) async fn delete_errors(&self, import: &ImportId) -> Result<bool> {
        let mut removed = 0;
        loop {
            let parts = self.error_parts(import, ErrorCursor::default(), 25).await?;
            if parts.is_empty() {
                return Ok(true);
            }
            if removed >= REMOVED_AT_ONCE {
                return Ok(false);
            }
            removed += parts.len();
            for part in parts {
                self.delete_item(error_part_key(import, part.cursor.chunk, part.cursor.part)).await?;
            }
        }
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
            key: None,
            field: Some("f".into()),
            value: Some("\u{1}".repeat(200)),
            code: "c".into(),
            message: "m".repeat(100),
        };
        let errors: Vec<RowError> = (1..=2000).flat_map(|row| [error(row), error(row)]).collect();
        let parts = parts(&errors).expect("serialises");
        assert!(parts.len() > 5 && parts.iter().all(|part| part.len() <= ERROR_PART_BYTES + 2));
        let read: Vec<Vec<RowError>> = parts.iter().map(|part| serde_json::from_str(part).expect("JSON")).collect();
        assert_eq!(read.concat(), errors);
        for pair in read.windows(2) {
            assert_ne!(pair[0].last().map(|e| e.row), pair[1].first().map(|e| e.row));
        }
    }
}
