//! Writing the rejected rows of one import: [`penstock_engine::rejected`] says in which form.

use penstock_engine::{
    plan::Plan,
    rejected::Form,
    rows::{self, Syntax},
};
use penstock_model::{AccountId, Import, ImportId, Layout, Order, Report, ReportCheckpoint, RowError, Status, limits};
use penstock_runtime::Deadline;
use penstock_store::{
    Result, Store, StoreError, crash,
    errors::{ErrorCursor, ErrorPart, Extent},
    text::{Text, TextError},
    uploads::RejectedFile,
};
use tracing::{error, info};

/// Writes the rejected rows file of an ended import and records it, or hands the rest on when the invocation's time is
/// near its end. A repeat finds it recorded, or replaces it by the same; of two at the same time that go on from one
/// place, the one that is overtaken stops.
///
/// # Errors
/// What may be different next time.
pub async fn run(store: &Store, account: &AccountId, id: &ImportId, deadline: Deadline) -> Result<()> {
    let Some(mut import) = store.import(account, id).await? else { return Ok(()) };
    let is_stale = |at: &ReportCheckpoint| !import.owes_report() || store.now_ms() > at.begun_at + limits::REPORT_MS;
    if let Some(left) = import.report_at.clone().filter(is_stale) {
        store.give_up_report(&import, &left).await?;
        import.report_at = None;
    }
    if !import.owes_report() {
        return Ok(());
    }
    let layout = import.layout.clone().unwrap_or_else(Layout::csv);
    let form = form(store, &import, &layout).await?;
    let mut report = Writer {
        store,
        import: &import,
        form: &form,
        syntax: Syntax::of(layout.grammar, &layout.reading),
        text: store.text(&import, 0),
        file: store.rejected_file(&import),
        rows: import.report_at.as_ref().map_or(0, |at| at.rows),
        held: None,
    };
    debug_assert_ne!(import.status, Status::Processing);
    let mut next = match &import.report_at {
        Some(at) => at.next,
        None => {
            report.file.write(&form.head()).await?;
            ErrorCursor::default()
        }
    };
    loop {
        let parts = store.error_parts(&import.id, next, 1).await?;
        let Some(part) = parts.first() else { break };
        next = ErrorCursor { part: part.cursor.part + 1, ..part.cursor };
        report.part(part).await?;
        if report.file.rests().await? && deadline.is_near() {
            let (file, rows) = (report.file, report.rows);
            return hand_on(store, &import, file, next, rows).await;
        }
    }
    let rows = report.rows;
    let key = report.file.finish().await?;
    info!(import.id = %import.id, rows, "the rejected rows are written");
    store.set_report(&import, &Report { key, rows }).await
}

/// Leaves the rest of a file to another invocation, from the errors behind those that are written.
async fn hand_on(store: &Store, import: &Import, file: RejectedFile<'_>, next: ErrorCursor, rows: u64) -> Result<()> {
    if !file.hand_on(import, next, rows).await? {
        info!(import.id = %import.id, "another writer went on, or the import is gone");
        return Ok(());
    }
    store.send(&Order::to_report(import)).await?;
    info!(import.id = %import.id, rows, "the invocation's time is near its end: the rest is handed on");
    crash::point("report.continued");
    Ok(())
}

/// How the rejected rows are written. Without their kind, which may be gone, cells of a sheet are written as they show.
async fn form(store: &Store, import: &Import, layout: &Layout) -> Result<Form> {
    let columns = import.columns.as_deref().unwrap_or_default();
    let kind = store.compiled_kind(&import.account, &import.kind, import.kind_version).await?;
    let kind = kind.and_then(|kind| kind.read_by(&layout.reading).ok());
    let plan = kind.and_then(|kind| Plan::compile(kind, layout.grammar, columns, &import.options.mapping).ok());
    Ok(Form::new(layout, &import.options, columns, plan.as_ref()))
}

struct Writer<'a> {
    store: &'a Store,
    import: &'a Import,
    form: &'a Form,
    syntax: Syntax,
    /// The upload, read up to the last chunk with errors.
    text: Text,
    file: RejectedFile<'a>,
    rows: u64,
    /// The rows of the chunk that was written last: its errors may come in several parts.
    held: Option<(Extent, Vec<u8>)>,
}

impl Writer<'_> {
    async fn part(&mut self, part: &ErrorPart) -> Result<()> {
        let rows: Vec<&[RowError]> = RowError::by_row(&part.errors).collect();
        self.rows += rows.len() as u64;
        let mut written = Vec::new();
        if part.extent.refused {
            return self.pass_through(part).await;
        }
        let mut left = rows.into_iter().peekable();
        let (form, Extent { first_row, first_line, .. }) = (self.form, part.extent);
        let syntax = self.syntax;
        rows::for_each_record(syntax, first_row, first_line, self.chunk(part.extent).await?, |record| {
            if let Some(errors) = left.next_if(|errors| errors[0].row == record.row) {
                form.row(errors, &record, &mut written);
            }
        });
        self.file.write(&written).await
    }

    /// Writes one record that is longer than fits, or all that cannot be trusted, as it came.
    async fn pass_through(&mut self, part: &ErrorPart) -> Result<()> {
        let Extent { offset, bytes: mut left, .. } = part.extent;
        let mut refused = self.form.refused(part.errors.clone());
        self.skip_to(offset).await?;
        while left > 0 {
            let Some(bytes) = self.text.next_of(left).await.map_err(transient)? else { break };
            left -= bytes.len() as u64;
            let mut written = Vec::with_capacity(bytes.len());
            refused.piece(&bytes, &mut written);
            self.file.write(&written).await?;
        }
        let mut written = Vec::new();
        refused.end(&mut written);
        self.file.write(&written).await
    }

    /// The rows of a chunk as they stand in the upload.
    async fn chunk(&mut self, extent: Extent) -> Result<&[u8]> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != extent) {
            let mut rows = Vec::with_capacity(extent.bytes as usize);
            self.skip_to(extent.offset).await?;
            while (rows.len() as u64) < extent.bytes {
                let left = extent.bytes - rows.len() as u64;
                let Some(bytes) = self.text.next_of(left).await.map_err(transient)? else { break };
                rows.extend_from_slice(&bytes);
            }
            self.held = Some((extent, rows));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    /// Parts come in the order of the file, so that it is read once.
    async fn skip_to(&mut self, offset: u64) -> Result<()> {
        if self.text.offset() > offset {
            self.text = self.store.text(self.import, offset);
        }
        self.text.skip_to(offset).await.map_err(transient)
    }
}

/// Rows that were split stand before any damage, so a text that cannot be read there is the storage's fault.
fn transient(error: TextError) -> StoreError {
    match error {
        TextError::Store(error) => error,
        TextError::Failed(failure) => {
            error!(failure.code, "a text that was split cannot be read again");
            StoreError::Unavailable { call: "s3:GetObject", reason: failure.code }
        }
    }
}
