//! Dates, moments and times of day: read in the format of the schema, and stored in one canonical form, so that equal
//! ones are equal text.

use std::borrow::Cow;

use time::{Date, Month};

use super::{
    advice,
    components::{Components, Moment, Temporal},
    strptime::DatePattern,
};
use crate::cell::CellError;

/// The format of a field's dates or times, and their bounds.
#[derive(Debug, Clone)]
pub(super) struct TemporalRule {
    pub(super) what: Temporal,
    /// `None` for ISO 8601 as Table Schema takes it.
    pub(super) pattern: Option<DatePattern>,
    /// Of moments: a pattern of dates that is read too, as midnight.
    of_days: Option<DatePattern>,
    pub(super) minimum: Option<Moment>,
    pub(super) maximum: Option<Moment>,
    /// The latest that is too early, and the earliest that is too late.
    pub(super) between: [Option<Moment>; 2],
}

impl TemporalRule {
    /// A rule without bounds.
    pub(super) fn new(what: Temporal, format: Option<&str>) -> Result<Self, String> {
        let format = format.map(|format| format.strip_prefix("fmt:").unwrap_or(format));
        let pattern = match format {
            None | Some("default") => None,
            Some("any") => return Err("`any` is not supported: it would guess".to_owned()),
            Some(pattern) => Some(DatePattern::compile(pattern, what)?),
        };
        Ok(Self { what, pattern, of_days: None, minimum: None, maximum: None, between: [None, None] })
    }

    /// Takes the pattern of an option, one of dates or of moments, in place of the field's own. A moment whose pattern
    /// has no time is read beside the others, as midnight. A time of day has no date to be read by it.
    pub(super) fn read_by(&mut self, pattern: &DatePattern, of: Temporal) {
        match (self.what, of) {
            (Temporal::Time, _) => {}
            (Temporal::Datetime, Temporal::Date) => self.of_days = Some(pattern.clone()),
            _ => self.pattern = Some(pattern.clone()),
        }
    }

    /// The canonical text of a cell.
    pub(super) fn check<'a>(&self, cell: &'a str) -> Result<Cow<'a, str>, CellError> {
        self.within(cell, self.read(cell))
    }

    /// The same of a cell in ISO 8601, whatever the pattern. A moment is not accepted as a date, since its time would
    /// be lost.
    pub(super) fn check_iso<'a>(&self, cell: &'a str) -> Result<Cow<'a, str>, CellError> {
        self.within(cell, self.iso(cell).and_then(|parts| parts.moment(self.what)))
    }

    fn within<'a>(&self, cell: &'a str, moment: Option<Moment>) -> Result<Cow<'a, str>, CellError> {
        let Moment { order, text } = moment.ok_or_else(|| self.invalid(cell))?;
        if let Some(limit) = self.minimum.as_ref().filter(|limit| order < limit.order) {
            return Err(CellError::new("too_small", format!("the least is {}", limit.text)));
        }
        if let Some(limit) = self.maximum.as_ref().filter(|limit| order > limit.order) {
            return Err(CellError::new("too_large", format!("the limit is {}", limit.text)));
        }
        if let Some(limit) = self.between[0].as_ref().filter(|limit| order <= limit.order) {
            return Err(CellError::new("too_small", format!("must be after {}", limit.text)));
        }
        if let Some(limit) = self.between[1].as_ref().filter(|limit| order >= limit.order) {
            return Err(CellError::new("too_large", format!("must be before {}", limit.text)));
        }
        Ok(if text == cell { Cow::Borrowed(cell) } else { Cow::Owned(text) })
    }

    pub(super) fn read(&self, cell: &str) -> Option<Moment> {
        let parts = match (&self.pattern, self.what) {
            (Some(pattern), _) => pattern.read(cell),
            (None, Temporal::Time) => Components::default().with_iso_time(cell),
            (None, Temporal::Date) => iso_date(cell),
            (None, Temporal::Datetime) => iso_datetime(cell),
        };
        let parts = parts.or_else(|| self.of_days.as_ref()?.read(cell))?;
        match self.what {
            Temporal::Date => parts.whole_day()?.moment(self.what),
            _ => parts.moment(self.what),
        }
    }

    fn invalid(&self, cell: &str) -> CellError {
        let code = match self.what {
            Temporal::Date => "invalid_date",
            Temporal::Datetime => "invalid_datetime",
            Temporal::Time => "invalid_time",
        };
        CellError::new(code, advice::temporal(self, cell))
    }

    /// Components as the rule takes them in a cell; `None` where its pattern cannot say them.
    pub(super) fn written(&self, parts: &Components) -> Option<String> {
        let moment = parts.moment(self.what)?;
        let Some(pattern) = &self.pattern else { return Some(moment.text) };
        let text = pattern.written(parts)?;
        self.read(&text).is_some_and(|read| read.order == moment.order).then_some(text)
    }

    /// A date or a moment in ISO 8601, as a spreadsheet keeps it, as the rule takes it in a cell of text.
    pub(super) fn written_of_iso(&self, iso: &str) -> Option<String> {
        self.written(&self.iso(iso)?)
    }

    /// A canonical text as the rule's pattern says it, if that reads as the same text again: a pattern without a zone
    /// does not say one, and one without a fraction loses it.
    pub(super) fn written_exactly(&self, canonical: &str) -> Option<String> {
        self.pattern.as_ref()?;
        let text = self.written_of_iso(canonical)?;
        self.read(&text).is_some_and(|read| read.text == canonical).then_some(text)
    }

    fn iso(&self, text: &str) -> Option<Components> {
        match self.what {
            Temporal::Time => Components::default().with_iso_time(text),
            Temporal::Date => iso_date(text),
            Temporal::Datetime => iso_date(text).or_else(|| iso_datetime(text)),
        }
    }
}

/// The ISO 8601 week of a canonical date: `2026-W05`.
pub(super) fn iso_week(date: &str) -> Option<String> {
    let Components { year, month, day, .. } = iso_date(date)?;
    let (year, week, _) = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?.to_iso_week_date();
    Some(format!("{year:04}-W{week:02}"))
}

impl Components {
    /// Reads `HH:MM:SS`, a fraction of up to nine digits behind `.` or `,`, and `Z`, `+HH`, `+HHMM` or `+HH:MM`.
    fn with_iso_time(mut self, text: &str) -> Option<Self> {
        let clock = text.get(..8)?.as_bytes();
        if clock[2] != b':' || clock[5] != b':' {
            return None;
        }
        self.hour = digits(&text[..2], 2, 2)?.0 as u8;
        self.minute = digits(&text[3..5], 2, 2)?.0 as u8;
        self.second = digits(&text[6..8], 2, 2)?.0 as u8;
        let mut rest = &text[8..];
        if let Some(fraction) = rest.strip_prefix(['.', ',']) {
            (self.nanosecond, rest) = fraction_of_second(fraction, 9)?;
        }
        if !rest.is_empty() {
            let (offset, end) = zone(rest)?;
            self.offset = end.is_empty().then_some(Some(offset))?;
        }
        Some(self)
    }
}

/// Reads a date, one character, and a time.
fn iso_datetime(text: &str) -> Option<Components> {
    let parts = iso_date(text.get(..10)?)?;
    let behind = text[10..].strip_prefix(|c: char| c.is_ascii() && !c.is_ascii_digit())?;
    parts.with_iso_time(behind)
}

/// Reads `YYYY-MM-DD`; month and day may have one digit.
fn iso_date(text: &str) -> Option<Components> {
    let (year, rest) = digits(text, 4, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
    let parts = Components { year: year as i32, month: month as u8, day: day as u8, ..Components::default() };
    rest.is_empty().then_some(parts)
}

/// The number at the start of a text, of `least` to `most` digits, and the rest of the text.
fn digits(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    (count >= least).then(|| Some((text[..count].parse().ok()?, &text[count..])))?
}

fn fraction_of_second(text: &str, most: usize) -> Option<(u32, &str)> {
    let (number, rest) = digits(text, 1, most)?;
    Some((number * 10_u32.pow(9 - (text.len() - rest.len()) as u32), rest))
}

/// An offset from UTC in seconds at the start of a text, and the rest of the text.
fn zone(text: &str) -> Option<(i32, &str)> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some((0, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = digits(&text[1..], 2, 2)?;
    let (minutes, rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2, 2)?,
        None => digits(rest, 2, 2).unwrap_or((0, rest)),
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3_600 + minutes * 60) as i32, rest))
}
