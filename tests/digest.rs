//! Rows that say again what was said last of their records are dropped: nothing is read for them. Each rule behind that
//! is needed: with it a schedule leaves what it should, without it the same schedule does not.

use std::time::Duration;

use penstock_client::{Import, NewImport};
use penstock_model::{EmptyCells, Halt, ImportOptions, Mode, Status};
use penstock_store::conditions::Condition;
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    Stack, TOKEN, adds_up,
    crashes::{arm, armed, stack_with_crashes, stack_with_crashes_and},
    files, force,
    held::held_and,
    http,
    reference::shown,
    rules::{is_needed, store, switch_off},
    storage,
    tables::import_items,
    upload,
};

/// Rows of the files of most schedules.
const ROWS: u64 = 50;

fn skus(rows: u64) -> Vec<String> {
    (0..rows).map(|row| format!("SKU-{row}")).collect()
}

/// How many records an import of a file has read, on a [`Stack::counted`].
async fn reads(stack: &Stack, options: ImportOptions, file: &[u8]) -> (Import, u64) {
    let records = &stack.cloud.store().settings().records_table;
    let (import, used) = stack.used(options, file).await;
    let read = used.total(|operation| operation.resource == *records && operation.name == "BatchGetItem");
    (import, read.items)
}

async fn plain_reads(stack: &Stack, cost: &str) -> u64 {
    let (import, read) = reads(stack, ImportOptions::default(), &files::plain(0, ROWS, cost)).await;
    assert_eq!((import.status, import.rows.processed), (Status::Completed, ROWS));
    read
}

/// The digests that the order of the products has.
async fn digests(stack: &Stack) -> Vec<Value> {
    let items = import_items(stack).await;
    let of_kinds = items.iter().filter_map(|item| item.get("digests")?["M"].as_object());
    of_kinds.flat_map(|digests| digests.values().cloned()).collect()
}

/// Puts a kind of two fields beside the key.
async fn put_kind(stack: &Stack, more: &str) {
    let kind = format!(
        r#"{{ "primaryKey": "id", "fields": [{{ "name": "id" }}, {{ "name": "a" }}, {{ "name": "b" }}]{more} }}"#
    );
    let put = stack.request(Method::PUT, "/v1/kinds/pairs").bearer_auth(TOKEN).body(kind);
    assert!((200..300).contains(&http::send(put).await.status));
}

async fn pairs(stack: &Stack, file: &str) -> Import {
    stack.import_as(NewImport { kind: Some("pairs".to_owned()), ..NewImport::default() }, file.as_bytes()).await
}

async fn pair(stack: &Stack, field: &str) -> Value {
    stack.client.record("pairs", "1").await.expect("answers").expect("is there")["fields"][field].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_again_is_read_as_far_as_it_has_changed() {
    let stack = Stack::counted().await;
    assert_eq!(plain_reads(&stack, "1").await, 0, "a first load");
    let before = stack.records("1", &skus(ROWS)).await;
    // However its values are written, and in whatever order its columns stand.
    assert_eq!(plain_reads(&stack, "1.00").await, 0);
    let rows: String = (0..ROWS).rev().map(|row| format!("1,Brand,Product {row},SKU-{row}\n")).collect();
    let (import, read) =
        reads(&stack, ImportOptions::default(), format!("cost,brand,name,sku\n{rows}").as_bytes()).await;
    assert_eq!((import.rows.unchanged, read), (ROWS, 0));
    assert_eq!(stack.records("1", &skus(ROWS)).await, before);
    // A row that is new, one that has changed, one that is bad, and one that is as it was.
    let changed =
        b"sku,name,brand,cost\nSKU-0,Product 0,Brand,2\nSKU-1,,Brand,1\nNEW,N,Brand,1\nSKU-2,Product 2,Brand,1\n";
    let (import, read) = reads(&stack, ImportOptions::default(), changed).await;
    let rows = import.rows;
    adds_up(&import);
    assert_eq!((rows.updated, rows.failed, rows.created, rows.unchanged), (1, 1, 1, 1));
    assert!((1..=2).contains(&read), "the changed record, and the new one, of which there is none: {read}");
    // What that file does not name was said by the one before it. The bad row has said nothing.
    let (import, read) = reads(&stack, ImportOptions::default(), &files::plain(0, ROWS, "1")).await;
    assert_eq!((import.rows.updated, import.rows.unchanged, read), (1, ROWS - 1, 1));
    let (import, read) = reads(&stack, force(), &files::plain(0, ROWS, "1")).await;
    assert_eq!((import.rows.unchanged, read), (ROWS, ROWS), "its owner wants every row applied");
    assert_eq!(plain_reads(&stack, "1.0").await, 0, "that file says what is so, too");
    stack.stop().await;
}

fn notes(import: &Import) -> &[String] {
    import.detected.as_ref().map_or(&[], |detected| &detected.notes)
}

/// The last file again, as often as it comes, is not read. Any other file is.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_the_last_one_again_is_not_read() {
    let stack = Stack::counted().await;
    let file = files::plain(0, ROWS, "1");
    let is_same = |import: &Import| {
        adds_up(import);
        assert_eq!((import.status, import.rows.unchanged, import.rows.total), (Status::Completed, ROWS, Some(ROWS)));
        notes(import).iter().any(|note| note.contains("byte for byte"))
    };
    assert_eq!(reads(&stack, force(), &file).await.0.rows.created, ROWS);
    for time in 0..2 {
        let import = stack.import(&file).await;
        assert!(is_same(&import), "{time}: {:?}", notes(&import));
        assert_eq!(import.columns, Some(["sku", "name", "brand", "cost"].map(str::to_owned).to_vec()));
    }
    // It says what it said: so does a file in other words, of which each row is looked at.
    assert!(!is_same(&reads(&stack, ImportOptions::default(), &files::plain(0, ROWS, "1.0")).await.0));
    assert!(!is_same(&reads(&stack, ImportOptions::default(), &file).await.0), "another one was the last");
    assert!(is_same(&reads(&stack, ImportOptions::default(), &file).await.0));
    assert!(!is_same(&reads(&stack, force(), &file).await.0), "its owner wants every row applied");
    assert!(is_same(&reads(&stack, ImportOptions::default(), &file).await.0));
    assert!(stack.client.delete_record("products", "SKU-7").await.expect("answers"));
    let (import, read) = reads(&stack, ImportOptions::default(), &file).await;
    assert_eq!((import.rows.created, import.rows.unchanged, read), (1, ROWS - 1, 1), "a record was deleted");
    // A file with a bad row says of it what it said.
    let bad = joined(&file, b"sku\nSKU-bad,,Brand,1\n");
    for _ in 0..2 {
        let import = reads(&stack, ImportOptions::default(), &bad).await.0;
        assert_eq!((import.status, import.rows.failed, import.rows.unchanged), (Status::CompletedWithErrors, 1, ROWS));
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_modes_and_dry_runs_drop_nothing_and_a_dry_run_leaves_the_digest() {
    let stack = Stack::counted().await;
    let file = files::plain(0, ROWS, "1");
    plain_reads(&stack, "1").await;
    let dry = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let (import, read) = reads(&stack, dry, &file).await;
    assert_eq!((import.rows.unchanged, read), (ROWS, ROWS));
    assert_eq!(plain_reads(&stack, "1").await, 0);
    let failed = stack.used(ImportOptions::default(), b"a\n1\n").await.0;
    assert_eq!(failed.status, Status::Failed);
    assert_eq!(plain_reads(&stack, "1").await, 0, "an import that has begun no row leaves it as well");
    for mode in [Mode::Create, Mode::Fill] {
        let options = ImportOptions { mode, ..ImportOptions::default() };
        assert_eq!(reads(&stack, options, &file).await.1, ROWS, "{mode:?}");
        assert_eq!(plain_reads(&stack, "1").await, ROWS, "behind {mode:?} it holds no more");
        assert_eq!(plain_reads(&stack, "1").await, 0);
    }
    stack.stop().await;
}

/// A replace all of whose rows are dropped, also behind another one: what it does not name goes, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_replace_that_says_it_again_reads_no_record_for_its_rows_and_removes_what_it_does_not_name() {
    let stack = Stack::counted().await;
    plain_reads(&stack, "1").await;
    let replace = ImportOptions { mode: Mode::Replace, most_removed_percent: Some(100), ..ImportOptions::default() };
    let left = async || stack.records("1", &skus(ROWS)).await.len() as u64;
    for (from, removed) in [(0, 0), (5, 5), (5, 0), (8, 3)] {
        let rows = ROWS - from;
        let (import, read) = reads(&stack, replace.clone(), &files::plain(from, rows, "1")).await;
        assert_eq!((import.status, import.rows.unchanged, import.removed), (Status::Completed, rows, removed));
        // Each record that goes is read once more by its key.
        assert_eq!((read, left().await), (removed, rows), "from {from}");
    }
    // What went is made again, and what stayed was said last by the replace.
    let (import, read) = reads(&stack, ImportOptions::default(), &files::plain(0, ROWS, "1")).await;
    assert_eq!((import.rows.created, import.rows.unchanged, read), (8, ROWS - 8, 8));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_others_write_has_no_digest() {
    let stack = Stack::counted().await;
    put_kind(&stack, r#", "digest": false"#).await;
    let file = "id,a\n1,x\n2,x\n";
    for _ in 0..2 {
        pairs(&stack, file).await;
    }
    assert_eq!(digests(&stack).await, [Value::Null; 0]);
    put_kind(&stack, "").await;
    for _ in 0..2 {
        pairs(&stack, file).await;
    }
    assert_eq!(digests(&stack).await.len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_other_columns_have_digests_of_their_own() {
    let stack = Stack::counted().await;
    put_kind(&stack, "").await;
    let records = stack.cloud.store().settings().records_table.clone();
    let reads = async |file: &str| {
        let before = stack.cloud.usage();
        let import = pairs(&stack, file).await;
        stack.cloud.idle().await;
        let used = stack.cloud.usage().since(&before);
        let read = used.total(|operation| operation.resource == records && operation.name == "BatchGetItem").items;
        (import.rows.unchanged, read)
    };
    let (a, b, both) = ("id,a\n1,x\n2,x\n", "id,b\n1,y\n2,y\n", "id,a,b\n1,x,y\n2,x,y\n");
    assert_eq!(reads(a).await, (0, 0));
    assert_eq!(reads(b).await, (0, 2));
    assert_eq!((reads(a).await, reads(b).await, reads(a).await), ((2, 0), (2, 0), (2, 0)));
    assert_eq!(digests(&stack).await.len(), 2);
    // One that sets the fields of both.
    assert_eq!(reads(both).await, (2, 2));
    assert_eq!((reads(both).await, reads(a).await, reads(a).await), ((2, 0), (2, 2), (2, 0)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_leave_holes_and_too_many_end_the_digest() {
    let stack = Stack::counted().await;
    let rows = 200;
    let (file, records) = (files::plain(0, rows, "1"), skus(rows));
    let import = async || reads(&stack, ImportOptions::default(), &file).await;
    import().await;
    assert!(stack.client.delete_record("products", "SKU-7").await.expect("answers"));
    stack.client.delete_records("products", &records[10..20]).await.expect("answers");
    let (again, read) = import().await;
    assert_eq!((again.rows.created, again.rows.unchanged, read), (11, rows - 11, 11));
    stack.client.delete_records("products", &records[..60]).await.expect("answers");
    stack.client.delete_records("products", &records[60..120]).await.expect("answers");
    assert_eq!(digests(&stack).await, [Value::Null; 0]);
    let (again, read) = import().await;
    assert_eq!((again.rows.created, again.rows.unchanged, read), (120, rows - 120, rows));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_is_missing_or_damaged_is_none() {
    let stack = Stack::counted().await;
    plain_reads(&stack, "1").await;
    let (s3, bucket) = (storage::s3(&stack), stack.cloud.store().settings().results_bucket.clone());
    let listed = s3.list_objects_v2().bucket(&bucket).prefix("digest/1/products/").send().await.expect("a list");
    let [object] = listed.contents() else { panic!("one digest: {listed:?}") };
    let key = object.key().expect("a key");
    let body = s3.get_object().bucket(&bucket).key(key).send().await.expect("is there").body;
    let body = body.collect().await.expect("bytes").to_vec();
    let mut damaged = body.clone();
    damaged[body.len() / 2] ^= 1;
    for (what, bytes) in [("damaged", damaged), ("cut", body[..body.len() - 1].to_vec()), ("empty", Vec::new())] {
        s3.put_object().bucket(&bucket).key(key).body(bytes.into()).send().await.expect("stored");
        assert_eq!(plain_reads(&stack, "1.0").await, ROWS, "{what}");
        assert_eq!(plain_reads(&stack, "1").await, 0, "{what}");
    }
    s3.delete_object().bucket(&bucket).key(key).send().await.expect("removed");
    assert_eq!(plain_reads(&stack, "1.0").await, ROWS, "missing");
    // That of another import, such as an older one.
    s3.put_object().bucket(&bucket).key(key).body(body.into()).send().await.expect("stored");
    assert_eq!(plain_reads(&stack, "1").await, ROWS, "another one's");
    stack.stop().await;
}

/// Splitters that die when they have tallied dropped rows, and when the new digest is written but not noted.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_of_a_splitter_that_drops_rows_changes_nothing() {
    for point in ["split.unchanged", "split.digest", "split.total", "end.ended"] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes(folder.path()).await;
        let rows = 950;
        stack.import(&files::plain(0, rows, "1")).await;
        arm(folder.path(), point);
        let mut file = files::plain(0, rows, "1");
        file.extend(b"SKU-bad,,Brand,1\nSKU-0,Product 0,Brand,2\n");
        let import = stack.import(&file).await;
        adds_up(&import);
        let counts = (import.status, import.rows.unchanged, import.rows.updated, import.rows.failed);
        assert_eq!(counts, (Status::CompletedWithErrors, rows, 1, 1), "{point}");
        assert_eq!(armed(folder.path()), [""; 0], "{point}");
        let import = stack.import(&files::plain(0, rows, "1")).await;
        assert_eq!((import.rows.updated, import.rows.unchanged), (1, rows - 1), "{point}");
        stack.stop().await;
    }
}

/// Splitters that die when they know a file again, before they note it, behind that, and before the import ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_of_a_splitter_that_knows_a_file_again_changes_nothing() {
    for point in ["split.columns", "split.same", "end.ended"] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes(folder.path()).await;
        let file = files::plain(0, ROWS, "1");
        stack.import(&file).await;
        for time in 0..2 {
            arm(folder.path(), point);
            let import = stack.import(&file).await;
            adds_up(&import);
            assert_eq!((import.status, import.rows.unchanged), (Status::Completed, ROWS), "{point}, {time}");
            assert_eq!(armed(folder.path()), [""; 0], "{point}");
        }
        stack.stop().await;
    }
}

/// A chunk of which rows are dropped, whose validators die at every step: its message comes again.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_rows_count_once_however_often_their_chunk_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes(folder.path()).await;
    stack.import(&files::plain(0, 90, "1")).await;
    for point in ["validate.begun", "validate.records", "validate.errors", "validate.tally"] {
        arm(folder.path(), point);
    }
    let mut file = files::plain(0, 90, "1");
    file.extend(b"NEW,N,Brand,1\nSKU-bad,,Brand,1\n");
    let import = stack.import(&file).await;
    adds_up(&import);
    assert_eq!((import.rows.unchanged, import.rows.created, import.rows.failed), (90, 1, 1));
    assert_eq!(armed(folder.path()), [""; 0]);
    stack.stop().await;
}

/// A stack whose functions leave a rule out.
async fn stack_without(without: Option<Condition>) -> Stack {
    Stack::with(|options| {
        switch_off(options, without);
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "20".into()));
    })
    .await
}

/// The records whose cost is not this, in words.
async fn costs(stack: &Stack, wanted: Option<&str>) -> Vec<String> {
    let records = stack.records("1", &skus(ROWS)).await;
    let cost = |sku: &String| records.get(sku).map(|record| shown(record).get("cost").cloned());
    let differs = |sku: &&String| cost(sku) != Some(wanted.map(str::to_owned));
    skus(ROWS).iter().filter(differs).map(|sku| format!("{sku} costs {:?}, not {wanted:?}", cost(sku))).collect()
}

fn clear() -> ImportOptions {
    ImportOptions { empty_cells: EmptyCells::Clear, ..ImportOptions::default() }
}

/// A file says that records have no cost, another import gives them one, and the file comes again.
async fn written_in_between(without: Option<Condition>) -> Vec<String> {
    let stack = stack_without(without).await;
    stack.import_with(&files::plain(0, ROWS, ""), clear()).await;
    let fill = ImportOptions { mode: Mode::Fill, ..ImportOptions::default() };
    assert_eq!(stack.import_with(&files::plain(0, ROWS, "5"), fill).await.rows.updated, ROWS);
    stack.import_with(&files::plain(0, ROWS, ""), clear()).await;
    let deviations = costs(&stack, None).await;
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_holds_at_one_place_in_the_order() {
    is_needed(Condition::DigestEpoch, written_in_between).await;
}

/// Files that come one after the other, and the import of the last one.
async fn imported(without: Option<Condition>, files: Vec<(Vec<u8>, ImportOptions)>) -> (Stack, Import) {
    let stack = stack_without(without).await;
    let mut last = None;
    for (file, options) in files {
        let import = stack.import_with(&file, options).await;
        assert_eq!(import.status, Status::Completed);
        last = Some(import);
    }
    (stack, last.expect("a file"))
}

/// Files that come one after the other, and what records cost behind the last one.
async fn one_after_the_other(
    without: Option<Condition>,
    files: Vec<(Vec<u8>, ImportOptions)>,
    cost: Option<&str>,
) -> Vec<String> {
    let (stack, _) = imported(without, files).await;
    let deviations = costs(&stack, cost).await;
    stack.stop().await;
    deviations
}

/// The rows of a file behind those of another one.
fn joined(first: &[u8], then: &[u8]) -> Vec<u8> {
    let header = then.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
    [first, &then[header..]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_behind_another_one_of_its_record_is_not_dropped() {
    let (one, two) = (files::plain(0, ROWS, "1"), files::plain(0, ROWS, "2"));
    is_needed(Condition::DigestUnnamed, async |without| {
        let files = [one.clone(), joined(&two, &one)].map(|file| (file, ImportOptions::default()));
        one_after_the_other(without, files.into(), Some("1")).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_has_the_last_row_of_each_record() {
    let (one, two) = (files::plain(0, ROWS, "1"), files::plain(0, ROWS, "2"));
    is_needed(Condition::DigestLast, async |without| {
        let files = [joined(&one, &two), one.clone()].map(|file| (file, ImportOptions::default()));
        one_after_the_other(without, files.into(), Some("1")).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_clears_says_something_else_than_one_that_keeps() {
    let (one, none) = (files::plain(0, ROWS, "1"), files::plain(0, ROWS, ""));
    is_needed(Condition::DigestCleared, async |without| {
        let keep = ImportOptions::default;
        let files = vec![(one.clone(), keep()), (none.clone(), keep()), (none.clone(), clear())];
        one_after_the_other(without, files, None).await
    })
    .await;
}

/// How many rows of the last of these files are updated, where that is not so many.
async fn updated(without: Option<Condition>, files: Vec<(Vec<u8>, ImportOptions)>, wanted: u64) -> Vec<String> {
    let (stack, last) = imported(without, files).await;
    stack.stop().await;
    let rows = last.rows.updated;
    (rows != wanted).then(|| format!("{rows} rows were updated, not {wanted}")).into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_names_a_record_twice_is_not_known_again() {
    // Both rows of a record are in one chunk, which applies them one after the other.
    let rows = (0..ROWS).map(|row| format!("SKU-{row},Lamp,Acme,1\nSKU-{row},Lamp,Acme,2\n"));
    let file = format!("sku,name,brand,cost\n{}", rows.collect::<String>()).into_bytes();
    is_needed(Condition::DigestDistinct, async |without| {
        let files = [file.clone(), file.clone()].map(|file| (file, ImportOptions::default()));
        updated(without, files.into(), 2 * ROWS).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_read_in_another_way_is_not_known_again() {
    let (one, none) = (files::plain(0, ROWS, "1"), files::plain(0, ROWS, ""));
    is_needed(Condition::DigestSame, async |without| {
        let keep = ImportOptions::default;
        let files = vec![(one.clone(), keep()), (none.clone(), keep()), (none.clone(), clear())];
        updated(without, files, ROWS).await
    })
    .await;
}

/// Records are deleted between two imports of one file.
async fn deleted_in_between(without: Option<Condition>) -> Vec<String> {
    let stack = stack_without(without).await;
    stack.import(&files::plain(0, ROWS, "1")).await;
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let done = store(&stack, without).delete_records(&account, &kind, &skus(10)).await.expect("answers");
    assert_eq!(done.deleted, 10);
    stack.import(&files::plain(0, ROWS, "1")).await;
    let deviations = costs(&stack, Some("1")).await;
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_record_leaves_a_hole() {
    is_needed(Condition::DigestHoles, deleted_in_between).await;
}

/// A splitter dies between two parts of a file that changes what was said, and another one goes on; then the file of
/// before comes again.
async fn gone_on_elsewhere(without: Option<Condition>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| switch_off(options, without)).await;
    // Chunks have a hundred rows, and there is a checkpoint behind each.
    let file = |cost| files::plain(0, 450, cost);
    stack.import(&file("1")).await;
    arm(folder.path(), "split.checkpoint");
    stack.import(&file("2")).await;
    assert_eq!(armed(folder.path()), [""; 0]);
    stack.import(&file("1")).await;
    let deviations = costs(&stack, Some("1")).await;
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_splitter_that_goes_on_elsewhere_makes_no_digest() {
    is_needed(Condition::DigestWhole, gone_on_elsewhere).await;
}

/// A replace removes records, and the file that made them comes again.
async fn removed_in_between(without: Option<Condition>) -> Vec<String> {
    let stack = stack_without(without).await;
    stack.import(&files::plain(0, ROWS, "1")).await;
    let replace = ImportOptions { mode: Mode::Replace, most_removed_percent: Some(100), ..ImportOptions::default() };
    assert_eq!(stack.import_with(&files::plain(10, ROWS - 10, "1"), replace).await.removed, 10);
    stack.import(&files::plain(0, ROWS, "1")).await;
    let deviations = costs(&stack, Some("1")).await;
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_behind_a_replace_has_what_its_file_names() {
    is_needed(Condition::DigestNamed, removed_in_between).await;
}

/// An import is cancelled when its file has been split and none of its rows has been applied; then the file comes
/// again.
async fn cancelled(without: Option<Condition>) -> Vec<String> {
    let stack = held_and(|options| switch_off(options, without)).await;
    stack.import(&files::plain(0, ROWS, "1")).await;
    let import = stack.create(ImportOptions::default()).await;
    assert_eq!(upload(&import, &files::plain(0, ROWS, "2")).await, 200);
    stack.cloud.quiet().await;
    let split = stack.client.import(&import.id).await.expect("there");
    assert_eq!((split.rows.total, split.rows.processed), (Some(ROWS), 0));
    let (store, account, id) = (store(&stack, without), "1".parse().expect("valid"), import.id.parse().expect("an id"));
    store.order_halt(&account, &id, &Halt::cancelled()).await.expect("answers");
    store.settle(&account, &id).await.expect("answers");
    assert_eq!(stack.ended(&import.id).await.status, Status::Cancelled);
    stack.import(&files::plain(0, ROWS, "2")).await;
    let deviations = costs(&stack, Some("2")).await;
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_cancelled_leaves_no_digest() {
    is_needed(Condition::DigestStatus, cancelled).await;
}

/// A row that its validator refuses, since its record would be too large, comes again.
async fn refused(without: Option<Condition>) -> Vec<String> {
    let stack = stack_without(without).await;
    put_kind(&stack, "").await;
    pairs(&stack, &format!("id,a\n1,{}\n", "x".repeat(220_000))).await;
    let second = format!("id,b\n1,{}\n", "y".repeat(220_000));
    let first = pairs(&stack, &second).await;
    assert_eq!((first.status, first.rows.failed), (Status::CompletedWithErrors, 1));
    let again = pairs(&stack, &second).await;
    let mut deviations = Vec::new();
    if (again.status, again.rows.failed) != (first.status, 1) {
        deviations.push(format!("it counts {:?}", again.rows));
    }
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_leaves_no_digest_if_a_validator_refused_a_row() {
    is_needed(Condition::DigestFailed, refused).await;
}

/// An import ends when a newer one, with other columns, has changed what it said; then its file comes again.
async fn overtaken(without: Option<Condition>) -> Vec<String> {
    let stack = held_and(|options| switch_off(options, without)).await;
    stack.import(&files::plain(0, ROWS, "3")).await;
    let older = stack.create(ImportOptions::default()).await;
    assert_eq!(upload(&older, &files::plain(0, ROWS, "1")).await, 200);
    stack.cloud.quiet().await;
    // What is sent from now on is not held back.
    stack.cloud.faults().clear();
    let rows: String = (0..ROWS).map(|row| format!("SKU-{row},Product {row},Brand,2,red\n")).collect();
    let newer = stack.create(ImportOptions::default()).await;
    assert_eq!(upload(&newer, format!("sku,name,brand,cost,description\n{rows}").as_bytes()).await, 200);
    stack.cloud.quiet().await;
    assert_eq!(stack.client.import(&newer.id).await.expect("there").status, Status::Completed);
    assert_eq!(stack.client.import(&older.id).await.expect("there").status, Status::Processing);
    stack.ended(&older.id).await;
    stack.import(&files::plain(0, ROWS, "1")).await;
    let deviations = costs(&stack, Some("1")).await;
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_overtaken_leaves_no_digest() {
    is_needed(Condition::DigestNext, overtaken).await;
}

/// A file, one with a field more that changes what it said, and the first again.
async fn common_fields(without: Option<Condition>) -> Vec<String> {
    let stack = stack_without(without).await;
    put_kind(&stack, "").await;
    for file in ["id,a\n1,x\n", "id,a,b\n1,y,y\n", "id,a\n1,x\n"] {
        assert_eq!(pairs(&stack, file).await.status, Status::Completed);
    }
    let a = pair(&stack, "a").await;
    let deviations = if a == "x" { Vec::new() } else { vec![format!("a is {a}")] };
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_of_other_columns_stays_where_no_field_is_in_common() {
    is_needed(Condition::DigestApart, common_fields).await;
}

/// Messages that come up to 100 seconds late, so that rows overtake one another.
#[tokio::test(flavor = "multi_thread")]
async fn imports_that_overlap_leave_what_they_leave_one_after_the_other() {
    let stack = Stack::with(|options| {
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        options.faults.seed = 5;
        options.faults.message_delayed = 1.0;
        options.faults.delay = Duration::from_secs(100);
    })
    .await;
    for cost in ["1", "1", "2", "1", "1", "2", "2"] {
        let import = stack.uploaded(&files::plain(0, ROWS, cost)).await;
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(20)).await;
        assert_ne!(stack.client.import(&import.id).await.expect("there").status, Status::Failed);
    }
    for import in stack.client.list(None, 100).await.expect("a page").imports {
        let ended = stack.ended(&import.id).await;
        assert_eq!((ended.status, ended.rows.processed), (Status::Completed, ROWS));
    }
    assert_eq!(costs(&stack, Some("2")).await, [""; 0]);
    stack.stop().await;
}
