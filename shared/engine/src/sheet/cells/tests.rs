use proptest::prelude::*;

use super::{super::held::Held, *};

fn references() -> References {
    let part = b"<sst><si><t>zero</t></si><si><t></t></si></sst>".as_slice();
    let mut xml = Xml::new(part).expect("read");
    let texts = SharedTexts::read(&mut xml, &mut Held::default()).expect("texts");
    References { texts, styles: vec![Shown::Number, Shown::Moment, Shown::Elapsed], is_1904: false }
}

/// The cells of rows, as `row,column,value`.
fn cells(rows: &str) -> Result<Vec<String>, Flaw> {
    let sheet = format!("<worksheet><dimension ref=\"#REF!\"/><sheetData>{rows}</sheetData><x/></worksheet>");
    let mut cells = Vec::new();
    each_cell(&mut Xml::new(sheet.as_bytes())?, &references(), |row, column, value| {
        cells.push(format!("{row},{column},{value:?}"));
        Ok(true)
    })?;
    Ok(cells)
}

/// The value of a cell.
fn value(cell: &str) -> String {
    let cells = cells(&format!("<row><c{cell}</c></row>")).unwrap_or_else(|flaw| panic!("{cell}: {flaw:?}"));
    assert_eq!(cells.len(), 1);
    cells[0].strip_prefix("0,0,").expect("the first cell").to_owned()
}

#[test]
fn a_cell_is_what_its_type_says() {
    for (cell, wanted) in [
        ("><v>12.5</v>", "Number(12.5)"),
        (" t=\"n\"><v> -1e3\n</v>", "Number(-1000.0)"),
        ("><v><![CDATA[7]]></v>", "Number(7.0)"),
        ("><v>1<!-- -->2</v>", "Number(12.0)"),
        ("><v>NaN</v>", "Text(\"NaN\")"),
        ("><v></v>", "Empty"),
        ("><v/>", "Empty"),
        (">", "Empty"),
        (" s=\"0\"><v>1</v>", "Number(1.0)"),
        (" s=\"1\"><v>1</v>", "Moment { days: 1.0, is_1904: false }"),
        (" s=\"2\"><v>1</v>", "Elapsed { days: 1.0 }"),
        (" s=\"9\"><v>1</v>", "Number(1.0)"),
        (" s=\"1\" t=\"s\"><v>0</v>", "Text(\"zero\")"),
        (" t=\"s\"><v>1</v>", "Text(\"\")"),
        (" t='s'><v></v>", "Empty"),
        (" t=\"b\"><v>1</v>", "Boolean(true)"),
        (" t=\"b\"><v>false</v>", "Boolean(false)"),
        (" t=\"e\"><v>#N/A</v>", "Error(\"#N/A\")"),
        (" t=\"e\"><v>#SPILL!</v>", "Error(\"#SPILL!\")"),
        (" t=\"d\"><v>2026-11-21</v>", "Date(\"2026-11-21\")"),
        (" t=\"str\"><v> a&amp;b_x0041_ </v>", "Text(\" a&bA \")"),
        (" t=\"new\"><v>a</v>", "Text(\"a\")"),
        (" t=\"inlineStr\"><is><t>a</t></is>", "Text(\"a\")"),
        (" t=\"inlineStr\"><is><r><t>a</t></r><r><t>b</t></r><rPh><t>c</t></rPh></is>", "Text(\"ab\")"),
        (" t=\"inlineStr\"><is><t><![CDATA[<]]></t></is>", "Text(\"<\")"),
        (" t=\"inlineStr\"><is/>", "Text(\"\")"),
        (" t=\"inlineStr\"><v>a</v>", "Empty"),
        // Formulas are what was stored with them.
        ("><f>1+1</f><v>2</v>", "Number(2.0)"),
        ("><f t=\"shared\" si=\"0\"/><v>2</v><extLst><v>3</v></extLst>", "Number(2.0)"),
        (" t=\"str\"><f>IF(A1=\"\",\"\",A1)</f><v></v>", "Text(\"\")"),
        ("><f>1+1</f><v/>", "Error(\"a formula without a stored value\")"),
        ("><f>1+1</f>", "Error(\"a formula without a stored value\")"),
    ] {
        assert_eq!(value(cell), wanted, "{cell}");
    }
}

#[test]
fn a_cell_is_where_it_says_or_behind_the_one_before() {
    let cell = |r: &str| format!("<c{r}><v>1</v></c>");
    let (here, at) = (cell(""), |r: &str| cell(&format!(" r=\"{r}\"")));
    let of = |rows: &str| {
        let cells = cells(rows).unwrap_or_else(|flaw| panic!("{rows}: {flaw:?}"));
        cells.iter().map(|cell| cell.rsplit_once(',').expect("a value").0.to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(&format!("<row>{here}{here}</row><row/><row>{here}</row>")), "0,0 0,1 2,0");
    assert_eq!(of(&format!("<row r=\"3\">{here}{}{here}</row><row>{here}</row>", at("D3"))), "2,0 2,3 2,4 3,0");
    assert_eq!(of(&format!("<row>{}</row>", at("xfd1048576"))), "1048575,16383");
    assert_eq!(of(&format!("<x:row xmlns:x='y' r='2'>{}</x:row>", at("A2"))), "1,0");
    for wrong in ["A", "1", "A0", "A1B", "$A$1", "", "A1:B2", "é1"] {
        assert!(matches!(cells(&format!("<row>{}</row>", at(wrong))), Err(Flaw::Malformed)), "{wrong}");
    }
    for wrong in ["", "0", "one", "1x"] {
        assert!(matches!(cells(&format!("<row r=\"{wrong}\"/>")), Err(Flaw::Malformed)), "{wrong}");
    }
    let far = of(&format!("<row>{}</row>", at(&format!("{}{}", "Z".repeat(40), "9".repeat(40)))));
    assert_eq!(far, format!("{},{}", u32::MAX - 1, u32::MAX - 1));
}

#[test]
fn what_a_sheet_cannot_mean_is_damage() {
    for rows in
        ["<row><c t='s'><v>2</v></c></row>", "<row><c t='s'><v>x</v></c></row>", "<row><c t='b'><v>2</v></c></row>"]
    {
        assert!(matches!(cells(rows), Err(Flaw::Malformed)), "{rows}");
    }
    let mut xml = Xml::new(b"<chartsheet/>".as_slice()).expect("read");
    assert!(matches!(each_cell(&mut xml, &references(), |_, _, _| Ok(true)), Err(Flaw::Malformed)));
}

#[test]
fn an_extent_is_of_what_holds_anything() {
    let of = |rows: &str| {
        let sheet = format!("<w><dimension ref='A1:Z99'/><sheetData>{rows}</sheetData><xm:f>A1</xm:f></w>");
        let extent = Extent::read(&mut Xml::new(sheet.as_bytes()).expect("read")).expect("a sheet");
        let holds = Holds::read(&mut Xml::new(sheet.as_bytes()).expect("read")).expect("a sheet");
        assert_eq!(holds, Holds { anything: extent.rows > 0, ambiguous: false });
        extent
    };
    assert_eq!(of(""), Extent::default());
    assert_eq!(of("<row r='4'><c r='B4' s='1'/></row><row/>"), Extent::default());
    let rows = "<row><c/><c><v>1</v></c></row><row/><row r='7'><c r='E7'><f/><v/></c><c><is/></c></row>";
    assert_eq!(of(rows), Extent { rows: 2, columns: 6 });
    let cut = b"<worksheet><sheetData></sheetData>".as_slice();
    assert!(matches!(Holds::read(&mut Xml::new(cut).expect("read")), Err(Flaw::Cut)));
}

/// A cell of pieces that may come to a number that is read in two ways.
fn cell() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "12",
        "234",
        ".",
        ",",
        "1.234",
        "12,345",
        " ",
        "-",
        "e",
        "kg",
        "&amp;",
        "&#46;",
        "&#x31;",
        "_x002E_",
        "_",
        "x002C_",
        "<!-- -->",
        "<![CDATA[.234]]>",
        "<![CDATA[1]]>",
        "<f>1</f>",
        "</t></r><r><t>",
        "</t><rPh><t>5</t></rPh><t>",
    ]);
    let kind = prop::sample::select(vec![" t=\"s\"", " t='s'", " t=\"str\"", " t=\"inlineStr\"", " t=\"n\"", ""]);
    let around =
        prop::sample::select(vec![("<v>", "</v>"), ("<f>1.5</f><v>", "</v>"), ("<is><r><t>", "</t></r></is>")]);
    (kind, around, prop::collection::vec(piece, 0..5)).prop_map(|(kind, (before, behind), pieces)| {
        format!("<row><c r=\"A1\"{kind}>{before}{}{behind}</c></row>", pieces.concat())
    })
}

/// Whether a text is a number that is read in two ways, whatever stands around it.
fn is_ambiguous(text: &str) -> bool {
    let number = text.trim_matches(|c: char| !c.is_ascii_digit());
    let is_of_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    number
        .split_once(['.', ','])
        .is_some_and(|(whole, fraction)| is_of_digits(whole) && fraction.len() == 3 && is_of_digits(fraction))
}

proptest! {
    #![proptest_config(crate::cases(4000))]

    #[test]
    fn no_cell_that_is_read_in_two_ways_is_overlooked(rows in cell()) {
        let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
        let (mut found, xml) = (false, || Xml::new(sheet.as_bytes()).expect("read"));
        let _ = each_cell(&mut xml(), &references(), |_, _, value| {
            found |= matches!(value, Value::Text(text) if is_ambiguous(text));
            Ok(true)
        });
        if let Ok(holds) = Holds::read(&mut xml()) {
            prop_assert!(holds.ambiguous || !found, "{}", rows);
        }
    }
}
