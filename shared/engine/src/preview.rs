//! Previewing: what a file is, and its first rows as an import would read them, without an import.

use std::{collections::BTreeMap, ops::ControlFlow};

use penstock_model::{
    AccountId, Chunk, Chunking, Failure, Job, Layout, RowError, Value,
    limits::{CHUNK_BYTES, PREVIEW_ROWS},
};

use crate::{
    notes,
    plan::{self, Plan},
    reading::{self, Columns, Hints, Part, Reading},
    rows::{self, Syntax},
    samples::samples,
    upload::Upload,
};

pub use crate::samples::{ColumnSamples, Samples};

/// What an import would make of a file.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What the file is.
    pub layout: Layout,
    /// Its columns, or the members of its first rows, in its order, each with the field that it is; where the columns
    /// failed the file, with the field that each by itself would be.
    pub columns: Vec<(String, Option<String>)>,
    /// What the first rows hold in each of them.
    pub samples: Samples,
    /// The first rows.
    pub rows: Vec<PreviewRow>,
    /// Why an import of it would fail before any row.
    pub failure: Option<Failure>,
}

/// A row as an import would read it.
#[derive(Debug, Clone)]
pub struct PreviewRow {
    /// Its number, from 1.
    pub row: u64,
    /// What it says; `None` for a field that it clears.
    pub fields: BTreeMap<String, Option<Value>>,
    /// Why it would be rejected; then it says nothing.
    pub errors: Vec<RowError>,
}

/// Reads the columns and the first rows of a file of `bytes` bytes as an import with these hints would. Where
/// [`Hints::partial`] says that only its first part is there, a last row that may be cut is left out.
///
/// # Errors
/// Those of [`reading::resolve`]. A file that fails further on is a preview with a failure.
pub fn preview(
    mut upload: impl Upload,
    bytes: u64,
    hints: &Hints<'_>,
    account: &AccountId,
) -> Result<Preview, Failure> {
    let mut layout = reading::resolve(&mut upload, bytes, hints)?;
    // The chunks are those of an import, so that their first one suggests the same.
    let mut reading = Reading::start(&layout, hints, &Chunking::default());
    let (mut columns, mut chunks, mut rows, mut taken) = (None, Vec::new(), 0, 0);
    let failure = reading.read(upload, bytes, &mut |part| {
        match part {
            Part::Columns(found) => columns = Some(*found),
            Part::Chunk(chunk, _) => {
                (rows, taken) = (rows + chunk.rows, taken + chunk.bytes);
                chunks.push(chunk);
            }
        }
        let is_enough = rows >= PREVIEW_ROWS || taken >= CHUNK_BYTES as u64;
        if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let syntax = Syntax::of(layout.grammar, &layout.reading);
    let samples = samples(syntax, reading.names(), chunks.iter().chain(reading.unmatched()));
    let (columns, rows) = match columns {
        // What each column by itself is tells a person why they cannot be matched.
        None => (plan::each_column(hints.kind, reading.names(), &hints.options.mapping), Vec::new()),
        Some(Columns { names, mut plan, notes, .. }) => {
            layout.notes.extend(notes);
            let matched = matched(&names, &plan);
            let job = Job::dry(account.clone(), plan.kind().name().clone(), hints.options, layout.grammar, names);
            let job = Job { reading: layout.reading.clone(), ..job };
            (matched, first_rows(&mut plan, &job, &chunks))
        }
    };
    let codes = rows.iter().flat_map(|row| &row.errors).map(|error| error.code.as_str());
    let note = notes::of_errors(codes).map(str::to_owned);
    let layout = Layout { notes: layout.notes.into_iter().chain(note).collect(), ..layout };
    Ok(Preview { layout, columns, samples, rows, failure: failure.err() })
}

/// The columns with the fields that they are.
fn matched(names: &[String], plan: &Plan) -> Vec<(String, Option<String>)> {
    let field = |field: usize| plan.kind().field(field).name().to_owned();
    names.iter().cloned().zip(plan.fields_of(names).into_iter().map(|found| found.map(field))).collect()
}

fn first_rows(plan: &mut Plan, job: &Job, chunks: &[Chunk]) -> Vec<PreviewRow> {
    let mut found: BTreeMap<u64, PreviewRow> = BTreeMap::new();
    for chunk in chunks {
        let records = rows::Records::of(job, chunk);
        let parsed = rows::parse(plan, job, &records);
        for row in parsed.rows {
            let name = |field: usize| plan.kind().field(field).name().to_owned();
            let fields = row.cells.into_iter().map(|(field, cell)| (name(field), cell.map(Value::from))).collect();
            found.insert(row.row, PreviewRow { row: row.row, fields, errors: Vec::new() });
        }
        for error in parsed.errors {
            let row = error.row;
            let of_row = || PreviewRow { row, fields: BTreeMap::new(), errors: Vec::new() };
            found.entry(row).or_insert_with(of_row).errors.push(error);
        }
    }
    found.into_values().take(PREVIEW_ROWS as usize).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use penstock_model::ImportOptions;

    use super::*;

    fn preview_of(file: &str, partial: bool) -> Preview {
        let (options, kind) = (ImportOptions::default(), crate::kinds::compiled("products"));
        let hints = Hints { format: None, filename: None, options: &options, kind: &kind, partial };
        preview(Cursor::new(file), file.len() as u64, &hints, &"1".parse().expect("valid")).expect("a layout")
    }

    #[test]
    fn the_first_rows_are_shown_whatever_chunks_they_are_in() {
        let long = "x".repeat(CHUNK_BYTES / 4);
        let rows: String = (0..20).map(|row| format!("S{row},n,b,{}\n", if row < 3 { &long } else { "" })).collect();
        for (file, wanted) in [(rows.as_str(), 10), ("A,,b,\nB,b,b,\n", 2), ("", 0)] {
            let preview = preview_of(&format!("sku,name,brand,colour\n{file}"), false);
            assert_eq!(preview.rows.len(), wanted);
            assert!(preview.rows.iter().map(|row| row.row).eq(1..=wanted as u64));
            assert_eq!(preview.columns[3], ("colour".to_owned(), None));
        }
        let rows = preview_of("sku,name,brand\nA,,b\nB,b,b", true).rows;
        assert_eq!((rows.len(), rows[0].errors[0].code.as_str()), (1, "required"));
    }

    #[test]
    fn the_columns_show_what_is_in_them_also_where_they_fail_the_file() {
        let good = "sku,name,brand,colour\nA,Lamp,Acme,red\nB,Lamp,,\nC,Desk,, \n";
        for file in [good, &good.replacen("name", "nmae", 1)] {
            let samples = preview_of(file, false).samples;
            let seen = samples.columns.iter().map(|column| (column.filled, column.cells.join(" "))).collect::<Vec<_>>();
            let wanted = [(3, "A B C"), (3, "Lamp Desk"), (1, "Acme"), (1, "red")];
            assert_eq!((samples.rows, seen), (3, wanted.map(|(filled, cells)| (filled, cells.to_owned())).to_vec()));
        }
        let objects = "{\"sku\": \"A\", \"cost\": 1.50}\n{\"cost\": null, \"colour\": [\"red\"]}\n";
        let samples = preview_of(objects, false).samples;
        let seen: Vec<_> = samples.columns.iter().map(|column| column.cells.join(" ")).collect();
        assert_eq!((samples.rows, seen), (2, ["A", "1.50", "[\"red\"]"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_file_that_would_fail_shows_its_columns_and_why() {
        let preview = preview_of("sku,nmae,brand\nA,a,b\n", false);
        assert_eq!(preview.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["sku", "nmae", "brand"]);
        assert_eq!(preview.failure.expect("fails").code, "missing_column");
        let codes = ["", "sku,\"name\nA,a,b\n"].map(|file| preview_of(file, false).failure.expect("fails").code);
        assert_eq!(codes, ["empty_file", "unterminated_quote"]);
    }
}
