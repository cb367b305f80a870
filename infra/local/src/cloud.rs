//! The local cloud as a whole: what is started, in which order, and how it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use penstock_api::BodyLimits;
use penstock_model::Scope;
use penstock_store::{Settings, Store, keys::NewKey};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::LocalClock;
use crate::dynamodb::{self, Tables};
use crate::faults::Weather;
use crate::lambda::{Function, FunctionError, LambdaHost, ProcessInfo};
use crate::launcher::{Launcher, Program};
use crate::mapping::Mapping;
use crate::options::{FunctionOptions, Options, QueueOptions};
use crate::proxy::{Call, Proxies};
use crate::pulse::Pulse;
use crate::queue::{Depth, Queue, QueueSettings};
use crate::server::Server;
use crate::stack::{self, Endpoints};
use crate::usage::{Meter, Usage};
use crate::{runtime, s3, schedule, sqs};

/// On AWS too, a queue's visibility timeout should be six times its function's timeout.
const VISIBILITY_PER_TIMEOUT: u32 = 6;
/// How much of a log [`LocalCloud::logs`] gives, in bytes.
const LOG_TAIL_BYTES: u64 = 64 << 10;

/// A running local cloud. Dropping it kills every child process; [`LocalCloud::stop`] also waits for them and for requests under way.
#[derive(Debug)]
pub struct LocalCloud {
    url: String,
    store: Store,
    clock: LocalClock,
    weather: Weather,
    activity: Pulse,
    meter: Meter,
    queues: Arc<BTreeMap<String, Queue>>,
    host: LambdaHost,
    environment: Vec<(String, String)>,
    proxies: Option<Proxies>,
    api: Option<Server>,
    services: Vec<Server>,
    workers: Vec<JoinHandle<()>>,
    /// Where its files are; a temporary folder goes when this does, after everything that writes there.
    _folder: Folder,
}

#[derive(Debug)]
enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn open(data: Option<&Path>) -> anyhow::Result<Self> {
        let Some(data) = data else {
            return Ok(Self::Temporary(tempfile::Builder::new().prefix("penstock-").tempdir()?));
        };
        std::fs::create_dir_all(data).with_context(|| format!("making the data folder {}", data.display()))?;
        Ok(Self::Kept(data.canonicalize()?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

impl LocalCloud {
    /// Starts everything and returns when the api answers. A repeat starts another local cloud, beside the first, unless both are given
    /// the same port or data folder.
    ///
    /// # Errors
    /// A port or a file cannot be used, or a setting is wrong.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let folder = Folder::open(options.data.as_deref())?;
        let logs = folder.path().join("logs");
        std::fs::create_dir_all(&logs)?;
        let activity = Pulse::new();
        let clock = LocalClock::open(folder.path(), activity.clone()).context("the clock file")?;
        let weather = Weather::new(options.faults.clone());
        let meter = Meter::default();
        let queues = Arc::new(queues(&options, &clock, &weather, &activity));

        let tables = Tables { imports: stack::IMPORTS_TABLE, records: stack::RECORDS_TABLE };
        let database_file = options.data.is_some().then(|| folder.path().join("dynamodb.sqlite"));
        let database = dynamodb::start(database_file.as_deref(), tables).await.context("DynamoDB")?;
        let (s3_listener, s3_address) = Server::bind().await?;
        let (runtime_listener, runtime_address) = Server::bind().await?;
        let sqs = Server::start(sqs::router(queues.clone())).await?;

        let direct = Endpoints { dynamodb: database.url(), s3: format!("http://{s3_address}"), sqs: sqs.url() };
        let proxies = if options.proxy { Some(Proxies::start(&direct, &weather, &meter).await?) } else { None };
        let endpoints = proxies.as_ref().map_or(&direct, Proxies::endpoints);
        let secret = stack::secret_access_key();
        let environment = stack::environment(endpoints, &secret, clock.variable(), &options.environment);

        let launcher = Launcher {
            program: Program::Executable(options.program.clone()),
            environment: environment.clone(),
            logs,
            verbose: options.verbose,
        };
        let runtime_url = format!("http://{runtime_address}");
        let host = LambdaHost::new(
            functions(&options, &queues),
            launcher,
            runtime_url,
            clock.clone(),
            weather.clone(),
            activity.clone(),
            meter.clone(),
        );
        let runtime = Server::serve(runtime_listener, runtime_address, runtime::router(host.clone()));
        let notifier = s3::Notifier { host: host.clone(), clock: clock.clone(), weather: weather.clone() };
        let setup = s3::Setup {
            uploads: stack::UPLOADS_BUCKET,
            results: stack::RESULTS_BUCKET,
            access_key_id: stack::ACCESS_KEY_ID,
            secret_access_key: &secret,
        };
        let objects = s3::router(&folder.path().join("s3"), setup, clock.clone(), notifier).context("S3")?;
        let objects = Server::serve(s3_listener, s3_address, objects);

        let settings = Settings::from_vars(|name| stack::lookup(&environment, name))?;
        let store = Store::new(settings);
        let mut workers = Vec::new();
        if options.mapped {
            workers.extend(
                mappings(&options, &queues, &host, &meter).into_iter().map(|mapping| tokio::spawn(mapping.run())),
            );
        }
        if options.scheduled {
            workers.push(tokio::spawn(schedule::run(host.clone(), &clock)));
        }
        let mut cloud = Self {
            url: String::new(),
            store,
            clock,
            weather,
            activity,
            meter,
            queues,
            host,
            environment,
            proxies,
            api: None,
            services: vec![runtime, objects, sqs, database],
            workers,
            _folder: folder,
        };
        for (account, id, secret) in &options.keys {
            let account = account.parse().with_context(|| format!("the account {account:?}"))?;
            let scopes = Scope::ALL.to_vec();
            let key = NewKey { id: id.clone(), secret: secret.clone(), account, scopes, label: None };
            cloud.store.put_key(&key).await.with_context(|| format!("registering the key {id}"))?;
        }
        let listener =
            TcpListener::bind(options.listen).await.with_context(|| format!("listening on {}", options.listen))?;
        let address = listener.local_addr()?;
        cloud.url = format!("http://{address}");
        cloud.api =
            Some(Server::serve(listener, address, penstock_api::router(cloud.store.clone(), BodyLimits::STREAMED)));
        Ok(cloud)
    }

    /// The base URL of the api, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the functions were told about the services.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.store.settings()
    }

    /// The environment variables that the functions get, the last of a name counting.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The store, as the functions use it.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The clock by which everything here goes.
    #[must_use]
    pub fn clock(&self) -> &LocalClock {
        &self.clock
    }

    /// Lets `by` pass at once. Two calls let twice the time pass.
    ///
    /// # Errors
    /// The clock file cannot be written; then no time has passed.
    #[cfg(feature = "faults")]
    pub fn advance(&self, by: Duration) -> std::io::Result<()> {
        self.clock.advance(by)
    }

    /// The weather, to clear it.
    #[must_use]
    pub fn faults(&self) -> &Weather {
        &self.weather
    }

    /// A queue by name: `chunks`, `splits`, `reports`, and each with `-dead`.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.get(name)
    }

    /// What is in each queue now.
    #[must_use]
    pub fn queue_depths(&self) -> BTreeMap<String, Depth> {
        self.queues.iter().map(|(name, queue)| (name.clone(), queue.depth())).collect()
    }

    /// Every child process there has been, in no order.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessInfo> {
        self.host.processes()
    }

    /// What has been used of the services so far: requests, items, units and milliseconds, by operation.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.meter.read()
    }

    /// What each function has asked of which resource, in the words of IAM. Empty without [`Options::proxy`].
    #[must_use]
    pub fn calls(&self) -> BTreeSet<Call> {
        self.proxies.as_ref().map(Proxies::calls).unwrap_or_default()
    }

    /// Invokes a function and waits for its result. A repeat is another invocation.
    ///
    /// # Errors
    /// [`FunctionError`]; nothing is tried again.
    pub async fn invoke(&self, function: &str, payload: impl Into<Bytes>) -> Result<Bytes, FunctionError> {
        self.host.invoke(function, payload.into()).await
    }

    /// Invokes a function as an event source does that does not wait: if that fails, twice more, one and then two minutes later by the
    /// local clock. A repeat is another invocation.
    pub fn invoke_async(&self, function: &str, payload: impl Into<Bytes>) {
        self.host.invoke_async(function, payload.into());
    }

    /// Invokes the sweep function as the schedule does, and waits for its result. A repeat is another invocation.
    ///
    /// # Errors
    /// [`FunctionError`]; nothing is tried again.
    pub async fn sweep_now(&self) -> Result<Bytes, FunctionError> {
        schedule::invoke(&self.host, &self.clock).await
    }

    /// Resolves once all work is done: no invocation runs or waits for a retry, and the queues that have a function behind them are
    /// empty. A message in flight counts as work, also if its receiver has died: it comes back when its visibility timeout has passed.
    /// Where the clock has to be advanced for that, see [`LocalCloud::quiet`].
    pub async fn idle(&self) {
        self.activity
            .until(|| {
                let empty = |queue: &Queue| queue.depth().total() == 0;
                (self.mapped().all(empty) && self.host.is_idle() && !self.clock.is_due()).then_some(())
            })
            .await;
    }

    /// Resolves once all that is left waits for a later time: no invocation runs, no queue with a function behind it
    /// holds a visible message, and the work of every moment that the clock has reached has begun. What waits are
    /// retries, messages in flight whose receiver has failed, delays, late events and the schedule. A test advances the
    /// clock and waits for quiet in turns.
    pub async fn quiet(&self) {
        self.activity
            .until(|| {
                let empty = |queue: &Queue| queue.depth().visible == 0;
                (self.mapped().all(empty) && self.host.is_quiet() && !self.clock.is_due()).then_some(())
            })
            .await;
    }

    /// The queues that have a function behind them.
    fn mapped(&self) -> impl Iterator<Item = &Queue> {
        MAPPINGS.iter().filter_map(|(queue, _)| self.queues.get(*queue))
    }

    /// The end of what a function's processes have printed. Empty if they print to standard error.
    #[must_use]
    pub fn logs(&self, function: &str) -> String {
        self.host.launcher().log_tail(function, LOG_TAIL_BYTES)
    }

    /// Ends everything: lets requests to the api end, kills and reaps every child process, stops the services. What is on the queues is
    /// gone; what is in the data folder stays.
    pub async fn stop(mut self) {
        if let Some(api) = self.api.take() {
            api.stop().await;
        }
        self.host.stop().await;
        for worker in self.workers.drain(..) {
            if let Err(error) = worker.await {
                tracing::error!(%error, "a worker of the local cloud failed");
            }
        }
        if let Some(proxies) = self.proxies.take() {
            proxies.stop().await;
        }
        futures::future::join_all(self.services.drain(..).map(Server::stop)).await;
    }
}

impl Drop for LocalCloud {
    fn drop(&mut self) {
        self.host.kill_all();
    }
}

const DEAD: &str = "-dead";

fn queues(options: &Options, clock: &LocalClock, weather: &Weather, activity: &Pulse) -> BTreeMap<String, Queue> {
    let make = |name: &str, settings, dead_letters| {
        Queue::new(name, settings, dead_letters, clock.clone(), weather.clone(), activity.clone())
    };
    let mut queues = BTreeMap::new();
    let functions = &options.functions;
    for (name, queue, function) in [
        ("chunks", &options.queues.chunks, &functions.validate),
        ("splits", &options.queues.splits, &functions.split),
        ("reports", &options.queues.reports, &functions.report),
    ] {
        // Nothing is redriven from a dead-letter queue, so its own count does not matter.
        let dead_settings = settings(&QueueOptions { visibility_timeout: None, ..queue.clone() }, &functions.sweep);
        let dead_name = format!("{name}{DEAD}");
        let dead = make(&dead_name, dead_settings, None);
        queues.insert(name.to_owned(), make(name, settings(queue, function), Some(dead.clone())));
        queues.insert(dead_name, dead);
    }
    queues
}

fn settings(queue: &QueueOptions, function: &FunctionOptions) -> QueueSettings {
    QueueSettings {
        visibility_timeout: queue.visibility_timeout.unwrap_or(function.timeout * VISIBILITY_PER_TIMEOUT),
        max_receive_count: queue.max_receive_count,
    }
}

fn functions(options: &Options, queues: &BTreeMap<String, Queue>) -> Vec<Function> {
    let functions = &options.functions;
    vec![
        Function::new("api", functions.api.clone(), None),
        Function::new("authorize", functions.authorize.clone(), None),
        Function::new("split", functions.split.clone(), queues.get("splits-dead").cloned()),
        Function::new("validate", functions.validate.clone(), None),
        Function::new("report", functions.report.clone(), None),
        Function::new("sweep", functions.sweep.clone(), None),
    ]
}

/// Which function each queue is for.
const MAPPINGS: [(&str, &str); 6] = [
    ("chunks", "validate"),
    ("splits", "split"),
    ("reports", "report"),
    ("chunks-dead", "sweep"),
    ("splits-dead", "sweep"),
    ("reports-dead", "sweep"),
];

fn mappings(options: &Options, queues: &BTreeMap<String, Queue>, host: &LambdaHost, meter: &Meter) -> Vec<Mapping> {
    let batch_size = |queue: &str| match queue {
        "chunks" => options.queues.chunks.batch_size,
        "splits" => options.queues.splits.batch_size,
        "reports" => options.queues.reports.batch_size,
        _ => 1,
    };
    let mapping = |(name, function): (&str, &'static str)| {
        let queue = queues.get(name)?.clone();
        Some(Mapping { queue, function, batch_size: batch_size(name), host: host.clone(), meter: meter.clone() })
    };
    MAPPINGS.into_iter().filter_map(mapping).collect()
}
