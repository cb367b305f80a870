//! Who asks: an API key, in any of the ways in which clients send one, with the scope that the request needs, and not too often.

use std::marker::PhantomData;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use penstock_model::{AccountId, Scope};
use penstock_store::{Store, keys::Key, rate::What};

use crate::{Refusal, form::Form, limiter};

/// What a handler does, in its signature: the scope that it needs, and as what its requests count.
pub(crate) trait Task: Send {
    /// The scope without which the answer is 403.
    const SCOPE: Scope;
    /// What it counts as beside a request.
    const IS_IMPORT: bool = false;
}

/// Reads.
#[derive(Debug)]
pub(crate) enum Read {}

/// Changes an import: fills it, cancels it.
#[derive(Debug)]
pub(crate) enum Write {}

/// Asks for an import.
#[derive(Debug)]
pub(crate) enum Create {}

/// Deletes an import.
#[derive(Debug)]
pub(crate) enum Delete {}

/// Manages keys.
#[derive(Debug)]
pub(crate) enum Manage {}

impl Task for Read {
    const SCOPE: Scope = Scope::ImportRead;
}

impl Task for Write {
    const SCOPE: Scope = Scope::ImportWrite;
}

impl Task for Create {
    const SCOPE: Scope = Scope::ImportWrite;
    const IS_IMPORT: bool = true;
}

impl Task for Delete {
    const SCOPE: Scope = Scope::ImportDelete;
}

impl Task for Manage {
    const SCOPE: Scope = Scope::Admin;
}

/// The account whose key came with the request, a key that has the scope of the task. Every handler that reads or writes takes it, so none
/// can work for another account, nor forget what it needs.
#[derive(Debug, Clone)]
pub(crate) struct Account<T>(pub(crate) AccountId, pub(crate) PhantomData<T>);

impl<T: Task, S: Send + Sync> FromRequestParts<S> for Account<T>
where
    Store: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let store = Store::from_ref(state);
        let address = limiter::address(&parts.extensions);
        let account = caller::<T>(&store, &parts.headers, parts.uri.path(), address).await;
        account.map(|account| Self(account, PhantomData)).map_err(|(_, refusal)| refusal)
    }
}

/// The account whose key came in the headers of a request for a path, from an address, if the key has the scope of the task.
///
/// # Errors
/// Why it may not, and whose the key is, if one is known. A repeat is another request to the limiter.
pub(crate) async fn caller<T: Task>(
    store: &Store,
    headers: &HeaderMap,
    path: &str,
    address: Option<String>,
) -> Result<AccountId, (Option<AccountId>, Refusal)> {
    let key = match credential(headers) {
        Some((id, secret)) => store.authenticate(&id, &secret).await.map_err(|error| (None, error.into()))?,
        None => None,
    };
    let account = key.as_ref().map(|key| key.account.clone());
    // One who guesses keys is held to the limits of an address too, and is not told whether a guess was right beyond them.
    let what: &[What] = if T::IS_IMPORT && key.is_some() { &[What::All, What::Imports] } else { &[What::All] };
    let admitted = limiter::admit(store, Form::of(path), what, address, account.as_ref()).await;
    admitted.map_err(|refusal| (account.clone(), refusal))?;
    let Key { account, scopes, .. } = key.ok_or_else(|| (None, Refusal::unauthorized()))?;
    if scopes.contains(&T::SCOPE) { Ok(account) } else { Err((Some(account), Refusal::forbidden(T::SCOPE))) }
}

/// Id and secret from `Authorization: Bearer <id>.<secret>`, `Basic base64(<id>:<secret>)` (RFC 7617), `apiKey <id>.<secret>`, or
/// `x-api-key: <id>.<secret>`; a colon and a dot between the two mean the same everywhere, since an id holds neither. Schemes are
/// case-insensitive (RFC 9110 §11.1).
fn credential(headers: &HeaderMap) -> Option<(String, String)> {
    let pair = |text: &str| {
        let (id, secret) = text.split_once(['.', ':'])?;
        (!id.is_empty() && !secret.is_empty()).then(|| (id.to_owned(), secret.to_owned()))
    };
    if let Some(token) = headers.get("x-api-key") {
        return pair(token.to_str().ok()?.trim());
    }
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "apikey" => pair(rest),
        "basic" => pair(std::str::from_utf8(&STANDARD.decode(rest).ok()?).ok()?),
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
        for (name, value) in
            [("authorization", "Bearer id:s.e:c"), ("authorization", "apiKey id:s.e:c"), ("x-api-key", "id:s.e:c")]
        {
            assert_eq!(read(name, value), key, "{name}: {value}");
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for value in ["", "Bearer", "Bearer id", "Bearer .s", "Bearer id.", "Basic %%%", "Digest id.s", "id.s"] {
            assert_eq!(read("authorization", value), None, "{value}");
        }
    }
}
