//! The tests' own eyes: a page that does what it may not do is found out.

use axum::{
    Router,
    http::{StatusCode, header},
    response::Html,
    routing::get,
};
use tokio::net::TcpListener;

use crate::browser::Page;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'";

/// A page with a script, served under the policy, and what the tests find of it.
async fn faults_of(html: &'static str, script: &'static str) -> Option<Vec<String>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let page = move || async move {
        let body = format!(
            "<!doctype html><title>t</title><link rel=icon href=/icon>{html}<script type=module src=/s.js></script>"
        );
        ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(body))
    };
    let script = move || async move {
        let body =
            format!("try {{ {script} }} finally {{ setTimeout(() => setTimeout(() => document.title = 'done')) }}");
        ([(header::CONTENT_TYPE, "text/javascript")], body)
    };
    let refuse = || async { StatusCode::UNAUTHORIZED };
    let router = Router::new()
        .route("/", get(page))
        .route("/s.js", get(script))
        .route("/refuse", get(refuse))
        .route("/icon", get(|| async {}));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let page = Page::open(&base).await?;
    page.go("/").await;
    page.until("the script has run", "document.title === 'done'").await;
    let faults = page.faults().await;
    page.close().await;
    serving.abort();
    Some(faults)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_does_what_it_may_not_do_is_found_out() {
    // What a page does, and what is said of it.
    let pages = [
        ("<p style='color: red'>x</p>", "", "violation of\" \"style-src-attr"),
        ("<script>1</script>", "", "violation of\" \"script-src-elem"),
        ("<img src='http://127.0.0.1:1/x.png'>", "", "violation of\" \"img-src"),
        (
            "<button onclick='1'>x</button>",
            "document.querySelector('button').click()",
            "violation of\" \"script-src-attr",
        ),
        ("", "try { eval('1') } catch {}", "violation of\" \"script-src"),
        ("", "await fetch('http://127.0.0.1:1/').catch(() => {})", "violation of\" \"connect-src"),
        ("", "console.error('said')", "\"said\""),
        ("", "console.warn('said')", "\"said\""),
        ("", "setTimeout(() => { throw new Error('thrown') })", "Uncaught Error: thrown"),
        ("", "Promise.reject(new Error('rejected'))", "Uncaught Error: rejected"),
        ("", "await fetch('/refuse')", "status of 401"),
    ];
    for (html, script, said) in pages {
        let Some(faults) = faults_of(html, script).await else { return };
        assert!(faults.iter().any(|fault| fault.contains(said)), "{html}{script}: {faults:#?}");
    }
    let Some(faults) = faults_of("<p>x</p>", "await fetch('/')").await else { return };
    assert!(faults.is_empty(), "{faults:#?}");
}
