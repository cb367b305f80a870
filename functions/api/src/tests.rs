//! The errors that no handler makes have the form of their dialect, for every base of the table.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
    routing::get,
};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::{
    api::Api,
    auth::{Caller, Read},
    refusal::Refusal,
};

/// Every base, without a slash at its end, with its dialect.
fn bases() -> impl Iterator<Item = (&'static Dialect, &'static str)> {
    DIALECTS.iter().flat_map(|dialect| dialect.bases.iter().map(|base| (*dialect, base.trim_end_matches('/'))))
}

async fn ask(router: Router, method: &str, path: &str) -> (u16, HeaderMap, Value) {
    let request = Request::builder().method(method).uri(path).header("authorization", "Bearer id.secret");
    let response = router.oneshot(request.body(Body::from("a body")).expect("a request")).await.expect("answers");
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 64 * 1024).await.expect("a body");
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).expect("JSON"))
}

/// Asks a path and expects this refusal in the form of a dialect, its sentence included.
async fn expect(router: &Router, method: &str, path: &str, dialect: &Dialect, refusal: &Refusal) -> HeaderMap {
    let (status, headers, body) = ask(router.clone(), method, path).await;
    assert_eq!((status, &body), (refusal.status.as_u16(), &(dialect.error)(refusal)), "{path}");
    assert_eq!(headers["content-type"], dialect.media_type, "{path}");
    assert!(body.to_string().contains(&refusal.message), "{path}: {body}");
    headers
}

#[tokio::test]
async fn a_panic_and_the_routers_own_refusals_have_the_form_of_their_base() {
    async fn panics() -> &'static str {
        panic!("as this test wants")
    }
    let routes = bases().fold(Router::new(), |routes, (_, base)| routes.route(&format!("{base}/panics"), get(panics)));
    let router = answer::formed(routes, CorsOrigins::default());
    for (dialect, base) in bases() {
        let (panics, nothing) = (format!("{base}/panics"), format!("{base}/no/such/path"));
        expect(&router, "GET", &panics, dialect, &Refusal::internal()).await;
        expect(&router, "POST", &panics, dialect, &Refusal::method_not_allowed()).await;
        expect(&router, "GET", &nothing, dialect, &Refusal::not_found("there is nothing at this path")).await;
    }
}

/// The fault is the service's: every dialect says when to try again.
#[tokio::test]
async fn a_table_that_does_not_answer_is_told_in_the_form_of_its_base() {
    async fn authenticates(_: Caller<Read>) {}
    let store = limiter::tests::store_without_tables();
    let rate_limits = Arc::new(rate_limits(|_| None).expect("the defaults"));
    let api = Api { store, bodies: BodyLimits::STREAMED, rate_limits, work: crate::work::Work::new() };
    let routes =
        bases().fold(Router::new(), |routes, (_, base)| routes.route(&format!("{base}/keys"), get(authenticates)));
    let router = answer::formed(routes.with_state(api), CorsOrigins::default());
    let unavailable = Refusal::unavailable();
    let asked = bases().map(async |(dialect, base)| {
        let headers = expect(&router, "GET", &format!("{base}/keys"), dialect, &unavailable).await;
        assert_eq!(headers["retry-after"], "1", "{base}");
    });
    futures::future::join_all(asked).await;
}

#[test]
fn every_dialects_routes_are_served_together() {
    // Two dialects with the same path would panic.
    let rate_limits = rate_limits(|_| None).expect("the defaults");
    let _ = router(limiter::tests::store_without_tables(), BodyLimits::STREAMED, rate_limits, CorsOrigins::default());
}
