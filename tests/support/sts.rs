//! AWS STS as far as it is asked here: it gives the credentials of a role, which the local cloud's storage takes, for
//! the time that is asked for by the local clock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_credential_types::provider::ProvideCredentials;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use penstock_local::{Call, Options};
use penstock_model::rfc3339;
use penstock_store::Store;
use tokio::{net::TcpListener, sync::Semaphore};

use super::Stack;

const ROLE: &str = "arn:aws:iam::000000000000:role/signer";

/// What STS does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Gives credentials.
    Gives,
    /// Refuses, for good.
    Refuses,
    /// Answers 503, which its clients try again.
    Fails,
}

/// A role that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The key that signed the request; of a web identity there is none.
    pub caller: String,
    /// For how long, in seconds.
    pub seconds: i64,
    /// When, in Unix milliseconds by the local clock.
    pub at: i64,
}

impl Asked {
    /// When what was given ends, in Unix milliseconds.
    pub fn ends_at(&self) -> i64 {
        (self.at / 1000 + self.seconds) * 1000
    }
}

struct Shared {
    store: Mutex<Option<Store>>,
    manner: Mutex<Manner>,
    asked: Mutex<Vec<Asked>>,
    /// Without a permit in it nothing is answered.
    gate: Semaphore,
}

fn of<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An STS of a test's own.
pub struct Sts {
    pub url: String,
    shared: Arc<Shared>,
}

impl Sts {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            manner: Mutex::new(Manner::Gives),
            asked: Mutex::default(),
            gate: Semaphore::new(1),
        });
        let router = axum::Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// Has a stack's api sign by a role of this STS.
    pub fn signs_for(&self, options: &mut Options) {
        let variables = [("PENSTOCK_SIGNER_ROLE", ROLE), ("AWS_ENDPOINT_URL_STS", self.url.as_str())];
        options.environment.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    /// Whose clock tells the time, and whose storage takes what is given.
    pub fn knows(&self, stack: &Stack) {
        *of(&self.shared.store) = Some(stack.cloud.store().clone());
    }

    pub fn set(&self, manner: Manner) {
        *of(&self.shared.manner) = manner;
    }

    pub fn asked(&self) -> Vec<Asked> {
        of(&self.shared.asked).clone()
    }

    /// Has no request be answered until what is given is dropped.
    pub async fn hold(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.shared.gate.acquire().await.expect("it is never closed")
    }

    /// What was asked for, in the words of IAM.
    pub fn calls(&self) -> Vec<Call> {
        let function = |asked: Asked| asked.caller.trim_start_matches("AKIALOCAL").to_ascii_lowercase();
        let call = |asked| Call {
            function: function(asked),
            action: "sts:AssumeRole".to_owned(),
            resource: "signer".to_owned(),
        };
        self.asked().into_iter().map(call).collect()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let text = |name: &str| form.get(name).cloned().unwrap_or_default();
    let signed = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (action, mut caller) = (text("Action"), "");
    if action == "AssumeRole" {
        assert!(signed.starts_with("AWS4-HMAC-SHA256 ") && signed.contains("/sts/aws4_request"), "{signed}");
        caller = signed.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()).expect("a key");
        assert!(text("RoleSessionName") == "penstock-signer", "{form:?}");
    } else {
        assert_eq!((&*action, &*text("WebIdentityToken")), ("AssumeRoleWithWebIdentity", "the token"));
    }
    assert_eq!(text("RoleArn"), ROLE);
    let store = of(&shared.store).clone().expect("it knows a stack");
    let seconds = text("DurationSeconds").parse().unwrap_or(3600);
    let asked = Asked { caller: caller.to_owned(), seconds, at: store.now_ms() };
    of(&shared.asked).push(asked.clone());
    let _open = shared.gate.acquire().await;
    let manner = *of(&shared.manner);
    let refusal = |status, code: &str| {
        let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>");
        (status, format!("<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>"))
    };
    match manner {
        Manner::Refuses => return refusal(StatusCode::FORBIDDEN, "AccessDenied"),
        Manner::Fails => return refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Manner::Gives => {}
    }
    // The storage knows this key by the secret of all keys.
    let own = store.settings().credentials.provide_credentials().await.expect("the stack has credentials");
    let (secret, end) = (own.secret_access_key(), asked.ends_at());
    let given = format!(
        "<Credentials><AccessKeyId>AKIALOCALSIGNER</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>until-{end}</SessionToken><Expiration>{}</Expiration></Credentials>",
        rfc3339(end)
    );
    (StatusCode::OK, format!("<{action}Response><{action}Result>{given}</{action}Result></{action}Response>"))
}
