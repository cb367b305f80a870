//! Keys: the names of records, in a URL and in the table.
//!
//! Invisible characters at the ends of a part do not count ([`crate::invisible`]), wherever the key comes from: a file,
//! a dialect, a URL. So `A-1` and `A-1 ` name one record.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
};

use penstock_model::{AccountId, KindName, limits};
use sha2::{Digest, Sha256};

use crate::{cell::Cell, invisible::trimmed};

/// The canonical key of a record: the values of its key fields in the order of the kind's `primaryKey`, each without
/// invisible characters at its ends, `%` and `,` escaped inside a value as `%25` and `%2C`, joined by `,`. An absent
/// optional part is empty.
pub fn canonical<'a>(parts: impl Iterator<Item = Option<Cell<'a>>>) -> String {
    let mut key = String::new();
    for (at, part) in parts.enumerate() {
        if at > 0 {
            key.push(',');
        }
        if let Some(value) = part {
            push(&mut key, &value);
        }
    }
    key
}

/// Writes one part of a key, which is never an array or an object.
fn push(key: &mut String, part: &Cell<'_>) {
    match part {
        Cell::Boolean(boolean) => key.push_str(if *boolean { "true" } else { "false" }),
        Cell::Number(number) => key.push_str(&number.to_string()),
        Cell::Text(text) => {
            push_text(key, text);
        }
        Cell::Nested(_) => {}
    }
}

/// Writes a part that is text.
pub(crate) fn push_text(key: &mut String, part: &str) {
    let part = trimmed(part);
    if memchr::memchr2(b'%', b',', part.as_bytes()).is_none() {
        return key.push_str(part);
    }
    for c in part.chars() {
        match c {
            '%' => key.push_str("%25"),
            ',' => key.push_str("%2C"),
            other => key.push(other),
        }
    }
}

/// A part of a canonical key without its escapes. The key of a kind with one key field becomes what the field holds.
pub fn unescaped(part: &str) -> String {
    part.replace("%2C", ",").replace("%25", "%")
}

/// A key that somebody wrote, as a record has it: no part has invisible characters at its ends.
pub fn tidy(key: &str) -> Cow<'_, str> {
    if key.split(',').all(|part| trimmed(part).len() == part.len()) {
        return Cow::Borrowed(key);
    }
    Cow::Owned(key.split(',').map(trimmed).collect::<Vec<_>>().join(","))
}

/// The SHA-256 of a canonical key. Its first byte is the record's shard.
pub(crate) fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Where a record is stored: the partition key and the sort key of its item. Both can be read by people.
///
/// Two names are equal if partition and sort key are, since the two tell the whole key.
#[derive(Debug, Clone)]
pub struct RecordName {
    /// `<account>#<kind>#<shard>`. Neither an account nor a kind can hold a `#`. The shard is one of
    /// [`RECORD_SHARDS`](penstock_model::limits::RECORD_SHARDS): the first byte of the SHA-256 of the canonical key, as
    /// two lowercase hexadecimal digits.
    pub partition: String,
    /// The canonical key, or where that is longer than
    /// [`WHOLE_KEY_BYTES`](penstock_model::limits::WHOLE_KEY_BYTES), or empty: its beginning, cut at a character, `#`
    /// and its SHA-256 in hexadecimal. A cut one has 1,021 to 1,024 bytes, so it is never another key's whole one.
    pub sort: String,
    /// The whole canonical key, where the sort key does not hold it.
    pub whole: Option<String>,
}

impl RecordName {
    /// The name of the account's record of this kind and key. The key is made [`tidy`] here, so that whoever names a
    /// record finds it.
    pub fn of(account: &AccountId, kind: &KindName, key: &str) -> Self {
        let key = tidy(key);
        let hash = hash(&key);
        let partition = partition(account, kind, hash[0]);
        if (1..=limits::WHOLE_KEY_BYTES).contains(&key.len()) {
            return Self { partition, sort: key.into_owned(), whole: None };
        }
        let mut sort = key[..key.floor_char_boundary(limits::SORT_KEY_BYTES - 1 - 2 * hash.len())].to_owned();
        sort.push('#');
        for byte in hash {
            push_hex(&mut sort, byte);
        }
        Self { partition, sort, whole: Some(key.into_owned()) }
    }

    /// The canonical key of the record.
    pub fn key(&self) -> &str {
        self.whole.as_deref().unwrap_or(&self.sort)
    }
}

impl PartialEq for RecordName {
    fn eq(&self, other: &Self) -> bool {
        (&self.partition, &self.sort) == (&other.partition, &other.sort)
    }
}

impl Eq for RecordName {}

impl Hash for RecordName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.partition, &self.sort).hash(state);
    }
}

/// The partition key of one shard of an account's records of a kind: see [`RecordName`].
pub fn partition(account: &AccountId, kind: &KindName, shard: u8) -> String {
    let (account, kind) = (account.as_str(), kind.as_str());
    let mut partition = String::with_capacity(account.len() + kind.len() + 4);
    for part in [account, "#", kind, "#"] {
        partition.push_str(part);
    }
    push_hex(&mut partition, shard);
    partition
}

fn push_hex(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_run_into_one_another() {
        let text = |text: &'static str| Some(Cell::Text(text.into()));
        assert_eq!(canonical([text("a"), None, text("b")].into_iter()), "a,,b");
        assert_eq!(canonical([text("a,b")].into_iter()), "a%2Cb");
        assert_eq!(canonical([text("a%2Cb")].into_iter()), "a%252Cb");
        for part in ["a,b", "a%2Cb", "%25", "100 %"] {
            assert_eq!(unescaped(&canonical([text(part)].into_iter())), part);
        }
    }

    #[test]
    fn what_nobody_sees_at_the_ends_of_a_part_names_no_other_record() {
        let text = |text: &'static str| Some(Cell::Text(text.into()));
        let parts = [text(" a\u{a0}"), None, text("\u{feff}b b\u{200b}"), text(" \u{200b}")];
        assert_eq!(canonical(parts.into_iter()), "a,,b b,");
        assert_eq!(tidy(" a\u{a0},,b b,\t"), "a,,b b,");
        assert!(matches!(tidy("a,,b b"), Cow::Borrowed("a,,b b")));
        assert_eq!(name("1", "products", "A-1\u{200b}"), name("1", "products", "A-1"));
        assert_ne!(name("1", "products", "A -1"), name("1", "products", "A-1"));
    }

    fn name(account: &str, kind: &str, key: &str) -> RecordName {
        RecordName::of(&account.parse().expect("valid"), &kind.parse().expect("valid"), key)
    }

    /// By `printf %s SKU-1 | sha256sum`.
    #[test]
    fn a_name_can_be_read() {
        let RecordName { partition, sort, whole } = name("shop", "products", " SKU-1");
        assert_eq!((partition.as_str(), sort.as_str(), whole), ("shop#products#75", "SKU-1", None));
    }

    #[test]
    fn tenants_and_kinds_never_share_a_partition() {
        assert_ne!(name("1", "products", "k").partition, name("2", "products", "k").partition);
        assert_ne!(name("1", "products", "k").partition, name("1", "product", "k").partition);
        assert!("a#b".parse::<AccountId>().is_err() && "a#b".parse::<KindName>().is_err());
    }

    #[test]
    fn a_key_that_is_too_long_or_empty_is_cut_and_names_no_other_record() {
        for (unit, count) in [("x", 1021), ("ä", 511), ("語", 400), ("😀", 300), ("x", 200_000)] {
            let key = unit.repeat(count);
            let cut = name("1", "products", &key);
            assert_eq!((cut.key(), cut.whole.as_ref()), (key.as_str(), Some(&key)));
            assert!((limits::WHOLE_KEY_BYTES + 1..=limits::SORT_KEY_BYTES).contains(&cut.sort.len()), "{}", cut.sort);
            let (beginning, hash) = cut.sort.rsplit_once('#').expect("a hash");
            assert!(key.starts_with(beginning) && hash.len() == 64 && cut.partition.ends_with(&hash[..2]));
            // Keys with the same beginning, and the key that is written as the cut one is.
            assert_ne!(name("1", "products", &format!("{key}y")).sort, cut.sort);
            assert_ne!(name("1", "products", &cut.sort).sort, cut.sort);
        }
        let longest = "x".repeat(limits::WHOLE_KEY_BYTES);
        assert_eq!(name("1", "products", &longest).sort, longest);
        let empty = name("1", "products", "");
        assert_eq!((empty.sort.len(), empty.key()), (65, ""));
        assert_ne!(name("1", "products", &empty.sort), empty);
    }
}
