//! The rejected rows' file.
//!
//! Delimited rows become a file with the columns `_row`, `_line` and `_errors`, then the file's own columns; each
//! rejected row follows as it came. The added columns go first, so that a row with too few cells, or a quote that is
//! never closed, cannot swallow them. A sheet's rows become the same between commas, each cell as text from which its
//! field reads the same value; one that holds an error stands behind [`ERROR_MARK`], and is refused until somebody has
//! put a value there. JSON rows become a JSON object a line, the same three members in front of their own. What is no
//! object, or cannot be trusted, stands alone as it came.
//!
//! Sent again, with the rows mended, the additions are ignored ([`crate::mapping::ADDED`]). What is rejected then has
//! them once: `_errors` anew, `_row` and `_line` as they are, so that they go on telling where in the first file the
//! row stood. Such a file is told by these columns ([`told`]): what the options say of where the header and the rows
//! stand in the first file does not hold for it.
//!
//! The text is UTF-8, whatever the upload was encoded in, and says so by a byte order mark where that was something
//! else, or a workbook, or had one itself.

use std::{borrow::Cow, ops::Range};

use penstock_model::{Grammar, ImportOptions, Layout, RowError, UTF_8, delimiter_byte, limits};
use serde::de::IgnoredAny;
use serde_json::{json, value::RawValue};

use crate::{
    cell::Input,
    kind::Kind,
    mapping::ADDED,
    members::{JsonString, Members},
    plan::Plan,
    rows::{Content, Located, Tagged, is_formula_of_text, tagged},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What goes before the error that a workbook's cell holds. In a file of rejected rows no field takes a cell that
/// begins so: `#N/A` would be a text like any other.
pub(crate) const ERROR_MARK: &str = "_error: ";

/// The error that a cell of a file of rejected rows stands for.
pub(crate) fn error_of(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell.strip_prefix(ERROR_MARK.as_bytes())?).ok()
}

/// Lines of a text in which a rejected JSON row is looked for: what is no object stands alone.
const TOLD_LINES: usize = 100;

/// How the rows stand in a text that is a file of rejected rows, if it is one: it begins with its own columns, or has a
/// JSON object on a line that begins with its own members.
pub(crate) fn told(text: &str, quoting: bool) -> Option<Grammar> {
    let text = text.trim_start_matches('\u{feff}');
    if let Some(delimiter) = text.strip_prefix(ADDED[0]).and_then(|rest| rest.bytes().next())
        && delimiter_byte(char::from(delimiter)).is_ok()
    {
        let delimiter_text = char::from(delimiter).to_string();
        let is_end = |rest: &str| rest.is_empty() || rest.starts_with([char::from(delimiter), '\n', '\r']);
        let is_it = text.strip_prefix(&ADDED.join(&delimiter_text)).is_some_and(is_end);
        return is_it.then_some(Grammar::Delimited { delimiter, quoting });
    }
    let is_row = |line: &str| {
        let Some(rest) = line.strip_prefix("{\"_errors\":\"") else { return false };
        rest.contains("\",\"_line\":") && rest.contains(",\"_row\":")
    };
    text.lines().take(TOLD_LINES).any(is_row).then_some(Grammar::Lines)
}

/// What stands between the cells of a sheet's rows.
const COMMA: Grammar = Grammar::Delimited { delimiter: b',', quoting: true };

/// How the rejected rows of a file are written.
#[derive(Debug, Clone)]
pub struct Form {
    /// How the file's own rows stand in it.
    grammar: Grammar,
    has_mark: bool,
    columns: Vec<String>,
    /// The field of each column.
    fields: Vec<Option<usize>>,
    /// Which columns an earlier file of rejected rows has added, by which of [`ADDED`] each is.
    added: Vec<Option<usize>>,
    kind: Option<Kind>,
    /// What makes the next character of a quoted cell data.
    escape: Option<u8>,
    /// Names of [`ADDED`] that are data here: the kind or the mapping has them.
    own: Vec<&'static str>,
}

impl Form {
    /// The form for a file with these columns. `plan` is how its rows were read; `None` where their kind is gone.
    pub fn new(layout: &Layout, options: &ImportOptions, columns: &[String], plan: Option<&Plan>) -> Self {
        let fields = match plan {
            Some(plan) if layout.grammar.has_header() => plan.columns().to_vec(),
            _ => vec![None; columns.len()],
        };
        let is_own = |name: &&str| {
            options.mapping.contains_key(*name) || plan.is_some_and(|plan| plan.kind().index_of(name).is_some())
        };
        let own: Vec<&str> = ADDED.into_iter().filter(is_own).collect();
        let added =
            |name: &String| ADDED.iter().position(|added| added == name).filter(|at| !own.contains(&ADDED[*at]));
        Self {
            grammar: layout.grammar,
            has_mark: layout.has_mark
                || options.encoding.is_some()
                || layout.encoding != UTF_8
                || layout.grammar == Grammar::Sheet,
            columns: columns.to_vec(),
            added: columns.iter().map(added).collect(),
            fields,
            kind: plan.map(|plan| plan.kind().clone()),
            escape: layout.reading.escape.and_then(|escape| u8::try_from(escape).ok()),
            own,
        }
    }

    /// How rows stand in the file that is written.
    fn written(&self) -> Grammar {
        if self.grammar == Grammar::Sheet { COMMA } else { self.grammar }
    }

    /// What the file starts with, before any row.
    pub fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        if self.has_mark {
            head.extend(BYTE_ORDER_MARK);
        }
        if let Grammar::Delimited { delimiter, quoting } = self.written() {
            let own = self.columns.iter().zip(&self.added).filter(|(_, added)| added.is_none());
            let of_sheet = self.grammar == Grammar::Sheet;
            let own = own.map(|(name, _)| if of_sheet { as_it_is(name) } else { Cow::Borrowed(name.as_str()) });
            let names = ADDED.into_iter().map(Cow::Borrowed).chain(own);
            head.extend(self.line(delimiter, quoting, names));
            head.push(b'\n');
        }
        head
    }

    /// Writes a rejected row with its reasons, a line of the file. `errors` are the row's own, at least one.
    pub fn row(&self, errors: &[RowError], record: &Located<'_>, file: &mut Vec<u8>) {
        match record.content {
            Content::Cells(_) => self.cells(errors, record.bytes, file),
            Content::SheetRow => self.sheet_row(errors, record.bytes, file),
            Content::Object => self.object(errors, record.bytes, file),
        }
        file.push(b'\n');
    }

    fn cells(&self, errors: &[RowError], row: &[u8], file: &mut Vec<u8>) {
        let Grammar::Delimited { delimiter, quoting } = self.grammar else { return };
        if self.added.iter().all(Option::is_none) {
            self.reasons(Place::of(errors), errors, file);
            file.push(delimiter);
            file.extend(row);
            return;
        }
        let cells = raw_cells(delimiter, quoting, self.escape, row);
        let texts = |cell: &Range<usize>| String::from_utf8_lossy(&row[cell.clone()]).trim_matches('"').to_owned();
        self.reasons(self.place(errors, cells.iter().map(texts)), errors, file);
        for (at, cell) in cells.into_iter().enumerate() {
            if self.added.get(at).is_none_or(Option::is_none) {
                file.push(delimiter);
                file.extend(&row[cell]);
            }
        }
    }

    fn sheet_row(&self, errors: &[RowError], row: &[u8], file: &mut Vec<u8>) {
        let cells: Vec<&RawValue> = serde_json::from_slice(row).unwrap_or_default();
        let texts: Vec<String> = (0..cells.len().max(self.columns.len()))
            .map(|at| {
                self.text(self.fields.get(at).copied().flatten(), cells.get(at).map_or("null", |cell| cell.get()))
            })
            .collect();
        self.reasons(self.place(errors, texts.iter().cloned()), errors, file);
        let own = texts.iter().enumerate().filter(|(at, _)| self.added.get(*at).is_none_or(Option::is_none));
        let own = self.line(b',', true, own.map(|(_, text)| Cow::Borrowed(text.as_str())));
        if !own.is_empty() {
            file.push(b',');
            file.extend(own);
        }
    }

    /// A cell of a sheet as text from which its field reads the same value.
    fn text(&self, field: Option<usize>, cell: &str) -> String {
        let field = field.zip(self.kind.as_ref()).map(|(field, kind)| kind.field(field));
        let string = || match serde_json::from_str(cell) {
            Ok(JsonString(text)) => as_it_is(&text).into_owned(),
            Err(_) => cell.to_owned(),
        };
        let as_text = |input: Input<'_>, otherwise: &str| match field {
            Some(field) => field.as_text(input).unwrap_or_else(|| field.missing_text().to_owned()),
            None => otherwise.to_owned(),
        };
        match cell.as_bytes().first() {
            Some(b'n') | None => as_text(Input::Null, ""),
            Some(b'"') => string(),
            Some(b't') => as_text(Input::Boolean(true), "true"),
            Some(b'f') => as_text(Input::Boolean(false), "false"),
            Some(b'{') => match tagged(cell) {
                Some(Tagged { date: Some(date), .. }) => as_text(Input::Date(&date), &date),
                Some(Tagged { error: Some(error), .. }) => format!("{ERROR_MARK}{error}"),
                _ => cell.to_owned(),
            },
            Some(b'[') => cell.to_owned(),
            Some(_) => as_text(Input::Number(cell), cell),
        }
    }

    fn object(&self, errors: &[RowError], row: &[u8], file: &mut Vec<u8>) {
        // One line an object: a line break in it stands between its parts, never in a string.
        let on_a_line = |text: &[u8]| {
            text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect::<Vec<_>>()
        };
        let whole: Option<&RawValue> = serde_json::from_slice(row).ok();
        let ([b'{', members @ .., b'}'], Some(_)) = (row, whole) else { return file.extend(row) };
        let is_added = |name: &str| ADDED.contains(&name) && !self.own.contains(&name);
        let has_added = memchr::memmem::find(row, b"\"_").is_some()
            && serde_json::from_slice(row)
                .is_ok_and(|Members::<IgnoredAny>(members)| members.iter().any(|(name, _)| is_added(name)));
        let (mut place, mut own) = (Place::of(errors), on_a_line(members.trim_ascii()));
        if has_added && let Ok(Members::<&RawValue>(members)) = serde_json::from_slice(row) {
            own.clear();
            for (name, value) in members {
                if is_added(&name) {
                    place.set(&name, value.get().trim_matches('"'));
                    continue;
                }
                if !own.is_empty() {
                    own.push(b',');
                }
                own.extend(json!(name).to_string().bytes());
                own.push(b':');
                own.extend(on_a_line(value.get().as_bytes()));
            }
        }
        let added = json!({ ADDED[0]: place.row, ADDED[1]: place.line, ADDED[2]: messages(errors) }).to_string();
        file.extend(&added.as_bytes()[..added.len() - 1]);
        if !own.is_empty() {
            file.push(b',');
            file.extend(own);
        }
        file.push(b'}');
    }

    /// Where the row stood in the first file: what an earlier file of rejected rows says, else where it is in this one.
    fn place(&self, errors: &[RowError], texts: impl Iterator<Item = String>) -> Place {
        let mut place = Place::of(errors);
        for (text, added) in texts.zip(&self.added) {
            if let Some(added) = added {
                place.set(ADDED[*added], &text);
            }
        }
        place
    }

    /// Writes what goes before a rejected row between delimiters, the added cells; nothing elsewhere, where what cannot
    /// be trusted stands alone.
    fn reasons(&self, place: Place, errors: &[RowError], file: &mut Vec<u8>) {
        let Grammar::Delimited { delimiter, quoting } = self.written() else { return };
        let cells = [place.row.to_string(), place.line.to_string(), not_a_formula(messages(errors))];
        file.extend(self.line(delimiter, quoting, cells.iter().map(|cell| Cow::Borrowed(cell.as_str()))));
    }

    /// Cells as one line of the file. Where the file has a character that makes the next one data, that does so in
    /// these cells too.
    fn line<'a>(&self, delimiter: u8, quoting: bool, cells: impl Iterator<Item = Cow<'a, str>>) -> Vec<u8> {
        let Some(escape) = self.escape.map(char::from).filter(|_| quoting) else {
            return line(delimiter, quoting, cells);
        };
        let is_quoted = |cell: &str| cell.contains([char::from(delimiter), '"', '\n', '\r']);
        let escaped = |cell: Cow<'a, str>| match cell.contains(escape) && is_quoted(&cell) {
            true => Cow::Owned(cell.replace(escape, &format!("{escape}{escape}"))),
            false => cell,
        };
        line(delimiter, quoting, cells.map(escaped))
    }

    /// Writes a row that is too long to be held, or that cannot be trusted: it is passed on in pieces.
    pub fn refused(&self, errors: Vec<RowError>) -> Refused<'_> {
        // Only cells at the start of a row can be left out of what passes by.
        let added = self.added.iter().take_while(|added| added.is_some()).count();
        let cut = if matches!(self.grammar, Grammar::Delimited { .. }) { added } else { 0 };
        Refused { form: self, errors, cut, held: Vec::new(), is_begun: false }
    }
}

/// The row and the line of a rejected row in the first file.
#[derive(Debug, Clone, Copy)]
struct Place {
    row: u64,
    line: u64,
}

impl Place {
    /// As the file at hand has them.
    fn of(errors: &[RowError]) -> Self {
        let (row, line) = errors.first().map_or((0, 0), |error| (error.row, error.line));
        Self { row, line }
    }

    /// Takes what an earlier file of rejected rows says, if it is a number.
    fn set(&mut self, added: &str, text: &str) {
        let Some(number) = text.trim().parse().ok().filter(|number| *number > 0) else { return };
        if added == ADDED[0] {
            self.row = number;
        } else if added == ADDED[1] {
            self.line = number;
        }
    }
}

/// A row that passes by.
#[derive(Debug)]
pub struct Refused<'f> {
    form: &'f Form,
    errors: Vec<RowError>,
    /// Cells at its start that are left out.
    cut: usize,
    /// What has passed before those cells have ended.
    held: Vec<u8>,
    is_begun: bool,
}

impl Refused<'_> {
    /// Writes the next bytes of the row.
    pub fn piece(&mut self, bytes: &[u8], file: &mut Vec<u8>) {
        if self.is_begun {
            return self.pass(bytes, file);
        }
        self.held.extend(bytes);
        let Grammar::Delimited { delimiter, quoting } = self.form.grammar else { return self.begin(0, file) };
        let cells =
            raw_cells(delimiter, quoting, self.form.escape, &self.held[..self.held.len().min(limits::HEADER_BYTES)]);
        // The last one may go on.
        if cells.len() > self.cut {
            self.begin(if self.cut == 0 { 0 } else { cells[self.cut].start }, file);
        } else if self.held.len() > limits::HEADER_BYTES {
            self.begin(0, file);
        }
    }

    /// Writes the end of the row.
    pub fn end(mut self, file: &mut Vec<u8>) {
        if !self.is_begun {
            self.begin(0, file);
        }
        file.extend_from_slice(if self.form.grammar == Grammar::Sheet { b"\"\n" } else { b"\n" });
    }

    fn begin(&mut self, cut: usize, file: &mut Vec<u8>) {
        self.is_begun = true;
        let held = std::mem::take(&mut self.held);
        let mut place = Place::of(&self.errors);
        if let (Grammar::Delimited { delimiter, quoting }, true) = (self.form.grammar, cut > 0) {
            let texts = raw_cells(delimiter, quoting, self.form.escape, &held[..cut - 1]);
            let texts = texts.into_iter().map(|cell| String::from_utf8_lossy(&held[cell]).trim_matches('"').to_owned());
            place = self.form.place(&self.errors, texts);
        }
        self.form.reasons(place, &self.errors, file);
        match self.form.grammar {
            Grammar::Delimited { delimiter, .. } => file.push(delimiter),
            // The cells of a sheet's row are not known: all of it stands in one.
            Grammar::Sheet => file.extend(b",\""),
            Grammar::Lines | Grammar::Elements { .. } | Grammar::Concatenated => {}
        }
        self.pass(&held[cut..], file);
    }

    fn pass(&self, bytes: &[u8], file: &mut Vec<u8>) {
        if self.form.grammar != Grammar::Sheet {
            return file.extend(bytes);
        }
        for byte in bytes {
            file.extend(if *byte == b'"' { &b"\"\""[..] } else { std::slice::from_ref(byte) });
        }
    }
}

/// Where the cells of a record are, as it came, each with its quotes.
fn raw_cells(delimiter: u8, quoting: bool, escape: Option<u8>, record: &[u8]) -> Vec<Range<usize>> {
    let (mut cells, mut start, mut at) = (Vec::new(), 0, 0);
    while at < record.len() {
        if quoting && at == start && record[at] == b'"' {
            // To the quote that closes it: two are one that is data.
            at += 1;
            while at < record.len() {
                match (record[at], record.get(at + 1)) {
                    (b'"', Some(b'"')) => at += 2,
                    (byte, Some(_)) if Some(byte) == escape => at += 2,
                    (b'"', _) => break,
                    _ => at += 1,
                }
            }
            at += 1;
        } else if record[at] == delimiter {
            cells.push(start..at);
            at += 1;
            start = at;
        } else {
            at += 1;
        }
    }
    cells.push(start..record.len());
    cells
}

/// A text of a sheet as a delimited file has it: one that is itself a formula of a text stands in another.
fn as_it_is(text: &str) -> Cow<'_, str> {
    match is_formula_of_text(text.as_bytes()) {
        true => format!("=\"{}\"", text.replace('"', "\"\"")).into(),
        false => text.into(),
    }
}

fn messages(errors: &[RowError]) -> String {
    let messages: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
    messages.join("; ")
}

/// A cell that a spreadsheet would run as a formula, behind an apostrophe (OWASP, "CSV Injection").
fn not_a_formula(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

/// Cells as one line of the file, without a terminator. Without quoting, what would end a cell becomes a space.
fn line<'a>(delimiter: u8, quoting: bool, cells: impl Iterator<Item = Cow<'a, str>>) -> Vec<u8> {
    if !quoting {
        let ends_cell = |byte: u8| byte == delimiter || matches!(byte, b'\n' | b'\r');
        let plain =
            |cell: Cow<'_, str>| cell.bytes().map(|byte| if ends_cell(byte) { b' ' } else { byte }).collect::<Vec<_>>();
        return cells.map(plain).collect::<Vec<_>>().join(&delimiter);
    }
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    writer.write_record(cells.map(Cow::into_owned)).expect("writing to memory succeeds");
    let mut line = writer.into_inner().expect("writing to memory succeeds");
    line.truncate(line.len() - 1);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> RowError {
        let (code, message) = (code.into(), message.into());
        RowError { row: 7, line: 9, source_row: None, key: None, field: None, value: None, code, message }
    }

    fn form(grammar: Grammar, columns: &[&str]) -> Form {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let layout = Layout::plain(penstock_model::Format::Csv, grammar);
        Form::new(&layout, &ImportOptions::default(), &columns, None)
    }

    fn written(form: &Form, bytes: &[u8], content: Content<'_>) -> String {
        let mut file = Vec::new();
        let record = Located { row: 7, line: 9, start: 0, content, bytes };
        form.row(&[error("required", "x")], &record, &mut file);
        String::from_utf8(file).expect("text")
    }

    /// A row that passes by in pieces of one byte.
    fn passed(form: &Form, bytes: &[u8]) -> String {
        let (mut file, mut refused) = (Vec::new(), form.refused(vec![error("record_too_large", "x")]));
        bytes.chunks(1).for_each(|piece| refused.piece(piece, &mut file));
        refused.end(&mut file);
        String::from_utf8(file).expect("text")
    }

    fn cells(grammar: Grammar, errors: &[RowError]) -> String {
        let mut file = Vec::new();
        form(grammar, &[]).reasons(Place::of(errors), errors, &mut file);
        String::from_utf8(file).expect("text")
    }

    #[test]
    fn added_cells_are_quoted_and_never_formulas() {
        let errors = [error("=cmd", "a \"b\""), error("required", "c;d")];
        let semicolons = Grammar::Delimited { delimiter: b';', quoting: true };
        assert_eq!(cells(semicolons, &errors), "7;9;\"'=cmd: a \"\"b\"\"; required: c;d\"");
        let unquoted = Grammar::Delimited { delimiter: b',', quoting: false };
        let errors = [error("invalid_number", "write it as 1,5 or \"1.5\"")];
        assert_eq!(cells(unquoted, &errors), "7,9,invalid_number: write it as 1 5 or \"1.5\"");
    }

    #[test]
    fn json_rows_are_a_line_each_with_their_reasons() {
        let form = form(Grammar::Lines, &[]);
        let object = |bytes: &[u8]| written(&form, bytes, Content::Object);
        let reasons = r#"{"_errors":"required: x","_line":9,"_row":7"#;
        assert_eq!(object(b"{ \"a\": 1.10,\n\"b\": 2 }"), format!("{reasons},\"a\": 1.10, \"b\": 2}}\n"));
        assert_eq!(object(b"{}"), format!("{reasons}}}\n"));
        assert_eq!(object(b"{\"a\": }"), "{\"a\": }\n");
        assert_eq!(object(b"17"), "17\n");
    }

    #[test]
    fn what_an_earlier_round_added_is_replaced_and_the_place_in_the_first_file_stays() {
        let json = form(Grammar::Lines, &[]);
        let again = br#"{"_errors":"old","_line":3,"_row":2,"a": [1, 2],"_b":"_row"}"#;
        assert_eq!(
            written(&json, again, Content::Object),
            "{\"_errors\":\"required: x\",\"_line\":3,\"_row\":2,\"a\":[1, 2],\"_b\":\"_row\"}\n"
        );
        let csv = form(Grammar::CSV, &["_row", "_line", "_errors", "sku", "name"]);
        assert_eq!(String::from_utf8(csv.head()).expect("text"), "_row,_line,_errors,sku,name\n");
        let mut table = Vec::new();
        csv.cells(&[error("required", "x")], b"2,3,\"old, \"\"x\"\"\",A,\"a \"\"b\"\"\"", &mut table);
        assert_eq!(String::from_utf8(table).expect("text"), "2,3,required: x,A,\"a \"\"b\"\"\"");
        // Of a row that has lost its cells the place is that in this file.
        let mut table = Vec::new();
        csv.cells(&[error("ragged_row", "x")], b"x", &mut table);
        assert_eq!(String::from_utf8(table).expect("text"), "7,9,ragged_row: x");
        assert_eq!(passed(&csv, b"2,3,\"old, x\",A,\"b"), "2,3,record_too_large: x,A,\"b\n");
        assert_eq!(passed(&csv, b"2,3,\"never closed"), "7,9,record_too_large: x,2,3,\"never closed\n");
        let moved = form(Grammar::CSV, &["sku", "_errors", "_row"]);
        let mut table = Vec::new();
        moved.cells(&[error("required", "x")], b"A,old,2", &mut table);
        assert_eq!(String::from_utf8(table).expect("text"), "2,9,required: x,A");
    }

    #[test]
    fn a_file_of_rejected_rows_is_told_by_its_own_columns() {
        let semicolons = Grammar::Delimited { delimiter: b';', quoting: true };
        assert_eq!(told("\u{feff}_row;_line;_errors;sku\n", true), Some(semicolons));
        assert_eq!(told("_row,_line,_errors\n", true), Some(Grammar::CSV));
        assert_eq!(told("17\n{\"_errors\":\"x\",\"_line\":1,\"_row\":1,\"a\":[{}]}\n", true), Some(Grammar::Lines));
        for other in
            ["", "_row", "_row,_line\n", "_row,_line,_errors2\n", "sku,_row,_line,_errors\n", "{\"_errors\":1}\n"]
        {
            assert_eq!(told(other, true), None, "{other}");
        }
    }

    #[test]
    fn what_makes_the_next_character_data_does_so_in_what_is_added() {
        let mut layout = Layout::csv();
        layout.reading.escape = Some('\\');
        let form = Form::new(&layout, &ImportOptions::default(), &["sku".to_owned()], None);
        let mut file = Vec::new();
        let errors = [error("x", "a \\\"b\\\", c")];
        form.cells(&errors, b"A", &mut file);
        assert_eq!(String::from_utf8(file).expect("text"), "7,9,\"x: a \\\\\"\"b\\\\\"\", c\",A");
    }

    #[test]
    fn a_mark_at_the_start_of_the_first_file_is_kept() {
        let marked = Layout { has_mark: true, ..Layout::csv() };
        let head = |layout| Form::new(layout, &ImportOptions::default(), &["sku".to_owned()], None).head();
        assert_eq!(head(&marked), "\u{feff}_row,_line,_errors,sku\n".as_bytes());
        assert_eq!(head(&Layout::csv()), b"_row,_line,_errors,sku\n");
    }

    #[test]
    fn names_that_the_kind_or_the_mapping_has_are_data() {
        let options =
            ImportOptions { mapping: [("_line".to_owned(), "name".to_owned())].into(), ..ImportOptions::default() };
        let columns = ["_row", "_line"].map(str::to_owned);
        let form = Form::new(&Layout::csv(), &options, &columns, None);
        assert_eq!(String::from_utf8(form.head()).expect("text"), "_row,_line,_errors,_line\n");
    }

    #[test]
    fn a_sheets_rows_become_cells_that_their_fields_read_as_the_same_values() {
        let schema = r#"{"name": "k", "fields": [{"name": "t"}, {"name": "n", "type": "number", "decimalChar": ","},
            {"name": "i", "type": "integer"}, {"name": "b", "type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"]},
            {"name": "d", "type": "date", "format": "%d.%m.%Y"}, {"name": "m", "type": "datetime"}], "primaryKey": "t"}"#;
        let schema = Kind::parse(schema.as_bytes()).expect("a schema");
        let kind = Kind::compile(&schema, &"1".parse().expect("valid")).expect("a kind");
        let columns = ["t", "n", "i", "b", "d", "m"].map(str::to_owned);
        let layout = Layout::plain(penstock_model::Format::Xlsx, Grammar::Sheet);
        let plan = Plan::compile(kind, Grammar::Sheet, &columns, &std::collections::BTreeMap::new()).expect("a plan");
        let form = Form::new(&layout, &ImportOptions::default(), &columns, Some(&plan));
        assert_eq!(String::from_utf8(form.head()).expect("text"), "\u{feff}_row,_line,_errors,t,n,i,b,d,m\n");
        let of = |bytes: &[u8]| written(&form, bytes, Content::SheetRow);
        let reasons = "7,9,required: x";
        assert_eq!(
            of(br#"["a, \"b\"",19.99,5.0,true,{"date":"2026-11-21"},{"date":"2026-11-21"}]"#),
            format!("{reasons},\"a, \"\"b\"\"\",\"19,99\",5,ja,21.11.2026,2026-11-21T00:00:00\n")
        );
        assert_eq!(of(br##"[7,"x",null,false,{"error":"#N/A"}]"##), format!("{reasons},7,x,,nein,_error: #N/A,\n"));
        // What would be taken for a formula of a text stands in one.
        assert_eq!(of(br##"["=\"abc\""]"##), format!("{reasons},\"=\"\"=\"\"\"\"abc\"\"\"\"\"\"\",,,,,\n"));
        // A row with more cells than there are columns is whole.
        assert_eq!(of(br#"[1,null,null,null,null,null,null,8]"#), format!("{reasons},1,,,,,,,8\n"));
        assert_eq!(passed(&form, br#"["a"]"#), "7,9,record_too_large: x,\"[\"\"a\"\"]\"\n");
    }
}
