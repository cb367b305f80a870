//! Looking at a workbook's parts before anything reads them.

use penstock_model::limits;

/// What a reader of a part would take too much memory for, or what no workbook needs and hides it.
pub(super) enum Oddity {
    LongText,
    Declaration,
    Announcement,
}

/// Looks at a part of a workbook as it unpacks, in pieces cut anywhere, for what its reader holds at once: a tag, or a text between two.
#[derive(Default)]
pub(super) struct Inspector {
    state: Markup,
    /// Bytes of the tag or text so far.
    run: usize,
    seen_any: bool,
    count: Announced,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Markup {
    #[default]
    Text,
    /// Just behind `<`.
    Opened,
    Tag,
    /// In an attribute's value, up to this quote.
    Value(u8),
}

impl Inspector {
    pub(super) fn look(&mut self, piece: &[u8]) -> Result<(), Oddity> {
        self.count.look(piece)?;
        let mut at = 0;
        while at < piece.len() {
            // What changes the state; bytes before it count, and do nothing else. They are too few for a search that has to be set up.
            let rest = &piece[at..];
            let found = match self.state {
                Markup::Text => rest.iter().position(|byte| *byte == b'<'),
                Markup::Opened => Some(0),
                Markup::Tag => rest.iter().position(|byte| matches!(byte, b'>' | b'"' | b'\'')),
                Markup::Value(quote) => rest.iter().position(|byte| *byte == quote),
            };
            let passed = found.map_or(rest.len(), |found| found + 1);
            self.run += passed;
            if self.run > limits::WORKBOOK_TEXT_BYTES {
                return Err(Oddity::LongText);
            }
            at += passed;
            if found.is_some() {
                self.step(piece[at - 1])?;
            }
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), Oddity> {
        self.state = match (self.state, byte) {
            (Markup::Text, _) => {
                self.run = 0;
                Markup::Opened
            }
            (Markup::Opened, b'!') => return Err(Oddity::Declaration),
            (Markup::Opened, b'?') if std::mem::replace(&mut self.seen_any, true) => {
                return Err(Oddity::Declaration);
            }
            (Markup::Opened | Markup::Tag, b'>') => {
                self.run = 0;
                Markup::Text
            }
            (Markup::Opened | Markup::Tag, b'"' | b'\'') => Markup::Value(byte),
            (Markup::Opened, _) => {
                self.seen_any = true;
                Markup::Tag
            }
            (state @ Markup::Tag, _) => state,
            (Markup::Value(_), _) => Markup::Tag,
        };
        Ok(())
    }
}

/// The attribute by which shared strings announce how many they are: a reader makes room for as many before it has seen one.
#[derive(Default)]
struct Announced {
    /// Bytes of the attribute's name that have been met.
    matched: usize,
    /// Its number so far, once its name is behind.
    number: Option<u64>,
}

const ANNOUNCES: &[u8] = b"uniqueCount";

impl Announced {
    fn look(&mut self, piece: &[u8]) -> Result<(), Oddity> {
        let mut at = 0;
        while at < piece.len() {
            if self.matched == 0 && self.number.is_none() {
                // Where the name may begin next: in front of it, or of what may be its start at the end of the piece.
                let border = piece.len().saturating_sub(ANNOUNCES.len() - 1);
                let found = memchr::memmem::find(&piece[at..], ANNOUNCES).map(|found| at + found);
                at = found.unwrap_or(border.max(at));
            }
            let Some(&byte) = piece.get(at) else { break };
            self.take(byte)?;
            at += 1;
        }
        Ok(())
    }

    fn take(&mut self, byte: u8) -> Result<(), Oddity> {
        match self.number {
            Some(number) if byte.is_ascii_digit() => {
                let number = number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                self.number = Some(number);
                // The shortest string is `<si/>`.
                if number > limits::WORKBOOK_PART_BYTES / 5 {
                    return Err(Oddity::Announcement);
                }
            }
            Some(0) if matches!(byte, b'=' | b'"' | b'\'' | b' ' | b'\t' | b'\n' | b'\r' | b'+') => {}
            Some(_) => *self = Self::default(),
            None => {
                self.matched = match byte {
                    byte if byte == ANNOUNCES[self.matched] => self.matched + 1,
                    byte => usize::from(byte == ANNOUNCES[0]),
                };
                if self.matched == ANNOUNCES.len() {
                    *self = Self { matched: 0, number: Some(0) };
                }
            }
        }
        Ok(())
    }
}
