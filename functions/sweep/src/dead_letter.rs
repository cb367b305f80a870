//! Settling dead letters.

use penstock_model::{AccountId, Begin, ChunkMessage, Failure, Halt, ImportId, Order, Stage, Verdict};
use penstock_runtime::{
    chunk_end::{self, GivenUp},
    event::{FailedInvocation, StorageEvent, UploadEvent},
};
use penstock_store::{Result, Store, StoreError, crash};
use tracing::{info, warn};

/// A message of a dead-letter queue.
#[derive(Debug)]
pub enum DeadLetter {
    /// An order that no function could carry out.
    Order(Order),
    /// What was stored, and no splitter could take up: the record of an asynchronous invocation that failed.
    Stored(Vec<StorageEvent>),
}

impl DeadLetter {
    /// Reads a message by what it says it is.
    ///
    /// # Errors
    /// When it is neither an order that this version knows nor the record of a storage event: it stays in its queue,
    /// where the alarm shows it.
    pub fn read(body: &str) -> Result<Self> {
        let unknown = match Order::decode(body) {
            Ok(order) => return Ok(Self::Order(order)),
            Err(error) => error,
        };
        let unreadable =
            |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Unreadable { what: "a dead letter", source };
        let Ok(record) = serde_json::from_str::<FailedInvocation>(body) else { return Err(unreadable(unknown.into())) };
        let stored = StorageEvent::read(record.request_payload).map_err(|error| unreadable(error.into()))?;
        let FailedInvocation { request_context, .. } = record;
        warn!(
            function = request_context.function_arn,
            condition = request_context.condition,
            "an invocation failed for good"
        );
        Ok(Self::Stored(stored))
    }
}

/// Settles a dead letter. A repeat finds it settled, or settles it the same way.
///
/// # Errors
/// What may be different next time: the message stays in its queue.
pub(crate) async fn settle(store: &Store, body: &str) -> Result<()> {
    match DeadLetter::read(body)? {
        DeadLetter::Order(Order::Chunk(message)) => chunk(store, &message).await,
        DeadLetter::Order(Order::Continue { account, import, died_at }) => {
            split(store, &account, &import, died_at).await
        }
        // The sweeper orders these again for as long as they are missing.
        DeadLetter::Order(
            Order::ResendMissing { .. }
            | Order::Report { .. }
            | Order::Export { .. }
            | Order::Remove { .. }
            | Order::Tell { .. }
            | Order::Deliver { .. },
        ) => Ok(()),
        DeadLetter::Stored(stored) => {
            for event in stored {
                match event {
                    StorageEvent::Upload(upload) => uploaded(store, &upload).await?,
                    // The sweeper lists the inbox.
                    StorageEvent::Inbox(_) => {}
                }
            }
            Ok(())
        }
    }
}

/// Orders a dead-lettered upload to be split once more, as [`split`], if its import is about it or may be.
async fn uploaded(store: &Store, upload: &UploadEvent) -> Result<()> {
    let UploadEvent { account, import: id, object } = upload;
    let import = store.import(account, id).await?;
    // An event for another object than the import is about says nothing of it.
    if import.and_then(|import| import.object).is_none_or(|pinned| pinned.is(object)) {
        split(store, account, id, None).await?;
    }
    store.turn_away(account, id, object).await
}

/// Sends a chunk that has begun again, since all its accepted rows are to be applied. Sends a chunk that has not begun
/// once more, marked as its last try, and gives it up when that message is dead-lettered too. Copies without the mark
/// are dropped.
async fn chunk(store: &Store, message: &ChunkMessage) -> Result<()> {
    let ChunkMessage { job, chunk, last_try, .. } = message;
    let number = job.chunking.block_of(chunk.index);
    let Some(block) = store.blocks(&job.import, &[number]).await?.remove(&number) else { return Ok(()) };
    let undecided = block.fate(chunk.index).is_none() && !block.closed;
    if undecided && !last_try {
        if block.was_resent(chunk.index) {
            return Ok(());
        }
        store.resend_chunk(message).await?;
        return store.note_resent(job, chunk.index).await;
    }
    match store.decide(job, chunk, Verdict::Failed).await? {
        Begin::Verdict { verdict: Verdict::Begun, .. } => store.resend_chunk(message).await,
        Begin::Verdict { verdict: Verdict::Failed, .. } => {
            crash::point("sweep.chunk_failed");
            info!(import.id = %job.import, chunk.index, "a chunk is given up");
            chunk_end::give_up(store, job, chunk, GivenUp::NotProcessed).await
        }
        // A validator gave it up, and may have died before its rows were accounted for.
        Begin::Verdict { verdict: Verdict::Stuck, .. } => chunk_end::give_up(store, job, chunk, GivenUp::Stuck).await,
        Begin::Tallied(block) => chunk_end::after_tally(store, job, chunk, &block).await,
        Begin::Closed => store.settle(&job.account, &job.import).await.map(drop),
    }
}

/// Orders a dead-lettered split to continue once more from its checkpoint, marked with that checkpoint. A marked split
/// that got no further is given up, and its import fails. Copies without the mark are dropped.
async fn split(store: &Store, account: &AccountId, id: &ImportId, died_at: Option<u32>) -> Result<()> {
    let Some(import) = store.import(account, id).await? else { return Ok(()) };
    match import.stage() {
        Stage::AwaitingUpload | Stage::Splitting => {}
        Stage::Expired
        | Stage::Waiting
        | Stage::Applying
        | Stage::Held
        | Stage::Confirmed
        | Stage::Removing
        | Stage::Halting
        | Stage::Ended => {
            return store.settle(account, id).await.map(drop);
        }
    }
    let stands_at = import.checkpoint.chunk;
    if died_at.is_none_or(|chunk| chunk < stands_at) {
        if import.split_died_at == Some(stands_at) {
            return Ok(());
        }
        store.send(&Order::to_continue(&import, Some(stands_at))).await?;
        return store.note_dead_split(&import).await;
    }
    info!(import.id = %id, "a split is given up");
    let message = format!(
        "the file could not be read beyond row {}, repeatedly, for a reason that lies with the service",
        import.checkpoint.row - 1
    );
    store.order_halt(account, id, &Halt::failed(Failure::new("split_failed", message))).await?;
    store.settle(account, id).await.map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const IMPORT: &str = "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F";

    /// What Lambda sends when it has given an invocation up.
    fn failed(payload: Value) -> String {
        json!({
            "version": "1.0",
            "timestamp": "2026-11-21T18:14:19.000Z",
            "requestContext": {
                "requestId": "1",
                "functionArn": "arn:aws:lambda:eu-central-1:000000000000:function:split:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": payload,
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "responsePayload": { "errorType": "Runtime.ExitError", "errorMessage": "it died" },
        })
        .to_string()
    }

    fn storage_event() -> Value {
        json!({ "Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1", "eventTime": "2026-11-21T18:14:19.000Z",
            "eventName": "ObjectCreated:Put", "userIdentity": { "principalId": "AWS:X" },
            "requestParameters": { "sourceIPAddress": "127.0.0.1" }, "responseElements": { "x-amz-request-id": "1" },
            "s3": { "s3SchemaVersion": "1.0", "configurationId": "c",
                "bucket": { "name": "b", "ownerIdentity": { "principalId": "P" }, "arn": "arn:aws:s3:::b" },
                "object": { "key": format!("uploads/1/{IMPORT}"), "size": 12, "eTag": "abc", "sequencer": "0055" } } }] })
    }

    #[test]
    fn a_dead_letter_is_told_by_what_it_says() {
        let report = format!(r#"{{"report":{{"account":"1","import":"{IMPORT}"}}}}"#);
        assert!(matches!(DeadLetter::read(&report), Ok(DeadLetter::Order(Order::Report { .. }))));
        let uploads = DeadLetter::read(&failed(storage_event()));
        let is_upload =
            |event: &StorageEvent| matches!(event, StorageEvent::Upload(of) if of.import.as_str() == IMPORT);
        assert!(matches!(uploads, Ok(DeadLetter::Stored(stored)) if stored.len() == 1 && is_upload(&stored[0])));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let batch = json!({ "Records": [{ "messageId": "1", "body": "b", "eventSource": "aws:sqs" }] });
        for unknown in [
            String::new(),
            "{}".into(),
            // An order of a later version that looks like another one.
            format!(r#"{{"renounce":{{"account":"1","import":"{IMPORT}"}}}}"#),
            format!(r#"{{"account":"1","import":"{IMPORT}"}}"#),
            storage_event().to_string(),
            failed(json!({ "detail-type": "Scheduled Event" })),
            failed(batch),
        ] {
            let error = DeadLetter::read(&unknown).expect_err("refused");
            assert_eq!(error.to_string(), "a dead letter cannot be read", "{unknown}");
        }
    }
}
