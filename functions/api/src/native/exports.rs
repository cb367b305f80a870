//! Ordering, reading, cancelling and deleting exports.
//!
//! All of it takes the scope of who may read records: an export gives nothing that a list of records does not give, and
//! cancelling or deleting one removes nothing but its own file.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_engine::export::RecordWriter;
use penstock_model::{
    ChangedAfter, Export, ExportCompression, ExportFormat, ExportId, ExportStatus, ImportId, KindName, Order, limits,
    rfc3339, views,
};
use penstock_store::{Store, StoreError, exports::ExportCreation, idempotency::Idempotency, random};
use serde::Deserialize;

use super::{
    body::{JsonBody, JsonShape},
    idempotency, records,
};
use crate::{
    api::Api,
    auth::{Caller, Read},
    named::Named,
    page::{self, Page},
    refusal::Refusal,
    work::Work,
};

/// The body of `POST /v1/exports`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ExportRequest {
    kind: KindName,
    #[serde(default)]
    format: ExportFormat,
    #[serde(default)]
    compression: ExportCompression,
    changed_after: Option<ImportId>,
}

impl JsonShape for ExportRequest {
    const ARRAYS: &'static [&'static str] = &[];
}

/// An export as it is shown.
async fn shown(store: &Store, export: Export) -> Result<views::Export, StoreError> {
    let file = match export.has_file(store.now_ms()) {
        true => Some(store.presign_export(&export).await?),
        false => None,
    };
    let (url, url_expires_at) = file.map(|(url, until)| (url, rfc3339(until))).unzip();
    Ok(views::Export {
        id: export.id.to_string(),
        kind: export.kind.to_string(),
        kind_version: Some(export.kind_version).filter(|version| *version > 0),
        format: export.format,
        compression: export.compression,
        changed_after: export.changed_after.map(|after| after.import.to_string()),
        status: export.status,
        created_at: rfc3339(export.created_at),
        ended_at: export.ended_at.map(rfc3339),
        retained_until: export.retained_until.map(rfc3339),
        records: export.checkpoint.records,
        deleted: export.checkpoint.deleted,
        inexact: export.checkpoint.inexact,
        bytes: export.checkpoint.bytes,
        failure: export.failure,
        url,
        url_expires_at,
    })
}

/// A repeat with the same `Idempotency-Key` gives the same export; without one it orders another.
pub(super) async fn create(
    State(Api { store, work, .. }): State<Api>,
    caller: Caller<Read>,
    headers: HeaderMap,
    body: JsonBody<ExportRequest>,
) -> Result<Response, Refusal> {
    let idempotency = idempotency::read(&headers, &body.hash)?;
    let export = match order(&store, &work, &caller, body.value, idempotency.as_ref()).await {
        Ok(export) => export,
        // What the same request has ordered before is there, whatever has become since of the kind and the import that
        // it names.
        Err(refusal) => match &idempotency {
            None => return Err(refusal),
            Some(idempotency) => match store.made_before(&caller.account, idempotency).await? {
                None => return Err(refusal),
                Some(id) => repeated(&store, &caller, &id).await?,
            },
        },
    };
    // Relative to this request, so that it is right behind a stage too.
    let location = format!("exports/{}", export.id);
    let view = shown(&store, export).await?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// Orders the export of a request as things are now. A repeat with the same `Idempotency-Key` gives that of the first
/// time, if it could be ordered now.
///
/// # Errors
/// Why it cannot be ordered now.
async fn order(
    store: &Store,
    work: &Work,
    caller: &Caller<Read>,
    request: ExportRequest,
    idempotency: Option<&Idempotency>,
) -> Result<Export, Refusal> {
    let account = caller.account.clone();
    let ExportRequest { kind, format, compression, changed_after } = request;
    let no_kind = || Refusal::unprocessable("unknown_kind", format!("there is no kind `{kind}`"));
    let found = store.kind(&account, &kind).await?.ok_or_else(no_kind)?;
    let is_csv = format == ExportFormat::Csv;
    if is_csv && changed_after.is_some() {
        let message = "CSV has no row that says that a record was deleted: take `ndjson` with changed_after";
        return Err(Refusal::unprocessable("not_flat", message));
    }
    if is_csv || changed_after.is_some() {
        // It may have to be compiled.
        let _share = work.share(&account, 0).await?;
        let compiled = store.compiled_kind(&account, &kind, found.version).await?.ok_or_else(no_kind)?;
        let checked = match is_csv {
            true => RecordWriter::new(compiled, &account, format).map(drop),
            false => RecordWriter::check_deletions(&compiled),
        };
        checked.map_err(|failure| Refusal::unprocessable(failure.code, failure.message))?;
    }
    let changed_after = match changed_after {
        None => None,
        Some(import) => {
            let order = records::place_of(store, caller, Some(&import), &kind, "export").await?;
            Some(ChangedAfter { order, import })
        }
    };
    let now = store.now_ms();
    let export = Export::new(ExportId::new(now, random()), account, kind.clone(), now);
    let export = Export { kind_version: found.version, format, compression, changed_after, ..export };
    match store.create_export(&export, idempotency).await? {
        ExportCreation::Created => {
            // Where this is lost, the sweeper sends it.
            store.send(&Order::to_export(&export)).await?;
            Ok(export)
        }
        ExportCreation::Repeated(id) => repeated(store, caller, &id).await,
        ExportCreation::OtherRequest => Err(idempotency::reused()),
        ExportCreation::NoPlace => Err(no_place()),
    }
}

/// The export of this id, which a repeated request has ordered before.
///
/// # Errors
/// 409 where it has been deleted.
async fn repeated(store: &Store, caller: &Caller<Read>, id: &ExportId) -> Result<Export, Refusal> {
    let first = store.export(&caller.account, id).await?.filter(|export| !export.deleted);
    let deleted = "the export that this Idempotency-Key made has been deleted";
    first.ok_or_else(|| Refusal::conflict("export_deleted", deleted))
}

fn no_place() -> Refusal {
    let message = format!(
        "{} exports of the account are unfinished, and no more can be at once: wait for one, or cancel one",
        limits::ACCOUNT_EXPORTS
    );
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_exports", message);
    refusal.with(header::RETRY_AFTER, HeaderValue::from_static("60"))
}

fn no_export() -> Refusal {
    Refusal::not_found("there is no such export")
}

/// The caller's export of this id, unless it was deleted.
async fn find(store: &Store, caller: &Caller<Read>, id: Option<&ExportId>) -> Result<Export, Refusal> {
    let id = id.ok_or_else(no_export)?;
    store.export(&caller.account, id).await?.filter(|export| !export.deleted).ok_or_else(no_export)
}

pub(super) async fn list(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    page: Page,
) -> Result<Json<views::ExportPage>, Refusal> {
    let limit = page.limit(limits::PAGE_DEFAULT)?;
    let found = store.list_exports(&account, page.after()?.as_ref(), limit + 1).await?;
    let (found, next_cursor) = page::cut(found, limit, |export| export.id.to_string());
    let mut exports = Vec::with_capacity(found.len());
    for export in found {
        exports.push(shown(&store, export).await?);
    }
    Ok(Json(views::ExportPage { exports, next_cursor }))
}

pub(super) async fn show(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ExportId>,
) -> Result<Json<views::Export>, Refusal> {
    let export = find(&store, &caller, id.get()).await?;
    Ok(Json(shown(&store, export).await?))
}

/// Ends an export that has not ended; whoever reads for it stops at the next part. A repeat gives the same answer.
pub(super) async fn cancel(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ExportId>,
) -> Result<Json<views::Export>, Refusal> {
    loop {
        let export = find(&store, &caller, id.get()).await?;
        if export.status == ExportStatus::Cancelled {
            return Ok(Json(shown(&store, export).await?));
        }
        let cancelled = export.cancel(store.now_ms(), store.settings().export_retention_ms());
        let ended = || Refusal::conflict("already_ended", "the export has ended, and can no longer be cancelled");
        let cancelled = cancelled.ok_or_else(ended)?;
        // Where its reader wrote meanwhile, the next round decides.
        store.replace_export(&export, &cancelled).await?;
    }
}

/// From the answer on the export is missing; the sweeper removes its file. A repeat finds it missing.
pub(super) async fn delete(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ExportId>,
) -> Result<StatusCode, Refusal> {
    loop {
        let export = find(&store, &caller, id.get()).await?;
        let runs =
            || Refusal::conflict("export_runs", "an export that has not ended cannot be deleted; cancel it first");
        let deleted = export.delete(store.now_ms()).ok_or_else(runs)?;
        if store.replace_export(&export, &deleted).await? {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}
