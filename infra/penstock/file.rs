//! How a file is to be read: the arguments that an import and a check share.

use std::path::PathBuf;

use anyhow::Context;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use penstock_model::{Format, ImportOptions};
use serde::de::DeserializeOwned;

/// A file, and how it is to be read.
#[derive(Args)]
pub(crate) struct FileArgs {
    /// The file.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
}

impl FileArgs {
    /// What is asked of an import of the file, as far as it is about the file.
    pub(crate) fn options(&self) -> ImportOptions {
        self.reading.options()
    }

    /// What the file is called.
    pub(crate) fn filename(&self) -> Option<String> {
        self.file.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    /// How much there is of it.
    ///
    /// # Errors
    /// It is not there, or no file.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        let file = std::fs::metadata(&self.file).with_context(|| self.file.display().to_string())?;
        anyhow::ensure!(file.is_file(), "{} is not a file", self.file.display());
        Ok(file.len())
    }
}

/// How a file is to be read.
#[derive(Args)]
pub(crate) struct ReadingArgs {
    /// What the file is: csv, tsv, ndjson, json or xlsx; found out if not given.
    #[arg(long, value_parser = format, help_heading = "Reading the file")]
    pub(crate) format: Option<Format>,
    /// The byte between two cells; found out if not given.
    #[arg(long, value_parser = delimiter, help_heading = "Reading the file")]
    delimiter: Option<char>,
    /// Takes quotes for data.
    #[arg(long, help_heading = "Reading the file")]
    no_quoting: bool,
    /// The encoding of the text, such as windows-1252; found out if not given.
    #[arg(long, help_heading = "Reading the file")]
    encoding: Option<String>,
    /// The sheet of a workbook; the first if not given.
    #[arg(long, help_heading = "Reading the file")]
    sheet: Option<String>,
    /// What a column means whose name does not say it; any number of times.
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = mapped, help_heading = "Reading the file")]
    mapping: Vec<(String, String)>,
}

impl ReadingArgs {
    /// What is asked of an import of the file, as far as it is about the file.
    pub(crate) fn options(&self) -> ImportOptions {
        ImportOptions {
            delimiter: self.delimiter,
            quoting: self.no_quoting.then_some(false),
            encoding: self.encoding.clone(),
            sheet: self.sheet.clone(),
            mapping: self.mapping.iter().cloned().collect(),
            ..ImportOptions::default()
        }
    }
}

/// A parser of one of these words, each of which its type reads from JSON.
pub(crate) fn words<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    known: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    let read = |word: String| serde_json::from_value(serde_json::Value::String(word)).expect("a word of the model");
    PossibleValuesParser::new(known).map(read)
}

fn format(name: &str) -> Result<Format, String> {
    let known = serde_json::from_value(serde_json::Value::String(name.to_owned()));
    known.map_err(|_| "csv, tsv, ndjson, json and xlsx are read".to_owned())
}

/// As the service takes it.
fn delimiter(text: &str) -> Result<char, String> {
    let refused = |c: &char| !c.is_ascii() || matches!(c, '"' | '\n' | '\r' | '\0') || c.is_ascii_alphanumeric();
    let one: Option<char> = text.parse().ok();
    one.filter(|c| !refused(c))
        .ok_or_else(|| "it is one ASCII character, not a quote, a line break, a letter or a digit".to_owned())
}

/// `COLUMN=FIELD`; a field's name holds no `=`, a column's may.
fn mapped(text: &str) -> Result<(String, String), String> {
    let (column, field) = text.rsplit_once('=').ok_or("write it as COLUMN=FIELD")?;
    Ok((column.to_owned(), field.to_owned()))
}
