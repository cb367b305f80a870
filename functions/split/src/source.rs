//! The upload as a stream that survives broken connections.

use penstock_model::Import;
use penstock_store::{
    Backoff, Result, Store,
    uploads::{Bytes, Stream},
};

/// Reads the object that an import is about, from an offset to its end.
pub(crate) struct Source<'a> {
    store: &'a Store,
    import: &'a Import,
    offset: u64,
    stream: Option<Stream>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(store: &'a Store, import: &'a Import, offset: u64) -> Self {
        Self { store, import, offset, stream: None }
    }

    /// The next bytes; `None` at the end of the object. A connection that breaks is opened again where it broke.
    ///
    /// # Errors
    /// When the object is gone, or connections keep breaking without a byte between them.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let mut pause = Backoff::default();
        loop {
            let bytes = self.import.object.as_ref().map_or(0, |object| object.bytes);
            if self.offset >= bytes {
                return Ok(None);
            }
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => self.stream.insert(self.store.read_upload(self.import, self.offset, None).await?),
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
}
