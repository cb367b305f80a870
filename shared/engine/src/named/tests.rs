use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use penstock_model::{Grammar, ImportOptions, Layout, ReadOptions, ShortRows};
use proptest::prelude::*;

use super::*;
use crate::{
    decode, kinds,
    reading::{self, Hints, Part, Reading},
    rows::Row,
};

const SEMICOLON: Grammar = Grammar::Delimited { delimiter: b';', quoting: true };
const GRAMMARS: [Grammar; 6] = [
    Grammar::CSV,
    SEMICOLON,
    Grammar::Lines,
    Grammar::Elements { enveloped: false },
    Grammar::Concatenated,
    Grammar::Sheet,
];

/// A file and how it is read.
struct File<'f> {
    job: Job,
    plan: Plan,
    options: SplitOptions,
    text: &'f [u8],
}

impl<'f> File<'f> {
    fn new(kind: &str, grammar: Grammar, columns: &[&str], reading: ReadOptions, text: &'f [u8]) -> Self {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let of_kind = kinds::compiled(kind);
        let plan = Plan::compile(of_kind, grammar, &columns, &BTreeMap::new()).expect("columns");
        let options = ImportOptions { reading, ..ImportOptions::default() };
        let job = Job::dry("1".parse().expect("valid"), kind.parse().expect("valid"), &options, grammar, columns);
        let options = SplitOptions { grammar, chunk_bytes: 96, chunk_rows: 3, record_bytes: 120, held_bytes: 400 };
        Self { job, plan, options, text }
    }

    /// The keys that are named, in their order, up to the first row of which none can be told.
    fn named(&self, cut: usize) -> (Vec<String>, Option<Unreadable>) {
        let mut reader = Reader::with(self.job.clone(), &self.plan, self.options);
        let mut keys = Vec::new();
        let texts = self.text.chunks(cut).map(Some).chain([None]);
        for text in texts {
            let taken = reader.each(text, &mut |key| {
                keys.push(key.to_owned());
                Ok(())
            });
            match taken {
                Ok(()) => {}
                Err(Stop::Unreadable(row)) => return (keys, Some(row)),
                Err(Stop::Full(full)) => panic!("{full}"),
            }
        }
        (keys, None)
    }

    /// The keys of the rows that are accepted, and how many are rejected, by the splitter and the validators.
    fn accepted(&self) -> Option<(Vec<String>, Vec<u64>)> {
        let mut splitter = Splitter::new(SplitOptions { held_bytes: 0, ..self.options }).with(&self.job.reading);
        let mut pieces = splitter.push(self.text).ok()?;
        pieces.extend(splitter.finish().ok()?.0);
        let (mut keys, mut rejected) = (Vec::new(), Vec::new());
        for piece in &pieces {
            let Piece::Chunk(chunk, _) = piece else { continue };
            let records = Records::of(&self.job, chunk);
            let parsed = rows::parse(&mut self.plan.clone(), &self.job, &records);
            keys.extend(parsed.rows.into_iter().map(|Row { key, .. }| key));
            rejected.extend(parsed.errors.iter().map(|error| error.row));
        }
        rejected.dedup();
        Some((keys, rejected))
    }
}

/// A row of a file of products, by what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Good(u8),
    /// Another cell is wrong.
    Bad(u8),
    /// Too long to be carried; the number is how many bytes its text has beyond that.
    Large(u8, usize),
    Blank,
    /// The header again, or a line of dashes.
    NoRecord(bool),
    /// So long that no key is looked for.
    TooLarge(u8),
    NoKey,
    TooManyCells(u8),
    /// A list where the key belongs.
    WrongType,
    NotText(u8),
}

impl Line {
    /// What it names; `Err` where that cannot be told.
    fn names(&self) -> Result<Option<String>, ()> {
        match self {
            Self::Good(key) | Self::Bad(key) | Self::Large(key, _) => Ok(Some(format!("K{key}"))),
            Self::Blank | Self::NoRecord(_) => Ok(None),
            _ => Err(()),
        }
    }

    fn is_row(&self) -> bool {
        *self != Self::Blank
    }

    /// The cells of sku, name, brand and cost.
    fn cells(&self) -> [String; 4] {
        let (key, name, cost) = match self {
            Self::Good(key) | Self::TooManyCells(key) => (format!("K{key}"), "n".to_owned(), "1.5"),
            Self::Bad(key) => (format!(" K{key} "), "n".to_owned(), "x"),
            Self::Large(key, more) => (format!("K{key}"), "n".repeat(121 + more), "1"),
            Self::TooLarge(key) => (format!("K{key}"), "n".repeat(400), "1"),
            Self::NotText(key) => (format!("K{key}\u{ffff}"), "n".to_owned(), "1"),
            _ => (String::new(), "n".to_owned(), "1"),
        };
        [key, name, "b".to_owned(), cost.to_owned()]
    }
}

/// The text of the lines, with the columns in this order.
fn text(grammar: Grammar, order: &[usize], lines: &[Line]) -> Vec<u8> {
    const NAMES: [&str; 4] = ["sku", "name", "brand", "cost"];
    let names: Vec<&str> = order.iter().map(|at| NAMES[*at]).collect();
    let array = |cells: &[String]| format!("[{}]\n", cells.join(","));
    let mut text = match grammar {
        Grammar::Delimited { delimiter, .. } => names.join(&char::from(delimiter).to_string()) + "\n",
        Grammar::Sheet => array(&names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>()),
        Grammar::Elements { .. } => "[".to_owned(),
        _ => String::new(),
    };
    let mut is_first = true;
    for line in lines {
        let cells = line.cells();
        let cells: Vec<&str> = order.iter().map(|at| cells[*at].as_str()).collect();
        match grammar {
            Grammar::Delimited { delimiter, .. } => {
                let delimiter = char::from(delimiter).to_string();
                let mut row = match line {
                    Line::Blank => delimiter.repeat(3),
                    Line::NoRecord(true) => names.join(&delimiter),
                    Line::NoRecord(false) => ["---"; 4].join(&delimiter),
                    _ => cells.join(&delimiter),
                };
                if matches!(line, Line::TooManyCells(_)) {
                    row.push_str(&format!("{delimiter}more"));
                }
                text.push_str(&row);
                text.push('\n');
            }
            Grammar::Sheet => {
                let quoted = |cell: &str| match cell {
                    "" => "null".to_owned(),
                    "1" | "1.5" => cell.to_owned(),
                    _ => format!("\"{cell}\""),
                };
                let mut row: Vec<String> = match line {
                    Line::NoRecord(true) => names.iter().map(|name| quoted(name)).collect(),
                    Line::NoRecord(false) => vec![quoted("---"); 4],
                    _ => cells.iter().map(|cell| quoted(cell)).collect(),
                };
                if matches!(line, Line::TooManyCells(_)) {
                    row.push("7".to_owned());
                }
                // The engine writes no row for an empty one.
                if *line != Line::Blank {
                    text.push_str(&array(&row));
                }
            }
            _ => {
                if *line == Line::Blank {
                    text.push_str(" \n");
                    continue;
                }
                if matches!(grammar, Grammar::Elements { .. }) && !std::mem::take(&mut is_first) {
                    text.push(',');
                }
                let member = |(name, cell): (&&str, &&str)| match (line, *name, *cell) {
                    (Line::WrongType, "sku", _) => r#""sku":["K1"]"#.to_owned(),
                    (Line::TooManyCells(_), "sku", cell) => format!(r#""sku":"{cell}","SKU":"{cell}""#),
                    (_, "sku", "") => r#""other":{"sku":"K1"}"#.to_owned(),
                    (_, "cost", "1" | "1.5") => format!(r#""cost":{cell}"#),
                    _ => format!(r#""{name}":"{cell}""#),
                };
                let members: Vec<String> = names.iter().zip(&cells).map(member).collect();
                text.push_str(&format!("{{{}}}\n", members.join(",")));
            }
        }
    }
    if let Grammar::Elements { .. } = grammar {
        text.push(']');
    }
    let mut bytes = text.into_bytes();
    // A byte that is no UTF-8 for the character that stands for it.
    while let Some(at) = memchr::memmem::find(&bytes, "\u{ffff}".as_bytes()) {
        bytes.splice(at..at + 3, [0xff]);
    }
    bytes
}

/// Lines that a grammar can hold.
fn lines(grammar: Grammar) -> impl Strategy<Value = Vec<Line>> {
    let is_json = matches!(grammar, Grammar::Lines | Grammar::Elements { .. } | Grammar::Concatenated);
    let named = prop_oneof![
        5 => (0u8..9).prop_map(Line::Good),
        3 => (0u8..9).prop_map(Line::Bad),
        2 => (0u8..9, 0usize..60).prop_map(|(key, more)| Line::Large(key, more)),
        1 => Just(Line::Blank),
        1 => any::<bool>().prop_map(move |again| if is_json { Line::Blank } else { Line::NoRecord(again) }),
    ];
    let unreadable = prop_oneof![
        (0u8..9).prop_map(Line::TooLarge),
        Just(Line::NoKey),
        (0u8..9).prop_map(Line::TooManyCells),
        Just(if is_json { Line::WrongType } else { Line::NoKey }),
        (0u8..9).prop_map(Line::NotText),
    ];
    let line = prop_oneof![30 => named, 1 => unreadable];
    // A document of blanks alone has no row.
    (Just(Line::Good(0)), prop::collection::vec(line, 0..25)).prop_map(|(first, rest)| [vec![first], rest].concat())
}

fn files() -> impl Strategy<Value = (Grammar, Vec<usize>, Vec<Line>)> {
    prop::sample::select(GRAMMARS.to_vec())
        .prop_flat_map(|grammar| (Just(grammar), Just(vec![0, 1, 2, 3]).prop_shuffle(), lines(grammar)))
}

/// Text of what matters in each grammar, right or not.
fn soup() -> impl Strategy<Value = (Grammar, Vec<u8>)> {
    let token = prop::sample::select(vec![
        "K1",
        "K2",
        ",",
        ",",
        ";",
        "\n",
        "\n",
        "\"",
        "\"\"",
        "n,b",
        "K3,n,b,1\n",
        "K4;n;b;x\n",
        "-,-,-,-\n",
        "{",
        "}",
        "[",
        "]",
        ":",
        "\"sku\":",
        "\"K5\"",
        "{\"sku\":\"K6\",\"name\":\"n\",\"brand\":\"b\"}\n",
        "{\"sku\":\"K7\",\"name\":null,\"brand\":\"b\"},",
        "[\"K8\",\"n\",\"b\",1]\n",
        "[\"K9\",null,\"b\"]\n",
        "{\"name\":\"n\",\"sku\":8,\"x\":[{}]}",
        " ",
        "\\",
        "\u{a0}",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ]);
    (prop::sample::select(GRAMMARS.to_vec()), prop::collection::vec(token, 0..40)).prop_map(|(grammar, tokens)| {
        let head = match grammar {
            Grammar::Delimited { delimiter: b';', .. } => "sku;name;brand;cost\n",
            Grammar::Delimited { .. } => "sku,name,brand,cost\n",
            Grammar::Sheet => "[\"sku\",\"name\",\"brand\",\"cost\"]\n",
            Grammar::Elements { .. } => "[",
            _ => "",
        };
        (grammar, [head, &tokens.concat()].concat().into_bytes())
    })
}

proptest! {
    #![proptest_config(crate::cases(4000))]

    #[test]
    fn rows_name_their_records_whether_they_are_accepted_or_not((grammar, order, lines) in files(), cut in 1usize..50) {
        let text = text(grammar, &order, &lines);
        let names = order.iter().map(|at| ["sku", "name", "brand", "cost"][*at]).collect::<Vec<_>>();
        let file = File::new("products", grammar, &names, ReadOptions::default(), &text);
        let (keys, unreadable) = file.named(cut);
        let rows = lines.iter().filter(|line| line.is_row() && (grammar != Grammar::Sheet || **line != Line::Blank));
        let (mut wanted, mut hidden) = (Vec::new(), None);
        for (row, line) in rows.enumerate() {
            match line.names() {
                Ok(key) => wanted.extend(key),
                Err(()) => {
                    hidden = Some(row as u64 + 1);
                    break;
                }
            }
        }
        prop_assert_eq!(keys, wanted);
        prop_assert_eq!(unreadable.map(|found| found.row), hidden);
    }

    #[test]
    fn whatever_is_accepted_is_named((grammar, text) in soup(), cut in 1usize..50) {
        let columns = ["sku", "name", "brand", "cost"];
        let file = File::new("products", grammar, &columns, ReadOptions::default(), &text);
        let (keys, unreadable) = file.named(cut);
        prop_assert_eq!(&file.named(usize::MAX), &(keys.clone(), unreadable.clone()));
        let Some((accepted, rejected)) = file.accepted() else {
            prop_assert!(unreadable.is_some());
            return Ok(());
        };
        match unreadable {
            Some(found) => prop_assert!(rejected.contains(&found.row), "{found} is accepted"),
            None => {
                let named: BTreeSet<_> = keys.iter().collect();
                prop_assert!(accepted.iter().all(|key| named.contains(key)), "{accepted:?} of {named:?}");
                prop_assert!(keys.len() <= accepted.len() + rejected.len());
            }
        }
    }
}

fn reason(
    kind: &str,
    grammar: Grammar,
    columns: &[&str],
    reading: ReadOptions,
    text: &str,
) -> Result<Vec<String>, String> {
    match File::new(kind, grammar, columns, reading, text.as_bytes()).named(7) {
        (keys, None) => Ok(keys),
        (_, Some(found)) => Err(found.to_string()),
    }
}

#[test]
fn a_row_whose_key_cannot_be_read_is_told_with_its_place() {
    let columns = ["sku", "name", "brand", "cost"];
    let of = |grammar, text| reason("products", grammar, &columns, ReadOptions::default(), text).expect_err(text);
    let starts = |said: String, wanted: &str| assert!(said.starts_with(wanted), "{said}");
    starts(
        of(Grammar::CSV, "sku,name,brand,cost\nA,\"n\nm\",b,1\n,n,b,1\n"),
        "the key of row 2 (line 4) cannot be read: `sku` ",
    );
    starts(
        of(Grammar::CSV, "sku,name,brand,cost\nA,n,b,1\nB,n,b,1,2\n"),
        "the key of row 2 (line 3) cannot be read: the row has 5 cells, the header names 4",
    );
    starts(
        of(Grammar::CSV, "sku,name,brand,cost\nA,n,b\n"),
        "the key of row 1 (line 2) cannot be read: the row has 3 cells, the header names 4",
    );
    starts(
        of(Grammar::CSV, "sku,name,brand,cost\nA,n,b,1\nB,\"n,b,1\nC,n,b,1\n"),
        "the key of row 2 (line 3) cannot be read: a quote opened on line 3 is never closed",
    );
    starts(
        of(Grammar::CSV, "sku,name,brand,cost\n5.90123E+12,n,b,1\n"),
        "the key of row 1 (line 2) cannot be read: `sku`: a spreadsheet wrote this key in scientific notation",
    );
    starts(
        of(Grammar::Elements { enveloped: false }, "[{\"sku\":\"A\"},\n{\"sku\":\"B\"} {\"sku\":\"C\"}]"),
        "the key of row 3 (line 2) cannot be read: on line 2 ",
    );
    starts(
        of(Grammar::Sheet, "[\"sku\",\"name\",\"brand\",\"cost\"]\n[{\"error\":\"#REF!\"},\"n\",\"b\"]\n"),
        "the key of row 1 (line 2) cannot be read: `sku`",
    );
    let long = format!("sku,name,brand,cost\nA,{},b,1\n", "n".repeat(500));
    assert_eq!(
        of(Grammar::CSV, &long),
        format!(
            "the key of row 1 (line 2) cannot be read: it has 507 bytes, and no key is looked for in a row of more than {}",
            limits::NAMED_RECORD_BYTES
        )
    );
}

/// Where a part of the key is taken from another field, that field counts only for rows that do not say the part.
#[test]
fn a_part_of_the_key_may_come_from_another_cell() {
    let columns = ["skuId", "locationId", "weekStarting", "week", "channel", "actualDemand"];
    let of = |text: &str| {
        let text = format!("{}\n{text}", columns.join(","));
        reason("demand-history", Grammar::CSV, &columns, ReadOptions::default(), &text)
    };
    assert_eq!(of("s,l,2026-01-26,,,x\n"), Ok(vec!["s,l,2026-W05,ALL".to_owned()]));
    assert_eq!(of("s,l,yesterday,2026-W05,,1\n"), Ok(vec!["s,l,2026-W05,ALL".to_owned()]));
    let said = of("s,l,yesterday,,,1\n").expect_err("no week");
    assert!(said.starts_with("the key of row 1 (line 2) cannot be read: `weekStarting`"), "{said}");
    let members = r#"{"skuId":"s","locationId":"l","weekStarting":7,"week":"w","extra":1}
{"skuId":"s","locationId":"l","weekStarting":"2026-01-26","channel":{"a":1}}"#;
    let said =
        reason("demand-history", Grammar::Lines, &columns, ReadOptions::default(), members).expect_err("no channel");
    assert!(said.starts_with("the key of row 2 (line 2) cannot be read: `channel`"), "{said}");
}

/// What the import's options say of the file's shape holds here too.
#[test]
fn options_that_say_how_a_file_is_read_hold() {
    let columns = ["sku", "name", "brand", "cost"];
    let reading = ReadOptions { short_rows: Some(ShortRows::Absent), comment: Some('#'), ..ReadOptions::default() };
    let text = "sku,name,brand,cost\n#C,n,b,1\nA,n,b\nB\n";
    assert_eq!(reason("products", Grammar::CSV, &columns, reading, text), Ok(vec!["A".to_owned(), "B".to_owned()]));
}

/// A file at hand from its bytes on, as an import reads it; its keys.
fn keys_of(file: &[u8], filename: &str) -> Result<usize, Stop> {
    let (options, kind) = (ImportOptions::default(), kinds::compiled("products"));
    let hints = Hints { format: None, filename: Some(filename), options: &options, kind: &kind, partial: false };
    let bytes = file.len() as u64;
    let layout: Layout = reading::resolve(Cursor::new(file), bytes, &hints).expect("a layout");
    let chunking = penstock_model::Chunking::default();
    let (mut columns, mut accepted) = (Vec::new(), 0);
    let mut parts = Reading::start(&layout, &hints, &chunking);
    parts
        .read(Cursor::new(file), bytes, &mut |part| {
            match part {
                Part::Columns(of_file) => columns = of_file.names,
                Part::Chunk(chunk, _) => accepted += chunk.rows,
            }
            ControlFlow::Continue(())
        })
        .expect("rows");
    let job = Job {
        reading: layout.reading.clone(),
        ..Job::dry("1".parse().expect("valid"), "products".parse().expect("valid"), &options, layout.grammar, columns)
    };
    let mut reader = Reader::new(job, kind.clone()).expect("columns");
    let mut named = NamedKeys::of(0..=255, 1000);
    let mut told = Ok(());
    decode::each_piece(&layout, Cursor::new(file), bytes, &mut |piece| {
        told = reader.push(piece, &mut named);
        if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .expect("decodes");
    told?;
    reader.finish(&mut named)?;
    assert!((0..accepted).all(|row| named.contains(&format!("K{row}"))), "{filename}");
    Ok(named.len())
}

#[test]
fn every_format_names_its_rows() {
    use std::io::Write;
    // Two rows that are rejected: another cell is wrong, or the row is longer than a message carries.
    let long = "d".repeat(limits::RECORD_BYTES + 1);
    let cells = |row: u32| match row {
        3 => [format!("K{row}"), "n".to_owned(), "b".to_owned(), "x".to_owned()],
        5 => [format!("K{row}"), long.clone(), "b".to_owned(), "1".to_owned()],
        _ => [format!("K{row}"), "n".to_owned(), "b".to_owned(), "1".to_owned()],
    };
    let csv = |delimiter: &str| {
        let rows = (0..40).map(|row| cells(row).join(delimiter) + "\r\n").collect::<String>();
        format!("{}\r\n{rows}", ["sku", "name", "brand", "cost"].join(delimiter))
    };
    let object = |row: u32| {
        let [sku, name, brand, cost] = cells(row);
        format!(r#"{{"name":"{name}","brand":"{brand}","cost":"{cost}","sku":"{sku}"}}"#)
    };
    let objects: Vec<String> = (0..40).map(object).collect();
    let packed = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).expect("in memory");
        encoder.finish().expect("in memory")
    };
    let archive = |name: &str, text: &[u8]| {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(name, zip::write::SimpleFileOptions::default()).expect("in memory");
        writer.write_all(text).expect("in memory");
        writer.finish().expect("in memory").into_inner()
    };
    let utf16: Vec<u8> = [0xfeffu16].into_iter().chain(csv(",").encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (at, name) in ["sku", "name", "brand", "cost"].into_iter().enumerate() {
        sheet.write_string(0, at as u16, name).expect("a cell");
    }
    for row in 0..40 {
        for (at, cell) in cells(row).into_iter().enumerate() {
            // A sheet's cell holds fewer characters, and so is this row accepted.
            let cell: String = cell.chars().take(32_767).collect();
            sheet.write_string(row + 1, at as u16, cell).expect("a cell");
        }
    }
    let lines = objects.join("\n");
    for (filename, file) in [
        ("a.csv", csv(",").into_bytes()),
        ("a.csv", csv(";").into_bytes()),
        ("a.tsv", csv("\t").into_bytes()),
        ("utf16.csv", utf16),
        ("a.csv.gz", packed(csv(",").as_bytes())),
        ("a.csv.zst", zstd::stream::encode_all(csv(",").as_bytes(), 1).expect("in memory")),
        ("a.zip", archive("a.csv", csv(",").as_bytes())),
        ("a.ndjson", lines.clone().into_bytes()),
        ("a.ndjson.gz", packed(lines.as_bytes())),
        ("a.json", format!("[{}]", objects.join(",\n")).into_bytes()),
        ("enveloped.json", format!("{{\"products\":[{}]}}", objects.join(",")).into_bytes()),
        ("concatenated.json", objects.join(" ").into_bytes()),
        ("a.xlsx", workbook.save_to_buffer().expect("in memory")),
    ] {
        assert_eq!(keys_of(&file, filename), Ok(40), "{filename}");
    }
    // A quote that is never closed hides all that follows.
    let stop = keys_of(format!("{}K40,\"n,b,1\r\nK41,n,b,1\r\n", csv(",")).as_bytes(), "a.csv").expect_err("a quote");
    assert!(matches!(&stop, Stop::Unreadable(Unreadable { row: 41, line: 42, .. })), "{stop}");
}

#[test]
fn a_range_of_shards_holds_its_own_keys_and_no_more_than_it_may() {
    let keys: Vec<String> = (0..2000).map(|key| format!("K{key}")).collect();
    let shard = |key: &str| key::hash(key)[0];
    for shards in [0..=255, 0..=127, 128..=255, 200..=200] {
        let mut named = NamedKeys::of(shards.clone(), 2000);
        for key in keys.iter().step_by(2) {
            assert_eq!(named.add(key), Ok(()));
            assert_eq!(named.add(&format!(" {key}\u{a0}")), Ok(()), "no other key");
        }
        for (at, key) in keys.iter().enumerate() {
            // Nothing is known of keys of other shards, so they are spared.
            assert_eq!(named.contains(key), at % 2 == 0 || !shards.contains(&shard(key)), "{key} in {shards:?}");
        }
        assert_eq!(named.len(), keys.iter().step_by(2).filter(|key| shards.contains(&shard(key))).count());
    }
    let mut named = NamedKeys::of(0..=255, 3);
    let added: Vec<_> = ["a", "b", "a", "c", "b", "d", "a"].map(|key| named.add(key)).to_vec();
    let full = Err(Full { most: 3 });
    assert_eq!(added, [Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), full, Ok(())]);
    assert!(named.contains("c") && !named.contains("d"));
}

/// A caller whose keys are too many reads the file again for each half of the shards.
#[test]
fn halves_cover_every_shard_once_and_any_file_fits() {
    let text: String = (0..3000).map(|key| format!("{{\"sku\":\"K{key}\"}}\n")).collect();
    let file = File::new("products", Grammar::Lines, &["sku"], ReadOptions::default(), text.as_bytes());
    let (mut left, mut covered, mut keys, mut readings) = (vec![0..=255], Vec::new(), 0, 0);
    while let Some(shards) = left.pop() {
        readings += 1;
        let mut named = NamedKeys::of(shards.clone(), 100);
        let mut reader = Reader::with(file.job.clone(), &file.plan, file.options);
        match reader.push(file.text, &mut named).and_then(|()| reader.finish(&mut named)) {
            Ok(()) => {
                covered.extend(shards);
                keys += named.len();
            }
            Err(Stop::Full(_)) => left.extend(halves(&shards).expect("more than a shard")),
            Err(stop) => panic!("{stop}"),
        }
    }
    covered.sort_unstable();
    assert_eq!((covered, keys), ((0..=255).collect::<Vec<u8>>(), 3000));
    assert!(readings > 60, "{readings} readings");
    assert_eq!(halves(&(7..=7)), None);
    assert_eq!(halves(&(7..=8)), Some([7..=7, 8..=8]));
}
