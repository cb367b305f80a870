//! How the cells of a file are written, as far as that tells of options under which more of them would be read.
//!
//! A suggestion has a proof: a cell that the field does not take, which has one meaning, and no cell that contradicts
//! it. Where two readings are possible, both are said.

use std::collections::BTreeMap;

use penstock_model::advice::{Setting, shown, visible};
use serde_json::json;

use super::{
    FieldCheck,
    advice::{date_readings, meant},
    check::Rule,
    components::Temporal,
    number_style::NumberStyle,
};
use crate::cell::Input;

/// Texts of booleans that are told apart, at most.
const WORDS: usize = 20;

/// Characters of a cell that a note shows.
const SHOWN_CHARS: usize = 40;

/// What was seen of the cells of the numbers, the dates and the booleans of a file.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    numbers: Numbers,
    dates: Dates,
    booleans: Booleans,
}

/// A field and a cell of it.
type Example = (String, String);

#[derive(Debug, Default)]
struct Numbers {
    /// Cells with a decimal comma, and what separates their groups.
    comma: Option<Example>,
    comma_group: Option<char>,
    /// Cells with a decimal point that are groups of digits too, and what separates them.
    point_group: Option<(char, Example)>,
    /// Whether a cell has a decimal point and nothing else.
    has_point: bool,
    /// Whether two cells contradict one another in what separates groups.
    is_mixed: bool,
}

#[derive(Debug, Default)]
struct Dates {
    example: Option<Example>,
    /// The patterns that read every cell so far that the field does not take.
    patterns: Option<Vec<&'static str>>,
    /// Whether the field takes a cell as it is.
    has_taken: bool,
}

#[derive(Debug, Default)]
struct Booleans {
    example: Option<Example>,
    /// The texts, and what they mean.
    words: BTreeMap<String, bool>,
    /// The first text that means neither, so that nobody can be told which it is.
    unknown: Option<Example>,
    /// What the field takes so far: an option replaces it.
    taken: [Vec<String>; 2],
}

impl Habits {
    /// Looks at a text of a field.
    pub(crate) fn see(&mut self, field: &FieldCheck, text: &str) {
        if text.trim().is_empty() || text.len() > 4 * SHOWN_CHARS || field.missing.iter().any(|missing| missing == text)
        {
            return;
        }
        let example = || (field.name().to_owned(), visible(text, SHOWN_CHARS));
        match &field.rule {
            Rule::Number(rule) | Rule::Integer(rule) if rule.decimal_char == '.' && rule.group_char.is_none() => {
                self.numbers.see(text.trim(), matches!(field.rule, Rule::Integer(_)), example);
            }
            Rule::Temporal(rule) if rule.what == Temporal::Date => {
                if rule.read(text).is_some() {
                    self.dates.has_taken = true;
                } else {
                    self.dates.see(text.trim(), example);
                }
            }
            Rule::Boolean { true_values, false_values } => {
                let is_in = |values: &[String]| values.iter().any(|value| value == text.trim());
                let taken = if is_in(true_values) { Some(true) } else { is_in(false_values).then_some(false) };
                if self.booleans.taken.iter().all(Vec::is_empty) {
                    self.booleans.taken = [true_values.clone(), false_values.clone()];
                }
                self.booleans.see(text.trim(), taken, example);
            }
            _ => {}
        }
    }

    /// What the cells suggest.
    pub(crate) fn notes(self) -> Vec<String> {
        [self.numbers.note(), self.dates.note(), self.booleans.note()].into_iter().flatten().collect()
    }
}

/// A cell of a field, for a sentence.
fn such_as((field, cell): &Example) -> String {
    format!("`{}` has cells such as `{cell}`", shown(field))
}

impl Numbers {
    fn see(&mut self, text: &str, is_integer: bool, example: impl Fn() -> Example) {
        match NumberStyle::of(text) {
            Some(NumberStyle::Comma(group)) => {
                // In a whole number nothing is a fraction.
                if !is_integer || group.is_some() {
                    self.comma.get_or_insert_with(example);
                }
                if let Some(group) = group {
                    self.is_mixed |= self.comma_group.is_some_and(|other| other != group);
                    self.comma_group = Some(group);
                }
            }
            Some(NumberStyle::Point(Some(group)) | NumberStyle::Grouped(group)) => {
                self.is_mixed |= self.point_group.as_ref().is_some_and(|(other, _)| *other != group);
                self.point_group.get_or_insert_with(|| (group, example()));
            }
            Some(NumberStyle::Point(None)) => self.has_point = true,
            Some(NumberStyle::Either(_)) | None => {}
        }
    }

    fn note(self) -> Option<String> {
        let Self { comma, comma_group, point_group, has_point, is_mixed } = self;
        if is_mixed {
            return None;
        }
        match (comma, point_group) {
            (Some(example), None) if !has_point => {
                let mut options = Setting::DecimalChar.to(",");
                if let Some(group) = comma_group {
                    options = format!("{options} and {}", Setting::GroupChar.to(group.to_string()));
                }
                Some(format!("{}, numbers with a decimal comma: give {options}", such_as(&example)))
            }
            (None, Some((group, example))) => {
                let option = Setting::GroupChar.to(group.to_string());
                Some(format!("{}, numbers with separated thousands: give {option}", such_as(&example)))
            }
            _ => None,
        }
    }
}

impl Dates {
    fn see(&mut self, text: &str, example: impl FnOnce() -> Example) {
        let readings = date_readings(text);
        // Both orders of day and month read a date such as 02/02/2024, and one of them is left of two that are equal.
        let read: Vec<&'static str> = match readings.first() {
            Some((_, parts)) if parts.day == parts.month => return,
            _ => readings.iter().map(|(pattern, _)| pattern.text.as_str()).collect(),
        };
        self.example.get_or_insert_with(example);
        match &mut self.patterns {
            Some(patterns) => patterns.retain(|pattern| read.contains(pattern)),
            None => self.patterns = Some(read),
        }
    }

    fn note(self) -> Option<String> {
        let (example, patterns) = (self.example?, self.patterns?);
        if self.has_taken {
            return None;
        }
        let start = such_as(&example);
        match patterns.as_slice() {
            [one] => Some(format!("{start}, all dates like it: give {}", Setting::DateFormat.to(*one))),
            [one, other] => Some(format!(
                "{start}, dates that can be read in two ways, and no cell tells which: give {} or {}, as they are meant",
                Setting::DateFormat.to(*one),
                Setting::DateFormat.to(*other)
            )),
            _ => None,
        }
    }
}

impl Booleans {
    fn see(&mut self, text: &str, taken: Option<bool>, example: impl FnOnce() -> Example) {
        // What is taken stays so by what the option names anyway.
        if taken.is_some() {
            return;
        }
        match meant(text) {
            Some(meant) if self.words.len() < WORDS || self.words.contains_key(text) => {
                self.example.get_or_insert_with(example);
                self.words.insert(text.to_owned(), meant);
            }
            _ => {
                self.unknown.get_or_insert_with(example);
            }
        }
    }

    fn note(self) -> Option<String> {
        let example = self.example?;
        let of = |wanted: bool| {
            let words = self.words.iter().filter(|(_, meant)| **meant == wanted).map(|(word, _)| word);
            let other = |value: &&String| self.words.get(*value).is_none_or(|meant| *meant == wanted);
            let taken = self.taken[usize::from(!wanted)].iter().filter(other);
            let words: Vec<&String> = words.collect();
            // The option replaces what is taken so far, so it names that too.
            if words.is_empty() { Vec::new() } else { taken.chain(words).cloned().collect::<Vec<_>>() }
        };
        let option = |setting: Setting, words: Vec<String>| (!words.is_empty()).then(|| setting.to(json!(words)));
        let options: Vec<String> = [option(Setting::TrueValues, of(true)), option(Setting::FalseValues, of(false))]
            .into_iter()
            .flatten()
            .collect();
        let unknown = self.unknown.map_or(String::new(), |(_, cell)| format!("; what `{cell}` means nobody knows"));
        Some(format!("{}, words for true and false: give {}{unknown}", such_as(&example), options.join(" and ")))
    }
}

impl FieldCheck {
    /// A cell of a workbook as text that this field reads as the same value from a delimited file; `None` where the
    /// cell holds nothing.
    pub(crate) fn as_text(&self, cell: Input<'_>) -> Option<String> {
        Some(match (cell, &self.rule) {
            (Input::Null, _) => return None,
            (Input::Text(text) | Input::Json(text), _) => text.to_owned(),
            (Input::Number(literal), Rule::Number(rule)) => rule.written(literal),
            // A whole number has no point in text.
            (Input::Number(literal), Rule::Integer(_) | Rule::Year(_)) => {
                let whole = literal.split_once('.').filter(|(_, fraction)| fraction.bytes().all(|byte| byte == b'0'));
                whole.map_or(literal, |(whole, _)| whole).to_owned()
            }
            (Input::Number(literal), _) => literal.to_owned(),
            (Input::Boolean(boolean), Rule::Boolean { true_values, false_values }) => {
                let values = if boolean { true_values } else { false_values };
                values.first().cloned().unwrap_or_else(|| boolean.to_string())
            }
            (Input::Boolean(boolean), _) => boolean.to_string(),
            (Input::Date(iso), Rule::Temporal(rule)) => rule.written_of_iso(iso).unwrap_or_else(|| iso.to_owned()),
            (Input::Date(iso), _) => iso.to_owned(),
        })
    }

    /// A text that is an empty cell to this field, as the schema has it.
    pub(crate) fn missing_text(&self) -> &str {
        match self.missing.iter().any(String::is_empty) {
            true => "",
            false => self.missing.first().map_or("", String::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(cells: &[(&str, &str)]) -> Vec<String> {
        let schema = r#"{"name": "k", "fields": [{"name": "id"}, {"name": "n", "type": "number"},
            {"name": "d", "type": "date"}, {"name": "b", "type": "boolean"}, {"name": "i", "type": "integer"}],
            "primaryKey": "id"}"#;
        let schema = crate::kind::Kind::parse(schema.as_bytes()).expect("a schema");
        let kind = crate::kind::Kind::compile(&schema, &"1".parse().expect("valid")).expect("a kind");
        let mut habits = Habits::default();
        for (field, cell) in cells {
            habits.see(kind.field(kind.index_of(field).expect("a field")), cell);
        }
        habits.notes()
    }

    #[test]
    fn a_decimal_comma_is_suggested_where_it_is_proved_and_nothing_contradicts_it() {
        let comma =
            "`n` has cells such as `12,5`, numbers with a decimal comma: give the option `decimal_char` = \",\"";
        assert_eq!(notes(&[("n", "1,234"), ("n", "12,5"), ("n", "7")]), [comma]);
        let grouped = "`n` has cells such as `1.234,56`, numbers with a decimal comma: give the option `decimal_char` = \
                       \",\" and the option `group_char` = \".\"";
        assert_eq!(notes(&[("n", "1.234"), ("n", "1.234,56")]), [grouped]);
        let thousands =
            "`n` has cells such as `1,234.5`, numbers with separated thousands: give the option `group_char` = \",\"";
        assert_eq!(notes(&[("n", "1,234.5"), ("n", "1.5")]), [thousands]);
        for unclear in [&[("n", "12,5"), ("n", "12.5")][..], &[("n", "1,234")], &[("n", "12,5"), ("n", "1,234.5")]] {
            assert_eq!(notes(unclear), Vec::<String>::new(), "{unclear:?}");
        }
    }

    #[test]
    fn the_order_of_day_and_month_is_said_where_a_cell_tells_it() {
        let day = "`d` has cells such as `01/02/2024`, all dates like it: give the option `date_format` = \"%d/%m/%Y\"";
        assert_eq!(notes(&[("d", "01/02/2024"), ("d", "31/01/2024")]), [day]);
        let both = "`d` has cells such as `01/02/2024`, dates that can be read in two ways, and no cell tells which: give the \
                    option `date_format` = \"%d/%m/%Y\" or the option `date_format` = \"%m/%d/%Y\", as they are meant";
        assert_eq!(notes(&[("d", "01/02/2024"), ("d", "02/02/2024")]), [both]);
        for unclear in [
            &[("d", "31/01/2024"), ("d", "01/31/2024")][..],
            &[("d", "31/01/2024"), ("d", "2024-01-31")],
            &[("d", "31/01/2024"), ("d", "x")],
        ] {
            assert_eq!(notes(unclear), Vec::<String>::new(), "{unclear:?}");
        }
    }

    #[test]
    fn words_for_true_and_false_are_suggested_all_together() {
        let words = "`b` has cells such as `yes`, words for true and false: give the option `true_values` = \
                     [\"true\",\"True\",\"TRUE\",\"1\",\"yes\"] and the option `false_values` = \
                     [\"false\",\"False\",\"FALSE\",\"0\",\"no\"]";
        assert_eq!(notes(&[("b", "1"), ("b", "yes"), ("b", "no"), ("b", "")]), [words]);
        assert_eq!(notes(&[("b", "true"), ("b", "false")]), Vec::<String>::new());
        // A word that nobody knows hides nothing of the others.
        assert_eq!(
            notes(&[("b", "perhaps"), ("b", "yes")]),
            ["`b` has cells such as `yes`, words for true and false: give the option `true_values` = \
              [\"true\",\"True\",\"TRUE\",\"1\",\"yes\"]; what `perhaps` means nobody knows"]
        );
        assert_eq!(notes(&[("b", "perhaps")]), Vec::<String>::new());
    }
}
