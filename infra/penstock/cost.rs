//! `penstock cost`: what imports cost on AWS, from what they use of the local cloud.
//!
//! A local cloud is started and the same rows go through it five times: as new records, twice as they were (by the
//! digest, and with every record read), changed, and all bad. Before they are imported they are reviewed. Before they
//! change, the records are listed and exported, and the exported file is imported. What is used is counted on the wire
//! ([`penstock_local::Usage`]), and in the functions' logs, and turned into dollars for a million rows by
//! `infra/cost/prices.json`. Requests to the API and sweeps are counted apart, since they do not grow with the rows:
//! [`asked`] and [`idle`].

mod asked;
mod idle;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::OpenOptions,
    io::{BufWriter, Write as _},
    ops::Add as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use penstock_client::{Client, Import, NewExport, NewImport, RecordFilter};
use penstock_local::{Counts, LocalCloud, Operation, Options, Usage};
use penstock_model::{ExportCompression, ExportFormat, ImportOptions, Status, limits::PAGE_MAX};
use serde::{Deserialize, Serialize};

use crate::{LOCAL_ACCOUNT, interrupt::Interrupts, output, own_key, printed, program, terminal};

/// Of a million rows everything is told.
const MILLION: f64 = 1e6;

/// How long to wait between two looks at an import.
const POLL: Duration = Duration::from_millis(200);

const COLUMNS: &str = "sku,name,description,cost,upc,brand,msrp,base_price,category,active,custom1_name,custom1_value,\
     custom2_name,custom2_value,custom3_name,custom3_value,image_url,sales_unit,base_units_per_sales_unit";

#[derive(Args)]
pub(crate) struct CostArgs {
    /// Rows of each import.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rows: u64,
    /// Where what was counted goes as JSON.
    #[arg(long)]
    measured: Option<PathBuf>,
    /// Prints what was counted as JSON, and nothing else on standard output.
    #[arg(long)]
    json: bool,
}

/// The price table.
#[derive(Deserialize)]
struct Table {
    region: String,
    date: String,
    prices: BTreeMap<String, Price>,
    /// The memory of each function, as `template.yaml` has it, in MiB.
    memory_mb: BTreeMap<String, u32>,
    idle: idle::Stack,
}

#[derive(Deserialize)]
struct Price {
    dollars: f64,
    per: f64,
    what: String,
    source: String,
    source_date: String,
}

impl Table {
    fn read() -> anyhow::Result<Self> {
        serde_json::from_str(include_str!("../cost/prices.json")).context("infra/cost/prices.json")
    }

    fn of(&self, price: &str, count: f64) -> anyhow::Result<f64> {
        let price = self.prices.get(price).with_context(|| format!("infra/cost/prices.json has no `{price}`"))?;
        Ok(count * price.dollars / price.per)
    }
}

/// Dollars by what they are paid for.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Dollars {
    dynamodb_writes: f64,
    dynamodb_reads: f64,
    sqs: f64,
    s3: f64,
    lambda_requests: f64,
    lambda_compute: f64,
    logs: f64,
    step_functions: f64,
}

impl Dollars {
    fn total(&self) -> f64 {
        self.dynamodb_writes
            + self.dynamodb_reads
            + self.sqs
            + self.s3
            + self.lambda_requests
            + self.lambda_compute
            + self.logs
            + self.step_functions
    }
}

/// Whether S3 bills a request as it bills a PUT; else as a GET, or not at all.
fn is_put(name: &str) -> bool {
    matches!(
        name,
        "PutObject"
            | "PostObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "CompleteMultipartUpload"
            | "ListObjectVersions"
            | "ListObjectsV2"
    )
}

/// What CloudWatch Logs adds to the bytes of a line (Amazon CloudWatch Logs API Reference, "PutLogEvents").
const LINE_MORE: u64 = 26;

/// The lines that Lambda itself writes of an invocation (AWS Lambda Developer Guide, "Viewing CloudWatch logs for
/// Lambda functions").
const OF_LAMBDA: [&str; 3] = [
    "START RequestId: 3f8c3f7f-2b1a-4b0e-9d52-0a6c6f1f8a11 Version: 12",
    "END RequestId: 3f8c3f7f-2b1a-4b0e-9d52-0a6c6f1f8a11",
    "REPORT RequestId: 3f8c3f7f-2b1a-4b0e-9d52-0a6c6f1f8a11\tDuration: 1234.56 ms\tBilled Duration: 1235 ms\t\
     Memory Size: 1024 MB\tMax Memory Used: 100 MB\tXRAY TraceId: 1-5e34a614-10bdxxxx1fb44f07bc535a1\t\
     SegmentId: 07f022ca6cb51e5e\tSampled: true",
];

/// Bytes that CloudWatch Logs takes in: of what functions print, and of what Lambda says of their invocations.
fn logged_bytes(usage: &Usage) -> u64 {
    let (printed, invoked) = (usage.of_service("logs"), usage.of_service("lambda"));
    let of_lambda: u64 = OF_LAMBDA.iter().map(|line| line.len() as u64 + LINE_MORE).sum();
    printed.bytes + printed.requests * LINE_MORE + invoked.requests * of_lambda
}

/// What a usage costs for each of `rows` rows, told of a million.
fn dollars(table: &Table, usage: &Usage, rows: u64) -> anyhow::Result<Dollars> {
    let scale = MILLION / rows as f64;
    let sum = |count: fn(&Counts) -> f64, wanted: &dyn Fn(&Operation) -> bool| {
        usage.iter().filter(|(operation, _)| wanted(operation)).map(|(_, counts)| count(counts)).fold(0.0, f64::add)
            * scale
    };
    let service = |name: &'static str| move |operation: &Operation| operation.service == name;
    let requests: fn(&Counts) -> f64 = |counts| counts.requests as f64;
    let queue_units = sum(|counts| counts.queue_units as f64, &service("sqs"));
    let mut compute = 0.0;
    for (function, memory_mb) in &table.memory_mb {
        let of_function = |operation: &Operation| operation.service == "lambda" && operation.function == *function;
        let seconds = sum(|counts| counts.milliseconds as f64 / 1e3, &of_function);
        compute += table.of("lambda_gb_second", seconds * f64::from(*memory_mb) / 1024.0)?;
    }
    let puts = sum(requests, &|operation| operation.service == "s3" && is_put(&operation.name));
    let gets =
        sum(requests, &|operation| operation.service == "s3" && matches!(&*operation.name, "GetObject" | "HeadObject"));
    Ok(Dollars {
        dynamodb_writes: table.of("dynamodb_write_unit", sum(|counts| counts.write_units, &service("dynamodb")))?,
        dynamodb_reads: table.of("dynamodb_read_unit", sum(|counts| counts.read_units, &service("dynamodb")))?,
        sqs: table.of("sqs_request", queue_units)? + table.of("sqs_fair_queue_request", queue_units)?,
        s3: table.of("s3_put", puts)? + table.of("s3_get", gets)?,
        lambda_requests: table.of("lambda_request", sum(requests, &service("lambda")))?,
        lambda_compute: compute,
        logs: table.of("logs_gb", logged_bytes(usage) as f64 / 1e9 * scale)?,
        step_functions: 0.0,
    })
}

/// The rows of an import.
#[derive(Clone, Copy)]
enum Rows {
    Good { price: u64 },
    Bad,
}

/// Writes rows as they are in the comparison of `infra/compare`, some 260 bytes each.
fn write_rows(path: &Path, rows: u64, kind: Rows) -> anyhow::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "{COLUMNS}")?;
    for row in 0..rows {
        let number = row * 7_919 % 1_000_003;
        let cost = match kind {
            Rows::Good { price } => format!("{}.{:02}", price + number % 900, number % 100),
            Rows::Bad => "n/a".to_owned(),
        };
        writeln!(
            file,
            "SKU-{row:08},Welded elbow joint {number},\"Rubber seal, outdoor, metric thread, brass, {}\"\" wide, heavy duty \
             {number}\",{cost},{:012},Brand No. {},{}.99,{}.50,Category {},true,Material,brass,Finish,copper,Size,{} mm,\
             https://images.example.com/{}/{:09}.jpg,Pallet,{}",
            number % 40,
            number * 104_729,
            number % 500,
            number % 900,
            number % 800,
            number % 60,
            number % 300,
            number % 997,
            number * 31,
            1 + number % 48,
        )?;
    }
    Ok(file.flush()?)
}

/// One import, list or export, and what it used.
#[derive(Serialize)]
struct Run {
    name: &'static str,
    rows: u64,
    /// Of the file; 0 of a list.
    bytes: u64,
    /// From the upload, or the request, to the end on this machine.
    seconds: f64,
    /// What became of an import's rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<penstock_model::Rows>,
    usage: Vec<Used>,
    dollars_per_million: Dollars,
}

#[derive(Serialize)]
struct Used {
    #[serde(flatten)]
    operation: Operation,
    #[serde(flatten)]
    counts: Counts,
}

/// Another way to import, of which requests and units alone are counted.
#[derive(Serialize)]
struct Alternative {
    name: &'static str,
    dollars_per_million: Dollars,
}

/// What was counted, for whoever reckons with it.
#[derive(Serialize)]
struct Measured<'a> {
    date: String,
    cores: usize,
    region: &'a str,
    prices: &'a str,
    memory_mb: &'a BTreeMap<String, u32>,
    /// Imports of rows that were made for it.
    runs: Vec<Run>,
    /// What was done with the records between them.
    catalogue: Vec<Run>,
    /// Requests to the API, each made by itself.
    asked: Vec<asked::Request>,
    idle: idle::Month,
    alternatives: Vec<Alternative>,
}

/// Imports the rows and prints, in Markdown, what that costs. A repeat starts another local cloud.
///
/// # Errors
/// The local cloud cannot be started, or an import ends otherwise than it has to.
pub(crate) async fn run(args: CostArgs) -> anyhow::Result<ExitCode> {
    let table = Table::read()?;
    let file = printed::open(args.measured.as_deref())?;
    let mut interrupts = Interrupts::catch()?;
    let key = own_key();
    let keys = vec![(LOCAL_ACCOUNT.to_owned(), key.id.clone(), key.secret.clone())];
    let options = Options { keys, proxy: true, scheduled: false, ..Options::new(program()?) };
    let cloud = LocalCloud::start(options).await?;
    let client = Client::new(cloud.url(), &key.token())?;
    let bench = Bench { cloud: &cloud, client, table: &table, rows: args.rows };
    let measure = async {
        // Before there is anything to sweep.
        let idle = idle::month(&bench).await?;
        let (runs, catalogue) = runs(&bench).await?;
        let asked = asked::requests(&bench, &key.token()).await?;
        anyhow::Ok((runs, catalogue, asked, idle))
    };
    let counted = tokio::select! {
        counted = measure => counted,
        () = interrupts.next() => Err(anyhow::anyhow!("interrupted; the local cloud ends with it")),
    };
    cloud.stop().await;
    let (runs, catalogue, asked, idle) = counted?;
    let alternatives = alternatives(&table, &runs[0])?;
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let measured = Measured {
        date: penstock_model::rfc3339(i64::try_from(now_ms)?)[..10].to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        region: &table.region,
        prices: &table.date,
        memory_mb: &table.memory_mb,
        runs,
        catalogue,
        asked,
        idle,
        alternatives,
    };
    if let Some(file) = file {
        output::write(&(serde_json::to_string_pretty(&measured)? + "\n"), Some(file))?;
    }
    if args.json {
        terminal::say_json(&measured)?;
    } else {
        output::write(&report(&table, &measured)?, None)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The cloud that is measured.
struct Bench<'a> {
    cloud: &'a LocalCloud,
    client: Client,
    table: &'a Table,
    rows: u64,
}

/// What a piece of work came to: the bytes of its file, and the rows of an import.
type Came = (u64, Option<penstock_model::Rows>);

impl Bench<'_> {
    /// What has been used so far, with what was printed.
    fn used(&self) -> Usage {
        let (asked, printed) = (self.cloud.usage(), self.cloud.logged());
        asked.iter().chain(printed.iter()).map(|(operation, counts)| (operation.clone(), *counts)).collect()
    }

    /// Counts what a piece of work uses until nothing of it is left to do.
    async fn count(&self, name: &'static str, work: impl Future<Output = anyhow::Result<Came>>) -> anyhow::Result<Run> {
        note!("{name}: {} rows", self.rows);
        let before = self.used();
        let started = Instant::now();
        let (bytes, outcome) = work.await?;
        let seconds = started.elapsed().as_secs_f64();
        self.cloud.idle().await;
        let usage = self.used().since(&before);
        let used = |(operation, counts): (&Operation, &Counts)| Used { operation: operation.clone(), counts: *counts };
        let dollars_per_million = dollars(self.table, &usage, self.rows)?;
        let usage = usage.iter().map(used).collect();
        Ok(Run { name, rows: self.rows, bytes, seconds, outcome, usage, dollars_per_million })
    }

    /// Imports a file whose rows have to end as `expected`: created, updated, unchanged, failed.
    async fn import(&self, file: &Path, expected: [u64; 4]) -> anyhow::Result<Came> {
        self.import_with(ImportOptions::default(), file, expected).await
    }

    /// Imports a file by these options.
    async fn import_with(&self, options: ImportOptions, file: &Path, expected: [u64; 4]) -> anyhow::Result<Came> {
        let ended = import(&self.client, options, file).await?;
        let rows = ended.rows;
        let came = [rows.created, rows.updated, rows.unchanged, rows.failed];
        anyhow::ensure!(came == expected, "the import came to {rows:?} and not {expected:?}: {:?}", ended.failure);
        Ok((file.metadata()?.len(), Some(rows)))
    }

    /// Reviews a file whose rows would all make records, and cancels the review. What the review has to remember is
    /// removed later, by as many writes as it took.
    async fn review(&self, file: &Path) -> anyhow::Result<Came> {
        let options = ImportOptions { review: true, ..ImportOptions::default() };
        let judged = |import: &Import| import.status == Status::AwaitingConfirmation || import.status.is_final();
        let review = sent(&self.client, NewImport { options, ..NewImport::default() }, file, judged).await?;
        let rows = review.rows;
        anyhow::ensure!(rows.created == self.rows, "the review came to {rows:?}: {:?}", review.failure);
        self.client.cancel(&review.id).await?;
        Ok((file.metadata()?.len(), Some(rows)))
    }

    /// Lists every record of the kind, by the largest pages.
    async fn list(&self, kind: &str) -> anyhow::Result<Came> {
        let (mut listed, mut cursor) = (0, None);
        loop {
            let page = self.client.records(kind, &RecordFilter::default(), cursor.as_deref(), PAGE_MAX).await?;
            listed += page.records.len() as u64;
            cursor = page.next_cursor;
            if cursor.is_none() {
                anyhow::ensure!(listed == self.rows, "{listed} records were listed");
                return Ok((0, None));
            }
        }
    }

    /// Exports the kind as CSV into a file.
    async fn export(&self, kind: &str, file: &Path) -> anyhow::Result<Came> {
        let (format, compression) = (ExportFormat::Csv, ExportCompression::None);
        let order = NewExport { kind: kind.to_owned(), format, compression, changed_after: None };
        let ordered = self.client.create_export(&order).await?;
        let export = crate::export::to_its_end(&self.client, ordered).await?;
        anyhow::ensure!(export.records == self.rows, "{} records were exported", export.records);
        let mut stored = self.client.export_file(export.url.as_deref().context("the export has no file")?).await?;
        let mut written = BufWriter::new(std::fs::File::create(file)?);
        while let Some(bytes) = stored.chunk().await? {
            written.write_all(bytes.as_ref())?;
        }
        written.flush()?;
        Ok((file.metadata()?.len(), None))
    }
}

/// Imports made rows, six times, and what is done with the records between them.
async fn runs(bench: &Bench<'_>) -> anyhow::Result<(Vec<Run>, Vec<Run>)> {
    let folder = tempfile::tempdir()?;
    let (made, exported) = (folder.path().join("products.csv"), folder.path().join("exported.csv"));
    let rows = bench.rows;
    // That of an import which names none.
    let kind = "products";
    let of = |prices: Rows| write_rows(&made, rows, prices);
    of(Rows::Good { price: 1 })?;
    let reviewed = bench.count("reviewed, all new", bench.review(&made)).await?;
    let new = bench.count("new", bench.import(&made, [rows, 0, 0, 0])).await?;
    let same = bench.count("unchanged, the same file", bench.import(&made, [0, 0, rows, 0])).await?;
    // An empty line is no row, and makes it another file.
    OpenOptions::new().append(true).open(&made)?.write_all(b"\n")?;
    let unchanged = bench.count("unchanged", bench.import(&made, [0, 0, rows, 0])).await?;
    let force = ImportOptions { force: true, ..ImportOptions::default() };
    let read = bench.count("unchanged, all read", bench.import_with(force, &made, [0, 0, rows, 0])).await?;
    let catalogue = vec![
        reviewed,
        bench.count("listed", bench.list(kind)).await?,
        bench.count("exported as CSV", bench.export(kind, &exported)).await?,
        bench.count("the exported file imported", bench.import(&exported, [0, 0, rows, 0])).await?,
    ];
    of(Rows::Good { price: 1_000 })?;
    let updated = bench.count("updated", bench.import(&made, [0, rows, 0, 0])).await?;
    of(Rows::Bad)?;
    let bad = bench.count("all bad", bench.import(&made, [0, 0, 0, rows])).await?;
    Ok((vec![new, same, unchanged, read, updated, bad], catalogue))
}

async fn import(client: &Client, options: ImportOptions, file: &Path) -> anyhow::Result<Import> {
    let has_all = |import: &Import| import.rows.failed == 0 || import.rejected.is_some();
    sent(client, NewImport { options, ..NewImport::default() }, file, |import| {
        import.status.is_final() && has_all(import)
    })
    .await
}

/// Sends a file to a new import, and waits until that is as it is wanted.
async fn sent(
    client: &Client,
    new: NewImport,
    file: &Path,
    is_wanted: impl Fn(&Import) -> bool,
) -> anyhow::Result<Import> {
    let created = client.create(&new, None).await?;
    let upload = created.upload.as_ref().context("the service gave no upload URL")?;
    let file = tokio::fs::File::open(file).await?;
    client.upload(upload, file.metadata().await?.len(), file).await?;
    loop {
        let import = client.import(&created.id).await?;
        if is_wanted(&import) {
            return Ok(import);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What other ways to write the same new records would cost by the same prices, from the units that were counted of
/// each record. Their functions' time is left out, since it was not measured: they cost more.
fn alternatives(table: &Table, new: &Run) -> anyhow::Result<Vec<Alternative>> {
    let of_records =
        |used: &&Used| used.operation.service == "dynamodb" && used.operation.name == "BatchExecuteStatement";
    let units: f64 = new.usage.iter().filter(of_records).map(|used| used.counts.write_units).sum();
    let dynamodb_writes = table.of("dynamodb_write_unit", units * MILLION / new.rows as f64)?;
    let dollars = |sqs: f64, lambda: f64, transitions: f64| -> anyhow::Result<Dollars> {
        Ok(Dollars {
            dynamodb_writes,
            sqs: table.of("sqs_request", sqs)?,
            lambda_requests: table.of("lambda_request", lambda)?,
            step_functions: table.of("step_functions_transition", transitions)?,
            ..Dollars::default()
        })
    };
    Ok(vec![
        // Sent, received and deleted ten at a time, each ten an invocation.
        Alternative {
            name: "one message per row, ten to a request",
            dollars_per_million: dollars(3.0 * MILLION / 10.0, MILLION / 10.0, 0.0)?,
        },
        Alternative {
            name: "one message per row, one to a request",
            dollars_per_million: dollars(3.0 * MILLION, MILLION, 0.0)?,
        },
        // One task in a child workflow for each row, which writes the item itself.
        Alternative {
            name: "a Step Functions distributed map, a row to a child",
            dollars_per_million: dollars(0.0, 0.0, MILLION)?,
        },
        Alternative { name: "one PutItem per row, from one function", dollars_per_million: dollars(0.0, 0.0, 0.0)? },
    ])
}

fn report(table: &Table, measured: &Measured<'_>) -> anyhow::Result<String> {
    let mut text = String::new();
    let rows = measured.runs[0].rows;
    let bytes = measured.runs[0].bytes as f64 / rows as f64;
    writeln!(text, "# What a million rows cost\n")?;
    writeln!(
        text,
        "Requests were counted on {}, on the wire between the functions and the local cloud, in imports of {rows} rows of\n\
         {bytes:.0} bytes each. Figures are scaled to a million rows. Prices are those of {} as of {}.\n\
         Written by `penstock cost`.\n",
        measured.date, measured.region, measured.prices
    )?;
    writeln!(
        text,
        "| rows | DynamoDB requests | write units | read units | SQS requests billed | S3 requests | invocations | GB-seconds | MB of logs |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for run in measured.runs.iter().chain(&measured.catalogue) {
        let scale = MILLION / run.rows as f64;
        let sum = |service: &str, count: fn(&Counts) -> f64| {
            run.usage
                .iter()
                .filter(|used| used.operation.service == service)
                .map(|used| count(&used.counts))
                .fold(0.0, f64::add)
                * scale
        };
        let gb_seconds: f64 = run
            .usage
            .iter()
            .filter(|used| used.operation.service == "lambda")
            .map(|used| {
                let memory = table.memory_mb.get(&used.operation.function).copied().unwrap_or(0);
                used.counts.milliseconds as f64 / 1e3 * f64::from(memory) / 1024.0 * scale
            })
            .fold(0.0, f64::add);
        let usage: Usage = run.usage.iter().map(|used| (used.operation.clone(), used.counts)).collect();
        let logs_mb = logged_bytes(&usage) as f64 / 1e6 * scale;
        writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {gb_seconds:.0} | {logs_mb:.1} |",
            run.name,
            sum("dynamodb", |counts| counts.requests as f64),
            sum("dynamodb", |counts| counts.write_units),
            sum("dynamodb", |counts| counts.read_units),
            sum("sqs", |counts| counts.queue_units as f64),
            sum("s3", |counts| counts.requests as f64),
            sum("lambda", |counts| counts.requests as f64),
        )?;
    }
    writeln!(
        text,
        "\n| dollars | DynamoDB writes | reads | SQS | S3 | Lambda requests | Lambda time | logs | Step Functions | all |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    let runs = measured.runs.iter().chain(&measured.catalogue).map(|run| (run.name, &run.dollars_per_million));
    for (name, dollars) in
        runs.chain(measured.alternatives.iter().map(|other| (other.name, &other.dollars_per_million)))
    {
        let Dollars { dynamodb_writes, dynamodb_reads, sqs, s3, lambda_requests, lambda_compute, logs, step_functions } =
            dollars;
        let cells = [dynamodb_writes, dynamodb_reads, sqs, s3, lambda_requests, lambda_compute, logs, step_functions];
        let cells: Vec<String> = cells.into_iter().map(|dollars| format!("{dollars:.4}")).collect();
        writeln!(text, "| {name} | {} | {:.4} |", cells.join(" | "), dollars.total())?;
    }
    writeln!(
        text,
        "\nA list is read by pages of {PAGE_MAX} records. The last four lines write as many new records of the same size. They leave\n\
         out the time of functions, retries, reads and logs, so they cost more than this. None of them accounts for rows or\n\
         merges them. Lambda's time was measured on this machine, {} cores shared with the local cloud. All lines leave out\n\
         storage, backups and traces. Logs are what the functions print at the level `info`, and what Lambda says of each\n\
         invocation.\n",
        measured.cores
    )?;
    text.push_str(&asked::section(&measured.asked)?);
    text.push_str(&idle::section(table, &measured.idle, &measured.runs[0])?);
    writeln!(text, "## Prices\n")?;
    writeln!(text, "| price | dollars | source |")?;
    writeln!(text, "| --- | --- | --- |")?;
    for Price { dollars, per, what, source, source_date } in table.prices.values() {
        writeln!(text, "| {what} | {dollars} per {per} | <{source}>, {source_date} |")?;
    }
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_has_a_source_and_a_date() {
        let table = Table::read().expect("a price table");
        for (name, price) in &table.prices {
            assert!(price.dollars > 0.0 && price.per > 0.0 && price.source.starts_with("https://"), "{name}");
            assert!(price.source_date.contains("20"), "{name}");
        }
        assert!((table.of("sqs_request", 5e6).expect("a price") - 2.0).abs() < 1e-9);
        assert!(table.of("gold", 1.0).is_err());
    }

    /// An import's estimate takes the figures that were measured.
    #[test]
    fn an_imports_estimate_has_the_measured_figures() {
        use penstock_model::cost;
        let measured: serde_json::Value =
            serde_json::from_str(include_str!("../cost/measured.json")).expect("what was measured is JSON");
        let dollars = |name: &str| {
            let runs = measured["runs"].as_array().expect("runs");
            let run = runs.iter().find(|run| run["name"] == name).expect("it was measured");
            let parts = run["dollars_per_million"].as_object().expect("dollars");
            parts.values().map(|part| part.as_f64().expect("a number")).sum::<f64>()
        };
        let figures = [cost::NEW, cost::UPDATED, cost::READ, cost::FAILED];
        for (name, figure) in ["new", "updated", "unchanged, all read", "all bad"].into_iter().zip(figures) {
            assert_eq!(figure, (dollars(name) * 1e4).round() as u64, "{name}");
        }
        assert_eq!(
            (measured["region"].as_str(), measured["prices"].as_str()),
            (Some(cost::REGION), Some(cost::PRICES))
        );
    }

    #[test]
    fn everything_that_is_used_is_paid_for_at_its_own_price() {
        let operation = |service: &str, name: &str, function: &str| Operation {
            service: service.to_owned(),
            name: name.to_owned(),
            function: function.to_owned(),
            resource: String::new(),
        };
        let requests = |requests| Counts { requests, ..Counts::default() };
        let usage = Usage::from_iter([
            (operation("dynamodb", "UpdateItem", "split"), Counts { write_units: 3.0, ..requests(9) }),
            (operation("dynamodb", "BatchGetItem", "validate"), Counts { read_units: 8.0, ..requests(9) }),
            (operation("sqs", "SendMessageBatch", "split"), Counts { queue_units: 5, ..requests(1) }),
            (operation("s3", "PutObject", "api"), requests(2)),
            (operation("s3", "GetObject", "split"), requests(10)),
            (operation("s3", "DeleteObject", "api"), requests(100)),
            (operation("lambda", "Invoke", "validate"), Counts { milliseconds: 2500, ..requests(4) }),
            (operation("lambda", "Invoke", "report"), Counts { milliseconds: 1000, ..requests(1) }),
            (operation("logs", "PutLogEvents", "validate"), Counts { bytes: 900, ..requests(4) }),
        ]);
        let price = |dollars| Price {
            dollars,
            per: 1.0,
            what: String::new(),
            source: String::new(),
            source_date: String::new(),
        };
        let prices = [
            ("dynamodb_write_unit", 1.0),
            ("dynamodb_read_unit", 0.5),
            ("sqs_request", 2.0),
            ("sqs_fair_queue_request", 1.0),
            ("s3_put", 10.0),
            ("s3_get", 0.1),
            ("lambda_request", 0.25),
            ("lambda_gb_second", 4.0),
            ("logs_gb", 1e9),
        ];
        let table = Table {
            region: String::new(),
            date: String::new(),
            prices: prices.map(|(name, dollars)| (name.to_owned(), price(dollars))).into(),
            memory_mb: [("validate".to_owned(), 1024), ("report".to_owned(), 512)].into(),
            idle: Table::read().expect("a price table").idle,
        };
        // Of two million rows, told of one.
        let dollars = dollars(&table, &usage, 2_000_000).expect("every price is there");
        let told = [dollars.dynamodb_writes, dollars.dynamodb_reads, dollars.sqs, dollars.s3, dollars.lambda_requests];
        for (told, wanted) in told.into_iter().zip([3.0, 4.0, 15.0, 21.0, 1.25]) {
            assert!((told * 2.0 - wanted).abs() < 1e-9, "{told} is not half of {wanted}");
        }
        assert!((dollars.lambda_compute * 2.0 - 4.0 * (2.5 + 0.5)).abs() < 1e-9, "{}", dollars.lambda_compute);
        // Four lines of its own, and those of Lambda for each of five invocations.
        let of_lambda: usize = OF_LAMBDA.iter().map(|line| line.len() + 26).sum();
        let logs = (900 + 4 * 26 + 5 * of_lambda) as f64;
        assert!((dollars.logs * 2.0 - logs).abs() < 1e-6, "{} is not half of {logs}", dollars.logs);
        assert!((dollars.total() * 2.0 - (3.0 + 4.0 + 15.0 + 21.0 + 1.25 + 12.0 + logs)).abs() < 1e-6);
    }

    #[test]
    fn memory_is_that_of_the_template() {
        let template: yaml_serde::Value =
            yaml_serde::from_str(include_str!("../../template.yaml")).expect("the template is YAML");
        let table = Table::read().expect("a price table");
        for (function, memory_mb) in &table.memory_mb {
            let resource = format!("{}{}Function", function[..1].to_uppercase(), &function[1..]);
            let size = template["Resources"][resource.as_str()]["Properties"]["MemorySize"].as_u64();
            assert_eq!(size, Some((*memory_mb).into()), "{function}");
        }
    }

    #[test]
    fn rows_are_good_or_bad_as_they_have_to_be_and_as_long_as_the_comparisons() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.csv");
        write_rows(&file, 1000, Rows::Good { price: 1 }).expect("written");
        let text = std::fs::read_to_string(&file).expect("text");
        assert!((240_000..280_000).contains(&text.len()), "{}", text.len());
        let cells = COLUMNS.split(',').count();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert!(reader.records().all(|record| record.expect("a record").len() == cells));
    }
}
