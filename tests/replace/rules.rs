//! Each rule of replaces that the store keeps is needed: with it a schedule leaves what it should, without it the same
//! schedule does not. That of consistent reads is in `chaos.rs`, that of tombstones in `deletes`.

use std::path::Path;

use penstock_client::Import;
use penstock_engine::key::RecordName;
use penstock_model::{Actor, Halt, ImportOptions, Order, Record, Rows, Status};
use penstock_store::{
    conditions::Condition,
    records::{Write, Written},
    replace::Confirmation,
};
use serde_json::Value;

use super::{
    file_of, now, replace, skus,
    support::{
        Stack,
        crashes::{arm, armed, stack_with_crashes_and},
        files,
        held::held_and,
        rules::{is_needed, store, switch_off},
        upload,
    },
};

/// Records that are there at the start, each with a cost.
const ROWS: u64 = 50;

/// A stack that holds rows back, with records.
async fn with_records(without: Option<Condition>) -> Stack {
    let stack = held_and(|options| switch_off(options, without)).await;
    assert_eq!(stack.import(&files::plain(0, ROWS, "1")).await.rows.created, ROWS);
    stack
}

/// The same, with functions that die at the crash points of a folder.
async fn with_crashes(folder: &Path, without: Option<Condition>) -> Stack {
    let stack = stack_with_crashes_and(folder, |options| {
        options.scheduled = false;
        switch_off(options, without);
    })
    .await;
    assert_eq!(stack.import(&files::plain(0, ROWS, "1")).await.rows.created, ROWS);
    stack
}

/// An import whose upload has come.
async fn uploaded(stack: &Stack, file: &[u8], options: ImportOptions) -> Import {
    let import = stack.create(options).await;
    assert_eq!(upload(&import, file).await, 200);
    now(stack, &import.id).await
}

/// A stack with records, and a replace that would remove the first of them and is held. What comes later is held back.
async fn with_held(without: Option<Condition>) -> (Stack, Import) {
    let stack = with_records(without).await;
    stack.cloud.faults().clear();
    let held = uploaded(&stack, &file_of(&skus(1..ROWS)), replace(0)).await;
    assert_eq!((held.status, held.to_remove), (Status::AwaitingConfirmation, Some(1)), "{held:#?}");
    (stack, held)
}

/// The fields of the first record.
async fn first(stack: &Stack) -> Option<Value> {
    let record = stack.client.record("products", "SKU-0").await.expect("answers");
    record.map(|record| record["fields"].clone())
}

/// Confirms what an import removes, as the API does.
async fn confirm(stack: &Stack, import: &Import, without: Option<Condition>) {
    let (store, account, id) = (store(stack, without), "1".parse().expect("valid"), import.id.parse().expect("an id"));
    let by = Actor::new("test".into(), None, None, "native");
    assert_eq!(store.confirm(&account, &id, &by).await.expect("answers"), Confirmation::Confirmed);
    store.settle(&account, &id).await.expect("answers");
    stack.cloud.quiet().await;
}

/// What is not as it should be, in words.
fn differs<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T) -> Vec<String> {
    if is == should { Vec::new() } else { vec![format!("{what}: {is:?}, not {should:?}")] }
}

/// A row of a newer import names a record that the replace removes, and little of it: it belongs behind the removal.
async fn newer_rows_at_the_gate(without: Option<Condition>) -> Vec<String> {
    let stack = with_records(without).await;
    let gate = uploaded(&stack, &file_of(&skus(1..ROWS)), replace(100)).await;
    assert_eq!((gate.status, gate.rows.processed), (Status::Processing, 0));
    let newer = uploaded(&stack, &file_of(&skus(0..1)), ImportOptions::default()).await;
    let gate = stack.ended(&gate.id).await;
    stack.ended(&newer.id).await;
    let mut deviations = differs("removed", gate.removed, 1);
    let cost = first(&stack).await.map(|fields| fields["cost"].clone());
    deviations.extend(differs("cost", cost, Some(Value::Null)));
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_kind_is_accepted_while_a_replace_is_at_the_gate() {
    is_needed(Condition::Gate, newer_rows_at_the_gate).await;
}

/// A row of an older import makes a record that the replace does not name, when all rows of the replace are done.
async fn older_rows(without: Option<Condition>) -> Vec<String> {
    let stack = with_records(without).await;
    let older = uploaded(&stack, &files::plain(100, 1, "1"), ImportOptions::default()).await;
    assert_eq!((older.status, older.rows.processed), (Status::Processing, 0));
    // What is sent from now on is not held back.
    stack.cloud.faults().clear();
    let gate = uploaded(&stack, &file_of(&skus(1..ROWS)), replace(100)).await;
    assert_eq!(gate.rows.processed, ROWS - 1);
    stack.ended(&older.id).await;
    let gate = stack.ended(&gate.id).await;
    let mut deviations = differs("removed", gate.removed, 2);
    let made = stack.client.record("products", "SKU-100").await.expect("answers");
    deviations.extend(differs("made by an older import", made.is_some(), false));
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_removes_nothing_before_older_imports_have_ended() {
    is_needed(Condition::GateWait, older_rows).await;
}

/// A removal dies when some records are gone, and is cancelled before it goes on.
async fn a_cancel_behind_the_decision(without: Option<Condition>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = with_crashes(folder.path(), without).await;
    arm(folder.path(), "replace.tombstones");
    let import = uploaded(&stack, &file_of(&skus(0..1)), replace(100)).await;
    assert_eq!((armed(folder.path()), import.status), (Vec::new(), Status::Processing), "{import:#?}");
    let gone = ROWS - stack.records("1", &skus(0..ROWS)).await.len() as u64;
    assert!((1..ROWS).contains(&gone), "{gone} are gone");
    let (account, id) = ("1".parse().expect("valid"), import.id.parse().expect("an id"));
    let store = store(&stack, without);
    store.order_halt(&account, &id, &Halt::cancelled()).await.expect("answers");
    store.settle(&account, &id).await.expect("answers");
    let ended = stack.ended(&import.id).await;
    let left = stack.records("1", &skus(0..ROWS)).await.len() as u64;
    let mut deviations = differs("left", left, ROWS - ended.removed);
    deviations.extend(differs("ended", (ended.status, left), (Status::Completed, 1)));
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_decided_is_carried_to_its_end() {
    is_needed(Condition::Decision, a_cancel_behind_the_decision).await;
}

/// A removal dies when some records are gone, before it has written down which.
async fn a_removal_that_comes_again(without: Option<Condition>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = with_crashes(folder.path(), without).await;
    arm(folder.path(), "replace.tombstones");
    let import = uploaded(&stack, &file_of(&skus(0..1)), replace(100)).await;
    assert_eq!((armed(folder.path()), import.status), (Vec::new(), Status::Processing), "{import:#?}");
    let ended = stack.ended(&import.id).await;
    let left = stack.records("1", &skus(0..ROWS)).await.len() as u64;
    let deviations = differs("removed", (ended.removed, left), (ROWS - 1, 1));
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_removal_counts_what_went_the_first_time() {
    is_needed(Condition::RemovalEvidence, a_removal_that_comes_again).await;
}

/// A removal has read a record, and writes its tombstone when the record has been deleted by hand.
async fn a_delete_between(without: Option<Condition>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = with_crashes(folder.path(), without).await;
    arm(folder.path(), "replace.decided");
    let import = uploaded(&stack, &file_of(&skus(1..ROWS)), replace(100)).await;
    assert_eq!((armed(folder.path()), import.status), (Vec::new(), Status::Processing), "{import:#?}");
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let store = store(&stack, without);
    let stored = store.import(&account, &import.id.parse().expect("an id")).await.expect("answers").expect("is there");
    let name = RecordName::of(&account, &kind, "SKU-0");
    let read: Record = store.records(&[&name]).await.expect("answers").remove(&name).expect("is there");
    assert!(stack.client.delete_record("products", "SKU-0").await.expect("answers"));
    let tombstone = read.deleted(stored.removal_stamp());
    let written = store.write_tombstones(&[Write { name: &name, record: &tombstone }]).await.expect("answers");
    let mut deviations = differs("written", written, vec![Written::ReadAgain]);
    // The record went once.
    deviations.extend(differs("removed", stack.ended(&import.id).await.removed, 0));
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_of_a_removal_takes_the_place_of_what_was_read() {
    is_needed(Condition::RemovalRev, a_delete_between).await;
}

/// While an import is held, a newer one says of a record that would go what it costs, and counts it as this.
async fn a_row_beside_a_held_import(without: Option<Condition>, cost: &str, counts: fn(&Rows) -> u64) -> Vec<String> {
    let (stack, held) = with_held(without).await;
    assert_eq!(counts(&stack.import(&files::plain(0, 1, cost)).await.rows), 1);
    stack.client.confirm(&held.id).await.expect("confirmed");
    let ended = stack.ended(&held.id).await;
    let deviations = differs("spared", (first(&stack).await.is_some(), ended.removed), (true, 0));
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_import_counts_as_one_that_runs() {
    is_needed(Condition::HeldRuns, async |without| {
        a_row_beside_a_held_import(without, "1", |rows| rows.unchanged).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_removal_spares_what_is_newer() {
    is_needed(Condition::Sparing, async |without| a_row_beside_a_held_import(without, "2", |rows| rows.updated).await)
        .await;
}

/// A newer import changes a record that would go, and its rows come when the removal has been confirmed.
async fn rows_behind_a_confirmation(without: Option<Condition>) -> Vec<String> {
    let (stack, held) = with_held(without).await;
    stack.cloud.faults().resume();
    let newer = uploaded(&stack, &files::plain(0, 1, "2"), ImportOptions::default()).await;
    assert_eq!((newer.status, newer.rows.processed), (Status::Processing, 0));
    stack.cloud.faults().clear();
    confirm(&stack, &held, without).await;
    stack.ended(&newer.id).await;
    let ended = stack.ended(&held.id).await;
    let deviations = differs("spared", (first(&stack).await.is_some(), ended.removed), (true, 0));
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_removal_waits_for_those_who_write_rows() {
    is_needed(Condition::ConfirmWait, rows_behind_a_confirmation).await;
}

/// A row of an import that comes behind the confirmation names a record that goes, and little of it.
async fn an_upload_behind_a_confirmation(without: Option<Condition>) -> Vec<String> {
    let (stack, held) = with_held(without).await;
    stack.cloud.faults().resume();
    let older = uploaded(&stack, &files::plain(7, 1, "2"), ImportOptions::default()).await;
    assert_eq!((older.status, older.rows.processed), (Status::Processing, 0));
    stack.cloud.faults().clear();
    // It has to wait for the one above.
    confirm(&stack, &held, without).await;
    assert_eq!(stack.client.import(&held.id).await.expect("is there").status, Status::Processing);
    let newer = uploaded(&stack, &file_of(&skus(0..1)), ImportOptions::default()).await;
    stack.ended(&older.id).await;
    // Whoever ends tells the import at the gate. Where there is none the sweeper does.
    let order = Order::to_remove(&"1".parse().expect("valid"), &held.id.parse().expect("an id"));
    stack.cloud.store().send(&order).await.expect("sent");
    let ended = stack.ended(&held.id).await;
    stack.ended(&newer.id).await;
    let mut deviations = differs("removed", ended.removed, 1);
    let cost = first(&stack).await.map(|fields| fields["cost"].clone());
    deviations.extend(differs("cost", cost, Some(Value::Null)));
    stack.stop().await;
    deviations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_removal_takes_the_gate() {
    is_needed(Condition::ConfirmGate, an_upload_behind_a_confirmation).await;
}
