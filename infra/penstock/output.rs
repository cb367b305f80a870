//! Files that the command writes. None of them is ever there half-written, and none is what the command reads: each is
//! written beside its place and renamed onto it when it is whole, and what stood there until then stays as it was if
//! anything goes wrong.

use std::{
    collections::BTreeSet,
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStrExt,
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
        },
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use tempfile::NamedTempFile;
use tokio::sync::{mpsc, oneshot};

use crate::terminal;

/// What stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Which file it is, by whatever path or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino() }
    }

    /// That of a file that is read, called `name`.
    ///
    /// # Errors
    /// A redirection by the shell has led standard output or standard error to it.
    pub(crate) fn of_input(name: &str, file: &Metadata) -> anyhow::Result<Self> {
        let id = Self::of(file);
        let is_it = |stream: Option<File>| {
            let found = stream.and_then(|stream| stream.metadata().ok());
            file.is_file() && found.is_some_and(|found| Self::of(&found) == id)
        };
        let open = |stream: io::Result<std::os::fd::OwnedFd>| stream.ok().map(File::from);
        let by_output = is_it(open(io::stdout().as_fd().try_clone_to_owned()));
        let by_error = is_it(open(io::stderr().as_fd().try_clone_to_owned()));
        if by_output || by_error {
            terminal::spare(by_output, by_error);
        }
        let stream = if by_output { "standard output" } else { "standard error" };
        anyhow::ensure!(
            !by_output && !by_error,
            "{stream} is {name}, a file that is read: writing there would destroy it"
        );
        Ok(id)
    }
}

/// A file on its way to its place. Dropped before [`Output::keep`], it leaves no trace.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Beside `target`.
    Beside { file: BufWriter<NamedTempFile>, target: PathBuf, pending: Pending, keeps_old: bool },
    /// A pipe, a device, or what this process has open already: there is no file to keep, and none to rename.
    Straight(BufWriter<File>),
}

impl Output {
    /// Makes sure that a file can be written at `path`, and that it is none of the `inputs`. What stands there is not
    /// touched yet; a new file will have its permissions, or the usual ones.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be written to; the place is a folder, an input, or may not be written.
    pub(crate) fn open(path: &Path, inputs: &[FileId]) -> anyhow::Result<Self> {
        Self::with_mode(path, inputs, None)
    }

    /// As [`Output::open`], for a file that nobody else may read.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn open_private(path: &Path) -> anyhow::Result<Self> {
        Self::with_mode(path, &[], Some(0o600))
    }

    fn with_mode(path: &Path, inputs: &[FileId], mode: Option<u32>) -> anyhow::Result<Self> {
        let shown = path.display();
        if let Some(descriptor) = Descriptor::named_by(path) {
            let file = descriptor.duplicate().with_context(|| format!("{shown} cannot be written"))?;
            let found = file.metadata()?;
            let is_input = found.is_file() && inputs.contains(&FileId::of(&found));
            anyhow::ensure!(!is_input, "{shown} is a file that is read: writing there would destroy it");
            return Ok(Self { path: path.to_owned(), place: Place::Straight(BufWriter::new(file)) });
        }
        let found = match std::fs::metadata(path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                anyhow::ensure!(!path.is_symlink(), "{shown} is a link to nothing, so no file can be written there");
                let is_folder = names_a_folder(path);
                anyhow::ensure!(!is_folder, "{shown} is a folder that is not there: make it first, or name a file");
                None
            }
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be written")),
        };
        if let Some(found) = &found {
            anyhow::ensure!(!found.is_dir(), "{shown} is a folder: name a file in it");
            let is_input = inputs.contains(&FileId::of(found));
            anyhow::ensure!(!is_input, "{shown} is a file that is read: writing there would destroy it");
            if found.file_type().is_fifo() {
                note!("waiting for a reader of {shown}");
            }
            // Renaming asks nothing of the file that is replaced; its protection counts all the same.
            let opened = OpenOptions::new().write(true).open(path);
            let opened = opened.with_context(|| format!("{shown} cannot be written"))?;
            if !found.is_file() {
                return Ok(Self { path: path.to_owned(), place: Place::Straight(BufWriter::new(opened)) });
            }
        }
        // What a link names is replaced, not the link.
        let target = if found.is_some() { path.canonicalize()? } else { path.to_owned() };
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let kept_mode = mode.or(found.map(|found| found.permissions().mode() & 0o777));
        let file = tempfile::Builder::new()
            .prefix(".penstock-")
            .suffix(".part")
            .permissions(Permissions::from_mode(kept_mode.unwrap_or(0o666)))
            .tempfile_in(folder);
        let file = file.map_err(without_path);
        let file = file.with_context(|| {
            format!("{shown} cannot be written: no file can be made in the folder {}", folder.display())
        })?;
        if let Some(mode) = kept_mode {
            // What the umask took away.
            file.as_file().set_permissions(Permissions::from_mode(mode))?;
        }
        let pending = Pending::new(file.path());
        let place = Place::Beside { file: BufWriter::new(file), target, pending, keeps_old: false };
        Ok(Self { path: path.to_owned(), place })
    }

    /// As it is, but what stands in its place until then gets another name instead of being replaced, unless it holds
    /// the same.
    pub(crate) fn keeping_old(mut self) -> Self {
        if let Place::Beside { keeps_old, .. } = &mut self.place {
            *keeps_old = true;
        }
        self
    }

    /// Where it goes, as it was asked for.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it goes, by no link; `None` where no file is kept.
    pub(crate) fn target(&self) -> Option<&Path> {
        match &self.place {
            Place::Beside { target, .. } => Some(target),
            Place::Straight(_) => None,
        }
    }

    /// Puts the file in its place, whole and on the disk.
    ///
    /// # Errors
    /// It cannot be written to its end, or not be renamed. What stood in its place stands there still.
    pub(crate) fn keep(self) -> anyhow::Result<()> {
        let cannot = || format!("{} cannot be written", self.path.display());
        match self.place {
            Place::Straight(mut file) => file.flush().with_context(cannot),
            Place::Beside { file, target, pending, keeps_old } => {
                let file = file.into_inner().map_err(|error| without_path(error.into_error())).with_context(cannot)?;
                file.as_file().sync_all().with_context(cannot)?;
                let is_kept = keeps_old && !hold_the_same(file.path(), &target).unwrap_or(false);
                let old = if is_kept { name_old(&target)? } else { None };
                if let Err(error) = file.persist(&target) {
                    if let Some(old) = old.filter(|_| !target.exists()) {
                        let _ = std::fs::rename(old, &target);
                    }
                    return Err(error.error).with_context(cannot);
                }
                drop(pending);
                if let Some(old) = old {
                    note!("{}", was_there(&target, &old));
                }
                Ok(())
            }
        }
    }

    /// Puts the file in its place, where nothing may stand by then, and locks it for as long as what is returned is
    /// open.
    ///
    /// # Errors
    /// It cannot be written to its end, or something stands in its place.
    pub(crate) fn keep_new(self) -> anyhow::Result<File> {
        let cannot = || format!("{} cannot be written", self.path.display());
        let Place::Beside { file, target, pending, .. } = self.place else {
            anyhow::bail!("{} is no place for a file", self.path.display())
        };
        let file = file.into_inner().map_err(|error| without_path(error.into_error())).with_context(cannot)?;
        file.as_file().try_lock().map_err(io::Error::from).with_context(cannot)?;
        let file = file.persist_noclobber(target).map_err(|error| error.error).with_context(cannot)?;
        drop(pending);
        Ok(file)
    }

    /// Ends without a file. What stands in its place would be taken for this run's: it gets another name, which is
    /// returned.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub(crate) fn retire(self) -> anyhow::Result<Option<PathBuf>> {
        match self.place {
            Place::Beside { target, .. } => {
                let old = name_old(&target)?;
                if old.is_some() {
                    match std::fs::remove_file(&target) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(error).with_context(|| format!("{} cannot be renamed", target.display()));
                        }
                        _ => {}
                    }
                }
                Ok(old)
            }
            Place::Straight(_) => Ok(None),
        }
    }
}

/// What is said of a file that has got another name.
pub(crate) fn was_there(path: &Path, old: &Path) -> String {
    format!("{} was there before, and is {} now", path.display(), old.display())
}

/// Whether a path that leads to nothing could lead to a folder alone.
fn names_a_folder(path: &Path) -> bool {
    let text = path.as_os_str().as_bytes();
    [&b"/"[..], b"/.", b"/.."].iter().any(|end| text.ends_with(end))
}

/// An error of the crate `tempfile` without the path that it has added, which says nothing to people.
pub(crate) fn without_path(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path \"") {
        Some((what, _)) => io::Error::new(error.kind(), what.to_owned()),
        None => error,
    }
}

/// Whether two files hold the same bytes.
fn hold_the_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let bytes = left.len().min(right.len());
        if left[..bytes] != right[..bytes] {
            return Ok(false);
        }
        if bytes == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(bytes);
        other.consume(bytes);
    }
}

/// Gives what stands at a path a second name, which is returned; where there are no hard links, it has that name alone
/// then. What is empty could be taken for nothing, and gets none.
fn name_old(target: &Path) -> anyhow::Result<Option<PathBuf>> {
    if std::fs::metadata(target).map_or(true, |left| left.len() == 0) {
        return Ok(None);
    }
    let mut number = 1;
    loop {
        let old = older(target, number);
        // A link takes no name that somebody else has just taken, and leaves no moment without the file.
        match std::fs::hard_link(target, &old) {
            Ok(()) => return Ok(Some(old)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) if old.exists() || old.is_symlink() => {}
            Err(_) => {
                std::fs::rename(target, &old).with_context(|| format!("{} cannot be renamed", target.display()))?;
                return Ok(Some(old));
            }
        }
        number += 1;
    }
}

/// `PATH.old`, `PATH.old2` …
fn older(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".old");
    if number > 1 {
        name.push(number.to_string());
    }
    name.into()
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::Beside { file, .. } => file.write(bytes).map_err(without_path),
            Place::Straight(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Beside { file, .. } => file.flush().map_err(without_path),
            Place::Straight(file) => file.flush(),
        }
    }
}

/// Whether what is written to a path goes on at once: a pipe, a device, what a process has open. There is no file to
/// keep.
pub(crate) fn is_stream(path: &Path) -> bool {
    let is_no_file = || std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    Descriptor::named_by(path).is_some() || is_no_file()
}

/// What a process has open, as a path names it: `-`, `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`, or a link to one of
/// them. Whoever opened it may have written there before, and will again: it is written to as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Its number; `None` if it is another process's.
    number: Option<i32>,
}

impl Descriptor {
    /// The one that a path names, if it names one. `-` is standard output.
    pub(crate) fn named_by(path: &Path) -> Option<Self> {
        if path == Path::new(STANDARD_OUTPUT) {
            return Some(Self { number: Some(1) });
        }
        Self::at(path)
    }

    /// The one that is at a path, by whatever links.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        /// As many links one after another as Linux follows.
        const LINKS: usize = 40;
        let mut path = std::path::absolute(path).ok()?;
        for _ in 0..LINKS {
            let folder = path.parent()?.canonicalize().ok()?;
            let name = path.file_name()?;
            // Where there is no /proc, /dev/fd is a folder of its own.
            let is_ours = folder == Path::new("/dev/fd") || {
                let own = Path::new("/proc").join(std::process::id().to_string());
                folder == own.join("fd") || folder.starts_with(own.join("task")) && folder.ends_with("fd")
            };
            if is_ours {
                return Some(Self { number: Some(name.to_str()?.parse().ok()?) });
            }
            if folder.starts_with("/proc") && folder.ends_with("fd") {
                return Some(Self { number: None });
            }
            path = folder.join(std::fs::read_link(folder.join(name)).ok()?);
        }
        None
    }

    /// Its number; `None` if it is another process's.
    pub(crate) fn number(self) -> Option<i32> {
        self.number
    }

    /// The same open file once more: what is written to one stands behind what was written to the other.
    fn duplicate(self) -> io::Result<File> {
        let of_another = || io::Error::other("it is an open file of another process: name the file itself");
        match self.number.ok_or_else(of_another)? {
            1 => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
            2 => Ok(io::stderr().as_fd().try_clone_to_owned()?.into()),
            number => duplicate(number),
        }
    }
}

#[cfg(target_os = "linux")]
fn duplicate(number: i32) -> io::Result<File> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(process, number, PidfdGetfdFlags::empty())?.into())
}

#[cfg(not(target_os = "linux"))]
fn duplicate(number: i32) -> io::Result<File> {
    let file = OpenOptions::new().append(true).open(format!("/dev/fd/{number}"))?;
    if file.metadata()?.is_file() { Err(io::Error::other("name the file itself")) } else { Ok(file) }
}

/// An output that a thread of its own writes, so that whoever waits for it can go: the reader of a pipe may take
/// nothing any more.
pub(crate) struct Writing {
    pieces: mpsc::Sender<Option<Vec<u8>>>,
    written: oneshot::Receiver<anyhow::Result<()>>,
}

impl Writing {
    /// Pieces that wait to be written, at most.
    const WAITING: usize = 4;

    /// # Errors
    /// There can be no thread.
    pub(crate) fn start(mut output: Output) -> io::Result<Self> {
        let (pieces, mut taken) = mpsc::channel::<Option<Vec<u8>>>(Self::WAITING);
        let (ended, written) = oneshot::channel();
        let write = move || -> anyhow::Result<()> {
            while let Some(piece) = taken.blocking_recv() {
                let Some(piece) = piece else { return output.keep() };
                let path = output.path().to_owned();
                output.write_all(&piece).with_context(|| format!("{} cannot be written", path.display()))?;
            }
            anyhow::bail!("{} is given up", output.path().display())
        };
        let write = move || drop(ended.send(write()));
        std::thread::Builder::new().name("output".to_owned()).spawn(write)?;
        Ok(Self { pieces, written })
    }

    /// Hands over the next bytes; whether there is a use in more of them.
    pub(crate) async fn write(&mut self, bytes: Vec<u8>) -> bool {
        self.pieces.send(Some(bytes)).await.is_ok()
    }

    /// Resolves when the output is in its place, whole. Dropped without, it leaves no trace.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) async fn keep(self) -> anyhow::Result<()> {
        // One that has ended has failed, and says why.
        let _ = self.pieces.send(None).await;
        self.written.await.context("the output's writer has ended")?
    }
}

/// The files that are not in their places yet, for [`discard_pending`].
static PENDING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// An entry of [`PENDING`].
#[derive(Debug)]
struct Pending(PathBuf);

impl Pending {
    fn new(path: &Path) -> Self {
        PENDING.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        PENDING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Removes every file that is not in its place yet, before a process ends whose other threads still write.
pub(crate) fn discard_pending() {
    for path in std::mem::take(&mut *PENDING.lock().unwrap_or_else(PoisonError::into_inner)) {
        let _ = std::fs::remove_file(path);
    }
}

/// Writes a whole text to a file, or to standard output if there is none.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(text: &str, output: Option<Output>) -> anyhow::Result<()> {
    match output {
        Some(mut file) => {
            let written = file.write_all(text.as_bytes());
            written.with_context(|| format!("{} cannot be written", file.path().display()))?;
            file.keep()
        }
        None => text.lines().try_for_each(|line| crate::terminal::say(format_args!("{line}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::fs::write(&path, "old").expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(0o604)).expect("permissions");
        let mut output = Output::open(&path, &[]).expect("it can be written");
        output.write_all(b"new").expect("written");
        output.flush().expect("written");
        assert_eq!(std::fs::read(&path).expect("a file"), b"old");
        output.keep().expect("in its place");
        assert_eq!(std::fs::read(&path).expect("a file"), b"new");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o604);
        assert_eq!(names(folder.path()), ["a"]);
        drop(Output::open(&path, &[]).expect("it can be written"));
        assert_eq!(
            (names(folder.path()), std::fs::read(&path).expect("a file")),
            (vec!["a".to_owned()], b"new".to_vec())
        );
    }

    #[test]
    fn a_link_stays_one_and_its_file_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").expect("a file");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        let mut output = Output::open(&link, &[]).expect("it can be written");
        output.write_all(b"new").expect("written");
        output.keep().expect("in its place");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).expect("a file"), b"new");
        std::fs::remove_file(&file).expect("removed");
        assert!(Output::open(&link, &[]).expect_err("a link to nothing").to_string().contains("a link to nothing"));
    }

    #[test]
    fn what_was_there_is_kept_unless_it_holds_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file");
        let long = "row\n".repeat(10_000);
        let (longer, other) = (format!("{long}row\n"), format!("{}ruw\n", &long[4..]));
        let texts = [&long, &long, &longer, &other, &other];
        for (text, files) in texts.into_iter().zip([1, 1, 2, 3, 3]) {
            let mut output = Output::open(&path, &[]).expect("it can be written").keeping_old();
            output.write_all(text.as_bytes()).expect("written");
            output.keep().expect("in its place");
            assert!(read("a") == *text);
            assert_eq!(names(folder.path()).len(), files);
        }
        assert!(read("a.old") == long && read("a.old2") == longer);
    }

    #[test]
    fn a_folder_that_is_not_there_and_one_that_takes_no_file_are_said_as_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        for end in ["new/", "new/.", "new/.."] {
            let error = Output::open(&folder.path().join(end), &[]).expect_err("no such folder").to_string();
            assert!(error.ends_with(&format!("{end} is a folder that is not there: make it first, or name a file")));
        }
        let error = format!("{:#}", Output::open(&folder.path().join("gone/a"), &[]).expect_err("no such folder"));
        assert!(!error.contains(".part") && error.contains("gone: No such file or directory"), "{error}");
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn what_an_earlier_run_left_gets_another_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let retire = || Output::open(&path, &[]).expect("it can be written").retire().expect("retired");
        assert_eq!(retire(), None);
        for (round, name) in ["a.old", "a.old2"].into_iter().enumerate() {
            std::fs::write(&path, round.to_string()).expect("a file");
            let old = retire().expect("it was there");
            assert!(old.ends_with(name), "{old:?}");
            assert_eq!(std::fs::read_to_string(old).expect("a file"), round.to_string());
        }
        // Nothing is in it that could be taken for anything.
        std::fs::write(&path, "").expect("a file");
        assert_eq!(retire(), None);
        assert_eq!(names(folder.path()), ["a", "a.old", "a.old2"]);
    }

    #[test]
    fn pending_files_can_be_discarded_from_another_thread() {
        let folder = tempfile::tempdir().expect("a folder");
        let output = Output::open(&folder.path().join("a"), &[]).expect("it can be written");
        let Place::Beside { file, .. } = &output.place else { panic!("a file") };
        let part = file.get_ref().path().to_owned();
        assert!(PENDING.lock().expect("a lock").contains(&part));
        drop(output);
        assert!(!PENDING.lock().expect("a lock").contains(&part) && !part.exists());
    }
}
