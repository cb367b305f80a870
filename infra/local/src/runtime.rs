//! The Lambda Runtime API, as the instances see it.
//!
//! Source: the AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes" (version 2018-06-01). All
//! instances share one listener: each is told an address that ends in its own id. (`lambda_runtime` keeps a path, given
//! a full URL.)

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use penstock_model::limits::INVOCATION_BYTES;

use crate::clock::real_ms;
use crate::lambda::{Answer, Instance, LambdaHost};

/// The Runtime API of all instances of `host`.
pub(crate) fn router(host: LambdaHost) -> Router {
    Router::new()
        .route("/{instance}/2018-06-01/runtime/invocation/next", get(next))
        .route("/{instance}/2018-06-01/runtime/invocation/{request}/response", post(response))
        .route("/{instance}/2018-06-01/runtime/invocation/{request}/error", post(error))
        .route("/{instance}/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::max(INVOCATION_BYTES))
        .with_state(host)
}

/// Waits for the next invocation of this instance. One that was taken and never answered has failed then.
async fn next(State(host): State<LambdaHost>, Path(instance): Path<String>) -> Response {
    let Some(instance) = host.instance(&instance) else { return no_such_instance() };
    let Some(taken) = instance.next().await else { return no_such_instance() };
    let deadline_ms = real_ms().saturating_add(i64::try_from(taken.time.as_millis()).unwrap_or(i64::MAX));
    let headers = [
        (HeaderName::from_static("lambda-runtime-aws-request-id"), taken.request_id),
        (HeaderName::from_static("lambda-runtime-deadline-ms"), deadline_ms.to_string()),
        (HeaderName::from_static("lambda-runtime-invoked-function-arn"), taken.arn),
        (
            HeaderName::from_static("lambda-runtime-trace-id"),
            "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0".to_owned(),
        ),
        (axum::http::header::CONTENT_TYPE, "application/json".to_owned()),
    ];
    (headers, taken.payload).into_response()
}

async fn response(
    State(host): State<LambdaHost>,
    Path((instance, request)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    accept(host.instance(&instance), &request, Answer::Response(body))
}

async fn error(
    State(host): State<LambdaHost>,
    Path((instance, request)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    accept(host.instance(&instance), &request, Answer::Error(body))
}

/// An instance that cannot start says why; its process ends after that, which is what fails the invocation.
async fn init_error(
    State(host): State<LambdaHost>,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(instance) = host.instance(&instance) else { return no_such_instance() };
    let kind =
        headers.get("lambda-runtime-function-error-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    tracing::error!(function = instance.function(), kind, error = %String::from_utf8_lossy(&body), "an instance could not start");
    StatusCode::ACCEPTED.into_response()
}

/// Takes an answer to the invocation that the instance is working on; one to any other, as after a repeat, is refused.
fn accept(instance: Option<Arc<Instance>>, request: &str, answer: Answer) -> Response {
    let Some(instance) = instance else { return no_such_instance() };
    if instance.answer(request, answer) {
        StatusCode::ACCEPTED.into_response()
    } else {
        let body = r#"{"errorType":"InvalidRequestID","errorMessage":"no such invocation is under way"}"#;
        (StatusCode::BAD_REQUEST, body).into_response()
    }
}

fn no_such_instance() -> Response {
    (StatusCode::GONE, r#"{"errorType":"Gone","errorMessage":"this instance has been ended"}"#).into_response()
}
