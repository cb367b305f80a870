//! Records → a file.
//!
//! The shards of a kind's records are read a few at once and written one behind the other, so that the file has one
//! order: by shard, then by key. It is stored in parts, each noted in the export with the place that it ends at. So a
//! death, or the time limit, costs what stood in one part, and whoever goes on writes no record twice and leaves none
//! out.
//!
//! Memory does not grow with the records: it is two pages of each shard that is read at once, and a part twice, once as
//! it grows and once as it is sent.

mod export;
mod packer;
mod pages;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
pub use export::run;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::{Order, QueueName};
use penstock_runtime::{Deadline, each_message};
use penstock_store::{Result, Store};

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_runtime::run(service_fn(|event| handle(&store, event))).await
}

/// Answers one invocation: a batch of the exports queue.
///
/// # Errors
/// When a message has no id.
pub async fn handle(store: &Store, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
    let deadline = Deadline::of(&event.context);
    let home = Some((store, QueueName::Exports));
    let work = |body: String| async move { take_up(store, Order::decode(&body)?, deadline).await };
    each_message(home, event.payload, work).await
}

/// Does what a message of the exports queue orders.
async fn take_up(store: &Store, order: Order, deadline: Deadline) -> Result<()> {
    match order {
        Order::Export { account, export } => run(store, &account, &export, deadline).await,
        other => Err(other.misplaced().into()),
    }
}
