//! An attempt of a delivery.

use bytes::Bytes;
use http::HeaderMap;
use penstock_model::{AccountId, EventId, Outcome, SignatureStyle, Webhook, WebhookId};
use penstock_store::{Result, Store, StoreError};
use penstock_webhooks::{Network, Secret, Sender, Sent, signature};
use tracing::info;

/// Makes the attempt of this number, if it has not begun. A repeat finds that it has.
///
/// # Errors
/// What may be different next time. An attempt that has begun counts.
pub(crate) async fn run<N: Network>(
    store: &Store,
    sender: &Sender<N>,
    account: &AccountId,
    webhook: &WebhookId,
    event: &EventId,
    attempt: u32,
) -> Result<()> {
    let Some((delivery, webhook)) = store.begin_attempt(account, webhook, event, attempt).await? else {
        return Ok(());
    };
    let message = delivery.event.message(store.settings().api_url.as_deref());
    let body = serde_json::to_vec(&message).expect("an event's members have JSON");
    let headers = signed(&webhook, event, store.now_ms(), &body)?;
    let Sent { ms, outcome } = sender.send(&webhook.url, headers, Bytes::from(body)).await;
    let outcome = match outcome {
        Ok(answer) => Outcome::Answered {
            status: answer.status,
            retry_after_seconds: answer.retry_after_seconds,
            body: answer.body,
        },
        Err(error) => Outcome::Failed(error.code().to_owned()),
    };
    // Where to is not logged: a URL may hold what only its owner may know.
    match &outcome {
        Outcome::Answered { status, .. } => {
            info!(webhook.id = %webhook.id, event.id = %event, attempt, status, ms, "an event was sent");
        }
        Outcome::Failed(code) => {
            info!(webhook.id = %webhook.id, event.id = %event, attempt, code, ms, "an event was not taken");
        }
    }
    store.end_attempt(delivery, webhook, &outcome, ms).await.map(drop)
}

/// The headers by which the endpoint knows who sends, at this moment in Unix milliseconds.
fn signed(webhook: &Webhook, event: &EventId, now_ms: i64, body: &[u8]) -> Result<HeaderMap> {
    let secrets: Vec<Secret> =
        webhook.signing(now_ms).map(|secret| secret.secret.parse()).collect::<Result<_, _>>().map_err(
            |error: penstock_webhooks::SecretError| StoreError::Unreadable { what: "a secret", source: error.into() },
        )?;
    Ok(match webhook.style {
        SignatureStyle::V1 | SignatureStyle::V1a => {
            signature::standard(&secrets, event.as_str(), now_ms.div_euclid(1_000), body)
        }
        // It has room for one: the newest.
        SignatureStyle::ProductsManager => {
            secrets.first().map(|secret| signature::productsmanager(secret, body)).unwrap_or_default()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(style: SignatureStyle, secret: &Secret) -> Webhook {
        let account = "1".parse().expect("valid");
        let id = WebhookId::new(1, [7; 10]);
        Webhook { style, ..Webhook::new(id, account, "https://a.example".into(), secret.expose(), 1) }
    }

    #[test]
    fn each_style_has_its_headers_and_a_secret_that_was_replaced_signs_for_a_day() {
        let (old, new) = (Secret::random(), Secret::random());
        let event = EventId::first_at(5);
        let rotated = webhook(SignatureStyle::V1, &old).rotate(new.expose(), 1_000).expect("there is room");
        let signatures = |now_ms| {
            let headers = signed(&rotated, &event, now_ms, b"{}").expect("secrets");
            assert_eq!(headers["webhook-id"], event.as_str());
            assert_eq!(headers["webhook-timestamp"], (now_ms / 1_000).to_string());
            headers["webhook-signature"].to_str().expect("ASCII").split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(signatures(2_000), [&new, &old].map(|secret| secret.sign(event.as_str(), 2, b"{}")));
        let later = 1_000 + 24 * 60 * 60 * 1_000;
        assert_eq!(signatures(later), [new.sign(event.as_str(), later / 1_000, b"{}")]);
        let asymmetric = Secret::random_asymmetric();
        let headers = signed(&webhook(SignatureStyle::V1a, &asymmetric), &event, 0, b"{}").expect("secrets");
        assert!(headers["webhook-signature"].to_str().expect("ASCII").starts_with("v1a,"));
        let headers = signed(&webhook(SignatureStyle::ProductsManager, &old), &event, 0, b"{}").expect("secrets");
        assert_eq!((headers.len(), headers.contains_key("x-pm-signature")), (1, true));
    }
}
