//! `penstock export`: the records of a kind as a file.

use std::{path::Path, process::ExitCode, time::Instant};

use anyhow::Context;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use penstock_client::{Client, Export, NewExport};
use penstock_model::{ExportCompression, ExportFormat, ExportStatus};

use crate::{follow, interrupt::Interrupts, output, printed::Bytes, service::Service, show::OutputArgs, terminal};

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// The kind of the records.
    kind: String,
    /// How records stand in the file.
    #[arg(long, default_value = "ndjson", value_parser = format())]
    format: ExportFormat,
    /// How the file is compressed.
    #[arg(long, default_value = "none", value_parser = compression())]
    compression: ExportCompression,
    /// Only records that were changed after this import, or deleted.
    #[arg(long, value_name = "ID")]
    changed_after: Option<String>,
    /// Prints the export as JSON once its file is there.
    #[arg(long, requires = "output")]
    json: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    service: Service,
}

fn format() -> impl TypedValueParser<Value = ExportFormat> {
    PossibleValuesParser::new(ExportFormat::ALL.map(ExportFormat::as_str)).map(|word| {
        let found = ExportFormat::ALL.into_iter().find(|format| format.as_str() == word);
        found.expect("one of the possible values")
    })
}

fn compression() -> impl TypedValueParser<Value = ExportCompression> {
    PossibleValuesParser::new(ExportCompression::ALL.map(ExportCompression::as_str)).map(|word| {
        let found = ExportCompression::ALL.into_iter().find(|compression| compression.as_str() == word);
        found.expect("one of the possible values")
    })
}

/// Orders an export, waits for its file and fetches it. An interruption cancels it.
pub(crate) async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let ExportArgs { kind, format, compression, changed_after, json, output, service } = args;
    let mut interrupts = Interrupts::catch()?;
    let client = service.client()?;
    // A place where nothing can be written is found out before anything is asked for.
    let printed = Bytes::to(output.output.as_deref())?;
    let export = client.create_export(&NewExport { kind, format, compression, changed_after }).await?;
    let id = export.id.clone();
    let export = tokio::select! {
        export = fetch(&client, export, printed) => export?,
        () = interrupts.next() => {
            output::discard_pending();
            let left = match client.cancel_export(&id).await {
                Ok(_) => "it is cancelled",
                Err(_) => "it may go on",
            };
            anyhow::bail!("interrupted: {id}: {left}, and nothing is written")
        }
    };
    say_end(&export, output.output.as_deref(), json)?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until an export's file is there and writes it to its place, or to standard output.
async fn fetch(client: &Client, export: Export, mut printed: Bytes) -> anyhow::Result<Export> {
    let export = to_its_end(client, export).await?;
    let url = export.url.as_deref().with_context(|| format!("the file of {} is no longer kept", export.id))?;
    let mut stored = client.export_file(url).await?;
    while let Some(bytes) = stored.chunk().await? {
        printed.write(bytes.as_ref())?;
    }
    printed.end()?;
    Ok(export)
}

/// Waits until an export is completed.
///
/// # Errors
/// It failed or was cancelled, or the service does not answer for a minute.
pub(crate) async fn to_its_end(client: &Client, mut export: Export) -> anyhow::Result<Export> {
    let (started, mut answered) = (Instant::now(), Instant::now());
    while !export.status.is_final() {
        follow::pause(started).await;
        match client.export(&export.id).await {
            Ok(now) => (export, answered) = (now, Instant::now()),
            Err(error) if error.is_transient() && answered.elapsed() < follow::PATIENCE => {}
            Err(error) => return Err(error.into()),
        }
    }
    match (&export.failure, export.status) {
        (_, ExportStatus::Completed) => Ok(export),
        (Some(failure), _) => anyhow::bail!("{}: {}: {}", export.id, failure.code, failure.message),
        (None, status) => anyhow::bail!("{} is {}", export.id, status.as_str()),
    }
}

/// Says what was written; beside the data, on standard error.
fn say_end(export: &Export, path: Option<&Path>, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::say_json(export);
    }
    let deleted = match export.deleted {
        0 => String::new(),
        deleted => format!(", {deleted} deleted"),
    };
    let inexact = match export.inexact {
        0 => String::new(),
        inexact => format!(", {inexact} that an import would not read as they are"),
    };
    let line = format!("{}  {} records{deleted}{inexact}", export.id, export.records);
    match path {
        Some(path) => say!("{line}: {}", path.display()),
        None => note!("{line}"),
    }
    Ok(())
}
