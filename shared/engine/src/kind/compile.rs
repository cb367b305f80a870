//! Compiling a document to a kind: every error of a schema is found here, with its place.

use std::{collections::HashMap, fmt::Display, sync::Arc};

use penstock_model::{
    AccountId, AdditionalFields, ColumnNames, Constraints, Decimal, Field, FieldDefault, FieldType, FieldsMatch,
    KindName, Scalar, Schema, Value, advice::shown, limits,
};
use serde_path_to_error::Segment;

use super::{
    DefaultRule, Kind, SchemaError,
    check::{FieldCheck, Presence, Rule},
    components::Temporal,
    date_format,
    document::{self, Like},
    nested::Items,
    number::NumberRule,
    rules::Rules,
    temporal::TemporalRule,
    text::{Length, Pattern, StringFormat, TextRule},
    work::Walk,
};
use crate::cell::{CellError, Input};

/// Cells that are true and cells that are false where a schema does not say (Table Schema v1, "boolean").
const TRUE_VALUES: [&str; 4] = ["true", "True", "TRUE", "1"];
const FALSE_VALUES: [&str; 4] = ["false", "False", "FALSE", "0"];

/// Values that the message of an enumeration names, at most.
const NAMED_VALUES: usize = 10;

/// A place in a schema.
#[derive(Debug, Clone)]
pub(super) struct At(String);

impl At {
    /// The document.
    pub(super) fn root() -> Self {
        Self(String::new())
    }

    pub(super) fn then(&self, step: impl Display) -> Self {
        let step = step.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{step}", self.0))
    }

    pub(super) fn error(&self, message: impl Into<String>) -> SchemaError {
        SchemaError { pointer: self.0.clone(), message: message.into() }
    }

    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Result<T, SchemaError> {
        Err(self.error(message))
    }
}

impl Kind {
    /// Parses the document of a schema. [`Kind::compile`] checks whether it is consistent.
    ///
    /// # Errors
    /// The place of the first member that is not supported or has the wrong form.
    pub fn parse(json: &[u8]) -> Result<Schema, SchemaError> {
        parse(json)
    }

    /// Parses the document of a schema that is called `name`, by its file or its address, unless it names itself. A
    /// name that is none of a kind, such as a title, does not count.
    ///
    /// # Errors
    /// Those of [`Kind::parse`].
    pub fn parse_as(json: &[u8], name: &KindName) -> Result<Schema, SchemaError> {
        parse(&document::named(json, name))
    }

    /// Compiles a schema for an account.
    ///
    /// # Errors
    /// The place of the first contradiction in the schema.
    pub fn compile(schema: &Schema, account: &AccountId) -> Result<Self, SchemaError> {
        compile(schema, account)
    }

    /// Compiles a schema for an account where it is registered, and checks what its patterns may take: their classes of
    /// characters before anything is compiled, their steps behind it. What was registered before a limit was lowered
    /// still compiles by [`Kind::compile`], so that its imports end. So does what has a member that is mistyped.
    ///
    /// # Errors
    /// The place of the first contradiction; of the member that may be meant for another one; of the pattern that has
    /// one class too many ([`limits::PATTERN_CLASSES`]), or may take more than [`limits::PATTERN_STEPS`] for a byte.
    pub fn register(schema: &Schema, account: &AccountId) -> Result<Self, SchemaError> {
        document::spelt(schema, Like::Mistyped)?;
        let (at, mut walk) = (At::root().then("fields"), Walk::new());
        each_pattern(&schema.fields, &at, &mut |pattern| walk.count_classes(pattern))?;
        let kind = compile(schema, account)?;
        each_pattern(&schema.fields, &at, &mut |pattern| walk.check(pattern))?;
        Ok(kind)
    }
}

fn each_pattern(
    fields: &[Field],
    at: &At,
    check: &mut impl FnMut(&str) -> Result<(), String>,
) -> Result<(), SchemaError> {
    for (place, field) in fields.iter().enumerate() {
        let at = at.then(place);
        if let Some(pattern) = &field.constraints.pattern {
            check(pattern).map_err(|error| at.then("constraints").then("pattern").error(error))?;
        }
        if let Some(items) = &field.item_schema {
            each_pattern(&items.fields, &at.then("itemSchema").then("fields"), check)?;
        }
    }
    Ok(())
}

fn parse(json: &[u8]) -> Result<Schema, SchemaError> {
    let json = document::without_mark(json);
    if json.len() > limits::SCHEMA_BYTES {
        let message = format!("the document has {} bytes, the limit is {}", json.len(), limits::SCHEMA_BYTES);
        return At(String::new()).fail(message);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let schema = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let at = error.path().iter().fold(At(String::new()), |at, segment| match segment {
            Segment::Seq { index } => at.then(index),
            Segment::Map { key } => at.then(key),
            Segment::Enum { .. } | Segment::Unknown => at,
        });
        at.error(error.inner().to_string())
    })?;
    deserializer.end().map_err(|error| At(String::new()).error(error.to_string()))?;
    Ok(schema)
}

/// What the fields of a schema have in common.
struct Common<'a> {
    account: &'a AccountId,
    missing: Arc<[String]>,
    keeps_additional: bool,
}

fn compile(schema: &Schema, account: &AccountId) -> Result<Kind, SchemaError> {
    document::spelt(schema, Like::Same)?;
    few_patterns(&schema.fields, &At(String::new()).then("fields"), &mut 0)?;
    few_texts(&schema.missing_values, &At::root().then("missingValues"))?;
    let common = Common {
        account,
        missing: schema.missing_values.as_slice().into(),
        keeps_additional: schema.additional_fields == AdditionalFields::Keep,
    };
    let root = At(String::new());
    reading(schema, &root.then("reading"))?;
    let at_fields = root.then("fields");
    let places = places(&schema.fields, &at_fields)?;
    if schema.primary_key.is_empty() {
        return root.then("primaryKey").fail("a kind says which fields name a record: `\"primaryKey\": [\"id\"]`");
    }
    if schema.fields_match == Some(FieldsMatch::Exact) {
        return root.then("fieldsMatch").fail("columns are found by their names, not by their order; write `equal`");
    }
    let mut key = Vec::with_capacity(schema.primary_key.len());
    for (part, name) in schema.primary_key.iter().enumerate() {
        let at = root.then("primaryKey").then(part);
        let place = *places.get(name).ok_or_else(|| at.error("no field has this name"))?;
        if key.contains(&place) {
            return at.fail("the field is named twice");
        }
        if let FieldType::Array | FieldType::List | FieldType::Object | FieldType::Any = schema.fields[place].field_type
        {
            return at.fail("an array, an object or anything cannot name a record");
        }
        key.push(place);
    }
    if schema.unique_keys.iter().any(|key| !document::is_same(key, &schema.primary_key)) {
        return root.then("uniqueKeys").fail("only the fields of the primaryKey are unique, together");
    }
    let mut fields = Vec::with_capacity(schema.fields.len());
    for (place, field) in schema.fields.iter().enumerate() {
        let (at, in_key) = (at_fields.then(place), key.contains(&place));
        if field.constraints.unique == Some(true) && !in_key {
            return at.then("constraints").then("unique").fail("only fields of the primaryKey are unique, together");
        }
        let required = field.constraints.required.unwrap_or(in_key && field.default.is_none());
        let presence = match (in_key, required) {
            (true, required) => Presence::Key { required },
            (false, true) => Presence::Required,
            (false, false) => Presence::Optional,
        };
        fields.push(compile_field(field, &at, &common, presence, 0)?);
    }
    // Every row has a key, by which `merge` knows the row that made a record.
    if !key.iter().any(|place| fields[*place].is_required()) {
        return root.then("primaryKey").fail("at least one field of the key must be required");
    }
    let defaults = defaults(schema, &fields, &places, &at_fields)?;
    let mut kind = Kind {
        name: schema.name.clone(),
        fields,
        places,
        key,
        defaults,
        keeps_additional: common.keeps_additional,
        exact_columns: schema.column_names == ColumnNames::Exact,
        fields_match: schema.fields_match.unwrap_or(FieldsMatch::Partial),
        missing: common.missing,
        reading: schema.reading.clone(),
        keeps_digest: schema.digest != Some(false),
        rules: None,
    };
    // Bounds, enumerations and defaults are written as the fields themselves say.
    kind.preset(&schema.fields).map_err(|error| root.then("reading").then(error.option).error(error.rule))?;
    kind.rules = Rules::compile(&schema.rules, &kind, &root.then("rules"))?.map(Arc::new);
    Ok(kind)
}

/// Checks what the schema presets of the reading of files.
fn reading(schema: &Schema, at: &At) -> Result<(), SchemaError> {
    let checked = schema.reading.check(None, None).and_then(|()| match &schema.reading.date_format {
        Some(format) => date_format(format),
        None => Ok(()),
    });
    checked.map_err(|error| at.then(error.option).error(error.rule))
}

/// Checks the number of the texts that hold nothing, and are true and false: each cell is compared with each.
fn few_texts(texts: &[String], at: &At) -> Result<(), SchemaError> {
    let most = limits::VALUE_TEXTS;
    if texts.len() > most { at.fail(format!("names {} texts, the limit is {most}", texts.len())) } else { Ok(()) }
}

/// Checks the number of patterns: each is compiled wherever the kind is used, and takes memory there.
fn few_patterns(fields: &[Field], at: &At, found: &mut usize) -> Result<(), SchemaError> {
    for (place, field) in fields.iter().enumerate() {
        let at = at.then(place);
        let is_temporal = matches!(field.field_type, FieldType::Date | FieldType::Datetime | FieldType::Time);
        let has_format = is_temporal && field.format.as_deref().is_some_and(|format| format != "default");
        *found += usize::from(field.constraints.pattern.is_some()) + usize::from(has_format);
        if *found > limits::SCHEMA_PATTERNS {
            return at.fail(format!("more than {} patterns and date formats", limits::SCHEMA_PATTERNS));
        }
        if let Some(items) = &field.item_schema {
            few_patterns(&items.fields, &at.then("itemSchema").then("fields"), found)?;
        }
    }
    Ok(())
}

fn places(fields: &[Field], at: &At) -> Result<HashMap<String, usize>, SchemaError> {
    let mut places = HashMap::with_capacity(fields.len());
    if fields.is_empty() || fields.len() > limits::COLUMNS {
        return at.fail(format!("from 1 to {} fields are expected", limits::COLUMNS));
    }
    for (place, field) in fields.iter().enumerate() {
        let at = at.then(place).then("name");
        if field.name.is_empty() {
            return at.fail("a field needs a name");
        }
        if field.name.chars().count() > limits::FIELD_NAME_CHARS {
            return at.fail(format!("has more than {} characters", limits::FIELD_NAME_CHARS));
        }
        if places.insert(field.name.clone(), place).is_some() {
            return at.fail(format!("another field is called `{}` too", shown(&field.name)));
        }
    }
    Ok(places)
}

fn defaults(
    schema: &Schema,
    checks: &[FieldCheck],
    places: &HashMap<String, usize>,
    at_fields: &At,
) -> Result<Vec<(usize, DefaultRule)>, SchemaError> {
    let mut defaults = Vec::new();
    for (place, field) in schema.fields.iter().enumerate() {
        let at = at_fields.then(place).then("default");
        let from = match &field.default {
            None => continue,
            Some(FieldDefault::Constant(scalar)) => {
                defaults.push((place, DefaultRule::Constant(constant(scalar, &checks[place], &at)?)));
                continue;
            }
            Some(FieldDefault::From(from)) => from,
        };
        let at_from = at.then("from");
        let source = *places.get(&from.from).ok_or_else(|| at_from.error("no field has this name"))?;
        let other = &schema.fields[source];
        if !checks[source].required && other.default.is_none() {
            return at_from.fail("a default is taken from a field that is required or has a default itself");
        }
        let (wanted, gives) = match from.conversion {
            None => (other.field_type, other.field_type),
            Some(_) => (FieldType::Date, FieldType::String),
        };
        if other.field_type != wanted {
            return at.then("as").fail("only a date has a week");
        }
        if field.field_type != gives {
            return at_from.fail("the two fields have different types");
        }
        let rules = Constraints { required: None, unique: None, ..field.constraints.clone() };
        let kept = field.format.is_none() || field.format == other.format;
        if !rules.is_empty() || !kept || field.item_schema.is_some() || field.scope.is_some() {
            return at_from.fail(
                "a field with constraints, a format, an itemSchema or a scope of its own takes no other field's value",
            );
        }
        defaults.push((place, DefaultRule::From { field: source, conversion: from.conversion }));
    }
    let source = |place: usize| {
        defaults.iter().find(|(field, _)| *field == place).and_then(|(_, default)| match default {
            DefaultRule::From { field, .. } => Some(*field),
            DefaultRule::Constant(_) => None,
        })
    };
    for (place, _) in &defaults {
        let chain = std::iter::successors(source(*place), |field| source(*field)).take(defaults.len() + 1);
        if chain.count() > defaults.len() {
            return at_fields.then(place).then("default").then("from").fail("the defaults go round in a circle");
        }
        let steps = std::iter::successors(source(*place), |field| source(*field)).take(limits::DERIVED_STEPS + 1);
        if steps.count() > limits::DERIVED_STEPS {
            let most = limits::DERIVED_STEPS;
            return at_fields
                .then(place)
                .then("default")
                .then("from")
                .fail(format!("goes through more than {most} fields"));
        }
    }
    if let Some((place, _)) =
        defaults.iter().filter(|(_, default)| matches!(default, DefaultRule::From { .. })).nth(limits::SCHEMA_DERIVED)
    {
        let most = limits::SCHEMA_DERIVED;
        return at_fields
            .then(place)
            .then("default")
            .then("from")
            .fail(format!("more than {most} defaults are taken from other fields"));
    }
    Ok(defaults)
}

/// The value of a constant default.
fn constant(scalar: &Scalar, check: &FieldCheck, at: &At) -> Result<Value, SchemaError> {
    let (mut number, refused) = (String::new(), |errors: Vec<CellError>| at.error(because(&errors)));
    let cell = check.check(input(scalar, &mut number)).map_err(refused)?;
    cell.map(Value::from).ok_or_else(|| at.error("a default holds a value"))
}

fn input<'a>(scalar: &'a Scalar, number: &'a mut String) -> Input<'a> {
    match scalar {
        Scalar::Text(text) => Input::Text(text),
        Scalar::Boolean(boolean) => Input::Boolean(*boolean),
        Scalar::Number(literal) => {
            *number = literal.to_string();
            Input::Number(number)
        }
    }
}

fn because(errors: &[CellError]) -> String {
    let why = errors.first().map_or("", |error| error.message.as_str());
    format!("the field does not take this value: {why}")
}

fn compile_field(
    field: &Field,
    at: &At,
    common: &Common<'_>,
    presence: Presence,
    depth: usize,
) -> Result<FieldCheck, SchemaError> {
    supported(field, at)?;
    let texts = [
        ("missingValues", &field.missing_values),
        ("trueValues", &field.true_values),
        ("falseValues", &field.false_values),
    ];
    for (name, texts) in texts {
        few_texts(texts.as_deref().unwrap_or_default(), &at.then(name))?;
    }
    let required = matches!(presence, Presence::Required | Presence::Key { required: true });
    if required && field.default.is_some() {
        return at.then("default").fail("a required field never takes a default");
    }
    let rule = rule(field, at, common, depth)?;
    let enumeration = match (&field.constraints.enumeration, &field.categories) {
        // Categories say the same, in the words of version 2. An `enum` beside them is a part of them.
        (Some(values), _) => Some(enumeration(values, &rule, &at.then("constraints").then("enum"))?),
        (None, Some(values)) => Some(enumeration(values, &rule, &at.then("categories"))?),
        (None, None) => None,
    };
    let prefix = field.scope.map(|_| format!("{}-", common.account));
    let missing = field.missing_values.as_deref().map_or_else(|| common.missing.clone(), Arc::from);
    Ok(FieldCheck::new(&field.name, presence, missing, rule, enumeration, prefix))
}

/// Checks that the field has only members that its type supports.
fn supported(field: &Field, at: &At) -> Result<(), SchemaError> {
    use FieldType::{Any, Array, Boolean, Date, Datetime, Integer, List, Number, Object, String, Time, Year};
    let constraints = &field.constraints;
    let ordered: &[FieldType] = &[Number, Integer, Date, Datetime, Time, Year];
    let given: [(&str, bool, &[FieldType]); 9] = [
        ("minLength", constraints.min_length.is_some(), &[String, Array, List, Object]),
        ("maxLength", constraints.max_length.is_some(), &[String, Array, List, Object]),
        ("exclusiveMinimum", constraints.exclusive_minimum.is_some(), ordered),
        ("exclusiveMaximum", constraints.exclusive_maximum.is_some(), ordered),
        ("minimum", constraints.minimum.is_some(), ordered),
        ("maximum", constraints.maximum.is_some(), ordered),
        ("maxScale", constraints.max_scale.is_some(), &[Number]),
        ("pattern", constraints.pattern.is_some(), &[String]),
        (
            "enum",
            constraints.enumeration.is_some(),
            &[String, Number, Integer, Boolean, Date, Datetime, Time, Year, Any],
        ),
    ];
    let unsupported = |at: At| at.fail("the type of the field does not have this");
    for (name, given, types) in given {
        if given && !types.contains(&field.field_type) {
            return unsupported(at.then("constraints").then(name));
        }
    }
    let default = field.format.as_deref().is_none_or(|format| format == "default");
    let given: [(&str, bool, &[FieldType]); 11] = [
        ("format", !default, &[String, Date, Datetime, Time]),
        ("decimalChar", field.decimal_char.is_some(), &[Number]),
        ("groupChar", field.group_char.is_some(), &[Number, Integer]),
        ("bareNumber", field.bare_number.is_some(), &[Number, Integer]),
        ("trueValues", field.true_values.is_some(), &[Boolean]),
        ("falseValues", field.false_values.is_some(), &[Boolean]),
        ("categories", field.categories.is_some(), &[String, Integer]),
        ("delimiter", field.delimiter.is_some(), &[List]),
        ("itemType", field.item_type.is_some(), &[List]),
        ("scope", field.scope.is_some(), &[String]),
        ("itemSchema", field.item_schema.is_some(), &[Array]),
    ];
    for (name, given, types) in given {
        if given && !types.contains(&field.field_type) {
            return unsupported(at.then(name));
        }
    }
    Ok(())
}

fn rule(field: &Field, at: &At, common: &Common<'_>, depth: usize) -> Result<Rule, SchemaError> {
    let constraints = &field.constraints;
    let length = Length { least: constraints.min_length, most: constraints.max_length };
    if let (Some(least), Some(most)) = (length.least, length.most)
        && least > most
    {
        return at.then("constraints").then("maxLength").fail("is less than minLength");
    }
    Ok(match field.field_type {
        FieldType::String => Rule::String(text(field, at, length)?),
        FieldType::Number => Rule::Number(number(field, at, NumberRule::number)?),
        FieldType::Integer => Rule::Integer(number(field, at, NumberRule::integer)?),
        FieldType::Year => Rule::Year(number(field, at, NumberRule::integer)?),
        FieldType::Boolean => boolean(field, at)?,
        FieldType::Date => Rule::Temporal(Box::new(temporal(field, at, Temporal::Date)?)),
        FieldType::Datetime => Rule::Temporal(Box::new(temporal(field, at, Temporal::Datetime)?)),
        FieldType::Time => Rule::Temporal(Box::new(temporal(field, at, Temporal::Time)?)),
        FieldType::Array => Rule::Array { length, items: items(field, at, common, depth)? },
        FieldType::List => list(field, at, common, length)?,
        FieldType::Object => Rule::Object { length },
        FieldType::Any => Rule::Any,
    })
}

fn text(field: &Field, at: &At, length: Length) -> Result<TextRule, SchemaError> {
    let format = match field.format.as_deref() {
        None | Some("default") => StringFormat::Plain,
        Some("email") => StringFormat::Email,
        Some("uri") => StringFormat::Uri,
        Some("uuid") => StringFormat::Uuid,
        Some("gtin") => StringFormat::Gtin,
        Some("ean") => StringFormat::Ean,
        Some(other) => {
            let message = format!("`{other}` is not supported; default, email, uri, uuid, gtin and ean are");
            return at.then("format").fail(message);
        }
    };
    let pattern = field.constraints.pattern.as_deref().map(Pattern::compile).transpose();
    let pattern = pattern.map_err(|error| at.then("constraints").then("pattern").error(error))?;
    Ok(TextRule { format, length, pattern })
}

/// Reads a bound as the field reads a cell.
fn bound(
    scalar: &Option<Scalar>,
    at: &At,
    read: impl Fn(&str) -> Result<Decimal, CellError>,
) -> Result<Option<Decimal>, SchemaError> {
    let number = match scalar {
        None => return Ok(None),
        Some(Scalar::Number(number)) => Ok(*number),
        Some(Scalar::Text(text)) => read(text).map_err(|error| at.error(because(&[error]))),
        Some(Scalar::Boolean(_)) => at.fail("a number is expected"),
    };
    number.map(Some)
}

fn number(
    field: &Field,
    at: &At,
    read: impl Fn(&NumberRule, &str) -> Result<Decimal, CellError>,
) -> Result<NumberRule, SchemaError> {
    let odd = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-');
    for (name, c) in [("decimalChar", field.decimal_char), ("groupChar", field.group_char)] {
        if c.is_some_and(odd) {
            return at.then(name).fail("neither a letter, a digit nor a sign can be it");
        }
    }
    let mut rule = NumberRule {
        decimal_char: field.decimal_char.unwrap_or('.'),
        group_char: field.group_char,
        bare: field.bare_number.unwrap_or(true),
        max_scale: field.constraints.max_scale,
        ..NumberRule::default()
    };
    if field.field_type == FieldType::Integer {
        // An integer has no point; one that groups digits is not one.
        rule.decimal_char = NumberRule::point_of_integer(rule.group_char);
    } else if Some(rule.decimal_char) == rule.group_char {
        return at.then("groupChar").fail("is the decimalChar too");
    }
    let at = at.then("constraints");
    let minimum = bound(&field.constraints.minimum, &at.then("minimum"), |text| read(&rule, text))?;
    let maximum = bound(&field.constraints.maximum, &at.then("maximum"), |text| read(&rule, text))?;
    if minimum.zip(maximum).is_some_and(|(minimum, maximum)| minimum > maximum) {
        return at.then("maximum").fail("is less than minimum");
    }
    let above = bound(&field.constraints.exclusive_minimum, &at.then("exclusiveMinimum"), |text| read(&rule, text))?;
    let below = bound(&field.constraints.exclusive_maximum, &at.then("exclusiveMaximum"), |text| read(&rule, text))?;
    Ok(NumberRule { minimum, maximum, between: [above, below], ..rule })
}

fn temporal(field: &Field, at: &At, what: Temporal) -> Result<TemporalRule, SchemaError> {
    let rule = TemporalRule::new(what, field.format.as_deref());
    let mut rule = rule.map_err(|error| at.then("format").error(error))?;
    let bound = |name: &str, scalar: &Option<Scalar>| match scalar {
        None => Ok(None),
        Some(Scalar::Text(text)) => {
            let moment =
                rule.read(text).ok_or_else(|| at.then("constraints").then(name).error("not as the format says"));
            moment.map(Some)
        }
        Some(_) => at.then("constraints").then(name).fail("a string is expected"),
    };
    let minimum = bound("minimum", &field.constraints.minimum)?;
    let maximum = bound("maximum", &field.constraints.maximum)?;
    let above = bound("exclusiveMinimum", &field.constraints.exclusive_minimum)?;
    let below = bound("exclusiveMaximum", &field.constraints.exclusive_maximum)?;
    (rule.minimum, rule.maximum, rule.between) = (minimum, maximum, [above, below]);
    Ok(rule)
}

fn boolean(field: &Field, at: &At) -> Result<Rule, SchemaError> {
    let values = |given: &Option<Vec<String>>, default: [&str; 4]| {
        given.clone().unwrap_or_else(|| default.map(str::to_owned).to_vec())
    };
    let (true_values, false_values) =
        (values(&field.true_values, TRUE_VALUES), values(&field.false_values, FALSE_VALUES));
    if let Some(both) = false_values.iter().position(|value| true_values.contains(value)) {
        return at.then("falseValues").then(both).fail("is one of trueValues too");
    }
    Ok(Rule::Boolean { true_values, false_values })
}

/// A list: its items are written as their type is by default.
fn list(field: &Field, at: &At, common: &Common<'_>, length: Length) -> Result<Rule, SchemaError> {
    use FieldType::{Boolean, Date, Datetime, Integer, Number, String, Time};
    let field_type = field.item_type.unwrap_or_default();
    if ![String, Integer, Boolean, Number, Datetime, Date, Time].contains(&field_type) {
        return at
            .then("itemType")
            .fail("a list holds strings, integers, booleans, numbers, datetimes, dates or times");
    }
    let delimiter = field.delimiter.clone().unwrap_or_else(|| ",".to_owned());
    if delimiter.is_empty() {
        return at.then("delimiter").fail("at least one character is expected");
    }
    let item = Field { field_type, ..Field::default() };
    Ok(Rule::List { length, delimiter, item: Box::new(rule(&item, at, common, 0)?) })
}

fn items(field: &Field, at: &At, common: &Common<'_>, depth: usize) -> Result<Option<Items>, SchemaError> {
    let Some(schema) = &field.item_schema else { return Ok(None) };
    let at = at.then("itemSchema").then("fields");
    if depth == limits::ITEM_SCHEMAS {
        return at.fail(format!("more than {} schemas of items inside one another", limits::ITEM_SCHEMAS));
    }
    places(&schema.fields, &at)?;
    let mut fields = Vec::with_capacity(schema.fields.len());
    for (place, field) in schema.fields.iter().enumerate() {
        let at = at.then(place);
        if field.constraints.unique == Some(true) {
            return at.then("constraints").then("unique").fail("only fields of the primaryKey are unique, together");
        }
        let is_required = field.constraints.required == Some(true);
        let presence = if is_required { Presence::Required } else { Presence::Optional };
        let check = compile_field(field, &at, common, presence, depth + 1)?;
        let default = match &field.default {
            None => None,
            Some(FieldDefault::Constant(scalar)) => Some(constant(scalar, &check, &at.then("default"))?),
            Some(FieldDefault::From(_)) => return at.then("default").fail("a default inside an item is a constant"),
        };
        fields.push((check, default));
    }
    Ok(Some(Items { fields, keeps_additional: common.keeps_additional }))
}

fn enumeration(values: &[Scalar], rule: &Rule, at: &At) -> Result<(Vec<Value>, String), SchemaError> {
    if values.is_empty() {
        return at.fail("at least one value is expected");
    }
    let bytes = |scalar: &Scalar| if let Scalar::Text(text) = scalar { text.len() } else { size_of::<Decimal>() };
    if values.len() > limits::ENUM_VALUES || values.iter().map(bytes).sum::<usize>() > limits::ENUM_BYTES {
        let (values, bytes) = (limits::ENUM_VALUES, limits::ENUM_BYTES);
        return at.fail(format!("at most {values} values of {bytes} bytes together are taken"));
    }
    let mut read = Vec::with_capacity(values.len());
    let mut names = Vec::new();
    for (place, scalar) in values.iter().enumerate() {
        let mut number = String::new();
        let cell = rule.read(input(scalar, &mut number), 1).map_err(|errors| at.then(place).error(because(&errors)))?;
        read.push(Value::from(cell));
        names.push(match scalar {
            Scalar::Text(text) => format!("`{text}`"),
            Scalar::Number(number) => number.to_string(),
            Scalar::Boolean(boolean) => boolean.to_string(),
        });
    }
    let more = match names.len().saturating_sub(NAMED_VALUES) {
        0 => String::new(),
        more => format!(" or {more} more"),
    };
    names.truncate(NAMED_VALUES);
    Ok((read, format!("none of {}{more}", names.join(", "))))
}
