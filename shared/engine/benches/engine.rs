//! Where a row's time goes inside the engine: splitting, parsing and checking, encoding for the queue, merging; beside what the `csv` crate
//! takes for reading the same bytes. 20,000 rows of products with 20 columns, 250 bytes each.

use std::collections::BTreeMap;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use penstock_engine::{
    kind::Kind,
    kinds,
    merge::Draft,
    plan::Plan,
    rows,
    split::{Piece, SplitOptions, Splitter},
};
use penstock_model::{Chunk, ChunkMessage, Chunking, EmptyCells, Grammar, ImportId, Job, Mode, Repeats};

const ROWS: usize = 20_000;

fn file() -> Vec<u8> {
    let columns: Vec<&str> = kinds::all()[0].fields.iter().map(|field| field.name.as_str()).collect();
    let mut file = columns.join(",");
    for row in 0..ROWS {
        file.push_str(&format!(
            "\nSKU-{row:08},Product {row},\"A description of some length, with a comma, for row {row}\",{}.{:02},{:012},Brand {},19.99,14.99,\
             Category {},true,Size,M,Colour,Blue,Material,Cotton,https://example.com/images/{row}.jpg,Piece,Unit,1",
            row % 1000,
            row % 100,
            row * 7919,
            row % 50,
            row % 20,
        ));
    }
    file.push('\n');
    file.into_bytes()
}

fn split(file: &[u8]) -> Vec<Chunk> {
    let mut splitter = Splitter::new(SplitOptions::new(Grammar::CSV, &Chunking::default()));
    let mut pieces = Vec::new();
    // S3 streams come in pieces of about this size.
    for bytes in file.chunks(16 * 1024) {
        pieces.extend(splitter.push(bytes).expect("a header"));
    }
    pieces.extend(splitter.finish().expect("a header").0);
    pieces.into_iter().filter_map(|piece| if let Piece::Chunk(chunk, _) = piece { Some(chunk) } else { None }).collect()
}

fn engine(criterion: &mut Criterion) {
    let file = file();
    let columns: Vec<String> = kinds::all()[0].fields.iter().map(|field| field.name.clone()).collect();
    let kind = Kind::compile(&kinds::all()[0], &"1".parse().expect("valid")).expect("valid");
    let mut plan = Plan::compile(kind, Grammar::CSV, &columns, &BTreeMap::new()).expect("its own columns");
    let job = Job {
        account: "1".parse().expect("valid"),
        import: ImportId::new(0, [0; 10]),
        order: 1,
        alone: false,
        kind: "products".parse().expect("valid"),
        mode: Mode::Upsert,
        empty_cells: EmptyCells::Keep,
        dry_run: false,
        abort: None,
        chunking: Chunking::default(),
        kind_version: 0,
        grammar: Grammar::CSV,
        columns,
        mapping: BTreeMap::new(),
    };
    let chunks = split(&file);
    let records: Vec<_> = chunks.iter().map(|chunk| rows::Records::of(&job, chunk)).collect();
    let parsed: Vec<_> = records.iter().map(|records| rows::parse(&mut plan, &job, records)).collect();
    assert_eq!(parsed.iter().map(|parsed| parsed.rows.len()).sum::<usize>(), ROWS);

    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Bytes(file.len() as u64)).sample_size(20);
    group.bench_function("csv::ByteRecord, for comparison", |bencher| {
        bencher.iter(|| {
            let mut reader = csv::Reader::from_reader(file.as_slice());
            let mut record = csv::ByteRecord::new();
            let mut records = 0;
            while reader.read_byte_record(&mut record).expect("in memory") {
                records += 1;
            }
            records
        });
    });
    group.bench_function("split", |bencher| bencher.iter(|| split(&file).len()));
    group.bench_function("parse and check", |bencher| {
        bencher.iter(|| {
            chunks
                .iter()
                .map(|chunk| rows::parse(&mut plan, &job, &rows::Records::of(&job, chunk)).rows.len())
                .sum::<usize>()
        });
    });
    group.bench_function("merge into nothing", |bencher| {
        bencher.iter(|| {
            for row in parsed.iter().flat_map(|parsed| &parsed.rows) {
                let mut draft = Draft::stored(None);
                draft.apply(&plan, Mode::Upsert, job.stamp(row.row), row);
            }
        });
    });
    let messages: Vec<_> = chunks
        .into_iter()
        .map(|chunk| ChunkMessage { job: job.clone(), chunk, repeats: Repeats::Any, last_try: false })
        .collect();
    group.bench_function("encode for the queue", |bencher| {
        bencher.iter(|| messages.iter().map(|message| message.encode().expect("fits").len()).sum::<usize>());
    });
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
