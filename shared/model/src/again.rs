//! Importing again from what was uploaded: an import that reads the stored upload of another one.
//!
//! Nothing is copied and nothing is sent again: both read the same object, which lies under the key of the import that
//! it was uploaded to. That import keeps a list of those that read its upload. It cannot be deleted while there is one
//! on it; one leaves it when it has ended and its rejected rows are written, or when it is deleted.

use serde::{Deserialize, Serialize};

use crate::{Import, ImportId, Status, limits::UPLOAD_LEFT_MS};

/// The stored upload that an import reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The import that its creator named.
    pub import: ImportId,
    /// The import that the file was uploaded to.
    pub upload: ImportId,
    /// When that was created, in Unix milliseconds: no later than the file was stored.
    pub since: i64,
}

/// Why an import has no upload that another one could read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSource {
    /// Nothing was uploaded to it, or nothing that it has accepted.
    Nothing,
    /// Its upload is kept no longer than to this moment, in Unix milliseconds, which is too soon.
    Expires(i64),
}

impl Import {
    /// The import under whose key the upload lies that this one reads: itself, unless it reads another one's.
    pub fn upload_of(&self) -> &ImportId {
        self.from.as_ref().map_or(&self.id, |source| &source.upload)
    }

    /// Whether the order of its kind may tell of it: it has a place there, or waits for the import at the gate. One
    /// that has not been looked whether it must wait is not there, and where nobody took a place there is no order.
    pub fn is_in_order(&self) -> bool {
        self.order > 0 || self.waiting_for.as_ref().is_some_and(|gate| *gate != self.id)
    }

    /// Until when its upload is kept, in Unix milliseconds, where each is kept for `kept_ms` from its storing on;
    /// `None` while it has none.
    pub fn source_expires_at(&self, kept_ms: i64) -> Option<i64> {
        self.object.as_ref().map(|_| self.upload_since().saturating_add(kept_ms))
    }

    fn upload_since(&self) -> i64 {
        self.from.as_ref().map_or(self.created_at, |source| source.since)
    }

    /// What an import made now of this one's upload reads.
    ///
    /// # Errors
    /// There is no upload, or it is kept for less than [`UPLOAD_LEFT_MS`].
    pub fn source(&self, now_ms: i64, kept_ms: i64) -> Result<Source, NoSource> {
        let expires_at = self.source_expires_at(kept_ms).ok_or(NoSource::Nothing)?;
        if expires_at - now_ms < UPLOAD_LEFT_MS {
            return Err(NoSource::Expires(expires_at));
        }
        Ok(Source { import: self.id.clone(), upload: self.upload_of().clone(), since: self.upload_since() })
    }

    /// The import, which is new, as one that reads the upload of `of`. It waits to be accepted, as an upload does whose
    /// kind has a replace at its gate; where nothing is said of the file's name, it is that of the upload.
    pub fn reading(self, source: Source, of: &Self) -> Self {
        Self {
            status: Status::Processing,
            waiting_for: Some(self.id.clone()),
            expires_at: self.created_at,
            object: of.object.clone(),
            filename: self.filename.or_else(|| of.filename.clone()),
            from: Some(source),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Halt, Settlement, Stage, StoredObject, Transition, Uploaded};

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn new(at: i64) -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        Import::new(ImportId::new(at, [7; 10]), account, kind, at, at + 1000)
    }

    fn uploaded(at: i64) -> Import {
        let object = StoredObject { version: Some("v".into()), etag: "e".into(), bytes: 9 };
        Import { status: Status::Failed, object: Some(object), filename: Some("a.csv".into()), ..new(at) }
    }

    #[test]
    fn an_upload_can_be_read_again_until_two_days_before_it_goes() {
        let first = uploaded(5);
        let source = Source { import: first.id.clone(), upload: first.id.clone(), since: 5 };
        assert_eq!(first.source(6, 30 * DAY_MS), Ok(source.clone()));
        assert_eq!(first.source(5 + 28 * DAY_MS, 30 * DAY_MS), Ok(source));
        let too_late = Err(NoSource::Expires(5 + 30 * DAY_MS));
        assert_eq!(first.source(6 + 28 * DAY_MS, 30 * DAY_MS), too_late);
        assert_eq!(first.source(i64::MAX, 30 * DAY_MS), too_late);
        assert_eq!(new(5).source(6, 30 * DAY_MS), Err(NoSource::Nothing));
        assert_eq!((new(5).source_expires_at(7), first.source_expires_at(7)), (None, Some(12)));
    }

    #[test]
    fn an_import_of_an_import_of_an_upload_reads_that_upload_and_it_goes_when_that_does() {
        let first = uploaded(5);
        let second = new(100).reading(first.source(100, 30 * DAY_MS).expect("kept"), &first);
        let third = new(200).reading(second.source(200, 30 * DAY_MS).expect("kept"), &second);
        let source = Source { import: second.id.clone(), upload: first.id.clone(), since: 5 };
        assert_eq!((third.from.as_ref(), third.upload_of()), (Some(&source), &first.id));
        assert_eq!((&third.object, &third.filename), (&first.object, &first.filename));
        assert_eq!(third.source_expires_at(10), Some(15));
        let named = Import { filename: Some("b.csv".into()), ..new(300) };
        let named = named.reading(third.source(300, 30 * DAY_MS).expect("kept"), &third);
        assert_eq!(named.filename.as_deref(), Some("b.csv"));
        assert_eq!(first.upload_of(), &first.id);
    }

    /// It is what an upload is that waits for the gate of its kind: accepted by the same step, halted by the same.
    #[test]
    fn it_waits_to_be_accepted_and_for_no_upload() {
        let first = uploaded(5);
        let import = new(100).reading(first.source(100, 30 * DAY_MS).expect("kept"), &first);
        assert_eq!((import.stage(), import.settle()), (Stage::Waiting, Settlement::Wait));
        let object = first.object.expect("uploaded");
        assert_eq!(import.on_upload(&object), Uploaded::Expected);
        let other = StoredObject { version: Some("w".into()), ..object };
        assert!(matches!(import.on_upload(&other), Uploaded::Ignored(_)));
        assert!(matches!(import.on_halt(&Halt::cancelled()), Some(Transition::Halt(_))));
        assert_eq!(import.expire(i64::MAX), None);
        assert!(!import.is_in_order() && Import { order: 1, ..import.clone() }.is_in_order());
        assert!(Import { waiting_for: Some(first.id), ..import }.is_in_order());
    }
}
