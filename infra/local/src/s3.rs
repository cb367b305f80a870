//! S3 by s3s and s3s-fs: signatures checked, objects as files, plus what Penstock needs and they lack: notifications,
//! versions, conditions that hold under concurrency, expiry by the local clock, S3's other refusals, and CORS.

mod cors;
mod expiry;
mod multipart;
mod notification;
mod objects;
mod refusal;
mod strict;
mod versions;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use penstock_model::FunctionName;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::clock::LocalClock;
use crate::proxy::access_key_id;

pub use cors::{CorsRule, UPLOADS_CORS};
pub(crate) use notification::{Notifier, StoredObject};
use objects::Objects;
pub(crate) use refusal::Code;
use refusal::refusal;

use crate::host::Hosts;

/// The service's buckets and who may use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// Versioned; what is stored under `uploads/` and `inbox/` is told to the notifier.
    pub(crate) uploads: &'a str,
    /// Not versioned.
    pub(crate) results: &'a str,
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a str,
}

/// Whose key signs for clients where the api assumes a role for that, as the template has it do.
const SIGNER: &str = "signer";

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
    for name in FunctionName::ALL.iter().map(|function| function.as_str()).chain([SIGNER]) {
        auth.register(access_key_id(name), setup.secret_access_key.into());
    }
    builder.set_auth(auth);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    let service = Service { s3: builder.build(), clock };
    Ok(Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(service))
}

async fn answer(State(service): State<Service>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if let Some(refused) = strict::check(&head) {
        return refusal::after(body, refused).await;
    }
    let is_form = strict::is_form(&head);
    let request = match expiry::check(Request::from_parts(head, body), is_form, &service.clock).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    match service.s3.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => strict::answer(response.map(Body::new), is_form).await,
        Err(error) => {
            tracing::error!(?error, "S3 could not answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The service for this run's own processes, which sign their requests. No page is answered.
pub(crate) fn inside(s3: Router) -> Router {
    s3.layer(middleware::from_fn(async |request: Request, next: Next| {
        let is_of_a_page = request.headers().contains_key(header::ORIGIN);
        if is_of_a_page || !Hosts::loopback().takes(request.headers()) {
            return StatusCode::FORBIDDEN.into_response();
        }
        next.run(request).await
    }))
}

/// The service for clients: presigned requests and forms, and no others. Pages of other origins may send them to the
/// bucket `uploads` as [`UPLOADS_CORS`] says.
pub(crate) fn outside(s3: Router, uploads: &'static str) -> Router {
    let of_clients = move |request: Request, next: Next| async move {
        let bucket = request.uri().path().split('/').nth(1).map(str::to_owned);
        let rule = (bucket.as_deref() == Some(uploads)).then_some(&UPLOADS_CORS);
        if request.method() == Method::OPTIONS {
            return cors::preflight(rule, &request);
        }
        let (method, has_origin) = (request.method().clone(), request.headers().contains_key(header::ORIGIN));
        let (head, body) = request.into_parts();
        let is_form = strict::is_form(&head);
        let mut request = Request::from_parts(head, body);
        // S3 is another host than the API, so that whoever follows a redirect there leaves the API's credential behind.
        // Here they share one, and the credential comes along.
        if bucket.as_deref() != Some(uploads) && matches!(method, Method::GET | Method::HEAD) {
            request.headers_mut().remove(header::AUTHORIZATION);
        }
        let mut response = if strict::is_presigned(&request) || is_form {
            next.run(request).await
        } else {
            let refused = refusal(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied", &[]);
            refusal::after(request.into_body(), refused).await
        };
        cors::share(rule, &method, has_origin, &mut response);
        response
    };
    s3.layer(middleware::from_fn(of_clients))
}
