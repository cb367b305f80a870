//! Events and deliveries whose orders were lost, and attempts that come later than a queue can hold them back.

use lambda_runtime::Error;
use penstock_model::limits;
use penstock_runtime::{Deadline, chain};
use penstock_store::{Store, StoreError};
use tracing::{info, warn};

use crate::side_by_side;

/// What became of the events and deliveries of one sweep.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) ordered: usize,
    pub(crate) failed: usize,
}

/// Orders events that are due to be told, and deliveries whose next attempt is due, some side by side, until none is
/// due, [`limits::TOLD_LOOKS`] lists of them have been read, or the invocation's time is near its end. One that cannot
/// be ordered now keeps no others waiting; it stays due. A repeat orders what is due then.
///
/// # Errors
/// When a list of them cannot be read.
pub(crate) async fn sweep(store: &Store, deadline: Deadline) -> Result<Events, Error> {
    let mut events = Events::default();
    for _ in 0..limits::TOLD_LOOKS {
        let before = events.ordered;
        let told = side_by_side(deadline, store.due_events().await?, |(account, id)| async move {
            let ordered = store.order_event_again(&account, &id).await;
            match &ordered {
                Ok(()) => info!(event.id = %id, "an event was not told: its order is sent again"),
                Err(error) => warn!(event.id = %id, error = chain(error), "an event could not be ordered"),
            }
            ordered.map(|()| true)
        });
        events.count(told.await);
        let due = side_by_side(deadline, store.due_deliveries().await?, |(account, (webhook, id))| async move {
            let ordered = store.order_due_delivery(&account, &webhook, &id).await;
            if let Err(error) = &ordered {
                warn!(webhook.id = %webhook, event.id = %id, error = chain(error), "a delivery could not be ordered");
            }
            ordered
        });
        events.count(due.await);
        // The next look finds what came behind the end of a list.
        if events.ordered == before || deadline.is_near() {
            break;
        }
    }
    Ok(events)
}

impl Events {
    fn count(&mut self, outcomes: Vec<Result<bool, StoreError>>) {
        for outcome in outcomes {
            match outcome {
                Ok(ordered) => self.ordered += usize::from(ordered),
                Err(_) => self.failed += 1,
            }
        }
    }
}
