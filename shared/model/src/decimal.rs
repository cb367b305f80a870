//! Exact decimals: a price is never a float.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An exact decimal number in canonical plain notation: `0`, `-12.5`, `1200`. At most 38 digits, the precision of a DynamoDB number.
///
/// Equal numbers have equal text: `9.90`, `+9.9` and `99e-1` all read `9.9`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decimal(String);

/// Why a text is not a [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a number in the grammar of [`Decimal::parse`].
    #[error("not a number")]
    Syntax,
    /// A number that needs more digits than are kept.
    #[error("more than {} digits", Decimal::DIGITS)]
    Digits,
}

impl Decimal {
    /// Significant digits that are kept, at most (Amazon DynamoDB Developer Guide, "Data types: Number").
    pub const DIGITS: usize = 38;

    /// Reads `[+-] digits [. digits] [(e|E) [+-] digits]`; one side of the point may be empty, not both.
    ///
    /// # Errors
    /// [`DecimalError::Syntax`] for anything else, `NaN` and `INF` included; [`DecimalError::Digits`] where the plain notation needs
    /// more than [`Decimal::DIGITS`] digits, before and after the point together. Nothing is ever rounded.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(DecimalError::Syntax);
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self("0".to_owned()));
        }
        // The value is 0.significant × 10^point.
        let point = whole.len() as i64 - (digits.len() - significant.len()) as i64 + exponent;
        let significant = significant.trim_end_matches('0');
        let bound = Self::DIGITS as i64;
        let fraction_digits = (significant.len() as i64 - point).max(0);
        if point.max(0) + fraction_digits > bound {
            return Err(DecimalError::Digits);
        }
        let mut plain = String::from(if negative { "-" } else { "" });
        if point <= 0 {
            plain.push_str("0.");
            plain.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
            plain.push_str(significant);
        } else {
            let whole_digits = point as usize;
            if significant.len() <= whole_digits {
                plain.push_str(significant);
                plain.extend(std::iter::repeat_n('0', whole_digits - significant.len()));
            } else {
                plain.push_str(&significant[..whole_digits]);
                plain.push('.');
                plain.push_str(&significant[whole_digits..]);
            }
        }
        Ok(Self(plain))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares by value.
    pub fn cmp_value(&self, other: &Self) -> std::cmp::Ordering {
        let magnitude = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let whole = whole.trim_start_matches('0');
            (whole.len(), whole.to_owned(), fraction.to_owned())
        };
        match (self.0.strip_prefix('-'), other.0.strip_prefix('-')) {
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, None) => magnitude(&self.0).cmp(&magnitude(&other.0)),
            (Some(mine), Some(theirs)) => magnitude(theirs).cmp(&magnitude(mine)),
        }
    }
}

fn exponent(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    // An exponent of more than six digits is out of every bound anyway, unless the mantissa is zero.
    let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX).min(1_000_000);
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    fn canonical(text: &str) -> Result<String, DecimalError> {
        Decimal::parse(text).map(|d| d.as_str().to_owned())
    }

    #[test]
    fn equal_numbers_have_equal_text() {
        for (text, plain) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("9.90", "9.9"),
            ("+9.9", "9.9"),
            ("99e-1", "9.9"),
            (".5", "0.5"),
            ("5.", "5"),
            ("007", "7"),
            ("1200", "1200"),
            ("1.2E3", "1200"),
            ("-0.00120", "-0.0012"),
            ("1e-3", "0.001"),
            ("0e999999999999999999999", "0"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(plain), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_number_and_what_would_need_rounding() {
        for text in ["", ".", "-", "1,5", "1.2.3", "NaN", "INF", "1e", "e5", "0x10", "1 ", "--1", "１"] {
            assert_eq!(canonical(text), Err(DecimalError::Syntax), "{text}");
        }
        assert_eq!(canonical(&"9".repeat(39)), Err(DecimalError::Digits));
        assert_eq!(canonical(&"9".repeat(38)).as_deref(), Ok("9".repeat(38).as_str()));
        assert_eq!(canonical("1e38"), Err(DecimalError::Digits));
        assert_eq!(canonical("1e-39"), Err(DecimalError::Digits));
        assert_eq!(canonical("1e99999999999999999999"), Err(DecimalError::Digits));
    }

    #[test]
    fn compares_by_value() {
        let decimal = |text| Decimal::parse(text).expect("a number");
        for (less, more) in
            [("0.00001", "0.0001"), ("-5", "0"), ("-5.1", "-5"), ("9", "10"), ("1.5", "1.51"), ("0.5", "1")]
        {
            assert_eq!(decimal(less).cmp_value(&decimal(more)), Ordering::Less, "{less} {more}");
            assert_eq!(decimal(more).cmp_value(&decimal(less)), Ordering::Greater, "{less} {more}");
        }
        assert_eq!(decimal("1.50").cmp_value(&decimal("1.5")), Ordering::Equal);
    }
}
