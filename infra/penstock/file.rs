//! The file that a command is about, and what is said of it.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use penstock_engine::{kind::Kind, reading::Hints};
use penstock_model::{Format, ImportOptions, InvalidDelimiter, delimiter_byte};

/// A file, and how it is to be read.
#[derive(Args)]
pub(crate) struct FileArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The format of the file.
    #[arg(long, help = format!("The format of the file, of {}; detected if not given", Format::listed()))]
    pub(crate) format: Option<Format>,
    /// The byte between two cells; detected if not given.
    #[arg(long, value_parser = delimiter)]
    delimiter: Option<char>,
    /// Takes quotes for data.
    #[arg(long)]
    no_quoting: bool,
    /// The encoding of the text, such as windows-1252; detected if not given.
    #[arg(long)]
    encoding: Option<String>,
    /// The sheet of a workbook; the first if not given.
    #[arg(long)]
    sheet: Option<String>,
    /// The field that a column is, where its name does not say it; any number of times.
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = mapped)]
    mapping: Vec<(String, String)>,
}

impl FileArgs {
    /// The options of an import of the file, as far as they are about the file.
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

    /// The file's name.
    pub(crate) fn filename(&self) -> Option<String> {
        self.file.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    /// The file's size in bytes.
    ///
    /// # Errors
    /// The file is not there, or is no file.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        let file = std::fs::metadata(&self.file).with_context(|| self.file.display().to_string())?;
        anyhow::ensure!(file.is_file(), "{} is not a file", self.file.display());
        Ok(file.len())
    }

    /// The file, to be read by this program.
    ///
    /// # Errors
    /// Those of [`FileArgs::bytes`].
    pub(crate) fn local(&self) -> anyhow::Result<LocalFile<'_>> {
        let Self { file, format, .. } = self;
        let (bytes, filename, options) = (self.bytes()?, self.filename(), self.options());
        Ok(LocalFile { path: file, bytes, format: *format, filename, options })
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

impl LocalFile<'_> {
    /// Opens the file.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(&self) -> anyhow::Result<File> {
        File::open(self.path).with_context(|| self.path.display().to_string())
    }

    /// What is known of the file before it is looked at.
    pub(crate) fn hints<'a>(&'a self, kind: &'a Kind) -> Hints<'a> {
        let Self { format, filename, options, .. } = self;
        Hints { format: *format, filename: filename.as_deref(), options, kind, partial: false }
    }
}

/// As the service takes it.
fn delimiter(text: &str) -> Result<char, String> {
    let refused = |rule: InvalidDelimiter| format!("it {rule}");
    let delimiter: char = text.parse().map_err(|_| refused(InvalidDelimiter))?;
    delimiter_byte(delimiter).map(|_| delimiter).map_err(refused)
}

/// `COLUMN=FIELD`; a field's name holds no `=`, a column's may.
fn mapped(text: &str) -> Result<(String, String), String> {
    let (column, field) = text.rsplit_once('=').ok_or("write it as COLUMN=FIELD")?;
    Ok((column.to_owned(), field.to_owned()))
}
