//! A local cloud without functions: what starts as an instance is announced to the test, which plays it by plain HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use penstock_api::{Bounds, Server};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::clock::LocalClock;
use crate::faults::{Faults, Weather};
use crate::lambda::{Function, LambdaHost};
use crate::launcher::{Launcher, Program};
use crate::options::FunctionOptions;
use crate::pulse::Pulse;
use crate::queue::{Queue, QueueSettings};
use crate::usage::Meter;
use crate::{runtime, s3, sqs};

pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const VISIBILITY: Duration = Duration::from_secs(180);

pub(super) struct Rig {
    pub(super) clock: LocalClock,
    pub(super) host: LambdaHost,
    pub(super) activity: Pulse,
    pub(super) meter: Meter,
    pub(super) queues: Arc<BTreeMap<String, Queue>>,
    pub(super) sqs_url: String,
    pub(super) s3_url: String,
    pub(super) http: reqwest::Client,
    instances: mpsc::UnboundedReceiver<String>,
    _servers: Vec<Server>,
    _folder: TempDir,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::with(Faults::default()).await
    }

    pub(super) async fn with(faults: Faults) -> Self {
        // Clients of plain HTTP only, but they want a TLS provider all the same. Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let activity = Pulse::new();
        let clock = LocalClock::open(folder.path(), activity.clone()).unwrap();
        let weather = Weather::new(faults);
        let meter = Meter::default();
        let queue = |name: &str, dead_letters| {
            let settings = QueueSettings { visibility_timeout: VISIBILITY, max_receive_count: 3 };
            Queue::new(name, settings, dead_letters, clock.clone(), weather.clone(), activity.clone())
        };
        let dead = queue("chunks-dead", None);
        let queues = BTreeMap::from([
            ("chunks".to_owned(), queue("chunks", Some(dead.clone()))),
            ("chunks-dead".to_owned(), dead.clone()),
        ]);
        let queues = Arc::new(queues);
        let (announce, instances) = mpsc::unbounded_channel();
        let launcher = Launcher {
            program: Program::Outside(announce),
            environment: Vec::new(),
            logs: folder.path().to_owned(),
            verbose: false,
        };
        let (listener, address) = Server::bind().await.unwrap();
        let functions = vec![
            Function::new("split", FunctionOptions::new(2, TIMEOUT), Some(dead)),
            Function::new("validate", FunctionOptions::new(1, TIMEOUT), None),
            Function::new("sweep", FunctionOptions::new(1, TIMEOUT), None),
            Function::new("hasty", FunctionOptions::new(1, Duration::from_millis(50)), None),
        ];
        let url = format!("http://{address}");
        let host =
            LambdaHost::new(functions, launcher, url, clock.clone(), weather.clone(), activity.clone(), meter.clone());
        let runtime = Server::serve(listener, address, runtime::router(host.clone()), Bounds::PRIVATE);
        let setup =
            s3::Setup { uploads: "uploads", results: "results", access_key_id: "AKIA", secret_access_key: "secret" };
        let notifier = s3::Notifier { host: host.clone(), clock: clock.clone(), weather, stages: None };
        let s3 = Server::start(s3::router(&folder.path().join("s3"), setup, clock.clone(), notifier).unwrap())
            .await
            .unwrap();
        let sqs = Server::start(sqs::router(queues.clone())).await.unwrap();
        Self {
            clock,
            host,
            activity,
            meter,
            queues,
            sqs_url: sqs.url(),
            s3_url: s3.url(),
            http: reqwest::Client::new(),
            instances,
            _servers: vec![runtime, s3, sqs],
            _folder: folder,
        }
    }

    /// The folder of the storage.
    pub(super) fn root(&self) -> PathBuf {
        self._folder.path().join("s3")
    }

    /// The names of what the storage keeps of a multipart upload.
    pub(super) fn left_of(&self, id: &str) -> Vec<String> {
        let folders = [self.root(), self.root().join(".multipart")];
        let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(id)).collect()
    }

    pub(super) fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(crate::REGION))
            .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&self.sqs_url);
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    pub(super) fn s3(&self) -> aws_sdk_s3::Client {
        self.s3_with_secret("secret")
    }

    pub(super) fn s3_with_secret(&self, secret: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(crate::REGION))
            .credentials_provider(Credentials::new("AKIA", secret, None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .force_path_style(true)
            .endpoint_url(&self.s3_url);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// The next instance that the host starts.
    pub(super) async fn instance(&mut self) -> Instance {
        let url = tokio::time::timeout(TIMEOUT, self.instances.recv()).await.expect("an instance is started").unwrap();
        Instance { http: self.http.clone(), url: format!("{url}/2018-06-01/runtime") }
    }

    pub(super) fn no_instance_announced(&mut self) -> bool {
        self.instances.try_recv().is_err()
    }
}

/// The child's side of the Runtime API.
pub(super) struct Instance {
    http: reqwest::Client,
    url: String,
}

pub(super) struct Taken {
    pub(super) request_id: String,
    pub(super) event: Value,
    pub(super) headers: reqwest::header::HeaderMap,
}

impl Instance {
    pub(super) async fn next(&self) -> Taken {
        let next = self.http.get(format!("{}/invocation/next", self.url)).timeout(TIMEOUT);
        let response = next.send().await.expect("an invocation comes");
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers().clone();
        let request_id = headers["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned();
        Taken { request_id, event: response.json().await.unwrap(), headers }
    }

    pub(super) async fn answer(&self, request_id: &str, kind: &str, body: impl Into<Bytes>) -> StatusCode {
        let url = format!("{}/invocation/{request_id}/{kind}", self.url);
        self.http.post(url).body(body.into()).send().await.unwrap().status()
    }
}
