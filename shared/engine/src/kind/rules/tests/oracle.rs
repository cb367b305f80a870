//! What is a rule here is an expression of CEL and is true of the same rows, by the `cel` crate
//! (<https://github.com/cel-rust/cel-rust>). Numbers are few and small here, so that its floats hold them exactly.

use cel::{Context, Program, Value};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;

/// Its parser takes some 100 KB of stack for each bracket.
fn on_a_large_stack(check: impl FnOnce() + Send + 'static) {
    let large = std::thread::Builder::new().stack_size(256 * 1024 * 1024).spawn(check).expect("a thread");
    if let Err(panic) = large.join() {
        std::panic::resume_unwind(panic);
    }
}

fn run<S: Strategy>(cases: u32, strategy: S, check: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { failure_persistence: None, ..crate::cases(cases) };
    if let Err(error) = TestRunner::new(config).run(&strategy, check) {
        panic!("{error}");
    }
}

/// Rules, each of a boolean with no more than so many parts in one another. Some say something of a field that may be
/// null, which is refused here.
fn boolean() -> BoxedStrategy<String> {
    let whole = number(&["units", "pack", "0", "1", "2", "7"], &["+", "-", "*", "%"]);
    let fraction = number(&["cost", "0.25", "1.5", "2.0"], &["+", "-", "*"]);
    let text = prop::sample::select(vec!["name", "note", "'a'", "\"ab\"", "''", "'b\\u0061'"]).prop_map(str::to_owned);
    let order = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let search = prop::sample::select(vec!["startsWith", "endsWith", "contains"]);
    let nullable = prop::sample::select(vec!["pack", "cost", "note", "active"]);
    let leaf = prop_oneof![
        (whole.clone(), order.clone(), whole.clone()).prop_map(|(one, order, two)| format!("{one} {order} {two}")),
        (fraction.clone(), order.clone(), fraction).prop_map(|(one, order, two)| format!("{one} {order} {two}")),
        (text.clone(), order, text.clone()).prop_map(|(one, order, two)| format!("{one} {order} {two}")),
        (whole.clone(), prop::collection::vec(whole, 0..3))
            .prop_map(|(one, of)| format!("{one} in [{}]", of.join(", "))),
        (text.clone(), search, text.clone()).prop_map(|(one, how, two)| format!("{one}.{how}({two})")),
        (text, 0..4).prop_map(|(text, size)| format!("size({text}) == {size}")),
        (nullable, any::<bool>()).prop_map(|(field, is)| format!("{field} {} null", if is { "==" } else { "!=" })),
        Just("active == true".to_owned()),
        Just("active".to_owned()),
        Just("false".to_owned()),
    ];
    let inner = leaf.prop_recursive(3, 16, 3, |inner| {
        let joined = (inner.clone(), prop::sample::select(vec!["&&", "||", "==", "!="]), inner.clone());
        prop_oneof![
            3 => joined.clone().prop_map(|(one, how, two)| format!("{one} {how} {two}")),
            1 => joined.prop_map(|(one, how, two)| format!("({one}) {how} ({two})")),
            1 => inner.clone().prop_map(|one| format!("!({one})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(one, two, three)| format!("({one} ? {two} : {three})")),
        ]
    });
    // Most of them are guarded.
    let guard = prop_oneof![
        1 => Just(""),
        3 => Just("pack == null || cost == null || note == null || active == null || "),
        3 => Just("pack != null && cost != null && note != null && active != null && "),
    ];
    (guard, inner).prop_map(|(guard, inner)| if guard.is_empty() { inner } else { format!("{guard}({inner})") }).boxed()
}

fn number(leaves: &[&'static str], operators: &[&'static str]) -> BoxedStrategy<String> {
    let operator = prop::sample::select(operators.to_vec());
    let leaf = prop::sample::select(leaves.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(2, 6, 2, move |inner| {
        prop_oneof![
            (inner.clone(), operator.clone(), inner.clone()).prop_map(|(one, how, two)| format!("{one} {how} {two}")),
            (inner.clone(), operator.clone(), inner.clone()).prop_map(|(one, how, two)| format!("({one} {how} {two})")),
            inner.prop_map(|one| format!("-({one})")),
        ]
    })
    .boxed()
}

/// What a row says: a value, or nothing, of `units`, `pack`, `cost` in quarters, `name`, `note` and `active`.
type Said = (i64, Option<i64>, Option<i64>, &'static str, Option<&'static str>, Option<bool>);

fn row() -> impl Strategy<Value = Said> {
    let text = || prop::sample::select(vec!["a", "ab", "ba", "ä"]);
    (
        -3..4_i64,
        prop::option::of(-2..3_i64),
        prop::option::of(-9..9_i64),
        text(),
        prop::option::of(text()),
        any::<Option<bool>>(),
    )
}

/// What the crate says of a row: yes, no, or that there is no answer.
fn by_cel(rule: &str, (units, pack, cost, name, note, active): Said) -> Option<bool> {
    let mut context = Context::default();
    let mut add = |field: &str, value: Option<Value>| {
        context.add_variable_from_value(field.to_owned(), value.unwrap_or(Value::Null));
    };
    add("units", Some(Value::Int(units)));
    add("pack", pack.map(Value::Int));
    add("cost", cost.map(|quarters| Value::Float(quarters as f64 / 4.0)));
    add("name", Some(name.into()));
    add("note", note.map(Value::from));
    add("active", active.map(Value::Bool));
    let program = Program::compile(rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
    match program.execute(&context) {
        Ok(Value::Bool(boolean)) => Some(boolean),
        Ok(other) => panic!("{rule} is {other:?}"),
        Err(_) => None,
    }
}

#[test]
fn a_rule_is_true_of_the_rows_of_which_it_is_true_in_cel() {
    on_a_large_stack(|| {
        let (accepted, unknown) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        run(1_500, (boolean(), prop::collection::vec(row(), 4)), |(rule, rows)| {
            let Ok(kind) = kind(&rule) else { return Ok(()) };
            accepted.set(accepted.get() + 1);
            for said in rows {
                let (units, pack, cost, name, note, active) = said;
                let written = |value: Option<String>| value.unwrap_or_default();
                let (units, pack) = (units.to_string(), written(pack.map(|pack| pack.to_string())));
                let cost = written(cost.map(|quarters| (quarters as f64 / 4.0).to_string()));
                let active = written(active.map(|active| active.to_string()));
                let row = [
                    ("units", &*units),
                    ("pack", &pack),
                    ("cost", &cost),
                    ("name", name),
                    ("note", note.unwrap_or_default()),
                    ("active", &active),
                ];
                let found = match &*judged(&kind, &row).0 {
                    [] => Some(true),
                    [message] if message == "no" => Some(false),
                    _ => None,
                };
                unknown.set(unknown.get() + usize::from(found.is_none()));
                prop_assert_eq!(found, by_cel(&rule, said), "{} of {:?}", rule, said);
            }
            Ok(())
        });
        let (accepted, unknown) = (accepted.get(), unknown.get());
        assert!(accepted > 200 && unknown > 0, "{accepted} rules, {unknown} rows without an answer");
    });
}

#[test]
fn whatever_is_a_rule_is_an_expression_of_cel() {
    on_a_large_stack(|| {
        let accepted = std::cell::Cell::new(0);
        run(1_500, prop_oneof![pieces(), boolean()], |rule| {
            if kind(&rule).is_ok() {
                accepted.set(accepted.get() + 1);
                let parsed = cel::parser::Parser::new().parse(&rule);
                prop_assert!(parsed.is_ok(), "{}: {}", rule, parsed.expect_err("refused"));
            }
            Ok(())
        });
        assert!(accepted.get() > 100, "{} rules", accepted.get());
    });
}
