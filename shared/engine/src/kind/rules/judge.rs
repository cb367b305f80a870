//! What a row makes of a rule.

use std::cmp::Ordering;

use penstock_model::{Decimal, Value};

use crate::cell::Cell;

/// A node of a rule whose types have been checked.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    Number(Decimal),
    Text(String),
    /// A field, by its place among those that the rules of the kind read.
    Field(usize),
    /// A field that holds moments or times of day. They are in UTC whether their texts say so or not.
    Moment(usize),
    Not(Box<Node>),
    Negative(Box<Node>),
    /// All are true.
    All(Vec<Node>),
    /// At least one is true.
    Any(Vec<Node>),
    /// The second, if the first is true, else the third.
    If(Box<[Node; 3]>),
    Compared(Comparison, Box<[Node; 2]>),
    /// The first is one of the others.
    In(Box<Node>, Vec<Node>),
    Calculated(Operation, Box<[Node; 2]>),
    /// Characters of a text, items of a list, members of an object.
    Size(Box<Node>),
    Searched(Search, Box<[Node; 2]>),
}

impl Node {
    /// Whether every row says it.
    fn is_certain(&self) -> bool {
        use Node::{Boolean, Field, Moment, Null, Number, Text};
        matches!(self, Null | Boolean(_) | Number(_) | Text(_) | Field(_) | Moment(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Sum,
    Difference,
    Product,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    Start,
    End,
    Anywhere,
}

/// Why a rule says neither yes nor no of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    Digits,
    Zero,
    Nothing,
}

impl Unknown {
    /// As a part of a sentence about the rule.
    pub(super) fn because(self) -> &'static str {
        match self {
            Self::Digits => "a number that it calculates has more than 38 digits",
            Self::Zero => "it divides by zero",
            Self::Nothing => "a value that it needs is not there",
        }
    }
}

/// What a node is of a row. Nothing is allocated, and no text is copied.
#[derive(Debug, Clone, Copy)]
enum Seen<'s> {
    Null,
    Boolean(bool),
    Number(Decimal),
    Text(&'s str),
    Nested(&'s Value),
    Unknown(Unknown),
}

/// A row that rules are judged of.
pub(super) struct Judge<'s> {
    /// The row's cells.
    cells: &'s [(usize, Option<Cell<'s>>)],
    /// For each field that rules read the place behind that of its cell; 0 where the row does not name it.
    places: &'s [usize],
    /// Nodes that were looked at. Each reads a byte of a text once at most.
    pub(super) steps: usize,
}

impl<'s> Judge<'s> {
    pub(super) fn new(cells: &'s [(usize, Option<Cell<'s>>)], places: &'s [usize]) -> Self {
        Self { cells, places, steps: 0 }
    }

    /// Whether the row keeps to a rule.
    pub(super) fn holds(&mut self, rule: &'s Node) -> Result<bool, Unknown> {
        match self.look(rule) {
            Seen::Boolean(holds) => Ok(holds),
            other => Err(other.unknown()),
        }
    }

    /// Terminates: a node is looked at once at most, and is no deeper than [`penstock_model::limits::RULE_DEPTH`].
    fn look(&mut self, node: &'s Node) -> Seen<'s> {
        self.steps += 1;
        match node {
            Node::Null => Seen::Null,
            Node::Boolean(boolean) => Seen::Boolean(*boolean),
            Node::Number(number) => Seen::Number(*number),
            Node::Text(text) => Seen::Text(text),
            Node::Field(field) => self.field(*field),
            Node::Moment(field) => match self.field(*field) {
                Seen::Text(text) => Seen::Text(text.strip_suffix('Z').unwrap_or(text)),
                other => other,
            },
            Node::Not(node) => match self.look(node) {
                Seen::Boolean(boolean) => Seen::Boolean(!boolean),
                other => Seen::Unknown(other.unknown()),
            },
            Node::Negative(node) => match self.look(node) {
                Seen::Number(number) => Seen::Number(number.negative()),
                other => Seen::Unknown(other.unknown()),
            },
            Node::All(nodes) => self.until(nodes, false),
            Node::Any(nodes) => self.until(nodes, true),
            Node::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                match self.look(condition) {
                    Seen::Boolean(true) => self.look(then),
                    Seen::Boolean(false) => self.look(otherwise),
                    other => Seen::Unknown(other.unknown()),
                }
            }
            Node::Compared(how, sides) => {
                let (left, right) = (self.look(&sides[0]), self.look(&sides[1]));
                let told = match how {
                    Comparison::Equal => left.equals(right),
                    Comparison::Unequal => left.equals(right).map(|equal| !equal),
                    how => left.order(right).map(|order| match how {
                        Comparison::Less => order.is_lt(),
                        Comparison::LessOrEqual => order.is_le(),
                        Comparison::Greater => order.is_gt(),
                        _ => order.is_ge(),
                    }),
                };
                told.map_or_else(Seen::Unknown, Seen::Boolean)
            }
            Node::In(node, nodes) => {
                let (sought, mut is_found) = (self.look(node), false);
                if let Seen::Unknown(why) = sought {
                    return Seen::Unknown(why);
                }
                for node in nodes {
                    // A list is as good as each of its items, also behind the one that is sought.
                    if is_found && node.is_certain() {
                        continue;
                    }
                    match sought.equals(self.look(node)) {
                        Ok(is_same) => is_found |= is_same,
                        Err(why) => return Seen::Unknown(why),
                    }
                }
                Seen::Boolean(is_found)
            }
            Node::Calculated(how, sides) => {
                let (left, right) = match (self.look(&sides[0]), self.look(&sides[1])) {
                    (Seen::Number(left), Seen::Number(right)) => (left, right),
                    (Seen::Number(_), other) | (other, _) => return Seen::Unknown(other.unknown()),
                };
                let (number, otherwise) = match how {
                    Operation::Sum => (left.checked_add(right), Unknown::Digits),
                    Operation::Difference => (left.checked_add(right.negative()), Unknown::Digits),
                    Operation::Product => (left.checked_mul(right), Unknown::Digits),
                    Operation::Remainder => (left.checked_rem(right), Unknown::Zero),
                };
                number.map_or(Seen::Unknown(otherwise), Seen::Number)
            }
            Node::Size(node) => {
                let size = match self.look(node) {
                    Seen::Text(text) => text.chars().count(),
                    Seen::Nested(Value::List(items)) => items.len(),
                    Seen::Nested(Value::Object(members)) => members.len(),
                    other => return Seen::Unknown(other.unknown()),
                };
                Seen::Number(Decimal::from(size as i64))
            }
            Node::Searched(how, texts) => match (self.look(&texts[0]), self.look(&texts[1])) {
                (Seen::Text(text), Seen::Text(sought)) => Seen::Boolean(match how {
                    Search::Start => text.starts_with(sought),
                    Search::End => text.ends_with(sought),
                    Search::Anywhere => memchr::memmem::find(text.as_bytes(), sought.as_bytes()).is_some(),
                }),
                (Seen::Text(_), other) | (other, _) => Seen::Unknown(other.unknown()),
            },
        }
    }

    fn field(&self, field: usize) -> Seen<'s> {
        let cell = self.places[field].checked_sub(1).and_then(|place| self.cells[place].1.as_ref());
        match cell {
            None => Seen::Null,
            Some(Cell::Text(text)) => Seen::Text(text),
            Some(Cell::Number(number)) => Seen::Number(*number),
            Some(Cell::Boolean(boolean)) => Seen::Boolean(*boolean),
            Some(Cell::Nested(value)) => Seen::Nested(value),
        }
    }

    /// `last`, if one of the nodes is that; those behind it are not looked at. One that says nothing does not matter
    /// then, wherever it stands; else the first of them says why.
    fn until(&mut self, nodes: &'s [Node], last: bool) -> Seen<'s> {
        let mut unknown = None;
        for node in nodes {
            match self.look(node) {
                Seen::Boolean(boolean) if boolean == last => return Seen::Boolean(last),
                Seen::Boolean(_) => {}
                other => {
                    unknown.get_or_insert(other.unknown());
                }
            }
        }
        unknown.map_or(Seen::Boolean(!last), Seen::Unknown)
    }
}

impl Seen<'_> {
    /// Why it is not what is needed. What has the wrong type was refused before.
    fn unknown(self) -> Unknown {
        if let Self::Unknown(why) = self { why } else { Unknown::Nothing }
    }

    fn equals(self, other: Self) -> Result<bool, Unknown> {
        match (self, other) {
            (Self::Unknown(why), _) | (_, Self::Unknown(why)) => Err(why),
            (Self::Null, Self::Null) => Ok(true),
            (Self::Null, _) | (_, Self::Null) => Ok(false),
            (Self::Boolean(one), Self::Boolean(other)) => Ok(one == other),
            (one, other) => one.order(other).map(Ordering::is_eq),
        }
    }

    /// The order of two numbers or two texts. Dates, and moments without their `Z`, are ordered as their texts are.
    fn order(self, other: Self) -> Result<Ordering, Unknown> {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => Ok(one.cmp(&other)),
            (Self::Text(one), Self::Text(other)) => Ok(one.cmp(other)),
            (Self::Number(_) | Self::Text(_), other) | (other, _) => Err(other.unknown()),
        }
    }
}
