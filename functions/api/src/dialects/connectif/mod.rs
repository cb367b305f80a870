//! Connectif, `/imports`: a form whose fields come in any order, the file often last and chunked.
//!
//! Settled here: an import that was cancelled cannot be deleted here, only finished ones and errors, as the document has it. A file is CSV in
//! UTF-8 and nothing else: a workbook, JSON or a packed file is refused at once, since its `total` cannot be told while it comes in. Success
//! is all but failed.

mod total;

use std::io::Cursor;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use penstock_engine::{
    kind::Kind,
    reading::{self, Hints},
};
use penstock_model::{Format, Grammar, Import, ImportOptions, Mode, Status, UTF_8, limits, rfc3339};
use penstock_store::{Store, imports::Filter, uploaded::Quota};
use serde_json::{Value, json};

use self::total::Total;
use super::{IdPath, find, kind};
use crate::{
    Api, Refusal,
    auth::{Account, Create, Delete, Read},
    intake, multipart,
    page::Page,
};

/// Its types, and the kinds of their records.
const TYPES: [(&str, &str); 3] =
    [("contacts", "contacts"), ("products", "connectif-products"), ("vouchers", "vouchers")];

const KINDS: [&str; 3] = [TYPES[0].1, TYPES[1].1, TYPES[2].1];

/// Bytes of a file, at most: "cannot exceed 50 MB in size".
pub const FILE_BYTES: u64 = 50 * 1024 * 1024;

/// "A maximum of 10 imports can be queued at a time": those that run are counted with them.
pub const UNFINISHED: usize = 10;

const QUOTA: Quota = Quota { name: "connectif", max: UNFINISHED };

pub(super) fn router() -> Router<Api> {
    Router::new().route("/imports", post(create).get(list)).route("/imports/{id}", get(show).delete(delete))
}

/// An error in Connectif's form.
pub(crate) fn error(refusal: &Refusal) -> Value {
    json!({ "error": refusal.code, "message": refusal.message })
}

fn missing() -> Refusal {
    Refusal::not_found("there is no such import")
}

fn invalid(message: &str) -> Refusal {
    Refusal::bad_request("invalid_parameter", message)
}

fn full() -> Refusal {
    let message = format!("at most {} imports may be queued or running; wait for one to finish", QUOTA.max);
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_imports", message)
        .with(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

/// A repeat makes another import.
async fn create(
    State(Api { store, bodies }): State<Api>,
    Account(account, ..): Account<Create>,
    request: Request,
) -> Result<Response, Refusal> {
    let limit = bodies.of(FILE_BYTES);
    // One that would be refused anyway need not be sent whole; whether there is room is decided when the import is made.
    if !store.has_room(&account, QUOTA).await? {
        return Err(full());
    }
    let id = intake::new_id(&store);
    let mut total = Total::default();
    let mut start = Vec::new();
    let names = ["type", "delimiter", "overrideExisting", "updateOnlyEmptyFields"];
    let upload = store.upload(&account, &id, limit.bytes);
    let form = multipart::receive(request, &names, upload, limit, |texts, piece| {
        start.extend(piece.iter().take(START_BYTES - start.len().min(START_BYTES)));
        total.push(texts.get("delimiter").map(String::as_str), piece);
    })
    .await?;
    let file = form.file.ok_or_else(|| invalid("file is required"))?;
    let text = |name: &str| form.texts.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let named = match text("type") {
        Some("coupons") => Some("vouchers"),
        other => other,
    };
    let (_, kind_name) = TYPES
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
    // All that the count went by, so that the splitter goes by it too.
    let options = ImportOptions {
        delimiter: Some(delimiter),
        quoting: Some(true),
        encoding: Some(UTF_8.to_owned()),
        mode,
        ..ImportOptions::default()
    };
    let kind = kind(kind_name)?;
    let compiled = store.compiled_kind(&account, &kind, 0).await?.ok_or_else(Refusal::internal)?;
    if !is_csv(&start, &options, &compiled) {
        return Err(Refusal::bad_request("invalid_file", "the file has to be CSV in UTF-8"));
    }
    let counted = Some(total.finish(delimiter));
    let import = intake::import(&store, &account, kind, form.filename, options);
    let import = Import { id, counted, format: Some(Format::Csv), ..import };
    file.finish().await.map_err(|error| limit.refusal(error))?;
    if !store.create_uploaded_import(&import, Some(QUOTA)).await? {
        store.discard_upload(&account, &import.id).await?;
        return Err(full());
    }
    Ok((StatusCode::CREATED, Json(view(&store, &import).await?)).into_response())
}

/// Bytes at the start of a file by which it is told whether it is CSV.
const START_BYTES: usize = 512;

/// Whether a file that begins like this will be taken for plain CSV in UTF-8, as which its rows were counted.
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
        Status::Processing => "inProgress",
        // Rows that were rejected are its `errors`; `error` is a file that could not be imported at all.
        Status::Completed | Status::CompletedWithErrors => "finished",
        Status::Failed | Status::Expired => "error",
        Status::Cancelled => "cancelled",
    }
}

async fn view(store: &Store, import: &Import) -> Result<Value, Refusal> {
    let rows = store.rows(import).await?;
    let of_type = TYPES.into_iter().find(|(_, kind)| *kind == import.kind.as_str()).map(|(name, _)| name);
    let report_url = match &import.report {
        Some(report) => Some(store.presign_rejected(import, &report.key).await?),
        None => None,
    };
    Ok(json!({
        "id": import.id,
        "type": of_type,
        "status": status(import.status),
        "total": import.counted.or(rows.total).unwrap_or(rows.processed),
        "success": rows.processed - rows.failed,
        "errors": rows.failed,
        "createdAt": rfc3339(import.created_at),
        "finishedAt": import.completed_at.map(rfc3339),
        "errorReportFileUrl": report_url,
    }))
}

async fn show(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    id: IdPath,
) -> Result<Json<Value>, Refusal> {
    let id = id.map_err(|_| missing())?;
    let import = find(&store, &account, &id, &KINDS).await?.ok_or_else(missing)?;
    Ok(Json(view(&store, &import).await?))
}

async fn list(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    page: Page,
) -> Result<Json<Value>, Refusal> {
    let kinds = KINDS.into_iter().map(kind).collect::<Result<_, _>>()?;
    let filter = Filter { status: None, kinds };
    let (imports, next_cursor) = page.imports(&store, &account, &filter, limits::PAGE_DEFAULT).await?;
    let mut views = Vec::with_capacity(imports.len());
    for import in &imports {
        views.push(view(&store, import).await?);
    }
    Ok(Json(json!({ "imports": views, "nextCursor": next_cursor })))
}

/// A repeat finds no such import.
async fn delete(
    State(store): State<Store>,
    Account(account, ..): Account<Delete>,
    id: IdPath,
) -> Result<StatusCode, Refusal> {
    let id = id.map_err(|_| missing())?;
    let import = find(&store, &account, &id, &KINDS).await?.ok_or_else(missing)?;
    let deletable = matches!(status(import.status), "finished" | "error");
    if deletable && store.delete(&account, &import.id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::conflict("not_deletable", "only finished imports and errors can be deleted"))
    }
}
