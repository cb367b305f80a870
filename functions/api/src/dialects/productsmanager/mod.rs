//! ProductsManager, `/api/v1/imports`: a form with the file and how to read it.
//!
//! Settled here: a page of errors lists rejected rows, each once, with the word of its first error and the sentences of all; `total` is
//! their number, the same as `error_rows`. `total_rows` counts what has been read until all of the file is. A mapping to what is no field of
//! a product is refused with the form; one of a column that the file does not have fails the import.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use penstock_engine::{kinds, mapping::Names};
use penstock_model::{Format, Import, ImportOptions, KindName, Mode, RowError, Status, limits, rfc3339};
use penstock_store::Store;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{IdPath, find, key_cell, kind};
use crate::{
    Api, Refusal,
    auth::{Account, Create, Read},
    intake, multipart,
};

/// The kind of its records.
pub(crate) const KIND: &str = "productsmanager-products";

/// Errors on a page, when the client names no number, and at most.
const PAGE_DEFAULT: usize = 20;
const PAGE_MAX: usize = 100;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/api/v1/imports", post(create))
        .route("/api/v1/imports/{id}", get(show))
        .route("/api/v1/imports/{id}/errors", get(errors))
}

/// An error in ProductsManager's form.
pub(crate) fn error(refusal: &Refusal) -> Value {
    let Refusal { code, message, details, .. } = refusal;
    json!({ "error": code, "message": message, "details": details.clone().unwrap_or_else(|| json!([])) })
}

fn missing() -> Refusal {
    Refusal::not_found("there is no such import")
}

fn invalid(field: &str, message: &str) -> Refusal {
    let details = json!([{ "field": field, "message": message }]);
    Refusal::unprocessable("validation_error", message).with_details(details)
}

/// What a file holds, by how its content begins: a spreadsheet is a ZIP archive, JSON an array or an object; all else is CSV.
fn detected(start: &[u8]) -> Format {
    if start.starts_with(b"PK\x03\x04") {
        return Format::Xlsx;
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[' | b'{') => Format::Json,
        _ => Format::Csv,
    }
}

/// Bytes at the start of a file by which its format is told.
const START_BYTES: usize = 512;

/// A repeat makes another import.
async fn create(
    State(Api { store, bodies }): State<Api>,
    Account(account, ..): Account<Create>,
    request: Request,
) -> Result<Response, Refusal> {
    let kind = kind(KIND)?;
    let limit = bodies.of(limits::UPLOAD_BYTES);
    limit.check(request.headers())?;
    let id = intake::new_id(&store);
    let mut start = Vec::new();
    let names = ["format", "mapping", "update_existing"];
    let upload = store.upload(&account, &id, limit.bytes);
    let form = multipart::receive(request, &names, upload, limit, |_, piece| {
        start.extend(piece.iter().take(START_BYTES - start.len().min(START_BYTES)));
    })
    .await?;
    let file = form.file.ok_or_else(|| invalid("file", "The file field is required."))?;
    let text = |name: &str| form.texts.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let declared = match text("format") {
        None => None,
        Some("csv") => Some(Format::Csv),
        Some("xlsx") => Some(Format::Xlsx),
        Some("json") => Some(Format::Json),
        Some(_) => return Err(invalid("format", "The format is csv, xlsx or json.")),
    };
    let format = declared.unwrap_or_else(|| detected(&start));
    let mode = match text("update_existing") {
        None | Some("true" | "1") => Mode::Upsert,
        Some("false" | "0") => Mode::Create,
        Some(_) => return Err(invalid("update_existing", "update_existing is true or false.")),
    };
    let mapping = match text("mapping") {
        None => BTreeMap::new(),
        Some(text) => serde_json::from_str(text)
            .map_err(|_| invalid("mapping", "The mapping is a JSON object of column names to field names."))?,
    };
    check_mapping(&kind, &mapping)?;
    let options = ImportOptions { mode, mapping, ..ImportOptions::default() };
    let import = intake::import(&store, &account, kind, form.filename, options);
    let import = Import { id, format: declared, ..import };
    file.finish().await.map_err(|error| limit.refusal(error))?;
    store.create_uploaded_import(&import, None).await?;
    let view = json!({
        "id": import.id, "status": "pending", "format": format.as_str(), "total_rows": 0,
        "created_at": rfc3339(import.created_at),
    });
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// Holds a mapping to the fields of a product.
fn check_mapping(kind: &KindName, mapping: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if mapping.len() > limits::COLUMNS {
        return Err(invalid("mapping", &format!("The mapping names more than {} columns.", limits::COLUMNS)));
    }
    let fields = kinds::bundled(kind).into_iter().flat_map(|schema| &schema.fields);
    let names = Names::new(kind, fields.map(|field| field.name.as_str()), mapping);
    names.check().map_err(|failure| invalid("mapping", &failure.message))
}

fn status(status: Status) -> &'static str {
    match status {
        Status::AwaitingUpload => "pending",
        Status::Processing => "processing",
        Status::Completed => "completed",
        Status::CompletedWithErrors => "completed_with_errors",
        Status::Failed | Status::Cancelled | Status::Expired => "failed",
    }
}

async fn show(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    id: IdPath,
) -> Result<Json<Value>, Refusal> {
    let id = id.map_err(|_| missing())?;
    let import = find(&store, &account, &id, &[KIND]).await?.ok_or_else(missing)?;
    let rows = store.rows(&import).await?;
    Ok(Json(json!({
        "id": import.id,
        "status": status(import.status),
        "total_rows": rows.total.unwrap_or(rows.processed),
        "processed_rows": rows.processed,
        "created_rows": rows.created,
        // A row that says what the product already shows has updated it, as far as its sender is concerned.
        "updated_rows": rows.updated + rows.unchanged,
        "error_rows": rows.failed,
        "created_at": rfc3339(import.created_at),
        "completed_at": import.completed_at.map(rfc3339),
    })))
}

#[derive(Debug, Deserialize)]
struct Page {
    page: Option<u64>,
    per_page: Option<usize>,
}

async fn errors(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    id: IdPath,
    query: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let id = id.map_err(|_| missing())?;
    let Query(Page { page, per_page }) = query.map_err(|_| invalid("page", "page and per_page are whole numbers."))?;
    let (page, per_page) = (page.unwrap_or(1), per_page.unwrap_or(PAGE_DEFAULT));
    if page == 0 {
        return Err(invalid("page", "page is at least 1."));
    }
    if !(1..=PAGE_MAX).contains(&per_page) {
        return Err(invalid("per_page", &format!("per_page is 1 to {PAGE_MAX}.")));
    }
    let import = find(&store, &account, &id, &[KIND]).await?.ok_or_else(missing)?;
    let rows = store.rejected_rows(&import, (page - 1).saturating_mul(per_page as u64), per_page).await?;
    let data: Vec<Value> = rows.iter().map(|errors| row(errors)).collect();
    let total = store.rows(&import).await?.failed;
    Ok(Json(json!({ "data": data, "meta": { "page": page, "per_page": per_page, "total": total } })))
}

/// A rejected row.
fn row(errors: &[RowError]) -> Value {
    let messages: Vec<&str> = errors.iter().map(message).collect();
    json!({
        "row": errors.first().map(|error| error.row), "ean": key_cell(errors), "error": "validation_error",
        "message": messages.join(" "),
    })
}

/// The sentence of the document for an EAN that is none; the engine's own, which names the field, for all else.
fn message(error: &RowError) -> &str {
    match (error.field.as_deref(), error.code.as_str()) {
        (Some("ean"), "invalid_ean" | "wrong_type") => "Invalid EAN format.",
        _ => &error.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_told_by_how_the_content_begins() {
        for (start, format) in [
            (&b"PK\x03\x04\x14"[..], Format::Xlsx),
            (b"\xef\xbb\xbf \n[{\"ean\"", Format::Json),
            (b"{\"ean\":1}\n", Format::Json),
            (b"ean,title\n", Format::Csv),
            (b"", Format::Csv),
        ] {
            assert_eq!(detected(start), format);
        }
    }
}
