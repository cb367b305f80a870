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

    /// The same number with the other sign.
    #[must_use]
    pub fn negative(self) -> Self {
        Self { mantissa: -self.mantissa, scale: self.scale }
    }

    /// The exact sum; `None` where it needs more than [`Decimal::DIGITS`] digits, before and behind the point together.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let scaled = |number: Self| number.mantissa.checked_mul(power(scale - number.scale));
        if let Some(sum) = scaled(self).zip(scaled(other)).and_then(|(one, other)| one.checked_add(other)) {
            return Self::of(sum, scale);
        }
        // What stands behind the points is added by itself, and what is over goes to the other part. Each is less than
        // one, so that taking one away before adding stays within bounds.
        let ((whole, part), (other_whole, other_part)) = (self.parts(), other.parts());
        let (mut whole, one) = (whole.checked_add(other_whole)?, power(Self::DIGITS as u8));
        let mut part = match (part.signum(), other_part.signum()) {
            (1, 1) => {
                whole = whole.checked_add(1)?;
                part - one + other_part
            }
            (-1, -1) => {
                whole = whole.checked_sub(1)?;
                part + one + other_part
            }
            _ => part + other_part,
        };
        if whole > 0 && part < 0 {
            (whole, part) = (whole - 1, part + one);
        } else if whole < 0 && part > 0 {
            (whole, part) = (whole + 1, part - one);
        }
        let mut scale = Self::DIGITS as u8;
        while scale > 0 && part % 10 == 0 {
            (part, scale) = (part / 10, scale - 1);
        }
        Self::of(whole.checked_mul(power(scale))?.checked_add(part)?, scale)
    }

    /// The exact product; `None` where it needs more than [`Decimal::DIGITS`] digits, before and behind the point
    /// together.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let (mut one, mut two, mut scale) = (self.mantissa, other.mantissa, self.scale + other.scale);
        if let Some(product) = one.checked_mul(two) {
            return Self::of(product, scale);
        }
        // Zeros at the product's end come from factors of 10: in one of the numbers, or a 2 in one and a 5 in the
        // other. Without them it has all the digits that it needs.
        for (of_one, of_two) in [(10, 1), (1, 10), (2, 5), (5, 2)] {
            while scale > 0 && one % of_one == 0 && two % of_two == 0 {
                (one, two, scale) = (one / of_one, two / of_two, scale - 1);
            }
        }
        Self::of(one.checked_mul(two)?, scale)
    }

    /// What is left of a whole number divided by another one, with the sign of the first; `None` if one of the two is
    /// no whole number, or the second is 0.
    #[must_use]
    pub fn checked_rem(self, other: Self) -> Option<Self> {
        let is_whole = self.scale == 0 && other.scale == 0;
        let mantissa = is_whole.then(|| self.mantissa.checked_rem(other.mantissa))??;
        Some(Self { mantissa, scale: 0 })
    }

    /// The number of so many digits behind the point, which may end in zeros; `None` where it needs more digits than
    /// are kept.
    fn of(mut mantissa: i128, mut scale: u8) -> Option<Self> {
        while scale > 0 && mantissa % 10 == 0 {
            (mantissa, scale) = (mantissa / 10, scale - 1);
        }
        let most = power(Self::DIGITS as u8).unsigned_abs();
        let is_kept = scale <= Self::DIGITS as u8 && mantissa.unsigned_abs() < most;
        is_kept.then_some(Self { mantissa, scale })
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

    /// A number in units of 10^-76, as decimal digits, the last one first.
    fn long(number: Decimal) -> (bool, Vec<u8>) {
        let text = number.to_string();
        let (whole, fraction) =
            text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
        let digits = format!("{whole}{fraction:0<76}");
        (text.starts_with('-'), digits.bytes().rev().map(|digit| digit - b'0').collect())
    }

    /// The number of these digits, of which so many stand behind the point; `None` where more than 38 are needed.
    fn short(negative: bool, digits: &[u8], scale: usize) -> Option<Decimal> {
        let text: String = digits.iter().rev().map(|digit| char::from(digit + b'0')).collect();
        let text = format!("{text:0>width$}", width = scale + 1);
        let (whole, fraction) = text.split_at(text.len() - scale);
        Decimal::parse(&format!("{}{whole}.{fraction}", if negative { "-" } else { "" })).ok()
    }

    /// The product as it is learned at school.
    fn product(one: Decimal, two: Decimal) -> Option<Decimal> {
        let ((negative, one), (other, two)) = (long(one), long(two));
        let mut digits = vec![0_u32; one.len() + two.len() + 1];
        for (at, digit) in one.iter().enumerate().filter(|(_, digit)| **digit > 0) {
            for (place, other) in two.iter().enumerate() {
                digits[at + place] += u32::from(*digit) * u32::from(*other);
            }
        }
        for at in 1..digits.len() {
            digits[at] += digits[at - 1] / 10;
            digits[at - 1] %= 10;
        }
        let digits: Vec<u8> = digits.into_iter().map(|digit| digit as u8).collect();
        short(negative != other, &digits, 152)
    }

    /// The sum as it is learned at school.
    fn sum(one: Decimal, two: Decimal) -> Option<Decimal> {
        let mut total = vec![0_i32; 120];
        for (negative, digits) in [long(one), long(two)] {
            for (at, digit) in digits.into_iter().enumerate() {
                total[at] += if negative { -i32::from(digit) } else { i32::from(digit) };
            }
        }
        let carried = |mut total: Vec<i32>| {
            let mut carry = 0;
            for digit in &mut total {
                (carry, *digit) = ((*digit + carry).div_euclid(10), (*digit + carry).rem_euclid(10));
            }
            (carry == 0).then(|| total.into_iter().map(|digit| digit as u8).collect::<Vec<u8>>())
        };
        match carried(total.clone()) {
            Some(digits) => short(false, &digits, 76),
            None => short(true, &carried(total.into_iter().map(|digit| -digit).collect())?, 76),
        }
    }

    /// Numbers of any length, among them those at the bounds and those of which a product is short.
    fn numbers() -> Vec<Decimal> {
        let mut texts: Vec<String> =
            ["0", "1", "0.1", "0.5", "2", "5", "0.3", "19.99", "1200"].map(str::to_owned).into();
        for scale in [0, 1, 19, 37, 38] {
            let (two, five) = (2_i128.pow(100).to_string(), 5_i128.pow(54).to_string());
            for digits in ["9".repeat(38), format!("1{}", "0".repeat(37)), format!("{}1", "9".repeat(37)), two, five] {
                let digits = format!("{digits:0>39}");
                let (whole, fraction) = digits.split_at(39 - scale);
                texts.push(format!("{whole}.{fraction}"));
            }
        }
        let mut state = 7_u64;
        for _ in 0..15 {
            let mut random = || {
                // SplitMix64.
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed ^ (mixed >> 27)
            };
            let digits = format!("{:020}{:020}", random(), random());
            let (from, length) = ((random() % 20) as usize, 1 + (random() % 20) as usize);
            let digits = &digits[from..from + length];
            let (whole, fraction) = digits.split_at((random() % (length as u64 + 1)) as usize);
            texts.push(format!("{whole}.{fraction}"));
        }
        let signed = |text: &String| [text.clone(), format!("-{text}")];
        texts.iter().flat_map(signed).filter_map(|text| Decimal::parse(&text).ok()).collect()
    }

    #[test]
    fn sums_and_products_are_exact_or_there_are_none() {
        let (numbers, mut none) = (numbers(), [0, 0]);
        for one in &numbers {
            for two in &numbers {
                assert_eq!(one.checked_add(*two), sum(*one, *two), "{one} + {two}");
                assert_eq!(one.checked_mul(*two), product(*one, *two), "{one} * {two}");
                none[0] += usize::from(one.checked_add(*two).is_none());
                none[1] += usize::from(one.checked_mul(*two).is_none());
            }
        }
        assert!(numbers.len() > 60 && none.iter().all(|none| *none > 100), "{} {none:?}", numbers.len());
    }

    #[test]
    fn only_whole_numbers_have_a_remainder() {
        let decimal = |text: &str| Decimal::parse(text).expect("a number");
        let rest = |one: &str, two: &str| decimal(one).checked_rem(decimal(two)).map(|rest| rest.to_string());
        assert_eq!(rest("7", "3").as_deref(), Some("1"));
        assert_eq!(rest("-7", "3").as_deref(), Some("-1"));
        assert_eq!(rest("7", "-3").as_deref(), Some("1"));
        assert_eq!(rest("7", "0"), None);
        assert_eq!((rest("7.5", "2"), rest("7", "0.5")), (None, None));
        assert_eq!(decimal("-0.5").negative(), decimal("0.5"));
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
