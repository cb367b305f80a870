//! An example of what a pattern matches, so that nobody has to read patterns.

use std::{iter::Peekable, str::Chars};

/// Characters of an example, at most. A longer one tells nobody anything.
const EXAMPLE_CHARS: usize = 40;

/// A short text that a regular expression may match: of alternatives the first, of repetitions the fewest. It is built
/// from what most patterns are made of, so it has to be tried before it is shown. `None` for a pattern with anything
/// else, or with no short example.
pub(super) fn of_pattern(pattern: &str) -> Option<String> {
    let mut rest = pattern.chars().peekable();
    let example = alternatives(&mut rest, 0)?;
    (rest.next().is_none() && !example.is_empty() && example.chars().count() <= EXAMPLE_CHARS).then_some(example)
}

/// Groups inside one another that are followed.
const DEPTH: usize = 10;

fn alternatives(rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    let mut first = None;
    let mut example = String::new();
    while let Some(&c) = rest.peek() {
        match c {
            ')' if depth > 0 => break,
            '|' => {
                rest.next();
                first.get_or_insert_with(|| std::mem::take(&mut example));
                example.clear();
                continue;
            }
            _ => {}
        }
        let atom = atom(rest, depth)?;
        let times = repetitions(rest)?;
        if times * atom.chars().count() + example.chars().count() > 2 * EXAMPLE_CHARS {
            return None;
        }
        example.push_str(&atom.repeat(times));
    }
    Some(first.unwrap_or(example))
}

fn atom(rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    Some(match rest.next()? {
        '^' | '$' => String::new(),
        '.' => "a".to_owned(),
        '\\' => escaped(rest.next()?)?.map(String::from).unwrap_or_default(),
        '[' => class(rest)?.to_string(),
        '(' if depth < DEPTH => {
            if rest.next_if_eq(&'?').is_some() && rest.next() != Some(':') {
                return None;
            }
            let inner = alternatives(rest, depth + 1)?;
            (rest.next()? == ')').then_some(inner)?
        }
        '(' | ')' | '*' | '+' | '?' | '{' => return None,
        literal => literal.to_string(),
    })
}

/// A character of what stands behind a backslash; `None` within where that is a place.
fn escaped(c: char) -> Option<Option<char>> {
    Some(match c {
        'd' => Some('1'),
        'w' => Some('a'),
        's' => Some(' '),
        'A' | 'z' | 'b' => None,
        c if c.is_ascii_alphanumeric() => return None,
        literal => Some(literal),
    })
}

/// The first character of a class behind its bracket.
fn class(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let mut first = None;
    if rest.peek() == Some(&'^') {
        return None;
    }
    loop {
        let c = match rest.next()? {
            ']' if first.is_some() => return first,
            '[' | '&' => return None,
            '\\' => escaped(rest.next()?)??,
            c => c,
        };
        first.get_or_insert(c);
    }
}

/// How many times at least what stands before is to come.
fn repetitions(rest: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let times = match rest.peek() {
        Some('*' | '?') => 0,
        Some('+') => 1,
        Some('{') => {
            let bounds: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
            let least = bounds.split(',').next()?.parse().ok().filter(|least| *least <= EXAMPLE_CHARS)?;
            rest.next_if_eq(&'?');
            return Some(least);
        }
        _ => return Some(1),
    };
    rest.next();
    rest.next_if_eq(&'?');
    Some(times)
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn an_example_is_what_the_pattern_matches() {
        for (pattern, example) in [
            ("[A-Z]{2}-[0-9]{4}", Some("AA-0000")),
            (r"\d{2,4}(?:\.\d+)?", Some("11")),
            ("^(red|green)$", Some("red")),
            ("a{3}b*c+", Some("aaac")),
            (r"[\w.]+@x\.de", Some("a@x.de")),
            ("(ab){2}", Some("abab")),
            ("[^x]", None),
            ("(?i)x", None),
            (r"\p{L}", None),
            ("x{99}", None),
            ("x*", None),
        ] {
            assert_eq!(of_pattern(pattern).as_deref(), example, "{pattern}");
            if let Some(example) = example {
                assert!(Regex::new(&format!(r"\A(?:{pattern})\z")).expect("a pattern").is_match(example), "{pattern}");
            }
        }
    }
}
