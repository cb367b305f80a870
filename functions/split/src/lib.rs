//! Storage event → chunks on the queue.
//!
//! An upload is accepted (pinned to its import, given its place in the order), read as a stream, cut into chunks, and
//! sent. Splitting again sends duplicates of the same chunks, never other ones, so an event may come twice, late or
//! after a crash: it goes on at the checkpoint, and a splitter that finds itself overtaken stops.

mod hand_on;
mod resend;
mod split;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::{Order, QueueName};
use penstock_runtime::{
    Deadline, answer, each_message,
    event::{Event, UploadEvent},
};
use penstock_store::{Result, Store};
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
    match Event::read(event.payload)? {
        Event::Messages(batch) => {
            let home = Some((store, QueueName::Splits));
            let work = |body: String| async move { take_up(store, Order::decode(&body)?, deadline).await };
            answer(each_message(home, batch, work).await?)
        }
        Event::Other(payload) => {
            for upload in UploadEvent::read(payload)? {
                run(store, &upload.account, &upload.import, Some(&upload.object), deadline).await?;
            }
            answer(())
        }
    }
}

/// Does what a message of the splits queue orders.
async fn take_up(store: &Store, order: Order, deadline: Deadline) -> Result<()> {
    match order {
        Order::Continue { account, import, .. } => run(store, &account, &import, None, deadline).await,
        Order::ResendMissing { account, import, from } => resend::run(store, &account, &import, from, deadline).await,
        other => Err(other.misplaced().into()),
    }
}
