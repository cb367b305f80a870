//! A network whose names lead where a test says, receivers, and an authority for their certificates.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use http::HeaderMap;
use penstock_webhooks::{Network, Policy, Secret, Sender, Sent, signature};
use rcgen::{CertificateParams, DnType, IsCa, Issuer, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The name of the receiver.
pub(crate) const HOST: &str = "hooks.example.com";

/// A public address, which is routed to a socket of this machine.
pub(crate) const PUBLIC: &str = "93.184.215.14";

/// What is sent.
pub(crate) const BODY: &[u8] =
    br#"{"id":"evt_1","type":"import.completed","timestamp":"2026-01-01T00:00:00Z","data":{}}"#;

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// What its names lead to, and what was asked of it.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Kept>>);

#[derive(Default)]
pub(crate) struct Kept {
    /// What a look-up gives, one after the other; the last one stays.
    answers: VecDeque<Vec<IpAddr>>,
    /// Where connections to public addresses go, as a router of the internet would have it.
    routes: HashMap<SocketAddr, SocketAddr>,
    /// The names that were looked up.
    pub(crate) looked_up: Vec<String>,
    /// The addresses that were connected to.
    pub(crate) connected: Vec<SocketAddr>,
}

impl Names {
    pub(crate) fn leading_to(answers: impl IntoIterator<Item = Vec<IpAddr>>) -> Self {
        let kept = Kept { answers: answers.into_iter().collect(), ..Kept::default() };
        Self(Arc::new(Mutex::new(kept)))
    }

    pub(crate) fn routing(self, from: SocketAddr, to: SocketAddr) -> Self {
        self.kept().routes.insert(from, to);
        self
    }

    /// How many names were looked up, and what was connected to.
    pub(crate) fn asked(&self) -> (usize, Vec<SocketAddr>) {
        let kept = self.kept();
        (kept.looked_up.len(), kept.connected.clone())
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no test panics with it")
    }
}

impl Network for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut kept = self.kept();
        kept.looked_up.push(name.to_owned());
        let answer = if kept.answers.len() > 1 { kept.answers.pop_front() } else { kept.answers.front().cloned() };
        answer.ok_or_else(|| io::Error::other("there is no such name"))
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let route = {
            let mut kept = self.kept();
            kept.connected.push(to);
            kept.routes.get(&to).copied().unwrap_or(to)
        };
        TcpStream::connect(route).await
    }
}

/// Something that listens at a port of this machine, until it is dropped.
pub(crate) struct Receiver {
    pub(crate) at: SocketAddr,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Has each connection served, one after the other.
    pub(crate) async fn serving<F: Future<Output = ()> + Send>(
        serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::at("127.0.0.1:0", serve).await.expect("a port is free")
    }

    pub(crate) async fn at<F: Future<Output = ()> + Send>(
        at: &str,
        serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let at = listener.local_addr()?;
        let connections = Arc::new(Mutex::new(0));
        let counted = connections.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().expect("nobody panics with it") += 1;
                serve(stream).await;
            }
        });
        Ok(Self { at, connections, task })
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().expect("nobody panics with it")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.at)
    }
}

/// Reads a request: its head, and as much behind it as `Content-Length` says.
pub(crate) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> (String, Vec<u8>) {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        let bytes = stream.read(&mut buffer).await.unwrap_or(0);
        read.extend_from_slice(&buffer[..bytes]);
        let head = read.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8(read[..head].to_vec()).expect("a head is ASCII");
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
            if read.len() >= head + length {
                return (text, read.split_off(head));
            }
        }
        if bytes == 0 {
            return (String::from_utf8_lossy(&read).into_owned(), Vec::new());
        }
    }
}

/// Sends the same to a URL, signed.
pub(crate) async fn post<N: Network>(sender: &Sender<N>, url: &str) -> Sent {
    sender.send(url, headers(), Bytes::from_static(BODY)).await
}

pub(crate) fn headers() -> HeaderMap {
    signature::standard([&Secret::random()], "evt_1", 1_000_000, BODY)
}

/// A sender of the local cloud.
pub(crate) fn local(names: Names) -> Sender<Names> {
    Sender::with(names, Policy::local(), RootCertStore::empty())
}

/// A key pair of certificates.
pub(crate) struct CertKey {
    pair: Ed25519KeyPair,
    document: Vec<u8>,
}

impl CertKey {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("random bytes");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key pair");
        Self { pair, document: document.as_ref().to_vec() }
    }
}

impl PublicKeyData for CertKey {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl SigningKey for CertKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }
}

/// An authority that signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, CertKey>,
    root: CertificateDer<'static>,
}

fn named(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = named("an authority of a test", 1);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = CertKey::new();
        let root = params.self_signed(&key).expect("a certificate").der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// What trusts it alone.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a certificate");
        roots
    }

    /// How a receiver of these names speaks TLS, of these versions, with a certificate that is valid until that year.
    pub(crate) fn server(
        &self,
        name: &str,
        until: i32,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let key = CertKey::new();
        let mut params = named(name, 2);
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name.try_into().expect("a name"))];
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.document.clone()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], private)
            .expect("a certificate with its key");
        Arc::new(config)
    }
}
