//! Splitting: where the records of a delimited text file end, and how they are gathered into chunks.
//!
//! Boundaries are those of the `csv` crate with its defaults (RFC 4180 as it is met in the wild), on every input: `\n`, `\r` and `\r\n` end
//! a record, empty lines are no records, a UTF-8 byte order mark at the start is skipped, a record at the end needs no terminator. A quote
//! opens a quoted field only where a field starts; anywhere else in an unquoted field it is data. That is why counting quotes is not
//! enough: `12" wide` holds one and opens nothing. Inside quotes everything is data up to a quote that is not doubled; what follows that
//! quote up to the delimiter is data again, quotes included.
//!
//! Outside quotes only three bytes matter, a terminator or a quote, and whether a quote opens is told by the byte before it. So the scan is
//! a vectorised search for those bytes that never looks at delimiters.

use memchr::{memchr, memchr3};
use penstock_model::{Body, Checkpoint, Chunk, Chunking, Refusal, limits};

use crate::lines::{self, LineCounter};

const QUOTE: u8 = b'"';
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file is cut. The same bytes and options always give the same chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitOptions {
    /// The byte between two cells.
    pub delimiter: u8,
    /// Bytes of one chunk, at most, unless a single record is longer.
    pub chunk_bytes: usize,
    /// Rows of one chunk, at most.
    pub chunk_rows: u64,
    /// Bytes of one record, at most; a longer one is refused by itself.
    pub record_bytes: usize,
}

impl SplitOptions {
    /// The service's limit of a record with this delimiter and these chunks.
    pub fn new(delimiter: u8, chunking: &Chunking) -> Self {
        Self { delimiter, chunk_bytes: chunking.bytes, chunk_rows: chunking.rows, record_bytes: limits::RECORD_BYTES }
    }
}

/// What the splitter finds, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The first record, without a byte order mark.
    Header(Vec<u8>),
    /// The next chunk of data records, and where a splitter goes on after it.
    Chunk(Chunk, Checkpoint),
}

/// Why no record of the file can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
}

/// Cuts a file that arrives in pieces of any size into a header and chunks, in memory of a chunk and a piece.
#[derive(Debug)]
pub struct Splitter {
    options: SplitOptions,
    /// Where the next chunk starts; `offset` is the byte at `buffer[chunk_start]`.
    next: Checkpoint,
    in_header: bool,
    buffer: Vec<u8>,
    /// Where the chunk being gathered starts in the buffer.
    chunk_start: usize,
    /// Where its last whole record ends.
    chunk_end: usize,
    chunk_rows: u64,
    /// The record being scanned.
    scan: Scan,
    /// The record being scanned is too long and is dropped as it is scanned.
    dropping: Option<Dropping>,
}

#[derive(Debug, Clone, Copy)]
struct Scan {
    state: State,
    /// Where in the buffer the record starts, if it has started.
    start: Option<usize>,
    /// The next byte to look at.
    at: usize,
    /// Where in the buffer the last quoted field was opened, if that is still there.
    quote: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not in quotes.
    Bare,
    /// In quotes.
    Quoted,
    /// Just after a quote in quotes: doubled, or closing.
    QuoteInQuotes,
}

#[derive(Debug)]
struct Dropping {
    offset: u64,
    line: u64,
    bytes: u64,
    lines: LineCounter,
    /// The line of the last quote that opened, counted while dropping.
    opened_line: u64,
}

impl Splitter {
    /// A splitter at the start of a file; its first piece is the header.
    pub fn new(options: SplitOptions) -> Self {
        Self::starting(options, Checkpoint::START, true)
    }

    /// A splitter that goes on at a checkpoint that [`Splitter::checkpoint`] gave; it is to be fed the file from `checkpoint.offset`.
    pub fn resume(options: SplitOptions, checkpoint: Checkpoint) -> Self {
        Self::starting(options, checkpoint, checkpoint.offset == 0)
    }

    fn starting(options: SplitOptions, next: Checkpoint, in_header: bool) -> Self {
        Self {
            options,
            next,
            in_header,
            buffer: Vec::new(),
            chunk_start: 0,
            chunk_end: 0,
            chunk_rows: 0,
            scan: Scan { state: State::Bare, start: None, at: 0, quote: None },
            dropping: None,
        }
    }

    /// Where a splitter must resume to find the chunks that this one has not returned yet.
    pub fn checkpoint(&self) -> Checkpoint {
        self.next
    }

    /// Takes the next bytes of the file and returns the pieces that they complete.
    ///
    /// # Errors
    /// [`SplitError`] when the header cannot be one.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, SplitError> {
        self.buffer.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while self.record(false, &mut pieces)? {}
        self.compact();
        Ok(pieces)
    }

    /// Takes the end of the file: returns the last pieces and the number of data rows in the whole file.
    ///
    /// # Errors
    /// [`SplitError`] when the header cannot be one.
    pub fn finish(mut self) -> Result<(Vec<Piece>, u64), SplitError> {
        let mut pieces = Vec::new();
        while self.record(true, &mut pieces)? {}
        self.emit(&mut pieces);
        Ok((pieces, self.next.row - 1))
    }

    /// Looks for one whole record; whether there was one.
    fn record(&mut self, at_end: bool, pieces: &mut Vec<Piece>) -> Result<bool, SplitError> {
        if self.in_header && self.scan.at > self.options.record_bytes {
            return Err(SplitError::HeaderTooLarge { limit: self.options.record_bytes });
        }
        let start = match self.scan.start {
            Some(start) => start,
            None => match self.record_start(at_end, pieces) {
                Some(start) => start,
                None => return Ok(false),
            },
        };
        self.scan.start = Some(start);
        let Some(end) = self.record_end(start, at_end) else {
            if !self.in_header && (self.buffer.len() - start > self.options.record_bytes || self.dropping.is_some()) {
                self.drop_scanned(pieces);
            }
            return Ok(false);
        };
        let unterminated = at_end && self.scan.state == State::Quoted;
        if let Some(mut dropping) = self.dropping.take() {
            dropping.take(&self.buffer[start..end], start, self.scan.quote);
            self.refuse(dropping, unterminated, end, pieces);
        } else if self.in_header {
            self.header(start, end, unterminated, pieces)?;
        } else if unterminated || end - start > self.options.record_bytes {
            self.emit(pieces);
            let mut dropping = self.dropping_from(start);
            dropping.take(&self.buffer[start..end], start, self.scan.quote);
            self.refuse(dropping, unterminated, end, pieces);
        } else {
            if self.chunk_rows == self.options.chunk_rows
                || (self.chunk_rows > 0 && end - self.chunk_start > self.options.chunk_bytes)
            {
                self.emit(pieces);
            }
            if self.chunk_rows == 0 {
                self.start_chunk(start);
            }
            self.chunk_rows += 1;
            self.chunk_end = end;
        }
        self.scan = Scan { state: State::Bare, start: None, at: end, quote: None };
        Ok(true)
    }

    /// Skips what is no record: a byte order mark at the start of the file, and empty lines.
    fn record_start(&mut self, at_end: bool, pieces: &mut Vec<Piece>) -> Option<usize> {
        if self.in_header && self.next.offset == 0 && self.scan.at == 0 {
            let mark = self.buffer.len().min(BYTE_ORDER_MARK.len());
            if self.buffer[..mark] == BYTE_ORDER_MARK[..mark] {
                if mark < BYTE_ORDER_MARK.len() && !at_end {
                    return None;
                }
                if mark == BYTE_ORDER_MARK.len() {
                    self.scan.at = mark;
                }
            }
        }
        let blank = self.buffer[self.scan.at..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        self.scan.at += blank;
        // However many empty lines there are, no more than a chunk of them is held.
        if self.chunk_rows > 0 && self.scan.at - self.chunk_start > self.options.chunk_bytes {
            self.emit(pieces);
        }
        (self.scan.at < self.buffer.len()).then_some(self.scan.at)
    }

    /// Where the record ends, its terminator included; `None` when the buffer does not hold its end.
    fn record_end(&mut self, start: usize, at_end: bool) -> Option<usize> {
        let buffer = self.buffer.as_slice();
        let scan = &mut self.scan;
        loop {
            match scan.state {
                State::Bare => match memchr3(QUOTE, b'\n', b'\r', &buffer[scan.at..]) {
                    None => break,
                    Some(found) => {
                        let at = scan.at + found;
                        match buffer[at] {
                            QUOTE => {
                                // What is left of a record that is being dropped starts with a byte that was scanned before.
                                let field_starts = at == start || buffer[at - 1] == self.options.delimiter;
                                if field_starts {
                                    scan.state = State::Quoted;
                                    scan.quote = Some(at);
                                }
                                scan.at = at + 1;
                            }
                            b'\r' => match buffer.get(at + 1) {
                                Some(b'\n') => return Some(at + 2),
                                Some(_) => return Some(at + 1),
                                None if at_end => return Some(at + 1),
                                None => {
                                    scan.at = at;
                                    return None;
                                }
                            },
                            _ => return Some(at + 1),
                        }
                    }
                },
                State::Quoted => match memchr(QUOTE, &buffer[scan.at..]) {
                    None => break,
                    Some(found) => {
                        scan.at += found + 1;
                        scan.state = State::QuoteInQuotes;
                    }
                },
                State::QuoteInQuotes => match buffer.get(scan.at) {
                    None => break,
                    Some(&QUOTE) => {
                        scan.at += 1;
                        scan.state = State::Quoted;
                    }
                    Some(_) => scan.state = State::Bare,
                },
            }
        }
        scan.at = buffer.len();
        at_end.then_some(buffer.len())
    }

    fn start_chunk(&mut self, at: usize) {
        let skipped = &self.buffer[self.chunk_start..at];
        self.next.line += lines::ended_in(skipped);
        self.next.offset += skipped.len() as u64;
        self.chunk_start = at;
        self.chunk_end = at;
    }

    fn header(
        &mut self,
        start: usize,
        end: usize,
        unterminated: bool,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), SplitError> {
        if end > self.options.record_bytes {
            return Err(SplitError::HeaderTooLarge { limit: self.options.record_bytes });
        }
        if unterminated {
            let quote = self.scan.quote.expect("a header that does not fit is refused, so its quote is in the buffer");
            let opened_line = 1 + lines::ended_in(&self.buffer[..quote]);
            return Err(SplitError::HeaderUnterminated { opened_line });
        }
        pieces.push(Piece::Header(self.buffer[start..end].to_vec()));
        self.in_header = false;
        self.start_chunk(end);
        Ok(())
    }

    /// Returns the chunk that has been gathered, if it holds anything.
    fn emit(&mut self, pieces: &mut Vec<Piece>) {
        if self.chunk_rows == 0 {
            return;
        }
        let body = self.buffer[self.chunk_start..self.chunk_end].to_vec();
        self.push_chunk(body.len() as u64, lines::ended_in(&body), self.chunk_rows, Body::Rows(body), pieces);
        self.chunk_start = self.chunk_end;
        self.chunk_rows = 0;
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
        Dropping { offset, line, bytes: 0, lines: LineCounter::default(), opened_line: line }
    }

    /// Forgets the scanned part of a record that is too long, but for its last byte, which tells whether a quote after it opens a field.
    fn drop_scanned(&mut self, pieces: &mut Vec<Piece>) {
        let start = self.scan.start.expect("a record is being scanned");
        let mut dropping = match self.dropping.take() {
            Some(dropping) => dropping,
            None => {
                self.emit(pieces);
                self.dropping_from(start)
            }
        };
        let kept = self.scan.at.saturating_sub(1).max(start);
        dropping.take(&self.buffer[start..kept], start, self.scan.quote);
        self.dropping = Some(dropping);
        self.buffer.drain(..kept);
        self.chunk_start = 0;
        self.chunk_end = 0;
        self.scan = Scan {
            start: Some(0),
            at: self.scan.at - kept,
            quote: self.scan.quote.and_then(|quote| quote.checked_sub(kept)),
            ..self.scan
        };
    }

    fn refuse(&mut self, dropped: Dropping, unterminated: bool, end: usize, pieces: &mut Vec<Piece>) {
        let refusal = if unterminated {
            Refusal::UnterminatedQuote { opened_line: dropped.opened_line }
        } else {
            Refusal::TooLarge
        };
        debug_assert_eq!((self.next.offset, self.next.line), (dropped.offset, dropped.line));
        self.push_chunk(dropped.bytes, dropped.lines.ended, 1, Body::Refused(refusal), pieces);
        self.chunk_start = end;
        self.chunk_end = end;
    }

    /// Forgets what has been returned, and empty lines that no chunk holds.
    fn compact(&mut self) {
        if self.chunk_rows == 0 && self.scan.start.is_none() && !self.in_header {
            // Not between \r and \n: they are one line.
            let blank_end = if self.buffer[self.chunk_start..self.scan.at].ends_with(b"\r") {
                self.scan.at - 1
            } else {
                self.scan.at
            };
            if blank_end > self.chunk_start {
                self.start_chunk(blank_end);
            }
        }
        let done = if self.dropping.is_some() || self.in_header { 0 } else { self.chunk_start };
        self.buffer.drain(..done);
        self.chunk_start -= done;
        self.chunk_end = self.chunk_end.saturating_sub(done);
        self.scan.at -= done;
        self.scan.quote = self.scan.quote.and_then(|quote| quote.checked_sub(done));
        if let Some(start) = &mut self.scan.start {
            *start -= done;
        }
    }
}

impl Dropping {
    /// Counts `bytes`, which start at `start` in the buffer in which `quote` is the place of the last quote that opened.
    fn take(&mut self, bytes: &[u8], start: usize, quote: Option<usize>) {
        if let Some(before) = quote.and_then(|quote| quote.checked_sub(start))
            && before < bytes.len()
        {
            let mut up_to_quote = self.lines;
            up_to_quote.feed(&bytes[..before]);
            self.opened_line = self.line + up_to_quote.ended;
        }
        self.lines.feed(bytes);
        self.bytes += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests;
