//! Quotiza, `/api/v1/products`: up to a thousand products in a JSON body.
//!
//! Settled here: an `account_id` that is not the key's own is an account that is not found. A number is taken for a string. A product that
//! failed is one error, with one sentence for all that is wrong with it (see [`sentence`]). Success is all but failed.

mod sentence;

use axum::{
    Json, Router,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
    routing::{get, post},
};
use penstock_model::{AccountId, RowError, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use self::sentence::sentence;
use super::{SHOWN_ERRORS, find, key_cell, kind, rows};
use crate::{
    Api, Refusal,
    auth::{Account, Create, Read},
};

/// The kind of its records.
pub(crate) const KIND: &str = "products";

/// "The products array can contain up to 1000 products per request."
pub const PRODUCTS: usize = 1_000;

/// Bytes of a body, at most; what API Gateway takes. The document names no limit.
pub const BODY_BYTES: u64 = 10 * 1024 * 1024;

pub(super) fn router() -> Router<Api> {
    Router::new().route("/api/v1/products/import", post(create)).route("/api/v1/products/import_status", get(show))
}

/// An error in Quotiza's form, with the codes and sentences of its document where it has them.
pub(crate) fn error(refusal: &Refusal) -> Value {
    let (code, message) = match (refusal.status, &*refusal.code) {
        (StatusCode::UNAUTHORIZED, _) => ("unauthorized", "Authentication token is missing or invalid"),
        (_, "rate_limited") => ("throttle_limit_reached", refusal.message.as_str()),
        (_, code) => (code, refusal.message.as_str()),
    };
    json!({ "error": { "code": code, "message": message, "status": refusal.status.as_u16() } })
}

fn invalid() -> Refusal {
    Refusal::bad_request("invalid_products_data", "Invalid products data")
}

fn job_not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "job_not_found", "Job not found")
}

/// Holds the account that the request names to the key's own.
fn check_account(named: Option<&str>, account: &AccountId) -> Result<(), Refusal> {
    match named {
        None | Some("") => Err(Refusal::bad_request("missing_account_id", "account_id is required")),
        Some(named) if named == account.as_str() => Ok(()),
        Some(_) => Err(Refusal::new(StatusCode::NOT_FOUND, "account_not_found", "Account not found")),
    }
}

/// A repeat makes another job, which leaves the same catalogue.
async fn create(
    State(Api { store, bodies }): State<Api>,
    Account(account, ..): Account<Create>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let limit = bodies.of(BODY_BYTES);
    limit.check(request.headers())?;
    let body = rows::body(request.into_body(), limit).await?;
    let body = rows::document(&body).and_then(rows::members).ok_or_else(invalid)?;
    check_account(rows::text(body.get("account_id")).as_deref(), &account)?;
    let products = body.get("products").and_then(|products| rows::elements(products)).ok_or_else(invalid)?;
    if products.len() > PRODUCTS {
        let message = format!("Too many products. Maximum allowed is {PRODUCTS}.");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_products", message));
    }
    if products.is_empty() || !products.iter().all(|product| rows::is_object(product)) {
        return Err(invalid());
    }
    let import = rows::import(&store, &account, kind(KIND)?, &products, limit).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "job_id": import.id }))))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    account_id: Option<String>,
    job_id: Option<String>,
}

/// Bytes of the body of a question, at most.
const QUESTION_BYTES: u64 = 64 * 1024;

async fn show(
    State(Api { store, bodies }): State<Api>,
    Account(account, ..): Account<Read>,
    query: Result<Query<Asked>, QueryRejection>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let Query(mut asked) = query.unwrap_or_default();
    if asked.account_id.is_none() || asked.job_id.is_none() {
        // A GET whose parameters are in its body. One that is no JSON holds none.
        let body = rows::body(request.into_body(), bodies.of(QUESTION_BYTES)).await?;
        let body = rows::document(&body).and_then(rows::members).unwrap_or_default();
        asked.account_id = asked.account_id.or_else(|| rows::text(body.get("account_id")));
        asked.job_id = asked.job_id.or_else(|| rows::text(body.get("job_id")));
    }
    check_account(asked.account_id.as_deref(), &account)?;
    let job_id = asked.job_id.unwrap_or_default();
    let import = find(&store, &account, &job_id, &[KIND]).await?.ok_or_else(job_not_found)?;
    let rows = store.rows(&import).await?;
    let failed = store.rejected_rows(&import, 0, SHOWN_ERRORS).await?;
    Ok(Json(json!({
        "job_id": import.id,
        "status": status(import.status),
        "total": import.counted.or(rows.total).unwrap_or(rows.processed),
        "processed": rows.processed,
        "successes": rows.processed - rows.failed,
        "failures": rows.failed,
        "errors": failed.iter().map(|errors| shown(errors)).collect::<Vec<Value>>(),
    })))
}

fn status(status: Status) -> &'static str {
    match status {
        Status::AwaitingUpload => "pending",
        Status::Processing => "processing",
        // A partial failure is completed.
        Status::Completed | Status::CompletedWithErrors => "completed",
        Status::Failed | Status::Cancelled | Status::Expired => "failed",
    }
}

/// `line` is the product's place in the array, from 1.
fn shown(errors: &[RowError]) -> Value {
    json!({ "line": errors.first().map(|error| error.row), "sku": key_cell(errors), "message": sentence(errors) })
}
