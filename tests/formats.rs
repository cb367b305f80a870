//! Any file: what it is is found out, its columns are matched, and what cannot be read says where.

use std::io::Write;

use penstock_client::{Import, NewImport};
use penstock_model::{Format, ImportOptions, Status};
use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Formula, Workbook};
use serde_json::json;

use crate::support::{self, Stack, adds_up, upload};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

async fn import(stack: &Stack, new: NewImport, file: &[u8]) -> Import {
    let import = stack.import_as(new, file).await;
    adds_up(&import);
    import
}

fn mapped(pairs: &[(&str, &str)]) -> ImportOptions {
    let mapping = pairs.iter().map(|(column, field)| ((*column).to_owned(), (*field).to_owned())).collect();
    ImportOptions { mapping, ..ImportOptions::default() }
}

async fn failure_of(file: &[u8], options: ImportOptions) -> (String, String) {
    let stack = Stack::start().await;
    let import = stack.import_with(file, options).await;
    assert_eq!((import.status, import.rows.processed), (Status::Failed, 0), "{import:#?}");
    stack.stop().await;
    let failure = import.failure.expect("a failed import says why");
    (failure.code, failure.message)
}

async fn fields(stack: &Stack, key: &str) -> serde_json::Value {
    stack.client.record("products", key).await.expect("answers").expect("is there")["fields"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_is_is_told_in_the_import() {
    let stack = Stack::start().await;
    let new = NewImport { format: Some(Format::Json), filename: Some("a.xlsx".into()), ..NewImport::default() };
    let import = import(&stack, new, &gzip(b"SKU;Name;Brand\nA;caf\xe9;b\n")).await;
    let detected = import.detected.expect("what it is");
    assert_eq!(detected.format, Format::Csv);
    assert_eq!(detected.compression, Some(penstock_model::Compression::Gzip));
    assert_eq!(
        (detected.encoding.as_str(), detected.delimiter, detected.quoting),
        ("windows-1252", Some(';'), Some(true))
    );
    assert_eq!(
        detected.notes,
        [
            "declared as json, but its content is csv",
            "named as xlsx, but its content is csv",
            "its text is not UTF-8 and is read as windows-1252"
        ]
    );
    assert_eq!(fields(&stack, "A").await["name"], "café");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_matched_by_mapping_then_by_name_then_nearly() {
    let stack = Stack::start().await;
    let options = mapped(&[("Handle", "sku"), ("Title", "name"), ("Vendor", "brand")]);
    let import = stack.import_with(b"Handle,Title,Vendor,BASE PRICE,Tags\nh,t,v,9.90,x\n", options).await;
    assert_eq!((import.status, import.ignored_columns.as_slice()), (Status::Completed, &["Tags".to_owned()][..]));
    assert_eq!(fields(&stack, "h").await["base_price"].to_string(), "9.9");
    let same = stack
        .import_with(
            b"[{\"Handle\":\"h2\",\"Title\":\"t\",\"vendor\":\"x\",\"Vendor\":\"v\"}]",
            mapped(&[("Handle", "sku"), ("Title", "name"), ("Vendor", "brand")]),
        )
        .await;
    assert_eq!((same.status, same.rows.created), (Status::Completed, 1));
    assert_eq!(fields(&stack, "h2").await["brand"], "v");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_cannot_be_matched_fail_before_any_row() {
    let (code, message) = failure_of(b"sku,nmae,brand\nA,a,b\n", ImportOptions::default()).await;
    assert_eq!(code, "missing_column");
    assert!(
        message.ends_with(
            "`nmae` is not a field; did you mean `name`?; if so, give the option `mapping` = {\"nmae\":\"name\"}"
        ),
        "{message}"
    );
    let (code, message) = failure_of(b"sku,Titel,brand\nA,a,b\n", mapped(&[("Title", "name")])).await;
    assert_eq!(code, "unknown_column");
    assert!(message.contains("did you mean `Titel`?"), "{message}");
    let (code, _) = failure_of(b"a,b,name,brand\nA,a,n,b\n", mapped(&[("a", "sku"), ("b", "sku")])).await;
    assert_eq!(code, "duplicate_column");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_fit_no_file_are_refused_at_once() {
    let stack = Stack::start().await;
    for (options, code) in [
        (mapped(&[("Title", "nmae")]), "unknown_field"),
        (ImportOptions { encoding: Some("klingon".into()), ..ImportOptions::default() }, "unknown_encoding"),
    ] {
        let refused = support::refused(stack.client.create(&NewImport { options, ..NewImport::default() }, None).await);
        assert_eq!(refused, (422, code.to_owned()));
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_rows_that_are_bad_cost_themselves_alone() {
    let stack = Stack::start().await;
    let file = "[\n {\"sku\":\"A\",\"name\":\"a\",\"brand\":\"b\",\"cost\":1.10},\n {\"sku\":\"B\",\"name\":\"a\"},\n 17,\n\
                 {\"sku\":\"C\",\"name\":tru},\n {\"sku\":\"D\",\"name\":\"a\",\"sku\":\"E\",\"brand\":[1]}\n]";
    let import = stack.import(file.as_bytes()).await;
    assert_eq!((import.status, import.rows.created, import.rows.failed), (Status::CompletedWithErrors, 1, 4));
    let errors = stack.errors(&import.id).await;
    let places: Vec<_> = errors.iter().map(|e| (e.row, e.line, e.field.as_deref(), e.code.as_str())).collect();
    assert_eq!(
        places,
        [
            (2, 3, Some("brand"), "required"),
            (3, 4, None, "not_an_object"),
            (4, 5, None, "invalid_json"),
            (5, 6, Some("sku"), "duplicate_member"),
            (5, 6, Some("brand"), "wrong_type"),
        ]
    );
    assert_eq!(fields(&stack, "A").await["cost"].to_string(), "1.1");
    let text = stack.rejected(&import).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("{\"_errors\":\"required: ") && lines[0].ends_with(",\"sku\":\"B\",\"name\":\"a\"}"),
        "{text}"
    );
    assert_eq!((lines[1], lines[2]), ("17", "{\"sku\":\"C\",\"name\":tru}"));
    // Mended and sent again.
    let again = stack.import(lines[0].replace("\"name\":\"a\"", "\"name\":\"a\",\"brand\":\"b\"").as_bytes()).await;
    assert_eq!((again.status, again.rows.created), (Status::Completed, 1));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_document_says_from_which_row_on() {
    let stack = Stack::start().await;
    let row = |sku: &str| format!("{{\"sku\":\"{sku}\",\"name\":\"a\",\"brand\":\"b\"}}");
    let file = format!("{{\"rows\":[\n{},\n{}\n{}\n]}}", row("A"), row("B"), row("C"));
    let import = stack.import(file.as_bytes()).await;
    assert_eq!((import.rows.created, import.rows.failed), (2, 1));
    let error = &stack.errors(&import.id).await[0];
    assert_eq!((error.row, error.line, error.code.as_str()), (3, 4, "broken_document"));
    assert!(error.message.contains("on line 4") && error.message.contains("from row 3 on"), "{}", error.message);
    assert!(stack.rejected(&import).await.contains("\"C\""));
    let cut = stack.import(format!("[{},{}", row("A"), row("B")).as_bytes()).await;
    assert_eq!((cut.rows.unchanged, cut.rows.failed), (2, 1));
    assert!(stack.errors(&cut.id).await[0].message.contains("what may follow row 2 is missing"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_fails_the_import_and_says_so() {
    let whole = gzip(&support::files::plain(0, 50_000, "1"));
    let stack = Stack::start().await;
    let import = stack.import(&whole[..whole.len() - 1000]).await;
    adds_up(&import);
    assert_eq!(import.status, Status::Failed);
    let failure = import.failure.expect("a reason");
    assert_eq!(failure.code, "damaged_file");
    assert_eq!(import.rows.failed, 0);
    assert!(failure.message.contains("nothing from row "), "{}", failure.message);
    stack.stop().await;
}

/// A packed or transcoded upload has no place to go on at: it is read again from its start, to the same rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_splitter_that_dies_goes_on_in_any_format() {
    let rows = support::files::plain(0, 950, "1.50");
    let text = String::from_utf8(rows.clone()).expect("text");
    let objects: Vec<String> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!(r#"{{"sku":"{}","name":"{}","brand":"{}","cost":{}}}"#, cells[0], cells[1], cells[2], cells[3])
        })
        .collect();
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let sheet = workbook(|workbook| {
        let sheet = workbook.add_worksheet();
        for (row, line) in text.lines().enumerate() {
            for (column, cell) in line.split(',').enumerate() {
                sheet.write(row as u32, column as u16, cell).expect("a cell");
            }
        }
    });
    let files = [
        ("json", format!("{{\"products\":[\n{}\n]}}", objects.join(",\n")).into_bytes()),
        ("ndjson.gz", gzip(objects.join("\n").as_bytes())),
        ("utf-16", utf16),
        ("xlsx", sheet),
    ];
    for (name, file) in files {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = support::crashes::stack_with_crashes(folder.path()).await;
        for point in
            ["split.columns", "split.checkpoint", "split.chunks_sent", "split.last_block_sized", "report.written"]
        {
            support::crashes::arm(folder.path(), point);
        }
        let import = stack.import(&file).await;
        adds_up(&import);
        assert_eq!((import.status, import.rows.created), (Status::Completed, 950), "{name}");
        assert_eq!(support::crashes::armed(folder.path()), ["report.written"], "{name}");
        assert_eq!(fields(&stack, "SKU-949").await["cost"].to_string(), "1.5", "{name}");
        stack.stop().await;
    }
}

fn workbook(write: impl FnOnce(&mut Workbook)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    write(&mut workbook);
    workbook.save_to_buffer().expect("in memory")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workbooks_cells_are_what_it_stores() {
    let stack = Stack::start().await;
    let schema = json!({ "name": "stock", "primaryKey": ["sku"], "fields": [
        { "name": "sku", "constraints": { "required": true } }, { "name": "since", "type": "date", "format": "%d/%m/%Y" },
        { "name": "counted", "type": "datetime" }, { "name": "price", "type": "number" }, { "name": "active", "type": "boolean" },
        { "name": "total", "type": "number" },
    ] });
    stack.client.put_kind(&schema).await.expect("a kind");
    let file = workbook(|workbook| {
        workbook.add_worksheet().set_name("Notes").expect("a name").write(0, 0, "nothing here").expect("a cell");
        let sheet = workbook.add_worksheet();
        sheet.set_name("Stock").expect("a name");
        let date = CellFormat::new().set_num_format("dd/mm/yyyy");
        let day = |text: &str| ExcelDateTime::parse_from_str(text).expect("a date");
        for (column, name) in ["SKU", "since", "counted", "price", "active", "total", ""].iter().enumerate() {
            sheet.write(2, column as u16, *name).expect("a cell");
        }
        sheet.write(3, 0, 4_006_381_333_931.0).expect("a cell");
        sheet.write_with_format(3, 1, day("2026-11-21"), &date).expect("a cell");
        sheet.write_with_format(3, 2, day("2026-11-21T09:30:00"), &date).expect("a cell");
        sheet.write(3, 3, 19.99).expect("a cell").write(3, 4, true).expect("a cell");
        sheet.write_formula(3, 5, Formula::new("=D4*3").set_result("59.97")).expect("a cell");
        sheet.write(5, 0, "two").expect("a cell").write(5, 1, "21/11/2026").expect("a cell");
        sheet.write_formula(6, 3, Formula::new("=1/0").set_result("#DIV/0!")).expect("a cell");
        sheet.write(7, 0, "four").expect("a cell").write(7, 9, "too far").expect("a cell");
    });
    let options = ImportOptions { sheet: Some("Stock".into()), ..ImportOptions::default() };
    let new = NewImport { kind: Some("stock".into()), options, ..NewImport::default() };
    let import = import(&stack, new, &file).await;
    assert_eq!(import.detected.as_ref().and_then(|detected| detected.sheet.as_deref()), Some("Stock"));
    let errors = stack.errors(&import.id).await;
    let places: Vec<_> = errors.iter().map(|e| (e.row, e.line, e.field.as_deref(), e.code.as_str())).collect();
    assert_eq!(
        places,
        [(3, 7, Some("sku"), "required"), (3, 7, Some("price"), "cell_error"), (4, 8, None, "ragged_row")]
    );
    let record = stack.client.record("stock", "4006381333931").await.expect("answers").expect("is there");
    assert_eq!(
        record["fields"],
        json!({ "sku": "4006381333931", "since": "2026-11-21", "counted": "2026-11-21T09:30:00", "price": 19.99, "active": true, "total": 59.97 })
    );
    let record = stack.client.record("stock", "two").await.expect("answers").expect("is there");
    assert_eq!(record["fields"]["since"], "2026-11-21");
    let text = stack.rejected(&import).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "\u{feff}_row,_line,_errors,SKU,since,counted,price,active,total");
    assert!(lines[1].starts_with("3,7,") && lines[1].ends_with(",,,,_error: #DIV/0!,,"), "{text}");
    assert!(lines[2].starts_with("4,8,\"ragged_row: ") && lines[2].ends_with(",four,,,,,,,,,too far"), "{text}");
    stack.stop().await;
}

/// A workbook with one sheet, written by hand.
fn raw_workbook(rows: &str) -> Vec<u8> {
    let relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let related = |to: &str, target: &str| {
        format!("<Relationships><Relationship Id='r1' Type='{relation}/{to}' Target='{target}'/></Relationships>")
    };
    let parts = [
        ("[Content_Types].xml", "<Types/>".to_owned()),
        ("_rels/.rels", related("officeDocument", "xl/workbook.xml")),
        ("xl/_rels/workbook.xml.rels", related("worksheet", "worksheets/sheet1.xml")),
        ("xl/workbook.xml", "<!-- by an ERP --><workbook><sheets><sheet name='S' id='r1'/></sheets></workbook>".into()),
        ("xl/worksheets/sheet1.xml", format!("<x><dimension ref='#REF!'/><sheetData>{rows}</sheetData></x>")),
        ("customXml/item1.xml", "<!DOCTYPE p><p><![CDATA[price list]]></p>".into()),
    ];
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("in memory");
        archive.write_all(text.as_bytes()).expect("in memory");
    }
    archive.finish().expect("in memory").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn workbooks_are_read_as_people_send_them() {
    let text = |text: &str| format!("<c t='str'><v>{text}</v></c>");
    let formula = "<c t='str'><f>IF(Z5=\"\",\"\",Z5)</f><v></v></c>";
    let rows = [
        [text("<![CDATA[sku]]>"), text("name"), text("brand"), text("cost")].concat(),
        [text("A-1"), text("Lamp<!-- 40 W -->"), text("Nord"), "<c><v>1</v></c>".into(), text(""), text("")].concat(),
        // A template's empty formulas are a blank row, on its line.
        formula.repeat(6),
        [text("A-2"), text("Chair"), text("Nord"), "<c r='F4'><v>1.5</v></c>".into(), text("note")].concat(),
        // Whoever wrote it did not reckon.
        ["<c><f>\"A\"&amp;\"-3\"</f><v/></c>".into(), text("Desk"), text("Nord")].concat(),
    ];
    let rows: String = rows.iter().map(|row| format!("<row>{row}</row>")).collect();
    let stack = Stack::start().await;
    let import = stack.import(&raw_workbook(&rows)).await;
    assert_eq!((import.rows.created, import.rows.failed), (1, 2), "{import:?}");
    assert_eq!(fields(&stack, "A-1").await["name"], "Lamp");
    let errors = stack.errors(&import.id).await;
    let places: Vec<_> = errors.iter().map(|e| (e.row, e.line, e.key.as_deref(), e.code.as_str())).collect();
    assert_eq!(places, [(2, 4, None, "ragged_row"), (3, 5, None, "cell_error")]);
    let text = stack.rejected(&import).await;
    let ragged = text.lines().nth(1).unwrap_or_default();
    assert!(ragged.starts_with("2,4,") && ragged.ends_with(",A-2,Chair,Nord,,,1.5,note"), "{text}");
    let empty = stack.import(&raw_workbook("<row><c s='0'/></row>")).await.failure.expect("a reason");
    assert_eq!(empty.code, "empty_file");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workbooks_that_cannot_be_read_say_why() {
    let file = workbook(|workbook| {
        workbook.add_worksheet().set_name("Products").expect("a name").write(0, 0, "sku").expect("a cell");
    });
    let options = ImportOptions { sheet: Some("Stock".into()), ..ImportOptions::default() };
    let (code, message) = failure_of(&file, options).await;
    assert_eq!(code, "unknown_sheet");
    assert!(message.contains("`Products`"), "{message}");
    let (code, _) = failure_of(&file[..file.len() / 2], ImportOptions::default()).await;
    assert_eq!(code, "damaged_file");
}

/// A part of a workbook that unpacks to far more than it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_that_is_a_bomb_fails_clearly() {
    let plain = workbook(|workbook| {
        workbook.add_worksheet().write(0, 0, "sku").expect("a cell");
    });
    let text = format!("<sst><si><t>{}</t></si></sst>", "0".repeat(80 << 20));
    // How many there are is a hint: it makes no room for any.
    let many = format!("<sst uniqueCount=\"99999999999\">{}</sst>", "<si><t>name</t></si>".repeat(10));
    for (part, code) in [(text, "workbook_too_large"), (many, "missing_column")] {
        let mut source = zip::ZipArchive::new(std::io::Cursor::new(&plain)).expect("an archive");
        let mut bomb = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for index in 0..source.len() {
            let file = source.by_index_raw(index).expect("a part");
            if !file.name().expect("text").ends_with("sharedStrings.xml") {
                bomb.raw_copy_file(file).expect("copied");
            }
        }
        bomb.start_file("xl/sharedStrings.xml", zip::write::SimpleFileOptions::default()).expect("a part");
        bomb.write_all(part.as_bytes()).expect("in memory");
        let bomb = bomb.finish().expect("in memory").into_inner();
        assert!(bomb.len() < 200_000);
        assert_eq!(failure_of(&bomb, ImportOptions::default()).await.0, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_an_import_would_do_and_writes_nothing() {
    let stack = Stack::start().await;
    let created = stack.create(mapped(&[("Titel", "name")])).await;
    let preview = stack.client.preview(&created.id, b"SKU;Titel;brand;x\nA;a;b;1\nB;;b;1\nC;c".to_vec(), false).await;
    let preview = preview.expect("a preview");
    assert_eq!(preview["detected"]["delimiter"], ";");
    assert_eq!(preview["columns"][1], json!({ "column": "Titel", "field": "name", "filled": 1, "samples": ["a"] }));
    assert_eq!(preview["columns"][3], json!({ "column": "x", "field": null, "filled": 2, "samples": ["1"] }));
    assert_eq!(preview["rows"][0]["fields"], json!({ "sku": "A", "name": "a", "brand": "b" }));
    assert_eq!(preview["rows"][1]["errors"][0]["code"], "required");
    assert_eq!(preview["rows"].as_array().map(Vec::len), Some(2), "the last row may be cut");
    let whole = stack.client.preview(&created.id, b"SKU;Titel;brand\nC;c;d".to_vec(), true).await.expect("a preview");
    assert_eq!(whole["rows"][0]["fields"]["sku"], "C");
    let failing = stack.client.preview(&created.id, b"SKU;Titel\nC;c\n".to_vec(), true).await.expect("a preview");
    assert_eq!(failing["failure"]["code"], "missing_column");
    let import = stack.client.import(&created.id).await.expect("there");
    assert_eq!((import.status, import.columns), (Status::AwaitingUpload, None));
    assert_eq!(stack.client.record("products", "A").await.expect("answers"), None);
    let none = support::refused(stack.client.preview(&created.id, Vec::new(), true).await);
    assert_eq!(none, (409, "nothing_uploaded".to_owned()));
    // Once there is an upload, it is what is looked at.
    assert_eq!(upload(&created, b"SKU;Titel;brand\nZ;z;d\n").await, 200);
    stack.ended(&created.id).await;
    let stored = stack.client.preview(&created.id, Vec::new(), true).await.expect("a preview");
    assert_eq!(stored["rows"][0]["fields"]["sku"], "Z");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_kind_has_versions_and_an_import_keeps_its_own() {
    let stack = Stack::start().await;
    let schema = |required: bool| {
        json!({ "name": "parts", "title": "Parts", "primaryKey": "no", "fields": [
            { "name": "no", "constraints": { "required": true } },
            { "name": "weight", "type": "number", "constraints": { "required": required, "maximum": 10.50 } } ] })
    };
    let first = stack.client.put_kind(&schema(false)).await.expect("a kind");
    assert_eq!(first.version, Some(1));
    assert_eq!(stack.client.put_kind(&schema(false)).await.expect("the same"), first);
    let new = NewImport { kind: Some("parts".into()), ..NewImport::default() };
    let started = stack.client.create(&new, None).await.expect("an import");
    assert_eq!(stack.client.put_kind(&schema(true)).await.expect("another").version, Some(2));
    assert_eq!(upload(&started, b"no,weight\nA,\nB,10.51\n").await, 200);
    let old = stack.ended(&started.id).await;
    assert_eq!((old.kind_version, old.rows.created, old.rows.failed), (Some(1), 1, 1));
    let import = import(&stack, new, b"no,weight\nA,\nB,1\n").await;
    assert_eq!((import.kind_version, import.rows.created, import.rows.failed), (Some(2), 1, 1));
    // Another account does not see it.
    let other = stack.client_of(support::OTHER_TOKEN);
    assert_eq!(support::refused(other.kind_text("parts").await), (404, "not_found".to_owned()));
    let refused = support::refused(stack.client.put_kind(&json!({ "name": "products" })).await);
    assert_eq!(refused, (409, "bundled_kind".to_owned()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_schema_is_refused_with_the_place_of_what_is_wrong() {
    let stack = Stack::start().await;
    let body = json!({ "name": "parts", "primaryKey": ["no"], "fields": [
        { "name": "no", "constraints": { "required": true } }, { "name": "x", "constraints": { "pattern": "(" } } ] });
    let url = format!("{}/v1/kinds/parts", stack.cloud.url());
    let request = support::http::client().put(url).bearer_auth(support::TOKEN).body(body.to_string());
    let answer = support::http::send(request).await;
    assert_eq!(answer.refusal(), (422, "invalid_schema".to_owned()));
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body["pointer"], "/fields/1/constraints/pattern");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_columns_as_in_any_other_format() {
    let stack = Stack::start().await;
    let file = br#"{"sku":"A","name":"a","brand":"b","base_prcie":3,"colour":"red"}"#;
    let import = stack.import(file).await;
    assert_eq!(
        (import.status, import.ignored_columns),
        (Status::Completed, vec!["base_prcie".into(), "colour".into()])
    );
    // A mapping goes before a name, here as there.
    let file = br#"[{"sku":"B","name":"no","Titre":"yes","brand":"b"}]"#;
    let import = stack.import_with(file, mapped(&[("Titre", "name")])).await;
    assert_eq!((import.rows.created, import.ignored_columns), (1, vec!["name".into()]));
    assert_eq!(fields(&stack, "B").await["name"], "yes");
    stack.stop().await;
    let (code, message) =
        failure_of(br#"{"sku":"A","name":"a","brand":"b","preis":3}"#, mapped(&[("Preis", "base_price")])).await;
    assert_eq!(code, "unknown_column");
    assert!(message.contains("did you mean `preis`?"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn additional_members_keep_their_own_names_whatever_came_before() {
    let rows = ["{\"externalId\":\"o1\",\"Color\":\"red\"}", "{\"externalId\":\"o2\",\"color\":\"blue\"}"];
    for file in [rows.join("\n"), [rows[1], rows[0]].join("\n")] {
        let stack = Stack::start().await;
        let new = NewImport { kind: Some("catalog".into()), ..NewImport::default() };
        assert_eq!(import(&stack, new, file.as_bytes()).await.rows.created, 2);
        for (key, name, other) in [("o1", "Color", "color"), ("o2", "color", "Color")] {
            let record = stack.client.record("catalog", key).await.expect("answers").expect("is there");
            assert!(record["fields"][name].is_string() && record["fields"][other].is_null(), "{record}");
        }
        stack.stop().await;
    }
    // However many there are, as long as a record has room for them.
    let stack = Stack::start().await;
    for (key, count, status) in [("w", 8_000, Status::Completed), ("x", 20_000, Status::CompletedWithErrors)] {
        let members: String = (0..count).map(|n| format!(",\"a{n}\":1")).collect();
        let new = NewImport { kind: Some("catalog".into()), ..NewImport::default() };
        let wide = import(&stack, new, format!("{{\"externalId\":\"{key}\"{members}}}").as_bytes()).await;
        assert_eq!(wide.status, status, "{key}");
        let codes: Vec<String> = stack.errors(&wide.id).await.into_iter().map(|error| error.code).collect();
        let record = stack.client.record("catalog", key).await.expect("answers");
        let fields = record.map(|record| record["fields"].as_object().expect("fields").len());
        if status == Status::Completed {
            // With its key and its name, which is the key where nothing else is told.
            assert_eq!((fields, codes), (Some(count + 2), Vec::new()), "{key}");
        } else {
            assert_eq!((fields, codes), (None, vec!["record_item_too_large".to_owned()]), "{key}");
        }
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_can_be_mended_and_sent_again_whatever_they_came_in() {
    let schema = |name: &str, additional: &str| {
        json!({ "name": name, "primaryKey": ["id"], "additionalFields": additional, "fields": [
            { "name": "id", "constraints": { "required": true } },
            { "name": "preis", "type": "number", "decimalChar": ",", "groupChar": "." },
            { "name": "seit", "type": "date", "format": "%d.%m.%Y" }, { "name": "aktiv", "type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"] },
            { "name": "line", "type": "integer" } ] })
    };
    let sheet = workbook(|workbook| {
        let sheet = workbook.add_worksheet();
        let date = CellFormat::new().set_num_format("dd/mm/yyyy");
        for (column, name) in ["id", "line", "preis", "seit", "aktiv", "mehr"].iter().enumerate() {
            sheet.write(0, column as u16, *name).expect("a cell");
        }
        for (row, id) in [(1, "A"), (2, "B")] {
            sheet.write(row, 0, id).expect("a cell").write(row, 1, "bad").expect("a cell");
            sheet.write(row, 2, 19.99).expect("a cell").write(row, 4, true).expect("a cell");
            let day = ExcelDateTime::parse_from_str("2026-11-21").expect("a date");
            sheet.write_with_format(row, 3, day, &date).expect("a cell");
        }
    });
    let csv = "id;line;preis;seit;aktiv;mehr\nA;bad;19,99;21.11.2026;ja;x\nB;bad;19,99;21.11.2026;ja;y\n";
    let ndjson =
        "{\"id\":\"A\",\"line\":\"bad\",\"preis\":19.99,\"seit\":\"21.11.2026\",\"aktiv\":true,\"mehr\":1}\n".repeat(2);
    let (windows, _, _) = encoding_rs::WINDOWS_1252.encode("id;line;mehr\nA;bad;Größe\nB;bad;Größe\n");
    let files = [sheet, csv.as_bytes().to_vec(), ndjson.into_bytes(), windows.into_owned()];
    for additional in ["ignore", "keep"] {
        for (at, file) in files.iter().enumerate() {
            let stack = Stack::start().await;
            stack.client.put_kind(&schema("artikel", additional)).await.expect("a kind");
            let encoding = (at == 3).then(|| "windows-1252".to_owned());
            let options = ImportOptions { encoding, ..ImportOptions::default() };
            let new = || NewImport { kind: Some("artikel".into()), options: options.clone(), ..NewImport::default() };
            let first = import(&stack, new(), file).await;
            assert_eq!(first.rows.failed, 2, "{at} {additional}");
            // Twice over: what was added the first time is not in the way the second time.
            let text = stack.rejected(&first).await;
            let second = import(&stack, new(), text.as_bytes()).await;
            assert_eq!(second.rows.failed, 2, "{at} {additional} {text}");
            let mended = stack.rejected(&second).await.replace("bad", "7");
            let third = import(&stack, new(), mended.as_bytes()).await;
            assert_eq!(third.status, Status::Completed, "{at} {additional} {mended}");
            let record =
                stack.client.record("artikel", "A").await.expect("answers").expect("is there")["fields"].clone();
            assert_eq!(record["line"], 7);
            if at < 3 {
                let told = json!({ "preis": 19.99, "seit": "2026-11-21", "aktiv": true });
                for (name, value) in told.as_object().expect("an object") {
                    assert_eq!(record[name], *value, "{at} {name}");
                }
            } else if additional == "keep" {
                assert_eq!(record["mehr"], "Größe");
            }
            assert!(["_row", "_line", "_errors"].iter().all(|name| record[name].is_null()), "{record}");
            stack.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_repeats_a_long_text_takes_no_memory_for_it() {
    let text = "x".repeat(32_000);
    let file = workbook(|workbook| {
        let sheet = workbook.add_worksheet();
        for column in 0..600 {
            sheet.write(0, column, format!("c{column}")).expect("a cell");
        }
        // 768 MB of text, in a file of some kilobytes.
        for row in 1..=40 {
            for column in 0..600 {
                sheet.write(row, column, &text).expect("a cell");
            }
        }
        sheet
            .write(0, 0, "sku")
            .expect("a cell")
            .write(0, 1, "name")
            .expect("a cell")
            .write(0, 2, "brand")
            .expect("a cell");
    });
    let stack = Stack::start().await;
    let import = stack.import(&file).await;
    assert_eq!((import.status, import.rows.failed), (Status::CompletedWithErrors, 40));
    assert!(stack.errors(&import.id).await.iter().all(|error| error.code == "record_too_large"));
    for process in stack.cloud.processes() {
        assert!(process.peak_rss_bytes <= 128 << 20, "{process:?}");
    }
    stack.stop().await;
}

/// 30 MB, or as many as `PENSTOCK_MEMORY_MB` says, in each format.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_within_128_mib_whatever_the_format() {
    let megabytes: usize = std::env::var("PENSTOCK_MEMORY_MB").map_or(30, |text| text.parse().expect("a number"));
    let text = "words ".repeat(160);
    let rows = megabytes * 1_000_000 / 1_000;
    let object = |row: usize| {
        format!("{{\"sku\":\"SKU-{row}\",\"name\":\"Product\",\"brand\":\"Brand\",\"description\":\"{text}\"}}")
    };
    let mut csv = String::from("sku,name,brand,description\n");
    let (mut lines, mut array) = (String::new(), String::from("["));
    for row in 0..rows {
        csv.push_str(&format!("SKU-{row},Product,Brand,{text}\n"));
        lines.push_str(&format!("{}\n", object(row)));
        array.push_str(&format!("{}{}", if row > 0 { "," } else { "" }, object(row)));
    }
    array.push(']');
    for (name, file) in [("ndjson", lines.into_bytes()), ("json", array.into_bytes()), ("csv.gz", gzip(csv.as_bytes()))]
    {
        let stack = Stack::start().await;
        let import = stack.import(&file).await;
        assert_eq!((import.status, import.rows.created), (Status::Completed, rows as u64));
        let processes = stack.cloud.processes();
        for function in ["split", "validate"] {
            let peaks: Vec<u64> =
                processes.iter().filter(|p| p.function == function).map(|p| p.peak_rss_bytes).collect();
            println!("{megabytes} MB, {name}, {function}: {peaks:?} bytes at most");
            assert!(
                !peaks.is_empty() && peaks.iter().all(|peak| (1..=128 << 20).contains(peak)),
                "{function}: {peaks:?}"
            );
        }
        stack.stop().await;
    }
}

/// 10,000 rows, or as many as `PENSTOCK_SHEET_ROWS` says.
#[tokio::test(flavor = "multi_thread")]
async fn a_workbooks_memory_is_bounded_by_what_it_shares() {
    let rows: u32 = std::env::var("PENSTOCK_SHEET_ROWS").map_or(10_000, |text| text.parse().expect("a number"));
    let file = workbook(|workbook| {
        let sheet = workbook.add_worksheet();
        for (column, name) in ["sku", "name", "brand", "cost", "description"].iter().enumerate() {
            sheet.write(0, column as u16, *name).expect("a cell");
        }
        for row in 1..=rows {
            sheet.write(row, 0, format!("SKU-{row}")).expect("a cell");
            sheet.write(row, 1, format!("Product number {row}")).expect("a cell");
            sheet.write(row, 2, "Brand").expect("a cell").write(row, 3, f64::from(row) / 100.0).expect("a cell");
            sheet.write(row, 4, format!("A description of some length for row {row}")).expect("a cell");
        }
    });
    let stack = Stack::start().await;
    let import = stack.import(&file).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, u64::from(rows)));
    assert_eq!(fields(&stack, "SKU-1999").await["cost"].to_string(), "19.99");
    let processes = stack.cloud.processes();
    let peaks: Vec<u64> = processes.iter().filter(|p| p.function == "split").map(|p| p.peak_rss_bytes).collect();
    println!("{rows} rows, {} bytes: split {peaks:?} bytes at most", file.len());
    assert!(!peaks.is_empty() && peaks.iter().all(|peak| (1..=256 << 20).contains(peak)), "{peaks:?}");
    stack.stop().await;
}
