//! Uploads in parts.

use penstock_model::{Closed, Import, Part, PartsFault, PartsUpload, limits, parts::Beginning};
use penstock_store::parts::Completion;

use super::bench::{Bench, at_once, bytes, http};

async fn begin(bench: &Bench, import: &Import) -> PartsUpload {
    match bench.store.begin_parts(&import.account, &import.id).await.expect("answers") {
        Some(Beginning::Begun(upload)) => upload,
        other => panic!("{other:?}"),
    }
}

/// Sends a part; the status, and the part as the storage names it.
async fn send(bench: &Bench, import: &Import, upload: &PartsUpload, number: u32, body: Vec<u8>) -> (u16, Part) {
    let (put, _) = bench.store.presign_part(import, upload, number).await.expect("signed");
    let answer = http().put(&put.url).body(body).send().await.expect("S3 answers");
    let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default();
    let part = Part { number, etag: etag.trim_matches('"').to_owned() };
    let status = answer.status().as_u16();
    bytes(answer).await;
    (status, part)
}

/// A file of two parts, and the parts.
async fn sent(bench: &Bench, import: &Import, upload: &PartsUpload) -> (Vec<u8>, Vec<Part>) {
    let file: Vec<u8> = (0..limits::PART_LEAST_BYTES as usize + 1000).map(|at| (at % 251) as u8).collect();
    let (first, second) = file.split_at(limits::PART_LEAST_BYTES as usize);
    let mut parts = Vec::new();
    for (number, body) in [(2, second), (1, first)] {
        let (status, part) = send(bench, import, upload, number, body.to_vec()).await;
        assert_eq!(status, 200, "part {number}");
        parts.insert(0, part);
    }
    (file, parts)
}

async fn complete(bench: &Bench, import: &Import, parts: &[Part]) -> Completion {
    bench.store.complete_parts(&bench.now(import).await, parts).await.expect("answers")
}

pub(crate) async fn an_upload_in_parts_becomes_one_object(bench: Bench) {
    let import = bench.created().await;
    assert_eq!(complete(&bench, &import, &[Part { number: 1, etag: "a".into() }]).await, Completion::NotBegun);
    let begun = at_once(4, |_| {
        let (bench, import) = (bench.clone(), import.clone());
        async move { begin(&bench, &import).await }
    })
    .await;
    let upload = begin(&bench, &import).await;
    assert!(begun.iter().all(|begun| *begun == upload), "{begun:?}");
    let (file, parts) = sent(&bench, &import, &upload).await;
    for _ in 0..2 {
        assert_eq!(complete(&bench, &import, &parts).await, Completion::Stored);
    }
    let now = bench.now(&import).await;
    assert_eq!(now.parts.as_ref().and_then(|parts| parts.closed), Some(Closed::Stored));
    // As when the one who completed it died before it could say so.
    let unsaid = Import { parts: Some(upload.clone()), ..now.clone() };
    assert_eq!(bench.store.complete_parts(&unsaid, &parts).await.expect("answers"), Completion::Stored);
    let object = bench.store.find_upload(&import.account, &import.id).await.expect("answers").expect("stored");
    assert_eq!(object.bytes, file.len() as u64);
    let accepted = Import { object: Some(object), ..now };
    let read = bench.store.read_upload(&accepted, 0, None).await.expect("read").collect().await.expect("a whole body");
    assert!(read.to_vec() == file);
    assert_eq!(bench.put(&bench.store.presign_upload(&import).await.expect("signed"), b"sku\n").await, 412);
    assert_eq!(send(&bench, &import, &upload, 1, b"late".to_vec()).await.0, 404);
    // There is nothing left to remove.
    bench.store.remove_parts(&unsaid).await.expect("answers");
    assert!(bench.store.find_upload(&import.account, &import.id).await.expect("answers").is_some());
}

pub(crate) async fn an_upload_in_parts_that_is_given_up_leaves_nothing(bench: Bench) {
    let import = bench.created().await;
    let upload = begin(&bench, &import).await;
    let (_, parts) = sent(&bench, &import, &upload).await;
    let begun = bench.now(&import).await;
    for _ in 0..2 {
        bench.store.remove_parts(&begun).await.expect("answers");
    }
    assert_eq!(bench.now(&import).await.parts.and_then(|parts| parts.closed), Some(Closed::Removed));
    assert_eq!(send(&bench, &import, &upload, 3, b"late".to_vec()).await.0, 404);
    assert_eq!(complete(&bench, &import, &parts).await, Completion::Gone);
    // Whoever read the import before is told, too.
    assert_eq!(bench.store.complete_parts(&begun, &parts).await.expect("answers"), Completion::Gone);
    assert_eq!(bench.store.find_upload(&import.account, &import.id).await.expect("answers"), None);
    let again = begin(&bench, &import).await;
    assert_ne!(again.id, upload.id);
    assert!(matches!(complete(&bench, &import, &parts).await, Completion::Fault(PartsFault::Unknown(1))));
}

pub(crate) async fn an_upload_in_parts_is_no_second_object(bench: Bench) {
    let import = bench.created().await;
    let upload = begin(&bench, &import).await;
    let (_, parts) = sent(&bench, &import, &upload).await;
    assert_eq!(bench.put(&bench.store.presign_upload(&import).await.expect("signed"), b"sku\nA\n").await, 200);
    for _ in 0..2 {
        assert_eq!(complete(&bench, &import, &parts).await, Completion::Exists);
    }
    let object = bench.store.find_upload(&import.account, &import.id).await.expect("answers");
    assert_eq!(object.map(|object| object.bytes), Some(6));
    assert_eq!(send(&bench, &import, &upload, 1, b"late".to_vec()).await.0, 404, "the parts are removed");
}

pub(crate) async fn parts_that_are_no_file_change_nothing(bench: Bench) {
    let import = bench.created().await;
    let upload = begin(&bench, &import).await;
    let (file, parts) = sent(&bench, &import, &upload).await;
    let (_, third) = send(&bench, &import, &upload, 3, b"more".to_vec()).await;
    let other = Part { number: 2, etag: "0".repeat(32) };
    for (named, fault) in [
        (vec![], PartsFault::Count),
        (vec![parts[1].clone()], PartsFault::Gap(1)),
        (vec![parts[0].clone(), third.clone()], PartsFault::Gap(2)),
        (vec![parts[0].clone(), other], PartsFault::Unknown(2)),
        (vec![parts[0].clone(), parts[1].clone(), third], PartsFault::TooSmall(2)),
    ] {
        assert_eq!(complete(&bench, &import, &named).await, Completion::Fault(fault), "{named:?}");
    }
    assert_eq!(complete(&bench, &import, &parts).await, Completion::Stored);
    let object = bench.store.find_upload(&import.account, &import.id).await.expect("answers");
    assert_eq!(object.map(|object| object.bytes), Some(file.len() as u64), "and no byte of the third");
}
