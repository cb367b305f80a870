//! A death at each step of a replace changes nothing of what becomes of it.

use penstock_model::{ImportOptions, Status};
use penstock_store::crash::POINTS;

use super::{
    file_of, now, removals, replace, set, skus,
    support::{
        Stack,
        crashes::{arm, armed, stack_with_crashes_and},
        upload,
    },
    there,
};

async fn stack_that_dies(folder: &std::path::Path) -> Stack {
    let stack = stack_with_crashes_and(folder, |_| {}).await;
    stack.import(&file_of(&skus(0..200))).await;
    stack
}

/// The api, which makes the transaction, does not die in these tests.
const OF_THE_API: &[&str] = &["replace.confirmed"];

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_step_of_a_replace_changes_nothing() {
    let points = POINTS.iter().filter(|point| point.starts_with("replace."));
    for point in points.filter(|point| !OF_THE_API.contains(point)) {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_that_dies(folder.path()).await;
        arm(folder.path(), point);
        let import = stack.create(replace(20)).await;
        assert_eq!(upload(&import, &file_of(&skus(30..200))).await, 200);
        let newer = stack.uploaded(&file_of(&skus(300..310))).await;
        let (import, newer) = (stack.ended(&import.id).await, stack.ended(&newer.id).await);
        assert_eq!((import.status, import.removed, import.to_remove), (Status::Completed, 30, Some(30)), "{point}");
        assert_eq!((newer.status, newer.rows.created), (Status::Completed, 10), "{point}");
        assert_eq!(removals(&stack, &import.id, 100).await, set(skus(0..30)), "{point}");
        let mut all = set(skus(30..200));
        all.extend(skus(300..310));
        assert_eq!(there(&stack).await, all, "{point}");
        // Whether the newer upload came while the gate was set is open, and whether an invocation was near its end; and
        // nothing is held here.
        let is_open = ["replace.waits", "replace.woken", "replace.continued", "replace.held"].contains(point);
        assert!(is_open || armed(folder.path()).is_empty(), "{point}: nothing died there");
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_while_an_import_is_held_and_confirmed_changes_nothing() {
    for point in ["replace.held", "replace.decided", "replace.tombstones", "replace.removed", "end.ended"] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_that_dies(folder.path()).await;
        let import = stack.create(ImportOptions { most_removed_percent: None, ..replace(0) }).await;
        if point == "replace.held" {
            arm(folder.path(), point);
        }
        assert_eq!(upload(&import, &file_of(&skus(100..200))).await, 200);
        let is_held = async || now(&stack, &import.id).await.status == Status::AwaitingConfirmation;
        stack.passes_until("the import is held", is_held).await;
        if point != "replace.held" {
            arm(folder.path(), point);
        }
        // Newer uploads do not wait for one that is held.
        let newer = stack.uploaded(&file_of(&skus(300..310))).await;
        assert_eq!(stack.ended(&newer.id).await.rows.created, 10, "{point}");
        stack.client.confirm(&import.id).await.expect("confirmed");
        let ended = stack.ended(&import.id).await;
        assert_eq!((ended.status, ended.removed, ended.to_remove), (Status::Completed, 100, Some(100)), "{point}");
        assert!(armed(folder.path()).is_empty(), "{point}: nothing died there");
        let mut all = set(skus(100..200));
        all.extend(skus(300..310));
        assert_eq!(there(&stack).await, all, "{point}");
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn near_its_time_limit_a_removal_goes_on_in_another_invocation() {
    let stack = Stack::with(|options| options.faults.deadline_near = 1.0).await;
    stack.import(&file_of(&skus(0..40))).await;
    let import = stack.import_with(&file_of(&skus(5..40)), replace(20)).await;
    assert_eq!((import.status, import.removed), (Status::Completed, 5), "{import:#?}");
    assert_eq!(removals(&stack, &import.id, 100).await, set(skus(0..5)));
    assert_eq!(there(&stack).await, set(skus(5..40)));
    assert!(stack.invocations("remove") > 20, "{}", stack.invocations("remove"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_remove_that_is_lost_is_sent_again() {
    let stack = Stack::with(|options| {
        options.faults.seed = 1;
        options.faults.message_delayed = 1.0;
        options.faults.delay = std::time::Duration::from_secs(24 * 3600);
    })
    .await;
    // Without a row there is no chunk: the first message is the order to remove.
    let import = stack.create(replace(20)).await;
    assert_eq!(upload(&import, b"sku,name,brand\n").await, 200);
    stack.cloud.quiet().await;
    let waiting = stack.uploaded(&file_of(&skus(0..10))).await;
    stack.cloud.quiet().await;
    assert_eq!(stack.client.import(&waiting.id).await.expect("there").waiting_for.as_ref(), Some(&import.id));
    stack.cloud.queue("removals").expect("the queue").purge();
    stack.cloud.faults().clear();
    assert_eq!(stack.ended(&import.id).await.status, Status::Completed);
    let waiting = stack.ended(&waiting.id).await;
    assert_eq!((waiting.status, waiting.rows.created), (Status::Completed, 10));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_ends_every_process_is_given_up_with_nothing_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_that_dies(folder.path()).await;
    arm(folder.path(), "replace.begun.always");
    let import = stack.import_with(&file_of(&skus(10..200)), replace(20)).await;
    assert_eq!((import.status, import.removed, import.to_remove), (Status::Completed, 0, None), "{import:#?}");
    let notes = import.detected.expect("it was read").notes;
    assert!(notes.iter().any(|note| note.starts_with("nothing was removed: the file could not be read")), "{notes:?}");
    assert_eq!(there(&stack).await, set(skus(0..200)));
    stack.stop().await;
}
