//! Chunk → records, row errors, tally.
//!
//! Every step is idempotent: a message may be delivered any number of times, concurrently or after a crash between any
//! two steps.

mod apply;
mod batch;
mod turn;
mod validate;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_runtime::Deadline;
use penstock_store::Store;

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
    batch::work_off(store, event.payload, Deadline::of(&event.context).left()).await
}
