//! `penstock check`: a file checked as an import of it would be, by the engine alone, on this machine.
//!
//! ```text
//! file ─▶ Reading ─┬─▶ check ─┬─▶ counts, errors, rejected rows
//!                  ├─▶ check ─┤     in the file's order
//!                  └─▶ check ─┘
//! ```
//!
//! It says of the rows themselves what the service would say. It does not say what only the stored records can tell:
//! whether a row would create a record or change one, and whether it would make one too large.

mod checker;
mod collector;
mod found;
mod line;
mod rejected;

use std::{
    collections::BTreeMap,
    fs::File,
    num::NonZeroU8,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Args;
use penstock_client::Detected;
use penstock_engine::{
    kind::Kind,
    kinds, notes,
    reading::{self, Part, Reading},
    rejected::Form,
};
use penstock_model::{Failure, Grammar, Job, KindName, Layout, RowError, Schema, Status, advice::for_command};
use serde::Serialize;

use crate::{
    LOCAL_ACCOUNT,
    file::{LocalFile, ReadingArgs},
    follow::{SOME_FAILED, say_failure, say_ignored},
    groups,
    output::{FileId, Output},
    preview::say_layout,
    schema_file::SchemaFile,
    source::{Origin, Source},
    terminal,
};
use checker::Checker;
use collector::Collector;
use found::{Errors, Found, RowCounts, Wanted};
use line::Line;

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    reading: ReadingArgs,
    /// The kind of its records: the name of a bundled one, or the path of a Table Schema file.
    #[arg(long, default_value = kinds::DEFAULT)]
    kind: String,
    /// Threads that check rows; as many as there are cores if not given. One does everything by itself.
    #[arg(long)]
    threads: Option<NonZeroU8>,
    /// Where the rejected rows go; they are not written if not given.
    #[arg(long)]
    rejected: Option<PathBuf>,
    /// Prints every error on standard output, a JSON object a line, and nothing else there.
    #[arg(long, conflicts_with = "json")]
    errors: bool,
    /// Prints the result as JSON on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
}

/// The result of a check, as it is printed.
#[derive(Serialize)]
struct Summary<'a> {
    file: &'a str,
    kind: &'a str,
    status: Status,
    detected: Option<Detected>,
    columns: &'a [String],
    ignored_columns: &'a [String],
    rows: RowCounts,
    error_codes: &'a BTreeMap<String, u64>,
    first_errors: &'a [RowError],
    failure: Option<&'a Failure>,
}

/// Checks a file and prints the result. A repeat prints the same.
///
/// # Errors
/// The file is not there, the kind is none, or what was found cannot be written.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let origin = Origin::look(&args.file)?;
    let (schema, schema_file) = schema(&args.kind)?;
    let kind = Kind::compile(&schema, &LOCAL_ACCOUNT.parse()?)?;
    let threads = match args.threads {
        Some(threads) => threads.get().into(),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let inputs: Vec<FileId> = [origin.id()].into_iter().chain(schema_file).collect();
    let rejected =
        args.rejected.as_deref().map(|path| Ok::<_, anyhow::Error>(Output::open(path, &inputs)?.keeping_old()));
    let rejected = rejected.transpose()?;
    // What is piped is read to its end here.
    let source = origin.open()?;
    let path = source.readable_path();
    let file = LocalFile::look(&path, origin.filename(), args.reading.format, args.reading.options())?;
    let mut check = Check::new(&file, &kind);
    let wanted = Wanted { errors: args.errors, rejected: rejected.is_some() };
    let (found, failure) = check.whole(file.open()?, threads, Collector::new(wanted, &file, rejected), &source)?;
    if let (Some(note), Some(layout)) = (notes::of_errors(found.codes.keys().map(String::as_str)), &mut check.layout) {
        layout.notes.push(note.to_owned());
    }
    let status = match failure {
        Some(_) => Status::Failed,
        None if found.rows.failed > 0 => Status::CompletedWithErrors,
        None => Status::Completed,
    };
    let name = origin.name();
    let summary = Summary {
        file: &name,
        kind: check.job.kind.as_str(),
        status,
        detected: check.layout.clone().map(Detected::from),
        columns: &check.job.columns,
        ignored_columns: &check.ignored,
        rows: found.rows,
        error_codes: &found.codes,
        first_errors: &found.errors.first,
        failure: failure.as_ref(),
    };
    if args.errors {
        if let Some(failure) = &failure {
            note!("{}: {}", failure.code, for_command(&failure.message));
        }
    } else if args.json {
        terminal::say_json(&summary)?;
    } else {
        say_summary(&summary, &found.errors, check.layout.as_ref(), args.rejected.as_deref())?;
    }
    let seconds = started.elapsed().as_secs_f64();
    note!("{seconds:.1} s, {:.0} rows/s", found.rows.total as f64 / seconds.max(0.001));
    Ok(match status {
        Status::Completed => ExitCode::SUCCESS,
        Status::CompletedWithErrors => SOME_FAILED.into(),
        _ => ExitCode::FAILURE,
    })
}

/// The kind's schema: a bundled one, or that of a file, and which file that is.
fn schema(kind: &str) -> anyhow::Result<(Schema, Option<FileId>)> {
    let name: Option<KindName> = kind.parse().ok();
    if let Some(schema) = name.and_then(|name| kinds::bundled(&name)) {
        return Ok((schema.clone(), None));
    }
    let file = SchemaFile::read(kind)?;
    Ok((file.schema.clone(), Some(file.id())))
}

fn say_summary(
    summary: &Summary<'_>,
    errors: &Errors,
    layout: Option<&Layout>,
    rejected: Option<&Path>,
) -> anyhow::Result<()> {
    let rows = &summary.rows;
    say!("{}  {}", summary.file, summary.status.as_str());
    if let Some(layout) = layout {
        say_layout(layout)?;
    }
    say!("{} rows: {} accepted, {} failed", rows.total, rows.accepted, rows.failed);
    if let Some(failure) = summary.failure {
        say_failure(failure)?;
    }
    say_ignored(summary.ignored_columns)?;
    if rows.failed > 0 {
        let codes: Vec<String> = summary.error_codes.iter().map(|(code, count)| format!("{count} {code}")).collect();
        say!("errors: {}", codes.join(", "));
        for line in groups::lines(&errors.summary(), &errors.first, rows.failed, "--errors prints all errors") {
            say!("{line}");
        }
        if let Some(rejected) = rejected {
            say!("rejected rows: {}", rejected.display());
        }
    }
    Ok(())
}

/// A check under way: what is known of the file so far.
struct Check<'a> {
    file: &'a LocalFile<'a>,
    kind: &'a Kind,
    layout: Option<Layout>,
    job: Job,
    ignored: Vec<String>,
}

impl<'a> Check<'a> {
    fn new(file: &'a LocalFile<'a>, kind: &'a Kind) -> Self {
        let account = LOCAL_ACCOUNT.parse().expect("a valid account");
        let job = Job::dry(account, kind.name().clone(), &file.options, Grammar::CSV, Vec::new());
        Self { file, kind, layout: None, job, ignored: Vec::new() }
    }

    /// Checks the whole file: what was found, and why an import of the file would fail, if it would.
    ///
    /// # Errors
    /// What was found cannot be written, or is true of no file: `source` has changed meanwhile.
    fn whole(
        &mut self,
        file: File,
        threads: usize,
        collector: Collector,
        source: &Source,
    ) -> anyhow::Result<(Found, Option<Failure>)> {
        std::thread::scope(|scope| {
            let mut line = Line::new(scope, threads, collector);
            let failure = self.through(file, &mut line).err();
            let collector = line.end()?;
            source.is_unchanged("read")?;
            Ok((collector.finish(failure.is_none())?, failure))
        })
    }

    /// Sends the file through the line, until its end or until the line takes no more.
    fn through(&mut self, mut file: File, line: &mut Line<'_, '_>) -> Result<(), Failure> {
        let LocalFile { bytes, options, .. } = self.file;
        let hints = self.file.hints(self.kind);
        let layout = reading::resolve(&mut file, *bytes, &hints)?;
        self.layout = Some(layout.clone());
        self.job.grammar = layout.grammar;
        self.job.reading.clone_from(&layout.reading);
        let mut reading = Reading::start(&layout, &hints, &self.job.chunking);
        reading.read(file, *bytes, &mut |part| match part {
            Part::Columns(columns) => {
                self.job.columns.clone_from(&columns.names);
                self.ignored = columns.ignored;
                if let Some(layout) = &mut self.layout {
                    layout.notes.extend(columns.notes);
                }
                let form = Form::new(&layout, options, &columns.names, Some(&columns.plan));
                line.start(Checker::new(columns.plan, self.job.clone(), form), &layout);
                ControlFlow::Continue(())
            }
            Part::Chunk(chunk, _) => line.give(chunk),
        })
    }
}
