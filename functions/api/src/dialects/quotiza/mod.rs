//! Quotiza, `/api/v1/products`: up to a thousand products in a JSON body.
//!
//! Settled here: an `account_id` other than the key's own account is not found. A number is taken for a string. A
//! product that failed is one error, whose sentence tells everything that is wrong with the product (see [`sentence`]).
//! `successes` counts the processed products that did not fail.

#[cfg(test)]
mod contract;
mod sentence;

use axum::{
    Json,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
};
use penstock_model::{AccountId, RowError, Status, limits};
use penstock_store::rate::Rate;
use serde::Deserialize;
use serde_json::{Value, json};

use self::sentence::sentence;
use super::{
    rows::{self, Rows},
    shown::{Counts, key_cell},
};
#[cfg(test)]
use penstock_model::Scope;

#[cfg(test)]
use crate::contract::op;
use crate::{
    api::Api,
    auth::{Caller, Create, Read},
    contract::{Served, routes},
    dialect::{Dialect, JSON, Limit, bundled_kind},
    rate_limits::{Per, RateLimit, Requests},
    refusal::Refusal,
};

pub(crate) static DIALECT: Dialect = Dialect {
    name: "quotiza",
    bases: &["/api/v1/products"],
    kinds: Some(&[KIND]),
    rate_limits: &[
        RateLimit { requests: Requests::Imports, per: Per::Address, rate: Rate { limit: 5, seconds: 60 } },
        RateLimit { requests: Requests::Imports, per: Per::Account, rate: Rate { limit: 5, seconds: 60 } },
        RateLimit { requests: Requests::All, per: Per::Address, rate: Rate { limit: 10, seconds: 60 } },
    ],
    limits: &[
        Limit { name: "QUOTIZA_BODY_BYTES", value: BODY_BYTES, unit: "bytes" },
        Limit { name: "QUOTIZA_PRODUCTS", value: PRODUCTS as u64, unit: "products" },
        Limit { name: "QUOTIZA_STATUS_BYTES", value: STATUS_QUERY_BYTES, unit: "bytes" },
    ],
    media_type: JSON,
    error,
    missing: || Refusal::new(StatusCode::NOT_FOUND, "job_not_found", "Job not found"),
};

pub(crate) static SERVED: Served = Served {
    dialect: &DIALECT,
    router,
    document: include_str!("../../../openapi/quotiza.json"),
    guide: include_str!("../../../openapi/guides/quotiza.html"),
    #[cfg(test)]
    contract: &contract::CONTRACT,
};

const KIND: &str = "products";

/// "The products array can contain up to 1000 products per request."
const PRODUCTS: usize = 1_000;

/// Bytes of a body, at most: the limit of API Gateway, since the document names none.
const BODY_BYTES: u64 = 10 * 1024 * 1024;

routes! {
    "/api/v1/products/import" => {
        post create => op("importProducts", "Imports products.")
            .needs(Scope::ImportWrite)
            .body(contract::products())
            .answers_with(202, "The job.", "application/json", contract::created())
            .leads_with(202, &["getImportStatus"], &[
                ("account_id", "$request.body#/account_id"),
                ("job_id", "$response.body#/job_id"),
            ])
            .refuses(400, &["invalid_products_data", "missing_account_id"])
            .refuses(404, &["account_not_found"])
            .refuses(413, &["too_many_products"])
            .refuses(422, &["too_much_memory"])
            .refuses(429, &["busy", "too_many_bytes", "too_many_imports"]);
    }
    "/api/v1/products/import_status" => {
        get show => op("getImportStatus", "Reads a job.")
            .about("Both parameters can be sent in the body of the request instead.")
            .needs(Scope::ImportRead)
            .parameter("account_id", "query", "The account of the key.", contract::plain())
            .parameter("job_id", "query", "The id of the job.", contract::plain())
            .answers_with(200, "The job.", "application/json", contract::job())
            .refuses(400, &["missing_account_id", "unreadable_body"])
            .refuses(404, &["account_not_found", "job_not_found"])
            .refuses(413, &["body_too_large"]);
    }
}

/// An error, with the codes and sentences of the document where it has them.
fn error(refusal: &Refusal) -> Value {
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

/// Refuses a request that names another account than the key's own.
fn check_account(named: Option<&str>, account: &AccountId) -> Result<(), Refusal> {
    match named {
        None | Some("") => Err(Refusal::bad_request("missing_account_id", "account_id is required")),
        Some(named) if named == account.as_str() => Ok(()),
        Some(_) => Err(Refusal::new(StatusCode::NOT_FOUND, "account_not_found", "Account not found")),
    }
}

/// A repeat creates another job, which leaves the same catalogue.
async fn create(
    State(Api { store, bodies, work, .. }): State<Api>,
    Caller { account, by, .. }: Caller<Create>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let limit = bodies.of(BODY_BYTES);
    limit.check(request.headers())?;
    let body = rows::body(request.into_body(), limit).await?;
    let of = account.clone();
    let (products, _memory) = rows::read(&work, &account, body, move |body| products(body, &of)).await?;
    let import = rows::import(&store, &account, by, bundled_kind(KIND), &products, limit).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "job_id": import.id }))))
}

/// The products of a body of this account's.
fn products(sent: &[u8], account: &AccountId) -> Result<Rows, Refusal> {
    let body = rows::document(sent).and_then(rows::members).ok_or_else(invalid)?;
    check_account(rows::text(body.get("account_id")).as_deref(), account)?;
    let products = body.get("products").and_then(|products| rows::elements(products)).ok_or_else(invalid)?;
    if products.len() > PRODUCTS {
        let message = format!("Too many products. Maximum allowed is {PRODUCTS}.");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_products", message));
    }
    if products.is_empty() || !products.iter().all(|product| rows::is_object(product)) {
        return Err(invalid());
    }
    Ok(Rows::new(&products))
}

/// The parameters of a status.
#[derive(Debug, Default, Deserialize)]
struct StatusQuery {
    account_id: Option<String>,
    job_id: Option<String>,
}

/// Bytes of a body with the parameters of a status, at most.
const STATUS_QUERY_BYTES: u64 = 64 * 1024;

async fn show(
    State(Api { store, bodies, .. }): State<Api>,
    caller: Caller<Read>,
    query: Result<Query<StatusQuery>, QueryRejection>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let Query(mut asked) = query.unwrap_or_default();
    if asked.account_id.is_none() || asked.job_id.is_none() {
        // A GET whose parameters are in its body. A body that is not JSON holds none.
        let body = rows::body(request.into_body(), bodies.of(STATUS_QUERY_BYTES)).await?;
        let body = rows::document(&body).and_then(rows::members).unwrap_or_default();
        asked.account_id = asked.account_id.or_else(|| rows::text(body.get("account_id")));
        asked.job_id = asked.job_id.or_else(|| rows::text(body.get("job_id")));
    }
    check_account(asked.account_id.as_deref(), &caller.account)?;
    let job_id = asked.job_id.and_then(|id| id.parse().ok());
    let import = caller.import(&store, job_id.as_ref()).await?;
    let counts = Counts::of(&store, &import).await?;
    let failed = store.rejected_rows(&import, 0, limits::SHOWN_ERRORS).await?;
    Ok(Json(json!({
        "job_id": import.id,
        "status": status(import.status),
        "total": counts.total(),
        "processed": counts.processed,
        "successes": counts.succeeded(),
        "failures": counts.failed,
        "errors": failed.iter().map(|errors| shown(errors)).collect::<Vec<Value>>(),
    })))
}

fn status(status: Status) -> &'static str {
    match status {
        Status::AwaitingUpload => "pending",
        Status::Processing | Status::AwaitingConfirmation => "processing",
        // A job with some rejected products is completed.
        Status::Completed | Status::CompletedWithErrors => "completed",
        Status::Failed | Status::Cancelled | Status::Expired => "failed",
    }
}

/// A rejected product. `line` is its place in the array, from 1.
fn shown(errors: &[RowError]) -> Value {
    json!({ "line": errors.first().map(|error| error.row), "sku": key_cell(errors), "message": sentence(errors) })
}
