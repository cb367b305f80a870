//! What the first rows of a file tell that nobody has said: which line is the header where titles stand above it, and
//! options under which more rows would be read.
//!
//! Nothing of it is applied. It is told to the import's creator, who knows what is meant.

use std::collections::{HashMap, HashSet};

use penstock_model::{
    Body, Chunk, Grammar,
    advice::{Setting, shown},
    limits::{COLUMNS, NOTED_ROWS, SOUGHT_RECORDS},
};
use serde_json::value::RawValue;

use crate::{
    detect::DELIMITERS,
    kind::habits::Habits,
    mapping::{HeaderLine, Names},
    members::{JsonString, Members},
    plan::Plan,
    rows::{Content, RecordCells, Syntax, for_each_record},
    sheet,
};

/// The line among the first rows of a file that looks like its header: the first one by which every wanted field has a
/// column. The delimiter of a title may have been taken for the file's, so each is tried.
pub(crate) fn header_line(names: &Names<'_>, wanted: &[usize], syntax: Syntax, chunk: &Chunk) -> Option<HeaderLine> {
    let Body::Rows(bytes) = &chunk.body else { return None };
    let grammars: Vec<Grammar> = match syntax.grammar {
        Grammar::Delimited { delimiter, quoting } => {
            let others = DELIMITERS.into_iter().filter(|other| *other != delimiter);
            std::iter::once(delimiter)
                .chain(others)
                .map(|delimiter| Grammar::Delimited { delimiter, quoting })
                .collect()
        }
        other => vec![other],
    };
    grammars.into_iter().find_map(|grammar| {
        let (mut found, mut looked_at) = (None, 0);
        for_each_record(Syntax { grammar, ..syntax }, chunk.first_row, chunk.first_line, bytes, |record| {
            looked_at += 1;
            if found.is_some() || looked_at > SOUGHT_RECORDS {
                return;
            }
            let columns: Vec<String> = match record.content {
                Content::Cells(cells) => {
                    cells.texts().map(|(_, cell)| String::from_utf8_lossy(cell).into_owned()).collect()
                }
                Content::SheetRow => sheet::cells_as_text(record.bytes),
                Content::Object => Vec::new(),
            };
            if columns.len() > COLUMNS {
                return;
            }
            let fields: HashSet<Option<usize>> = names.each(&columns).into_iter().collect();
            if wanted.iter().all(|field| fields.contains(&Some(*field))) {
                found = Some(HeaderLine { line: record.line, columns });
            }
        });
        found
    })
}

/// Notes for a file's creator on options that the first rows of the file suggest.
pub(crate) fn notes(plan: &Plan, syntax: Syntax, columns: &[String], chunk: &Chunk) -> Vec<String> {
    let Body::Rows(bytes) = &chunk.body else { return Vec::new() };
    let fields = plan.fields_of(columns);
    let of_member: HashMap<&str, Option<usize>> =
        columns.iter().rev().zip(fields.iter().rev()).map(|(name, field)| (name.as_str(), *field)).collect();
    let (mut habits, mut rows, mut widths) = (Habits::default(), 0, None);
    let (mut says_more, mut pairs) = (false, None::<Vec<usize>>);
    for_each_record(syntax, chunk.first_row, chunk.first_line, bytes, |record| {
        rows += 1;
        if rows > NOTED_ROWS {
            return;
        }
        match record.content {
            Content::Cells(cells) => {
                let width = cells.len();
                widths = Some(
                    widths.map_or((width, width), |(least, most): (usize, usize)| (least.min(width), most.max(width))),
                );
                if width == fields.len() + 1 {
                    says_more |= cells.get(width - 1).is_some_and(|cell| !cell.trim_ascii().is_empty());
                    let here: Vec<usize> =
                        (0..fields.len()).filter(|at| may_be_split(plan, &fields, cells, *at)).collect();
                    pairs = Some(match pairs.take() {
                        None => here,
                        Some(before) => before.into_iter().filter(|at| here.contains(at)).collect(),
                    });
                }
                if width == fields.len() {
                    for ((_, cell), field) in cells.texts().zip(&fields) {
                        if let (Some(field), Ok(text)) = (field, std::str::from_utf8(cell)) {
                            habits.see(plan.kind().field(*field), text);
                        }
                    }
                }
            }
            Content::SheetRow => {
                let cells: Vec<&RawValue> = serde_json::from_slice(record.bytes).unwrap_or_default();
                for (cell, field) in cells.into_iter().zip(&fields) {
                    see(&mut habits, plan, *field, cell);
                }
            }
            Content::Object => {
                let Ok(Members::<&RawValue>(members)) = serde_json::from_slice(record.bytes) else { return };
                for (name, value) in members {
                    let field = of_member.get(name.as_ref()).copied().flatten();
                    see(&mut habits, plan, field, value);
                }
            }
        }
    });
    let mut notes = habits.notes();
    if let Some((least, most)) = widths
        && least == most
        && rows > 1
        && most == columns.len() + 1
        && says_more
    {
        let start = format!("every row has {most} cells and the header {}: ", columns.len());
        let split = pairs
            .and_then(|pairs| pairs.first().copied())
            .filter(|_| matches!(syntax.grammar, Grammar::Delimited { delimiter: b',', .. }));
        notes.push(match split {
            Some(at) => format!(
                "{start}the numbers of `{}` may have a decimal comma, and need quotes then, or another delimiter; else a name for \
                 one column is missing in the header",
                shown(&columns[at])
            ),
            None => format!("{start}the header may be shifted, a name for one column is missing in it"),
        });
    }
    if let Grammar::Delimited { delimiter, quoting: true } = syntax.grammar
        && syntax.escape.is_none()
        && has_escaped_quotes(bytes, delimiter)
    {
        notes.push(format!(
            "quotes in cells are written \\\" here, where CSV writes \"\"; to read them so, give {}",
            Setting::Escape.to("\\")
        ));
    }
    notes
}

/// Whether a cell of a field of numbers and the one behind it are digits, as a decimal comma that delimits leaves them.
fn may_be_split(plan: &Plan, fields: &[Option<usize>], cells: RecordCells<'_>, at: usize) -> bool {
    let is_digits =
        |cell: Option<&[u8]>| cell.is_some_and(|cell| !cell.is_empty() && cell.iter().all(u8::is_ascii_digit));
    fields[at].is_some_and(|field| plan.kind().field(field).is_number())
        && is_digits(cells.get(at))
        && is_digits(cells.get(at + 1))
}

fn see(habits: &mut Habits, plan: &Plan, field: Option<usize>, value: &RawValue) {
    if let (Some(field), true) = (field, value.get().starts_with('"'))
        && let Ok(JsonString(text)) = serde_json::from_str(value.get())
    {
        habits.see(plan.kind().field(field), &text);
    }
}

/// Whether a quoted cell of a text holds `\"` where CSV would end the cell in the middle of it, or would not end it
/// where a delimiter says so: as PHP's `fputcsv` writes a quote.
pub(crate) fn has_escaped_quotes(text: &[u8], delimiter: u8) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == delimiter || matches!(byte, b'\n' | b'\r'));
    // The quote that opened a cell of this line last, and whether one has closed it since. Each byte is looked at once:
    // a line may be as long as a chunk, and full of such quotes.
    let (mut opened, mut is_closed) = (None, false);
    for (at, byte) in text.iter().enumerate() {
        match *byte {
            b'\n' => (opened, is_closed) = (None, false),
            b'\\' if text.get(at + 1) == Some(&b'"') => {
                let behind = &text[at + 2..];
                let starts_cell = at == 0 || is_end(text.get(at - 1));
                let in_middle = !is_end(behind.first()) && behind.first() != Some(&b'"');
                let at_end = behind.first() == Some(&b'"') && is_end(behind.get(1)) && behind.len() > 1;
                if opened.is_some() && !is_closed && !starts_cell && (in_middle || at_end) {
                    return true;
                }
            }
            b'"' if at == 0 || text[at - 1] == b'\n' || text[at - 1] == delimiter => {
                (opened, is_closed) = (Some(at), false)
            }
            byte if byte == delimiter => {
                is_closed |=
                    opened.is_some_and(|opened| at > opened + 1 && text[at - 1] == b'"' && text[at - 2] != b'\\');
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a place in a text is in a cell of its line that a quote has opened, told by a look back at the line.
    fn is_in_quoted_cell(text: &[u8], at: usize, delimiter: u8) -> bool {
        let line = text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let before = &text[line..at];
        let opens = |place: usize| before[place] == b'"' && (place == 0 || before[place - 1] == delimiter);
        let closes = |place: usize| before[place] == b'"' && before.get(place + 1) == Some(&delimiter);
        let opened = (0..before.len()).rev().find(|place| opens(*place));
        opened
            .is_some_and(|opened| !(opened + 1..before.len()).any(|place| closes(place) && before[place - 1] != b'\\'))
    }

    proptest! {
        #[test]
        fn one_look_at_each_byte_tells_what_a_look_back_from_each_place_tells(text in "[\"\\\\,a\n\r]{0,40}") {
            let text = text.as_bytes();
            let is_end = |byte: Option<&u8>| byte.is_none_or(|byte| matches!(byte, b',' | b'\n' | b'\r'));
            let wanted = (0..text.len().saturating_sub(1)).filter(|at| &text[*at..*at + 2] == b"\\\"").any(|at| {
                let behind = &text[at + 2..];
                let starts_cell = at == 0 || is_end(text.get(at - 1));
                let in_middle = !is_end(behind.first()) && behind.first() != Some(&b'"');
                let at_end = behind.first() == Some(&b'"') && is_end(behind.get(1)) && behind.len() > 1;
                !starts_cell && (in_middle || at_end) && is_in_quoted_cell(text, at, b',')
            });
            prop_assert_eq!(has_escaped_quotes(text, b','), wanted);
        }
    }

    #[test]
    fn quotes_behind_backslashes_are_noticed_where_they_are_no_csv() {
        let php =
            ["A-1,\"Monitor 24\\\" wide\",Nord\n", "A-1,\"Pizza, 10\\\"\",hot\n", "A-2,\"Rail, 19\\\", black\",Nord\n"];
        for text in php {
            assert_eq!(has_escaped_quotes(text.as_bytes(), b','), text != php[2], "{text}");
        }
        for csv in [
            "A,\"C:\\\",b\n",
            "A,\"{\"\"a\"\":\"\"5\\\"\" x\"\"}\",b\n",
            "A,\"say \"\"hi\"\"\",b\n",
            "A,24\\\" wide,b\n",
            "A,\\\"x,b\n",
        ] {
            assert!(!has_escaped_quotes(csv.as_bytes(), b','), "{csv}");
        }
    }
}
