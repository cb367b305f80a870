//! A server over TCP, of `penstock serve` and of the local cloud: a listener, the task that serves it, and a way to end
//! it.
//!
//! No client holds a connection for nothing: the head of a request, the next piece of its body, and the taking of the
//! next piece of its answer each have their time. There is a bound on connections. When it is reached, the one that has
//! kept the server waiting longest makes room for the next, so that clients which open connections and send nothing do
//! not shut out those that ask.

mod connection;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use penstock_model::limits;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use connection::Connections;

/// How long requests that are under way may go on when a server is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long a server waits after it could not accept, such as for want of a file descriptor.
const PAUSE: Duration = Duration::from_millis(50);

/// What clients can take of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// From the opening of a connection, or the end of an answer, to the end of a request's head.
    pub head: Duration,
    /// From one piece of a body to the next, of a request's and of an answer's.
    pub piece: Duration,
}

impl Bounds {
    /// Of a server whom anyone may ask.
    pub const PUBLIC: Self = Self {
        connections: limits::HTTP_CONNECTIONS,
        head: Duration::from_secs(limits::HTTP_HEAD_SECONDS),
        piece: Duration::from_secs(limits::HTTP_PIECE_SECONDS),
    };

    /// Of a server whom only this run's own processes ask. They keep their connections, and close them before this
    /// does; one that reads a file may be held up by another service.
    pub const PRIVATE: Self = Self {
        connections: limits::HTTP_CONNECTIONS / 2,
        head: Duration::from_secs(150),
        piece: Duration::from_secs(600),
    };
}

/// A running server. Dropping it tells it to stop, without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// A listener on a free port of 127.0.0.1 that the system chooses.
    ///
    /// # Errors
    /// No port is free.
    pub async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
        let socket = TcpSocket::new_v4()?;
        // What it accepts inherits this.
        socket.set_nodelay(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    /// Runs `serve`, which gets a future that resolves when it has to stop. It listens on `address`.
    pub fn spawn<S, F>(address: SocketAddr, serve: S) -> Self
    where
        S: FnOnce(futures::future::BoxFuture<'static, ()>) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, mut stopped) = watch::channel(false);
        let stopped = Box::pin(async move {
            // An error means that the server's owner is gone: the same.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let task = tokio::spawn(serve(stopped));
        Self { address, stop, task }
    }

    /// Serves `router` on `listener`, which listens on `address`, and tells it the address of each client
    /// (`ConnectInfo<SocketAddr>`).
    pub fn serve(listener: TcpListener, address: SocketAddr, router: Router, bounds: Bounds) -> Self {
        Self::spawn(address, move |stopped| accept(listener, router, bounds, stopped))
    }

    /// Serves `router` on a free port of 127.0.0.1 to this run's own processes.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(router: Router) -> io::Result<Self> {
        let (listener, address) = Self::bind().await?;
        Ok(Self::serve(listener, address, router, Bounds::PRIVATE))
    }

    /// `http://<address>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting, lets requests under way end, for some seconds at most, and returns.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            tracing::debug!(address = %self.address, "requests outlived their server");
            self.task.abort();
        }
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    mut stopped: futures::future::BoxFuture<'static, ()>,
) {
    let connections = Arc::new(Connections::new(bounds));
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client's fault, and its loss.
            Err(error) if is_of_one_client(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                connections.close_longest_waiting();
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let slot = tokio::select! {
            () = &mut stopped => break,
            slot = Connections::slot(&connections) => slot,
        };
        tasks.spawn(connection::serve(stream, peer, router.clone(), slot, stopping.clone()));
    }
    drop(listener);
    stop.send_replace(true);
    while tasks.join_next().await.is_some() {}
}

/// Whether accepting failed for a client that is gone already (accept(2), "Error handling").
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
