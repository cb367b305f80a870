//! Rows: a chunk's bytes become typed rows, and row errors for those that cannot.

mod json;

use std::{borrow::Cow, ops::Range};

use penstock_model::{Body, Chunk, EmptyCells, Flaw, Grammar, Job, Refusal, RowError, limits};

use crate::{
    key,
    kind::{Cell, CellError, Input},
    lines,
    plan::Plan,
    split,
};

/// A row that its kind accepts. What it says is the chunk's own text, not a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its number, from 1.
    pub row: u64,
    /// The canonical key of the record that it is about.
    pub key: String,
    /// What it says: a field of the plan's kind, and a value or `None` to clear it. A field that it leaves as it is is not here.
    pub cells: Cells<'a>,
}

/// What a row says of its record's fields.
pub type Cells<'a> = Vec<(usize, Option<Cell<'a>>)>;

impl Row<'_> {
    /// Bytes that the row can add to a record, at most.
    pub fn bytes(&self) -> usize {
        self.cells.iter().map(|(_, value)| value.as_ref().map_or(0, Cell::bytes) + 300).sum()
    }
}

/// What a chunk holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The rows that are accepted, in the file's order.
    pub rows: Vec<Row<'a>>,
    /// The errors of the others, in the file's order; at least one for each.
    pub errors: Vec<RowError>,
}

/// The records of a chunk, found and placed. Rows are read from them, and borrow what they say.
#[derive(Debug)]
pub struct Records<'c> {
    chunk: &'c Chunk,
    grammar: Grammar,
    places: Vec<Place>,
    /// The cells of each, where the grammar has delimiters.
    cells: Vec<csv::ByteRecord>,
}

#[derive(Debug)]
struct Place {
    row: u64,
    line: u64,
    bytes: Range<usize>,
}

impl<'c> Records<'c> {
    /// Finds the records of a chunk.
    pub fn of(job: &Job, chunk: &'c Chunk) -> Self {
        let mut records = Self { chunk, grammar: job.grammar, places: Vec::new(), cells: Vec::new() };
        if let Body::Rows(bytes) = &chunk.body {
            for_each_record(job.grammar, chunk.first_row, chunk.first_line, bytes, |record| {
                let Located { row, line, start, bytes, content } = record;
                records.places.push(Place { row, line, bytes: start..start + bytes.len() });
                if let Content::Cells(cells) = content {
                    records.cells.push(cells.clone());
                }
            });
        }
        records
    }

    fn content(&self, at: usize) -> Content<'_> {
        match self.grammar {
            Grammar::Delimited { .. } => Content::Cells(&self.cells[at]),
            Grammar::Lines | Grammar::Elements { .. } => Content::Object,
            Grammar::Sheet => Content::SheetRow,
        }
    }

    fn bytes(&self, place: &Place) -> &[u8] {
        match &self.chunk.body {
            Body::Rows(bytes) => &bytes[place.bytes.clone()],
            Body::Refused(_) => &[],
        }
    }
}

/// Validates every row of a chunk. The same chunk always gives the same answer. The plan learns members of rows that are JSON objects.
pub fn parse<'r>(plan: &mut Plan, job: &Job, records: &'r Records<'_>) -> Parsed<'r> {
    if let Body::Refused(refusal) = records.chunk.body {
        return Parsed { rows: Vec::new(), errors: vec![refused(refusal, records.chunk)] };
    }
    let mut parsed = Parsed::default();
    let mut reader = RowReader::new(plan, job.empty_cells);
    for (at, place) in records.places.iter().enumerate() {
        let Place { row, line, .. } = *place;
        reader.records += 1;
        let (content, bytes) = (records.content(at), records.bytes(place));
        let read = match content {
            Content::Cells(cells) => reader.delimited(cells),
            Content::Object => reader.object(bytes),
            Content::SheetRow => reader.sheet_row(bytes),
        };
        let (key, found) = match read.map(Reading::whole) {
            Ok(Ok(cells)) => {
                let key = reader.plan.kind().key_of(&cells);
                parsed.rows.push(Row { row, key, cells });
                continue;
            }
            Ok(Err(found)) => (reader.key_of(content, bytes), found),
            // Where cells stand is not known of a row that could not be read as a whole.
            Err(found) => (None, found),
        };
        let located = |finding: Finding| RowError { key: key.clone(), ..finding.at(row, line) };
        parsed.errors.extend(found.into_iter().map(located));
    }
    parsed
}

/// Row errors that reject these rows of a chunk, which were accepted before.
pub fn reject(plan: &mut Plan, job: &Job, chunk: &Chunk, rows: &[u64], code: &str, message: &str) -> Vec<RowError> {
    let mut errors = Vec::new();
    if let Body::Rows(bytes) = &chunk.body {
        let mut reader = RowReader::new(plan, job.empty_cells);
        for_each_record(job.grammar, chunk.first_row, chunk.first_line, bytes, |record| {
            if rows.contains(&record.row) {
                let key = reader.key_of(record.content, record.bytes);
                errors.push(RowError { key, ..Finding::row(code, message.to_owned()).at(record.row, record.line) });
            }
        });
    }
    errors
}

/// Row errors that reject every row of a chunk for a reason that none of them is to blame for.
pub fn reject_all(job: &Job, chunk: &Chunk, code: &str, message: &str) -> Vec<RowError> {
    let mut errors = Vec::new();
    match &chunk.body {
        Body::Rows(bytes) => for_each_record(job.grammar, chunk.first_row, chunk.first_line, bytes, |record| {
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
    /// Where in the chunk's bytes it starts.
    pub start: usize,
    /// What it is made of.
    pub content: Content<'a>,
    /// Its bytes as they came, without the terminator.
    pub bytes: &'a [u8],
}

/// What a record is made of.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// Cells between delimiters.
    Cells(&'a csv::ByteRecord),
    /// What is to be a JSON object.
    Object,
    /// A sheet's row, a JSON array.
    SheetRow,
}

/// Calls `visit` with every record in a chunk's bytes, in their order.
pub fn for_each_record(
    grammar: Grammar,
    first_row: u64,
    first_line: u64,
    bytes: &[u8],
    mut visit: impl FnMut(Located<'_>),
) {
    let (mut row, mut line, mut counted) = (first_row, first_line, 0);
    let mut locate = |start: usize, bytes_of_record: &[u8], content: Content<'_>| {
        line += lines::ended_in(&bytes[counted..start]);
        counted = start;
        visit(Located { row, line, start, content, bytes: bytes_of_record });
        row += 1;
    };
    match grammar {
        Grammar::Delimited { delimiter, quoting } => for_each_delimited(delimiter, quoting, bytes, locate),
        Grammar::Lines | Grammar::Elements { .. } => {
            split::for_each_value(grammar, bytes, |start, value| locate(start, value, Content::Object));
        }
        Grammar::Sheet => split::for_each_value(grammar, bytes, |start, value| locate(start, value, Content::SheetRow)),
    }
}

fn for_each_delimited(delimiter: u8, quoting: bool, bytes: &[u8], mut visit: impl FnMut(usize, &[u8], Content<'_>)) {
    // The reader takes a byte order mark at its start away. Inside a file it is data, so a chunk is read behind an empty line.
    let behind_an_empty_line = std::io::Read::chain(&b"\n"[..], bytes);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .quoting(quoting)
        .delimiter(delimiter)
        .from_reader(behind_an_empty_line);
    let mut cells = csv::ByteRecord::new();
    let place = |position: &csv::Position| (position.byte().saturating_sub(1) as usize).min(bytes.len());
    while reader.read_byte_record(&mut cells).expect("bytes in memory are always records") {
        let before = cells.position().map_or(0, place);
        let start = before + bytes[before..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let raw = &bytes[start..place(reader.position()).max(start)];
        visit(start, without_terminator(raw), Content::Cells(&cells));
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

    fn cell(field: &str, cell: &[u8], error: CellError) -> Self {
        let field = format!("{field}{}", error.path);
        let message = match error.code {
            "required" => format!("`{field}` {}", error.message),
            _ => format!("`{field}`: {}", error.message),
        };
        Self { field: Some(field), value: Some(RowError::shown(cell)), code: error.code.to_owned(), message }
    }

    /// The finding as the error of a row that starts on a physical line.
    pub fn at(self, row: u64, line: u64) -> RowError {
        let Self { field, value, code, message } = self;
        RowError { row, line, key: None, field, value, code, message }
    }
}

/// Reads records one after the other.
struct RowReader<'a> {
    plan: &'a mut Plan,
    empty_cells: EmptyCells,
    /// For each field the record that named it last, counted from 1.
    named_by: Vec<u64>,
    /// Records that have been read, the one that is being read among them.
    records: u64,
}

/// What is read of one row: its cells, and what is wrong with it.
struct Reading<'r> {
    cells: Cells<'r>,
    findings: Vec<Finding>,
}

impl<'r> Reading<'r> {
    fn new(cells: usize) -> Self {
        Self { cells: Cells::with_capacity(cells), findings: Vec::new() }
    }

    /// The cells of a row with which nothing is wrong.
    fn whole(self) -> Result<Cells<'r>, Vec<Finding>> {
        if self.findings.is_empty() { Ok(self.cells) } else { Err(self.findings) }
    }
}

impl<'a> RowReader<'a> {
    fn new(plan: &'a mut Plan, empty_cells: EmptyCells) -> Self {
        Self { plan, empty_cells, named_by: Vec::new(), records: 0 }
    }

    /// What a row that can be read as a whole says of its record's key, as errors show it.
    fn key_of(&mut self, content: Content<'_>, bytes: &[u8]) -> Option<String> {
        let fields = self.plan.kind().key_fields().to_vec();
        let cells: Vec<Option<Cow<'_, [u8]>>> = match content {
            Content::Cells(cells) => {
                let column = |field| self.plan.columns().iter().position(|column| *column == Some(field));
                fields.into_iter().map(|field| cells.get(column(field)?).map(Cow::Borrowed)).collect()
            }
            Content::Object => self.members_of(&fields, bytes),
            Content::SheetRow => self.sheet_cells_of(&fields, bytes),
        };
        if cells.iter().all(|cell| cell.as_ref().is_none_or(|cell| cell.is_empty())) {
            return None;
        }
        let mut key = String::new();
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                key.push(',');
            }
            key::push_text(&mut key, &RowError::shown(cell.as_deref().unwrap_or_default()));
        }
        Some(key)
    }

    fn delimited<'r>(&mut self, record: &'r csv::ByteRecord) -> Result<Reading<'r>, Vec<Finding>> {
        let columns = self.plan.columns().len();
        if record.len() != columns {
            let message = format!("the row has {} cells, the header names {columns} columns", record.len());
            return Err(vec![Finding::row("ragged_row", message)]);
        }
        let mut reading = Reading::new(columns);
        for (at, cell) in record.iter().enumerate() {
            let Some(field) = self.plan.columns()[at] else { continue };
            match text(cell) {
                Ok(text) => self.cell(&mut reading, field, Input::Text(text), cell),
                Err(error) => reading.findings.push(Finding::cell(self.plan.kind().field(field).name(), cell, error)),
            }
        }
        Ok(reading)
    }

    /// Checks one cell; `shown` is what an error shows of it.
    fn cell<'r>(&self, reading: &mut Reading<'r>, field: usize, input: Input<'r>, shown: &[u8]) {
        let checked = self.plan.kind().field(field).check(input);
        self.take(reading, field, checked, shown);
    }

    fn take<'r>(
        &self,
        reading: &mut Reading<'r>,
        field: usize,
        checked: Result<Option<Cell<'r>>, Vec<CellError>>,
        shown: &[u8],
    ) {
        match checked {
            Ok(Some(cell)) => reading.cells.push((field, Some(cell))),
            // A row never clears what names its record.
            Ok(None) if self.empty_cells == EmptyCells::Clear && !self.plan.kind().key_fields().contains(&field) => {
                reading.cells.push((field, None));
            }
            Ok(None) => {}
            Err(errors) => {
                let name = self.plan.kind().field(field).name();
                reading.findings.extend(errors.into_iter().map(|error| Finding::cell(name, shown, error)));
            }
        }
    }
}

fn text(cell: &[u8]) -> Result<&str, CellError> {
    let text = std::str::from_utf8(cell).map_err(|error| {
        let message = format!(
            "byte {} of the cell is not in the file's encoding; `encoding` may name another",
            error.valid_up_to() + 1
        );
        CellError { path: String::new(), code: "invalid_utf8", message }
    })?;
    match text.find('\0') {
        None => Ok(text),
        Some(at) => {
            let message = format!("byte {} of the cell is NUL", at + 1);
            Err(CellError { path: String::new(), code: "nul_byte", message })
        }
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
        Refusal::BrokenDocument { line, flaw: Flaw::Ends } => Finding::row(
            "broken_document",
            format!(
                "the file ends inside the JSON document, on line {line}: what may follow row {} is missing",
                chunk.first_row - 1
            ),
        ),
        Refusal::BrokenDocument { line, flaw } => Finding::row(
            "broken_document",
            format!(
                "on line {line} {}: nothing from row {} on can be trusted, and all {} bytes to the end of the file are this row",
                flaw.as_str(),
                chunk.first_row,
                chunk.bytes
            ),
        ),
    };
    finding.at(chunk.first_row, chunk.first_line)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use penstock_model::{ImportId, Mode};

    use super::*;

    fn parse_text(text: &[u8], empty_cells: EmptyCells) -> Parsed<'static> {
        parse_as(Grammar::CSV, text, empty_cells)
    }

    fn parse_as(grammar: Grammar, text: &[u8], empty_cells: EmptyCells) -> Parsed<'static> {
        let columns = ["sku", "name", "brand", "cost", "colour"].map(str::to_owned).to_vec();
        let mut plan =
            Plan::compile(crate::kinds::compiled("products"), grammar, &columns, &BTreeMap::new()).expect("columns");
        let job = Job {
            account: "1".parse().expect("valid"),
            import: ImportId::new(1, [0; 10]),
            order: 1,
            alone: false,
            kind: "products".parse().expect("valid"),
            mode: Mode::Upsert,
            empty_cells,
            dry_run: false,
            abort: None,
            chunking: Default::default(),
            kind_version: 0,
            grammar,
            columns,
            mapping: BTreeMap::new(),
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
        let records = Records::of(&job, &chunk);
        let Parsed { rows, errors } = parse(&mut plan, &job, &records);
        let owned =
            |cells: Cells<'_>| cells.into_iter().map(|(field, cell)| (field, cell.map(Cell::into_owned))).collect();
        let rows = rows.into_iter().map(|row| Row { row: row.row, key: row.key, cells: owned(row.cells) }).collect();
        Parsed { rows, errors }
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
    fn the_errors_of_a_row_name_its_record_as_the_row_does() {
        let keys = |grammar, text: &[u8]| {
            let parsed = parse_as(grammar, text, EmptyCells::Keep);
            parsed.errors.into_iter().map(|error| error.key).collect::<Vec<_>>()
        };
        let some = |key: &str| Some(key.to_owned());
        let long = "x".repeat(limits::ERROR_VALUE_CHARS + 1);
        let rows = format!("\"a,5%\",,b,,\n,n,b,,\na,b\n{long},,b,,\n");
        let cut = some(&long[1..]);
        assert_eq!(keys(Grammar::CSV, rows.as_bytes()), [some("a%2C5%25"), None, None, cut]);
        let rows = br#"{"name":"","Sku":"a\u0041","brand":"b"}
{"sku":7.50,"name":null,"brand":"b"}
{"sku":{"x":1},"name":"n","brand":"b"}
{"sku":null,"name":"n","brand":"b"}
[1]"#;
        let wanted = [some("aA"), some("7.50"), some("{\"x\":1}"), None, None];
        assert_eq!(keys(Grammar::Lines, rows), wanted);
        let rows = b"[12,null,\"b\"]\n[{\"date\":\"2026-11-21\"},null,\"b\"]\n[null,\"n\"]\n";
        assert_eq!(keys(Grammar::Sheet, rows), [some("12"), some("2026-11-21"), None, None]);
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
