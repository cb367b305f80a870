//! Files that come through the API: deaths on the way, what Lambda takes, what is held of them.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use penstock_model::Status;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    DOCUMENTS,
    documents::{Body, Document},
    front_door::FrontDoor,
    support::{
        Stack, TOKEN,
        crashes::{arm, armed, stack_with_crashes_and},
        http::{client, send},
        until,
    },
};

/// What API Gateway would hand to the function.
fn event(method: &str, path: &str, content_type: &str, body: &[u8]) -> String {
    let mut event: Value = serde_json::from_str(include_str!("../data/events/api-gateway-rest.json")).expect("JSON");
    let headers = json!({ "authorization": format!("Bearer {TOKEN}"), "content-type": content_type });
    let lists: serde_json::Map<String, Value> =
        headers.as_object().expect("an object").iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    event["httpMethod"] = json!(method);
    event["path"] = json!(path);
    event["requestContext"]["path"] = json!(path);
    event["requestContext"]["httpMethod"] = json!(method);
    event["headers"] = headers;
    event["multiValueHeaders"] = Value::Object(lists);
    event["queryStringParameters"] = Value::Null;
    event["multiValueQueryStringParameters"] = Value::Null;
    event["isBase64Encoded"] = json!(true);
    event["body"] = json!(STANDARD.encode(body));
    event.to_string()
}

fn form(file: &str) -> Vec<u8> {
    let part = "Content-Disposition: form-data; name=\"file\"; filename=\"c.csv\"";
    let kind = "Content-Disposition: form-data; name=\"type\"";
    format!("--X\r\n{part}\r\n\r\n{file}\r\n--X\r\n{kind}\r\n\r\ncontacts\r\n--X--\r\n").into_bytes()
}

/// The api dies between the file, the import and the order to split it; the storage's event, which came before the
/// import, is of no help.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_on_the_way_leaves_no_import_or_one_that_ends() {
    for (point, imports) in [("upload.stored", 0), ("upload.import_made", 1), ("upload.split_ordered", 1)] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes_and(folder.path(), |options| {
            let directory = (penstock_store::crash::DIRECTORY.to_owned(), folder.path().display().to_string());
            options.functions.api.environment.push(directory);
        })
        .await;
        arm(folder.path(), point);
        let payload = event("POST", "/imports", "multipart/form-data; boundary=X", &form("_email\na@example.org\n"));
        assert!(stack.cloud.invoke("api", payload).await.is_err(), "{point}");
        assert_eq!(armed(folder.path()), Vec::<String>::new(), "{point}");
        stack.cloud.quiet().await;
        let listed = stack.client.list(None, 10).await.expect("answers").imports;
        assert_eq!(listed.len(), imports, "{point}");
        for import in listed {
            let ended = stack.ended(&import.id).await;
            assert_eq!(
                (ended.status, ended.rows.created, ended.rows.total),
                (Status::Completed, 1, Some(1)),
                "{point}"
            );
        }
        stack.stop().await;
    }
}

/// The whole event of a file of 4.5 MB is just within the 6 MB that Lambda takes; beyond, the message names another
/// way.
#[tokio::test(flavor = "multi_thread")]
async fn in_lambda_a_larger_file_is_sent_the_presigned_way() {
    let stack = Stack::start().await;
    let created = stack.ask(Method::POST, "/v1/products/import").await.json();
    let id = created["id"].as_str().expect("an id");
    let mut feed =
        b"code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\nA,d,1,W,L,1,1\n".to_vec();
    feed.resize(4_500_001, b'\n');
    let put = async |feed: &[u8]| {
        let event = event("PUT", &format!("/v1/products/import/{id}"), "text/csv", feed);
        let answer = stack.cloud.invoke("api", event).await.expect("answers");
        serde_json::from_slice::<Value>(&answer).expect("JSON")
    };
    let refused = put(&feed).await;
    assert_eq!(refused["statusCode"], 413);
    let body: Value = serde_json::from_str(refused["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body["error"]["code"], "body_too_large");
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.contains("POST /v1/imports")), "{body}");
    assert_eq!(put(&feed[..4_500_000]).await["statusCode"], 201);
    assert_eq!(stack.ended(id).await.rows.created, 1);
    stack.stop().await;
}

/// The same holds for every dialect whose files come in a body that is posted, in the form of each.
#[tokio::test(flavor = "multi_thread")]
async fn in_lambda_each_dialect_names_the_presigned_way() {
    let stack = Stack::start().await;
    let large = "x".repeat(4_500_001);
    for Document { form: error, upload, .. } in DOCUMENTS {
        let Some((path, body)) = upload else { continue };
        let (content_type, body) = match body {
            Body::Form => ("multipart/form-data; boundary=X", form(&large)),
            Body::Json => ("application/json", large.clone().into_bytes()),
        };
        let answer = stack.cloud.invoke("api", event("POST", path, content_type, &body)).await.expect("answers");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["statusCode"], 413, "{path}");
        let body: Value = serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON");
        let code = error.code.map(|code| body.pointer(code).expect("a code"));
        assert!(code.is_none_or(|code| code == "body_too_large"), "{path}: {body}");
        let message = body.pointer(error.message).and_then(Value::as_str);
        assert!(message.is_some_and(|message| message.contains("POST /v1/imports")), "{path}: {body}");
    }
    stack.stop().await;
}

/// API Gateway tells the address of its peer; limits go by that.
#[tokio::test(flavor = "multi_thread")]
async fn in_lambda_the_address_is_what_api_gateway_tells() {
    let stack = Stack::start().await;
    let ask = async |address: &str| {
        let event = event("GET", "/api/v1/products/import_status", "application/json", b"{}");
        let mut event: Value = serde_json::from_str(&event).expect("JSON");
        event["requestContext"]["identity"]["sourceIp"] = json!(address);
        let answer = stack.cloud.invoke("api", event.to_string()).await.expect("answers");
        serde_json::from_slice::<Value>(&answer).expect("JSON")["statusCode"].clone()
    };
    for _ in 0..10 {
        assert_eq!(ask("203.0.113.1").await, 400);
    }
    assert_eq!((ask("203.0.113.1").await, ask("203.0.113.2").await), (json!(429), json!(400)));
    stack.stop().await;
}

/// The parts of multipart uploads that the local S3 holds.
fn parts(data: &Path) -> usize {
    let entries = std::fs::read_dir(data.join("s3")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("upload")).filter(|name| name.starts_with('.')).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_leaves_no_parts() {
    let data = tempfile::tempdir().expect("a folder");
    let stack = Stack::with(|options| options.data = Some(data.path().to_owned())).await;
    let before = parts(data.path());
    let (account, import) = ("1".parse().expect("valid"), "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F".parse().expect("valid"));
    let mut upload = stack.cloud.store().upload(&account, &import, 64 << 20);
    upload.write(&vec![0; 20 << 20]).await.expect("taken");
    assert!(parts(data.path()) > before, "parts are stored");
    assert!(upload.write(&vec![0; 50 << 20]).await.is_err());
    drop(upload);
    // It is aborted in the background.
    until("the parts are gone", async || parts(data.path()) <= before).await;
    stack.stop().await;
}

/// The process's largest resident memory so far, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("KiB")
}

/// `penstock serve` in front of the stack: 50 MB stream through it.
#[tokio::test(flavor = "multi_thread")]
async fn the_front_door_holds_a_few_parts_of_fifty_megabytes() {
    let stack = Stack::start().await;
    let server = FrontDoor::open(&stack, &[]);
    let url = &server.url;
    let head = "_email,_name\na@example.org,x\n";
    let post = |bytes: usize| {
        let file = format!("{head}{}", "b@example.org,yyyyyyyyyyyyyyyyyyyyyyyyy\n".repeat((bytes - head.len()) / 40));
        let form = reqwest::multipart::Form::new().text("type", "contacts").text("overrideExisting", "true");
        let form = form.part("file", reqwest::multipart::Part::text(file).file_name("contacts.csv"));
        send(client().post(format!("{url}/imports")).bearer_auth(TOKEN).multipart(form))
    };
    assert_eq!(post(1000).await.status, 201);
    // The peak from here on (proc(5), clear_refs): what the first request took and gave back is not hidden in it.
    std::fs::write(format!("/proc/{}/clear_refs", server.id()), "5").expect("Linux forgets the peak");
    let before = peak_kib(server.id());
    let answer = post(50 << 20).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(answer.json()["total"].as_u64().is_some_and(|total| total > 1_300_000), "{answer:?}");
    let grown = peak_kib(server.id()) - before;
    assert!(grown < 64 * 1024, "{grown} KiB more");
    println!("{grown} KiB more");
    drop(server);
    stack.stop().await;
}
