//! Mending and sending again: imports that correct one another, and their history, which counts each row once.

use std::time::Duration;

use penstock_client::{Client, History, Import, NewImport, NewKey};
use penstock_local::Faults;
use penstock_model::{ImportOptions, Mode, Rows, Scope, Status, limits, story::StorySum};
use penstock_store::crash::DIRECTORY;
use serde_json::{Value, json};

use crate::support::{
    self, OTHER_TOKEN, Stack, TOKEN, adds_up,
    crashes::{arm, armed, stack_with_crashes_and},
    files,
    held::{HELD, half_done, held},
    reference::{self, Catalogue, Rules},
    refused,
    rng::Rng,
    tables, upload,
    weather::{storm, upload_through},
};

/// A request for an import that corrects this one.
fn corrects(import: &Import) -> NewImport {
    NewImport { corrects: Some(import.id.clone()), ..NewImport::default() }
}

impl Stack {
    async fn corrected(&self, import: &Import, file: &[u8]) -> Import {
        self.import_as(corrects(import), file).await
    }

    async fn history(&self, import: &Import) -> History {
        let history = self.client.history(&import.id).await.expect("a history");
        sums_up(&history);
        history
    }

    /// With what a correction of this import is refused.
    async fn refusal_of(&self, client: &Client, import: &Import) -> (u16, String) {
        refused(client.create(&corrects(import), None).await)
    }
}

/// Holds a history to what it promises: every row is counted once.
fn sums_up(history: &History) {
    let StorySum { total, added, created, updated, unchanged, skipped, failed, unprocessed, .. } = history.sum;
    assert_eq!(total + added, created + updated + unchanged + skipped + failed + unprocessed, "{history:#?}");
    let all = |count: fn(&Rows) -> u64| history.rounds.iter().map(|round| count(&round.rows)).sum::<u64>();
    let settled = (created, updated, unchanged, skipped);
    let counted =
        (all(|rows| rows.created), all(|rows| rows.updated), all(|rows| rows.unchanged), all(|rows| rows.skipped));
    assert_eq!(settled, counted, "{history:#?}");
}

fn ids(history: &History) -> Vec<&str> {
    history.rounds.iter().map(|round| round.id.as_str()).collect()
}

/// The stories that are stored.
async fn stories(stack: &Stack) -> Vec<Value> {
    let mut items = tables::import_items(stack).await;
    items.retain(|item| tables::key(item, "sk").starts_with("story#"));
    items
}

/// Six rows, of which the third, the fourth and the sixth are rejected.
const FIRST: &[u8] = b"sku,name,brand,cost\nA,a,x,1\nB,b,x,1\nC,,x,1\nD,d,x,dear\nE,e,x,1\nF,,x,1\n";

#[tokio::test(flavor = "multi_thread")]
async fn three_rounds_are_one_story_in_which_each_row_counts_once() {
    let stack = Stack::start().await;
    let new = NewImport { filename: Some("stock.csv".into()), ..NewImport::default() };
    let first = stack.import_as(new, FIRST).await;
    assert_eq!((first.rows.created, first.rows.failed, first.corrects.as_deref()), (3, 3, None));
    let alone = stack.history(&first).await;
    let sum = StorySum { total: 6, whole: true, created: 3, failed: 3, ..StorySum::default() };
    assert_eq!((ids(&alone), alone.sum), (vec![first.id.as_str()], sum));
    // One of the three rows is mended: the file of rejected rows is sent as it is otherwise.
    let mended = stack.rejected(&first).await.replacen(",C,,", ",C,c,", 1);
    let second = stack.corrected(&first, mended.as_bytes()).await;
    assert_eq!((second.rows.created, second.rows.failed), (1, 2), "{second:#?}");
    assert_eq!((second.corrects.as_ref(), &second.kind), (Some(&first.id), &first.kind));
    // Its errors say which rows of the first file they were.
    let errors = stack.errors(&second.id).await;
    let places: Vec<_> = errors.iter().map(|error| (error.row, error.source_row, error.code.as_str())).collect();
    assert_eq!(places, [(2, Some(4), "invalid_number"), (3, Some(6), "required")]);
    assert_eq!(stack.errors(&first.id).await[0].source_row, None);
    // The next file has both, and a row of its own.
    let mended = stack.rejected(&second).await.replace(",dear", ",2").replacen(",F,,", ",F,f,", 1);
    let third = stack.corrected(&second, format!("{mended}7,8,,G,g,x,1\n").as_bytes()).await;
    assert_eq!((third.status, third.rows.created), (Status::Completed, 3), "{third:#?}");
    // Whichever is asked, the answer is the same.
    let sum = StorySum { total: 6, whole: true, added: 1, created: 7, ..StorySum::default() };
    for import in [&first, &second, &third] {
        let history = stack.history(import).await;
        assert_eq!(ids(&history), [&first.id, &second.id, &third.id]);
        assert_eq!(history.sum, sum);
        let [one, two, _] = history.rounds.as_slice() else { panic!("three rounds") };
        let shown = one.import.as_ref().expect("it is there");
        assert_eq!((shown.filename.as_deref(), one.status), (Some("stock.csv"), Status::CompletedWithErrors));
        assert_eq!((two.rows, &two.completed_at), (second.rows, &second.completed_at));
    }
    assert_eq!(stack.refusal_of(&stack.client, &third).await, (409, "nothing_to_correct".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_own_code() {
    let stack = Stack::start().await;
    let ask = async |import: &Import| stack.refusal_of(&stack.client, import).await;
    let first = stack.import(FIRST).await;
    // Another account's looks like one that is not there.
    let other = stack.client_of(OTHER_TOKEN);
    assert_eq!(stack.refusal_of(&other, &first).await, (404, "not_found".into()));
    assert_eq!(refused(other.history(&first.id).await), (404, "not_found".into()));
    let unknown = NewImport { corrects: Some("imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F".into()), ..NewImport::default() };
    assert_eq!(refused(stack.client.create(&unknown, None).await), (404, "not_found".into()));
    let none = NewImport { corrects: Some("none".into()), ..NewImport::default() };
    assert_eq!(refused(stack.client.create(&none, None).await), (400, "invalid_body".into()));
    let kind = NewImport { kind: Some("suppliers".into()), ..corrects(&first) };
    assert_eq!(refused(stack.client.create(&kind, None).await), (422, "another_kind".into()));
    for options in [
        ImportOptions { mode: Mode::Replace, ..ImportOptions::default() },
        ImportOptions { dry_run: true, ..ImportOptions::default() },
    ] {
        let new = NewImport { options, ..corrects(&first) };
        assert_eq!(refused(stack.client.create(&new, None).await), (422, "invalid_option".into()));
    }
    let dry = stack.import_with(FIRST, ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
    assert_eq!(ask(&dry).await, (409, "was_dry_run".into()));
    let fine = stack.import(&files::plain(0, 3, "1")).await;
    assert_eq!(ask(&fine).await, (409, "nothing_to_correct".into()));
    let awaiting = stack.create(ImportOptions::default()).await;
    assert_eq!(ask(&awaiting).await, (409, "import_runs".into()));
    stack.client.cancel(&awaiting.id).await.expect("cancelled");
    assert_eq!(ask(&awaiting).await, (409, "nothing_uploaded".into()));
    let all = stack.client.remove_all_records("suppliers", None).await.expect("ordered");
    stack.ended(&all.id).await;
    assert_eq!(ask(&all).await, (409, "nothing_uploaded".into()));
    // The scopes are those of any import, and those of reading one.
    let key = |scopes: &[Scope]| NewKey { account: Some("1".into()), scopes: scopes.to_vec(), label: None };
    let client = async |scopes: &[Scope]| {
        let key = stack.client.create_key(&key(scopes)).await.expect("a key is made");
        stack.client_of(&key.token.expect("a token"))
    };
    let (reads, writes) = (client(&[Scope::ImportRead]).await, client(&[Scope::ImportWrite]).await);
    assert_eq!(stack.refusal_of(&reads, &first).await, (403, "forbidden".into()));
    assert_eq!(refused(writes.history(&first.id).await), (403, "forbidden".into()));
    let second = writes.create(&corrects(&first), None).await.expect("an import is made");
    assert_eq!(reads.history(&first.id).await.expect("answers").rounds.len(), 2);
    assert_eq!(ask(&first).await, (409, "already_corrected".into()));
    assert_eq!(ask(&second).await, (409, "import_runs".into()));
    stack.stop().await;
}

/// A file that failed, and one that was cancelled, may have more rows than are known.
#[tokio::test(flavor = "multi_thread")]
async fn what_failed_or_was_cancelled_is_corrected_too() {
    let stack = Stack::start().await;
    let failed = stack.import(b"Item,name,brand\nA,a,x\nB,b,x\n").await;
    assert_eq!(failed.status, Status::Failed);
    let second = stack.corrected(&failed, b"sku,name,brand\nA,a,x\nB,b,x\n").await;
    assert_eq!((second.status, second.rows.created), (Status::Completed, 2));
    let history = stack.history(&second).await;
    assert_eq!(history.sum, StorySum { added: 2, created: 2, ..StorySum::default() });
    assert_eq!(stack.refusal_of(&stack.client, &second).await, (409, "nothing_to_correct".into()));
    stack.stop().await;
    let stack = held().await;
    let file = files::plain(0, 50, "1");
    let running = half_done(&stack, &file, 50).await;
    let history = stack.history(&running).await;
    assert_eq!((history.sum.total, history.sum.created), (50, running.rows.created));
    assert_eq!(history.sum.unprocessed, 50 - running.rows.processed);
    stack.client.cancel(&running.id).await.expect("cancelled");
    stack.pass(HELD).await;
    let cancelled = stack.ended(&running.id).await;
    assert!(cancelled.status == Status::Cancelled && cancelled.rows.unprocessed > 0, "{cancelled:#?}");
    // While the next one runs, its rows count as what they were.
    let open = cancelled.rows.unprocessed;
    let second = stack.client.create(&corrects(&cancelled), None).await.expect("made");
    let history = stack.history(&second).await;
    assert_eq!((history.sum.unprocessed, history.sum.added), (open, 0));
    assert_eq!(upload(&second, &file).await, 200);
    let second = stack.ended(&second.id).await;
    assert_eq!((second.status, second.rows.total), (Status::Completed, Some(50)));
    let history = stack.history(&second).await;
    assert_eq!((history.sum.unprocessed, history.sum.added, history.sum.whole), (0, 50 - open, true));
    stack.stop().await;
}

/// Rows that are not sent again stay failed, until they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_fewer_rows_leaves_the_others_failed() {
    let stack = Stack::start().await;
    let first = stack.import(FIRST).await;
    let second = stack.corrected(&first, b"sku,name,brand\nC,c,x\n").await;
    assert_eq!(second.status, Status::Completed);
    let history = stack.history(&first).await;
    assert_eq!((history.sum.created, history.sum.failed, history.sum.added), (4, 2, 0));
    let third = stack.corrected(&second, b"sku,name,brand\nD,d,x\nF,f,x\n").await;
    assert_eq!(stack.history(&third).await.sum.failed, 0);
    stack.stop().await;
}

/// A mended file that was tried as a dry run corrects without a second upload; so does what was uploaded to the import
/// itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_uploaded_before_corrects_too() {
    let stack = Stack::start().await;
    let first = stack.import(FIRST).await;
    let mended = b"sku,name,brand\nC,c,x\nD,d,x\nF,,x\n";
    let tried = stack.import_with(mended, ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
    assert_eq!((tried.rows.created, tried.rows.failed), (2, 1));
    let new = NewImport { from: Some(tried.id.clone()), ..corrects(&first) };
    let second = stack.client.create(&new, None).await.expect("made");
    let second = stack.ended(&second.id).await;
    assert_eq!((second.rows.created, second.rows.failed, second.from.as_ref()), (2, 1, Some(&tried.id)));
    let new = NewImport { from: Some(second.id.clone()), ..corrects(&second) };
    let third = stack.client.create(&new, None).await.expect("made");
    let third = stack.ended(&third.id).await;
    assert_eq!((third.rows.unchanged, third.rows.failed), (2, 1));
    // Of the upload's import itself: it is read and corrected by one action.
    let failed = stack.import(b"Item,name,brand\nA,a,x\n").await;
    let mapping = [("Item".to_owned(), "sku".to_owned())].into();
    let options = ImportOptions { mapping, ..ImportOptions::default() };
    let new = NewImport { from: Some(failed.id.clone()), options, ..corrects(&failed) };
    let mapped = stack.client.create(&new, None).await.expect("made");
    assert_eq!(stack.ended(&mapped.id).await.status, Status::Completed);
    assert_eq!(ids(&stack.history(&failed).await), [&failed.id, &mapped.id]);
    let history = stack.history(&first).await;
    assert_eq!(ids(&history), [&first.id, &second.id, &third.id]);
    // Two of its three rows were open no more.
    let sum = StorySum { total: 6, whole: true, added: 2, created: 5, unchanged: 2, failed: 1, ..StorySum::default() };
    assert_eq!(history.sum, sum);
    stack.stop().await;
}

/// Of two that correct the same import at once one is made, and the other one is told which.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_wins() {
    let stack = Stack::start().await;
    let first = stack.import(FIRST).await;
    let new = corrects(&first);
    let both = tokio::join!(stack.client.create(&new, None), stack.client.create(&new, None));
    let (made, other) = match both {
        (Ok(made), other) | (other, Ok(made)) => (made, other),
        other => panic!("none is made: {other:?}"),
    };
    let message = other.as_ref().expect_err("one of them is refused").to_string();
    assert!(message.contains(&format!("{} corrects {} already", made.id, first.id)), "{message}");
    assert_eq!(refused(other), (409, "already_corrected".into()));
    assert_eq!(ids(&stack.history(&first).await), [&first.id, &made.id]);
    // A crowd, each of which has its own key, gives one import too.
    let second = stack.import(FIRST).await;
    let new = corrects(&second);
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (client, new) = (stack.client.clone(), new.clone());
        crowd.spawn(async move { client.create(&new, Some(&format!("{number}"))).await.is_ok() });
    }
    assert_eq!(crowd.join_all().await.into_iter().filter(|made| *made).count(), 1);
    assert_eq!(stack.history(&second).await.rounds.len(), 2);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gives_the_same_import_whatever_has_become_of_the_first() {
    let stack = Stack::start().await;
    let first = stack.import(FIRST).await;
    let new = corrects(&first);
    let made = stack.client.create(&new, Some("once")).await.expect("made");
    let again = async || stack.client.create(&new, Some("once")).await;
    assert_eq!(again().await.expect("the same").id, made.id);
    let other = NewImport { filename: Some("x.csv".into()), ..new.clone() };
    assert_eq!(refused(stack.client.create(&other, Some("once")).await), (409, "already_corrected".into()));
    stack.client.delete(&first.id).await.expect("deleted");
    assert_eq!(again().await.expect("the same").id, made.id);
    assert_eq!(refused(stack.client.create(&new, Some("twice")).await), (404, "not_found".into()));
    stack.stop().await;
}

/// An import that is cancelled before it has a file leaves its place, and so does one that is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_was_taken_in_vain_is_free_again() {
    let stack = Stack::start().await;
    let first = stack.import(FIRST).await;
    let vain = stack.client.create(&corrects(&first), None).await.expect("made");
    assert_eq!(stack.refusal_of(&stack.client, &first).await, (409, "already_corrected".into()));
    stack.client.cancel(&vain.id).await.expect("cancelled");
    let expired = stack.client.create(&corrects(&first), None).await.expect("made");
    assert_eq!(ids(&stack.history(&first).await), [&first.id, &expired.id]);
    // Of one that has expired an upload may be under way.
    stack.pass(Duration::from_secs(45 * 60)).await;
    assert_eq!(stack.ended(&expired.id).await.status, Status::Expired);
    assert_eq!(stack.refusal_of(&stack.client, &first).await, (409, "already_corrected".into()));
    stack.client.delete(&expired.id).await.expect("deleted");
    assert_eq!(ids(&stack.history(&first).await), [&first.id]);
    let second = stack.corrected(&first, b"sku,name,brand\nC,c,x\n").await;
    assert_eq!(second.rows.created, 1);
    stack.client.delete(&vain.id).await.expect("deleted");
    assert_eq!(ids(&stack.history(&first).await), [&first.id, &second.id]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_keeps_its_counts_and_nothing_is_left_of_a_story_without_imports() {
    let stack = Stack::start().await;
    let first = stack.import(FIRST).await;
    let second = stack.corrected(&first, b"sku,name,brand\nC,c,x\nD,,x\n").await;
    let third = stack.corrected(&second, b"sku,name,brand\nD,d,x\nF,,x\n").await;
    let before = stack.history(&third).await;
    assert_eq!((before.sum.created, before.sum.failed), (5, 1));
    // The first one goes, and then the last one: the others tell what they were.
    stack.client.delete(&first.id).await.expect("deleted");
    assert_eq!(refused(stack.client.history(&first.id).await), (404, "not_found".into()));
    stack.client.delete(&third.id).await.expect("deleted");
    let history = stack.history(&second).await;
    assert_eq!((ids(&history), history.sum), (ids(&before), before.sum));
    for (round, before) in history.rounds.iter().zip(&before.rounds) {
        assert_eq!(round.import.is_some(), round.id == second.id, "{round:#?}");
        let of = |round: &penstock_client::HistoryRound| {
            (round.status, round.rows, round.created_at.clone(), round.completed_at.clone())
        };
        assert_eq!(of(round), of(before));
    }
    // The last one that is there is corrected by the next, and what the deleted one did still counts.
    let fourth = stack.corrected(&second, b"sku,name,brand\nF,f,x\n").await;
    let history = stack.history(&fourth).await;
    assert_eq!(ids(&history), [&first.id, &second.id, &third.id, &fourth.id]);
    assert_eq!((history.sum.created, history.sum.failed), (6, 0));
    for import in [&second, &fourth] {
        stack.client.delete(&import.id).await.expect("deleted");
    }
    stack.pass(Duration::from_secs(3600)).await;
    stack.cloud.quiet().await;
    assert_eq!(stories(&stack).await, Vec::<Value>::new());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_has_so_many_imports_at_most() {
    let stack = Stack::start().await;
    let mut last = stack.import(FIRST).await;
    for _ in 1..limits::STORY_ROUNDS {
        last = stack.corrected(&last, b"sku,name,brand\nC,,x\n").await;
        assert_eq!(last.rows.failed, 1);
    }
    assert_eq!(stack.refusal_of(&stack.client, &last).await, (409, "too_many_corrections".into()));
    let history = stack.history(&last).await;
    assert_eq!((history.rounds.len(), history.sum.failed), (limits::STORY_ROUNDS, 3));
    stack.stop().await;
}

fn event(new: &NewImport, key: &str) -> String {
    let mut event: Value = serde_json::from_str(include_str!("data/events/api-gateway-rest.json")).expect("JSON");
    let body = new.body().expect("JSON").to_string();
    for (name, value) in [("httpMethod", "POST"), ("path", "/v1/imports"), ("body", &body)] {
        event[name] = json!(value);
    }
    event["requestContext"]["path"] = json!("/v1/imports");
    event["requestContext"]["httpMethod"] = json!("POST");
    let bearer = format!("Bearer {TOKEN}");
    event["headers"] = json!({ "authorization": bearer, "idempotency-key": key });
    event["multiValueHeaders"] = json!({ "authorization": [bearer], "idempotency-key": [key] });
    event["queryStringParameters"] = Value::Null;
    event["multiValueQueryStringParameters"] = Value::Null;
    event["isBase64Encoded"] = json!(false);
    event.to_string()
}

/// Whoever makes a correction dies when it is made, and the client asks again; each other function dies at each of its
/// steps. The story is as if nothing had been.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_step_changes_nothing() {
    let points = ["story.joined", "split.accepted", "split.total", "validate.tally", "end.ended", "end.report_sent"];
    for point in points.into_iter().chain(["report.written", "report.recorded", "removal.versions"]) {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes_and(folder.path(), |options| {
            options.functions.api.environment.push((DIRECTORY.to_owned(), folder.path().display().to_string()));
        })
        .await;
        let first = stack.import(FIRST).await;
        arm(folder.path(), point);
        let answer = stack.cloud.invoke("api", event(&corrects(&first), "once")).await;
        assert_eq!(answer.is_err(), point == "story.joined", "{point}");
        stack.cloud.quiet().await;
        let made = stack.client.create(&corrects(&first), Some("once")).await.expect("what was made before");
        assert_eq!(stack.client.list(None, 10).await.expect("a page").imports.len(), 2, "{point}");
        assert_eq!(upload(&made, b"sku,name,brand\nC,c,x\nD,,x\n").await, 200, "{point}");
        let second = stack.ended(&made.id).await;
        assert_eq!((second.rows.created, second.rows.failed), (1, 1), "{point}");
        let history = stack.history(&first).await;
        assert_eq!((ids(&history), history.sum.failed), (vec![first.id.as_str(), second.id.as_str()], 2), "{point}");
        stack.client.delete(&first.id).await.unwrap_or_else(|error| panic!("{point}: {error}"));
        stack.pass(Duration::from_secs(3600)).await;
        stack.cloud.quiet().await;
        assert_eq!(armed(folder.path()), Vec::<String>::new(), "{point}: nothing died there");
        let left = stack.history(&second).await;
        assert_eq!((ids(&left), left.sum), (ids(&history), history.sum), "{point}");
        stack.stop().await;
    }
}

/// The rows of a file whose numbers these are, as lines.
fn lines(file: &str, rows: &[u64]) -> String {
    let mut lines = file.lines();
    let head = lines.next().expect("a header");
    let all: Vec<&str> = lines.collect();
    let mut mended = format!("{head}\n");
    rows.iter().for_each(|row| mended.push_str(&format!("{}\n", all[*row as usize - 1])));
    mended
}

/// A random schedule: a file with bad rows, and rounds in which some of those that failed last are mended and some are
/// sent as they were, and now and then a row is added, in bad weather. The catalogue is that of the same rows applied
/// one at a time; the sum says of each row what became of it.
async fn weather(seed: u64) {
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let faults = Faults { deadline_near: 0.0, ..storm(seed) };
    let stack = Stack::with(|options| {
        options.faults = faults;
        options.proxy = true;
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "4".into()));
    })
    .await;
    let row = |rng: &mut Rng, key: u64, is_bad: bool| {
        let cost = if is_bad { "dear".to_owned() } else { (1 + rng.below(9)).to_string() };
        format!("K{key},n,b,{cost}\n")
    };
    let count = 20 + rng.below(60);
    let mut file = String::from("sku,name,brand,cost\n");
    for key in 0..count {
        let is_bad = rng.once_in(3);
        file.push_str(&row(&mut rng, key, is_bad));
    }
    let (mut catalogue, mut keys, mut failed) = (Catalogue::new(), count, 0);
    let mut last: Option<Import> = None;
    let mut settled = 0;
    for _ in 0..4 {
        let new = match &last {
            Some(import) => corrects(import),
            None => NewImport::default(),
        };
        let mut tries = 0;
        // An answer that is lost is asked for again.
        let made = loop {
            match stack.client.create(&new, Some(&format!("{failed}-{keys}-{settled}"))).await {
                Ok(made) => break made,
                Err(error) => {
                    tries += 1;
                    assert!(tries < 50, "seed {seed}: {error}");
                }
            }
        };
        upload_through(seed, &made, file.as_bytes()).await;
        let import = stack.ended(&made.id).await;
        stack.cloud.faults().clear();
        adds_up(&import);
        let expected = reference::apply(file.as_bytes(), &mut catalogue, Rules::default(), |_| true);
        assert_eq!(import.rows.failed, expected.failed, "seed {seed}: {}\n{}", import.id, stack.logs());
        settled += expected.total - expected.failed;
        failed = expected.failed;
        let history = stack.history(&import).await;
        let StorySum { total, added, created, updated, unchanged, skipped, .. } = history.sum;
        assert_eq!((total, added, history.sum.failed), (count, keys - count, failed), "seed {seed}");
        assert_eq!(created + updated + unchanged + skipped, settled, "seed {seed}");
        if failed == 0 {
            assert_eq!(
                stack.refusal_of(&stack.client, &import).await,
                (409, "nothing_to_correct".into()),
                "seed {seed}"
            );
            break;
        }
        let rows: Vec<u64> = stack.errors(&import.id).await.iter().map(|error| error.row).collect();
        let mut mended = String::new();
        for line in lines(&file, &rows).lines() {
            let cost = if rng.once_in(2) { "1" } else { "dear" };
            mended.push_str(&format!("{}\n", line.replace("dear", cost)));
        }
        for _ in 0..rng.below(3) {
            mended.push_str(&row(&mut rng, keys, false));
            keys += 1;
        }
        file = mended;
        last = Some(import);
        stack.cloud.faults().resume();
    }
    let skus = files::keys(keys);
    let shown: Catalogue =
        stack.records("1", &skus).await.iter().map(|(sku, record)| (sku.clone(), reference::shown(record))).collect();
    assert_eq!(shown, catalogue, "seed {seed}");
    stack.stop().await;
}

/// `PENSTOCK_CORRECTS_SEEDS=100..200` runs these schedules instead.
#[tokio::test(flavor = "multi_thread")]
async fn any_weather_gives_each_row_once() {
    support::seeds::each("PENSTOCK_CORRECTS_SEEDS", "1..5", "schedules", weather).await;
}

/// What stands in a cell of an import that was deleted is in no story.
#[tokio::test(flavor = "multi_thread")]
async fn a_story_keeps_no_cell_of_what_is_deleted() {
    let stack = Stack::start().await;
    let named = NewImport { filename: Some("quixotic.csv".into()), ..NewImport::default() };
    let first = stack.import_as(named, b"sku,name,brand,cost\nA,a,x,quixotic\n").await;
    let second = stack.corrected(&first, b"sku,name,brand,cost\nA,a,x,1\n").await;
    stack.client.delete(&first.id).await.expect("deleted");
    stack.pass(Duration::from_secs(3600)).await;
    stack.cloud.quiet().await;
    assert_eq!(stories(&stack).await.len(), 1);
    let left = tables::import_items(&stack).await;
    assert!(left.iter().all(|item| !item.to_string().contains("quixotic")), "{left:#?}");
    assert_eq!(stack.history(&second).await.sum.total, 1);
    stack.stop().await;
}
