//! Events → endpoints and the bus.
//!
//! An event that was stored is spread: a delivery for each endpoint that asks for it, and an entry on the bus. A
//! delivery is attempted by one request to its endpoint; how that went is written down, and orders the next attempt if
//! there is to be one. [`penstock_store::outbox`] and [`penstock_store::deliveries`] draw the steps.
//!
//! The messages of a batch are worked off side by side: an endpoint that is slow keeps an invocation for as long as an
//! attempt may take, and no other message waits for it.

mod deliver;
mod tell;

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::{Order, QueueName};
use penstock_runtime::all_at_once;
use penstock_store::{Result, Store};
use penstock_webhooks::{Network, Policy, Sender};

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the environment is incomplete, the machine has no certificates of authorities, or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    let settings = store.settings();
    let policy = Policy::of(settings.webhook_loopback, &settings.webhook_ports);
    let sender = Sender::new(policy)?.within(Duration::from_secs(settings.webhook_seconds));
    lambda_runtime::run(service_fn(|event| handle(&store, &sender, event))).await
}

/// Answers one invocation: a batch of the notifications queue.
///
/// # Errors
/// When a message has no id.
pub async fn handle<N: Network>(
    store: &Store,
    sender: &Sender<N>,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    let home = Some((store, QueueName::Notifications));
    let work = |body: String| async move { take_up(store, sender, Order::decode(&body)?).await };
    all_at_once(home, event.payload, work).await
}

/// Does what a message of the notifications queue orders.
async fn take_up<N: Network>(store: &Store, sender: &Sender<N>, order: Order) -> Result<()> {
    match order {
        Order::Tell { account, event } => tell::run(store, &account, &event).await,
        Order::Deliver { account, webhook, event, attempt } => {
            deliver::run(store, sender, &account, &webhook, &event, attempt).await
        }
        other => Err(other.misplaced().into()),
    }
}
