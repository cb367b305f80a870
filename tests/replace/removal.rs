//! What is removed, and what stays.

use penstock_client::NewImport;
use penstock_engine::key::RecordName;
use penstock_model::Status;

use super::{file_of, removals, replace, set, skus, support::Stack, there};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_does_not_name_goes_and_is_counted_and_listed() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..300))).await;
    // Ten are new, 40 go: 13 % of those that were there.
    let import = stack.import_with(&file_of(&skus(40..310)), replace(20)).await;
    assert_eq!(
        (import.status, import.rows.created, import.rows.unchanged),
        (Status::Completed, 10, 260),
        "{import:#?}"
    );
    assert_eq!((import.removed, import.to_remove, import.waiting_for), (40, Some(40), None));
    assert_eq!(there(&stack).await, set(skus(40..310)));
    for limit in [1, 7, 100] {
        assert_eq!(removals(&stack, &import.id, limit).await, set(skus(0..40)));
    }
    // The same file again removes nothing, and what was removed can be made again.
    let again = stack.import_with(&file_of(&skus(40..310)), replace(0)).await;
    assert_eq!((again.status, again.removed, again.rows.unchanged), (Status::Completed, 0, 270));
    assert_eq!(removals(&stack, &again.id, 100).await, set([]));
    let back = stack.import(&file_of(&skus(0..40))).await;
    assert_eq!((back.rows.created, back.removed), (40, 0));
    assert_eq!(there(&stack).await, set(skus(0..310)));
    // Neither other kinds nor other accounts lost anything.
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_stays_in_its_kind_and_its_account() {
    let stack = Stack::start().await;
    let other = stack.client_of(crate::support::OTHER_TOKEN);
    let foreign = other.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(crate::support::upload(&foreign, &file_of(&skus(0..20))).await, 200);
    let contacts = NewImport { kind: Some("contacts".into()), ..NewImport::default() };
    stack.import_as(contacts, b"_email,_name\na@example.com,A\n").await;
    stack.import(&file_of(&skus(0..20))).await;
    let import = stack.import_with(b"sku,name,brand\n", replace(100)).await;
    assert_eq!((import.status, import.removed, import.rows.total), (Status::Completed, 20, Some(0)), "{import:#?}");
    assert_eq!(there(&stack).await, set([]));
    stack.ended_for(&other, &foreign.id).await.expect("ended");
    let page = other.records("products", &Default::default(), None, 100).await.expect("a page");
    assert_eq!(page.records.len(), 20);
    let page = stack.client.records("contacts", &Default::default(), None, 100).await.expect("a page");
    assert_eq!(page.records.len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_row_names_its_record_and_a_key_that_cannot_be_read_keeps_all() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..10))).await;
    // SKU-1 has no name: its row is rejected, its record stays.
    let mut file = file_of(&skus(2..10));
    file.extend(b"SKU-1,,Brand\n");
    let import = stack.import_with(&file, replace(20)).await;
    assert_eq!((import.status, import.rows.failed), (Status::CompletedWithErrors, 1));
    assert_eq!(import.removed, 1);
    assert_eq!(there(&stack).await, set(skus(1..10)));
    // A row without a key may name any record.
    let mut file = file_of(&skus(3..10));
    file.extend(b",Name,Brand\n");
    let import = stack.import_with(&file, replace(100)).await;
    assert_eq!((import.status, import.removed, import.to_remove), (Status::CompletedWithErrors, 0, None));
    let notes = import.detected.expect("it was read").notes;
    assert!(notes.iter().any(|note| note.starts_with("nothing was removed: ") && note.contains("row 8")), "{notes:?}");
    assert_eq!(there(&stack).await, set(skus(1..10)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_fails_or_is_cancelled_removes_nothing() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..10))).await;
    let failed = stack.import_with(b"name,brand\nName,Brand\n", replace(100)).await;
    assert_eq!((failed.status, failed.removed), (Status::Failed, 0));
    let abort = Some(penstock_model::Abort { rows: 10, percent: 5 });
    let aborted = stack
        .import_with(b"sku,name,brand\nSKU-1,,B\nSKU-2,N,B\n", penstock_model::ImportOptions { abort, ..replace(100) });
    let aborted = aborted.await;
    assert_eq!((aborted.status, aborted.removed), (Status::Failed, 0), "{aborted:#?}");
    assert_eq!(there(&stack).await, set(skus(0..10)));
    // The gate is free again.
    assert_eq!(stack.import_with(&file_of(&skus(1..10)), replace(100)).await.removed, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_record_is_told_as_deleted_behind_its_import() {
    let stack = Stack::start().await;
    let first = stack.import(&file_of(&skus(0..10))).await;
    let import = stack.import_with(&file_of(&skus(1..10)), replace(20)).await;
    let filter = penstock_client::RecordFilter { changed_after: Some(first.id), ..Default::default() };
    let page = stack.client.records("products", &filter, None, 100).await.expect("a page");
    let lines: Vec<(&str, bool)> = page.records.iter().map(|line| (line.key.as_str(), line.deleted)).collect();
    assert_eq!(lines, [("SKU-0", true)]);
    let tombstone = async || {
        let found = stack.records_and_tombstones("1", &skus(0..1)).await;
        found.into_values().next().map(|record| record.gone.expect("a tombstone").order)
    };
    assert_eq!((tombstone().await, import.removed), (Some(2), 1));
    stack.stop().await;
}

/// How many tombstones of the shard of `SKU-0` do not expire.
async fn lasting(stack: &Stack) -> usize {
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let name = RecordName::of(&account, &kind, "SKU-0");
    let shard = u8::from_str_radix(&name.partition[name.partition.len() - 2..], 16).expect("a shard");
    stack.cloud.store().shard_page(&account, &kind, shard, None, 10).await.expect("a page").lasting.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_removal_of_a_kind_has_the_tombstones_expire_that_were_left() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..10))).await;
    assert_eq!(lasting(&stack).await, 0);
    assert_eq!(stack.import_with(&file_of(&skus(1..10)), replace(20)).await.removed, 1);
    assert_eq!(lasting(&stack).await, 1);
    let held = stack.create(replace(0)).await;
    assert_eq!(crate::support::upload(&held, &file_of(&skus(2..10))).await, 200);
    assert_eq!(super::now(&stack, &held.id).await.status, Status::AwaitingConfirmation);
    // One that is held has made its pass, and nobody older ran.
    assert_eq!(lasting(&stack).await, 0);
    // A record that is made anew does not expire, and its next tombstone stays again.
    stack.import(&file_of(&skus(0..1))).await;
    assert_eq!(stack.import_with(&file_of(&skus(1..10)), replace(100)).await.removed, 1);
    assert_eq!(lasting(&stack).await, 1);
    // Beside the held one, which is older, nothing is had expire; without it, it is.
    assert_eq!(stack.import_with(&file_of(&skus(1..10)), replace(100)).await.removed, 0);
    assert_eq!(lasting(&stack).await, 1);
    stack.client.cancel(&held.id).await.expect("cancelled");
    assert_eq!(stack.import_with(&file_of(&skus(1..10)), replace(100)).await.removed, 0);
    assert_eq!(lasting(&stack).await, 0);
    stack.stop().await;
}
