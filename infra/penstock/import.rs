//! `penstock import`: files through the service, as any remote client would do it.

mod destination;
mod one;
mod parts;
mod rejected;

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use penstock_client::{Import, NewImport};
use penstock_engine::kinds;
use penstock_model::{Abort, EmptyCells, Format, ImportOptions, Mode, Status, WebhookId, limits};
use serde::Serialize;

use crate::{
    file::{LocalFile, ReadingArgs, words},
    follow::{self, exit_code},
    interrupt::Interrupts,
    output::{self, FileId},
    preview,
    schema_file::SchemaFile,
    service::{Service, quoted},
    source::{Origin, RejectedForm},
    terminal,
};
use destination::Destination;
use one::{Broken, Ended, Job};
use rejected::{Place, Saved};

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The files, each an import of its own, in this order; `-` is standard input.
    #[arg(required_unless_present = "from", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Imports again what was uploaded to this import of the service, with the options that are given here; no file is
    /// sent.
    #[arg(long, value_name = "ID", conflicts_with_all = ["files", "preview", "local"])]
    from: Option<String>,
    /// The import that the file corrects: it has rows that were rejected there, mended.
    #[arg(long, value_name = "ID", conflicts_with_all = ["preview", "local", "dry_run"])]
    corrects: Option<String>,
    /// The kind of their records: its name, or the path of a Table Schema file, which is registered first. If not
    /// given, `products`, or with --from or --corrects the kind of that import.
    #[arg(long)]
    kind: Option<String>,
    /// The preset of the service whose kind and options the imports have, but for those that are given here.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["preview", "local"])]
    preset: Option<String>,
    /// What rows do: upsert sets the fields that they have, create makes new records only, fill sets fields that hold
    /// nothing, replace is an upsert that then removes every record of the kind that the file does not name;
    /// upsert if not given.
    #[arg(long, value_parser = words::<Mode>(&["upsert", "create", "fill", "replace"]))]
    mode: Option<Mode>,
    /// How many of the records that were there the mode replace may remove without being confirmed, in percent: 20 if
    /// not given; 0 waits to be confirmed whenever a record would go.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    most_removed_percent: Option<u8>,
    /// What an empty cell says: keep leaves the field as it is, clear empties it. With the mode fill, which empties
    /// nothing, clear is keep; keep if not given.
    #[arg(long, value_parser = words::<EmptyCells>(&["keep", "clear"]))]
    empty_cells: Option<EmptyCells>,
    /// Reads and applies every row, also one that says again what was said last of its record: for records that were
    /// written by other means than imports.
    #[arg(long)]
    force: bool,
    /// Leaves out rows that say again what was said last, although the preset has `force`.
    #[arg(long, requires = "preset", conflicts_with = "force")]
    no_force: bool,
    /// Fails an import once more than PERCENT of its first ROWS rows are rejected, such as 1000:5.
    #[arg(long, value_name = "ROWS:PERCENT", value_parser = abort)]
    abort: Option<Abort>,
    /// Judges every row and writes none.
    #[arg(long)]
    dry_run: bool,
    /// Writes rows, although the preset has `dry_run`.
    #[arg(long, requires = "preset", conflicts_with = "dry_run")]
    no_dry_run: bool,
    /// Judges every row against the catalogue and the file's other rows, and writes none until that is confirmed.
    #[arg(long, conflicts_with_all = ["dry_run", "preview", "local"])]
    review: bool,
    /// Writes rows without being confirmed, although the preset has `review`.
    #[arg(long, requires = "preset", conflicts_with = "review")]
    no_review: bool,
    /// Takes quotes for what they are, although the preset has `quoting` = false.
    #[arg(long, requires = "preset", conflicts_with = "no_quoting")]
    quoting: bool,
    /// Has its events carry a name and a text, such as batch=2026-11; may be given again.
    #[arg(long, value_name = "NAME=TEXT", value_parser = entry, conflicts_with_all = ["preview", "local"])]
    metadata: Vec<(String, String)>,
    /// The endpoint that is told its events, whatever that asks for.
    #[arg(long, value_name = "ID", conflicts_with_all = ["preview", "local"])]
    webhook: Option<WebhookId>,
    /// Shows what the file is, and its first rows as they would be read; imports nothing.
    #[arg(long)]
    preview: bool,
    /// What the file is called, where that is not its name here.
    #[arg(long)]
    filename: Option<String>,
    /// Where rejected rows go, a file, a folder, or `-`; FILE.rejected.csv, or .ndjson for JSON, if not given.
    #[arg(long, value_name = "PATH")]
    rejected: Option<PathBuf>,
    /// Prints the import, or the preview, as JSON on standard output, and nothing else there; of several files an
    /// object a line.
    #[arg(long)]
    json: bool,
    /// Imports through a local cloud in memory that ends with the command, whatever service the environment or a
    /// profile names.
    #[arg(long, conflicts_with_all = ["url", "token", "profile"], help_heading = "Service")]
    local: bool,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// `ROWS:PERCENT`, as the service takes it.
fn abort(text: &str) -> Result<Abort, String> {
    let parts = text.split_once(':').and_then(|(rows, percent)| {
        Some(Abort { rows: rows.parse().ok()?, percent: percent.trim_end_matches('%').parse().ok()? })
    });
    parts.filter(|abort| (1..=limits::ABORT_ROWS).contains(&abort.rows) && abort.percent <= 99).ok_or_else(|| {
        format!("write it as ROWS:PERCENT, 1 to {} rows and 0 to 99 percent, such as 1000:5", limits::ABORT_ROWS)
    })
}

/// `NAME=TEXT`.
fn entry(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=TEXT")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A file, or an import whose upload is read again, and where the rejected rows go.
struct Plan {
    name: String,
    /// `None` where no file is sent.
    origin: Option<Origin>,
    rejected: Place,
    /// The form in which they are expected.
    form: RejectedForm,
}

impl ImportArgs {
    /// What no service would take, told in the words of the command before anything is asked for.
    fn check_mode(&self) -> anyhow::Result<()> {
        let mut names = HashSet::new();
        if let Some((name, _)) = self.metadata.iter().find(|(name, _)| !names.insert(name)) {
            anyhow::bail!("--metadata names {name} twice: give it once");
        }
        let replaces = self.mode == Some(Mode::Replace);
        anyhow::ensure!(
            replaces || self.preset.is_some() || self.most_removed_percent.is_none(),
            "--most-removed-percent is for --mode replace alone"
        );
        anyhow::ensure!(
            !(replaces && self.corrects.is_some()),
            "--corrects with --mode replace would remove every record that the mended rows do not name"
        );
        anyhow::ensure!(
            self.corrects.is_none() || self.files.len() <= 1,
            "--corrects is for one file, not {}: an import is corrected by one other",
            self.files.len()
        );
        anyhow::ensure!(
            !(replaces && self.dry_run),
            "--dry-run cannot tell what --mode replace would remove: --most-removed-percent 0 shows it before anything \
             goes, and --mode upsert judges the rows"
        );
        anyhow::ensure!(
            !(replaces && self.review),
            "--review cannot tell what --mode replace would remove: --most-removed-percent 0 shows it, and waits to be \
             confirmed, before anything goes"
        );
        Ok(())
    }

    fn options(&self) -> ImportOptions {
        let reading = self.reading.options();
        ImportOptions {
            quoting: if self.quoting { Some(true) } else { reading.quoting },
            mode: self.mode.unwrap_or_default(),
            empty_cells: self.empty_cells.unwrap_or_default(),
            abort: self.abort,
            most_removed_percent: self.most_removed_percent,
            force: self.force,
            dry_run: self.dry_run,
            review: self.review,
            ..reading
        }
    }

    /// What is to be done, without harm to `schema`, a file that is read as well. Every file and every place for
    /// rejected rows has been looked at: what cannot be is found out before anything is.
    fn plans(&self, schema: Option<FileId>) -> anyhow::Result<(Vec<Plan>, Vec<FileId>)> {
        let origins = self.files.iter().map(|path| Origin::look(path)).collect::<anyhow::Result<Vec<_>>>()?;
        for (at, origin) in origins.iter().enumerate() {
            let is_again = origins[..at].iter().any(|other| other.id() == origin.id());
            anyhow::ensure!(!is_again, "{} is given twice", origin.name());
        }
        let own = |origin: &Origin| RejectedForm::ALL.map(|form| origin.rejected_path(form));
        let places =
            origins.iter().map(|origin| self.rejected_place(own(origin))).collect::<anyhow::Result<Vec<_>>>()?;
        let mut plans: Vec<Plan> = Vec::new();
        if let Some(from) = &self.from {
            let own = RejectedForm::ALL.map(|form| PathBuf::from(format!("{from}{}", form.ending())));
            let (rejected, form) = (self.rejected_place(own)?, self.expected_form(None));
            plans.push(Plan { name: from.clone(), origin: None, rejected, form });
        }
        for (origin, rejected) in origins.iter().zip(&places) {
            let mut others = origins.iter().zip(&places).filter(|(other, _)| other.id() != origin.id());
            let of = others.find(|(_, place)| leads_to(place, origin.id()));
            match of {
                Some((of, _)) if origin.holds_rejected_rows() => note!(
                    "{} is left out: it holds rejected rows of {} from an earlier run; by itself it is imported",
                    origin.name(),
                    of.name()
                ),
                _ => {
                    let form = self.expected_form(origin.filename());
                    let (name, origin) = (origin.name(), Some(origin.clone()));
                    plans.push(Plan { name, origin, rejected: rejected.clone(), form });
                }
            }
        }
        let read = plans.iter().filter_map(|plan| plan.origin.as_ref());
        let inputs: Vec<FileId> = read.map(Origin::id).chain(schema).collect();
        let mut targets: Vec<PathBuf> = Vec::new();
        for Plan { rejected, form, .. } in &plans {
            let path = rejected.path(*form);
            // What is no file, such as a pipe, is opened once, when its rows are to come.
            if output::is_stream(path) {
                continue;
            }
            let output = rejected.open(*form, &inputs).map_err(|error| match self.rejected {
                Some(_) => error,
                None => error.context("the rejected rows have no place: name one by --rejected PATH"),
            })?;
            if let Some(target) = output.target() {
                let again = targets.iter().any(|other| other == target);
                anyhow::ensure!(!again, "the rejected rows of two files would go to {}", path.display());
                targets.push(target.to_owned());
            }
        }
        Ok((plans, inputs))
    }

    /// Where rejected rows go whose own place, in each form, is this one.
    fn rejected_place(&self, own: [PathBuf; 2]) -> anyhow::Result<Place> {
        let paths = match &self.rejected {
            None => own,
            Some(folder) if folder.is_dir() => own.map(|own| folder.join(own.file_name().unwrap_or(own.as_os_str()))),
            Some(path) => {
                let is_shared = self.files.len() > 1 && !output::is_stream(path);
                anyhow::ensure!(
                    !is_shared,
                    "--rejected is one file for the rejected rows of {}: name a folder that is there",
                    self.files.len()
                );
                [path.clone(), path.clone()]
            }
        };
        Ok(Place { paths })
    }

    /// The form of the rejected rows as far as the file's name tells.
    fn expected_form(&self, filename: Option<String>) -> RejectedForm {
        let name = self.filename.clone().or(filename).unwrap_or_default().to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let by_name = match ending {
            "json" => Some(Format::Json),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            _ => None,
        };
        RejectedForm::of(self.reading.format.or(by_name))
    }

    async fn preview(&self) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(self.files.len() == 1, "--preview shows one file, not {}", self.files.len());
        let client = if self.local { None } else { self.service.named()? };
        let origin = Origin::look(&self.files[0])?;
        let source = origin.open()?;
        let filename = self.filename.clone().or_else(|| origin.filename());
        let path = source.readable_path();
        let file = LocalFile::look(&path, filename, self.reading.format, self.options())?;
        preview::run(&file, self.named_kind(), client.as_deref(), self.json).await
    }

    /// The flag that names something at a service which has a kind, if one does.
    fn other(&self) -> Option<&'static str> {
        let import = self.from.as_ref().map(|_| "--from").or(self.corrects.as_ref().map(|_| "--corrects"));
        import.or(self.preset.as_ref().map(|_| "--preset"))
    }

    /// The options that go before the preset's although they hold their defaults.
    fn named(&self) -> BTreeSet<&'static str> {
        let given = [
            ("mode", self.mode.is_some()),
            ("empty_cells", self.empty_cells.is_some()),
            ("force", self.no_force),
            ("dry_run", self.no_dry_run),
            ("review", self.no_review),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }

    fn named_kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(kinds::DEFAULT)
    }

    fn new_import(&self, origin: Option<&Origin>, kind: &str) -> NewImport {
        NewImport {
            kind: Some(kind.to_owned()).filter(|_| self.other().is_none() || self.kind.is_some()),
            from: self.from.clone(),
            corrects: self.corrects.clone(),
            preset: self.preset.clone(),
            format: self.reading.format,
            filename: self.filename.clone().or_else(|| origin?.filename()),
            size: None,
            options: self.options(),
            metadata: self.metadata.iter().cloned().collect(),
            webhook: self.webhook.as_ref().map(ToString::to_string),
            named: self.named(),
        }
    }

    /// Says what became of a file: on standard output, or with `--json` what is beside the JSON on standard error,
    /// where everything goes that standard output does not take.
    ///
    /// # Errors
    /// Standard output takes nothing.
    async fn report(&self, name: &str, result: &Result<Ended, Broken>, to: &Destination) -> anyhow::Result<()> {
        let several = self.files.len() > 1;
        let printed = self.print(name, result, to).await;
        let apart = self.json || printed.is_err();
        match result {
            Ok(Ended { rejected: Saved::Not(error), .. }) if several => note!("penstock: {name}: {error:#}"),
            Ok(ended) => {
                for line in ended.rejected.line().into_iter().chain(self.how_to_correct(ended, to)) {
                    if apart { note!("{line}") } else { say!("{line}") }
                }
            }
            Err(broken) if several => note!("penstock: {name}: {:#}", broken.error),
            // The command ends with it.
            Err(_) => {}
        }
        printed
    }

    /// How the rejected rows of an import that is kept are sent again.
    fn how_to_correct(&self, ended: &Ended, to: &Destination) -> Option<String> {
        let path = ended.rejected.path().filter(|path| !output::is_stream(path))?;
        if !to.is_kept() || ended.import.options.dry_run {
            return None;
        }
        let path = quoted(&path.to_string_lossy());
        let command = to.client().hint(&format!("import {path} --corrects {}", ended.import.id));
        Some(format!("mended, they go in by {command}"))
    }

    async fn print(&self, name: &str, result: &Result<Ended, Broken>, to: &Destination) -> anyhow::Result<()> {
        let several = self.files.len() > 1;
        match result {
            Ok(ended) if self.json && !several => terminal::say_json(&ended.import),
            result if self.json => terminal::say_json_line(&Line::of(name, result)),
            Ok(ended) => {
                if several {
                    say!("{name}:");
                }
                self.summary(ended, to).await
            }
            Err(_) => Ok(()),
        }
    }

    async fn summary(&self, ended: &Ended, to: &Destination) -> anyhow::Result<()> {
        let Ended { import, seconds, rejected, .. } = ended;
        let all_errors = match (to.is_kept(), rejected.path()) {
            (true, _) => format!("{} shows all errors", to.client().hint(&format!("errors {}", import.id))),
            (false, Some(path)) => format!("all are in {}", path.display()),
            (false, None) => "they could be written to no file".to_owned(),
        };
        follow::summary(to.client(), import, &all_errors).await?;
        say!("{seconds:.1} s, {:.0} rows/s", import.rows.processed as f64 / seconds.max(0.001));
        Ok(())
    }
}

/// The line of JSON of one of several files, or of one that was not imported to its end.
#[derive(Default, Serialize)]
struct Line<'a> {
    /// `None` where nothing was begun.
    file: Option<&'a str>,
    /// The import's id, if one is known to have been made.
    id: Option<&'a str>,
    import: Option<&'a Import>,
    rejected_file: Option<&'a Path>,
    error: Option<String>,
}

impl<'a> Line<'a> {
    fn of(file: &'a str, result: &'a Result<Ended, Broken>) -> Self {
        let import = match result {
            Ok(ended) => Some(&ended.import),
            Err(broken) => broken.import.as_ref(),
        };
        let (file, id) = (Some(file), import.map(|import| import.id.as_str()));
        match result {
            Ok(Ended { rejected, .. }) => {
                let error = match rejected {
                    Saved::Not(error) => Some(format!("{error:#}")),
                    _ => None,
                };
                Self { file, id, import, rejected_file: rejected.path(), error }
            }
            Err(broken) => Self { file, id, import, rejected_file: None, error: Some(format!("{:#}", broken.error)) },
        }
    }
}

/// All that is known before the first import.
struct Begun {
    plans: Vec<Plan>,
    inputs: Vec<FileId>,
    destination: Destination,
    kind: String,
    interrupts: Interrupts,
}

/// Finds out what is to be done and where. What cannot be is found out here, before the first import.
///
/// # Errors
/// A file cannot be read, a place not be written, or the service is none, or does not take the kind.
async fn begin(args: &ImportArgs) -> anyhow::Result<Begun> {
    args.check_mode()?;
    let schema = SchemaFile::of_argument(args.named_kind())?;
    let (plans, inputs) = args.plans(schema.as_ref().map(SchemaFile::id))?;
    let named = if args.local { None } else { args.service.named()? };
    if let (Some(flag), None) = (args.other(), &named) {
        let what = if flag == "--preset" { "a preset" } else { "an import" };
        anyhow::bail!("{flag} names {what} at a service: name that by --url and --token, or by --profile");
    }
    anyhow::ensure!(
        !args.review || named.is_some(),
        "--review waits at a service to be confirmed: name that by --url and --token, or by --profile; without one, \
         --dry-run judges the rows"
    );
    let mut interrupts = Interrupts::catch()?;
    let destination = Destination::open(named).await?;
    let registered = match &schema {
        None => String::new(),
        Some(file) => tokio::select! {
            registered = file.register(destination.client()) => format!("; {}", registered?),
            () = interrupts.next() => anyhow::bail!("interrupted; nothing was imported"),
        },
    };
    note!("importing into {destination}{registered}");
    let kind = schema.as_ref().map_or(args.named_kind(), |file| file.schema.name.as_str()).to_owned();
    Ok(Begun { plans, inputs, destination, kind, interrupts })
}

pub(crate) async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    if args.preview {
        args.check_mode()?;
        return args.preview().await;
    }
    let begun = begin(&args).await;
    if let (Err(error), true) = (&begun, args.json) {
        // Who reads JSON reads of this failure too; an output that takes nothing is the lesser one.
        let _ = terminal::say_json_line(&Line { error: Some(format!("{error:#}")), ..Line::default() });
    }
    let Begun { plans, inputs, destination, kind, mut interrupts } = begun?;
    let mut results = Vec::new();
    let mut unprinted = false;
    for Plan { name, origin, rejected, form } in &plans {
        let origin = origin.as_ref();
        let new = args.new_import(origin, &kind);
        let job = Job { origin, rejected, form: *form, inputs: &inputs, new, to: &destination };
        let result = one::import(job, &mut interrupts).await;
        let reported = tokio::select! {
            reported = args.report(name, &result, &destination) => reported,
            () = interrupts.next() => anyhow::bail!("interrupted; {name} is dealt with, nothing more was begun"),
        };
        // What was imported is imported, and the other files are no worse for it.
        if let Err(error) = reported
            && !std::mem::replace(&mut unprinted, true)
        {
            note!("penstock: standard output cannot be written to: {error:#}");
        }
        let is_interrupted = match &result {
            Ok(ended) => ended.is_interrupted,
            Err(broken) => broken.is_interruption,
        };
        results.push(result);
        if is_interrupted {
            break;
        }
    }
    // A preset may have said more than the command.
    let made = results.iter().find_map(|result| result.as_ref().ok()).map(|ended| ended.import.options.clone());
    let farewell = farewell(&results, plans.len(), &made.unwrap_or_else(|| args.options()), &destination);
    destination.end().await;
    let mut tell = |line: &str| {
        let said = if args.json || unprinted { None } else { Some(terminal::say(format_args!("{line}"))) };
        match said {
            Some(Ok(())) => {}
            Some(Err(_)) => {
                unprinted = true;
                note!("{line}");
            }
            None => note!("{line}"),
        }
    };
    if plans.len() == 1 && args.files.len() <= 1 {
        let ended = results.pop().expect("one file has one result").map_err(|broken| broken.error)?;
        tell(&farewell);
        if let Saved::Not(error) = ended.rejected {
            return Err(error);
        }
        return Ok(if unprinted { ExitCode::FAILURE } else { exit_code(ended.import.status).into() });
    }
    let (lines, code) = totals(&plans, &results);
    lines.iter().for_each(|line| tell(line));
    tell(&farewell);
    Ok(if unprinted { ExitCode::FAILURE } else { code.into() })
}

/// Which file is at a path, if there is one.
fn id_at(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|found| FileId::of(&found))
}

/// Whether rejected rows would go to a file.
fn leads_to(place: &Place, file: FileId) -> bool {
    place.paths.iter().any(|path| id_at(path) == Some(file))
}

/// The last line: where the rows are of so many imports that were to be made.
fn farewell(results: &[Result<Ended, Broken>], planned: usize, options: &ImportOptions, to: &Destination) -> String {
    // One that goes on may apply rows yet.
    let applied = |import: &&Import| {
        let rows = &import.rows;
        let goes_on = matches!(import.status, Status::Processing | Status::AwaitingConfirmation);
        goes_on || rows.created + rows.updated + rows.unchanged + rows.skipped > 0
    };
    let is_whole = |result: &Result<Ended, Broken>| {
        let status = result.as_ref().map(|ended| ended.import.status);
        matches!(status, Ok(Status::Completed | Status::CompletedWithErrors | Status::AwaitingConfirmation))
    };
    let seen = results.iter().filter_map(|result| match result {
        Ok(ended) => Some(&ended.import),
        Err(broken) => broken.import.as_ref(),
    });
    let kept = if to.is_kept() { "" } else { ": nothing of it is kept" };
    if options.dry_run {
        format!("a dry run: nothing was written into {to}")
    } else if options.review {
        format!("a review: nothing was written into {to}")
    } else if seen.filter(applied).count() == 0 {
        format!("nothing was imported into {to}")
    } else if results.len() == planned && results.iter().all(is_whole) {
        format!("imported into {to}{kept}")
    } else {
        format!("not everything was imported; what was is in {to}{kept}")
    }
}

/// What became of several files, a line for each, and the exit code for all: 1 over 2 over 0.
fn totals(plans: &[Plan], results: &[Result<Ended, Broken>]) -> (Vec<String>, u8) {
    let mut codes: Vec<u8> = Vec::new();
    let mut lines = Vec::new();
    for (at, Plan { name, .. }) in plans.iter().enumerate() {
        let (code, became) = match results.get(at) {
            Some(Ok(Ended { import, rejected, .. })) => {
                let Import { id, status, rows, .. } = import;
                let code = if rejected.is_lost() { 1 } else { exit_code(*status) };
                let lost = if rejected.is_lost() { "; its rejected rows are not saved" } else { "" };
                (code, format!("{id}  {}  {} rows, {} failed{lost}", status.as_str(), rows.processed, rows.failed))
            }
            Some(Err(broken)) => (1, format!("not imported to its end: {:#}", broken.error)),
            None => (1, "not begun".to_owned()),
        };
        codes.push(code);
        lines.push(format!("  {name}  {became}"));
    }
    let count = |of: u8| codes.iter().filter(|code| **code == of).count();
    lines.insert(
        0,
        format!(
            "{} files: {} fine, {} with rejected rows, {} failed{}",
            plans.len(),
            count(0),
            count(2),
            count(1),
            match count(follow::NOT_CONFIRMED) {
                0 => String::new(),
                held => format!(", {held} to be confirmed"),
            }
        ),
    );
    let code = if count(1) > 0 { 1 } else { codes.iter().copied().max().unwrap_or(0) };
    (lines, code)
}
