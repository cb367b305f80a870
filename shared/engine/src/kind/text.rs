//! Text: lengths, patterns, and the formats of strings.

use penstock_model::limits::{PATTERN_BYTES, PATTERN_CHARS};
use regex::Regex;

use super::example;
use crate::cell::CellError;

/// The rule of a field's texts.
#[derive(Debug, Clone, Default)]
pub(super) struct TextRule {
    pub(super) format: StringFormat,
    pub(super) length: Length,
    pub(super) pattern: Option<Pattern>,
}

/// A compiled pattern and its text in the schema.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    text: String,
    /// What it matches, where that is easily told.
    example: Option<String>,
}

/// The formats of a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum StringFormat {
    #[default]
    Plain,
    Email,
    Uri,
    Uuid,
    Gtin,
    Ean,
}

/// Bounds of a length.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Length {
    pub(super) least: Option<usize>,
    pub(super) most: Option<usize>,
}

impl Length {
    /// Checks a length against the bounds. `count` is not called where there are none; `what` names what it counts.
    pub(super) fn check(self, what: &str, count: impl Fn() -> usize) -> Result<(), CellError> {
        if let (None, None) = (self.least, self.most) {
            return Ok(());
        }
        let count = count();
        if let Some(limit) = self.least.filter(|&limit| count < limit) {
            return Err(CellError::new("too_short", format!("{count} {what}, the least is {limit}")));
        }
        if let Some(limit) = self.most.filter(|&limit| count > limit) {
            return Err(CellError::new("too_long", format!("{count} {what}, the limit is {limit}")));
        }
        Ok(())
    }
}

impl Pattern {
    /// Compiles a pattern that must match a whole text. What matching may take is another question:
    /// [`super::work::Walk::check`].
    pub(super) fn compile(pattern: &str) -> Result<Self, String> {
        if pattern.chars().count() > PATTERN_CHARS {
            return Err(format!("has more than {PATTERN_CHARS} characters"));
        }
        let build = |pattern: &str| {
            let built =
                regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build();
            built.map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    format!("compiles to more than {PATTERN_BYTES} bytes, the limit: repeat less in it")
                }
                error => error.to_string(),
            })
        };
        // By itself first: the group around it must not make `a)(b` a pattern.
        build(pattern)?;
        let regex = build(&format!(r"\A(?:{pattern})\z"))?;
        let example = example::of_pattern(pattern).filter(|example| regex.is_match(example));
        Ok(Self { regex, text: pattern.to_owned(), example })
    }
}

impl TextRule {
    /// Whether the rule accepts any text.
    pub(super) fn takes_any(&self) -> bool {
        let Length { least, most } = self.length;
        self.format == StringFormat::Plain && least.is_none() && most.is_none() && self.pattern.is_none()
    }

    pub(super) fn check(&self, text: &str) -> Result<(), CellError> {
        let error = |code, message: &str| Err(CellError::new(code, message));
        match self.format {
            StringFormat::Email if !is_email(text) => return error("invalid_email", "not an e-mail address"),
            StringFormat::Uri if !is_uri(text) => {
                return error("invalid_uri", "not a URI with a scheme, such as https://");
            }
            StringFormat::Uuid if !is_uuid(text) => {
                return error("invalid_uuid", "not a UUID: 32 hexadecimal digits in groups of 8-4-4-4-12");
            }
            StringFormat::Gtin if !is_gtin(text, &[8, 12, 13, 14]) => {
                return error("invalid_gtin", "not a GTIN: 8, 12, 13 or 14 digits, the last a check digit");
            }
            StringFormat::Ean if !is_gtin(text, &[8, 13]) => return error("invalid_ean", "Invalid EAN format."),
            _ => {}
        }
        self.length.check("characters", || text.chars().count())?;
        match &self.pattern {
            Some(pattern) if !pattern.regex.is_match(text) => {
                let example =
                    pattern.example.as_ref().map_or(String::new(), |example| format!(", as `{example}` does"));
                let message = format!("does not match the pattern `{}`{example}", pattern.text);
                Err(CellError::new("pattern_mismatch", message))
            }
            _ => Ok(()),
        }
    }
}

/// A GTIN of one of these lengths with its check digit (GS1 General Specifications, §7.9).
fn is_gtin(text: &str, lengths: &[usize]) -> bool {
    let weighted = |(place, digit): (usize, u8)| u32::from(digit - b'0') * if place % 2 == 0 { 1 } else { 3 };
    lengths.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.bytes().rev().enumerate().map(weighted).sum::<u32>() % 10 == 0
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// An address as frictionless takes it (the `validators` library): a dot-atom of at most 64 bytes, `@`, a domain with a
/// dot in it. Quoted local parts, which are as good as never met, are not taken.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let atom =
        |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{}|~-".contains(c) || ('\u{a0}'..='\u{24f}').contains(&c);
    let label = |label: &str| {
        let inner = |c: char| c.is_alphanumeric() || c == '-';
        (1..=63).contains(&label.len()) && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let Some((_, top)) = domain.rsplit_once('.') else { return false };
    local.len() <= 64
        && domain.len() <= 253
        && local.split('.').all(|part| !part.is_empty() && part.chars().all(atom))
        && domain.split('.').all(label)
        && top.len() > 1
        && top.chars().any(char::is_alphabetic)
        && !(top.is_ascii() && top.ends_with(|c: char| c.is_ascii_digit()))
}

/// A URI that begins with a scheme, of the characters of RFC 3986, every `%` an escape.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let bytes = rest.as_bytes();
    let escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    let taken = |(at, b): (usize, &u8)| match b {
        b'%' => escape(at),
        b => b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(b),
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && bytes.iter().enumerate().all(taken)
        && bytes.iter().filter(|b| **b == b'#').count() <= 1
}
