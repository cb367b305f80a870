//! `penstock cancel`, `confirm`, `delete`: ending imports, confirming what they remove or would do, and removing
//! them.

use std::process::ExitCode;

use penstock_client::{ClientError, Confirm, Import};
use penstock_model::Status;
use serde_json::json;

use crate::{
    follow::{self, exit_code},
    interrupt::{Interrupts, end_when_interrupted_in_a_change, while_asking},
    progress::Progress,
    service::{Asked, Service},
    terminal,
};

/// Cancels an import. A repeat changes nothing.
pub(crate) async fn cancel(service: &Service, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let client = service.client()?;
    let import = client.cancel(id).await?;
    if json {
        terminal::say_json(&import)?;
    } else if import.status == Status::Cancelled {
        say!("{id}  cancelled, {} rows had been looked at", import.rows.processed);
    } else {
        let watch = client.hint(&format!("watch {id}"));
        say!("{id}  is being cancelled: chunks that had begun are finished; {watch} waits for them");
    }
    Ok(ExitCode::SUCCESS)
}

/// Confirms what an import is to remove, or what a review has judged, and follows what is done to its end. Asks first,
/// where there is a person to ask.
pub(crate) async fn confirm(
    service: &Service,
    id: &str,
    even_if_moved: bool,
    yes: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let client = service.client()?;
    if !yes && terminal::has_a_person() {
        let import = client.import(id).await?;
        let (question, no) = match import.options.review {
            true => (to_apply(&import), format!("nothing is imported; {id} waits")),
            false => {
                let records = import.to_remove.unwrap_or(0);
                (
                    format!("remove {records} records of the kind {}?", import.kind),
                    format!("nothing is removed; {id} waits"),
                )
            }
        };
        anyhow::ensure!(while_asking(&no, || terminal::agrees(&question))?, no);
    }
    let mut interrupts = Interrupts::catch()?;
    let confirmed = client.confirm_with(id, Confirm { even_if_moved }).await.map_err(|error| {
        let is_moved = matches!(&error, ClientError::Refused { code, .. } if code == "moved");
        let error = anyhow::Error::from(error);
        if is_moved {
            error.context(format!("{id} is not confirmed; --even-if-moved does so all the same"))
        } else {
            error
        }
    })?;
    if confirmed.id != id {
        note!("{id} is confirmed: {} applies it", confirmed.id);
    }
    let ended = follow(&client, &confirmed, &mut interrupts).await?;
    follow::say_import(&client, &ended, json).await?;
    Ok(exit_code(ended.status).into())
}

/// What a person is asked of a review.
fn to_apply(import: &Import) -> String {
    let rows = &import.rows;
    format!(
        "import {} as {}: {} created, {} updated or unchanged, {} skipped, {} failed?",
        import.filename.as_deref().unwrap_or("it"),
        import.kind,
        rows.created,
        rows.updated + rows.unchanged,
        rows.skipped,
        rows.failed
    )
}

/// Follows an import that has been confirmed, or removes records, until it has ended, or waits to be confirmed.
pub(crate) async fn follow(client: &Asked, import: &Import, interrupts: &mut Interrupts) -> anyhow::Result<Import> {
    let id = &import.id;
    let mut progress = Progress::new();
    let mut latest = Some(import.clone());
    tokio::select! {
        ended = follow::to_its_end(client, id, &mut progress, &mut latest) => ended,
        () = interrupts.next() => {
            anyhow::bail!("interrupted; {id} goes on, {} follows it further", client.hint(&format!("watch {id}")))
        }
    }
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
        let no = format!("{id} is not deleted");
        anyhow::ensure!(while_asking(&no, || terminal::agrees(question))?, no);
        end_when_interrupted_in_a_change()?;
    }
    client.delete(id).await?;
    if json {
        terminal::say_json(&json!({ "id": id, "deleted": true }))?;
    } else {
        say!("{id}  deleted");
    }
    Ok(ExitCode::SUCCESS)
}
