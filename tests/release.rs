//! A version goes on with what the last release wrote: messages that were on their way, and items of both tables, with
//! an import half done.
//!
//! `PENSTOCK_RENEW=1 cargo test --workspace --test suite release::` writes the files of `tests/data/release/` anew,
//! with the version at hand; `infra/release/RELEASE.md` says when. Else they are as the last release has written them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use penstock_client::{Client, Import, NewExport, NewImport, NewKey, RecordFilter};
use penstock_model::{
    Body, Checkpoint, Chunk, ChunkMessage, DocumentFlaw, Dropped, EventId, ExportId, ExportStatus, Grammar, ImportId,
    ImportOptions, Job, Order, QueueName, RecordFlaw, Repeats, Scope, Status, WebhookId,
};
use penstock_store::{
    names::{Own, Partition},
    uploads::upload_key,
};
use serde_json::{Value, json};

use crate::support::{
    Stack, adds_up, storage,
    tables::{import_items, key, put_items, record_items},
    tenant::{Tenant, key_of, removed},
    until, upload,
};

/// An account that has done all that can be done, and the word in its cells.
const TENANT: (&str, &str) = ("relic", "amphora");

/// An account that is being removed.
const LEAVER: &str = "leaver";

/// Rows of the import that is half done, ten to a chunk; the third of each twenty is rejected.
const ROWS: u64 = 40;

/// How many items are kept of those of which there are many alike.
const ALIKE: usize = 6;

fn renews() -> bool {
    std::env::var_os("PENSTOCK_RENEW").is_some()
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/release", name].iter().collect()
}

/// Every message that a version writes, with a name for each form of it.
fn messages() -> BTreeMap<String, Order> {
    let (account, kind) = ("shop".parse().expect("an account"), "products".parse().expect("a kind"));
    let (import, export) = (ImportId::new(1, [7; 10]), ExportId::new(1, [7; 10]));
    let (webhook, event) = (WebhookId::new(1, [7; 10]), EventId::first_at(1));
    let columns = ["sku", "näme\n", "\u{fffe}"].map(str::to_owned).to_vec();
    let options: ImportOptions = serde_json::from_str(r#"{"decimal_char": ","}"#).expect("an option");
    let job = Job::dry(account, kind, &options, Grammar::CSV, columns);
    let account = &job.account;
    let chunk = |body: Body, repeats: Repeats, last_try: bool| {
        let bytes = match &body {
            Body::Rows(rows) => rows.len() as u64,
            Body::Refused(_) => 99,
        };
        let chunk = Chunk { index: 2, first_row: 10, first_line: 12, offset: 99, bytes, rows: 1, body };
        Order::Chunk(Box::new(ChunkMessage { job: job.clone(), chunk, repeats, dropped: Dropped::default(), last_try }))
    };
    let mut dropped = chunk(Body::Rows("ä,\n".into()), Repeats::Any, false);
    if let Order::Chunk(message) = &mut dropped {
        message.dropped.add(0);
    }
    let refused = |flaw| chunk(Body::Refused(flaw), Repeats::Any, false);
    let from = Checkpoint { chunk: 2, offset: 9, row: 3, line: 4 };
    let (account, again) = (account.clone(), account.clone());
    let to_continue = |died_at| Order::Continue { account: again.clone(), import: import.clone(), died_at };
    let orders = [
        ("chunk, text", chunk(Body::Rows("ä,\u{1f600}\n".into()), Repeats::Any, false)),
        ("chunk, base64, its last try", chunk(Body::Rows(b"nul\0,b\n".to_vec()), Repeats::Rows(vec![10]), true)),
        ("chunk, too large", refused(RecordFlaw::TooLarge)),
        ("chunk, an open quote", refused(RecordFlaw::UnterminatedQuote { opened_line: 14 })),
        (
            "chunk, a broken document",
            refused(RecordFlaw::BrokenDocument { line: 12, flaw: DocumentFlaw::ExpectedComma }),
        ),
        ("chunk, a row dropped", dropped),
        ("continue", to_continue(None)),
        ("continue, after a death", to_continue(Some(4))),
        ("resend missing", Order::ResendMissing { account: account.clone(), import: import.clone(), from }),
        ("report", Order::Report { account: account.clone(), import: import.clone() }),
        ("export", Order::Export { account: account.clone(), export }),
        ("remove", Order::Remove { account: account.clone(), import: import.clone() }),
        ("tell", Order::Tell { account: account.clone(), event: event.clone() }),
        ("deliver", Order::Deliver { account: account.clone(), webhook, event, attempt: 3 }),
    ];
    orders.map(|(name, order)| (name.to_owned(), order)).into()
}

/// What an order is called; a new one is to be among [`messages`].
fn word(order: &Order) -> &'static str {
    match order {
        Order::Chunk(_) => "chunk",
        Order::Continue { .. } => "continue",
        Order::ResendMissing { .. } => "resend missing",
        Order::Report { .. } => "report",
        Order::Export { .. } => "export",
        Order::Remove { .. } => "remove",
        Order::Tell { .. } => "tell",
        Order::Deliver { .. } => "deliver",
    }
}

#[test]
fn messages_of_the_last_release_are_understood() {
    let made = messages();
    assert!(made.iter().all(|(name, order)| name.starts_with(word(order))), "each is called what it is");
    let path = file("messages.json");
    if renews() {
        let bodies: BTreeMap<_, _> = made.iter().map(|(name, order)| (name, order.encode().expect("small"))).collect();
        let text = serde_json::to_string_pretty(&bodies).expect("texts") + "\n";
        std::fs::write(&path, text).expect("the file is written");
    }
    let kept = std::fs::read_to_string(&path).expect("the last release's messages");
    let kept: BTreeMap<String, String> = serde_json::from_str(&kept).expect("bodies by name");
    assert!(kept.len() >= 13, "{}", kept.len());
    for (name, body) in kept {
        let order = Order::decode(&body).unwrap_or_else(|error| panic!("{name}: {error}: {body}"));
        assert_eq!(Some(&order), made.get(&name), "{name} says something else than it did");
    }
}

/// What a stack held at a moment, as the last release has written it.
#[derive(Default)]
struct Kept {
    /// Items of the two tables.
    imports: Vec<Value>,
    records: Vec<Value>,
    /// Versions of uploaded objects, the oldest of each first: `key`, `version`, `text`.
    objects: Vec<Value>,
    /// Messages that were on their way: `queue`, `body`.
    messages: Vec<Value>,
    /// The moment, and the names of what is looked for.
    about: Value,
}

impl Kept {
    /// One thing a line, in an order that does not change.
    fn write(&self) {
        let line = |what: &str, value: &Value| json!({ what: value }).to_string();
        let mut lines = vec![line("about", &self.about)];
        for (what, values) in [
            ("import", &self.imports),
            ("record", &self.records),
            ("object", &self.objects),
            ("message", &self.messages),
        ] {
            lines.extend(values.iter().map(|value| line(what, value)));
        }
        std::fs::write(file("stack.jsonl"), lines.join("\n") + "\n").expect("the file is written");
    }

    fn read() -> Self {
        Self::of(&std::fs::read_to_string(file("stack.jsonl")).expect("what the last release held"))
    }

    fn of(text: &str) -> Self {
        let mut kept = Self::default();
        for line in text.lines() {
            let line: BTreeMap<String, Value> = serde_json::from_str(line).expect("one thing a line");
            for (what, value) in line {
                match what.as_str() {
                    "import" => kept.imports.push(value),
                    "record" => kept.records.push(value),
                    "object" => kept.objects.push(value),
                    "message" => kept.messages.push(value),
                    "about" => kept.about = value,
                    other => panic!("what is {other}?"),
                }
            }
        }
        kept
    }

    /// The same with other versions of the objects, whose ids the storage chooses.
    fn with_versions(&self, versions: &[(String, String)]) -> Self {
        let renamed = |values: &[Value]| {
            let mut text = Value::from(values).to_string();
            for (old, new) in versions {
                text = text.replace(&format!("\"{old}\""), &format!("\"{new}\""));
            }
            serde_json::from_str(&text).expect("JSON as before")
        };
        Self {
            imports: renamed(&self.imports),
            records: renamed(&self.records),
            messages: self.messages.clone(),
            objects: self.objects.clone(),
            about: self.about.clone(),
        }
    }

    fn about(&self, name: &str) -> &str {
        self.about[name].as_str().unwrap_or_else(|| panic!("{name} is told"))
    }
}

/// A stack on a data folder, whose chunks have ten rows. Nothing takes what is to be told, so that it stays stored.
async fn stack_of(data: &std::path::Path, change: impl FnOnce(&mut penstock_local::Options)) -> Stack {
    Stack::with(|options| {
        options.data = Some(data.to_owned());
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        options.environment.push(("PENSTOCK_EVENT_BUS".into(), "elsewhere".into()));
        change(options);
    })
    .await
}

/// A file of new records, of which the third row of each twenty is rejected.
fn rows() -> String {
    let cost = |row: u64| if row % 20 == 2 { "cheap".to_owned() } else { row.to_string() };
    let rows = (0..ROWS).map(|row| format!("H-{row},Half {row},Acme,{}\n", cost(row)));
    format!("sku,name,brand,cost\n{}", rows.collect::<String>())
}

/// Everything that waits on a queue, taken.
fn taken(stack: &Stack, queue: QueueName) -> Vec<String> {
    let queue = stack.cloud.queue(queue.as_str()).expect("there is one");
    queue.take(100, None).into_iter().map(|message| message.body).collect()
}

/// Has a function work off messages that were taken from its queue.
async fn work_off(stack: &Stack, function: &str, bodies: &[String]) {
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| {
            json!({
                "messageId": number.to_string(), "receiptHandle": "r", "eventSource": "aws:sqs", "body": body,
                "attributes": { "ApproximateReceiveCount": "1" },
            })
        })
        .collect();
    let answer = stack.cloud.invoke(function, json!({ "Records": records }).to_string()).await.expect("it answers");
    assert_eq!(answer, r#"{"batchItemFailures":[]}"#);
}

/// Uploads a file to a new import of account `1`, and gives its id and the messages of its chunks when it is split.
async fn split(stack: &Stack, file: &str) -> (String, Vec<String>) {
    let import = stack.client.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(upload(&import, file.as_bytes()).await, 200);
    let is_split = async || stack.client.import(&import.id).await.expect("it is there").rows.total.is_some();
    until("it is split", is_split).await;
    let mut chunks = taken(stack, QueueName::Chunks);
    chunks.sort_by_key(|body| match Order::decode(body).expect("an order") {
        Order::Chunk(message) => message.chunk.index,
        other => panic!("{other:?} on the queue of chunks"),
    });
    (import.id, chunks)
}

/// Makes a stack that holds something in every form, with work half done, and keeps what it holds.
async fn renew() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_of(folder.path(), |_| {}).await;
    let tenant = Tenant::new(&stack, TENANT.0, TENANT.1).await;
    let review = tenant.ids.last().expect("the review is its last").clone();
    let (_, leaver) = key_of(&stack, LEAVER).await;
    let leaver = stack.client_of(&leaver);
    let import = leaver.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(upload(&import, b"sku,name,brand\nL-1,One,Acme\n").await, 200);
    stack.ended_for(&leaver, &import.id).await.expect("it ends");
    stack.client.delete_account(LEAVER).await.expect("ordered");
    stack.cloud.quiet().await;
    stack.stop().await;

    // From here on nothing takes a message but what is told to.
    let stack = stack_of(folder.path(), |options| (options.mapped, options.scheduled) = (false, false)).await;
    let (half, chunks) = split(&stack, &rows()).await;
    let (done, left) = chunks.split_at(chunks.len() / 2);
    work_off(&stack, "validate", done).await;
    let (ended, chunks) = split(&stack, "sku,name,brand,cost\nE-1,One,Acme,cheap\n").await;
    work_off(&stack, "validate", &chunks).await;
    let order = NewExport { kind: "products".to_owned(), ..NewExport::default() };
    let export = stack.client.create_export(&order).await.expect("ordered").id;
    let mut messages = Vec::new();
    for queue in [QueueName::Reports, QueueName::Exports, QueueName::Notifications] {
        messages.extend(taken(&stack, queue).into_iter().map(|body| json!({ "queue": queue.as_str(), "body": body })));
    }
    messages.extend(left.iter().map(|body| json!({ "queue": QueueName::Chunks.as_str(), "body": body })));

    let s3 = storage::s3(&stack);
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    let page = s3.list_object_versions().bucket(bucket).prefix("uploads/").send().await.expect("S3 lists them");
    let mut objects = Vec::new();
    // The newest of a key comes first.
    for version in page.versions().iter().rev() {
        let (key, id) = (version.key().expect("a key"), version.version_id().expect("a version"));
        let object = s3.get_object().bucket(bucket).key(key).version_id(id).send().await.expect("it is there");
        let bytes = object.body.collect().await.expect("all of it").into_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("the files are text");
        objects.push(json!({ "key": key, "version": id, "text": text }));
    }
    let about = json!({
        "taken_ms": stack.cloud.store().now_ms(), "half": half, "ended": ended, "export": export, "review": review,
        "token": tenant.token,
    });
    let (imports, records) = (thinned(import_items(&stack).await), record_items(&stack).await);
    Kept { imports, records, objects, messages, about }.write();
    stack.stop().await;
}

/// The items without most of those that are many and alike, and that nothing of what goes on asks for: what ended
/// replaces counted and removed of each of 256 shards, and events and their deliveries.
fn thinned(mut items: Vec<Value>) -> Vec<Value> {
    let mut seen = BTreeMap::<_, usize>::new();
    items.retain(|item| {
        let (pk, sk) = (key(item, "pk"), key(item, "sk"));
        let many = match Partition::of(pk) {
            Some(Partition::Replace) => true,
            Some(Partition::Account) => matches!(Own::of(sk), Some(Own::Event | Own::Delivery)),
            _ => false,
        };
        let of = |text: &str| text.split('#').next().unwrap_or_default().to_owned();
        let count = seen.entry((of(pk), of(sk))).or_default();
        *count += 1;
        !many || *count <= ALIKE
    });
    items
}

/// A stack that holds what was kept, at that moment by its clock, with the messages on their queues.
async fn started_on(kept: &Kept, data: &std::path::Path) -> Stack {
    // Nothing looks at it yet.
    let still = stack_of(data, |options| {
        (options.mapped, options.scheduled) = (false, false);
        options.faults.event_lost = 1.0;
    })
    .await;
    let (s3, mut versions) = (storage::s3(&still), Vec::new());
    let settings = still.cloud.store().settings().clone();
    for object in &kept.objects {
        let text = |name: &str| object[name].as_str().expect("a text").to_owned();
        let body = text("text").into_bytes().into();
        let put = s3.put_object().bucket(&settings.uploads_bucket).key(text("key")).body(body);
        let stored = put.send().await.expect("stored");
        versions.push((text("version"), stored.version_id().expect("a version").to_owned()));
    }
    let kept = kept.with_versions(&versions);
    put_items(&still, &settings.imports_table, &kept.imports).await;
    put_items(&still, &settings.records_table, &kept.records).await;
    still.stop().await;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let taken_ms = kept.about["taken_ms"].as_i64().expect("a moment");
    std::fs::write(data.join("clock"), (taken_ms - now_ms).to_string()).expect("the clock file");

    let stack = stack_of(data, |_| {}).await;
    for message in &kept.messages {
        let text = |name: &str| message[name].as_str().expect("a text").to_owned();
        let order = Order::decode(&text("body")).expect("an order of then");
        let queue = stack.cloud.queue(order.queue().as_str()).expect("there is one");
        assert_eq!(text("queue"), order.queue().as_str());
        queue.send(text("body"), None, Duration::ZERO);
    }
    stack
}

/// Imports a file of account 1, and waits for the end. It is stored with the credentials of the stack: a URL is signed
/// at the moment of then, and the storage asks the machine's clock, too, whether it has ended.
async fn imported(stack: &Stack, file: &[u8]) -> Import {
    let created = stack.create(ImportOptions::default()).await;
    let (account, id) = ("1".parse().expect("an account"), created.id.parse().expect("an id"));
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    let put = storage::s3(stack).put_object().bucket(bucket).key(upload_key(&account, &id));
    put.body(file.to_vec().into()).send().await.expect("stored");
    stack.ended(&created.id).await
}

/// The text of the rejected rows file of an import of account 1, read likewise.
async fn rejected(stack: &Stack, import: &Import) -> String {
    let bucket = &stack.cloud.store().settings().results_bucket;
    let get = storage::s3(stack).get_object().bucket(bucket).key(format!("rejected/1/{}.csv", import.id));
    let bytes = get.send().await.expect("it is there").body.collect().await.expect("read");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Reads all that the API shows of the tenant, and goes on with its review.
async fn read_tenant(stack: &Stack, client: &Client, review: &str) {
    let imports = client.list(None, 100).await.expect("a page").imports;
    assert!(imports.len() > 10, "{}", imports.len());
    let mut rejected = 0;
    for import in &imports {
        let import = client.import(&import.id).await.expect("it is read");
        client.history(&import.id).await.expect("its history is read");
        if import.rows.failed > 0 {
            let errors = client.errors(&import.id, None, 100).await.expect("its errors are read").errors;
            assert_eq!(errors.iter().map(|error| error.row).collect::<BTreeSet<_>>().len() as u64, import.rows.failed);
            rejected += 1;
        }
    }
    assert!(rejected > 0, "an import has errors");
    for kind in ["products", "gadgets"] {
        let page = client.records(kind, &RecordFilter::default(), None, 100).await.expect("records are read");
        assert!(page.records.iter().any(|record| format!("{record:?}").contains(TENANT.1)), "{kind}");
    }
    assert!(client.kind_text("gadgets").await.expect("the kind is read").contains(TENANT.1));
    let exports = client.exports(None, 100).await.expect("exports are read").exports;
    assert!(exports.iter().any(|export| export.status == ExportStatus::Completed), "{exports:?}");
    let new = NewKey { account: Some(TENANT.0.to_owned()), scopes: vec![Scope::AccountWrite], label: None };
    let writer = stack.client.create_key(&new).await.expect("a key").token.expect("told once");
    let writer = stack.client_of(&writer);
    let webhooks = writer.webhooks().await.expect("endpoints are read");
    assert_eq!(webhooks.len(), 1);
    writer.deliveries(&webhooks[0].id, None, 100).await.expect("deliveries are read");
    // What was reviewed is imported from the upload of then.
    let confirmed = client.confirm(review).await.expect("confirmed");
    let ended = stack.ended_for(client, &confirmed.id).await.expect("it ends");
    assert_eq!((ended.status, ended.rows.created), (Status::Completed, 1), "{ended:?}");
}

/// Names that the last release did not know; none, where its fixtures have just been written anew.
const NEW: [Own; 2] = [Own::Preset, Own::PresetNames];

/// The same of partitions.
const NEW_PARTITIONS: [Partition; 1] = [Partition::Inbox];

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_goes_on_with_what_the_last_release_held() {
    if renews() {
        renew().await;
    }
    let kept = Kept::read();
    let size = std::fs::metadata(file("stack.jsonl")).expect("it is there").len();
    assert!(size < 100_000, "{size} bytes: the fixture is to stay small");
    // It holds an item of every name that it knew.
    let (mut partitions, mut own) = (BTreeSet::new(), BTreeSet::new());
    for item in &kept.imports {
        let (pk, sk) = (key(item, "pk"), key(item, "sk"));
        partitions.extend(Partition::of(pk));
        own.extend(Partition::of(pk).filter(|of| *of == Partition::Account).and_then(|_| Own::of(sk)));
    }
    assert_eq!(partitions, Partition::ALL.iter().copied().filter(|name| !NEW_PARTITIONS.contains(name)).collect());
    assert_eq!(own, Own::ALL.iter().copied().filter(|name| !NEW.contains(name)).collect());

    let folder = tempfile::tempdir().expect("a folder");
    let stack = started_on(&kept, folder.path()).await;
    // The import goes on from the middle, by the messages of then, and each of its rows counts once.
    let half = stack.ended(kept.about("half")).await;
    adds_up(&half);
    let failed = (0..ROWS).filter(|row| row % 20 == 2).count() as u64;
    assert_eq!((half.status, half.rows.total), (Status::CompletedWithErrors, Some(ROWS)), "{half:?}");
    assert_eq!((half.rows.created, half.rows.failed), (ROWS - failed, failed), "{half:?}");
    let errors = stack.errors(&half.id).await;
    assert_eq!(errors.iter().map(|error| error.row).collect::<Vec<_>>(), [3, 23], "of both halves");
    let rejected_rows = rejected(&stack, &half).await;
    let is_there = |row: &str| rejected_rows.contains(row);
    assert!(is_there("H-2,Half 2,Acme,cheap") && is_there("H-22,Half 22,Acme,cheap"), "{rejected_rows}");
    let skus: Vec<_> = (0..ROWS).map(|row| format!("H-{row}")).collect();
    assert_eq!(stack.records("1", &skus).await.len() as u64, ROWS - failed);
    // Records of then are changed by an import of now.
    let again = imported(&stack, rows().replace("Acme", "Ajax").as_bytes()).await;
    assert_eq!((again.rows.updated, again.rows.failed), (ROWS - failed, failed), "{again:?}");
    // The report and the export that were ordered then are done.
    let ended = stack.ended(kept.about("ended")).await;
    assert!(rejected(&stack, &ended).await.contains("E-1,One,Acme,cheap"));
    let exported = async || stack.client.export(kept.about("export")).await.expect("there").status.is_final();
    stack.passes_until("the export has ended", exported).await;
    let export = stack.client.export(kept.about("export")).await.expect("there");
    assert_eq!(export.status, ExportStatus::Completed, "{export:?}");

    read_tenant(&stack, &stack.client_of(kept.about("token")), kept.about("review")).await;
    // A removal that had begun goes on, and one of everything in every form leaves nothing.
    removed(&stack, LEAVER).await;
    stack.client.delete_account(TENANT.0).await.expect("ordered");
    removed(&stack, TENANT.0).await;
    let items = [import_items(&stack).await, record_items(&stack).await].concat();
    let left: Vec<_> = items.iter().filter(|item| item.to_string().contains(TENANT.1)).collect();
    assert!(left.is_empty(), "{left:?}");
    stack.stop().await;
}
