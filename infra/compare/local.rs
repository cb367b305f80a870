//! How fast the local cloud takes a file in, beside a bare loop that writes the same records into the same local
//! DynamoDB by the same requests.
//!
//! `cargo bench --bench local -- [ROWS] [ROUNDS]` prints both rates and their ratio, round by round: they are measured
//! one after the other, each in a cloud of its own. The loop's records are made before its clock starts, a slice at a
//! time.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use penstock_engine::{
    key::RecordName,
    kind::Kind,
    kinds,
    merge::Draft,
    plan::Plan,
    rows::{Records, parse},
    split::{Piece, SplitOptions, Splitter},
};
use penstock_local::{LocalCloud, Options};
use penstock_model::{Chunk, Chunking, Grammar, ImportOptions, Job, Record};
use penstock_store::records::{READ_BATCH, WRITE_BATCH, Write, Written};

/// Groups of [`READ_BATCH`] records that the loop has under way at once.
const AT_ONCE: usize = 16;

/// Records that the loop makes before it writes them.
const SLICE: usize = 50_000;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_penstock"))
}

/// Rows of the size that the comparisons have: 19 columns, some 260 bytes.
fn file(rows: usize) -> Vec<u8> {
    let mut file = String::from(
        "sku,name,description,cost,upc,brand,msrp,base_price,category,active,custom1_name,custom1_value,custom2_name,custom2_value,\
         custom3_name,custom3_value,image_url,sales_unit,base_unit_of_measure\n",
    );
    for row in 0..rows {
        file.push_str(&format!(
            "SKU-{row:07},Product number {row},A description of more than a few words for product {row},12.50,{:013},Brand {},19.90,\
             17.25,Tools/Hand tools,true,colour,red,size,XL,material,steel and wood,https://images.example.com/products/{row:07}.jpg,\
             box,piece\n",
            row * 7919,
            row % 50
        ));
    }
    file.into_bytes()
}

/// `penstock import`, as a user runs it: the start of the cloud and the upload are in it.
fn import(path: &std::path::Path) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let status = Command::new(program())
        .arg("import")
        .arg(path)
        .args(["--json", "--local"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    anyhow::ensure!(status.success(), "the import ended with {status}");
    Ok(began.elapsed())
}

fn job(columns: Vec<String>) -> anyhow::Result<Job> {
    Ok(Job::dry("1".parse()?, "products".parse()?, &ImportOptions::default(), Grammar::CSV, columns))
}

/// The file's chunks, and the columns that its header names.
fn chunks(file: &[u8]) -> anyhow::Result<(Vec<String>, Vec<Chunk>)> {
    let mut splitter = Splitter::new(SplitOptions::new(Grammar::CSV, &Chunking::default()));
    let mut pieces = splitter.push(file)?;
    pieces.extend(splitter.finish()?.0);
    let (mut columns, mut chunks) = (Vec::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Header(header) => {
                columns = String::from_utf8(header)?.trim().split(',').map(str::to_owned).collect()
            }
            Piece::Chunk(chunk, _) => chunks.push(chunk),
        }
    }
    Ok((columns, chunks))
}

/// Reads and writes every record; how long the requests took.
async fn bare_loop(file: &[u8]) -> anyhow::Result<Duration> {
    let cloud = LocalCloud::start(Options::new(program())).await?;
    let (columns, chunks) = chunks(file)?;
    let job = job(columns)?;
    let schema = kinds::bundled(&job.kind).context("a bundled kind")?;
    let mut plan =
        Plan::compile(Kind::compile(schema, &job.account)?, Grammar::CSV, &job.columns, &job.options.mapping)
            .map_err(|failure| anyhow::anyhow!(failure.message))?;
    let mut took = Duration::ZERO;
    let mut slice: Vec<(RecordName, Record)> = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        let records = Records::of(&job, chunk);
        for row in parse(&mut plan, &job, &records).rows {
            let mut draft = Draft::stored(None);
            draft.apply(&plan, job.options.mode, job.stamp(row.row), &row);
            slice.push((RecordName::of(&job.account, &job.kind, &row.key), draft.record.context("a new record")?));
        }
        if slice.len() >= SLICE || at + 1 == chunks.len() {
            let began = Instant::now();
            let groups = slice.chunks(READ_BATCH).map(|group| read_and_write(&cloud, group));
            stream::iter(groups).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            took += began.elapsed();
            slice.clear();
        }
    }
    cloud.stop().await;
    Ok(took)
}

async fn read_and_write(cloud: &LocalCloud, group: &[(RecordName, Record)]) -> anyhow::Result<()> {
    let names: Vec<&RecordName> = group.iter().map(|(name, _)| name).collect();
    anyhow::ensure!(cloud.store().records_page(&names).await?.records.is_empty(), "the cloud is new");
    for batch in group.chunks(WRITE_BATCH) {
        let writes: Vec<Write<'_>> = batch.iter().map(|(name, record)| Write { name, record }).collect();
        let written = cloud.store().write_records(&writes).await?;
        anyhow::ensure!(written.iter().all(|written| *written == Written::Stored), "every record is new");
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let rows = numbers.next().unwrap_or(1_000_000);
    let rounds = numbers.next().unwrap_or(1);
    let file = file(rows);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("products.csv");
    std::fs::write(&path, &file)?;
    println!("{rows} rows, {} bytes", file.len());
    let runtime = tokio::runtime::Runtime::new()?;
    for round in 1..=rounds {
        let imported = import(&path)?;
        let looped = runtime.block_on(bare_loop(&file))?;
        let rate = |took: Duration| rows as f64 / took.as_secs_f64();
        println!(
            "round {round}: penstock import {:.0} rows/s, the bare loop {:.0} rows/s, ratio {:.2}",
            rate(imported),
            rate(looped),
            looped.as_secs_f64() / imported.as_secs_f64()
        );
    }
    Ok(())
}
