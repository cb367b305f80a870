//! DynamoDB, S3, SQS and EventBridge behind names of the domain.
//!
//! Every call that changes something says what a repeat of it does, since a caller may be interrupted after any call
//! and retry. There is one implementation, over the AWS SDK; what differs between AWS and this machine is the endpoint.

pub mod accept;
pub mod account_removals;
pub mod accounts;
mod again;
mod backoff;
pub mod blocks;
pub mod bus;
mod change;
pub mod clock;
pub mod conditions;
pub mod crash;
pub mod deletes;
pub mod deliveries;
pub mod digests;
pub mod due;
mod dynamo;
mod end;
mod error;
pub mod errors;
pub mod export_files;
pub mod exports;
pub mod idempotency;
pub mod imports;
pub mod inbox;
pub mod keys;
pub mod kinds;
pub mod names;
mod objects;
pub mod outbox;
pub mod parts;
pub mod places;
pub mod presets;
mod purge;
mod queues;
pub mod quota;
pub mod rate;
pub mod records;
pub mod removals;
pub mod replace;
pub mod retention;
pub mod review;
mod settings;
mod signer;
pub mod story;
mod table;
pub mod text;
pub mod uploaded;
pub mod uploads;
pub mod uses;
pub mod versions;
pub mod webhooks;

use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::config::SharedHttpClient;
use sha2::{Digest, Sha256};

pub use backoff::Backoff;
pub use error::{Result, StoreError};
pub use settings::{Settings, SettingsError, https};

use crate::{clock::Clock, settings::Clients, signer::Signer};

/// The variables that only fault tests set. A build without the feature `faults` does not know them.
#[cfg(feature = "faults")]
pub const FAULT_VARIABLES: [&str; 3] = [crash::DIRECTORY, clock::FILE, conditions::SABOTAGE];

/// The store: a cheap handle to the clients and the settings.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    clock: Clock,
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    http: SharedHttpClient,
    /// Made when the first event is put on the bus: one function alone does that.
    bus: OnceLock<aws_sdk_eventbridge::Client>,
    /// Made when the first URL is signed, which one function alone does.
    signer: OnceLock<Signer>,
    versions: kinds::Versions,
    noted: end::Noted,
}

impl Store {
    /// A store over these settings. Nothing is sent before the first call.
    pub fn new(settings: Settings) -> Self {
        let clock = settings.clock();
        let http = settings.http();
        let clients = Clients { settings: &settings, http: &http };
        let (dynamodb, s3, sqs) = (clients.dynamodb(), clients.s3(), clients.sqs());
        let (versions, noted) = (kinds::Versions::default(), end::Noted::default());
        Self {
            inner: Arc::new(Inner {
                settings,
                clock,
                dynamodb,
                s3,
                sqs,
                http,
                bus: OnceLock::new(),
                signer: OnceLock::new(),
                versions,
                noted,
            }),
        }
    }

    /// The settings from which the store was made.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Now, in Unix milliseconds, by the one clock.
    pub fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    fn clients(&self) -> Clients<'_> {
        Clients { settings: &self.inner.settings, http: &self.inner.http }
    }

    fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.inner.dynamodb
    }

    fn imports_table(&self) -> &str {
        &self.inner.settings.imports_table
    }
}

/// `N` random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// SHA-256 in hexadecimal: how secrets, idempotency keys and request bodies are stored.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
