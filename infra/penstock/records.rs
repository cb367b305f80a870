//! `penstock records`: what has been imported.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use penstock_client::Deleted;
use penstock_model::limits::RECORD_DELETE_BATCH;
use serde_json::json;

use crate::{help, interrupt::end_when_interrupted, output, service::Service, show::OutputArgs, terminal};

#[derive(Subcommand)]
pub(crate) enum RecordsCommand {
    /// Prints a record as JSON.
    #[command(after_help = help::RECORDS)]
    Get {
        /// Its kind.
        kind: String,
        /// What names it: the values of the kind's key fields, in their order; one that the record does not have is ''.
        #[arg(required = true, value_name = "KEY")]
        key: Vec<String>,
        /// Changes nothing: a record is printed as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        service: Service,
    },
    /// Deletes records by their keys. On a terminal it asks first.
    #[command(after_help = help::RECORDS_DELETE)]
    Delete {
        /// Their kind.
        kind: String,
        /// The keys of records, one argument for each record: the values of the kind's key fields, separated by commas.
        /// In a value, a comma is %2C and a percent sign %25.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
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

pub(crate) async fn run(command: RecordsCommand) -> anyhow::Result<ExitCode> {
    end_when_interrupted()?;
    let (kind, key, output, service) = match command {
        RecordsCommand::Get { kind, key, json: _, output, service } => (kind, key, output, service),
        RecordsCommand::Delete { kind, keys, yes, json, service } => {
            return delete(&service, &kind, &keys, yes, json).await;
        }
    };
    let record = service.client()?.record(&kind, &canonical(&key)).await?;
    let record = record.with_context(|| format!("there is no record {} of the kind {kind}", key.join(", ")))?;
    match &output.output {
        Some(path) => output::write(&format!("{record:#}\n"), Some(path))?,
        None => terminal::say_json(&record)?,
    }
    Ok(ExitCode::SUCCESS)
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
