//! The map, its object, and the claim that it stands for: a dropped row changes nothing.

use std::collections::BTreeMap;

use penstock_model::{Body, EmptyCells, ImportOptions, Mode, Stamp};
use proptest::prelude::*;

use super::*;
use crate::merge::{Draft, Outcome};

/// The first vectors of the paper, J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", appendix A.
#[test]
fn the_hasher_is_siphash_2_4_however_its_input_is_cut() {
    let key: [u8; 16] = std::array::from_fn(|at| at as u8);
    let input: Vec<u8> = (0..15).collect();
    for cut in 0..=input.len() {
        let mut hasher = hasher(&key);
        hasher.write(&input[..cut]);
        hasher.write(&input[cut..]);
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5, "{cut}");
    }
}

fn id(number: u8) -> ImportId {
    ImportId::new(1, [number; 10])
}

fn job(kind: &str, grammar: Grammar, columns: &[String], empty_cells: EmptyCells) -> Job {
    let options = ImportOptions { empty_cells, ..ImportOptions::default() };
    Job::dry("1".parse().expect("valid"), kind.parse().expect("valid"), &options, grammar, columns.to_vec())
}

fn chunk(first_row: u64, rows: &str) -> Chunk {
    Chunk {
        index: 0,
        first_row,
        first_line: first_row + 1,
        offset: 0,
        bytes: rows.len() as u64,
        rows: rows.lines().count() as u64,
        body: Body::Rows(rows.as_bytes().to_vec()),
    }
}

fn owned(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|&column| column.to_owned()).collect()
}

/// What a map says of the chunks of a file, one after the other.
fn looks(said: &mut Said, job: &Job, chunks: &[&str]) -> Vec<Look> {
    let mut first_row = 1;
    let mut look = |rows: &&str| {
        let chunk = chunk(first_row, rows);
        first_row += chunk.rows;
        said.look(job, &chunk, || false).expect("nothing stops it")
    };
    chunks.iter().map(&mut look).collect()
}

fn repeats(kind: &str, grammar: Grammar, columns: &[&str], room: usize, chunks: &[&str]) -> Vec<Repeats> {
    let columns = owned(columns);
    let plan = Plan::compile(crate::kinds::compiled(kind), grammar, &columns, &BTreeMap::new()).expect("columns");
    let mut said = Said::with_room(&plan, room);
    let looks = looks(&mut said, &job(kind, grammar, &columns, EmptyCells::Keep), chunks);
    // Whatever members rows have, none is known any more for the next chunk.
    assert_eq!(said.plan.for_next().kind().fields().len(), plan.kind().fields().len());
    assert!(looks.iter().all(|look| look.dropped.is_empty()) && said.into_object(&id(1), false).is_none());
    looks.into_iter().map(|look| look.repeats).collect()
}

#[test]
fn a_key_is_recognised_however_it_is_written_and_a_rejected_row_has_none() {
    let columns = ["name", "sku", "brand", "cost"];
    let rows = ["n,a,b,1\nn,\"a\",b,2\nn,b,b,\n", "n,B,b,\nn,b,b,\nn,,b,\nn,,b,\n"];
    let found = repeats("products", Grammar::CSV, &columns, 10, &rows);
    assert_eq!(found, [Repeats::Rows(vec![2]), Repeats::Rows(vec![5])]);
    // A part of the key that is taken from another column, and one that has a default.
    let columns = ["skuId", "locationId", "weekStarting", "channel", "actualDemand"];
    let rows = "s,l,2026-01-26,,1\ns,l,2026-01-27,,2\ns,l,2026-01-26,ALL,3\ns,l,2026-02-02,ALL,3\n";
    let found = repeats("demand-history", Grammar::CSV, &columns, 10, &[rows]);
    assert_eq!(found, [Repeats::Rows(vec![2, 3])]);
    let rows = "{\"sku\":\"a\",\"name\":\"n\",\"brand\":\"b\"}\n{\"brand\":\"c\",\"SKU\":\"\\u0061\",\"name\":\"n\"}\n";
    let found = repeats("products", Grammar::Lines, &["sku", "name", "brand"], 10, &[rows]);
    assert_eq!(found, [Repeats::Rows(vec![2])]);
    let rows = "[\"n\",\"a\",\"b\",1]\n[\"n\",\"a\",\"b\"]\n";
    let found = repeats("products", Grammar::Sheet, &["name", "sku", "brand", "cost"], 10, &[rows]);
    assert_eq!(found, [Repeats::Rows(vec![2])]);
}

#[test]
fn without_room_any_row_may_repeat_a_key() {
    let rows = |keys: std::ops::Range<u32>| keys.map(|key| format!("k{key},n,b\n")).collect::<String>();
    let chunks = [rows(0..100), rows(100..500), rows(500..900)];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let found = repeats("products", Grammar::CSV, &["sku", "name", "brand"], 450, &chunks);
    assert_eq!(found, [Repeats::Rows(vec![]), Repeats::Rows((451..=500).collect()), Repeats::Any]);
}

#[test]
fn members_that_no_other_chunk_has_are_forgotten() {
    let row =
        |row: u32| format!("{{\"skuId\":\"s\",\"locationId\":\"l\",\"weekStarting\":\"2026-01-26\",\"m{row}\":1}}\n");
    let chunks: Vec<String> = (0..20).map(row).collect();
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let columns = ["skuId", "locationId", "weekStarting", "m0"];
    let found = repeats("demand-history", Grammar::Lines, &columns, 10, &chunks);
    assert_eq!((&found[0], &found[19]), (&Repeats::Rows(vec![]), &Repeats::Rows(vec![20])));
}

/// Files of one source, one after the other.
struct Files {
    plan: Plan,
    job: Job,
    rules: Rules,
    recalled: Option<Recalled>,
}

impl Files {
    fn new(grammar: Grammar, columns: &[&str], rules: Rules) -> Self {
        let kind = br#"{ "name": "t", "primaryKey": "k", "additionalFields": "keep", "fields": [
            { "name": "k" }, { "name": "a" }, { "name": "b", "type": "number" }, { "name": "c", "type": "boolean" },
            { "name": "d", "default": "D" } ] }"#;
        let schema = Kind::parse_as(kind, &"t".parse().expect("valid")).expect("a schema");
        let kind = Kind::compile(&schema, &"1".parse().expect("valid")).expect("a kind");
        let columns = owned(columns);
        let plan = Plan::compile(kind, grammar, &columns, &BTreeMap::new()).expect("columns");
        Self { plan, job: job("t", grammar, &columns, EmptyCells::Clear), rules, recalled: None }
    }

    /// The rows of the next file that are dropped, by their numbers.
    fn next(&mut self, chunks: &[&str]) -> Vec<u64> {
        self.next_with(chunks, &[], false)
    }

    fn next_with(&mut self, chunks: &[&str], holes: &[u64], named_alone: bool) -> Vec<u64> {
        let mut said = Said::rows(&self.plan, self.recalled.take(), [9; 16], self.rules);
        let looks = looks(&mut said, &self.job, chunks);
        let object: Vec<u8> = said.into_object(&id(1), named_alone).expect("rows").flatten().collect();
        self.recalled = Some(read(&id(1), &object, 7, holes).expect("a digest"));
        let (mut dropped, mut first) = (Vec::new(), 1);
        for (look, rows) in looks.iter().zip(chunks) {
            let count = rows.lines().count();
            dropped.extend((0..count).filter(|place| look.dropped.has(*place)).map(|place| first + place as u64));
            first += count as u64;
        }
        dropped
    }
}

/// Reads an object in pieces of so many bytes.
fn read(import: &ImportId, object: &[u8], piece: usize, holes: &[u64]) -> Result<Recalled, NoDigest> {
    let mut reader = DigestReader::new(import.clone());
    object.chunks(piece).try_for_each(|piece| reader.push(piece))?;
    reader.finish(holes)
}

#[test]
fn rows_are_dropped_that_say_again_what_was_said_last_however_they_are_written() {
    let mut files = Files::new(Grammar::CSV, &["k", "a", "b", "c"], Rules::ALL);
    assert_eq!(files.next(&["1,x,1.50,true\n2,\"x\",,\n3,x,1,false\n"]), [0; 0]);
    // Another order of rows and columns, another writing of values, a changed row, a rejected one.
    let mut turned = Files::new(Grammar::CSV, &["c", "b", "a", "k"], Rules::ALL);
    turned.recalled = files.recalled.take();
    assert_eq!(turned.next(&["false,1,y,3\n,,x,2\n", "1,1.5,x,1\nmaybe,1,x,3\n"]), [2, 3]);
    // A rejected row has said nothing.
    assert_eq!(turned.next(&["false,1,y,3\n", ",,,2\n"]), [1]);
}

#[test]
fn what_no_file_may_say_again_is_not_dropped() {
    let first = "1,x,1,\n2,x,1,\n";
    for (holes, named_alone, second, dropped) in [
        (vec![], false, "2,x,1,\n", vec![1]),
        (vec![], true, "2,x,1,\n", vec![]),
        (vec![key_hash("1")], false, first, vec![2]),
    ] {
        let mut files = Files::new(Grammar::CSV, &["k", "a", "b", "c"], Rules::ALL);
        files.next(&[first]);
        // A file that names the first record alone, behind which a record may have been deleted.
        files.next_with(&["1,x,1,\n"], &holes, named_alone);
        assert_eq!(files.next(&[second]), dropped, "{holes:?} {named_alone}");
    }
}

#[test]
fn each_rule_keeps_a_row_that_has_to_be_applied() {
    let unnamed = Rules { unnamed: false, ..Rules::ALL };
    let last = Rules { last: false, ..Rules::ALL };
    let cleared = Rules { cleared: false, ..Rules::ALL };
    let row = |a: &str| format!("{{\"k\":\"1\"{a}}}\n");
    let (x, y, none, clears) = (row(",\"a\":\"x\""), row(",\"a\":\"y\""), row(""), row(",\"a\":null"));
    let cases: [(Rules, [Vec<&str>; 2], u64); 3] = [
        // The row before it has changed the record.
        (unnamed, [vec![&x], vec![&y, &x]], 2),
        // The row behind it has.
        (last, [vec![&x, &y], vec![&x]], 1),
        // It clears what the row before let be.
        (cleared, [vec![&none], vec![&clears]], 1),
    ];
    for (without, files, row) in cases {
        for (rules, dropped) in [(Rules::ALL, vec![]), (without, vec![row])] {
            let mut said = Files::new(Grammar::Lines, &["k"], rules);
            assert_eq!(said.next(&files[0]), [0; 0]);
            assert_eq!(said.next(&files[1]), dropped, "{rules:?}");
        }
    }
}

#[test]
fn a_row_without_room_is_not_dropped_and_may_come_again() {
    let mut files = Files::new(Grammar::CSV, &["k", "a"], Rules::ALL);
    files.next(&["1,x\n"]);
    let mut said = Said::rows(&files.plan, files.recalled.take(), [9; 16], Rules::ALL);
    said.entries.left = 1;
    let look = looks(&mut said, &files.job, &["1,x\n2,x\n3,x\n3,x\n2,x\n"]).remove(0);
    assert_eq!((look.repeats, look.dropped.len(), look.dropped.has(0)), (Repeats::Rows(vec![3, 4, 5]), 1, true));
}

#[test]
fn rejected_rows_are_counted_and_a_look_can_be_stopped() {
    let files = Files::new(Grammar::CSV, &["k", "b"], Rules::ALL);
    let mut said = Said::rows(&files.plan, None, [9; 16], Rules::ALL);
    looks(&mut said, &files.job, &["1,1\n2,x\n,1\n", "1,x\n"]);
    assert_eq!(said.rejected(), 3);
    assert_eq!(said.look(&files.job, &chunk(5, "1,1\n"), || true), None);
}

#[test]
fn an_object_that_is_damaged_or_another_one_is_none() {
    let mut files = Files::new(Grammar::CSV, &["k", "a"], Rules::ALL);
    let mut said = Said::rows(&files.plan, None, [9; 16], Rules::ALL);
    looks(&mut said, &files.job, &["1,x\n2,x\n3,x\n"]);
    let object: Vec<u8> = said.into_object(&id(1), false).expect("rows").flatten().collect();
    assert_eq!(object.len(), MAGIC.len() + 1 + id(1).as_str().len() + 24 + 3 * 16 + 8);
    for piece in [1, 5, 16, object.len()] {
        files.recalled = Some(read(&id(1), &object, piece, &[]).expect("a digest"));
        assert_eq!(files.next(&["3,x\n"]), [1]);
    }
    assert_eq!(read(&id(2), &object, 50, &[]).err(), Some(NoDigest));
    for at in 0..object.len() {
        assert_eq!(read(&id(1), &object[..at], 50, &[]).err(), Some(NoDigest), "cut at {at}");
        let mut damaged = object.clone();
        damaged[at] ^= 1;
        assert_eq!(read(&id(1), &damaged, 50, &[]).err(), Some(NoDigest), "damaged at {at}");
    }
    assert_eq!(read(&id(1), &[object, vec![0]].concat(), 50, &[]).err(), Some(NoDigest));
}

#[test]
fn a_source_is_a_set_of_columns_of_a_version_of_a_kind_in_a_place() {
    let source = |columns: &[&str], grammar, version, place: &str| {
        super::source(&Files::new(grammar, columns, Rules::ALL).plan, grammar, version, place)
    };
    let own = source(&["k", "a", "b"], Grammar::CSV, 1, "records");
    assert_eq!(own, source(&["b", "k", "a"], Grammar::CSV, 1, "records"));
    assert_eq!((own.id.len(), own.fields.as_ref().map(Vec::len)), (16, Some(2)));
    let others = [
        source(&["k", "a"], Grammar::CSV, 1, "records"),
        source(&["k", "a", "b"], Grammar::CSV, 2, "records"),
        source(&["k", "a", "b"], Grammar::CSV, 1, "restored"),
        source(&["k", "a", "b"], Grammar::Lines, 1, "records"),
    ];
    assert!(others.iter().all(|other| other.id != own.id));
    let other = source(&["k", "c", "additional"], Grammar::CSV, 1, "records");
    assert!(own.is_apart_from(other.fields.as_deref()) && !own.is_apart_from(others[0].fields.as_deref()));
    // Rows that name their own members may name any.
    assert_eq!(others[3].fields, None);
    assert_eq!(source(&["k"], Grammar::Lines, 1, "records"), others[3]);
}

/// A row: its key, and the members that it has.
fn row() -> impl Strategy<Value = String> {
    let member = |name: &'static str, values: &'static [&'static str]| {
        prop_oneof![
            Just(String::new()),
            prop::sample::select(values).prop_map(move |value| format!(",\"{name}\":{value}"))
        ]
    };
    let (a, b) =
        (member("a", &["\"x\"", "\"y\"", "null"]), member("b", &["1", "1.0", "\"1\"", "2", "\"bad\"", "null"]));
    let (c, other) = (member("c", &["true", "false"]), member("other", &["1", "\"1\"", "[1]", "{\"n\":1}"]));
    (0..4_u8, a, b, c, other).prop_map(|(k, a, b, c, other)| format!("{{\"k\":\"{k}\"{a}{b}{other}{c}}}\n"))
}

proptest! {
    #![proptest_config(crate::cases(300))]

    /// Imports one after the other: files that repeat keys, whole files that come again, chunks of any size. Every
    /// dropped row is one that leaves its record as it is.
    #[test]
    fn a_dropped_row_changes_nothing(
        files in prop::collection::vec((prop::collection::vec(row(), 0..8), any::<bool>()), 1..6),
        size in 1..4_usize,
    ) {
        let mut said = Files::new(Grammar::Lines, &["k"], Rules::ALL);
        let (mut records, mut before) = (BTreeMap::<String, Draft>::new(), Vec::new());
        for (order, (rows, again)) in files.into_iter().enumerate() {
            // The file before, and some rows more.
            let rows: Vec<String> = if again { before.iter().cloned().chain(rows.into_iter().take(2)).collect() } else { rows };
            let chunks: Vec<String> = rows.chunks(size).map(<[String]>::concat).collect();
            let dropped = said.next(&chunks.iter().map(String::as_str).collect::<Vec<_>>());
            let mut plan = said.plan.clone();
            let text = rows.concat();
            let whole = chunk(1, &text);
            let records_of = Records::of(&said.job, &whole);
            for row in rows::parse(&mut plan, &said.job, &records_of).rows {
                let draft = records.entry(row.key.clone()).or_insert_with(|| Draft::stored(None));
                let stamp = Stamp { order: order as u64 + 1, row: row.row };
                let outcome = draft.apply(&plan, Mode::Upsert, stamp, &row);
                prop_assert!(!dropped.contains(&row.row) || outcome == Outcome::Unchanged, "{outcome:?}: {row:?}");
            }
            before = rows;
        }
    }

    /// A file that comes again unchanged, each key named once, is dropped as a whole.
    #[test]
    fn a_file_that_comes_again_is_dropped(rows in prop::collection::btree_map(0..50_u8, "[a-c]", 1..20)) {
        let rows: String = rows.into_iter().map(|(key, a)| format!("{key},{a}\n")).collect();
        let mut files = Files::new(Grammar::CSV, &["k", "a"], Rules::ALL);
        prop_assert!(files.next(&[&rows]).is_empty());
        prop_assert_eq!(files.next(&[&rows]).len(), rows.lines().count());
        prop_assert_eq!(files.next(&[&rows]).len(), rows.lines().count());
    }
}
