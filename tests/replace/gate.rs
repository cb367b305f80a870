//! The gate: a replace waits for older imports, and newer uploads wait for it.

use std::time::Duration;

use penstock_client::Import;
use penstock_model::{ImportOptions, Status};

use super::{
    file_of, now, replace, set, skus,
    support::{Stack, held::held, upload},
    there,
};

/// An import whose upload has come, and whose rows are held back.
async fn accepted(stack: &Stack, file: &[u8], options: ImportOptions) -> Import {
    let import = stack.create(options).await;
    assert_eq!(upload(&import, file).await, 200);
    now(stack, &import.id).await
}

/// A stack that holds rows back, with records.
async fn with_records() -> Stack {
    let stack = held().await;
    stack.import(&file_of(&skus(0..50))).await;
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_waits_for_older_imports_and_newer_uploads_for_it() {
    let stack = with_records().await;
    let older = accepted(&stack, &file_of(&skus(50..60)), ImportOptions::default()).await;
    let gate = accepted(&stack, &file_of(&skus(1..50)), replace(100)).await;
    let newer = accepted(&stack, &file_of(&skus(90..100)), ImportOptions::default()).await;
    let last = accepted(&stack, &file_of(&skus(1..49)), replace(100)).await;
    assert_eq!((older.status, older.rows.total, older.waiting_for), (Status::Processing, Some(10), None));
    assert_eq!((gate.status, gate.rows.total, gate.waiting_for), (Status::Processing, Some(49), None));
    for waiting in [&newer, &last] {
        assert_eq!((waiting.status, waiting.rows.total), (Status::Processing, None));
        assert_eq!(waiting.waiting_for.as_ref(), Some(&gate.id));
    }
    // What is sent from now on is not held back: of two that wait for one another's end each message of a whole chain
    // would come up to an hour late.
    stack.cloud.faults().clear();
    // None of them expires, and the wait is another than that for an upload.
    stack.pass(Duration::from_secs(2 * 3600)).await;
    let (older, gate) = (stack.ended(&older.id).await, stack.ended(&gate.id).await);
    // What the older import made is not named, so it goes too, with SKU-0.
    assert_eq!((older.rows.created, gate.removed), (10, 11), "{gate:#?}");
    assert_eq!((gate.status, older.status), (Status::Completed, Status::Completed));
    let (newer, last) = (stack.ended(&newer.id).await, stack.ended(&last.id).await);
    assert_eq!((newer.rows.created, newer.waiting_for), (10, None));
    // Which of the two was accepted first is open.
    let mut expected = set(skus(1..49));
    if last.removed == 1 {
        expected.extend(skus(90..100));
    } else {
        assert_eq!(last.removed, 11);
    }
    assert_eq!(there(&stack).await, expected);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_waits_can_be_cancelled_and_another_object_does_not_take_its_place() {
    let stack = with_records().await;
    let gate = accepted(&stack, &file_of(&skus(1..50)), replace(100)).await;
    let waiting = accepted(&stack, &file_of(&skus(90..100)), ImportOptions::default()).await;
    assert_eq!(waiting.waiting_for.as_ref(), Some(&gate.id));
    let cancelled = stack.client.cancel(&waiting.id).await.expect("cancelled");
    assert_eq!((cancelled.status, cancelled.rows.processed, cancelled.waiting_for), (Status::Cancelled, 0, None));
    let gate = stack.ended(&gate.id).await;
    assert_eq!((gate.status, gate.removed), (Status::Completed, 1));
    assert_eq!(stack.client.import(&waiting.id).await.expect("there").status, Status::Cancelled);
    assert_eq!(there(&stack).await, set(skus(1..50)));
    // The kind takes uploads as before.
    stack.import(&file_of(&skus(0..1))).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_that_is_cancelled_before_its_decision_frees_the_gate_and_removes_nothing() {
    let stack = with_records().await;
    let gate = accepted(&stack, &file_of(&skus(1..50)), replace(100)).await;
    let newer = accepted(&stack, &file_of(&skus(90..100)), ImportOptions::default()).await;
    assert_eq!(newer.waiting_for.as_ref(), Some(&gate.id));
    stack.client.cancel(&gate.id).await.expect("cancelled");
    let (gate, newer) = (stack.ended(&gate.id).await, stack.ended(&newer.id).await);
    assert_eq!((gate.status, gate.removed), (Status::Cancelled, 0));
    assert_eq!((newer.status, newer.rows.created), (Status::Completed, 10));
    let mut all = set(skus(0..50));
    all.extend(skus(90..100));
    assert_eq!(there(&stack).await, all);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_kinds_and_other_accounts_do_not_wait() {
    let stack = with_records().await;
    let gate = accepted(&stack, &file_of(&skus(1..50)), replace(100)).await;
    stack.cloud.faults().clear();
    let new = penstock_client::NewImport { kind: Some("contacts".into()), ..Default::default() };
    let contacts = stack.client.create(&new, None).await.expect("created");
    assert_eq!(upload(&contacts, b"_email,_name\na@example.com,A\n").await, 200);
    assert_eq!(now(&stack, &contacts.id).await.status, Status::Completed);
    let other = stack.client_of(crate::support::OTHER_TOKEN);
    let foreign = other.create(&Default::default(), None).await.expect("created");
    assert_eq!(upload(&foreign, &file_of(&skus(0..1))).await, 200);
    stack.cloud.quiet().await;
    assert_eq!(other.import(&foreign.id).await.expect("there").status, Status::Completed);
    assert_eq!(stack.client.import(&gate.id).await.expect("there").status, Status::Processing);
    assert_eq!(stack.ended(&gate.id).await.removed, 1);
    stack.stop().await;
}
