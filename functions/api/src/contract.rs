//! The contract of an API: an OpenAPI 3.1 document at its base. Routes and document are of one declaration.
//!
//! A table of [`routes!`] names for each path and method the handler and what it says of itself. The router is made of
//! the handlers. The documents are made of the rest, by a test: it compares them with the files in `openapi/`, which
//! are served as they are. So a document costs the function no code, and cannot differ from the routes. The pages for
//! people in `openapi/guides/` are made of the documents in the same way.

#[cfg(test)]
mod declared;
#[cfg(test)]
mod document;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    http::header,
    routing::{MethodRouter, get},
};

#[cfg(test)]
pub(crate) use declared::{Body, Operation, Shape, count, list, object, op, perhaps_text, text, word};
#[cfg(test)]
pub(crate) use document::{Contract, no_webhooks, problem};

use crate::{
    api::Api,
    dialect::{Dialect, JSON},
};

/// Declares the routes of an API: `"/path" { get handler => op("name", "Summary.")…; }`, with `within BYTES` behind the
/// path where its bodies have a bound of their own. Makes `router()`, and for tests `operations()`.
macro_rules! routes {
    ($($path:literal $(within $bytes:expr)? => { $($method:ident $handler:expr => $said:expr;)+ })+) => {
        fn router() -> axum::Router<crate::api::Api> {
            axum::Router::new()$(.route(
                $path,
                axum::routing::MethodRouter::new()$(.$method($handler))+
                    $(.layer(axum::extract::DefaultBodyLimit::max($bytes)))?
            ))+
        }

        /// What each route says of itself.
        #[cfg(test)]
        fn operations() -> Vec<crate::contract::Operation> {
            vec![$($($said.on(stringify!($method), $path)),+),+]
        }
    };
}

pub(crate) use routes;

/// What the router serves of a dialect. It stands apart from [`Dialect`], so that a program which only asks what a
/// dialect is, such as the authorizer, links no handlers.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) dialect: &'static Dialect,
    /// Its routes, all of them under its bases.
    pub(crate) router: fn() -> Router<Api>,
    /// Its OpenAPI document, which is served below its first base.
    pub(crate) document: &'static str,
    /// The page that is made of its document: see [`page_of`].
    pub(crate) guide: &'static str,
    /// Of what the document is made.
    #[cfg(test)]
    pub(crate) contract: &'static Contract,
}

/// Where the document of a dialect is: below its first base.
fn path_of(dialect: &Dialect) -> String {
    let base = dialect.bases.first().map_or("", |base| base.trim_end_matches('/'));
    format!("{base}/openapi.json")
}

/// Where the page of a dialect is.
fn page_of(dialect: &Dialect) -> String {
    match dialect.bases {
        ["/"] => "/docs".to_owned(),
        _ => format!("/docs/{}", dialect.name),
    }
}

/// What the pages look like.
const STYLE: &str = include_str!("../openapi/guides/style.css");

/// Where that is.
const STYLE_PATH: &str = "/docs/style.css";

/// A page loads its style and nothing else, runs nothing, and stands in no frame.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of APIs, with those of their documents and pages, which anybody may read.
pub(crate) fn router(served: &[&'static Served]) -> Router<Api> {
    let style = kept("text/css; charset=utf-8", STYLE);
    served.iter().fold(Router::new().route(STYLE_PATH, style), |routes, served| {
        let own = (served.router)()
            .route(&path_of(served.dialect), kept(JSON, served.document))
            .route(&page_of(served.dialect), kept("text/html; charset=utf-8", served.guide));
        routes.merge(own)
    })
}

/// Gives a text as it is kept.
fn kept(media_type: &'static str, text: &'static str) -> MethodRouter<Api> {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    get(move || async move { (headers, text) })
}
