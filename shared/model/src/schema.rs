//! A record kind as data: the part of Table Schema (Frictionless Data, <https://specs.frictionlessdata.io/table-schema/>) that is supported.

use serde::{Deserialize, Serialize};

use crate::KindName;

/// A kind of record: what its fields are called, what they may hold, and which of them name the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schema {
    /// The kind's name.
    pub name: KindName,
    /// A title for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The fields, in the order in which a template lists them.
    pub fields: Vec<Field>,
    /// The fields that together name a record, in the order in which a key is written.
    pub primary_key: Vec<String>,
    /// Cells that hold nothing; the empty cell unless the schema says otherwise.
    #[serde(default = "empty_cell")]
    pub missing_values: Vec<String>,
    /// What becomes of columns that no field is named after. An extension of Penstock's.
    #[serde(default)]
    pub additional_fields: AdditionalFields,
}

/// What becomes of a column that the schema does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdditionalFields {
    /// It is left out of the record and listed in the import.
    #[default]
    Ignore,
}

/// One field of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Field {
    /// The field's name, which is also its column's.
    pub name: String,
    /// A title for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// A description for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What its cells hold.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// What its values must keep to.
    #[serde(default)]
    pub constraints: Constraints,
    /// The cell that a new record gets where its row has none. An extension of Penstock's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// The types of Table Schema that are supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Text, kept as it came: leading zeros and spaces stay.
    String,
    /// An exact decimal, see [`crate::Decimal`].
    Number,
    /// A whole number of 64 bits, signed.
    Integer,
    /// `true`, `True`, `TRUE`, `1`, or `false`, `False`, `FALSE`, `0`: the defaults of Table Schema.
    Boolean,
}

/// The constraints of Table Schema that are supported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Constraints {
    /// Whether a row without a value fails.
    #[serde(default)]
    pub required: bool,
    /// Fewest characters (Unicode scalar values) of a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<usize>,
    /// Most characters (Unicode scalar values) of a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Least number, as a cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
    /// Greatest number, as a cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<String>,
}

fn empty_cell() -> Vec<String> {
    vec![String::new()]
}
