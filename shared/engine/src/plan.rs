//! A plan: a kind matched to a file's columns, once, and used for every row.

use std::collections::{BTreeMap, HashMap};

use penstock_model::{Failure, Grammar};

use crate::{
    kind::{FieldCheck, Kind},
    mapping::Names,
};

/// How the columns of a file become the fields of a kind.
#[derive(Debug, Clone)]
pub struct Plan {
    kind: Kind,
    mapping: BTreeMap<String, String>,
    /// For each column of a header its field; `None` where the column is ignored.
    columns: Vec<Option<usize>>,
    /// The same for members of rows that are JSON objects, as they are met.
    members: HashMap<String, Option<usize>>,
}

impl Plan {
    /// Matches columns to a kind's fields, see [`crate::mapping`]. A file without a header has no columns to match: its rows' members are
    /// matched as they are met.
    ///
    /// # Errors
    /// A permanent failure: `unknown_field`, `unknown_column`, `duplicate_column`, `missing_column` (a required field has no column).
    pub fn compile(
        mut kind: Kind,
        grammar: Grammar,
        columns: &[String],
        mapping: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let mut places = Vec::new();
        {
            let names = Names::new(kind.name(), kind.fields().iter().map(FieldCheck::name), mapping);
            names.check()?;
            if grammar.has_header() {
                places = names.fields(columns)?;
                let is_missing = |at: &usize| kind.field(*at).is_required() && !places.contains(&Some(*at));
                let missing: Vec<usize> = (0..kind.fields().len()).filter(is_missing).collect();
                if !missing.is_empty() {
                    return Err(names.missing(&missing, columns, &places));
                }
            }
        }
        if kind.keeps_additional() {
            for (at, column) in columns.iter().enumerate().filter(|(_, column)| !column.is_empty()) {
                if places[at].is_some() {
                    continue;
                }
                if columns[..at].contains(column) {
                    let message = format!("two columns are called `{column}`, and additional columns are kept by name");
                    return Err(Failure::new("duplicate_column", message));
                }
                places[at] = Some(kind.add_field(column));
            }
        }
        Ok(Self { kind, mapping: mapping.clone(), columns: places, members: HashMap::new() })
    }

    /// The kind, with the fields that were added for additional columns.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The fields of a header's columns.
    pub fn columns(&self) -> &[Option<usize>] {
        &self.columns
    }

    /// The columns that are no field.
    pub fn ignored<'a>(&'a self, columns: &'a [String]) -> impl Iterator<Item = &'a str> {
        columns.iter().zip(&self.columns).filter(|(_, field)| field.is_none()).map(|(name, _)| name.as_str())
    }

    /// The field of a row's member, one that is added for it where the kind keeps additional ones. The same name always gives the same field
    /// of the record, whatever was met before.
    pub(crate) fn member(&mut self, name: &str) -> Option<usize> {
        if let Some(found) = self.members.get(name) {
            return *found;
        }
        let names = Names::new(self.kind.name(), self.kind.fields().iter().map(FieldCheck::name), &self.mapping);
        let found = match names.field(name) {
            None if self.kind.keeps_additional() && !name.is_empty() => Some(self.kind.add_field(name)),
            found => found,
        };
        self.members.insert(name.to_owned(), found);
        found
    }
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
        assert!(failure.message.ends_with("`nmae` is not a field; did you mean `name`?"), "{}", failure.message);
    }

    #[test]
    fn unknown_columns_are_ignored_and_listed() {
        let (plan, columns) = plan(&["sku", "colour", "name", "", "brand", ""]).expect("all required");
        assert_eq!(plan.ignored(&columns).collect::<Vec<_>>(), ["colour", "", ""]);
    }
}
