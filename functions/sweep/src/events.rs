//! Events and deliveries whose orders were lost, and attempts that come later than a queue can hold them back.

use lambda_runtime::Error;
use penstock_runtime::{Deadline, chain};
use penstock_store::Store;
use tracing::{info, warn};

/// What became of the events and deliveries of one sweep.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) ordered: usize,
    pub(crate) failed: usize,
}

/// Orders events that are due to be told, and deliveries whose next attempt is due, until the invocation's time is near
/// its end. One that cannot be ordered now keeps no others waiting; it stays due. A repeat orders what is due then.
///
/// # Errors
/// When a list of them cannot be read.
pub(crate) async fn sweep(store: &Store, deadline: Deadline) -> Result<Events, Error> {
    let mut events = Events::default();
    for (account, id) in store.due_events().await? {
        if deadline.is_near() {
            return Ok(events);
        }
        match store.order_event_again(&account, &id).await {
            Ok(()) => {
                events.ordered += 1;
                info!(event.id = %id, "an event was not told: its order is sent again");
            }
            Err(error) => {
                events.failed += 1;
                warn!(event.id = %id, error = chain(&error), "an event could not be ordered");
            }
        }
    }
    for (account, (webhook, id)) in store.due_deliveries().await? {
        if deadline.is_near() {
            return Ok(events);
        }
        match store.order_due_delivery(&account, &webhook, &id).await {
            Ok(ordered) => events.ordered += usize::from(ordered),
            Err(error) => {
                events.failed += 1;
                warn!(webhook.id = %webhook, event.id = %id, error = chain(&error), "a delivery could not be ordered");
            }
        }
    }
    Ok(events)
}
