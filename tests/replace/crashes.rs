//! A death at each step of a replace changes nothing of what becomes of it.

use penstock_model::{ImportOptions, Status};
use penstock_store::crash::POINTS;

use crate::{
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
