//! Queues: what is sent to whom. A repeat of any call here delivers the same message again, which every receiver can take.

use std::collections::HashMap;

use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use penstock_model::{AccountId, Checkpoint, ChunkMessage, Import, ImportId, limits::MESSAGE_BYTES};
use serde::{Deserialize, Serialize};

use crate::{Backoff, Result, Store, StoreError, crash};

/// Messages of one batch, at most (Amazon SQS API Reference, SendMessageBatch).
const BATCH: usize = 10;

/// Where the runtime keeps the trace of the invocation under way (AWS Lambda Developer Guide, "Defined runtime environment variables").
const TRACE: &str = "_X_AMZN_TRACE_ID";

/// The trace of whoever sends, by which X-Ray follows an import over the queues (AWS X-Ray Developer Guide, "Amazon SQS and AWS X-Ray").
fn trace(header: Option<String>) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
    let header = header.filter(|header| !header.is_empty())?;
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(header).build();
    Some(HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value.expect("the type is set"))]))
}

/// Work that the splitter is to take up: the body of a message on the splits queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitOrder {
    /// Whose import it is.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
    /// What to do with it.
    pub task: SplitTask,
}

/// What the splitter is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitTask {
    /// Look for the upload, accept it if it has not been, and go on at the checkpoint.
    GoOn {
        /// The chunk at which the checkpoint stood when a splitter was dead-lettered before: the import is given up if this order is
        /// dead-lettered without getting further.
        died_at: Option<u32>,
    },
    /// Send the chunks again that have no tally, from here on.
    SendAgain(Checkpoint),
}

/// An ended import whose rejected rows are to be written: the body of a message on the reports queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportOrder {
    /// Whose import it is.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
}

impl Store {
    /// Sends chunks to the validators, in as few requests as their sizes allow, each under its account's message group so that fair queues
    /// keep one account's burst from starving the others. Returns when all are in the queue.
    pub async fn send_chunks(&self, messages: &[ChunkMessage]) -> Result<()> {
        let mut batch: Vec<SendMessageBatchRequestEntry> = Vec::new();
        let mut bytes = 0;
        for message in messages {
            let body = message.encode()?;
            if batch.len() == BATCH || bytes + body.len() > MESSAGE_BYTES {
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
                .queue_url(&self.settings().chunks_queue_url)
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
    pub async fn send_chunk_again(&self, message: &ChunkMessage) -> Result<()> {
        let marked = ChunkMessage { last_try: true, ..message.clone() };
        self.send(&self.settings().chunks_queue_url, &message.job.account, marked.encode()?).await?;
        crash::point("sweep.sent_again");
        Ok(())
    }

    /// Gives the splitter work to take up.
    pub async fn send_split(&self, order: &SplitOrder) -> Result<()> {
        let body = serde_json::to_string(order).map_err(StoreError::unreadable("a split order"))?;
        self.send(&self.settings().splits_queue_url, &order.account, body).await
    }

    /// Asks for the rejected rows file of an ended import.
    pub async fn send_report(&self, import: &Import) -> Result<()> {
        let order = ReportOrder { account: import.account.clone(), import: import.id.clone() };
        let body = serde_json::to_string(&order).map_err(StoreError::unreadable("a report order"))?;
        self.send(&self.settings().reports_queue_url, &import.account, body).await
    }

    async fn send(&self, queue_url: &str, account: &AccountId, body: String) -> Result<()> {
        self.inner
            .sqs
            .send_message()
            .queue_url(queue_url)
            .message_group_id(account.as_str())
            .message_body(body)
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
