//! The layout of an uploaded file: format, packing, encoding, grammar.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ReadOptions;

/// An enum whose variants are words on the wire: the one list of them, from which all else follows.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them, in the order in which messages list them.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The format of a file, whatever it is compressed with.
    pub enum Format {
        /// Text with cells between delimiters (RFC 4180 as it is met in the wild).
        Csv = "csv",
        /// The same between tabs.
        Tsv = "tsv",
        /// A JSON object a line.
        Ndjson = "ndjson",
        /// A JSON array of objects, an object that holds one, or objects one after another that are no lines.
        Json = "json",
        /// An Office Open XML workbook.
        Xlsx = "xlsx",
    }
}

impl Format {
    /// The words of all formats, as a part of a sentence.
    pub fn listed() -> String {
        let [others @ .., last] = Self::ALL.map(Self::as_str);
        format!("{} and {last}", others.join(", "))
    }

    /// The extensions of files in the format, without a dot.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Csv => &["csv"],
            Self::Tsv => &["tsv", "tab"],
            Self::Ndjson => &["ndjson", "jsonl"],
            Self::Json => &["json"],
            Self::Xlsx => &["xlsx", "xlsm"],
        }
    }

    /// The format that a file's name declares by its extension; the extension of a compression behind it does not
    /// count.
    pub fn of_filename(filename: &str) -> Option<Self> {
        let name = filename.to_ascii_lowercase();
        let packed = Compression::ALL
            .into_iter()
            .find_map(|compression| name.strip_suffix(compression.extension()).and_then(|stem| stem.strip_suffix('.')));
        let (_, extension) = packed.unwrap_or(&name).rsplit_once('.')?;
        Self::ALL.into_iter().find(|format| format.extensions().contains(&extension))
    }

    /// Whether a file in the format is text; else its rows stand in the parts of a workbook.
    pub const fn is_text(self) -> bool {
        match self {
            Self::Csv | Self::Tsv | Self::Ndjson | Self::Json => true,
            Self::Xlsx => false,
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == word);
        known.ok_or_else(|| UnknownFormat(word.chars().take(40).collect()))
    }
}

/// A word that names no [`Format`], cut to 40 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "format `{}` is not read; {} are", self.0, Format::listed())
    }
}

impl std::error::Error for UnknownFormat {}

words! {
    /// What a file is compressed with.
    pub enum Compression {
        /// Gzip (RFC 1952), any number of members.
        Gzip = "gzip",
        /// Zstandard (RFC 8878), any number of frames.
        Zstd = "zstd",
        /// A ZIP archive that holds one file.
        Zip = "zip",
    }
}

impl Compression {
    /// The extension of a file that is compressed with it, without a dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
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
        /// The byte between two cells, see [`delimiter_byte`].
        delimiter: u8,
        /// Whether a quote at the start of a cell opens a quoted one. Without quoting a quote is data and every line
        /// end ends a record.
        quoting: bool,
    },
    /// A JSON value a line.
    Lines,
    /// The elements of an array of a JSON document.
    Elements {
        /// Whether an object holds the array.
        enveloped: bool,
    },
    /// JSON values one after another, with whatever white space between them.
    Concatenated,
    /// A sheet's rows, a JSON array of cells a line as the engine writes them; the first names the columns.
    Sheet,
}

impl Grammar {
    /// Text as CSV is by default.
    pub const CSV: Self = Self::Delimited { delimiter: b',', quoting: true };

    /// Whether the first record names the columns; else each row names its own.
    pub const fn has_header(self) -> bool {
        match self {
            Self::Delimited { .. } | Self::Sheet => true,
            Self::Lines | Self::Elements { .. } | Self::Concatenated => false,
        }
    }
}

/// The byte of a character that may stand between two cells.
///
/// # Errors
/// [`InvalidDelimiter`] for any other character.
pub fn delimiter_byte(delimiter: char) -> Result<u8, InvalidDelimiter> {
    let is_one =
        delimiter.is_ascii() && !matches!(delimiter, '"' | '\n' | '\r' | '\0') && !delimiter.is_ascii_alphanumeric();
    if is_one { Ok(delimiter as u8) } else { Err(InvalidDelimiter) }
}

/// A character cannot stand between two cells. Its message says which can, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is one ASCII character, not a quote, a line break, a letter or a digit")]
pub struct InvalidDelimiter;

/// What a file is and how it is read: what the import's options, its kind and the file's own content come to.
///
/// It is resolved once, when the upload is accepted, and pinned with the import, so that reading the file again gives
/// the same rows in the same chunks. Whatever decides how a file is read belongs here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Its format.
    pub format: Format,
    /// What it is compressed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The encoding of its text, by its name in the WHATWG Encoding Standard.
    pub encoding: String,
    /// Whether a byte order mark stands before its text. The file of its rejected rows has one too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_mark: bool,
    /// How rows stand in the text.
    pub grammar: Grammar,
    /// The sheet of a workbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// How the file is read beside that: what the import's options and its kind come to, see [`ReadOptions::over`].
    #[serde(default, skip_serializing_if = "ReadOptions::is_empty")]
    pub reading: ReadOptions,
    /// The other sheets of a workbook, where nobody said which one is to be read; the first
    /// [`crate::limits::SHOWN_NAMES`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_sheets: Vec<String>,
    /// Notes for the import's creator: where content, declaration and name contradict one another, in which encoding
    /// text was read that is not UTF-8, where nobody said so, and which options the first rows suggest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Layout {
    /// Plain CSV in UTF-8.
    pub fn csv() -> Self {
        Self::plain(Format::Csv, Grammar::CSV)
    }

    /// Text in UTF-8 that is not compressed.
    pub fn plain(format: Format, grammar: Grammar) -> Self {
        Self {
            format,
            compression: None,
            encoding: UTF_8.to_owned(),
            has_mark: false,
            grammar,
            sheet: None,
            other_sheets: Vec::new(),
            reading: ReadOptions::default(),
            notes: Vec::new(),
        }
    }

    /// Whether the object's bytes are the text itself, so that a part of the text can be read alone.
    pub fn is_plain(&self) -> bool {
        self.compression.is_none() && self.encoding == UTF_8 && self.format.is_text()
    }
}

/// The encoding that needs no decoding.
pub const UTF_8: &str = "UTF-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_the_formats_that_they_name() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert_eq!(serde_json::to_value(format).expect("a word"), format.as_str());
            for extension in format.extensions() {
                assert_eq!(Format::of_filename(&format!("a.b.{extension}")), Some(format));
            }
        }
        let unknown = "parquet".parse::<Format>().expect_err("not read");
        assert_eq!(unknown.to_string(), "format `parquet` is not read; csv, tsv, ndjson, json and xlsx are");
    }

    #[test]
    fn the_extension_of_a_compression_does_not_hide_that_of_the_format() {
        let of = Format::of_filename;
        assert_eq!(
            (of("A.CSV.GZ"), of("a.jsonl.zst"), of("a.xlsx.zip")),
            (Some(Format::Csv), Some(Format::Ndjson), Some(Format::Xlsx))
        );
        assert_eq!((of("csv"), of("a.gz"), of("a.csv.bak"), of("csvgz")), (None, None, None, None));
    }

    #[test]
    fn a_delimiter_cannot_be_taken_for_a_quote_a_line_end_or_data() {
        assert!([',', ';', '\t', '|', ' ', '~', '\u{1}'].into_iter().all(|c| delimiter_byte(c) == Ok(c as u8)));
        assert!(['"', '\n', '\r', '\0', 'a', 'Z', '7', 'é', '，'].into_iter().all(|c| delimiter_byte(c).is_err()));
    }
}
