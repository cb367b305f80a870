//! The fault proxy in front of DynamoDB, S3, SQS and EventBridge. The meter counts each request, and the weather may
//! inject a fault.
//!
//! What a client may meet on the wire: an error before or after the effect, throttling, a connection cut before or
//! after the effect, an answer that never comes, a write that is made when its client has given it up, a batch done in
//! part, and a stale answer to a read that did not ask for better. Requests keep their `Host` header, which their
//! signature covers. Bodies of S3 are streamed; those of the others, a few megabytes at most, are looked into.

mod alteration;
mod answers;
mod call;
mod memory;
mod operation;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use penstock_api::Server;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::faults::{Source, Weather};
use crate::pulse::Pulse;
use crate::stack::Endpoints;
use crate::usage::{self, Counts, Meter};
use alteration::Alteration;
pub use call::Call;
pub(crate) use call::access_key_id;
use memory::Memory;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;
/// One connection to the service for each from a client; HTTP/1.1 has one request at a time on both.
type Upstream = tokio::sync::Mutex<Option<SendRequest<Body>>>;

/// The proxies of all services.
#[derive(Debug)]
pub(crate) struct Proxies {
    endpoints: Endpoints,
    calls: Calls,
    late: Late,
    servers: Vec<Server>,
}

impl Proxies {
    /// Starts a proxy on a free port before each service.
    ///
    /// # Errors
    /// A port cannot be used.
    pub(crate) async fn start(direct: &Endpoints, weather: &Weather, meter: &Meter) -> anyhow::Result<Self> {
        let calls = Calls::default();
        let late = Late { pending: Arc::default(), landed: Pulse::new() };
        let mut servers = Vec::new();
        for (service, endpoint) in [
            (Service::DynamoDb, &direct.dynamodb),
            (Service::S3, &direct.s3),
            (Service::Sqs, &direct.sqs),
            (Service::EventBridge, &direct.eventbridge),
        ] {
            let target = address(endpoint).and_then(|(address, _)| address.parse().ok());
            let proxy = Arc::new(Proxy {
                service,
                target: target.with_context(|| format!("{} is no address", service.name()))?,
                weather: weather.clone(),
                meter: meter.clone(),
                calls: calls.clone(),
                late: late.clone(),
                throttled: AtomicU32::new(0),
                memory: Memory::default(),
            });
            let (listener, address) = Server::bind().await?;
            servers.push(Server::spawn(address, async move |stopped| proxy.serve(listener, stopped).await));
        }
        // A path in front of the service's own, its secret, is in front of the proxy's too.
        let through = |server: &Server, endpoint: &str| server.url() + address(endpoint).map_or("", |(_, path)| path);
        let endpoints = Endpoints {
            dynamodb: through(&servers[0], &direct.dynamodb),
            s3: through(&servers[1], &direct.s3),
            sqs: through(&servers[2], &direct.sqs),
            eventbridge: through(&servers[3], &direct.eventbridge),
        };
        Ok(Self { endpoints, calls, late, servers })
    }

    /// Where clients reach the services through the proxies.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    pub(crate) fn calls(&self) -> BTreeSet<Call> {
        self.calls.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a write is still to be made that its client has given up.
    pub(crate) fn has_late_writes(&self) -> bool {
        self.late.pending.load(Ordering::SeqCst) > 0
    }

    /// Returns when all of them have been made.
    pub(crate) async fn late_writes_made(&self) {
        self.late.landed.until(|| (!self.has_late_writes()).then_some(())).await;
    }

    /// Cuts every connection and returns.
    pub(crate) async fn stop(self) {
        futures::future::join_all(self.servers.into_iter().map(Server::stop)).await;
    }
}

#[derive(Clone, Debug, Default)]
struct Calls {
    made: Arc<Mutex<BTreeSet<Call>>>,
}

impl Calls {
    /// Notes calls that were passed on, refused or not.
    fn note(&self, function: &str, made: Vec<(String, String)>) {
        let mut calls = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        for (action, resource) in made {
            calls.insert(Call { function: function.to_owned(), action, resource });
        }
    }
}

/// The writes that are still to be made although their clients have given them up.
#[derive(Clone, Debug)]
struct Late {
    pending: Arc<AtomicUsize>,
    landed: Pulse,
}

/// Which service a proxy stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    DynamoDb,
    S3,
    Sqs,
    EventBridge,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::S3 => "s3",
            Self::Sqs => "sqs",
            Self::EventBridge => "eventbridge",
        }
    }

    fn source(self) -> Source {
        match self {
            Self::DynamoDb => Source::DynamoDb,
            Self::S3 => Source::S3,
            Self::Sqs => Source::Sqs,
            Self::EventBridge => Source::EventBridge,
        }
    }
}

#[derive(Debug)]
struct Proxy {
    service: Service,
    target: SocketAddr,
    weather: Weather,
    meter: Meter,
    calls: Calls,
    late: Late,
    /// How many more requests the present burst of throttling refuses.
    throttled: AtomicU32,
    memory: Memory,
}

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

impl Proxy {
    async fn serve(self: Arc<Self>, listener: TcpListener, mut stopped: futures::future::BoxFuture<'static, ()>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stopped => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(self.clone().connection(stream));
                    }
                    Err(error) => tracing::warn!(%error, service = self.service.name(), "the proxy could not accept a connection"),
                },
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let upstream = Arc::new(Upstream::default());
        let answer = service_fn(|request| {
            let (proxy, upstream) = (self.clone(), upstream.clone());
            async move { proxy.answer(&upstream, request).await }
        });
        // Ends with an error when the connection was cut, by either side.
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    }

    async fn answer(self: &Arc<Self>, upstream: &Upstream, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let operation = operation::name(self.service, &request);
        // Without a key of ours it is a form, which the api has signed.
        let function = call::function(&request).unwrap_or_else(|| "api".to_owned());
        let used = |resource: &str| usage::of(self.service.name(), &operation, &function, resource);
        if let Some(refusal) = self.refusal(&operation) {
            self.meter.add(&used(""), Counts { requests: 1, ..Counts::default() });
            return refusal;
        }
        let response = if self.service == Service::S3 {
            let bucket = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
            self.meter.add(&used(bucket), Counts { requests: 1, items: 1, ..Counts::default() });
            let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
            let copied = operation::copied(&request).map(str::to_owned);
            let answer = self.send(upstream, request.map(|body| body.map_err(BoxError::from).boxed_unsync())).await?;
            let found = answer.status() != http::StatusCode::NOT_FOUND;
            let calls = match copied {
                Some(source) => call::of_copy(&source, &path, found),
                None => call::of_s3(&operation, &path, &query, found),
            };
            self.calls.note(&function, calls);
            answer
        } else {
            self.answer_json(upstream, request, &operation, &function).await?
        };
        self.spoil(response).await
    }

    /// What a client gets instead of an effect, if the weather wants it so.
    fn refusal(&self, operation: &str) -> Option<Result<Response<Body>, Cut>> {
        let faults = &self.weather.faults().wire;
        let in_burst =
            self.throttled.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if !in_burst && self.strikes(faults.throttle) && faults.throttle_burst > 0 {
            let more = self.weather.below(self.service.source(), u64::from(faults.throttle_burst));
            self.throttled.store(u32::try_from(more).unwrap_or(0), Ordering::SeqCst);
        } else if !in_burst {
            return if self.strikes(faults.error_before) {
                let unavailable = self.weather.below(self.service.source(), 2) == 0;
                Some(Ok(answers::server_error(self.service, unavailable)))
            } else if self.strikes(faults.cut_before) {
                Some(Err(Cut))
            } else if alteration::conflicts(operation) && self.strikes(faults.transaction_conflict) {
                Some(Ok(answers::transaction_conflict()))
            } else {
                None
            };
        }
        Some(Ok(answers::throttled(self.service)))
    }

    async fn answer_json(
        self: &Arc<Self>,
        upstream: &Upstream,
        request: Request<Incoming>,
        operation: &str,
        function: &str,
    ) -> Result<Response<Body>, Cut> {
        let faults = &self.weather.faults().wire;
        let (mut parts, body) = request.into_parts();
        let bytes = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let Ok(mut json) = serde_json::from_slice::<Value>(&bytes) else {
            return self.send(upstream, Request::from_parts(parts, full(bytes))).await;
        };
        let calls = call::of_json(self.service, operation, &json);
        let is_throttled = |table: &String| calls.iter().any(|(_, resource)| resource == table);
        if faults.throttled_table.as_ref().is_some_and(is_throttled) && self.strikes(1.0) {
            return Ok(answers::throttled(self.service));
        }
        self.calls.note(function, calls);
        let used = usage::of(self.service.name(), operation, function, &usage::resource(operation, &json));
        let items = operation::members(operation, &json).unwrap_or(1);
        let queue_units = if self.service == Service::Sqs { usage::billed_by_queue(&json) } else { 0 };
        self.meter.add(&used, Counts { requests: 1, items, queue_units, ..Counts::default() });
        if operation == "TransactWriteItems" && self.strikes(faults.transaction_conflict) {
            return Ok(answers::transaction_canceled(&json));
        }
        let remembered = (faults.stale_read > 0.0 && operation::may_be_stale(operation, &json))
            // Written anew: a client may write the attributes of a key in any order.
            .then(|| (operation.to_owned(), Bytes::from(json.to_string())));
        if let Some(request) = &remembered
            && self.strikes(faults.stale_read)
            && let Some(stale) = self.memory.take(request)
        {
            return Ok(answers::json(http::StatusCode::OK, None, stale));
        }
        let alteration = Alteration::of_request(operation, &mut json, &self.weather, self.service.source());
        let mut sent = if alteration.changes_request() { Bytes::from(json.to_string()) } else { bytes };
        let has_units = self.service == Service::DynamoDb;
        if has_units {
            sent = usage::asking_for_units(&json, sent);
        }
        parts.headers.remove(TRANSFER_ENCODING);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(sent.len()));
        if self.service == Service::DynamoDb && operation::writes(operation) && self.strikes(faults.write_late) {
            self.send_late(Request::from_parts(parts, full(sent)));
            return Err(Cut);
        }
        let response = self.send(upstream, Request::from_parts(parts, full(sent))).await?;
        if alteration == Alteration::None && remembered.is_none() && !has_units {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        let mut bytes = body.collect().await.map_err(|_| Cut)?.to_bytes();
        if has_units {
            let (read_units, write_units) = usage::units(operation, &json, &bytes);
            self.meter.add(&used, Counts { read_units, write_units, ..Counts::default() });
        }
        if parts.status.is_success() {
            if let Ok(mut json) = serde_json::from_slice::<Value>(&bytes)
                && alteration.apply(&mut json)
            {
                bytes = Bytes::from(json.to_string());
                parts.headers.remove("x-amz-crc32");
            }
            if let Some(request) = remembered {
                self.memory.note(request, bytes.clone());
            }
        }
        parts.headers.remove(TRANSFER_ENCODING);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        Ok(Response::from_parts(parts, full(bytes)))
    }

    /// Has the request made later, by nobody who hears of it.
    fn send_late(self: &Arc<Self>, request: Request<Body>) {
        let after = self.weather.up_to(self.service.source(), self.weather.faults().wire.late);
        self.late.pending.fetch_add(1, Ordering::SeqCst);
        let proxy = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            if let Ok(response) = proxy.send(&Upstream::default(), request).await {
                drain(response).await;
            }
            proxy.late.pending.fetch_sub(1, Ordering::SeqCst);
            proxy.late.landed.beat();
        });
    }

    /// What becomes of an answer on its way back.
    async fn spoil(&self, response: Response<Body>) -> Result<Response<Body>, Cut> {
        let faults = &self.weather.faults().wire;
        if self.strikes(faults.error_after) {
            drain(response).await;
            return Ok(answers::server_error(self.service, false));
        }
        if self.strikes(faults.timeout_after) {
            drain(response).await;
            tokio::time::sleep(faults.hold).await;
            return Err(Cut);
        }
        if self.strikes(faults.cut_after) {
            return cut_in_the_middle(response).await;
        }
        Ok(response)
    }

    async fn send(&self, upstream: &Upstream, mut request: Request<Body>) -> Result<Response<Body>, Cut> {
        // A request to a server, not to a proxy: the path alone.
        if let Some(path) = request.uri().path_and_query() {
            *request.uri_mut() = path.as_str().parse().map_err(|_| Cut)?;
        }
        let mut connection = upstream.lock().await;
        let mut kept = connection.take();
        let usable = match &mut kept {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        let mut sender = match kept {
            Some(sender) if usable => sender,
            _ => self.connect().await.map_err(|_| Cut)?,
        };
        let response = sender.send_request(request).await.map_err(|_| Cut)?;
        *connection = Some(sender);
        Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync()))
    }

    async fn connect(&self) -> Result<SendRequest<Body>, BoxError> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Its end, good or bad, shows at the sender.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn strikes(&self, probability: f64) -> bool {
        self.weather.strikes(self.service.source(), probability)
    }
}

/// Address and path of an endpoint.
fn address(endpoint: &str) -> Option<(&str, &str)> {
    let rest = endpoint.strip_prefix("http://")?;
    Some(rest.split_at(rest.find('/').unwrap_or(rest.len())))
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// Reads an answer to its end, so that its request has had its effect.
async fn drain(response: Response<Body>) {
    let mut body = response.into_body();
    while let Some(Ok(_)) = body.frame().await {}
}

/// Gives the head and the first part of an answer, and then nothing but a closed connection.
async fn cut_in_the_middle(response: Response<Body>) -> Result<Response<Body>, Cut> {
    let (parts, mut body) = response.into_parts();
    let first = match body.frame().await {
        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        _ => return Err(Cut),
    };
    let half = first.slice(..first.len() / 2);
    while let Some(Ok(_)) = body.frame().await {}
    let frames = [Ok(Frame::data(half)), Err(BoxError::from(Cut))];
    Ok(Response::from_parts(parts, StreamBody::new(futures::stream::iter(frames)).boxed_unsync()))
}
