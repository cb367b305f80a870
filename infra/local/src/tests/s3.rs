use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use reqwest::StatusCode;
use serde_json::json;

use super::rig::Rig;
use crate::faults::Faults;

fn body(text: &str) -> ByteStream {
    ByteStream::from(text.as_bytes().to_vec())
}

async fn presigned_put(client: &aws_sdk_s3::Client, key: &str) -> String {
    let expires = PresigningConfig::expires_in(Duration::from_secs(1800)).unwrap();
    let request = client.put_object().bucket("uploads").key(key).presigned(expires).await.unwrap();
    request.uri().to_owned()
}

#[tokio::test]
async fn a_presigned_put_stores_and_is_told_to_split() {
    let mut rig = Rig::start().await;
    let url = presigned_put(&rig.s3(), "uploads/my file (ü).csv").await;
    let stored = rig.http.put(url).body("sku\n1\n").send().await.unwrap();
    assert_eq!(stored.status(), StatusCode::OK);
    let version = stored.headers()["x-amz-version-id"].to_str().unwrap().to_owned();

    let taken = rig.instance().await.next().await;
    let record = &taken.event["Records"][0];
    assert_eq!(record["eventVersion"], "2.1");
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["bucket"]["name"], "uploads");
    let object = &record["s3"]["object"];
    assert_eq!(object["key"], "uploads/my+file+%28%C3%BC%29.csv");
    assert_eq!(object["size"], 6);
    assert_eq!(object["eTag"], crate::queue::md5_hex(b"sku\n1\n"));
    assert_eq!(object["versionId"], version);
}

#[tokio::test]
async fn only_uploads_are_told() {
    let mut rig = Rig::start().await;
    let client = rig.s3();
    client.put_object().bucket("uploads").key("elsewhere/x").body(body("x")).send().await.unwrap();
    client.put_object().bucket("results").key("uploads/x").body(body("x")).send().await.unwrap();
    assert!(rig.host.is_idle());
    assert!(rig.no_instance_announced());
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let rig = Rig::start().await;
    let url = presigned_put(&rig.s3_with_secret("another"), "uploads/x").await;
    assert_eq!(rig.http.put(url).body("x").send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let url = presigned_put(&rig.s3(), "uploads/x").await.replace("uploads/x", "uploads/y");
    assert_eq!(rig.http.put(url).body("x").send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert!(rig.s3().head_object().bucket("uploads").key("uploads/x").send().await.is_err());
}

#[tokio::test]
async fn a_presigned_url_expires_by_the_local_clock() {
    let rig = Rig::start().await;
    let url = presigned_put(&rig.s3(), "uploads/x").await;
    rig.clock.advance(Duration::from_secs(1700)).unwrap();
    assert_eq!(rig.http.put(&url).body("in time").send().await.unwrap().status(), StatusCode::OK);
    rig.clock.advance(Duration::from_secs(101)).unwrap();
    let refused = rig.http.put(&url).body("x".repeat(3 << 20)).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let xml = refused.text().await.unwrap();
    assert!(xml.contains("<Code>AccessDenied</Code><Message>Request has expired</Message>"), "{xml}");
}

#[tokio::test]
async fn a_url_signed_by_an_advanced_clock_is_accepted() {
    let rig = Rig::start().await;
    rig.clock.advance(Duration::from_secs(40 * 24 * 3600)).unwrap();
    let now = std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(rig.clock.now_ms()).unwrap());
    let config = PresigningConfig::builder().start_time(now).expires_in(Duration::from_secs(60)).build().unwrap();
    let request = rig.s3().put_object().bucket("uploads").key("uploads/x").presigned(config).await.unwrap();
    assert_eq!(rig.http.put(request.uri()).body("x").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn of_two_conditional_puts_one_wins_also_at_the_same_time() {
    let rig = Rig::start().await;
    let client = rig.s3();
    let put =
        |text: &str| client.put_object().bucket("uploads").key("uploads/x").if_none_match("*").body(body(text)).send();
    let results = futures::future::join_all((0..8).map(|n| put(&n.to_string().repeat(100_000)))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for error in results.into_iter().filter_map(Result::err) {
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 412);
    }
    assert_eq!(put("again").await.unwrap_err().raw_response().unwrap().status().as_u16(), 412);
}

#[tokio::test]
async fn an_object_has_a_checksum_which_is_told_who_asks() {
    let rig = Rig::start().await;
    let client = rig.s3();
    client.put_object().bucket("uploads").key("uploads/x").body(body("hello world!")).send().await.unwrap();
    let head = || client.head_object().bucket("uploads").key("uploads/x");
    let told = head().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    // As the documentation of the crate `crc64fast-nvme` has it.
    assert_eq!(told.checksum_crc64_nvme(), Some("2RYNH6jkGOM="));
    assert_eq!(told.checksum_type(), Some(&ChecksumType::FullObject));
    assert_eq!(head().send().await.unwrap().checksum_crc64_nvme(), None);
}

#[tokio::test]
async fn a_version_outlives_the_next_object_of_its_key() {
    let rig = Rig::start().await;
    let client = rig.s3();
    let put = |text: &str| client.put_object().bucket("uploads").key("uploads/x").body(body(text)).send();
    let first = put("first").await.unwrap().version_id.unwrap();
    let second = put("the second").await.unwrap().version_id.unwrap();
    assert!(first < second);
    let get = |version: Option<&str>| {
        let request = client.get_object().bucket("uploads").key("uploads/x").set_version_id(version.map(str::to_owned));
        async move {
            let output = request.send().await.unwrap();
            (output.version_id.clone().unwrap(), output.body.collect().await.unwrap().into_bytes())
        }
    };
    assert_eq!(get(Some(&first)).await, (first.clone(), "first".into()));
    assert_eq!(get(None).await, (second.clone(), "the second".into()));
    let head = client.head_object().bucket("uploads").key("uploads/x").version_id(&first).send().await.unwrap();
    assert_eq!(head.content_length(), Some(5));

    client.delete_object().bucket("uploads").key("uploads/x").send().await.unwrap();
    let gone = client.get_object().bucket("uploads").key("uploads/x").send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_key());
    assert_eq!(get(Some(&second)).await.1, "the second");
    client.delete_object().bucket("uploads").key("uploads/x").version_id(&second).send().await.unwrap();
    let gone = client.get_object().bucket("uploads").key("uploads/x").version_id(&second).send().await.unwrap_err();
    assert_eq!(gone.raw_response().unwrap().status().as_u16(), 404);
    let other_key = client.get_object().bucket("uploads").key("uploads/y").version_id(&first).send().await.unwrap_err();
    assert_eq!(other_key.raw_response().unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn the_versions_of_a_key_are_listed_in_pages_until_they_are_removed() {
    let rig = Rig::start().await;
    let client = rig.s3();
    let mut stored = Vec::new();
    for key in ["uploads/x", "uploads/xy", "uploads/x", "uploads/x"] {
        let put = client.put_object().bucket("uploads").key(key).body(body(key)).send().await.unwrap();
        if key == "uploads/x" {
            stored.insert(0, put.version_id.unwrap());
        }
    }
    let list = || client.list_object_versions().bucket("uploads").prefix("uploads/x").max_keys(2);
    let shown = |page: &aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput| {
        let shown = page.versions().iter().filter(|version| version.key() == Some("uploads/x"));
        shown
            .map(|version| (version.version_id().unwrap().to_owned(), version.is_latest().unwrap()))
            .collect::<Vec<_>>()
    };
    let first = list().send().await.unwrap();
    assert_eq!(first.is_truncated(), Some(true));
    assert_eq!(shown(&first), [(stored[0].clone(), true), (stored[1].clone(), false)]);
    // What a page has named may be gone when the next one is asked for.
    let remove =
        |version: &String| client.delete_object().bucket("uploads").key("uploads/x").version_id(version).send();
    remove(&stored[1]).await.unwrap();
    let next = list().key_marker(first.next_key_marker().unwrap());
    let second = next.version_id_marker(first.next_version_id_marker().unwrap()).send().await.unwrap();
    assert_eq!((second.is_truncated(), shown(&second)), (Some(false), vec![(stored[2].clone(), false)]));
    // A deleted object has its versions, and no latest one.
    client.delete_object().bucket("uploads").key("uploads/x").send().await.unwrap();
    assert_eq!(shown(&list().send().await.unwrap()), [(stored[0].clone(), false), (stored[2].clone(), false)]);
    for version in [&stored[0], &stored[2]] {
        remove(version).await.unwrap();
    }
    assert_eq!(shown(&list().send().await.unwrap()), []);
    assert!(client.head_object().bucket("uploads").key("uploads/xy").send().await.is_ok());
}

#[tokio::test]
async fn reads_honour_ranges_and_conditions() {
    let rig = Rig::start().await;
    let client = rig.s3();
    let etag =
        client.put_object().bucket("results").key("a/b").body(body("0123456789")).send().await.unwrap().e_tag.unwrap();
    let get = || client.get_object().bucket("results").key("a/b");
    let part = get().range("bytes=3-5").if_match(&etag).send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 3-5/10"));
    assert_eq!(part.body.collect().await.unwrap().into_bytes(), "345");
    let tail = get().range("bytes=8-").send().await.unwrap();
    assert_eq!(tail.body.collect().await.unwrap().into_bytes(), "89");
    let status = |error: Option<u16>| error.unwrap();
    let refused = get().if_match("\"another\"").send().await.unwrap_err();
    assert_eq!(status(refused.raw_response().map(|response| response.status().as_u16())), 412);
    let beyond = get().range("bytes=10-").send().await.unwrap_err();
    assert_eq!(status(beyond.raw_response().map(|response| response.status().as_u16())), 416);
}

#[tokio::test]
async fn lists_and_multipart_uploads_pass_through() {
    let mut rig = Rig::start().await;
    let client = rig.s3();
    let key = "uploads/large";
    let upload = client.create_multipart_upload().bucket("uploads").key(key).send().await.unwrap().upload_id.unwrap();
    let mut parts = Vec::new();
    for (number, size) in [(1, 5 << 20), (2, 10)] {
        let part = vec![b'x'; size];
        let request =
            client.upload_part().bucket("uploads").key(key).upload_id(&upload).part_number(number).body(part.into());
        let etag = request.send().await.unwrap().e_tag.unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete =
        client.complete_multipart_upload().bucket("uploads").key(key).upload_id(&upload).multipart_upload(parts);
    let complete = complete.send().await.unwrap();
    assert_eq!(complete.key(), Some(key));

    let listed = client.list_objects_v2().bucket("uploads").prefix("uploads/").send().await.unwrap();
    let [object] = listed.contents() else { panic!("one object, and no version beside it") };
    assert_eq!((object.key(), object.size()), (Some(key), Some((5 << 20) + 10)));

    let taken = rig.instance().await.next().await;
    let record = &taken.event["Records"][0];
    assert_eq!(record["eventName"], "ObjectCreated:CompleteMultipartUpload");
    assert_eq!(record["s3"]["object"]["versionId"], json!(complete.version_id()));
    assert_eq!(format!("\"{}\"", record["s3"]["object"]["eTag"].as_str().unwrap()), complete.e_tag().unwrap());
}

#[tokio::test]
async fn a_form_whose_policy_has_expired_by_the_local_clock_is_refused() {
    let rig = Rig::start().await;
    let expiration = crate::clock::rfc3339(rig.clock.now_ms() + 60_000);
    let policy = json!({ "expiration": expiration, "conditions": [] }).to_string();
    let policy = base64::engine::general_purpose::STANDARD.encode(policy);
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nuploads/x\r\n\
         --b\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\n{policy}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nx\r\n--b--\r\n"
    );
    let post = || {
        let request =
            rig.http.post(format!("{}/uploads", rig.s3_url)).header("content-type", "multipart/form-data; boundary=b");
        let request = request.body(form.clone());
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    assert!(!post().await.contains("Request has expired"));
    rig.clock.advance(Duration::from_secs(61)).unwrap();
    assert!(post().await.contains("Request has expired"));
}

#[tokio::test]
async fn foul_weather_doubles_and_delays_events() {
    let mut rig =
        Rig::with(Faults { event_late: 1.0, event_twice: 1.0, event_for_another_key: 1.0, ..Faults::default() }).await;
    rig.s3().put_object().bucket("uploads").key("uploads/x").body(body("x")).send().await.unwrap();
    let (first, second) = (rig.instance().await, rig.instance().await);
    let (one, two) = tokio::join!(first.next(), second.next());
    let key = |event: &serde_json::Value| event["Records"][0]["s3"]["object"]["key"].as_str().unwrap().to_owned();
    let mut keys = [key(&one.event), key(&two.event)];
    keys.sort_by_key(String::len);
    assert_eq!(keys[0], "uploads/x");
    assert_ne!(keys[1], "uploads/x");

    first.answer(&one.request_id, "response", "null").await;
    rig.clock.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(key(&first.next().await.event), "uploads/x");
}

/// A multipart upload of `uploads/x` whose parts have been sent: its id and its parts.
async fn sent_parts(client: &aws_sdk_s3::Client, parts: &[&str]) -> (String, CompletedMultipartUpload) {
    let begun = client.create_multipart_upload().bucket("uploads").key("uploads/x").send().await.unwrap();
    let id = begun.upload_id.unwrap();
    let mut sent = Vec::new();
    for (number, part) in (1..).zip(parts) {
        let request = client.upload_part().bucket("uploads").key("uploads/x").upload_id(&id).part_number(number);
        let etag = request.body(body(part)).send().await.unwrap().e_tag.unwrap();
        sent.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    (id, CompletedMultipartUpload::builder().set_parts(Some(sent)).build())
}

async fn stored(client: &aws_sdk_s3::Client) -> Vec<u8> {
    let got = client.get_object().bucket("uploads").key("uploads/x").send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

#[tokio::test]
async fn parts_are_joined_though_whoever_asked_is_gone() {
    let rig = Rig::start().await;
    let client = rig.s3();
    let parts = ["a", "b", "c", "d"].map(|part| part.repeat(8 << 20));
    let (id, named) = sent_parts(&client, &parts.each_ref().map(String::as_str)).await;
    let complete = || {
        let request = client.complete_multipart_upload().bucket("uploads").key("uploads/x").upload_id(&id);
        request.if_none_match("*").multipart_upload(named.clone()).send()
    };
    // Given up while it is under way: no part has its place any more before all are joined.
    let first = rig.root().join(format!(".upload_id-{id}.part-1"));
    let mut given_up = Box::pin(complete());
    while first.exists() {
        let asked = tokio::time::timeout(Duration::from_millis(1), &mut given_up).await;
        assert!(asked.is_err(), "it takes longer than that");
    }
    drop(given_up);
    // A repeat waits for the first, and finds that the upload has ended.
    let again = complete().await.unwrap_err();
    assert!(matches!(again.raw_response().unwrap().status().as_u16(), 404 | 412), "{again:?}");
    assert!(stored(&client).await == parts.concat().into_bytes());
    assert_eq!(rig.left_of(&id), [""; 0]);
}

#[tokio::test]
async fn parts_that_cannot_be_joined_stay_as_they_were() {
    let rig = Rig::start().await;
    let client = rig.s3();
    let parts = ["a", "b", "c"].map(|part| part.repeat(5 << 20));
    let (id, named) = sent_parts(&client, &parts.each_ref().map(String::as_str)).await;
    let complete = || {
        let request = client.complete_multipart_upload().bucket("uploads").key("uploads/x").upload_id(&id);
        request.multipart_upload(named.clone()).send()
    };
    // The first part has been joined and removed by the time that the second is not found.
    let second = rig.root().join(format!(".upload_id-{id}.part-2"));
    let elsewhere = rig.root().join("elsewhere");
    std::fs::rename(&second, &elsewhere).unwrap();
    assert_eq!(complete().await.unwrap_err().raw_response().unwrap().status().as_u16(), 500);
    assert!(client.head_object().bucket("uploads").key("uploads/x").send().await.is_err());
    let listed = client.list_parts().bucket("uploads").key("uploads/x").upload_id(&id).send().await.unwrap();
    assert_eq!(listed.parts().len(), 3);
    std::fs::rename(&elsewhere, &second).unwrap();
    complete().await.unwrap();
    assert!(stored(&client).await == parts.concat().into_bytes());
    assert_eq!(rig.left_of(&id), [""; 0]);
}

/// S3 takes numbers with gaps, and leaves out what is not named.
#[tokio::test]
async fn parts_may_be_numbered_with_gaps_and_one_that_is_not_named_is_none() {
    let rig = Rig::start().await;
    let client = rig.s3();
    let begun = client.create_multipart_upload().bucket("uploads").key("uploads/x").send().await.unwrap();
    let id = begun.upload_id.unwrap();
    let mut named = Vec::new();
    for (number, letter) in [(2, "a"), (3, "b"), (5, "c"), (6, "d")] {
        let body = letter.repeat(5 << 20).into_bytes();
        let request = client.upload_part().bucket("uploads").key("uploads/x").upload_id(&id).part_number(number);
        let etag = request.body(body.into()).send().await.unwrap().e_tag.unwrap();
        if number != 3 {
            named.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
        }
    }
    let named = CompletedMultipartUpload::builder().set_parts(Some(named)).build();
    let request = client.complete_multipart_upload().bucket("uploads").key("uploads/x").upload_id(&id);
    request.multipart_upload(named).send().await.unwrap();
    assert!(stored(&client).await == ["a", "c", "d"].map(|letter| letter.repeat(5 << 20)).concat().into_bytes());
    assert_eq!(rig.left_of(&id), [""; 0]);
}
