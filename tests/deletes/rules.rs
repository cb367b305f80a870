//! Each rule of deletes is needed: with it a schedule leaves what it should, without it the same schedule does not.

use std::{collections::BTreeMap, time::Duration};

use penstock_engine::key::RecordName;
use penstock_model::{ImportOptions, Record, Status};
use penstock_store::{
    conditions::Condition,
    records::{Write, Written},
};
use serde_json::{Value, json};

use super::{
    ask_table,
    support::{
        Stack,
        crashes::{arm, armed, stack_with_crashes_and},
        files,
        held::held_and,
        rules::{is_needed, store, switch_off},
        upload,
    },
};

const ROWS: u64 = 50;

fn skus() -> Vec<String> {
    (0..ROWS).map(|row| format!("SKU-{row}")).collect()
}

/// Deletes every record of the schedule.
async fn delete_all(stack: &Stack, without: Option<Condition>) {
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let done = store(stack, without).delete_records(&account, &kind, &skus()).await.expect("answers");
    assert_eq!((done.deleted as u64, done.missing.len(), done.left), (ROWS, 0, 0));
}

/// A stack that holds messages back, with records that an import has made.
async fn with_records(without: Option<Condition>) -> Stack {
    let stack = held_and(|options| switch_off(options, without)).await;
    assert_eq!(stack.import(&files::plain(0, ROWS, "1")).await.rows.created, ROWS);
    stack
}

/// An import whose upload has been accepted, and none of whose rows has been applied.
async fn accepted(stack: &Stack, file: &[u8]) -> String {
    let import = stack.create(ImportOptions::default()).await;
    assert_eq!(upload(&import, file).await, 200);
    stack.cloud.quiet().await;
    let import = stack.client.import(&import.id).await.expect("there");
    assert_eq!((import.status, import.rows.processed), (Status::Processing, 0));
    import.id
}

/// What is there that should not be, or is not there that should be, in words.
async fn compare(stack: &Stack, is_wanted: impl Fn(&Record) -> bool, wanted: bool) -> Vec<String> {
    let records = stack.records("1", &skus()).await;
    let shown =
        |sku: &String| (records.get(sku).is_some_and(&is_wanted) != wanted).then(|| format!("{sku}: {records:?}"));
    skus().iter().filter_map(shown).collect()
}

/// Rows of an import that was accepted before the delete are applied after it.
async fn late_rows(without: Option<Condition>) -> Vec<String> {
    let stack = with_records(without).await;
    let import = accepted(&stack, &files::plain(0, ROWS, "2")).await;
    delete_all(&stack, without).await;
    let rows = stack.ended(&import).await.rows;
    let mut deviations = compare(&stack, |_| true, false).await;
    if (rows.unchanged, rows.processed) != (ROWS, ROWS) {
        deviations.push(format!("{rows:?}"));
    }
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_leaves_a_tombstone() {
    is_needed(Condition::Tombstone, late_rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_keeps_out_what_is_older_than_its_delete() {
    is_needed(Condition::Floor, late_rows).await;
}

/// The same, but a newer import, which says nothing of the cost, makes the records anew before they come.
async fn late_rows_of_records_that_were_made_anew(without: Option<Condition>) -> Vec<String> {
    let stack = with_records(without).await;
    let import = accepted(&stack, &files::plain(0, ROWS, "2")).await;
    delete_all(&stack, without).await;
    // What is sent from now on is not held back.
    stack.cloud.faults().clear();
    let rows: String = (0..ROWS).map(|row| format!("SKU-{row},Anew,Brand\n")).collect();
    let anew = stack.import(format!("sku,name,brand\n{rows}").as_bytes()).await;
    assert_eq!(anew.rows.created, ROWS);
    assert_eq!(stack.client.import(&import).await.expect("there").status, Status::Processing);
    stack.ended(&import).await;
    let mut deviations = compare(&stack, |_| true, true).await;
    deviations.extend(compare(&stack, |record| record.fields.contains_key("cost"), false).await);
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_made_anew_keeps_out_what_is_older_than_its_delete() {
    is_needed(Condition::FloorAnew, late_rows_of_records_that_were_made_anew).await;
}

/// A validator has written its records and dies before its tally; the records are deleted before the chunk comes again.
async fn rows_that_come_again(without: Option<Condition>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| options.scheduled = false).await;
    arm(folder.path(), "validate.records");
    let import = stack.create(ImportOptions::default()).await;
    assert_eq!(upload(&import, &files::plain(0, ROWS, "1")).await, 200);
    stack.cloud.quiet().await;
    assert_eq!((armed(folder.path()), stack.records("1", &skus()).await.len() as u64), (Vec::new(), ROWS));
    delete_all(&stack, without).await;
    let rows = stack.ended(&import.id).await.rows;
    let mut deviations = compare(&stack, |_| true, false).await;
    if (rows.created, rows.processed) != (ROWS, ROWS) {
        deviations.push(format!("{rows:?}"));
    }
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_keeps_who_made_its_record() {
    is_needed(Condition::TombstoneBookkeeping, rows_that_come_again).await;
}

/// A delete has looked at the records and the order. Then an import is accepted whose rows equal the records, so that
/// nothing is written and no stamp is left; and then the delete is made, if it is.
async fn a_delete_that_was_overtaken(without: Option<Condition>) -> Vec<String> {
    let stack = with_records(None).await;
    let store = store(&stack, without);
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let names: Vec<RecordName> = skus().iter().map(|sku| RecordName::of(&account, &kind, sku)).collect();
    let names: Vec<&RecordName> = names.iter().collect();
    let sighting = store.sight_records(&account, &kind, &names).await.expect("answers");
    assert_eq!(sighting.records.len() as u64, ROWS);
    let before = stack.records("1", &skus()).await;
    assert_eq!(stack.import(&files::plain(0, ROWS, "1")).await.rows.unchanged, ROWS);
    assert_eq!(stack.records("1", &skus()).await, before, "nothing was written");
    let mut deviations = Vec::new();
    if store.delete_sighted(&sighting).await.expect("answers") {
        deviations.push("it was made".to_owned());
    }
    // In the order of the places the import comes after the delete: it would have made the records anew.
    deviations.extend(compare(&stack, |_| true, true).await);
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_takes_the_place_that_it_has_seen_or_none() {
    is_needed(Condition::DeleteOrdered, a_delete_that_was_overtaken).await;
}

/// What DynamoDB answers to a request about the records.
async fn records(stack: &Stack, operation: &str, request: Value) -> Value {
    ask_table(stack, &stack.cloud.store().settings().records_table, operation, request).await
}

/// When the items of the records expire, in seconds of Unix time, by their sort keys.
async fn expiries(stack: &Stack) -> BTreeMap<String, i64> {
    let found = records(stack, "Scan", json!({ "FilterExpression": "attribute_exists(expires_at)" })).await;
    let items = found["Items"].as_array().expect("items");
    let of = |item: &Value| {
        let at = item["expires_at"]["N"].as_str().expect("a number").parse().expect("whole");
        (item["sk"]["S"].as_str().expect("a key").to_owned(), at)
    };
    items.iter().map(of).collect()
}

/// Removes what has expired, as DynamoDB does some time after that. The local cloud's does not.
async fn reap(stack: &Stack) {
    let now = stack.cloud.store().now_ms() / 1000;
    let found = records(stack, "Scan", json!({ "FilterExpression": "attribute_exists(expires_at)" })).await;
    for item in found["Items"].as_array().expect("items") {
        let at: i64 = item["expires_at"]["N"].as_str().expect("a number").parse().expect("whole");
        if at <= now {
            records(stack, "DeleteItem", json!({ "Key": { "pk": item["pk"], "sk": item["sk"] } })).await;
        }
    }
}

/// Rows that come more than seven days after the delete of their records: so long a queue may keep them.
async fn rows_that_come_after_days(without: Option<Condition>) -> Vec<String> {
    let stack = held_and(|options| options.faults.delay = Duration::from_secs(270 * 3600)).await;
    stack.cloud.faults().clear();
    assert_eq!(stack.import(&files::plain(0, ROWS, "1")).await.rows.created, ROWS);
    stack.cloud.faults().resume();
    let import = accepted(&stack, &files::plain(0, ROWS, "2")).await;
    delete_all(&stack, without).await;
    stack.pass(Duration::from_secs(169 * 3600)).await;
    reap(&stack).await;
    stack.cloud.quiet().await;
    stack.pass(Duration::from_secs(102 * 3600)).await;
    stack.ended(&import).await;
    let deviations = compare(&stack, |_| true, false).await;
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_does_not_expire_while_an_older_import_runs() {
    is_needed(Condition::TombstoneWhileRunning, rows_that_come_after_days).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_expires_seven_days_after_a_delete_beside_no_import() {
    let stack = Stack::start().await;
    stack.import(&files::plain(0, ROWS, "1")).await;
    let week = 7 * 24 * 3600;
    delete_all(&stack, None).await;
    let (now, expiries_now) = (stack.cloud.store().now_ms() / 1000, expiries(&stack).await);
    assert_eq!(expiries_now.len() as u64, ROWS);
    assert!(expiries_now.values().all(|at| (week - 60..=week).contains(&(at - now))), "{now}: {expiries_now:?}");
    // A record that is made anew does not expire, and whoever writes it then finds that it is there.
    stack.import(&files::plain(0, ROWS - 1, "2")).await;
    assert_eq!(expiries(&stack).await.into_keys().collect::<Vec<_>>(), [format!("SKU-{}", ROWS - 1)]);
    stack.pass(Duration::from_secs(169 * 3600)).await;
    reap(&stack).await;
    assert_eq!(stack.records_and_tombstones("1", &skus()).await.len() as u64, ROWS - 1);
    assert_eq!(stack.import(&files::plain(0, ROWS, "3")).await.rows.created, 1);
    assert_eq!(compare(&stack, |_| true, true).await, Vec::<String>::new());
    stack.stop().await;
}

/// A validator has read a record, and writes when it has been deleted and made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_from_before_a_delete_is_not_made_after_it() {
    let stack = Stack::start().await;
    stack.import(&files::plain(0, ROWS, "1")).await;
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let name = RecordName::of(&account, &kind, "SKU-1");
    let read = async || stack.cloud.store().records(&[&name]).await.expect("answers").remove(&name).expect("an item");
    let write = async |record: &Record| {
        stack.cloud.store().write_records(&[Write { name: &name, record }]).await.expect("answers")[0]
    };
    let stale = read().await;
    delete_all(&stack, None).await;
    let tombstone = read().await;
    assert!(tombstone.is_gone() && tombstone.rev == stale.rev + 1, "{tombstone:?}");
    assert_eq!((tombstone.made, tombstone.last, tombstone.fields.len()), (stale.made, stale.last, 0));
    assert_eq!(write(&stale).await, Written::ReadAgain);
    stack.import(&files::plain(0, ROWS, "2")).await;
    let anew = read().await;
    assert_eq!((anew.rev, anew.gone), (stale.rev + 2, tombstone.gone));
    assert_eq!(write(&stale).await, Written::ReadAgain);
    assert_eq!(write(&tombstone).await, Written::ReadAgain);
    assert_eq!(read().await, anew);
    stack.stop().await;
}
