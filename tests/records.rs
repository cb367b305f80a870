//! The catalogue can be read: the records of a kind are listed each exactly once, by whom they were changed, and every
//! value tells where it comes from.

use std::collections::{BTreeMap, BTreeSet};

use penstock_client::{Client, ListedRecord, NewImport, Origin, RecordFilter};
use penstock_model::{EmptyCells, ImportOptions, Status, limits};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{OTHER_TOKEN, Stack, TOKEN, files, http::send, refused, upload};

/// Every page of a list.
async fn pages(client: &Client, kind: &str, filter: &RecordFilter, limit: usize) -> Vec<Vec<ListedRecord>> {
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.records(kind, filter, cursor.as_deref(), limit).await.expect("a page of records");
        assert!(page.records.len() <= limit, "{} of {limit}", page.records.len());
        pages.push(page.records);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return pages;
        }
    }
}

/// The fields of every record of a list by its key. Fails for one that is listed twice.
async fn listed(client: &Client, kind: &str, filter: &RecordFilter, limit: usize) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for ListedRecord { key, fields, deleted } in pages(client, kind, filter, limit).await.into_iter().flatten() {
        assert!(!deleted);
        let fields = serde_json::from_str(fields.expect("fields").get()).expect("JSON");
        assert_eq!(found.insert(key, fields), None, "a record is listed twice");
    }
    found
}

async fn keys(client: &Client, filter: &RecordFilter) -> BTreeSet<String> {
    listed(client, "products", filter, 100).await.into_keys().collect()
}

fn skus(numbers: impl Iterator<Item = u64>) -> BTreeSet<String> {
    numbers.map(|number| format!("SKU-{number}")).collect()
}

fn by(id: &str) -> RecordFilter {
    RecordFilter { changed_by: Some(id.to_owned()), ..RecordFilter::default() }
}

fn after(id: &str) -> RecordFilter {
    RecordFilter { changed_after: Some(id.to_owned()), ..RecordFilter::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_records_are_listed_each_exactly_once() {
    let stack = Stack::start().await;
    let import = stack.import(&files::plain(0, 1000, "1")).await;
    assert_eq!(import.rows.created, 1000);
    let all = RecordFilter::default();
    for limit in [limits::PAGE_MAX, 37] {
        let found = listed(&stack.client, "products", &all, limit).await;
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), skus(0..1000));
        let record = stack.client.record("products", "SKU-7").await.expect("answers").expect("is there");
        assert_eq!(found["SKU-7"], record["fields"]);
    }
    // Most pages are full: what is asked for is what comes.
    let pages = pages(&stack.client, "products", &all, 100).await;
    assert!((10..=11).contains(&pages.len()), "{}", pages.len());
    // The default of a page, and its bounds.
    let list = |query: &str| stack.request(Method::GET, &format!("/v1/records/products{query}")).bearer_auth(TOKEN);
    let page = send(list("")).await.json();
    assert_eq!(page["records"].as_array().expect("records").len(), limits::PAGE_DEFAULT);
    for query in ["?limit=0", "?limit=101"] {
        assert_eq!(send(list(query)).await.refusal(), (400, "invalid_limit".to_owned()), "{query}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_its_accounts_and_its_kinds_alone() {
    let stack = Stack::start().await;
    let import = stack.import(&files::plain(0, 30, "1")).await;
    let (client, other) = (&stack.client, stack.client_of(OTHER_TOKEN));
    let all = RecordFilter::default();
    assert_eq!(listed(&other, "products", &all, 20).await, BTreeMap::new());
    assert_eq!(listed(client, "orders", &all, 20).await, BTreeMap::new());
    for kind in ["nothing", "No-Kind", "%23"] {
        assert_eq!(refused(client.records(kind, &all, None, 20).await), (404, "not_found".to_owned()), "{kind}");
    }
    // A cursor is for its own list: not for another account, kind or filter.
    let cursor = client.records("products", &all, None, 20).await.expect("a page").next_cursor.expect("a cursor");
    let invalid = (400, "invalid_cursor".to_owned());
    assert_eq!(client.records("products", &all, Some(&cursor), 20).await.expect("a page").records.len(), 10);
    assert_eq!(refused(other.records("products", &all, Some(&cursor), 20).await), invalid);
    assert_eq!(refused(client.records("orders", &all, Some(&cursor), 20).await), invalid);
    assert_eq!(refused(client.records("products", &by(&import.id), Some(&cursor), 20).await), invalid);
    for cursor in ["", "AAAA", "imp_01", &format!("{cursor}A"), &cursor[1..]] {
        assert_eq!(refused(client.records("products", &all, Some(cursor), 20).await), invalid, "{cursor}");
    }
    // Another account's import is a missing one.
    let list = |token: &str, id: &str| {
        let path = format!("/v1/records/products?changed_after={id}");
        send(stack.request(Method::GET, &path).bearer_auth(token))
    };
    let missing = list(OTHER_TOKEN, "imp_01KAKAX7PVE2NRKX37SYJHJP2W").await;
    assert_eq!(missing.refusal(), (404, "not_found".to_owned()));
    assert_eq!(list(OTHER_TOKEN, &import.id).await.body, missing.body);
    assert_eq!(list(TOKEN, "imp_x").await.body, missing.body);
    assert_eq!(list(TOKEN, &import.id).await.status, 200);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_what_an_import_changed_and_what_came_after_it() {
    let stack = Stack::start().await;
    let first = stack.import(&files::plain(0, 30, "1")).await;
    // Ten records change, ten are as they were, ten are new.
    let file =
        [files::plain(10, 10, "2"), files::plain(20, 20, "1")[b"sku,name,brand,cost\n".len()..].to_vec()].concat();
    let second = stack.import(&file).await;
    assert_eq!((second.rows.updated, second.rows.unchanged, second.rows.created), (10, 10, 10));
    let client = &stack.client;
    assert_eq!(keys(client, &by(&first.id)).await, skus((0..10).chain(20..30)));
    assert_eq!(keys(client, &by(&second.id)).await, skus((10..20).chain(30..40)));
    assert_eq!(keys(client, &after(&first.id)).await, skus((10..20).chain(30..40)));
    assert_eq!(keys(client, &after(&second.id)).await, skus(0..0));
    assert_eq!(keys(client, &RecordFilter::default()).await, skus(0..40));
    // A dry run takes a place in the order, and changes nothing.
    let options = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let dry = stack.import_with(&files::plain(0, 50, "3"), options).await;
    assert_eq!(dry.status, Status::Completed);
    assert_eq!(keys(client, &by(&dry.id)).await, skus(0..0));
    assert_eq!(keys(client, &after(&second.id)).await, skus(0..0));

    let both = RecordFilter { changed_by: Some(first.id.clone()), changed_after: Some(first.id.clone()) };
    assert_eq!(refused(client.records("products", &both, None, 20).await), (400, "invalid_query".to_owned()));
    assert_eq!(refused(client.records("orders", &by(&first.id), None, 20).await), (422, "another_kind".to_owned()));
    let waiting = stack.create(ImportOptions::default()).await;
    let not_accepted = (409, "not_accepted".to_owned());
    assert_eq!(refused(client.records("products", &after(&waiting.id), None, 20).await), not_accepted);
    client.delete(&waiting.id).await.expect("deleted");
    assert_eq!(refused(client.records("products", &by(&waiting.id), None, 20).await), (404, "not_found".to_owned()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_what_was_deleted_after_an_import() {
    let stack = Stack::start().await;
    let first = stack.import(&files::plain(0, 10, "1")).await;
    let second = stack.import(&files::plain(5, 1, "2")).await;
    let delete = async |key: &str| {
        let deleted = stack.client.delete_records("products", &[key.to_owned()]).await.expect("answers");
        assert_eq!(deleted.deleted, 1, "{key}");
    };
    delete("SKU-3").await;
    delete("SKU-5").await;
    let third = stack.import(&files::plain(3, 1, "3")).await;
    let client = &stack.client;
    let changes = async |filter: &RecordFilter| -> BTreeSet<(String, bool)> {
        let listed = pages(client, "products", filter, 100).await.into_iter().flatten();
        listed.map(|record| (record.key, record.deleted)).collect()
    };
    let of = |changes: &[(&str, bool)]| changes.iter().map(|(key, gone)| ((*key).to_owned(), *gone)).collect();
    assert_eq!(changes(&after(&first.id)).await, of(&[("SKU-3", false), ("SKU-5", true)]));
    assert_eq!(changes(&after(&second.id)).await, of(&[("SKU-3", false), ("SKU-5", true)]));
    assert_eq!(changes(&after(&third.id)).await, of(&[]));
    assert_eq!(changes(&by(&second.id)).await, of(&[]));
    assert_eq!(keys(client, &RecordFilter::default()).await, skus((0..5).chain(6..10)));
    assert_eq!(client.shown_record("products", "SKU-5", true).await.expect("answers").map(|record| record.key), None);
    stack.stop().await;
}

/// Keys that no sort key can hold are listed whole, and those that begin alike are not taken for one another.
#[tokio::test(flavor = "multi_thread")]
async fn long_keys_are_listed_whole() {
    let stack = Stack::start().await;
    let long = |end: &str| format!("{}{end}", "ä".repeat(800));
    let keys = [long("1"), long("2"), "x".repeat(limits::WHOLE_KEY_BYTES), "x".repeat(5000), "short".to_owned()];
    let mut file = "sku,name,brand\n".to_owned();
    keys.iter().for_each(|key| file.push_str(&format!("{key},Name,Brand\n")));
    let import = stack.import(file.as_bytes()).await;
    assert_eq!(import.rows.created, keys.len() as u64);
    for limit in [1, 100] {
        let found = listed(&stack.client, "products", &RecordFilter::default(), limit).await;
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), keys.iter().cloned().collect());
        assert!(found.iter().all(|(key, fields)| fields["sku"] == *key));
    }
    for key in &keys {
        let record = stack.client.record("products", key).await.expect("answers").expect("is there");
        assert_eq!((&record["key"], &record["fields"]["sku"]), (&json!(key), &json!(key)));
    }
    // They are updated where they are.
    let again = stack.import(file.replace("Name", "Other").as_bytes()).await;
    assert_eq!(again.rows.updated, keys.len() as u64);
    stack.stop().await;
}

/// A page is bounded by its bytes, and a filter that lets little through ends a page that has read enough: such a page
/// may be empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_when_enough_was_read() {
    let stack = Stack::start().await;
    let rows = 80;
    let mut file = "sku,name,brand,description\n".to_owned();
    for row in 0..rows {
        file.push_str(&format!("SKU-{row},Name,Brand,{}\n", "x".repeat(200_000)));
    }
    assert_eq!(stack.import(file.as_bytes()).await.rows.created, rows);
    let pages_of_all = pages(&stack.client, "products", &RecordFilter::default(), 100).await;
    let bytes = |page: &Vec<ListedRecord>| serde_json::to_string(page).expect("JSON").len();
    assert!(pages_of_all.iter().all(|page| bytes(page) <= limits::RECORD_PAGE_BYTES + 1000));
    let keys: Vec<String> = pages_of_all.into_iter().flatten().map(|record| record.key).collect();
    assert_eq!((keys.len() as u64, keys.into_iter().collect()), (rows, skus(0..rows)));

    let second = stack.import(b"sku,name,brand\nSKU-5,Other,Brand\n").await;
    let pages_of_second = pages(&stack.client, "products", &by(&second.id), 100).await;
    let shown: Vec<String> = pages_of_second.iter().flatten().map(|record| record.key.clone()).collect();
    assert_eq!(shown, ["SKU-5"]);
    assert!(pages_of_second.len() > 1 && pages_of_second.iter().any(Vec::is_empty), "{}", pages_of_second.len());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_tells_the_import_and_the_row_that_it_comes_from() {
    let stack = Stack::start().await;
    let first = stack.import(b"sku,name,brand,upc,description\nA,a,b,7,d\nB,a,b,7,d\n").await;
    let clear = ImportOptions { empty_cells: EmptyCells::Clear, ..ImportOptions::default() };
    let second = stack.import_with(b"sku,name,brand,cost,description\nX,a,b,1,\nB,a,b,2,\n", clear).await;
    assert_eq!((second.rows.created, second.rows.updated), (1, 1));
    let row = |import: &penstock_client::Import, row| Origin {
        import: Some(import.id.clone()),
        row,
        default: false,
        cleared: false,
    };
    // The import itself may go; what it wrote is still its own.
    stack.client.delete(&first.id).await.expect("deleted");
    let record = stack.client.shown_record("products", "B", true).await.expect("answers").expect("is there");
    assert!(record.fields.get().contains("\"cost\":2"), "{}", record.fields);
    let found = record.provenance.expect("asked for");
    assert_eq!((&found.made, &found.changed), (&row(&first, 2), &row(&second, 2)));
    let wanted = BTreeMap::from([
        ("sku", row(&second, 2)),
        ("name", row(&second, 2)),
        ("brand", row(&second, 2)),
        ("upc", row(&first, 2)),
        ("cost", row(&second, 2)),
        ("description", Origin { cleared: true, ..row(&second, 2) }),
        ("active", Origin { default: true, ..row(&first, 2) }),
        ("base_units_per_sales_unit", Origin { default: true, ..row(&first, 2) }),
    ]);
    let fields: BTreeMap<&str, Origin> = found.fields.iter().map(|(name, at)| (name.as_str(), at.clone())).collect();
    assert_eq!(fields, wanted);

    // It is left out where it is not asked for, and another account learns nothing.
    let show = |token: &str, query: &str| {
        let path = format!("/v1/records/products/B{query}");
        send(stack.request(Method::GET, &path).bearer_auth(token))
    };
    assert_eq!(show(TOKEN, "").await.json().get("provenance"), None);
    assert_eq!(show(TOKEN, "?provenance=false").await.json().get("provenance"), None);
    assert_eq!(show(TOKEN, "?provenance=maybe").await.refusal(), (400, "invalid_query".to_owned()));
    assert_eq!(show(OTHER_TOKEN, "?provenance=true").await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(stack.client.shown_record("products", "C", true).await.expect("answers").map(|record| record.key), None);
    stack.stop().await;
}

/// Each kind has an order of its own: the same place in two of them is two imports.
#[tokio::test(flavor = "multi_thread")]
async fn places_are_those_of_the_records_kind() {
    let stack = Stack::start().await;
    let products = stack.import(&files::plain(0, 1, "1")).await;
    let new = NewImport { kind: Some("vouchers".to_owned()), ..NewImport::default() };
    let vouchers = stack.client.create(&new, None).await.expect("created");
    assert_eq!(upload(&vouchers, b"code,discount\nV-1,5\n").await, 200);
    let vouchers = stack.ended(&vouchers.id).await;
    assert_eq!(vouchers.rows.created, 1);
    let of = async |kind: &str, key: &str| {
        let record = stack.client.shown_record(kind, key, true).await.expect("answers").expect("is there");
        record.provenance.expect("asked for").made.import.expect("an import")
    };
    assert_eq!(of("products", "SKU-0").await, products.id);
    assert_eq!(of("vouchers", "V-1").await, vouchers.id);
    stack.stop().await;
}

/// Numbers of more digits than a float has are shown with all of them, wherever a record is shown.
#[tokio::test(flavor = "multi_thread")]
async fn every_digit_of_a_number_is_shown() {
    let stack = Stack::start().await;
    let (large, small) = ("12345678901234567890123456789012345678", "0.1234567890123456789");
    let schema = json!({ "name": "sums", "primaryKey": "id", "fields": [
        { "name": "id" }, { "name": "large", "type": "number" }, { "name": "small", "type": "number" },
    ] });
    stack.client.put_kind(&schema).await.expect("registered");
    let new = || NewImport { kind: Some("sums".to_owned()), ..NewImport::default() };
    let first = stack.import_as(new(), b"id,large,small\nB,1,1\n").await;
    let file = format!("id,large,small\nA,{large},{small}0\n");
    let second = stack.import_as(new(), file.as_bytes()).await;
    assert_eq!(second.rows.created, 1);
    let wanted = format!(r#"{{"id":"A","large":{large},"small":{small}}}"#);
    for path in [
        "/v1/records/sums".to_owned(),
        format!("/v1/records/sums?changed_by={}", second.id),
        format!("/v1/records/sums?changed_after={}", first.id),
        "/v1/records/sums/A".to_owned(),
        "/v1/records/sums/A?provenance=true".to_owned(),
    ] {
        let answer = send(stack.request(Method::GET, &path).bearer_auth(TOKEN)).await;
        assert!(answer.status == 200 && answer.text().contains(&wanted), "{path}: {}", answer.text());
    }
    let preview = stack.request(Method::POST, &format!("/v1/imports/{}/preview?whole=true", second.id));
    let preview = preview.header("content-type", "application/octet-stream").bearer_auth(TOKEN).body(file);
    let preview = send(preview).await;
    assert!(preview.status == 200 && preview.text().contains(&wanted), "{}", preview.text());
    for provenance in [false, true] {
        let record = stack.client.shown_record("sums", "A", provenance).await.expect("answers").expect("is there");
        assert_eq!((record.fields.get(), record.provenance.is_some()), (wanted.as_str(), provenance));
    }
    let page = stack.client.records("sums", &by(&second.id), None, 10).await.expect("a page");
    let fields: Vec<&str> = page.records.iter().filter_map(|record| Some(record.fields.as_ref()?.get())).collect();
    assert_eq!(fields, [wanted]);
    stack.stop().await;
}
