//! Keys: the names of records, in a URL and in the table.
//!
//! Invisible characters at the ends of a part do not count ([`crate::invisible`]), wherever the key comes from: a file,
//! a dialect, a URL. So `A-1` and `A-1 ` name one record.

use std::borrow::Cow;

use penstock_model::{AccountId, KindName};
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

/// The table's name for a record: SHA-256 over account, kind and canonical key, since a key may be longer than
/// DynamoDB's 2,048 bytes. Neither an account nor a kind can hold the byte that separates them. The key is made
/// [`tidy`] here, so that whoever names a record finds it.
pub fn hash(account: &AccountId, kind: &KindName, key: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [account.as_str(), kind.as_str()] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.update(tidy(key).as_bytes());
    hasher.finalize().into()
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
        let of = |key: &str| hash(&"1".parse().expect("valid"), &"products".parse().expect("valid"), key);
        assert_eq!(of("A-1\u{200b}"), of("A-1"));
        assert_ne!(of("A -1"), of("A-1"));
    }

    #[test]
    fn tenants_and_kinds_never_share_a_name() {
        let hash =
            |account: &str, kind: &str| hash(&account.parse().expect("valid"), &kind.parse().expect("valid"), "k");
        assert_ne!(hash("1", "products"), hash("2", "products"));
        assert_ne!(hash("1", "products"), hash("1", "product"));
    }
}
