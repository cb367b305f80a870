//! Typed HTTP client of the native API.

mod accounts;
mod address;
mod deletes;
mod parts;
mod presets;
mod removals;
mod webhooks;

use std::{path::Path, time::Duration};

use reqwest::{Method, RequestBuilder, Response, StatusCode, header::CONTENT_TYPE, redirect::Policy};
use serde::de::DeserializeOwned;

pub use address::{Credential, base_url};
pub use bytes::Bytes;
pub use penstock_model::views::{
    Account, AccountPage, AccountRemoval, Confirm, Deleted, Delivery, DeliveryAttempt, DeliveryPage, Detected,
    ErrorGroup, ErrorPage, ErrorSummary, Export, ExportPage, Form, History, HistoryRound, Import, ImportFilter,
    ImportPage, Key, KindLine, ListedRecord, Moved, NewExport, NewImport, NewKey, NewPreset, NewWebhook, Origin,
    PartUrl, PartUrls, Preset, PresetLine, PresetPage, ProblemBody, Provenance, Record, RecordFilter, RecordPage,
    Rejected, Removal, RemovalPage, ResendRange, Resent, TakenPart, Upload, Webhook, WebhookPatch, WebhookSecretLine,
};
use penstock_model::views::{KeyList, KindList};
pub use reqwest::Body;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the API may take to answer: twice as long as API Gateway lets it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one Penstock with one API key.
#[derive(Debug, Clone)]
pub struct Client {
    /// For URLs elsewhere, and for those on this machine.
    elsewhere: reqwest::Client,
    here: reqwest::Client,
    url: String,
    token: String,
}

/// What a call can fail with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A base URL is none.
    #[error("`{url}` is no URL of a service: {why}")]
    Url {
        /// What was given for one.
        url: String,
        /// What to write.
        why: &'static str,
    },
    /// A key is none.
    #[error("a key is <id>.<secret> or <id>:<secret>, the id of A-Z, a-z, 0-9, _ and -, the secret of printable ASCII")]
    Credential,
    /// The service answered with an error.
    #[error("{status}: {detail}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The stable word for programs.
        code: String,
        /// The sentence for people.
        detail: String,
    },
    /// The storage did not take the upload.
    #[error("the upload was not taken: {status}: {code}: {message}")]
    UploadRefused {
        /// The status.
        status: StatusCode,
        /// S3's error code.
        code: String,
        /// The sentence for people.
        message: String,
    },
    /// An answer of the service is not whole.
    #[error("the answer of the service lacks {0}")]
    Lacking(&'static str),
    /// A part of a file stood still on its way.
    #[error("nothing moved for {seconds} s")]
    Stalled {
        /// How long.
        seconds: u64,
    },
    /// There was no answer, or one that is none of Penstock's.
    #[error("there is no answer from the service")]
    Http(#[source] reqwest::Error),
    /// The file cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        // A presigned URL is a credential: it is not repeated.
        Self::Http(error.without_url())
    }
}

impl ClientError {
    /// Whether the same call may well succeed a moment later: there was no answer, or the service was busy or in
    /// trouble.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http(_) | Self::Stalled { .. } => true,
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            // Amazon S3 API Reference, "Error responses": a connection that stood still, bytes that were damaged or
            // missing.
            Self::UploadRefused { status, code, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || matches!(code.as_str(), "RequestTimeout" | "BadDigest" | "IncompleteBody")
            }
            _ => false,
        }
    }

    /// Whether the storage did not take an upload because its URL is no longer valid, or never was.
    pub fn is_forbidden_upload(&self) -> bool {
        matches!(self, Self::UploadRefused { status: StatusCode::FORBIDDEN, .. })
    }
}

/// A call's result.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// As [`http`], for requests to a URL. What is on this machine is asked without the proxy of the environment
/// (`HTTP_PROXY`, `ALL_PROXY`), which would look for it on its own machine, and see the rows.
pub fn http_to(url: &str) -> reqwest::ClientBuilder {
    if address::is_on_this_machine(url) { http().no_proxy() } else { http() }
}

/// A builder of HTTP clients that speak TLS by the one provider that is compiled in, and follow no redirect: a request
/// may carry a credential. Every client of this process is made of one; another would find no provider and panic.
pub fn http() -> reqwest::ClientBuilder {
    // Installing it again changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What the service is told of who asks.
    reqwest::Client::builder().user_agent(concat!("penstock/", env!("CARGO_PKG_VERSION"))).redirect(Policy::none())
}

impl Client {
    /// A client of the service at a base URL (see [`base_url`]) with a key (see [`Credential`]).
    ///
    /// # Errors
    /// The URL or the key is none, or the system's certificates cannot be read.
    pub fn new(url: &str, token: &str) -> Result<Self> {
        let (url, credential) = (base_url(url)?, token.parse::<Credential>()?);
        let elsewhere = http().connect_timeout(CONNECT_TIMEOUT).build()?;
        let here = http().no_proxy().connect_timeout(CONNECT_TIMEOUT).build()?;
        Ok(Self { elsewhere, here, url, token: credential.token() })
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let http = self.http(&self.url);
        http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token).timeout(ANSWER_TIMEOUT)
    }

    /// The client for a URL, which may be the storage's.
    fn http(&self, url: &str) -> &reqwest::Client {
        if address::is_on_this_machine(url) { &self.here } else { &self.elsewhere }
    }

    /// Asks for an import. A repeat with the same `idempotency_key` gives the same import.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn create(&self, import: &NewImport, idempotency_key: Option<&str>) -> Result<Import> {
        let mut request = self.request(Method::POST, "/v1/imports").json(&import.body().expect("it is JSON"));
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        read(request.send().await?).await
    }

    /// Uploads a file of so many bytes as an import's creation told, streaming it. A body that ends before them is not
    /// taken. A repeat is refused by the storage.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn upload(&self, upload: &Upload, bytes: u64, body: impl Into<Body>) -> Result<()> {
        let mut request = self.http(&upload.url).put(&upload.url).header("content-length", bytes).body(body.into());
        for (name, value) in &upload.headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        if response.status().is_success() { Ok(()) } else { Err(storage_refusal(response).await) }
    }

    /// The import as it is now.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn import(&self, id: &str) -> Result<Import> {
        read(self.request(Method::GET, &format!("/v1/imports/{}", encoded(id))).send().await?).await
    }

    /// A page of imports, newest first.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<ImportPage> {
        self.imports(&ImportFilter::default(), cursor, limit).await
    }

    /// A page of the imports that a filter lets through, newest first.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn imports(&self, filter: &ImportFilter, cursor: Option<&str>, limit: usize) -> Result<ImportPage> {
        page(self.request(Method::GET, "/v1/imports").query(filter), cursor, limit).await
    }

    /// A page of an import's row errors, in the order of the file.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn errors(&self, id: &str, cursor: Option<&str>, limit: usize) -> Result<ErrorPage> {
        page(self.request(Method::GET, &format!("/v1/imports/{}/errors", encoded(id))), cursor, limit).await
    }

    /// The row errors of an import by code and field.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn error_summary(&self, id: &str) -> Result<ErrorSummary> {
        read(self.request(Method::GET, &format!("/v1/imports/{}/errors/summary", encoded(id))).send().await?).await
    }

    /// An import with those that it corrects and those that correct it, and the sum of them.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn history(&self, id: &str) -> Result<History> {
        read(self.request(Method::GET, &format!("/v1/imports/{}/history", encoded(id))).send().await?).await
    }

    /// Cancels an import. A repeat changes nothing.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn cancel(&self, id: &str) -> Result<Import> {
        read(self.request(Method::POST, &format!("/v1/imports/{}/cancel", encoded(id))).send().await?).await
    }

    /// Removes an import that does not run, with its errors and files; never a record. A repeat finds none.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn delete(&self, id: &str) -> Result<()> {
        done(self.request(Method::DELETE, &format!("/v1/imports/{}", encoded(id))).send().await?).await
    }

    /// Makes a key, with a key that has the scope `admin`. Its secret is in the answer, once. A repeat makes another.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn create_key(&self, key: &NewKey) -> Result<Key> {
        read(self.request(Method::POST, "/v1/keys").json(key).send().await?).await
    }

    /// The keys of an account, or of this client's own, with a key that has the scope `admin`.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn keys(&self, account: Option<&str>) -> Result<Vec<Key>> {
        let request = self.request(Method::GET, "/v1/keys");
        let request = match account {
            Some(account) => request.query(&[("account", account)]),
            None => request,
        };
        read::<KeyList>(request.send().await?).await.map(|list| list.keys)
    }

    /// Revokes a key, with a key that has the scope `admin`. A repeat changes nothing.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn revoke_key(&self, id: &str) -> Result<()> {
        done(self.request(Method::DELETE, &format!("/v1/keys/{}", encoded(id))).send().await?).await
    }

    /// The rejected rows of an ended import, from the first.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn rejected(&self, id: &str) -> Result<StoredFile> {
        let answer = self.request(Method::GET, &format!("/v1/imports/{}/rejected", encoded(id))).send().await?;
        let location = answer.headers().get("location").and_then(|url| url.to_str().ok()).map(str::to_owned);
        let Some(location) = location.filter(|_| answer.status() == StatusCode::SEE_OTHER) else {
            return Err(refusal(answer).await);
        };
        Ok(StoredFile(self.http(&location).get(&location).send().await?.error_for_status()?))
    }

    /// Writes the rejected rows of an ended import to a file.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn save_rejected(&self, id: &str, path: &Path) -> Result<()> {
        let mut file = self.rejected(id).await?;
        let unwritable = |source| ClientError::File { path: path.display().to_string(), source };
        let mut target = tokio::fs::File::create(path).await.map_err(unwritable)?;
        while let Some(bytes) = file.chunk().await? {
            tokio::io::AsyncWriteExt::write_all(&mut target, bytes.as_ref()).await.map_err(unwritable)?;
        }
        tokio::io::AsyncWriteExt::flush(&mut target).await.map_err(unwritable)
    }

    /// Orders an export. A repeat orders another one.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn create_export(&self, export: &NewExport) -> Result<Export> {
        read(self.request(Method::POST, "/v1/exports").json(export).send().await?).await
    }

    /// Orders an export once: a repeat with the same key gives the same export.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn create_export_once(&self, export: &NewExport, idempotency_key: &str) -> Result<Export> {
        let request = self.request(Method::POST, "/v1/exports").json(export);
        read(request.header("idempotency-key", idempotency_key).send().await?).await
    }

    /// An export.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn export(&self, id: &str) -> Result<Export> {
        read(self.request(Method::GET, &format!("/v1/exports/{}", encoded(id))).send().await?).await
    }

    /// A page of the exports, newest first.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn exports(&self, cursor: Option<&str>, limit: usize) -> Result<ExportPage> {
        page(self.request(Method::GET, "/v1/exports"), cursor, limit).await
    }

    /// Cancels an export. A repeat gives the same.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn cancel_export(&self, id: &str) -> Result<Export> {
        read(self.request(Method::POST, &format!("/v1/exports/{}/cancel", encoded(id))).send().await?).await
    }

    /// Deletes an export that has ended, with its file.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn delete_export(&self, id: &str) -> Result<()> {
        done(self.request(Method::DELETE, &format!("/v1/exports/{}", encoded(id))).send().await?).await
    }

    /// The file of an export that is completed, piece by piece, from the URL that the export names.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn export_file(&self, url: &str) -> Result<StoredFile> {
        Ok(StoredFile(self.http(url).get(url).send().await?.error_for_status()?))
    }

    /// The kinds: the bundled ones and the account's own.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn kinds(&self) -> Result<Vec<KindLine>> {
        let (mut kinds, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let found: KindList = page(self.request(Method::GET, "/v1/kinds"), cursor.as_deref(), 100).await?;
            kinds.extend(found.kinds);
            cursor = found.next_cursor;
            if cursor.is_none() {
                return Ok(kinds);
            }
        }
    }

    /// The text of a kind's schema, in its newest version, as it was registered.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn kind_text(&self, kind: &str) -> Result<String> {
        text(self.request(Method::GET, &format!("/v1/kinds/{}", encoded(kind))).send().await?).await
    }

    /// The first line of a file of a kind's records, with a column for each field, as CSV.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn kind_template(&self, kind: &str) -> Result<String> {
        let path = format!("/v1/kinds/{}/template.csv", encoded(kind));
        text(self.request(Method::GET, &path).send().await?).await
    }

    /// Registers a schema as the account's kind of its name. A repeat changes nothing.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn put_kind(&self, schema: &serde_json::Value) -> Result<KindLine> {
        let name = schema["name"].as_str().unwrap_or_default();
        self.put_kind_text(name, schema.to_string()).await
    }

    /// Registers a document, the schema of this name, as it is written. A repeat changes nothing.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn put_kind_text(&self, name: &str, document: impl Into<Body>) -> Result<KindLine> {
        let request = self.request(Method::PUT, &format!("/v1/kinds/{}", encoded(name)));
        read(request.header(CONTENT_TYPE, "application/json").body(document).send().await?).await
    }

    /// What a file, or with `whole` unset its first part, would be taken for under an import's options. Nothing is
    /// written. A value of JSON keeps no more of a number than a float holds.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn preview(&self, id: &str, file: Vec<u8>, whole: bool) -> Result<serde_json::Value> {
        let path = format!("/v1/imports/{}/preview", encoded(id));
        let request = self.request(Method::POST, &path).query(&[("whole", whole)]);
        // In front of Lambda, API Gateway leaves the bytes of this type as they are.
        read(request.header(CONTENT_TYPE, "application/octet-stream").body(file).send().await?).await
    }

    /// Removes the account's kind with all its versions. A repeat is refused: there is no such kind any more.
    ///
    /// # Errors
    /// [`ClientError`]; refused as `kind_in_use` while an import of it is unfinished, as `kind_has_records` while there
    /// are records of it, and as `kind_not_looked_through` where a repeat goes on.
    pub async fn delete_kind(&self, kind: &str) -> Result<()> {
        done(self.request(Method::DELETE, &format!("/v1/kinds/{}", encoded(kind))).send().await?).await
    }

    /// A page of the records of a kind. It may be empty and have a cursor all the same.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn records(
        &self,
        kind: &str,
        filter: &RecordFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<RecordPage> {
        let path = format!("/v1/records/{}", encoded(kind));
        page(self.request(Method::GET, &path).query(filter), cursor, limit).await
    }

    /// A record by kind and canonical key, with every digit of its numbers, and with its provenance where that is asked
    /// for; `None` if there is none.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn shown_record(&self, kind: &str, key: &str, provenance: bool) -> Result<Option<Record>> {
        self.record_as(kind, key, provenance).await
    }

    /// A record by kind and canonical key as a value of JSON, which keeps no more of a number than a float holds:
    /// [`Client::shown_record`] has every digit. `None` if there is none.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn record(&self, kind: &str, key: &str) -> Result<Option<serde_json::Value>> {
        self.record_as(kind, key, false).await
    }

    async fn record_as<T: DeserializeOwned>(&self, kind: &str, key: &str, provenance: bool) -> Result<Option<T>> {
        let path = format!("/v1/records/{}/{}", encoded(kind), encoded(key));
        let answer = self.request(Method::GET, &path).query(&[("provenance", provenance)]).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        read(answer).await.map(Some)
    }
}

/// A file on its way: rejected rows, an export.
#[derive(Debug)]
pub struct StoredFile(Response);

impl StoredFile {
    /// The next bytes, of any number; `None` when it is whole.
    ///
    /// # Errors
    /// [`ClientError::Http`]: it broke off.
    pub async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>> {
        Ok(self.0.chunk().await?)
    }
}

/// A text as one segment of a path.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

async fn page<T: DeserializeOwned>(request: RequestBuilder, cursor: Option<&str>, limit: usize) -> Result<T> {
    let mut request = request.query(&[("limit", limit)]);
    if let Some(cursor) = cursor {
        request = request.query(&[("cursor", cursor)]);
    }
    read(request.send().await?).await
}

async fn done(answer: Response) -> Result<()> {
    if answer.status().is_success() { Ok(()) } else { Err(refusal(answer).await) }
}

async fn text(answer: Response) -> Result<String> {
    if answer.status().is_success() { Ok(answer.text().await?) } else { Err(refusal(answer).await) }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T> {
    if answer.status().is_success() { Ok(answer.json().await?) } else { Err(refusal(answer).await) }
}

/// Why the storage did not take an upload, in its own words.
async fn storage_refusal(response: Response) -> ClientError {
    let status = response.status();
    let answer = response.text().await.unwrap_or_default();
    let element = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    let message = element("Message").unwrap_or("the storage gave no reason");
    let message = message.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    ClientError::UploadRefused { status, code: element("Code").unwrap_or_default().to_owned(), message }
}

async fn refusal(answer: Response) -> ClientError {
    let status = answer.status();
    let problem: ProblemBody = answer.json().await.unwrap_or_default();
    let detail = if problem.detail.is_empty() { "the service gave no reason".to_owned() } else { problem.detail };
    ClientError::Refused { status, code: problem.code, detail }
}
