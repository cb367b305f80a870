//! Files: what clients upload, and the rejected rows that are given back.

use std::time::{Duration, SystemTime};

pub use aws_sdk_s3::primitives::ByteStream as Stream;
use aws_sdk_s3::{
    operation::get_object::GetObjectError,
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{ChecksumMode, ChecksumType},
};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::{Engine as _, engine::general_purpose::STANDARD};
pub use bytes::Bytes;
use penstock_model::{
    AccountId, ErrorCursor, Import, ImportId, Layout, ReportCheckpoint, StoredObject,
    limits::{REJECTED_URL_SECONDS, UPLOAD_BYTES},
};
use serde_json::json;
use time::{OffsetDateTime, macros::format_description};

use crate::{
    Result, Store, StoreError, crash,
    names::Folder,
    objects::{Begun, ObjectWriter, Target, Written},
};

/// A presigned request: its holder needs no credentials of their own.
#[derive(Debug, Clone)]
pub struct PresignedRequest {
    /// The method.
    pub method: &'static str,
    /// The URL.
    pub url: String,
    /// Headers that are part of the signature.
    pub headers: Vec<(String, String)>,
}

/// A form that a browser may post to S3.
#[derive(Debug, Clone)]
pub struct PresignedForm {
    /// Where to.
    pub url: String,
    /// Fields that go before the file.
    pub fields: Vec<(&'static str, String)>,
}

/// The key of an import's upload.
pub fn upload_key(account: &AccountId, import: &ImportId) -> String {
    format!("{}{import}", Folder::Uploads.of_account(account))
}

/// The account and import of an upload's key; `None` for any other key.
pub fn of_key(key: &str) -> Option<(AccountId, ImportId)> {
    let (Folder::Uploads, account) = Folder::of(key)? else { return None };
    let import = key.strip_prefix(&Folder::Uploads.of_account(&account))?.parse().ok()?;
    Some((account, import))
}

/// The ETag of an object as HTTP writes it.
fn quoted_etag(object: &StoredObject) -> String {
    format!("\"{}\"", object.etag)
}

/// The key of an import's rejected rows file.
pub fn rejected_key(account: &AccountId, import: &ImportId) -> String {
    format!("{}{import}.csv", Folder::Rejected.of_account(account))
}

impl Store {
    /// A PUT that stores the import's upload, once: `If-None-Match: *` is part of the signature, so S3 answers a second
    /// one with 412. Valid from now to `expires_at`. Nothing is sent, but where the signer's credentials are renewed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where there are no credentials that live as long: it can be tried again.
    pub async fn presign_upload(&self, import: &Import) -> Result<PresignedRequest> {
        let session = self.signing_until(import.expires_at).await?;
        let presigned = session
            .storage
            .put_object()
            .bucket(&self.settings().uploads_bucket)
            .key(upload_key(&import.account, &import.id))
            .if_none_match("*")
            .presigned(self.presigning(import.expires_at)?)
            .await
            .map_err(StoreError::unavailable("s3:PutObject"))?;
        let headers = presigned.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(PresignedRequest { method: "PUT", url: presigned.uri().to_owned(), headers })
    }

    pub(crate) fn presigning(&self, expires_at: i64) -> Result<PresigningConfig> {
        // URLs tell whole seconds: the last moment must not be cut off.
        let unsigned = |at_ms: i64| u64::try_from(at_ms).unwrap_or(0);
        let start = unsigned(self.now_ms()) / 1000;
        let end = unsigned(expires_at).div_ceil(1000).max(start + 1);
        let config = PresigningConfig::builder()
            .start_time(SystemTime::UNIX_EPOCH + Duration::from_secs(start))
            .expires_in(Duration::from_secs(end - start))
            .build();
        config.map_err(StoreError::unreadable("a URL's validity"))
    }

    /// A form that stores the import's upload (Amazon S3 API Reference, "Browser-based uploads using POST"): at least
    /// one byte, at most [`UPLOAD_BYTES`]. Valid to `expires_at`. A second post makes another version of the object,
    /// which no import is about.
    ///
    /// # Errors
    /// As [`Store::presign_upload`].
    pub async fn presign_form(&self, import: &Import) -> Result<PresignedForm> {
        let settings = self.settings();
        let session = self.signing_until(import.expires_at).await?;
        let url = self.uploads_url(&session.storage).await?;
        let now = OffsetDateTime::from_unix_timestamp(self.now_ms() / 1000)
            .expect("the clock tells a year that dates can write");
        let day = now.format(format_description!("[year][month][day]")).expect("a date");
        let moment = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).expect("a date");
        let key = upload_key(&import.account, &import.id);
        let region = &settings.region;
        let credential = format!("{}/{day}/{region}/s3/aws4_request", session.credentials.access_key_id());
        let mut fields = vec![
            ("key", key),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", credential),
            ("x-amz-date", moment),
        ];
        if let Some(token) = session.credentials.session_token() {
            fields.push(("x-amz-security-token", token.to_owned()));
        }
        let mut conditions =
            vec![json!({ "bucket": settings.uploads_bucket }), json!(["content-length-range", 1, UPLOAD_BYTES])];
        conditions.extend(fields.iter().map(|(name, value)| json!({ *name: value })));
        let expiration = penstock_model::rfc3339(import.expires_at).replace('Z', ".000Z");
        let policy = STANDARD.encode(json!({ "expiration": expiration, "conditions": conditions }).to_string());
        let today = SystemTime::UNIX_EPOCH + Duration::from_secs(now.unix_timestamp().unsigned_abs());
        let key = generate_signing_key(session.credentials.secret_access_key(), today, region, "s3");
        let signature = calculate_signature(key, policy.as_bytes());
        fields.push(("policy", policy));
        fields.push(("x-amz-signature", signature));
        Ok(PresignedForm { url, fields })
    }

    /// Where the bucket of uploads is for clients, without a slash at its end. Under which host a bucket is, the SDK
    /// knows: that differs by partition.
    async fn uploads_url(&self, storage: &aws_sdk_s3::Client) -> Result<String> {
        const OBJECT: &str = "object";
        let object = storage.put_object().bucket(&self.settings().uploads_bucket).key(OBJECT);
        let object = object.presigned(self.presigning(self.now_ms())?).await;
        let object = object.map_err(StoreError::unavailable("s3:PutObject"))?;
        // It is where an object is, without its name.
        let url = object.uri().split('?').next().and_then(|url| url.strip_suffix(OBJECT)).unwrap_or_default();
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// The origin to which clients send uploads, as a browser writes it: scheme and host, and the port if it has one.
    ///
    /// # Errors
    /// When no URL can be made.
    pub async fn uploads_origin(&self) -> Result<String> {
        // What it signs is not given out: that takes no credentials of the signer.
        let storage = self.clients().storage(self.settings().credentials.clone());
        let url = self.uploads_url(&storage).await?;
        let host = url.find("://").map_or(0, |at| at + "://".len());
        let end = url[host..].find('/').map_or(url.len(), |at| host + at);
        Ok(url[..end].to_ascii_lowercase())
    }

    /// The import's upload as it is stored, if there is one.
    pub async fn find_upload(&self, account: &AccountId, import: &ImportId) -> Result<Option<StoredObject>> {
        let sent = self
            .inner
            .s3
            .head_object()
            .bucket(&self.settings().uploads_bucket)
            .key(upload_key(account, import))
            .send()
            .await;
        match sent {
            Ok(head) => Ok(Some(StoredObject {
                version: head.version_id,
                etag: head.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
                bytes: u64::try_from(head.content_length.unwrap_or(0)).unwrap_or(0),
            })),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_not_found()) => Ok(None),
            Err(error) => Err(StoreError::unavailable("s3:HeadObject")(error)),
        }
    }

    /// The checksum of the whole of the very object that the import was accepted for: CRC-64/NVME, which S3 computes of
    /// every object (Amazon S3 User Guide, "Checking object integrity"). `None` where the storage has no such one, or
    /// another object by now.
    pub(crate) async fn upload_checksum(&self, import: &Import, object: &StoredObject) -> Result<Option<String>> {
        let head = self.inner.s3.head_object().bucket(&self.settings().uploads_bucket);
        let head = head.key(upload_key(&import.account, import.upload_of()));
        let head = head.set_version_id(object.version.clone()).checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.map_err(StoreError::unavailable("s3:HeadObject"))?;
        let is_whole = head.checksum_type() == Some(&ChecksumType::FullObject);
        let is_it = head.e_tag() == Some(&quoted_etag(object));
        Ok(head.checksum_crc64_nvme.filter(|_| is_whole && is_it))
    }

    /// Reads bytes of the very object that the import was accepted for: from `offset` on, `bytes` of them or all that
    /// follow.
    ///
    /// # Errors
    /// [`StoreError::ObjectGone`] when it has been removed, or replaced where the bucket keeps no versions;
    /// [`StoreError::Unavailable`] when the storage answers with other bytes than the requested range.
    pub async fn read_upload(&self, import: &Import, offset: u64, bytes: Option<u64>) -> Result<ByteStream> {
        let Some(object) = &import.object else { return Err(StoreError::ObjectGone) };
        if offset >= object.bytes || bytes == Some(0) {
            return Ok(ByteStream::default());
        }
        let mut get = self
            .inner
            .s3
            .get_object()
            .bucket(&self.settings().uploads_bucket)
            .key(upload_key(&import.account, import.upload_of()));
        get = match &object.version {
            Some(version) => get.version_id(version),
            None => get.if_match(quoted_etag(object)),
        };
        let end = bytes.map_or(object.bytes, |bytes| offset.saturating_add(bytes).min(object.bytes));
        // What a range is answered with (RFC 9110, section 14.4).
        let mut wanted = None;
        if offset > 0 || bytes.is_some() {
            get = get.range(format!("bytes={offset}-{}", end - 1));
            wanted = Some(format!("bytes {offset}-{}/{}", end - 1, object.bytes));
        }
        match get.send().await {
            Ok(output) if wanted.is_some() && output.content_range != wanted => Err(StoreError::Unavailable {
                call: "s3:GetObject",
                reason: "another range than was asked for".to_owned(),
            }),
            Ok(output) => Ok(output.body),
            Err(error) => {
                let gone = error.as_service_error().is_some_and(|e| {
                    matches!(e, GetObjectError::NoSuchKey(_))
                        || matches!(e.meta().code(), Some("PreconditionFailed" | "NoSuchVersion" | "NoSuchKey"))
                });
                Err(if gone { StoreError::ObjectGone } else { StoreError::unavailable("s3:GetObject")(error) })
            }
        }
    }

    /// A GET of the import's rejected rows file, valid for [`REJECTED_URL_SECONDS`], that names the download after the
    /// import.
    pub async fn presign_rejected(&self, import: &Import, key: &str) -> Result<String> {
        // A sheet's rows come back between commas.
        let is_delimited = |layout: &Layout| layout.grammar.has_header();
        let (content_type, extension) = match import.layout.as_ref().is_none_or(is_delimited) {
            true => ("text/csv; charset=utf-8", "csv"),
            false => ("application/x-ndjson; charset=utf-8", "ndjson"),
        };
        let valid_until = self.now_ms() + REJECTED_URL_SECONDS * 1000;
        let session = self.signing_until(valid_until).await?;
        let presigned = session
            .storage
            .get_object()
            .bucket(&self.settings().results_bucket)
            .key(key)
            .response_content_type(content_type)
            .response_content_disposition(format!("attachment; filename=\"{}.rejected.{extension}\"", import.id))
            .presigned(self.presigning(valid_until)?)
            .await
            .map_err(StoreError::unavailable("s3:GetObject"))?;
        Ok(presigned.uri().to_owned())
    }

    /// Starts the import's rejected rows file, or goes on with it.
    pub fn rejected_file(&self, import: &Import) -> RejectedFile<'_> {
        let key = rejected_key(&import.account, &import.id);
        let bucket = self.settings().results_bucket.clone();
        let target = Target { bucket, key: key.clone(), content_type: Some("text/csv"), once: false };
        let writer = match &import.report_at {
            None => ObjectWriter::new(self, target),
            Some(ReportCheckpoint { upload, mark, parts, .. }) => {
                let begun = Begun { upload: upload.clone(), mark: mark.clone(), parts: *parts };
                ObjectWriter::go_on(self, target, begun)
            }
        };
        RejectedFile { key, writer }
    }

    /// Starts the import's upload from a body that came through the API, at most `limit` bytes of it.
    pub fn upload(&self, account: &AccountId, import: &ImportId, limit: u64) -> Upload<'_> {
        let (bucket, key) = (self.settings().uploads_bucket.clone(), upload_key(account, import));
        let target = Target { bucket, key, content_type: None, once: true };
        Upload { limit, writer: ObjectWriter::new(self, target) }
    }
}

/// A rejected rows file that is being written: in one piece when it is small, in parts as it grows. It becomes visible
/// when it is finished; a repeat of the whole replaces it by the same.
#[derive(Debug)]
pub struct RejectedFile<'a> {
    key: String,
    writer: ObjectWriter<'a>,
}

impl RejectedFile<'_> {
    /// Appends bytes; a part that is full is sent.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write(bytes).await
    }

    /// Whether another invocation could go on here: what is enough for a part is sent, and nothing is held. Every
    /// writer of the file is to ask behind each part of the errors, so that all send the same parts.
    pub async fn rests(&mut self) -> Result<bool> {
        Ok(self.writer.rest().await?.is_some())
    }

    /// Notes in the import where another invocation goes on; whether it was noted. It is not where another writer went
    /// on, or the import is gone: what this one has stored by itself is removed then.
    pub async fn hand_on(mut self, import: &Import, next: ErrorCursor, rows: u64) -> Result<bool> {
        let store = self.writer.store();
        let Some(Begun { upload, mark, parts }) = self.writer.rest().await? else { return Ok(false) };
        let begun_at = import.report_at.as_ref().map_or_else(|| store.now_ms(), |at| at.begun_at);
        let at = ReportCheckpoint { upload, mark, begun_at, parts, next, rows };
        let mut is_noted = store.note_report(import, &at).await?;
        if !is_noted {
            // It may be noted all the same: by a request whose answer was lost.
            let now = store.import(&import.account, &import.id).await?;
            is_noted = now.and_then(|import| import.report_at).is_some_and(|noted| noted == at);
        }
        if is_noted || import.report_at.is_some() {
            self.writer.leave();
        }
        Ok(is_noted)
    }

    /// Sends what is left, makes the file visible and gives its key.
    pub async fn finish(self) -> Result<String> {
        self.writer.finish().await?;
        crash::point("report.written");
        Ok(self.key)
    }
}

/// Why a body did not become an import's upload.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It has more bytes than it may have.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// How many it may have.
        limit: u64,
    },
    /// The import has an upload already.
    #[error("there is an upload already")]
    Exists,
    /// The storage did not take it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An import's upload that comes through the API: as with the presigned PUT, an import gets one object, and it becomes
/// visible whole or not at all. It holds about one part (8 MiB) at a time.
///
/// A repeat of the whole finds [`UploadError::Exists`], unless nothing was stored the first time.
#[derive(Debug)]
pub struct Upload<'a> {
    limit: u64,
    writer: ObjectWriter<'a>,
}

impl Upload<'_> {
    /// Appends bytes; a part that is full is sent. Nothing is left behind by an upload that is dropped.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`] with the first byte beyond the limit.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        if self.writer.bytes() + bytes.len() as u64 > self.limit {
            return Err(UploadError::TooLarge { limit: self.limit });
        }
        Ok(self.writer.write(bytes).await?)
    }

    /// Sends what is left and makes the upload visible; S3 tells the splitter of it as of any other.
    ///
    /// # Errors
    /// [`UploadError::Exists`] when another one was first.
    pub async fn finish(self) -> Result<StoredObject, UploadError> {
        let written = self.writer.finish().await?;
        crash::point("upload.stored");
        match written {
            Written::Stored(object) => Ok(object),
            Written::Exists => Err(UploadError::Exists),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_import_and_nothing_else_does() {
        let account: AccountId = "shop-1".parse().expect("valid");
        let import = ImportId::new(5, [1; 10]);
        assert_eq!(of_key(&upload_key(&account, &import)), Some((account, import.clone())));
        for foreign in
            ["", "uploads/", "uploads/1/x", "other/1/imp_0", &format!("uploads/1/{import}/x"), "uploads/a b/imp_x"]
        {
            assert_eq!(of_key(foreign), None, "{foreign}");
        }
    }

    #[tokio::test]
    async fn a_form_goes_where_the_sdk_finds_the_bucket() {
        for (region, endpoint, url) in [
            ("eu-central-1", None, "https://files.s3.eu-central-1.amazonaws.com"),
            ("cn-north-1", None, "https://files.s3.cn-north-1.amazonaws.com.cn"),
            ("eu-central-1", Some("http://127.0.0.1:9000"), "http://127.0.0.1:9000/files"),
        ] {
            let settings = crate::Settings::from_vars(|name| match name {
                "AWS_REGION" => Some(region.to_owned()),
                "AWS_ENDPOINT_URL_S3" => endpoint.map(str::to_owned),
                "PENSTOCK_UPLOADS_BUCKET" => Some("files".to_owned()),
                "PENSTOCK_STORAGE_URL" | "PENSTOCK_SIGNER_ROLE" => None,
                _ if name.contains("ENDPOINT") => None,
                _ => Some("1".to_owned()),
            });
            let store = Store::new(settings.expect("every variable is set"));
            let now = store.now_ms();
            let (account, kind) = ("1".parse().expect("an account"), "products".parse().expect("a kind"));
            let import = Import::new(ImportId::new(5, [1; 10]), account, kind, now, now + 60_000);
            assert_eq!(store.presign_form(&import).await.expect("signed").url, url);
        }
    }

    /// A storage that answers each request with the same object, whatever range is asked for, with this first line and
    /// these headers.
    async fn storage(answer: &'static str) -> (Store, Import) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte).await.is_ok_and(|read| read == 1) {
                    request.push(byte[0]);
                }
                let head = format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n0123456789");
                connection.write_all(head.as_bytes()).await.expect("sent");
            }
        });
        let variable =
            |name: &str| Some(if name.starts_with("AWS_ENDPOINT_URL") { endpoint.clone() } else { "1".to_owned() });
        let settings = crate::Settings::from_vars(variable);
        let import = serde_json::from_value(json!({
            "id": ImportId::new(5, [1; 10]), "account": "1", "kind": "products", "status": "processing", "created_at": 1, "expires_at": 2,
            "object": { "etag": "e", "bytes": 10 }, "checkpoint": { "chunk": 0, "offset": 0, "row": 1, "line": 1 },
        }));
        (Store::new(settings.expect("complete")), import.expect("an import"))
    }

    #[tokio::test]
    async fn other_bytes_than_were_asked_for_are_not_read() {
        let (store, import) = storage("200 OK\r\ncontent-length: 10").await;
        assert!(store.read_upload(&import, 0, None).await.is_ok(), "all of it");
        for (offset, bytes) in [(5, None), (0, Some(5)), (0, Some(10))] {
            let read = store.read_upload(&import, offset, bytes).await;
            let reason = read.expect_err("not a range").to_string();
            assert_eq!(reason, "s3:GetObject: another range than was asked for", "{bytes:?} from {offset}");
        }
        let (store, import) = storage("206 Partial Content\r\ncontent-length: 10\r\ncontent-range: bytes 0-9/10").await;
        assert!(store.read_upload(&import, 0, Some(20)).await.is_ok(), "as far as it goes");
        assert!(store.read_upload(&import, 0, Some(5)).await.is_err(), "more");
        assert!(store.read_upload(&import, 1, None).await.is_err(), "from before");
    }
}
