//! Better Data, `/api/import`: arrays of JSON objects, one path for each kind.
//!
//! Settled here: an element of the array that is not an object is a row that fails, and so is a row whose `lines` are
//! wrong. Only the envelope can fail a request.

#[cfg(test)]
mod contract;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use penstock_model::{ImportId, RowError, Status, limits, rfc3339};
use penstock_store::{Store, errors::ErrorCursor};
use serde_json::{Value, json};

use super::{
    rows::{self, Rows},
    shown::Counts,
};
#[cfg(test)]
use penstock_model::Scope;

#[cfg(test)]
use crate::contract::op;
use crate::{
    api::Api,
    auth::{Caller, Create, Read},
    contract::{Served, routes},
    dialect::{Dialect, JSON, Limit, bundled_kind, kinds_of},
    named::Named,
    refusal::Refusal,
};

pub(crate) static DIALECT: Dialect = Dialect {
    name: "betterdata",
    bases: &["/api/import"],
    kinds: Some(&kinds_of(ARRAYS)),
    rate_limits: &[],
    limits: &[Limit { name: "BETTER_DATA_BODY_BYTES", value: BODY_BYTES, unit: "bytes" }],
    media_type: JSON,
    error,
    missing: || Refusal::not_found("Job not found"),
};

pub(crate) static SERVED: Served = Served {
    dialect: &DIALECT,
    router,
    document: include_str!("../../../openapi/betterdata.json"),
    guide: include_str!("../../../openapi/guides/betterdata.html"),
    #[cfg(test)]
    contract: &contract::CONTRACT,
};

/// The array in the body of each path, and the kind of its rows, which is the last segment of the path.
const ARRAYS: [(&str, &str); 6] = [
    ("products", "catalog"),
    ("levels", "inventory"),
    ("suppliers", "suppliers"),
    ("purchaseOrders", "purchase-orders"),
    ("orders", "orders"),
    ("records", "demand-history"),
];

/// Bytes of a body, at most: the limit of API Gateway, since the document names none.
const BODY_BYTES: u64 = 10 * 1024 * 1024;

routes! {
    "/api/import/catalog" => {
        post |api, caller, request| create(api, caller, request, ARRAYS[0]) =>
            contract::create("importCatalog", ARRAYS[0].0);
    }
    "/api/import/inventory" => {
        post |api, caller, request| create(api, caller, request, ARRAYS[1]) =>
            contract::create("importInventory", ARRAYS[1].0);
    }
    "/api/import/suppliers" => {
        post |api, caller, request| create(api, caller, request, ARRAYS[2]) =>
            contract::create("importSuppliers", ARRAYS[2].0);
    }
    "/api/import/purchase-orders" => {
        post |api, caller, request| create(api, caller, request, ARRAYS[3]) =>
            contract::create("importPurchaseOrders", ARRAYS[3].0);
    }
    "/api/import/orders" => {
        post |api, caller, request| create(api, caller, request, ARRAYS[4]) =>
            contract::create("importOrders", ARRAYS[4].0);
    }
    "/api/import/demand-history" => {
        post |api, caller, request| create(api, caller, request, ARRAYS[5]) =>
            contract::create("importDemandHistory", ARRAYS[5].0);
    }
    "/api/import/status/{id}" => {
        get show => op("getJob", "Reads a job.")
            .needs(Scope::ImportRead)
            .answers_with(200, "The job.", "application/json", contract::job())
            .refuses(404, &["not_found"]);
    }
}

fn error(refusal: &Refusal) -> Value {
    json!({ "error": refusal.message })
}

/// A repeat creates another job.
async fn create(
    State(Api { store, bodies, work, .. }): State<Api>,
    Caller { account, by, .. }: Caller<Create>,
    request: Request,
    (array, kind): (&'static str, &'static str),
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let limit = bodies.of(BODY_BYTES);
    limit.check(request.headers())?;
    let body = rows::body(request.into_body(), limit).await?;
    let (rows, _memory) = rows::read(&work, &account, body, move |body| rows_of(body, array)).await?;
    let import = rows::import(&store, &account, by, bundled_kind(kind), &rows, limit).await?;
    let envelope = json!({ "jobId": import.id, "status": "PENDING", "rowCount": rows.len() });
    Ok((StatusCode::ACCEPTED, Json(envelope)))
}

/// The rows of a body, which are in this array.
fn rows_of(body: &[u8], array: &str) -> Result<Rows, Refusal> {
    let document =
        rows::document(body).ok_or_else(|| Refusal::bad_request("invalid_body", "the body is not valid JSON"))?;
    let members = rows::members(document).unwrap_or_default();
    let rows = members.get(array).and_then(|rows| rows::elements(rows)).filter(|rows| !rows.is_empty());
    let rows = rows.ok_or_else(|| Refusal::bad_request("missing_array", format!("{array}[] is required")))?;
    Ok(Rows::new(&rows))
}

fn status(status: Status) -> &'static str {
    match status {
        Status::AwaitingUpload => "PENDING",
        Status::Processing | Status::AwaitingConfirmation => "PROCESSING",
        // A job with some rejected rows is completed.
        Status::Completed | Status::CompletedWithErrors => "COMPLETED",
        Status::Failed | Status::Cancelled | Status::Expired => "FAILED",
    }
}

async fn show(State(store): State<Store>, caller: Caller<Read>, id: Named<ImportId>) -> Result<Json<Value>, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    let counts = Counts::of(&store, &import).await?;
    let (errors, _) = store.errors(&import.id, ErrorCursor::default(), limits::SHOWN_ERRORS).await?;
    let shown = |error: &RowError| json!({ "row": error.row, "field": error.field, "code": error.code, "message": error.message });
    Ok(Json(json!({
        "jobId": import.id,
        "status": status(import.status),
        "rowCount": counts.total(),
        "processedCount": counts.processed,
        "failedCount": counts.failed,
        "errors": errors.iter().map(shown).collect::<Vec<Value>>(),
        "completedAt": import.completed_at.map(rfc3339),
    })))
}
