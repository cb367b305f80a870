//! Why a row was rejected.

use serde::{Deserialize, Serialize};

use crate::limits::{COUNTED_ERRORS, ERROR_VALUE_CHARS};

/// One thing that is wrong with one row. A rejected row has at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RowError {
    /// The data record, counted from 1; the header and blank lines are not counted.
    pub row: u64,
    /// The physical line on which the record starts, counted from 1.
    pub line: u64,
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

/// The code under which errors are counted whose kinds are too many.
const OTHER: &str = "other";

/// How many errors of one code and field there are, and on which rows. Counts of chunks add up to that of their file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// The code; `other` for all kinds beyond [`COUNTED_ERRORS`] of a chunk.
    pub code: String,
    /// The field, where the errors name one.
    pub field: Option<String>,
    /// Errors.
    pub errors: u64,
    /// Rows with at least one of them.
    pub rows: u64,
    /// The first of these rows.
    pub first_row: u64,
    /// The last of these rows.
    pub last_row: u64,
}

impl ErrorCount {
    /// The counts of a chunk's errors, which are in the order of their rows, in the order in which each kind comes
    /// first.
    pub fn of(errors: &[RowError]) -> Vec<Self> {
        let mut counts: Vec<Self> = Vec::new();
        for error in errors {
            let RowError { row, code, field, .. } = error;
            let is_this = |count: &Self| count.code == *code && count.field == *field;
            let found = counts.iter().position(is_this).or_else(|| {
                let is_full = counts.len() >= COUNTED_ERRORS;
                counts.iter().position(|count| is_full && count.code == OTHER && count.field.is_none())
            });
            match found {
                Some(at) => {
                    let count = &mut counts[at];
                    count.errors += 1;
                    count.rows += u64::from(count.last_row != *row);
                    count.last_row = *row;
                }
                None => {
                    let (code, field) = match counts.len() < COUNTED_ERRORS {
                        true => (code.clone(), field.clone()),
                        false => (OTHER.to_owned(), None),
                    };
                    counts.push(Self { code, field, errors: 1, rows: 1, first_row: *row, last_row: *row });
                }
            }
        }
        counts
    }

    /// Adds the counts of another chunk of the same file.
    pub fn add(counts: &mut Vec<Self>, more: Vec<Self>) {
        for count in more {
            match counts.iter_mut().find(|known| known.code == count.code && known.field == count.field) {
                Some(known) => {
                    known.errors += count.errors;
                    known.rows += count.rows;
                    known.first_row = known.first_row.min(count.first_row);
                    known.last_row = known.last_row.max(count.last_row);
                }
                None => counts.push(count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(row: u64, code: &str, field: Option<&str>) -> RowError {
        let (code, field) = (code.to_owned(), field.map(str::to_owned));
        RowError { row, line: row + 1, key: None, field, value: None, code, message: String::new() }
    }

    #[test]
    fn errors_are_counted_by_code_and_field_and_their_rows_once() {
        let errors = [
            error(3, "required", Some("name")),
            error(3, "type", Some("items[0].quantity")),
            error(3, "type", Some("items[0].quantity")),
            error(7, "required", Some("name")),
            error(9, "ragged_row", None),
        ];
        let count = |code: &str, field: Option<&str>, errors, rows, first_row, last_row| ErrorCount {
            code: code.to_owned(),
            field: field.map(str::to_owned),
            errors,
            rows,
            first_row,
            last_row,
        };
        let all = vec![
            count("required", Some("name"), 2, 2, 3, 7),
            count("type", Some("items[0].quantity"), 2, 1, 3, 3),
            count("ragged_row", None, 1, 1, 9, 9),
        ];
        assert_eq!(ErrorCount::of(&errors), all);
        // A chunk is cut between rows: the counts of its parts add up, in any order.
        let mut sum = ErrorCount::of(&errors[3..]);
        ErrorCount::add(&mut sum, ErrorCount::of(&errors[..3]));
        sum.sort_by_key(|count| count.first_row);
        assert_eq!(sum, all);
    }

    #[test]
    fn kinds_of_errors_beyond_the_bound_are_counted_together() {
        let fields: Vec<String> = (0..COUNTED_ERRORS + 20).map(|number| format!("f{number}")).collect();
        let row = |row: u64| fields.iter().map(move |field| error(row, "required", Some(field)));
        let counts = ErrorCount::of(&row(1).chain(row(2)).collect::<Vec<_>>());
        assert_eq!(counts.len(), COUNTED_ERRORS + 1);
        assert!(counts[..COUNTED_ERRORS].iter().all(|count| (count.errors, count.rows) == (2, 2)));
        let other = counts.last().expect("there are more kinds than are counted");
        assert_eq!((other.code.as_str(), &other.field, other.errors, other.rows), (OTHER, &None, 40, 2));
    }
}
