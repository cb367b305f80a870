//! Row errors in words: each by itself, or those of one kind together.

use penstock_client::{ErrorGroup, ErrorSummary};
use penstock_model::{
    RowError, RowRange,
    advice::{for_command, shown},
};

/// Errors that a summary shows one by one, at most, and kinds of errors where there are more.
pub(crate) const SHOWN_ERRORS: usize = 10;

/// Ranges of rows that a summary names of a kind of errors, at most.
const NAMED_RANGES: usize = 5;

/// The lines of a summary: each error where there are few, else each kind with its count and first places. `few` are
/// all errors where there are no more than [`SHOWN_ERRORS`]. `all` says how all errors of the `failed` rows can be
/// seen; it is said where they are not all here.
pub(crate) fn lines(summary: &ErrorSummary, few: &[RowError], failed: u64, all: &str) -> Vec<String> {
    if summary.errors as usize <= SHOWN_ERRORS {
        let mut lines: Vec<String> = few.iter().map(|error| format!("  {}", line_of(error))).collect();
        let shown = RowError::by_row(few).count() as u64;
        if failed > shown {
            lines.push(format!("  and {} more rejected rows; {all}", failed - shown));
        }
        return lines;
    }
    let examples = (SHOWN_ERRORS / summary.groups.len().max(1)).max(1);
    let mut lines: Vec<String> =
        summary.groups.iter().take(SHOWN_ERRORS).flat_map(|group| lines_of(group, examples)).collect();
    let more = summary.groups.iter().skip(SHOWN_ERRORS).map(|group| group.errors).sum::<u64>() + summary.other;
    if more > 0 {
        lines.push(format!("  and {more} errors of other kinds"));
    }
    lines.push(format!("  {failed} rejected rows in all; {all}"));
    lines
}

/// A group with so many examples.
fn lines_of(group: &ErrorGroup, examples: usize) -> Vec<String> {
    if let ([error], 1) = (group.examples.as_slice(), group.errors) {
        return vec![format!("  {}", line_of(error))];
    }
    let of = group.field.as_deref().map(|field| format!(" of `{}`", shown(field))).unwrap_or_default();
    let mut lines = vec![format!("  {} x {}{of}:", group.errors, group.code)];
    lines.extend(group.examples.iter().take(examples).map(|error| format!("    {}", line_of(error))));
    let left = group.errors - group.examples.len().min(examples) as u64;
    if left > 0 {
        let more = if group.ranges.len() > NAMED_RANGES { ", …" } else { "" };
        let ranges: Vec<String> = group.ranges.iter().take(NAMED_RANGES).map(range).collect();
        lines.push(format!("    and {left} more; all are in the rows {}{more}", ranges.join(", ")));
    }
    lines
}

fn range(range: &RowRange) -> String {
    match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    }
}

/// A summary as a table, a line of which is a group, and below it what to do and the first errors.
pub(crate) fn table(summary: &ErrorSummary) -> Vec<String> {
    let ranges = |group: &ErrorGroup| group.ranges.iter().map(range).collect::<Vec<_>>().join(", ");
    let head = ["errors", "rows", "code", "field", "in the rows"].map(str::to_owned);
    let cells = |group: &ErrorGroup| {
        let field = group.field.as_deref().map(shown).unwrap_or_default();
        [group.errors.to_string(), group.rows.to_string(), group.code.clone(), field, ranges(group)]
    };
    let rows: Vec<[String; 5]> = [head].into_iter().chain(summary.groups.iter().map(cells)).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
    let [errors, in_rows, code, field] = [0, 1, 2, 3].map(width);
    let mut lines = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let [a, b, c, d, e] = row;
        let line = format!("{a:>errors$}  {b:>in_rows$}  {c:<code$}  {d:<field$}  {e}");
        lines.push(line.trim_end().to_owned());
        if let Some(group) = at.checked_sub(1).and_then(|at| summary.groups.get(at)) {
            lines.push(format!("    {}", for_command(&group.what_to_do)));
            lines.extend(group.examples.iter().map(|error| format!("    {}", line_of(error))));
        }
    }
    if summary.other > 0 {
        lines.push(format!("and {} errors of other kinds, or beside these", summary.other));
    }
    lines.push(format!("{} errors in {} rows", summary.errors, summary.rows));
    lines
}

/// A row's error in words: where, what, which record, and the cell.
pub(crate) fn line_of(error: &RowError) -> String {
    let source = error.source_row.map(|row| format!(" (row {row} of the first file)")).unwrap_or_default();
    let (message, code) = (for_command(&error.message), &error.code);
    let mut line = format!("row {}, line {}{source}: {message} ({code})", error.row, error.line);
    if let Some(key) = &error.key {
        line.push_str(&format!("; key {key:?}"));
    }
    if let Some(value) = &error.value {
        line.push_str(&format!("; cell {value:?}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use penstock_model::{ErrorCounts, ErrorCursor};

    use super::*;

    fn error(row: u64, code: &str, field: Option<&str>) -> RowError {
        RowError {
            row,
            line: row + 1,
            source_row: None,
            key: Some(format!("K{row}")),
            field: field.map(str::to_owned),
            value: Some("x\u{feff}".to_owned()),
            code: code.to_owned(),
            message: "write it, or give the option `escape` = \"!\"".to_owned(),
        }
    }

    /// What a service says of these errors, which are in one chunk.
    fn of(errors: &[RowError]) -> ErrorSummary {
        let mut counts = ErrorCounts::of(0, &[errors]);
        counts.keep_most();
        let at = |index| ErrorCursor { chunk: 0, part: 0, index };
        ErrorSummary::of(counts, &errors.iter().enumerate().map(|(index, error)| (at(index), error.clone())).collect())
    }

    #[test]
    fn few_errors_are_shown_each_and_many_by_kind() {
        let few = [error(1, "a", None), RowError { source_row: Some(90), ..error(4, "b", Some("f")) }];
        assert_eq!(
            lines(&of(&few), &few, 3, "--errors"),
            [
                "  row 1, line 2: write it, or give `--escape '!'` (a); key \"K1\"; cell \"x\\u{feff}\"",
                "  row 4, line 5 (row 90 of the first file): write it, or give `--escape '!'` (b); key \"K4\"; cell \
                 \"x\\u{feff}\"",
                "  and 1 more rejected rows; --errors"
            ]
        );
        let mut errors: Vec<RowError> = (1..=12).map(|row| error(row, "a", Some(&format!("l[{row}].q")))).collect();
        errors.push(error(13, "b", None));
        let shown = lines(&of(&errors), &[], 13, "--errors");
        assert_eq!((shown[0].as_str(), shown.len()), ("  12 x a of `l[].q`:", 7), "{shown:#?}");
        assert_eq!(shown[4], "    and 9 more; all are in the rows 1-12");
        assert!(shown[5].starts_with("  row 13, line 14: "), "{shown:#?}");
        assert_eq!(shown[6], "  13 rejected rows in all; --errors");
        // Of many kinds, those with the most errors; of many rows, the first ranges.
        let many: Vec<RowError> =
            (1..=40).map(|row| error(3 * row, &format!("c{}", row % 20 + row / 40), None)).collect();
        let shown = lines(&of(&many), &[], 40, "--errors");
        assert_eq!((shown[0].as_str(), shown.len()), ("  3 x c1:", 32), "{shown:#?}");
        assert_eq!(shown[2], "    and 2 more; all are in the rows 3, 63, 120");
        assert_eq!(shown[30], "  and 19 errors of other kinds");
    }

    #[test]
    fn a_summary_is_a_table_with_what_to_do_below_each_line() {
        let group = |code: &str, field: Option<&str>, errors, ranges: &[(u64, u64)]| ErrorGroup {
            code: code.to_owned(),
            field: field.map(str::to_owned),
            errors,
            rows: 12,
            ranges: ranges.iter().map(|&(first, last)| RowRange { first, last }).collect(),
            what_to_do: "Give the option `date_format`.".to_owned(),
            examples: vec![error(7, code, field)],
        };
        let groups =
            vec![group("invalid_date", Some("day"), 1200, &[(1, 9), (12, 12)]), group("a", None, 3, &[(4, 5)])];
        assert_eq!(
            table(&ErrorSummary { errors: 1205, rows: 13, other: 2, groups }),
            [
                "errors  rows  code          field  in the rows",
                "  1200    12  invalid_date  day    1-9, 12",
                "    Give `--date-format`.",
                "    row 7, line 8: write it, or give `--escape '!'` (invalid_date); key \"K7\"; cell \"x\\u{feff}\"",
                "     3    12  a                    4-5",
                "    Give `--date-format`.",
                "    row 7, line 8: write it, or give `--escape '!'` (a); key \"K7\"; cell \"x\\u{feff}\"",
                "and 2 errors of other kinds, or beside these",
                "1205 errors in 13 rows",
            ]
        );
        let none = ErrorSummary { errors: 0, rows: 0, other: 0, groups: Vec::new() };
        assert_eq!(table(&none).last().map(String::as_str), Some("0 errors in 0 rows"));
    }
}
