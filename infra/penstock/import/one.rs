//! One import from its file to its end, and what is true of it whenever it is broken off.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use penstock_client::{Import, NewImport};
use penstock_model::Status;
use tokio::sync::{mpsc, oneshot};

use super::{
    destination::Destination,
    parts::{Parts, Sending},
    rejected::{self, Place, Saved},
};
use crate::{
    follow,
    interrupt::Interrupts,
    output::FileId,
    progress::Progress,
    source::{Origin, RejectedForm, Source},
};

/// How often an upload's progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// How long a service may take to say what has become of an import that is given up.
const FAREWELL: Duration = Duration::from_secs(10);

/// An import that is to be made.
pub(super) struct Job<'a> {
    /// Its file; `None` where it reads what was uploaded to another import.
    pub(super) origin: Option<&'a Origin>,
    /// Where its rejected rows go, which is none of `inputs`.
    pub(super) rejected: &'a Place,
    /// The form in which they are expected.
    pub(super) form: RejectedForm,
    pub(super) inputs: &'a [FileId],
    pub(super) new: NewImport,
    pub(super) to: &'a Destination,
}

/// An import that has ended.
pub(super) struct Ended {
    pub(super) import: Import,
    pub(super) rejected: Saved,
    pub(super) seconds: f64,
    /// Whether nothing more is to be imported.
    pub(super) is_interrupted: bool,
}

/// An import that was not made, or not followed to its end; the error says what is true of it.
pub(super) struct Broken {
    pub(super) error: anyhow::Error,
    pub(super) is_interruption: bool,
    /// The import as it was last seen, without its upload URL, which is a credential; `None` if none is known to have
    /// been made.
    pub(super) import: Option<Import>,
}

impl<E: Into<anyhow::Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self { error: error.into(), is_interruption: false, import: None }
    }
}

fn interrupted(what: &str) -> Broken {
    Broken { error: anyhow::anyhow!("interrupted; {what}"), is_interruption: true, import: None }
}

/// Makes an import of a file, or of what was uploaded to another import, and follows it to its end.
pub(super) async fn import(job: Job<'_>, interrupts: &mut Interrupts) -> Result<Ended, Broken> {
    let mut seen = None;
    let result = followed(job, interrupts, &mut seen).await;
    result.map_err(|broken| Broken { import: seen, ..broken })
}

/// As [`import`]; `seen` is always the import as it was last seen.
async fn followed(job: Job<'_>, interrupts: &mut Interrupts, seen: &mut Option<Import>) -> Result<Ended, Broken> {
    let Job { origin, rejected: place, form, inputs, mut new, to } = job;
    let client = to.client();
    let (opened, not) = (place.clone(), inputs.to_vec());
    let output = apart(interrupts, move || opened.open(form, &not)).await?;
    let source = match origin.cloned() {
        Some(reader) => Some(apart(interrupts, move || reader.open()).await?),
        None => None,
    };
    new.size = source.as_ref().map(Source::bytes);
    let started = Instant::now();
    let created = tokio::select! {
        created = client.create(&new, None) => created?,
        () = interrupts.next() => {
            return Err(interrupted(&match &new.from {
                None => "nothing was uploaded; should an import have been made, it expires by itself".to_owned(),
                Some(_) => format!("should an import have been made, it goes on: {} shows it", client.hint("list")),
            }));
        }
    };
    let id = created.id.clone();
    *seen = Some(Import { upload: None, ..created.clone() });
    let mut progress = Progress::new();
    if let Some(source) = source {
        let parts = Parts::of(source.bytes());
        let in_parts = parts.as_ref().map(|parts| format!(" in {parts}")).unwrap_or_default();
        progress.say(&format!("{id}: uploading {} bytes{in_parts}", source.bytes()));
        upload(to, &created, &source, &mut progress, interrupts, seen).await?;
    } else if let Some(from) = &created.from {
        progress.say(&format!("{id}: reads what was uploaded to {from}"));
    }
    let watch = client.hint(&format!("watch {id}"));
    let followed = tokio::select! {
        ended = follow::to_its_end(client, &id, &mut progress, seen) => {
            Some(ended.with_context(|| format!("{id} is uploaded and goes on; {watch} follows it further"))?)
        }
        () = interrupts.next() => None,
    };
    let Some(ended) = followed else { return Err(interrupted(&goes_on(to, &id, seen.as_ref()))) };
    *seen = Some(ended.clone());
    drop(progress);
    let seconds = started.elapsed().as_secs_f64();
    let mut is_interrupted = false;
    let rejected = {
        let folder = origin.and_then(Origin::folder);
        let mut saving = pin!(rejected::save(to, &ended, output, place, inputs, folder));
        loop {
            tokio::select! {
                saved = &mut saving => break saved,
                () = interrupts.next() => {
                    if is_interrupted {
                        return Err(interrupted(&format!("{id} has ended, its rejected rows are not saved")));
                    }
                    is_interrupted = true;
                    note!("{id} has ended, its rejected rows are being saved; interrupt once more to leave them");
                }
            }
        }
    };
    Ok(Ended { import: ended, rejected, seconds, is_interrupted })
}

/// Opens a file or a place before anything is uploaded. That may take as long as whoever writes a pipe, or reads one,
/// likes: a thread does it, which nobody waits for.
async fn apart<T: Send + 'static>(
    interrupts: &mut Interrupts,
    open: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Broken> {
    let (sender, opened) = oneshot::channel();
    std::thread::Builder::new().name("open".to_owned()).spawn(move || drop(sender.send(open())))?;
    tokio::select! {
        opened = opened => Ok(opened.context("a thread has ended")??),
        () = interrupts.next() => Err(interrupted("nothing was uploaded")),
    }
}

/// Uploads an import's file. What breaks off is cancelled, so that nothing is imported of which nobody knows.
async fn upload(
    to: &Destination,
    created: &Import,
    source: &Source,
    progress: &mut Progress,
    interrupts: &mut Interrupts,
    seen: &mut Option<Import>,
) -> Result<(), Broken> {
    let sent = Arc::new(AtomicU64::new(0));
    let (said, mut saying) = mpsc::unbounded_channel();
    let mut ticks = tokio::time::interval(TICK);
    let result = {
        let mut upload = pin!(async {
            if let Some(parts) = Parts::of(source.bytes()) {
                return Sending::new(to.client(), &created.id, source, parts, &sent, said).all().await;
            }
            let upload = created.upload.as_ref().context("the service gave no upload URL")?;
            Ok(to.client().upload(upload, source.bytes(), source.body(&sent)?).await?)
        });
        loop {
            tokio::select! {
                result = &mut upload => break Some(result),
                () = interrupts.next() => break None,
                Some(line) = saying.recv() => progress.say(&line),
                _ = ticks.tick() => progress.sent(sent.load(Ordering::Relaxed), source.bytes()),
            }
        }
    };
    let id = &created.id;
    match result {
        Some(Ok(())) => Ok(()),
        None if to.is_kept() => Err(interrupted(&give_up(to, id, interrupts, seen).await)),
        None => Err(interrupted("nothing was imported, and the local cloud ends with this command")),
        Some(Err(error)) => {
            let changed = source.is_unchanged("uploaded");
            // Where nothing but the answer was lost, the import is under way.
            if changed.is_ok() && to.client().import(id).await.is_ok_and(|now| now.status != Status::AwaitingUpload) {
                progress.say(&format!("{error:#}; the upload has arrived all the same"));
                return Ok(());
            }
            let truth = give_up(to, id, interrupts, seen).await;
            match changed {
                Err(changed) => Err(anyhow::anyhow!("{changed:#}; {truth}").into()),
                Ok(()) => Err(error.context(truth).into()),
            }
        }
    }
}

/// Cancels an import whose upload broke off, and says what is true of it then.
async fn give_up(to: &Destination, id: &str, interrupts: &mut Interrupts, seen: &mut Option<Import>) -> String {
    let client = to.client();
    let unknown = |why: &str| {
        format!(
            "the upload broke off, and {id} is not known to be cancelled ({why}): unless the whole file had arrived, \
             it expires by itself; {} cancels it",
            client.hint(&format!("cancel {id}"))
        )
    };
    let cancelled = tokio::select! {
        cancelled = tokio::time::timeout(FAREWELL, client.cancel(id)) => cancelled,
        () = interrupts.next() => return unknown("interrupted again"),
    };
    let (found, error) = match cancelled {
        Err(_) => return unknown("the service does not answer"),
        Ok(Ok(import)) => (import, None),
        Ok(Err(error)) => match client.import(id).await {
            Ok(import) => (import, Some(error)),
            Err(_) => return unknown(&error.to_string()),
        },
    };
    let (status, rows) = (found.status, found.rows.processed);
    *seen = Some(Import { upload: None, ..found });
    match error {
        // These an import becomes without its file, too.
        _ if matches!(status, Status::Cancelled | Status::Expired) && rows == 0 => {
            format!("the upload broke off: {id} is {}, and nothing of it was imported", status.as_str())
        }
        Some(_) if status.is_final() => {
            format!("the whole file had arrived: {id} has ended: {}, {rows} rows", status.as_str())
        }
        Some(error) => unknown(&error.to_string()),
        None => {
            let show = client.hint(&format!("status {id}"));
            format!("the whole file had arrived: {id} is cancelled, {rows} rows had been looked at; {show}")
        }
    }
}

/// What is true of an import that nobody follows any more.
fn goes_on(to: &Destination, id: &str, latest: Option<&Import>) -> String {
    if !to.is_kept() {
        return "the local cloud ends with this command, and with it all that was imported".to_owned();
    }
    let rows = latest.map(|import| &import.rows);
    let total = rows.and_then(|rows| rows.total).map_or("?".to_owned(), |total| total.to_string());
    let processed = rows.map_or(0, |rows| rows.processed);
    let [watch, cancel] = ["watch", "cancel"].map(|command| to.client().hint(&format!("{command} {id}")));
    format!(
        "{id} is uploaded and goes on at {to} ({processed}/{total} rows so far): {watch} follows it, {cancel} cancels \
         it"
    )
}
