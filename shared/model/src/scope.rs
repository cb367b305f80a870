//! What an API key may be used for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{InvalidId, listed::listed};

listed! {
    /// One thing that an API key may do, for its account or, as [`Scope::Admin`], for keys.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    pub enum Scope {
        /// Read imports, their errors, and records.
        #[serde(rename = "import:read")]
        ImportRead,
        /// Create, fill and cancel imports.
        #[serde(rename = "import:write")]
        ImportWrite,
        /// Delete imports that have ended.
        #[serde(rename = "import:delete")]
        ImportDelete,
        /// Delete records.
        #[serde(rename = "record:delete")]
        RecordDelete,
        /// Confirm what an import is to remove, or what a review has judged.
        #[serde(rename = "import:confirm")]
        ImportConfirm,
        /// Create, read, change and delete the endpoints that are told of events, and order deliveries again.
        #[serde(rename = "account:write")]
        AccountWrite,
        /// Create, list and revoke the keys of every account; list and remove accounts. A deployment's first key has
        /// it: it is the operator's.
        #[serde(rename = "admin")]
        Admin,
    }
}

impl Scope {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImportRead => "import:read",
            Self::ImportWrite => "import:write",
            Self::ImportDelete => "import:delete",
            Self::RecordDelete => "record:delete",
            Self::ImportConfirm => "import:confirm",
            Self::AccountWrite => "account:write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or(InvalidId::new(
            "a scope is import:read, import:write, import:delete, record:delete, import:confirm, account:write or \
            admin",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_one_word() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).expect("JSON"), scope.as_str());
        }
        assert!("import".parse::<Scope>().is_err());
    }
}
