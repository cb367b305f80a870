//! Each base answers in its own form, whatever goes wrong.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Stack, http::send};

/// What an error says: its status and code where it has them, its message.
type Read = fn(&Value) -> (Option<u64>, Option<&str>, &str);

/// The bases: a path that takes GET alone, one that is none, and how an error is read.
const BASES: [(&str, &str, Read); 6] = [
    ("/v1/imports/imp_x", "/v1/nothing", |body| {
        (body["status"].as_u64(), body["code"].as_str(), body["detail"].as_str().expect("a detail"))
    }),
    ("/v1/products/imports", "/v1/products/nothing", |body| {
        (None, body["error"]["code"].as_str(), body["error"]["message"].as_str().expect("a message"))
    }),
    ("/api/v1/imports/imp_x", "/api/v1/nothing", |body| {
        assert_eq!(body["details"], json!([]));
        (None, body["error"].as_str(), body["message"].as_str().expect("a message"))
    }),
    ("/api/import/status/imp_x", "/api/import/a/b/c", |body| (None, None, body["error"].as_str().expect("a message"))),
    ("/imports/imp_x", "/imports/a/b", |body| {
        (None, body["error"].as_str(), body["message"].as_str().expect("a message"))
    }),
    ("/api/v1/products/import_status", "/api/v1/products/nothing", |body| {
        let error = &body["error"];
        (error["status"].as_u64(), error["code"].as_str(), error["message"].as_str().expect("a message"))
    }),
];

/// Whatever an API documents of limits, each can be given some; then its 429 says when to come again, in its own form.
#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_limit_each_base_says_when_to_come_again() {
    let stack = Stack::with(|options| {
        let apis = ["native", "algure", "productsmanager", "betterdata", "connectif", "quotiza"];
        let limits = apis.map(|api| format!("{api}.all.account=1/60")).join(",");
        options.environment.push(("PENSTOCK_RATE_LIMITS".into(), limits));
    })
    .await;
    for (path, _, read) in BASES {
        assert_ne!(stack.get(path).await.status, 429, "{path}");
        let answer = stack.get(path).await;
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let (_, word, message) = read(&body);
        assert_eq!(answer.status, 429, "{path}");
        assert!(matches!(word, None | Some("rate_limited" | "throttle_limit_reached")), "{path}: {body}");
        let seconds: u64 = answer.header("retry-after").expect("a wait").parse().expect("seconds");
        assert_eq!(message, format!("Rate limit exceeded. Try again in {seconds} seconds."), "{path}");
        assert_eq!(
            (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")),
            (Some("1"), Some("0"))
        );
        let reset: u64 = answer.header("x-ratelimit-reset").expect("a moment").parse().expect("Unix seconds");
        assert!(reset > 1_700_000_000 && (1..=60).contains(&seconds), "{path}: {reset} {seconds}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_wrong_methods_and_missing_credentials_have_the_form_of_their_base() {
    let stack = Stack::start().await;
    for (path, nothing, read) in BASES {
        for (method, path, status, code) in [
            (Method::GET, nothing, 404, "not_found"),
            (Method::PATCH, path, 405, "method_not_allowed"),
            (Method::GET, path, 401, "unauthorized"),
        ] {
            let answer = send(stack.request(method, path)).await;
            assert_eq!(answer.status, status, "{path}");
            let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
            let (told, word, message) = read(&body);
            assert_eq!(told.unwrap_or(status.into()), u64::from(status), "{path}: {body}");
            assert_eq!(word.unwrap_or(code), code, "{path}: {body}");
            assert!(!message.is_empty(), "{path}: {body}");
        }
    }
    stack.stop().await;
}
