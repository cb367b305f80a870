//! The local cloud: what Penstock needs of AWS, on this machine.
//!
//! One process hosts DynamoDB, S3, SQS and a bus of EventBridge on 127.0.0.1, on ports that the system chooses; runs
//! the functions as child processes over the Lambda Runtime API; passes on storage events and queued messages as AWS
//! does, visibility timeouts, retries, partial batch responses and dead-letter queues included; and serves the api.
//! Several can run side by side. The functions talk to it through the AWS SDK: what runs here is what runs there, and
//! what differs is the endpoint.
//!
//! Clients have one port, with the API and, below `/uploads` and `/results`, presigned requests of the storage. The
//! services behind it take nothing but what carries this run's own secrets.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use penstock_local::{LocalCloud, Options};
//!
//! let cloud = LocalCloud::start(Options::new(std::env::current_exe()?)).await?;
//! println!("{}/v1/imports", cloud.url());
//! cloud.stop().await;
//! # Ok(())
//! # }
//! ```

mod bus;
mod clock;
mod cloud;
mod data;
mod dynamodb;
mod events;
mod faults;
mod front;
mod host;
mod lambda;
mod launcher;
mod mapping;
mod options;
mod private;
mod process;
mod proxy;
mod pulse;
mod queue;
mod runtime;
mod s3;
mod schedule;
mod sqs;
mod stack;
mod stages;
#[cfg(test)]
mod tests;
mod usage;

pub use bus::BusEntry;
pub use clock::LocalClock;
pub use cloud::LocalCloud;
pub use events::{Asked, Event, Events, ExportReached, Reached};
pub use faults::{Faults, Weather, WireFaults};
pub use front::STORAGE_SEGMENTS;
pub use host::{NoPublicUrl, PublicUrl};
pub use lambda::{FunctionError, ProcessInfo};
pub use options::{FunctionOptions, Functions, Options, QueueOptions, Queues};
pub use proxy::Call;
pub use queue::{Depth, Message, Queue, QueueSettings, ReceiptError};
pub use s3::{CorsRule, UPLOADS_CORS};
pub use usage::{Counts, Operation, Usage};

/// The region in which everything in the local cloud lies.
pub const REGION: &str = "us-east-1";
