//! How numbers are written: what stands before their fraction, and between the groups of their digits.

/// How a number is written that has more than digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberStyle {
    /// `12,5`, `1.234,56`, `1 234,56`, `1.234.567`: the fraction stands behind a comma; groups are separated by this.
    Comma(Option<char>),
    /// `12.5`, `1,234.56`, `1'234.56`, `1,234,567`: the fraction stands behind a point; groups are separated by this.
    Point(Option<char>),
    /// `1,234` or `1.234`: this separates either a group or the fraction.
    Either(char),
    /// `1'234`: groups are separated by this, and there is no fraction.
    Grouped(char),
}

impl NumberStyle {
    /// How a text is written that is a number to people, if it is one; `None` for digits alone.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        let is_mark = |c: char| matches!(c, '.' | ',' | '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{202f}' | '_');
        let is_digit = |c: char| c.is_ascii_digit();
        if !text.starts_with(is_digit) || !text.ends_with(is_digit) || !text.chars().all(|c| is_digit(c) || is_mark(c))
        {
            return None;
        }
        let (last, mark) = text.char_indices().rfind(|(_, c)| !is_digit(*c))?;
        let (whole, fraction) = (&text[..last], &text[last + mark.len_utf8()..]);
        let style = |decimal: char, group| if decimal == ',' { Self::Comma(group) } else { Self::Point(group) };
        let other = match mark {
            ',' => '.',
            '.' => ',',
            _ => return groups_of(text)?.map(Self::Grouped),
        };
        match groups_of(whole) {
            // `1.234` may be a thousand and more. `0.234`, `1234.567` and `1.2` are not.
            Some(None) if fraction.len() == 3 && whole.len() <= 3 && !whole.starts_with('0') => {
                Some(Self::Either(mark))
            }
            Some(group) if group != Some(mark) => Some(style(mark, group)),
            // `1.234.567`: what stands twice is no decimal character.
            _ => (groups_of(text)? == Some(mark)).then(|| style(other, Some(mark))),
        }
    }
}

/// What separates the groups of digits of a whole number: nothing, or one character. `None` where they are no groups.
fn groups_of(whole: &str) -> Option<Option<char>> {
    let mark = whole.chars().find(|c| !c.is_ascii_digit());
    let mut groups = Groups::default();
    for c in whole.chars() {
        match c {
            c if Some(c) == mark => groups.separate()?,
            c if c.is_ascii_digit() => groups.take(c)?,
            _ => return None,
        }
    }
    groups.end()?;
    Some(mark)
}

/// Digits in groups, before the fraction of a number, as they are met.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Digits since the start or the last separator.
    digits: usize,
    /// Whether the first digit is 0: then a fraction follows, and no group.
    starts_with_zero: bool,
    is_separated: bool,
    has_ended: bool,
}

impl Groups {
    /// Takes what is no separator: a digit, or something that the number's own grammar judges.
    pub(super) fn take(&mut self, c: char) -> Option<()> {
        match c.is_ascii_digit() {
            true => {
                self.starts_with_zero |= c == '0' && self.digits == 0 && !self.is_separated && !self.has_ended;
                self.digits += 1;
            }
            // An exponent.
            false if self.digits > 0 => self.end()?,
            false => {}
        }
        Some(())
    }

    pub(super) fn separate(&mut self) -> Option<()> {
        let most = if self.is_separated { 2..=3 } else { 1..=3 };
        // Nobody writes 125 as `0.125`.
        let is_group = !self.has_ended && !self.starts_with_zero && most.contains(&self.digits);
        (self.is_separated, self.digits) = (true, 0);
        is_group.then_some(())
    }

    pub(super) fn end(&mut self) -> Option<()> {
        let is_group = self.has_ended || !self.is_separated || self.digits == 3;
        self.has_ended = true;
        is_group.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_by_how_they_are_written() {
        use NumberStyle::{Comma, Either, Grouped, Point};
        for (cell, style) in [
            ("12,5", Some(Comma(None))),
            ("1.234,56", Some(Comma(Some('.')))),
            ("1.234.567,8", Some(Comma(Some('.')))),
            ("1.234.567", Some(Comma(Some('.')))),
            ("-1 234,56", Some(Comma(Some(' ')))),
            ("1,234.56", Some(Point(Some(',')))),
            ("1,234,567", Some(Point(Some(',')))),
            ("1'234.50", Some(Point(Some('\'')))),
            ("1'234", Some(Grouped('\''))),
            ("1,234", Some(Either(','))),
            ("1.234", Some(Either('.'))),
            ("0,125", Some(Comma(None))),
            ("00.125", Some(Point(None))),
            ("0.125.000", None),
            ("0 125", None),
            ("1234,567", Some(Comma(None))),
            ("12.5", Some(Point(None))),
            ("1,23,456.7", Some(Point(Some(',')))),
            ("12", None),
            ("1,2,3", None),
            ("1.23.456", Some(Comma(Some('.')))),
            ("12,", None),
            ("x1,5", None),
            ("2024-12-31", None),
        ] {
            assert_eq!(NumberStyle::of(cell), style, "{cell}");
        }
    }
}
