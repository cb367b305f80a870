//! Exact decimals: a price is never a float.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// An exact decimal number of at most 38 digits, the precision of a DynamoDB number.
///
/// Equal numbers are equal and have equal text, in plain notation: `9.90`, `+9.9` and `99e-1` all read `9.9`.
/// Serialized as that text.
// Rows keep cells by the thousand, and a number aligned to 16 bytes would make each of them, texts too, half as large
// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(Rust, packed(8))]
pub struct Decimal {
    /// The digits, without the point: at most 38 fit. Does not end in 0 unless `scale` is 0.
    mantissa: i128,
    /// How many of the digits stand behind the point, 38 at most.
    scale: u8,
}

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

    /// Reads `[+-] digits [. digits] [(e|E) [+-] digits]`; one side of the point may be empty, not both. Nothing is
    /// allocated.
    ///
    /// # Errors
    /// [`DecimalError::Syntax`] for anything else, `NaN` and `INF` included; [`DecimalError::Digits`] where the plain
    /// notation needs more than [`Decimal::DIGITS`] digits, before and after the point together. Nothing is ever
    /// rounded.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        if let Some(short) = Self::parse_short(text) {
            return Ok(short);
        }
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (digits, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits().all(|b| b.is_ascii_digit()) {
            return Err(DecimalError::Syntax);
        }
        let Some(first) = digits().position(|b| b != b'0') else { return Ok(Self { mantissa: 0, scale: 0 }) };
        let last = digits().enumerate().filter(|(_, b)| *b != b'0').last().map_or(first, |(at, _)| at);
        let significant = (last - first + 1) as i64;
        // The value is 0.significant × 10^point.
        let point = whole.len() as i64 - first as i64 + exponent;
        let scale = (significant - point).max(0);
        if point.max(0) + scale > Self::DIGITS as i64 {
            return Err(DecimalError::Digits);
        }
        let mut mantissa: i128 = 0;
        for digit in digits().skip(first).take(last - first + 1) {
            mantissa = mantissa * 10 + i128::from(digit - b'0');
        }
        mantissa *= power((point - significant).max(0) as u8);
        Ok(Self { mantissa: if negative { -mantissa } else { mantissa }, scale: scale as u8 })
    }

    /// Reads a number as nearly all are written: an optional `-` and up to 18 digits, with a point among them in place
    /// of one of them or without. `None` for any other text, which may be a number too.
    fn parse_short(text: &str) -> Option<Self> {
        let (negative, number) = match text.as_bytes() {
            [b'-', number @ ..] => (true, number),
            number => (false, number),
        };
        if number.len() > 18 {
            return None;
        }
        let (mut mantissa, mut point) = (0_i64, None);
        for (at, byte) in number.iter().enumerate() {
            match byte {
                b'0'..=b'9' => mantissa = mantissa * 10 + i64::from(byte - b'0'),
                b'.' if point.is_none() => point = Some(at),
                _ => return None,
            }
        }
        if number.len() == usize::from(point.is_some()) {
            return None;
        }
        let mut scale = point.map_or(0, |at| number.len() - 1 - at);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Some(Self { mantissa: i128::from(if negative { -mantissa } else { mantissa }), scale: scale as u8 })
    }

    /// How many digits stand behind the point: 1 for `9.90`.
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// How many digits the number has, leading zeros not counted: 2 for `9.90`.
    pub fn digits(&self) -> usize {
        self.mantissa.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1)
    }

    /// The number as an integer of 64 bits, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        (self.scale == 0).then(|| i64::try_from(self.mantissa).ok())?
    }

    /// What stands before the point, and behind it in units of 10^-38; both have the number's sign.
    fn parts(&self) -> (i128, i128) {
        let one = power(self.scale);
        (self.mantissa / one, self.mantissa % one * power(Self::DIGITS as u8 - self.scale))
    }
}

/// 10 to the power of at most 38.
fn power(exponent: u8) -> i128 {
    10_i128.pow(u32::from(exponent))
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
        Self { mantissa: i128::from(number), scale: 0 }
    }
}

/// By value.
impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.mantissa.unsigned_abs();
        let one = power(self.scale).unsigned_abs();
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{}", magnitude / one)?;
        match self.scale {
            0 => Ok(()),
            scale => write!(f, ".{:0width$}", magnitude % one, width = usize::from(scale)),
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, DecimalError> {
        Decimal::parse(text).map(|d| d.to_string())
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
            ("0000000000000000000000000000000000000000000000001.50000000000000000000000000000000000000000", "1.5"),
            ("1e-38", "0.00000000000000000000000000000000000001"),
            ("-1e37", "-10000000000000000000000000000000000000"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(plain), "{text}");
            assert_eq!(Decimal::parse(text), Decimal::parse(plain), "{text}");
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
        let decimal = |text: &str| Decimal::parse(text).expect("a number");
        let nines = "9".repeat(38);
        let tiny = format!("0.{}1", "0".repeat(37));
        for (less, more) in [
            ("0.00001", "0.0001"),
            ("-5", "0"),
            ("-5.1", "-5"),
            ("-0.5", "0"),
            ("-0.5", "-0.4"),
            ("9", "10"),
            ("1.5", "1.51"),
            ("0.5", "1"),
            ("0", &tiny),
            (&tiny, &nines),
        ] {
            assert_eq!(decimal(less).cmp(&decimal(more)), Ordering::Less, "{less} {more}");
            assert_eq!(decimal(more).cmp(&decimal(less)), Ordering::Greater, "{less} {more}");
        }
        assert_eq!(decimal("1.50").cmp(&decimal("1.5")), Ordering::Equal);
    }

    #[test]
    fn whole_numbers_and_decimals_are_told_apart() {
        let decimal = |text: &str| Decimal::parse(text).expect("a number");
        assert_eq!(decimal("5.0").as_i64(), Some(5));
        assert_eq!(decimal("5.5").as_i64(), None);
        assert_eq!(decimal("-9223372036854775808").as_i64(), Some(i64::MIN));
        assert_eq!(decimal("9223372036854775808").as_i64(), None);
        assert_eq!((decimal("9.90").scale(), decimal("9.90").digits(), decimal("0").digits()), (1, 2, 1));
    }

    #[test]
    fn it_is_serialized_as_its_text() {
        let decimal = Decimal::parse("-0.10").expect("a number");
        assert_eq!(serde_json::to_string(&decimal).expect("writes"), r#""-0.1""#);
        assert_eq!(serde_json::from_str::<Decimal>(r#""-0.10""#).expect("reads"), decimal);
        assert!(serde_json::from_str::<Decimal>(r#""x""#).is_err());
    }

    #[test]
    fn a_short_number_is_read_as_any_other() {
        let digits = [
            "",
            "0",
            "7",
            "00",
            "10",
            "120",
            "900100",
            "123456789",
            "0000000000000000000",
            "999999999999999999",
            "1234567890123456789",
        ];
        for sign in ["", "-", "+"] {
            for whole in digits {
                for fraction in digits {
                    for text in [format!("{sign}{whole}{fraction}"), format!("{sign}{whole}.{fraction}")] {
                        // With an exponent it is read the long way.
                        assert_eq!(Decimal::parse(&text), Decimal::parse(&format!("{text}e0")), "{text}");
                    }
                }
            }
        }
        for text in ["1.2.3", "1-", "--1", " 1", "1_0", "."] {
            assert_eq!(Decimal::parse(text), Err(DecimalError::Syntax), "{text}");
        }
    }
}
