//! Replaces among other imports and deletes, held to a catalogue that takes one event after the other; and for each
//! rule of replaces, that a run which leaves it out deviates.
//!
//! What becomes of an import is decided by the pure functions of the model, what becomes of a record by those of the
//! engine. What the store and the functions do around them is ported here: each request is one step. Between any two
//! steps of a process the others make theirs; it may stand still as long as a function lives, or die and be started
//! again, and an answer may be lost of what was done.

mod in_order;
mod left_out;
mod lifecycle;
mod process;
mod removal;
mod row;
mod rule;
mod schedule;
mod stored;
mod world;

use penstock_model::Stage;
use proptest::prelude::*;

use self::{
    rule::Without,
    schedule::{ALL, Kinds, Schedule},
    world::World,
};

/// Runs a schedule; what deviates.
fn deviations(schedule: &Schedule, without: Without) -> Vec<String> {
    let mut world = World::new(schedule, without);
    if !world.run() {
        let stages: Vec<Stage> = world.imports.iter().map(|stored| stored.import.stage()).collect();
        return vec![format!("does not end: {stages:?}")];
    }
    world.deviations()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn replaces_among_upserts_deletes_and_cancels_leave_and_count_what_they_do_one_after_the_other(
        schedule in Kinds { held: 0, ..ALL }.schedules(),
    ) {
        prop_assert_eq!(deviations(&schedule, Without::Nothing), Vec::<String>::new());
    }

    #[test]
    fn held_and_confirmed_removals_leave_and_count_what_they_do_one_after_the_other(
        schedule in ALL.schedules(),
    ) {
        prop_assert_eq!(deviations(&schedule, Without::Nothing), Vec::<String>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn replaces_after_imports_of_any_mode_do_what_their_order_says(
        schedule in Kinds { is_serial: true, cancels: 0, ..ALL }.schedules(),
    ) {
        prop_assert_eq!(deviations(&schedule, Without::Nothing), Vec::<String>::new());
    }
}
