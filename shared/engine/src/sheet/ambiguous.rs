//! Whether a text of a workbook may be a number such as `1.234`, which is 1.234 in one country and 1234 in another.
//!
//! Only among such numbers can those of a workbook contradict the way in which they would be read, and few workbooks
//! have any: their numbers are numbers. So it is asked of all texts in passing, whatever they are of, and the rows are
//! looked at only where the answer is yes. It may be a yes too many, never one too few.

use std::ops::Range;

use memchr::{memchr2_iter, memmem};

/// Where in a text a digit, a point or a comma, and three digits stand.
pub(super) fn numbers(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let are_digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    let is_one = move |number: &[u8]| are_digits(&number[..1]) && are_digits(&number[2..]);
    memchr2_iter(b'.', b',', text)
        .filter_map(|at| Some(at.checked_sub(1)?..at + 4))
        .filter(move |place| text.get(place.clone()).is_some_and(is_one))
}

fn holds_one(text: &[u8]) -> bool {
    numbers(text).next().is_some()
}

/// The text that stands in a cell itself, piece after piece as it stands in the part.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OwnText {
    /// The cell's type is a number.
    is_number: bool,
    has_begun: bool,
}

impl OwnText {
    pub(super) fn new(is_number: bool) -> Self {
        Self { is_number, has_begun: false }
    }

    /// Notes that the text is one whatever the cell's type says.
    pub(super) fn be_no_number(&mut self) {
        self.is_number = false;
    }

    /// Whether the text may be one, with this piece. What is in several pieces or refers to characters by their numbers
    /// is not put together to know.
    pub(super) fn may_be_one(&mut self, piece: &[u8]) -> bool {
        // A mark that may be read in two ways is alone in its number: then XML reads it too, and the cell is no text.
        if !self.has_begun && self.is_number && is_of_digits(piece) {
            self.has_begun = true;
            return false;
        }
        if piece.trim_ascii().is_empty() {
            return false;
        }
        if std::mem::replace(&mut self.has_begun, true) {
            return true;
        }
        holds_one(piece) || [&b"&#"[..], b"_x"].into_iter().any(|escape| memmem::find(piece, escape).is_some())
    }
}

/// Whether a text begins and ends with a digit, but for a sign, and holds nothing but digits and points.
fn is_of_digits(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let are_ends = [text.first(), text.last()].iter().all(|end| end.is_some_and(u8::is_ascii_digit));
    are_ends && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_between_digits_of_which_three_follow_is_one() {
        for text in ["1.234", "12,345 kg", "a 1.2345", "x1.2.345"] {
            assert!(holds_one(text.as_bytes()), "{text}");
        }
        for text in ["", ".", "1.", ".234", "1.23", "9,99", "1, 234", "00000001.jpg", "v.123", "1.23a"] {
            assert!(!holds_one(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn pieces_that_may_come_to_one_are_one() {
        let may_be = |is_number, pieces: &[&str]| {
            let mut text = OwnText::new(is_number);
            pieces.iter().any(|piece| text.may_be_one(piece.as_bytes()))
        };
        for pieces in [&["1.234"][..], &["1.", "234"], &["1", " ", ".234"], &["1&#46;234"], &["1_x002E_234"]] {
            assert!(may_be(false, pieces), "{pieces:?}");
        }
        assert!(!may_be(false, &[" ", "19.99", "\n"]) && !may_be(false, &["H&amp;M"]));
        for piece in ["1.234", "-12.345", "7", "-1.5E+3"] {
            assert!(!may_be(true, &[piece]), "{piece}");
        }
        for pieces in [&["1,234"][..], &["e", "1.234"], &["1.234e"], &["1.234-"], &["1.234."], &[".1.234"]] {
            assert!(may_be(true, pieces), "{pieces:?}");
        }
    }
}
