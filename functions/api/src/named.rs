//! The name of a thing in a path: `/v1/imports/{id}`.

use std::{convert::Infallible, str::FromStr};

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

/// The one parameter of a path, read as an id or a name. A parameter that is not UTF-8, or not a `T`, names nothing:
/// the handler refuses it as it refuses the name of a missing thing.
#[derive(Debug)]
pub(crate) struct Named<T>(Option<T>);

impl<T> Named<T> {
    /// The name, if it can be one.
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(name.ok().and_then(|Path(name)| name.parse().ok())))
    }
}
