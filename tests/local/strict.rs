//! What S3 refuses is refused here, in its words; what a bucket's CORS allows is allowed.

use penstock_client::{Form, Import};
use penstock_local::UPLOADS_CORS;
use penstock_model::ImportOptions;
use reqwest::{Method, RequestBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    products,
    support::{
        Stack,
        http::{Answer, client, post_form, send},
        template, upload,
    },
};

fn put(import: &Import) -> RequestBuilder {
    let upload = import.upload.as_ref().expect("an upload URL");
    let request = client().put(&upload.url);
    upload.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

async fn waiting(stack: &Stack) -> Import {
    stack.create(ImportOptions::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_request_has_one_credential_and_no_more_than_was_signed() {
    let stack = Stack::start().await;
    let import = waiting(&stack).await;
    let two = send(put(&import).bearer_auth("test.secret").body("x")).await;
    assert_eq!(two.storage_refusal(), (400, "InvalidArgument"));
    assert!(
        two.text().contains("Only one auth mechanism allowed") && !two.text().contains("test.secret"),
        "{}",
        two.text()
    );

    let more = send(put(&import).header("x-amz-meta-who", "me").header("x-amz-acl", "public-read").body("x")).await;
    assert_eq!(more.storage_refusal(), (403, "AccessDenied"));
    assert!(more.text().contains("There were headers present in the request which were not signed"), "{}", more.text());
    assert!(more.text().contains("<HeadersNotSigned>x-amz-acl, x-amz-meta-who</HeadersNotSigned>"), "{}", more.text());

    // Headers of others are no matter, nor is the body's hash, which S3 checks itself.
    let fine = put(&import).header("x-request-id", "1").header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_eq!(send(fine.body(products(1))).await.status, 200);
    stack.stop().await;
}

/// Sends a PUT with this head and this body as they are; the status line and what follows.
async fn raw(import: &Import, head: &str, body: &str) -> String {
    let url = &import.upload.as_ref().expect("an upload URL").url;
    let (address, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request =
        format!("PUT /{path} HTTP/1.1\r\nhost: {address}\r\nif-none-match: *\r\nconnection: close\r\n{head}\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_says_how_long_it_is() {
    let stack = Stack::start().await;
    let import = waiting(&stack).await;
    let chunked = raw(&import, "transfer-encoding: chunked\r\n", "4\r\nsku\n\r\n0\r\n\r\n").await;
    assert!(chunked.starts_with("HTTP/1.1 501"), "{chunked}");
    assert!(
        chunked.contains("<Code>NotImplemented</Code>") && chunked.contains("<Header>Transfer-Encoding</Header>"),
        "{chunked}"
    );
    let silent = raw(&import, "", "").await;
    assert!(silent.starts_with("HTTP/1.1 411") && silent.contains("<Code>MissingContentLength</Code>"), "{silent}");
    assert_eq!(upload(&import, &products(1)).await, 200, "nothing was stored before");
    stack.stop().await;
}

fn with_field(form: &Form, name: &str, value: &str) -> Form {
    let mut form = form.clone();
    form.fields.insert(name.to_owned(), value.to_owned());
    form
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_breaks_its_policy_is_forbidden() {
    let stack = Stack::start().await;
    let (import, other) = (waiting(&stack).await, waiting(&stack).await);
    let form = import.form.as_ref().expect("a form");
    let key = form.fields.get("key").expect("a key").replace(&import.id, &other.id);
    let elsewhere = post_form(&with_field(form, "key", &key), b"sku\nA\n").await;
    assert_eq!(elsewhere.storage_refusal(), (403, "AccessDenied"), "{}", elsewhere.text());
    assert!(elsewhere.text().contains("Invalid according to Policy"), "{}", elsewhere.text());
    let more = post_form(&with_field(form, "acl", "public-read"), b"sku\nA\n").await;
    assert_eq!(more.storage_refusal(), (403, "AccessDenied"), "{}", more.text());
    let nothing = post_form(form, b"").await;
    assert_eq!(nothing.storage_refusal(), (400, "EntityTooSmall"), "{}", nothing.text());
    let unsigned = post_form(&with_field(form, "x-amz-signature", &"0".repeat(64)), b"sku\nA\n").await;
    assert_eq!(unsigned.storage_refusal(), (403, "SignatureDoesNotMatch"), "{}", unsigned.text());
    assert_eq!(post_form(form, &products(1)).await.status, 204);
    stack.stop().await;
}

async fn preflight(url: &str, method: &str, headers: Option<&str>) -> Answer {
    let request = client().request(Method::OPTIONS, url).header("origin", "https://app.example");
    let request = request.header("access-control-request-method", method);
    send(match headers {
        Some(headers) => request.header("access-control-request-headers", headers),
        None => request,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_what_the_bucket_allows() {
    let stack = Stack::start().await;
    let import = waiting(&stack).await;
    let url = &import.upload.as_ref().expect("an upload URL").url;
    for (method, headers) in
        [("PUT", Some("content-type,if-none-match")), ("PUT", Some("If-None-Match")), ("POST", None)]
    {
        let answer = preflight(url, method, headers).await;
        assert_eq!(answer.status, 200, "{method} {headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-methods"), Some("POST, PUT"));
        assert_eq!(answer.header("access-control-allow-headers").map(str::to_owned), headers.map(str::to_lowercase));
        assert_eq!(answer.header("access-control-max-age"), Some("3000"));
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("Origin")));
    }
    for (method, headers) in
        [("GET", None), ("DELETE", None), ("PUT", Some("authorization")), ("PUT", Some("content-type, x-amz-acl"))]
    {
        let answer = preflight(url, method, headers).await;
        assert_eq!(answer.storage_refusal(), (403, "AccessForbidden"), "{method} {headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let results = format!("{}/results/rejected/1/x.csv", stack.cloud.url());
    assert_eq!(preflight(&results, "PUT", None).await.storage_refusal(), (403, "AccessForbidden"));
    assert_eq!(send(client().request(Method::OPTIONS, url)).await.storage_refusal(), (400, "BadRequest"));

    // Errors can be read as well.
    let refused =
        send(put(&import).header("origin", "https://app.example").header("x-amz-acl", "private").body("x")).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, Some("*")));
    let stored = send(put(&import).header("origin", "https://app.example").body(products(1))).await;
    assert_eq!((stored.status, stored.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(stored.header("access-control-expose-headers"), Some("ETag"));
    assert!(stored.header("etag").is_some());
    stack.stop().await;
}

#[test]
fn the_bucket_allows_pages_what_the_templates_allows() {
    let template = template::read("template.yaml");
    let cors = &template["Resources"]["UploadsBucket"]["Properties"]["CorsConfiguration"]["CorsRules"];
    assert_eq!(cors.as_sequence().map(Vec::len), Some(1), "{cors:?}");
    let rule = &cors[0];
    let list = |name: &str| -> Vec<&str> {
        rule[name].as_sequence().expect("a list").iter().map(|word| word.as_str().expect("a word")).collect()
    };
    assert_eq!(list("AllowedMethods"), UPLOADS_CORS.methods);
    assert_eq!(list("AllowedHeaders"), UPLOADS_CORS.headers);
    assert_eq!(list("ExposedHeaders"), UPLOADS_CORS.exposed);
    assert_eq!(rule["MaxAge"].as_u64(), Some(UPLOADS_CORS.max_age.into()));
    assert!(template["Resources"]["ResultsBucket"]["Properties"]["CorsConfiguration"].is_null());
}
