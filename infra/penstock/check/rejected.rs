//! The file of the rejected rows.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
};

use anyhow::Context;
use penstock_engine::decode;
use penstock_engine::rejected;
use penstock_model::{ImportOptions, Layout};

/// The file of rejected rows, made when there is one.
pub(super) struct RejectedFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    head: Vec<u8>,
    text: FileText,
}

impl RejectedFile {
    /// A file at `path` of the rejected rows of `file`.
    pub(super) fn new(
        path: PathBuf,
        file: PathBuf,
        bytes: u64,
        layout: &Layout,
        options: &ImportOptions,
        columns: &[String],
    ) -> Self {
        let head = rejected::head(layout, options, columns);
        let text = FileText { path: file, bytes, layout: layout.clone(), decoded: None };
        Self { path, file: None, head, text }
    }

    /// Writes the rejected rows of the next chunk that has any.
    pub(super) fn take(&mut self, rows: &[u8], refused: Option<(u64, u64)>) -> anyhow::Result<()> {
        let path = &self.path;
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = BufWriter::new(File::create(path).with_context(|| path.display().to_string())?);
                file.write_all(&self.head)?;
                self.file.insert(file)
            }
        };
        let mut write = || -> anyhow::Result<()> {
            file.write_all(rows)?;
            if let Some((offset, bytes)) = refused {
                self.text.copy(offset, bytes, file)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        };
        write().with_context(|| path.display().to_string())
    }

    /// Writes out what is left to write.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Some(mut file) = self.file else { return Ok(()) };
        file.flush().with_context(|| self.path.display().to_string())
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
