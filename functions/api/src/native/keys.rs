//! Managing the keys of every account. The operator's key has the scope `admin` for it.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use penstock_model::{AccountId, Scope, limits, rfc3339, views};
use penstock_store::{
    Store,
    keys::{self, Key, NewKey},
};
use serde::Deserialize;

use super::body::{JsonBody, JsonShape};
use crate::{
    auth::{Caller, Manage},
    named::Named,
    refusal::Refusal,
};

/// The body of `POST /v1/keys`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct KeyRequest {
    account: Option<AccountId>,
    scopes: Vec<Scope>,
    label: Option<String>,
}

impl JsonShape for KeyRequest {
    const ARRAYS: &'static [&'static str] = &["/scopes"];
}

/// The JSON of a key.
fn view(key: Key) -> views::Key {
    let Key { id, account, scopes, created_at, last_used_at, label, revoked } = key;
    let (account, created_at, last_used_at) = (account.to_string(), rfc3339(created_at), last_used_at.map(rfc3339));
    views::Key { id, account, scopes, created_at, last_used_at, label, revoked, token: None, secret: None }
}

/// A repeat makes another key. An account that had none exists from then on.
pub(super) async fn create(
    State(store): State<Store>,
    Caller { account: own, .. }: Caller<Manage>,
    body: JsonBody<KeyRequest>,
) -> Result<Response, Refusal> {
    let KeyRequest { account, mut scopes, label } = body.value;
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Refusal::unprocessable("no_scopes", "a key has at least one scope"));
    }
    if label.as_ref().is_some_and(|label| label.chars().count() > limits::KEY_LABEL_CHARS) {
        let detail = format!("a label has at most {} characters", limits::KEY_LABEL_CHARS);
        return Err(Refusal::unprocessable("label_too_long", detail));
    }
    let (id, secret) = (keys::new_id(), keys::new_secret());
    let new = NewKey { id, secret: secret.clone(), account: account.unwrap_or(own), scopes, label };
    let removing =
        || Refusal::conflict("account_removing", "the account is being removed, and gets no key before it is gone");
    let key = store.put_key(&new).await?.ok_or_else(removing)?;
    tracing::info!(key.id = key.id, key.account = %key.account, "a key was made");
    let token = Some(format!("{}.{secret}", key.id));
    Ok((StatusCode::CREATED, Json(views::Key { token, secret: Some(secret), ..view(key) })).into_response())
}

/// The query of the list of keys.
#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    /// Whose keys are listed; the caller's own account if not given.
    account: Option<AccountId>,
}

pub(super) async fn list(
    State(store): State<Store>,
    Caller { account: own, .. }: Caller<Manage>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(ListQuery { account }) =
        query.map_err(|_| Refusal::bad_request("invalid_query", "the query takes account, an account's id"))?;
    let keys = store.keys(&account.unwrap_or(own)).await?;
    Ok(Json(views::KeyList { keys: keys.into_iter().map(view).collect() }).into_response())
}

/// A repeat finds the key revoked, and gives the same answer.
pub(super) async fn revoke(
    State(store): State<Store>,
    _: Caller<Manage>,
    id: Named<String>,
) -> Result<StatusCode, Refusal> {
    let missing = || Refusal::not_found("there is no such key");
    let id = id.get().filter(|id| keys::is_key_id(id)).ok_or_else(missing)?;
    let key = store.revoke_key(id).await?.ok_or_else(missing)?;
    tracing::info!(key.id = key.id, key.account = %key.account, "a key is revoked");
    Ok(StatusCode::NO_CONTENT)
}
