//! The records of delimited text.
//!
//! Boundaries are those of the `csv` crate with its defaults (RFC 4180 as it is met in the wild), on every input: `\n`,
//! `\r` and `\r\n` end a record, empty lines are no records, a record at the end needs no terminator. A quote opens a
//! quoted field only where a field starts; anywhere else in an unquoted field it is data. That is why counting quotes
//! is not enough: `12" wide` holds one and opens nothing. Inside quotes everything is data up to a quote that is not
//! doubled; what follows that quote up to the delimiter is data again, quotes included.
//!
//! Outside quotes only three bytes matter, the terminators and the quote, and the byte before a quote decides whether
//! it opens a field. So the scan is a vectorised search for those bytes that never looks at delimiters. It meets every
//! line end on its way, in quotes and outside, and counts them, so that the line of each record is known.

use memchr::{memchr, memchr2, memchr3};
use penstock_model::{RecordFlaw, delimiter_byte};

use super::scan::Scan;
use crate::invisible::{is_blank_record, is_invisible};

const QUOTE: u8 = b'"';

#[derive(Debug, Clone)]
pub(super) struct Delimited {
    delimiter: u8,
    quoting: bool,
    /// In quotes it makes the next byte data.
    escape: Option<u8>,
    /// A line that begins with it is no record.
    comment: Option<u8>,
    in_comment: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not in quotes.
    Bare,
    /// In quotes.
    Quoted,
    /// Just after a quote in quotes: doubled, or closing.
    QuoteInQuotes,
    /// In quotes, just after the byte that makes the next one data.
    Escaped,
}

impl Delimited {
    pub(super) fn new(delimiter: u8, quoting: bool) -> Self {
        Self { delimiter, quoting, escape: None, comment: None, in_comment: false, state: State::Bare }
    }

    /// The same, of a file whose options name these bytes.
    pub(super) fn with(&mut self, escape: Option<u8>, comment: Option<u8>) {
        (self.escape, self.comment) = (escape.filter(|_| self.quoting), comment);
    }

    /// Skips empty lines and comments; where the next record starts, if it is in the buffer.
    pub(super) fn start(&mut self, buffer: &[u8], scan: &mut Scan) -> Option<usize> {
        loop {
            if self.in_comment {
                let Some(length) = memchr2(b'\n', b'\r', &buffer[scan.at..]) else {
                    scan.at = buffer.len();
                    return None;
                };
                scan.at += length;
                self.in_comment = false;
            }
            scan.at += buffer[scan.at..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
            match buffer.get(scan.at) {
                Some(first) if self.comment == Some(*first) => self.in_comment = true,
                first => return first.map(|_| scan.at),
            }
        }
    }

    /// Where the record ends, its terminator included; `None` when the buffer does not hold its end.
    pub(super) fn end(&mut self, buffer: &[u8], scan: &mut Scan, start: usize, at_end: bool) -> Option<usize> {
        loop {
            match self.state {
                State::Bare => {
                    let rest = &buffer[scan.at..];
                    let found =
                        if self.quoting { memchr3(QUOTE, b'\n', b'\r', rest) } else { memchr2(b'\n', b'\r', rest) };
                    let Some(found) = found else { break };
                    let at = scan.at + found;
                    match buffer[at] {
                        QUOTE => {
                            // The rest of a record that is being dropped starts with a byte that was scanned before.
                            let field_starts = at == start || buffer[at - 1] == self.delimiter;
                            if field_starts {
                                self.state = State::Quoted;
                                scan.mark = Some(at);
                            }
                            scan.at = at + 1;
                        }
                        b'\r' if at + 1 == buffer.len() && !at_end => {
                            scan.at = at;
                            return None;
                        }
                        terminator => {
                            scan.lines += 1;
                            let is_pair = terminator == b'\r' && buffer.get(at + 1) == Some(&b'\n');
                            return Some(at + 1 + usize::from(is_pair));
                        }
                    }
                }
                State::Quoted => {
                    let rest = &buffer[scan.at..];
                    let mut found = memchr3(QUOTE, b'\n', b'\r', rest);
                    if let Some(escape) = self.escape {
                        found = memchr(escape, &rest[..found.unwrap_or(rest.len())]).or(found);
                    }
                    let Some(found) = found else { break };
                    let at = scan.at + found;
                    match buffer[at] {
                        byte if self.escape == Some(byte) => self.state = State::Escaped,
                        QUOTE => self.state = State::QuoteInQuotes,
                        b'\n' if buffer[at - 1] == b'\r' => {}
                        _ => scan.lines += 1,
                    }
                    scan.at = at + 1;
                }
                State::QuoteInQuotes => match buffer.get(scan.at) {
                    None => break,
                    Some(&QUOTE) => {
                        scan.at += 1;
                        self.state = State::Quoted;
                    }
                    Some(_) => self.state = State::Bare,
                },
                State::Escaped => match buffer.get(scan.at) {
                    None => break,
                    Some(byte) => {
                        scan.lines += u64::from(matches!(byte, b'\n' | b'\r'));
                        scan.at += 1;
                        self.state = State::Quoted;
                    }
                },
            }
        }
        scan.at = buffer.len();
        at_end.then_some(buffer.len())
    }

    /// How many records there are from a place on, and where the last of them ends, as long as each is plain and of
    /// `record_bytes` at most, and they are `most` at most. A plain record begins with a character that everybody sees,
    /// is one line with its terminator, and has quotes around whole cells alone, and none in them.
    pub(super) fn plain_rows(&self, text: &[u8], from: usize, most: u64, record_bytes: usize) -> (u64, usize) {
        let (mut rows, mut end) = (0, from);
        while rows < most
            && let Some(next) = self.plain_end(text, end)
            && next - end <= record_bytes
        {
            (rows, end) = (rows + 1, next);
        }
        (rows, end)
    }

    /// Where the record that starts there ends, if it is plain.
    #[inline]
    fn plain_end(&self, text: &[u8], start: usize) -> Option<usize> {
        let first = *text.get(start)?;
        let is_quoted = first == QUOTE && self.quoting;
        let shown = if is_quoted { *text.get(start + 1)? } else { first };
        if !shown.is_ascii_graphic()
            || shown == QUOTE
            || first == self.delimiter
            || self.comment == Some(first)
            || self.escape.is_some()
        {
            return None;
        }
        let mut at = start;
        loop {
            let rest = &text[at..];
            at += if self.quoting { memchr3(QUOTE, b'\n', b'\r', rest) } else { memchr2(b'\n', b'\r', rest) }?;
            match text[at] {
                b'\n' => return Some(at + 1),
                b'\r' => return (text.get(at + 1) == Some(&b'\n')).then_some(at + 2),
                _ if at == start || text[at - 1] == self.delimiter => {
                    let closed = at + 1 + memchr3(QUOTE, b'\n', b'\r', &text[at + 1..])?;
                    if text[closed] != QUOTE || text.get(closed + 1) == Some(&QUOTE) {
                        return None;
                    }
                    at = closed + 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Why the record that ended last cannot be trusted. That is known only at the end of the file.
    pub(super) fn flaw(&self, marked_line: u64) -> Option<RecordFlaw> {
        matches!(self.state, State::Quoted | State::Escaped)
            .then_some(RecordFlaw::UnterminatedQuote { opened_line: marked_line })
    }

    /// Whether a whole record says nothing.
    #[inline]
    pub(super) fn is_blank(&self, record: &[u8]) -> bool {
        is_blank_record(record, self.delimiter, self.quoting)
    }

    /// Gets ready for the next record.
    pub(super) fn next(&mut self) {
        self.state = State::Bare;
    }
}

/// The delimiter of which a first line tells Excel: `sep=;`, or `sep=\t` for a tab.
pub(crate) fn told_delimiter(line: &[u8]) -> Option<u8> {
    // A tab is white space, and the delimiter here.
    let line = std::str::from_utf8(line).ok()?.trim_end_matches(['\r', '\n']);
    let line = line.trim_start_matches(is_invisible);
    let (name, told) = line.split_at_checked(4)?;
    if !name.eq_ignore_ascii_case("sep=") {
        return None;
    }
    let mut characters = told.chars();
    match (characters.next()?, characters.next(), characters.next()) {
        ('\\', Some('t'), None) => Some(b'\t'),
        (delimiter, None, None) => delimiter_byte(delimiter).ok(),
        _ => None,
    }
}
