//! A page of another origin, in Chromium: what it may do with the local cloud, and what it must not.
//!
//! Where there is no Chromium this test says so and passes, but not where `CI` is `true`: there nothing may be left
//! out.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use axum::{
    Json, Router,
    response::Html,
    routing::{get, post},
};
use penstock_local::{Asked, Event, Events};
use penstock_model::{ImportOptions, Status};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use super::{
    products,
    support::{
        Stack, TOKEN,
        programs::{Group, left_out},
    },
};

/// By which names it is called.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Within this time a page has said what it found.
const DEADLINE: Duration = Duration::from_secs(120);

/// Chromium with one page, until it is dropped.
struct Browser {
    chromium: Group,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where there is no Chromium.
    fn open(page: &str) -> Option<Self> {
        Self::open_with(&[], page)
    }

    fn open_with(more: &[&str], page: &str) -> Option<Self> {
        let profile = tempfile::tempdir().expect("a folder");
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
        let start = |name: &str| {
            let mut command = Command::new(name);
            command.args(arguments).args(more);
            command.arg(format!("--user-data-dir={}", profile.path().display())).arg(page);
            command.env("HOME", profile.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Group::start(&mut command)
        };
        let Some(chromium) = CHROMIUM.into_iter().find_map(start) else {
            left_out("Chromium is not installed");
            return None;
        };
        Some(Self { chromium, _profile: profile })
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

/// What a page does with the native API: all that an import takes.
const IMPORT: &str = r#"
const found = {};
const key = { authorization: "Bearer " + told.token };
const attempt = async (name, run) => {
  try { found[name] = await run(); } catch (error) { found[name] = error.name; }
};
const create = async (number) => {
  const headers = { ...key, "content-type": "application/json", "idempotency-key": told.name + number };
  const answer = await fetch(told.api + "/v1/imports", { method: "POST", headers, body: '{"kind": "products"}' });
  return [answer, await answer.json()];
};
const ended = async (id) => {
  for (;;) {
    const answer = await fetch(told.api + "/v1/imports/" + id, { headers: key });
    const seen = await answer.json();
    if (seen.completed_at) return seen.status;
  }
};
await attempt("by put", async () => {
  const [answer, made] = await create(1);
  const { url, headers } = made.upload;
  const put = await fetch(url, { method: "PUT", headers: { ...headers, "content-type": "text/csv" }, body: told.file });
  return [answer.status, answer.headers.get("location") === "imports/" + made.id, put.status, await ended(made.id)];
});
await attempt("by form", async () => {
  const [answer, made] = await create(2);
  const form = new FormData();
  for (const [name, value] of Object.entries(made.form.fields)) form.append(name, value);
  form.append("file", new File([told.file], "products.csv", { type: "text/csv" }));
  const post = await fetch(made.form.url, { method: "POST", body: form });
  return [answer.status, post.status, await ended(made.id)];
});
await attempt("an error", async () => {
  const answer = await fetch(told.api + "/v1/imports/none", { headers: key });
  return [answer.status, (await answer.json()).code];
});
await attempt("to be tried again", async () => {
  const answer = await fetch(told.api + "/v1/imports/" + told.waiting + "/rejected", { headers: key });
  return [answer.status, answer.headers.get("retry-after")];
});
await attempt("a delete", async () =>
  (await fetch(told.api + "/v1/imports/" + told.waiting, { method: "DELETE", headers: key })).status);
await attempt("a dialect", async () => (await fetch(told.api + "/imports", { headers: key })).status);
await fetch("/found", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(found) });
"#;

/// A port of this machine, and the origin of the pages that are served on it.
async fn origin() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, origin)
}

/// Serves a page that is told this and runs a script, and gives what it found.
async fn found_by_a_page((listener, origin): (TcpListener, String), script: &str, told: &Value) -> Option<Value> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let page = format!("<!doctype html><meta charset=utf-8><script type=module>const told = {told};{script}</script>");
    let found = async move |Json(found): Json<Value>| drop(sender.send(found));
    let router = Router::new().route("/", get(async || Html(page))).route("/found", post(found));
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
    let Some(found) = found_by_a_page(origin().await, SCRIPT, &told).await else { return };
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

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_named_origin_imports_and_one_of_another_origin_reads_nothing() {
    let (named, other) = (origin().await, origin().await);
    let origins = named.1.clone();
    let stack = Stack::with(|options| options.environment.push(("PENSTOCK_CORS_ORIGINS".to_owned(), origins))).await;
    let waiting = stack.create(ImportOptions::default()).await.id;
    let told = |name: &str| {
        json!({
            "api": stack.cloud.url(),
            "token": TOKEN,
            "name": name,
            "waiting": waiting,
            "file": String::from_utf8(products(3)).expect("text"),
        })
    };
    let hidden = "TypeError";
    // Before the one that deletes it.
    let Some(found) = found_by_a_page(other, IMPORT, &told("other")).await else { return };
    let nothing = json!({
        "by put": hidden,
        "by form": hidden,
        "an error": hidden,
        "to be tried again": hidden,
        "a delete": hidden,
        "a dialect": hidden,
    });
    assert_eq!(found, nothing);
    let imports = stack.client.imports(&Default::default(), None, 10).await.expect("a page").imports;
    assert_eq!(imports.len(), 1, "a page of another origin made nothing");
    let found = found_by_a_page(named, IMPORT, &told("named")).await.expect("there is a browser");
    let wanted = json!({
        "by put": [201, true, 200, "completed"],
        "by form": [201, 204, "completed"],
        "an error": [404, "not_found"],
        "to be tried again": [409, "1"],
        "a delete": 204,
        "a dialect": hidden,
    });
    assert_eq!(found, wanted);
    stack.stop().await;
}

/// A page for people, and what it loads: its style from the same place, and nothing else. The other page to which it
/// leads is there too. Any other host would be looked for in vain.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_for_people_load_their_style_and_nothing_else() {
    let (events, mut told) = Events::channel();
    let stack = Stack::with(|options| options.events = Some(events)).await;
    for page in ["/docs", "/docs/algure"] {
        let nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";
        let picture = tempfile::tempdir().expect("a folder");
        let path = picture.path().join("page.png");
        let shoot = format!("--screenshot={}", path.display());
        let address = format!("{}{page}", stack.cloud.url());
        let Some(mut browser) = Browser::open_with(&[nowhere, &shoot], &address) else { return };
        // It ends when it has drawn the page.
        let drawn = tokio::task::spawn_blocking(move || browser.chromium.0.wait());
        assert!(tokio::time::timeout(DEADLINE, drawn).await.expect("it draws").expect("no panic").is_ok());
        assert!(std::fs::metadata(&path).expect("a picture").len() > 10_000, "{page} is empty");
        let mut asked = Vec::new();
        while let Ok(event) = told.try_recv() {
            if let Event::Request(Asked { path, status, .. }) = event {
                asked.push((path, status));
            }
        }
        assert_eq!(asked, [(page.to_owned(), Some(200)), ("/docs/style.css".to_owned(), Some(200))]);
    }
    stack.stop().await;
}
