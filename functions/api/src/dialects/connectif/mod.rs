//! Connectif, `/imports`: a form whose fields come in any order. The file often comes last, and chunked.
//!
//! Settled here: a cancelled import cannot be deleted here; the document allows it for finished imports and errors
//! only. A file is CSV in UTF-8: a workbook, JSON or a compressed file is refused at once, since its `total` cannot be
//! counted while it comes in. `success` counts the processed rows that did not fail.

#[cfg(test)]
mod contract;
mod total;

use std::io::Cursor;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_engine::{
    kind::Kind,
    reading::{self, Hints},
};
use penstock_model::{Format, Grammar, Import, ImportId, ImportOptions, Mode, Status, UTF_8, limits, rfc3339};
use penstock_store::{Store, imports::Filter, quota::Quota, removals::Deleted};
use serde_json::{Value, json};

use self::total::Total;
use super::shown::Counts;
#[cfg(test)]
use penstock_model::Scope;

#[cfg(test)]
use crate::contract::op;
use crate::{
    api::Api,
    auth::{Caller, Create, Delete, Read},
    contract::{Served, routes},
    dialect::{Dialect, JSON, Limit, bundled_kind, kinds_of},
    intake, multipart,
    named::Named,
    page::Page,
    refusal::Refusal,
};

pub(crate) static DIALECT: Dialect = Dialect {
    name: "connectif",
    bases: &["/imports"],
    kinds: Some(&KINDS),
    rate_limits: &[],
    limits: &[
        Limit { name: "CONNECTIF_FILE_BYTES", value: FILE_BYTES, unit: "bytes" },
        Limit { name: "CONNECTIF_UNFINISHED", value: QUOTA.max as u64, unit: "unfinished" },
    ],
    media_type: JSON,
    error,
    missing: Refusal::no_import,
};

pub(crate) static SERVED: Served = Served {
    dialect: &DIALECT,
    router,
    document: include_str!("../../../openapi/connectif.json"),
    guide: include_str!("../../../openapi/guides/connectif.html"),
    #[cfg(test)]
    contract: &contract::CONTRACT,
};

/// The types of imports, and the kinds of their records.
const TYPES: [(&str, &str); 3] =
    [("contacts", "contacts"), ("products", "connectif-products"), ("vouchers", "vouchers")];

const KINDS: [&str; 3] = kinds_of(TYPES);

/// Bytes of a file, at most: "cannot exceed 50 MB in size".
const FILE_BYTES: u64 = 50 * 1024 * 1024;

/// "A maximum of 10 imports can be queued at a time": running imports count too.
const QUOTA: Quota = Quota { name: "connectif", max: 10 };

routes! {
    "/imports" => {
        post create => op("createImport", "Imports the file of a form.")
            .needs(Scope::ImportWrite)
            .body(contract::form())
            .answers_with(201, "The import, with the number of its rows.", "application/json", contract::import())
            .leads(201, &["getImport", "deleteImport"], "id", "$response.body#/id")
            .refuses(400, &["duplicate_field", "invalid_file", "invalid_form", "invalid_parameter", "too_many_parts"])
            .refuses(409, &["already_uploaded"])
            .refuses(415, &["unsupported_media_type"])
            .refuses(422, &["filename_too_long"])
            .refuses(429, &["too_many_bytes", "too_many_imports"]);
        get list => op("listImports", "Lists imports, the newest first.")
            .needs(Scope::ImportRead)
            .pages()
            .answers_with(200, "A page of them.", "application/json", contract::page())
            .leads(200, &["getImport", "deleteImport"], "id", "$response.body#/imports/0/id");
    }
    "/imports/{id}" => {
        get show => op("getImport", "Reads an import.")
            .needs(Scope::ImportRead)
            .answers_with(200, "The import.", "application/json", contract::import())
            .refuses(404, &["not_found"]);
        delete delete => op("deleteImport", "Deletes an import that is finished or an error.")
            .needs(Scope::ImportDelete)
            .done(204, "It is gone.")
            .refuses(404, &["not_found"])
            .refuses(409, &["not_deletable"]);
    }
}

fn error(refusal: &Refusal) -> Value {
    json!({ "error": refusal.code, "message": refusal.message })
}

fn invalid(message: &str) -> Refusal {
    Refusal::bad_request("invalid_parameter", message)
}

fn full() -> Refusal {
    let message = format!("at most {} imports may be queued or running; wait for one to finish", QUOTA.max);
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_imports", message)
        .with(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

/// A repeat creates another import.
async fn create(
    State(Api { store, bodies, .. }): State<Api>,
    Caller { account, by, .. }: Caller<Create>,
    request: Request,
) -> Result<Response, Refusal> {
    let limit = bodies.of(FILE_BYTES);
    // A form that would be refused anyway need not be sent whole. The quota decides when the import is created.
    if !store.has_place(&account, QUOTA).await? {
        return Err(full());
    }
    intake::admit_body(&store, &account).await?;
    let id = intake::new_id(&store);
    let mut total = Total::default();
    let names = ["type", "delimiter", "overrideExisting", "updateOnlyEmptyFields"];
    let upload = store.upload(&account, &id, limit.bytes);
    let form = multipart::receive(request, &names, upload, limit, |texts, piece| {
        total.push(texts.get("delimiter").map(String::as_str), piece);
    })
    .await?;
    let file = form.file.ok_or_else(|| invalid("file is required"))?;
    let text = |name: &str| form.texts.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let named = match text("type") {
        Some("coupons") => Some("vouchers"),
        other => other,
    };
    let (_, kind) = TYPES
        .into_iter()
        .find(|(name, _)| Some(*name) == named)
        .ok_or_else(|| invalid("type is contacts, products or vouchers"))?;
    let delimiter = match text("delimiter") {
        None | Some(",") => ',',
        Some(";") => ';',
        Some(_) => return Err(invalid("delimiter is , or ;")),
    };
    let flag = |name: &str, default| match text(name) {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(invalid(&format!("{name} is true or false"))),
    };
    let mode = match (flag("overrideExisting", false)?, flag("updateOnlyEmptyFields", false)?) {
        (true, false) => Mode::Upsert,
        (true, true) => Mode::Fill,
        (false, false) => Mode::Create,
        (false, true) => return Err(invalid("updateOnlyEmptyFields needs overrideExisting")),
    };
    // The options under which the rows were counted, so that the splitter counts the same rows.
    let options = ImportOptions {
        delimiter: Some(delimiter),
        quoting: Some(true),
        encoding: Some(UTF_8.to_owned()),
        mode,
        ..ImportOptions::default()
    };
    let kind = bundled_kind(kind);
    let compiled = store.compiled_kind(&account, &kind, 0).await?.ok_or_else(Refusal::internal)?;
    if !is_csv(&form.start, &options, &compiled) {
        return Err(Refusal::bad_request("invalid_file", "the file has to be CSV in UTF-8"));
    }
    let counted = Some(total.finish(delimiter));
    let import = intake::import(&store, &account, by, kind, form.filename, options);
    let import = Import { id, counted, format: Some(Format::Csv), ..import };
    file.finish().await.map_err(|error| limit.refusal(error))?;
    if !store.create_uploaded_import(&import, Some(QUOTA)).await? {
        store.order_removal(&account, &import.id).await?;
        // One of the two is full.
        intake::admit_body(&store, &account).await?;
        return Err(full());
    }
    Ok((StatusCode::CREATED, Json(view(&store, &import).await?)).into_response())
}

/// Whether a file that begins like this will be read as uncompressed CSV in UTF-8, as which its rows were counted.
fn is_csv(start: &[u8], options: &ImportOptions, kind: &Kind) -> bool {
    let hints = Hints { format: Some(Format::Csv), filename: None, options, kind, partial: true };
    let layout = reading::resolve(Cursor::new(start), start.len() as u64, &hints);
    layout.is_ok_and(|layout| {
        let is_delimited = matches!(layout.grammar, Grammar::Delimited { .. });
        is_delimited && layout.compression.is_none() && layout.encoding == UTF_8
    })
}

fn status(status: Status) -> &'static str {
    match status {
        Status::AwaitingUpload => "queued",
        Status::Processing | Status::AwaitingConfirmation => "inProgress",
        // `errors` counts rejected rows; the status `error` is for a file that could not be imported at all.
        Status::Completed | Status::CompletedWithErrors => "finished",
        Status::Failed | Status::Expired => "error",
        Status::Cancelled => "cancelled",
    }
}

async fn view(store: &Store, import: &Import) -> Result<Value, Refusal> {
    let counts = Counts::of(store, import).await?;
    let of_type = TYPES.into_iter().find(|(_, kind)| *kind == import.kind.as_str()).map(|(name, _)| name);
    let report_url = match &import.report {
        Some(report) => Some(store.presign_rejected(import, &report.key).await?),
        None => None,
    };
    Ok(json!({
        "id": import.id,
        "type": of_type,
        "status": status(import.status),
        "total": counts.total(),
        "success": counts.succeeded(),
        "errors": counts.failed,
        "createdAt": rfc3339(import.created_at),
        "finishedAt": import.completed_at.map(rfc3339),
        "errorReportFileUrl": report_url,
    }))
}

async fn show(State(store): State<Store>, caller: Caller<Read>, id: Named<ImportId>) -> Result<Json<Value>, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    Ok(Json(view(&store, &import).await?))
}

async fn list(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    page: Page,
) -> Result<Json<Value>, Refusal> {
    let filter = Filter { status: None, kinds: KINDS.map(bundled_kind).into() };
    let (imports, next_cursor) = page.imports(&store, &account, &filter, limits::PAGE_DEFAULT).await?;
    let mut views = Vec::with_capacity(imports.len());
    for import in &imports {
        views.push(view(&store, import).await?);
    }
    Ok(Json(json!({ "imports": views, "nextCursor": next_cursor })))
}

/// A repeat finds no import.
async fn delete(
    State(store): State<Store>,
    caller: Caller<Delete>,
    id: Named<ImportId>,
) -> Result<StatusCode, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    let deletable = matches!(status(import.status), "finished" | "error");
    if deletable && store.delete(&caller.account, &import.id).await? == Deleted::Gone {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::conflict("not_deletable", "only finished imports and errors can be deleted"))
    }
}
