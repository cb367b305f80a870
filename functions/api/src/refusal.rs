//! Errors of requests, before the dialect of the request gives them its form. They hold nothing internal.

use std::borrow::Cow;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{Scope, codes};
use penstock_store::{StoreError, rate::Judgement};
use serde_json::Value;

/// Why a request fails. Each dialect turns it into a body of its own form, at the very last step (see
/// [`crate::dialect::Dialect::form`]).
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// A stable word for programs.
    pub(crate) code: Cow<'static, str>,
    /// A sentence for people.
    pub(crate) message: String,
    /// More for programs, in the dialects whose errors have a place for it.
    pub(crate) details: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal with a code, which is one of [`codes`], and a sentence.
    pub(crate) fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let code = code.into();
        debug_assert!(codes::is_refusal(&code), "{code} is not the code of a refusal");
        Self { status, code, message: message.into(), details: None, headers: Vec::new() }
    }

    /// 400: the request is malformed.
    pub(crate) fn bad_request(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 422: the request is well-formed and cannot be done.
    pub(crate) fn unprocessable(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 404: the thing does not exist, or is another account's.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 404 for an import.
    pub(crate) fn no_import() -> Self {
        Self::not_found("there is no such import")
    }

    /// 405: the path exists, but not with this method.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
    }

    /// 409: the state of the thing does not allow the request.
    pub(crate) fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 413: the body is too large.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    /// 415: the path does not take a body of this type.
    pub(crate) fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// 401: the credential is missing or wrong.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "the API key is missing or wrong")
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the key lacks a scope.
    pub(crate) fn forbidden(missing: Scope) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("the API key lacks the scope {missing}"))
    }

    /// 429: the client has used up a rate limit.
    pub(crate) fn rate_limited(judgement: &Judgement, now_ms: i64) -> Self {
        let Judgement { limit, remaining, retry_after_seconds, reset_seconds, .. } = *judgement;
        let message = format!("Rate limit exceeded. Try again in {retry_after_seconds} seconds.");
        let reset_at = u64::try_from(now_ms).unwrap_or(0).div_ceil(1000) + reset_seconds;
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
            .with(header::RETRY_AFTER, retry_after_seconds.into())
            .with(HeaderName::from_static("x-ratelimit-limit"), limit.into())
            .with(HeaderName::from_static("x-ratelimit-remaining"), remaining.into())
            .with(HeaderName::from_static("x-ratelimit-reset"), reset_at.into())
    }

    /// 500: the service failed. The client does not learn how.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the service failed on this request")
    }

    /// 503: a service did not answer.
    pub(crate) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the service cannot answer now; try again")
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The refusal behind an error that the router or one of its extractors made: only the status is known.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found("there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed(),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large("the body is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media_type("the body's type is not taken"),
            status if status.is_server_error() => Self { status, ..Self::internal() },
            status => Self::new(status, "bad_request", "the request is not what this path takes"),
        }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds details for programs.
    pub(crate) fn with_details(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// The headers of the answer.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.headers.iter().cloned()
    }
}

/// An answer without a body, which carries the refusal to the outermost layer.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The error of the store is logged here, once. The client is told to try again.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = penstock_runtime::chain(&error), "a request could not be answered");
        Self::unavailable()
    }
}

/// The answer to a request whose handler panicked.
pub(crate) fn of_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request made the api panic");
    Refusal::internal().into_response()
}
