use std::{collections::BTreeMap, io::Cursor, ops::ControlFlow};

use penstock_model::{Chunking, Decimal, Format};
use proptest::prelude::*;

use super::*;
use crate::{
    cell::Cell,
    key, kinds,
    reading::{self, Hints, Part, Reading},
};

type Fields = BTreeMap<String, Value>;

fn account() -> AccountId {
    "1".parse().expect("valid")
}

fn kind(document: &str) -> Kind {
    let schema = Kind::parse(document.as_bytes()).expect("a schema");
    Kind::compile(&schema, &account()).expect("a kind")
}

/// The records that an import without options reads from a file, by their keys. What it rejects is left out.
fn imported(kind: &Kind, format: ExportFormat, file: &[u8]) -> BTreeMap<String, Fields> {
    let mut options = ImportOptions::default();
    let format = match format {
        // A few characters without a mark may be text in several encodings.
        ExportFormat::Ndjson => {
            options.encoding = Some("utf-8".to_owned());
            Format::Ndjson
        }
        ExportFormat::Csv => Format::Csv,
    };
    let hints = Hints { format: Some(format), filename: None, options: &options, kind, partial: false };
    let layout = reading::resolve(Cursor::new(file), file.len() as u64, &hints).expect("a layout");
    let (mut records, mut plan, mut columns) = (BTreeMap::new(), None, Vec::new());
    let mut reading = Reading::start(&layout, &hints, &Chunking { bytes: 4096, rows: 7, per_block: 4 });
    let read = reading.read(Cursor::new(file), file.len() as u64, &mut |part| {
        match part {
            Part::Columns(found) => {
                columns = found.names;
                plan = Some(found.plan);
            }
            Part::Chunk(chunk, _) => {
                let names = columns.clone();
                let mut job = Job::dry(account(), kind.name().clone(), &options, layout.grammar, names);
                job.reading = layout.reading.clone();
                let plan = plan.as_mut().expect("columns come first");
                let cut = Records::of(&job, &chunk);
                for row in rows::parse(plan, &job, &cut).rows {
                    let value = |(place, cell): &(usize, Option<crate::cell::Cell<'_>>)| {
                        (plan.kind().field(*place).name().to_owned(), cell.clone().expect("set").into())
                    };
                    records.insert(row.key, row.cells.iter().map(value).collect());
                }
            }
        }
        ControlFlow::Continue(())
    });
    read.expect("a file that can be read");
    records
}

fn written(kind: &Kind, format: ExportFormat, records: &BTreeMap<String, Fields>) -> (Vec<u8>, Text) {
    let mut writer = RecordWriter::new(kind.clone(), &account(), format).expect("a writer");
    let all = || records.iter().map(|(key, fields)| Written { key, fields: Some(fields) });
    let mut file = writer.head().to_vec();
    let text = writer.write(all());
    file.extend(&text.bytes);
    // In pages it is the same.
    let entries: Vec<_> = all().collect();
    let pages: Vec<u8> = entries.chunks(3).flat_map(|page| writer.write(page.iter().copied()).bytes).collect();
    assert_eq!(pages, text.bytes);
    (file, text)
}

/// A kind's fields, and what values each may have.
#[derive(Debug, Clone)]
struct Case {
    document: &'static str,
    fields: Vec<(&'static str, Holds)>,
}

#[derive(Debug, Clone, Copy)]
enum Holds {
    /// Text that is no value of these.
    Text(&'static [&'static str]),
    Account,
    Number,
    Integer,
    Boolean,
    Year,
    Date,
    /// A moment: with seconds, and with a zone, or not.
    Moment(bool, bool),
    Time,
}

const TEXTS: [&str; 28] = [
    "=1+1",
    "+49 30 1",
    "-5",
    "@cmd",
    "=\"007\"",
    "=\"a\"\"b\"",
    "=\"x\" ",
    "a,b",
    "a;b;c",
    "a\tb",
    "a|b",
    "\"",
    "\"\"x\"\"",
    "two\nlines",
    "two\r\nlines",
    "\r",
    " leading",
    "trailing ",
    "\t",
    "0012",
    "1.5E+10",
    "true",
    "NULL",
    "-",
    "é\u{301}ß漢😀",
    "\u{feff}mark",
    "#comment",
    "back\\slash \\\" quote",
];

impl Holds {
    fn values(self) -> BoxedStrategy<Value> {
        let day = || (1..=9999_i32, 1..=12_u8, 1..=28_u8).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
        let clock = |seconds: bool| {
            let most = if seconds { 59_u8 } else { 0 };
            (0..24_u8, 0..60_u8, 0..=most).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"))
        };
        match self {
            Self::Text(missing) => prop_oneof![
                prop::sample::select(TEXTS.to_vec()).prop_map(str::to_owned),
                "[ -~äß\u{2028}\n]{1,12}",
                "\\PC{1,8}",
                Just(String::new()),
            ]
            .prop_filter("a value", move |text| !missing.contains(&text.as_str()) && !text.contains('\0'))
            .prop_map(Value::Text)
            .boxed(),
            Self::Account => "[a-z ,\"]{1,6}".prop_map(|text| Value::Text(format!("1-{text}"))).boxed(),
            Self::Number => prop_oneof![
                (any::<i64>(), 0..18_u32).prop_map(|(digits, scale)| format!("{digits}e-{scale}")),
                (-2000..2000_i64, 0..4_u32).prop_map(|(digits, scale)| format!("{digits}e-{scale}")),
                "[1-9][0-9]{20}\\.[0-9]{10,17}".prop_map(|text| text),
            ]
            .prop_map(|text| Value::Number(Decimal::parse(&text).expect("a number")))
            .boxed(),
            Self::Integer => any::<i64>().prop_map(|whole| Value::Number(whole.into())).boxed(),
            Self::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
            Self::Year => (0..=9999_i64).prop_map(|year| Value::Number(year.into())).boxed(),
            Self::Date => day().prop_map(Value::Text).boxed(),
            Self::Moment(seconds, zone) => (day(), clock(seconds))
                .prop_map(move |(day, clock)| Value::Text(format!("{day}T{clock}{}", if zone { "Z" } else { "" })))
                .boxed(),
            Self::Time => clock(true).prop_map(Value::Text).boxed(),
        }
    }
}

/// Kinds of every type and style that CSV takes.
fn cases() -> Vec<Case> {
    use Holds::{Account, Boolean, Date, Integer, Moment, Number, Text, Time, Year};
    vec![
        Case {
            document: r#"{"name":"plain","primaryKey":"k","fields":[{"name":"k"},{"name":"t"},{"name":"n","type":"number"},
                {"name":"i","type":"integer"},{"name":"b","type":"boolean"},{"name":"y","type":"year"},{"name":"d","type":"date"},
                {"name":"m","type":"datetime"},{"name":"z","type":"datetime"},{"name":"c","type":"time"}]}"#,
            fields: vec![
                ("t", Text(&[""])),
                ("n", Number),
                ("i", Integer),
                ("b", Boolean),
                ("y", Year),
                ("d", Date),
                ("m", Moment(true, false)),
                ("z", Moment(true, true)),
                ("c", Time),
            ],
        },
        Case {
            document: r#"{"name":"styled","primaryKey":"k","missingValues":["-","NULL"],"fields":[{"name":"t, \"x\""},{"name":"k"},
                {"name":"comma","type":"number","decimalChar":",","groupChar":"."},{"name":"point","type":"number","groupChar":","},
                {"name":"money","type":"number","decimalChar":",","bareNumber":false},{"name":"i","type":"integer","groupChar":"."},
                {"name":"b","type":"boolean","trueValues":["-","ja","=\"1\""],"falseValues":["NULL","=\"0\"","nein"]},
                {"name":"d","type":"date","format":"%d.%m.%Y"},{"name":"e","type":"date","format":"%A, %d %B %Y"},
                {"name":"j","type":"date","format":"%Y/%j"},{"name":"m","type":"datetime","format":"%d.%m.%Y %H:%M:%S"},
                {"name":"z","type":"datetime","format":"%Y%m%dT%H%M%S%z"},{"name":"p","type":"datetime","format":"%I:%M %p %d.%m.%Y"},
                {"name":"own","missingValues":["n/a"]}]}"#,
            fields: vec![
                ("t, \"x\"", Text(&["-", "NULL"])),
                ("comma", Number),
                ("point", Number),
                ("money", Number),
                ("i", Integer),
                ("b", Boolean),
                ("d", Date),
                ("e", Date),
                ("j", Date),
                ("m", Moment(true, false)),
                ("z", Moment(true, true)),
                ("p", Moment(false, false)),
                ("own", Text(&["n/a"])),
            ],
        },
        Case {
            document: r##"{"name":"preset","primaryKey":"k","fields":[{"name":"first"},{"name":"k"},{"name":"n","type":"number"},
                {"name":"b","type":"boolean"},{"name":"d","type":"date"},{"name":"a","scope":"account"}],
                "reading":{"decimal_char":",","date_format":"%m/%d/%Y","true_values":["yes"],"false_values":["no"],"comment":"#",
                "escape":"\\","short_rows":"absent"}}"##,
            fields: vec![("first", Text(&[""])), ("n", Number), ("b", Boolean), ("d", Date), ("a", Account)],
        },
        Case { document: r#"{"name":"narrow","primaryKey":"k;l","fields":[{"name":"k;l"}]}"#, fields: Vec::new() },
    ]
}

impl Case {
    fn key(&self) -> &'static str {
        if self.document.contains("k;l") { "k;l" } else { "k" }
    }

    /// Records by their keys, with any of the fields.
    fn records(&self) -> BoxedStrategy<BTreeMap<String, Fields>> {
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|&(name, holds)| prop::option::weighted(0.8, holds.values()).prop_map(move |value| (name, value)))
            .collect();
        let key = prop_oneof![
            prop::sample::select(TEXTS.to_vec()).prop_map(|text| format!("k{text}k")),
            "[=+@\"#;,\\\\a-z][ -~ä]{0,8}[a-zß]",
        ];
        let name = self.key();
        let record = (key, fields).prop_map(move |(key, fields)| {
            let mut record: Fields =
                fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            record.insert(name.to_owned(), Value::Text(key.clone()));
            (key::canonical(std::iter::once(Some(Cell::Text(key.into())))), record)
        });
        prop::collection::btree_map(any::<u8>(), record, 1..12)
            .prop_map(|records| records.into_values().collect())
            .boxed()
    }
}

fn drawn() -> impl Strategy<Value = (Case, BTreeMap<String, Fields>)> {
    prop::sample::select(cases()).prop_flat_map(|case| {
        let records = case.records();
        (Just(case), records)
    })
}

proptest! {
    #![proptest_config(crate::cases(400))]

    /// Whatever a record holds, both formats read as the same record: nothing else, and nothing more.
    #[test]
    fn what_is_exported_is_imported_as_it_was((case, records) in drawn()) {
        let kind = kind(case.document);
        for format in ExportFormat::ALL {
            let (file, text) = written(&kind, format, &records);
            let shown = String::from_utf8_lossy(&file).into_owned();
            prop_assert_eq!((text.records, text.deleted, text.inexact), (records.len() as u64, 0, 0), "{}", shown);
            prop_assert_eq!(imported(&kind, format, &file), records.clone(), "{}", shown);
        }
    }

    /// Every bundled kind's NDJSON, and the CSV of those that are flat, with the texts that they take.
    #[test]
    fn bundled_kinds_come_back(
        schema in prop::sample::select(kinds::all().to_vec()),
        texts in prop::collection::vec(Holds::Text(&[""]).values(), 40),
        number in Holds::Number.values(),
    ) {
        let kind = kinds::compiled(schema.name.as_str());
        let (mut fields, mut texts) = (Fields::new(), texts.into_iter());
        for field in kind.fields() {
            let cell = match texts.next().filter(|_| field.is_text()) {
                Some(Value::Text(text)) => text,
                _ if field.is_number() => match &number { Value::Number(number) => number.to_string(), _ => continue },
                _ => continue,
            };
            if let Ok(Some(cell)) = field.check(crate::cell::Input::Text(&cell)) {
                fields.insert(field.name().to_owned(), cell.into());
            }
        }
        let has_key = kind.key_fields().iter().all(|field| fields.contains_key(kind.field(*field).name()));
        let is_whole = kind.fields().iter().all(|field| !field.is_required() || fields.contains_key(field.name()));
        prop_assume!(has_key && is_whole);
        let key = key::canonical(kind.key_fields().iter().map(|field| {
            fields.get(kind.field(*field).name()).map(Cell::of)
        }));
        let records = BTreeMap::from([(key, fields)]);
        for format in ExportFormat::ALL {
            if RecordWriter::new(kind.clone(), &account(), format).is_err() {
                prop_assert!(format == ExportFormat::Csv && kind.keeps_additional());
                continue;
            }
            let (file, text) = written(&kind, format, &records);
            let read = imported(&kind, format, &file);
            // The count is of those that do not come back, whatever the reason.
            prop_assert_eq!(text.inexact == 0, read == records, "{}", String::from_utf8_lossy(&file));
            prop_assert!(format == ExportFormat::Csv || text.inexact == 0);
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn record(fields: &[(&str, Value)]) -> Fields {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

#[test]
fn a_record_is_written_as_its_kind_reads_it() {
    let kind = kind(
        r#"{"name":"k","primaryKey":"k","missingValues":["","-"],"fields":[{"name":"k"},{"name":"n","type":"number","decimalChar":","},
            {"name":"b","type":"boolean","trueValues":["ja"],"falseValues":["nein"]},{"name":"d","type":"date","format":"%d.%m.%Y"},
            {"name":"y","type":"year"},{"name":"t","missingValues":["n/a"]}]}"#,
    );
    let number = Value::Number(Decimal::parse("1234.50").expect("a number"));
    let full = record(&[
        ("b", Value::Boolean(true)),
        ("d", text("2026-01-31")),
        ("k", text("=1")),
        ("n", number),
        ("t", text("")),
        ("y", Value::Number(7.into())),
    ]);
    let records = BTreeMap::from([("=1".to_owned(), full), ("A".to_owned(), record(&[("k", text("A"))]))]);
    let (csv, _) = written(&kind, ExportFormat::Csv, &records);
    assert_eq!(
        String::from_utf8(csv).expect("text"),
        "\u{feff}k,n,b,d,y,t\n=1,\"1234,5\",ja,31.01.2026,0007,\nA,,,,,n/a\n",
        "a formula stays what it is; an empty text is told from none"
    );
    let (ndjson, _) = written(&kind, ExportFormat::Ndjson, &records);
    assert_eq!(
        String::from_utf8(ndjson).expect("text"),
        "{\"k\":\"=1\",\"n\":1234.5,\"b\":true,\"d\":\"31.01.2026\",\"y\":7,\"t\":\"\"}\n{\"k\":\"A\"}\n"
    );
}

#[test]
fn nested_records_come_back_from_ndjson_with_every_digit() {
    let kind = kind(
        r#"{"name":"k","primaryKey":"k","additionalFields":"keep","fields":[{"name":"k","scope":"account"},
            {"name":"lines","type":"array","itemSchema":{"fields":[{"name":"day","type":"date","format":"%d.%m.%Y"},
            {"name":"place","scope":"account"},{"name":"n","type":"number"}]}},{"name":"o","type":"object"},
            {"name":"l","type":"list","itemType":"integer"},{"name":"any","type":"any"}]}"#,
    );
    let exact = Value::Number(Decimal::parse("12345678901234567890.000000001").expect("a number"));
    let line =
        record(&[("day", text("2026-01-31")), ("place", text("1-x")), ("n", exact.clone()), ("more", Value::Null)]);
    let fields = record(&[
        ("k", text("1-a,b")),
        ("lines", Value::List(vec![Value::Object(line)])),
        ("o", Value::Object(record(&[("deep", Value::List(vec![Value::Null, text("")]))]))),
        ("l", Value::List(vec![Value::Number(1.into())])),
        ("any", text("5")),
        ("added \"x\"", exact),
    ]);
    let records = BTreeMap::from([("1-a%2Cb".to_owned(), fields)]);
    let (file, text) = written(&kind, ExportFormat::Ndjson, &records);
    assert_eq!(text.inexact, 0, "{}", String::from_utf8_lossy(&file));
    assert_eq!(imported(&kind, ExportFormat::Ndjson, &file), records);
}

#[test]
fn what_csv_cannot_say_is_refused_with_the_reason() {
    let refused =
        |document: &str| RecordWriter::new(kind(document), &account(), ExportFormat::Csv).expect_err("refused").message;
    for (members, why) in [
        (r#""fields":[{"name":"k"}],"additionalFields":"keep""#, "it keeps additional fields"),
        (r#""fields":[{"name":"k"},{"name":"l","type":"array"}]"#, "the field `l` holds more than one cell says"),
        (r#""fields":[{"name":"k"},{"name":"l","type":"any"}]"#, "the field `l` holds more than one cell says"),
        (
            r#""fields":[{"name":"k"},{"name":"t"}],"missingValues":[]"#,
            "names no cell that says that `t` holds nothing",
        ),
        (r#""fields":[{"name":"k"}],"reading":{"header_line":3}"#, "lines above their header"),
        (
            r#""columnNames":"exact","fields":[{"name":"k"},{"name":" t"}]"#,
            "a column called `t` is not found to be that field",
        ),
    ] {
        let message = refused(&format!(r#"{{"name":"x","primaryKey":"k",{members}}}"#));
        assert!(message.contains(why) && message.ends_with("; take `ndjson`"), "{members}: {message}");
        assert!(message.starts_with("CSV cannot hold the records of kind `x` as they are: "), "{message}");
    }
}

#[test]
fn what_would_not_be_read_again_is_written_and_counted() {
    let kind = kind(
        r#"{"name":"x","primaryKey":"k","fields":[{"name":"k"},{"name":"t","constraints":{"maxLength":300000}},
            {"name":"d","type":"date","format":"%d.%m.%y"}]}"#,
    );
    let of = |key: &str, fields: &[(&str, Value)]| {
        let fields = record(&[&[("k", text(key))], fields].concat());
        BTreeMap::from([(key.to_owned(), fields)])
    };
    for (records, csv, ndjson) in [
        (of("A", &[("t", text("x"))]), 0, 0),
        // A key as a spreadsheet spoils it, the header again, a line of dashes.
        (of("1.5E+10", &[]), 1, 0),
        (of("k", &[("t", text("t")), ("d", text("d"))]), 1, 1),
        // A year that the pattern's two digits do not say, a value that the kind does not take any more.
        (of("A", &[("d", text("1950-01-31"))]), 1, 1),
        (of("A", &[("gone", text("x"))]), 1, 1),
        (of("A", &[("t", text(&"x".repeat(limits::RECORD_BYTES)))]), 1, 1),
    ] {
        for (format, wanted) in [(ExportFormat::Csv, csv), (ExportFormat::Ndjson, ndjson)] {
            let (file, text) = written(&kind, format, &records);
            assert_eq!((text.records, text.inexact), (1, wanted), "{format:?} {records:?}");
            assert_eq!(imported(&kind, format, &file) == records, wanted == 0);
        }
    }
}

#[test]
fn a_deleted_record_is_a_line_of_its_own_in_ndjson_alone() {
    let kind = kinds::compiled("products");
    for (format, wanted) in [(ExportFormat::Ndjson, "{\"deleted\":true,\"key\":\"A\"}\n"), (ExportFormat::Csv, "")] {
        let mut writer = RecordWriter::new(kind.clone(), &account(), format).expect("flat");
        let gone = writer.write(std::iter::once(Written { key: "A", fields: None }));
        assert_eq!((gone.bytes.as_slice(), gone.records, gone.inexact), (wanted.as_bytes(), 0, 0));
        assert_eq!(gone.deleted, u64::from(format == ExportFormat::Ndjson));
    }
}

#[test]
fn a_line_that_says_deleted_is_no_record_s() {
    let of = |key: &str, fields: &[&str]| {
        let fields: Vec<_> = fields.iter().map(|name| serde_json::json!({ "name": name })).collect();
        kind(&serde_json::json!({ "name": "k", "primaryKey": key, "fields": fields }).to_string())
    };
    let clear = [of("key", &["key", "value"]), of("id", &["id", "key", "deleted"]), of("deleted", &["deleted", "id"])];
    for kind in &clear {
        assert!(RecordWriter::check_deletions(kind).is_ok(), "{kind:?}");
    }
    for kind in [of("key", &["key", "deleted"]), of("deleted", &["key", "deleted", "more"])] {
        let failure = RecordWriter::check_deletions(&kind).expect_err("refused");
        assert!(failure.code == "ambiguous_deletions" && failure.message.contains("/v1/records/k?"), "{failure:?}");
    }
}
