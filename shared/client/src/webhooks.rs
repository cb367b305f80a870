//! Endpoints, for a key that has the scope `account:write`.

use penstock_model::views::{
    Delivery, DeliveryPage, NewWebhook, ResendRange, Resent, Webhook, WebhookList, WebhookPatch,
};
use reqwest::Method;

use super::{Client, Result, done, encoded, page, read};

impl Client {
    /// Makes an endpoint. Its secret is in the answer, once. A repeat makes another one.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn create_webhook(&self, webhook: &NewWebhook) -> Result<Webhook> {
        read(self.request(Method::POST, "/v1/webhooks").json(webhook).send().await?).await
    }

    /// The endpoints, newest first.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let list: WebhookList = read(self.request(Method::GET, "/v1/webhooks").send().await?).await?;
        Ok(list.webhooks)
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn webhook(&self, id: &str) -> Result<Webhook> {
        read(self.request(Method::GET, &of(id, "")).send().await?).await
    }

    /// Changes an endpoint; what is not given stays as it is. A repeat changes nothing more.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn change_webhook(&self, id: &str, patch: &WebhookPatch) -> Result<Webhook> {
        read(self.request(Method::PATCH, &of(id, "")).json(patch).send().await?).await
    }

    /// Deletes an endpoint. A repeat is refused: there is no such endpoint any more.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn delete_webhook(&self, id: &str) -> Result<()> {
        done(self.request(Method::DELETE, &of(id, "")).send().await?).await
    }

    /// Gives an endpoint a new secret, which is in the answer, once. A repeat makes another one.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn rotate_webhook(&self, id: &str) -> Result<Webhook> {
        read(self.request(Method::POST, &of(id, "/rotate")).send().await?).await
    }

    /// Sends an event to an endpoint, to see that it comes. A repeat sends another one.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn test_webhook(&self, id: &str) -> Result<Delivery> {
        read(self.request(Method::POST, &of(id, "/test")).send().await?).await
    }

    /// A page of the deliveries to an endpoint, that of the newest event first.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn deliveries(&self, id: &str, cursor: Option<&str>, limit: usize) -> Result<DeliveryPage> {
        page(self.request(Method::GET, &of(id, "/deliveries")), cursor, limit).await
    }

    /// Orders a delivery again. A repeat orders it once more.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn resend(&self, id: &str, event: &str) -> Result<Delivery> {
        let path = of(id, &format!("/deliveries/{}/resend", encoded(event)));
        read(self.request(Method::POST, &path).send().await?).await
    }

    /// Orders deliveries again that have not arrived, [`RESENT_AT_ONCE`](penstock_model::limits::RESENT_AT_ONCE) at
    /// most by one call. A repeat orders none again that it has ordered.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn resend_range(&self, id: &str, range: &ResendRange) -> Result<Resent> {
        read(self.request(Method::POST, &of(id, "/resend")).json(range).send().await?).await
    }
}

/// The path of an endpoint, or below it.
fn of(id: &str, rest: &str) -> String {
    format!("/v1/webhooks/{}{rest}", encoded(id))
}
