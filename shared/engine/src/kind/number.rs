//! Numbers as people and programs write them.

use std::borrow::Cow;

use penstock_model::Decimal;

use super::{
    advice,
    number_style::{Groups, NumberStyle},
};
use crate::{cell::CellError, notes::OTHER_DECIMAL_CHAR};

/// How a field's numbers are written, and their bounds.
#[derive(Debug, Clone)]
pub(super) struct NumberRule {
    pub(super) decimal_char: char,
    pub(super) group_char: Option<char>,
    pub(super) bare: bool,
    pub(super) minimum: Option<Decimal>,
    pub(super) maximum: Option<Decimal>,
    /// The greatest that is too small, and the least that is too large.
    pub(super) between: [Option<Decimal>; 2],
    pub(super) max_scale: Option<u8>,
}

impl Default for NumberRule {
    fn default() -> Self {
        Self {
            decimal_char: '.',
            group_char: None,
            bare: true,
            minimum: None,
            maximum: None,
            between: [None; 2],
            max_scale: None,
        }
    }
}

impl NumberRule {
    /// Whether the rule accepts every number as a program writes it.
    pub(super) fn takes_any_number(&self) -> bool {
        self.decimal_char == '.' && self.group_char.is_none() && self.is_unbounded()
    }

    fn is_unbounded(&self) -> bool {
        self.minimum.is_none() && self.maximum.is_none() && self.between == [None; 2] && self.max_scale.is_none()
    }

    /// A number in text.
    pub(super) fn number(&self, text: &str) -> Result<Decimal, CellError> {
        let text = trimmed(text);
        let plain = self.plain(text).ok_or_else(|| self.refused(text, "not a number"))?;
        let number = Decimal::parse(&plain).map_err(|error| self.refused(text, &error.to_string()))?;
        self.within(number)
    }

    /// A whole number in text, without a point: `5.0` is none.
    pub(super) fn integer(&self, text: &str) -> Result<Decimal, CellError> {
        let plain = self.plain(trimmed(text)).and_then(|plain| plain.parse::<i64>().ok());
        let refused = || match advice::number(self.decimal_char, self.group_char, text, true) {
            Some(advice) => CellError::new("invalid_integer", advice),
            // What is made of digits alone is too large.
            None if trimmed(text).bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => no_integer(),
            None => CellError::new("invalid_integer", "not a whole number: write it like 1234"),
        };
        self.within(plain.ok_or_else(refused)?.into())
    }

    /// The literal of a JSON number.
    pub(super) fn json(&self, literal: &str) -> Result<Decimal, CellError> {
        let number = Decimal::parse(literal);
        self.within(number.map_err(|error| CellError::new("invalid_number", error.to_string()))?)
    }

    /// The literal of a JSON number that is whole: `5.0` is 5.
    pub(super) fn json_integer(&self, literal: &str) -> Result<Decimal, CellError> {
        let integer = Decimal::parse(literal).ok().and_then(|number| number.as_i64());
        self.within(integer.ok_or_else(no_integer)?.into())
    }

    /// The text as a program would write the number; borrowed where it is already. `None` for a text that cannot be a
    /// number. Digits are grouped as people group them: by three before the decimal character, the groups further left
    /// by two or three, and none behind it. So `1,5` is never 15.
    fn plain<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        let mut text = text;
        if !self.bare {
            text = self.without_unit(text)?;
        }
        if self.decimal_char == '.' && self.group_char.is_none_or(|group| !text.contains(group)) {
            return Some(Cow::Borrowed(text));
        }
        let mut plain = String::with_capacity(text.len());
        let mut groups = Groups::default();
        for c in text.chars() {
            match c {
                c if Some(c) == self.group_char => groups.separate()?,
                c if c == self.decimal_char => {
                    groups.end()?;
                    plain.push('.');
                }
                '.' => return None,
                other => {
                    groups.take(other)?;
                    plain.push(other);
                }
            }
        }
        groups.end()?;
        Some(Cow::Owned(plain))
    }

    /// The number without what stands before and behind it, such as a currency. `None` where that may hold a sign,
    /// which must not be lost.
    fn without_unit<'a>(&self, text: &'a str) -> Option<&'a str> {
        let starts = |(at, c): &(usize, char)| {
            let digit_follows = || text[*at + c.len_utf8()..].starts_with(|next: char| next.is_ascii_digit());
            c.is_ascii_digit() || *c == '-' || (*c == self.decimal_char && digit_follows())
        };
        let start = text.char_indices().find(starts).map(|(at, _)| at)?;
        let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
        let sign = |c: char| matches!(c, '-' | '(' | ')' | '\u{2212}');
        let unit = [text.get(..start)?, text.get(end..)?];
        (!unit.iter().any(|unit| unit.contains(sign))).then(|| text.get(start..end))?
    }

    /// A number as the rule takes it in a cell of text.
    pub(super) fn written(&self, number: &str) -> String {
        number.replace('.', &self.decimal_char.to_string())
    }

    fn no_number(&self, what: &str) -> CellError {
        let (decimal, group) = (self.decimal_char, self.group_char.map(String::from).unwrap_or_default());
        let without = match (self.bare, self.group_char) {
            (true, None) => ", without currency or thousands separators",
            (true, Some(_)) => ", without currency",
            (false, None) => ", without thousands separators",
            (false, Some(_)) => "",
        };
        CellError::new("invalid_number", format!("{what}; write it as 1{group}234{decimal}56{without}"))
    }

    /// Why a text is refused that is no number.
    fn refused(&self, text: &str, what: &str) -> CellError {
        let code = match self.evidence(text) {
            // Beside a currency no option helps.
            Some(Evidence::Other { .. }) if !(self.bare && advice::without_currency(text).is_some()) => {
                OTHER_DECIMAL_CHAR
            }
            _ => "invalid_number",
        };
        let message = advice::number(self.decimal_char, self.group_char, text, false)
            .unwrap_or_else(|| self.no_number(what).message);
        CellError::new(code, message)
    }

    /// What the way in which a number is written says of the decimal character of its file; `None` where it says
    /// nothing: it has neither a point nor a comma, or is no number.
    pub(super) fn evidence(&self, text: &str) -> Option<Evidence> {
        let own = self.decimal_char;
        let is_digit = |c: char| c.is_ascii_digit();
        // What a currency stands beside is as certain as a number alone, also where the field takes no currency.
        let (text, has_unit) = match self.bare {
            true => match advice::without_currency(trimmed(text)) {
                Some(number) => (number, true),
                None => (trimmed(text), false),
            },
            false => (text.get(text.find(is_digit)?..=text.rfind(is_digit)?)?, false),
        };
        let seems = |decimal: char, group| if decimal == own { Evidence::Own } else { Evidence::Other { group } };
        match NumberStyle::of(text).filter(|_| matches!(own, '.' | ','))? {
            NumberStyle::Comma(group) => Some(seems(',', group)),
            NumberStyle::Point(group) => Some(seems('.', group)),
            // With a currency it is refused, and so is not read wrong.
            NumberStyle::Either(_) if has_unit => None,
            NumberStyle::Either(decimal) => Some(Evidence::Either { decimal }),
            NumberStyle::Grouped(_) => None,
        }
    }

    /// Takes what options say in place of what the rule says.
    ///
    /// # Errors
    /// What would stand for two things, as the end of a sentence.
    pub(super) fn read_by(&mut self, decimal: Option<char>, group: Option<char>) -> Result<(), &'static str> {
        if let Some(decimal) = decimal {
            self.decimal_char = decimal;
            self.group_char = self.group_char.filter(|own| *own != decimal);
        }
        if group == Some(self.decimal_char) {
            return Err("is the decimal character");
        }
        self.group_char = group.or(self.group_char);
        Ok(())
    }

    /// The decimal character that an integer does not have: one that does not group its digits.
    pub(super) fn point_of_integer(group: Option<char>) -> char {
        if group == Some('.') { ',' } else { '.' }
    }

    fn within(&self, number: Decimal) -> Result<Decimal, CellError> {
        if self.is_unbounded() {
            return Ok(number);
        }
        if let Some(limit) = self.between[0].filter(|limit| number <= *limit) {
            return Err(CellError::new("too_small", format!("must be more than {limit}")));
        }
        if let Some(limit) = self.between[1].filter(|limit| number >= *limit) {
            return Err(CellError::new("too_large", format!("must be less than {limit}")));
        }
        if let Some(limit) = self.minimum.filter(|limit| number < *limit) {
            return Err(CellError::new("too_small", format!("the least is {limit}")));
        }
        if let Some(limit) = self.maximum.filter(|limit| number > *limit) {
            return Err(CellError::new("too_large", format!("the limit is {limit}")));
        }
        match self.max_scale {
            Some(limit) if number.scale() > limit => Err(CellError::new(
                "too_precise",
                format!("{} digits behind the point, the limit is {limit}", number.scale()),
            )),
            _ => Ok(number),
        }
    }
}

/// What a number says of the decimal character of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It can only have the decimal character of its field.
    Own,
    /// It can only have the other one of point and comma, and has this character between groups of digits.
    Other {
        /// The character between groups.
        group: Option<char>,
    },
    /// Three digits behind this character: it is a decimal character, or stands between thousands.
    Either {
        /// The character.
        decimal: char,
    },
}

/// Whether a text is a number like most: a digit, and at most 17 more characters, digits and at most one point.
pub(super) fn is_plain(text: &str) -> bool {
    let mut points = 0;
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let is_part = |byte: &u8| {
        points += usize::from(*byte == b'.');
        is_digit(byte) || *byte == b'.'
    };
    let bytes = text.as_bytes();
    bytes.len() <= 18 && bytes.first().is_some_and(is_digit) && bytes.iter().all(is_part) && points <= 1
}

/// The text without white space around it. Few texts have any, and looking for the characters that Unicode calls white
/// space takes longer than reading a number.
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

fn no_integer() -> CellError {
    CellError::new("invalid_integer", format!("not a whole number from {} to {}", i64::MIN, i64::MAX))
}
