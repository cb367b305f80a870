//! Rules across cells: what has to be true of a row as a whole, in an exact part of CEL, the Common Expression Language
//! (<https://cel.dev>, <https://github.com/google/cel-spec>).
//!
//! A rule is parsed, its types are checked, and it is evaluated here. The `cel` crate (0.15), which reads all of CEL,
//! is the oracle of the tests and not what runs, because of three things. Its numbers are floats and integers of 64
//! bits, also in what its parser gives back, where a price is a decimal of 38 digits. Its parser, by ANTLR, needs some
//! 20 frames for each bracket: 16 brackets end a debug build on a stack of 2 MiB, whatever limit it is given. And its
//! interpreter neither knows the types of fields nor counts what it does.
//!
//! What is not exact, or not bounded, is refused where a kind is registered: division, floats, loops, regular
//! expressions. A rule takes as many steps for a row as it has nodes, at most; the limits bound those of all rules of a
//! kind together, so that no rule can exceed them whatever the row.

mod judge;
mod parse;
mod token;

use penstock_model::{RowRule, limits};

use self::{
    judge::{Judge, Node},
    parse::Parser,
};
use super::{Kind, SchemaError, compile::At};
use crate::cell::Cell;

/// What is wrong with the text of a rule.
#[derive(Debug)]
struct Fault {
    /// The byte at which it is.
    at: usize,
    message: String,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// The same, said of a text that starts at this byte of another one.
    fn behind(self, start: usize) -> Self {
        Self { at: self.at + start, ..self }
    }
}

/// The rules of a kind, compiled.
#[derive(Debug)]
pub(crate) struct Rules {
    variables: Variables,
    rules: Vec<CompiledRule>,
}

#[derive(Debug)]
struct CompiledRule {
    node: Node,
    message: String,
    fields: Vec<usize>,
}

/// The fields that rules read.
#[derive(Debug, Default)]
struct Variables {
    /// For each field of the schema the place behind its own among those that are read; 0 for the others.
    of_fields: Vec<usize>,
    count: usize,
}

impl Variables {
    fn place_of(&mut self, field: usize) -> usize {
        if self.of_fields[field] == 0 {
            self.count += 1;
            self.of_fields[field] = self.count;
        }
        self.of_fields[field] - 1
    }
}

/// A rule that a row breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken<'a> {
    /// The fields that it is about, at least one.
    pub(crate) fields: &'a [usize],
    /// What the rule's author says of it, and why it says nothing of the row, if that is so.
    pub(crate) message: String,
}

impl Rules {
    /// The rules of a kind whose fields are compiled; `None` where it has none.
    ///
    /// # Errors
    /// The place of the first rule that is none, and in it the first character that is wrong.
    pub(super) fn compile(rules: &[RowRule], kind: &Kind, at: &At) -> Result<Option<Self>, SchemaError> {
        if rules.len() > limits::KIND_RULES {
            return at.fail(format!("has {} rules, the limit is {}", rules.len(), limits::KIND_RULES));
        }
        let mut variables = Variables { of_fields: vec![0; kind.fields().len()], count: 0 };
        let (mut compiled, mut steps) = (Vec::with_capacity(rules.len()), 0);
        for (place, rule) in rules.iter().enumerate() {
            let at = at.then(place);
            let (node, named) = expression(&rule.rule, kind, &mut variables, &at.then("rule"), &mut steps)?;
            let message = message(&rule.message, &at.then("message"))?;
            let fields = match rule.fields.is_empty() {
                true => named.into_iter().take(limits::RULE_FIELDS).collect(),
                false => fields(&rule.fields, kind, &at.then("fields"))?,
            };
            compiled.push(CompiledRule { node, message, fields });
        }
        Ok((!compiled.is_empty()).then_some(Self { variables, rules: compiled }))
    }

    /// How many of the kind's fields the rules read.
    pub(crate) fn variables(&self) -> usize {
        self.variables.count
    }

    /// Calls `broken` with the first [`limits::RULE_ERRORS`] rules that a row with these cells breaks, and says how
    /// many steps that took. A field that the row does not name, leaves empty or clears is null. `places` is room for
    /// as many places as there are variables; what it holds does not matter.
    pub(crate) fn judge<'s>(
        &'s self,
        cells: &'s [(usize, Option<Cell<'s>>)],
        places: &'s mut [usize],
        mut broken: impl FnMut(Broken<'s>),
    ) -> usize {
        places.fill(0);
        for (place, (field, _)) in cells.iter().enumerate() {
            // Fields that were added for columns are read by no rule.
            if let Some(variable) = self.variables.of_fields.get(*field).and_then(|variable| variable.checked_sub(1)) {
                places[variable] = place + 1;
            }
        }
        let (mut judge, mut errors) = (Judge::new(cells, places), 0);
        for CompiledRule { node, message, fields } in &self.rules {
            if errors == limits::RULE_ERRORS {
                break;
            }
            let message = match judge.holds(node) {
                Ok(true) => continue,
                Ok(false) => message.clone(),
                Err(why) => format!("{message} (the rule cannot be applied to this row: {})", why.because()),
            };
            errors += 1;
            broken(Broken { fields, message });
        }
        debug_assert!(judge.steps <= limits::RULE_STEPS, "{} steps", judge.steps);
        judge.steps
    }
}

fn expression(
    text: &str,
    kind: &Kind,
    variables: &mut Variables,
    at: &At,
    steps: &mut usize,
) -> Result<(Node, Vec<usize>), SchemaError> {
    if text.len() > limits::RULE_BYTES {
        return at.fail(format!("has {} bytes, the limit is {}: write several rules", text.len(), limits::RULE_BYTES));
    }
    let placed = |fault: Fault| {
        let character = text[..fault.at].chars().count() + 1;
        at.error(format!("character {character}: {}", fault.message))
    };
    let mut parser = Parser::new(kind, variables, text).map_err(placed)?;
    let node = parser.rule().map_err(placed)?;
    *steps += parser.steps;
    if *steps > limits::RULE_STEPS {
        return at.fail(format!(
            "the rules up to this one have {steps} values and operators, the limit of a kind is {}: write shorter ones",
            limits::RULE_STEPS
        ));
    }
    Ok((node, parser.named))
}

fn message(message: &str, at: &At) -> Result<String, SchemaError> {
    let message = message.trim();
    if message.is_empty() {
        return at.fail("says what is wrong with a row that breaks the rule, and how to mend it");
    }
    match message.chars().count() {
        chars if chars > limits::RULE_MESSAGE_CHARS => {
            at.fail(format!("has {chars} characters, the limit is {}", limits::RULE_MESSAGE_CHARS))
        }
        _ => Ok(message.to_owned()),
    }
}

fn fields(names: &[String], kind: &Kind, at: &At) -> Result<Vec<usize>, SchemaError> {
    if names.len() > limits::RULE_FIELDS {
        return at.fail(format!("names {} fields, the limit is {}", names.len(), limits::RULE_FIELDS));
    }
    let mut fields = Vec::with_capacity(names.len());
    for (place, name) in names.iter().enumerate() {
        let at = at.then(place);
        let field = kind.index_of(name).ok_or_else(|| at.error("no field has this name"))?;
        if fields.contains(&field) {
            return at.fail("the field is named twice");
        }
        fields.push(field);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests;
