//! A workbook: its parts, its sheets, and what their cells refer to (ECMA-376 Part 1, §12, and Part 2).
//!
//! Only what rows are made of is looked into: the relationships, the directory of sheets, the shared texts, the number
//! formats, and the sheet that is read. Everything that is kept is counted, and everything that is unpacked.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read},
};

use penstock_model::{Failure, advice::shown, limits};

use super::{
    cells::References,
    damaged,
    held::Held,
    moment::Shown,
    text::SharedTexts,
    too_large,
    xml::{Flaw, Tag, Token, Xml, text_of_attribute},
};
use crate::{archive::Archive, upload::Upload};

/// What an item of a list takes in memory beside its texts, at most: their headers, what an allocator adds, and room to
/// grow.
const ITEM_BYTES: usize = 192;

/// A workbook that has been opened.
pub(super) struct Workbook<U> {
    archive: Archive<U>,
    /// Bytes that its parts may still unpack to.
    left: u64,
    held: Held,
    parts: Parts,
    sheets: Vec<Sheet>,
    is_1904: bool,
}

/// A worksheet. Chart sheets, dialogs and macros hold no rows.
pub(super) struct Sheet {
    pub(super) name: String,
    is_hidden: bool,
    /// Its relationship.
    id: String,
}

/// Where the parts are.
#[derive(Default)]
struct Parts {
    /// The folder of the workbook's own part, with a `/` at its end.
    folder: String,
    texts: Option<String>,
    styles: Option<String>,
    /// By relationship.
    sheets: HashMap<String, String>,
}

impl<U: Upload> Workbook<U> {
    /// Reads what sheets there are.
    ///
    /// # Errors
    /// `damaged_file`, `archive_too_large`, `workbook_too_large`.
    pub(super) fn open(upload: U) -> Result<Self, Failure> {
        let mut workbook = Self {
            archive: Archive::open(upload)?,
            left: limits::WORKBOOK_UNPACKED_BYTES,
            held: Held::default(),
            parts: Parts::default(),
            sheets: Vec::new(),
            is_1904: false,
        };
        let mut own = None;
        if workbook.position("_rels/.rels").is_some() {
            workbook.read("_rels/.rels", |xml, _| {
                each_relationship(xml, |relation, tag| {
                    if relation == b"officeDocument" {
                        own = tag.text_of(b"Target")?;
                    }
                    Ok(())
                })
            })?;
        }
        let own = resolved("", own.as_deref().unwrap_or("xl/workbook.xml"));
        let (folder, name) = own.rsplit_once('/').unwrap_or(("", &own));
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        workbook.parts =
            workbook.read(&format!("{folder}_rels/{name}.rels"), |xml, held| Parts::read(&folder, xml, held))?;
        let (sheets, is_1904) = {
            let known = std::mem::take(&mut workbook.parts.sheets);
            let read = workbook.read(&own, |xml, held| read_sheets(xml, &known, held));
            workbook.parts.sheets = known;
            read?
        };
        (workbook.sheets, workbook.is_1904) = (sheets, is_1904);
        // Sorting keeps the order of equals.
        workbook.sheets.sort_by_key(|sheet| sheet.is_hidden);
        Ok(workbook)
    }

    /// The worksheets, those that are shown first.
    pub(super) fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    /// Reads what the cells of its sheets refer to.
    ///
    /// # Errors
    /// `damaged_file`, `workbook_too_large`.
    pub(super) fn references(&mut self) -> Result<References, Failure> {
        let part = |of: &Option<String>, usual| of.clone().unwrap_or(format!("{}{usual}", self.parts.folder));
        let (texts, styles) = (part(&self.parts.texts, "sharedStrings.xml"), part(&self.parts.styles, "styles.xml"));
        let is_there = |part: &str| self.position(part).is_some();
        let (has_texts, has_styles) = (is_there(&texts), is_there(&styles));
        let texts = if has_texts { self.read(&texts, SharedTexts::read)? } else { SharedTexts::default() };
        let styles = if has_styles { self.read(&styles, read_styles)? } else { Vec::new() };
        Ok(References { texts, styles, is_1904: self.is_1904 })
    }

    /// Has a worksheet read.
    ///
    /// # Errors
    /// `damaged_file`, `workbook_too_large`, those of `read`.
    pub(super) fn read_sheet<T>(
        &mut self,
        sheet: usize,
        read: impl FnOnce(&mut Xml<'_>) -> Result<T, Flaw>,
    ) -> Result<T, Failure> {
        let part = self.parts.sheets.get(&self.sheets[sheet].id).cloned().unwrap_or_default();
        self.read(&part, |xml, _| read(xml))
    }

    /// Which entry of the archive a part is. Names of parts are the same in any case (Part 2, §6.2.2.3); of equal
    /// entries the last counts.
    fn position(&self, part: &str) -> Option<usize> {
        let plain = |byte: u8| if byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() };
        let is_it = |name: &str| name.bytes().map(plain).eq(part.bytes().map(plain));
        self.archive.entries().iter().rposition(|entry| is_it(&entry.name))
    }

    fn read<T>(
        &mut self,
        part: &str,
        read: impl FnOnce(&mut Xml<'_>, &mut Held) -> Result<T, Flaw>,
    ) -> Result<T, Failure> {
        let shown = shown(part);
        let entry = self.position(part).ok_or_else(|| damaged(&format!("part {shown} is not there")))?;
        let unpacked = self.archive.unpack(entry)?;
        let metered = Metered { inner: unpacked, left: &mut self.left };
        Xml::new(metered).and_then(|mut xml| read(&mut xml, &mut self.held)).map_err(|flaw| failure(&shown, flaw))
    }
}

/// What is wrong with a part.
fn failure(part: &str, flaw: Flaw) -> Failure {
    let too_large = |what: String| too_large(format!("the workbook's part {part} {what}"));
    match flaw {
        Flaw::Failed(failure) => failure,
        Flaw::LongText => too_large(format!("has a text of more than {} bytes", limits::WORKBOOK_TEXT_BYTES)),
        Flaw::TooMuch => too_large(format!(
            "is more than the {} bytes that are held of a workbook have room for",
            limits::WORKBOOK_HELD_BYTES
        )),
        Flaw::DocumentType => damaged(&format!("part {part} has a document type")),
        Flaw::Malformed => damaged(&format!("part {part} is not what a workbook's is")),
        Flaw::Cut => damaged(&format!("part {part} is cut off")),
        Flaw::Unreadable(error) if error.get_ref().is_some_and(|inner| inner.is::<Spent>()) => {
            too_large(format!("and those before it unpack to more than {} bytes", limits::WORKBOOK_UNPACKED_BYTES))
        }
        Flaw::Unreadable(_) => damaged(&format!("part {part} does not unpack")),
    }
}

/// More has been unpacked than the limit.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("more has been unpacked than the limit")]
struct Spent;

/// Counts what is unpacked, and ends with [`Spent`].
struct Metered<'a, R> {
    inner: R,
    left: &'a mut u64,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        *self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(Spent))?;
        Ok(read)
    }
}

/// Calls `visit` with each relationship and the last word of what it is: both editions of the standard have the same
/// words there.
fn each_relationship(
    xml: &mut Xml<'_>,
    mut visit: impl FnMut(&[u8], &Tag<'_>) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    while let Some(token) = xml.next()? {
        if let Token::Start(tag) = token
            && tag.name == b"Relationship"
        {
            let relation = tag.attribute(b"Type")?.unwrap_or_default();
            visit(relation.rsplit(|byte| *byte == b'/').next().unwrap_or_default(), &tag)?;
        }
    }
    Ok(())
}

impl Parts {
    fn read(folder: &str, xml: &mut Xml<'_>, held: &mut Held) -> Result<Self, Flaw> {
        let mut parts = Self { folder: folder.to_owned(), ..Self::default() };
        each_relationship(xml, |relation, tag| {
            if !matches!(relation, b"worksheet" | b"sharedStrings" | b"styles") {
                return Ok(());
            }
            let Some(target) = tag.text_of(b"Target")? else { return Ok(()) };
            let path = resolved(folder, &target);
            match relation {
                b"sharedStrings" => parts.texts = Some(path),
                b"styles" => parts.styles = Some(path),
                _ => {
                    let Some(id) = tag.text_of(b"Id")? else { return Ok(()) };
                    held.keep(id.len() + path.len() + ITEM_BYTES)?;
                    parts.sheets.insert(id, path);
                }
            }
            Ok(())
        })?;
        Ok(parts)
    }
}

/// The path of a part in the archive that a relationship of a part in a folder names.
fn resolved(folder: &str, target: &str) -> String {
    let path = if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") };
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

/// Reads which worksheets there are, and whether days are counted from 1904.
fn read_sheets(
    xml: &mut Xml<'_>,
    known: &HashMap<String, String>,
    held: &mut Held,
) -> Result<(Vec<Sheet>, bool), Flaw> {
    let (mut sheets, mut is_1904) = (Vec::new(), false);
    while let Some(token) = xml.next()? {
        let Token::Start(tag) = token else { continue };
        match tag.name {
            b"workbookPr" => {
                if let Some(flag) = tag.attribute(b"date1904")? {
                    is_1904 = matches!(flag, b"1" | b"true");
                }
            }
            b"sheet" => {
                let mut sheet = Sheet { name: String::new(), is_hidden: false, id: String::new() };
                for attribute in tag.attributes() {
                    match attribute? {
                        (b"name", name) => sheet.name = text_of_attribute(name)?,
                        (b"state", state) => sheet.is_hidden = state != b"visible",
                        (b"id", id) => sheet.id = text_of_attribute(id)?,
                        _ => {}
                    }
                }
                if known.contains_key(&sheet.id) {
                    held.keep(sheet.name.len() + sheet.id.len() + ITEM_BYTES)?;
                    sheets.push(sheet);
                }
            }
            _ => {}
        }
    }
    Ok((sheets, is_1904))
}

/// Reads how the cells of each style are shown: by the number of its format, which may have a code (§18.8).
fn read_styles(xml: &mut Xml<'_>, held: &mut Held) -> Result<Vec<Shown>, Flaw> {
    let (mut codes, mut formats) = (BTreeMap::new(), Vec::new());
    let (mut in_codes, mut in_styles) = (false, false);
    while let Some(token) = xml.next()? {
        match token {
            Token::Start(tag) => match tag.name {
                b"numFmts" => in_codes = true,
                b"cellXfs" => in_styles = true,
                b"numFmt" if in_codes => {
                    if let (Some(format), Some(code)) = (number(&tag)?, tag.text_of(b"formatCode")?) {
                        held.keep(ITEM_BYTES)?;
                        codes.insert(format, Shown::by_code(&code));
                    }
                }
                b"xf" if in_styles => {
                    held.keep(size_of::<u32>() + size_of::<Shown>())?;
                    formats.push(number(&tag)?.unwrap_or(0));
                }
                _ => {}
            },
            Token::End(b"numFmts") => in_codes = false,
            Token::End(b"cellXfs") => in_styles = false,
            _ => {}
        }
    }
    Ok(formats.iter().map(|format| codes.get(format).copied().unwrap_or_else(|| Shown::by_number(*format))).collect())
}

/// The number of a format.
fn number(tag: &Tag<'_>) -> Result<Option<u32>, Flaw> {
    let number = tag.attribute(b"numFmtId")?;
    Ok(number.and_then(|number| std::str::from_utf8(number).ok()?.trim_ascii().parse().ok()))
}

#[cfg(test)]
mod tests;
