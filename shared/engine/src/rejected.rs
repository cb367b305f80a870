//! The rejected rows' file.
//!
//! Delimited rows become a file with the columns `_row`, `_line` and `_errors`, then the file's own columns; each
//! rejected row follows as it came. The added columns go first, so that a row with too few cells, or a quote that is
//! never closed, cannot swallow them. JSON rows become a JSON object a line, the same three members in front of their
//! own; so do a sheet's rows, by the names of their columns, since text between delimiters would not tell a number from
//! what looks like one. What is no object, or cannot be trusted, stands alone as it came. Sent again, with the rows
//! mended, the additions are ignored ([`crate::mapping::ADDED`]).
//!
//! The text is UTF-8, whatever the upload was encoded in, and says so by a byte order mark where that was something
//! else.

use penstock_model::{Grammar, ImportOptions, Layout, RowError, UTF_8};
use serde_json::{json, value::RawValue};

use crate::{
    mapping::ADDED,
    rows::{Content, Located},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What the file of an upload with these columns starts with, before any row.
pub fn head(layout: &Layout, options: &ImportOptions, columns: &[String]) -> Vec<u8> {
    let mut head = Vec::new();
    if options.encoding.is_some() || layout.encoding != UTF_8 {
        head.extend(BYTE_ORDER_MARK);
    }
    if let Grammar::Delimited { delimiter, quoting } = layout.grammar {
        head.extend(line(delimiter, quoting, ADDED.into_iter().chain(columns.iter().map(String::as_str))));
        head.push(b'\n');
    }
    head
}

/// Writes a rejected row with its reasons, a line of the file.
///
/// `errors` are the row's own, at least one; `columns` those of the file.
pub fn row(grammar: Grammar, columns: &[String], errors: &[RowError], record: &Located<'_>, file: &mut Vec<u8>) {
    match record.content {
        Content::Cells(_) => {
            reasons(grammar, errors, file);
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
    let own = json!({ ADDED[0]: row, ADDED[1]: line_number, ADDED[2]: messages(errors) }).to_string();
    file.extend(&own.as_bytes()[..own.len() - 1]);
    if !members.is_empty() {
        file.push(b',');
        file.extend(members);
    }
    file.push(b'}');
}

/// The cells of a sheet's row as members by the names of their columns, of equal names the first. Cells that the first row names no column
/// for are there by the letters of theirs: a row is rejected for them, and comes back whole. `None` for what is no row.
fn sheet_members(columns: &[String], row: &[u8]) -> Option<Vec<u8>> {
    let cells: Vec<&RawValue> = serde_json::from_slice(row).ok()?;
    let mut members = Vec::new();
    for (at, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.get() != "null") {
        let name = match columns.get(at) {
            Some(name) if name.is_empty() || ADDED.contains(&name.as_str()) || columns[..at].contains(name) => continue,
            Some(name) => name.clone(),
            None => format!("column {}", letters(at)),
        };
        if !members.is_empty() {
            members.push(b',');
        }
        members.extend(json!(name).to_string().bytes());
        members.push(b':');
        members.extend(cell.get().bytes());
    }
    Some(members)
}

/// The letters of a sheet's column, from 0.
fn letters(column: usize) -> String {
    let (before, last) = (column / 26, char::from(b'A' + (column % 26) as u8));
    let before = before.checked_sub(1).map(letters).unwrap_or_default();
    format!("{before}{last}")
}

fn messages(errors: &[RowError]) -> String {
    let messages: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
    messages.join("; ")
}

/// Writes what goes before a rejected row between delimiters, the added cells and the delimiter behind them; nothing
/// elsewhere, where what cannot be trusted stands alone.
pub fn reasons(grammar: Grammar, errors: &[RowError], file: &mut Vec<u8>) {
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
        row(grammar, &columns, &[error("required", "x")], &record, &mut file);
        String::from_utf8(file).expect("text")
    }

    #[test]
    fn added_cells_are_quoted_and_never_formulas() {
        let mut cells = Vec::new();
        let errors = [error("=cmd", "a \"b\""), error("required", "c;d")];
        reasons(Grammar::Delimited { delimiter: b';', quoting: true }, &errors, &mut cells);
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
        let of = |bytes: &[u8]| written(Grammar::Sheet, bytes, Content::SheetRow);
        let reasons = r#"{"_errors":"required: x","_line":9,"_row":7"#;
        let members = r#","a":"a,b","b":19.99,"e":{"date":"2026-11-21"}}"#;
        assert_eq!(of(br#"["a,b",19.99,2,true,{"date":"2026-11-21"}]"#), format!("{reasons}{members}\n"));
        // A row with more cells than there are columns is whole.
        let members = r##","a":1,"e":"5","column G":7,"column I":{"error":"#N/A"}}"##;
        let ragged = r##"[1,null,null,null,"5",null,7,null,{"error":"#N/A"}]"##;
        assert_eq!(of(ragged.as_bytes()), format!("{reasons}{members}\n"));
        assert_eq!([0, 25, 26, 701, 702].map(letters), ["A", "Z", "AA", "ZZ", "AAA"]);
        assert_eq!(of(b"{"), "{\n");
    }

    #[test]
    fn without_quoting_nothing_is_quoted() {
        let mut cells = Vec::new();
        let errors = [error("invalid_number", "write it as 1,5 or \"1.5\"")];
        reasons(Grammar::Delimited { delimiter: b',', quoting: false }, &errors, &mut cells);
        assert_eq!(String::from_utf8(cells).expect("text"), "7,9,invalid_number: write it as 1 5 or \"1.5\",");
    }
}
