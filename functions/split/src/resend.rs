//! Sending again the chunks that were lost on their way to the validators.

use penstock_engine::reading::{Part, Reading};
use penstock_model::{
    AccountId, Block, Checkpoint, Chunk, ChunkMessage, Dropped, Failure, Halt, Import, ImportId, Job, Order, Repeats,
    Stage,
};
use penstock_runtime::Deadline;
use penstock_store::{Result, Store, StoreError, text::TextError};

use crate::hand_on::hand_on;

/// Sends again, from a checkpoint on, the chunks whose rows are still to be accounted for: those without a tally, of an
/// import that is to end early only those that had begun. Duplicates are harmless.
///
/// # Errors
/// What may be different next time.
pub(crate) async fn run(
    store: &Store,
    account: &AccountId,
    id: &ImportId,
    from: Checkpoint,
    deadline: Deadline,
) -> Result<()> {
    let Some(import) = store.import(account, id).await? else { return Ok(()) };
    match import.stage() {
        Stage::Applying | Stage::Halting => {
            let failure = match send(store, &import, from, deadline).await {
                Ok(()) => None,
                Err(TextError::Store(StoreError::ObjectGone)) => {
                    Some(Failure::new("upload_gone", "the uploaded file is no longer stored"))
                }
                Err(TextError::Failed(failure)) => Some(failure),
                Err(TextError::Store(error)) => return Err(error),
            };
            if let Some(failure) = failure {
                store.order_halt(account, id, &Halt::failed(failure)).await?;
            }
        }
        // The splitter goes on at its checkpoint; there is nothing yet to be told from missing.
        Stage::Splitting | Stage::AwaitingUpload | Stage::Waiting | Stage::Expired | Stage::Ended => {}
        // All its rows are accounted for.
        Stage::Held | Stage::Confirmed | Stage::Removing => {}
    }
    store.settle(account, id).await.map(drop)
}

async fn send(store: &Store, import: &Import, from: Checkpoint, deadline: Deadline) -> Result<(), TextError> {
    // Without a layout nothing was split.
    let Some(layout) = &import.layout else { return Ok(()) };
    let mut reading = Reading::resume(layout, &import.chunking, from);
    let mut text = store.text(import, from.offset);
    let mut missing = Missing { store, import, job: import.job(), block: None };
    let mut next = from;
    while let Some(bytes) = text.next().await? {
        for part in reading.push(&bytes).map_err(TextError::Failed)? {
            next = missing.send(part).await?.unwrap_or(next);
        }
        if deadline.is_near() && next.chunk > from.chunk {
            return Ok(hand_on(store, &import.id, &Order::to_resend(import, next)).await?);
        }
    }
    for part in reading.finish().map_err(TextError::Failed)? {
        missing.send(part).await?;
    }
    Ok(())
}

/// Tells which chunks are missing, a block at a time.
struct Missing<'a> {
    store: &'a Store,
    import: &'a Import,
    job: Job,
    block: Option<(u32, Block)>,
}

impl Missing<'_> {
    /// Sends a chunk that is missing; gives where the file goes on after it.
    async fn send(&mut self, part: Part) -> Result<Option<Checkpoint>> {
        let Part::Chunk(chunk, next) = part else { return Ok(None) };
        let halted = self.import.halt.is_some();
        let block = self.block_of(&chunk).await?;
        let begun = block.fate(chunk.index).is_some();
        // A chunk that was dead-lettered before must not start over as if it never had been, or it would never be given
        // up.
        let last_try = block.was_resent(chunk.index);
        if !block.is_tallied(chunk.index) && (begun || !halted) {
            let (repeats, dropped) = (Repeats::Any, Dropped::default());
            let message = ChunkMessage { job: self.job.clone(), chunk, repeats, dropped, last_try };
            self.store.send_chunks(&[message]).await?;
        }
        Ok(Some(next))
    }

    async fn block_of(&mut self, chunk: &Chunk) -> Result<&Block> {
        let number = self.import.chunking.block_of(chunk.index);
        let held = match self.block.take() {
            Some(held) if held.0 == number => held,
            _ => (number, self.store.blocks(&self.import.id, &[number]).await?.remove(&number).unwrap_or_default()),
        };
        Ok(&self.block.insert(held).1)
    }
}
