//! Files: what clients upload, and the rejected rows that are given back.

use std::time::{Duration, SystemTime};

pub use aws_sdk_s3::primitives::ByteStream as Stream;
use aws_sdk_s3::{
    operation::get_object::GetObjectError,
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::{Engine as _, engine::general_purpose::STANDARD};
pub use bytes::Bytes;
use penstock_model::{AccountId, Import, ImportId, StoredObject, limits::UPLOAD_BYTES};
use serde_json::json;
use time::{OffsetDateTime, macros::format_description};

use crate::{Result, Store, StoreError, crash};

/// A request that its holder may make of S3 without credentials of their own.
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

const UPLOADS: &str = "uploads/";

/// The key of an import's upload.
pub fn upload_key(account: &AccountId, import: &ImportId) -> String {
    format!("{UPLOADS}{account}/{import}")
}

/// Whose upload a key names; `None` for a key that is no upload's.
pub fn of_key(key: &str) -> Option<(AccountId, ImportId)> {
    let (account, import) = key.strip_prefix(UPLOADS)?.split_once('/')?;
    Some((account.parse().ok()?, import.parse().ok()?))
}

/// The key of an import's rejected rows file.
pub fn rejected_key(account: &AccountId, import: &ImportId) -> String {
    format!("rejected/{account}/{import}.csv")
}

impl Store {
    /// A PUT that stores the import's upload, once: `If-None-Match: *` is part of the signature, so S3 answers a second one with 412.
    /// Valid from now to `expires_at`. Nothing is sent.
    pub async fn presign_upload(&self, import: &Import) -> Result<PresignedRequest> {
        let presigned = self
            .inner
            .s3
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

    fn presigning(&self, expires_at: i64) -> Result<PresigningConfig> {
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

    /// A form that stores the import's upload (Amazon S3 API Reference, "Browser-based uploads using POST"): at least one byte, at most
    /// [`UPLOAD_BYTES`]. Valid to `expires_at`. A second post makes another version of the object, which no import is about.
    pub fn presign_form(&self, import: &Import) -> PresignedForm {
        let settings = self.settings();
        let now = OffsetDateTime::from_unix_timestamp(self.now_ms() / 1000)
            .expect("the clock tells a year that dates can write");
        let day = now.format(format_description!("[year][month][day]")).expect("a date");
        let moment = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).expect("a date");
        let key = upload_key(&import.account, &import.id);
        let region = &settings.region;
        let credential = format!("{}/{day}/{region}/s3/aws4_request", settings.credentials.access_key_id());
        let mut fields = vec![
            ("key", key),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", credential),
            ("x-amz-date", moment),
        ];
        if let Some(token) = settings.credentials.session_token() {
            fields.push(("x-amz-security-token", token.to_owned()));
        }
        let mut conditions =
            vec![json!({ "bucket": settings.uploads_bucket }), json!(["content-length-range", 1, UPLOAD_BYTES])];
        conditions.extend(fields.iter().map(|(name, value)| json!({ *name: value })));
        let expiration = penstock_model::rfc3339(import.expires_at).replace('Z', ".000Z");
        let policy = STANDARD.encode(json!({ "expiration": expiration, "conditions": conditions }).to_string());
        let today = SystemTime::UNIX_EPOCH + Duration::from_secs(now.unix_timestamp().unsigned_abs());
        let key = generate_signing_key(settings.credentials.secret_access_key(), today, region, "s3");
        let signature = calculate_signature(key, policy.as_bytes());
        fields.push(("policy", policy));
        fields.push(("x-amz-signature", signature));
        let url = match &settings.s3_endpoint {
            Some(endpoint) => format!("{}/{}", endpoint.trim_end_matches('/'), settings.uploads_bucket),
            None => format!("https://{}.s3.{region}.amazonaws.com/", settings.uploads_bucket),
        };
        PresignedForm { url, fields }
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

    /// Reads bytes of the very object that the import was accepted for: from `offset` on, `bytes` of them or all that follow.
    ///
    /// # Errors
    /// [`StoreError::ObjectGone`] when it has been removed, or replaced where the bucket keeps no versions.
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
            .key(upload_key(&import.account, &import.id));
        get = match &object.version {
            Some(version) => get.version_id(version),
            None => get.if_match(format!("\"{}\"", object.etag)),
        };
        get = match bytes {
            Some(bytes) => get.range(format!("bytes={offset}-{}", offset + bytes - 1)),
            None if offset > 0 => get.range(format!("bytes={offset}-")),
            None => get,
        };
        match get.send().await {
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

    /// A GET of the import's rejected rows file, valid for five minutes, that names the download after the import.
    pub async fn presign_rejected(&self, import: &Import, key: &str) -> Result<String> {
        let presigned = self
            .inner
            .s3
            .get_object()
            .bucket(&self.settings().results_bucket)
            .key(key)
            .response_content_type("text/csv; charset=utf-8")
            .response_content_disposition(format!("attachment; filename=\"{}.rejected.csv\"", import.id))
            .presigned(self.presigning(self.now_ms() + 5 * 60 * 1000)?)
            .await
            .map_err(StoreError::unavailable("s3:GetObject"))?;
        Ok(presigned.uri().to_owned())
    }

    /// Starts the import's rejected rows file.
    pub fn rejected_file(&self, import: &Import) -> RejectedFile<'_> {
        let key = rejected_key(&import.account, &import.id);
        RejectedFile { store: self, key, upload: None, parts: Vec::new(), buffer: Vec::new() }
    }

    /// Removes the import's upload and its rejected rows file. A repeat finds them gone. In a bucket that keeps versions this hides the
    /// upload; the bucket's lifecycle removes it.
    pub(crate) async fn delete_files(&self, import: &Import) -> Result<()> {
        let Self { inner, .. } = self;
        let files = [
            (&inner.settings.uploads_bucket, upload_key(&import.account, &import.id)),
            (&inner.settings.results_bucket, rejected_key(&import.account, &import.id)),
        ];
        for (bucket, key) in files {
            let sent = inner.s3.delete_object().bucket(bucket).key(key).send().await;
            match sent {
                Ok(_) => {}
                Err(error) if error.as_service_error().is_some_and(|e| e.meta().code() == Some("NoSuchKey")) => {}
                Err(error) => return Err(StoreError::unavailable("s3:DeleteObject")(error)),
            }
        }
        Ok(())
    }
}

/// A rejected rows file that is being written: in one piece when it is small, in parts as it grows. It becomes visible when it is finished;
/// a repeat of the whole replaces it by the same.
#[derive(Debug)]
pub struct RejectedFile<'a> {
    store: &'a Store,
    key: String,
    upload: Option<String>,
    parts: Vec<CompletedPart>,
    buffer: Vec<u8>,
}

/// Bytes of one part: S3 takes at least 5 MiB and at most 10,000 parts, so that 80 GB fit.
const PART_BYTES: usize = 8 * 1024 * 1024;

impl RejectedFile<'_> {
    /// Appends bytes; a part that is full is sent.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES { self.send_part().await } else { Ok(()) }
    }

    async fn send_part(&mut self) -> Result<()> {
        let bucket = &self.store.settings().results_bucket;
        let s3 = &self.store.inner.s3;
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let started =
                    s3.create_multipart_upload().bucket(bucket).key(&self.key).content_type("text/csv").send().await;
                let started = started.map_err(StoreError::unavailable("s3:CreateMultipartUpload"))?;
                self.upload.insert(started.upload_id.unwrap_or_default()).clone()
            }
        };
        let number = self.parts.len() as i32 + 1;
        let body = ByteStream::from(Bytes::from(std::mem::take(&mut self.buffer)));
        let sent = s3
            .upload_part()
            .bucket(bucket)
            .key(&self.key)
            .upload_id(upload)
            .part_number(number)
            .body(body)
            .send()
            .await;
        let sent = sent.map_err(StoreError::unavailable("s3:UploadPart"))?;
        self.parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
        Ok(())
    }

    /// Sends what is left, makes the file visible and gives its key.
    pub async fn finish(mut self) -> Result<String> {
        let bucket = &self.store.settings().results_bucket;
        let s3 = &self.store.inner.s3;
        if self.upload.is_none() {
            let body = ByteStream::from(Bytes::from(std::mem::take(&mut self.buffer)));
            let sent = s3.put_object().bucket(bucket).key(&self.key).content_type("text/csv").body(body).send().await;
            sent.map_err(StoreError::unavailable("s3:PutObject"))?;
        } else {
            if !self.buffer.is_empty() {
                self.send_part().await?;
            }
            let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts)).build();
            let sent = s3
                .complete_multipart_upload()
                .bucket(bucket)
                .key(&self.key)
                .set_upload_id(self.upload)
                .multipart_upload(parts)
                .send()
                .await;
            sent.map_err(StoreError::unavailable("s3:CompleteMultipartUpload"))?;
        }
        crash::point("report.written");
        Ok(self.key)
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
}
