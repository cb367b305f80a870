//! What gives a process the credentials of its role: the endpoint of a container (AWS SDKs and Tools Reference Guide,
//! "Container credential provider") and that of an instance (Amazon EC2 User Guide, "Use the Instance Metadata
//! Service").

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use penstock_model::rfc3339;
use serde_json::json;
use tokio::net::TcpListener;

use super::variables;
use crate::support::Stack;

const OF_CONTAINER: &str = "Bearer of a container";
const OF_INSTANCE: &str = "a-session-of-an-instance";

#[derive(Default)]
struct Given {
    /// How long what is given next lives.
    lives: Duration,
    /// How much has been given, by how long it lives.
    by_life: BTreeMap<Duration, usize>,
    /// When what was given last ends, in Unix milliseconds.
    ends_at: i64,
}

#[derive(Clone)]
struct Shared {
    secret: String,
    region: String,
    given: Arc<Mutex<Given>>,
}

impl Shared {
    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both endpoints, of a test's own.
pub(super) struct Provider {
    url: String,
    shared: Shared,
}

impl Provider {
    /// One that gives credentials that a stack's storage takes.
    pub(super) async fn of(stack: &Stack) -> Self {
        let environment = stack.cloud.environment();
        let value = |name: &str| environment.iter().find(|(found, _)| found == name).expect("it is set").1.clone();
        let (secret, region) = (value("AWS_SECRET_ACCESS_KEY"), value("AWS_REGION"));
        let shared = Shared { secret, region, given: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = axum::Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// What a process in a container is told.
    pub(super) fn of_container(&self) -> Vec<(String, String)> {
        let url = format!("{}/container", self.url);
        variables([("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", OF_CONTAINER)])
    }

    /// Where a process on an instance asks, which on AWS it knows.
    pub(super) fn of_instance(&self) -> Vec<(String, String)> {
        variables([("AWS_EC2_METADATA_SERVICE_ENDPOINT", &self.url)])
    }

    /// How long what is given from now on lives.
    pub(super) fn set(&self, lives: Duration) {
        self.shared.given().lives = lives;
    }

    /// How much has been given that lives so long.
    pub(super) fn given(&self, lives: Duration) -> usize {
        self.shared.given().by_life.get(&lives).copied().unwrap_or(0)
    }

    /// When what was given last ends, in Unix milliseconds.
    pub(super) fn ends_at(&self) -> i64 {
        self.shared.given().ends_at
    }
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let has = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    let of_instance = || has("x-aws-ec2-metadata-token", OF_INSTANCE);
    match (method.as_str(), uri.path()) {
        ("GET", "/container") if has("authorization", OF_CONTAINER) => credentials(&shared),
        ("PUT", "/latest/api/token") => {
            let name = "x-aws-ec2-metadata-token-ttl-seconds";
            let seconds = headers.get(name).cloned().expect("for how long");
            ([(name, seconds)], OF_INSTANCE).into_response()
        }
        ("GET", "/latest/meta-data/placement/region") if of_instance() => shared.region.into_response(),
        ("GET", "/latest/meta-data/iam/security-credentials/") if of_instance() => "penstock".into_response(),
        ("GET", "/latest/meta-data/iam/security-credentials/penstock") if of_instance() => credentials(&shared),
        (method, path) => (StatusCode::UNAUTHORIZED, format!("{method} {path}")).into_response(),
    }
}

fn credentials(shared: &Shared) -> Response {
    let mut given = shared.given();
    let lives = given.lives;
    *given.by_life.entry(lives).or_default() += 1;
    let end = SystemTime::now() + lives;
    let seconds = end.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    given.ends_at = i64::try_from(seconds).expect("a moment") * 1000;
    let credentials = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Token": "of the role",
        "AccessKeyId": "AKIALOCALAPI", "SecretAccessKey": shared.secret, "Expiration": rfc3339(given.ends_at),
    });
    credentials.to_string().into_response()
}
