//! Rules that are left out, to show that each is needed.

use penstock_local::Options;
use penstock_store::{
    Settings, Store,
    conditions::{Condition, Conditions, SABOTAGE},
};

use super::Stack;

/// Leaves a rule out of every function of a stack that is to start.
pub fn switch_off(options: &mut Options, without: Option<Condition>) {
    options.environment.extend(without.map(|condition| (SABOTAGE.to_owned(), condition.name().to_owned())));
}

/// The stack's store as the API has it: that is no process of its own, which would be told to leave a rule out.
pub fn store(stack: &Stack, without: Option<Condition>) -> Store {
    let conditions = without.map_or(Conditions::ALL, Conditions::without);
    Store::new(Settings { conditions, ..stack.cloud.store().settings().clone() })
}

/// With the rule nothing deviates, without it something does.
pub async fn is_needed(condition: Condition, schedule: impl AsyncFn(Option<Condition>) -> Vec<String>) {
    assert_eq!(schedule(None).await, Vec::<String>::new());
    let deviations = schedule(Some(condition)).await;
    let first = deviations.first().unwrap_or_else(|| panic!("it holds without {condition:?}"));
    println!("without {condition:?}: {} deviations, such as {first}", deviations.len());
}
