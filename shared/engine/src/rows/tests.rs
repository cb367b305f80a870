use std::collections::BTreeMap;

use penstock_model::ImportOptions;

use super::*;

fn parse_text(text: &[u8], empty_cells: EmptyCells) -> Parsed<'static> {
    parse_as(Grammar::CSV, text, empty_cells)
}

fn parse_as(grammar: Grammar, text: &[u8], empty_cells: EmptyCells) -> Parsed<'static> {
    let columns = ["sku", "name", "brand", "cost", "colour"].map(str::to_owned).to_vec();
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
    let parsed = parse_text(b"\xef\xbb\xbfa,n,b,,\n", EmptyCells::Keep);
    assert_eq!(parsed.rows[0].key, "\u{feff}a");
}
