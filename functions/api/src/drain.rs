//! What is left of a request's body when the answer is known.
//!
//! A client that sends a body and is refused in the middle of it, over HTTP/1.1, may find its connection reset before it has read why: many
//! read nothing before they have sent everything. So what is left of a refused body is taken and forgotten, within bounds.

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

/// How much is taken, at most: more than any body that is not refused.
const BYTES: usize = 64 * 1024 * 1024;

/// For how long.
const TIME: Duration = Duration::from_secs(10);

/// A body that can be taken back from whoever reads it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Body>>);

/// The request with its body shared, and the other end of it.
pub(crate) fn share(request: Request) -> (Request, Shared) {
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body)));
    (Request::from_parts(parts, Body::new(shared.clone())), shared)
}

impl Shared {
    fn with<T>(&self, read: impl FnOnce(&mut Body) -> T) -> T {
        // A reader that panicked has left a body that can still be read.
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what is left and forgets it.
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
