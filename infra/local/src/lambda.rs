//! The Lambda host: instances of functions, one invocation at a time each.
//!
//! An instance is started when an invocation finds none idle, up to the function's concurrency, and is used again. It
//! is killed when an invocation exceeds the function's timeout; one that ends in the middle of an invocation fails it
//! at once.

mod instance;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use penstock_model::limits::INVOCATION_BYTES;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::clock::{LocalClock, rfc3339};
use crate::faults::Weather;
use crate::launcher::Launcher;
use crate::options::FunctionOptions;
use crate::pulse::Pulse;
use crate::queue::{Queue, random_id};
use crate::sqs::ACCOUNT_ID;
use crate::usage::Meter;

use instance::Invocation;
pub(crate) use instance::{Answer, Instance};

/// How long an instance may take from its start to its first question for work.
const INIT_TIMEOUT: Duration = Duration::from_secs(60);
/// After these pauses, by the local clock, a failed asynchronous invocation is tried again.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];

/// Why an invocation has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// The function answered with an error; the payload is its JSON, `errorType` and `errorMessage`.
    #[error("the function failed: {}", String::from_utf8_lossy(.0))]
    Unhandled(Bytes),
    /// The instance ended before it answered.
    #[error("the instance ended before it answered: {0}")]
    Crashed(String),
    /// The instance ended before it asked for work, or took too long to.
    #[error("the instance could not start: {0}")]
    Init(String),
    /// The function did not answer in time, and was killed.
    #[error("the function did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The payload is larger than Lambda takes.
    #[error("the payload has {0} bytes, the limit is {INVOCATION_BYTES}")]
    PayloadTooLarge(usize),
    /// No function has that name.
    #[error("there is no function {0:?}")]
    NoSuchFunction(String),
    /// The local cloud has been stopped.
    #[error("the local cloud has stopped")]
    Stopped,
}

impl FunctionError {
    /// The error as Lambda reports it to destinations.
    fn payload(&self) -> Value {
        let kind = match self {
            Self::Unhandled(payload) => match serde_json::from_slice(payload) {
                Ok(payload) => return payload,
                Err(_) => "Unhandled",
            },
            Self::Crashed(_) => "Runtime.ExitError",
            Self::Init(_) => "Runtime.InitError",
            Self::TimedOut(_) => "Sandbox.Timedout",
            Self::PayloadTooLarge(_) => "RequestEntityTooLarge",
            Self::NoSuchFunction(_) => "ResourceNotFoundException",
            Self::Stopped => "ServiceException",
        };
        json!({ "errorType": kind, "errorMessage": self.to_string() })
    }
}

/// One instance's process, past or present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// The function that it runs.
    pub function: String,
    /// Its process id.
    pub pid: u32,
    /// The most memory it was seen to have held at once, in bytes; looked at after each invocation. 0 where the system
    /// does not tell.
    pub peak_rss_bytes: u64,
    /// How many invocations it has taken.
    pub invocations: u64,
    /// Whether it still runs.
    pub alive: bool,
}

/// The host. Cheap to clone; all clones are one host.
#[derive(Clone, Debug)]
pub(crate) struct LambdaHost {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    functions: BTreeMap<String, Arc<Function>>,
    launcher: Launcher,
    /// The Runtime API's URL, without an instance.
    runtime_url: String,
    clock: LocalClock,
    weather: Weather,
    activity: Pulse,
    meter: Meter,
    /// Invocations asked for and not ended, retries that wait for their time included.
    busy: AtomicUsize,
    /// Those of them that wait for the clock.
    pausing: AtomicUsize,
    /// Every instance ever started, by id.
    instances: Mutex<HashMap<String, Arc<Instance>>>,
    stopped: watch::Sender<bool>,
}

/// What the host needs to know about one function.
#[derive(Debug)]
pub(crate) struct Function {
    name: String,
    options: FunctionOptions,
    /// Where an asynchronous invocation's record goes when all tries have failed.
    on_failure: Option<Queue>,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Arc<Instance>>>,
}

impl Function {
    pub(crate) fn new(name: &str, options: FunctionOptions, on_failure: Option<Queue>) -> Self {
        let slots = Arc::new(Semaphore::new(options.concurrency.max(1)));
        Self { name: name.to_owned(), options, on_failure, slots, idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Arc<Instance>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one invocation, within the function's concurrency.
#[derive(Debug)]
pub(crate) struct Slot {
    function: Arc<Function>,
    _permit: OwnedSemaphorePermit,
}

/// While one of these lives, the cloud is not idle.
#[derive(Debug)]
pub(crate) struct Busy {
    host: LambdaHost,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.host.inner.busy.fetch_sub(1, Ordering::SeqCst);
        self.host.inner.activity.beat();
    }
}

impl LambdaHost {
    /// A host whose instances find their Runtime API under `runtime_url`; [`crate::runtime::router`] has to be served
    /// there.
    pub(crate) fn new(
        functions: Vec<Function>,
        launcher: Launcher,
        runtime_url: String,
        clock: LocalClock,
        weather: Weather,
        activity: Pulse,
        meter: Meter,
    ) -> Self {
        let functions = functions.into_iter().map(|function| (function.name.clone(), Arc::new(function))).collect();
        Self {
            inner: Arc::new(Inner {
                functions,
                launcher,
                runtime_url,
                clock,
                weather,
                activity,
                meter,
                busy: AtomicUsize::new(0),
                pausing: AtomicUsize::new(0),
                instances: Mutex::default(),
                stopped: watch::channel(false).0,
            }),
        }
    }

    /// Invokes `function` and waits for its result. A repeat is another invocation.
    ///
    /// # Errors
    /// [`FunctionError`]; nothing is tried again.
    pub(crate) async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes, FunctionError> {
        let busy = self.busy();
        let slot = self.reserve(function).await?;
        let host = self.clone();
        // A task of its own: an invocation that has begun runs to its end even when its caller has gone.
        let invocation = tokio::spawn(async move {
            let _busy = busy;
            host.invoke_in(slot, payload).await
        });
        invocation.await.unwrap_or(Err(FunctionError::Stopped))
    }

    /// Invokes `function` some time, and twice more if that fails, after pauses by the local clock; then a record of it
    /// goes to the function's failure queue. A repeat is another invocation.
    pub(crate) fn invoke_async(&self, function: &str, payload: Bytes) {
        let busy = self.busy();
        let host = self.clone();
        let function = function.to_owned();
        tokio::spawn(async move {
            let _busy = busy;
            tokio::select! {
                () = host.retry(&function, &payload) => {}
                () = host.stopped() => {}
            }
        });
    }

    async fn retry(&self, function: &str, payload: &Bytes) {
        let request_id = random_id();
        let mut pauses = RETRY_AFTER.iter();
        loop {
            let result = match self.reserve(function).await {
                Ok(slot) => self.run(&slot, &request_id, payload.clone()).await,
                Err(error) => Err(error),
            };
            let error = match result {
                Ok(_) | Err(FunctionError::Stopped) => return,
                Err(error) => error,
            };
            tracing::warn!(function, request_id, %error, "an asynchronous invocation failed");
            let Some(pause) = pauses.next() else {
                self.report_failure(function, &request_id, payload, &error);
                return;
            };
            self.pause(*pause).await;
        }
    }

    async fn pause(&self, pause: Duration) {
        let pause_ms = i64::try_from(pause.as_millis()).expect("pauses are minutes");
        let over = self.inner.clock.alarm(self.inner.clock.now_ms() + pause_ms);
        self.inner.pausing.fetch_add(1, Ordering::SeqCst);
        self.inner.activity.beat();
        // The wait is cancelled only when the host is stopped.
        over.rings().await;
        self.inner.pausing.fetch_sub(1, Ordering::SeqCst);
        // The alarm goes last: the cloud is not quiet in between.
        drop(over);
    }

    /// Sends the record of a failed asynchronous invocation, as Lambda shapes it for destinations, to the function's
    /// failure queue.
    fn report_failure(&self, function: &str, request_id: &str, payload: &Bytes, error: &FunctionError) {
        let Some(queue) = self.inner.functions.get(function).and_then(|function| function.on_failure.as_ref()) else {
            return;
        };
        let request: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
        let record = json!({
            "version": "1.0",
            "timestamp": rfc3339(self.inner.clock.now_ms()),
            "requestContext": {
                "requestId": request_id,
                "functionArn": format!("{}:$LATEST", arn(function)),
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 1 + RETRY_AFTER.len(),
            },
            "requestPayload": request,
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "responsePayload": error.payload(),
        });
        queue.send(record.to_string(), None, Duration::ZERO);
    }

    /// Waits until `function` may run once more.
    ///
    /// # Errors
    /// There is no such function, or the host has stopped.
    pub(crate) async fn reserve(&self, function: &str) -> Result<Slot, FunctionError> {
        let function =
            self.inner.functions.get(function).ok_or_else(|| FunctionError::NoSuchFunction(function.to_owned()))?;
        let permit = tokio::select! {
            permit = function.slots.clone().acquire_owned() => permit.map_err(|_| FunctionError::Stopped)?,
            () = self.stopped() => return Err(FunctionError::Stopped),
        };
        Ok(Slot { function: function.clone(), _permit: permit })
    }

    /// Invokes the function of `slot` and gives the slot back.
    ///
    /// # Errors
    /// [`FunctionError`]; nothing is tried again.
    pub(crate) async fn invoke_in(&self, slot: Slot, payload: Bytes) -> Result<Bytes, FunctionError> {
        self.run(&slot, &random_id(), payload).await
    }

    async fn run(&self, slot: &Slot, request_id: &str, payload: Bytes) -> Result<Bytes, FunctionError> {
        if payload.len() > INVOCATION_BYTES {
            return Err(FunctionError::PayloadTooLarge(payload.len()));
        }
        let function = &slot.function;
        let timeout = function.options.timeout;
        let started = Instant::now();
        let (instance, answer) = self.hand_over(function, request_id, &payload).await?;
        let kill = self.inner.weather.kill_during(&function.name, &payload);
        let result = tokio::select! {
            biased;
            answer = answer => match answer {
                Ok(Answer::Response(body)) => Ok(body),
                Ok(Answer::Error(body)) => Err(FunctionError::Unhandled(body)),
                Err(_) => Err(FunctionError::Crashed("it asked for work again without having answered".to_owned())),
            },
            status = instance.ended() => Err(FunctionError::Crashed(status)),
            () = after(kill) => Err(FunctionError::Crashed("killed by the weather".to_owned())),
            () = tokio::time::sleep(timeout) => Err(FunctionError::TimedOut(timeout)),
        };
        self.inner.meter.invoked(&function.name, started.elapsed());
        instance.note_memory();
        let keep = match &result {
            Ok(_) | Err(FunctionError::Unhandled(_)) => !self.inner.weather.kill_after_response(&function.name),
            Err(_) => false,
        };
        if keep && !*self.inner.stopped.borrow() {
            function.idle().push(instance);
            return result;
        }
        instance.kill();
        let status = instance.ended().await;
        self.forget(&instance);
        match result {
            Ok(_) | Err(FunctionError::Unhandled(_)) => Err(FunctionError::Crashed(status)),
            Err(error) => Err(error),
        }
    }

    /// Gives the invocation to an instance and returns once that has taken it. An instance that ended while it was idle
    /// is passed over.
    async fn hand_over(
        &self,
        function: &Arc<Function>,
        request_id: &str,
        payload: &Bytes,
    ) -> Result<(Arc<Instance>, tokio::sync::oneshot::Receiver<Answer>), FunctionError> {
        loop {
            let idle = function.idle().pop();
            let fresh = idle.is_none();
            let instance = match idle {
                Some(instance) => instance,
                None => self.start_instance(function)?,
            };
            let invocation = Invocation {
                request_id: request_id.to_owned(),
                time: self.inner.weather.time_told(function.options.timeout),
                arn: arn(&function.name),
                payload: payload.clone(),
            };
            let (taken, answer) = instance.give(invocation);
            let problem = tokio::select! {
                biased;
                taken = taken => match taken {
                    Ok(()) => return Ok((instance, answer)),
                    Err(_) => "its inbox is closed".to_owned(),
                },
                status = instance.ended() => status,
                () = tokio::time::sleep(INIT_TIMEOUT) => format!("it did not ask for work within {} s", INIT_TIMEOUT.as_secs()),
            };
            instance.kill();
            instance.ended().await;
            self.forget(&instance);
            if *self.inner.stopped.borrow() {
                return Err(FunctionError::Stopped);
            }
            if fresh {
                return Err(FunctionError::Init(problem));
            }
        }
    }

    fn start_instance(&self, function: &Arc<Function>) -> Result<Arc<Instance>, FunctionError> {
        let mut instances = self.instances();
        if *self.inner.stopped.borrow() {
            return Err(FunctionError::Stopped);
        }
        let id = random_id();
        let url = format!("{}/{id}", self.inner.runtime_url);
        let process = self
            .inner
            .launcher
            .launch(&function.name, &function.options, &url, &id)
            .map_err(|error: io::Error| FunctionError::Init(error.to_string()))?;
        let instance = Arc::new(Instance::new(id.clone(), function.name.clone(), process));
        instances.insert(id, instance.clone());
        Ok(instance)
    }

    /// An ended instance has no Runtime API any more, but stays known.
    fn forget(&self, instance: &Instance) {
        instance.close();
    }

    /// The living instance of that id.
    pub(crate) fn instance(&self, id: &str) -> Option<Arc<Instance>> {
        self.instances().get(id).filter(|instance| instance.alive()).cloned()
    }

    /// Marks the cloud as busy until the returned value is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.inner.busy.fetch_add(1, Ordering::SeqCst);
        Busy { host: self.clone() }
    }

    /// Whether no invocation is running or waiting.
    pub(crate) fn is_idle(&self) -> bool {
        self.inner.busy.load(Ordering::SeqCst) == 0
    }

    /// Whether no invocation is running, or about to without the clock being advanced.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inner.busy.load(Ordering::SeqCst) == self.inner.pausing.load(Ordering::SeqCst)
    }

    /// Every instance there has been, in no order.
    pub(crate) fn processes(&self) -> Vec<ProcessInfo> {
        self.instances().values().map(|instance| instance.info()).collect()
    }

    pub(crate) fn launcher(&self) -> &Launcher {
        &self.inner.launcher
    }

    /// Resolves when the host has been stopped.
    pub(crate) async fn stopped(&self) {
        let mut stopped = self.inner.stopped.subscribe();
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Starts nothing more and kills every instance, without waiting. A repeat changes nothing.
    pub(crate) fn kill_all(&self) {
        let instances = self.instances();
        self.inner.stopped.send_replace(true);
        for instance in instances.values() {
            instance.note_memory();
            instance.kill();
        }
    }

    /// As [`LambdaHost::kill_all`], and returns when every instance has ended and been reaped.
    pub(crate) async fn stop(&self) {
        self.kill_all();
        let instances: Vec<_> = self.instances().values().cloned().collect();
        for instance in instances {
            instance.ended().await;
        }
    }

    fn instances(&self) -> MutexGuard<'_, HashMap<String, Arc<Instance>>> {
        self.inner.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name by which events and policies call a function.
pub(crate) fn arn(function: &str) -> String {
    format!("arn:aws:lambda:{}:{ACCOUNT_ID}:function:{function}", crate::REGION)
}

async fn after(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
