//! Previewing a file under an import's options, or under options of the request.

use std::io::Cursor;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State, rejection::BytesRejection, rejection::QueryRejection},
};
use penstock_engine::{
    kind::Kind,
    options,
    preview::{self, ColumnSamples, Preview, PreviewRow},
    reading::Hints,
    upload::Upload,
};
use penstock_model::{Failure, Format, Import, ImportId, ImportOptions, KindName, UnknownFormat, limits, views};
use penstock_store::text::TextError;
use serde::Deserialize;

use super::{again, create, kinds};
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
    let Preview { layout, columns, samples, rows, failure } = preview;
    let row = |PreviewRow { row, fields, errors }| views::PreviewRow { row, fields, errors };
    let column = |((column, field), ColumnSamples { filled, cells })| views::PreviewColumn {
        column,
        field,
        filled,
        samples: cells,
    };
    views::Preview {
        detected: layout.into(),
        columns: std::iter::zip(columns, samples.columns).map(column).collect(),
        sampled: samples.rows,
        rows: rows.into_iter().map(row).collect(),
        failure,
    }
}

/// `POST /v1/imports/{id}/preview`: how the body, a file or its first part, is read under the options of the import.
/// Without a body, the upload of the import is previewed. Writes nothing.
pub(super) async fn preview(
    State(api): State<Api>,
    caller: Caller<Read>,
    id: Named<ImportId>,
    query: Result<Query<PreviewQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<views::Preview>, Refusal> {
    let body = bytes(body)?;
    let Query(PreviewQuery { whole }) =
        query.map_err(|_| Refusal::bad_request("invalid_query", "the query takes `whole`, true or false"))?;
    let import = caller.import(&api.store, id.get()).await?;
    if body.is_empty() && import.object.is_none() {
        return Err(Refusal::conflict(
            "nothing_uploaded",
            "nothing has been uploaded; send the file's first part as the body",
        ));
    }
    read(&api, import, body, whole).await
}

/// The query of a preview without an import.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KindPreviewQuery {
    #[serde(default)]
    whole: bool,
    /// The import whose upload is read, where there is no body.
    from: Option<ImportId>,
    filename: Option<String>,
    format: Option<String>,
    /// Options of an import, in JSON.
    options: Option<String>,
}

/// `POST /v1/kinds/{kind}/preview`: how the body, a file or its first part, is read as one of the kind under options
/// that the query has. Writes nothing.
pub(super) async fn of_kind(
    State(api): State<Api>,
    caller: Caller<Read>,
    name: Named<KindName>,
    query: Result<Query<KindPreviewQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<views::Preview>, Refusal> {
    let body = bytes(body)?;
    let Query(KindPreviewQuery { whole, from, filename, format, options: text }) = query.map_err(|_| {
        let message = "the query takes `whole`, true or false, `from`, the id of an import, `filename`, `format` and \
                       `options`, in JSON";
        Refusal::bad_request("invalid_query", message)
    })?;
    let options: ImportOptions = serde_json::from_str(text.as_deref().unwrap_or("{}"))
        .map_err(|error| Refusal::bad_request("invalid_query", format!("`options`: {error}")))?;
    options::check(&options).map_err(create::refused)?;
    let unknown = |error: UnknownFormat| Refusal::unprocessable("unknown_format", error.to_string());
    let format: Option<Format> = format.map(|word| word.parse().map_err(unknown)).transpose()?;
    let filename = filename.as_deref().map(intake::filename).transpose()?;
    let found = kinds::find(&api.store, &caller.account, &name).await?;
    create::check_mapping(&found.schema, &options)?;
    let kind = found.schema.name.clone();
    let import = intake::import(&api.store, &caller.account, caller.by.clone(), kind, filename, options);
    let import = Import { kind_version: found.version, format, ..import };
    let import = match &from {
        None => import,
        Some(from) => {
            let (of, source) = again::source(&api.store, &caller, from).await?;
            import.reading(source, &of)
        }
    };
    read(&api, import, body, whole).await
}

/// The body of a preview.
fn bytes(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refusal> {
    intake::bytes(body, || format!("a preview takes the first {} bytes of a file at most", limits::PREVIEW_BYTES))
}

/// Reads the body, or where there is none what was uploaded, as the import would.
async fn read(api: &Api, import: Import, body: Bytes, whole: bool) -> Result<Json<views::Preview>, Refusal> {
    let Api { store, work, .. } = api;
    let gone = || Refusal::conflict("unknown_kind", "the kind of this import no longer exists");
    let share = work.share(&import.account, memory(&body)).await?;
    let kind = store.compiled_kind(&import.account, &import.kind, import.kind_version).await?.ok_or_else(gone)?;
    let looked = if body.is_empty() && import.object.is_some() {
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
