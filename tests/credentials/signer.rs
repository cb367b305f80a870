//! What signs URLs for clients: a role that is assumed for an hour, and renewed before a URL could outlive it.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::{join, join_all};
use penstock_client::{Bytes, Client, Import, NewExport, NewImport};
use penstock_local::Options;
use penstock_model::{ImportOptions, Status, limits, unix_ms};
use penstock_store::Store;
use reqwest::Method;
use serde_json::Value;

use super::{Served, without};
use crate::support::{
    Stack, TOKEN,
    http::{client, post_form, send},
    sts::{Manner, Sts},
    until, upload,
};

/// How long a session signs before it is renewed, in milliseconds.
const SIGNS_MS: i64 =
    (limits::SIGNER_SECONDS - limits::UPLOAD_TTL_SECONDS - limits::SIGNER_EARLY_SECONDS) as i64 * 1000;

const FILE: &[u8] = b"sku,name,brand\nA,a,b\n";

/// A stack whose api signs by a role.
async fn signed(change: impl FnOnce(&mut Options)) -> (Sts, Stack) {
    let sts = Sts::start().await;
    let stack = Stack::with(|options| {
        sts.signs_for(options);
        change(options);
    })
    .await;
    sts.knows(&stack);
    (sts, stack)
}

fn ms(text: &str) -> i64 {
    unix_ms(text).unwrap_or_else(|| panic!("no moment: {text}"))
}

/// When credentials end, by their token.
fn ends(token: &str) -> i64 {
    token.strip_prefix("until-").and_then(|end| end.parse().ok()).expect("a token of the role")
}

/// When a URL ends, which must not outlive what signed it.
fn url_ends(url: &str) -> i64 {
    let url = reqwest::Url::parse(url).expect("a URL");
    let value = |wanted: &str| {
        let found = url.query_pairs().find(|(name, _)| name == wanted);
        found.unwrap_or_else(|| panic!("no {wanted}: {url}")).1.into_owned()
    };
    let date = value("X-Amz-Date");
    let (day, time) = date.split_once('T').expect("a moment");
    let signed_at =
        ms(&format!("{}-{}-{}T{}:{}:{}Z", &day[..4], &day[4..6], &day[6..], &time[..2], &time[2..4], &time[4..6]));
    let end = signed_at + value("X-Amz-Expires").parse::<i64>().expect("seconds") * 1000;
    assert!(end <= ends(&value("X-Amz-Security-Token")), "{url}");
    end
}

/// Whether a URL ends at a moment that is told in whole seconds, and no second earlier.
fn is_told(end: i64, told: &str) -> bool {
    (ms(told)..=ms(told) + 1000).contains(&end)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_url_is_told_to_work_longer_than_what_signed_it() {
    let (sts, stack) = signed(|options| options.scheduled = false).await;
    let bad = stack.import(b"sku,name,brand\nS-1,One,Acme\nS-2,,Acme\n").await;
    assert_eq!(bad.status, Status::CompletedWithErrors);
    let new = NewExport { kind: "products".to_owned(), ..NewExport::default() };
    let export = stack.client.create_export(&new).await.expect("ordered");
    stack.cloud.quiet().await;
    for step in 0..20 {
        let import = stack.create(ImportOptions::default()).await;
        assert_eq!(ms(&import.expires_at) - ms(&import.created_at), limits::UPLOAD_TTL_SECONDS as i64 * 1000);
        assert!(is_told(url_ends(&import.upload.as_ref().expect("a URL").url), &import.expires_at), "{import:?}");
        let form = import.form.as_ref().expect("a form");
        let policy = STANDARD.decode(&form.fields["policy"]).expect("base64");
        let policy: Value = serde_json::from_slice(&policy).expect("JSON");
        let form_ends = ms(policy["expiration"].as_str().expect("a moment"));
        assert!(form_ends <= ends(&form.fields["x-amz-security-token"]) && is_told(form_ends, &import.expires_at));
        let in_parts = stack.create(ImportOptions::default()).await;
        let mut parts = stack.client.part_urls(&in_parts.id, &[1]).await.expect("a URL");
        assert!(is_told(url_ends(&parts.parts[0].url), &parts.urls_expire_at), "{parts:?}");
        let link = stack.get(&format!("/v1/imports/{}/rejected?link=true", bad.id)).await.json();
        let link = link["url"].as_str().expect("a URL");
        url_ends(link);
        let shown = stack.client.export(&export.id).await.expect("there");
        let file = shown.url.expect("a URL");
        assert!(is_told(url_ends(&file), &shown.url_expires_at.expect("a moment")));
        if step % 5 == 0 {
            // The storage takes each of them.
            for url in [link, &file] {
                assert_eq!(send(client().get(url)).await.status, 200);
            }
            assert_eq!(upload(&import, FILE).await, 200);
            let part = parts.parts.remove(0);
            stack.client.upload_part(&part, Bytes::from_static(FILE), &Default::default()).await.expect("taken");
            let another = stack.create(ImportOptions::default()).await;
            assert_eq!(post_form(another.form.as_ref().expect("a form"), FILE).await.status, 204);
        }
        stack.pass(Duration::from_secs(7 * 60)).await;
    }
    let asked = sts.asked();
    assert!(asked.iter().all(|asked| (asked.seconds, &*asked.caller) == (3600, "AKIALOCALAPI")), "{asked:?}");
    // Each signs for as long as it can.
    assert!(asked.windows(2).all(|pair| pair[1].at - pair[0].at >= SIGNS_MS), "{asked:?}");
    assert!((4..=6).contains(&asked.len()), "{asked:?}");
    stack.stop().await;
}

/// Asks for the moment until which an upload's URL would work, so often at the same time.
async fn at_once(store: &Store, times: usize) -> Vec<Result<i64, String>> {
    let asked = join_all((0..times).map(|_| store.uploads_until())).await;
    asked.into_iter().map(|until| until.map_err(|error| error.to_string())).collect()
}

/// The same, where STS answers nobody before each of them has asked.
async fn waiting_at_once(sts: &Sts, store: &Store, times: usize) -> Vec<Result<i64, String>> {
    let held = sts.hold().await;
    join(at_once(store, times), async move { drop(held) }).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_the_same_time_share_a_renewal_and_how_it_went() {
    let (sts, stack) = signed(|options| options.scheduled = false).await;
    let store = stack.cloud.store();
    assert!(waiting_at_once(&sts, store, 20).await.iter().all(Result::is_ok));
    assert_eq!(sts.asked().len(), 1);
    stack.pass(Duration::from_secs(3600)).await;
    sts.set(Manner::Refuses);
    let refused = waiting_at_once(&sts, store, 20).await;
    assert!(refused.iter().all(|refused| *refused == Err("sts:AssumeRole: AccessDenied".to_owned())), "{refused:?}");
    assert_eq!(sts.asked().len(), 2);
    sts.set(Manner::Gives);
    assert!(waiting_at_once(&sts, store, 20).await.iter().all(Result::is_ok));
    assert_eq!(sts.asked().len(), 3);
    // While it is renewed, the present one signs for those that need not wait.
    stack.pass(Duration::from_millis(SIGNS_MS as u64) + Duration::from_secs(1)).await;
    let held = sts.hold().await;
    let renewing = tokio::spawn({
        let store = store.clone();
        async move { store.uploads_until().await }
    });
    until("it is being renewed", async || sts.asked().len() > 3).await;
    assert!(at_once(store, 20).await.iter().all(Result::is_ok));
    assert!(!renewing.is_finished());
    drop(held);
    assert!(renewing.await.expect("it does not panic").is_ok());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_sts_fails_urls_end_early_and_then_there_are_none() {
    let (sts, stack) = signed(|options| options.scheduled = false).await;
    let served = Served::start(&without(&stack, &[]));
    let api = Client::new(&served.url, TOKEN).expect("a client");
    let create = async || api.create(&NewImport::default(), None).await.expect("created");
    // So that there are rejected rows. The first URL of this process is signed for it.
    let import = create().await;
    assert_eq!(upload(&import, b"sku,name,brand\nS-2,,Acme\n").await, 200);
    let bad = stack.ended(&import.id).await;
    let end = sts.asked().last().expect("a session").ends_at();
    sts.set(Manner::Fails);
    let to_end = async |left: i64| {
        let now = stack.cloud.store().now_ms();
        stack.pass(Duration::from_millis(u64::try_from(end - left - now).expect("later"))).await;
    };
    let kept = |import: &Import| url_ends(&import.upload.as_ref().expect("a URL").url);
    // It is to be renewed, and is not: it signs for as long as ever.
    to_end(2_000_000).await;
    let import = create().await;
    assert_eq!(ms(&import.expires_at) - ms(&import.created_at), limits::UPLOAD_TTL_SECONDS as i64 * 1000);
    kept(&import);
    let log = served.log();
    assert!(log.contains("\"WARN\"") && log.contains("the present ones sign on"), "{log}");
    assert!(!log.contains("until-"), "a token: {log}");
    // It lives for twenty minutes, then for three: so does what it signs.
    for left in [20, 3] {
        to_end(left * 60_000).await;
        let import = create().await;
        assert_eq!((ms(&import.expires_at), kept(&import)), (end, end));
        let parts = api.part_urls(&create().await.id, &[1]).await.expect("a URL");
        assert_eq!((ms(&parts.urls_expire_at), url_ends(&parts.parts[0].url)), (end, end));
        assert_eq!(upload(&import, FILE).await, 200);
    }
    let refused = async |request: reqwest::RequestBuilder| {
        let answer = send(request.bearer_auth(TOKEN)).await;
        assert_eq!(answer.refusal(), (503, "unavailable".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("1"));
    };
    let ask = |method, path: &str| client().request(method, format!("{}{path}", served.url));
    // A URL that is good for five minutes is not given for three.
    refused(ask(Method::GET, &format!("/v1/imports/{}/rejected", bad.id))).await;
    to_end(30_000).await;
    let before = api.list(None, 100).await.expect("a page").imports.len();
    refused(ask(Method::POST, "/v1/imports").body("{}")).await;
    assert_eq!(api.list(None, 100).await.expect("a page").imports.len(), before, "no import is left behind");
    sts.set(Manner::Gives);
    let import = create().await;
    assert_eq!(ms(&import.expires_at) - ms(&import.created_at), limits::UPLOAD_TTL_SECONDS as i64 * 1000);
    assert_eq!(upload(&import, FILE).await, 200);
    stack.stop().await;
}
