//! Agreement with openpyxl, cell by cell, on what a workbook holds.
//!
//! `tests/openpyxl/generate.py` writes workbooks as odd as XML and the standard allow, and asks openpyxl what is in
//! them; what it wrote is compared here: the file that `PENSTOCK_OPENPYXL` names, or else the committed sample. Any
//! cell that differs fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Cursor, Write},
    ops::ControlFlow,
};

use penstock_engine::{invisible, sheet};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A workbook, and what openpyxl finds in it.
#[derive(Deserialize)]
struct Workbook {
    seed: u64,
    workbook: u64,
    parts: BTreeMap<String, String>,
    utf16: Vec<String>,
    /// Of each sheet the cells: row and column from 0, type, value.
    sheets: BTreeMap<String, Vec<(usize, usize, String, Value)>>,
}

/// Cells by row and column.
type Cells = BTreeMap<(usize, usize), String>;

#[test]
fn openpyxl_and_penstock_agree_on_every_cell() {
    let sample = format!("{}/tests/openpyxl/sample.jsonl", env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var("PENSTOCK_OPENPYXL").unwrap_or(sample);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (mut workbooks, mut cells) = (0u64, 0);
    for line in BufReader::new(file).lines() {
        let workbook: Workbook = serde_json::from_str(&line.expect("text")).expect("a workbook");
        let bytes = archive(&workbook);
        for (name, theirs) in &workbook.sheets {
            let place = format!("seed {}, workbook {}, sheet {name}", workbook.seed, workbook.workbook);
            let theirs: Cells =
                theirs.iter().map(|(row, column, of, value)| ((*row, *column), said(of, value))).collect();
            let (ours, width) = ours(&bytes, name, &place);
            let theirs = without_surplus(theirs, width);
            assert_eq!(without_surplus(ours, width), theirs, "{place}");
            cells += theirs.len();
        }
        workbooks += 1;
    }
    println!("{workbooks} workbooks, {cells} cells, none differs");
    assert!(cells > 500, "{cells} cells are none to speak of");
}

/// The cells but for texts that show nothing where no column is named, and rows of such texts: Penstock drops them, and
/// openpyxl does not.
fn without_surplus(mut cells: Cells, width: usize) -> Cells {
    let saying: BTreeSet<usize> = cells.iter().filter(|(_, said)| !is_blank(said)).map(|((row, _), _)| *row).collect();
    cells.retain(|(row, column), said| !is_blank(said) || (*column < width && saying.contains(row)));
    cells
}

fn is_blank(said: &str) -> bool {
    said.strip_prefix("text ").is_some_and(invisible::is_blank)
}

fn archive(workbook: &Workbook) -> Vec<u8> {
    let method =
        if workbook.workbook.is_multiple_of(5) { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in &workbook.parts {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(name.as_str(), options).expect("in memory");
        let utf16 = || std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let bytes = if workbook.utf16.contains(name) { utf16() } else { text.clone().into_bytes() };
        archive.write_all(&bytes).expect("in memory");
    }
    archive.finish().expect("in memory").into_inner()
}

/// A cell as openpyxl tells of it.
fn said(of: &str, value: &Value) -> String {
    match (of, value) {
        ("text", Value::String(text)) => format!("text {text}"),
        // Beyond 2^53 a workbook's numbers do not tell which of several was meant.
        ("number", Value::String(text)) => match text.parse::<f64>().expect("a number") {
            number if number.fract() == 0.0 && number.abs() > 2f64.powi(53) => "error digits".to_owned(),
            number => fifteen_digits(number),
        },
        ("boolean", value) => format!("boolean {value}"),
        ("date", Value::String(text)) => format!("date {text}"),
        ("error", Value::String(text)) => format!("error {text}"),
        _ => panic!("{of}: {value}"),
    }
}

/// A number with the digits that Excel keeps.
fn fifteen_digits(number: f64) -> String {
    format!("number {:.14e}", number + 0.0)
}

/// The cells of a sheet as Penstock reads them, but for what openpyxl does not tell from nothing, and the columns of
/// its first row.
fn ours(bytes: &[u8], name: &str, place: &str) -> (Cells, usize) {
    let mut text = Vec::new();
    let read = sheet::each_row(Cursor::new(bytes), Some(name), 1, &mut |piece| {
        text.extend(piece);
        ControlFlow::Continue(())
    });
    read.unwrap_or_else(|failure| panic!("{place}: {failure:?}"));
    let text = String::from_utf8(text).expect("text");
    let (mut cells, mut width) = (Cells::new(), None);
    for (row, line) in text.split('\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let row_cells: Vec<&RawValue> = serde_json::from_str(line).unwrap_or_else(|error| panic!("{place}: {error}"));
        width.get_or_insert(row_cells.len());
        for (column, cell) in row_cells.into_iter().map(RawValue::get).enumerate() {
            if let Ok(number) = cell.parse() {
                cells.insert((row, column), fifteen_digits(number));
                continue;
            }
            let said = match serde_json::from_str(cell).expect("JSON") {
                Value::Null => continue,
                Value::String(text) if text.is_empty() => continue,
                Value::String(text) => format!("text {text}"),
                Value::Bool(boolean) => format!("boolean {boolean}"),
                Value::Object(tagged) => match tagged.iter().next() {
                    Some((_, Value::String(text))) if text == "a formula without a stored value" => continue,
                    // As openpyxl calls it.
                    Some((_, Value::String(text))) if text == "a date that Excel's calendar does not have" => {
                        "error #VALUE!".to_owned()
                    }
                    Some((_, Value::String(text))) if text.starts_with("a number of more digits") => {
                        "error digits".to_owned()
                    }
                    Some((tag, Value::String(text))) => format!("{tag} {text}"),
                    _ => panic!("{place}: {cell}"),
                },
                Value::Number(_) | Value::Array(_) => panic!("{place}: {cell}"),
            };
            cells.insert((row, column), said);
        }
    }
    (cells, width.unwrap_or_default())
}
