//! Chunks: the pieces into which a file is split.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::limits::{JSON_DEPTH, LISTED_REPEATS};

/// Consecutive rows of a file. Chunk *n* of an object always holds the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its place in the file, from 0.
    pub index: u32,
    /// The first row's number, from 1.
    pub first_row: u64,
    /// The physical line on which the chunk's bytes start, from 1.
    pub first_line: u64,
    /// The byte of the object at which they start.
    pub offset: u64,
    /// How many bytes of the object they are.
    pub bytes: u64,
    /// How many rows they hold.
    pub rows: u64,
    /// The rows.
    pub body: Body,
}

/// What a chunk holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Records as they came, blank lines between them included.
    Rows(Vec<u8>),
    /// One record that cannot be carried or trusted; its bytes stay in the object.
    Refused(RecordFlaw),
}

/// Why the splitter refuses a record: it cannot be carried, or nothing of it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordFlaw {
    /// It is longer than [`crate::limits::RECORD_BYTES`].
    TooLarge,
    /// A quote that was opened on this physical line is never closed: the record is all that follows.
    UnterminatedQuote {
        /// The line of the quote, from 1.
        opened_line: u64,
    },
    /// The JSON document is broken on this physical line: the record is all that follows.
    BrokenDocument {
        /// The line of the first byte that does not belong there, from 1.
        line: u64,
        /// What is wrong with it.
        flaw: DocumentFlaw,
    },
}

/// What breaks a JSON document so that nothing after it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentFlaw {
    /// Something else than a comma or the array's end follows an element.
    ExpectedComma,
    /// An element or a value is missing where one has to be.
    ExpectedValue,
    /// A bracket closes that another one opened.
    WrongBracket,
    /// Values are nested deeper than [`JSON_DEPTH`].
    TooDeep,
    /// The file ends inside the document.
    Ends,
    /// The object holds no array of objects.
    NoArray,
    /// A second array of objects stands beside the one that holds the rows.
    SecondArray,
    /// Something follows the document.
    Trailing,
}

impl fmt::Display for DocumentFlaw {
    /// What is wrong, as a part of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpectedComma => f.write_str("a comma or the end of the array is missing"),
            Self::ExpectedValue => f.write_str("a value is missing"),
            Self::WrongBracket => f.write_str("a bracket closes what another one opened"),
            Self::TooDeep => write!(f, "values are nested deeper than {JSON_DEPTH} levels"),
            Self::Ends => f.write_str("the file ends inside the document"),
            Self::NoArray => f.write_str("the object holds no array of objects"),
            Self::SecondArray => f.write_str("a second array of objects stands beside the one that holds the rows"),
            Self::Trailing => f.write_str("something follows the end of the document"),
        }
    }
}

/// The rows of a chunk that are dropped: they say again what was said last of their records, and count as unchanged
/// without being applied. The place of a row is counted from 0, the chunk's first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped(Vec<u8>);

impl Dropped {
    /// Adds the row in this place.
    pub fn add(&mut self, place: usize) {
        if self.0.len() <= place / 8 {
            self.0.resize(place / 8 + 1, 0);
        }
        self.0[place / 8] |= 1 << (place % 8);
    }

    /// Whether the row in this place is one of them.
    pub fn has(&self, place: usize) -> bool {
        self.0.get(place / 8).is_some_and(|byte| byte & (1 << (place % 8)) != 0)
    }

    /// How many they are.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// As text: a bit for each row, the least of a byte first, in base64. Nothing where there are none.
    pub(crate) fn to_text(&self) -> Option<String> {
        (!self.is_empty()).then(|| STANDARD.encode(&self.0))
    }

    /// Reads what [`Dropped::to_text`] wrote.
    pub(crate) fn of_text(text: Option<&str>) -> Result<Self, base64::DecodeError> {
        text.map_or(Ok(Self::default()), |text| STANDARD.decode(text).map(Self))
    }
}

/// Which rows of a chunk may name a record that an earlier row of the file names. A splitter that does not know says
/// that any row may; that costs writes, and no result is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Repeats {
    /// Any of them.
    #[default]
    Any,
    /// None but these, by their numbers, in order.
    Rows(Vec<u64>),
}

impl Repeats {
    /// These rows, in order; any, where they are more than [`LISTED_REPEATS`].
    pub fn of(rows: Vec<u64>) -> Self {
        if rows.len() > LISTED_REPEATS { Self::Any } else { Self::Rows(rows) }
    }

    /// Whether this row may be one of them.
    pub fn may_be(&self, row: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Rows(rows) => rows.binary_search(&row).is_ok(),
        }
    }
}
