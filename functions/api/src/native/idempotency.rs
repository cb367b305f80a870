//! The header `Idempotency-Key`, of requests that make something.

use axum::http::HeaderMap;
use penstock_model::limits;
use penstock_store::idempotency::Idempotency;

use crate::refusal::Refusal;

/// The key that a request came with, if it did, for this body's hash.
///
/// # Errors
/// 400 for one that is none.
pub(super) fn read(headers: &HeaderMap, request: &str) -> Result<Option<Idempotency>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let most = limits::IDEMPOTENCY_KEY_CHARS;
    let key = key.to_str().ok().filter(|key| (1..=most).contains(&key.len()));
    let key = key.ok_or_else(|| {
        let detail = format!("an Idempotency-Key is 1 to {most} printable ASCII characters");
        Refusal::bad_request("invalid_idempotency_key", detail)
    })?;
    Ok(Some(Idempotency { key: key.to_owned(), request: request.to_owned() }))
}

/// 422: the key came with another request.
pub(super) fn reused() -> Refusal {
    let detail = "this Idempotency-Key came with another request within the last 24 hours";
    Refusal::unprocessable("idempotency_key_reused", detail)
}
