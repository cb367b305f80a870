//! Dead letters, expiry, lost events: every import ends.
//!
//! On a schedule the sweeper looks at the imports that are due: those that have been waiting for an upload, and those
//! that have not ended. From the dead-letter queues it takes the orders that were tried often enough, and settles them.

mod dead_letter;
mod look;

pub use dead_letter::DeadLetter;
use lambda_runtime::{Error, LambdaEvent, service_fn};
pub use look::{Sight, look};
use penstock_runtime::{
    answer, each_message,
    event::Event,
    metrics::{self, Metric},
};
use penstock_store::Store;
use serde_json::{Value, json};

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_runtime::run(service_fn(|event| handle(&store, event))).await
}

/// Answers one invocation: a batch of a dead-letter queue, or the schedule's event, with the number of imports that
/// were looked at.
///
/// # Errors
/// When the list of due imports cannot be read, or every look failed.
pub async fn handle(store: &Store, event: LambdaEvent<Value>) -> Result<Value, Error> {
    if let Event::Messages(batch) = Event::read(event.payload)? {
        metrics::write(&[(Metric::DeadLetters, batch.records.len() as u64)], &[]);
        return answer(each_message(None, batch, |body| async move { dead_letter::settle(store, &body).await }).await?);
    }
    let due = store.due_imports().await?;
    let mut failed = 0;
    for import in &due {
        // One import that cannot be looked at now does not keep the others waiting; it stays due.
        if let Err(error) = look(store, &import.account, &import.import).await {
            failed += 1;
            tracing::warn!(import.id = %import.import, error = penstock_runtime::chain(&error), "an import could not be looked at");
        }
    }
    metrics::write(&[(Metric::ImportsSwept, due.len() as u64)], &[]);
    if failed > 0 && failed == due.len() {
        return Err("no import could be looked at".into());
    }
    answer(json!({ "looked_at": due.len() - failed, "failed": failed }))
}
