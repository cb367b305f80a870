use std::{
    io::{Cursor, Write},
    ops::ControlFlow,
};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// An archive of parts.
fn archive(parts: &[(&str, String)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).expect("in memory");
        writer.write_all(text.as_bytes()).expect("in memory");
    }
    writer.finish().expect("in memory").into_inner()
}

/// A workbook of sheets, each a name, its attributes and its rows; `more` are parts beside them, or in place of them.
fn workbook(sheets: &[(&str, &str, &str)], more: &[(&'static str, &str)]) -> Vec<u8> {
    const PATHS: [&str; 3] = ["xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml", "xl/worksheets/sheet3.xml"];
    let (mut list, mut relations) = (String::new(), String::new());
    let mut parts = vec![("[Content_Types].xml", "<Types/>".to_owned())];
    for ((name, attributes, rows), path) in sheets.iter().zip(PATHS) {
        list.push_str(&format!("<sheet name='{name}' {attributes} r:id='{path}'/>"));
        relations.push_str(&format!("<Relationship Id='{path}' Type='{RELATIONS}/worksheet' Target='/{path}'/>"));
        parts.push((path, format!("<worksheet><sheetData>{rows}</sheetData></worksheet>")));
    }
    let own = format!(
        "<Relationships><Relationship Type='{RELATIONS}/officeDocument' Target='xl/workbook.xml'/></Relationships>"
    );
    parts.push(("_rels/.rels", own));
    parts.push(("xl/workbook.xml", format!("<workbook xmlns:r='r'><sheets>{list}</sheets></workbook>")));
    parts.push(("xl/_rels/workbook.xml.rels", format!("<Relationships>{relations}</Relationships>")));
    for (name, text) in more {
        parts.retain(|part| part.0 != *name);
        parts.push((name, (*text).to_owned()));
    }
    archive(&parts)
}

fn rows(file: &[u8], sheet: Option<&str>) -> Result<String, Failure> {
    let mut text = Vec::new();
    each_row(Cursor::new(file), sheet, 1, &mut |piece| {
        text.extend(piece);
        ControlFlow::Continue(())
    })?;
    Ok(String::from_utf8(text).expect("text"))
}

fn chosen(file: &[u8], wanted: Option<&str>) -> Result<String, (String, String)> {
    inspect(Cursor::new(file), file.len() as u64, wanted)
        .map(|inspected| inspected.sheet)
        .map_err(|failure| (failure.code, failure.message))
}

const ROW: &str = "<row><c t='inlineStr'><is><t>sku</t></is></c><c><v>7</v></c></row>";

#[test]
fn comments_cdata_and_instructions_are_xml_like_any_other_in_every_part() {
    let odd = "<?xml version='1.0'?><!-- by hand --><?mso-application progid='Excel'?>";
    let sheet = format!(
        "{odd}<worksheet><dimension ref='1:4'/><!-- > --><sheetData><?a?>{ROW}<!--<row>--></sheetData></worksheet>"
    );
    let list =
        format!("{odd}<workbook><sheets><!-- --><sheet name='S' id='xl/worksheets/sheet1.xml'/></sheets></workbook>");
    let styles = format!("{odd}<styleSheet><!-- --></styleSheet>");
    let texts = format!("{odd}<sst><!-- --><si><t><![CDATA[a]]></t></si></sst>");
    let more = [
        ("xl/worksheets/sheet1.xml", sheet.as_str()),
        ("xl/workbook.xml", &list),
        ("xl/styles.xml", &styles),
        ("XL/SharedStrings.xml", &texts),
        // What holds no rows is not looked into.
        ("customXml/item1.xml", "<!DOCTYPE a><p><![CDATA[price list]]>"),
        ("xl/theme/theme1.xml", "no XML at all"),
    ];
    let file = workbook(&[("S", "", "")], &more);
    assert_eq!(chosen(&file, None).expect("a sheet"), "S");
    assert_eq!(rows(&file, None).expect("rows"), "[\"sku\",7]");
}

#[test]
fn a_document_type_is_refused_with_the_parts_name() {
    let parts = ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "_rels/.rels", "xl/worksheets/sheet1.xml"];
    for part in parts.into_iter().chain(["xl/styles.xml", "xl/sharedStrings.xml"]) {
        let file = workbook(&[("S", "", ROW)], &[(part, "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")]);
        let failure = rows(&file, None).expect_err("refused");
        assert_eq!(failure.code, "damaged_file");
        assert!(failure.message.contains(part) && failure.message.contains("document type"), "{}", failure.message);
        // Before any row.
        assert!(chosen(&file, None).is_err(), "{part}");
    }
}

#[test]
fn the_first_sheet_that_is_shown_is_read_unless_another_is_named() {
    let row = |text: &str| format!("<row><c t='str'><v>{text}</v></c></row>");
    let (one, two) = (row("one"), row("two"));
    let file = workbook(&[("One", "state='hidden'", &one), ("T&amp;o", "", &two)], &[]);
    assert_eq!(chosen(&file, None).expect("a sheet"), "T&o");
    assert_eq!(rows(&file, None).expect("rows"), "[\"two\"]");
    assert_eq!(rows(&file, Some("One")).expect("rows"), "[\"one\"]");
    let (code, message) = chosen(&file, Some("Stock")).expect_err("no such sheet");
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("unknown_sheet", "there is no sheet `Stock`; the workbook has `T&o`, `One`")
    );
    let none = workbook(&[], &[]);
    assert_eq!(chosen(&none, None).expect_err("no sheet").1, "the workbook has no sheet of cells");
}

#[test]
fn an_empty_sheet_fails_with_the_others_and_their_sizes() {
    let empty = "<row r='1'><c r='A1' s='0'/></row>";
    let file = workbook(&[("Cover", "", empty), ("Stock", "", &ROW.repeat(2)), ("Notes", "", "")], &[]);
    let (code, message) = chosen(&file, None).expect_err("empty");
    assert_eq!(code, "empty_file");
    assert_eq!(
        message,
        "the sheet `Cover` is empty; there is `Stock` (2 rows, 2 columns), `Notes` (empty); to read that one, give the option `sheet` = \"Stock\""
    );
    assert_eq!(chosen(&file, Some("Stock")).expect("a sheet"), "Stock");
    let alone = workbook(&[("Cover", "", empty)], &[]);
    assert_eq!(chosen(&alone, None).expect_err("empty").1, "the sheet `Cover` is empty, and there is no other");
}

#[test]
fn days_may_be_counted_from_1904() {
    let styles = "<styleSheet><cellXfs><xf/><xf numFmtId='14'/></cellXfs></styleSheet>";
    let list = "<workbook><workbookPr date1904='1'/><sheet name='S' id='xl/worksheets/sheet1.xml'/></workbook>";
    let rows_of = |more: &[(&'static str, &str)]| {
        let file = workbook(&[("S", "", "<row><c s='1'><v>1</v></c><c s='1'><v>-1</v></c></row>")], more);
        rows(&file, None).expect("rows")
    };
    let outside = "{\"error\":\"a date that Excel's calendar does not have\"}";
    assert_eq!(rows_of(&[("xl/styles.xml", styles)]), format!("[{{\"date\":\"1900-01-01\"}},{outside}]"));
    let of_1904 = rows_of(&[("xl/styles.xml", styles), ("xl/workbook.xml", list)]);
    assert_eq!(of_1904, format!("[{{\"date\":\"1904-01-02\"}},{outside}]"));
}

#[test]
fn a_failure_names_the_part() {
    let file = |part, text| workbook(&[("S", "", ROW)], &[(part, text)]);
    let long = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(limits::WORKBOOK_TEXT_BYTES + 1));
    let many = format!("<sst>{}</sst>", "<si/>".repeat(limits::WORKBOOK_HELD_BYTES / 4 + 1));
    for (part, text, code, says) in [
        ("xl/sharedStrings.xml", long.as_str(), "workbook_too_large", "1048576"),
        ("xl/sharedStrings.xml", &many, "workbook_too_large", "67108864"),
        ("xl/styles.xml", "<styleSheet>", "damaged_file", "cut off"),
        ("xl/worksheets/sheet1.xml", "<chart/>", "damaged_file", "not what"),
    ] {
        let failure = rows(&file(part, text), None).expect_err("refused");
        assert_eq!(failure.code, code);
        assert!(failure.message.contains(part) && failure.message.contains(says), "{}", failure.message);
    }
    let gone = archive(&[("xl/workbook.xml", "<workbook/>".to_owned())]);
    assert!(rows(&gone, None).expect_err("refused").message.contains("xl/_rels/workbook.xml.rels is not there"));
}

/// Cells may be small in the sheet and large in the text.
#[test]
fn reading_stops_where_no_more_is_wanted() {
    let file = workbook(&[("S", "", &ROW.repeat(50_000))], &[]);
    let mut pieces = 0;
    let read = each_row(Cursor::new(&file), None, 1, &mut |_| {
        pieces += 1;
        if pieces == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((read.is_ok(), pieces), (true, 2));
}

#[test]
fn columns_have_letters() {
    assert_eq!([0, 25, 26, 701, 702].map(letters), ["A", "Z", "AA", "ZZ", "AAA"]);
}
