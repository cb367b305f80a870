//! Least privilege: what the functions ask of AWS while imports go well and badly, and what their roles in
//! `template.yaml` allow, are the same. Each function signs with a key of its own; the proxy before the services tells
//! what was asked for in the words of IAM.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use penstock_client::{Bytes, NewExport, NewImport, NewPreset};
use penstock_local::{Call, Options};
use penstock_model::{
    Abort, AccountRemovalStage, ExportStatus, FunctionName, ImportOptions, Mode, Order, QueueName, Status, Webhook,
    WebhookChange, WebhookId, limits,
};
use penstock_webhooks::Secret;
use reqwest::Method;
use serde_json::json;
use yaml_serde::Value;

use crate::support::{
    Stack, TOKEN,
    crashes::{arm, armed, stack_with_crashes_and},
    files, http,
    receiver::{Manner, Receiver},
    storage,
    sts::Sts,
    template::{self, as_allowed, list, shown},
    tenant::key_of,
    until, upload,
};

/// As whom the api signs for clients, and the role for that.
const SIGNER: &str = "signer";

/// What Lambda does in a function's name: it polls the queues, writes logs and traces, and hands over what failed.
const OF_LAMBDA: [&str; 7] = [
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
];

/// What S3, SQS and DynamoDB do in a role's name, where they are given keys.
const OF_SERVICES: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

/// What is allowed and not done here, and why it is needed all the same.
const NOT_STAGED: [(&str, &str, &str, &str); 9] = [
    ("split", "s3:AbortMultipartUpload", "results/digest", "a digest of several parts that breaks off"),
    ("api", "s3:ListBucket", "uploads", "a preview of an upload that is gone is told so, not forbidden"),
    ("report", "s3:ListBucket", "uploads", "an upload that is gone before its report is told so, not forbidden"),
    ("report", "s3:AbortMultipartUpload", "results/rejected", "a file of several parts that breaks off"),
    ("report", "s3:GetObject", "results/rejected", "whether a file of several parts was put together by another"),
    ("report", "s3:ListMultipartUploadParts", "results/rejected", "a file that takes more than one invocation"),
    ("report", "sqs:SendMessage", "reports", "a file that takes more than one invocation"),
    ("remove", "s3:ListBucket", "uploads", "an upload that is gone before its removal is told so, not forbidden"),
    ("export", "s3:ListBucket", "results", "a file that is not there is told so, not forbidden"),
];

/// What this test does itself, with the credentials of the api: it stores what API Gateway does, what is dropped off
/// and what broke off, and looks.
const BY_THE_TEST: [(&str, &str, &str); 4] = [
    ("api", "s3:PutObject", "uploads/refused"),
    ("api", "s3:PutObject", "results/rejected"),
    ("api", "s3:PutObject", "uploads/inbox"),
    ("api", "s3:ListBucketVersions", "uploads"),
];

/// The resources of the template by the names that they have in the local cloud.
fn local(resource: &str) -> Option<String> {
    let uploads = |rest: &str| format!("uploads{rest}");
    let is_named = |queue: &&QueueName| resource == format!("!GetAtt {}.Arn", queue.logical_id());
    if let Some(queue) = QueueName::ALL.iter().find(is_named) {
        return Some(queue.to_string());
    }
    let name = match resource {
        index if index.contains(":table/${Table}/index/due\n") => "penstock-imports/index/due".to_owned(),
        imports if imports.contains(":table/${Table}\n") && imports.ends_with("!Ref ImportsTable") => {
            "penstock-imports".to_owned()
        }
        records if records.contains(":table/${Table}\n") && records.ends_with("!Ref RecordsTable") => {
            "penstock-records".to_owned()
        }
        "!Sub ${UploadsBucket.Arn}/uploads/*" => uploads("/uploads"),
        "!Sub ${UploadsBucket.Arn}/inbox/*" => uploads("/inbox"),
        "!Sub ${UploadsBucket.Arn}/refused/*" => uploads("/refused"),
        "!GetAtt UploadsBucket.Arn" => uploads(""),
        "!Sub ${ResultsBucket.Arn}/rejected/*" => "results/rejected".to_owned(),
        "!Sub ${ResultsBucket.Arn}/exports/*" => "results/exports".to_owned(),
        "!Sub ${ResultsBucket.Arn}/digest/*" => "results/digest".to_owned(),
        "!GetAtt ResultsBucket.Arn" => "results".to_owned(),
        "!GetAtt SignerRole.Arn" => SIGNER.to_owned(),
        bus if bus.ends_with(":event-bus/${EventBus}") => "penstock".to_owned(),
        // By Lambda, when a storage event has failed for good.
        "!GetAtt SplitsDeadQueue.Arn" => return None,
        by_name if by_name.contains("penstock-uploads-${Stack}/uploads/*") => uploads("/uploads"),
        by_name if by_name.contains("penstock-uploads-${Stack}/inbox/*") => uploads("/inbox"),
        by_name if by_name.contains("penstock-uploads-${Stack}\n") => uploads(""),
        other => panic!("what is {other}?"),
    };
    Some(name)
}

/// What each function's role allows, and that which signs for the api.
fn allowed() -> BTreeSet<Call> {
    let template = template::read("template.yaml");
    let mut allowed = BTreeSet::new();
    let resources = template["Resources"].as_mapping().expect("resources");
    let roles = FunctionName::ALL.map(|function| (function.to_string(), function.logical_id("Role")));
    for (function, role) in roles.into_iter().chain([(SIGNER.to_owned(), "SignerRole".to_owned())]) {
        let policies = list(&template["Resources"][role.as_str()]["Properties"]["Policies"]);
        // Those that stand apart.
        let is_of_role = |policy: &&Value| {
            policy["Type"] == "AWS::IAM::Policy"
                && list(&policy["Properties"]["Roles"]).iter().any(|of| shown(of) == format!("!Ref {role}"))
        };
        let apart = resources.values().filter(is_of_role).map(|policy| &policy["Properties"]);
        let documents = policies.into_iter().chain(apart).map(|policy| &policy["PolicyDocument"]["Statement"]);
        for statement in documents.flat_map(list) {
            let statement = as_allowed(statement);
            for action in list(&statement["Action"]).into_iter().map(|action| action.as_str().expect("an action")) {
                assert!(!action.contains('*'), "{role}: {action}");
                if OF_LAMBDA.contains(&action) || OF_SERVICES.contains(&action) {
                    continue;
                }
                for resource in list(&statement["Resource"]).into_iter().filter_map(|resource| local(&shown(resource)))
                {
                    let (function, action) = (function.clone(), action.to_owned());
                    allowed.insert(Call { function, action, resource });
                }
            }
        }
    }
    allowed
}

fn shown_calls(calls: &BTreeSet<&Call>) -> String {
    let mut lines = BTreeMap::<_, Vec<_>>::new();
    for call in calls {
        lines.entry(&call.function).or_default().push(format!("{} {}", call.action, call.resource));
    }
    lines.into_iter().map(|(function, calls)| format!("  {function}: {}\n", calls.join(", "))).collect()
}

/// Imports that end in every way, through every door, and functions that die on the way.
async fn run(stack: &Stack, crashes: &Path) {
    let native = |path: String, method: Method| stack.request(method, &path).bearer_auth(TOKEN);
    // Every record made, then changed, rows rejected, read back, listed, deleted.
    let import = stack.import(&files::plain(0, 900, "1")).await;
    assert_eq!(import.status, Status::Completed);
    let bad = stack.import(b"sku,name,brand,cost\nS-1,One,Acme,1\nS-2,Two,Acme,cheap\n").await;
    assert_eq!(bad.status, Status::CompletedWithErrors);
    stack.import(&files::plain(0, 300, "2")).await;
    assert_eq!(http::send(native("/v1/imports".into(), Method::GET)).await.status, 200);
    stack.errors(&bad.id).await;
    let rejected = http::send(native(format!("/v1/imports/{}/rejected", bad.id), Method::GET)).await;
    let file = http::client().get(rejected.header("location").expect("where the file is"));
    assert_eq!((rejected.status, http::send(file).await.status), (303, 200));
    assert_eq!(http::send(native("/v1/records/products/S-1".into(), Method::GET)).await.status, 200);
    assert_eq!(http::send(native("/v1/records/products?limit=1".into(), Method::GET)).await.status, 200);
    assert_eq!(http::send(native("/v1/records/products/S-1?provenance=true".into(), Method::GET)).await.status, 200);
    assert_eq!(http::send(native("/v1/records/products/S-1".into(), Method::DELETE)).await.status, 204);
    let kind =
        native("/v1/kinds/gadgets".into(), Method::PUT).body(r#"{ "primaryKey": "id", "fields": [{ "name": "id" }] }"#);
    assert_eq!(http::send(kind).await.status, 201);
    assert_eq!(http::send(native("/v1/kinds/gadgets".into(), Method::DELETE)).await.status, 204);
    let preview = native(format!("/v1/imports/{}/preview", import.id), Method::POST);
    assert_eq!(http::send(preview).await.status, 200);
    assert_eq!(http::send(native(format!("/v1/imports/{}", bad.id), Method::DELETE)).await.status, 204);
    // An upload of several parts that turns out too large, and one by a form.
    let form = |bytes: usize| {
        let file = format!("_email\na@example.org\n{}", "x".repeat(bytes));
        let file = reqwest::multipart::Part::text(file).file_name("contacts.csv");
        let form = reqwest::multipart::Form::new().text("type", "contacts").part("file", file);
        stack.request(Method::POST, "/imports").header("authorization", format!("apiKey {TOKEN}")).multipart(form)
    };
    assert_eq!(http::send(form(51 << 20)).await.status, 413);
    assert_eq!(http::send(form(0)).await.status, 201);
    // One that is cancelled, one that fails early, one that nobody fills.
    let cancelled = stack.create(ImportOptions::default()).await;
    http::send(native(format!("/v1/imports/{}/cancel", cancelled.id), Method::POST)).await;
    let abort = Some(Abort { rows: 200, percent: 1 });
    let hostile = files::hostile(5, 600);
    stack.import_with(&hostile, ImportOptions { abort, ..ImportOptions::default() }).await;
    let unused = stack.create(ImportOptions::default()).await;
    // Functions die between their steps; what they left is found.
    for point in ["split.chunks_sent", "validate.begun", "validate.records", "end.ended", "report.written"] {
        arm(crashes, point);
        stack.import(&files::hostile(7, 400)).await;
        assert_eq!(armed(crashes), [""; 0]);
    }
    // Every validator dies before it decides: the chunk is swept.
    stack.pass(Duration::from_secs(40 * 60)).await;
    assert_eq!(stack.ended(&unused.id).await.status, Status::Expired);
    run_inbox(stack).await;
    run_again(stack).await;
    run_reviews(stack).await;
    run_parts(stack).await;
    run_exports(stack, crashes).await;
    run_removal(stack).await;
    // A replace whose only chunk comes again when its file is read: its validator is the last, and orders the removal.
    let replace = ImportOptions { mode: Mode::Replace, most_removed_percent: Some(100), ..ImportOptions::default() };
    arm(crashes, "validate.begun");
    assert_eq!(stack.import_with(&files::plain(0, 50, "1"), replace).await.status, Status::Completed);
    assert_eq!(armed(crashes), [""; 0]);
    run_replaces(stack).await;
    // The authorizer, before an upload that goes past Lambda.
    let created = stack.request(Method::POST, "/v1/products/import").bearer_auth(TOKEN);
    let created = http::send(created).await.json();
    let ask = |id: &str, kind: &str| {
        let headers = json!({ "authorization": format!("Bearer {TOKEN}"), "content-type": kind });
        json!({
            "type": "REQUEST", "methodArn": "arn:aws:execute-api:local:0:api/live/PUT/x", "httpMethod": "PUT", "headers": headers,
            "pathParameters": { "id": id }, "requestContext": { "requestId": "r", "identity": { "sourceIp": "127.0.0.1" } },
        })
        .to_string()
    };
    let id = created["id"].as_str().expect("an id");
    let told = async |id: &str, kind: &str| {
        let told = stack.cloud.invoke("authorize", ask(id, kind)).await.expect("the authorizer answers");
        serde_json::from_slice::<serde_json::Value>(&told).expect("JSON")
    };
    // API Gateway knows by these letters alone what it passes on as bytes.
    for kind in ["Text/CSV", "text/PLAIN; charset=utf-8"] {
        let told = told(id, kind).await;
        assert_eq!(told["context"]["status"], "415", "{told}");
        assert!(told["context"]["body"].as_str().is_some_and(|body| body.contains("small letters")), "{told}");
    }
    for (id, kind, status) in
        [(id, "text/csv; charset=utf-8", "201"), (id, "image/png", "415"), ("imp_0", "text/csv", "404")]
    {
        let told = told(id, kind).await;
        assert_eq!(told["context"]["status"], status, "{told}");
        let by_handler = if status == "201" { continue } else { status.parse::<u16>().expect("a status") };
        // The dialect's own handler says the same.
        let put = stack.request(Method::PUT, &format!("/v1/products/import/{id}")).bearer_auth(TOKEN);
        let answer = http::send(put.header("content-type", kind).body("code\n")).await;
        assert_eq!(answer.status, by_handler);
        assert_eq!(answer.text(), told["context"]["body"].as_str().expect("a body"));
    }
}

/// Has the splitter continue an import's split, by a message of its queue.
async fn continue_split(stack: &Stack, import: &str) {
    let (account, import) = ("1".parse().expect("valid"), import.parse().expect("an id"));
    let order = Order::Continue { account, import, died_at: None }.encode().expect("small");
    let event = json!({ "Records": [{ "messageId": "1", "eventSource": "aws:sqs", "body": order }] }).to_string();
    let answer = stack.cloud.invoke("split", event).await.expect("split answers");
    assert_eq!(answer, r#"{"batchItemFailures":[]}"#);
}

/// Files that are dropped off: one that becomes an import, which is deleted behind it, and one that waits for its
/// preset.
async fn run_inbox(stack: &Stack) {
    let preset = NewPreset { kind: "contacts".into(), ..NewPreset::default() };
    stack.client.put_preset("people", &preset).await.expect("put");
    for key in ["inbox/1/people/a.csv", "inbox/1/later/a.csv"] {
        storage::put(stack, key, b"_email\na@example.org\n").await;
    }
    let of_inbox = async || {
        let all = stack.client.list(None, 100).await.expect("a page").imports;
        all.into_iter().filter(|import| import.filename.as_deref() == Some("a.csv")).collect::<Vec<_>>()
    };
    stack.passes_until("a file is imported", async || !of_inbox().await.is_empty()).await;
    let import = stack.ended(&of_inbox().await[0].id).await;
    stack.client.delete(&import.id).await.expect("deleted");
    stack.client.put_preset("later", &preset).await.expect("put");
    let is_empty = async || storage::listed(stack, "inbox/").await.is_empty();
    stack.passes_until("the inbox is empty", is_empty).await;
}

/// Imports of what was uploaded to another one: with rejected rows and without, the first of them deleted behind them.
async fn run_again(stack: &Stack) {
    for file in [files::hostile(9, 100), files::plain(0, 10, "1")] {
        let first = stack.import(&file).await;
        let new = NewImport { from: Some(first.id.clone()), ..NewImport::default() };
        let again = stack.client.create(&new, None).await.expect("an import is made");
        assert_eq!(stack.ended(&again.id).await.rows.failed, first.rows.failed);
        stack.client.delete(&first.id).await.expect("deleted");
        stack.client.delete(&again.id).await.expect("deleted");
    }
}

/// Reviews with rejected rows: one that is refused since the catalogue has moved, and confirmed all the same; one that
/// nobody confirms; their claims removed.
async fn run_reviews(stack: &Stack) {
    let review = ImportOptions { review: true, ..ImportOptions::default() };
    let judged = async |file: &[u8]| {
        let import = stack.create(review.clone()).await;
        assert_eq!(upload(&import, file).await, 200);
        stack.cloud.quiet().await;
        import.id
    };
    let id = judged(b"sku,name,brand\nR-1,One,Acme\nR-2,,Acme\n").await;
    stack.import(b"sku,name,brand\nR-3,Three,Acme\n").await;
    assert!(stack.client.confirm(&id).await.is_err());
    let all_the_same = penstock_client::Confirm { even_if_moved: true };
    let made = stack.client.confirm_with(&id, all_the_same).await.expect("confirmed");
    assert_eq!(stack.ended(&made.id).await.rows.created, 1);
    let id = judged(b"sku,name,brand\nR-4,One,Acme\n").await;
    stack.pass(Duration::from_secs(8 * 24 * 3600)).await;
    assert_eq!(stack.ended(&id).await.confirmed_as, None);
}

/// Uploads in parts: completed, completed again by somebody who was not told, given up, left to expire.
async fn run_parts(stack: &Stack) {
    let begin = async || {
        let import = stack.create(ImportOptions::default()).await;
        let part = stack.client.part_urls(&import.id, &[1]).await.expect("a URL").parts.remove(0);
        let content = Bytes::from_static(b"sku,name,brand\nS-1,One,Acme\n");
        let taken = stack.client.upload_part(&part, content, &Arc::default()).await.expect("taken");
        (import.id, [taken])
    };
    let (id, taken) = begin().await;
    stack.client.complete(&id, &taken).await.expect("completed");
    assert_eq!(stack.ended(&id).await.status, Status::Completed);
    let (id, taken) = begin().await;
    let import = stack.client.import(&id).await.expect("there");
    let uploaded = stack.client.part_urls(&id, &[1]).await.expect("a URL");
    assert_eq!(uploaded.expires_at, import.expires_at);
    stack.client.give_up_parts(&id).await.expect("given up");
    assert!(stack.client.complete(&id, &taken).await.is_err());
    let (expired, _) = begin().await;
    stack.pass(Duration::from_secs(25 * 3600)).await;
    assert_eq!(stack.ended(&expired).await.status, Status::Expired);
    stack.cloud.quiet().await;
}

/// Webhooks: one that fails, is ordered again hours later, and is gone at last; one that is deleted before an attempt;
/// and a message that goes back.
async fn run_webhooks(stack: &Stack) {
    let store = stack.cloud.store();
    let receiver = Receiver::with([Manner::Status(500); 5].into_iter().chain([Manner::Status(410)])).await;
    let made = async |number: u8| {
        let id = WebhookId::new(store.now_ms(), [number; 10]);
        let secret = Secret::random().expose();
        let webhook = Webhook::new(id, "1".parse().expect("valid"), receiver.url(), secret, store.now_ms());
        store.create_webhook(&webhook).await.expect("stored");
        webhook
    };
    let webhook = made(1).await;
    let told = store.send_test(&webhook).await.expect("ordered");
    let now = async || store.webhook(&webhook.account, &webhook.id).await.expect("read").expect("there");
    stack.passes_until("the endpoint is disabled", async || now().await.disabled.is_some()).await;
    let enabled = now().await.change(WebhookChange { disabled: Some(false), ..WebhookChange::default() }, 1);
    assert!(store.replace_webhook(&now().await, &enabled).await.expect("stored"));
    assert!(store.resend(&webhook.account, &webhook.id, told.id()).await.expect("stored").is_some());
    stack.cloud.quiet().await;
    assert_eq!(receiver.came().len(), 7);
    receiver.set([Manner::Status(500)]);
    let deleted = made(2).await;
    store.send_test(&deleted).await.expect("ordered");
    stack.cloud.quiet().await;
    for webhook in store.list_webhooks(&webhook.account).await.expect("read") {
        assert!(store.delete_webhook(&webhook.account, &webhook.id).await.expect("deleted"));
    }
    stack.pass(Duration::from_secs(61)).await;
    stack.cloud.quiet().await;
    let queue = stack.cloud.queue(QueueName::Notifications.as_str()).expect("the queue");
    queue.send("no order".to_owned(), None, Duration::ZERO);
    until("the message has gone back", async || queue.depth().in_flight == 1).await;
    stack.cloud.quiet().await;
    queue.purge();
}

/// Exports: fetched and deleted, finished by another than who put the file together, cancelled with a part stored.
async fn run_exports(stack: &Stack, crashes: &Path) {
    let order = async || {
        let export = NewExport { kind: "products".to_owned(), ..NewExport::default() };
        stack.client.create_export(&export).await.expect("ordered").id
    };
    arm(crashes, "export.stored");
    let id = order().await;
    let completed = async || stack.client.export(&id).await.expect("there").status == ExportStatus::Completed;
    stack.passes_until("the export is completed", completed).await;
    assert_eq!(armed(crashes), [""; 0]);
    let url = stack.client.export(&id).await.expect("there").url.expect("a URL");
    assert!(stack.client.export_file(&url).await.expect("the file").chunk().await.expect("read").is_some());
    stack.client.exports(None, 10).await.expect("a page");
    stack.client.delete_export(&id).await.expect("deleted");
    arm(crashes, "export.part.always");
    let id = order().await;
    stack.cloud.quiet().await;
    stack.client.cancel_export(&id).await.expect("cancelled");
    std::fs::remove_file(crashes.join("export.part.always")).expect("removed");
    stack.pass(Duration::from_secs(40 * 60)).await;
    stack.cloud.quiet().await;
}

/// An account that is listed and removed, with a body that was refused and a rejected rows file that broke off.
async fn run_removal(stack: &Stack) {
    let (_, token) = key_of(stack, "ibex").await;
    let client = stack.client_of(&token);
    let import = client.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(upload(&import, b"sku,name,brand,cost\nS-1,One,Acme,1\nS-2,Two,Acme,cheap\n").await, 200);
    stack.ended_for(&client, &import.id).await.expect("it ends");
    let (s3, settings) = (storage::s3(stack), stack.cloud.store().settings());
    let refused = s3.put_object().bucket(&settings.uploads_bucket).key("refused/ibex/r-1");
    refused.body(b"a".to_vec().into()).send().await.expect("stored");
    storage::put(stack, "inbox/ibex/none/a.csv", b"a").await;
    let broken_off = s3.create_multipart_upload().bucket(&settings.uploads_bucket).key("inbox/ibex/none/b.csv");
    broken_off.send().await.expect("begun");
    let broken_off = s3.create_multipart_upload().bucket(&settings.results_bucket).key("rejected/ibex/open.csv");
    broken_off.send().await.expect("begun");
    stack.client.accounts(None, 10).await.expect("a page");
    stack.client.delete_account("ibex").await.expect("ordered");
    let removed =
        async || stack.client.account_removal("ibex").await.expect("there").status == AccountRemovalStage::Removed;
    for hours in [1, 25] {
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(hours * 3600)).await;
    }
    stack.passes_until("the account is removed", removed).await;
}

/// Replaces: with rejected rows, of no row, with an upload that waits, held and confirmed; and every record of a kind.
async fn run_replaces(stack: &Stack) {
    let replace =
        |most| ImportOptions { mode: Mode::Replace, most_removed_percent: Some(most), ..ImportOptions::default() };
    stack.import(&files::plain(0, 300, "1")).await;
    let mut file = files::plain(0, 200, "1");
    file.extend(b"SKU-201,,Acme,1\n");
    // The gate is set when the first upload is accepted; the second one waits, or comes when it is free.
    let first = stack.create(replace(100)).await;
    assert_eq!(upload(&first, &file).await, 200);
    let accepted = async || stack.client.import(&first.id).await.expect("there").status != Status::AwaitingUpload;
    until("the replace is accepted", accepted).await;
    let second = stack.uploaded(&files::plain(0, 200, "1")).await;
    assert_eq!(stack.ended(&first.id).await.status, Status::CompletedWithErrors);
    assert_eq!(stack.ended(&second.id).await.status, Status::Completed);
    let held = stack.create(replace(0)).await;
    assert_eq!(upload(&held, b"sku,name,brand\n").await, 200);
    stack.cloud.quiet().await;
    stack.client.removals(&held.id, None, 10).await.expect("a page");
    stack.client.confirm(&held.id).await.expect("confirmed");
    assert!(stack.ended(&held.id).await.removed > 0);
    stack.client.delete(&held.id).await.expect("deleted");
    let all = stack.client.remove_all_records("products", None).await.expect("ordered");
    assert_eq!(stack.ended(&all.id).await.status, Status::Completed);
    stack.import(&files::plain(0, 300, "1")).await;
}

/// What comes of lost events and messages, of chunks and splits that are given up, and of reports that were not asked
/// for.
async fn run_badly(crashes: &Path, calls: &mut BTreeSet<Call>) {
    let with = async |change: fn(&mut Options)| {
        let sts = Sts::start().await;
        let stack = stack_with_crashes_and(crashes, |options| {
            options.proxy = true;
            sts.signs_for(options);
            change(options);
        })
        .await;
        sts.knows(&stack);
        stack
    };
    // An upload of which nobody was told, and an id without one.
    let stack = with(|options| options.faults.event_lost = 1.0).await;
    let import = stack.uploaded(&files::plain(0, 250, "1")).await;
    let unused = stack.create(ImportOptions::default()).await;
    continue_split(&stack, &unused.id).await;
    assert_eq!(stack.ended(&import.id).await.status, Status::Completed);
    finish(stack, calls).await;
    // Messages that are lost.
    let stack = with(|options| {
        options.faults.message_delayed = 1.0;
        options.faults.delay = Duration::from_secs(24 * 3600);
    })
    .await;
    // Its order to remove is lost. Behind it the other one waits, and that is told to nobody.
    let options = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    let replace = stack.create(options).await;
    assert_eq!(upload(&replace, b"sku,name,brand\n").await, 200);
    stack.cloud.quiet().await;
    let import = stack.uploaded(&files::plain(0, 950, "1")).await;
    // Of another kind nothing holds an import up, and its chunk is lost.
    let contacts = NewImport { kind: Some("contacts".to_owned()), ..NewImport::default() };
    let contacts = stack.client.create(&contacts, None).await.expect("created");
    assert_eq!(upload(&contacts, b"_email\na@example.org\n").await, 200);
    let export = NewExport { kind: "products".to_owned(), ..NewExport::default() };
    let export = stack.client.create_export(&export).await.expect("ordered");
    stack.cloud.quiet().await;
    for queue in ["chunks", "exports", "removals"] {
        stack.cloud.queue(queue).expect("the queue").purge();
    }
    stack.cloud.faults().clear();
    assert_eq!(stack.ended(&replace.id).await.status, Status::Completed);
    assert_eq!(stack.ended(&import.id).await.status, Status::Completed);
    assert_eq!(stack.ended(&contacts.id).await.status, Status::Completed);
    let ended = async || stack.client.export(&export.id).await.expect("there").status.is_final();
    stack.passes_until("the export has ended", ended).await;
    finish(stack, calls).await;
    // A chunk that no validator can finish, and a split that gets nowhere.
    let stack = with(|options| options.queues[QueueName::Chunks].max_receive_count = 5).await;
    for point in ["validate.received.always", "split.columns.always"] {
        arm(crashes, point);
        assert!(stack.import(&files::plain(1000, 250, "1")).await.status.is_final());
        std::fs::remove_file(crashes.join(point)).expect("removed");
    }
    finish(stack, calls).await;
    // A chunk that is begun again and again, and never worked out.
    let stack = with(|_| {}).await;
    arm(crashes, "validate.working_out.always");
    let import = stack.import(&files::plain(1000, 50, "1")).await;
    assert_eq!(import.status, Status::CompletedWithErrors);
    std::fs::remove_file(crashes.join("validate.working_out.always")).expect("removed");
    // A message that goes back is told when to come again, and so is a split that a service keeps from its work.
    let event = json!({ "Records": [{
        "messageId": "1", "receiptHandle": "r", "eventSource": "aws:sqs", "body": "no order",
        "attributes": { "ApproximateReceiveCount": "1" } }] });
    let answer = stack.cloud.invoke("validate", event.to_string()).await.expect("validate answers");
    assert_eq!(answer, r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#);
    finish(stack, calls).await;
    // Reports that nobody asked for, since whoever ended the import died: a late event, and a client who cancels, find
    // that.
    for by_client in [false, true] {
        let stack = with(|options| options.scheduled = false).await;
        arm(crashes, "end.ended");
        let import = stack.uploaded(b"sku,name,brand\nS-1,,Acme\n").await;
        stack.cloud.quiet().await;
        assert_eq!(armed(crashes), [""; 0]);
        if by_client {
            let cancel = stack.request(Method::POST, &format!("/v1/imports/{}/cancel", import.id)).bearer_auth(TOKEN);
            http::send(cancel).await;
        } else {
            continue_split(&stack, &import.id).await;
        }
        stack.cloud.quiet().await;
        finish(stack, calls).await;
    }
    // A split that hands on before its time is over.
    let stack = with(|options| {
        options.faults.deadline_near = 1.0;
        options.environment.push(("PENSTOCK_EXPORT_PART_BYTES".into(), limits::PART_LEAST_BYTES.to_string()));
    })
    .await;
    arm(crashes, "split.continued");
    // Records that make two parts of an export.
    let mut file = b"sku,name,brand,description\n".to_vec();
    (0..400).for_each(|row| file.extend(format!("S-{row},One,Acme,{}\n", "x".repeat(20_000)).into_bytes()));
    assert_eq!(stack.import(&file).await.status, Status::Completed);
    let export = NewExport { kind: "products".to_owned(), ..NewExport::default() };
    let export = stack.client.create_export(&export).await.expect("ordered");
    let ended = async || stack.client.export(&export.id).await.expect("there").status.is_final();
    stack.passes_until("the export has ended", ended).await;
    assert_eq!(armed(crashes), [""; 0]);
    finish(stack, calls).await;
}

async fn finish(stack: Stack, calls: &mut BTreeSet<Call>) {
    calls.extend(stack.cloud.calls());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_allow_what_the_functions_do_and_nothing_else() {
    let crashes = tempfile::tempdir().expect("a folder");
    let sts = Sts::start().await;
    let stack = stack_with_crashes_and(crashes.path(), |options| {
        options.proxy = true;
        options.bus = true;
        sts.signs_for(options);
        options.environment.push(("PENSTOCK_RATE_LIMITS".into(), "algure.all.account=1000/60".into()));
    })
    .await;
    sts.knows(&stack);
    run(&stack, crashes.path()).await;
    run_webhooks(&stack).await;
    stack.cloud.quiet().await;
    let mut made = BTreeSet::new();
    finish(stack, &mut made).await;
    made.extend(sts.calls());
    run_badly(crashes.path(), &mut made).await;
    let allowed = allowed();
    let is_the_tests = |call: &&Call| {
        BY_THE_TEST.iter().any(|(f, a, r)| (*f, *a, *r) == (&call.function, &call.action, &call.resource))
    };
    let forbidden: BTreeSet<_> = made.difference(&allowed).filter(|call| !is_the_tests(call)).collect();
    assert!(forbidden.is_empty(), "not allowed by the template:\n{}", shown_calls(&forbidden));
    let staged = |call: &&Call| {
        !NOT_STAGED.iter().any(|(f, a, r, _)| (*f, *a, *r) == (&call.function, &call.action, &call.resource))
    };
    let unused: BTreeSet<_> = allowed.difference(&made).filter(staged).collect();
    assert!(unused.is_empty(), "allowed by the template and never made:\n{}", shown_calls(&unused));
}
