//! Mapping: which field of its kind each column of a file is.
//!
//! A column is the field that the import's mapping names for it; else the field of exactly its name; else the one whose
//! name is the same but for case, accents, spaces, `_`, `-` and `.` ([`normalised`]), unless the kind wants exact
//! names. Only the rows of a file without a header, JSON objects, may name different columns; there each member is a
//! column.

use std::collections::{BTreeMap, HashMap};

use penstock_model::{Failure, KindName};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A name without its case, accents, spaces, `_`, `-` and `.`, which people write differently.
pub fn normalised(name: &str) -> String {
    name.nfkd()
        .filter(|c| !is_combining_mark(*c) && !c.is_whitespace() && !matches!(c, '_' | '-' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The columns that a rejected rows file has beside those of the upload. They are no fields unless a kind or a mapping
/// has exactly these names, so that the file can be imported again as it is.
pub const ADDED: [&str; 3] = ["_row", "_line", "_errors"];

/// Finds the fields of columns by their names.
#[derive(Debug, Clone)]
pub struct Names<'a> {
    kind: &'a KindName,
    fields: Vec<&'a str>,
    exact: HashMap<&'a str, usize>,
    /// The fields by their normalised names; of several with the same one, the first.
    normal: HashMap<String, usize>,
    mapping: &'a BTreeMap<String, String>,
}

/// How a column was matched to a field, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Normalised,
    Exact,
    Mapped,
}

impl<'a> Names<'a> {
    /// The fields of a kind in their order, and the mapping of an import.
    pub fn new(
        kind: &'a KindName,
        fields: impl Iterator<Item = &'a str>,
        mapping: &'a BTreeMap<String, String>,
    ) -> Self {
        let fields: Vec<&str> = fields.collect();
        let exact = fields.iter().enumerate().map(|(at, field)| (*field, at)).collect();
        let normal = fields.iter().enumerate().rev().map(|(at, field)| (normalised(field), at)).collect();
        Self { kind, fields, exact, normal, mapping }
    }

    /// The same, where a column has to have exactly the name of its field.
    pub(crate) fn exactly(self) -> Self {
        Self { normal: HashMap::new(), ..self }
    }

    /// Checks that the mapping names only fields of the kind.
    ///
    /// # Errors
    /// `unknown_field` with what may have been meant.
    pub fn check(&self) -> Result<(), Failure> {
        for (column, field) in self.mapping {
            if self.place(field).is_none() {
                let message = format!(
                    "the mapping makes the column `{column}` the field `{field}`, which kind `{}` does not have{}",
                    self.kind,
                    self.hint(field)
                );
                return Err(Failure::new("unknown_field", message));
            }
        }
        Ok(())
    }

    /// The fields by their normalised names.
    pub(crate) fn normal(&self) -> HashMap<String, usize> {
        self.normal.iter().filter(|(name, _)| !name.is_empty()).map(|(name, at)| (name.clone(), *at)).collect()
    }

    fn place(&self, field: &str) -> Option<usize> {
        self.exact.get(field).copied()
    }

    /// The field of one column, if it is any.
    pub fn field(&self, column: &str) -> Option<usize> {
        self.find(column).map(|(field, _)| field)
    }

    fn find(&self, column: &str) -> Option<(usize, Match)> {
        if let Some(field) = self.mapping.get(column) {
            return self.place(field).map(|field| (field, Match::Mapped));
        }
        if let Some(field) = self.place(column) {
            return Some((field, Match::Exact));
        }
        if ADDED.contains(&column) {
            return None;
        }
        let field = self.normal.get(&normalised(column)).filter(|_| !column.is_empty());
        field.map(|field| (*field, Match::Normalised))
    }

    /// The fields of all columns of a file, in their order; `None` for a column that is no field.
    ///
    /// # Errors
    /// A permanent failure: `unknown_field`, `unknown_column` where the mapping names a column that the file does not
    /// have, and `duplicate_column` where two columns of a header would be one field.
    pub fn fields(&self, columns: &[String], are_header: bool) -> Result<Vec<Option<usize>>, Failure> {
        self.check()?;
        if let Some(column) = self.mapping.keys().find(|column| !columns.contains(column)) {
            let near = nearest(column, columns.iter().map(String::as_str));
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let message = format!("the mapping names the column `{column}`, which the file does not have{hint}");
            return Err(Failure::new("unknown_column", message));
        }
        let mut found: Vec<Option<(usize, Match)>> = columns.iter().map(|column| self.find(column)).collect();
        for at in 0..columns.len() {
            let Some((field, how)) = found[at] else { continue };
            let rival = found[..at].iter().position(|other| other.is_some_and(|(other, _)| other == field));
            let Some(first) = rival else { continue };
            let first_how = found[first].map_or(how, |(_, how)| how);
            match (first_how, how) {
                // The mapping goes before a name.
                (Match::Mapped, Match::Exact | Match::Normalised) => found[at] = None,
                (Match::Exact | Match::Normalised, Match::Mapped) => found[first] = None,
                // Rows that name their own members may each have one of the two.
                _ if !are_header => {}
                _ => {
                    let message = format!(
                        "columns {} (`{}`) and {} (`{}`) both mean the field `{}`",
                        first + 1,
                        columns[first],
                        at + 1,
                        columns[at],
                        self.fields[field]
                    );
                    return Err(Failure::new("duplicate_column", message));
                }
            }
        }
        Ok(found.into_iter().map(|found| found.map(|(field, _)| field)).collect())
    }

    /// The failure of a file without columns for these fields: it names the missing columns, and those that may have
    /// been meant for them.
    pub fn missing(&self, fields: &[usize], columns: &[String], found: &[Option<usize>]) -> Failure {
        let names: Vec<String> = fields.iter().map(|field| format!("`{}`", self.fields[*field])).collect();
        let mut message = format!(
            "kind `{}` needs the column {}, which the header (the first record of the file, {} columns) does not name",
            self.kind,
            names.join(" and the column "),
            columns.len()
        );
        let missing: Vec<&str> = fields.iter().map(|field| self.fields[*field]).collect();
        let unmatched = columns.iter().zip(found).filter(|(_, found)| found.is_none());
        for (column, _) in unmatched.take(HINTED_NAMES) {
            if let Some(near) = nearest(column, missing.iter().copied()) {
                message.push_str(&format!("; `{column}` is not a field; did you mean `{near}`?"));
            }
        }
        Failure::new("missing_column", message)
    }

    fn hint(&self, name: &str) -> String {
        let near = nearest(name, self.fields.iter().copied());
        near.map_or(String::new(), |near| format!("; did you mean `{near}`?"))
    }
}

/// Characters of a name for which a nearest one is looked for, at most, and how many names are compared with it: each
/// comparison takes time by the product of both lengths.
const HINTED_CHARS: usize = 64;
const HINTED_NAMES: usize = 200;

/// The name nearest to another one, if at most two characters differ, and at most one in three. For a longer name than
/// people mistype, none is looked for.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let is_short = |name: &str| name.chars().nth(HINTED_CHARS).is_none();
    if !is_short(name) {
        return None;
    }
    let wanted = normalised(name);
    if !is_short(&wanted) {
        return None;
    }
    names
        .take(HINTED_NAMES)
        .filter(|candidate| is_short(candidate))
        .map(|candidate| (candidate, normalised(candidate)))
        .filter(|(_, normal)| is_short(normal))
        .map(|(candidate, normal)| (strsim::osa_distance(&wanted, &normal), candidate))
        .filter(|(distance, candidate)| *distance <= (wanted.chars().count().min(candidate.chars().count()) / 3).min(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [&str; 4] = ["sku", "name", "base_price", "größe"];

    fn with<T>(mapping: &[(&str, &str)], ask: impl FnOnce(&Names<'_>) -> T) -> T {
        let mapping = mapping.iter().map(|(column, field)| ((*column).to_owned(), (*field).to_owned())).collect();
        let kind = "products".parse().expect("valid");
        ask(&Names::new(&kind, FIELDS.into_iter(), &mapping))
    }

    fn columns(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn fields(mapping: &[(&str, &str)], names: &[&str]) -> Result<Vec<Option<usize>>, Failure> {
        with(mapping, |map| map.fields(&columns(names), true))
    }

    #[test]
    fn columns_are_found_by_mapping_then_name_then_normalised_name() {
        assert_eq!(fields(&[], &["sku", "Name", "BASE PRICE", "GROSSE"]), Ok(vec![Some(0), Some(1), Some(2), None]));
        assert_eq!(fields(&[], &["Grö\u{df}e", "Base-Price", "x"]), Ok(vec![Some(3), Some(2), None]));
        assert_eq!(fields(&[("Titre", "name")], &["Titre", "sku"]), Ok(vec![Some(1), Some(0)]));
        // The creator's word goes before a name, on whichever side it stands.
        assert_eq!(fields(&[("Titre", "name")], &["Titre", "name"]), Ok(vec![Some(1), None]));
        assert_eq!(fields(&[("Titre", "name")], &["Name", "Titre"]), Ok(vec![None, Some(1)]));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_may_have_been_meant() {
        let message = |mapping: &[(&str, &str)], names: &[&str]| {
            let failure = fields(mapping, names).expect_err("refused");
            (failure.code, failure.message)
        };
        let (code, text) = message(&[], &["name", "sku", "Name"]);
        assert_eq!(
            (code.as_str(), text.as_str()),
            ("duplicate_column", "columns 1 (`name`) and 3 (`Name`) both mean the field `name`")
        );
        let (code, text) = message(&[("Titre", "nmae")], &["Titre"]);
        assert_eq!(code, "unknown_field");
        assert!(text.ends_with("does not have; did you mean `name`?"), "{text}");
        let (code, text) = message(&[("Titel", "name")], &["Titre", "Title"]);
        assert_eq!(code, "unknown_column");
        assert!(text.contains("did you mean `Title`?"), "{text}");
        let (code, _) = message(&[("a", "name"), ("b", "name")], &["a", "b"]);
        assert_eq!(code, "duplicate_column");
        let missing = with(&[], |map| map.missing(&[2], &columns(&["sku", "base_prcie", "x"]), &[Some(0), None, None]));
        assert!(
            missing.message.ends_with("`base_prcie` is not a field; did you mean `base_price`?"),
            "{}",
            missing.message
        );
    }

    #[test]
    fn what_a_rejected_file_adds_is_no_field_unless_exactly_that_is_said() {
        let kind = "lines".parse().expect("valid");
        let none = BTreeMap::new();
        let names = Names::new(&kind, ["row", "line", "_errors"].into_iter(), &none);
        let found = names.fields(&columns(&["_row", "_line", "_errors", "Line"]), true);
        assert_eq!(found, Ok(vec![None, None, Some(2), Some(1)]));
    }

    #[test]
    fn short_names_are_near_nothing() {
        let near = |name| nearest(name, FIELDS.into_iter());
        assert_eq!((near("sq"), near("Prcie"), near("skus")), (None, None, Some("sku")));
    }
}
