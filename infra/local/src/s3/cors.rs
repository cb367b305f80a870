//! Pages of other origins: the rules of the buckets, and what their answers say to a browser.
//!
//! Source: the Amazon S3 User Guide, "Using cross-origin resource sharing", and the Fetch Standard, "CORS protocol".

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::refusal::refusal;

/// What pages of other origins may do with a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorsRule {
    /// The methods of their requests.
    pub methods: &'static [&'static str],
    /// The headers that they may set, in lower case.
    pub headers: &'static [&'static str],
    /// The headers of the answer that they can read.
    pub exposed: &'static [&'static str],
    /// For how long a browser remembers this, in seconds.
    pub max_age: u32,
}

/// The rule of the bucket of uploads, as the template has it. Where the template names origins, here every origin is
/// allowed: a page can use nothing but a presigned request that it has been given. The bucket of results has none.
pub const UPLOADS_CORS: CorsRule = CorsRule {
    methods: &["POST", "PUT"],
    headers: &["content-type", "if-none-match"],
    exposed: &["ETag"],
    max_age: 3000,
};

const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

impl CorsRule {
    fn has_method(&self, method: &str) -> bool {
        self.methods.contains(&method)
    }

    /// Whether every header of a list may be set.
    fn has_headers(&self, list: &str) -> bool {
        let names = list.split(',').map(|name| name.trim().to_ascii_lowercase());
        names.filter(|name| !name.is_empty()).all(|name| self.headers.contains(&name.as_str()))
    }

    fn shared(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, list(self.methods));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, list(self.exposed));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age));
        headers.insert(header::VARY, HeaderValue::from_static(VARY));
    }
}

fn list(names: &[&str]) -> HeaderValue {
    names.join(", ").parse().expect("names of headers and methods")
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The answer to a browser that asks what a page may do with a bucket.
pub(super) fn preflight(rule: Option<&CorsRule>, request: &Request) -> Response {
    let headers = request.headers();
    let method = text(headers, header::ACCESS_CONTROL_REQUEST_METHOD);
    if !headers.contains_key(header::ORIGIN) || method.is_none() {
        let message = "Insufficient information. Origin request header needed.";
        return refusal(StatusCode::BAD_REQUEST, "BadRequest", message, &[]);
    }
    let Some(rule) = rule else {
        let message = "CORSResponse: CORS is not enabled for this bucket.";
        return refusal(StatusCode::FORBIDDEN, "AccessForbidden", message, &[]);
    };
    let wanted = text(headers, header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    if !method.is_some_and(|method| rule.has_method(method)) || !rule.has_headers(wanted) {
        let message = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, \
                       request method / Access-Control-Request-Method or Access-Control-Request-Headers are not \
                       whitelisted by the resource's CORS spec.";
        return refusal(StatusCode::FORBIDDEN, "AccessForbidden", message, &[]);
    }
    let mut response = StatusCode::OK.into_response();
    rule.shared(response.headers_mut());
    if let Ok(wanted) = wanted.to_ascii_lowercase().parse::<HeaderValue>()
        && !wanted.is_empty()
    {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
    response
}

/// Lets the page read the answer, if it was allowed to ask.
pub(super) fn share(rule: Option<&CorsRule>, method: &Method, has_origin: bool, response: &mut Response) {
    if let Some(rule) = rule
        && has_origin
        && rule.has_method(method.as_str())
    {
        rule.shared(response.headers_mut());
    }
}
