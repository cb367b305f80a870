//! The errors that no handler writes, in the form of each API.

use axum::{
    body::{Body, to_bytes},
    http::Request,
    routing::get,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

async fn ask(method: &str, path: &str) -> (u16, Value) {
    async fn panics() -> &'static str {
        panic!("as this test wants")
    }
    let mut routes = Router::new();
    for base in [
        "/v1/panics",
        "/v1/products/panics",
        "/api/v1/panics",
        "/api/import/panics",
        "/imports/panics",
        "/api/v1/products/panics",
    ] {
        routes = routes.route(base, get(panics));
    }
    let request = Request::builder().method(method).uri(path).body(Body::from("a body")).expect("a request");
    let response = formed(routes).oneshot(request).await.expect("answers");
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 64 * 1024).await.expect("a body");
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

#[tokio::test]
async fn a_panic_has_the_form_of_its_base() {
    let message = "the service failed on this request";
    let code = "internal";
    for (path, body) in [
        (
            "/v1/panics",
            json!({ "type": "about:blank", "title": "Internal Server Error", "status": 500, "code": code, "detail": message }),
        ),
        ("/v1/products/panics", json!({ "error": { "code": code, "message": message } })),
        ("/api/v1/panics", json!({ "error": code, "message": message, "details": [] })),
        ("/api/import/panics", json!({ "error": message })),
        ("/imports/panics", json!({ "error": code, "message": message })),
        ("/api/v1/products/panics", json!({ "error": { "code": code, "message": message, "status": 500 } })),
    ] {
        assert_eq!(ask("GET", path).await, (500, body), "{path}");
    }
}

#[tokio::test]
async fn the_routers_own_refusals_have_the_form_of_their_base() {
    let (status, body) = ask("POST", "/imports/panics").await;
    assert_eq!((status, &body["error"]), (405, &json!("method_not_allowed")));
    let (status, body) = ask("GET", "/api/v1/products/nothing").await;
    assert_eq!((status, &body["error"]["status"]), (404, &json!(404)));
}

/// A table that does not answer is the service's fault, said in each API's form, with when to come again.
#[tokio::test]
async fn a_service_that_cannot_answer_says_so_in_the_form_of_its_base() {
    let router = router(limiter::tests::store_without_tables(), BodyLimits::STREAMED);
    let message = "the service cannot answer now; try again";
    let code = "unavailable";
    let asked = [
        ("/v1/products/imports", json!({ "error": { "code": code, "message": message } })),
        ("/api/v1/imports/x", json!({ "error": code, "message": message, "details": [] })),
        ("/api/import/status/x", json!({ "error": message })),
        ("/imports", json!({ "error": code, "message": message })),
        ("/api/v1/products/import_status", json!({ "error": { "code": code, "message": message, "status": 503 } })),
    ];
    let asked = asked.map(|(path, body)| {
        let request = Request::builder().uri(path).header("authorization", "Bearer id.secret").body(Body::empty());
        let answer = router.clone().oneshot(request.expect("a request"));
        async move {
            let answer = answer.await.expect("answers");
            assert_eq!(answer.status().as_u16(), 503, "{path}");
            assert_eq!(answer.headers()["retry-after"], "1", "{path}");
            let bytes = to_bytes(answer.into_body(), 64 * 1024).await.expect("a body");
            assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("JSON"), body, "{path}");
        }
    });
    futures::future::join_all(asked).await;
}
