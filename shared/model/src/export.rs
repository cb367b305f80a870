//! An export: the records of a kind as a file.
//!
//! ```text
//!        POST                 a reader begins             all shards are read, the file is put together
//! ────▶ pending ────────────────▶ processing ──────────────────────────────────▶ completed
//!          │                       │   ▲ begins again at the checkpoint:
//!          │                       └───┘ the time limit, a death
//!          ├── cancel ─────────────┼───────────────────────────────────────────▶ cancelled
//!          └── too many tries, the kind is gone, too large ────────────────────▶ failed
//! ```
//!
//! Everything here is pure: what an export becomes is a function of what it is and of what happened. The store writes
//! the new one in place of the old one on the condition that its `rev` is still that one's. Of two writers one wins;
//! the other one reads again. So a reader that was overtaken, however late it comes, changes nothing.
//!
//! A part of the file is stored before it is noted, and a reader that was overtaken may still be storing one. So no two
//! readers ever use the same number for a part: each begins one number behind the one that the reader before it can
//! have had under way. The file is made of the noted parts alone.

use serde::{Deserialize, Serialize};

use crate::{AccountId, ExportId, Failure, ImportId, KindName, limits, listed::listed};

listed! {
    /// How records stand in an export's file.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    pub enum ExportFormat {
        /// A JSON object a line.
        #[default]
        Ndjson,
        /// Rows between commas below a header.
        Csv,
    }
}

listed! {
    /// How an export's file is compressed.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    pub enum ExportCompression {
        /// Not at all.
        #[default]
        None,
        /// As members of gzip (RFC 1952), one behind the other.
        Gzip,
        /// As frames of Zstandard (RFC 8878), one behind the other.
        Zstd,
    }
}

listed! {
    /// Where an export stands. The last three are final.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    pub enum ExportStatus {
        /// Nothing has been read yet.
        Pending,
        /// Records are being read.
        Processing,
        /// The file is there.
        Completed,
        /// It ended early; `failure` says why.
        Failed,
        /// Its owner cancelled it.
        Cancelled,
    }
}

impl ExportFormat {
    /// The word on the wire, and the end of a file's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// The media type of the text.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

impl ExportCompression {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What a file's name ends with.
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

impl ExportStatus {
    /// Whether nothing more will happen to the export.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Processing)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The import behind whose place in the order a record must have been changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedAfter {
    /// The import.
    pub import: ImportId,
    /// Its place in the order of acceptance.
    pub order: u64,
}

/// Shards of the records of a kind, which are read in their order: a number of one is at most a byte, and this one is
/// that behind the last.
pub const SHARDS: u16 = limits::RECORD_SHARDS as u16;

/// Where a reader continues: everything before this place stands in noted parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportCheckpoint {
    /// The shard to go on in; [`SHARDS`] when all are read.
    pub shard: u16,
    /// The sort key behind which it goes on in that shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The numbers of the noted parts: from the first of each pair to its second.
    #[serde(default)]
    pub parts: Vec<(u32, u32)>,
    /// Records that stand in them.
    #[serde(default)]
    pub records: u64,
    /// Lines that say of a record that it was deleted.
    #[serde(default)]
    pub deleted: u64,
    /// Records that an import of the file would not read as they are.
    #[serde(default)]
    pub inexact: u64,
    /// Bytes of the parts.
    #[serde(default)]
    pub bytes: u64,
}

impl ExportCheckpoint {
    /// Whether every record has been read.
    pub fn is_end(&self) -> bool {
        self.shard >= SHARDS
    }

    /// The checkpoint behind one more part, which is noted with the place and the counts that `self` has already.
    fn with_part(mut self, number: u32) -> Self {
        match self.parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.parts.push((number, number)),
        }
        self
    }

    /// Whether a part of this number is noted.
    pub fn has_part(&self, number: u32) -> bool {
        self.parts.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    /// How many parts are noted.
    pub fn part_count(&self) -> usize {
        self.parts.iter().map(|(first, last)| (last - first + 1) as usize).sum()
    }
}

/// An export as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Whose it is.
    pub account: AccountId,
    /// The kind of its records.
    pub kind: KindName,
    /// The version of an account's own kind, from 1; 0 for a bundled kind.
    #[serde(default)]
    pub kind_version: u32,
    /// How records stand in its file.
    #[serde(default)]
    pub format: ExportFormat,
    /// How the file is compressed.
    #[serde(default)]
    pub compression: ExportCompression,
    /// Only records that were changed, or deleted, after this import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_after: Option<ChangedAfter>,
    /// Where it stands.
    pub status: ExportStatus,
    /// How often it has been written; every write is conditional on it.
    pub rev: u64,
    /// When it was created, in Unix milliseconds.
    pub created_at: i64,
    /// When it ended, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Until when it and its file are kept once it has ended, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_until: Option<i64>,
    /// How far its reader is.
    #[serde(default)]
    pub checkpoint: ExportCheckpoint,
    /// The multipart upload that its parts belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// The number of the next part.
    #[serde(default)]
    pub next_part: u32,
    /// Readers that have begun since the checkpoint last moved. One that stopped for a reason that passes is taken off
    /// again.
    #[serde(default)]
    pub tries: u32,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Where it was deleted: it is shown to nobody, and goes when nothing of it can be stored any more.
    #[serde(default)]
    pub deleted: bool,
    /// What may still be stored of it is removed, and once more at this moment, in Unix milliseconds: whoever was at
    /// work on it has ended by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_until: Option<i64>,
}

/// What a reader that takes an export up finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportBegin {
    /// It reads on: this is the export once that is written.
    Read(Box<Export>),
    /// It has been tried often enough: this is the failed export.
    GiveUp(Box<Export>),
    /// It has ended.
    Nothing,
}

/// What the sweeper has to do for an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportLook {
    /// Its order may have been lost: it is sent again.
    Resend,
    /// What may be stored of it is removed; then this is the export, or it goes.
    Remove(Option<Box<Export>>),
    /// Nothing.
    Nothing,
}

impl Export {
    /// An export that nobody has taken up.
    pub fn new(id: ExportId, account: AccountId, kind: KindName, created_at: i64) -> Self {
        Self {
            id,
            account,
            kind,
            kind_version: 0,
            format: ExportFormat::default(),
            compression: ExportCompression::default(),
            changed_after: None,
            status: ExportStatus::Pending,
            rev: 1,
            created_at,
            ended_at: None,
            retained_until: None,
            checkpoint: ExportCheckpoint::default(),
            upload: None,
            next_part: 1,
            tries: 0,
            failure: None,
            deleted: false,
            removed_until: None,
        }
    }

    /// The name of its file.
    pub fn filename(&self) -> String {
        format!("{}.{}{}", self.kind, self.format.as_str(), self.compression.extension())
    }

    /// The same export after one more write.
    fn next(&self) -> Self {
        Self { rev: self.rev + 1, ..self.clone() }
    }

    /// What becomes of it when a reader takes it up.
    pub fn begin(&self, now_ms: i64, retention_ms: i64) -> ExportBegin {
        if self.status.is_final() {
            return ExportBegin::Nothing;
        }
        if self.tries >= limits::EXPORT_TRIES {
            let message = format!(
                "the records could not be read beyond record {}, repeatedly, for a reason that lies with the service",
                self.checkpoint.records
            );
            let failed = self.fail(Failure::new("export_failed", message), now_ms, retention_ms);
            return failed.map_or(ExportBegin::Nothing, |failed| ExportBegin::GiveUp(Box::new(failed)));
        }
        // The reader before may be storing the part that was next for it.
        let skipped = u32::from(self.status == ExportStatus::Processing);
        ExportBegin::Read(Box::new(Self {
            status: ExportStatus::Processing,
            next_part: self.next_part + skipped,
            tries: self.tries + 1,
            ..self.next()
        }))
    }

    /// The export whose reader stopped for a reason that passes: it does not count as a try. The next reader does not
    /// use the part's number that this one may have had under way.
    pub fn take_back(&self) -> Option<Self> {
        let tries = self.tries.saturating_sub(1);
        (!self.status.is_final()).then(|| Self { tries, ..self.next() })
    }

    /// The export with the multipart upload that its parts go to.
    pub fn with_upload(&self, upload: String) -> Option<Self> {
        (self.status == ExportStatus::Processing).then(|| Self { upload: Some(upload), ..self.next() })
    }

    /// The export once a part is stored that ends at this place, with these counts of the whole file.
    pub fn note_part(&self, at: ExportCheckpoint) -> Option<Self> {
        (self.status == ExportStatus::Processing).then(|| Self {
            checkpoint: at.with_part(self.next_part),
            next_part: self.next_part + 1,
            tries: 0,
            ..self.next()
        })
    }

    /// The export whose records up to this place are not among those that it wants, and behind the last part.
    pub fn note_place(&self, at: ExportCheckpoint) -> Option<Self> {
        (self.status == ExportStatus::Processing).then(|| Self { checkpoint: at, tries: 0, ..self.next() })
    }

    /// The export whose file is there.
    pub fn complete(&self, now_ms: i64, retention_ms: i64) -> Option<Self> {
        let ended = self.end(ExportStatus::Completed, now_ms, retention_ms)?;
        Some(Self { upload: None, removed_until: None, ..ended })
    }

    /// The export that cannot be finished, and why.
    pub fn fail(&self, failure: Failure, now_ms: i64, retention_ms: i64) -> Option<Self> {
        let ended = self.end(ExportStatus::Failed, now_ms, retention_ms)?;
        Some(Self { failure: Some(failure), ..ended })
    }

    /// The export that its owner cancelled; `None` if it has ended.
    pub fn cancel(&self, now_ms: i64, retention_ms: i64) -> Option<Self> {
        self.end(ExportStatus::Cancelled, now_ms, retention_ms)
    }

    fn end(&self, status: ExportStatus, now_ms: i64, retention_ms: i64) -> Option<Self> {
        (!self.status.is_final()).then(|| Self {
            status,
            ended_at: Some(now_ms),
            retained_until: Some(now_ms + retention_ms),
            removed_until: Some(now_ms + limits::REMOVAL_AGAIN_MS),
            ..self.next()
        })
    }

    /// The export that its owner deleted; `None` while it has not ended.
    pub fn delete(&self, now_ms: i64) -> Option<Self> {
        self.status.is_final().then(|| Self {
            deleted: true,
            removed_until: Some(now_ms + limits::REMOVAL_AGAIN_MS),
            ..self.next()
        })
    }

    /// When the sweeper is to look at it next, in Unix milliseconds, if it is touched now; `None` if never.
    pub fn due_at(&self, now_ms: i64, stall_ms: i64) -> Option<i64> {
        match (self.status.is_final(), self.removed_until) {
            (false, _) => Some(now_ms + stall_ms),
            (true, Some(_)) => Some(now_ms),
            (true, None) => None,
        }
    }

    /// What the sweeper that finds it due has to do.
    pub fn look(&self, now_ms: i64) -> ExportLook {
        match (self.status.is_final(), self.removed_until) {
            (false, _) => ExportLook::Resend,
            (true, None) => ExportLook::Nothing,
            // It is looked at once more.
            (true, Some(until)) if now_ms < until => ExportLook::Remove(Some(Box::new(self.next()))),
            (true, Some(_)) if self.deleted => ExportLook::Remove(None),
            (true, Some(_)) => {
                ExportLook::Remove(Some(Box::new(Self { upload: None, removed_until: None, ..self.next() })))
            }
        }
    }

    /// Whether its file can be had at this moment, in Unix milliseconds.
    pub fn has_file(&self, now_ms: i64) -> bool {
        self.status == ExportStatus::Completed
            && !self.deleted
            && self.retained_until.is_none_or(|until| now_ms < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn export() -> Export {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        Export::new(ExportId::new(1, [7; 10]), account, kind, 10)
    }

    fn begun(export: &Export) -> Export {
        match export.begin(20, DAY) {
            ExportBegin::Read(next) => *next,
            other => panic!("{other:?}"),
        }
    }

    fn at(shard: u16) -> ExportCheckpoint {
        ExportCheckpoint { shard, records: u64::from(shard), ..ExportCheckpoint::default() }
    }

    #[test]
    fn words_are_the_same_on_every_wire() {
        for status in ExportStatus::ALL {
            assert_eq!(serde_json::to_value(status).expect("JSON"), status.as_str());
        }
        for format in ExportFormat::ALL {
            assert_eq!(serde_json::to_value(format).expect("JSON"), format.as_str());
        }
        for compression in ExportCompression::ALL {
            assert_eq!(serde_json::to_value(compression).expect("JSON"), compression.as_str());
        }
        let gzip = Export { compression: ExportCompression::Gzip, ..export() };
        assert_eq!(gzip.filename(), "products.ndjson.gz");
    }

    #[test]
    fn no_two_readers_use_the_same_number_for_a_part() {
        let first = begun(&export());
        assert_eq!(first.next_part, 1);
        let noted = first.note_part(at(3)).expect("it is read");
        assert_eq!((noted.next_part, &noted.checkpoint.parts[..]), (2, &[(1, 1)][..]));
        // The first reader has part 2 under way when the second begins.
        let second = begun(&noted);
        assert_eq!(second.next_part, 3);
        let noted = second.note_part(ExportCheckpoint { parts: second.checkpoint.parts.clone(), ..at(9) });
        let noted = noted.expect("it is read");
        assert_eq!(noted.checkpoint.parts, [(1, 1), (3, 3)]);
        assert!(noted.checkpoint.has_part(3) && !noted.checkpoint.has_part(2));
        assert_eq!(noted.checkpoint.part_count(), 2);
        let more = noted.note_part(noted.checkpoint.clone()).expect("it is read");
        assert_eq!(more.checkpoint.parts, [(1, 1), (3, 4)]);
        // Where nothing is wanted there is a place and no part.
        let moved = more.note_place(ExportCheckpoint { shard: 12, ..more.checkpoint.clone() }).expect("it is read");
        assert_eq!((moved.checkpoint.shard, moved.next_part, moved.checkpoint.part_count()), (12, 5, 3));
    }

    #[test]
    fn every_write_is_another_revision() {
        let read = begun(&export());
        let ended = read.complete(30, DAY).expect("ends");
        for (before, after) in [
            (&export(), &read),
            (&read, &read.with_upload("u".into()).expect("pinned")),
            (&read, &read.note_part(at(1)).expect("noted")),
            (&read, &read.take_back().expect("taken back")),
            (&read, &ended),
            (&ended, &ended.delete(40).expect("deleted")),
        ] {
            assert_eq!(after.rev, before.rev + 1);
        }
    }

    #[test]
    fn readers_that_get_no_further_end_it_and_a_part_makes_them_new() {
        let mut export = export();
        for _ in 0..limits::EXPORT_TRIES {
            export = begun(&export);
        }
        let noted = export.note_part(at(1)).expect("noted");
        assert_eq!(noted.tries, 0);
        let ExportBegin::GiveUp(failed) = export.begin(20, DAY) else { panic!("it goes on") };
        assert_eq!(failed.status, ExportStatus::Failed);
        assert_eq!(failed.failure.expect("a reason").code, "export_failed");
        assert_eq!((failed.ended_at, failed.retained_until), (Some(20), Some(20 + DAY)));
        // What passes does not count.
        assert!(matches!(export.take_back().expect("taken back").begin(20, DAY), ExportBegin::Read(_)));
    }

    #[test]
    fn what_has_ended_stays_as_it_ended() {
        let read = begun(&export());
        let failure = || Failure::new("kind_gone", "it is gone");
        for ended in [
            read.complete(30, DAY).expect("ends"),
            read.fail(failure(), 30, DAY).expect("ends"),
            read.cancel(30, DAY).expect("ends"),
            export().cancel(30, DAY).expect("ends"),
        ] {
            assert_eq!(ended.begin(40, DAY), ExportBegin::Nothing);
            assert_eq!(ended.complete(40, DAY), None);
            assert_eq!(ended.cancel(40, DAY), None);
            assert_eq!(ended.fail(failure(), 40, DAY), None);
            assert_eq!(ended.note_part(at(1)), None);
            assert_eq!(ended.with_upload("u".into()), None);
            assert_eq!(ended.take_back(), None);
        }
        assert_eq!(read.delete(30), None, "it is read");
    }

    #[test]
    fn what_is_left_is_removed_twice_and_what_is_completed_stays() {
        let read = begun(&export()).with_upload("u".into()).expect("pinned");
        assert_eq!((read.look(30), read.due_at(30, 5)), (ExportLook::Resend, Some(35)));
        let done = read.complete(30, DAY).expect("ends");
        assert_eq!((done.look(31), done.due_at(31, 5)), (ExportLook::Nothing, None));
        assert!(done.has_file(31) && !done.has_file(30 + DAY) && !read.has_file(31));
        let cancelled = read.cancel(30, DAY).expect("ends");
        assert_eq!(cancelled.due_at(30, 5), Some(30));
        let ExportLook::Remove(Some(again)) = cancelled.look(31) else { panic!("nothing is removed") };
        assert_eq!((again.removed_until, again.upload.as_deref()), (cancelled.removed_until, Some("u")));
        let ExportLook::Remove(Some(last)) = again.look(30 + limits::REMOVAL_AGAIN_MS) else { panic!("it goes") };
        assert_eq!(
            (last.removed_until, last.upload.as_deref(), last.look(i64::MAX)),
            (None, None, ExportLook::Nothing)
        );
        let deleted = done.delete(40).expect("deleted");
        assert!(!deleted.has_file(41));
        assert!(matches!(deleted.look(41), ExportLook::Remove(Some(_))));
        assert_eq!(deleted.look(40 + limits::REMOVAL_AGAIN_MS), ExportLook::Remove(None));
    }
}
