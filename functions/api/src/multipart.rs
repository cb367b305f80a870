//! `multipart/form-data` (RFC 7578) as a stream: fields in any order, the file straight to the storage.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{BodyDataStream, Bytes},
    extract::Request,
    http::header,
};
use futures::{Stream, StreamExt};
use penstock_store::uploads::Upload;

use crate::{Refusal, intake, intake::BodyLimit};

/// Parts of a form, at most.
pub const PARTS: usize = 32;

/// Bytes of a text field, at most.
pub const TEXT_BYTES: usize = 64 * 1024;

/// Bytes of a part's headers, or of what comes before the first part, at most: the parser holds them until they end, and looks at all of
/// them with each piece that comes.
const HEAD_BYTES: usize = 32 * 1024;

/// The parser is fed pieces of this size, at most, and never more than one without being asked again: it would take all that is there.
const PIECE_BYTES: usize = 16 * 1024;

/// What a form held.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// The text fields that were asked for, by name.
    pub(crate) texts: BTreeMap<String, String>,
    /// What its sender called the file.
    pub(crate) filename: Option<String>,
    /// The file, all of it, still to be finished: given up, it leaves nothing behind. `None` where the form has no field `file`.
    pub(crate) file: Option<Upload<'a>>,
}

/// Reads a form to its end: text fields of these names, and the field `file`, which goes into `upload`. Other fields are read and forgotten.
/// `inspect` sees the texts that came before, and each piece of the file.
///
/// # Errors
/// 415 when the body is no form, 400 when it is no whole one, 413 beyond a limit.
pub(crate) async fn receive<'a>(
    request: Request,
    names: &[&str],
    upload: Upload<'a>,
    limit: BodyLimit,
    mut inspect: impl FnMut(&BTreeMap<String, String>, &[u8]),
) -> Result<Received<'a>, Refusal> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default())
        .map_err(|_| Refusal::unsupported_media_type("the body has to be multipart/form-data with a boundary"))?;
    let room = limit.bytes + (PARTS * (TEXT_BYTES + HEAD_BYTES)) as u64;
    let held = Arc::new(AtomicUsize::new(0));
    let pieces = Pieces {
        body: request.into_body().into_data_stream(),
        piece: Bytes::new(),
        rest: room,
        held: held.clone(),
        pause: false,
    };
    let mut form = multer::Multipart::new(pieces, boundary);
    let mut received = Received { texts: BTreeMap::new(), filename: None, file: None };
    let mut upload = Some(upload);
    let mut parts = 0;
    while let Some(mut part) = form.next_field().await.map_err(|error| refusal(error, limit))? {
        held.store(0, Ordering::Relaxed);
        parts += 1;
        if parts > PARTS {
            return Err(Refusal::bad_request("too_many_parts", format!("a form has at most {PARTS} parts")));
        }
        let name = part.name().unwrap_or_default().to_owned();
        let is_file = name == "file";
        let is_text = !is_file && names.contains(&name.as_str());
        let taken = if is_file { upload.is_none() } else { received.texts.contains_key(&name) };
        if taken {
            return Err(Refusal::bad_request("duplicate_field", format!("the form has more than one field `{name}`")));
        }
        if is_file {
            received.filename = part.file_name().map(str::to_owned);
            received.file = upload.take();
        }
        let mut text = Vec::new();
        while let Some(piece) = part.chunk().await.map_err(|error| refusal(error, limit))? {
            held.store(0, Ordering::Relaxed);
            if is_text {
                if text.len() + piece.len() > TEXT_BYTES {
                    let message = format!("the field `{name}` is longer than {TEXT_BYTES} bytes");
                    return Err(Refusal::too_large(message));
                }
                text.extend_from_slice(&piece);
            }
            if let Some(file) = received.file.as_mut().filter(|_| is_file) {
                inspect(&received.texts, &piece);
                file.write(&piece).await.map_err(|error| limit.refusal(error))?;
            }
        }
        if is_text {
            let text = String::from_utf8(text)
                .map_err(|_| Refusal::bad_request("invalid_form", format!("the field `{name}` is not UTF-8")))?;
            received.texts.insert(name, text);
        }
    }
    Ok(received)
}

fn refusal(error: multer::Error, limit: BodyLimit) -> Refusal {
    if let multer::Error::StreamReadFailed(source) = &error {
        return match source.downcast_ref::<Fault>() {
            Some(Fault::TooLarge) => limit.exceeded(),
            Some(Fault::Headless) => {
                Refusal::bad_request("invalid_form", format!("a part's headers are longer than {HEAD_BYTES} bytes"))
            }
            _ => intake::unreadable(),
        };
    }
    Refusal::bad_request("invalid_form", "the body is not a whole multipart/form-data form")
}

/// Why the parser gets nothing more.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the body breaks off")]
    Broken,
    #[error("the body is too large")]
    TooLarge,
    #[error("a part does not begin")]
    Headless,
}

/// A body in small pieces.
struct Pieces {
    body: BodyDataStream,
    piece: Bytes,
    /// How many bytes may still come.
    rest: u64,
    /// What the parser has been given since it last gave something.
    held: Arc<AtomicUsize>,
    /// Whether the parser has to ask again before it gets more.
    pause: bool,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.piece.is_empty() {
            match self.body.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(piece))) => self.piece = piece,
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(Fault::Broken))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        let most = self.piece.len().min(PIECE_BYTES);
        let piece = self.piece.split_to(most);
        self.pause = true;
        let Some(rest) = self.rest.checked_sub(piece.len() as u64) else {
            return Poll::Ready(Some(Err(Fault::TooLarge)));
        };
        self.rest = rest;
        if self.held.fetch_add(piece.len(), Ordering::Relaxed) > HEAD_BYTES + PIECE_BYTES {
            return Poll::Ready(Some(Err(Fault::Headless)));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}
