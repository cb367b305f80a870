//! The folder of a local cloud: one that is kept, or one that goes with it.
//!
//! ```text
//! <folder>/.penstock         says that it is one
//! <folder>/lock              who uses it; held locked
//! <folder>/secret            what presigned requests are signed with, so that they outlive a restart
//! <folder>/keys              the ids of the API keys that were given at the last start
//! <folder>/dynamodb.sqlite   the tables
//! <folder>/s3                the buckets
//! <folder>/logs              what the functions print
//! ```
//!
//! Files and keys of whole companies pass through it, so no other user of the machine may look inside.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use crate::stack;

/// The key that a local cloud has when it is given none. Folders that were made before `keys` was written knew no other
/// from the start.
const FIRST_KEY: &str = "local";

/// Says that a folder is a local cloud's, and that what has these names in it is too.
const MARK: &str = ".penstock";

const FILES: [&str; 7] =
    [MARK, "lock", "secret", "keys", "dynamodb.sqlite", "dynamodb.sqlite-shm", "dynamodb.sqlite-wal"];
const FOLDERS: [&str; 2] = ["s3", "logs"];

const OWNERS_FOLDER: u32 = 0o700;
const OWNERS_FILE: u32 = 0o600;

#[derive(Debug)]
pub(crate) struct DataFolder {
    place: Place,
    /// Locked until it is dropped, or this process dies.
    lock: Option<File>,
}

#[derive(Debug)]
enum Place {
    Kept(PathBuf),
    Temporary(TempDir),
}

/// Closing the file would not do: a child that is being started holds it, too, until it is a program of its own.
impl Drop for DataFolder {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }
}

impl DataFolder {
    /// The folder `data`, made if it is missing; a temporary one if none is given. One that holds something has to be a
    /// local cloud's: nobody's files are touched.
    ///
    /// # Errors
    /// It cannot be used, holds something else, or another process uses it.
    pub(crate) fn open(data: Option<&Path>) -> anyhow::Result<Self> {
        let Some(data) = data else {
            let mut builder = tempfile::Builder::new();
            builder.prefix("penstock-").permissions(Permissions::from_mode(OWNERS_FOLDER));
            let folder = std::env::temp_dir();
            let made = builder.tempdir_in(&folder).map_err(|error| {
                // The name that was tried says nothing to people.
                let text = error.to_string();
                let what = text.split_once(" at path \"").map_or(&*text, |(what, _)| what);
                let folder = folder.display();
                anyhow::anyhow!("{folder}, the folder for temporary files (TMPDIR), takes no folder: {what}")
            });
            return Ok(Self { place: Place::Temporary(made?), lock: None });
        };
        let making = || format!("making the data folder {}", data.display());
        DirBuilder::new().recursive(true).mode(OWNERS_FOLDER).create(data).with_context(making)?;
        let data = data.canonicalize()?;
        claim(&data)?;
        let lock = lock(&data)?;
        tighten(&data).with_context(|| format!("closing the data folder {} to others", data.display()))?;
        Ok(Self { place: Place::Kept(data), lock: Some(lock) })
    }

    pub(crate) fn path(&self) -> &Path {
        match &self.place {
            Place::Kept(path) => path,
            Place::Temporary(folder) => folder.path(),
        }
    }

    /// Whether it outlives this local cloud.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.place, Place::Kept(_))
    }

    /// A folder in it, made if it is missing.
    pub(crate) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        DirBuilder::new().recursive(true).mode(OWNERS_FOLDER).create(&path)?;
        Ok(path)
    }

    /// What presigned requests are signed with: the same after a restart, if the folder is kept.
    pub(crate) fn secret(&self) -> io::Result<String> {
        let path = self.path().join("secret");
        match fs::read_to_string(&path) {
            Ok(secret) if !secret.trim().is_empty() => return Ok(secret.trim().to_owned()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let secret = stack::secret();
        write(&path, &secret)?;
        Ok(secret)
    }

    /// The ids of the API keys that were given at the last start. A new folder has none.
    pub(crate) fn given_keys(&self) -> io::Result<Vec<String>> {
        match fs::read_to_string(self.path().join("keys")) {
            Ok(ids) => Ok(ids.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_new = !self.path().join("dynamodb.sqlite").exists();
                Ok(if is_new { Vec::new() } else { vec![FIRST_KEY.to_owned()] })
            }
            Err(error) => Err(error),
        }
    }

    /// Remembers the API keys that are given now.
    pub(crate) fn note_given_keys<'a>(&self, ids: impl Iterator<Item = &'a str>) -> io::Result<()> {
        write(&self.path().join("keys"), &ids.map(|id| format!("{id}\n")).collect::<String>())
    }

    /// Says in the lock where this local cloud answers, for whoever finds the folder in use.
    pub(crate) fn note_url(&mut self, url: &str) -> io::Result<()> {
        match &mut self.lock {
            Some(lock) => note(lock, &format!("process {}, {url}", std::process::id())),
            None => Ok(()),
        }
    }
}

/// Marks an empty folder as a local cloud's. One that holds something has to have the mark, or to be what versions that
/// wrote none made.
fn claim(data: &Path) -> anyhow::Result<()> {
    let mark = data.join(MARK);
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    if is_file(&mark) {
        return Ok(());
    }
    let is_unmarked = is_file(&data.join("dynamodb.sqlite")) && is_folder(&data.join("s3/.versions"));
    if !is_unmarked {
        for entry in fs::read_dir(data).with_context(|| format!("reading the data folder {}", data.display()))? {
            let name = entry?.file_name();
            // Every new file system has that, and another process may make the mark at this moment.
            anyhow::ensure!(
                name == "lost+found" || name == MARK,
                "{} is no folder of a local cloud, and {} is in it: give an empty folder, or one that is not there yet",
                data.display(),
                Path::new(&name).display()
            );
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(OWNERS_FILE);
    let mut file = options.open(&mark).with_context(|| format!("making {}", mark.display()))?;
    writeln!(file, "The data of a local cloud of Penstock.").with_context(|| format!("writing {}", mark.display()))
}

/// Locks a data folder. The lock goes with the process, however that ends.
fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(OWNERS_FILE);
    let mut file = options.open(&path).with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            let holder = if holder.trim().is_empty() { "another process" } else { holder.trim() };
            anyhow::bail!(
                "the data folder {} is in use: {holder}; end that first, or give another folder",
                data.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("locking {}", path.display()));
        }
    }
    note(&mut file, &format!("process {}", std::process::id()))?;
    Ok(file)
}

fn note(file: &mut File, holder: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{holder}")
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(OWNERS_FILE);
    options.open(&temporary)?.write_all(text.as_bytes())?;
    fs::rename(&temporary, path)
}

/// Takes the rights of everyone but the owner from a local cloud's folder and what is its own in it. What was closed
/// before is not walked through again.
fn tighten(data: &Path) -> io::Result<()> {
    if fs::metadata(data)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let own = |name: &&str| fs::symlink_metadata(data.join(name)).ok().map(|found| (data.join(name), found));
    for (path, _) in FILES.iter().filter_map(own).filter(|(_, found)| found.is_file()) {
        fs::set_permissions(path, Permissions::from_mode(OWNERS_FILE))?;
    }
    let mut folders: Vec<PathBuf> =
        FOLDERS.iter().filter_map(own).filter(|(_, found)| found.is_dir()).map(|(path, _)| path).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                fs::set_permissions(entry.path(), Permissions::from_mode(OWNERS_FILE))?;
            }
        }
        fs::set_permissions(&folder, Permissions::from_mode(OWNERS_FOLDER))?;
    }
    fs::set_permissions(data, Permissions::from_mode(OWNERS_FOLDER))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Checked = anyhow::Result<()>;

    fn mode(path: &Path) -> io::Result<u32> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o777)
    }

    fn refusal(data: &Path) -> String {
        DataFolder::open(Some(data)).expect_err("the folder is refused").to_string()
    }

    #[test]
    fn one_process_at_a_time_uses_a_folder() -> Checked {
        let outer = tempfile::tempdir()?;
        let data = outer.path().join("data");
        let mut first = DataFolder::open(Some(&data))?;
        first.note_url("http://127.0.0.1:9000")?;
        let refused = refusal(&data);
        let holder = format!("process {}, http://127.0.0.1:9000", std::process::id());
        assert!(refused.contains(&holder) && refused.contains(&*data.to_string_lossy()), "{refused}");
        drop(first);
        DataFolder::open(Some(&data))?;
        Ok(())
    }

    #[test]
    fn nobody_else_looks_inside_also_where_they_could_before() -> Checked {
        let outer = tempfile::tempdir()?;
        let data = outer.path().join("data");
        fs::create_dir_all(data.join("s3/uploads"))?;
        fs::create_dir(data.join("s3/.versions"))?;
        for file in ["s3/uploads/a", "dynamodb.sqlite", "notes.txt"] {
            fs::write(data.join(file), "a")?;
            fs::set_permissions(data.join(file), Permissions::from_mode(0o644))?;
        }
        for path in ["", "s3", "s3/uploads"] {
            fs::set_permissions(data.join(path), Permissions::from_mode(0o755))?;
        }
        let folder = DataFolder::open(Some(&data))?;
        folder.secret()?;
        folder.note_given_keys(["a"].into_iter())?;
        folder.folder("logs")?;
        for path in ["", "s3", "s3/uploads", "logs"] {
            assert_eq!(mode(&data.join(path))?, 0o700, "{path:?}");
        }
        for path in ["s3/uploads/a", "secret", "keys", "lock", "dynamodb.sqlite", ".penstock"] {
            assert_eq!(mode(&data.join(path))?, 0o600, "{path}");
        }
        // What is somebody else's stays as it is, behind the folder's own rights.
        assert_eq!(mode(&data.join("notes.txt"))?, 0o644);
        assert_eq!(mode(DataFolder::open(None)?.path())?, 0o700);
        Ok(())
    }

    #[test]
    fn a_folder_of_somebody_is_left_as_it_is() -> Checked {
        for name in ["notes.txt", "lock", "keys", "dynamodb.sqlite", "s3", "folder/lock"] {
            let data = tempfile::tempdir()?;
            let file = data.path().join(name);
            let folder = file.parent().expect("a folder holds it");
            fs::create_dir_all(folder)?;
            fs::write(&file, "mine")?;
            fs::set_permissions(&file, Permissions::from_mode(0o755))?;
            fs::set_permissions(folder, Permissions::from_mode(0o755))?;
            fs::set_permissions(data.path(), Permissions::from_mode(0o755))?;
            let refused = refusal(data.path());
            let first = name.split('/').next().unwrap_or(name);
            assert!(refused.contains("no folder of a local cloud") && refused.contains(first), "{refused}");
            assert_eq!((fs::read_to_string(&file)?.as_str(), mode(&file)?), ("mine", 0o755), "{name}");
            assert_eq!((mode(data.path())?, mode(folder)?), (0o755, 0o755), "{name}");
            assert_eq!(fs::read_dir(data.path())?.count(), 1, "{name}");
        }
        // A new disk is empty; a folder that has the mark takes what somebody puts beside.
        let data = tempfile::tempdir()?;
        fs::create_dir(data.path().join("lost+found"))?;
        drop(DataFolder::open(Some(data.path()))?);
        fs::write(data.path().join("notes.txt"), "mine")?;
        DataFolder::open(Some(data.path()))?;
        Ok(())
    }

    #[test]
    fn the_secret_and_the_keys_stay_with_a_folder() -> Checked {
        let data = tempfile::tempdir()?;
        let first = DataFolder::open(Some(data.path()))?;
        let secret = first.secret()?;
        assert_eq!((first.given_keys()?, secret.len()), (Vec::<String>::new(), 64));
        first.note_given_keys(["a", "b"].into_iter())?;
        drop(first);
        let again = DataFolder::open(Some(data.path()))?;
        assert_eq!((again.secret()?, again.given_keys()?), (secret, vec!["a".to_owned(), "b".to_owned()]));
        fs::remove_file(data.path().join("keys"))?;
        fs::write(data.path().join("dynamodb.sqlite"), "")?;
        assert_eq!(again.given_keys()?, ["local"]);
        assert_ne!(DataFolder::open(None)?.secret()?, again.secret()?);
        Ok(())
    }
}
