//! What differs from frictionless-py on purpose, and why. Each difference recognises itself by the field, the cell and
//! both answers.

#![allow(unreachable_pub)]

use std::fmt;

use penstock_model::{Decimal, DecimalError};
use serde_json::Value;

/// A cell, or a schema, of which the two do not say the same.
pub struct Disagreement {
    /// Seed and table.
    pub place: String,
    /// The field's definition.
    pub field: Value,
    /// The cell; `None` where Penstock refuses the schema.
    pub cell: Option<String>,
    /// What it refuses of the schema, as a JSON pointer; empty where it takes the schema.
    pub pointer: String,
    /// Whether frictionless takes it; `None` where it raises.
    pub theirs: Option<bool>,
    /// Whether Penstock takes it, or the code of its first error.
    pub ours: Result<(), &'static str>,
}

/// A difference that is meant.
pub struct Difference {
    pub name: &'static str,
    pub reason: &'static str,
    /// Recognises it.
    pub is: fn(&Disagreement) -> bool,
}

pub const DIFFERENCES: [Difference; 38] = [
    Difference {
        name: "NaN and INF",
        reason: "neither a price nor a stock is one, and the table cannot store them",
        is: |it| it.refused("invalid_number") && it.of("number") && it.has_any_case(&["nan", "inf"]),
    },
    Difference {
        name: "underscores in numbers",
        reason: "`1_0` is a number of Python's, not of Table Schema's",
        is: |it| it.is_number() && it.refused_as_number() && it.text().contains('_'),
    },
    Difference {
        name: "integers beyond 64 bits",
        reason: "they are refused, never wrapped",
        is: |it| {
            let digits = it.number();
            let digits = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
            let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            it.refused("invalid_integer") && it.of("integer") && whole && it.number().parse::<i64>().is_err()
        },
    },
    Difference {
        name: "numbers of more than 38 digits",
        reason: "DynamoDB keeps 38; nothing is rounded",
        is: |it| {
            let digits = Decimal::parse(it.number().trim()) == Err(DecimalError::Digits);
            it.refused("invalid_number") && it.of("number") && digits
        },
    },
    Difference {
        name: "groups of digits that are none",
        reason: "`1,5` with the groupChar `,` is not 15: three digits stand before the decimal character, none behind it",
        is: |it| it.is_number() && it.refused_as_number() && it.text().contains(it.option("groupChar").unwrap_or("\0")),
    },
    Difference {
        name: "a sign beside a number that is not bare",
        reason: "`5-` and `(5)` are negative to bookkeepers: they do not become 5 silently",
        is: |it| {
            let (before, _, behind) = it.in_parts();
            it.is_number() && it.refused_as_number() && [before, behind].concat().contains(['-', '(', ')', '\u{2212}'])
        },
    },
    Difference {
        name: "a point before a number that is not bare",
        reason: "`$.5` is 0.5, and no integer; frictionless takes the point for a part of the currency and reads 5",
        is: |it| it.is_number() && it.in_parts().0.ends_with(it.decimal_char()),
    },
    Difference {
        name: "spaces around a boolean",
        reason: "they are ignored, as around a number",
        is: |it| it.only_ours() && it.of("boolean") && it.text().trim() != it.text(),
    },
    Difference {
        name: "cells that show nothing, of a field that is required",
        reason: "white space alone, or characters without a width, is no value to whoever looks at it",
        is: |it| {
            let is_invisible = |c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}');
            it.refused("required") && it.text().chars().all(is_invisible)
        },
    },
    Difference {
        name: "patterns match the whole text",
        reason: "frictionless puts `^` and `$` around it, which bind to the first and last alternative and let a final line end pass",
        is: |it| {
            let depth = |at: usize, c: char| it.pattern()[..at].matches(c).count();
            let alternatives = it.pattern().match_indices('|').any(|(at, _)| depth(at, '(') == depth(at, ')'));
            it.refused("pattern_mismatch") && (alternatives || it.text().ends_with('\n'))
        },
    },
    Difference {
        name: "`\\w` takes combining marks",
        reason: "as Unicode (UTS 18, Annex C) defines words; to Python `e` with an accent of its own is two",
        is: |it| {
            it.only_ours()
                && it.pattern().contains("\\w")
                && it.text().contains(|c| ('\u{300}'..='\u{36f}').contains(&c))
        },
    },
    Difference {
        name: "URIs of other characters",
        reason: "frictionless looks at the scheme alone; RFC 3986 does not give a URI spaces, braces or letters beyond ASCII",
        is: |it| it.refused("invalid_uri") && !is_rfc_3986(it.text()),
    },
    Difference {
        name: "UUIDs in other notations",
        reason: "Table Schema's UUID has its hyphens, no braces and no `urn:uuid:`",
        is: |it| {
            let group = |group: &str| group.bytes().all(|b| b.is_ascii_hexdigit()).then_some(group.len());
            let groups: Vec<_> = it.text().split('-').map(group).collect();
            it.refused("invalid_uuid") && groups != [8, 4, 4, 4, 12].map(Some)
        },
    },
    Difference {
        name: "quoted local parts of e-mail addresses",
        reason: "they are as good as never met, and most senders refuse them",
        is: |it| it.refused("invalid_email") && it.text().starts_with('"') && it.text().contains("\"@"),
    },
    Difference {
        name: "local parts of more than 64 bytes",
        reason: "RFC 5321 counts octets, frictionless characters",
        is: |it| it.refused("invalid_email") && it.text().split('@').next().is_some_and(|local| local.len() > 64),
    },
    Difference {
        name: "hyphens at the ends of labels beyond ASCII",
        reason: "IDNA (RFC 5891 §4.2.3.1) has none; frictionless looks at the encoded label, which ends otherwise",
        is: |it| {
            let odd = |label: &str| !label.is_ascii() && (label.ends_with('-') || label.starts_with('-'));
            it.refused("invalid_email") && it.text().split('@').nth(1).is_some_and(|domain| domain.split('.').any(odd))
        },
    },
    Difference {
        name: "integers with a groupChar",
        reason: "as in Table Schema v2; frictionless ignores a groupChar of integers",
        is: |it| it.only_ours() && it.of("integer") && it.text().contains(it.option("groupChar").unwrap_or("\0")),
    },
    Difference {
        name: "day 366 of a common year",
        reason: "it is in no calendar; frictionless makes it the first of January",
        is: |it| {
            it.refused_as_temporal()
                && it.option("format").is_some_and(|f| f.contains("%j"))
                && it.text().contains("366")
        },
    },
    Difference {
        name: "the hour 24",
        reason: "a moment has one name; frictionless makes it the next day, or the start of the same one",
        is: |it| it.refused_as_temporal() && it.is_default() && it.text().contains("24:00:00"),
    },
    Difference {
        name: "the format `any` of dates and times",
        reason: "it would guess: 01/02 is a day of January or of February",
        is: |it| it.ours == Err("schema") && it.option("format") == Some("any"),
    },
    Difference {
        name: "enumerations of values that break other constraints of their field",
        reason: "no cell is ever such a value: a slip in the schema, told when it is registered",
        is: |it| {
            let constraints = &it.field["constraints"];
            let bounded =
                ["minLength", "maxLength", "minimum", "maximum", "pattern"].map(|name| !constraints[name].is_null());
            it.pointer.contains("/constraints/enum/") && !it.is_temporal() && bounded.contains(&true)
        },
    },
    Difference {
        name: "bounds with an offset and cells without, or the other way round",
        reason: "what has no offset is compared as if in UTC; frictionless raises",
        is: |it| {
            let constraints = &it.field["constraints"];
            it.theirs.is_none()
                && it.is_temporal()
                && (constraints["minimum"].is_string() || constraints["maximum"].is_string())
        },
    },
    Difference {
        name: "bounds of times with different offsets",
        reason: "a time is kept in UTC, where 00:30+01:00 is 23:30; frictionless compares with -00:30",
        is: |it| {
            let constraints = &it.field["constraints"];
            let bounds =
                [&constraints["minimum"], &constraints["maximum"]].map(|bound| bound.as_str().unwrap_or_default());
            let has_offset = |text: &str| text.contains(['+', '-']);
            let compared = matches!(it.ours, Ok(()) | Err("too_small" | "too_large"));
            it.of("time")
                && compared
                && (has_offset(it.text()) || bounds.into_iter().any(has_offset))
                && bounds.concat().contains(':')
        },
    },
    Difference {
        name: "moments that are in no year from 1 to 9999 in UTC",
        reason: "a moment is kept in UTC, by a year of four digits",
        is: |it| {
            let ends = it.text().contains("9999") && it.text().contains('-')
                || it.text().contains("0001") && it.text().contains('+');
            it.of("datetime") && it.refused("invalid_datetime") && ends
        },
    },
    Difference {
        name: "hours alone, with an offset",
        reason: "Table Schema's default is hh:mm:ss; `09-05:30` has its colon where frictionless looks for the second",
        is: |it| {
            it.refused("invalid_time") && it.is_default() && matches!(it.text().as_bytes().get(2), Some(b'+' | b'-'))
        },
    },
    Difference {
        name: "days of a week",
        reason: "Table Schema's default is YYYY-MM-DDThh:mm:ssZ; `2026-W05-6` is as long as a date, and passes frictionless's guard",
        is: |it| it.refused("invalid_datetime") && it.is_default() && it.text().get(4..6) == Some("-W"),
    },
    Difference {
        name: "a digit between date and time",
        reason: "ISO 8601 has a T there; `2026-01-31509:30:00` is a slip",
        is: |it| {
            it.refused("invalid_datetime")
                && it.is_default()
                && it.text().as_bytes().get(10).is_some_and(u8::is_ascii_digit)
        },
    },
    Difference {
        name: "more than nine digits of a second",
        reason: "nanoseconds are kept; frictionless cuts off what is beyond microseconds",
        is: |it| {
            let fraction = it.text().split_once(['.', ',']).map_or("", |(_, fraction)| fraction);
            it.refused_as_temporal() && it.is_default() && fraction.bytes().take_while(u8::is_ascii_digit).count() > 9
        },
    },
    Difference {
        name: "a day padded with a space in the default format",
        reason: "Table Schema's default is YYYY-MM-DD",
        is: |it| it.refused("invalid_date") && it.is_default() && it.text().contains("- "),
    },
    Difference {
        name: "years that are not four digits",
        reason: "Table Schema's year is one of XML Schema; `+202`, ` 202` and `20_6` are integers of Python's",
        is: |it| {
            it.refused("invalid_year")
                && it.text().chars().count() == 4
                && !it.text().bytes().all(|b| b.is_ascii_digit())
        },
    },
    Difference {
        name: "digits beyond ASCII",
        reason: "numbers and dates of Table Schema have the digits 0 to 9",
        is: |it| {
            let foreign = it.text().chars().any(|c| c.is_numeric() && !c.is_ascii());
            foreign && (it.is_number() && it.refused_as_number() || it.refused_as_temporal())
        },
    },
    Difference {
        name: "the controls 1C to 1F as spaces",
        reason: "they are spaces to Python, not to Unicode (White_Space)",
        is: |it| it.text().contains(['\u{1c}', '\u{1d}', '\u{1e}', '\u{1f}']),
    },
    Difference {
        name: "NaN and Infinity in JSON",
        reason: "RFC 8259 does not have them",
        is: |it| it.refused_as_json() && (it.text().contains("NaN") || it.text().contains("Infinity")),
    },
    Difference {
        name: "numbers of more than 38 digits in JSON",
        reason: "DynamoDB keeps 38; nothing is rounded",
        is: |it| it.is_nested() && it.refused("invalid_number"),
    },
    Difference {
        name: "half a surrogate pair in JSON",
        reason: "it is no character and no UTF-8",
        is: |it| it.is_nested() && it.refused("invalid_utf8") && it.has_any_case(&["\\ud8", "\\ud9", "\\uda", "\\udb"]),
    },
    Difference {
        name: "NUL in JSON",
        reason: "it is refused in every cell",
        is: |it| it.is_nested() && it.refused("nul_byte") && it.has_any_case(&["\\u0000"]),
    },
    Difference {
        name: "members that come twice",
        reason: "which of them is meant is open; Python takes the last without a word",
        is: |it| it.is_nested() && it.refused_as_json() && repeats_a_name(it.text()),
    },
    Difference {
        name: "members without a name",
        reason: "DynamoDB keeps none",
        is: |it| it.refused_as_json() && it.text().contains("\"\""),
    },
];

impl Disagreement {
    fn text(&self) -> &str {
        self.cell.as_deref().unwrap_or_default()
    }

    fn of(&self, field_type: &str) -> bool {
        self.field["type"] == field_type
    }

    fn is_number(&self) -> bool {
        self.of("number") || self.of("integer")
    }

    fn is_temporal(&self) -> bool {
        self.of("date") || self.of("datetime") || self.of("time")
    }

    fn is_nested(&self) -> bool {
        self.of("array") || self.of("object")
    }

    fn is_default(&self) -> bool {
        self.option("format").is_none_or(|format| format == "default")
    }

    /// Whether Penstock refuses for this reason what frictionless does not.
    fn refused(&self, code: &str) -> bool {
        self.theirs != Some(false) && self.ours == Err(code)
    }

    fn refused_as_number(&self) -> bool {
        ["invalid_number", "invalid_integer", "other_decimal_char"].iter().any(|code| self.refused(code))
    }

    fn refused_as_temporal(&self) -> bool {
        self.refused("invalid_date") || self.refused("invalid_datetime") || self.refused("invalid_time")
    }

    fn refused_as_json(&self) -> bool {
        self.refused("invalid_array") || self.refused("invalid_object")
    }

    fn only_ours(&self) -> bool {
        self.theirs == Some(false) && self.ours.is_ok()
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.field[name].as_str()
    }

    fn pattern(&self) -> &str {
        self.field["constraints"]["pattern"].as_str().unwrap_or_default()
    }

    fn has_any_case(&self, parts: &[&str]) -> bool {
        let text = self.text().to_lowercase();
        parts.iter().any(|part| text.contains(part))
    }

    fn decimal_char(&self) -> &str {
        self.option("decimalChar").unwrap_or(".")
    }

    /// What frictionless takes away before a number that is not bare, what it leaves, and what it takes away behind.
    fn in_parts(&self) -> (&str, &str, &str) {
        let text = self.text().trim();
        if self.field["bareNumber"] != false {
            return ("", text, "");
        }
        let start = text.find(|c: char| c == '-' || c.is_numeric()).unwrap_or(text.len());
        let behind = text[start..].rfind(char::is_numeric);
        let end = behind.map_or(start, |at| start + at + text[start + at..].chars().next().map_or(0, char::len_utf8));
        (&text[..start], &text[start..end], &text[end..])
    }

    /// The number as frictionless hands it to Python.
    fn number(&self) -> String {
        let plain = self.in_parts().1.replace(self.option("groupChar").unwrap_or("\0"), "");
        plain.replace(self.decimal_char(), ".")
    }
}

/// A scheme, and behind it the characters that RFC 3986 gives a URI (§2), every `%` an escape, one `#` at most.
fn is_rfc_3986(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let escapes = rest
        .split('%')
        .skip(1)
        .all(|hex| hex.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)));
    let has = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && rest.bytes().all(has)
        && escapes
        && rest.matches('#').count() <= 1
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let theirs = self.theirs.map_or("raises", |valid| if valid { "valid" } else { "invalid" });
        let (ours, cell) = (self.ours.err().unwrap_or("valid"), self.cell.as_deref());
        let (place, field, pointer) = (&self.place, &self.field, &self.pointer);
        write!(f, "{place}: {field} {cell:?}: frictionless {theirs}, Penstock {ours}{pointer}")
    }
}

/// Whether a JSON text has a member's name twice, if perhaps in two objects.
fn repeats_a_name(json: &str) -> bool {
    let names: Vec<&str> = json.split('"').collect();
    let is_name = |at: &usize| names.get(at + 1).is_some_and(|behind| behind.trim_start().starts_with(':'));
    let mut found = std::collections::HashSet::new();
    (1..names.len()).step_by(2).filter(is_name).any(|at| !found.insert(names[at]))
}
