//! Whose form an answer has: one host speaks six APIs, told apart by the base of the path, and every error under a base looks as that API's
//! errors do, be it a handler's, the router's or a panic's.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use serde_json::Value;

use crate::{Refusal, dialects, drain, native};

/// One of the APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Native,
    Algure,
    ProductsManager,
    BetterData,
    Connectif,
    Quotiza,
}

impl Form {
    /// The API whose base a path falls under: `/v1/products` is Algure's, `/api/v1/products` Quotiza's, the rest of `/api/v1`
    /// ProductsManager's, `/api/import` Better Data's, `/imports` Connectif's; all else is native.
    pub(crate) fn of(path: &str) -> Self {
        let mut segments = path.trim_start_matches('/').split('/');
        match [segments.next(), segments.next(), segments.next()] {
            [Some("v1"), Some("products"), _] => Self::Algure,
            [Some("api"), Some("v1"), Some("products")] => Self::Quotiza,
            [Some("api"), Some("v1"), _] => Self::ProductsManager,
            [Some("api"), Some("import"), _] => Self::BetterData,
            [Some("imports"), ..] => Self::Connectif,
            _ => Self::Native,
        }
    }

    /// The name by which rate limits know it: one of [`penstock_store::rate::API_NAMES`].
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Algure => "algure",
            Self::ProductsManager => "productsmanager",
            Self::BetterData => "betterdata",
            Self::Connectif => "connectif",
            Self::Quotiza => "quotiza",
        }
    }

    /// The JSON of a refusal, and its media type.
    fn body(self, refusal: &Refusal) -> (&'static str, Value) {
        const JSON: &str = "application/json";
        match self {
            Self::Native => ("application/problem+json", native::problem(refusal)),
            Self::Algure => (JSON, dialects::algure::error(refusal)),
            Self::ProductsManager => (JSON, dialects::productsmanager::error(refusal)),
            Self::BetterData => (JSON, dialects::betterdata::error(refusal)),
            Self::Connectif => (JSON, dialects::connectif::error(refusal)),
            Self::Quotiza => (JSON, dialects::quotiza::error(refusal)),
        }
    }

    /// Gives an answer that is an error this API's form; any other stays as it is.
    fn give(self, response: Response) -> Response {
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return response;
        }
        let (mut parts, _) = response.into_parts();
        let refusal = parts.extensions.remove::<Refusal>().unwrap_or_else(|| Refusal::of_status(status));
        let (kind, body) = self.body(&refusal);
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        parts.headers.extend(refusal.headers());
        Response::from_parts(parts, Body::from(body.to_string()))
    }
}

/// The outermost layer.
pub(crate) async fn answer(request: Request, next: Next) -> Response {
    let form = Form::of(request.uri().path());
    let (request, rest) = drain::share(request);
    let response = form.give(next.run(request).await);
    if response.status().is_client_error() || response.status().is_server_error() {
        rest.drain().await;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_whole_segments() {
        for (path, form) in [
            ("/v1/products/import", Form::Algure),
            ("/v1/products", Form::Algure),
            ("/v1/productsx", Form::Native),
            ("/v1/imports", Form::Native),
            ("/api/v1/products/import_status", Form::Quotiza),
            ("/api/v1/imports", Form::ProductsManager),
            ("/api/v1", Form::ProductsManager),
            ("/api/import/catalog", Form::BetterData),
            ("/api/imports", Form::Native),
            ("/imports", Form::Connectif),
            ("/imports/x/y", Form::Connectif),
            ("/", Form::Native),
            ("/api", Form::Native),
        ] {
            assert_eq!(Form::of(path), form, "{path}");
        }
    }

    #[test]
    fn rate_limits_know_every_form() {
        for path in ["/", "/v1/products", "/api/v1/products", "/api/v1", "/api/import", "/imports"] {
            assert!(penstock_store::rate::API_NAMES.contains(&Form::of(path).name()), "{path}");
        }
    }
}
