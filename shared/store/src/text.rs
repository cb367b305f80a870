//! An upload's text, unpacked and decoded: splits and reports read this.
//!
//! A plain upload is its own text and can be read from any place. Any other upload is read from its start and decoded
//! by the engine, on a thread of its own that waits for the storage and for the text's reader; text before the wanted
//! place is dropped.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use penstock_engine::{decode, upload::Upload};
use penstock_model::{Failure, Import};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};

use crate::{Backoff, Result, Store, StoreError, uploads::Stream};

/// Bytes of one request where the rest of the object may not be needed.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// Decoded pieces that wait for the text's reader, at most.
const PIECES_AHEAD: usize = 2;

/// Why a text cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file is at fault: the same will happen next time.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// The storage is.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The upload of an import as a stream that reconnects after a broken connection.
#[derive(Debug)]
struct Object {
    store: Store,
    import: Arc<Import>,
    offset: u64,
    /// Bytes of one request, at most.
    window: Option<u64>,
    stream: Option<Stream>,
    /// Where the stream ends.
    stream_end: u64,
}

impl Object {
    fn new(store: &Store, import: &Arc<Import>, offset: u64, window: Option<u64>) -> Self {
        Self { store: store.clone(), import: import.clone(), offset, window, stream: None, stream_end: offset }
    }

    fn bytes(&self) -> u64 {
        self.import.object.as_ref().map_or(0, |object| object.bytes)
    }

    /// The next bytes; `None` at the end of the object. A connection that breaks is opened again where it broke.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let mut pause = Backoff::default();
        loop {
            if self.offset >= self.bytes() {
                return Ok(None);
            }
            if self.offset >= self.stream_end {
                self.stream = None;
            }
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    let stream = self.store.read_upload(&self.import, self.offset, self.window).await?;
                    self.stream_end = self.window.map_or(u64::MAX, |window| self.offset + window);
                    self.stream.insert(stream)
                }
            };
            match stream.next().await {
                Some(Ok(piece)) => {
                    self.offset += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Some(Err(_)) | None => {
                    self.stream = None;
                    pause.wait("s3:GetObject").await?;
                }
            }
        }
    }

    fn seek(&mut self, offset: u64) {
        if offset != self.offset {
            (self.stream, self.offset, self.stream_end) = (None, offset, offset);
        }
    }
}

/// The object as a blocking reader, for the engine. Only for threads that may block.
struct Blocking {
    object: Object,
    held: Bytes,
    runtime: Handle,
    /// The storage's failure, which the engine cannot tell from a damaged file.
    fault: Arc<Mutex<Option<StoreError>>>,
}

impl Blocking {
    fn position(&self) -> u64 {
        self.object.offset - self.held.len() as u64
    }
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() {
            match self.runtime.block_on(self.object.next()) {
                Ok(Some(bytes)) => self.held = bytes,
                Ok(None) => return Ok(0),
                Err(error) => {
                    *self.fault.lock().expect("no holder panics") = Some(error);
                    return Err(io::Error::other("the storage did not answer"));
                }
            }
        }
        let read = self.held.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.held.split_to(read));
        Ok(read)
    }
}

impl Seek for Blocking {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.object.bytes().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position().checked_add_signed(offset),
        };
        let to = to.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the file's start"))?;
        match to.checked_sub(self.position()) {
            Some(ahead) if ahead <= self.held.len() as u64 => drop(self.held.split_to(ahead as usize)),
            _ => {
                self.held.clear();
                self.object.seek(to);
            }
        }
        Ok(to)
    }
}

impl Store {
    /// Runs `look`, a function of the engine, over an import's upload, which it may read and seek in. A repeat reads
    /// the same object.
    ///
    /// # Errors
    /// [`TextError`]: the storage's failure if there was one, else the engine's answer.
    pub async fn look_at_upload<T: Send + 'static>(
        &self,
        import: &Import,
        look: impl FnOnce(&mut dyn Upload, u64) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, TextError> {
        let import = Arc::new(import.clone());
        let object = Object::new(self, &import, 0, Some(WINDOW_BYTES));
        let bytes = object.bytes();
        let (mut blocking, fault) = blocking(object);
        let answer = tokio::task::spawn_blocking(move || look(&mut blocking, bytes)).await;
        if let Some(error) = fault.lock().expect("no holder panics").take() {
            return Err(error.into());
        }
        answer.unwrap_or_else(|_| Err(undecodable())).map_err(TextError::Failed)
    }

    /// An import's text from a byte of it on. A repeat gives the same: the import names the very object, and how to
    /// read it.
    pub fn text(&self, import: &Import, offset: u64) -> Text {
        let import = Arc::new(import.clone());
        let source = match &import.layout {
            Some(layout) if !layout.is_plain() => Source::Decoded(Decoded::start(self, &import, offset)),
            _ => Source::Plain(Object::new(self, &import, offset, None)),
        };
        Text { source, held: Bytes::new(), offset }
    }
}

fn blocking(object: Object) -> (Blocking, Arc<Mutex<Option<StoreError>>>) {
    let fault = Arc::new(Mutex::new(None));
    let blocking = Blocking { object, held: Bytes::new(), runtime: Handle::current(), fault: fault.clone() };
    (blocking, fault)
}

/// The failure of a file on which the decoder panicked.
fn undecodable() -> Failure {
    Failure::new("damaged_file", "the file cannot be decoded")
}

/// A text that is being read, forward.
#[derive(Debug)]
pub struct Text {
    source: Source,
    held: Bytes,
    /// Where in the text `held` starts.
    offset: u64,
}

#[derive(Debug)]
enum Source {
    Plain(Object),
    Decoded(Decoded),
}

impl Text {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`TextError`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, TextError> {
        if self.held.is_empty() {
            let next = match &mut self.source {
                Source::Plain(object) => object.next().await?,
                Source::Decoded(decoded) => decoded.next().await?,
            };
            let Some(bytes) = next else { return Ok(None) };
            self.held = bytes;
        }
        let bytes = std::mem::take(&mut self.held);
        self.offset += bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// The place in the text that [`Text::next`] goes on from.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on to a place that has not been passed. In a plain upload what is skipped is not read.
    ///
    /// # Errors
    /// [`TextError`].
    pub async fn skip_to(&mut self, offset: u64) -> Result<(), TextError> {
        debug_assert!(self.offset <= offset, "a text is read forward");
        while self.offset < offset {
            let ahead = offset - self.offset;
            if self.held.is_empty()
                && let Source::Plain(object) = &mut self.source
            {
                object.seek(offset);
                self.offset = offset;
                return Ok(());
            }
            let Some(mut bytes) = self.next().await? else { return Ok(()) };
            if bytes.len() as u64 > ahead {
                self.offset -= bytes.len() as u64 - ahead;
                self.held = bytes.split_off(ahead as usize);
            }
        }
        Ok(())
    }

    /// The next bytes, `most` of them at most; `None` at the end.
    ///
    /// # Errors
    /// [`TextError`].
    pub async fn next_of(&mut self, most: u64) -> Result<Option<Bytes>, TextError> {
        let Some(mut bytes) = self.next().await? else { return Ok(None) };
        if bytes.len() as u64 > most {
            self.offset -= bytes.len() as u64 - most;
            self.held = bytes.split_off(most as usize);
        }
        Ok(Some(bytes))
    }
}

/// A text that a thread decodes; the thread ends with the text, or when this is dropped.
#[derive(Debug)]
struct Decoded {
    pieces: mpsc::Receiver<Result<Bytes, Failure>>,
    /// Its end tells whether the text has ended or the decoder has died.
    thread: Option<JoinHandle<()>>,
    fault: Arc<Mutex<Option<StoreError>>>,
}

impl Decoded {
    fn start(store: &Store, import: &Arc<Import>, offset: u64) -> Self {
        let object = Object::new(store, import, 0, None);
        let bytes = object.bytes();
        let (blocking, fault) = blocking(object);
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let import = import.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let Some(layout) = &import.layout else { return };
            let mut to_drop = offset;
            let ended = decode::each_piece(layout, blocking, bytes, &mut |piece| {
                let dropped = to_drop.min(piece.len() as u64);
                to_drop -= dropped;
                let piece = &piece[dropped as usize..];
                if piece.is_empty() || sender.blocking_send(Ok(Bytes::copy_from_slice(piece))).is_ok() {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            if let Err(failure) = ended {
                // Nobody listens any more where this cannot be sent.
                let _ = sender.blocking_send(Err(failure));
            }
        });
        Self { pieces, thread: Some(thread), fault }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, TextError> {
        match self.pieces.recv().await {
            Some(Ok(bytes)) => Ok(Some(bytes)),
            None => match self.thread.take() {
                Some(thread) => thread.await.map(|()| None).map_err(|_| TextError::Failed(undecodable())),
                None => Ok(None),
            },
            Some(Err(failure)) => match self.fault.lock().expect("no holder panics").take() {
                Some(error) => Err(error.into()),
                None => Err(TextError::Failed(failure)),
            },
        }
    }
}
