//! Accounts: they are listed, and one that is removed is gone, with all that was stored of it, whoever dies on the way
//! and whatever was in flight; nobody else's data changes, and the name can be used anew.

use std::{path::Path, time::Duration};

use penstock_client::{AccountRemoval, Client, NewKey};
use penstock_engine::key::RecordName;
use penstock_model::{
    AccountRemovalStage, Applied, Halt, ImportId, Record, RemovedCounts, RowError, Stamp, Status, Value as Cell,
};
use penstock_store::{errors::Extent, records::Write, uploads::upload_key};
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    self, OTHER_TOKEN, Stack, TOKEN,
    crashes::{arm, armed, stack_with_crashes_and},
    http::send,
    refused, storage,
    tables::{import_items, key, objects, record_items},
    tenant::{ALL_BUT_ADMIN, Tenant, key_of, removed},
    upload,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// All that is stored, as texts: items with their keys and attributes, objects with their keys and ETags.
async fn stored(stack: &Stack) -> Vec<String> {
    let mut all: Vec<Value> = import_items(stack).await;
    all.retain(|item| !key(item, "pk").starts_with("account-removal#"));
    all.extend(record_items(stack).await);
    let mut texts: Vec<String> = all.iter().map(ToString::to_string).collect();
    texts.extend(objects(stack).await.into_iter().map(|(key, etag)| format!("{key} {etag}")));
    texts.sort();
    texts
}

/// What is stored in which one of these words stands.
async fn naming(stack: &Stack, words: &[&str]) -> Vec<String> {
    let mut texts = stored(stack).await;
    texts.retain(|text| words.iter().any(|word| text.contains(word)));
    texts
}

/// Bytes of what the local cloud's buckets hold, in which one of these words stands.
fn files_naming(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files_naming(&entry, words));
            continue;
        }
        let bytes = std::fs::read(&entry).expect("a file");
        if words.iter().any(|word| memchr::memmem::find(&bytes, word.as_bytes()).is_some()) {
            found.push(entry.display().to_string());
        }
    }
    found
}

/// What an account's items, records and objects are, by its own partitions and folders and by what it names.
async fn of(stack: &Stack, tenant: &Tenant) -> Vec<String> {
    let account = tenant.account.as_str();
    let names = [format!("{account}\""), format!("{account}#"), format!("/{account}/"), tenant.word.clone()];
    let names: Vec<&str> = names.iter().map(String::as_str).chain(tenant.ids.iter().map(String::as_str)).collect();
    naming(stack, &names).await
}

/// Lets enough time pass that nothing is due any more of what has happened.
async fn settle(stack: &Stack) {
    for _ in 0..3 {
        stack.pass(Duration::from_secs(40 * 60)).await;
        stack.cloud.quiet().await;
    }
    stack.pass(DAY).await;
    stack.cloud.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_removed_account_is_left_and_its_neighbours_stay_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::with(|options| options.data = Some(folder.path().to_owned())).await;
    let neighbours = [Tenant::new(&stack, "ibex2", "aardvark").await, Tenant::new(&stack, "ibex-x", "platypus").await];
    settle(&stack).await;
    let mut gone = Tenant::new(&stack, "ibex", "quixotic").await;
    // What API Gateway stores of a body that is refused, and uploads that no import tells of.
    let (s3, settings) = (storage::s3(&stack), stack.cloud.store().settings());
    for key in ["refused/ibex/r-1", "refused/ibex2/r-1", "uploads/ibex/stray", "uploads/ibex2/stray"] {
        let body = b"a,b\n".to_vec().into();
        s3.put_object().bucket(&settings.uploads_bucket).key(key).body(body).send().await.expect("stored");
    }
    let open = s3.create_multipart_upload().bucket(&settings.results_bucket).key("rejected/ibex/open.csv");
    open.send().await.expect("begun");
    stack.cloud.quiet().await;
    settle(&stack).await;
    assert!(!of(&stack, &gone).await.is_empty());
    let mut before = Vec::new();
    for neighbour in &neighbours {
        before.push(of(&stack, neighbour).await);
    }
    // One that waits to be confirmed is ended as well.
    gone.held(&stack, "id,name\n3,quixotic\n").await;
    stack.cloud.quiet().await;
    let records_before = record_items(&stack).await.iter().filter(|item| key(item, "pk").starts_with("ibex#")).count();
    let objects_before = objects(&stack).await;
    let under = |folders: &[&str]| {
        let is_under = |(key, etag): &&(String, String)| {
            etag != "open" && folders.iter().any(|folder| key.starts_with(&format!("{folder}/ibex/")))
        };
        objects_before.iter().filter(is_under).count() as u64
    };
    let ordered = stack.client.delete_account("ibex").await.expect("ordered");
    assert_eq!((ordered.status, ordered.removed), (AccountRemovalStage::Halting, RemovedCounts::default()));
    // From the answer on its keys are refused.
    assert_eq!(refused(gone.client.list(None, 1).await).0, 401);
    let report = removed(&stack, "ibex").await;
    let RemovedCounts { keys, kinds, imports, exports, records, uploads, files } = report.removed;
    assert_eq!((keys, kinds, exports), (2, 1, 1), "{report:?}");
    // One import was deleted before; its order to be removed was carried out.
    let made = gone.ids.iter().filter(|id| id.starts_with("imp_")).count() as u64;
    assert_eq!(imports, made - 1, "{report:?}");
    assert!(records_before > 5 && uploads > 5 && files > 1, "{report:?}");
    assert_eq!((records, uploads), (records_before as u64, under(&["uploads", "inbox", "refused"])));
    assert_eq!(files, under(&["rejected", "exports"]));
    assert!(report.removed_at.is_some() && report.retained_until.is_some());
    let words: Vec<&str> = gone.ids.iter().map(String::as_str).chain([gone.word.as_str()]).collect();
    assert_eq!(naming(&stack, &words).await, [""; 0]);
    for text in stored(&stack).await {
        let others = text.replace("ibex2", "").replace("ibex-x", "");
        assert!(!others.contains("ibex"), "{text}");
    }
    assert_eq!(files_naming(&folder.path().join("s3"), &words), [""; 0]);
    for (neighbour, before) in neighbours.iter().zip(before) {
        assert_eq!(of(&stack, neighbour).await, before, "{}", neighbour.account);
    }
    // The report names the account and counts, and nothing else.
    let mut items = import_items(&stack).await;
    items.retain(|item| key(item, "pk").starts_with("account-removal#"));
    let [item] = &items[..] else { panic!("{items:?}") };
    assert!(words.iter().all(|word| !item.to_string().contains(word)), "{item}");
    assert!(item["ttl"]["N"].is_string() && item["due_shard"].is_null(), "{item}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweeper_that_dies_at_any_step_leaves_nothing_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |_| {}).await;
    let points = ["taken", "revoked", "ended", "purged", "noted", "own", "removed"];
    for (at, point) in points.into_iter().enumerate() {
        let (account, word) = (format!("narwhal{at}"), format!("quixotic{at}"));
        let (key_id, token) = key_of(&stack, &account).await;
        let client = stack.client_of(&token);
        let import = client.create(&Default::default(), None).await.expect("created");
        let file = format!("sku,name,brand,cost\n{word}-1,{word},Acme,1\n{word}-2,{word},Acme,{word}\n");
        assert_eq!(upload(&import, file.as_bytes()).await, 200);
        stack.ended_for(&client, &import.id).await.expect("it ends");
        stack.client.delete_account(&account).await.expect("ordered");
        arm(folder.path(), &format!("account.{point}"));
        let report = removed(&stack, &account).await;
        assert_eq!(armed(folder.path()), [""; 0], "{point}");
        assert_eq!(naming(&stack, &[&account, &word, &import.id, &key_id]).await, [""; 0], "{point}");
        // What died before it was noted may be missing in the counts, and nothing is counted that was not there.
        assert!(report.removed.records <= 1 && report.removed.imports <= 1, "{point}: {report:?}");
    }
    stack.stop().await;
}

/// What a process writes that was at work for an account, stood still, and goes on after the purge: each call as a
/// validator, a report or a splitter makes it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_writes_that_stood_still_through_the_purge_is_gone_in_the_end() {
    let stack = Stack::start().await;
    let (_, token) = key_of(&stack, "ibex").await;
    let client = stack.client_of(&token);
    let created = client.create(&Default::default(), None).await.expect("created");
    assert_eq!(upload(&created, b"sku,name,brand,cost\nS-1,quixotic,Acme,1\nS-2,b,c,quixotic\n").await, 200);
    stack.ended_for(&client, &created.id).await.expect("it ends");
    let (account, id): (_, ImportId) = ("ibex".parse().expect("valid"), created.id.parse().expect("an id"));
    let store = stack.cloud.store();
    let import = store.import(&account, &id).await.expect("read").expect("there");
    stack.client.delete_account("ibex").await.expect("ordered");
    let waits =
        async || stack.client.account_removal("ibex").await.expect("there").status == AccountRemovalStage::Waiting;
    stack.passes_until("what is stored is removed", waits).await;
    assert!(record_items(&stack).await.is_empty());
    assert!(storage::rejected_files(&stack).await.is_empty());
    // A record that it had found missing, row errors, a rejected rows file, and a halt of an import.
    let stamp = Stamp { order: import.order, row: 1 };
    let record = Record {
        rev: 0,
        made: stamp,
        last: Applied { stamp, changed: true },
        fields: [("name".to_owned(), Cell::Text("quixotic".into()))].into(),
        stamps: [("name".to_owned(), stamp)].into(),
        gone: None,
    };
    let name = RecordName::of(&account, &import.kind, "S-1");
    store.write_records(&[Write { name: &name, record: &record }]).await.expect("written");
    let extent = Extent { offset: 0, bytes: 1, first_row: 1, first_line: 2, refused: false };
    let error = RowError {
        row: 2,
        line: 3,
        source_row: None,
        key: None,
        field: None,
        value: Some("quixotic".into()),
        code: "c".into(),
        message: "m".into(),
    };
    store.put_errors(&id, 0, extent, &[error]).await.expect("written");
    let mut file = store.rejected_file(&import);
    file.write(b"quixotic\n").await.expect("written");
    file.finish().await.expect("stored");
    store.order_halt(&account, &id, &Halt::cancelled()).await.expect("answers");
    let s3 = storage::s3(&stack);
    let put = s3.put_object().bucket(&store.settings().uploads_bucket).key(upload_key(&account, &id));
    put.body(b"quixotic\n".to_vec().into()).send().await.expect("stored");
    assert_eq!((record_items(&stack).await.len(), storage::rejected_files(&stack).await.len()), (1, 1));
    assert!(naming(&stack, &["errors#"]).await.len() >= 2);
    removed(&stack, "ibex").await;
    assert_eq!(naming(&stack, &["ibex", "quixotic", &created.id]).await, [""; 0]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_removed_by_another_and_comes_again_as_a_new_one() {
    let stack = Stack::start().await;
    let (_, token) = key_of(&stack, "ibex").await;
    let client = stack.client_of(&token);
    let file = b"sku,name,brand\nS-1,a,b\n";
    let imported = async |client: &Client| {
        let import = client.create(&Default::default(), None).await.expect("created");
        assert_eq!(upload(&import, file).await, 200);
        stack.ended_for(client, &import.id).await.expect("it ends")
    };
    assert_eq!(imported(&client).await.status, Status::Completed);
    // Not by whoever has no admin key, nor by its own account; not one that is not there.
    let delete = |token: &str, account: &str| {
        send(stack.request(Method::DELETE, &format!("/v1/accounts/{account}")).bearer_auth(token))
    };
    assert_eq!(delete(&token, "ibex").await.refusal(), (403, "forbidden".into()));
    assert_eq!(delete(TOKEN, "1").await.refusal(), (409, "own_account".into()));
    for missing in ["ibe", "ibex%23products", "a%20b"] {
        assert_eq!(delete(TOKEN, missing).await.refusal(), (404, "not_found".into()), "{missing}");
    }
    assert_eq!(refused(stack.client.account_removal("ibex").await).0, 404);
    // A repeat is the same removal, whoever asks.
    let ordered = stack.client.delete_account("ibex").await.expect("ordered");
    let answer = delete(OTHER_TOKEN, "ibex").await;
    assert_eq!((answer.status, answer.header("location")), (202, Some("ibex/removal")));
    assert_eq!(answer.json()["ordered_at"], ordered.ordered_at.as_str());
    let again = NewKey { account: Some("ibex".into()), scopes: ALL_BUT_ADMIN.to_vec(), label: None };
    assert_eq!(refused(stack.client.create_key(&again).await), (409, "account_removing".into()));
    assert_eq!(refused(client.list(None, 1).await).0, 401);
    let report = removed(&stack, "ibex").await;
    assert_eq!((report.removed.records, report.removed.imports), (1, 1));
    assert_eq!(stack.client.delete_account("ibex").await.expect("a repeat"), report);
    // The same name again: nothing of before, and nothing of it goes.
    let (_, token) = key_of(&stack, "ibex").await;
    let client = stack.client_of(&token);
    assert!(client.list(None, 1).await.expect("a page").imports.is_empty());
    let import = imported(&client).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 1));
    let traced = client.shown_record("products", "S-1", true).await.expect("answers").expect("there");
    assert_eq!(traced.provenance.expect("asked for").made.import.as_deref(), Some(import.id.as_str()));
    stack.pass(2 * DAY).await;
    stack.cloud.quiet().await;
    assert!(client.record("products", "S-1").await.expect("answers").is_some());
    // It can be removed again, by a removal of its own.
    let second = stack.client.delete_account("ibex").await.expect("ordered");
    assert_eq!((second.status, second.removed), (AccountRemovalStage::Halting, RemovedCounts::default()));
    assert_ne!(second.ordered_at, ordered.ordered_at);
    assert_eq!(removed(&stack, "ibex").await.removed.records, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_that_run_are_ended_before_anything_is_removed() {
    let stack = support::held::held().await;
    let (_, token) = key_of(&stack, "ibex").await;
    let client = stack.client_of(&token);
    let running = client.create(&Default::default(), None).await.expect("created");
    assert_eq!(upload(&running, &support::files::plain(0, 50, "1")).await, 200);
    let awaiting = client.create(&Default::default(), None).await.expect("created");
    stack.cloud.quiet().await;
    assert_eq!(client.import(&running.id).await.expect("there").status, Status::Processing);
    stack.client.delete_account("ibex").await.expect("ordered");
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    stack.cloud.quiet().await;
    let account = "ibex".parse().expect("valid");
    for id in [&running.id, &awaiting.id] {
        let import = stack.cloud.store().import(&account, &id.parse().expect("an id")).await.expect("read");
        assert_eq!(import.expect("still there").status, Status::Cancelled);
    }
    // Its rows are on their way still.
    let status = stack.client.account_removal("ibex").await.expect("there").status;
    assert_eq!(status, AccountRemovalStage::Waiting);
    stack.cloud.faults().clear();
    for _ in 0..2 {
        stack.pass(DAY + Duration::from_secs(61)).await;
        stack.cloud.quiet().await;
        stack.cloud.sweep_now().await.expect("the sweeper looks");
        stack.cloud.quiet().await;
    }
    assert_eq!(stack.client.account_removal("ibex").await.expect("there").status, AccountRemovalStage::Removed);
    assert_eq!(naming(&stack, &["ibex", &running.id]).await, [""; 0]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_listed_by_name_with_exact_counts() {
    let stack = Stack::start().await;
    for account in ["ibex", "narwhal", "Yak"] {
        key_of(&stack, account).await;
    }
    let (revoked, token) = key_of(&stack, "ibex").await;
    let client = stack.client_of(&token);
    let kind = stack.request(Method::PUT, "/v1/kinds/gadgets").bearer_auth(&token);
    let kind = kind.body(r#"{ "primaryKey": "id", "fields": [{ "name": "id" }] }"#);
    assert_eq!(send(kind).await.status, 201);
    let count = async || {
        let page = stack.client.accounts(Some("2"), 100).await.expect("a page");
        let ibex = page.accounts.into_iter().find(|account| account.account == "ibex").expect("listed");
        (ibex.keys, ibex.kinds, ibex.imports_unfinished, ibex.exports_unfinished)
    };
    assert_eq!(count().await, (2, 1, 0, 0));
    // Imports that end in every way are counted until they have.
    let create = async || client.create(&Default::default(), None).await.expect("created");
    let (cancelled, expired, deleted, done) = (create().await, create().await, create().await, create().await);
    assert_eq!(count().await, (2, 1, 4, 0));
    client.cancel(&cancelled.id).await.expect("cancelled");
    client.delete(&deleted.id).await.expect("deleted");
    assert_eq!(upload(&done, b"sku,name,brand\nS-1,a,b\n").await, 200);
    stack.ended_for(&client, &done.id).await.expect("it ends");
    assert_eq!(count().await, (2, 1, 1, 0));
    stack.ended_for(&client, &expired.id).await.expect("it expires");
    assert_eq!(count().await, (2, 1, 0, 0));
    stack.client.revoke_key(&revoked).await.expect("revoked");
    assert_eq!(count().await, (1, 1, 0, 0));
    // Page by page, in the order of their bytes.
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let page = stack.client.accounts(cursor.as_deref(), 2).await.expect("a page");
        assert!((1..=2).contains(&page.accounts.len()));
        names.extend(page.accounts.into_iter().map(|account| account.account));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["1", "2", "Yak", "ibex", "narwhal"]);
    for wrong in ["?cursor=a%20b", "?limit=0", "?limit=101"] {
        assert_eq!(stack.get(&format!("/v1/accounts{wrong}")).await.status, 400, "{wrong}");
    }
    stack.client.delete_account("narwhal").await.expect("ordered");
    let page = stack.client.accounts(Some("ibex"), 1).await.expect("a page");
    assert!(page.accounts[0].removing && page.accounts[0].keys == 0, "{page:?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_lists_and_removes_accounts_and_shows_how_far_it_is() {
    let stack = Stack::start().await;
    let (_, token) = key_of(&stack, "ibex").await;
    let client = stack.client_of(&token);
    let import = client.create(&Default::default(), None).await.expect("created");
    assert_eq!(upload(&import, b"sku,name,brand\nS-1,a,b\n").await, 200);
    stack.ended_for(&client, &import.id).await.expect("it ends");
    let penstock = |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_penstock"));
        command.args(arguments).args(["--url", stack.cloud.url(), "--token", TOKEN]);
        command.stdin(std::process::Stdio::null()).kill_on_drop(true);
        command
    };
    let run = async |arguments: &[&str]| {
        let output = penstock(arguments).output().await.expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, _) = run(&["accounts", "list"]).await;
    assert_eq!((code, out.lines().count()), (Some(0), 3), "{out}");
    let line = out.lines().last().expect("a line");
    assert!(
        line.starts_with("ibex  ") && line.contains("1 keys, 0 kinds, 0 imports and 0 exports unfinished"),
        "{line}"
    );
    let (code, _, said) = run(&["accounts", "delete", "1"]).await;
    assert!(code == Some(1) && said.contains("own account"), "{said}");
    let mut waiting = penstock(&["accounts", "delete", "ibex", "--wait", "--json"]);
    waiting.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let waiting = waiting.spawn().expect("it runs");
    let ordered = async || stack.client.account_removal("ibex").await.is_ok();
    support::until("it is ordered", ordered).await;
    removed(&stack, "ibex").await;
    let output = waiting.wait_with_output().await.expect("it ends");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && said.contains("ibex: its imports and exports are being ended"), "{said}");
    let report: AccountRemoval = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((report.status, report.removed.records), (AccountRemovalStage::Removed, 1));
    let (code, out, _) = run(&["accounts", "removal", "ibex"]).await;
    assert!(code == Some(0) && out.contains("nothing of it is left; 1 records, 1 uploads, 0 files"), "{out}");
    let (code, out, _) = run(&["accounts", "list", "--json"]).await;
    assert!(code == Some(0) && !out.contains("ibex"), "{out}");
    // Exports, by their own commands.
    let order = penstock_client::NewExport { kind: "products".into(), ..Default::default() };
    let export = stack.client.create_export(&order).await.expect("ordered");
    let ended = async || stack.client.export(&export.id).await.expect("there").status.is_final();
    stack.passes_until("the export has ended", ended).await;
    let (code, out, _) = run(&["exports", "list"]).await;
    assert!(
        code == Some(0) && out.starts_with(&format!("{}  ", export.id)) && out.contains("products as ndjson"),
        "{out}"
    );
    let (code, _, said) = run(&["exports", "cancel", &export.id]).await;
    assert!(code == Some(1) && said.contains("has ended"), "{said}");
    let (code, out, _) = run(&["exports", "delete", &export.id]).await;
    assert_eq!((code, out), (Some(0), format!("{}  deleted\n", export.id)));
    assert_eq!(refused(stack.client.export(&export.id).await).0, 404);
    let (code, out, _) = run(&["exports", "list", "--json"]).await;
    assert_eq!((code, out.as_str()), (Some(0), ""));
    stack.stop().await;
}
