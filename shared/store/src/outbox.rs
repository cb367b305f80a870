//! The outbox: an event is stored in the very transaction that makes what it tells of, so no crash loses it.
//!
//! ```text
//! whoever ends an import      imports table                  notifications queue        notify
//!  │ who listens? ──────────▶ the listeners: nobody, and no bus: nothing more is done
//!  │ the end ───────────────▶ and the event, in one transaction
//!  │ † event.stored
//!  │ order to tell ───────────────────────────────────────▶ Tell ───────────────────▶ reads it
//!  │ † event.ordered                                                                  │
//!  ▼                          a delivery for each endpoint ◀───────────────────────── │ and an order for each
//!                                                                                     │ † event.spread
//!                                                                                     │ puts it on the bus
//!                                                                                     │ † event.on_bus
//!                             the event is gone ◀──────────────────────────────────── ▼ † event.told
//! ```
//!
//! - *A lost order, a death.* The event is in the index `due`, in partitions of its own: after a minute the sweeper
//!   orders it again.
//! - *A repeat.* A delivery has the key of its endpoint and its event, and is made once. On the bus the event comes
//!   again, with the same id.
//! - *An endpoint that is made meanwhile.* Who listens is read before the transaction begins. What happens after that
//!   read, and before the answer of the creation reaches anybody, may not be told.

use aws_sdk_dynamodb::types::TransactWriteItem;
use penstock_model::{AccountId, Delivery, Event, EventId, Order, limits};

use crate::{
    Result, Store,
    change::Change,
    crash,
    dynamo::{Item, is_made, n, putting, s, to_item},
    table::{DUE_SHARDS, event_key, event_of, event_shard},
};

impl Store {
    /// The event, if it is to be told: to an endpoint of its account, or to the bus. One consistent read of a small
    /// item; none where nothing has happened.
    pub(crate) async fn heard(&self, event: Option<Event>) -> Result<Option<Event>> {
        let Some(event) = event else { return Ok(None) };
        let has_bus = self.settings().event_bus.is_some();
        let is_heard = self.listeners(&event.account).await?.hear(&event, has_bus);
        Ok(Some(event).filter(|_| is_heard))
    }

    /// That an event is to be told, as an action of the transaction that makes what it tells of; `None` where nothing
    /// is to be told. A repeat puts the same.
    pub(crate) fn event_action(&self, event: Option<&Event>) -> Result<Option<TransactWriteItem>> {
        let event = event.filter(|_| self.conditions().outbox);
        event.map(|event| Ok(putting(self.put_action(self.event_item(event)?)))).transpose()
    }

    fn event_item(&self, event: &Event) -> Result<Item> {
        let mut item = to_item("an event", event)?;
        item.extend(event_key(&event.account, &event.id));
        item.insert("due_shard".into(), s(event_shard(&event.id)));
        item.insert("due_at".into(), n(self.now_ms() + limits::DELIVERY_LEASE_MS));
        Ok(item)
    }

    /// Orders an event that has been stored to be told, if there is one. What it tells of has happened, and whoever
    /// made it does not fail for this: where the queue does not take the order, the sweeper sends it in a minute. A
    /// repeat has the event looked for once more.
    pub(crate) async fn order_told(&self, event: Option<&Event>) -> Result<()> {
        let Some(event) = event else { return Ok(()) };
        crash::point("event.stored");
        if !self.conditions().outbox {
            self.put_item(self.event_item(event)?).await?;
        }
        drop(self.send(&Order::to_tell(event)).await);
        crash::point("event.ordered");
        Ok(())
    }

    /// An event that is to be told, read consistently; `None` once it has been.
    pub async fn event(&self, account: &AccountId, id: &EventId) -> Result<Option<Event>> {
        self.get_item("an event", event_key(account, id)).await
    }

    /// Makes a delivery for each endpoint that asks for an event, and orders the first attempt of each; how many they
    /// are. A repeat makes what is missing.
    pub async fn spread(&self, event: &Event) -> Result<usize> {
        let listeners = self.listeners(&event.account).await?;
        let mut made = 0;
        for (webhook, listener) in listeners.of(event) {
            let delivery = Delivery::new(webhook.clone(), listener.disabled, event.clone(), self.now_ms());
            self.add_delivery(&delivery).await?;
            made += 1;
        }
        crash::point("event.spread");
        Ok(made)
    }

    /// Forgets an event that has been told. A repeat finds it gone.
    pub async fn forget_event(&self, event: &Event) -> Result<()> {
        self.delete_item(event_key(&event.account, &event.id)).await?;
        crash::point("event.told");
        Ok(())
    }

    /// Events that are due to be told, and were ordered to be before: at most [`limits::TOLD_AT_ONCE`] of each
    /// partition. The index may lag behind; an order of one that has been told does nothing.
    pub async fn due_events(&self) -> Result<Vec<(AccountId, EventId)>> {
        let mut due = Vec::new();
        for shard in 0..DUE_SHARDS {
            let shard = format!("event-{shard}");
            due.extend(self.due_in(shard, self.now_ms(), Some(limits::TOLD_AT_ONCE), event_of).await?);
        }
        Ok(due)
    }

    /// Orders an event to be told again if it is due, and has the sweeper look at it again after the stall time. A
    /// repeat finds it due no more.
    pub async fn order_event_again(&self, account: &AccountId, id: &EventId) -> Result<()> {
        let later = Change::of_existing()
            .only_if("due_at <= :now")
            .value("now", n(self.now_ms()))
            .set("due_at", n(self.next_look()));
        if is_made(later.in_update(self.update(event_key(account, id)))).await? {
            self.send(&Order::Tell { account: account.clone(), event: id.clone() }).await?;
        }
        Ok(())
    }
}
