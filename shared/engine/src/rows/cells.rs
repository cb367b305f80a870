//! Delimited records cut into cells, which borrow the chunk's bytes.
//!
//! Records and cells are those of the `csv` crate with its defaults, on every input; [`crate::split`]'s delimited
//! grammar says how a quote is read. Only cells with doubled quotes are copied. And no state machine takes byte after
//! byte: only the delimiter, the quote, `\r` and `\n` can mean anything, and [`crate::blocks`] finds those, so a row
//! takes some twenty steps, not hundreds.
//!
//! One thing is read that the `csv` crate leaves as it is: `="00123"`, by which programs tell Excel to keep a text as
//! it is, becomes `00123`.

use std::ops::Range;

use crate::blocks;

const QUOTE: u8 = b'"';

/// The cells of a chunk's records.
#[derive(Debug)]
pub(super) struct Table<'c> {
    bytes: &'c [u8],
    /// The bytes as text, if they are UTF-8 without NUL: then no cell has to be checked for that by itself.
    text: Option<&'c str>,
    spans: Vec<Span>,
    /// Cells without their doubled quotes, which do not stand in the bytes as they are.
    unescaped: Vec<u8>,
}

/// The bytes that mean something in delimited text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) delimiter: u8,
    /// Whether a quote does.
    pub(super) quoting: bool,
    /// In quotes it makes the next byte data.
    pub(super) escape: Option<u8>,
    /// A line that begins with it is no record.
    pub(super) comment: Option<u8>,
}

/// Where a cell stands: in the bytes, or, counted on behind their end, in the unescaped cells.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Places fit because a table's bytes are bounded.
    fn new(range: Range<usize>) -> Self {
        Self { start: range.start as u32, end: range.end as u32 }
    }
}

/// A record's place: its bytes without the terminator, the line on which it starts, and its cells in the table.
#[derive(Debug)]
pub(super) struct CutRecord {
    pub(super) bytes: Range<usize>,
    pub(super) line: u64,
    pub(super) cells: Range<usize>,
}

/// The cells of one record.
#[derive(Debug, Clone, Copy)]
pub struct RecordCells<'a> {
    table: &'a Table<'a>,
    spans: &'a [Span],
}

impl<'a> RecordCells<'a> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// A cell without its quotes.
    pub(crate) fn get(&self, at: usize) -> Option<&'a [u8]> {
        self.spans.get(at).map(|span| self.table.bytes_of(*span))
    }

    /// The first byte of a cell; 0 of one that is empty or not there.
    #[inline]
    pub(super) fn first_byte(&self, at: usize) -> u8 {
        match self.spans.get(at) {
            Some(Span { start, end }) if start < end => {
                let start = *start as usize;
                let bytes = self.table.bytes;
                bytes.get(start).or_else(|| self.table.unescaped.get(start - bytes.len())).copied().unwrap_or_default()
            }
            _ => 0,
        }
    }

    /// The cells in their order, without their quotes.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.texts().map(|(_, cell)| cell)
    }

    /// The cells in their order, each with its text if all of the chunk is text; else each has to be checked by itself.
    #[inline]
    pub(crate) fn texts(self) -> impl Iterator<Item = (Option<&'a str>, &'a [u8])> {
        self.spans.iter().map(move |span| match self.table.text_of(*span) {
            Some(text) => (Some(text), text.as_bytes()),
            None => (None, self.table.bytes_of(*span)),
        })
    }
}

impl<'c> Table<'c> {
    /// A table of no cells over a chunk's bytes.
    pub(super) fn new(bytes: &'c [u8]) -> Self {
        Self { bytes, text: None, spans: Vec::new(), unescaped: Vec::new() }
    }

    pub(super) fn record(&self, cells: Range<usize>) -> RecordCells<'_> {
        RecordCells { table: self, spans: &self.spans[cells] }
    }

    fn bytes_of(&self, span: Span) -> &[u8] {
        let (start, end) = (span.start as usize, span.end as usize);
        match self.bytes.get(start..end) {
            Some(bytes) => bytes,
            None => &self.unescaped[start - self.bytes.len()..end - self.bytes.len()],
        }
    }

    #[inline]
    fn text_of(&self, span: Span) -> Option<&str> {
        self.text?.get(span.start as usize..span.end as usize)
    }

    /// Cuts the bytes, which start on line `line` of the file, and calls `visit` with every record.
    pub(super) fn cut(&mut self, marks: Marks, line: u64, visit: impl FnMut(CutRecord)) {
        let bytes = self.bytes;
        // A cell that was unescaped is shorter than it was.
        assert!(bytes.len() < u32::MAX as usize / 2, "a chunk is far smaller than 2 GiB");
        // A guess: some cells are empty and some are long. Memory that is not needed is never touched.
        self.spans.reserve(bytes.len() / 8);
        self.text = std::str::from_utf8(bytes).ok().filter(|_| memchr::memchr(0, bytes).is_none());
        let mut cutter = Cutter {
            table: self,
            delimiter: marks.delimiter,
            marks,
            line,
            record: 0,
            record_line: line,
            first: 0,
            cell: CellScan::at(0),
            visit,
        };
        cutter.begin_record(0);
        match marks.escape {
            None => cutter.blocks(|block| special(block, marks.delimiter)),
            Some(escape) => {
                cutter.blocks(|block| special(block, marks.delimiter) | blocks::word(block, |byte| byte == escape));
            }
        }
        cutter.end();
    }

    /// Adds a cell that may be a formula of one text; see [`formula_text`].
    fn unwrap(&mut self, range: Range<usize>) {
        match formula_text(&self.bytes[range.clone()]) {
            Some(text) if memchr::memchr(QUOTE, text).is_none() => {
                self.spans.push(Span::new(range.start + 2..range.start + 2 + text.len()));
            }
            Some(text) => self.unescape(text),
            None => self.spans.push(Span::new(range)),
        }
    }

    /// Takes the formula around the text that was added last, if there is one.
    fn unwrap_last(&mut self) {
        let Some(start) = self.spans.last().map(|span| span.start as usize - self.bytes.len()) else { return };
        if let Some(text) = formula_text(&self.unescaped[start..]).map(<[u8]>::to_vec) {
            self.unescaped.truncate(start);
            self.spans.pop();
            self.unescape(&text);
        }
    }

    /// Adds a cell that begins with a quote and is more than a text between two quotes; `raw` is what follows the first
    /// quote.
    fn unescape(&mut self, raw: &[u8]) {
        self.unescape_with(None, raw);
    }

    /// The same, where a byte may make the one behind it data: a quote, or itself. Before any other it is data too.
    fn unescape_with(&mut self, escape: Option<u8>, mut raw: &[u8]) {
        let start = self.bytes.len() + self.unescaped.len();
        while let Some(at) = memchr::memchr2(QUOTE, escape.unwrap_or(QUOTE), raw) {
            self.unescaped.extend(&raw[..at]);
            let (mark, behind) = (raw[at], &raw[at + 1..]);
            raw = behind;
            if Some(mark) == escape {
                let Some((next, behind)) = raw.split_first() else {
                    self.unescaped.push(mark);
                    break;
                };
                if *next != QUOTE && *next != mark {
                    self.unescaped.push(mark);
                }
                self.unescaped.push(*next);
                raw = behind;
                continue;
            }
            // A doubled quote is one; behind a single one everything is data.
            let Some(doubled) = raw.strip_prefix(&[QUOTE]) else { break };
            self.unescaped.push(QUOTE);
            raw = doubled;
        }
        self.unescaped.extend(raw);
        self.spans.push(Span::new(start..self.bytes.len() + self.unescaped.len()));
    }
}

/// Whether a cell is a formula that is nothing but a text: a delimited file's reader takes the text in it.
pub(crate) fn is_formula_of_text(cell: &[u8]) -> bool {
    formula_text(cell).is_some()
}

/// The text of a formula that is nothing but a text, `="…"`, its quotes still doubled. Spaces behind it are no part of
/// it.
fn formula_text(cell: &[u8]) -> Option<&[u8]> {
    let cell = if cell.last() == Some(&b' ') { cell.trim_ascii_end() } else { cell };
    let mut quotes = cell.strip_prefix(b"=\"")?.strip_suffix(b"\"")?.split(|byte| *byte == QUOTE);
    let text = &cell[2..cell.len() - 1];
    // Between doubled quotes every other part is empty.
    quotes.next();
    loop {
        match (quotes.next(), quotes.next()) {
            (None, _) => return Some(text),
            (Some(b""), Some(_)) => {}
            _ => return None,
        }
    }
}

/// A bit for each byte that is one of the four.
fn special(block: &[u8; 64], delimiter: u8) -> u64 {
    blocks::word(block, |byte| (byte == delimiter) | (byte == QUOTE) | (byte == b'\n') | (byte == b'\r'))
}

/// A cell that is being cut.
#[derive(Clone, Copy)]
struct CellScan {
    start: usize,
    /// There is more to it than its first byte and its last: it opens with a quote, or may be a formula.
    special: bool,
    /// Its first byte is a quote that opens.
    opened: bool,
    /// In quotes.
    quoted: bool,
    /// The quote that closed it last.
    closed: usize,
    /// It holds a doubled quote, or a byte that makes the next one data.
    doubled: bool,
    /// The byte that another one makes data.
    escaped: usize,
    /// It is a line that is no record.
    comment: bool,
}

impl CellScan {
    fn at(start: usize) -> Self {
        Self {
            start,
            special: false,
            opened: false,
            quoted: false,
            closed: 0,
            doubled: false,
            escaped: 0,
            comment: false,
        }
    }
}

struct Cutter<'t, 'c, V> {
    table: &'t mut Table<'c>,
    delimiter: u8,
    marks: Marks,
    /// The line of the byte that is looked at.
    line: u64,
    /// Where the record starts, its line, and its first cell.
    record: usize,
    record_line: u64,
    first: usize,
    cell: CellScan,
    visit: V,
}

impl<V: FnMut(CutRecord)> Cutter<'_, '_, V> {
    /// Takes all special bytes, of which `special` gives those of a block.
    #[inline(always)]
    fn blocks(&mut self, special: impl Fn(&[u8; 64]) -> u64) {
        let (blocks, rest) = self.table.bytes.as_chunks::<64>();
        for (number, block) in blocks.iter().enumerate() {
            self.block(number * 64, special(block));
        }
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        let within = (1 << rest.len()) - 1;
        self.block(blocks.len() * 64, special(&last) & within);
    }

    /// Begins a record, or a line that is none.
    fn begin_record(&mut self, at: usize) {
        self.record = at;
        self.record_line = self.line;
        self.cell = CellScan::at(at);
        if self.marks.comment.is_some() && self.marks.comment == self.table.bytes.get(at).copied() {
            (self.cell.special, self.cell.comment) = (true, true);
        }
    }

    /// Takes the special bytes of a block that starts at `base`.
    fn block(&mut self, base: usize, mut word: u64) {
        while word != 0 {
            let at = base + word.trailing_zeros() as usize;
            word &= word - 1;
            let byte = self.table.bytes[at];
            // Nearly all special bytes are delimiters of unquoted cells.
            if byte == self.delimiter && !self.cell.special {
                self.table.spans.push(Span::new(self.cell.start..at));
                self.cell.start = at + 1;
            } else {
                self.other(at, byte);
            }
        }
    }

    fn other(&mut self, at: usize, byte: u8) {
        let is_line_end = byte == b'\r' || byte == b'\n' && (at == 0 || self.table.bytes[at - 1] != b'\r');
        self.line += u64::from(is_line_end);
        if let Some(escape) = self.marks.escape {
            if self.cell.quoted && at == self.cell.escaped {
                return;
            }
            if byte == escape {
                if self.cell.quoted {
                    (self.cell.escaped, self.cell.doubled) = (at + 1, true);
                }
                return;
            }
        }
        match byte {
            _ if self.cell.comment => {
                if is_line_end {
                    self.begin_record(at + 1);
                }
            }
            QUOTE if self.cell.quoted => (self.cell.quoted, self.cell.closed) = (false, at),
            _ if self.cell.quoted => {}
            byte if byte == self.delimiter => {
                self.end_cell(at);
                self.cell = CellScan::at(at + 1);
            }
            QUOTE if at == self.cell.start => {
                let quoting = self.marks.quoting;
                (self.cell.quoted, self.cell.opened, self.cell.special) = (quoting, quoting, quoting);
            }
            QUOTE if self.cell.opened && at == self.cell.closed + 1 => {
                (self.cell.quoted, self.cell.doubled) = (true, true);
            }
            QUOTE => self.cell.special |= self.table.bytes[self.cell.start..at] == *b"=",
            _ => {
                // An empty line is no record, and between \r and \n there is none.
                if at > self.record {
                    self.end_cell(at);
                    self.end_record(at);
                }
                self.begin_record(at + 1);
            }
        }
    }

    fn end_cell(&mut self, at: usize) {
        let CellScan { start, special, opened, quoted, closed, doubled, .. } = self.cell;
        match opened {
            false if !special => self.table.spans.push(Span::new(start..at)),
            false => self.table.unwrap(start..at),
            true if !quoted && !doubled && closed + 1 == at => self.table.spans.push(Span::new(start + 1..closed)),
            true => {
                self.table.unescape_with(self.marks.escape, &self.table.bytes[start + 1..at]);
                self.table.unwrap_last();
            }
        }
    }

    fn end_record(&mut self, at: usize) {
        let cells = self.first..self.table.spans.len();
        self.first = cells.end;
        (self.visit)(CutRecord { bytes: self.record..at, line: self.record_line, cells });
    }

    /// The last record needs no terminator.
    fn end(&mut self) {
        let end = self.table.bytes.len();
        if self.record < end && !self.cell.comment {
            self.end_cell(end);
            self.end_record(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lines;

    fn marks(delimiter: u8, quoting: bool) -> Marks {
        Marks { delimiter, quoting, escape: None, comment: None }
    }

    /// A record as the `csv` crate reads it: its cells, where it starts, and the line of that.
    type Read = (Vec<Vec<u8>>, usize, u64);

    fn wanted(delimiter: u8, quoting: bool, bytes: &[u8]) -> Vec<Read> {
        // The reader takes a byte order mark at its start away. Inside a file it is data, so it gets the bytes behind
        // an empty line.
        let behind_an_empty_line = [b"\n", bytes].concat();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .quoting(quoting)
            .delimiter(delimiter)
            .from_reader(behind_an_empty_line.as_slice());
        let (mut records, mut record) = (Vec::new(), csv::ByteRecord::new());
        while reader.read_byte_record(&mut record).expect("in memory") {
            let before = record.position().map_or(0, |at| at.byte().saturating_sub(1) as usize);
            let start = before + bytes[before..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
            let cells = record.iter().map(unwrapped).collect();
            records.push((cells, start, 1 + lines::ended_in(&bytes[..start])));
        }
        records
    }

    /// A cell without the formula around it.
    fn unwrapped(cell: &[u8]) -> Vec<u8> {
        let Some(inner) = cell.strip_prefix(b"=\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
            return cell.to_vec();
        };
        let (mut text, mut at) = (Vec::new(), 0);
        while at < inner.len() {
            match &inner[at..] {
                [QUOTE, QUOTE, ..] => at += 2,
                [QUOTE, ..] => return cell.to_vec(),
                _ => at += 1,
            }
            text.push(inner[at - 1]);
        }
        text
    }

    fn found(delimiter: u8, quoting: bool, bytes: &[u8]) -> Vec<Read> {
        let (mut table, mut records) = (Table::new(bytes), Vec::new());
        table.cut(marks(delimiter, quoting), 1, |record| records.push(record));
        let cells = |record: &CutRecord| {
            let cells = table.record(record.cells.clone());
            assert!(cells.texts().all(|(text, cell)| text.is_none_or(|text| text.as_bytes() == cell)));
            let texts: Vec<_> = cells.texts().map(|(_, cell)| cell.to_vec()).collect();
            assert!(texts.iter().enumerate().all(|(at, text)| cells.get(at) == Some(text)));
            assert_eq!((texts.len(), cells.get(texts.len())), (cells.len(), None));
            texts
        };
        records.iter().map(|record| (cells(record), record.bytes.start, record.line)).collect()
    }

    /// Texts of special bytes and others, some long enough that blocks are cut anywhere.
    fn files() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            6 => Just(b"\"".to_vec()), 6 => Just(b",".to_vec()), 3 => Just(b"\n".to_vec()), 2 => Just(b"\r".to_vec()),
            2 => Just(b"\r\n".to_vec()), 4 => Just(b"a".to_vec()), 2 => Just(b"\"\"".to_vec()), 1 => Just(b"12\" wide".to_vec()),
            2 => Just(b"=\"".to_vec()), 1 => Just(b",=\"0\",".to_vec()), 1 => Just(b"\"=\"\"0\"\"\"".to_vec()),
            1 => Just(b"\"x\ny\"".to_vec()), 1 => Just(b"\xef\xbb\xbf".to_vec()), 1 => Just(b"\0\xff;".to_vec()),
            2 => Just("größer".into()), 1 => (0usize..130).prop_map(|length| vec![b'x'; length]),
        ];
        prop::collection::vec(token, 0..80).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #![proptest_config(crate::cases(8000))]

        #[test]
        fn cells_equal_those_of_the_csv_crate(file in files(), semicolons in any::<bool>(), quoting in any::<bool>()) {
            let delimiter = if semicolons { b';' } else { b',' };
            prop_assert_eq!(found(delimiter, quoting, &file), wanted(delimiter, quoting, &file));
        }
    }

    #[test]
    fn a_formula_that_is_nothing_but_a_text_is_the_text() {
        let cells = |row: &str, quoting| {
            let found = found(b';', quoting, row.as_bytes()).remove(0).0;
            found.into_iter().map(|cell| String::from_utf8(cell).expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(cells("=\"00123\";\"=\"\"0,1\"\"\";=\"\";=\"a\"\"b\"", true), ["00123", "0,1", "", "a\"b"]);
        assert_eq!(cells("=\"1\";x", false), ["1", "x"]);
        // Once.
        assert_eq!(cells("=\"=\"\"1\"\"\"", true), ["=\"1\""]);
        // Spaces behind it are none of the text.
        assert_eq!(cells("=\"00124\" ;\"=\"\"00124\"\"  \"", true), ["00124", "00124"]);
        for row in ["=1", "=\"", "=\"1", "=\"1\"&\"2\"", "x=\"1\"", " =\"1\""] {
            assert_eq!(cells(row, true), [row]);
        }
    }

    #[test]
    fn an_escape_and_comments_are_read_as_the_options_say() {
        let found = |text: &str| {
            let (mut table, mut records) = (Table::new(text.as_bytes()), Vec::new());
            let marks = Marks { delimiter: b',', quoting: true, escape: Some(b'\\'), comment: Some(b'#') };
            table.cut(marks, 1, |record| records.push(record));
            let texts = |record: &CutRecord| {
                let cells = table.record(record.cells.clone());
                cells.texts().map(|(_, cell)| String::from_utf8(cell.to_vec()).expect("text")).collect::<Vec<_>>()
            };
            records.iter().map(|record| (record.line, texts(record))).collect::<Vec<_>>()
        };
        let text = r#"#,"
"Monitor 24\" wide","good, cheap",\"x
# "
#
"C:\new \\","\",","a""b\
\""
last,"=\"001\"",#
#"#;
        let cells = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let wanted = [
            (2, cells(&["Monitor 24\" wide", "good, cheap", "\\\"x"])),
            (5, cells(&["C:\\new \\", "\",", "a\"b\\\n\""])),
            (7, cells(&["last", "001", "#"])),
        ];
        assert_eq!(found(text), wanted);
        let long = format!("\"{}\\\"\",x\n#{},\n", "y".repeat(62), "\"".repeat(80));
        assert_eq!(found(&long), [(1, vec![format!("{}\"", "y".repeat(62)), "x".to_owned()])]);
    }

    #[test]
    fn a_delimiter_beyond_ascii_cuts_no_character_in_two() {
        let mut table = Table::new("é\u{a9}".as_bytes());
        table.cut(marks(0xc3, true), 1, drop);
        assert_eq!(table.record(0..2).texts().filter(|(text, _)| text.is_none()).count(), 1);
    }
}
