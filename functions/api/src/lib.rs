//! HTTP: the native API and five dialects. One axum router serves Lambda, behind API Gateway, and, over TCP, the local cloud and containers.

mod auth;
pub mod authorizer;
mod dialects;
mod drain;
mod form;
mod intake;
mod limiter;
mod multipart;
mod native;
mod page;
mod refusal;
mod server;

use axum::{Router, extract::FromRef, middleware};
use lambda_runtime::Error;
use penstock_store::Store;
use tower_http::catch_panic::CatchPanicLayer;

pub use intake::BodyLimits;
pub use server::Server;

/// What the dialects take, at most.
pub mod limits {
    pub use crate::{
        dialects::{
            SHOWN_ERRORS,
            algure::FEED_BYTES as ALGURE_FEED_BYTES,
            betterdata::BODY_BYTES as BETTER_DATA_BODY_BYTES,
            connectif::{FILE_BYTES as CONNECTIF_FILE_BYTES, UNFINISHED as CONNECTIF_UNFINISHED},
            quotiza::{BODY_BYTES as QUOTIZA_BODY_BYTES, PRODUCTS as QUOTIZA_PRODUCTS},
        },
        intake::LAMBDA_BODY_BYTES,
        multipart::{PARTS as FORM_PARTS, TEXT_BYTES as FORM_TEXT_BYTES},
    };
}
pub(crate) use refusal::Refusal;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) bodies: BodyLimits,
}

impl FromRef<Api> for Store {
    fn from_ref(api: &Api) -> Self {
        api.store.clone()
    }
}

/// Every route of the API over a store. Over TCP it has to be served with the peers' addresses (`ConnectInfo<SocketAddr>`), by which rate
/// limits tell clients apart.
pub fn router(store: Store, bodies: BodyLimits) -> Router {
    let routes = Router::new().merge(native::router()).merge(dialects::router());
    formed(routes.with_state(Api { store, bodies }))
}

/// Routes whose errors, and those beside them, have the form of the API under whose base they fall.
fn formed(routes: Router) -> Router {
    routes
        .fallback(|| async { Refusal::not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async { Refusal::method_not_allowed() })
        .layer(CatchPanicLayer::custom(refusal::of_panic))
        .layer(middleware::from_fn(form::answer))
}

/// Serves invocations until the process is ended.
///
/// The stage of a REST API must not be part of a request's path: the environment has to set `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH=true`.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_http::run(router(store, BodyLimits::LAMBDA)).await
}

#[cfg(test)]
mod tests;
