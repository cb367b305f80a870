//! `penstock check` says of a file what an import of it says, on one thread as on several, in bounded memory.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

use penstock_client::{Import, NewImport};
use penstock_model::{Format, ImportOptions};
use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};

use crate::support::{Stack, TOKEN, files, upload};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(arguments).env_remove("PENSTOCK_URL").env_remove("PENSTOCK_TOKEN").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the command runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A file, and how it is to be read.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    kind: &'static str,
    format: Option<Format>,
    options: ImportOptions,
    /// The same for the command.
    arguments: Vec<&'static str>,
}

impl Case {
    fn new(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        let (options, arguments) = (ImportOptions::default(), Vec::new());
        Self { name, bytes: bytes.into(), kind: "products", format: None, options, arguments }
    }

    fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    fn with(self, arguments: &[&'static str], options: ImportOptions) -> Self {
        Self { arguments: arguments.to_vec(), options, ..self }
    }
}

fn packed(text: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).expect("in memory");
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("rows.csv", zip::write::SimpleFileOptions::default()).expect("in memory");
    zip.write_all(text).expect("in memory");
    [
        ("a.csv.gz", gzip.finish().expect("in memory")),
        ("a.csv.zst", zstd::encode_all(text, 1).expect("in memory")),
        ("a.zip", zip.finish().expect("in memory").into_inner()),
    ]
}

fn workbook() -> Vec<u8> {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Notes").expect("a name").write(0, 0, "nothing").expect("a cell");
    let sheet = book.add_worksheet().set_name("Stock").expect("a name");
    for (column, name) in ["SKU", "Name", "Brand", "Cost"].into_iter().enumerate() {
        sheet.write(0, column as u16, name).expect("a cell");
    }
    for row in 1..3000_u32 {
        sheet.write(row, 0, row).expect("a cell");
        sheet.write(row, 1, format!("Product {row}")).expect("a cell");
        if row % 7 > 0 {
            sheet.write(row, 2, "Acme").expect("a cell");
        }
        if row % 11 > 0 { sheet.write(row, 3, f64::from(row) / 4.0) } else { sheet.write(row, 3, "dear") }
            .expect("a cell");
    }
    book.save_to_buffer().expect("a workbook")
}

/// Objects, good and bad, of more than one chunk, some of them with members that only they have.
fn objects(rows: u32) -> Vec<String> {
    let object = |row: u32| match row % 9 {
        0 => format!("{{\"sku\":\"S{row}\",\"name\":\"n\"}}"),
        1 => "17".to_owned(),
        2 => format!("{{\"sku\":\"S{row}\",\"name\":\"n\",\"brand\":[1],\"extra{row}\":1}}"),
        3 => format!("{{\"sku\":\"S{row}\",\"name\":tru}}"),
        _ => format!("{{\"sku\":\"S{row}\",\"name\":\"n {row}\",\"brand\":\"b\",\"cost\":1.50,\"colour\":\"red\"}}"),
    };
    (0..rows).map(object).collect()
}

/// A kind of the account's own, with rules across cells.
fn ruled() -> Value {
    json!({
        "name": "ruled", "primaryKey": "sku",
        "fields": [
            { "name": "sku" }, { "name": "cost", "type": "number" }, { "name": "msrp", "type": "number" },
            { "name": "from", "type": "date" }, { "name": "to", "type": "date" }, { "name": "name" },
        ],
        "rules": [
            { "rule": "msrp == null || cost == null || msrp >= cost", "message": "must not be below cost", "fields": ["msrp"] },
            { "rule": "from == null || to == null || from <= to", "message": "ends before it begins" },
            { "rule": "name == null || size(name) < 4 || !name.startsWith('x') || cost == 1", "message": "a made-up name" },
        ],
    })
}

/// Random rows of the kind with rules, as texts; a number or a date may be none.
fn ruled_rows(seed: u64, rows: u32) -> Vec<[String; 6]> {
    let mut state = seed;
    let mut of = |texts: &[&str]| {
        // An LCG (Knuth, MMIX), of which the upper half is taken.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        texts[(state >> 33) as usize % texts.len()].to_owned()
    };
    let long = "9".repeat(37);
    let numbers = ["", "1", "1.00", "0.99", "1.0000000000000000000000000000000000001", "1e1", &*long, "dear"];
    let days = ["", "2026-01-31", "2026-02-01", "2025-12-31", "2026-02-30"];
    let names = ["", "a", "xyz", "xyzzy", "äöüß"];
    (0..rows).map(|row| [format!("S{row}"), of(&numbers), of(&numbers), of(&days), of(&days), of(&names)]).collect()
}

/// The same rows in every format.
fn ruled_cases() -> Vec<Case> {
    const COLUMNS: [&str; 6] = ["sku", "cost", "msrp", "from", "to", "name"];
    let seed = std::env::var("PENSTOCK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
    println!("PENSTOCK_SEED={seed}");
    let rows = ruled_rows(seed, 9000);
    let lines = std::iter::once(COLUMNS.map(str::to_owned)).chain(rows.iter().cloned()).map(|row| row.join(","));
    let csv = lines.collect::<Vec<_>>().join("\n");
    let object = |row: &[String; 6]| {
        let given = COLUMNS.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
        let member = |(name, cell): (&&str, &String)| {
            let is_number = serde_json::from_str::<serde_json::Number>(cell).is_ok();
            format!("\"{name}\":{}", if is_number { cell.clone() } else { json!(cell).to_string() })
        };
        format!("{{{}}}", given.map(member).collect::<Vec<_>>().join(","))
    };
    let objects: Vec<String> = rows.iter().map(object).collect();
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (row, cells) in (0..).zip(std::iter::once(COLUMNS.map(str::to_owned)).chain(rows).take(2000)) {
        for (column, cell) in (0..).zip(cells) {
            sheet.write(row, column, cell).expect("a cell");
        }
    }
    let of = |name, bytes: Vec<u8>| Case::new(name, bytes).of_kind("ruled");
    vec![
        of("ruled.csv", csv.into_bytes()),
        of("ruled.ndjson", objects.join("\n").into_bytes()),
        of("ruled.json", format!("[{}]", objects[..3000].join(",")).into_bytes()),
        of("ruled.xlsx", book.save_to_buffer().expect("a workbook")),
    ]
}

fn cases() -> Vec<Case> {
    let hostile = files::hostile(3, 4000);
    let options = ImportOptions::default();
    let mapped = ImportOptions { mapping: [("Title".to_owned(), "name".to_owned())].into(), ..options.clone() };
    let semicolons =
        ImportOptions { delimiter: Some(';'), encoding: Some("windows-1252".to_owned()), ..options.clone() };
    let sheet = ImportOptions { sheet: Some("Stock".to_owned()), ..options.clone() };
    let unquoted = ImportOptions { quoting: Some(false), ..options.clone() };
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("sku\tname\tbrand\nA\tä\tb\nB\t\tb\nC\t\u{1f600}\tb\tx\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let mut cases = vec![
        Case::new("plain.csv", files::plain(0, 20_000, "1")),
        Case::new("hostile.csv", hostile.clone()),
        Case::new("utf16.tsv", utf16),
        Case::new("a.csv", &b"sku;name;brand\nA;caf\xe9;b\nB;;b\n"[..])
            .with(&["--delimiter", ";", "--encoding", "windows-1252"], semicolons),
        Case::new("quotes.csv", &b"sku,name,brand\nA,\"a,b\nB,\"b\",c\n"[..]).with(&["--no-quoting"], unquoted),
        Case::new("mapped.csv", &b"sku,Title,brand\nA,a,b\nB,,b\n"[..]).with(&["--map", "Title=name"], mapped),
        Case::new("stock.xlsx", workbook()).with(&["--sheet", "Stock"], sheet),
        Case::new("objects.ndjson", objects(9000).join("\n")),
        Case::new("objects.json", format!("[{}]", objects(3000).join(",\n"))),
        Case::new("kept.json", format!("{{\"rows\":[{}]}}", objects(3000).join(",\n"))).of_kind("catalog"),
        Case { format: Some(Format::Ndjson), arguments: vec!["--format", "ndjson"], ..Case::new("one", "{}\n") },
        // What fails before any row, or in the middle.
        Case::new("empty.csv", ""),
        Case::new("lines.csv", "\n\n"),
        Case::new("header.csv", "sku,name,brand\n"),
        Case::new("none.json", "[]"),
        Case::new("missing.csv", "sku,nmae,brand\nA,a,b\n"),
        Case::new("twice.csv", "sku,name,brand,name\nA,a,b,c\n"),
        Case::new("quote.csv", "sku,\"name,brand\nA,a,b\n"),
        Case::new("broken.json", "[{\"sku\":\"A\",\"name\":\"a\",\"brand\":\"b\"}, {\"sku\":"),
        Case::new("old.xls", &b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..]),
    ];
    for (name, bytes) in packed(&hostile) {
        cases.push(Case::new(name, bytes));
    }
    let [(_, mut cut), ..] = packed(&files::plain(0, 60_000, "1"));
    cut.truncate(cut.len() / 2);
    cases.push(Case::new("cut.csv.gz", cut));
    cases.extend(ruled_cases());
    cases
}

async fn import(stack: &Stack, case: &Case) -> Import {
    let new = NewImport {
        kind: Some(case.kind.to_owned()),
        format: case.format,
        filename: Some(case.name.to_owned()),
        options: case.options.clone(),
        ..NewImport::default()
    };
    let created = stack.client.create(&new, None).await.expect("an import is created");
    assert_eq!(upload(&created, &case.bytes).await, 200, "{}", case.name);
    stack.ended(&created.id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_an_import_says_on_any_number_of_threads() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (mut failures, mut bad_rows, mut broken) = (0, 0, 0);
    // A kind of one's own is checked by its file.
    let own = folder.path().join("ruled.schema.json");
    std::fs::write(&own, ruled().to_string()).expect("a file");
    stack.client.put_kind(&ruled()).await.expect("registered");
    for case in cases() {
        let name = case.name;
        let file = folder.path().join(name);
        std::fs::write(&file, &case.bytes).expect("a file");
        let import = import(&stack, &case).await;
        let from_service = folder.path().join("service");
        let has_rejected = import.rejected.is_some();
        if has_rejected {
            stack.client.save_rejected(&import.id, &from_service).await.expect("the file is written");
        }
        let errors: Vec<Value> = stack
            .errors(&import.id)
            .await
            .iter()
            .map(|error| serde_json::to_value(error).expect("an error as JSON"))
            .collect();
        broken += errors.iter().filter(|error| error["code"] == "rule_broken").count();
        let kind = if case.kind == "ruled" { path(&own) } else { case.kind };
        for threads in ["1", "4"] {
            let rejected = folder.path().join(format!("{name}.{threads}.rejected"));
            let check = |more: &[&str]| {
                let fixed = ["check", path(&file), "--kind", kind, "--threads", threads];
                run(&[&fixed[..], &case.arguments[..], more].concat())
            };
            let output = check(&["--json", "--rejected", path(&rejected)]);
            let outcome: Value =
                serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{name}: {output:?}"));
            let rows = &import.rows;
            let accepted = rows.created + rows.updated + rows.unchanged + rows.skipped;
            let total = accepted + rows.failed;
            assert_eq!(
                outcome["rows"],
                json!({ "total": total, "accepted": accepted, "failed": rows.failed }),
                "{name}"
            );
            assert_eq!(outcome["status"], import.status.as_str(), "{name}");
            assert_eq!(outcome["failure"], serde_json::to_value(&import.failure).expect("JSON"), "{name}");
            // An import records what its file is together with its columns; a check also says it where those cannot be
            // read.
            if let Some(detected) = &import.detected {
                assert_eq!(outcome["detected"], json!(detected), "{name}");
            }
            assert_eq!(outcome["ignored_columns"], json!(import.ignored_columns), "{name}");
            assert_eq!(outcome["columns"], json!(import.columns.clone().unwrap_or_default()), "{name}");
            assert_eq!(outcome["first_errors"], json!(errors[..errors.len().min(10)]), "{name}");
            let counted: u64 =
                outcome["error_codes"].as_object().expect("an object").values().filter_map(Value::as_u64).sum();
            assert_eq!(counted, errors.len() as u64, "{name}");
            let code = match import.status.as_str() {
                "completed" => 0,
                "completed_with_errors" => 2,
                _ => 1,
            };
            assert_eq!(output.status.code(), Some(code), "{name}");

            let output = check(&["--errors"]);
            let lines = text(&output.stdout).lines();
            let said: Vec<Value> =
                lines.map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
            assert!(said == errors, "{name} on {threads}: {:?} is not {:?}", said.first(), errors.first());
            assert_eq!(rejected.exists(), has_rejected, "{name}");
            if has_rejected {
                let read = |path: &Path| std::fs::read(path).expect("a file");
                assert!(read(&rejected) == read(&from_service), "{name} on {threads}: other rejected rows");
            }
        }
        failures += u64::from(import.failure.is_some());
        bad_rows += import.rows.failed;
    }
    // It was not about nothing.
    assert!(failures >= 6 && bad_rows > 5000, "{failures} failures, {bad_rows} bad rows");
    assert!(broken > 2000, "{broken} broken rules");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_prints_errors_as_an_import_prints_them() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, rejected) = (folder.path().join("a.csv"), folder.path().join("rejected"));
    std::fs::write(&file, "sku,name,brand,colour\nA,a,b,red\nB,b\nC,,d,red\n").expect("a file");
    let said = |output: &Output| -> Vec<String> {
        let about_rows = |line: &&str| line.starts_with("  row ") || line.starts_with("ignored columns");
        text(&output.stdout).lines().filter(about_rows).map(str::to_owned).collect()
    };
    let imported =
        run(&["import", path(&file), "--url", stack.cloud.url(), "--token", TOKEN, "--rejected", path(&rejected)]);
    let checked = run(&["check", path(&file)]);
    assert_eq!(said(&checked).len(), 3, "{checked:?}");
    assert_eq!((said(&checked), checked.status.code()), (said(&imported), imported.status.code()));
    let whole = text(&checked.stdout);
    for line in
        ["completed_with_errors", "csv, UTF-8", "3 rows: 1 accepted, 2 failed", "errors: 1 ragged_row, 1 required"]
    {
        assert!(whole.contains(line), "{line} is not in {whole}");
    }
    stack.stop().await;
}

#[test]
fn a_kind_may_be_a_schemas_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = json!({
        "name": "gadgets", "primaryKey": ["id"],
        "fields": [{ "name": "id", "type": "integer", "constraints": { "required": true } }],
    });
    let (kind, file) = (folder.path().join("gadgets.json"), folder.path().join("a.csv"));
    std::fs::write(&kind, schema.to_string()).expect("a file");
    std::fs::write(&file, "id\n1\nx\n").expect("a file");
    let output = run(&["check", path(&file), "--kind", path(&kind), "--json"]);
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&outcome["kind"], &outcome["rows"]["failed"]), (&json!("gadgets"), &json!(1)));
    std::fs::write(&kind, "{\"name\":\"gadgets\"}").expect("a file");
    let output = run(&["check", path(&file), "--kind", path(&kind)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the schema in"), "{output:?}");
}

#[test]
fn what_cannot_be_checked_is_said_on_standard_error_and_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, "sku,name,brand\nA,,b\n").expect("a file");
    let (there, nowhere) = (path(&file), folder.path().join("nowhere/at/all"));
    for (arguments, why) in [
        (vec!["check", path(&nowhere)], "nowhere"),
        (vec!["check", path(folder.path())], "is not a file"),
        (vec!["check", there, "--kind", "nonsense"], "`nonsense` is no bundled kind"),
        (vec!["check", there, "--rejected", path(&nowhere)], "nowhere"),
        (vec!["check", there, "--threads", "4", "--rejected", path(&nowhere)], "nowhere"),
        (vec!["check", there, "--threads", "0"], "--threads"),
        (vec!["check", there, "--delimiter", "x"], "one ASCII character"),
        (vec!["check", there, "--format", "pdf"], "csv, tsv, ndjson, json and xlsx"),
        (vec!["check", there, "--json", "--errors"], "--errors"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(why), "{arguments:?}: {}", text(&output.stderr));
    }
    let output = run(&["check", there, "--encoding", "klingon"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("unknown_encoding"), "{output:?}");
}

#[test]
fn whoever_reads_the_errors_may_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, format!("sku,name,brand\n{}", "A,,b\n".repeat(20_000))).expect("a file");
    for threads in ["1", "3"] {
        let mut child = command(&["check", path(&file), "--errors", "--threads", threads])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let mut first = [0; 10];
        child.stdout.take().expect("piped").read_exact(&mut first).expect("an error");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), &first), (Some(2), b"{\"row\":1,\""), "{output:?}");
    }
}

/// The most memory that a check of the file held, in KiB, by the time it writes the last rejected row. The file's last
/// row has to be bad and to hold far more than a pipe does: the check waits for the pipe's reader before it ends.
fn peak_kib(folder: &Path, file: &str, threads: &str) -> u64 {
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let mut child = command(&["check", file, "--threads", threads, "--rejected", path(&pipe)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command runs");
    let mut rejected = std::fs::File::open(&pipe).expect("the check opens it");
    let (mut tail, mut piece) = (Vec::new(), vec![0_u8; 4096]);
    while !tail.windows(8).any(|window: &[u8]| window == b"LAST-ROW") {
        let read = rejected.read(&mut piece).expect("the pipe is read");
        assert!(read > 0, "the last row is rejected");
        tail.drain(..tail.len().saturating_sub(7));
        tail.extend(&piece[..read]);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it still runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
    let peak = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    std::io::copy(&mut rejected, &mut std::io::sink()).expect("the rest");
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
    std::fs::remove_file(&pipe).expect("removed");
    peak
}

#[test]
fn memory_does_not_grow_with_the_file() {
    const LIMIT_KIB: u64 = 16 * 1024;
    let folder = tempfile::tempdir().expect("a folder");
    let last = format!("LAST-ROW,,{}\n", "x".repeat(200_000));
    let write = |name: &str, rows: &str, times: usize| {
        let file = folder.path().join(name);
        let mut writer = std::io::BufWriter::new(std::fs::File::create(&file).expect("a file"));
        writer.write_all(b"sku,name,brand\n").expect("written");
        (0..times).for_each(|_| writer.write_all(rows.as_bytes()).expect("written"));
        writer.write_all(last.as_bytes()).expect("written");
        writer.flush().expect("written");
        path(&file).to_owned()
    };
    let good = "SKU-12345,A product of some kind,Acme\n".repeat(1000);
    let bad = "SKU-12345,,\n".repeat(1000);
    let baseline = peak_kib(folder.path(), &write("small", "", 0), "1");
    for (rows, times) in [(&good, 2500), (&bad, 1500)] {
        let file = write("large", rows, times);
        let alone = peak_kib(folder.path(), &file, "1");
        assert!(alone <= baseline + LIMIT_KIB, "{alone} KiB, {baseline} for one row");
        let together = peak_kib(folder.path(), &file, "2");
        assert!(together <= baseline + 3 * LIMIT_KIB, "{together} KiB on two threads, {baseline} for one row");
    }
}
