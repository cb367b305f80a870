//! The options of an import that say how its file is read, where neither its kind nor its content says so.

use serde::{Deserialize, Serialize};

use crate::{
    delimiter_byte,
    limits::{DATE_FORMAT_CHARS, HEADER_LINE, OPTION_VALUE_CHARS, OPTION_VALUES, ROWS_AT_CHARS, ROWS_AT_NAMES},
};

/// What becomes of a row with fewer cells than the header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ShortRows {
    /// It is rejected: a row that was torn off looks the same.
    #[default]
    Reject,
    /// The cells that are missing are absent, as if the row did not name their columns.
    Absent,
}

/// How a file is read. Each member is optional; what is not said is said by the kind, or has its default.
///
/// Members of values ([`ReadOptions::values`]) change what a cell means. Members of the shape change which records and
/// cells there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ReadOptions {
    /// What stands between the whole part of a number and its fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal_char: Option<char>,
    /// What groups the digits of numbers, and is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_char: Option<char>,
    /// The `strptime` pattern of dates, or of moments where it says a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    /// The cells that are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub true_values: Vec<String>,
    /// The cells that are false.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub false_values: Vec<String>,
    /// The physical line of the header, from 1. What stands above it is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_line: Option<u64>,
    /// What begins a line that is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// What makes the next character of a quoted cell data, a quote too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    /// What becomes of rows that have fewer cells than the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_rows: Option<ShortRows>,
    /// The path of the array of rows in a JSON document: the names of members, with dots between them, or a JSON
    /// Pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_at: Option<String>,
}

/// Why an option cannot be what it is given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{option}` {rule}")]
pub struct InvalidOption {
    /// The option's name, as the API and a kind write it.
    pub option: &'static str,
    /// What it has to be, as the end of a sentence.
    pub rule: String,
}

impl InvalidOption {
    /// An option that breaks this rule.
    pub fn new(option: &'static str, rule: impl Into<String>) -> Self {
        Self { option, rule: rule.into() }
    }
}

/// Whether a character may stand in a number beside its digits.
///
/// # Errors
/// The rule that it breaks, as the end of a sentence.
pub fn number_char(c: char) -> Result<char, &'static str> {
    let is_odd = c.is_alphanumeric() || matches!(c, '+' | '-' | '"') || c.is_control();
    if is_odd { Err("is one character, not a letter, a digit, a sign, a quote or a control character") } else { Ok(c) }
}

impl ReadOptions {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks each member by itself, and against the others. `delimiter` and `quoting` are those of the import, where
    /// it says them. Whether a date format is a pattern, the engine tells.
    ///
    /// # Errors
    /// The first member that cannot be what it is, and why.
    pub fn check(&self, delimiter: Option<char>, quoting: Option<bool>) -> Result<(), InvalidOption> {
        let invalid = |option, rule: String| Err(InvalidOption { option, rule });
        for (option, given) in [("decimal_char", self.decimal_char), ("group_char", self.group_char)] {
            if let Some(Err(rule)) = given.map(number_char) {
                return invalid(option, rule.to_owned());
            }
            // In a quoted cell a delimiter is data.
            if quoting == Some(false) && given.is_some() && given == delimiter {
                return invalid(option, "is the delimiter, and without quoting no cell holds a delimiter".to_owned());
            }
        }
        if self.decimal_char.is_some_and(char::is_whitespace) {
            return invalid("decimal_char", "is not white space".to_owned());
        }
        if self.group_char.is_some() && self.group_char == self.decimal_char {
            return invalid("group_char", "is the decimal_char too".to_owned());
        }
        if let Some(format) = &self.date_format
            && !(1..=DATE_FORMAT_CHARS).contains(&format.chars().count())
        {
            return invalid("date_format", format!("is 1 to {DATE_FORMAT_CHARS} characters, such as %d.%m.%Y"));
        }
        self.check_booleans()?;
        if self.header_line.is_some_and(|line| !(1..=HEADER_LINE).contains(&line)) {
            return invalid("header_line", format!("is a line from 1 to {HEADER_LINE}"));
        }
        for (option, given) in [("comment", self.comment), ("escape", self.escape)] {
            let Some(c) = given else { continue };
            if delimiter_byte(c).is_err() || c.is_ascii_whitespace() {
                let rule = "is one ASCII character, not a quote, white space, a letter or a digit";
                return invalid(option, rule.to_owned());
            }
            if delimiter == given {
                return invalid(option, "is the delimiter too".to_owned());
            }
        }
        if self.escape.is_some() && self.escape == self.comment {
            return invalid("escape", "is the comment too".to_owned());
        }
        if self.escape.is_some() && quoting == Some(false) {
            return invalid("escape", "has no meaning without quoting".to_owned());
        }
        if let Some(path) = &self.rows_at {
            let names = Self::names_of(path);
            let is_path = (1..=ROWS_AT_NAMES).contains(&names.len()) && !names.iter().any(String::is_empty);
            if !is_path || path.chars().count() > ROWS_AT_CHARS {
                let rule = format!(
                    "is 1 to {ROWS_AT_NAMES} names of members with dots between them, such as data.items, or a JSON Pointer, such \
                     as /data/my.items, of {ROWS_AT_CHARS} characters at most"
                );
                return invalid("rows_at", rule);
            }
        }
        Ok(())
    }

    /// The names of members of which a path of [`ReadOptions::rows_at`] is made: between its dots, or those of a JSON
    /// Pointer (RFC 6901) where it begins with `/`.
    pub fn names_of(path: &str) -> Vec<String> {
        match path.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect(),
            None => path.split('.').map(str::to_owned).collect(),
        }
    }

    /// The path of members of these names, as [`ReadOptions::names_of`] reads it.
    pub fn path_of(names: &[String]) -> String {
        let is_plain = |name: &String| !name.contains('.') && !name.is_empty();
        if names.iter().all(is_plain) && names.first().is_some_and(|first| !first.starts_with('/')) {
            return names.join(".");
        }
        names.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
    }

    fn check_booleans(&self) -> Result<(), InvalidOption> {
        for (option, values) in [("true_values", &self.true_values), ("false_values", &self.false_values)] {
            let is_bounded = |value: &String| (1..=OPTION_VALUE_CHARS).contains(&value.chars().count());
            if values.len() > OPTION_VALUES || !values.iter().all(is_bounded) {
                let rule = format!("is at most {OPTION_VALUES} texts of 1 to {OPTION_VALUE_CHARS} characters");
                return Err(InvalidOption { option, rule });
            }
        }
        if self.false_values.iter().any(|value| self.true_values.contains(value)) {
            return Err(InvalidOption::new("false_values", "has a text that is one of true_values too"));
        }
        Ok(())
    }

    /// The members that change what a cell means, without those of the shape.
    pub fn values(&self) -> Self {
        let Self { decimal_char, group_char, date_format, true_values, false_values, .. } = self.clone();
        Self { decimal_char, group_char, date_format, true_values, false_values, ..Self::default() }
    }

    /// What is pinned with an import: these options of it, and in their place, where they say nothing of the shape,
    /// what its kind presets. What a kind presets of values is under what its fields say for themselves, so that the
    /// kind knows it already.
    pub fn over(&self, preset: &Self) -> Self {
        Self {
            header_line: self.header_line.or(preset.header_line),
            comment: self.comment.or(preset.comment),
            escape: self.escape.or(preset.escape),
            short_rows: self.short_rows.or(preset.short_rows),
            rows_at: self.rows_at.clone().or_else(|| preset.rows_at.clone()),
            ..self.values()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImportOptions;

    fn invalid(options: &ReadOptions, delimiter: Option<char>, quoting: Option<bool>) -> Option<&'static str> {
        options.check(delimiter, quoting).err().map(|error| error.option)
    }

    fn read(json: &str) -> ReadOptions {
        serde_json::from_str(json).expect("options")
    }

    #[test]
    fn a_path_of_rows_is_dotted_or_a_pointer() {
        for (path, names) in
            [("data.items", &["data", "items"][..]), ("/a.b", &["a.b"]), ("/a~1b.c/~0d~01", &["a/b.c", "~d~1"])]
        {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!((ReadOptions::path_of(&names), ReadOptions::names_of(path)), (path.to_owned(), names));
        }
        assert_eq!(invalid(&read(r#"{"rows_at":"/a.b"}"#), None, None), None);
        assert_eq!(invalid(&read(r#"{"rows_at":"/"}"#), None, None), Some("rows_at"));
    }

    #[test]
    fn options_without_any_are_stored_as_before_and_all_ten_come_back() {
        let none = ImportOptions::default();
        assert_eq!(
            serde_json::to_string(&none).expect("writes"),
            r#"{"mode":"upsert","empty_cells":"keep","dry_run":false}"#
        );
        assert_eq!(serde_json::from_str::<ImportOptions>("{}").expect("reads"), none);
        let text = r##"{"decimal_char":",","group_char":".","date_format":"%d.%m.%Y","true_values":["ja"],"false_values":["nein"],"header_line":3,"comment":"#","escape":"\\","short_rows":"absent","rows_at":"data.items"}"##;
        let all = read(text);
        assert_eq!(serde_json::to_string(&all).expect("writes"), text);
        assert_eq!(all.check(None, None), Ok(()));
        let options: ImportOptions = serde_json::from_str(text).expect("reads");
        assert_eq!(options, ImportOptions { reading: all.clone(), ..none });
        let again = serde_json::to_string(&options).expect("writes");
        assert_eq!(serde_json::from_str::<ImportOptions>(&again).expect("reads"), options);
        assert!(serde_json::from_str::<ImportOptions>(r#"{"decimal":","}"#).is_err(), "no such option");
        assert!(serde_json::from_str::<ImportOptions>(r#"{"decimal_char":",,"}"#).is_err(), "one character");
    }

    #[test]
    fn each_option_may_be_null_which_is_its_default() {
        let error = serde_json::from_str::<ImportOptions>(r#"{"none":1}"#).expect_err("there is none").to_string();
        let names: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert!(names.len() > 20 && names.contains(&"mode"), "{error}");
        for name in names {
            let options = serde_json::from_str::<ImportOptions>(&format!(r#"{{"{name}":null}}"#));
            assert_eq!(options.unwrap_or_else(|error| panic!("{name}: {error}")), ImportOptions::default());
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        for (json, option) in [
            (r#"{"decimal_char":"5"}"#, "decimal_char"),
            (r#"{"decimal_char":" "}"#, "decimal_char"),
            (r#"{"group_char":"-"}"#, "group_char"),
            (r#"{"decimal_char":",","group_char":","}"#, "group_char"),
            (r#"{"date_format":""}"#, "date_format"),
            (r#"{"true_values":[""]}"#, "true_values"),
            (r#"{"true_values":["x"],"false_values":["-","x"]}"#, "false_values"),
            (r#"{"header_line":0}"#, "header_line"),
            (r#"{"comment":"a"}"#, "comment"),
            (r#"{"comment":"\""}"#, "comment"),
            (r#"{"escape":"\t"}"#, "escape"),
            (r##"{"escape":"#","comment":"#"}"##, "escape"),
            (r#"{"rows_at":"data..items"}"#, "rows_at"),
        ] {
            assert_eq!(invalid(&read(json), None, None), Some(option), "{json}");
        }
        let long = |count: usize| ReadOptions { date_format: Some("é".repeat(count)), ..ReadOptions::default() };
        assert_eq!(invalid(&long(DATE_FORMAT_CHARS), None, None), None);
        assert_eq!(invalid(&long(DATE_FORMAT_CHARS + 1), None, None), Some("date_format"));
        let many = |count: usize| ReadOptions { true_values: vec!["é".into(); count], ..ReadOptions::default() };
        assert_eq!(invalid(&many(OPTION_VALUES), None, None), None);
        assert_eq!(invalid(&many(OPTION_VALUES + 1), None, None), Some("true_values"));
        let text = |count: usize| ReadOptions { false_values: vec!["é".repeat(count)], ..ReadOptions::default() };
        assert_eq!(invalid(&text(OPTION_VALUE_CHARS), None, None), None);
        assert_eq!(invalid(&text(OPTION_VALUE_CHARS + 1), None, None), Some("false_values"));
        let line = |line: u64| ReadOptions { header_line: Some(line), ..ReadOptions::default() };
        assert_eq!(invalid(&line(HEADER_LINE), None, None), None);
        assert_eq!(invalid(&line(HEADER_LINE + 1), None, None), Some("header_line"));
        let path = |path: String| ReadOptions { rows_at: Some(path), ..ReadOptions::default() };
        assert_eq!(invalid(&path("é".repeat(ROWS_AT_CHARS)), None, None), None);
        assert_eq!(invalid(&path("é".repeat(ROWS_AT_CHARS + 1)), None, None), Some("rows_at"));
        assert_eq!(invalid(&path(vec!["a"; ROWS_AT_NAMES].join(".")), None, None), None);
        assert_eq!(invalid(&path(vec!["a"; ROWS_AT_NAMES + 1].join(".")), None, None), Some("rows_at"));
    }

    #[test]
    fn what_contradicts_delimiter_or_quoting_is_refused() {
        let comma = read(r#"{"decimal_char":","}"#);
        // A quoted cell may hold the delimiter.
        assert_eq!(invalid(&comma, Some(','), None), None);
        assert_eq!(invalid(&comma, Some(','), Some(false)), Some("decimal_char"));
        assert_eq!(invalid(&comma, Some(';'), Some(false)), None);
        assert_eq!(invalid(&read(r#"{"comment":";"}"#), Some(';'), None), Some("comment"));
        assert_eq!(invalid(&read(r#"{"escape":"|"}"#), Some('|'), None), Some("escape"));
        assert_eq!(invalid(&read(r#"{"escape":"\\"}"#), None, Some(false)), Some("escape"));
    }

    #[test]
    fn an_import_goes_before_its_kind_and_takes_the_shape_alone_from_it() {
        let preset = read(r##"{"decimal_char":",","header_line":3,"comment":"#","rows_at":"a"}"##);
        let given = read(r#"{"date_format":"%d.%m.%Y","header_line":2}"#);
        let pinned = read(r##"{"date_format":"%d.%m.%Y","header_line":2,"comment":"#","rows_at":"a"}"##);
        assert_eq!(given.over(&preset), pinned);
        assert_eq!(ReadOptions::default().over(&ReadOptions::default()), ReadOptions::default());
    }
}
