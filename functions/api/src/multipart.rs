//! `multipart/form-data` (RFC 7578) as a stream: the fields come in any order, and the file goes straight to S3.

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
use penstock_model::limits::{FORM_HEAD_BYTES, FORM_PARTS, FORM_TEXT_BYTES};
use penstock_store::uploads::Upload;

use crate::{
    intake::{self, BodyLimit},
    refusal::Refusal,
};

/// Bytes of a piece that the parser is fed, at most. It gets one piece each time it asks: it would buffer everything
/// that is there.
const PIECE_BYTES: usize = 16 * 1024;

/// Bytes at the start of the file that [`Form::start`] keeps: enough to detect the format.
const START_BYTES: usize = 512;

/// A form that was read to its end.
#[derive(Debug)]
pub(crate) struct Form<'a> {
    /// The text fields that were asked for, by name.
    pub(crate) texts: BTreeMap<String, String>,
    /// The filename that the client gave.
    pub(crate) filename: Option<String>,
    /// The first bytes of the file, at most [`START_BYTES`].
    pub(crate) start: Vec<u8>,
    /// The whole file, not finished yet: an upload that is dropped leaves nothing behind. `None` without a field
    /// `file`.
    pub(crate) file: Option<Upload<'a>>,
}

/// Reads a form to its end: text fields of these names, and the field `file`, which goes into `upload`. Other fields
/// are read and dropped. `inspect` sees each piece of the file, and the texts that came before the file.
///
/// # Errors
/// 415 for a body that is not a form, 400 for a malformed form, 413 beyond a limit.
pub(crate) async fn receive<'a>(
    request: Request,
    names: &[&str],
    upload: Upload<'a>,
    limit: BodyLimit,
    mut inspect: impl FnMut(&BTreeMap<String, String>, &[u8]),
) -> Result<Form<'a>, Refusal> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default())
        .map_err(|_| Refusal::unsupported_media_type("the body has to be multipart/form-data with a boundary"))?;
    let room = limit.bytes + (FORM_PARTS * (FORM_TEXT_BYTES + FORM_HEAD_BYTES)) as u64;
    let held = Arc::new(AtomicUsize::new(0));
    let pieces = Pieces {
        body: request.into_body().into_data_stream(),
        piece: Bytes::new(),
        rest: room,
        held: held.clone(),
        pause: false,
    };
    let mut multipart = multer::Multipart::new(pieces, boundary);
    let mut form = Form { texts: BTreeMap::new(), filename: None, start: Vec::new(), file: None };
    let mut upload = Some(upload);
    let mut parts = 0;
    while let Some(mut part) = multipart.next_field().await.map_err(|error| refusal(error, limit))? {
        held.store(0, Ordering::Relaxed);
        parts += 1;
        if parts > FORM_PARTS {
            return Err(Refusal::bad_request("too_many_parts", format!("a form has at most {FORM_PARTS} parts")));
        }
        let name = part.name().unwrap_or_default().to_owned();
        let is_file = name == "file";
        let is_text = !is_file && names.contains(&name.as_str());
        let taken = if is_file { upload.is_none() } else { form.texts.contains_key(&name) };
        if taken {
            return Err(Refusal::bad_request("duplicate_field", format!("the form has more than one field `{name}`")));
        }
        if is_file {
            form.filename = part.file_name().map(intake::filename).transpose()?;
            form.file = upload.take();
        }
        let mut text = Vec::new();
        while let Some(piece) = part.chunk().await.map_err(|error| refusal(error, limit))? {
            held.store(0, Ordering::Relaxed);
            if is_text {
                if text.len() + piece.len() > FORM_TEXT_BYTES {
                    let message = format!("the field `{name}` is longer than {FORM_TEXT_BYTES} bytes");
                    return Err(Refusal::too_large(message));
                }
                text.extend_from_slice(&piece);
            }
            if let Some(file) = form.file.as_mut().filter(|_| is_file) {
                form.start.extend(piece.iter().take(START_BYTES - form.start.len()));
                inspect(&form.texts, &piece);
                file.write(&piece).await.map_err(|error| limit.refusal(error))?;
            }
        }
        if is_text {
            let text = String::from_utf8(text)
                .map_err(|_| Refusal::bad_request("invalid_form", format!("the field `{name}` is not UTF-8")))?;
            form.texts.insert(name, text);
        }
    }
    Ok(form)
}

fn refusal(error: multer::Error, limit: BodyLimit) -> Refusal {
    if let multer::Error::StreamReadFailed(source) = &error {
        return match source.downcast_ref::<Fault>() {
            Some(Fault::TooLarge) => limit.exceeded(),
            Some(Fault::Headless) => Refusal::bad_request(
                "invalid_form",
                format!("a part's headers are longer than {FORM_HEAD_BYTES} bytes"),
            ),
            _ => intake::unreadable(),
        };
    }
    Refusal::bad_request("invalid_form", "the body is not a whole multipart/form-data form")
}

/// Why the parser gets no further piece.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the body breaks off")]
    Broken,
    #[error("the body is too large")]
    TooLarge,
    #[error("the headers of a part are too long")]
    Headless,
}

/// A body in small pieces.
struct Pieces {
    body: BodyDataStream,
    piece: Bytes,
    /// Bytes that may still come.
    rest: u64,
    /// Bytes that the parser has been given since its last output.
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
        if self.held.fetch_add(piece.len(), Ordering::Relaxed) > FORM_HEAD_BYTES + PIECE_BYTES {
            return Poll::Ready(Some(Err(Fault::Headless)));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}
