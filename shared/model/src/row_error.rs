//! Why a row was rejected.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeSet};

use serde::{Deserialize, Serialize};

use crate::limits::{COUNTED_ERRORS, ERROR_EXAMPLES, ERROR_RANGES, ERROR_VALUE_CHARS, SHOWN_GROUPS, SUMMED_ERRORS};

/// One thing that is wrong with one row. A rejected row has at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RowError {
    /// The data record, counted from 1; the header and blank lines are not counted.
    pub row: u64,
    /// The physical line on which the record starts, counted from 1.
    pub line: u64,
    /// The row of the first file that it was, where its file is one of rejected rows and says so (`_row`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_row: Option<u64>,
    /// Which record the row names: its key cells as they came, each cut after [`ERROR_VALUE_CHARS`] characters, written
    /// as a record's key is (`%` and `,` inside a cell as `%25` and `%2C`, joined by `,`). `None` where the row could
    /// not be read that far, or names none.
    #[serde(default)]
    pub key: Option<String>,
    /// The field, or the column's place where it has no name; `None` when the row as a whole is at fault.
    pub field: Option<String>,
    /// The cell as it came, cut after [`ERROR_VALUE_CHARS`] characters; `None` where there is none to show.
    pub value: Option<String>,
    /// A stable word for programs, such as `required`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::codes::ROWS)))]
    pub code: String,
    /// A sentence for people; it names the rule that was broken, and where it is plain what was meant, how to write it.
    /// Options are named as [`crate::advice`] has them.
    pub message: String,
}

impl RowError {
    /// Errors in the order of their rows, those of a row together.
    pub fn by_row(errors: &[Self]) -> impl Iterator<Item = &[Self]> {
        errors.chunk_by(|a, b| a.row == b.row)
    }

    /// A cell as an error shows it: invalid UTF-8 replaced, cut after [`ERROR_VALUE_CHARS`] characters.
    pub fn shown(cell: &[u8]) -> String {
        // Four bytes are the longest character, so the cut below never needs more than these.
        let bytes = &cell[..cell.len().min(4 * ERROR_VALUE_CHARS)];
        String::from_utf8_lossy(bytes).chars().take(ERROR_VALUE_CHARS).collect()
    }
}

/// Where an error of an import stands: the chunk, the part of the chunk's errors, and which one of the part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ErrorCursor {
    /// The chunk.
    pub chunk: u32,
    /// The part of the chunk's errors.
    pub part: u32,
    /// The error in the part.
    pub index: usize,
}

/// Rows of a file from one to another, both among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RowRange {
    /// The first row.
    pub first: u64,
    /// The last row.
    pub last: u64,
}

/// Joins ranges that meet, and then those with the fewest rows between them, until there are [`ERROR_RANGES`] at most.
fn join(ranges: &mut Vec<RowRange>) {
    ranges.sort_unstable_by_key(|range| range.first);
    ranges.dedup_by(|next, range| {
        let meet = next.first <= range.last + 1;
        if meet {
            range.last = range.last.max(next.last);
        }
        meet
    });
    while ranges.len() > ERROR_RANGES {
        let gap = |at: &usize| ranges[at + 1].first - ranges[*at].last;
        let Some(narrowest) = (0..ranges.len() - 1).min_by_key(gap) else { return };
        ranges[narrowest].last = ranges.remove(narrowest + 1).last;
    }
}

/// The errors of one code in one field: how many, on which rows, and where the first stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// The code.
    pub code: String,
    /// The field, where the errors name one, without the places of items: `lines[].quantity`.
    pub field: Option<String>,
    /// Errors.
    pub errors: u64,
    /// Rows with at least one of them.
    pub rows: u64,
    /// [`ERROR_RANGES`] ranges at most, in order, in which all these rows are. They hold no other row where they have
    /// [`ErrorCount::rows`] rows together.
    pub ranges: Vec<RowRange>,
    /// Where the first [`ERROR_EXAMPLES`] of them stand.
    pub first: Vec<ErrorCursor>,
}

impl ErrorCount {
    fn take(&mut self, row: u64, at: ErrorCursor) {
        self.errors += 1;
        if self.first.len() < ERROR_EXAMPLES {
            self.first.push(at);
        }
        match self.ranges.last_mut() {
            Some(range) if range.last == row => return,
            Some(range) if range.last + 1 == row => range.last = row,
            _ => {
                self.ranges.push(RowRange { first: row, last: row });
                join(&mut self.ranges);
            }
        }
        self.rows += 1;
    }

    fn add(&mut self, more: Self) {
        self.errors += more.errors;
        self.rows += more.rows;
        self.ranges.extend(more.ranges);
        join(&mut self.ranges);
        self.first.extend(more.first);
        self.first.sort_unstable();
        self.first.truncate(ERROR_EXAMPLES);
    }
}

/// How many errors there are of each code and field. The counts of chunks add up to those of their file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCounts {
    /// All errors.
    pub errors: u64,
    /// Rows with at least one error.
    pub rows: u64,
    /// Those that are counted apart: of a chunk the first [`COUNTED_ERRORS`], of a file the first [`SUMMED_ERRORS`].
    pub apart: Vec<ErrorCount>,
}

impl ErrorCounts {
    /// The counts of a chunk's errors, which are in the order of their rows, part by part; those of a row are in one
    /// part.
    pub fn of(chunk: u32, parts: &[&[RowError]]) -> Self {
        let mut counts = Self::default();
        for (part, errors) in (0..).zip(parts) {
            counts.errors += errors.len() as u64;
            counts.rows += RowError::by_row(errors).count() as u64;
            for (index, error) in errors.iter().enumerate() {
                let field = error.field.as_deref().map(without_places);
                if let Some(count) = counts.count(&error.code, field.as_deref(), COUNTED_ERRORS) {
                    count.take(error.row, ErrorCursor { chunk, part, index });
                }
            }
        }
        counts
    }

    /// Adds the counts of another chunk of the same file.
    pub fn add(&mut self, more: Self) {
        self.errors += more.errors;
        self.rows += more.rows;
        for count in more.apart {
            if let Some(known) = self.count(&count.code, count.field.as_deref(), SUMMED_ERRORS) {
                known.add(count);
            }
        }
    }

    /// Keeps apart those that a summary shows, the [`SHOWN_GROUPS`] with the most errors, these first.
    pub fn keep_most(&mut self) {
        self.apart.sort_by_key(|count| (Reverse(count.errors), count.first.first().copied()));
        self.apart.truncate(SHOWN_GROUPS);
    }

    /// Where the first errors of those stand that are counted apart.
    pub fn places(&self) -> BTreeSet<ErrorCursor> {
        self.apart.iter().flat_map(|count| count.first.iter().copied()).collect()
    }

    /// Errors that are not counted apart. Where there are none, each count is exact; else it may lack some of these.
    pub fn others(&self) -> u64 {
        self.errors - self.apart.iter().map(|count| count.errors).sum::<u64>()
    }

    /// The count of a code and field, a new one unless there are as many as there may be.
    fn count(&mut self, code: &str, field: Option<&str>, most: usize) -> Option<&mut ErrorCount> {
        let found = self.apart.iter().position(|count| count.code == code && count.field.as_deref() == field);
        let at = match found {
            Some(at) => at,
            None if self.apart.len() == most => return None,
            None => {
                let (code, field) = (code.to_owned(), field.map(str::to_owned));
                let (ranges, first) = (Vec::new(), Vec::new());
                self.apart.push(ErrorCount { code, field, errors: 0, rows: 0, ranges, first });
                self.apart.len() - 1
            }
        };
        self.apart.get_mut(at)
    }
}

/// A field without the places of items in it: `lines[].quantity` of `lines[12].quantity`.
pub fn without_places(field: &str) -> Cow<'_, str> {
    if !field.contains('[') {
        return field.into();
    }
    let mut plain = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('[') {
        let (before, behind) = rest.split_at(at + 1);
        plain.push_str(before);
        let place = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = if place.starts_with(']') { place } else { behind };
    }
    plain.push_str(rest);
    plain.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn error(row: u64, code: &str, field: Option<&str>) -> RowError {
        let (code, field) = (code.to_owned(), field.map(str::to_owned));
        RowError { row, line: row + 1, source_row: None, key: None, field, value: None, code, message: String::new() }
    }

    /// Rows that are not in one part by themselves may not be cut: parts of this many rows.
    fn parts(errors: &[RowError], rows: usize) -> Vec<&[RowError]> {
        let rows_of: Vec<&[RowError]> = RowError::by_row(errors).collect();
        let mut at = 0;
        let lengths = rows_of.chunks(rows.max(1)).map(|rows| rows.iter().map(|row| row.len()).sum::<usize>());
        lengths.map(|length| (&errors[at..at + length], at += length).0).collect()
    }

    #[test]
    fn errors_are_counted_by_code_and_field_and_their_rows_once() {
        let errors = [
            error(3, "required", Some("name")),
            error(3, "type", Some("items[0].quantity")),
            error(3, "type", Some("items[12].quantity")),
            error(7, "required", Some("name")),
            error(8, "required", Some("name")),
            error(9, "ragged_row", None),
        ];
        let counts = ErrorCounts::of(5, &parts(&errors, 2));
        assert_eq!((counts.errors, counts.rows, counts.others()), (6, 4, 0));
        let [name, quantity, ragged] = counts.apart.as_slice() else { panic!("{counts:#?}") };
        let range = |first, last| RowRange { first, last };
        let at = |part, index| ErrorCursor { chunk: 5, part, index };
        assert_eq!(
            (name.code.as_str(), name.field.as_deref(), name.errors, name.rows),
            ("required", Some("name"), 3, 3)
        );
        assert_eq!(name.ranges, [range(3, 3), range(7, 8)]);
        assert_eq!(name.first, [at(0, 0), at(0, 3), at(1, 0)]);
        assert_eq!((quantity.field.as_deref(), quantity.errors, quantity.rows), (Some("items[].quantity"), 2, 1));
        assert_eq!((&ragged.field, ragged.errors, ragged.first.as_slice()), (&None, 1, &[at(1, 1)][..]));
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted_all_the_same() {
        let fields: Vec<String> = (0..COUNTED_ERRORS + 20).map(|number| format!("f{number}")).collect();
        let row = |row: u64| fields.iter().map(move |field| error(row, "required", Some(field)));
        let errors: Vec<RowError> = row(1).chain(row(2)).collect();
        let counts = ErrorCounts::of(0, &[&errors]);
        assert_eq!(counts.apart.len(), COUNTED_ERRORS);
        assert!(counts.apart.iter().all(|count| (count.errors, count.rows) == (2, 2)));
        assert_eq!((counts.errors, counts.rows, counts.others()), (140, 2, 40));
        let mut sum = ErrorCounts::default();
        for chunk in 0..SUMMED_ERRORS as u32 {
            sum.add(ErrorCounts::of(chunk, &[&[error(chunk.into(), "a", Some(&format!("f{}", chunk / 2)))]]));
        }
        assert_eq!((sum.apart.len(), sum.others()), (SUMMED_ERRORS / 2, 0));
    }

    #[test]
    fn places_of_items_are_left_out_of_a_field() {
        let fields = [("lines[12].quantity", "lines[].quantity"), ("a[0][1]", "a[][]"), ("price [EUR]", "price [EUR]")];
        for (field, plain) in fields {
            assert_eq!(without_places(field), plain);
        }
        assert_eq!(
            (without_places("["), without_places("[1"), without_places("x")),
            ("[".into(), "[1".into(), "x".into())
        );
    }

    proptest! {
        /// Counts of chunks, cut anywhere between rows, are together what counting all errors of the file gives.
        #[test]
        fn counts_of_chunks_add_up_to_what_a_count_over_all_errors_gives(
            rows in prop::collection::vec(
                prop::collection::vec((0..4_usize, prop::option::of(0..5_usize)), 0..4),
                0..200,
            ),
            chunk_rows in 1..60_usize,
            part_rows in 1..20_usize,
        ) {
            let codes = ["required", "type", "ragged_row", "too_long"];
            let fields = ["name", "sku", "lines[0].quantity", "lines[1].quantity", "price [EUR]"];
            let of_row = |row: usize| rows[row].iter().map(move |(code, field)| {
                error(row as u64 + 1, codes[*code], field.map(|field| fields[field]))
            });
            let all: Vec<RowError> = (0..rows.len()).flat_map(of_row).collect();
            let numbers: Vec<usize> = (0..rows.len()).collect();
            let (mut sum, mut stored) = (ErrorCounts::default(), BTreeMap::new());
            for (chunk, numbers) in (0..).zip(numbers.chunks(chunk_rows)) {
                let errors: Vec<RowError> = numbers.iter().flat_map(|row| of_row(*row)).collect();
                let parts = parts(&errors, part_rows);
                for (part, errors) in (0..).zip(&parts) {
                    for (index, error) in errors.iter().enumerate() {
                        stored.insert(ErrorCursor { chunk, part, index }, error.clone());
                    }
                }
                sum.add(ErrorCounts::of(chunk, &parts));
            }
            prop_assert_eq!((sum.errors, sum.others()), (all.len() as u64, 0));
            let all_rows: BTreeSet<u64> = all.iter().map(|error| error.row).collect();
            prop_assert_eq!(sum.rows, all_rows.len() as u64);
            let kind = |error: &RowError| {
                (error.code.clone(), error.field.as_deref().map(|field| without_places(field).into_owned()))
            };
            let kinds: BTreeSet<_> = all.iter().map(kind).collect();
            prop_assert_eq!(sum.apart.len(), kinds.len());
            for count in &sum.apart {
                let this = (count.code.clone(), count.field.clone());
                let errors: Vec<&RowError> = all.iter().filter(|error| kind(error) == this).collect();
                let rows: BTreeSet<u64> = errors.iter().map(|error| error.row).collect();
                prop_assert_eq!((count.errors, count.rows), (errors.len() as u64, rows.len() as u64));
                let mut runs: Vec<RowRange> = Vec::new();
                for row in rows.iter().copied() {
                    match runs.last_mut() {
                        Some(run) if run.last + 1 == row => run.last = row,
                        _ => runs.push(RowRange { first: row, last: row }),
                    }
                }
                if runs.len() <= ERROR_RANGES {
                    prop_assert_eq!(&count.ranges, &runs);
                } else {
                    prop_assert_eq!(count.ranges.len(), ERROR_RANGES);
                    let holding = |row: &u64| {
                        count.ranges.iter().filter(|range| (range.first..=range.last).contains(row)).count()
                    };
                    prop_assert!(rows.iter().all(|row| holding(row) == 1));
                    let ends = count.ranges.iter().flat_map(|range| [range.first, range.last]);
                    prop_assert!(ends.into_iter().all(|row| rows.contains(&row)));
                }
                let first: Vec<&RowError> = count.first.iter().map(|at| &stored[at]).collect();
                prop_assert_eq!(first, errors.into_iter().take(ERROR_EXAMPLES).collect::<Vec<_>>());
            }
        }
    }
}
