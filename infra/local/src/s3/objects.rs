//! The S3 operations: s3s-fs does the work, on versions; here stands what becomes of them.

use std::io::{self, ErrorKind, Read, SeekFrom};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::TryStreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Crc64Nvme;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumMode, ChecksumType, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETag, ETagCondition, EncodingType, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
    HeadObjectOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput,
    ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, ObjectVersion, PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::Setup;
use super::multipart::{Joining, Multipart};
use super::notification::{Notifier, StoredObject, encode};
use super::versions::{BUCKET, Version, Versions};

/// Versions of one list, at most.
const LISTED: i32 = 1000;

/// How much of a file is read at a time.
const READ_BYTES: usize = 256 << 10;

/// Cheap to clone: what goes on when its request has broken off has one of its own.
#[derive(Clone, Debug)]
pub(super) struct Objects(Arc<Inner>);

impl Deref for Objects {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

#[derive(Debug)]
pub(super) struct Inner {
    root: PathBuf,
    files: FileSystem,
    versions: Versions,
    /// The versioned bucket, whose objects are told to the notifier.
    uploads: String,
    results: String,
    notifier: Notifier,
    multipart: Multipart,
}

/// Where a version will go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: Version,
}

/// `If-Match` and `If-None-Match`.
#[derive(Clone, Debug)]
struct Conditions {
    matches: Option<ETagCondition>,
    none_matches: Option<ETagCondition>,
}

impl Objects {
    pub(super) fn open(root: &Path, setup: Setup<'_>, notifier: Notifier) -> anyhow::Result<Self> {
        for bucket in [setup.uploads, setup.results] {
            std::fs::create_dir_all(root.join(bucket))?;
        }
        Ok(Self(Arc::new(Inner {
            root: root.to_owned(),
            versions: Versions::open(root)?,
            files: FileSystem::new(root).map_err(|error| anyhow::anyhow!("{error:?}"))?,
            uploads: setup.uploads.to_owned(),
            results: setup.results.to_owned(),
            notifier,
            multipart: Multipart::open(root)?,
        })))
    }

    /// Joins the parts of an upload to its object. Whatever goes wrong, the upload is as it was.
    async fn join(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
        target: Target,
        conditions: Conditions,
        joining: Joining,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let completed = self.files.complete_multipart_upload(anyones(req)).await;
        let mut output = completed.map_err(|error| self.told(error))?.output;
        if let Some(result) = output.future.take() {
            output = result.await?;
        }
        let how = "CompleteMultipartUpload";
        output.version_id = self.commit(&target, &conditions, output.e_tag.as_ref(), how).await?;
        // Not before there is the object: whoever finds no such upload finds that.
        joining.end(&self.multipart);
        output.bucket = Some(target.bucket);
        output.key = Some(target.key);
        Ok(output)
    }

    /// An error of s3s-fs, which says so if the disk is full: a person can do something about that.
    fn told(&self, error: S3Error) -> S3Error {
        let mut source = error.source().map(|source| source as &(dyn std::error::Error + 'static));
        while let Some(cause) = source {
            if cause.downcast_ref::<io::Error>().is_some_and(|cause| {
                matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
            }) {
                let message = format!("no more can be written in the folder {}: {cause}", self.root.display());
                return S3Error::with_message(S3ErrorCode::InternalError, message);
            }
            source = cause.source();
        }
        error
    }

    /// # Errors
    /// `NoSuchBucket`.
    fn know(&self, bucket: &str) -> S3Result<()> {
        if bucket == self.uploads || bucket == self.results { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    fn versioned(&self, bucket: &str) -> bool {
        bucket == self.uploads
    }

    /// The version id as the outside sees it.
    fn version_id(&self, bucket: &str, version: &Version) -> Option<String> {
        self.versioned(bucket).then(|| version.id.clone())
    }

    /// Turns a read of a key into one of the version that it names, or of the current one; gives that, and its id as
    /// the outside sees it.
    async fn read_version(
        &self,
        bucket: &mut String,
        key: &mut String,
        version_id: Option<&str>,
    ) -> S3Result<(Version, Option<String>)> {
        self.know(bucket)?;
        let version = self.versions.find(bucket, key, version_id).await?;
        let shown = self.version_id(bucket, &version);
        version.stand_in(bucket, key);
        Ok((version, shown))
    }

    fn plan(&self, bucket: &str, key: &str) -> S3Result<Target> {
        self.know(bucket)?;
        Ok(Target { bucket: bucket.to_owned(), key: key.to_owned(), version: self.versions.plan(bucket, key) })
    }

    /// Makes a stored version the current object and tells about it; or removes it, if the conditions forbid.
    async fn commit(
        &self,
        target: &Target,
        conditions: &Conditions,
        etag: Option<&ETag>,
        how: &'static str,
    ) -> S3Result<Option<String>> {
        let Target { bucket, key, version } = target;
        let versioned = self.versioned(bucket);
        let result = self
            .versions
            .commit(bucket, key, version, versioned, async |before| {
                let etag = match before {
                    Some(before) => self.etag(&before).await?,
                    None => None,
                };
                conditions.check_write(etag.as_ref())
            })
            .await;
        if let Err(error) = result {
            self.versions.remove(version).await;
            return Err(error);
        }
        if versioned {
            let size = tokio::fs::metadata(self.versions.file(version)).await.map_or(0, |metadata| metadata.len());
            self.notifier.tell(&StoredObject {
                bucket: bucket.clone(),
                key: key.clone(),
                size,
                etag: etag.map(|etag| etag.value().to_owned()).unwrap_or_default(),
                version: version.id.clone(),
                how,
            });
        }
        Ok(self.version_id(bucket, version))
    }

    async fn etag(&self, version: &Version) -> S3Result<Option<ETag>> {
        let input = HeadObjectInput { bucket: BUCKET.to_owned(), key: version.key(), ..Default::default() };
        Ok(self.files.head_object(internal(input)).await?.output.e_tag)
    }

    async fn delete(&self, bucket: &str, key: &str, version_id: Option<&str>) -> S3Result<()> {
        match version_id {
            Some(version_id) => self.versions.delete_version(bucket, key, version_id).await,
            None => self.versions.delete(bucket, key, self.versioned(bucket)).await,
        }
    }
}

#[async_trait]
impl S3 for Objects {
    async fn put_object(&self, mut req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        // s3s turns a POST form into this operation, but for the method.
        let how = if req.method == http::Method::POST { "Post" } else { "Put" };
        let target = self.plan(&req.input.bucket, &req.input.key)?;
        let conditions = Conditions::take(&mut req.input.if_match, &mut req.input.if_none_match);
        target.version.stand_in(&mut req.input.bucket, &mut req.input.key);
        let mut response = match self.files.put_object(req).await {
            Ok(response) => response,
            Err(error) => {
                self.versions.remove(&target.version).await;
                return Err(self.told(error));
            }
        };
        response.output.version_id = self.commit(&target, &conditions, response.output.e_tag.as_ref(), how).await?;
        Ok(response)
    }

    /// Copies the bytes of a version, or of the current one; what else was said of it is left behind, as a request asks
    /// for that replaces it.
    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let CopyObjectInput { bucket, key, copy_source, .. } = req.input;
        let CopySource::Bucket { bucket: of, key: source, version_id } = copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        self.know(&of)?;
        let version = self.versions.find(&of, &source, version_id.as_deref()).await?;
        let gone = |error| s3_error!(error, NoSuchKey);
        let length = tokio::fs::metadata(self.versions.file(&version)).await.map_err(gone)?.len();
        let body = read(self.versions.file(&version), 0, length).await.map_err(gone)?;
        let target = self.plan(&bucket, &key)?;
        let mut put =
            PutObjectInput { body: Some(body), content_length: i64::try_from(length).ok(), ..Default::default() };
        target.version.stand_in(&mut put.bucket, &mut put.key);
        let stored = match self.files.put_object(internal(put)).await {
            Ok(response) => response.output,
            Err(error) => {
                self.versions.remove(&target.version).await;
                return Err(self.told(error));
            }
        };
        let conditions = Conditions { matches: None, none_matches: None };
        let version_id = self.commit(&target, &conditions, stored.e_tag.as_ref(), "Copy").await?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(CopyObjectResult { e_tag: stored.e_tag, ..Default::default() }),
            version_id,
            ..Default::default()
        }))
    }

    async fn get_object(&self, mut req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let GetObjectInput { bucket, key, version_id, if_match, if_none_match, .. } = &mut req.input;
        let conditions = Conditions::take(if_match, if_none_match);
        let (version, version_id) = self.read_version(bucket, key, version_id.as_deref()).await?;
        let mut response = self.files.get_object(req).await?;
        let output = &mut response.output;
        conditions.check_read(output.e_tag.as_ref())?;
        // s3s-fs would read 4 KiB at a time.
        let start = output.content_range.as_deref().map_or(Some(0), range_start);
        let length = output.content_length.and_then(|length| u64::try_from(length).ok());
        if let (Some(start), Some(length)) = (start, length) {
            output.body = Some(
                read(self.versions.file(&version), start, length).await.map_err(|error| s3_error!(error, NoSuchKey))?,
            );
        }
        output.version_id = version_id;
        Ok(response)
    }

    async fn head_object(&self, mut req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let HeadObjectInput { bucket, key, version_id, if_match, if_none_match, .. } = &mut req.input;
        let conditions = Conditions::take(if_match, if_none_match);
        let (version, version_id) = self.read_version(bucket, key, version_id.as_deref()).await?;
        let is_asked = req.input.checksum_mode.as_ref().is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        let mut response = self.files.head_object(req).await?;
        let output = &mut response.output;
        conditions.check_read(output.e_tag.as_ref())?;
        output.version_id = version_id;
        if is_asked {
            // S3 has one of every object, whoever stored it and in how many parts.
            let file = self.versions.file(&version);
            let checksum = tokio::task::spawn_blocking(move || crc64(&file)).await;
            let checksum = checksum.map_err(|error| s3_error!(error, InternalError))?;
            output.checksum_crc64nvme = checksum.map_err(|error| s3_error!(error, NoSuchKey))?;
            output.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        }
        Ok(response)
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let DeleteObjectInput { bucket, key, version_id, .. } = req.input;
        self.know(&bucket)?;
        self.delete(&bucket, &key, version_id.as_deref()).await?;
        Ok(S3Response::new(DeleteObjectOutput { version_id, ..Default::default() }))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        self.know(&bucket)?;
        let mut deleted = Vec::with_capacity(delete.objects.len());
        for object in delete.objects {
            self.delete(&bucket, &object.key, object.version_id.as_deref()).await?;
            deleted.push(DeletedObject { key: Some(object.key), version_id: object.version_id, ..Default::default() });
        }
        let deleted = (!delete.quiet.unwrap_or(false)).then_some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn create_multipart_upload(
        &self,
        mut req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let target = self.plan(&req.input.bucket, &req.input.key)?;
        target.version.stand_in(&mut req.input.bucket, &mut req.input.key);
        let mut response = self.files.create_multipart_upload(anyones(req)).await?;
        response.output.bucket = Some(target.bucket.clone());
        response.output.key = Some(target.key.clone());
        if let Some(upload_id) = &response.output.upload_id {
            self.multipart.begin(upload_id, target)?;
        }
        Ok(response)
    }

    async fn upload_part(&self, mut req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let UploadPartInput { upload_id, part_number, .. } = &req.input;
        let (upload_id, number) = (upload_id.clone(), *part_number);
        self.multipart.find_open(&upload_id, &req.input.bucket, &req.input.key)?;
        let md5 = req.input.content_md5.take();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = bytes.clone();
        let body = req.input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
        let body = body.inspect_ok(move |piece| {
            counted.fetch_add(piece.len() as u64, Ordering::SeqCst);
        });
        req.input.body = Some(StreamingBlob::wrap(body.map_err(io::Error::other)));
        let response = self.files.upload_part(anyones(req)).await.map_err(|error| self.told(error))?;
        let etag = response.output.e_tag.as_ref().map(ETag::value).unwrap_or_default();
        self.multipart.note(&upload_id, number, etag, bytes.load(Ordering::SeqCst), md5.as_deref())?;
        Ok(response)
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let ListPartsInput { bucket, key, upload_id, part_number_marker, max_parts, .. } = req.input;
        let upload = self.multipart.find(&upload_id, &bucket, &key)?;
        Ok(S3Response::new(self.multipart.parts(upload, upload_id, part_number_marker, max_parts)))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.know(&req.input.bucket)?;
        Ok(S3Response::new(self.multipart.list(&req.input.bucket, req.input.prefix)))
    }

    async fn complete_multipart_upload(
        &self,
        mut req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let upload_id = req.input.upload_id.clone();
        // A repeat while the first is under way finds what that has come to.
        let target = self.multipart.find_joined(&upload_id, &req.input.bucket, &req.input.key).await?.target;
        let conditions = Conditions::take(&mut req.input.if_match, &mut req.input.if_none_match);
        // A condition that is not met leaves the upload as it is.
        let before = self.versions.find(&target.bucket, &target.key, None).await.ok();
        let etag = match before {
            Some(before) => self.etag(&before).await?,
            None => None,
        };
        conditions.check_write(etag.as_ref())?;
        let named = req.input.multipart_upload.as_mut();
        let parts = named.and_then(|named| named.parts.as_deref_mut()).unwrap_or_default();
        let joining = self.multipart.take(&upload_id, parts)?;
        target.version.stand_in(&mut req.input.bucket, &mut req.input.key);
        // Parts that are half joined are none any more: that goes on to its end when its client is gone.
        let objects = self.clone();
        let joined = tokio::spawn(async move { objects.join(req, target, conditions, joining).await });
        let output = joined.await.map_err(|error| s3_error!(error, InternalError))??;
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        mut req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let upload_id = req.input.upload_id.clone();
        let target = self.multipart.find_joined(&upload_id, &req.input.bucket, &req.input.key).await?.target;
        target.version.stand_in(&mut req.input.bucket, &mut req.input.key);
        let response = self.files.abort_multipart_upload(anyones(req)).await?;
        self.multipart.forget(&upload_id);
        Ok(response)
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.know(&req.input.bucket)?;
        self.files.list_objects(req).await
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.know(&req.input.bucket)?;
        self.files.list_objects_v2(req).await
    }

    /// Keys in their order, of each its versions, the newest first; delete markers are not kept here.
    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let ListObjectVersionsInput { bucket, prefix, max_keys, key_marker, version_id_marker, encoding_type, .. } =
            req.input;
        let is_encoded = encoding_type.as_ref().is_some_and(|form| form.as_str() == EncodingType::URL);
        let shown = |key: String| if is_encoded { encode(&key) } else { key };
        self.know(&bucket)?;
        let prefix = prefix.unwrap_or_default();
        let most = usize::try_from(max_keys.unwrap_or(LISTED)).unwrap_or(0).min(LISTED as usize);
        let keys = self.versions.keys(&bucket, &prefix).await.map_err(|error| s3_error!(error, InternalError))?;
        // A marker without a version's id is behind all versions of its key.
        let is_ahead = |key: &&String| match (&key_marker, &version_id_marker) {
            (None, _) => true,
            (Some(marker), Some(_)) => *key >= marker,
            (Some(marker), None) => *key > marker,
        };
        let (mut listed, mut is_truncated) = (Vec::new(), false);
        for key in keys.iter().filter(is_ahead) {
            let (versions, has_current) = self.versions.list(&bucket, key).await?;
            let newest = versions.first().filter(|_| has_current).map(|version| version.id.clone());
            // Ids ascend, and the newest come first.
            let behind = version_id_marker.as_ref().filter(|_| key_marker.as_ref().is_none_or(|marker| marker == key));
            for version in versions.iter().filter(|version| behind.is_none_or(|at| version.id < *at)) {
                if listed.len() == most {
                    is_truncated = true;
                    break;
                }
                let Ok(metadata) = tokio::fs::metadata(self.versions.file(version)).await else { continue };
                listed.push(ObjectVersion {
                    key: Some(shown(key.clone())),
                    version_id: Some(if self.versioned(&bucket) { version.id.clone() } else { "null".to_owned() }),
                    is_latest: Some(newest.as_ref() == Some(&version.id)),
                    e_tag: self.etag(version).await?,
                    size: i64::try_from(metadata.len()).ok(),
                    last_modified: metadata.modified().ok().map(Into::into),
                    ..Default::default()
                });
            }
            if is_truncated {
                break;
            }
        }
        let next = listed.last().filter(|_| is_truncated);
        let (next_key, next_version) = next.map(|last| (last.key.clone(), last.version_id.clone())).unwrap_or_default();
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(bucket),
            next_key_marker: next_key,
            next_version_id_marker: next_version,
            prefix: Some(shown(prefix)),
            encoding_type,
            max_keys: Some(most as i32),
            is_truncated: Some(is_truncated),
            versions: Some(listed),
            ..Default::default()
        }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.know(&req.input.bucket)?;
        self.files.head_bucket(req).await
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.know(&req.input.bucket)?;
        self.files.get_bucket_location(req).await
    }
}

impl Conditions {
    /// The conditions of a request, which s3s-fs is not to judge.
    fn take(matches: &mut Option<ETagCondition>, none_matches: &mut Option<ETagCondition>) -> Self {
        Self { matches: matches.take(), none_matches: none_matches.take() }
    }

    /// Whether an object may be stored over one with `current`.
    fn check_write(&self, current: Option<&ETag>) -> S3Result<()> {
        match &self.matches {
            Some(_) if current.is_none() => return Err(s3_error!(NoSuchKey)),
            Some(condition) if !fits(condition, current) => return Err(s3_error!(PreconditionFailed)),
            _ => {}
        }
        match &self.none_matches {
            Some(condition) if fits(condition, current) => Err(s3_error!(PreconditionFailed)),
            _ => Ok(()),
        }
    }

    /// Whether an object with `current` may be read.
    fn check_read(&self, current: Option<&ETag>) -> S3Result<()> {
        if self.matches.as_ref().is_some_and(|condition| !fits(condition, current)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if self.none_matches.as_ref().is_some_and(|condition| fits(condition, current)) {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

fn fits(condition: &ETagCondition, current: Option<&ETag>) -> bool {
    match (condition, current) {
        (_, None) => false,
        (ETagCondition::Any, Some(_)) => true,
        (ETagCondition::ETag(wanted), Some(current)) => wanted.value() == current.value(),
    }
}

/// The first byte of `bytes <first>-<last>/<size>`.
fn range_start(content_range: &str) -> Option<u64> {
    content_range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// CRC-64/NVME of a file, as S3 writes it.
fn crc64(file: &Path) -> io::Result<Option<String>> {
    let mut file = std::fs::File::open(file)?;
    let mut hasher = ChecksumHasher { crc64nvme: Some(Crc64Nvme::default()), ..ChecksumHasher::default() };
    let mut bytes = vec![0; READ_BYTES];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hasher.finalize().checksum_crc64nvme),
            read => hasher.update(&bytes[..read]),
        }
    }
}

async fn read(file: PathBuf, start: u64, length: u64) -> io::Result<StreamingBlob> {
    let mut file = tokio::fs::File::open(file).await?;
    file.seek(SeekFrom::Start(start)).await?;
    file.set_max_buf_size(READ_BYTES);
    Ok(StreamingBlob::wrap(ReaderStream::with_capacity(file.take(length), READ_BYTES)))
}

/// A request without its maker: s3s-fs would keep a multipart upload for the access key that began it, and here each
/// function has one of its own.
fn anyones<T>(mut req: S3Request<T>) -> S3Request<T> {
    req.credentials = None;
    req
}

/// A request that no client has made.
fn internal<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::GET,
        uri: http::Uri::from_static("/"),
        headers: http::HeaderMap::new(),
        extensions: http::Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}
