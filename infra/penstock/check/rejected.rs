//! The file of the rejected rows.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
};

use anyhow::Context;
use penstock_engine::{
    decode,
    rejected::{Form, Refused},
};
use penstock_model::Layout;

use super::found::RefusedRow;
use crate::output::{Output, was_there};

/// The file of rejected rows.
pub(super) struct RejectedFile {
    output: Output,
    /// Whether there is one: it begins with the first of them.
    is_begun: bool,
    form: Arc<Form>,
    text: FileText,
}

impl RejectedFile {
    /// A file of the rejected rows of `file`, in the place of `output`.
    pub(super) fn new(output: Output, file: PathBuf, bytes: u64, layout: &Layout, form: Arc<Form>) -> Self {
        let text = FileText { path: file, bytes, layout: layout.clone(), decoded: None };
        Self { output, is_begun: false, form, text }
    }

    /// Writes the rejected rows of the next chunk that has any.
    pub(super) fn take(&mut self, rows: &[u8], refused: Option<RefusedRow>) -> anyhow::Result<()> {
        let Self { output, is_begun, form, text } = self;
        let write = || -> anyhow::Result<()> {
            if !std::mem::replace(is_begun, true) {
                output.write_all(&form.head())?;
            }
            output.write_all(rows)?;
            if let Some(RefusedRow { offset, bytes, errors }) = refused {
                let mut row = PassingRow { refused: form.refused(errors), output };
                text.copy(offset, bytes, &mut row)?;
                let PassingRow { refused, output } = row;
                let mut end = Vec::new();
                refused.end(&mut end);
                output.write_all(&end)?;
            }
            Ok(())
        };
        write().with_context(|| format!("{} cannot be written", self.output.path().display()))
    }

    /// Puts the file in its place, or where it has no row gets the place free, as [`retire`] does.
    pub(super) fn finish(self, is_whole: bool) -> anyhow::Result<()> {
        if self.is_begun { self.output.keep() } else { retire(self.output, is_whole) }
    }
}

/// Gives what stands in the place of a file that is not written another name, so that nobody takes it for this one.
/// `is_whole` says that the whole file was read.
pub(super) fn retire(output: Output, is_whole: bool) -> anyhow::Result<()> {
    let path = output.path().to_owned();
    if let Some(old) = output.retire()? {
        let why = if is_whole { "no row is bad" } else { "no bad row is written" };
        note!("{why}: {}", was_there(&path, &old));
    }
    Ok(())
}

/// A row that passes by on its way to the output.
struct PassingRow<'a> {
    refused: Refused<'a>,
    output: &'a mut Output,
}

impl Write for PassingRow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = Vec::with_capacity(bytes.len());
        self.refused.piece(bytes, &mut written);
        self.output.write_all(&written)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// The file's text once more, for rows that are too long to be held.
struct FileText {
    path: PathBuf,
    bytes: u64,
    layout: Layout,
    /// The text where it has to be decoded from the start, once it was needed.
    decoded: Option<DecodedText>,
}

impl FileText {
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
            None => self.decoded.insert(DecodedText::start(&self.path, self.bytes, &self.layout)?),
        };
        decoded.copy(offset, bytes, to)
    }
}

/// A text that a thread decodes; the thread ends with the text, or when this is dropped.
struct DecodedText {
    pieces: Receiver<Vec<u8>>,
    held: Vec<u8>,
    /// Where in the text `held` ends.
    end: u64,
}

impl DecodedText {
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
