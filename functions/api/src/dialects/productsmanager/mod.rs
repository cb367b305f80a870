//! ProductsManager, `/api/v1/imports`: a form with the file and how to read it.
//!
//! Settled here: a page of errors lists each rejected row once, with the sentences of all its errors; `total` is the
//! number of rejected rows, the same as `error_rows`. `total_rows` is the number of processed rows until the whole file
//! has been read. A mapping to a field that a product does not have is refused at once; a mapping of a column that the
//! file does not have fails the import.

#[cfg(test)]
mod contract;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use penstock_engine::{
    kinds,
    mapping::{self, Names},
};
use penstock_model::{Format, Import, ImportId, ImportOptions, KindName, Mode, RowError, Status, limits, rfc3339};
use penstock_store::Store;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shown::{Counts, key_cell};
#[cfg(test)]
use penstock_model::Scope;

#[cfg(test)]
use crate::contract::op;
use crate::{
    api::Api,
    auth::{Caller, Create, Read},
    contract::{Served, routes},
    dialect::{Dialect, JSON, bundled_kind},
    intake, multipart,
    named::Named,
    refusal::Refusal,
};

pub(crate) static DIALECT: Dialect = Dialect {
    name: "productsmanager",
    bases: &["/api/v1"],
    kinds: Some(&[KIND]),
    rate_limits: &[],
    limits: &[],
    media_type: JSON,
    error,
    missing: Refusal::no_import,
};

pub(crate) static SERVED: Served = Served {
    dialect: &DIALECT,
    router,
    document: include_str!("../../../openapi/productsmanager.json"),
    guide: include_str!("../../../openapi/guides/productsmanager.html"),
    #[cfg(test)]
    contract: &contract::CONTRACT,
};

const KIND: &str = "productsmanager-products";

/// Errors on a page, unless the client sets a number.
const PAGE_DEFAULT: usize = 20;
/// Errors on a page, at most.
const PAGE_MAX: usize = 100;

routes! {
    "/api/v1/imports" => {
        post create => op("createImport", "Imports the file of a form.")
            .needs(Scope::ImportWrite)
            .body(contract::form())
            .answers_with(201, "The import.", "application/json", contract::created())
            .leads(201, &["getImport", "listErrors"], "id", "$response.body#/id")
            .refuses(400, &["duplicate_field", "invalid_form", "too_many_parts"])
            .refuses(409, &["already_uploaded"])
            .refuses(415, &["unsupported_media_type"])
            .refuses(422, &["filename_too_long", "validation_error"])
            .refuses(429, &["too_many_bytes", "too_many_imports"]);
    }
    "/api/v1/imports/{id}" => {
        get show => op("getImport", "Reads an import.")
            .needs(Scope::ImportRead)
            .answers_with(200, "The import.", "application/json", contract::import())
            .refuses(404, &["not_found"]);
    }
    "/api/v1/imports/{id}/errors" => {
        get errors => op("listErrors", "Lists the rejected rows of an import.")
            .needs(Scope::ImportRead)
            .parameter("page", "query", "Which page, from 1.", contract::number(1, None))
            .parameter("per_page", "query", "How many there are on a page.", contract::number(1, Some(PAGE_MAX)))
            .answers_with(200, "A page of them.", "application/json", contract::errors())
            .refuses(404, &["not_found"])
            .refuses(422, &["validation_error"]);
    }
}

fn error(refusal: &Refusal) -> Value {
    let Refusal { code, message, details, .. } = refusal;
    json!({ "error": code, "message": message, "details": details.clone().unwrap_or_else(|| json!([])) })
}

fn invalid(field: &str, message: &str) -> Refusal {
    let details = json!([{ "field": field, "message": message }]);
    Refusal::unprocessable("validation_error", message).with_details(details)
}

/// The format of a file that begins like this: a workbook is a ZIP archive, and JSON is an array or an object; anything
/// else is CSV.
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

/// A repeat creates another import.
async fn create(
    State(Api { store, bodies, .. }): State<Api>,
    Caller { account, by, .. }: Caller<Create>,
    request: Request,
) -> Result<Response, Refusal> {
    let kind = bundled_kind(KIND);
    let limit = bodies.of(limits::UPLOAD_BYTES);
    limit.check(request.headers())?;
    intake::admit_body(&store, &account).await?;
    let id = intake::new_id(&store);
    let names = ["format", "mapping", "update_existing"];
    let upload = store.upload(&account, &id, limit.bytes);
    let form = multipart::receive(request, &names, upload, limit, |_, _| {}).await?;
    let file = form.file.ok_or_else(|| invalid("file", "The file field is required."))?;
    let text = |name: &str| form.texts.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let declared = match text("format") {
        None => None,
        Some("csv") => Some(Format::Csv),
        Some("xlsx") => Some(Format::Xlsx),
        Some("json") => Some(Format::Json),
        Some(_) => return Err(invalid("format", "The format is csv, xlsx or json.")),
    };
    let format = declared.unwrap_or_else(|| detected(&form.start));
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
    let import = intake::import(&store, &account, by, kind, form.filename, options);
    let import = Import { id, format: declared, ..import };
    file.finish().await.map_err(|error| limit.refusal(error))?;
    intake::create_uploaded(&store, &import).await?;
    let view = json!({
        "id": import.id, "status": "pending", "format": format.as_str(), "total_rows": 0,
        "created_at": rfc3339(import.created_at),
    });
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// Refuses a mapping to a field that a product does not have.
fn check_mapping(kind: &KindName, mapping: &BTreeMap<String, String>) -> Result<(), Refusal> {
    mapping::check_size(mapping).map_err(|failure| invalid("mapping", &failure.message))?;
    let fields = kinds::bundled(kind).into_iter().flat_map(|schema| &schema.fields);
    let names = Names::new(kind, fields.map(|field| field.name.as_str()), mapping);
    names.check().map_err(|failure| invalid("mapping", &failure.message))
}

fn status(status: Status) -> &'static str {
    match status {
        Status::AwaitingUpload => "pending",
        Status::Processing | Status::AwaitingConfirmation => "processing",
        Status::Completed => "completed",
        Status::CompletedWithErrors => "completed_with_errors",
        Status::Failed | Status::Cancelled | Status::Expired => "failed",
    }
}

async fn show(State(store): State<Store>, caller: Caller<Read>, id: Named<ImportId>) -> Result<Json<Value>, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    let counts = Counts::of(&store, &import).await?;
    Ok(Json(json!({
        "id": import.id,
        "status": status(import.status),
        "total_rows": counts.total(),
        "processed_rows": counts.processed,
        "created_rows": counts.created,
        "updated_rows": counts.updated,
        "error_rows": counts.failed,
        "created_at": rfc3339(import.created_at),
        "completed_at": import.completed_at.map(rfc3339),
    })))
}

#[derive(Debug, Deserialize)]
struct PageQuery {
    page: Option<u64>,
    per_page: Option<usize>,
}

async fn errors(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(PageQuery { page, per_page }) =
        query.map_err(|_| invalid("page", "page and per_page are whole numbers."))?;
    let (page, per_page) = (page.unwrap_or(1), per_page.unwrap_or(PAGE_DEFAULT));
    if page == 0 {
        return Err(invalid("page", "page is at least 1."));
    }
    if !(1..=PAGE_MAX).contains(&per_page) {
        return Err(invalid("per_page", &format!("per_page is 1 to {PAGE_MAX}.")));
    }
    let import = caller.import(&store, id.get()).await?;
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

/// The document's own sentence for an invalid EAN; for any other error the sentence of the engine, which names the
/// field.
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
    fn the_format_is_detected_from_the_start_of_the_file() {
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
