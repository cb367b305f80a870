//! Writing the rejected rows of one import.
//!
//! Rows of cells become a file with the columns `_row`, `_line` and `_errors`, then the file's own columns; each rejected row follows as it
//! came. The added columns go first, so that a row with too few cells, or a quote that is never closed, cannot swallow them. JSON rows
//! become a JSON object a line, the same three members in front of their own; what is no object stands alone on the line below its reasons.
//! Sent again as it is, with the rows mended, the additions are ignored. The text is UTF-8, whatever the upload was encoded in.

use penstock_engine::{
    rows::{self, Content, Located},
    sheet,
};
use penstock_model::{Grammar, Import, Report, RowError, Status};
use penstock_store::{
    Result, Store, StoreError,
    errors::{ErrorCursor, ErrorPart, Extent},
    queues::ReportOrder,
    text::{Text, TextError},
    uploads::RejectedFile,
};
use serde_json::{json, value::RawValue};
use tracing::{error, info};

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
    let grammar = import.layout.as_ref().map_or(Grammar::CSV, |layout| layout.grammar);
    let mut report = Writer {
        store,
        import: &import,
        grammar,
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
        let Some(delimiter) = delimiter(self.grammar) else { return Ok(()) };
        let own = self.import.columns.iter().flatten().map(String::as_str);
        let header = line(delimiter, ADDED.into_iter().chain(own));
        self.file.write(&header).await?;
        self.file.write(b"\n").await
    }

    async fn part(&mut self, part: &ErrorPart) -> Result<()> {
        let rejected: Vec<&[RowError]> = part.errors.chunk_by(|a, b| a.row == b.row).collect();
        self.rows += rejected.len() as u64;
        let mut written = Vec::new();
        if part.extent.refused {
            for errors in rejected {
                added(self.grammar, errors, &mut written);
            }
            self.file.write(&written).await?;
            return self.pass_through(part.extent).await;
        }
        let mut rejected = rejected.into_iter().peekable();
        let (grammar, Extent { first_row, first_line, .. }) = (self.grammar, part.extent);
        rows::for_each_record(grammar, first_row, first_line, self.chunk(part.extent).await?, |record| {
            if let Some(errors) = rejected.next_if(|errors| errors[0].row == record.row) {
                rejected_row(grammar, errors, &record, &mut written);
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

/// Rows that were split stand in front of what is damaged, so a text that cannot be read there is not the file's fault.
fn transient(error: TextError) -> StoreError {
    match error {
        TextError::Store(error) => error,
        TextError::Failed(failure) => {
            error!(failure.code, "a text that was split cannot be read again");
            StoreError::Unavailable { call: "s3:GetObject", reason: failure.code }
        }
    }
}

/// The delimiter of a rejected rows file that has one: that of the upload, a comma for a sheet.
fn delimiter(grammar: Grammar) -> Option<u8> {
    match grammar {
        Grammar::Delimited { delimiter, .. } => Some(delimiter),
        Grammar::Sheet => Some(b','),
        Grammar::Lines | Grammar::Elements { .. } => None,
    }
}

/// Writes a rejected row with its reasons.
fn rejected_row(grammar: Grammar, errors: &[RowError], record: &Located<'_>, file: &mut Vec<u8>) {
    match record.content {
        Content::Cells(_) => {
            added(grammar, errors, file);
            file.extend(record.bytes);
        }
        Content::SheetRow => {
            added(grammar, errors, file);
            let cells = sheet::cells_as_text(record.bytes);
            file.extend(line(b',', cells.iter().map(String::as_str)));
        }
        Content::Object => match record.bytes {
            // One line an object: a line break in it stands between its parts, never in a string.
            [b'{', members @ ..] if serde_json::from_slice::<&RawValue>(record.bytes).is_ok() => {
                let object = reasons(errors).to_string();
                file.extend(&object.as_bytes()[..object.len() - 1]);
                let members = members.trim_ascii_start();
                if members != b"}" {
                    file.push(b',');
                }
                file.extend(members.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            }
            broken => {
                added(grammar, errors, file);
                file.extend(broken);
            }
        },
    }
    file.push(b'\n');
}

fn reasons(errors: &[RowError]) -> serde_json::Value {
    let (row, line_number) = errors.first().map_or((0, 0), |error| (error.row, error.line));
    json!({ ADDED[0]: row, ADDED[1]: line_number, ADDED[2]: messages(errors) })
}

fn messages(errors: &[RowError]) -> String {
    let messages: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
    messages.join("; ")
}

/// What goes before a rejected row: the added cells and the delimiter behind them, or its reasons on a line of their own.
fn added(grammar: Grammar, errors: &[RowError], file: &mut Vec<u8>) {
    let Some(delimiter) = delimiter(grammar) else {
        file.extend(reasons(errors).to_string().as_bytes());
        file.push(b'\n');
        return;
    };
    let (row, line_number) = errors.first().map_or((0, 0), |error| (error.row, error.line));
    let cells = [row.to_string(), line_number.to_string(), not_a_formula(messages(errors))];
    file.extend(line(delimiter, cells.iter().map(String::as_str)));
    file.push(delimiter);
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

    fn error(code: &str, message: &str) -> RowError {
        let (code, message) = (code.into(), message.into());
        RowError { row: 7, line: 9, key: None, field: None, value: None, code, message }
    }

    fn written(grammar: Grammar, bytes: &[u8], content: Content<'_>) -> String {
        let mut file = Vec::new();
        let record = Located { row: 7, line: 9, content, bytes };
        rejected_row(grammar, &[error("required", "x")], &record, &mut file);
        String::from_utf8(file).expect("text")
    }

    #[test]
    fn added_cells_are_quoted_and_never_formulas() {
        let mut cells = Vec::new();
        let errors = [error("=cmd", "a \"b\""), error("required", "c;d")];
        added(Grammar::Delimited { delimiter: b';', quoting: true }, &errors, &mut cells);
        assert_eq!(String::from_utf8(cells).expect("text"), "7;9;\"'=cmd: a \"\"b\"\"; required: c;d\";");
    }

    #[test]
    fn json_rows_are_a_line_each_with_their_reasons() {
        let object = |bytes: &[u8]| written(Grammar::Lines, bytes, Content::Object);
        let reasons = r#"{"_errors":"required: x","_line":9,"_row":7"#;
        assert_eq!(object(b"{ \"a\": 1.10,\n\"b\": 2 }"), format!("{reasons},\"a\": 1.10, \"b\": 2 }}\n"));
        assert_eq!(object(b"{}"), format!("{reasons}}}\n"));
        assert_eq!(object(b"{\"a\": }"), format!("{reasons}}}\n{{\"a\": }}\n"));
        assert_eq!(object(b"17"), format!("{reasons}}}\n17\n"));
    }

    #[test]
    fn a_sheets_rows_become_cells() {
        let row = br#"["a,b",null,19.99,true,{"date":"2026-11-21"},{"error":"NA"}]"#;
        let cells = written(Grammar::Sheet, row, Content::SheetRow);
        assert_eq!(cells, "7,9,required: x,\"a,b\",,19.99,true,2026-11-21,NA\n");
    }
}
