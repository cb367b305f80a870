//! The rate limiter against the local DynamoDB.

use std::time::Duration;

use penstock_store::rate::{Rate, Subject, Window};
use tokio::task::JoinSet;

use super::{
    front_door::FrontDoor,
    support::{Stack, TOKEN},
};

fn window(policy: &str, limit: u32, account: &str) -> Window {
    let subject = Subject::Account(account.parse().expect("valid"));
    Window { policy: policy.to_owned(), rate: Rate { limit, seconds: 60 }, subject }
}

/// However many come at once, and over two windows of which one is narrower.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_exactly_as_many_pass_as_may() {
    let stack = Stack::start().await;
    let windows = [window("wide", 12, "1"), window("narrow", 9, "1")];
    for round in 1..=2 {
        let mut asked = JoinSet::new();
        for _ in 0..40 {
            let (store, windows) = (stack.cloud.store().clone(), windows.clone());
            asked.spawn(async move { store.admit(&windows).await.expect("answers").expect("a judgement") });
        }
        let judgements = asked.join_all().await;
        assert_eq!(judgements.iter().filter(|judgement| judgement.allowed).count(), 9, "round {round}");
        let refused = judgements.iter().filter(|judgement| !judgement.allowed);
        assert!(refused.into_iter().all(|refused| refused.limit == 9 && refused.remaining == 0));
        // What the narrow window refused took nothing from the wide one.
        let wide = stack.cloud.store().admit(&windows[..1]).await.expect("answers").expect("a judgement");
        assert_eq!((wide.allowed, wide.remaining), (true, 2), "round {round}");
        let other = stack.cloud.store().admit(&[window("narrow", 9, "2")]).await.expect("answers").expect("one");
        assert!(other.allowed);
        stack.pass(Duration::from_secs(60)).await;
    }
    stack.stop().await;
}

/// Behind a proxy that it trusts, the front door tells clients apart by what the proxy writes; a proxy that it does not
/// know is a client like any other.
#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let stack = Stack::start().await;
    let ask = async |door: &FrontDoor, forwarded: String| {
        let request = reqwest::Client::new().get(format!("{}/api/v1/products/import_status", door.url));
        super::support::http::send(request.header("x-forwarded-for", forwarded)).await.status
    };
    let door = FrontDoor::open(&stack, &["--trusted-proxies", "192.0.2.1, 127.0.0.0/8"]);
    for n in 0..11 {
        // Each writes the same false address before the proxy adds its own.
        assert_eq!(ask(&door, format!("198.51.100.1, 203.0.113.{n}")).await, 401);
    }
    // Addresses of one customer's IPv6 network are one client.
    let mut statuses = Vec::new();
    for n in 0..11 {
        statuses.push(ask(&door, format!("2001:db8:0:1:{n}::1")).await);
    }
    assert_eq!(statuses, [[401; 10].as_slice(), &[429]].concat());
    drop(door);
    let door = FrontDoor::open(&stack, &["--trusted-proxies", "192.0.2.1"]);
    let mut statuses = Vec::new();
    for n in 0..11 {
        statuses.push(ask(&door, format!("203.0.113.{}", 100 + n)).await);
    }
    assert_eq!(statuses, [[401; 10].as_slice(), &[429]].concat());
    drop(door);
    stack.stop().await;
}

/// An address is the connection's, whatever a client writes of others.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_gives_no_other_address() {
    let stack = Stack::start().await;
    let mut statuses = Vec::new();
    for n in 0..11 {
        let request = stack.request(reqwest::Method::GET, "/api/v1/products/import_status");
        let address = format!("203.0.113.{n}");
        let request = request.header("x-forwarded-for", &address).header("forwarded", format!("for={address}"));
        statuses.push(super::support::http::send(request.header("x-real-ip", &address)).await.status);
    }
    // One who has no key is held to it too.
    assert_eq!(statuses, [[401; 10].as_slice(), &[429]].concat());
    // One who has a key is not, though the address is the same.
    let request = stack.request(reqwest::Method::GET, "/api/v1/products/import_status").bearer_auth(TOKEN);
    let status = super::support::http::send(request).await.status;
    assert!(![401, 429].contains(&status), "{status}");
    stack.stop().await;
}
