//! Request bodies.

use axum::{body::Bytes, extract::FromRequest, extract::Request, http::StatusCode};
use penstock_model::limits;
use penstock_store::{Store, sha256_hex};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Problem;

/// A JSON body, and the hash by which a repeated request is known. An empty body counts as `{}`.
pub(super) struct JsonBody<T> {
    pub(super) value: T,
    /// SHA-256 of the bytes, in hexadecimal.
    pub(super) hash: String,
}

impl<T: DeserializeOwned> FromRequest<Store> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, store: &Store) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, store).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = format!(
                    "the body is larger than {} bytes; the file itself goes to the upload URL",
                    limits::REQUEST_BYTES
                );
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            }
            _ => Problem::bad_request("unreadable_body", "the body could not be read to its end"),
        })?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        // serde_json's messages name the place and what is wrong there.
        let invalid = |error| Problem::bad_request("invalid_body", format!("the body: {error}"));
        // serde would read an array as an object's values in their order.
        if let Some(pointer) = array_in(&serde_json::from_slice(text).map_err(invalid)?) {
            let detail = format!("the body: an array at `{pointer}`, where an object or a single value belongs");
            return Err(Problem::bad_request("invalid_body", detail));
        }
        let value = serde_json::from_slice(text).map_err(invalid)?;
        let hash = sha256_hex(&bytes);
        Ok(Self { value, hash })
    }
}

/// The JSON pointer of the first array: nothing that the API reads holds one.
fn array_in(value: &Value) -> Option<String> {
    match value {
        Value::Array(_) => Some(String::new()),
        Value::Object(object) => object.iter().find_map(|(name, member)| Some(format!("/{name}{}", array_in(member)?))),
        _ => None,
    }
}
