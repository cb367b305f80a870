//! What a review says of a file is what the import of it then does, however its chunks are cut and delivered.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use penstock_model::{Body, Chunk, EmptyCells, Grammar, ImportId, ImportOptions, Record, Stamp};
use proptest::prelude::*;

use super::*;
use crate::{
    kind::Kind,
    rows::{Records, parse},
};

/// Fields `k` (the key), `n`, a number without which a row is rejected, `a`, and `d`, which has a default.
fn plan() -> Plan {
    let schema = br#"{ "name": "things", "primaryKey": "k", "fields": [
        { "name": "k" }, { "name": "n", "type": "integer", "constraints": { "required": true } }, { "name": "a" },
        { "name": "d", "default": "default" }
    ] }"#;
    let kind = Kind::compile(&Kind::parse(schema).expect("valid"), &"1".parse().expect("valid")).expect("valid");
    Plan::compile(kind, Grammar::CSV, &["k", "n", "a", "d"].map(str::to_owned), &BTreeMap::new()).expect("valid")
}

thread_local! {
    /// A draw reads some rows, and compiling the plan takes as long as reading many.
    static PLAN: LazyCell<Plan> = const { LazyCell::new(plan) };
}

/// The job of the import of this place in the order, or of a review.
fn job(options: &ImportOptions, order: u64) -> Job {
    let (account, kind) = ("1".parse().expect("valid"), "things".parse().expect("valid"));
    let columns = ["k", "n", "a", "d"].map(str::to_owned).to_vec();
    let job = Job::dry(account, kind, &ImportOptions::default(), Grammar::CSV, columns);
    Job { import: ImportId::new(order as i64, [7; 10]), order, options: options.clone(), ..job }
}

/// Keys that are few, so that most are repeated; one names no record, and two name the same one.
const KEYS: [&str; 7] = ["A", "B", "C", "D", "E", "A ", ""];

/// A row: its key, its number, what it says of `a` and `d`. One without a number, or with a word for one, is rejected.
type Line = (usize, Option<Option<u8>>, Option<u8>, Option<u8>);

fn line() -> impl Strategy<Value = Line> {
    let cell = || prop::option::of(0u8..3);
    let number = prop_oneof![6 => (0u8..3).prop_map(|n| Some(Some(n))), 1 => Just(None), 1 => Just(Some(None))];
    (0..KEYS.len(), number, cell(), cell())
}

fn text(lines: &[Line]) -> String {
    let cell = |cell: &Option<u8>| cell.map(|value| value.to_string()).unwrap_or_default();
    let number = |number: &Option<Option<u8>>| match number {
        Some(Some(number)) => number.to_string(),
        Some(None) => "none".to_owned(),
        None => String::new(),
    };
    lines.iter().map(|(key, n, a, d)| format!("{},{},{},{}\n", KEYS[*key], number(n), cell(a), cell(d))).collect()
}

/// The lines from this row on, as a chunk.
fn chunk(index: usize, first_row: usize, lines: &[Line]) -> Chunk {
    let text = text(lines);
    let first = first_row as u64;
    Chunk {
        index: index as u32,
        first_row: first,
        first_line: first + 1,
        offset: 0,
        bytes: text.len() as u64,
        rows: lines.len() as u64,
        body: Body::Rows(text.into_bytes()),
    }
}

type Catalogue = HashMap<String, Record>;

/// Reads a chunk, and gives its accepted rows by their records, and how many are rejected.
fn read<T>(job: &Job, chunk: &Chunk, then: impl FnOnce(&Plan, Vec<(RecordName, Vec<Row<'_>>)>, u64) -> T) -> T {
    PLAN.with(|plan| {
        let mut plan = (**plan).clone();
        let records = Records::of(job, chunk);
        let parsed = parse(&mut plan, job, &records);
        let failed: BTreeSet<u64> = parsed.errors.iter().map(|error| error.row).collect();
        let mut folds: Vec<(RecordName, Vec<Row<'_>>)> = Vec::new();
        for row in parsed.rows {
            let name = RecordName::of(&job.account, &job.kind, &row.key);
            match folds.iter_mut().find(|(other, _)| *other == name) {
                Some((_, rows)) => rows.push(row),
                None => folds.push((name, vec![row])),
            }
        }
        then(&plan, folds, failed.len() as u64)
    })
}

/// Applies the rows of a file to a catalogue one at a time.
fn import(job: &Job, lines: &[Line], catalogue: &mut Catalogue) -> Tally {
    let mut tally = Tally::default();
    for (at, line) in lines.iter().enumerate() {
        read(job, &chunk(0, at + 1, std::slice::from_ref(line)), |plan, folds, failed| {
            tally.failed += failed;
            for (name, rows) in folds {
                let mut draft = Draft::stored(catalogue.remove(name.key()));
                let outcome = draft.apply(plan, job.options.mode, job.stamp(rows[0].row), &rows[0]);
                catalogue.extend(draft.record.map(|record| (name.key().to_owned(), record)));
                *match outcome {
                    Outcome::Created => &mut tally.created,
                    Outcome::Updated => &mut tally.updated,
                    Outcome::Unchanged => &mut tally.unchanged,
                    Outcome::Skipped => &mut tally.skipped,
                } += 1;
            }
        });
    }
    tally
}

/// A delivery of a chunk: it dies when it has claimed so many records, or lives to be tallied.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    chunk: usize,
    dies_after: Option<usize>,
}

/// Judges the rows of a file as a review does: chunk by chunk, as they are delivered.
fn review(job: &Job, chunks: &[Chunk], deliveries: &[Delivery], catalogue: &Catalogue) -> Tally {
    let mut claims: HashMap<String, usize> = HashMap::new();
    let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
    for delivery in deliveries {
        let tally = read(job, &chunks[delivery.chunk], |plan, folds, failed| {
            let mut tally = Tally { failed, ..Tally::default() };
            let mut claimed = 0;
            for (name, rows) in folds {
                let stored = catalogue.get(name.key()).cloned();
                let before = stored.clone();
                let mut folded = fold(plan, job, &name, Draft::stored(stored), &rows);
                if folded.makes() {
                    if delivery.dies_after == Some(claimed) {
                        return None;
                    }
                    claimed += 1;
                    if *claims.entry(name.key().to_owned()).or_insert(delivery.chunk) != delivery.chunk {
                        folded.made_elsewhere(job.options.mode);
                    }
                } else {
                    assert!(before.is_some_and(|record| !record.is_gone()), "only what is there is not made");
                }
                folded.count(&mut tally);
            }
            delivery.dies_after.is_none().then_some(tally)
        });
        if let Some(tally) = tally {
            tallies.entry(delivery.chunk).or_insert(tally);
        }
    }
    tallies.into_values().fold(Tally::default(), |mut sum, tally| {
        sum += tally;
        sum
    })
}

/// A file, what was there before, where its chunks end, and how they are delivered.
#[derive(Debug, Clone)]
struct Case {
    options: ImportOptions,
    before: Vec<Line>,
    deleted: BTreeSet<usize>,
    lines: Vec<Line>,
    ends: BTreeSet<usize>,
    deliveries: Vec<Delivery>,
}

fn case() -> impl Strategy<Value = Case> {
    let mode = prop_oneof![Just(Mode::Upsert), Just(Mode::Create), Just(Mode::Fill)];
    let options = (mode, any::<bool>()).prop_map(|(mode, clears)| ImportOptions {
        mode,
        empty_cells: if clears { EmptyCells::Clear } else { EmptyCells::Keep },
        ..ImportOptions::default()
    });
    let before = prop::collection::vec(line(), 0..5);
    let deleted = prop::collection::btree_set(0..KEYS.len(), 0..3);
    let lines = prop::collection::vec(line(), 1..16);
    (options, before, deleted, lines).prop_flat_map(|(options, before, deleted, lines)| {
        let ends = prop::collection::btree_set(1..lines.len() + 1, 0..6);
        (Just((options, before, deleted, lines)), ends).prop_flat_map(|((options, before, deleted, lines), ends)| {
            let chunks = ends.iter().filter(|end| **end < lines.len()).count() + 1;
            let dying = (0..chunks, prop::option::of(0usize..4));
            let more =
                prop::collection::vec(dying.prop_map(|(chunk, dies_after)| Delivery { chunk, dies_after }), 0..8);
            let all = more.prop_flat_map(move |more| {
                let each = (0..chunks).map(|chunk| Delivery { chunk, dies_after: None });
                Just(each.chain(more).collect::<Vec<_>>()).prop_shuffle()
            });
            all.prop_map(move |deliveries| Case {
                options: options.clone(),
                before: before.clone(),
                deleted: deleted.clone(),
                lines: lines.clone(),
                ends: ends.clone(),
                deliveries,
            })
        })
    })
}

fn chunks(lines: &[Line], ends: &BTreeSet<usize>) -> Vec<Chunk> {
    let mut bounds: Vec<usize> = ends.iter().copied().filter(|end| *end < lines.len()).collect();
    bounds.insert(0, 0);
    bounds.push(lines.len());
    bounds.windows(2).enumerate().map(|(at, bound)| chunk(at, bound[0] + 1, &lines[bound[0]..bound[1]])).collect()
}

/// The catalogue before: what an import left, of which some records were deleted.
fn catalogue(before: &[Line], deleted: &BTreeSet<usize>) -> Catalogue {
    let mut catalogue = Catalogue::new();
    import(&job(&ImportOptions::default(), 1), before, &mut catalogue);
    for key in deleted {
        if let Some(record) = catalogue.get_mut(KEYS[*key]) {
            *record = record.deleted(Stamp::of_delete(2));
        }
    }
    catalogue
}

fn says(tally: &Tally) -> [u64; 4] {
    [tally.created, tally.updated + tally.unchanged, tally.skipped, tally.failed]
}

proptest! {
    #![proptest_config(crate::cases(12_000))]

    #[test]
    fn what_a_review_says_is_what_the_import_then_does(case in case()) {
        let Case { options, before, deleted, lines, ends, deliveries } = case;
        let mut catalogue = catalogue(&before, &deleted);
        let reviewed = ImportOptions { review: true, ..options.clone() };
        let judged = review(&job(&reviewed, Stamp::LAST_ORDER), &chunks(&lines, &ends), &deliveries, &catalogue);
        let did = import(&job(&options, 3), &lines, &mut catalogue);
        prop_assert_eq!(says(&judged), says(&did));
    }
}

/// Without claims, two chunks would both make the record; the property above would not hold.
#[test]
fn a_record_that_two_chunks_name_is_made_once() {
    let lines: Vec<Line> = vec![(0, Some(Some(1)), None, None), (0, Some(Some(2)), None, None)];
    for (mode, others) in [(Mode::Upsert, [1, 1, 0, 0]), (Mode::Fill, [1, 1, 0, 0]), (Mode::Create, [1, 0, 1, 0])] {
        let options = ImportOptions { mode, review: true, ..ImportOptions::default() };
        let (job, chunks) = (job(&options, Stamp::LAST_ORDER), chunks(&lines, &[1].into()));
        for order in [[0, 1], [1, 0]] {
            let deliveries = order.map(|chunk| Delivery { chunk, dies_after: None });
            assert_eq!(says(&review(&job, &chunks, &deliveries, &Catalogue::new())), others, "{mode:?} {order:?}");
        }
        let dry = Job { options: ImportOptions { review: false, dry_run: true, ..options }, ..job };
        let alone = read(&dry, &chunk(0, 1, &lines), |plan, folds, _| {
            let (name, rows) = &folds[0];
            fold(plan, &dry, name, Draft::stored(None), rows).outcomes
        });
        assert_eq!(alone, [Outcome::Created; 2], "a dry run judges each row alone");
    }
}

/// A row whose record would be too large makes none: the next one does.
#[test]
fn a_row_that_its_record_has_no_room_for_makes_none() {
    let options = ImportOptions { review: true, ..ImportOptions::default() };
    let job = job(&options, Stamp::LAST_ORDER);
    let long = "x".repeat(RECORD_ITEM_BYTES);
    let text = format!("A,1,{long},\nA,1,b,\nA,2,b,\n");
    let body = Body::Rows(text.clone().into_bytes());
    let chunk = Chunk { index: 0, first_row: 1, first_line: 2, offset: 0, bytes: text.len() as u64, rows: 3, body };
    read(&job, &chunk, |plan, folds, _| {
        let (name, rows) = &folds[0];
        let folded = fold(plan, &job, name, Draft::stored(None), rows);
        assert_eq!((folded.refused, folded.outcomes), (vec![1], vec![Outcome::Created, Outcome::Updated]));
    });
}
