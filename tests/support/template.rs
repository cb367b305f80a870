//! The CloudFormation templates of the repository, as they are written.

use std::path::Path;

use yaml_serde::Value;

/// A template of the repository, tags included.
pub fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there");
    yaml_serde::from_str(&text).expect("it is YAML")
}

/// A value as it is written in the template.
pub fn shown(value: &Value) -> String {
    yaml_serde::to_string(value).expect("a value that was read can be written").trim_end().to_owned()
}

/// A list, or a single value, such as a `!Sub` of a list, as a list of one.
pub fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Sequence(values) => values.iter().collect(),
        value => vec![value],
    }
}

/// A statement that stands under a condition, as it is where the condition holds; any other as it is.
pub fn as_allowed(statement: &Value) -> &Value {
    match statement {
        Value::Tagged(tagged) => &tagged.value[1],
        statement => statement,
    }
}
