//! API keys: scopes, their management, and that a secret is shown once.

use std::time::Duration;

use penstock_client::{Client, NewKey};
use penstock_model::{Scope, limits};
use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use crate::support::{
    OTHER_TOKEN, Stack, TOKEN,
    cloudformation::{self, described},
    http::{Answer, send},
    refused,
};

async fn key(stack: &Stack, scopes: &[Scope]) -> String {
    let new = NewKey { scopes: scopes.to_vec(), ..NewKey::default() };
    stack.client.create_key(&new).await.expect("a key is made").token.expect("a token")
}

async fn ask(stack: &Stack, token: &str, method: Method, path: &str) -> Answer {
    send(stack.request(method, path).bearer_auth(token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_handler_wants_its_scope_and_names_it() {
    let stack = Stack::start().await;
    let id = stack.import(b"sku,name,brand\nA,a,b\n").await.id;
    let import = format!("/v1/imports/{id}");
    let cancel = format!("{import}/cancel");
    let (confirm, removals) = (format!("{import}/confirm"), format!("{import}/removals"));
    let requests = [
        (Scope::ImportRead, Method::GET, "/v1/imports"),
        (Scope::ImportRead, Method::GET, import.as_str()),
        (Scope::ImportRead, Method::GET, "/v1/records/products/A"),
        (Scope::ImportWrite, Method::POST, "/v1/imports"),
        (Scope::ImportWrite, Method::POST, cancel.as_str()),
        (Scope::ImportRead, Method::GET, removals.as_str()),
        // Of a replace it needs another one beside it: `guard::a_replace_and_its_confirmation_need_their_scopes`.
        (Scope::ImportConfirm, Method::POST, confirm.as_str()),
        (Scope::ImportDelete, Method::DELETE, import.as_str()),
        (Scope::ImportRead, Method::GET, "/v1/presets"),
        (Scope::ImportRead, Method::GET, "/v1/presets/nightly"),
        (Scope::ImportWrite, Method::PUT, "/v1/presets/nightly"),
        (Scope::ImportDelete, Method::DELETE, "/v1/presets/nightly"),
        (Scope::RecordDelete, Method::DELETE, "/v1/records/products"),
        (Scope::RecordDelete, Method::DELETE, "/v1/records/products/B"),
        (Scope::RecordDelete, Method::POST, "/v1/records/products/delete"),
        (Scope::AccountWrite, Method::GET, "/v1/webhooks"),
        (Scope::AccountWrite, Method::POST, "/v1/webhooks"),
        (Scope::AccountWrite, Method::GET, "/v1/webhooks/unknown"),
        (Scope::AccountWrite, Method::PATCH, "/v1/webhooks/unknown"),
        (Scope::AccountWrite, Method::DELETE, "/v1/webhooks/unknown"),
        (Scope::AccountWrite, Method::POST, "/v1/webhooks/unknown/rotate"),
        (Scope::AccountWrite, Method::POST, "/v1/webhooks/unknown/test"),
        (Scope::AccountWrite, Method::GET, "/v1/webhooks/unknown/deliveries"),
        (Scope::AccountWrite, Method::POST, "/v1/webhooks/unknown/deliveries/unknown/resend"),
        (Scope::AccountWrite, Method::POST, "/v1/webhooks/unknown/resend"),
        (Scope::Admin, Method::GET, "/v1/keys"),
        (Scope::Admin, Method::POST, "/v1/keys"),
        (Scope::Admin, Method::DELETE, "/v1/keys/unknown"),
        (Scope::Admin, Method::GET, "/v1/accounts"),
        (Scope::Admin, Method::DELETE, "/v1/accounts/unknown"),
        (Scope::Admin, Method::GET, "/v1/accounts/unknown/removal"),
        (Scope::ImportWrite, Method::POST, "/v1/products/import"),
        (Scope::ImportRead, Method::GET, "/imports"),
        (Scope::ImportDelete, Method::DELETE, "/imports/x"),
    ];
    for scope in Scope::ALL {
        let others: Vec<Scope> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
        let (with, without) = (key(&stack, &[scope]).await, key(&stack, &others).await);
        for (needed, method, path) in requests.iter().filter(|(needed, ..)| *needed == scope) {
            let answer = ask(&stack, &without, method.clone(), path).await;
            assert_eq!(answer.status, 403, "{method} {path}");
            if path.starts_with("/v1/imports") || path.starts_with("/v1/keys") {
                let message = format!("the API key lacks the scope {needed}");
                assert_eq!(answer.problem(), (403, "forbidden".to_owned(), message));
            }
            let status = ask(&stack, &with, method.clone(), path).await.status;
            assert!(![401, 403].contains(&status), "{method} {path}: {status}");
        }
    }
    let answer = send(
        stack
            .request(Method::GET, "/api/import/status/x")
            .header("x-api-key", key(&stack, &[Scope::ImportWrite]).await),
    )
    .await;
    assert_eq!((answer.status, answer.json()), (403, json!({ "error": "the API key lacks the scope import:read" })));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_listed_and_revoked() {
    let stack = Stack::start().await;
    let new = NewKey {
        account: Some("2".into()),
        scopes: vec![Scope::ImportWrite, Scope::ImportRead, Scope::ImportRead],
        label: Some("Nächtlich".into()),
    };
    let key = stack.client.create_key(&new).await.expect("a key is made");
    assert_eq!((key.account.as_str(), key.revoked), ("2", false));
    assert_eq!(key.scopes, [Scope::ImportRead, Scope::ImportWrite]);
    let token = key.token.expect("the token, once");
    let (id, secret) = token.split_once('.').expect("an id and a secret");
    assert_eq!((id, secret.len()), (key.id.as_str(), 64));
    let used = async || {
        let keys = stack.client.keys(Some("2")).await.expect("answers");
        keys.into_iter().find(|key| key.id == id).expect("listed").last_used_at
    };
    assert_eq!(used().await, None);
    // It works for its account.
    let client = stack.client_of(&token);
    let import = client.create(&penstock_client::NewImport::default(), None).await.expect("created");
    assert!(stack.client_of(OTHER_TOKEN).import(&import.id).await.is_ok());

    let listed = ask(&stack, TOKEN, Method::GET, "/v1/keys?account=2").await;
    assert!(!listed.text().contains(secret) && !listed.text().contains("secret"), "{}", listed.text());
    let keys = stack.client.keys(Some("2")).await.expect("answers");
    let found = keys.iter().find(|key| key.id == id).expect("listed");
    assert_eq!((found.label.as_deref(), found.revoked, &found.token), (Some("Nächtlich"), false, &None));
    assert!(stack.client.keys(None).await.expect("answers").iter().all(|key| key.account == "1"));

    // Its last use is noted, once an hour.
    let first = used().await.expect("noted");
    stack.pass(Duration::from_millis(limits::KEY_USE_NOTED_MS as u64 / 2)).await;
    assert!(client.import(&import.id).await.is_ok());
    assert_eq!(used().await.as_ref(), Some(&first));
    stack.pass(Duration::from_millis(limits::KEY_USE_NOTED_MS as u64 / 2)).await;
    assert!(client.import(&import.id).await.is_ok());
    assert!(used().await.expect("noted") > first, "after an hour it is noted again");

    for _ in 0..2 {
        stack.client.revoke_key(id).await.expect("revoked");
        assert_eq!(refused(client.import(&import.id).await), (401, "unauthorized".into()));
    }
    let keys = stack.client.keys(Some("2")).await.expect("answers");
    assert!(keys.iter().any(|key| key.id == id && key.revoked));
    assert_eq!(refused(stack.client.revoke_key("key_unknown").await), (404, "not_found".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_is_refused() {
    let stack = Stack::start().await;
    for (body, wanted) in [
        (json!({}), (400, "invalid_body")),
        (json!({ "scopes": [] }), (422, "no_scopes")),
        (json!({ "scopes": ["import"] }), (400, "invalid_body")),
        (json!({ "scopes": [["admin"]] }), (400, "invalid_body")),
        (json!([["admin"]]), (400, "invalid_body")),
        (json!({ "scopes": ["admin"], "account": "a b" }), (400, "invalid_body")),
        (json!({ "scopes": ["admin"], "secret": "mine" }), (400, "invalid_body")),
        (json!({ "scopes": ["admin"], "label": "x".repeat(256) }), (422, "label_too_long")),
    ] {
        let answer = send(stack.request(Method::POST, "/v1/keys").bearer_auth(TOKEN).json(&body)).await;
        assert_eq!(answer.refusal(), (wanted.0, wanted.1.to_owned()), "{body}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_of_a_stack_is_made_with_its_outputs() {
    let stack = Stack::start().await;
    let environment = stack.cloud.environment();
    let endpoint = cloudformation::start(described(&stack), "AKIALOCALAPI").await;
    let bootstrap = async |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
        command.args(["keys", "bootstrap", "--stack", name]).env("AWS_ENDPOINT_URL_CLOUDFORMATION", &endpoint);
        // What the stack's outputs say is asked of nobody else.
        let others = environment.iter().filter(|(name, _)| !name.starts_with("PENSTOCK_"));
        command.envs(others.map(|(name, value)| (name, value))).output().await.expect("it runs")
    };
    let made = bootstrap("imports").await;
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let token = String::from_utf8(made.stdout).expect("text");
    let client = Client::new(stack.cloud.url(), token.trim()).expect("a client");
    assert!(client.keys(None).await.is_ok(), "it is an admin's");
    let refused = bootstrap("other").await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(1) && said.contains("the stack other") && said.contains("no such stack"),
        "{said}"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_manages_keys_and_prints_a_secret_once() {
    let stack = Stack::start().await;
    let run = async |args: &[&str], token: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
        command.arg("keys").args(args).env("PENSTOCK_URL", stack.cloud.url()).env("PENSTOCK_TOKEN", token);
        let output = command.output().await.expect("it runs");
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("text"),
            String::from_utf8(output.stderr).expect("text"),
        )
    };
    let (code, printed, _) =
        run(&["create", "--account", "2", "--scopes", "import:read", "--label", "nightly"], TOKEN).await;
    assert_eq!(code, Some(0));
    let token = printed.trim();
    let client = Client::new(stack.cloud.url(), token).expect("a client");
    assert!(client.list(None, 1).await.is_ok());
    let (id, secret) = token.split_once('.').expect("a token");
    let (_, listed, _) = run(&["list", "--account", "2"], TOKEN).await;
    assert!(listed.contains(id) && listed.contains("import:read") && !listed.contains(secret), "{listed}");
    let (code, _, said) = run(&["revoke", id], TOKEN).await;
    assert!(code == Some(1) && said.contains("--account"), "it is of another account: {said}");
    assert_eq!(run(&["revoke", id, "--account", "2"], TOKEN).await.0, Some(0));
    assert_eq!(refused(client.list(None, 1).await), (401, "unauthorized".into()));
    let (code, _, said) = run(&["list"], token).await;
    assert!(code == Some(1) && said.contains("401"), "{said}");
    let (code, _, said) = run(&["create", "--scopes", "everything"], TOKEN).await;
    assert!(code == Some(1) && said.contains("a scope is"), "{said}");
    stack.stop().await;
}
