//! The outermost layer: it tells which dialect a request speaks, and gives every error the form of that dialect,
//! whether a handler, the router, an extractor or a panic made it.

use axum::{Router, extract::Request, middleware, middleware::Next, response::Response};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    dialects, drain,
    refusal::{self, Refusal},
};

/// Routes whose errors, and the errors of paths without a route, have the form of the dialect under whose base they
/// fall.
pub(crate) fn formed(routes: Router) -> Router {
    routes
        .fallback(|| async { Refusal::not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async { Refusal::method_not_allowed() })
        .layer(CatchPanicLayer::custom(refusal::of_panic))
        .layer(middleware::from_fn(answer))
}

async fn answer(mut request: Request, next: Next) -> Response {
    let dialect = dialects::of(request.uri().path());
    request.extensions_mut().insert(dialect);
    let (request, rest) = drain::share(request);
    let response = dialect.form(next.run(request).await);
    if response.status().is_client_error() || response.status().is_server_error() {
        rest.drain().await;
    }
    response
}
