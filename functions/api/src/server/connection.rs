//! One connection: whose turn it is, and how long the client has had it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Sleep};
use tower::Service;

use super::Bounds;

/// The connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    bounds: Bounds,
    open: Mutex<HashMap<u64, Arc<Turn>>>,
    newest: AtomicU64,
    /// Told when a connection has been closed, or waits for its client.
    changed: Notify,
}

/// Whose turn it is on a connection.
#[derive(Debug)]
pub(super) struct Turn {
    /// Since when the client has had it; `None` while the server has.
    client_since: Mutex<Option<Instant>>,
    /// Whether a request is under way: its head has come, and its answer has not been sent.
    in_request: AtomicBool,
    close: Notify,
}

/// A connection's place among the others, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    number: u64,
    turn: Arc<Turn>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, open: Mutex::default(), newest: AtomicU64::new(0), changed: Notify::new() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Turn>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for one more connection: at once, or when another has been closed for it.
    pub(super) async fn slot(connections: &Arc<Self>) -> Slot {
        loop {
            let changed = connections.changed.notified();
            {
                let mut open = connections.open();
                if open.len() < connections.bounds.connections {
                    let number = connections.newest.fetch_add(1, Ordering::Relaxed);
                    let turn = Arc::new(Turn::new());
                    open.insert(number, turn.clone());
                    return Slot { number, turn, connections: connections.clone() };
                }
            }
            connections.close_longest_waiting();
            changed.await;
        }
    }

    /// Closes the connection whose client has had the turn longest, if there is any that waits for its client: one with
    /// a request under way, such as an upload, only if all have.
    pub(super) fn close_longest_waiting(&self) {
        let open = self.open();
        let order = |turn: &Arc<Turn>| {
            let since = (*turn.client_since())?;
            Some((turn.in_request.load(Ordering::Relaxed), since))
        };
        let waiting = open.values().filter_map(|turn| Some((order(turn)?, turn)));
        if let Some((_, turn)) = waiting.min_by_key(|(order, _)| *order) {
            turn.close.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.open().remove(&self.number);
        self.connections.changed.notify_one();
    }
}

impl Turn {
    /// That of a new connection.
    fn new() -> Self {
        let client_since = Mutex::new(Some(Instant::now()));
        Self { client_since, in_request: AtomicBool::new(false), close: Notify::new() }
    }

    fn client_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.client_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn is_clients(&self) {
        self.turn.client_since().get_or_insert_with(Instant::now);
        self.connections.changed.notify_one();
    }

    fn is_servers(&self) {
        *self.turn.client_since() = None;
    }

    fn piece(&self) -> Duration {
        self.connections.bounds.piece
    }
}

/// Serves a connection to its end; once `stopping` is true, to the end of the request that is under way.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    slot: Slot,
    mut stopping: watch::Receiver<bool>,
) {
    let head = slot.connections.bounds.head;
    let slot = Arc::new(slot);
    let answer = service_fn({
        let slot = slot.clone();
        move |request: hyper::Request<Incoming>| {
            slot.is_servers();
            slot.turn.in_request.store(true, Ordering::Relaxed);
            let (slot, mut router) = (slot.clone(), router.clone());
            let mut request = request.map(|body| Body::new(Received { body, slot: slot.clone(), silence: None }));
            // Who asks is told by the connection: rate limits go by it.
            request.extensions_mut().insert(ConnectInfo(peer));
            async move {
                let answer = router.call(request).await?;
                Ok::<_, Infallible>(answer.map(|body| Sent { body, slot }))
            }
        }
    });
    let io = TokioIo::new(Paced { stream, slot: slot.clone(), silence: None });
    let mut builder = http1::Builder::new();
    let mut connection =
        std::pin::pin!(builder.timer(TokioTimer::new()).header_read_timeout(head).serve_connection(io, answer));
    let mut is_ending = false;
    loop {
        tokio::select! {
            // Its end, good or bad, is the client's to know.
            _ = connection.as_mut() => return,
            () = slot.turn.close.notified() => return,
            _ = stopping.wait_for(|stopping| *stopping), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// How long a client has been silent: polled to `Ready` once that is too long.
type Silence = Option<Pin<Box<Sleep>>>;

fn poll_silence(silence: &mut Silence, most: Duration, context: &mut Context<'_>) -> Poll<()> {
    silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(most))).as_mut().poll(context)
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client was silent for too long")
}

/// The body of a request, whose client has its time for each piece.
struct Received<B> {
    body: B,
    slot: Arc<Slot>,
    silence: Silence,
}

impl<B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Unpin> HttpBody for Received<B> {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(frame) => {
                this.silence = None;
                this.slot.is_servers();
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                this.slot.is_clients();
                ready!(poll_silence(&mut this.silence, this.slot.piece(), context));
                Poll::Ready(Some(Err(too_slow().into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. When it has been sent, it is the client's turn.
struct Sent {
    body: Body,
    slot: Arc<Slot>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.slot.is_servers();
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.slot.turn.in_request.store(false, Ordering::Relaxed);
        self.slot.is_clients();
    }
}

/// A connection whose client has its time to take each piece of an answer.
struct Paced {
    stream: TcpStream,
    slot: Arc<Slot>,
    silence: Silence,
}

impl Paced {
    fn sent<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.silence = None;
            return poll;
        }
        self.slot.is_clients();
        ready!(poll_silence(&mut self.silence, self.slot.piece(), context));
        Poll::Ready(Err(too_slow()))
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.sent(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::{channel::mpsc, poll};
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn each_piece_of_a_body_has_the_whole_time() {
        let bounds = Bounds { piece: Duration::from_secs(3600), ..Bounds::PUBLIC };
        let slot = Arc::new(Connections::slot(&Arc::new(Connections::new(bounds))).await);
        let (pieces, body) = mpsc::unbounded::<Result<Bytes, Infallible>>();
        let mut received = Received { body: Body::from_stream(body), slot: slot.clone(), silence: None };
        for _ in 0..3 {
            let before = Instant::now();
            assert!(poll!(received.frame()).is_pending());
            let until = received.silence.as_ref().expect("the client has the turn").deadline();
            assert!(until >= before + bounds.piece);
            assert!(slot.turn.client_since().is_some());
            pieces.unbounded_send(Ok(Bytes::from_static(b"x"))).expect("the body is read");
            let piece = received.frame().await.expect("a piece").expect("in time");
            assert_eq!(piece.into_data().expect("data"), "x");
            assert!(received.silence.is_none());
            assert!(slot.turn.client_since().is_none());
        }
        drop(pieces);
        assert!(received.frame().await.is_none());
    }
}
