use super::*;

fn styles(part: &str) -> Result<Vec<Shown>, Flaw> {
    read_styles(&mut Xml::new(part.as_bytes())?, &mut Held::default())
}

#[test]
fn styles_are_shown_as_their_formats_say() {
    let part = "<styleSheet><numFmts count='3'><numFmt numFmtId='164' formatCode='dd\\.mm\\.yyyy'/>\
         <numFmt numFmtId=\"165\" formatCode=\"&quot;day&quot; 0\"/><numFmt numFmtId='14' formatCode='0'/><numFmt numFmtId='x'/></numFmts>\
         <fonts><font><name val='d'/></font></fonts><cellStyleXfs><xf numFmtId='22'/></cellStyleXfs>\
         <cellXfs><xf numFmtId='0'/><xf numFmtId='164'><alignment/></xf><xf numFmtId='165'/><xf numFmtId='14'/><xf numFmtId='46'/>\
         <xf numFmtId='999'/><xf/></cellXfs><dxfs><dxf><numFmt numFmtId='0' formatCode='d'/></dxf></dxfs></styleSheet>";
    let (number, moment, elapsed) = (Shown::Number, Shown::Moment, Shown::Elapsed);
    assert_eq!(styles(part).expect("styles"), [number, moment, number, number, elapsed, number, number]);
}

#[test]
fn however_many_styles_and_formats_there_are_they_are_held_within_the_limit() {
    let most = limits::WORKBOOK_HELD_BYTES / ITEM_BYTES + 1;
    let formats = "<numFmt numFmtId='1' formatCode=''/>".repeat(most);
    assert!(matches!(styles(&format!("<s><numFmts>{formats}</numFmts></s>")), Err(Flaw::TooMuch)));
    let few = styles(&format!("<s><fonts>{}</fonts></s>", "<font><name val='a'/></font>".repeat(most)));
    assert_eq!(few.expect("fonts are not looked at"), []);
}

#[test]
fn a_part_is_where_its_relationship_says() {
    for (folder, target, path) in [
        ("xl/", "worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
        ("xl/", "/xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
        ("xl/", "../xl/./a.xml", "xl/a.xml"),
        ("", "a.xml", "a.xml"),
        ("", "../../a.xml", "a.xml"),
    ] {
        assert_eq!(resolved(folder, target), path);
    }
}

#[test]
fn a_list_of_sheets_is_held_once_and_within_the_limit() {
    let known = HashMap::from([("r1".to_owned(), "x".repeat(1_000_000))]);
    let read = |count: usize| {
        let sheets = "<sheet name='S&amp;T' state='hidden' r:id='r1'/><sheet name='no' r:id='r2'/>".repeat(count);
        let part = format!("<workbook><workbookPr date1904='1'/><sheets>{sheets}</sheets><x:workbookPr/></workbook>");
        read_sheets(&mut Xml::new(part.as_bytes()).expect("read"), &known, &mut Held::default())
    };
    let (sheets, is_1904) = read(3000).expect("sheets");
    assert_eq!((sheets.len(), sheets[0].name.as_str(), sheets[0].is_hidden, is_1904), (3000, "S&T", true, true));
    assert!(matches!(read(limits::WORKBOOK_HELD_BYTES / ITEM_BYTES), Err(Flaw::TooMuch)));
}

#[test]
fn what_is_unpacked_is_counted_over_all_parts() {
    let mut left = 10;
    assert!(io::copy(&mut Metered { inner: &b"1234567"[..], left: &mut left }, &mut io::sink()).is_ok());
    let error = io::copy(&mut Metered { inner: &b"1234"[..], left: &mut left }, &mut io::sink()).expect_err("11 bytes");
    let failure = failure("a.xml", Flaw::Unreadable(error));
    assert_eq!(failure.code, "workbook_too_large");
    assert!(failure.message.contains("a.xml") && failure.message.contains("1073741824"), "{}", failure.message);
}
