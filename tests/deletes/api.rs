//! What a client sees of deletes.

use penstock_client::Deleted;
use penstock_engine::kind::Kind;
use penstock_model::{AccountId, Import, ImportId, ImportOptions, KindName, Mode, Status, limits, replace::Everything};
use penstock_store::{
    imports::{Creation, Idempotency},
    kinds::Registration,
    uses::Removal,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ask_table,
    support::{
        OTHER_TOKEN, Stack, TOKEN, files,
        http::{Answer, send},
        refused,
    },
};

async fn post(stack: &Stack, token: &str, path: &str, body: &Value) -> Answer {
    let request = stack.request(Method::POST, path).header("content-type", "application/json");
    send(request.bearer_auth(token).body(body.to_string())).await
}

async fn is_there(stack: &Stack, key: &str) -> bool {
    stack.client.record("products", key).await.expect("answers").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_gone_until_a_later_import_makes_it_anew() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand,cost\nA,a,x,1\nB,b,x,1\n").await;
    assert!(stack.client.delete_record("products", "A").await.expect("answers"));
    assert!(!is_there(&stack, "A").await && is_there(&stack, "B").await);
    // A repeat finds none, and neither does anybody who names what never was.
    for key in ["A", "C", "a%2Cb"] {
        assert!(!stack.client.delete_record("products", key).await.expect("answers"), "{key}");
    }
    // Every mode makes it anew, with the kind's defaults and nothing of what it was.
    for mode in [Mode::Upsert, Mode::Create, Mode::Fill] {
        let options = ImportOptions { mode, ..ImportOptions::default() };
        let import = stack.import_with(b"sku,name,brand\nA,anew,y\n", options).await;
        assert_eq!((import.rows.created, import.rows.total), (1, Some(1)), "{mode:?}");
        let record = stack.client.record("products", "A").await.expect("answers").expect("is there");
        let wanted =
            json!({ "sku": "A", "name": "anew", "brand": "y", "active": true, "base_units_per_sales_unit": 1 });
        assert_eq!(record["fields"], wanted, "{mode:?}");
        assert!(stack.client.delete_record("products", "A").await.expect("answers"), "{mode:?}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_records_go_at_once_and_what_is_not_found_is_named() {
    let stack = Stack::start().await;
    let rows = 250;
    stack.import(&files::plain(0, rows, "1")).await;
    let keys: Vec<String> = (0..limits::RECORD_DELETE_BATCH).map(|row| format!("SKU-{row}")).collect();
    let Deleted { deleted, not_found } = stack.client.delete_records("products", &keys).await.expect("answers");
    assert_eq!((deleted, not_found), (limits::RECORD_DELETE_BATCH as u64, Vec::<String>::new()));
    // All at one place in the order.
    let gone: Vec<_> = stack.records_and_tombstones("1", &keys).await.into_values().map(|record| record.gone).collect();
    assert_eq!(gone.len(), limits::RECORD_DELETE_BATCH);
    assert!(gone[0].is_some() && gone.iter().all(|at| *at == gone[0]), "{gone:?}");
    // A key that is named twice, or written in another way, is one record.
    let keys = ["SKU-3", "SKU-200", " SKU-200", "SKU-999", "SKU-200"].map(str::to_owned);
    let done = stack.client.delete_records("products", &keys).await.expect("answers");
    assert_eq!(done, Deleted { deleted: 1, not_found: vec!["SKU-3".to_owned(), "SKU-999".to_owned()] });
    let skus: Vec<String> = (0..rows).map(|row| format!("SKU-{row}")).collect();
    assert_eq!(stack.records("1", &skus).await.len(), 150);
    stack.stop().await;
}

/// A transaction of DynamoDB takes 4 MB of items: large records go in several.
#[tokio::test(flavor = "multi_thread")]
async fn large_records_go_in_several_transactions() {
    let stack = Stack::start().await;
    let schema =
        json!({ "name": "pages", "primaryKey": "id", "fields": [{ "name": "id" }, { "name": "a" }, { "name": "b" }] });
    stack.client.put_kind(&schema).await.expect("registered");
    let text = "x".repeat(60_000);
    let mut keys = Vec::new();
    // A row has at most 65,536 bytes, so that a record grows by one row for each field.
    for field in ["a", "b"] {
        let mut file = format!("id,{field}\n");
        keys.clear();
        for id in 0..60 {
            file.push_str(&format!("P{id},{text}\n"));
            keys.push(format!("P{id}"));
        }
        let new = penstock_client::NewImport { kind: Some("pages".to_owned()), ..Default::default() };
        let import = stack.client.create(&new, None).await.expect("created");
        assert_eq!(crate::support::upload(&import, file.as_bytes()).await, 200);
        assert_eq!(stack.ended(&import.id).await.rows.processed, 60);
    }
    let done = stack.client.delete_records("pages", &keys).await.expect("answers");
    assert_eq!(done, Deleted { deleted: 60, not_found: Vec::new() });
    for key in &keys {
        assert_eq!(stack.client.record("pages", key).await.expect("answers"), None);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_delete_is_refused() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand\nA,a,x\ndelete,a,x\n").await;
    let many: Vec<String> = (0..=limits::RECORD_DELETE_BATCH).map(|key| key.to_string()).collect();
    for (path, body, wanted) in [
        ("/v1/records/products/delete", json!({ "keys": [] }), (422, "too_many_keys")),
        ("/v1/records/products/delete", json!({ "keys": many }), (422, "too_many_keys")),
        ("/v1/records/products/delete", json!({}), (400, "invalid_body")),
        ("/v1/records/products/delete", json!({ "keys": ["A"], "all": true }), (400, "invalid_body")),
        ("/v1/records/products/delete", json!({ "keys": [["A"]] }), (400, "invalid_body")),
        ("/v1/records/products/A", json!({ "keys": ["A"] }), (405, "method_not_allowed")),
        ("/v1/records/nothing/delete", json!({ "keys": ["A"] }), (404, "not_found")),
        ("/v1/records/Bad_Name/delete", json!({ "keys": ["A"] }), (404, "not_found")),
    ] {
        let (status, code) = post(&stack, TOKEN, path, &body).await.refusal();
        assert_eq!((status, code.as_str()), wanted, "{path} {body}");
    }
    for path in ["/v1/records/nothing/A", "/v1/records/products/B", "/v1/records/products/%FF"] {
        assert_eq!(stack.ask(Method::DELETE, path).await.refusal(), (404, "not_found".into()), "{path}");
    }
    assert!(is_there(&stack, "A").await);
    // A record may have the key by which many are deleted.
    assert!(is_there(&stack, "delete").await);
    assert!(stack.client.delete_record("products", "delete").await.expect("answers"));
    assert!(!is_there(&stack, "delete").await);
    stack.stop().await;
}

/// Whatever takes the place that a delete has seen, the delete is not made and looks again. Here the order never is
/// what was read of it, since its item is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_comes_second_again_and_again_says_so() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand\nA,a,x\nB,a,x\n").await;
    let imports = stack.cloud.store().settings().imports_table.clone();
    let key = json!({ "Key": { "pk": { "S": "account#1" }, "sk": { "S": "kind#products" } } });
    let order = ask_table(&stack, &imports, "GetItem", key.clone()).await["Item"].clone();
    assert!(order["next"]["N"].is_string(), "{order}");
    ask_table(&stack, &imports, "DeleteItem", key).await;
    let answer = stack.ask(Method::DELETE, "/v1/records/products/A").await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.refusal(), (503, "kind_busy".into()));
    // Where there is nothing to delete, no place is needed.
    assert_eq!(stack.ask(Method::DELETE, "/v1/records/products/C").await.refusal(), (404, "not_found".into()));
    assert!(is_there(&stack, "A").await);
    ask_table(&stack, &imports, "PutItem", json!({ "Item": order })).await;
    assert!(stack.client.delete_record("products", "A").await.expect("answers"));
    assert!(!is_there(&stack, "A").await);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_records_stay() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand\nA,a,x\n").await;
    let other = stack.client_of(OTHER_TOKEN);
    assert!(!other.delete_record("products", "A").await.expect("answers"));
    let done = other.delete_records("products", &["A".to_owned()]).await.expect("answers");
    assert_eq!(done, Deleted { deleted: 0, not_found: vec!["A".to_owned()] });
    assert!(is_there(&stack, "A").await);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_stays_while_there_are_records_of_it() {
    let stack = Stack::start().await;
    let schema = json!({ "name": "gadgets", "primaryKey": "id", "fields": [{ "name": "id" }] });
    stack.client.put_kind(&schema).await.expect("registered");
    let import = async |file: &[u8]| {
        let new = penstock_client::NewImport { kind: Some("gadgets".to_owned()), ..Default::default() };
        let import = stack.client.create(&new, None).await.expect("created");
        assert_eq!(crate::support::upload(&import, file).await, 200);
        stack.ended(&import.id).await
    };
    import(b"id\nA\nB\n").await;
    let path = "/v1/kinds/gadgets";
    assert_eq!(stack.ask(Method::DELETE, path).await.refusal(), (409, "kind_has_records".into()));
    // It takes imports as before.
    assert_eq!(import(b"id\nC\n").await.rows.created, 1);
    let keys = ["A", "B", "C"].map(str::to_owned);
    assert_eq!(stack.client.delete_records("gadgets", &keys[..2]).await.expect("answers").deleted, 2);
    assert_eq!(stack.ask(Method::DELETE, path).await.refusal(), (409, "kind_has_records".into()));
    assert_eq!(stack.client.delete_records("gadgets", &keys[2..]).await.expect("answers").deleted, 1);
    // Tombstones are no records.
    assert_eq!(stack.ask(Method::DELETE, path).await.status, 204);
    assert_eq!(refused(stack.client.kind_text("gadgets").await), (404, "not_found".into()));
    // The order goes on behind them: a kind of the same name that comes later is not held off by them.
    stack.client.put_kind(&schema).await.expect("registered");
    assert_eq!(import(b"id\nA\n").await.rows.created, 1);
    assert!(stack.client.record("gadgets", "A").await.expect("answers").is_some());
    stack.stop().await;
}

/// A kind `gadgets` with these records.
async fn gadgets(stack: &Stack, records: usize) {
    let schema = json!({ "name": "gadgets", "primaryKey": "id", "fields": [{ "name": "id" }] });
    stack.client.put_kind(&schema).await.expect("registered");
    if records > 0 {
        let rows: String = (0..records).map(|record| format!("{record}\n")).collect();
        let new = penstock_client::NewImport { kind: Some("gadgets".to_owned()), ..Default::default() };
        let import = stack.import_as(new, format!("id\n{rows}").as_bytes()).await;
        assert_eq!(import.rows.created, records as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_a_kind_that_is_refused_is_noticed_by_nobody() {
    let stack = Stack::start().await;
    gadgets(&stack, 1).await;
    let new = penstock_client::NewImport { kind: Some("gadgets".to_owned()), ..Default::default() };
    let deletes = async {
        for _ in 0..8 {
            let answer = stack.ask(Method::DELETE, "/v1/kinds/gadgets").await.refusal();
            assert!(["kind_has_records", "kind_in_use"].contains(&answer.1.as_str()), "{answer:?}");
        }
    };
    let imports = async {
        for _ in 0..30 {
            let import = stack.client.create(&new, None).await.expect("an import is created");
            stack.client.cancel(&import.id).await.expect("cancelled");
        }
    };
    tokio::join!(deletes, imports);
    stack.stop().await;
}

/// A deletion that has had its effect removes no version of the kind that somebody has registered since.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_registered_anew_while_it_goes_keeps_its_version() {
    let stack = Stack::start().await;
    let (store, account) = (stack.cloud.store(), "1".parse().expect("an account"));
    let kind = "gadgets".parse().expect("a kind");
    for round in 0..50 {
        let schema =
            json!({ "title": round.to_string(), "primaryKey": "id", "fields": [{ "name": "id" }] }).to_string();
        let schema = Kind::parse_as(schema.as_bytes(), &kind).map(|parsed| (parsed, schema)).expect("a schema");
        let put = async || store.put_kind(&account, &schema.0, &schema.1).await.expect("answers");
        let (_, registered) = tokio::join!(store.delete_kind(&account, &kind), async {
            put().await;
            put().await
        });
        let Registration::Version { version, .. } = registered else { panic!("{registered:?}") };
        let is_newest = store.kind(&account, &kind).await.expect("answers").is_some_and(|kind| kind.version == version);
        let is_there = store.kind_version(&account, &kind, version).await.expect("answers").is_some();
        assert_eq!(is_there, is_newest, "round {round}, version {version}");
    }
    stack.stop().await;
}

/// A tombstone keeps a kind from going no longer than until all are looked through, each deletion a part of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_which_much_was_deleted_goes_part_by_part() {
    let stack = Stack::start().await;
    gadgets(&stack, 40).await;
    let keys: Vec<String> = (0..40).map(|key| key.to_string()).collect();
    assert_eq!(stack.client.delete_records("gadgets", &keys).await.expect("answers").deleted, 40);
    let (store, account) = (stack.cloud.store(), "1".parse().expect("an account"));
    let kind = "gadgets".parse().expect("a kind");
    let delete = async || store.delete_kind_within(&account, &kind, 1).await.expect("answers");
    assert_eq!(delete().await, Removal::Unfinished);
    assert_eq!(delete().await, Removal::Unfinished);
    // Whoever takes a place in the order meanwhile may have left a record where it was looked: it begins again.
    let new = || penstock_client::NewImport { kind: Some("gadgets".to_owned()), ..Default::default() };
    assert_eq!(stack.import_as(new(), b"id\nlate\n").await.rows.created, 1);
    let found = async {
        for _ in 0..=limits::RECORD_SHARDS {
            if delete().await == Removal::HasRecords {
                return true;
            }
        }
        false
    };
    assert!(found.await, "the late record is found");
    assert!(stack.client.delete_record("gadgets", "late").await.expect("answers"));
    let mut parts = 1;
    while delete().await == Removal::Unfinished {
        parts += 1;
        assert!(parts <= limits::RECORD_SHARDS, "it comes to no end");
    }
    assert_eq!(parts, limits::RECORD_SHARDS / limits::RECORD_SHARDS_AT_ONCE);
    assert_eq!(refused(stack.client.kind_text("gadgets").await), (404, "not_found".into()));
    stack.stop().await;
}

/// An import that is stored while its kind goes is refused, has ended at once, and its key stands for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_since_its_kind_goes_leaves_nothing_behind() {
    let stack = Stack::start().await;
    gadgets(&stack, 0).await;
    assert_eq!(stack.ask(Method::DELETE, "/v1/kinds/gadgets").await.status, 204);
    let store = stack.cloud.store();
    let account: AccountId = "1".parse().expect("an account");
    let kind: KindName = "gadgets".parse().expect("a kind");
    let now = store.now_ms();
    let import = |at: u8| {
        let id = ImportId::new(now, [at; 10]);
        let import = Import::new(id, account.clone(), kind.clone(), now, now + 60_000);
        Import { kind_version: 1, ..import }
    };
    let key = Idempotency { key: "once".to_owned(), request: "r".to_owned() };
    for at in [1, 2] {
        let import = import(at);
        let refused = store.create_import(&import, Some(&key)).await.expect("answers");
        assert!(matches!(refused, Creation::NoKind), "{refused:?}");
        assert_eq!(store.made_before::<ImportId>(&account, &key).await.expect("answers"), None);
        let ended = store.import(&account, &import.id).await.expect("answers").expect("is there");
        assert_eq!(ended.status, Status::Cancelled);
    }
    // An order to delete every record has no file to wait for, and ends all the same.
    let order = import(3);
    let order = Import {
        options: ImportOptions { mode: Mode::Replace, ..ImportOptions::default() },
        expires_at: now,
        everything: Some(Everything { count: None }),
        status: Status::Processing,
        waiting_for: Some(order.id.clone()),
        ..order
    };
    let refused = store.create_import(&order, None).await.expect("answers");
    assert!(matches!(refused, Creation::NoKind), "{refused:?}");
    let ended = store.import(&account, &order.id).await.expect("answers").expect("is there");
    assert_eq!(ended.status, Status::Cancelled);
    stack.stop().await;
}
