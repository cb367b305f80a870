//! Dead letters, expiry, lost events: every import ends. Deletions: what is gone is gone.
//!
//! On a schedule the sweeper looks at the imports that are due: those that have been waiting for an upload, and those
//! that have not ended; then it removes imports whose time is over, what deleted imports have left, and accounts. From
//! the dead-letter queues it takes the orders that were tried often enough, and settles them.

mod accounts;
mod dead_letter;
mod events;
mod exports;
mod look;
mod retention;

pub use dead_letter::DeadLetter;
use lambda_runtime::{Error, LambdaEvent, service_fn};
pub use look::{Sight, look};
use penstock_runtime::{
    Deadline, answer, each_message,
    event::Event,
    metrics::{self, Metric},
};
use penstock_store::{Store, removals::Removed};
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
/// were looked at, of events and deliveries whose orders were sent again, of exports, of imports that are kept no
/// longer, of removals that were carried out, and of accounts whose removal was gone on with.
///
/// # Errors
/// When the list of due imports or removals cannot be read, or nothing could be done of what there was to do.
pub async fn handle(store: &Store, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let deadline = Deadline::of(&event.context);
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
    let events = events::sweep(store, deadline).await?;
    let exports = exports::sweep(store, deadline).await?;
    // Before the removals, which remove what these leave.
    let retentions = retention::sweep(store, deadline).await?;
    // Imports go first: nobody waits for a removal.
    let removals = remove(store, deadline).await?;
    // Last, since it takes all the time that there is.
    let accounts = accounts::sweep(store, deadline).await?;
    let done = events.ordered + exports.looked_at + retentions.ended + removals.done + accounts.looked_at;
    let all_failed = failed + events.failed + exports.failed + retentions.failed + removals.failed + accounts.failed;
    let all = due.len() - failed + done + all_failed;
    if all_failed > 0 && all_failed == all {
        return Err("no import and no export could be looked at, and nothing removed".into());
    }
    answer(json!({
        "looked_at": due.len() - failed, "failed": failed, "events": events.ordered, "exports": exports.looked_at, "retired": retentions.ended,
        "removed": removals.done, "accounts": accounts.looked_at,
    }))
}

/// What became of the removals of one sweep.
#[derive(Debug, Default)]
struct Removals {
    done: usize,
    failed: usize,
}

/// Carries removals out until none is due or the invocation's time is near its end. What is left is due at the next
/// sweep. A repeat goes on where this one stopped.
async fn remove(store: &Store, deadline: Deadline) -> Result<Removals, Error> {
    let mut removals = Removals::default();
    loop {
        let mut has_more = false;
        for due in store.due_removals().await? {
            if deadline.is_near() {
                return Ok(removals);
            }
            match store.remove(&due).await {
                Ok(Removed::All) => (removals.done, has_more) = (removals.done + 1, true),
                Ok(Removed::Part) => has_more = true,
                Ok(Removed::Nothing) => {}
                Err(error) => {
                    removals.failed += 1;
                    let error = penstock_runtime::chain(&error);
                    tracing::warn!(import.id = %due.import, error, "what an import has left could not be removed");
                    // One that cannot be removed now does not keep the others waiting.
                    store.put_off_removal(&due).await?;
                }
            }
        }
        if !has_more {
            return Ok(removals);
        }
    }
}
