//! Splitting one import.

use penstock_engine::{
    detect::{self, Hints},
    header,
    kind::Kind,
    plan::Plan,
    seen::Seen,
    split::{Piece, SplitError, SplitOptions, Splitter},
};
use penstock_model::{
    AccountId, Body, Checkpoint, Chunk, ChunkMessage, Chunking, Failure, Grammar, Halt, Import, ImportId, Job, Layout,
    Mode, Repeats, Status, StoredObject, limits::MESSAGE_BYTES,
};
use penstock_runtime::Deadline;
use penstock_store::{
    Result, Store, StoreError,
    accept::{Acceptance, Step},
    conditions::Conditions,
    crash,
    queues::{SplitOrder, SplitTask},
    text::TextError,
};
use tracing::info;

use crate::again;

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

impl From<TextError> for Stop {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Failed(failure) => Self::Failed(failure),
            TextError::Store(error) => error.into(),
        }
    }
}

impl From<SplitError> for Stop {
    fn from(error: SplitError) -> Self {
        Self::Failed(error.into())
    }
}

/// The messages of one import.
pub(crate) fn job(import: &Import) -> Job {
    Job {
        account: import.account.clone(),
        import: import.id.clone(),
        order: import.order,
        alone: import.alone,
        kind: import.kind.clone(),
        mode: import.options.mode,
        empty_cells: import.options.empty_cells,
        dry_run: import.options.dry_run,
        abort: import.options.abort,
        chunking: import.chunking,
        kind_version: import.kind_version,
        grammar: grammar(import),
        columns: import.columns.clone().unwrap_or_default(),
        mapping: import.options.mapping.clone(),
    }
}

/// How rows stand in an import's text. Before that is known there are none.
pub(crate) fn grammar(import: &Import) -> Grammar {
    import.layout.as_ref().map_or(Grammar::CSV, |layout| layout.grammar)
}

/// The kind of an import, as it was when the import was created.
async fn kind(store: &Store, import: &Import) -> Result<Kind, Stop> {
    let gone = || Stop::Failed(Failure::new("unknown_kind", "the kind of this import no longer exists"));
    store.compiled_kind(&import.account, &import.kind, import.kind_version).await?.ok_or_else(gone)
}

/// Finds out what the upload is. The same upload always gives the same answer.
async fn detect(store: &Store, import: &Import, kind: &Kind) -> Result<Layout, Stop> {
    let Import { format, filename, options, .. } = import.clone();
    let fields: Vec<String> = kind.fields().iter().map(|field| field.name().to_owned()).collect();
    let layout = store.look_at_upload(import, move |upload, bytes| {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        detect::detect(
            upload,
            bytes,
            &Hints { format, filename: filename.as_deref(), options: &options, fields: &fields, partial: false },
        )
    });
    Ok(layout.await?)
}

async fn split(store: &Store, mut import: Import, deadline: Deadline) -> Result<(), Stop> {
    let from = import.checkpoint;
    if import.layout.is_none() {
        let layout = detect(store, &import, &kind(store, &import).await?).await?;
        info!(import.id = %import.id, format = layout.format.as_str(), layout.encoding, "the upload is recognised");
        import.layout = Some(layout);
    }
    let mut splitter = Splitter::resume(SplitOptions::new(grammar(&import), &import.chunking), from);
    let mut text = store.text(&import, from.offset);
    let mut sender = Sender {
        store,
        import: &import,
        job: job(&import),
        reached: from,
        next: from,
        waiting: Vec::new(),
        seen: None,
    };
    while let Some(bytes) = text.next().await.map_err(|error| broken_off(error, sender.next))? {
        for piece in splitter.push(&bytes)? {
            sender.take(piece).await?;
            sender.checkpoint_if_due().await?;
        }
        if deadline.is_near() && sender.next.chunk > from.chunk {
            sender.checkpoint().await?;
            return Ok(hand_on(store, &import, SplitTask::GoOn { died_at: None }).await?);
        }
    }
    // No checkpoint any more: behind a document that breaks off there is nothing, and who went on there would find that something is missing.
    let (pieces, total) = splitter.finish()?;
    for piece in pieces {
        sender.take(piece).await?;
    }
    sender.send().await?;
    if sender.next.chunk == 0 && !sender.job.grammar.has_header() {
        // No row, no name of a member.
        sender.set_columns(Vec::new()).await?;
    }
    if sender.job.columns.is_empty() && grammar(&import).has_header() {
        return Err(Stop::Failed(Failure::new("empty_file", "the file holds no header and no row")));
    }
    finish(store, &import, sender.next.chunk, total).await
}

/// A file that cannot be read on says from where; of the rows before, those that had begun are finished.
fn broken_off(error: TextError, at: Checkpoint) -> Stop {
    match error.into() {
        Stop::Failed(Failure { code, message }) => {
            Stop::Failed(Failure::new(&code, format!("{message}; nothing from row {} on can be read", at.row)))
        }
        other => other,
    }
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
    /// The keys of the rows so far, where it matters whether a row names one of them again.
    seen: Option<Seen>,
}

impl Sender<'_> {
    async fn take(&mut self, piece: Piece) -> Result<(), Stop> {
        let (chunk, next) = match piece {
            Piece::Header(header) => return self.read_header(&header).await,
            Piece::Chunk(chunk, next) => (chunk, next),
        };
        self.read_members(&chunk).await?;
        if chunk.index.is_multiple_of(self.job.chunking.per_block) {
            made(self.store.open_block(self.import, self.job.chunking.block_of(chunk.index)).await?)?;
        }
        let repeats = self.seen.as_mut().map_or(Repeats::Any, |seen| seen.look(&self.job, &chunk));
        self.waiting.push(ChunkMessage { job: self.job.clone(), chunk, repeats, last_try: false });
        self.next = next;
        let waiting_bytes: u64 = self.waiting.iter().map(|message| message.chunk.bytes).sum();
        if waiting_bytes * 4 >= MESSAGE_BYTES as u64 * 3 {
            self.send().await?;
        }
        Ok(())
    }

    async fn checkpoint_if_due(&mut self) -> Result<(), Stop> {
        if self.next.chunk - self.reached.chunk >= self.job.chunking.per_checkpoint() {
            self.checkpoint().await?;
        }
        Ok(())
    }

    async fn read_header(&mut self, header: &[u8]) -> Result<(), Stop> {
        self.set_columns(header::columns(header, self.job.grammar).map_err(Stop::Failed)?).await
    }

    /// Where there is no header, the first rows tell what the columns are.
    async fn read_members(&mut self, chunk: &Chunk) -> Result<(), Stop> {
        if self.job.grammar.has_header() || chunk.index > 0 {
            return Ok(());
        }
        let columns = match &chunk.body {
            Body::Rows(rows) => header::members(rows, self.job.grammar),
            Body::Refused(_) => Vec::new(),
        };
        self.set_columns(columns).await
    }

    /// Records what the file is and what its columns are, if its kind takes them.
    async fn set_columns(&mut self, columns: Vec<String>) -> Result<(), Stop> {
        let kind = kind(self.store, self.import).await?;
        let plan = Plan::compile(kind, self.job.grammar, &columns, &self.job.mapping).map_err(Stop::Failed)?;
        let ignored: Vec<String> = plan.ignored(&columns).map(str::to_owned).collect();
        let layout = self.import.layout.as_ref().expect("what the upload is has been found out");
        made(self.store.set_layout(self.import, layout, &columns, &ignored).await?)?;
        self.job.columns = columns;
        // Columns are read at the start of a file alone: a splitter that goes on elsewhere does not know what came before.
        self.seen = may_leave_out_writes(&self.job, self.store.conditions()).then(|| Seen::new(&plan));
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

/// Whether rows that change nothing may cost no write, see the validator's `apply`.
fn may_leave_out_writes(job: &Job, needed: Conditions) -> bool {
    (job.alone || !needed.alone) && job.mode == Mode::Upsert && !job.dry_run
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
