//! Exports: what went in can be taken out again, whole, once, and as it is; whoever dies, and however often it is
//! handed on.
//!
//! A file of several parts takes records of some size: S3 takes no part under 5 MiB but the last.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    time::{Duration, Instant},
};

use penstock_client::{ClientError, Export, NewExport};
use penstock_model::{ExportCompression, ExportFormat, ExportStatus, ImportOptions, Status, limits};
use serde_json::Value;

use crate::support::{
    self, OTHER_TOKEN, Stack,
    crashes::{arm, armed, stack_with_crashes_and},
    files, refused,
};

impl Stack {
    async fn order(&self, format: ExportFormat, compression: ExportCompression) -> Export {
        let export = NewExport { kind: "products".to_owned(), format, compression, changed_after: None };
        self.client.create_export(&export).await.expect("an export is ordered")
    }

    /// Waits until an export has ended, letting time pass where all that is left waits for it.
    async fn export_ended(&self, id: &str) -> Export {
        let mut last = None;
        self.passes_until("the export has ended", async || {
            let export = self.client.export(id).await.expect("the export is there");
            let ended = export.status.is_final();
            last = Some(export);
            ended
        })
        .await;
        last.expect("it was looked at")
    }

    async fn exported(&self, format: ExportFormat, compression: ExportCompression) -> (Export, Vec<u8>) {
        let ordered = self.order(format, compression).await;
        let export = self.export_ended(&ordered.id).await;
        assert_eq!(export.status, ExportStatus::Completed, "{:?}\n{}", export.failure, self.logs());
        let file = self.file_of(&export).await;
        assert_eq!(export.bytes, file.len() as u64);
        (export, file)
    }

    async fn file_of(&self, export: &Export) -> Vec<u8> {
        let mut stored = self.client.export_file(export.url.as_ref().expect("a URL")).await.expect("the file is there");
        let mut file = Vec::new();
        while let Some(bytes) = stored.chunk().await.expect("it comes whole") {
            file.extend_from_slice(bytes.as_ref());
        }
        file
    }
}

/// The records of an NDJSON file by their SKUs. None is there twice.
fn records(file: &[u8]) -> BTreeMap<String, Value> {
    let mut records = BTreeMap::new();
    for line in std::str::from_utf8(file).expect("UTF-8").lines() {
        let record: Value = serde_json::from_str(line).expect("an object");
        let sku = record["sku"].as_str().expect("a key").to_owned();
        assert!(records.insert(sku.clone(), record).is_none(), "{sku} is there twice");
    }
    records
}

/// A file of so many records of some 20 KB each, so that few of them make parts of 5 MiB.
fn large(rows: usize) -> Vec<u8> {
    let mut file = b"sku,name,brand,description\n".to_vec();
    for row in 0..rows {
        file.extend(format!("SKU-{row:06},Lamp {row},Acme,{}\n", format!("{row:07} ").repeat(2500)).into_bytes());
    }
    file
}

/// Records that make three parts.
const LARGE: usize = 700;

fn small_parts(options: &mut penstock_local::Options) {
    options.environment.push(("PENSTOCK_EXPORT_PART_BYTES".into(), limits::PART_LEAST_BYTES.to_string()));
}

/// The most memory that a process of the function took, in bytes: 128 MiB or less, whatever is exported.
fn bounded_memory(stack: &Stack) -> u64 {
    let processes = stack.cloud.processes();
    let peaks = processes.iter().filter(|process| process.function == "export").map(|process| process.peak_rss_bytes);
    let peak = peaks.max().expect("it ran");
    assert!((1..=128 << 20).contains(&peak), "{peak} bytes");
    peak
}

/// `PENSTOCK_EXPORT_RECORDS` are a few thousand where it is not set. How fast they are exported is printed.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_within_128_mib_whatever_the_format() {
    let wanted = std::env::var("PENSTOCK_EXPORT_RECORDS").ok().and_then(|records| records.parse().ok());
    let wanted: u64 = wanted.unwrap_or(4_000);
    let stack = Stack::start().await;
    let import = stack.import(&files::plain(0, wanted, "1")).await;
    assert_eq!(import.rows.created, wanted);
    for (format, compression) in [
        (ExportFormat::Ndjson, ExportCompression::None),
        (ExportFormat::Csv, ExportCompression::None),
        (ExportFormat::Csv, ExportCompression::Gzip),
        (ExportFormat::Csv, ExportCompression::Zstd),
    ] {
        let started = Instant::now();
        let (export, file) = stack.exported(format, compression).await;
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!((export.records, export.inexact), (wanted, 0));
        println!(
            "{} {}: {wanted} records, {} bytes, {seconds:.1} s, {:.0} records/s, peak {} MiB",
            format.as_str(),
            compression.as_str(),
            file.len(),
            wanted as f64 / seconds,
            bounded_memory(&stack) >> 20
        );
        if compression == ExportCompression::Zstd {
            let again = stack.import(&file).await;
            assert_eq!((again.rows.unchanged, again.rows.total), (wanted, Some(wanted)));
        }
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_in_comes_out_once_and_goes_in_again_unchanged() {
    let stack = Stack::start().await;
    let (empty, file) = stack.exported(ExportFormat::Ndjson, ExportCompression::None).await;
    assert_eq!((empty.records, file.len()), (0, 0), "a kind without records");
    let mut rows = files::plain(0, 3000, "1");
    for (row, name) in
        ["=1+1", "+49 30", "-x", "@y", "a, \"b\"", "two lines", " ends ", "ä漢😀", "=\"007\""].iter().enumerate()
    {
        rows.extend(format!("odd-{row},\"{}\",Brand,1\n", name.replace('"', "\"\"")).into_bytes());
    }
    let import = stack.import(&rows).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 3009));
    let (export, ndjson) = stack.exported(ExportFormat::Ndjson, ExportCompression::None).await;
    assert_eq!((export.records, export.inexact, export.deleted), (3009, 0, 0));
    let all = records(&ndjson);
    assert_eq!(all.len(), 3009);
    let stored = stack.client.record("products", "odd-0").await.expect("answers").expect("is there");
    assert_eq!(all["odd-0"], stored["fields"]);
    assert_eq!(all["odd-0"]["name"], "=1+1", "a cell is never changed");
    let (export, csv) = stack.exported(ExportFormat::Csv, ExportCompression::None).await;
    assert_eq!((export.records, export.inexact), (3009, 0));
    assert!(csv.starts_with(b"\xef\xbb\xbfsku,name,description,cost,"), "the schema's order");
    for compression in [ExportCompression::Gzip, ExportCompression::Zstd] {
        let (_, packed) = stack.exported(ExportFormat::Csv, compression).await;
        let mut unpacked = Vec::new();
        match compression {
            ExportCompression::Gzip => flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut unpacked),
            _ => zstd::stream::read::Decoder::new(&packed[..]).expect("a decoder").read_to_end(&mut unpacked),
        }
        .expect("it unpacks");
        assert!(packed.len() < csv.len() / 2 && unpacked == csv, "{compression:?}: the same order each time");
        let again = stack.import(&packed).await;
        assert_eq!((again.status, again.rows.unchanged, again.rows.total), (Status::Completed, 3009, Some(3009)));
    }
    for file in [&csv, &ndjson] {
        let again = stack.import(file).await;
        assert_eq!((again.status, again.rows.unchanged, again.rows.total), (Status::Completed, 3009, Some(3009)));
    }
    // The difference since then: one record that is new, one that was changed.
    let change = b"sku,name,brand\nnew,New,Brand\nodd-1,Changed,Brand\n";
    assert_eq!(stack.import(change).await.rows.created, 1);
    let after = Some(import.id.clone());
    let order = NewExport { kind: "products".to_owned(), changed_after: after, ..NewExport::default() };
    let ordered = stack.client.create_export(&order).await.expect("ordered");
    let difference = stack.export_ended(&ordered.id).await;
    assert_eq!((difference.records, &difference.changed_after), (2, &Some(import.id)));
    let changed = records(&stack.file_of(&difference).await);
    assert_eq!(changed.keys().collect::<Vec<_>>(), ["new", "odd-1"]);
    let csv = NewExport { format: ExportFormat::Csv, ..order };
    assert_eq!(refused(stack.client.create_export(&csv).await), (422, "not_flat".to_owned()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_has_what_was_changed_and_tells_what_was_deleted() {
    let stack = Stack::start().await;
    let first = stack.import(&files::plain(0, 50, "1")).await;
    stack.import(&files::plain(7, 1, "2")).await;
    let deleted = stack.client.delete_records("products", &["SKU-9".to_owned()]).await.expect("answers");
    assert_eq!(deleted.deleted, 1);
    let new = NewExport { kind: "products".to_owned(), changed_after: Some(first.id), ..NewExport::default() };
    let ordered = stack.client.create_export(&new).await.expect("an export is ordered");
    let export = stack.export_ended(&ordered.id).await;
    assert_eq!((export.status, export.records), (ExportStatus::Completed, 1), "{export:?}");
    let file = String::from_utf8(stack.file_of(&export).await).expect("UTF-8");
    let lines: BTreeSet<&str> = file.lines().collect();
    assert_eq!(lines.len(), 2, "{file}");
    assert!(lines.contains(r#"{"deleted":true,"key":"SKU-9"}"#), "{file}");
    assert!(lines.iter().any(|line| line.contains(r#""sku":"SKU-7""#)), "{file}");
    // An export of all has no trace of it.
    let (all, file) = stack.exported(ExportFormat::Ndjson, ExportCompression::None).await;
    assert_eq!((all.records, records(&file).contains_key("SKU-9")), (49, false));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_exported_is_refused_and_what_is_another_s_is_not_there() {
    let stack = Stack::with(|options| options.mapped = false).await;
    let other = stack.client_of(OTHER_TOKEN);
    let of = |kind: &str, format| NewExport { kind: kind.to_owned(), format, ..NewExport::default() };
    for (kind, format, wanted) in [
        ("unicorns", ExportFormat::Ndjson, (422, "unknown_kind")),
        ("orders", ExportFormat::Csv, (422, "not_flat")),
        ("vouchers", ExportFormat::Csv, (422, "not_flat")),
    ] {
        let refusal = refused(stack.client.create_export(&of(kind, format)).await);
        assert_eq!((refusal.0, refusal.1.as_str()), wanted, "{kind}");
    }
    let import = stack.create(ImportOptions::default()).await;
    let after = |kind: &str, import: &str| NewExport {
        changed_after: Some(import.to_owned()),
        ..of(kind, ExportFormat::Ndjson)
    };
    assert_eq!(refused(stack.client.create_export(&after("products", &import.id)).await).1, "not_accepted");
    // A record of this kind may be written as the line that says that one was deleted.
    let schema = serde_json::json!({ "name": "flags", "primaryKey": "key", "fields": [
        { "name": "key" }, { "name": "deleted", "type": "boolean" },
    ] });
    stack.client.put_kind(&schema).await.expect("registered");
    assert_eq!(refused(stack.client.create_export(&after("flags", &import.id)).await).1, "ambiguous_deletions");
    assert_eq!(refused(stack.client.create_export(&after("orders", &import.id)).await).1, "another_kind");
    assert_eq!(refused(other.create_export(&after("products", &import.id)).await).0, 404);
    // Nobody reads for them: they stay pending, up to the account's limit.
    let mut ids = Vec::new();
    for _ in 0..limits::ACCOUNT_EXPORTS {
        let export = stack.order(ExportFormat::Ndjson, ExportCompression::None).await;
        assert_eq!((export.status, export.url), (ExportStatus::Pending, None));
        ids.push(export.id);
    }
    let one_more = of("products", ExportFormat::Ndjson);
    assert_eq!(refused(stack.client.create_export(&one_more).await), (429, "too_many_exports".to_owned()));
    other.create_export(&one_more).await.expect("another account has its own limit");
    for answer in [other.export(&ids[0]).await.map(drop), other.cancel_export(&ids[0]).await.map(drop)] {
        assert_eq!(refused(answer).0, 404);
    }
    assert_eq!(refused(other.delete_export(&ids[0]).await).0, 404);
    assert_eq!(refused(stack.client.delete_export(&ids[0]).await), (409, "export_runs".to_owned()));
    // The newest first, a page at a time.
    let page = stack.client.exports(None, 3).await.expect("a page");
    let mut listed: Vec<String> = page.exports.into_iter().map(|export| export.id).collect();
    let page = stack.client.exports(page.next_cursor.as_deref(), 3).await.expect("a page");
    listed.extend(page.exports.into_iter().map(|export| export.id));
    assert_eq!((listed, page.next_cursor), (ids.iter().rev().cloned().collect::<Vec<_>>(), None));
    // Cancelled is cancelled, and makes room.
    for _ in 0..2 {
        let cancelled = stack.client.cancel_export(&ids[0]).await.expect("cancelled");
        assert_eq!(cancelled.status, ExportStatus::Cancelled);
    }
    let pending = stack.client.create_export(&one_more).await.expect("there is room");
    assert_eq!(pending.status, ExportStatus::Pending);
    stack.client.delete_export(&ids[0]).await.expect("deleted");
    assert_eq!(refused(stack.client.export(&ids[0]).await).0, 404);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_export_s_file_is_gone() {
    let stack = Stack::with(|options| options.scheduled = false).await;
    stack.import(&files::plain(0, 10, "1")).await;
    let (export, _) = stack.exported(ExportFormat::Ndjson, ExportCompression::None).await;
    let url = export.url.expect("a URL");
    assert_eq!(refused(stack.client.cancel_export(&export.id).await), (409, "already_ended".to_owned()));
    stack.client.delete_export(&export.id).await.expect("deleted");
    assert_eq!(refused(stack.client.export(&export.id).await).0, 404);
    assert_eq!(refused(stack.client.delete_export(&export.id).await).0, 404);
    assert!(stack.client.exports(None, 10).await.expect("a page").exports.is_empty());
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    let gone = stack.client.export_file(&url).await.expect_err("it is gone");
    assert!(
        matches!(&gone, ClientError::Http(error) if error.status().is_some_and(|status| status == 404)),
        "{gone:?}"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_no_longer_given_out_when_it_is_no_longer_kept() {
    let stack = Stack::start().await;
    let (export, _) = stack.exported(ExportFormat::Ndjson, ExportCompression::None).await;
    stack.pass(Duration::from_secs(limits::EXPORT_RETENTION_DAYS * 86_400 + 1)).await;
    let kept = stack.client.export(&export.id).await.expect("it is remembered");
    assert_eq!((kept.status, kept.url), (ExportStatus::Completed, None));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_after_any_step_loses_nothing_and_doubles_nothing() {
    for point in ["export.begun", "export.part", "export.checkpoint", "export.stored", "export.ended"] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes_and(folder.path(), small_parts).await;
        assert_eq!(stack.import(&large(LARGE)).await.rows.created, LARGE as u64);
        arm(folder.path(), point);
        let (export, file) = stack.exported(ExportFormat::Ndjson, ExportCompression::None).await;
        assert_eq!(armed(folder.path()), [""; 0], "{point}: nothing died");
        assert!(stack.deaths("export") > 0, "{point}");
        assert_eq!((export.records, records(&file).len()), (LARGE as u64, LARGE), "{point}");
        // Whatever stood in the way, the account may order as many as before.
        for _ in 0..limits::ACCOUNT_EXPORTS {
            stack.order(ExportFormat::Ndjson, ExportCompression::None).await;
        }
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn near_its_time_limit_it_goes_on_in_another_invocation() {
    for (compression, dies) in [(ExportCompression::None, false), (ExportCompression::None, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes_and(folder.path(), |options| {
            small_parts(options);
            options.faults.deadline_near = 1.0;
        })
        .await;
        assert_eq!(stack.import(&large(LARGE)).await.rows.created, LARGE as u64);
        if dies {
            arm(folder.path(), "export.continued");
        }
        let (export, file) = stack.exported(ExportFormat::Csv, compression).await;
        assert_eq!(armed(folder.path()), [""; 0]);
        assert!(stack.invocations("export") > 2, "{} invocations", stack.invocations("export"));
        assert!(stack.cloud.logs("export").contains("handed on"), "{}", stack.cloud.logs("export"));
        assert_eq!(export.records, LARGE as u64);
        bounded_memory(&stack);
        let again = stack.import(&file).await;
        assert_eq!((again.rows.unchanged, again.rows.total), (LARGE as u64, Some(LARGE as u64)));
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_lost_is_sent_again_and_one_that_kills_every_reader_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        options.faults.message_delayed = 1.0;
        options.faults.delay = Duration::from_secs(24 * 3600);
    })
    .await;
    let lost = stack.order(ExportFormat::Ndjson, ExportCompression::None).await;
    stack.cloud.quiet().await;
    stack.cloud.queue("exports").expect("the queue").purge();
    stack.cloud.faults().clear();
    // The sweeper dies once when it has sent it.
    arm(folder.path(), "export.resent");
    assert_eq!(stack.export_ended(&lost.id).await.status, ExportStatus::Completed);
    assert_eq!(armed(folder.path()), [""; 0]);
    stack.import(&files::plain(0, 10, "1")).await;
    arm(folder.path(), "export.begun.always");
    let ordered = stack.order(ExportFormat::Ndjson, ExportCompression::None).await;
    let failed = stack.export_ended(&ordered.id).await;
    assert_eq!((failed.status, failed.url), (ExportStatus::Failed, None));
    assert_eq!(failed.failure.expect("a reason").code, "export_failed");
    assert_eq!(stack.deaths("export"), limits::EXPORT_TRIES as usize);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_export_has_left_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        small_parts(options);
        options.scheduled = false;
    })
    .await;
    assert_eq!(stack.import(&large(LARGE)).await.rows.created, LARGE as u64);
    // Its reader dies with a part stored; the order waits to be delivered again.
    arm(folder.path(), "export.part");
    let ordered = stack.order(ExportFormat::Ndjson, ExportCompression::None).await;
    stack.cloud.quiet().await;
    let running = stack.client.export(&ordered.id).await.expect("is there");
    assert_eq!((running.status, running.records), (ExportStatus::Processing, 0));
    assert_eq!(stack.client.cancel_export(&ordered.id).await.expect("cancelled").status, ExportStatus::Cancelled);
    arm(folder.path(), "export.removed");
    let died = stack.cloud.sweep_now().await;
    assert!(died.is_err() && armed(folder.path()).is_empty(), "{died:?}");
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    stack.cloud.idle().await;
    let cancelled = stack.client.export(&ordered.id).await.expect("is there");
    assert_eq!((cancelled.status, cancelled.url, cancelled.records), (ExportStatus::Cancelled, None, 0));
    // The account's next one is as any.
    let (export, _) = stack.exported(ExportFormat::Ndjson, ExportCompression::None).await;
    assert_eq!(export.records, LARGE as u64);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gives_the_same_export_though_it_could_not_be_ordered_any_more() {
    let stack = Stack::start().await;
    let put = async |document: Value| {
        let request = stack.request(reqwest::Method::PUT, "/v1/kinds/own").bearer_auth(support::TOKEN);
        support::http::send(request.body(document.to_string())).await.status
    };
    let own = |fields: Value| serde_json::json!({ "primaryKey": "no", "fields": fields });
    assert_eq!(put(own(serde_json::json!([{ "name": "no" }]))).await, 201);
    let new = NewExport { kind: "own".to_owned(), format: ExportFormat::Csv, ..NewExport::default() };
    let first = stack.client.create_export_once(&new, "nightly").await.expect("ordered");
    let nested = serde_json::json!([{ "name": "no" }, { "name": "tags", "type": "array" }]);
    assert_eq!(put(own(nested)).await, 200);
    assert_eq!(refused(stack.client.create_export_once(&new, "other").await), (422, "not_flat".to_owned()));
    assert_eq!(stack.client.create_export_once(&new, "nightly").await.expect("the same").id, first.id);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_orders_one_export_and_stands_for_nothing_else() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,name,brand\nS-1,a,b\n").await;
    let new = NewExport { kind: "products".to_owned(), ..NewExport::default() };
    let first = stack.client.create_export_once(&new, "nightly").await.expect("ordered");
    for _ in 0..2 {
        assert_eq!(stack.client.create_export_once(&new, "nightly").await.expect("the same").id, first.id);
    }
    let other = NewExport { compression: ExportCompression::Gzip, ..new.clone() };
    let reused = (422, "idempotency_key_reused".to_owned());
    assert_eq!(refused(stack.client.create_export_once(&other, "nightly").await), reused);
    // Neither does a key of an import stand for an export, nor the other way round, though the bodies are the same.
    let body = r#"{"kind":"products"}"#;
    let post = async |path: &str, key: &str| {
        let request = stack.request(reqwest::Method::POST, path).bearer_auth(support::TOKEN);
        support::http::send(request.header("idempotency-key", key).body(body)).await
    };
    assert_eq!(post("/v1/imports", "a").await.status, 201);
    assert_eq!(post("/v1/exports", "b").await.status, 202);
    for (path, key) in [("/v1/exports", "a"), ("/v1/imports", "b")] {
        assert_eq!(post(path, key).await.refusal(), reused, "{path}");
    }
    assert_eq!(post("/v1/exports", "").await.refusal(), (400, "invalid_idempotency_key".to_owned()));
    // Another account's key is its own.
    let another = stack.client_of(OTHER_TOKEN).create_export_once(&new, "nightly").await.expect("ordered");
    assert_ne!(another.id, first.id);
    let ended = stack.export_ended(&first.id).await;
    assert_eq!((ended.status, ended.records), (ExportStatus::Completed, import.rows.created));
    stack.client.delete_export(&first.id).await.expect("deleted");
    let gone = refused(stack.client.create_export_once(&new, "nightly").await);
    assert_eq!(gone, (409, "export_deleted".to_owned()));
    stack.pass(Duration::from_secs(24 * 3600)).await;
    let later = stack.client.create_export_once(&new, "nightly").await.expect("a day later it is free");
    assert_ne!(later.id, first.id);
    stack.stop().await;
}
