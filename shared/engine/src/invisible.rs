//! Characters that nobody sees: white space, and those of no width. At the ends of a key or of a column's name they
//! come by copying, and nobody means them.

/// Whether a character is white space (Unicode's `White_Space`, the no-break space among it), has no width (a byte
/// order mark, a zero-width space, a joiner), directs text or is a soft hyphen.
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// A text without the invisible characters at its ends.
#[inline]
pub fn trimmed(text: &str) -> &str {
    if has_visible_ends(text) { text } else { text.trim_matches(is_invisible) }
}

/// Whether a text is nothing but invisible characters. An empty one is too.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// Whether a text begins and ends with a visible character of ASCII, as nearly all keys do: then nothing is at its
/// ends.
#[inline]
pub(crate) fn has_visible_ends(text: &str) -> bool {
    matches!(text.as_bytes(), [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic())
        || matches!(text.as_bytes(), [only] if only.is_ascii_graphic())
}

/// Whether a delimited record says nothing: each of its cells is empty or of invisible characters alone, in quotes or
/// not. The splitter and the parser both ask this, so they count the same rows.
#[inline]
pub(crate) fn is_blank_record(record: &[u8], delimiter: u8, quoting: bool) -> bool {
    // The first byte of nearly every record tells.
    match record.first() {
        Some(&first) if first.is_ascii_graphic() && first != delimiter && first != QUOTE => false,
        _ => is_blank_to_its_end(record, delimiter, quoting),
    }
}

const QUOTE: u8 = b'"';

fn is_blank_to_its_end(record: &[u8], delimiter: u8, quoting: bool) -> bool {
    let (mut rest, mut cell_starts, mut quoted) = (record, true, false);
    while let Some(&byte) = rest.first() {
        let is_delimiter = byte == delimiter && !quoted;
        let length = if is_delimiter {
            1
        } else if byte == QUOTE && quoting && (quoted || cell_starts) {
            // A doubled quote is data.
            if quoted && rest.get(1) == Some(&QUOTE) {
                return false;
            }
            quoted = !quoted;
            1
        } else {
            let first = rest[..rest.len().min(4)].utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
            match first {
                Some(c) if is_invisible(c) => c.len_utf8(),
                _ => return false,
            }
        };
        cell_starts = is_delimiter;
        rest = &rest[length..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_copies_a_key_copies_no_more_than_it() {
        for around in ["", " ", "\t", "\u{a0}", "\u{200b}", "\u{feff}\u{feff}", " \u{2060}\r\n", "\u{ad}", "\u{200e}"] {
            for text in ["A-1", "A 1", "ä", "7", "A\u{200b}1"] {
                assert_eq!(trimmed(&format!("{around}{text}{around}")), text);
            }
            assert!(is_blank(around) && trimmed(around).is_empty(), "{around:?}");
        }
        assert!(!is_blank(" x") && !is_blank("\u{1}"));
    }

    #[test]
    fn a_record_without_a_visible_character_is_blank() {
        let is_blank = |record: &str| is_blank_record(record.as_bytes(), b';', true);
        for record in ["", ";", ";;;\r\n", " ; ;\t\n", "\"\";\"\"", "\" \";;\"\n\"\n", "\u{a0};\u{feff}", "\"\" ;"] {
            assert!(is_blank(record), "{record:?}");
        }
        for record in [";;x", "\"\"\"\"", "\";\"", " \"\"", ",", "ä;", ";0", "\"a\"", "\u{1};", "\"\";\"\"x"] {
            assert!(!is_blank(record), "{record:?}");
        }
        assert!(!is_blank_record(b"\xff;", b';', true) && !is_blank_record(b"\"\"", b';', false));
        assert!(is_blank_record(b"\t\t\n", b'\t', true));
    }
}
