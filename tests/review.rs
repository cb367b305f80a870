//! A review says what an import of its file would do, and has it done when that is confirmed: once, whoever asks twice,
//! cancels, or dies.

use std::{collections::BTreeSet, path::Path, time::Duration};

use penstock_client::{Confirm, Import, NewImport, NewKey};
use penstock_local::{Faults, WireFaults};
use penstock_model::{ImportOptions, Mode, Scope, Status, rfc3339};
use penstock_store::crash::DIRECTORY;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    self, OTHER_TOKEN, Stack, TOKEN, adds_up,
    crashes::{arm, armed, stack_with_crashes_and},
    files,
    held::{HELD, half_done, held},
    http::send,
    reference::{self, Catalogue, Rules},
    refused,
    rng::Rng,
    tables::{import_items, key},
    upload,
    weather::{storm, upload_through},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn review(mode: Mode) -> ImportOptions {
    ImportOptions { mode, review: true, ..ImportOptions::default() }
}

/// What was counted, in the order of [`expected`].
/// A stack that cuts files into chunks of twenty rows.
async fn small_chunks() -> Stack {
    Stack::with(|options| {
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "20".into()));
        options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "4".into()));
    })
    .await
}

impl Stack {
    /// The import when it waits to be confirmed and its rejected rows are written, letting time pass where all that is
    /// left waits for it.
    async fn judged(&self, id: &str) -> Import {
        let is_judged = async || {
            let import = self.client.import(id).await.expect("there");
            let is_written = import.rows.failed == 0 || import.rejected.is_some();
            import.status == Status::AwaitingConfirmation && is_written
        };
        self.passes_until("it is judged", is_judged).await;
        self.client.import(id).await.expect("there")
    }

    async fn reviewed(&self, file: &[u8], options: ImportOptions) -> Import {
        let import = self.create(options).await;
        assert_eq!(upload(&import, file).await, 200);
        self.judged(&import.id).await
    }

    /// How many claims there are.
    async fn claims(&self) -> usize {
        import_items(self).await.iter().filter(|item| key(item, "pk").starts_with("review#")).count()
    }

    /// The ids that count against the account's quota of unfinished imports.
    async fn unfinished(&self) -> BTreeSet<String> {
        let items = import_items(self).await;
        let of_the_account = |item: &&Value| key(item, "pk") == "account#1" && key(item, "sk") == "unfinished#account";
        let ids = items.iter().find(of_the_account).map(|item| item["imports"]["SS"].clone()).unwrap_or_default();
        ids.as_array().into_iter().flatten().map(|id| id.as_str().expect("an id").to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_says_what_the_import_then_does() {
    for (seed, mode) in [(1, Mode::Upsert), (2, Mode::Create), (3, Mode::Fill)] {
        let stack = small_chunks().await;
        let mut rng = Rng::new(seed);
        let mut catalogue = Catalogue::new();
        let before = files::clashing(&mut rng, 60, 40);
        stack.import(&before).await;
        reference::upsert(&before, &mut catalogue);
        // Some keys are there, others are new; nearly all of them are repeated, by rows of other chunks.
        let file = files::clashing(&mut rng, 300, 100);
        let reviewed = stack.reviewed(&file, review(mode)).await;
        assert!(reviewed.confirm_until.is_some() && reviewed.completed_at.is_none() && reviewed.to_remove.is_none());
        assert_eq!(stack.shows(&files::keys(100)).await, catalogue, "{mode:?}: nothing is written");
        assert_eq!(stack.stored(&reviewed.id).await.order, 0, "{mode:?}: it takes no place");
        let expected = reference::apply(&file, &mut catalogue, Rules { mode, ..Rules::default() }, |_| true).counts();
        assert_eq!(reference::counts(&reviewed), expected, "{mode:?}");
        let (errors, rejected) = (stack.errors(&reviewed.id).await, stack.rejected(&reviewed).await);
        let made = stack.client.confirm(&reviewed.id).await.expect("confirmed");
        assert_eq!(made.from.as_ref(), Some(&reviewed.id));
        assert_eq!(made.options, ImportOptions { mode, ..ImportOptions::default() });
        let applied = stack.ended(&made.id).await;
        adds_up(&applied);
        assert_eq!(reference::counts(&applied), expected, "{mode:?}");
        assert_eq!(stack.shows(&files::keys(100)).await, catalogue, "{mode:?}");
        assert_eq!((stack.errors(&applied.id).await, stack.rejected(&applied).await), (errors, rejected), "{mode:?}");
        let ended = stack.ended(&reviewed.id).await;
        assert_eq!((ended.status, ended.confirmed_as.as_ref()), (applied.status, Some(&applied.id)), "{mode:?}");
        adds_up(&ended);
        // A repeat gives the same import.
        assert_eq!(stack.client.confirm(&reviewed.id).await.expect("a repeat").id, applied.id);
        assert_eq!(stack.unfinished().await, BTreeSet::new());
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_has_moved_is_told_and_confirmed_if_that_is_wanted() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand\nA,a,x\nB,b,x\n").await;
    let reviewed = stack.reviewed(b"sku,name,brand\nA,a,y\nC,c,y\n", review(Mode::Upsert)).await;
    assert_eq!((reviewed.rows.created, reviewed.rows.updated), (1, 1));
    // Another kind's order is another one.
    let contacts = NewImport { kind: Some("contacts".into()), ..NewImport::default() };
    assert_eq!(stack.import_as(contacts, b"_email\na@example.org\n").await.status, Status::Completed);
    let other = stack.import(b"sku,name,brand\nC,c,y\n").await;
    assert!(stack.client.delete_record("products", "A").await.expect("answers"));
    assert_eq!(refused(stack.client.confirm(&reviewed.id).await), (409, "moved".into()));
    let path = format!("/v1/imports/{}/confirm", reviewed.id);
    let answer = send(stack.request(Method::POST, &path).bearer_auth(TOKEN)).await;
    let problem: Value = serde_json::from_slice(&answer.body).expect("a problem");
    assert_eq!(problem["moved"], json!({ "imports": [other.id], "deletes": 1, "more": 0 }), "{problem}");
    let detail = problem["detail"].as_str().expect("a sentence");
    assert!(detail.contains(&format!("1 import ({}), 1 delete", other.id)), "{detail}");
    assert_eq!(stack.client.import(&reviewed.id).await.expect("there").status, Status::AwaitingConfirmation);
    let all_the_same = Confirm { even_if_moved: true };
    let made = stack.client.confirm_with(&reviewed.id, all_the_same).await.expect("confirmed");
    let applied = stack.ended(&made.id).await;
    // A was deleted, and C was made.
    assert_eq!((applied.rows.created, applied.rows.unchanged), (1, 1), "{applied:#?}");
    assert_eq!(stack.client.confirm(&reviewed.id).await.expect("a repeat").id, applied.id);
    stack.stop().await;
}

/// An import that ran when the rows began to be judged may have written some of its own before, and some behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_ran_when_a_review_began_has_moved_the_catalogue() {
    let stack = held().await;
    let running = half_done(&stack, &files::plain(0, 50, "1"), 50).await;
    let reviewed = stack.create(review(Mode::Upsert)).await;
    assert_eq!(upload(&reviewed, &files::plain(0, 60, "1")).await, 200);
    stack.cloud.quiet().await;
    let judged = stack.client.import(&reviewed.id).await.expect("there");
    assert_eq!((judged.status, judged.rows.processed), (Status::AwaitingConfirmation, 60));
    assert_eq!(refused(stack.client.confirm(&judged.id).await), (409, "moved".into()), "it runs");
    stack.pass(HELD).await;
    stack.ended(&running.id).await;
    let path = format!("/v1/imports/{}/confirm", reviewed.id);
    let answer = send(stack.request(Method::POST, &path).bearer_auth(TOKEN)).await;
    let problem: Value = serde_json::from_slice(&answer.body).expect("a problem");
    assert_eq!(problem["moved"], json!({ "imports": [running.id], "deletes": 0, "more": 0 }), "{problem}");
    let again = NewImport { from: Some(judged.id.clone()), options: review(Mode::Upsert), ..NewImport::default() };
    let again = stack.client.create(&again, None).await.expect("made");
    let again = stack.judged(&again.id).await;
    assert_eq!((again.rows.created, again.rows.unchanged), (10, 50));
    let made = stack.client.confirm(&again.id).await.expect("nothing has moved");
    assert_eq!(reference::counts(&stack.ended(&made.id).await), reference::counts(&again));
    stack.stop().await;
}

/// Whatever comes first: the review is confirmed once, or cancelled, and the others are told which.
#[tokio::test(flavor = "multi_thread")]
async fn of_confirmations_and_cancels_at_once_one_wins() {
    let stack = Stack::start().await;
    let (mut confirmed, mut created) = (0, 0);
    for round in 0..12 {
        let reviewed = stack.reviewed(&files::plain(10 * round, 10, "1"), review(Mode::Upsert)).await;
        let (client, id) = (&stack.client, &reviewed.id);
        let (first, cancelled, second) = tokio::join!(client.confirm(id), client.cancel(id), client.confirm(id));
        let made: BTreeSet<String> =
            [&first, &second].into_iter().filter_map(|made| Some(made.as_ref().ok()?.id.clone())).collect();
        let ended = stack.ended(id).await;
        match ended.confirmed_as {
            Some(applies) => {
                assert_eq!(made, [applies.clone()].into(), "round {round}");
                assert_eq!(refused(cancelled), (409, "already_ended".into()), "round {round}");
                assert_eq!((ended.status, stack.ended(&applies).await.rows.created), (Status::Completed, 10));
                (confirmed, created) = (confirmed + 1, created + 10);
            }
            None => {
                assert_eq!((ended.status, cancelled.expect("it is").status), (Status::Cancelled, Status::Cancelled));
                for refusal in [first, second] {
                    assert_eq!(refused(refusal), (409, "not_held".into()), "round {round}");
                }
            }
        }
    }
    let imports = stack.client.list(None, 100).await.expect("a page").imports;
    assert_eq!(imports.len(), 12 + confirmed);
    let skus: Vec<String> = (0..120).map(|number| format!("SKU-{number}")).collect();
    assert_eq!(stack.records("1", &skus).await.len(), created);
    assert_eq!(stack.unfinished().await, BTreeSet::new());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_review_has_written_nothing() {
    let stack = small_chunks().await;
    let reviewed = stack.reviewed(b"sku,name,brand\nA,a,x\nB,,x\n", review(Mode::Upsert)).await;
    assert_eq!(refused(stack.client.delete(&reviewed.id).await), (409, "import_runs".into()));
    let cancelled = stack.client.cancel(&reviewed.id).await.expect("cancelled");
    assert_eq!((cancelled.status, reference::counts(&cancelled)), (Status::Cancelled, (Some(2), 1, 0, 0, 1)));
    assert_eq!(refused(stack.client.confirm(&reviewed.id).await), (409, "not_held".into()));
    assert!(stack.rejected(&cancelled).await.contains("B,,x"));
    assert_eq!(stack.records("1", &["A".to_owned()]).await.len(), 0);
    // Its upload can be read again.
    let again = NewImport { from: Some(reviewed.id.clone()), ..NewImport::default() };
    let again = stack.client.create(&again, None).await.expect("made");
    assert_eq!(stack.ended(&again.id).await.rows.created, 1);
    stack.client.delete(&reviewed.id).await.expect("deleted");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_nobody_confirms_ends_with_nothing_written() {
    let stack = Stack::start().await;
    let reviewed = stack.reviewed(b"sku,name,brand\nA,a,x\nB,,x\n", review(Mode::Upsert)).await;
    stack.pass(6 * DAY).await;
    stack.cloud.quiet().await;
    assert_eq!(stack.client.import(&reviewed.id).await.expect("there").status, Status::AwaitingConfirmation);
    stack.pass(DAY + Duration::from_secs(3600)).await;
    let ended = stack.ended(&reviewed.id).await;
    assert_eq!((ended.status, &ended.confirmed_as), (Status::CompletedWithErrors, &None));
    let notes = ended.detected.expect("it was read").notes;
    let note = "nothing was imported: the review was not confirmed in time";
    assert!(notes.iter().any(|found| found == note), "{notes:?}");
    assert_eq!(refused(stack.client.confirm(&reviewed.id).await), (409, "not_held".into()));
    assert_eq!(stack.records("1", &["A".to_owned()]).await.len(), 0);
    stack.stop().await;
    // It waits no longer than its upload lasts for another import; a confirmation that comes later finds that over,
    // whether the sweeper was there or not.
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.environment.push(("PENSTOCK_UPLOAD_RETENTION_DAYS".into(), "5".into()));
    })
    .await;
    let reviewed = stack.reviewed(b"sku,name,brand\nA,a,x\n", review(Mode::Upsert)).await;
    let until = stack.stored(&reviewed.id).await.created_at + 3 * DAY.as_millis() as i64;
    assert_eq!(reviewed.confirm_until, Some(rfc3339(until)));
    stack.pass(3 * DAY + Duration::from_secs(1)).await;
    assert_eq!(refused(stack.client.confirm(&reviewed.id).await), (409, "not_held".into()));
    assert_eq!(stack.client.import(&reviewed.id).await.expect("there").status, Status::Completed);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_uploads_and_another_one_confirms() {
    let stack = Stack::start().await;
    let operator = stack.client_of(TOKEN);
    let with = async |scopes: &[Scope]| {
        let key = NewKey { scopes: scopes.to_vec(), ..NewKey::default() };
        stack.client_of(&operator.create_key(&key).await.expect("a key").token.expect("its token"))
    };
    let uploads = with(&[Scope::ImportWrite, Scope::ImportRead]).await;
    let new = NewImport { options: review(Mode::Upsert), ..NewImport::default() };
    let import = uploads.create(&new, None).await.expect("created");
    assert_eq!(upload(&import, b"sku,name,brand\nA,a,x\n").await, 200);
    let reviewed = stack.judged(&import.id).await;
    assert_eq!(refused(uploads.confirm(&reviewed.id).await), (403, "forbidden".into()));
    // Another account's is one that is not there.
    assert_eq!(refused(stack.client_of(OTHER_TOKEN).confirm(&reviewed.id).await), (404, "not_found".into()));
    let confirms = with(&[Scope::ImportConfirm]).await;
    assert_eq!(refused(confirms.create(&new, None).await), (403, "forbidden".into()));
    let made = confirms.confirm(&reviewed.id).await.expect("confirmed");
    assert_eq!(stack.ended(&made.id).await.rows.created, 1);
    // When the import is deleted, a repeat says so.
    stack.client.delete(&made.id).await.expect("deleted");
    assert_eq!(refused(confirms.confirm(&reviewed.id).await), (409, "import_deleted".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reviewed_is_refused() {
    let stack = Stack::start().await;
    for options in [review(Mode::Replace), ImportOptions { dry_run: true, ..review(Mode::Upsert) }] {
        let new = NewImport { options, ..NewImport::default() };
        assert_eq!(refused(stack.client.create(&new, None).await), (422, "invalid_option".into()));
    }
    let plain = stack.import(b"sku,name,brand\nA,a,x\n").await;
    assert_eq!(refused(stack.client.confirm(&plain.id).await), (409, "not_held".into()));
    let awaiting = stack.create(review(Mode::Upsert)).await;
    assert_eq!(refused(stack.client.confirm(&awaiting.id).await), (409, "not_held".into()));
    let path = format!("/v1/imports/{}/confirm", plain.id);
    let unknown = stack.request(Method::POST, &path).bearer_auth(TOKEN).json(&json!({ "even": true }));
    assert_eq!(send(unknown).await.status, 400);
    // One whose first rows are too bad fails as its import would.
    let abort = Some(penstock_model::Abort { rows: 2, percent: 10 });
    let failed = stack.import_with(b"sku,name,brand\nA,,x\nB,b,x\n", ImportOptions { abort, ..review(Mode::Upsert) });
    let failed = failed.await;
    assert_eq!(failed.failure.map(|failure| failure.code), Some("too_many_rejected".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_go_when_the_rows_are_judged() {
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "20".into()));
    })
    .await;
    let sweep = async || drop(stack.cloud.invoke("sweep", "{}".to_owned()).await.expect("the sweeper answers"));
    stack.import(&files::plain(0, 50, "1")).await;
    let reviewed = stack.reviewed(&files::plain(0, 150, "1"), review(Mode::Upsert)).await;
    assert_eq!((reviewed.rows.created, stack.claims().await), (100, 100));
    // A chunk that was delivered twice may be at work yet; what it claims goes with the others.
    stack.pass(Duration::from_secs(10 * 60)).await;
    sweep().await;
    let store = stack.cloud.store();
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let name = penstock_store::records::RecordName::of(&account, &kind, "SKU-999");
    let late = store.claim(&reviewed.id.parse().expect("an id"), 3, &[&name]).await;
    assert_eq!((late.expect("claimed"), stack.claims().await), (vec![true], 101));
    stack.pass(Duration::from_secs(6 * 60)).await;
    sweep().await;
    assert_eq!(stack.claims().await, 0);
    // Those of one that is cancelled and deleted before anybody has swept.
    let second = stack.reviewed(&files::plain(200, 40, "1"), review(Mode::Create)).await;
    stack.client.cancel(&second.id).await.expect("cancelled");
    stack.client.delete(&second.id).await.expect("deleted");
    assert_eq!(stack.claims().await, 40);
    sweep().await;
    assert_eq!(stack.claims().await, 0);
    stack.stop().await;
}

/// A review of a stored upload reads it until it has ended, and then the import that applies it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_review_of_a_stored_upload_hands_it_on() {
    let stack = Stack::start().await;
    let first = stack.import_with(b"sku,name,brand\nA,a,x\nB,,x\n", review_as_dry_run()).await;
    let again = NewImport { from: Some(first.id.clone()), options: review(Mode::Upsert), ..NewImport::default() };
    let reviewed = stack.judged(&stack.client.create(&again, None).await.expect("made").id).await;
    assert_eq!(refused(stack.client.delete(&first.id).await), (409, "upload_read".into()), "it is reviewed");
    let made = stack.client.confirm(&reviewed.id).await.expect("confirmed");
    let applied = stack.ended(&made.id).await;
    assert_eq!((reference::counts(&applied), applied.from.as_ref()), ((Some(2), 1, 0, 0, 1), Some(&reviewed.id)));
    assert_eq!(stack.stored(&first.id).await.readers.len(), 0);
    // So it is where nobody confirms it.
    let second = stack.judged(&stack.client.create(&again, None).await.expect("made").id).await;
    stack.client.cancel(&second.id).await.expect("cancelled");
    assert_eq!(stack.stored(&first.id).await.readers.len(), 0);
    stack.client.delete(&first.id).await.expect("deleted");
    assert_eq!(stack.unfinished().await, BTreeSet::new());
    stack.stop().await;
}

fn review_as_dry_run() -> ImportOptions {
    ImportOptions { dry_run: true, ..ImportOptions::default() }
}

/// The event of a confirmation.
fn event(id: &str) -> String {
    let mut event: Value = serde_json::from_str(include_str!("data/events/api-gateway-rest.json")).expect("JSON");
    let path = format!("/v1/imports/{id}/confirm");
    for (name, value) in [("httpMethod", "POST"), ("path", &path), ("body", "{}")] {
        event[name] = json!(value);
    }
    event["requestContext"]["path"] = json!(path);
    event["requestContext"]["httpMethod"] = json!("POST");
    event["headers"] = json!({ "authorization": format!("Bearer {TOKEN}") });
    event["multiValueHeaders"] = json!({ "authorization": [format!("Bearer {TOKEN}")] });
    event["queryStringParameters"] = Value::Null;
    event["multiValueQueryStringParameters"] = Value::Null;
    event["isBase64Encoded"] = json!(false);
    event.to_string()
}

async fn stack_that_dies(folder: &Path) -> Stack {
    stack_with_crashes_and(folder, |options| {
        options.functions.api.environment.push((DIRECTORY.to_owned(), folder.display().to_string()));
    })
    .await
}

/// Each function dies at each step of a review, and the api at each step of its confirmation, which is repeated or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_step_changes_nothing() {
    let of_the_review = ["split.accepted", "validate.begun", "review.claimed", "validate.tally", "validate.noted"];
    let of_its_end = ["review.held", "report.written", "report.recorded"];
    let of_its_claims = ["removal.versions", "removal.closed"];
    let of_the_api = ["review.confirmed", "review.left", "again.made", "again.ordered"];
    let before = of_the_review.into_iter().chain(of_its_end).map(|point| (point, false));
    let behind = of_its_claims.into_iter().map(|point| (point, false));
    let confirmed = of_the_api.into_iter().flat_map(|point| [(point, false), (point, true)]);
    for (point, repeats) in before.chain(behind).chain(confirmed) {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_that_dies(folder.path()).await;
        let mut file = files::plain(0, 450, "1");
        // A row of another chunk repeats the first one's key, and one is rejected.
        file.extend(b"SKU-0,Again,Acme,1\nSKU-451,,Acme,1\n");
        let dies_in_the_api = of_the_api.contains(&point);
        if !dies_in_the_api {
            arm(folder.path(), point);
        }
        let reviewed = stack.reviewed(&file, review(Mode::Upsert)).await;
        assert_eq!(reference::counts(&reviewed), (Some(452), 450, 1, 0, 1), "{point}");
        assert_eq!(reviewed.rejected.as_ref().map(|rejected| rejected.rows), Some(1), "{point}");
        if dies_in_the_api {
            arm(folder.path(), point);
        }
        let answer = stack.cloud.invoke("api", event(&reviewed.id)).await;
        assert_eq!(answer.is_err(), dies_in_the_api, "{point}");
        let applies = match repeats {
            true => stack.client.confirm(&reviewed.id).await.expect("a repeat").id,
            false => stack.ended(&reviewed.id).await.confirmed_as.expect("it is confirmed"),
        };
        let applied = stack.ended(&applies).await;
        assert_eq!(reference::counts(&applied), (Some(452), 450, 1, 0, 1), "{point}");
        assert_eq!(applied.rejected.as_ref().map(|rejected| rejected.rows), Some(1), "{point}");
        let ended = stack.ended(&reviewed.id).await;
        assert_eq!((ended.status, ended.confirmed_as), (Status::CompletedWithErrors, Some(applies)), "{point}");
        assert_eq!(stack.client.list(None, 10).await.expect("answers").imports.len(), 2, "{point}");
        let nothing_is_left = async || stack.claims().await == 0 && armed(folder.path()).is_empty();
        stack.passes_until(&format!("{point}: the claims are gone, and something died"), nothing_is_left).await;
        let nobody_counts = async || stack.unfinished().await.is_empty();
        stack.passes_until(&format!("{point}: nothing counts as unfinished"), nobody_counts).await;
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_costs_two_writes_for_each_new_record_and_none_for_others() {
    let stack = Stack::with(|options| options.proxy = true).await;
    stack.import(&files::plain(0, 1_000, "1")).await;
    let units = async |file: &[u8]| {
        stack.cloud.quiet().await;
        let before = stack.cloud.usage();
        let reviewed = stack.reviewed(file, review(Mode::Upsert)).await;
        stack.pass(Duration::from_secs(16 * 60)).await;
        stack.cloud.quiet().await;
        let used = stack.cloud.usage().since(&before);
        stack.client.cancel(&reviewed.id).await.expect("cancelled");
        (reviewed.rows.created, used.of_service("dynamodb").write_units)
    };
    let (created, of_old) = units(&files::plain(0, 1_000, "2")).await;
    assert_eq!(created, 0);
    let (created, of_new) = units(&files::plain(1_000, 1_000, "2")).await;
    assert_eq!((created, stack.claims().await), (1_000, 0));
    println!("write units: {of_old} for records that are there, {of_new} for new ones");
    assert!(of_old <= 60.0, "{of_old}");
    assert!((2_000.0..=2_060.0).contains(&of_new), "{of_new}");
    stack.stop().await;
}

/// A random schedule: a file is reviewed and confirmed, perhaps again and again, in bad weather.
async fn weather(seed: u64) {
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let storm = storm(seed);
    let wire = WireFaults { statement_error: 0.05, partial_batch: 0.1, ..storm.wire };
    let faults = Faults { wire, ..storm };
    let stack = Stack::with(|options| {
        options.faults = faults;
        options.proxy = true;
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "40".into()));
        options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "4".into()));
    })
    .await;
    let mut catalogue = Catalogue::new();
    for _ in 0..2 {
        let mode = *rng.pick(&[Mode::Upsert, Mode::Create, Mode::Fill]);
        let file = files::clashing(&mut rng, 300, 120);
        stack.cloud.faults().clear();
        let import = stack.create(review(mode)).await;
        stack.cloud.faults().resume();
        upload_through(seed, &import, &file).await;
        let reviewed = stack.judged(&import.id).await;
        let expected = reference::apply(&file, &mut catalogue, Rules { mode, ..Rules::default() }, |_| true).counts();
        assert_eq!(reference::counts(&reviewed), expected, "seed {seed}, {mode:?}\n{}", stack.logs());
        let mut made = BTreeSet::new();
        for _ in 0..50 {
            // A confirmation that was not answered is asked for again, as a client would.
            if let Ok(import) = stack.client.confirm(&reviewed.id).await {
                made.insert(import.id);
                if made.len() > 1 || rng.once_in(2) {
                    break;
                }
            }
        }
        let applies = stack.ended(&reviewed.id).await.confirmed_as.expect("it is confirmed");
        assert_eq!(made, [applies.clone()].into(), "seed {seed}");
        let applied = stack.ended(&applies).await;
        assert_eq!(reference::counts(&applied), expected, "seed {seed}, {mode:?}\n{}", stack.logs());
        adds_up(&applied);
        assert_eq!(stack.shows(&files::keys(120)).await, catalogue, "seed {seed}, {mode:?}");
    }
    stack.cloud.faults().clear();
    let nothing_is_left = async || stack.claims().await == 0 && stack.unfinished().await.is_empty();
    stack.passes_until("nothing is left of the reviews", nothing_is_left).await;
    assert_eq!(stack.client.list(None, 10).await.expect("a page").imports.len(), 4, "seed {seed}");
    stack.stop().await;
}

/// `PENSTOCK_REVIEW_SEEDS=100..200` runs these schedules instead.
#[tokio::test(flavor = "multi_thread")]
async fn in_any_weather_a_review_says_what_is_done_and_is_confirmed_once() {
    support::seeds::each("PENSTOCK_REVIEW_SEEDS", "1..5", "schedules", weather).await;
}
