//! Deletes among the rows of imports, held to a catalogue that takes one event after the other; and for each rule of
//! deletes, that a run which leaves it out deviates.

use proptest::{
    prelude::*,
    sample::Index,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use super::{
    tests::{Says, apply, count, modes, says, schedule, sequential, visible},
    *,
};

/// What a record shows; `None` where there is none.
type Shown = Option<BTreeMap<String, Value>>;

/// A rule of deletes that a run leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    /// None of them.
    Nothing,
    /// A delete leaves a tombstone. Without it the item goes.
    Tombstone,
    /// A tombstone has the stamp of its delete, below which rows change nothing.
    Floor,
    /// That stamp stays when the record is made anew.
    FloorAnew,
    /// A tombstone keeps `made` and `last`.
    Bookkeeping,
    /// A record that is made anew goes on from the tombstone's `rev`.
    Revision,
}

impl Without {
    /// What a delete leaves of a record.
    fn deleted(self, record: &Record, at: Stamp) -> Option<Record> {
        let mut tombstone = record.deleted(at);
        tombstone.rev += 1;
        match self {
            Self::Tombstone => return None,
            Self::Floor => tombstone.gone = None,
            Self::Bookkeeping => {
                let never = Stamp { order: 0, row: 0 };
                (tombstone.made, tombstone.last) = (never, Applied { stamp: never, changed: false });
            }
            Self::Nothing | Self::FloorAnew | Self::Revision => {}
        }
        Some(tombstone)
    }

    /// What a write stores in place of what was read.
    fn written(self, read: Option<&Record>, mut record: Record) -> Record {
        let anew = read.is_some_and(Record::is_gone);
        record.rev += 1;
        match self {
            Self::FloorAnew if anew => record.gone = None,
            Self::Revision if anew => record.rev = 1,
            _ => {}
        }
        record
    }
}

fn is_there(stored: &Option<Record>) -> bool {
    stored.as_ref().is_some_and(|record| !record.is_gone())
}

fn shown(stored: &Option<Record>) -> Shown {
    visible(&stored.clone().filter(|record| !record.is_gone()))
}

/// What takes a place in the order of a kind, if it does.
#[derive(Debug, Clone)]
enum Event {
    Import(Vec<Says>),
    Delete,
}

/// A validator with one row: it reads the record, then writes it if its `rev` is still the one read.
struct Process {
    order: u64,
    place: usize,
    says: Says,
    read: Option<Option<Record>>,
}

/// Runs upserts and deletes, which begin in this order; from then on the rows of all imports overtake one another, each
/// delivered twice, and a process may stand still between its read and its write for as long as it likes. A delete is
/// one step, and takes the next place if it finds a record. The answer is what the record shows, and what it should.
fn overlapping(events: &[Event], picks: &[Index], without: Without) -> (Shown, Shown) {
    let (mut stored, mut expected, mut next) = (None::<Record>, None, 1);
    let mut processes: Vec<Process> = Vec::new();
    let (mut events, mut picks) = (events.iter(), picks.iter().cycle());
    while !processes.is_empty() || events.len() > 0 {
        let at = picks.next().expect("a cycle").index(processes.len() + usize::from(events.len() > 0));
        let Some(process) = processes.get_mut(at) else {
            match events.next().expect("one is left") {
                Event::Import(rows) => {
                    for (place, says) in rows.iter().enumerate().flat_map(|row| [row, row]) {
                        processes.push(Process { order: next, place, says: *says, read: None });
                    }
                    expected = sequential(expected.as_ref(), Mode::Upsert, rows).0;
                    next += 1;
                }
                Event::Delete if is_there(&stored) => {
                    stored = stored.and_then(|record| without.deleted(&record, Stamp::of_delete(next)));
                    expected = None;
                    next += 1;
                }
                Event::Delete => {}
            }
            continue;
        };
        let rev = |record: &Option<Record>| record.as_ref().map(|record| record.rev);
        match process.read.take() {
            None => process.read = Some(stored.clone()),
            Some(read) if rev(&read) == rev(&stored) => {
                let mut draft = Draft::stored(read.clone());
                let stamp = Stamp { order: process.order, row: process.place as u64 + 1 };
                apply(&mut draft, Mode::Upsert, stamp, &process.says);
                if draft.changed {
                    stored = draft.record.map(|record| without.written(read.as_ref(), record));
                }
                processes.swap_remove(at);
            }
            Some(_) => {}
        }
    }
    (shown(&stored), expected)
}

/// An import that overlaps no other, how its rows are delivered, and before which deliveries the record is deleted.
#[derive(Debug, Clone)]
struct Alone {
    mode: Mode,
    rows: Vec<Says>,
    deliveries: Vec<Vec<usize>>,
    deletes: Vec<Index>,
}

/// Runs imports of any mode one after the other, with deletes at any moment; what deviates from the catalogue that
/// takes one event after the other, in words.
fn one_after_the_other(imports: &[Alone], without: Without) -> Option<String> {
    let (mut stored, mut expected, mut next) = (None::<Record>, None, 1);
    for Alone { mode, rows, deliveries, deletes } in imports {
        let order = next;
        next += 1;
        let (after, counts) = sequential(expected.as_ref(), *mode, rows);
        expected = after;
        let mut outcomes = vec![None; rows.len()];
        // The last place is behind all deliveries: a delete between two imports.
        let moments: Vec<usize> = deletes.iter().map(|delete| delete.index(deliveries.len() + 1)).collect();
        for moment in 0..=deliveries.len() {
            if moments.contains(&moment) && is_there(&stored) {
                stored = stored.and_then(|record| without.deleted(&record, Stamp::of_delete(next)));
                expected = None;
                next += 1;
            }
            let Some(fold) = deliveries.get(moment) else { continue };
            let mut draft = Draft::stored(stored.clone());
            for &place in fold {
                let number = place as u64 + 1;
                let outcome = apply(&mut draft, *mode, Stamp { order, row: number }, &rows[place]);
                if place % 2 == 1 || outcomes[place].is_none() {
                    outcomes[place] = Some(outcome);
                }
            }
            if draft.changed {
                stored = draft.record.map(|record| without.written(stored.as_ref(), record));
            } else if draft.record != stored {
                return Some("a draft that says it is unchanged is not".to_owned());
            }
        }
        let got = count(&outcomes);
        if (got[0], got[3], got[1] + got[2]) != (counts[0], counts[3], counts[1] + counts[2]) {
            return Some(format!("import {order} counts {got:?}, not {counts:?}"));
        }
        if shown(&stored) != expected {
            return Some(format!("after import {order}: {:?}, not {expected:?}", shown(&stored)));
        }
    }
    None
}

fn events() -> impl Strategy<Value = (Vec<Event>, Vec<Index>)> {
    let rows = prop::collection::vec(says(true), 1..4);
    let event = prop_oneof![2 => rows.prop_map(Event::Import), 1 => Just(Event::Delete)];
    (prop::collection::vec(event, 1..7), prop::collection::vec(any::<Index>(), 1..40))
}

fn alone() -> impl Strategy<Value = Vec<Alone>> {
    let import = modes().prop_flat_map(|(mode, clears)| {
        (schedule(clears), prop::collection::vec(any::<Index>(), 0..3))
            .prop_map(move |((rows, deliveries), deletes)| Alone { mode, rows, deliveries, deletes })
    });
    prop::collection::vec(import, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn upserts_that_overlap_and_deletes_give_what_they_give_one_after_the_other((events, picks) in events()) {
        let (shown, expected) = overlapping(&events, &picks, Without::Nothing);
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn imports_of_any_mode_and_deletes_give_and_count_what_they_do_one_after_the_other(imports in alone()) {
        prop_assert_eq!(one_after_the_other(&imports, Without::Nothing), None);
    }
}

/// The first of many schedules that deviates; always the same ones.
fn first<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, deviates: impl Fn(&T) -> bool) -> Option<usize> {
    let mut runner = TestRunner::deterministic();
    (0..20_000).find(|_| deviates(&strategy.new_tree(&mut runner).expect("a schedule").current()))
}

/// The test of the test: each rule is needed. With it no schedule deviates (see above), without it one does.
fn is_needed_where_imports_overlap(without: Without) {
    let found = first(&events(), |(events, picks)| {
        let (shown, expected) = overlapping(events, picks, without);
        shown != expected
    });
    println!("without {without:?}: schedule {found:?} deviates");
    assert!(found.is_some(), "no schedule deviates without {without:?}");
}

#[test]
fn a_delete_has_to_leave_a_tombstone() {
    is_needed_where_imports_overlap(Without::Tombstone);
}

#[test]
fn a_tombstone_has_to_hold_the_place_of_its_delete() {
    is_needed_where_imports_overlap(Without::Floor);
}

#[test]
fn a_record_that_is_made_anew_has_to_keep_the_place_of_its_delete() {
    is_needed_where_imports_overlap(Without::FloorAnew);
}

#[test]
fn a_record_that_is_made_anew_has_to_go_on_from_the_revision_of_its_tombstone() {
    is_needed_where_imports_overlap(Without::Revision);
}

#[test]
fn a_tombstone_has_to_keep_who_made_the_record_and_who_touched_it_last() {
    let found = first(&alone(), |imports| one_after_the_other(imports, Without::Bookkeeping).is_some());
    println!("without {:?}: schedule {found:?} deviates", Without::Bookkeeping);
    assert!(found.is_some());
}
