//! HTTP: the native API and the dialects. One axum router serves Lambda, behind API Gateway, and, over TCP, the local
//! cloud and containers.

mod answer;
mod api;
mod auth;
pub mod authorizer;
mod client_address;
mod console;
mod contract;
mod cors;
mod dialect;
mod dialects;
mod drain;
mod intake;
mod limiter;
#[cfg(test)]
mod markup;
mod multipart;
mod named;
mod native;
mod page;
mod rate_limits;
mod refusal;
mod server;
mod work;

use std::sync::Arc;

use axum::Router;
use lambda_runtime::Error;
use penstock_store::Store;

pub use client_address::behind_proxies;
pub use cors::{CorsOrigins, CorsOriginsError};
pub use dialect::{Dialect, Limit};
pub use dialects::{DIALECTS, rate_limits};
pub use intake::BodyLimits;
pub use rate_limits::{Per, RateLimit, RateLimits, RateLimitsError, Requests};
pub use server::{Bounds, Server};

/// Every route of the API over a store. Over TCP it has to be served with the peers' addresses
/// (`ConnectInfo<SocketAddr>`), by which rate limits tell clients apart.
pub fn router(store: Store, bodies: BodyLimits, rate_limits: RateLimits, origins: CorsOrigins) -> Router {
    let routes = contract::router(dialects::SERVED).merge(console::router());
    let (rate_limits, work) = (Arc::new(rate_limits), work::Work::new());
    answer::formed(routes.with_state(api::Api { store, bodies, rate_limits, work }), origins)
}

/// Serves invocations until the process is ended.
///
/// The stage of a REST API must not be part of a request's path: the environment has to set
/// `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH=true`.
///
/// # Errors
/// The environment is incomplete, or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    let rate_limits = rate_limits(|name| std::env::var(name).ok())?;
    let origins = CorsOrigins::from_vars(|name| std::env::var(name).ok())?;
    lambda_http::run(router(store, BodyLimits::LAMBDA, rate_limits, origins)).await
}

#[cfg(test)]
mod tests;
