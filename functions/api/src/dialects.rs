//! Five existing import APIs at their documented paths, over the same imports as the native one: a client written for one of them changes
//! its base URL and its credential. Each one's wire types stay in its folder; what it leaves open is settled in its own words there.

pub(crate) mod algure;
pub(crate) mod betterdata;
pub(crate) mod connectif;
pub(crate) mod productsmanager;
pub(crate) mod quotiza;

mod rows;

use axum::{Router, extract::Path, extract::rejection::PathRejection};
use penstock_engine::{key, kinds};
use penstock_model::{AccountId, Import, KindName, RowError};
use penstock_store::Store;

use crate::{Api, Refusal};

/// Row errors that a status shows, at most: the first ones of the file.
pub const SHOWN_ERRORS: usize = 1_000;

pub(crate) fn router() -> Router<Api> {
    Router::new()
        .merge(algure::router())
        .merge(betterdata::router())
        .merge(connectif::router())
        .merge(productsmanager::router())
        .merge(quotiza::router())
}

/// The id in a path. One that is no UTF-8 is no import's.
type IdPath = Result<Path<String>, PathRejection>;

/// The account's import of this id, if it is of one of the kinds that a dialect imports; any other looks like none.
async fn find(store: &Store, account: &AccountId, id: &str, kinds: &[&str]) -> Result<Option<Import>, Refusal> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let import = store.import(account, &id).await?;
    Ok(import.filter(|import| kinds.contains(&import.kind.as_str())))
}

/// The name of a bundled kind that a dialect imports.
///
/// # Errors
/// When this version bundles none of the name.
fn kind(name: &str) -> Result<KindName, Refusal> {
    let kind: Option<KindName> = name.parse().ok();
    kind.filter(|kind| kinds::bundled(kind).is_some()).ok_or_else(|| {
        tracing::error!(kind = name, "a dialect's kind is not bundled");
        Refusal::internal()
    })
}

/// What a rejected row holds in the one field of its record's key, as it came.
fn key_cell(errors: &[RowError]) -> Option<String> {
    errors.first()?.key.as_deref().map(key::unescaped)
}
