//! The work of a pattern: how many states of its automaton one byte of a cell can have looked at, at most.
//!
//! A pattern is matched in time linear in the cell whatever the pattern is, but by a factor: `[01]*1[01]{7269}` may be
//! at each of its 7,000 places at once, and one cell of 240 KB then takes seconds. The factor is counted here, not
//! measured, so that it is the same on every machine:
//!
//! 1. An automaton with few states is cheap, whatever the cell.
//! 2. Else the sets of states that it can be in at once are walked through, all of them. If they come to an end within
//!    a budget, the largest is the answer. `[A-Z]{1,255}` has many states, and is in two or three of them at a time.
//! 3. What cannot be walked through is taken to be in all states at once. It cannot become a table of sets for the
//!    `regex` crate either, which then looks at every state for every byte (its documentation, "Untrusted input").

use std::{collections::HashSet, convert::Infallible};

use penstock_model::limits::{PATTERN_BYTES, PATTERN_CLASSES, PATTERN_STEPS};
use regex_automata::{
    nfa::thompson::{Config, NFA, State, WhichCaptures},
    util::primitives::StateID,
};
use regex_syntax::ast::{self, Ast, ClassSetBinaryOp, ClassSetItem, Visitor};

/// Steps in which the sets of one schema's patterns are walked through, at most: some 100 ms.
const WALK_STEPS: u64 = 10_000_000;

/// States of all sets of one pattern together, at most: 8 MB of memory.
const WALK_STATES: usize = 1_000_000;

/// What is left of the work that the patterns of a schema may take, where it is registered.
#[derive(Debug)]
pub(super) struct Walk {
    /// Steps in which patterns are walked through.
    steps: u64,
    /// Classes of characters that are compiled.
    classes: usize,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self { steps: WALK_STEPS, classes: PATTERN_CLASSES }
    }

    /// Checks a pattern before it is compiled: that its classes of characters are not too many. A class of Unicode has
    /// up to some hundred thousand characters, which are looked at one by one where the case does not count; and what
    /// it is compiled to may be small.
    ///
    /// # Errors
    /// The limit, and what to do.
    pub(super) fn count_classes(&mut self, pattern: &str) -> Result<(), String> {
        let left = self.classes.checked_sub(classes_of(pattern));
        self.classes = left.ok_or_else(|| {
            format!(
                "the patterns of the schema have more than {PATTERN_CLASSES} classes such as `\\w`, `\\d`, `\\pL` or \
                 `[à-ü]`, the limit: write fewer, or classes of ASCII such as `[A-Za-z0-9_]`"
            )
        })?;
        Ok(())
    }

    /// Checks that no byte of a cell takes more than [`PATTERN_STEPS`].
    ///
    /// # Errors
    /// How many it may take, and what to do.
    pub(super) fn check(&mut self, pattern: &str) -> Result<(), String> {
        let config = Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(PATTERN_BYTES));
        let automaton = NFA::compiler().configure(config).build(&format!(r"\A(?:{pattern})\z"));
        let automaton =
            automaton.map_err(|_| format!("compiles to more than {PATTERN_BYTES} bytes: repeat less in it"))?;
        let all: u64 = automaton.states().iter().map(steps).sum();
        if all <= PATTERN_STEPS {
            return Ok(());
        }
        let (steps, how) = match self.most_at_once(&automaton) {
            Some(most) if most <= PATTERN_STEPS => return Ok(()),
            Some(most) => (most, "takes"),
            None => (all, "may take"),
        };
        Err(format!(
            "{how} {steps} steps for a byte of a cell, the limit is {PATTERN_STEPS}: repeat less in it, above all behind \
             something that repeats without an end, such as `.*`"
        ))
    }

    /// The steps of the largest set of states in which the automaton can be at once; `None` where the budget ends
    /// before the sets do.
    fn most_at_once(&mut self, automaton: &NFA) -> Option<u64> {
        let bytes: Vec<u8> = automaton.byte_classes().representatives(..).filter_map(|unit| unit.as_u8()).collect();
        let mut closing = Closing::new(automaton);
        let (start, mut most) = closing.of([automaton.start_anchored()], &mut self.steps)?;
        let mut held = start.len();
        let mut met = HashSet::from([start.clone()]);
        let mut left = vec![start];
        while let Some(set) = left.pop() {
            for byte in &bytes {
                let next = set.iter().filter_map(|state| after(automaton.state(*state), *byte));
                self.steps = self.steps.checked_sub(set.len() as u64)?;
                let (next, steps) = closing.of(next, &mut self.steps)?;
                most = most.max(steps);
                if !met.contains(&next) {
                    held += next.len();
                    if held > WALK_STATES {
                        return None;
                    }
                    met.insert(next.clone());
                    left.push(next);
                }
            }
        }
        Some(most)
    }
}

/// How many classes of a pattern are compiled from tables of Unicode. A pattern that cannot be parsed has none: what is
/// wrong with it is said where it is compiled.
fn classes_of(pattern: &str) -> usize {
    struct Count(usize);

    impl Visitor for Count {
        type Output = usize;
        type Err = Infallible;

        fn finish(self) -> Result<usize, Infallible> {
            Ok(self.0)
        }

        fn visit_pre(&mut self, ast: &Ast) -> Result<(), Infallible> {
            self.0 += usize::from(matches!(ast, Ast::ClassUnicode(_) | Ast::ClassPerl(_)));
            Ok(())
        }

        fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Infallible> {
            self.0 += match item {
                ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) => 1,
                ClassSetItem::Range(range) => usize::from(!range.end.c.is_ascii()),
                // Each set of its own, and each of the two that are compared, is looked at anew.
                ClassSetItem::Bracketed(set) => usize::from(set.negated),
                _ => 0,
            };
            Ok(())
        }

        fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), Infallible> {
            self.0 += 1;
            Ok(())
        }
    }

    let parsed = regex_syntax::ast::parse::Parser::new().parse(pattern);
    parsed.map_or(0, |ast| match ast::visit(&ast, Count(0)) {
        Ok(count) => count,
        Err(never) => match never {},
    })
}

/// The steps that a look at a state takes: one, and one for each way out of it.
fn steps(state: &State) -> u64 {
    match state {
        State::Union { alternates } => 1 + alternates.len() as u64,
        State::BinaryUnion { .. } => 3,
        // Of many ranges few are looked at.
        State::Sparse(sparse) => 1 + sparse.transitions.len().min(8) as u64,
        State::ByteRange { .. } | State::Dense(_) => 2,
        State::Look { .. } | State::Capture { .. } | State::Fail | State::Match { .. } => 1,
    }
}

/// The state behind a byte.
fn after(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(sparse) => sparse.matches_byte(byte),
        State::Dense(dense) => dense.matches_byte(byte),
        _ => None,
    }
}

/// Finds what is reached from some states without a byte.
struct Closing<'a> {
    automaton: &'a NFA,
    /// The number of the set in which a state was met last.
    met: Vec<u64>,
    number: u64,
}

impl<'a> Closing<'a> {
    fn new(automaton: &'a NFA) -> Self {
        Self { automaton, met: vec![0; automaton.states().len()], number: 0 }
    }

    /// The states that take a byte or end the match, in their order, and the steps of a look at all that were met. Each
    /// place in a text, such as `^`, counts as one that is there. `None` where the budget ends.
    fn of(&mut self, from: impl IntoIterator<Item = StateID>, budget: &mut u64) -> Option<(Box<[StateID]>, u64)> {
        self.number += 1;
        let (mut open, mut set, mut all) = (Vec::new(), Vec::new(), 0);
        open.extend(from);
        while let Some(id) = open.pop() {
            let met = &mut self.met[id.as_usize()];
            if std::mem::replace(met, self.number) == self.number {
                continue;
            }
            let state = self.automaton.state(id);
            let steps = steps(state);
            *budget = budget.checked_sub(steps)?;
            all += steps;
            match state {
                State::Union { alternates } => open.extend(alternates.iter().copied()),
                State::BinaryUnion { alt1, alt2 } => open.extend([*alt1, *alt2]),
                State::Look { next, .. } | State::Capture { next, .. } => open.push(*next),
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Match { .. } => set.push(id),
                State::Fail => {}
            }
        }
        set.sort_unstable();
        Some((set.into_boxed_slice(), all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_people_write_are_within_the_limit() {
        for pattern in [
            r"\w+",
            r"[\w.+-]+@[\w-]+\.[\w.]+",
            r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
            "[A-Z0-9 ]{1,255}",
            "[A-Za-z0-9_-]{1,1000}",
            "[0-9]{13}",
            r"\d{1,20}(\.\d{1,4})?",
            r"(?:\d+,)*\d+",
            r"https?://\S+",
            "(?i)(red|green|blue|[a-z]{3,40})",
            ".{1,500}",
            r"(?:[A-Z]{2}-)?\d{4,10}(?:/\d{1,3})*",
            "[01]*1[01]{100}",
        ] {
            assert_eq!(Walk::new().check(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_is_in_too_many_states_at_once_is_refused_with_their_number() {
        for pattern in ["[01]*1[01]{1000}", "[01]*1[01]{7269}", "(?:.*[ab]){800}", "(?:a?){400}[a]{400}.*"] {
            let refused = Walk::new().check(pattern).expect_err(pattern);
            assert!(refused.contains("the limit is 1000") && refused.contains("repeat less"), "{refused}");
        }
    }

    /// Matches a text with the automaton itself, and counts.
    fn counted(pattern: &str, text: &str) -> u64 {
        let config = Config::new().which_captures(WhichCaptures::None);
        let automaton = NFA::compiler().configure(config).build(&format!(r"\A(?:{pattern})\z")).expect("a pattern");
        let mut closing = Closing::new(&automaton);
        let (mut set, mut most) = closing.of([automaton.start_anchored()], &mut u64::MAX.clone()).expect("no budget");
        for byte in text.bytes() {
            let next = set.iter().filter_map(|state| after(automaton.state(*state), byte)).collect::<Vec<_>>();
            let (next, steps) = closing.of(next, &mut u64::MAX.clone()).expect("no budget");
            (set, most) = (next, most.max(steps));
        }
        most
    }

    #[test]
    fn what_is_taken_stays_within_the_limit_on_the_cells_that_are_worst_for_it() {
        // All of them have many states, and texts that keep many of them busy.
        for (pattern, text) in [
            ("[01]*1[01]{250}", "1".repeat(2000)),
            ("(?:a?){150}a{150}", "a".repeat(300)),
            ("(?:a*){150}b", "a".repeat(300)),
            ("(?:.*a){100}", "a".repeat(300)),
            ("[A-Z0-9 ]{1,255}", "A".repeat(300)),
            (".{1,500}", "é".repeat(600)),
        ] {
            let (taken, most) = (Walk::new().check(pattern).is_ok(), counted(pattern, &text));
            assert!(!taken || most <= PATTERN_STEPS, "{pattern}: {most}");
        }
        assert!(Walk::new().check("[A-Z0-9 ]{1,255}").is_ok() && counted("[01]*1[01]{1000}", &"1".repeat(2000)) > 1000);
    }

    #[test]
    fn classes_are_counted_before_anything_is_compiled() {
        for (pattern, classes) in [
            ("[A-Z0-9_]{1,255}", 0),
            (r"\w+@\d", 2),
            (r"(?i)[\pL\p{Greek}x-z\s]", 3),
            ("[à-ü]|é", 1),
            (r"[\pL&&[^a-z]]", 3),
            (&r"\pL".repeat(600), 600),
            ("(", 0),
        ] {
            assert_eq!(classes_of(pattern), classes, "{pattern}");
        }
        let mut walk = Walk::new();
        let half = format!("(?i)[{}&&x]", r"\pL".repeat(PATTERN_CLASSES / 2));
        assert_eq!(walk.count_classes(&half), Ok(()));
        let refused = walk.count_classes(&half).expect_err("more than the limit");
        assert!(refused.contains(&format!("more than {PATTERN_CLASSES} classes")), "{refused}");
    }

    #[test]
    fn the_budget_is_one_for_all_patterns_of_a_schema() {
        let (mut walk, pattern) = (Walk::new(), ".{1,500}");
        let taken = (0..1000).take_while(|_| walk.check(pattern).is_ok()).count();
        assert!((10..1000).contains(&taken), "{taken}");
    }
}
