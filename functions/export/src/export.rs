//! Exporting the records of one kind.

use bytes::Bytes;
use penstock_engine::export::RecordWriter;
use penstock_model::{AccountId, Export, ExportBegin, ExportCheckpoint, ExportId, Failure, Order, limits::PARTS};
use penstock_runtime::{Deadline, chain};
use penstock_store::{Result, Store, StoreError, crash, export_files::ExportFile};
use tracing::{info, warn};

use crate::{packer::Packer, pages::Pages};

/// Why a reader stops before the end.
enum Stop {
    /// The export can only fail, for this reason.
    Failed(Failure),
    /// Another reader went on, or the export has ended.
    Overtaken,
    /// The invocation's time is near its end; the rest is handed on.
    HandedOn,
    /// Something may be different next time.
    Transient(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Transient(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Reads an export's records from where it stands to their end, or hands the rest on when the invocation's time is near
/// its end. A repeat at the same time is one reader too many: whoever is overtaken stops, and has changed nothing of
/// the file.
///
/// # Errors
/// What may be different next time. What will not, ends the export with a reason and is no error here.
pub async fn run(store: &Store, account: &AccountId, id: &ExportId, deadline: Deadline) -> Result<()> {
    let Some(export) = store.export(account, id).await? else { return Ok(()) };
    let (now, retention) = (store.now_ms(), store.settings().export_retention_ms());
    let begun = match export.begin(now, retention) {
        ExportBegin::Nothing => return Ok(()),
        ExportBegin::GiveUp(failed) => {
            info!(export.id = %id, "the export is given up");
            store.replace_export(&export, &failed).await?;
            return Ok(());
        }
        ExportBegin::Read(begun) => *begun,
    };
    if !store.replace_export(&export, &begun).await? {
        info!(export.id = %id, "another reader was first, or the export has ended");
        return Ok(());
    }
    let mut reader = Reader { store, export: begun, deadline };
    match reader.run().await {
        Ok(()) => Ok(()),
        Err(Stop::HandedOn) => {
            info!(export.id = %id, "the invocation's time is near its end: the rest is handed on");
            Ok(())
        }
        Err(Stop::Overtaken) => {
            info!(export.id = %id, "another reader went on, or the export has ended");
            Ok(())
        }
        Err(Stop::Failed(failure)) => {
            info!(export.id = %id, failure.code, "the export fails");
            if let Some(failed) = reader.export.fail(failure, store.now_ms(), retention) {
                store.replace_export(&reader.export, &failed).await?;
            }
            Ok(())
        }
        Err(Stop::Transient(error)) => {
            if let Some(taken_back) = reader.export.take_back()
                && let Err(error) = store.replace_export(&reader.export, &taken_back).await
            {
                warn!(export.id = %id, error = chain(&error), "a reader that stopped stays noted");
            }
            Err(error)
        }
    }
}

/// One reader at work.
struct Reader<'a> {
    store: &'a Store,
    /// The export as this reader wrote it last.
    export: Export,
    deadline: Deadline,
}

impl Reader<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        if !self.export.checkpoint.is_end() {
            self.read().await?;
        }
        self.complete().await
    }

    /// Writes all that follows the checkpoint, part by part.
    async fn read(&mut self) -> Result<(), Stop> {
        let writer = self.writer().await?;
        let is_first = self.export.checkpoint.parts.is_empty();
        let head = if is_first { writer.head().to_vec() } else { Vec::new() };
        let mut pages = Pages::new(self.store, &self.export, writer, &self.export.checkpoint);
        let (mut at, mut part) = (self.export.checkpoint.clone(), Packer::new(self.export.compression));
        part.write(&head);
        let mut is_empty = head.is_empty();
        while let Some(page) = pages.next().await? {
            part.write(&page.text.bytes);
            is_empty &= page.text.bytes.is_empty();
            (at.shard, at.after) = (page.shard, page.after);
            at.records += page.text.records;
            at.deleted += page.text.deleted;
            at.inexact += page.text.inexact;
            let is_full = part.len() >= self.store.settings().export_part_bytes;
            if is_empty && !at.is_end() && self.deadline.is_near() {
                // A difference may pass by many records before it has one.
                let noted = self.export.note_place(at).ok_or(Stop::Overtaken)?;
                self.replace(noted).await?;
                return self.hand_on().await;
            }
            if !is_full || at.is_end() {
                continue;
            }
            let full = std::mem::replace(&mut part, Packer::new(self.export.compression));
            at = self.store_part(at, full).await?;
            is_empty = true;
            if self.deadline.is_near() {
                return self.hand_on().await;
            }
        }
        // What is compressed has bytes even where there is no record; nothing at all is no part.
        let is_nothing = is_empty && (self.export.compression.extension().is_empty() || !at.parts.is_empty());
        if !is_nothing {
            self.store_part(at, part).await?;
        }
        Ok(())
    }

    /// How records are written, by the kind as it was when the export was ordered.
    async fn writer(&self) -> Result<RecordWriter, Stop> {
        let Export { account, kind, kind_version, format, .. } = &self.export;
        let compiled = self.store.compiled_kind(account, kind, *kind_version).await?;
        let gone = || Failure::new("kind_gone", format!("the kind `{kind}`, or this version of it, has been removed"));
        Ok(RecordWriter::new(compiled.ok_or_else(gone)?, account, *format)?)
    }

    /// Stores a part and notes it; the checkpoint behind it.
    async fn store_part(&mut self, mut at: ExportCheckpoint, part: Packer) -> Result<ExportCheckpoint, Stop> {
        if self.export.next_part > PARTS {
            let message = format!("the file needs more than {PARTS} parts, of {} bytes so far", at.bytes);
            return Err(Failure::new("export_too_large", message).into());
        }
        if self.export.upload.is_none() {
            let upload = self.store.begin_export_file(&self.export).await?;
            let pinned = self.export.with_upload(upload).ok_or(Stop::Overtaken)?;
            self.replace(pinned).await?;
        }
        let part = Bytes::from(part.finish());
        at.bytes += part.len() as u64;
        match self.store.store_export_part(&self.export, part).await? {
            ExportFile::Stored => {}
            ExportFile::Gone => return Err(self.gone().await?),
        }
        let noted = self.export.note_part(at).ok_or(Stop::Overtaken)?;
        self.replace(noted).await?;
        crash::point("export.checkpoint");
        Ok(self.export.checkpoint.clone())
    }

    /// Puts the file together.
    async fn complete(&mut self) -> Result<(), Stop> {
        match self.store.complete_export_file(&self.export).await? {
            ExportFile::Stored => {}
            ExportFile::Gone => return Err(self.gone().await?),
        }
        let retention = self.store.settings().export_retention_ms();
        let completed = self.export.complete(self.store.now_ms(), retention).ok_or(Stop::Overtaken)?;
        self.replace(completed).await?;
        let ExportCheckpoint { records, bytes, .. } = self.export.checkpoint;
        info!(export.id = %self.export.id, records, bytes, "the export is completed");
        crash::point("export.ended");
        Ok(())
    }

    /// What it means that the parts are gone: the export has ended meanwhile, or nobody can finish it.
    async fn gone(&self) -> Result<Stop, Stop> {
        let now = self.store.export(&self.export.account, &self.export.id).await?;
        Ok(match now {
            Some(now) if now.rev == self.export.rev => Stop::Failed(Failure::new(
                "parts_gone",
                "the parts of the file are no longer stored: the export took longer than they are kept",
            )),
            _ => Stop::Overtaken,
        })
    }

    async fn hand_on(&mut self) -> Result<(), Stop> {
        self.store.send(&Order::to_export(&self.export)).await?;
        crash::point("export.continued");
        Err(Stop::HandedOn)
    }

    /// Writes what the export has become, unless another has written since.
    async fn replace(&mut self, next: Export) -> Result<(), Stop> {
        if !self.store.replace_export(&self.export, &next).await? {
            return Err(Stop::Overtaken);
        }
        self.export = next;
        Ok(())
    }
}
