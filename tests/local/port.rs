//! One port for the API and uploads.

use std::net::SocketAddr;

use penstock_api::DIALECTS;
use penstock_client::Import;
use penstock_local::{LocalCloud, STORAGE_SEGMENTS};
use penstock_model::{ImportOptions, Status};
use regex::Regex;
use reqwest::Method;

use super::{
    products,
    support::{
        Stack, TOKEN,
        http::{client, post_form, send},
        upload,
    },
};

fn put_url(import: &Import) -> &str {
    &import.upload.as_ref().expect("an upload URL").url
}

#[tokio::test(flavor = "multi_thread")]
async fn api_and_uploads_share_one_port() {
    let stack = Stack::start().await;
    let at_home = |url: &str| url.starts_with(&format!("{}/", stack.cloud.url()));
    let by_put = stack.create(ImportOptions::default()).await;
    assert!(at_home(put_url(&by_put)), "{by_put:?}");
    assert_eq!(upload(&by_put, &products(3)).await, 200);
    let by_form = stack.create(ImportOptions::default()).await;
    let form = by_form.form.as_ref().expect("a form");
    assert!(at_home(&form.url), "{form:?}");
    assert_eq!(post_form(form, b"sku,name,brand\nA,a,\n").await.status, 204);
    assert_eq!(stack.ended(&by_put.id).await.status, Status::Completed);
    assert_eq!(stack.ended(&by_form.id).await.status, Status::CompletedWithErrors);
    let answer = stack.get(&format!("/v1/imports/{}/rejected", by_form.id)).await;
    let rejected = answer.header("location").expect("where it is").to_owned();
    assert!(answer.status == 303 && at_home(&rejected), "{answer:?}");
    let rejected = send(client().get(rejected)).await;
    assert!(rejected.status == 200 && rejected.text().contains("required"), "{rejected:?}");
    stack.stop().await;
}

/// The texts of the Rust files below a folder of the repository.
fn sources(folder: &str) -> Vec<String> {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(std::fs::read_to_string(&path).expect("text"));
            }
        }
    }
    texts
}

#[test]
fn no_route_and_no_base_is_the_storages() {
    let first = |path: &str| path.split('/').find(|segment| !segment.is_empty()).unwrap_or_default().to_owned();
    let is_of_storage = |path: &str| STORAGE_SEGMENTS.contains(&first(path).as_str());
    let bases = DIALECTS.iter().flat_map(|dialect| dialect.bases);
    assert_eq!(bases.filter(|base| is_of_storage(base)).collect::<Vec<_>>(), [&""; 0]);
    let route = Regex::new(r#""(/[^"]*)"(?: within [^=]+)? => \{"#).expect("a pattern");
    let texts = sources("functions/api/src");
    let routes: Vec<&str> =
        texts.iter().flat_map(|text| route.captures_iter(text)).map(|found| found.extract::<1>().1[0]).collect();
    assert!(routes.contains(&"/v1/imports/{id}"), "{routes:?}");
    let wrong: Vec<&&str> =
        routes.iter().filter(|route| is_of_storage(route) || first(route).starts_with('{')).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What the store signs for clients is signed for the way by which they reach the storage, not for its own.
#[test]
fn whatever_is_presigned_is_signed_for_clients() {
    let client = Regex::new(r"\b(s3|storage)\s*\.\w+\(\)").expect("a pattern");
    let mut clients = Vec::new();
    for text in sources("shared/store/src") {
        let pieces: Vec<&str> = text.split(".presigned(").collect();
        // What comes before each call: the last client that is named there makes it.
        let before = pieces.iter().take(pieces.len() - 1);
        clients.extend(before.filter_map(|piece| Some(client.captures_iter(piece).last()?[1].to_owned())));
    }
    assert!(clients.len() >= 2 && clients.iter().all(|client| client == "storage"), "{clients:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_takes_presigned_requests_and_forms_alone() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let (bare, _) = put_url(&import).split_once('?').expect("a signature");
    for method in [Method::GET, Method::PUT, Method::HEAD, Method::DELETE, Method::POST] {
        let answer = send(client().request(method.clone(), bare).body("sku\n")).await;
        assert_eq!(answer.status, 403, "{method}");
    }
    for path in ["/uploads", "/uploads?list-type=2", "/results/", "/uploads/?uploads"] {
        let answer = stack.ask(Method::GET, path).await;
        assert_eq!(answer.storage_refusal(), (403, "AccessDenied"), "{path}");
    }
    assert_eq!(upload(&import, &products(1)).await, 200);
    stack.stop().await;
}

/// The status of a GET that names a host.
async fn status_at(url: &str, host: &str) -> u16 {
    send(client().get(url).header("host", host)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn who_names_another_host_is_not_answered() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let health = format!("{}/health", stack.cloud.url());
    for host in ["evil.example", "127.0.0.1.evil.example", "192.168.0.9"] {
        assert_eq!(status_at(&health, host).await, 421, "{host}");
        assert_eq!(status_at(put_url(&import), host).await, 421, "{host}");
    }
    for host in ["localhost", "127.0.0.1:1", "penstock.localhost", "[::1]:9000"] {
        assert_eq!(status_at(&health, host).await, 200, "{host}");
    }
    let answer = send(client().get(&health).header("host", "evil.example")).await;
    let (_, code, detail) = answer.problem();
    assert!(code == "unknown_host" && detail.contains("--public-url"), "{detail}");
    assert!(answer.header("access-control-allow-origin").is_none());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presigned_requests_carry_the_public_url() {
    let public = "http://penstock.test:8080";
    let stack = Stack::with(|options| options.public_url = Some(public.parse().expect("a URL"))).await;
    let import = stack.create(ImportOptions::default()).await;
    let url = put_url(&import).strip_prefix(public).expect("the public URL");
    let form = import.form.as_ref().expect("a form");
    assert!(form.url.starts_with(&format!("{public}/")), "{form:?}");
    // As whatever makes the name lead here sends it on.
    let put = async |host: &str| {
        let request = client().put(format!("{}{url}", stack.cloud.url())).header("host", host);
        send(request.header("if-none-match", "*").body(products(2))).await.status
    };
    assert_eq!(put("localhost").await, 403, "the signature is for the host");
    assert_eq!(put("penstock.test:8080").await, 200);
    assert_eq!(stack.ended(&import.id).await.rows.created, 2);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_outlives_a_restart_on_its_port() {
    let data = tempfile::tempdir().expect("a folder");
    let start = async |listen: SocketAddr| {
        Stack::with(|options| {
            options.data = Some(data.path().to_owned());
            options.listen = listen;
        })
        .await
    };
    let first = start(([127, 0, 0, 1], 0).into()).await;
    let import = first.create(ImportOptions::default()).await;
    let address =
        first.cloud.url().strip_prefix("http://").and_then(|address| address.parse().ok()).expect("an address");
    first.stop().await;
    let second = start(address).await;
    assert_eq!(upload(&import, &products(2)).await, 200);
    assert_eq!(second.ended(&import.id).await.rows.created, 2);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_says_what_is_here_and_leads_people_to_the_console() {
    let stack = Stack::start().await;
    let ask = async |accept: &str| send(stack.request(Method::GET, "/").header("accept", accept)).await;
    let page = ask("text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!((page.status, page.header("location")), (303, Some("console/imports")));
    let url = stack.cloud.url();
    let words = ask("*/*").await.json();
    assert_eq!(words["imports"], format!("{url}/v1/imports"));
    for (name, status) in [("docs", 200), ("openapi", 200), ("console", 303)] {
        let at = words[name].as_str().and_then(|at| at.strip_prefix(url)).expect("it is here");
        assert_eq!(send(stack.request(Method::GET, at)).await.status, status, "{name}");
    }
    // Any other method is the API's to refuse.
    assert_eq!(stack.ask(Method::POST, "/").await.status, 404);
    stack.stop().await;
}

/// Whoever uses the library has the same port.
#[tokio::test(flavor = "multi_thread")]
async fn the_urls_are_one_where_none_is_given() {
    let stack = Stack::start().await;
    assert_eq!(LocalCloud::public_url(&stack.cloud), stack.cloud.url());
    assert!(send(client().get(format!("{}/v1/kinds", stack.cloud.url())).bearer_auth(TOKEN)).await.status == 200);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_are_fetched_by_a_redirect_that_keeps_the_credential() {
    let stack = Stack::start().await;
    let import = stack.create(penstock_model::ImportOptions::default()).await;
    let mut file = products(3);
    file.extend(b"BAD\n");
    assert_eq!(upload(&import, &file).await, 200);
    let ended = stack.ended(&import.id).await;
    assert!(ended.rejected.is_some(), "{ended:?}");
    let url = format!("{}/v1/imports/{}/rejected", stack.cloud.url(), import.id);
    // As `curl -sL -H`: one host, so that the header is sent there, too.
    let http = penstock_client::http().redirect(reqwest::redirect::Policy::default()).build().expect("a client");
    let answer = http.get(url).bearer_auth(TOKEN).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let path = answer.url().path().to_owned();
    assert!(path.starts_with("/results/rejected/"), "{path}");
    assert!(answer.text().await.expect("text").contains("BAD"));
    // It is the signature that counts.
    let unsigned = format!("{}{path}", stack.cloud.url());
    assert_eq!(http.get(unsigned).bearer_auth(TOKEN).send().await.expect("an answer").status().as_u16(), 403);
    stack.stop().await;
}
