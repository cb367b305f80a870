//! Pages of other origins (Fetch Standard, "CORS protocol"): which of them may use the native API.
//!
//! A browser sends a page's request without asking, or asks before; either way the page reads no answer that does not
//! name its origin. A dialect is for servers, and answers as if there were no pages.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::dialect::Dialect;

/// The variable with the origins, separated by commas.
const VARIABLE: &str = "PENSTOCK_CORS_ORIGINS";

/// The dialect that pages may use.
const SHARED: &str = "native";

const METHODS: &str = "DELETE, GET, PATCH, POST, PUT";
const TAKEN: &str = "Authorization, Content-Type, Idempotency-Key";
const EXPOSED: &str = "Link, Location, Retry-After";

/// For how long a browser remembers what a page may do, in seconds: as with the bucket.
const MAX_AGE: &str = "3000";

/// The origins whose pages may use the native API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsOrigins(Vec<String>);

/// An origin that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}: `{0}` is no origin: write https://HOST, with the port if it has one, or *, separated by commas")]
pub struct CorsOriginsError(String);

impl CorsOrigins {
    /// Those of `PENSTOCK_CORS_ORIGINS`, if `lookup` knows that variable: none by default, every one for `*`.
    ///
    /// # Errors
    /// One of them is no origin.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, CorsOriginsError> {
        let text = lookup(VARIABLE).unwrap_or_default();
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins = origins.map(|origin| match is_origin(origin) {
            true => Ok(origin.to_ascii_lowercase()),
            false => Err(CorsOriginsError(origin.to_owned())),
        });
        origins.collect::<Result<_, _>>().map(Self)
    }

    /// The page that asks, if it may use the dialect.
    pub(crate) fn page(&self, dialect: &Dialect, request: &Request) -> Option<Page> {
        let origin = request.headers().get(header::ORIGIN)?;
        let named = origin.to_str().ok()?;
        let is_allowed = self.0.iter().any(|allowed| allowed == "*" || *allowed == named);
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        (dialect.name == SHARED && is_allowed).then(|| Page { origin: origin.clone(), asks })
    }

    /// Whether the answers of a dialect depend on the origin of who asks.
    pub(crate) fn matter(&self, dialect: &Dialect) -> bool {
        dialect.name == SHARED && !self.0.is_empty()
    }
}

/// Whether a text is an origin as a browser sends it: scheme, host and port, and nothing behind them.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    };
    text == "*" || host.is_some_and(is_host)
}

/// A page that may use the API.
#[derive(Debug)]
pub(crate) struct Page {
    origin: HeaderValue,
    /// Whether its browser asks what it may do (a preflight).
    pub(crate) asks: bool,
}

impl Page {
    /// The answer to its browser's question.
    pub(crate) fn told(&self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(TAKEN));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        self.share(headers);
        response
    }

    /// Lets it read an answer.
    pub(crate) fn share(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

/// What an answer that depends on the origin says to caches.
pub(crate) const VARY: (HeaderName, HeaderValue) = (header::VARY, HeaderValue::from_static("Origin"));

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &str) -> Result<CorsOrigins, CorsOriginsError> {
        CorsOrigins::from_vars(|name| (name == VARIABLE).then(|| text.to_owned()))
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origins(""), Ok(CorsOrigins::default()));
        let two = vec!["https://a.example".to_owned(), "http://127.0.0.1:8080".to_owned()];
        assert_eq!(origins("https://A.example, http://127.0.0.1:8080"), Ok(CorsOrigins(two)));
        for text in ["a.example", "https://", "https://a.example/", "null", "https://*.example", "*,b"] {
            assert!(origins(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_may_use_every_method_of_the_document() {
        let document: serde_json::Value = serde_json::from_str(crate::native::SERVED.document).expect("JSON");
        let paths = document["paths"].as_object().expect("paths").values();
        let used: std::collections::BTreeSet<String> =
            paths.flat_map(|path| path.as_object().expect("methods").keys()).map(|name| name.to_uppercase()).collect();
        assert_eq!(METHODS.split(", ").collect::<Vec<_>>(), used.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_page_of_a_named_origin_may_use_the_native_api_alone() {
        let named = origins("https://a.example").expect("an origin");
        let request = |origin: &str| {
            Request::get("/v1/imports").header("origin", origin).body(axum::body::Body::empty()).expect("a request")
        };
        let native = crate::dialects::of("/v1/imports");
        assert!(named.page(native, &request("https://a.example")).is_some());
        for other in ["https://a.example.org", "http://a.example", "null", "https://a.example:8443"] {
            assert!(named.page(native, &request(other)).is_none(), "{other}");
        }
        assert!(named.page(crate::dialects::of("/imports"), &request("https://a.example")).is_none());
        assert!(CorsOrigins::default().page(native, &request("https://a.example")).is_none());
        assert!(origins("*").expect("any").page(native, &request("null")).is_some());
    }
}
