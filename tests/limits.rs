//! What is printed is so: the limits that `shared/model/LIMITS.md` prints are those of the code, and the code keeps to
//! them.
//!
//! What a client sees of a limit is in `bad_input.rs` and `api.rs`, limit by limit.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use penstock_api::{DIALECTS, Requests, rate_limits};
use penstock_engine::split::{Piece, SplitOptions, Splitter};
use penstock_model::{Chunk, Chunking, Decimal, Grammar, Status, limits};

use crate::support::{Stack, adds_up};

const PRINTED: &str = include_str!("../shared/model/LIMITS.md");

/// The file in which every bound stands.
const LIMITS: &str = include_str!("../shared/model/src/limits.rs");

/// A limit that has to be printed: its value, and the unit that its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit {
    value: u64,
    unit: Unit,
}

/// What a limit counts, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Milliseconds,
    Anything,
}

impl Limit {
    fn new(name: &str, value: u64) -> Self {
        let unit = match name.rsplit('_').next() {
            Some("BYTES") => Unit::Bytes,
            Some("MS" | "SECONDS") => Unit::Milliseconds,
            _ => Unit::Anything,
        };
        Self { value: if name.ends_with("_SECONDS") { value * 1000 } else { value }, unit }
    }

    /// Whether a number with what follows it says this limit.
    fn is_said_by(self, number: u64, rest: &str) -> bool {
        let times = |unit: &str, ms: u64| rest.trim_start().starts_with(unit).then_some(ms);
        match self.unit {
            Unit::Bytes => number == self.value && rest.trim_start().starts_with("bytes"),
            Unit::Milliseconds => {
                let unit_ms = times("seconds", 1000).or(times("minutes", 60_000)).or(times("hours", 3_600_000));
                unit_ms.is_some_and(|ms| number * ms == self.value)
            }
            Unit::Anything => number == self.value,
        }
    }
}

/// The constants of a file of limits, each a product of numbers.
fn constants(source: &str) -> BTreeMap<&str, Limit> {
    let mut limits = BTreeMap::new();
    for line in source.lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let (name, rest) = line.split_once(':').unwrap_or_else(|| panic!("no type: {line}"));
        let (_, value) = rest.split_once('=').unwrap_or_else(|| panic!("{name} has no value on its line"));
        let factor = |factor: &str| factor.trim().replace('_', "").parse::<u64>();
        let factors: Result<Vec<u64>, _> = value.trim_end_matches(';').split('*').map(factor).collect();
        let factors = factors.unwrap_or_else(|_| panic!("{name} is no product of numbers:{value}"));
        limits.insert(name, Limit::new(name, factors.into_iter().product()));
    }
    limits
}

/// Every limit that has to be printed: those of the model, and what the dialects add.
fn printed() -> BTreeMap<&'static str, Limit> {
    let more = [("Decimal::DIGITS", Decimal::DIGITS as u64)];
    let of_dialects = DIALECTS.iter().flat_map(|dialect| dialect.limits).map(|limit| (limit.name, limit.value));
    let mut printed = constants(LIMITS);
    printed.extend(more.into_iter().chain(of_dialects).map(|(name, value)| (name, Limit::new(name, value))));
    printed
}

#[test]
fn limits_are_read_as_they_stand() {
    let read = constants(LIMITS);
    let value = |name: &str| read[name].value;
    assert_eq!(value("UPLOAD_BYTES"), limits::UPLOAD_BYTES);
    assert_eq!(value("EXPIRY_GRACE_MS"), limits::EXPIRY_GRACE_MS as u64);
    assert_eq!(value("UPLOAD_TTL_SECONDS"), limits::UPLOAD_TTL_SECONDS * 1000);
    assert_eq!(value("SHEET_ROWS"), u64::from(limits::SHEET_ROWS));
    assert_eq!(read.len(), LIMITS.matches("pub const").count(), "every constant stands at the start of a line");
    let hours = Limit::new("IDEMPOTENCY_MS", 24 * 3_600_000);
    assert!(hours.is_said_by(24, " hours") && !hours.is_said_by(24, " minutes") && !hours.is_said_by(24, ""));
    let bytes = Limit::new("FORM_BYTES", 7);
    assert!(bytes.is_said_by(7, " bytes, or") && !bytes.is_said_by(7, " KB") && !bytes.is_said_by(8, " bytes"));
}

/// The files below a folder whose names end in this.
fn files(folder: &Path, extension: &str, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files(&entry, extension, found);
        } else if entry.extension().is_some_and(|of| of == extension) {
            found.push((entry.clone(), std::fs::read_to_string(&entry).expect("text")));
        }
    }
}

/// A bound that a client may meet stands in the file of limits or among those of its dialect. What is left are sizes of
/// buffers, and pages as a dialect's document has them.
#[test]
fn limits_stand_in_one_place() {
    const BUFFERS: [&str; 8] = [
        "BYTES",
        "LARGE_PAGE_BYTES",
        "PAGE_DEFAULT",
        "PAGE_MAX",
        "PIECE_BYTES",
        "ROWS_BYTES",
        "START_BYTES",
        "WINDOW_BYTES",
    ];
    // The sources of what answers clients and of what they store.
    let mut found = Vec::new();
    for folder in ["functions", "shared/runtime", "shared/store"] {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), "rs", &mut found);
    }
    assert!(found.len() > 50, "{} sources", found.len());
    for (path, source) in found.iter().filter(|(path, _)| !path.ends_with("tests.rs")) {
        let constants = source.lines().filter_map(|line| line.trim_start().split_once("const ")?.1.split_once(": "));
        for (name, _) in constants {
            let is_bound = ["BYTES", "CHARS", "PARTS", "MAX", "MOST", "DEFAULT"].iter().any(|end| name.ends_with(end));
            let is_printed = source.contains(&format!("value: {name}"));
            assert!(!is_bound || is_printed || BUFFERS.contains(&name), "{}: {name}", path.display());
        }
    }
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
            (Some(digit), Some((number, _))) if in_number => {
                *number = number.saturating_mul(10).saturating_add(digit.into())
            }
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
            let is = wanted.remove(constant).unwrap_or_else(|| panic!("{limit}: {constant} is no limit, or twice"));
            assert!(is.is_said_by(number, &rest), "{limit}: {constant} is {is:?}, not {number}{rest}");
        }
    }
    assert!(wanted.is_empty(), "not printed: {wanted:?}");
}

/// A limit that other prose repeats is the code's, too: in thousands of bytes or keys, documents count nothing else.
#[test]
fn thousands_of_bytes_and_keys_in_the_documents_are_limits() {
    let limits: Vec<u64> = printed().into_values().map(|limit| limit.value).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = Vec::new();
    for folder in ["functions", "infra/penstock", "shared"] {
        files(&root.join(folder), "md", &mut documents);
    }
    for name in ["README.md", "SEMANTICS.md", "infra/ARCHITECTURE.md", "infra/OPERATIONS.md"] {
        documents.push((root.join(name), std::fs::read_to_string(root.join(name)).expect("text")));
    }
    let mut said = 0;
    for (path, text) in documents.iter().filter(|(path, _)| !path.ends_with("LIMITS.md")) {
        for (number, rest) in numbers(text) {
            let is_counted = ["bytes", "keys"].iter().any(|unit| rest.trim_start().starts_with(unit));
            if is_counted && number >= 1_000 {
                said += 1;
                assert!(limits.contains(&number), "{}: {number}{rest:.30}", path.display());
            }
        }
    }
    assert!(said > 8, "{said} numbers were found");
}

#[test]
fn the_rate_limits_that_are_on_by_default_are_printed() {
    let limits = &rate_limits(|_| None).expect("the defaults");
    let of = |api| [Requests::Imports, Requests::All].into_iter().flat_map(move |requests| limits.of(api, requests));
    let shown: Vec<String> = DIALECTS
        .iter()
        .flat_map(|dialect| of(dialect.name))
        .map(|(name, _, rate)| format!("{name}={}/{}", rate.limit, rate.seconds))
        .collect();
    assert!(PRINTED.contains(&format!("`{}`", shown.join(","))), "{shown:?}");
    assert!(DIALECTS.iter().all(|dialect| PRINTED.contains(&format!("`{}`", dialect.name))));
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
