//! Versions of objects, as files beside the buckets of s3s-fs.
//!
//! Every object is stored as a version first, in a bucket of its own that no client can name, under `<hash of bucket
//! and key>/<version>`; then a hard link makes it the key's current object. What is streamed in slowly, breaks off or
//! fails its checksum is therefore never seen; of two conditional writes one wins, whatever their speed; and a version
//! outlives its key's next object.
//!
//! ```text
//! <root>/uploads/uploads/imp_1        the current object: a link to the newest version
//! <root>/.versions/<hash>/<version>   every version
//! <root>/.bucket-….object-….json      what s3s-fs keeps about each version: headers, checksums, ETag
//! ```

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::{S3Result, s3_error};
use sha2::{Digest, Sha256};
use tokio::fs;
use tokio::sync::Mutex;

/// The bucket that holds all versions. No client can name it: bucket names begin with a letter or a digit.
pub(super) const BUCKET: &str = ".versions";

#[derive(Debug)]
pub(super) struct Versions {
    root: PathBuf,
    /// Held while a key's current object is looked up or changed; never while data is streamed.
    current: Mutex<()>,
    newest: AtomicU64,
}

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// 32 hexadecimal digits that sort by age.
    pub(super) id: String,
    folder: String,
}

impl Version {
    /// The version of that id of an object, which need not be stored yet.
    pub(super) fn of(bucket: &str, key: &str, id: String) -> Self {
        Self { id, folder: folder(bucket, key) }
    }

    /// Its key in [`BUCKET`].
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.folder, self.id)
    }

    /// Turns a request for a key into one for this version.
    pub(super) fn stand_in(&self, bucket: &mut String, key: &mut String) {
        (*bucket, *key) = (BUCKET.to_owned(), self.key());
    }
}

impl Versions {
    /// The versions below `root`, which has to be the folder of s3s-fs.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root.join(BUCKET))?;
        Ok(Self { root: root.canonicalize()?, current: Mutex::default(), newest: AtomicU64::new(0) })
    }

    /// A version to be, of that object. Ids ascend.
    pub(super) fn plan(&self, bucket: &str, key: &str) -> Version {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let now = u64::try_from(now).unwrap_or(u64::MAX / 2);
        let before = self
            .newest
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |newest| Some(now.max(newest + 1)))
            .expect("the update is always given");
        let number = now.max(before + 1);
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the operating system has random numbers");
        Version { id: format!("{number:016x}{:016x}", u64::from_be_bytes(random)), folder: folder(bucket, key) }
    }

    /// The file that holds the version.
    pub(super) fn file(&self, version: &Version) -> PathBuf {
        self.root.join(BUCKET).join(&version.folder).join(&version.id)
    }

    /// The version of that id, or the current one.
    pub(super) async fn find(&self, bucket: &str, key: &str, id: Option<&str>) -> S3Result<Version> {
        let _current = self.current.lock().await;
        match id {
            Some(id) => self.find_id(bucket, key, id).await,
            None => self.find_current(bucket, key).await?.ok_or_else(|| s3_error!(NoSuchKey)),
        }
    }

    async fn find_id(&self, bucket: &str, key: &str, id: &str) -> S3Result<Version> {
        let version = Version { id: id.to_owned(), folder: folder(bucket, key) };
        let shaped = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if shaped && fs::try_exists(self.file(&version)).await.map_err(internal)? {
            Ok(version)
        } else {
            Err(s3_error!(NoSuchVersion))
        }
    }

    async fn find_current(&self, bucket: &str, key: &str) -> S3Result<Option<Version>> {
        if !fs::metadata(self.link(bucket, key)?).await.is_ok_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        self.newest_of(&folder(bucket, key)).await.map_err(internal)
    }

    async fn newest_of(&self, folder: &str) -> io::Result<Option<Version>> {
        let ids = self.ids(folder).await?;
        Ok(ids.into_iter().max().map(|id| Version { id, folder: folder.to_owned() }))
    }

    /// The ids of an object's committed versions, the newest first, and whether that one is the current object. An
    /// object that was deleted has versions and no current one; S3 has a delete marker beside them, which is not kept
    /// here.
    pub(super) async fn list(&self, bucket: &str, key: &str) -> S3Result<(Vec<Version>, bool)> {
        let _current = self.current.lock().await;
        let has_current = self.find_current(bucket, key).await?.is_some();
        let folder = folder(bucket, key);
        let mut ids = self.ids(&folder).await.map_err(internal)?;
        ids.sort_unstable_by(|one, other| other.cmp(one));
        Ok((ids.into_iter().map(|id| Version { id, folder: folder.clone() }).collect(), has_current))
    }

    /// The keys of a bucket that begin so, in their order: those that have a current object, and the one that the
    /// prefix is. A key that has versions and no current object is found by its own name alone.
    pub(super) async fn keys(&self, bucket: &str, prefix: &str) -> io::Result<Vec<String>> {
        let root = self.root.join(bucket);
        let mut keys = BTreeSet::from([prefix.to_owned()]);
        // Below the last folder that the prefix names.
        let mut folders = vec![prefix.rsplit_once('/').map_or_else(|| root.clone(), |(folder, _)| root.join(folder))];
        while let Some(folder) = folders.pop() {
            let mut entries = match fs::read_dir(&folder).await {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => continue,
                Err(error) => return Err(error),
            };
            while let Some(entry) = entries.next_entry().await? {
                if entry.file_type().await?.is_dir() {
                    folders.push(entry.path());
                } else if let Ok(path) = entry.path().strip_prefix(&root)
                    && let Some(key) = path.to_str().filter(|key| key.starts_with(prefix))
                {
                    keys.insert(key.to_owned());
                }
            }
        }
        keys.retain(|key| !key.is_empty() && !key.ends_with('/'));
        Ok(keys.into_iter().collect())
    }

    /// The ids of the committed versions. One that is still being stored, or that its condition forbade, has no mark.
    async fn ids(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut entries = match fs::read_dir(self.root.join(BUCKET).join(folder)).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(COMMITTED)) {
                ids.push(id.to_owned());
            }
        }
        Ok(ids)
    }

    /// Makes a stored version the key's current object, if `condition` allows; it gets the version that is current now.
    /// With `keep_others` unset, the versions before it are removed. A repeat changes nothing.
    pub(super) async fn commit(
        &self,
        bucket: &str,
        key: &str,
        version: &Version,
        keep_others: bool,
        condition: impl AsyncFnOnce(Option<Version>) -> S3Result<()>,
    ) -> S3Result<()> {
        let _current = self.current.lock().await;
        let before = self.find_current(bucket, key).await?;
        condition(before).await?;
        self.make_current(bucket, key, version).await.map_err(internal)?;
        if !keep_others {
            for id in self.ids(&version.folder).await.map_err(internal)? {
                if id != version.id {
                    self.remove(&Version { id, folder: version.folder.clone() }).await;
                }
            }
        }
        Ok(())
    }

    async fn make_current(&self, bucket: &str, key: &str, version: &Version) -> io::Result<()> {
        let link = self.link(bucket, key).map_err(io::Error::other)?;
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent).await?;
        }
        let file = self.file(version);
        fs::write(mark(&file), b"").await?;
        let temporary = self.root.join(format!(".link-{}", version.id));
        fs::hard_link(&file, &temporary).await?;
        fs::rename(&temporary, &link).await
    }

    /// Removes the key's current object; with `keep_others` unset all its versions too. A repeat changes nothing.
    pub(super) async fn delete(&self, bucket: &str, key: &str, keep_others: bool) -> S3Result<()> {
        let _current = self.current.lock().await;
        remove_file(&self.link(bucket, key)?).await.map_err(internal)?;
        if !keep_others {
            let folder = folder(bucket, key);
            for id in self.ids(&folder).await.map_err(internal)? {
                self.remove(&Version { id, folder: folder.clone() }).await;
            }
        }
        Ok(())
    }

    /// Removes one version; if it was the current one, the one before it becomes that. A repeat changes nothing.
    pub(super) async fn delete_version(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        let _current = self.current.lock().await;
        let Ok(version) = self.find_id(bucket, key, id).await else { return Ok(()) };
        let was_current = self.find_current(bucket, key).await?.is_some_and(|current| current == version);
        self.remove(&version).await;
        if was_current {
            match self.newest_of(&version.folder).await.map_err(internal)? {
                Some(before) => self.make_current(bucket, key, &before).await.map_err(internal)?,
                None => remove_file(&self.link(bucket, key)?).await.map_err(internal)?,
            }
        }
        Ok(())
    }

    /// Removes a version's files, which the key's current object outlives. A repeat changes nothing.
    pub(super) async fn remove(&self, version: &Version) {
        let file = self.file(version);
        let about =
            format!(".bucket-{}.object-{}", URL_SAFE_NO_PAD.encode(BUCKET), URL_SAFE_NO_PAD.encode(version.key()));
        let about = [".metadata.json", ".internal.json"].map(|end| self.root.join(format!("{about}{end}")));
        for file in [mark(&file), file].iter().chain(&about) {
            if let Err(error) = remove_file(file).await {
                tracing::warn!(%error, file = %file.display(), "removing a version");
            }
        }
    }

    /// The file that is the key's current object. A key that is no plain relative path cannot be stored here.
    fn link(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        if key.split('/').all(plain) {
            Ok(self.root.join(bucket).join(key))
        } else {
            Err(s3_error!(InvalidArgument, "the local S3 stores no key with an empty part, `.` or `..`"))
        }
    }
}

/// Says that a version has been committed.
const COMMITTED: &str = ".committed";

fn mark(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(COMMITTED);
    PathBuf::from(name)
}

fn folder(bucket: &str, key: &str) -> String {
    let digest = Sha256::digest(format!("{bucket}/{key}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn remove_file(file: &Path) -> io::Result<()> {
    match fs::remove_file(file).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn internal(error: io::Error) -> s3s::S3Error {
    s3_error!(error, InternalError)
}
