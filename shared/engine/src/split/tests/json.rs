//! JSON text, held to serde_json.

use penstock_model::DocumentFlaw;

use super::*;

const ARRAY: Grammar = Grammar::Elements { enveloped: false };
const ENVELOPE: Grammar = Grammar::Elements { enveloped: true };

fn small(grammar: Grammar) -> SplitOptions {
    SplitOptions { grammar, ..SMALL }
}

fn one_by_one(grammar: Grammar) -> SplitOptions {
    SplitOptions { chunk_rows: 1, record_bytes: usize::MAX, ..small(grammar) }
}

/// Values with everything in them that could be taken for structure.
fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::json!(null)),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[a\"\\\\\\[\\]{},: \n\u{e4}\u{1f600}]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map("[a\"\\\\{}]{0,3}", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn rows(pieces: &[Piece]) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    for chunk in chunks(pieces) {
        match &chunk.body {
            Body::Rows(bytes) => {
                found.extend(
                    Values::of(ARRAY, bytes)
                        .map(|value| serde_json::from_slice::<serde_json::Value>(value).expect("valid")),
                );
            }
            Body::Refused(refusal) => panic!("{refusal:?}"),
        }
    }
    found
}

proptest! {
    #![proptest_config(crate::cases(2000))]

    #[test]
    fn elements_are_those_of_serde_json(
        values in prop::collection::vec(values(), 0..8), pretty: bool, enveloped in 0..3, cut in 1usize..30, per_chunk in 1u64..4,
    ) {
        // What an envelope holds begins with an object.
        let mut values = values;
        if enveloped > 0 {
            values.insert(0, serde_json::json!({ "[": "{" }));
        }
        let document = match enveloped {
            0 => serde_json::json!(values),
            1 => serde_json::json!({ "a": "]", "b": { "c": [1, "}"] }, "rows": values, "total": 7, "z": null }),
            _ => serde_json::json!({ "a": [], "b": { "c": ["["], "d": { "e": values, "f": {} }, "g": [] }, "h": [1, {}] }),
        };
        let enveloped = enveloped > 0;
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.expect("JSON");
        let options = SplitOptions { chunk_rows: per_chunk, ..one_by_one(Grammar::Elements { enveloped }) };
        let (pieces, total) = split(options, text.as_bytes(), cut).expect("no header");
        prop_assert_eq!(total as usize, values.len());
        prop_assert_eq!(rows(&pieces), values);
        let mut line = 1;
        for chunk in chunks(&pieces) {
            prop_assert_eq!(chunk.first_line, 1 + lines::ended_in(&text.as_bytes()[..chunk.offset as usize]));
            prop_assert!(chunk.first_line >= line);
            line = chunk.first_line;
        }
    }

    #[test]
    fn values_one_after_another_are_those_of_serde_json(
        values in prop::collection::vec(values(), 0..8), pretty: bool, between in "[ \n]{1,3}", cut in 1usize..30, per_chunk in 1u64..4,
    ) {
        let text = |value| if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        let text: String = values.iter().map(|value| text(value).expect("JSON") + &between).collect();
        let options = SplitOptions { chunk_rows: per_chunk, ..one_by_one(Grammar::Concatenated) };
        let (pieces, total) = split(options, text.as_bytes(), cut).expect("no header");
        prop_assert_eq!(total as usize, values.len());
        prop_assert_eq!(rows(&pieces), values);
    }

    #[test]
    fn lines_are_lines(values in prop::collection::vec(values(), 0..8), cut in 1usize..30) {
        let text: String = values.iter().map(|value| format!("{value}\r\n \n")).collect();
        let (pieces, total) = split(one_by_one(Grammar::Lines), text.as_bytes(), cut).expect("no header");
        prop_assert_eq!(total as usize, values.len());
        for (chunk, value) in chunks(&pieces).into_iter().zip(&values) {
            let Body::Rows(bytes) = &chunk.body else { panic!("a row") };
            let mut found: Vec<serde_json::Value> = Vec::new();
            found.extend(Values::of(Grammar::Lines, bytes).map(|value| serde_json::from_slice::<serde_json::Value>(value).expect("valid")));
            prop_assert_eq!(found.as_slice(), std::slice::from_ref(value));
        }
    }

    #[test]
    fn any_bytes_are_split_alike_wherever_they_are_cut_and_resumed(
        file in "[\\[\\]{},:\"\\\\ a1\n]{0,60}", cut in 1usize..20, stop in 0usize..60, enveloped: bool, opened: bool,
    ) {
        let file = match (opened, enveloped) {
            (false, _) => file,
            (true, false) => format!("[{file}"),
            (true, true) => format!("{{\"r\":[{{}}{file}"),
        };
        let file = file.as_bytes();
        for grammar in [Grammar::Elements { enveloped }, Grammar::Lines, Grammar::Concatenated] {
            let whole = split(small(grammar), file, usize::MAX);
            prop_assert_eq!(&split(small(grammar), file, cut), &whole);
            prop_assert_eq!(&split(small(grammar), file, 1), &whole);
            resumed(small(grammar), file, stop, cut)?;
            let mut end = 0;
            let Ok((whole, _)) = whole else { continue };
            for chunk in chunks(&whole) {
                prop_assert!(chunk.offset >= end);
                end = chunk.offset + chunk.bytes;
            }
            prop_assert!(end <= file.len() as u64);
        }
    }
}

fn refusals(grammar: Grammar, file: &str) -> Vec<(u64, RecordFlaw)> {
    let whole = split(one_by_one(grammar), file.as_bytes(), 3).expect("no header").0;
    let refused =
        |chunk: &&Chunk| if let Body::Refused(refusal) = chunk.body { Some((chunk.first_row, refusal)) } else { None };
    chunks(&whole).iter().filter_map(refused).collect()
}

#[test]
fn what_breaks_a_document_is_one_row_to_its_end() {
    let broken = |row, line, flaw| vec![(row, RecordFlaw::BrokenDocument { line, flaw })];
    assert_eq!(refusals(ARRAY, "[{\"a\":1},\n{\"a\":[1}]},\n{}]"), broken(2, 2, DocumentFlaw::WrongBracket));
    assert_eq!(refusals(ARRAY, "[{} {}]"), broken(2, 1, DocumentFlaw::ExpectedComma));
    assert_eq!(refusals(ARRAY, "[{},,{}]"), broken(2, 1, DocumentFlaw::ExpectedValue));
    assert_eq!(refusals(ARRAY, "[{},]"), broken(2, 1, DocumentFlaw::ExpectedValue));
    assert_eq!(refusals(ARRAY, "[{},\n\n{\"a\":"), broken(2, 3, DocumentFlaw::Ends));
    assert_eq!(refusals(ARRAY, "[{}\n"), broken(2, 2, DocumentFlaw::Ends));
    assert_eq!(refusals(ARRAY, "[{}]\nx"), broken(2, 2, DocumentFlaw::Trailing));
    let nested = |levels: usize| format!("[{}{}, {{}}]", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(refusals(ARRAY, &nested(limits::JSON_DEPTH)), vec![]);
    assert_eq!(refusals(ARRAY, &nested(limits::JSON_DEPTH + 1)), broken(1, 1, DocumentFlaw::TooDeep));
    assert_eq!(refusals(ENVELOPE, "{\"a\":[{}],\"b\":[ {}]}"), broken(2, 1, DocumentFlaw::SecondArray));
    assert_eq!(refusals(ENVELOPE, "{\"a\":[{}],\n\"b\":{\"c\":[{}]}}"), broken(2, 2, DocumentFlaw::SecondArray));
    assert_eq!(refusals(ENVELOPE, "{\"a\":[{}],\"b\":[],\"c\":[1,{}],\"d\":{\"e\":[]}}"), vec![]);
    assert_eq!(refusals(ENVELOPE, "{\"a\":{\"b\":[{}]},\"c\":{}}\nx"), broken(2, 2, DocumentFlaw::Trailing));
    assert_eq!(refusals(ENVELOPE, "{\"a\":{\"b\":[{}]},\"c\":{}"), broken(2, 1, DocumentFlaw::Ends));
    assert_eq!(refusals(Grammar::Concatenated, "{}\n{\"a\":[1}\n{}"), broken(2, 2, DocumentFlaw::WrongBracket));
    assert_eq!(refusals(Grammar::Concatenated, "{}\n{\"a\":"), broken(2, 2, DocumentFlaw::Ends));
    assert_eq!(refusals(Grammar::Concatenated, "{},{}"), broken(2, 1, DocumentFlaw::ExpectedValue));
    assert_eq!(refusals(ENVELOPE, "{\"a\":[{}]"), broken(2, 1, DocumentFlaw::Ends));
}

#[test]
fn a_document_without_a_row_fails_as_a_file() {
    for (file, line, flaw) in [
        ("{}", 1, DocumentFlaw::NoArray),
        ("{\"a\":1,\n\"b\":[1,{}]}", 2, DocumentFlaw::NoArray),
        ("\n{\"a\":{\"b\":[", 2, DocumentFlaw::Ends),
        ("{\"a\":\n,}", 2, DocumentFlaw::ExpectedValue),
        ("{\"a\":[1}", 1, DocumentFlaw::WrongBracket),
    ] {
        for cut in [1, 3, 100] {
            assert_eq!(split(small(ENVELOPE), file.as_bytes(), cut), Err(SplitError::NoRows { line, flaw }), "{file}");
        }
    }
    for file in ["{\"a\":[]}", "{\"errors\":[],\"data\":{\"items\":[ ]},\"n\":0}"] {
        assert_eq!(split(small(ENVELOPE), file.as_bytes(), 2), Ok((vec![], 0)), "{file}");
    }
    let deep = |levels: usize| format!("{}[{{}}]{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert_eq!(split(small(ENVELOPE), deep(limits::JSON_DEPTH).as_bytes(), 9).expect("a row").1, 1);
    let too_deep = split(small(ENVELOPE), deep(limits::JSON_DEPTH + 1).as_bytes(), 9);
    assert_eq!(too_deep, Err(SplitError::NoRows { line: 1, flaw: DocumentFlaw::TooDeep }));
}

#[test]
fn the_rows_are_where_an_option_says() {
    let file = r#"{"errors":[{"e":1}],"items":[{}],"data":{"x":{"items":[{}]},"item":[{}],"items2":[{}],"items":[1,{"a":2}],"z":[{}]},
"more":{"data":{"items":[{}]}},"end":[{}]}"#;
    let reading = |path: &str| ReadOptions { rows_at: Some(path.to_owned()), ..ReadOptions::default() };
    let rows_at = |path: &str, cut: usize, stop: Option<u32>| -> Result<Vec<serde_json::Value>, SplitError> {
        let options = one_by_one(ENVELOPE);
        let mut splitter = Splitter::new(options).with(&reading(path));
        let (mut pieces, mut from, mut stop) = (Vec::new(), 0, stop);
        while from < file.len() {
            let end = (from + cut).min(file.len());
            pieces.extend(splitter.push(&file.as_bytes()[from..end])?);
            from = end;
            // Another one goes on.
            if let Some(Piece::Chunk(chunk, next)) = pieces.last()
                && Some(chunk.index) == stop
            {
                stop = None;
                splitter = Splitter::resume(options, *next).with(&reading(path));
                from = next.offset as usize;
            }
        }
        pieces.extend(splitter.finish()?.0);
        Ok(rows(&pieces))
    };
    for cut in 1..30 {
        for stop in [None, Some(0), Some(1)] {
            let found = rows_at("data.items", cut, stop.filter(|_| cut == 1));
            assert_eq!(found.expect("rows"), [serde_json::json!(1), serde_json::json!({ "a": 2 })], "{cut}");
        }
        assert_eq!(rows_at("/data/items", cut, None).expect("rows").len(), 2);
        assert_eq!(rows_at("errors", cut, None).expect("rows"), [serde_json::json!({ "e": 1 })]);
        assert_eq!(rows_at("more.data.items", cut, None).expect("rows"), [serde_json::json!({})]);
        for path in ["data", "data.item.items", "data.x", "item", "data.items.a", "more.items", "end.x"] {
            let error = rows_at(path, cut, None).expect_err("no array there");
            assert_eq!(error, SplitError::NoRows { line: 2, flaw: DocumentFlaw::NoArray }, "{path}");
        }
    }
}

#[test]
fn a_bad_element_costs_itself_alone() {
    let file = "[{\"a\":tru}, 17, \"x\", {\"b\":2}]";
    let (pieces, total) = split(small(ARRAY), file.as_bytes(), 5).expect("no header");
    assert_eq!(total, 4);
    let mut found = Vec::new();
    for chunk in chunks(&pieces) {
        let Body::Rows(bytes) = &chunk.body else { panic!("rows") };
        found.extend(Values::of(ARRAY, bytes).map(|value| String::from_utf8_lossy(value).into_owned()));
    }
    assert_eq!(found, ["{\"a\":tru}", "17", "\"x\"", "{\"b\":2}"]);
}

#[test]
fn an_element_over_the_limit_is_refused_by_itself() {
    let long = "x".repeat(100);
    let file = format!("[{{\"a\":\"{long}\"}},\n{{\"b\":1}}]");
    for cut in [1, 7, 1000] {
        let (pieces, total) = split(small(ARRAY), file.as_bytes(), cut).expect("no header");
        let chunks = chunks(&pieces);
        assert_eq!((total, chunks[0].body.clone()), (2, Body::Refused(RecordFlaw::TooLarge)));
        assert_eq!((chunks[1].first_row, chunks[1].first_line), (2, 2));
        assert_eq!(chunks[1].body, Body::Rows(b"{\"b\":1}".to_vec()));
    }
}

#[test]
fn every_row_that_is_counted_is_found_whatever_stands_between_elements() {
    for document in ["[\x0c1]", "[1\x0c]", "[{\"a\":1},\x0c{\"b\":2}]", "[{\"a\":1}\x0c,{\"b\":2}]", "[\x0b1,\u{a0}2]"]
    {
        let (pieces, total) = split(one_by_one(ARRAY), document.as_bytes(), usize::MAX).expect("no header");
        let found = chunks(&pieces).into_iter().map(|chunk| match &chunk.body {
            Body::Rows(bytes) => {
                let found = Values::of(ARRAY, bytes).count() as u64;
                assert_eq!(found, chunk.rows, "{document:?}");
                found
            }
            Body::Refused(_) => 1,
        });
        assert_eq!(found.sum::<u64>(), total, "{document:?}");
    }
}
