//! Every bundled kind in every format: `tests/data/kinds/<kind>.json` holds rows, the records that they become, and the
//! errors of those that are refused; here they are written in each format, imported, and compared.

mod data;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Write},
};

use data::{Case, Data, Family, Members, Outcome, canonical, compact, members, quoted, text};
use penstock_client::{Client, Import};
use penstock_engine::kinds;
use penstock_model::{Field, FieldType, ImportOptions, RowError, Schema};
use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Workbook};

use crate::support::{Stack, adds_up, http, upload};

/// Every way of writing the rows; each has an account of its name, so that each fills a catalogue of its own.
const FORMATS: [(&str, Family); 12] = [
    ("csv", Family::Delimited),
    ("tsv", Family::Delimited),
    ("semicolon", Family::Delimited),
    ("utf-16", Family::Delimited),
    ("windows-1252", Family::Delimited),
    ("ndjson", Family::Json),
    ("json-array", Family::Json),
    ("json-object", Family::Json),
    ("xlsx", Family::Sheet),
    ("csv-gzip", Family::Delimited),
    ("ndjson-zstd", Family::Json),
    ("csv-zip", Family::Delimited),
];

/// A file, and the physical line of each row.
struct File {
    bytes: Vec<u8>,
    lines: Vec<u64>,
}

fn delimited(data: &Data, rows: &[&Case], delimiter: u8) -> File {
    let (mut bytes, mut lines) = (Vec::new(), Vec::new());
    let record = |bytes: &mut Vec<u8>, cells: &[String]| {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(bytes);
        writer.write_record(cells).expect("a record");
    };
    record(&mut bytes, &data.columns);
    for case in rows {
        lines.push(1 + bytes.iter().filter(|b| **b == b'\n').count() as u64);
        record(&mut bytes, &data.cells(case));
    }
    File { bytes, lines }
}

/// The rows as JSON, between what stands before, between and behind them.
fn json(data: &Data, rows: &[&Case], [before, between, behind]: [&str; 3]) -> File {
    let (mut text, mut lines) = (before.to_owned(), Vec::new());
    for (at, case) in rows.iter().enumerate() {
        text.push_str(if at > 0 { between } else { "" });
        lines.push(1 + text.matches('\n').count() as u64);
        let named = data.columns.iter().filter_map(|column| Some((column, case.row.get(column)?)));
        let members: Vec<_> = named.map(|(name, raw)| format!("{}:{}", quoted(name), compact(raw.get()))).collect();
        text.push_str(&format!("{{{}}}", members.join(",")));
    }
    text.push_str(behind);
    File { bytes: text.into_bytes(), lines }
}

fn sheet(data: &Data, rows: &[&Case], schema: &Schema) -> File {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (at, column) in data.columns.iter().enumerate() {
        sheet.write_string(0, at as u16, column).expect("a cell");
    }
    for (row, case) in (1..).zip(rows) {
        for (at, cell) in data.cells(case).iter().enumerate() {
            let (at, column) = (at as u16, data.columns.get(at));
            let raw = column.filter(|_| case.cells.is_none()).and_then(|column| case.row.get(column));
            let is_date = schema.fields.iter().any(|f| Some(&f.name) == column && f.field_type == FieldType::Date);
            match raw.map(|raw| raw.get().as_bytes()[0]) {
                _ if cell.is_empty() => continue,
                Some(b't' | b'f') => sheet.write_boolean(row, at, cell == "true"),
                Some(b'0'..=b'9' | b'-') => sheet.write_number(row, at, cell.parse::<f64>().expect("a number")),
                Some(b'"') if is_date && ExcelDateTime::parse_from_str(cell).is_ok() && cell.len() >= 10 => {
                    let moment = ExcelDateTime::parse_from_str(cell).expect("a date");
                    let shown = CellFormat::new().set_num_format("dd.mm.yyyy hh:mm");
                    sheet.write_datetime_with_format(row, at, &moment, &shown)
                }
                _ => sheet.write_string(row, at, cell),
            }
            .expect("a cell");
        }
    }
    let bytes = workbook.save_to_buffer().expect("a workbook");
    File { bytes, lines: (2..).take(rows.len()).collect() }
}

/// The rows in a format, and how they are to be read.
fn render(data: &Data, format: &str, schema: &Schema) -> (File, ImportOptions) {
    let (rows, mut options) = (data.rows_in(format), ImportOptions::default());
    let mut file = match format {
        "tsv" => delimited(data, &rows, b'\t'),
        "semicolon" => delimited(data, &rows, b';'),
        "ndjson" | "ndjson-zstd" => json(data, &rows, ["", "\n", "\n"]),
        "json-array" => json(data, &rows, ["[\n", ",\n", "\n]\n"]),
        "json-object" => json(data, &rows, ["{\"exported\":\"2026-11-21\",\"rows\":[\n", ",\n", "\n],\"more\":false}"]),
        "xlsx" => sheet(data, &rows, schema),
        _ => delimited(data, &rows, b','),
    };
    let bytes = std::mem::take(&mut file.bytes);
    file.bytes = match format {
        "utf-16" => {
            let text = String::from_utf8(bytes).expect("text");
            "\u{feff}"
                .chars()
                .chain(text.chars())
                .flat_map(|c| c.encode_utf16(&mut [0; 2]).to_vec())
                .flat_map(u16::to_le_bytes)
                .collect()
        }
        "windows-1252" => {
            if bytes.is_ascii() {
                options.encoding = Some("windows-1252".to_owned());
            }
            encoding_rs::WINDOWS_1252.encode(std::str::from_utf8(&bytes).expect("text")).0.into_owned()
        }
        "csv-gzip" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(&bytes).expect("packed");
            gzip.finish().expect("packed")
        }
        "ndjson-zstd" => zstd::encode_all(bytes.as_slice(), 3).expect("packed"),
        "csv-zip" => {
            let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
            zip.start_file("export.txt", zip::write::SimpleFileOptions::default()).expect("packed");
            zip.write_all(&bytes).expect("packed");
            zip.finish().expect("packed").into_inner()
        }
        _ => bytes,
    };
    (file, options)
}

/// What an import has to say that it found: format, compression, encoding, delimiter.
fn detected(format: &str) -> (&'static str, Option<&'static str>, &'static str, Option<char>) {
    match format {
        "tsv" => ("tsv", None, "UTF-8", Some('\t')),
        "semicolon" => ("csv", None, "UTF-8", Some(';')),
        "utf-16" => ("csv", None, "UTF-16LE", Some(',')),
        "windows-1252" => ("csv", None, "windows-1252", Some(',')),
        "ndjson" => ("ndjson", None, "UTF-8", None),
        "json-array" | "json-object" => ("json", None, "UTF-8", None),
        "xlsx" => ("xlsx", None, "UTF-8", None),
        "csv-gzip" => ("csv", Some("gzip"), "UTF-8", Some(',')),
        "ndjson-zstd" => ("ndjson", Some("zstd"), "UTF-8", None),
        "csv-zip" => ("csv", Some("zip"), "UTF-8", Some(',')),
        _ => ("csv", None, "UTF-8", Some(',')),
    }
}

fn token(format: &str) -> String {
    format!("{format}.secret")
}

async fn send(client: &Client, kind: &str, file: &[u8], options: ImportOptions) -> Import {
    let new = penstock_client::NewImport { kind: Some(kind.to_owned()), options, ..Default::default() };
    let import = client.create(&new, None).await.expect("an import is created");
    assert_eq!(upload(&import, file).await, 200);
    import
}

async fn errors_of(client: &Client, id: &str) -> Vec<RowError> {
    let (mut errors, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.errors(id, cursor.as_deref(), 100).await.expect("a page of errors");
        errors.extend(page.errors);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return errors;
        }
    }
}

/// Compares the errors of an import with those that are expected of its rows; what is different.
fn compare_errors(rows: &[&Case], lines: &[u64], family: Family, found: &[RowError]) -> Vec<String> {
    let mut different = Vec::new();
    for (at, case) in rows.iter().enumerate() {
        let found: Vec<&RowError> = found.iter().filter(|error| error.row == at as u64 + 1).collect();
        let expected = match case.outcome(family) {
            Outcome::Errors(errors) => errors.as_slice(),
            Outcome::Record { .. } => &[],
        };
        let told: BTreeSet<_> = found.iter().map(|e| (e.line, e.field.as_deref(), e.code.as_str())).collect();
        let wanted: BTreeSet<_> = expected.iter().map(|e| (lines[at], e.field.as_deref(), e.code.as_str())).collect();
        if told != wanted || found.len() != expected.len() {
            different.push(format!("{}: errors {told:?}, not {wanted:?}", case.why));
        }
        for wanted in expected.iter().filter(|expected| expected.message.is_some()) {
            let told = found.iter().find(|e| e.field == wanted.field && e.code == wanted.code);
            if told.is_some_and(|told| Some(&told.message) != wanted.message.as_ref()) {
                different.push(format!("{}: {told:?}, not {wanted:?}", case.why));
            }
        }
    }
    different
}

/// Compares an account's record with the one that a row is expected to become; what is different.
async fn compare_record(stack: &Stack, kind: &str, account: &str, key: &str, fields: &Members) -> Option<String> {
    let key = key.replace("{account}", account);
    let escaped: String = key.bytes().map(|b| format!("%{b:02X}")).collect();
    let request = stack.request(reqwest::Method::GET, &format!("/v1/records/{kind}/{escaped}"));
    let answer = http::send(request.bearer_auth(token(account))).await;
    if answer.status != 200 {
        return Some(format!("record `{key}`: {} {}", answer.status, answer.text()));
    }
    let shown: Members = serde_json::from_slice(&answer.body).expect("JSON");
    let wanted: BTreeMap<_, _> =
        fields.iter().map(|(name, raw)| (name.clone(), canonical(raw).replace("{account}", account))).collect();
    let found: BTreeMap<_, _> =
        members(&shown["fields"]).iter().map(|(name, raw)| (name.clone(), canonical(raw))).collect();
    (text(&shown["key"]) != key || found != wanted).then(|| format!("record `{key}`:\n  {found:?}, not\n  {wanted:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_in_every_format_give_the_same_catalogue() {
    let stack = Stack::with(|options| {
        options.keys.extend(FORMATS.map(|(format, _)| (format.to_owned(), format.to_owned(), "secret".to_owned())));
    })
    .await;
    let mut different = Vec::new();
    for schema in kinds::all() {
        let data = Data::read(schema.name.as_str());
        let mut imports = Vec::new();
        for (format, family) in FORMATS {
            let (client, (file, options)) = (stack.client_of(&token(format)), render(&data, format, schema));
            let import = send(&client, &data.kind, &file.bytes, options).await;
            imports.push((format, family, client, file, import.id));
        }
        for (format, family, client, file, id) in &imports {
            let Ok(import) = stack.ended_for(client, id).await else {
                different.push(format!("{} as {format}: the import hangs", data.kind));
                continue;
            };
            adds_up(&import);
            let rows = data.rows_in(format);
            let mut found = compare_errors(&rows, &file.lines, *family, &errors_of(client, id).await);
            let mut created = 0;
            for case in &rows {
                if let Outcome::Record { key, fields } = case.outcome(*family) {
                    created += 1;
                    let record = compare_record(&stack, &data.kind, format, key, fields).await;
                    found.extend(record.map(|what| format!("{}: {what}", case.why)));
                }
            }
            let counts = (import.rows.created, import.rows.failed, import.rows.total);
            if counts != (created, rows.len() as u64 - created, Some(rows.len() as u64)) {
                found.push(format!("{:?}, where {created} of {} rows are good", import.rows, rows.len()));
            }
            let told = import.detected.as_ref().map(|it| {
                (it.format.as_str(), it.compression.map(|packed| packed.as_str()), it.encoding.as_str(), it.delimiter)
            });
            if told != Some(detected(format)) {
                found.push(format!("{:?}, {:?}", import.detected, import.failure));
            }
            if *family != Family::Json && import.ignored_columns != data.ignored {
                found.push(format!("ignored {:?}", import.ignored_columns));
            }
            different.extend(found.into_iter().map(|what| format!("{} as {format}: {what}", data.kind)));
        }
        // What one format has filled, another of its family finds as it leaves it.
        let (file, options) = render(&data, "csv-zip", schema);
        let client = stack.client_of(&token("csv"));
        let again = send(&client, &data.kind, &file.bytes, options).await;
        let again = stack.ended_for(&client, &again.id).await.expect("the import ends");
        let good = data.rows.iter().filter(|case| matches!(case.outcome(Family::Delimited), Outcome::Record { .. }));
        assert_eq!(
            (again.rows.unchanged, again.rows.created, again.rows.updated),
            (good.count() as u64, 0, 0),
            "{}",
            data.kind
        );
    }
    stack.stop().await;
    assert!(different.is_empty(), "{} differences:\n{}", different.len(), different.join("\n"));
}

/// The codes with which cells of a field are refused for each rule that it has.
fn rules(field: &Field) -> Vec<&'static str> {
    let (constraints, is_text) = (&field.constraints, field.field_type == FieldType::String);
    let rule = |given: bool, code: &'static str| given.then_some(code);
    let of_type = match (field.field_type, field.format.as_deref()) {
        (FieldType::String, Some("email")) => Some("invalid_email"),
        (FieldType::String, Some("ean")) => Some("invalid_ean"),
        (FieldType::String, _) => None,
        (FieldType::Number, _) => Some("invalid_number"),
        (FieldType::Integer, _) => Some("invalid_integer"),
        (FieldType::Boolean, _) => Some("invalid_boolean"),
        (FieldType::Date, _) => Some("invalid_date"),
        (FieldType::Array, _) => Some("invalid_array"),
        (other, _) => panic!("a bundled kind has the type {other:?}: say here how it is refused"),
    };
    let all = [
        of_type,
        rule(constraints.required == Some(true), "required"),
        // An empty text is a missing one, never one that is too short.
        rule(constraints.min_length.is_some_and(|least| least > usize::from(is_text)), "too_short"),
        rule(constraints.max_length.is_some(), "too_long"),
        rule(constraints.minimum.is_some(), "too_small"),
        rule(constraints.maximum.is_some(), "too_large"),
        rule(constraints.max_scale.is_some(), "too_precise"),
        rule(constraints.pattern.is_some(), "pattern_mismatch"),
        rule(constraints.enumeration.is_some(), "not_in_enum"),
    ];
    all.into_iter().flatten().collect()
}

#[test]
fn the_data_of_every_kind_fill_every_field_and_break_every_rule() {
    for schema in kinds::all() {
        let data = Data::read(schema.name.as_str());
        let (mut filled, mut broken, mut messages) = (BTreeSet::new(), BTreeSet::new(), 0);
        for case in &data.rows {
            for outcome in std::iter::once(&case.outcome).chain(case.elsewhere.iter().map(|(_, outcome)| outcome)) {
                match outcome {
                    Outcome::Record { fields, .. } => filled.extend(fields.keys().cloned()),
                    Outcome::Errors(errors) => {
                        messages += errors.iter().filter(|error| error.message.is_some()).count();
                        broken.extend(errors.iter().map(|error| {
                            let path = error.field.clone().unwrap_or_default();
                            // A line's place does not matter.
                            ((0..10).fold(path, |path, at| path.replace(&format!("[{at}]"), "[]")), error.code.clone())
                        }));
                    }
                }
            }
        }
        let in_lines =
            |field: &Field| field.item_schema.iter().flat_map(|items| items.fields.clone()).collect::<Vec<_>>();
        for field in &schema.fields {
            assert!(filled.contains(&field.name), "{}: no record has `{}`", schema.name, field.name);
            let nested = in_lines(field).into_iter().map(|item| (format!("{}[].{}", field.name, item.name), item));
            for (path, field) in nested.chain([(field.name.clone(), field.clone())]) {
                for code in rules(&field) {
                    let broken = broken.contains(&(path.clone(), code.to_owned()));
                    assert!(broken, "{}: no row breaks {code} of `{path}`", schema.name);
                }
            }
        }
        assert!(messages > 0, "{}: no message is compared", schema.name);
    }
}
