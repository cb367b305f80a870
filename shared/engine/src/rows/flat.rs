//! JSON objects as nearly all rows are: of strings without escapes, plain numbers, `true`, `false` and `null`.
//!
//! Such an object is read here, in one pass and without a copy. Anything else, valid or not, is `None` and left to `serde_json`, which reads
//! a member twice: once to find its end, once for what it is. So this needs to know little of JSON, and is right if whatever it reads
//! `serde_json` reads too, and alike; a property holds it to that.

use crate::{kind::Input, strings::plain_bytes};

/// A member whose value needs no further reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    pub(super) input: Input<'a>,
    /// What an error shows of it.
    pub(super) shown: &'a str,
}

/// The members of an object, with room for as many as are `expected`.
pub(super) fn members(row: &str, expected: usize) -> Option<Vec<Member<'_>>> {
    let mut reader = Reader { row, at: 0 };
    reader.expect(b'{')?;
    let mut members = Vec::with_capacity(expected);
    loop {
        reader.expect(b'"')?;
        let name = reader.string()?;
        reader.expect(b':')?;
        let (input, shown) = reader.value()?;
        members.push(Member { name, input, shown });
        match reader.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    reader.peek().is_none().then_some(members)
}

struct Reader<'a> {
    row: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.row.as_bytes().get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Goes behind it.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A string behind its first quote.
    fn string(&mut self) -> Option<&'a str> {
        let rest = &self.row[self.at..];
        let length = plain_bytes(rest.as_bytes())?;
        if rest.as_bytes()[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        Some(&rest[..length])
    }

    fn value(&mut self) -> Option<(Input<'a>, &'a str)> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string().map(|text| (Input::Text(text), text))
            }
            b'-' | b'0'..=b'9' => self.number().map(|literal| (Input::Number(literal), literal)),
            b't' => self.word("true").map(|word| (Input::Boolean(true), word)),
            b'f' => self.word("false").map(|word| (Input::Boolean(false), word)),
            b'n' => self.word("null").map(|word| (Input::Null, word)),
            _ => None,
        }
    }

    fn word(&mut self, word: &'static str) -> Option<&'a str> {
        let found = self.row[self.at..].get(..word.len()).filter(|found| *found == word)?;
        self.at += word.len();
        Some(found)
    }

    /// A number without an exponent. What may follow it is for the caller to see.
    fn number(&mut self) -> Option<&'a str> {
        let rest = &self.row[self.at..];
        let digits = |from: usize| rest.as_bytes()[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let start = usize::from(rest.starts_with('-'));
        let whole = digits(start);
        if whole == 0 || whole > 1 && rest.as_bytes()[start] == b'0' {
            return None;
        }
        let mut length = start + whole;
        if rest.as_bytes().get(length) == Some(&b'.') {
            let fraction = digits(length + 1);
            if fraction == 0 {
                return None;
            }
            length += 1 + fraction;
        }
        self.at += length;
        Some(&rest[..length])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::members::{Members, Text};

    /// The same by `serde_json`.
    fn wanted(row: &str) -> Option<Vec<(String, String, String)>> {
        let Members::<&RawValue>(members) = serde_json::from_str(row).ok()?;
        let member = |(name, value): (_, &RawValue)| {
            let raw = value.get();
            let text = serde_json::from_str(raw).ok().map(|Text(text)| text.into_owned());
            let input = match (raw.as_bytes()[0], &text) {
                (b'"', Some(text)) => format!("{:?}", Input::Text(text)),
                (b't' | b'f', _) => format!("{:?}", Input::Boolean(raw == "true")),
                (b'n', _) => format!("{:?}", Input::Null),
                _ => format!("{:?}", Input::Number(raw)),
            };
            (std::borrow::Cow::into_owned(name), input, text.unwrap_or_else(|| raw.to_owned()))
        };
        Some(members.into_iter().map(member).collect())
    }

    fn rows() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{", "}", "[", "\"", "\"a\"", "\"b c\":", ":", ",", " ", "\n", "true", "false", "null", "tru", "0", "01",
            "-", "-7", "1.5", ".5", "1.", "1e3", "\"ä\"", "\"\\n\"", "\"\t\"", "\u{1}",
        ]);
        let member = (prop::sample::select(vec!["\"a\"", "\"b\" ", "\"\"", "a"]), prop::collection::vec(token, 1..3));
        let members =
            prop::collection::vec(member.prop_map(|(name, value)| format!("{name}:{}", value.concat())), 0..5);
        (members, prop::sample::select(vec!["{", " {", ""]), prop::sample::select(vec!["}", "} ", "}}", ",}", ""]))
            .prop_map(|(members, before, behind)| format!("{before}{}{behind}", members.join(",")))
    }

    proptest! {
        #![proptest_config(crate::cases(8000))]

        #[test]
        fn what_is_read_serde_json_reads_alike(row in rows()) {
            if let Some(members) = members(&row, 3) {
                let owned = |Member { name, input, shown }: Member<'_>| (name.to_owned(), format!("{input:?}"), shown.to_owned());
                prop_assert_eq!(Some(members.into_iter().map(owned).collect::<Vec<_>>()), wanted(&row));
            }
        }
    }

    #[test]
    fn rows_as_they_are_met_are_read() {
        let row = r#" {"sku" : "Ä-1","cost":19.90, "stock":-3,"active":true,"brand":null,"x":"" } "#;
        let names: Vec<_> = members(row, 0).expect("flat").into_iter().map(|member| member.shown).collect();
        assert_eq!(names, ["Ä-1", "19.90", "-3", "true", "null", ""]);
        for row in [
            "{}",
            r#"{"a":{}}"#,
            r#"{"a":"\n"}"#,
            r#"{"a":1e3}"#,
            r#"{"a":01}"#,
            r#"{"a":1} x"#,
            r#"{"a":1"#,
            "{\"a\":\"\t\"}",
        ] {
            assert_eq!(members(row, 0), None, "{row}");
        }
    }
}
