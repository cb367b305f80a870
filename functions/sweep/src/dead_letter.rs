//! Settling what was tried often enough.

use penstock_model::{AccountId, ChunkMessage, Failure, Halt, ImportId, Status};
use penstock_split::{SplitEvent, UploadEvent};
use penstock_store::{
    Result, Store, StoreError,
    blocks::{Begin, Verdict},
    crash,
    queues::{ReportOrder, SplitOrder, SplitTask},
};
use serde_json::Value;
use tracing::info;

/// A message of a dead-letter queue.
#[derive(Debug)]
pub enum DeadLetter {
    /// A chunk that no validator could finish.
    Chunk(Box<ChunkMessage>),
    /// Work that no splitter could finish.
    Split(SplitOrder),
    /// An ended import whose rejected rows no reporter could write.
    Report(ReportOrder),
    /// Uploads whose storage event no splitter could finish, as Lambda's asynchronous invocation hands them over on failure (AWS Lambda
    /// Developer Guide, "Capturing records of Lambda asynchronous invocations").
    Uploads(Vec<UploadEvent>),
}

impl DeadLetter {
    /// Tells a message by what it holds.
    ///
    /// # Errors
    /// When it is none of these: it stays in its queue, where the alarm shows it.
    pub fn read(body: &str) -> Result<Self> {
        if let Ok(chunk) = ChunkMessage::decode(body) {
            return Ok(Self::Chunk(Box::new(chunk)));
        }
        if let Ok(order) = serde_json::from_str(body) {
            return Ok(Self::Split(order));
        }
        if let Ok(order) = serde_json::from_str(body) {
            return Ok(Self::Report(order));
        }
        let unreadable =
            |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Unreadable { what: "a dead letter", source };
        let mut record: Value = serde_json::from_str(body).map_err(|e| unreadable(e.into()))?;
        match SplitEvent::read(record["requestPayload"].take()).map_err(|e| unreadable(e.into()))? {
            SplitEvent::Uploads(uploads) => Ok(Self::Uploads(uploads)),
            SplitEvent::Orders(_) => Err(unreadable("a batch of messages is never handed over".into())),
        }
    }
}

/// Settles a dead letter. A repeat finds it settled, or settles it the same way.
///
/// # Errors
/// What may be different next time: the message stays in its queue.
pub(crate) async fn settle(store: &Store, body: &str) -> Result<()> {
    match DeadLetter::read(body)? {
        DeadLetter::Chunk(message) => chunk(store, &message).await,
        // The sweeper orders these again for as long as they are missing.
        DeadLetter::Report(_) => Ok(()),
        DeadLetter::Split(SplitOrder { task: SplitTask::SendAgain(_), .. }) => Ok(()),
        DeadLetter::Split(SplitOrder { account, import, task: SplitTask::GoOn { died_at } }) => {
            split(store, &account, &import, died_at).await
        }
        DeadLetter::Uploads(uploads) => {
            for upload in uploads {
                let import = store.import(&upload.account, &upload.import).await?;
                // An event for another object than the import is about says nothing of it.
                if import.and_then(|import| import.object).is_none_or(|pinned| pinned.is(&upload.object)) {
                    split(store, &upload.account, &upload.import, None).await?;
                }
            }
            Ok(())
        }
    }
}

/// A chunk that has begun is sent again, for all its accepted rows will be applied; one that has not is sent once more, marked as its last
/// try, and given up when that is dead-lettered too. Other copies of its message say nothing of that try: they are dropped.
async fn chunk(store: &Store, message: &ChunkMessage) -> Result<()> {
    let ChunkMessage { job, chunk, last_try, .. } = message;
    let (number, name) = (job.chunking.block_of(chunk.index), chunk.index.to_string());
    let Some(block) = store.blocks(&job.import, &[number]).await?.remove(&number) else { return Ok(()) };
    let undecided = !block.fates.contains_key(&name) && !block.closed;
    if undecided && !last_try {
        if block.sent_again.contains_key(&name) {
            return Ok(());
        }
        store.send_chunk_again(message).await?;
        return store.note_sent_again(job, chunk.index).await;
    }
    match store.decide(job, chunk, Verdict::Failed).await? {
        Begin::Verdict { verdict: Verdict::Begun, .. } => store.send_chunk_again(message).await,
        Begin::Verdict { verdict: Verdict::Failed, .. } => {
            crash::point("sweep.chunk_failed");
            info!(import.id = %job.import, chunk.index, "a chunk is given up");
            penstock_validate::fail_chunk(store, job, chunk).await
        }
        Begin::Tallied(block) => penstock_validate::after_tally(store, job, chunk, &block).await,
        Begin::Closed => store.settle(&job.account, &job.import).await.map(drop),
    }
}

/// A split that is dead-lettered goes on once more from where it stands, marked so; it ends its import when it was marked and got no further.
/// Other copies of its event say nothing of that try: they are dropped.
async fn split(store: &Store, account: &AccountId, id: &ImportId, died_at: Option<u32>) -> Result<()> {
    let Some(import) = store.import(account, id).await? else { return Ok(()) };
    if import.status.is_final() || import.halt.is_some() || import.total.is_some() {
        return store.settle(account, id).await.map(drop);
    }
    let stands_at = import.checkpoint.chunk;
    if died_at.is_none_or(|chunk| chunk < stands_at) {
        if import.split_died_at == Some(stands_at) {
            return Ok(());
        }
        let task = SplitTask::GoOn { died_at: Some(stands_at) };
        store.send_split(&SplitOrder { account: account.clone(), import: id.clone(), task }).await?;
        return store.note_dead_split(&import).await;
    }
    info!(import.id = %id, "a split is given up");
    let message = format!(
        "the file could not be read beyond row {}, repeatedly, for a reason that lies with the service",
        import.checkpoint.row - 1
    );
    let halt = Halt { status: Status::Failed, failure: Some(Failure::new("split_failed", message)) };
    store.order_halt(account, id, &halt).await?;
    store.settle(account, id).await.map(drop)
}
