use std::collections::BTreeMap;

use penstock_model::ImportOptions;

use super::*;

fn parse_text(text: &[u8], empty_cells: EmptyCells) -> Parsed<'static> {
    parse_as(Grammar::CSV, text, empty_cells)
}

fn parse_as(grammar: Grammar, text: &[u8], empty_cells: EmptyCells) -> Parsed<'static> {
    parse_columns(&["sku", "name", "brand", "cost", "colour"], grammar, text, empty_cells)
}

fn parse_columns(columns: &[&str], grammar: Grammar, text: &[u8], empty_cells: EmptyCells) -> Parsed<'static> {
    let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    let mut plan =
        Plan::compile(crate::kinds::compiled("products"), grammar, &columns, &BTreeMap::new()).expect("columns");
    let options = ImportOptions { empty_cells, ..ImportOptions::default() };
    let job = Job::dry("1".parse().expect("valid"), "products".parse().expect("valid"), &options, grammar, columns);
    let chunk = Chunk {
        index: 0,
        first_row: 10,
        first_line: 20,
        offset: 0,
        bytes: text.len() as u64,
        rows: 0,
        body: Body::Rows(text.to_vec()),
    };
    let records = Records::of(&job, &chunk);
    let Parsed { rows, errors } = parse(&mut plan, &job, &records);
    let owned = |cells: Cells<'_>| cells.into_iter().map(|(field, cell)| (field, cell.map(Cell::into_owned))).collect();
    let rows = rows.into_iter().map(|row| Row { row: row.row, key: row.key, cells: owned(row.cells) }).collect();
    Parsed { rows, errors }
}

#[test]
fn every_bad_cell_of_a_row_is_named_with_row_and_line() {
    let parsed = parse_text(b"a,b,c,1,x\r\n\r\n\"two\nlines\",n,b,,\r\n,,b,x,\n", EmptyCells::Keep);
    assert_eq!(parsed.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [10, 11]);
    let found: Vec<_> = parsed.errors.iter().map(|e| (e.row, e.line, e.field.as_deref(), e.code.as_str())).collect();
    assert_eq!(
        found,
        [
            (12, 24, Some("sku"), "required"),
            (12, 24, Some("name"), "required"),
            (12, 24, Some("cost"), "invalid_number")
        ]
    );
}

#[test]
fn the_errors_of_a_row_name_its_record_as_the_row_does() {
    let keys = |grammar, text: &[u8]| {
        let parsed = parse_as(grammar, text, EmptyCells::Keep);
        parsed.errors.into_iter().map(|error| error.key).collect::<Vec<_>>()
    };
    let some = |key: &str| Some(key.to_owned());
    let long = "x".repeat(limits::ERROR_VALUE_CHARS + 1);
    let rows = format!("\"a,5%\",,b,,\n,n,b,,\na,b\n{long},,b,,\n");
    let cut = some(&long[1..]);
    assert_eq!(keys(Grammar::CSV, rows.as_bytes()), [some("a%2C5%25"), None, None, cut]);
    let rows = br#"{"name":"","Sku":"a\u0041","brand":"b"}
{"sku":7.50,"name":null,"brand":"b"}
{"sku":{"x":1},"name":"n","brand":"b"}
{"sku":null,"name":"n","brand":"b"}
[1]"#;
    let wanted = [some("aA"), some("7.50"), some("{\"x\":1}"), None, None];
    assert_eq!(keys(Grammar::Lines, rows), wanted);
    let rows = b"[12,null,\"b\"]\n[{\"date\":\"2026-11-21\"},null,\"b\"]\n[null,\"n\"]\n";
    assert_eq!(keys(Grammar::Sheet, rows), [some("12"), some("2026-11-21"), None, None]);
}

/// The column that a file of rejected rows adds for it tells the row of the first file, where that is a number.
#[test]
fn the_errors_of_a_rejected_row_name_its_row_of_the_first_file() {
    let columns = ["_row", "_line", "_errors", "sku", "name", "brand"];
    let rows = |grammar, text: &[u8]| {
        let parsed = parse_columns(&columns, grammar, text, EmptyCells::Keep);
        parsed.errors.iter().map(|error| (error.row, error.source_row)).collect::<Vec<_>>()
    };
    // The last one is not read as a whole; two errors of a row tell the same.
    let text = b"812,900,x,a,,b\n\"813\",,,,n,\n,,,a,,b\nx,,,a,,b\n0,,,a,,b\n814,,,a\n";
    let some = |row: u64, source: u64| (row, Some(source));
    let wanted = [some(10, 812), some(11, 813), some(11, 813), (12, None), (13, None), (14, None), some(15, 814)];
    assert_eq!(rows(Grammar::CSV, text), wanted);
    let text = br#"{"_row":812,"_line":9,"_errors":"x","sku":"a","name":"","brand":"b"}
{"sku":"a","name":"","brand":"b","_row":"813"}
{"sku":"a","name":"_row","brand":""}"#;
    assert_eq!(rows(Grammar::Lines, text), [some(10, 812), some(11, 813), (12, None)]);
    let text = b"[812,9,\"x\",\"a\",null,\"b\"]\n[\"813\",null,null,\"a\",null,\"b\"]\n";
    assert_eq!(rows(Grammar::Sheet, text), [some(10, 812), some(11, 813)]);
    // Elsewhere there is none.
    let plain = parse_text(b"a,,b,,\n", EmptyCells::Keep);
    assert_eq!(plain.errors[0].source_row, None);
}

#[test]
fn an_error_shows_a_member_alike_however_its_row_is_read() {
    // A nested value leaves the row to serde_json; a byte that is no UTF-8 leaves its neighbours as they are.
    for rest in ["", ",\"x\":{}"] {
        for before in [&b""[..], b"\xff\n"] {
            for (again, shown) in [("\"2\"", "2"), ("null", "null"), ("7", "7")] {
                let row = format!("{{\"sku\":\"1\",\"sku\":{again},\"name\":\"n\",\"brand\":\"b\"{rest}}}\n");
                let rows = [before, row.as_bytes()].concat();
                let error = parse_as(Grammar::Lines, &rows, EmptyCells::Keep).errors.pop().expect("a duplicate");
                assert_eq!((error.code.as_str(), error.value.as_deref()), ("duplicate_member", Some(shown)), "{row}");
            }
        }
    }
}

#[test]
fn what_follows_an_object_on_its_line_makes_it_no_row() {
    let row = r#"{"sku":"1","name":"n","brand":"b"}"#;
    for behind in [" x", "}", ",", " {}", ":"] {
        let found = parse_as(Grammar::Lines, format!("{row}{behind}\n{row} \r\n").as_bytes(), EmptyCells::Keep);
        let errors: Vec<_> = found.errors.iter().map(|error| (error.row, error.code.as_str())).collect();
        assert_eq!(errors, [(10, "invalid_json")], "{behind}");
        assert_eq!(found.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [11], "{behind}");
    }
}

#[test]
fn ragged_rows_invalid_utf8_and_nul_are_row_errors_and_the_file_goes_on() {
    let parsed = parse_text(b"a,b,c\n\xff,n,b,1,\nx\0,n,b,1,\nok,n,b,1,\xff\n", EmptyCells::Keep);
    let found: Vec<_> = parsed.errors.iter().map(|e| (e.row, e.line, e.code.as_str())).collect();
    assert_eq!(found, [(10, 20, "ragged_row"), (11, 21, "invalid_utf8"), (12, 22, "nul_byte")]);
    assert_eq!(parsed.rows.len(), 1);
}

#[test]
fn an_empty_cell_is_left_out_or_clears() {
    let keep = parse_text(b"a,n,b,,\n", EmptyCells::Keep);
    assert_eq!(keep.rows[0].cells.len(), 3);
    let clear = parse_text(b"a,n,b,,\n", EmptyCells::Clear);
    assert!(clear.rows[0].cells.contains(&(3, None)));
}

#[test]
fn a_byte_order_mark_inside_the_file_is_data() {
    let parsed = parse_text("\u{feff}a,\u{feff}n,b,,\n".as_bytes(), EmptyCells::Keep);
    let name = Cell::Text("\u{feff}n".into());
    assert_eq!((parsed.rows[0].key.as_str(), &parsed.rows[0].cells[1].1), ("a", &Some(name)));
}

/// Rows and errors: numbers and keys of the rows, then numbers, lines, keys and codes of the errors.
type Told<'a> = (Vec<(u64, &'a str)>, Vec<(u64, u64, Option<&'a str>, &'a str)>);

fn told<'a>(parsed: &'a Parsed<'_>) -> Told<'a> {
    let rows = parsed.rows.iter().map(|row| (row.row, row.key.as_str())).collect();
    let error = |error: &'a RowError| (error.row, error.line, error.key.as_deref(), error.code.as_str());
    (rows, parsed.errors.iter().map(error).collect())
}

#[test]
fn a_key_is_the_same_whatever_stands_invisibly_around_it() {
    let keys = ["A-1", "A-1 ", "\u{a0}A-1", "A-1\u{200b}", "\u{feff}A-1\u{feff}", "\tA-1"];
    let blanks = [" ", "\u{a0}", "\u{200b}", "\u{feff}\t"];
    let text = |key: &str| format!("{key},n,b,,\n");
    let member = |key: &str| serde_json::json!({ "sku": key, "name": "n", "brand": "b" }).to_string() + "\n";
    let cells = |key: &str| serde_json::json!([key, "n", "b"]).to_string() + "\n";
    let of = |write: &dyn Fn(&str) -> String| keys.iter().chain(&blanks).map(|key| write(key)).collect::<String>();
    for (grammar, file) in [(Grammar::CSV, of(&text)), (Grammar::Lines, of(&member)), (Grammar::Sheet, of(&cells))] {
        let parsed = parse_as(grammar, file.as_bytes(), EmptyCells::Clear);
        let (rows, errors) = told(&parsed);
        assert_eq!(rows, (10..16).map(|row| (row, "A-1")).collect::<Vec<_>>());
        assert_eq!(errors, (16..20).map(|row| (row, row + 10, None, "required")).collect::<Vec<_>>());
        assert!(parsed.rows.iter().all(|row| row.cells.contains(&(0, Some(Cell::Text("A-1".into()))))));
    }
}

#[test]
fn a_required_cell_says_something_and_any_other_keeps_its_white_space() {
    let parsed = parse_text("a, ,\u{a0},\u{a0},\n b ,n , b,,\n".as_bytes(), EmptyCells::Clear);
    let fields: Vec<_> = parsed.errors.iter().map(|e| (e.row, e.field.as_deref(), e.code.as_str())).collect();
    // A number of white space is no number, and clears nothing.
    let wanted =
        [(10, Some("name"), "required"), (10, Some("brand"), "required"), (10, Some("cost"), "invalid_number")];
    assert_eq!(fields, wanted);
    let texts: Vec<_> = parsed.rows[0].cells.iter().take(3).map(|(_, cell)| cell.clone()).collect();
    assert_eq!(texts, ["b", "n ", " b"].map(|text| Some(Cell::Text(text.into()))));
}

#[test]
fn rows_that_say_nothing_are_none_and_surplus_cells_that_say_nothing_neither() {
    let file = "a,n,b,,,\n,,,,\n \t,\"\",\u{a0}\nb,n,b,,,,\" \"\n\nc,n,b,,,x\nd,n,b,\ne,Screws, 100 pieces,b,1,\n";
    let parsed = parse_text(file.as_bytes(), EmptyCells::Keep);
    let (rows, errors) = told(&parsed);
    assert_eq!(rows, [(10, "a"), (11, "b")]);
    let ragged = [(12, 25), (13, 26), (14, 27)].map(|(row, line)| (row, line, None, "ragged_row"));
    assert_eq!(errors, ragged);
}

#[test]
fn columns_without_a_name_at_the_end_need_no_cells() {
    let columns = ["sku", "name", "", "brand", "", ""].map(str::to_owned);
    let plan = Plan::compile(crate::kinds::compiled("products"), Grammar::CSV, &columns, &BTreeMap::new());
    let mut plan = plan.expect("columns");
    let options = ImportOptions::default();
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let job = Job::dry(account, kind, &options, Grammar::CSV, columns.to_vec());
    let text = b"a,n,,b\nb,n,,b,x\nc,n,,b,,,\nd,n,\n,,,,,\ne,n,,b,,,x\n";
    let body = Body::Rows(text.to_vec());
    let chunk = Chunk { index: 0, first_row: 1, first_line: 2, offset: 0, bytes: text.len() as u64, rows: 5, body };
    let records = Records::of(&job, &chunk);
    let parsed = parse(&mut plan, &job, &records);
    let (rows, errors) = told(&parsed);
    assert_eq!(rows, [(1, "a"), (2, "b"), (3, "c")]);
    assert_eq!(errors, [(4, 5, None, "ragged_row"), (5, 7, None, "ragged_row")]);
}

#[test]
fn the_header_again_and_a_line_below_it_are_no_records() {
    let rows = [
        ["sku", "name", "brand", "cost", "colour"],
        ["---", "----", "-----", "-", "------"],
        [" sku", "name\u{200b}", "brand", "cost", "colour "],
        // These are records.
        ["sku", "name", "brand", "", "colour"],
        ["-", "-", "-", "", ""],
        ["---", "---", "---", "", ""],
        ["SKU", "name", "brand", "", "colour"],
        ["sku-1", "name", "brand", "", "colour"],
    ];
    let csv: String = rows.iter().map(|row| row.join(",") + "\n").collect();
    let sheet: String = rows.iter().map(|row| serde_json::json!(row).to_string() + "\n").collect();
    for (grammar, file) in [(Grammar::CSV, csv), (Grammar::Sheet, sheet)] {
        let parsed = parse_as(grammar, file.as_bytes(), EmptyCells::Keep);
        let (found, errors) = told(&parsed);
        let codes: Vec<_> = errors.iter().map(|(row, _, key, code)| (*row, *key, *code)).collect();
        let wanted = [(10, None, "repeated_header"), (11, None, "separator_row"), (12, None, "repeated_header")];
        assert_eq!(codes, wanted, "{grammar:?}");
        assert_eq!(found.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [13, 14, 15, 16, 17]);
    }
}

#[test]
fn a_key_whose_digits_a_spreadsheet_dropped_is_no_key() {
    let file = b"5.90123E+12,5.90123E+12,b,,\n\"5,90123E+12\",n,b,,\n1E5,n,b,,\n1.5E+2x,n,b,5.9E+12,\n";
    let parsed = parse_text(file, EmptyCells::Keep);
    let (rows, errors) = told(&parsed);
    assert_eq!(rows, [(12, "1E5"), (13, "1.5E+2x")]);
    let key = |key| Some(key);
    let wanted = [(10, 20, key("5.90123E+12"), "scientific_key"), (11, 21, key("5%2C90123E+12"), "scientific_key")];
    assert_eq!(errors, wanted);
    assert_eq!(parsed.errors[0].field.as_deref(), Some("sku"));
    // A JSON string was written by no spreadsheet.
    let row = br#"{"sku":"5.90123E+12","name":"n","brand":"b"}"#;
    assert!(parse_as(Grammar::Lines, row, EmptyCells::Keep).errors.is_empty());
}

/// A kind whose rules look at several cells, and what a chunk of it comes to: by `parse`, which `check` agrees with.
fn ruled(grammar: Grammar, text: &[u8], options: &ImportOptions) -> Parsed<'static> {
    let document = br#"{ "name": "offers", "primaryKey": "sku", "fields": [{ "name": "sku" },
        { "name": "cost", "type": "number" }, { "name": "msrp", "type": "number", "default": "1" },
        { "name": "from", "type": "date" }, { "name": "to", "type": "date" }, { "name": "tags", "type": "list" }],
        "rules": [
            { "rule": "msrp == null || cost == null || msrp >= cost", "message": "must not be below cost", "fields": ["msrp"] },
            { "rule": "from == null || to == null || from <= to", "message": "the offer ends before it begins" },
            { "rule": "cost != null || msrp != null || size(sku) == 1", "message": "one of them is needed" }] }"#;
    let schema = crate::kind::Kind::parse(document).expect("a schema");
    let kind = crate::kind::Kind::register(&schema, &"1".parse().expect("valid")).expect("a kind");
    let columns: Vec<String> = ["sku", "cost", "msrp", "from", "to", "tags"].map(str::to_owned).into();
    let mut plan = Plan::compile(kind, grammar, &columns, &BTreeMap::new()).expect("columns");
    let job = Job::dry("1".parse().expect("valid"), "offers".parse().expect("valid"), options, grammar, columns);
    let bytes = text.len() as u64;
    let (index, first_row, first_line, offset, rows) = (0, 1, 2, 0, 0);
    let chunk = Chunk { index, first_row, first_line, offset, bytes, rows, body: Body::Rows(text.to_vec()) };
    let records = Records::of(&job, &chunk);
    let mut keys = Vec::new();
    let all = each_key(&mut plan.keyed(), &job, &records, |key| {
        keys.push(key.to_owned());
        std::ops::ControlFlow::<()>::Continue(())
    });
    assert!(all.is_ok(), "{all:?}");
    let checked = check(&mut plan.clone(), &job, &records);
    let Parsed { rows, errors } = parse(&mut plan, &job, &records);
    assert_eq!((checked.accepted, &checked.errors), (rows.len() as u64, &errors));
    let failed = RowError::by_row(&errors).count();
    assert_eq!(keys.len(), rows.len() + failed, "a row that breaks a rule names its record");
    let owned = |cells: Cells<'_>| cells.into_iter().map(|(field, cell)| (field, cell.map(Cell::into_owned))).collect();
    let rows = rows.into_iter().map(|row| Row { row: row.row, key: row.key, cells: owned(row.cells) }).collect();
    Parsed { rows, errors }
}

#[test]
fn a_row_that_breaks_rules_is_rejected_with_their_messages_and_fields_in_every_format() {
    let csv = "A,5,4.99,2026-02-01,2026-01-01,\nB,5,5,,,x\nC,x,1,,,\nDD,,,2026-02-01,,\nE,,,,,\n\"F,1\",9,\"8\",,,\n";
    let lines = r#"{"sku":"A","cost":5,"msrp":4.99,"from":"2026-02-01","to":"2026-01-01"}
{"sku":"B","cost":5,"msrp":"5","tags":["x"]}
{"sku":"C","cost":"x","msrp":1}
{"from":"2026-02-01","sku":"DD","cost":null}
{"sku":"E"}
{"sku":"F,1","tags":[],"cost":9,"msrp":"\u0038"}
"#;
    let sheet = "[\"A\",5,4.99,{\"date\":\"2026-02-01\"},\"2026-01-01\"]\n[\"B\",5,5]\n[\"C\",\"x\",1]\n[\"DD\"]\n[\"E\"]\n\
                 [\"F,1\",9,\"8\"]\n";
    for (grammar, text) in [(Grammar::CSV, csv), (Grammar::Lines, lines), (Grammar::Sheet, sheet)] {
        let Parsed { rows, errors } = ruled(grammar, text.as_bytes(), &ImportOptions::default());
        assert_eq!(rows.iter().map(|row| &*row.key).collect::<Vec<_>>(), ["B", "E"], "{text}");
        let found: Vec<_> = errors
            .iter()
            .map(|error| (error.row, &*error.code, error.key.as_deref(), error.field.as_deref(), &*error.message))
            .collect();
        let [a, f] = [Some("A"), Some("F%2C1")];
        let below = "`msrp`: must not be below cost";
        let wanted = [
            (1, "rule_broken", a, Some("msrp"), below),
            (1, "rule_broken", a, Some("from"), "`from`, `to`: the offer ends before it begins"),
            // What has a bad cell is not judged by rules.
            (3, "invalid_number", Some("C"), Some("cost"), found[2].4),
            (4, "rule_broken", Some("DD"), Some("cost"), "`cost`, `msrp`, `sku`: one of them is needed"),
            (6, "rule_broken", f, Some("msrp"), below),
        ];
        assert_eq!(found, wanted, "{text}");
        let values: Vec<_> = errors.iter().map(|error| error.value.as_deref()).collect();
        assert_eq!(values[0], Some("4.99"), "{text}");
        assert_eq!((values[1], values[4]), (Some("2026-02-01"), Some("8")), "{text}");
        assert!(matches!(values[3], None | Some("")), "{text}: {:?}", values[3]);
    }
}

#[test]
fn a_rule_sees_what_the_row_says_whatever_becomes_of_its_cells() {
    for empty_cells in [EmptyCells::Keep, EmptyCells::Clear] {
        let options = ImportOptions { empty_cells, ..ImportOptions::default() };
        // An empty cell is null whether it keeps or clears; the default of `msrp`, 1, is below the cost.
        let Parsed { rows, errors } = ruled(Grammar::CSV, b"A,5,,,,\nBB,,,,,\n", &options);
        assert_eq!(rows.iter().map(|row| &*row.key).collect::<Vec<_>>(), ["A"], "{errors:?}");
    }
    let text = br#"{"sku":"A","cost":5}
{"sku":"BB"}"#;
    assert_eq!(ruled(Grammar::Lines, text, &ImportOptions::default()).rows.len(), 1);
}
