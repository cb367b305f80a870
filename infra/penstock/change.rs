//! `penstock cancel`, `delete`: ending imports and removing them.

use std::process::ExitCode;

use penstock_model::Status;
use serde_json::json;

use crate::{service::Service, terminal};

/// Cancels an import. A repeat changes nothing.
pub(crate) async fn cancel(service: &Service, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let import = service.client()?.cancel(id).await?;
    if json {
        terminal::say_json(&import)?;
    } else if import.status == Status::Cancelled {
        say!("{id}  cancelled, {} rows had been looked at", import.rows.processed);
    } else {
        say!("{id}  is being cancelled: chunks that had begun are finished; `penstock watch {id}` waits for them");
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes an import with its errors and files, never a record. Asks first, where there is a person to ask.
pub(crate) async fn delete(service: &Service, id: &str, yes: bool, json: bool) -> anyhow::Result<ExitCode> {
    let client = service.client()?;
    if !yes && terminal::has_a_person() {
        let import = client.import(id).await?;
        let (status, rows) = (import.status.as_str(), &import.rows);
        note!(
            "{id}  {status}  {} rows, {} failed  {}",
            rows.processed,
            rows.failed,
            import.filename.unwrap_or_default()
        );
        let question = "delete it with its errors and its rejected rows? Records stay.";
        anyhow::ensure!(terminal::agrees(question)?, "{id} is not deleted");
    }
    client.delete(id).await?;
    if json {
        terminal::say_json(&json!({ "id": id, "deleted": true }))?;
    } else {
        say!("{id}  deleted");
    }
    Ok(ExitCode::SUCCESS)
}
