//! Deleting records by their keys.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderValue, StatusCode, header},
};
use penstock_model::{AccountId, KindName, limits, views};
use penstock_store::{Store, deletes::Deleted};
use serde::Deserialize;

use super::body::{JsonBody, JsonShape};
use crate::{
    auth::{Caller, DeleteRecord},
    refusal::Refusal,
};

/// The body of `POST /v1/records/{kind}/delete`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct DeleteRequest {
    /// Canonical keys, as a path names them, not percent-encoded as a whole.
    keys: Vec<String>,
}

impl JsonShape for DeleteRequest {
    const ARRAYS: &'static [&'static str] = &["/keys"];
}

/// `DELETE /v1/records/{kind}/{key}`. A repeat finds no record.
pub(super) async fn delete(
    State(store): State<Store>,
    Caller { account, .. }: Caller<DeleteRecord>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    // A key that is not UTF-8 names no record.
    let no_record = || Refusal::not_found("there is no such record");
    let Path((kind, key)) = path.map_err(|_| no_record())?;
    match delete_all(&store, &account, &kind, &[key]).await?.deleted {
        0 => Err(no_record()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// `POST /v1/records/{kind}/delete`: deletes at most [`limits::RECORD_DELETE_BATCH`] records. A repeat finds none of
/// them. It shares its path with the record whose key is `delete`, which nobody posts to.
pub(super) async fn delete_many(
    State(store): State<Store>,
    Caller { account, .. }: Caller<DeleteRecord>,
    path: Result<Path<(String, String)>, PathRejection>,
    body: JsonBody<DeleteRequest>,
) -> Result<Json<views::Deleted>, Refusal> {
    let Path((kind, action)) = path.map_err(|_| Refusal::method_not_allowed())?;
    if action != "delete" {
        return Err(Refusal::method_not_allowed());
    }
    let DeleteRequest { keys } = body.value;
    if !(1..=limits::RECORD_DELETE_BATCH).contains(&keys.len()) {
        let most = limits::RECORD_DELETE_BATCH;
        let message = format!("`keys` names 1 to {most} records, here {}: send more in further requests", keys.len());
        return Err(Refusal::unprocessable("too_many_keys", message));
    }
    let Deleted { deleted, missing, .. } = delete_all(&store, &account, &kind, &keys).await?;
    Ok(Json(views::Deleted { deleted: deleted as u64, not_found: missing }))
}

/// # Errors
/// 404 for a kind that does not exist; 503 when uploads of the kind were accepted again and again meanwhile.
async fn delete_all(store: &Store, account: &AccountId, kind: &str, keys: &[String]) -> Result<Deleted, Refusal> {
    let no_kind = || Refusal::not_found("there is no such kind");
    let kind: KindName = kind.parse().map_err(|_| no_kind())?;
    store.kind(account, &kind).await?.ok_or_else(no_kind)?;
    let done = store.delete_records(account, &kind, keys).await?;
    if done.left == 0 {
        return Ok(done);
    }
    let message = format!(
        "{} of the records are deleted, {} are not yet: uploads and deletes of `{kind}` came before it again and again; \
         try again",
        done.deleted, done.left
    );
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "kind_busy", message)
        .with(header::RETRY_AFTER, HeaderValue::from_static("1")))
}
