//! The components of a date, a moment or a time of day, and the value that they make.

use time::{Date, Duration, Month, PrimitiveDateTime, Time};

/// The type of a temporal field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temporal {
    Date,
    Datetime,
    Time,
}

/// A value: its place in time, in nanoseconds, and its text.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) order: i128,
    pub(super) text: String,
}

/// The components that a cell names; whether there is such a date and time is not checked yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Components {
    pub(super) year: i32,
    pub(super) month: u8,
    pub(super) day: u8,
    /// Day of the year, in place of month and day.
    pub(super) ordinal: Option<u16>,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) nanosecond: u32,
    pub(super) afternoon: Option<bool>,
    /// Seconds east of UTC.
    pub(super) offset: Option<i32>,
}

impl Default for Components {
    fn default() -> Self {
        Self {
            year: 1970,
            month: 1,
            day: 1,
            ordinal: None,
            hour: 0,
            minute: 0,
            second: 0,
            nanosecond: 0,
            afternoon: None,
            offset: None,
        }
    }
}

impl Components {
    /// The date without its time; `None` where the time is not midnight, which would be lost.
    pub(super) fn whole_day(self) -> Option<Self> {
        let midnight = match self.afternoon {
            None => self.hour == 0,
            Some(afternoon) => self.hour == 12 && !afternoon,
        };
        let is_midnight = midnight && self.minute == 0 && self.second == 0 && self.nanosecond == 0;
        is_midnight.then_some(Self { hour: 0, afternoon: None, offset: None, ..self })
    }

    /// The value; `None` for a date that is not in the calendar, or a time that is not on the clock.
    pub(super) fn moment(self, what: Temporal) -> Option<Moment> {
        let date = match self.ordinal {
            Some(ordinal) => Date::from_ordinal_date(self.year, ordinal).ok()?,
            None => Date::from_calendar_date(self.year, Month::try_from(self.month).ok()?, self.day).ok()?,
        };
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) if (1..=12).contains(&self.hour) => self.hour % 12 + 12 * u8::from(afternoon),
            Some(_) => return None,
        };
        let time = Time::from_hms_nano(hour, self.minute, self.second, self.nanosecond).ok()?;
        let offset = Duration::seconds(self.offset.unwrap_or(0).into());
        let at = PrimitiveDateTime::new(date, time).checked_sub(offset)?;
        if what != Temporal::Time && at.year() < 1 {
            return None;
        }
        let day = format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day());
        let mut clock = format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
        if at.nanosecond() > 0 {
            clock = format!("{clock}.{:09}", at.nanosecond()).trim_end_matches('0').to_owned();
        }
        let zone = if self.offset.is_some() { "Z" } else { "" };
        let since_midnight = (at.time() - Time::MIDNIGHT).whole_nanoseconds();
        let days = i128::from(at.date().to_julian_day()) * 86_400_000_000_000;
        Some(match what {
            Temporal::Date => Moment { order: days, text: day },
            Temporal::Datetime => Moment { order: days + since_midnight, text: format!("{day}T{clock}{zone}") },
            Temporal::Time => Moment { order: since_midnight, text: format!("{clock}{zone}") },
        })
    }
}
