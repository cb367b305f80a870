//! Previewing: what a file would be taken for, and its first rows, without an import.

use std::{collections::BTreeMap, ops::ControlFlow};

use penstock_model::{AccountId, Body, Chunk, Chunking, Failure, Job, Layout, RowError, Value};

use crate::{
    decode::{self, Upload},
    detect::{self, Hints},
    header,
    kind::Kind,
    plan::Plan,
    rows,
    split::{Piece, SplitOptions, Splitter},
};

/// Rows that a preview shows, at most.
pub const ROWS: u64 = 10;

/// What a file would be taken for.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What the file is.
    pub layout: Layout,
    /// Its columns, or the members of its first rows, with the fields that they are, in its order.
    pub columns: Vec<(String, Option<String>)>,
    /// The first rows.
    pub rows: Vec<PreviewRow>,
    /// Why an import of it would fail before any row.
    pub failure: Option<Failure>,
}

/// A row as it would be read.
#[derive(Debug, Clone)]
pub struct PreviewRow {
    /// Its number, from 1.
    pub row: u64,
    /// What it says; `None` for a field that it clears.
    pub fields: BTreeMap<String, Option<Value>>,
    /// Why it would be rejected; then it says nothing.
    pub errors: Vec<RowError>,
}

/// Looks at a file of `bytes` bytes as an import with these hints would. Where [`Hints::partial`] says that only its start is there, its last
/// row is left out.
///
/// # Errors
/// Why it cannot be read at all.
pub fn preview(
    mut upload: impl Upload,
    bytes: u64,
    hints: &Hints<'_>,
    kind: Kind,
    account: &AccountId,
) -> Result<Preview, Failure> {
    let layout = detect::detect(&mut upload, bytes, hints)?;
    upload.rewind().map_err(|_| Failure::new("damaged_file", "the file cannot be read"))?;
    let chunking = Chunking { rows: ROWS, ..Chunking::default() };
    let mut splitter = Splitter::new(SplitOptions::new(layout.grammar, &chunking));
    let mut pieces = Vec::new();
    let mut broken = None;
    let read = decode::each_piece(&layout, &mut upload, bytes, &mut |piece| {
        match splitter.push(piece) {
            Ok(more) => pieces.extend(more),
            Err(error) => broken = Some(Failure::from(error)),
        }
        let found = broken.is_some() || pieces.iter().any(|piece| matches!(piece, Piece::Chunk(..)));
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let mut preview = Preview { layout, columns: Vec::new(), rows: Vec::new(), failure: broken };
    let cut_short = hints.partial && read.is_err();
    preview.failure = preview.failure.or(read.err().filter(|_| !cut_short));
    if preview.failure.is_none() && !pieces.iter().any(|piece| matches!(piece, Piece::Chunk(..))) {
        let rest = if hints.partial { splitter.so_far() } else { splitter.finish().map_err(Failure::from)?.0 };
        pieces.extend(rest);
    }
    let read = read_rows(&mut preview, pieces, hints, kind, account);
    preview.failure = preview.failure.or(read.err());
    Ok(preview)
}

fn read_rows(
    preview: &mut Preview,
    pieces: Vec<Piece>,
    hints: &Hints<'_>,
    kind: Kind,
    account: &AccountId,
) -> Result<(), Failure> {
    let grammar = preview.layout.grammar;
    let mut columns = Vec::new();
    let mut chunks = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Header(header) => columns = header::columns(&header, grammar)?,
            Piece::Chunk(chunk, _) => chunks.push(chunk),
        }
    }
    if grammar.has_header() && columns.is_empty() {
        return Err(Failure::new("empty_file", "the file holds no header and no row"));
    }
    if let (false, Some(Chunk { body: Body::Rows(rows), .. })) = (grammar.has_header(), chunks.first()) {
        columns = header::members(rows, grammar);
    }
    preview.columns = columns.iter().map(|column| (column.clone(), None)).collect();
    let job = Job::dry(account.clone(), kind.name().clone(), hints.options, grammar, columns);
    let mut plan = Plan::compile(kind, grammar, &job.columns, &job.options.mapping)?;
    let fields = plan.fields_of(&job.columns);
    for ((_, field), found) in preview.columns.iter_mut().zip(fields) {
        *field = found.map(|found| plan.kind().field(found).name().to_owned());
    }
    let mut found: BTreeMap<u64, PreviewRow> = BTreeMap::new();
    for chunk in &chunks {
        let records = rows::Records::of(&job, chunk);
        let parsed = rows::parse(&mut plan, &job, &records);
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
    preview.rows = found.into_values().take(ROWS as usize).collect();
    Ok(())
}
