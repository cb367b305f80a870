//! JSON objects as nearly all rows are: of strings without escapes, plain numbers, `true`, `false` and `null`.
//!
//! Such an object is read here, in one pass and without a copy. Anything else, valid or not, is `None` and left to
//! `serde_json`, which reads a member twice: once to find its end, once for what it is. So this needs to know little of
//! JSON, and is right if whatever it reads `serde_json` reads too, and alike; properties hold it to that.

use crate::{cell::Input, strings::plain_bytes};

/// An object that is being read, member after member.
pub(super) struct Flat<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Flat<'a> {
    /// The object that a text begins with.
    pub(super) fn open(text: &'a str) -> Option<Self> {
        let mut flat = Self { text, at: 0 };
        flat.expect(b'{')?;
        Some(flat)
    }

    /// Goes behind the name of the next member and its colon, if it is this one, quoted.
    #[inline]
    pub(super) fn pass_name(&mut self, quoted: &str) -> Option<()> {
        self.peek()?;
        let start = self.at;
        if !self.text.as_bytes()[start..].starts_with(quoted.as_bytes()) {
            return None;
        }
        self.at += quoted.len();
        let colon = self.expect(b':');
        if colon.is_none() {
            self.at = start;
        }
        colon
    }

    /// The name of the next member.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let name = self.string()?;
        self.expect(b':')?;
        Some(name)
    }

    /// The value of a member whose name has been read, and what an error shows of it.
    #[inline]
    pub(super) fn value(&mut self) -> Option<(Input<'a>, &'a str)> {
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

    /// Whether there is another member.
    #[inline]
    pub(super) fn goes_on(&mut self) -> Option<bool> {
        match self.next()? {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    /// Bytes that have been read.
    pub(super) fn length(&self) -> usize {
        self.at
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
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
        let rest = &self.text[self.at..];
        let length = plain_bytes(rest.as_bytes())?;
        if rest.as_bytes()[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        Some(&rest[..length])
    }

    fn word(&mut self, word: &'static str) -> Option<&'a str> {
        let found = self.text[self.at..].get(..word.len()).filter(|found| *found == word)?;
        self.at += word.len();
        Some(found)
    }

    /// A number without an exponent. What may follow it is for the caller to see.
    fn number(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
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
    use penstock_model::Grammar;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::{
        members::{JsonString, Members},
        split::Values,
        strings::quoted,
    };

    type Member = (String, String, String);

    /// The members of the object that a text begins with, and its length. Names that are expected are looked for first.
    fn members(text: &str, expected: &[&str]) -> Option<(Vec<Member>, usize)> {
        let mut flat = Flat::open(text)?;
        let mut members = Vec::new();
        loop {
            let expected =
                expected.get(members.len()).filter(|name| flat.pass_name(&quoted(name).expect("plain")).is_some());
            let name = match expected {
                Some(name) => name,
                None => flat.name()?,
            };
            let (input, shown) = flat.value()?;
            members.push((name.to_owned(), format!("{input:?}"), shown.to_owned()));
            if !flat.goes_on()? {
                return Some((members, flat.length()));
            }
        }
    }

    /// The same by `serde_json`.
    fn wanted(row: &str) -> Option<Vec<Member>> {
        let Members::<&RawValue>(members) = serde_json::from_str(row).ok()?;
        let member = |(name, value): (_, &RawValue)| {
            let raw = value.get();
            let text = serde_json::from_str(raw).ok().map(|JsonString(text)| text.into_owned());
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
            let found = members(&row, &[]);
            if let Some((members, length)) = &found {
                prop_assert_eq!(Some(members.clone()), wanted(&row[..*length]));
                let scanned = Values::of(Grammar::Elements { enveloped: false }, row.as_bytes()).next();
                prop_assert_eq!(Some(row[..*length].trim_start().as_bytes()), scanned);
            }
            prop_assert_eq!(members(&row, &["a", "b", "a", "a", "b"]), found);
        }
    }

    #[test]
    fn rows_as_they_are_met_are_read() {
        let row = r#" {"sku" : "Ä-1","cost":19.90, "stock":-3,"active":true,"brand":null,"x":"" } "#;
        let (found, length) = members(row, &["sku", "cost", "stock"]).expect("flat");
        let shown: Vec<_> = found.iter().map(|(_, _, shown)| shown.as_str()).collect();
        assert_eq!((shown, length), (vec!["Ä-1", "19.90", "-3", "true", "null", ""], row.len() - 1));
        for row in ["{}", r#"{"a":{}}"#, r#"{"a":"\n"}"#, r#"{"a":1e3}"#, r#"{"a":01}"#, r#"{"a":1"#, "{\"a\":\"\t\"}"]
        {
            assert_eq!(members(row, &["a"]), None, "{row}");
        }
    }
}
