//! Splitting one import.

use penstock_engine::{
    header,
    kind::Kind,
    kinds,
    plan::Plan,
    split::{Piece, SplitError, SplitOptions, Splitter},
};
use penstock_model::{
    AccountId, Checkpoint, ChunkMessage, Chunking, Failure, Halt, Import, ImportId, Job, Status, StoredObject,
    limits::MESSAGE_BYTES,
};
use penstock_runtime::Deadline;
use penstock_store::{
    Result, Store, StoreError,
    accept::{Acceptance, Step},
    crash,
    queues::{SplitOrder, SplitTask},
};
use tracing::info;

use crate::{again, source::Source};

/// Splits an import from where it stands: accepts its upload if that has not been done, sends what follows the checkpoint, and ends
/// splitting, or hands the rest on when the invocation's time is near its end.
///
/// # Errors
/// What may be different next time. What will not, ends the import with a reason and is no error here.
pub async fn run(
    store: &Store,
    account: &AccountId,
    id: &ImportId,
    object: Option<&StoredObject>,
    deadline: Deadline,
) -> Result<()> {
    let Some(import) = store.import(account, id).await? else { return Ok(()) };
    // What the import is about already goes before what is stored under its key now: a form may have stored another version since.
    let found = match (object, import.object) {
        (Some(object), _) => Some(object.clone()),
        (None, Some(pinned)) => Some(pinned),
        (None, None) => store.find_upload(account, id).await?,
    };
    let Some(object) = found else {
        info!(import.id = %id, "nothing has been uploaded");
        return Ok(());
    };
    let import = match store.accept(account, id, &object).await? {
        Acceptance::Go(import) => import,
        Acceptance::Nothing(reason) => {
            info!(import.id = %id, reason, "an upload changes nothing");
            // Whoever ended the import may have died before asking for its report.
            store.settle(account, id).await?;
            return Ok(());
        }
    };
    if import.halt.is_some() || import.total.is_some() {
        store.settle(account, id).await?;
        return Ok(());
    }
    match split(store, *import.clone(), deadline).await {
        Ok(()) => Ok(()),
        Err(Stop::Failed(failure)) => {
            info!(import.id = %id, failure.code, "the import fails");
            let halt = Halt { status: Status::Failed, failure: Some(failure) };
            store.order_halt(account, id, &halt).await?;
            store.settle(account, id).await?;
            Ok(())
        }
        Err(Stop::Transient(error)) => Err(error),
        Err(Stop::Overtaken) => {
            info!(import.id = %id, "another splitter went on, or the import is to end");
            store.settle(account, id).await?;
            Ok(())
        }
    }
}

/// Does what a message of the splits queue orders.
pub(crate) async fn take_up(store: &Store, order: &SplitOrder, deadline: Deadline) -> Result<()> {
    match order.task {
        SplitTask::GoOn { .. } => run(store, &order.account, &order.import, None, deadline).await,
        SplitTask::SendAgain(from) => again::run(store, order, from, deadline).await,
    }
}

/// Why a splitter stops before the end of the file.
enum Stop {
    /// The import can only fail, for this reason.
    Failed(Failure),
    /// Another splitter went on, or the import is to end.
    Overtaken,
    /// Something may be different next time.
    Transient(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ObjectGone => {
                Self::Failed(Failure::new("upload_gone", "the uploaded file is no longer stored"))
            }
            other => Self::Transient(other),
        }
    }
}

impl From<SplitError> for Stop {
    fn from(error: SplitError) -> Self {
        let code = match error {
            SplitError::HeaderTooLarge { .. } => "header_too_large",
            SplitError::HeaderUnterminated { .. } => "unterminated_quote",
        };
        Self::Failed(Failure::new(code, error.to_string()))
    }
}

/// The messages of one import.
pub(crate) fn job(import: &Import) -> Job {
    Job {
        account: import.account.clone(),
        import: import.id.clone(),
        order: import.order,
        kind: import.kind.clone(),
        mode: import.options.mode,
        empty_cells: import.options.empty_cells,
        dry_run: import.options.dry_run,
        abort: import.options.abort,
        chunking: import.chunking,
        delimiter: import.delimiter(),
        columns: import.columns.clone().unwrap_or_default(),
    }
}

async fn split(store: &Store, import: Import, deadline: Deadline) -> Result<(), Stop> {
    let from = import.checkpoint;
    let mut splitter = Splitter::resume(SplitOptions::new(import.delimiter(), &import.chunking), from);
    let mut source = Source::new(store, &import, from.offset);
    let mut sender =
        Sender { store, import: &import, job: job(&import), reached: from, next: from, waiting: Vec::new() };
    while let Some(bytes) = source.next().await? {
        for piece in splitter.push(&bytes)? {
            sender.take(piece).await?;
        }
        if deadline.is_near() && sender.next.chunk > from.chunk {
            sender.checkpoint().await?;
            return Ok(hand_on(store, &import, SplitTask::GoOn { died_at: None }).await?);
        }
    }
    let (pieces, total) = splitter.finish()?;
    for piece in pieces {
        sender.take(piece).await?;
    }
    sender.send().await?;
    if sender.job.columns.is_empty() {
        return Err(Stop::Failed(Failure::new("empty_file", "the file holds no header and no row")));
    }
    finish(store, &import, sender.next.chunk, total).await
}

/// Sends chunks and keeps the import's checkpoint behind them.
struct Sender<'a> {
    store: &'a Store,
    import: &'a Import,
    job: Job,
    /// The checkpoint as it is stored.
    reached: Checkpoint,
    /// Where the last chunk that was taken ends.
    next: Checkpoint,
    /// Chunks that were taken and not sent.
    waiting: Vec<ChunkMessage>,
}

impl Sender<'_> {
    async fn take(&mut self, piece: Piece) -> Result<(), Stop> {
        let (chunk, next) = match piece {
            Piece::Header(header) => return self.read_header(&header).await,
            Piece::Chunk(chunk, next) => (chunk, next),
        };
        if chunk.index.is_multiple_of(self.job.chunking.per_block) {
            made(self.store.open_block(self.import, self.job.chunking.block_of(chunk.index)).await?)?;
        }
        self.waiting.push(ChunkMessage { job: self.job.clone(), chunk, last_try: false });
        self.next = next;
        let waiting_bytes: u64 = self.waiting.iter().map(|message| message.chunk.bytes).sum();
        if waiting_bytes * 4 >= MESSAGE_BYTES as u64 * 3 {
            self.send().await?;
        }
        if self.next.chunk - self.reached.chunk >= self.job.chunking.per_checkpoint() {
            self.checkpoint().await?;
        }
        Ok(())
    }

    async fn read_header(&mut self, header: &[u8]) -> Result<(), Stop> {
        let columns = header::columns(header, self.job.delimiter).map_err(Stop::Failed)?;
        let schema = kinds::bundled(&self.job.kind)
            .ok_or_else(|| Stop::Failed(Failure::new("unknown_kind", "the kind of this import no longer exists")))?;
        let kind = Kind::compile(schema, &self.job.account)
            .map_err(|error| Stop::Failed(Failure::new("invalid_schema", error.to_string())))?;
        let plan = Plan::compile(kind, &columns).map_err(Stop::Failed)?;
        let ignored: Vec<String> = plan.ignored(&columns).map(str::to_owned).collect();
        made(self.store.set_columns(self.import, &columns, &ignored).await?)?;
        self.job.columns = columns;
        Ok(())
    }

    async fn send(&mut self) -> Result<(), StoreError> {
        self.store.send_chunks(&self.waiting).await?;
        self.waiting.clear();
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), Stop> {
        self.send().await?;
        made(self.store.checkpoint(self.import, self.reached, self.next).await?)?;
        self.reached = self.next;
        Ok(())
    }
}

fn made(step: Step) -> Result<(), Stop> {
    match step {
        Step::Made => Ok(()),
        Step::Overtaken => Err(Stop::Overtaken),
    }
}

/// The file has ended: the last block gets its size, the import its total, and either may have been what the end was waiting for.
async fn finish(store: &Store, import: &Import, chunks: u32, total: u64) -> Result<(), Stop> {
    let Chunking { per_block, .. } = import.chunking;
    if !chunks.is_multiple_of(per_block) {
        let last = import.chunking.block_of(chunks);
        let block = store.size_block(import, last, chunks % per_block).await?;
        if block.is_full() {
            store.note(import, last, &block).await?;
        }
    }
    made(store.set_total(import, total).await?)?;
    info!(import.id = %import.id, chunks, rows = total, "the file is split");
    store.settle(&import.account, &import.id).await?;
    Ok(())
}

/// Leaves the rest to another invocation. A repeat makes it go on twice, of which one stops.
pub(crate) async fn hand_on(store: &Store, import: &Import, task: SplitTask) -> Result<()> {
    let order = SplitOrder { account: import.account.clone(), import: import.id.clone(), task };
    store.send_split(&order).await?;
    info!(import.id = %import.id, "the invocation's time is near its end: the rest is handed on");
    crash::point("split.continued");
    Ok(())
}
