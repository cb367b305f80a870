//! `penstock import`: a file through the service, as any remote client would do it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use penstock_client::{Client, Import, NewImport};
use penstock_local::{LocalCloud, Options};
use penstock_model::{Format, ImportOptions, RowError, Status};

use crate::{LOCAL_ACCOUNT, LOCAL_KEY, interruption, preview, program, progress::Progress};

/// How long to wait between two looks at the import.
const POLL: Duration = Duration::from_millis(200);

/// Errors that the summary shows.
pub(crate) const FIRST_ERRORS: usize = 5;

/// A file, and how it is to be read.
#[derive(Args)]
pub(crate) struct FileArgs {
    /// The file.
    pub(crate) file: PathBuf,
    /// What the file is: csv, tsv, ndjson, json or xlsx; found out if not given.
    #[arg(long, value_parser = format)]
    pub(crate) format: Option<Format>,
    /// The byte between two cells; found out if not given.
    #[arg(long, value_parser = delimiter)]
    delimiter: Option<char>,
    /// Takes quotes for data.
    #[arg(long)]
    no_quoting: bool,
    /// The encoding of the text, such as windows-1252; found out if not given.
    #[arg(long)]
    encoding: Option<String>,
    /// The sheet of a workbook; the first if not given.
    #[arg(long)]
    sheet: Option<String>,
    /// What a column means whose name does not say it; any number of times.
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = mapped)]
    mapping: Vec<(String, String)>,
}

impl FileArgs {
    /// What is asked of an import of the file, as far as it is about the file.
    pub(crate) fn options(&self) -> ImportOptions {
        ImportOptions {
            delimiter: self.delimiter,
            quoting: self.no_quoting.then_some(false),
            encoding: self.encoding.clone(),
            sheet: self.sheet.clone(),
            mapping: self.mapping.iter().cloned().collect(),
            ..ImportOptions::default()
        }
    }

    /// What the file is called.
    pub(crate) fn filename(&self) -> Option<String> {
        self.file.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    /// How much there is of it.
    ///
    /// # Errors
    /// It is not there, or no file.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        let file = std::fs::metadata(&self.file).with_context(|| self.file.display().to_string())?;
        anyhow::ensure!(file.is_file(), "{} is not a file", self.file.display());
        Ok(file.len())
    }
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    file: FileArgs,
    /// The kind of its records.
    #[arg(long, default_value = "products")]
    kind: String,
    /// Judges every row and writes none.
    #[arg(long)]
    dry_run: bool,
    /// Shows what the file would be taken for, and its first rows; imports nothing.
    #[arg(long)]
    preview: bool,
    /// The service's base URL; without one a local cloud is started for this import.
    #[arg(long, env = "PENSTOCK_URL", requires = "token")]
    url: Option<String>,
    /// The API key: `<id>.<secret>`.
    #[arg(long, env = "PENSTOCK_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Where the rejected rows go; `FILE.rejected.csv` if not given.
    #[arg(long)]
    rejected: Option<PathBuf>,
    /// Prints the import as JSON on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
}

impl ImportArgs {
    fn options(&self) -> ImportOptions {
        ImportOptions { dry_run: self.dry_run, ..self.file.options() }
    }
}

fn format(name: &str) -> Result<Format, String> {
    let known = serde_json::from_value(serde_json::Value::String(name.to_owned()));
    known.map_err(|_| "csv, tsv, ndjson, json and xlsx are read".to_owned())
}

/// As the service takes it.
fn delimiter(text: &str) -> Result<char, String> {
    let refused = |c: &char| !c.is_ascii() || matches!(c, '"' | '\n' | '\r' | '\0') || c.is_ascii_alphanumeric();
    let one: Option<char> = text.parse().ok();
    one.filter(|c| !refused(c))
        .ok_or_else(|| "it is one ASCII character, not a quote, a line break, a letter or a digit".to_owned())
}

/// `COLUMN=FIELD`; a field's name holds no `=`, a column's may.
fn mapped(text: &str) -> Result<(String, String), String> {
    let (column, field) = text.rsplit_once('=').ok_or("write it as COLUMN=FIELD")?;
    Ok((column.to_owned(), field.to_owned()))
}

/// Exit code when some rows failed; 0 when none did, 1 when the import did.
pub(crate) const SOME_FAILED: u8 = 2;

pub(crate) async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let bytes = args.file.bytes()?;
    if args.preview {
        let client = match (&args.url, &args.token) {
            (Some(url), Some(token)) => Some(Client::new(url, token)?),
            _ => None,
        };
        let (options, filename) = (args.options(), args.file.filename());
        let subject = preview::Subject {
            file: &args.file.file,
            filename: filename.as_deref(),
            kind: &args.kind,
            format: args.file.format,
            options: &options,
        };
        return preview::run(&subject, client.as_ref()).await;
    }
    let interrupted = interruption()?;
    let (local, client) = match (&args.url, &args.token) {
        (Some(url), Some(token)) => (None, Client::new(url, token)?),
        _ => {
            let (id, secret) = LOCAL_KEY.split_once(':').expect("a key");
            let keys = vec![(LOCAL_ACCOUNT.to_owned(), id.to_owned(), secret.to_owned())];
            let cloud = LocalCloud::start(Options { keys, ..Options::new(program()?) }).await?;
            let client = Client::new(cloud.url(), &format!("{id}.{secret}"))?;
            (Some(cloud), client)
        }
    };
    let code = tokio::select! {
        code = import(&args, &client, bytes) => code,
        () = interrupted => {
            let what = if local.is_some() { "the local cloud ends with it" } else { "an import that has begun goes on" };
            Err(anyhow::anyhow!("interrupted; {what}"))
        }
    };
    if let Some(cloud) = local {
        cloud.stop().await;
    }
    code
}

async fn import(args: &ImportArgs, client: &Client, size: u64) -> anyhow::Result<ExitCode> {
    let new = NewImport {
        kind: Some(args.kind.clone()),
        format: args.file.format,
        filename: args.file.filename(),
        size: Some(size),
        options: args.options(),
    };
    let mut progress = Progress::new();
    let started = Instant::now();
    let created = client.create(&new, None).await?;
    progress.say(&format!("{}: uploading {size} bytes", created.id));
    let upload = created.upload.as_ref().context("the service gave no upload URL")?;
    client.upload(upload, &args.file.file).await?;
    let ended = loop {
        let import = client.import(&created.id).await?;
        progress.show(&import);
        // The rejected rows are there a moment after the end.
        let reported = import.rows.failed == 0 || import.rejected.is_some();
        if import.status.is_final() && reported {
            break import;
        }
        tokio::time::sleep(POLL).await;
    };
    let seconds = started.elapsed().as_secs_f64();
    progress.end();
    let rejected = args.rejected.clone().unwrap_or_else(|| beside(&args.file.file));
    let saved = if ended.rejected.is_some() { client.save_rejected(&ended.id, &rejected).await } else { Ok(()) };
    if args.json {
        say!("{}", serde_json::to_string_pretty(&ended)?);
    } else {
        summary(client, &ended, seconds, &rejected).await?;
    }
    // What was imported is said before that its rejected rows could not be saved.
    saved?;
    Ok(match ended.status {
        Status::Completed => ExitCode::SUCCESS,
        Status::CompletedWithErrors => SOME_FAILED.into(),
        _ => ExitCode::FAILURE,
    })
}

/// Shows a row's error, a line of the summary.
pub(crate) fn say_error(error: &RowError) -> anyhow::Result<()> {
    say!("  row {}, line {}: {} ({})", error.row, error.line, error.message, error.code);
    Ok(())
}

/// `FILE.rejected.csv`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".rejected.csv");
    name.into()
}

async fn summary(client: &Client, import: &Import, seconds: f64, rejected: &Path) -> anyhow::Result<()> {
    let rows = &import.rows;
    let rate = rows.processed as f64 / seconds.max(0.001);
    say!("{}  {}", import.id, import.status.as_str());
    say!(
        "{} rows: {} created, {} updated, {} unchanged, {} skipped, {} failed, {} unprocessed",
        rows.total.unwrap_or(rows.processed),
        rows.created,
        rows.updated,
        rows.unchanged,
        rows.skipped,
        rows.failed,
        rows.unprocessed
    );
    say!("{seconds:.1} s, {rate:.0} rows/s");
    for note in import.detected.iter().flat_map(|detected| &detected.notes) {
        say!("note: {note}");
    }
    if let Some(failure) = &import.failure {
        say!("{}: {}", failure.code, failure.message);
    }
    if !import.ignored_columns.is_empty() {
        say!("ignored columns: {}", import.ignored_columns.join(", "));
    }
    if rows.failed > 0 {
        for error in client.errors(&import.id, None, FIRST_ERRORS).await?.errors {
            say_error(&error)?;
        }
        say!("rejected rows: {}", rejected.display());
    }
    Ok(())
}
