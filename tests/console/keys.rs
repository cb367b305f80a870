//! Keys that are made and revoked, and keys that may not do what somebody wants to do with them.

use penstock_client::NewKey;
use penstock_model::Scope;
use serde_json::json;

use super::{
    browser::{ESCAPE, Page},
    shop::catalogue,
    support::{OTHER_TOKEN, Stack, TOKEN},
};

/// All that a page shows and keeps.
const KEPT: &str = "
return document.documentElement.outerHTML + [...document.querySelectorAll('input')].map((input) => input.value)
  + JSON.stringify({ ...sessionStorage, ...localStorage });
";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_its_secret_shown_once_and_revoked() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit("keys").await;
    page.fill("#label", "nightly").await;
    page.click("#scope-import-read").await;
    page.click("#scope-import-write").await;
    page.click("#make button[type=submit]").await;
    page.until("the secret is shown", "document.querySelector('#once').open").await;
    let token = page.run("return secret.value", Vec::new()).await.as_str().expect("a text").to_owned();
    assert!(stack.client_of(&token).list(None, 10).await.is_ok(), "{token}");
    page.press(ESCAPE).await;
    page.until("the secret is gone", "!document.querySelector('#once').open").await;
    page.is_ready().await;
    page.sees("#list tbody tr", "nightly").await;
    let html = page.run(KEPT, Vec::new());
    let secret = token.split_once('.').expect("a token").1;
    assert!(!html.await.as_str().expect("a text").contains(secret), "a secret is kept by the page");
    page.reload().await;
    page.is_ready().await;
    let row = page.sees("#list tbody tr", "nightly").await;
    assert!(row.contains("import:read") && row.contains("import:write"), "{row}");
    page.click_in("#list tbody tr", "nightly", "button").await;
    page.says_yes().await;
    crate::support::until("the key is revoked", async || stack.client_of(&token).list(None, 10).await.is_err()).await;
    page.settled().await;
    page.close().await;
    stack.stop().await;
}

/// Whoever signs in sees what is theirs. What is another's looks like what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_sees_nothing_of_another_account() {
    let stack = Stack::start().await;
    let import = stack.import(catalogue(3).as_bytes()).await;
    let Some(page) = Page::of(&stack).await else { return };
    page.sign_in(OTHER_TOKEN).await;
    page.sees("#empty", "No import yet").await;
    let foreign = async |path: &str| {
        page.will_be_refused(404, 1);
        page.go(&format!("/console/{path}")).await;
        let said = page.refusal().await;
        let faults = page.faults().await;
        assert!(faults.is_empty(), "{path}: {faults:?}");
        said
    };
    let said = foreign(&format!("import?id={}", import.id)).await;
    assert_eq!(
        said.replace(&import.id, "X"),
        foreign("import?id=imp_01M8GMXX43FK0742A8WYZ0YC8G").await.replace("imp_01M8GMXX43FK0742A8WYZ0YC8G", "X")
    );
    let shown = page.run("return main.innerText", Vec::new()).await;
    assert!(!shown.as_str().expect("a text").contains("products"), "{shown}");
    foreign("records?kind=products&key=HW-1000").await;
    page.close().await;
    stack.stop().await;
}

/// The API's own message, with the scope that is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_scope_is_told_which_one_it_needs() {
    let stack = Stack::start().await;
    let new = NewKey { account: None, scopes: vec![Scope::ImportRead], label: Some("reader".into()) };
    let token = stack.client.create_key(&new).await.expect("made").token.expect("a token");
    let Some(page) = Page::of(&stack).await else { return };
    page.sign_in(&token).await;
    // A preview needs no import, or is refused too: what counts is what is said at the end.
    let path = page.file("good.csv", catalogue(3));
    page.visit("new").await;
    page.will_be_refused(403, 1);
    page.give("#file", &path).await;
    page.settled().await;
    if page.run("return document.documentElement.dataset.state", Vec::new()).await == "ready" {
        page.click("#import-now").await;
    }
    let said = page.refusal().await;
    assert!(said.contains("import:write") && said.contains("forbidden"), "{said}");
    page.will_be_refused(403, 1);
    page.go("/console/keys").await;
    let said = page.refusal().await;
    assert!(said.contains("admin"), "{said}");
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_revoked_key_leads_to_the_sign_in_and_back() {
    let stack = Stack::start().await;
    let import = stack.import(catalogue(3).as_bytes()).await;
    let new = NewKey { account: None, scopes: vec![Scope::ImportRead], label: None };
    let key = stack.client.create_key(&new).await.expect("made");
    let Some(page) = Page::of(&stack).await else { return };
    page.go("/console/sign-in").await;
    page.settled().await;
    page.will_be_refused(401, 1);
    page.fill("#key", "nobody.nothing").await;
    page.click("main button[type=submit]").await;
    page.refusal().await;
    assert!(page.at().await.starts_with("/console/sign-in"));
    let kept = page.run("return sessionStorage.length + localStorage.length", Vec::new()).await;
    assert_eq!(kept, json!(0), "a wrong key is kept");
    page.sign_in(key.token.as_deref().expect("a token")).await;
    stack.client.revoke_key(&key.id).await.expect("revoked");
    page.will_be_refused(401, 1);
    let path = format!("import?id={}", import.id);
    page.go(&format!("/console/{path}")).await;
    page.until("the sign-in", "location.pathname.endsWith('/console/sign-in')").await;
    page.settled().await;
    page.fill("#key", TOKEN).await;
    page.click("main button[type=submit]").await;
    page.arrives("import").await;
    assert_eq!(page.import_id().await, import.id, "it goes on where it was");
    page.click("#sign-out").await;
    page.arrives("sign-in").await;
    let kept = page.run("return sessionStorage.length", Vec::new()).await;
    assert_eq!(kept, json!(0), "the key is kept after the sign-out");
    page.close().await;
    stack.stop().await;
}
