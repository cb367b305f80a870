//! A record kind as data: the part of Table Schema (Frictionless Data,
//! <https://specs.frictionlessdata.io/table-schema/>) that is supported.
//!
//! A schema as it is published is read, in version 1 or 2 of the standard. Members that mean nothing here, such as
//! `rdfType` or `example`, are let pass ([`Others`]); what would change what is read and is not supported is refused
//! when the schema is compiled.
//!
//! What goes beyond Table Schema is marked as an extension of Penstock's. Read with serde_json alone: numbers keep
//! every digit that they have, which other formats of serde do not pass on.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error, IgnoredAny, IntoDeserializer, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::value::RawValue;

use crate::{Decimal, KindName, ReadOptions, Value};

/// A kind of record: what its fields are called, what they may hold, and which of them name the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Schema {
    /// The kind's name.
    pub name: KindName,
    /// A title for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// A description for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The fields, in the order in which a template lists them.
    pub fields: Vec<Field>,
    /// The fields that together name a record, in the order in which a key is written. A single one may stand without
    /// an array.
    #[serde(default, deserialize_with = "one_or_many")]
    pub primary_key: Vec<String>,
    /// Cells that hold nothing; the empty cell unless the schema says otherwise.
    #[serde(default = "empty_cell", deserialize_with = "missing_values")]
    pub missing_values: Vec<String>,
    /// Which of the fields a file must have, and whether it may have others; columns are found by their names either
    /// way.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "fields_match")]
    pub fields_match: Option<FieldsMatch>,
    /// Sets of fields that no two records share. Only the primary key can be one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_keys: Vec<Vec<String>>,
    /// What becomes of columns that no field is named after. An extension of Penstock's.
    #[serde(default)]
    pub additional_fields: AdditionalFields,
    /// How like a field's name its column's has to be. An extension of Penstock's.
    #[serde(default)]
    pub column_names: ColumnNames,
    /// How files of the kind are read, where an import's options or a field does not say otherwise: members with the
    /// names that an import's options have. An extension of Penstock's.
    #[serde(default, skip_serializing_if = "ReadOptions::is_empty")]
    pub reading: ReadOptions,
    /// `false` where records of the kind are also written by other means than imports: then every row of an import is
    /// read and applied, also one that says again what was said last of its record. An extension of Penstock's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<bool>,
    /// What has to be true of a row as a whole. An extension of Penstock's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RowRule>,
    /// Members that mean nothing here.
    #[serde(flatten, skip_serializing)]
    pub others: Others,
}

/// What has to be true of a row as a whole: `{"rule": "msrp == null || msrp >= cost", "message": "must not be below
/// cost", "fields": ["msrp"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with `rule` and `message`")]
pub struct RowRule {
    /// An expression in CEL (<https://cel.dev>) over the row's fields, of at most [`crate::limits::RULE_BYTES`]. A row
    /// of which it is not true is rejected.
    pub rule: String,
    /// What the row's owner is told, of at most [`crate::limits::RULE_MESSAGE_CHARS`].
    pub message: String,
    /// The fields that the error is about, the first of them first; those that the rule reads, if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Members that mean nothing here.
    #[serde(flatten, skip_serializing)]
    pub others: Others,
}

/// The names of members that are let pass: those of the standard that mean nothing here, and those of other programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others(pub Vec<String>);

impl<'de> Deserialize<'de> for Others {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(members.into_keys().collect()))
    }
}

/// Which of a schema's fields a file must have, and whether it may have others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldsMatch {
    /// All of them in their order, and no other. Not supported: columns are found by their names.
    Exact,
    /// All of them, and no other.
    Equal,
    /// All of them.
    Subset,
    /// No other.
    Superset,
    /// At least one; those that are required, as of every file.
    Partial,
}

impl FieldsMatch {
    /// Whether a file has a column for every field.
    pub fn wants_all(self) -> bool {
        matches!(self, Self::Exact | Self::Equal | Self::Subset)
    }

    /// Whether a file has no column without a field.
    pub fn wants_no_other(self) -> bool {
        matches!(self, Self::Exact | Self::Equal | Self::Superset)
    }
}

/// What becomes of a column that the schema does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdditionalFields {
    /// It is kept, as a field of type `any`.
    Keep,
    /// It is left out of the record and listed in the import.
    #[default]
    Ignore,
}

/// When a column has the name of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnNames {
    /// When it is the same but for what people write differently: case, accents, spaces, `_`, `-` and `.`.
    #[default]
    Alike,
    /// When it is the same.
    Exact,
}

/// One field of a kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object such as {\"name\": \"sku\"}")]
pub struct Field {
    /// The field's name, which is also its column's.
    pub name: String,
    /// A title for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// A description for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What its cells hold; text unless the schema says otherwise.
    #[serde(rename = "type", default)]
    pub field_type: FieldType,
    /// How its cells are written: for text `email`, `uri`, `uuid`, or of Penstock's own `gtin` and `ean`; for a date or
    /// a time a pattern of `strptime`; `default` for what the type says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// What its values must keep to.
    #[serde(default, skip_serializing_if = "Constraints::is_empty")]
    pub constraints: Constraints,
    /// Of numbers: what stands between the whole part and the fraction; `.` unless the schema says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal_char: Option<char>,
    /// Of numbers: what groups digits and is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_char: Option<char>,
    /// Of numbers: `false` where a currency or a percent sign may stand before or behind them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bare_number: Option<bool>,
    /// Of booleans: the cells that are true; `true`, `True`, `TRUE`, `1` unless the schema says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_values: Option<Vec<String>>,
    /// Of booleans: the cells that are false; `false`, `False`, `FALSE`, `0` unless the schema says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_values: Option<Vec<String>>,
    /// Cells of the field that hold nothing, in place of the schema's.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_missing_values")]
    pub missing_values: Option<Vec<String>>,
    /// Of texts and integers: the values that there are, as `enum` says them.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "categories")]
    pub categories: Option<Vec<Scalar>>,
    /// Of lists: what stands between two items; `,` unless the schema says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// Of lists: the type of the items; text unless the schema says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_type: Option<FieldType>,
    /// What a new record gets where its row does not name the field. An extension of Penstock's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<FieldDefault>,
    /// Within what its values are told apart. An extension of Penstock's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ValueScope>,
    /// Of arrays: the schema of their items, which are objects. An extension of Penstock's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_schema: Option<ItemSchema>,
    /// Members that mean nothing here.
    #[serde(flatten, skip_serializing)]
    pub others: Others,
}

/// The types of Table Schema v1 and v2 that are supported; all but `yearmonth`, `duration`, `geopoint` and `geojson`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Text, kept as it came: leading zeros and spaces stay.
    #[default]
    String,
    /// An exact decimal, see [`Decimal`].
    Number,
    /// A whole number of 64 bits, signed.
    Integer,
    /// True or false.
    Boolean,
    /// A day, kept as `2026-01-31`.
    Date,
    /// A moment, kept in UTC as `2026-01-31T09:30:00Z`, or without the `Z` where the cell names no offset from UTC.
    Datetime,
    /// A time of day, kept in UTC as `09:30:00Z`, or without the `Z` where the cell names no offset from UTC.
    Time,
    /// A year of four digits, kept as a number.
    Year,
    /// A JSON array.
    Array,
    /// Items of one type, with a delimiter between them; kept as an array.
    List,
    /// A JSON object.
    Object,
    /// Whatever comes.
    Any,
}

/// The constraints of Table Schema that are supported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Constraints {
    /// Whether a row without a value fails. A field of the key is required if it has no default and the schema does not
    /// say `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Says of a field of the key what is so anyway: there are no two records with the same key. Other fields cannot be
    /// unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<bool>,
    /// Fewest characters (Unicode scalar values) of text, items of an array, members of an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<usize>,
    /// Most characters (Unicode scalar values) of text, items of an array, members of an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// The least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Scalar>,
    /// The greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Scalar>,
    /// A value that is too small, however little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive_minimum: Option<Scalar>,
    /// A value that is too great, however little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive_maximum: Option<Scalar>,
    /// Most digits behind the point of a number. An extension of Penstock's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_scale: Option<u8>,
    /// A regular expression that the whole of a text matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The values that there are.
    #[serde(rename = "enum", default, skip_serializing_if = "Option::is_none")]
    pub enumeration: Option<Vec<Scalar>>,
    /// Members that mean nothing here.
    #[serde(flatten, skip_serializing)]
    pub others: Others,
}

impl Constraints {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a new record gets where its row does not name a field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldDefault {
    /// Always the same.
    Constant(Scalar),
    /// The value of another field of the same row, or that field's own default.
    From(DefaultFrom),
}

/// The field that a default is taken from: `{"from": "weekStarting", "as": "isoWeek"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultFrom {
    /// The other field, of the same type.
    pub from: String,
    /// What is made of its value.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<Conversion>,
}

/// What a default makes of the value of another field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Conversion {
    /// Of a date the ISO 8601 week in which it is, as text: `2026-W05`.
    IsoWeek,
}

/// Within what the values of a field are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueScope {
    /// The account: a text is stored as `{account}-{text}`.
    Account,
}

/// The schema of an array's items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with `fields`")]
pub struct ItemSchema {
    /// The fields of an item. Other members are kept or left out as the kind's additional fields are.
    pub fields: Vec<Field>,
    /// Members that mean nothing here.
    #[serde(flatten, skip_serializing)]
    pub others: Others,
}

/// A value in a schema: a cell's text, or a number or a boolean as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// Text, read as a cell of the field is.
    Text(String),
    /// A number, with every digit that it has.
    Number(Decimal),
    /// A boolean.
    Boolean(bool),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        scalar(raw.get()).map_err(D::Error::custom)
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => Value::Number(*number).serialize(serializer),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
        }
    }
}

impl<'de> Deserialize<'de> for FieldDefault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('{') {
            // The place inside these few bytes would be told as one in the document.
            let place = |error: serde_json::Error| without_place(&error);
            serde_json::from_str(raw.get()).map(Self::From).map_err(place).map_err(D::Error::custom)
        } else {
            scalar(raw.get()).map(Self::Constant).map_err(D::Error::custom)
        }
    }
}

impl Serialize for FieldDefault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(scalar) => scalar.serialize(serializer),
            Self::From(from) => from.serialize(serializer),
        }
    }
}

fn scalar(raw: &str) -> Result<Scalar, String> {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(Scalar::Text).map_err(|error| without_place(&error)),
        Some(b't') => Ok(Scalar::Boolean(true)),
        Some(b'f') => Ok(Scalar::Boolean(false)),
        Some(b'n' | b'[' | b'{') | None => Err("a string, a number or a boolean is expected".to_owned()),
        Some(_) => Decimal::parse(raw).map(Scalar::Number).map_err(|error| error.to_string()),
    }
}

/// A value with a label for people (Table Schema v2).
#[derive(Deserialize)]
struct Labelled<T> {
    value: T,
}

/// A value, or an object that holds it.
struct MayBeLabelled<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for MayBeLabelled<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        // The place inside these few bytes would be told as one in the document.
        let place = |error: serde_json::Error| D::Error::custom(without_place(&error));
        match raw.get().starts_with('{') {
            true => serde_json::from_str(raw.get()).map(|Labelled { value }| Self(value)).map_err(place),
            false => serde_json::from_str(raw.get()).map(Self).map_err(place),
        }
    }
}

fn labelled<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let values = Vec::<MayBeLabelled<T>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|MayBeLabelled(value)| value).collect())
}

fn missing_values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    labelled(deserializer)
}

fn some_missing_values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    labelled(deserializer).map(Some)
}

fn categories<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Scalar>>, D::Error> {
    labelled(deserializer).map(Some)
}

/// One word, or an array of one, as the profile of version 2.0 has it by mistake.
fn fields_match<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FieldsMatch>, D::Error> {
    let words = one_or_many(deserializer)?;
    let [word] = words.as_slice() else { return Err(D::Error::custom("one word is expected")) };
    FieldsMatch::deserialize(word.as_str().into_deserializer()).map(Some)
}

/// What is wrong with a JSON text, without the line and column, which serde_json puts at the end.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}

fn empty_cell() -> Vec<String> {
    vec![String::new()]
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a text or an array of them")
        }

        fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
            Ok(vec![name.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(names))
        }
    }

    deserializer.deserialize_any(OneOrMany)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_back_as_it_was_with_every_digit() {
        let text = r#"{"name":"things","fields":[{"name":"a","type":"string","default":{"from":"b","as":"isoWeek"},"scope":"account"},{"name":"b","type":"number","constraints":{"minimum":0.00001,"maximum":123456789012345678901234567.5,"enum":["1,5",2,true]},"decimalChar":","},{"name":"c","type":"array","itemSchema":{"fields":[{"name":"d","type":"any","default":false}]}}],"primaryKey":["a","b"],"missingValues":["","-"],"additionalFields":"keep","columnNames":"exact","digest":false}"#;
        let schema: Schema = serde_json::from_str(text).expect("reads");
        assert_eq!(serde_json::to_string(&schema).expect("writes"), text);
        let single = text.replace(r#"["a","b"]"#, r#""a""#);
        assert_eq!(serde_json::from_str::<Schema>(&single).expect("reads").primary_key, ["a"]);
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_table_schema() {
        let schema: Schema =
            serde_json::from_str(r#"{"name":"x","fields":[{"name":"a"}],"primaryKey":"a"}"#).expect("reads");
        assert_eq!(schema.fields[0], Field { name: "a".into(), ..Default::default() });
        assert_eq!((schema.missing_values, schema.additional_fields), (vec![String::new()], AdditionalFields::Ignore));
    }
}
