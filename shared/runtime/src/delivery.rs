//! Deliveries: messages of a batch, and their way back to the queue.
//!
//! A message that cannot be worked off now goes back: it is named in the answer, so that it alone is delivered again
//! (AWS Lambda Developer Guide, "Implementing partial batch responses"), and its visibility is set, so that it comes
//! again after seconds, later after minutes ([`penstock_model::retry`]), and not after the queue's own visibility
//! timeout. How often it was received decides nothing else.

use std::{future::Future, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use lambda_runtime::Error;
use penstock_model::{QueueName, limits::KEPT_HIDDEN_SECONDS, retry};
use penstock_store::Store;

use crate::{
    chain,
    metrics::{self, Metric},
};

/// A message as an invocation got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, the same on every delivery.
    pub id: String,
    /// By what its visibility is changed; empty where the event does not say.
    pub receipt: String,
    /// How often it has been received, this time included; 1 where the event does not say.
    pub receives: u32,
    /// What it says.
    pub body: String,
}

impl Delivery {
    /// The messages of an event.
    ///
    /// # Errors
    /// When one has no id: named as an empty one in the answer it would fail the whole batch, so it fails it openly.
    pub fn all(event: SqsEvent) -> Result<Vec<Self>, Error> {
        let deliveries = event.records.into_iter().map(|message| {
            let id = message.message_id.filter(|id| !id.is_empty()).ok_or("a message without an id")?;
            let receives = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
            Ok(Self {
                id,
                receipt: message.receipt_handle.unwrap_or_default(),
                receives: receives.unwrap_or(1),
                body: message.body.unwrap_or_default(),
            })
        });
        deliveries.collect()
    }
}

/// The answer to a batch, as its messages are worked off.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Where messages go back to, if the function may say when they come again.
    home: Option<(&'a Store, QueueName)>,
    response: SqsBatchResponse,
}

impl<'a> Answer<'a> {
    /// The answer to a batch of a queue; of a dead-letter queue without one: its own visibility timeout counts.
    pub fn new(home: Option<(&'a Store, QueueName)>) -> Self {
        Self { home, response: SqsBatchResponse::default() }
    }

    /// Takes what came of a message. One that failed goes back.
    pub async fn take<E: std::error::Error>(&mut self, delivery: &Delivery, result: Result<(), E>) {
        let Err(error) = result else { return };
        let seconds = retry::hidden_seconds(delivery.receives, retry::seed_of(&delivery.id));
        tracing::warn!(
            message.id = delivery.id,
            message.receives = delivery.receives,
            error = chain(&error),
            "a message goes back to its queue"
        );
        if let Some((store, queue)) = self.home
            && !delivery.receipt.is_empty()
            && let Err(error) = store.postpone(queue, &delivery.receipt, seconds).await
        {
            // It comes again all the same, when the queue's own timeout has passed.
            tracing::warn!(message.id = delivery.id, error = chain(&error), "a message's visibility stays as it was");
        }
        self.response.add_failure(delivery.id.clone());
    }

    /// The answer, when every message was taken.
    pub fn finish(self) -> SqsBatchResponse {
        let returned = self.response.batch_item_failures.len() as u64;
        if returned > 0 {
            metrics::write(&[(Metric::MessagesReturned, returned)], &[]);
        }
        self.response
    }
}

/// Keeps a message hidden for as long as it is worked on: for [`KEPT_HIDDEN_SECONDS`] at a time, so that it comes again
/// soon after its receiver died, and not only after the queue's visibility timeout.
struct Heartbeat(tokio::task::JoinHandle<()>);

impl Heartbeat {
    fn of(store: &Store, queue: QueueName, delivery: &Delivery) -> Option<Self> {
        let (store, receipt) = (store.clone(), delivery.receipt.clone());
        (!receipt.is_empty()).then(|| {
            // A task of its own: the work may compute for long between two waits.
            Self(tokio::spawn(async move {
                loop {
                    if let Err(error) = store.postpone(queue, &receipt, KEPT_HIDDEN_SECONDS).await {
                        tracing::warn!(error = chain(&error), "a message under work is not kept hidden");
                    }
                    tokio::time::sleep(Duration::from_secs(KEPT_HIDDEN_SECONDS / 3)).await;
                }
            }))
        })
    }

    /// Ends it, so that what is said of the message's visibility afterwards stays.
    async fn end(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}

/// Works through a batch, one message after the other; those that fail go back to their queue. With a home, a message
/// is kept hidden while it is worked on, and comes again soon after a death.
///
/// # Errors
/// When a message has no id.
pub async fn each_message<E, F>(
    home: Option<(&Store, QueueName)>,
    event: SqsEvent,
    mut work: impl FnMut(String) -> F,
) -> Result<SqsBatchResponse, Error>
where
    E: std::error::Error,
    F: Future<Output = Result<(), E>>,
{
    let mut answer = Answer::new(home);
    for mut delivery in Delivery::all(event)? {
        let heartbeat = home.and_then(|(store, queue)| Heartbeat::of(store, queue, &delivery));
        let result = work(std::mem::take(&mut delivery.body)).await;
        if let Some(heartbeat) = heartbeat {
            heartbeat.end().await;
        }
        answer.take(&delivery, result).await;
    }
    Ok(answer.finish())
}

/// Works through a batch, all its messages side by side; those that fail go back to their queue. It takes as long as
/// the one that takes longest.
///
/// # Errors
/// When a message has no id.
pub async fn all_at_once<E, F>(
    home: Option<(&Store, QueueName)>,
    event: SqsEvent,
    work: impl Fn(String) -> F,
) -> Result<SqsBatchResponse, Error>
where
    E: std::error::Error,
    F: Future<Output = Result<(), E>>,
{
    let mut answer = Answer::new(home);
    let mut deliveries = Delivery::all(event)?;
    let results = join_all(deliveries.iter_mut().map(|delivery| work(std::mem::take(&mut delivery.body)))).await;
    for (delivery, result) in deliveries.iter().zip(results) {
        answer.take(delivery, result).await;
    }
    Ok(answer.finish())
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::sqs::SqsMessage;

    use super::*;

    fn message(id: Option<&str>, body: &str) -> SqsMessage {
        let mut message = SqsMessage::default();
        message.message_id = id.map(str::to_owned);
        message.body = Some(body.to_owned());
        message
    }

    async fn run(messages: Vec<SqsMessage>) -> Result<Vec<String>, Error> {
        let mut event = SqsEvent::default();
        event.records = messages;
        let work = |body: String| async move { if body == "bad" { Err(std::fmt::Error) } else { Ok(()) } };
        let response = each_message(None, event, work).await?;
        Ok(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
    }

    #[tokio::test]
    async fn only_the_messages_that_fail_are_named() {
        let messages = vec![message(Some("1"), "good"), message(Some("2"), "bad"), message(Some("3"), "good")];
        assert_eq!(run(messages).await.expect("answers"), ["2"]);
    }

    /// The first waits for the last, which would never come if they were worked off one after the other.
    #[tokio::test]
    async fn messages_are_worked_off_side_by_side() {
        let mut event = SqsEvent::default();
        event.records = vec![message(Some("1"), "first"), message(Some("2"), "bad"), message(Some("3"), "last")];
        let here = tokio::sync::Notify::new();
        let work = |body: String| {
            let here = &here;
            async move {
                match body.as_str() {
                    "first" => here.notified().await,
                    "last" => here.notify_one(),
                    _ => return Err(std::fmt::Error),
                }
                Ok(())
            }
        };
        let response = all_at_once(None, event, work).await.expect("answers");
        let named: Vec<_> = response.batch_item_failures.iter().map(|failure| &failure.item_identifier).collect();
        assert_eq!(named, ["2"]);
    }

    #[tokio::test]
    async fn a_message_without_an_id_fails_the_batch_openly() {
        assert!(run(vec![message(None, "bad")]).await.is_err());
        assert!(run(vec![message(Some(""), "good")]).await.is_err());
    }

    #[test]
    fn a_delivery_knows_how_often_its_message_was_received() {
        let mut event = SqsEvent::default();
        let mut again = message(Some("2"), "b");
        again.attributes.insert("ApproximateReceiveCount".to_owned(), "7".to_owned());
        again.receipt_handle = Some("r".to_owned());
        event.records = vec![message(Some("1"), "a"), again];
        let deliveries = Delivery::all(event).expect("ids");
        let shown: Vec<_> = deliveries.iter().map(|d| (d.id.as_str(), d.receipt.as_str(), d.receives)).collect();
        assert_eq!(shown, [("1", "", 1), ("2", "r", 7)]);
    }
}
