//! The splitter's records are those of the `csv` crate that say something, on every input, however the input is cut,
//! and whatever the chunks. The line `sep=;`, which is no record, has tests of its own.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_engine::{
    invisible::is_blank,
    split::{Piece, SplitOptions, Splitter},
};
use penstock_model::{Body, Chunk, Grammar};

fn split(options: SplitOptions, file: &[u8], piece_bytes: usize) -> Option<(Vec<u8>, Vec<Chunk>, u64)> {
    let mut splitter = Splitter::new(options);
    let mut pieces = Vec::new();
    for bytes in file.chunks(piece_bytes.max(1)) {
        pieces.extend(splitter.push(bytes).ok()?);
    }
    let (rest, rows) = splitter.finish().ok()?;
    pieces.extend(rest);
    let (mut header, mut chunks) = (Vec::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Header(bytes) => header = bytes,
            Piece::Chunk(chunk, _) => chunks.push(chunk),
        }
    }
    Some((header, chunks, rows))
}

fn records(bytes: &[u8]) -> Vec<csv::ByteRecord> {
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    reader.into_byte_records().map(|record| record.expect("bytes in memory")).collect()
}

/// The records that say something, or whose quote is never closed.
fn saying(bytes: &[u8]) -> Vec<csv::ByteRecord> {
    let mut found = records(bytes);
    let unclosed = if records(&[bytes, b"\nx"].concat()).len() == found.len() { found.pop() } else { None };
    found.retain(|record| !record.iter().all(|cell| std::str::from_utf8(cell).is_ok_and(is_blank)));
    found.extend(unclosed);
    found
}

fuzz_target!(|input: (u8, u8, u8, Vec<u8>)| {
    let (cut, chunk_bytes, chunk_rows, file) = input;
    let options = SplitOptions {
        grammar: Grammar::CSV,
        chunk_bytes: usize::from(chunk_bytes) + 1,
        chunk_rows: u64::from(chunk_rows) + 1,
        record_bytes: usize::MAX,
    };
    if file.windows(4).any(|bytes| bytes.eq_ignore_ascii_case(b"sep=")) {
        return;
    }
    // The crate takes one mark away.
    let marks = file.chunks(3).take_while(|bytes| *bytes == b"\xef\xbb\xbf").count();
    let wanted = saying(&file[3 * marks.saturating_sub(1)..]);
    let Some((header, chunks, rows)) = split(options, &file, usize::from(cut)) else {
        assert_eq!(wanted.len(), 1, "only a header can be unterminated");
        return;
    };
    assert_eq!(rows as usize, wanted.len().saturating_sub(1));
    let mut found = records(&header);
    for chunk in &chunks {
        let bytes = match &chunk.body {
            Body::Rows(bytes) => bytes.as_slice(),
            Body::Refused(_) => &file[chunk.offset as usize..][..chunk.bytes as usize],
        };
        // The reference skips a mark at the start of what it is given; inside the file it is data.
        found.extend(saying(&[b"\n", bytes].concat()));
    }
    assert_eq!(found, wanted);
    assert_eq!(split(options, &file, usize::MAX).map(|(_, chunks, _)| chunks), Some(chunks));
});
