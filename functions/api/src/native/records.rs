//! Reading records: one by its key, or the list of a kind.

mod cursor;
mod list;
mod provenance;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use penstock_engine::key;
use penstock_model::{Import, ImportId, KindName, Record, views};
use penstock_store::{Store, places::Taken};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

pub(super) use self::list::list;

use crate::{
    auth::{Caller, Read},
    refusal::Refusal,
};

/// What is asked for beside the record.
#[derive(Debug, Deserialize)]
pub(super) struct ShowQuery {
    #[serde(default)]
    provenance: bool,
}

/// What a record shows.
fn fields(record: &Record) -> Result<Box<RawValue>, Refusal> {
    to_raw_value(&record.fields).map_err(|_| Refusal::internal())
}

fn no_kind() -> Refusal {
    Refusal::not_found("there is no such kind")
}

/// The place in the order of the kind that an import of the caller's took, for an answer (`what`) about what came
/// behind it.
///
/// # Errors
/// 404 for an import that is missing or another account's, 422 for one of another kind, 409 for one that has no place,
/// since no upload of it has been accepted.
pub(super) async fn place_of(
    store: &Store,
    caller: &Caller<Read>,
    id: Option<&ImportId>,
    kind: &KindName,
    what: &str,
) -> Result<u64, Refusal> {
    let (of, order) = match (caller.import(store, id).await, id) {
        (Ok(Import { kind, order, .. }), _) => (kind, order),
        (Err(missing), None) => return Err(missing),
        // What it changed outlives it.
        (Err(missing), Some(id)) => match store.place_taken(&caller.account, id).await? {
            Some(Taken { kind, order }) => (kind, order),
            None => return Err(missing),
        },
    };
    if of != *kind {
        let message = format!("the import is of the kind {of}, and the {what} of the kind {kind}");
        return Err(Refusal::unprocessable("another_kind", message));
    }
    if order == 0 {
        let message = "the import has no place in the order of imports: no upload of it has been accepted yet, or it is a review, which \
                       takes none";
        return Err(Refusal::conflict("not_accepted", message));
    }
    Ok(order)
}

/// The path's key is the canonical key, percent-encoded as a whole: see [`penstock_engine::key::canonical`]. What is
/// invisible at the ends of its parts does not count.
pub(super) async fn show(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<ShowQuery>, QueryRejection>,
) -> Result<Json<views::Record>, Refusal> {
    // A key that is not UTF-8 names no record.
    let Path((kind, key)) = path.map_err(|_| Refusal::not_found("there is no such record"))?;
    let Query(ShowQuery { provenance }) =
        query.map_err(|_| Refusal::bad_request("invalid_query", "provenance is true or false"))?;
    let kind: KindName = kind.parse().map_err(|_| no_kind())?;
    store.kind(&account, &kind).await?.ok_or_else(no_kind)?;
    let record =
        store.record(&account, &kind, &key).await?.ok_or_else(|| Refusal::not_found("there is no such record"))?;
    let provenance = if provenance { Some(provenance::of(&store, &account, &kind, &record).await?) } else { None };
    let (kind, key) = (kind.to_string(), key::tidy(&key).into_owned());
    Ok(Json(views::Record { kind, key, fields: fields(&record)?, provenance }))
}
