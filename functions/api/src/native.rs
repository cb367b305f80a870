//! The native API, `/v1`.

mod accounts;
mod body;
mod create;
mod exports;
mod idempotency;
mod imports;
mod keys;
mod kinds;
mod parts;
mod preview;
mod record_deletes;
mod records;
mod removals;
mod view;

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post},
};
use penstock_model::limits;
use serde_json::{Value, json};

use crate::{api::Api, dialect::Dialect, refusal::Refusal};

pub(crate) static DIALECT: Dialect = Dialect {
    name: "native",
    bases: &["/"],
    kinds: None,
    rate_limits: &[],
    limits: &[],
    router,
    media_type: "application/problem+json",
    error: problem,
    missing: Refusal::no_import,
};

fn router() -> Router<Api> {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/v1/imports", post(create::create).get(imports::list))
        .route("/v1/imports/{id}", get(imports::show).delete(imports::delete))
        .route("/v1/imports/{id}/errors", get(imports::errors))
        .route("/v1/imports/{id}/rejected", get(imports::rejected))
        .route("/v1/imports/{id}/cancel", post(imports::cancel))
        .route("/v1/imports/{id}/removals", get(removals::list))
        .route("/v1/imports/{id}/confirm", post(removals::confirm))
        .route("/v1/imports/{id}/parts", post(parts::sign).delete(parts::give_up))
        .route("/v1/imports/{id}/complete", post(parts::complete).layer(DefaultBodyLimit::max(limits::COMPLETE_BYTES)))
        .route("/v1/imports/{id}/preview", post(preview::preview).layer(DefaultBodyLimit::max(limits::PREVIEW_BYTES)))
        .route("/v1/kinds", get(kinds::list))
        .route("/v1/kinds/{kind}", get(kinds::show).put(kinds::put).delete(kinds::delete))
        .route("/v1/kinds/{kind}/versions", get(kinds::versions))
        .route("/v1/kinds/{kind}/versions/{version}", get(kinds::show_version).delete(kinds::delete_version))
        .route("/v1/kinds/{kind}/template.csv", get(kinds::template))
        .route("/v1/records/{kind}", get(records::list).delete(removals::remove_all))
        .route(
            "/v1/records/{kind}/{key}",
            get(records::show).delete(record_deletes::delete).post(record_deletes::delete_many),
        )
        .route("/v1/exports", post(exports::create).get(exports::list))
        .route("/v1/exports/{id}", get(exports::show).delete(exports::delete))
        .route("/v1/exports/{id}/cancel", post(exports::cancel))
        .route("/v1/accounts", get(accounts::list))
        .route("/v1/accounts/{account}", delete(accounts::remove))
        .route("/v1/accounts/{account}/removal", get(accounts::removal))
        .route("/v1/keys", post(keys::create).get(keys::list))
        .route("/v1/keys/{id}", delete(keys::revoke))
        .layer(DefaultBodyLimit::max(limits::REQUEST_BYTES))
}

/// A refusal as problem details (RFC 9457).
fn problem(refusal: &Refusal) -> Value {
    let Refusal { status, code, message, details, .. } = refusal;
    let title = status.canonical_reason().unwrap_or("Error");
    let mut problem =
        json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": message });
    // Further members of a problem stand beside the others (RFC 9457 §3.2).
    if let (Some(members), Some(Value::Object(more))) = (problem.as_object_mut(), details.clone()) {
        members.extend(more);
    }
    problem
}
