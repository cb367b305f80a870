//! Chunks, and the message that carries one from the splitter to a validator.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    Abort, AccountId, Chunking, EmptyCells, Grammar, ImportId, ImportOptions, KindName, Mode, Stamp,
    limits::{JSON_DEPTH, LISTED_REPEATS, MESSAGE_BYTES},
};

/// What is the same for every chunk of an import: all that a validator needs besides the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Whose import it is.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
    /// Its place in the order of acceptance.
    pub order: u64,
    /// Whether no older import of the account and kind ran when it was accepted.
    #[serde(default)]
    pub alone: bool,
    /// The kind of its records.
    pub kind: KindName,
    /// What rows do to records that are there.
    pub mode: Mode,
    /// What empty cells say.
    pub empty_cells: EmptyCells,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// When to stop early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
    /// How the file is cut.
    pub chunking: Chunking,
    /// The version of an account's own kind, from 1; 0 for a bundled kind.
    pub kind_version: u32,
    /// How rows stand in the text.
    pub grammar: Grammar,
    /// The file's columns, where it names them.
    pub columns: Vec<String>,
    /// What columns mean whose names do not say it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mapping: BTreeMap<String, String>,
}

impl Job {
    /// The job of a file that is looked at and of which nothing is stored: a dry run of an upsert by an import that is the only one.
    pub fn dry(
        account: AccountId,
        kind: KindName,
        options: &ImportOptions,
        grammar: Grammar,
        columns: Vec<String>,
    ) -> Self {
        Self {
            account,
            import: ImportId::new(0, [0; 10]),
            order: 1,
            alone: true,
            kind,
            mode: Mode::Upsert,
            empty_cells: options.empty_cells,
            dry_run: true,
            abort: None,
            chunking: Chunking::default(),
            kind_version: 0,
            grammar,
            columns,
            mapping: options.mapping.clone(),
        }
    }

    /// The stamp of a row of this import.
    pub fn stamp(&self, row: u64) -> Stamp {
        Stamp { order: self.order, row }
    }
}

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
    /// The object holds no array.
    NoArray,
    /// A second array stands beside the one that holds the rows.
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
            Self::NoArray => f.write_str("the object holds no array of rows"),
            Self::SecondArray => f.write_str("a second array stands beside the one that holds the rows"),
            Self::Trailing => f.write_str("something follows the end of the document"),
        }
    }
}

/// Which rows of a chunk may name a record that an earlier row of the file names. Whoever does not know says that any may: that costs
/// writes, never truth.
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

/// One message on the chunks queue.
///
/// Its body is one line of JSON, a line feed, and the rows as they came. Rows that SQS would refuse or alter (control characters, invalid
/// UTF-8; Amazon SQS API Reference, SendMessage) follow in base64 instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkMessage {
    /// What is the same for every chunk of the import.
    pub job: Job,
    /// The chunk.
    pub chunk: Chunk,
    /// Its rows that may name a record again.
    pub repeats: Repeats,
    /// Whether the chunk is given up if this message is dead-lettered before it has begun: it was, once, before.
    pub last_try: bool,
}

/// What is wrong with a message body; it never repeats any of it.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// There is no line feed after the header.
    #[error("the chunk message has no header line")]
    NoHeader,
    /// The header is not what this version writes.
    #[error("the chunk message's header cannot be read")]
    Header,
    /// The rows are not the base64 that the header announces.
    #[error("the chunk message's rows are not base64")]
    Base64(#[source] base64::DecodeError),
    /// The rows are not as long as the header says.
    #[error("the chunk message carries {found} bytes of rows, its header says {stated}")]
    Length {
        /// Bytes announced.
        stated: u64,
        /// Bytes found.
        found: u64,
    },
    /// A number is none that a splitter writes.
    #[error("the chunk message's {0} is out of bounds")]
    OutOfBounds(&'static str),
    /// The message would be larger than SQS takes.
    #[error("the chunk message has {bytes} bytes, the limit is {MESSAGE_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    job: Job,
    chunk: u32,
    first_row: u64,
    first_line: u64,
    offset: u64,
    bytes: u64,
    rows: u64,
    /// [`Repeats::Rows`], if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeats: Option<Vec<u64>>,
    #[serde(default)]
    last_try: bool,
    encoding: Encoding,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Text,
    Base64,
    Refused(RecordFlaw),
}

impl ChunkMessage {
    /// The body of the message, at most [`MESSAGE_BYTES`] of characters that SQS takes.
    ///
    /// # Errors
    /// [`MessageError::TooLarge`]: the columns' names alone must be huge, since a chunk's bytes are bounded.
    pub fn encode(&self) -> Result<String, MessageError> {
        let (encoding, rows) = match &self.chunk.body {
            Body::Refused(refusal) => (Encoding::Refused(*refusal), String::new()),
            Body::Rows(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if text.chars().all(is_carried) => (Encoding::Text, text.to_owned()),
                _ => (Encoding::Base64, STANDARD.encode(bytes)),
            },
        };
        let Chunk { index, first_row, first_line, offset, bytes, rows: count, .. } = self.chunk;
        let header = Header {
            job: self.job.clone(),
            chunk: index,
            first_row,
            first_line,
            offset,
            bytes,
            rows: count,
            repeats: match &self.repeats {
                Repeats::Any => None,
                Repeats::Rows(rows) => Some(rows.clone()),
            },
            last_try: self.last_try,
            encoding,
        };
        let mut body = serde_json::to_string(&header).map_err(|_| MessageError::Header)?;
        body.push('\n');
        body.push_str(&rows);
        if body.len() > MESSAGE_BYTES {
            return Err(MessageError::TooLarge { bytes: body.len() });
        }
        Ok(body)
    }

    /// Reads what [`ChunkMessage::encode`] wrote.
    ///
    /// # Errors
    /// [`MessageError`] for anything else.
    pub fn decode(body: &str) -> Result<Self, MessageError> {
        let (header, rows) = body.split_once('\n').ok_or(MessageError::NoHeader)?;
        let Header {
            job,
            chunk: index,
            first_row,
            first_line,
            offset,
            bytes,
            rows: count,
            repeats,
            last_try,
            encoding,
        } = serde_json::from_str(header).map_err(|_| MessageError::Header)?;
        let repeats = repeats.map_or(Repeats::Any, Repeats::Rows);
        // Half the range, so that sums of two stay inside it.
        let most = u64::MAX / 2;
        for (what, number, least) in [
            ("first row", first_row, 1),
            ("first line", first_line, 1),
            ("number of rows", count, 1),
            ("number of chunks to a block", job.chunking.per_block.into(), 1),
            ("offset", offset, 0),
            ("number of bytes", bytes, 0),
        ] {
            if !(least..=most).contains(&number) {
                return Err(MessageError::OutOfBounds(what));
            }
        }
        let body = match encoding {
            Encoding::Refused(refusal) => Body::Refused(refusal),
            Encoding::Text => Body::Rows(rows.as_bytes().to_vec()),
            Encoding::Base64 => Body::Rows(STANDARD.decode(rows).map_err(MessageError::Base64)?),
        };
        if let Body::Rows(carried) = &body
            && carried.len() as u64 != bytes
        {
            return Err(MessageError::Length { stated: bytes, found: carried.len() as u64 });
        }
        let chunk = Chunk { index, first_row, first_line, offset, bytes, rows: count, body };
        Ok(Self { job, chunk, repeats, last_try })
    }
}

/// Whether SQS carries the character as it is: `#x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF`.
fn is_carried(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: Body) -> ChunkMessage {
        let bytes = match &body {
            Body::Rows(rows) => rows.len() as u64,
            Body::Refused(_) => 300_000,
        };
        ChunkMessage {
            job: Job {
                account: "1".parse().expect("valid"),
                import: ImportId::new(1, [7; 10]),
                order: 3,
                alone: true,
                kind: "products".parse().expect("valid"),
                mode: Mode::Upsert,
                empty_cells: EmptyCells::Keep,
                dry_run: false,
                abort: None,
                chunking: Chunking::default(),
                kind_version: 0,
                grammar: Grammar::CSV,
                columns: vec!["sku".into(), "näme\n".into()],
                mapping: BTreeMap::new(),
            },
            chunk: Chunk { index: 2, first_row: 10, first_line: 12, offset: 99, bytes, rows: 1, body },
            repeats: Repeats::Rows(vec![10]),
            last_try: false,
        }
    }

    #[test]
    fn every_body_comes_back_as_it_was() {
        for body in [
            Body::Rows(b"a,b\r\n\"x\ny\",z\n".to_vec()),
            Body::Rows("ä,\u{1f600}\n".into()),
            Body::Rows(b"nul\0,b\n".to_vec()),
            Body::Rows("not a character \u{ffff}\n".into()),
            Body::Rows(vec![0xff, 0xfe, b'\n']),
            Body::Refused(RecordFlaw::TooLarge),
            Body::Refused(RecordFlaw::UnterminatedQuote { opened_line: 14 }),
        ] {
            let sent = message(body);
            let wire = sent.encode().expect("small");
            assert!(wire.chars().all(is_carried));
            assert_eq!(ChunkMessage::decode(&wire).expect("as written"), sent);
        }
    }

    #[test]
    fn the_largest_chunk_of_the_worst_bytes_fits_a_message() {
        let worst = message(Body::Rows(vec![0; crate::limits::CHUNK_BYTES + crate::limits::RECORD_BYTES]));
        assert!(worst.encode().expect("fits").len() <= MESSAGE_BYTES);
    }

    #[test]
    fn a_cut_or_foreign_message_is_refused() {
        let wire = message(Body::Rows(b"a,b\nc,d\n".to_vec())).encode().expect("small");
        assert!(matches!(
            ChunkMessage::decode(&wire[..wire.len() - 1]),
            Err(MessageError::Length { stated: 8, found: 7 })
        ));
        let no_rows = wire.replacen("\"rows\":1", "\"rows\":0", 1);
        assert!(matches!(ChunkMessage::decode(&no_rows), Err(MessageError::OutOfBounds("number of rows"))));
        let no_row = wire.replacen("\"first_row\":10", "\"first_row\":0", 1);
        assert!(matches!(ChunkMessage::decode(&no_row), Err(MessageError::OutOfBounds("first row"))));
        assert!(matches!(ChunkMessage::decode("{}"), Err(MessageError::NoHeader)));
        assert!(matches!(ChunkMessage::decode("{}\nrows"), Err(MessageError::Header)));
    }
}
