//! `penstock records`: what has been imported.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use penstock_client::{Deleted, ListedRecord, RecordFilter};
use penstock_model::{Status, limits::RECORD_DELETE_BATCH};
use serde_json::json;

use crate::{
    change, follow, help,
    interrupt::{Interrupts, end_when_interrupted, while_asking},
    output,
    printed::{self, Lines},
    service::Service,
    show::OutputArgs,
    terminal,
};

/// Records of a page.
const PAGE: usize = 100;

#[derive(Subcommand)]
pub(crate) enum RecordsCommand {
    /// Lists the records of a kind, every one if no limit is given.
    #[command(after_help = help::RECORDS_LIST)]
    List(ListArgs),
    /// Prints a record as JSON.
    #[command(after_help = help::RECORDS_GET)]
    Get {
        /// Its kind.
        kind: String,
        /// What names it: the values of the kind's key fields, in their order; one that the record does not have is ''.
        #[arg(required = true, value_name = "KEY")]
        key: Vec<String>,
        /// Says of each field which import and row it comes from.
        #[arg(long)]
        provenance: bool,
        /// Changes nothing: a record is printed as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        service: Service,
    },
    /// Deletes records by their keys, or all of a kind. On a terminal it asks first.
    #[command(after_help = help::RECORDS_DELETE)]
    Delete {
        /// Their kind.
        kind: String,
        /// The keys of records, one argument for each record: the values of the kind's key fields, separated by commas.
        /// In a value, a comma is %2C and a percent sign %25.
        #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "KEY")]
        keys: Vec<String>,
        /// Deletes every record of the kind: an import without a file, which is followed to its end. It counts them
        /// first.
        #[arg(long)]
        all: bool,
        /// How many there are: if that is so, they are deleted without being asked for once more.
        #[arg(long, requires = "all", value_name = "RECORDS")]
        count: Option<u64>,
        /// Deletes without asking.
        #[arg(long)]
        yes: bool,
        /// Prints what was deleted and what was not found as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Their kind.
    kind: String,
    /// Those alone that this import made or changed last.
    #[arg(long, value_name = "ID", conflicts_with = "changed_after")]
    changed_by: Option<String>,
    /// Those alone that an import accepted after this one made or changed, or that were deleted after it.
    #[arg(long, value_name = "ID")]
    changed_after: Option<String>,
    /// How many; all if it is not given.
    #[arg(long)]
    limit: Option<usize>,
    /// Prints each as a JSON object on a line, also on a terminal.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    service: Service,
}

pub(crate) async fn run(command: RecordsCommand) -> anyhow::Result<ExitCode> {
    if !matches!(command, RecordsCommand::Delete { all: true, .. }) {
        end_when_interrupted()?;
    }
    match command {
        RecordsCommand::List(args) => list(args).await?,
        RecordsCommand::Delete { kind, all: true, count, yes, json, service, .. } => {
            return delete_all(&service, &kind, count, yes, json).await;
        }
        RecordsCommand::Delete { kind, keys, yes, json, service, .. } => {
            return delete(&service, &kind, &keys, yes, json).await;
        }
        RecordsCommand::Get { kind, key, provenance, json: _, output, service } => {
            let file = printed::open(output.output.as_deref())?;
            let (client, name) = (service.client()?, canonical(&key));
            let record = client.shown_record(&kind, &name, provenance).await?;
            let record = record.with_context(|| format!("there is no record {} of the kind {kind}", key.join(", ")))?;
            match file {
                Some(file) => output::write(&terminal::json_text(&record)?, Some(file))?,
                None => terminal::say_json(&record)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the records page by page: to a person the key and the fields, else a JSON object a line.
async fn list(args: ListArgs) -> anyhow::Result<()> {
    let ListArgs { kind, changed_by, changed_after, limit, json, output, service } = args;
    let client = service.client()?;
    let mut lines = Lines::to(output.output.as_deref(), json)?;
    let filter = RecordFilter { changed_by, changed_after };
    let (mut left, mut cursor) = (limit.unwrap_or(usize::MAX), None);
    while left > 0 {
        let page = client.records(&kind, &filter, cursor.as_deref(), left.min(PAGE)).await?;
        left -= page.records.len().min(left);
        for record in &page.records {
            lines.write(record, line)?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    lines.end()
}

fn line(ListedRecord { key, fields, deleted: _ }: &ListedRecord) -> anyhow::Result<()> {
    match fields {
        Some(fields) => say!("{key:<24}  {}", fields.get()),
        None => say!("{key:<24}  deleted"),
    }
    Ok(())
}

/// Deletes records, [`RECORD_DELETE_BATCH`] to a request. Asks first, where there is a person to ask. A key that names
/// no record is told, and makes the command fail; the others are deleted all the same.
async fn delete(service: &Service, kind: &str, keys: &[String], yes: bool, json: bool) -> anyhow::Result<ExitCode> {
    let client = service.client()?;
    if !yes && terminal::has_a_person() {
        let question = match keys {
            [key] => format!("delete the record {} of the kind {kind}?", terminal::shown(key)),
            keys => format!("delete {} records of the kind {kind}?", keys.len()),
        };
        anyhow::ensure!(terminal::agrees(&question)?, "nothing is deleted");
    }
    let mut done = Deleted::default();
    for batch in keys.chunks(RECORD_DELETE_BATCH) {
        let Deleted { deleted, not_found } = client.delete_records(kind, batch).await.with_context(|| {
            format!("{} of {} records are deleted; the same command goes on with the others", done.deleted, keys.len())
        })?;
        done.deleted += deleted;
        done.not_found.extend(not_found);
    }
    let Deleted { deleted, not_found } = &done;
    if json {
        terminal::say_json(&json!({ "kind": kind, "deleted": deleted, "not_found": not_found }))?;
    } else {
        say!("{deleted} {} deleted", if *deleted == 1 { "record" } else { "records" });
        for key in not_found {
            note!("there is no record {} of the kind {kind}", terminal::shown(key));
        }
    }
    Ok(if not_found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Deletes every record of a kind. What would go is counted first; then a person is asked, where there is one and no
/// count was named.
async fn delete_all(
    service: &Service,
    kind: &str,
    count: Option<u64>,
    yes: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::catch()?;
    let client = service.client()?;
    let ordered = client.remove_all_records(kind, count).await?;
    let mut import = change::follow(&client, &ordered, &mut interrupts).await?;
    if import.status == Status::AwaitingConfirmation {
        let records = import.to_remove.unwrap_or(0);
        let agrees = match yes || !terminal::has_a_person() {
            true => yes,
            false => {
                let question = format!("delete {records} records of the kind {kind}, all that there are?");
                while_asking(&format!("nothing is deleted; {} waits", import.id), || terminal::agrees(&question))?
            }
        };
        if agrees {
            let confirmed = client.confirm(&import.id).await?;
            import = change::follow(&client, &confirmed, &mut interrupts).await?;
        }
    }
    follow::say_import(&client, &import, json).await?;
    Ok(follow::exit_code(import.status).into())
}

/// The key as the service writes it.
fn canonical(values: &[String]) -> String {
    values.iter().map(|value| value.replace('%', "%25").replace(',', "%2C")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_the_engine_writes_it() {
        use penstock_engine::{cell::Cell, key};
        for values in [vec!["a"], vec!["a,b", "50 %"], vec!["a", "", "%2C"]] {
            let cells = values.iter().map(|value| Some(Cell::Text((*value).into())));
            let written: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(canonical(&written), key::canonical(cells));
        }
    }
}
