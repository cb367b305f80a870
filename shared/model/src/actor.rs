//! Who asks for something.

use serde::{Deserialize, Serialize};

use crate::limits::CLIENT_CHARS;

/// Who asked for something of an import: an API key, and the client that sent it. Where a client is in the network is
/// not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Actor {
    /// The id of the key.
    pub key: String,
    /// What the maker of the key called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the client called itself, `User-Agent` (RFC 9110 §10.1.5), of which the first characters are kept; nobody
    /// checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::CLIENT_CHARS)))]
    pub client: Option<String>,
    /// The API by which it asked: `native`, or the name of a dialect. `inbox` for a file that was dropped off: then the
    /// key is the one that put the preset.
    pub api: String,
}

impl Actor {
    /// The word for files that are dropped off, which no API takes.
    pub const INBOX: &str = "inbox";

    /// A key with its label, and the client that sent it by an API under this name for itself, if it has told one.
    pub fn new(key: String, label: Option<String>, client: Option<&str>, api: &str) -> Self {
        let client = client.map(|name| name.chars().take(CLIENT_CHARS).collect::<String>());
        Self { key, label, client: client.filter(|name| !name.is_empty()), api: api.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_client_is_kept_within_bounds() {
        let named = |name: Option<&str>| Actor::new("k".into(), None, name, "native").client;
        assert_eq!(named(Some("curl/8.5.0")).as_deref(), Some("curl/8.5.0"));
        assert_eq!((named(None), named(Some(""))), (None, None));
        let long = "é".repeat(CLIENT_CHARS + 1);
        assert_eq!(named(Some(&long)).map(|name| name.chars().count()), Some(CLIENT_CHARS));
    }
}
