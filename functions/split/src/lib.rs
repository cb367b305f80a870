//! Storage event → chunks on the queue.
//!
//! A file that is dropped off becomes an import: it is copied to where an upload of the import is awaited. No function
//! of its own does that. The event of the copy, and of every upload, comes to the splitter anyway; it has the minutes
//! that S3 takes for a large file; and it removes nothing.
//!
//! An upload is accepted (pinned to its import, given its place in the order), read as a stream, cut into chunks, and
//! sent. Splitting again sends duplicates of the same chunks, never other ones, so an event may come twice, late or
//! after a crash: it goes on at the checkpoint, and a splitter that finds itself overtaken stops.

mod hand_on;
mod inbox;
mod resend;
mod split;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::{Order, QueueName};
use penstock_runtime::{
    Deadline, answer, each_message,
    event::{Event, StorageEvent},
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
/// When an upload cannot be split, or a file taken, now; Lambda delivers the event again.
pub async fn handle(store: &Store, event: LambdaEvent<serde_json::Value>) -> Result<serde_json::Value, Error> {
    let deadline = Deadline::of(&event.context);
    match Event::read(event.payload)? {
        Event::Messages(batch) => {
            let home = Some((store, QueueName::Splits));
            let work = |body: String| async move { take_up(store, Order::decode(&body)?, deadline).await };
            answer(each_message(home, batch, work).await?)
        }
        Event::Other(payload) => {
            for event in StorageEvent::read(payload)? {
                match event {
                    StorageEvent::Upload(upload) => {
                        run(store, &upload.account, &upload.import, Some(&upload.object), deadline).await?;
                    }
                    StorageEvent::Inbox(file) => inbox::take(store, file, deadline).await?,
                }
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
