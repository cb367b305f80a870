//! The law of merge, and its agreement with a model that applies rows one at a time in their order.

use std::cell::LazyCell;

use penstock_model::Grammar;
use proptest::prelude::*;

use super::*;

/// Fields `k` (the key), `a`, `b`, `d`, which has a default, and `e` and `f`, whose defaults are the row's `d` and `e`.
fn plan() -> Plan {
    let schema = br#"{ "name": "things", "primaryKey": "k", "fields": [
        { "name": "k" }, { "name": "a" }, { "name": "b" }, { "name": "d", "default": "default" },
        { "name": "e", "default": { "from": "d" } }, { "name": "f", "default": { "from": "e" } }
    ] }"#;
    let schema = Kind::parse(schema).expect("valid");
    let kind = Kind::compile(&schema, &"1".parse().expect("valid")).expect("valid");
    Plan::compile(kind, Grammar::CSV, &["k", "a", "b", "d", "e"].map(str::to_owned), &BTreeMap::new()).expect("valid")
}

/// What a row says of `a`, `b`, `d` and `e`: nothing, that it shall be empty, or a value.
pub(super) type Says = [Option<Option<u8>>; 4];

fn row(number: u64, says: &Says) -> Row<'static> {
    let mut cells = vec![(0, Some(Cell::Text("key".into())))];
    for (field, said) in says.iter().enumerate() {
        if let Some(value) = said {
            cells.push((field + 1, value.map(|v| Cell::Text(v.to_string().into()))));
        }
    }
    Row { row: number, key: "key".into(), cells }
}

thread_local! {
    /// A draw applies some rows, and compiling the plan takes as long as applying many.
    static PLAN: LazyCell<Plan> = const { LazyCell::new(plan) };
}

/// Applies the row with this stamp.
pub(super) fn apply(draft: &mut Draft, mode: Mode, stamp: Stamp, says: &Says) -> Outcome {
    PLAN.with(|plan| draft.apply(plan, mode, stamp, &row(stamp.row, says)))
}

pub(super) fn says(clears: bool) -> impl Strategy<Value = Says> {
    let cell =
        prop_oneof![2 => Just(None), 1 => Just(clears.then_some(None)), 3 => (0u8..3).prop_map(|v| Some(Some(v)))];
    prop::array::uniform4(cell)
}

/// A straightforward catalogue of one record: what it shows after rows were applied one at a time.
pub(super) fn sequential(
    start: Option<&BTreeMap<String, Value>>,
    mode: Mode,
    rows: &[Says],
) -> (Option<BTreeMap<String, Value>>, [usize; 4]) {
    let mut shown = start.cloned();
    let mut counts = [0; 4];
    for says in rows {
        // A row that fills says nothing of what it clears.
        let says = says.map(|said| said.filter(|value| mode != Mode::Fill || value.is_some()));
        let named = ["a", "b", "d", "e"]
            .iter()
            .zip(says)
            .filter_map(|(name, said)| said.map(|value| (name.to_string(), value)));
        match &mut shown {
            None => {
                let text =
                    |value: Option<u8>| Value::Text(value.map_or("default".to_owned(), |value| value.to_string()));
                let (d, e) = (text(says[2].flatten()), says[3].flatten());
                let e = e.map_or(d.clone(), |e| text(Some(e)));
                let mut made = BTreeMap::from([
                    ("k".to_owned(), Value::Text("key".into())),
                    ("d".to_owned(), d.clone()),
                    // What a row clears has its own default for those that are taken from it.
                    ("e".to_owned(), if says[3] == Some(None) { d } else { e.clone() }),
                    ("f".to_owned(), e),
                ]);
                for (name, value) in named {
                    match value {
                        Some(value) => made.insert(name, Value::Text(value.to_string())),
                        None => made.remove(&name),
                    };
                }
                shown = Some(made);
                counts[0] += 1;
            }
            Some(_) if mode == Mode::Create => counts[3] += 1,
            Some(record) => {
                let before = record.clone();
                for (name, value) in named {
                    match value {
                        Some(_) if mode == Mode::Fill && record.contains_key(&name) => None,
                        Some(value) => record.insert(name, Value::Text(value.to_string())),
                        None => record.remove(&name),
                    };
                }
                counts[if before == *record { 2 } else { 1 }] += 1;
            }
        }
    }
    (shown, counts)
}

/// Delivers rows (by place) in this order to a stored record; every delivery is a fold of one or more rows, as a chunk
/// does.
fn deliver(
    start: Option<Record>,
    mode: Mode,
    order: u64,
    rows: &[Says],
    deliveries: &[Vec<usize>],
) -> (Option<Record>, Vec<Option<Outcome>>) {
    let mut stored = start;
    let mut outcomes = vec![None; rows.len()];
    for fold in deliveries {
        let mut draft = Draft::stored(stored.clone());
        for &place in fold {
            let number = place as u64 + 1;
            let outcome = apply(&mut draft, mode, Stamp { order, row: number }, &rows[place]);
            // Any attempt may be the one that lives to tally: here the first of even places, the last of odd ones.
            if place % 2 == 1 || outcomes[place].is_none() {
                outcomes[place] = Some(outcome);
            }
        }
        if draft.changed {
            stored = draft.record;
        } else {
            assert_eq!(draft.record, stored, "a draft that says it is unchanged is");
        }
    }
    (stored, outcomes)
}

pub(super) fn count(outcomes: &[Option<Outcome>]) -> [usize; 4] {
    [Outcome::Created, Outcome::Updated, Outcome::Unchanged, Outcome::Skipped]
        .map(|wanted| outcomes.iter().filter(|outcome| **outcome == Some(wanted)).count())
}

pub(super) fn visible(record: &Option<Record>) -> Option<BTreeMap<String, Value>> {
    record.as_ref().map(|record| record.fields.clone())
}

/// Every row at least once, in any order, some again, grouped into folds whose rows are in file order.
fn deliveries(rows: usize) -> impl Strategy<Value = Vec<Vec<usize>>> {
    let extra = prop::collection::vec(0..rows, 0..rows + 1);
    (extra, prop::collection::vec(1usize..4, 1..20)).prop_flat_map(move |(extra, sizes)| {
        let all: Vec<usize> = (0..rows).chain(extra).collect();
        Just(all).prop_shuffle().prop_map(move |shuffled| {
            let (mut folds, mut rest, mut sizes) = (Vec::new(), shuffled.as_slice(), sizes.iter().cycle());
            while !rest.is_empty() {
                let (fold, after) = rest.split_at((*sizes.next().expect("a cycle")).min(rest.len()));
                let mut fold = fold.to_vec();
                fold.sort_unstable();
                fold.dedup();
                folds.push(fold);
                rest = after;
            }
            folds
        })
    })
}

pub(super) fn schedule(clears: bool) -> impl Strategy<Value = (Vec<Says>, Vec<Vec<usize>>)> {
    prop::collection::vec(says(clears), 1..6).prop_flat_map(|rows| {
        let deliveries = deliveries(rows.len());
        (Just(rows), deliveries)
    })
}

pub(super) fn modes() -> impl Strategy<Value = (Mode, bool)> {
    prop_oneof![
        Just((Mode::Upsert, true)),
        Just((Mode::Upsert, false)),
        Just((Mode::Create, true)),
        Just((Mode::Create, false)),
        Just((Mode::Fill, true)),
        Just((Mode::Fill, false))
    ]
}

/// An import on top of what an older one left, and how its rows are delivered.
#[derive(Debug, Clone)]
struct OneImport {
    mode: Mode,
    older: Option<Vec<Says>>,
    rows: Vec<Says>,
    deliveries: Vec<Vec<usize>>,
}

fn one_import() -> impl Strategy<Value = OneImport> {
    modes().prop_flat_map(|(mode, clears)| {
        let older = prop::option::of(prop::collection::vec(says(true), 1..3));
        (older, schedule(clears)).prop_map(move |(older, (rows, deliveries))| OneImport {
            mode,
            older,
            rows,
            deliveries,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_schedule_of_one_import_gives_what_rows_one_at_a_time_give(import in one_import()) {
        let OneImport { mode, older, rows, deliveries } = import;
        let before = older.map(|older| {
            let in_order: Vec<Vec<usize>> = (0..older.len()).map(|place| vec![place]).collect();
            deliver(None, Mode::Upsert, 1, &older, &in_order).0.expect("made")
        });
        let (expected, expected_counts) = sequential(before.as_ref().map(|record| &record.fields), mode, &rows);
        let (stored, outcomes) = deliver(before.clone(), mode, 2, &rows, &deliveries);
        prop_assert_eq!(visible(&stored), expected);
        let counts = count(&outcomes);
        prop_assert_eq!(counts[0], expected_counts[0], "created");
        prop_assert_eq!(counts[3], expected_counts[3], "skipped");
        prop_assert_eq!(counts[1] + counts[2], expected_counts[1] + expected_counts[2], "updated and unchanged");
        if rows.len() == 1 {
            prop_assert_eq!(counts, expected_counts, "no key is repeated, so nothing is left open");
        }
        // The law: one at a time in order gives the same record, stamps included.
        let in_order: Vec<Vec<usize>> = (0..rows.len()).map(|place| vec![place]).collect();
        let (one_by_one, _) = deliver(before, mode, 2, &rows, &in_order);
        prop_assert_eq!(stored.map(|r| (r.fields, r.stamps)), one_by_one.map(|r| (r.fields, r.stamps)));
    }

    #[test]
    fn overlapping_upserts_give_what_they_give_one_after_the_other(
        imports in prop::collection::vec(prop::collection::vec(says(true), 1..4), 1..4),
        seed in any::<prop::sample::Index>(),
        shuffle in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
    ) {
        let all: Vec<(u64, usize)> = imports.iter().enumerate()
            .flat_map(|(import, rows)| (0..rows.len()).map(move |place| (import as u64 + 1, place))).collect();
        let mut pending = all.clone();
        pending.push(all[seed.index(all.len())]);
        let mut stored = None;
        let mut picks = shuffle.iter().cycle();
        while !pending.is_empty() {
            let (order, place) = pending.swap_remove(picks.next().expect("a cycle").index(pending.len()));
            let number = place as u64 + 1;
            let mut draft = Draft::stored(stored);
            apply(&mut draft, Mode::Upsert, Stamp { order, row: number }, &imports[order as usize - 1][place]);
            stored = draft.record;
        }
        let (expected, _) = sequential(None, Mode::Upsert, &imports.concat());
        prop_assert_eq!(visible(&stored), expected);
    }
}

/// Three rows of one key that fill a record that none made before: the first clears the field that has a default, the
/// second does not name it, the third sets it.
#[test]
fn a_filling_row_that_clears_a_default_leaves_the_result_to_no_order_of_arrival() {
    let rows: [Says; 3] = [[None, None, Some(None), None], [None; 4], [None, None, Some(Some(7)), None]];
    let (expected, _) = sequential(None, Mode::Fill, &rows);
    assert_eq!(expected.as_ref().expect("made")["d"], Value::Text("default".into()));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (stored, _) = deliver(None, Mode::Fill, 1, &rows, &order.map(|place| vec![place]));
        assert_eq!(visible(&stored), expected, "in the order {order:?}");
    }
}
