//! What is said to people: files, and the exact sentences that `penstock check` says of them, with flags of the command
//! where the API names options.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use penstock_client::NewImport;
use penstock_model::{
    ImportOptions,
    advice::{self, Setting},
    limits,
};
use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Workbook};
use serde_json::{Value, json};

use crate::support::{Stack, TOKEN};

/// A file, and what is said of it.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    /// The kind, a bundled one or a schema.
    kind: &'static str,
    /// Lines of the summary, in their order; others may stand between them.
    says: Vec<String>,
    /// What no line contains.
    never: &'static [&'static str],
}

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, says: &[&str]) -> Case {
    let says = says.iter().map(|&line| line.to_owned()).collect();
    Case { name, bytes: bytes.into(), kind: "products", says, never: &[] }
}

impl Case {
    fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    fn never(self, never: &'static [&'static str]) -> Self {
        Self { never, ..self }
    }
}

fn run(folder: &Path, case: &Case, arguments: &[&str]) -> Output {
    let file = folder.join(case.name);
    std::fs::write(&file, &case.bytes).expect("a file");
    let mut kind = case.kind.to_owned();
    if kind.starts_with('{') {
        kind = folder.join("kind.schema.json").to_str().expect("a path").to_owned();
        std::fs::write(&kind, case.kind).expect("a schema");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(["check", "--kind", &kind]).args(arguments).arg(&file);
    command.env_remove("PENSTOCK_URL").env_remove("PENSTOCK_TOKEN").stdin(Stdio::null());
    command.output().expect("the command runs")
}

fn holds(cases: Vec<Case>) {
    let folder = tempfile::tempdir().expect("a folder");
    for case in cases {
        let output = run(folder.path(), &case, &[]);
        let said = std::str::from_utf8(&output.stdout).expect("text");
        let mut lines = said.lines();
        for wanted in &case.says {
            assert!(lines.any(|line| line == wanted), "{}: no line\n{wanted}\nin\n{said}", case.name);
        }
        for never in case.never {
            assert!(!said.contains(never), "{}: {never:?} in {said}", case.name);
        }
        assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{}: {said:?}", case.name);
    }
}

fn workbook(fill: impl FnOnce(&mut Workbook)) -> Vec<u8> {
    let mut book = Workbook::new();
    fill(&mut book);
    book.save_to_buffer().expect("in memory")
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).expect("in memory");
        archive.write_all(text.as_bytes()).expect("in memory");
    }
    archive.finish().expect("in memory").into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("in memory");
    gzip.finish().expect("in memory")
}

#[test]
fn what_is_no_table_is_said_to_be_what_it_is_and_nothing_else() {
    let unsupported = |what: &str| format!("unsupported_format: the file is {what}");
    let export = "export its table as XLSX or CSV";
    let tar = {
        let mut tar = vec![0; 1024];
        tar[..5].copy_from_slice(b"a.csv");
        tar[257..262].copy_from_slice(b"ustar");
        tar
    };
    let mail =
        "Received: from a by b\r\nFrom: shop@example.com\r\nSubject: Prices\r\nMIME-Version: 1.0\r\n\r\nsku,name\r\n";
    let one = |name, bytes: Vec<u8>, says: String| Case { says: vec![says], ..case(name, bytes, &[]) };
    let docx = zip(&[("[Content_Types].xml", "<Types/>"), ("word/document.xml", "<x/>")]);
    let pptx = zip(&[("[Content_Types].xml", "<Types/>"), ("ppt/presentation.xml", "<x/>")]);
    let ods = zip(&[("mimetype", "application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", "<x/>")]);
    let two = zip(&[("a.csv", "sku\n"), ("b\u{1b}.csv", "sku\n")]);
    holds(vec![
        one(
            "page.xls",
            b"<html><body><table><tr><th>sku</th></tr></table></body></html>".to_vec(),
            unsupported("HTML, a web page; open it in a spreadsheet, and save it as XLSX or CSV"),
        )
        .never(&["missing_column", "delimiter"]),
        one(
            "feed.csv",
            b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>".to_vec(),
            unsupported("XML, a document `Error`; it may be the answer of a server that did not give the file"),
        ),
        one("list.csv", b"%PDF-1.7\n%\xe2\xe3\n".to_vec(), unsupported(&format!("a PDF document; {export}"))),
        one("list.docx", docx, unsupported(&format!("a Word document; {export}"))),
        one("list.pptx", pptx, unsupported(&format!("a PowerPoint presentation; {export}"))),
        one("list.ods", ods, unsupported("an OpenDocument file; save it as XLSX or CSV")),
        one("scan.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), unsupported(&format!("an image (PNG); {export}"))),
        one("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), unsupported("a 7z archive; unpack it, and upload the file in it")),
        one("a.rar", b"Rar!\x1a\x07\x01\0".to_vec(), unsupported("a RAR archive; unpack it, and upload the file in it")),
        one("a.tar.gz", gzip(&tar), unsupported("a tar archive; unpack it, and upload the file in it")),
        one("a.eml", mail.into(), unsupported("an e-mail; save the table that is attached to it, and upload that")),
        one(
            "two.zip",
            two,
            "not_one_file: the file is a ZIP archive of 2 files (`a.csv`, `b<U+001B>.csv`); it must hold one: upload each \
             by itself"
                .to_owned(),
        ),
    ]);
}

#[test]
fn a_header_that_does_not_fit_is_shown_with_what_may_be_meant() {
    let title_row = workbook(|book| {
        let sheet = book.add_worksheet();
        sheet.write(0, 0, "Products 2024").expect("a cell");
        for (column, name) in ["sku", "name", "brand"].into_iter().enumerate() {
            sheet.write(1, column as u16, name).expect("a cell").write(2, column as u16, "x").expect("a cell");
        }
    });
    let empty_first = workbook(|book| {
        book.add_worksheet().set_name("Cover").expect("a name");
        let sheet = book.add_worksheet().set_name("Price list").expect("a name");
        sheet.write(0, 0, "sku").expect("a cell").write(1, 0, "A").expect("a cell");
    });
    let about = workbook(|book| {
        book.add_worksheet().set_name("Read me").expect("a name").write(0, 0, "About").expect("a cell");
        book.add_worksheet().set_name("Prices").expect("a name").write(0, 0, "sku").expect("a cell");
    });
    let needs = "missing_column: kind `products` needs the column";
    let all = "`sku` and the column `name` and the column `brand`, which the header does not name; the header is";
    let line = |says: String| vec![says];
    holds(vec![
        Case {
            says: line(format!(
                "{needs} {all} 4 columns: `Price list`, `2024`, `EUR`, `net`; line 4 looks like the header, 4 columns: `sku`, \
                 `name`, `brand`, `cost`: give `--header-line 4`"
            )),
            ..case(
                "titles.csv",
                "Price list;2024;EUR;net\nSupplier: Nord AG;;;\n\nsku;name;brand;cost\nA-1;Lamp;Nord;1\n",
                &[],
            )
        },
        // A title of one cell does not say how cells are delimited.
        Case {
            says: line(format!(
                "{needs} {all} 1 column: `Price list 2024`; line 2 looks like the header, 3 columns: `sku`, `name`, `brand`: \
                 give `--header-line 2`"
            )),
            ..case("title.csv", "Price list 2024\nsku;name;brand\nA-1;Lamp;Nord\n", &[])
        },
        Case {
            says: line(format!(
                "{needs} {all} 1 column: `Products 2024`; line 2 looks like the header, 3 columns: `sku`, `name`, `brand`: \
                 give `--header-line 2`"
            )),
            ..case("title.xlsx", title_row, &[])
        },
        case(
            "twice.csv",
            "\u{feff}\u{feff}s\u{200b}k\u{1b}[31mu,name,brand\nA,a,b\n",
            &[
                "missing_column: kind `products` needs the column `sku`, which the header does not name; the header is 3 \
               columns: `s<U+200B>k<U+001B>[31mu`, `name`, `brand`; if a column holds it under another name, `--map` says \
               which",
            ],
        )
        .never(&["\u{feff}", "\u{200b}"]),
        case(
            "told.csv",
            "sep=,\nsku;name;brand\nA;a;b\n",
            &[
                "missing_column: kind `products` needs the column `sku` and the column `name` and the column `brand`, which \
               the header does not name; the header is 1 column: `sku;name;brand`; it holds the names of several columns: if \
               the file's lines stand in quotes as a whole, save it without those, else give `--delimiter ';'`",
            ],
        ),
        case("arrays.json", "[[\"sku\",\"name\"],[\"A\",\"x\"]]", &["  row 1, line 1: the row is an array, where a JSON object belongs (not_an_object)"])
            .never(&["--map"]),
        case(
            "break.csv",
            "\"sku\",\"name\n(english)\",\"brand\"\nA,a,b\n",
            &[
                "missing_column: kind `products` needs the column `name`, which the header does not name; the header is 3 \
               columns: `sku`, `name<U+000A>(english)`, `brand`; `name<U+000A>(english)` is not a field; did you mean \
               `name`?; if so, give `--map $'name\\n(english)=name'`",
            ],
        ),
        case(
            "other.csv",
            "sku,Titel,brand\nA,a,b\n",
            &[
                "missing_column: kind `products` needs the column `name`, which the header does not name; the header is 3 \
               columns: `sku`, `Titel`, `brand`; if a column holds it under another name, `--map` says which",
            ],
        ),
        case(
            "cover.xlsx",
            empty_first,
            &[
                "empty_file: the sheet `Cover` is empty; there is `Price list` (2 rows, 1 columns); to read that one, give \
               `--sheet 'Price list'`",
            ],
        ),
        Case {
            says: line(format!(
                "{needs} {all} 1 column: `About`; if a column holds it under another name, `--map` says which; the workbook \
                 also has `Prices`: `--sheet` names the one to read"
            )),
            ..case("about.xlsx", about, &[])
        },
        case(
            "hidden.csv",
            "sku,name,brand,\u{1b}[31mc\u{feff}ol\nA,a,b,c\n",
            &["ignored columns: <U+001B>[31mc<U+FEFF>ol"],
        ),
    ]);
}

#[test]
fn a_preview_says_what_each_column_is_where_they_cannot_be_matched_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, "\"sku\",\"name\n(english)\",\"brand\"\nA,a,b\n").expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(["import", "--preview", "--local"]).arg(&file).stdin(Stdio::null());
    let output = command.output().expect("the command runs");
    let said = std::str::from_utf8(&output.stdout).expect("text");
    let columns: Vec<&str> = said.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(columns, ["  \"sku\" is sku", "  \"name\\n(english)\" is no field", "  \"brand\" is brand"], "{said}");
}

const TYPES: &str = r#"{"name": "types", "primaryKey": ["id"], "fields": [{"name": "id"}, {"name": "n", "type": "number"},
    {"name": "i", "type": "integer"}, {"name": "d", "type": "date"}, {"name": "m", "type": "datetime"},
    {"name": "b", "type": "boolean"}, {"name": "g", "type": "date", "format": "%d.%m.%Y"}]}"#;

/// An option of an import with a value.
const OPTIONS: &[(&str, &str)] = &[
    ("delimiter", r#"";""#),
    ("quoting", "false"),
    ("encoding", r#""utf-8""#),
    ("sheet", r#""S""#),
    ("mapping", r#"{"a":"b"}"#),
    ("decimal_char", r#"",""#),
    ("group_char", r#"".""#),
    ("date_format", r#""%d.%m.%Y""#),
    ("true_values", r#"["yes"]"#),
    ("false_values", r#"["no"]"#),
    ("header_line", "3"),
    ("comment", r##""#""##),
    ("escape", r#""\\""#),
    ("short_rows", r#""absent""#),
    ("rows_at", r#""data.items""#),
];

#[test]
fn every_option_that_a_message_names_is_one_of_the_api_and_a_flag_of_the_command() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    let help = command.args(["check", "--help"]).output().expect("the command runs").stdout;
    let help = String::from_utf8(help).expect("text");
    let named: Vec<&str> = Setting::ALL.iter().map(|(_, name, _)| *name).collect();
    assert_eq!(named, OPTIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for ((setting, name, flag), (_, value)) in Setting::ALL.iter().zip(OPTIONS) {
        let options = format!("{{\"{name}\":{value}}}");
        let read: ImportOptions = serde_json::from_str(&options).expect("an option of the API");
        assert_ne!(read, ImportOptions::default(), "{name}");
        assert!(help.split_whitespace().any(|word| word == *flag), "{flag} is not in {help}");
        let message = format!("give {}", setting.to(serde_json::from_str::<Value>(value).expect("JSON")));
        assert_eq!(message, format!("give the option `{name}` = {value}"));
        assert!(advice::for_command(&message).starts_with(&format!("give `{flag}")), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_names_options_and_the_command_flags() {
    let stack = Stack::start().await;
    stack.client.put_kind(&serde_json::from_str(TYPES).expect("a schema")).await.expect("a kind");
    let new = || NewImport { kind: Some("types".into()), ..NewImport::default() };
    let file = "id,n\nA,\"12,5\"\n";
    let imported = stack.import_as(new(), file.as_bytes()).await;
    let note = "`n` has cells such as `12,5`, numbers with a decimal comma: give the option `decimal_char` = \",\"";
    let [suggested, rejected] = imported.detected.expect("what it is").notes.try_into().expect("two notes");
    assert_eq!(suggested, note);
    assert!(rejected.starts_with("rows were rejected whose numbers have another decimal character"), "{rejected}");
    let errors = stack.errors(&imported.id).await;
    assert_eq!(errors[0].message, "`n`: not a number as it is: write 12.5, or give the option `decimal_char` = \",\"");
    let failed = stack.import_as(NewImport::default(), b"Prices\nsku,name,brand\nA,a,b\n").await;
    let failure = failed.failure.expect("a reason");
    assert!(failure.message.ends_with(": give the option `header_line` = 2"), "{}", failure.message);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.csv");
    std::fs::write(&path, file).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(["import", "--kind", "types", "--url", stack.cloud.url(), "--token", TOKEN]).arg(&path);
    let output = command.stdin(Stdio::null()).output().expect("the command runs");
    let said = String::from_utf8(output.stdout).expect("text");
    for line in [
        "note: `n` has cells such as `12,5`, numbers with a decimal comma: give `--decimal-char ,`",
        "  row 1, line 2: `n`: not a number as it is: write 12.5, or give `--decimal-char ,` (other_decimal_char); key \"A\"; cell \
         \"12,5\"",
    ] {
        assert!(said.lines().any(|found| found == line), "no {line} in {said}");
    }
    stack.stop().await;
}

/// One cell of a field, and what is said of it.
const CELLS: &[(&str, &str, &str)] = &[
    ("d", "31.12.2024", "not a date as it is: write 2024-12-31, or give `--date-format %d.%m.%Y` (invalid_date)"),
    ("d", "12/31/2024", "not a date as it is: write 2024-12-31, or give `--date-format %m/%d/%Y` (invalid_date)"),
    (
        "d",
        "01/02/2024",
        "not a date as it is: write 2024-02-01 or 2024-01-02, as it is meant, or give `--date-format %d/%m/%Y` or \
         `--date-format %m/%d/%Y` (invalid_date)",
    ),
    ("d", "31.12.24", "not a date as it is: write 2024-12-31, or give `--date-format %d.%m.%y` (invalid_date)"),
    ("d", "20241231", "not a date as it is: write 2024-12-31, or give `--date-format %Y%m%d` (invalid_date)"),
    ("d", "Dec 31 2024", "not a date as it is: write 2024-12-31, or give `--date-format '%b %d %Y'` (invalid_date)"),
    ("d", "45657", "not a date, but the number that a spreadsheet has for a day: write 2024-12-31 (invalid_date)"),
    ("d", "2024-12-31T00:00:00Z", "not a date alone, it has a time: write 2024-12-31 (invalid_date)"),
    ("d", "2024-02-30", "there is no such day in the calendar (invalid_date)"),
    ("d", "soon", "not a date: write it like 2026-01-31 (invalid_date)"),
    ("g", "2024-12-31", "not a date as it is: write 31.12.2024, or give `--date-format %Y-%m-%d` (invalid_date)"),
    ("g", "soon", "not a date: write it like 31.01.2026 (`%d.%m.%Y`) (invalid_date)"),
    (
        "m",
        "31.12.2024 09:30",
        "not a date with a time as it is: write 2024-12-31T09:30:00, or give `--date-format '%d.%m.%Y %H:%M'` (invalid_datetime)",
    ),
    ("m", "soon", "not a date with a time: write it like 2026-01-31T09:30:00 (invalid_datetime)"),
    // An option replaces the words that are taken so far, so it names them too.
    (
        "b",
        "yes",
        "neither true nor false as it is: write true, or give `--true-values true --true-values True --true-values TRUE --true-values 1 --true-values yes` (invalid_boolean)",
    ),
    (
        "b",
        "Nein",
        "neither true nor false as it is: write false, or give `--false-values false --false-values False --false-values FALSE --false-values 0 --false-values Nein` (invalid_boolean)",
    ),
    ("b", "perhaps", "neither true nor false: write true or false (invalid_boolean)"),
    ("i", "12.0", "not a whole number as it is: write 12 (invalid_integer)"),
    ("i", "12.5", "not a whole number: it has a fraction (invalid_integer)"),
    (
        "i",
        "1.234",
        "not a whole number as it is: write 1234 if that is meant, or give `--group-char .` (invalid_integer)",
    ),
    ("i", "1,234", "not a whole number as it is: write 1234, or give `--group-char ,` (invalid_integer)"),
    (
        "n",
        "1.234,56",
        "not a number as it is: write 1234.56, or give `--decimal-char ,` and `--group-char .` (other_decimal_char)",
    ),
    ("n", "12,5", "not a number as it is: write 12.5, or give `--decimal-char ,` (other_decimal_char)"),
    ("n", "1,234.50", "not a number as it is: write 1234.50, or give `--group-char ,` (invalid_number)"),
    (
        "n",
        "1,234",
        "not a number as it is: write 1234 or 1.234, as it is meant, or give `--group-char ,`, or `--decimal-char ,` \
         (invalid_number)",
    ),
    (
        "n",
        "-1 234,5",
        "not a number as it is: write -1234.5, or give `--decimal-char ,` and `--group-char ' '` (other_decimal_char)",
    ),
    ("n", "12.50 EUR", "not a number as it is: write 12.50 (invalid_number)"),
    ("n", "1,50 €", "not a number as it is: write 1.50 (invalid_number)"),
    ("n", "0,125", "not a number as it is: write 0.125, or give `--decimal-char ,` (other_decimal_char)"),
    ("i", "many", "not a whole number: write it like 1234 (invalid_integer)"),
    ("n", "12 %", "not a number; write it as 1234.56, without currency or thousands separators (invalid_number)"),
];

#[test]
fn a_row_error_says_how_this_cell_would_be_right() {
    let cases = CELLS.iter().map(|(field, cell, says)| {
        let line = format!("  row 1, line 2: `{field}`: {says}; key \"K\"; cell \"{cell}\"");
        Case { says: vec![line], ..case("cells.csv", format!("id;{field}\nK;{cell}\n"), &[]) }.of_kind(TYPES)
    });
    holds(cases.collect());
    // The same of a string of JSON, and of a cell of text in a sheet.
    let json = CELLS.iter().map(|(field, cell, says)| {
        let line = format!("  row 1, line 1: `{field}`: {says}; key \"K\"; cell \"{cell}\"");
        let text = json!({ "id": "K", *field: cell }).to_string();
        Case { says: vec![line], ..case("cells.ndjson", text, &[]) }.of_kind(TYPES)
    });
    holds(json.collect());
    let sheets = CELLS.iter().map(|(field, cell, says)| {
        let line = format!("  row 1, line 2: `{field}`: {says}; key \"K\"; cell \"{cell}\"");
        let file = workbook(|book| {
            let sheet = book.add_worksheet();
            sheet.write(0, 0, "id").expect("a cell").write(0, 1, *field).expect("a cell");
            sheet.write(1, 0, "K").expect("a cell").write(1, 1, *cell).expect("a cell");
        });
        Case { says: vec![line], ..case("cells.xlsx", file, &[]) }.of_kind(TYPES)
    });
    holds(sheets.collect());
}

#[test]
fn rows_of_another_shape_say_what_to_do() {
    holds(vec![
        case(
            "short.csv",
            "sku,name,brand,category\nA,a,b\nB,b,b,c\n",
            &[
                "  row 1, line 2: the row has 3 cells, the header names 4 columns: write an empty cell for each that is missing, \
               or give `--short-rows absent` if the row is whole (ragged_row)",
            ],
        ),
        case(
            "php.csv",
            "sku,name,brand,description\nA-1,\"Monitor 24\\\" wide\",Nord,\"good, cheap\"\nA-2,\"Rail, 19\\\", black\",Nord,x\n",
            &[
                "note: quotes in cells are written \\\" here, where CSV writes \"\"; to read them so, give `--escape '\\'`",
                "  row 2, line 3: the row has 5 cells, the header names 4 columns: put a cell that holds the delimiter or a quote \
                 in quotes, and double the quotes in it; if \\\" is a quote in a cell, give `--escape '\\'` (ragged_row)",
            ],
        ),
        case(
            "shifted.csv",
            "sku,name,brand\n1,A-1,Lamp,Nord\n2,A-2,Chair,Nord\n",
            &[
                "note: every row has 4 cells and the header 3: the header may be shifted, a name for one column is missing in it",
            ],
        ),
        case("surplus.csv", "sku,name,brand\nA,x,y,\nB,x,y,\n", &["2 rows: 2 accepted, 0 failed"]).never(&["shifted"]),
        case("spaced.csv", "sku, name, brand\nA, x, y,\nB, x, y,\n", &["2 rows: 2 accepted, 0 failed"]).never(&["shifted"]),
        case(
            "comma.csv",
            "sku,name,brand,cost\nA,x,y,1,5\nB,x,y,12,50\n",
            &[
                "note: every row has 5 cells and the header 4: the numbers of `cost` may have a decimal comma, and need quotes \
               then, or another delimiter; else a name for one column is missing in the header",
            ],
        )
        .never(&["shifted"]),
    ]);
}

#[test]
fn what_the_first_rows_show_is_suggested_and_nothing_is_applied() {
    let comma = "note: `n` has cells such as `12,5`, numbers with a decimal comma: give `--decimal-char ,`";
    let dates = "note: `d` has cells such as `01/02/2024`, all dates like it: give `--date-format %d/%m/%Y`";
    let words = "note: `b` has cells such as `yes`, words for true and false: give `--true-values true --true-values True --true-values TRUE --true-values 1 --true-values yes` and \
                 `--false-values false --false-values False --false-values FALSE --false-values 0 --false-values no`";
    holds(vec![
        case(
            "a.csv",
            "id;n;d;b\nA;12,5;01/02/2024;yes\nB;3;31/01/2024;no\n",
            &[comma, dates, words, "2 rows: 0 accepted, 2 failed"],
        )
        .of_kind(TYPES),
        case(
            "a.ndjson",
            "{\"id\":\"A\",\"n\":\"12,5\",\"d\":\"01/02/2024\"}\n{\"id\":\"B\",\"n\":3,\"d\":\"31/01/2024\"}\n",
            &[comma, dates],
        )
        .of_kind(TYPES),
        case("mixed.csv", "id;n\nA;12,5\nB;12.5\n", &["2 rows: 1 accepted, 1 failed"])
            .of_kind(TYPES)
            .never(&["has cells such as"]),
    ]);
}

#[test]
fn many_errors_of_one_kind_are_one_with_their_count_and_first_places() {
    let rows: String = (1..=30).map(|row| format!("K{row},{}\n", if row == 20 { "soon" } else { "3" })).collect();
    let file = format!("id,b,d\n{}", rows.replace(",3\n", ",maybe,\n").replace(",soon\n", ",true,soon\n"));
    holds(vec![
        case("many.csv", file, &[
            "  29 x invalid_boolean of `b`:",
            "    row 1, line 2: `b`: neither true nor false: write true or false (invalid_boolean); key \"K1\"; cell \"maybe\"",
            "    row 3, line 4: `b`: neither true nor false: write true or false (invalid_boolean); key \"K3\"; cell \"maybe\"",
            "    and 26 more; all are in the rows 1-19, 21-30",
            "  row 20, line 21: `d`: not a date: write it like 2026-01-31 (invalid_date); key \"K20\"; cell \"soon\"",
            "  30 rejected rows in all; --errors prints all errors",
        ])
        .of_kind(TYPES),
    ]);
}

#[test]
fn names_of_any_length_are_compared_in_bounded_time() {
    // Each character is 18 when it is normalised: comparing two such names, 1,500 of them long, took minutes.
    let long = "\u{fdfa}".repeat(limits::FIELD_NAME_CHARS - 1);
    let folder = tempfile::tempdir().expect("a folder");
    let schema = json!({ "name": "q", "primaryKey": ["k"], "fields": [
        { "name": "k" }, { "name": format!("{long}a"), "constraints": { "required": true } } ] });
    let (kind, file) = (folder.path().join("q.json"), folder.path().join("q.csv"));
    std::fs::write(&kind, schema.to_string()).expect("a schema");
    std::fs::write(&file, format!("k,{}\n1,2\n", vec![format!("{long}b"); 5].join(","))).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(["check", "--json", "--kind"]).args([&kind, &file]).stdin(Stdio::null());
    let output = command.output().expect("the command runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let message = said["failure"]["message"].as_str().expect("a message");
    assert!(message.len() < 4000 && !message.contains("did you mean"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_keeps_its_place_in_the_first_file() {
    let schema = json!({ "name": "teile", "primaryKey": ["id"], "fields": [
        { "name": "id", "constraints": { "required": true } }, { "name": "preis", "type": "number", "decimalChar": "," },
        { "name": "seit", "type": "date", "format": "%d.%m.%Y" }, { "name": "aktiv", "type": "boolean", "trueValues": ["ja"] },
        { "name": "stück", "type": "integer" }, { "name": "text" } ] });
    let sheet = workbook(|book| {
        let sheet = book.add_worksheet();
        for (column, name) in ["id", "preis", "seit", "aktiv", "stück", "text"].iter().enumerate() {
            sheet.write(0, column as u16, *name).expect("a cell");
        }
        let date = CellFormat::new().set_num_format("dd/mm/yyyy");
        for row in 1..=3 {
            let day = ExcelDateTime::parse_from_str("2026-11-21").expect("a date");
            sheet.write(row, 0, format!("T{row}")).expect("a cell").write(row, 1, 19.99).expect("a cell");
            sheet.write_with_format(row, 2, day, &date).expect("a cell").write(row, 3, true).expect("a cell");
            sheet.write(row, 5, "a, \"b\"\nc").expect("a cell");
            if row == 1 { sheet.write(row, 4, 5) } else { sheet.write(row, 4, "bad") }.expect("a cell");
        }
    });
    let csv = "id;preis;seit;aktiv;stück;text\nT1;19,99;21.11.2026;ja;5;\"a, \"\"b\"\"\nc\"\n\
               T2;19,99;21.11.2026;ja;bad;\"a, \"\"b\"\"\nc\"\nT3;19,99;21.11.2026;ja;bad;\"a, \"\"b\"\"\nc\"\n";
    let object = |row: u32, count: Value| {
        json!({ "id": format!("T{row}"), "preis": 19.99, "seit": "21.11.2026", "aktiv": true, "stück": count, "text": "a, \"b\"\nc" })
            .to_string()
    };
    let json = [object(1, json!(5)), object(2, json!("bad")), object(3, json!("bad"))].join("\n");
    for (name, file) in [("sheet", sheet), ("csv", csv.as_bytes().to_vec()), ("json", json.into_bytes())] {
        let stack = Stack::start().await;
        stack.client.put_kind(&schema).await.expect("a kind");
        let new = || NewImport { kind: Some("teile".into()), ..NewImport::default() };
        let first = stack.import_as(new(), &file).await;
        assert_eq!((first.rows.created, first.rows.failed), (1, 2), "{name}");
        let text = stack.rejected(&first).await;
        // One of the two rows is mended, then the other one.
        let once = text.replacen("bad", "6", 1);
        let second = stack.import_as(new(), once.as_bytes()).await;
        assert_eq!((second.rows.created, second.rows.failed), (1, 1), "{name}: {once}");
        let text = stack.rejected(&second).await;
        assert_eq!(text.matches("_errors").count(), 1, "{name}: {text}");
        let place = stack.errors(&first.id).await.into_iter().find(|error| error.row == 3).expect("row 3");
        let told = match name {
            "json" => format!("\"_line\":{},\"_row\":3,", place.line),
            "csv" => format!("\n3;{};", place.line),
            _ => format!("\n3,{},", place.line),
        };
        assert!(text.contains(&told), "{name}: {told} is not in {text}");
        let twice = text.replace("bad", "7");
        let third = stack.import_as(new(), twice.as_bytes()).await;
        assert_eq!((third.rows.created, third.rows.failed), (1, 0), "{name}: {twice}");
        for (row, count) in [(1, 5), (2, 6), (3, 7)] {
            let record = stack.client.record("teile", &format!("T{row}")).await.expect("answers").expect("is there");
            let wanted = json!({ "id": format!("T{row}"), "preis": 19.99, "seit": "2026-11-21", "aktiv": true,
                "stück": count, "text": "a, \"b\"\nc" });
            assert_eq!(record["fields"], wanted, "{name}");
        }
        stack.stop().await;
    }
}
