//! The options that say how a file is read, and kinds as they are published: what they do, what is refused, and that
//! what was decided when an upload was accepted stays decided.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use penstock_client::{Import, NewImport};
use penstock_model::{ImportOptions, ReadOptions, Status, limits};
use serde_json::{Value, json};

use crate::support::{Stack, TOKEN, adds_up, http, upload};

fn read(options: Value) -> ImportOptions {
    let reading: ReadOptions = serde_json::from_value(options).expect("options");
    ImportOptions { reading, ..ImportOptions::default() }
}

async fn import(stack: &Stack, kind: &str, file: &str, options: Value) -> Import {
    let new = NewImport { kind: Some(kind.to_owned()), options: read(options), ..NewImport::default() };
    let ended = stack.import_as(new, file.as_bytes()).await;
    adds_up(&ended);
    ended
}

async fn fields(stack: &Stack, kind: &str, key: &str) -> Value {
    let record = stack.client.record(kind, key).await.expect("answers").expect("a record");
    record["fields"].clone()
}

fn codes(errors: &[penstock_model::RowError]) -> Vec<(u64, &str)> {
    errors.iter().map(|error| (error.row, error.code.as_str())).collect()
}

/// A kind with a field of each type that an option is about.
fn stock(reading: Value) -> Value {
    json!({ "name": "stock", "primaryKey": "no", "reading": reading, "fields": [
        { "name": "no" }, { "name": "price", "type": "number" }, { "name": "pieces", "type": "integer" },
        { "name": "since", "type": "date" }, { "name": "seen", "type": "datetime" },
        { "name": "sold", "type": "boolean" } ] })
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_values_go_before_the_kind_in_every_format() {
    let stack = Stack::start().await;
    stack.client.put_kind(&stock(json!({}))).await.expect("a kind");
    let options = json!({ "decimal_char": ",", "group_char": ".", "date_format": "%d.%m.%Y",
        "true_values": ["ja", "x"], "false_values": ["nein"] });
    let wanted = json!({ "no": "A", "price": 1234.56, "pieces": 1234, "since": "2024-12-31",
        "seen": "2024-12-31T00:00:00", "sold": true });
    let csv = "no;price;pieces;since;seen;sold\nA;1.234,56;1.234;31.12.2024;31.12.2024;ja\n\
               B;1,234.56;1;2024-12-31;2024-12-31T10:00:00Z;true\n";
    let ended = import(&stack, "stock", csv, options.clone()).await;
    assert_eq!(fields(&stack, "stock", "A").await, wanted);
    let errors = stack.errors(&ended.id).await;
    assert_eq!(codes(&errors), [(2, "other_decimal_char"), (2, "invalid_date"), (2, "invalid_boolean")]);
    // In JSON too, where the values are texts.
    let rows = json!([{ "no": "J", "price": "1.234,56", "pieces": "1.234", "since": "31.12.2024",
        "seen": "31.12.2024", "sold": "x" }]);
    let ended = import(&stack, "stock", &rows.to_string(), options).await;
    assert_eq!(ended.status, Status::Completed, "{ended:#?}");
    let mut same = wanted;
    same["no"] = json!("J");
    assert_eq!(fields(&stack, "stock", "J").await, same);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_contradicts_the_reading_rejects_its_row_and_adds_a_note() {
    let stack = Stack::start().await;
    let good: String = (0..50).map(|row| format!("P-{row};n;b;{row}.5\n")).collect();
    let file = format!("sku;name;brand;cost\n{good}Q;n;b;1.234,56\nR;n;b;7,5\n");
    let ended = stack.import(file.as_bytes()).await;
    adds_up(&ended);
    assert_eq!((ended.rows.created, ended.rows.failed), (50, 2));
    let errors = stack.errors(&ended.id).await;
    assert_eq!(codes(&errors), [(51, "other_decimal_char"), (52, "other_decimal_char")]);
    let advice = "give the option `decimal_char` = \",\" and the option `group_char` = \".\"";
    assert!(errors[0].message.ends_with(advice), "{}", errors[0].message);
    let notes = ended.detected.expect("a layout").notes;
    assert_eq!(notes.len(), 1, "one, however many rows and chunks: {notes:?}");
    assert!(notes[0].contains("decimal_char"), "{notes:?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_would_be_stored_wrong_fail_the_file_before_any_row() {
    let stack = Stack::start().await;
    let file = "sku;name;brand;cost\nA-1;Lampe;Nord;1.234\nA-2;Stuhl;Nord;12.500\nA-3;Tisch;Nord;1.234,56\n";
    let ended = stack.import(file.as_bytes()).await;
    adds_up(&ended);
    assert_eq!((ended.status, ended.rows.processed), (Status::Failed, 0));
    let failure = ended.failure.expect("a reason");
    assert_eq!(failure.code, "ambiguous_numbers");
    for part in ["`1.234`", "`1.234,56`", "the option `decimal_char` = \",\"", "the option `group_char` = \".\""] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
    let options = json!({ "decimal_char": ",", "group_char": "." });
    let ended = import(&stack, "products", file, options).await;
    assert_eq!((ended.status, ended.rows.created), (Status::Completed, 3));
    for (sku, cost) in [("A-1", json!(1234)), ("A-2", json!(12500)), ("A-3", json!(1234.56))] {
        assert_eq!(fields(&stack, "products", sku).await["cost"], cost, "{sku}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kind_presets_gives_way_and_stays_as_it_was_when_the_import_was_made() {
    let stack = Stack::start().await;
    stack.client.put_kind(&stock(json!({ "decimal_char": ",", "true_values": ["ja"] }))).await.expect("a kind");
    let new = NewImport { kind: Some("stock".to_owned()), ..NewImport::default() };
    let created = stack.client.create(&new, None).await.expect("an import");
    // Its kind has another version before its file comes.
    stack.client.put_kind(&stock(json!({ "decimal_char": "." }))).await.expect("another version");
    assert_eq!(upload(&created, b"no;price;sold\nA;1,5;ja\n").await, 200);
    let ended = stack.ended(&created.id).await;
    assert_eq!((ended.status, ended.kind_version), (Status::Completed, Some(1)), "{ended:#?}");
    assert_eq!(fields(&stack, "stock", "A").await, json!({ "no": "A", "price": 1.5, "sold": true }));
    let ended = import(&stack, "stock", "no;price\nB;1.5\n", json!({})).await;
    assert_eq!((ended.status, ended.kind_version), (Status::Completed, Some(2)));
    // What an import says goes before.
    let ended = import(&stack, "stock", "no;price\nC;1,5\n", json!({ "decimal_char": "," })).await;
    assert_eq!(ended.status, Status::Completed);
    assert_eq!(ended.options.reading.decimal_char, Some(','));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_cannot_be_are_refused_by_their_names() {
    let stack = Stack::start().await;
    let texts = |count: usize| vec!["x"; count];
    for (options, option) in [
        (json!({ "decimal_char": "5" }), "decimal_char"),
        (json!({ "decimal_char": ",", "group_char": "," }), "group_char"),
        (json!({ "group_char": "." }), "group_char"),
        (json!({ "date_format": "31.12.2024" }), "date_format"),
        (json!({ "date_format": "%d.%m." }), "date_format"),
        (json!({ "true_values": texts(limits::OPTION_VALUES + 1) }), "true_values"),
        (json!({ "true_values": ["x"], "false_values": ["x"] }), "false_values"),
        (json!({ "header_line": limits::HEADER_LINE + 1 }), "header_line"),
        (json!({ "comment": ";", "delimiter": ";" }), "comment"),
        (json!({ "escape": "\\", "quoting": false }), "escape"),
        (json!({ "rows_at": "a..b" }), "rows_at"),
    ] {
        let (status, code, detail) = post(&stack, json!({ "options": options })).await;
        assert_eq!((status, code.as_str()), (422, "invalid_option"), "{options}: {detail}");
        assert!(detail.contains(&format!("the option `{option}` ")), "{options}: {detail}");
    }
    for options in [json!({ "true_values": "ja" }), json!({ "short_rows": "drop" }), json!({ "decimals": "," })] {
        let (status, code, _) = post(&stack, json!({ "options": options })).await;
        assert_eq!((status, code.as_str()), (400, "invalid_body"), "{options}");
    }
    let (status, code, detail) = post(&stack, json!({ "options": { "true_values": [["ja"]] } })).await;
    assert_eq!((status, code.as_str()), (400, "invalid_body"));
    assert!(detail.contains("/options/true_values"), "{detail}");
    stack.stop().await;
}

async fn post(stack: &Stack, body: Value) -> (u16, String, String) {
    let url = format!("{}/v1/imports", stack.cloud.url());
    let answer = http::send(http::client().post(url).bearer_auth(TOKEN).body(body.to_string())).await;
    let problem: Value = serde_json::from_slice(&answer.body).expect("problem details");
    let (status, code) = answer.refusal();
    (status, code, problem["detail"].as_str().unwrap_or_default().to_owned())
}

async fn put(stack: &Stack, name: &str, document: &str) -> http::Answer {
    let url = format!("{}/v1/kinds/{name}", stack.cloud.url());
    http::send(http::client().put(url).bearer_auth(TOKEN).body(document.to_owned())).await
}

/// As a publisher writes it: no name that is a kind's, members that mean nothing here, and what version 2 has.
const PUBLISHED: &str = r#"{
  "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
  "name": "Registre des Lieux",
  "homepage": "https://example.org", "version": 1.10, "contributors": [{ "title": "A" }],
  "fieldsMatch": ["subset"],
  "missingValues": [{ "value": "", "label": "omitted" }, { "value": "-99", "label": "refused" }],
  "primaryKey": ["id"], "uniqueKeys": [["id"]],
  "foreignKeys": [{ "fields": "id", "reference": { "resource": "other", "fields": "id" } }],
  "fields": [
    { "name": "id", "type": "integer", "rdfType": "http://schema.org/identifier", "example": 7 },
    { "name": "level", "type": "integer", "categories": [{ "value": 1, "label": "low" }, { "value": 2 }],
      "categoriesOrdered": true },
    { "name": "share", "type": "number", "constraints": { "exclusiveMinimum": 0, "exclusiveMaximum": "1" } },
    { "name": "tags", "type": "list", "itemType": "integer", "delimiter": ";", "constraints": { "maxLength": 2 } },
    { "name": "note", "missingValues": ["n/a"], "x-internal": { "deep": [1] } }
  ]
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_as_it_is_published_is_a_kind_and_comes_back_as_it_was() {
    let stack = Stack::start().await;
    assert_eq!(put(&stack, "lieux", PUBLISHED).await.status, 201);
    assert_eq!(put(&stack, "lieux", PUBLISHED).await.status, 200, "no other version");
    assert_eq!(stack.client.kind_text("lieux").await.expect("a kind"), PUBLISHED);
    let file = "id,level,share,tags,note,more\n1,1,0.5,1;2,-99,x\n2,3,0.5,,n/a,x\n3,-99,1,,,x\n4,2,0,1;2;3,,x\n5,2,0.1,1;a,,x\n";
    let ended = import(&stack, "lieux", file, json!({})).await;
    assert_eq!(
        fields(&stack, "lieux", "1").await,
        json!({ "id": 1, "level": 1, "share": 0.5, "tags": [1, 2], "note": "-99" })
    );
    let errors = stack.errors(&ended.id).await;
    assert_eq!(
        codes(&errors),
        [(2, "not_in_enum"), (3, "too_large"), (4, "too_small"), (4, "too_long"), (5, "invalid_integer")]
    );
    assert_eq!(errors[4].field.as_deref(), Some("tags[1]"));
    // A file that `subset` does not take.
    let ended = import(&stack, "lieux", "id,level\n1,1\n", json!({})).await;
    assert_eq!(ended.failure.expect("fails").code, "missing_column");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_bounded() {
    let stack = Stack::start().await;
    let with = |constraints: Value| {
        json!({ "primaryKey": "k", "fields": [{ "name": "k" }, { "name": "f", "constraints": constraints }] })
            .to_string()
    };
    let values = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let name = |chars: usize| json!({ "primaryKey": "k", "fields": [{ "name": "k" }, { "name": "ﷺ".repeat(chars) }] });
    for (document, pointer) in [
        // With 240 KB of 0 and 1 it would take seconds, in one cell or in many.
        (with(json!({ "pattern": "[01]*1[01]{7269}" })), Some("/fields/1/constraints/pattern")),
        (with(json!({ "pattern": "[01]*1[01]{7269}", "maxLength": 1000 })), Some("/fields/1/constraints/pattern")),
        (with(json!({ "pattern": "[01]*1[01]{200}" })), None),
        (with(json!({ "pattern": "[A-Z0-9]{1,1000}" })), None),
        (
            json!({ "primaryKey": "k", "missingValues": values(limits::VALUE_TEXTS + 1), "fields": [{ "name": "k" }] })
                .to_string(),
            Some("/missingValues"),
        ),
        (with(json!({ "pattern": "x".repeat(limits::PATTERN_CHARS + 1) })), Some("/fields/1/constraints/pattern")),
        (with(json!({ "enum": values(limits::ENUM_VALUES) })), None),
        (with(json!({ "enum": values(limits::ENUM_VALUES + 1) })), Some("/fields/1/constraints/enum")),
        (with(json!({ "enum": ["x".repeat(limits::ENUM_BYTES)] })), None),
        (with(json!({ "enum": ["x".repeat(limits::ENUM_BYTES + 1)] })), Some("/fields/1/constraints/enum")),
        (with(json!({ "jsonSchema": {} })), Some("/fields/1/constraints/jsonSchema")),
        (with(json!({ "maxlength": 3 })), Some("/fields/1/constraints/maxlength")),
        (name(limits::FIELD_NAME_CHARS).to_string(), None),
        (name(limits::FIELD_NAME_CHARS + 1).to_string(), Some("/fields/1/name")),
    ] {
        let answer = put(&stack, "bounded", &document).await;
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        match pointer {
            None => assert!(matches!(answer.status, 200 | 201), "{body}"),
            Some(pointer) => {
                assert_eq!((answer.status, &body["pointer"]), (422, &json!(pointer)), "{body}");
                assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
            }
        }
    }
    let small = |title: usize| {
        json!({ "title": title.to_string(), "primaryKey": "k", "fields": [{ "name": "k" }] }).to_string()
    };
    for kind in 1..limits::ACCOUNT_KINDS {
        assert_eq!(put(&stack, &format!("kind-{kind}"), &small(0)).await.status, 201);
    }
    let (status, code) = put(&stack, "one-more", &small(0)).await.refusal();
    assert_eq!((status, code.as_str()), (409, "too_many_kinds"));
    // A further version of one that is there is none more, nor is a repeat.
    assert_eq!(put(&stack, "kind-1", &small(1)).await.status, 200);
    assert_eq!(put(&stack, "kind-1", &small(1)).await.status, 200);
    stack.stop().await;
}

fn penstock(stack: &Stack, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(arguments).env("PENSTOCK_URL", stack.cloud.url()).env("PENSTOCK_TOKEN", TOKEN).stdin(Stdio::null());
    command.output().expect("the command runs")
}

fn shown(output: &Output) -> String {
    [&output.stderr[..], &output.stdout[..]].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_takes_a_schemas_file_and_registers_it_once() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str, content: &str| -> String {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        Path::to_str(&path).expect("UTF-8").to_owned()
    };
    let document = json!({ "primaryKey": "no", "fields": [
        { "name": "no" }, { "name": "price", "type": "number" }, { "name": "since", "type": "date" } ] });
    let schema = place("Spare_Parts.schema.json", &document.to_string());
    let file = place("parts.csv", "no;price;since\nA;1,5;31.12.2024\n");
    let arguments = ["import", &file, "--kind", &schema, "--decimal-char", ",", "--date-format", "%d.%m.%Y"];
    for said in ["version 1, is registered from", "version 1, is "] {
        let output = penstock(&stack, &arguments);
        let text = shown(&output);
        assert!(output.status.success(), "{text}");
        let first = text.lines().next().expect("a line");
        assert!(first.contains("kind spare-parts") && first.contains(said), "{first}");
    }
    assert_eq!(fields(&stack, "spare-parts", "A").await, json!({ "no": "A", "price": 1.5, "since": "2024-12-31" }));
    // The check of the same arguments says the same.
    let output = penstock(&stack, &[&["check"], &arguments[1..]].concat());
    assert!(output.status.success(), "{}", shown(&output));
    let output = penstock(&stack, &["check", &file, "--kind", &schema]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(shown(&output).contains("note: rows were rejected whose numbers"), "{}", shown(&output));
    // A schema that is none is told before anything is sent.
    let broken = place("broken.json", r#"{ "fields": [{ "name": "no" }] }"#);
    let output = penstock(&stack, &["import", &file, "--kind", &broken]);
    assert!(!output.status.success() && shown(&output).contains("primaryKey"), "{}", shown(&output));
    stack.stop().await;
}

#[test]
fn a_tab_is_given_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.txt");
    // Without it the semicolon would be the delimiter.
    std::fs::write(&path, "sku\tname\tbrand;x;y\nA\ta\tb;c;d\n").expect("a file");
    let check = |delimiter: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
        command.arg("check").arg(&path).args(["--delimiter", delimiter, "--map", "brand;x;y=brand"]);
        command.stdin(Stdio::null()).output().expect("the command runs")
    };
    for delimiter in ["tab", "\\t", "\t"] {
        assert_eq!(check(delimiter).status.code(), Some(0), "{}", shown(&check(delimiter)));
    }
    let refused = check("tabs");
    assert!(shown(&refused).contains("or tab"), "{}", shown(&refused));
}
