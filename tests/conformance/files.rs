//! Uploads by presigned requests and through the API, reading them, and files of rejected rows.

use penstock_model::{Import, StoredObject, limits};
use penstock_store::{
    StoreError,
    uploads::{PresignedForm, PresignedRequest, UploadError, rejected_key, upload_key},
};
use reqwest::StatusCode;

use super::{
    bench::{Bench, at_once, bytes, http},
    removals,
};

/// More than one part of 8 MiB.
const LARGE: usize = 9 << 20;

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

pub(crate) async fn stored(bench: &Bench, import: &Import) -> Option<StoredObject> {
    bench.store.find_upload(&import.account, &import.id).await.expect("answers")
}

async fn upload(bench: &Bench, import: &Import, body: &[u8]) -> Result<StoredObject, UploadError> {
    let mut upload = bench.store.upload(&import.account, &import.id, limits::UPLOAD_BYTES);
    upload.write(body).await?;
    upload.finish().await
}

async fn read(bench: &Bench, import: &Import, offset: u64, length: Option<u64>) -> Result<Vec<u8>, StoreError> {
    let stream = bench.store.read_upload(import, offset, length).await?;
    Ok(stream.collect().await.expect("a whole body").to_vec())
}

/// Posts a file as a browser does (RFC 7578): the fields, and then the file.
pub(crate) async fn post(form: &PresignedForm, file: &[u8]) -> u16 {
    let mut parts = reqwest::multipart::Form::new();
    for (name, value) in &form.fields {
        parts = parts.text(*name, value.clone());
    }
    let parts = parts.part("file", reqwest::multipart::Part::bytes(file.to_vec()).file_name("products.csv"));
    http().post(&form.url).multipart(parts).send().await.expect("S3 answers").status().as_u16()
}

pub(crate) async fn a_presigned_put_stores_one_object(bench: Bench) {
    let import = bench.import();
    assert_eq!(stored(&bench, &import).await, None);
    let put = bench.store.presign_upload(&import).await.expect("signed");
    assert_eq!(bench.put(&put, b"sku\nA\n").await, 200);
    let object = stored(&bench, &import).await.expect("stored");
    assert_eq!(object.bytes, 6);
    assert_eq!(bench.put(&put, b"sku\nB\n").await, 412);
    assert_eq!(stored(&bench, &import).await, Some(object.clone()));
    let accepted = Import { object: Some(object), ..import };
    assert_eq!(read(&bench, &accepted, 0, None).await.expect("read"), b"sku\nA\n");
}

fn with_signature(url: &str, signature: &str) -> String {
    let (before, rest) = url.split_once("X-Amz-Signature=").expect("it is signed");
    let after = rest.split_once('&').map_or("", |(_, after)| after);
    format!("{before}X-Amz-Signature={signature}&{after}")
}

pub(crate) async fn a_presigned_put_is_what_was_signed_and_no_more(bench: Bench) {
    let (import, other) = (bench.import(), bench.import());
    let put = bench.store.presign_upload(&import).await.expect("signed");
    assert!(put.headers.iter().any(|(name, value)| name == "if-none-match" && value == "*"), "{put:?}");
    let changed = |url: String| PresignedRequest { url, ..put.clone() };
    let wrong = [
        ("without what was signed", PresignedRequest { headers: Vec::new(), ..put.clone() }),
        ("another key", changed(put.url.replace(import.id.as_str(), other.id.as_str()))),
        ("another signature", changed(with_signature(&put.url, &"0".repeat(64)))),
        ("a longer validity", changed(put.url.replace("X-Amz-Expires=", "X-Amz-Expires=9"))),
    ];
    let mut taken = Vec::new();
    for (what, request) in wrong {
        if bench.put(&request, b"sku\nA\n").await != 403 {
            taken.push(what);
        }
    }
    assert_eq!(taken, [""; 0], "not answered with 403");
    assert_eq!((stored(&bench, &import).await, stored(&bench, &other).await), (None, None));
}

pub(crate) async fn a_presigned_put_ends_when_it_says(bench: Bench) {
    let clock = bench.shifted(-3_600_000);
    let mut import = bench.import();
    import.expires_at = clock.store.now_ms() + 1_800_000;
    let put = clock.store.presign_upload(&import).await.expect("signed");
    assert_eq!(bench.put(&put, b"sku\nA\n").await, 403);
    assert_eq!(post(&clock.store.presign_form(&import).await.expect("a form"), b"sku\nA\n").await, 403);
    assert_eq!(stored(&bench, &import).await, None);
}

fn with_field(mut form: PresignedForm, name: &str, value: &str) -> PresignedForm {
    form.fields.iter_mut().filter(|(field, _)| *field == name).for_each(|(_, field)| *field = value.to_owned());
    form
}

pub(crate) async fn a_form_stores_what_its_policy_allows(bench: Bench) {
    let import = bench.import();
    let form = bench.store.presign_form(&import).await.expect("a form");
    assert_eq!(post(&form, b"").await, 400, "nothing");
    assert_eq!(stored(&bench, &import).await, None);
    assert_eq!(post(&form, b"sku\nA\n").await, 204);
    assert_eq!(stored(&bench, &import).await.map(|object| object.bytes), Some(6));
}

pub(crate) async fn a_form_with_another_signature_is_forbidden(bench: Bench) {
    let import = bench.import();
    let form = with_field(bench.store.presign_form(&import).await.expect("a form"), "x-amz-signature", &"0".repeat(64));
    assert_eq!(post(&form, b"sku\nA\n").await, 403);
    assert_eq!(stored(&bench, &import).await, None);
}

pub(crate) async fn a_form_for_another_key_is_forbidden(bench: Bench) {
    let (import, other) = (bench.import(), bench.import());
    let form = bench.store.presign_form(&import).await.expect("a form");
    let status = post(&with_field(form, "key", &upload_key(&other.account, &other.id)), b"sku\nA\n").await;
    assert_eq!((stored(&bench, &import).await, stored(&bench, &other).await), (None, None));
    assert_eq!(status, 403);
}

pub(crate) async fn an_upload_is_stored_once_in_one_piece_and_in_parts(bench: Bench) {
    for size in [10, LARGE] {
        let import = bench.import();
        let body = content(size);
        let object = upload(&bench, &import, &body).await.expect("stored");
        assert_eq!((object.bytes, stored(&bench, &import).await), (size as u64, Some(object.clone())));
        for size in [5, LARGE] {
            let again = upload(&bench, &import, &content(size)).await;
            assert!(matches!(again, Err(UploadError::Exists)), "{size} bytes over another: {again:?}");
        }
        let accepted = Import { object: Some(object), ..import.clone() };
        assert!(read(&bench, &accepted, 0, None).await.expect("read") == body, "{size}");
    }
    let mut limited = bench.store.upload(&bench.account, &bench.import().id, 5);
    assert!(matches!(limited.write(b"sku\nA\n").await, Err(UploadError::TooLarge { limit: 5 })));
}

pub(crate) async fn of_uploads_at_once_one_is_stored(bench: Bench) {
    let import = bench.import();
    let taken = at_once(4, |at| {
        let (bench, import) = (bench.clone(), import.clone());
        async move { upload(&bench, &import, &content(10 + at)).await.ok() }
    })
    .await;
    let stored = stored(&bench, &import).await;
    let winners: Vec<_> = taken.into_iter().flatten().collect();
    assert_eq!((winners.len(), winners.first().cloned()), (1, stored));
}

async fn ranges(bench: &Bench, versioned: bool) {
    let import = bench.import();
    let body = content(1000);
    let mut object = upload(bench, &import, &body).await.expect("stored");
    assert!(object.version.is_some(), "the bucket keeps versions");
    object.version = object.version.filter(|_| versioned);
    let import = Import { object: Some(object), ..import };
    let parts = [(0, Some(1)), (0, Some(1000)), (1, None), (999, None), (500, Some(100)), (990, Some(100))];
    for (offset, length) in [(0, None), (1000, None), (5, Some(0))].into_iter().chain(parts) {
        let end = length.map_or(1000, |length| (offset + length).min(1000));
        let found = read(bench, &import, offset, length).await;
        let found = found.unwrap_or_else(|error| panic!("{length:?} from {offset}: {error}"));
        assert!(found == body[offset as usize..end as usize], "{length:?} from {offset}: {} bytes", found.len());
    }
}

pub(crate) async fn a_range_is_what_was_asked_for(bench: Bench) {
    ranges(&bench, false).await;
}

pub(crate) async fn a_range_of_a_version_is_what_was_asked_for(bench: Bench) {
    ranges(&bench, true).await;
}

/// An import whose object has been replaced by way of the form, which stores as often as it is posted.
async fn replaced(bench: &Bench) -> Import {
    let import = bench.import();
    let form = bench.store.presign_form(&import).await.expect("a form");
    assert_eq!(post(&form, b"sku\nA\n").await, 204);
    let object = stored(bench, &import).await.expect("stored");
    assert_eq!(post(&form, b"sku\nB,B\n").await, 204);
    let newer = stored(bench, &import).await.expect("stored");
    assert!(!newer.is(&object), "{newer:?}");
    Import { object: Some(object), ..import }
}

pub(crate) async fn a_version_stays_what_was_accepted(bench: Bench) {
    let import = replaced(&bench).await;
    assert!(import.object.as_ref().is_some_and(|object| object.version.is_some()), "the bucket keeps versions");
    assert_eq!(read(&bench, &import, 0, None).await.expect("read"), b"sku\nA\n");
    let object = import.object.clone().map(|object| StoredObject { version: Some("0".repeat(32)), ..object });
    let gone = read(&bench, &Import { object, ..import }, 0, None).await;
    assert!(matches!(gone, Err(StoreError::ObjectGone)), "no such version: {gone:?}");
}

pub(crate) async fn without_a_version_the_etag_tells_a_replaced_object(bench: Bench) {
    let mut import = replaced(&bench).await;
    import.object = import.object.map(|object| StoredObject { version: None, ..object });
    for length in [None, Some(3)] {
        let gone = read(&bench, &import, 0, length).await;
        assert!(matches!(gone, Err(StoreError::ObjectGone)), "replaced: {gone:?}");
    }
    removals::order_and_remove(&bench, &import).await;
    let gone = read(&bench, &import, 0, None).await;
    assert!(matches!(gone, Err(StoreError::ObjectGone)), "removed: {gone:?}");
}

pub(crate) async fn a_rejected_rows_file_is_given_by_its_url(bench: Bench) {
    for size in [100, LARGE] {
        let import = bench.import();
        let body = content(size);
        // A repeat replaces it by the same.
        for _ in 0..2 {
            let mut file = bench.store.rejected_file(&import);
            for piece in body.chunks(1 << 20) {
                file.write(piece).await.expect("taken");
            }
            assert_eq!(file.finish().await.expect("stored"), rejected_key(&import.account, &import.id));
        }
        let url =
            bench.store.presign_rejected(&import, &rejected_key(&import.account, &import.id)).await.expect("signed");
        let answer = http().get(&url).send().await.expect("S3 answers");
        assert_eq!(answer.status(), StatusCode::OK);
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let named = format!("attachment; filename=\"{}.rejected.csv\"", import.id);
        assert_eq!(
            (header("content-type"), header("content-disposition")),
            ("text/csv; charset=utf-8".to_owned(), named)
        );
        assert!(bytes(answer).await == body, "{size}");
    }
}
