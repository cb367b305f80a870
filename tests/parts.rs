//! Uploads in parts: one object, whoever asks twice, gives up, comes late, or dies.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use penstock_client::{Bytes, Client, Import, PartUrl, TakenPart};
use penstock_model::{ImportOptions, Status, limits};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    self, OTHER_TOKEN, Stack, TOKEN,
    crashes::{arm, armed, stack_with_crashes, stack_with_crashes_and},
    http::{client, send},
    refused,
    storage::uploads_under_way,
    upload,
};

/// A file of two parts: rows of some 100 KB, so that it is large and soon imported.
fn file() -> Vec<u8> {
    let mut file = b"sku,name,brand,description\n".to_vec();
    for row in 0..60 {
        file.extend(format!("SKU-{row},Name,Brand,{}\n", "x".repeat(100_000)).as_bytes());
    }
    assert!(file.len() as u64 > limits::PART_LEAST_BYTES);
    file
}

/// The two parts of a file.
fn parts_of(file: &[u8]) -> [Bytes; 2] {
    let (first, second) = file.split_at(limits::PART_LEAST_BYTES as usize);
    [Bytes::copy_from_slice(first), Bytes::copy_from_slice(second)]
}

async fn send_part(client: &Client, url: &PartUrl, content: Bytes) -> TakenPart {
    client.upload_part(url, content, &Arc::new(AtomicU64::new(0))).await.expect("the storage takes it")
}

/// Uploads both parts of a file.
async fn send_both(stack: &Stack, import: &Import, file: &[u8]) -> Vec<TakenPart> {
    let urls = stack.client.part_urls(&import.id, &[1, 2]).await.expect("URLs");
    let mut taken = Vec::new();
    for (url, content) in urls.parts.iter().zip(parts_of(file)) {
        taken.push(send_part(&stack.client, url, content).await);
    }
    taken
}

/// The id of the multipart upload that a URL is of.
fn upload_id(url: &PartUrl) -> String {
    let (_, rest) = url.url.split_once("uploadId=").expect("an upload id");
    rest.split('&').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_in_parts_is_imported_once() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let file = file();
    let taken = send_both(&stack, &import, &file).await;
    // A part is sent again: its newest bytes count, and only those are completed.
    let urls = stack.client.part_urls(&import.id, &[2]).await.expect("URLs").parts;
    let other = send_part(&stack.client, &urls[0], Bytes::from_static(b"SKU-60,Name,Brand,other\n")).await;
    assert_eq!(refused(stack.client.complete(&import.id, &taken).await), (422, "invalid_parts".into()));
    assert_eq!(send_part(&stack.client, &urls[0], parts_of(&file)[1].clone()).await, taken[1]);
    assert_ne!(other, taken[1]);
    let completed = stack.client.complete(&import.id, &taken).await.expect("completed");
    assert_eq!(completed.id, import.id);
    let ended = stack.ended(&import.id).await;
    assert_eq!((ended.status, ended.rows.created, ended.rows.total), (Status::Completed, 60, Some(60)));
    assert_eq!(uploads_under_way(&stack).await, [""; 0]);
    // The object is the file, byte by byte.
    let (account, id) = ("1".parse().expect("valid"), import.id.parse().expect("valid"));
    let stored = stack.cloud.store().import(&account, &id).await.expect("read").expect("there");
    let object = stack.cloud.store().read_upload(&stored, 0, None).await.expect("the object");
    assert!(object.collect().await.expect("bytes").to_vec() == file);
    // Asked again it answers the same, and there is nothing left to begin or to give up.
    let again = stack.client.complete(&import.id, &taken).await.expect("completed");
    assert_eq!((again.id, again.status), (import.id.clone(), Status::Completed));
    assert_eq!(refused(stack.client.give_up_parts(&import.id).await), (409, "already_uploaded".into()));
    assert_eq!(refused(stack.client.part_urls(&import.id, &[1]).await), (409, "already_uploaded".into()));
    assert_eq!(upload(&import, b"sku,name,brand\n").await, 412, "the URL of the whole file stores no second object");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_get_urls_of_one_upload() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let asked = futures::future::join_all((1..=8).map(|_| stack.client.part_urls(&import.id, &[1, 10_000]))).await;
    let urls: Vec<PartUrl> = asked.into_iter().flat_map(|urls| urls.expect("URLs").parts).collect();
    assert_eq!(urls.len(), 16);
    let first = upload_id(&urls[0]);
    assert!(urls.iter().all(|url| upload_id(url) == first && url.method == "PUT"));
    // Those that were begun beside it are gone.
    assert_eq!(uploads_under_way(&stack).await, [first]);
    let taken = send_both(&stack, &import, &file()).await;
    let completed = futures::future::join_all((1..=4).map(|_| stack.client.complete(&import.id, &taken))).await;
    // One that finds another at work on the same may say so; none says that it failed.
    for outcome in completed {
        match outcome {
            Ok(completed) => assert_eq!(completed.id, import.id),
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
    assert_eq!(stack.ended(&import.id).await.rows.created, 60);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_ways_to_upload_the_first_counts() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let taken = send_both(&stack, &import, &file()).await;
    assert_eq!(upload(&import, b"sku,name,brand\nA,a,b\n").await, 200);
    assert_eq!(refused(stack.client.complete(&import.id, &taken).await), (409, "already_uploaded".into()));
    let ended = stack.ended(&import.id).await;
    assert_eq!((ended.status, ended.rows.created), (Status::Completed, 1));
    assert_eq!(uploads_under_way(&stack).await, [""; 0], "the parts are removed");
    assert_eq!(refused(stack.client.complete(&import.id, &taken).await), (409, "already_uploaded".into()));
    // Also where nobody completes them: the sweeper does it.
    let import = stack.create(ImportOptions::default()).await;
    send_both(&stack, &import, &file()).await;
    assert_eq!(upload(&import, b"sku,name,brand\nA,a,b\n").await, 200);
    assert_eq!(stack.ended(&import.id).await.status, Status::Completed);
    stack.passes_until("the parts are removed", async || uploads_under_way(&stack).await.is_empty()).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_leaves_no_parts_and_can_begin_again() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    stack.client.give_up_parts(&import.id).await.expect("there is nothing to give up");
    assert_eq!(refused(stack.client.complete(&import.id, &named(&["a"])).await), (409, "no_parts".into()));
    let urls = stack.client.part_urls(&import.id, &[1]).await.expect("URLs");
    let begun = stack.client.import(&import.id).await.expect("there");
    assert_eq!(begun.expires_at, urls.expires_at);
    let taken = send_both(&stack, &import, &file()).await;
    for _ in 0..2 {
        stack.client.give_up_parts(&import.id).await.expect("given up");
        assert_eq!(uploads_under_way(&stack).await, [""; 0]);
    }
    // Its URLs store nothing any more.
    let put = client().put(&urls.parts[0].url).body("sku\n");
    assert_eq!(send(put).await.status, 404);
    assert_eq!(refused(stack.client.complete(&import.id, &taken).await), (409, "parts_gone".into()));
    let again = stack.client.import(&import.id).await.expect("there");
    assert_eq!((again.status, &again.expires_at), (Status::AwaitingUpload, &import.expires_at));
    let other = stack.client.part_urls(&import.id, &[1]).await.expect("URLs");
    assert_ne!(upload_id(&other.parts[0]), upload_id(&urls.parts[0]));
    assert_eq!(other.expires_at, urls.expires_at, "a deadline is not moved by beginning again");
    assert_eq!(refused(stack.client.complete(&import.id, &taken).await), (422, "invalid_parts".into()));
    let taken = send_both(&stack, &import, &file()).await;
    stack.client.complete(&import.id, &taken).await.expect("completed");
    assert_eq!(stack.ended(&import.id).await.rows.created, 60);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_cancelled_or_deleted_takes_its_parts_with_it() {
    let stack = Stack::start().await;
    let cancelled = stack.create(ImportOptions::default()).await;
    let taken = send_both(&stack, &cancelled, &file()).await;
    assert_eq!(stack.client.cancel(&cancelled.id).await.expect("cancelled").status, Status::Cancelled);
    assert_eq!(uploads_under_way(&stack).await, [""; 0]);
    assert_eq!(refused(stack.client.complete(&cancelled.id, &taken).await), (409, "parts_gone".into()));
    assert_eq!(refused(stack.client.part_urls(&cancelled.id, &[1]).await), (409, "already_uploaded".into()));
    stack.client.give_up_parts(&cancelled.id).await.expect("nothing is left to give up");
    let deleted = stack.create(ImportOptions::default()).await;
    send_both(&stack, &deleted, &file()).await;
    stack.client.delete(&deleted.id).await.expect("deleted");
    stack.passes_until("the parts are removed", async || uploads_under_way(&stack).await.is_empty()).await;
    assert_eq!(refused(stack.client.part_urls(&deleted.id, &[1]).await), (404, "not_found".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_has_a_day_and_its_urls_have_half_an_hour() {
    let stack = Stack::with(|options| options.scheduled = false).await;
    let (late, slow) = (stack.create(ImportOptions::default()).await, stack.create(ImportOptions::default()).await);
    let slow_parts = stack.client.part_urls(&slow.id, &[1]).await.expect("URLs").parts;
    let late_parts = send_both(&stack, &late, &file()).await;
    stack.pass(Duration::from_secs(40 * 60)).await;
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    // The URL has expired; another of the same upload has not.
    let tried = stack.client.upload_part(&slow_parts[0], Bytes::from_static(b"x"), &Arc::default()).await;
    assert!(tried.as_ref().is_err_and(|error| error.is_forbidden_upload()), "{tried:?}");
    // Whoever has not begun by now cannot any more.
    let unused = stack.create(ImportOptions::default()).await;
    stack.pass(Duration::from_secs(31 * 60)).await;
    assert_eq!(refused(stack.client.part_urls(&unused.id, &[1]).await), (409, "expired".into()));
    stack.pass(Duration::from_secs(22 * 3600)).await;
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    assert_eq!(stack.client.import(&late.id).await.expect("there").status, Status::AwaitingUpload);
    let taken = send_both(&stack, &slow, &file()).await;
    stack.client.complete(&slow.id, &taken).await.expect("completed");
    assert_eq!(uploads_under_way(&stack).await.len(), 1);
    stack.pass(Duration::from_secs(2 * 3600)).await;
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    assert_eq!(stack.client.import(&late.id).await.expect("there").status, Status::Expired);
    assert_eq!(uploads_under_way(&stack).await, [""; 0], "the parts go with the import");
    assert_eq!(refused(stack.client.complete(&late.id, &late_parts).await), (409, "parts_gone".into()));
    assert_eq!(refused(stack.client.part_urls(&late.id, &[1]).await), (409, "expired".into()));
    stack.cloud.idle().await;
    assert_eq!(stack.client.import(&slow.id).await.expect("there").rows.created, 60);
    stack.stop().await;
}

/// Parts of these ETags, numbered from 1.
fn named(etags: &[&str]) -> Vec<TakenPart> {
    (1..).zip(etags).map(|(number, etag)| TakenPart { number, etag: (*etag).to_owned() }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_refused_and_nothing_is_lost() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let ask = async |path: &str, body: Value| -> (u16, String, String) {
        let request = stack.request(Method::POST, &format!("/v1/imports/{}/{path}", import.id)).bearer_auth(TOKEN);
        send(request.json(&body)).await.problem()
    };
    let too_many: Vec<usize> = (1..=limits::PART_URLS + 1).collect();
    for numbers in [json!([]), json!([0]), json!([10_001]), json!(too_many)] {
        let (status, code, detail) = ask("parts", json!({ "numbers": numbers })).await;
        assert_eq!((status, &*code), (422, "invalid_parts"), "{numbers}");
        assert!(detail.contains("100 parts") && detail.contains("10000"), "{detail}");
    }
    for body in [json!({}), json!({ "numbers": [-1] }), json!({ "numbers": ["1"] }), json!({ "number": [1] })] {
        assert_eq!(ask("parts", body.clone()).await.0, 400, "{body}");
    }
    assert_eq!(uploads_under_way(&stack).await, [""; 0], "none of them began an upload");
    let taken = send_both(&stack, &import, &file()).await;
    let part = |part: &TakenPart| json!({ "number": part.number, "etag": part.etag });
    let (one, two) = (part(&taken[0]), part(&taken[1]));
    let urls = stack.client.part_urls(&import.id, &[1, 2, 3]).await.expect("URLs").parts;
    let third = part(&send_part(&stack.client, &urls[2], Bytes::from_static(b"SKU-60,Name,Brand,\n")).await);
    for (parts, says) in [
        (json!([]), "1 to 10000 parts"),
        (json!([one, { "number": 2, "etag": "\"00000000000000000000000000000000\"" }]), "part 2 is not stored"),
        (json!([two]), "part 1 is missing"),
        (json!([two, one]), "part 1 is missing"),
        (json!([one, third]), "part 2 is missing"),
        (json!([one, two, { "number": 4, "etag": "x" }]), "part 3 is missing"),
        (json!([one, two, third]), "part 2 has fewer than 5242880 bytes"),
        (json!([{ "number": 1, "etag": "" }]), "printable"),
    ] {
        let (status, code, detail) = ask("complete", json!({ "parts": parts })).await;
        assert_eq!((status, &*code), (422, "invalid_parts"), "{parts}");
        assert!(detail.contains(says), "{detail}");
    }
    // Ten thousand parts fit into the body, and a body has a bound.
    let many: Vec<Value> =
        (1..=limits::PARTS).map(|n| json!({ "number": n, "etag": format!("\"{n:032x}\"") })).collect();
    assert_eq!(ask("complete", json!({ "parts": many })).await.0, 422);
    let (status, _, detail) = ask("complete", json!({ "parts": [], "x": "y".repeat(limits::COMPLETE_BYTES) })).await;
    assert!(status == 413 && detail.contains("1048576"), "{status}: {detail}");
    // A part that is damaged on its way is not taken.
    let damaged = client().put(&urls[1].url).header("content-md5", STANDARD.encode([0; 16])).body("x");
    assert_eq!(send(damaged).await.status, 400);
    // After all that the file is still what it was.
    assert_eq!(send_both(&stack, &import, &file()).await, taken);
    stack.client.complete(&import.id, &taken).await.expect("completed");
    assert_eq!(stack.ended(&import.id).await.rows.created, 60);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_elses_upload_is_seen_and_a_scope_is_needed() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let other = stack.client_of(OTHER_TOKEN);
    let begun = stack.client.part_urls(&import.id, &[1]).await.expect("URLs").parts;
    for id in [import.id.as_str(), "imp_00000000000000000000000000", "x"] {
        assert_eq!(refused(other.part_urls(id, &[1]).await), (404, "not_found".into()), "{id}");
        assert_eq!(refused(other.complete(id, &named(&["a"])).await), (404, "not_found".into()), "{id}");
        assert_eq!(refused(other.give_up_parts(id).await), (404, "not_found".into()), "{id}");
    }
    assert_eq!(uploads_under_way(&stack).await, [upload_id(&begun[0])]);
    // A URL is of one part of one upload: no other number, no other key.
    let url = &begun[0].url;
    for changed in
        [url.replace("partNumber=1", "partNumber=2"), url.replace(&import.id, "imp_00000000000000000000000000")]
    {
        assert_ne!(&changed, url);
        assert_eq!(send(client().put(changed).body("x")).await.status, 403);
    }
    let key = penstock_client::NewKey { scopes: vec![penstock_model::Scope::ImportRead], ..Default::default() };
    let key = stack.client.create_key(&key).await.expect("a key");
    let reader = stack.client_of(&key.token.expect("its token"));
    assert_eq!(refused(reader.part_urls(&import.id, &[1]).await), (403, "forbidden".into()));
    assert_eq!(refused(reader.complete(&import.id, &named(&["a"])).await), (403, "forbidden".into()));
    assert_eq!(refused(reader.give_up_parts(&import.id).await), (403, "forbidden".into()));
    stack.stop().await;
}

/// What API Gateway would hand to the function.
fn event(method: &str, path: &str, body: &Value) -> String {
    let mut event: Value = serde_json::from_str(include_str!("data/events/api-gateway-rest.json")).expect("JSON");
    event["httpMethod"] = json!(method);
    event["path"] = json!(path);
    event["requestContext"]["path"] = json!(path);
    event["requestContext"]["httpMethod"] = json!(method);
    let token = format!("Bearer {TOKEN}");
    event["headers"] = json!({ "authorization": token, "content-type": "application/json" });
    event["multiValueHeaders"] = json!({ "authorization": [token], "content-type": ["application/json"] });
    event["queryStringParameters"] = Value::Null;
    event["multiValueQueryStringParameters"] = Value::Null;
    event["isBase64Encoded"] = json!(false);
    event["body"] = json!(body.to_string());
    event.to_string()
}

/// The api dies after each of its steps, and is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_step_is_mended_by_asking_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        let directory = (penstock_store::crash::DIRECTORY.to_owned(), folder.path().display().to_string());
        options.functions.api.environment.push(directory);
    })
    .await;
    let dies = async |point: &str, method: &str, path: String, body: Value| {
        arm(folder.path(), point);
        assert!(stack.cloud.invoke("api", event(method, &path, &body)).await.is_err(), "{point}");
        assert_eq!(armed(folder.path()), [""; 0], "{point}");
    };
    let path = |import: &Import, rest: &str| format!("/v1/imports/{}/{rest}", import.id);
    for (point, under_way) in [("parts.begun", 2), ("parts.pinned", 1)] {
        let import = stack.create(ImportOptions::default()).await;
        dies(point, "POST", path(&import, "parts"), json!({ "numbers": [1] })).await;
        let taken = send_both(&stack, &import, &file()).await;
        // One that was begun and not pinned has no parts, and never will have.
        assert_eq!(uploads_under_way(&stack).await.len(), under_way, "{point}");
        stack.client.complete(&import.id, &taken).await.expect("completed");
        assert_eq!(stack.ended(&import.id).await.status, Status::Completed, "{point}");
        let left = uploads_under_way(&stack).await;
        assert_eq!(left.len(), under_way - 1, "{point}");
        for id in left {
            let key = format!("uploads/1/{}", import.id);
            let s3 = support::storage::s3(&stack);
            let bucket = &stack.cloud.store().settings().uploads_bucket;
            let parts = s3.list_parts().bucket(bucket).key(&key).upload_id(&id).send().await.expect("listed");
            assert!(parts.parts().is_empty(), "{point}");
            s3.abort_multipart_upload().bucket(bucket).key(&key).upload_id(&id).send().await.expect("aborted");
        }
    }
    for point in ["parts.completed", "parts.closed"] {
        let import = stack.create(ImportOptions::default()).await;
        let taken = send_both(&stack, &import, &file()).await;
        let named: Vec<Value> = taken.iter().map(|part| json!({ "number": part.number, "etag": part.etag })).collect();
        dies(point, "POST", path(&import, "complete"), json!({ "parts": named })).await;
        let again = stack.client.complete(&import.id, &taken).await.expect("it had been completed");
        assert_eq!(again.id, import.id);
        let ended = stack.ended(&import.id).await;
        assert_eq!((ended.status, ended.rows.total), (Status::Completed, Some(60)), "{point}");
        assert!(stack.client.complete(&import.id, &taken).await.is_ok(), "{point}");
    }
    for point in ["parts.removed", "parts.closed"] {
        let import = stack.create(ImportOptions::default()).await;
        let taken = send_both(&stack, &import, &file()).await;
        dies(point, "DELETE", path(&import, "parts"), json!({})).await;
        assert_eq!(uploads_under_way(&stack).await, [""; 0], "{point}");
        if point == "parts.removed" {
            // Nobody asked again: URLs of the upload store nothing, and whoever wants to complete it is told.
            assert_eq!(refused(stack.client.complete(&import.id, &taken).await), (409, "parts_gone".into()));
        }
        stack.client.give_up_parts(&import.id).await.expect("given up");
        let taken = send_both(&stack, &import, &file()).await;
        stack.client.complete(&import.id, &taken).await.expect("completed");
        assert_eq!(stack.ended(&import.id).await.status, Status::Completed, "{point}");
    }
    // Cancelled, and nobody is left to remove the parts: the sweeper does, and dies on the way.
    for point in ["halt.ordered", "parts.removed"] {
        let import = stack.create(ImportOptions::default()).await;
        send_both(&stack, &import, &file()).await;
        dies(point, "POST", path(&import, "cancel"), json!({})).await;
        arm(folder.path(), "parts.closed");
        let parts = || async { uploads_under_way(&stack).await.len() + armed(folder.path()).len() };
        stack.passes_until("the parts are removed", async || parts().await == 0).await;
        assert_eq!(stack.client.import(&import.id).await.expect("there").status, Status::Cancelled, "{point}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweeper_that_dies_leaves_no_parts_of_what_expired() {
    for point in ["sweep.expired", "parts.removed", "parts.closed"] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes(folder.path()).await;
        let import = stack.create(ImportOptions::default()).await;
        send_both(&stack, &import, &file()).await;
        stack.pass(Duration::from_secs(24 * 3600)).await;
        arm(folder.path(), point);
        assert_eq!(stack.ended(&import.id).await.status, Status::Expired);
        let left = || async { uploads_under_way(&stack).await.len() + armed(folder.path()).len() };
        stack.passes_until("the parts are removed", async || left().await == 0).await;
        // Nothing is left to look at.
        let due = async || stack.cloud.store().due_imports().await.expect("read").is_empty();
        stack.passes_until("the import is off the list", due).await;
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_clouds_folder_keeps_an_upload_in_parts() {
    let data = tempfile::tempdir().expect("a folder");
    let start = || Stack::with(|options| options.data = Some(data.path().to_owned()));
    let stack = start().await;
    let import = stack.create(ImportOptions::default()).await;
    let mut taken = send_both(&stack, &import, &file()).await;
    taken.truncate(1);
    stack.stop().await;
    let stack = start().await;
    let urls = stack.client.part_urls(&import.id, &[2]).await.expect("URLs").parts;
    taken.push(send_part(&stack.client, &urls[0], parts_of(&file())[1].clone()).await);
    stack.client.complete(&import.id, &taken).await.expect("completed");
    assert_eq!(stack.ended(&import.id).await.rows.created, 60);
    stack.stop().await;
}
