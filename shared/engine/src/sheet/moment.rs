//! A workbook's dates and times: numbers that are shown as such.

use time::Date;

/// How a number is shown, as far as it matters for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As a number.
    Number,
    /// As a date, a time, or both.
    Moment,
    /// As hours, minutes or seconds that have passed.
    Elapsed,
}

impl Shown {
    /// By the formats that need no code (ECMA-376 Part 1, §18.8.30; those from 27 on are dates and times of East Asian
    /// locales).
    pub(super) fn by_number(format: u32) -> Self {
        match format {
            14..=22 | 27..=36 | 45 | 47 | 50..=58 => Self::Moment,
            46 => Self::Elapsed,
            _ => Self::Number,
        }
    }

    /// By a format code (§18.8.31): its first section decides. What stands in quotes, behind `\`, `_` or `*`, or in
    /// brackets is no part of a date, but for `[h]`, `[m]` and `[s]`, which are of what has passed.
    pub(super) fn by_code(code: &str) -> Self {
        let mut is_moment = false;
        let mut chars = code.chars();
        while let Some(c) = chars.next() {
            match c.to_ascii_lowercase() {
                ';' => break,
                '"' => while chars.next().is_some_and(|c| c != '"') {},
                '\\' | '_' | '*' => {
                    chars.next();
                }
                '[' => {
                    let mut inner = chars.by_ref().take_while(|c| *c != ']').map(|c| c.to_ascii_lowercase());
                    let unit = inner.next();
                    // All of it is taken, whatever it is.
                    let is_one_unit = inner.filter(|c| Some(*c) != unit).count() == 0;
                    if is_one_unit && matches!(unit, Some('h' | 'm' | 's')) {
                        return Self::Elapsed;
                    }
                }
                'd' | 'm' | 'h' | 'y' | 's' => is_moment = true,
                _ => {}
            }
        }
        if is_moment { Self::Moment } else { Self::Number }
    }
}

const DAY_MS: i64 = 86_400_000;

/// The Julian day of day 0, where days are counted as Excel for Windows does, and since 1904.
const DAY_0: i32 = 2_415_019;
const DAY_0_OF_1904: i32 = 2_416_481;

/// A moment in ISO 8601, to the millisecond: a date where it has no time, a time where it has no date. `None` outside
/// Excel's calendar, which ends with the year 9999, and has a 29 February 1900.
pub(super) fn moment(days: f64, is_1904: bool) -> Option<String> {
    let ms = (days * DAY_MS as f64).round();
    if !(0.0..1e15).contains(&ms) {
        return None;
    }
    let (day, ms) = ((ms as i64 / DAY_MS) as i32, ms as i64 % DAY_MS);
    let time = time(ms);
    if day == 0 {
        return Some(time);
    }
    let date = match day {
        60 if !is_1904 => "1900-02-29".to_owned(),
        // The days before are one late, as is what would be day 60.
        1..60 if !is_1904 => date(DAY_0 + 1 + day)?,
        _ if is_1904 => date(DAY_0_OF_1904.checked_add(day)?)?,
        _ => date(DAY_0.checked_add(day)?)?,
    };
    Some(if ms == 0 { date } else { format!("{date}T{time}") })
}

fn date(julian_day: i32) -> Option<String> {
    let (year, month, day) =
        Date::from_julian_day(julian_day).ok().filter(|date| date.year() <= 9999)?.to_calendar_date();
    Some(format!("{year:04}-{:02}-{day:02}", u8::from(month)))
}

fn time(ms: i64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let mut time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if ms > 0 {
        time.push_str(&format!(".{ms:03}"));
    }
    time
}

/// Hours, minutes and seconds that have passed.
pub(super) fn elapsed(days: f64) -> Option<String> {
    let seconds = (days * 86_400.0).round();
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    (seconds < 1e15).then(|| {
        let seconds = seconds as i64;
        format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    })
}

#[cfg(test)]
mod tests {
    use calamine::{ExcelDateTime, ExcelDateTimeType};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_format_code_tells_dates_from_numbers() {
        for code in
            ["dd/mm/yyyy", "H:MM", "m\"M\"d\"D\";@", "[$-404]e\"x\"m\"x\"d", "h:mm AM/PM", "[Red]d", "*-yyyy", "0.0s"]
        {
            assert_eq!(Shown::by_code(code), Shown::Moment, "{code}");
        }
        for code in ["[h]:mm:ss", "[mm]", "[ss].000", "[>=100][Magenta][s].00", "[h]", "[HH]:mm;[=0]-"] {
            assert_eq!(Shown::by_code(code), Shown::Elapsed, "{code}");
        }
        for code in [
            "General",
            "0.00",
            "#,##0\\ [$\u{20bd}-46D]",
            "\"Y: \"0.00\"m\";\"d\"",
            "\\Y000000",
            "#,##0*y",
            "0_d",
            "0;d",
            "[Red]0",
            "\"d",
            "[dddd",
            "",
            "@",
        ] {
            assert_eq!(Shown::by_code(code), Shown::Number, "{code}");
        }
    }

    #[test]
    fn moments_have_the_parts_that_they_need() {
        for (days, is_1904, text) in [
            (0.0, false, "00:00:00"),
            (0.5, true, "12:00:00"),
            (1.0, false, "1900-01-01"),
            (59.0, false, "1900-02-28"),
            (60.0, false, "1900-02-29"),
            (61.0, false, "1900-03-01"),
            (45_000.25, false, "2023-03-15T06:00:00"),
            (45_000.999_999_999_9, false, "2023-03-16"),
            (0.999_999_999_9, false, "1900-01-01"),
            (1.0, true, "1904-01-02"),
            (2_958_465.0, false, "9999-12-31"),
            (45_943.541, false, "2025-10-13T12:59:02.400"),
        ] {
            assert_eq!(moment(days, is_1904).as_deref(), Some(text), "{days}");
        }
        for days in [-1.0, -0.5, 2_958_466.0, 1e12, f64::NAN, f64::INFINITY] {
            assert_eq!(moment(days, false), None, "{days}");
        }
        assert_eq!(elapsed(1.5).as_deref(), Some("36:00:00"));
        assert_eq!(elapsed(-0.25).as_deref(), Some("-06:00:00"));
        assert_eq!(elapsed(f64::NAN), None);
    }

    proptest! {
        #![proptest_config(crate::cases(8000))]

        #[test]
        fn moments_equal_those_of_calamine(ms in 1i64..2_958_466 * DAY_MS, is_1904 in any::<bool>()) {
            let ms = if is_1904 { ms.min(2_957_003 * DAY_MS) } else { ms };
            let days = ms as f64 / DAY_MS as f64;
            let (y, mo, d, h, mi, s, milli) =
                ExcelDateTime::new(days, ExcelDateTimeType::DateTime, is_1904).to_ymd_hms_milli();
            let wanted = format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{milli:03}");
            let ours = moment(days, is_1904).expect("within the calendar");
            let ours = match ours.split_once('T') {
                Some((date, time)) => (date.to_owned(), time.to_owned()),
                None if ours.contains(':') => (format!("{y:04}-{mo:02}-{d:02}"), ours),
                None => (ours, "00:00:00".to_owned()),
            };
            let milli = if ours.1.contains('.') { "" } else { ".000" };
            prop_assert_eq!(format!("{}T{}{milli}", ours.0, ours.1), wanted);
        }
    }
}
