//! Every record of a kind at once: a replace by nothing.

use penstock_model::{ImportOptions, Status};

use super::{
    file_of, now, removals, set, skus,
    support::{Stack, held::held, refused, upload},
    there,
};

#[tokio::test(flavor = "multi_thread")]
async fn all_records_go_where_their_number_is_named() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..30))).await;
    let ordered = stack.client.remove_all_records("products", Some(30)).await.expect("ordered");
    let ended = stack.ended(&ordered.id).await;
    assert_eq!((ended.status, ended.removed, ended.rows.total), (Status::Completed, 30, Some(0)), "{ended:#?}");
    assert_eq!(removals(&stack, &ordered.id, 100).await, set(skus(0..30)));
    assert_eq!(there(&stack).await, set([]));
    // It made no upload: nothing is stored for it.
    assert_eq!((ended.detected.is_none(), ended.columns, ended.upload.is_none()), (true, None, true));
    // A repeat finds nothing, whatever it says.
    let again = stack.client.remove_all_records("products", None).await.expect("ordered");
    assert_eq!((stack.ended(&again.id).await.status, again.removed), (Status::Completed, 0));
    assert_eq!(stack.import(&file_of(&skus(0..30))).await.rows.created, 30);
    stack.client.delete(&ordered.id).await.expect("deleted");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_their_number_or_with_another_they_wait_to_be_confirmed() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..30))).await;
    for count in [None, Some(29), Some(31)] {
        let ordered = stack.client.remove_all_records("products", count).await.expect("ordered");
        let held = now(&stack, &ordered.id).await;
        assert_eq!((held.status, held.to_remove), (Status::AwaitingConfirmation, Some(30)), "{count:?}");
        stack.client.cancel(&held.id).await.expect("cancelled");
    }
    assert_eq!(there(&stack).await, set(skus(0..30)));
    let ordered = stack.client.remove_all_records("products", None).await.expect("ordered");
    now(&stack, &ordered.id).await;
    // What comes meanwhile stays.
    stack.import(&file_of(&skus(40..50))).await;
    stack.client.confirm(&ordered.id).await.expect("confirmed");
    assert_eq!(stack.ended(&ordered.id).await.removed, 30);
    assert_eq!(there(&stack).await, set(skus(40..50)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_confirms_ends_with_a_note() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..3))).await;
    let ordered = stack.client.remove_all_records("products", None).await.expect("ordered");
    now(&stack, &ordered.id).await;
    stack.pass(std::time::Duration::from_secs(8 * 24 * 3600)).await;
    let ended = stack.ended(&ordered.id).await;
    assert_eq!((ended.status, ended.removed), (Status::Completed, 0));
    assert_eq!(ended.notes, ["nothing was removed: the removal of 3 records was not confirmed within 7 days"]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_waits_at_the_gate_and_for_older_imports() {
    let stack = held().await;
    stack.import(&file_of(&skus(0..30))).await;
    let older = stack.create(ImportOptions::default()).await;
    assert_eq!(upload(&older, &file_of(&skus(30..40))).await, 200);
    now(&stack, &older.id).await;
    let first = stack.client.remove_all_records("products", Some(40)).await.expect("ordered");
    let second = stack.client.remove_all_records("products", None).await.expect("ordered");
    assert_eq!((first.status, first.waiting_for), (Status::Processing, None));
    assert_eq!((second.status, second.waiting_for.as_ref()), (Status::Processing, Some(&first.id)));
    assert_eq!(refused(stack.client.removals(&first.id, None, 10).await), (409, "not_ready".into()));
    assert_eq!(stack.ended(&first.id).await.removed, 40);
    assert_eq!(stack.ended(&second.id).await.status, Status::Completed);
    assert_eq!(there(&stack).await, set([]));
    stack.stop().await;
}
