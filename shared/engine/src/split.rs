//! Splitting: where the records of a file's text end, and how they are gathered into chunks.
//!
//! Where records end depends on the file's [`Grammar`]. The rest is the same for all grammars: byte order marks at the
//! start are skipped; records are gathered until a chunk is full; a record that is too long is dropped as it is scanned
//! and refused by itself; text that cannot be trusted any more is refused as one record to the end of the file. A
//! record that says nothing, and the line by which Excel is told the delimiter, are passed like the empty lines between
//! records: they have no number, and the lines behind them keep theirs.

mod delimited;
mod json;
mod scan;

use delimited::Delimited;
pub(crate) use delimited::told_delimiter;
pub(crate) use json::Members;
use json::{Elements, Lines};
use memchr::memchr2;
use penstock_model::{
    Body, Checkpoint, Chunk, Chunking, DocumentFlaw, Failure, Grammar, ReadOptions, RecordFlaw, delimiter_byte, limits,
};
use scan::Scan;

use crate::lines::{self, LineCounter};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes that are scanned at once: few enough to stay in the processor's first-level cache until they are.
const PART_BYTES: usize = 16 * 1024;

/// How a file is cut. The same bytes and options always give the same chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitOptions {
    /// How rows stand in the text.
    pub grammar: Grammar,
    /// Bytes of one chunk, at most, unless a single record is longer.
    pub chunk_bytes: usize,
    /// Rows of one chunk, at most.
    pub chunk_rows: u64,
    /// Bytes of one record, at most; a longer one is refused by itself.
    pub record_bytes: usize,
    /// Bytes of a refused record that is held nevertheless, at most: it is a chunk by itself as ever, and the chunk has
    /// its bytes. 0 where none is held.
    pub held_bytes: usize,
}

impl SplitOptions {
    /// The service's limit of a record with this grammar and these chunks.
    pub fn new(grammar: Grammar, chunking: &Chunking) -> Self {
        Self {
            grammar,
            chunk_bytes: chunking.bytes,
            chunk_rows: chunking.rows,
            record_bytes: limits::RECORD_BYTES,
            held_bytes: 0,
        }
    }

    /// The same chunks, and in those of refused records up to so many bytes what they hold.
    pub fn holding(self, held_bytes: usize) -> Self {
        Self { held_bytes, ..self }
    }

    /// Bytes of one record that are held, at most.
    fn most_bytes(&self) -> usize {
        self.record_bytes.max(self.held_bytes)
    }
}

/// What the splitter finds, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The first record, without a byte order mark.
    Header(Vec<u8>),
    /// The next chunk of data records, and where a splitter resumes behind it.
    Chunk(Chunk, Checkpoint),
}

/// Why no record of the file can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The header is longer than a record may be.
    #[error("the header does not end within the first {limit} bytes of the file")]
    HeaderTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A quote in the header is never closed.
    #[error("a quote opened on line {opened_line}, in the header, is never closed")]
    HeaderUnterminated {
        /// The line of the quote.
        opened_line: u64,
    },
    /// A JSON document ends, or is broken, before any row.
    #[error("the document holds no row: on line {line} {flaw}")]
    NoRows {
        /// The line of the first byte that does not belong there, or of the document's end.
        line: u64,
        /// What is wrong with it.
        flaw: DocumentFlaw,
    },
}

impl From<SplitError> for Failure {
    fn from(error: SplitError) -> Self {
        let code = match error {
            SplitError::HeaderTooLarge { .. } => "header_too_large",
            SplitError::HeaderUnterminated { .. } => "unterminated_quote",
            SplitError::NoRows { .. } => "no_rows",
        };
        Self::new(code, error.to_string())
    }
}

/// Cuts a file that arrives in pieces of any size into a header and chunks, in memory of a chunk and a piece.
#[derive(Debug)]
pub struct Splitter {
    options: SplitOptions,
    /// Where the next chunk starts; `offset` is the byte at `buffer[chunk_start]`.
    next: Checkpoint,
    /// Nothing of the file has been scanned.
    at_start: bool,
    in_header: bool,
    /// No record has been met that says anything.
    is_first: bool,
    /// Lines above the header that have not been passed.
    lines_above: u64,
    buffer: Vec<u8>,
    /// Where the chunk being gathered starts in the buffer.
    chunk_start: usize,
    /// Where its last whole record ends.
    chunk_end: usize,
    chunk_rows: u64,
    /// How many lines end in the chunk.
    chunk_lines: u64,
    scanner: Scanner,
    /// The record being scanned.
    scan: Scan,
    /// The record being scanned is too long and is dropped as it is scanned.
    dropping: Option<Dropping>,
}

/// Finds where records start and end, by the file's grammar.
#[derive(Debug, Clone)]
enum Scanner {
    Delimited(Delimited),
    Lines(Lines),
    Elements(Elements),
}

impl Scanner {
    fn new(grammar: Grammar, at_start: bool) -> Self {
        match grammar {
            Grammar::Delimited { delimiter, quoting } => Self::Delimited(Delimited::new(delimiter, quoting)),
            Grammar::Lines | Grammar::Sheet => Self::Lines(Lines),
            Grammar::Elements { enveloped } => Self::Elements(Elements::of_array(enveloped, at_start)),
            Grammar::Concatenated => Self::Elements(Elements::concatenated()),
        }
    }

    /// Skips to the start of the next record; `None` where the buffer does not hold it.
    fn start(&mut self, buffer: &[u8], scan: &mut Scan, at_end: bool) -> Option<usize> {
        match self {
            Self::Delimited(delimited) => delimited.start(buffer, scan),
            Self::Lines(lines) => lines.start(buffer, scan),
            Self::Elements(elements) => elements.start(buffer, scan, at_end),
        }
    }

    /// Where the record that starts at `start` ends; `None` when the buffer does not hold its end.
    fn end(&mut self, buffer: &[u8], scan: &mut Scan, start: usize, at_end: bool) -> Option<usize> {
        match self {
            Self::Delimited(delimited) => delimited.end(buffer, scan, start, at_end),
            Self::Lines(lines) => lines.end(buffer, scan, at_end),
            Self::Elements(elements) => elements.end(buffer, scan, start, at_end),
        }
    }

    /// Why there is no row in the whole document.
    fn has_no_rows(&self) -> Option<DocumentFlaw> {
        match self {
            Self::Delimited(_) | Self::Lines(_) => None,
            Self::Elements(elements) => elements.has_no_rows(),
        }
    }

    /// Whether a whole record says nothing.
    #[inline]
    fn is_blank(&self, record: &[u8]) -> bool {
        match self {
            Self::Delimited(delimited) => delimited.is_blank(record),
            Self::Lines(_) | Self::Elements(_) => false,
        }
    }

    /// Whether the first record of a file only tells its delimiter.
    fn tells_delimiter(&self, record: &[u8]) -> bool {
        matches!(self, Self::Delimited(_)) && told_delimiter(record).is_some()
    }

    /// How many lines end in a record and the `blank` bytes before it, which begin `bytes`.
    fn lines(&self, bytes: &[u8], blank: usize, scan: &Scan) -> u64 {
        match self {
            Self::Delimited(_) if blank == 0 => scan.lines,
            Self::Delimited(_) => scan.lines + lines::ended_in(&bytes[..blank]),
            Self::Lines(_) | Self::Elements(_) => lines::ended_in(bytes),
        }
    }

    /// Why the record that has ended, and with it the rest of the file, cannot be trusted.
    fn flaw(&self, marked_line: u64) -> Option<RecordFlaw> {
        match self {
            Self::Delimited(delimited) => delimited.flaw(marked_line),
            Self::Lines(_) => None,
            Self::Elements(elements) => elements.flaw(marked_line),
        }
    }

    fn next(&mut self) {
        match self {
            Self::Delimited(delimited) => delimited.next(),
            Self::Lines(_) => {}
            Self::Elements(elements) => elements.next(),
        }
    }
}

/// The JSON values of a chunk's rows, one after the other.
/// A value is either scanned for its end ([`Values::take_from`]), or read by the caller and passed ([`Values::pass`]).
#[derive(Debug)]
pub(crate) struct Values<'a> {
    rows: &'a [u8],
    at: usize,
    /// The scanner of an array's values; `None` where each has a line of its own.
    elements: Option<Elements>,
}

impl<'a> Values<'a> {
    /// The values of rows.
    ///
    /// # Panics
    /// For a delimited grammar, whose records are no JSON values.
    pub(crate) fn of(grammar: Grammar, rows: &'a [u8]) -> Self {
        let elements = match grammar {
            Grammar::Lines | Grammar::Sheet => None,
            Grammar::Elements { .. } | Grammar::Concatenated => Some(Elements::inside()),
            Grammar::Delimited { .. } => unreachable!("delimited records are no JSON values"),
        };
        Self { rows, at: 0, elements }
    }

    /// Where the next value starts.
    pub(crate) fn start(&mut self) -> Option<usize> {
        let mut scan = Scan { at: self.at, ..Scan::default() };
        let start = match &mut self.elements {
            Some(elements) => elements.start(self.rows, &mut scan, false),
            None => Lines.start(self.rows, &mut scan),
        };
        self.at = scan.at;
        start
    }

    /// Where the value that starts there must end at the latest.
    pub(crate) fn reach(&self, start: usize) -> usize {
        let line = || memchr::memchr(b'\n', &self.rows[start..]).map(|length| start + length);
        if self.elements.is_some() { None } else { line() }.unwrap_or(self.rows.len())
    }

    /// Goes behind the value that ends there; `false` where it does not end there.
    pub(crate) fn pass(&mut self, end: usize) -> bool {
        let mut scan = Scan { at: end, ..Scan::default() };
        match &mut self.elements {
            Some(elements) => elements.next_inside(self.rows, &mut scan),
            None => {
                let reach = self.reach(end);
                if !self.rows[end..reach].iter().all(|byte| json::is_white_space(*byte)) {
                    return false;
                }
                scan.at = reach;
            }
        }
        self.at = scan.at;
        true
    }

    /// Scans the value that starts there, and goes behind it.
    pub(crate) fn take_from(&mut self, start: usize) -> &'a [u8] {
        let mut scan = Scan { at: start, ..Scan::default() };
        let end = match &mut self.elements {
            Some(elements) => elements.end(self.rows, &mut scan, start, true),
            None => Lines.end(self.rows, &mut scan, true),
        };
        let end = end.unwrap_or(self.rows.len());
        scan.at = end;
        if let Some(elements) = &mut self.elements {
            elements.next_inside(self.rows, &mut scan);
        }
        self.at = scan.at;
        let value = &self.rows[start..end];
        let white = value.iter().rev().take_while(|byte| json::is_white_space(**byte)).count();
        &value[..value.len() - white]
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.start()?;
        Some(self.take_from(start))
    }
}

/// The byte of a character that options name.
pub(crate) fn byte(of: Option<char>) -> Option<u8> {
    of.and_then(|c| delimiter_byte(c).ok())
}

#[derive(Debug)]
struct Dropping {
    offset: u64,
    line: u64,
    bytes: u64,
    lines: LineCounter,
    /// The line of the scan's last mark, counted while dropping.
    marked_line: u64,
}

impl Splitter {
    /// A splitter at the start of a file; its first piece is the header, where the grammar has one.
    pub fn new(options: SplitOptions) -> Self {
        Self::resume(options, Checkpoint::START)
    }

    /// A splitter that resumes at a checkpoint that came with a chunk; it is to be pushed the file's text from
    /// `checkpoint.offset` on.
    pub fn resume(options: SplitOptions, checkpoint: Checkpoint) -> Self {
        let at_start = checkpoint.offset == 0;
        Self {
            options,
            next: checkpoint,
            at_start,
            in_header: at_start && options.grammar.has_header(),
            is_first: at_start,
            lines_above: 0,
            scanner: Scanner::new(options.grammar, at_start),
            buffer: Vec::new(),
            chunk_start: 0,
            chunk_end: 0,
            chunk_rows: 0,
            chunk_lines: 0,
            scan: Scan::default(),
            dropping: None,
        }
    }

    /// The same splitter of a file that is read with these options. To be called before anything is pushed.
    pub fn with(mut self, reading: &ReadOptions) -> Self {
        if self.in_header {
            self.lines_above = reading.header_line.map_or(0, |line| line.saturating_sub(1));
        }
        match &mut self.scanner {
            Scanner::Delimited(delimited) => delimited.with(byte(reading.escape), byte(reading.comment)),
            Scanner::Elements(elements) => reading.rows_at.iter().for_each(|path| elements.at(path)),
            Scanner::Lines(_) => {}
        }
        self
    }

    /// Takes the next bytes of the file and returns the pieces that they complete.
    ///
    /// # Errors
    /// [`SplitError`] when the header cannot be one, or a document has no row.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, SplitError> {
        let mut pieces = Vec::new();
        for part in bytes.chunks(PART_BYTES) {
            self.buffer.extend_from_slice(part);
            while self.record(false, &mut pieces)? {
                self.plain_rows();
            }
            self.compact();
        }
        Ok(pieces)
    }

    /// Takes the end of the file: returns the last pieces and the number of data rows in the whole file.
    ///
    /// # Errors
    /// [`SplitError`] when the header cannot be one, or a document has no row.
    pub fn finish(&mut self) -> Result<(Vec<Piece>, u64), SplitError> {
        let mut pieces = Vec::new();
        while self.record(true, &mut pieces)? {}
        self.emit(&mut pieces);
        Ok((pieces, self.next.row - 1))
    }

    /// Takes the end of what there is of a file that goes on: returns a chunk of the whole records before it.
    pub(crate) fn so_far(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.emit(&mut pieces);
        pieces
    }

    /// Takes one whole record out of the buffer; `false` where the buffer holds none.
    fn record(&mut self, at_end: bool, pieces: &mut Vec<Piece>) -> Result<bool, SplitError> {
        if self.in_header && self.scan.at - self.chunk_start > self.options.record_bytes {
            return Err(SplitError::HeaderTooLarge { limit: self.options.record_bytes });
        }
        let mut start = match self.scan.start {
            Some(start) => start,
            None => match self.record_start(at_end, pieces) {
                Some(start) => start,
                None => return Ok(false),
            },
        };
        if let Some(flaw) = self.scanner.has_no_rows() {
            let line = self.next.line + lines::ended_in(&self.buffer[self.chunk_start..start]);
            return Err(SplitError::NoRows { line, flaw });
        }
        self.scan.start = Some(start);
        let Some(mut end) = self.scanner.end(&self.buffer, &mut self.scan, start, at_end) else {
            if !self.in_header && (self.buffer.len() - start > self.options.most_bytes() || self.dropping.is_some()) {
                self.drop_scanned(pieces);
            }
            return Ok(false);
        };
        let flawed = at_end && self.scanner.flaw(0).is_some();
        let fits = self.dropping.is_none() && end - start <= self.options.record_bytes;
        if fits && !flawed {
            let record = &self.buffer[start..end];
            let is_blank = self.scanner.is_blank(record);
            if is_blank || self.is_first && self.scanner.tells_delimiter(record) {
                self.is_first &= is_blank;
                self.pass(end);
                return Ok(true);
            }
        }
        self.is_first = false;
        if let Some(mut dropping) = self.dropping.take() {
            dropping.take(&self.buffer[start..end], start, self.scan.mark);
            self.refuse(dropping, flawed, end, pieces);
        } else if self.in_header {
            self.header(start, end, flawed, pieces)?;
        } else if flawed || end - start > self.options.record_bytes {
            let gone = self.emit(pieces);
            (start, end) = (start - gone, end - gone);
            let mut dropping = self.dropping_from(start);
            dropping.take(&self.buffer[start..end], start, self.scan.mark);
            if !flawed && end - start <= self.options.held_bytes {
                let body = Body::Rows(self.buffer[start..end].to_vec());
                self.push_chunk(dropping.bytes, dropping.lines.ended, 1, body, pieces);
                (self.chunk_start, self.chunk_end) = (end, end);
            } else {
                self.refuse(dropping, flawed, end, pieces);
            }
        } else {
            if self.chunk_rows == self.options.chunk_rows
                || (self.chunk_rows > 0 && end - self.chunk_start > self.options.chunk_bytes)
            {
                let gone = self.emit(pieces);
                (start, end) = (start - gone, end - gone);
            }
            if self.chunk_rows == 0 {
                self.start_chunk(start);
            }
            self.chunk_rows += 1;
            self.chunk_lines +=
                self.scanner.lines(&self.buffer[self.chunk_end..end], start - self.chunk_end, &self.scan);
            self.chunk_end = end;
        }
        self.pass(end);
        Ok(true)
    }

    /// Takes the rows that follow a row into its chunk, as long as they are as nearly all are: delimited records of
    /// which one look tells where they end and that they say something. What comes then is for [`Splitter::record`],
    /// which asks more of each.
    #[inline]
    fn plain_rows(&mut self) {
        let Scanner::Delimited(delimited) = &self.scanner else { return };
        if self.chunk_rows == 0 || self.scan.at != self.chunk_end {
            return;
        }
        let room = self.buffer.len().min(self.chunk_start + self.options.chunk_bytes);
        let most = self.options.chunk_rows - self.chunk_rows;
        let (rows, end) = delimited.plain_rows(&self.buffer[..room], self.chunk_end, most, self.options.record_bytes);
        self.chunk_rows += rows;
        self.chunk_lines += rows;
        (self.chunk_end, self.scan.at) = (end, end);
    }

    /// Goes behind a record that ends there.
    fn pass(&mut self, end: usize) {
        self.scanner.next();
        self.scan = Scan { at: end, ..Scan::default() };
    }

    /// Skips to the start of the next record, over byte order marks at the start of the file and whatever the grammar
    /// has between records.
    fn record_start(&mut self, at_end: bool, pieces: &mut Vec<Piece>) -> Option<usize> {
        if self.at_start {
            // Programs that each put one before what they are given leave several.
            while self.buffer[self.scan.at..].starts_with(BYTE_ORDER_MARK) {
                self.scan.at += BYTE_ORDER_MARK.len();
            }
            if BYTE_ORDER_MARK.starts_with(&self.buffer[self.scan.at..]) && !at_end {
                return None;
            }
            self.at_start = false;
        }
        if self.lines_above > 0 && !self.pass_lines(at_end) {
            return None;
        }
        let start = self.scanner.start(&self.buffer, &mut self.scan, at_end);
        // However many bytes stand between two records, no more than a chunk of them is held.
        if self.chunk_rows > 0 && self.scan.at - self.chunk_start > self.options.chunk_bytes {
            let gone = self.emit(pieces);
            return start.map(|start| start - gone);
        }
        start
    }

    /// Passes the lines above the header, whatever they hold; `false` where the buffer does not hold their end.
    fn pass_lines(&mut self, at_end: bool) -> bool {
        while self.lines_above > 0 {
            let Some(found) = memchr2(b'\n', b'\r', &self.buffer[self.scan.at..]) else {
                self.scan.at = self.buffer.len();
                break;
            };
            let at = self.scan.at + found;
            let next = self.buffer.get(at + 1);
            if self.buffer[at] == b'\r' && next.is_none() && !at_end {
                self.scan.at = at;
                break;
            }
            let is_pair = self.buffer[at] == b'\r' && next == Some(&b'\n');
            self.scan.at = at + 1 + usize::from(is_pair);
            self.lines_above -= 1;
        }
        self.start_chunk(self.scan.at);
        self.lines_above == 0
    }

    fn start_chunk(&mut self, at: usize) {
        let skipped = &self.buffer[self.chunk_start..at];
        self.next.line += lines::ended_in(skipped);
        self.next.offset += skipped.len() as u64;
        self.chunk_start = at;
        self.chunk_end = at;
    }

    fn header(&mut self, start: usize, end: usize, flawed: bool, pieces: &mut Vec<Piece>) -> Result<(), SplitError> {
        if end - self.chunk_start > self.options.record_bytes {
            return Err(SplitError::HeaderTooLarge { limit: self.options.record_bytes });
        }
        if flawed {
            let quote = self.scan.mark.expect("a header that does not fit is refused, so its quote is in the buffer");
            let opened_line = self.next.line + lines::ended_in(&self.buffer[self.chunk_start..quote]);
            return Err(SplitError::HeaderUnterminated { opened_line });
        }
        pieces.push(Piece::Header(self.buffer[start..end].to_vec()));
        self.in_header = false;
        self.start_chunk(end);
        Ok(())
    }

    /// Returns the chunk that has been gathered, if it holds a row. The answer is the number of bytes that were taken
    /// off the buffer's start.
    fn emit(&mut self, pieces: &mut Vec<Piece>) -> usize {
        if self.chunk_rows == 0 {
            return 0;
        }
        let (rows, lines) = (std::mem::take(&mut self.chunk_rows), std::mem::take(&mut self.chunk_lines));
        let (body, gone) = self.take_chunk();
        self.push_chunk(body.len() as u64, lines, rows, Body::Rows(body), pieces);
        gone
    }

    /// Takes the chunk out of the buffer. Where the buffer holds little else, the rest is copied into a new buffer
    /// instead of the chunk.
    fn take_chunk(&mut self) -> (Vec<u8>, usize) {
        let end = self.chunk_end;
        if self.chunk_start > 0 || self.buffer.len() - end > end {
            let chunk = self.buffer[self.chunk_start..end].to_vec();
            self.chunk_start = end;
            return (chunk, 0);
        }
        let mut rest = Vec::with_capacity(end + PART_BYTES);
        rest.extend_from_slice(&self.buffer[end..]);
        self.buffer.truncate(end);
        let chunk = std::mem::replace(&mut self.buffer, rest);
        self.move_up(end);
        (chunk, end)
    }

    /// Moves all places up after bytes were taken off the buffer's start.
    fn move_up(&mut self, gone: usize) {
        self.chunk_start = self.chunk_start.saturating_sub(gone);
        self.chunk_end = self.chunk_end.saturating_sub(gone);
        self.scan.at -= gone;
        self.scan.mark = self.scan.mark.and_then(|mark| mark.checked_sub(gone));
        self.scan.start = self.scan.start.map(|start| start - gone);
    }

    fn push_chunk(&mut self, bytes: u64, lines: u64, rows: u64, body: Body, pieces: &mut Vec<Piece>) {
        let Checkpoint { chunk: index, offset, row: first_row, line: first_line } = self.next;
        self.next =
            Checkpoint { chunk: index + 1, offset: offset + bytes, row: first_row + rows, line: first_line + lines };
        pieces.push(Piece::Chunk(Chunk { index, first_row, first_line, offset, bytes, rows, body }, self.next));
    }

    fn dropping_from(&mut self, start: usize) -> Dropping {
        self.start_chunk(start);
        let Checkpoint { offset, line, .. } = self.next;
        Dropping { offset, line, bytes: 0, lines: LineCounter::default(), marked_line: line }
    }

    /// Drops the scanned part of a record that is too long, except its last byte: that decides whether a quote after it
    /// opens a field.
    fn drop_scanned(&mut self, pieces: &mut Vec<Piece>) {
        let mut start = self.scan.start.expect("a record is being scanned");
        let mut dropping = match self.dropping.take() {
            Some(dropping) => dropping,
            None => {
                start -= self.emit(pieces);
                self.dropping_from(start)
            }
        };
        let kept = self.scan.at.saturating_sub(1).max(start);
        dropping.take(&self.buffer[start..kept], start, self.scan.mark);
        self.dropping = Some(dropping);
        self.buffer.drain(..kept);
        self.chunk_start = 0;
        self.chunk_end = 0;
        self.scan = Scan {
            start: Some(0),
            at: self.scan.at - kept,
            mark: self.scan.mark.and_then(|mark| mark.checked_sub(kept)),
            lines: 0,
        };
    }

    fn refuse(&mut self, dropped: Dropping, flawed: bool, end: usize, pieces: &mut Vec<Piece>) {
        let refusal = self.scanner.flaw(dropped.marked_line).filter(|_| flawed).unwrap_or(RecordFlaw::TooLarge);
        debug_assert_eq!((self.next.offset, self.next.line), (dropped.offset, dropped.line));
        self.push_chunk(dropped.bytes, dropped.lines.ended, 1, Body::Refused(refusal), pieces);
        self.chunk_start = end;
        self.chunk_end = end;
    }

    /// Drops the chunks that have been returned, and empty lines and blank rows that no chunk holds.
    fn compact(&mut self) {
        if self.chunk_rows == 0 && self.dropping.is_none() && !self.in_header {
            let blank_end = match self.scan.start {
                // The buffer ends in a record, as it does at nearly every piece of a file of blank rows.
                Some(start) => start,
                // Not between \r and \n: they are one line.
                None if self.buffer[self.chunk_start..self.scan.at].ends_with(b"\r") => self.scan.at - 1,
                None => self.scan.at,
            };
            if blank_end > self.chunk_start {
                self.start_chunk(blank_end);
            }
        }
        // Of a file whose header is being read that is where the lines above it end.
        let done = if self.dropping.is_some() { 0 } else { self.chunk_start };
        self.buffer.drain(..done);
        self.move_up(done);
    }
}

impl Dropping {
    /// Counts `bytes`, which start at `start` in the buffer in which `mark` is the place of the scan's mark.
    fn take(&mut self, bytes: &[u8], start: usize, mark: Option<usize>) {
        if let Some(before) = mark.and_then(|mark| mark.checked_sub(start))
            && before <= bytes.len()
        {
            let mut up_to_mark = self.lines;
            up_to_mark.feed(&bytes[..before]);
            self.marked_line = self.line + up_to_mark.ended;
        }
        self.lines.feed(bytes);
        self.bytes += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests;
