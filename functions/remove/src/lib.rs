//! Records that the file of a replace does not name → tombstones.
//!
//! When all rows of a replace are accounted for and nobody else writes rows of its kind, every shard of the kind is
//! read: the keys that would go are listed, and counted. Few enough of them are removed then, more only once that is
//! confirmed. What is done of a shard is written once, so a death or the time limit costs the shards that were under
//! way. [`penstock_store::replace`] draws the steps.
//!
//! Memory grows neither with the file nor with the records: it is the names of a range of shards
//! ([`penstock_engine::named`]), and of each shard that is worked on at once a page of records and a part of a list of
//! keys.

mod count;
mod list;
mod remove;
mod run;
mod turns;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::{Order, QueueName};
use penstock_runtime::{Deadline, each_message};
use penstock_store::{Result, Store};
pub use run::run;

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_runtime::run(service_fn(|event| handle(&store, event))).await
}

/// Answers one invocation: a batch of the removals queue.
///
/// # Errors
/// When a message has no id.
pub async fn handle(store: &Store, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
    let deadline = Deadline::of(&event.context);
    let home = Some((store, QueueName::Removals));
    let work = |body: String| async move { take_up(store, Order::decode(&body)?, deadline).await };
    each_message(home, event.payload, work).await
}

/// Does what a message of the removals queue orders.
async fn take_up(store: &Store, order: Order, deadline: Deadline) -> Result<()> {
    match order {
        Order::Remove { account, import } => run(store, &account, &import, deadline).await,
        other => Err(other.misplaced().into()),
    }
}
