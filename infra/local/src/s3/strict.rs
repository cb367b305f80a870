//! What S3 refuses and s3s does not. A client that works here works there.
//!
//! Source: the Amazon S3 API Reference, "Error responses", and the answers of S3 themselves, which many reports quote.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header, request::Parts};
use axum::response::Response;

use super::refusal::{Code, refusal};

/// An error of S3 is shorter.
const ERROR_BYTES: usize = 64 << 10;

/// What a request to copy an object names (Amazon S3 API Reference, CopyObject).
const COPY_SOURCE: &str = "x-amz-copy-source";

/// The refusal of a request, by its head alone.
pub(super) fn check(head: &Parts) -> Option<Response> {
    if let Some(signed) = signed_headers(head) {
        if let Some(value) = head.headers.get(header::AUTHORIZATION) {
            let value = String::from_utf8_lossy(value.as_bytes());
            // What it carries may be a credential of another service.
            let scheme = value.split(' ').next().unwrap_or_default();
            let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query \
                           string parameter or the Authorization header should be specified";
            let more = [("ArgumentName", "Authorization"), ("ArgumentValue", scheme)];
            return Some(refusal(StatusCode::BAD_REQUEST, "InvalidArgument", message, &more));
        }
        let unsigned = unsigned(&head.headers, &signed);
        if !unsigned.is_empty() {
            let message = "There were headers present in the request which were not signed";
            let more = [("HeadersNotSigned", unsigned.as_str())];
            return Some(refusal(StatusCode::FORBIDDEN, "AccessDenied", message, &more));
        }
    }
    if head.method == Method::PUT || is_form(head) {
        if head.headers.contains_key(header::TRANSFER_ENCODING) {
            let message = "A header you provided implies functionality that is not implemented";
            let more = [("Header", "Transfer-Encoding")];
            return Some(refusal(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message, &more));
        }
        // A copy has no body of its own.
        if !head.headers.contains_key(header::CONTENT_LENGTH) && !head.headers.contains_key(COPY_SOURCE) {
            let message = "You must provide the Content-Length HTTP header.";
            return Some(refusal(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message, &[]));
        }
    }
    None
}

/// The headers that a presigned request was signed with, in lower case; `None` if it was not presigned.
fn signed_headers(head: &Parts) -> Option<Vec<String>> {
    let query = head.uri.query()?;
    let value = |wanted: &str| query.split('&').find_map(|pair| pair.strip_prefix(wanted)?.strip_prefix('='));
    value("X-Amz-Signature")?;
    let names = percent_encoding::percent_decode_str(value("X-Amz-SignedHeaders").unwrap_or_default());
    Some(names.decode_utf8_lossy().split(';').map(str::to_ascii_lowercase).collect())
}

/// The headers of AWS that the signature does not cover, as S3 lists them. The hash of the body is none of them.
fn unsigned(headers: &HeaderMap, signed: &[String]) -> String {
    let names = headers.keys().map(header::HeaderName::as_str);
    let unsigned = names.filter(|name| {
        name.starts_with("x-amz-") && *name != "x-amz-content-sha256" && !signed.iter().any(|signed| signed == name)
    });
    let mut unsigned: Vec<&str> = unsigned.collect();
    unsigned.sort_unstable();
    unsigned.join(", ")
}

/// Whether it is a POST form (Amazon S3 API Reference, "POST Object").
pub(super) fn is_form(head: &Parts) -> bool {
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    head.method == Method::POST && content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}

/// Whether a request carries what it may do in itself, as one that the api has signed for a client does.
pub(super) fn is_presigned(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair.starts_with("X-Amz-Signature="))
}

/// An answer of s3s as S3 would give it: a form that breaks its policy is forbidden. Errors carry their code beside
/// them.
pub(super) async fn answer(response: Response, is_form: bool) -> Response {
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(xml) = to_bytes(body, ERROR_BYTES).await else { return Response::from_parts(parts, Body::empty()) };
    let text = String::from_utf8_lossy(&xml);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    };
    let (code, message) = (element("Code").unwrap_or_default(), element("Message").unwrap_or_default());
    let breaks_policy = code == "InvalidPolicyDocument"
        && (message.starts_with("Policy condition") || message.ends_with("does not match policy"));
    if is_form && breaks_policy {
        let message = unescaped(&message);
        return refusal(StatusCode::FORBIDDEN, "AccessDenied", &format!("Invalid according to Policy: {message}"), &[]);
    }
    if !code.is_empty() {
        let own = parts.status.is_server_error() && !message.is_empty();
        parts.extensions.insert(Code(if own { format!("{code}: {}", unescaped(&message)) } else { code }));
    }
    Response::from_parts(parts, Body::from(xml))
}

fn unescaped(xml: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(xml.to_owned(), |text, (entity, character)| text.replace(entity, character))
}
