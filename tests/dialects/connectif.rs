//! Connectif: a form with the file last, `total` at once, ten at a time.

use std::time::Duration;

use penstock_model::Scope;
use reqwest::{Method, multipart};
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    crowd::{Caller, Ended, ROWS},
    documents::{Body, Document, ErrorForm},
    key,
    support::{Stack, TOKEN, http::send},
    transcript::{named, play, play_on},
};

pub(crate) static DOCUMENT: Document = Document {
    dialect: "connectif",
    tests: include_str!("connectif.rs"),
    form: ErrorForm { code: Some("/error"), message: "/message", status: None },
    path: "/imports/imp_x",
    upload: Some(("/imports", Body::Form)),
    refusals: &[
        (400, "invalid_parameter"),
        (400, "invalid_form"),
        (400, "invalid_file"),
        (400, "invalid_query"),
        (400, "invalid_limit"),
        (400, "invalid_cursor"),
        (409, "not_deletable"),
        (415, "unsupported_media_type"),
        (429, "too_many_imports"),
    ],
    client: |caller| Box::pin(client(caller)),
};

const IMPORT: &str = include_str!("connectif/contacts.txt");

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_imported_listed_and_deleted() {
    let stack = Stack::start().await;
    let first = play_on(&stack, IMPORT, named(&[("override", "true"), ("fill", "false"), ("john", "John")])).await;
    assert!(matches!(first["early"].as_str(), "queued" | "inProgress" | "finished"), "{first:?}");
    let report = send(reqwest::Client::new().get(&first["url"])).await;
    assert!(report.status == 200 && report.text().contains("micheal@example.org"), "{report:?}");

    let name = async || stack.client.record("contacts", "john@example.org").await.expect("answers").expect("there");
    for (overrides, fill, john, then) in
        [("false", "false", "Jack", "John"), ("true", "true", "Jim", "John"), ("true", "false", "Joe", "Joe")]
    {
        play_on(&stack, IMPORT, named(&[("override", overrides), ("fill", fill), ("john", john)])).await;
        assert_eq!(name().await["fields"]["_name"], then, "{overrides} {fill}");
    }
    let listed = stack.get("/imports?limit=3").await.json();
    assert_eq!(listed["imports"].as_array().map(Vec::len), Some(3));
    let rest = stack.get(&format!("/imports?cursor={}", listed["nextCursor"].as_str().expect("more"))).await.json();
    assert_eq!(rest["imports"][0]["id"], first["id"]);
    play_on(&stack, include_str!("connectif/deletion.txt"), first).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_form_is_said_in_json() {
    let stack = Stack::start().await;
    for (field, value, said) in [
        ("type", "orders", "type is contacts, products or vouchers"),
        ("delimiter", "|", "delimiter is , or ;"),
        ("overrideExisting", "yes", "overrideExisting is true or false"),
        ("updateOnlyEmptyFields", "true", "updateOnlyEmptyFields needs overrideExisting"),
    ] {
        // The field in question after the file.
        let names = named(&[("field", field), ("value", value), ("type", if field == "type" { "x" } else { "type" })]);
        let names = play_on(&stack, include_str!("connectif/parameters.txt"), names).await;
        assert_eq!(names["message"], said);
    }
    play(&stack, include_str!("connectif/unreadable.txt")).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_no_import() {
    let stack = Stack::start().await;
    let (reader, writer) = (key(&stack, &[Scope::ImportRead]).await, key(&stack, &[Scope::ImportWrite]).await);
    let long = "x".repeat(64 * 1024 + 1);
    let names = named(&[("reader", &reader), ("writer", &writer), ("a field that is too long", &long)]);
    play_on(&stack, include_str!("connectif/refusals.txt"), names).await;
    // What is packed, a workbook, or in UTF-16, is no CSV in UTF-8 either.
    for start in [
        &b"\x1f\x8b\x08\0"[..],
        b"\x28\xb5\x2f\xfd",
        b"PK\x03\x04",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"{\"a\":1}\n",
        b"\xff\xfe_\0e\0m\0a\0i\0l\0\n\0",
    ] {
        let file = multipart::Part::bytes(start.to_vec()).file_name("contacts.csv");
        let form = multipart::Form::new().text("type", "contacts").part("file", file);
        let refused = send(stack.request(Method::POST, "/imports").bearer_auth(TOKEN).multipart(form)).await;
        assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_file")), "{start:?}");
    }
    stack.cloud.idle().await;
    assert_eq!(stack.get("/v1/imports").await.json()["imports"], json!([]));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_and_vouchers_are_imported_with_the_accounts_own_fields() {
    let stack = Stack::start().await;
    for (name, shown, key, kind) in [
        ("products", "products", "product_id", "connectif-products"),
        ("vouchers", "vouchers", "code", "vouchers"),
        ("coupons", "vouchers", "code", "vouchers"),
    ] {
        let names = named(&[("type", name), ("shown", shown), ("key", key)]);
        play_on(&stack, include_str!("connectif/types.txt"), names).await;
        let record = stack.client.record(kind, "007").await.expect("answers").expect("there");
        assert_eq!(record["fields"]["colour"], "dark; blue", "{name}");
    }
    stack.stop().await;
}

/// The first answer's `total` is what the import comes to in the end, whatever is in the file.
#[tokio::test(flavor = "multi_thread")]
async fn the_total_of_the_first_answer_is_exact() {
    let stack = Stack::start().await;
    for (file, total) in [
        ("_email,_name\na@example.org,\"two\nlines\"\nb@example.org,x\n", 2),
        ("\u{feff}_email,_name\r\na@example.org,\"a \"\"b\"\", c\"\r\nb@example.org,x", 2),
        ("\u{feff}\"_email\",_name\na@example.org,x\n", 1),
        ("\n\r\n\n_email,_name\n\n\na@example.org,x\n\r\n\nb@example.org,x\n\n", 2),
        ("_email,_name\ra@example.org,x\rb@example.org,x\r", 2),
        ("_email,_name\na@example.org,x\nb@example.org,\"never closed\nc@example.org,x\nd@example.org,x\n", 2),
        ("_email,_name\na@example.org\nb@example.org,x,y\n,\n", 2),
        ("_email\n", 0),
        ("_email", 0),
        ("", 0),
        ("\"never closed\na,b\n", 0),
    ] {
        let request = stack.request(Method::POST, "/imports").header("authorization", format!("apiKey {TOKEN}"));
        let created = send(request.multipart(form(file.to_owned()))).await.json();
        assert_eq!(created["total"], total, "{file:?}");
        let id = created["id"].as_str().expect("an id");
        let ended = stack.ended(id).await;
        assert_eq!(ended.rows.total.unwrap_or(0), total, "{file:?}");
        let shown = stack.get(&format!("/imports/{id}")).await.json();
        assert_eq!(shown["total"], total, "{file:?}");
    }
    // Bytes that are no UTF-8 do not make it another encoding, in which rows may end elsewhere: they cost their rows.
    let file = multipart::Part::bytes(b"_email,_name\na@example.org,J\xfcrgen\ne@example.org,x\n".to_vec());
    let form = multipart::Form::new().text("type", "contacts").part("file", file.file_name("contacts.csv"));
    let created = send(stack.request(Method::POST, "/imports").bearer_auth(TOKEN).multipart(form)).await.json();
    let ended = stack.ended(created["id"].as_str().expect("an id")).await;
    assert_eq!((&created["total"], ended.rows.created, ended.rows.failed), (&json!(2), 1, 1));
    stack.stop().await;
}

fn form(file: String) -> multipart::Form {
    let file = multipart::Part::text(file).file_name("contacts.csv");
    multipart::Form::new().text("type", "contacts").text("overrideExisting", "true").part("file", file)
}

/// Of many at once, exactly ten are taken; when one has ended there is room for another.
#[tokio::test(flavor = "multi_thread")]
async fn at_most_ten_imports_are_queued_or_running() {
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.faults.seed = 1;
        options.faults.message_delayed = 1.0;
        options.faults.delay = Duration::from_secs(3600);
        options.faults.event_lost = 1.0;
    })
    .await;
    let post = |token: &str| {
        let request = stack.request(Method::POST, "/imports").header("authorization", format!("apiKey {token}"));
        send(request.multipart(form("_email\na@example.org\n".to_owned())))
    };
    let mut posts = JoinSet::new();
    for _ in 0..14 {
        posts.spawn(post(TOKEN));
    }
    let answers = posts.join_all().await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 10);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((refused.status, refused.json()["error"].as_str()), (429, Some("too_many_imports")));
        assert_eq!(refused.header("retry-after"), Some("5"));
    }
    let listed = stack.get("/imports").await.json();
    let running = named(&[("running", listed["imports"][0]["id"].as_str().expect("an id"))]);
    play_on(&stack, include_str!("connectif/full.txt"), running).await;
    // Another account has a quota of its own.
    assert_eq!(post(super::support::OTHER_TOKEN).await.status, 201);
    let listed = stack.get("/imports").await.json();
    assert_eq!(listed["imports"].as_array().map(Vec::len), Some(10));
    let id = listed["imports"][0]["id"].as_str().expect("an id");
    stack.client.cancel(id).await.expect("cancelled");
    assert_eq!(stack.get(&format!("/imports/{id}")).await.json()["status"], json!("cancelled"));
    assert_eq!((post(TOKEN).await.status, post(TOKEN).await.status), (201, 429));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_megabytes_are_taken_and_a_byte_more_is_not() {
    let stack = Stack::start().await;
    let limit = 50 * 1024 * 1024;
    let head = "_email,_name\na@example.org,x\n";
    let file = format!("{head}{}", "\n".repeat(limit - head.len()));
    let post = |file| {
        let request = stack.request(Method::POST, "/imports").header("authorization", format!("apiKey {TOKEN}"));
        send(request.multipart(form(file)))
    };
    let refused = post(format!("{file}\n")).await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (413, Some("body_too_large")));
    let taken = post(file).await;
    assert_eq!((taken.status, taken.json()["total"].as_u64()), (201, Some(1)));
    assert_eq!(stack.ended(taken.json()["id"].as_str().expect("an id")).await.rows.created, 1);
    assert_eq!(stack.get("/imports").await.json()["imports"].as_array().map(Vec::len), Some(1));
    stack.stop().await;
}

/// One account's client in the crowd: a form whose first row has no address.
async fn client(caller: &Caller<'_>) -> Ended {
    let credential = || ("authorization", format!("apiKey {}", caller.token));
    let mut file = String::from("_email,_name\nnobody,x\n");
    (1..=ROWS).for_each(|row| file.push_str(&format!("a{row}@example.org,{}\n", caller.says())));
    let file = multipart::Part::text(file).file_name("contacts.csv");
    let form = multipart::Form::new().text("type", "contacts").text("overrideExisting", "true").part("file", file);
    let created = send(caller.ask(Method::POST, "/imports", credential()).multipart(form)).await.json();
    assert_eq!(created["total"], json!(ROWS + 1), "{created}");
    let id = created["id"].as_str().expect("an id");
    let path = format!("/imports/{id}");
    let status = caller.ended(id, &path, credential(), &["finished", "error"]).await;
    assert_eq!((&status["success"], &status["errors"]), (&json!(ROWS), &json!(1)), "{status}");
    Ended { path, imports: 1, record: ("contacts", "a1@example.org", "_name") }
}
