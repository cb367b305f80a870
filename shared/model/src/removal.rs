//! What is removed of what is stored under an import's key.
//!
//! An import is about one object at most: the one that is pinned when its upload is accepted. Anything else that is
//! stored under its key is of no use to anybody, and neither is the object of an import that has been deleted.
//!
//! Everything here is pure. [`Import::kept`] never changes its mind about an object that is not kept: an import that
//! has ended, or is about an object, never becomes about another one. So it does not matter when it is asked.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Import, ImportId, InboxFile, PartsUpload, Stage, StoredObject, limits};

/// What an import keeps of what is stored under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept<'a> {
    /// All of it: whatever comes first is accepted.
    All,
    /// This object.
    Only(&'a StoredObject),
    /// Nothing: it has ended without an object, and gets none any more.
    Nothing,
}

/// An order to remove what is stored under an import's key and is not kept. There is one for an import at most; it is
/// carried out again whenever it is due, until nothing can come after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Whose import it is, or was.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
    /// Told anew with every change, so that whoever carries the order out does not close one that came meanwhile.
    pub mark: String,
    /// When it is to be carried out next, in Unix milliseconds.
    pub due_at: i64,
    /// When an import that is missing counts as deleted, in Unix milliseconds: before, it may be about to be made.
    pub missing_from: i64,
    /// When it is carried out for the last time, in Unix milliseconds: what was on its way has arrived by then.
    pub last_at: i64,
    /// Blocks that a deleted import has left.
    #[serde(default)]
    pub opened_blocks: u32,
    /// The open upload in parts that a deleted import has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsUpload>,
    /// The multipart upload of a rejected rows file that was not finished when its import was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// The file of the inbox that a deleted import was made of: where it is still there, no other one is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<InboxFile>,
    /// Whether a deleted import has left lists of what it removed.
    #[serde(default)]
    pub replaced: bool,
    /// Whether a deleted import was a review, which may have left claims.
    #[serde(default)]
    pub reviewed: bool,
}

impl Import {
    /// What the import keeps of what is stored under its key.
    ///
    /// An upload that other imports read ([`crate::again`]) is kept for as long as the import is there, and that is not
    /// deleted while one of them reads it. What lies under the key of an import that reads another one's upload is
    /// nobody's: it has no URL.
    pub fn kept(&self) -> Kept<'_> {
        match (self.stage(), &self.object) {
            (Stage::AwaitingUpload | Stage::Expired, _) => Kept::All,
            (_, Some(object)) => Kept::Only(object),
            // An order to remove records has no file.
            (_, None) if self.everything.is_some() => Kept::Nothing,
            (Stage::Ended, None) => Kept::Nothing,
            // There is no such import.
            (_, None) => Kept::All,
        }
    }

    /// The moment after which nothing is stored under the import's key any more, but by a request that began before and
    /// is not at its end, in Unix milliseconds.
    pub fn uploads_end_at(&self) -> i64 {
        self.deadline() + limits::EXPIRY_GRACE_MS
    }

    /// The order to remove what the import leaves when it is deleted at this moment, in Unix milliseconds. It is
    /// carried out at once, and once more when the import's URLs have expired and whoever was still at work on it has
    /// ended.
    pub fn removal(&self, now_ms: i64, mark: String) -> Removal {
        Removal {
            account: self.account.clone(),
            import: self.id.clone(),
            mark,
            due_at: now_ms,
            missing_from: now_ms,
            last_at: self.uploads_end_at().max(now_ms + limits::REMOVAL_AGAIN_MS),
            opened_blocks: self.opened_blocks,
            parts: self.parts.clone().filter(PartsUpload::is_open),
            report: self.report_at.as_ref().map(|at| at.upload.clone()),
            inbox: self.inbox.clone(),
            replaced: self.is_replace(),
            reviewed: self.is_review(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Status, Uploaded};

    fn object(version: &str) -> StoredObject {
        StoredObject { version: Some(version.into()), etag: "e".into(), bytes: 1 }
    }

    fn import(status: Status, object: Option<StoredObject>) -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        let import = Import::new(ImportId::new(1, [7; 10]), account, kind, 0, 1000);
        Import { status, object, ..import }
    }

    /// What is accepted is kept, and what is ignored is not: the two never differ.
    #[test]
    fn what_is_removed_is_what_is_ignored() {
        for status in Status::ALL {
            for pinned in [None, Some(object("mine"))] {
                if matches!(status, Status::Processing | Status::AwaitingConfirmation) && pinned.is_none() {
                    continue;
                }
                let import = import(status, pinned);
                for stored in [object("mine"), object("other")] {
                    let is_kept = match import.kept() {
                        Kept::All => true,
                        Kept::Only(kept) => kept.is(&stored),
                        Kept::Nothing => false,
                    };
                    let is_pinned = import.object.as_ref().is_some_and(|pinned| pinned.is(&stored));
                    let is_ignored = matches!(import.on_upload(&stored), Uploaded::Ignored(_));
                    // An import that has ended ignores the event of its own object, which its report may read.
                    assert_eq!(is_kept, !is_ignored || is_pinned, "{status:?} {:?} {stored:?}", import.object);
                }
            }
        }
    }

    #[test]
    fn an_order_outlasts_the_urls_and_whoever_is_at_work() {
        let ended = import(Status::Cancelled, None);
        assert_eq!(ended.removal(10, "m".into()).last_at, 10 + limits::REMOVAL_AGAIN_MS);
        let late = Import { expires_at: 3_600_000, ..ended };
        let removal = late.removal(10, "m".into());
        assert_eq!((removal.due_at, removal.last_at), (10, 3_600_000 + limits::EXPIRY_GRACE_MS));
    }
}
