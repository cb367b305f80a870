//! Reading, cancelling and deleting imports.

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{Halt, ImportId, KindName, Status, limits};
use penstock_store::{Store, errors::ErrorCursor, imports::Filter};
use serde::Deserialize;
use serde_json::json;

use super::{IdPath, find, view::ImportView};
use crate::{
    Refusal,
    auth::{Account, Delete, Read, Write},
};

/// The query of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
    cursor: Option<String>,
    status: Option<Status>,
    kind: Option<KindName>,
}

type PageQuery = Result<Query<Page>, axum::extract::rejection::QueryRejection>;

/// The query, and the limit within its bounds.
fn page(query: PageQuery) -> Result<(Page, usize), Refusal> {
    let Query(page) = query.map_err(|_| {
        let detail = "the query takes limit, a number, and cursor; a list of imports also status and kind";
        Refusal::bad_request("invalid_query", detail)
    })?;
    let limit = page.limit.unwrap_or(limits::PAGE_DEFAULT);
    if !(1..=limits::PAGE_MAX).contains(&limit) {
        return Err(Refusal::bad_request("invalid_limit", format!("limit is 1 to {}", limits::PAGE_MAX)));
    }
    Ok((page, limit))
}

fn invalid_cursor() -> Refusal {
    Refusal::bad_request("invalid_cursor", "the cursor is none that a page of this list gave")
}

pub(super) async fn list(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    query: PageQuery,
) -> Result<Response, Refusal> {
    let (page, limit) = page(query)?;
    let after = page.cursor.map(|cursor| cursor.parse::<ImportId>()).transpose().map_err(|_| invalid_cursor())?;
    let filter = Filter { status: page.status, kinds: page.kind.into_iter().collect() };
    let mut imports = store.list_imports(&account, &filter, after.as_ref(), limit + 1).await?;
    let more = imports.len() > limit;
    imports.truncate(limit);
    let next_cursor = imports.last().filter(|_| more).map(|import| import.id.to_string());
    let mut views = Vec::with_capacity(imports.len());
    for import in imports {
        views.push(ImportView::new(&store, import).await?);
    }
    Ok(Json(json!({ "imports": views, "next_cursor": next_cursor })).into_response())
}

pub(super) async fn show(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    id: IdPath,
) -> Result<Json<ImportView>, Refusal> {
    let import = find(&store, &account, &id).await?;
    Ok(Json(ImportView::new(&store, import).await?))
}

pub(super) async fn errors(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    id: IdPath,
    query: PageQuery,
) -> Result<Response, Refusal> {
    let (page, limit) = page(query)?;
    let from = match page.cursor {
        None => ErrorCursor::default(),
        Some(cursor) => read_cursor(&cursor).ok_or_else(invalid_cursor)?,
    };
    let import = find(&store, &account, &id).await?;
    let (errors, next) = store.errors(&import.id, from, limit).await?;
    let next_cursor = next.map(|at| format!("{}.{}.{}", at.chunk, at.part, at.index));
    Ok(Json(json!({ "errors": errors, "next_cursor": next_cursor })).into_response())
}

fn read_cursor(text: &str) -> Option<ErrorCursor> {
    let mut numbers = text.split('.');
    let mut next = || numbers.next()?.parse::<u32>().ok();
    let cursor = ErrorCursor { chunk: next()?, part: next()?, index: next()? as usize };
    numbers.next().is_none().then_some(cursor)
}

pub(super) async fn rejected(
    State(store): State<Store>,
    Account(account, ..): Account<Read>,
    id: IdPath,
) -> Result<Response, Refusal> {
    let import = find(&store, &account, &id).await?;
    match &import.report {
        Some(report) => {
            let url = store.presign_rejected(&import, &report.key).await?;
            Ok((StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response())
        }
        None if import.status.is_final() && !import.has_rejected_rows() => {
            Err(Refusal::not_found("no row of this import was rejected"))
        }
        None => Err(Refusal::conflict("not_ready", "the rejected rows are written when the import has ended")
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))),
    }
}

/// Nothing more is written after the answer but chunks that had begun: their blocks are closed before it.
pub(super) async fn cancel(
    State(store): State<Store>,
    Account(account, ..): Account<Write>,
    id: IdPath,
) -> Result<Response, Refusal> {
    let import = find(&store, &account, &id).await?;
    store.order_halt(&account, &import.id, &Halt { status: Status::Cancelled, failure: None }).await?;
    let import = store.settle(&account, &import.id).await?;
    let import = import.ok_or_else(|| Refusal::not_found("there is no such import"))?;
    let cancelled = import.halt.as_ref().is_some_and(|halt| halt.status == Status::Cancelled);
    let status = match import.status {
        Status::Cancelled => StatusCode::OK,
        Status::Processing if cancelled => StatusCode::ACCEPTED,
        _ => return Err(Refusal::conflict("already_ended", "the import has ended, or is about to, otherwise")),
    };
    Ok((status, Json(ImportView::new(&store, import).await?)).into_response())
}

pub(super) async fn delete(
    State(store): State<Store>,
    Account(account, ..): Account<Delete>,
    id: IdPath,
) -> Result<StatusCode, Refusal> {
    let import = find(&store, &account, &id).await?;
    if store.delete(&account, &import.id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::conflict("import_runs", "an import that is processing cannot be deleted; cancel it first"))
    }
}
