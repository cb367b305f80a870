//! Files as people send them: each is read alike by a check, a preview and an import, with the rows, the lines and the
//! values that its sender meant.

use std::process::{Command, Stdio};

use penstock_client::{ClientError, Import, NewImport};
use penstock_model::Status;
use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};

use crate::support::{Stack, adds_up, upload};

/// A file of products, how it is read, and what is right.
struct Case {
    /// The file's name, which says what is odd about it.
    name: &'static str,
    file: Vec<u8>,
    /// The options of its import, and the same as arguments of the command.
    options: Value,
    arguments: &'static [&'static str],
    /// Each row that is accepted: its number, its key and its name.
    rows: Vec<(u64, &'static str, &'static str)>,
    /// The errors of the others: row, line, code.
    errors: Vec<(u64, u64, &'static str)>,
    /// The code of the file's failure.
    failure: Option<&'static str>,
}

impl Case {
    fn of(name: &'static str, file: impl Into<Vec<u8>>) -> Self {
        let file = file.into();
        Self { name, file, options: json!({}), arguments: &[], rows: Vec::new(), errors: Vec::new(), failure: None }
    }

    fn with(self, options: Value, arguments: &'static [&'static str]) -> Self {
        Self { options, arguments, ..self }
    }

    fn gives(self, rows: &[(u64, &'static str, &'static str)]) -> Self {
        Self { rows: rows.to_vec(), ..self }
    }

    fn rejects(self, errors: &[(u64, u64, &'static str)]) -> Self {
        Self { errors: errors.to_vec(), ..self }
    }

    fn fails(self, code: &'static str) -> Self {
        Self { failure: Some(code), ..self }
    }

    /// The same, its keys with a mark of the case's own, so that no case finds another one's records.
    fn marked(mut self, mark: usize) -> (Self, String) {
        let mark = format!("c{mark}");
        if !self.file.starts_with(b"PK") {
            // The text between the marks is bytes as they are.
            let mut file = Vec::new();
            let mut rest = self.file.as_slice();
            while let Some(at) = rest.windows(2).position(|two| two == b"K-") {
                file.extend(&rest[..at]);
                file.extend(mark.bytes());
                rest = &rest[at + 1..];
            }
            file.extend(rest);
            self.file = file;
        }
        (self, mark)
    }
}

/// A workbook of one sheet, `K-` in its texts already marked.
fn sheet(mark: usize, rows: &[&[&str]]) -> Vec<u8> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (row, cells) in rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let (row, column) = (row as u32, column as u16);
            match *cell {
                "" => {}
                text => drop(sheet.write(row, column, text.replace("K-", &format!("c{mark}-"))).expect("a cell")),
            }
        }
    }
    book.save_to_buffer().expect("in memory")
}

fn keys() -> Vec<Case> {
    let around = "sku,name,brand\nK-1 ,a,b\nK-1,b,b\n ,c,b\n\u{a0},d,b\n\u{200b},e,b\nK-1\u{a0},f,b\nK-1\u{200b},g,b\n\u{feff}K-1,h,b\nK-2, , \n";
    vec![
        Case::of("keys.csv", around)
            .gives(&[(1, "K-1", "a"), (2, "K-1", "b"), (6, "K-1", "f"), (7, "K-1", "g"), (8, "K-1", "h")])
            .rejects(&[
                (3, 4, "required"),
                (4, 5, "required"),
                (5, 6, "required"),
                (9, 10, "required"),
                (9, 10, "required"),
            ]),
        Case::of(
            "keys.json",
            "[{\"sku\":\" K-1\",\"name\":\"a\",\"brand\":\"b\"},{\"sku\":\"K-1\\u200b\",\"name\":\"b\",\"brand\":\"b\"},{\"sku\":\" \",\"name\":\"a\",\"brand\":\"b\"}]",
        )
        .gives(&[(1, "K-1", "a"), (2, "K-1", "b")])
        .rejects(&[(3, 1, "required")]),
        Case::of("formula.csv", "sku,name,brand,upc\n=\"K-1\",\"=\"\"0,1\"\"\",b,=\"059\"\n").gives(&[(1, "K-1", "0,1")]),
        Case::of("scientific.csv", "sku,name,brand\n5.90123E+12,Lamp,b\n\"5,90123E+12\",Chair,b\nK-1E5,Desk,b\n")
            .gives(&[(3, "K-1E5", "Desk")])
            .rejects(&[(1, 2, "scientific_key"), (2, 3, "scientific_key")]),
    ]
}

fn rows() -> Vec<Case> {
    vec![
        Case::of(
            "blank.csv",
            "sku;name;brand;cost\r\nK-1;a;b;1\r\n;;;\r\n\r\nK-2;b;b;2\r\n \t;\"\";;\r\n;;;\r\nK-3;;b;3\r\n;;;",
        )
        .gives(&[(1, "K-1", "a"), (2, "K-2", "b")])
        .rejects(&[(3, 8, "required")]),
        Case::of("surplus.csv", "sku;name;brand\nK-1;a;b;\nK-2;b;b;; \nK-3;c;b;x\nK-4;d\n")
            .gives(&[(1, "K-1", "a"), (2, "K-2", "b")])
            .rejects(&[(3, 4, "ragged_row"), (4, 5, "ragged_row")]),
        Case::of("surplus-header.csv", "sku;name;brand;\nK-1;a;b\nK-2;b;b;\nK-3;c;b;note\n").gives(&[
            (1, "K-1", "a"),
            (2, "K-2", "b"),
            (3, "K-3", "c"),
        ]),
        Case::of("sep.csv", "\u{feff}sep=;\r\nsku;name,x;brand\r\nK-1;a;b\r\nK-2;;b\r\n")
            .with(json!({ "mapping": { "name,x": "name" } }), &["--map", "name,x=name"])
            .gives(&[(1, "K-1", "a")])
            .rejects(&[(2, 4, "required")]),
        Case::of("index.csv", ",name,brand\nK-1,a,b\nK-2,,b\n")
            .with(json!({ "mapping": { "": "sku" } }), &["--map", "=sku"])
            .gives(&[(1, "K-1", "a")])
            .rejects(&[(2, 3, "required")]),
        Case::of("sep-tab.csv", "SEP=\\t\nsku\tname\tbrand\nK-1\ta;b\tb\n").gives(&[(1, "K-1", "a;b")]),
        Case::of("marks.csv", "\u{feff}\u{feff}sku\u{200b},\u{a0}name ,brand\nK-1,a,b\n").gives(&[(1, "K-1", "a")]),
        Case::of(
            "again.csv",
            "sku,name,brand\n---,----,-----\nK-1,a,b\nsku,name,brand\nK-2,b,b\n\n(2 rows affected)\n",
        )
        .gives(&[(2, "K-1", "a"), (4, "K-2", "b")])
        .rejects(&[(1, 2, "separator_row"), (3, 4, "repeated_header"), (5, 7, "ragged_row")]),
        Case::of("short.csv", "sku,name,brand,cost\nK-1,a,b\nK-2,b\nK-3,c,b,1\n")
            .gives(&[(3, "K-3", "c")])
            .rejects(&[(1, 2, "ragged_row"), (2, 3, "ragged_row")]),
        Case::of("short-taken.csv", "sku,name,brand,cost\nK-1,a,b\nK-2,b\nK-3,c,b,1\n")
            .with(json!({ "short_rows": "absent", "empty_cells": "clear" }), &["--short-rows", "absent"])
            .gives(&[(1, "K-1", "a"), (3, "K-3", "c")])
            .rejects(&[(2, 3, "required")]),
        Case::of("preamble.csv", "Price \"list;;;\nNord;;;\n\nsku;name;brand;cost\nK-1;a;b;1\nK-2;;b;1\n")
            .with(json!({ "header_line": 4 }), &["--header-line", "4"])
            .gives(&[(1, "K-1", "a")])
            .rejects(&[(2, 6, "required")]),
        Case::of("comments.csv", "# by \"ERP\nsku,name,brand\n#,,\nK-1,a,b\n#\"\nK-2,,b\nK-3,\"c\n#\",b\n")
            .with(json!({ "comment": "#" }), &["--comment", "#"])
            .gives(&[(1, "K-1", "a"), (3, "K-3", "c\n#")])
            .rejects(&[(2, 6, "required")]),
        Case::of(
            "escape.csv",
            "sku,name,brand\nK-1,\"24\\\" wide, \\\\\",b\nK-2,\"Rail, 19\\\", black\",b\nK-3,C:\\x,b\n",
        )
        .with(json!({ "escape": "\\" }), &["--escape", "\\"])
        .gives(&[(1, "K-1", "24\" wide, \\"), (2, "K-2", "Rail, 19\", black"), (3, "K-3", "C:\\x")]),
        Case::of("nothing-below.csv", "sku,name,brand\nK-1,a,b\n")
            .with(json!({ "header_line": 9 }), &["--header-line", "9"])
            .fails("empty_file"),
    ]
}

fn documents() -> Vec<Case> {
    let row = |key: &str, name: &str| format!("{{\"sku\":\"{key}\",\n \"name\":\"{name}\",\n \"brand\":\"b\"}}");
    let (first, second) = (row("K-1", "a"), row("K-2", "b"));
    let both: &[(u64, &str, &str)] = &[(1, "K-1", "a"), (2, "K-2", "b")];
    vec![
        Case::of("several.json", format!("{first}\n{second} {{\"sku\":\"K-3\"}}"))
            .gives(both)
            .rejects(&[(3, 6, "required"), (3, 6, "required")]),
        Case::of("one.json", first.clone()).gives(&both[..1]),
        Case::of("lines.ndjson", format!("{}\n\n{}", first.replace('\n', ""), second.replace('\n', ""))).gives(both),
        Case::of(
            "nested.json",
            format!("{{\"status\":\"ok\",\"tags\":[\"x\"],\"data\":{{\"items\":[{first},{second}],\"n\":2}}}}"),
        )
        .gives(both),
        Case::of("beside-empty.json", format!("{{\"errors\":[],\"products\":[{first},\n{second}]}}")).gives(both),
        Case::of("two-arrays.json", format!("{{\"errors\":[{{\"e\":1}}],\"products\":[{first}]}}"))
            .fails("ambiguous_rows"),
        Case::of(
            "two-arrays-named.json",
            format!("{{\"errors\":[{{\"e\":1}}],\"data\":{{\"products\":[{first},{second},1]}}}}"),
        )
        .with(json!({ "rows_at": "data.products" }), &["--rows-at", "data.products"])
        .gives(both)
        .rejects(&[(3, 5, "not_an_object")]),
        Case::of("not-there.json", format!("{{\"products\":[{first}]}}"))
            .with(json!({ "rows_at": "data.items" }), &["--rows-at", "data.items"])
            .fails("no_rows"),
        Case::of("no-rows.json", "{\"error\":\"expired\",\"codes\":[1,2]}").fails("no_rows"),
        Case::of("no-rows-yet.json", "{\"products\":[],\"errors\":[]}"),
        Case::of("array.json", format!("[{first}]"))
            .with(json!({ "header_line": 2 }), &["--header-line", "2"])
            .fails("unusable_option"),
        Case::of("table.csv", "sku,name,brand\nK-1,a,b\n")
            .with(json!({ "rows_at": "items" }), &["--rows-at", "items"])
            .fails("unusable_option"),
    ]
}

fn sheets(first: usize) -> Vec<Case> {
    let header: &[&str] = &["sku", "name\u{200b}", "brand", "cost"];
    let file = |at: usize, rows: &[&[&str]]| sheet(first + at, rows);
    vec![
        Case::of(
            "rows.xlsx",
            file(
                0,
                &[
                    header,
                    &["K-1 ", "a", "b"],
                    &["\u{200b}", "", "\u{feff}"],
                    &[" ", "\u{a0}"],
                    header,
                    &["----", "--", "-", "--"],
                    &["K-2", "", "b", "", " "],
                ],
            ),
        )
        .gives(&[(1, "K-1", "a")])
        .rejects(&[(2, 5, "repeated_header"), (3, 6, "separator_row"), (4, 7, "required")]),
        Case::of("ragged.xlsx", file(1, &[header, &["K-1", "a", "b", "", "x"], &["K-2", "b", "b", "", " "]]))
            .gives(&[(2, "K-2", "b")])
            .rejects(&[(1, 2, "ragged_row")]),
        Case::of(
            "title.xlsx",
            file(2, &[&["Price list", "", "", "", "", "x"], &[], header, &["K-1", "a", "b", "", ""], &["K-2", "b"]]),
        )
        .with(json!({ "header_line": 3 }), &["--header-line", "3"])
        .gives(&[(1, "K-1", "a")])
        .rejects(&[(2, 5, "required")]),
        Case::of("commented.xlsx", file(3, &[header, &["K-1", "a", "b"]]))
            .with(json!({ "comment": "#" }), &["--comment", "#"])
            .fails("unusable_option"),
    ]
}

fn checked(case: &Case) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(case.name);
    std::fs::write(&path, &case.file).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.arg("check").arg(&path).arg("--json").args(case.arguments);
    command.env_remove("PENSTOCK_URL").env_remove("PENSTOCK_TOKEN").stdin(Stdio::null());
    let output = command.output().expect("the command runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}: {output:?}", case.name))
}

/// Row, line and code of errors that are JSON.
fn places(errors: &Value) -> Vec<(u64, u64, &str)> {
    let number = |error: &Value, name: &str| error[name].as_u64().expect("a number");
    let place = |error| (number(error, "row"), number(error, "line"), error["code"].as_str().expect("a code"));
    errors.as_array().expect("errors").iter().map(place).collect()
}

async fn created(stack: &Stack, case: &Case) -> Import {
    let options = serde_json::from_value(case.options.clone()).expect("options");
    let new = NewImport { filename: Some(case.name.to_owned()), options, ..NewImport::default() };
    stack.client.create(&new, None).await.expect("an import is created")
}

/// What a preview shows: the rows that are accepted by their numbers, keys and names, and the errors of the others; or
/// why the file fails.
async fn previewed(stack: &Stack, import: &Import, case: &Case) -> Result<Value, String> {
    match stack.client.preview(&import.id, case.file.clone(), true).await {
        Ok(preview) => match preview["failure"]["code"].as_str() {
            Some(code) => Err(code.to_owned()),
            None => Ok(preview["rows"].clone()),
        },
        Err(ClientError::Refused { code, .. }) => Err(code),
        Err(other) => panic!("{}: {other:?}", case.name),
    }
}

async fn is_right(stack: &Stack, case: &Case, mark: &str) {
    let name = case.name;
    let marked = |key: &str| key.replacen("K-", &format!("{mark}-"), 1);
    let import = created(stack, case).await;

    let checked = checked(case);
    assert_eq!(checked["failure"]["code"].as_str(), case.failure, "{name}: {checked:#}");
    if case.failure.is_none() {
        assert_eq!(places(&checked["first_errors"]), case.errors, "{name}");
        assert_eq!(checked["rows"]["accepted"].as_u64(), Some(case.rows.len() as u64), "{name}");
    }

    let preview = previewed(stack, &import, case).await;
    assert_eq!(preview.as_ref().err().map(String::as_str), case.failure, "{name}");
    for row in preview.iter().flat_map(|rows| rows.as_array().expect("rows")) {
        let number = row["row"].as_u64().expect("a number");
        let wanted: Vec<_> = case.errors.iter().filter(|(row, _, _)| *row == number).copied().collect();
        assert_eq!(places(&row["errors"]), wanted, "{name}");
        if wanted.is_empty() {
            let (_, key, title) = case.rows.iter().find(|(row, _, _)| *row == number).expect("a row");
            assert_eq!((&row["fields"]["sku"], &row["fields"]["name"]), (&json!(marked(key)), &json!(title)), "{name}");
        }
    }

    assert_eq!(upload(&import, &case.file).await, 200, "{name}");
    let import = stack.ended(&import.id).await;
    adds_up(&import);
    assert_eq!(import.failure.as_ref().map(|failure| failure.code.as_str()), case.failure, "{name}");
    let status = match (case.failure, case.errors.is_empty()) {
        (Some(_), _) => Status::Failed,
        (None, true) => Status::Completed,
        (None, false) => Status::CompletedWithErrors,
    };
    assert_eq!(import.status, status, "{name}");
    let errors = stack.errors(&import.id).await;
    let errors: Vec<_> = errors.iter().map(|error| (error.row, error.line, error.code.as_str())).collect();
    assert_eq!(errors, case.errors, "{name}");
    let rows = &import.rows;
    assert_eq!(rows.created + rows.updated + rows.unchanged, case.rows.len() as u64, "{name}: {rows:?}");
    for (at, (_, key, title)) in case.rows.iter().enumerate() {
        if case.rows[at + 1..].iter().any(|(_, later, _)| later == key) {
            continue;
        }
        // However the key is written.
        for key in [marked(key), format!(" {}\u{200b}", marked(key))] {
            let record = stack.client.record("products", &key).await.expect("answers");
            let record = record.unwrap_or_else(|| panic!("{name}: no {key}"));
            assert_eq!(
                (&record["fields"]["name"], &record["key"]),
                (&json!(title), &json!(key.trim_matches([' ', '\u{200b}']))),
                "{name}"
            );
            assert_eq!(record["fields"]["sku"], record["key"], "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_send_is_read_as_they_mean_it() {
    let stack = Stack::start().await;
    let mut cases = [keys(), rows(), documents()].into_iter().flatten().collect::<Vec<_>>();
    cases.extend(sheets(cases.len()));
    for (mark, case) in cases.into_iter().enumerate() {
        let (case, mark) = case.marked(mark);
        is_right(&stack, &case, &mark).await;
    }
    stack.stop().await;
}

/// A rejected row comes back whole; sent again as it is, it is rejected again.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_none_are_rejected_again_when_they_are_sent_again() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,name,brand\n---,----,-----\nA,a,b\nsku,name,brand\nB,b,b,,x\n").await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rejected");
    stack.client.save_rejected(&import.id, &path).await.expect("the file is written");
    let rejected = std::fs::read(&path).expect("a file");
    let again = stack.import(&rejected).await;
    let codes: Vec<String> = stack.errors(&again.id).await.into_iter().map(|error| error.code).collect();
    assert_eq!(codes, ["separator_row", "repeated_header", "ragged_row"], "{}", String::from_utf8_lossy(&rejected));
    let file = sheet(0, &[&["sku", "name", "brand"], &["A", "a", "b", "x"], &["B", "b", "b", "", "", "y"]]);
    let import = stack.import(&file).await;
    stack.client.save_rejected(&import.id, &path).await.expect("the file is written");
    let rejected = std::fs::read_to_string(&path).expect("a file");
    assert!(
        rejected.contains("ragged_row") && ["x", "y", "_row"].into_iter().all(|part| rejected.contains(part)),
        "{rejected}"
    );
    stack.stop().await;
}

async fn import_with(stack: &Stack, file: &[u8], options: &Value) -> Import {
    stack.import_with(file, serde_json::from_value(options.clone()).expect("options")).await
}

/// Mended, a file of rejected rows is taken with the same options as its first file, wherever that had its header and
/// its rows.
#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_are_sent_again_with_the_same_options() {
    let stack = Stack::start().await;
    let titled = {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write(0, 0, "Prices").expect("a cell");
        for (row, cells) in [["sku", "name", "brand"], ["rx-1", "=\"abc\"", ""]].iter().enumerate() {
            for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
                sheet.write_string(row as u32 + 2, column as u16, *cell).expect("a cell");
            }
        }
        book.save_to_buffer().expect("in memory")
    };
    let files: [(&str, Vec<u8>, Value, &str); 6] = [
        ("r1-1", "Prices\n\nsku,name,brand\nr1-1,a,\n".into(), json!({ "header_line": 3 }), "a"),
        ("rx-1", titled, json!({ "header_line": 3 }), "=\"abc\""),
        (
            "r2-1",
            "{\"a\":[{\"sku\":1}],\"b\":{\"c.d\":[{\"sku\":\"r2-1\",\"name\":\"a\",\"brand\":\"\"}]}}".into(),
            json!({ "rows_at": "/b/c.d" }),
            "a",
        ),
        (
            "r3-1",
            "sep=;\nsku;name;brand\n#x\nr3-1;\"a \\\"b\\\"\";\n".into(),
            json!({ "comment": "#", "escape": "\\" }),
            "a \"b\"",
        ),
        ("r4-1", "\u{feff}sku,name,brand\nr4-1,ä,\n".into(), json!({}), "ä"),
        ("r5-1", b"sku,name,brand\nr5-1,\xe4,\n".to_vec(), json!({ "encoding": "windows-1252" }), "ä"),
    ];
    for (key, file, options, name) in files {
        let has_mark = ["rx-1", "r4-1", "r5-1"].contains(&key);
        let mut import = import_with(&stack, &file, &options).await;
        // What is not mended is rejected again, in a file of the same form.
        for _ in 0..2 {
            assert_eq!((import.rows.failed, import.rows.processed), (1, 1), "{key} {:?}", import.failure);
            let file = stack.rejected(&import).await;
            assert_eq!(file.starts_with('\u{feff}'), has_mark, "{file}");
            import = import_with(&stack, file.as_bytes(), &options).await;
        }
        let file = stack.rejected(&import).await;
        let mended = match file.contains("\"brand\":\"\"") {
            true => file.replace("\"brand\":\"\"", "\"brand\":\"b\""),
            false => format!("{}b\n", file.trim_end_matches('\n')),
        };
        let import = import_with(&stack, mended.as_bytes(), &options).await;
        assert_eq!((import.rows.created, import.rows.failed), (1, 0), "{mended} {:?}", import.failure);
        let record = stack.client.record("products", key).await.expect("answers").expect("a record");
        assert_eq!(record["fields"]["name"], name, "{mended}");
    }
    stack.stop().await;
}

/// An error of a workbook never becomes a value, however often its row is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_workbook_is_refused_until_a_value_stands_there() {
    let stack = Stack::start().await;
    let mut book = Workbook::new();
    let cells = book.add_worksheet();
    for (column, name) in ["sku", "name", "brand", "description"].into_iter().enumerate() {
        cells.write(0, column as u16, name).expect("a cell");
    }
    let error = rust_xlsxwriter::Formula::new("=1/0").set_result("#DIV/0!");
    cells.write(1, 0, "re-1").expect("a cell").write(1, 1, "a").expect("a cell").write(1, 2, "b").expect("a cell");
    cells.write(1, 3, error).expect("a cell");
    let file = book.save_to_buffer().expect("in memory");
    let mut import = import_with(&stack, &file, &json!({})).await;
    for _ in 0..2 {
        let errors = stack.errors(&import.id).await;
        assert_eq!((import.rows.failed, errors[0].code.as_str()), (1, "cell_error"), "{errors:?}");
        assert_eq!(errors[0].field.as_deref(), Some("description"));
        let file = stack.rejected(&import).await;
        assert!(file.ends_with(",re-1,a,b,_error: #DIV/0!\n"), "{file}");
        import = import_with(&stack, file.as_bytes(), &json!({})).await;
    }
    // Also where the file was opened in a spreadsheet, and saved as a workbook.
    let names = ["_row", "_line", "_errors", "sku", "name", "brand", "description"];
    let again = sheet(0, &[&names, &["2", "2", "x", "re-1", "a", "b", "_error: #DIV/0!"]]);
    let import_again = import_with(&stack, &again, &json!({})).await;
    assert_eq!(stack.errors(&import_again.id).await[0].code, "cell_error");
    let mended = stack.rejected(&import).await.replace("_error: #DIV/0!", "whole");
    assert_eq!(import_with(&stack, mended.as_bytes(), &json!({})).await.rows.created, 1);
    stack.stop().await;
}
