//! A server over TCP, of `penstock serve` and of the local cloud: a listener, the task that serves it, and a way to end
//! it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long requests that are under way may go on when a server is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

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
    pub fn serve(listener: TcpListener, address: SocketAddr, router: Router) -> Self {
        Self::spawn(address, async move |stopped| {
            let listener = listener.tap_io(|stream| {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
            });
            // Who asks is told by the connection: rate limits go by it.
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, %address, "a server has stopped");
            }
        })
    }

    /// Serves `router` on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(router: Router) -> io::Result<Self> {
        let (listener, address) = Self::bind().await?;
        Ok(Self::serve(listener, address, router))
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
