//! Dead letters, expiry, lost events: every import ends. Deletions: what is gone is gone.
//!
//! On a schedule the sweeper looks at the imports that are due: those that have been waiting for an upload, and those
//! that have not ended; then it removes imports whose time is over, what deleted imports have left, and accounts. From
//! the dead-letter queues it takes the orders that were tried often enough, and settles them.

mod accounts;
mod dead_letter;
mod events;
mod exports;
mod inbox;
mod look;
mod retention;

pub use dead_letter::DeadLetter;
use futures::{
    future,
    stream::{self, StreamExt},
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
pub use look::{Sight, look};
use penstock_model::limits::SWEPT_AT_ONCE;
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
/// were looked at, of events and deliveries whose orders were sent again, of files of the inbox that were taken, of
/// exports, of imports that are kept no longer, of removals that were carried out, and of accounts whose removal was
/// gone on with.
///
/// # Errors
/// When the list of due imports or removals cannot be read, or nothing could be done of what there was to do.
pub async fn handle(store: &Store, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let deadline = Deadline::of(&event.context);
    if let Event::Messages(batch) = Event::read(event.payload)? {
        let found = batch.records.len();
        let response = each_message(None, batch, |body| async move { dead_letter::settle(store, &body).await }).await?;
        // One that stays in its queue is received every few minutes for days; an alarm of its own shows it.
        metrics::write(&[(Metric::DeadLetters, (found - response.batch_item_failures.len()) as u64)], &[]);
        return answer(response);
    }
    let due = store.due_imports().await?;
    let looks = side_by_side(deadline, &due, |import| async move {
        let sight = look(store, &import.account, &import.import).await;
        // One import that cannot be looked at now does not keep the others waiting; it stays due.
        sight.inspect_err(|error| {
            tracing::warn!(import.id = %import.import, error = penstock_runtime::chain(error), "an import could not be looked at");
        })
    })
    .await;
    let failed = looks.iter().filter(|look| look.is_err()).count();
    let looked_at = looks.len() - failed;
    let report_age = looks.iter().flatten().map(Sight::report_age).max().unwrap_or_default();
    let swept = (Metric::ImportsSwept, looks.len() as u64);
    // A metric is paid for by the hours in which it is written, and an idle stack sweeps all the time.
    let age = (report_age > 0).then_some((Metric::ReportAge, report_age));
    metrics::write(&[swept].into_iter().chain(age).collect::<Vec<_>>(), &[]);
    let events = events::sweep(store, deadline).await?;
    let inbox = inbox::sweep(store, deadline).await?;
    let exports = exports::sweep(store, deadline).await?;
    // Before the removals, which remove what these leave.
    let retentions = retention::sweep(store, deadline).await?;
    // Imports go first: nobody waits for a removal.
    let removals = remove(store, deadline).await?;
    // Last, since it takes all the time that there is.
    let accounts = accounts::sweep(store, deadline).await?;
    let done = events.ordered + inbox.taken + exports.looked_at + retentions.ended + removals.done + accounts.looked_at;
    let all_failed =
        failed + events.failed + inbox.failed + exports.failed + retentions.failed + removals.failed + accounts.failed;
    let all = looked_at + done + all_failed;
    if all_failed > 0 && all_failed == all {
        return Err("no import and no export could be looked at, and nothing removed".into());
    }
    answer(json!({
        "looked_at": looked_at, "failed": failed, "events": events.ordered, "inbox": inbox.taken, "exports": exports.looked_at, "retired": retentions.ended,
        "removed": removals.done, "accounts": accounts.looked_at,
    }))
}

/// Does a work for each of many, [`SWEPT_AT_ONCE`] of them side by side, until the invocation's time is near its end.
/// What came of those that were begun; the next sweep finds the others.
async fn side_by_side<T, R, F: Future<Output = R>>(
    deadline: Deadline,
    all: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> F,
) -> Vec<R> {
    let works = all.into_iter().map(|one| {
        let work = work(one);
        async move { if deadline.is_near() { None } else { Some(work.await) } }
    });
    stream::iter(works).buffer_unordered(SWEPT_AT_ONCE).filter_map(future::ready).collect().await
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use lambda_runtime::Context;
    use tokio::sync::Notify;

    use super::*;

    fn deadline_in(time: Duration) -> Deadline {
        let mut context = Context::default();
        let end = SystemTime::now() + time;
        context.deadline = end.duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        Deadline::of(&context)
    }

    /// The first waits for the last, which would never come if they were looked at one after the other.
    #[tokio::test]
    async fn imports_are_looked_at_side_by_side() {
        let last_is_here = Notify::new();
        let looked_at = side_by_side(deadline_in(Duration::from_secs(60)), 1..=SWEPT_AT_ONCE, |import| {
            let last_is_here = &last_is_here;
            async move {
                match import {
                    1 => last_is_here.notified().await,
                    SWEPT_AT_ONCE => last_is_here.notify_one(),
                    _ => {}
                }
            }
        });
        assert_eq!(looked_at.await.len(), SWEPT_AT_ONCE);
    }

    #[tokio::test]
    async fn nothing_is_begun_when_the_time_is_near_its_end() {
        let looked_at = side_by_side(deadline_in(Duration::ZERO), 1..=3, |import| async move { import });
        assert_eq!(looked_at.await, [0; 0]);
    }
}
