//! The texts of a workbook: shared ones, and those that stand in their cells (ECMA-376 Part 1, §18.4).

use std::ops::Range;

use penstock_model::limits;

use super::{
    ambiguous,
    held::Held,
    xml::{Flaw, Token, Xml},
};

/// The texts that cells share, one behind the other.
#[derive(Debug, Default)]
pub(super) struct SharedTexts {
    all: String,
    /// Where each ends. What is held of a workbook is far less than 4 GiB.
    ends: Vec<u32>,
}

impl SharedTexts {
    /// Reads the part that holds them. How many it announces is a hint, and ignored.
    ///
    /// # Errors
    /// [`Flaw`], also where they are more than may be held.
    pub(super) fn read(xml: &mut Xml<'_>, held: &mut Held) -> Result<Self, Flaw> {
        let (mut texts, mut text) = (Self::default(), Vec::new());
        while let Some(token) = xml.next()? {
            if !matches!(token, Token::Start(tag) if tag.name == b"si") {
                continue;
            }
            text.clear();
            rich_text(xml, &mut text)?;
            held.keep(text.len() + size_of::<u32>())?;
            texts.all.push_str(std::str::from_utf8(&text).map_err(|_| Flaw::Malformed)?);
            texts.ends.push(texts.all.len() as u32);
        }
        Ok(texts)
    }

    /// The text of a number, from 0.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.all.get(start as usize..end as usize)
    }

    /// Whether one of them may be an [ambiguous](super::ambiguous) number.
    pub(super) fn may_be_ambiguous(&self) -> bool {
        let in_one_text = |number: Range<usize>| {
            let text = self.ends.partition_point(|end| *end as usize <= number.start);
            self.ends.get(text).is_some_and(|end| number.end <= *end as usize)
        };
        ambiguous::numbers(self.all.as_bytes()).any(in_one_text)
    }
}

/// Adds the text of the element that has started last, up to its end: that of its runs, not how they are pronounced.
pub(super) fn rich_text(xml: &mut Xml<'_>, text: &mut Vec<u8>) -> Result<(), Flaw> {
    let (begin, mut inside) = (text.len(), 0usize);
    loop {
        if text.len() - begin > limits::WORKBOOK_TEXT_BYTES {
            return Err(Flaw::LongText);
        }
        match xml.token()? {
            Token::Start(tag) if tag.name == b"t" => {
                let keeps_space = tag.attribute(b"space")? == Some(b"preserve");
                let start = text.len();
                xml.element_text(text)?;
                if !keeps_space {
                    let trimmed = text[start..].trim_ascii_end().len();
                    text.truncate(start + trimmed);
                    let white = text.len() - start - text[start..].trim_ascii_start().len();
                    text.drain(start..start + white);
                }
                unescape(text, start);
            }
            Token::Start(tag) if tag.name == b"rPh" => xml.pass_element()?,
            Token::Start(_) => inside += 1,
            Token::End(_) => match inside.checked_sub(1) {
                Some(outer) => inside = outer,
                None => return Ok(()),
            },
            Token::Text(_) | Token::Literal(_) => {}
        }
    }
}

/// Resolves the escapes of a text from `start` on: `_xHHHH_` stands for a unit of UTF-16 that XML cannot hold
/// (§22.9.2.19).
#[inline]
pub(super) fn unescape(text: &mut Vec<u8>, start: usize) {
    if memchr::memmem::find(&text[start..], b"_x").is_some() {
        resolve(text, start);
    }
}

#[cold]
fn resolve(text: &mut Vec<u8>, start: usize) {
    let escaped = text.split_off(start);
    let mut rest = escaped.as_slice();
    while let Some(at) = memchr::memchr(b'_', rest) {
        text.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match escape(rest) {
            None => {
                text.push(b'_');
                rest = &rest[1..];
            }
            Some(unit) => {
                rest = &rest[ESCAPE_BYTES..];
                let low = escape(rest).filter(|low| (0xd800..0xdc00).contains(&unit) && (0xdc00..0xe000).contains(low));
                if low.is_some() {
                    rest = &rest[ESCAPE_BYTES..];
                }
                let units = [Some(unit), low].into_iter().flatten();
                for c in char::decode_utf16(units) {
                    let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }
    text.extend_from_slice(rest);
}

const ESCAPE_BYTES: usize = "_xHHHH_".len();

/// The unit of the escape that a text begins with.
fn escape(text: &[u8]) -> Option<u16> {
    let digits = text.get(..ESCAPE_BYTES)?.strip_prefix(b"_x")?.strip_suffix(b"_")?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(part: &str) -> Result<Vec<String>, Flaw> {
        let mut xml = Xml::new(part.as_bytes())?;
        let texts = SharedTexts::read(&mut xml, &mut Held::default())?;
        assert_eq!(texts.get(texts.ends.len()), None);
        Ok((0..texts.ends.len()).map(|at| texts.get(at).expect("one of them").to_owned()).collect())
    }

    #[test]
    fn texts_are_those_of_their_runs() {
        let part = "<?xml version='1.0'?><!-- by hand --><x:sst xmlns:x='y' count='9' uniqueCount='99999999999'>\
             <x:si><x:t>plain</x:t></x:si><si/><si><t/></si> <si><t xml:space=\"preserve\"> a </t></si><si><t> b\u{a0} </t></si>\
             <si><r><rPr><b/></rPr><t>ri</t></r><r><t xml:space='preserve'>ch </t></r><rPh sb='0' eb='1'><t>no</t></rPh><phoneticPr/></si>\
             <si><t>a<![CDATA[<&b>]]>&#x63;&amp;&quot;<!-- -->d<?e?></t></si><si><t>1\r\n2\r3&#13;4</t></si>\
             <si><t>_x000D__x005F_x000D__xd83d__xDCF7__xD83D__x_xZZZZ_</t></si><extLst><ext/></extLst></x:sst>\n";
        let wanted = [
            "plain",
            "",
            "",
            " a ",
            "b\u{a0}",
            "rich ",
            "a<&b>c&\"d",
            "1\n2\n3\r4",
            "\r_x000D_\u{1f4f7}\u{fffd}_x_xZZZZ_",
        ];
        assert_eq!(texts(part).expect("texts"), wanted);
    }

    #[test]
    fn they_are_held_within_the_limit() {
        let text = "x".repeat(limits::WORKBOOK_TEXT_BYTES / 2);
        let part = format!("<sst>{}</sst>", format!("<si><t>{text}</t></si>").repeat(130));
        assert!(matches!(texts(&part), Err(Flaw::TooMuch)));
        let rich = |runs| format!("<sst><si>{}</si></sst>", format!("<r><t>{text}</t></r>").repeat(runs));
        assert_eq!(texts(&rich(2)).expect("two runs").len(), 1);
        assert!(matches!(texts(&rich(3)), Err(Flaw::LongText)));
    }
}
