//! `penstock serve` and `keys bootstrap` with what the SDK's default chain finds, and with what it finds later.

use std::time::Duration;

use penstock_client::{Client, NewImport};
use penstock_model::unix_ms;

use super::{OWN, Served, penstock, providers::Provider, variables, without};
use crate::support::{
    Stack, TOKEN,
    cloudformation::{self, described},
    sts::Sts,
    until, upload,
};

const HOUR: Duration = Duration::from_secs(3600);

/// So soon before the end of credentials the SDK asks for others.
const SOON: Duration = Duration::from_secs(9);

/// A process that serves a stack's API with the role that a provider gives.
async fn takes_and_renews(stack: &Stack, provider: &Provider, environment: &[(String, String)]) {
    provider.set(SOON);
    let served = Served::start(environment);
    let client = Client::new(&served.url, TOKEN).expect("a client");
    let asks = async || client.list(None, 1).await.expect("a page").imports.len();
    assert_eq!(asks().await, 0);
    let first = provider.given(SOON);
    assert!(first > 0, "{}", served.log());
    until("what has ended is renewed", async || asks().await == 0 && provider.given(SOON) > first).await;
    provider.set(HOUR);
    until("it is renewed again", async || asks().await == 0 && provider.given(HOUR) > 0).await;
    let given = provider.given(HOUR);
    for _ in 0..3 {
        asks().await;
    }
    assert_eq!(provider.given(HOUR), given, "what lives is kept");
    // The storage knows the signature.
    let import = client.create(&NewImport::default(), None).await.expect("created");
    let ms = |text: &str| unix_ms(text).expect("a moment");
    assert_eq!(ms(&import.expires_at) - ms(&import.created_at), 1_800_000);
    assert_eq!(upload(&import, b"sku,name,brand\nA,a,b\n").await, 200);
    assert_eq!(stack.ended(&import.id).await.rows.created, 1);
    // By the local clock they end in twenty minutes, and so does what they sign.
    stack.pass(Duration::from_secs(40 * 60)).await;
    let import = client.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(ms(&import.expires_at), provider.ends_at());
    assert_eq!(upload(&import, b"sku,name,brand\nB,a,b\n").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_takes_the_role_of_its_container() {
    let stack = Stack::start().await;
    let provider = Provider::of(&stack).await;
    let environment = [without(&stack, &OWN[..2]), provider.of_container()].concat();
    takes_and_renews(&stack, &provider, &environment).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_takes_the_role_and_the_region_of_its_instance() {
    let stack = Stack::start().await;
    let provider = Provider::of(&stack).await;
    let environment = [without(&stack, &OWN), provider.of_instance()].concat();
    takes_and_renews(&stack, &provider, &environment).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_takes_a_web_identity() {
    let sts = Sts::start().await;
    let stack = Stack::start().await;
    sts.knows(&stack);
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "the token").expect("a file");
    let told = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("UTF-8")),
        ("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/signer"),
        ("AWS_ENDPOINT_URL_STS", sts.url.as_str()),
    ];
    let served = Served::start(&[without(&stack, &OWN[..2]), variables(told)].concat());
    let client = Client::new(&served.url, TOKEN).expect("a client");
    let import = client.create(&NewImport::default(), None).await.expect("created");
    assert!(import.upload.as_ref().expect("a URL").url.contains("AKIALOCALSIGNER"));
    assert_eq!(upload(&import, b"sku,name,brand\nA,a,b\n").await, 200);
    assert!(sts.asked().iter().all(|asked| asked.caller.is_empty()) && !sts.asked().is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_made_with_a_profile_and_its_region() {
    let stack = Stack::start().await;
    let endpoint = cloudformation::start(described(&stack), "AKIAPROFILE").await;
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".aws")).expect("a folder");
    let keys = "[ops]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret\n";
    std::fs::write(home.path().join(".aws/credentials"), keys).expect("a file");
    let region = "[default]\nregion = eu-north-1\n\n[profile ops]\nregion = us-east-1\n";
    std::fs::write(home.path().join(".aws/config"), region).expect("a file");
    let endpoints = without(&stack, &OWN).into_iter().filter(|(name, _)| name.starts_with("AWS_ENDPOINT_URL"));
    let told = variables([("AWS_PROFILE", "ops"), ("AWS_ENDPOINT_URL_CLOUDFORMATION", &endpoint)]);
    let environment: Vec<_> = endpoints.chain(told).collect();
    let made = penstock(home.path(), &["keys", "bootstrap", "--stack", "imports"], &environment).output();
    let made = made.expect("it runs");
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let token = String::from_utf8(made.stdout).expect("text");
    let client = Client::new(stack.cloud.url(), token.trim()).expect("a client");
    assert!(client.keys(None).await.is_ok(), "it is an admin's");
    stack.stop().await;
}

#[test]
fn where_credentials_and_a_region_are_looked_for_is_said() {
    let home = tempfile::tempdir().expect("a folder");
    let region = variables([("AWS_REGION", "us-east-1")]);
    let keys = variables([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")]);
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["keys", "bootstrap", "--stack", "imports"]] {
        for (environment, said) in [
            (&region, "no AWS credentials are found in the environment, the profile of AWS_PROFILE, a web identity"),
            (&keys, "no AWS region is set: set AWS_REGION"),
        ] {
            let output = penstock(home.path(), command, environment).output().expect("it runs");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(1) && error.contains(said), "{command:?}: {error}");
        }
    }
}
