use std::io::{Cursor, Write};

use penstock_model::ImportOptions;

use super::*;
use crate::kind::Kind;

/// A kind with the fields `sku`, `name` and `price`.
fn kind() -> Kind {
    let schema = br#"{ "name": "t", "primaryKey": "sku", "fields": [{ "name": "sku" }, { "name": "name" }, { "name": "price" }] }"#;
    let schema = Kind::parse(schema).expect("a schema");
    Kind::compile(&schema, &"1".parse().expect("valid")).expect("compiles")
}

fn detected(
    file: &[u8],
    format: Option<Format>,
    filename: Option<&str>,
    options: &ImportOptions,
) -> Result<Layout, Failure> {
    let hints = Hints { format, filename, options, kind: &kind(), partial: false };
    Ok(detect(Cursor::new(file), file.len() as u64, &hints)?.layout)
}

fn plain(file: &[u8]) -> Layout {
    detected(file, None, None, &ImportOptions::default()).expect("readable")
}

fn delimiter_of(file: &str) -> u8 {
    match plain(file.as_bytes()).grammar {
        Grammar::Delimited { delimiter, .. } => delimiter,
        other => panic!("{other:?}"),
    }
}

#[test]
fn delimiters_are_told_by_what_they_make_of_the_file() {
    for (file, delimiter) in [
        ("sku,name,price\nA,a,1\n", b','),
        ("sku;name;price\nA;a, b, c, d;1,50\n", b';'),
        ("sku\tname\tprice\nA\ta,b\t1\n", b'\t'),
        ("sku|name|price\nA|a|1\n", b'|'),
        // The kind's fields tell more than the number of cells.
        ("sku;name;a,b,c,d\n1;2;x,y,z,u\n", b';'),
        ("\"sku,id\";\"name, of it\"\n1;2\n", b';'),
        ("sku\n1\n", b','),
        ("sep=;\r\nsku;name,price\r\n", b';'),
        ("\u{feff}\u{feff}sep=|\rsku,name", b'|'),
        ("\nSEP=\\t\nsku,name\n", b'\t'),
        (";;\n ;;\nsku;name,x,y,z;a\n", b';'),
        ("", b','),
    ] {
        assert_eq!(char::from(delimiter_of(file)), char::from(delimiter), "{file:?}");
    }
    assert_eq!(plain(b"sku\tname\n").format, Format::Tsv);
}

#[test]
fn an_option_goes_before_what_the_file_looks_like() {
    let options = ImportOptions { delimiter: Some('|'), quoting: Some(false), ..ImportOptions::default() };
    let layout = detected(b"sku,name\n", None, None, &options).expect("readable");
    assert_eq!(layout.grammar, Grammar::Delimited { delimiter: b'|', quoting: false });
    let options = ImportOptions { encoding: Some("latin1".into()), ..ImportOptions::default() };
    assert_eq!(detected("sku\nä\n".as_bytes(), None, None, &options).expect("readable").encoding, "windows-1252");
    let options = ImportOptions { encoding: Some("klingon".into()), ..ImportOptions::default() };
    assert_eq!(detected(b"sku\n", None, None, &options).expect_err("unknown").code, "unknown_encoding");
}

#[test]
fn json_is_told_by_its_start_and_its_lines() {
    let array = Grammar::Elements { enveloped: false };
    let enveloped = Grammar::Elements { enveloped: true };
    for (file, grammar) in [
        ("[{\"sku\":1}]", array),
        ("\u{feff} [ ]", array),
        ("{\"sku\":1}\n{\"sku\":2}\n", Grammar::Lines),
        ("{\"sku\":1}", Grammar::Lines),
        ("{\"sku\":tru}\n{\"sku\":2}\n", Grammar::Lines),
        ("{\"products\":[{\"sku\":1}]}", enveloped),
        ("{\n  \"total\": 1,\n  \"products\": [\n    {}\n  ]\n}\n", enveloped),
        // An array of a record's own field is no envelope.
        ("{\"sku\":1,\"price\":[{}]}", Grammar::Lines),
        ("{\"products\":[{\"sku\":1},", enveloped),
        ("{\"status\":\"ok\",\"data\":{\"items\":[{\"sku\":1}]}}", enveloped),
        ("{\"errors\":[],\"products\":[{\"sku\":1},{}],\"tags\":[\"a\"]}", enveloped),
        ("{\"status\":\"ok\"}", enveloped),
        ("{\"products\":[]}", enveloped),
        ("{\n\"sku\":1}\n{\n\"sku\":2}\n", Grammar::Concatenated),
        ("{\"sku\":1} {\"sku\":2}", Grammar::Concatenated),
        ("{\"sku\":1}\n\n{\"sku\":2\n}", Grammar::Concatenated),
        ("{\n\"sku\":1\n}", Grammar::Concatenated),
        ("{\"sku\":1}\n  {\"sku\":2}\r\n\r\n{\"sku\":tru}", Grammar::Lines),
        ("\u{feff}\u{feff}{\"sku\":1}\n{\"sku\":2}", Grammar::Lines),
    ] {
        assert_eq!(plain(file.as_bytes()).grammar, grammar, "{file}");
    }
    for file in ["{\"errors\":[{}],\"data\":{\"items\":[{\"sku\":1}]}}", "{\n\"a\":[{}],\"b\":[{},\n"] {
        let failure = detected(file.as_bytes(), None, None, &ImportOptions::default()).expect_err("two arrays");
        assert_eq!(failure.code, "ambiguous_rows");
    }
    let failure = detected(b"{\"errors\":[{}],\"data\":{\"items\":[{}]}}", None, None, &ImportOptions::default());
    let message = failure.expect_err("two arrays").message;
    assert!(message.contains("`errors`, `data.items`"), "{message}");
    for file in ["[id],[name]\n1,2\n", "{id},{name}\n1,2\n"] {
        assert_eq!(plain(file.as_bytes()).format, Format::Csv, "{file}");
    }
    let declared = |format| {
        detected(b"{\"sku\":1,\"lines\":[{}]}", Some(format), None, &ImportOptions::default())
            .expect("readable")
            .grammar
    };
    assert_eq!((declared(Format::Json), declared(Format::Ndjson)), (enveloped, Grammar::Lines));
}

#[test]
fn encodings_are_told_by_marks_then_by_bytes() {
    let (utf16, _, _) = encoding_rs::UTF_8.encode("sku,name\nA,ä\n");
    let le: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(String::from_utf8_lossy(&utf16).encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let be: Vec<u8> = [0xfe, 0xff]
        .into_iter()
        .chain(String::from_utf8_lossy(&utf16).encode_utf16().flat_map(u16::to_be_bytes))
        .collect();
    assert_eq!((plain(&le).encoding.as_str(), plain(&be).encoding.as_str()), ("UTF-16LE", "UTF-16BE"));
    assert_eq!(plain("sku,name\nA,ä\n".as_bytes()).encoding, "UTF-8");
    assert_eq!(plain(b"sku,name\nA,caf\xe9 au lait \xe0 Gen\xe8ve\n").encoding, "windows-1252");
    // A few letters beyond ASCII are no evidence for another Latin encoding.
    for text in ["Ø 20 mm", "ø", "±5 mm", "naïve", "50 µm", "œuvre", "£5", "¿", "®"] {
        let mut file = String::from("sku,name,brand\n");
        for row in 0..200 {
            file.push_str(&format!(
                "m{row},Part number {row} steel bolt {},ACME\n",
                if row % 20 == 0 { text } else { "" }
            ));
        }
        let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(&file);
        assert_eq!(plain(&bytes).encoding, "windows-1252", "{text}");
    }
    let (greek, _, _) =
        encoding_rs::WINDOWS_1253.encode("κωδικός,όνομα\nα,Βίδα από χάλυβα για ξύλο\nβ,Παξιμάδι από ορείχαλκο\n");
    assert_eq!(plain(&greek).encoding, "windows-1253");
    // A byte order mark goes before what is asked for.
    let windows = ImportOptions { encoding: Some("windows-1252".into()), ..ImportOptions::default() };
    assert_eq!(detected("\u{feff}sku\nä\n".as_bytes(), None, None, &windows).expect("readable").encoding, "UTF-8");
    // More characters are whole than broken: damaged, not another encoding.
    assert_eq!(
        plain("sku,name\nA,äöü\n".as_bytes().iter().chain(b"B,\xff\n").copied().collect::<Vec<_>>().as_slice())
            .encoding,
        "UTF-8"
    );
    // A character that the sample's end cuts is not broken.
    let long = format!("sku,name\n{}", "ä".repeat(limits::DETECT_BYTES));
    assert_eq!(plain(long.as_bytes()).encoding, "UTF-8");
    assert_eq!(plain(&[b"x", long.as_bytes()].concat()).encoding, "UTF-8");
}

#[test]
fn contradictions_are_noted_and_content_wins() {
    let layout = detected(b"[{\"sku\":1}]", Some(Format::Csv), Some("products.csv.gz"), &ImportOptions::default());
    let layout = layout.expect("readable");
    assert_eq!(layout.format, Format::Json);
    assert_eq!(layout.notes, ["declared as csv, but its content is json", "named as csv, but its content is json"]);
    let layout =
        detected(b"sku;name\n", Some(Format::Csv), Some("a.csv"), &ImportOptions::default()).expect("readable");
    assert!(layout.notes.is_empty());
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn what_is_packed_is_told_by_content() {
    let text = b"sku;name\nA;a\n";
    let zstd = zstd::stream::encode_all(text.as_slice(), 1).expect("in memory");
    for (file, compression) in [(gzip(text), Compression::Gzip), (zstd, Compression::Zstd)] {
        let layout = plain(&file);
        assert_eq!((layout.compression, layout.format), (Some(compression), Format::Csv));
    }
    let mut cut = gzip(text);
    cut.truncate(cut.len() - 5);
    assert_eq!(detected(&cut, None, None, &ImportOptions::default()).expect_err("cut").code, "damaged_file");
    let (options, kind) = (ImportOptions::default(), kind());
    let partial = Hints { format: None, filename: None, options: &options, kind: &kind, partial: true };
    assert_eq!(detect(Cursor::new(&cut), 1, &partial).expect("a part is enough").layout.format, Format::Csv);
    let old_excel = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more";
    assert_eq!(detected(old_excel, None, None, &ImportOptions::default()).expect_err("XLS").code, "unsupported_format");
}

#[test]
fn an_archive_that_is_another_document_is_said_to_be_one() {
    let of = |names: &[&str]| {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).expect("in memory");
            archive.write_all(b"<Types/>").expect("in memory");
        }
        let file = archive.finish().expect("in memory").into_inner();
        detected(&file, None, None, &ImportOptions::default()).expect_err("no workbook")
    };
    for (names, what) in [
        (&["[Content_Types].xml", "word/document.xml"][..], "a Word document"),
        (&["[Content_Types].xml", "ppt/presentation.xml"], "a PowerPoint presentation"),
        (&["[Content_Types].xml", "xl/workbook.bin"], "a binary Excel workbook"),
        (&["mimetype", "content.xml"], "an OpenDocument file"),
    ] {
        let failure = of(names);
        assert_eq!(failure.code, "unsupported_format", "{what}");
        assert!(failure.message.contains(what), "{}", failure.message);
    }
    assert_eq!(of(&["word/a.csv", "word/b.csv"]).code, "not_one_file");
}
