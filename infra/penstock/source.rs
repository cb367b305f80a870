//! The file that is imported: open before an import is made of it, and known to be the same until its last byte is sent.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek},
    os::{fd::AsFd, unix::fs::FileExt},
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
use penstock_model::limits;
use tokio::io::AsyncReadExt;

use crate::output::FileId;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Where a file comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    path: PathBuf,
    id: FileId,
    /// Whether it is read through once, to its end: standard input, a pipe.
    is_piped: bool,
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
        // Beside what is named there, such as /dev/stdin, is no place for anything.
        let is_piped = is_input || !found.is_file() || ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
        if !is_piped {
            File::open(path).with_context(|| path.display().to_string())?;
        }
        Ok(Self { path: path.to_owned(), id: FileId::of(&found), is_piped })
    }

    /// What it is called, for people.
    pub(crate) fn name(&self) -> String {
        if self.path == Path::new(STANDARD_INPUT) { "standard input".into() } else { self.path.display().to_string() }
    }

    /// What its file is called. A pipe's name says nothing.
    pub(crate) fn filename(&self) -> Option<String> {
        let name = self.path.file_name().filter(|_| !self.is_piped);
        name.map(|name| name.to_string_lossy().into_owned())
    }

    /// Which file it is.
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Where its rejected rows go if nobody says: beside the file; of a pipe, into the folder where the command runs.
    pub(crate) fn rejected_path(&self) -> PathBuf {
        let mut name = if self.is_piped { "stdin".into() } else { self.path.clone().into_os_string() };
        name.push(".rejected.csv");
        name.into()
    }

    /// Opens it. What is piped is read to its end first, since an upload has to say how long it is.
    ///
    /// # Errors
    /// It cannot be read, or is longer than a file may be.
    pub(crate) fn open(&self) -> anyhow::Result<Source> {
        let file = if self.is_piped { self.spool() } else { Ok(File::open(&self.path)?) };
        let file = file.with_context(|| self.name())?;
        let seen = Seen::of(&file.metadata()?)?;
        Ok(Source { name: self.name(), path: (!self.is_piped).then(|| self.path.clone()), file, seen })
    }

    /// Its bytes in a file that has no name and goes with this process.
    fn spool(&self) -> anyhow::Result<File> {
        let input = if self.path == Path::new(STANDARD_INPUT) { standard_input()? } else { File::open(&self.path)? };
        let (name, folder, most) = (self.name(), std::env::temp_dir(), limits::UPLOAD_BYTES);
        note!("reading {name} into a temporary file in {}, at most {most} bytes", folder.display());
        let mut file = tempfile::tempfile_in(&folder)?;
        let bytes = io::copy(&mut input.take(most + 1), &mut file)?;
        anyhow::ensure!(bytes <= most, "it is longer than {most} bytes, the limit of a file");
        Ok(file)
    }
}

fn standard_input() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// What tells that a file is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    id: FileId,
    bytes: u64,
    modified: SystemTime,
}

impl Seen {
    fn of(file: &Metadata) -> io::Result<Self> {
        Ok(Self { id: FileId::of(file), bytes: file.len(), modified: file.modified()? })
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

    /// Its bytes for an upload, `sent` counting them as they go. They break off before the last ones if the file has changed by then, so that
    /// no storage takes a file that never was.
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

    /// # Errors
    /// The file is not as it was when it was opened, or its path leads to another: how so.
    pub(crate) fn is_unchanged(&self) -> anyhow::Result<()> {
        let found = self.file.metadata()?;
        is_as_seen(&self.seen, &found, self.path.as_deref())
            .map_err(|how| anyhow::anyhow!("{} changed while it was uploaded: {how}", self.name))
    }
}

/// Whether an open file is as it was seen, and its path still leads to it; otherwise how it is now.
fn is_as_seen(seen: &Seen, file: &Metadata, path: Option<&Path>) -> Result<(), String> {
    let now = Seen::of(file).map_err(|error| error.to_string())?;
    if now.bytes != seen.bytes {
        return Err(format!("it had {} bytes and has {}", seen.bytes, now.bytes));
    }
    if now != *seen {
        return Err("it was written to".to_owned());
    }
    match path.map(std::fs::metadata) {
        Some(Ok(found)) if FileId::of(&found) != seen.id => Err("another file has taken its place".to_owned()),
        Some(Err(_)) => Err("it is not in its place any more".to_owned()),
        _ => Ok(()),
    }
}
