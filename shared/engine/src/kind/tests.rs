//! Cells of every type, and schemas that make no sense.

use std::borrow::Cow;

use penstock_model::limits;

use super::*;
use crate::cell::Input;

/// The only field of a kind besides its key, of this definition.
fn field(definition: &str) -> FieldCheck {
    compile(&format!(r#"{{ "name": "f", {definition} }}"#)).unwrap_or_else(|error| panic!("{definition}: {error}"))
}

fn compile(field: &str) -> Result<FieldCheck, SchemaError> {
    let document = format!(r#"{{ "name": "t", "primaryKey": "k", "fields": [{{ "name": "k" }}, {field}] }}"#);
    Ok(kind(&document)?.field(1).clone())
}

fn kind(document: &str) -> Result<Kind, SchemaError> {
    Kind::compile(&Kind::parse(document.as_bytes())?, &"acme".parse().expect("valid"))
}

/// What a cell becomes: JSON, `null` for nothing; or the code of its first error.
fn becomes(field: &FieldCheck, input: Input<'_>) -> String {
    match field.check(input) {
        Ok(None) => "null".to_owned(),
        Ok(Some(cell)) => serde_json::to_string(&Value::from(cell)).expect("JSON"),
        Err(errors) => errors[0].code.to_owned(),
    }
}

#[test]
fn cells_of_every_type_become_values_or_say_why_not() {
    let cells: &[(&str, &[(&str, &str)])] = &[
        (
            r#""type": "string", "constraints": { "minLength": 2, "maxLength": 3 }"#,
            &[("äöü", r#""äöü""#), (" 0", r#"" 0""#), ("a", "too_short"), ("abcd", "too_long"), ("", "null")],
        ),
        (
            r#""type": "string", "constraints": { "pattern": "[a-z]+|\\d{2}" }"#,
            &[
                ("ab", r#""ab""#),
                ("12", r#""12""#),
                ("ab1", "pattern_mismatch"),
                ("1ab", "pattern_mismatch"),
                ("ab\n", "pattern_mismatch"),
            ],
        ),
        (
            r#""type": "string", "constraints": { "enum": ["a", "b"], "required": true }"#,
            &[("a", r#""a""#), ("A", "not_in_enum"), ("", "required")],
        ),
        (
            r#""type": "string", "format": "email""#,
            &[
                ("john.o'neil+x@mail.example.org", r#""john.o'neil+x@mail.example.org""#),
                ("jörg@exämple.org", r#""jörg@exämple.org""#),
                ("john", "invalid_email"),
                ("john@localhost", "invalid_email"),
                ("a@b@example.org", "invalid_email"),
                (".a@example.org", "invalid_email"),
                ("a b@example.org", "invalid_email"),
                ("a@-x.org", "invalid_email"),
                ("a@10.0.0.1", "invalid_email"),
            ],
        ),
        (
            r#""type": "string", "format": "uri""#,
            &[
                ("https://example.org/a%20b?q=1#x", r#""https://example.org/a%20b?q=1#x""#),
                ("urn:isbn:1", r#""urn:isbn:1""#),
                ("example.org", "invalid_uri"),
                ("https://a b", "invalid_uri"),
                ("https://a/%zz", "invalid_uri"),
                ("1a:b", "invalid_uri"),
            ],
        ),
        (
            r#""type": "string", "format": "uuid""#,
            &[
                ("2bc1c94f-0deb-43e9-92a1-4775189EC9f8", r#""2bc1c94f-0deb-43e9-92a1-4775189EC9f8""#),
                ("2bc1c94f0deb43e992a14775189ec9f8", "invalid_uuid"),
            ],
        ),
        (
            r#""type": "string", "format": "gtin""#,
            &[
                ("96385074", r#""96385074""#),
                ("012345678905", r#""012345678905""#),
                ("00012345678905", r#""00012345678905""#),
                ("012345678906", "invalid_gtin"),
                ("0123456789", "invalid_gtin"),
                ("01234567890５", "invalid_gtin"),
            ],
        ),
        (
            r#""type": "string", "format": "ean""#,
            &[("4006381333931", r#""4006381333931""#), ("012345678905", "invalid_ean")],
        ),
        (
            r#""type": "number", "constraints": { "minimum": 0.00001, "maximum": "10", "maxScale": 6 }"#,
            &[
                (" 9.90 ", "9.9"),
                ("1e-5", "0.00001"),
                ("0.000001", "too_small"),
                ("10.01", "too_large"),
                ("1.0000001", "too_precise"),
                ("1.0000000", "1"),
                ("9,90", "other_decimal_char"),
                ("1,234", "invalid_number"),
                ("1,234.5", "invalid_number"),
                ("1.234,5", "other_decimal_char"),
                ("1.234.567", "other_decimal_char"),
                ("NaN", "invalid_number"),
                ("INF", "invalid_number"),
                ("1_0", "invalid_number"),
                ("€5", "invalid_number"),
                (" ", "invalid_number"),
            ],
        ),
        (
            r#""type": "number", "decimalChar": ",", "groupChar": ".""#,
            &[
                ("1.234.567,80", "1234567.8"),
                ("-12.34.567", "-1234567"),
                ("0,5", "0.5"),
                ("1,2,3", "invalid_number"),
                ("1234.567", "other_decimal_char"),
                ("1.5", "other_decimal_char"),
                ("1,234.5", "other_decimal_char"),
                ("1..234", "invalid_number"),
                ("1.234.", "invalid_number"),
            ],
        ),
        (r#""type": "number", "decimalChar": ",""#, &[("1,5", "1.5"), ("1.5", "other_decimal_char")]),
        (
            r#""type": "number", "bareNumber": false, "groupChar": ",""#,
            &[
                ("$1,234.50", "1234.5"),
                ("-€5 EUR", "invalid_number"),
                ("EUR -5.5", "-5.5"),
                ("95%", "95"),
                ("$.5", "0.5"),
                ("5-", "invalid_number"),
                ("(5)", "invalid_number"),
                ("EUR", "invalid_number"),
            ],
        ),
        (
            r#""type": "number", "constraints": { "exclusiveMinimum": "0", "exclusiveMaximum": 1 }"#,
            &[("0", "too_small"), ("0.001", "0.001"), ("0.999", "0.999"), ("1.0", "too_large")],
        ),
        (
            r#""type": "date", "constraints": { "exclusiveMinimum": "2024-01-01", "exclusiveMaximum": "2024-01-03" }"#,
            &[("2024-01-01", "too_small"), ("2024-01-02", r#""2024-01-02""#), ("2024-01-03", "too_large")],
        ),
        (r#""missingValues": [{ "value": "n/a" }]"#, &[("n/a", "null"), ("", r#""""#)]),
        (r#""type": "list""#, &[("a, b", r#"["a"," b"]"#), ("a", r#"["a"]"#), ("", "null")]),
        (
            r#""type": "list", "itemType": "date", "delimiter": "; ", "constraints": { "maxLength": 2 }"#,
            &[
                ("2024-01-01; 2024-1-2", r#"["2024-01-01","2024-01-02"]"#),
                ("2024-01-01;2024-01-02", "invalid_date"),
                ("2024-01-01; 2024-01-02; 2024-01-03", "too_long"),
            ],
        ),
        (
            r#""type": "integer", "categories": [1, { "value": 2, "label": "two" }]"#,
            &[("2", "2"), ("3", "not_in_enum")],
        ),
        (
            r#""type": "integer", "constraints": { "enum": [1, "2", 9223372036854775807] }"#,
            &[
                (" 1", "1"),
                ("02", "2"),
                ("3", "not_in_enum"),
                ("1.0", "invalid_integer"),
                ("9223372036854775807", "9223372036854775807"),
                ("9223372036854775808", "invalid_integer"),
            ],
        ),
        (r#""type": "integer", "groupChar": ".""#, &[("1.234", "1234"), ("1,2", "invalid_integer")]),
        (r#""type": "boolean""#, &[("TRUE", "true"), ("0", "false"), (" true ", "true"), ("yes", "invalid_boolean")]),
        (
            r#""type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"]"#,
            &[("ja", "true"), ("nein", "false"), ("true", "invalid_boolean")],
        ),
        (
            r#""type": "date", "constraints": { "minimum": "2020-01-01", "maximum": "2029-12-31" }"#,
            &[
                ("2024-02-29", r#""2024-02-29""#),
                ("2024-2-9", r#""2024-02-09""#),
                ("2023-02-29", "invalid_date"),
                ("2024-02-29T00:00:00", "invalid_date"),
                ("24-02-09", "invalid_date"),
                (" 2024-02-09", "invalid_date"),
                ("2019-12-31", "too_small"),
                ("2030-01-01", "too_large"),
            ],
        ),
        (
            r#""type": "date", "format": "%d/%m/%y", "constraints": { "enum": ["31/1/26"] }"#,
            &[("31/01/26", r#""2026-01-31""#), ("01/02/69", "not_in_enum"), ("01/02/2026", "invalid_date")],
        ),
        (
            r#""type": "date", "format": "%d. %B %Y""#,
            &[("5. march 2026", r#""2026-03-05""#), ("5. Mar 2026", "invalid_date")],
        ),
        (r#""type": "date", "format": "%Y%j""#, &[("2026366", "invalid_date"), ("2024366", r#""2024-12-31""#)]),
        (
            r#""type": "datetime", "constraints": { "minimum": "2026-01-01T00:00:00Z" }"#,
            &[
                ("2026-01-31T09:30:00Z", r#""2026-01-31T09:30:00Z""#),
                ("2026-01-31T09:30:00.500+01:00", r#""2026-01-31T08:30:00.5Z""#),
                ("2026-01-31 09:30:00", r#""2026-01-31T09:30:00""#),
                ("2026-01-01T00:30:00+01:00", "too_small"),
                ("2026-01-31T09:30", "invalid_datetime"),
                ("2026-01-31T24:00:00", "invalid_datetime"),
                ("2026-01-31", "invalid_datetime"),
                ("0000-01-31T09:30:00Z", "invalid_datetime"),
                ("2026-01-31T09:30:00é", "invalid_datetime"),
            ],
        ),
        (
            r#""type": "datetime", "format": "%m/%d/%Y %I:%M %p""#,
            &[("1/31/2026 12:05 AM", r#""2026-01-31T00:05:00""#), ("1/31/2026 13:05 AM", "invalid_datetime")],
        ),
        (
            r#""type": "time""#,
            &[
                ("09:30:00", r#""09:30:00""#),
                ("00:30:00+01", r#""23:30:00Z""#),
                ("09:30", "invalid_time"),
                ("9:30:00", "invalid_time"),
            ],
        ),
        (r#""type": "time", "format": "%H:%M""#, &[("9:30", r#""09:30:00""#), ("25:00", "invalid_time")]),
        (
            r#""type": "year", "constraints": { "minimum": 1900 }"#,
            &[
                ("2026", "2026"),
                ("26", "invalid_year"),
                ("1899", "too_small"),
                ("+202", "invalid_year"),
                ("12026", "invalid_year"),
            ],
        ),
        (
            r#""type": "array", "constraints": { "maxLength": 2 }"#,
            &[
                (r#" [1.50, {"a": null}] "#, r#"[1.5,{"a":null}]"#),
                ("[1,2,3]", "too_long"),
                ("{}", "invalid_array"),
                ("[1", "invalid_array"),
                ("[1] x", "invalid_array"),
                ("1", "invalid_array"),
                (r#"["\ud800"]"#, "invalid_utf8"),
                (r#"["\u0000"]"#, "nul_byte"),
                ("[1e99]", "invalid_number"),
            ],
        ),
        (
            r#""type": "object", "constraints": { "minLength": 1 }"#,
            &[
                (r#"{"b":1,"a":"x"}"#, r#"{"a":"x","b":1}"#),
                ("{}", "too_short"),
                ("[]", "invalid_object"),
                (r#"{"":1}"#, "invalid_object"),
            ],
        ),
        (r#""type": "any""#, &[("01", r#""01""#), ("[1]", r#""[1]""#), ("", "null")]),
    ];
    for (definition, cells) in cells {
        let field = field(definition);
        for (cell, expected) in *cells {
            assert_eq!(becomes(&field, Input::Text(cell)), *expected, "{definition}: {cell:?}");
        }
    }
}

#[test]
fn json_values_are_taken_as_what_they_are() {
    use Input::{Boolean, Json, Null, Number, Text};
    let cells: &[(&str, &[(Input<'_>, &str)])] = &[
        (
            "string",
            &[(Number("0.10"), r#""0.10""#), (Boolean(true), "wrong_type"), (Json("[]"), "wrong_type"), (Null, "null")],
        ),
        (
            "number",
            &[
                (Number("1.50"), "1.5"),
                (Text("1.50"), "1.5"),
                (Boolean(true), "wrong_type"),
                (Number("1e99"), "invalid_number"),
            ],
        ),
        (
            "integer",
            &[
                (Number("5.0"), "5"),
                (Number("5.5"), "invalid_integer"),
                (Number("1e19"), "invalid_integer"),
                (Text("5"), "5"),
            ],
        ),
        (
            "boolean",
            &[(Boolean(false), "false"), (Text("1"), "true"), (Number("1"), "true"), (Number("2"), "invalid_boolean")],
        ),
        ("date", &[(Text("2026-01-31"), r#""2026-01-31""#), (Number("20260131"), "wrong_type")]),
        ("datetime", &[(Json("{}"), "wrong_type")]),
        ("year", &[(Number("2026"), "2026"), (Number("10000"), "invalid_year"), (Boolean(true), "wrong_type")]),
        (
            "array",
            &[(Json("[1]"), "[1]"), (Text("[1]"), "[1]"), (Json("{}"), "wrong_type"), (Number("1"), "wrong_type")],
        ),
        ("object", &[(Json(r#"{"a":1}"#), r#"{"a":1}"#), (Json("[]"), "wrong_type"), (Boolean(true), "wrong_type")]),
        (
            "any",
            &[
                (Number("1.0"), "1"),
                (Boolean(true), "true"),
                (Json("[null]"), "[null]"),
                (Text("x"), r#""x""#),
                (Null, "null"),
            ],
        ),
    ];
    for (field_type, cells) in cells {
        let field = field(&format!(r#""type": "{field_type}""#));
        for (input, expected) in *cells {
            assert_eq!(becomes(&field, *input), *expected, "{field_type}: {input:?}");
        }
    }
}

#[test]
fn nothing_is_nested_deeper_than_the_table_stores() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let field_of = |definition: &str| field(definition);
    let array = field_of(r#""type": "array""#);
    assert!(array.check(Input::Json(&nested(limits::NESTING))).is_ok());
    assert_eq!(becomes(&array, Input::Json(&nested(limits::NESTING + 1))), "too_deep");
    assert_eq!(becomes(&array, Input::Json(&nested(10_000))), "too_deep");
    let items = field_of(r#""type": "array", "itemSchema": { "fields": [{ "name": "a", "type": "array" }] }"#);
    let item = |depth| format!(r#"[{{"a":{}}}]"#, nested(depth));
    assert!(items.check(Input::Json(&item(limits::NESTING - 2))).is_ok());
    assert_eq!(becomes(&items, Input::Json(&item(limits::NESTING - 1))), "too_deep");
}

#[test]
fn items_are_checked_by_their_own_schema() {
    let items = field(
        r#""type": "array", "itemSchema": { "fields": [
            { "name": "sku", "constraints": { "required": true, "maxLength": 2 } }, { "name": "n", "type": "integer", "default": 1 },
            { "name": "at", "scope": "account" }
        ] }"#,
    );
    let taken = becomes(&items, Input::Json(r#"[{"sku":"A","more":1,"at":"L"},{"n":"2","sku":"B"}]"#));
    assert_eq!(taken, r#"[{"at":"acme-L","n":1,"sku":"A"},{"n":2,"sku":"B"}]"#);
    assert_eq!(becomes(&items, Input::Json(r#"[{"sku":"A","sku":"B"}]"#)), "wrong_type");
    let errors = items.check(Input::Text(r#"[{"sku":"ABC","n":"x"},[]]"#)).expect_err("bad");
    let found: Vec<_> = errors.iter().map(|error| (error.path.as_str(), error.code)).collect();
    assert_eq!(found, [("[0].sku", "too_long"), ("[0].n", "invalid_integer"), ("[1]", "wrong_type")]);
    let many = format!("[{}]", vec!["{}"; 10_000].join(","));
    assert_eq!(items.check(Input::Json(&many)).expect_err("all bad").len(), limits::CELL_ERRORS);
}

#[test]
fn a_message_names_the_rule_and_never_the_cell() {
    for (definition, cell, message) in [
        (r#""constraints": { "pattern": "[a-z]+" }"#, "S3CRET", "does not match the pattern `[a-z]+`, as `a` does"),
        (r#""constraints": { "enum": ["a", "b"] }"#, "S3CRET", "none of `a`, `b`"),
        (r#""type": "integer", "constraints": { "enum": [1, 2] }"#, "3", "none of 1, 2"),
        (r#""type": "date", "format": "%d/%m/%Y""#, "S3CRET", "not a date: write it like 31/01/2026 (`%d/%m/%Y`)"),
        (
            r#""type": "number", "decimalChar": ",", "groupChar": ".""#,
            "S3CRET",
            "not a number; write it as 1.234,56, without currency",
        ),
    ] {
        let errors = field(definition).check(Input::Text(cell)).expect_err(definition);
        assert_eq!(errors[0].message, message);
    }
}

#[test]
fn a_cell_that_is_kept_as_it_is_is_not_copied() {
    for (field_type, cell) in [("string", "text"), ("date", "2026-01-31"), ("any", "text")] {
        let taken = field(&format!(r#""type": "{field_type}""#)).check(Input::Text(cell)).expect("taken");
        assert!(matches!(taken, Some(Cell::Text(Cow::Borrowed(_)))), "{field_type}");
    }
}

#[test]
fn missing_values_hold_nothing_and_are_compared_as_they_are() {
    let document = r#"{ "name": "t", "primaryKey": "k", "missingValues": ["-", "NA"], "fields": [{ "name": "k" }, { "name": "n" }] }"#;
    let kind = kind(document).expect("valid");
    for (cell, expected) in [("-", "null"), ("NA", "null"), (" NA", r#"" NA""#), ("", r#""""#)] {
        assert_eq!(becomes(kind.field(1), Input::Text(cell)), expected, "{cell}");
    }
}

#[test]
fn a_key_takes_defaults_and_scopes() {
    let mut kind = kind(
        r#"{ "name": "t", "primaryKey": ["a", "c", "d"], "additionalFields": "keep", "fields": [
            { "name": "a", "scope": "account" }, { "name": "b", "default": { "from": "c" } }, { "name": "c", "default": "ALL" },
            { "name": "d", "type": "number", "constraints": { "required": false, "unique": true } }
        ] }"#,
    )
    .expect("valid");
    assert!(kind.field(0).is_required() && !kind.field(2).is_required() && !kind.field(3).is_required());
    let cell = kind.field(0).check(Input::Text("x,y")).expect("taken").map(Cell::into_owned);
    let text = |text: &'static str| Some(Cell::Text(text.into()));
    assert_eq!(cell, text("acme-x,y"));
    assert_eq!(kind.key_of(&[(0, cell.clone())]), "acme-x%2Cy,ALL,");
    assert_eq!(kind.key_of(&[(0, cell.clone()), (2, None)]), "acme-x%2Cy,ALL,");
    assert_eq!(kind.key_of(&[(2, text("C")), (0, cell.clone())]), "acme-x%2Cy,C,");
    assert_eq!(kind.defaults(&[(0, cell.clone())]), [(1, text("ALL")), (2, text("ALL"))]);
    assert_eq!(kind.defaults(&[(0, cell.clone()), (2, text("C"))]), [(1, text("C"))]);
    assert_eq!(kind.defaults(&[(1, None), (2, None)]), []);
    let added = kind.add_field("more");
    assert_eq!((kind.add_field("more"), kind.index_of("more"), kind.fields().len()), (added, Some(added), 5));
    assert_eq!(kind.add_field("b"), 1);
}

#[test]
fn a_schema_that_is_refused_names_the_place() {
    let fields = [
        (r#"{ "name": "f", "type": "geopoint" }"#, "/fields/1/type"),
        (r#"{ "name": "f", "type": "yearmonth" }"#, "/fields/1/type"),
        (r#"{ "name": "f", "decimal_char": "," }"#, "/fields/1/decimal_char"),
        (r#"{ "name": "f", "constraints": { "jsonSchema": {} } }"#, "/fields/1/constraints/jsonSchema"),
        (r#"{ "name": "f", "constraints": { "MaxLength": 1 } }"#, "/fields/1/constraints/MaxLength"),
        (r#"{ "name": "f", "type": "list", "itemType": "array" }"#, "/fields/1/itemType"),
        (r#"{ "name": "f", "type": "list", "delimiter": "" }"#, "/fields/1/delimiter"),
        (r#"{ "name": "f", "type": "number", "categories": [1] }"#, "/fields/1/categories"),
        (r#"{ "name": "f", "type": "integer", "categories": [1, { "value": "x" }] }"#, "/fields/1/categories/1"),
        (r#"{ "name": "f", "constraints": { "exclusiveMinimum": 1 } }"#, "/fields/1/constraints/exclusiveMinimum"),
        (r#"{ "type": "string" }"#, "/fields/1"),
        (r#"{ "name": "" }"#, "/fields/1/name"),
        (r#"{ "name": "k" }"#, "/fields/1/name"),
        (r#"{ "name": "f", "constraints": { "unique": true } }"#, "/fields/1/constraints/unique"),
        (r#"{ "name": "f", "constraints": { "minLength": -1 } }"#, "/fields/1/constraints/minLength"),
        (r#"{ "name": "f", "constraints": { "minLength": 2, "maxLength": 1 } }"#, "/fields/1/constraints/maxLength"),
        (r#"{ "name": "f", "constraints": { "minimum": 1 } }"#, "/fields/1/constraints/minimum"),
        (r#"{ "name": "f", "constraints": { "pattern": "(" } }"#, "/fields/1/constraints/pattern"),
        (r#"{ "name": "f", "constraints": { "pattern": "a)|(?:b" } }"#, "/fields/1/constraints/pattern"),
        (r#"{ "name": "f", "constraints": { "pattern": "(?=a)" } }"#, "/fields/1/constraints/pattern"),
        (r#"{ "name": "f", "constraints": { "pattern": "(\\w{100}){100}" } }"#, "/fields/1/constraints/pattern"),
        (r#"{ "name": "f", "constraints": { "enum": [] } }"#, "/fields/1/constraints/enum"),
        (r#"{ "name": "f", "constraints": { "enum": [null] } }"#, "/fields/1/constraints/enum/0"),
        (r#"{ "name": "f", "type": "integer", "constraints": { "enum": [1, "x"] } }"#, "/fields/1/constraints/enum/1"),
        (r#"{ "name": "f", "type": "number", "constraints": { "minimum": "x" } }"#, "/fields/1/constraints/minimum"),
        (
            r#"{ "name": "f", "type": "number", "constraints": { "minimum": 2, "maximum": 1 } }"#,
            "/fields/1/constraints/maximum",
        ),
        (r#"{ "name": "f", "type": "date", "constraints": { "maximum": "x" } }"#, "/fields/1/constraints/maximum"),
        (r#"{ "name": "f", "type": "array", "constraints": { "pattern": "x" } }"#, "/fields/1/constraints/pattern"),
        (r#"{ "name": "f", "type": "array", "constraints": { "enum": ["[]"] } }"#, "/fields/1/constraints/enum"),
        (r#"{ "name": "f", "format": "binary" }"#, "/fields/1/format"),
        (r#"{ "name": "f", "type": "date", "format": "any" }"#, "/fields/1/format"),
        (r#"{ "name": "f", "type": "date", "format": "%d.%m." }"#, "/fields/1/format"),
        (r#"{ "name": "f", "type": "date", "format": "%Q" }"#, "/fields/1/format"),
        (r#"{ "name": "f", "type": "time", "format": "%I:%M" }"#, "/fields/1/format"),
        (r#"{ "name": "f", "type": "number", "format": "x" }"#, "/fields/1/format"),
        (r#"{ "name": "f", "type": "number", "decimalChar": ",,"}"#, "/fields/1/decimalChar"),
        (r#"{ "name": "f", "type": "number", "groupChar": "." }"#, "/fields/1/groupChar"),
        (r#"{ "name": "f", "decimalChar": "," }"#, "/fields/1/decimalChar"),
        (r#"{ "name": "f", "type": "number", "decimalChar": "5" }"#, "/fields/1/decimalChar"),
        (r#"{ "name": "f", "trueValues": ["x"] }"#, "/fields/1/trueValues"),
        (r#"{ "name": "f", "type": "boolean", "falseValues": ["x", "1"] }"#, "/fields/1/falseValues/1"),
        (r#"{ "name": "f", "type": "number", "scope": "account" }"#, "/fields/1/scope"),
        (r#"{ "name": "f", "scope": "planet" }"#, "/fields/1/scope"),
        (r#"{ "name": "f", "type": "integer", "default": "x" }"#, "/fields/1/default"),
        (r#"{ "name": "f", "default": "" }"#, "/fields/1/default"),
        (r#"{ "name": "f", "default": [1] }"#, "/fields/1/default"),
        (r#"{ "name": "f", "default": { "from": "k", "as": "moon" } }"#, "/fields/1/default"),
        (r#"{ "name": "f", "default": "x", "constraints": { "required": true } }"#, "/fields/1/default"),
        (r#"{ "name": "f", "default": { "from": "x" } }"#, "/fields/1/default/from"),
        (r#"{ "name": "f", "default": { "from": "f" } }"#, "/fields/1/default/from"),
        (r#"{ "name": "f", "type": "number", "default": { "from": "k" } }"#, "/fields/1/default/from"),
        (r#"{ "name": "f", "default": { "from": "k" }, "constraints": { "maxLength": 1 } }"#, "/fields/1/default/from"),
        (r#"{ "name": "f", "default": { "from": "k", "as": "isoWeek" } }"#, "/fields/1/default/as"),
        (r#"{ "name": "f", "default": { "from": "g" } }, { "name": "g" }"#, "/fields/1/default/from"),
        (
            r#"{ "name": "f", "default": { "from": "g" } }, { "name": "g", "default": { "from": "f" } }"#,
            "/fields/1/default/from",
        ),
        (r#"{ "name": "f", "itemSchema": { "fields": [{ "name": "a" }] } }"#, "/fields/1/itemSchema"),
        (r#"{ "name": "f", "type": "array", "itemSchema": { "fields": [] } }"#, "/fields/1/itemSchema/fields"),
        (
            r#"{ "name": "f", "type": "array", "itemSchema": { "fields": [{ "name": "a", "default": { "from": "a" } }] } }"#,
            "/fields/1/itemSchema/fields/0/default",
        ),
        (
            r#"{ "name": "f", "type": "array", "itemSchema": { "fields": [{ "name": "a", "constraints": { "pattern": "[" } }] } }"#,
            "/fields/1/itemSchema/fields/0/constraints/pattern",
        ),
    ];
    for (field, pointer) in fields {
        let error = compile(field).expect_err(field);
        assert_eq!(error.pointer, pointer, "{field}: {error}");
        assert!(!error.message.is_empty());
    }
    let documents = [
        ("", ""),
        ("1", ""),
        (r#"{ "name": "t", "primaryKey": "k", "fields": [{ "name": "k" }] } x"#, ""),
        (r#"{ "name": "T", "primaryKey": "k", "fields": [{ "name": "k" }] }"#, "/name"),
        (r#"{ "name": "t", "fields": [{ "name": "k" }] }"#, "/primaryKey"),
        (r#"{ "name": "t", "primaryKey": "k", "fieldsMatch": "exact", "fields": [{ "name": "k" }] }"#, "/fieldsMatch"),
        (
            r#"{ "name": "t", "primaryKey": "k", "uniqueKeys": [["f"]], "fields": [{ "name": "k" }, { "name": "f" }] }"#,
            "/uniqueKeys",
        ),
        (r#"{ "name": "t", "primaryKey": "k", "fields": [] }"#, "/fields"),
        (r#"{ "name": "t", "primaryKey": [], "fields": [{ "name": "k" }] }"#, "/primaryKey"),
        (r#"{ "name": "t", "primaryKey": 1, "fields": [{ "name": "k" }] }"#, "/primaryKey"),
        (r#"{ "name": "t", "primaryKey": ["k", "x"], "fields": [{ "name": "k" }] }"#, "/primaryKey/1"),
        (r#"{ "name": "t", "primaryKey": ["k", "k"], "fields": [{ "name": "k" }] }"#, "/primaryKey/1"),
        (r#"{ "name": "t", "primaryKey": "k", "fields": [{ "name": "k", "type": "array" }] }"#, "/primaryKey/0"),
        (r#"{ "name": "t", "primaryKey": "k", "fields": [{ "name": "k", "default": "x" }] }"#, "/primaryKey"),
        (r#"{ "name": "t", "primaryKey": "k", "primary-key": [], "fields": [{ "name": "k" }] }"#, "/primary-key"),
        (
            r#"{ "name": "t", "primaryKey": "k", "additionalFields": "lose", "fields": [{ "name": "k" }] }"#,
            "/additionalFields",
        ),
        (r#"{ "name": "t", "primaryKey": "k", "columnNames": "near", "fields": [{ "name": "k" }] }"#, "/columnNames"),
    ];
    for (document, pointer) in documents {
        let error = kind(document).expect_err(document);
        assert_eq!(error.pointer, pointer, "{document}: {error}");
    }
}

#[test]
fn an_empty_cell_that_holds_nothing_is_no_boolean() {
    let document = r#"{ "name": "t", "primaryKey": "k", "fields": [{ "name": "k" },
        { "name": "b", "type": "boolean", "falseValues": ["", "0"], "constraints": { "required": true } }] }"#;
    let kind = kind(document).expect("compiles");
    let field = kind.field(1);
    assert!(field.check(Input::Text("")).is_err());
    assert!(!field.is_plainly_good("") && field.is_plainly_good("0"));
}

#[test]
fn schemas_of_items_inside_one_another_are_bounded() {
    let nested = |levels: usize| {
        let open = r#""type": "array", "itemSchema": { "fields": [{ "name": "i", "#.repeat(levels);
        format!(r#"{{ "name": "f", {open}"type": "string"{} }}"#, "}] }".repeat(levels))
    };
    assert!(compile(&nested(limits::ITEM_SCHEMAS)).is_ok());
    let error = compile(&nested(limits::ITEM_SCHEMAS + 1)).expect_err("one too many");
    assert!(error.message.starts_with(&format!("more than {} schemas", limits::ITEM_SCHEMAS)), "{error}");
}

#[test]
fn a_document_is_named_by_its_place_unless_it_names_itself() {
    let name = |document: &str| {
        Kind::parse_as(document.as_bytes(), &"place".parse().expect("valid")).map(|schema| schema.name.to_string())
    };
    let fields = r#""primaryKey": "k", "fields": [{ "name": "k", "constraints": { "maximum": 1 } }]"#;
    assert_eq!(name(&format!("{{ {fields} }}")).as_deref(), Ok("place"));
    assert_eq!(name(&format!("\u{feff}{{ \"name\": \"A title\", {fields} }}")).as_deref(), Ok("place"));
    assert_eq!(name(&format!("{{ {fields}, \"name\": \"own\" }}")).as_deref(), Ok("own"));
    assert_eq!(name("[]").expect_err("no schema").pointer, "");
    assert_eq!(compile::At::root().then("a/b~c").fail::<()>("x").expect_err("it fails").pointer, "/a~1b~0c");
    let large = format!("{{ {fields}, \"x\": \"{}\" }}", "x".repeat(limits::SCHEMA_BYTES));
    assert!(name(&large).expect_err("too large").message.contains("65536"));
}

#[test]
fn names_that_take_long_to_compare_are_compared_with_nothing() {
    let long = "\u{fdfa}".repeat(limits::FIELD_NAME_CHARS);
    let fields: Vec<String> = (0..100)
        .map(|at| format!(r#"{{ "name": "{at}{}", "constraints": {{ "required": true }} }}"#, &long[..300]))
        .collect();
    let kind =
        kind(&format!(r#"{{ "name": "t", "primaryKey": "k", "fields": [{{ "name": "k" }}, {}] }}"#, fields.join(",")));
    let columns: Vec<String> = (0..1000).map(|at| format!("{at}{}", &long[..303])).collect();
    let failure = crate::plan::Plan::compile(
        kind.expect("compiles"),
        penstock_model::Grammar::CSV,
        &columns,
        &Default::default(),
    );
    assert_eq!(failure.expect_err("columns are missing").code, "missing_column");
}
