//! Names of accounts, imports and kinds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::{EventType, limits::NAME_CHARS};

/// What is wrong with an id; its message never repeats the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(&'static str);

impl InvalidId {
    pub(crate) const fn new(rule: &'static str) -> Self {
        Self(rule)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr, $message:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as it is written on the wire and in keys.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(InvalidId($message)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

name!(
    /// Whose data it is: 1 to 64 of `A-Z a-z 0-9 _ -`.
    AccountId,
    |text| is_word(text, NAME_CHARS),
    "an account id is 1 to 64 of A-Z, a-z, 0-9, _ and -"
);

name!(
    /// One import: `imp_` and a ULID, so that ids sort by the time of their creation.
    ImportId,
    |text| is_id(text, "imp_"),
    "an import id is imp_ and a ULID"
);

name!(
    /// One export: `exp_` and a ULID, so that ids sort by the time of their creation.
    ExportId,
    |text| is_id(text, "exp_"),
    "an export id is exp_ and a ULID"
);

name!(
    /// One endpoint of an account: `whk_` and a ULID, so that ids sort by the time of their creation.
    WebhookId,
    |text| is_id(text, "whk_"),
    "a webhook id is whk_ and a ULID"
);

name!(
    /// One event: `evt_` and a ULID, so that ids sort by when it happened. It has no full stop, which divides what is
    /// signed (Standard Webhooks, "Signature scheme").
    EventId,
    |text| is_id(text, "evt_"),
    "an event id is evt_ and a ULID"
);

name!(
    /// A record kind: 1 to 64 of `a-z 0-9 -`, such as `products`.
    KindName,
    |text| is_word(text, NAME_CHARS) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
    "a kind is 1 to 64 of a-z, 0-9 and -"
);

name!(
    /// A preset of an account: 1 to 64 of `a-z 0-9 -`, such as `nightly-stock`.
    PresetName,
    |text| text.parse::<KindName>().is_ok(),
    "a preset's name is 1 to 64 of a-z, 0-9 and -"
);

impl ImportId {
    /// The id of an import created at `now_ms` (Unix milliseconds), made unique by 80 random bits.
    pub fn new(now_ms: i64, random: [u8; 10]) -> Self {
        Self(format!("imp_{}", ulid(now_ms, random)))
    }
}

impl ExportId {
    /// The id of an export created at `now_ms` (Unix milliseconds), made unique by 80 random bits.
    pub fn new(now_ms: i64, random: [u8; 10]) -> Self {
        Self(format!("exp_{}", ulid(now_ms, random)))
    }
}

impl WebhookId {
    /// The id of an endpoint created at `now_ms` (Unix milliseconds), made unique by 80 random bits.
    pub fn new(now_ms: i64, random: [u8; 10]) -> Self {
        Self(format!("whk_{}", ulid(now_ms, random)))
    }
}

impl EventId {
    /// The id of what happened at `now_ms` (Unix milliseconds). What tells it from others follows from the random bits
    /// of whatever it happened to, from its type, and from a number where that can happen more than once.
    pub(crate) fn new(now_ms: i64, of: [u8; 10], what: u8, number: u64) -> Self {
        let mut bits = of;
        for (bit, more) in bits.iter_mut().zip(number.to_be_bytes().into_iter().chain([0, what])) {
            *bit ^= more;
        }
        Self(format!("evt_{}", ulid(now_ms, bits)))
    }

    /// The id of what somebody has seen happen to an import, who was not told of it: another one than that of the event
    /// that is told, which has the milliseconds.
    pub fn seen(at_ms: i64, import: &ImportId, what: EventType) -> Self {
        Self::new(at_ms, import.random_bits(), what as u8, 0)
    }

    /// The id behind which, in the order of ids, every event stands that happened at this moment (Unix milliseconds) or
    /// later, and no earlier one.
    pub fn first_at(at_ms: i64) -> Self {
        Self(format!("evt_{}", ulid(at_ms, [0; 10])))
    }

    /// When it happened, in Unix milliseconds.
    pub fn at_ms(&self) -> i64 {
        let of = self.0.strip_prefix("evt_").and_then(|ulid| Ulid::from_string(ulid).ok());
        of.and_then(|ulid| i64::try_from(ulid.timestamp_ms()).ok()).unwrap_or(0)
    }
}

/// The random bits of an id that ends in a ULID.
fn random_bits(id: &str) -> [u8; 10] {
    let ulid = id.split_once('_').and_then(|(_, ulid)| Ulid::from_string(ulid).ok());
    let bits = ulid.map_or(0, |ulid| ulid.random()).to_be_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&bits[6..]);
    random
}

impl ImportId {
    /// The bits that make it unique.
    pub(crate) fn random_bits(&self) -> [u8; 10] {
        random_bits(&self.0)
    }
}

impl ExportId {
    /// The bits that make it unique.
    pub(crate) fn random_bits(&self) -> [u8; 10] {
        random_bits(&self.0)
    }
}

impl WebhookId {
    /// The bits that make it unique.
    pub(crate) fn random_bits(&self) -> [u8; 10] {
        random_bits(&self.0)
    }
}

/// Whether it is this word and a ULID.
fn is_id(text: &str, word: &str) -> bool {
    let ulid = text.strip_prefix(word);
    ulid.is_some_and(|ulid| Ulid::from_string(ulid).is_ok_and(|parsed| parsed.to_string() == ulid))
}

fn ulid(now_ms: i64, random: [u8; 10]) -> Ulid {
    let mut bits = [0; 16];
    bits[6..].copy_from_slice(&random);
    Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), u128::from_be_bytes(bits))
}

fn is_word(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_ids_sort_by_time_and_are_canonical() {
        let early = ImportId::new(1_700_000_000_000, [0xff; 10]);
        let late = ImportId::new(1_700_000_000_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().parse(), Ok(early.clone()));
        assert!(early.as_str().to_lowercase().parse::<ImportId>().is_err());
        assert!("imp_".parse::<ImportId>().is_err());
        assert!("imp_/../other".parse::<ImportId>().is_err());
    }

    #[test]
    fn an_event_is_told_by_what_it_happened_to_its_type_and_its_number() {
        let of = ImportId::new(5, [7; 10]).random_bits();
        assert_eq!(of, [7; 10]);
        let ids = [EventId::new(9, of, 1, 0), EventId::new(9, of, 2, 0), EventId::new(9, of, 1, 1)];
        assert!(ids.iter().all(|id| id.as_str().parse() == Ok(id.clone()) && id.at_ms() == 9));
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
        assert!(EventId::first_at(9) < ids[0] && ids[0] < EventId::first_at(10));
    }

    #[test]
    fn account_ids_cannot_reach_into_another_key() {
        for bad in ["", "a/b", "a#b", "ä", &"a".repeat(NAME_CHARS + 1)] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }
}
