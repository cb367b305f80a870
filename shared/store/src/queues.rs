//! Sending orders. A repeat of any call here delivers the same message again; every receiver is idempotent.

use std::collections::HashMap;

use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use penstock_model::{
    ChunkMessage, Order, QueueName,
    limits::{MESSAGE_BATCH, MESSAGE_BYTES},
};

use crate::{Backoff, Result, Store, StoreError, crash};

/// Where the runtime keeps the trace of the invocation under way (AWS Lambda Developer Guide, "Defined runtime
/// environment variables").
const TRACE: &str = "_X_AMZN_TRACE_ID";

/// The sender's trace, by which X-Ray follows an import over the queues (AWS X-Ray Developer Guide, "Amazon SQS and AWS
/// X-Ray").
fn trace(header: Option<String>) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
    let header = header.filter(|header| !header.is_empty())?;
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(header).build();
    Some(HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value.expect("the type is set"))]))
}

impl Store {
    /// Sends chunks to the validators, in as few requests as their sizes allow, each under its account's message group
    /// so that fair queues keep one account's burst from starving the others. Returns when all are in the queue.
    pub async fn send_chunks(&self, messages: &[ChunkMessage]) -> Result<()> {
        let mut batch: Vec<SendMessageBatchRequestEntry> = Vec::new();
        let mut bytes = 0;
        for message in messages {
            let body = message.encode()?;
            if batch.len() == MESSAGE_BATCH || bytes + body.len() > MESSAGE_BYTES {
                self.send_batch(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += body.len();
            let entry = SendMessageBatchRequestEntry::builder()
                .id(message.chunk.index.to_string())
                .message_group_id(message.job.account.as_str())
                .message_body(body)
                .set_message_system_attributes(trace(std::env::var(TRACE).ok()))
                .build();
            batch.push(entry.expect("id and body are set"));
        }
        self.send_batch(batch).await?;
        crash::point("split.chunks_sent");
        Ok(())
    }

    async fn send_batch(&self, mut entries: Vec<SendMessageBatchRequestEntry>) -> Result<()> {
        let mut pause = Backoff::default();
        while !entries.is_empty() {
            let output = self
                .inner
                .sqs
                .send_message_batch()
                .queue_url(self.settings().queue_url(QueueName::Chunks))
                .set_entries(Some(entries.clone()))
                .send()
                .await
                .map_err(StoreError::unavailable("sqs:SendMessageBatch"))?;
            let failed = output.failed();
            if let Some(fault) = failed.iter().find(|entry| entry.sender_fault) {
                return Err(StoreError::Unavailable { call: "sqs:SendMessageBatch", reason: fault.code.clone() });
            }
            entries.retain(|entry| failed.iter().any(|failure| failure.id == entry.id));
            if !entries.is_empty() {
                pause.wait("sqs:SendMessageBatch").await?;
            }
        }
        Ok(())
    }

    /// Sends a dead-lettered chunk to the validators once more, marked so.
    pub async fn resend_chunk(&self, message: &ChunkMessage) -> Result<()> {
        self.send(&Order::Chunk(Box::new(ChunkMessage { last_try: true, ..message.clone() }))).await?;
        crash::point("sweep.resent");
        Ok(())
    }

    /// Has a received message come again after this many seconds from now. A repeat counts from its own moment. A
    /// receipt that has expired is refused by the queue: the message has come again already.
    pub async fn postpone(&self, queue: QueueName, receipt: &str, seconds: u64) -> Result<()> {
        self.inner
            .sqs
            .change_message_visibility()
            .queue_url(self.settings().queue_url(queue))
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(StoreError::unavailable("sqs:ChangeMessageVisibility"))?;
        Ok(())
    }

    /// Sends an order to its queue.
    pub async fn send(&self, order: &Order) -> Result<()> {
        self.send_later(order, 0).await
    }

    /// Sends an order to its queue, which holds it back for this many seconds, at most
    /// [`DELIVERY_DELAYED_SECONDS`](penstock_model::limits::DELIVERY_DELAYED_SECONDS).
    pub async fn send_later(&self, order: &Order, seconds: u32) -> Result<()> {
        self.inner
            .sqs
            .send_message()
            .queue_url(self.settings().queue_url(order.queue()))
            .message_group_id(order.group())
            .message_body(order.encode()?)
            .set_delay_seconds(i32::try_from(seconds).ok().filter(|seconds| *seconds > 0))
            .set_message_system_attributes(trace(std::env::var(TRACE).ok()))
            .send()
            .await
            .map_err(StoreError::unavailable("sqs:SendMessage"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_carries_the_trace_of_its_sender_if_there_is_one() {
        assert_eq!(trace(None), None);
        assert_eq!(trace(Some(String::new())), None);
        let header = "Root=1-6b022670-611f23868830bdef06f3aaaa;Parent=7927113d95d64472;Sampled=1";
        let attributes = trace(Some(header.to_owned())).expect("a trace");
        let value = &attributes[&MessageSystemAttributeNameForSends::AwsTraceHeader];
        assert_eq!((value.data_type(), value.string_value()), ("String", Some(header)));
    }
}
