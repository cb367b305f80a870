//! The file that a command is about, and how it is read: the arguments that an import and a check share.

use std::{fs::File, path::Path};

use anyhow::Context;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use penstock_engine::{
    kind::{self, Kind},
    reading::Hints,
};
use penstock_model::{
    Format, ImportOptions, InvalidDelimiter, ReadOptions, ShortRows, delimiter_byte, limits::HEADER_LINE,
};
use serde::de::DeserializeOwned;

/// How a file is to be read.
#[derive(Args)]
pub(crate) struct ReadingArgs {
    /// The format of the file.
    #[arg(
        long,
        help = format!("The format of the file, of {}; detected if not given", Format::listed()),
        help_heading = "Reading the file"
    )]
    pub(crate) format: Option<Format>,
    /// The byte between two cells; detected if not given.
    #[arg(long, value_parser = delimiter, help_heading = "Reading the file")]
    delimiter: Option<char>,
    /// Takes quotes for data.
    #[arg(long, help_heading = "Reading the file")]
    no_quoting: bool,
    /// The encoding of the text, such as windows-1252; detected if not given.
    #[arg(long, help_heading = "Reading the file")]
    encoding: Option<String>,
    /// The sheet of a workbook; the first if not given.
    #[arg(long, help_heading = "Reading the file")]
    sheet: Option<String>,
    /// What stands between the whole part of a number and its fraction; what the kind says if not given.
    #[arg(long, value_name = "CHAR", help_heading = "Reading the file")]
    decimal_char: Option<char>,
    /// What groups the digits of numbers; what the kind says if not given.
    #[arg(long, value_name = "CHAR", help_heading = "Reading the file")]
    group_char: Option<char>,
    /// The strptime pattern of dates, such as %d.%m.%Y.
    #[arg(long, value_name = "PATTERN", value_parser = date_format, help_heading = "Reading the file")]
    date_format: Option<String>,
    /// The cells that are true, such as yes,y; any number of times.
    #[arg(long, value_name = "TEXT,...", value_delimiter = ',', help_heading = "Reading the file")]
    true_values: Vec<String>,
    /// The cells that are false, such as no,n; any number of times.
    #[arg(long, value_name = "TEXT,...", value_delimiter = ',', help_heading = "Reading the file")]
    false_values: Vec<String>,
    /// The line of the header; what stands above it is not read.
    #[arg(long, value_name = "LINE", value_parser = clap::value_parser!(u64).range(1..=HEADER_LINE), help_heading = "Reading the file")]
    header_line: Option<u64>,
    /// What begins a line that is not read, such as #.
    #[arg(long, value_name = "CHAR", help_heading = "Reading the file")]
    comment: Option<char>,
    /// What makes the next character of a quoted cell data, such as a backslash.
    #[arg(long, value_name = "CHAR", help_heading = "Reading the file")]
    escape: Option<char>,
    /// Rows that have fewer cells than the header: reject rejects them, absent takes the cells for absent.
    #[arg(long, value_parser = words::<ShortRows>(&["reject", "absent"]), help_heading = "Reading the file")]
    short_rows: Option<ShortRows>,
    /// The path of the rows in a JSON document, such as data.items.
    #[arg(long, value_name = "PATH", help_heading = "Reading the file")]
    rows_at: Option<String>,
    /// The field that a column is, where its name does not say it; any number of times.
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = mapped, help_heading = "Reading the file")]
    mapping: Vec<(String, String)>,
}

impl ReadingArgs {
    /// The options of an import of the file, as far as they are about the file.
    pub(crate) fn options(&self) -> ImportOptions {
        ImportOptions {
            delimiter: self.delimiter,
            quoting: self.no_quoting.then_some(false),
            encoding: self.encoding.clone(),
            sheet: self.sheet.clone(),
            mapping: self.mapping.iter().cloned().collect(),
            reading: ReadOptions {
                decimal_char: self.decimal_char,
                group_char: self.group_char,
                date_format: self.date_format.clone(),
                true_values: self.true_values.clone(),
                false_values: self.false_values.clone(),
                header_line: self.header_line,
                comment: self.comment,
                escape: self.escape,
                short_rows: self.short_rows,
                rows_at: self.rows_at.clone(),
            },
            ..ImportOptions::default()
        }
    }
}

/// A file that this program reads, and what is said of it.
pub(crate) struct LocalFile<'a> {
    pub(crate) path: &'a Path,
    pub(crate) bytes: u64,
    pub(crate) options: ImportOptions,
    format: Option<Format>,
    filename: Option<String>,
}

impl<'a> LocalFile<'a> {
    /// The file at a path, called `filename`.
    ///
    /// # Errors
    /// The file is not there, or is no file.
    pub(crate) fn look(
        path: &'a Path,
        filename: Option<String>,
        format: Option<Format>,
        options: ImportOptions,
    ) -> anyhow::Result<Self> {
        let file = std::fs::metadata(path).with_context(|| path.display().to_string())?;
        anyhow::ensure!(file.is_file(), "{} is not a file", path.display());
        Ok(Self { path, bytes: file.len(), options, format, filename })
    }

    /// Opens the file.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(&self) -> anyhow::Result<File> {
        File::open(self.path).with_context(|| self.path.display().to_string())
    }

    /// What is known of the file before it is looked at.
    pub(crate) fn hints<'h>(&'h self, kind: &'h Kind) -> Hints<'h> {
        let Self { format, filename, options, .. } = self;
        Hints { format: *format, filename: filename.as_deref(), options, kind, partial: false }
    }
}

/// A parser of one of these words, each of which its type reads from JSON.
pub(crate) fn words<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    known: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    let read = |word: String| serde_json::from_value(serde_json::Value::String(word)).expect("a word of the model");
    PossibleValuesParser::new(known).map(read)
}

/// As the service takes it.
fn delimiter(text: &str) -> Result<char, String> {
    let refused = |rule: InvalidDelimiter| format!("it {rule}");
    // A shell passes these two characters on as they are.
    if matches!(text, "\\t" | "tab") {
        return Ok('\t');
    }
    let delimiter: char = text.parse().map_err(|_| format!("{}, or tab", refused(InvalidDelimiter)))?;
    delimiter_byte(delimiter).map(|_| delimiter).map_err(refused)
}

/// As the service takes it.
fn date_format(text: &str) -> Result<String, String> {
    kind::date_format(text).map(|()| text.to_owned()).map_err(|error| format!("it {}", error.rule))
}

/// `COLUMN=FIELD`; a field's name holds no `=`, a column's may.
fn mapped(text: &str) -> Result<(String, String), String> {
    let (column, field) = text.rsplit_once('=').ok_or("write it as COLUMN=FIELD")?;
    Ok((column.to_owned(), field.to_owned()))
}
