//! Writing the rejected rows of one import.
//!
//! Delimited rows become a file with the columns `_row`, `_line` and `_errors`, then the file's own columns; each rejected row follows as it
//! came. The added columns go first, so that a row with too few cells, or a quote that is never closed, cannot swallow them. JSON rows
//! become a JSON object a line, the same three members in front of their own; so do a sheet's rows, by the names of their columns, since text
//! between delimiters would not tell a number from what looks like one. What is no object, or cannot be trusted, stands alone as it came.
//! Sent again, with the rows mended, the additions are ignored ([`penstock_engine::mapping::ADDED`]).
//!
//! The text is UTF-8, whatever the upload was encoded in, and says so by a byte order mark where that was something else.

use penstock_engine::{
    mapping::ADDED,
    rows::{self, Content, Located},
};
use penstock_model::{Grammar, Import, Report, RowError, Status, UTF_8};
use penstock_store::{
    Result, Store, StoreError,
    errors::{ErrorCursor, ErrorPart, Extent},
    queues::ReportOrder,
    text::{Text, TextError},
    uploads::RejectedFile,
};
use serde_json::{json, value::RawValue};
use tracing::{error, info};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
        let encoding = self.import.layout.as_ref().map(|layout| layout.encoding.as_str());
        if self.import.options.encoding.is_some() || encoding.is_some_and(|encoding| encoding != UTF_8) {
            self.file.write(BYTE_ORDER_MARK).await?;
        }
        let Grammar::Delimited { delimiter, quoting } = self.grammar else { return Ok(()) };
        let own = self.import.columns.iter().flatten().map(String::as_str);
        let header = line(delimiter, quoting, ADDED.into_iter().chain(own));
        self.file.write(&header).await?;
        self.file.write(b"\n").await
    }

    async fn part(&mut self, part: &ErrorPart) -> Result<()> {
        let rejected: Vec<&[RowError]> = part.errors.chunk_by(|a, b| a.row == b.row).collect();
        self.rows += rejected.len() as u64;
        let mut written = Vec::new();
        if part.extent.refused {
            // Between delimiters its reasons stand before it; elsewhere it stands alone.
            for errors in rejected {
                added(self.grammar, errors, &mut written);
            }
            self.file.write(&written).await?;
            return self.pass_through(part.extent).await;
        }
        let mut rejected = rejected.into_iter().peekable();
        let columns = self.import.columns.as_deref().unwrap_or_default();
        let (grammar, Extent { first_row, first_line, .. }) = (self.grammar, part.extent);
        rows::for_each_record(grammar, first_row, first_line, self.chunk(part.extent).await?, |record| {
            if let Some(errors) = rejected.next_if(|errors| errors[0].row == record.row) {
                rejected_row(grammar, columns, errors, &record, &mut written);
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

/// Writes a rejected row with its reasons.
fn rejected_row(grammar: Grammar, columns: &[String], errors: &[RowError], record: &Located<'_>, file: &mut Vec<u8>) {
    match record.content {
        Content::Cells(_) => {
            added(grammar, errors, file);
            file.extend(record.bytes);
        }
        Content::SheetRow => match sheet_members(columns, record.bytes) {
            Some(members) => object(errors, &members, file),
            None => file.extend(record.bytes),
        },
        Content::Object => match record.bytes {
            // One line an object: a line break in it stands between its parts, never in a string.
            [b'{', members @ .., b'}'] if serde_json::from_slice::<&RawValue>(record.bytes).is_ok() => {
                let own = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
                let members: Vec<u8> = members.trim_ascii().iter().map(own).collect();
                object(errors, &members, file);
            }
            broken => file.extend(broken),
        },
    }
    file.push(b'\n');
}

/// Writes an object of the reasons and of members that are written already.
fn object(errors: &[RowError], members: &[u8], file: &mut Vec<u8>) {
    let (row, line_number) = errors.first().map_or((0, 0), |error| (error.row, error.line));
    let reasons = json!({ ADDED[0]: row, ADDED[1]: line_number, ADDED[2]: messages(errors) }).to_string();
    file.extend(&reasons.as_bytes()[..reasons.len() - 1]);
    if !members.is_empty() {
        file.push(b',');
        file.extend(members);
    }
    file.push(b'}');
}

/// The cells of a sheet's row as members by the names of their columns, of equal names the first; `None` for a row that has more cells than
/// the first row names.
fn sheet_members(columns: &[String], row: &[u8]) -> Option<Vec<u8>> {
    let cells: Vec<&RawValue> =
        serde_json::from_slice(row).ok().filter(|cells: &Vec<_>| cells.len() <= columns.len())?;
    let mut members = Vec::new();
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        if column.is_empty()
            || cell.get() == "null"
            || ADDED.contains(&column.as_str())
            || columns[..at].contains(column)
        {
            continue;
        }
        if !members.is_empty() {
            members.push(b',');
        }
        members.extend(json!(column).to_string().bytes());
        members.push(b':');
        members.extend(cell.get().bytes());
    }
    Some(members)
}

fn messages(errors: &[RowError]) -> String {
    let messages: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
    messages.join("; ")
}

/// What goes before a rejected row between delimiters: the added cells and the delimiter behind them.
fn added(grammar: Grammar, errors: &[RowError], file: &mut Vec<u8>) {
    let Grammar::Delimited { delimiter, quoting } = grammar else { return };
    let (row, line_number) = errors.first().map_or((0, 0), |error| (error.row, error.line));
    let cells = [row.to_string(), line_number.to_string(), not_a_formula(messages(errors))];
    file.extend(line(delimiter, quoting, cells.iter().map(String::as_str)));
    file.push(delimiter);
}

/// A cell that a spreadsheet would run as a formula, behind an apostrophe (OWASP, "CSV Injection").
fn not_a_formula(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

/// Cells as one line of the file, without a terminator. Without quoting, what would end a cell becomes a space.
fn line<'a>(delimiter: u8, quoting: bool, cells: impl Iterator<Item = &'a str>) -> Vec<u8> {
    if !quoting {
        let ends_cell = |byte: u8| byte == delimiter || matches!(byte, b'\n' | b'\r');
        let plain = |cell: &str| cell.bytes().map(|byte| if ends_cell(byte) { b' ' } else { byte }).collect::<Vec<_>>();
        return cells.map(plain).collect::<Vec<_>>().join(&delimiter);
    }
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
        let record = Located { row: 7, line: 9, start: 0, content, bytes };
        let columns = ["a", "b", "b", "", "e", "f"].map(str::to_owned);
        rejected_row(grammar, &columns, &[error("required", "x")], &record, &mut file);
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
        assert_eq!(object(b"{ \"a\": 1.10,\n\"b\": 2 }"), format!("{reasons},\"a\": 1.10, \"b\": 2}}\n"));
        assert_eq!(object(b"{}"), format!("{reasons}}}\n"));
        assert_eq!(object(b"{\"a\": }"), "{\"a\": }\n");
        assert_eq!(object(b"17"), "17\n");
    }

    #[test]
    fn a_sheets_rows_become_objects_by_the_names_of_their_columns() {
        let row = |bytes: &[u8]| written(Grammar::Sheet, bytes, Content::SheetRow);
        let reasons = r#"{"_errors":"required: x","_line":9,"_row":7"#;
        let members = r#","a":"a,b","b":19.99,"e":{"date":"2026-11-21"}}"#;
        assert_eq!(row(br#"["a,b",19.99,2,true,{"date":"2026-11-21"}]"#), format!("{reasons}{members}\n"));
        assert_eq!(row(br#"[1,2,3,4,5,6,7]"#), "[1,2,3,4,5,6,7]\n");
    }

    #[test]
    fn without_quoting_nothing_is_quoted() {
        let mut cells = Vec::new();
        let errors = [error("invalid_number", "write it as 1,5 or \"1.5\"")];
        added(Grammar::Delimited { delimiter: b',', quoting: false }, &errors, &mut cells);
        assert_eq!(String::from_utf8(cells).expect("text"), "7,9,invalid_number: write it as 1 5 or \"1.5\",");
    }
}
