//! The cursor of a list of records: where the next page goes on.
//!
//! It is base64 of the place and of a hash over the place and the list. So a cursor is only taken by the list that made
//! it: one of another account, kind or filter is refused as one that nobody made is.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use penstock_store::sha256_hex;

/// Characters of the hash in a cursor.
const HASH: usize = 16;

/// A place in the shards of a kind, which are gone through one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The shard.
    pub(super) shard: u8,
    /// The sort key behind which it goes on; none at its beginning.
    pub(super) after: Option<String>,
}

impl Place {
    /// Before the first record.
    pub(super) const START: Self = Self { shard: 0, after: None };

    /// The beginning of the shard behind one, if there is one.
    pub(super) fn behind(shard: u8) -> Option<Self> {
        Some(Self { shard: shard.checked_add(1)?, after: None })
    }

    /// The cursor of a list, whose name is `list`.
    pub(super) fn cursor(&self, list: &str) -> String {
        let after = self.after.as_deref().unwrap_or_default();
        let mut bytes = hash(list, self.shard, after).into_bytes();
        bytes.push(self.shard);
        bytes.extend(after.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a cursor, if this list made it.
    pub(super) fn read(cursor: &str, list: &str) -> Option<Self> {
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let rest = (bytes.len() > HASH).then(|| bytes.split_off(HASH))?;
        let (shard, after) = rest.split_first()?;
        let after = std::str::from_utf8(after).ok()?;
        let is_ours = hash(list, *shard, after).as_bytes() == bytes;
        is_ours.then(|| Self { shard: *shard, after: (!after.is_empty()).then(|| after.to_owned()) })
    }
}

fn hash(list: &str, shard: u8, after: &str) -> String {
    let mut hash = sha256_hex(format!("{list}\n{shard}\n{after}").as_bytes());
    hash.truncate(HASH);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_taken_by_the_list_that_made_it_and_by_no_other() {
        let place = |shard, after: Option<&str>| Place { shard, after: after.map(str::to_owned) };
        for place in [Place::START, place(255, None), place(7, Some("SKU-1,ä")), place(0, Some(&"x".repeat(1024)))] {
            let cursor = place.cursor("shop/products");
            assert_eq!(Place::read(&cursor, "shop/products"), Some(place.clone()));
            assert_eq!(Place::read(&cursor, "shop/orders"), None);
            // Any character of it changed, or left out.
            for at in 0..cursor.len() {
                let mut changed = cursor.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(Place::read(&String::from_utf8_lossy(&changed), "shop/products"), None);
                assert_eq!(Place::read(&cursor[..at], "shop/products"), None);
            }
        }
        for text in ["", "x", "imp_01", "....", "AAAA"] {
            assert_eq!(Place::read(text, "shop/products"), None, "{text}");
        }
    }
}
