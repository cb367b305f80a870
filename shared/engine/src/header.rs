//! The header of a file: its columns.

use std::collections::HashSet;

use penstock_model::{Failure, Grammar, advice::shown, limits};
use serde::de::IgnoredAny;

use crate::{
    invisible::trimmed,
    members::Members,
    rows::{self, Syntax},
    sheet,
    split::Values,
};

/// The columns that the file's first record names, in its order. Invisible characters at the ends of a name do not
/// count.
///
/// # Errors
/// A permanent failure: `not_csv` where the bytes are no text, `too_many_columns` over [`limits::COLUMNS`],
/// `name_too_long` over [`limits::COLUMN_NAME_CHARS`], `header_too_large` over [`limits::HEADER_BYTES`].
pub fn columns(header: &[u8], syntax: impl Into<Syntax>) -> Result<Vec<String>, Failure> {
    let syntax = syntax.into();
    if header.len() > limits::HEADER_BYTES {
        let message = format!("the header has {} bytes, the limit is {}", header.len(), limits::HEADER_BYTES);
        return Err(Failure::new("header_too_large", message));
    }
    let text = std::str::from_utf8(header).ok().filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        return Err(Failure::new(
            "not_csv",
            "the first line is not text, so this is not a CSV file; its first line must name the columns",
        ));
    };
    let columns = match syntax.grammar {
        Grammar::Delimited { .. } => rows::first_cells(syntax, text),
        Grammar::Sheet => sheet::cells_as_text(text.as_bytes()),
        Grammar::Lines | Grammar::Elements { .. } | Grammar::Concatenated => Vec::new(),
    };
    let columns: Vec<String> = columns.iter().map(|name| trimmed(name).to_owned()).collect();
    if columns.len() > limits::COLUMNS {
        let message = format!("the header names {} columns, the limit is {}", columns.len(), limits::COLUMNS);
        return Err(Failure::new("too_many_columns", message));
    }
    let is_long = |name: &String| name.chars().count() > limits::COLUMN_NAME_CHARS;
    if let Some(at) = columns.iter().position(is_long) {
        let message = format!(
            "column {} of the header, `{}`, has a name of {} characters, the limit is {}: give it a shorter one",
            at + 1,
            shown(&columns[at]),
            columns[at].chars().count(),
            limits::COLUMN_NAME_CHARS
        );
        return Err(Failure::new("name_too_long", message));
    }
    Ok(columns)
}

/// The names of the members of a chunk's rows, in the order in which they are met: the columns of a file without a
/// header. There are no more than a header may name. A row that is no object names none.
pub fn members(chunk: &[u8], grammar: Grammar) -> Vec<String> {
    let (mut names, mut met, mut bytes) = (Vec::new(), HashSet::new(), 0);
    for value in Values::of(grammar, chunk) {
        let Ok(Members::<IgnoredAny>(members)) = serde_json::from_slice(value) else { continue };
        for (name, _) in members {
            let has_room = names.len() < limits::COLUMNS && bytes + name.len() <= limits::HEADER_BYTES;
            if has_room && !met.contains(name.as_ref()) {
                bytes += name.len();
                met.insert(name.to_string());
                names.push(name.into_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEMICOLON: Grammar = Grammar::Delimited { delimiter: b';', quoting: true };

    #[test]
    fn reads_quoted_names() {
        assert_eq!(columns(b"sku;\"the; name\"\r\n", SEMICOLON).expect("text"), ["sku", "the; name"]);
        let unquoted = Grammar::Delimited { delimiter: b';', quoting: false };
        assert_eq!(columns(b"sku;\"the; name\"\r\n", unquoted).expect("text"), ["sku", "\"the", "name\""]);
    }

    #[test]
    fn a_sheets_first_row_names_columns() {
        let header = br#"["sku",null,2024,{"date":"2026-11-21"}]"#;
        assert_eq!(columns(header, Grammar::Sheet).expect("text"), ["sku", "", "2024", "2026-11-21"]);
    }

    #[test]
    fn what_nobody_sees_at_the_ends_of_a_name_is_no_part_of_it() {
        let header = "\u{feff}sku\u{200b};\u{a0}the\u{a0}name \n".as_bytes();
        assert_eq!(columns(header, SEMICOLON).expect("text"), ["sku", "the\u{a0}name"]);
        let sheet = "[\"\u{200b}sku \",\"name\"]".as_bytes();
        assert_eq!(columns(sheet, Grammar::Sheet).expect("text"), ["sku", "name"]);
    }

    #[test]
    fn binary_is_not_csv() {
        for bytes in [&b"\x89PNG\r\n"[..], b"PK\x03\x04\0\0", b"\xff\xfes\0k\0u\0"] {
            assert_eq!(columns(bytes, Grammar::CSV).expect_err("no text").code, "not_csv");
        }
    }

    #[test]
    fn a_name_has_a_length() {
        let named = |chars: usize| columns(format!("sku,{}\n", "é".repeat(chars)).as_bytes(), Grammar::CSV);
        assert_eq!(named(limits::COLUMN_NAME_CHARS).expect("two columns").len(), 2);
        let failure = named(limits::COLUMN_NAME_CHARS + 1).expect_err("too long");
        assert_eq!(failure.code, "name_too_long");
        let said = format!("has a name of 1001 characters, the limit is {}", limits::COLUMN_NAME_CHARS);
        assert!(failure.message.starts_with("column 2 of the header, `éé") && failure.message.contains(&said));
        assert!(failure.message.len() < 400, "{}", failure.message);
    }

    #[test]
    fn names_the_limit_of_columns() {
        let failure = columns("a,".repeat(1000).as_bytes(), Grammar::CSV).expect_err("1001 columns");
        assert!(failure.message.contains("1001") && failure.message.contains("1000"), "{}", failure.message);
    }
}
