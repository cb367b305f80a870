//! The local cloud as a whole: how its parts start, and how it stops.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
#[cfg(feature = "faults")]
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use penstock_api::{BodyLimits, Bounds, CorsOrigins, Server};
use penstock_model::{FunctionName, QueueName, Scope, VISIBILITY_PER_TIMEOUT};
use penstock_store::{Settings, Store, due::Due, keys::NewKey};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::bus::{self, Bus, BusEntry};
use crate::clock::LocalClock;
use crate::data::DataFolder;
use crate::dynamodb::{self, Tables};
use crate::faults::Weather;
use crate::front::Front;
use crate::host::{Hosts, PublicUrl};
use crate::lambda::{Function, FunctionError, LambdaHost, ProcessInfo};
use crate::launcher::{Launcher, Program};
use crate::mapping::Mapping;
use crate::options::{FunctionOptions, Options, QueueOptions};
use crate::proxy::{Call, Proxies, access_key_id};
use crate::pulse::Pulse;
use crate::queue::{Depth, Queue, QueueSettings};
use crate::stack::{self, Endpoints};
use crate::stages::Stages;
use crate::usage::{self, Meter, Usage};
use crate::{private, runtime, s3, schedule, sqs};

/// How much of a log [`LocalCloud::logs`] gives, in bytes.
const LOG_TAIL_BYTES: u64 = 64 << 10;

/// A running local cloud. Dropping it kills every child process; [`LocalCloud::stop`] also waits for them and for
/// requests under way.
#[derive(Debug)]
pub struct LocalCloud {
    url: String,
    public_url: String,
    store: Store,
    clock: LocalClock,
    weather: Weather,
    activity: Pulse,
    meter: Meter,
    queues: Arc<BTreeMap<String, Queue>>,
    bus: Bus,
    host: LambdaHost,
    environment: Vec<(String, String)>,
    proxies: Option<Proxies>,
    api: Option<Server>,
    services: Vec<Server>,
    workers: Vec<JoinHandle<()>>,
    /// Where its files are; a temporary folder goes when this does, after everything that writes there.
    folder: DataFolder,
}

impl LocalCloud {
    /// Starts everything and returns when the api answers. A repeat starts another local cloud, beside the first,
    /// unless both are given the same port or data folder.
    ///
    /// # Errors
    /// A port or a file cannot be used, or a setting is wrong.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let mut folder = DataFolder::open(options.data.as_deref())?;
        let logs = folder.folder("logs")?;
        // Clients that come early wait until everything is there.
        let listener =
            TcpListener::bind(options.listen).await.with_context(|| format!("listening on {}", options.listen))?;
        let address = listener.local_addr()?;
        let url = url_of(address);
        let public_url = options.public_url.as_ref().map_or_else(|| url.clone(), PublicUrl::to_string);
        folder.note_url(&url)?;
        let (secret, pass) = (folder.secret()?, stack::secret());

        let activity = Pulse::new();
        let clock = LocalClock::open(folder.path(), activity.clone()).context("the clock file")?;
        let weather = Weather::new(options.faults.clone());
        let meter = Meter::default();
        let queues = Arc::new(queues(&options, &clock, &weather, &activity));

        let table =
            |variable, name: &str| stack::lookup(&options.environment, variable).unwrap_or_else(|| name.to_owned());
        let imports_table = table("PENSTOCK_IMPORTS_TABLE", stack::IMPORTS_TABLE);
        let records_table = table("PENSTOCK_RECORDS_TABLE", stack::RECORDS_TABLE);
        let tables = Tables { imports: &imports_table, records: &records_table };
        let given_before = folder.given_keys()?;
        let database_file = folder.is_kept().then(|| folder.path().join("dynamodb.sqlite"));
        let database = dynamodb::start(database_file.as_deref(), tables, &pass).await.context("DynamoDB")?;
        let (s3_listener, s3_address) = Server::bind().await?;
        let (runtime_listener, runtime_address) = Server::bind().await?;
        let sqs = Server::start(private::behind(&pass, sqs::router(queues.clone()))).await?;
        let bus = Bus::new(options.events.clone(), activity.clone());
        let buses = Server::start(private::behind(&pass, bus::router(bus.clone()))).await?;

        let direct = Endpoints {
            dynamodb: format!("{}/{pass}", database.url()),
            s3: format!("http://{s3_address}"),
            sqs: format!("{}/{pass}", sqs.url()),
            eventbridge: format!("{}/{pass}", buses.url()),
        };
        let proxies = if options.proxy { Some(Proxies::start(&direct, &weather, &meter).await?) } else { None };
        let endpoints = proxies.as_ref().map_or(&direct, Proxies::endpoints);
        // What clients ask of the storage goes through the proxy too, if there is one.
        let storage_url = proxies.as_ref().map_or(&public_url, |proxies| &proxies.endpoints().s3);
        let environment = stack::environment(
            endpoints,
            storage_url,
            &public_url,
            options.bus.then_some(bus::NAME),
            &secret,
            clock.variable(),
            &options.environment,
        );
        let settings = Settings::from_vars(|name| stack::lookup(&environment, name))?;
        let rate_limits = penstock_api::rate_limits(|name| stack::lookup(&environment, name))?;
        let origins = CorsOrigins::from_vars(|name| stack::lookup(&environment, name))?;
        let store = Store::new(settings);

        let launcher = Launcher {
            program: Program::Executable(options.program.clone()),
            environment: environment.clone(),
            logs,
            verbose: options.verbose,
        };
        let runtime_url = format!("http://{runtime_address}/{pass}");
        let host = LambdaHost::new(
            functions(&options, &queues),
            launcher,
            runtime_url,
            clock.clone(),
            weather.clone(),
            activity.clone(),
            meter.clone(),
        );
        let runtime = private::behind(&pass, runtime::router(host.clone()));
        let runtime = Server::serve(runtime_listener, runtime_address, runtime, Bounds::PRIVATE);
        let mut workers = Vec::new();
        let stages = options.events.clone().map(|events| {
            let (stages, run) = Stages::new(events, store.clone(), activity.clone(), host.clone());
            workers.push(tokio::spawn(run));
            stages
        });
        let notifier =
            s3::Notifier { host: host.clone(), clock: clock.clone(), weather: weather.clone(), stages: stages.clone() };
        let setup = s3::Setup {
            uploads: stack::UPLOADS_BUCKET,
            results: stack::RESULTS_BUCKET,
            access_key_id: &access_key_id(FunctionName::Api.as_str()),
            secret_access_key: &secret,
        };
        let objects = s3::router(&folder.folder("s3")?, setup, clock.clone(), notifier).context("S3")?;
        let storage = s3::outside(objects.clone(), stack::UPLOADS_BUCKET);
        let objects = Server::serve(s3_listener, s3_address, s3::inside(objects), Bounds::PRIVATE);

        if options.mapped {
            workers.extend(
                mappings(&options, &queues, &host, &meter).into_iter().map(|mapping| tokio::spawn(mapping.run())),
            );
        }
        if options.scheduled {
            workers.push(tokio::spawn(schedule::run(host.clone(), &clock)));
        }
        let mut cloud = Self {
            url,
            public_url,
            store,
            clock,
            weather,
            activity,
            meter,
            queues,
            bus,
            host,
            environment,
            proxies,
            api: None,
            services: vec![runtime, objects, sqs, buses, database],
            workers,
            folder,
        };
        cloud.give_keys(&options, &given_before).await?;
        if cloud.folder.is_kept() && options.scheduled {
            let taken_up = take_up(cloud.store.clone(), cloud.host.clone(), cloud.clock.clone(), stages);
            cloud.workers.push(tokio::spawn(taken_up));
        }
        let front = Front {
            hosts: Hosts::new(address, options.public_url.as_ref()),
            url: cloud.public_url.clone(),
            api: penstock_api::router(cloud.store.clone(), BodyLimits::STREAMED, rate_limits, origins),
            storage,
            events: options.events.clone(),
        };
        cloud.api = Some(Server::serve(listener, address, front.router(), Bounds::PUBLIC));
        Ok(cloud)
    }

    /// Registers the keys that are given, and revokes those that were given at the last start and are not any more.
    async fn give_keys(&self, options: &Options, given_before: &[String]) -> anyhow::Result<()> {
        for (account, id, secret) in &options.keys {
            let account = account.parse().with_context(|| format!("the account {account:?}"))?;
            let scopes = Scope::ALL.to_vec();
            let key = NewKey { id: id.clone(), secret: secret.clone(), account, scopes, label: None };
            let made = self.store.put_key(&key).await.with_context(|| format!("registering the key {id}"))?;
            made.with_context(|| format!("the account of the key {id} is being removed: give the key another one"))?;
        }
        let given = || options.keys.iter().map(|(_, id, _)| id.as_str());
        for id in given_before.iter().filter(|id| !given().any(|given| given == id.as_str())) {
            self.store.revoke_key(id).await.with_context(|| format!("revoking the key {id}"))?;
        }
        self.folder.note_given_keys(given())?;
        Ok(())
    }

    /// The URL of the API on this machine, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL by which clients reach it, and which presigned requests carry.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The settings of the functions.
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

    /// A queue by its name, [`QueueName::as_str`] or [`QueueName::dead_letters`].
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.get(name)
    }

    /// What is in each queue now.
    #[must_use]
    pub fn queue_depths(&self) -> BTreeMap<String, Depth> {
        self.queues.iter().map(|(name, queue)| (name.clone(), queue.depth())).collect()
    }

    /// What was put on the bus, the oldest first: the last ten thousand entries.
    #[must_use]
    pub fn bus_entries(&self) -> Vec<BusEntry> {
        self.bus.entries()
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

    /// What the functions' processes have printed so far, by function: lines, as requests, and their bytes. Empty if
    /// they print to standard error. The api that listens here is no process of its own, and prints nothing of this.
    #[must_use]
    pub fn logged(&self) -> Usage {
        let of = |function: FunctionName| {
            let log = self.host.launcher().log(function.as_str())?;
            Some(usage::printed(function.as_str(), &log))
        };
        FunctionName::ALL.into_iter().filter_map(of).collect()
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

    /// Invokes a function as an event source does that does not wait: if that fails, twice more, one and then two
    /// minutes later by the local clock. A repeat is another invocation.
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

    /// Resolves once all work is done: no invocation runs or waits for a retry, and the queues are empty. A message in
    /// flight counts as work, also if its receiver has died: it comes back when its visibility timeout has passed.
    /// Where the clock has to be advanced for that, see [`LocalCloud::quiet`].
    pub async fn idle(&self) {
        self.activity
            .until(|| {
                let empty = |queue: &Queue| queue.depth().total() == 0;
                (self.queues.values().all(empty) && self.host.is_idle() && !self.clock.is_due()).then_some(())
            })
            .await;
    }

    /// Resolves once all that is left waits for a later time: no invocation runs, no queue holds a visible message, and
    /// the work of every moment that the clock has reached has begun, and no write is on its way. What waits are
    /// retries, messages in flight whose receiver has failed, delays, late events and the schedule. A test advances the
    /// clock and waits for quiet in turns.
    pub async fn quiet(&self) {
        loop {
            self.activity
                .until(|| {
                    let empty = |queue: &Queue| queue.depth().visible == 0;
                    (self.queues.values().all(empty) && self.host.is_quiet() && !self.clock.is_due()).then_some(())
                })
                .await;
            match &self.proxies {
                Some(proxies) if proxies.has_late_writes() => proxies.late_writes_made().await,
                _ => return,
            }
        }
    }

    /// The end of what a function's processes have printed. Empty if they print to standard error.
    #[must_use]
    pub fn logs(&self, function: &str) -> String {
        self.host.launcher().log_tail(function, LOG_TAIL_BYTES)
    }

    /// Ends everything: lets requests to the api end, kills and reaps every child process, stops the services. What is
    /// on the queues is gone; what is in the data folder stays.
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

/// The URL of a server that listens on `address`, from this machine.
fn url_of(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Has every import that an earlier run left unfinished looked at now: what was queued for it is gone.
async fn take_up(store: Store, host: LambdaHost, clock: LocalClock, stages: Option<Stages>) {
    let unfinished = match store.unfinished_imports().await {
        Ok(unfinished) => unfinished,
        Err(error) => return tracing::error!(%error, "unfinished imports cannot be read; the sweeper finds them later"),
    };
    for Due { account, import } in &unfinished {
        if let Some(stages) = &stages {
            stages.follow(account.clone(), import.clone());
        }
        if let Err(error) = store.hurry(account, import).await {
            tracing::error!(%error, import.id = %import, "an import cannot be taken up now; the sweeper finds it later");
        }
    }
    if !unfinished.is_empty()
        && let Err(error) = schedule::invoke(&host, &clock).await
        && error != FunctionError::Stopped
    {
        tracing::error!(%error, "unfinished imports cannot be taken up now; the sweeper finds them later");
    }
}

fn queues(options: &Options, clock: &LocalClock, weather: &Weather, activity: &Pulse) -> BTreeMap<String, Queue> {
    let make = |name: &str, settings, dead_letters| {
        Queue::new(name, settings, dead_letters, clock.clone(), weather.clone(), activity.clone())
    };
    let mut queues = BTreeMap::new();
    for queue in QueueName::ALL {
        let queue_options = &options.queues[queue];
        // Nothing is redriven from a dead-letter queue, so its own count does not matter.
        let dead_options = QueueOptions { visibility_timeout: None, ..queue_options.clone() };
        let dead_name = queue.dead_letters();
        let dead = make(&dead_name, settings(&dead_options, &options.functions.sweep), None);
        let reader = options.functions.of(queue.row().function);
        queues.insert(queue.to_string(), make(queue.as_str(), settings(queue_options, reader), Some(dead.clone())));
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
    let function = |function: &FunctionName| {
        // Storage events that the splitter could not take up go where its orders go.
        let on_failure = (*function == FunctionName::Split).then(|| QueueName::Splits.dead_letters());
        let on_failure = on_failure.and_then(|queue| queues.get(&queue).cloned());
        Function::new(function.as_str(), options.functions.of(*function).clone(), on_failure)
    };
    FunctionName::ALL.iter().map(function).collect()
}

fn mappings(options: &Options, queues: &BTreeMap<String, Queue>, host: &LambdaHost, meter: &Meter) -> Vec<Mapping> {
    let mapping = |queue: &str, function: FunctionName, batch_size| Mapping {
        queue: queues[queue].clone(),
        function: function.as_str(),
        batch_size,
        host: host.clone(),
        meter: meter.clone(),
    };
    let of_queue = |queue: &QueueName| {
        let read = mapping(queue.as_str(), queue.row().function, options.queues[*queue].batch_size);
        [read, mapping(&queue.dead_letters(), FunctionName::Sweep, 1)]
    };
    QueueName::ALL.iter().flat_map(of_queue).collect()
}
