//! The local cloud with functions as real child processes, over `lambda_runtime`: this executable is the functions too.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::config::{Credentials, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use lambda_runtime::{LambdaEvent, service_fn};
use penstock_local::{FunctionError, LocalCloud, Options, ProcessInfo};
use penstock_store::keys::NewKey;
use serde_json::{Value, json};

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["function", _] => runtime.block_on(lambda_runtime::run(service_fn(function))).unwrap(),
        ["parent"] => runtime.block_on(parent()),
        // What test runners ask of a harness.
        ref arguments if arguments.contains(&"--list") => {}
        _ => {
            runtime.block_on(a_large_upload_is_not_held_in_memory());
            runtime.block_on(functions_run_as_children());
            children_die_with_a_killed_parent();
            runtime.block_on(the_data_folder_outlives_a_restart());
        }
    }
}

/// The function: does what its event says.
async fn function(event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
    let payload = event.payload;
    if payload["exit"] == true {
        println!("going down");
        std::process::exit(3);
    }
    if payload["fail"] == true {
        return Err("as told".into());
    }
    let Some(records) = payload["Records"].as_array() else { return Ok(payload) };
    let failures: Vec<Value> = records
        .iter()
        .filter(|record| record["body"] == "fail" && record["attributes"]["ApproximateReceiveCount"] == "1")
        .map(|record| json!({ "itemIdentifier": record["messageId"] }))
        .collect();
    Ok(json!({ "batchItemFailures": failures }))
}

fn options() -> Options {
    Options { scheduled: false, ..Options::new(std::env::current_exe().unwrap()) }
}

/// Comes first: it looks at the most memory that this process has ever held.
async fn a_large_upload_is_not_held_in_memory() {
    const PARTS: usize = 256;
    let cloud = LocalCloud::start(Options { proxy: true, ..options() }).await.unwrap();
    let variable = |name: &str| {
        let found = cloud.environment().iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap()
    };
    let (key_id, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(Region::new(variable("AWS_REGION")))
        .credentials_provider(Credentials::new(key_id, secret, None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true)
        .endpoint_url(variable("AWS_ENDPOINT_URL_S3"));
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let bucket = variable("PENSTOCK_RESULTS_BUCKET");
    let expires = PresigningConfig::expires_in(Duration::from_secs(600)).unwrap();
    let put = client.put_object().bucket(&bucket).key("large").presigned(expires).await.unwrap();

    let before = peak_rss_mebibytes();
    let part = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    let parts = futures::stream::iter((0..PARTS).map(move |_| Ok::<_, std::io::Error>(part.clone())));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new().put(put.uri()).header("content-length", PARTS << 20);
    let response = request.body(reqwest::Body::wrap_stream(parts)).send().await.unwrap();
    assert!(response.status().is_success());
    let grown = peak_rss_mebibytes() - before;
    assert!(grown < 64, "{grown} MiB for an upload of {PARTS} MiB");

    let head = client.head_object().bucket(&bucket).key("large").send().await.unwrap();
    assert_eq!(head.content_length(), Some(i64::try_from(PARTS << 20).unwrap()));
    cloud.stop().await;
}

fn peak_rss_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

async fn functions_run_as_children() {
    let cloud = LocalCloud::start(options()).await.unwrap();
    let echo = cloud.invoke("split", r#"{"echo":1}"#).await.unwrap();
    assert_eq!(echo, r#"{"echo":1}"#);
    assert!(matches!(cloud.invoke("split", r#"{"fail":true}"#).await, Err(FunctionError::Unhandled(_))));
    assert!(matches!(cloud.invoke("split", r#"{"exit":true}"#).await, Err(FunctionError::Crashed(_))));
    assert!(cloud.logs("split").contains("going down"));
    // A new instance takes the place of the one that ended.
    cloud.invoke("split", "{}").await.unwrap();

    let chunks = cloud.queue("chunks").unwrap();
    for body in ["done", "fail"] {
        chunks.send(body.to_owned(), Some("account".to_owned()), Duration::ZERO);
    }
    cloud.quiet().await;
    assert_eq!(cloud.queue_depths()["chunks"].in_flight, 1);
    cloud.advance(chunks.settings().visibility_timeout).unwrap();
    cloud.idle().await;
    assert_eq!(cloud.queue_depths()["chunks"].total(), 0);

    let processes = cloud.processes();
    let count = |function: &str, alive: bool| {
        processes.iter().filter(|process| process.function == function && process.alive == alive).count()
    };
    assert_eq!((count("split", true), count("split", false)), (1, 1));
    let live: Vec<&ProcessInfo> = processes.iter().filter(|process| process.alive).collect();
    assert!(live.iter().all(|process| process.peak_rss_bytes > 1 << 20 && process.invocations > 0));
    cloud.stop().await;
    for process in live {
        assert!(!std::path::Path::new(&format!("/proc/{}", process.pid)).exists());
    }
}

/// A local cloud that has a child and waits to be killed.
async fn parent() {
    let cloud = LocalCloud::start(Options { verbose: true, ..options() }).await.unwrap();
    cloud.invoke("split", "{}").await.unwrap();
    println!("ready");
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}

fn children_die_with_a_killed_parent() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .arg("parent")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    parent.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    // Its children have inherited its standard error, which ends when the last of them does.
    parent.stderr.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
}

async fn the_data_folder_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = || Options { data: Some(folder.path().to_owned()), keys: Vec::new(), ..options() };
    let key = ("account".to_owned(), "key".to_owned(), "secret".to_owned());
    let cloud = LocalCloud::start(Options { keys: vec![key], ..data() }).await.unwrap();
    let account = "account".parse().unwrap();
    let made = NewKey { id: "made".to_owned(), secret: "secret".to_owned(), account, scopes: Vec::new(), label: None };
    cloud.store().put_key(&made).await.unwrap().unwrap();
    let before = cloud.clock().now_ms();
    cloud.advance(Duration::from_secs(3600)).unwrap();
    cloud.stop().await;

    let cloud = LocalCloud::start(data()).await.unwrap();
    assert!(cloud.store().authenticate("made", "secret").await.unwrap().is_some());
    // One that was given and is not any more.
    assert!(cloud.store().authenticate("key", "secret").await.unwrap().is_none());
    assert!(cloud.clock().now_ms() >= before + 3_600_000);
    cloud.stop().await;
}
