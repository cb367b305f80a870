//! Deliveries of events to endpoints: one item each under their account, by endpoint and event.
//! [`penstock_model::Delivery`] decides what becomes of one; here it is persisted, each write on the condition that
//! nobody else has written since it was read.
//!
//! ```text
//! notify                                     imports table                      queue, or index `due`
//!  │ begin: attempt n is written down ─────▶ begun = n + 1, a lease             ◀── order of attempt n
//!  │ † delivery.begun
//!  │ the endpoint, read consistently ──────▶ gone: the delivery goes; disabled: it is dropped
//!  │ HTTP ──────▶ the endpoint
//!  │ † delivery.sent
//!  │ end: how it went ─────────────────────▶ delivered, failed, or pending again
//!  │ † delivery.noted
//!  │ order of attempt n + 1 ───────────────────────────────────────────────────▶ held back, up to 15 minutes
//!  ▼ † delivery.ordered                                                          later: the sweeper orders it
//! ```
//!
//! - *Two orders of one attempt.* One of the two writes it down; to the other one the number says that it has begun.
//! - *A death.* The lease ends, the delivery is due, and the sweeper orders the next attempt. What was sent may have
//!   arrived: it comes again, with the same id.
//! - *The endpoint is deleted.* It is looked for behind the begin, so an attempt that begins later sends nothing.
//! - *An import is deleted.* A delivery holds all that it tells, and needs no import.

use penstock_model::{
    AccountId, Delivery, DeliveryBegin, DeliveryState, Event, EventId, Order, Outcome, Webhook, WebhookId, limits,
};

use crate::{
    Backoff, Result, Store,
    change::Change,
    crash,
    dynamo::{Item, from_item, is_made, items, n, s, to_item},
    table::{DUE_SHARDS, account_pk, deliveries, delivery_key, delivery_of, delivery_shard},
    webhooks::is_put,
};

/// What became of some deliveries that were ordered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resent {
    /// How many they are.
    pub deliveries: usize,
    /// The last delivery that was looked at, if there are more behind it.
    pub next: Option<EventId>,
}

impl Store {
    /// Stores a delivery, if its endpoint has none of its event, and orders its first attempt. A repeat stores nothing
    /// and orders it again, which does no harm.
    pub(crate) async fn add_delivery(&self, delivery: &Delivery) -> Result<()> {
        let sent = self
            .dynamodb()
            .put_item()
            .table_name(self.imports_table())
            .set_item(Some(self.delivery_item(delivery)?))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        is_put(sent)?;
        self.order_delivery(delivery).await
    }

    /// The item of a delivery. While there may be something to do for it, `due_at` has the sweeper find it; the table
    /// forgets it when its days are over.
    fn delivery_item(&self, delivery: &Delivery) -> Result<Item> {
        let mut item = to_item("a delivery", delivery)?;
        let now = self.now_ms();
        item.extend(delivery_key(&delivery.event.account, &delivery.webhook, delivery.id()));
        if let Some(due_at) = delivery.due_at(now) {
            item.insert("due_shard".into(), s(delivery_shard(delivery.id())));
            item.insert("due_at".into(), n(due_at));
        }
        item.insert("ttl".into(), n(delivery.kept_until(now) / 1_000 + 1));
        Ok(item)
    }

    /// Orders the next attempt of a delivery, unless it comes later than its queue can hold the order back. A repeat
    /// orders it again; one of the two begins it.
    async fn order_delivery(&self, delivery: &Delivery) -> Result<()> {
        match delivery.delay_seconds(self.now_ms()) {
            Some(seconds) => self.send_later(&Order::to_deliver(delivery), seconds).await,
            None => Ok(()),
        }
    }

    /// The delivery of an event to an endpoint, read consistently.
    pub async fn delivery(
        &self,
        account: &AccountId,
        webhook: &WebhookId,
        event: &EventId,
    ) -> Result<Option<Delivery>> {
        self.get_item("a delivery", delivery_key(account, webhook, event)).await
    }

    /// The deliveries to an endpoint, newest event first, at most `limit` of them, after the one of the event that
    /// `after` names.
    pub async fn list_deliveries(
        &self,
        account: &AccountId,
        webhook: &WebhookId,
        after: Option<&EventId>,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let query = self
            .query(account_pk(account), &deliveries(webhook))
            .scan_index_forward(false)
            .set_exclusive_start_key(after.map(|event| delivery_key(account, webhook, event)));
        items(query, Some(limit)).await?.into_iter().map(|item| from_item("a delivery", item)).collect()
    }

    /// Writes what a delivery has become in place of what it was; whether this call did. A repeat of a write that was
    /// made finds another revision and answers `false`: read again.
    async fn replace_delivery(&self, old: &Delivery, new: &Delivery) -> Result<bool> {
        debug_assert_eq!(new.rev, old.rev + 1, "every write is another revision");
        self.put_revision(self.delivery_item(new)?, old.rev).await
    }

    /// Begins the attempt of this number of a delivery, and gives the delivery and its endpoint as they are then.
    /// `None` where there is nothing to send: the attempt has begun before, its time has not come, or there is no
    /// endpoint any more, or none that is enabled. A repeat finds that the attempt has begun.
    pub async fn begin_attempt(
        &self,
        account: &AccountId,
        webhook: &WebhookId,
        event: &EventId,
        attempt: u32,
    ) -> Result<Option<(Delivery, Webhook)>> {
        let Some(delivery) = self.delivery(account, webhook, event).await? else { return Ok(None) };
        let begun = match delivery.begin(attempt, self.now_ms()) {
            DeliveryBegin::Nothing => return Ok(None),
            DeliveryBegin::GiveUp(given_up) => {
                self.replace_delivery(&delivery, &given_up).await?;
                return Ok(None);
            }
            DeliveryBegin::Send(begun) => begun,
        };
        // Of two that begin it one does.
        if !self.replace_delivery(&delivery, &begun).await? {
            return Ok(None);
        }
        crash::point("delivery.begun");
        match self.webhook(account, webhook).await? {
            None => {
                self.delete_item(delivery_key(account, webhook, event)).await?;
                Ok(None)
            }
            Some(found) if found.disabled.is_some() => {
                self.replace_delivery(&begun, &begun.drop_attempt()).await?;
                Ok(None)
            }
            Some(found) => Ok(Some((*begun, found))),
        }
    }

    /// Notes how an attempt that began has ended, after `ms` milliseconds, orders the next one if there is to be one,
    /// and notes in the endpoint what the attempt says of it; the delivery as it is then. A repeat finds it noted. Of
    /// an attempt whose lease is over, and behind which another one has begun, nothing is noted. `webhook` is the
    /// endpoint that the attempt was sent to. A death in between may leave the endpoint without that note; the next
    /// attempt makes it.
    pub async fn end_attempt(
        &self,
        begun: Delivery,
        to: Webhook,
        outcome: &Outcome,
        ms: u64,
    ) -> Result<Option<Delivery>> {
        crash::point("delivery.sent");
        let (account, webhook, event) = (begun.event.account.clone(), begun.webhook.clone(), begun.id().clone());
        let (attempt, draw) = (begun.begun, f64::from(u32::from_be_bytes(crate::random())) / f64::from(u32::MAX));
        let mut delivery = begun;
        let ended = loop {
            let ended = delivery.end_attempt(outcome, ms, self.now_ms(), draw);
            if self.replace_delivery(&delivery, &ended).await? {
                break ended;
            }
            // It was ordered again meanwhile.
            match self.delivery(&account, &webhook, &event).await? {
                Some(now) if now.begun == attempt && now.under_way => delivery = now,
                other => return Ok(other),
            }
        };
        crash::point("delivery.noted");
        self.order_delivery(&ended).await?;
        crash::point("delivery.ordered");
        self.note_health(to, outcome, ended.state == DeliveryState::Failed).await?;
        Ok(Some(ended))
    }

    /// Notes in an endpoint what an attempt says of it, unless it has another URL by now, of which the attempt says
    /// nothing. A repeat finds it noted.
    async fn note_health(&self, to: Webhook, outcome: &Outcome, given_up: bool) -> Result<()> {
        let (mut pause, url) = (Backoff::default(), to.url.clone());
        let mut webhook = to;
        while webhook.url == url
            && let Some(after) = webhook.after(outcome, given_up, self.now_ms())
            && !self.replace_webhook(&webhook, &after).await?
        {
            pause.wait("dynamodb:PutItem").await?;
            match self.webhook(&webhook.account, &webhook.id).await? {
                Some(now) => webhook = now,
                None => break,
            }
        }
        Ok(())
    }

    /// Orders a delivery again: it is attempted at once, and as often as a new one. The delivery as it is then; `None`
    /// if there is none. A repeat orders it once more.
    pub async fn resend(&self, account: &AccountId, webhook: &WebhookId, event: &EventId) -> Result<Option<Delivery>> {
        let mut pause = Backoff::default();
        loop {
            let Some(delivery) = self.delivery(account, webhook, event).await? else { return Ok(None) };
            let again = delivery.resend(self.now_ms());
            if self.replace_delivery(&delivery, &again).await? {
                self.order_delivery(&again).await?;
                return Ok(Some(again));
            }
            pause.wait("dynamodb:PutItem").await?;
        }
    }

    /// Orders the deliveries to an endpoint again that have not arrived, of the events that happened from `from_ms` on
    /// and before `before_ms` (Unix milliseconds), oldest first. It looks at no more than
    /// [`limits::RESENT_AT_ONCE`] of them, those behind the one that `after` names. A repeat finds them pending.
    pub async fn resend_range(
        &self,
        account: &AccountId,
        webhook: &WebhookId,
        from_ms: i64,
        before_ms: i64,
        after: Option<&EventId>,
    ) -> Result<Resent> {
        let at = |event: EventId| delivery_key(account, webhook, &event)["sk"].clone();
        let query = self
            .dynamodb()
            .query()
            .table_name(self.imports_table())
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :before")
            .expression_attribute_values(":pk", s(account_pk(account)))
            .expression_attribute_values(":from", at(EventId::first_at(from_ms)))
            .expression_attribute_values(":before", at(EventId::first_at(before_ms)))
            .consistent_read(true)
            .set_exclusive_start_key(after.map(|event| delivery_key(account, webhook, event)));
        let found = items(query, Some(limits::RESENT_AT_ONCE)).await?;
        let is_whole = found.len() < limits::RESENT_AT_ONCE;
        let mut resent = Resent { deliveries: 0, next: None };
        for item in found {
            let delivery: Delivery = from_item("a delivery", item)?;
            if matches!(delivery.state, DeliveryState::Failed | DeliveryState::Dropped) {
                let again = self.resend(account, webhook, delivery.id()).await?;
                resent.deliveries += usize::from(again.is_some());
            }
            resent.next = Some(delivery.id().clone()).filter(|_| !is_whole);
        }
        Ok(resent)
    }

    /// Sends an event of its own to an endpoint, to see that it comes: the delivery. A repeat sends another one.
    pub async fn send_test(&self, webhook: &Webhook) -> Result<Delivery> {
        let now = self.now_ms();
        let event: Event = webhook.test_event(now, crate::random());
        let delivery = Delivery::new(webhook.id.clone(), webhook.disabled.is_some(), event, now);
        self.add_delivery(&delivery).await?;
        Ok(delivery)
    }

    /// Deliveries whose next attempt is due: at most [`limits::TOLD_AT_ONCE`] of each partition. The index may lag
    /// behind; an order of an attempt that has begun does nothing.
    pub async fn due_deliveries(&self) -> Result<Vec<(AccountId, (WebhookId, EventId))>> {
        let mut due = Vec::new();
        for shard in 0..DUE_SHARDS {
            let shard = format!("delivery-{shard}");
            due.extend(self.due_in(shard, self.now_ms(), Some(limits::TOLD_AT_ONCE), delivery_of).await?);
        }
        Ok(due)
    }

    /// Orders the next attempt of a due delivery, and has the sweeper look at it again after the stall time; whether it
    /// was due. A repeat orders it once more; one of the two begins it.
    pub async fn order_due_delivery(&self, account: &AccountId, webhook: &WebhookId, event: &EventId) -> Result<bool> {
        let Some(delivery) = self.delivery(account, webhook, event).await? else { return Ok(false) };
        if !delivery.is_due(self.now_ms()) {
            return Ok(false);
        }
        let later = Change::of_existing()
            .only_if("rev = :rev")
            .value("rev", n(delivery.rev))
            .set("due_at", n(self.next_look()));
        if !is_made(later.in_update(self.update(delivery_key(account, webhook, event)))).await? {
            return Ok(false);
        }
        self.send(&Order::to_deliver(&delivery)).await?;
        Ok(true)
    }
}
