//! Rows: a chunk's bytes become typed rows, and row errors for those that cannot.

use penstock_model::{Body, Chunk, EmptyCells, Job, Refusal, RowError, Value, limits};

use crate::{
    kind::{CellError, Input},
    lines,
    plan::Plan,
};

/// A row that its kind accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1.
    pub row: u64,
    /// The canonical key of the record that it is about.
    pub key: String,
    /// What it says: a field of the plan, and a value or `None` to clear it. A field that it leaves as it is is not here.
    pub cells: Vec<(usize, Option<Value>)>,
}

impl Row {
    /// Bytes that the row can add to a record, at most.
    pub fn bytes(&self) -> usize {
        self.cells.iter().map(|(_, value)| value.as_ref().map_or(0, Value::bytes) + 300).sum()
    }
}

/// What a chunk holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The rows that are accepted, in the file's order.
    pub rows: Vec<Row>,
    /// The errors of the others, in the file's order; at least one for each.
    pub errors: Vec<RowError>,
}

/// Parses and validates every row of a chunk. The same chunk always gives the same answer.
pub fn parse(plan: &Plan, job: &Job, chunk: &Chunk) -> Parsed {
    match &chunk.body {
        Body::Rows(bytes) => {
            let mut parsed = Parsed::default();
            for_each_record(job.delimiter, chunk.first_row, chunk.first_line, bytes, |record| {
                let Located { row, line, .. } = record;
                match check(plan, job, record.cells) {
                    Ok((key, cells)) => parsed.rows.push(Row { row, key, cells }),
                    Err(found) => parsed.errors.extend(found.into_iter().map(|error| error.at(row, line))),
                };
            });
            parsed
        }
        Body::Refused(refusal) => Parsed { rows: Vec::new(), errors: vec![refused(*refusal, chunk)] },
    }
}

/// The physical line on which a row of the chunk starts.
pub fn line_of(job: &Job, chunk: &Chunk, row: u64) -> u64 {
    let mut found = chunk.first_line;
    if let Body::Rows(bytes) = &chunk.body {
        for_each_record(job.delimiter, chunk.first_row, chunk.first_line, bytes, |record| {
            if record.row == row {
                found = record.line;
            }
        });
    }
    found
}

/// Row errors that reject every row of a chunk for a reason that none of them is to blame for.
pub fn reject_all(job: &Job, chunk: &Chunk, code: &str, message: &str) -> Vec<RowError> {
    let mut errors = Vec::new();
    match &chunk.body {
        Body::Rows(bytes) => for_each_record(job.delimiter, chunk.first_row, chunk.first_line, bytes, |record| {
            errors.push(Finding::row(code, message.to_owned()).at(record.row, record.line));
        }),
        Body::Refused(refusal) => errors.push(refused(*refusal, chunk)),
    }
    errors
}

/// A record of a chunk, in its place.
#[derive(Debug)]
pub struct Located<'a> {
    /// Its number, from 1.
    pub row: u64,
    /// The physical line on which it starts, from 1.
    pub line: u64,
    /// Its cells.
    pub cells: &'a csv::ByteRecord,
    /// Its bytes as they came, without the terminator.
    pub bytes: &'a [u8],
}

/// Calls `visit` with every record in a chunk's bytes, in their order.
pub fn for_each_record(
    delimiter: u8,
    first_row: u64,
    first_line: u64,
    bytes: &[u8],
    mut visit: impl FnMut(Located<'_>),
) {
    // The reader takes a byte order mark at its start away. Inside a file it is data, so a chunk is read behind an empty line.
    let behind_an_empty_line = std::io::Read::chain(&b"\n"[..], bytes);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(behind_an_empty_line);
    let mut cells = csv::ByteRecord::new();
    let (mut row, mut line, mut counted) = (first_row, first_line, 0);
    let place = |position: &csv::Position| (position.byte().saturating_sub(1) as usize).min(bytes.len());
    while reader.read_byte_record(&mut cells).expect("bytes in memory are always records") {
        let before = cells.position().map_or(0, place);
        let start = before + bytes[before..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        line += lines::ended_in(&bytes[counted..start]);
        counted = start;
        let raw = &bytes[start..place(reader.position()).max(start)];
        visit(Located { row, line, cells: &cells, bytes: without_terminator(raw) });
        row += 1;
    }
}

fn without_terminator(record: &[u8]) -> &[u8] {
    let terminator = record.iter().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count();
    &record[..record.len() - terminator]
}

/// What is wrong, before it is known where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    field: Option<String>,
    value: Option<String>,
    code: String,
    message: String,
}

impl Finding {
    /// Something that is wrong with a row as a whole.
    pub fn row(code: &str, message: String) -> Self {
        Self { field: None, value: None, code: code.to_owned(), message }
    }

    fn cell(field: &str, cell: &[u8], code: &str, message: String) -> Self {
        Self { field: Some(field.to_owned()), value: Some(RowError::shown(cell)), code: code.to_owned(), message }
    }

    /// The finding as the error of a row that starts on a physical line.
    pub fn at(self, row: u64, line: u64) -> RowError {
        let Self { field, value, code, message } = self;
        RowError { row, line, field, value, code, message }
    }
}

type Cells = Vec<(usize, Option<Value>)>;

fn check(plan: &Plan, job: &Job, record: &csv::ByteRecord) -> Result<(String, Cells), Vec<Finding>> {
    if record.len() != plan.columns.len() {
        let message = format!("the row has {} cells, the header names {} columns", record.len(), plan.columns.len());
        return Err(vec![Finding::row("ragged_row", message)]);
    }
    let mut findings = Vec::new();
    let mut cells = Cells::with_capacity(plan.columns.len());
    for (cell, field) in record.iter().zip(&plan.columns) {
        let Some(field) = *field else { continue };
        let wanted = plan.kind().field(field);
        match text(cell).map_err(|error| vec![error]).and_then(|text| wanted.check(Input::Text(text))) {
            Ok(Some(value)) => cells.push((field, Some(value.into()))),
            // A row never clears what names its record.
            Ok(None) if job.empty_cells == EmptyCells::Clear && !plan.kind().key_fields().contains(&field) => {
                cells.push((field, None));
            }
            Ok(None) => {}
            Err(errors) => findings.extend(errors.into_iter().map(|CellError { path, code, message }| {
                let name = format!("{}{path}", wanted.name());
                let message = match code {
                    "required" => format!("`{name}` {message}"),
                    _ => format!("`{name}`: {message}"),
                };
                Finding::cell(&name, cell, code, message)
            })),
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok((plan.kind().key_of(&cells), cells))
}

fn text(cell: &[u8]) -> Result<&str, CellError> {
    let error = |code, message| CellError { path: String::new(), code, message };
    let text = std::str::from_utf8(cell)
        .map_err(|found| error("invalid_utf8", format!("byte {} of the cell is not UTF-8", found.valid_up_to() + 1)))?;
    match text.find('\0') {
        None => Ok(text),
        Some(at) => Err(error("nul_byte", format!("byte {} of the cell is NUL", at + 1))),
    }
}

fn refused(refusal: Refusal, chunk: &Chunk) -> RowError {
    let finding = match refusal {
        Refusal::TooLarge => Finding::row(
            "record_too_large",
            format!("the row has {} bytes, the limit is {}", chunk.bytes, limits::RECORD_BYTES),
        ),
        Refusal::UnterminatedQuote { opened_line } => Finding::row(
            "unterminated_quote",
            format!(
                "a quote opened on line {opened_line} is never closed, so all {} bytes from line {} to the end of the file are this row",
                chunk.bytes, chunk.first_line
            ),
        ),
    };
    finding.at(chunk.first_row, chunk.first_line)
}

#[cfg(test)]
mod tests {
    use penstock_model::{ImportId, Mode};

    use super::*;

    fn parse_text(text: &[u8], empty_cells: EmptyCells) -> Parsed {
        let columns = ["sku", "name", "brand", "cost", "colour"].map(str::to_owned).to_vec();
        let plan = Plan::compile(crate::kinds::compiled("products"), &columns).expect("columns");
        let job = Job {
            account: "1".parse().expect("valid"),
            import: ImportId::new(1, [0; 10]),
            order: 1,
            kind: "products".parse().expect("valid"),
            mode: Mode::Upsert,
            empty_cells,
            dry_run: false,
            abort: None,
            chunking: Default::default(),
            delimiter: b',',
            columns,
        };
        let chunk = Chunk {
            index: 0,
            first_row: 10,
            first_line: 20,
            offset: 0,
            bytes: text.len() as u64,
            rows: 0,
            body: Body::Rows(text.to_vec()),
        };
        parse(&plan, &job, &chunk)
    }

    #[test]
    fn every_bad_cell_of_a_row_is_named_with_row_and_line() {
        let parsed = parse_text(b"a,b,c,1,x\r\n\r\n\"two\nlines\",n,b,,\r\n,,b,x,\n", EmptyCells::Keep);
        assert_eq!(parsed.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [10, 11]);
        let found: Vec<_> =
            parsed.errors.iter().map(|e| (e.row, e.line, e.field.as_deref(), e.code.as_str())).collect();
        assert_eq!(
            found,
            [
                (12, 24, Some("sku"), "required"),
                (12, 24, Some("name"), "required"),
                (12, 24, Some("cost"), "invalid_number")
            ]
        );
    }

    #[test]
    fn ragged_rows_invalid_utf8_and_nul_are_row_errors_and_the_file_goes_on() {
        let parsed = parse_text(b"a,b,c\n\xff,n,b,1,\nx\0,n,b,1,\nok,n,b,1,\xff\n", EmptyCells::Keep);
        let found: Vec<_> = parsed.errors.iter().map(|e| (e.row, e.line, e.code.as_str())).collect();
        assert_eq!(found, [(10, 20, "ragged_row"), (11, 21, "invalid_utf8"), (12, 22, "nul_byte")]);
        assert_eq!(parsed.rows.len(), 1);
    }

    #[test]
    fn an_empty_cell_is_left_out_or_clears() {
        let keep = parse_text(b"a,n,b,,\n", EmptyCells::Keep);
        assert_eq!(keep.rows[0].cells.len(), 3);
        let clear = parse_text(b"a,n,b,,\n", EmptyCells::Clear);
        assert!(clear.rows[0].cells.contains(&(3, None)));
    }

    #[test]
    fn a_byte_order_mark_inside_the_file_is_data() {
        let parsed = parse_text(b"\xef\xbb\xbfa,n,b,,\n", EmptyCells::Keep);
        assert_eq!(parsed.rows[0].key, "\u{feff}a");
    }
}
