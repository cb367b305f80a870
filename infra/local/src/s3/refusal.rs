//! Refusals in the words of S3.
//!
//! Source: the Amazon S3 API Reference, "Error responses".

use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

/// How much of a refused body is read, and how long, at most. A client that is still sending might never read the
/// answer, and one that never ends is not waited for.
const REST_BYTES: usize = 64 << 20;
const REST_TIME: Duration = Duration::from_secs(10);

/// Why a request was refused, beside its answer: the `Code` that the answer has.
#[derive(Clone, Debug)]
pub(crate) struct Code(pub(crate) String);

/// An answer with a code and a message, and `more` of S3's elements, by name.
pub(super) fn refusal(status: StatusCode, code: &str, message: &str, more: &[(&str, &str)]) -> Response {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let more: String = more.iter().map(|(name, value)| format!("<{name}>{}</{name}>", escaped(value))).collect();
    let message = escaped(message);
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    );
    let mut response = (status, [(header::CONTENT_TYPE, "application/xml")], xml).into_response();
    response.extensions_mut().insert(Code(code.to_owned()));
    response
}

/// Gives the answer once the client has sent its body, within bounds.
pub(super) async fn after(body: Body, answer: Response) -> Response {
    let mut rest = body.into_data_stream();
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(piece)) = rest.next().await {
            bytes += piece.len();
            if bytes > REST_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(REST_TIME, read).await;
    answer
}
