//! Splitting one import.
//!
//! A splitter that reads a file from its first byte knows which rows say again what was said last of their records
//! ([`penstock_engine::digest`]): those it drops. A chunk's message says which they are, and the validator counts them
//! as unchanged without reading a record. A chunk of which every row is dropped is not sent: the splitter begins and
//! tallies it itself. Behind the last row it writes the digest of what the file says.
//!
//! A splitter that goes on elsewhere does neither: it does not know what the rows before have said.
//!
//! A file that is, byte for byte, the one that said all of this last is not even read: each of its rows would be
//! dropped, and they are accounted for at once ([`penstock_model::digest::File`]).

use std::time::{Duration, Instant};

use penstock_engine::{
    digest::{self, Look, Rules, Said},
    kind::Kind,
    plan::Plan,
    reading::{self, Columns, Hints, Part, Reading},
    upload::Upload,
};
use penstock_model::{
    AccountId, Body, Checkpoint, Chunk, ChunkMessage, Chunking, Dropped, Failure, Halt, Import, ImportId, Job, Layout,
    Mode, Order, Repeats, Settlement, Stage, StoredObject,
    digest::{Built, File, Source},
    limits::{DIGEST_CHUNK_SECONDS, DIGEST_TRIES, MESSAGE_BYTES, SPLIT_TRIES},
};
use penstock_runtime::{Deadline, chain, chunk_end};
use penstock_store::{
    Result, Store, StoreError,
    accept::{Acceptance, Step},
    conditions::Conditions,
    crash,
    text::TextError,
};
use tracing::{info, warn};

use crate::{hand_on::hand_on, inbox};

/// Chunks that one update begins and tallies, at most: its expressions stay within the 4 KB that DynamoDB takes.
const TALLIED_AT_ONCE: usize = 16;

/// What the creator of an import is told whose file is not read.
const SAME: &str = "The file is the same as that of the last import of this kind, byte for byte, and nothing was changed \
                    since: its rows are unchanged, and were not read again.";

/// Splits an import from where it stands: accepts its upload if that has not been done, sends what follows the
/// checkpoint, and ends splitting, or hands the rest on when the invocation's time is near its end. An upload that the
/// import does not keep is turned away: it is removed.
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
    let Some(import) = store.import(account, id).await? else {
        return match object {
            Some(object) => store.turn_away(account, id, object).await,
            None => Ok(()),
        };
    };
    if import.everything.is_some() {
        // There is no file: an order to remove records waits to be accepted, and goes on elsewhere.
        store.accept_everything(account, id).await?;
        return store.settle(account, id).await.map(drop);
    }
    // What the import is about already goes before what is stored under its key now: a form may have stored another
    // version since.
    let found = match (object, &import.object) {
        (Some(object), _) => Some(object.clone()),
        (None, Some(pinned)) => Some(pinned.clone()),
        (None, None) => store.find_upload(account, id).await?,
    };
    let Some(object) = found else {
        if import.stage() == Stage::AwaitingUpload
            && let Some(file) = &import.inbox
        {
            return inbox::copy(store, &import, file).await;
        }
        info!(import.id = %id, "nothing has been uploaded");
        return Ok(());
    };
    let import = match store.accept(account, id, &object).await? {
        Acceptance::Go(import) => import,
        Acceptance::Nothing(reason) => {
            info!(import.id = %id, reason, "an upload changes nothing");
            // Whoever ended the import may have died before asking for its report.
            store.settle(account, id).await?;
            return store.turn_away(account, id, &object).await;
        }
    };
    if import.stage() != Stage::Splitting {
        store.settle(account, id).await?;
        return Ok(());
    }
    let Some((import, begun)) = store.begin_split(&import).await? else {
        store.settle(account, id).await?;
        return Ok(());
    };
    // A file that ends the program that reads it, or takes longer than an invocation, says nothing: its splits begin,
    // and are never heard of again.
    if import.splits_begun_here() > SPLIT_TRIES {
        return fail(store, &import, import.split_failure()).await;
    }
    crash::point("split.begun");
    match split(store, import.clone(), deadline).await {
        Ok(()) => Ok(()),
        Err(Stop::Failed(failure)) => fail(store, &import, failure).await,
        Err(Stop::Transient(error)) => {
            if let Err(error) = store.take_back_split(&import, &begun).await {
                warn!(import.id = %id, error = chain(&error), "a split that stopped stays noted");
            }
            Err(error)
        }
        Err(Stop::Overtaken) => {
            info!(import.id = %id, "another splitter went on, or the import is to end");
            store.settle(account, id).await?;
            Ok(())
        }
        Err(Stop::Same(rows)) => {
            info!(import.id = %id, rows, "the file is the one before it again");
            chunk_end::same(store, account, id, rows).await
        }
    }
}

/// Fails an import. A repeat changes nothing.
pub(crate) async fn fail(store: &Store, import: &Import, failure: Failure) -> Result<()> {
    info!(import.id = %import.id, failure.code, "the import fails");
    store.order_halt(&import.account, &import.id, &Halt::failed(failure)).await?;
    store.settle(&import.account, &import.id).await.map(drop)
}

/// Why a splitter stops before the end of the file.
enum Stop {
    /// The import can only fail, for this reason.
    Failed(Failure),
    /// Another splitter went on, or the import is to end.
    Overtaken,
    /// Every row of the file, so many, is accounted for without it.
    Same(u64),
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

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The kind of an import, as it was when the import was created.
async fn kind(store: &Store, import: &Import) -> Result<Kind, Stop> {
    let gone = || Stop::Failed(Failure::new("unknown_kind", "the kind of this import no longer exists"));
    store.compiled_kind(&import.account, &import.kind, import.kind_version).await?.ok_or_else(gone)
}

/// Resolves what the upload is and how it is read. The same upload always gives the same answer.
async fn resolve(store: &Store, import: &Import, kind: &Kind) -> Result<Layout, Stop> {
    let (about, kind) = (import.clone(), kind.clone());
    let look = move |upload: &mut dyn Upload, bytes| reading::resolve(upload, bytes, &Hints::of(&about, &kind));
    let layout = store.look_at_upload(import, look).await?;
    info!(import.id = %import.id, format = layout.format.as_str(), layout.encoding, "the upload's format is detected");
    Ok(layout)
}

/// Begins to read an import's file: at its checkpoint, or at the start, where its layout is resolved and its columns
/// are read.
async fn begin(store: &Store, import: &mut Import) -> Result<Reading, Stop> {
    if let (Some(layout), true) = (&import.layout, import.checkpoint != Checkpoint::START) {
        return Ok(Reading::resume(layout, &import.chunking, import.checkpoint));
    }
    let kind = kind(store, import).await?;
    let layout = match import.layout.take() {
        Some(layout) => layout,
        None => resolve(store, import, &kind).await?,
    };
    let reading = Reading::start(&layout, &Hints::of(import, &kind), &import.chunking);
    import.layout = Some(layout);
    Ok(reading)
}

async fn split(store: &Store, mut import: Import, deadline: Deadline) -> Result<(), Stop> {
    let from = import.checkpoint;
    let mut reading = begin(store, &mut import).await?;
    let mut text = store.text(&import, from.offset);
    let mut sender = Sender {
        store,
        import: &import,
        job: import.job(),
        reached: from,
        next: from,
        waiting: Vec::new(),
        unchanged: Vec::new(),
        dropped: 0,
        said: None,
        source: None,
        name: None,
    };
    if from != Checkpoint::START && !store.conditions().digest_whole {
        sender.go_on_with_digest().await?;
    }
    loop {
        let bytes = match text.next().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(TextError::Failed(failure)) => {
                if let Some(part) = reading.columns_so_far()? {
                    sender.take(part).await?;
                }
                return Err(reading.broken_off(failure).into());
            }
            Err(error) => return Err(error.into()),
        };
        for part in reading.push(&bytes)? {
            sender.take(part).await?;
            sender.checkpoint_if_due().await?;
        }
        if deadline.is_near() && sender.next.chunk > from.chunk {
            sender.checkpoint().await?;
            return Ok(hand_on(store, &import.id, &Order::to_continue(&import, None)).await?);
        }
    }
    // No checkpoint any more: behind a document that breaks off there is nothing, and a splitter that resumed there
    // would find that something is missing.
    for part in reading.finish()? {
        sender.take(part).await?;
    }
    sender.send().await?;
    let (chunks, rows, dropped) = (sender.next.chunk, reading.rows(), sender.dropped);
    let digest = sender.write_digest(rows).await;
    let split = finish(store, &import, chunks, rows, digest.as_ref()).await?;
    info!(import.id = %import.id, chunks, rows, dropped, "the file is split");
    // Where a block is still to be noted, whoever notes the last one settles it.
    if split.settle() != Settlement::Wait {
        store.settle(&import.account, &import.id).await?;
    }
    Ok(())
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
    /// Chunks that were taken and not tallied, whose rows are dropped one and all; without their rows.
    unchanged: Vec<Chunk>,
    /// How many rows were dropped.
    dropped: u64,
    /// What the rows so far have said, where it matters whether a row says it again, or names a record again.
    said: Option<Said>,
    /// The set of the file's columns, once they have been read.
    source: Option<Source>,
    /// The name of the file, by which it is known again, where there is one.
    name: Option<String>,
}

impl Sender<'_> {
    async fn take(&mut self, part: Part) -> Result<(), Stop> {
        let (chunk, next) = match part {
            Part::Columns(columns) => return self.set_columns(*columns).await,
            Part::Chunk(chunk, next) => (chunk, next),
        };
        if chunk.index.is_multiple_of(self.job.chunking.per_block) {
            made(self.store.open_block(self.import, self.job.chunking.block_of(chunk.index)).await?)?;
        }
        let Look { repeats, dropped } = self.look(&chunk);
        self.next = next;
        self.dropped += dropped.len();
        if dropped.len() == chunk.rows && self.store.conditions().digest_drops {
            self.unchanged.push(Chunk { body: Body::Rows(Vec::new()), ..chunk });
            return Ok(());
        }
        self.waiting.push(ChunkMessage { job: self.job.clone(), chunk, repeats, dropped, last_try: false });
        let waiting_bytes: u64 = self.waiting.iter().map(|message| message.chunk.bytes).sum();
        if waiting_bytes * 4 >= MESSAGE_BYTES as u64 * 3 {
            self.send().await?;
        }
        Ok(())
    }

    /// What there is to say of the rows of a chunk. Rows that take long would keep the whole file waiting: then nothing
    /// is said of them, and of none behind them.
    fn look(&mut self, chunk: &Chunk) -> Look {
        let most = Duration::from_secs(DIGEST_CHUNK_SECONDS);
        let (began, before) = (Instant::now(), processor_time());
        // The clock is asked first, since the other question takes as long as many a row.
        let is_over = || began.elapsed() > most && processor_time().saturating_sub(before) > most;
        let look = self.said.as_mut().and_then(|said| said.look(&self.job, chunk, is_over));
        if look.is_none() && self.said.take().is_some() {
            info!(import.id = %self.import.id, chunk.index, "rows take long to be read: no further one is dropped");
        }
        look.unwrap_or_else(|| Look { repeats: Repeats::Any, dropped: Dropped::default() })
    }

    async fn checkpoint_if_due(&mut self) -> Result<(), Stop> {
        if self.next.chunk - self.reached.chunk >= self.job.chunking.per_checkpoint() {
            self.checkpoint().await?;
        }
        Ok(())
    }

    /// Records what the file is and what its columns are.
    async fn set_columns(&mut self, columns: Columns) -> Result<(), Stop> {
        let Columns { names, ignored, plan, notes } = columns;
        let mut layout = self.import.layout.clone().expect("a file is read by its layout");
        // A splitter that starts over finds them noted.
        let new: Vec<String> = notes.into_iter().filter(|note| !layout.notes.contains(note)).collect();
        layout.notes.extend(new);
        let place = self.store.records_place();
        let source = digest::source(&plan, layout.grammar, self.import.kind_version, &place);
        made(self.store.set_layout(self.import, &layout, &names, &ignored, &source).await?)?;
        self.job.columns = names;
        // Columns are read at the start of a file alone: a splitter that resumes elsewhere does not know what came
        // before.
        self.said = match self.goes_by_digest(&plan) {
            true => {
                // Each row of a replace is looked at, and its options are those of no upsert.
                if !self.import.is_replace() {
                    self.name = self.store.file_name(self.import, &layout, &self.job.columns).await;
                    self.end_if_same(&source).await?;
                }
                Some(self.recall(&plan, &source).await)
            }
            false => {
                let asks = may_leave_out_writes(&self.job, self.store.conditions()) || self.job.is_first_load();
                asks.then(|| Said::keys(&plan))
            }
        };
        self.source = Some(source);
        Ok(())
    }

    /// Whether rows of the file may be dropped, or what they say is kept for the next one: those of an upsert or of a
    /// replace, whose removal asks the file what it names. A file whose splits have begun here before and were never
    /// heard of again may have a row that ends the program: then rows are not read.
    fn goes_by_digest(&self, plan: &Plan) -> bool {
        let is_upsert = self.job.options.mode == Mode::Upsert && self.job.options.writes();
        is_upsert && plan.kind().keeps_digest() && self.import.splits_begun_here() <= DIGEST_TRIES
    }

    /// Accounts for all rows at once, if the file is the one that said last what its digest holds.
    async fn end_if_same(&self, source: &Source) -> Result<(), Stop> {
        let conditions = self.store.conditions();
        let is_asked = !self.import.options.force && conditions.digest_drops;
        let Some(digest) = self.import.digests.get(&source.id).filter(|_| is_asked) else { return Ok(()) };
        match &digest.file {
            Some(file) if Some(&file.name) == self.name.as_ref() => {
                let split = self.store.end_split_of_same(self.import, file.rows, SAME).await?;
                split.map_or(Ok(()), |_| Err(Stop::Same(file.rows)))
            }
            _ => Ok(()),
        }
    }

    /// What was said before the file: by the digest of its source, unless its owner wants every row applied.
    async fn recall(&self, plan: &Plan, source: &Source) -> Said {
        let recalled = match self.import.options.force {
            true => None,
            false => self.store.digest(self.import, source).await,
        };
        let conditions = self.store.conditions();
        let rules = Rules {
            unnamed: conditions.digest_unnamed,
            last: conditions.digest_last,
            cleared: conditions.digest_cleared,
        };
        Said::rows(plan, recalled, penstock_store::random(), rules)
    }

    /// Without [`Conditions::digest_whole`]: takes the digest to be what was said before the checkpoint.
    async fn go_on_with_digest(&mut self) -> Result<(), Stop> {
        let (Some(layout), Some(source)) = (&self.import.layout, &self.import.source) else { return Ok(()) };
        let kind = kind(self.store, self.import).await?.read_by(&layout.reading)?;
        let plan = Plan::compile(kind, layout.grammar, &self.job.columns, &self.job.options.mapping)?;
        if self.goes_by_digest(&plan) {
            self.said = Some(self.recall(&plan, source).await);
            self.source = Some(source.clone());
        }
        Ok(())
    }

    /// Writes the digest of what the file says, if it was read from its first byte to its last.
    async fn write_digest(self, rows: u64) -> Option<Built> {
        let file = self.name.map(|name| File { name, rows });
        self.store.write_digest(self.import, &self.source?, self.said?, file).await
    }

    /// Sends the chunks that wait, and tallies those that are not to be sent. A repeat sends duplicates, and finds the
    /// others tallied.
    async fn send(&mut self) -> Result<(), StoreError> {
        self.store.send_chunks(&self.waiting).await?;
        self.waiting.clear();
        let block_of = |chunk: &Chunk| self.job.chunking.block_of(chunk.index);
        let unchanged = std::mem::take(&mut self.unchanged);
        for chunks in unchanged.chunk_by(|chunk, next| block_of(chunk) == block_of(next)) {
            for chunks in chunks.chunks(TALLIED_AT_ONCE) {
                chunk_end::unchanged(self.store, &self.job, chunks).await?;
            }
        }
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
    (job.no_older_running || !needed.no_older_running) && job.options.mode == Mode::Upsert && job.options.writes()
}

/// How long this thread has been at work: of a machine that others keep busy, less than the clock tells.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn made(step: Step) -> Result<(), Stop> {
    match step {
        Step::Made => Ok(()),
        Step::Overtaken => Err(Stop::Overtaken),
    }
}

/// The file has ended: the last block gets its size, the import its total; the import as it is then. Either may have
/// been what the end was waiting for.
async fn finish(
    store: &Store,
    import: &Import,
    chunks: u32,
    total: u64,
    digest: Option<&Built>,
) -> Result<Import, Stop> {
    let Chunking { per_block, .. } = import.chunking;
    if !chunks.is_multiple_of(per_block) {
        let last = import.chunking.block_of(chunks);
        let block = store.size_block(import, last, chunks % per_block).await?;
        if block.is_full() {
            store.note(import, last, &block).await?;
        }
    }
    store.set_total(import, total, digest).await?.ok_or(Stop::Overtaken)
}
