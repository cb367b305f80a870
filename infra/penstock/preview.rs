//! `penstock import --preview`: what a file is and how its first rows would be read, told by the engine on this
//! machine. Only the schema of a kind that is not bundled is asked of the service.

use std::{collections::BTreeMap, io::BufReader, process::ExitCode};

use anyhow::Context;
use penstock_client::{Client, Detected};
use penstock_engine::{
    kind::Kind,
    kinds,
    preview::{self, ColumnSamples, Preview, PreviewRow},
};
use penstock_model::{Failure, KindName, Layout, RowError, Schema, Value};
use serde::Serialize;

use crate::{
    file::LocalFile,
    follow::{say_failure, say_notes},
    groups::line_of,
    schema_file::SchemaFile,
    terminal,
};

/// A preview as JSON, in the form in which the API shows one.
#[derive(Serialize)]
struct PreviewJson {
    detected: Option<Detected>,
    columns: Vec<Column>,
    sampled: u64,
    rows: Vec<Row>,
    failure: Option<Failure>,
}

#[derive(Serialize)]
struct Column {
    column: String,
    field: Option<String>,
    filled: u64,
    samples: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    row: u64,
    fields: BTreeMap<String, Option<Value>>,
    errors: Vec<RowError>,
}

impl From<Result<Preview, Failure>> for PreviewJson {
    fn from(preview: Result<Preview, Failure>) -> Self {
        match preview {
            Err(failure) => {
                Self { detected: None, columns: Vec::new(), sampled: 0, rows: Vec::new(), failure: Some(failure) }
            }
            Ok(Preview { layout, columns, samples, rows, failure }) => Self {
                detected: Some(layout.into()),
                columns: std::iter::zip(columns, samples.columns)
                    .map(|((column, field), ColumnSamples { filled, cells })| Column {
                        column,
                        field,
                        filled,
                        samples: cells,
                    })
                    .collect(),
                sampled: samples.rows,
                rows: rows.into_iter().map(|PreviewRow { row, fields, errors }| Row { row, fields, errors }).collect(),
                failure,
            },
        }
    }
}

/// Prints the preview of a file as one of this kind, as JSON or in words. `client` is asked for a kind that is not
/// bundled.
pub(crate) async fn run(
    file: &LocalFile<'_>,
    kind: &str,
    client: Option<&Client>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let account = crate::LOCAL_ACCOUNT.parse()?;
    let kind = Kind::compile(&schema(kind, client).await?, &account)?;
    let preview = preview::preview(BufReader::new(file.open()?), file.bytes, &file.hints(&kind), &account);
    if json {
        let preview = PreviewJson::from(preview);
        terminal::say_json(&preview)?;
        return Ok(if preview.failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    match preview {
        Ok(preview) => print(&preview),
        Err(failure) => {
            say_failure(&failure)?;
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
    say_notes(&layout.notes)
}

fn print(preview: &Preview) -> anyhow::Result<ExitCode> {
    say_layout(&preview.layout)?;
    for (column, field) in &preview.columns {
        match field {
            Some(field) => say!("  {column:?} is {field}"),
            // Where the columns failed the file, nothing is ignored: none of it is read.
            None if preview.failure.is_some() => say!("  {column:?} is no field"),
            None => say!("  {column:?} is ignored"),
        }
    }
    for row in &preview.rows {
        if row.errors.is_empty() {
            say!("row {}: {}", row.row, serde_json::to_string(&row.fields)?);
        }
        for error in &row.errors {
            say!("{}", line_of(error));
        }
    }
    match &preview.failure {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) => {
            say_failure(failure)?;
            Ok(ExitCode::FAILURE)
        }
    }
}
