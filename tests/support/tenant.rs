//! An account that has used all that the product does: what can be stored of a tenant is stored of this one.

use std::time::Duration;

use penstock_client::{AccountRemoval, Bytes, Client, NewExport, NewImport, NewKey};
use penstock_model::{
    AccountRemovalStage, Disabled, DisabledFor, ExportCompression, ExportFormat, ExportStatus, ImportOptions, Mode,
    Scope, Status, Webhook, WebhookId,
};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::json;

use super::{
    Stack,
    http::{post_form, send},
    storage, upload,
};

/// An account with its data.
pub struct Tenant {
    pub account: String,
    pub token: String,
    pub client: Client,
    /// What stands in a cell of every file, and nowhere else.
    pub word: String,
    /// The ids of its imports, exports and keys.
    pub ids: Vec<String>,
}

/// The scopes of a key that may do all but manage keys.
pub const ALL_BUT_ADMIN: [Scope; 5] =
    [Scope::ImportRead, Scope::ImportWrite, Scope::ImportDelete, Scope::RecordDelete, Scope::ImportConfirm];

/// A key of an account, made by account `1`; its id and its token.
pub async fn key_of(stack: &Stack, account: &str) -> (String, String) {
    let new = NewKey { account: Some(account.to_owned()), scopes: ALL_BUT_ADMIN.to_vec(), label: Some("its".into()) };
    let key = stack.client.create_key(&new).await.expect("a key is made");
    (key.id, key.token.expect("a token"))
}

/// Lets time pass until an account is removed.
pub async fn removed(stack: &Stack, account: &str) -> AccountRemoval {
    let mut last = None;
    for _ in 0..40 {
        stack.cloud.quiet().await;
        let removal = stack.client.account_removal(account).await.expect("it is there");
        if removal.status == AccountRemovalStage::Removed {
            return removal;
        }
        let waits = removal.status == AccountRemovalStage::Waiting;
        last = Some(removal);
        stack.pass(if waits { Duration::from_secs(24 * 3600 + 61) } else { Duration::from_secs(301) }).await;
    }
    panic!("{last:?}\n{}", stack.logs());
}

impl Tenant {
    /// Makes an account, and does with it all that can be done. Nothing that it began is under way when this ends, but
    /// for an upload in parts, an import that awaits its upload, a review that waits to be confirmed, and the removal
    /// of a deleted import.
    pub async fn new(stack: &Stack, account: &str, word: &str) -> Self {
        let (id, token) = key_of(stack, account).await;
        let (revoked, _) = key_of(stack, account).await;
        stack.client.revoke_key(&revoked).await.expect("revoked");
        let client = stack.client_of(&token);
        let mut tenant = Self { account: account.into(), token, client, word: word.into(), ids: vec![id, revoked] };
        tenant.webhook(stack).await;
        tenant.kinds(stack).await;
        tenant.imports(stack).await;
        tenant.dialects(stack).await;
        tenant.rest(stack).await;
        tenant.review(stack).await;
        tenant
    }

    async fn ask(&self, stack: &Stack, method: Method, path: &str, body: String) {
        let answer = send(stack.request(method.clone(), path).bearer_auth(&self.token).body(body)).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text());
    }

    /// An endpoint that is disabled: what it is to be told is kept for it, and changes no more.
    async fn webhook(&mut self, stack: &Stack) {
        let store = stack.cloud.store();
        let (now, account) = (store.now_ms(), self.account.parse().expect("valid"));
        let id = WebhookId::new(now, penstock_store::random());
        let url = format!("https://{}.example/", self.word);
        let webhook = Webhook {
            description: Some(self.word.clone()),
            disabled: Some(Disabled { reason: DisabledFor::Asked, at: now }),
            ..Webhook::new(id.clone(), account, url, "whsec_".to_owned(), now)
        };
        store.create_webhook(&webhook).await.expect("stored");
        self.ids.push(id.to_string());
    }

    /// Kinds of its own: one that stays, with two versions; a version that goes, and a kind that goes.
    async fn kinds(&mut self, stack: &Stack) {
        let kind = |more: &str| format!(r#"{{ "primaryKey": "id", "fields": [{{ "name": "id" }}{more}] }}"#);
        let name = format!(r#", {{ "name": "name", "title": "{}" }}"#, self.word);
        for document in [kind(""), kind(r#", { "name": "more" }"#), kind(&name)] {
            self.ask(stack, Method::PUT, "/v1/kinds/gadgets", document).await;
        }
        self.ask(stack, Method::DELETE, "/v1/kinds/gadgets/versions/1", String::new()).await;
        self.ask(stack, Method::PUT, "/v1/kinds/gone", kind("")).await;
        self.ask(stack, Method::DELETE, "/v1/kinds/gone", String::new()).await;
        let preset = json!({ "kind": "gadgets", "options": { "mapping": { (self.word.clone()): "name" } } });
        self.ask(stack, Method::PUT, "/v1/presets/nightly", preset.to_string()).await;
        // It waits for a preset.
        let file = format!("inbox/{}/none/{}.csv", self.account, self.word);
        storage::put(stack, &file, self.word.as_bytes()).await;
    }

    async fn imported(&mut self, stack: &Stack, new: &NewImport, key: Option<&str>, file: &str) -> String {
        let import = self.client.create(new, key).await.expect("created");
        assert_eq!(upload(&import, file.as_bytes()).await, 200);
        stack.ended_for(&self.client, &import.id).await.expect("it ends");
        self.ids.push(import.id.clone());
        import.id
    }

    async fn imports(&mut self, stack: &Stack) {
        let word = self.word.clone();
        let long = "k".repeat(1_500);
        let file = format!(
            "sku,name,brand,cost\n{word}-1,{word},Acme,1\n{word}-2,{word},Acme,{word}\n{long},{word},Acme,2\nS-3,b,c,1\n"
        );
        let named = NewImport { filename: Some(format!("{word}.csv")), ..NewImport::default() };
        self.imported(stack, &named, Some(&format!("key of {word}")), &file).await;
        // One that corrects another.
        let first = self.ids.last().cloned();
        let corrects = NewImport { corrects: first, ..NewImport::default() };
        self.imported(stack, &corrects, None, &format!("sku,name,brand,cost\n{word}-2,{word},Acme,{word}\n")).await;
        let gadgets = NewImport { kind: Some("gadgets".into()), ..NewImport::default() };
        self.imported(stack, &gadgets, None, &format!("id,name\n1,{word}\n")).await;
        // A replace that removes what it does not name, once that is confirmed.
        let held = self.held(stack, &format!("id,name\n2,{word}\n")).await;
        self.client.confirm(&held).await.expect("confirmed");
        assert_eq!(stack.ended_for(&self.client, &held).await.expect("it ends").removed, 1);
        assert!(self.client.delete_record("products", "S-3").await.expect("answers"));
        // A form stores a second object. The import keeps the first.
        let import = self.client.create(&named, None).await.expect("created");
        let form = import.form.as_ref().expect("a form");
        assert_eq!(post_form(form, file.as_bytes()).await.status, 204);
        stack.ended_for(&self.client, &import.id).await.expect("it ends");
        assert_eq!(post_form(form, format!("{file}S-4,,Acme,{word}\n").as_bytes()).await.status, 204);
        self.ids.push(import.id);
        // One that is deleted: its order to be removed is there for as long as its URLs may be used.
        let deleted = self.imported(stack, &named, None, &file).await;
        self.client.delete(&deleted).await.expect("deleted");
        let cancelled = self.client.create(&named, None).await.expect("created");
        self.client.cancel(&cancelled.id).await.expect("cancelled");
        let awaiting = self.client.create(&named, None).await.expect("created");
        let parts = self.client.create(&named, None).await.expect("created");
        let part = self.client.part_urls(&parts.id, &[1]).await.expect("a URL").parts.remove(0);
        let content = Bytes::from(file);
        self.client.upload_part(&part, content, &std::sync::Arc::default()).await.expect("taken");
        self.ids.extend([cancelled.id, awaiting.id, parts.id]);
    }

    /// A replace of its gadgets by a file that names none of those that are there: it waits to be confirmed.
    pub async fn held(&mut self, stack: &Stack, file: &str) -> String {
        let options = ImportOptions { mode: Mode::Replace, most_removed_percent: Some(0), ..ImportOptions::default() };
        let replace = NewImport { kind: Some("gadgets".into()), options, ..NewImport::default() };
        let import = self.client.create(&replace, None).await.expect("created");
        assert_eq!(upload(&import, file.as_bytes()).await, 200);
        let is_held =
            async || self.client.import(&import.id).await.expect("there").status == Status::AwaitingConfirmation;
        stack.passes_until("it waits to be confirmed", is_held).await;
        self.ids.push(import.id.clone());
        import.id
    }

    /// An import by each dialect.
    async fn dialects(&mut self, stack: &Stack) {
        let (account, token, word) = (self.account.clone(), self.token.clone(), self.word.clone());
        let form = |kind: &str, file: String| {
            Form::new().text("type", kind.to_owned()).part("file", Part::text(file).file_name("file.csv"))
        };
        let post = |path: &str| stack.request(Method::POST, path);
        let algure = send(post("/v1/products/import").bearer_auth(&token)).await.json();
        let id = algure["id"].as_str().expect("an id");
        let put = stack.request(Method::PUT, &format!("/v1/products/import/{id}")).bearer_auth(&token);
        let put = put.header("content-type", "text/csv").body(format!("code,title\n{word},{word}\n"));
        assert_eq!(send(put).await.status, 201);
        let requests = [
            post("/api/v1/imports").bearer_auth(&token).multipart(form("", format!("ean,title\n{word},{word}\n"))),
            post("/api/import/catalog")
                .header("x-api-key", &token)
                .json(&json!({ "products": [{ "externalId": word, "name": word }] })),
            post("/imports")
                .header("authorization", format!("apiKey {token}"))
                .multipart(form("contacts", format!("_email\n{word}@example.org\n"))),
            post("/api/v1/products/import").bearer_auth(&token).json(&json!({
                "account_id": account, "products": [{ "sku": word, "name": word, "brand": "b", "cost": 1 }] })),
        ];
        for request in requests {
            let answer = send(request).await;
            assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text());
        }
        let known: Vec<String> = self.ids.clone();
        for import in self.client.list(None, 100).await.expect("a page").imports {
            if !known.contains(&import.id) {
                stack.ended_for(&self.client, &import.id).await.expect("it ends");
                self.ids.push(import.id);
            }
        }
    }

    /// A review that waits to be confirmed, whose claims are there yet.
    async fn review(&mut self, stack: &Stack) {
        let options = ImportOptions { review: true, ..ImportOptions::default() };
        let review = NewImport { kind: Some("gadgets".into()), options, ..NewImport::default() };
        let import = self.client.create(&review, None).await.expect("created");
        assert_eq!(upload(&import, format!("id,name\n9,{}\n", self.word).as_bytes()).await, 200);
        stack.cloud.quiet().await;
        let status = self.client.import(&import.id).await.expect("there").status;
        assert_eq!(status, Status::AwaitingConfirmation);
        self.ids.push(import.id);
    }

    /// Exports that stay, and one that is deleted.
    async fn rest(&mut self, stack: &Stack) {
        for (format, compression) in
            [(ExportFormat::Csv, ExportCompression::None), (ExportFormat::Ndjson, ExportCompression::Gzip)]
        {
            let new = NewExport { kind: "products".into(), format, compression, changed_after: None };
            let export = self.client.create_export(&new).await.expect("ordered");
            let completed =
                async || self.client.export(&export.id).await.expect("there").status == ExportStatus::Completed;
            stack.passes_until("the export is completed", completed).await;
            if compression == ExportCompression::Gzip {
                self.client.delete_export(&export.id).await.expect("deleted");
            }
            self.ids.push(export.id);
        }
        stack.cloud.quiet().await;
    }
}
