//! `penstock doctor`: a service that works, and some that do not.

use std::process::Output;

use penstock_client::NewKey;
use penstock_model::Scope;
use serde_json::Value;

use super::{Dev, penstock, run, stderr, stdout, support::Stack};
use crate::support::{
    TOKEN,
    cloudformation::{self, described},
};

/// What differs, of what was looked at.
fn differing(output: &Output) -> Vec<&str> {
    stdout(output).lines().filter(|line| !line.starts_with("ok  ")).collect()
}

/// The doctor as a task of its own, since this process holds the service.
async fn doctor(mut command: std::process::Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends")
}

#[test]
fn a_service_that_works_is_told_so_and_nothing_is_left_there() {
    let dev = Dev::start(&[]);
    let output = dev.run("local.secret", &["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(differing(&output).is_empty(), "{}", stdout(&output));
    assert!(stderr(&output).ends_with(&format!("\n{} does what it is for\n", dev.url)), "{}", stderr(&output));
    let output = dev.run("local.secret", &["doctor", "--json"]);
    let looks: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(looks.len() > 12 && looks.iter().all(|look| look["ok"] == true && look["found"].is_null()), "{looks:?}");
    for list in [&["list"][..], &["records", "list", "products"]] {
        assert_eq!(stdout(&dev.run("local.secret", list)), "", "{list:?}");
    }
}

#[test]
fn who_has_no_key_is_told_so() {
    let dev = Dev::start(&[]);
    let output = dev.run("local.wrong", &["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    let said = differing(&output);
    assert!(said.len() == 1 && said[0].starts_with("DIFFERS  an import of new records is made: 401"), "{said:?}");
    assert!(stderr(&output).contains("1 of these differ"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_which_nobody_hears_differs_and_is_removed() {
    let stack = Stack::with(|options| {
        options.faults.event_lost = 1.0;
        options.scheduled = false;
    })
    .await;
    let output = doctor(penstock(&["doctor", "--url", stack.cloud.url(), "--token", TOKEN, "--within", "1"])).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let wanted = "DIFFERS  it ends, and its rejected rows are written: after 1 s it is awaiting_upload";
    assert_eq!(differing(&output), [wanted]);
    assert!(stack.client.list(None, 10).await.expect("a list").imports.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_examined_with_a_key_that_is_revoked() {
    let stack = Stack::with(|options| {
        options.keys.push(("operator".to_owned(), "admin".to_owned(), "secret".to_owned()));
    })
    .await;
    let api = format!("<member><OutputKey>ApiUrl</OutputKey><OutputValue>{}</OutputValue></member>", stack.cloud.url());
    let endpoint =
        cloudformation::start(described(&stack).replace("</Outputs>", &format!("{api}</Outputs>")), "AKIALOCALAPI")
            .await;
    let mut command = penstock(&["doctor", "--stack", "imports"]);
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", &endpoint);
    // What the stack's outputs say is asked of nobody else.
    let environment = stack.cloud.environment().iter().filter(|(name, _)| !name.starts_with("PENSTOCK_"));
    command.envs(environment.map(|(name, value)| (name, value)));
    let output = doctor(command).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(differing(&output).is_empty(), "{}", stdout(&output));
    let operator = stack.client_of("admin.secret");
    let keys = operator.keys(Some("penstock-doctor")).await.expect("keys");
    assert!(keys.len() == 1 && keys[0].revoked && !keys[0].scopes.contains(&Scope::Admin), "{keys:?}");

    // A key that may not delete what was made.
    let scopes = vec![Scope::ImportRead, Scope::ImportWrite];
    let key = operator.create_key(&NewKey { account: Some("1".to_owned()), scopes, label: None }).await.expect("a key");
    let token = key.token.expect("a token");
    let output = doctor(penstock(&["doctor", "--url", stack.cloud.url(), "--token", &token])).await;
    assert_eq!(output.status.code(), Some(1));
    let said = differing(&output);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|line| line.contains(" deleted: ") && line.contains("403")), "{said:?}");
    stack.stop().await;
}

#[test]
fn a_stack_and_a_key_are_two_ways_to_name_it() {
    let output = run(&["doctor", "--stack", "imports", "--token", "a.b"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot be used with"), "{}", stderr(&output));
}
