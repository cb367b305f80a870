//! Patterns of `strptime` (ISO C, and as Python's `datetime.strptime` takes them in the C locale, which Table Schema
//! refers to).
//!
//! As in Python a pattern becomes a regular expression, so that a directive takes as few digits as it must for the rest
//! to fit: `%d%m%Y` reads `3112023`.

use penstock_model::limits::DATE_FORMAT_CHARS;
use regex::{Regex, RegexBuilder};
use time::{Date, Month};

use super::components::{Components, Temporal};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct DatePattern {
    regex: Regex,
    /// The directive of each group of the expression, in their order.
    directives: Vec<char>,
    pub(super) text: String,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl DatePattern {
    /// # Errors
    /// Why the pattern is not one for this type.
    pub(super) fn compile(pattern: &str, what: Temporal) -> Result<Self, String> {
        if pattern.chars().count() > DATE_FORMAT_CHARS {
            return Err(format!("has more than {DATE_FORMAT_CHARS} characters"));
        }
        let (mut expression, mut directives) = ("^".to_owned(), Vec::new());
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '%' => match chars.next() {
                    Some('%') => expression.push('%'),
                    Some(twice) if directives.contains(&twice) => return Err(format!("`%{twice}` comes twice")),
                    Some(directive) => {
                        let group = group(directive).ok_or_else(|| format!("`%{directive}` is not supported"))?;
                        expression.push_str(&format!("({group})"));
                        directives.push(directive);
                    }
                    None => return Err("ends in `%`".to_owned()),
                },
                c if c.is_whitespace() => {
                    while chars.next_if(|next| next.is_whitespace()).is_some() {}
                    expression.push_str(r"\s+");
                }
                other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        suits(&directives, what)?;
        let regex = RegexBuilder::new(&expression).case_insensitive(true).build();
        let regex = regex.map_err(|_| "is too long".to_owned())?;
        Ok(Self { regex, directives, text: pattern.to_owned() })
    }

    /// The text by which the pattern names components; `None` where it has a directive that is only read.
    pub(super) fn written(&self, parts: &Components) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.text.chars();
        let month = MONTHS.get(usize::from(parts.month).checked_sub(1)?)?;
        let named = |name: &str| format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            match chars.next()? {
                '%' => text.push('%'),
                'Y' => text.push_str(&format!("{:04}", parts.year)),
                'y' => text.push_str(&format!("{:02}", parts.year.rem_euclid(100))),
                'm' => text.push_str(&format!("{:02}", parts.month)),
                'd' => text.push_str(&format!("{:02}", parts.day)),
                'H' => text.push_str(&format!("{:02}", parts.hour)),
                'I' => text.push_str(&format!("{:02}", (parts.hour + 11) % 12 + 1)),
                'p' => text.push_str(if parts.hour < 12 { "AM" } else { "PM" }),
                'M' => text.push_str(&format!("{:02}", parts.minute)),
                'S' => text.push_str(&format!("{:02}", parts.second)),
                'f' => text.push_str(&format!("{:06}", parts.nanosecond / 1000)),
                'b' => text.push_str(&named(&month[..3])),
                'B' => text.push_str(&named(month)),
                'z' => text.push_str("+0000"),
                'j' => text.push_str(&format!("{:03}", date(parts)?.ordinal())),
                'a' => text.push_str(&named(&weekday(parts)?[..3])),
                'A' => text.push_str(&named(weekday(parts)?)),
                _ => return None,
            }
        }
        Some(text)
    }

    /// Compiles the date format of an import's options, and gives what it is a pattern of: of moments where it says a
    /// time, else of dates.
    ///
    /// # Errors
    /// Why it is neither.
    pub(super) fn of_option(pattern: &str) -> Result<(Self, Temporal), String> {
        if !pattern.contains('%') {
            return Err("is a pattern of strptime, such as %d.%m.%Y".to_owned());
        }
        match Self::compile(pattern, Temporal::Date) {
            Ok(compiled) => Ok((compiled, Temporal::Date)),
            Err(_) => Ok((Self::compile(pattern, Temporal::Datetime)?, Temporal::Datetime)),
        }
    }

    /// The components that a text names, if the pattern matches all of it.
    pub(super) fn read(&self, text: &str) -> Option<Components> {
        let found = self.regex.captures(text).filter(|found| found[0].len() == text.len())?;
        let mut parts = Components::default();
        for (at, directive) in self.directives.iter().enumerate() {
            // Python looks at `%p` only beside `%I`.
            if *directive != 'p' || !self.directives.contains(&'H') {
                parts.set(*directive, &found[at + 1])?;
            }
        }
        Some(parts)
    }
}

fn date(parts: &Components) -> Option<Date> {
    Date::from_calendar_date(parts.year, Month::try_from(parts.month).ok()?, parts.day).ok()
}

fn weekday(parts: &Components) -> Option<&'static str> {
    date(parts).map(|date| DAYS[usize::from(date.weekday().number_days_from_monday())])
}

/// The regular expression of a directive.
fn group(directive: char) -> Option<String> {
    let names = |names: &[&str]| names.join("|");
    let short = |names: &[&str]| names.iter().map(|name| &name[..3]).collect::<Vec<_>>().join("|");
    Some(match directive {
        'Y' => "[0-9]{4}".to_owned(),
        'y' => "[0-9]{2}".to_owned(),
        'm' => "1[0-2]|0[1-9]|[1-9]".to_owned(),
        'd' => "3[01]|[12][0-9]|0[1-9]|[1-9]| [1-9]".to_owned(),
        'j' => "36[0-6]|3[0-5][0-9]|[12][0-9]{2}|0[1-9][0-9]|00[1-9]|[1-9][0-9]|0[1-9]|[1-9]".to_owned(),
        'H' => "2[0-3]|[01][0-9]|[0-9]".to_owned(),
        'I' => "1[0-2]|0[1-9]|[1-9]".to_owned(),
        'M' => "[0-5][0-9]|[0-9]".to_owned(),
        'S' => "6[01]|[0-5][0-9]|[0-9]".to_owned(),
        'f' => "[0-9]{1,6}".to_owned(),
        'z' => "[+-][0-9]{2}:?[0-5][0-9](?::?[0-5][0-9](?:\\.[0-9]{1,6})?)?|(?-i:Z)".to_owned(),
        'b' => short(&MONTHS),
        'B' => names(&MONTHS),
        'a' => short(&DAYS),
        'A' => names(&DAYS),
        'p' => "am|pm".to_owned(),
        _ => return None,
    })
}

fn suits(directives: &[char], what: Temporal) -> Result<(), String> {
    let has = |any: &str| directives.iter().any(|directive| any.contains(*directive));
    let day = has("Yy") && (has("j") || (has("mbB") && has("d")));
    let hour = has("H") || (has("I") && has("p"));
    let clock = has("HIMSfpz");
    match what {
        Temporal::Date if !day => Err("does not say year, month and day".to_owned()),
        Temporal::Date if clock => Err("says a time; the type is `datetime`".to_owned()),
        Temporal::Datetime if !day => Err("does not say year, month and day".to_owned()),
        Temporal::Time if has("YymdjbBaA") => Err("says a date; the type is `datetime`".to_owned()),
        Temporal::Datetime | Temporal::Time if !hour && (clock || what == Temporal::Time) => {
            Err("does not say the hour: `%H`, or `%I` with `%p`".to_owned())
        }
        _ => Ok(()),
    }
}

impl Components {
    /// Sets the component of a directive to what its group matched.
    fn set(&mut self, directive: char, text: &str) -> Option<()> {
        let number = || text.trim_start().parse::<u32>().ok();
        let name = |names: &[&str]| names.iter().position(|name| name[..3].eq_ignore_ascii_case(&text[..3]));
        match directive {
            'Y' => self.year = number()? as i32,
            // POSIX: 69 to 99 are of the last century.
            'y' => self.year = number()? as i32 + if number()? >= 69 { 1900 } else { 2000 },
            'm' => self.month = number()? as u8,
            'b' | 'B' => self.month = name(&MONTHS)? as u8 + 1,
            'd' => self.day = number()? as u8,
            'j' => self.ordinal = Some(number()? as u16),
            'H' | 'I' => self.hour = number()? as u8,
            'M' => self.minute = number()? as u8,
            'S' => self.second = number()? as u8,
            'f' => self.nanosecond = number()? * 10_u32.pow(9 - text.len() as u32),
            'p' => self.afternoon = Some(text.eq_ignore_ascii_case("pm")),
            'z' => self.offset = Some(offset(text)?),
            _ => {}
        }
        Some(())
    }
}

/// An offset from UTC in seconds. Colons stand between all of its parts or between none; a fraction of a second is
/// ignored.
fn offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (whole, _) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    let colons = whole.matches(':').count();
    let consistent = colons == 0 || colons == digits.len() / 2 - 1;
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |part| part.parse::<i32>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    (consistent && hours < 24).then_some(sign * (hours * 3_600 + minutes * 60 + seconds))
}
