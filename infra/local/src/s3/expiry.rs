//! Expiry by the local clock of what was signed in advance: presigned URLs and the policies of POST forms.
//!
//! Source: the Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters" and "POST Policy".

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::refusal::{after, refusal};
use crate::clock::LocalClock;

/// How much of a form is looked at for its policy. S3 has the fields come before the file, and their sum within 20 KB.
const FORM_FIELDS_BYTES: usize = 64 << 10;

/// Gives the request back if it has not expired, and the refusal otherwise. Whether its signature is right is not
/// judged here.
pub(super) async fn check(request: Request, is_form: bool, clock: &LocalClock) -> Result<Request, Response> {
    let now_ms = clock.now_ms();
    if let Some(expires_ms) = request.uri().query().and_then(url_expires_ms) {
        return if now_ms > expires_ms { Err(refuse(request.into_body()).await) } else { Ok(request) };
    }
    if !is_form {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let (policy, body) = find_policy(body).await;
    match policy.as_deref().and_then(policy_expires_ms) {
        Some(expires_ms) if now_ms > expires_ms => Err(refuse(body).await),
        _ => Ok(Request::from_parts(parts, body)),
    }
}

async fn refuse(body: Body) -> Response {
    after(body, refusal(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired", &[])).await
}

/// `X-Amz-Date` plus `X-Amz-Expires`, if the query has both.
fn url_expires_ms(query: &str) -> Option<i64> {
    let value = |wanted: &str| query.split('&').find_map(|pair| pair.strip_prefix(wanted)?.strip_prefix('='));
    let signed = PrimitiveDateTime::parse(
        value("X-Amz-Date")?,
        format_description!("[year][month][day]T[hour][minute][second]Z"),
    );
    let seconds: i64 = value("X-Amz-Expires")?.parse().ok()?;
    signed.ok()?.assume_utc().unix_timestamp().checked_add(seconds)?.checked_mul(1000)
}

/// Reads the form up to its policy and gives it, if there is one, with the whole form.
async fn find_policy(body: Body) -> (Option<String>, Body) {
    let mut rest = body.into_data_stream();
    let mut read = BytesMut::new();
    let mut failure = None;
    let policy = loop {
        if let Some(policy) = policy_in(&read) {
            break Some(policy);
        }
        if read.len() > FORM_FIELDS_BYTES {
            break None;
        }
        match rest.next().await {
            Some(Ok(bytes)) => read.extend_from_slice(&bytes),
            Some(Err(error)) => {
                failure = Some(Err(error));
                break None;
            }
            None => break None,
        }
    };
    let whole = stream::iter([Ok(read.freeze())]).chain(stream::iter(failure)).chain(rest).map_ok(Bytes::from);
    (policy, Body::from_stream(whole))
}

/// The value of the field `policy`, once it is there whole.
fn policy_in(form: &[u8]) -> Option<String> {
    let after = |haystack: &[u8], needle: &[u8]| {
        haystack.windows(needle.len()).position(|window| window == needle).map(|at| at + needle.len())
    };
    let form = &form[after(form, b"name=\"policy\"")?..];
    let value = &form[after(form, b"\r\n\r\n")?..];
    let end = after(value, b"\r\n")? - 2;
    String::from_utf8(value[..end].to_vec()).ok()
}

fn policy_expires_ms(policy: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Policy {
        expiration: String,
    }
    let json = base64::engine::general_purpose::STANDARD.decode(policy.trim()).ok()?;
    let policy: Policy = serde_json::from_slice(&json).ok()?;
    let expires = OffsetDateTime::parse(&policy.expiration, &Rfc3339).ok()?;
    i64::try_from(expires.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_expires_when_it_says() {
        let query =
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20231114T221320Z&X-Amz-Expires=1800&X-Amz-Signature=00";
        assert_eq!(url_expires_ms(query), Some(1_700_001_800_000));
        assert_eq!(url_expires_ms("list-type=2&prefix=X-Amz-Date"), None);
    }

    #[test]
    fn a_policy_is_found_once_it_is_whole_and_expires_when_it_says() {
        let policy = base64::engine::general_purpose::STANDARD
            .encode(r#"{"expiration":"2023-11-14T22:13:20.500Z","conditions":[]}"#);
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nuploads/x\r\n\
             --b\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\n{policy}\r\n--b--\r\n"
        );
        let whole = form.find(&policy).unwrap() + policy.len() + 2;
        assert_eq!(policy_in(&form.as_bytes()[..whole - 1]), None);
        assert_eq!(policy_in(&form.as_bytes()[..whole]).as_deref(), Some(policy.as_str()));
        assert_eq!(policy_expires_ms(&policy), Some(1_700_000_000_500));
    }
}
