//! Reading, cancelling and deleting imports.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{Halt, ImportId, KindName, Status, limits};
use penstock_store::{Store, errors::ErrorCursor, imports::Filter};
use serde::Deserialize;
use serde_json::json;

use super::view::ImportView;
use crate::{
    auth::{Caller, Delete, Read, Write},
    named::Named,
    page::{Page, invalid_cursor},
    refusal::Refusal,
};

/// The filters of the list, in its query.
#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    status: Option<Status>,
    kind: Option<KindName>,
}

pub(super) async fn list(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    page: Page,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(ListQuery { status, kind }) = query.map_err(|_| {
        Refusal::bad_request("invalid_query", "status is the status of an import, and kind the name of a kind")
    })?;
    let filter = Filter { status, kinds: kind.into_iter().collect() };
    let (imports, next_cursor) = page.imports(&store, &account, &filter, limits::PAGE_DEFAULT).await?;
    let mut views = Vec::with_capacity(imports.len());
    for import in imports {
        views.push(ImportView::new(&store, import).await?);
    }
    Ok(Json(json!({ "imports": views, "next_cursor": next_cursor })).into_response())
}

pub(super) async fn show(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
) -> Result<Json<ImportView>, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    Ok(Json(ImportView::new(&store, import).await?))
}

pub(super) async fn errors(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
    page: Page,
) -> Result<Response, Refusal> {
    let limit = page.limit(limits::PAGE_DEFAULT)?;
    let from = match page.cursor {
        None => ErrorCursor::default(),
        Some(cursor) => read_cursor(&cursor).ok_or_else(invalid_cursor)?,
    };
    let import = caller.import(&store, id.get()).await?;
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
    caller: Caller<Read>,
    id: Named<ImportId>,
) -> Result<Response, Refusal> {
    let import = caller.import(&store, id.get()).await?;
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

/// Closes the blocks of the import before it answers: after the answer, only chunks that had begun are still written.
/// The parts of an upload that was not completed are removed. A repeat of a cancel gives the same answer.
pub(super) async fn cancel(
    State(store): State<Store>,
    caller: Caller<Write>,
    id: Named<ImportId>,
) -> Result<Response, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    store.order_halt(&caller.account, &import.id, &Halt::cancelled()).await?;
    let import = store.settle(&caller.account, &import.id).await?;
    let import = import.ok_or_else(Refusal::no_import)?;
    if import.left_parts().is_some() {
        store.remove_parts(&import).await?;
    }
    let cancelled = import.halt.as_ref().is_some_and(|halt| halt.status == Status::Cancelled);
    let status = match import.status {
        Status::Cancelled => StatusCode::OK,
        Status::Processing if cancelled => StatusCode::ACCEPTED,
        _ => {
            return Err(Refusal::conflict(
                "already_ended",
                "the import has ended, is about to end, or removes records already, and can no longer be cancelled",
            ));
        }
    };
    Ok((status, Json(ImportView::new(&store, import).await?)).into_response())
}

pub(super) async fn delete(
    State(store): State<Store>,
    caller: Caller<Delete>,
    id: Named<ImportId>,
) -> Result<StatusCode, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    if store.delete(&caller.account, &import.id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::conflict("import_runs", "an import that is processing cannot be deleted; cancel it first"))
    }
}
