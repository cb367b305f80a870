//! Writing the rejected rows of one import.
//!
//! The file has the columns `_row`, `_line` and `_errors`, then the file's own columns; each rejected row follows as it came. The added
//! columns go first, so that a row with too few cells, or a quote that is never closed, cannot swallow them. Sent again as it is, with the
//! rows mended, the added columns are ignored.

use penstock_engine::rows;
use penstock_model::{Import, Report, RowError, Status};
use penstock_store::{
    Result, Store, StoreError,
    errors::{ErrorCursor, ErrorPart, Extent},
    queues::ReportOrder,
    uploads::RejectedFile,
};
use tracing::info;

/// The columns that are added.
const ADDED: [&str; 3] = ["_row", "_line", "_errors"];

/// Writes the rejected rows file of an ended import and records it. A repeat finds it recorded, or replaces it by the same.
///
/// # Errors
/// What may be different next time.
pub async fn run(store: &Store, order: &ReportOrder) -> Result<()> {
    let Some(import) = store.import(&order.account, &order.import).await? else { return Ok(()) };
    if !import.has_rejected_rows() || import.report.is_some() {
        return Ok(());
    }
    let mut report = Writer { store, import: &import, file: store.rejected_file(&import), rows: 0, held: None };
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
    file: RejectedFile<'a>,
    rows: u64,
    /// The rows of the chunk that was written last: its errors may come in several parts.
    held: Option<(Extent, Vec<u8>)>,
}

impl Writer<'_> {
    async fn header(&mut self) -> Result<()> {
        debug_assert_ne!(self.import.status, Status::Processing);
        let own = self.import.columns.iter().flatten().map(String::as_str);
        let header = line(self.import.delimiter(), ADDED.into_iter().chain(own));
        self.file.write(&header).await?;
        self.file.write(b"\n").await
    }

    async fn part(&mut self, part: &ErrorPart) -> Result<()> {
        let rejected: Vec<&[RowError]> = part.errors.chunk_by(|a, b| a.row == b.row).collect();
        self.rows += rejected.len() as u64;
        if part.extent.refused {
            // One record, longer than fits: it is passed through.
            for errors in rejected {
                self.file.write(&added(self.import.delimiter(), errors)).await?;
            }
            let mut stream = self.store.read_upload(self.import, part.extent.offset, Some(part.extent.bytes)).await?;
            while let Some(bytes) = stream.next().await {
                self.file.write(&bytes.map_err(|_| broken())?).await?;
            }
            return self.file.write(b"\n").await;
        }
        let mut rejected = rejected.into_iter().peekable();
        let mut text = Vec::new();
        let delimiter = self.import.delimiter();
        let Extent { first_row, first_line, .. } = part.extent;
        rows::for_each_record(delimiter, first_row, first_line, self.chunk(part.extent).await?, |record| {
            if let Some(errors) = rejected.next_if(|errors| errors[0].row == record.row) {
                text.extend(added(delimiter, errors));
                text.extend(record.bytes);
                text.push(b'\n');
            }
        });
        self.file.write(&text).await
    }

    /// The rows of a chunk as they stand in the upload.
    async fn chunk(&mut self, extent: Extent) -> Result<&[u8]> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != extent) {
            let stream = self.store.read_upload(self.import, extent.offset, Some(extent.bytes)).await?;
            let bytes = stream.collect().await.map_err(|_| broken())?.to_vec();
            self.held = Some((extent, bytes));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

fn broken() -> StoreError {
    StoreError::Unavailable { call: "s3:GetObject", reason: "the stream broke".into() }
}

/// The added cells of a rejected row, the delimiter behind them included.
fn added(delimiter: u8, errors: &[RowError]) -> Vec<u8> {
    let messages: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
    let (row, line_number) = errors.first().map_or((0, 0), |error| (error.row, error.line));
    let mut cells = line(
        delimiter,
        [row.to_string(), line_number.to_string(), not_a_formula(messages.join("; "))].iter().map(String::as_str),
    );
    cells.push(delimiter);
    cells
}

/// A cell that a spreadsheet would run as a formula, behind an apostrophe (OWASP, "CSV Injection").
fn not_a_formula(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

/// Cells as one line of the file, without a terminator.
fn line<'a>(delimiter: u8, cells: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    writer.write_record(cells).expect("writing to memory succeeds");
    let mut line = writer.into_inner().expect("writing to memory succeeds");
    line.truncate(line.len() - 1);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_cells_are_quoted_and_never_formulas() {
        let error = |code: &str, message: &str| RowError {
            row: 7,
            line: 9,
            field: None,
            value: None,
            code: code.into(),
            message: message.into(),
        };
        let cells = added(b';', &[error("=cmd", "a \"b\""), error("required", "c;d")]);
        assert_eq!(String::from_utf8(cells).expect("text"), "7;9;\"'=cmd: a \"\"b\"\"; required: c;d\";");
    }
}
