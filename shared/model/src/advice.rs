//! Options as messages name them: by the word of the API in what is stored and answered, by the flag of the command in
//! a terminal.
//!
//! A message says "the option `date_format` = "%d.%m.%Y"": the option's name and its value, JSON as a request has it.
//! [`for_command`] turns that into "`--date-format %d.%m.%Y`", as a shell takes it. So a message is written once.

use std::{borrow::Cow, fmt};

use serde_json::Value;

use crate::limits;

/// What goes before an option's name in a message.
const START: &str = "the option `";

/// An option of an import that a message may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// The byte between two cells.
    Delimiter,
    /// Whether quotes open cells.
    Quoting,
    /// The encoding of the text.
    Encoding,
    /// The sheet of a workbook.
    Sheet,
    /// The fields of columns.
    Mapping,
    /// The character before the fraction of a number.
    DecimalChar,
    /// The character between the groups of digits of a number.
    GroupChar,
    /// The format of dates.
    DateFormat,
    /// Texts that are true.
    TrueValues,
    /// Texts that are false.
    FalseValues,
    /// The line of the header.
    HeaderLine,
    /// What a line that is no row starts with.
    Comment,
    /// The character before a quote that is data.
    Escape,
    /// What becomes of a row with too few cells.
    ShortRows,
    /// Where in a JSON document the rows are.
    RowsAt,
}

impl Setting {
    /// All of them, each with its name in the API and its flag of the command.
    pub const ALL: [(Self, &'static str, &'static str); 15] = [
        (Self::Delimiter, "delimiter", "--delimiter"),
        (Self::Quoting, "quoting", "--no-quoting"),
        (Self::Encoding, "encoding", "--encoding"),
        (Self::Sheet, "sheet", "--sheet"),
        (Self::Mapping, "mapping", "--map"),
        (Self::DecimalChar, "decimal_char", "--decimal-char"),
        (Self::GroupChar, "group_char", "--group-char"),
        (Self::DateFormat, "date_format", "--date-format"),
        (Self::TrueValues, "true_values", "--true-values"),
        (Self::FalseValues, "false_values", "--false-values"),
        (Self::HeaderLine, "header_line", "--header-line"),
        (Self::Comment, "comment", "--comment"),
        (Self::Escape, "escape", "--escape"),
        (Self::ShortRows, "short_rows", "--short-rows"),
        (Self::RowsAt, "rows_at", "--rows-at"),
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(setting, ..)| *setting == self).map_or("", |(_, name, _)| name)
    }

    /// The option with a value, as a message advises it.
    pub fn to(self, value: impl Into<Value>) -> String {
        format!("{self} = {}", ascii_where_hidden(&value.into().to_string()))
    }
}

/// The option without a value: "the option `sheet`".
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&option(self.name()))
    }
}

/// An option of an import as a message names it: "the option `sheet`".
pub fn option(name: &str) -> String {
    format!("{START}{name}`")
}

/// A message as the command says it: with flags for options. What names no option stays as it is.
pub fn for_command(message: &str) -> Cow<'_, str> {
    if !message.contains(START) {
        return message.into();
    }
    let (mut said, mut rest) = (String::with_capacity(message.len()), message);
    while let Some(at) = rest.find(START) {
        let (before, behind) = (&rest[..at], &rest[at + START.len()..]);
        let known = Setting::ALL.iter().find_map(|(setting, name, flag)| {
            let behind = behind.strip_prefix(name)?.strip_prefix('`')?;
            Some((*setting, *flag, behind))
        });
        said.push_str(before);
        let Some((setting, flag, behind)) = known else {
            said.push_str(START);
            rest = behind;
            continue;
        };
        match behind.strip_prefix(" = ").and_then(value) {
            Some((value, behind)) => {
                said.push_str(&format!("`{}`", arguments(setting, flag, &value)));
                rest = behind;
            }
            None => {
                said.push_str(&format!("`{flag}`"));
                rest = behind;
            }
        }
    }
    said.push_str(rest);
    said.into()
}

/// The JSON value that a text starts with, and what is behind it.
fn value(text: &str) -> Option<(Value, &str)> {
    // The point of a sentence is none of its number's.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        let (number, behind) = text.split_at(digits);
        return Some((serde_json::from_str(number).ok()?, behind));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

/// The arguments of a command that give an option a value.
fn arguments(setting: Setting, flag: &str, value: &Value) -> String {
    let argument = |value: &Value| match value {
        Value::String(text) => format!("{flag} {}", for_shell(text)),
        other => format!("{flag} {}", for_shell(&other.to_string())),
    };
    match (setting, value) {
        (Setting::Quoting, _) => flag.to_owned(),
        (_, Value::Array(values)) => values.iter().map(argument).collect::<Vec<_>>().join(" "),
        (_, Value::Object(members)) => {
            let pair = |(name, value): (&String, &Value)| {
                let pair = format!("{name}={}", value.as_str().unwrap_or_default());
                format!("{flag} {}", for_shell(&pair))
            };
            members.iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        (_, value) => argument(value),
    }
}

/// A text as one word of a shell: as it is where nothing in it means anything there, else in quotes.
fn for_shell(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "%+-./:=@_,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    if !text.contains(is_hidden) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut quoted = "$'".to_owned();
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_hidden(c) && u32::from(c) > 0xffff => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c if is_hidden(c) => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// JSON in which no character is hidden: it means the same.
fn ascii_where_hidden(json: &str) -> String {
    let mut units = [0; 2];
    json.chars().fold(String::with_capacity(json.len()), |mut shown, c| {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Whether a character cannot be seen, or moves or turns what is around it: controls, format characters, and white
/// space other than the space (Unicode general categories Cc, Cf, Zl, Zp, and Zs but U+0020).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A text from a file or a request as a message shows it: each hidden character as `<U+FEFF>`, and no more than `chars`
/// characters of it, with `…` where there are more.
pub fn visible(text: &str, chars: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(4 * chars));
    for (at, c) in text.chars().enumerate() {
        if at == chars {
            shown.push('…');
            break;
        }
        if is_hidden(c) {
            shown.push_str(&format!("<U+{:04X}>", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A name from a file or a request as a message shows it: [`visible`], of [`limits::SHOWN_NAME_CHARS`] characters.
pub fn shown(name: &str) -> String {
    visible(name, limits::SHOWN_NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_command_says_flags_where_the_api_says_options() {
        let said = [
            (format!("give {}", Setting::DateFormat.to("%d.%m.%Y")), "give `--date-format %d.%m.%Y`"),
            (
                format!("give {}; x", Setting::TrueValues.to(json!(["yes", "it is"]))),
                "give `--true-values yes --true-values 'it is'`; x",
            ),
            (Setting::Mapping.to(json!({ "Item 'no'": "sku" })), r"`--map 'Item '\''no'\''=sku'`"),
            (Setting::Mapping.to(json!({ "a\nb\u{feff}": "sku" })), r"`--map $'a\nb\uFEFF=sku'`"),
            (format!("{}.", Setting::HeaderLine.to(4)), "`--header-line 4`."),
            (Setting::Quoting.to(false), "`--no-quoting`"),
            (Setting::Escape.to("\\"), r"`--escape '\'`"),
            (format!("{} names it", Setting::Encoding), "`--encoding` names it"),
        ];
        for (message, wanted) in said {
            assert_eq!(for_command(&message), wanted);
        }
    }

    #[test]
    fn what_names_no_option_stays_as_it_is() {
        for message in ["`sheet`: x", "the option `colour` = 3", "the option `", "the option `sheet", ""] {
            assert_eq!(for_command(message), message);
        }
        assert_eq!(for_command("the option `sheet` = {"), "`--sheet` = {");
    }

    #[test]
    fn hidden_characters_are_seen() {
        assert_eq!(visible("\u{feff}sku\u{a0}\u{1b}[31m", 60), "<U+FEFF>sku<U+00A0><U+001B>[31m");
        assert_eq!((visible("größe 東京", 60), visible("abc", 2)), ("größe 東京".to_owned(), "ab…".to_owned()));
        assert_eq!(Setting::Sheet.to("a\u{feff}\u{e0001}"), "the option `sheet` = \"a\\ufeff\\udb40\\udc01\"");
    }
}
