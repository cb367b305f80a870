use proptest::prelude::*;
use quick_xml::{Reader, events::Event};

use super::*;

/// A reader that gives a few bytes at once.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(self.0.len()).min(buffer.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The tokens of a document, texts in a row as one.
fn tokens(document: &[u8]) -> Result<Vec<String>, Flaw> {
    let mut xml = Xml::new(Pieces(document, 7))?;
    let (mut tokens, mut run) = (Vec::new(), Vec::new());
    while let Some(token) = xml.next()? {
        match token {
            Token::Text(raw) => push_text(raw, &mut run)?,
            Token::Literal(raw) => push_lines(raw, &mut run),
            token => {
                end_run(&mut run, &mut tokens);
                match token {
                    Token::Start(tag) => {
                        tokens.push(format!("<{}", text(tag.name)));
                        for attribute in tag.attributes() {
                            let (name, value) = attribute?;
                            tokens.push(format!("@{}={}", text(name), text_of_attribute(value)?));
                        }
                    }
                    Token::End(name) => tokens.push(format!(">{}", text(name))),
                    Token::Text(_) | Token::Literal(_) => unreachable!("taken above"),
                }
            }
        }
    }
    Ok(tokens)
}

fn end_run(run: &mut Vec<u8>, tokens: &mut Vec<String>) {
    if !run.is_empty() {
        tokens.push(text(run));
        run.clear();
    }
}

/// The same by `quick-xml`.
fn wanted(document: &str) -> Vec<String> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let (mut tokens, mut run) = (Vec::new(), Vec::new());
    loop {
        let event = reader.read_event().expect("well-formed");
        match &event {
            Event::Text(raw) => run.extend(raw.xml10_content().bytes()),
            Event::CData(raw) => run.extend(raw.xml10_content().bytes()),
            Event::GeneralRef(name) => push_text(format!("&{};", &**name).as_bytes(), &mut run).expect("a reference"),
            Event::Start(tag) => {
                end_run(&mut run, &mut tokens);
                tokens.push(format!("<{}", tag.local_name().as_ref()));
                for attribute in tag.attributes() {
                    let attribute = attribute.expect("an attribute");
                    let value = text_of_attribute(attribute.value.as_bytes()).expect("text");
                    tokens.push(format!("@{}={value}", attribute.key.local_name().as_ref()));
                }
            }
            Event::End(tag) => {
                end_run(&mut run, &mut tokens);
                tokens.push(format!(">{}", tag.local_name().as_ref()));
            }
            Event::Eof => return tokens,
            _ => {}
        }
    }
}

/// An element with anything in it.
fn element() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("c"), Just("x:row"), Just("si"), Just("größe")];
    let value = "[a-zé0-9<>/ ]{0,8}";
    let attribute = (prop_oneof![Just("r"), Just("r:id"), Just("xml:space")], value, any::<bool>(), "[ \n]{0,2}")
        .prop_map(|(name, value, single, space)| {
            let (quote, value) = if single { ('\'', format!("\"{value}")) } else { ('"', format!("'{value}&amp;")) };
            format!(" {space}{name}{space}={space}{quote}{}{quote}", value.replace('<', "&lt;"))
        });
    let attributes =
        prop::collection::vec(attribute, 0..2).prop_map(|some| some.into_iter().next().unwrap_or_default());
    let text = prop_oneof![
        "[a-zü ]{1,20}",
        Just("&lt;&#65;&#x20AC;".to_owned()),
        Just("a\r\nb\rc".to_owned()),
        Just("]]".to_owned()),
        Just("<![CDATA[<a>&amp;]]]]>".to_owned()),
        Just("<!-- <a> -- > -->".to_owned()),
        Just("<?pi <a>?>".to_owned()),
        (100usize..200).prop_map(|length| "x".repeat(length)),
    ];
    let leaf = (name.clone(), attributes.clone()).prop_map(|(name, attributes)| format!("<{name}{attributes}/>"));
    prop_oneof![leaf, text].prop_recursive(4, 40, 6, move |inner| {
        (name.clone(), attributes.clone(), prop::collection::vec(inner, 0..6), "[ \n]?").prop_map(
            |(name, attributes, inner, space)| format!("<{name}{attributes}{space}>{}</{name}{space}>", inner.concat()),
        )
    })
}

proptest! {
    #![proptest_config(crate::cases(4000))]

    #[test]
    fn tokens_equal_those_of_quick_xml(elements in prop::collection::vec(element(), 0..8), declared in any::<bool>()) {
        let declaration = if declared { "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n" } else { "" };
        let document = format!("{declaration}<root>{}</root>\n<!-- end -->", elements.concat());
        let ours = tokens(document.as_bytes()).expect("well-formed");
        let wanted: Vec<_> = wanted(&document).into_iter().collect();
        // White space around the document is no text of it.
        let trimmed = |tokens: Vec<String>| {
            let inside = |token: &String| !token.trim().is_empty();
            let first = tokens.iter().position(inside).unwrap_or(0);
            let last = tokens.iter().rposition(inside).map_or(0, |last| last + 1);
            tokens[first..last].to_vec()
        };
        prop_assert_eq!(trimmed(ours), trimmed(wanted));
    }

    #[test]
    fn a_document_that_is_cut_off_is_noticed(elements in prop::collection::vec(element(), 1..4), at in 0usize..10_000) {
        let document = format!("<root>{}</root>", elements.concat());
        let at = at % document.len();
        if at > 0 {
            prop_assert!(tokens(&document.as_bytes()[..at]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop_oneof![4 => Just(b'<'), 2 => Just(b'>'), 2 => Just(b'!'), 2 => Just(b'/'), 2 => Just(b'-'), 1 => Just(b'"'), 1 => Just(b'='), 1 => Just(b'&'), 2 => any::<u8>()], 0..60)) {
        let _ = tokens(&bytes);
    }
}

#[test]
fn a_document_type_is_refused() {
    for document in
        ["<!DOCTYPE a><a/>", "<?xml version='1.0'?> <!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a><!DOCTYPE b></a>"]
    {
        assert!(matches!(tokens(document.as_bytes()), Err(Flaw::DocumentType)), "{document}");
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for document in [
        "</a>",
        "<a>&b;</a>",
        "<a>&#0;</a>",
        "<a>& </a>",
        "<a b=c/>",
        "<a b/>",
        "< a/>",
        "<a/>text",
        "<!ELEMENT a>",
        "<a>&#xD800;</a>",
    ] {
        assert!(matches!(tokens(document.as_bytes()), Err(Flaw::Malformed)), "{document}");
    }
    for document in ["<a>", "<a", "<a><b/>", "<a><!-- ", "<a><![CDATA[ ]]", "<?xml ", "<a b='>"] {
        assert!(matches!(tokens(document.as_bytes()), Err(Flaw::Cut)), "{document}");
    }
}

#[test]
fn a_part_may_be_in_another_encoding() {
    let text = |encoding: &str| format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?><a>é€</a>");
    let utf16 = |text: &str, mark: &[u16]| mark.iter().copied().chain(text.encode_utf16()).collect::<Vec<u16>>();
    let little: Vec<u8> = utf16(&text("UTF-16"), &[0xfeff]).into_iter().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = utf16(&text("UTF-16"), &[]).into_iter().flat_map(u16::to_be_bytes).collect();
    let (windows, _, _) = encoding_rs::WINDOWS_1252.encode("<?xml version='1.0' encoding='windows-1252'?><a>é€</a>");
    let marked = [b"\xef\xbb\xbf".to_vec(), text("utf-8").into_bytes()].concat();
    let mislabelled = text("utf-16").into_bytes();
    for document in [little, big, windows.into_owned(), marked, mislabelled] {
        assert_eq!(tokens(&document).expect("read"), ["<a", "é€", ">a"]);
    }
    assert!(matches!(tokens(text("klingon").as_bytes()), Err(Flaw::Malformed)));
}

#[test]
fn a_window_holds_a_tag_or_a_text_up_to_the_limit() {
    let largest = limits::WORKBOOK_TEXT_BYTES;
    for (before, behind) in [("<a>", "</a>"), ("<a b='", "'/>"), ("<", "/>"), ("<a><![CDATA[", "]]></a>")] {
        let of = |length: usize| format!("{before}{}{behind}", "x".repeat(length));
        assert!(tokens(of(largest - 20).as_bytes()).is_ok(), "{before}");
        assert!(matches!(tokens(of(largest + 1).as_bytes()), Err(Flaw::LongText)), "{before}");
    }
    // What is passed is not held.
    let passed = format!("<a><!--{0}--><?p {0}?></a>", "x".repeat(2 * largest));
    let mut xml = Xml::new(passed.as_bytes()).expect("read");
    while xml.next().expect("well-formed").is_some() {}
    assert_eq!(xml.window.len(), WINDOW_BYTES);
}

#[test]
fn elements_inside_one_another_take_no_memory() {
    let deep = format!("{}{}", "<a>".repeat(300_000), "</a>".repeat(300_000));
    let mut xml = Xml::new(deep.as_bytes()).expect("read");
    assert!(matches!(xml.next(), Ok(Some(Token::Start(_)))));
    xml.pass_element().expect("well-formed");
    assert_eq!((xml.depth, xml.window.len(), xml.next().expect("the end").is_none()), (0, WINDOW_BYTES, true));
}
