//! Uploading a file in parts.

use axum::{Json, extract::State, http::StatusCode};
use penstock_model::{
    Closed, ImportId, Part, Stage, limits,
    parts::Beginning,
    rfc3339,
    views::{self, PartUrl, PartUrls},
};
use penstock_store::{Store, parts::Completion, uploads::PresignedRequest};
use serde::Deserialize;

use super::{
    body::{JsonBody, JsonShape},
    view,
};
use crate::{
    auth::{Caller, Write},
    named::Named,
    refusal::Refusal,
};

/// The body of `POST /v1/imports/{id}/parts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct Numbers {
    numbers: Vec<u32>,
}

impl JsonShape for Numbers {
    const ARRAYS: &'static [&'static str] = &["/numbers"];
}

/// The body of `POST /v1/imports/{id}/complete`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct NamedParts {
    parts: Vec<NamedPart>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct NamedPart {
    number: u32,
    etag: String,
}

impl JsonShape for NamedParts {
    const ARRAYS: &'static [&'static str] = &["/parts"];
    const BYTES: usize = limits::COMPLETE_BYTES;
}

/// Gives URLs for these parts of the import's upload, which begins with the first call. A repeat gives URLs of the same
/// upload.
pub(super) async fn sign(
    State(store): State<Store>,
    caller: Caller<Write>,
    id: Named<ImportId>,
    body: JsonBody<Numbers>,
) -> Result<Json<PartUrls>, Refusal> {
    let numbers = body.value.numbers;
    if !(1..=limits::PART_URLS).contains(&numbers.len()) || !numbers.iter().all(|n| (1..=limits::PARTS).contains(n)) {
        let (urls, parts) = (limits::PART_URLS, limits::PARTS);
        let detail = format!("numbers are those of 1 to {urls} parts, each from 1 to {parts}");
        return Err(Refusal::unprocessable("invalid_parts", detail));
    }
    let import = caller.import(&store, id.get()).await?;
    let upload = match store.begin_parts(&caller.account, &import.id).await? {
        Some(Beginning::Begun(upload)) => upload,
        Some(Beginning::Over) => {
            return Err(Refusal::conflict(
                "expired",
                "the time to upload this import's file is over; make a new import",
            ));
        }
        Some(Beginning::NotAwaited | Beginning::Free(_)) => return Err(not_awaited()),
        None => return Err(Refusal::no_import()),
    };
    let mut parts = Vec::with_capacity(numbers.len());
    let mut valid_until = upload.expires_at;
    for number in numbers {
        let (request, until) = store.presign_part(&import, &upload, number).await?;
        let PresignedRequest { method, url, headers } = request;
        parts.push(PartUrl { number, method: method.to_owned(), url, headers: headers.into_iter().collect() });
        valid_until = valid_until.min(until);
    }
    Ok(Json(PartUrls { parts, expires_at: rfc3339(upload.expires_at), urls_expire_at: rfc3339(valid_until) }))
}

/// Makes the parts the import's file. A repeat after success answers with the import as it is then.
pub(super) async fn complete(
    State(store): State<Store>,
    caller: Caller<Write>,
    id: Named<ImportId>,
    body: JsonBody<NamedParts>,
) -> Result<Json<views::Import>, Refusal> {
    let parts: Vec<Part> = body.value.parts.into_iter().map(Part::from).collect();
    let import = caller.import(&store, id.get()).await?;
    if let Some(part) = parts.iter().find(|part| !is_etag(&part.etag)) {
        let detail = format!("part {}: an ETag is 1 to {} printable ASCII characters", part.number, limits::ETAG_CHARS);
        return Err(Refusal::unprocessable("invalid_parts", detail));
    }
    match store.complete_parts(&import, &parts).await? {
        Completion::Stored => {
            let import = store.import(&caller.account, &import.id).await?.ok_or_else(Refusal::no_import)?;
            Ok(Json(view::shown(&store, import).await?))
        }
        Completion::Exists => Err(not_awaited()),
        Completion::NotBegun => {
            Err(Refusal::conflict("no_parts", "no upload in parts has begun; POST …/parts gives URLs for the parts"))
        }
        Completion::Gone => Err(Refusal::conflict(
            "parts_gone",
            "the parts of this upload have been removed, because it was given up or its time was over",
        )),
        Completion::Fault(fault) => Err(Refusal::unprocessable("invalid_parts", fault.to_string())),
    }
}

/// Removes the parts. The import awaits its upload as if none had been begun, and expires when it would have. A repeat
/// finds none.
pub(super) async fn give_up(
    State(store): State<Store>,
    caller: Caller<Write>,
    id: Named<ImportId>,
) -> Result<StatusCode, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    let is_stored = import.parts.as_ref().is_some_and(|parts| parts.closed == Some(Closed::Stored));
    if is_stored || matches!(import.stage(), Stage::Splitting | Stage::Applying | Stage::Halting) {
        return Err(not_awaited());
    }
    store.remove_parts(&import).await?;
    // Where the upload had been completed a moment before, there was nothing to give up.
    if import.stage() == Stage::AwaitingUpload && store.find_upload(&caller.account, &import.id).await?.is_some() {
        return Err(not_awaited());
    }
    Ok(StatusCode::NO_CONTENT)
}

fn not_awaited() -> Refusal {
    Refusal::conflict("already_uploaded", "this import has its file, or has ended: it awaits no upload")
}

fn is_etag(text: &str) -> bool {
    (1..=limits::ETAG_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl From<NamedPart> for Part {
    fn from(NamedPart { number, etag }: NamedPart) -> Self {
        Self { number, etag: etag.trim_matches('"').to_owned() }
    }
}
