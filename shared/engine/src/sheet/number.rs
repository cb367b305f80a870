//! A workbook's numbers as text, with the digits that Excel keeps.

/// The digits of a number that has 15 or fewer, four or fewer of them behind its point, and how many those are; nearly
/// all are such.
///
/// A number of so many digits is the only one that reads as its `f64` (IEEE 754 keeps 15), and dividing by a power of
/// ten rounds correctly: so if digits over that power are the number again, they are its digits.
pub(super) fn few_digits(number: f64) -> Option<(i64, usize)> {
    [1.0, 10.0, 100.0, 1_000.0, 10_000.0].into_iter().enumerate().find_map(|(scale, power)| {
        let digits = (number * power).round();
        let is_it = digits / power == number && digits.abs() < 1e15 && !(digits == 0.0 && number.is_sign_negative());
        is_it.then_some((digits as i64, scale))
    })
}

/// A number with the digits that Excel keeps: 15, so that a price of 19.99 is 19.99; whole ones exactly up to 2^53,
/// beyond which a workbook's numbers do not tell which of several was meant.
pub(super) fn decimal(number: f64) -> Option<String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.is_finite() {
        return None;
    }
    if number.fract() == 0.0 {
        let whole =
            || if number == 0.0 && number.is_sign_negative() { "-0".to_owned() } else { (number as i64).to_string() };
        return (number.abs() <= EXACT).then(whole);
    }
    // The shortest text that is this number has at most 15 digits where rounding to 15 changes nothing, which is nearly
    // always.
    let shortest = number.to_string();
    if shortest.len() <= 15 {
        return Some(shortest);
    }
    let rounded: f64 = format!("{number:.14e}").parse().ok()?;
    Some(rounded.to_string())
}

/// The number that a text is, as XML writes numbers (W3C, XML Schema Part 2, §3.2.5), but for those that are none.
pub(super) fn parse(text: &str) -> Option<f64> {
    let starts_as_one = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    let is_word = |text: &str| text.ends_with(|c: char| c.is_ascii_alphabetic());
    text.parse().ok().filter(|_| starts_as_one(text) && !is_word(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_that_a_workbook_cannot_tell_apart_are_none() {
        assert_eq!((decimal(1e21), decimal(340_123_450_000_000_018.0), decimal(f64::INFINITY)), (None, None, None));
    }

    #[test]
    fn numbers_have_the_digits_that_excel_shows() {
        for (number, text) in [
            (19.99, "19.99"),
            (0.1 + 0.2, "0.3"),
            (4_006_381_333_931.0, "4006381333931"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (-0.0, "-0"),
            (1.5e-7, "0.00000015"),
        ] {
            assert_eq!(decimal(number).as_deref(), Some(text));
        }
    }

    #[test]
    fn words_are_no_numbers() {
        for text in ["inf", "-inf", "NaN", "+nan", "infinity", "", "e5", "1x", "1,5", "0x10", "1 "] {
            assert_eq!(parse(text), None, "{text}");
        }
        for (text, number) in [("1", 1.0), ("-1.5E3", -1500.0), (".5", 0.5), ("1.", 1.0), ("+2", 2.0)] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
    }
}
