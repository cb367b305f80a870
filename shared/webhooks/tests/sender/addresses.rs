//! Which addresses nothing is sent to, whatever a name leads to.

use penstock_webhooks::{Policy, SendError, Sender};
use rustls::RootCertStore;

use super::support::{Authority, HOST, Names, PUBLIC, Receiver, address, local, post, request};
use crate::tls::answering;

/// One of every refused range; those of this machine are listened at.
const REFUSED: [&str; 34] = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
];

/// What listens at a port of every address of this machine: of IPv4, and of IPv6 where the machine has that.
async fn inside() -> (Receiver, Option<Receiver>) {
    let serve = |mut stream| async move {
        request(&mut stream).await;
    };
    let four = Receiver::at("0.0.0.0:0", serve).await.expect("a port is free");
    let six = Receiver::at(&format!("[::1]:{}", four.at.port()), serve).await.ok();
    (four, six)
}

#[tokio::test]
async fn nothing_is_connected_to_at_a_refused_address() {
    let (four, six) = inside().await;
    let port = four.at.port();
    for refused in REFUSED {
        let names = Names::leading_to([vec![address(refused)]]);
        let sender = Sender::with(names.clone(), Policy::deployed([port]), RootCertStore::empty());
        let sent = post(&sender, &format!("https://{HOST}:{port}/")).await;
        let error = sent.outcome.expect_err(refused);
        assert!(matches!(error, SendError::Address { .. }), "{refused}: {error}");
        assert_eq!(names.kept().looked_up, [HOST], "{refused}");
        // The same, written into the URL.
        let host = if refused.contains(':') { format!("[{refused}]") } else { refused.to_owned() };
        let error = post(&sender, &format!("https://{host}:{port}/")).await.outcome.expect_err(refused);
        assert_eq!(error.code(), "url_refused", "{refused}");
        assert!(names.kept().connected.is_empty(), "{refused}");
    }
    assert_eq!((four.connections(), six.as_ref().map_or(0, Receiver::connections)), (0, 0));

    // What listens there can be connected to: without the policy of a stack it is.
    let sent = post(&local(Names::default()), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!((sent.outcome, four.connections()), (Err(SendError::Cut), 1));
}

#[tokio::test]
async fn one_refused_address_among_public_ones_refuses_all() {
    for addresses in [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], ["2606:4700:4700::1111", "::1"]] {
        let names = Names::leading_to([addresses.map(address).to_vec()]);
        let sender = Sender::with(names.clone(), Policy::deployed([]), RootCertStore::empty());
        let sent = post(&sender, &format!("https://{HOST}/")).await;
        assert!(matches!(sent.outcome, Err(SendError::Address { .. })), "{addresses:?}");
        assert!(names.kept().connected.is_empty(), "{addresses:?}");
    }
}

/// A name whose first look-up leads to a public address, and every later one to this machine.
///
/// ```text
/// look-up: public ──▶ checked ──▶ connection to what was checked, whatever the name leads to by now
/// look-up: private ─▶ refused
/// ```
#[tokio::test]
async fn a_name_that_rebinds_leads_to_what_was_checked() {
    let authority = Authority::new();
    let outside = answering(&authority, HOST).await;
    let (port, to) = (8443, outside.at);
    // Whoever looked the name up again at the connection would come here.
    let inside = Receiver::serving(|mut stream| async move {
        request(&mut stream).await;
    })
    .await;
    let public = std::net::SocketAddr::new(address(PUBLIC), port);
    let names = Names::leading_to([vec![address(PUBLIC)], vec![address("127.0.0.1")]])
        .routing(public, to)
        .routing(std::net::SocketAddr::new(address("127.0.0.1"), port), inside.at);
    let sender = Sender::with(names.clone(), Policy::deployed([port]), authority.roots());
    let url = format!("https://{HOST}:{port}/");

    let sent = post(&sender, &url).await;
    assert_eq!(sent.outcome.expect("an answer").status, 200);
    assert_eq!(names.asked(), (1, vec![public]));

    for times in 2..4 {
        let sent = post(&sender, &url).await;
        assert!(matches!(sent.outcome, Err(SendError::Address { range: "loopback" })));
        assert_eq!(names.asked(), (times, vec![public]));
    }
    assert_eq!((outside.connections(), inside.connections()), (1, 0));
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_takes_no_connection() {
    let authority = Authority::new();
    let outside = answering(&authority, HOST).await;
    // A port that was free a moment ago: nobody listens.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let at = |text: &str| std::net::SocketAddr::new(address(text), 443);
    let (first, second) = ("93.184.215.15", PUBLIC);
    let names = Names::leading_to([vec![address(first), address(second)]])
        .routing(at(first), nobody)
        .routing(at(second), outside.at);
    let sender = Sender::with(names.clone(), Policy::deployed([]), authority.roots());
    assert_eq!(post(&sender, &format!("https://{HOST}/")).await.outcome.expect("an answer").status, 200);
    assert_eq!(names.kept().connected, [at(first), at(second)]);
}

#[tokio::test]
async fn a_name_without_an_address_is_not_resolved() {
    for names in [Names::default(), Names::leading_to([Vec::new()])] {
        let sender = Sender::with(names, Policy::deployed([]), RootCertStore::empty());
        let sent = post(&sender, &format!("https://{HOST}/")).await;
        assert_eq!(sent.outcome, Err(SendError::NotResolved));
    }
}
