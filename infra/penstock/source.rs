//! The file that is imported: open before an import is made of it, and known to be the same until its last byte is
//! sent.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io::{self, Read, Seek},
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use anyhow::Context;
use futures::stream;
use penstock_client::{Body, Bytes};
use penstock_model::{Format, limits};
use tokio::io::AsyncReadExt;

use crate::output::{self, Descriptor, FileId};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Where a file comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    path: PathBuf,
    id: FileId,
    /// What it is called if it is read through once, to its end: standard input, a pipe, what another has open.
    piped: Option<String>,
}

impl Origin {
    /// Looks what is at a path, `-` being standard input, without reading of it.
    ///
    /// # Errors
    /// There is nothing that can be read.
    pub(crate) fn look(path: &Path) -> anyhow::Result<Self> {
        let is_input = path == Path::new(STANDARD_INPUT);
        // Opening a pipe would take its writer's first reader away: its name is asked.
        let found =
            if is_input { standard_input().and_then(|input| input.metadata()) } else { std::fs::metadata(path) };
        let found = found.with_context(|| path.display().to_string())?;
        anyhow::ensure!(!found.is_dir(), "{} is not a file", path.display());
        let piped = if is_input { Some("stdin".to_owned()) } else { piped(path, &found) };
        if piped.is_none() {
            File::open(path).with_context(|| path.display().to_string())?;
        }
        let id = FileId::of_input(&name(path), &found)?;
        Ok(Self { path: path.to_owned(), id, piped })
    }

    /// What it is called, for people.
    pub(crate) fn name(&self) -> String {
        name(&self.path)
    }

    /// What its file is called. A pipe's name says nothing.
    pub(crate) fn filename(&self) -> Option<String> {
        let name = self.path.file_name().filter(|_| self.piped.is_none());
        name.map(|name| name.to_string_lossy().into_owned())
    }

    /// Which file it is.
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Where its rejected rows go if nobody says, in this form: beside the file; of a pipe, into the folder where the
    /// command runs.
    pub(crate) fn rejected_path(&self, form: RejectedForm) -> PathBuf {
        let mut name = self.piped.as_deref().map_or_else(|| self.path.clone().into_os_string(), OsString::from);
        name.push(form.ending());
        name.into()
    }

    /// The folder that it is in; `None` for what is piped.
    pub(crate) fn folder(&self) -> Option<&Path> {
        let folder = self.path.parent().filter(|_| self.piped.is_none())?;
        Some(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    }

    /// Whether it begins as a file of rejected rows does.
    pub(crate) fn holds_rejected_rows(&self) -> bool {
        const CELLS: &[u8] = b"_row";
        const OBJECT: &[u8] = b"{\"_errors\":";
        let mut start = [0; 32];
        let read = |start: &mut [u8]| File::open(&self.path)?.read_at(start, 0);
        if self.piped.is_some() || read(&mut start).is_err() {
            return false;
        }
        let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&start);
        let start = start.strip_prefix(b"\"").unwrap_or(start);
        start.starts_with(CELLS) || start.starts_with(OBJECT)
    }

    /// Opens it. What is piped is read to its end first, since an upload has to say how long it is.
    ///
    /// # Errors
    /// It cannot be read, or is longer than a file may be.
    pub(crate) fn open(&self) -> anyhow::Result<Source> {
        let file = if self.piped.is_some() { self.spool() } else { Ok(File::open(&self.path)?) };
        let file = file.with_context(|| self.name())?;
        let seen = Seen::of(&file.metadata()?)?;
        Ok(Source { name: self.name(), path: self.piped.is_none().then(|| self.path.clone()), file, seen })
    }

    /// Its bytes in a file that has no name and goes with this process.
    fn spool(&self) -> anyhow::Result<File> {
        let input = if self.path == Path::new(STANDARD_INPUT) { standard_input()? } else { File::open(&self.path)? };
        let (name, folder, most) = (self.name(), std::env::temp_dir(), limits::UPLOAD_BYTES);
        note!("reading {name} into a temporary file in {}, at most {most} bytes", folder.display());
        let file = tempfile::tempfile_in(&folder).map_err(output::without_path);
        let mut file = file.with_context(|| no_temporary(&folder))?;
        let bytes = io::copy(&mut input.take(most + 1), &mut file)?;
        anyhow::ensure!(bytes <= most, "it is longer than {most} bytes, the limit of a file");
        Ok(file)
    }
}

/// What a path is called, for people.
fn name(path: &Path) -> String {
    if path == Path::new(STANDARD_INPUT) { "standard input".into() } else { path.display().to_string() }
}

/// What is at a path, by its name, if it is read through once: what is no file, or what the path names as a process has
/// it open, beside which is no place for anything; and files of the system, whose lengths say nothing.
fn piped(path: &Path, found: &Metadata) -> Option<String> {
    if let Some(descriptor) = Descriptor::at(path) {
        return Some(match descriptor.number() {
            Some(0) => "stdin".to_owned(),
            Some(number) => format!("fd{number}"),
            None => "stdin".to_owned(),
        });
    }
    let is_of_the_system =
        || path.canonicalize().is_ok_and(|path| path.starts_with("/proc") || path.starts_with("/sys"));
    let name = path.file_name().map_or_else(|| "stdin".to_owned(), |name| name.to_string_lossy().into_owned());
    (!found.is_file() || is_of_the_system()).then_some(name)
}

/// What is said where the folder for temporary files takes none.
fn no_temporary(folder: &Path) -> String {
    format!("{}, the folder for temporary files (TMPDIR), takes no file", folder.display())
}

/// How rejected rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RejectedForm {
    /// A table with a line for each row.
    Cells,
    /// A JSON object a line.
    Objects,
}

impl RejectedForm {
    pub(crate) const ALL: [Self; 2] = [Self::Cells, Self::Objects];

    /// That of a file that was read as this format.
    pub(crate) fn of(format: Option<Format>) -> Self {
        match format {
            Some(Format::Json | Format::Ndjson) => Self::Objects,
            _ => Self::Cells,
        }
    }

    /// How the file's name ends.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Cells => ".rejected.csv",
            Self::Objects => ".rejected.ndjson",
        }
    }
}

/// Standard input once more: what is read of one is gone from the other.
///
/// # Errors
/// It is closed.
pub(crate) fn standard_input() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// What tells that a file is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    id: FileId,
    bytes: u64,
    modified: SystemTime,
    /// When its contents, or what is kept of them, changed last: seconds and nanoseconds. No program sets this.
    changed: (i64, i64),
}

impl Seen {
    fn of(file: &Metadata) -> io::Result<Self> {
        let changed = (file.ctime(), file.ctime_nsec());
        Ok(Self { id: FileId::of(file), bytes: file.len(), modified: file.modified()?, changed })
    }
}

/// A file that is open, as it was when it was opened.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    /// `None` for what was piped: nobody else has its bytes.
    path: Option<PathBuf>,
    file: File,
    seen: Seen,
}

impl Source {
    pub(crate) fn bytes(&self) -> u64 {
        self.seen.bytes
    }

    /// A path under which this process finds it.
    pub(crate) fn readable_path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        self.path.clone().unwrap_or_else(|| format!("/dev/fd/{}", self.file.as_raw_fd()).into())
    }

    /// Its bytes for an upload, `sent` counting them as they go. They break off before the last ones if the file has
    /// changed by then, so that no storage takes a file that never was.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn body(&self, sent: &Arc<AtomicU64>) -> io::Result<Body> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        let (path, seen, sent) = (self.path.clone(), self.seen, sent.clone());
        let start = (tokio::fs::File::from_std(file), seen.bytes);
        let pieces = stream::try_unfold(start, move |(mut file, left)| {
            let (path, sent) = (path.clone(), sent.clone());
            async move {
                if left == 0 {
                    return Ok(None);
                }
                let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES))];
                let read = file.read(&mut piece).await?;
                piece.truncate(read);
                let left = left - read as u64;
                let changed = || io::Error::other("the file has changed");
                if read == 0 || left == 0 && is_as_seen(&seen, &file.metadata().await?, path.as_deref()).is_err() {
                    return Err(changed());
                }
                sent.fetch_add(read as u64, Ordering::Relaxed);
                Ok(Some((piece, (file, left))))
            }
        });
        Ok(Body::wrap_stream(pieces))
    }

    /// So many of its bytes from an offset on, which both lie in it.
    ///
    /// # Errors
    /// The file cannot be read, or has become shorter.
    pub(crate) async fn part(&self, offset: u64, bytes: u64) -> anyhow::Result<Bytes> {
        let file = self.file.try_clone()?;
        let read = tokio::task::spawn_blocking(move || {
            let mut part = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
            file.read_exact_at(&mut part, offset).map(|()| Bytes::from(part))
        });
        read.await?.with_context(|| self.name.clone())
    }

    /// Whether the file is what it was before what was done with it, such as `read`.
    ///
    /// # Errors
    /// The file is not as it was when it was opened, or its path leads to another: how so.
    pub(crate) fn is_unchanged(&self, doing: &str) -> anyhow::Result<()> {
        let found = self.file.metadata()?;
        is_as_seen(&self.seen, &found, self.path.as_deref())
            .map_err(|how| anyhow::anyhow!("{} changed while it was {doing}: {how}", self.name))
    }
}

/// Whether an open file is as it was seen, and its path still leads to it; otherwise how it is now.
fn is_as_seen(seen: &Seen, file: &Metadata, path: Option<&Path>) -> Result<(), String> {
    let now = Seen::of(file).map_err(|error| error.to_string())?;
    if now.bytes != seen.bytes {
        return Err(format!("it had {} bytes and has {}", seen.bytes, now.bytes));
    }
    if now.modified != seen.modified {
        return Err("it was written to".to_owned());
    }
    match path.map(std::fs::metadata) {
        Some(Ok(found)) if FileId::of(&found) != seen.id => Err("another file has taken its place".to_owned()),
        Some(Err(_)) => Err("it is not in its place any more".to_owned()),
        // A write whose time was put back shows here alone.
        _ if now != *seen => Err("it was written to, or its time, permissions or links were changed".to_owned()),
        _ => Ok(()),
    }
}
