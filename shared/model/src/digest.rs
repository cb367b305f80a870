//! Digests: what the files of a kind said last of each record, so that a row that says it again need not be looked at.
//!
//! A digest is an object that the splitter of an upsert or a replace writes. It belongs to the records of one account
//! and kind, and to one [`Source`]: the files with the same set of columns. What it claims of a row, that this row
//! again changes nothing, is true at one place in the order of the kind, its `epoch`, and nobody knows for how long
//! behind that. So it is used by the import that takes exactly that place, and by no other: whoever has written since
//! has taken a place, too.
//!
//! ```text
//! import N      pins the digests of epoch N ─▶ its rows are dropped by that of its source, and make a new one
//! its end       if nothing has taken a place since: its own digest, and those of other columns, get the epoch N + 1
//! delete at n   the digests of epoch n get the epoch n + 1, and a hole where the record was
//! others        leave the epoch behind
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AccountId, ImportId, KindName, limits};

/// The digests of a kind, by the ids of their sources: at most [`limits::DIGESTS`].
pub type Digests = BTreeMap<String, Digest>;

/// What the order of a kind says of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The place in the order for which it holds.
    pub epoch: u64,
    /// The import whose splitter wrote the object. Another import's object in its place is none.
    pub object: ImportId,
    /// The fields of its source, as [`Source::fields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<u32>>,
    /// The hashes of the keys of records that were deleted since: at most [`limits::DIGEST_HOLES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<u64>,
    /// The file that said all of it, where one did and no record was deleted since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

/// A file every row of which was accepted and named a record that no other row of it names. At the place for which its
/// digest holds, the same file changes nothing, whatever its rows are: they need not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// A hash of its bytes and of how they are read.
    pub name: String,
    /// Its data rows.
    pub rows: u64,
}

/// The set of columns of a file: files with the same one share a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// A name of the set, 16 hexadecimal digits.
    pub id: String,
    /// Hashes of the fields that such a file may set, the key's aside, in order; `None` where it may set any. Two
    /// fields with one hash make two sources look as if they had a field in common, which costs reads and changes
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<u32>>,
}

/// A digest that a splitter has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// How many rows of the file the splitter saw rejected. If more have failed at the end, the digest says of some
    /// rows that they were applied which were not.
    pub rejected: u64,
    /// As [`Digest::file`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

impl Source {
    /// Whether a file of this source sets no field that one with these fields sets.
    pub fn is_apart_from(&self, fields: Option<&[u32]>) -> bool {
        match (&self.fields, fields) {
            (Some(own), Some(others)) => !own.iter().any(|field| others.contains(field)),
            _ => false,
        }
    }
}

impl Digest {
    /// The digest behind a delete of records at its place, of these hashes of their keys; `None` where it gets too many
    /// holes.
    pub fn behind_delete(&self, keys: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut behind = Self { epoch: self.epoch + 1, file: None, ..self.clone() };
        behind.holes.extend(keys);
        behind.holes.sort_unstable();
        behind.holes.dedup();
        (behind.holes.len() <= limits::DIGEST_HOLES).then_some(behind)
    }
}

/// What follows the folder of a digest's object in its key: `<account>/<kind>/<source>`.
pub fn object_name(account: &AccountId, kind: &KindName, source: &Source) -> String {
    format!("{account}/{kind}/{}", source.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(fields: Option<Vec<u32>>) -> Source {
        Source { id: "0".repeat(16), fields }
    }

    #[test]
    fn sources_are_apart_that_are_known_to_share_no_field() {
        let (some, all) = (source(Some(vec![1, 2])), source(None));
        assert!(some.is_apart_from(Some(&[3])) && some.is_apart_from(Some(&[])));
        assert!(!some.is_apart_from(Some(&[2, 3])) && !some.is_apart_from(None));
        assert!(!all.is_apart_from(Some(&[])) && !all.is_apart_from(None));
    }

    #[test]
    fn a_delete_leaves_a_hole_and_a_hundred_of_them_stay() {
        let digest = Digest { epoch: 7, object: ImportId::new(1, [7; 10]), fields: None, holes: vec![5], file: None };
        let behind = digest.behind_delete([9, 5, 1]).expect("few holes");
        assert_eq!((behind.epoch, behind.holes.as_slice()), (8, [1, 5, 9].as_slice()));
        let most = limits::DIGEST_HOLES as u64;
        assert_eq!(digest.behind_delete(1..most).map(|behind| behind.holes.len()), Some(limits::DIGEST_HOLES - 1));
        assert_eq!(digest.behind_delete(0..=most), None);
    }
}
