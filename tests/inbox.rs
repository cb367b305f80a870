//! Files that are dropped off: each version of an object under `inbox/<account>/<preset>/…` becomes one import of that
//! preset, whatever events come twice or are lost and whoever dies; what cannot be taken waits where it is; and the
//! sweeper alone removes a file, once its import has it.

use std::time::Duration;

use penstock_client::{Import, NewKey, NewPreset};
use penstock_model::{ImportOptions, Mode, ReadOptions, Scope, Status, limits};
use penstock_store::{keys::NewKey as StoredKey, uploads::upload_key};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    OTHER_TOKEN, Stack,
    crashes::{arm, armed, stack_with_crashes_and},
    files,
    http::send,
    storage::{self, listed, put},
};

const FILE: &[u8] = b"Artikel;Name;Marke;Preis\nA-1;Lampe;Acme;1,50\nA-2;Tisch;Acme;2,25\n";

/// What reads [`FILE`].
fn german() -> NewPreset {
    let mapping = [("Artikel", "sku"), ("Name", "name"), ("Marke", "brand"), ("Preis", "cost")];
    let mapping = mapping.map(|(column, field)| (column.to_owned(), field.to_owned())).into();
    let reading = ReadOptions { decimal_char: Some(','), ..ReadOptions::default() };
    let options = ImportOptions { delimiter: Some(';'), mapping, reading, ..ImportOptions::default() };
    NewPreset { kind: "products".into(), options }
}

fn products() -> NewPreset {
    NewPreset { kind: "products".into(), ..NewPreset::default() }
}

/// A stack with the preset `nightly`, whose sweeper looks when it is told to.
async fn unscheduled(event_lost: f64) -> Stack {
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.faults.event_lost = event_lost;
    })
    .await;
    stack.client.put_preset("nightly", &products()).await.expect("put");
    stack
}

/// The imports of account 1, the newest first.
async fn imports(stack: &Stack) -> Vec<Import> {
    stack.client.list(None, 100).await.expect("a page").imports
}

/// The imports of account 1 once so many have ended; no further one comes for two hours.
async fn all_ended(stack: &Stack, count: usize) -> Vec<Import> {
    let are_there = async || imports(stack).await.len() == count;
    stack.passes_until(&format!("{count} imports"), are_there).await;
    let mut ended = Vec::new();
    for import in imports(stack).await {
        ended.push(stack.ended(&import.id).await);
    }
    for _ in 0..8 {
        stack.pass(Duration::from_secs(15 * 60 + 1)).await;
        stack.cloud.quiet().await;
    }
    assert_eq!(imports(stack).await.len(), count);
    ended
}

/// Lets the sweeper look, when all that was under way has come to rest.
async fn sweep(stack: &Stack) {
    stack.cloud.quiet().await;
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    stack.cloud.quiet().await;
}

/// How many versions lie under the key of an import's upload.
async fn uploads_of(stack: &Stack, import: &Import) -> usize {
    let key = upload_key(&"1".parse().expect("valid"), &import.id.parse().expect("an id"));
    listed(stack, &key).await.len()
}

/// S3's event of a version of an object.
fn event(key: &str, version: &str, bytes: u64) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let event = include_str!("data/events/s3-object-created.json");
    let mut event: Value = serde_json::from_str(event).expect("JSON");
    event["Records"][0]["s3"]["object"] =
        json!({ "key": encoded, "size": bytes, "eTag": "e", "versionId": version, "sequencer": "0" });
    event.to_string()
}

/// What the sweeper wrote of a metric, look by look.
fn waiting(stack: &Stack) -> Vec<u64> {
    let log = stack.cloud.logs("sweep");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["DropsWaiting"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_an_import_of_its_preset() {
    let stack = Stack::start().await;
    let preset = stack.client.put_preset("nightly", &german()).await.expect("put");
    put(&stack, "inbox/1/nightly/2026/preise.csv", FILE).await;
    stack.cloud.quiet().await;
    let import = stack.ended(&imports(&stack).await[0].id).await;
    assert_eq!((import.status, import.rows.created, import.kind.as_str()), (Status::Completed, 2, "products"));
    assert_eq!((import.preset.as_deref(), &import.options), (Some("nightly"), &preset.options));
    assert_eq!(import.filename.as_deref(), Some("2026/preise.csv"));
    let by = import.created_by.clone().expect("somebody");
    assert_eq!((by.api.as_str(), by.key.as_str(), by.client), ("inbox", "test", None));
    let record = stack.client.record("products", "A-1").await.expect("answers").expect("a record");
    assert_eq!(record["fields"]["cost"], 1.5, "{record}");
    // The sweeper removes it: the import has its own copy.
    assert_eq!(all_ended(&stack, 1).await[0].id, import.id);
    assert_eq!((listed(&stack, "inbox/").await, uploads_of(&stack, &import).await), (Vec::new(), 1));
    // It is an import like any other, and can be read again.
    let again =
        penstock_client::NewImport { from: Some(import.id), preset: Some("nightly".into()), ..Default::default() };
    let again = stack.client.create(&again, None).await.expect("made");
    assert_eq!(stack.ended(&again.id).await.rows.unchanged, 2);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_again_makes_no_other_import() {
    let stack = Stack::with(|options| options.faults.event_twice = 1.0).await;
    stack.client.put_preset("nightly", &products()).await.expect("put");
    let version = put(&stack, "inbox/1/nightly/a.csv", &files::plain(0, 300, "1")).await;
    stack.cloud.quiet().await;
    // Late, too, when the import has ended.
    let event = event("inbox/1/nightly/a.csv", &version, 9);
    stack.cloud.invoke("split", event.clone()).await.expect("split answers");
    let [import] = &all_ended(&stack, 1).await[..] else { panic!("one import") };
    assert_eq!((import.status, import.rows.created, import.rows.total), (Status::Completed, 300, Some(300)));
    assert_eq!(uploads_of(&stack, import).await, 1, "a second copy is turned away");
    // And when the file is gone.
    assert_eq!(listed(&stack, "inbox/").await, []);
    stack.cloud.invoke("split", event).await.expect("split answers");
    assert_eq!(imports(&stack).await.len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_event_was_lost_is_found() {
    // That of its copy is lost as well.
    let stack = Stack::with(|options| options.faults.event_lost = 1.0).await;
    stack.client.put_preset("nightly", &products()).await.expect("put");
    put(&stack, "inbox/1/nightly/a.csv", &files::plain(0, 30, "1")).await;
    let [import] = &all_ended(&stack, 1).await[..] else { panic!("one import") };
    assert_eq!((import.status, import.rows.created), (Status::Completed, 30));
    assert_eq!((listed(&stack, "inbox/").await, uploads_of(&stack, import).await), (Vec::new(), 1));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_written_over_is_two_files() {
    for event_lost in [0.0, 1.0] {
        let stack = unscheduled(event_lost).await;
        // Nothing is taken before both are there.
        for (from, price) in [(0, "1"), (20, "2")] {
            put(&stack, "inbox/1/nightly/a.csv", &files::plain(from, 20, price)).await;
        }
        assert_eq!(listed(&stack, "inbox/").await.len(), 2);
        for _ in 0..2 {
            sweep(&stack).await;
            stack.pass(Duration::from_secs(301)).await;
        }
        stack.cloud.quiet().await;
        let ended = imports(&stack).await;
        assert_eq!(
            ended.iter().map(|import| (import.status, import.rows.created)).collect::<Vec<_>>(),
            [(Status::Completed, 20), (Status::Completed, 20)]
        );
        stack.pass(Duration::from_secs(15 * 60)).await;
        sweep(&stack).await;
        assert_eq!(listed(&stack, "inbox/").await, []);
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_its_preset_and_others_do_not_wait_for_it() {
    let stack = Stack::start().await;
    stack.client_of(OTHER_TOKEN).put_preset("later", &products()).await.expect("put");
    // Folders that a program makes are no files.
    for key in ["inbox/1/later/a.csv", "inbox/1/a.csv", "inbox/none/later/a.csv", "inbox/1/Later/a.csv"] {
        put(&stack, key, &files::plain(0, 10, "1")).await;
    }
    let is_told = async || waiting(&stack).contains(&4);
    stack.passes_until("four wait", is_told).await;
    assert!(imports(&stack).await.is_empty());
    let logs = [stack.cloud.logs("split"), stack.cloud.logs("sweep")];
    for (key, reason) in [
        ("inbox/1/later/a.csv", "the account has no such preset"),
        ("inbox/1/a.csv", "its key is not inbox/<account>/<preset>/<name>"),
        ("inbox/none/later/a.csv", "there is no such account"),
        ("inbox/1/Later/a.csv", "its key is not inbox/<account>/<preset>/<name>"),
    ] {
        for log in &logs {
            let is_told = log.lines().any(|line| line.contains(&format!("\"{key}\"")) && line.contains(reason));
            assert!(is_told, "{key}: {reason}\n{log}");
        }
    }
    stack.client.put_preset("later", &products()).await.expect("put");
    let [import] = &all_ended(&stack, 1).await[..] else { panic!("one import") };
    assert_eq!((import.status, import.rows.created), (Status::Completed, 10));
    let left: Vec<String> = listed(&stack, "inbox/").await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, ["inbox/1/Later/a.csv", "inbox/1/a.csv", "inbox/none/later/a.csv"]);
    assert_eq!(waiting(&stack).last(), Some(&3));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_with_the_rights_of_the_key_that_put_the_preset() {
    let stack = unscheduled(0.0).await;
    let replace = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    let preset = NewPreset { kind: "products".into(), options: replace };
    let scopes = vec![Scope::ImportWrite, Scope::RecordDelete];
    let key = NewKey { scopes: scopes.clone(), label: Some("erp".into()), ..NewKey::default() };
    let key = stack.client.create_key(&key).await.expect("made");
    let erp = stack.client_of(key.token.as_deref().expect("a token"));
    erp.put_preset("mirror", &preset).await.expect("put");
    let store = stack.cloud.store();
    let with = async |scopes: &[Scope]| {
        let (id, account) = (key.id.clone(), "1".parse().expect("valid"));
        let new = StoredKey { id, secret: "s".into(), account, scopes: scopes.to_vec(), label: Some("erp".into()) };
        store.put_key(&new).await.expect("answers").expect("stored");
    };
    let reason = "the key that put the preset is revoked, or lacks a scope that the import takes";
    with(&[Scope::ImportWrite]).await;
    put(&stack, "inbox/1/mirror/a.csv", &files::plain(0, 10, "1")).await;
    stack.cloud.quiet().await;
    assert!(stack.cloud.logs("split").contains(reason), "{}", stack.cloud.logs("split"));
    with(&scopes).await;
    store.revoke_key(&key.id).await.expect("answers").expect("there");
    sweep(&stack).await;
    assert!(stack.cloud.logs("sweep").contains(reason), "{}", stack.cloud.logs("sweep"));
    assert!(imports(&stack).await.is_empty());
    // Another key puts it.
    stack.client.put_preset("mirror", &preset).await.expect("put");
    stack.pass(Duration::from_secs(15 * 60)).await;
    sweep(&stack).await;
    let import = stack.ended(&imports(&stack).await[0].id).await;
    assert_eq!((import.status, import.created_by.expect("somebody").key.as_str()), (Status::Completed, "test"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_its_kind_and_for_room() {
    let file = files::plain(0, 10, "1");
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.environment.push(("PENSTOCK_ACCOUNT_IMPORTS".into(), "1".into()));
        options.environment.push(("PENSTOCK_ACCOUNT_DAY_BYTES".into(), file.len().to_string()));
    })
    .await;
    let kind = async |method: Method| {
        let schema = r#"{ "primaryKey": "sku", "fields": [{ "name": "sku" }] }"#;
        let request = stack.request(method, "/v1/kinds/gadgets").bearer_auth(crate::support::TOKEN).body(schema);
        assert!((200..300).contains(&send(request).await.status));
    };
    kind(Method::PUT).await;
    let gadgets = NewPreset { kind: "gadgets".into(), ..NewPreset::default() };
    stack.client.put_preset("nightly", &gadgets).await.expect("put");
    kind(Method::DELETE).await;
    let takes = async |reason: &str| {
        stack.pass(Duration::from_secs(15 * 60)).await;
        sweep(&stack).await;
        let log = stack.cloud.logs("sweep");
        let last = log.lines().rfind(|line| line.contains("a file waits in the inbox")).expect("a line");
        assert!(last.contains(reason), "{last}");
        assert_eq!(listed(&stack, "inbox/").await.len(), 1);
    };
    put(&stack, "inbox/1/nightly/a.csv", &file).await;
    takes("the account has no kind that the preset names").await;
    kind(Method::PUT).await;
    let one = stack.create(ImportOptions::default()).await;
    takes("the account has as many unfinished imports as it may have").await;
    assert_eq!(crate::support::upload(&one, b"sku,name,brand\nA,b,c\n").await, 200);
    stack.ended(&one.id).await;
    takes("the account may not upload as many bytes today").await;
    stack.pass(Duration::from_secs(24 * 3600)).await;
    sweep(&stack).await;
    let all = imports(&stack).await;
    let import = all.iter().find(|import| import.kind == "gadgets").expect("taken");
    assert_eq!(stack.ended(&import.id).await.rows.created, 10);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_may_hold_any_character() {
    let names = [
        "50%25 off.csv",
        "a+b c.csv",
        "ä ö/ß–.csv",
        "?versionId=1&a=b#c.csv",
        "quote'\"<&>;=@:,$!*().csv",
        "%2F..%2f.csv",
        "\u{1}\u{7f}\r\n.csv",
    ];
    for event_lost in [0.0, 1.0] {
        let stack = Stack::with(|options| options.faults.event_lost = event_lost).await;
        stack.client.put_preset("nightly", &products()).await.expect("put");
        for (at, name) in (0..).zip(names) {
            put(&stack, &format!("inbox/1/nightly/{name}"), &files::plain(at * 10, 10, "1")).await;
        }
        let ended = all_ended(&stack, names.len()).await;
        assert!(ended.iter().all(|import| (import.status, import.rows.created) == (Status::Completed, 10)));
        let mut found: Vec<String> = ended.into_iter().filter_map(|import| import.filename).collect();
        found.sort();
        let mut wanted = names.map(str::to_owned);
        wanted.sort();
        assert_eq!(found, wanted);
        assert_eq!(listed(&stack, "inbox/").await, []);
        stack.stop().await;
    }
}

/// The steps behind which somebody dies.
const STEPS: [&str; 2] = ["inbox.taken", "inbox.copied"];

/// The splitter, told by S3, and the sweeper.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_after_any_step_changes_nothing() {
    for event_lost in [0.0, 1.0] {
        let folder = tempfile::tempdir().expect("a folder");
        STEPS.iter().for_each(|point| arm(folder.path(), point));
        let stack = stack_with_crashes_and(folder.path(), |options| options.faults.event_lost = event_lost).await;
        stack.client.put_preset("nightly", &products()).await.expect("put");
        put(&stack, "inbox/1/nightly/a.csv", &files::plain(0, 250, "1")).await;
        let [import] = &all_ended(&stack, 1).await[..] else { panic!("one import") };
        assert_eq!((import.status, import.rows.created, import.rows.total), (Status::Completed, 250, Some(250)));
        assert_eq!((armed(folder.path()), listed(&stack, "inbox/").await), (Vec::new(), Vec::new()));
        assert_eq!(uploads_of(&stack, import).await, 1);
        stack.stop().await;
    }
}

/// An import of a file whose copy was ordered, and the order lost.
async fn uncopied(stack: &Stack) -> Import {
    put(stack, "inbox/1/nightly/a.csv", &files::plain(0, 10, "1")).await;
    sweep(stack).await;
    let [import] = &imports(stack).await[..] else { panic!("one import") };
    stack.cloud.queue("splits").expect("the queue").purge();
    assert_eq!((import.status, uploads_of(stack, import).await), (Status::AwaitingUpload, 0));
    import.clone()
}

async fn held() -> Stack {
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.faults.event_lost = 1.0;
        options.faults.message_delayed = 1.0;
        options.faults.delay = Duration::from_secs(10_000 * 24 * 3600);
    })
    .await;
    stack.client.put_preset("nightly", &products()).await.expect("put");
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_lost_is_ordered_again_until_the_import_expires() {
    let stack = held().await;
    let import = uncopied(&stack).await;
    stack.cloud.faults().clear();
    stack.pass(Duration::from_secs(301)).await;
    sweep(&stack).await;
    assert_eq!(stack.ended(&import.id).await.rows.created, 10);
    stack.stop().await;

    let stack = held().await;
    let import = uncopied(&stack).await;
    for (hours, status) in [(23, Status::AwaitingUpload), (2, Status::Expired)] {
        stack.pass(Duration::from_secs(hours * 3600)).await;
        stack.cloud.sweep_now().await.expect("the sweeper looks");
        assert_eq!(stack.client.import(&import.id).await.expect("there").status, status);
    }
    // It keeps its file, of which no other import is made; with the import it goes.
    sweep(&stack).await;
    assert_eq!((imports(&stack).await.len(), listed(&stack, "inbox/").await.len()), (1, 1));
    stack.client.delete(&import.id).await.expect("deleted");
    for _ in 0..3 {
        sweep(&stack).await;
        stack.pass(Duration::from_secs(15 * 60)).await;
    }
    assert_eq!((imports(&stack).await.len(), listed(&stack, "inbox/").await), (0, Vec::new()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_or_too_large_is_told_and_not_tried_again() {
    let stack = held().await;
    let import = uncopied(&stack).await;
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    for (key, version) in listed(&stack, "inbox/").await {
        let delete = storage::s3(&stack).delete_object().bucket(bucket).key(key).version_id(version);
        delete.send().await.expect("deleted");
    }
    stack.cloud.faults().clear();
    stack.pass(Duration::from_secs(301)).await;
    sweep(&stack).await;
    let ended = stack.ended(&import.id).await;
    assert_eq!((ended.status, ended.failure.expect("a reason").code.as_str()), (Status::Failed, "upload_gone"));
    stack.stop().await;

    // As S3 would tell of it.
    let stack = unscheduled(1.0).await;
    let version = put(&stack, "inbox/1/nightly/large.csv", b"sku,name,brand\n").await;
    let told = event("inbox/1/nightly/large.csv", &version, limits::UPLOAD_BYTES + 1);
    for _ in 0..2 {
        stack.cloud.invoke("split", told.clone()).await.expect("split answers");
        sweep(&stack).await;
        stack.pass(Duration::from_secs(15 * 60)).await;
    }
    let [import] = &imports(&stack).await[..] else { panic!("one import") };
    let failure = import.failure.as_ref().expect("a reason");
    assert_eq!((import.status, failure.code.as_str()), (Status::Failed, "file_too_large"));
    assert!(failure.message.contains("5368709121"), "{}", failure.message);
    assert_eq!((listed(&stack, "inbox/").await.len(), uploads_of(&stack, import).await), (1, 0));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_import_takes_its_file_with_it() {
    let stack = unscheduled(0.0).await;
    let key = "inbox/1/nightly/a.csv";
    let version = put(&stack, key, &files::plain(0, 10, "1")).await;
    stack.cloud.quiet().await;
    let import = stack.ended(&imports(&stack).await[0].id).await;
    assert_eq!(listed(&stack, "inbox/").await.len(), 1, "nobody has looked");
    stack.client.delete(&import.id).await.expect("deleted");
    // Before the file is gone, and afterwards.
    for left in [1, 0, 0] {
        assert_eq!(listed(&stack, "inbox/").await.len(), left);
        stack.cloud.invoke("split", event(key, &version, 9)).await.expect("split answers");
        assert!(imports(&stack).await.is_empty());
        sweep(&stack).await;
        assert!(imports(&stack).await.is_empty());
        stack.pass(Duration::from_secs(45 * 60)).await;
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_uploads_to_the_import_of_a_file() {
    let stack = held().await;
    stack.client.put_preset("nightly", &NewPreset { kind: "algure-products".into(), ..products() }).await.expect("put");
    let import = uncopied(&stack).await;
    let refused = crate::support::refused(stack.client.part_urls(&import.id, &[1]).await);
    assert_eq!(refused, (409, "already_uploaded".to_owned()));
    let path = format!("/v1/products/import/{}", import.id);
    let feed = stack.request(Method::PUT, &path).bearer_auth(crate::support::TOKEN);
    assert_eq!(send(feed.header("content-type", "text/csv").body("code\n1\n")).await.status, 409);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_inbox_is_gone_through_look_by_look() {
    let stack = unscheduled(1.0).await;
    storage::put_versions(&stack, "inbox/1/missing/a.csv", limits::INBOX_LISTED + 1).await;
    put(&stack, "inbox/1/nightly/a.csv", &files::plain(0, 10, "1")).await;
    sweep(&stack).await;
    assert!(imports(&stack).await.is_empty());
    // The next look goes on at once, and the one behind it comes a quarter of an hour later.
    for _ in 0..3 {
        sweep(&stack).await;
    }
    assert_eq!((imports(&stack).await.len(), waiting(&stack)), (1, vec![limits::INBOX_LISTED as u64, 1]));
    stack.pass(Duration::from_secs(15 * 60)).await;
    sweep(&stack).await;
    assert_eq!(waiting(&stack).last(), Some(&(limits::INBOX_LISTED as u64)));
    stack.stop().await;
}

#[test]
fn every_step_is_walked() {
    let all = penstock_store::crash::POINTS.iter().copied().filter(|point| point.starts_with("inbox."));
    assert_eq!(all.collect::<Vec<_>>(), STEPS);
}
