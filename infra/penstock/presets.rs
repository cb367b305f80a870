//! `penstock presets`: options that an account keeps under names.

use std::process::ExitCode;

use clap::Subcommand;
use penstock_client::NewPreset;
use penstock_engine::kinds;
use penstock_model::{EmptyCells, ImportOptions, Mode, advice::shown};
use serde_json::json;

use crate::{
    file::{ReadingArgs, words},
    help,
    interrupt::end_when_interrupted,
    service::Service,
    terminal,
};

#[derive(Subcommand)]
pub(crate) enum PresetsCommand {
    /// Keeps options under a name, in place of those before.
    #[command(after_help = help::PRESETS_PUT)]
    Put {
        /// The preset's name: 1 to 64 of a-z, 0-9 and -.
        name: String,
        /// The kind of the records of its imports.
        #[arg(long, default_value = kinds::DEFAULT)]
        kind: String,
        /// What rows do, as in `import`.
        #[arg(long, value_parser = words::<Mode>(&["upsert", "create", "fill", "replace"]), default_value = "upsert")]
        mode: Mode,
        /// How many of the records that were there the mode replace may remove without being confirmed, in percent.
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
        most_removed_percent: Option<u8>,
        /// What an empty cell says, as in `import`.
        #[arg(long, value_parser = words::<EmptyCells>(&["keep", "clear"]), default_value = "keep")]
        empty_cells: EmptyCells,
        /// Prints the preset as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        reading: Box<ReadingArgs>,
    },
    /// Prints a preset, in JSON.
    #[command(after_help = help::PRESETS_GET)]
    Get {
        /// The preset's name.
        name: String,
        /// Changes nothing: a preset is JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Lists the presets by name.
    #[command(after_help = help::PRESETS_LIST)]
    List {
        /// Prints each as a JSON object on a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Deletes a preset; imports that have its options keep them.
    #[command(after_help = help::PRESETS_DELETE)]
    Delete {
        /// The preset's name.
        name: String,
        /// Prints what was done as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
}

/// Presets of a page.
const PAGE: usize = 100;

pub(crate) async fn run(command: PresetsCommand) -> anyhow::Result<ExitCode> {
    end_when_interrupted()?;
    match command {
        PresetsCommand::Put { name, kind, mode, most_removed_percent, empty_cells, json, service, reading } => {
            anyhow::ensure!(reading.format.is_none(), "a preset keeps no format: leave --format out, it is detected");
            let options = ImportOptions { mode, most_removed_percent, empty_cells, ..reading.options() };
            let preset = service.client()?.put_preset(&name, &NewPreset { kind, options }).await?;
            if json {
                terminal::say_json(&preset)?;
            } else {
                say!("{}  {}", preset.name, preset.kind);
            }
        }
        PresetsCommand::Get { name, json: _, service } => {
            terminal::say_json(&service.client()?.preset(&name).await?)?;
        }
        PresetsCommand::List { json, service } => {
            let (client, mut cursor) = (service.client()?, None::<String>);
            loop {
                let page = client.presets(cursor.as_deref(), PAGE).await?;
                for preset in page.presets {
                    if json {
                        terminal::say_json_line(&preset)?;
                    } else {
                        say!("{:<24}  {:<24}  {}", preset.name, preset.kind, preset.put_at);
                    }
                }
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        PresetsCommand::Delete { name, json, service } => {
            service.client()?.delete_preset(&name).await?;
            if json {
                terminal::say_json(&json!({ "preset": name, "deleted": true }))?;
            } else {
                say!("{}  deleted", shown(&name));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
