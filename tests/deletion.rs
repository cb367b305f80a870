//! What is said to be gone is gone: every version of a deleted import's upload, with all that stands beside it, and any
//! upload that no import is about, whoever dies and whatever event is lost; and nothing else goes.

use std::{path::Path, time::Duration};

use penstock_client::Import;
use penstock_local::Usage;
use penstock_model::{AccountId, ImportId, ImportOptions, Status, limits};
use penstock_store::{errors::ErrorCursor, removals::Removed, uploads::upload_key};
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    OTHER_TOKEN, Stack, TOKEN,
    crashes::{arm, armed, stack_with_crashes_and},
    http::post_form,
    refused, storage,
    tables::import_items,
    upload,
};

const FILE: &[u8] = b"sku,name,brand,cost\nS-1,One,Acme,1\nS-2,Two,Acme,cheap\n";

/// Ids of an account's import.
fn ids(account: &str, import: &str) -> (AccountId, ImportId) {
    (account.parse().expect("an account"), import.parse().expect("an id"))
}

/// The versions under an import's key, the newest first.
async fn versions(stack: &Stack, account: &str, import: &str) -> Vec<String> {
    let (account, import) = ids(account, import);
    storage::versions(stack, &upload_key(&account, &import)).await
}

/// Posts a file to the form of an import.
async fn post(import: &Import, file: &[u8]) {
    assert_eq!(post_form(import.form.as_ref().expect("a form"), file).await.status, 204);
}

/// Sweeps, when all that was under way has come to rest.
async fn sweep(stack: &Stack) {
    stack.cloud.quiet().await;
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    stack.cloud.quiet().await;
}

/// Lets time pass until no URL of an import is valid and no order to remove is left.
async fn settle(stack: &Stack, import: &str) {
    for _ in 0..2 {
        stack.pass(Duration::from_secs(40 * 60)).await;
        sweep(stack).await;
    }
    assert!(!is_ordered(stack, "1", import).await);
}

/// Whether there is an order to remove what an import does not keep.
async fn is_ordered(stack: &Stack, account: &str, import: &str) -> bool {
    let (account, import) = ids(account, import);
    stack.cloud.store().removal(&account, &import).await.expect("read").is_some()
}

async fn unscheduled(event_lost: f64) -> Stack {
    Stack::with(|options| {
        options.scheduled = false;
        options.faults.event_lost = event_lost;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_a_deleted_import_is_removed_and_its_neighbours_files_stay() {
    let stack = unscheduled(0.0).await;
    let other = stack.client_of(OTHER_TOKEN);
    let neighbour = other.create(&Default::default(), None).await.expect("created");
    assert_eq!(upload(&neighbour, FILE).await, 200);
    stack.ended_for(&other, &neighbour.id).await.expect("ends");
    let mine = stack.import(FILE).await;
    let import = stack.create(ImportOptions::default()).await;
    post(&import, FILE).await;
    post(&import, &[FILE, b"S-3,,Acme,1\n"].concat()).await;
    stack.ended(&import.id).await;
    assert_eq!(storage::rejected_files(&stack).await.len(), 3);
    post(&import, FILE).await;
    stack.cloud.quiet().await;
    assert_eq!(versions(&stack, "1", &import.id).await.len(), 3);
    // Who may not, cannot; who may, is told that it is gone, and it is.
    assert_eq!(refused(other.delete(&import.id).await), (404, "not_found".into()));
    stack.client.delete(&import.id).await.expect("deleted");
    for _ in 0..2 {
        assert_eq!(refused(stack.client.delete(&import.id).await), (404, "not_found".into()));
        assert_eq!(refused(stack.client.import(&import.id).await), (404, "not_found".into()));
    }
    sweep(&stack).await;
    assert_eq!(versions(&stack, "1", &import.id).await, [""; 0]);
    let (_, id) = ids("1", &import.id);
    assert!(stack.cloud.store().errors(&id, ErrorCursor::default(), 10).await.expect("read").0.is_empty());
    let rejected = storage::rejected_files(&stack).await;
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    assert!(rejected.iter().all(|file| !file.contains(&import.id)), "{rejected:?}");
    // Its URLs are valid still: what they store goes as well.
    assert_eq!(upload(&import, FILE).await, 200);
    post(&import, FILE).await;
    assert_eq!(versions(&stack, "1", &import.id).await.len(), 2);
    sweep(&stack).await;
    assert_eq!(versions(&stack, "1", &import.id).await, [""; 0]);
    settle(&stack, &import.id).await;
    assert_eq!(versions(&stack, "1", &mine.id).await.len(), 1);
    assert_eq!(versions(&stack, "2", &neighbour.id).await.len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_for_a_deleted_import_goes_though_its_event_is_lost() {
    let stack = unscheduled(1.0).await;
    let import = stack.create(ImportOptions::default()).await;
    stack.client.delete(&import.id).await.expect("deleted");
    sweep(&stack).await;
    post(&import, FILE).await;
    post(&import, FILE).await;
    sweep(&stack).await;
    assert_eq!(versions(&stack, "1", &import.id).await.len(), 2, "nobody was told");
    settle(&stack, &import.id).await;
    assert_eq!(versions(&stack, "1", &import.id).await, [""; 0]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_for_a_cancelled_import_goes_though_its_event_is_lost() {
    for event_lost in [0.0, 1.0] {
        let stack = unscheduled(event_lost).await;
        let import = stack.create(ImportOptions::default()).await;
        let cancelled = stack.client.cancel(&import.id).await.expect("cancelled");
        assert_eq!(cancelled.status, Status::Cancelled);
        assert_eq!(upload(&import, FILE).await, 200);
        post(&import, FILE).await;
        sweep(&stack).await;
        let left = versions(&stack, "1", &import.id).await.len();
        assert_eq!(left, if event_lost == 0.0 { 0 } else { 2 });
        stack.pass(Duration::from_secs(20 * 60)).await;
        sweep(&stack).await;
        // Its URLs are valid for ten minutes more.
        post(&import, FILE).await;
        settle(&stack, &import.id).await;
        assert_eq!(versions(&stack, "1", &import.id).await, [""; 0]);
        assert_eq!(stack.client.import(&import.id).await.expect("there").status, Status::Cancelled);
        assert!(stack.cloud.store().unfinished_imports().await.expect("read").is_empty(), "nothing is left to look at");
        stack.stop().await;
    }
}

/// A form may store a second object at any moment: while the first is accepted, split, applied, and afterwards. What
/// the import is about stays, and its rejected rows can be written from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_object_goes_and_the_one_that_is_imported_stays() {
    for late in [0.0, 0.5] {
        let stack = Stack::with(|options| {
            options.faults.event_late = late;
            options.faults.event_twice = 0.5;
            options.faults.seed = 7;
        })
        .await;
        let import = stack.create(ImportOptions::default()).await;
        for _ in 0..6 {
            post(&import, FILE).await;
            stack.cloud.sweep_now().await.expect("the sweeper looks");
        }
        let ended = stack.ended(&import.id).await;
        assert_eq!((ended.status, ended.rows.failed, ended.rows.total), (Status::CompletedWithErrors, 1, Some(2)));
        let (account, id) = ids("1", &import.id);
        let pinned = stack.cloud.store().import(&account, &id).await.expect("read").expect("there").object;
        let pinned = pinned.and_then(|object| object.version).expect("a version");
        let one_is_left = async || versions(&stack, "1", &import.id).await.len() == 1;
        stack.passes_until("the other versions are removed", one_is_left).await;
        assert_eq!(versions(&stack, "1", &import.id).await, [pinned]);
        stack.stop().await;
    }
}

/// A form's file is stored before its import is made. Its event comes first, and again, and is no reason to remove it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_stored_before_its_import_stays_and_one_without_an_import_goes() {
    let stack = unscheduled(0.0).await;
    let store = stack.cloud.store();
    let account: AccountId = "1".parse().expect("valid");
    let now = store.now_ms();
    let [made, missing] = [1, 2].map(|n| ImportId::new(now, [n; 10]));
    for id in [&made, &missing] {
        let mut upload = store.upload(&account, id, 1000);
        upload.write(FILE).await.expect("taken");
        upload.finish().await.expect("stored");
        sweep(&stack).await;
        assert_eq!(versions(&stack, "1", id.as_str()).await.len(), 1);
    }
    assert!(is_ordered(&stack, "1", made.as_str()).await && is_ordered(&stack, "1", missing.as_str()).await);
    let kind = "products".parse().expect("valid");
    let import = penstock_model::Import::new(made.clone(), account, kind, now, now + 1_800_000);
    assert!(store.create_uploaded_import(&import, None).await.expect("created"));
    assert_eq!(stack.ended(made.as_str()).await.rows.total, Some(2));
    stack.pass(Duration::from_millis(limits::STRAY_MS.unsigned_abs() + 1000)).await;
    sweep(&stack).await;
    assert_eq!(versions(&stack, "1", made.as_str()).await.len(), 1);
    assert_eq!(versions(&stack, "1", missing.as_str()).await, [""; 0]);
    assert!(!is_ordered(&stack, "1", made.as_str()).await && !is_ordered(&stack, "1", missing.as_str()).await);
    stack.stop().await;
}

/// A stack whose api dies, too.
async fn mortal(folder: &Path) -> Stack {
    stack_with_crashes_and(folder, |options| {
        let directory = (penstock_store::crash::DIRECTORY.to_owned(), folder.display().to_string());
        options.functions.api.environment.push(directory);
    })
    .await
}

/// What API Gateway would hand to the function.
fn event(method: &Method, path: &str) -> String {
    let mut event: Value = serde_json::from_str(include_str!("data/events/api-gateway-rest.json")).expect("JSON");
    event["httpMethod"] = method.as_str().into();
    event["path"] = path.into();
    event["requestContext"]["path"] = path.into();
    event["requestContext"]["httpMethod"] = method.as_str().into();
    event["headers"] = serde_json::json!({ "authorization": format!("Bearer {TOKEN}") });
    event["multiValueHeaders"] = serde_json::json!({ "authorization": [format!("Bearer {TOKEN}")] });
    event["queryStringParameters"] = Value::Null;
    event["multiValueQueryStringParameters"] = Value::Null;
    event["isBase64Encoded"] = false.into();
    event["body"] = Value::Null;
    event.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_on_the_way_leaves_nothing_behind() {
    for point in ["delete.ordered", "removal.versions", "removal.noted", "removal.closed"] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = mortal(folder.path()).await;
        let import = stack.import(FILE).await;
        arm(folder.path(), point);
        let path = format!("/v1/imports/{}", import.id);
        let answered = stack.cloud.invoke("api", event(&Method::DELETE, &path)).await;
        assert_eq!(answered.is_err(), point == "delete.ordered", "{answered:?}");
        assert_eq!(refused(stack.client.delete(&import.id).await), (404, "not_found".into()), "{point}");
        let is_gone = async || {
            versions(&stack, "1", &import.id).await.is_empty()
                && storage::rejected_files(&stack).await.is_empty()
                && armed(folder.path()).is_empty()
                && !is_ordered(&stack, "1", &import.id).await
        };
        stack.passes_until("everything is removed", is_gone).await;
        stack.stop().await;
    }
}

/// A deletion of a kind that dies keeps nobody out, and a repeat makes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_in_the_deletion_of_a_kind_keeps_nobody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = mortal(folder.path()).await;
    let schema = serde_json::json!({ "name": "gadgets", "primaryKey": "id", "fields": [{ "name": "id" }] });
    stack.client.put_kind(&schema).await.expect("registered");
    arm(folder.path(), "kind.marked");
    let answered = stack.cloud.invoke("api", event(&Method::DELETE, "/v1/kinds/gadgets")).await;
    assert!(answered.is_err() && armed(folder.path()).is_empty(), "{answered:?}");
    let new = penstock_client::NewImport { kind: Some("gadgets".to_owned()), ..Default::default() };
    assert_eq!(stack.import_as(new, b"id\nA\n").await.rows.created, 1);
    assert!(stack.client.delete_record("gadgets", "A").await.expect("answers"));
    // What this one leaves of the kind is in nobody's way, and goes with the next kind of this name.
    arm(folder.path(), "kind.removed");
    let answered = stack.cloud.invoke("api", event(&Method::DELETE, "/v1/kinds/gadgets")).await;
    assert!(answered.is_err() && armed(folder.path()).is_empty(), "{answered:?}");
    stack.client.put_kind(&schema).await.expect("registered");
    let new = penstock_client::NewImport { kind: Some("gadgets".to_owned()), ..Default::default() };
    assert_eq!(stack.import_as(new, b"id\nB\n").await.rows.created, 1);
    assert!(stack.client.delete_record("gadgets", "B").await.expect("answers"));
    stack.client.delete_kind("gadgets").await.expect("deleted");
    let (store, kind) = (stack.cloud.store(), "gadgets".parse().expect("a kind"));
    let left = store.list_kind_versions(&"1".parse().expect("an account"), &kind, None, 10).await.expect("answers");
    assert_eq!(left, []);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_of_the_splitter_that_turns_an_upload_away_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = mortal(folder.path()).await;
    let import = stack.create(ImportOptions::default()).await;
    stack.client.cancel(&import.id).await.expect("cancelled");
    // Each of its tries ends so: the event is dead-lettered.
    arm(folder.path(), "removal.ordered.always");
    assert_eq!(upload(&import, FILE).await, 200);
    stack.cloud.quiet().await;
    assert!(stack.deaths("split") >= 1);
    std::fs::remove_file(folder.path().join("removal.ordered.always")).expect("removed");
    let is_gone = async || versions(&stack, "1", &import.id).await.is_empty();
    stack.passes_until("the upload is removed", is_gone).await;
    stack.stop().await;
}

/// One who posts a form again and again keeps the sweeper busy, and no other's deletion waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn more_versions_than_are_removed_at_once_all_go_and_keep_nobody_waiting() {
    let stack = unscheduled(1.0).await;
    let import = stack.create(ImportOptions::default()).await;
    let (account, id) = ids("1", &import.id);
    let key = upload_key(&account, &id);
    storage::put_versions(&stack, &key, limits::REMOVED_AT_ONCE + 100).await;
    let other = stack.client_of(OTHER_TOKEN);
    let neighbour = other.create(&Default::default(), None).await.expect("created");
    assert_eq!(upload(&neighbour, FILE).await, 200);
    stack.client.delete(&import.id).await.expect("deleted");
    other.delete(&neighbour.id).await.expect("deleted");
    let (first, second) = (stack.cloud.store().due_removals().await.expect("read"), ids("2", &neighbour.id));
    assert_eq!(first.len(), 2);
    let due = |id: &ImportId| first.iter().find(|due| due.import == *id).expect("due");
    // As the sweeper does it, one look at each.
    let look = async |id: &ImportId| stack.cloud.store().remove(due(id)).await.expect("removed");
    assert_eq!(look(&id).await, Removed::Part);
    assert_eq!(look(&second.1).await, Removed::All);
    assert_eq!(versions(&stack, "2", &neighbour.id).await, [""; 0]);
    assert_eq!(versions(&stack, "1", &import.id).await.len(), 100);
    assert_eq!(look(&id).await, Removed::All);
    assert_eq!(versions(&stack, "1", &import.id).await, [""; 0]);
    stack.stop().await;
}

/// Whether any file below a folder holds these bytes.
fn is_held(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => is_held(&path, bytes),
            false => {
                let content = std::fs::read(&path).unwrap_or_default();
                content.windows(bytes.len()).any(|window| window == bytes)
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_holds_nothing_of_a_deleted_imports_files() {
    let data = tempfile::tempdir().expect("a folder");
    let start = || Stack::with(|options| options.data = Some(data.path().to_owned()));
    let stack = start().await;
    let files = data.path().join("s3");
    // A column that no field is named after: its cells are in the files and in no record.
    let file = b"sku,name,brand,cost,secret\nS-1,One,Acme,1,xyzzy-1\nS-2,Two,Acme,cheap,xyzzy-2\n";
    let import = stack.create(ImportOptions::default()).await;
    post(&import, file).await;
    post(&import, file).await;
    assert!(stack.ended(&import.id).await.rejected.is_some());
    assert!(is_held(&files, b"xyzzy-1") && is_held(&files, b"xyzzy-2"));
    let parted = stack.create(ImportOptions::default()).await;
    let part = stack.client.part_urls(&parted.id, &[1]).await.expect("a URL").parts.remove(0);
    let content = penstock_client::Bytes::from_static(b"sku,secret\nS-3,xyzzy-3\n");
    stack.client.upload_part(&part, content, &Default::default()).await.expect("taken");
    assert!(is_held(&files, b"xyzzy-3"));
    for id in [&import.id, &parted.id] {
        stack.client.delete(id).await.expect("deleted");
    }
    // The order outlives the process that took it.
    stack.stop().await;
    let stack = start().await;
    stack.passes_until("the files are gone", async || !is_held(&files, b"xyzzy-")).await;
    let is_named = |import: &str| is_held_name(&files, import);
    assert!(!is_named(&import.id) && !is_named(&parted.id), "nor does a file's name");
    stack.stop().await;
}

/// Whether any file below a folder is named so.
fn is_held_name(folder: &Path, name: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let entry = entry.expect("an entry");
        entry.file_name().to_string_lossy().contains(name) || entry.path().is_dir() && is_held_name(&entry.path(), name)
    })
}

/// API Gateway waits 29 seconds for an answer: what a request does for a large import is bounded.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_import_is_cancelled_and_deleted_by_requests_that_leave_the_work_to_others() {
    let stack = Stack::with(|options| {
        options.proxy = true;
        options.scheduled = false;
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "1".into()));
        options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "8".into()));
        // Chunks stay on their way until they are cleared away.
        options.faults.message_delayed = 1.0;
        options.faults.delay = Duration::from_secs(24 * 3600);
    })
    .await;
    let mut file = b"sku,name,brand\n".to_vec();
    (0..3_000).for_each(|row| file.extend(format!("S-{row},Name,Acme\n").as_bytes()));
    let import = stack.uploaded(&file).await;
    stack.cloud.quiet().await;
    stack.cloud.queue("chunks").expect("the queue").purge();
    stack.cloud.faults().clear();
    let asked_by = |function: &str, before: &Usage| {
        stack.cloud.usage().since(before).total(|operation| operation.function == function).requests
    };
    const FEW: u64 = 20;

    let before = stack.cloud.usage();
    let cancelled = stack.client.cancel(&import.id).await.expect("answers");
    assert_eq!(
        (cancelled.status, cancelled.rows.total),
        (Status::Processing, Some(3_000)),
        "375 blocks are closed later"
    );
    assert!(asked_by("api", &before) < FEW, "{}", asked_by("api", &before));
    stack.cloud.quiet().await;
    assert!(asked_by("split", &before) > 375, "{}", asked_by("split", &before));
    let cancelled = stack.client.cancel(&import.id).await.expect("answers");
    assert_eq!((cancelled.status, cancelled.rows.unprocessed), (Status::Cancelled, 3_000));

    let before = stack.cloud.usage();
    stack.client.delete(&import.id).await.expect("answers");
    assert!(asked_by("api", &before) < FEW, "{}", asked_by("api", &before));
    assert!(refused(stack.client.import(&import.id).await).0 == 404);
    settle(&stack, &import.id).await;
    let left = import_items(&stack).await;
    let of_it: Vec<_> =
        left.iter().filter(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("block#"))).collect();
    assert_eq!(of_it, [&Value::Null; 0]);
    stack.stop().await;
}
