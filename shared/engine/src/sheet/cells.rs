//! The cells of a sheet, one after the other (ECMA-376 Part 1, §18.3.1).
//!
//! What a sheet announces of itself, such as its dimension, is a hint, and ignored: cells are where they say, or else
//! behind the one before.

use super::{
    NOT_CALCULATED,
    ambiguous::OwnText,
    moment::Shown,
    number,
    text::{SharedTexts, rich_text, unescape},
    xml::{Flaw, Tag, Token, Xml},
};

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'v> {
    Empty,
    Text(&'v str),
    Number(f64),
    Boolean(bool),
    /// A moment by the workbook's calendar.
    Moment {
        days: f64,
        is_1904: bool,
    },
    /// A time that has passed.
    Elapsed {
        days: f64,
    },
    /// A date that is written out.
    Date(&'v str),
    Error(&'v str),
}

/// What the cells of a sheet refer to.
#[derive(Debug, Default)]
pub(super) struct References {
    pub(super) texts: SharedTexts,
    /// How numbers are shown, by the number of the cell's style.
    pub(super) styles: Vec<Shown>,
    /// Whether days are counted from 1904.
    pub(super) is_1904: bool,
}

/// Bytes of an error such as `#GETTING_DATA`, at most.
const ERROR_BYTES: usize = 40;

/// Whether more cells are wanted.
pub(super) type Wanted = bool;

/// Calls `visit` with the row, the column (both from 0) and the value of each cell of a sheet that it names, until it
/// wants no more.
///
/// # Errors
/// [`Flaw`]; what `visit` fails with.
pub(super) fn each_cell(
    xml: &mut Xml<'_>,
    references: &References,
    mut visit: impl FnMut(u32, u32, Value<'_>) -> Result<Wanted, Flaw>,
) -> Result<(), Flaw> {
    let (mut place, mut text) = (Place::default(), Vec::new());
    go_to_rows(xml)?;
    loop {
        match xml.token()? {
            Token::Start(tag) if tag.name == b"c" => {
                let cell = Cell::of(&tag, &mut place)?;
                let content = Content::read(xml, &mut text)?;
                let value = cell.value(content, &text, references)?;
                if !visit(cell.row, cell.column, value)? {
                    return Ok(());
                }
            }
            Token::Start(tag) if tag.name == b"row" => place.start_row(&tag)?,
            Token::End(b"row") => place.end_row(),
            Token::End(b"sheetData") => return Ok(()),
            _ => {}
        }
    }
}

/// What a look through a sheet tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holds {
    /// Whether any of its cells holds anything.
    pub(super) anything: bool,
    /// Whether a text that stands in a cell itself may be an [ambiguous](super::ambiguous) number.
    pub(super) ambiguous: bool,
}

impl Holds {
    /// Reads a sheet to the end of its part.
    ///
    /// # Errors
    /// [`Flaw`]
    pub(super) fn read(xml: &mut Xml<'_>) -> Result<Self, Flaw> {
        go_to_rows(xml)?;
        let (mut in_rows, mut holds) = (true, Self::default());
        let (mut own_text, mut in_formula) = (None, false);
        while let Some(token) = xml.next()? {
            match token {
                Token::Start(tag) => match tag.name {
                    b"c" => own_text = own_text_of(&tag),
                    b"v" => holds.anything |= in_rows,
                    b"is" => {
                        holds.anything |= in_rows;
                        own_text.get_or_insert_default().be_no_number();
                    }
                    b"f" => (holds.anything, in_formula) = (holds.anything | in_rows, true),
                    _ => {}
                },
                Token::Text(piece) | Token::Literal(piece) => {
                    if let Some(text) = &mut own_text
                        && !in_formula
                    {
                        holds.ambiguous |= text.may_be_one(piece);
                    }
                }
                Token::End(b"f") => in_formula = false,
                Token::End(b"sheetData") => in_rows = false,
                Token::End(_) => {}
            }
        }
        Ok(holds)
    }
}

/// The text of a cell, unless it stands elsewhere as that of nearly all does.
#[inline]
fn own_text_of(cell: &Tag<'_>) -> Option<OwnText> {
    // Programs write a cell's type last.
    (!cell.ends_with(b" t=\"s\"")).then(|| OwnText::new(!cell.may_have(b't')))
}

/// Rows and columns of a sheet, as far as they hold anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) rows: u32,
    pub(super) columns: u32,
}

impl Extent {
    /// Those of a sheet.
    ///
    /// # Errors
    /// [`Flaw`]
    pub(super) fn read(xml: &mut Xml<'_>) -> Result<Self, Flaw> {
        let (mut extent, mut place) = (Self::default(), Place::default());
        go_to_rows(xml)?;
        let (mut row, mut column, mut last_row) = (0, 0, None);
        loop {
            match xml.token()? {
                Token::Start(tag) => match tag.name {
                    b"c" => Cell { row, column, .. } = Cell::of(&tag, &mut place)?,
                    b"v" | b"is" | b"f" => {
                        extent.rows += u32::from(last_row.replace(row) != Some(row));
                        extent.columns = extent.columns.max(column.saturating_add(1));
                    }
                    b"row" => place.start_row(&tag)?,
                    _ => {}
                },
                Token::End(b"row") => place.end_row(),
                Token::End(b"sheetData") => return Ok(extent),
                _ => {}
            }
        }
    }
}

/// Goes into the element that holds the rows.
fn go_to_rows(xml: &mut Xml<'_>) -> Result<(), Flaw> {
    loop {
        match xml.next()? {
            Some(Token::Start(tag)) if tag.name == b"sheetData" => return Ok(()),
            Some(_) => {}
            None => return Err(Flaw::Malformed),
        }
    }
}

/// Where the next cell is, unless it says so itself; from 0.
#[derive(Debug, Default)]
struct Place {
    row: u32,
    column: u32,
}

impl Place {
    fn start_row(&mut self, tag: &Tag<'_>) -> Result<(), Flaw> {
        if let Some(number) = tag.attribute(b"r")? {
            let row = digits(number).filter(|rest| rest.1.is_empty()).and_then(|(row, _)| row.checked_sub(1));
            self.row = row.ok_or(Flaw::Malformed)?;
        }
        Ok(())
    }

    fn end_row(&mut self) {
        *self = Self { row: self.row.saturating_add(1), column: 0 };
    }
}

/// The number that a text begins with, and the rest of it. One that is too large for any sheet is any such.
#[inline]
fn digits(text: &[u8]) -> Option<(u32, &[u8])> {
    let length = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(length);
    let add = |number: u32, digit: &u8| number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
    (length > 0).then(|| (digits.iter().fold(0, add), rest))
}

/// The row and the column of a cell, from 0, by a reference such as `AB12` (§18.18.7).
#[inline]
fn referred(reference: &[u8]) -> Option<(u32, u32)> {
    let length = reference.iter().position(|byte| !byte.is_ascii_alphabetic())?;
    let (letters, rest) = reference.split_at(length);
    let add = |column: u32, letter: &u8| {
        column.saturating_mul(26).saturating_add(u32::from(letter.to_ascii_uppercase() - b'A') + 1)
    };
    let column = letters.iter().fold(0, add);
    let (row, rest) = digits(rest)?;
    if rest.is_empty() { Some((row.checked_sub(1)?, column.checked_sub(1)?)) } else { None }
}

/// How a cell's value is written (§18.18.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Number,
    Shared,
    Boolean,
    Error,
    Date,
    /// As what a formula came to, or as one that is not known.
    Text,
    Inline,
}

#[derive(Debug)]
struct Cell {
    row: u32,
    column: u32,
    kind: Type,
    style: usize,
}

impl Cell {
    #[inline]
    fn of(tag: &Tag<'_>, place: &mut Place) -> Result<Self, Flaw> {
        let mut cell = Self { row: place.row, column: place.column, kind: Type::Number, style: 0 };
        for attribute in tag.attributes() {
            match attribute? {
                (b"r", reference) => {
                    (cell.row, cell.column) = referred(reference).ok_or(Flaw::Malformed)?;
                }
                (b"s", style) => cell.style = digits(style).map_or(0, |(style, _)| style as usize),
                (b"t", kind) => {
                    cell.kind = match kind {
                        b"n" => Type::Number,
                        b"s" => Type::Shared,
                        b"b" => Type::Boolean,
                        b"e" => Type::Error,
                        b"d" => Type::Date,
                        b"inlineStr" => Type::Inline,
                        _ => Type::Text,
                    };
                }
                _ => {}
            }
        }
        place.column = cell.column.saturating_add(1);
        Ok(cell)
    }

    #[inline]
    fn value<'v>(&self, content: Content, text: &'v [u8], references: &'v References) -> Result<Value<'v>, Flaw> {
        let text = std::str::from_utf8(text).map_err(|_| Flaw::Malformed)?;
        if content.is_inline {
            return Ok(Value::Text(text));
        }
        if !content.has_value || (text.is_empty() && self.kind != Type::Text) {
            // Whoever wrote the workbook did not reckon.
            let is_unknown = content.has_formula;
            return Ok(if is_unknown { Value::Error(NOT_CALCULATED) } else { Value::Empty });
        }
        Ok(match self.kind {
            Type::Number => self.number(text, references),
            Type::Shared => {
                let at = text.trim_ascii().parse().map_err(|_| Flaw::Malformed)?;
                Value::Text(references.texts.get(at).ok_or(Flaw::Malformed)?)
            }
            Type::Boolean => match text.trim_ascii() {
                "0" => Value::Boolean(false),
                "1" => Value::Boolean(true),
                word if word.eq_ignore_ascii_case("false") => Value::Boolean(false),
                word if word.eq_ignore_ascii_case("true") => Value::Boolean(true),
                _ => return Err(Flaw::Malformed),
            },
            Type::Error => Value::Error(if text.len() <= ERROR_BYTES { text } else { "an unknown one" }),
            Type::Date => Value::Date(text),
            Type::Text => Value::Text(text),
            // Its text stands elsewhere.
            Type::Inline => Value::Empty,
        })
    }

    #[inline]
    fn number<'v>(&self, text: &'v str, references: &References) -> Value<'v> {
        let Some(number) = number::parse(text.trim_ascii()) else { return Value::Text(text) };
        match references.styles.get(self.style) {
            Some(Shown::Moment) => Value::Moment { days: number, is_1904: references.is_1904 },
            Some(Shown::Elapsed) => Value::Elapsed { days: number },
            Some(Shown::Number) | None => Value::Number(number),
        }
    }
}

/// What stands in a cell, beside its text.
#[derive(Debug, Clone, Copy, Default)]
struct Content {
    has_value: bool,
    has_formula: bool,
    is_inline: bool,
}

impl Content {
    /// Reads a cell up to its end, its text into `text`.
    #[inline]
    fn read(xml: &mut Xml<'_>, text: &mut Vec<u8>) -> Result<Self, Flaw> {
        let mut content = Self::default();
        text.clear();
        loop {
            match xml.token()? {
                Token::End(_) => return Ok(content),
                Token::Start(tag) => match tag.name {
                    b"v" if !content.is_inline => {
                        content.has_value = true;
                        text.clear();
                        xml.element_text(text)?;
                        unescape(text, 0);
                    }
                    b"is" => {
                        content.is_inline = true;
                        text.clear();
                        rich_text(xml, text)?;
                    }
                    name => {
                        content.has_formula |= name == b"f";
                        xml.pass_element()?;
                    }
                },
                Token::Text(_) | Token::Literal(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
