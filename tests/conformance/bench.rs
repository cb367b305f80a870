//! The cloud at hand, and what a scenario gets of it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use penstock_local::{Faults, LocalCloud, Options};
use penstock_model::{
    AccountId, Body, Chunk, ChunkMessage, Chunking, Dropped, Import, ImportId, Job, QueueName, Repeats, StoredObject,
};
use penstock_store::{Settings, Store, accept::Acceptance, uploads::PresignedRequest};
use reqwest::{Response, redirect::Policy};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) const KIND: &str = "products";

/// A cloud whose functions do not run, so that nobody but the scenarios acts.
pub(crate) struct Cloud {
    pub(crate) name: String,
    settings: Settings,
    local: Option<LocalCloud>,
}

impl Cloud {
    /// The cloud that `PENSTOCK_CONFORMANCE` names, or a local cloud.
    pub(crate) async fn start() -> Self {
        if let Ok(name) = std::env::var("PENSTOCK_CONFORMANCE") {
            let settings = Settings::from_env().expect("the environment says where the cloud is");
            return Self { name, settings, local: None };
        }
        let mut options = Options::new(PathBuf::from(env!("CARGO_BIN_EXE_penstock")));
        options.scheduled = false;
        options.mapped = false;
        options.faults = Faults { event_lost: 1.0, ..Faults::default() };
        let cloud = LocalCloud::start(options).await.expect("a local cloud starts");
        Self { name: "local".to_owned(), settings: cloud.settings().clone(), local: Some(cloud) }
    }

    pub(crate) fn bench(&self) -> Bench {
        Bench::new(self.settings.clone())
    }

    pub(crate) async fn stop(self) {
        if let Some(cloud) = self.local {
            cloud.stop().await;
        }
    }
}

/// A store and an account that is the scenario's own.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) account: AccountId,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self { store: Store::new(settings.clone()), settings, account: account() }
    }

    /// A store whose clock is this far from the system's.
    pub(crate) fn shifted(&self, by: i64) -> Shifted {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("clock");
        let store = Store::new(Settings { clock_file: Some(file.clone()), ..self.settings.clone() });
        let shifted = Shifted { store, file, _folder: folder };
        shifted.set(by);
        shifted
    }

    /// An import of the account that has not been stored yet.
    pub(crate) fn import(&self) -> Import {
        let now = self.store.now_ms();
        let (id, kind) = (ImportId::new(now, penstock_store::random()), KIND.parse().expect("a kind"));
        let import = Import::new(id, self.account.clone(), kind, now, now + 60_000);
        Import { chunking: Chunking { per_block: 4, ..Chunking::default() }, ..import }
    }

    /// A stored import.
    pub(crate) async fn created(&self) -> Import {
        let import = self.import();
        self.store.create_import(&import, None).await.expect("created");
        import
    }

    /// A stored import whose upload has been accepted. There is no such object, which no scenario that asks for this
    /// reads.
    pub(crate) async fn accepted(&self) -> Import {
        let import = self.created().await;
        match self.store.accept(&self.account, &import.id, &object("1")).await.expect("answers") {
            Acceptance::Go(import) => *import,
            Acceptance::Nothing(reason) => panic!("not accepted: {reason}"),
        }
    }

    /// The import as it is stored.
    pub(crate) async fn now(&self, import: &Import) -> Import {
        self.store.import(&import.account, &import.id).await.expect("answers").expect("the import is there")
    }

    /// Bodies of this many messages about this account, and their groups, from a queue; what other scenarios left there
    /// goes.
    pub(crate) async fn messages(&self, queue: QueueName, count: usize) -> Vec<(String, String)> {
        let queue_url = self.settings.queue_url(queue);
        let end = Instant::now() + Duration::from_secs(30);
        let mut found = BTreeMap::new();
        while found.len() < count {
            assert!(Instant::now() < end, "{} messages of {count} within 30 s", found.len());
            let request = json!({
                "QueueUrl": queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, "VisibilityTimeout": 600,
                "AttributeNames": ["MessageGroupId"], "MessageSystemAttributeNames": ["MessageGroupId"],
            });
            let answer = self.sqs("ReceiveMessage", &request).await;
            for message in answer["Messages"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let body = text(&message["Body"]);
                if body.contains(self.account.as_str()) {
                    found.insert(text(&message["MessageId"]), (body, text(&message["Attributes"]["MessageGroupId"])));
                }
                self.sqs("DeleteMessage", &json!({ "QueueUrl": queue_url, "ReceiptHandle": message["ReceiptHandle"] }))
                    .await;
            }
        }
        found.into_values().collect()
    }

    /// Asks SQS (Amazon SQS API Reference, AWS JSON protocol). No cloud at hand looks at the signature; what is signed
    /// for tells moto where the request is to go.
    async fn sqs(&self, operation: &str, request: &Value) -> Value {
        let endpoint = self.settings.sqs_endpoint.as_deref().expect("an endpoint");
        let scope = format!("test/20260101/{}/sqs/aws4_request", self.settings.region);
        let answer = http()
            .post(format!("{endpoint}/"))
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"))
            .body(request.to_string())
            .send()
            .await
            .expect("SQS answers");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{operation}: {status}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
    }

    /// Uploads by a presigned request; the status.
    pub(crate) async fn put(&self, request: &PresignedRequest, body: &[u8]) -> u16 {
        let mut put = http().put(&request.url).body(body.to_vec());
        for (name, value) in &request.headers {
            put = put.header(name, value);
        }
        put.send().await.expect("S3 answers").status().as_u16()
    }
}

/// A store by a clock of its own.
pub(crate) struct Shifted {
    pub(crate) store: Store,
    file: PathBuf,
    _folder: TempDir,
}

impl Shifted {
    pub(crate) fn set(&self, by: i64) {
        std::fs::write(&self.file, by.to_string()).expect("written");
    }
}

pub(crate) fn account() -> AccountId {
    let word = u64::from_be_bytes(penstock_store::random());
    format!("a{word:016x}").parse().expect("an account")
}

/// A client that follows no redirect.
pub(crate) fn http() -> reqwest::Client {
    // The client brings the TLS provider along.
    penstock_client::Client::new("http://127.0.0.1", "a.b").expect("a client");
    reqwest::Client::builder().redirect(Policy::none()).build().expect("a client")
}

pub(crate) async fn bytes(answer: Response) -> Vec<u8> {
    answer.bytes().await.expect("a whole body").to_vec()
}

pub(crate) fn object(etag: &str) -> StoredObject {
    StoredObject { version: None, etag: etag.to_owned(), bytes: 10 }
}

pub(crate) fn job(import: &Import) -> Job {
    Job { columns: vec!["sku".to_owned(), "näme".to_owned()], ..import.job() }
}

/// A chunk of ten rows.
pub(crate) fn chunk(index: u32, body: Body) -> Chunk {
    let bytes = if let Body::Rows(rows) = &body { rows.len() as u64 } else { 300_000 };
    let first_row = u64::from(index) * 10 + 1;
    Chunk { index, first_row, first_line: first_row + 1, offset: u64::from(index) * 100, bytes, rows: 10, body }
}

pub(crate) fn rows() -> Body {
    Body::Rows(b"A-1,Lamp\n".to_vec())
}

pub(crate) fn message(import: &Import, index: u32, body: Body) -> ChunkMessage {
    ChunkMessage {
        job: job(import),
        chunk: chunk(index, body),
        repeats: Repeats::Rows(vec![3]),
        dropped: Dropped::default(),
        last_try: false,
    }
}

/// Runs a call as often as this at the same time.
pub(crate) async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    call: impl Fn(usize) -> F,
) -> Vec<T> {
    let calls: Vec<_> = (0..count).map(|at| tokio::spawn(call(at))).collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.expect("the call does not panic"));
    }
    results
}
