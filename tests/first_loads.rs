//! The first load of a kind reads no record. That no record is there is a hint: whoever is wrong finds what is there.

use penstock_model::{ImportOptions, Mode, Status};
use serde_json::json;

use crate::support::{
    Stack, adds_up, files, force,
    reference::{self, Catalogue, Rules},
    rng::Rng,
    tables::{ask_table, import_items},
};

/// The items that say that an import has made records of a kind.
async fn noted(stack: &Stack) -> Vec<serde_json::Value> {
    import_items(stack).await.into_iter().filter(|item| item.get("has_records").is_some()).collect()
}

/// Takes it off the order of the kinds that they have records.
async fn forget(stack: &Stack) {
    let table = &stack.cloud.store().settings().imports_table;
    for item in noted(stack).await {
        let key = json!({ "pk": item["pk"], "sk": item["sk"] });
        let request = json!({ "Key": key, "UpdateExpression": "REMOVE has_records" });
        ask_table(stack, table, "UpdateItem", request).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_records_is_loaded_without_reading_any() {
    let stack = Stack::counted().await;
    let records = &stack.cloud.store().settings().records_table;
    // One that fails as a whole and a dry run leave the kind as empty as it was.
    assert_eq!(stack.used(ImportOptions::default(), b"a\n1\n").await.0.status, Status::Failed);
    let dry = ImportOptions { dry_run: true, ..ImportOptions::default() };
    assert_eq!(stack.used(dry, &files::plain(0, 500, "1")).await.0.rows.created, 500);
    assert_eq!(noted(&stack).await, [json!(null); 0]);

    let (import, used) = stack.used(ImportOptions::default(), &files::plain(0, 5_000, "1")).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 5_000));
    assert_eq!(used.total(|operation| operation.resource == *records).read_units, 0.0);
    assert_eq!(noted(&stack).await.len(), 1);

    let (import, used) = stack.used(force(), &files::plain(0, 5_000, "1")).await;
    assert_eq!(import.rows.unchanged, 5_000);
    assert!(used.total(|operation| operation.resource == *records).read_units >= 2_500.0, "every record is read");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_there_all_the_same_are_found() {
    for (seed, mode) in [(1, Mode::Upsert), (2, Mode::Create), (3, Mode::Fill)] {
        println!("seed {seed}");
        let stack = Stack::with(|options| options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "20".into()))).await;
        let (mut rng, mut catalogue) = (Rng::new(seed), Catalogue::new());
        let before = files::clashing(&mut rng, 60, 40);
        stack.import(&before).await;
        reference::upsert(&before, &mut catalogue);
        forget(&stack).await;
        // Some keys are there, others are new, and many are repeated, by rows of other chunks too.
        let file = files::clashing(&mut rng, 150, 200);
        let import = stack.import_with(&file, ImportOptions { mode, ..ImportOptions::default() }).await;
        adds_up(&import);
        assert!(stack.stored(&import.id).await.kind_was_empty, "{mode:?}");
        let expected = reference::apply(&file, &mut catalogue, Rules { mode, ..Rules::default() }, |_| true);
        assert_eq!(reference::counts(&import), expected.counts(), "{mode:?}");
        assert_eq!(stack.shows(&files::keys(200)).await, catalogue, "{mode:?}");
        stack.stop().await;
    }
}
