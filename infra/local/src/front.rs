//! The one port for clients: the API, and the storage below its own first segments.
//!
//! A presigned request is signed for a host and a path. So the storage keeps the paths that it has behind its own
//! address, `/uploads` and `/results`, which no API uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use crate::events::{Asked, Event, Events};
use crate::host::Hosts;
use crate::s3;

/// The first segments of paths that are the storage's.
pub const STORAGE_SEGMENTS: [&str; 2] = [crate::stack::UPLOADS_BUCKET, crate::stack::RESULTS_BUCKET];

#[derive(Clone, Debug)]
pub(crate) struct Front {
    pub(crate) hosts: Hosts,
    pub(crate) url: String,
    pub(crate) api: Router,
    pub(crate) storage: Router,
    pub(crate) events: Option<Events>,
}

impl Front {
    pub(crate) fn router(self) -> Router {
        Router::new().fallback(answer).with_state(self)
    }
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    let is_of_storage = is_of_storage(request.uri().path());
    let line = front.events.clone().map(|events| Line::new(events, &request, is_of_storage));
    let request = match &line {
        Some(line) => line.watch(request),
        None => request,
    };
    let response = if !front.hosts.takes(request.headers()) {
        misdirected(&front.url)
    } else if is_of_storage {
        pass(front.storage, request).await
    } else if is_welcome(&request) {
        welcome(&front.url)
    } else {
        pass(front.api, request).await
    };
    if let Some(line) = line {
        line.end(&response);
    }
    response
}

fn is_of_storage(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|first| STORAGE_SEGMENTS.contains(&first))
}

async fn pass(to: Router, request: Request) -> Response {
    match to.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The answer to a request that names another host: perhaps a page whose owner lets their name lead here.
fn misdirected(url: &str) -> Response {
    let status = StatusCode::MISDIRECTED_REQUEST;
    let detail = format!(
        "this local cloud is called {url}; where it is reached by another name, start it with --public-url and that name"
    );
    let problem = json!({
        "type": "about:blank", "title": "Misdirected Request", "status": status.as_u16(), "code": "unknown_host",
        "detail": detail,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
}

/// Whether a program asks at the base; a person in a browser gets the console, from the API.
fn is_welcome(request: &Request) -> bool {
    let wanted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    request.uri().path() == "/" && reads && !wanted.contains("text/html")
}

/// What is here, for a program.
fn welcome(url: &str) -> Response {
    let body = json!({
        "name": "penstock", "version": env!("CARGO_PKG_VERSION"), "health": format!("{url}/health"),
        "imports": format!("{url}/v1/imports"), "kinds": format!("{url}/v1/kinds"), "console": format!("{url}/console"),
        "docs": format!("{url}/docs"), "openapi": format!("{url}/openapi.json"),
    });
    axum::Json(body).into_response()
}

/// The event of a request: told when it has been answered, or when it is dropped without an answer.
struct Line {
    events: Events,
    asked: Option<Asked>,
    since: Instant,
    /// Whether the body of the request broke off.
    has_broken: Arc<AtomicBool>,
}

impl Line {
    fn new(events: Events, request: &Request<Body>, is_of_storage: bool) -> Self {
        let is_upload = is_of_storage && matches!(*request.method(), Method::PUT | Method::POST);
        let asked = Asked {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            status: None,
            code: None,
            took: std::time::Duration::ZERO,
            is_upload,
        };
        Self { events, asked: Some(asked), since: Instant::now(), has_broken: Arc::default() }
    }

    /// The request, whose body tells when it breaks off.
    fn watch(&self, request: Request<Body>) -> Request<Body> {
        let has_broken = self.has_broken.clone();
        request.map(|body| {
            Body::new(body.map_err(move |error| {
                has_broken.store(true, Ordering::Relaxed);
                error
            }))
        })
    }

    fn end(mut self, response: &Response) {
        if let Some(asked) = &mut self.asked {
            // The storage calls a file that broke off an internal error. Its sender is gone, or stood still.
            if self.has_broken.load(Ordering::Relaxed) && !response.status().is_success() {
                return;
            }
            asked.status = Some(response.status().as_u16());
            asked.code = response.extensions().get::<s3::Code>().map(|code| code.0.clone());
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.events.tell(Event::Request(Asked { took: self.since.elapsed(), ..asked }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_storage_has_its_segments_whole() {
        for path in ["/uploads", "/uploads/", "/uploads/uploads/1/imp", "/results/rejected/1/imp.csv"] {
            assert!(is_of_storage(path), "{path}");
        }
        for path in ["/", "", "/uploadsx", "//uploads", "/v1/uploads", "/imports", "/v1/imports", "/Uploads"] {
            assert!(!is_of_storage(path), "{path}");
        }
    }
}
