//! Names of accounts, imports and kinds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::limits::NAME_CHARS;

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
    |text| text.strip_prefix("imp_").is_some_and(|ulid| {
        Ulid::from_string(ulid).is_ok_and(|parsed| parsed.to_string() == ulid)
    }),
    "an import id is imp_ and a ULID"
);

name!(
    /// One export: `exp_` and a ULID, so that ids sort by the time of their creation.
    ExportId,
    |text| text.strip_prefix("exp_").is_some_and(|ulid| {
        Ulid::from_string(ulid).is_ok_and(|parsed| parsed.to_string() == ulid)
    }),
    "an export id is exp_ and a ULID"
);

name!(
    /// A record kind: 1 to 64 of `a-z 0-9 -`, such as `products`.
    KindName,
    |text| is_word(text, NAME_CHARS) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
    "a kind is 1 to 64 of a-z, 0-9 and -"
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
    fn account_ids_cannot_reach_into_another_key() {
        for bad in ["", "a/b", "a#b", "ä", &"a".repeat(NAME_CHARS + 1)] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }
}
