//! What the functions share: around their work, logs, settings, metrics, the loop over a batch of messages, the time
//! that is left; and of their work, what more than one of them does.

pub mod chunk_end;
pub mod event;
pub mod metrics;

use std::{
    future::Future,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Context, Error};
use metrics::Metric;
use penstock_store::{Settings, Store};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// Starts a function: logs in JSON on standard error, at the level of `RUST_LOG` (`info` if not set), and a store from
/// the environment.
///
/// # Errors
/// The environment variable that is missing, by name.
pub fn start() -> Result<Store, Error> {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // At their finest these log what they carry, which is cells.
    for library in ["lambda_runtime", "lambda_http", "aws_smithy_runtime", "aws_smithy_http_client", "hyper", "h2"] {
        filter = filter.add_directive(format!("{library}=info").parse()?);
    }
    // A second start in one process, as in a test, keeps the first one's logs.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    let settings = Settings::from_env()?;
    metrics::start(&settings.stack);
    Ok(Store::new(settings))
}

/// Works through a batch, one message after the other; those that fail are named in the answer, so that only they are
/// delivered again (AWS Lambda Developer Guide, "Implementing partial batch responses").
///
/// A message without an id would, named as an empty one, fail the whole batch: it fails it openly.
///
/// # Errors
/// When a message has no id.
pub async fn each_message<E, F>(event: SqsEvent, mut work: impl FnMut(String) -> F) -> Result<SqsBatchResponse, Error>
where
    E: std::error::Error,
    F: Future<Output = Result<(), E>>,
{
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let id = message.message_id.filter(|id| !id.is_empty()).ok_or("a message without an id")?;
        if let Err(error) = work(message.body.unwrap_or_default()).await {
            tracing::warn!(message.id = id, error = chain(&error), "a message goes back to its queue");
            response.add_failure(id);
        }
    }
    let returned = response.batch_item_failures.len() as u64;
    if returned > 0 {
        metrics::write(&[(Metric::MessagesReturned, returned)], &[]);
    }
    Ok(response)
}

/// An error and its sources in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}

/// A serializable value as the answer of a function that answers in several shapes.
///
/// # Errors
/// When the value has no JSON.
pub fn answer(value: impl Serialize) -> Result<serde_json::Value, Error> {
    Ok(serde_json::to_value(value)?)
}

/// When an invocation has to come to an end.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    stop_at: SystemTime,
}

impl Deadline {
    /// Leaves a quarter of the invocation's time, at most 30 seconds, for handing the rest of the work on.
    pub fn of(context: &Context) -> Self {
        let now = SystemTime::now();
        let end = UNIX_EPOCH + Duration::from_millis(context.deadline);
        let left = end.duration_since(now).unwrap_or_default();
        Self { stop_at: end - (left / 4).min(Duration::from_secs(30)) }
    }

    /// Whether it is time to hand on.
    pub fn is_near(&self) -> bool {
        SystemTime::now() >= self.stop_at
    }
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
        let response = each_message(event, work).await?;
        Ok(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
    }

    #[tokio::test]
    async fn only_the_messages_that_fail_are_named() {
        let messages = vec![message(Some("1"), "good"), message(Some("2"), "bad"), message(Some("3"), "good")];
        assert_eq!(run(messages).await.expect("answers"), ["2"]);
    }

    #[tokio::test]
    async fn a_message_without_an_id_fails_the_batch_openly() {
        assert!(run(vec![message(None, "bad")]).await.is_err());
        assert!(run(vec![message(Some(""), "good")]).await.is_err());
    }
}
