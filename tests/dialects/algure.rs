//! Algure: an id by POST, a CSV by PUT, exactly 201.

use penstock_model::Scope;
use reqwest::Method;
use serde_json::json;

use super::{
    crowd::{Caller, Ended, ROWS},
    documents::{Document, ErrorForm},
    key,
    support::{Stack, TOKEN, http::send},
    transcript::{named, play, play_on},
};

pub(crate) static DOCUMENT: Document = Document {
    dialect: "algure",
    tests: include_str!("algure.rs"),
    form: ErrorForm { code: Some("/error/code"), message: "/error/message", status: None },
    path: "/v1/products/imports",
    upload: None,
    refusals: &[
        (400, "invalid_query"),
        (400, "invalid_limit"),
        (400, "invalid_cursor"),
        (409, "already_uploaded"),
        (409, "import_cancelled"),
        (410, "import_expired"),
        (415, "unsupported_media_type"),
    ],
    client: |caller| Box::pin(client(caller)),
};

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_created_uploaded_and_reported() {
    let stack = Stack::start().await;
    let names = play(&stack, include_str!("algure/feed.txt")).await;
    assert!(names["id"].starts_with("imp_"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_of_refusals_holds() {
    let stack = Stack::start().await;
    let large = "x".repeat(10 * 1024 * 1024 + 1);
    let reader = key(&stack, &[Scope::ImportRead]).await;
    let names = named(&[("reader", &reader), ("a byte too many", &large)]);
    play_on(&stack, include_str!("algure/refusals.txt"), names).await;
    play(&stack, include_str!("algure/expiry.txt")).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_ten_megabytes_is_taken() {
    let stack = Stack::start().await;
    let created = stack.ask(Method::POST, "/v1/products/import").await.json();
    let id = created["id"].as_str().expect("an id");
    let mut feed =
        b"code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\nA,d,1,W,L,1,1\n".to_vec();
    feed.resize(10 * 1024 * 1024, b'\n');
    let pieces = feed.chunks(1 << 16).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
    let request = stack.request(Method::PUT, &format!("/v1/products/import/{id}")).bearer_auth(TOKEN);
    let request = request.header("content-type", "text/csv");
    let answer = send(request.body(reqwest::Body::wrap_stream(futures::stream::iter(pieces)))).await;
    assert_eq!((answer.status, answer.text()), (201, ""));
    assert_eq!(stack.ended(id).await.rows.created, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_columns_bounds_and_keys_are_those_of_the_feed() {
    let stack = Stack::start().await;
    let text = |length: usize| "x".repeat(length);
    let names = named(&[("80", &text(80)), ("100", &text(100)), ("250", &text(250))]);
    let names = play_on(&stack, include_str!("algure/bounds.txt"), names).await;
    let errors = stack.errors(&names["id"]).await;
    let found: Vec<_> = errors.iter().map(|error| (error.row, error.field.as_deref(), error.code.as_str())).collect();
    let wanted = [
        (2, Some("code"), "too_long"),
        (3, Some("description"), "too_long"),
        (4, Some("stock"), "too_small"),
        (5, Some("warehouseCode"), "too_long"),
        (6, Some("locationCode"), "too_long"),
        (7, Some("costPrice"), "too_small"),
        (8, Some("packagingUnit"), "too_small"),
        (9, Some("costPrice"), "too_precise"),
        (10, Some("lot"), "too_long"),
        (12, Some("code"), "required"),
        (13, None, "ragged_row"),
    ];
    assert_eq!(found, wanted);
    assert_eq!(errors[2].key.as_deref(), Some("A-3,W,L,"));
    for (key, description, stock) in [
        ("A-13,W,L,", "5\" pipe", "1"),
        ("A-14,W,L,", "\"S\" hook", "1"),
        ("A-15,W,L,", "\"5 inch", "1"),
        ("A-16,W,L,", "6 inch\"", "1"),
        ("A-20,W,L,", "d", "7"),
        ("A-10,W,L,", "d", "7"),
        ("A-10,W,L,LOT1", "d", "8"),
    ] {
        let record = stack.client.record("algure-products", key).await.expect("answers").expect(key);
        let fields = &record["fields"];
        assert_eq!(
            (fields["description"].as_str(), fields["stock"].to_string()),
            (Some(description), stock.to_owned()),
            "{key}"
        );
        let cost = fields["costPrice"].to_string();
        assert!(fields.get("remark").is_none() && (key != "A-10,W,L," || cost == "123456789.123456"));
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_uploads_at_once_one_is_taken() {
    let stack = Stack::start().await;
    let created = stack.ask(Method::POST, "/v1/products/import").await.json();
    let id = created["id"].as_str().expect("an id").to_owned();
    let put = |code: &'static str| {
        let feed = format!(
            "code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\n{code},d,1,W,L,1,1\n{}",
            "\n".repeat(9 << 20)
        );
        let request = stack.request(Method::PUT, &format!("/v1/products/import/{id}")).bearer_auth(TOKEN);
        send(request.header("content-type", "text/csv").body(feed))
    };
    let (one, two) = tokio::join!(put("A"), put("B"));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let import = stack.ended(&id).await;
    assert_eq!(import.rows.created, 1);
    stack.stop().await;
}

/// One account's client in the crowd: a feed whose last row has a field too many.
async fn client(caller: &Caller<'_>) -> Ended {
    let created = send(caller.ask(Method::POST, "/v1/products/import", caller.bearer())).await.json();
    let id = created["id"].as_str().expect("an id");
    let path = format!("/v1/products/import/{id}");
    let mut feed = String::from("code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\n");
    for row in 1..=ROWS {
        feed.push_str(&format!("A-{row},{},1,W,L,1,1\n", caller.says()));
    }
    feed.push_str("A-0,much, too much,1,W,L,1,1\n");
    let put = caller.ask(Method::PUT, &path, caller.bearer()).header("content-type", "text/csv").body(feed);
    assert_eq!(send(put).await.status, 201);
    let status = caller.ended(id, &path, caller.bearer(), &["completed", "completed_with_errors"]).await;
    assert_eq!((&status["totalCreated"], &status["totalErrors"]), (&json!(ROWS), &json!(1)), "{status}");
    Ended { path, imports: 1, record: ("algure-products", "A-1,W,L,", "description") }
}
