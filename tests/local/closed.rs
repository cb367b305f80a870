//! What is behind the port is nobody's: not another program's on this machine, and not a page's.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use penstock_local::LocalCloud;
use reqwest::RequestBuilder;

use super::{
    products,
    support::{
        Stack,
        http::{Answer, client, send},
    },
};

fn variable(cloud: &LocalCloud, name: &str) -> String {
    let found = cloud.environment().iter().rev().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone()).unwrap_or_else(|| panic!("no {name}"))
}

/// The address of an endpoint without the secret that stands in front of its paths.
fn bare(endpoint: &str) -> String {
    let (_, rest) = endpoint.split_once("://").expect("a URL");
    format!("http://{}", rest.split('/').next().expect("an address"))
}

/// Lists the tables, or the messages of a queue, as a client of AWS would that signs nothing.
fn question(url: &str, service: &str) -> RequestBuilder {
    let (target, body) = match service {
        "DYNAMODB" => ("DynamoDB_20120810.Scan", r#"{"TableName":"penstock-imports"}"#),
        _ => ("AmazonSQS.ReceiveMessage", r#"{"QueueUrl":"/chunks"}"#),
    };
    let request = client().post(format!("{url}/")).header("x-amz-target", target);
    request.header("content-type", "application/x-amz-json-1.0").body(body)
}

fn is_refused(answer: &Answer) -> bool {
    answer.status == 403 && answer.body.is_empty() && answer.header("access-control-allow-origin").is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_queues_answer_this_runs_processes_alone() {
    let stack = Stack::start().await;
    for service in ["DYNAMODB", "SQS"] {
        let endpoint = variable(&stack.cloud, &format!("AWS_ENDPOINT_URL_{service}"));
        let inside = send(question(&endpoint, service)).await;
        assert_eq!(inside.status, 200, "{service}: {inside:?}");
        for header in ["access-control-allow-origin", "access-control-allow-methods"] {
            assert!(inside.header(header).is_none(), "{service} {header}");
        }
        let bare = bare(&endpoint);
        assert!(endpoint.len() >= bare.len() + 64, "{endpoint}");
        for (what, request) in [
            ("nothing", question(&bare, service)),
            ("a guess", question(&format!("{bare}/{}", "0".repeat(64)), service)),
            (
                "a signature that nobody has checked",
                question(&bare, service).header("authorization", "AWS4-HMAC-SHA256 Credential=AKIALOCALAPI"),
            ),
            ("a page", question(&endpoint, service).header("origin", "http://127.0.0.1:3000")),
            ("a sandboxed page", question(&endpoint, service).header("origin", "null")),
            ("a name that leads here", question(&endpoint, service).header("host", "evil.example")),
            ("a preflight", client().request(reqwest::Method::OPTIONS, &bare).header("origin", "https://evil.example")),
            ("a browser's address line", client().get(&bare)),
        ] {
            let answer = send(request).await;
            assert!(is_refused(&answer), "{service}, {what}: {answer:?}");
        }
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_inside_wants_a_signature() {
    let stack = Stack::start().await;
    let import = stack.import(&products(3)).await;
    let endpoint = variable(&stack.cloud, "AWS_ENDPOINT_URL_S3");
    let object = format!("{endpoint}/uploads/uploads/1/{}", import.id);
    for request in [
        client().get(&object),
        client().get(format!("{endpoint}/uploads?list-type=2")),
        client().put(&object).body("x"),
    ] {
        assert_eq!(send(request).await.storage_refusal(), (403, "AccessDenied"));
    }
    let of_a_page = send(client().get(&object).header("origin", "http://localhost:3000")).await;
    assert!(is_refused(&of_a_page), "{of_a_page:?}");
    assert!(is_refused(&send(client().get(&object).header("host", "evil.example")).await));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runtime_api_is_its_instances_alone() {
    let stack = Stack::start().await;
    stack.import(&products(3)).await;
    let processes = stack.cloud.processes();
    let process = processes.iter().find(|process| process.alive).expect("an instance");
    let environment = std::fs::read(format!("/proc/{}/environ", process.pid)).expect("Linux tells its owner");
    let environment = String::from_utf8(environment).expect("text");
    let api = environment
        .split('\0')
        .find_map(|pair| pair.strip_prefix("AWS_LAMBDA_RUNTIME_API=http://"))
        .expect("its address");
    let [address, secret, instance] = api.split('/').collect::<Vec<_>>()[..] else { panic!("{api}") };
    assert_eq!(secret.len(), 64);
    let answer = async |path: String, origin: Option<&str>| {
        let mut request = client().post(format!("http://{address}/{path}/runtime/invocation/none/response")).body("{}");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        send(request).await
    };
    // The instance works on no such invocation.
    assert_eq!(answer(format!("{secret}/{instance}/2018-06-01"), None).await.status, 400);
    assert!(is_refused(&answer(format!("{instance}/2018-06-01"), None).await));
    assert!(is_refused(&answer(format!("{}/{instance}/2018-06-01", "0".repeat(64)), None).await));
    assert!(is_refused(&answer(format!("{secret}/{instance}/2018-06-01"), Some("http://localhost")).await));

    // Everyone may read what a process was started with.
    for process in processes.iter().filter(|process| process.alive) {
        let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).expect("Linux tells");
        let line = String::from_utf8(line).expect("text");
        let arguments: Vec<&str> = line.trim_end_matches('\0').split('\0').skip(1).collect();
        assert_eq!(arguments, ["function", process.function.as_str()]);
    }
    stack.stop().await;
}

/// Every file and folder below a folder, and itself, with its rights.
pub(crate) fn rights(folder: &Path) -> Vec<(std::path::PathBuf, bool, u32)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        found.push((folder.clone(), true, mode(&folder)));
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push((path.clone(), false, mode(&path))),
            }
        }
    }
    found
}
