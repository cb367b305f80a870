//! Writing an object whose size is not known when its first byte comes: in one piece when it is small, in parts as it
//! grows.

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use penstock_model::{
    StoredObject,
    limits::{PART_LEAST_BYTES, UPLOAD_PART_BYTES},
};

use crate::{Result, Store, StoreError};

/// The metadata by which a writer knows its own object.
pub(crate) const MARK: &str = "penstock-writer";

/// Which object is written.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) content_type: Option<&'static str>,
    /// Whether it is stored only where there is none yet.
    pub(crate) once: bool,
}

/// The outcome of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is stored.
    Stored(StoredObject),
    /// There was one before, which stays.
    Exists,
}

/// An object that is being written. It becomes visible as a whole when it is finished. A writer that is dropped before
/// leaves, at worst, parts that the bucket's lifecycle removes. It holds one part in memory, and takes no further bytes
/// while it sends that part.
///
/// A repeat of the whole writes another object, or with [`Target::once`] finds the first. A call that the client
/// retries because its answer was lost finds this writer's mark in the object.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'a> {
    store: &'a Store,
    target: Target,
    mark: String,
    upload: Option<String>,
    /// Parts that others have sent, in invocations before.
    before: u32,
    parts: Vec<CompletedPart>,
    buffer: Vec<u8>,
    bytes: u64,
}

/// Where another invocation goes on with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) upload: String,
    pub(crate) mark: String,
    pub(crate) parts: u32,
}

impl<'a> ObjectWriter<'a> {
    /// Starts an object. Nothing is sent.
    pub(crate) fn new(store: &'a Store, target: Target) -> Self {
        let mark = crate::hex(&crate::random::<16>());
        Self { store, target, mark, upload: None, before: 0, parts: Vec::new(), buffer: Vec::new(), bytes: 0 }
    }

    /// Goes on with an object behind the parts that are stored. Two that go on from one place, and write the same, send
    /// the same parts. Nothing is sent.
    pub(crate) fn go_on(store: &'a Store, target: Target, begun: Begun) -> Self {
        let Begun { upload, mark, parts } = begun;
        Self {
            store,
            target,
            mark,
            upload: Some(upload),
            before: parts,
            parts: Vec::new(),
            buffer: Vec::new(),
            bytes: 0,
        }
    }

    /// Sends what it holds, if that is enough for a part. Where others may go on from then on; `None` while it holds
    /// bytes. Whoever writes the same is to ask at the same places.
    pub(crate) async fn rest(&mut self) -> Result<Option<Begun>> {
        if self.buffer.len() as u64 >= PART_LEAST_BYTES {
            self.send_part().await?;
        }
        let upload = self.upload.clone().filter(|_| self.buffer.is_empty());
        Ok(upload.map(|upload| Begun { upload, mark: self.mark.clone(), parts: self.sent() }))
    }

    /// Leaves the object to whoever goes on.
    pub(crate) fn leave(mut self) {
        self.upload = None;
    }

    /// How many parts are stored.
    fn sent(&self) -> u32 {
        self.before + self.parts.len() as u32
    }

    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    /// How many bytes it has taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends bytes; a part that is full is sent.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            // A full part is sent when more comes, so that a file of exactly one part takes one request.
            if self.buffer.len() == UPLOAD_PART_BYTES {
                self.send_part().await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(UPLOAD_PART_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<()> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => self.start().await?,
        };
        let number = self.sent() as i32 + 1;
        // What comes next will fill a part again, in all likelihood.
        let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(UPLOAD_PART_BYTES));
        let sent = self
            .store
            .inner
            .s3
            .upload_part()
            .bucket(&self.target.bucket)
            .key(&self.target.key)
            .upload_id(upload)
            .part_number(number)
            .body(ByteStream::from(Bytes::from(part)))
            .send()
            .await
            .map_err(StoreError::unavailable("s3:UploadPart"))?;
        self.parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
        Ok(())
    }

    async fn start(&mut self) -> Result<String> {
        let started = self
            .store
            .inner
            .s3
            .create_multipart_upload()
            .bucket(&self.target.bucket)
            .key(&self.target.key)
            .set_content_type(self.target.content_type.map(str::to_owned))
            .metadata(MARK, &self.mark)
            .send()
            .await
            .map_err(StoreError::unavailable("s3:CreateMultipartUpload"))?;
        Ok(self.upload.insert(started.upload_id.unwrap_or_default()).clone())
    }

    /// Sends what is left and makes the object visible.
    pub(crate) async fn finish(mut self) -> Result<Written> {
        if self.upload.is_some() { self.complete().await } else { self.put().await }
    }

    async fn put(&mut self) -> Result<Written> {
        let body = ByteStream::from(Bytes::from(std::mem::take(&mut self.buffer)));
        let sent = self
            .store
            .inner
            .s3
            .put_object()
            .bucket(&self.target.bucket)
            .key(&self.target.key)
            .set_content_type(self.target.content_type.map(str::to_owned))
            .set_if_none_match(self.target.once.then(|| "*".to_owned()))
            .metadata(MARK, &self.mark)
            .body(body)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Written::Stored(self.stored(output.version_id, output.e_tag))),
            Err(error) => self.contested("s3:PutObject", error).await,
        }
    }

    async fn complete(&mut self) -> Result<Written> {
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        let mut parts = self.parts_before().await?;
        parts.extend(self.parts.iter().cloned());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let sent = self
            .store
            .inner
            .s3
            .complete_multipart_upload()
            .bucket(&self.target.bucket)
            .key(&self.target.key)
            .set_upload_id(self.upload.clone())
            .set_if_none_match(self.target.once.then(|| "*".to_owned()))
            .multipart_upload(parts)
            .send()
            .await;
        match sent {
            Ok(output) => {
                self.upload = None;
                Ok(Written::Stored(self.stored(output.version_id, output.e_tag)))
            }
            Err(error) => self.contested("s3:CompleteMultipartUpload", error).await,
        }
    }

    /// The parts of invocations before, as S3 has them. Where it has no such upload any more, completing tells why.
    async fn parts_before(&self) -> Result<Vec<CompletedPart>> {
        let (mut parts, mut after) = (Vec::new(), None);
        while parts.len() < self.before as usize {
            let sent = self
                .store
                .inner
                .s3
                .list_parts()
                .bucket(&self.target.bucket)
                .key(&self.target.key)
                .set_upload_id(self.upload.clone())
                .set_part_number_marker(after.take())
                .send()
                .await;
            let page = match sent {
                Err(error) if error.code() == Some("NoSuchUpload") => break,
                sent => sent.map_err(StoreError::unavailable("s3:ListParts"))?,
            };
            for part in page.parts.unwrap_or_default() {
                let number = part.part_number.unwrap_or_default();
                if (1..=self.before as i32).contains(&number) {
                    parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
                }
            }
            after = page.next_part_number_marker.filter(|_| page.is_truncated == Some(true));
            if after.is_none() {
                break;
            }
        }
        Ok(parts)
    }

    fn stored(&self, version: Option<String>, etag: Option<String>) -> StoredObject {
        let etag = etag.unwrap_or_default().trim_matches('"').to_owned();
        StoredObject { version, etag, bytes: self.bytes }
    }

    /// Decides by the mark whose object is stored, where the last request was refused because an object exists, or
    /// because the multipart upload no longer exists: the client may have retried a call that had had its effect.
    async fn contested<E, R>(&mut self, call: &'static str, error: SdkError<E, R>) -> Result<Written>
    where
        E: ProvideErrorMetadata,
    {
        let code = match &error {
            SdkError::ServiceError(service) => service.err().code().unwrap_or_default(),
            _ => "",
        };
        if !matches!(code, "PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchUpload") {
            return Err(StoreError::unavailable(call)(error));
        }
        let refused = code == "PreconditionFailed";
        let sent = self.store.inner.s3.head_object().bucket(&self.target.bucket).key(&self.target.key).send().await;
        match sent {
            Ok(head) => {
                let mark = head.metadata().and_then(|metadata| metadata.get(MARK));
                if mark == Some(&self.mark) {
                    self.upload = None;
                    return Ok(Written::Stored(self.stored(head.version_id, head.e_tag)));
                }
                if self.target.once { Ok(Written::Exists) } else { Err(StoreError::unavailable(call)(error)) }
            }
            // It was removed since.
            Err(head) if refused && head.as_service_error().is_some_and(|e| e.is_not_found()) => Ok(Written::Exists),
            Err(_) => Err(StoreError::unavailable(call)(error)),
        }
    }
}

/// A writer that is dropped unfinished aborts its multipart upload, since the parts would cost as much as an object. If
/// the process dies first, the bucket's lifecycle removes them. A repeat finds nothing to abort.
impl Drop for ObjectWriter<'_> {
    fn drop(&mut self) {
        // What others have begun they may go on with.
        if self.before > 0 {
            return;
        }
        let (Some(upload), Ok(runtime)) = (self.upload.take(), tokio::runtime::Handle::try_current()) else { return };
        let s3 = self.store.inner.s3.clone();
        let Target { bucket, key, .. } = self.target.clone();
        runtime.spawn(async move {
            // What it cannot abort now, the lifecycle does.
            let _ = s3.abort_multipart_upload().bucket(bucket).key(key).upload_id(upload).send().await;
        });
    }
}
