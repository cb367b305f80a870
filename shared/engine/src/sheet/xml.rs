//! The XML of a workbook's part, token by token, in bounded memory (W3C, Extensible Markup Language 1.0, Fifth
//! Edition).
//!
//! A reader for any XML copies every token and keeps the names of all open elements; this one does neither. It holds a
//! window of the part that is as large as the longest tag or text, up to [`limits::WORKBOOK_TEXT_BYTES`], whatever the
//! part unpacks to. Comments and processing instructions are passed, CDATA is text, a document type is refused: no
//! workbook needs one, and entities are declared there. Names are compared without their prefix, and whether an end tag
//! repeats the name of its start tag is not looked at.

use std::{
    io::{self, Cursor, Read},
    ops::Range,
};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::{memchr, memchr2, memmem};
use penstock_model::{Failure, limits};

use crate::transcoded::Transcoded;

/// Bytes of a window, unless a tag or a text is longer.
const WINDOW_BYTES: usize = 64 * 1024;

/// Why a part cannot be read.
#[derive(Debug)]
pub(super) enum Flaw {
    /// A tag or a text is longer than the limit.
    LongText,
    /// It has a document type.
    DocumentType,
    /// It is not well-formed.
    Malformed,
    /// It ends before its elements do.
    Cut,
    /// With it more would be held than the limit.
    TooMuch,
    /// It does not unpack.
    Unreadable(io::Error),
    /// What it says is the failure.
    Failed(Failure),
}

impl From<Failure> for Flaw {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A tag or a text. Names have no prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'x> {
    /// An element starts; also of an empty one an end follows.
    Start(Tag<'x>),
    /// An element ends.
    End(&'x [u8]),
    /// Text as it stands, its references not resolved.
    Text(&'x [u8]),
    /// The text of a CDATA section.
    Literal(&'x [u8]),
}

/// A start tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'x> {
    /// The element's name.
    pub(super) name: &'x [u8],
    attributes: &'x [u8],
}

impl<'x> Tag<'x> {
    /// Its attributes, each a name and a value as it stands.
    pub(super) fn attributes(&self) -> Attributes<'x> {
        Attributes(self.attributes)
    }

    /// Whether its attributes end with this text.
    #[inline]
    pub(super) fn ends_with(&self, text: &[u8]) -> bool {
        self.attributes.ends_with(text)
    }

    /// Whether an attribute may have this name of one letter: whether the letter stands anywhere.
    #[inline]
    pub(super) fn may_have(&self, name: u8) -> bool {
        self.attributes.contains(&name)
    }

    /// The value of an attribute as it stands.
    pub(super) fn attribute(&self, name: &[u8]) -> Result<Option<&'x [u8]>, Flaw> {
        self.attributes()
            .find_map(|attribute| attribute.map(|(of, value)| (of == name).then_some(value)).transpose())
            .transpose()
    }

    /// The value of an attribute, its references resolved.
    pub(super) fn text_of(&self, name: &[u8]) -> Result<Option<String>, Flaw> {
        self.attribute(name)?.map(text_of_attribute).transpose()
    }
}

/// The value of an attribute, its references resolved, its white space as spaces.
pub(super) fn text_of_attribute(value: &[u8]) -> Result<String, Flaw> {
    let spaces: Vec<u8> = value.iter().map(|byte| if is_white(*byte) { b' ' } else { *byte }).collect();
    let mut text = Vec::new();
    push_text(&spaces, &mut text)?;
    String::from_utf8(text).map_err(|_| Flaw::Malformed)
}

/// The attributes of a tag.
#[derive(Debug, Clone)]
pub(super) struct Attributes<'x>(&'x [u8]);

impl<'x> Iterator for Attributes<'x> {
    type Item = Result<(&'x [u8], &'x [u8]), Flaw>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0.iter().position(|byte| !is_white(*byte))?;
        let attribute = split_attribute(&self.0[start..]);
        let (name, value, rest) = match attribute {
            Some(parts) => parts,
            None => {
                self.0 = &[];
                return Some(Err(Flaw::Malformed));
            }
        };
        self.0 = rest;
        Some(Ok((local(name), value)))
    }
}

/// The name and the value of the attribute that a text begins with, and what follows.
#[inline]
fn split_attribute(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let name_end = text.iter().position(|byte| *byte == b'=' || is_white(*byte))?;
    let (name, mut rest) = text.split_at(name_end);
    if rest[0] != b'=' {
        rest = rest.trim_ascii_start();
    }
    rest = rest.strip_prefix(b"=")?;
    if rest.first().is_some_and(|byte| is_white(*byte)) {
        rest = rest.trim_ascii_start();
    }
    let (quote, rest) = rest.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    // Most values are too short for a search that has to be set up.
    let end = rest.iter().position(|byte| byte == quote)?;
    Some((name, &rest[..end], &rest[end + 1..]))
}

#[inline]
fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A name without its prefix.
#[inline]
fn local(name: &[u8]) -> &[u8] {
    // Most names are a letter or two.
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}

/// A part that is read.
pub(super) struct Xml<'r> {
    input: Box<dyn Read + 'r>,
    window: Vec<u8>,
    /// What of the window is still to be read.
    from: usize,
    to: usize,
    ended: bool,
    /// Elements that are open.
    depth: usize,
    /// Where the name stands of an empty element whose end comes next.
    closing: Option<Range<usize>>,
}

impl<'r> Xml<'r> {
    /// The XML that `input` gives, in the encoding that it declares.
    ///
    /// # Errors
    /// [`Flaw::Unreadable`]; [`Flaw::Malformed`] where it is in no known encoding.
    pub(super) fn new(input: impl Read + 'r) -> Result<Self, Flaw> {
        let mut xml = Self {
            input: Box::new(input),
            window: vec![0; WINDOW_BYTES],
            from: 0,
            to: 0,
            ended: false,
            depth: 0,
            closing: None,
        };
        xml.more()?;
        let encoding = encoding(&xml.window[..xml.to])?;
        if encoding != UTF_8 {
            let raw = Cursor::new(xml.window[..xml.to].to_vec());
            let input = std::mem::replace(&mut xml.input, Box::new(io::empty()));
            xml.input = Box::new(Transcoded::new(raw.chain(input), encoding));
            (xml.to, xml.ended) = (0, false);
            xml.more()?;
        }
        if xml.window[..xml.to].starts_with(b"\xef\xbb\xbf") {
            xml.from = 3;
        }
        Ok(xml)
    }

    /// The next tag or text; none at the end of the document.
    ///
    /// # Errors
    /// [`Flaw`]
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Token<'_>>, Flaw> {
        if let Some(name) = self.closing.take() {
            self.depth -= 1;
            return Ok(Some(Token::End(&self.window[name])));
        }
        loop {
            match self.window[self.from..self.to] {
                [b'<', b'!', ..] => {
                    if let Some(literal) = self.declaration()? {
                        return Ok(Some(Token::Literal(&self.window[literal])));
                    }
                }
                [b'<', b'?', ..] => self.pass(2, b"?>")?,
                [b'<', _, ..] => {
                    if let Some(end) = tag_end(&self.window[self.from..self.to]) {
                        return self.tag(end).map(Some);
                    }
                    if !self.more()? {
                        return Err(Flaw::Cut);
                    }
                }
                ref rest => match memchr(b'<', rest) {
                    Some(length) if length > 0 => {
                        let text = self.from..self.from + length;
                        self.from = text.end;
                        return Ok(Some(Token::Text(&self.window[text])));
                    }
                    _ if self.more()? => {}
                    _ if self.depth > 0 => return Err(Flaw::Cut),
                    // White space may follow the document.
                    _ if rest_is_white(&self.window[self.from..self.to]) => return Ok(None),
                    _ => return Err(Flaw::Malformed),
                },
            }
        }
    }

    /// The next tag or text, of which there has to be one: an element is open.
    ///
    /// # Errors
    /// [`Flaw`]
    #[inline]
    pub(super) fn token(&mut self) -> Result<Token<'_>, Flaw> {
        match self.next()? {
            Some(token) => Ok(token),
            None => Err(Flaw::Cut),
        }
    }

    /// Passes the rest of the element that has started last, its end included.
    ///
    /// # Errors
    /// [`Flaw`]
    pub(super) fn pass_element(&mut self) -> Result<(), Flaw> {
        let outside = self.depth - 1;
        while self.depth > outside {
            self.token()?;
        }
        Ok(())
    }

    /// Adds the text of the element that has started last, up to its end, to `text`. Elements in it are passed, their
    /// text is not its.
    ///
    /// # Errors
    /// [`Flaw`]
    #[inline]
    pub(super) fn element_text(&mut self, text: &mut Vec<u8>) -> Result<(), Flaw> {
        let start = text.len();
        loop {
            match self.token()? {
                Token::Text(raw) => push_text(raw, text)?,
                Token::Literal(raw) => push_lines(raw, text),
                Token::Start(_) => self.pass_element()?,
                Token::End(_) => return Ok(()),
            }
            if text.len() - start > limits::WORKBOOK_TEXT_BYTES {
                return Err(Flaw::LongText);
            }
        }
    }

    /// Takes the tag that ends behind `end` bytes.
    #[inline]
    fn tag(&mut self, end: usize) -> Result<Token<'_>, Flaw> {
        let start = self.from + 1;
        let end = self.from + end;
        self.from = end + 1;
        if self.window[start] == b'/' {
            self.depth = self.depth.checked_sub(1).ok_or(Flaw::Malformed)?;
            return Ok(Token::End(local(self.window[start + 1..end].trim_ascii_end())));
        }
        let is_empty = self.window[end - 1] == b'/';
        let inner = &self.window[start..end - usize::from(is_empty)];
        let length = inner.iter().position(|byte| is_white(*byte)).unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(length);
        if name.is_empty() {
            return Err(Flaw::Malformed);
        }
        let name = local(name);
        self.depth += 1;
        if is_empty {
            let at = start + length - name.len();
            self.closing = Some(at..at + name.len());
        }
        Ok(Token::Start(Tag { name, attributes }))
    }

    /// Passes a comment, or gives where the text of a CDATA section stands.
    #[cold]
    fn declaration(&mut self) -> Result<Option<Range<usize>>, Flaw> {
        const CDATA: &[u8] = b"<![CDATA[";
        while self.to - self.from < CDATA.len() && self.more()? {}
        let rest = &self.window[self.from..self.to];
        if rest.starts_with(b"<!--") {
            return self.pass(4, b"-->").map(|()| None);
        }
        if !rest.starts_with(CDATA) {
            return Err(if rest.starts_with(b"<!DOCTYPE") { Flaw::DocumentType } else { Flaw::Malformed });
        }
        loop {
            let start = self.from + CDATA.len();
            if let Some(length) = memmem::find(&self.window[start..self.to], b"]]>") {
                self.from = start + length + 3;
                return Ok(Some(start..start + length));
            }
            if !self.more()? {
                return Err(Flaw::Cut);
            }
        }
    }

    /// Passes `start` bytes and what follows up to `end`, which is passed as well.
    #[cold]
    fn pass(&mut self, start: usize, end: &[u8]) -> Result<(), Flaw> {
        self.from += start;
        loop {
            if let Some(length) = memmem::find(&self.window[self.from..self.to], end) {
                self.from += length + end.len();
                return Ok(());
            }
            self.from = self.from.max((self.to + 1).saturating_sub(end.len()));
            if !self.more()? {
                return Err(Flaw::Cut);
            }
        }
    }

    /// Reads more of the part behind what is still to be read of the window; `false` at its end.
    #[cold]
    fn more(&mut self) -> Result<bool, Flaw> {
        if self.ended {
            return Ok(false);
        }
        self.window.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.to == self.window.len() {
            if self.to > limits::WORKBOOK_TEXT_BYTES {
                return Err(Flaw::LongText);
            }
            self.window.resize((2 * self.to).min(limits::WORKBOOK_TEXT_BYTES + 1), 0);
        }
        let before = self.to;
        while self.to < self.window.len() && !self.ended {
            match self.input.read(&mut self.window[self.to..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.to += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Flaw::Unreadable(error)),
            }
        }
        Ok(self.to > before)
    }
}

fn rest_is_white(rest: &[u8]) -> bool {
    rest.iter().all(|byte| is_white(*byte))
}

/// How many bytes of a text there are before the `>` that ends the tag with which it begins. In an attribute's value it
/// ends nothing.
#[inline]
fn tag_end(text: &[u8]) -> Option<usize> {
    match text {
        // Most tags are a letter.
        [_, name, b'>', ..] if name.is_ascii_alphabetic() => return Some(2),
        [_, b'/', name, b'>', ..] if name.is_ascii_alphabetic() => return Some(3),
        _ => {}
    }
    let end = memchr(b'>', text)?;
    // Where all quotes are of one kind and an even number stands before it, it is in none. Bits are counted without a
    // branch, of which the compiler makes vector instructions.
    let (mut odd, mut other) = (0, 0);
    for byte in &text[..end] {
        odd ^= u8::from(*byte == b'"');
        other |= u8::from(*byte == b'\'');
    }
    if odd | other == 0 { Some(end) } else { quoted_tag_end(text) }
}

fn quoted_tag_end(text: &[u8]) -> Option<usize> {
    let mut quote = 0;
    for (at, byte) in text.iter().enumerate() {
        match *byte {
            b'>' if quote == 0 => return Some(at),
            byte @ (b'"' | b'\'') => {
                if quote == 0 {
                    quote = byte;
                } else if quote == byte {
                    quote = 0;
                }
            }
            _ => {}
        }
    }
    None
}

/// The encoding of a part: what its byte order mark says, then what its XML declaration does (XML 1.0, appendix F).
fn encoding(start: &[u8]) -> Result<&'static Encoding, Flaw> {
    match start {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => return Ok(UTF_16LE),
        [0xfe, 0xff, ..] | [0, b'<', ..] => return Ok(UTF_16BE),
        _ => {}
    }
    let declaration = start.strip_prefix(b"<?xml").and_then(|rest| memmem::find(rest, b"?>").map(|end| &rest[..end]));
    let declared = Attributes(declaration.unwrap_or_default()).flatten().find(|(name, _)| *name == b"encoding");
    match declared {
        None => Ok(UTF_8),
        // A text whose declaration can be read byte by byte is not in it.
        Some((_, label)) if label.to_ascii_lowercase().starts_with(b"utf-16") => Ok(UTF_8),
        Some((_, label)) => Encoding::for_label_no_replacement(label).ok_or(Flaw::Malformed),
    }
}

/// Adds a text, its references resolved and its line ends as `\n`, to another.
#[inline]
pub(super) fn push_text(raw: &[u8], text: &mut Vec<u8>) -> Result<(), Flaw> {
    if memchr2(b'&', b'\r', raw).is_none() {
        text.extend_from_slice(raw);
        return Ok(());
    }
    push_references(raw, text)
}

#[cold]
fn push_references(mut raw: &[u8], text: &mut Vec<u8>) -> Result<(), Flaw> {
    while let Some(at) = memchr(b'&', raw) {
        push_lines(&raw[..at], text);
        let end = raw[at..].iter().take(12).position(|byte| *byte == b';').ok_or(Flaw::Malformed)?;
        let c = referred(&raw[at + 1..at + end]).ok_or(Flaw::Malformed)?;
        text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        raw = &raw[at + end + 1..];
    }
    push_lines(raw, text);
    Ok(())
}

/// The character that a reference means (XML 1.0 §4.1, §4.6).
fn referred(name: &[u8]) -> Option<char> {
    match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        _ => {
            let number = std::str::from_utf8(name).ok()?.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            code.ok().filter(|code| *code > 0).and_then(char::from_u32)
        }
    }
}

/// Adds a text in which nothing is to be resolved, its line ends as `\n` (XML 1.0 §2.11).
fn push_lines(mut raw: &[u8], text: &mut Vec<u8>) {
    while let Some(at) = memchr(b'\r', raw) {
        text.extend_from_slice(&raw[..at]);
        text.push(b'\n');
        raw = &raw[at + 1..];
        raw = raw.strip_prefix(b"\n").unwrap_or(raw);
    }
    text.extend_from_slice(raw);
}

#[cfg(test)]
mod tests;
