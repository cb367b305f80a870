//! Clients that keep a server waiting.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;

/// Within this time what has to happen has happened.
const DEADLINE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);
/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HALF_A_HEAD: &[u8] = b"GET /health HTTP/1.1\r\nhost:";
const HALF_A_BODY: &[u8] = b"POST /body HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n01234";

async fn started(bounds: Bounds) -> (Server, SocketAddr) {
    let (listener, address) = Server::bind().await.expect("a port");
    let router = Router::new()
        .route("/health", get(async |peer: ConnectInfo<SocketAddr>| peer.0.ip().to_string()))
        .route("/body", post(async |body: Bytes| format!("{} bytes", body.len())));
    (Server::serve(listener, address, router, bounds), address)
}

async fn connected(address: SocketAddr, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(sent).await.expect("sent");
    stream
}

/// Reads until this is there.
async fn read_until(stream: &mut TcpStream, part: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(part) {
            assert!(stream.read_buf(&mut read).await.expect("an answer") > 0, "{}", String::from_utf8_lossy(&read));
        }
    };
    timeout(DEADLINE, reading).await.expect("an answer in time");
    String::from_utf8(read).expect("text")
}

/// Waits until the server has closed the connection; gives what it said before.
async fn closed(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    // An error is a reset: closed as well.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut read)).await.expect("it is closed in time");
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn requests_are_answered_one_after_another_on_a_connection() {
    let (server, address) = started(Bounds::PUBLIC).await;
    let mut stream = connected(address, HEALTH).await;
    for _ in 0..3 {
        assert!(read_until(&mut stream, "127.0.0.1").await.starts_with("HTTP/1.1 200"));
        stream.write_all(HEALTH).await.expect("sent");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_its_connection() {
    let bounds = Bounds { head: SHORT, piece: LONG, ..Bounds::PUBLIC };
    let (server, address) = started(bounds).await;
    for sent in [&b""[..], HALF_A_HEAD] {
        closed(&mut connected(address, sent).await).await;
    }
    // So does one that stands idle.
    let mut stream = connected(address, HEALTH).await;
    read_until(&mut stream, "127.0.0.1").await;
    closed(&mut stream).await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_go_on_ends_its_request() {
    let bounds = Bounds { head: LONG, piece: SHORT, ..Bounds::PUBLIC };
    let (server, address) = started(bounds).await;
    let said = closed(&mut connected(address, HALF_A_BODY).await).await;
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_read_to_its_end() {
    let (server, address) = started(Bounds { head: LONG, piece: LONG, ..Bounds::PUBLIC }).await;
    let mut stream = connected(address, b"POST /body HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n").await;
    for _ in 0..10 {
        stream.write_all(b"x").await.expect("sent");
    }
    read_until(&mut stream, "10 bytes").await;
    server.stop().await;
}

/// Tells when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_its_connection() {
    let bounds = Bounds { head: LONG, piece: SHORT, ..Bounds::PUBLIC };
    let given_up = Arc::new(Notify::new());
    let told = given_up.clone();
    let large = async move || {
        let held = Dropped(told);
        let piece = move |_| {
            let _ = &held;
            Ok::<_, Infallible>(Bytes::from_static(&[0; 64 << 10]))
        };
        Body::from_stream(stream::iter(0..1024).map(piece))
    };
    let (listener, address) = Server::bind().await.expect("a port");
    let server = Server::serve(listener, address, Router::new().route("/large", get(large)), bounds);
    let mut stream = connected(address, b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    read_until(&mut stream, "200").await;
    // The server has written what fits on the way, and waits until its time is over. Reading would be what it waits
    // for.
    timeout(DEADLINE, given_up.notified()).await.expect("the server gives the answer up in time");
    assert!(closed(&mut stream).await.len() < 64 << 20);
    server.stop().await;
}

#[tokio::test]
async fn whoever_waits_longest_makes_room_and_a_request_under_way_last() {
    let bounds = Bounds { connections: 3, head: LONG, piece: LONG };
    let (server, address) = started(bounds).await;
    let mut half_a_body = connected(address, HALF_A_BODY).await;
    let mut silent = connected(address, b"").await;
    let mut half_a_head = connected(address, HALF_A_HEAD).await;
    let mut idle = connected(address, HEALTH).await;
    read_until(&mut idle, "127.0.0.1").await;
    closed(&mut silent).await;
    half_a_head.write_all(&HEALTH[HALF_A_HEAD.len()..]).await.expect("sent");
    read_until(&mut half_a_head, "127.0.0.1").await;
    let mut next = connected(address, HEALTH).await;
    read_until(&mut next, "127.0.0.1").await;
    closed(&mut idle).await;
    for open in [&half_a_head, &half_a_body] {
        let still = open.try_read(&mut [0]).expect_err("nothing to read, and not closed");
        assert_eq!(still.kind(), std::io::ErrorKind::WouldBlock);
    }
    half_a_body.write_all(b"56789").await.expect("sent");
    read_until(&mut half_a_body, "10 bytes").await;
    server.stop().await;
}

#[tokio::test]
async fn stopping_lets_a_request_end_and_closes_what_is_idle() {
    let (server, address) = started(Bounds::PUBLIC).await;
    let mut idle = connected(address, HEALTH).await;
    read_until(&mut idle, "127.0.0.1").await;
    let mut asking = connected(address, HALF_A_BODY).await;
    // It is being served.
    let mut other = connected(address, HEALTH).await;
    read_until(&mut other, "127.0.0.1").await;
    let (_, said) = tokio::join!(server.stop(), async {
        closed(&mut idle).await;
        asking.write_all(b"56789").await.expect("sent");
        closed(&mut asking).await
    });
    assert!(said.ends_with("10 bytes"), "{said}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_burst_of_connections_without_a_request_ends_no_upload() {
    let bounds = Bounds { head: LONG, piece: LONG, connections: 4 };
    let (server, address) = started(bounds).await;
    // It has waited longest of all.
    let mut upload = connected(address, HALF_A_BODY).await;
    let mut silent = Vec::new();
    for sent in [&b""[..], HALF_A_HEAD].repeat(8) {
        silent.push(connected(address, sent).await);
        let mut other = connected(address, HEALTH).await;
        read_until(&mut other, "127.0.0.1").await;
    }
    upload.write_all(b"56789").await.expect("sent");
    assert!(read_until(&mut upload, "10 bytes").await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}
