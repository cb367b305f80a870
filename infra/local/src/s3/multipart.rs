//! Multipart uploads. s3s-fs stores and joins the parts; here stands what it lacks: the ETag and size of each part,
//! lists, S3's refusals before anything is touched, and uploads that outlive this process.
//!
//! Sources: the Amazon S3 API Reference, UploadPart, ListParts, ListMultipartUploads, CompleteMultipartUpload,
//! AbortMultipartUpload.
//!
//! ```text
//! <root>/.multipart/<upload id>         where the object goes; then a line for each part that was stored
//! <root>/.multipart/<upload id>.parts/  what s3s-fs has of it, once more, while its parts are being joined: s3s-fs
//!                                       removes each as it goes
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use s3s::dto::{CompletedPart, ETag, ListMultipartUploadsOutput, ListPartsOutput, MultipartUpload, Part};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::objects::Target;
use super::versions::Version;

/// Bytes of a part that is not the last one, at least (Amazon S3 User Guide, "Amazon S3 multipart upload limits").
const PART_LEAST_BYTES: i64 = 5 << 20;
/// Parts and uploads of one list, at most.
const LISTED: i32 = 1000;

/// The multipart uploads under way, by upload id.
#[derive(Clone, Debug)]
pub(super) struct Multipart {
    root: PathBuf,
    folder: PathBuf,
    under_way: Arc<Mutex<BTreeMap<String, Upload>>>,
    /// Told when the joining of an upload has ended.
    ended: Arc<Notify>,
}

/// An upload whose parts are being joined. Dropped before [`Joining::end`], it leaves the upload as it was.
#[derive(Debug)]
pub(super) struct Joining {
    multipart: Multipart,
    id: String,
    is_done: bool,
}

/// An upload under way.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) target: Target,
    parts: BTreeMap<i32, Stored>,
    /// Whether its parts are being joined at this moment.
    is_joined: bool,
}

/// A part that was stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    number: i32,
    /// Without quotes; empty for one that is to be forgotten.
    etag: String,
    bytes: i64,
}

/// The first line of an upload's file.
#[derive(Serialize, Deserialize)]
struct Begun {
    bucket: String,
    key: String,
    version: String,
}

impl Multipart {
    /// The uploads that are under way below `root`.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let folder = root.join(".multipart");
        fs::create_dir_all(&folder)?;
        let mut under_way = BTreeMap::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                // The process died while it joined the parts.
                put_back(&entry.path(), root)?;
                continue;
            }
            // One that was being begun when the process died has no URL yet.
            if let Some(upload) = read(&fs::read_to_string(entry.path())?) {
                under_way.insert(entry.file_name().to_string_lossy().into_owned(), upload);
            }
        }
        let under_way = Arc::new(Mutex::new(under_way));
        Ok(Self { root: root.to_owned(), folder, under_way, ended: Arc::default() })
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<String, Upload>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an upload that has begun.
    pub(super) fn begin(&self, id: &str, target: Target) -> S3Result<()> {
        let Target { bucket, key, version } = &target;
        let begun = Begun { bucket: bucket.clone(), key: key.clone(), version: version.id.clone() };
        self.append(id, &begun)?;
        self.under_way().insert(id.to_owned(), Upload { target, parts: BTreeMap::new(), is_joined: false });
        Ok(())
    }

    /// The upload of that id for that key, to be read.
    ///
    /// # Errors
    /// `NoSuchUpload`.
    pub(super) fn find(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        let upload = self.under_way().get(id).cloned();
        let is_asked = |upload: &Upload| upload.target.bucket == bucket && upload.target.key == key;
        upload.filter(is_asked).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    /// As [`Multipart::find`], when its parts are not being joined any more.
    ///
    /// # Errors
    /// `NoSuchUpload`.
    pub(super) async fn find_joined(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        loop {
            let ended = self.ended.notified();
            let mut ended = pin!(ended);
            ended.as_mut().enable();
            let upload = self.find(id, bucket, key)?;
            if !upload.is_joined {
                return Ok(upload);
            }
            ended.await;
        }
    }

    /// The upload of that id for that key, to be changed.
    ///
    /// # Errors
    /// `NoSuchUpload`; `OperationAborted` while its parts are being joined.
    pub(super) fn find_open(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        let upload = self.find(id, bucket, key)?;
        if upload.is_joined { Err(s3_error!(OperationAborted)) } else { Ok(upload) }
    }

    /// Notes a part that s3s-fs has stored. One that is not what its `Content-MD5` says is forgotten.
    ///
    /// # Errors
    /// `BadDigest`, `InvalidDigest`; `NoSuchUpload` for an upload that has ended meanwhile.
    pub(super) fn note(&self, id: &str, number: i32, etag: &str, bytes: u64, told_md5: Option<&str>) -> S3Result<()> {
        let told = told_md5.map(|told| STANDARD.decode(told).map_err(|_| s3_error!(InvalidDigest))).transpose()?;
        let told = told.map(|told| told.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let mut under_way = self.under_way();
        let upload = under_way.get_mut(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        if told.is_some_and(|told| told != etag) {
            // Its bytes have taken the place of those that an earlier request stored.
            self.append(id, &Stored { number, etag: String::new(), bytes: 0 })?;
            upload.parts.remove(&number);
            return Err(s3_error!(BadDigest));
        }
        let stored = Stored { number, etag: etag.to_owned(), bytes: i64::try_from(bytes).unwrap_or(i64::MAX) };
        self.append(id, &stored)?;
        upload.parts.insert(number, stored);
        Ok(())
    }

    /// Takes an upload whose parts are to be joined; nobody else changes it until that has ended. S3 lets numbers out;
    /// s3s-fs joins those from 1 on, so the parts have these in its folder and in `parts` from here on.
    ///
    /// # Errors
    /// What S3 says of parts that are no object; the upload stays as it is.
    pub(super) fn take(&self, id: &str, parts: &mut [CompletedPart]) -> S3Result<Joining> {
        let mut under_way = self.under_way();
        let upload = under_way.get_mut(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        if upload.is_joined {
            return Err(s3_error!(OperationAborted));
        }
        let mut before = 0;
        for (at, part) in parts.iter().enumerate() {
            let number = part.part_number.unwrap_or_default();
            if number <= before {
                return Err(s3_error!(InvalidPartOrder));
            }
            before = number;
            let told = part.e_tag.as_ref().map(ETag::value);
            let stored = upload.parts.get(&number).filter(|stored| told == Some(&stored.etag));
            let stored = stored.ok_or_else(|| s3_error!(InvalidPart))?;
            if stored.bytes < PART_LEAST_BYTES && at + 1 != parts.len() {
                return Err(s3_error!(EntityTooSmall));
            }
        }
        let kept = self.kept(id);
        keep(&self.root, &kept, id).map_err(|error| {
            let _ = fs::remove_dir_all(&kept);
            s3_error!(error, InternalError)
        })?;
        upload.is_joined = true;
        // Dropped, it puts back what is moved here.
        let joining = Joining { multipart: self.clone(), id: id.to_owned(), is_done: false };
        let stored: Vec<i32> = upload.parts.keys().copied().collect();
        drop(under_way);
        self.number_from_one(id, &stored, parts).map_err(|error| s3_error!(error, InternalError))?;
        Ok(joining)
    }

    /// Numbers the parts that are joined from 1 on, and removes the others.
    fn number_from_one(&self, id: &str, stored: &[i32], parts: &mut [CompletedPart]) -> io::Result<()> {
        let path = |number: i32| self.root.join(format!(".upload_id-{id}.part-{number}"));
        let joined = |number: &i32| parts.iter().any(|part| part.part_number == Some(*number));
        for other in stored.iter().filter(|number| !joined(number)) {
            fs::remove_file(path(*other))?;
        }
        // They ascend, so that what stands under the new number has been moved, or removed.
        for (number, part) in (1..).zip(parts) {
            if let Some(old) = part.part_number.replace(number).filter(|old| *old != number) {
                fs::rename(path(old), path(number))?;
            }
        }
        Ok(())
    }

    /// Where an upload's parts are once more.
    fn kept(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.parts"))
    }

    /// Forgets an upload that has ended.
    pub(super) fn forget(&self, id: &str) {
        self.under_way().remove(id);
        if let Err(error) = fs::remove_file(self.folder.join(id)) {
            tracing::warn!(%error, id, "forgetting an upload");
        }
    }

    /// The parts of an upload after one number, in their order.
    pub(super) fn parts(&self, upload: Upload, id: String, after: Option<i32>, most: Option<i32>) -> ListPartsOutput {
        let most = most.unwrap_or(LISTED).clamp(1, LISTED);
        let mut listed: Vec<Part> = Vec::new();
        let mut is_truncated = false;
        for (&number, stored) in upload.parts.range(after.unwrap_or(0) + 1..) {
            if listed.len() == most as usize {
                is_truncated = true;
                break;
            }
            listed.push(Part {
                part_number: Some(number),
                e_tag: Some(ETag::Strong(stored.etag.clone())),
                size: Some(stored.bytes),
                ..Default::default()
            });
        }
        ListPartsOutput {
            bucket: Some(upload.target.bucket),
            key: Some(upload.target.key),
            upload_id: Some(id),
            part_number_marker: after,
            next_part_number_marker: listed.last().and_then(|part| part.part_number),
            max_parts: Some(most),
            is_truncated: Some(is_truncated),
            parts: Some(listed),
            ..Default::default()
        }
    }

    /// The uploads of a bucket whose keys begin so: all of them, since here are never more than one list takes.
    pub(super) fn list(&self, bucket: &str, prefix: Option<String>) -> ListMultipartUploadsOutput {
        let start = prefix.clone().unwrap_or_default();
        let under_way = self.under_way();
        let ours = under_way.iter().filter(|(_, upload)| {
            let Target { bucket: its, key, .. } = &upload.target;
            its == bucket && key.starts_with(&start)
        });
        let uploads = ours.map(|(id, upload)| MultipartUpload {
            key: Some(upload.target.key.clone()),
            upload_id: Some(id.clone()),
            ..Default::default()
        });
        ListMultipartUploadsOutput {
            bucket: Some(bucket.to_owned()),
            prefix,
            is_truncated: Some(false),
            uploads: Some(uploads.collect()),
            ..Default::default()
        }
    }

    fn append(&self, id: &str, line: &impl Serialize) -> S3Result<()> {
        let written = || -> io::Result<()> {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(self.folder.join(id))?;
            file.write_all(format!("{}\n", serde_json::to_string(line)?).as_bytes())
        };
        written().map_err(|error| s3_error!(error, InternalError))
    }
}

impl Joining {
    /// Its parts are an object: the upload has ended.
    pub(super) fn end(mut self, multipart: &Multipart) {
        self.is_done = true;
        if let Err(error) = fs::remove_dir_all(multipart.kept(&self.id)) {
            tracing::warn!(%error, id = self.id, "removing joined parts");
        }
        multipart.forget(&self.id);
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        let Self { multipart, id, is_done } = self;
        if !*is_done {
            if let Err(error) = put_back(&multipart.kept(id), &multipart.root) {
                tracing::error!(%error, id, "putting parts back");
            }
            if let Some(upload) = multipart.under_way().get_mut(id.as_str()) {
                upload.is_joined = false;
            }
        }
        multipart.ended.notify_waiters();
    }
}

/// Gives everything that s3s-fs has of an upload, its parts and what it knows of them, another name each in a folder of
/// their own. It takes no room.
fn keep(root: &Path, kept: &Path, id: &str) -> io::Result<()> {
    fs::create_dir_all(kept)?;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().contains(id) && entry.file_type()?.is_file() {
            fs::hard_link(entry.path(), kept.join(name))?;
        }
    }
    Ok(())
}

/// Gives s3s-fs back what it removed of an upload, and what was numbered anew under the old number. A repeat changes
/// nothing.
fn put_back(kept: &Path, root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(kept)? {
        let entry = entry?;
        let place = root.join(entry.file_name());
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::hard_link(entry.path(), place)?,
        }
    }
    fs::remove_dir_all(kept)
}

fn read(text: &str) -> Option<Upload> {
    let mut lines = text.lines();
    let Begun { bucket, key, version } = serde_json::from_str(lines.next()?).ok()?;
    let version = Version::of(&bucket, &key, version);
    let stored = lines.filter_map(|line| serde_json::from_str::<Stored>(line).ok());
    let mut parts: BTreeMap<i32, Stored> = stored.map(|stored| (stored.number, stored)).collect();
    parts.retain(|_, stored| !stored.etag.is_empty());
    Some(Upload { target: Target { bucket, key, version }, parts, is_joined: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: &str = "uploads";
    const KEY: &str = "a";
    const ID: &str = "0b7d";
    const ETAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

    /// What s3s-fs has of an upload of one part.
    const FILES: [&str; 2] = [".upload-0b7d.json", ".upload_id-0b7d.part-1"];

    fn completed() -> CompletedPart {
        CompletedPart { part_number: Some(1), e_tag: Some(ETag::Strong(ETAG.to_owned())), ..Default::default() }
    }

    /// An upload of one part in a folder, whose joining has begun.
    fn joined(root: &Path) -> (Multipart, Joining) {
        for file in FILES {
            fs::write(root.join(file), file).expect("a file");
        }
        let multipart = Multipart::open(root).expect("a folder");
        let version = Version::of(BUCKET, KEY, "1".to_owned());
        let target = Target { bucket: BUCKET.to_owned(), key: KEY.to_owned(), version };
        multipart.begin(ID, target).expect("noted");
        multipart.note(ID, 1, ETAG, 5, None).expect("noted");
        let joining = multipart.take(ID, &mut [completed()]).expect("taken");
        (multipart, joining)
    }

    fn is_as_before(multipart: &Multipart, root: &Path) {
        for file in FILES {
            assert_eq!(fs::read_to_string(root.join(file)).expect("it is back"), file);
        }
        assert!(!multipart.kept(ID).exists());
        let upload = multipart.find_open(ID, BUCKET, KEY).expect("it is under way");
        let parts = multipart.parts(upload, ID.to_owned(), None, None).parts.expect("a list");
        assert_eq!(parts.len(), 1);
        multipart.take(ID, &mut [completed()]).expect("its parts can be joined again");
    }

    #[test]
    fn a_process_that_dies_while_it_joins_parts_leaves_the_upload_as_it_was() {
        // Before s3s-fs has removed anything, after a part of it, and after all of it.
        for removed in 0..=FILES.len() {
            let root = tempfile::tempdir().expect("a folder");
            let (dead, joining) = joined(root.path());
            FILES[..removed].iter().for_each(|file| fs::remove_file(root.path().join(file)).expect("removed"));
            // A process that dies drops nothing.
            std::mem::forget((dead, joining));
            is_as_before(&Multipart::open(root.path()).expect("a folder"), root.path());
        }
    }

    #[test]
    fn parts_whose_joining_fails_are_an_upload_as_before_and_those_of_an_object_are_gone() {
        let root = tempfile::tempdir().expect("a folder");
        let (multipart, joining) = joined(root.path());
        assert!(multipart.find_open(ID, BUCKET, KEY).is_err(), "nobody changes it meanwhile");
        fs::remove_file(root.path().join(FILES[1])).expect("removed");
        drop(joining);
        is_as_before(&multipart, root.path());
        multipart.take(ID, &mut [completed()]).expect("taken").end(&multipart);
        assert!(multipart.find(ID, BUCKET, KEY).is_err() && !multipart.kept(ID).exists());
        assert!(Multipart::open(root.path()).expect("a folder").under_way().is_empty());
    }
}
