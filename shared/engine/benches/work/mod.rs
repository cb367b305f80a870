//! The work that is measured: by criterion, as ratios of CPU time, and as counted instructions.

pub(crate) mod hand;
pub(crate) mod products;

use std::{collections::BTreeMap, io::Cursor, ops::ControlFlow};

use calamine::Reader;
use penstock_engine::{
    header,
    kind::Kind,
    kinds,
    merge::Draft,
    plan::Plan,
    reading::{self, Hints},
    rows, sheet,
    split::{Piece, SplitOptions, Splitter},
};
use penstock_model::{
    Chunk, ChunkMessage, Chunking, Dropped, Grammar, ImportOptions, Job, Mode, Others, Repeats, RowRule,
};

/// S3 streams come in pieces of about this size.
const PIECE_BYTES: usize = 16 * 1024;

/// What one run does with a file of so many rows; it answers with a number that depends on all of it.
type Work = Box<dyn FnMut() -> u64>;

/// Everything that is measured, by name. What stands left of `/` is the format, and the first of a format is what
/// others do.
pub(crate) const NAMES: [&str; 23] = [
    "csv/byte records",
    "csv/check by hand",
    "csv/split",
    "csv/parse",
    "csv/parse by one rule",
    "csv/parse by five rules",
    "csv/validate",
    "csv/validate by one rule",
    "csv/validate by five rules",
    "csv/split and validate",
    "csv/split and parse",
    "csv/merge",
    "csv/encode",
    "ndjson/values",
    "ndjson/split",
    "ndjson/split and validate",
    "ndjson/split and parse",
    "array/values",
    "array/split and validate",
    "array/split and parse",
    "xlsx/calamine",
    "xlsx/inspect",
    "xlsx/rows",
];

/// Prepares the work of a name, so that a run of it is nothing but that work.
pub(crate) fn prepare(name: &str, rows: u64) -> Work {
    let (format, _) = name.split_once('/').expect("a format and a name");
    let (grammar, file) = match format {
        "csv" => (Grammar::CSV, products::csv(rows)),
        "ndjson" => (Grammar::Lines, products::ndjson(rows)),
        "array" => (Grammar::Elements { enveloped: false }, products::array(rows)),
        _ => (Grammar::Sheet, products::xlsx(rows)),
    };
    match name {
        "csv/byte records" => Box::new(move || hand::byte_records(&file)),
        "csv/check by hand" => Box::new(move || sum(hand::check(&file))),
        "csv/parse" => {
            let chunks = chunks(grammar, &file);
            let (mut plan, job) = planned(grammar, &file);
            Box::new(move || chunks.iter().map(|chunk| parsed(&mut plan, &job, chunk)).sum())
        }
        "csv/parse by one rule" | "csv/parse by five rules" => {
            let chunks = chunks(grammar, &file);
            let (mut plan, job) = planned_with(grammar, &file, ruled(if name.contains("one") { 1 } else { 5 }));
            Box::new(move || chunks.iter().map(|chunk| parsed(&mut plan, &job, chunk)).sum())
        }
        "csv/validate by one rule" | "csv/validate by five rules" => {
            let chunks = chunks(grammar, &file);
            let (mut plan, job) = planned_with(grammar, &file, ruled(if name.contains("one") { 1 } else { 5 }));
            Box::new(move || chunks.iter().map(|chunk| validated(&mut plan, &job, chunk)).sum())
        }
        "csv/validate" => {
            let chunks = chunks(grammar, &file);
            let (mut plan, job) = planned(grammar, &file);
            Box::new(move || chunks.iter().map(|chunk| validated(&mut plan, &job, chunk)).sum())
        }
        name if name.ends_with("/split and validate") => {
            let (mut plan, job) = planned(grammar, &file);
            Box::new(move || {
                let mut sum = 0;
                each_chunk(grammar, &file, |chunk| sum += validated(&mut plan, &job, &chunk));
                sum
            })
        }
        "csv/merge" => {
            let chunks = chunks(grammar, &file);
            let (mut plan, job) = planned(grammar, &file);
            Box::new(move || chunks.iter().map(|chunk| merged(&mut plan, &job, chunk)).sum())
        }
        "csv/encode" => {
            let (_, job) = planned(grammar, &file);
            let message = |chunk| {
                let (job, dropped) = (job.clone(), Dropped::default());
                ChunkMessage { job, chunk, repeats: Repeats::Any, dropped, last_try: false }
            };
            let messages: Vec<ChunkMessage> = chunks(grammar, &file).into_iter().map(message).collect();
            Box::new(move || messages.iter().map(|message| message.encode().expect("fits").len() as u64).sum())
        }
        "ndjson/values" => Box::new(move || hand::ndjson_values(&file)),
        "array/values" => Box::new(move || hand::array_values(&file)),
        "xlsx/calamine" => Box::new(move || calamine_cells(&file)),
        "xlsx/inspect" => {
            let kind = kind();
            Box::new(move || inspected(&file, &kind))
        }
        "xlsx/rows" => Box::new(move || sheet_bytes(&file)),
        name if name.ends_with("/split") => Box::new(move || {
            let mut rows = 0;
            each_chunk(grammar, &file, |chunk| rows += chunk.rows);
            rows
        }),
        name => {
            assert!(name.ends_with("/split and parse"), "{name} is one of the names");
            let (mut plan, job) = planned(grammar, &file);
            Box::new(move || {
                let mut sum = 0;
                each_chunk(grammar, &file, |chunk| sum += parsed(&mut plan, &job, &chunk));
                sum
            })
        }
    }
}

fn sum((good, errors): (u64, Vec<hand::HandError>)) -> u64 {
    let size = |error: &hand::HandError| {
        let text = error.field.len() + error.value.len() + error.code.len() + error.message.len();
        error.row + error.line + text as u64
    };
    good + u64::from(errors.iter().map(size).sum::<u64>() > 0)
}

/// Splits a file as the splitter does, and lets go of each chunk before the next.
fn each_chunk(grammar: Grammar, file: &[u8], mut visit: impl FnMut(Chunk)) {
    let mut splitter = Splitter::new(SplitOptions::new(grammar, &Chunking::default()));
    let mut take = |pieces: Vec<Piece>| {
        for piece in pieces {
            if let Piece::Chunk(chunk, _) = piece {
                visit(chunk);
            }
        }
    };
    for bytes in file.chunks(PIECE_BYTES) {
        take(splitter.push(bytes).expect("a header"));
    }
    take(splitter.finish().expect("a header").0);
}

fn chunks(grammar: Grammar, file: &[u8]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    each_chunk(grammar, file, |chunk| chunks.push(chunk));
    chunks
}

/// The kind `products`, compiled for the columns of a file.
fn planned(grammar: Grammar, file: &[u8]) -> (Plan, Job) {
    planned_with(grammar, file, kind())
}

fn planned_with(grammar: Grammar, file: &[u8], kind: Kind) -> (Plan, Job) {
    let start = &file[..file.len().min(16 * 1024)];
    let columns = match grammar {
        Grammar::Delimited { .. } => {
            let end = start.iter().position(|byte| *byte == b'\n').expect("a header");
            header::columns(&start[..end], grammar).expect("a header")
        }
        _ => products::COLUMNS.map(str::to_owned).to_vec(),
    };
    let plan = Plan::compile(kind, grammar, &columns, &BTreeMap::new()).expect("its own columns");
    let job = Job::dry(
        "1".parse().expect("valid"),
        "products".parse().expect("valid"),
        &ImportOptions::default(),
        grammar,
        columns,
    );
    (plan, job)
}

fn kind() -> Kind {
    Kind::compile(&kinds::all()[0], &"1".parse().expect("valid")).expect("valid")
}

/// The kind `products` with the first of these rules, to which every row keeps.
fn ruled(rules: usize) -> Kind {
    const RULES: [&str; 5] = [
        "msrp == null || cost == null || msrp * 3000 >= cost",
        "base_price == null || msrp == null || base_price <= msrp * 3000",
        "base_units_per_sales_unit == null || base_units_per_sales_unit > 0 && base_units_per_sales_unit % 1 == 0",
        "active == null || active || category in ['Apparel', 'Kitchen', 'Furniture', 'Outdoor']",
        "sku.startsWith('SKU-') && size(name) <= 100",
    ];
    let mut schema = kinds::all()[0].clone();
    let rule = |rule: &&str| RowRule {
        rule: (*rule).to_owned(),
        message: "does not fit".to_owned(),
        fields: Vec::new(),
        others: Others::default(),
    };
    schema.rules = RULES.iter().take(rules).map(rule).collect();
    Kind::compile(&schema, &"1".parse().expect("valid")).expect("valid")
}

/// Validates a chunk, its rows let go.
fn validated(plan: &mut Plan, job: &Job, chunk: &Chunk) -> u64 {
    let checked = rows::check(plan, job, &rows::Records::of(job, chunk));
    checked.accepted + checked.errors.len() as u64
}

/// Parses and validates a chunk as a validator does; good rows and errors.
fn parsed(plan: &mut Plan, job: &Job, chunk: &Chunk) -> u64 {
    let records = rows::Records::of(job, chunk);
    let parsed = rows::parse(plan, job, &records);
    (parsed.rows.len() + parsed.errors.len()) as u64
}

fn merged(plan: &mut Plan, job: &Job, chunk: &Chunk) -> u64 {
    let records = rows::Records::of(job, chunk);
    let parsed = rows::parse(plan, job, &records);
    for row in &parsed.rows {
        let mut draft = Draft::stored(None);
        draft.apply(plan, Mode::Upsert, job.stamp(row.row), row);
    }
    parsed.rows.len() as u64
}

/// Reads the cells of a workbook's first sheet and looks at none.
fn calamine_cells(file: &[u8]) -> u64 {
    let mut workbook = calamine::Xlsx::new(Cursor::new(file)).expect("a workbook");
    let name = workbook.sheet_names()[0].clone();
    let mut cells = workbook.worksheet_cells_reader(&name).expect("a sheet");
    let mut count = 0;
    while cells.next_cell().expect("a cell").is_some() {
        count += 1;
    }
    count
}

/// Finds out what a workbook is, which looks through all of it for what would take too much memory.
fn inspected(file: &[u8], kind: &Kind) -> u64 {
    let options = ImportOptions::default();
    let hints = Hints { format: None, filename: Some("products.xlsx"), options: &options, kind, partial: false };
    let layout = reading::resolve(Cursor::new(file), file.len() as u64, &hints).expect("a workbook");
    u64::from(layout.grammar == Grammar::Sheet)
}

/// Reads a workbook's first sheet as the splitter gets it.
fn sheet_bytes(file: &[u8]) -> u64 {
    let mut bytes = 0;
    let read = sheet::each_row(Cursor::new(file), None, 1, &mut |piece| {
        bytes += piece.len() as u64;
        ControlFlow::Continue(())
    });
    read.expect("a sheet");
    bytes
}
