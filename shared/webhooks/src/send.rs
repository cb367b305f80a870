//! One attempt to deliver: one POST to one address that was checked.
//!
//! The URL may lead anywhere by the time it is used, and its name to anything at any look-up. So the name is looked up
//! once per attempt, every address that it leads to is checked, and the connection is made to one of these addresses,
//! not to the name. Redirects are not followed. From the look-up to the last byte an attempt has
//! [`WEBHOOK_SECONDS`], and [`WEBHOOK_ANSWER_BYTES`] of the answer are read. The head of an answer decides; a body that
//! does not end in time counts as far as it came.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{CONNECTION, CONTENT_TYPE, DATE, HOST, RETRY_AFTER, USER_AGENT},
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use penstock_model::limits::{
    WEBHOOK_ANSWER_BYTES, WEBHOOK_ANSWER_KEPT_BYTES, WEBHOOK_CONNECT_SECONDS, WEBHOOK_SECONDS,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use crate::{
    bounded::Bounded,
    policy::{HostName, Policy, UrlError, WebhookUrl},
};

/// What every request says of who sends it.
const AGENT: &str = concat!("Penstock/", env!("CARGO_PKG_VERSION"));

/// Looks up names and makes connections. What may be connected to is not decided here.
pub trait Network: Send + Sync {
    /// The addresses of a name.
    fn resolve(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;

    /// A connection to an address.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send;
}

/// The network of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Network for System {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(to).await
    }
}

/// There are no certificates of authorities on this machine, so that no receiver can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this machine has no certificates of authorities; name a file of them by SSL_CERT_FILE")]
pub struct NoRoots;

/// Sends requests where its policy lets it.
#[derive(Clone)]
pub struct Sender<N = System> {
    network: N,
    policy: Policy,
    tls: Arc<ClientConfig>,
    within: Duration,
}

impl<N> std::fmt::Debug for Sender<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("policy", &self.policy).field("within", &self.within).finish_non_exhaustive()
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// The answer, whatever its status is, or why there is none.
    pub outcome: Result<Answer, SendError>,
}

/// The answer of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// In how many seconds the receiver wants to be asked again, by `Retry-After`.
    pub retry_after_seconds: Option<u64>,
    /// The begin of its body, [`WEBHOOK_ANSWER_KEPT_BYTES`] at most. It is whatever the receiver writes.
    pub body: String,
}

/// Why there is no answer. It says nothing of the network that the sender is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The URL is not taken any more.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The name has no address.
    #[error("the name of the host leads to no address")]
    NotResolved,
    /// The name leads to an address that nothing is sent to.
    #[error("the name of the host leads to an address that nothing is sent to ({range})")]
    Address {
        /// What the address's range is for.
        range: &'static str,
    },
    /// Nobody accepts a connection there.
    #[error("the host accepts no connection at this port")]
    NotConnected,
    /// The certificate is not valid for the name, or the other side speaks no TLS.
    #[error("no trusted TLS connection: the host's certificate is not valid for its name, or it does not speak TLS")]
    Tls,
    /// It took too long.
    #[error("there was no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection ended before the answer did.
    #[error("the connection ended before the head of the answer was there")]
    Cut,
    /// What came is no answer of HTTP/1.1, or its head is too long.
    #[error("what the host sent is no answer of HTTP/1.1, or the head of one over {WEBHOOK_ANSWER_BYTES} bytes")]
    Invalid,
}

impl SendError {
    /// The stable word for programs: one of [`ATTEMPTS`](penstock_model::codes::ATTEMPTS).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "url_refused",
            Self::NotResolved => "name_not_resolved",
            Self::Address { .. } => "address_refused",
            Self::NotConnected => "connection_failed",
            Self::Tls => "tls_failed",
            Self::TimedOut(_) => "timed_out",
            Self::Cut => "answer_cut",
            Self::Invalid => "invalid_answer",
        }
    }
}

impl Sender {
    /// A sender that trusts the authorities that this machine trusts.
    ///
    /// # Errors
    /// [`NoRoots`]
    pub fn new(policy: Policy) -> Result<Self, NoRoots> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(NoRoots);
        }
        Ok(Self::with(System, policy, roots))
    }
}

impl<N: Network> Sender<N> {
    /// A sender over a network, which trusts these authorities alone.
    ///
    /// # Panics
    /// Never: the provider has the protocol versions that are asked for.
    pub fn with(network: N, policy: Policy, roots: RootCertStore) -> Self {
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { network, policy, tls: Arc::new(tls), within: Duration::from_secs(WEBHOOK_SECONDS) }
    }

    /// With another limit for an attempt.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Posts a body of JSON with these headers, once. A repeat is another request with the same id.
    ///
    /// Whoever drops the future gives the attempt up: its connection is closed.
    pub async fn send(&self, url: &str, headers: HeaderMap, body: Bytes) -> Sent {
        let begin = Instant::now();
        let end = begin + self.within;
        let outcome = match timeout_at(end, self.attempt(url, headers, body)).await {
            Ok(Ok(head)) => Ok(head.read_until(end).await),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(SendError::TimedOut(self.within)),
        };
        Sent { ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX), outcome }
    }

    async fn attempt(&self, url: &str, headers: HeaderMap, body: Bytes) -> Result<Head, SendError> {
        let url = WebhookUrl::parse(url, &self.policy)?;
        let stream = self.connect(&self.addresses(url.host()).await?, url.port()).await?;
        let request = request(&url, headers, body)?;
        if url.is_plain() {
            return exchange(stream, request).await;
        }
        let name = match url.host() {
            HostName::Address(address) => ServerName::IpAddress(address.into()),
            HostName::Name(name) => ServerName::try_from(name.to_owned()).map_err(|_| SendError::NotResolved)?,
        };
        let connector = TlsConnector::from(self.tls.clone());
        let stream = connector.connect(name, stream).await.map_err(|_| SendError::Tls)?;
        exchange(stream, request).await
    }

    /// The addresses of a host. If nothing may be sent to one of them, nothing is sent: whoever names a private address
    /// among public ones means the private one.
    async fn addresses(&self, host: HostName<'_>) -> Result<Vec<IpAddr>, SendError> {
        let found = match host {
            HostName::Address(address) => vec![address],
            HostName::Name(name) => self.network.resolve(name).await.map_err(|_| SendError::NotResolved)?,
        };
        match found.iter().find_map(|address| self.policy.refused(*address)) {
            Some(range) => Err(SendError::Address { range }),
            None if found.is_empty() => Err(SendError::NotResolved),
            None => Ok(found),
        }
    }

    /// A connection to the first address that takes one.
    async fn connect(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, SendError> {
        for address in addresses {
            let connecting = self.network.connect(SocketAddr::new(*address, port));
            if let Ok(Ok(stream)) = timeout(Duration::from_secs(WEBHOOK_CONNECT_SECONDS), connecting).await {
                return Ok(stream);
            }
        }
        Err(SendError::NotConnected)
    }
}

/// What is posted.
fn request(url: &WebhookUrl, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, SendError> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.target().parse().map_err(|_| UrlError::Unreadable)?;
    let own = request.headers_mut();
    own.insert(HOST, HeaderValue::from_str(&url.authority()).map_err(|_| UrlError::Unreadable)?);
    own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    own.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    own.insert(CONNECTION, HeaderValue::from_static("close"));
    own.extend(headers);
    Ok(request)
}

/// An answer of which the head is there.
struct Head {
    answer: Response<Incoming>,
    /// What moves the connection's bytes. Dropped, it ends the connection.
    driver: JoinSet<hyper::Result<()>>,
}

/// Sends a request over a connection and reads the head of its answer.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Head, SendError> {
    let (stream, spent) = Bounded::new(stream, WEBHOOK_ANSWER_BYTES);
    let mut client = http1::Builder::new();
    client.max_buf_size(WEBHOOK_ANSWER_BYTES);
    let (mut requests, connection) = client.handshake(TokioIo::new(stream)).await.map_err(|_| SendError::Cut)?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = requests.send_request(request).await.map_err(|error| {
        if error.is_parse() || error.is_parse_too_large() || spent.is() { SendError::Invalid } else { SendError::Cut }
    })?;
    Ok(Head { answer, driver })
}

impl Head {
    /// Reads the body to its end, as far as it comes until `end`, or as answers are read, and keeps its begin.
    async fn read_until(self, end: Instant) -> Answer {
        let Self { answer, driver } = self;
        let status = answer.status().as_u16();
        let retry_after_seconds = retry_after(answer.headers());
        let (mut body, mut kept) = (answer.into_body(), Vec::new());
        while let Ok(Some(Ok(frame))) = timeout_at(end, body.frame()).await {
            let room = WEBHOOK_ANSWER_KEPT_BYTES - kept.len();
            let data = frame.data_ref().map_or(&[][..], |data| &data[..data.len().min(room)]);
            kept.extend_from_slice(data);
        }
        drop(driver);
        Answer { status, retry_after_seconds, body: text(&kept) }
    }
}

/// Bytes as text of no more bytes than a kept body has: what is no UTF-8 is replaced, a character that was cut is left
/// out.
fn text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    // A character of which the limit leaves the begin alone.
    if bytes.len() == WEBHOOK_ANSWER_KEPT_BYTES
        && let Err(error) = std::str::from_utf8(bytes)
        && error.error_len().is_none()
    {
        text.pop();
    }
    let end = (0..=WEBHOOK_ANSWER_KEPT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// The seconds of `Retry-After` (RFC 9110 §10.2.3): a number, or a time, which is compared with the answer's own `Date`
/// where it has one.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let time = |text: &str| httpdate::parse_http_date(text).ok();
    let now = headers.get(DATE).and_then(|date| time(date.to_str().ok()?)).unwrap_or_else(SystemTime::now);
    Some(time(value)?.duration_since(now).unwrap_or_default().as_secs())
}

#[cfg(test)]
mod tests {
    use penstock_model::codes;

    use super::*;

    #[test]
    fn each_error_has_a_code_of_the_list() {
        let all = [
            SendError::Url(UrlError::NotHttps),
            SendError::NotResolved,
            SendError::Address { range: "private" },
            SendError::NotConnected,
            SendError::Tls,
            SendError::TimedOut(Duration::from_secs(WEBHOOK_SECONDS)),
            SendError::Cut,
            SendError::Invalid,
        ];
        let mut found: Vec<&str> = all.iter().map(SendError::code).collect();
        found.sort_unstable();
        assert_eq!(found, codes::ATTEMPTS);
        assert_eq!(all[5].to_string(), "there was no answer within 15s");
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_time() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (value, date, seconds) in [
            ("120", None, Some(120)),
            ("0", None, Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(date), Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(date), Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None, Some(0)),
            ("-5", None, None),
            ("soon", None, None),
            ("99999999999999999999999", None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            assert_eq!(retry_after(&headers), seconds, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_kept_of_a_body_is_text_within_its_bound() {
        assert_eq!(text(b"no"), "no");
        assert_eq!(text(b"\xff\xfe!"), "\u{fffd}\u{fffd}!");
        let mut long = vec![b'a'; WEBHOOK_ANSWER_KEPT_BYTES - 1];
        long.push("\u{fc}".as_bytes()[0]);
        assert_eq!(text(&long), "a".repeat(WEBHOOK_ANSWER_KEPT_BYTES - 1));
        assert!(text(&[0xff; WEBHOOK_ANSWER_KEPT_BYTES]).len() <= WEBHOOK_ANSWER_KEPT_BYTES);
    }
}
