//! Five existing import APIs at their documented paths, over the same imports as the native one: a client written for one of them changes
//! its base URL and its credential. Each one's wire types stay in its folder; what it leaves open is settled in its own words there.

pub(crate) mod algure;
pub(crate) mod betterdata;
pub(crate) mod connectif;
pub(crate) mod productsmanager;
pub(crate) mod quotiza;

use axum::{Router, extract::Path, extract::rejection::PathRejection};
use penstock_engine::kinds;
use penstock_model::{AccountId, Import, KindName};
use penstock_store::Store;
use serde_json::Value;

use crate::{Api, Refusal};

/// Row errors that a status shows, at most: the first ones of the file.
const SHOWN_ERRORS: usize = 1_000;

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

/// A JSON body, at most `limit` bytes of it.
///
/// # Errors
/// `too_large` beyond the limit, `malformed` for what is no JSON.
async fn json(body: axum::body::Body, limit: crate::intake::BodyLimit, malformed: Refusal) -> Result<Value, Refusal> {
    let most = usize::try_from(limit.bytes).unwrap_or(usize::MAX);
    let bytes = match axum::body::to_bytes(body, most).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let source = std::error::Error::source(&error);
            let too_large = source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            return Err(if too_large { limit.exceeded() } else { crate::intake::unreadable() });
        }
    };
    serde_json::from_slice(&bytes).map_err(|_| malformed)
}

/// Where the rows of a JSON body go once the engine reads JSON: they become an import's upload, as a form's file does.
///
/// # Errors
/// Always, until then: 501.
fn json_rows(_kind: &KindName, _rows: &[Value]) -> Result<std::convert::Infallible, Refusal> {
    let message = "rows in JSON are not imported yet";
    Err(Refusal::new(axum::http::StatusCode::NOT_IMPLEMENTED, "json_not_imported", message))
}
