//! HTTP as it is on the wire: what the typed client cannot ask, and what it does not show.

use penstock_client::Form;
use reqwest::{Method, RequestBuilder, header::HeaderMap, redirect::Policy};
use serde_json::Value;

use super::{Stack, TOKEN};

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header in ASCII"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The body as JSON, of an answer that says that it is JSON.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Status, code and detail of an answer that has to be problem details (RFC 9457).
    pub fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{} {}", self.status, self.text());
        let body: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!(body["status"], self.status);
        assert_eq!(body["type"], "about:blank");
        let text = |name: &str| {
            let text = body[name].as_str().unwrap_or_default().to_owned();
            assert!(!text.is_empty(), "no {name}: {body}");
            text
        };
        text("title");
        (self.status, text("code"), text("detail"))
    }

    /// Status and code of a problem.
    pub fn refusal(&self) -> (u16, String) {
        let (status, code, _) = self.problem();
        (status, code)
    }

    /// Status and `<Code>` of an answer of the storage.
    pub fn storage_refusal(&self) -> (u16, &str) {
        let code = self.text().split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        (self.status, code.map_or("", |(code, _)| code))
    }
}

/// A client that follows no redirect.
pub fn client() -> reqwest::Client {
    // The client brings the TLS provider along.
    penstock_client::Client::new("http://127.0.0.1", TOKEN).expect("a client");
    reqwest::Client::builder().redirect(Policy::none()).build().expect("a client")
}

pub async fn send(request: RequestBuilder) -> Answer {
    let answer = request.send().await.expect("there is an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, body: answer.bytes().await.expect("a whole body").to_vec() }
}

impl Stack {
    /// A request of the API without a credential.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, format!("{}{path}", self.cloud.url()))
    }

    /// Asks as account `1`.
    pub async fn ask(&self, method: Method, path: &str) -> Answer {
        send(self.request(method, path).bearer_auth(TOKEN)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }

    /// Posts a body to `/v1/imports` as account `1`.
    pub async fn post_import(&self, body: impl Into<reqwest::Body>) -> Answer {
        send(self.request(Method::POST, "/v1/imports").bearer_auth(TOKEN).body(body)).await
    }
}

/// Posts a file to a form as a browser does (RFC 7578): the fields, and then the file.
pub async fn post_form(form: &Form, file: &[u8]) -> Answer {
    const BOUNDARY: &str = "----WebKitFormBoundaryPenstock";
    let mut body = Vec::new();
    for (name, value) in &form.fields {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(head.into_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"products.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n"
    );
    body.extend(head.into_bytes());
    body.extend(file);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    send(client().post(&form.url).header("content-type", content_type).body(body)).await
}
