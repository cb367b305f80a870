//! Values as a file has them: what a field reads as the same value again.
//!
//! A record is shown in one form ([`Value`]'s JSON); a file is written as the field's schema says, since that is how an
//! import reads it: dates by the field's pattern, numbers with its decimal character, booleans by the first of its
//! texts that is read so, and a text of an account without the account before it.

use std::borrow::Cow;

use penstock_model::Value;

use super::{FieldCheck, Kind, check::Rule, nested::Items};
use crate::cell::{Cell, Input};

impl FieldCheck {
    /// A value as a cell of a delimited file. Where no cell says it, such as a moment with a zone where the pattern has
    /// none, it is the value as it is shown.
    pub(crate) fn as_cell<'a>(&self, value: &'a Value) -> Cow<'a, str> {
        match (value, &self.rule) {
            (Value::Text(text), _) => self.as_written(text),
            (Value::Number(number), Rule::Number(rule)) => rule.written(&number.to_string()).into(),
            (Value::Number(number), Rule::Year(_)) => format!("{:0>4}", number.to_string()).into(),
            (Value::Number(number), _) => number.to_string().into(),
            (Value::Boolean(boolean), _) => self.boolean_text(*boolean).to_owned().into(),
            (nested, _) => serde_json::to_string(nested).expect("a value has JSON").into(),
        }
    }

    /// Writes a value as JSON.
    pub(crate) fn write_json(&self, value: &Value, file: &mut Vec<u8>) {
        match (value, &self.rule) {
            (Value::Text(text), _) => write_plain(&self.as_written(text), file),
            (Value::List(values), Rule::Array { items: Some(items), .. }) => {
                file.push(b'[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        file.push(b',');
                    }
                    items.write_json(value, file);
                }
                file.push(b']');
            }
            (value, _) => write_plain(value, file),
        }
    }

    /// A text as the field reads it.
    fn as_written<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.rule {
            Rule::Temporal(rule) => rule.written_exactly(text).map_or(Cow::Borrowed(text), Cow::Owned),
            _ => self.prefix.as_deref().and_then(|prefix| text.strip_prefix(prefix)).unwrap_or(text).into(),
        }
    }

    /// The first text that the field reads as this boolean.
    fn boolean_text(&self, boolean: bool) -> &str {
        let Rule::Boolean { true_values, false_values } = &self.rule else {
            return if boolean { "true" } else { "false" };
        };
        let values = if boolean { true_values } else { false_values };
        let is_read = |text: &&String| self.check(Input::Text(text)) == Ok(Some(Cell::Boolean(boolean)));
        values.iter().find(is_read).map_or(if boolean { "true" } else { "false" }, String::as_str)
    }

    /// Whether it holds arrays, objects, lists, or whatever comes, of which a cell does not tell a number from a text.
    pub(crate) fn is_nested(&self) -> bool {
        matches!(self.rule, Rule::Array { .. } | Rule::List { .. } | Rule::Object { .. } | Rule::Any)
    }

    /// Whether a cell can say that the field holds nothing, or need not.
    pub(crate) fn can_say_nothing(&self) -> bool {
        self.required || !self.missing.is_empty()
    }
}

impl Items {
    fn write_json(&self, item: &Value, file: &mut Vec<u8>) {
        let Value::Object(members) = item else { return write_plain(item, file) };
        write_members(members.iter().map(|(name, value)| (name.as_str(), value)), file, |name| {
            self.fields.iter().map(|(field, _)| field).find(|field| field.name() == name)
        });
    }
}

impl Kind {
    /// Writes a record's fields as a JSON object: those of the schema in its order, then the others by their names.
    pub(crate) fn write_json(&self, fields: &std::collections::BTreeMap<String, Value>, file: &mut Vec<u8>) {
        let own = self.fields.iter().filter_map(|field| fields.get_key_value(field.name()));
        let others = fields.iter().filter(|(name, _)| self.index_of(name).is_none());
        let members = own.chain(others).map(|(name, value)| (name.as_str(), value));
        write_members(members, file, |name| self.index_of(name).map(|place| self.field(place)));
    }
}

fn write_members<'a, 'f>(
    members: impl Iterator<Item = (&'a str, &'a Value)>,
    file: &mut Vec<u8>,
    field: impl Fn(&str) -> Option<&'f FieldCheck>,
) {
    file.push(b'{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            file.push(b',');
        }
        write_plain(name, file);
        file.push(b':');
        match field(name) {
            Some(field) => field.write_json(value, file),
            None => write_plain(value, file),
        }
    }
    file.push(b'}');
}

fn write_plain(value: &(impl serde::Serialize + ?Sized), file: &mut Vec<u8>) {
    serde_json::to_writer(file, value).expect("a value has JSON, and writing to memory succeeds");
}
