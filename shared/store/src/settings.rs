//! Settings: environment variables, parsed once.

use std::collections::BTreeMap;
#[cfg(feature = "faults")]
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
    interceptors::InterceptorContext,
    retry::{ClassifyRetry, RetryAction, RetryConfig},
    timeout::TimeoutConfig,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use penstock_model::{Chunking, QueueName, limits};

use crate::clock::Clock;
#[cfg(feature = "faults")]
use crate::conditions::Conditions;

/// The services' endpoints and credentials, the names of Penstock's resources, and what the deployment configures.
#[derive(Clone)]
pub struct Settings {
    /// `AWS_REGION`.
    pub region: String,
    /// Whose requests these are: in a function `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`,
    /// which Lambda keeps valid for as long as a process lives.
    pub credentials: SharedCredentialsProvider,
    /// `PENSTOCK_SIGNER_ROLE`: the role, by its ARN, as which URLs are signed for clients; with the process's own
    /// credentials if not set.
    pub signer_role: Option<String>,
    /// `AWS_ENDPOINT_URL_STS`, or `AWS_ENDPOINT_URL`: STS, if it is not AWS's.
    pub sts_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`, or `AWS_ENDPOINT_URL`: DynamoDB, if it is not AWS's.
    pub dynamodb_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_S3`, or `AWS_ENDPOINT_URL`: S3, if it is not AWS's.
    pub s3_endpoint: Option<String>,
    /// `PENSTOCK_STORAGE_URL`: S3 as clients reach it, where that is another way than by its endpoint: what presigned
    /// requests name. The endpoint if not set.
    pub storage_url: Option<String>,
    /// `AWS_ENDPOINT_URL_SQS`, or `AWS_ENDPOINT_URL`: SQS, if it is not AWS's.
    pub sqs_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_EVENTBRIDGE`, or `AWS_ENDPOINT_URL`: EventBridge, if it is not AWS's.
    pub eventbridge_endpoint: Option<String>,
    /// `PENSTOCK_IMPORTS_TABLE`: imports, blocks, row errors, keys.
    pub imports_table: String,
    /// `PENSTOCK_RECORDS_TABLE`: the catalogue.
    pub records_table: String,
    /// `PENSTOCK_UPLOADS_BUCKET`: uploaded files.
    pub uploads_bucket: String,
    /// `PENSTOCK_RESULTS_BUCKET`: rejected rows files.
    pub results_bucket: String,
    /// The URL of every queue, from the variables that the table of queues names ([`QueueName::row`]).
    pub queue_urls: BTreeMap<QueueName, String>,
    /// `PENSTOCK_UPLOAD_TTL_SECONDS`: how long an upload URL is valid; [`limits::UPLOAD_TTL_SECONDS`] if not set, and
    /// never more than [`limits::UPLOAD_TTL_MOST_SECONDS`].
    pub upload_ttl_seconds: u64,
    /// `PENSTOCK_STALL_SECONDS`: how long an import may show no progress before it is examined;
    /// [`limits::STALL_SECONDS`] if not set.
    pub stall_seconds: u64,
    /// `PENSTOCK_CHUNK_SECONDS`: how long a chunk's rows may be worked out that is worked off alone;
    /// [`limits::CHUNK_ALONE_SECONDS`], which it cannot exceed, if not set.
    pub chunk_seconds: u64,
    /// `PENSTOCK_ACCOUNT_IMPORTS`: unfinished imports of an account, at most; [`limits::ACCOUNT_IMPORTS`] if not set,
    /// and never more than [`limits::ACCOUNT_IMPORTS_MOST`].
    pub account_imports: usize,
    /// `PENSTOCK_ACCOUNT_DAY_BYTES`: bytes of an account's uploads on one day, at most; [`limits::ACCOUNT_DAY_BYTES`]
    /// if not set.
    pub account_day_bytes: u64,
    /// `PENSTOCK_CHUNK_BYTES`, `PENSTOCK_CHUNK_ROWS`, `PENSTOCK_BLOCK_CHUNKS`: how the files of new imports are cut;
    /// [`Chunking::default`], which they cannot exceed, if not set.
    pub chunking: Chunking,
    /// `PENSTOCK_CONFIRM_DAYS`: how long an import waits to be confirmed that would remove more than its guard lets
    /// pass; [`limits::CONFIRM_DAYS`] if not set.
    pub confirm_days: u64,
    /// `PENSTOCK_UPLOAD_RETENTION_DAYS`: how long an upload is kept; [`limits::UPLOAD_RETENTION_DAYS`] if not set. The
    /// bucket's lifecycle removes it.
    pub upload_retention_days: u64,
    /// `PENSTOCK_IMPORT_RETENTION_DAYS`: how long an import is kept once it has ended, with its row errors and its
    /// rejected rows; [`limits::IMPORT_RETENTION_DAYS`] if not set. The sweeper removes it.
    pub import_retention_days: u64,
    /// `PENSTOCK_EXPORT_RETENTION_DAYS`: how long an export and its file are kept once it has ended;
    /// [`limits::EXPORT_RETENTION_DAYS`] if not set. The bucket's lifecycle removes the file.
    pub export_retention_days: u64,
    /// `PENSTOCK_EXPORT_PART_BYTES`: bytes of a part of an export's file, at least; [`limits::EXPORT_PART_BYTES`],
    /// which it cannot exceed, if not set, and never less than S3 takes.
    pub export_part_bytes: usize,
    /// `PENSTOCK_EVENT_BUS`: the bus of EventBridge on which events are put; none if not set.
    pub event_bus: Option<String>,
    /// `PENSTOCK_WEBHOOK_PORTS`: ports beside 443 that events may be sent to, between commas; none if not set.
    pub webhook_ports: Vec<u16>,
    /// `PENSTOCK_WEBHOOK_LOOPBACK`: whether events may be sent to this machine itself, also by HTTP: `true` in the
    /// local cloud, which no template sets.
    pub webhook_loopback: bool,
    /// `PENSTOCK_WEBHOOK_SECONDS`: how long an attempt to send an event may take; [`limits::WEBHOOK_SECONDS`], which it
    /// cannot exceed, if not set.
    pub webhook_seconds: u64,
    /// `PENSTOCK_API_URL`: the URL of the API, without a slash at its end, of which events make the URLs of what they
    /// tell; they tell none if not set.
    pub api_url: Option<String>,
    /// `PENSTOCK_STACK`: the stack's name, the dimension of its metrics; `local` if not set.
    pub stack: String,
    /// `PENSTOCK_CLOCK`: the file that shifts the clock.
    #[cfg(feature = "faults")]
    pub clock_file: Option<PathBuf>,
    /// All conditions but the one that `PENSTOCK_SABOTAGE` names. Only [`Settings::from_env`] reads it.
    #[cfg(feature = "faults")]
    pub conditions: Conditions,
}

/// A variable that stops the start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// It is not a positive whole number.
    #[error("the environment variable {0} must be a positive whole number")]
    NotANumber(&'static str),
    /// It is not a list of ports.
    #[error("the environment variable {0} must be ports between commas")]
    NotPorts(&'static str),
    /// It names no condition.
    #[cfg(feature = "faults")]
    #[error("the environment variable {0} names no condition")]
    NoCondition(&'static str),
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("region", &self.region)
            .field("imports_table", &self.imports_table)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// From this process's environment.
    ///
    /// # Errors
    /// The first variable that is missing or malformed, by name.
    pub fn from_env() -> Result<Self, SettingsError> {
        let settings = Self::from_vars(|name| std::env::var(name).ok())?;
        #[cfg(feature = "faults")]
        let settings = Self { conditions: Conditions::from_env()?, ..settings };
        Ok(settings)
    }

    /// From variables that are looked up by name; an empty one counts as not set.
    ///
    /// # Errors
    /// The first variable that is missing or malformed, by name.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let optional = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| optional(name).ok_or(SettingsError::Missing(name));
        let own = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Self::with_credentials(SharedCredentialsProvider::new(own), lookup)
    }

    /// The same with credentials from elsewhere. Whoever provides them renews them.
    ///
    /// # Errors
    /// The first variable that is missing or malformed, by name.
    pub fn with_credentials(
        credentials: SharedCredentialsProvider,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let optional = |name: &str| lookup(name).filter(|value| !value.is_empty());
        // The one for all services counts where a service has none of its own (AWS SDKs and Tools Reference Guide,
        // "Service-specific endpoints").
        let endpoint = |name: &str| optional(name).or_else(|| optional("AWS_ENDPOINT_URL"));
        let required = |name: &'static str| optional(name).ok_or(SettingsError::Missing(name));
        let most = Chunking::default();
        let number = |name: &'static str, default: u64| match optional(name) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|&n| n > 0).ok_or(SettingsError::NotANumber(name)),
        };
        Ok(Self {
            region: required("AWS_REGION")?,
            credentials,
            signer_role: optional("PENSTOCK_SIGNER_ROLE"),
            sts_endpoint: endpoint("AWS_ENDPOINT_URL_STS"),
            dynamodb_endpoint: endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
            s3_endpoint: endpoint("AWS_ENDPOINT_URL_S3"),
            storage_url: optional("PENSTOCK_STORAGE_URL").or_else(|| endpoint("AWS_ENDPOINT_URL_S3")),
            sqs_endpoint: endpoint("AWS_ENDPOINT_URL_SQS"),
            eventbridge_endpoint: endpoint("AWS_ENDPOINT_URL_EVENTBRIDGE"),
            imports_table: required("PENSTOCK_IMPORTS_TABLE")?,
            records_table: required("PENSTOCK_RECORDS_TABLE")?,
            uploads_bucket: required("PENSTOCK_UPLOADS_BUCKET")?,
            results_bucket: required("PENSTOCK_RESULTS_BUCKET")?,
            queue_urls: QueueName::ALL
                .iter()
                .map(|queue| Ok((*queue, required(queue.row().variable)?)))
                .collect::<Result<_, SettingsError>>()?,
            upload_ttl_seconds: number("PENSTOCK_UPLOAD_TTL_SECONDS", limits::UPLOAD_TTL_SECONDS)?
                .min(limits::UPLOAD_TTL_MOST_SECONDS),
            stall_seconds: number("PENSTOCK_STALL_SECONDS", limits::STALL_SECONDS)?,
            account_imports: number("PENSTOCK_ACCOUNT_IMPORTS", limits::ACCOUNT_IMPORTS as u64)?
                .min(limits::ACCOUNT_IMPORTS_MOST as u64) as usize,
            account_day_bytes: number("PENSTOCK_ACCOUNT_DAY_BYTES", limits::ACCOUNT_DAY_BYTES)?,
            chunk_seconds: number("PENSTOCK_CHUNK_SECONDS", limits::CHUNK_ALONE_SECONDS)?
                .min(limits::CHUNK_ALONE_SECONDS),
            chunking: Chunking {
                bytes: number("PENSTOCK_CHUNK_BYTES", most.bytes as u64)?.min(most.bytes as u64) as usize,
                rows: number("PENSTOCK_CHUNK_ROWS", most.rows)?.min(most.rows),
                per_block: number("PENSTOCK_BLOCK_CHUNKS", most.per_block.into())?.min(most.per_block.into()) as u32,
            },
            confirm_days: number("PENSTOCK_CONFIRM_DAYS", limits::CONFIRM_DAYS)?,
            upload_retention_days: number("PENSTOCK_UPLOAD_RETENTION_DAYS", limits::UPLOAD_RETENTION_DAYS)?,
            import_retention_days: number("PENSTOCK_IMPORT_RETENTION_DAYS", limits::IMPORT_RETENTION_DAYS)?,
            export_retention_days: number("PENSTOCK_EXPORT_RETENTION_DAYS", limits::EXPORT_RETENTION_DAYS)?,
            export_part_bytes: number("PENSTOCK_EXPORT_PART_BYTES", limits::EXPORT_PART_BYTES as u64)?
                .clamp(limits::PART_LEAST_BYTES, limits::EXPORT_PART_BYTES as u64)
                as usize,
            event_bus: optional("PENSTOCK_EVENT_BUS"),
            webhook_seconds: number("PENSTOCK_WEBHOOK_SECONDS", limits::WEBHOOK_SECONDS)?.min(limits::WEBHOOK_SECONDS),
            webhook_ports: ports(optional(PORTS))?,
            webhook_loopback: optional("PENSTOCK_WEBHOOK_LOOPBACK").is_some_and(|text| text == "true"),
            api_url: optional("PENSTOCK_API_URL").map(|url| url.trim_end_matches('/').to_owned()),
            stack: optional("PENSTOCK_STACK").unwrap_or_else(|| "local".to_owned()),
            #[cfg(feature = "faults")]
            clock_file: optional(crate::clock::FILE).map(PathBuf::from),
            #[cfg(feature = "faults")]
            conditions: Conditions::ALL,
        })
    }

    /// The URL of a queue.
    pub fn queue_url(&self, queue: QueueName) -> &str {
        self.queue_urls.get(&queue).expect("settings are made with every queue's URL")
    }

    /// How long an export and its file are kept once it has ended, in milliseconds.
    pub fn export_retention_ms(&self) -> i64 {
        days_ms(self.export_retention_days)
    }

    /// How long an import is kept once it has ended, in milliseconds.
    pub fn import_retention_ms(&self) -> i64 {
        days_ms(self.import_retention_days)
    }

    /// How long an upload is kept for certain, in milliseconds: as long as the bucket keeps it, and no longer than an
    /// import that ends at once, with which it goes.
    pub fn upload_retention_ms(&self) -> i64 {
        days_ms(self.upload_retention_days.min(self.import_retention_days))
    }

    /// How long an import waits to be confirmed, in milliseconds.
    pub fn confirm_ms(&self) -> i64 {
        days_ms(self.confirm_days)
    }

    /// The clock that these settings name.
    #[cfg(feature = "faults")]
    pub fn clock(&self) -> Clock {
        self.clock_file.clone().map_or_else(Clock::system, Clock::shifted)
    }

    /// The system's clock.
    #[cfg(not(feature = "faults"))]
    pub fn clock(&self) -> Clock {
        Clock::system()
    }

    /// What the clients share: the connections.
    pub(crate) fn http(&self) -> SharedHttpClient {
        let endpoints = [&self.dynamodb_endpoint, &self.s3_endpoint, &self.sqs_endpoint, &self.eventbridge_endpoint];
        let of_signer = self.signer_role.as_ref().map(|_| &self.sts_endpoint);
        let is_plain = |endpoint: &Option<String>| endpoint.as_ref().is_some_and(|url| url.starts_with("http://"));
        // Reading the machine's root certificates takes longer than all else at the start of a function.
        match endpoints.into_iter().chain(of_signer).all(is_plain) {
            true => aws_smithy_http_client::Builder::new().build_http(),
            false => https(),
        }
    }
}

/// What carries the requests of an AWS client, over TLS by the one provider of this program.
pub fn https() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// The variable of [`Settings::webhook_ports`].
const PORTS: &str = "PENSTOCK_WEBHOOK_PORTS";

fn ports(text: Option<String>) -> Result<Vec<u16>, SettingsError> {
    let text = text.unwrap_or_default();
    let ports = text.split(',').map(str::trim).filter(|port| !port.is_empty());
    ports.map(|port| port.parse().ok().filter(|port| *port > 0).ok_or(SettingsError::NotPorts(PORTS))).collect()
}

/// Days in milliseconds, as many as there can be.
fn days_ms(days: u64) -> i64 {
    i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(24 * 60 * 60 * 1000)
}

/// Makes the clients of the services.
pub(crate) struct Clients<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) http: &'a SharedHttpClient,
}

/// The newest defaults that this code was written against; a later SDK does not change them.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Throttling slows the caller down and then gives the work back; it never fails a row.
///
/// Not the SDK's adaptive mode: there is one client for all tables, and a single throttled request would slow all its
/// requests down, to one in two seconds at worst.
fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(8)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(5))
}

/// Retries a single write that met a transaction on its item (`TransactionConflictException`, Amazon DynamoDB Developer
/// Guide, "Transaction conflict handling"), which the SDK does not retry.
#[derive(Debug)]
struct TransactionConflicts;

impl ClassifyRetry for TransactionConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let body = context.response().and_then(|response| response.body().bytes()).unwrap_or_default();
        let found = memchr::memmem::find(body, b"TransactionConflictException").is_some();
        if found { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}

/// How long a connection and one attempt of a call may take.
pub(crate) fn timeouts(operation_attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(operation_attempt)
        .build()
}

/// The SDKs share no configuration type, so the same lines are written for each of them here, once.
macro_rules! client {
    ($self:ident, $sdk:ident, $endpoint:ident, $attempt_seconds:literal) => {{
        let Settings { region, credentials, $endpoint: endpoint, .. } = $self.settings;
        let mut config = $sdk::Config::builder()
            .behavior_version(behavior())
            .region(Region::new(region.clone()))
            .credentials_provider(credentials.clone())
            .http_client($self.http.clone())
            .retry_config(retries())
            .timeout_config(timeouts(Duration::from_secs($attempt_seconds)));
        config.set_endpoint_url(endpoint.clone());
        config
    }};
}

impl Clients<'_> {
    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(
            client!(self, aws_sdk_dynamodb, dynamodb_endpoint, 10).retry_classifier(TransactionConflicts).build(),
        )
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::from_conf(client!(self, aws_sdk_sqs, sqs_endpoint, 20).build())
    }

    pub(crate) fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::from_conf(client!(self, aws_sdk_eventbridge, eventbridge_endpoint, 10).build())
    }

    /// A request waits for it, and clients are told to try again: it is tried less often than the others.
    pub(crate) fn sts(&self) -> aws_sdk_sts::Client {
        let retries = retries().with_max_attempts(2);
        aws_sdk_sts::Client::from_conf(client!(self, aws_sdk_sts, sts_endpoint, 5).retry_config(retries).build())
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        self.s3_at(self.settings.s3_endpoint.as_deref(), self.settings.credentials.clone())
    }

    /// S3 as clients reach it: for signing on their behalf, with these credentials.
    pub(crate) fn storage(&self, credentials: SharedCredentialsProvider) -> aws_sdk_s3::Client {
        self.s3_at(self.settings.storage_url.as_deref(), credentials)
    }

    fn s3_at(&self, url: Option<&str>, credentials: SharedCredentialsProvider) -> aws_sdk_s3::Client {
        use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
        let mut config = client!(self, aws_sdk_s3, s3_endpoint, 60)
            .credentials_provider(credentials)
            // An endpoint that is an address has no name to put a bucket in front of.
            .force_path_style(url.is_some())
            // A presigned URL must not ask its user for a checksum.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        config.set_endpoint_url(url.map(str::to_owned));
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_malformed_variable_is_named() {
        let all = |name: &str| match name {
            _ if name.ends_with("SECONDS")
                || name.contains("_CHUNK")
                || name.contains("_ACCOUNT_")
                || name.contains("_EXPORT_")
                || name.ends_with("_PORTS")
                || name.ends_with("_DAYS") =>
            {
                Some("60".to_owned())
            }
            _ => Some("x".to_owned()),
        };
        assert_eq!(Settings::from_vars(all).expect("complete").upload_ttl_seconds, 60);
        let without = |missing: &'static str| move |name: &str| all(name).filter(|_| name != missing);
        let error = Settings::from_vars(without("PENSTOCK_RECORDS_TABLE")).expect_err("missing");
        assert_eq!(error.to_string(), "the environment variable PENSTOCK_RECORDS_TABLE is not set");
        let error = Settings::from_vars(|name| all(name).map(|_| "x".into())).expect_err("x seconds");
        assert!(matches!(error, SettingsError::NotANumber("PENSTOCK_UPLOAD_TTL_SECONDS")));
        // No longer than what signs it lives.
        let long = |name: &str| if name == "PENSTOCK_UPLOAD_TTL_SECONDS" { Some("86400".into()) } else { all(name) };
        let settings = Settings::from_vars(long).expect("complete");
        assert_eq!(settings.upload_ttl_seconds, limits::UPLOAD_TTL_MOST_SECONDS);
    }
}
