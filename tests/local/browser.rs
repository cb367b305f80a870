//! A page of another origin, in Chromium: what it may do with the local cloud, and what it must not.
//!
//! Where there is no Chromium this test says so and passes, but not where `CI` is `true`: there nothing may be left
//! out.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{
    Json, Router,
    response::Html,
    routing::{get, post},
};
use penstock_model::{ImportOptions, Status};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{products, support::Stack};

/// By which names it is called.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Within this time a page has said what it found.
const DEADLINE: Duration = Duration::from_secs(120);

/// Chromium with one page, until it is dropped.
struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where there is no Chromium.
    fn open(page: &str) -> Option<Self> {
        let profile = tempfile::tempdir().expect("a folder");
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
        for name in CHROMIUM {
            let spawned = Command::new(name)
                .args(arguments)
                .arg(format!("--user-data-dir={}", profile.path().display()))
                .arg(page)
                .env("HOME", profile.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn();
            match spawned {
                Ok(child) => return Some(Self { child, _profile: profile }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "Chromium is not installed, and CI leaves nothing out");
        println!("NOT RUN: Chromium is not installed");
        None
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It is many processes.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// What a page does, given `told`; it posts what came of it to its own origin.
const SCRIPT: &str = r#"
const found = {};
const attempt = async (name, run) => {
  try { found[name] = await run(); } catch (error) { found[name] = error.name; }
};
const put = () => fetch(told.put, { method: "PUT", headers: { "if-none-match": "*", "content-type": "text/csv" }, body: told.file });
await attempt("put", async () => { const answer = await put(); return [answer.status, typeof answer.headers.get("etag")]; });
await attempt("put again", async () => { const answer = await put(); return [answer.status, (await answer.text()).includes("PreconditionFailed")]; });
await attempt("form", async () => {
  const form = new FormData();
  for (const [name, value] of Object.entries(told.form.fields)) form.append(name, value);
  form.append("file", new File([told.file], "products.csv", { type: "text/csv" }));
  return (await fetch(told.form.url, { method: "POST", body: form })).status;
});
await attempt("more than was signed", async () =>
  (await fetch(told.put, { method: "PUT", headers: { "x-amz-acl": "public-read" }, body: "x" })).status);
await attempt("results", async () => (await fetch(told.results)).status);
for (const [name, url] of Object.entries(told.inside)) {
  const ask = { method: "POST", body: told.question };
  await attempt(name, async () => (await (await fetch(url, ask)).text()));
  await attempt(name + ", as AWS is asked", async () => (await (await fetch(url, { ...ask, headers: told.headers })).text()));
}
await fetch("/found", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(found) });
"#;

/// Serves a page that is told this, and gives what it found.
async fn found_by_a_page(told: &Value) -> Option<Value> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let page = format!("<!doctype html><meta charset=utf-8><script type=module>const told = {told};{SCRIPT}</script>");
    let found = async move |Json(found): Json<Value>| drop(sender.send(found));
    let router = Router::new().route("/", get(async || Html(page))).route("/found", post(found));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let browser = Browser::open(&origin)?;
    let found = tokio::time::timeout(DEADLINE, receiver.recv()).await.expect("the page says what it found");
    drop(browser);
    serving.abort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_uploads_and_sees_nothing_else() {
    let stack = Stack::start().await;
    let (by_put, by_form) =
        (stack.create(ImportOptions::default()).await, stack.create(ImportOptions::default()).await);
    let endpoint = |name: &str| {
        let found = stack.cloud.environment().iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).expect("an endpoint")
    };
    let tables = endpoint("AWS_ENDPOINT_URL_DYNAMODB");
    let (address, _) = tables.rsplit_once('/').expect("a secret");
    let form = by_form.form.as_ref().expect("a form");
    let told = json!({
        "put": by_put.upload.as_ref().expect("a URL").url,
        "form": { "url": form.url, "fields": form.fields },
        "file": String::from_utf8(products(3)).expect("text"),
        "results": format!("{}/results/rejected/1/x.csv", stack.cloud.url()),
        "inside": {
            "tables": format!("{address}/"),
            // Should it be known after all.
            "tables with the secret": format!("{tables}/"),
            "queues": format!("{}/", endpoint("AWS_ENDPOINT_URL_SQS")),
            "storage": format!("{}/uploads", endpoint("AWS_ENDPOINT_URL_S3")),
        },
        "question": r#"{"TableName": "penstock-imports"}"#,
        "headers": { "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.Scan" },
    });
    let Some(found) = found_by_a_page(&told).await else { return };
    let hidden = "TypeError";
    let wanted = json!({
        "put": [200, "string"],
        "put again": [412, true],
        "form": 204,
        "more than was signed": hidden,
        "results": hidden,
        "tables": hidden,
        "tables, as AWS is asked": hidden,
        "tables with the secret": hidden,
        "tables with the secret, as AWS is asked": hidden,
        "queues": hidden,
        "queues, as AWS is asked": hidden,
        "storage": hidden,
        "storage, as AWS is asked": hidden,
    });
    assert_eq!(found, wanted);
    for id in [&by_put.id, &by_form.id] {
        assert_eq!(stack.ended(id).await.status, Status::Completed);
    }
    stack.stop().await;
}
