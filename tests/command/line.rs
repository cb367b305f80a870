//! A line that breaks: a proxy that ends each connection when so many bytes have come through it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A line to a server.
pub(crate) struct Line {
    url: String,
    broken: Arc<AtomicUsize>,
}

impl Line {
    /// A line to the server at a URL whose connections break when so many bytes have gone up.
    pub(crate) async fn to(server: &str, bytes: usize) -> Self {
        let server: SocketAddr = server.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let broken = Arc::new(AtomicUsize::new(0));
        let count = broken.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await.expect("the server listens");
                    if carry(client, server, bytes).await {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { url, broken }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many connections it has broken.
    pub(crate) fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}

/// Carries bytes both ways until either side ends the connection, or until it breaks; whether it broke.
async fn carry(client: TcpStream, server: TcpStream, bytes: usize) -> bool {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let down = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let (mut left, mut buffer) = (bytes, vec![0; 64 * 1024]);
    while left > 0 {
        let most = left.min(buffer.len());
        match from_client.read(&mut buffer[..most]).await {
            Ok(read @ 1..) if to_server.write_all(&buffer[..read]).await.is_ok() => left -= read,
            _ => break,
        }
    }
    if left > 0 {
        // The client is done; what the server still has to say gets through.
        drop(to_server);
        let _ = down.await;
        return false;
    }
    down.abort();
    true
}
