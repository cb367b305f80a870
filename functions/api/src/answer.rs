//! The outermost layer: it tells which dialect a request speaks, and gives every error the form of that dialect,
//! whether a handler, the router, an extractor or a panic made it. It answers browsers that ask for a page of another
//! origin, and lets such a page read what it may.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware,
    middleware::Next,
    response::Response,
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    cors::{self, CorsOrigins},
    dialects, drain,
    refusal::{self, Refusal},
};

/// Routes whose errors, and the errors of paths without a route, have the form of the dialect under whose base they
/// fall.
pub(crate) fn formed(routes: Router, origins: CorsOrigins) -> Router {
    routes
        .fallback(|| async { Refusal::not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async { Refusal::method_not_allowed() })
        .layer(CatchPanicLayer::custom(refusal::of_panic))
        .layer(middleware::from_fn_with_state(Arc::new(origins), answer))
}

async fn answer(State(origins): State<Arc<CorsOrigins>>, mut request: Request, next: Next) -> Response {
    let dialect = dialects::of(request.uri().path());
    let page = origins.page(dialect, &request);
    request.extensions_mut().insert(dialect);
    let (request, rest) = drain::share(request);
    let mut response = match &page {
        Some(page) if page.asks => page.told(),
        _ => dialect.form(next.run(request).await),
    };
    if let Some(page) = &page {
        page.share(response.headers_mut());
    }
    if origins.matter(dialect) {
        let (name, value) = cors::VARY;
        response.headers_mut().append(name, value);
    }
    if response.status().is_client_error() || response.status().is_server_error() {
        rest.drain().await;
    }
    response
}
