//! Who asks: an API key, in any of the ways in which clients send one.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use penstock_model::AccountId;
use penstock_store::Store;

use crate::Problem;

/// The account whose key came with the request. Every handler that reads or writes takes it, so none can work for another account.
#[derive(Debug, Clone)]
pub(crate) struct Account(pub(crate) AccountId);

impl FromRequestParts<Store> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, store: &Store) -> Result<Self, Problem> {
        let (id, secret) = credential(&parts.headers).ok_or_else(Problem::unauthorized)?;
        let account = store.authenticate(&id, &secret).await?;
        account.map(Self).ok_or_else(Problem::unauthorized)
    }
}

/// Id and secret from `Authorization: Bearer <id>.<secret>`, `Basic base64(<id>:<secret>)` (RFC 7617), `apiKey <id>.<secret>`, or
/// `x-api-key: <id>.<secret>`. Schemes are case-insensitive (RFC 9110 §11.1).
fn credential(headers: &HeaderMap) -> Option<(String, String)> {
    let pair = |text: &str, separator| {
        let (id, secret) = text.split_once(separator)?;
        (!id.is_empty() && !secret.is_empty()).then(|| (id.to_owned(), secret.to_owned()))
    };
    if let Some(token) = headers.get("x-api-key") {
        return pair(token.to_str().ok()?.trim(), '.');
    }
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "apikey" => pair(rest, '.'),
        "basic" => pair(std::str::from_utf8(&STANDARD.decode(rest).ok()?).ok()?, ':'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &str) -> Option<(String, String)> {
        credential(&HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))]))
    }

    #[test]
    fn one_key_works_in_every_scheme() {
        let key = Some(("id".to_owned(), "s.e:c".to_owned()));
        assert_eq!(read("authorization", "Bearer id.s.e:c"), key);
        assert_eq!(read("authorization", "bearer  id.s.e:c"), key);
        assert_eq!(read("authorization", "apiKey id.s.e:c"), key);
        assert_eq!(read("x-api-key", "id.s.e:c"), key);
        assert_eq!(read("authorization", &format!("Basic {}", STANDARD.encode("id:s.e:c"))), key);
    }

    #[test]
    fn what_is_no_key_is_none() {
        for value in ["", "Bearer", "Bearer id", "Bearer .s", "Bearer id.", "Basic %%%", "Digest id.s", "id.s"] {
            assert_eq!(read("authorization", value), None, "{value}");
        }
    }
}
