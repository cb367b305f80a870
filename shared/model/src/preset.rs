//! Presets: options that an account keeps under a name, for imports of a kind.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Actor, ImportOptions, KindName, Mode, PresetName};

/// Options that are kept under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preset {
    /// The name.
    pub name: PresetName,
    /// The kind of the records of its imports.
    pub kind: KindName,
    /// How its imports are done.
    pub options: ImportOptions,
    /// When it was put, in Unix milliseconds.
    pub put_at: i64,
    /// Who put it, with the rights that its options take.
    pub put_by: Actor,
}

impl ImportOptions {
    /// The options that do not hold their defaults, as JSON has them.
    pub fn said(&self) -> Map<String, Value> {
        let members = |options: &Self| match serde_json::to_value(options) {
            Ok(Value::Object(members)) => members,
            _ => unreachable!("options are written as an object"),
        };
        let (mut said, defaults) = (members(self), members(&Self::default()));
        said.retain(|name, value| defaults.get(name) != Some(value));
        said
    }

    /// These options where they are named, and in place of the others those of a preset. An option counts as a whole:
    /// a mapping that is named takes the place of the preset's. One that is named and holds its default, or `null`,
    /// sets the preset's back. What a preset says of how much a replace may remove goes with its mode: it is not that
    /// of an import for which another mode is named.
    pub fn over(&self, preset: &Self, named: &BTreeSet<String>) -> Self {
        let (mut own, mut all) = (self.said(), preset.said());
        if named.contains("mode") && self.mode != Mode::Replace {
            all.remove("most_removed_percent");
        }
        for name in named {
            match own.remove(name) {
                Some(value) => all.insert(name.clone(), value),
                None => all.remove(name),
            };
        }
        serde_json::from_value(Value::Object(all)).expect("options that are written are read")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(request: &str, preset: &str) -> ImportOptions {
        let members: serde_json::Map<String, Value> = serde_json::from_str(request).expect("an object");
        let options: ImportOptions = serde_json::from_str(request).expect("options");
        options
            .over(&serde_json::from_str(preset).expect("options"), &members.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn what_a_request_names_wins_option_by_option() {
        let preset = r#"{"delimiter":";","mode":"replace","mapping":{"A":"sku","B":"name"},"review":false,"force":true,
            "decimal_char":",","true_values":["ja"],"most_removed_percent":5}"#;
        let whole: ImportOptions = serde_json::from_str(preset).expect("options");
        assert_eq!(over("{}", preset), whole);
        let named = over(r#"{"delimiter":"\t","mapping":{"A":"name"}}"#, preset);
        let mapping = [("A".to_owned(), "name".to_owned())].into();
        assert_eq!(named, ImportOptions { delimiter: Some('\t'), mapping, ..whole.clone() });
        // What is named as its default is not the preset's.
        let back = r#"{"mode":"upsert","most_removed_percent":null,"force":false,"delimiter":null,"mapping":{},
            "decimal_char":null,"true_values":[]}"#;
        assert_eq!(over(back, preset), ImportOptions::default());
        // So is what is named as `null`, whatever its type is.
        let null: Map<String, Value> = whole.said().into_iter().map(|(name, _)| (name, Value::Null)).collect();
        assert_eq!(over(&Value::Object(null).to_string(), preset), ImportOptions::default());
    }

    #[test]
    fn how_much_a_replace_may_remove_goes_with_the_mode_of_the_preset() {
        let preset = r#"{"mode":"replace","most_removed_percent":5}"#;
        let upsert = ImportOptions::default();
        assert_eq!(over(r#"{"mode":"upsert"}"#, preset), upsert);
        assert_eq!(over(r#"{"mode":null}"#, preset), upsert);
        let replace = ImportOptions { mode: Mode::Replace, most_removed_percent: Some(5), ..upsert.clone() };
        assert_eq!(over(r#"{"mode":"replace"}"#, preset), replace);
        assert_eq!(
            over(r#"{"most_removed_percent":0}"#, preset),
            ImportOptions { most_removed_percent: Some(0), ..replace }
        );
        // What the request says itself is its own fault.
        let both = over(r#"{"mode":"fill","most_removed_percent":1}"#, preset);
        assert_eq!(both, ImportOptions { mode: Mode::Fill, most_removed_percent: Some(1), ..upsert });
    }
}
