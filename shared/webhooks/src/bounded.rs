//! A stream of which no more than a number of bytes is read.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Ends for its reader when so many bytes have been read.
#[derive(Debug)]
pub(crate) struct Bounded<S> {
    stream: S,
    left: usize,
    spent: Arc<AtomicBool>,
}

/// Whether a stream ended because of its bound.
#[derive(Debug, Clone)]
pub(crate) struct Spent(Arc<AtomicBool>);

impl Spent {
    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<S> Bounded<S> {
    pub(crate) fn new(stream: S, bytes: usize) -> (Self, Spent) {
        let spent = Arc::new(AtomicBool::new(false));
        (Self { stream, left: bytes, spent: spent.clone() }, Spent(spent))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            self.spent.store(true, Ordering::Release);
            return Poll::Ready(Ok(()));
        }
        // The stream fills a part of the buffer, no larger than what is left.
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(self.left.min(buf.remaining())));
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        self.left -= read;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn no_more_than_its_bytes_are_read() {
        let (mut there, here) = tokio::io::duplex(1024);
        there.write_all(&[7; 100]).await.expect("room");
        let (mut bounded, spent) = Bounded::new(here, 64);
        let mut read = Vec::new();
        bounded.read_to_end(&mut read).await.expect("bytes");
        assert_eq!((read.len(), spent.is()), (64, true));
    }

    #[tokio::test]
    async fn a_stream_that_ends_before_is_read_whole_and_not_spent() {
        let (mut there, here) = tokio::io::duplex(1024);
        there.write_all(&[7; 63]).await.expect("room");
        drop(there);
        let (mut bounded, spent) = Bounded::new(here, 64);
        let mut read = Vec::new();
        bounded.read_to_end(&mut read).await.expect("bytes");
        assert_eq!((read.len(), spent.is()), (63, false));
    }
}
