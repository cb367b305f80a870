//! Rows in the body of a request: an array that is a member of a JSON object. They are stored as they are written, so
//! that a number keeps every digit, and become the upload of an import.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use penstock_model::{AccountId, Actor, Format, Import, ImportOptions, KindName, UTF_8, limits::JSON_DEPTH};
use penstock_store::Store;
use serde_json::value::RawValue;

use crate::{
    intake::{self, BodyLimit},
    refusal::Refusal,
    work::{Memory, Work},
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

/// The rows of a body as the upload of an import: a JSON array with a row on each line, so that the number of a row is
/// its place in the array.
#[derive(Debug)]
pub(super) struct Rows {
    text: Bytes,
    count: usize,
}

impl Rows {
    pub(super) fn new(rows: &[&RawValue]) -> Self {
        const BETWEEN: &str = ",\n";
        let bytes = rows.iter().map(|row| row.get().len() + BETWEEN.len()).sum::<usize>() + 2;
        let mut text = String::with_capacity(bytes);
        for (at, row) in rows.iter().enumerate() {
            text.push_str(if at == 0 { "[" } else { BETWEEN });
            text.push_str(row.get());
        }
        text.push(']');
        Self { text: text.into(), count: rows.len() }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }
}

/// Reads the rows of a body on a thread that computes. The memory that this may take counts until the rows are dropped.
///
/// # Errors
/// What `read` refuses; 429 and 422 as in [`Work::share`].
pub(super) async fn read(
    work: &Work,
    account: &AccountId,
    body: Bytes,
    read: impl FnOnce(&[u8]) -> Result<Rows, Refusal> + Send + 'static,
) -> Result<(Rows, Memory), Refusal> {
    let bytes = memory(&body);
    let (rows, memory) = work.run_in(account, bytes, move || read(&body)).await?;
    Ok((rows?, memory))
}

/// Bytes that the values and members of a document take at most while it is read: the document twice, and some for
/// whatever a comma separates.
fn memory(body: &[u8]) -> u64 {
    const OF_A_VALUE: usize = 64;
    (2 * body.len() + OF_A_VALUE * memchr::memchr_iter(b',', body).count()) as u64
}

/// Creates an import of rows. A repeat creates another import.
pub(super) async fn import(
    store: &Store,
    account: &AccountId,
    by: Actor,
    kind: KindName,
    rows: &Rows,
    limit: BodyLimit,
) -> Result<Import, Refusal> {
    intake::admit_body(store, account).await?;
    let options = ImportOptions { encoding: Some(UTF_8.to_owned()), ..ImportOptions::default() };
    let import = intake::import(store, account, by, kind, None, options);
    let import = Import { format: Some(Format::Json), counted: Some(rows.count as u64), ..import };
    // The body, which is in memory, has kept to the limit already; the bytes between the rows are not the client's.
    let mut upload = store.upload(account, &import.id, u64::MAX);
    upload.write(&rows.text).await.map_err(|error| limit.refusal(error))?;
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
        let rows = Rows::new(&elements(object["rows"]).expect("an array"));
        assert_eq!((&*rows.text, rows.len()), (&b"[{\"n\":0.10000000000000000001},\n{\"s\":\"\\ud800\"}]"[..], 2));
        assert_eq!(text(object.get("rows")), None);
    }

    /// One thread answers. The rows are waited for on another until that one has got on.
    #[tokio::test]
    async fn rows_are_read_and_written_down_beside_the_thread_that_answers() {
        let (gate, opened) = std::sync::mpsc::channel();
        let account = "1".parse().expect("valid");
        let work = Work::new();
        let body = Bytes::from_static(br#"{"rows":[{"n":1},{"n":2}]}"#);
        let of = move |body: &[u8]| {
            opened.recv_timeout(std::time::Duration::from_secs(60)).expect("the thread that answers gets on");
            let rows = members(document(body).expect("JSON")).expect("an object");
            Ok(Rows::new(&elements(rows["rows"]).expect("an array")))
        };
        let mut reading = std::pin::pin!(read(&work, &account, body, of));
        assert!(futures::poll!(&mut reading).is_pending());
        gate.send(()).expect("it is waited for");
        let (rows, _memory) = reading.await.map_err(|refusal| refusal.code).expect("read");
        assert_eq!((&*rows.text, rows.len()), (&b"[{\"n\":1},\n{\"n\":2}]"[..], 2));
    }

    /// A body of ten MiB, the most that a dialect takes, has a share whatever its rows are; none has more than there
    /// is.
    #[test]
    fn bodies_of_many_rows_count_for_the_memory_that_they_take() {
        let body =
            |row: &str| format!(r#"{{"rows":[{row}{}]}}"#, format!(",{row}").repeat((10 << 20) / (row.len() + 1)));
        let of_zeros = memory(body("0").as_bytes());
        assert!((300 << 20..=penstock_model::limits::PREVIEW_MEMORY_BYTES).contains(&of_zeros), "{of_zeros}");
        assert!(memory(body(&format!(r#"{{"sku":"{}"}}"#, "x".repeat(200))).as_bytes()) < 30 << 20);
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
