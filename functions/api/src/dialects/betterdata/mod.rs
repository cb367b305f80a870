//! Better Data, `/api/import`: arrays of JSON objects, one path for each kind.
//!
//! Settled here: what is no object in an array is a row that fails, as is one whose `lines` are wrong: the envelope alone can fail a
//! request.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    routing::{get, post},
};
use penstock_model::{Status, rfc3339};
use penstock_store::{Store, errors::ErrorCursor};
use serde_json::{Value, json};

use super::{IdPath, SHOWN_ERRORS, find, kind, rows};
use crate::{
    Api, Refusal,
    auth::{Account, Create, Read},
};

/// The last segment of each path, which is the kind of its records, and the array of its body.
const IMPORTS: [(&str, &str); 6] = [
    ("catalog", "products"),
    ("inventory", "levels"),
    ("suppliers", "suppliers"),
    ("purchase-orders", "purchaseOrders"),
    ("orders", "orders"),
    ("demand-history", "records"),
];

/// Bytes of a body, at most; what API Gateway takes. The document names no limit.
pub const BODY_BYTES: u64 = 10 * 1024 * 1024;

pub(super) fn router() -> Router<Api> {
    IMPORTS.into_iter().fold(Router::new().route("/api/import/status/{id}", get(show)), |router, (kind, array)| {
        let create = move |api, account, request| create(api, account, request, kind, array);
        router.route(&format!("/api/import/{kind}"), post(create))
    })
}

/// An error in Better Data's form.
pub(crate) fn error(refusal: &Refusal) -> Value {
    json!({ "error": refusal.message })
}

/// A repeat makes another job.
async fn create(
    State(Api { store, bodies }): State<Api>,
    Account(account, ..): Account<Create>,
    request: Request,
    kind_name: &'static str,
    array: &'static str,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let limit = bodies.of(BODY_BYTES);
    limit.check(request.headers())?;
    let body = rows::body(request.into_body(), limit).await?;
    let document =
        rows::document(&body).ok_or_else(|| Refusal::bad_request("invalid_body", "the body is not valid JSON"))?;
    let members = rows::members(document).unwrap_or_default();
    let rows = members.get(array).and_then(|rows| rows::elements(rows)).filter(|rows| !rows.is_empty());
    let rows = rows.ok_or_else(|| Refusal::bad_request("missing_array", format!("{array}[] is required")))?;
    let import = rows::import(&store, &account, kind(kind_name)?, &rows, limit).await?;
    let envelope = json!({ "jobId": import.id, "status": "PENDING", "rowCount": rows.len() });
    Ok((StatusCode::ACCEPTED, Json(envelope)))
}

fn status(status: Status) -> &'static str {
    match status {
        Status::AwaitingUpload => "PENDING",
        Status::Processing => "PROCESSING",
        // A job with some rejected rows is completed.
        Status::Completed | Status::CompletedWithErrors => "COMPLETED",
        Status::Failed | Status::Cancelled | Status::Expired => "FAILED",
    }
}

async fn show(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    id: IdPath,
) -> Result<Json<Value>, Refusal> {
    let missing = || Refusal::not_found("Job not found");
    let id = id.map_err(|_| missing())?;
    let kinds = IMPORTS.map(|(kind, _)| kind);
    let import = find(&store, &account, &id, &kinds).await?.ok_or_else(missing)?;
    let rows = store.rows(&import).await?;
    let (errors, _) = store.errors(&import.id, ErrorCursor::default(), SHOWN_ERRORS).await?;
    let shown = |error: &penstock_model::RowError| json!({ "row": error.row, "field": error.field, "code": error.code, "message": error.message });
    Ok(Json(json!({
        "jobId": import.id,
        "status": status(import.status),
        "rowCount": import.counted.or(rows.total).unwrap_or(rows.processed),
        "processedCount": rows.processed,
        "failedCount": rows.failed,
        "errors": errors.iter().map(shown).collect::<Vec<Value>>(),
        "completedAt": import.completed_at.map(rfc3339),
    })))
}
