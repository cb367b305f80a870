//! Where all that is found comes together, in the file's order.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
};

use anyhow::Context;
use penstock_engine::decode;
use penstock_model::{ImportOptions, Layout, RowError};
use penstock_report::rejected;

use super::{Rows, checker::Checked};
use crate::{follow::FIRST_ERRORS, output::Output};

/// What is wanted beside counts and first errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Every error, on standard output.
    pub(super) errors: bool,
    /// The rejected rows.
    pub(super) rejected: bool,
}

/// What was found in a file.
#[derive(Default)]
pub(super) struct Found {
    pub(super) rows: Rows,
    pub(super) codes: BTreeMap<String, u64>,
    pub(super) first: Vec<RowError>,
}

/// Takes what is found.
pub(super) struct Sink {
    wanted: Wanted,
    found: Found,
    /// Standard output for every error, until nobody reads it any more.
    errors: Option<BufWriter<io::Stdout>>,
    rejected: Option<RejectedFile>,
    file: PathBuf,
    bytes: u64,
    /// Where the rejected rows go, until it is known how their file begins.
    output: Option<Output>,
}

impl Sink {
    pub(super) fn new(wanted: Wanted, file: &Path, bytes: u64, output: Option<Output>) -> Self {
        let errors = wanted.errors.then(|| BufWriter::new(io::stdout()));
        let file = file.to_owned();
        Self { wanted, found: Found::default(), errors, rejected: None, file, bytes, output }
    }

    /// Takes what is known of the file before its rows.
    pub(super) fn start(&mut self, layout: &Layout, options: &ImportOptions, columns: &[String]) {
        self.rejected = self.output.take().map(|output| RejectedFile {
            output,
            is_begun: false,
            head: rejected::head(layout, options, columns),
            text: Text { path: self.file.clone(), bytes: self.bytes, layout: layout.clone(), decoded: None },
        });
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// Takes what comes of the next chunk.
    pub(super) fn take(&mut self, checked: Checked) -> anyhow::Result<()> {
        let Checked { rows, accepted, failed, codes, first, errors, rejected, refused } = checked;
        let found = &mut self.found;
        found.rows.total += rows;
        found.rows.accepted += accepted;
        found.rows.failed += failed;
        for (code, count) in codes {
            *found.codes.entry(code).or_default() += count;
        }
        let room = FIRST_ERRORS - found.first.len();
        found.first.extend(first.into_iter().take(room));
        self.say(|out| out.write_all(&errors))?;
        match &mut self.rejected {
            Some(file) if failed > 0 => file.take(&rejected, refused),
            _ => Ok(()),
        }
    }

    /// Writes to standard output. Whoever reads it may have read enough and gone: that is no error.
    fn say(&mut self, write: impl FnOnce(&mut BufWriter<io::Stdout>) -> io::Result<()>) -> anyhow::Result<()> {
        match self.errors.as_mut().map_or(Ok(()), write) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // What is left in the buffer has no reader either.
                self.errors.take().map(BufWriter::into_parts);
                Ok(())
            }
            written => Ok(written?),
        }
    }

    /// Writes out what is left to write. `is_whole` says that the whole file was read, so that no rejected row means that there is none.
    pub(super) fn finish(mut self, is_whole: bool) -> anyhow::Result<Found> {
        self.say(Write::flush)?;
        match self.rejected {
            Some(file) if file.is_begun => file.output.keep()?,
            Some(RejectedFile { output, .. }) if is_whole => {
                let path = output.path().to_owned();
                if let Some(old) = output.retire()? {
                    let (path, old) = (path.display(), old.display());
                    note!("no row is bad: {path} was an earlier run's, and is {old} now");
                }
            }
            _ => {}
        }
        Ok(self.found)
    }
}

/// The file of rejected rows.
struct RejectedFile {
    output: Output,
    /// Whether there is one: it begins with the first of them.
    is_begun: bool,
    head: Vec<u8>,
    text: Text,
}

impl RejectedFile {
    fn take(&mut self, rows: &[u8], refused: Option<(u64, u64)>) -> anyhow::Result<()> {
        let Self { output, is_begun, head, text } = self;
        let mut write = || -> anyhow::Result<()> {
            if !std::mem::replace(is_begun, true) {
                output.write_all(head)?;
            }
            output.write_all(rows)?;
            if let Some((offset, bytes)) = refused {
                text.copy(offset, bytes, output)?;
                output.write_all(b"\n")?;
            }
            Ok(())
        };
        write().with_context(|| format!("{} cannot be written", self.output.path().display()))
    }
}

/// The file's text once more, for rows that are too long to be held.
struct Text {
    path: PathBuf,
    bytes: u64,
    layout: Layout,
    /// The text where it has to be decoded from the start, once it was needed.
    decoded: Option<Decoded>,
}

impl Text {
    /// Copies a part of the text that does not begin before where the last one ended.
    fn copy(&mut self, offset: u64, bytes: u64, to: &mut impl Write) -> anyhow::Result<()> {
        if self.layout.is_plain() {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(offset))?;
            io::copy(&mut file.take(bytes), to)?;
            return Ok(());
        }
        let decoded = match &mut self.decoded {
            Some(decoded) => decoded,
            None => self.decoded.insert(Decoded::start(&self.path, self.bytes, &self.layout)?),
        };
        decoded.copy(offset, bytes, to)
    }
}

/// A text that a thread decodes; the thread ends with the text, or when this is dropped.
struct Decoded {
    pieces: Receiver<Vec<u8>>,
    held: Vec<u8>,
    /// Where in the text `held` ends.
    end: u64,
}

impl Decoded {
    fn start(path: &Path, bytes: u64, layout: &Layout) -> anyhow::Result<Self> {
        let (file, layout) = (File::open(path)?, layout.clone());
        let (sender, pieces) = sync_channel::<Vec<u8>>(1);
        std::thread::Builder::new().name("text".to_owned()).spawn(move || {
            // A file that is damaged further on has been found so by whoever reads it for the first time.
            let _ = decode::each_piece(&layout, file, bytes, &mut |piece| match sender.send(piece.to_vec()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
        })?;
        Ok(Self { pieces, held: Vec::new(), end: 0 })
    }

    fn copy(&mut self, offset: u64, bytes: u64, to: &mut impl Write) -> anyhow::Result<()> {
        let (mut at, until) = (offset, offset + bytes);
        while at < until {
            if at >= self.end {
                let Ok(piece) = self.pieces.recv() else { break };
                self.end += piece.len() as u64;
                self.held = piece;
                continue;
            }
            let start = self.end - self.held.len() as u64;
            let from = usize::try_from(at.saturating_sub(start))?;
            let to_end = usize::try_from(until.min(self.end) - start)?;
            to.write_all(&self.held[from..to_end])?;
            at = start + to_end as u64;
        }
        Ok(())
    }
}
