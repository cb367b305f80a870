//! Mapping: which field of its kind each column of a file is.
//!
//! A column is the field that the import's mapping names for it, or none where that names an empty one; else the field
//! of exactly its name; else the one whose name is the same but for case, accents, spaces, `_`, `-` and `.`
//! ([`normalised`]), unless the kind wants exact names. Only the rows of a file without a header, JSON objects, may
//! name different columns; there each member is a column.

use std::collections::{BTreeMap, HashMap, HashSet};

use penstock_model::{
    Failure, KindName,
    advice::{Setting, shown},
    delimiter_byte, limits,
};
use serde_json::{Map, Value};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::invisible::is_invisible;

/// A name without its case, accents, spaces and other invisible characters, `_`, `-` and `.`, which people write
/// differently.
pub fn normalised(name: &str) -> String {
    name.nfkd()
        .filter(|c| !is_combining_mark(*c) && !is_invisible(*c) && !matches!(c, '_' | '-' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The columns that a rejected rows file has beside those of the upload. They are no fields unless a kind or a mapping
/// has exactly these names, so that the file can be imported again as it is.
pub const ADDED: [&str; 3] = ["_row", "_line", "_errors"];

/// Checks how many columns a mapping names, and how long its names are.
///
/// # Errors
/// `too_many_columns`, `name_too_long`.
pub fn check_size(mapping: &BTreeMap<String, String>) -> Result<(), Failure> {
    if mapping.len() > limits::COLUMNS {
        let message = format!("{} names {} columns, the limit is {}", Setting::Mapping, mapping.len(), limits::COLUMNS);
        return Err(Failure::new("too_many_columns", message));
    }
    for (column, field) in mapping {
        for (what, name, limit) in
            [("column", column, limits::COLUMN_NAME_CHARS), ("field", field, limits::FIELD_NAME_CHARS)]
        {
            let chars = name.chars().count();
            if chars > limit {
                let message = format!(
                    "{} names the {what} `{}`, of {chars} characters, the limit is {limit}: give it a shorter name",
                    Setting::Mapping,
                    shown(name)
                );
                return Err(Failure::new("name_too_long", message));
            }
        }
    }
    Ok(())
}

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

/// A line that looks like the header: its number, from 1, and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderLine {
    pub(crate) line: u64,
    pub(crate) columns: Vec<String>,
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
            // No field is called so: the column is none.
            if self.place(field).is_none() && !field.is_empty() {
                let message = format!(
                    "the mapping makes the column `{}` the field `{}`, which kind `{}` does not have{}",
                    shown(column),
                    shown(field),
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

    /// The fields of all columns of a file as far as each by itself tells, whatever contradicts it: for a person who is
    /// shown why the columns cannot be matched.
    pub fn each(&self, columns: &[String]) -> Vec<Option<usize>> {
        columns.iter().map(|column| self.field(column)).collect()
    }

    /// The fields of all columns of a file, in their order; `None` for a column that is no field.
    ///
    /// # Errors
    /// A permanent failure: `unknown_field`, `unknown_column` where the mapping names a column that the file does not
    /// have, and `duplicate_column` where two columns of a header would be one field.
    pub fn fields(&self, columns: &[String], are_header: bool) -> Result<Vec<Option<usize>>, Failure> {
        self.check()?;
        let named: HashSet<&String> = columns.iter().collect();
        if let Some(column) = self.mapping.keys().find(|column| !named.contains(column)) {
            let near = Near::of(columns.iter().map(String::as_str)).find(column);
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{}`?", shown(near)));
            let message = format!(
                "the mapping names the column `{}`, which the file does not have; it has {}{hint}",
                shown(column),
                header(columns)
            );
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
                        shown(&columns[first]),
                        at + 1,
                        shown(&columns[at]),
                        self.fields[field]
                    );
                    return Err(Failure::new("duplicate_column", message));
                }
            }
        }
        Ok(found.into_iter().map(|found| found.map(|(field, _)| field)).collect())
    }

    /// The failure of a file without columns for these fields: it names the missing columns, shows the header as it was
    /// read, and says how the columns that may have been meant are mapped, or on which line the header seems to be.
    pub(crate) fn missing(
        &self,
        fields: &[usize],
        columns: &[String],
        found: &[Option<usize>],
        other: Option<HeaderLine>,
    ) -> Failure {
        let missing: Vec<&str> = fields.iter().map(|field| self.fields[*field]).collect();
        let names = listed(missing.iter().copied(), " and the column ");
        let mut message = format!(
            "kind `{}` needs the column {names}, which the header does not name; the header is {}",
            self.kind,
            header(columns)
        );
        if let Some(HeaderLine { line, columns }) = other {
            let option = Setting::HeaderLine.to(line);
            message.push_str(&format!("; line {line} looks like the header, {}: give {option}", header(&columns)));
            return Failure::new("missing_column", message);
        }
        if let Some(advice) = self.not_split(columns) {
            message.push_str(&advice);
            return Failure::new("missing_column", message);
        }
        let near = Near::of(missing.iter().take(limits::SHOWN_NAMES).copied());
        let free = columns.iter().zip(found).filter(|(column, found)| found.is_none() && !column.trim().is_empty());
        let mut meant: Vec<(&str, &str)> = Vec::new();
        for (column, _) in free {
            if let Some(field) = near.find(column)
                && !meant.iter().any(|(_, other)| *other == field)
            {
                meant.push((column, field));
            }
        }
        for (column, field) in &meant {
            message.push_str(&format!("; `{}` is not a field; did you mean `{field}`?", shown(column)));
        }
        let of_meant = |(column, field): &(&str, &str)| ((*column).to_owned(), Value::from(*field));
        // What is too long to be typed is not advised.
        let mapping: Map<String, Value> = meant
            .iter()
            .filter(|(column, _)| column.chars().count() <= limits::SHOWN_NAME_CHARS)
            .map(of_meant)
            .collect();
        let advice = match mapping.is_empty() {
            false => format!("; if so, give {}", Setting::Mapping.to(mapping)),
            true => format!("; if a column holds it under another name, {} says which", Setting::Mapping),
        };
        message.push_str(&advice);
        Failure::new("missing_column", message)
    }

    /// What to do where the only column that a header names is the names of several fields: its cells are delimited
    /// otherwise than it was read.
    fn not_split(&self, columns: &[String]) -> Option<String> {
        let mut named = columns.iter().filter(|column| !column.trim().is_empty());
        let (Some(only), None) = (named.next(), named.next()) else { return None };
        let is_field = |part: &str| self.find(part.trim_matches(|c: char| c == '"' || is_invisible(c))).is_some();
        let mut tried = Vec::new();
        let mut best = (1, ' ');
        for c in only.chars().filter(|c| delimiter_byte(*c).is_ok() && !matches!(c, '_' | '-' | '.')) {
            if tried.contains(&c) {
                continue;
            }
            tried.push(c);
            let fields = only.split(c).filter(|part| is_field(part)).count();
            if fields > best.0 {
                best = (fields, c);
            }
        }
        let option = Setting::Delimiter.to(best.1.to_string());
        match best {
            (1, _) => None,
            (_, ' ') if only.contains("  ") => Some(
                "; its columns seem to have a fixed width, which is not read: save the file as CSV or XLSX".to_owned(),
            ),
            (_, ',' | ';' | '\t' | '|') => Some(format!(
                "; it holds the names of several columns: if the file's lines stand in quotes as a whole, save it without \
                 those, else give {option}"
            )),
            _ => Some(format!("; it holds the names of several columns: give {option}")),
        }
    }

    fn hint(&self, name: &str) -> String {
        let near = Near::of(self.fields.iter().copied()).find(name);
        near.map_or(String::new(), |near| format!("; did you mean `{}`?", shown(near)))
    }
}

/// Some names as a list, the first ones of too many.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>, between: &str) -> String {
    let count = names.len();
    let mut list =
        names.take(limits::SHOWN_NAMES).map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(between);
    if count > limits::SHOWN_NAMES {
        list.push_str(&format!(" and {} more", count - limits::SHOWN_NAMES));
    }
    list
}

/// A header as it was read.
pub(crate) fn header(columns: &[String]) -> String {
    let count = if columns.len() == 1 { "1 column".to_owned() } else { format!("{} columns", columns.len()) };
    format!("{count}: {}", listed(columns.iter().map(String::as_str), ", "))
}

/// Names among which the one nearest to another is looked for, [`limits::COLUMNS`] of them at most. What is longer than
/// a name that somebody typed is near to nothing.
struct Near<'a> {
    names: Vec<(&'a str, String, Vec<char>)>,
}

/// The name that may have been meant by another one.
pub(crate) fn nearest<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    Near::of(names).find(name)
}

/// The name that another one may be by a slip of the hand.
pub(crate) fn mistyped<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    Near::of(names).mistyped(name)
}

/// Characters of a name that may have been meant for another, normalised, at most.
const NEAR_CHARS: usize = 64;

impl<'a> Near<'a> {
    fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let short = |name: &'a str| normalised_short(name).map(|normal| (name, normal.chars().collect(), normal));
        let names = names.take(limits::COLUMNS).filter_map(short);
        Self { names: names.map(|(name, chars, normal)| (name, normal, chars)).collect() }
    }

    /// The name nearest to another one, if at most two characters differ, and at most one in three.
    fn mistyped(&self, name: &str) -> Option<&'a str> {
        let wanted = normalised_short(name)?;
        let wanted: Vec<char> = wanted.chars().collect();
        let near = self.names.iter().filter_map(|(name, _, chars)| {
            let most = (wanted.len().min(chars.len()) / 3).min(2);
            distance(&wanted, chars, most).map(|distance| (distance, *name))
        });
        near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
    }

    /// The same, or a name that is a word of it, such as `name` of `name (english)`.
    fn find(&self, name: &str) -> Option<&'a str> {
        self.mistyped(name).or_else(|| {
            let words: Vec<String> = name.split(|c: char| !c.is_alphanumeric()).map(normalised).collect();
            let is_word = |normal: &String| normal.len() > 2 && words.contains(normal);
            self.names.iter().find(|(_, normal, _)| is_word(normal)).map(|(name, ..)| *name)
        })
    }
}

/// How many characters of two texts differ, if at most so many: one that is another, is too many, is missing, or has
/// changed places with the next one (the optimal string alignment distance). It takes time in proportion to the length,
/// where a table of both texts would take the square of it: what is equal is passed over, and there are few ways to
/// differ by one or two.
fn distance(one: &[char], other: &[char], most: usize) -> Option<usize> {
    if one.len().abs_diff(other.len()) > most {
        return None;
    }
    let equal = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let (one, other) = (&one[equal..], &other[equal..]);
    let Some(left) = most.checked_sub(1) else { return (one.is_empty() && other.is_empty()).then_some(0) };
    let changed = match (one, other) {
        ([], []) => return Some(0),
        ([], rest) | (rest, []) => return Some(rest.len()),
        ([_, one_rest @ ..], [_, other_rest @ ..]) => {
            let swapped = match (one, other) {
                ([a, b, one_rest @ ..], [c, d, other_rest @ ..]) if a == d && b == c => {
                    distance(one_rest, other_rest, left)
                }
                _ => None,
            };
            let ways = [(one_rest, other_rest), (one_rest, other), (one, other_rest)];
            ways.into_iter().filter_map(|(one, other)| distance(one, other, left)).chain(swapped).min()
        }
    };
    changed.map(|distance| distance + 1)
}

/// As [`normalised`], of what is not longer than [`NEAR_CHARS`] then.
fn normalised_short(name: &str) -> Option<String> {
    // A character becomes 18 at most, none becomes less than none: what is this long cannot be short.
    let start: String = name.chars().take(4 * NEAR_CHARS).collect();
    if start.len() < name.len() {
        return None;
    }
    let normal = normalised(&start);
    (normal.chars().count() <= NEAR_CHARS && !normal.is_empty()).then_some(normal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_small_distance_is_the_one_of_a_whole_table(one in "[abc]{0,8}", other in "[abc]{0,8}", most in 0_usize..4) {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let wanted = Some(strsim::osa_distance(&one, &other)).filter(|distance| *distance <= most);
            prop_assert_eq!(distance(&chars(&one), &chars(&other), most), wanted);
        }
    }

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
        let missing =
            with(&[], |map| map.missing(&[2], &columns(&["sku", "base_prcie", "x"]), &[Some(0), None, None], None));
        assert_eq!(
            missing.message,
            "kind `products` needs the column `base_price`, which the header does not name; the header is 3 columns: `sku`, \
             `base_prcie`, `x`; `base_prcie` is not a field; did you mean `base_price`?; if so, give the option `mapping` = \
             {\"base_prcie\":\"base_price\"}"
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
    fn a_line_that_was_not_cut_is_no_slip_of_one_name() {
        let message = |name: &str| with(&[], |map| map.missing(&[0, 1], &columns(&[name]), &[None], None)).message;
        for (name, advice) in [
            ("sku,name,base price", "as a whole, save it without those, else give the option `delimiter` = \",\""),
            ("sku;name", "else give the option `delimiter` = \";\""),
            ("sku^name^base_price", "it holds the names of several columns: give the option `delimiter` = \"^\""),
            ("sku:name", "give the option `delimiter` = \":\""),
            (
                "sku     name    base_price",
                "seem to have a fixed width, which is not read: save the file as CSV or XLSX",
            ),
        ] {
            let message = message(name);
            assert!(message.ends_with(advice) && !message.contains("did you mean"), "{message}");
        }
        assert!(message("sku_nam").contains("the option `mapping`"));
    }

    #[test]
    fn short_names_are_near_nothing() {
        let near = |name| Near::of(FIELDS.into_iter()).find(name);
        assert_eq!((near("sq"), near("Prcie"), near("skus")), (None, None, Some("sku")));
        assert_eq!((near("name\n(english)"), near("the sku"), near("rename")), (Some("name"), Some("sku"), None));
    }

    #[test]
    fn names_of_any_length_are_shown_and_compared_in_bounded_time() {
        // Each of these characters is 18 when it is normalised.
        let long = "\u{fdfa}".repeat(20_000);
        let (kind, none) = ("q".parse().expect("valid"), BTreeMap::new());
        let names: Vec<String> = (0..1000).map(|at| format!("{long}{at}")).collect();
        let fields: Vec<String> = (0..1000).map(|at| format!("{at}{long}")).collect();
        let map = Names::new(&kind, fields.iter().map(String::as_str).take(3), &none);
        let message = map.missing(&[0, 1, 2], &names, &vec![None; names.len()], None).message;
        assert!(message.chars().count() < 3000 && message.contains("…` and 980 more"), "{message}");
    }
}
