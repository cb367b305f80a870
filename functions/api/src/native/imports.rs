//! Reading, cancelling and deleting imports.

use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{AccountId, Import, ImportId, KindName, Status, limits, views};
use penstock_store::{
    Store,
    errors::ErrorCursor,
    imports::Filter,
    rate::{Judgement, Rate, Subject, Window},
    removals::Deleted,
};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::view;
use crate::{
    auth::{Caller, Delete, Read, Write},
    named::Named,
    page::{self, Page, invalid_cursor},
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
) -> Result<Json<views::ImportPage>, Refusal> {
    let Query(ListQuery { status, kind }) = query.map_err(|_| {
        Refusal::bad_request("invalid_query", "status is the status of an import, and kind the name of a kind")
    })?;
    let filter = Filter { status, kinds: kind.into_iter().collect() };
    let (found, next_cursor) = page.imports(&store, &account, &filter, limits::PAGE_DEFAULT).await?;
    let mut imports = Vec::with_capacity(found.len());
    for import in found {
        imports.push(view::shown(&store, import).await?);
    }
    Ok(Json(views::ImportPage { imports, next_cursor: next_cursor.map(|id| id.to_string()) }))
}

/// What is asked for beside the import.
#[derive(Debug, Deserialize)]
pub(super) struct ShowQuery {
    /// For how many seconds the answer may wait for a change.
    #[serde(default)]
    wait: u32,
}

/// How often a request that waits looks.
const LOOK: Duration = Duration::from_millis(500);

/// With `wait` the answer comes once the import differs from what it was when the request came, or the time is over.
/// An import that will not change, and one too many of an account's waits, are answered at once.
pub(super) async fn show(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
    query: Result<Query<ShowQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let asked = query.ok().map(|Query(ShowQuery { wait })| wait).filter(|wait| *wait <= limits::WAIT_SECONDS);
    let wait = asked.ok_or_else(|| {
        let message = format!("wait is a number of seconds, {} at most", limits::WAIT_SECONDS);
        Refusal::bad_request("invalid_query", message)
    })?;
    let mut import = caller.import(&store, id.get()).await?;
    let mut shown = shown(&store, &import).await?;
    let is_over = |import: &Import| import.status.is_final() && !import.owes_report();
    if wait > 0 && !is_over(&import) && may_wait(&store, &caller.account).await {
        let until = Instant::now() + Duration::from_secs(wait.into());
        let before = shown.clone();
        while shown.get() == before.get() && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            import = caller.import(&store, id.get()).await?;
            shown = self::shown(&store, &import).await?;
        }
    }
    let mut response = Json(shown).into_response();
    if import.owes_report() {
        // The rejected rows are being written.
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

async fn shown(store: &Store, import: &Import) -> Result<Box<RawValue>, Refusal> {
    to_raw_value(&view::shown(store, import.clone()).await?).map_err(|_| Refusal::internal())
}

/// Whether one more request of an account may wait. A wait holds a process, so each account has few of them at once:
/// no more than begin within the longest. A repeat is another one.
async fn may_wait(store: &Store, account: &AccountId) -> bool {
    let rate = Rate { limit: limits::WAITS, seconds: limits::WAIT_SECONDS };
    let policy = "native.waits.account".to_owned();
    let judged = store.admit(&[Window { policy, rate, subject: Subject::Account(account.clone()) }]).await;
    matches!(judged, Ok(Some(Judgement { allowed: true, .. })))
}

pub(super) async fn errors(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
    page: Page,
) -> Result<Json<views::ErrorPage>, Refusal> {
    let limit = page.limit(limits::PAGE_DEFAULT)?;
    let [chunk, part, index] = match page.cursor {
        None => [0; 3],
        Some(cursor) => page::numbers(&cursor).ok_or_else(invalid_cursor)?,
    };
    let from = ErrorCursor { chunk, part, index: index as usize };
    let import = caller.import(&store, id.get()).await?;
    let (errors, next) = store.errors(&import.id, from, limit).await?;
    let next_cursor = next.map(|at| format!("{}.{}.{}", at.chunk, at.part, at.index));
    Ok(Json(views::ErrorPage { errors, next_cursor }))
}

/// Sums are made on reading: what each chunk with errors has counted is read, and the parts in which examples are.
pub(super) async fn errors_summary(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
) -> Result<Json<views::ErrorSummary>, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    let mut counts = store.error_counts(&import.id).await?;
    counts.keep_most();
    let examples = store.errors_at(&import.id, &counts.places()).await?;
    Ok(Json(views::ErrorSummary::of(counts, &examples)))
}

/// How the file of rejected rows is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct RejectedQuery {
    /// Whether the answer names the URL, instead of leading there.
    #[serde(default)]
    link: bool,
}

pub(super) async fn rejected(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
    query: Result<Query<RejectedQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(RejectedQuery { link }) =
        query.map_err(|_| Refusal::bad_request("invalid_query", "the query takes `link`, true or false"))?;
    let import = caller.import(&store, id.get()).await?;
    match &import.report {
        Some(report) => {
            let url = store.presign_rejected(&import, &report.key).await?;
            if link {
                return Ok(Json(views::RejectedLink { url }).into_response());
            }
            Ok((StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response())
        }
        None if (import.status.is_final() || import.rows.is_some()) && !import.has_rejected_rows() => {
            Err(Refusal::not_found("no row of this import was rejected"))
        }
        None => Err(Refusal::conflict(
            "not_ready",
            "the rejected rows are written when the import has ended, or a review is judged",
        )
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
    store.cancel(&caller.account, &import.id, &caller.by).await?;
    let import = store.settle_in_a_request(&caller.account, &import.id).await?;
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
    Ok((status, Json(view::shown(&store, import).await?)).into_response())
}

pub(super) async fn delete(
    State(store): State<Store>,
    caller: Caller<Delete>,
    id: Named<ImportId>,
) -> Result<StatusCode, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    match store.delete(&caller.account, &import.id).await? {
        Deleted::Gone => Ok(StatusCode::NO_CONTENT),
        Deleted::Runs => {
            Err(Refusal::conflict("import_runs", "an import that is processing cannot be deleted; cancel it first"))
        }
        Deleted::Read(reader) => {
            let message = format!(
                "the import {reader} reads what was uploaded to this one: wait until it has ended and its rejected rows are \
                 written, or cancel and delete it first"
            );
            Err(Refusal::conflict("upload_read", message))
        }
    }
}
