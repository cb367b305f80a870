//! The records of JSON text: a value a line, the elements of an array of a document, or values one after another.
//!
//! Inside an element only strings and brackets matter: brackets are counted by kind, strings are searched for their
//! end. Whether the element is valid JSON beyond that is checked when it is read, so a bad element costs only itself.
//! Where the structure around the elements is broken, nothing behind can be trusted: all that follows becomes one
//! record.

use std::sync::Arc;

use memchr::memchr;
use penstock_model::{DocumentFlaw, ReadOptions, RecordFlaw, limits};

use super::scan::Scan;
use crate::{blocks, strings::plain_bytes};

/// One value a line (<https://github.com/ndjson/ndjson-spec>); lines of white space are no records.
#[derive(Debug, Clone)]
pub(super) struct Lines;

impl Lines {
    pub(super) fn start(&mut self, buffer: &[u8], scan: &mut Scan) -> Option<usize> {
        skip_white_space(buffer, scan);
        (scan.at < buffer.len()).then_some(scan.at)
    }

    pub(super) fn end(&mut self, buffer: &[u8], scan: &mut Scan, at_end: bool) -> Option<usize> {
        if let Some(found) = memchr(b'\n', &buffer[scan.at..]) {
            return Some(scan.at + found + 1);
        }
        scan.at = buffer.len();
        at_end.then_some(buffer.len())
    }
}

/// The elements of a document's array (RFC 8259), or values one after another.
///
/// Where an object holds the array, it is the first one in it, however deep in objects, whose first element is an
/// object: `{"errors": [], "data": {"items": [{…}]}}`. How deep it was is not remembered, so that a splitter that
/// resumes in the array needs to know nothing else: behind the array one closing brace more or less makes no
/// difference.
#[derive(Debug, Clone)]
pub(super) struct Elements {
    form: Form,
    state: State,
    brackets: Brackets,
    rows: Rows,
    /// Where the array is, if an option names it.
    path: Option<Path>,
    /// Objects that are open: all of them, or once the rows have been reached those that opened behind them.
    depth: usize,
}

/// What the elements are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    Enveloped,
    Concatenated,
}

/// Whether the array that holds the rows has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    NotReached,
    /// Nor has it; there was an empty array.
    Empty,
    Reached,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of the document has been seen.
    Start,
    /// In an object around the array; the name of a member or the object's end comes next.
    FirstMember,
    /// After a comma in it.
    NextMember,
    /// In a member's name.
    Name,
    Colon,
    MemberValue,
    /// In a member's string.
    MemberString,
    /// In a member's number or word.
    MemberScalar,
    /// At the first element of a member's array.
    MemberArray,
    /// In a member's array that does not hold the rows.
    MemberNested,
    /// In a string in there.
    MemberNestedString,
    AfterMember,
    /// In the array; an element or the array's end comes next.
    FirstElement,
    /// Where an element comes next.
    NextElement,
    /// In an element that is a number or a word.
    ElementScalar,
    /// In an element, outside strings.
    Element,
    /// In a string of an element.
    ElementString,
    AfterElement,
    /// After an object that held the rows; there may be others around it.
    Closed,
    /// After the document.
    Done,
    /// Everything that follows is one record.
    Broken(DocumentFlaw),
}

impl Elements {
    fn new(form: Form, state: State) -> Self {
        Self { form, state, brackets: Brackets::default(), rows: Rows::NotReached, path: None, depth: 0 }
    }

    /// At the start of a document, or behind an element.
    pub(super) fn of_array(enveloped: bool, at_start: bool) -> Self {
        let form = if enveloped { Form::Enveloped } else { Form::Array };
        match at_start {
            true => Self::new(form, State::Start),
            false => Self { rows: Rows::Reached, ..Self::new(form, State::AfterElement) },
        }
    }

    /// Before, between or behind values one after another.
    pub(super) fn concatenated() -> Self {
        Self { rows: Rows::Reached, ..Self::new(Form::Concatenated, State::NextElement) }
    }

    /// In front of the elements of a chunk, around which there is nothing else.
    pub(super) fn inside() -> Self {
        Self { rows: Rows::Reached, ..Self::new(Form::Array, State::NextElement) }
    }

    /// The same, of a document whose rows are at this path, see [`ReadOptions::names_of`].
    pub(super) fn at(&mut self, path: &str) {
        let names: Vec<Box<[u8]>> =
            ReadOptions::names_of(path).into_iter().map(|name| name.into_bytes().into()).collect();
        self.path = Some(Path { names: names.into(), open: 0, name: None });
    }

    /// Why there is no row in the document: it has ended, or is broken, before any.
    pub(super) fn has_no_rows(&self) -> Option<DocumentFlaw> {
        match self.state {
            State::Broken(flaw) if self.form == Form::Enveloped && self.rows != Rows::Reached => Some(flaw),
            _ => None,
        }
    }

    /// Passes the text around elements; gives where the next element starts, or where the document is broken.
    pub(super) fn start(&mut self, buffer: &[u8], scan: &mut Scan, at_end: bool) -> Option<usize> {
        loop {
            match self.state {
                State::Name | State::MemberString | State::MemberNestedString => {
                    let from = scan.at;
                    let ends = end_string(buffer, scan);
                    if let (State::Name, Some(path)) = (self.state, &mut self.path) {
                        path.read(&buffer[from..scan.at]);
                    }
                    if !ends {
                        break;
                    }
                    self.state = match self.state {
                        State::Name => State::Colon,
                        State::MemberString => State::AfterMember,
                        _ => State::MemberNested,
                    };
                    continue;
                }
                State::MemberScalar => {
                    scan.at += scalar(&buffer[scan.at..]);
                    if scan.at == buffer.len() {
                        break;
                    }
                    self.state = State::AfterMember;
                    continue;
                }
                State::MemberNested => {
                    match self.brackets.scan(buffer, scan) {
                        Nesting::Inside => break,
                        Nesting::String => self.state = State::MemberNestedString,
                        Nesting::Closed => self.state = State::AfterMember,
                        Nesting::Flawed(flaw) => return Some(self.break_at(scan, flaw)),
                    }
                    continue;
                }
                State::Broken(_) => return Some(scan.at),
                _ => {}
            }
            skip_white_space(buffer, scan);
            let Some(&byte) = buffer.get(scan.at) else { break };
            match self.structure(byte) {
                Transition::Element => {
                    self.state = State::NextElement;
                    return Some(scan.at);
                }
                Transition::Flawed(flaw) => return Some(self.break_at(scan, flaw)),
                Transition::To(state) => {
                    self.state = state;
                    scan.at += 1;
                }
                Transition::Stay(state) => self.state = state,
            }
        }
        let may_end = match (self.form, self.state) {
            (_, State::Done) | (Form::Enveloped, State::Closed) => true,
            (Form::Concatenated, state) => matches!(state, State::NextElement | State::AfterElement),
            _ => false,
        };
        if at_end && !may_end {
            return Some(self.break_at(scan, DocumentFlaw::Ends));
        }
        None
    }

    /// The meaning of a byte that is no white space, outside elements, strings and nested values.
    fn structure(&mut self, byte: u8) -> Transition {
        match (self.state, byte) {
            (State::Start, b'[') if self.form == Form::Array => {
                self.rows = Rows::Reached;
                Transition::To(State::FirstElement)
            }
            (State::Start, b'{') if self.form == Form::Enveloped => self.open(),
            (State::FirstMember | State::AfterMember | State::Closed, b'}') => self.close(),
            (State::FirstMember | State::NextMember, b'"') => {
                if let Some(path) = &mut self.path {
                    path.begin_name(self.depth);
                }
                Transition::To(State::Name)
            }
            (State::Colon, b':') => Transition::To(State::MemberValue),
            (State::MemberValue, b'"') => Transition::To(State::MemberString),
            (State::MemberValue, b'{') => {
                if let Some(path) = &mut self.path {
                    // The array is not in there, or has been read.
                    if self.rows == Rows::Reached || !path.leads_into(self.depth) {
                        self.brackets.clear();
                        return Transition::Stay(State::MemberNested);
                    }
                    path.open += 1;
                }
                self.open()
            }
            (State::MemberValue, b'[') => match &self.path {
                None => Transition::To(State::MemberArray),
                Some(path) if self.rows != Rows::Reached && path.is_at(self.depth) => {
                    (self.rows, self.depth) = (Rows::Reached, 0);
                    Transition::To(State::FirstElement)
                }
                Some(_) => {
                    self.brackets.clear();
                    Transition::Stay(State::MemberNested)
                }
            },
            (State::MemberValue, b',' | b'}' | b']' | b':') => Transition::Flawed(DocumentFlaw::ExpectedValue),
            (State::MemberValue, _) => Transition::Stay(State::MemberScalar),
            (State::MemberArray, b'{') if self.rows == Rows::Reached => Transition::Flawed(DocumentFlaw::SecondArray),
            (State::MemberArray, b'{') => {
                (self.rows, self.depth) = (Rows::Reached, 0);
                Transition::Element
            }
            (State::MemberArray, b']') => {
                if self.rows == Rows::NotReached {
                    self.rows = Rows::Empty;
                }
                Transition::To(State::AfterMember)
            }
            (State::MemberArray, _) => {
                self.brackets.open_array();
                Transition::Stay(State::MemberNested)
            }
            (State::AfterMember | State::Closed, b',') => Transition::To(State::NextMember),
            (State::FirstElement | State::AfterElement, b']') if self.form != Form::Concatenated => {
                Transition::To(if self.form == Form::Enveloped { State::AfterMember } else { State::Done })
            }
            (State::FirstElement | State::NextElement, b',' | b'}' | b']' | b':') => {
                Transition::Flawed(DocumentFlaw::ExpectedValue)
            }
            (State::FirstElement | State::NextElement, _) => Transition::Element,
            (State::AfterElement, _) if self.form == Form::Concatenated => Transition::Stay(State::NextElement),
            (State::AfterElement, b',') => Transition::To(State::NextElement),
            (State::AfterElement, _) => Transition::Flawed(DocumentFlaw::ExpectedComma),
            (State::Done | State::Closed, _) => Transition::Flawed(DocumentFlaw::Trailing),
            _ => Transition::Flawed(DocumentFlaw::ExpectedValue),
        }
    }

    /// Goes into an object around the array, or behind it.
    fn open(&mut self) -> Transition {
        if self.depth == limits::JSON_DEPTH {
            return Transition::Flawed(DocumentFlaw::TooDeep);
        }
        self.depth += 1;
        Transition::To(State::FirstMember)
    }

    /// Goes out of an object.
    fn close(&mut self) -> Transition {
        let is_document = self.depth == usize::from(self.rows != Rows::Reached);
        match (is_document, self.rows) {
            (true, Rows::NotReached) => Transition::Flawed(DocumentFlaw::NoArray),
            (true, Rows::Empty) => Transition::To(State::Done),
            (true, Rows::Reached) => Transition::To(State::Closed),
            (false, _) => {
                self.depth -= 1;
                if let Some(path) = &mut self.path {
                    path.open = path.open.min(self.depth.saturating_sub(1));
                }
                Transition::To(State::AfterMember)
            }
        }
    }

    fn break_at(&mut self, scan: &mut Scan, flaw: DocumentFlaw) -> usize {
        self.state = State::Broken(flaw);
        scan.mark = Some(scan.at);
        scan.at
    }

    /// Where the element that starts at `start` ends.
    pub(super) fn end(&mut self, buffer: &[u8], scan: &mut Scan, start: usize, at_end: bool) -> Option<usize> {
        if matches!(self.state, State::FirstElement | State::NextElement) {
            self.brackets.clear();
            self.state = match buffer[start] {
                b'{' | b'[' => State::Element,
                b'"' => {
                    scan.at += 1;
                    State::ElementString
                }
                _ => State::ElementScalar,
            };
        }
        loop {
            match self.state {
                State::ElementScalar => {
                    scan.at += scalar(&buffer[scan.at..]);
                    if scan.at < buffer.len() {
                        return Some(scan.at);
                    }
                    break;
                }
                State::ElementString => {
                    if !end_string(buffer, scan) {
                        break;
                    }
                    if self.brackets.depth == 0 {
                        return Some(scan.at);
                    }
                    self.state = State::Element;
                }
                State::Element => match self.brackets.scan(buffer, scan) {
                    Nesting::Inside => break,
                    Nesting::String => self.state = State::ElementString,
                    Nesting::Closed => return Some(scan.at),
                    Nesting::Flawed(flaw) => {
                        self.break_at(scan, flaw);
                    }
                },
                _ => {
                    scan.at = buffer.len();
                    break;
                }
            }
        }
        if !at_end {
            return None;
        }
        if !matches!(self.state, State::Broken(_)) {
            scan.mark = Some(buffer.len());
            self.state = State::Broken(DocumentFlaw::Ends);
        }
        scan.at = buffer.len();
        Some(buffer.len())
    }

    /// Why the record that ended last, and the rest of the file, cannot be trusted.
    pub(super) fn flaw(&self, marked_line: u64) -> Option<RecordFlaw> {
        match self.state {
            State::Broken(flaw) => Some(RecordFlaw::BrokenDocument { line: marked_line, flaw }),
            _ => None,
        }
    }

    pub(super) fn next(&mut self) {
        self.state = match self.state {
            // All that is left has become a record.
            State::Broken(_) => State::Done,
            _ => State::AfterElement,
        };
    }

    /// As [`Elements::next`], in a chunk, where the text between elements was checked when the file was split.
    pub(super) fn next_inside(&mut self, buffer: &[u8], scan: &mut Scan) {
        skip_white_space(buffer, scan);
        if buffer.get(scan.at) == Some(&b',') {
            scan.at += 1;
        }
        self.state = State::NextElement;
    }
}

/// The path of the array that holds the rows, and how much of it the open objects are.
#[derive(Debug, Clone)]
struct Path {
    names: Arc<[Box<[u8]>]>,
    /// Members of the path in which the scan is.
    open: usize,
    /// Bytes of the next name that the present member's name has so far, as it stands in the text; `None` where it is
    /// another one.
    name: Option<usize>,
}

impl Path {
    /// Begins a member's name in an object at this depth, 1 for the document.
    fn begin_name(&mut self, depth: usize) {
        self.name = (self.open + 1 == depth && self.open < self.names.len()).then_some(0);
    }

    /// Reads on in the name. The quote behind it is read too.
    fn read(&mut self, bytes: &[u8]) {
        let Some(read) = self.name else { return };
        let left = self.names[self.open].get(read..).unwrap_or_default();
        let wanted = left.iter().chain(b"\"");
        self.name = bytes.iter().zip(wanted).all(|(found, wanted)| found == wanted).then_some(read + bytes.len());
        if self.name.is_some_and(|read| read > self.names[self.open].len() + 1) {
            self.name = None;
        }
    }

    /// Whether the present member is the next of the path.
    fn is_next(&self) -> bool {
        self.name.is_some_and(|read| read == self.names[self.open].len() + 1)
    }

    /// Whether the present member, in an object at this depth, is the array itself.
    fn is_at(&self, depth: usize) -> bool {
        self.is_next() && self.open + 1 == self.names.len() && self.open + 1 == depth
    }

    /// Whether the array may be in the present member, in an object at this depth.
    fn leads_into(&self, depth: usize) -> bool {
        self.is_next() && self.open + 1 < self.names.len() && self.open + 1 == depth
    }
}

enum Transition {
    /// An element starts here.
    Element,
    /// The byte is passed.
    To(State),
    /// The byte is the first of what the state is about.
    Stay(State),
    Flawed(DocumentFlaw),
}

// Brackets have a bit each.
const _: () = assert!(limits::JSON_DEPTH <= u128::BITS as usize);

/// Brackets that are open, a bit each: an object's or an array's.
#[derive(Debug, Clone, Copy, Default)]
struct Brackets {
    depth: u32,
    kinds: u128,
}

enum Nesting {
    /// The buffer ends inside.
    Inside,
    /// The buffer ends inside a string.
    String,
    /// The outermost bracket was closed.
    Closed,
    Flawed(DocumentFlaw),
}

impl Brackets {
    fn clear(&mut self) {
        self.depth = 0;
    }

    /// An array is open, and nothing in it.
    fn open_array(&mut self) {
        (self.depth, self.kinds) = (1, 1);
    }

    /// Scans on to the end of the outermost bracket; `scan.at` goes behind the bytes that were scanned. A string that
    /// ends in the buffer is passed.
    fn scan(&mut self, buffer: &[u8], scan: &mut Scan) -> Nesting {
        let (mut in_string, mut escaped) = (false, false);
        while scan.at < buffer.len() {
            let rest = &buffer[scan.at..];
            let mut padded = [0; 64];
            let block = rest.first_chunk().unwrap_or_else(|| {
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            });
            let length = rest.len().min(64);
            let mut marks = Marks::of(block, in_string);
            if escaped || marks.escapes(block) {
                escaped = marks.skip_escapes(&block[..length], in_string, escaped);
            }
            let mut outside = marks.others & !marks.inside;
            while outside != 0 {
                let at = outside.trailing_zeros() as usize;
                outside &= outside - 1;
                if block[at] != b'\\'
                    && let Some(end) = self.bracket(block[at])
                {
                    scan.at += at + usize::from(matches!(end, Nesting::Closed));
                    return end;
                }
            }
            in_string = marks.ends_in_string();
            scan.at += length;
        }
        // A backslash at the end is looked at again with what it escapes.
        scan.at -= usize::from(escaped);
        if in_string { Nesting::String } else { Nesting::Inside }
    }

    /// Takes one bracket; gives what it ends, if anything.
    fn bracket(&mut self, byte: u8) -> Option<Nesting> {
        if matches!(byte, b'{' | b'[') {
            if self.depth == limits::JSON_DEPTH as u32 {
                return Some(Nesting::Flawed(DocumentFlaw::TooDeep));
            }
            self.kinds = self.kinds << 1 | u128::from(byte == b'[');
            self.depth += 1;
            return None;
        }
        if self.kinds & 1 != u128::from(byte == b']') {
            return Some(Nesting::Flawed(DocumentFlaw::WrongBracket));
        }
        self.kinds >>= 1;
        self.depth -= 1;
        (self.depth == 0).then_some(Nesting::Closed)
    }
}

/// The structure of 64 bytes of a document, a bit for each byte.
struct Marks {
    quotes: u64,
    /// Brackets and backslashes.
    others: u64,
    /// Bytes in strings, the quote before them included.
    inside: u64,
}

impl Marks {
    #[inline]
    fn of(block: &[u8; 64], in_string: bool) -> Self {
        let quotes = blocks::word(block, |byte| byte == b'"');
        // Braces and brackets differ by one bit.
        let others = blocks::word(block, |byte| (byte == b'\\') | (byte | 0x20 == b'{') | (byte | 0x20 == b'}'));
        Self { quotes, others, inside: between(quotes, in_string) }
    }

    /// Whether a string among them holds a backslash, which means that quotes may be none.
    fn escapes(&self, block: &[u8; 64]) -> bool {
        let mut hidden = self.others & self.inside;
        while hidden != 0 {
            if block[hidden.trailing_zeros() as usize] == b'\\' {
                return true;
            }
            hidden &= hidden - 1;
        }
        false
    }

    /// Leaves out quotes that are escaped; gives whether the byte behind the block is escaped. The first byte may be.
    fn skip_escapes(&mut self, block: &[u8], mut in_string: bool, is_first_escaped: bool) -> bool {
        let mut escaped = is_first_escaped.then_some(0);
        let (was_in_string, mut left) = (in_string, self.quotes | self.others);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            match block[at] {
                b'"' if escaped == Some(at) => self.quotes &= !(1 << at),
                _ if escaped == Some(at) => {}
                b'"' => in_string = !in_string,
                b'\\' if in_string => escaped = Some(at + 1),
                _ => {}
            }
        }
        self.inside = between(self.quotes, was_in_string);
        escaped == Some(block.len())
    }

    fn ends_in_string(&self) -> bool {
        self.inside >> 63 != 0
    }
}

/// The bytes from each opening quote to the one before its closing quote.
fn between(quotes: u64, in_string: bool) -> u64 {
    // Each bit becomes the parity of those up to it.
    let parity = [1, 2, 4, 8, 16, 32].into_iter().fold(quotes, |word, step| word ^ word << step);
    if in_string { !parity } else { parity }
}

/// Goes behind the quote that ends a string; `false` where the buffer does not hold it.
fn end_string(buffer: &[u8], scan: &mut Scan) -> bool {
    while let Some(found) = plain_bytes(&buffer[scan.at..]) {
        scan.at += found;
        match buffer[scan.at] {
            b'"' => {
                scan.at += 1;
                return true;
            }
            // A backslash and what it escapes are passed together.
            b'\\' if scan.at + 1 == buffer.len() => return false,
            b'\\' => scan.at += 2,
            // Whether a control character may stand there is checked when the element is read.
            _ => scan.at += 1,
        }
    }
    scan.at = buffer.len();
    false
}

/// Bytes of a number or a word.
fn scalar(bytes: &[u8]) -> usize {
    let ends = |byte: &u8| is_white_space(*byte) || matches!(byte, b',' | b']' | b'}' | b'[' | b'{' | b':' | b'"');
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

fn skip_white_space(buffer: &[u8], scan: &mut Scan) {
    scan.at += buffer[scan.at..].iter().take_while(|byte| is_white_space(**byte)).count();
}

/// Whether a byte is white space in JSON (RFC 8259 §2), which ASCII's form feed is not.
pub(super) fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The members of the object that a text begins with, and those of the objects in it, in their order. Arrays are
/// passed.
pub(crate) struct Members<'a> {
    text: &'a [u8],
    scan: Scan,
}

impl<'a> Members<'a> {
    pub(crate) fn of(text: &'a [u8]) -> Self {
        Self { text, scan: Scan::default() }
    }

    /// Calls `visit` with the names that lead to each member and the beginning of its value: its first byte that is no
    /// white space, and where that opens an array the next one too. Ends where the text does, or makes no sense.
    pub(crate) fn each(mut self, visit: &mut dyn FnMut(&[String], &[u8])) {
        let mut path: Vec<String> = Vec::new();
        if self.next() != Some(b'{') {
            return;
        }
        loop {
            match self.next() {
                Some(b'"') if path.len() < limits::JSON_DEPTH => {
                    let Some(name) = self.string() else { return };
                    path.push(name);
                    if self.next() != Some(b':') {
                        return;
                    }
                    let Some(first) = self.next() else { return };
                    match first {
                        b'[' => {
                            skip_white_space(self.text, &mut self.scan);
                            let Some(second) = self.text.get(self.scan.at) else { return };
                            visit(&path, &[b'[', *second]);
                            let mut brackets = Brackets::default();
                            brackets.open_array();
                            loop {
                                match brackets.scan(self.text, &mut self.scan) {
                                    Nesting::Closed => break,
                                    Nesting::String if end_string(self.text, &mut self.scan) => {}
                                    _ => return,
                                }
                            }
                        }
                        first => visit(&path, &[first]),
                    }
                    match first {
                        b'{' => continue,
                        b'"' if self.string().is_none() => return,
                        b'"' | b'[' => {}
                        _ => self.scan.at += scalar(&self.text[self.scan.at..]),
                    }
                    path.pop();
                }
                Some(b',') => {}
                Some(b'}') if path.pop().is_some() => {}
                _ => return,
            }
        }
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        skip_white_space(self.text, &mut self.scan);
        let byte = *self.text.get(self.scan.at)?;
        self.scan.at += 1;
        Some(byte)
    }

    /// The string behind its first quote.
    fn string(&mut self) -> Option<String> {
        let start = self.scan.at - 1;
        if !end_string(self.text, &mut self.scan) {
            return None;
        }
        serde_json::from_slice(&self.text[start..self.scan.at]).ok()
    }
}
