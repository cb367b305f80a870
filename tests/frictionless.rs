//! Agreement with frictionless-py, cell by cell, on whether a cell is valid.
//!
//! `tests/frictionless/generate.py` makes tables and asks frictionless; what it wrote is compared here: the file that
//! `PENSTOCK_FRICTIONLESS` names, or else the committed sample. What differs on purpose is listed in
//! `frictionless/differences.rs`, and whatever else differs fails.

mod differences;

use std::collections::BTreeMap;

use differences::{DIFFERENCES, Disagreement};
use penstock_engine::{cell::Input, kind::Kind};
use serde_json::{Value, value::RawValue};

/// Disagreements that are told, at most.
const TOLD: usize = 100;

#[test]
fn frictionless_and_penstock_agree_but_for_what_is_listed() {
    let given = std::env::var("PENSTOCK_FRICTIONLESS").ok();
    let sample = format!("{}/tests/frictionless/sample.jsonl", env!("CARGO_MANIFEST_DIR"));
    let path = given.clone().unwrap_or(sample);
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (mut tables, mut cells, mut agreed, mut unlisted) = (0, 0, 0, Vec::new());
    let mut met = vec![0; DIFFERENCES.len()];
    for line in file.lines() {
        tables += 1;
        for found in compare(line, &mut cells, &mut agreed) {
            match DIFFERENCES.iter().position(|difference| (difference.is)(&found)) {
                Some(at) => met[at] += 1,
                None => unlisted.push(found),
            }
        }
    }
    println!("{tables} tables, {cells} cells, {agreed} verdicts agree");
    for (difference, met) in DIFFERENCES.iter().zip(&met) {
        println!("{met:>7} {}: {}", difference.name, difference.reason);
    }
    let told: Vec<_> = unlisted.iter().take(TOLD).map(Disagreement::to_string).collect();
    assert!(unlisted.is_empty(), "{} disagreements that are not listed:\n{}", unlisted.len(), told.join("\n"));
    // A sample does not meet everything.
    let stale = DIFFERENCES.iter().zip(&met).filter(|(_, met)| **met == 0).map(|(difference, _)| difference.name);
    let stale: Vec<_> = stale.filter(|_| given.is_some()).collect();
    assert!(stale.is_empty(), "listed, but no longer so: {stale:?}");
}

/// Compares one table; what differs.
fn compare(line: &str, cells: &mut usize, agreed: &mut usize) -> Vec<Disagreement> {
    // The schema as it was written: its numbers must not pass through a float.
    let parts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).expect("a table");
    let place = format!("seed {}, table {}", parts["seed"], parts["table"]);
    let document: Value = serde_json::from_str(parts["schema"].get()).expect("JSON");
    let their_cells: Vec<(String, String, Option<bool>)> = serde_json::from_str(parts["cells"].get()).expect("cells");
    let account = "1".parse().expect("valid");
    let schema = Kind::parse(parts["schema"].get().as_bytes());
    let kind = match schema.and_then(|schema| Kind::compile(&schema, &account)) {
        Ok(kind) => kind,
        Err(error) => {
            let place_of_field: Vec<_> = error.pointer.split('/').take(3).collect();
            let field = document.pointer(&place_of_field.join("/"));
            return vec![Disagreement {
                place,
                field: field.cloned().unwrap_or_default(),
                cell: None,
                theirs: Some(true),
                ours: Err("schema"),
                pointer: error.pointer,
            }];
        }
    };
    let mut found = Vec::new();
    for (name, cell, theirs) in their_cells {
        let at = kind.index_of(&name).expect("a field of the schema");
        let ours = kind.field(at).check(Input::Text(&cell)).map(drop).map_err(|errors| errors[0].code);
        *cells += 1;
        if theirs == Some(ours.is_ok()) {
            *agreed += 1;
        } else {
            let field = document["fields"][at].clone();
            let (place, pointer) = (place.clone(), String::new());
            found.push(Disagreement { place, field, cell: Some(cell), pointer, theirs, ours });
        }
    }
    found
}
