//! A finished import → its rejected rows file.

pub mod rejected;
mod report;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_store::{Store, StoreError, queues::ReportOrder};
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
    penstock_runtime::each_message(event.payload, |body| async move {
        let order: ReportOrder = serde_json::from_str(&body)
            .map_err(|source| StoreError::Unreadable { what: "a report order", source: source.into() })?;
        run(store, &order).await
    })
    .await
}
