//! The console: pages for people, at `/console`, which use the public API alone, with the key of whoever signs in.
//!
//! A page is a shell without anything of an account: headings, forms and templates. Modules in `functions/api/console/`
//! fill it, by text and attributes alone. Nothing is built, and nothing comes from another host.
//!
//! The assets stand in a folder that is named after the hash of them all, so that modules name one another as files
//! that lie side by side, and a browser keeps them for ever. Pages are asked for anew each time. A link leads relative
//! to its page, so that it is right behind a stage of API Gateway too.

mod assets;
mod pages;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use lambda_http::request::RequestContext;
use penstock_store::Store;

use crate::{api::Api, refusal::Refusal};
use assets::{ASSETS, Asset, FOLDER};
use pages::{PAGES, Page};

/// The page that the console begins with.
const FIRST: &str = "imports";

/// The routes of the console.
pub(crate) fn router() -> Router<Api> {
    let routes = Router::new()
        .route("/", any(front))
        .route("/console", get(|| async { see_other(format!("console/{FIRST}")) }))
        .route("/console/", get(|| async { see_other(FIRST.to_owned()) }));
    let routes = PAGES.iter().fold(routes, |routes, page| {
        let shown = move |State(store): State<Store>, request: Request| async move {
            let policy = policy(&store.uploads_origin().await?);
            Ok::<_, Refusal>(show(page, policy, &request))
        };
        routes.route(&format!("/console/{}", page.name), get(shown))
    });
    ASSETS.iter().fold(routes, |routes, asset| {
        let path = format!("/console/{}/{}", *FOLDER, asset.name);
        routes.route(&path, get(move |request: Request| async move { give(asset, &request) }))
    })
}

/// What a page may do: run and look as the files of this API say, ask this API, and send files to the bucket, which is
/// at this origin. No text becomes markup: the one way to make such a thing, a policy of Trusted Types, is denied.
fn policy(uploads_origin: &str) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {uploads_origin}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'"
    );
    policy.parse().unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The console for who asks for HTML at the base of the API; for anybody else there is nothing.
async fn front(request: Request) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_asked = matches!(*request.method(), Method::GET | Method::HEAD) && accept.contains("text/html");
    if !is_asked {
        return Refusal::not_found("there is nothing at this path").into_response();
    }
    // A stage may be asked for without the slash behind it, from where nothing relative leads into it.
    let base = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV1(context)) => context.path.as_deref().unwrap_or_default(),
        _ => "",
    };
    match base.trim_end_matches('/') {
        "" => see_other(format!("console/{FIRST}")),
        stage => see_other(format!("{stage}/console/{FIRST}")),
    }
}

fn see_other(location: String) -> Response {
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-cache".to_owned())];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn show(page: &'static Page, policy: HeaderValue, request: &Request) -> Response {
    let own = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    ];
    (HeaderMap::from_iter(own), packed(page.text(), page.packed(), request)).into_response()
}

fn give(asset: &'static Asset, request: &Request) -> Response {
    let own = [
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
    ];
    (HeaderMap::from_iter(own), packed(asset.text, asset.packed(), request)).into_response()
}

/// A text for who asks: with gzip where the client takes it. API Gateway does that by itself
/// (`MinimumCompressionSize`), and passes bytes on as they are only where the first type that a client accepts is a
/// binary one.
fn packed(text: &'static str, packed: &'static [u8], request: &Request) -> Response {
    let same = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let is_behind_gateway = request.extensions().get::<RequestContext>().is_some();
    let taken =
        request.headers().get(header::ACCEPT_ENCODING).and_then(|taken| taken.to_str().ok()).unwrap_or_default();
    if is_behind_gateway || !taken.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("gzip")) {
        return ([same, (header::VARY, "Accept-Encoding")], text).into_response();
    }
    ([same, (header::VARY, "Accept-Encoding"), (header::CONTENT_ENCODING, "gzip")], packed).into_response()
}
