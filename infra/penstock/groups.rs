//! Row errors of one kind together: how many, the first ones, and where others are.

use penstock_client::{ErrorGroup, ErrorSummary};
use penstock_model::{
    RowError, RowRange,
    advice::{for_command, shown},
    without_places,
};

/// Lines of errors that a summary shows, at most, and kinds of errors.
pub(crate) const SHOWN_ERRORS: usize = 10;

/// Errors of a kind that are kept to be shown, and rows of others that are named.
const KEPT: usize = 3;
const NAMED_ROWS: usize = 5;

/// Kinds of errors that are counted apart; those behind them are counted together.
const KINDS: usize = 100;

/// The errors of a file, by their code and their field, in the order in which each kind came first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    /// Errors of kinds that have no group.
    others: u64,
    /// The first errors, whatever their kind.
    first: Vec<RowError>,
    total: u64,
}

/// Errors with one code in one field.
#[derive(Debug, Clone)]
struct Group {
    code: String,
    field: String,
    count: u64,
    first: Vec<RowError>,
    /// Rows of errors behind the first ones.
    rows: Vec<u64>,
}

impl Groups {
    /// Counts an error.
    pub(crate) fn take(&mut self, error: &RowError) {
        self.total += 1;
        if self.first.len() < SHOWN_ERRORS {
            self.first.push(error.clone());
        }
        match self.place(&error.code, &without_places(error.field.as_deref().unwrap_or_default())) {
            Some(place) => self.groups[place].take(error),
            None => self.others += 1,
        }
    }

    /// Counts the errors that come behind these in the file.
    pub(crate) fn extend(&mut self, behind: Self) {
        self.total += behind.total;
        self.others += behind.others;
        let room = SHOWN_ERRORS - self.first.len();
        self.first.extend(behind.first.into_iter().take(room));
        for group in behind.groups {
            match self.place(&group.code, &group.field) {
                Some(place) => self.groups[place].extend(group),
                None => self.others += group.count,
            }
        }
    }

    /// The first errors of the file.
    pub(crate) fn first(&self) -> &[RowError] {
        &self.first
    }

    fn place(&mut self, code: &str, field: &str) -> Option<usize> {
        let found = self.groups.iter().position(|group| group.code == code && group.field == field);
        if found.is_some() || self.groups.len() == KINDS {
            return found;
        }
        let (code, field) = (code.to_owned(), field.to_owned());
        self.groups.push(Group { code, field, count: 0, first: Vec::new(), rows: Vec::new() });
        Some(self.groups.len() - 1)
    }

    /// The lines of a summary: each error where there are few, else each kind with its count and first places. `all`
    /// says how all errors of the `failed` rows can be seen; it is said where they are not all here. `is_whole` tells
    /// whether every error of the import has been counted.
    pub(crate) fn lines(&self, failed: u64, is_whole: bool, all: &str) -> Vec<String> {
        if self.total as usize <= SHOWN_ERRORS {
            let mut lines: Vec<String> = self.first.iter().map(|error| format!("  {}", line_of(error))).collect();
            let shown = RowError::by_row(&self.first).count() as u64;
            if failed > shown {
                lines.push(format!("  and {} more rejected rows; {all}", failed - shown));
            }
            return lines;
        }
        let mut lines = Vec::new();
        if !is_whole {
            lines.push(format!("  of the first {} errors:", self.total));
        }
        let examples = (SHOWN_ERRORS / self.groups.len()).clamp(1, KEPT);
        for group in self.groups.iter().take(SHOWN_ERRORS) {
            lines.extend(group.lines(examples));
        }
        let more = self.groups.iter().skip(SHOWN_ERRORS).map(|group| group.count).sum::<u64>() + self.others;
        if more > 0 {
            lines.push(format!("  and {more} errors of other kinds"));
        }
        lines.push(format!("  {failed} rejected rows in all; {all}"));
        lines
    }
}

impl Group {
    fn take(&mut self, error: &RowError) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(error.clone());
        } else if self.rows.len() < NAMED_ROWS {
            self.rows.push(error.row);
        }
    }

    fn extend(&mut self, behind: Self) {
        for error in &behind.first {
            self.take(error);
        }
        self.count += behind.count - behind.first.len() as u64;
        let room = NAMED_ROWS - self.rows.len();
        if self.first.len() == KEPT {
            self.rows.extend(behind.rows.into_iter().take(room));
        }
    }

    fn lines(&self, examples: usize) -> Vec<String> {
        if let ([error], 1) = (self.first.as_slice(), self.count) {
            return vec![format!("  {}", line_of(error))];
        }
        let of = if self.field.is_empty() { String::new() } else { format!(" of `{}`", self.field) };
        let mut lines = vec![format!("  {} x {}{of}:", self.count, self.code)];
        lines.extend(self.first.iter().take(examples).map(|error| format!("    {}", line_of(error))));
        let shown = self.first.len().min(examples);
        let rows: Vec<String> = self
            .first
            .iter()
            .skip(examples)
            .map(|error| error.row)
            .chain(self.rows.iter().copied())
            .map(|row| row.to_string())
            .collect();
        let left = self.count - shown as u64;
        if left > 0 {
            let more = if left > rows.len() as u64 { ", …" } else { "" };
            lines.push(format!("    and {left} more: rows {}{more}", rows.join(", ")));
        }
        lines
    }
}

/// A summary as a table, a line of which is a group, and below it what to do and the first errors.
pub(crate) fn table(summary: &ErrorSummary) -> Vec<String> {
    let ranges = |group: &ErrorGroup| {
        let range = |range: &RowRange| match range.first == range.last {
            true => range.first.to_string(),
            false => format!("{}-{}", range.first, range.last),
        };
        group.ranges.iter().map(range).collect::<Vec<_>>().join(", ")
    };
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
    let mut line = format!("row {}, line {}: {} ({})", error.row, error.line, for_command(&error.message), error.code);
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
    use super::*;

    fn error(row: u64, code: &str, field: Option<&str>) -> RowError {
        RowError {
            row,
            line: row + 1,
            key: Some(format!("K{row}")),
            field: field.map(str::to_owned),
            value: Some("x\u{feff}".to_owned()),
            code: code.to_owned(),
            message: "write it, or give the option `escape` = \"!\"".to_owned(),
        }
    }

    fn of(errors: &[RowError]) -> Groups {
        let mut groups = Groups::default();
        errors.iter().for_each(|error| groups.take(error));
        groups
    }

    #[test]
    fn few_errors_are_shown_each_and_many_by_kind() {
        let few = of(&[error(1, "a", None), error(4, "b", Some("f"))]);
        assert_eq!(
            few.lines(3, true, "--errors"),
            [
                "  row 1, line 2: write it, or give `--escape '!'` (a); key \"K1\"; cell \"x\\u{feff}\"",
                "  row 4, line 5: write it, or give `--escape '!'` (b); key \"K4\"; cell \"x\\u{feff}\"",
                "  and 1 more rejected rows; --errors"
            ]
        );
        let mut errors: Vec<RowError> = (1..=12).map(|row| error(row, "a", Some(&format!("l[{row}].q")))).collect();
        errors.push(error(13, "b", None));
        let lines = of(&errors).lines(13, true, "--errors");
        assert_eq!((lines[0].as_str(), lines.len()), ("  12 x a of `l[].q`:", 7), "{lines:#?}");
        assert_eq!(lines[4], "    and 9 more: rows 4, 5, 6, 7, 8, …");
        assert!(lines[5].starts_with("  row 13, line 14: "), "{lines:#?}");
        assert_eq!(lines[6], "  13 rejected rows in all; --errors");
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

    #[test]
    fn parts_of_a_file_say_together_what_the_whole_says() {
        let errors: Vec<RowError> =
            (1..=400).map(|row| error(row, "a", Some(&format!("f{}", row * row % 130)))).collect();
        let whole = of(&errors).lines(400, true, "x");
        for cut in [1, 7, 100, 399] {
            let mut parts = Groups::default();
            errors.chunks(cut).for_each(|part| parts.extend(of(part)));
            let few_kinds = |lines: &[String]| lines[..lines.len() - 2].to_vec();
            assert_eq!(few_kinds(&parts.lines(400, true, "x")), few_kinds(&whole), "{cut}");
        }
    }
}
