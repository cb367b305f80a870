//! Writing the rejected rows of one import: [`penstock_engine::rejected`] says in which form.

use penstock_engine::{
    rejected,
    rows::{self, Form},
};
use penstock_model::{AccountId, Grammar, Import, ImportId, Layout, Report, RowError, Status};
use penstock_store::{
    Result, Store, StoreError,
    errors::{ErrorCursor, ErrorPart, Extent},
    text::{Text, TextError},
    uploads::RejectedFile,
};
use tracing::{error, info};

/// Writes the rejected rows file of an ended import and records it. A repeat finds it recorded, or replaces it by the
/// same.
///
/// # Errors
/// What may be different next time.
pub async fn run(store: &Store, account: &AccountId, id: &ImportId) -> Result<()> {
    let Some(import) = store.import(account, id).await? else { return Ok(()) };
    if !import.owes_report() {
        return Ok(());
    }
    let mut report = Writer {
        store,
        import: &import,
        grammar: import.grammar(),
        text: store.text(&import, 0),
        file: store.rejected_file(&import),
        rows: 0,
        held: None,
    };
    report.header().await?;
    let mut next = ErrorCursor::default();
    loop {
        let parts = store.error_parts(&import.id, next, 1).await?;
        let Some(part) = parts.first() else { break };
        next = ErrorCursor { part: part.cursor.part + 1, ..part.cursor };
        report.part(part).await?;
    }
    let rows = report.rows;
    let key = report.file.finish().await?;
    info!(import.id = %import.id, rows, "the rejected rows are written");
    store.set_report(&import, &Report { key, rows }).await
}

struct Writer<'a> {
    store: &'a Store,
    import: &'a Import,
    grammar: Grammar,
    /// The upload, read up to the last chunk with errors.
    text: Text,
    file: RejectedFile<'a>,
    rows: u64,
    /// The rows of the chunk that was written last: its errors may come in several parts.
    held: Option<(Extent, Vec<u8>)>,
}

impl Writer<'_> {
    async fn header(&mut self) -> Result<()> {
        debug_assert_ne!(self.import.status, Status::Processing);
        let layout = self.import.layout.clone().unwrap_or_else(Layout::csv);
        let columns = self.import.columns.as_deref().unwrap_or_default();
        self.file.write(&rejected::head(&layout, &self.import.options, columns)).await
    }

    async fn part(&mut self, part: &ErrorPart) -> Result<()> {
        let rows: Vec<&[RowError]> = RowError::by_row(&part.errors).collect();
        self.rows += rows.len() as u64;
        let mut written = Vec::new();
        if part.extent.refused {
            // Between delimiters its reasons stand before it; elsewhere it stands alone.
            for errors in rows {
                rejected::reasons(self.grammar, errors, &mut written);
            }
            self.file.write(&written).await?;
            return self.pass_through(part.extent).await;
        }
        let mut left = rows.into_iter().peekable();
        let columns = self.import.columns.as_deref().unwrap_or_default();
        let (grammar, Extent { first_row, first_line, .. }) = (self.grammar, part.extent);
        let form = self.import.layout.as_ref().map_or(grammar.into(), |layout| Form::of(grammar, &layout.reading));
        rows::for_each_record(form, first_row, first_line, self.chunk(part.extent).await?, |record| {
            if let Some(errors) = left.next_if(|errors| errors[0].row == record.row) {
                rejected::row(grammar, columns, errors, &record, &mut written);
            }
        });
        self.file.write(&written).await
    }

    /// Writes one record that is longer than fits, or all that cannot be trusted, as it came.
    async fn pass_through(&mut self, extent: Extent) -> Result<()> {
        let mut left = extent.bytes;
        self.skip_to(extent.offset).await?;
        while left > 0 {
            let Some(bytes) = self.text.next_of(left).await.map_err(transient)? else { break };
            left -= bytes.len() as u64;
            self.file.write(&bytes).await?;
        }
        self.file.write(b"\n").await
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
