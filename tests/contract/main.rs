//! The native API answers as its document says: a whole import, asked as another program would ask, each answer held
//! against the served document. The same answers are the document's examples.

mod schema;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use penstock_client::NewImport;
use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use support::{
    Stack,
    http::{Answer, send},
    upload,
};

/// Asks, and holds each answer against the document.
struct Asking<'a> {
    stack: &'a Stack,
    document: Value,
    /// The first answer of each operation and status.
    answers: BTreeMap<String, Value>,
}

impl Asking<'_> {
    /// Asks what the document calls `name`. `path` is one that the operation's path fits.
    async fn ask(&mut self, name: &str, path: &str, body: Option<Value>) -> Answer {
        let (method, shown, operation) = self.operation(name);
        let plain = path.split('?').next().unwrap_or_default();
        let (wanted, given) = (shown.split('/'), plain.split('/'));
        assert_eq!(wanted.clone().count(), given.clone().count(), "{name}: {path}");
        assert!(wanted.zip(given).all(|(wanted, given)| wanted == given || wanted.starts_with('{')), "{name}: {path}");
        let mut request = self.stack.request(method, path).bearer_auth(support::TOKEN);
        if let Some(body) = &body {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            schema::check(&self.document, schema, body).unwrap_or_else(|fault| panic!("{name} takes {fault}"));
            request = request.json(body);
        }
        let answer = send(request).await;
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
                    Value::String(url) if name == "url" => {
                        *url = "https://BUCKET.s3.amazonaws.com/KEY?SIGNATURE".to_owned()
                    }
                    Value::Object(fields) if name == "fields" && fields.contains_key("policy") => {
                        fields.values_mut().for_each(|field| *field = "SIGNED".into());
                    }
                    Value::String(secret) if name == "token" || name == "secret" => *secret = "SECRET".to_owned(),
                    other => settled(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settled),
        Value::String(text) => {
            let id = Regex::new("(imp|exp|key)_[0-9A-Za-z]{10,}").expect("a pattern");
            let moment = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").expect("a pattern");
            let with_id = id.replace_all(text, "${1}_01M8GMXX43FK0742A8WYZ0YC8G").into_owned();
            *text = moment.replace_all(&with_id, "2026-11-28T08:39:12Z").into_owned();
        }
        _ => {}
    }
}

/// `PENSTOCK_RENEW=1 cargo test --test contract` renews the examples; then the documents are to be renewed.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_what_the_document_says() {
    let stack = Stack::start().await;
    let document: Value =
        serde_json::from_slice(&send(stack.request(Method::GET, "/openapi.json")).await.body).expect("JSON");
    let mut asking = Asking { stack: &stack, document, answers: BTreeMap::new() };
    asking.ask("getHealth", "/health", None).await;
    asking.ask("getContract", "/openapi.json", None).await;
    asking.answers.remove("getContract 200");
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
    asking.answers.remove("getImport 200");
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
    assert_eq!(asking.ask("cancelImport", &of("/cancel"), None).await.status, 409);
    assert_eq!(asking.ask("confirmImport", &of("/confirm"), None).await.status, 409);
    asking.ask("listImports", "/v1/imports?limit=2&status=completed_with_errors", None).await;
    assert_eq!(asking.ask("listImports", "/v1/imports?status=x", None).await.status, 400);
    let waiting = stack.client.create(&NewImport::default(), None).await.expect("an import").id;
    asking.ask("cancelImport", &format!("/v1/imports/{waiting}/cancel"), None).await;
    assert_eq!(asking.ask("deleteImport", &format!("/v1/imports/{waiting}"), None).await.status, 204);
    assert_eq!(asking.ask("getImport", &format!("/v1/imports/{waiting}"), None).await.status, 404);
    records(&mut asking, &import.id).await;
    kinds(&mut asking).await;
    exports(&mut asking).await;
    keys(&mut asking).await;
    compare(asking.answers);
    stack.stop().await;
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
    let removed = asking.ask("removeAllRecords", "/v1/records/products", Some(json!({ "kind": "products" }))).await;
    assert_eq!(removed.status, 202);
    assert_eq!(asking.ask("removeAllRecords", "/v1/records/products", Some(json!({ "kind": "x" }))).await.status, 422);
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
    asking.ask("listExports", "/v1/exports", None).await;
    // It may have ended before.
    asking.ask("cancelExport", &format!("{path}/cancel"), None).await;
    asking.ask("getExport", &path, None).await;
    assert_eq!(asking.ask("getExport", "/v1/exports/none", None).await.status, 404);
    assert_eq!(asking.ask("deleteExport", &path, None).await.status, 204);
}

async fn keys(asking: &mut Asking<'_>) {
    let made = asking.ask("createKey", "/v1/keys", Some(json!({ "scopes": ["import:read"], "label": "shop" }))).await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(asking.ask("createKey", "/v1/keys", Some(json!({ "scopes": [] }))).await.status, 422);
    asking.ask("listKeys", "/v1/keys", None).await;
    assert_eq!(asking.ask("revokeKey", &format!("/v1/keys/{id}"), None).await.status, 204);
    assert_eq!(asking.ask("revokeKey", "/v1/keys/none", None).await.status, 404);
}

/// Compares what was answered with the examples. What depends on how far something is has no example.
fn compare(answers: BTreeMap<String, Value>) {
    let uncertain = [
        "cancelExport 200",
        "cancelExport 409",
        "getExport 200",
        "listExports 200",
        "removeAllRecords 202",
        "listKeys 200",
    ];
    let mut answers: BTreeMap<String, Value> =
        answers.into_iter().filter(|(name, _)| !uncertain.contains(&name.as_str())).collect();
    answers.values_mut().for_each(settled);
    let made = serde_json::to_string_pretty(&answers).expect("JSON") + "\n";
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("functions/api/openapi/examples/native.json");
    if std::env::var_os("PENSTOCK_RENEW").is_some() {
        std::fs::write(&file, made).expect("writes");
        return;
    }
    let kept = std::fs::read_to_string(&file).expect("a file");
    let differs = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
    assert!(kept == made, "an example is no real answer (PENSTOCK_RENEW=1 renews them): {differs:?}");
}
