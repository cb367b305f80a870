//! The files of exports: stored part by part, put together, given out, removed.
//!
//! An export's parts belong to one multipart upload, whose id is pinned in the export before a part is stored. A death
//! before that leaves an upload without parts, which the bucket's lifecycle removes. What an export has left that was
//! cancelled, failed or deleted is removed by the sweeper, at once and once more when whoever was at work on it has
//! ended: a part, and a file that was just being put together, may come until then.

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use penstock_model::{Export, limits};

use crate::{Result, Store, StoreError, crash, names::Folder};

/// Whether a request found what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFile {
    /// It is stored.
    Stored,
    /// The multipart upload is no more, and the file is not there.
    Gone,
}

/// The key of an export's file in the results bucket.
pub fn export_file_key(export: &Export) -> String {
    let (format, packed) = (export.format.as_str(), export.compression.extension());
    format!("{}{}.{format}{packed}", Folder::Exports.of_account(&export.account), export.id)
}

fn is_gone<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(error, SdkError::ServiceError(service) if service.err().code() == Some("NoSuchUpload"))
}

impl Store {
    /// Begins the multipart upload of an export's file and gives its id. A repeat begins another one: only the one that
    /// is pinned in the export counts, and the bucket's lifecycle removes the others.
    pub async fn begin_export_file(&self, export: &Export) -> Result<String> {
        let begun = self
            .inner
            .s3
            .create_multipart_upload()
            .bucket(&self.settings().results_bucket)
            .key(export_file_key(export))
            .content_type(content_type(export))
            .send()
            .await
            .map_err(StoreError::unavailable("s3:CreateMultipartUpload"))?;
        crash::point("export.begun");
        Ok(begun.upload_id.unwrap_or_default())
    }

    /// Stores the next part of an export's file, which is to be noted then. A repeat replaces it.
    pub async fn store_export_part(&self, export: &Export, part: Bytes) -> Result<ExportFile> {
        let Some(upload) = &export.upload else { return Ok(ExportFile::Gone) };
        let sent = self
            .inner
            .s3
            .upload_part()
            .bucket(&self.settings().results_bucket)
            .key(export_file_key(export))
            .upload_id(upload)
            .part_number(i32::try_from(export.next_part).unwrap_or(i32::MAX))
            .body(ByteStream::from(part))
            .send()
            .await;
        match sent {
            Ok(_) => {
                crash::point("export.part");
                Ok(ExportFile::Stored)
            }
            Err(error) if is_gone(&error) => Ok(ExportFile::Gone),
            Err(error) => Err(StoreError::unavailable("s3:UploadPart")(error)),
        }
    }

    /// Puts an export's file together from its noted parts. A repeat finds it there. A file without a byte has no part
    /// and is stored by itself.
    pub async fn complete_export_file(&self, export: &Export) -> Result<ExportFile> {
        if export.checkpoint.parts.is_empty() {
            return self.store_empty_export(export).await;
        }
        let Some(upload) = &export.upload else { return Ok(ExportFile::Gone) };
        let Some(parts) = self.export_parts(export, upload).await? else { return self.export_file(export).await };
        if parts.len() != export.checkpoint.part_count() {
            return Ok(ExportFile::Gone);
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let sent = self
            .inner
            .s3
            .complete_multipart_upload()
            .bucket(&self.settings().results_bucket)
            .key(export_file_key(export))
            .upload_id(upload)
            .multipart_upload(parts)
            .send()
            .await;
        match sent {
            Ok(_) => {
                crash::point("export.stored");
                Ok(ExportFile::Stored)
            }
            Err(error) if is_gone(&error) => self.export_file(export).await,
            Err(error) => Err(StoreError::unavailable("s3:CompleteMultipartUpload")(error)),
        }
    }

    async fn store_empty_export(&self, export: &Export) -> Result<ExportFile> {
        self.inner
            .s3
            .put_object()
            .bucket(&self.settings().results_bucket)
            .key(export_file_key(export))
            .content_type(content_type(export))
            .body(ByteStream::from_static(b""))
            .send()
            .await
            .map_err(StoreError::unavailable("s3:PutObject"))?;
        crash::point("export.stored");
        Ok(ExportFile::Stored)
    }

    /// The noted parts of an export, as S3 has them; `None` where it has no such upload.
    async fn export_parts(&self, export: &Export, upload: &str) -> Result<Option<Vec<CompletedPart>>> {
        let (mut parts, mut after) = (Vec::new(), None);
        loop {
            let sent = self
                .inner
                .s3
                .list_parts()
                .bucket(&self.settings().results_bucket)
                .key(export_file_key(export))
                .upload_id(upload)
                .set_part_number_marker(after.take())
                .send()
                .await;
            let page = match sent {
                Ok(page) => page,
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(StoreError::unavailable("s3:ListParts")(error)),
            };
            for part in page.parts.unwrap_or_default() {
                let number = part.part_number.unwrap_or_default();
                if u32::try_from(number).is_ok_and(|number| export.checkpoint.has_part(number)) {
                    parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
                }
            }
            after = page.next_part_number_marker.filter(|_| page.is_truncated == Some(true));
            if after.is_none() {
                return Ok(Some(parts));
            }
        }
    }

    /// Whether an export's file is there.
    async fn export_file(&self, export: &Export) -> Result<ExportFile> {
        let key = export_file_key(export);
        match self.inner.s3.head_object().bucket(&self.settings().results_bucket).key(key).send().await {
            Ok(_) => Ok(ExportFile::Stored),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(ExportFile::Gone),
            Err(error) => Err(StoreError::unavailable("s3:HeadObject")(error)),
        }
    }

    /// Removes an export's file and what is stored of its parts. A repeat removes what is there then.
    pub async fn remove_export_file(&self, export: &Export) -> Result<()> {
        let key = export_file_key(export);
        if let Some(upload) = &export.upload {
            self.abort_multipart(&self.settings().results_bucket, &key, upload).await?;
        }
        self.remove_result(&key).await?;
        crash::point("export.removed");
        Ok(())
    }

    /// A GET of an export's file, valid for [`limits::EXPORT_URL_SECONDS`], that names the download after the kind; the
    /// moment until which it is valid, in Unix milliseconds, beside it: earlier where the signer's credentials end.
    /// Nothing is sent, but where those are renewed.
    pub async fn presign_export(&self, export: &Export) -> Result<(String, i64)> {
        let (session, valid_until) = self.signing(self.now_ms() + limits::EXPORT_URL_SECONDS * 1000).await?;
        let presigned = session
            .storage
            .get_object()
            .bucket(&self.settings().results_bucket)
            .key(export_file_key(export))
            .response_content_type(content_type(export))
            .response_content_disposition(format!("attachment; filename=\"{}\"", export.filename()))
            .presigned(self.presigning(valid_until)?)
            .await
            .map_err(StoreError::unavailable("s3:GetObject"))?;
        Ok((presigned.uri().to_owned(), valid_until))
    }
}

/// What is compressed is a file of its own, not a text that its reader is to unpack.
fn content_type(export: &Export) -> &'static str {
    use penstock_model::ExportCompression::{Gzip, None, Zstd};
    match export.compression {
        None => export.format.media_type(),
        Gzip => "application/gzip",
        Zstd => "application/zstd",
    }
}
