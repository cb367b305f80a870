//! Presets: options that an account keeps under a name, for imports of a kind.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Actor, ImportOptions, KindName, PresetName};

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
    /// These options where they are named, and in place of the others those of a preset. An option counts as a whole:
    /// a mapping that is named takes the place of the preset's. One that is named and holds its default, or `null`,
    /// sets the preset's back.
    pub fn over(&self, preset: &Self, named: &BTreeSet<String>) -> Self {
        let members = |options: &Self| match serde_json::to_value(options) {
            Ok(Value::Object(members)) => members,
            _ => unreachable!("options are written as an object"),
        };
        // What is left out when it is written has its default.
        let (mut own, mut all) = (members(self), members(preset));
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
    }
}
