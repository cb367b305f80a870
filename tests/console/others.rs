//! Endpoints that are told of imports, and what the addresses of the console answer.

use penstock_model::DeliveryState;
use reqwest::Method;

use super::{
    browser::{ESCAPE, Page},
    support::{
        Stack,
        http::send,
        receiver::{Manner, Receiver},
        until,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_made_and_a_delivery_sent_again() {
    let stack = Stack::start().await;
    let receiver = Receiver::with([Manner::Status(500)]).await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit("webhooks").await;
    page.fill("#url", &receiver.url()).await;
    page.fill("#description", "warehouse").await;
    page.click("#make button[type=submit]").await;
    page.until("the secret is shown", "document.querySelector('#once').open").await;
    let secret = page.run("return secret.value", Vec::new()).await;
    assert!(secret.as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{secret}");
    page.press(ESCAPE).await;
    page.until("the secret is gone", "!document.querySelector('#once').open").await;
    let made = stack.client.webhooks().await.expect("a list").remove(0);
    assert_eq!((made.url, made.description.as_deref()), (receiver.url(), Some("warehouse")));
    page.visit(&format!("webhooks?id={}", made.id)).await;
    page.click("#test").await;
    until("the event came once", async || receiver.came().len() == 1).await;
    until("the attempt is noted", async || {
        let page = stack.client.deliveries(&made.id, None, 10).await.expect("a page");
        page.deliveries.iter().any(|delivery| !delivery.attempts.is_empty())
    })
    .await;
    page.visit(&format!("webhooks?id={}", made.id)).await;
    let row = page.sees("#deliveries tbody tr", "webhook.test").await;
    assert!(row.contains("500"), "{row}");
    page.click("#deliveries tbody button").await;
    until("the event came twice", async || receiver.came().len() >= 2).await;
    let ids = receiver.ids();
    assert_eq!(ids.len(), 1, "the same event: {ids:?}");
    until("it has arrived", async || {
        let page = stack.client.deliveries(&made.id, None, 10).await.expect("a page");
        page.deliveries.iter().all(|delivery| delivery.state == DeliveryState::Delivered)
    })
    .await;
    page.settled().await;
    page.close().await;
    stack.stop().await;
}

/// What anybody may load, before any script runs: headers, links, and that nothing of it is from elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_strict_and_their_files_are_kept_for_ever() {
    let stack = Stack::start().await;
    for path in ["/", "/console"] {
        let front = send(stack.request(Method::GET, path).header("accept", "text/html,*/*")).await;
        assert_eq!((front.status, front.header("location")), (303, Some("console/imports")), "{path}");
    }
    let mut files = std::collections::BTreeSet::new();
    for name in ["sign-in", "imports", "new", "import", "records", "kinds", "kind", "webhooks", "keys"] {
        let page = send(stack.request(Method::GET, &format!("/console/{name}"))).await;
        assert_eq!((page.status, page.header("cache-control")), (200, Some("no-cache")), "{name}");
        let policy = page.header("content-security-policy").expect("a policy");
        for part in
            ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{name}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{name}: {policy}");
        for attribute in ["src=\"", "href=\""] {
            let values = page.text().split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
            for value in values.filter(|value| !value.is_empty()) {
                assert!(!value.contains("//") && !value.starts_with("data:"), "{name} loads {value}");
                if value.contains('.') {
                    files.insert(value.to_owned());
                }
            }
        }
    }
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let answer = send(stack.request(Method::GET, &format!("/console/{file}"))).await;
        assert_eq!(answer.status, 200, "{file}");
        let kept = answer.header("cache-control").expect("a header");
        assert!(kept.contains("immutable") && kept.contains("max-age=31536000"), "{file}: {kept}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{file}");
    }
    stack.stop().await;
}
