//! Endpoints: one item each under their account, and one small item beside them that says which there are and what each
//! asks for ([`Listeners`]). Both are written in one transaction, so whoever makes a transition tells by one consistent
//! read whether anybody is to be told.

use aws_sdk_dynamodb::{operation::put_item::PutItemError, types::AttributeValue};
use penstock_model::{AccountId, Listener, Listeners, Webhook, WebhookId, limits::ACCOUNT_WEBHOOKS};

use crate::{
    Backoff, Result, Store, StoreError,
    change::Change,
    dynamo::{Item, from_item, items, n, putting, set_of, to_item, updating, value},
    names::Own,
    table::{account_pk, listeners_key, webhook_key},
};

/// The set of the ids of an account's endpoints, in the item of its listeners; beside it each id names an attribute.
const IDS: &str = "ids";

/// The outcome of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookCreation {
    /// The endpoint is there now.
    Created,
    /// The account has as many endpoints as it may have; nothing is stored.
    NoPlace,
}

impl Store {
    /// Stores a new endpoint, in one transaction with the list of those that there are. A repeat finds it there.
    pub async fn create_webhook(&self, webhook: &Webhook) -> Result<WebhookCreation> {
        let put = self.put_action(webhook_item(webhook)?).condition_expression("attribute_not_exists(pk)");
        let listed = self
            .update_action(listeners_key(&webhook.account))
            .update_expression("SET #id = :listener ADD #ids :id")
            .condition_expression("attribute_not_exists(#ids) OR size(#ids) < :most")
            .expression_attribute_names("#id", webhook.id.as_str())
            .expression_attribute_names("#ids", IDS)
            .expression_attribute_values(":listener", value("a listener", &webhook.listener())?)
            .expression_attribute_values(":id", set_of(&webhook.id))
            .expression_attribute_values(":most", n(ACCOUNT_WEBHOOKS));
        let actions = vec![putting(put), updating(listed)];
        let mut pause = Backoff::default();
        loop {
            let Some(reasons) = self.transact(actions.clone()).await? else { return Ok(WebhookCreation::Created) };
            if reasons[0] == "ConditionalCheckFailed" {
                // The client repeated a call that had had its effect.
                return Ok(WebhookCreation::Created);
            }
            if reasons[1] == "ConditionalCheckFailed" {
                return Ok(WebhookCreation::NoPlace);
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }

    /// The account's endpoint of this id, read consistently.
    pub async fn webhook(&self, account: &AccountId, id: &WebhookId) -> Result<Option<Webhook>> {
        self.get_item("an endpoint", webhook_key(account, id)).await
    }

    /// The account's endpoints, the newest first: at most [`ACCOUNT_WEBHOOKS`].
    pub async fn list_webhooks(&self, account: &AccountId) -> Result<Vec<Webhook>> {
        let query = self.query(account_pk(account), Own::Webhook.text()).scan_index_forward(false);
        items(query, None).await?.into_iter().map(|item| from_item("an endpoint", item)).collect()
    }

    /// Writes what an endpoint has become in place of what it was; whether this call did.
    ///
    /// One that is disabled since it does not answer as it should is told on the bus, by an event that is stored in the
    /// same transaction. A repeat of a write that was made finds another revision and answers `false`: read again.
    pub async fn replace_webhook(&self, old: &Webhook, new: &Webhook) -> Result<bool> {
        debug_assert_eq!(new.rev, old.rev + 1, "every write is another revision");
        if old.listener() == new.listener() {
            return self.put_revision(webhook_item(new)?, old.rev).await;
        }
        let put = self
            .put_action(webhook_item(new)?)
            .condition_expression("rev = :rev")
            .expression_attribute_values(":rev", n(old.rev));
        let listed = self
            .update_action(listeners_key(&new.account))
            .update_expression("SET #id = :listener")
            .expression_attribute_names("#id", new.id.as_str())
            .expression_attribute_values(":listener", value("a listener", &new.listener())?);
        let event = self.heard(new.disabled_event().filter(|_| old.disabled.is_none())).await?;
        let mut actions = vec![putting(put), updating(listed)];
        actions.extend(self.event_action(event.as_ref())?);
        if !self.transact_unless_changed(actions).await? {
            return Ok(false);
        }
        self.order_told(event.as_ref()).await?;
        Ok(true)
    }

    /// Removes an endpoint; whether it was there. From then on no attempt begins that sends anything to it. What it was
    /// told before stays until its days are over, and is shown to nobody. A repeat finds it gone.
    pub async fn delete_webhook(&self, account: &AccountId, id: &WebhookId) -> Result<bool> {
        let gone = Change::of_existing().in_deletion(self.imports_table(), webhook_key(account, id));
        let listed = self
            .update_action(listeners_key(account))
            .update_expression("REMOVE #id DELETE #ids :id")
            .expression_attribute_names("#id", id.as_str())
            .expression_attribute_names("#ids", IDS)
            .expression_attribute_values(":id", set_of(id));
        self.transact_unless_changed(vec![gone, updating(listed)]).await
    }

    /// Who of an account listens, read consistently.
    pub(crate) async fn listeners(&self, account: &AccountId) -> Result<Listeners> {
        let item = self.read_item(listeners_key(account)).await?.unwrap_or_default();
        let listener = |(name, told): (String, AttributeValue)| {
            let id: WebhookId = name.parse().ok()?;
            let listener = serde_dynamo::from_attribute_value(told).map_err(StoreError::unreadable("a listener"));
            Some(listener.map(|listener: Listener| (id, listener)))
        };
        item.into_iter().filter_map(listener).collect::<Result<_>>().map(Listeners)
    }

    /// Puts an item in place of one of this revision; whether this call did. A repeat of a put that was made finds
    /// another revision.
    pub(crate) async fn put_revision(&self, item: Item, rev: u64) -> Result<bool> {
        let sent = self
            .dynamodb()
            .put_item()
            .table_name(self.imports_table())
            .set_item(Some(item))
            .condition_expression("rev = :rev")
            .expression_attribute_values(":rev", n(rev))
            .send()
            .await;
        is_put(sent)
    }
}

/// Whether a conditional put was made.
pub(crate) fn is_put<T, R: std::fmt::Debug>(
    sent: std::result::Result<T, aws_sdk_dynamodb::error::SdkError<PutItemError, R>>,
) -> Result<bool> {
    match sent {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(StoreError::unavailable("dynamodb:PutItem")(error)),
        },
    }
}

fn webhook_item(webhook: &Webhook) -> Result<Item> {
    let mut item = to_item("an endpoint", webhook)?;
    item.extend(webhook_key(&webhook.account, &webhook.id));
    Ok(item)
}
