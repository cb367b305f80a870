//! What a local cloud can be told before it starts.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::{Index, IndexMut};
use std::path::PathBuf;
use std::time::Duration;

use penstock_model::{FunctionName, QueueName, QueueRow};

use crate::events::Events;
use crate::faults::Faults;
use crate::host::PublicUrl;

/// Everything that can be chosen about a local cloud. [`Options::new`] gives what `penstock dev` runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where clients are served. Default `127.0.0.1:0`: a free port that the system chooses.
    pub listen: SocketAddr,
    /// The URL by which clients reach that: what presigned requests carry. Default `None`: the address that it listens
    /// on, or 127.0.0.1 where that is every address.
    pub public_url: Option<PublicUrl>,
    /// Where everything is kept over a restart, but for what is on the queues. Default `None`: in memory and in a
    /// temporary folder.
    pub data: Option<PathBuf>,
    /// The executable that runs `function <name>`.
    pub program: PathBuf,
    /// API keys to register, with every scope: account, id, secret. In a data folder those of the last start that are
    /// not among them are revoked.
    pub keys: Vec<(String, String, String)>,
    /// How each function runs.
    pub functions: Functions,
    /// How the queues behave.
    pub queues: Queues,
    /// More environment variables for the functions and the api. Tables that they name are made, where they are not
    /// there.
    pub environment: Vec<(String, String)>,
    /// What goes wrong on purpose. Default: nothing.
    pub faults: Faults,
    /// Puts the fault proxy between the functions and the services, which also has their requests counted. Default
    /// `false`.
    pub proxy: bool,
    /// Whether the sweep function runs by schedule, every minute. Default `true`.
    pub scheduled: bool,
    /// Whether the queues' messages go to the functions. Default `true`.
    pub mapped: bool,
    /// Whether events are put on a bus. Default `false`.
    pub bus: bool,
    /// Sends what the functions print to standard error instead of log files. Default `false`.
    pub verbose: bool,
    /// Where requests and the stages of imports are told. Default `None`: nowhere.
    pub events: Option<Events>,
}

impl Options {
    /// The defaults, with functions run by `program`.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            data: None,
            program,
            keys: Vec::new(),
            functions: Functions::default(),
            queues: Queues::default(),
            environment: Vec::new(),
            faults: Faults::default(),
            proxy: false,
            scheduled: true,
            mapped: true,
            bus: false,
            verbose: false,
            events: None,
        }
    }
}

/// How one function runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionOptions {
    /// How many instances run at once, at most (on AWS: reserved concurrency).
    pub concurrency: usize,
    /// After how long an invocation is ended by force, in real time.
    pub timeout: Duration,
    /// What the function is told about its memory, in MiB; it is not enforced, but measured.
    pub memory_mb: u32,
    /// Environment variables for this function alone; they go before those for all.
    pub environment: Vec<(String, String)>,
}

impl FunctionOptions {
    /// `concurrency` instances of up to `timeout` each, 128 MiB.
    #[must_use]
    pub fn new(concurrency: usize, timeout: Duration) -> Self {
        Self { concurrency, timeout, memory_mb: 128, environment: Vec::new() }
    }
}

/// How each of the functions runs; its timeout is by default the one of the table ([`FunctionName::timeout_seconds`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Functions {
    /// Storage event → chunks. Default: 2 at once; a longer file goes on in another invocation.
    pub split: FunctionOptions,
    /// Chunks → records. Default: one per core, from 2 to 4.
    pub validate: FunctionOptions,
    /// Ended import → rejected rows file. Default: 1 at once.
    pub report: FunctionOptions,
    /// Records → a file. Default: 1 at once.
    pub export: FunctionOptions,
    /// Records that a file does not name → tombstones. Default: 1 at once.
    pub remove: FunctionOptions,
    /// Events → endpoints and the bus. Default: 4 at once, of ten messages each.
    pub notify: FunctionOptions,
    /// Dead letters, expiry, lost events. Default: 1 at once.
    pub sweep: FunctionOptions,
    /// The api as a function, for tests: the local cloud serves it in its own process. Default: 1 at once.
    pub api: FunctionOptions,
    /// Before uploads that go past Lambda, which nothing here does; for tests. Default: 1 at once.
    pub authorize: FunctionOptions,
}

impl Functions {
    /// How a function runs.
    #[must_use]
    pub fn of(&self, function: FunctionName) -> &FunctionOptions {
        match function {
            FunctionName::Api => &self.api,
            FunctionName::Authorize => &self.authorize,
            FunctionName::Split => &self.split,
            FunctionName::Validate => &self.validate,
            FunctionName::Report => &self.report,
            FunctionName::Export => &self.export,
            FunctionName::Remove => &self.remove,
            FunctionName::Notify => &self.notify,
            FunctionName::Sweep => &self.sweep,
        }
    }
}

impl Default for Functions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let of = |function: FunctionName, concurrency| {
            FunctionOptions::new(concurrency, Duration::from_secs(function.timeout_seconds().into()))
        };
        Self {
            split: of(FunctionName::Split, 2),
            validate: of(FunctionName::Validate, cores.clamp(2, 4)),
            report: of(FunctionName::Report, 1),
            export: of(FunctionName::Export, 1),
            remove: of(FunctionName::Remove, 1),
            notify: of(FunctionName::Notify, 4),
            sweep: of(FunctionName::Sweep, 1),
            api: of(FunctionName::Api, 1),
            authorize: of(FunctionName::Authorize, 1),
        }
    }
}

/// How one queue and its event source mapping behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// How many messages one invocation gets, at most.
    pub batch_size: usize,
    /// After how many receives a message goes to the dead-letter queue.
    pub max_receive_count: u32,
    /// How long a received message stays hidden. Default `None`: twice the timeout of the function that it is for.
    pub visibility_timeout: Option<Duration>,
}

/// How each of the queues behaves, by default as the table of queues says ([`QueueName::row`]); each has a dead-letter
/// queue of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queues(BTreeMap<QueueName, QueueOptions>);

impl Default for Queues {
    fn default() -> Self {
        let options = |queue: &QueueName| {
            let QueueRow { batch_size, max_receive_count, .. } = queue.row();
            (*queue, QueueOptions { batch_size, max_receive_count, visibility_timeout: None })
        };
        Self(QueueName::ALL.iter().map(options).collect())
    }
}

impl Index<QueueName> for Queues {
    type Output = QueueOptions;

    fn index(&self, queue: QueueName) -> &QueueOptions {
        self.0.get(&queue).expect("every queue has options")
    }
}

impl IndexMut<QueueName> for Queues {
    fn index_mut(&mut self, queue: QueueName) -> &mut QueueOptions {
        self.0.get_mut(&queue).expect("every queue has options")
    }
}
