//! Moments: Unix milliseconds inside, RFC 3339 outside.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// `at_ms` (Unix milliseconds) as RFC 3339 in UTC with whole seconds, such as `2026-11-21T18:14:19Z`.
///
/// Moments outside the years 0 to 9999 are shown as the nearest one inside.
pub fn rfc3339(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1000).clamp(-62_167_219_200, 253_402_300_799);
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .expect("clamped to the years that RFC 3339 can write")
}

/// The moment that a text in RFC 3339 names, in Unix milliseconds; `None` if it names none.
pub fn unix_ms(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn writes_utc_seconds() {
        assert_eq!(super::rfc3339(1_795_284_859_999), "2026-11-21T18:14:19Z");
        assert_eq!(super::rfc3339(i64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn reads_any_offset_and_fraction() {
        for (text, ms) in [
            ("2026-11-21T18:14:19Z", Some(1_795_284_859_000)),
            ("2026-11-21T19:14:19.5+01:00", Some(1_795_284_859_500)),
            ("2026-11-21", None),
            ("", None),
        ] {
            assert_eq!(super::unix_ms(text), ms, "{text}");
        }
    }
}
