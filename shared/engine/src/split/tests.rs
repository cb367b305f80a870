mod json;

use proptest::{prelude::*, test_runner::TestCaseError};

use super::*;

const SMALL: SplitOptions =
    SplitOptions { grammar: Grammar::CSV, chunk_bytes: 24, chunk_rows: 3, record_bytes: 40, held_bytes: 0 };

fn split(options: SplitOptions, file: &[u8], piece_bytes: usize) -> Result<(Vec<Piece>, u64), SplitError> {
    let mut splitter = Splitter::new(options);
    let mut pieces = Vec::new();
    for part in file.chunks(piece_bytes.max(1)) {
        pieces.extend(splitter.push(part)?);
    }
    let (rest, rows) = splitter.finish()?;
    pieces.extend(rest);
    Ok((pieces, rows))
}

fn chunks(pieces: &[Piece]) -> Vec<&Chunk> {
    pieces.iter().filter_map(|piece| if let Piece::Chunk(chunk, _) = piece { Some(chunk) } else { None }).collect()
}

/// Splits a file in two goes, the second from the checkpoint of the last chunk of the first, and compares with one go.
fn resumed(options: SplitOptions, file: &[u8], stop: usize, cut: usize) -> Result<(), TestCaseError> {
    let Ok((whole, rows)) = split(options, file, usize::MAX) else { return Ok(()) };
    let mut pieces = Vec::new();
    let mut first = Splitter::new(options);
    for part in file[..stop.min(file.len())].chunks(cut) {
        pieces.extend(first.push(part).expect("the whole file is fine"));
    }
    let Some(Piece::Chunk(_, checkpoint)) = pieces.last().cloned() else { return Ok(()) };
    let mut second = Splitter::resume(options, checkpoint);
    for part in file[checkpoint.offset as usize..].chunks(cut) {
        pieces.extend(second.push(part).expect("the whole file is fine"));
    }
    let (rest, resumed_rows) = second.finish().expect("the whole file is fine");
    pieces.extend(rest);
    prop_assert_eq!(pieces, whole);
    prop_assert_eq!(resumed_rows, rows);
    Ok(())
}

/// The records of the `csv` crate that say something, the header among them.
fn oracle(file: &[u8]) -> Vec<csv::ByteRecord> {
    let mut records = all_records(file);
    // A quote that is never closed says that something is wrong.
    let kept = if all_records(&[file, b"\nx"].concat()).len() == records.len() { records.pop() } else { None };
    let is_blank = |cell: &[u8]| String::from_utf8_lossy(cell).chars().all(crate::invisible::is_invisible);
    records.retain(|record| !record.iter().all(is_blank));
    records.extend(kept);
    records
}

fn all_records(file: &[u8]) -> Vec<csv::ByteRecord> {
    // The crate skips one mark.
    let marks = file.chunks(3).take_while(|bytes| *bytes == BYTE_ORDER_MARK).count();
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(&file[3 * marks.saturating_sub(1)..])
        .into_byte_records()
        .map(|record| record.expect("bytes in memory are always records"))
        .collect()
}

/// Files made of what matters: quotes at every kind of place, every terminator, delimiters, marks and plain bytes.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just(b"\"".to_vec()), 4 => Just(b",".to_vec()), 3 => Just(b"\n".to_vec()), 2 => Just(b"\r".to_vec()),
        2 => Just(b"\r\n".to_vec()), 4 => Just(b"a".to_vec()), 1 => Just(b" ".to_vec()), 1 => Just("\u{a0}".into()), 1 => Just(b"\"\"".to_vec()), 1 => Just(b"12\" wide".to_vec()),
        1 => Just(b"\"x\ny\"".to_vec()), 1 => Just(b"\xef\xbb\xbf".to_vec()), 1 => Just(b"\0\xff;".to_vec()),
    ];
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(crate::cases(4000))]

    #[test]
    fn boundaries_equal_those_of_the_csv_crate(file in files(), cut in 1usize..40) {
        let one_by_one = SplitOptions { chunk_rows: 1, record_bytes: usize::MAX, ..SMALL };
        let records = oracle(&file);
        match split(one_by_one, &file, cut) {
            Err(error) => {
                let unterminated = matches!(error, SplitError::HeaderUnterminated { .. });
                prop_assert!(unterminated && records.len() == 1)
            },
            Ok((pieces, rows)) => {
                prop_assert_eq!(rows as usize, records.len().saturating_sub(1));
                prop_assert_eq!(pieces.len(), records.len());
                for (piece, record) in pieces.iter().zip(&records) {
                    let bytes = match piece {
                        Piece::Header(header) => header.as_slice(),
                        Piece::Chunk(chunk, _) => &file[chunk.offset as usize..][..chunk.bytes as usize],
                    };
                    // A mark is skipped at the start of the file alone; the reference would skip it at the start of
                    // every piece.
                    let alone = if bytes.starts_with(BYTE_ORDER_MARK) { oracle(&[b"\n", bytes].concat()) } else { oracle(bytes) };
                    prop_assert_eq!(&alone, &vec![record.clone()]);
                }
            }
        }
    }

    #[test]
    fn chunks_depend_on_the_bytes_alone(file in files(), cut in 1usize..40) {
        let whole = split(SMALL, &file, usize::MAX);
        prop_assert_eq!(split(SMALL, &file, cut), whole.clone());
        prop_assert_eq!(split(SMALL, &file, 1), whole);
    }

    #[test]
    fn every_chunk_knows_its_place(file in files()) {
        let Ok((pieces, rows)) = split(SMALL, &file, 7) else { return Ok(()) };
        let mut row = 1;
        for (index, chunk) in chunks(&pieces).into_iter().enumerate() {
            prop_assert_eq!(chunk.index as usize, index);
            prop_assert_eq!(chunk.first_row, row);
            let (before, here) = (&file[..chunk.offset as usize], &file[chunk.offset as usize..][..chunk.bytes as usize]);
            prop_assert!(!before.ends_with(b"\r") || !here.starts_with(b"\n"));
            prop_assert_eq!(chunk.first_line, 1 + lines::ended_in(before));
            if let Body::Rows(bytes) = &chunk.body {
                prop_assert_eq!(bytes.as_slice(), here);
                prop_assert!(chunk.rows == 1 || bytes.len() <= SMALL.chunk_bytes);
                prop_assert!(bytes.len() <= SMALL.chunk_bytes.max(SMALL.record_bytes) && chunk.rows <= SMALL.chunk_rows);
            }
            row += chunk.rows;
        }
        prop_assert_eq!(rows, row - 1);
    }

    #[test]
    fn what_is_held_of_refused_records_changes_no_chunk(file in files(), repeat in 1usize..4, cut in 1usize..40) {
        let file = file.repeat(repeat);
        let (plain, held) = (split(SMALL, &file, cut), split(SMALL.holding(90), &file, cut));
        let (Ok((plain, rows)), Ok((held, rows_too))) = (&plain, &held) else {
            prop_assert_eq!(plain, held);
            return Ok(());
        };
        prop_assert_eq!((rows, plain.len()), (rows_too, held.len()));
        for (plain, held) in plain.iter().zip(held) {
            let (Piece::Chunk(chunk, next), Piece::Chunk(held, next_too)) = (plain, held) else {
                prop_assert_eq!(plain, held);
                continue;
            };
            prop_assert_eq!(next, next_too);
            let body = match &chunk.body {
                Body::Refused(RecordFlaw::TooLarge) if chunk.bytes <= 90 => {
                    Body::Rows(file[chunk.offset as usize..][..chunk.bytes as usize].to_vec())
                }
                body => body.clone(),
            };
            prop_assert_eq!(&Chunk { body, ..chunk.clone() }, held);
        }
    }

    #[test]
    fn a_splitter_resumed_anywhere_goes_on_as_if_it_had_not_stopped(file in files(), stop in 0usize..200, cut in 1usize..20) {
        resumed(SMALL, &file, stop, cut)?;
    }

    #[test]
    fn memory_is_bounded_whatever_the_file(file in files(), repeat in 1usize..40) {
        for options in [SMALL, SMALL.holding(90)] {
            let mut splitter = Splitter::new(options);
            for part in file.repeat(repeat).chunks(16) {
                if splitter.push(part).is_err() {
                    return Ok(());
                }
                prop_assert!(splitter.buffer.len() <= options.chunk_bytes + options.most_bytes() + 3 * 16);
            }
        }
    }
}

#[test]
fn rows_that_say_nothing_have_no_number_and_keep_their_lines() {
    let file = b"\n , \nh,i\n\na,1\n,\n\"\n\",\"\"\n\xc2\xa0,\xef\xbb\xbf\r\nb,2\n,\nc,3\nd,4\n ,";
    for cut in [1, 2, 7, 1000] {
        let (pieces, rows) = split(SMALL, file, cut).expect("a header");
        assert_eq!(pieces[0], Piece::Header(b"h,i\n".to_vec()));
        let chunks = chunks(&pieces);
        let places: Vec<_> = chunks.iter().map(|chunk| (chunk.first_row, chunk.rows, chunk.first_line)).collect();
        assert_eq!((rows, places), (4, vec![(1, 1, 5), (2, 3, 10)]), "{cut}");
        assert_eq!(chunks[1].body, Body::Rows(b"b,2\n,\nc,3\nd,4\n".to_vec()));
    }
    let long = format!("h\n{}\na\n", ",".repeat(50));
    let (pieces, rows) = split(SMALL, long.as_bytes(), 7).expect("a header");
    assert_eq!((rows, &chunks(&pieces)[0].body), (2, &Body::Refused(RecordFlaw::TooLarge)));
}

#[test]
fn the_line_that_tells_the_delimiter_is_no_row() {
    for told in ["sep=,\r\n", "\u{feff}sep=;\n", "\u{feff}\u{feff}SEP=|\r", "\n,\n sep=\t\n", "sep=\\t\n"] {
        let file = format!("{told}h,i\nsep=,\n");
        for cut in [1, 3, 100] {
            let (pieces, rows) = split(SMALL, file.as_bytes(), cut).expect("a header");
            assert_eq!((&pieces[0], rows), (&Piece::Header(b"h,i\n".to_vec()), 1), "{told:?}");
            let lines = 1 + lines::ended_in(told.as_bytes());
            assert_eq!(chunks(&pieces)[0].first_line, lines + 1, "{told:?}");
        }
    }
    for header in ["sep=\n", "sep=a\n", "sep=;;\n", "separator\n", "\"sep=;\"\n", "sep\n"] {
        let (pieces, _) = split(SMALL, format!("{header}a\n").as_bytes(), 5).expect("a header");
        assert_eq!(pieces[0], Piece::Header(header.as_bytes().to_vec()));
    }
}

/// Splits as [`split`] does, with options.
fn split_with(reading: &ReadOptions, file: &[u8], cut: usize) -> Result<(Vec<Piece>, u64), SplitError> {
    let mut splitter = Splitter::new(SMALL).with(reading);
    let mut pieces = Vec::new();
    for part in file.chunks(cut) {
        pieces.extend(splitter.push(part)?);
        assert!(splitter.buffer.len() <= SMALL.chunk_bytes + SMALL.record_bytes + 3 * cut.max(16));
    }
    let (rest, rows) = splitter.finish()?;
    pieces.extend(rest);
    Ok((pieces, rows))
}

#[test]
fn what_stands_above_the_header_is_not_read() {
    let above = format!("\u{feff}Prices \"2024\r\nx{};;\r\n\n", "x".repeat(100));
    let file = format!("{above}\n,\nsku,\"na\nme\"\na,b\n");
    for (line, cut) in [(3, 1), (4, 3), (4, 7), (5, 1), (6, 1000)] {
        let reading = ReadOptions { header_line: Some(line), ..ReadOptions::default() };
        let (pieces, rows) = split_with(&reading, file.as_bytes(), cut).expect("a header");
        assert_eq!((rows, chunks(&pieces)[0].first_line), (1, 8), "{line} {cut}");
        assert_eq!(pieces[0], Piece::Header(b"sku,\"na\nme\"\n".to_vec()), "{line} {cut}");
    }
    let beyond = ReadOptions { header_line: Some(20), ..ReadOptions::default() };
    assert_eq!(split_with(&beyond, file.as_bytes(), 5), Ok((vec![], 0)));
    let open = ReadOptions { header_line: Some(2), ..ReadOptions::default() };
    assert_eq!(split_with(&open, b"a\r\n\"b\r\n", 1), Err(SplitError::HeaderUnterminated { opened_line: 2 }));
}

#[test]
fn comments_are_no_records_and_keep_their_lines() {
    let file = b"# \"a\nh,i\n#\n#,,\"\r\n\na,\"\n#b\"\r#c\rx,#\n # d,\n#";
    let reading = ReadOptions { comment: Some('#'), ..ReadOptions::default() };
    for cut in [1, 2, 5, 1000] {
        let (pieces, rows) = split_with(&reading, file, cut).expect("a header");
        let places: Vec<_> =
            chunks(&pieces).iter().map(|chunk| (chunk.first_row, chunk.rows, chunk.first_line)).collect();
        assert_eq!((rows, places), (3, vec![(1, 3, 6)]), "{cut}");
    }
}

#[test]
fn an_escape_makes_the_next_byte_of_a_quoted_cell_data() {
    let file = b"h,i\n\"24\\\" wide\",1\n\"a\\\\\",2\n\"b\\\n\\\"\",\\\n\\\",3\nlast,\"\\";
    let reading = ReadOptions { escape: Some('\\'), ..ReadOptions::default() };
    for cut in [1, 2, 5, 1000] {
        let (pieces, rows) = split_with(&reading, file, cut).expect("a header");
        let places: Vec<_> =
            chunks(&pieces).iter().map(|chunk| (chunk.first_row, chunk.rows, chunk.first_line)).collect();
        assert_eq!((rows, places.last()), (5, Some(&(5, 1, 7))), "{cut} {places:?}");
        let last = chunks(&pieces).pop().map(|chunk| chunk.body.clone());
        assert_eq!(last, Some(Body::Refused(RecordFlaw::UnterminatedQuote { opened_line: 7 })));
    }
}

#[test]
fn a_record_over_the_limit_is_refused_by_itself_and_the_file_goes_on() {
    let long = "x".repeat(50);
    let file = format!("h\na\n\"{long}\n,\"\nb\n");
    let (pieces, rows) = split(SMALL, file.as_bytes(), 5).expect("a header");
    let chunks = chunks(&pieces);
    assert_eq!(rows, 3);
    assert_eq!(chunks[1].body, Body::Refused(RecordFlaw::TooLarge));
    assert_eq!((chunks[1].first_row, chunks[1].first_line, chunks[1].bytes), (2, 3, 55));
    assert_eq!((chunks[2].first_row, chunks[2].first_line), (3, 5));
    assert_eq!(chunks[2].body, Body::Rows(b"b\n".to_vec()));
}

#[test]
fn an_unterminated_quote_names_the_line_where_it_opened() {
    for length in [3, 300] {
        let file = format!("h,i\na,b\nc\n\n\"d\n\",\"{}\n\n", "x\n".repeat(length));
        for cut in [1, 7, 10_000] {
            let (pieces, rows) = split(SMALL, file.as_bytes(), cut).expect("a header");
            let last = chunks(&pieces).pop().expect("a chunk");
            assert_eq!(last.body, Body::Refused(RecordFlaw::UnterminatedQuote { opened_line: 6 }), "{length} {cut}");
            assert_eq!((last.first_row, last.first_line, rows), (3, 5, 3));
            assert_eq!(last.offset + last.bytes, file.len() as u64);
        }
    }
    assert_eq!(split(SMALL, b"\n\"h\n", 2), Err(SplitError::HeaderUnterminated { opened_line: 2 }));
}

#[test]
fn a_header_over_the_limit_is_refused() {
    let refused = Err(SplitError::HeaderTooLarge { limit: 40 });
    assert_eq!(split(SMALL, "h".repeat(60).as_bytes(), 7), refused);
    assert_eq!(split(SMALL, "\n".repeat(60).as_bytes(), 7), refused);
}

#[test]
fn a_file_without_records_has_no_chunks() {
    assert_eq!(split(SMALL, b"", 1), Ok((vec![], 0)));
    assert_eq!(split(SMALL, b"\xef\xbb\xbf", 1), Ok((vec![], 0)));
    assert_eq!(split(SMALL, b"h\n\n\n", 1), Ok((vec![Piece::Header(b"h\n".to_vec())], 0)));
}

#[test]
fn blank_rows_take_no_memory_wherever_the_file_is_cut() {
    let headers = ["\"\r\" \"\r", "h,i\n", "h,i\nb\n", "h,i\nb\nc\n"];
    let rows = ["\" \"\r", ",\n", "\" \",\r\n", "\n", " \n,\n"];
    for (header, row) in headers.iter().flat_map(|header| rows.map(|row| (*header, row))) {
        let file = header.to_owned() + &row.repeat(500) + "a\n";
        for cut in 1..=20 {
            let mut splitter = Splitter::new(SMALL);
            for part in file.as_bytes().chunks(cut) {
                splitter.push(part).expect("a header");
                let most = SMALL.chunk_bytes + SMALL.record_bytes + 2 * cut;
                assert!(splitter.buffer.len() <= most, "{row:?} by {cut}: {}", splitter.buffer.len());
            }
            let (pieces, rows) = split(SMALL, file.as_bytes(), cut).expect("a header");
            let whole = split(SMALL, file.as_bytes(), usize::MAX).expect("a header");
            assert_eq!((&pieces, rows), (&whole.0, whole.1), "{row:?} by {cut}");
        }
    }
}
