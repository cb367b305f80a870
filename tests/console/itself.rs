//! The tests' own eyes: a page that does what it may not do is found out.

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{Html, IntoResponse},
    routing::get,
};
use tokio::net::TcpListener;

use super::browser::Page;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'";

/// What a page has in it, what its script does, and what is said of it.
const PAGES: [(&str, &str, &str); 12] = [
    ("<p>x</p>", "await fetch('/')", ""),
    ("<p style='color: red'>x</p>", "", "violation of\" \"style-src-attr"),
    ("<script>1</script>", "", "violation of\" \"script-src-elem"),
    ("<img src='http://127.0.0.1:1/x.png'>", "", "violation of\" \"img-src"),
    ("<button onclick='1'>x</button>", "document.querySelector('button').click()", "violation of\" \"script-src-attr"),
    ("", "try { eval('1') } catch {}", "violation of\" \"script-src"),
    ("", "await fetch('http://127.0.0.1:1/').catch(() => {})", "violation of\" \"connect-src"),
    ("", "console.error('said')", "\"said\""),
    ("", "console.warn('said')", "\"said\""),
    ("", "setTimeout(() => { throw new Error('thrown') })", "Uncaught Error: thrown"),
    ("", "Promise.reject(new Error('rejected'))", "Uncaught Error: rejected"),
    ("", "await fetch('/refuse')", "status of 401"),
];

/// Such a page, under the policy.
async fn page(number: usize) -> impl IntoResponse {
    let html = PAGES[number].0;
    let body = format!(
        "<!doctype html><title>t</title><link rel=icon href=/>{html}<script type=module src=/script/{number}></script>"
    );
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(body))
}

async fn script(number: usize) -> impl IntoResponse {
    let script = PAGES[number].1;
    let body = format!("try {{ {script} }} finally {{ setTimeout(() => setTimeout(() => document.title = 'done')) }}");
    ([(header::CONTENT_TYPE, "text/javascript")], body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_does_what_it_may_not_do_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new()
        .route("/", get(async || {}))
        .route("/refuse", get(async || StatusCode::UNAUTHORIZED))
        .route("/page/{number}", get(async |Path(number): Path<usize>| page(number).await))
        .route("/script/{number}", get(async |Path(number): Path<usize>| script(number).await));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let Some(browser) = Page::open(&base).await else { return };
    for (number, (html, script, said)) in PAGES.into_iter().enumerate() {
        browser.go(&format!("/page/{number}")).await;
        browser.until("the script has run", "document.title === 'done'").await;
        let faults = browser.faults().await;
        if said.is_empty() {
            assert!(faults.is_empty(), "{html}{script}: {faults:#?}");
        } else {
            assert!(faults.iter().any(|fault| fault.contains(said)), "{html}{script}: {faults:#?}");
        }
    }
    browser.close().await;
    serving.abort();
}
