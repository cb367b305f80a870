//! Request bodies in JSON.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use penstock_model::limits;
use penstock_store::sha256_hex;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{intake, refusal::Refusal};

/// A JSON body, and the hash by which a repeated request is recognised. An empty body counts as `{}`.
pub(super) struct JsonBody<T> {
    pub(super) value: T,
    /// The body as JSON, without what stands in [`JsonShape::ARRAYS`].
    pub(super) plain: Value,
    /// SHA-256 of the bytes, in hexadecimal.
    pub(super) hash: String,
}

/// The type of a JSON body.
pub(super) trait JsonShape: DeserializeOwned {
    /// The members that may be arrays, by their JSON pointers.
    const ARRAYS: &'static [&'static str] = &[];

    /// Bytes of the body, at most; the route's limit has to be the same.
    const BYTES: usize = limits::REQUEST_BYTES;
}

impl<T: JsonShape, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = intake::bytes(Bytes::from_request(request, state).await, || {
            format!("the body is larger than {} bytes; the file itself goes to the upload URL", T::BYTES)
        })?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        // The messages of serde_json name the place and the fault.
        let invalid = |error| Refusal::bad_request("invalid_body", format!("the body: {error}"));
        // serde would take an array for the values of an object, in order.
        let mut plain: Value = serde_json::from_slice(text).map_err(invalid)?;
        for array in T::ARRAYS {
            // The rule holds for the items of such an array too.
            let found = plain.pointer_mut(array).filter(|found| found.is_array());
            if let Some(Value::Array(items)) = found.map(Value::take)
                && let Some(pointer) = items.iter().find_map(array_in)
            {
                let detail = format!("the body: an array in `{array}`{pointer}, where a single value belongs");
                return Err(Refusal::bad_request("invalid_body", detail));
            }
        }
        if let Some(pointer) = array_in(&plain) {
            let detail = format!("the body: an array at `{pointer}`, where an object or a single value belongs");
            return Err(Refusal::bad_request("invalid_body", detail));
        }
        let value = serde_json::from_slice(text).map_err(invalid)?;
        let hash = sha256_hex(&bytes);
        Ok(Self { value, plain, hash })
    }
}

/// The JSON pointer of the first array: except for [`JsonShape::ARRAYS`], no body of the API holds one.
fn array_in(value: &Value) -> Option<String> {
    match value {
        Value::Array(_) => Some(String::new()),
        Value::Object(object) => object.iter().find_map(|(name, member)| Some(format!("/{name}{}", array_in(member)?))),
        _ => None,
    }
}
