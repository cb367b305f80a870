//! What stands between the command and a service: it passes requests on, and holds, or answers by itself, those that
//! the test says.

use std::sync::{Arc, Mutex};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use reqwest::Method;
use tokio::sync::watch;

use crate::support::http;

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits for [`Gate::open`] and is passed on then.
    HeldBefore,
    /// It is passed on, and its answer waits for [`Gate::open`].
    HeldAfter,
    /// As [`Fate::HeldAfter`], and then the answer is lost: the gate gives another. Once.
    LostAfter,
    /// The gate answers so, as often as that.
    Answered(u16, usize),
}

struct Rule {
    method: Method,
    path: &'static str,
    fate: Fate,
}

/// Rules hold for the requests of their method whose path and query contain theirs.
pub(crate) struct Gate {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    service: String,
    /// Where uploads go.
    storage: Mutex<String>,
    /// What the command is told instead: this gate, or a line to it.
    front: Mutex<String>,
    /// The parts of files that the storage has taken, and how many it has not.
    parts: Mutex<(Vec<u32>, usize)>,
    rules: Mutex<Vec<Rule>>,
    /// How many requests have come to a rule.
    met: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
}

impl Gate {
    /// A gate before the service at a URL.
    pub(crate) async fn before(service: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let inner = Arc::new(Inner {
            service: service.to_owned(),
            storage: Mutex::default(),
            front: Mutex::new(url.clone()),
            parts: Mutex::default(),
            rules: Mutex::default(),
            met: watch::channel(0).0,
            is_open: watch::channel(false).0,
        });
        let router = axum::Router::new().fallback(pass).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn rule(&self, method: Method, path: &'static str, fate: Fate) {
        self.inner.rules.lock().expect("a lock").push(Rule { method, path, fate });
    }

    /// Has files sent to this URL, which leads to the gate.
    pub(crate) fn files_come_by(&self, url: &str) {
        *self.inner.front.lock().expect("a lock") = url.to_owned();
    }

    /// The numbers of the parts that the storage has taken, in this order, and how many tries it has not.
    pub(crate) fn parts(&self) -> (Vec<u32>, usize) {
        self.inner.parts.lock().expect("a lock").clone()
    }

    /// Resolves when so many requests have come to a rule.
    pub(crate) async fn met(&self, requests: usize) {
        self.inner.met.subscribe().wait_for(|met| *met >= requests).await.expect("the gate stands");
    }

    /// Lets everything through.
    pub(crate) fn open(&self) {
        self.inner.is_open.send_replace(true);
    }
}

impl Inner {
    fn fate(&self, method: &Method, path: &str) -> Option<Fate> {
        let mut rules = self.rules.lock().expect("a lock");
        let rule = rules.iter_mut().find(|rule| {
            let is_used_up = matches!(rule.fate, Fate::Answered(_, 0));
            rule.method == *method && path.contains(rule.path) && !is_used_up
        })?;
        let fate = rule.fate;
        if let Fate::Answered(status, times) = fate {
            rule.fate = Fate::Answered(status, times - 1);
        }
        if fate == Fate::LostAfter {
            rule.fate = Fate::Answered(502, 0);
        }
        self.met.send_modify(|met| *met += 1);
        Some(fate)
    }

    async fn opened(&self) {
        self.is_open.subscribe().wait_for(|is_open| *is_open).await.expect("the gate stands");
    }
}

/// Which part of a file a request brings.
fn part_number(uri: &Uri) -> Option<u32> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("partNumber=")?.parse().ok())
}

async fn pass(State(gate): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let fate = gate.fate(&parts.method, &path);
    match fate {
        Some(Fate::HeldBefore) => gate.opened().await,
        Some(Fate::Answered(status, _)) => {
            // Whoever is still sending might never read the answer.
            let _ = to_bytes(body, usize::MAX).await;
            return StatusCode::from_u16(status).expect("a status").into_response();
        }
        _ => {}
    }
    let is_api = parts.uri.path().starts_with("/v1/");
    let origin = if is_api { gate.service.clone() } else { gate.storage.lock().expect("a lock").clone() };
    let mut passed = http::client().request(parts.method.clone(), format!("{origin}{path}"));
    for (name, value) in &parts.headers {
        if !matches!(name.as_str(), "host" | "transfer-encoding" | "connection") {
            passed = passed.header(name, value);
        }
    }
    // A body that breaks off breaks off at the service, too; whoever sent it gets no answer.
    if ["content-length", "transfer-encoding"].iter().any(|name| parts.headers.contains_key(*name)) {
        passed = passed.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    let answer = passed.send().await;
    let part = part_number(&parts.uri);
    let is_taken = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
    if let Some(number) = part {
        let mut seen = gate.parts.lock().expect("a lock");
        if is_taken { seen.0.push(number) } else { seen.1 += 1 }
    }
    let Ok(answer) = answer else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut bytes = answer.bytes().await.expect("a whole answer").to_vec();
    if is_api && parts.method == Method::POST && status == StatusCode::CREATED {
        bytes = gate.through_here(bytes);
    }
    if is_api && parts.uri.path().ends_with("/parts") && status == StatusCode::OK {
        bytes = gate.parts_through_here(bytes);
    }
    if matches!(fate, Some(Fate::HeldAfter | Fate::LostAfter)) {
        gate.opened().await;
    }
    if fate == Some(Fate::LostAfter) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let kept = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    let kept: HeaderMap = kept.filter(|(name, _)| name != "content-length" && name != "transfer-encoding").collect();
    (status, kept, Body::from(bytes)).into_response()
}

impl Inner {
    /// An import's creation with this gate for the storage to which its file goes.
    fn through_here(&self, created: Vec<u8>) -> Vec<u8> {
        let mut import: serde_json::Value = serde_json::from_slice(&created).expect("JSON");
        let url = reqwest::Url::parse(import["upload"]["url"].as_str().expect("an upload URL")).expect("a URL");
        let origin = url.origin().ascii_serialization();
        import["upload"]["url"] = url.as_str().replacen(&origin, &self.front.lock().expect("a lock"), 1).into();
        *self.storage.lock().expect("a lock") = origin;
        import.to_string().into_bytes()
    }

    /// URLs of parts with this gate for the storage to which they go.
    fn parts_through_here(&self, signed: Vec<u8>) -> Vec<u8> {
        let signed = String::from_utf8(signed).expect("JSON");
        let (storage, front) = (self.storage.lock().expect("a lock"), self.front.lock().expect("a lock"));
        signed.replace(&*storage, &front).into_bytes()
    }
}
