//! Keys: the names of records, in a URL and in the table.

use penstock_model::{AccountId, KindName};
use sha2::{Digest, Sha256};

use crate::cell::Cell;

/// The canonical key of a record: the values of its key fields in the order of the kind's `primaryKey`, `%` and `,`
/// escaped inside a value as `%25` and `%2C`, joined by `,`. An absent optional part is empty.
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

/// The table's name for a record: SHA-256 over account, kind and canonical key, since a key may be longer than
/// DynamoDB's 2,048 bytes. Neither an account nor a kind can hold the byte that separates them.
pub fn hash(account: &AccountId, kind: &KindName, canonical: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [account.as_str(), kind.as_str()] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.update(canonical.as_bytes());
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
    fn tenants_and_kinds_never_share_a_name() {
        let hash =
            |account: &str, kind: &str| hash(&account.parse().expect("valid"), &kind.parse().expect("valid"), "k");
        assert_ne!(hash("1", "products"), hash("2", "products"));
        assert_ne!(hash("1", "products"), hash("1", "product"));
    }
}
