//! A plan: a kind matched to a file's columns. It is made once for a file and used for every row.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use penstock_model::{Failure, Grammar, advice::shown, limits};

use crate::{
    invisible::{is_blank, trimmed},
    kind::{FieldCheck, Kind},
    mapping::{ADDED, HeaderLine, Names, normalised},
    strings::quoted,
};

/// How the columns of a file become the fields of a kind.
#[derive(Debug, Clone)]
pub struct Plan {
    kind: Kind,
    /// The columns that a header names.
    header: Vec<String>,
    /// The field of each column of a header; `None` where the column is ignored.
    columns: Vec<Option<usize>>,
    /// The first column that has a name, but for those that a rejected rows file adds.
    landmark: usize,
    /// The cells that a row has at least: behind them no column has a name.
    least_cells: usize,
    /// The same for the members of rows that are JSON objects, as they are met.
    members: HashMap<String, Option<usize>>,
    /// The members of the rows before, quoted, and their fields, by their places in a row: nearly all rows of a file
    /// name the same members in the same order.
    order: Vec<(String, Option<usize>)>,
    /// The schema's own fields by their normalised names, for members that the first rows do not have.
    normal: HashMap<String, usize>,
    /// The fields that are read; `None` where all are.
    only: Option<Vec<usize>>,
    is_of_rejected: bool,
    /// The column that tells of which row of the first file a row is.
    source_row: Option<usize>,
}

impl Plan {
    /// Matches columns to a kind's fields, see [`crate::mapping`]. Where rows name their own members, the columns are
    /// those of the first rows ([`crate::header::members`]); other members are matched as they are met.
    ///
    /// # Errors
    /// A permanent failure: `unknown_field`, `unknown_column`, `duplicate_column`, `missing_column` (a required field
    /// has no column in the header), `unexpected_column` (the kind takes no other columns).
    pub fn compile(
        kind: Kind,
        grammar: Grammar,
        columns: &[String],
        mapping: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        Self::compile_or_look(kind, grammar, columns, mapping, |_, _| None)
    }

    /// As [`Plan::compile`]. Where columns are missing, `look` is asked for another line that has them.
    pub(crate) fn compile_or_look(
        mut kind: Kind,
        grammar: Grammar,
        columns: &[String],
        mapping: &BTreeMap<String, String>,
        look: impl FnOnce(&Names<'_>, &[usize]) -> Option<HeaderLine>,
    ) -> Result<Self, Failure> {
        let has_header = grammar.has_header();
        // A header's names have no invisible characters at their ends, so none counts in a mapping of them.
        let trimmed_names = || mapping.iter().map(|(name, field)| (trimmed(name).to_owned(), field.clone())).collect();
        let mapping = &if has_header { Cow::Owned(trimmed_names()) } else { Cow::Borrowed(mapping) };
        let (mut places, normal) = {
            let names = names(&kind, mapping);
            names.check()?;
            // A file without rows names nothing and lacks nothing.
            let names_any = has_header || !columns.is_empty();
            let places = if names_any { names.fields(columns, has_header)? } else { Vec::new() };
            // Rows that name their own members say each for itself what they lack.
            let wants_all = kind.fields_match().wants_all();
            let is_wanted = |at: &usize| has_header && (wants_all || kind.field(*at).is_required());
            let wanted: Vec<usize> = (0..kind.fields().len()).filter(is_wanted).collect();
            let missing: Vec<usize> = wanted.iter().copied().filter(|at| !places.contains(&Some(*at))).collect();
            if !missing.is_empty() {
                return Err(names.missing(&missing, columns, &places, look(&names, &wanted)));
            }
            let is_other = |(column, place): &(&String, &Option<usize>)| place.is_none() && is_kept(column);
            if kind.fields_match().wants_no_other()
                && let Some((column, _)) = columns.iter().zip(&places).find(is_other)
            {
                let message = format!(
                    "`{}` is no field of kind `{}`, whose fieldsMatch takes no others",
                    shown(column),
                    kind.name()
                );
                return Err(Failure::new("unexpected_column", message));
            }
            (places, names.normal())
        };
        if kind.keeps_additional() {
            for (at, column) in columns.iter().enumerate().filter(|(_, column)| is_kept(column)) {
                if places[at].is_some() || mapping.contains_key(column) {
                    continue;
                }
                if columns[..at].contains(column) {
                    let message =
                        format!("two columns are called `{}`, and additional columns are kept by name", shown(column));
                    return Err(Failure::new("duplicate_column", message));
                }
                // One that another column was mapped over is left out.
                if kind.index_of(column).is_none() {
                    places[at] = Some(kind.add_field(column));
                }
            }
        }
        let (header, columns, members) = match has_header {
            true => (columns.to_vec(), places, HashMap::new()),
            false => (Vec::new(), Vec::new(), columns.iter().cloned().zip(places).collect()),
        };
        let is_named = |at: usize| !is_blank(&header[at]) || columns[at].is_some();
        let is_own = |at: &usize| is_named(*at) && !ADDED.contains(&header[*at].as_str());
        let landmark = (0..header.len()).find(is_own).unwrap_or_default();
        let least_cells = (0..header.len()).rfind(|at| is_named(*at)).map_or(0, |last| last + 1);
        let has = |name: &str| header.iter().zip(&columns).any(|(own, field)| own == name && field.is_none());
        let is_of_rejected = ADDED.into_iter().all(has);
        let source_row = header.iter().zip(&columns).position(|(own, field)| own == ADDED[0] && field.is_none());
        Ok(Self {
            kind,
            header,
            columns,
            landmark,
            least_cells,
            members,
            order: Vec::new(),
            normal,
            only: None,
            is_of_rejected,
            source_row,
        })
    }

    /// A plan that reads only the cells or members of a row that its record's key is made of, and judges no rule across
    /// cells. It accepts every row that this plan accepts, and gives it the same key.
    pub fn keyed(&self) -> Self {
        let mut keyed = self.clone();
        let of_key = self.kind.fields_of_key();
        for field in keyed.columns.iter_mut().chain(keyed.members.values_mut()) {
            *field = field.filter(|field| of_key.contains(field));
        }
        keyed.order.clear();
        keyed.only = Some(of_key);
        keyed
    }

    /// Whether a field is read.
    pub(crate) fn reads(&self, field: usize) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&field))
    }

    /// Whether every field is read.
    pub(crate) fn reads_all(&self) -> bool {
        self.only.is_none()
    }

    /// The kind, with the fields that were added for additional columns.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The fields of a header's columns.
    pub fn columns(&self) -> &[Option<usize>] {
        &self.columns
    }

    /// The columns that the header names.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    /// The first column of the header that has a name of its own, and the name: by it a row that is the header again is
    /// told.
    #[inline]
    pub(crate) fn landmark(&self) -> (usize, &str) {
        (self.landmark, self.header.get(self.landmark).map_or("", String::as_str))
    }

    /// Whether the header is that of a file of rejected rows, and what that adds is no field here.
    pub(crate) fn is_of_rejected(&self) -> bool {
        self.is_of_rejected
    }

    /// The column of the header that tells of which row of the first file a row is, as files of rejected rows have it.
    pub(crate) fn source_row(&self) -> Option<usize> {
        self.source_row
    }

    /// The cells that a row has at least: behind them no column has a name.
    #[inline]
    pub(crate) fn least_cells(&self) -> usize {
        self.least_cells
    }

    /// The fields of the columns that the plan was compiled with.
    pub fn fields_of(&self, columns: &[String]) -> Vec<Option<usize>> {
        let member = |name: &String| self.members.get(name).copied().flatten();
        if self.members.is_empty() { self.columns.clone() } else { columns.iter().map(member).collect() }
    }

    /// The columns that are no field.
    pub fn ignored<'a>(&self, columns: &'a [String]) -> impl Iterator<Item = &'a str> {
        columns.iter().zip(self.fields_of(columns)).filter(|(_, field)| field.is_none()).map(|(name, _)| name.as_str())
    }

    /// The member that is expected in this place of a row, from 0, as [`quoted`] gives it, and its field: the one that
    /// stood there before.
    #[inline]
    pub(crate) fn expected_at(&self, place: usize) -> Option<(&str, Option<usize>)> {
        self.order.get(place).map(|(name, field)| (name.as_str(), *field))
    }

    /// As [`Plan::member`], of a member that was not expected in this place. From now on it is, unless the row has too
    /// many.
    pub(crate) fn member_at(&mut self, place: usize, name: &str) -> Option<usize> {
        let field = self.member(name);
        if place <= self.order.len().min(limits::COLUMNS - 1)
            && let Some(quoted) = quoted(name)
        {
            match self.order.get_mut(place) {
                Some(expected) => *expected = (quoted, field),
                None => self.order.push((quoted, field)),
            }
        }
        field
    }

    /// The field of a row's member; a new one where the kind keeps additional fields. The same name always gives the
    /// same field of the record, whatever was met before.
    pub(crate) fn member(&mut self, name: &str) -> Option<usize> {
        if let Some(found) = self.members.get(name) {
            return *found;
        }
        let own = match self.kind.index_of(name) {
            None if !ADDED.contains(&name) => self.normal.get(&normalised(name)).copied(),
            own => own,
        };
        let found = match own {
            own if self.only.is_some() => own.filter(|field| self.reads(*field)),
            None if self.kind.keeps_additional() && is_kept(name) => Some(self.kind.add_field(name)),
            own => own,
        };
        self.members.insert(name.to_owned(), found);
        found
    }
}

/// A plan by which chunks are read, one after the other. It forgets the members that it learned from one chunk before
/// the next, so that it stays bounded whatever the file.
#[derive(Debug, Clone)]
pub struct ChunkPlan {
    /// As the file's columns make it.
    plan: Plan,
    learning: Plan,
}

impl ChunkPlan {
    /// The plan of a file.
    pub fn new(plan: Plan) -> Self {
        Self { learning: plan.clone(), plan }
    }

    /// The plan for the next chunk.
    pub fn for_next(&mut self) -> &mut Plan {
        if self.learning.members.len() != self.plan.members.len() {
            self.learning.clone_from(&self.plan);
        }
        &mut self.learning
    }
}

/// What columns may be called.
fn names<'a>(kind: &'a Kind, mapping: &'a BTreeMap<String, String>) -> Names<'a> {
    let names = Names::new(kind.name(), kind.fields().iter().map(FieldCheck::name), mapping);
    if kind.has_exact_columns() { names.exactly() } else { names }
}

/// The columns of a file with the names of the fields that each by itself is, also where they cannot be matched
/// together.
pub(crate) fn each_column(
    kind: &Kind,
    columns: &[String],
    mapping: &BTreeMap<String, String>,
) -> Vec<(String, Option<String>)> {
    let field = |field: usize| kind.field(field).name().to_owned();
    columns.iter().cloned().zip(names(kind, mapping).each(columns).into_iter().map(|found| found.map(field))).collect()
}

/// Whether a kind that keeps additional fields keeps a column of this name: one without a name, and those that a
/// rejected rows file adds, are not kept.
fn is_kept(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0') && !ADDED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(columns: &[&str]) -> Result<(Plan, Vec<String>), Failure> {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let kind = crate::kinds::compiled("products");
        Ok((Plan::compile(kind, Grammar::CSV, &columns, &BTreeMap::new())?, columns))
    }

    #[test]
    fn columns_that_cannot_be_matched_fail_with_their_names() {
        let failure = plan(&["sku", "name", "brand", "name"]).expect_err("twice");
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("duplicate_column", "columns 2 (`name`) and 4 (`name`) both mean the field `name`")
        );
        let failure = plan(&["sku", "nmae", "brand"]).expect_err("a slip");
        assert_eq!(failure.code, "missing_column");
        assert!(
            failure.message.contains("`nmae` is not a field; did you mean `name`?; if so, give "),
            "{}",
            failure.message
        );
    }

    #[test]
    fn unknown_columns_are_ignored_and_listed() {
        let (plan, columns) = plan(&["sku", "colour", "name", "", "brand", ""]).expect("all required");
        assert_eq!(plan.ignored(&columns).collect::<Vec<_>>(), ["colour", "", ""]);
    }
}
