//! `penstock check`: a file checked as an import of it would, by the engine alone, on this machine.
//!
//! ```text
//! file ─▶ decode, split ─┬─▶ check ─┬─▶ counts, errors, rejected rows
//!                        ├─▶ check ─┤     in the file's order
//!                        └─▶ check ─┘
//! ```
//!
//! It says what the service would say of the rows themselves. What only the stored records can tell it does not say: whether a row would
//! create a record or change one, and whether it would make one too large.

mod checker;
mod line;
mod sink;

use std::{
    collections::BTreeMap,
    fs::File,
    io::Seek,
    num::NonZeroU8,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context;
use clap::Args;
use penstock_client::Detected;
use penstock_engine::{
    decode,
    detect::{self, Hints},
    header,
    kind::Kind,
    kinds,
    plan::Plan,
    split::{Piece, SplitOptions, Splitter},
};
use penstock_model::{
    Body, Checkpoint, Chunk, Failure, Grammar, ImportOptions, Job, KindName, Layout, RowError, Schema, Status, limits,
};
use serde::Serialize;

use crate::{
    LOCAL_ACCOUNT,
    file::FileArgs,
    follow::{SOME_FAILED, say_errors},
    output::{FileId, Output},
    preview::say_layout,
    terminal,
};
use checker::Checker;
use line::Line;
use sink::{Sink, Wanted};

#[derive(Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    file: FileArgs,
    /// The kind of its records: a bundled one's name, or the path of a Table Schema file.
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

/// What a check comes to.
#[derive(Serialize)]
struct Outcome<'a> {
    file: &'a Path,
    kind: &'a str,
    status: Status,
    detected: Option<Detected>,
    columns: &'a [String],
    ignored_columns: &'a [String],
    rows: Rows,
    error_codes: &'a BTreeMap<String, u64>,
    first_errors: &'a [RowError],
    failure: Option<&'a Failure>,
}

/// How many rows there are, and what becomes of them.
#[derive(Clone, Copy, Default, Serialize)]
struct Rows {
    total: u64,
    accepted: u64,
    failed: u64,
}

/// Why a check stops before the file's end.
enum Stop {
    /// An import of the file would fail, for this reason.
    Failed(Failure),
    /// The check itself cannot go on: what it found cannot be written, or the file not be read again.
    Trouble(anyhow::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Checks a file and says what comes of it. A repeat says the same.
///
/// # Errors
/// The file is not there, the kind is none, or what was found cannot be written.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let bytes = args.file.bytes()?;
    let schema = schema(&args.kind)?;
    let kind = Kind::compile(&schema, &LOCAL_ACCOUNT.parse()?)?;
    let threads = match args.threads {
        Some(threads) => threads.get().into(),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let input = FileId::of(&std::fs::metadata(&args.file.file)?);
    let rejected = args.rejected.as_deref().map(|path| Output::open(path, &[input])).transpose()?;
    let mut check = Check::new(args, bytes, schema.name);
    let (sink, stopped) = check.whole(kind, threads, rejected);
    let failure = match stopped {
        Ok(()) => None,
        Err(Stop::Failed(failure)) => Some(failure),
        Err(Stop::Trouble(error)) => return Err(error),
    };
    let found = sink.finish(failure.is_none())?;
    let status = match failure {
        Some(_) => Status::Failed,
        None if found.rows.failed > 0 => Status::CompletedWithErrors,
        None => Status::Completed,
    };
    let outcome = Outcome {
        file: &args.file.file,
        kind: check.job.kind.as_str(),
        status,
        detected: check.layout.as_ref().map(detected),
        columns: &check.job.columns,
        ignored_columns: &check.ignored,
        rows: found.rows,
        error_codes: &found.codes,
        first_errors: &found.first,
        failure: failure.as_ref(),
    };
    if args.errors {
        if let Some(failure) = &failure {
            note!("{}: {}", failure.code, failure.message);
        }
    } else if args.json {
        terminal::say_json(&outcome)?;
    } else {
        summary(&outcome, check.layout.as_ref(), args.rejected.as_deref())?;
    }
    let seconds = started.elapsed().as_secs_f64();
    note!("{seconds:.1} s, {:.0} rows/s", found.rows.total as f64 / seconds.max(0.001));
    Ok(match status {
        Status::Completed => ExitCode::SUCCESS,
        Status::CompletedWithErrors => SOME_FAILED.into(),
        _ => ExitCode::FAILURE,
    })
}

/// The kind's schema: a bundled one, or a file's.
fn schema(kind: &str) -> anyhow::Result<Schema> {
    let name: Option<KindName> = kind.parse().ok();
    if let Some(schema) = name.and_then(|name| kinds::bundled(&name)) {
        return Ok(schema.clone());
    }
    let document = std::fs::read(kind)
        .with_context(|| format!("`{kind}` is no bundled kind, and cannot be read as a schema's file"))?;
    Kind::parse(&document).with_context(|| format!("the schema in {kind}"))
}

fn detected(layout: &Layout) -> Detected {
    let (delimiter, quoting) = match layout.grammar {
        Grammar::Delimited { delimiter, quoting } => (Some(char::from(delimiter)), Some(quoting)),
        _ => (None, None),
    };
    Detected {
        format: layout.format,
        compression: layout.compression,
        encoding: layout.encoding.clone(),
        delimiter,
        quoting,
        sheet: layout.sheet.clone(),
        notes: layout.notes.clone(),
    }
}

fn summary(outcome: &Outcome<'_>, layout: Option<&Layout>, rejected: Option<&Path>) -> anyhow::Result<()> {
    let rows = &outcome.rows;
    say!("{}  {}", outcome.file.display(), outcome.status.as_str());
    if let Some(layout) = layout {
        say_layout(layout)?;
    }
    say!("{} rows: {} accepted, {} failed", rows.total, rows.accepted, rows.failed);
    if let Some(failure) = outcome.failure {
        say!("{}: {}", failure.code, failure.message);
    }
    if !outcome.ignored_columns.is_empty() {
        say!("ignored columns: {}", outcome.ignored_columns.join(", "));
    }
    if rows.failed > 0 {
        let codes: Vec<String> = outcome.error_codes.iter().map(|(code, count)| format!("{count} {code}")).collect();
        say!("errors: {}", codes.join(", "));
        say_errors(outcome.first_errors, rows.failed, "--errors prints all errors")?;
        if let Some(rejected) = rejected {
            say!("rejected rows: {}", rejected.display());
        }
    }
    Ok(())
}

/// A check under way: what is known of the file so far.
struct Check<'a> {
    args: &'a CheckArgs,
    options: ImportOptions,
    bytes: u64,
    layout: Option<Layout>,
    job: Job,
    ignored: Vec<String>,
    /// Where the last chunk that was taken ends.
    next: Checkpoint,
}

impl<'a> Check<'a> {
    fn new(args: &'a CheckArgs, bytes: u64, kind: KindName) -> Self {
        let options = args.file.options();
        let job = Job::dry(LOCAL_ACCOUNT.parse().expect("a valid account"), kind, &options, Grammar::CSV, Vec::new());
        Self { args, options, bytes, layout: None, job, ignored: Vec::new(), next: Checkpoint::START }
    }

    /// Checks the whole file: what was found, and why that is not all.
    fn whole(&mut self, kind: Kind, threads: usize, rejected: Option<Output>) -> (Sink, Result<(), Stop>) {
        let wanted = Wanted { errors: self.args.errors, rejected: rejected.is_some() };
        let sink = Sink::new(wanted, &self.args.file.file, self.bytes, rejected);
        std::thread::scope(|scope| {
            let mut line = Line::new(scope, threads, sink);
            let stopped = self.through(kind, &mut line);
            let (sink, trouble) = line.end();
            // What stopped the line's end is why nothing could be given to its start any more.
            (sink, trouble.map_or(stopped, |error| Err(Stop::Trouble(error))))
        })
    }

    /// Sends the file through the line.
    fn through(&mut self, kind: Kind, line: &mut Line<'_, '_>) -> Result<(), Stop> {
        if self.bytes > limits::UPLOAD_BYTES {
            let message =
                format!("a file of {} bytes is larger than the limit of {}", self.bytes, limits::UPLOAD_BYTES);
            return Err(Failure::new("file_too_large", message).into());
        }
        let path = &self.args.file.file;
        let opened = File::open(path).with_context(|| path.display().to_string());
        let mut file = opened.map_err(Stop::Trouble)?;
        let fields: Vec<&str> = kind.fields().iter().map(|field| field.name()).collect();
        let filename = self.args.file.filename();
        let hints = Hints {
            format: self.args.file.reading.format,
            filename: filename.as_deref(),
            options: &self.options,
            fields: &fields,
            partial: false,
        };
        let layout = detect::detect(&mut file, self.bytes, &hints)?;
        file.rewind().map_err(|error| Stop::Trouble(error.into()))?;
        self.job.grammar = layout.grammar;
        self.layout = Some(layout.clone());

        let mut kind = Some(kind);
        let mut splitter = Splitter::new(SplitOptions::new(layout.grammar, &self.job.chunking));
        let mut stopped = None;
        let read = decode::each_piece(&layout, file, self.bytes, &mut |bytes| {
            let pieces = splitter.push(bytes).map_err(Failure::from).map_err(Stop::from);
            match pieces.and_then(|pieces| pieces.into_iter().try_for_each(|piece| self.take(piece, &mut kind, line))) {
                Ok(()) => ControlFlow::Continue(()),
                Err(stop) => {
                    stopped = Some(stop);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(stop) = stopped {
            return Err(stop);
        }
        if let Err(Failure { code, message }) = read {
            let message = format!("{message}; nothing from row {} on can be read", self.next.row);
            return Err(Failure::new(&code, message).into());
        }
        let (pieces, _) = splitter.finish().map_err(Failure::from)?;
        pieces.into_iter().try_for_each(|piece| self.take(piece, &mut kind, line))?;
        if self.next.chunk == 0 && !layout.grammar.has_header() {
            // No row, no name of a member.
            self.set_columns(Vec::new(), &mut kind, line)?;
        }
        if self.job.columns.is_empty() && layout.grammar.has_header() {
            return Err(Failure::new("empty_file", "the file holds no header and no row").into());
        }
        Ok(())
    }

    fn take(&mut self, piece: Piece, kind: &mut Option<Kind>, line: &mut Line<'_, '_>) -> Result<(), Stop> {
        let (chunk, next) = match piece {
            Piece::Header(bytes) => {
                return self.set_columns(header::columns(&bytes, self.job.grammar)?, kind, line);
            }
            Piece::Chunk(chunk, next) => (chunk, next),
        };
        // Where there is no header, the first rows tell what the columns are.
        if !self.job.grammar.has_header() && chunk.index == 0 {
            self.set_columns(members(&chunk, self.job.grammar), kind, line)?;
        }
        self.next = next;
        line.give(chunk).map_err(|_| Stop::Trouble(anyhow::anyhow!("what is found cannot be taken any more")))
    }

    /// The columns are known: from here on rows can be checked.
    fn set_columns(
        &mut self,
        columns: Vec<String>,
        kind: &mut Option<Kind>,
        line: &mut Line<'_, '_>,
    ) -> Result<(), Stop> {
        let kind = kind.take().expect("a file has one header, or one first chunk");
        let plan = Plan::compile(kind, self.job.grammar, &columns, &self.job.mapping)?;
        self.ignored = plan.ignored(&columns).map(str::to_owned).collect();
        self.job.columns = columns;
        let layout = self.layout.as_ref().expect("what the file is was found out first");
        line.start(Checker::new(plan, self.job.clone()), layout, &self.options);
        Ok(())
    }
}

fn members(chunk: &Chunk, grammar: Grammar) -> Vec<String> {
    match &chunk.body {
        Body::Rows(rows) => header::members(rows, grammar),
        Body::Refused(_) => Vec::new(),
    }
}
