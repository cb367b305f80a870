//! What to write instead of a cell that its field does not take: the cell in the right form, and the option by which an
//! import takes it as it is.
//!
//! Only what is plainly meant is said. Where a cell can be read in two ways both are said, and nothing is chosen.

use std::sync::LazyLock;

use penstock_model::advice::Setting;
use serde_json::json;

use super::{
    components::{Components, Temporal},
    number_style::NumberStyle,
    strptime::DatePattern,
    temporal::TemporalRule,
};

/// Characters of a cell that is looked at. What is longer is no date, number or boolean that somebody typed.
const CELL_CHARS: usize = 40;

/// How people and programs write dates, each with the character that tells it from most others. Where two read one
/// cell, the cell is ambiguous.
const DATES: [(&str, char); 16] = [
    ("%Y-%m-%d", '-'),
    ("%d-%m-%Y", '-'),
    ("%d-%b-%Y", '-'),
    ("%d.%m.%Y", '.'),
    ("%d.%m.%y", '.'),
    ("%Y.%m.%d", '.'),
    ("%d/%m/%Y", '/'),
    ("%m/%d/%Y", '/'),
    ("%d/%m/%y", '/'),
    ("%m/%d/%y", '/'),
    ("%Y/%m/%d", '/'),
    ("%d %b %Y", ' '),
    ("%b %d %Y", ' '),
    ("%d %B %Y", ' '),
    ("%B %d, %Y", ' '),
    ("%Y%m%d", '0'),
];

/// What may stand behind a date that is a moment.
const CLOCKS: [&str; 4] = [" %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M:%SZ"];

/// A compiled pattern of dates or of moments.
struct Written {
    pattern: DatePattern,
    /// The character that has to be in a cell; `0` for one whose date is eight digits.
    mark: char,
}

static WRITTEN_DATES: LazyLock<Vec<Written>> = LazyLock::new(|| compiled(Temporal::Date, &[""]));
static WRITTEN_MOMENTS: LazyLock<Vec<Written>> = LazyLock::new(|| compiled(Temporal::Datetime, &CLOCKS));

fn compiled(what: Temporal, clocks: &[&str]) -> Vec<Written> {
    let of = |(date, mark): &(&str, char)| {
        let pattern = |clock: &&str| DatePattern::compile(&format!("{date}{clock}"), what).expect("a pattern");
        clocks.iter().map(|clock| Written { pattern: pattern(clock), mark: *mark }).collect::<Vec<_>>()
    };
    DATES.iter().flat_map(of).collect()
}

/// The patterns that read a cell as a date that there is, and what they read.
pub(super) fn date_readings(cell: &str) -> Vec<(&'static DatePattern, Components)> {
    readings(&WRITTEN_DATES, cell, Temporal::Date)
}

fn readings(patterns: &'static [Written], cell: &str, what: Temporal) -> Vec<(&'static DatePattern, Components)> {
    let is_compact = cell.as_bytes().get(..8).is_some_and(|start| start.iter().all(u8::is_ascii_digit));
    let may = |written: &&Written| if written.mark == '0' { is_compact } else { cell.contains(written.mark) };
    let read = |written: &'static Written| {
        let parts = written.pattern.read(cell)?;
        parts.moment(what).map(|_| (&written.pattern, parts))
    };
    let mut found: Vec<(&DatePattern, Components)> = patterns.iter().filter(may).filter_map(read).collect();
    // A year of two digits is none beside one of four, and `%B` reads what `%b` has read.
    found.dedup_by(|(_, b), (_, a)| (a.year, a.month, a.day, a.hour) == (b.year, b.month, b.day, b.hour));
    found
}

fn trimmed(cell: &str) -> Option<&str> {
    let cell = cell.trim();
    let is_short = !cell.is_empty() && cell.chars().nth(CELL_CHARS).is_none();
    (is_short && cell.bytes().any(|byte| byte.is_ascii_alphanumeric())).then_some(cell)
}

/// What is wrong with a date, a moment or a time, and what to write.
pub(super) fn temporal(rule: &TemporalRule, cell: &str) -> String {
    let (noun, general) = match rule.what {
        Temporal::Date => ("date", "31 January 2026"),
        Temporal::Datetime => ("date with a time", "31 January 2026, half past nine"),
        Temporal::Time => ("time", "half past nine"),
    };
    let example = Components { year: 2026, month: 1, day: 31, hour: 9, minute: 30, ..Components::default() };
    let otherwise = || match &rule.pattern {
        Some(pattern) => match rule.written(&example) {
            Some(example) => format!("not a {noun}: write it like {example} (`{}`)", pattern.text),
            None => format!("not a {noun} as `{}` says, such as {general}", pattern.text),
        },
        None => format!("not a {noun}: write it like {}", rule.written(&example).unwrap_or_default()),
    };
    let is_padded = cell.trim() != cell;
    let Some(cell) = trimmed(cell).filter(|_| rule.what != Temporal::Time) else { return otherwise() };
    if is_padded && rule.read(cell).is_some() {
        return format!("not a {noun} with spaces around it: write {cell}");
    }
    if let Some(advice) = not_in_calendar(cell) {
        return advice;
    }
    let dates = date_readings(cell);
    let moments = readings(&WRITTEN_MOMENTS, cell, Temporal::Datetime);
    let own = rule.pattern.as_ref().map(|pattern| pattern.text.as_str());
    let write = |readings: &[(&DatePattern, Components)], is_advised: bool| {
        // The option does not take the spaces away.
        let is_advised = is_advised && !is_padded;
        let forms: Vec<String> = readings.iter().filter_map(|(_, parts)| rule.written(parts)).collect();
        let options: Vec<String> = readings
            .iter()
            .filter(|(pattern, _)| Some(pattern.text.as_str()) != own)
            .map(|(pattern, _)| Setting::DateFormat.to(pattern.text.as_str()))
            .collect();
        let options = if is_advised && !options.is_empty() {
            format!(", or give {}", options.join(" or "))
        } else {
            String::new()
        };
        match forms.as_slice() {
            [] => None,
            [form] => Some(format!("not a {noun} as it is: write {form}{options}")),
            forms => Some(format!("not a {noun} as it is: write {}, as it is meant{options}", forms.join(" or "))),
        }
    };
    let advice = match rule.what {
        Temporal::Date if !dates.is_empty() => write(&dates, true),
        // The option says how dates are written; a date that comes with a time has to lose it.
        Temporal::Date if !moments.is_empty() => {
            write(&moments, false).map(|advice| advice.replace("as it is", "alone, it has a time"))
        }
        Temporal::Datetime if !moments.is_empty() => write(&moments, true),
        Temporal::Datetime if !dates.is_empty() => write(&dates, false),
        _ => None,
    };
    advice.or_else(|| serial(rule, cell, noun)).unwrap_or_else(otherwise)
}

/// What a number in a field of dates is, and what to write: a spreadsheet counts days where a cell has no date's
/// format.
pub(super) fn temporal_number(rule: &TemporalRule, literal: &str) -> Option<String> {
    let noun = match rule.what {
        Temporal::Date => "date",
        Temporal::Datetime => "date with a time",
        Temporal::Time => return None,
    };
    serial(rule, literal, noun)
}

/// A date as it should be that no calendar has: `2024-02-30`.
fn not_in_calendar(cell: &str) -> Option<String> {
    let iso: Vec<&str> = cell.split('-').collect();
    let [year, month, day] = iso.as_slice() else { return None };
    let is_number = |text: &str, digits: usize| text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = year.len() == 4 && is_number(year, 4) && is_number(month, 2) && is_number(day, 2);
    let parts = Components {
        year: year.parse().ok()?,
        month: month.parse().ok()?,
        day: day.parse().ok()?,
        ..Components::default()
    };
    (is_date && parts.moment(Temporal::Date).is_none()).then(|| "there is no such day in the calendar".to_owned())
}

/// The number of a day as a spreadsheet counts them, where it is of a year from 1990 to 2079 and so plainly one.
fn serial(rule: &TemporalRule, cell: &str, noun: &str) -> Option<String> {
    let days: i64 = cell.parse().ok().filter(|days| (32_874..65_746).contains(days))?;
    let date = time::Date::from_calendar_date(1899, time::Month::December, 30).ok()? + time::Duration::days(days);
    let parts = Components { year: date.year(), month: date.month().into(), day: date.day(), ..Components::default() };
    let form = rule.written(&parts)?;
    Some(format!("not a {noun}, but the number that a spreadsheet has for a day: write {form}"))
}

/// Words that are true and words that are false, as people write them, in lower case.
const YES: [&str; 15] = ["yes", "y", "ja", "j", "oui", "o", "si", "sí", "s", "sim", "x", "on", "wahr", "vrai", "t"];
const NO: [&str; 10] = ["no", "n", "nein", "non", "nee", "não", "off", "falsch", "faux", "f"];

/// What a word says to people that may be no boolean to a field.
pub(super) fn meant(cell: &str) -> Option<bool> {
    let word = trimmed(cell)?.to_lowercase();
    let is_in = |words: &[&str]| words.contains(&word.as_str());
    match word.as_str() {
        "true" | "1" | "1.0" => Some(true),
        "false" | "0" | "0.0" => Some(false),
        _ if is_in(&YES) => Some(true),
        _ if is_in(&NO) => Some(false),
        _ => None,
    }
}

/// What to write instead of a cell that is no boolean.
pub(super) fn boolean(cell: &str, true_values: &[String], false_values: &[String]) -> String {
    let first = |values: &[String]| values.first().cloned().unwrap_or_default();
    let (yes, no) = (first(true_values), first(false_values));
    let otherwise = || format!("neither true nor false: write {yes} or {no}");
    let Some(meant) = meant(cell) else { return otherwise() };
    let (form, setting, taken) =
        if meant { (&yes, Setting::TrueValues, true_values) } else { (&no, Setting::FalseValues, false_values) };
    if form.is_empty() {
        return otherwise();
    }
    // The option replaces what is taken so far, so it names that too.
    let values: Vec<&str> = taken.iter().map(String::as_str).chain([cell.trim()]).collect();
    format!("neither true nor false as it is: write {form}, or give {}", setting.to(json!(values)))
}

/// The digits of a text with a point before the fraction, as a program writes them.
fn plain(cell: &str, decimal: Option<char>) -> String {
    let keep = |c: char| match c {
        c if Some(c) == decimal => Some('.'),
        c if c.is_ascii_digit() || c == '-' => Some(c),
        _ => None,
    };
    cell.chars().filter_map(keep).collect()
}

/// What to write instead of a cell that is no number to a field with these characters before the fraction and between
/// groups of digits; `None` where nothing is plainly meant.
pub(super) fn number(point: char, separator: Option<char>, cell: &str, is_integer: bool) -> Option<String> {
    let cell = trimmed(cell)?;
    let noun = if is_integer { "a whole number" } else { "a number" };
    let own = |decimal: char, group: Option<char>| {
        let mut options = Vec::new();
        if decimal != point {
            options.push(Setting::DecimalChar.to(decimal.to_string()));
        }
        if let Some(group) = group.filter(|group| Some(*group) != separator) {
            options.push(Setting::GroupChar.to(group.to_string()));
        }
        options.join(" and ")
    };
    // Whether this is what the field takes: a whole number has no fraction but zeros.
    let form = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        match is_integer {
            true if whole.is_empty() || !fraction.bytes().all(|byte| byte == b'0') => None,
            true => Some(whole.to_owned()),
            false => Some(text.replace('.', &point.to_string())),
        }
    };
    let advise = |write: String, options: String| match options.is_empty() {
        true => format!("not {noun} as it is: write {write}"),
        false => format!("not {noun} as it is: write {write}, or give {options}"),
    };
    if is_integer && point == '.' && cell.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')) {
        // `12.0`, `12.5`: the point is known. `1.234` may be a thousand and more.
        let text = plain(cell, Some('.'));
        let is_grouped =
            matches!(NumberStyle::of(cell), Some(NumberStyle::Either('.') | NumberStyle::Comma(Some('.'))));
        if is_grouped {
            let whole = plain(cell, None);
            let option = Setting::GroupChar.to(".");
            return Some(match form(&text).filter(|_| text.matches('.').count() == 1) {
                Some(fraction) => {
                    format!("not {noun} as it is: write {whole} or {fraction}, as it is meant, or give {option}")
                }
                None => format!("not {noun} as it is: write {whole} if that is meant, or give {option}"),
            });
        }
        return match (text.matches('.').count(), form(&text)) {
            (1, Some(whole)) => Some(advise(whole, String::new())),
            (1, None) => Some(format!("not {noun}: it has a fraction")),
            _ => None,
        };
    }
    match NumberStyle::of(cell) {
        Some(NumberStyle::Comma(group)) => form(&plain(cell, Some(','))).map(|write| advise(write, own(',', group))),
        Some(NumberStyle::Point(group)) => form(&plain(cell, Some('.'))).map(|write| advise(write, own('.', group))),
        Some(NumberStyle::Grouped(group)) => {
            form(&plain(cell, None)).map(|write| advise(write, own(point, Some(group))))
        }
        Some(NumberStyle::Either(mark)) => {
            let other = if mark == ',' { '.' } else { ',' };
            let (grouped, fraction) = (form(&plain(cell, None))?, form(&plain(cell, Some(mark))));
            let as_group = own(other, Some(mark));
            match fraction {
                Some(fraction) => {
                    let as_fraction = own(mark, None);
                    Some(format!(
                        "not {noun} as it is: write {grouped} or {fraction}, as it is meant, or give {as_group}, or {as_fraction}"
                    ))
                }
                None => Some(advise(grouped, as_group)),
            }
        }
        None => {
            let inner = without_currency(cell)?;
            let is_plain =
                inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && inner.matches('.').count() <= 1;
            let inner = match NumberStyle::of(inner) {
                _ if is_plain => inner.to_owned(),
                Some(NumberStyle::Comma(_)) => plain(inner, Some(',')),
                Some(NumberStyle::Point(_)) => plain(inner, Some('.')),
                Some(NumberStyle::Grouped(_)) => plain(inner, None),
                Some(NumberStyle::Either(_)) | None => return None,
            };
            form(&inner).map(|write| advise(write, String::new()))
        }
    }
}

/// The number beside a currency, `None` where there is none: what is left out is that alone, no sign and no percentage.
pub(super) fn without_currency(cell: &str) -> Option<&str> {
    let is_digit = |c: char| c.is_ascii_digit();
    let (start, end) = (cell.find(is_digit)?, cell.rfind(is_digit)? + 1);
    let (before, behind) = (cell[..start].trim(), cell[end..].trim());
    // A sign, what people write for one, or a code of ISO 4217.
    let is_currency = |text: &str| {
        matches!(
            text,
            "€" | "$"
                | "£"
                | "¥"
                | "₽"
                | "₺"
                | "₹"
                | "₴"
                | "₩"
                | "₪"
                | "₫"
                | "฿"
                | "R$"
                | "US$"
                | "zł"
                | "kr"
                | "Kč"
                | "Ft"
                | "лв"
        ) || text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    let has_currency = is_currency(before) && behind.is_empty() || before.is_empty() && is_currency(behind);
    has_currency.then(|| &cell[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_can_be_read_in_two_ways_are_read_in_both() {
        let read =
            |cell: &str| date_readings(cell).iter().map(|(pattern, _)| pattern.text.as_str()).collect::<Vec<_>>();
        assert_eq!(read("31.12.2024"), ["%d.%m.%Y"]);
        assert_eq!(read("31.12.24"), ["%d.%m.%y"]);
        assert_eq!(read("31/12/2024"), ["%d/%m/%Y"]);
        assert_eq!(read("12/31/2024"), ["%m/%d/%Y"]);
        assert_eq!(read("01/02/2024"), ["%d/%m/%Y", "%m/%d/%Y"]);
        assert_eq!(read("02/02/2024"), ["%d/%m/%Y"]);
        assert_eq!(read("20241231"), ["%Y%m%d"]);
        assert_eq!(read("Dec 31 2024"), ["%b %d %Y"]);
        assert_eq!(read("31 May 2024"), ["%d %b %Y"]);
        assert_eq!(read("2024/12/31"), ["%Y/%m/%d"]);
        assert!(read("hello").is_empty() && read("99.99.9999").is_empty() && read("1.5").is_empty());
    }
}
