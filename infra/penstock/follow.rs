//! Following an import at a service to its end.

use std::time::{Duration, Instant};

use penstock_client::{Client, Import};
use penstock_model::{RowError, Status};

use crate::{progress::Progress, terminal};

/// How long to wait between two looks at an import: at first, and when it takes long.
const POLL: Duration = Duration::from_millis(200);
const SLOW_POLL: Duration = Duration::from_secs(2);

/// How long a service may be out of reach before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Errors that a summary shows.
pub(crate) const FIRST_ERRORS: usize = 10;

/// Waits until an import has ended and its rejected rows can be had, showing how far it is. `latest` is always the import as it was last seen.
///
/// # Errors
/// The service does not know it, or does not answer for a minute.
pub(crate) async fn to_its_end(
    client: &Client,
    id: &str,
    progress: &mut Progress,
    latest: &mut Option<Import>,
) -> anyhow::Result<Import> {
    let started = Instant::now();
    let mut answered = Instant::now();
    let mut is_silent = false;
    loop {
        match client.import(id).await {
            Ok(import) => {
                (answered, is_silent) = (Instant::now(), false);
                progress.import(&import);
                // The rejected rows are there a moment after the end.
                let reported = import.rows.failed == 0 || import.rejected.is_some();
                if import.status.is_final() && reported {
                    return Ok(import);
                }
                *latest = Some(import);
            }
            Err(error) if error.is_transient() && answered.elapsed() < PATIENCE => {
                if !std::mem::replace(&mut is_silent, true) {
                    progress.say(&format!("{error}: trying again for {} s", PATIENCE.as_secs()));
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep((started.elapsed() / 20).clamp(POLL, SLOW_POLL)).await;
    }
}

/// The exit code that tells how an import ended: 0 when every row was fine, 2 when some were not, 1 when the import was not.
pub(crate) fn exit_code(status: Status) -> u8 {
    match status {
        Status::Completed => 0,
        Status::CompletedWithErrors => SOME_FAILED,
        _ => 1,
    }
}

/// Exit code when some rows failed.
pub(crate) const SOME_FAILED: u8 = 2;

/// Shows a row's error, a line of a summary: where, what, which record, and the cell.
pub(crate) fn say_error(error: &RowError) -> anyhow::Result<()> {
    let mut line = format!("  row {}, line {}: {} ({})", error.row, error.line, error.message, error.code);
    if let Some(key) = &error.key {
        line.push_str(&format!("; key {key:?}"));
    }
    if let Some(value) = &error.value {
        line.push_str(&format!("; cell {value:?}"));
    }
    say!("{line}");
    Ok(())
}

/// Shows the first errors of an import's `failed` rows, and where the others are.
pub(crate) fn say_errors(errors: &[RowError], failed: u64, all: &str) -> anyhow::Result<()> {
    errors.iter().try_for_each(say_error)?;
    let shown = errors.chunk_by(|a, b| a.row == b.row).count() as u64;
    if failed > shown {
        say!("  and {} more rejected rows; {all}", failed - shown);
    }
    Ok(())
}

/// Says what became of an import, its first errors with it.
pub(crate) async fn summary(client: &Client, import: &Import, all_errors: &str) -> anyhow::Result<()> {
    say!("{}  {}", import.id, import.status.as_str());
    say!("{}", counts(import));
    for note in import.detected.iter().flat_map(|detected| &detected.notes) {
        say!("note: {note}");
    }
    if let Some(failure) = &import.failure {
        say!("{}: {}", failure.code, failure.message);
    }
    if !import.ignored_columns.is_empty() {
        say!("ignored columns: {}", import.ignored_columns.join(", "));
    }
    if import.rows.failed > 0 {
        let errors = client.errors(&import.id, None, FIRST_ERRORS).await?.errors;
        say_errors(&errors, import.rows.failed, all_errors)?;
    }
    Ok(())
}

fn counts(import: &Import) -> String {
    let rows = &import.rows;
    format!(
        "{} rows: {} created, {} updated, {} unchanged, {} skipped, {} failed, {} unprocessed",
        rows.total.unwrap_or(rows.processed),
        rows.created,
        rows.updated,
        rows.unchanged,
        rows.skipped,
        rows.failed,
        rows.unprocessed
    )
}

/// Shows an import: to a person in words, else as JSON.
pub(crate) async fn say_import(client: &Client, import: &Import, json: bool) -> anyhow::Result<()> {
    if json || !terminal::is_read_by_a_person() {
        return terminal::say_json(import);
    }
    summary(client, import, &format!("`penstock errors {}` shows all", import.id)).await?;
    let what = import.filename.as_deref().unwrap_or("a file");
    say!("{what} as {}, since {}", import.kind, import.created_at);
    Ok(())
}
