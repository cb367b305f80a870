//! An import is kept for its days from its end on, and goes then as its owner's deletion would have it go; nothing of
//! an import that has not ended does, nor of its neighbours, and what it changed tells its id ever after.

use std::{collections::BTreeSet, path::Path, time::Duration};

use penstock_client::{Client, Import, NewExport, NewImport, RecordFilter};
use penstock_local::Usage;
use penstock_model::{
    AccountId, ExportCompression, ExportFormat, ExportStatus, ImportId, ImportOptions, Mode, Status, limits, rfc3339,
};
use penstock_store::{errors::ErrorCursor, uploads::upload_key};
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    OTHER_TOKEN, Stack, TOKEN,
    crashes::{arm, armed, stack_with_crashes_and},
    files,
    http::send,
    refused, storage,
    tables::{import_items, key},
    tenant::Tenant,
    upload,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A file of which one row is rejected.
const FILE: &[u8] = b"sku,name,brand,cost\nS-1,One,Acme,1\nS-2,Two,Acme,cheap\n";

/// That imports are kept for so many days.
fn days(days: u64) -> (String, String) {
    ("PENSTOCK_IMPORT_RETENTION_DAYS".into(), days.to_string())
}

/// A stack that keeps imports for so many days, whose sweeper looks when it is told to.
async fn unscheduled(kept_days: u64) -> Stack {
    Stack::with(|options| {
        options.scheduled = false;
        options.environment.push(days(kept_days));
    })
    .await
}

/// Sweeps when all that was under way has come to rest; how many imports went.
async fn sweep(stack: &Stack) -> u64 {
    stack.cloud.quiet().await;
    let answer = stack.cloud.sweep_now().await.expect("the sweeper looks");
    stack.cloud.quiet().await;
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    answer["retired"].as_u64().expect("a count")
}

async fn imported_by(stack: &Stack, client: &Client, file: &[u8]) -> Import {
    let import = client.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(upload(&import, file).await, 200);
    stack.ended_for(client, &import.id).await.expect("it ends")
}

fn ids(account: &str, import: &str) -> (AccountId, ImportId) {
    (account.parse().expect("an account"), import.parse().expect("an id"))
}

/// The import as it is stored; `None` when it is gone.
async fn stored(stack: &Stack, import: &str) -> Option<penstock_model::Import> {
    let (account, id) = ids("1", import);
    stack.cloud.store().import(&account, &id).await.expect("read")
}

async fn versions(stack: &Stack, account: &str, import: &str) -> usize {
    let (account, id) = ids(account, import);
    storage::versions(stack, &upload_key(&account, &id)).await.len()
}

/// What is left of an import anywhere, but for the place that it took, the order to remove the rest, and the order of
/// its kind, which names it as long as its digest holds.
async fn traces(stack: &Stack, import: &str) -> BTreeSet<String> {
    let mut traces = BTreeSet::new();
    for item in import_items(stack).await {
        let (pk, sk) = (key(&item, "pk"), key(&item, "sk"));
        let outlives = ["taken#", "order#", "removal#", "kind#"].iter().any(|own| sk.starts_with(own));
        if !outlives && item.to_string().contains(import) {
            traces.insert(format!("{pk} / {sk}"));
        }
    }
    traces.extend(storage::rejected_files(stack).await.into_iter().filter(|file| file.contains(import)));
    traces
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_when_its_days_are_over_and_no_other_does() {
    let stack = unscheduled(3).await;
    let other = stack.client_of(OTHER_TOKEN);
    let first = stack.import(FILE).await;
    assert_eq!(first.status, Status::CompletedWithErrors);
    let ended_at = stored(&stack, &first.id).await.and_then(|import| import.completed_at).expect("it has ended");
    assert_eq!(first.retained_until, Some(rfc3339(ended_at + 3 * DAY.as_millis() as i64)));
    stack.pass(10 * MINUTE).await;
    // One beside it in time, and one of another account.
    let beside = stack.import(FILE).await;
    let foreign = imported_by(&stack, &other, FILE).await;
    let listed = stack.client.list(None, 10).await.expect("a page").imports;
    assert!(listed.iter().all(|import| import.retained_until.is_some()), "{listed:#?}");
    stack.pass(3 * DAY - 15 * MINUTE).await;
    assert_eq!(sweep(&stack).await, 0);
    assert!(stack.rejected(&first).await.contains("S-2"), "a few minutes are left");
    assert_eq!((versions(&stack, "1", &first.id).await, stack.errors(&first.id).await.len()), (1, 1));
    stack.pass(10 * MINUTE).await;
    assert_eq!(sweep(&stack).await, 1);
    let gone = || (404, "not_found".to_owned());
    assert_eq!(refused(stack.client.import(&first.id).await), gone());
    assert_eq!(refused(stack.client.errors(&first.id, None, 10).await), gone());
    assert_eq!(refused(stack.client.error_summary(&first.id).await), gone());
    assert_eq!(refused(stack.client.rejected(&first.id).await.map(|_| ())), gone());
    assert_eq!(refused(stack.client.delete(&first.id).await), gone());
    let again = NewImport { from: Some(first.id.clone()), ..NewImport::default() };
    assert_eq!(refused(stack.client.create(&again, None).await), gone());
    assert_eq!((versions(&stack, "1", &first.id).await, traces(&stack, &first.id).await), (0, BTreeSet::new()));
    let (_, id) = ids("1", &first.id);
    assert!(stack.cloud.store().errors(&id, ErrorCursor::default(), 10).await.expect("read").0.is_empty());
    // What it made stays, and so does whoever stands beside it.
    assert!(stack.client.record("products", "S-1").await.expect("answers").is_some());
    for (client, account, import) in [(&stack.client, "1", &beside), (&other, "2", &foreign)] {
        assert_eq!(client.import(&import.id).await.expect("there").status, Status::CompletedWithErrors);
        assert_eq!(client.errors(&import.id, None, 10).await.expect("there").errors.len(), 1);
        assert_eq!(versions(&stack, account, &import.id).await, 1);
    }
    assert_eq!(storage::rejected_files(&stack).await.len(), 2);
    stack.pass(10 * MINUTE).await;
    assert_eq!(sweep(&stack).await, 2);
    assert_eq!(storage::rejected_files(&stack).await.len(), 0);
    stack.stop().await;
}

/// However long it takes, and whatever it waits for.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_has_not_ended_never_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        options.scheduled = false;
        options.environment.push(days(1));
    })
    .await;
    // Its one chunk has begun, so that it is brought again and again.
    arm(folder.path(), "validate.records.always");
    let running = stack.uploaded(&files::plain(0, 90, "1")).await;
    let awaiting = stack.create(ImportOptions::default()).await;
    assert_eq!((awaiting.retained_until, awaiting.status), (None, Status::AwaitingUpload));
    stack.pass(DAY).await;
    assert_eq!(sweep(&stack).await, 0);
    // What nobody uploaded to expires first, and is kept from then on.
    let expired = stack.client.import(&awaiting.id).await.expect("there");
    let ended_at = stored(&stack, &awaiting.id).await.and_then(|import| import.completed_at).expect("it has ended");
    assert_eq!(expired.status, Status::Expired);
    assert_eq!(expired.retained_until, Some(rfc3339(ended_at + DAY.as_millis() as i64)));
    stack.pass(HOUR).await;
    assert_eq!(sweep(&stack).await, 0);
    stack.pass(DAY).await;
    assert_eq!(sweep(&stack).await, 1);
    assert_eq!(refused(stack.client.import(&awaiting.id).await).0, 404);
    for _ in 0..3 {
        stack.pass(DAY).await;
        assert_eq!(sweep(&stack).await, 0);
        let running = stack.client.import(&running.id).await.expect("there");
        assert_eq!((running.status, running.retained_until), (Status::Processing, None));
    }
    std::fs::remove_file(folder.path().join("validate.records.always")).expect("removed");
    let settled = async || {
        sweep(&stack).await;
        stack.client.import(&running.id).await.expect("there").status.is_final()
    };
    stack.passes_until("it has ended", settled).await;
    let ended = stack.client.import(&running.id).await.expect("there");
    assert_eq!((ended.status, ended.rows.created), (Status::Completed, 90));
    assert!(ended.retained_until.is_some());
    stack.pass(DAY).await;
    assert_eq!(sweep(&stack).await, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_waits_to_be_confirmed_is_kept_from_its_end_on() {
    let stack = unscheduled(1).await;
    stack.import(&files::plain(0, 20, "1")).await;
    let options = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    let replace = stack.client.create(&NewImport { options, ..NewImport::default() }, None).await.expect("created");
    assert_eq!(upload(&replace, &files::plain(0, 2, "1")).await, 200);
    let show = async || stack.client.import(&replace.id).await.expect("there");
    stack.passes_until("it is held", async || show().await.status == Status::AwaitingConfirmation).await;
    stack.pass(6 * DAY).await;
    assert_eq!(sweep(&stack).await, 1, "the one before it");
    let held = show().await;
    assert_eq!((held.status, held.to_remove, held.retained_until), (Status::AwaitingConfirmation, Some(18), None));
    assert_eq!(stack.client.removals(&held.id, None, 100).await.expect("a page").removals.len(), 18);
    stack.pass(DAY + HOUR).await;
    assert_eq!(sweep(&stack).await, 0, "nobody confirmed it: it has ended now");
    assert_eq!(show().await.status, Status::Completed);
    stack.pass(DAY - HOUR).await;
    assert_eq!(sweep(&stack).await, 0);
    stack.pass(2 * HOUR).await;
    assert_eq!(sweep(&stack).await, 1);
    assert_eq!(refused(stack.client.import(&held.id).await).0, 404);
    assert_eq!(traces(&stack, &held.id).await, BTreeSet::new(), "its lists are gone as well");
    stack.stop().await;
}

/// A reader whose rejected rows are not written reads the upload still.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_upload_is_read_is_kept_until_that_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        options.scheduled = false;
        options.environment.push(days(5));
    })
    .await;
    let first = stack.import(FILE).await;
    // Another import is made of it for as long as it is kept for certain, which is no longer than it is kept itself.
    let until = stored(&stack, &first.id).await.expect("there").created_at + 5 * DAY.as_millis() as i64;
    assert_eq!(first.source_expires_at, Some(rfc3339(until)));
    stack.pass(2 * DAY).await;
    arm(folder.path(), "report.written.always");
    let new = NewImport { from: Some(first.id.clone()), ..NewImport::default() };
    let reader = stack.client.create(&new, None).await.expect("made");
    let ended = async || stack.client.import(&reader.id).await.expect("there").status.is_final();
    stack.passes_until("it has ended", ended).await;
    stack.pass(4 * DAY).await;
    for _ in 0..2 {
        assert_eq!(sweep(&stack).await, 0);
        assert_eq!(stack.client.import(&first.id).await.expect("there").rows.failed, 1);
        assert_eq!(refused(stack.client.delete(&first.id).await), (409, "upload_read".into()));
        stack.pass(HOUR).await;
    }
    std::fs::remove_file(folder.path().join("report.written.always")).expect("removed");
    let reader = stack.ended(&reader.id).await;
    assert!(stack.rejected(&reader).await.contains("S-2"), "its rows come from the first one's upload");
    stack.pass(HOUR).await;
    assert_eq!(sweep(&stack).await, 1);
    assert_eq!(refused(stack.client.import(&first.id).await).0, 404);
    assert!(stack.rejected(&reader).await.contains("S-2"));
    stack.pass(DAY).await;
    assert_eq!(sweep(&stack).await, 1, "the reader's days are over, too");
    stack.stop().await;
}

/// A list and an export by an import that is there, and the same ones when it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_changed_tells_its_id_when_it_is_gone() {
    let stack = unscheduled(1).await;
    let first = stack.import(&files::plain(0, 30, "1")).await;
    stack.pass(HOUR).await;
    let second = stack.import(&files::plain(20, 20, "2")).await;
    let listed = async |changed_by: Option<&Import>, changed_after: Option<&Import>| {
        let id = |import: &Import| import.id.clone();
        let filter = RecordFilter { changed_by: changed_by.map(id), changed_after: changed_after.map(id) };
        let mut keys = BTreeSet::new();
        let mut cursor = None;
        loop {
            let page = stack.client.records("products", &filter, cursor.as_deref(), 100).await.expect("a page");
            keys.extend(page.records.into_iter().map(|record| record.key));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return keys;
            }
        }
    };
    let provenance = async |sku: &str| {
        stack
            .client
            .shown_record("products", sku, true)
            .await
            .expect("answers")
            .expect("there")
            .provenance
            .expect("asked")
    };
    let all = async || {
        let lists =
            (listed(Some(&first), None).await, listed(None, Some(&first)).await, listed(None, Some(&second)).await);
        (lists, provenance("SKU-5").await, provenance("SKU-25").await)
    };
    let before = all().await;
    assert_eq!((before.0.0.len(), before.0.1.len(), before.0.2.len()), (20, 20, 0));
    assert_eq!(before.1.changed.import.as_ref(), Some(&first.id));
    assert_eq!((&before.2.made.import, &before.2.changed.import), (&Some(first.id.clone()), &Some(second.id.clone())));
    stack.pass(DAY - HOUR / 2).await;
    assert_eq!(sweep(&stack).await, 1);
    assert_eq!(refused(stack.client.import(&first.id).await).0, 404);
    assert_eq!(all().await, before);
    // One that its owner deletes is told the same way.
    stack.client.delete(&second.id).await.expect("deleted");
    assert_eq!(all().await, before);
    let new = NewExport {
        kind: "products".into(),
        format: ExportFormat::Ndjson,
        compression: ExportCompression::None,
        changed_after: Some(first.id.clone()),
    };
    let export = stack.client.create_export(&new).await.expect("ordered");
    let done = async || stack.client.export(&export.id).await.expect("there").status == ExportStatus::Completed;
    stack.passes_until("it is exported", done).await;
    assert_eq!(stack.client.export(&export.id).await.expect("there").records, 20);
    // Nobody else learns of it, and it is of its kind.
    let list = |token: &str, kind: &str, id: &str| {
        let path = format!("/v1/records/{kind}?changed_after={id}");
        send(stack.request(Method::GET, &path).bearer_auth(token))
    };
    let missing = list(OTHER_TOKEN, "products", "imp_01KAKAX7PVE2NRKX37SYJHJP2W").await;
    assert_eq!(missing.refusal(), (404, "not_found".to_owned()));
    assert_eq!(list(OTHER_TOKEN, "products", &first.id).await.body, missing.body);
    assert_eq!(list(TOKEN, "orders", &first.id).await.refusal(), (422, "another_kind".to_owned()));
    stack.stop().await;
}

/// A stack whose sweeper dies, and which keeps imports for a day.
async fn mortal(folder: &Path) -> Stack {
    stack_with_crashes_and(folder, |options| options.environment.push(days(1))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_of_the_sweeper_at_any_step_leaves_nothing_behind() {
    for point in ["delete.ordered", "removal.versions", "removal.noted", "removal.closed"] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = mortal(folder.path()).await;
        let import = stack.import(FILE).await;
        arm(folder.path(), point);
        stack.pass(DAY).await;
        let is_gone = async || {
            let (account, id) = ids("1", &import.id);
            let ordered = stack.cloud.store().removal(&account, &id).await.expect("read").is_some();
            !ordered
                && armed(folder.path()).is_empty()
                && stored(&stack, &import.id).await.is_none()
                && versions(&stack, "1", &import.id).await == 0
                && traces(&stack, &import.id).await.is_empty()
        };
        stack.passes_until(point, is_gone).await;
        assert!(stack.deaths("sweep") >= 1, "{point}");
        stack.stop().await;
    }
}

/// An import whose rejected rows can never be written is on the sweeper's list for them, and goes all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_owes_its_rejected_rows_goes_in_its_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = mortal(folder.path()).await;
    arm(folder.path(), "report.written.always");
    let import = stack.uploaded(FILE).await;
    let ended = async || stack.client.import(&import.id).await.expect("there").status.is_final();
    stack.passes_until("it has ended", ended).await;
    stack.pass(DAY - HOUR).await;
    stack.cloud.quiet().await;
    assert!(stored(&stack, &import.id).await.is_some_and(|import| import.owes_report()));
    stack.pass(2 * HOUR).await;
    stack.passes_until("it is gone", async || stored(&stack, &import.id).await.is_none()).await;
    stack.stop().await;
}

/// The cancelled ones leave the list of those to be looked at when their URLs have expired.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_removes_a_bounded_number_and_the_next_one_goes_on() {
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.proxy = true;
        options.environment.push(days(2));
    })
    .await;
    let most = limits::RETIRED_AT_ONCE * 4;
    let imports = most + 40;
    for _ in 0..imports {
        let import = stack.create(ImportOptions::default()).await;
        stack.client.cancel(&import.id).await.expect("cancelled");
    }
    let kept = stack.import(FILE).await;
    stack.pass(HOUR).await;
    assert_eq!(sweep(&stack).await, 0);
    assert!(stack.cloud.store().unfinished_imports().await.expect("read").is_empty(), "nothing is left to look at");
    stack.client.delete(&kept.id).await.expect("deleted");
    stack.pass(2 * DAY).await;
    sweep_removals(&stack).await;
    let before = stack.cloud.usage();
    let mut gone = sweep(&stack).await;
    let used = stack.cloud.usage().since(&before);
    let transactions = |usage: &Usage| usage.total(|operation| operation.name == "TransactWriteItems").requests;
    let requests = used.of_service("dynamodb").requests;
    println!("{gone} of {imports} imports went by {requests} requests, {} transactions", transactions(&used));
    assert!((1..=most as u64).contains(&gone), "{gone}");
    let mut sweeps = 1;
    while gone < imports as u64 {
        let more = sweep(&stack).await;
        assert!((1..=most as u64).contains(&more), "{more}, after {gone}");
        gone += more;
        sweeps += 1;
    }
    assert!(sweeps > 1 && gone == imports as u64, "{gone} by {sweeps}");
    assert_eq!(stack.client.list(None, 10).await.expect("a page").imports.len(), 0);
    stack.stop().await;
}

/// Sweeps until no order to remove is due, so that what a sweep does afterwards is of retentions alone.
async fn sweep_removals(stack: &Stack) {
    while !stack.cloud.store().due_removals().await.expect("read").is_empty() {
        for due in stack.cloud.store().due_removals().await.expect("read") {
            stack.cloud.store().remove(&due).await.expect("removed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_parameter_counts_for_imports_that_have_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let start = |kept_days: u64| {
        Stack::with(move |options| {
            options.scheduled = false;
            options.environment.push(days(kept_days));
            options.data = Some(data.to_owned());
        })
    };
    let stack = start(1).await;
    let import = stack.import(FILE).await;
    let ended_at = stored(&stack, &import.id).await.and_then(|import| import.completed_at).expect("it has ended");
    let until = |days: i64| Some(rfc3339(ended_at + days * DAY.as_millis() as i64));
    assert_eq!(import.retained_until, until(1));
    stack.stop().await;
    let stack = start(20).await;
    assert_eq!(stack.client.import(&import.id).await.expect("there").retained_until, until(20));
    stack.pass(5 * DAY).await;
    assert_eq!(sweep(&stack).await, 0);
    stack.stop().await;
    let stack = start(3).await;
    assert_eq!(stack.client.import(&import.id).await.expect("there").retained_until, until(3));
    stack.pass(5 * DAY).await;
    assert_eq!(sweep(&stack).await, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_removed_beside_it_and_leaves_nothing() {
    let stack = Stack::with(|options| options.environment.push(days(1))).await;
    Tenant::new(&stack, "shop", "quixotic").await;
    let mine = stack.import(FILE).await;
    stack.pass(DAY - 10 * MINUTE).await;
    stack.client.delete_account("shop").await.expect("ordered");
    stack.pass(20 * MINUTE).await;
    let is_removed = async || stack.client.account_removal("shop").await.expect("there").removed_at.is_some();
    stack
        .passes_until("its first pass is made", async || {
            stack.client.account_removal("shop").await.expect("there").waits_until.is_some()
        })
        .await;
    stack.pass(DAY + HOUR).await;
    stack.passes_until("it is removed", is_removed).await;
    let items = import_items(&stack).await;
    let of_shop: Vec<_> = items.iter().filter(|item| item.to_string().contains("account#shop")).collect();
    assert!(of_shop.is_empty(), "{of_shop:#?}");
    assert_eq!(refused(stack.client.import(&mine.id).await).0, 404, "its own time is over");
    stack.stop().await;
}
