//! S3 by s3s and s3s-fs: signatures checked, objects as files, plus what Penstock needs and they lack: notifications,
//! versions, conditions that hold under concurrency, and expiry by the local clock.

mod expiry;
mod multipart;
mod notification;
mod objects;
mod versions;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use penstock_model::FunctionName;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::clock::LocalClock;
use crate::proxy::access_key_id;

pub(crate) use notification::Notifier;
use objects::Objects;

/// The service's buckets and who may use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// Versioned; what is stored under `uploads/` is told to the notifier.
    pub(crate) uploads: &'a str,
    /// Not versioned.
    pub(crate) results: &'a str,
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a str,
}

#[derive(Clone)]
struct Service {
    s3: S3Service,
    clock: LocalClock,
}

/// The service over the folder `root`, as a router. What is in the folder already stays.
///
/// # Errors
/// The folder cannot be used.
pub(crate) fn router(root: &Path, setup: Setup<'_>, clock: LocalClock, notifier: Notifier) -> anyhow::Result<Router> {
    let objects = Objects::open(root, setup, notifier).with_context(|| format!("opening {}", root.display()))?;
    let mut config = S3Config::default();
    // The clients sign by the local clock, which may be far ahead of the machine's, by which s3s judges. What has
    // expired by the local clock is refused before s3s sees it.
    config.presigned_url_max_skew_time_secs = u32::MAX;
    let mut builder = S3ServiceBuilder::new(objects);
    let mut auth = SimpleAuth::from_single(setup.access_key_id, setup.secret_access_key);
    for function in FunctionName::ALL {
        auth.register(access_key_id(function.as_str()), setup.secret_access_key.into());
    }
    builder.set_auth(auth);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    let service = Service { s3: builder.build(), clock };
    Ok(Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(service))
}

async fn answer(State(service): State<Service>, request: Request) -> Response {
    let request = match expiry::check(request, &service.clock).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    match service.s3.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(?error, "S3 could not answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
