//! Uploads in parts: begun, completed and given up, whatever dies between two steps.
//!
//! ```text
//! api                                    S3                      imports table
//!  │ begin_parts ───────────────────────▶ CreateMultipartUpload
//!  │ † parts.begun: an upload without parts, for which no URL is ever signed; the bucket's lifecycle removes it
//!  │ ──────────────────────────────────────────────────────────▶ parts: its id, its mark, its deadline (if there is none)
//!  │ † parts.pinned: the client asks again and gets URLs of the same upload
//!  │ complete_parts ────────────────────▶ ListParts, CompleteMultipartUpload (If-None-Match: *) ── event ──▶ splitter
//!  │ † parts.completed: the client asks again; the mark of the object says that it was this upload
//!  │ ──────────────────────────────────────────────────────────▶ parts: closed, stored
//!  │ remove_parts ──────────────────────▶ AbortMultipartUpload
//!  │ † parts.removed: asked again, S3 has no such upload, and the import is told; else the sweeper does it
//!  │ ──────────────────────────────────────────────────────────▶ parts: closed, removed
//!  ▼ † parts.closed
//! ```
//!
//! Whoever ends an import leaves it on the sweeper's list while it has an open upload in parts; whoever deletes it
//! leaves the upload in the order to remove what is left ([`crate::removals`]). A part that was on its way while its
//! upload was given up may outlive that (Amazon S3 API Reference, AbortMultipartUpload); the bucket's lifecycle removes
//! it.

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    types::{CompletedMultipartUpload, CompletedPart},
};
use penstock_model::{
    AccountId, Closed, Import, ImportId, Part, PartsFault, PartsUpload, Stage, StoredPart, limits,
    parts::{Beginning, check_names, file_bytes},
};

use crate::{
    Result, Store, StoreError,
    change::Change,
    crash,
    dynamo::{is_made, s, value},
    objects::MARK,
    table::import_key,
    uploads::{PresignedRequest, upload_key},
};

/// The outcome of completing an upload in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Its parts are the import's object, now or since an earlier call.
    Stored,
    /// Another upload of the import was first; the parts are removed.
    Exists,
    /// None has been begun.
    NotBegun,
    /// Its parts have been removed.
    Gone,
    /// The parts are no file; nothing has changed.
    Fault(PartsFault),
}

/// What S3 made of the order to complete an upload.
enum Answer {
    Done,
    /// The object may be this upload's, of an earlier call, or another's. `is_gone` tells that the upload is no more.
    Contested {
        is_gone: bool,
    },
    Fault(PartsFault),
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    match error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or_default(),
        _ => "",
    }
}

impl Store {
    /// The import's upload in parts, begun if there is none. A repeat, and a call at the same time, gives the same
    /// upload: the first that is pinned in the import counts, and the other is removed.
    pub async fn begin_parts(&self, account: &AccountId, id: &ImportId) -> Result<Option<Beginning>> {
        loop {
            let Some(import) = self.import(account, id).await? else { return Ok(None) };
            let expires_at = match import.begin_parts(self.now_ms()) {
                Beginning::Free(expires_at) => expires_at,
                beginning => return Ok(Some(beginning)),
            };
            let mark = crate::hex(&crate::random::<16>());
            let begun = self
                .inner
                .s3
                .create_multipart_upload()
                .bucket(&self.settings().uploads_bucket)
                .key(upload_key(account, id))
                .metadata(MARK, &mark)
                .send()
                .await
                .map_err(StoreError::unavailable("s3:CreateMultipartUpload"))?;
            crash::point("parts.begun");
            let upload = PartsUpload { id: begun.upload_id.unwrap_or_default(), mark, expires_at, closed: None };
            let change = Change::at(&[Stage::AwaitingUpload])
                .only_if("(attribute_not_exists(#parts) OR attribute_exists(#parts.#closed))")
                .named("closed", "closed")
                .set("parts", value("an upload in parts", &upload)?);
            let pinned = is_made(change.in_update(self.update(import_key(account, id)))).await?;
            crash::point("parts.pinned");
            if pinned {
                return Ok(Some(Beginning::Begun(upload)));
            }
            // Another call was first, or this one had had its effect before it was repeated on its way.
            let now = self.import(account, id).await?;
            if now.and_then(|now| now.parts).is_none_or(|parts| parts.id != upload.id) {
                self.abort(account, id, &upload).await?;
            }
        }
    }

    /// A PUT that stores a part of an upload, again and again until the upload is closed; the newest counts. Valid as
    /// long as an upload URL, but not beyond the upload's deadline, nor the signer's credentials; the moment is given
    /// in Unix milliseconds. Nothing is sent, but where those are renewed.
    pub async fn presign_part(
        &self,
        import: &Import,
        upload: &PartsUpload,
        number: u32,
    ) -> Result<(PresignedRequest, i64)> {
        let valid_until = self.now_ms() + self.settings().upload_ttl_seconds as i64 * 1000;
        let (session, valid_until) = self.signing(valid_until.min(upload.expires_at)).await?;
        let presigned = session
            .storage
            .upload_part()
            .bucket(&self.settings().uploads_bucket)
            .key(upload_key(&import.account, &import.id))
            .upload_id(&upload.id)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .presigned(self.presigning(valid_until)?)
            .await
            .map_err(StoreError::unavailable("s3:UploadPart"))?;
        let headers = presigned.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok((PresignedRequest { method: "PUT", url: presigned.uri().to_owned(), headers }, valid_until))
    }

    /// Makes these parts the import's object, if it has none; S3 tells the splitter of it as of any other. As with the
    /// presigned PUT, an import gets one object. A repeat after success gives the same.
    pub async fn complete_parts(&self, import: &Import, parts: &[Part]) -> Result<Completion> {
        if let Err(fault) = check_names(parts) {
            return Ok(Completion::Fault(fault));
        }
        let Some(upload) = &import.parts else { return Ok(Completion::NotBegun) };
        let is_awaited = matches!(import.stage(), Stage::AwaitingUpload | Stage::Expired);
        let answer = match upload.closed {
            Some(Closed::Stored) => return Ok(Completion::Stored),
            None if is_awaited => self.complete(import, upload, parts).await?,
            _ => Answer::Contested { is_gone: true },
        };
        let completion = match answer {
            Answer::Fault(fault) => return Ok(Completion::Fault(fault)),
            Answer::Done => Completion::Stored,
            Answer::Contested { is_gone } => match self.mark(import).await? {
                Some(mark) if mark == upload.mark => Completion::Stored,
                Some(_) => Completion::Exists,
                None if is_gone => Completion::Gone,
                // Another request for the key is under way, or its object was removed a moment ago.
                None => {
                    let reason = "another request for the key is under way".to_owned();
                    return Err(StoreError::Unavailable { call: "s3:CompleteMultipartUpload", reason });
                }
            },
        };
        match completion {
            Completion::Stored => {
                crash::point("parts.completed");
                self.close_parts(import, upload, Closed::Stored).await?;
            }
            _ => self.remove_parts(import).await?,
        }
        Ok(completion)
    }

    async fn complete(&self, import: &Import, upload: &PartsUpload, parts: &[Part]) -> Result<Answer> {
        // An ETag is told by a part's bytes: what is listed here is what is completed, or nothing is.
        let Some(stored) = self.stored_parts(import, upload).await? else {
            return Ok(Answer::Contested { is_gone: true });
        };
        if let Err(fault) = file_bytes(parts, &stored) {
            return Ok(Answer::Fault(fault));
        }
        let completed = |part: &Part| {
            let number = i32::try_from(part.number).unwrap_or(i32::MAX);
            CompletedPart::builder().part_number(number).e_tag(format!("\"{}\"", part.etag)).build()
        };
        let named = CompletedMultipartUpload::builder().set_parts(Some(parts.iter().map(completed).collect())).build();
        let sent = self
            .inner
            .s3
            .complete_multipart_upload()
            .bucket(&self.settings().uploads_bucket)
            .key(upload_key(&import.account, &import.id))
            .upload_id(&upload.id)
            .if_none_match("*")
            .multipart_upload(named)
            .send()
            .await;
        let Err(error) = sent else { return Ok(Answer::Done) };
        match code(&error) {
            "NoSuchUpload" => Ok(Answer::Contested { is_gone: true }),
            "PreconditionFailed" | "ConditionalRequestConflict" => Ok(Answer::Contested { is_gone: false }),
            _ => Err(StoreError::unavailable("s3:CompleteMultipartUpload")(error)),
        }
    }

    /// The parts that S3 has of an upload; `None` if it has no such upload. A repeat lists them as they are then.
    async fn stored_parts(&self, import: &Import, upload: &PartsUpload) -> Result<Option<Vec<StoredPart>>> {
        let mut stored = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let sent = self
                .inner
                .s3
                .list_parts()
                .bucket(&self.settings().uploads_bucket)
                .key(upload_key(&import.account, &import.id))
                .upload_id(&upload.id)
                .set_part_number_marker(after.take())
                .send()
                .await;
            let page = match sent {
                Ok(page) => page,
                Err(error) if code(&error) == "NoSuchUpload" => return Ok(None),
                Err(error) => return Err(StoreError::unavailable("s3:ListParts")(error)),
            };
            for part in page.parts.unwrap_or_default() {
                let number = part.part_number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
                let etag = part.e_tag.unwrap_or_default().trim_matches('"').to_owned();
                let bytes = part.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
                stored.push(StoredPart { part: Part { number, etag }, bytes });
            }
            match page.next_part_number_marker.filter(|_| page.is_truncated == Some(true)) {
                Some(next) if stored.len() < limits::PARTS as usize => after = Some(next),
                _ => return Ok(Some(stored)),
            }
        }
    }

    /// The mark of the import's object; `None` if there is no object, and an empty text if it has no mark.
    async fn mark(&self, import: &Import) -> Result<Option<String>> {
        let key = upload_key(&import.account, &import.id);
        match self.inner.s3.head_object().bucket(&self.settings().uploads_bucket).key(key).send().await {
            Ok(head) => Ok(Some(head.metadata.unwrap_or_default().remove(MARK).unwrap_or_default())),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_not_found()) => Ok(None),
            Err(error) => Err(StoreError::unavailable("s3:HeadObject")(error)),
        }
    }

    /// Removes the parts of the import's upload in parts, if it has an open one. A repeat finds none.
    pub async fn remove_parts(&self, import: &Import) -> Result<()> {
        let Some(upload) = import.parts.as_ref().filter(|upload| upload.is_open()) else { return Ok(()) };
        self.abort(&import.account, &import.id, upload).await?;
        crash::point("parts.removed");
        self.close_parts(import, upload, Closed::Removed).await
    }

    /// Gives an upload in parts up. A repeat finds it gone, and parts that were on their way at the first time are
    /// removed.
    pub(crate) async fn abort(&self, account: &AccountId, id: &ImportId, upload: &PartsUpload) -> Result<()> {
        self.abort_multipart(&self.settings().uploads_bucket, &upload_key(account, id), &upload.id).await
    }

    /// Ends a multipart upload of a bucket without an object, and removes its parts. A repeat finds it gone.
    pub(crate) async fn abort_multipart(&self, bucket: &str, key: &str, upload: &str) -> Result<()> {
        let sent = self.inner.s3.abort_multipart_upload().bucket(bucket).key(key).upload_id(upload).send().await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == "NoSuchUpload" => Ok(()),
            Err(error) => Err(StoreError::unavailable("s3:AbortMultipartUpload")(error)),
        }
    }

    /// Writes how an upload in parts ended, once: a repeat, and a later end, changes nothing.
    async fn close_parts(&self, import: &Import, upload: &PartsUpload, how: Closed) -> Result<()> {
        let change = Change::default()
            .only_if("#parts.#id = :id")
            .only_if("attribute_not_exists(#parts.#closed)")
            .named("parts", "parts")
            .named("id", "id")
            .named("closed", "closed")
            .value("id", s(&upload.id))
            .value("closed", value("an end of an upload", &how)?)
            .set_to("#parts.#closed = :closed");
        is_made(change.in_update(self.update(import_key(&import.account, &import.id)))).await?;
        crash::point("parts.closed");
        Ok(())
    }
}
