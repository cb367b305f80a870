//! The options of reading, applied to a kind: what an import says goes before what the kind's fields say, and that goes
//! before what the kind presets.

use penstock_model::{Failure, Field, InvalidOption, ReadOptions};

use super::{
    FieldCheck, Kind, check::Rule, components::Temporal, nested::Items, number::NumberRule, strptime::DatePattern,
};
use crate::options;

/// The options of values, compiled once for all fields.
struct Values<'a> {
    said: &'a ReadOptions,
    dates: Option<(DatePattern, Temporal)>,
}

impl<'a> Values<'a> {
    fn compile(said: &'a ReadOptions) -> Result<Self, InvalidOption> {
        let pattern = said.date_format.as_deref().map(DatePattern::of_option).transpose();
        let dates = pattern.map_err(|rule| InvalidOption::new("date_format", rule))?;
        Ok(Self { said, dates })
    }

    fn say_nothing(&self) -> bool {
        self.said.values().is_empty()
    }
}

impl Kind {
    /// The kind as an import with these options reads its files.
    ///
    /// # Errors
    /// A permanent failure, `invalid_option`: an option and what a field says for itself contradict one another.
    pub fn read_by(mut self, reading: &ReadOptions) -> Result<Self, Failure> {
        let apply = || {
            let values = Values::compile(reading)?;
            if !values.say_nothing() {
                self.fields.iter_mut().try_for_each(|field| field.read_by(&values, None))?;
            }
            Ok(self)
        };
        apply().map_err(|error: InvalidOption| options::invalid(&error))
    }

    /// Applies what the kind presets to the fields that do not say it for themselves.
    ///
    /// # Errors
    /// As [`Kind::read_by`].
    pub(super) fn preset(&mut self, fields: &[Field]) -> Result<(), InvalidOption> {
        let preset = self.reading.clone();
        let values = Values::compile(&preset)?;
        if values.say_nothing() {
            return Ok(());
        }
        self.fields.iter_mut().zip(fields).try_for_each(|(check, field)| check.read_by(&values, Some(field)))
    }
}

impl FieldCheck {
    /// Applies options, but for what `own` says of itself.
    fn read_by(&mut self, values: &Values<'_>, own: Option<&Field>) -> Result<(), InvalidOption> {
        let Values { said, dates } = values;
        let says = |has: fn(&Field) -> bool| own.is_some_and(has);
        match &mut self.rule {
            Rule::Number(rule) => {
                let decimal = said.decimal_char.filter(|_| !says(|own| own.decimal_char.is_some()));
                let group = said.group_char.filter(|_| !says(|own| own.group_char.is_some()));
                // What is preset for all fields gives way to what one says for itself.
                let group = group.filter(|group| own.is_none_or(|own| own.decimal_char != Some(*group)));
                rule.read_by(decimal, group).map_err(|rule| {
                    InvalidOption::new(
                        "group_char",
                        format!("{rule} of the field `{}`: give decimal_char too", self.name),
                    )
                })?;
            }
            Rule::Integer(rule) => {
                if let Some(group) = said.group_char.filter(|_| !says(|own| own.group_char.is_some())) {
                    rule.group_char = Some(group);
                    rule.decimal_char = NumberRule::point_of_integer(Some(group));
                }
            }
            Rule::Boolean { true_values, false_values } => {
                if !said.true_values.is_empty() && !says(|own| own.true_values.is_some()) {
                    true_values.clone_from(&said.true_values);
                    false_values.retain(|value| !true_values.contains(value));
                }
                if !said.false_values.is_empty() && !says(|own| own.false_values.is_some()) {
                    false_values.clone_from(&said.false_values);
                    true_values.retain(|value| !false_values.contains(value));
                }
            }
            Rule::Temporal(rule) => {
                if let Some((pattern, of)) = dates
                    && !says(|own| own.format.is_some())
                {
                    rule.read_by(pattern, *of);
                }
            }
            Rule::Array { items: Some(Items { fields, .. }), .. } => {
                let of_items = own.and_then(|own| own.item_schema.as_ref()).map(|schema| &schema.fields);
                for (at, (item, _)) in fields.iter_mut().enumerate() {
                    item.read_by(values, of_items.and_then(|fields| fields.get(at)))?;
                }
            }
            // The items of a list have the default formats of their type.
            Rule::String(_)
            | Rule::Year(_)
            | Rule::Array { .. }
            | Rule::List { .. }
            | Rule::Object { .. }
            | Rule::Any => {}
        }
        self.know_plainly_good();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use penstock_model::Value;

    use super::*;
    use crate::cell::Input;

    fn kind(reading: &str) -> Result<Kind, crate::kind::SchemaError> {
        let document = format!(
            r#"{{ "name": "t", "primaryKey": "k", "reading": {reading}, "fields": [
                {{ "name": "k" }},
                {{ "name": "number", "type": "number", "constraints": {{ "minimum": "0.5" }} }},
                {{ "name": "points", "type": "number", "decimalChar": ".", "default": "1.5" }},
                {{ "name": "whole", "type": "integer" }},
                {{ "name": "yes", "type": "boolean" }},
                {{ "name": "day", "type": "date" }},
                {{ "name": "moment", "type": "datetime" }},
                {{ "name": "time", "type": "time" }},
                {{ "name": "list", "type": "array", "itemSchema": {{ "fields": [{{ "name": "n", "type": "number" }}] }} }}
            ] }}"#
        );
        Kind::compile(&Kind::parse(document.as_bytes())?, &"acme".parse().expect("valid"))
    }

    fn read(kind: &Kind, field: &str, cell: &str) -> String {
        match kind.field(kind.index_of(field).expect("a field")).check(Input::Text(cell)) {
            Ok(cell) => serde_json::to_string(&cell.map(Value::from)).expect("JSON"),
            Err(errors) => errors[0].code.to_owned(),
        }
    }

    fn options(json: &str) -> ReadOptions {
        serde_json::from_str(json).expect("options")
    }

    const ALL: &str = r#"{ "decimal_char": ",", "group_char": ".", "date_format": "%d.%m.%Y", "true_values": ["ja", "0"],
        "false_values": ["nein"] }"#;

    #[test]
    fn an_option_goes_before_every_field() {
        let kind = kind("{}").expect("compiles").read_by(&options(ALL)).expect("fits");
        for (field, cell, wanted) in [
            ("number", "1.234,56", "1234.56"),
            ("number", "1.234", "1234"),
            ("number", "12.5", "other_decimal_char"),
            ("number", "0,4", "too_small"),
            ("points", "1,5", "1.5"),
            ("whole", "1.234", "1234"),
            ("whole", "1.5", "invalid_integer"),
            ("yes", "ja", "true"),
            ("yes", "0", "true"),
            ("yes", "nein", "false"),
            ("yes", "true", "invalid_boolean"),
            ("day", "31.12.2024", "\"2024-12-31\""),
            ("day", "2024-12-31", "invalid_date"),
            ("moment", "31.12.2024", "\"2024-12-31T00:00:00\""),
            ("moment", "2024-12-31T10:00:00Z", "\"2024-12-31T10:00:00Z\""),
            ("time", "10:00:00", "\"10:00:00\""),
            ("list", r#"[{"n":"1,5"},{"n":2.5}]"#, r#"[{"n":1.5},{"n":2.5}]"#),
        ] {
            assert_eq!(read(&kind, field, cell), wanted, "{field} {cell}");
        }
    }

    #[test]
    fn zeros_before_a_separator_are_no_group() {
        let german = kind("{}").expect("compiles").read_by(&options(ALL)).expect("fits");
        for (field, cell, wanted) in [
            ("number", "0.125", "other_decimal_char"),
            ("number", "00.125", "other_decimal_char"),
            ("number", "-0.125", "other_decimal_char"),
            ("number", "0,625", "0.625"),
            ("whole", "0.125", "invalid_integer"),
            ("whole", "012.500", "invalid_integer"),
            ("whole", "0", "0"),
            ("whole", "10.000", "10000"),
        ] {
            assert_eq!(read(&german, field, cell), wanted, "{field} {cell}");
        }
        let grouped = kind("{}").expect("compiles").read_by(&options(r#"{ "group_char": "," }"#)).expect("fits");
        assert_eq!(read(&grouped, "number", "0,125"), "other_decimal_char");
        assert_eq!(read(&grouped, "number", "1,125"), "1125");
    }

    #[test]
    fn the_number_that_a_spreadsheet_has_for_a_day_is_said_to_be_one() {
        let kind = kind("{}").expect("compiles");
        let message = |field: &str, cell| {
            let field = kind.field(kind.index_of(field).expect("a field"));
            field.check(Input::Number(cell)).expect_err("no date")[0].message.clone()
        };
        let said = "not a date, but the number that a spreadsheet has for a day: write 2024-12-31";
        assert_eq!(message("day", "45657"), said);
        assert!(message("moment", "45657").ends_with("write 2024-12-31T00:00:00"));
        assert_eq!(message("day", "7"), "a string with a date or a time is expected");
    }

    #[test]
    fn a_preset_goes_behind_what_a_field_says() {
        let preset = kind(ALL).expect("compiles");
        let read_so = |field, cell| read(&preset, field, cell);
        assert_eq!(read_so("number", "1.234,56"), "1234.56");
        assert_eq!(read_so("points", "1.5"), "1.5");
        assert_eq!(read_so("points", "1,5"), "other_decimal_char");
        assert_eq!(read_so("day", "31.12.2024"), "\"2024-12-31\"");
        assert_eq!(read_so("yes", "ja"), "true");
        // An import goes before both.
        let by_import =
            preset.clone().read_by(&options(r#"{ "decimal_char": ".", "group_char": "," }"#)).expect("fits");
        assert_eq!(read(&by_import, "number", "1,234.56"), "1234.56");
        assert_eq!(read(&by_import, "day", "31.12.2024"), "\"2024-12-31\"");
    }

    #[test]
    fn a_pattern_with_a_time_reads_moments_and_days_at_midnight() {
        let kind =
            kind("{}").expect("compiles").read_by(&options(r#"{ "date_format": "%d.%m.%Y %I:%M %p" }"#)).expect("fits");
        assert_eq!(read(&kind, "moment", "31.12.2024 1:30 pm"), "\"2024-12-31T13:30:00\"");
        assert_eq!(read(&kind, "day", "31.12.2024 12:00 am"), "\"2024-12-31\"");
        assert_eq!(read(&kind, "day", "31.12.2024 12:00 pm"), "invalid_date", "the time would be lost");
    }

    #[test]
    fn what_would_stand_for_two_things_is_refused() {
        let refused = |json: &str| kind("{}").expect("compiles").read_by(&options(json)).expect_err("refused");
        let failure = refused(r#"{ "group_char": "." }"#);
        assert_eq!(failure.code, "invalid_option");
        assert_eq!(
            failure.message,
            "the option `group_char` is the decimal character of the field `number`: give decimal_char too"
        );
        assert_eq!(refused(r#"{ "date_format": "31.12.2024" }"#).code, "invalid_option");
        assert_eq!(refused(r#"{ "date_format": "%d.%m." }"#).code, "invalid_option");
        for (preset, pointer) in [
            (r#"{ "group_char": "." }"#, "/reading/group_char"),
            (r#"{ "date_format": "%Q" }"#, "/reading/date_format"),
            (r#"{ "header_line": 0 }"#, "/reading/header_line"),
            (r#"{ "decimal": "," }"#, "/reading/decimal"),
        ] {
            assert_eq!(kind(preset).expect_err("refused").pointer, pointer, "{preset}");
        }
    }
}
