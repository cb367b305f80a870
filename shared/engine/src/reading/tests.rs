use std::io::{Cursor, Write};

use penstock_model::{Format, Grammar, Import, ImportId, ImportOptions, ReadOptions};
use proptest::prelude::*;

use super::*;
use crate::kinds;

const SMALL: Chunking = Chunking { bytes: 48, rows: 2, per_block: 4 };

/// What a file gives: its parts in short, its rows, and its failure.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    parts: Vec<String>,
    chunks: Vec<(Chunk, Checkpoint)>,
    failure: Option<Failure>,
}

impl Given {
    fn new() -> Self {
        Self { parts: Vec::new(), chunks: Vec::new(), failure: None }
    }

    fn take(&mut self, part: Part) {
        match part {
            Part::Columns(columns) => {
                self.parts.push(format!("{} -{}", columns.names.join(" "), columns.ignored.join(" ")))
            }
            Part::Chunk(chunk, next) => {
                self.parts.push(format!("{} rows", chunk.rows));
                self.chunks.push((chunk, next));
            }
        }
    }

    fn end(mut self, mut end: impl FnMut(&mut Self) -> Result<(), Failure>) -> Self {
        self.failure = end(&mut self).err();
        self
    }
}

fn hints<'a>(options: &'a ImportOptions, kind: &'a Kind) -> Hints<'a> {
    Hints { format: None, filename: None, options, kind, partial: false }
}

/// Pushes a text in pieces of `cut` bytes.
fn pushed(grammar: Grammar, text: &[u8], cut: usize) -> Given {
    let (options, kind) = (ImportOptions::default(), kinds::compiled("products"));
    let mut reading = Reading::start(&Layout::plain(Format::Csv, grammar), &hints(&options, &kind), &SMALL);
    push_all(&mut reading, text, cut)
}

fn push_all(reading: &mut Reading, text: &[u8], cut: usize) -> Given {
    Given::new().end(|given| {
        for piece in text.chunks(cut) {
            reading.push(piece)?.into_iter().for_each(|part| given.take(part));
        }
        reading.finish()?.into_iter().for_each(|part| given.take(part));
        Ok(())
    })
}

/// Reads a file that is at hand.
fn read(file: &[u8], change: impl FnOnce(&mut Hints<'_>)) -> (Given, Vec<String>) {
    let (options, kind) = (ImportOptions::default(), kinds::compiled("products"));
    let mut hints = hints(&options, &kind);
    change(&mut hints);
    let layout = resolve(Cursor::new(file), file.len() as u64, &hints).expect("a layout");
    let mut reading = Reading::start(&layout, &hints, &SMALL);
    let given = Given::new().end(|given| {
        reading.read(Cursor::new(file), file.len() as u64, &mut |part| {
            given.take(part);
            ControlFlow::Continue(())
        })
    });
    (given, reading.names().to_vec())
}

fn failure(file: &[u8]) -> (String, String) {
    let failure = read(file, |_| {}).0.failure.expect("a failure");
    (failure.code, failure.message)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn columns_come_once_and_before_any_chunk() {
    let (given, _) = read(b"SKU,name,brand,colour\nA,a,b,c\nB,a,b,c\nC,a,b,c\n", |_| {});
    assert_eq!(given.parts, ["SKU name brand colour -colour", "2 rows", "1 rows"]);
    // Where there is no header, the rows of the first chunk name the columns.
    let rows = b"{\"sku\":1,\"name\":\"a\"}\n{\"brand\":\"b\",\"x\":1}\n{\"y\":1}\n";
    let (given, _) = read(rows, |_| {});
    assert_eq!(given.parts, ["sku name brand x -x", "2 rows", "1 rows"]);
    // A first chunk that cannot be read names none.
    let (given, _) = read(b"[{\"sku\":1]}]", |_| {});
    assert_eq!(given.parts, [" -", "1 rows"]);
    let (given, _) = read(b"[]", |_| {});
    assert_eq!((given.parts, given.failure), (vec![" -".to_owned()], None));
}

#[test]
fn a_file_that_fails_as_a_whole_says_why_before_any_chunk() {
    assert_eq!(failure(b"\xef\xbb\xbf\r\n\n").0, "empty_file");
    assert_eq!(failure(b"sku,\"name,brand\nA,a,b\n").0, "unterminated_quote");
    assert_eq!(failure(b"sku,na\0me,brand\nA,a,b\n").0, "not_csv");
    let (given, names) = read(b"sku,nmae,brand\nA,a,b\n", |_| {});
    assert_eq!((given.parts.len(), given.failure.expect("fails").code.as_str()), (0, "missing_column"));
    assert_eq!(names, ["sku", "nmae", "brand"], "the columns as they were read");
    let (options, kind) = (ImportOptions::default(), kinds::compiled("products"));
    let too_large = resolve(Cursor::new(b""), limits::UPLOAD_BYTES + 1, &hints(&options, &kind));
    assert_eq!(too_large.expect_err("too large").code, "file_too_large");
}

#[test]
fn a_text_that_breaks_off_says_from_which_row_on() {
    let mut file = gzip(b"sku,name,brand\nA,a,b\nB,a,b\nC,a,b\n");
    // The checksum is wrong, which only the end tells.
    let at = file.len() - 8;
    file[at] ^= 1;
    let (options, kind) = (ImportOptions::default(), kinds::compiled("products"));
    let partial = Hints { partial: true, ..hints(&options, &kind) };
    let layout = resolve(Cursor::new(&file), file.len() as u64, &partial).expect("its start is fine");
    let mut reading = Reading::start(&layout, &hints(&options, &kind), &SMALL);
    let mut chunks = 0;
    let failure = reading.read(Cursor::new(&file), file.len() as u64, &mut |part| {
        chunks += usize::from(matches!(part, Part::Chunk(..)));
        ControlFlow::Continue(())
    });
    let Failure { code, message } = failure.expect_err("damaged");
    assert_eq!((chunks, code.as_str()), (1, "damaged_file"));
    assert!(message.ends_with("; nothing from row 3 on can be read"), "{message}");
}

#[test]
fn of_a_first_part_only_whole_rows_are_given() {
    let (given, _) = read(b"sku,name,brand\nA,a,b\nB,a,", |hints| hints.partial = true);
    assert_eq!(given.parts, ["sku name brand -", "1 rows"]);
    let mut cut = gzip(b"sku,name,brand\nA,a,b\nB,a,b\n");
    cut.truncate(cut.len() - 10);
    let (given, _) = read(&cut, |hints| hints.partial = true);
    assert_eq!((given.parts, given.failure), (vec!["sku name brand -".to_owned(), "1 rows".to_owned()], None));
}

#[test]
fn nothing_is_read_for_who_wants_no_more() {
    let (options, kind) = (ImportOptions::default(), kinds::compiled("products"));
    let file = b"sku,name,brand\nA,a,b\nB,a,b\nC,a,b\n";
    let mut reading = Reading::start(&Layout::csv(), &hints(&options, &kind), &SMALL);
    let mut parts = 0;
    let ended = reading.read(Cursor::new(file), file.len() as u64, &mut |_| {
        parts += 1;
        if parts == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((ended, parts), (Ok(()), 2));
}

/// Files of rows and of what is none, each with its grammar.
fn files() -> impl Strategy<Value = (Grammar, Vec<u8>)> {
    let csv = prop::collection::vec(
        prop::sample::select(vec![
            "A,a,b\n",
            "\n",
            "B,\"x\ny\",b\r\n",
            "C",
            ",",
            "\"",
            "long,long,long,long,long,long\n",
        ]),
        0..12,
    );
    let csv = (prop::sample::select(vec!["sku,name,brand\n", "\u{feff}sku;name\n", "sku,nmae,brand\n", ""]), csv)
        .prop_map(|(header, rows)| (Grammar::CSV, format!("{header}{}", rows.concat()).into_bytes()));
    let json = prop::collection::vec(
        prop::sample::select(vec!["{\"sku\":1}", ",", "\n", "{\"a\":[1]}", "17", "]", "{\"sku\":"]),
        0..12,
    );
    let json = (json, any::<bool>()).prop_map(|(rows, in_lines)| match in_lines {
        true => (Grammar::Lines, rows.concat().into_bytes()),
        false => (Grammar::Elements { enveloped: false }, format!("[{}", rows.concat()).into_bytes()),
    });
    prop_oneof![csv, json]
}

proptest! {
    #![proptest_config(crate::cases(2000))]

    #[test]
    fn parts_depend_on_the_text_alone((grammar, text) in files(), cut in 1usize..50) {
        let whole = pushed(grammar, &text, usize::MAX);
        prop_assert_eq!(pushed(grammar, &text, cut), whole.clone());
        if whole.failure.is_some() {
            prop_assert!(whole.parts.is_empty());
        }
    }

    #[test]
    fn a_reading_resumed_behind_any_chunk_gives_the_others((grammar, text) in files(), cut in 1usize..50) {
        let whole = pushed(grammar, &text, usize::MAX);
        if whole.failure.is_some() {
            return Ok(());
        }
        let froms = std::iter::once(Checkpoint::START).chain(whole.chunks.iter().map(|(_, next)| *next));
        for (passed, from) in froms.enumerate() {
            let mut reading = Reading::resume(&Layout::plain(Format::Csv, grammar), &SMALL, from);
            let given = push_all(&mut reading, &text[from.offset as usize..], cut);
            // Behind a document that breaks off nothing is left to resume.
            let is_broken = |(chunk, _): &(Chunk, Checkpoint)| matches!(chunk.body, Body::Refused(_));
            if passed > 0 && passed == whole.chunks.len() && whole.chunks.last().is_some_and(is_broken) {
                continue;
            }
            prop_assert_eq!(&given.chunks, &whole.chunks[passed..]);
            prop_assert_eq!((given.failure, given.parts.len()), (None, given.chunks.len()));
            prop_assert_eq!(reading.rows(), whole.chunks.last().map_or(0, |(_, next)| next.row - 1));
        }
    }
}

#[test]
fn what_is_pinned_goes_before_what_options_and_kind_say_later() {
    let reading = |json: &str| serde_json::from_str::<ReadOptions>(json).expect("options");
    let kind = |preset: &str| {
        let document = format!(
            r#"{{ "name": "t", "primaryKey": "k", "reading": {preset}, "fields": [{{ "name": "k" }}, {{ "name": "n", "type": "number" }}] }}"#
        );
        let schema = Kind::parse(document.as_bytes()).expect("a schema");
        Kind::compile(&schema, &"1".parse().expect("valid")).expect("a kind")
    };
    let file = b"k;n\nA;1,5\nB;2,5\nC;3,5\n";
    let mut import =
        Import::new(ImportId::new(0, [0; 10]), "1".parse().expect("valid"), "t".parse().expect("valid"), 0, 0);
    import.options.reading = reading(r#"{"decimal_char":","}"#);
    let (before, after) = (kind(r#"{"short_rows":"absent"}"#), kind(r#"{"short_rows":"reject"}"#));
    let layout = resolve(Cursor::new(file), file.len() as u64, &Hints::of(&import, &before)).expect("a layout");
    assert_eq!(layout.reading, reading(r#"{"decimal_char":",","short_rows":"absent"}"#));
    let stored = serde_json::to_string(&layout).expect("JSON");
    import.layout = Some(serde_json::from_str(&stored).expect("as it was stored"));
    // Neither is asked again.
    import.options.reading = ReadOptions::default();
    let layout = import.layout.clone().expect("pinned");
    let hints = Hints::of(&import, &after);
    let whole = push_all(&mut Reading::start(&layout, &hints, &SMALL), file, 7);
    assert_eq!((whole.failure, import.job().reading), (None, layout.reading.clone()));
    let resent = push_all(&mut Reading::resume(&layout, &SMALL, Checkpoint::START), file, 3);
    assert_eq!(resent.chunks, whole.chunks);
    assert!(before.read_by(&layout.reading).expect("fits").field(1).evidence("1,5").is_some_and(|(own, _)| own == ','));
}

#[test]
fn an_option_without_a_meaning_for_the_file_fails_it_and_a_preset_of_its_kind_does_not() {
    let of = |file: &str, options: &str, preset: &str| {
        let options: ImportOptions = serde_json::from_str(options).expect("options");
        let schema = format!(r#"{{"name":"t","primaryKey":"sku","fields":[{{"name":"sku"}}],"reading":{preset}}}"#);
        let schema = Kind::parse(schema.as_bytes()).expect("a schema");
        let kind = Kind::compile(&schema, &"1".parse().expect("valid")).expect("compiles");
        resolve(Cursor::new(file), file.len() as u64, &hints(&options, &kind))
    };
    let (table, array) = ("sku,b\nA,1\n", r#"[{"sku":"A"}]"#);
    let (document, lines) = (r#"{"data":{"x":[{"sku":"A"}]},"y":[{}]}"#, "{\"sku\":\"A\"}\n{\"sku\":\"B\"}\n");
    for (file, options) in [
        (table, r#"{"rows_at":"a"}"#),
        (array, r#"{"rows_at":"a"}"#),
        (lines, r#"{"rows_at":"a"}"#),
        (array, r#"{"header_line":2}"#),
        (lines, r##"{"comment":"#"}"##),
        (document, r#"{"rows_at":"data.x","escape":"\\"}"#),
        (array, r#"{"short_rows":"reject"}"#),
    ] {
        let failure = of(file, options, "{}").expect_err(options);
        assert_eq!(failure.code, "unusable_option", "{options}: {}", failure.message);
        assert!(failure.message.ends_with(": leave it out"), "{}", failure.message);
        // The kind's files may be of several formats.
        assert!(of(file, "{}", options).is_ok(), "{options}");
    }
    assert_eq!(of("sku;b\nA;1\n", r#"{"comment":";"}"#, "{}").expect_err("the delimiter").code, "invalid_option");
    let pinned = of(document, "{}", r#"{"rows_at":"data.x"}"#).expect("a layout");
    assert_eq!(pinned.reading.rows_at.as_deref(), Some("data.x"));
    assert_eq!(pinned.grammar, Grammar::Elements { enveloped: true });
    // What stands above the header says nothing of the delimiter, nor does a comment.
    let delimiter = |file: &str, options: &str| match of(file, options, "{}").expect("a layout").grammar {
        Grammar::Delimited { delimiter, .. } => char::from(delimiter),
        other => panic!("{other:?}"),
    };
    assert_eq!(delimiter("a,b,c,d\r\n\"x\r\nsku;b\r\nA;1,2\r\n", r#"{"header_line":3}"#), ';');
    assert_eq!(delimiter("# a,\"b,c,d\nsku;b\n#,,,,\nA;1\n", r##"{"comment":"#"}"##), ';');
    assert_eq!(delimiter("sku|b\n\"A\\\"|,;\"|1\n", r#"{"escape":"\\"}"#), '|');
}
