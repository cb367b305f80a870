//! Deleted imports, and uploads that no import is about: every version goes, and nothing else does.

use std::time::Duration;

use penstock_model::{Halt, Import, Report, RowError, Status, limits};
use penstock_store::{
    Store,
    accept::{Acceptance, Step},
    due::Due,
    errors::{ErrorCursor, Extent},
    removals::{Deleted, Removed},
    uploads::upload_key,
};
use tokio::time::{Instant, sleep};

use super::{
    bench::{Bench, object},
    files::{post, stored},
    support::s3_client,
};

/// The versions and delete markers under the import's key, the newest first.
async fn versions(bench: &Bench, import: &Import) -> Vec<String> {
    let listed = s3_client::of(&bench.settings).list_object_versions().bucket(&bench.settings.uploads_bucket);
    let listed = listed.prefix(upload_key(&import.account, &import.id)).send().await.expect("S3 lists them");
    assert_ne!(listed.is_truncated(), Some(true));
    let versions = listed.versions().iter().filter_map(|version| version.version_id());
    let markers = listed.delete_markers().iter().filter_map(|marker| marker.version_id());
    versions.chain(markers).map(str::to_owned).collect()
}

fn due(import: &Import) -> Due {
    Due { account: import.account.clone(), import: import.id.clone() }
}

/// Waits until the import's removal is due, or is not: the index may lag behind its table.
async fn is_due(store: &Store, import: &Import, wanted: bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while store.due_removals().await.expect("answers").contains(&due(import)) != wanted {
        assert!(Instant::now() < end, "not within 20 s: the removal is due: {wanted}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Orders the removal of what the import does not keep, and carries it out.
pub(crate) async fn order_and_remove(bench: &Bench, import: &Import) {
    bench.store.order_removal(&import.account, &import.id).await.expect("ordered");
    assert_eq!(bench.store.remove(&due(import)).await.expect("removed"), Removed::All);
}

/// An import that has ended, of whose file there are two versions, the first of which it was about.
async fn ended(bench: &Bench) -> Import {
    let Bench { store, account, .. } = bench;
    let created = bench.created().await;
    let form = store.presign_form(&created).await.expect("a form");
    assert_eq!(post(&form, b"sku\nA\n").await, 204);
    let object = stored(bench, &created).await.expect("stored");
    let Acceptance::Go(running) = store.accept(account, &created.id, &object).await.expect("answers") else {
        panic!("not accepted")
    };
    assert_eq!(store.open_block(&running, 0).await.expect("answers"), Step::Made);
    assert_eq!(post(&form, b"sku\nB,B\n").await, 204);
    let error = RowError {
        row: 1,
        line: 2,
        source_row: None,
        key: None,
        field: None,
        value: None,
        code: "ragged_row".into(),
        message: "two cells".into(),
    };
    let extent = Extent { offset: 4, bytes: 4, first_row: 1, first_line: 2, refused: false };
    store.put_errors(&running.id, 0, extent, &[error]).await.expect("stored");
    assert_eq!(store.delete(account, &running.id).await.expect("answers"), Deleted::Runs);
    store.order_halt(account, &running.id, &Halt::cancelled()).await.expect("answers");
    let ended = store.settle(account, &running.id).await.expect("answers").expect("the import is there");
    assert_eq!(ended.status, Status::Cancelled);
    ended
}

pub(crate) async fn a_deleted_import_leaves_nothing(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = ended(&bench).await;
    let mut file = store.rejected_file(&import);
    file.write(b"_row,_line,_errors,sku\n").await.expect("taken");
    let key = file.finish().await.expect("stored");
    store.set_report(&import, &Report { key: key.clone(), rows: 1 }).await.expect("recorded");
    let rejected =
        || s3_client::of(&bench.settings).head_object().bucket(&bench.settings.results_bucket).key(&key).send();
    assert_eq!(versions(&bench, &import).await.len(), 2);
    is_due(store, &import, false).await;
    for _ in 0..2 {
        assert_eq!(store.delete(account, &import.id).await.expect("answers"), Deleted::Gone);
        assert_eq!(store.import(account, &import.id).await.expect("answers"), None);
    }
    assert_eq!(versions(&bench, &import).await.len(), 2, "the order is all there is yet");
    assert!(rejected().await.is_ok());
    is_due(store, &import, true).await;
    assert_eq!(store.remove(&due(&import)).await.expect("removed"), Removed::All);
    let nothing_is_left = async || {
        assert_eq!(versions(&bench, &import).await, [""; 0]);
        assert!(rejected().await.is_err_and(|error| error.as_service_error().is_some_and(|e| e.is_not_found())));
        assert_eq!(stored(&bench, &import).await, None);
        assert!(store.blocks(&import.id, &[0]).await.expect("answers").is_empty());
        assert!(store.errors(&import.id, ErrorCursor::default(), 10).await.expect("answers").0.is_empty());
    };
    nothing_is_left().await;
    // It is put off until nothing can be stored any more; what came since goes then.
    is_due(store, &import, false).await;
    assert_eq!(store.remove(&due(&import)).await.expect("answers"), Removed::Nothing);
    assert_eq!(post(&store.presign_form(&import).await.expect("a form"), b"sku\nC\n").await, 204);
    let clock = bench.shifted(import.uploads_end_at() - store.now_ms() + limits::REMOVAL_AGAIN_MS);
    is_due(&clock.store, &import, true).await;
    assert_eq!(clock.store.remove(&due(&import)).await.expect("removed"), Removed::All);
    nothing_is_left().await;
    is_due(&clock.store, &import, false).await;
    assert_eq!(clock.store.remove(&due(&import)).await.expect("answers"), Removed::Nothing);
}

pub(crate) async fn what_an_import_is_about_is_kept(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = ended(&bench).await;
    let (mine, other) = (import.object.clone().expect("pinned"), stored(&bench, &import).await.expect("stored"));
    assert!(!mine.is(&other), "{other:?}");
    // The event of its own object, however often it comes, orders nothing.
    store.turn_away(account, &import.id, &mine).await.expect("answers");
    assert_eq!(store.remove(&due(&import)).await.expect("answers"), Removed::Nothing);
    store.turn_away(account, &import.id, &other).await.expect("answers");
    is_due(store, &import, true).await;
    assert_eq!(store.remove(&due(&import)).await.expect("removed"), Removed::All);
    assert_eq!(versions(&bench, &import).await, [mine.version.clone().expect("the bucket keeps versions")]);
    assert_eq!(stored(&bench, &import).await, Some(mine));
    is_due(store, &import, false).await;
    // An import that awaits its upload keeps all: none of them is the one yet.
    let awaiting = bench.created().await;
    let form = store.presign_form(&awaiting).await.expect("a form");
    assert_eq!((post(&form, b"sku\nA\n").await, post(&form, b"sku\nB\n").await), (204, 204));
    store.turn_away(account, &awaiting.id, &stored(&bench, &awaiting).await.expect("stored")).await.expect("answers");
    assert_eq!(store.remove(&due(&awaiting)).await.expect("answers"), Removed::Nothing);
    order_and_remove(&bench, &awaiting).await;
    assert_eq!(versions(&bench, &awaiting).await.len(), 2);
    // One that was cancelled gets none any more.
    store.order_halt(account, &awaiting.id, &Halt::cancelled()).await.expect("answers");
    order_and_remove(&bench, &awaiting).await;
    assert_eq!(versions(&bench, &awaiting).await, [""; 0]);
}

pub(crate) async fn an_upload_of_no_import_waits_for_it(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let (made, missing) = (bench.import(), bench.import());
    for import in [&made, &missing] {
        assert_eq!(post(&store.presign_form(import).await.expect("a form"), b"sku\nA\n").await, 204);
        // The event comes twice, before there is an import.
        for _ in 0..2 {
            store.turn_away(account, &import.id, &object("any")).await.expect("answers");
            assert_eq!(store.remove(&due(import)).await.expect("answers"), Removed::Nothing);
        }
    }
    store.create_import(&made, None).await.expect("created");
    let clock = bench.shifted(limits::STRAY_MS + 1000);
    for import in [&made, &missing] {
        is_due(&clock.store, import, true).await;
        assert_eq!(clock.store.remove(&due(import)).await.expect("removed"), Removed::All);
        is_due(&clock.store, import, false).await;
    }
    assert_eq!((versions(&bench, &made).await.len(), versions(&bench, &missing).await.len()), (1, 0));
}

pub(crate) async fn an_order_that_comes_meanwhile_is_carried_out(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = ended(&bench).await;
    order_and_remove(&bench, &import).await;
    assert_eq!(store.delete(account, &import.id).await.expect("answers"), Deleted::Gone);
    assert_eq!(store.remove(&due(&import)).await.expect("removed"), Removed::All);
    // Of a deleted import an upload is turned away at once, and its order lives as long as before.
    assert_eq!(post(&store.presign_form(&import).await.expect("a form"), b"sku\nC\n").await, 204);
    store.turn_away(account, &import.id, &object("any")).await.expect("answers");
    is_due(store, &import, true).await;
    assert_eq!(store.remove(&due(&import)).await.expect("removed"), Removed::All);
    assert_eq!(versions(&bench, &import).await, [""; 0]);
    is_due(store, &import, false).await;
    let clock = bench.shifted(import.uploads_end_at() - store.now_ms() + limits::REMOVAL_AGAIN_MS);
    is_due(&clock.store, &import, true).await;
}
