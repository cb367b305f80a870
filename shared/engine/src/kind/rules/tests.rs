//! Rules over cells of every type, and rules that are none.

mod oracle;

use penstock_model::Decimal;
use proptest::prelude::*;

use super::*;
use crate::cell::Input;

/// Fields of every type. `day`, `units` and `name` are required.
const FIELDS: &str = r#"{ "name": "k" }, { "name": "name", "constraints": { "required": true } }, { "name": "note" },
    { "name": "cost", "type": "number" }, { "name": "msrp", "type": "number" },
    { "name": "units", "type": "integer", "constraints": { "required": true } }, { "name": "pack", "type": "integer" },
    { "name": "year", "type": "year" }, { "name": "active", "type": "boolean" },
    { "name": "day", "type": "date", "format": "%d.%m.%Y", "constraints": { "required": true } },
    { "name": "until", "type": "date" }, { "name": "at", "type": "datetime" }, { "name": "to", "type": "datetime" },
    { "name": "open", "type": "time" }, { "name": "tags", "type": "list" }, { "name": "lines", "type": "array" },
    { "name": "more", "type": "object" }, { "name": "other", "type": "any" },
    { "name": "own", "scope": "account" }, { "name": "unit price", "type": "number" }, { "name": "if" },
    { "name": "row" }, { "name": "in" }, { "name": "forecast", "type": "number", "default": 7 }"#;

fn kind_with(rules: &str) -> Result<Kind, SchemaError> {
    let document = format!(r#"{{ "name": "t", "primaryKey": "k", "fields": [{FIELDS}], "rules": {rules} }}"#);
    Kind::compile(&Kind::parse(document.as_bytes())?, &"acme".parse().expect("valid"))
}

fn kind(rule: &str) -> Result<Kind, SchemaError> {
    let rule = serde_json::to_string(rule).expect("a text");
    kind_with(&format!(r#"[{{ "rule": {rule}, "message": "no" }}]"#))
}

/// Cells of a row that names these fields, each written as its field reads it; an empty one is cleared.
fn cells<'a>(kind: &Kind, row: &[(&str, &'a str)]) -> Vec<(usize, Option<Cell<'a>>)> {
    let cell = |(name, text): &(&str, &'a str)| {
        let field = kind.index_of(name).unwrap_or_else(|| panic!("{name} is a field"));
        let cell = kind.field(field).check(Input::Text(text));
        (field, cell.unwrap_or_else(|errors| panic!("{name} takes {text}: {errors:?}")))
    };
    row.iter().map(cell).collect()
}

/// The messages of the rules that a row breaks, and how many steps that took.
fn judged(kind: &Kind, row: &[(&str, &str)]) -> (Vec<String>, usize) {
    let rules = kind.rules().expect("rules");
    let (cells, mut places, mut messages) = (cells(kind, row), vec![9; rules.variables()], Vec::new());
    let steps = rules.judge(&cells, &mut places, |broken| messages.push(broken.message));
    (messages, steps)
}

fn holds(rule: &str, row: &[(&str, &str)]) -> bool {
    let kind = kind(rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
    match &*judged(&kind, row).0 {
        [] => true,
        [message] if message == "no" => false,
        other => panic!("{rule}: {other:?}"),
    }
}

/// Why a rule is refused.
fn refused(rule: &str) -> String {
    let error = kind(rule).expect_err(rule);
    assert_eq!(error.pointer, "/rules/0/rule", "{error}");
    error.message
}

/// The cells that a row names, and whether a rule is true of it.
type Judged<'a> = (&'a [(&'a str, &'a str)], bool);

#[test]
fn rules_over_cells_of_every_type_are_true_or_not() {
    let nines = &"9".repeat(38);
    let almost = &format!("{}8", "9".repeat(37));
    let tiny = &format!("0.{}1", "0".repeat(37));
    let cases: &[(&str, &[Judged<'_>])] = &[
        (
            "msrp == null || cost == null || msrp >= cost",
            &[
                (&[("msrp", "9.90"), ("cost", "9.9")], true),
                (&[("msrp", "9.89"), ("cost", "9.9")], false),
                (&[("msrp", "10"), ("cost", "9.9")], true),
                (&[("msrp", "0.1"), ("cost", "0.10000000000000000000000000000000000001")], false),
                (&[("msrp", nines), ("cost", almost)], true),
                (&[("msrp", almost), ("cost", nines)], false),
                (&[("msrp", "0"), ("cost", tiny)], false),
                // Nothing is said, or it is cleared.
                (&[("cost", "1")], true),
                (&[("msrp", ""), ("cost", "1")], true),
                (&[], true),
            ],
        ),
        (
            "msrp == null || msrp > 0.3",
            &[(&[("msrp", "0.3")], false), (&[("msrp", "0.30000000000000000000000000000000000001")], true)],
        ),
        (
            "msrp == null || cost == null || msrp - cost <= 0.1 && msrp + cost != 0.3 && cost * 3 != 0.3",
            &[
                (&[("msrp", "0.2"), ("cost", "0.15")], true),
                (&[("msrp", "0.2"), ("cost", "0.1")], false),
                (&[("msrp", "0.15"), ("cost", "0.1")], false),
                (&[("msrp", "0.3"), ("cost", "0.15")], false),
            ],
        ),
        (
            "units % 6 == 0 && -units <= -6 && - -units == units",
            &[(&[("units", "12")], true), (&[("units", "13")], false), (&[("units", "0")], false)],
        ),
        ("units % -4 == -3", &[(&[("units", "-7")], true), (&[("units", "7")], false)]),
        (
            "year == null || year >= 2020 && year < 2030",
            &[(&[("year", "2026")], true), (&[("year", "0019")], false), (&[("year", "2030")], false)],
        ),
        (
            "active == true || note != null",
            &[
                (&[("active", "true")], true),
                (&[("active", "false")], false),
                (&[("active", "false"), ("note", "x")], true),
                (&[], false),
            ],
        ),
        (
            "active == null || !active || !!(active && name == \"A\")",
            &[
                (&[("name", "A"), ("active", "1")], true),
                (&[("name", "B"), ("active", "1")], false),
                (&[("name", "B"), ("active", "0")], true),
            ],
        ),
        (
            "until == null || day <= until",
            &[
                (&[("day", "01.02.2026"), ("until", "2026-02-01")], true),
                (&[("day", "02.02.2026"), ("until", "2026-02-01")], false),
                (&[("day", "31.12.2025"), ("until", "2026-2-1")], true),
            ],
        ),
        (
            "day >= '2026-1-31' && day != \"2026-12-24\" && '2027-01-01' > day",
            &[
                (&[("day", "31.01.2026")], true),
                (&[("day", "30.01.2026")], false),
                (&[("day", "24.12.2026")], false),
                (&[("day", "01.01.2027")], false),
            ],
        ),
        (
            "at == null || to == null || at < to",
            &[
                (&[("at", "2026-01-31T09:30:00Z"), ("to", "2026-01-31T09:30:00.5Z")], true),
                (&[("at", "2026-01-31T09:30:00.5Z"), ("to", "2026-01-31T09:30:00.25Z")], false),
                (&[("at", "2026-01-31T09:30:00+01:00"), ("to", "2026-01-31T09:00:00Z")], true),
                // Without an offset it is in UTC.
                (&[("at", "2026-01-31T09:30:00"), ("to", "2026-01-31T09:30:00Z")], false),
                (&[("at", "2026-01-31T09:30:00"), ("to", "2026-01-31T09:30:01Z")], true),
            ],
        ),
        (
            "at == null || at >= timestamp(\"2026-01-31T10:30:00+01:00\") && at != timestamp('2026-06-01T00:00:00Z')",
            &[
                (&[("at", "2026-01-31T09:30:00Z")], true),
                (&[("at", "2026-01-31T09:29:59.999Z")], false),
                (&[("at", "2026-06-01T00:00:00")], false),
            ],
        ),
        ("open == null || open < '18:00:00'", &[(&[("open", "17:59:59.5")], true), (&[("open", "18:00:00Z")], false)]),
        (
            "note in [\"a\", 'b', null] && name in ['x',]",
            &[
                (&[("name", "x"), ("note", "a")], true),
                (&[("name", "x")], true),
                (&[("name", "x"), ("note", "c")], false),
                (&[("name", "y"), ("note", "b")], false),
            ],
        ),
        (
            "units in [1, 2, pack] && !(name in [])",
            &[
                (&[("units", "2")], true),
                (&[("units", "3"), ("pack", "3")], true),
                (&[("units", "3"), ("pack", "4")], false),
            ],
        ),
        (
            "day in ['2026-01-01', until]",
            &[(&[("day", "01.01.2026")], true), (&[("day", "02.01.2026"), ("until", "2026-01-02")], true)],
        ),
        (
            "size(name) <= 3 && name.size() != 2 && !name.startsWith('x') && !name.endsWith(\"y\")",
            &[
                (&[("name", "äöü")], true),
                (&[("name", "ab")], false),
                (&[("name", "abcd")], false),
                (&[("name", "xab")], false),
                (&[("name", "aby")], false),
            ],
        ),
        (
            r#"note != null && name.contains(note) || name == "\"\\\u00e4\n'" && note == null"#,
            &[
                (&[("name", "abc"), ("note", "bc")], true),
                (&[("name", "abc"), ("note", "bd")], false),
                (&[("name", "\"\\ä\n'")], true),
            ],
        ),
        (
            "name < \"b\" && name >= 'B'",
            &[(&[("name", "a")], true), (&[("name", "ä")], false), (&[("name", "A")], false)],
        ),
        (
            "(tags == null ? 0 : size(tags)) + (lines == null ? 0 : lines.size()) > 1 || more != null && size(more) == 2",
            &[
                (&[("tags", "a,b")], true),
                (&[("tags", "a")], false),
                (&[("tags", "a"), ("lines", "[1]")], true),
                (&[("more", r#"{"a":1,"b":2}"#)], true),
                (&[], false),
            ],
        ),
        (
            "other == null || own != null",
            &[(&[], true), (&[("other", "1")], false), (&[("other", "1"), ("own", "1")], true)],
        ),
        (
            "row[\"unit price\"] == null || row['unit price'] > 0",
            &[(&[("unit price", "0")], false), (&[("unit price", "0.1")], true)],
        ),
        (
            "has(row.msrp) ? msrp > 1 : units > 1",
            &[(&[("units", "2")], true), (&[("units", "2"), ("msrp", "1")], false)],
        ),
        (
            "row.if == null && row == null && row.row == null && row[\"in\"] == null",
            &[(&[], true), (&[("in", "x")], false)],
        ),
        // A default is none of the row's.
        ("forecast == null", &[(&[], true), (&[("forecast", "7")], false)]),
        (
            "units < 5 ? name == 'a' : units < 10 ? name == 'b' : false",
            &[
                (&[("units", "4"), ("name", "a")], true),
                (&[("units", "9"), ("name", "b")], true),
                (&[("units", "9"), ("name", "a")], false),
                (&[("units", "10"), ("name", "b")], false),
            ],
        ),
        ("1e2 == units * 1.0 || .5e1 < 0", &[(&[("units", "100")], true), (&[("units", "10")], false)]),
        ("\n\tunits == 1 &&\r\n true", &[(&[("units", "1")], true)]),
        (
            "units == 1 == (name == 'a')",
            &[(&[("units", "1"), ("name", "a")], true), (&[("units", "2"), ("name", "a")], false)],
        ),
    ];
    for (rule, rows) in cases {
        for (row, wanted) in *rows {
            let required = [("name", "n"), ("units", "1"), ("day", "01.01.2026")];
            let given = |name: &str| row.iter().any(|(named, _)| *named == name);
            let row: Vec<_> =
                required.into_iter().filter(|(name, _)| !given(name)).chain(row.iter().copied()).collect();
            assert_eq!(holds(rule, &row), *wanted, "{rule}: {row:?}");
        }
    }
}

#[test]
fn what_is_no_rule_is_refused_with_its_place_and_what_to_do() {
    for (rule, character, wanted) in [
        // What is not exact, or not bounded.
        ("units / 2 == 1", 7, "multiply the other side instead"),
        ("note.matches('a')", 5, "give the field a `pattern`"),
        ("[1, 2].all(x, x > 0)", 1, "a list stands behind `in` alone"),
        ("lines.exists(x, x > 0)", 6, "a rule goes through no list"),
        ("lines[0] == 1", 6, "looks into nothing but `row`"),
        ("more.a == 1", 5, "nothing but `row` has members"),
        ("name + 'x' == 'ax'", 1, "a text"),
        ("{'a': 1} == null", 1, "`{` is no part of an expression"),
        ("double(units) > 1.0", 1, "there is no function `double`: there are `size`"),
        ("units == 1u", 10, "decimal digits"),
        ("units == 0x10", 10, "decimal digits"),
        ("units == 123456789012345678901234567890123456789", 10, "more than 38 digits"),
        ("name == r'a'", 9, "not supported"),
        ("name == '''a'''", 9, "not supported"),
        ("name == '\\q'", 10, "this escape is not supported"),
        ("name == '\\ud800'", 10, "this escape is not supported"),
        ("name == 'a", 9, "never closed"),
        ("name == 'a\n'", 9, "never closed"),
        // What has the wrong type.
        ("units == 'x'", 10, "this is a text, and what it is compared with is a whole number"),
        ("name > 5", 8, "this is a whole number, and what it is compared with is a text"),
        ("day == at", 8, "this is a moment, and what it is compared with is a date"),
        ("day > '31.01.2026'", 7, "a date is expected here, such as \"2026-01-31\""),
        ("day > '2026-02-30'", 7, "a date is expected here"),
        ("open == null || open > '9'", 24, "a time of day is expected here"),
        ("at == '2026-01-31T09:30:00Z'", 7, "timestamp(\"2026-01-31T09:30:00Z\")"),
        ("at == timestamp('2026-01-31T09:30:00')", 17, "a moment with an offset"),
        ("at == timestamp(note)", 7, "it is written `timestamp"),
        ("active < true", 1, "what has an order"),
        ("tags == lines", 1, "is compared with nothing but null"),
        ("other == 'x'", 10, "rules do not look at"),
        ("own == 'x'", 8, "rules do not look at"),
        ("name.startsWith(units)", 17, "`startsWith` looks into a text"),
        ("startsWith(name, 'x')", 1, "it is written `text.startsWith(\"a\")`"),
        ("size(units) > 1", 6, "`size` counts"),
        ("size(name, name) > 1", 1, "it is written `size(text)`"),
        ("size(name, name, name) > 1", 18, "`)` is expected"),
        ("units + active == 1", 9, "calculates with numbers"),
        ("units % 1.5 == 0", 9, "a whole number is expected here, and this is a number"),
        ("units ? true : false", 1, "says yes or no"),
        ("(active == null ? units : name) == 1", 27, "both sides of `:`"),
        ("units", 1, "a rule says yes or no: a boolean is expected here, and this is a whole number"),
        ("-active", 2, "turns a number"),
        ("!units", 2, "turns yes and no"),
        ("units && true", 1, "says yes or no"),
        // What may be nothing.
        ("msrp > 5", 1, "the field `msrp` may hold nothing: say before it what is right then, such as `msrp == null"),
        ("active", 1, "may hold nothing"),
        ("msrp > 5 || msrp == null", 1, "may hold nothing"),
        ("msrp == null && msrp > 5", 17, "may hold nothing"),
        ("msrp != null || msrp > 5", 17, "may hold nothing"),
        ("(msrp == null || cost == null) && msrp > cost", 35, "may hold nothing"),
        ("msrp == null ? msrp > 5 : true", 16, "may hold nothing"),
        ("msrp in [1, null] && msrp > 5", 22, "may hold nothing"),
        ("msrp == cost && msrp > 5", 17, "may hold nothing"),
        ("(msrp == null ? null : msrp) > 5", 1, "this may be null"),
        ("null > 5", 1, "what has an order"),
        (
            "row['unit price'] > 1",
            1,
            "the field `unit price` may hold nothing: say before it what is right then, such as \
            `row[\"unit price\"] == null || …`",
        ),
        ("row.if.contains('x')", 1, "such as `row.if == null || …`"),
        ("row['in'].contains('x')", 1, "such as `row[\"in\"] == null || …`"),
        // What is no expression.
        ("", 1, "a value is expected here, and the end comes"),
        ("units ==", 9, "a value is expected here, and the end comes"),
        ("units = 1", 7, "`=` is no part of an expression: that two values are the same is written `==`"),
        ("units == 1 & active", 12, "and is written `&&`"),
        ("units == 1 | active", 12, "or is written `||`"),
        ("msrp == null || msrp / cost >= 1.2", 22, "division is not exact: multiply the other side instead"),
        ("units == 1 || (cost == null || name / 2 > 1)", 37, "multiply the other side instead"),
        ("units == 1 || name and active", 20, "`and` comes; it is written `&&`"),
        ("units == 1 && name OR active", 20, "`OR` comes; it is written `||`"),
        ("units == 1 || name not in ['a']", 20, "`not` comes; it is written `!` before the whole: `!(… in […])`"),
        ("units == 1 || not active", 15, "`!(… in […])`"),
        ("units == 1 units", 12, "the end, or an operator is expected here, and `units` comes"),
        ("units == 1)", 11, "`)` comes"),
        ("(units == 1", 12, "`)` is expected here, and the end comes"),
        ("units in 1", 10, "behind `in` a list"),
        ("units in [1 2]", 13, "`,` is expected"),
        ("units in [,]", 11, "a value is expected"),
        ("unitz == 1", 1, "no field is called `unitz`; did you mean `units`?"),
        ("unit_price == 1", 1, "did you mean `row[\"unit price\"]`?"),
        ("name == x", 9, "a text stands in quotes"),
        ("if == null", 1, "a field of that name is written `row.if`"),
        ("in == null", 1, "a value is expected here, and `in` comes"),
        ("row.in == null", 5, "`row[\"in\"]`"),
        ("row.1 == null", 4, "the end, or an operator is expected here, and a number comes"),
        ("row[1] == null", 5, "the name of a field in quotes is expected here"),
        ("has(msrp)", 1, "it is written `has(row.name)`"),
        ("has(row['unit price'])", 1, "it is written `has(row.name)`"),
        ("true", 1, "reads no field"),
        ("1 < 2 && ä", 10, "a field whose name has other letters than a to z is written `row[\"ä\"]`"),
        ("units > 1 && größe_2 > 1", 14, "is written `row[\"größe_2\"]`"),
        ("units > 1 && “a”", 14, "`“` is no part of an expression"),
        ("!-units == 1", 2, "a value is expected here, and `-` comes"),
    ] {
        let message = refused(rule);
        assert!(message.starts_with(&format!("character {character}: ")), "{rule}: {message}");
        assert!(message.contains(wanted), "{rule}: {message}");
    }
}

#[test]
fn where_a_field_holds_a_value_is_seen() {
    for rule in [
        "row[\"unit price\"] == null || row['unit price'] > 1",
        "msrp == null || cost == null || msrp >= cost",
        "msrp != null && cost != null && msrp >= cost",
        "!(msrp != null && cost != null) || msrp >= cost",
        "msrp != null && cost != null ? msrp >= cost : true",
        "msrp == null || (cost != null && msrp >= cost)",
        "has(row.msrp) && row.msrp > 5",
        "!has(row.msrp) || msrp > 5",
        "null != msrp && msrp > 5",
        "msrp == units && msrp > 5",
        "msrp in [1, 2] && msrp > 1",
        "(msrp == 1 || msrp == 2) && msrp > 1",
        "(msrp == null || units == 1) ? true : msrp > 1",
        "(active == null ? msrp != null : msrp == 5) && msrp > 1",
        "note != null ? note.contains('x') : true",
    ] {
        assert!(kind(rule).is_ok(), "{rule}: {:?}", kind(rule).err());
    }
}

#[test]
fn a_rule_has_a_message_and_fields_of_its_kind() {
    for (rules, pointer, wanted) in [
        (r#"[{ "rule": "units > 1" }]"#, "/rules/0", "message"),
        (r#"[{ "rule": "units > 1", "message": " " }]"#, "/rules/0/message", "says what is wrong"),
        (r#"[{ "rule": "units > 1", "message": "m", "fields": ["x"] }]"#, "/rules/0/fields/0", "no field"),
        (r#"[{ "rule": "units > 1", "message": "m", "fields": ["k", "k"] }]"#, "/rules/0/fields/1", "twice"),
        (r#"[{ "rule": "units > 1", "message": "m", "Field_s": ["k"] }]"#, "/rules/0/Field_s", "did you mean `fields`"),
        (r#"[{ "rule": "units > 1", "message": "m" }, { "rule": "x", "message": "m" }]"#, "/rules/1/rule", "`x`"),
        (r#"[{ "rule": 1, "message": "m" }]"#, "/rules/0/rule", "string"),
        (r#"{ "rule": "units > 1", "message": "m" }"#, "/rules", "sequence"),
        (r#"["units > 1"]"#, "/rules/0", "expected an object with `rule` and `message`"),
    ] {
        let error = kind_with(rules).expect_err(rules);
        assert_eq!(error.pointer, pointer, "{error}");
        assert!(error.message.contains(wanted), "{error}");
    }
    // One that is mistyped is refused where a kind is registered; what was registered before is read.
    for (member, pointer, meant) in [
        (r#""rulez": []"#, "/rulez", "rules"),
        (r#""rule": []"#, "/rule", "rules"),
        (r#""primarykeys": []"#, "/primarykeys", "primaryKey"),
        (r#""rules": [{ "rule": "units > 1", "message": "m", "field": ["k"] }]"#, "/rules/0/field", "fields"),
        (r#""constraints": {}, "x-rules": []"#, "", ""),
    ] {
        let document = format!(r#"{{ "name": "t", "primaryKey": "k", "fields": [{FIELDS}], {member} }}"#);
        let (schema, account) = (Kind::parse(document.as_bytes()).expect("a schema"), "acme".parse().expect("valid"));
        assert!(Kind::compile(&schema, &account).is_ok(), "{member}");
        let error = Kind::register(&schema, &account).err();
        let found = error.as_ref().map_or("", |error| &error.pointer);
        assert_eq!(found, pointer, "{error:?}");
        assert!(error.is_none_or(|error| error.message.ends_with(&format!("did you mean `{meant}`?"))), "{member}");
    }
    // What else stands there means nothing.
    let kind = kind_with(r#"[{ "rule": "units > 1 || msrp == cost", "message": " m ", "severity": "error" }]"#);
    let kind = kind.expect("a kind");
    let names = |fields: &[usize]| fields.iter().map(|field| kind.field(*field).name().to_owned()).collect::<Vec<_>>();
    let (cells, mut found) = (cells(&kind, &[("units", "1"), ("cost", "2")]), Vec::new());
    kind.rules().expect("rules").judge(&cells, &mut [0; 3], |broken| {
        found.push((names(broken.fields), broken.message));
    });
    assert_eq!(found, [(vec!["units".to_owned(), "msrp".to_owned(), "cost".to_owned()], "m".to_owned())]);
    assert!(kind_with("[]").expect("a kind").rules().is_none(), "no rules are none");
}

#[test]
fn a_rule_that_cannot_be_applied_to_a_row_is_broken_by_it_and_says_why() {
    let nines = &"9".repeat(38);
    for (rule, row, because) in [
        ("units * units * units > 1", &[("units", "9223372036854775807")][..], "more than 38 digits"),
        ("msrp == null || msrp + 1 > 1", &[("msrp", nines)], "more than 38 digits"),
        ("msrp == null || msrp * 0.1 > 1", &[("msrp", "0.00000000000000000000000000000000000001")], "38 digits"),
        ("pack == null || units % pack == 0", &[("units", "5"), ("pack", "0")], "divides by zero"),
        ("pack == null || units % pack in []", &[("units", "5"), ("pack", "0")], "divides by zero"),
        ("pack == null || units in [5, units % pack]", &[("units", "5"), ("pack", "0")], "divides by zero"),
    ] {
        let kind = kind(rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
        let (messages, _) = judged(&kind, row);
        assert_eq!(messages.len(), 1, "{rule}");
        assert!(messages[0].starts_with("no (the rule cannot be applied to this row: "), "{}", messages[0]);
        assert!(messages[0].contains(because), "{}", messages[0]);
    }
    // Of several that cannot be told, the first is.
    let two = kind("pack == null || units % pack == 0 || units * units * units * units > 1").expect("a rule");
    let (messages, _) = judged(&two, &[("units", "9223372036854775807"), ("pack", "0")]);
    assert!(messages[0].contains("divides by zero"), "{}", messages[0]);
    // As in CEL, what decides by itself goes before what cannot be told, wherever it stands.
    let zero = [("units", "5"), ("pack", "0")];
    assert!(holds("pack == null || units % pack == 0 || units == 5", &zero));
    assert!(!holds("pack != null && units % pack == 0 && units == 6", &zero));
}

/// The rules of a kind, each said of `units`.
fn many(rules: usize, rule: &str) -> Result<Kind, SchemaError> {
    let rule = format!(r#"{{ "rule": {}, "message": "no" }}"#, serde_json::to_string(rule).expect("a text"));
    kind_with(&format!("[{}]", vec![rule; rules].join(",")))
}

#[test]
fn hostile_rules_are_refused_by_their_size_and_depth_on_a_small_stack() {
    let read = || {
        let nested =
            |open: &str, close: &str, times| format!("{}units == 1{}", open.repeat(times), close.repeat(times));
        for (open, close) in
            [("(", ")"), ("!(", ")"), ("true && (", ")"), ("1 == 2 ? true : ", ""), ("1 in [1] == (", ")")]
        {
            let most = (1..).find(|times| kind(&nested(open, close, *times)).is_err()).expect("a limit") - 1;
            assert!((10..limits::RULE_DEPTH).contains(&most), "{open} {most} times");
            for times in [most + 1, limits::RULE_BYTES / nested(open, close, 1).len()] {
                assert!(refused(&nested(open, close, times)).contains("more than 32 deep"), "{open} {times} times");
            }
            let deep = nested(open, close, most);
            assert!(holds(&deep, &[("units", "1")]) != holds(&deep, &[("units", "2")]), "{deep}");
        }
        for (one, more) in [("size(", ")"), ("[", "]"), ("units in [", "]"), ("!", ""), ("1+", ""), ("1-(", ")")] {
            // Whatever it is, it ends with an answer.
            let rule = nested(one, more, limits::RULE_BYTES / 20);
            assert!(kind(&rule).is_err(), "{rule}");
        }
        let sum = |terms| format!("{}units > 1", "units + ".repeat(terms));
        assert!(kind(&sum(limits::RULE_DEPTH - 3)).is_ok());
        assert!(refused(&sum(limits::RULE_DEPTH)).contains("more than 32 deep"));
        // Signs are counted, and do not nest.
        assert!(holds(&format!("{}(units == 1)", "!".repeat(900)), &[("units", "1")]));
    };
    let small = std::thread::Builder::new().stack_size(512 * 1024).spawn(read).expect("a thread");
    small.join().expect("it neither fails nor overflows its stack");

    let long = format!("units == 1 || name == '{}'", "x".repeat(limits::RULE_BYTES));
    assert!(refused(&long).contains("the limit is 1000: write several rules"));
    let error = many(limits::KIND_RULES + 1, "units == 1").expect_err("too many");
    assert_eq!((&*error.pointer, error.message.contains("the limit is 50")), ("/rules", true));
    assert!(many(limits::KIND_RULES, "units == 1").is_ok());
    let wide = format!("units in [{}]", vec!["1"; 300].join(","));
    let error = many(4, &wide).expect_err("too much work");
    assert_eq!(error.pointer, "/rules/3/rule");
    assert!(error.message.contains("the limit of a kind is 1000: write shorter ones"), "{error}");
}

#[test]
fn no_row_takes_more_steps_than_the_rules_have_nodes() {
    let long = "ab".repeat(limits::RECORD_BYTES / 4);
    for rule in [
        format!("!(units in [{}])", vec!["1"; 320].join(",")),
        format!("name.contains(note == null ? '' : note) || {}", vec!["name.endsWith('b')"; 40].join(" && ")),
        format!("units >= 0 && {}", vec!["(units < 0 || name == name)"; 25].join(" && ")),
        vec!["size(name) >= 0"; 45].join(" && "),
    ] {
        let rules = (1..=limits::KIND_RULES).take_while(|rules| many(*rules, &rule).is_ok()).last().expect("one fits");
        let kind = many(rules, &rule).expect("they fit");
        for (units, note) in [("0", "a"), ("7", &*long), ("-7", "b")] {
            let (_, steps) = judged(&kind, &[("units", units), ("name", &long), ("note", note)]);
            assert!(steps > rules && steps <= limits::RULE_STEPS, "{rule}: {steps} steps of {rules} rules");
        }
    }
    // The worst that there is: all of them are looked at.
    let kind = many(3, &format!("!(units in [{}])", vec!["1"; 330].join(","))).expect("they fit");
    assert_eq!(judged(&kind, &[("units", "0")]).1, 3 * 333);
    // Of a row that breaks many rules so many errors are told.
    let kind = many(limits::KIND_RULES, "units == 1").expect("they fit");
    let (messages, steps) = judged(&kind, &[("units", "0")]);
    assert_eq!((messages.len(), steps), (limits::RULE_ERRORS, 3 * limits::RULE_ERRORS));
}

/// Parts of rules, good and bad, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "units",
        "msrp",
        "name",
        "day",
        "at",
        "row",
        ".",
        "(",
        ")",
        "[",
        "]",
        ",",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "%",
        "/",
        "?",
        ":",
        "in",
        "null",
        "true",
        "1",
        "0.5",
        "'x'",
        "\"2026-01-31\"",
        "size",
        "has",
        "contains",
        "timestamp",
        "\\",
        "'",
        "ä",
        "=",
        "1e",
        "\u{0}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(crate::cases(1_000))]

    /// Whatever stands there, it is a rule or is refused with a place in it; and a rule is true of a row or not.
    #[test]
    fn anything_is_a_rule_or_refused(rule in prop_oneof![pieces(), any::<String>()], units in any::<i64>(), name in "[a-z]{1,9}") {
        match kind(&rule) {
            Ok(kind) => {
                let units = units.to_string();
                let row = [("units", &*units), ("name", &name), ("day", "01.01.2026")];
                prop_assert!(judged(&kind, &row).1 <= limits::RULE_STEPS);
            }
            Err(error) => {
                let place = error.message.strip_prefix("character ").and_then(|rest| rest.split_once(':'));
                let place = place.and_then(|(place, _)| place.parse::<usize>().ok());
                let chars = rule.chars().count();
                prop_assert!(place.is_some_and(|place| (1..=chars + 1).contains(&place)) || rule.len() > 1_000, "{error}");
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::cases(60))]

    /// Numbers of 38 digits are compared as their digits say, and as no float could.
    #[test]
    fn decimals_are_compared_by_every_digit(digits in "[1-9][0-9]{37}", at in 0_usize..37, scale in 0_usize..38, more in 1_u8..10) {
        let written = |digits: &str| match scale {
            0 => digits.to_owned(),
            scale => format!("{}.{}", &digits[..38 - scale], &digits[38 - scale..]),
        };
        let digit = (digits.as_bytes()[at + 1] - b'0' + more) % 10;
        let other = format!("{}{digit}{}", &digits[..=at], &digits[at + 2..]);
        let (one, two) = (written(&digits), written(&other));
        prop_assert_eq!(Decimal::parse(&one).expect("38 digits").digits() > 30, true);
        let row = [("msrp", &*one), ("cost", &*two)];
        for (sign, is_so) in [("<", digits < other), (">", digits > other), ("==", false), ("<=", digits < other)] {
            let rule = format!("msrp == null || cost == null || msrp {sign} cost");
            prop_assert_eq!(holds(&rule, &row), is_so, "{} {} {}", &one, sign, &two);
            let rule = format!("msrp == null || msrp {sign} {two}");
            prop_assert_eq!(holds(&rule, &row), is_so, "{} {} {}", &one, sign, &two);
        }
    }
}
