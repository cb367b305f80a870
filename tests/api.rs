//! The native API, as a client sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use penstock_client::{ClientError, Import, NewImport};
use penstock_model::{
    Abort, Block, EmptyCells, ImportId, ImportOptions, Mode, QueueName, RowError, RowRange, Status, has_remedy, limits,
    remedy,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    OTHER_TOKEN, Stack, TOKEN, adds_up,
    crashes::{arm, stack_with_crashes_and},
    files,
    held::{HELD, half_done, held},
    http::{self, post_form, send},
    refused, upload,
};

/// How many of the rows of [`files::plain`] have a record.
async fn stored(stack: &Stack, rows: u64) -> u64 {
    let skus: Vec<String> = (0..rows).map(|row| format!("SKU-{row}")).collect();
    stack.records("1", &skus).await.len() as u64
}

/// The chunks that have begun.
async fn begun(stack: &Stack, id: &str) -> BTreeSet<String> {
    let id: ImportId = id.parse().expect("an id");
    let import =
        stack.cloud.store().import(&"1".parse().expect("valid"), &id).await.expect("answers").expect("is there");
    let numbers: Vec<u32> = (0..import.opened_blocks).collect();
    let blocks = stack.cloud.store().blocks(&id, &numbers).await.expect("answers");
    blocks.values().flat_map(|block: &Block| block.fates.keys().cloned()).collect()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn rfc3339_seconds(text: &Value) -> i64 {
    // 2026-11-21T18:14:19Z: days since the epoch by the civil calendar (Howard Hinnant, "chrono-compatible low-level
    // date algorithms").
    let text = text.as_str().expect("text");
    assert!(text.len() == 20 && text.ends_with('Z'), "{text}");
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19)
}

// Creation.

#[tokio::test(flavor = "multi_thread")]
async fn creation_answers_with_the_import_and_two_ways_to_upload() {
    let stack = Stack::start().await;
    let body = json!({
        "kind": "products", "format": "csv", "filename": "näme.csv", "size": 12,
        "options": { "delimiter": ";", "mode": "fill", "empty_cells": "clear", "dry_run": true, "abort": { "rows": 10, "percent": 5 } },
    });
    let answer = stack.post_import(body.to_string()).await;
    assert_eq!(answer.status, 201);
    let import = answer.json();
    let wanted = "cancelled_by columns completed_at confirm_until confirmed_as confirmed_by corrects cost created_at created_by detected ending expires_at failure filename form format from id ignored_columns kind kind_version metadata options rejected removed retained_until rows source_expires_at status times to_remove upload waiting_for webhook";
    assert_eq!(keys(&import), wanted.split(' ').collect());
    let id = import["id"].as_str().expect("an id");
    assert!(id.parse::<ImportId>().is_ok(), "{id}");
    assert_eq!(answer.header("location"), Some(&*format!("imports/{id}")));
    assert_eq!(import["kind"], "products");
    assert_eq!(import["status"], "awaiting_upload");
    assert_eq!(import["filename"], "näme.csv");
    assert_eq!(import["options"], body["options"]);
    for absent in ["columns", "completed_at", "ending", "failure", "rejected"] {
        assert_eq!(import[absent], Value::Null, "{absent}");
    }
    assert_eq!(import["ignored_columns"], json!([]));
    let none = json!({ "total": null, "processed": 0, "created": 0, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 0, "unprocessed": 0 });
    assert_eq!(import["rows"], none);
    let valid = rfc3339_seconds(&import["expires_at"]) - rfc3339_seconds(&import["created_at"]);
    assert_eq!(valid, limits::UPLOAD_TTL_SECONDS as i64);

    assert_eq!(keys(&import["upload"]), ["headers", "method", "url"].into());
    assert_eq!(import["upload"]["method"], "PUT");
    assert_eq!(import["upload"]["headers"], json!({ "if-none-match": "*" }));
    assert!(import["upload"]["url"].as_str().is_some_and(|url| url.contains(id) && url.contains("X-Amz-Signature=")));
    assert_eq!(keys(&import["form"]), ["fields", "url"].into());
    let fields = "key policy x-amz-algorithm x-amz-credential x-amz-date x-amz-signature";
    assert_eq!(keys(&import["form"]["fields"]), fields.split(' ').collect());

    // The same import later, but for the ways to upload: they are credentials, shown once.
    let mut later = stack.get(&format!("/v1/imports/{id}")).await.json();
    for shown_once in ["upload", "form"] {
        assert_eq!(later[shown_once], Value::Null);
        later[shown_once] = import[shown_once].clone();
    }
    assert_eq!(later, import);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_asks_for_the_defaults() {
    let stack = Stack::start().await;
    for body in ["", " \n", "{}", r#"{"options": {}}"#] {
        let import = stack.post_import(body).await.json();
        assert_eq!(import["kind"], "products");
        assert_eq!(import["options"], json!({ "mode": "upsert", "empty_cells": "keep", "dry_run": false }));
        assert_eq!(import["filename"], Value::Null);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_an_upload_is_valid_can_be_configured() {
    let ttl = ("PENSTOCK_UPLOAD_TTL_SECONDS".to_owned(), "60".to_owned());
    let stack = Stack::with(|options| options.environment.push(ttl)).await;
    let import = stack.post_import("{}").await.json();
    assert_eq!(rfc3339_seconds(&import["expires_at"]) - rfc3339_seconds(&import["created_at"]), 60);
    let created = stack.create(ImportOptions::default()).await;
    stack.pass(Duration::from_secs(61)).await;
    assert_eq!(upload(&created, b"sku,name,brand\nA,a,b\n").await, 403);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_uploads_by_the_form() {
    let stack = Stack::start().await;
    let created = stack.create(ImportOptions::default()).await;
    let form = created.form.as_ref().expect("a form");
    // content-length-range starts at one byte.
    let empty = post_form(form, b"").await;
    assert_eq!(empty.storage_refusal(), (400, "EntityTooSmall"));
    stack.cloud.idle().await;
    assert_eq!(stack.client.import(&created.id).await.expect("is there").status, Status::AwaitingUpload);
    assert_eq!(post_form(form, b"sku,name,brand\nA,a,b\n").await.status, 204);
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 1));
    // The PUT finds the object there.
    assert_eq!(upload(&created, b"sku,name,brand\nB,a,b\n").await, 412);
    stack.stop().await;
}

// Who asks.

#[tokio::test(flavor = "multi_thread")]
async fn one_key_works_in_all_four_schemes_and_a_wrong_secret_in_none() {
    let stack = Stack::start().await;
    // base64 of test:secret and of test:secreT, which is as long.
    for (name, value, right) in [
        ("authorization", "Bearer test.secret", true),
        ("authorization", "bearer test.secret", true),
        ("authorization", "Basic dGVzdDpzZWNyZXQ=", true),
        ("authorization", "apiKey test.secret", true),
        ("x-api-key", "test.secret", true),
        ("authorization", "Bearer test.secreT", false),
        ("authorization", "Basic dGVzdDpzZWNyZVQ=", false),
        ("authorization", "apiKey test.secreT", false),
        ("x-api-key", "test.secreT", false),
        ("authorization", "Bearer test.secret1", false),
        ("authorization", "Bearer test.secre", false),
        ("authorization", "Bearer test.", false),
    ] {
        let answer = send(stack.request(Method::GET, "/v1/imports").header(name, value)).await;
        if right {
            assert_eq!(answer.json(), json!({ "imports": [], "next_cursor": null }), "{name}: {value}");
        } else {
            assert_eq!(answer.refusal(), (401, "unauthorized".into()), "{name}: {value}");
        }
    }
    let health = send(stack.request(Method::GET, "/health")).await;
    assert_eq!((health.status, health.json()), (200, json!({ "status": "ok" })));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_with_the_same_sku_never_meet() {
    let stack = Stack::start().await;
    let other = stack.client_of(OTHER_TOKEN);
    let mine = stack.import(b"sku,name,brand\nA,mine,b\nB,mine,b\n").await;
    let theirs = other.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(upload(&theirs, b"sku,name,brand\nA,theirs,b\n").await, 200);
    let theirs = stack.ended_for(&other, &theirs.id).await.expect("it ends");
    assert_eq!((mine.rows.created, theirs.rows.created), (2, 1));
    let name = async |client: &penstock_client::Client, sku| {
        client.record("products", sku).await.expect("answers").map(|record| record["fields"]["name"].clone())
    };
    assert_eq!(name(&stack.client, "A").await, Some("mine".into()));
    assert_eq!(name(&other, "A").await, Some("theirs".into()));
    assert_eq!(name(&other, "B").await, None);
    let ids = |page: penstock_client::ImportPage| page.imports.into_iter().map(|import| import.id).collect::<Vec<_>>();
    assert_eq!(ids(stack.client.list(None, 100).await.expect("a list")), [mine.id]);
    assert_eq!(ids(other.list(None, 100).await.expect("a list")), [theirs.id]);
    stack.stop().await;
}

// Idempotency-Key.

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_gives_one_import_for_24_hours() {
    let stack = Stack::with(|options| options.scheduled = false).await;
    let new = NewImport { filename: Some("a.csv".into()), ..NewImport::default() };
    let first = stack.client.create(&new, Some("key")).await.expect("created");
    let again = stack.client.create(&new, Some("key")).await.expect("repeated");
    assert_eq!(again.id, first.id);
    // Whoever lost the first answer can upload with the second.
    assert_eq!(upload(&again, b"sku,name,brand\nA,a,b\n").await, 200);
    assert_eq!(stack.ended(&first.id).await.rows.created, 1);
    let after = stack.client.create(&new, Some("key")).await.expect("repeated");
    assert_eq!((after.id, after.status), (first.id.clone(), Status::Completed));
    assert!(after.upload.is_none() && after.form.is_none());

    let other = NewImport { filename: Some("b.csv".into()), ..NewImport::default() };
    assert_eq!(refused(stack.client.create(&other, Some("key")).await), (422, "idempotency_key_reused".into()));
    let theirs = stack.client_of(OTHER_TOKEN).create(&other, Some("key")).await.expect("another account's key");
    assert_ne!(theirs.id, first.id);

    let day = Duration::from_millis(limits::IDEMPOTENCY_MS as u64);
    assert_eq!(day, Duration::from_secs(24 * 3600));
    stack.pass(day - Duration::from_secs(120)).await;
    assert_eq!(stack.client.create(&new, Some("key")).await.expect("repeated").id, first.id);
    stack.pass(Duration::from_secs(121)).await;
    let next = stack.client.create(&other, Some("key")).await.expect("the key is free again");
    assert_ne!(next.id, first.id);
    assert_eq!(stack.client.create(&other, Some("key")).await.expect("repeated").id, next.id);
    assert_eq!(stack.client.list(None, 100).await.expect("a list").imports.len(), 2);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_repeats_give_one_import() {
    let stack = Stack::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let client = stack.client.clone();
        calls.spawn(async move { client.create(&NewImport::default(), Some("same")).await });
    }
    let answers: Vec<Import> = calls.join_all().await.into_iter().map(|answer| answer.expect("an import")).collect();
    let ids: BTreeSet<&str> = answers.iter().map(|import| import.id.as_str()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(stack.client.list(None, 100).await.expect("a list").imports.len(), 1);
    assert!(answers.iter().all(|import| import.upload.is_some()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_idempotency_key_of_a_deleted_import_makes_no_other() {
    let stack = Stack::start().await;
    let first = stack.client.create(&NewImport::default(), Some("key")).await.expect("created");
    assert_eq!(stack.ask(Method::DELETE, &format!("/v1/imports/{}", first.id)).await.status, 204);
    assert_eq!(refused(stack.client.create(&NewImport::default(), Some("key")).await), (409, "import_deleted".into()));
    stack.stop().await;
}

// Lists.

/// The ids on all pages of a list.
async fn pages(stack: &Stack, query: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stack.get(&format!("/v1/imports?limit={limit}{query}{cursor}")).await.json();
        let imports = page["imports"].as_array().expect("a list");
        assert!(imports.len() <= limit);
        ids.extend(imports.iter().map(|import| import["id"].as_str().expect("an id").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => {
                // A page that has a next one is full, and the next one is not empty.
                assert_eq!(imports.len(), limit);
                cursor = format!("&cursor={next}");
            }
            None => {
                assert!(!imports.is_empty() || cursor.is_empty(), "an empty page behind another");
                return ids;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_are_listed_newest_first_by_pages_and_filters() {
    let stack = Stack::with(|options| options.scheduled = false).await;
    let (mut all, mut cancelled) = (Vec::new(), Vec::new());
    for n in 0..9 {
        let import = stack.create(ImportOptions::default()).await;
        if n % 2 == 0 {
            assert_eq!(stack.client.cancel(&import.id).await.expect("cancelled").status, Status::Cancelled);
            cancelled.insert(0, import.id.clone());
        }
        all.insert(0, import.id);
        stack.pass(Duration::from_secs(1)).await;
    }
    let awaiting: Vec<String> = all.iter().filter(|id| !cancelled.contains(id)).cloned().collect();
    for limit in [1, 2, 3, 4, 8, 9, 10, 100] {
        assert_eq!(pages(&stack, "", limit).await, all, "{limit}");
        assert_eq!(pages(&stack, "&status=cancelled", limit).await, cancelled, "{limit}");
        assert_eq!(pages(&stack, "&status=awaiting_upload&kind=products", limit).await, awaiting, "{limit}");
    }
    assert!(pages(&stack, "&kind=orders", 2).await.is_empty());
    assert!(pages(&stack, "&status=completed", 2).await.is_empty());
    // The cursor stays good while newer imports arrive.
    let first = stack.client.list(None, 4).await.expect("a page");
    stack.create(ImportOptions::default()).await;
    let second = stack.client.list(first.next_cursor.as_deref(), 100).await.expect("a page");
    let ids: Vec<String> = first.imports.into_iter().chain(second.imports).map(|import| import.id).collect();
    assert_eq!(ids, all);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_20_items_if_nothing_is_said() {
    let stack = Stack::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..limits::PAGE_DEFAULT + 1 {
        let client = stack.client.clone();
        calls.spawn(async move { client.create(&NewImport::default(), None).await.expect("created").id });
    }
    let created: BTreeSet<String> = calls.join_all().await.into_iter().collect();
    let page = stack.get("/v1/imports").await.json();
    assert_eq!(page["imports"].as_array().map(Vec::len), Some(limits::PAGE_DEFAULT));
    assert!(page["next_cursor"].is_string());
    let listed = pages(&stack, "", 100).await;
    assert!(listed.is_sorted_by(|newer, older| newer > older));
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), created);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_by_pages_are_all_errors_in_order() {
    let stack = Stack::with(|options| options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "16".into()))).await;
    let mut file = String::from("sku,name,brand,cost\n");
    let mut wanted = Vec::new();
    for row in 1..=250u64 {
        // One error, two, or none.
        let (cells, errors): (&str, &[(&str, &str)]) = match row % 4 {
            0 => ("n,b,1", &[]),
            1 => (",b,1", &[("name", "required")]),
            2 => (",b,x", &[("name", "required"), ("cost", "invalid_number")]),
            _ => ("n,b,x", &[("cost", "invalid_number")]),
        };
        file.push_str(&format!("SKU-{row},{cells}\n"));
        wanted.extend(errors.iter().map(|(field, code)| (row, row + 1, field.to_string(), code.to_string())));
    }
    let import = stack.import(file.as_bytes()).await;
    assert_eq!((import.rows.created, import.rows.failed), (62, 188));
    let shown = |errors: Vec<RowError>| {
        errors.into_iter().map(|e| (e.row, e.line, e.field.unwrap_or_default(), e.code)).collect::<Vec<_>>()
    };
    assert_eq!(shown(stack.errors(&import.id).await), wanted);
    for limit in [1, 7, 31, 99] {
        let (mut errors, mut cursor) = (Vec::new(), None);
        loop {
            let page = stack.client.errors(&import.id, cursor.as_deref(), limit).await.expect("a page");
            assert!(page.errors.len() == limit || page.next_cursor.is_none());
            errors.extend(page.errors);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(shown(errors), wanted, "{limit}");
    }
    let page = stack.get(&format!("/v1/imports/{}/errors", import.id)).await.json();
    assert_eq!(page["errors"].as_array().map(Vec::len), Some(limits::PAGE_DEFAULT));
    let first = json!({
        "row": 1, "line": 2, "key": "SKU-1", "field": "name", "value": "", "code": "required", "message": "`name` must hold a value",
    });
    assert_eq!(page["errors"][0], first);
    stack.stop().await;
}

/// The errors with one code in one field, as the answer shows them.
#[derive(Debug, Default, PartialEq)]
struct Group {
    errors: u64,
    rows: BTreeSet<u64>,
    examples: Vec<RowError>,
}

/// Whether ranges hold rows, and no others where there is room enough.
fn hold(ranges: &[RowRange], rows: &BTreeSet<u64>) -> bool {
    let mut runs: Vec<RowRange> = Vec::new();
    for row in rows.iter().copied() {
        match runs.last_mut() {
            Some(run) if run.last + 1 == row => run.last = row,
            _ => runs.push(RowRange { first: row, last: row }),
        }
    }
    let holds = |row: &u64| ranges.iter().any(|range| (range.first..=range.last).contains(row));
    match runs.len() <= limits::ERROR_RANGES {
        true => runs == ranges,
        false => ranges.len() == limits::ERROR_RANGES && rows.iter().all(holds),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_of_errors_equals_a_count_over_all_errors() {
    let stack = Stack::with(|options| options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "64".into()))).await;
    for seed in 0..4 {
        let import = stack.import(&files::hostile(seed, 1500)).await;
        let mut groups: BTreeMap<(String, Option<String>), Group> = BTreeMap::new();
        let errors = stack.errors(&import.id).await;
        for error in &errors {
            let group = groups.entry((error.code.clone(), error.field.clone())).or_default();
            group.errors += 1;
            group.rows.insert(error.row);
            if group.examples.len() < limits::ERROR_EXAMPLES {
                group.examples.push(error.clone());
            }
        }
        let summary = stack.client.error_summary(&import.id).await.expect("a summary");
        assert_eq!((summary.errors, summary.rows, summary.other), (errors.len() as u64, import.rows.failed, 0));
        assert!(groups.len() > 8 && summary.groups.is_sorted_by(|a, b| a.errors >= b.errors), "{seed}: {summary:#?}");
        for shown in summary.groups {
            let group = groups.remove(&(shown.code.clone(), shown.field.clone())).unwrap_or_default();
            assert_eq!((shown.errors, shown.rows), (group.errors, group.rows.len() as u64), "{seed}: {}", shown.code);
            assert!(hold(&shown.ranges, &group.rows), "{seed}: {:?} for {:?}", shown.ranges, group.rows);
            assert_eq!(shown.examples, group.examples, "{seed}");
            assert_eq!((shown.what_to_do.as_str(), has_remedy(&shown.code)), (remedy(&shown.code), true));
        }
        assert!(groups.is_empty(), "{seed}: {groups:#?}");
    }
    let none = stack.import(&files::plain(0, 3, "1")).await;
    let path = format!("/v1/imports/{}/errors/summary", none.id);
    assert_eq!(stack.get(&path).await.json(), json!({ "errors": 0, "rows": 0, "other": 0, "groups": [] }));
    let foreign = stack.client_of(OTHER_TOKEN).error_summary(&none.id).await;
    assert_eq!(refused(foreign), (404, "not_found".to_owned()));
    stack.stop().await;
}

// Records.

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_any_key() {
    let long = "k".repeat(3000);
    let wide = "ü😀".repeat(500);
    let skus = [
        "plain",
        "a,b",
        "100%",
        "%2C",
        "a%2Cb",
        "a/b",
        "/",
        "a b",
        " padded ",
        "Ümläut ß",
        "a+b",
        "?x=1&y#z",
        "back\\slash",
        "\"quoted\"",
        "it's",
        "(1)",
        "a\nb",
        "😀",
        "-",
        "..a",
        "0012",
        &long,
        &wide,
    ];
    let mut file = String::from("sku,name,brand\n");
    for (place, sku) in skus.iter().enumerate() {
        file.push_str(&format!("\"{}\",{place},b\n", sku.replace('"', "\"\"")));
    }
    let stack = Stack::start().await;
    let import = stack.import(file.as_bytes()).await;
    assert_eq!(import.rows.created, skus.len() as u64, "{import:#?}");
    for (place, sku) in skus.iter().enumerate() {
        // What is invisible at the ends of a key does not count.
        let sku = sku.trim();
        let key = sku.replace('%', "%25").replace(',', "%2C");
        let record = stack.client.record("products", &key).await.expect("answers").expect(sku);
        let wanted = json!({
            "kind": "products", "key": key,
            "fields": { "sku": sku, "name": place.to_string(), "brand": "b", "active": true, "base_units_per_sales_unit": 1 },
        });
        assert_eq!(record, wanted);
    }
    // A key whose inner escapes are missing names another record, or none.
    assert_eq!(stack.client.record("products", "a,b").await.expect("answers"), None);
    assert_eq!(stack.client.record("products", "PLAIN").await.expect("answers"), None);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_exact() {
    let digits = "12345678901234567890.123456789012345678";
    let whole = "98765432109876543210987654321098765432";
    let rows = [
        ("9.90", "9.9"),
        ("00012.00", "12"),
        ("1e2", "100"),
        (" 7.25 ", "7.25"),
        ("-0.50", "-0.5"),
        ("+1", "1"),
        ("-0", "0"),
        ("0.1", "0.1"),
        ("1e-20", "0.00000000000000000001"),
        (digits, digits),
        (whole, whole),
        ("9007199254740993", "9007199254740993"),
    ];
    let mut file = String::from("sku,name,brand,cost,base_units_per_sales_unit\n");
    for (place, (cell, _)) in rows.iter().enumerate() {
        file.push_str(&format!("{place},n,b,{cell},\n"));
    }
    file.push_str(&format!("max,n,b,,{}\nmin,n,b,,{}\n", i64::MAX, i64::MIN));
    file.push_str(&format!("39 digits,n,b,{whole}1,\n39 places,n,b,1e-39,\ntoo large,n,b,,9223372036854775808\n"));
    let stack = Stack::start().await;
    let import = stack.import(file.as_bytes()).await;
    assert_eq!((import.rows.created, import.rows.failed), (rows.len() as u64 + 2, 3));
    for (place, (cell, wanted)) in rows.iter().enumerate() {
        // As it is written: whoever reads it may still make a float of it.
        let answer = stack.get(&format!("/v1/records/products/{place}")).await;
        assert!(answer.text().contains(&format!("\"cost\":{wanted},")), "{cell}: {}", answer.text());
    }
    for (sku, wanted) in [("max", i64::MAX), ("min", i64::MIN)] {
        let record = stack.client.record("products", sku).await.expect("answers").expect("is there");
        assert_eq!(record["fields"]["base_units_per_sales_unit"], wanted);
    }
    let errors: Vec<_> = stack.errors(&import.id).await.into_iter().map(|error| error.code).collect();
    assert_eq!(errors, ["invalid_number", "invalid_number", "invalid_integer"]);
    stack.stop().await;
}

// Cancel.

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_awaits_its_upload_is_cancelled_at_once() {
    let stack = Stack::start().await;
    let created = stack.create(ImportOptions::default()).await;
    let path = format!("/v1/imports/{}/cancel", created.id);
    for _ in 0..2 {
        let answer = stack.ask(Method::POST, &path).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("cancelled")));
    }
    // The URL cannot be called back; what it stores changes nothing.
    assert_eq!(upload(&created, b"sku,name,brand\nA,a,b\n").await, 200);
    stack.cloud.idle().await;
    let import = stack.client.import(&created.id).await.expect("is there");
    assert_eq!((import.status, import.rows.processed), (Status::Cancelled, 0));
    assert!(import.completed_at.is_some());
    assert_eq!(stack.client.record("products", "A").await.expect("answers"), None);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cancel_in_the_middle_no_new_rows_begin_and_the_counts_add_up() {
    const ROWS: u64 = 600;
    let stack = held().await;
    let import = half_done(&stack, &files::plain(0, ROWS, "1"), ROWS).await;
    let path = format!("/v1/imports/{}/cancel", import.id);
    let answer = stack.ask(Method::POST, &path).await;
    // Nothing was under way: the import has ended with the answer.
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("cancelled")));
    let cancelled = stack.client.import(&import.id).await.expect("is there");
    adds_up(&cancelled);
    assert_eq!(cancelled.rows.total, Some(ROWS));
    assert_eq!(cancelled.rows.created, import.rows.processed);
    assert_eq!(cancelled.rows.unprocessed, ROWS - import.rows.processed);
    let chunks = begun(&stack, &import.id).await;
    assert_eq!(chunks.len() as u64 * 10, import.rows.processed);
    assert_eq!(stored(&stack, ROWS).await, import.rows.created);
    assert_eq!(stack.ask(Method::POST, &path).await.status, 200);
    // The other half of the messages arrives.
    stack.pass(HELD).await;
    stack.cloud.idle().await;
    assert_eq!(stack.cloud.queue_depths()["chunks"].total(), 0);
    assert_eq!(begun(&stack, &import.id).await, chunks);
    assert_eq!(stored(&stack, ROWS).await, import.rows.created);
    let later = stack.client.import(&import.id).await.expect("is there");
    assert_eq!(
        (later.status, later.rows, later.completed_at),
        (cancelled.status, cancelled.rows, cancelled.completed_at)
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_lets_chunks_that_have_begun_be_finished() {
    let crash_points = tempfile::tempdir().expect("a folder");
    // The first validator to begin a chunk dies there; its message comes back later.
    arm(crash_points.path(), "validate.begun");
    let stack = stack_with_crashes_and(crash_points.path(), |options| {
        options.scheduled = false;
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        options.functions.validate.concurrency = 1;
        options.queues[QueueName::Chunks].batch_size = 1;
    })
    .await;
    let created = stack.uploaded(&files::plain(0, 100, "1")).await;
    stack.cloud.quiet().await;
    let import = stack.client.import(&created.id).await.expect("is there");
    assert_eq!((import.status, import.rows.processed), (Status::Processing, 90));
    let chunks = begun(&stack, &import.id).await;
    assert_eq!(chunks.len(), 10);
    let path = format!("/v1/imports/{}/cancel", import.id);
    for _ in 0..2 {
        let answer = stack.ask(Method::POST, &path).await;
        let shown = answer.json();
        assert_eq!(
            (answer.status, &shown["status"], &shown["ending"]),
            (202, &json!("processing"), &json!("cancelled"))
        );
    }
    let import = stack.ended(&import.id).await;
    adds_up(&import);
    assert_eq!((import.status, import.ending), (Status::Cancelled, None));
    assert_eq!((import.rows.created, import.rows.unprocessed), (100, 0));
    assert_eq!(begun(&stack, &import.id).await, chunks);
    assert_eq!(stored(&stack, 100).await, 100);
    assert_eq!(stack.ask(Method::POST, &path).await.status, 200);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_has_ended_cannot_be_cancelled() {
    let stack = Stack::start().await;
    for file in [&b"sku,name,brand\nA,a,b\n"[..], b"sku,name,brand\nA,b\n", b"nothing\n"] {
        let import = stack.import(file).await;
        assert_eq!(refused(stack.client.cancel(&import.id).await), (409, "already_ended".into()));
        let after = stack.client.import(&import.id).await.expect("is there");
        assert_eq!((after.status, after.rows, after.ending), (import.status, import.rows, None));
    }
    stack.stop().await;
}

// Delete.

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_import_is_gone_and_its_records_stay() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,name,brand\nA,a,b\nB,b\n").await;
    let kept = stack.import(b"sku,name,brand\nC,c,d\nD,d\n").await;
    let path = format!("/v1/imports/{}", import.id);
    let file = stack.get(&format!("{path}/rejected")).await.header("location").expect("a file").to_owned();
    assert_eq!(send(http::client().get(&file)).await.status, 200);
    let answer = stack.ask(Method::DELETE, &path).await;
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert_eq!(stack.ask(Method::DELETE, &path).await.refusal(), (404, "not_found".into()));
    for below in ["", "/errors", "/rejected"] {
        assert_eq!(stack.get(&format!("{path}{below}")).await.refusal(), (404, "not_found".into()), "{below}");
    }
    assert_eq!(refused(stack.client.cancel(&import.id).await), (404, "not_found".into()));
    // Its files go a moment later.
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    assert_eq!(send(http::client().get(&file)).await.storage_refusal(), (404, "NoSuchKey"));
    let left: Vec<String> =
        stack.client.list(None, 100).await.expect("a list").imports.into_iter().map(|i| i.id).collect();
    assert_eq!(left.iter().collect::<Vec<_>>(), [&kept.id]);
    assert_eq!(stack.errors(&kept.id).await.len(), 1);
    for sku in ["A", "C"] {
        assert!(stack.client.record("products", sku).await.expect("answers").is_some(), "{sku}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_awaits_its_upload_can_be_deleted() {
    let stack = Stack::start().await;
    let created = stack.create(ImportOptions::default()).await;
    assert_eq!(stack.ask(Method::DELETE, &format!("/v1/imports/{}", created.id)).await.status, 204);
    assert_eq!(upload(&created, b"sku,name,brand\nA,a,b\n").await, 200);
    stack.cloud.idle().await;
    assert!(
        matches!(stack.client.import(&created.id).await, Err(ClientError::Refused { status, .. }) if status == 404)
    );
    assert_eq!(stack.client.record("products", "A").await.expect("answers"), None);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_processing_is_not_deleted() {
    const ROWS: u64 = 200;
    let stack = held().await;
    let import = half_done(&stack, &files::plain(0, ROWS, "1"), ROWS).await;
    let path = format!("/v1/imports/{}", import.id);
    assert_eq!(stack.ask(Method::DELETE, &path).await.refusal(), (409, "import_runs".into()));
    stack.pass(HELD).await;
    let import = stack.ended(&import.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, ROWS));
    assert_eq!(stack.ask(Method::DELETE, &path).await.status, 204);
    assert_eq!(stored(&stack, ROWS).await, ROWS);
    stack.stop().await;
}

// Rejected rows.

#[tokio::test(flavor = "multi_thread")]
async fn the_rejected_rows_are_one_redirect_away() {
    let stack = held().await;
    let waiting = stack.create(ImportOptions::default()).await;
    let running = half_done(&stack, &files::plain(0, 200, "1"), 200).await;
    for id in [&waiting.id, &running.id] {
        let answer = stack.get(&format!("/v1/imports/{id}/rejected")).await;
        assert_eq!(answer.refusal(), (409, "not_ready".into()));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    stack.pass(HELD).await;
    let without = stack.ended(&running.id).await;
    assert_eq!(stack.get(&format!("/v1/imports/{}/rejected", without.id)).await.refusal(), (404, "not_found".into()));

    let import = stack.import(b"sku,name,brand\nA,a,b\nB,b\n").await;
    let rejected = import.rejected.expect("a file");
    assert_eq!(rejected.rows, 1);
    let path = format!("/v1/imports/{}/rejected", import.id);
    let answer = stack.get(&path).await;
    assert_eq!((answer.status, answer.text()), (303, ""));
    let file = send(http::client().get(answer.header("location").expect("where it is"))).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
    let name = format!("attachment; filename=\"{}.rejected.csv\"", import.id);
    assert_eq!(file.header("content-disposition"), Some(&*name));
    let wanted = "_row,_line,_errors,sku,name,brand\n2,3,\"ragged_row: the row has 2 cells, the header names 3 columns: write an empty cell \
         for each that is missing, or give the option `short_rows` = \"\"absent\"\" if the row is whole\",B,b\n";
    assert_eq!(file.text(), wanted);
    // The URL is a credential: it is good for five minutes.
    stack.pass(Duration::from_secs(301)).await;
    let late = send(http::client().get(answer.header("location").expect("where it is"))).await;
    assert_eq!(late.storage_refusal(), (403, "AccessDenied"));
    assert_eq!(stack.get(&path).await.status, 303);
    stack.stop().await;
}

// Options.

/// What a record's fields are, but for its key, its brand and the defaults.
async fn fields(stack: &Stack, sku: &str) -> BTreeMap<String, Value> {
    let record = stack.client.record("products", sku).await.expect("answers").expect("is there");
    let fields = record["fields"].as_object().expect("fields").clone();
    let own = ["sku", "brand", "active", "base_units_per_sales_unit"];
    fields.into_iter().filter(|(name, _)| !own.contains(&name.as_str())).collect()
}

fn shown(value: Value) -> BTreeMap<String, Value> {
    value.as_object().expect("an object").clone().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_writes_nothing() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand\nA,a,b\nB,a,b\n").await;
    let file = b"sku,name,brand\nA,new,b\nB,a,b\nC,c,d\nD,d\n";
    let dry = stack.import_with(file, ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
    assert_eq!(dry.status, Status::CompletedWithErrors);
    adds_up(&dry);
    let rows = dry.rows;
    assert_eq!((rows.created, rows.updated, rows.unchanged, rows.failed), (1, 1, 1, 1));
    assert_eq!(stack.errors(&dry.id).await.len(), 1);
    assert_eq!(fields(&stack, "A").await, shown(json!({ "name": "a" })));
    assert_eq!(stack.client.record("products", "C").await.expect("answers"), None);
    // For real it counts the same.
    let real = stack.import(file).await;
    assert_eq!(real.rows, dry.rows);
    assert_eq!(fields(&stack, "A").await, shown(json!({ "name": "new" })));
    assert!(stack.client.record("products", "C").await.expect("answers").is_some());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_first_rows_are_bad_is_stopped() {
    let stack = Stack::with(|options| {
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        options.functions.validate.concurrency = 1;
        options.queues[QueueName::Chunks].batch_size = 1;
    })
    .await;
    let file = |bad: u64| {
        let row = |row: u64| if row <= bad { format!("BAD-{row}\n") } else { format!("SKU-{row},n,b\n") };
        format!("sku,name,brand\n{}", (1..=300).map(row).collect::<String>())
    };
    // Each row is read, so that there are rows which the end leaves unread.
    let abort = Some(Abort { rows: 20, percent: 25 });
    let options = ImportOptions { abort, force: true, ..ImportOptions::default() };
    // A quarter of twenty is within the limit.
    let import = stack.import_with(file(5).as_bytes(), options.clone()).await;
    assert_eq!((import.status, import.rows.total, import.rows.failed), (Status::CompletedWithErrors, Some(300), 5));
    let import = stack.import_with(file(6).as_bytes(), options).await;
    assert_eq!(import.status, Status::Failed);
    adds_up(&import);
    let failure = import.failure.expect("a reason");
    assert_eq!(failure.code, "too_many_rejected");
    for part in ["6 of the first 20 rows", "25 %"] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
    assert!(import.rows.failed == 6 && import.rows.unprocessed > 0, "{:?}", import.rows);
    assert_eq!(stack.errors(&import.id).await.len(), 6);
    assert_eq!(import.rejected.map(|rejected| rejected.rows), Some(6));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn create_makes_new_records_only() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand\nA,a,b\n").await;
    let options = ImportOptions { mode: Mode::Create, ..ImportOptions::default() };
    let import = stack.import_with(b"sku,name,brand,category\nA,new,b,c\nB,b,b,c\nB,again,b,d\n", options).await;
    assert_eq!(import.status, Status::Completed);
    adds_up(&import);
    assert_eq!((import.rows.created, import.rows.skipped, import.rows.updated), (1, 2, 0));
    assert_eq!(fields(&stack, "A").await, shown(json!({ "name": "a" })));
    assert_eq!(fields(&stack, "B").await, shown(json!({ "name": "b", "category": "c" })));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fill_sets_fields_that_hold_nothing() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand,category\nA,a,b,\nB,b,b,c\n").await;
    let options = ImportOptions { mode: Mode::Fill, ..ImportOptions::default() };
    let import = stack.import_with(b"sku,name,brand,category\nA,new,b,filled\nB,new,b,new\nC,c,b,c\n", options).await;
    assert_eq!(import.status, Status::Completed);
    adds_up(&import);
    let rows = import.rows;
    assert_eq!((rows.updated, rows.created), (1, 1), "{rows:?}");
    assert_eq!(rows.skipped + rows.unchanged, 1, "{rows:?}");
    assert_eq!(fields(&stack, "A").await, shown(json!({ "name": "a", "category": "filled" })));
    assert_eq!(fields(&stack, "B").await, shown(json!({ "name": "b", "category": "c" })));
    assert_eq!(fields(&stack, "C").await, shown(json!({ "name": "c", "category": "c" })));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_cell_keeps_the_field_or_clears_it() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand,category,cost\nA,a,b,c,1\n").await;
    let file = b"sku,name,brand,category\nA,a,b,\n";
    let kept = stack.import(file).await;
    assert_eq!((kept.rows.unchanged, kept.rows.updated), (1, 0));
    assert_eq!(fields(&stack, "A").await, shown(json!({ "name": "a", "category": "c", "cost": 1 })));
    let clear = ImportOptions { empty_cells: EmptyCells::Clear, ..ImportOptions::default() };
    let cleared = stack.import_with(file, clear.clone()).await;
    assert_eq!((cleared.rows.unchanged, cleared.rows.updated), (0, 1));
    // The column that the file does not have is untouched.
    assert_eq!(fields(&stack, "A").await, shown(json!({ "name": "a", "cost": 1 })));
    // What has to hold something cannot be cleared.
    let refused = stack.import_with(b"sku,name,brand\nA,,b\n", clear).await;
    assert_eq!((refused.status, refused.rows.failed), (Status::CompletedWithErrors, 1));
    assert_eq!(fields(&stack, "A").await["name"], "a");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_reads_in_the_documented_shape_when_it_has_ended() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,colour,name,brand\nA,red,a,b\nB\n").await;
    let shown = send(stack.request(Method::GET, &format!("/v1/imports/{}", import.id)).bearer_auth(TOKEN)).await.json();
    assert!(rfc3339_seconds(&shown["completed_at"]) >= rfc3339_seconds(&shown["created_at"]));
    let wanted = json!({
        "id": import.id, "kind": "products", "status": "completed_with_errors",
        "created_at": import.created_at, "expires_at": import.expires_at, "completed_at": import.completed_at,
        "from": null, "corrects": null, "source_expires_at": import.source_expires_at, "filename": null, "format": null, "kind_version": null, "metadata": {}, "webhook": null, "options": { "mode": "upsert", "empty_cells": "keep", "dry_run": false },
        "detected": { "format": "csv", "compression": null, "encoding": "UTF-8", "delimiter": ",", "quoting": true, "sheet": null, "notes": [] },
        "columns": ["sku", "colour", "name", "brand"], "ignored_columns": ["colour"],
        "rows": { "total": 2, "processed": 2, "created": 1, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 1, "unprocessed": 0 },
        "ending": null, "failure": null,
        "removed": 0, "to_remove": null, "confirm_until": null, "waiting_for": null,
        "rejected": { "rows": 1 },
        "created_by": { "key": "test", "client": concat!("penstock/", env!("CARGO_PKG_VERSION")), "api": "native" },
        "confirmed_by": null, "confirmed_as": null, "cancelled_by": null,
        "times": import.times, "cost": import.cost, "retained_until": import.retained_until,
    });
    assert_eq!(shown, wanted);
    stack.stop().await;
}
