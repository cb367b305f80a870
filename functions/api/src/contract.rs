//! The contract of an API: an OpenAPI 3.1 document at its base. Routes and document are of one declaration.
//!
//! A table of [`routes!`] names for each path and method the handler and what it says of itself. The router is made of
//! the handlers. The documents are made of the rest, by a test: it compares them with the files in `openapi/`, which
//! are served as they are. So a document costs the function no code, and cannot differ from the routes.

#[cfg(test)]
mod declared;
#[cfg(test)]
mod document;
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
pub(crate) use document::{Contract, problem};

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
    /// Of what the document is made.
    #[cfg(test)]
    pub(crate) contract: &'static Contract,
}

/// Where the document of a dialect is: below its first base.
fn path_of(dialect: &Dialect) -> String {
    let base = dialect.bases.first().map_or("", |base| base.trim_end_matches('/'));
    format!("{base}/openapi.json")
}

/// The routes of an API, with that of its document, which anybody may read.
pub(crate) fn router(served: &'static Served) -> Router<Api> {
    let document: MethodRouter<Api> = get(move || async { ([(header::CONTENT_TYPE, JSON)], served.document) });
    (served.router)().route(&path_of(served.dialect), document)
}
