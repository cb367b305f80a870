//! The documents' own client code, run as a user would: its base URL and its credential are changed, and nothing else.
//!
//! Where Node.js or curl is absent these tests say so and pass, but not where `CI` is `true`: there nothing may be left
//! out.

use std::{path::Path, process::Output};

use reqwest::Method;
use tokio::process::Command;

use super::support::{Stack, TOKEN, programs::left_out};

/// Runs a program to its end; `None` where the machine does not have it.
async fn run(command: &mut Command) -> Option<Output> {
    match command.kill_on_drop(true).output().await {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(output)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            left_out(&format!("{:?} is not installed", command.as_std().get_program()));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).expect("text")
}

/// The folder whose packages scripts require.
fn node_folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialects/node")
}

/// Algure's page: an id by fetch, a CSV that is joined and never quoted, a status that must be exactly 201.
#[tokio::test(flavor = "multi_thread")]
async fn algures_fetch_client_works_unchanged() {
    let stack = Stack::start().await;
    let rows = r#"const rows = [1, 2, 3].map((n) => ({ code: `C-${n}`, description: n == 2 ? "long, thin" : "plain", stock: n,
        warehouseCode: "W", locationCode: "L", costPrice: 1.5, packagingUnit: 1 }));"#;
    let script = include_str!("node/algure.mjs")
        .replace("https://api.algure.com", stack.cloud.url())
        .replace("<base64(clientId:clientSecret)>", "dGVzdDpzZWNyZXQ=");
    let mut command = Command::new("node");
    command.args(["--input-type=module", "-e", &format!("{rows}\n{script}")]);
    let Some(output) = run(&mut command).await else { return };
    assert!(text(output).ends_with("Feed accepted and queued\n"));
    let listed = stack.get("/v1/products/imports").await.json();
    let id = listed["imports"][0]["id"].as_str().expect("an id");
    let import = stack.ended(id).await;
    assert_eq!((import.rows.created, import.rows.failed), (2, 1));
    let error = &stack.errors(id).await[0];
    assert_eq!((error.row, error.line, error.code.as_str()), (2, 3, "ragged_row"));
    stack.stop().await;
}

/// Connectif's script with the packages that it requires: the file last and chunked, progress from `total`, an end with
/// `finished` alone. Its pause of two seconds is shorter here.
#[tokio::test(flavor = "multi_thread")]
async fn connectifs_script_ends_on_finished() {
    if !node_folder().join("node_modules/node-fetch").is_dir() {
        return left_out("the scripts' packages are not installed: npm ci --prefix tests/dialects/node");
    }
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("contacts.csv");
    let contacts =
        "_email,_name,_points\njohn@example.org,John,10\nmicheal@example.org,\"Michael\nJr.\",10\nnobody,x,1\n";
    std::fs::write(&file, contacts).expect("a file");
    let script = include_str!("node/connectif.js")
        .replace("https://api.connectif.cloud", stack.cloud.url())
        .replace("resolve, 2000", "resolve, 20");
    let mut command = Command::new("node");
    command.current_dir(node_folder()).args(["-e", &script]).env("API_KEY", TOKEN).env("FILE_PATH", &file);
    let Some(output) = run(&mut command).await else { return };
    let printed = text(output);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines.iter().rev().skip(1).all(|line| line.ends_with(" of 3")), "{printed}");
    assert_eq!(lines[lines.len() - 2..], ["completed 3 of 3", "Success 🎉 🎉 🎉 🎉 🎉 🎉 🎉"]);
    stack.stop().await;
}

/// ProductsManager's calls.
#[tokio::test(flavor = "multi_thread")]
async fn products_managers_curl_calls_work_unchanged() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = "EAN,Titre,Prix\n4006381333931,Crayon,0.80\ninvalid-ean,Rien,1\n";
    std::fs::write(folder.path().join("catalog.csv"), catalog).expect("a file");
    let base = format!("{}/api/v1", stack.cloud.url());
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let curl = async |path: &str, args: &[&str]| {
        let url = format!("{base}{path}");
        let mut command = Command::new("curl");
        command.current_dir(folder.path()).args(["--silent", "--show-error"]).arg(&url).args(["-H", &authorization]);
        let output = run(command.args(args)).await?;
        Some(serde_json::from_str::<serde_json::Value>(&text(output)).expect("JSON"))
    };
    let mapping = r#"mapping={"EAN":"ean","Titre":"title","Prix":"price"}"#;
    let args = ["-X", "POST", "-F", "file=@catalog.csv", "-F", "format=csv", "-F", mapping];
    let Some(created) = curl("/imports", &args).await else { return };
    assert_eq!((created["status"].as_str(), created["format"].as_str()), (Some("pending"), Some("csv")), "{created}");
    let id = created["id"].as_str().expect("an id");
    stack.ended(id).await;
    let status = curl(&format!("/imports/{id}"), &[]).await.expect("curl is there");
    assert_eq!((status["created_rows"].as_u64(), status["error_rows"].as_u64()), (Some(1), Some(1)), "{status}");
    let errors = curl(&format!("/imports/{id}/errors"), &[]).await.expect("curl is there");
    let wanted = serde_json::json!({
        "data": [{ "row": 2, "ean": "invalid-ean", "error": "validation_error", "message": "Invalid EAN format." }],
        "meta": { "page": 1, "per_page": 20, "total": 1 },
    });
    assert_eq!(errors, wanted);
    stack.stop().await;
}

/// Quotiza's status, asked for by a GET with a body.
#[tokio::test(flavor = "multi_thread")]
async fn quotizas_status_is_asked_for_by_a_get_with_a_body() {
    let stack = Stack::start().await;
    let body =
        r#"{"account_id": "1", "products": [{"sku": "ABC123", "name": "Premium T-Shirt", "brand": "FashionBrand"}]}"#;
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let curl = async |method: Method, path: &str, body: &str| {
        let url = format!("{}/api/v1/products/{path}", stack.cloud.url());
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "-X", method.as_str(), &url, "-H", &authorization]);
        let output = run(command.args(["-H", "Content-Type: application/json", "-d", body])).await?;
        Some(serde_json::from_str::<serde_json::Value>(&text(output)).expect("JSON"))
    };
    let Some(job) = curl(Method::POST, "import", body).await else { return };
    let id = job["job_id"].as_str().expect("a string");
    stack.ended(id).await;
    let question = format!(r#"{{"account_id": "1", "job_id": "{id}"}}"#);
    let status = curl(Method::GET, "import_status", &question).await.expect("curl is there");
    assert_eq!((status["status"].as_str(), status["successes"].as_u64()), (Some("completed"), Some(1)), "{status}");
    stack.stop().await;
}
