//! `penstock import --preview`: what a file is and how its first rows would be read, told by the engine on this
//! machine. Only the schema of a kind that is not bundled is asked of the service.

use std::{io::BufReader, process::ExitCode};

use anyhow::Context;
use penstock_client::Client;
use penstock_engine::{
    kind::Kind,
    kinds,
    preview::{self, Preview},
};
use penstock_model::{KindName, Layout, Schema};

use crate::{file::LocalFile, schema_file::SchemaFile};

/// Prints the preview of a file as one of this kind. `client` is asked for a kind that is not bundled.
pub(crate) async fn run(file: &LocalFile<'_>, kind: &str, client: Option<&Client>) -> anyhow::Result<ExitCode> {
    let account = crate::LOCAL_ACCOUNT.parse()?;
    let kind = Kind::compile(&schema(kind, client).await?, &account)?;
    let preview = preview::preview(BufReader::new(file.open()?), file.bytes, &file.hints(&kind), &account);
    match preview {
        Ok(preview) => print(&preview),
        Err(failure) => {
            say!("{}: {}", failure.code, failure.message);
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn schema(kind: &str, client: Option<&Client>) -> anyhow::Result<Schema> {
    let Ok(name) = kind.parse::<KindName>() else { return SchemaFile::read(kind).map(|file| file.schema) };
    match (kinds::bundled(&name), client) {
        (Some(schema), _) => Ok(schema.clone()),
        (None, Some(client)) => {
            Kind::parse_as(client.kind_text(kind).await?.as_bytes(), &name).context("the kind's schema")
        }
        (None, None) => anyhow::bail!("there is no bundled kind `{kind}`; an account's own needs --url and --token"),
    }
}

/// Prints what a file is, and what is to be noted of it.
pub(crate) fn say_layout(layout: &Layout) -> anyhow::Result<()> {
    let mut words = vec![layout.format.as_str().to_owned(), layout.encoding.clone()];
    words.extend(layout.compression.map(|compression| compression.as_str().to_owned()));
    if let penstock_model::Grammar::Delimited { delimiter, quoting } = layout.grammar {
        words.push(format!("delimiter {:?}", char::from(delimiter)));
        words.extend((!quoting).then(|| "no quoting".to_owned()));
    }
    words.extend(layout.sheet.as_ref().map(|sheet| format!("sheet {sheet:?}")));
    say!("{}", words.join(", "));
    for note in &layout.notes {
        say!("note: {note}");
    }
    Ok(())
}

fn print(preview: &Preview) -> anyhow::Result<ExitCode> {
    say_layout(&preview.layout)?;
    for (column, field) in &preview.columns {
        match field {
            Some(field) => say!("  {column:?} is {field}"),
            None => say!("  {column:?} is ignored"),
        }
    }
    for row in &preview.rows {
        if row.errors.is_empty() {
            say!("row {}: {}", row.row, serde_json::to_string(&row.fields)?);
        }
        for error in &row.errors {
            say!("row {}, line {}: {} ({})", row.row, error.line, error.message, error.code);
        }
    }
    match &preview.failure {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) => {
            say!("{}: {}", failure.code, failure.message);
            Ok(ExitCode::FAILURE)
        }
    }
}
