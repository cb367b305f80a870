//! What is printed is so: the limits that `shared/model/LIMITS.md` prints are those of the code, and the code keeps to
//! them.
//!
//! What a client sees of a limit is in `bad_input.rs` and `api.rs`, limit by limit.

mod support;

use std::collections::BTreeMap;

use penstock_api::limits as api;
use penstock_engine::split::{Piece, SplitOptions, Splitter};
use penstock_model::{Chunk, Chunking, Decimal, Grammar, Status, limits};
use penstock_store::rate::{API_NAMES, RateLimits, What};
use support::{Stack, adds_up};

const PRINTED: &str = include_str!("../shared/model/LIMITS.md");

/// Every limit that has to be printed: the constant, its value in the printed unit, and that unit.
fn printed() -> BTreeMap<&'static str, (u64, &'static str)> {
    BTreeMap::from([
        ("UPLOAD_BYTES", (limits::UPLOAD_BYTES, "bytes")),
        ("RECORD_BYTES", (limits::RECORD_BYTES as u64, "bytes")),
        ("HEADER_BYTES", (limits::HEADER_BYTES as u64, "bytes")),
        ("COLUMNS", (limits::COLUMNS as u64, "")),
        ("RECORD_ITEM_BYTES", (limits::RECORD_ITEM_BYTES as u64, "bytes")),
        ("Decimal::DIGITS", (Decimal::DIGITS as u64, "digits")),
        ("NESTING", (limits::NESTING as u64, "levels")),
        ("CELL_ERRORS", (limits::CELL_ERRORS as u64, "")),
        ("UPLOAD_TTL_SECONDS", (limits::UPLOAD_TTL_SECONDS, "seconds")),
        ("EXPIRY_GRACE_MS", (limits::EXPIRY_GRACE_MS as u64 / 1000, "seconds")),
        ("IDEMPOTENCY_MS", (limits::IDEMPOTENCY_MS as u64 / 3_600_000, "hours")),
        ("SCHEMA_PATTERNS", (limits::SCHEMA_PATTERNS as u64, "")),
        ("SCHEMA_DERIVED", (limits::SCHEMA_DERIVED as u64, "")),
        ("DERIVED_STEPS", (limits::DERIVED_STEPS as u64, "fields")),
        ("DETECT_BYTES", (limits::DETECT_BYTES as u64, "bytes")),
        ("UNPACKED_RATIO", (limits::UNPACKED_RATIO, "times")),
        ("UNPACKED_LEAST_BYTES", (limits::UNPACKED_LEAST_BYTES, "bytes")),
        ("UNPACKED_BYTES", (limits::UNPACKED_BYTES, "bytes")),
        ("WORKBOOK_BYTES", (limits::WORKBOOK_BYTES, "bytes")),
        ("WORKBOOK_UNPACKED_BYTES", (limits::WORKBOOK_UNPACKED_BYTES, "bytes")),
        ("WORKBOOK_PART_BYTES", (limits::WORKBOOK_PART_BYTES, "bytes")),
        ("WORKBOOK_TEXT_BYTES", (limits::WORKBOOK_TEXT_BYTES as u64, "bytes")),
        ("SHEET_ROWS", (limits::SHEET_ROWS.into(), "rows")),
        ("PREVIEW_BYTES", (limits::PREVIEW_BYTES as u64, "bytes")),
        ("REQUEST_BYTES", (limits::REQUEST_BYTES as u64, "bytes")),
        ("PAGE_DEFAULT", (limits::PAGE_DEFAULT as u64, "items")),
        ("PAGE_MAX", (limits::PAGE_MAX as u64, "at most")),
        ("ABORT_ROWS", (limits::ABORT_ROWS, "rows")),
        ("ERROR_VALUE_CHARS", (limits::ERROR_VALUE_CHARS as u64, "characters")),
        ("CHUNK_BYTES", (limits::CHUNK_BYTES as u64, "bytes")),
        ("CHUNK_ROWS", (limits::CHUNK_ROWS, "rows")),
        ("BLOCK_CHUNKS", (limits::BLOCK_CHUNKS.into(), "")),
        ("MESSAGE_BYTES", (limits::MESSAGE_BYTES as u64, "bytes")),
        ("ITEM_BYTES", (limits::ITEM_BYTES as u64, "bytes")),
        ("ERROR_PART_BYTES", (limits::ERROR_PART_BYTES as u64, "bytes")),
        ("REMEMBERED_KEYS", (limits::REMEMBERED_KEYS as u64, "")),
        ("LISTED_REPEATS", (limits::LISTED_REPEATS as u64, "")),
        ("ALGURE_FEED_BYTES", (api::ALGURE_FEED_BYTES, "bytes")),
        ("CONNECTIF_FILE_BYTES", (api::CONNECTIF_FILE_BYTES, "bytes")),
        ("CONNECTIF_UNFINISHED", (api::CONNECTIF_UNFINISHED as u64, "unfinished")),
        ("BETTER_DATA_BODY_BYTES", (api::BETTER_DATA_BODY_BYTES, "bytes")),
        ("QUOTIZA_BODY_BYTES", (api::QUOTIZA_BODY_BYTES, "bytes")),
        ("QUOTIZA_PRODUCTS", (api::QUOTIZA_PRODUCTS as u64, "products")),
        ("SHOWN_ERRORS", (api::SHOWN_ERRORS as u64, "")),
        ("FORM_PARTS", (api::FORM_PARTS as u64, "parts")),
        ("FORM_TEXT_BYTES", (api::FORM_TEXT_BYTES as u64, "bytes")),
        ("LAMBDA_BODY_BYTES", (api::LAMBDA_BODY_BYTES, "bytes")),
    ])
}

/// The rows of every table of limits: limit, value, constant.
fn rows() -> Vec<[&'static str; 3]> {
    let cells = |line: &'static str| -> [&str; 3] {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("three columns: {cells:?}"))
    };
    let tables = PRINTED.split("\n## ").skip(1).map(|section| section.lines().filter(|line| line.starts_with('|')));
    let mut rows = Vec::new();
    for mut table in tables {
        // The last section, on rate limits, has none.
        let Some(head) = table.next() else { continue };
        assert_eq!(cells(head), ["limit", "value", "constant"]);
        assert_eq!(table.next().map(cells), Some(["---", "---", "---"]));
        rows.extend(table.map(cells));
    }
    rows
}

/// The numbers in a text, commas between digits left out, each with what follows it.
fn numbers(text: &str) -> Vec<(u64, String)> {
    let text: Vec<char> = text.chars().collect();
    let mut found: Vec<(u64, String)> = Vec::new();
    for (at, &c) in text.iter().enumerate() {
        let digit = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
        let in_number = at > 0 && (digit(at - 1) || (text[at - 1] == ',' && at > 1 && digit(at - 2)));
        match (c.to_digit(10), found.last_mut()) {
            (Some(digit), Some((number, _))) if in_number => *number = *number * 10 + u64::from(digit),
            (Some(digit), _) => found.push((digit.into(), String::new())),
            (None, Some((_, rest))) if !(c == ',' && in_number && digit(at + 1)) => rest.push(c),
            _ => {}
        }
    }
    found
}

#[test]
fn numbers_are_read_with_what_follows_them() {
    let read = |text| numbers(text).into_iter().map(|(number, rest)| format!("{number}{rest}")).collect::<Vec<_>>();
    assert_eq!(read("5,368,709,120 bytes"), ["5368709120 bytes"]);
    assert_eq!(read("at 262,144 bytes, 4,096 rows"), ["262144 bytes, ", "4096 rows"]);
    assert!(read("none").is_empty());
}

#[test]
fn every_limit_is_printed_as_the_code_has_it() {
    let mut wanted = printed();
    for [limit, value, place] in rows() {
        let constants: Vec<&str> = place.split('`').skip(1).step_by(2).collect();
        let numbers = numbers(value);
        assert_eq!(constants.len(), numbers.len(), "{limit}: {value} | {place}");
        for (constant, (number, rest)) in constants.into_iter().zip(numbers) {
            let (is, unit) =
                wanted.remove(constant).unwrap_or_else(|| panic!("{limit}: {constant} is no limit, or twice"));
            assert_eq!(number, is, "{limit}: {constant}");
            assert!(rest.contains(unit), "{limit}: {constant} is in {unit:?}, not {rest:?}");
        }
    }
    assert!(wanted.is_empty(), "not printed: {wanted:?}");
}

#[test]
fn the_rate_limits_that_are_on_by_default_are_printed() {
    let limits = &RateLimits::default();
    let of = |api| [What::Imports, What::All].into_iter().flat_map(move |what| limits.of(api, what));
    let shown: Vec<String> = API_NAMES
        .into_iter()
        .flat_map(of)
        .map(|(name, _, rate)| format!("{name}={}/{}", rate.limit, rate.seconds))
        .collect();
    assert!(PRINTED.contains(&format!("`{}`", shown.join(","))), "{shown:?}");
    assert!(API_NAMES.iter().all(|api| PRINTED.contains(&format!("`{api}`"))));
}

fn chunks(file: &[u8]) -> Vec<Chunk> {
    let mut splitter = Splitter::new(SplitOptions::new(Grammar::CSV, &Chunking::default()));
    let mut pieces = splitter.push(file).expect("a header");
    pieces.extend(splitter.finish().expect("a header").0);
    let chunks = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Chunk(chunk, _) => Some(chunk),
        Piece::Header(_) => None,
    });
    chunks.collect()
}

#[test]
fn chunks_are_as_large_as_they_may_be_and_no_larger() {
    let short = chunks(&[b"h\n".to_vec(), b"r\n".repeat(10_000)].concat());
    assert_eq!(
        short.iter().map(|chunk| chunk.rows).collect::<Vec<_>>(),
        [limits::CHUNK_ROWS, limits::CHUNK_ROWS, 10_000 - 2 * limits::CHUNK_ROWS]
    );
    let row = [vec![b'x'; 1023], b"\n".to_vec()].concat();
    let long = chunks(&[b"h\n".to_vec(), row.repeat(300)].concat());
    assert_eq!(
        long.iter().map(|chunk| chunk.bytes).collect::<Vec<_>>(),
        [limits::CHUNK_BYTES as u64, 300 * 1024 - limits::CHUNK_BYTES as u64]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_as_many_columns_as_there_may_be_is_imported() {
    let more: String = (0..limits::COLUMNS - 3).map(|column| format!(",c{column}")).collect();
    let cells = ",x".repeat(limits::COLUMNS - 3);
    let stack = Stack::start().await;
    let import = stack.import(format!("sku,name,brand{more}\nA,a,b{cells}\n").as_bytes()).await;
    adds_up(&import);
    assert_eq!((import.status, import.rows.created), (Status::Completed, 1), "{:?}", import.failure);
    assert_eq!(import.ignored_columns.len(), limits::COLUMNS - 3);
    stack.stop().await;
}
