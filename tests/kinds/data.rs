//! The data of the kinds, `tests/data/kinds/<kind>.json`.
//!
//! A data file is an object of `columns` (those of the files that have a header, in their order), `ignored` (those of
//! them that are no field and are not kept) and `rows`. A row has
//!
//! - `why`: what it is there for;
//! - `row`: its members, as JSON has them. Delimited files and sheets write the text of a string, a number, a boolean;
//!   nested values as JSON text; a member that is not there, or null, as an empty cell. In a sheet numbers are numbers,
//!   booleans booleans, and an ISO date in a field of type `date` is a date;
//! - `cells`, where what is to be shown is none of that: the texts of the row in delimited files and sheets; `json`
//!   then says what becomes of `row` in JSON;
//! - `record` (`key`, `fields`) or `errors` (`field`, `code`, and a `message` for some): what becomes of it.
//!   `{account}` is the account;
//! - `delimited`, `sheet`, `json`: the same where formats of that family cannot say what the others say, and a `why` of
//!   their own;
//! - `beyond_windows_1252`: true where Windows-1252 lacks a character of it, and its file the row.

#![allow(unreachable_pub)]

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// JSON members as they are written, so that no number passes through a float.
pub type Members = BTreeMap<String, Box<RawValue>>;

/// Formats that can say the same things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Delimited,
    Sheet,
    Json,
}

/// A data file.
pub struct Data {
    pub kind: String,
    pub columns: Vec<String>,
    pub ignored: Vec<String>,
    pub rows: Vec<Case>,
}

pub struct Case {
    pub why: String,
    pub row: Members,
    pub cells: Option<Vec<String>>,
    pub outcome: Outcome,
    /// What becomes of it in the formats of a family, where that is something else.
    pub elsewhere: Vec<(Family, Outcome)>,
    pub beyond_windows_1252: bool,
}

#[derive(Debug, Clone)]
pub enum Outcome {
    Record { key: String, fields: Members },
    Errors(Vec<Expected>),
}

#[derive(Debug, Clone)]
pub struct Expected {
    pub field: Option<String>,
    pub code: String,
    pub message: Option<String>,
}

impl Case {
    pub fn outcome(&self, family: Family) -> &Outcome {
        self.elsewhere.iter().find(|(of, _)| *of == family).map_or(&self.outcome, |(_, outcome)| outcome)
    }
}

pub fn text(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|error| panic!("{error}: {raw}"))
}

pub fn texts(raw: &RawValue) -> Vec<String> {
    serde_json::from_str(raw.get()).unwrap_or_else(|error| panic!("{error}: {raw}"))
}

pub fn members(raw: &RawValue) -> Members {
    serde_json::from_str(raw.get()).unwrap_or_else(|error| panic!("{error}: {raw}"))
}

impl Data {
    pub fn read(kind: &str) -> Self {
        let path = format!("{}/tests/data/kinds/{kind}.json", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut parts: Members = serde_json::from_str(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
        let columns = texts(&parts.remove("columns").expect("columns"));
        let ignored = parts.remove("ignored").map_or(Vec::new(), |raw| texts(&raw));
        let rows: Vec<Box<RawValue>> =
            serde_json::from_str(parts.remove("rows").expect("rows").get()).expect("an array");
        assert!(parts.is_empty(), "{path}: {parts:?}");
        let data =
            Self { kind: kind.to_owned(), columns, ignored, rows: rows.iter().map(|raw| Case::read(raw)).collect() };
        for case in &data.rows {
            let (_, _, beyond) = encoding_rs::WINDOWS_1252.encode(&data.cells(case).concat());
            assert_eq!(case.beyond_windows_1252, beyond, "{kind}: {}", case.why);
            let has = |name: &String| data.columns.contains(name);
            assert!(case.row.keys().all(has), "{kind}: {}: a member is no column", case.why);
        }
        data
    }

    /// The cells of a row in a format with a header, as text.
    pub fn cells(&self, case: &Case) -> Vec<String> {
        let cell = |column: &String| case.row.get(column).map_or(String::new(), |raw| cell_text(raw));
        case.cells.clone().unwrap_or_else(|| self.columns.iter().map(cell).collect())
    }

    /// The rows that a format can hold.
    pub fn rows_in(&self, format: &str) -> Vec<&Case> {
        self.rows.iter().filter(|case| format != "windows-1252" || !case.beyond_windows_1252).collect()
    }
}

impl Case {
    pub fn read(raw: &RawValue) -> Self {
        let mut parts = members(raw);
        let why = text(&parts.remove("why").expect("why"));
        let mut elsewhere = Vec::new();
        for (name, family) in [("delimited", Family::Delimited), ("sheet", Family::Sheet), ("json", Family::Json)] {
            if let Some(raw) = parts.remove(name) {
                let mut parts = members(&raw);
                parts.remove("why").unwrap_or_else(|| panic!("{why}: say why it is different: {name}"));
                elsewhere.push((family, Outcome::read(&mut parts).unwrap_or_else(|| panic!("{why}: {name}"))));
                assert!(parts.is_empty(), "{why}: {parts:?}");
            }
        }
        let case = Self {
            row: parts.remove("row").map_or(Members::new(), |raw| members(&raw)),
            cells: parts.remove("cells").map(|raw| texts(&raw)),
            outcome: Outcome::read(&mut parts).unwrap_or_else(|| panic!("{why}: nothing is expected of it")),
            elsewhere,
            beyond_windows_1252: parts.remove("beyond_windows_1252").is_some_and(|raw| raw.get() == "true"),
            why,
        };
        assert!(parts.is_empty(), "{}: {parts:?}", case.why);
        let json_differs = case.elsewhere.iter().any(|(family, _)| *family == Family::Json);
        assert!(case.cells.is_none() || json_differs, "{}: JSON has no cells", case.why);
        case
    }
}

impl Outcome {
    pub fn read(parts: &mut Members) -> Option<Self> {
        if let Some(raw) = parts.remove("record") {
            let mut record = members(&raw);
            let (key, fields) = (record.remove("key").expect("a key"), record.remove("fields").expect("fields"));
            return Some(Self::Record { key: text(&key), fields: members(&fields) });
        }
        let errors: Vec<Members> = serde_json::from_str(parts.remove("errors")?.get()).expect("errors");
        let error = |mut error: Members| Expected {
            field: error.remove("field").map(|raw| text(&raw)),
            code: text(&error.remove("code").expect("a code")),
            message: error.remove("message").map(|raw| text(&raw)),
        };
        Some(Self::Errors(errors.into_iter().map(error).collect()))
    }
}

/// JSON without the spaces around its tokens, members as they stand.
pub fn compact(raw: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::new(), false, false);
    for c in raw.chars() {
        if in_string || !c.is_ascii_whitespace() {
            out.push(c);
        }
        in_string = if c == '"' && !escaped { !in_string } else { in_string };
        escaped = c == '\\' && !escaped;
    }
    out
}

pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text")
}

/// JSON in one way of writing it: members by their names, strings escaped as little as can be, numbers as they stand.
pub fn canonical(raw: &RawValue) -> String {
    let joined = |parts: Vec<String>| parts.join(",");
    match raw.get().as_bytes()[0] {
        b'{' => {
            let members = members(raw);
            let written = members.iter().map(|(name, raw)| format!("{}:{}", quoted(name), canonical(raw)));
            format!("{{{}}}", joined(written.collect()))
        }
        b'[' => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(raw.get()).expect("an array");
            format!("[{}]", joined(items.iter().map(|raw| canonical(raw)).collect()))
        }
        b'"' => quoted(&text(raw)),
        _ => raw.get().to_owned(),
    }
}

/// A JSON value as the text of a cell.
pub fn cell_text(raw: &RawValue) -> String {
    match raw.get().as_bytes()[0] {
        b'"' => text(raw),
        b'n' => String::new(),
        _ => compact(raw.get()),
    }
}
