//! `penstock exports`: the exports that there are, and their end.

use std::process::ExitCode;

use clap::Subcommand;
use penstock_client::Export;
use serde_json::json;

use crate::{
    help,
    interrupt::{end_when_interrupted_in_a_change, while_asking},
    service::Service,
    terminal,
};

/// Items of a page.
const PAGE: usize = 100;

#[derive(Subcommand)]
pub(crate) enum ExportsCommand {
    /// Lists exports, newest first.
    #[command(after_help = help::EXPORTS_LIST)]
    List {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Prints each as a JSON object on a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Cancels an export that has not ended: it gets no file.
    #[command(after_help = help::EXPORTS_CANCEL)]
    Cancel {
        /// The export's id.
        id: String,
        /// Prints the export as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Deletes an export that has ended, with its file. On a terminal it asks first.
    #[command(after_help = help::EXPORTS_DELETE)]
    Delete {
        /// The export's id.
        id: String,
        /// Does not ask.
        #[arg(long, short)]
        yes: bool,
        /// Prints what was done as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
}

pub(crate) async fn run(command: ExportsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ExportsCommand::List { limit, json, service } => list(&service, limit, json).await?,
        ExportsCommand::Cancel { id, json, service } => {
            let export = service.client()?.cancel_export(&id).await?;
            if json { terminal::say_json(&export)? } else { say!("{id}  {}", export.status.as_str()) }
        }
        ExportsCommand::Delete { id, yes, json, service } => {
            let client = service.client()?;
            if !yes && terminal::has_a_person() {
                line(&client.export(&id).await?)?;
                let no = format!("{id} is not deleted");
                anyhow::ensure!(while_asking(&no, || terminal::agrees("delete it with its file?"))?, no);
                end_when_interrupted_in_a_change()?;
            }
            client.delete_export(&id).await?;
            if json { terminal::say_json(&json!({ "id": id, "deleted": true }))? } else { say!("{id}  deleted") }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(service: &Service, limit: usize, json: bool) -> anyhow::Result<()> {
    let client = service.client()?;
    let (mut left, mut cursor) = (limit, None);
    while left > 0 {
        let page = client.exports(cursor.as_deref(), left.min(PAGE)).await?;
        left -= page.exports.len().min(left);
        for export in &page.exports {
            if json { terminal::say_json_line(export)? } else { line(export)? }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(())
}

fn line(export: &Export) -> anyhow::Result<()> {
    say!(
        "{}  {}  {:<10}  {:>9} records  {:>12} bytes  {} as {}{}",
        export.id,
        export.created_at,
        export.status.as_str(),
        export.records,
        export.bytes,
        export.kind,
        export.format.as_str(),
        export.compression.extension(),
    );
    Ok(())
}
