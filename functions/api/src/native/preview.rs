//! Previewing a file under an import's options.

use std::io::Cursor;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State, rejection::BytesRejection, rejection::QueryRejection},
};
use penstock_engine::{
    kind::Kind,
    preview::{self, Preview, PreviewRow},
    reading::Hints,
    upload::Upload,
};
use penstock_model::{Failure, Import, ImportId, limits, views};
use penstock_store::text::TextError;
use serde::Deserialize;

use crate::{
    api::Api,
    auth::{Caller, Read},
    intake,
    named::Named,
    refusal::Refusal,
};

/// The query of a preview.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    /// Whether the body is the whole file. Otherwise it is the first part of the file, and its last row may be
    /// incomplete.
    #[serde(default)]
    whole: bool,
}

/// The JSON of a preview.
fn view(preview: Preview) -> views::Preview {
    let Preview { layout, columns, rows, failure } = preview;
    let row = |PreviewRow { row, fields, errors }| views::PreviewRow { row, fields, errors };
    views::Preview {
        detected: layout.into(),
        columns: columns.into_iter().map(|(column, field)| views::PreviewColumn { column, field }).collect(),
        rows: rows.into_iter().map(row).collect(),
        failure,
    }
}

/// `POST /v1/imports/{id}/preview`: how the body, a file or its first part, is read under the options of the import.
/// Without a body, the upload of the import is previewed. Writes nothing.
pub(super) async fn preview(
    State(Api { store, work, .. }): State<Api>,
    caller: Caller<Read>,
    id: Named<ImportId>,
    query: Result<Query<PreviewQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<views::Preview>, Refusal> {
    let body =
        intake::bytes(body, || format!("a preview takes the first {} bytes of a file at most", limits::PREVIEW_BYTES))?;
    let Query(PreviewQuery { whole }) =
        query.map_err(|_| Refusal::bad_request("invalid_query", "the query takes `whole`, true or false"))?;
    let import = caller.import(&store, id.get()).await?;
    let gone = || Refusal::conflict("unknown_kind", "the kind of this import no longer exists");
    if body.is_empty() && import.object.is_none() {
        return Err(Refusal::conflict(
            "nothing_uploaded",
            "nothing has been uploaded; send the file's first part as the body",
        ));
    }
    let share = work.share(&caller.account, memory(&body)).await?;
    let kind = store.compiled_kind(&caller.account, &import.kind, import.kind_version).await?.ok_or_else(gone)?;
    let looked = if body.is_empty() {
        let about = import.clone();
        let look = move |upload: &mut dyn Upload, bytes| {
            let _share = share;
            look(upload, bytes, &about, &kind, false)
        };
        store.look_at_upload(&import, look).await
    } else {
        let looked = tokio::task::spawn_blocking(move || {
            let _share = share;
            look(Cursor::new(&body), body.len() as u64, &import, &kind, !whole)
        });
        looked.await.expect("a preview does not panic").map_err(TextError::Failed)
    };
    match looked {
        Ok(preview) => Ok(Json(view(preview))),
        Err(TextError::Failed(failure)) => Err(Refusal::unprocessable(failure.code, failure.message)),
        Err(TextError::Store(error)) => Err(error.into()),
    }
}

/// Bytes of memory that a preview takes at most, by how the file begins; an upload that is not at hand may be anything.
///
/// Whatever it is, the first chunk of its rows is read, each cell of which may be an error with a sentence. On top of
/// that a workbook holds its shared texts, and a Zstandard frame its window.
fn memory(body: &[u8]) -> u64 {
    let more = match body {
        [] | [b'P', b'K', ..] => limits::WORKBOOK_HELD_BYTES as u64,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => limits::ZSTD_WINDOW_BYTES,
        _ => 0,
    };
    ROWS_BYTES + more
}

/// Bytes of memory in which the rows of one chunk are read, at most.
const ROWS_BYTES: u64 = 64 * 1024 * 1024;

fn look(upload: impl Upload, bytes: u64, import: &Import, kind: &Kind, partial: bool) -> Result<Preview, Failure> {
    preview::preview(upload, bytes, &Hints { partial, ..Hints::of(import, kind) }, &import.account)
}
