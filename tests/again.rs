//! An import of what was uploaded to another import: the same bytes, other options, every promise as ever.

use std::{collections::BTreeMap, time::Duration};

use penstock_client::{Import, NewImport};
use penstock_model::{ImportId, ImportOptions, Mode, Scope, Status, limits};
use penstock_store::{crash::DIRECTORY, uploads::upload_key};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    self, OTHER_TOKEN, Stack, TOKEN, adds_up,
    crashes::{arm, armed, stack_with_crashes_and},
    files,
    held::{HELD, half_done, held},
    http::send,
    reference::{self, Catalogue, Expected, Rules},
    refused,
    rng::Rng,
    storage, upload,
    weather::{storm, upload_through},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A request for an import of what was uploaded to this one.
fn from(import: &Import, options: ImportOptions) -> NewImport {
    NewImport { from: Some(import.id.clone()), options, ..NewImport::default() }
}

fn mode(mode: Mode) -> ImportOptions {
    ImportOptions { mode, ..ImportOptions::default() }
}

impl Stack {
    async fn again(&self, import: &Import, options: ImportOptions) -> Import {
        let made = self.client.create(&from(import, options), None).await.expect("an import is made");
        self.ended(&made.id).await
    }
}

fn skus(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| format!("SKU-{number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_wrong_mapping_is_imported_rightly_without_a_second_upload() {
    let stack = Stack::start().await;
    let new = NewImport { filename: Some("stock.csv".into()), ..NewImport::default() };
    let first = stack.import_as(new, b"Item,name,brand\nA,a,x\nB,b,x\n").await;
    assert_eq!((first.status, first.from.as_deref()), (Status::Failed, None), "{first:#?}");
    assert_eq!(first.failure.as_ref().map(|failure| failure.code.as_str()), Some("missing_column"));
    let mapping = BTreeMap::from([("Item".to_owned(), "sku".to_owned())]);
    let options = ImportOptions { mapping, ..ImportOptions::default() };
    let made = stack.client.create(&from(&first, options.clone()), None).await.expect("an import is made");
    assert!(made.upload.is_none() && made.form.is_none() && made.waiting_for.is_none(), "{made:#?}");
    assert_eq!((made.status, made.filename.as_deref()), (Status::Processing, Some("stock.csv")));
    let second = stack.ended(&made.id).await;
    assert_eq!((second.status, second.rows.created), (Status::Completed, 2), "{second:#?}");
    assert_eq!((second.from.as_ref(), &second.options), (Some(&first.id), &options));
    assert_eq!((&second.source_expires_at, &second.kind), (&first.source_expires_at, &first.kind));
    // Nothing was copied: what is stored is one object, under the first one's key.
    let account = "1".parse().expect("valid");
    let versions = async |import: &Import| {
        let id: ImportId = import.id.parse().expect("valid");
        storage::versions(&stack, &upload_key(&account, &id)).await
    };
    let pinned = stack.stored(&first.id).await.object.expect("uploaded");
    assert_eq!(versions(&first).await, [pinned.version.clone().expect("a version")]);
    assert_eq!(versions(&second).await, Vec::<String>::new());
    assert_eq!(stack.stored(&second.id).await.object, Some(pinned));
    // Of a reader there is an again as well; and another kind, whose file it is not.
    let third = stack.again(&second, options).await;
    assert_eq!((third.status, third.rows.unchanged, third.from.as_ref()), (Status::Completed, 2, Some(&second.id)));
    let kind = NewImport { kind: Some("suppliers".into()), ..from(&third, ImportOptions::default()) };
    let other = stack.client.create(&kind, None).await.expect("an import is made");
    assert_eq!((other.kind.as_str(), stack.ended(&other.id).await.status), ("suppliers", Status::Failed));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_a_cancelled_and_a_running_import_go_on_from_there() {
    let stack = Stack::start().await;
    let file = files::plain(0, 50, "1");
    let dry = stack.import_with(&file, ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
    assert_eq!((dry.status, dry.rows.created), (Status::Completed, 50));
    let made = stack.again(&dry, ImportOptions::default()).await;
    assert_eq!((made.status, made.rows.created), (Status::Completed, 50), "{made:#?}");
    stack.stop().await;
    let stack = held().await;
    let running = half_done(&stack, &file, 50).await;
    let beside = stack.client.create(&from(&running, ImportOptions::default()), None).await.expect("made");
    stack.client.cancel(&running.id).await.expect("cancelled");
    stack.pass(HELD).await;
    let cancelled = stack.ended(&running.id).await;
    assert_eq!(cancelled.status, Status::Cancelled);
    let beside = stack.ended(&beside.id).await;
    assert_eq!((beside.status, beside.rows.total), (Status::Completed, Some(50)));
    let last = stack.again(&cancelled, ImportOptions::default()).await;
    assert_eq!((last.status, last.rows.unchanged), (Status::Completed, 50));
    let shown = stack.shows(&skus(0..50)).await;
    let mut expected = Catalogue::new();
    reference::upsert(&file, &mut expected);
    assert_eq!(shown, expected);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_there_and_ones_own_can_be_read_again() {
    let stack = Stack::start().await;
    let first = stack.import(&files::plain(0, 3, "1")).await;
    let ask = async |client: &penstock_client::Client, new: &NewImport| refused(client.create(new, None).await);
    let new = from(&first, ImportOptions::default());
    // Another account's is one that is not there.
    let other = stack.client_of(OTHER_TOKEN);
    assert_eq!(ask(&other, &new).await, (404, "not_found".into()));
    let unknown = NewImport { from: Some("imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F".into()), ..NewImport::default() };
    assert_eq!(ask(&stack.client, &unknown).await, (404, "not_found".into()));
    let none = NewImport { from: Some("none".into()), ..NewImport::default() };
    assert_eq!(ask(&stack.client, &none).await, (400, "invalid_body".into()));
    let awaiting = stack.create(ImportOptions::default()).await;
    let nothing = from(&awaiting, ImportOptions::default());
    assert_eq!(ask(&stack.client, &nothing).await, (409, "nothing_uploaded".into()));
    let all = stack.client.remove_all_records("suppliers", None).await.expect("ordered");
    assert_eq!(ask(&stack.client, &from(&all, ImportOptions::default())).await, (409, "nothing_uploaded".into()));
    let sized = NewImport { size: Some(5), ..new.clone() };
    assert_eq!(ask(&stack.client, &sized).await, (422, "size_of_stored_file".into()));
    // The scopes are those of any import.
    let key =
        |scopes: &[Scope]| penstock_client::NewKey { account: Some("1".into()), scopes: scopes.to_vec(), label: None };
    let client = async |scopes: &[Scope]| {
        let key = stack.client.create_key(&key(scopes)).await.expect("a key is made");
        stack.client_of(&key.token.expect("a token"))
    };
    assert_eq!(ask(&client(&[Scope::ImportRead]).await, &new).await.0, 403);
    let writes = client(&[Scope::ImportWrite]).await;
    assert_eq!(ask(&writes, &from(&first, mode(Mode::Replace))).await.0, 403);
    writes.create(&new, None).await.expect("an import is made");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_read_again_until_two_days_before_it_goes() {
    let stack = Stack::start().await;
    let first = stack.import(&files::plain(0, 3, "1")).await;
    let kept = Duration::from_secs(limits::UPLOAD_RETENTION_DAYS * 24 * 3600);
    let created = stack.stored(&first.id).await.created_at;
    let until = penstock_model::rfc3339(created + kept.as_millis() as i64);
    assert_eq!(first.source_expires_at.as_ref(), Some(&until));
    let new = from(&first, ImportOptions::default());
    stack.pass(kept - 3 * DAY).await;
    let made = stack.client.create(&new, None).await.expect("an import is made");
    assert_eq!(stack.ended(&made.id).await.rows.unchanged, 3);
    stack.pass(DAY - Duration::from_secs(3600)).await;
    stack.client.create(&new, None).await.expect("an import is made");
    stack.pass(Duration::from_secs(2 * 3600)).await;
    assert_eq!(refused(stack.client.create(&new, None).await), (409, "upload_expires".into()));
    stack.stop().await;
    // A repeat gives what the first request made, whatever has become of the upload.
    let stack = Stack::with(|options| {
        options.environment.push(("PENSTOCK_UPLOAD_RETENTION_DAYS".into(), "3".into()));
    })
    .await;
    let first = stack.import(&files::plain(0, 3, "1")).await;
    let new = from(&first, ImportOptions::default());
    stack.pass(DAY - Duration::from_secs(3600)).await;
    let made = stack.client.create(&new, Some("once")).await.expect("an import is made");
    stack.pass(Duration::from_secs(2 * 3600)).await;
    assert_eq!(refused(stack.client.create(&new, None).await), (409, "upload_expires".into()));
    assert_eq!(stack.client.create(&new, Some("once")).await.expect("the same").id, made.id);
    let other = NewImport { filename: Some("x.csv".into()), ..new };
    assert_eq!(refused(stack.client.create(&other, Some("once")).await), (409, "upload_expires".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_cannot_be_deleted_and_what_is_deleted_cannot_be_read() {
    let stack = held().await;
    let mut file = files::plain(0, 30, "1");
    file.extend(b"SKU-31,,Acme,1\n");
    let running = half_done(&stack, &file, 31).await;
    stack.pass(HELD).await;
    let first = stack.ended(&running.id).await;
    assert_eq!(first.status, Status::CompletedWithErrors);
    let reader = stack.client.create(&from(&first, ImportOptions::default()), None).await.expect("made");
    let is_read = || (409, "upload_read".to_owned());
    assert_eq!(refused(stack.client.delete(&first.id).await), is_read());
    stack.client.cancel(&reader.id).await.expect("cancelled");
    let cancelled = stack.ended(&reader.id).await;
    assert_eq!((cancelled.status, stack.stored(&first.id).await.readers.len()), (Status::Cancelled, 0));
    // One that ends with rejected rows reads until they are written.
    let reader = stack.again(&first, ImportOptions::default()).await;
    assert_eq!((reader.status, reader.rows.failed), (Status::CompletedWithErrors, 1));
    assert!(stack.rejected(&reader).await.contains("SKU-31"), "its rejected rows come from the first one's upload");
    stack.client.delete(&first.id).await.expect("deleted");
    assert_eq!(stack.client.import(&reader.id).await.expect("there").rows.failed, 1);
    let gone = refused(stack.client.create(&from(&reader, ImportOptions::default()), None).await);
    assert_eq!(gone, (409, "upload_gone".into()));
    assert_eq!(refused(stack.client.create(&from(&first, ImportOptions::default()), None).await).0, 404);
    stack.client.delete(&reader.id).await.expect("deleted");
    stack.stop().await;
}

/// A reader that is deleted before its rejected rows are written reads no more, and one that is deleted makes no item
/// of the import that it read, which may be gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_deleted_reads_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| options.scheduled = false).await;
    let first = stack.import(b"sku,name,brand\nA,,x\n").await;
    arm(folder.path(), "report.written.always");
    let reader = stack.client.create(&from(&first, ImportOptions::default()), None).await.expect("made");
    let ended = async || stack.client.import(&reader.id).await.expect("there").status.is_final();
    stack.passes_until("it has ended", ended).await;
    assert_eq!(refused(stack.client.delete(&first.id).await), (409, "upload_read".into()));
    stack.client.delete(&reader.id).await.expect("deleted");
    stack.client.delete(&first.id).await.expect("deleted");
    std::fs::remove_file(folder.path().join("report.written.always")).expect("removed");
    stack.pass(Duration::from_secs(3600)).await;
    stack.cloud.quiet().await;
    assert_eq!(stack.client.list(None, 10).await.expect("a page").imports.len(), 0);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_imports_read_an_upload_than_may() {
    // The order to split each is held back.
    let stack = held().await;
    let first = stack.uploaded(&files::plain(0, 20, "1")).await;
    stack.cloud.quiet().await;
    let new = from(&first, ImportOptions::default());
    let mut last = String::new();
    for _ in 0..limits::UPLOAD_READERS {
        last = stack.client.create(&new, None).await.expect("an import is made").id;
    }
    assert_eq!(stack.stored(&first.id).await.readers.len(), limits::UPLOAD_READERS);
    assert_eq!(refused(stack.client.create(&new, None).await), (409, "upload_busy".into()));
    stack.client.cancel(&last).await.expect("cancelled");
    stack.client.create(&new, None).await.expect("there is room again");
    stack.stop().await;
}

/// One that is cancelled before it is accepted leaves no trace in the order of a kind that has none yet.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_cancelled_at_once_leaves_a_new_kind_as_it_is() {
    let stack = held().await;
    let first = stack.uploaded(&files::plain(0, 5, "1")).await;
    stack.cloud.quiet().await;
    let kind = |new| NewImport { kind: Some("suppliers".into()), ..new };
    let made = stack.client.create(&kind(from(&first, ImportOptions::default())), None).await.expect("made");
    assert_eq!(stack.client.cancel(&made.id).await.expect("cancelled").status, Status::Cancelled);
    let file = format!(
        "{}\n",
        penstock_engine::kinds::all()
            .iter()
            .find(|kind| kind.name.as_str() == "suppliers")
            .map(|kind| kind.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>().join(","))
            .expect("bundled")
    );
    let next = stack.client.create(&kind(NewImport::default()), None).await.expect("made");
    assert_eq!(upload(&next, file.as_bytes()).await, 200);
    stack.pass(HELD).await;
    assert_eq!(stack.ended(&next.id).await.status, Status::Completed);
    stack.stop().await;
}

fn event(body: &Value) -> String {
    let mut event: Value = serde_json::from_str(include_str!("data/events/api-gateway-rest.json")).expect("JSON");
    for (name, value) in [("httpMethod", "POST"), ("path", "/v1/imports"), ("body", &body.to_string())] {
        event[name] = json!(value);
    }
    event["requestContext"]["path"] = json!("/v1/imports");
    event["requestContext"]["httpMethod"] = json!("POST");
    event["headers"] = json!({ "authorization": format!("Bearer {TOKEN}") });
    event["multiValueHeaders"] = json!({ "authorization": [format!("Bearer {TOKEN}")] });
    event["queryStringParameters"] = Value::Null;
    event["multiValueQueryStringParameters"] = Value::Null;
    event["isBase64Encoded"] = json!(false);
    event.to_string()
}

/// The api dies when the import is made, and when its split is ordered; each other function at each of its steps. The
/// import ends as if nothing had been, and lets the other one go.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_step_changes_nothing() {
    let points = ["again.made", "again.ordered", "split.accepted", "split.begun", "split.total", "validate.tally"];
    for point in points.into_iter().chain(["end.ended", "end.report_sent", "report.written", "report.recorded"]) {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes_and(folder.path(), |options| {
            options.functions.api.environment.push((DIRECTORY.to_owned(), folder.path().display().to_string()));
        })
        .await;
        let mut file = files::plain(0, 250, "1");
        file.extend(b"SKU-251,,Acme,1\n");
        let first = stack.import_with(&file, ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
        arm(folder.path(), point);
        let answer = stack.cloud.invoke("api", event(&json!({ "from": first.id }))).await;
        assert_eq!(answer.is_err(), point.starts_with("again."), "{point}");
        stack.cloud.quiet().await;
        let imports = stack.client.list(None, 10).await.expect("answers").imports;
        assert_eq!(imports.len(), 2, "{point}");
        let again = stack.ended(&imports[0].id).await;
        assert_eq!(armed(folder.path()), Vec::<String>::new(), "{point}: nothing died there");
        assert_eq!((again.status, again.rows.created), (Status::CompletedWithErrors, 250), "{point}");
        assert_eq!(again.rejected.as_ref().map(|rejected| rejected.rows), Some(1), "{point}");
        adds_up(&again);
        stack.client.delete(&first.id).await.unwrap_or_else(|error| panic!("{point}: {error}"));
        stack.stop().await;
    }
}

/// A replace of a stored upload waits for older imports, has newer ones wait, removes what the stored file does not
/// name, and is held by its guard.
#[tokio::test(flavor = "multi_thread")]
async fn a_replace_of_a_stored_upload_keeps_to_the_rules_of_replaces() {
    let folder = tempfile::tempdir().expect("a folder");
    for point in ["", "replace.counted", "replace.removed"] {
        let stack = stack_with_crashes_and(folder.path(), |_| {}).await;
        let first = stack.import(&files::plain(0, 200, "1")).await;
        assert_eq!(stack.import(&files::plain(200, 20, "1")).await.rows.created, 20);
        if !point.is_empty() {
            arm(folder.path(), point);
        }
        let replace = ImportOptions { most_removed_percent: Some(10), ..mode(Mode::Replace) };
        let replace = stack.client.create(&from(&first, replace), None).await.expect("made");
        let newer = stack.client.create(&from(&first, ImportOptions::default()), None).await.expect("made");
        let replace = stack.ended(&replace.id).await;
        assert_eq!((replace.status, replace.removed, replace.rows.unchanged), (Status::Completed, 20, 200), "{point}");
        assert_eq!(stack.ended(&newer.id).await.rows.unchanged, 200, "{point}");
        assert_eq!(armed(folder.path()), Vec::<String>::new(), "{point}: nothing died there");
        assert_eq!(stack.records("1", &skus(0..220)).await.len(), 200, "{point}");
        // One that would remove too much is held, and reads the file until it has ended.
        stack.import(&files::plain(200, 100, "1")).await;
        let held = stack.client.create(&from(&first, mode(Mode::Replace)), None).await.expect("made");
        let is_held =
            async || stack.client.import(&held.id).await.expect("there").status == Status::AwaitingConfirmation;
        stack.passes_until("it is held", is_held).await;
        assert_eq!(refused(stack.client.delete(&first.id).await), (409, "upload_read".into()), "{point}");
        stack.client.confirm(&held.id).await.expect("confirmed");
        assert_eq!(stack.ended(&held.id).await.removed, 100, "{point}");
        stack.client.delete(&first.id).await.expect("deleted");
        stack.stop().await;
    }
}

/// A random schedule: a file is uploaded to an import that is a dry run, fails, is cancelled, or is applied, and read
/// again by imports of other modes, in bad weather. The catalogue and the counts are those of the same file sent again.
async fn weather(seed: u64) {
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let faults = storm(seed);
    let stack = Stack::with(|options| {
        options.faults = faults;
        options.proxy = true;
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "40".into()));
        options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "4".into()));
    })
    .await;
    let file = files::clashing(&mut rng, 300, 120);
    let first = stack.create(match rng.below(3) {
        0 => ImportOptions { dry_run: true, ..ImportOptions::default() },
        1 => ImportOptions { delimiter: Some(';'), ..ImportOptions::default() },
        _ => ImportOptions::default(),
    });
    let first = first.await;
    upload_through(seed, &first, &file).await;
    let first = stack.ended(&first.id).await;
    let mut catalogue = Catalogue::new();
    if !first.options.dry_run && first.status != Status::Failed {
        reference::upsert(&file, &mut catalogue);
    }
    for _ in 0..3 {
        let mode = *rng.pick(&[Mode::Upsert, Mode::Create, Mode::Fill]);
        let again = stack.again(&first, ImportOptions { mode, ..ImportOptions::default() }).await;
        let rules = Rules { mode, ..Rules::default() };
        let expected = reference::apply(&file, &mut catalogue, rules, |_| true);
        adds_up(&again);
        let Import { rows, .. } = &again;
        let counted = (rows.total, rows.created, rows.updated + rows.unchanged, rows.skipped, rows.failed);
        let Expected { total, created, updated_or_unchanged, skipped, failed, .. } = expected;
        let expected = (Some(total), created, updated_or_unchanged, skipped, failed);
        assert_eq!(counted, expected, "seed {seed}, {mode:?}, {}\n{}", first.id, stack.logs());
    }
    let keys: Vec<String> = (0..120).map(|key| format!("K{key}")).collect();
    assert_eq!(stack.shows(&keys).await, catalogue, "seed {seed}");
    stack.cloud.faults().clear();
    stack.cloud.quiet().await;
    assert_eq!(stack.stored(&first.id).await.readers.len(), 0, "seed {seed}");
    stack.client.delete(&first.id).await.expect("deleted");
    stack.stop().await;
}

/// `PENSTOCK_AGAIN_SEEDS=100..200` runs these schedules instead.
#[tokio::test(flavor = "multi_thread")]
async fn any_weather_gives_what_the_same_file_sent_again_gives() {
    support::seeds::each("PENSTOCK_AGAIN_SEEDS", "1..5", "schedules", weather).await;
}

/// The documents' walk asks by curl; this asks as a form would that has no client of the kind.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_what_it_reads() {
    let stack = Stack::start().await;
    let first = stack.import(&files::plain(0, 2, "1")).await;
    let request = stack.request(Method::POST, "/v1/imports").bearer_auth(TOKEN).json(&json!({ "from": first.id }));
    let answer = send(request).await;
    assert_eq!(answer.status, 201);
    let import = answer.json();
    assert_eq!((&import["from"], &import["kind"]), (&json!(first.id), &json!("products")));
    assert_eq!(import["source_expires_at"], json!(first.source_expires_at));
    assert!(import.get("upload").is_none() && import.get("form").is_none(), "{import}");
    stack.stop().await;
}
