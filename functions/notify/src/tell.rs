//! Telling an event: to whom it goes.

use penstock_model::{AccountId, EventId};
use penstock_runtime::chain;
use penstock_store::{Result, Store};
use tracing::{info, warn};

/// Makes a delivery of an event for each endpoint that asks for it, puts it on the bus, and forgets it. A repeat makes
/// what is missing, and puts it on the bus again.
///
/// The bus comes last: where it takes nothing, no endpoint waits for it. The event then stays stored and due, so that
/// the sweeper orders it again, every few minutes. What the bus does not take within a day it is not told.
///
/// # Errors
/// What may be different next time; the event stays stored.
pub(crate) async fn run(store: &Store, account: &AccountId, id: &EventId) -> Result<()> {
    // It was told before, or belonged to an account that is gone.
    let Some(event) = store.event(account, id).await? else { return Ok(()) };
    let deliveries = store.spread(&event).await?;
    match store.put_on_bus(&event).await {
        Ok(()) => {}
        Err(error) if event.is_late(store.now_ms()) => {
            warn!(event.id = %id, error = chain(&error), "the bus has not taken an event for a day: it is not told");
        }
        Err(error) => {
            warn!(event.id = %id, error = chain(&error), "the bus has not taken an event: it is put there again later");
            return Ok(());
        }
    }
    store.forget_event(&event).await?;
    info!(event.id = %id, event.what = %event.what, deliveries, "an event is told");
    Ok(())
}
