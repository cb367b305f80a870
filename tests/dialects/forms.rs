//! Each base answers in its own form, whatever goes wrong.

use penstock_api::{DIALECTS, Dialect};
use reqwest::Method;
use serde_json::Value;

use super::{
    DOCUMENTS,
    documents::ErrorForm,
    support::{Stack, http::send},
};

/// The form of the native API's errors (RFC 9457), and a path that takes GET but not PATCH.
const NATIVE: (ErrorForm, &str) =
    (ErrorForm { code: Some("/code"), message: "/detail", status: Some("/status") }, "/v1/imports/imp_x");

/// An error as a client reads it: status and code where the form has them, and the message.
type Read<'a> = (Option<u64>, Option<&'a str>, &'a str);

impl ErrorForm {
    fn read<'a>(&self, body: &'a Value) -> Read<'a> {
        let at = |pointer: &str| body.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {body}"));
        let code = self.code.map(|code| at(code).as_str().expect("a code"));
        let status = self.status.map(|status| at(status).as_u64().expect("a status"));
        (status, code, at(self.message).as_str().expect("a message"))
    }
}

/// Every dialect of the table, with the form of its errors and a path that takes GET but not PATCH.
fn dialects() -> impl Iterator<Item = (&'static Dialect, ErrorForm, &'static str)> {
    DIALECTS.iter().map(|dialect| {
        let document = DOCUMENTS.iter().find(|document| document.dialect == dialect.name);
        let (form, path) = match document {
            Some(document) => (document.form, document.path),
            None if dialect.name == "native" => NATIVE,
            None => panic!("the dialect {} has no document", dialect.name),
        };
        (*dialect, form, path)
    })
}

/// Every API can be given a limit, whatever its document says of limits. Then its 429 says in its own form when to try
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_limit_each_base_says_when_to_come_again() {
    let stack = Stack::with(|options| {
        let limits: Vec<String> = DIALECTS.iter().map(|dialect| format!("{}.all.account=1/60", dialect.name)).collect();
        options.environment.push(("PENSTOCK_RATE_LIMITS".into(), limits.join(",")));
    })
    .await;
    for (_, form, path) in dialects() {
        assert_ne!(stack.get(path).await.status, 429, "{path}");
        let answer = stack.get(path).await;
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let (_, word, message) = form.read(&body);
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
    for (dialect, form, path) in dialects() {
        for base in dialect.bases {
            let nothing = format!("{}/no/such/path", base.trim_end_matches('/'));
            for (method, path, status, code) in [
                (Method::GET, nothing.as_str(), 404, "not_found"),
                (Method::PATCH, path, 405, "method_not_allowed"),
                (Method::GET, path, 401, "unauthorized"),
            ] {
                let answer = send(stack.request(method, path)).await;
                assert_eq!(answer.status, status, "{path}");
                let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
                let (told, word, message) = form.read(&body);
                assert_eq!(told.unwrap_or(status.into()), u64::from(status), "{path}: {body}");
                assert_eq!(word.unwrap_or(code), code, "{path}: {body}");
                assert!(!message.is_empty(), "{path}: {body}");
            }
        }
    }
    stack.stop().await;
}
