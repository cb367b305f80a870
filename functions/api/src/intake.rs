//! New imports, and files that come in the body of a request instead of by a presigned upload. Such a file is stored
//! under the key of its import, and is imported from there like any other.

use axum::{
    body::{Body, Bytes},
    extract::rejection::BytesRejection,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use futures::StreamExt;
use penstock_model::{AccountId, Actor, Import, ImportId, ImportOptions, KindName, limits};
use penstock_store::{
    Store,
    uploads::{Upload, UploadError},
};

use crate::refusal::Refusal;

/// How large the body of a request may be where this process runs, whatever a dialect documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    bytes: Option<u64>,
}

impl BodyLimits {
    /// Behind API Gateway and Lambda.
    pub const LAMBDA: Self = Self { bytes: Some(limits::LAMBDA_BODY_BYTES) };

    /// Where bodies are streamed: what the dialect documents.
    pub const STREAMED: Self = Self { bytes: None };

    /// The limit of a body for which a dialect documents this many bytes.
    pub(crate) fn of(self, documented: u64) -> BodyLimit {
        match self.bytes.filter(|bytes| *bytes < documented) {
            Some(bytes) => BodyLimit { bytes, documented: false },
            None => BodyLimit { bytes: documented, documented: true },
        }
    }
}

/// The limit of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit {
    pub(crate) bytes: u64,
    documented: bool,
}

impl BodyLimit {
    /// 413. Where the limit is lower than the documented one, the message names the way for larger files.
    pub(crate) fn exceeded(self) -> Refusal {
        let message = format!("the body is larger than {} bytes, the most that is taken", self.bytes);
        Refusal::too_large(match self.documented {
            true => message,
            false => message + " in a request here; a larger file goes to the upload URL that POST /v1/imports gives",
        })
    }

    /// 413 for a body whose `Content-Length` exceeds the limit.
    pub(crate) fn check(self, headers: &HeaderMap) -> Result<(), Refusal> {
        let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|bytes| bytes > self.bytes) { Err(self.exceeded()) } else { Ok(()) }
    }

    /// The refusal for an upload that failed.
    pub(crate) fn refusal(self, error: UploadError) -> Refusal {
        match error {
            UploadError::TooLarge { .. } => self.exceeded(),
            UploadError::Exists => Refusal::conflict("already_uploaded", "this import has been uploaded to"),
            UploadError::Store(error) => error.into(),
        }
    }
}

/// 400 for a body that breaks off.
pub(crate) fn unreadable() -> Refusal {
    Refusal::bad_request("unreadable_body", "the body could not be read to its end")
}

/// A body in memory.
///
/// # Errors
/// 413, with this message, for a body beyond the limit of its route; 400 for a body that breaks off.
pub(crate) fn bytes(body: Result<Bytes, BytesRejection>, too_large: impl FnOnce() -> String) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(too_large()),
        _ => unreadable(),
    })
}

/// Stores a whole body as the upload of an import. A repeat is refused, unless nothing was stored.
pub(crate) async fn store_body(mut upload: Upload<'_>, limit: BodyLimit, body: Body) -> Result<(), Refusal> {
    let mut bytes = body.into_data_stream();
    while let Some(piece) = bytes.next().await {
        upload.write(&piece.map_err(|_| unreadable())?).await.map_err(|error| limit.refusal(error))?;
    }
    upload.finish().await.map_err(|error| limit.refusal(error))?;
    Ok(())
}

/// Refuses a further import of an account that has used up its day's bytes, or will with a file of this size.
///
/// # Errors
/// 429 with `Retry-After`.
pub(crate) async fn admit(store: &Store, account: &AccountId, bytes: Option<u64>) -> Result<(), Refusal> {
    let today = store.today(account).await?;
    if today.has_room(bytes) {
        return Ok(());
    }
    let message = format!(
        "the account has uploaded {} bytes today, the limit is {} bytes a day; it begins anew in {} seconds, at midnight UTC",
        today.bytes, today.most, today.left_seconds
    );
    Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_bytes", message)
        .with(header::RETRY_AFTER, today.left_seconds.into()))
}

/// The same before a body is received: the import that it makes must also have a place among the account's unfinished
/// ones. The transaction that makes the import decides that.
///
/// # Errors
/// 429 with `Retry-After`.
pub(crate) async fn admit_body(store: &Store, account: &AccountId) -> Result<(), Refusal> {
    if !store.has_place(account, store.account_quota()).await? {
        return Err(no_place(store));
    }
    admit(store, account, None).await
}

/// 429: the account has as many unfinished imports as it may have.
pub(crate) fn no_place(store: &Store) -> Refusal {
    let message = format!(
        "the account has {} unfinished imports, the most that it may have; wait for one to end, or cancel one",
        store.settings().account_imports
    );
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_imports", message)
        .with(header::RETRY_AFTER, HeaderValue::from_static("30"))
}

/// Makes an import whose upload is stored; without a place for it the removal of the upload is ordered. A repeat
/// changes nothing.
///
/// # Errors
/// 429 with `Retry-After`.
pub(crate) async fn create_uploaded(store: &Store, import: &Import) -> Result<(), Refusal> {
    if store.create_uploaded_import(import, None).await? {
        return Ok(());
    }
    store.order_removal(&import.account, &import.id).await?;
    Err(no_place(store))
}

/// The name of an uploaded file, as it is stored.
///
/// # Errors
/// 422 for a name of more than [`limits::FILENAME_CHARS`].
pub(crate) fn filename(name: &str) -> Result<String, Refusal> {
    if name.chars().count() > limits::FILENAME_CHARS {
        let detail = format!("a filename has at most {} characters", limits::FILENAME_CHARS);
        return Err(Refusal::unprocessable("filename_too_long", detail));
    }
    Ok(name.to_owned())
}

/// A new id, by the clock of the store.
pub(crate) fn new_id(store: &Store) -> ImportId {
    ImportId::new(store.now_ms(), penstock_store::random())
}

/// A new import of somebody that awaits its upload. This stores nothing.
pub(crate) fn import(
    store: &Store,
    account: &AccountId,
    by: Actor,
    kind: KindName,
    filename: Option<String>,
    options: ImportOptions,
) -> Import {
    let now = store.now_ms();
    let expires_at = now + store.settings().upload_ttl_seconds as i64 * 1000;
    let import = Import::new(new_id(store), account.clone(), kind, now, expires_at);
    Import { filename, options, chunking: store.settings().chunking, created_by: Some(by), ..import }
}
