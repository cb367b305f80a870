//! HTTP: the native API. One axum router serves Lambda, behind API Gateway, and the local cloud, over TCP.

mod auth;
mod native;
mod problem;

use axum::Router;
use lambda_runtime::Error;
use penstock_store::Store;
use tower_http::catch_panic::CatchPanicLayer;

pub use problem::Problem;

/// Every route of the API over a store.
pub fn router(store: Store) -> Router {
    native::router()
        .fallback(|| async { Problem::not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(CatchPanicLayer::custom(problem::of_panic))
        .with_state(store)
}

/// Serves invocations until the process is ended.
///
/// The stage of a REST API must not be part of a request's path: the environment has to set `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH=true`.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_http::run(router(store)).await
}
