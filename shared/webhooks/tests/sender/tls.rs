//! Whom a sender trusts.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use penstock_webhooks::{Policy, SendError, Sender, Sent};
use rustls::{
    ServerConfig,
    version::{TLS12, TLS13},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use super::support::{Authority, HOST, Names, PUBLIC, Receiver, address, post, request};

/// The heads of the requests that a receiver has read.
type Heads = Arc<Mutex<Vec<String>>>;

async fn over_tls(stream: TcpStream, tls: Arc<ServerConfig>, heads: Heads) {
    let Ok(mut stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
    let (head, _) = request(&mut stream).await;
    heads.lock().expect("nobody panics with it").push(head);
    // Whoever is gone by now does not get it.
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let _ = stream.shutdown().await;
}

async fn receiver(tls: Arc<ServerConfig>) -> (Receiver, Heads) {
    let heads = Heads::default();
    let kept = heads.clone();
    (Receiver::serving(move |stream| over_tls(stream, tls.clone(), kept.clone())).await, heads)
}

/// A receiver of this name that answers each request.
pub(crate) async fn answering(authority: &Authority, name: &str) -> Receiver {
    receiver(authority.server(name, 2999, &[&TLS13])).await.0
}

/// Sends to the name over an internet in which it leads to that receiver.
async fn sent_to(receiver: &Receiver, authority: &Authority) -> Sent {
    let names = Names::leading_to([vec![address(PUBLIC)]]).routing(SocketAddr::new(address(PUBLIC), 443), receiver.at);
    let sender = Sender::with(names, Policy::deployed([]), authority.roots());
    post(&sender, &format!("https://{HOST}/hooks?a=b")).await
}

#[tokio::test]
async fn a_receiver_with_a_certificate_for_its_name_is_sent_to() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let (receiver, heads) = receiver(authority.server(HOST, 2999, &[version])).await;
        let answer = sent_to(&receiver, &authority).await.outcome.expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
        let heads = heads.lock().expect("nobody panics with it").clone();
        let [head] = heads.as_slice() else { panic!("one request: {heads:?}") };
        assert!(head.starts_with("POST /hooks?a=b HTTP/1.1\r\n"), "{head}");
        for line in [
            format!("host: {HOST}"),
            "content-type: application/json".to_owned(),
            concat!("user-agent: Penstock/", env!("CARGO_PKG_VERSION")).to_owned(),
            "connection: close".to_owned(),
            "webhook-id: evt_1".to_owned(),
            "webhook-timestamp: 1000000".to_owned(),
        ] {
            assert!(head.lines().any(|found| found == line), "{line}: {head}");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_without_a_trusted_certificate_for_the_name() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (what, tls) in [
        ("another authority", stranger.server(HOST, 2999, &[&TLS13])),
        ("another name", authority.server("other.example.com", 2999, &[&TLS13])),
        ("expired", authority.server(HOST, 2001, &[&TLS13])),
    ] {
        let (receiver, heads) = receiver(tls).await;
        assert_eq!(sent_to(&receiver, &authority).await.outcome, Err(SendError::Tls), "{what}");
        assert_eq!(receiver.connections(), 1, "{what}");
        assert!(heads.lock().expect("nobody panics with it").is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_receiver_that_speaks_no_tls_is_sent_nothing() {
    let receiver = Receiver::serving(|mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    assert_eq!(sent_to(&receiver, &Authority::new()).await.outcome, Err(SendError::Tls));
}
