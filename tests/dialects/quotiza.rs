//! Quotiza: up to a thousand products in a JSON body, a status by query or body, limits that hold exactly.

use futures::future::join_all;
use penstock_model::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    crowd::{Caller, Ended, ROWS},
    documents::{Body, Document, ErrorForm},
    key,
    support::{
        Stack, TOKEN, files,
        http::{Answer, send},
    },
    transcript::{named, play, play_on},
};

pub(crate) static DOCUMENT: Document = Document {
    dialect: "quotiza",
    tests: include_str!("quotiza.rs"),
    form: ErrorForm { code: Some("/error/code"), message: "/error/message", status: Some("/error/status") },
    path: "/api/v1/products/import_status",
    upload: Some(("/api/v1/products/import", Body::Json)),
    refusals: &[
        (400, "invalid_products_data"),
        (400, "missing_account_id"),
        (404, "account_not_found"),
        (404, "job_not_found"),
        (413, "too_many_products"),
        (429, "throttle_limit_reached"),
    ],
    client: |caller| Box::pin(client(caller)),
};

async fn unlimited() -> Stack {
    let off = "quotiza.all.address=off,quotiza.imports.address=off,quotiza.imports.account=off";
    Stack::with(|options| options.environment.push(("PENSTOCK_RATE_LIMITS".into(), off.into()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_of_the_document_has_its_answer() {
    let stack = unlimited().await;
    let products: Vec<String> = (0..1001).map(|n| format!("{{\"sku\":\"{n}\"}}")).collect();
    let reader = key(&stack, &[Scope::ImportRead]).await;
    let large = "x".repeat(10 * 1024 * 1024 + 1);
    let names = named(&[("many", &products.join(",")), ("reader", &reader), ("a byte too many", &large)]);
    play_on(&stack, include_str!("quotiza/refusals.txt"), names).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_imported_and_each_that_fails_says_why() {
    let stack = unlimited().await;
    let names = named(&[("300000", &"x".repeat(300_000))]);
    play_on(&stack, include_str!("quotiza/import.txt"), names).await;
    let record = stack.get("/v1/records/products/GHI789").await;
    // Not one digit of a number is lost on the way, and a number is as good as a string where one belongs.
    assert!(record.text().contains("\"cost\":0.10000000000000000000000000000000000001"), "{}", record.text());
    let record = stack.client.record("products", "GHI789").await.expect("answers").expect("there");
    let fields = &record["fields"];
    let shown = [&fields["upc"], &fields["active"], &fields["base_units_per_sales_unit"]];
    assert_eq!(shown, [&json!("36000291452"), &json!(true), &json!(1)]);
    // The failed product's record is as the import before has left it.
    let record = stack.client.record("products", "DEF456").await.expect("answers").expect("there");
    assert_eq!(record["fields"]["name"], "Stylish Jeans");
    stack.stop().await;
}

/// A thousand products are taken, and a failure of each is shown; an import from elsewhere may have more.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_shows_the_first_thousand_errors() {
    let stack = unlimited().await;
    let products: Vec<Value> = (1..=1_000).map(|n| json!({ "sku": format!("S-{n}"), "cost": "x" })).collect();
    let request = stack.request(Method::POST, "/api/v1/products/import").bearer_auth(TOKEN);
    let answer = send(request.json(&json!({ "account_id": "1", "products": products }))).await;
    let mut file = String::from("sku,name,brand,cost\n");
    (1..=1_001).for_each(|n| file.push_str(&format!("S-{n},,,x\n")));
    let from_elsewhere = stack.import(file.as_bytes()).await.id;
    for (id, count) in [(answer.json()["job_id"].as_str().expect("an id"), 1_000), (from_elsewhere.as_str(), 1_001)] {
        stack.ended(id).await;
        let status = stack.get(&format!("/api/v1/products/import_status?account_id=1&job_id={id}")).await.json();
        assert_eq!((&status["total"], &status["failures"]), (&json!(count), &json!(count)));
        let errors = status["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 1_000);
        for (at, error) in errors.iter().enumerate() {
            assert_eq!((&error["line"], &error["sku"]), (&json!(at + 1), &json!(format!("S-{}", at + 1))));
        }
    }
    stack.stop().await;
}

/// By query or in the body of a GET; for an import that was made elsewhere too.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_asked_for_by_query_or_body() {
    let stack = unlimited().await;
    let mut file = files::plain(0, 3, "1");
    file.extend(b"DEF456,,Brand,1\n");
    let import = stack.import(&file).await;
    let names = named(&[("id", &import.id)]);
    play_on(&stack, include_str!("quotiza/status.txt"), names).await;
    stack.stop().await;
}

/// The sixth import in a minute is refused, the one after the window is not; a refusal counts for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn imports_are_limited_to_five_a_minute() {
    let stack = Stack::start().await;
    let post = async || {
        let request = stack.request(Method::POST, "/api/v1/products/import").bearer_auth(TOKEN);
        send(request.json(&json!({ "account_id": "1", "products": [{ "sku": "A", "name": "a", "brand": "b" }] }))).await
    };
    for _ in 0..5 {
        assert_eq!(post().await.status, 202);
    }
    for _ in 0..8 {
        let names = play(&stack, include_str!("quotiza/limits.txt")).await;
        let seconds: u64 = names["seconds"].parse().expect("seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(names["message"], format!("Rate limit exceeded. Try again in {seconds} seconds."));
    }
    // Five of the ten that an address has are left: the refused ones took none.
    for _ in 0..5 {
        assert_eq!(stack.get("/api/v1/products/import_status").await.status, 400);
    }
    assert_eq!(stack.get("/api/v1/products/import_status").await.status, 429);
    // Nor does another path of the host share them.
    assert_eq!(stack.get("/api/v1/imports/x").await.status, 404);
    stack.pass(std::time::Duration::from_secs(60)).await;
    assert_eq!(post().await.status, 202);
    stack.stop().await;
}

/// Imports the rows of the crowd.
pub(crate) async fn import(caller: &Caller<'_>) -> Answer {
    let mut products: Vec<Value> =
        (1..=ROWS).map(|row| json!({ "sku": format!("A-{row}"), "name": caller.says(), "brand": "B" })).collect();
    products.push(json!({ "sku": "A-0" }));
    let body = json!({ "account_id": caller.account, "products": products });
    send(caller.ask(Method::POST, "/api/v1/products/import", caller.bearer()).json(&body)).await
}

/// One account's client in the crowd: six imports at once, of which five pass, and the sixth is told when to try again.
async fn client(caller: &Caller<'_>) -> Ended {
    let answers = join_all((0..6).map(|_| import(caller))).await;
    let (taken, refused): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status == 202);
    assert_eq!((taken.len(), refused.len()), (5, 1), "account {}", caller.account);
    let seconds: u64 = refused[0].header("retry-after").expect("a wait").parse().expect("seconds");
    assert_eq!((refused[0].status, (1..=60).contains(&seconds)), (429, true), "{seconds}");
    let id = taken[0].json()["job_id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/products/import_status?account_id={}&job_id={id}", caller.account);
    let status = caller.ended(&id, &path, caller.bearer(), &["completed", "failed"]).await;
    assert_eq!((&status["successes"], &status["failures"]), (&json!(ROWS), &json!(1)), "{status}");
    Ended {
        path: path.replace(&format!("account_id={}", caller.account), "account_id=THEIRS"),
        imports: 5,
        record: ("products", "A-1", "name"),
    }
}
