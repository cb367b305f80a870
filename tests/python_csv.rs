//! Agreement with Python's csv module, cell by cell, on what a delimited file holds.
//!
//! `tests/python_csv/generate.py` writes files as odd as people send them, and asks Python what is in them; what it
//! wrote is compared here: the file that `PENSTOCK_PYTHON_CSV` names, or else the committed sample. Any cell that
//! differs fails. What differs on purpose is listed there.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

use penstock_engine::{
    header, lines,
    rows::{self, Content, Syntax},
    split::{Piece, SplitOptions, Splitter},
};
use penstock_model::{Body, Chunking, Grammar, ReadOptions, RecordFlaw};
use serde::Deserialize;

/// A file, how it is read, and what Python finds in it.
#[derive(Deserialize)]
struct Delimited {
    seed: u64,
    file: u64,
    text: String,
    delimiter: char,
    quoting: bool,
    escape: Option<char>,
    header_line: Option<u64>,
    records: Vec<Vec<String>>,
}

#[test]
fn python_and_penstock_agree_on_every_cell() {
    let sample = format!("{}/tests/python_csv/sample.jsonl", env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var("PENSTOCK_PYTHON_CSV").unwrap_or(sample);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (mut files, mut cells, mut unclosed) = (0u64, 0, 0);
    for line in BufReader::new(file).lines() {
        let delimited: Delimited = serde_json::from_str(&line.expect("text")).expect("a file");
        let (ours, is_unclosed) = ours(&delimited);
        let mut theirs = theirs(&delimited);
        if is_unclosed {
            theirs.truncate(ours.len());
            unclosed += 1;
        }
        assert_eq!(ours, theirs, "seed {}, file {}: {:?}", delimited.seed, delimited.file, delimited.text);
        cells += ours.iter().map(Vec::len).sum::<usize>();
        files += 1;
    }
    println!("{files} files, {cells} cells, none differs; {unclosed} files end in a quote that is never closed");
    assert!(cells > 5000 && unclosed * 2 < files, "{cells} cells of {files} files are none to speak of");
}

/// The records as Penstock reads them, the header first, and whether the last one is left out since its quote is never
/// closed.
fn ours(delimited: &Delimited) -> (Vec<Vec<String>>, bool) {
    let grammar = Grammar::Delimited { delimiter: delimited.delimiter as u8, quoting: delimited.quoting };
    let reading =
        ReadOptions { escape: delimited.escape, header_line: delimited.header_line, ..ReadOptions::default() };
    // Small pieces and chunks, so that both end anywhere.
    let chunking = Chunking { bytes: 60, ..Chunking::default() };
    let mut splitter = Splitter::new(SplitOptions::new(grammar, &chunking)).with(&reading);
    let mut pieces = Vec::new();
    let mut push = || {
        for bytes in delimited.text.as_bytes().chunks(1 + delimited.file as usize % 50) {
            pieces.extend(splitter.push(bytes)?);
        }
        pieces.extend(splitter.finish()?.0);
        Ok::<_, penstock_engine::split::SplitError>(())
    };
    let mut is_unclosed = push().is_err();
    let (mut records, form) = (Vec::new(), Syntax::of(grammar, &reading));
    let mut row = 1;
    for piece in pieces {
        match piece {
            Piece::Header(bytes) => records.push(header::columns(&bytes, form).expect("a header")),
            Piece::Chunk(chunk, _) => match &chunk.body {
                Body::Rows(bytes) => {
                    let text = &delimited.text.as_bytes()[..chunk.offset as usize];
                    assert_eq!((chunk.first_row, chunk.first_line), (row, 1 + lines::ended_in(text)));
                    rows::for_each_record(form, chunk.first_row, chunk.first_line, bytes, |record| {
                        let Content::Cells(cells) = record.content else { panic!("cells") };
                        let text = |cell: &[u8]| String::from_utf8(cell.to_vec()).expect("text");
                        records.push(cells.iter().map(text).collect());
                        assert_eq!(record.row, row);
                        row += 1;
                    });
                }
                Body::Refused(RecordFlaw::UnterminatedQuote { .. }) => is_unclosed = true,
                Body::Refused(refusal) => panic!("{refusal:?}"),
            },
        }
    }
    (records, is_unclosed)
}

/// The records as Python reads them, but for what differs on purpose.
fn theirs(delimited: &Delimited) -> Vec<Vec<String>> {
    let is_blank = |record: &Vec<String>| record.iter().all(|cell| cell.chars().all(is_invisible));
    let mut records: Vec<Vec<String>> = delimited.records.iter().filter(|record| !is_blank(record)).cloned().collect();
    let told = format!("sep={}", delimited.delimiter);
    if records.first().is_some_and(|first| first.join(&delimited.delimiter.to_string()) == told) {
        records.remove(0);
    }
    for cell in records.iter_mut().flatten() {
        if let Some(text) = unwrapped(cell) {
            *cell = text;
        }
    }
    for name in records.first_mut().into_iter().flatten() {
        *name = name.trim_matches(is_invisible).to_owned();
    }
    records
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}')
}

/// The text of a formula that is nothing but a text, and spaces behind it.
fn unwrapped(cell: &str) -> Option<String> {
    let cell = if cell.ends_with(' ') { cell.trim_end_matches(|c: char| c.is_ascii_whitespace()) } else { cell };
    let text = cell.strip_prefix("=\"")?.strip_suffix('"')?;
    let single = text.replace("\"\"", "\0");
    (!single.contains('"')).then(|| single.replace('\0', "\""))
}
