//! Rows in the body of a request: an array that is a member of a JSON object. They are stored as they are written, so
//! that a number keeps every digit, and become the upload of an import.

use std::{collections::BTreeMap, ops::Range};

use axum::body::{Body, Bytes};
use penstock_model::{AccountId, Format, Import, ImportOptions, KindName, UTF_8, limits::JSON_DEPTH};
use penstock_store::Store;
use serde_json::value::RawValue;

use crate::{
    intake::{self, BodyLimit},
    refusal::Refusal,
};

/// The members of an object as they are written; of several members with the same name, the last one.
pub(super) type Members<'a> = BTreeMap<String, &'a RawValue>;

/// A whole body.
///
/// # Errors
/// 413 beyond the limit, 400 for a body that breaks off.
pub(super) async fn body(body: Body, limit: BodyLimit) -> Result<Bytes, Refusal> {
    let most = usize::try_from(limit.bytes).unwrap_or(usize::MAX);
    axum::body::to_bytes(body, most).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        let too_large = source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        if too_large { limit.exceeded() } else { intake::unreadable() }
    })
}

/// The JSON of a body, unread; `None` for a body that is not JSON in UTF-8, or is nested deeper than [`JSON_DEPTH`],
/// which the splitter could not follow.
pub(super) fn document(body: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(body).ok().filter(|document: &&RawValue| depth(document.get()) <= JSON_DEPTH)
}

/// The nesting depth of the arrays and objects of a JSON text.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// The members of an object; `None` for any other value.
pub(super) fn members(value: &RawValue) -> Option<Members<'_>> {
    serde_json::from_str(value.get()).ok()
}

/// The elements of an array; `None` for any other value.
pub(super) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// Whether a value is an object.
pub(super) fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// The text of a string, or of a number as it is written; `None` for any other value.
pub(super) fn text(value: Option<&&RawValue>) -> Option<String> {
    let value = value?.get();
    match value.as_bytes().first() {
        Some(b'"') => serde_json::from_str(value).ok(),
        Some(b'-' | b'0'..=b'9') => Some(value.to_owned()),
        _ => None,
    }
}

/// The rows of a body: where each stands in it.
#[derive(Debug)]
pub(super) struct Rows {
    body: Bytes,
    places: Vec<Range<usize>>,
}

impl Rows {
    /// Rows that were read from this body.
    pub(super) fn new(body: &Bytes, rows: &[&RawValue]) -> Self {
        let from = body.as_ptr().addr();
        let place = |row: &&RawValue| {
            let start = row.get().as_ptr().addr() - from;
            start..start + row.get().len()
        };
        Self { body: body.clone(), places: rows.iter().map(place).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

/// Creates an import of rows. Its upload is a JSON array with a row on each line, so that the number of a row is its
/// place in the array. A repeat creates another import.
pub(super) async fn import(
    store: &Store,
    account: &AccountId,
    kind: KindName,
    rows: &Rows,
    limit: BodyLimit,
) -> Result<Import, Refusal> {
    intake::admit_body(store, account).await?;
    let options = ImportOptions { encoding: Some(UTF_8.to_owned()), ..ImportOptions::default() };
    let import = intake::import(store, account, kind, None, options);
    let import = Import { format: Some(Format::Json), counted: Some(rows.places.len() as u64), ..import };
    // The body, which is in memory, has kept to the limit already; the bytes between the rows are not the client's.
    let mut upload = store.upload(account, &import.id, u64::MAX);
    for (at, row) in rows.places.iter().enumerate() {
        let before: &[u8] = if at == 0 { b"[" } else { b",\n" };
        upload.write(before).await.map_err(|error| limit.refusal(error))?;
        upload.write(&rows.body[row.clone()]).await.map_err(|error| limit.refusal(error))?;
    }
    upload.write(b"]").await.map_err(|error| limit.refusal(error))?;
    upload.finish().await.map_err(|error| limit.refusal(error))?;
    intake::create_uploaded(store, &import).await?;
    Ok(import)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_as_they_are_written() {
        let body = br#"{"rows":[1],"id":9,"rows":[{"n":0.10000000000000000001}, {"s":"\ud800"}]}"#;
        let object = members(document(body).expect("JSON")).expect("an object");
        let rows = elements(object["rows"]).expect("an array");
        let rows: Vec<&str> = rows.iter().map(|row| row.get()).collect();
        assert_eq!(rows, [r#"{"n":0.10000000000000000001}"#, r#"{"s":"\ud800"}"#]);
        assert_eq!(text(object.get("id")).as_deref(), Some("9"));
        assert_eq!(text(object.get("rows")), None);
    }

    #[test]
    fn what_is_deeper_than_the_splitter_follows_is_none() {
        let nested = |levels: usize| format!(r#"{{"[\"[":{}{},"]":"["}}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(document(nested(JSON_DEPTH - 1).as_bytes()).is_some());
        assert!(document(nested(JSON_DEPTH).as_bytes()).is_none());
    }

    #[test]
    fn what_is_no_json_is_none() {
        for body in [&b""[..], b"{", b"{}x", b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}"] {
            assert!(document(body).is_none(), "{body:?}");
        }
        assert!(document(b"[]").is_some_and(|array| members(array).is_none()));
    }
}
