//! Storage event → chunks on the queue.
//!
//! An upload is accepted (pinned to its import, given its place in the order), read as a stream, cut into chunks, and sent. Splitting again
//! sends duplicates of the same chunks, never other ones, so an event may come twice, late or after a crash: it goes on at the checkpoint,
//! and a splitter that finds itself overtaken stops.

mod again;
mod event;
mod split;

pub use event::{SplitEvent, UploadEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_runtime::{Deadline, answer, each_message};
use penstock_store::{Store, StoreError, queues::SplitOrder};
pub use split::run;

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_runtime::run(service_fn(|event| handle(&store, event))).await
}

/// Answers one invocation: a storage event, or a batch of the splits queue.
///
/// # Errors
/// When an upload cannot be split now; Lambda delivers the event again.
pub async fn handle(store: &Store, event: LambdaEvent<serde_json::Value>) -> Result<serde_json::Value, Error> {
    let deadline = Deadline::of(&event.context);
    match SplitEvent::read(event.payload)? {
        SplitEvent::Uploads(uploads) => {
            for upload in uploads {
                run(store, &upload.account, &upload.import, Some(&upload.object), deadline).await?;
            }
            answer(())
        }
        SplitEvent::Orders(batch) => answer(each_message(batch, |body| take_up(store, body, deadline)).await?),
    }
}

async fn take_up(store: &Store, body: String, deadline: Deadline) -> Result<(), StoreError> {
    let order: SplitOrder = serde_json::from_str(&body)
        .map_err(|source| StoreError::Unreadable { what: "a split order", source: source.into() })?;
    split::take_up(store, &order, deadline).await
}
