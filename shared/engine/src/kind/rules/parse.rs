//! A rule's text becomes nodes whose types fit. What a field may hold is known, so that no row meets a type error.

use std::collections::BTreeSet;

use penstock_model::{advice::shown, limits};

use super::{
    Fault, Variables,
    judge::{Comparison, Node, Operation, Search},
    token::{Is, Token, tokens},
};
use crate::kind::{
    Kind,
    check::{FieldCheck, Rule},
    components::Temporal,
    temporal::TemporalRule,
};
use crate::mapping::nearest;

/// The functions that there are.
const FUNCTIONS: &str = "`size`, `startsWith`, `endsWith`, `contains`, `timestamp` and `has`";

/// Words that CEL keeps for itself. A field of such a name is written behind `row`.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// `null` alone.
    Nothing,
    Boolean,
    Integer,
    Number,
    Text,
    Moment(Temporal),
    /// Arrays, lists and objects, of which the size is known.
    Nested,
    /// What may be anything. It is there or not.
    Anything,
}

impl Type {
    fn of(field: &FieldCheck) -> Self {
        match &field.rule {
            // Its values have the account's name before them.
            _ if field.prefix.is_some() => Self::Anything,
            Rule::String(_) => Self::Text,
            Rule::Number(_) => Self::Number,
            Rule::Integer(_) | Rule::Year(_) => Self::Integer,
            Rule::Boolean { .. } => Self::Boolean,
            Rule::Temporal(rule) => Self::Moment(rule.what),
            Rule::Array { .. } | Rule::List { .. } | Rule::Object { .. } => Self::Nested,
            Rule::Any => Self::Anything,
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Number)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Nothing => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Moment(Temporal::Date) => "a date",
            Self::Moment(Temporal::Datetime) => "a moment",
            Self::Moment(Temporal::Time) => "a time of day",
            Self::Nested => "an array, a list or an object",
            Self::Anything => "a field whose values rules do not look at",
        }
    }

    /// The type of what is one or the other.
    fn or(self, other: Self) -> Option<Self> {
        match (self, other) {
            (one, other) if one == other => Some(one),
            (Self::Nothing, one) | (one, Self::Nothing) => Some(one),
            (one, other) if one.is_number() && other.is_number() => Some(Self::Number),
            _ => None,
        }
    }
}

/// Fields that hold a value where an expression is true, and where it is false.
#[derive(Debug, Clone, Default)]
struct Facts {
    yes: BTreeSet<usize>,
    no: BTreeSet<usize>,
}

/// An expression with what is known of it.
#[derive(Debug)]
struct Typed {
    /// The byte at which it starts.
    at: usize,
    node: Node,
    is: Type,
    may_be_null: bool,
    /// The field, if it is nothing else.
    field: Option<usize>,
    facts: Facts,
    depth: usize,
}

/// Reads one rule.
pub(super) struct Parser<'a> {
    kind: &'a Kind,
    variables: &'a mut Variables,
    tokens: Vec<Token>,
    next: usize,
    /// Expressions in brackets, arguments and branches around the present one.
    depth: usize,
    /// Fields that hold a value where the present expression is looked at.
    known: Vec<usize>,
    /// Nodes so far.
    pub(super) steps: usize,
    /// The fields that were named, in their order.
    pub(super) named: Vec<usize>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(kind: &'a Kind, variables: &'a mut Variables, text: &str) -> Result<Self, Fault> {
        let (next, depth, steps, known, named) = (0, 0, 0, Vec::new(), Vec::new());
        Ok(Self { kind, variables, tokens: tokens(text)?, next, depth, known, steps, named })
    }

    /// The rule as a whole.
    pub(super) fn rule(&mut self) -> Result<Node, Fault> {
        let rule = self.expression()?;
        if self.peek().is != Is::End {
            return Err(self.unexpected("the end, or an operator"));
        }
        let rule = self.sure(rule, &[Type::Boolean], "a rule says yes or no")?;
        if self.named.is_empty() {
            return Err(Fault::new(0, "the rule reads no field, so it is the same of every row"));
        }
        Ok(rule.node)
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    /// Takes the next token, but for the end.
    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        if token.is != Is::End {
            self.next += 1;
        }
        token
    }

    /// Takes one of the marks, if it comes next.
    fn takes<const N: usize>(&mut self, marks: [&'static str; N]) -> Option<(usize, &'static str)> {
        match *self.peek() {
            Token { at, is: Is::Mark(mark) } if marks.contains(&mark) => {
                self.next += 1;
                Some((at, mark))
            }
            _ => None,
        }
    }

    fn wants(&mut self, mark: &'static str) -> Result<(), Fault> {
        match self.takes([mark]) {
            Some(_) => Ok(()),
            None => Err(self.unexpected(&format!("`{mark}`"))),
        }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let Token { at, is } = self.peek();
        let found = match is {
            Is::Name(name) => format!("`{}`", shown(name)),
            Is::Text(_) => "a text".to_owned(),
            Is::Number(..) => "a number".to_owned(),
            Is::Mark(mark) => format!("`{mark}`"),
            Is::End => "the end".to_owned(),
        };
        let hint = otherwise_written(is).map_or(String::new(), |hint| format!("; {hint}"));
        Fault::new(*at, format!("{wanted} is expected here, and {found} comes{hint}"))
    }

    /// Refuses what stands where an operator does and is one of another language. It is told at once: what comes of
    /// the operands before it would have the wrong type, and that is not the fault.
    fn known_operator(&self) -> Result<(), Fault> {
        match otherwise_written(&self.peek().is) {
            Some(_) => Err(self.unexpected("the end, or an operator")),
            None => Ok(()),
        }
    }

    /// An expression over nodes that are this deep.
    fn over(&mut self, at: usize, node: Node, is: Type, depth: usize) -> Result<Typed, Fault> {
        self.steps += 1;
        if depth >= limits::RULE_DEPTH {
            return Err(too_deep(at));
        }
        let (may_be_null, facts) = (false, Facts::default());
        Ok(Typed { at, node, is, may_be_null, field: None, facts, depth: depth + 1 })
    }

    /// The same expression, if it has one of the types and is there for certain.
    fn sure(&self, it: Typed, types: &[Type], why: &str) -> Result<Typed, Fault> {
        if !types.contains(&it.is) {
            let wanted: Vec<&str> = types.iter().map(|wanted| wanted.words()).collect();
            let (wanted, is) = (wanted.join(" or "), it.is.words());
            return Err(Fault::new(it.at, format!("{why}: {wanted} is expected here, and this is {is}")));
        }
        match (it.may_be_null, it.field) {
            (false, _) => Ok(it),
            (true, Some(field)) => {
                let name = self.kind.field(field).name();
                Err(Fault::new(
                    it.at,
                    format!(
                        "the field `{}` may hold nothing: say before it what is right then, such as \
                         `{} == null || …`, or make the field required",
                        shown(name),
                        written(name)
                    ),
                ))
            }
            (true, None) => Err(Fault::new(it.at, format!("{why}: this may be null"))),
        }
    }

    /// Reads what is looked at only where these fields hold a value.
    fn knowing<T>(
        &mut self,
        fields: &BTreeSet<usize>,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let before = self.known.len();
        self.known.extend(fields);
        let read = read(self);
        self.known.truncate(before);
        read
    }

    /// Bounded: nothing but this is called by what it calls.
    fn expression(&mut self) -> Result<Typed, Fault> {
        if self.depth == limits::RULE_DEPTH {
            return Err(too_deep(self.peek().at));
        }
        self.depth += 1;
        let read = self.choice();
        self.depth -= 1;
        read
    }

    fn choice(&mut self) -> Result<Typed, Fault> {
        let condition = self.any()?;
        if self.takes(["?"]).is_none() {
            return Ok(condition);
        }
        let condition = self.sure(condition, &[Type::Boolean], "what stands before `?` says yes or no")?;
        let Facts { yes, no } = &condition.facts;
        let then = self.knowing(yes, |parser| parser.any())?;
        self.wants(":")?;
        let otherwise = self.knowing(no, Self::expression)?;
        let is = then.is.or(otherwise.is).ok_or_else(|| {
            let (one, other) = (then.is.words(), otherwise.is.words());
            Fault::new(otherwise.at, format!("both sides of `:` are of one type, and these are {one} and {other}"))
        })?;
        let both = |one: &Facts, other: &Facts, side: fn(&Facts) -> &BTreeSet<usize>| {
            let (one, other) = (side(one) | yes, side(other) | no);
            &one & &other
        };
        let facts = Facts {
            yes: both(&then.facts, &otherwise.facts, |facts| &facts.yes),
            no: both(&then.facts, &otherwise.facts, |facts| &facts.no),
        };
        let depth = condition.depth.max(then.depth).max(otherwise.depth);
        let may_be_null = [&then, &otherwise].iter().any(|side| side.may_be_null || side.is == Type::Nothing);
        let node = Node::If(Box::new([condition.node, then.node, otherwise.node]));
        Ok(Typed { may_be_null, facts, ..self.over(condition.at, node, is, depth)? })
    }

    fn any(&mut self) -> Result<Typed, Fault> {
        self.joined("||", Self::all)
    }

    fn all(&mut self) -> Result<Typed, Fault> {
        self.joined("&&", Self::relation)
    }

    /// Expressions with `&&` or `||` between them.
    fn joined(&mut self, mark: &'static str, part: impl Fn(&mut Self) -> Result<Typed, Fault>) -> Result<Typed, Fault> {
        let first = part(self)?;
        if self.peek().is != Is::Mark(mark) {
            return Ok(first);
        }
        let why = format!("what stands beside `{mark}` says yes or no");
        let first = self.sure(first, &[Type::Boolean], &why)?;
        let (at, mut facts, mut depth, mut nodes) = (first.at, first.facts, first.depth, vec![first.node]);
        while self.takes([mark]).is_some() {
            let seen = if mark == "&&" { &facts.yes } else { &facts.no };
            let next = self.knowing(&seen.clone(), &part)?;
            let next = self.sure(next, &[Type::Boolean], &why)?;
            facts = match mark {
                "&&" => Facts { yes: &facts.yes | &next.facts.yes, no: &facts.no & &next.facts.no },
                _ => Facts { yes: &facts.yes & &next.facts.yes, no: &facts.no | &next.facts.no },
            };
            depth = depth.max(next.depth);
            nodes.push(next.node);
        }
        let node = if mark == "&&" { Node::All(nodes) } else { Node::Any(nodes) };
        Ok(Typed { facts, ..self.over(at, node, Type::Boolean, depth)? })
    }

    fn relation(&mut self) -> Result<Typed, Fault> {
        let mut left = self.sum()?;
        loop {
            if self.peek().is == Is::Name("in".to_owned()) {
                self.next += 1;
                left = self.one_of(left)?;
            } else if let Some((_, mark)) = self.takes(["==", "!=", "<", "<=", ">", ">="]) {
                let right = self.sum()?;
                left = self.compared(left, mark, right)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn one_of(&mut self, left: Typed) -> Result<Typed, Fault> {
        if self.peek().is != Is::Mark("[") {
            return Err(self.unexpected("behind `in` a list such as [\"a\", \"b\"]"));
        }
        self.next += 1;
        let (mut nodes, mut depth, mut has_null) = (Vec::new(), left.depth, false);
        let mut left = left;
        while self.takes(["]"]).is_none() {
            if !nodes.is_empty() {
                self.wants(",")?;
                if self.takes(["]"]).is_some() {
                    break;
                }
            }
            let item = self.expression()?;
            let item = self.alike(&mut left, item)?;
            has_null |= item.may_be_null || item.is == Type::Nothing;
            depth = depth.max(item.depth);
            nodes.push(item.node);
        }
        let yes = left.field.filter(|_| !has_null).into_iter().collect();
        let node = Node::In(Box::new(left.node), nodes);
        Ok(Typed { facts: Facts { yes, no: BTreeSet::new() }, ..self.over(left.at, node, Type::Boolean, depth)? })
    }

    /// The second of two sides that are compared, as a value of the type of the first.
    fn alike(&self, left: &mut Typed, mut right: Typed) -> Result<Typed, Fault> {
        match (left.is, right.is) {
            (Type::Moment(what), Type::Text) => day(&mut right, what)?,
            (Type::Text, Type::Moment(what)) => day(left, what)?,
            _ => {}
        }
        match left.is.or(right.is) {
            Some(Type::Nested | Type::Anything) if ![left.is, right.is].contains(&Type::Nothing) => {
                Err(Fault::new(left.at, format!("{} is compared with nothing but null", left.is.words())))
            }
            Some(_) => Ok(right),
            None => {
                let hint = match (left.is, right.is) {
                    (Type::Moment(Temporal::Datetime), Type::Text) | (Type::Text, Type::Moment(Temporal::Datetime)) => {
                        "; a moment is written `timestamp(\"2026-01-31T09:30:00Z\")`"
                    }
                    _ => "",
                };
                let (one, other) = (left.is.words(), right.is.words());
                Err(Fault::new(right.at, format!("this is {other}, and what it is compared with is {one}{hint}")))
            }
        }
    }

    fn compared(&mut self, mut left: Typed, mark: &str, right: Typed) -> Result<Typed, Fault> {
        let mut right = self.alike(&mut left, right)?;
        let how = match mark {
            "==" => Comparison::Equal,
            "!=" => Comparison::Unequal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            _ => Comparison::GreaterOrEqual,
        };
        let mut facts = Facts::default();
        if let Comparison::Equal | Comparison::Unequal = how {
            let is_null = |side: &Typed| side.is == Type::Nothing;
            let held = |one: &Typed, other: &Typed| one.field.filter(|_| !is_null(other) && !other.may_be_null);
            let (same, other) = (
                [held(&left, &right), held(&right, &left)].into_iter().flatten().collect(),
                [left.field.filter(|_| is_null(&right)), right.field.filter(|_| is_null(&left))],
            );
            let other = other.into_iter().flatten().collect();
            facts = match how {
                Comparison::Equal => Facts { yes: same, no: other },
                _ => Facts { yes: other, no: same },
            };
        } else {
            let (ordered, why) = (
                [
                    Type::Integer,
                    Type::Number,
                    Type::Text,
                    Type::Moment(Temporal::Date),
                    Type::Moment(Temporal::Datetime),
                    Type::Moment(Temporal::Time),
                ],
                format!("`{mark}` compares what has an order"),
            );
            left = self.sure(left, &ordered, &why)?;
            right = self.sure(right, &ordered, &why)?;
        }
        let depth = left.depth.max(right.depth);
        let node = Node::Compared(how, Box::new([left.node, right.node]));
        Ok(Typed { facts, ..self.over(left.at, node, Type::Boolean, depth)? })
    }

    fn sum(&mut self) -> Result<Typed, Fault> {
        let mut left = self.product()?;
        while let Some((_, mark)) = self.takes(["+", "-"]) {
            let right = self.product()?;
            let how = if mark == "+" { Operation::Sum } else { Operation::Difference };
            left = self.calculated(left, how, mark, right)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Typed, Fault> {
        let mut left = self.signed()?;
        while let Some((_, mark)) = self.takes(["*", "%"]) {
            let right = self.signed()?;
            let how = if mark == "*" { Operation::Product } else { Operation::Remainder };
            left = self.calculated(left, how, mark, right)?;
        }
        self.known_operator()?;
        Ok(left)
    }

    fn calculated(&mut self, left: Typed, how: Operation, mark: &str, right: Typed) -> Result<Typed, Fault> {
        let types: &[Type] = match how {
            Operation::Remainder => &[Type::Integer],
            _ => &[Type::Integer, Type::Number],
        };
        let why = format!("`{mark}` calculates with numbers");
        let (left, right) = (self.sure(left, types, &why)?, self.sure(right, types, &why)?);
        let is = if left.is == right.is { left.is } else { Type::Number };
        let depth = left.depth.max(right.depth);
        self.over(left.at, Node::Calculated(how, Box::new([left.node, right.node])), is, depth)
    }

    /// A value with any number of `!`, or of `-`, before it.
    fn signed(&mut self) -> Result<Typed, Fault> {
        let Some((at, mark)) = self.takes(["!", "-"]) else { return self.member() };
        let mut is_odd = true;
        while self.takes([mark]).is_some() {
            is_odd = !is_odd;
        }
        let value = self.member()?;
        let value = match mark {
            "!" => self.sure(value, &[Type::Boolean], "`!` turns yes and no")?,
            _ => self.sure(value, &[Type::Integer, Type::Number], "`-` turns a number")?,
        };
        if !is_odd {
            return Ok(Typed { at, ..value });
        }
        let (Facts { yes, no }, depth) = (value.facts, value.depth);
        match mark {
            "!" => {
                let turned = self.over(at, Node::Not(Box::new(value.node)), Type::Boolean, depth)?;
                Ok(Typed { facts: Facts { yes: no, no: yes }, ..turned })
            }
            _ => self.over(at, Node::Negative(Box::new(value.node)), value.is, depth),
        }
    }

    fn member(&mut self) -> Result<Typed, Fault> {
        let mut value = self.primary()?;
        while let Some((at, mark)) = self.takes([".", "["]) {
            let Token { is: Is::Name(name), .. } = self.take() else {
                return Err(Fault::new(at, format!("`{mark}` looks into nothing but `row`")));
            };
            if mark == "[" || self.takes(["("]).is_none() {
                return Err(Fault::new(at, "nothing but `row` has members: write a field's name by itself"));
            }
            value = self.called(at, &name, Some(value))?;
        }
        Ok(value)
    }

    fn primary(&mut self) -> Result<Typed, Fault> {
        let Token { at, is } = self.peek().clone();
        let constant = |parser: &mut Self, node, is| {
            parser.next += 1;
            parser.over(at, node, is, 0)
        };
        match is {
            Is::Text(text) => constant(self, Node::Text(text), Type::Text),
            Is::Number(number, true) => constant(self, Node::Number(number), Type::Integer),
            Is::Number(number, false) => constant(self, Node::Number(number), Type::Number),
            Is::Mark("(") => {
                self.next += 1;
                let inner = self.expression()?;
                self.wants(")")?;
                Ok(Typed { at, ..inner })
            }
            Is::Mark("[") => Err(Fault::new(at, "a list stands behind `in` alone")),
            Is::Mark("{") => Err(Fault::new(at, "objects are not supported")),
            Is::Name(name) if name != "in" => {
                self.next += 1;
                match name.as_str() {
                    "true" | "false" => self.over(at, Node::Boolean(name == "true"), Type::Boolean, 0),
                    "null" => self.over(at, Node::Null, Type::Nothing, 0),
                    _ if self.takes(["("]).is_some() => self.called(at, &name, None),
                    "row" if matches!(self.peek().is, Is::Mark("." | "[")) => {
                        let (_, name) = self.of_row()?;
                        self.field(at, &name)
                    }
                    _ if RESERVED.contains(&name.as_str()) => Err(Fault::new(
                        at,
                        format!("`{name}` is a word of CEL: a field of that name is written `{}`", written(&name)),
                    )),
                    "not" | "NOT" if self.kind.index_of(&name).is_none() => {
                        Err(Fault::new(at, "yes and no are turned by `!` before them, such as `!(… in […])`"))
                    }
                    _ => self.field(at, &name),
                }
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    /// The name in `.name` or `["name"]` behind `row`, and whether it is the former.
    fn of_row(&mut self) -> Result<(bool, String), Fault> {
        if self.takes(["."]).is_some() {
            return match self.take() {
                Token { is: Is::Name(name), at } if matches!(name.as_str(), "true" | "false" | "null" | "in") => {
                    Err(Fault::new(at, format!("a field of this name is written `{}`", written(&name))))
                }
                Token { is: Is::Name(name), .. } => Ok((true, name)),
                Token { at, .. } => {
                    Err(Fault::new(at, "the name of a field stands behind `row.`, or in quotes in `row[\"a name\"]`"))
                }
            };
        }
        self.wants("[")?;
        let Token { is: Is::Text(name), .. } = self.take() else {
            self.next -= 1;
            return Err(self.unexpected("the name of a field in quotes"));
        };
        self.wants("]")?;
        Ok((false, name))
    }

    fn field(&mut self, at: usize, name: &str) -> Result<Typed, Fault> {
        let field = self.kind.index_of(name).ok_or_else(|| {
            let names = self.kind.fields().iter().map(FieldCheck::name);
            let hint = match nearest(names, name) {
                Some(near) => format!("did you mean `{}`?", written(near)),
                None => "a text stands in quotes".to_owned(),
            };
            Fault::new(at, format!("no field is called `{}`; {hint}", shown(name)))
        })?;
        if !self.named.contains(&field) {
            self.named.push(field);
        }
        let check = self.kind.field(field);
        let (is, place) = (Type::of(check), self.variables.place_of(field));
        let node = match is {
            Type::Moment(Temporal::Datetime | Temporal::Time) => Node::Moment(place),
            _ => Node::Field(place),
        };
        let may_be_null = !check.is_required() && !self.known.contains(&field);
        Ok(Typed { may_be_null, field: Some(field), ..self.over(at, node, is, 0)? })
    }

    /// A call behind its bracket.
    fn called(&mut self, at: usize, name: &str, of: Option<Typed>) -> Result<Typed, Fault> {
        if let ("has", None) = (name, &of) {
            return self.has(at);
        }
        match name {
            "size" | "startsWith" | "endsWith" | "contains" | "timestamp" => {}
            "matches" => return Err(Fault::new(at, "`matches` is not supported: give the field a `pattern`")),
            "all" | "exists" | "exists_one" | "filter" | "map" => {
                return Err(Fault::new(at, format!("`{name}` is not supported: a rule goes through no list")));
            }
            _ => {
                let name = shown(name);
                return Err(Fault::new(at, format!("there is no function `{name}`: there are {FUNCTIONS}")));
            }
        }
        let is_method = of.is_some();
        let mut arguments: Vec<Typed> = of.into_iter().collect();
        while self.takes([")"]).is_none() {
            if arguments.len() > usize::from(is_method) {
                self.wants(",")?;
            }
            // More are not taken by any.
            if arguments.len() == 2 {
                return Err(self.unexpected("`)`"));
            }
            arguments.push(self.expression()?);
        }
        let mut arguments = arguments.into_iter();
        match (name, is_method, arguments.next(), arguments.next()) {
            ("size", _, Some(of), None) => {
                let of = self.sure(of, &[Type::Text, Type::Nested], "`size` counts")?;
                self.over(at, Node::Size(Box::new(of.node)), Type::Integer, of.depth)
            }
            ("startsWith" | "endsWith" | "contains", true, Some(text), Some(sought)) => {
                let how = match name {
                    "startsWith" => Search::Start,
                    "endsWith" => Search::End,
                    _ => Search::Anywhere,
                };
                let why = format!("`{name}` looks into a text");
                let text = self.sure(text, &[Type::Text], &why)?;
                let sought = self.sure(sought, &[Type::Text], &why)?;
                let depth = text.depth.max(sought.depth);
                self.over(at, Node::Searched(how, Box::new([text.node, sought.node])), Type::Boolean, depth)
            }
            ("timestamp", false, Some(Typed { node: Node::Text(text), at, .. }), None) => {
                let read = moment(Temporal::Datetime, &text).filter(|text| text.ends_with('Z'));
                let text = read.ok_or_else(|| {
                    Fault::new(at, "a moment with an offset is expected here, such as \"2026-01-31T09:30:00Z\"")
                })?;
                let text = text.trim_end_matches('Z').to_owned();
                self.over(at, Node::Text(text), Type::Moment(Temporal::Datetime), 0)
            }
            _ => {
                let form = match name {
                    "size" => "size(text)",
                    "timestamp" => "timestamp(\"2026-01-31T09:30:00Z\")",
                    "startsWith" => "text.startsWith(\"a\")",
                    "endsWith" => "text.endsWith(\"a\")",
                    _ => "text.contains(\"a\")",
                };
                Err(Fault::new(at, format!("it is written `{form}`")))
            }
        }
    }

    /// `has(row.name)` behind its bracket.
    fn has(&mut self, at: usize) -> Result<Typed, Fault> {
        let form =
            || Fault::new(at, "it is written `has(row.name)`; of a name in quotes write `row[\"a name\"] != null`");
        if self.take().is != Is::Name("row".to_owned()) {
            return Err(form());
        }
        let (true, name) = self.of_row()? else { return Err(form()) };
        let held = self.field(at, &name)?;
        self.wants(")")?;
        let null = self.over(at, Node::Null, Type::Nothing, 0)?;
        self.compared(held, "!=", null)
    }
}

/// The name of a field as a rule writes it: by itself where it is a name of CEL's, else behind `row`.
pub(super) fn written(name: &str) -> String {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name = name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
    match name {
        "true" | "false" | "null" | "in" => {}
        _ if RESERVED.contains(&name) => return format!("row.{name}"),
        _ if is_name => return name.to_owned(),
        _ => {}
    }
    let mut text = String::new();
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    format!("row[\"{text}\"]")
}

/// How it is written what other languages have as this operator.
fn otherwise_written(is: &Is) -> Option<&'static str> {
    match is {
        Is::Mark("/") => Some("division is not exact: multiply the other side instead"),
        Is::Name(word) if word.eq_ignore_ascii_case("and") => Some("it is written `&&`"),
        Is::Name(word) if word.eq_ignore_ascii_case("or") => Some("it is written `||`"),
        Is::Name(word) if word.eq_ignore_ascii_case("not") => Some("it is written `!` before the whole: `!(… in […])`"),
        _ => None,
    }
}

fn too_deep(at: usize) -> Fault {
    let most = limits::RULE_DEPTH;
    Fault::new(at, format!("the rule is nested more than {most} deep, the limit: write several rules"))
}

/// Makes a date or a time of a text that stands in the rule as it is.
fn day(it: &mut Typed, what: Temporal) -> Result<(), Fault> {
    let Node::Text(text) = &it.node else { return Ok(()) };
    let such_as = match what {
        Temporal::Date => "\"2026-01-31\"",
        Temporal::Time => "\"09:30:00\"",
        // It is written otherwise.
        Temporal::Datetime => return Ok(()),
    };
    let read = moment(what, text).ok_or_else(|| {
        let what = Type::Moment(what).words();
        Fault::new(it.at, format!("{what} is expected here, such as {such_as}"))
    })?;
    it.node = Node::Text(read.trim_end_matches('Z').to_owned());
    it.is = Type::Moment(what);
    Ok(())
}

/// The canonical text of a date or a time in ISO 8601.
fn moment(what: Temporal, text: &str) -> Option<String> {
    let rule = TemporalRule::new(what, None).ok()?;
    rule.read(text).map(|moment| moment.text)
}
