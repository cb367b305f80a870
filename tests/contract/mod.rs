//! The native API answers as its document says: a whole import, asked as another program would ask, each answer held
//! against the served document. The same answers are the document's examples.

mod dialects;
mod schema;
mod waits;

use std::collections::BTreeMap;

use penstock_client::NewImport;
use regex::Regex;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    self, Stack, held,
    http::{Answer, send},
    receiver::Receiver,
    upload,
};

/// Asks, and holds each answer against the document.
struct Asking<'a> {
    stack: &'a Stack,
    document: Value,
    /// The first answer of each operation and status, and the first body with which it succeeded.
    answers: BTreeMap<String, Value>,
}

impl<'a> Asking<'a> {
    /// Asks a stack. What has been answered before is kept.
    async fn of(stack: &'a Stack, answers: BTreeMap<String, Value>) -> Self {
        Self::at(stack, "", answers).await
    }

    /// Asks the API at a base.
    async fn at(stack: &'a Stack, base: &str, answers: BTreeMap<String, Value>) -> Self {
        let document = send(stack.request(Method::GET, &format!("{base}/openapi.json"))).await.json();
        Self { stack, document, answers }
    }
}

impl Asking<'_> {
    /// Asks what the document calls `name`, with a body in JSON. `path` is one that the operation's path fits.
    async fn ask(&mut self, name: &str, path: &str, body: Option<Value>) -> Answer {
        let answer = match &body {
            Some(body) => {
                let (.., operation) = self.operation(name);
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                schema::check(&self.document, schema, body).unwrap_or_else(|fault| panic!("{name} takes {fault}"));
                self.send(name, path, |request| request.json(body)).await
            }
            None => self.send(name, path, |request| request).await,
        };
        if let Some(body) = body.filter(|_| answer.status < 400) {
            self.answers.entry(format!("{name} request")).or_insert(body);
        }
        answer
    }

    /// Asks what the document calls `name`, with a body of any kind.
    async fn send(&mut self, name: &str, path: &str, with: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Answer {
        let (method, shown, operation) = self.operation(name);
        let plain = path.split('?').next().unwrap_or_default();
        let (wanted, given) = (shown.split('/'), plain.split('/'));
        assert_eq!(wanted.clone().count(), given.clone().count(), "{name}: {path}");
        assert!(wanted.zip(given).all(|(wanted, given)| wanted == given || wanted.starts_with('{')), "{name}: {path}");
        let answer = send(with(self.stack.request(method, path).bearer_auth(support::TOKEN))).await;
        let said = &operation["responses"][answer.status.to_string()];
        assert!(
            said.is_object(),
            "{name} answers {}, which its document does not say: {}",
            answer.status,
            answer.text()
        );
        for (header, _) in said["headers"].as_object().into_iter().flatten() {
            // One of two codes has it, and an import only while its rejected rows are written.
            assert!(
                answer.header(header).is_some() || header == "Retry-After",
                "{name} {} lacks {header}",
                answer.status
            );
        }
        let media_type =
            answer.header("content-type").map(|text| text.split(';').next().unwrap_or_default().to_owned());
        match media_type.filter(|_| !answer.body.is_empty()) {
            None => assert!(said["content"].is_null(), "{name} {} has no body", answer.status),
            Some(media_type) => {
                let content = &said["content"][&media_type];
                assert!(content.is_object(), "{name} {}: {media_type} is not in its document", answer.status);
                let shown = match serde_json::from_slice(&answer.body) {
                    Ok(value) if media_type.ends_with("json") => value,
                    _ => Value::String(answer.text().to_owned()),
                };
                schema::check(&self.document, &content["schema"], &shown)
                    .unwrap_or_else(|fault| panic!("{name} {}: {fault}: {shown:#}", answer.status));
                self.answers.entry(format!("{name} {}", answer.status)).or_insert(shown);
            }
        }
        answer
    }

    /// The next answer with this status is the example, since the ones before are not the same in every run.
    fn forget(&mut self, name: &str, status: u16) {
        self.answers.remove(&format!("{name} {status}"));
    }

    /// The method, the path and what else is said of an operation.
    fn operation(&self, name: &str) -> (Method, String, Value) {
        let paths = self.document["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().expect("methods").iter().map(move |(method, operation)| (method, path, operation))
        });
        let found = operations.into_iter().find(|(.., operation)| operation["operationId"] == name);
        let (method, path, operation) = found.unwrap_or_else(|| panic!("there is no operation {name}"));
        (method.to_uppercase().parse().expect("a method"), path.clone(), operation.clone())
    }
}

/// What differs from run to run, as one word each.
fn settled(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(url) if name.to_lowercase().ends_with("url") => *url = settled_url(url),
                    Value::Object(fields) if name == "fields" && fields.contains_key("policy") => {
                        fields.values_mut().for_each(|field| *field = "SIGNED".into());
                    }
                    Value::String(secret) if name == "token" || name == "secret" => *secret = "SECRET".to_owned(),
                    Value::Number(ms) if name == "ms" => *ms = 12.into(),
                    other => settled(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settled),
        Value::String(text) => *text = settled_text(text),
        _ => {}
    }
}

/// A URL of the API, of an endpoint, or else of the storage.
fn settled_url(url: &str) -> String {
    match url.find("/v1/") {
        Some(path) => settled_text(&format!("https://api.example.com{}", &url[path..])),
        None if url.ends_with("/events") || url.starts_with("https://example.com/") => {
            "https://example.com/hooks".to_owned()
        }
        None => "https://BUCKET.s3.amazonaws.com/KEY?SIGNATURE".to_owned(),
    }
}

/// A text whose ids and moments are always the same.
fn settled_text(text: &str) -> String {
    let id = Regex::new("(imp|exp|key|whk|evt)_[0-9A-Za-z]{10,}").expect("a pattern");
    let moment = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").expect("a pattern");
    let with_id = id.replace_all(text, "${1}_01M8GMXX43FK0742A8WYZ0YC8G");
    moment.replace_all(&with_id, "2026-11-28T08:39:12Z").into_owned()
}

/// `PENSTOCK_RENEW=1 cargo test --workspace --test suite contract::` renews the examples; then the documents are to be
/// renewed.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_what_the_document_says() {
    let stack = Stack::start().await;
    let mut asking = Asking::of(&stack, BTreeMap::new()).await;
    asking.ask("getHealth", "/health", None).await;
    asking.ask("getContract", "/openapi.json", None).await;
    asking.forget("getContract", 200);
    let new = json!({ "kind": "products", "filename": "products.csv", "options": { "mode": "upsert" } });
    asking.ask("createImport", "/v1/imports", Some(new)).await;
    for (body, status) in
        [(json!({ "kind": "none" }), 422), (json!({ "options": { "abort": { "rows": 0, "percent": 1 } } }), 422)]
    {
        assert_eq!(asking.ask("createImport", "/v1/imports", Some(body)).await.status, status);
    }
    // Of seven rows four are rejected.
    let import = stack.client.create(&NewImport::default(), None).await.expect("an import");
    let of = |path: &str| format!("/v1/imports/{}{path}", import.id);
    assert_eq!(asking.ask("getRejected", &of("/rejected"), None).await.status, 409);
    assert_eq!(asking.ask("listRemovals", &of("/removals"), None).await.status, 200);
    asking.ask("signParts", &of("/parts"), Some(json!({ "numbers": [1] }))).await;
    assert_eq!(asking.ask("signParts", &of("/parts"), Some(json!({ "numbers": [0] }))).await.status, 422);
    asking.ask("removeParts", &of("/parts"), None).await;
    assert_eq!(asking.ask("completeParts", &of("/complete"), Some(json!({ "parts": [] }))).await.status, 422);
    assert_eq!(asking.ask("previewImport", &of("/preview"), None).await.status, 409);
    assert_eq!(upload(&import, include_bytes!("../data/products-with-errors.csv")).await, 200);
    // Each answer differs from the one before, and the last one has all.
    let mut seen = asking.ask("getImport", &of("?wait=20"), None).await;
    while seen.json()["completed_at"].is_null() || seen.header("retry-after").is_some() {
        seen = asking.ask("getImport", &of("?wait=20"), None).await;
    }
    assert_eq!(seen.json()["rejected"]["rows"], 4);
    asking.forget("getImport", 200);
    assert_eq!(asking.ask("getImport", &of("?wait=21"), None).await.refusal(), (400, "invalid_query".into()));
    asking.ask("previewImport", &of("/preview"), None).await;
    asking.ask("getImport", &of(""), None).await;
    let page = asking.ask("listErrors", &of("/errors?limit=1"), None).await.json();
    let cursor = page["next_cursor"].as_str().expect("a further page");
    asking.ask("listErrors", &of(&format!("/errors?limit=100&cursor={cursor}")), None).await;
    assert_eq!(asking.ask("listErrors", &of("/errors?cursor=x"), None).await.refusal(), (400, "invalid_cursor".into()));
    assert_eq!(asking.ask("listErrors", &of("/errors?limit=0"), None).await.refusal(), (400, "invalid_limit".into()));
    asking.ask("summariseErrors", &of("/errors/summary"), None).await;
    assert_eq!(asking.ask("getRejected", &of("/rejected"), None).await.status, 303);
    let link = asking.ask("getRejected", &of("/rejected?link=true"), None).await.json();
    let rows = send(support::http::client().get(link["url"].as_str().expect("a URL"))).await;
    assert!(rows.text().starts_with("_row,_line,_errors,"), "{}", rows.text());
    assert_eq!(asking.ask("getRejected", &of("/rejected?link=x"), None).await.status, 400);
    previews(&mut asking, &import.id).await;
    assert_eq!(asking.ask("cancelImport", &of("/cancel"), None).await.status, 409);
    assert_eq!(asking.ask("confirmImport", &of("/confirm"), None).await.status, 409);
    asking.ask("listImports", "/v1/imports?limit=2&status=completed_with_errors", None).await;
    assert_eq!(asking.ask("listImports", "/v1/imports?status=x", None).await.status, 400);
    let waiting = stack.client.create(&NewImport::default(), None).await.expect("an import").id;
    for (from, status) in [("imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F", 404), (waiting.as_str(), 409)] {
        let again = asking.ask("createImport", "/v1/imports", Some(json!({ "from": from }))).await;
        assert_eq!(again.status, status);
    }
    asking.ask("cancelImport", &format!("/v1/imports/{waiting}/cancel"), None).await;
    let corrects = json!({ "corrects": import.id });
    let made = asking.ask("createImport", "/v1/imports", Some(corrects.clone())).await.json();
    let again = asking.ask("createImport", "/v1/imports", Some(corrects)).await;
    assert_eq!(again.refusal(), (409, "already_corrected".into()));
    stack.client.cancel(made["id"].as_str().expect("an id")).await.expect("cancelled");
    asking.ask("getHistory", &of("/history"), None).await;
    assert_eq!(asking.ask("getHistory", "/v1/imports/none/history", None).await.status, 404);
    assert_eq!(asking.ask("deleteImport", &format!("/v1/imports/{waiting}"), None).await.status, 204);
    assert_eq!(asking.ask("getImport", &format!("/v1/imports/{waiting}"), None).await.status, 404);
    records(&mut asking, &import.id).await;
    parts(&mut asking).await;
    replace(&mut asking).await;
    kinds(&mut asking).await;
    presets(&mut asking).await;
    exports(&mut asking).await;
    webhooks(&mut asking).await;
    keys(&mut asking).await;
    let answers = asking.answers;
    stack.stop().await;
    compare("native", of_what_stands_still(answers).await);
}

/// Asks for what moves on by itself where nothing does.
async fn of_what_stands_still(answers: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let stack = held::held().await;
    let mut asking = Asking::of(&stack, answers).await;
    let ordered = asking.ask("createExport", "/v1/exports", Some(json!({ "kind": "products" }))).await.json();
    let path = format!("/v1/exports/{}", ordered["id"].as_str().expect("an id"));
    assert_eq!(asking.ask("deleteExport", &path, None).await.refusal(), (409, "export_runs".into()));
    assert_eq!(asking.ask("cancelExport", &format!("{path}/cancel"), None).await.status, 200);
    let everything = Some(json!({ "kind": "products" }));
    assert_eq!(asking.ask("removeAllRecords", "/v1/records/products", everything).await.status, 202);
    let guest = Some(json!({ "account": "guest", "scopes": ["import:read"] }));
    assert_eq!(asking.ask("createKey", "/v1/keys", guest).await.status, 201);
    asking.ask("listAccounts", "/v1/accounts", None).await;
    assert_eq!(asking.ask("removeAccount", "/v1/accounts/1", None).await.refusal(), (409, "own_account".into()));
    assert_eq!(asking.ask("removeAccount", "/v1/accounts/guest", None).await.status, 202);
    assert_eq!(asking.ask("getAccountRemoval", "/v1/accounts/guest/removal", None).await.status, 200);
    assert_eq!(asking.ask("getAccountRemoval", "/v1/accounts/none/removal", None).await.status, 404);
    let answers = asking.answers;
    stack.stop().await;
    answers
}

/// An upload in parts.
async fn parts(asking: &mut Asking<'_>) {
    let import = asking.stack.client.create(&NewImport::default(), None).await.expect("an import");
    let of = |path: &str| format!("/v1/imports/{}{path}", import.id);
    let signed = asking.ask("signParts", &of("/parts"), Some(json!({ "numbers": [1] }))).await.json();
    let url = signed["parts"][0]["url"].as_str().expect("a URL").to_owned();
    let stored = send(support::http::client().put(url).body("sku,name,brand\nOK-9,Fine,Acme\n")).await;
    let etag = stored.header("etag").expect("an ETag").trim_matches('"').to_owned();
    let named = json!({ "parts": [{ "number": 1, "etag": etag }] });
    assert_eq!(asking.ask("completeParts", &of("/complete"), Some(named.clone())).await.status, 200);
    asking.stack.ended(&import.id).await;
    asking.forget("completeParts", 200);
    assert_eq!(asking.ask("completeParts", &of("/complete"), Some(named)).await.status, 200);
}

/// A replace that waits to be confirmed.
async fn replace(asking: &mut Asking<'_>) {
    let new = json!({ "kind": "products", "options": { "mode": "replace", "most_removed_percent": 0 } });
    let created = asking.ask("createImport", "/v1/imports", Some(new)).await.json();
    let of = |path: &str| format!("/v1/imports/{}{path}", created["id"].as_str().expect("an id"));
    let url = created["upload"]["url"].as_str().expect("a URL");
    let put = support::http::client().put(url).header("if-none-match", "*");
    assert_eq!(send(put.body("sku,name,brand\nOK-9,Fine,Acme\n")).await.status, 200);
    while asking.ask("getImport", &of("?wait=20"), None).await.json()["status"] != "awaiting_confirmation" {}
    asking.forget("listRemovals", 200);
    assert_eq!(asking.ask("listRemovals", &of("/removals"), None).await.status, 200);
    asking.ask("confirmImport", &of("/confirm"), None).await;
    asking.stack.ended(created["id"].as_str().expect("an id")).await;
    asking.forget("confirmImport", 200);
    assert_eq!(asking.ask("confirmImport", &of("/confirm"), None).await.status, 200);
    asking.forget("confirmImport", 202);
}

/// Previews without an import: of a body, under options, and of what was uploaded.
async fn previews(asking: &mut Asking<'_>, import: &str) {
    let file = "Item no;Title;Maker\nAG-1;Lamp;Acme\nAG-2;;Acme\n";
    let body = |request: RequestBuilder| request.header("content-type", "application/octet-stream").body(file);
    let options = |options: Value| format!("/v1/kinds/products/preview?whole=true&options={options}");
    let mapped = json!({ "mapping": { "Item no": "sku", "Title": "name", "Maker": "brand" } });
    let seen = asking.send("previewKind", &options(mapped), body).await.json();
    assert_eq!(seen["columns"][1], json!({ "column": "Title", "field": "name", "filled": 1, "samples": ["Lamp"] }));
    assert_eq!((&seen["failure"], &seen["sampled"]), (&Value::Null, &json!(2)));
    assert_eq!(seen["rows"][1]["errors"][0]["code"], "required");
    // A column that is called as a field, and is to be none.
    let left = json!({ "mapping": { "Item no": "" } });
    let seen = asking.send("previewKind", &options(left), body).await.json();
    assert_eq!((&seen["columns"][0]["field"], &seen["failure"]["code"]), (&Value::Null, &json!("missing_column")));
    assert_eq!(asking.send("previewKind", &options(json!({ "delimiter": "" })), body).await.status, 400);
    assert_eq!(asking.send("previewKind", &options(json!({ "mapping": { "Title": "x" } })), body).await.status, 422);
    assert_eq!(asking.send("previewKind", "/v1/kinds/none/preview", body).await.status, 404);
    let uploaded = format!("/v1/kinds/products/preview?from={import}");
    let seen = asking.ask("previewKind", &uploaded, None).await.json();
    assert_eq!((&seen["sampled"], &seen["columns"][0]["field"]), (&json!(7), &json!("sku")));
}

async fn records(asking: &mut Asking<'_>, import: &str) {
    asking.ask("listRecords", "/v1/records/products?limit=2", None).await;
    asking.ask("listRecords", &format!("/v1/records/products?changed_by={import}"), None).await;
    assert_eq!(asking.ask("listRecords", "/v1/records/none", None).await.status, 404);
    asking.ask("getRecord", "/v1/records/products/OK-1?provenance=true", None).await;
    assert_eq!(asking.ask("getRecord", "/v1/records/products/NONE", None).await.status, 404);
    asking.ask("deleteRecords", "/v1/records/products/delete", Some(json!({ "keys": ["OK-1", "NONE"] }))).await;
    assert_eq!(
        asking.ask("deleteRecords", "/v1/records/products/delete", Some(json!({ "keys": [] }))).await.status,
        422
    );
    assert_eq!(asking.ask("deleteRecord", "/v1/records/products/OK-1", None).await.status, 404);
    assert_eq!(asking.ask("removeAllRecords", "/v1/records/products", Some(json!({ "kind": "x" }))).await.status, 422);
}

async fn presets(asking: &mut Asking<'_>) {
    let own = json!({ "kind": "products", "options": { "delimiter": ";", "mapping": { "Artikel": "sku" } } });
    assert_eq!(asking.ask("putPreset", "/v1/presets/nightly", Some(own.clone())).await.status, 201);
    assert_eq!(asking.ask("putPreset", "/v1/presets/nightly", Some(own)).await.status, 200);
    assert_eq!(asking.ask("putPreset", "/v1/presets/nightly", Some(json!({ "kind": "none" }))).await.status, 422);
    asking.ask("listPresets", "/v1/presets", None).await;
    asking.ask("getPreset", "/v1/presets/nightly", None).await;
    let new = json!({ "preset": "none" });
    assert_eq!(asking.ask("createImport", "/v1/imports", Some(new)).await.status, 422);
    asking.ask("deletePreset", "/v1/presets/nightly", None).await;
    assert_eq!(asking.ask("deletePreset", "/v1/presets/nightly", None).await.status, 404);
}

async fn kinds(asking: &mut Asking<'_>) {
    let fields = json!([{ "name": "id", "type": "string" }]);
    let own = json!({ "name": "gadgets", "title": "Gadgets", "primaryKey": ["id"], "fields": fields });
    assert_eq!(asking.ask("putKind", "/v1/kinds/gadgets", Some(own.clone())).await.status, 201);
    let mut second = own.clone();
    second["title"] = "More gadgets".into();
    assert_eq!(asking.ask("putKind", "/v1/kinds/gadgets", Some(second)).await.status, 200);
    assert_eq!(asking.ask("putKind", "/v1/kinds/gadgets", Some(json!({ "fields": 1 }))).await.status, 422);
    assert_eq!(asking.ask("putKind", "/v1/kinds/products", Some(own)).await.status, 409);
    asking.ask("listKinds", "/v1/kinds?limit=2", None).await;
    asking.ask("getKind", "/v1/kinds/gadgets", None).await;
    asking.ask("getTemplate", "/v1/kinds/gadgets/template.csv", None).await;
    asking.ask("listKindVersions", "/v1/kinds/gadgets/versions", None).await;
    asking.ask("getKindVersion", "/v1/kinds/gadgets/versions/1", None).await;
    assert_eq!(asking.ask("deleteKindVersion", "/v1/kinds/gadgets/versions/2", None).await.status, 409);
    asking.ask("deleteKindVersion", "/v1/kinds/gadgets/versions/1", None).await;
    asking.ask("deleteKind", "/v1/kinds/gadgets", None).await;
    assert_eq!(asking.ask("deleteKind", "/v1/kinds/gadgets", None).await.status, 404);
}

async fn exports(asking: &mut Asking<'_>) {
    let ordered = asking.ask("createExport", "/v1/exports", Some(json!({ "kind": "products" }))).await.json();
    let path = format!("/v1/exports/{}", ordered["id"].as_str().expect("an id"));
    assert_eq!(asking.ask("createExport", "/v1/exports", Some(json!({ "kind": "none" }))).await.status, 422);
    while asking.ask("getExport", &path, None).await.json()["ended_at"].is_null() {}
    asking.forget("getExport", 200);
    assert_eq!(asking.ask("getExport", &path, None).await.json()["status"], "completed");
    asking.ask("listExports", "/v1/exports", None).await;
    assert_eq!(
        asking.ask("cancelExport", &format!("{path}/cancel"), None).await.refusal(),
        (409, "already_ended".into())
    );
    assert_eq!(asking.ask("getExport", "/v1/exports/none", None).await.status, 404);
    assert_eq!(asking.ask("deleteExport", &path, None).await.status, 204);
}

/// An endpoint, and what is sent to it, which is the body that the document's `webhooks` show.
async fn webhooks(asking: &mut Asking<'_>) {
    let receiver = Receiver::start().await;
    let new = json!({ "url": "https://example.com/hooks", "events": ["import.completed"], "kinds": ["products"] });
    let made = asking.ask("createWebhook", "/v1/webhooks", Some(new)).await.json();
    let of = |path: &str| format!("/v1/webhooks/{}{path}", made["id"].as_str().expect("an id"));
    for (body, status) in [(json!({ "url": "http://example.com/" }), 422), (json!({ "url": "" }), 422)] {
        assert_eq!(asking.ask("createWebhook", "/v1/webhooks", Some(body)).await.status, status);
    }
    asking.ask("listWebhooks", "/v1/webhooks", None).await;
    asking.ask("getWebhook", &of(""), None).await;
    assert_eq!(asking.ask("getWebhook", "/v1/webhooks/none", None).await.status, 404);
    asking.ask("changeWebhook", &of(""), Some(json!({ "description": "shop", "disabled": true }))).await;
    assert_eq!(asking.ask("changeWebhook", &of(""), Some(json!({ "kinds": [] }))).await.status, 422);
    assert_eq!(asking.ask("testWebhook", &of("/test"), None).await.refusal(), (409, "webhook_disabled".into()));
    asking.ask("changeWebhook", &of(""), Some(json!({ "url": receiver.url(), "disabled": false }))).await;
    asking.ask("rotateWebhookSecret", &of("/rotate"), None).await;
    let new = json!({ "kind": "products", "metadata": { "batch": "2026-11" }, "webhook": made["id"] });
    let import = asking.ask("createImport", "/v1/imports", Some(new)).await.json();
    let url = import["upload"]["url"].as_str().expect("a URL");
    let put = support::http::client().put(url).header("if-none-match", "*");
    assert_eq!(send(put.body("sku,name,brand\nOK-7,Fine,Acme\n")).await.status, 200);
    // The deliveries of the import's events, once both have arrived.
    let mut page = json!(null);
    support::until("both events have arrived", async || {
        asking.forget("listDeliveries", 200);
        page = asking.ask("listDeliveries", &of("/deliveries"), None).await.json();
        let deliveries = page["deliveries"].as_array().expect("a list").iter();
        deliveries.filter(|delivery| delivery["state"] == "delivered").count() == 2
    })
    .await;
    let completed = &page["deliveries"][0]["event"];
    let said = &asking.document["webhooks"]["event"]["post"]["requestBody"]["content"]["application/json"];
    for came in receiver.came() {
        let body: Value = serde_json::from_slice(&came.body).expect("JSON");
        schema::check(&asking.document, &said["schema"], &body).unwrap_or_else(|fault| panic!("{fault}: {body:#}"));
        for header in asking.document["webhooks"]["event"]["post"]["parameters"].as_array().expect("headers") {
            assert!(came.headers.contains_key(header["name"].as_str().expect("a name")), "{header}");
        }
    }
    asking.answers.insert("receiveEvent request".to_owned(), completed.clone());
    let event = completed["id"].as_str().expect("an id");
    asking.ask("resendDelivery", &of(&format!("/deliveries/{event}/resend")), None).await;
    assert_eq!(asking.ask("resendDelivery", &of("/deliveries/none/resend"), None).await.status, 404);
    let range = |after: &str| json!({ "after": after, "before": "2026-01-02T00:00:00Z" });
    asking.ask("resendDeliveries", &of("/resend"), Some(range("2026-01-01T00:00:00Z"))).await;
    assert_eq!(asking.ask("resendDeliveries", &of("/resend"), Some(range("x"))).await.status, 422);
    asking.ask("testWebhook", &of("/test"), None).await;
    assert_eq!(asking.ask("deleteWebhook", &of(""), None).await.status, 204);
    assert_eq!(asking.ask("deleteWebhook", &of(""), None).await.status, 404);
}

async fn keys(asking: &mut Asking<'_>) {
    let made = asking.ask("createKey", "/v1/keys", Some(json!({ "scopes": ["import:read"], "label": "shop" }))).await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(asking.ask("createKey", "/v1/keys", Some(json!({ "scopes": [] }))).await.status, 422);
    asking.ask("listKeys", "/v1/keys", None).await;
    assert_eq!(asking.ask("revokeKey", &format!("/v1/keys/{id}"), None).await.status, 204);
    assert_eq!(asking.ask("revokeKey", "/v1/keys/none", None).await.status, 404);
}

/// Compares what was answered with the examples. Every operation whose answer has a body has one.
fn compare(dialect: &str, mut answers: BTreeMap<String, Value>) {
    answers.values_mut().for_each(settled);
    let made = serde_json::to_string_pretty(&answers).expect("JSON") + "\n";
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("functions/api/openapi/examples");
    let file = folder.join(format!("{dialect}.json"));
    if std::env::var_os("PENSTOCK_RENEW").is_some() {
        std::fs::write(&file, made).expect("writes");
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
    assert!(kept == made, "an example is no real answer (PENSTOCK_RENEW=1 renews them): {differs:?}");
}
