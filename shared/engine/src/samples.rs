//! What the first rows of a file hold in each of its columns, for a person who says which field a column is.

use std::collections::HashMap;

use penstock_model::{
    Body, Chunk,
    limits::{ERROR_VALUE_CHARS, NOTED_ROWS, PREVIEW_SAMPLES},
};
use serde_json::value::RawValue;

use crate::{
    members::{JsonString, Members},
    rows::{Content, Syntax, for_each_record},
    sheet,
};

/// What the first rows of a file hold, whether their columns are fields or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples {
    /// Rows that were looked at.
    pub rows: u64,
    /// The columns, in the file's order.
    pub columns: Vec<ColumnSamples>,
}

/// What the first rows hold in one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnSamples {
    /// Rows that hold something there.
    pub filled: u64,
    /// The first different cells that are not empty, each cut after [`ERROR_VALUE_CHARS`] characters.
    pub cells: Vec<String>,
}

impl ColumnSamples {
    fn see(&mut self, cell: &str) {
        let cell = cell.trim();
        if cell.is_empty() {
            return;
        }
        self.filled += 1;
        if self.cells.len() < PREVIEW_SAMPLES {
            let cell: String = cell.chars().take(ERROR_VALUE_CHARS).collect();
            if !self.cells.contains(&cell) {
                self.cells.push(cell);
            }
        }
    }
}

/// Looks at the first [`NOTED_ROWS`] rows of chunks.
pub(crate) fn samples<'c>(syntax: Syntax, names: &[String], chunks: impl Iterator<Item = &'c Chunk>) -> Samples {
    let at: HashMap<&str, usize> = names.iter().enumerate().rev().map(|(at, name)| (name.as_str(), at)).collect();
    let mut seen = Samples { rows: 0, columns: vec![ColumnSamples::default(); names.len()] };
    for chunk in chunks {
        let Body::Rows(bytes) = &chunk.body else { continue };
        for_each_record(syntax, chunk.first_row, chunk.first_line, bytes, |record| {
            if seen.rows == NOTED_ROWS {
                return;
            }
            seen.rows += 1;
            match record.content {
                Content::Cells(cells) => {
                    for ((_, cell), column) in cells.texts().zip(&mut seen.columns) {
                        column.see(&String::from_utf8_lossy(cell));
                    }
                }
                Content::SheetRow => {
                    for (cell, column) in sheet::cells_as_text(record.bytes).iter().zip(&mut seen.columns) {
                        column.see(cell);
                    }
                }
                Content::Object => {
                    let Ok(Members::<&RawValue>(members)) = serde_json::from_slice(record.bytes) else { return };
                    for (name, value) in members {
                        if let Some(column) = at.get(name.as_ref()).and_then(|at| seen.columns.get_mut(*at)) {
                            see(column, value);
                        }
                    }
                }
            }
        });
    }
    seen
}

/// A member's value as a cell: a text as it is, anything else as JSON has it.
fn see(column: &mut ColumnSamples, value: &RawValue) {
    match serde_json::from_str::<JsonString<'_>>(value.get()) {
        Ok(JsonString(text)) => column.see(&text),
        Err(_) if value.get() == "null" => {}
        Err(_) => column.see(value.get()),
    }
}
