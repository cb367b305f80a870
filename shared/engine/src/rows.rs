//! Rows: a chunk's bytes become typed rows, and row errors for those that cannot.

mod cells;
mod flat;
mod json;
mod keys;
mod shape;

use std::{borrow::Cow, ops::Range, sync::Arc};

pub use cells::RecordCells;
pub(crate) use cells::is_formula_of_text;
use cells::{Marks, Table};
pub(crate) use json::{Tagged, tagged};
pub use keys::Unreadable;
pub(crate) use keys::each_key;
use penstock_model::{
    Body, Chunk, DocumentFlaw, EmptyCells, Grammar, Job, ReadOptions, RecordFlaw, RowError, ShortRows,
    advice::{Setting, shown},
    codes, limits,
};

use crate::{
    cell::{Cell, CellError, CellResult, Input},
    detect::encoding,
    invisible::{is_blank, is_blank_record},
    key,
    kind::rules::Rules,
    lines,
    mapping::ADDED,
    plan::Plan,
    rejected,
    split::{self, Values},
    transcoded,
};

/// A row that its kind accepts. What it says is the chunk's own text, not a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its number, from 1.
    pub row: u64,
    /// The canonical key of the record that it is about.
    pub key: String,
    /// Fields of the plan's kind, each with a value, or with `None` to clear it. A field that the row does not change
    /// is not here.
    pub cells: Cells<'a>,
}

/// Fields of a row, and what each is set to.
pub type Cells<'a> = Vec<(usize, Option<Cell<'a>>)>;

impl Row<'_> {
    /// Bytes that the row can add to a record, at most.
    pub fn bytes(&self) -> usize {
        self.cells.iter().map(|(_, value)| value.as_ref().map_or(0, Cell::bytes) + 300).sum()
    }
}

/// The rows of a chunk, and the errors of those that are rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The rows that are accepted, in the file's order.
    pub rows: Vec<Row<'a>>,
    /// The errors of the others, in the file's order; at least one for each.
    pub errors: Vec<RowError>,
}

/// How the records of a text are read: by the file's grammar, and by what the import's options say of delimited
/// records.
#[derive(Debug, Clone, Copy)]
pub struct Syntax {
    pub(crate) grammar: Grammar,
    /// What makes the next byte of a quoted cell data.
    pub(crate) escape: Option<u8>,
    /// What begins a line that is no record.
    pub(crate) comment: Option<u8>,
}

impl Syntax {
    /// The syntax of a file of this grammar that is read with these options.
    pub fn of(grammar: Grammar, reading: &ReadOptions) -> Self {
        Self { grammar, escape: split::byte(reading.escape), comment: split::byte(reading.comment) }
    }
}

impl From<&Job> for Syntax {
    fn from(job: &Job) -> Self {
        Self::of(job.grammar, &job.reading)
    }
}

impl From<Grammar> for Syntax {
    fn from(grammar: Grammar) -> Self {
        Self { grammar, escape: None, comment: None }
    }
}

/// The records of a chunk. The rows that are read from them borrow their text.
#[derive(Debug)]
pub struct Records<'c> {
    chunk: &'c Chunk,
    bytes: &'c [u8],
    places: RecordPlaces<'c>,
}

/// Where the records of a chunk stand, as far as that is known before they are read.
#[derive(Debug)]
enum RecordPlaces<'c> {
    /// Where all cells of all records are.
    Cut(Cut<'c>),
    /// JSON values, whose ends are found as they are read.
    Values(Grammar),
}

impl<'c> Records<'c> {
    /// The records of a chunk; those that have delimiters are found here.
    pub fn of(job: &Job, chunk: &'c Chunk) -> Self {
        let bytes: &[u8] = match &chunk.body {
            Body::Rows(bytes) => bytes,
            Body::Refused(_) => &[],
        };
        let places = match job.grammar {
            Grammar::Delimited { .. } => {
                RecordPlaces::Cut(Cut::new(Syntax::from(job), chunk.first_row, chunk.first_line, bytes))
            }
            grammar => RecordPlaces::Values(grammar),
        };
        Self { chunk, bytes, places }
    }
}

/// Delimited records, cut into cells.
#[derive(Debug)]
struct Cut<'c> {
    bytes: &'c [u8],
    places: Vec<Place>,
    table: Table<'c>,
}

#[derive(Debug)]
struct Place {
    row: u64,
    line: u64,
    bytes: Range<usize>,
    cells: Range<usize>,
}

impl<'c> Cut<'c> {
    /// # Panics
    /// For a grammar that has no delimiters.
    fn new(syntax: Syntax, first_row: u64, first_line: u64, bytes: &'c [u8]) -> Self {
        let Grammar::Delimited { delimiter, quoting } = syntax.grammar else { unreachable!("records have delimiters") };
        let marks = Marks { delimiter, quoting, escape: syntax.escape.filter(|_| quoting), comment: syntax.comment };
        let (mut places, mut table, mut row) = (Vec::new(), Table::new(bytes), first_row);
        table.cut(marks, first_line, |record| {
            // As the splitter, which numbers rows.
            if is_blank_record(&bytes[record.bytes.clone()], delimiter, quoting) {
                return;
            }
            places.push(Place { row, line: record.line, bytes: record.bytes, cells: record.cells });
            row += 1;
        });
        Self { bytes, places, table }
    }

    fn located(&self) -> impl Iterator<Item = Located<'_>> {
        self.places.iter().map(|Place { row, line, bytes, cells }| {
            let content = Content::Cells(self.table.record(cells.clone()));
            Located { row: *row, line: *line, start: bytes.start, content, bytes: &self.bytes[bytes.clone()] }
        })
    }
}

/// Counts the line of places in a text, which are asked for in their order.
struct LineAt<'c> {
    bytes: &'c [u8],
    line: u64,
    counted: usize,
}

impl LineAt<'_> {
    fn of(&mut self, at: usize) -> u64 {
        self.line += lines::ended_in(&self.bytes[self.counted..at]);
        self.counted = at;
        self.line
    }
}

/// The rows of a chunk, counted instead of kept, and the errors of those that are rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validated {
    /// How many are accepted.
    pub accepted: u64,
    /// The errors of the others, as in [`Parsed`].
    pub errors: Vec<RowError>,
}

/// Validates every row of a chunk. The same chunk always gives the same answer. The plan learns the members of rows
/// that are JSON objects.
pub fn parse<'r>(plan: &mut Plan, job: &Job, records: &'r Records<'_>) -> Parsed<'r> {
    parse_unless(plan, job, records, || false).expect("nothing stops it")
}

/// Validates every row of a chunk as [`parse`] does, unless `stopped` says between two rows that it shall stop: then
/// there is no answer.
pub fn parse_unless<'r>(
    plan: &mut Plan,
    job: &Job,
    records: &'r Records<'_>,
    stopped: impl Fn() -> bool,
) -> Option<Parsed<'r>> {
    let mut rows = Vec::with_capacity(records.chunk.rows.min(records.bytes.len() as u64) as usize);
    let mut room = 0;
    let errors = each_row(plan, job, records, true, stopped, |plan, row, cells| {
        let key = plan.kind().key_of(cells);
        // The length of the longest row so far, which decays, so that one very long row does not count for ever.
        room = cells.len().max(room - room / 32);
        rows.push(Row { row, key, cells: std::mem::replace(cells, Vec::with_capacity(room)) });
    })?;
    Some(Parsed { rows, errors })
}

/// Validates every row of a chunk as [`parse`] does, and keeps none: nothing is allocated for a row that is accepted,
/// if its kind has no rules across cells.
pub fn check(plan: &mut Plan, job: &Job, records: &Records<'_>) -> Validated {
    let mut accepted = 0;
    let errors = each_row(plan, job, records, false, || false, |_, _, _| accepted += 1);
    Validated { accepted, errors: errors.expect("nothing stops it") }
}

/// Calls `accept` with every row that is accepted, and returns the errors of the others; nothing, if `stopped` said
/// before a row that it shall stop. `accept` may take the cells;
/// the next row's go into what it leaves. Unless `keeps_cells`, or the kind has rules, there are none, and a cell is
/// read only as far as it takes to know that it is good.
fn each_row<'r>(
    plan: &mut Plan,
    job: &Job,
    records: &'r Records<'_>,
    keeps_cells: bool,
    stopped: impl Fn() -> bool,
    accept: impl FnMut(&Plan, u64, &mut Cells<'r>),
) -> Option<Vec<RowError>> {
    if let Body::Refused(refusal) = records.chunk.body {
        return Some(vec![refused(refusal, records.chunk)]);
    }
    let mut errors = Vec::new();
    let reject = |_: &Plan, row, line, _: &Cells<'r>, faults: Faults| errors.extend(faults.at(row, line));
    each_that_is_held(plan, job, records, keeps_cells, stopped, accept, reject)?;
    Some(errors)
}

/// As [`each_row`], of a chunk that holds its rows; calls `reject` with the row, the line, the cells that are good and
/// the faults of every other one.
fn each_that_is_held<'r>(
    plan: &mut Plan,
    job: &Job,
    records: &'r Records<'_>,
    keeps_cells: bool,
    stopped: impl Fn() -> bool,
    mut accept: impl FnMut(&Plan, u64, &mut Cells<'r>),
    mut reject: impl FnMut(&Plan, u64, u64, &Cells<'r>, Faults),
) -> Option<()> {
    let mut reader = RowReader::new(plan, job);
    // Rules are judged of cells.
    let keeps_cells = keeps_cells || reader.rules.is_some();
    let room = if keeps_cells { reader.plan.columns().len() } else { 0 };
    let mut buffer = RowBuffer { cells: Cells::with_capacity(room), findings: Vec::new(), keeps_cells };
    match &records.places {
        RecordPlaces::Cut(cut) => {
            for Place { row, line, bytes, cells } in &cut.places {
                if stopped() {
                    return None;
                }
                let cells = cut.table.record(cells.clone());
                reader.begin(&mut buffer);
                let read = reader.delimited(&mut buffer, cells);
                match reader.faults(&mut buffer, read, Content::Cells(cells), &records.bytes[bytes.clone()]) {
                    None => accept(reader.plan, *row, &mut buffer.cells),
                    Some(faults) => reject(reader.plan, *row, *line, &buffer.cells, faults),
                }
            }
        }
        RecordPlaces::Values(grammar) => {
            let mut values = Values::of(*grammar, records.bytes);
            let mut line = LineAt { bytes: records.bytes, line: records.chunk.first_line, counted: 0 };
            let text = match grammar {
                Grammar::Sheet => None,
                _ => std::str::from_utf8(records.bytes).ok(),
            };
            let mut row = records.chunk.first_row;
            while let Some(start) = values.start() {
                if stopped() {
                    return None;
                }
                reader.begin(&mut buffer);
                let flat = text.and_then(|text| reader.flat(&mut buffer, &text[start..values.reach(start)]));
                let (read, bytes) = match flat {
                    Some(length) if values.pass(start + length) => (Ok(()), &records.bytes[start..start + length]),
                    _ => {
                        let bytes = values.take_from(start);
                        reader.begin(&mut buffer);
                        let read = match grammar {
                            Grammar::Sheet => reader.sheet_row(&mut buffer, bytes),
                            _ => reader.object(&mut buffer, bytes, text.is_none()),
                        };
                        (read, bytes)
                    }
                };
                match reader.faults(&mut buffer, read, Content::of_value(*grammar), bytes) {
                    None => accept(reader.plan, row, &mut buffer.cells),
                    Some(faults) => reject(reader.plan, row, line.of(start), &buffer.cells, faults),
                }
                row += 1;
            }
        }
    }
    Some(())
}

/// Row errors that reject these rows of a chunk, which were accepted before.
pub fn reject(plan: &mut Plan, job: &Job, chunk: &Chunk, rows: &[u64], code: &str, message: &str) -> Vec<RowError> {
    let mut errors = Vec::new();
    if let Body::Rows(bytes) = &chunk.body {
        let mut reader = RowReader::new(plan, job);
        for_each_record(job, chunk.first_row, chunk.first_line, bytes, |record| {
            if rows.contains(&record.row) {
                let (key, source_row) = reader.names_of(record.content, record.bytes);
                let error = Finding::row(code, message.to_owned()).at(record.row, record.line);
                errors.push(RowError { key, source_row, ..error });
            }
        });
    }
    errors
}

/// Row errors that reject every row of a chunk, for a reason that is not in the rows.
pub fn reject_all(job: &Job, chunk: &Chunk, code: &str, message: &str) -> Vec<RowError> {
    let mut errors = Vec::new();
    match &chunk.body {
        Body::Rows(bytes) => for_each_record(job, chunk.first_row, chunk.first_line, bytes, |record| {
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
    Cells(RecordCells<'a>),
    /// A JSON value, which should be an object.
    Object,
    /// A sheet's row, a JSON array.
    SheetRow,
}

impl Content<'_> {
    fn of_value(grammar: Grammar) -> Self {
        if grammar == Grammar::Sheet { Self::SheetRow } else { Self::Object }
    }
}

/// Calls `visit` with every record in a chunk's bytes, in their order. The syntax is that of a [`Job`], or
/// [`Syntax::of`] a layout.
pub fn for_each_record(
    syntax: impl Into<Syntax>,
    first_row: u64,
    first_line: u64,
    bytes: &[u8],
    mut visit: impl FnMut(Located<'_>),
) {
    let syntax = syntax.into();
    let grammar = syntax.grammar;
    if let Grammar::Delimited { .. } = grammar {
        return Cut::new(syntax, first_row, first_line, bytes).located().for_each(visit);
    }
    let (mut values, mut row) = (Values::of(grammar, bytes), first_row);
    let mut line = LineAt { bytes, line: first_line, counted: 0 };
    while let Some(start) = values.start() {
        let content = Content::of_value(grammar);
        visit(Located { row, line: line.of(start), start, content, bytes: values.take_from(start) });
        row += 1;
    }
}

/// The cells of the first record of a delimited text.
pub(crate) fn first_cells(syntax: Syntax, text: &str) -> Vec<String> {
    let cut = Cut::new(syntax, 1, 1, text.as_bytes());
    let cells = cut.places.first().map(|place| cut.table.record(place.cells.clone()));
    let owned = |(_, cell): (_, &[u8])| String::from_utf8_lossy(cell).into_owned();
    cells.map(|cells| cells.texts().map(owned).collect()).unwrap_or_default()
}

/// An error of a row, before its place in the file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    field: Option<String>,
    value: Option<String>,
    code: String,
    message: String,
}

impl Finding {
    /// An error of a row as a whole.
    pub fn row(code: &str, message: String) -> Self {
        debug_assert!(codes::is_row_error(code), "{code} is not the code of a row's error");
        Self { field: None, value: None, code: code.to_owned(), message }
    }

    fn cell(field: &str, cell: &[u8], error: CellError) -> Self {
        debug_assert!(codes::is_row_error(error.code), "{} is not the code of a row's error", error.code);
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
        RowError { row, line, source_row: None, key: None, field, value, code, message }
    }
}

/// Reads records one after the other.
struct RowReader<'a> {
    plan: &'a mut Plan,
    empty_cells: EmptyCells,
    /// Whether cells that are missing at a row's end are absent.
    takes_short: bool,
    takes_escapes: bool,
    /// Whether the file is one of rejected rows, whose cells may stand for errors of a workbook.
    is_of_rejected: bool,
    /// The column by which a row that is no record is told, and the first byte of its name.
    landmark: (usize, u8),
    /// The columns of a header that hold texts of the key, and their fields.
    text_keys: Vec<(usize, usize)>,
    /// For each field the record that named it last, counted from 1 as records are begun.
    named_by: Vec<u64>,
    /// Records that have been begun.
    begun: u64,
    /// What has to be true of a row as a whole, with room for the places of its cells; `None` where nothing has.
    rules: Option<(Arc<Rules>, Vec<usize>)>,
}

/// What has been read of the present row: its cells, and what is wrong with it. Its room is used again for the next.
struct RowBuffer<'r> {
    cells: Cells<'r>,
    findings: Vec<Finding>,
    /// Whether cells are wanted.
    keeps_cells: bool,
}

/// Why a row is rejected.
struct Faults {
    key: Option<String>,
    source_row: Option<u64>,
    findings: Vec<Finding>,
}

impl Faults {
    fn at(self, row: u64, line: u64) -> impl Iterator<Item = RowError> {
        let Self { key, source_row, findings } = self;
        findings.into_iter().map(move |finding| RowError { key: key.clone(), source_row, ..finding.at(row, line) })
    }
}

impl<'a> RowReader<'a> {
    fn new(plan: &'a mut Plan, job: &Job) -> Self {
        let kind = plan.kind();
        let is_text_key = |field: &usize| kind.key_fields().contains(field) && kind.field(*field).is_text();
        let columns = plan.columns().iter().enumerate();
        let text_keys = columns.filter_map(|(at, field)| field.filter(is_text_key).map(|field| (at, field))).collect();
        let (landmark, name) = plan.landmark();
        let landmark = (landmark, name.bytes().next().unwrap_or(b'-'));
        Self {
            landmark,
            empty_cells: job.options.empty_cells,
            takes_short: job.reading.short_rows == Some(ShortRows::Absent),
            takes_escapes: job.reading.escape.is_some(),
            is_of_rejected: plan.is_of_rejected(),
            text_keys,
            named_by: Vec::new(),
            begun: 0,
            // Where fields are left out, rules cannot be judged.
            rules: kind.rules().filter(|_| plan.reads_all()).map(|rules| (rules.clone(), vec![0; rules.variables()])),
            plan,
        }
    }

    /// Begins a record: forgets what was read of the one before.
    fn begin(&mut self, buffer: &mut RowBuffer<'_>) {
        self.begun += 1;
        buffer.cells.clear();
        buffer.findings.clear();
    }

    /// Why a row that has been read is rejected; `None` where it is accepted.
    #[inline]
    fn faults(
        &mut self,
        buffer: &mut RowBuffer<'_>,
        read: Result<(), Finding>,
        content: Content<'_>,
        bytes: &[u8],
    ) -> Option<Faults> {
        match read {
            Ok(())
                if buffer.findings.is_empty()
                    && (self.rules.is_none() || self.keeps_to_rules(buffer, content, bytes)) =>
            {
                None
            }
            Ok(()) => {
                let (key, source_row) = self.names_of(content, bytes);
                Some(Faults { key, source_row, findings: std::mem::take(&mut buffer.findings) })
            }
            // A row that could not be read as a whole has no cells, and so no key. What was added stands at its start.
            Err(found) => {
                Some(Faults { key: None, source_row: self.source_row_of(content, bytes), findings: vec![found] })
            }
        }
    }

    /// Whether a row whose cells are good keeps to the rules of its kind; what it breaks is among its findings then.
    #[inline(never)]
    fn keeps_to_rules(&mut self, buffer: &mut RowBuffer<'_>, content: Content<'_>, bytes: &[u8]) -> bool {
        let Some((rules, mut places)) = self.rules.take() else { return true };
        rules.judge(&buffer.cells, &mut places, |broken| {
            let name = |field: &usize| self.plan.kind().field(*field).name();
            let names: Vec<_> = broken.fields.iter().map(|field| shown(name(field))).collect();
            let message = format!("`{}`: {}", names.join("`, `"), broken.message);
            let field = Some(name(&broken.fields[0]).to_owned());
            let cells = self.cells_of(&broken.fields[..1], content, bytes);
            let value = cells.first().and_then(|cell| cell.as_deref().map(RowError::shown));
            let code = "rule_broken".to_owned();
            buffer.findings.push(Finding { field, value, code, message });
        });
        self.rules = Some((rules, places));
        buffer.findings.is_empty()
    }

    /// The key of a row that can be read as a whole, and the row of the first file that it was.
    fn names_of(&mut self, content: Content<'_>, bytes: &[u8]) -> (Option<String>, Option<u64>) {
        (self.key_of(content, bytes), self.source_row_of(content, bytes))
    }

    /// The row of the first file that a row was, if its file is one of rejected rows and says so.
    fn source_row_of(&mut self, content: Content<'_>, bytes: &[u8]) -> Option<u64> {
        let cell = match content {
            Content::Cells(cells) => Cow::Borrowed(cells.get(self.plan.source_row()?)?),
            Content::Object => self.added_member_of(ADDED[0], bytes)?,
            Content::SheetRow => self.sheet_cell_of(self.plan.source_row()?, bytes)?,
        };
        std::str::from_utf8(&cell).ok()?.trim().parse().ok().filter(|row| *row > 0)
    }

    /// The key of a row that can be read as a whole, as errors show it.
    fn key_of(&mut self, content: Content<'_>, bytes: &[u8]) -> Option<String> {
        let fields = self.plan.kind().key_fields().to_vec();
        let cells = self.cells_of(&fields, content, bytes);
        let parts: Vec<String> =
            cells.iter().map(|cell| RowError::shown(cell.as_deref().unwrap_or_default())).collect();
        if parts.iter().all(|part| is_blank(part)) {
            return None;
        }
        let mut key = String::new();
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                key.push(',');
            }
            key::push_text(&mut key, part);
        }
        Some(key)
    }

    /// The cells of a row that are these fields, as errors show them.
    fn cells_of<'t>(&mut self, fields: &[usize], content: Content<'t>, bytes: &'t [u8]) -> Vec<Option<Cow<'t, [u8]>>> {
        match content {
            Content::Cells(cells) => {
                let column = |field| self.plan.columns().iter().position(|column| *column == Some(field));
                fields.iter().map(|field| cells.get(column(*field)?).map(Cow::Borrowed)).collect()
            }
            Content::Object => self.members_of(fields, bytes),
            Content::SheetRow => self.sheet_cells_of(fields, bytes),
        }
    }

    fn delimited<'r>(&self, buffer: &mut RowBuffer<'r>, cells: RecordCells<'r>) -> Result<(), Finding> {
        self.delimited_shape(cells)?;
        for ((known, cell), field) in cells.texts().zip(self.plan.columns()) {
            let Some(field) = *field else { continue };
            match known {
                Some(text) => self.cell(buffer, field, Input::Text(text), cell),
                None => match text(cell) {
                    Ok(text) => self.cell(buffer, field, Input::Text(text), cell),
                    Err(error) => {
                        buffer.findings.push(Finding::cell(self.plan.kind().field(field).name(), cell, error));
                    }
                },
            }
        }
        // What the row does not say is left as it is.
        if cells.len() < self.plan.columns().len() {
            for field in self.plan.columns()[cells.len()..].iter().flatten() {
                if self.plan.kind().field(*field).is_required() {
                    self.cell(buffer, *field, Input::Null, b"");
                }
            }
        }
        for &(column, field) in &self.text_keys {
            if let Some(cell) = cells.get(column)
                && let Err(error) = shape::spelt_out(cell)
            {
                let name = self.plan.kind().field(field).name();
                // Nothing else that is said of the cell would help.
                buffer.findings.retain(|found| found.field.as_deref() != Some(name));
                buffer.findings.push(Finding::cell(name, cell, error));
            }
        }
        if self.is_of_rejected {
            for (cell, field) in cells.iter().zip(self.plan.columns()) {
                if let (Some(field), Some(shown)) = (field, rejected::error_of(cell)) {
                    let name = self.plan.kind().field(*field).name();
                    buffer.findings.retain(|found| found.field.as_deref() != Some(name));
                    buffer.findings.push(json::error_in_sheet(name, shown));
                }
            }
        }
        Ok(())
    }

    /// Checks one cell; `shown` is what an error shows of it.
    #[inline(always)]
    fn cell<'r>(&self, buffer: &mut RowBuffer<'r>, field: usize, input: Input<'r>, shown: &[u8]) {
        let check = self.plan.kind().field(field);
        match input {
            Input::Text(text) if check.takes_as_it_is(text) => {
                if buffer.keeps_cells {
                    buffer.cells.push((field, Some(Cell::Text(Cow::Borrowed(text)))));
                }
            }
            Input::Text(text) | Input::Number(text) if !buffer.keeps_cells && check.is_plainly_good(text) => {}
            input => self.take(buffer, field, check.check(input), shown),
        }
    }

    #[inline(never)]
    fn take<'r>(&self, buffer: &mut RowBuffer<'r>, field: usize, checked: CellResult<'r>, shown: &[u8]) {
        match checked {
            Ok(_) if !buffer.keeps_cells => {}
            Ok(Some(cell)) => buffer.cells.push((field, Some(cell))),
            // A row never clears a field of its key.
            Ok(None) if self.empty_cells == EmptyCells::Clear && !self.plan.kind().key_fields().contains(&field) => {
                buffer.cells.push((field, None));
            }
            Ok(None) => {}
            Err(errors) => {
                let name = self.plan.kind().field(field).name();
                buffer.findings.extend(errors.into_iter().map(|error| Finding::cell(name, shown, error)));
            }
        }
    }
}

/// What is wrong with a row of so many cells below a header of so many, and what to write.
fn ragged(cells: usize, columns: usize) -> String {
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (has, named) = (count(cells, "cell"), count(columns, "column"));
    let start = format!("the row has {has}, the header names {named}");
    if cells < columns {
        let option = Setting::ShortRows.to("absent");
        format!("{start}: write an empty cell for each that is missing, or give {option} if the row is whole")
    } else {
        format!("{start}: put a cell that holds the delimiter or a quote in quotes, and double the quotes in it")
    }
}

fn text(cell: &[u8]) -> Result<&str, CellError> {
    let text = std::str::from_utf8(cell).map_err(|error| {
        let message = not_in_encoding("cell", cell, error.valid_up_to());
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

/// What is wrong with bytes of a cell or a row that are no text from one of them on.
fn not_in_encoding(what: &str, bytes: &[u8], valid_up_to: usize) -> String {
    let place = format!("byte {} of the {what}", valid_up_to + 1);
    // Of a file in another encoding what came is not known any more.
    let is_decoded = bytes.utf8_chunks().all(|chunk| chunk.invalid().iter().all(|byte| *byte == transcoded::FOREIGN));
    let readings = if is_decoded { None } else { encoding::likely_readings(bytes, valid_up_to) };
    match readings {
        Some(readings) => {
            format!("{place} is not UTF-8: it reads {readings}; {} names the file's encoding", Setting::Encoding)
        }
        None => format!("{place} is not in the file's encoding; {} may name another", Setting::Encoding),
    }
}

fn refused(refusal: RecordFlaw, chunk: &Chunk) -> RowError {
    let finding = match refusal {
        RecordFlaw::TooLarge => Finding::row(
            "record_too_large",
            format!("the row has {} bytes, the limit is {}", chunk.bytes, limits::RECORD_BYTES),
        ),
        RecordFlaw::UnterminatedQuote { opened_line } => Finding::row(
            "unterminated_quote",
            format!(
                "a quote opened on line {opened_line} is never closed, so all {} bytes from line {} to the end of the file are this row",
                chunk.bytes, chunk.first_line
            ),
        ),
        RecordFlaw::BrokenDocument { line, flaw: DocumentFlaw::Ends } => Finding::row(
            "broken_document",
            format!(
                "the file ends inside the JSON document, on line {line}: what may follow row {} is missing",
                chunk.first_row - 1
            ),
        ),
        RecordFlaw::BrokenDocument { line, flaw } => Finding::row(
            "broken_document",
            format!(
                "on line {line} {}: nothing from row {} on can be trusted, and all {} bytes to the end of the file are this row",
                flaw, chunk.first_row, chunk.bytes
            ),
        ),
    };
    finding.at(chunk.first_row, chunk.first_line)
}

#[cfg(test)]
mod tests;
