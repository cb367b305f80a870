//! Authentication and authorization: an API key, sent in any of the ways that clients use, with the scope that the
//! operation needs, within the rate limits.

use std::marker::PhantomData;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use penstock_model::{AccountId, Actor, Import, ImportId, Scope};
use penstock_store::{Store, keys::Key};

use crate::{
    api::Api,
    client_address,
    dialect::Dialect,
    limiter::{self, Client},
    rate_limits::Requests,
    refusal::Refusal,
};

/// The operation of a handler, as its signature declares it: the scope that it needs, and as what the rate limits count
/// it.
pub(crate) trait Operation: Send {
    /// The scope without which the answer is 403.
    const SCOPE: Scope;
    /// As what the rate limits count it.
    const REQUESTS: &'static [Requests] = &[Requests::All];
}

/// Reads.
#[derive(Debug)]
pub(crate) enum Read {}

/// Changes an import: uploads to it, cancels it.
#[derive(Debug)]
pub(crate) enum Write {}

/// Creates an import.
#[derive(Debug)]
pub(crate) enum Create {}

/// Deletes an import.
#[derive(Debug)]
pub(crate) enum Delete {}

/// Deletes records.
#[derive(Debug)]
pub(crate) enum DeleteRecord {}

/// Confirms what an import is to remove.
#[derive(Debug)]
pub(crate) enum Confirm {}

/// Manages endpoints.
#[derive(Debug)]
pub(crate) enum WriteAccount {}

/// Manages keys.
#[derive(Debug)]
pub(crate) enum Manage {}

impl Operation for Read {
    const SCOPE: Scope = Scope::ImportRead;
}

impl Operation for Write {
    const SCOPE: Scope = Scope::ImportWrite;
}

impl Operation for Create {
    const SCOPE: Scope = Scope::ImportWrite;
    const REQUESTS: &'static [Requests] = &[Requests::All, Requests::Imports];
}

impl Operation for Delete {
    const SCOPE: Scope = Scope::ImportDelete;
}

impl Operation for DeleteRecord {
    const SCOPE: Scope = Scope::RecordDelete;
}

impl Operation for Confirm {
    const SCOPE: Scope = Scope::ImportConfirm;
}

impl Operation for WriteAccount {
    const SCOPE: Scope = Scope::AccountWrite;
}

impl Operation for Manage {
    const SCOPE: Scope = Scope::Admin;
}

/// The caller of a handler: the account of the request's key, which has the scope of the operation, and the dialect
/// that the request speaks. Every handler that reads or writes takes its caller, so no handler can work for another
/// account or forget a scope.
#[derive(Debug, Clone)]
pub(crate) struct Caller<T> {
    pub(crate) account: AccountId,
    /// Who it is.
    pub(crate) by: Actor,
    scopes: Vec<Scope>,
    dialect: &'static Dialect,
    operation: PhantomData<T>,
}

impl<T> Caller<T> {
    /// The import of this id, if it is the caller's and of a kind that the dialect shows: see [`Dialect::find`].
    ///
    /// # Errors
    /// The dialect's refusal of a missing import.
    pub(crate) async fn import(&self, store: &Store, id: Option<&ImportId>) -> Result<Import, Refusal> {
        self.dialect.find(store, &self.account, id).await
    }

    /// Refuses a key that lacks a scope which the request needs beside that of its operation.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn needs(&self, scope: Scope) -> Result<(), Refusal> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(Refusal::forbidden(scope)) }
    }
}

impl<T: Operation> FromRequestParts<Api> for Caller<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let dialect = *parts.extensions.get().expect("the outermost layer tells the dialect");
        let network = client_address::network(&parts.extensions);
        match authorize::<T>(api, dialect, &parts.headers, network).await {
            Ok(key) => {
                // What is only told does not decide whether the request is served. The authorizer notes nothing: the
                // key of an upload made the import before.
                if let Err(error) = api.store.note_use(&key).await {
                    tracing::warn!(error = %error, key.id, "a key's use is not noted");
                }
                let Key { id, account, scopes, label, .. } = key;
                let client = parts.headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok());
                let by = Actor::new(id, label, client, dialect.name);
                Ok(Self { account, by, scopes, dialect, operation: PhantomData })
            }
            Err(Denied { refusal, .. }) => Err(refusal),
        }
    }
}

/// A request that may not be served.
#[derive(Debug)]
pub(crate) struct Denied {
    /// The account of the request's key, if the key is an account's.
    pub(crate) account: Option<AccountId>,
    pub(crate) refusal: Refusal,
}

/// The key that is in the headers of a request, if it has the scope of the operation and the request is within the
/// dialect's rate limits. A repeat is another request to the rate limits.
///
/// # Errors
/// 401, 403 or 429; 503 when the store does not answer.
pub(crate) async fn authorize<T: Operation>(
    api: &Api,
    dialect: &Dialect,
    headers: &HeaderMap,
    network: Option<String>,
) -> Result<Key, Denied> {
    let key = match credential(headers) {
        Some((id, secret)) => {
            let key = api.store.authenticate(&id, &secret).await;
            key.map_err(|error| Denied { account: None, refusal: error.into() })?
        }
        None => None,
    };
    let account = key.as_ref().map(|key| key.account.clone());
    // A client without a valid key is held to limits of its own.
    let requests = if key.is_some() { T::REQUESTS } else { &[Requests::All] };
    let client = Client { api: dialect.name, requests, network, account: account.as_ref() };
    let admitted = limiter::admit(&api.store, &api.rate_limits, &client).await;
    let refused = |refusal| Denied { account: account.clone(), refusal };
    admitted.map_err(refused)?;
    let Some(key) = key else { return Err(refused(Refusal::unauthorized())) };
    if key.scopes.contains(&T::SCOPE) { Ok(key) } else { Err(refused(Refusal::forbidden(T::SCOPE))) }
}

/// Id and secret from `Authorization: Bearer <id>.<secret>`, `Basic base64(<id>:<secret>)` (RFC 7617), `apiKey
/// <id>.<secret>`, or `x-api-key: <id>.<secret>`; a colon and a dot between the two mean the same everywhere, since an
/// id holds neither. Schemes are case-insensitive (RFC 9110 §11.1).
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
    fn a_key_is_read_in_every_scheme() {
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
    fn a_header_without_a_whole_key_has_none() {
        for value in ["", "Bearer", "Bearer id", "Bearer .s", "Bearer id.", "Basic %%%", "Digest id.s", "id.s"] {
            assert_eq!(read("authorization", value), None, "{value}");
        }
    }
}
