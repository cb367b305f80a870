//! Why a row was rejected.

use serde::{Deserialize, Serialize};

use crate::limits::ERROR_VALUE_CHARS;

/// One thing that is wrong with one row. A rejected row has at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
