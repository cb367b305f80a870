//! `penstock status`, `watch`, `errors`, `list`: looking at imports.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use penstock_client::{Import, ImportFilter};
use penstock_model::Status;

use crate::{
    file::words,
    follow::{self, exit_code},
    groups,
    interrupt::{Interrupts, end_when_interrupted},
    printed::{Bytes, Lines},
    progress::Progress,
    service::Service,
    terminal,
};

/// Items of a page.
const PAGE: usize = 100;

pub(crate) async fn status(service: &Service, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let client = service.client()?;
    let import = client.import(id).await?;
    follow::say_import(&client, &import, json).await?;
    Ok(ExitCode::SUCCESS)
}

/// Follows an import to its end; the exit code tells how it ended.
pub(crate) async fn watch(service: &Service, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::catch()?;
    let client = service.client()?;
    // What is not there, or not reached, is not waited for.
    let mut latest = Some(client.import(id).await?);
    let mut progress = Progress::new();
    let ended = tokio::select! {
        ended = follow::to_its_end(&client, id, &mut progress, &mut latest) => ended?,
        () = terminal::reader_gone() => anyhow::bail!("nobody reads standard output any more; {id} goes on"),
        () = interrupts.next() => {
            anyhow::bail!("interrupted; {id} goes on, {} cancels it", client.hint(&format!("cancel {id}")))
        }
    };
    drop(progress);
    follow::say_import(&client, &ended, json).await?;
    Ok(exit_code(ended.status).into())
}

/// Prints every error of an import: to a person in words, else a JSON object a line.
pub(crate) async fn errors(service: &Service, id: &str, shown: Shown<'_>) -> anyhow::Result<ExitCode> {
    end_when_interrupted()?;
    let client = service.client()?;
    let mut lines = Lines::to(shown.output, shown.json)?;
    let mut cursor = None;
    loop {
        let page = client.errors(id, cursor.as_deref(), PAGE).await?;
        for error in &page.errors {
            lines.write(error, |error| {
                say!("  {}", groups::line_of(error));
                Ok(())
            })?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    lines.end()?;
    Ok(ExitCode::SUCCESS)
}

/// How a thing is shown.
pub(crate) struct Shown<'a> {
    /// As JSON, to a person too.
    pub(crate) json: bool,
    /// In a file, if one is named.
    pub(crate) output: Option<&'a Path>,
}

/// Prints the row errors of an import by code and field: to a person a table, else a JSON document.
pub(crate) async fn error_summary(service: &Service, id: &str, shown: Shown<'_>) -> anyhow::Result<ExitCode> {
    end_when_interrupted()?;
    let client = service.client()?;
    let mut lines = Lines::to(shown.output, shown.json)?;
    let summary = client.error_summary(id).await?;
    lines.write(&summary, |summary| {
        for line in groups::table(summary) {
            say!("{line}");
        }
        Ok(())
    })?;
    lines.end()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints every record that an import would remove, or has removed: to a person its key, else a JSON object a line.
pub(crate) async fn removals(
    service: &Service,
    id: &str,
    json: bool,
    output: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    end_when_interrupted()?;
    let client = service.client()?;
    let mut lines = Lines::to(output, json)?;
    let mut cursor = None;
    loop {
        let page = client.removals(id, cursor.as_deref(), PAGE).await?;
        for removal in &page.removals {
            lines.write(removal, |removal| {
                say!("{}", removal.key);
                Ok(())
            })?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    lines.end()?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// How many.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Those alone that stand there.
    #[arg(long, value_parser = words::<Status>(&STATUSES))]
    status: Option<Status>,
    /// Those alone of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Prints each as a JSON object on a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

const STATUSES: [&str; 8] = [
    "awaiting_upload",
    "processing",
    "awaiting_confirmation",
    "completed",
    "completed_with_errors",
    "failed",
    "cancelled",
    "expired",
];

pub(crate) async fn list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let client = args.service.client()?;
    let filter = ImportFilter { status: args.status, kind: args.kind };
    let (mut left, mut cursor) = (args.limit, None);
    while left > 0 {
        let page = client.imports(&filter, cursor.as_deref(), left.min(PAGE)).await?;
        left -= page.imports.len().min(left);
        for import in &page.imports {
            if args.json { terminal::say_json_line(import)? } else { line(import)? }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(import: &Import) -> anyhow::Result<()> {
    let total = import.rows.total.map_or("?".to_owned(), |total| total.to_string());
    say!(
        "{}  {}  {:<21}  {:>9}/{total} rows  {} failed  {}",
        import.id,
        import.created_at,
        import.status.as_str(),
        import.rows.processed,
        import.rows.failed,
        import.filename.as_deref().unwrap_or(""),
    );
    Ok(())
}

/// Where data goes.
#[derive(Args)]
pub(crate) struct OutputArgs {
    /// Writes to a file, which is there when it is whole, instead of to standard output.
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

/// Prints the rejected rows of an import that has ended, or writes them to a file.
pub(crate) async fn rejected(
    service: &Service,
    id: &str,
    json: bool,
    output: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    end_when_interrupted()?;
    let client = service.client()?;
    // A place where nothing can be written is found out before anything is asked for.
    let mut printed = Bytes::to(output)?.keeping_old();
    let mut rows = client.rejected(id).await?;
    if json {
        let mut text = JsonText::default();
        printed.write(format!("{{\"id\":{},\"rejected\":\"", terminal::json_line(&id)?).as_bytes())?;
        while let Some(bytes) = rows.chunk().await? {
            printed.write(text.piece(bytes.as_ref())?.as_bytes())?;
        }
        printed.write(text.end()?.as_bytes())?;
        printed.write(b"\"}\n")?;
    } else {
        while let Some(bytes) = rows.chunk().await? {
            printed.write(bytes.as_ref())?;
        }
    }
    printed.end()?;
    Ok(ExitCode::SUCCESS)
}

/// A text that comes in pieces, as what stands between the quotes of a JSON string.
#[derive(Debug, Default)]
struct JsonText {
    /// The start of a character whose end has not come.
    rest: Vec<u8>,
}

impl JsonText {
    fn piece(&mut self, bytes: &[u8]) -> anyhow::Result<String> {
        let mut text = std::mem::take(&mut self.rest);
        text.extend(bytes);
        if let Err(error) = std::str::from_utf8(&text)
            && error.error_len().is_none()
        {
            self.rest = text.split_off(error.valid_up_to());
        }
        escaped(&text)
    }

    fn end(self) -> anyhow::Result<String> {
        escaped(&self.rest)
    }
}

fn escaped(text: &[u8]) -> anyhow::Result<String> {
    let quoted = terminal::json_line(&String::from_utf8_lossy(text))?;
    Ok(quoted[1..quoted.len() - 1].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_pieces_is_the_same_json_wherever_it_is_cut() {
        let text = "_row,\"a\"\n\u{feff}\u{9b}\u{1f600}\\é\t";
        for cut in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let mut json = JsonText::default();
            let whole = [json.piece(first), json.piece(second), json.end()].map(|piece| piece.expect("JSON")).concat();
            let read: String = serde_json::from_str(&format!("\"{whole}\"")).expect("JSON");
            assert_eq!(read, text, "{cut}");
        }
        assert_eq!(JsonText { rest: vec![0xe2, 0x82] }.end().expect("JSON"), "\u{fffd}");
    }
}
