//! What one account may have at work, and what it may keep: kinds and versions are bounded, listed by page and deleted
//! unless they are in use, names have a length on every way in, and a neighbour is answered while an account asks for
//! more than its share.

use std::collections::BTreeSet;

use futures::future::join_all;
use penstock_client::{Import, NewImport};
use penstock_engine::kind::Kind;
use penstock_model::{ImportOptions, Status, limits};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{OTHER_TOKEN, Stack, TOKEN, adds_up, http, upload};

async fn ask(stack: &Stack, token: &str, method: Method, path: &str, body: &Value) -> http::Answer {
    let request = stack.request(method, path).bearer_auth(token);
    http::send(if body.is_null() { request } else { request.body(body.to_string()) }).await
}

fn schema(title: usize) -> Value {
    let fields = json!([{ "name": "k" }, { "name": "n", "type": "integer" }]);
    json!({ "title": title.to_string(), "primaryKey": "k", "fields": fields })
}

async fn put(stack: &Stack, kind: &str, title: usize) -> http::Answer {
    ask(stack, TOKEN, Method::PUT, &format!("/v1/kinds/{kind}"), &schema(title)).await
}

async fn delete(stack: &Stack, path: &str) -> http::Answer {
    stack.ask(Method::DELETE, path).await
}

fn version(answer: &http::Answer) -> (u16, u64) {
    (answer.status, answer.json()["version"].as_u64().expect("a version"))
}

/// Every line of a list, read by pages of this size, which none is larger than.
async fn pages(stack: &Stack, path: &str, array: &str, limit: usize) -> Vec<Value> {
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stack.get(&format!("{path}?limit={limit}{cursor}")).await.json();
        let found = page[array].as_array().expect("an array").clone();
        assert!(!found.is_empty() && found.len() <= limit, "{page}");
        lines.extend(found);
        let Some(next) = page["next_cursor"].as_str() else { return lines };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_bounded_listed_by_page_and_make_room_when_they_are_deleted() {
    let stack = Stack::start().await;
    assert_eq!(version(&put(&stack, "many", 0).await), (201, 1));
    let (store, account) = (stack.cloud.store(), "1".parse().expect("valid"));
    for title in 1..limits::KIND_VERSIONS as usize {
        let document = schema(title).to_string();
        let parsed = Kind::parse_as(document.as_bytes(), &"many".parse().expect("valid")).expect("a schema");
        store.put_kind(&account, &parsed, &document).await.expect("is stored");
    }
    let (status, code, detail) = put(&stack, "many", 9_999).await.problem();
    assert_eq!((status, code.as_str()), (409, "too_many_versions"));
    assert!(detail.contains("1000 versions, the limit: delete those that are not in use"), "{detail}");
    // A repeat of the newest is no further version.
    let newest = limits::KIND_VERSIONS as usize - 1;
    assert_eq!(version(&put(&stack, "many", newest).await), (200, u64::from(limits::KIND_VERSIONS)));

    let listed = pages(&stack, "/v1/kinds/many/versions", "versions", 99).await;
    let numbers: Vec<u64> = listed.iter().map(|line| line["version"].as_u64().expect("a number")).collect();
    assert!(numbers.iter().copied().eq((1..=u64::from(limits::KIND_VERSIONS)).rev()), "{numbers:?}");
    let shown = stack.get("/v1/kinds/many/versions/7").await;
    assert_eq!((shown.header("penstock-kind-version"), shown.json()["title"].as_str()), (Some("7"), Some("6")));

    let refusal = delete(&stack, "/v1/kinds/many/versions/1000").await.refusal();
    assert_eq!(refusal, (409, "newest_version".to_owned()));
    assert_eq!(delete(&stack, "/v1/kinds/many/versions/7").await.status, 204);
    for gone in ["7", "0", "1001", "x"] {
        assert_eq!(delete(&stack, &format!("/v1/kinds/many/versions/{gone}")).await.status, 404, "{gone}");
    }
    assert_eq!(stack.get("/v1/kinds/many/versions/7").await.status, 404);
    assert_eq!(version(&put(&stack, "many", 9_999).await), (200, 1_001));
    assert_eq!(put(&stack, "many", 10_000).await.refusal().1, "too_many_versions");
    for limit in ["0", "101", "x"] {
        assert_eq!(stack.get(&format!("/v1/kinds/many/versions?limit={limit}")).await.status, 400, "{limit}");
    }
    assert_eq!(stack.get("/v1/kinds/many/versions?cursor=x").await.refusal().1, "invalid_cursor");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_listed_by_page_and_a_deleted_one_makes_room_without_its_numbers_starting_again() {
    let stack = Stack::start().await;
    for kind in 0..30 {
        assert_eq!(put(&stack, &format!("own-{kind:02}"), 0).await.status, 201);
    }
    assert_eq!(put(&stack, "own-07", 1).await.status, 200);
    let all: Vec<String> = stack.client.kinds().await.expect("answers").into_iter().map(|line| line.name).collect();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (42, 42));
    for limit in [1, 5, 12, 13, 42, 100] {
        let listed = pages(&stack, "/v1/kinds", "kinds", limit).await;
        let names: Vec<&str> = listed.iter().map(|line| line["name"].as_str().expect("a name")).collect();
        assert_eq!(names, all, "by {limit}");
    }
    let by_default = stack.get("/v1/kinds").await.json();
    assert_eq!(by_default["kinds"].as_array().expect("an array").len(), limits::PAGE_DEFAULT);

    assert_eq!(delete(&stack, "/v1/kinds/products").await.refusal(), (409, "bundled_kind".to_owned()));
    // Another account's is as good as none.
    assert_eq!(ask(&stack, OTHER_TOKEN, Method::DELETE, "/v1/kinds/own-07", &Value::Null).await.status, 404);
    assert_eq!(delete(&stack, "/v1/kinds/own-07").await.status, 204);
    assert_eq!(delete(&stack, "/v1/kinds/own-07").await.status, 404);
    for path in ["", "/versions", "/versions/1", "/template.csv"] {
        assert_eq!(stack.get(&format!("/v1/kinds/own-07{path}")).await.status, 404, "{path}");
    }
    assert_eq!(stack.client.kinds().await.expect("answers").len(), 41);
    assert_eq!(version(&put(&stack, "own-07", 1).await), (201, 3));
    stack.stop().await;
}

fn new(kind: &str) -> NewImport {
    NewImport { kind: Some(kind.to_owned()), ..NewImport::default() }
}

async fn create(stack: &Stack, kind: &str) -> Import {
    stack.client.create(&new(kind), None).await.expect("an import")
}

async fn import(stack: &Stack, kind: &str, file: &str) -> Import {
    let ended = stack.import_as(new(kind), file.as_bytes()).await;
    adds_up(&ended);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_stays_while_an_import_of_it_is_unfinished_and_its_order_outlives_it() {
    let stack = Stack::start().await;
    let in_use = (409, "kind_in_use".to_owned());
    assert_eq!(version(&put(&stack, "stock", 1).await), (201, 1));
    let first = create(&stack, "stock").await;
    assert_eq!(delete(&stack, "/v1/kinds/stock").await.refusal(), in_use);
    // What was refused has changed nothing.
    assert_eq!(version(&put(&stack, "stock", 1).await), (200, 1));
    assert_eq!(version(&put(&stack, "stock", 2).await), (200, 2));
    assert_eq!(delete(&stack, "/v1/kinds/stock/versions/1").await.refusal(), in_use);
    let second = create(&stack, "stock").await;
    stack.client.cancel(&first.id).await.expect("is cancelled");
    // The second one is of the second version.
    assert_eq!(delete(&stack, "/v1/kinds/stock/versions/1").await.status, 204);
    assert_eq!(delete(&stack, "/v1/kinds/stock").await.refusal(), in_use);
    assert_eq!(upload(&second, b"k,n\nA,1\nB,x\n").await, 200);
    let ended = stack.ended(&second.id).await;
    assert_eq!(ended.status, Status::CompletedWithErrors, "{ended:?}");
    for more in 2..6 {
        import(&stack, "stock", &format!("k,n\nA,{more}\n")).await;
    }

    // Its record has to go first. What is left of it then keeps out the imports that were accepted before.
    assert_eq!(delete(&stack, "/v1/kinds/stock").await.refusal(), (409, "kind_has_records".to_owned()));
    assert_eq!(delete(&stack, "/v1/records/stock/A").await.status, 204);
    assert_eq!(delete(&stack, "/v1/kinds/stock").await.status, 204);
    let refused = stack.post_import(json!({ "kind": "stock" }).to_string()).await;
    assert_eq!(refused.refusal(), (422, "unknown_kind".to_owned()));
    // An import of the new kind is later than all of the old one, and than the delete.
    assert_eq!(version(&put(&stack, "stock", 3).await), (201, 3));
    let ended = import(&stack, "stock", "k,n\nA,100\n").await;
    assert_eq!((ended.rows.updated, ended.rows.created), (0, 1), "{ended:?}");
    let record = stack.client.record("stock", "A").await.expect("answers").expect("a record");
    assert_eq!(record["fields"]["n"], 100);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_have_a_length_on_every_way_in() {
    let stack = Stack::start().await;
    let long = "x".repeat(limits::COLUMN_NAME_CHARS + 1);
    for (column, field) in [(long.as_str(), "sku"), ("Item", &long[..limits::FIELD_NAME_CHARS + 1])] {
        let body = json!({ "options": { "mapping": { column: field } } }).to_string();
        let (status, code, detail) = stack.post_import(body).await.problem();
        assert_eq!((status, code.as_str()), (422, "name_too_long"));
        assert!(detail.contains("the limit is") && detail.len() < 300, "{detail}");
        let form = reqwest::multipart::Form::new()
            .text("mapping", json!({ column: field }).to_string())
            .part("file", reqwest::multipart::Part::bytes(b"ean\n1\n".as_slice()).file_name("a.csv"));
        let answer =
            http::send(stack.request(Method::POST, "/api/v1/imports").bearer_auth(TOKEN).multipart(form)).await;
        assert_eq!(answer.status, 422);
        assert!(answer.json()["message"].as_str().expect("a message").contains("the limit is"), "{}", answer.text());
    }
    let ended = import(&stack, "products", &format!("sku,{long}\nA,1\n")).await;
    assert_eq!(ended.failure.expect("fails").code, "name_too_long");
    stack.stop().await;
}

/// A schema whose patterns take long to compile and to count, and are refused.
fn heavy() -> Value {
    let field = |at: usize| json!({ "name": format!("f{at}"), "constraints": { "pattern": format!("[a-z]{{1,{}}}", 500 + at) } });
    let fields: Vec<Value> = (0..limits::SCHEMA_PATTERNS - 1).map(field).collect();
    let last = json!({ "name": "z", "constraints": { "pattern": "[01]*1[01]{7269}" } });
    let fields = [vec![json!({ "name": "k" })], fields, vec![last]].concat();
    json!({ "primaryKey": "k", "fields": fields })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_is_answered_while_an_account_asks_for_more_than_its_share() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let neighbours = stack.client_of(OTHER_TOKEN).create(&NewImport::default(), None).await.expect("an import");
    let attack = async {
        let kinds = (0..2 * limits::WORK_ASKED).map(|at| {
            let stack = &stack;
            async move { ask(stack, TOKEN, Method::PUT, &format!("/v1/kinds/heavy-{at}"), &heavy()).await }
        });
        // The workbook that is none is looked at for its directory.
        let path = format!("/v1/imports/{}/preview", import.id);
        let body = [b"PK\x03\x04".to_vec(), vec![0; 500_000]].concat();
        let previews = (0..2 * limits::WORK_ASKED).map(|_| {
            let request = stack.request(Method::POST, &path).bearer_auth(TOKEN).body(body.clone());
            http::send(request)
        });
        futures::join!(join_all(kinds), join_all(previews))
    };
    let neighbour = async {
        for at in 0..10 {
            assert_eq!(stack.request(Method::GET, "/health").send().await.expect("answers").status(), 200);
            let small = json!({ "title": at.to_string(), "primaryKey": "k", "fields": [{ "name": "k" }] });
            let answer = ask(&stack, OTHER_TOKEN, Method::PUT, "/v1/kinds/small", &small).await;
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
            let preview = format!("/v1/imports/{}/preview", neighbours.id);
            let request =
                stack.request(Method::POST, &preview).bearer_auth(OTHER_TOKEN).body("sku,name,brand\nA,a,b\n");
            let answer = http::send(request).await;
            assert_eq!((answer.status, &answer.json()["rows"][0]["fields"]["sku"]), (200, &json!("A")));
        }
    };
    let ((kinds, previews), ()) = futures::join!(attack, neighbour);
    for answer in kinds.iter().chain(&previews) {
        let (status, code) = answer.refusal();
        assert!(status == 422 || (status, code.as_str()) == (429, "busy"), "{status} {code}");
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("1"));
    }
    let refused = kinds.iter().find(|answer| answer.status == 422).expect("one is looked at").text();
    assert!(refused.contains("/constraints/pattern") && refused.contains("steps for a byte of a cell"), "{refused}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_of_characters_are_counted_before_a_pattern_is_compiled() {
    let stack = Stack::start().await;
    let pattern = format!("(?i)[{}&&x]", r"\pL".repeat(600));
    let schema = json!({ "primaryKey": "k", "fields": [{ "name": "k", "constraints": { "pattern": pattern } }] });
    let answer = ask(&stack, TOKEN, Method::PUT, "/v1/kinds/folded", &schema).await;
    assert_eq!(answer.refusal(), (422, "invalid_schema".into()));
    let said = answer.text();
    assert!(said.contains("/fields/0/constraints/pattern") && said.contains("more than 500 classes"), "{said}");
    stack.stop().await;
}
