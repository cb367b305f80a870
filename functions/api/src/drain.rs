//! The rest of a refused body is read and dropped, within bounds.
//!
//! Over HTTP/1.1 many clients read no answer before they have sent their whole body. If the connection were closed in
//! the middle of a refused body, such a client would see a reset instead of the reason.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
};
use futures::StreamExt;
use http_body::{Frame, SizeHint};

/// Bytes that are read, at most: more than any body that is taken has.
const BYTES: usize = 64 * 1024 * 1024;

/// How long the rest is read, at most.
const TIME: Duration = Duration::from_secs(10);

/// A body with two owners: the handler that reads it, and this module, which reads the rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Body>>);

/// The request with a shared body, and the other owner's end of the body.
pub(crate) fn share(request: Request) -> (Request, Shared) {
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body)));
    (Request::from_parts(parts, Body::new(shared.clone())), shared)
}

impl Shared {
    fn with<T>(&self, read: impl FnOnce(&mut Body) -> T) -> T {
        // A handler that panicked leaves a body that can still be read.
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the rest and drops it.
    pub(crate) async fn drain(self) {
        let mut rest = self.with(std::mem::take).into_data_stream();
        let forget = async {
            let mut bytes = 0;
            while let Some(Ok(piece)) = rest.next().await {
                bytes += piece.len();
                if bytes > BYTES {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(TIME, forget).await;
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}
