//! A finished import → its rejected rows file.

mod report;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::{Order, QueueName};
use penstock_runtime::{Deadline, each_message};
use penstock_store::{Result, Store};
pub use report::run;

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_runtime::run(service_fn(|event| handle(&store, event))).await
}

/// Answers one invocation: a batch of the reports queue.
///
/// # Errors
/// When a message has no id.
pub async fn handle(store: &Store, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
    let deadline = Deadline::of(&event.context);
    let home = Some((store, QueueName::Reports));
    let work = |body: String| async move { take_up(store, Order::decode(&body)?, deadline).await };
    each_message(home, event.payload, work).await
}

/// Does what a message of the reports queue orders.
async fn take_up(store: &Store, order: Order, deadline: Deadline) -> Result<()> {
    match order {
        Order::Report { account, import } => run(store, &account, &import, deadline).await,
        other => Err(other.misplaced().into()),
    }
}
