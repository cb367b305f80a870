//! `penstock status`, `errors`, `list`: looking at imports.

use std::process::ExitCode;

use penstock_client::Import;

use crate::Service;

pub(crate) async fn status(service: &Service, id: &str) -> anyhow::Result<ExitCode> {
    let import = service.client()?.import(id).await?;
    say!("{}", serde_json::to_string_pretty(&import)?);
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn errors(service: &Service, id: &str) -> anyhow::Result<ExitCode> {
    let client = service.client()?;
    let mut cursor = None;
    loop {
        let page = client.errors(id, cursor.as_deref(), 100).await?;
        for error in page.errors {
            say!("{}", serde_json::to_string(&error)?);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

pub(crate) async fn list(service: &Service, limit: usize) -> anyhow::Result<ExitCode> {
    let client = service.client()?;
    let (mut left, mut cursor) = (limit, None);
    while left > 0 {
        let page = client.list(cursor.as_deref(), left.min(100)).await?;
        left -= page.imports.len().min(left);
        page.imports.iter().try_for_each(line)?;
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
