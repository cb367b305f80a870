//! What an uploaded file turned out to be.

use serde::{Deserialize, Serialize};

/// The format of a file, whatever it is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text with cells between delimiters (RFC 4180 as it is met in the wild).
    Csv,
    /// The same between tabs.
    Tsv,
    /// A JSON object a line.
    Ndjson,
    /// A JSON array of objects, or an object that holds one.
    Json,
    /// An Office Open XML workbook.
    Xlsx,
}

impl Format {
    /// The word on the wire, which is also what names of such files end in.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
            Self::Xlsx => "xlsx",
        }
    }
}

/// What a file is packed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Gzip (RFC 1952), any number of members.
    Gzip,
    /// Zstandard (RFC 8878), any number of frames.
    Zstd,
    /// A ZIP archive that holds one file.
    Zip,
}

impl Compression {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
        }
    }
}

/// How rows stand in a file's text: all that splitting and parsing it have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grammar {
    /// Records of cells; the first names the columns.
    Delimited {
        /// The byte between two cells.
        delimiter: u8,
        /// Whether a quote at the start of a cell opens a quoted one. Without quoting a quote is data and every line end ends a record.
        quoting: bool,
    },
    /// A JSON value a line.
    Lines,
    /// The elements of the one array of a JSON document.
    Elements {
        /// Whether an object holds the array.
        enveloped: bool,
    },
    /// A sheet's rows, a JSON array of cells a line as the engine writes them; the first names the columns.
    Sheet,
}

impl Grammar {
    /// Text as CSV is by default.
    pub const CSV: Self = Self::Delimited { delimiter: b',', quoting: true };

    /// Whether the first record names the columns; else each row names its own.
    pub fn has_header(self) -> bool {
        matches!(self, Self::Delimited { .. } | Self::Sheet)
    }
}

/// What an upload is, found out once, when it is accepted, and pinned: reading it again must give the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Its format.
    pub format: Format,
    /// What it is packed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The encoding of its text, by its name in the WHATWG Encoding Standard.
    pub encoding: String,
    /// How rows stand in the text.
    pub grammar: Grammar,
    /// The sheet of a workbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// What its creator may want to know: where content, declaration and name contradict one another, and in which encoding text was read
    /// that is not UTF-8 and of which nobody said it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Layout {
    /// Plain CSV in UTF-8.
    pub fn csv() -> Self {
        Self::plain(Format::Csv, Grammar::CSV)
    }

    /// Text in UTF-8, packed in nothing.
    pub fn plain(format: Format, grammar: Grammar) -> Self {
        Self { format, compression: None, encoding: UTF_8.to_owned(), grammar, sheet: None, notes: Vec::new() }
    }

    /// Whether the object's bytes are the text itself, so that a part of the text can be read alone.
    pub fn is_plain(&self) -> bool {
        self.compression.is_none() && self.encoding == UTF_8 && self.format != Format::Xlsx
    }
}

/// The encoding that needs no decoding.
pub const UTF_8: &str = "UTF-8";
