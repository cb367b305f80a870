//! What a receiver answers, or does instead.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use penstock_model::limits::{WEBHOOK_ANSWER_BYTES, WEBHOOK_ANSWER_KEPT_BYTES};
use penstock_webhooks::{Answer, SendError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};

use super::support::{BODY, Names, Receiver, local, post, request};

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(60);

/// The limit of an attempt that goes on for ever.
const WITHIN: Duration = Duration::from_millis(200);

/// A receiver that answers each request with this text, and ends the connection.
async fn answering(text: &'static str) -> Receiver {
    Receiver::serving(move |mut stream| async move {
        request(&mut stream).await;
        stream.write_all(text.as_bytes()).await.expect("the sender is there");
    })
    .await
}

#[tokio::test]
async fn every_status_is_an_answer_and_no_redirect_is_followed() {
    let elsewhere = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location = elsewhere.url();
    for status in [200, 204, 301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503] {
        let location = location.clone();
        let receiver = Receiver::serving(move |mut stream| {
            let answer =
                format!("HTTP/1.1 {status} x\r\nlocation: {location}\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n");
            async move {
                let (head, body) = request(&mut stream).await;
                assert!(head.starts_with("POST /hooks HTTP/1.1\r\n") && body == BODY, "{head}");
                stream.write_all(answer.as_bytes()).await.expect("the sender is there");
            }
        })
        .await;
        let sent = post(&local(Names::default()), &receiver.url()).await;
        let wanted = Answer { status, retry_after_seconds: Some(7), body: String::new() };
        assert_eq!(sent.outcome, Ok(wanted));
        assert_eq!(receiver.connections(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn the_begin_of_the_body_is_kept() {
    for (answer, body) in [
        ("HTTP/1.1 500 x\r\ncontent-length: 4\r\n\r\nno \u{21}", "no !"),
        ("HTTP/1.1 500 x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n1\r\n!\r\n0\r\n\r\n", "no!"),
        ("HTTP/1.1 500 x\r\n\r\nuntil the end", "until the end"),
        ("HTTP/1.1 103 x\r\n\r\nHTTP/1.1 500 x\r\ncontent-length: 2\r\n\r\nno", "no"),
    ] {
        let receiver = answering(answer).await;
        let sent = post(&local(Names::default()), &receiver.url()).await;
        let wanted = Answer { status: 500, retry_after_seconds: None, body: body.to_owned() };
        assert_eq!(sent.outcome, Ok(wanted), "{answer}");
    }
}

#[tokio::test]
async fn an_endless_body_is_read_to_its_bound_and_its_status_counts() {
    let (told, ended) = oneshot::channel();
    let told = Arc::new(Mutex::new(Some(told)));
    let receiver = Receiver::serving(move |mut stream: TcpStream| {
        let told = told.lock().expect("nobody panics with it").take();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n").await;
            let mut bytes = 0;
            // Until the sender closes the connection.
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {
                bytes += 4096;
            }
            told.map(|told| told.send(bytes));
        }
    })
    .await;
    let answer = post(&local(Names::default()), &receiver.url()).await.outcome.expect("an answer");
    assert_eq!((answer.status, answer.body), (200, "a".repeat(WEBHOOK_ANSWER_KEPT_BYTES)));
    let bytes = timeout(SOON, ended).await.expect("the connection is closed").expect("the receiver tells");
    assert!(bytes >= WEBHOOK_ANSWER_BYTES - 4096, "{bytes}");
}

#[tokio::test]
async fn an_endless_head_is_no_answer() {
    for line in ["a: b\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let receiver = Receiver::serving(move |mut stream: TcpStream| async move {
            request(&mut stream).await;
            if line.starts_with('a') {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            }
            while stream.write_all(line.repeat(100).as_bytes()).await.is_ok() {}
        })
        .await;
        let sent = post(&local(Names::default()), &receiver.url()).await;
        assert_eq!(sent.outcome, Err(SendError::Invalid), "{line}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for text in ["SSH-2.0-OpenSSH_9.6\r\n", "220 mail.example.com ESMTP\r\n", "HTTP/1.1 abc\r\n\r\n", "\0\0\0\0\0\0"] {
        let receiver = answering(text).await;
        let sent = post(&local(Names::default()), &receiver.url()).await;
        assert_eq!(sent.outcome, Err(SendError::Invalid), "{text:?}");
    }
}

#[tokio::test]
async fn an_answer_whose_head_is_cut_is_none() {
    for text in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let receiver = answering(text).await;
        let sent = post(&local(Names::default()), &receiver.url()).await;
        assert_eq!(sent.outcome, Err(SendError::Cut), "{text:?}");
    }
}

/// The status says whether the event has arrived, whatever becomes of the rest.
#[tokio::test]
async fn an_answer_whose_body_is_cut_counts_as_far_as_it_came() {
    for (text, body) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfour", "four"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfour", "four"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n", ""),
    ] {
        let receiver = answering(text).await;
        let sent = post(&local(Names::default()), &receiver.url()).await;
        let answer = sent.outcome.expect(text);
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{text:?}");
    }
}

/// Each of these would go on for ever: the limit alone ends it, and then the connection.
#[tokio::test]
async fn the_limit_ends_what_is_slow_wherever_it_is() {
    for (begin, drop, status) in [
        ("", "", None),
        ("HTTP/1.1 200 OK\r\n", "a", None),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", "", Some(200)),
        ("HTTP/1.1 500 No\r\ncontent-length: 1000000\r\n\r\n", "a", Some(500)),
    ] {
        let (told, ended) = oneshot::channel();
        let told = Arc::new(Mutex::new(Some(told)));
        let receiver = Receiver::serving(move |mut stream: TcpStream| {
            let told = told.lock().expect("nobody panics with it").take();
            async move {
                request(&mut stream).await;
                let _ = stream.write_all(begin.as_bytes()).await;
                let mut drops = tokio::time::interval(Duration::from_millis(20));
                let mut gone = [0];
                loop {
                    tokio::select! {
                        // The end of the stream, or a reset.
                        _ = stream.read(&mut gone) => break,
                        _ = drops.tick() => {}
                    }
                    if stream.write_all(drop.as_bytes()).await.is_err() {
                        break;
                    }
                }
                told.map(|told| told.send(()));
            }
        })
        .await;
        let sent = post(&local(Names::default()).within(WITHIN), &receiver.url()).await;
        let found = sent.outcome.map(|answer| answer.status);
        assert_eq!(found, status.ok_or(SendError::TimedOut(WITHIN)), "{begin:?} {drop:?}");
        assert!(sent.ms >= 200, "{} ms", sent.ms);
        timeout(SOON, ended).await.expect("the connection is closed").expect("the receiver tells");
    }
}

/// The limit holds for the look-up too, and for a connection that nobody accepts.
#[tokio::test]
async fn the_limit_begins_with_the_look_up() {
    struct Silent;

    impl penstock_webhooks::Network for Silent {
        async fn resolve(&self, name: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
            if name == "resolved.example.com" {
                return Ok(vec![super::support::address(super::support::PUBLIC); 4]);
            }
            std::future::pending().await
        }

        async fn connect(&self, _: std::net::SocketAddr) -> std::io::Result<TcpStream> {
            std::future::pending().await
        }
    }

    let roots = rustls::RootCertStore::empty();
    let sender = penstock_webhooks::Sender::with(Silent, penstock_webhooks::Policy::deployed([]), roots);
    let sender = sender.within(WITHIN);
    for host in ["never.example.com", "resolved.example.com"] {
        let sent = post(&sender, &format!("https://{host}/")).await;
        assert_eq!(sent.outcome, Err(SendError::TimedOut(WITHIN)), "{host}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let at = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let sent = post(&local(Names::default()), &format!("http://{at}/")).await;
    assert_eq!(sent.outcome, Err(SendError::NotConnected));
}
