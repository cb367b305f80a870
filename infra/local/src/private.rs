//! The door of a service that only this run's own processes may use: DynamoDB, SQS and the Lambda Runtime API.
//!
//! Whoever uses this machine can reach its port, and so can every page in their browsers. So the first segment of each
//! path is a secret of this run, which its processes get in their environment; a request has to name this machine; and
//! a page is told nothing, not even that there is something.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header, uri::PathAndQuery};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::host::Hosts;

#[derive(Clone)]
struct Door {
    /// Hashed, so that comparing takes the same time whatever is offered.
    secret: [u8; 32],
    hosts: Hosts,
    inside: Router,
}

/// `inside` below `/<secret>`, and nothing else.
pub(crate) fn behind(secret: &str, inside: Router) -> Router {
    let door = Door { secret: Sha256::digest(secret).into(), hosts: Hosts::loopback(), inside };
    Router::new().fallback(enter).with_state(door)
}

async fn enter(State(door): State<Door>, mut request: Request) -> Response {
    let is_of_a_page = request.headers().contains_key(header::ORIGIN);
    match within(request.uri(), &door.secret) {
        Some(rest) if !is_of_a_page && door.hosts.takes(request.headers()) => {
            *request.uri_mut() = rest;
            match door.inside.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

/// What comes behind the secret, as a path.
fn within(uri: &Uri, secret: &[u8; 32]) -> Option<Uri> {
    let path = uri.path().strip_prefix('/')?;
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    if Sha256::digest(first)[..] != secret[..] {
        return None;
    }
    let rest = if rest.is_empty() { "/" } else { rest };
    let rest = match uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    Some(Uri::from(rest.parse::<PathAndQuery>().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn status(path: &str, host: &str, origin: Option<&str>) -> (u16, bool) {
        let inside = Router::new().fallback(async |request: Request| request.uri().to_string());
        let mut request = Request::builder().uri(path).header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = behind("secret", inside).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let is_shared = response.headers().contains_key("access-control-allow-origin");
        (response.status().as_u16(), is_shared)
    }

    #[tokio::test]
    async fn only_what_knows_the_secret_and_means_this_machine_gets_in() {
        assert_eq!(status("/secret/", "127.0.0.1:1", None).await.0, 200);
        assert_eq!(status("/secret/2018-06-01/runtime?x=1", "localhost", None).await.0, 200);
        for path in ["/", "/secre/", "/secret2/", "//secret/", "/Secret/", "/x/secret/"] {
            assert_eq!(status(path, "127.0.0.1:1", None).await, (403, false), "{path}");
        }
        assert_eq!(status("/secret/", "evil.example", None).await, (403, false));
        assert_eq!(status("/secret/", "127.0.0.1:1", Some("http://127.0.0.1:2")).await, (403, false));
    }

    #[test]
    fn the_secret_is_taken_off_the_path() {
        let secret = Sha256::digest("s").into();
        let rest = |uri: &'static str| within(&Uri::from_static(uri), &secret).map(|uri| uri.to_string());
        assert_eq!(rest("/s").as_deref(), Some("/"));
        assert_eq!(rest("/s/a/b?c").as_deref(), Some("/a/b?c"));
        assert_eq!(rest("/t/a"), None);
    }
}
