//! The guard: what would remove too much waits to be confirmed.

use std::time::Duration;

use penstock_client::{Client, Import, NewKey};
use penstock_model::{ImportOptions, Scope, Status};

use super::{
    file_of, now, removals, replace, set, skus,
    support::{Stack, refused, upload},
    there,
};

/// A stack with 100 records, and a replace by a file of `SKU-30` to `SKU-99`, which waits to be confirmed.
async fn with_held() -> (Stack, Import) {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..100))).await;
    let import = stack.create(ImportOptions { most_removed_percent: None, ..replace(0) }).await;
    assert_eq!(upload(&import, &file_of(&skus(30..100))).await, 200);
    let held = now(&stack, &import.id).await;
    assert_eq!((held.status, held.to_remove, held.removed), (Status::AwaitingConfirmation, Some(30), 0), "{held:#?}");
    assert_eq!((held.rows.unchanged, held.rows.total), (70, Some(70)));
    assert!(held.confirm_until.is_some() && held.completed_at.is_none());
    assert_eq!(removals(&stack, &held.id, 9).await, set(skus(0..30)));
    assert_eq!(there(&stack).await, set(skus(0..100)));
    (stack, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_goes_but_for_what_somebody_newer_has_written() {
    let (stack, held) = with_held().await;
    // Others go on meanwhile. One writes two of the records that would go, and one of them is deleted by hand.
    let newer = stack.import(b"sku,name,brand\nSKU-3,New,Brand\nSKU-4,Name,Brand\nSKU-200,New,Brand\n").await;
    assert_eq!((newer.status, newer.rows.created), (Status::Completed, 1));
    assert!(stack.client.delete_record("products", "SKU-5").await.expect("answers"));
    let confirmed = stack.client.confirm(&held.id).await.expect("confirmed");
    assert!(matches!(confirmed.status, Status::Processing | Status::Completed), "{confirmed:#?}");
    let ended = stack.ended(&held.id).await;
    // 30 were shown: SKU-3 and SKU-4 were written since, which leaves a stamp although SKU-4 is as it was.
    assert_eq!((ended.status, ended.removed, ended.to_remove), (Status::Completed, 27, Some(30)), "{ended:#?}");
    let mut stays = set(skus(30..100));
    stays.extend(["SKU-3", "SKU-4", "SKU-200"].map(str::to_owned));
    assert_eq!(there(&stack).await, stays);
    let mut went = set(skus(0..30));
    for stayed in ["SKU-3", "SKU-4", "SKU-5"] {
        assert!(went.remove(stayed));
    }
    assert_eq!(removals(&stack, &held.id, 100).await, went);
    // A repeat gives the same.
    assert_eq!(stack.client.confirm(&held.id).await.expect("a repeat").removed, 27);
    // The removal has a place of its own: it stands behind the newer import.
    let filter = penstock_client::RecordFilter { changed_after: Some(newer.id), ..Default::default() };
    let page = stack.client.records("products", &filter, None, 100).await.expect("a page");
    assert_eq!(page.records.iter().filter(|line| line.deleted).count(), 28);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_import_is_cancelled_with_nothing_removed() {
    let (stack, held) = with_held().await;
    assert_eq!(refused(stack.client.delete(&held.id).await), (409, "import_runs".into()));
    let cancelled = stack.client.cancel(&held.id).await.expect("cancelled");
    assert_eq!((cancelled.status, cancelled.removed), (Status::Cancelled, 0));
    assert_eq!((cancelled.rows.processed, cancelled.rows.unprocessed), (70, 0));
    assert_eq!(refused(stack.client.confirm(&held.id).await), (409, "not_held".into()));
    assert_eq!(removals(&stack, &held.id, 100).await, set([]));
    assert_eq!(there(&stack).await, set(skus(0..100)));
    stack.client.delete(&held.id).await.expect("deleted");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_import_ends_after_its_days_with_nothing_removed_and_a_note() {
    let (stack, held) = with_held().await;
    stack.pass(Duration::from_secs(6 * 24 * 3600)).await;
    assert_eq!(now(&stack, &held.id).await.status, Status::AwaitingConfirmation);
    stack.pass(Duration::from_secs(25 * 3600)).await;
    let ended = stack.ended(&held.id).await;
    assert_eq!((ended.status, ended.removed), (Status::Completed, 0));
    let notes = ended.detected.expect("it was read").notes;
    let note = "nothing was removed: the removal of 30 records was not confirmed within 7 days";
    assert!(notes.iter().any(|found| found == note), "{notes:?}");
    assert_eq!(refused(stack.client.confirm(&held.id).await), (409, "not_held".into()));
    assert_eq!(there(&stack).await, set(skus(0..100)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replace_runs_while_one_is_held_and_what_it_names_is_spared() {
    let (stack, held) = with_held().await;
    let second = stack.import_with(&file_of(&skus(20..100)), replace(100)).await;
    assert_eq!((second.status, second.removed), (Status::Completed, 20));
    stack.client.confirm(&held.id).await.expect("confirmed");
    // SKU-20 to SKU-29 are named by the second one, which left its stamps.
    let ended = stack.ended(&held.id).await;
    assert_eq!((ended.removed, ended.to_remove), (0, Some(30)));
    assert_eq!(there(&stack).await, set(skus(20..100)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_the_file_adds_do_not_make_the_guard_milder() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..10))).await;
    // 500 new ones: the ten that go are two percent of all, and all that there was.
    let import = stack.create(replace(99)).await;
    assert_eq!(upload(&import, &file_of(&skus(1000..1500))).await, 200);
    let held = now(&stack, &import.id).await;
    assert_eq!((held.status, held.to_remove), (Status::AwaitingConfirmation, Some(10)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_and_its_confirmation_need_their_scopes() {
    let (stack, held) = with_held().await;
    let operator = stack.client_of(crate::support::TOKEN);
    let with = async |scopes: &[Scope]| -> Client {
        let key = NewKey { scopes: scopes.to_vec(), ..NewKey::default() };
        stack.client_of(&operator.create_key(&key).await.expect("a key").token.expect("its token"))
    };
    let new = penstock_client::NewImport { options: replace(0), ..Default::default() };
    for scopes in [&[Scope::ImportWrite][..], &[Scope::RecordDelete]] {
        assert_eq!(refused(with(scopes).await.create(&new, None).await), (403, "forbidden".into()), "{scopes:?}");
    }
    with(&[Scope::ImportWrite, Scope::RecordDelete]).await.create(&new, None).await.expect("created");
    for scopes in [&[Scope::ImportConfirm][..], &[Scope::RecordDelete], &[Scope::ImportWrite]] {
        assert_eq!(refused(with(scopes).await.confirm(&held.id).await), (403, "forbidden".into()), "{scopes:?}");
    }
    let both = with(&[Scope::ImportConfirm, Scope::RecordDelete]).await;
    assert_eq!(refused(both.removals(&held.id, None, 1).await), (403, "forbidden".into()));
    both.confirm(&held.id).await.expect("confirmed");
    assert_eq!(stack.ended(&held.id).await.removed, 30);
    stack.stop().await;
}
