//! An upload in parts: an import's file that comes in pieces, each of which can be sent again alone.
//!
//! ```text
//!              begin                      complete
//!   no parts ─────────▶ open until       ──────────▶ closed: stored
//!       ▲               its deadline ──┐
//!       │                              │ given up, cancelled, expired, or another upload was first
//!       └── begin (while the import ◀──┴───────────▶ closed: removed
//!           still awaits its upload)
//! ```
//!
//! Everything here is pure. The store pins an open upload in its import before it signs a URL for any part of it, so
//! there is never a part that the import does not know of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Import, Stage,
    limits::{PART_LEAST_BYTES, PARTS, PARTS_SECONDS, UPLOAD_BYTES},
};

/// An upload in parts, as its import knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsUpload {
    /// The storage's id of it.
    pub id: String,
    /// The mark that its object carries, by which it is told from any other object under the import's key.
    pub mark: String,
    /// The last moment at which it may be completed, in Unix milliseconds.
    pub expires_at: i64,
    /// How it ended; `None` while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

impl PartsUpload {
    /// Whether there may be parts of it that nothing has become of.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }
}

/// How an upload in parts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// Its parts became the import's object.
    Stored,
    /// Its parts were removed.
    Removed,
}

/// What a request for an upload in parts finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// There is one already.
    Begun(PartsUpload),
    /// There is none: one may be begun, which is open until this moment, in Unix milliseconds.
    Free(i64),
    /// The import does not await its upload any more.
    NotAwaited,
    /// The time to upload is over.
    Over,
}

/// A part, as the client names it or the storage lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// Its ETag, without quotes.
    pub etag: String,
}

/// A part that the storage has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// Which it is.
    pub part: Part,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Why parts are no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartsFault {
    /// The list is empty, or longer than [`PARTS`].
    #[error("a file has 1 to {PARTS} parts")]
    Count,
    /// The parts are not numbered from 1 on, one after the other: a part would be missing in the file.
    #[error("the parts are numbered from 1 on, in their order and without a gap; part {0} is missing at its place")]
    Gap(u32),
    /// The storage has no such part: it did not arrive, or another took its place.
    #[error("part {0} is not stored with that ETag: upload it again, and name the ETag of the answer")]
    Unknown(u32),
    /// A part that is not the last one is too small.
    #[error("part {0} has fewer than {PART_LEAST_BYTES} bytes, which only the last part may have")]
    TooSmall(u32),
    /// The parts together are larger than a file may be.
    #[error("the parts have {0} bytes together, a file at most {UPLOAD_BYTES}")]
    TooLarge(u64),
}

impl Import {
    /// The last moment to upload, in Unix milliseconds: an upload in parts has a deadline of its own.
    pub fn deadline(&self) -> i64 {
        match &self.parts {
            Some(parts) if parts.is_open() => parts.expires_at,
            _ => self.expires_at,
        }
    }

    /// What a request for an upload in parts finds at this moment, in Unix milliseconds. It has to begin while the
    /// upload URL is valid. Its deadline counts from the import's creation, so that beginning again and again does not
    /// keep an import for ever. An import of the inbox awaits its copy alone.
    pub fn begin_parts(&self, now_ms: i64) -> Beginning {
        if self.stage() != Stage::AwaitingUpload || self.inbox.is_some() {
            return match self.stage() {
                Stage::Expired => Beginning::Over,
                _ => Beginning::NotAwaited,
            };
        }
        if now_ms > self.deadline() {
            return Beginning::Over;
        }
        match &self.parts {
            Some(parts) if parts.is_open() => Beginning::Begun(parts.clone()),
            _ => Beginning::Free((self.created_at + PARTS_SECONDS as i64 * 1000).max(self.expires_at)),
        }
    }

    /// The upload in parts whose parts may still be stored though the import does not await them any more.
    pub fn left_parts(&self) -> Option<&PartsUpload> {
        self.parts.as_ref().filter(|parts| parts.is_open() && self.stage() != Stage::AwaitingUpload)
    }
}

/// Whether parts can be a file, as far as their names tell: some, numbered from 1 on without a gap.
///
/// # Errors
/// [`PartsFault`]
pub fn check_names(parts: &[Part]) -> Result<(), PartsFault> {
    if parts.is_empty() || parts.len() > PARTS as usize {
        return Err(PartsFault::Count);
    }
    match (1..).zip(parts).find(|(number, part)| *number != part.number) {
        Some((number, _)) => Err(PartsFault::Gap(number)),
        None => Ok(()),
    }
}

/// The size in bytes of the file that parts would be. `stored` are all parts that the storage has.
///
/// # Errors
/// [`PartsFault`]
pub fn file_bytes(parts: &[Part], stored: &[StoredPart]) -> Result<u64, PartsFault> {
    check_names(parts)?;
    let stored: BTreeMap<u32, &StoredPart> = stored.iter().map(|stored| (stored.part.number, stored)).collect();
    let mut bytes = 0;
    for part in parts {
        let found = stored.get(&part.number).filter(|stored| stored.part == *part);
        let found = found.ok_or(PartsFault::Unknown(part.number))?;
        if found.bytes < PART_LEAST_BYTES && part.number as usize != parts.len() {
            return Err(PartsFault::TooSmall(part.number));
        }
        bytes += found.bytes;
    }
    if bytes > UPLOAD_BYTES { Err(PartsFault::TooLarge(bytes)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Halt, ImportId, Status, limits::EXPIRY_GRACE_MS};

    const HOUR_MS: i64 = 3_600_000;

    fn awaiting() -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        Import::new(ImportId::new(1, [7; 10]), account, kind, 0, HOUR_MS)
    }

    fn upload(closed: Option<Closed>) -> PartsUpload {
        PartsUpload { id: "u".into(), mark: "m".into(), expires_at: 24 * HOUR_MS, closed }
    }

    #[test]
    fn an_upload_in_parts_begins_in_time_and_has_a_deadline_of_its_own() {
        let import = awaiting();
        assert_eq!(import.begin_parts(HOUR_MS), Beginning::Free(24 * HOUR_MS));
        assert_eq!(import.begin_parts(HOUR_MS + 1), Beginning::Over);
        let begun = Import { parts: Some(upload(None)), ..awaiting() };
        assert_eq!((import.deadline(), begun.deadline()), (HOUR_MS, 24 * HOUR_MS));
        assert_eq!(begun.begin_parts(24 * HOUR_MS), Beginning::Begun(upload(None)));
        assert_eq!(begun.begin_parts(24 * HOUR_MS + 1), Beginning::Over);
        assert_eq!(begun.expire(24 * HOUR_MS + EXPIRY_GRACE_MS), None);
        assert!(begun.expire(24 * HOUR_MS + EXPIRY_GRACE_MS + 1).is_some());
        // One that was given up leaves the import as if it had never begun.
        let given_up = Import { parts: Some(upload(Some(Closed::Removed))), ..awaiting() };
        assert_eq!(given_up.begin_parts(HOUR_MS), Beginning::Free(24 * HOUR_MS));
        assert_eq!(given_up.begin_parts(HOUR_MS + 1), Beginning::Over);
        assert!(given_up.expire(HOUR_MS + EXPIRY_GRACE_MS + 1).is_some());
        // A deployment whose URLs are valid for longer keeps its word.
        let long = Import { expires_at: 48 * HOUR_MS, ..awaiting() };
        assert_eq!(long.begin_parts(0), Beginning::Free(48 * HOUR_MS));
    }

    #[test]
    fn parts_are_left_once_nobody_awaits_them() {
        let with = |status, closed| Import { status, parts: Some(upload(closed)), ..awaiting() };
        assert_eq!(with(Status::AwaitingUpload, None).left_parts(), None);
        for status in [Status::Processing, Status::Completed, Status::Cancelled, Status::Expired] {
            assert!(with(status, None).left_parts().is_some(), "{status:?}");
            assert_eq!(with(status, Some(Closed::Removed)).left_parts(), None, "{status:?}");
            let begun = with(status, None).begin_parts(1);
            let over = if status == Status::Expired { Beginning::Over } else { Beginning::NotAwaited };
            assert_eq!(begun, over, "{status:?}");
        }
        // Whoever ends an import may have read it before the parts were begun: the sweeper looks once more.
        assert!(awaiting().on_halt(&Halt::cancelled()).is_some_and(|end| end.stays_due(&awaiting())));
    }

    fn part(number: u32, etag: &str) -> Part {
        Part { number, etag: etag.to_owned() }
    }

    fn stored(number: u32, etag: &str, bytes: u64) -> StoredPart {
        StoredPart { part: part(number, etag), bytes }
    }

    #[test]
    fn parts_are_a_file_when_each_is_there_large_enough_and_all_together_are_not_too_large() {
        let least = PART_LEAST_BYTES;
        let there = [stored(2, "b", 3), stored(1, "a", least), stored(3, "c", 7)];
        assert_eq!(file_bytes(&[part(1, "a"), part(2, "b")], &there), Ok(least + 3), "part 3 was not named");
        assert_eq!(file_bytes(&[part(1, "a"), part(2, "other")], &there), Err(PartsFault::Unknown(2)));
        assert_eq!(file_bytes(&[part(1, "a"), part(2, "b"), part(3, "c")], &there), Err(PartsFault::TooSmall(2)));
        assert_eq!(file_bytes(&[part(1, "a"), part(3, "c")], &there), Err(PartsFault::Gap(2)));
        assert_eq!(file_bytes(&[part(2, "b"), part(1, "a")], &there), Err(PartsFault::Gap(1)));
        assert_eq!(file_bytes(&[], &there), Err(PartsFault::Count));
        let most = [stored(1, "a", UPLOAD_BYTES - least), stored(2, "b", least), stored(3, "c", 1)];
        assert_eq!(file_bytes(&[part(1, "a"), part(2, "b")], &most), Ok(UPLOAD_BYTES));
        let all = [part(1, "a"), part(2, "b"), part(3, "c")];
        assert_eq!(file_bytes(&all, &most), Err(PartsFault::TooLarge(UPLOAD_BYTES + 1)));
        let many: Vec<Part> = (1..=PARTS + 1).map(|number| part(number, "a")).collect();
        assert_eq!(check_names(&many[..PARTS as usize]), Ok(()));
        assert_eq!(check_names(&many), Err(PartsFault::Count));
    }
}
