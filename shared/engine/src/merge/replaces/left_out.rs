//! For each rule, that a run which leaves it out deviates.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use super::{deviations, rule::Without, schedule::Kinds};

/// The test of the test: with a rule no schedule deviates (see above), without it one of many does, always the same
/// ones; and in this.
fn is_needed(without: Without, kinds: Kinds, in_what: &str) {
    let mut runner = TestRunner::deterministic();
    let strategy = kinds.schedules();
    let found = (0..60_000).find_map(|number| {
        let schedule = strategy.new_tree(&mut runner).expect("a schedule").current();
        let found = deviations(&schedule, without);
        found.iter().any(|said| said.starts_with(in_what)).then_some((number, found))
    });
    println!("without {without:?}: schedule {found:?} deviates");
    assert!(found.is_some(), "no schedule deviates without {without:?}");
}

/// Few keys and no cancels: whatever meets, meets on one record.
const DENSE: Kinds = Kinds { replaces: 5, held: 0, deletes: 2, cancels: 0, keys: 2, is_serial: false };
const HELD: Kinds = Kinds { held: 10, ..DENSE };

#[test]
fn other_uploads_have_to_wait_for_the_import_at_the_gate() {
    is_needed(Without::Gate, DENSE, "catalogue");
}

#[test]
fn what_goes_is_told_only_when_older_imports_have_ended() {
    is_needed(Without::GateWait, DENSE, "catalogue");
}

#[test]
fn and_only_when_the_last_row_is_accounted_for() {
    is_needed(Without::LastRow, Kinds { cancels: 3, ..DENSE }, "catalogue");
}

#[test]
fn a_removal_that_is_decided_cannot_be_cancelled() {
    is_needed(Without::Decision, Kinds { cancels: 6, ..DENSE }, "catalogue");
}

#[test]
fn a_repeat_has_to_count_the_tombstones_that_are_its_own() {
    is_needed(Without::Evidence, DENSE, "removed");
}

#[test]
fn a_tombstone_has_to_take_the_place_of_the_record_that_was_read() {
    is_needed(Without::Revision, Kinds { replaces: 9, deletes: 12, keys: 1, ..DENSE }, "removed");
}

#[test]
fn records_have_to_be_read_consistently() {
    is_needed(Without::Consistent, DENSE, "catalogue");
}

#[test]
fn a_rejected_row_has_to_name_its_record() {
    is_needed(Without::Rejected, DENSE, "catalogue");
}

#[test]
fn a_row_whose_key_cannot_be_read_has_to_keep_every_record() {
    is_needed(Without::Unreadable, DENSE, "unreadable");
}

#[test]
fn a_tombstone_of_a_removal_has_to_hold_its_place() {
    is_needed(Without::Floor, DENSE, "catalogue");
}

#[test]
fn a_tombstone_has_to_stay_while_the_import_runs_that_counts_it() {
    is_needed(Without::StaysWhileOlderRun, DENSE, "removed");
}

#[test]
fn a_tombstone_has_to_outlive_processes_of_imports_that_have_ended() {
    is_needed(Without::StaysWhileProcessesLive, DENSE, "catalogue");
}

#[test]
fn a_held_import_has_to_count_as_one_that_runs() {
    is_needed(Without::HeldRuns, HELD, "catalogue");
}

#[test]
fn a_confirmed_removal_has_to_wait_for_those_who_write_rows() {
    is_needed(Without::ConfirmWait, HELD, "");
}

#[test]
fn a_confirmed_removal_has_to_take_the_gate() {
    is_needed(Without::ConfirmGate, HELD, "catalogue");
}

#[test]
fn a_confirmed_removal_has_to_spare_what_is_newer() {
    is_needed(Without::Sparing, HELD, "catalogue");
}
