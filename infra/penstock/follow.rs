//! Following an import at a service to its end.

use std::time::{Duration, Instant};

use penstock_client::{Client, ClientError, ErrorSummary, Import};
use penstock_model::{
    Failure, Mode, RowError, Status,
    advice::{for_command, shown},
};

use crate::{
    course,
    groups::{self, SHOWN_ERRORS},
    progress::Progress,
    service::Asked,
    terminal,
};

/// How long to wait between two looks at what is followed: at first, and when it takes long.
const POLL: Duration = Duration::from_millis(200);
pub(crate) const SLOW_POLL: Duration = Duration::from_secs(2);

/// How long a service may be out of reach before nobody waits for it any more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until an import has ended and its rejected rows can be had, or until it waits to be confirmed, showing how far
/// it is. `latest` is always the import as it was last seen.
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
                // The rejected rows are there a moment after the end, and those of a review before it is confirmed.
                let reported = import.rows.failed == 0 || import.rejected.is_some();
                let waits_for_a_person = import.status == Status::AwaitingConfirmation && import.ending.is_none();
                let is_seen = match import.options.review {
                    true => (waits_for_a_person || import.status.is_final()) && reported,
                    false => waits_for_a_person || (import.status.is_final() && reported),
                };
                if is_seen {
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
        pause(started).await;
    }
}

/// Waits before the next look at what has been followed since `started`.
pub(crate) async fn pause(started: Instant) {
    tokio::time::sleep((started.elapsed() / 20).clamp(POLL, SLOW_POLL)).await;
}

/// The exit code that tells how an import ended: 0 when every row was fine, 2 when some were not, 1 when the import was
/// not, 3 when it waits to be confirmed.
pub(crate) fn exit_code(status: Status) -> u8 {
    match status {
        Status::Completed => 0,
        Status::CompletedWithErrors => SOME_FAILED,
        Status::AwaitingConfirmation => NOT_CONFIRMED,
        _ => 1,
    }
}

/// Exit code when some rows failed.
pub(crate) const SOME_FAILED: u8 = 2;

/// Exit code when what an import would remove waits to be confirmed.
pub(crate) const NOT_CONFIRMED: u8 = 3;

/// Says why a file or an import failed, with the command's flags for the options that are named.
pub(crate) fn say_failure(failure: &Failure) -> anyhow::Result<()> {
    say!("{}: {}", failure.code, for_command(&failure.message));
    Ok(())
}

/// Says what is to be noted of a file.
pub(crate) fn say_notes(notes: &[String]) -> anyhow::Result<()> {
    for note in notes {
        say!("note: {}", for_command(note));
    }
    Ok(())
}

/// Says which columns are no field, what is hidden in their names shown.
pub(crate) fn say_ignored(columns: &[String]) -> anyhow::Result<()> {
    if !columns.is_empty() {
        let named = |name: &String| match name.trim() {
            "" => "one without a name".to_owned(),
            _ => shown(name),
        };
        let names: Vec<String> = columns.iter().map(named).collect();
        say!("ignored columns: {}", names.join(", "));
    }
    Ok(())
}

/// Says what became of an import, its first errors with it. Errors that cannot be had are no reason to keep the rest.
pub(crate) async fn summary(client: &Asked, import: &Import, all_errors: &str) -> anyhow::Result<()> {
    say!("{}  {}", import.id, import.status.as_str());
    say!("{}", counts(import));
    for line in removal(client, import).into_iter().chain(review(client, import)) {
        say!("{line}");
    }
    say_notes(&import.notes)?;
    if let Some(detected) = &import.detected {
        say_notes(&detected.notes)?;
    }
    if let Some(failure) = &import.failure {
        say_failure(failure)?;
    }
    say_ignored(&import.ignored_columns)?;
    if import.rows.failed > 0 {
        match errors(client, &import.id).await {
            Ok((summary, few)) => {
                for line in groups::lines(&summary, &few, import.rows.failed, all_errors) {
                    say!("{line}");
                }
            }
            Err(error) => note!("the errors of {} cannot be shown now ({error}); {all_errors}", import.id),
        }
    }
    Ok(())
}

/// The errors of an import by their kinds; and each, if they are few.
async fn errors(client: &Client, id: &str) -> Result<(ErrorSummary, Vec<RowError>), ClientError> {
    let summary = client.error_summary(id).await?;
    let few = match summary.errors as usize <= SHOWN_ERRORS {
        true => client.errors(id, None, SHOWN_ERRORS).await?.errors,
        false => Vec::new(),
    };
    Ok((summary, few))
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

/// What an import does beside its rows: whom it waits for, what it would remove, what it has removed.
fn removal(client: &Asked, import: &Import) -> Vec<String> {
    let id = &import.id;
    let records = |count: u64| format!("{count} {}", if count == 1 { "record" } else { "records" });
    let mut lines = Vec::new();
    if let Some(gate) = &import.waiting_for {
        lines.push(format!("it waits for {gate}, which replaces the records of its kind"));
    }
    match (import.status, import.to_remove) {
        (Status::AwaitingConfirmation, to_remove) if !import.options.review => {
            let until = import.confirm_until.as_deref().unwrap_or("it is cancelled");
            lines.push(format!(
                "{} would be removed, more than is removed without being confirmed; nothing is until {until}",
                records(to_remove.unwrap_or(0))
            ));
            let [list, confirm, cancel] =
                ["removals", "confirm", "cancel"].map(|command| client.hint(&format!("{command} {id}")));
            lines.push(format!("{list} lists them, {confirm} removes them, {cancel} leaves them"));
        }
        _ if import.options.mode == Mode::Replace => lines.push(format!("{} removed", records(import.removed))),
        _ => {}
    }
    lines
}

/// What becomes of what a review has judged.
fn review(client: &Asked, import: &Import) -> Vec<String> {
    let id = &import.id;
    match (import.status, &import.confirmed_as) {
        _ if !import.options.review => Vec::new(),
        (_, Some(applies)) => vec![format!("it is confirmed: {applies} applies it")],
        (Status::AwaitingConfirmation, None) => {
            let until = import.confirm_until.as_deref().unwrap_or("it is cancelled");
            let [confirm, cancel] = ["confirm", "cancel"].map(|command| client.hint(&format!("{command} {id}")));
            vec![
                format!(
                    "that is what an import of it would do; nothing is written, and it can be confirmed until {until}"
                ),
                format!("{confirm} imports it, {cancel} leaves it"),
            ]
        }
        (status, None) if status.is_final() => vec!["nothing of it was imported".to_owned()],
        _ => Vec::new(),
    }
}

/// Shows an import: to a person in words, else as JSON.
pub(crate) async fn say_import(client: &Asked, import: &Import, json: bool) -> anyhow::Result<()> {
    if json || !terminal::is_read_by_a_person() {
        return terminal::say_json(import);
    }
    let all_errors = format!("{} shows all", client.hint(&format!("errors {}", import.id)));
    summary(client, import, &all_errors).await?;
    let what = import.filename.as_deref().unwrap_or("a file");
    say!("{what} as {}", import.kind);
    for line in course::lines(import) {
        say!("{line}");
    }
    Ok(())
}
