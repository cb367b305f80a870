//! Reading one record by its key.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use penstock_engine::key;
use penstock_model::{KindName, Value};
use penstock_store::Store;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::{
    auth::{Caller, Read},
    refusal::Refusal,
};

/// The JSON of a record.
#[derive(Debug, Serialize)]
pub(super) struct RecordView {
    kind: KindName,
    key: String,
    fields: BTreeMap<String, Value>,
}

/// The path's key is the canonical key, percent-encoded as a whole: see [`penstock_engine::key::canonical`]. What is
/// invisible at the ends of its parts does not count.
pub(super) async fn show(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<RecordView>, Refusal> {
    // A key that is not UTF-8 names no record.
    let Path((kind, key)) = path.map_err(|_| Refusal::not_found("there is no such record"))?;
    let no_kind = || Refusal::not_found("there is no such kind");
    let kind: KindName = kind.parse().map_err(|_| no_kind())?;
    store.kind(&account, &kind).await?.ok_or_else(no_kind)?;
    let record =
        store.record(&account, &kind, &key).await?.ok_or_else(|| Refusal::not_found("there is no such record"))?;
    Ok(Json(RecordView { kind, key: key::tidy(&key).into_owned(), fields: record.fields }))
}
