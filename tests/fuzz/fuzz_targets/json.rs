//! The elements of JSON text are those that `serde_json` finds, however the text is cut; and their rows are counted and
//! read alike by every way there is to read them.
//!
//! An input is four bytes, and the rest. The first says the grammar, the kind, whether the rest is the text itself or
//! the tape from which one is written, and whether records are limited; the others where the text and its chunks are
//! cut.

#![no_main]

use std::{borrow::Cow, collections::BTreeSet, fmt, slice, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use penstock_engine::{
    header,
    kind::Kind,
    kinds, lines,
    plan::Plan,
    rows::{self, Records},
    split::{Piece, SplitOptions, Splitter},
};
use penstock_model::{
    Body, Checkpoint, Chunk, DocumentFlaw, Grammar, ImportOptions, Job, RecordFlaw, RowError, limits::JSON_DEPTH,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Bytes of a record, where they are limited.
const RECORD_BYTES: usize = 60;

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let account = "1".parse().expect("a valid account");
    kinds::all().iter().map(|schema| Kind::compile(schema, &account).expect("a bundled kind compiles")).collect()
});

fuzz_target!(|input: &[u8]| {
    let [what, cut, chunk_bytes, chunk_rows, rest @ ..] = input else { return };
    let (what, cut) = (usize::from(*what), usize::from(*cut));
    let grammar =
        [Grammar::Elements { enveloped: false }, Grammar::Lines, Grammar::Elements { enveloped: true }][what % 3];
    let kind = &KINDS[what / 12 % KINDS.len()];
    let text = if what / 3 % 2 == 0 { Cow::Borrowed(rest) } else { Cow::Owned(Writer::text(grammar, kind, rest)) };
    let options = SplitOptions {
        grammar,
        chunk_bytes: usize::from(*chunk_bytes) + 1,
        chunk_rows: u64::from(*chunk_rows) % 16 + 1,
        record_bytes: if what / 6 % 2 == 0 { usize::MAX } else { RECORD_BYTES },
    };
    let chunks = split(options, &text, usize::MAX);
    assert_eq!(split(options, &text, cut), chunks, "in pieces of {cut}");
    // A document without a row fails as a file.
    let Some(chunks) = chunks else { return };
    assert_places(options, &text, &chunks, cut);
    assert_elements(options, &text, &chunks);
    assert_rows(kind, grammar, &chunks);
});

/// The chunks of a text that comes in pieces, each with where a splitter goes on.
fn split(options: SplitOptions, text: &[u8], piece_bytes: usize) -> Option<Vec<(Chunk, Checkpoint)>> {
    let (chunks, rows) = split_from(Splitter::new(options), text, piece_bytes)?;
    assert_eq!(rows, chunks.iter().map(|(chunk, _)| chunk.rows).sum::<u64>());
    Some(chunks)
}

fn split_from(mut splitter: Splitter, text: &[u8], piece_bytes: usize) -> Option<(Vec<(Chunk, Checkpoint)>, u64)> {
    let mut pieces = Vec::new();
    for bytes in text.chunks(piece_bytes.max(1)) {
        pieces.extend(splitter.push(bytes).ok()?);
    }
    let (last, rows) = splitter.finish().ok()?;
    let chunk = |piece| match piece {
        Piece::Chunk(chunk, checkpoint) => (chunk, checkpoint),
        Piece::Header(header) => panic!("a header: {header:?}"),
    };
    Some((pieces.into_iter().chain(last).map(chunk).collect(), rows))
}

/// Chunks are numbered, stand where they say, and are the same for a splitter that goes on after any of them. Behind a
/// document that breaks off nobody goes on: there is nothing.
fn assert_places(options: SplitOptions, text: &[u8], chunks: &[(Chunk, Checkpoint)], pick: usize) {
    let (mut row, mut end) = (1, 0);
    for (index, (chunk, _)) in (0..).zip(chunks) {
        assert_eq!((chunk.index, chunk.first_row), (index, row));
        assert_eq!(chunk.first_line, 1 + lines::ended_in(&text[..chunk.offset as usize]));
        assert!(chunk.offset >= end && chunk.rows > 0);
        (row, end) = (row + chunk.rows, chunk.offset + chunk.bytes);
        if let Body::Rows(bytes) = &chunk.body {
            assert_eq!(bytes, &text[chunk.offset as usize..end as usize]);
        }
    }
    assert!(end <= text.len() as u64);
    let whole = |(chunk, _): &&(Chunk, _)| !matches!(chunk.body, Body::Refused(RecordFlaw::BrokenDocument { .. }));
    let whole = chunks.iter().take_while(whole).count();
    if whole > 0 {
        let after = pick % whole;
        let (_, checkpoint) = chunks[after];
        let splitter = Splitter::resume(options, checkpoint);
        let (rest, _) = split_from(splitter, &text[checkpoint.offset as usize..], pick).expect("there were rows");
        assert_eq!(rest, chunks[after + 1..], "resumed at {checkpoint:?}");
    }
}

/// The chunks hold the elements that `serde_json` finds in a document that it reads.
fn assert_elements(options: SplitOptions, text: &[u8], chunks: &[(Chunk, Checkpoint)]) {
    let mut unmarked = text;
    while let Some(rest) = unmarked.strip_prefix(b"\xef\xbb\xbf") {
        unmarked = rest;
    }
    let wanted: Vec<&[u8]> = match options.grammar {
        Grammar::Elements { enveloped: false } => match elements(unmarked) {
            Some(elements) => elements,
            None => return,
        },
        Grammar::Elements { enveloped: true } => match enveloped_elements(unmarked) {
            Some(elements) => elements,
            None => return,
        },
        // Lines are lines, whether a value or not.
        _ => unmarked.split(|byte| *byte == b'\n').map(trimmed).filter(|line| !line.is_empty()).collect(),
    };
    let mut found: Vec<&[u8]> = Vec::new();
    let mut places = Vec::new();
    let mut broken = None;
    for (chunk, _) in chunks {
        let bytes = &text[chunk.offset as usize..][..chunk.bytes as usize];
        match &chunk.body {
            Body::Rows(_) => {
                let before = found.len();
                rows::for_each_record(options.grammar, chunk.first_row, chunk.first_line, bytes, |record| {
                    found.push(&bytes[record.start..][..record.bytes.len()]);
                    places.push((record.line, chunk.offset as usize + record.start));
                });
                assert_eq!((found.len() - before) as u64, chunk.rows);
            }
            Body::Refused(RecordFlaw::TooLarge) => {
                assert!(bytes.len() > options.record_bytes);
                found.push(trimmed(bytes));
            }
            Body::Refused(refusal) => broken = Some(*refusal),
        }
    }
    let is_line = options.grammar == Grammar::Lines;
    let readable = wanted.iter().take_while(|element| is_line || depth(element) <= JSON_DEPTH).count();
    assert_eq!(shown(&found), shown(&wanted[..readable]));
    let is_too_deep = |refusal| matches!(refusal, RecordFlaw::BrokenDocument { flaw: DocumentFlaw::TooDeep, .. });
    assert_eq!(broken.map(is_too_deep), (readable < wanted.len()).then_some(true), "{broken:?}");
    for (line, start) in places {
        assert_eq!(line, 1 + lines::ended_in(&text[..start]));
    }
}

fn elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(text).ok()?;
    Some(elements.into_iter().map(|element| element.get().as_bytes()).collect())
}

/// The elements of the one array that an object holds, and nothing beside them that holds another or is deeper than is
/// read.
fn enveloped_elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let Members(members) = serde_json::from_slice(text).ok()?;
    let is_array = |value: &&[u8]| value.starts_with(b"[");
    let (arrays, others): (Vec<_>, Vec<_>) =
        members.into_iter().map(|(_, value)| value.get().as_bytes()).partition(is_array);
    match arrays[..] {
        [array] if others.iter().all(|value| !value.contains(&b'[') && depth(value) < JSON_DEPTH) => {
            elements(array).filter(|elements| elements.first().is_none_or(|first| first.starts_with(b"{")))
        }
        _ => None,
    }
}

/// What every way to read the rows of a chunk has to agree on.
fn assert_rows(kind: &Kind, grammar: Grammar, chunks: &[(Chunk, Checkpoint)]) {
    let columns = match chunks.first() {
        Some((Chunk { body: Body::Rows(bytes), .. }, _)) => header::members(bytes, grammar),
        _ => Vec::new(),
    };
    let options = ImportOptions::default();
    let Ok(plan) = Plan::compile(kind.clone(), grammar, &columns, &options.mapping) else { return };
    let job = Job::dry("1".parse().expect("valid"), kind.name().clone(), &options, grammar, columns);
    // One learns from every chunk; another begins each anew.
    let mut learned = plan.clone();
    for (chunk, _) in chunks {
        let records = Records::of(&job, chunk);
        let parsed = rows::parse(&mut learned, &job, &records);
        let checked = rows::check(&mut plan.clone(), &job, &records);
        assert_eq!(checked.accepted, parsed.rows.len() as u64);
        assert_eq!(checked.errors, parsed.errors);
        assert_eq!(rows::check(&mut learned, &job, &records), checked, "a plan that knows the chunk");
        let rejected: BTreeSet<u64> = parsed.errors.iter().map(|error| error.row).collect();
        let mut all: Vec<u64> = parsed.rows.iter().map(|row| row.row).chain(rejected).collect();
        all.sort_unstable();
        assert_eq!(all, (chunk.first_row..chunk.first_row + chunk.rows).collect::<Vec<_>>(), "each row once");
        let Body::Rows(bytes) = &chunk.body else { continue };
        rows::for_each_record(grammar, chunk.first_row, chunk.first_line, bytes, |record| {
            let errors: Vec<&RowError> = parsed.errors.iter().filter(|error| error.row == record.row).collect();
            let is_unread = |error: &&&RowError| error.field.is_none();
            let Ok(Members(members)) = serde_json::from_slice(record.bytes) else {
                assert!(errors.iter().any(|error| is_unread(&error)), "serde_json does not read the row: {errors:?}");
                return;
            };
            assert_eq!(errors.iter().find(is_unread), None, "serde_json reads the row");
            // The same members, with names that only a reader of escapes can read.
            let again = escaped(&members);
            let again = Chunk {
                first_row: record.row,
                first_line: record.line,
                bytes: again.len() as u64,
                rows: 1,
                body: Body::Rows(again),
                ..chunk.clone()
            };
            let records = Records::of(&job, &again);
            let again = rows::parse(&mut learned, &job, &records);
            assert_eq!(again.rows.first(), parsed.rows.iter().find(|row| row.row == record.row), "escaped");
            assert_eq!(again.errors.iter().collect::<Vec<_>>(), errors, "escaped");
        });
    }
}

/// An object of these members on one line, the names escaped.
fn escaped(members: &[(Cow<'_, str>, &RawValue)]) -> Vec<u8> {
    let member = |(name, value): &(Cow<'_, str>, &RawValue)| {
        let name: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        format!("\"{name}\":{value}")
    };
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(",")).into_bytes()
}

/// The members of an object; a name that comes twice is there twice.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, _>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// How deep the brackets of a valid value stand inside one another.
fn depth(value: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in value {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

fn shown<'a>(elements: &[&'a [u8]]) -> Vec<Cow<'a, str>> {
    elements.iter().map(|element| String::from_utf8_lossy(element)).collect()
}

/// Writes JSON text as a tape of bytes says: valid, unless the tape's first bytes say where it is damaged.
struct Writer<'a> {
    kind: &'a Kind,
    tape: slice::Iter<'a, u8>,
    /// Where line ends are no white space.
    is_line: bool,
    text: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn text(grammar: Grammar, kind: &'a Kind, tape: &'a [u8]) -> Vec<u8> {
        let is_line = grammar == Grammar::Lines;
        let mut writer = Self { kind, tape: tape.iter(), is_line, text: Vec::new() };
        let damage = (writer.next() % 4 == 1).then(|| [writer.next(), writer.next(), writer.next()]);
        match grammar {
            Grammar::Elements { enveloped: true } => {
                writer.push("{");
                for _ in 0..writer.below(3) {
                    writer.envelope_member();
                    writer.push(",");
                }
                writer.string();
                writer.push(":");
                writer.rows("[", ",", "]");
                for _ in 0..writer.below(3) {
                    writer.push(",");
                    writer.envelope_member();
                }
                writer.push("}");
            }
            Grammar::Lines => {
                let end = ["\n", "\r\n", "\n \n"][writer.below(3)];
                writer.rows("", end, "");
            }
            _ => writer.rows("[", ",", "]"),
        }
        let mut text = writer.text;
        if let Some([high, low, byte]) = damage
            && !text.is_empty()
        {
            let at = usize::from(u16::from_be_bytes([high, low])) % text.len();
            match byte {
                0 => text.truncate(at),
                1 => drop(text.remove(at)),
                byte if byte % 2 == 0 => text[at] = byte / 2,
                byte => text.insert(at, byte),
            }
        }
        text
    }

    /// The tape's next byte; nothing but zeros follow its end.
    fn next(&mut self) -> u8 {
        self.tape.next().copied().unwrap_or(0)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.next()) % bound
    }

    /// Structure, and white space behind it at times.
    fn push(&mut self, text: &str) {
        self.text.extend(text.bytes());
        let white = match self.next() {
            200..210 => " ",
            210..220 => "\t  ",
            220..230 if !self.is_line => "\n",
            230..240 if !self.is_line => "\r\n",
            240..250 if !self.is_line => "  \r   \n\n",
            250.. => "                                                                  ",
            _ => "",
        };
        self.text.extend(white.bytes());
    }

    fn envelope_member(&mut self) {
        self.string();
        self.push(":");
        match self.below(2) {
            0 => self.scalar(),
            _ => self.object(2),
        }
    }

    fn rows(&mut self, before: &str, between: &str, behind: &str) {
        self.push(before);
        let mut is_first = true;
        while self.tape.len() > 0 {
            if !is_first {
                self.push(between);
            }
            is_first = false;
            match self.below(8) {
                0 => self.value(3),
                _ => self.object(0),
            }
        }
        self.push(behind);
    }

    fn object(&mut self, depth: usize) {
        self.push("{");
        for at in 0..self.below(6) {
            if at > 0 {
                self.push(",");
            }
            let fields = self.kind.fields();
            match self.below(8) {
                0 => self.string(),
                1 => {
                    let at = self.below(fields.len());
                    let name = fields[at].name().to_uppercase().replace('_', " ");
                    self.push(&format!("\"{name}\""));
                }
                _ => {
                    let at = self.below(fields.len());
                    self.push(&format!("\"{}\"", fields[at].name()));
                }
            }
            self.push(":");
            self.value(depth + 1);
        }
        self.push("}");
    }

    fn value(&mut self, depth: usize) {
        match self.below(12) {
            0 if depth < 5 => self.object(depth),
            1 if depth < 5 => {
                self.push("[");
                for at in 0..self.below(4) {
                    if at > 0 {
                        self.push(",");
                    }
                    self.value(depth + 1);
                }
                self.push("]");
            }
            2 if self.below(8) == 0 => {
                let brackets = 100 + self.below(60);
                self.push(&"[".repeat(brackets));
                self.push(&"]".repeat(brackets));
            }
            3..7 => self.string(),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) {
        const SCALARS: [&str; 24] = [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "7",
            "-12",
            "19.90",
            "1.0",
            "-0.001",
            "1e5",
            "1E-2",
            "2.50e+1",
            "9007199254740993",
            "123456789012345678901234567890",
            "0.1234567890123456789",
            "1e400",
            "\"\"",
            "\"true\"",
            "\"12\"",
            "\"2024-02-29\"",
            "\"2024-02-29T10:00:00Z\"",
            "\"https://example.com/a.jpg\"",
            "{\"date\":\"2024-02-29\"}",
        ];
        let at = self.below(SCALARS.len());
        self.push(SCALARS[at]);
    }

    fn string(&mut self) {
        const PARTS: [&str; 24] = [
            "a",
            "B 7",
            "x_",
            "ä",
            "\u{1f600}",
            "\\\"",
            "\\\\",
            "\\n",
            "\\/",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\ud800",
            "\\u0000",
            "\u{7f}",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "  ",
            "'",
            "a text that is longer than the block of sixty-four bytes in which it is searched",
        ];
        let mut text = String::from("\"");
        for _ in 0..self.below(6) {
            let at = self.below(PARTS.len());
            text.push_str(PARTS[at]);
        }
        self.push(&(text + "\""));
    }
}
