//! Chunk → records, row errors, tally.
//!
//! Every step is idempotent: a message may be delivered any number of times, concurrently or after a crash between any
//! two steps.

mod apply;
mod validate;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::Order;
use penstock_store::{Result, Store};
pub use validate::run;

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_runtime::run(service_fn(|event| handle(&store, event))).await
}

/// Answers one invocation: a batch of the chunks queue.
///
/// # Errors
/// When a message has no id.
pub async fn handle(store: &Store, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
    penstock_runtime::each_message(event.payload, |body| async move { take_up(store, Order::decode(&body)?).await })
        .await
}

/// Does what a message of the chunks queue orders.
async fn take_up(store: &Store, order: Order) -> Result<()> {
    match order {
        Order::Chunk(message) => run(store, *message).await,
        other => Err(other.misplaced().into()),
    }
}
