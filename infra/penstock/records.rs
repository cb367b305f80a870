//! `penstock records`: what has been imported.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

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
}

pub(crate) async fn run(command: RecordsCommand) -> anyhow::Result<ExitCode> {
    let RecordsCommand::Get { kind, key, json: _, output, service } = command;
    end_when_interrupted()?;
    let record = service.client()?.record(&kind, &canonical(&key)).await?;
    let record = record.with_context(|| format!("there is no record {} of the kind {kind}", key.join(", ")))?;
    match &output.output {
        Some(path) => output::write(&format!("{record:#}\n"), Some(path))?,
        None => terminal::say_json(&record)?,
    }
    Ok(ExitCode::SUCCESS)
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
