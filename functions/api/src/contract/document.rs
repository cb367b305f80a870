//! The document of an API: OpenAPI 3.1.1 (<https://spec.openapis.org/oas/v3.1.1>).

use std::collections::BTreeMap;

use axum::http::StatusCode;
use penstock_model::views;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::declared::{Answer, Operation, Shape, op};
use crate::dialect::Dialect;

/// What an API says of itself as a whole.
#[derive(Debug)]
pub(crate) struct Contract {
    /// Its title.
    pub(crate) title: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
    /// What each route says of itself.
    pub(crate) operations: fn() -> Vec<Operation>,
    /// The requests that it makes, by name, with a real body where there is one: the member `webhooks`.
    pub(crate) webhooks: fn(&mut SchemaGenerator, Option<&Value>) -> Value,
    /// The parameters of its paths: what they are, and their schemas.
    pub(crate) paths: fn(&str) -> (&'static str, Value),
    /// The schema of an error with one of these codes.
    pub(crate) error: fn(&mut SchemaGenerator, &[&'static str]) -> Value,
    /// How a request names its key: security schemes by name.
    pub(crate) credentials: fn() -> Value,
    /// Real answers, by the operation's name and the status.
    pub(crate) examples: &'static str,
}

fn generator(settings: SchemaSettings) -> SchemaGenerator {
    settings
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator()
}

/// The document of a dialect.
pub(super) fn document(dialect: &Dialect, contract: &Contract) -> Value {
    // A member that has a default may be left out of what is taken, and is always in what is given.
    let mut taken = generator(SchemaSettings::draft2020_12().for_deserialize());
    let mut given = generator(SchemaSettings::draft2020_12().for_serialize());
    let examples: BTreeMap<String, Value> = serde_json::from_str(contract.examples).expect("examples are JSON");
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let own = op("getContract", "Reads this document.")
        .answers_with(200, "The document.", "application/json", Shape::Written(json!({ "type": "object" })))
        .refuses(500, &["internal"])
        .on("get", &super::path_of(dialect));
    for operation in (contract.operations)().into_iter().chain([own]) {
        let said = said(&operation, dialect, contract, (&mut taken, &mut given), &examples);
        let before = paths.entry(operation.path.clone()).or_default().insert(operation.method.to_owned(), said);
        assert!(before.is_none(), "{} {} is declared twice", operation.method, operation.path);
    }
    let mut webhooks = (contract.webhooks)(&mut given, examples.get("receiveEvent request"));
    let mut schemas = given.take_definitions(true);
    let mut paths = serde_json::to_value(paths).expect("JSON");
    for (name, schema) in taken.take_definitions(true) {
        let given = schemas.get(&name);
        assert!(given.is_none_or(|given| *given == schema), "{name} is taken otherwise than it is given");
        schemas.insert(name, schema);
    }
    // Generators take a member with a default for one that a request has to have.
    schemas.values_mut().for_each(without_defaults);
    // Generators know a list of words, and not a choice of constants.
    schemas.values_mut().for_each(words);
    let mut schemas = Value::Object(schemas);
    tidy(&mut paths);
    tidy(&mut schemas);
    tidy(&mut webhooks);
    let up = "../".repeat(super::path_of(dialect).matches('/').count() - 1);
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": contract.title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": contract.about,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        // Relative to the document, so that they are right behind a stage too.
        "servers": [{ "url": if up.is_empty() { "./" } else { &up } }],
        "externalDocs": {
            "description": "This document as a page.",
            "url": format!("{up}{}", super::page_of(dialect).trim_start_matches('/')),
        },
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": (contract.credentials)() },
    });
    if webhooks != json!({}) {
        document["webhooks"] = webhooks;
    }
    document
}

/// Makes no requests.
pub(crate) fn no_webhooks(_: &mut SchemaGenerator, _: Option<&Value>) -> Value {
    json!({})
}

fn said(
    operation: &Operation,
    dialect: &Dialect,
    contract: &Contract,
    (taken, given): (&mut SchemaGenerator, &mut SchemaGenerator),
    examples: &BTreeMap<String, Value>,
) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for name in operation.path.split(['{', '}']).skip(1).step_by(2) {
        let (about, schema) = (contract.paths)(name);
        parameters
            .push(json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema }));
    }
    for parameter in &operation.parameters {
        let schema = parameter.shape.schema(taken);
        parameters.push(json!({
            "name": parameter.name,
            "in": parameter.place,
            "required": parameter.required,
            "description": parameter.about,
            "schema": schema,
        }));
    }
    let answers: Map<String, Value> = operation
        .answers
        .iter()
        .map(|(status, answer)| {
            let example = examples.get(&format!("{} {status}", operation.name));
            (status.to_string(), self::answer(*status, answer, dialect, contract, given, example))
        })
        .collect();
    let mut about = operation.about.clone();
    if !operation.scopes.is_empty() {
        let scopes: Vec<String> = operation.scopes.iter().map(|scope| format!("`{scope}`")).collect();
        about = format!("{about} The key needs the scope {}.", scopes.join(" and ")).trim_start().to_owned();
    }
    let mut said = json!({
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": answers,
    });
    if !about.is_empty() {
        said["description"] = about.into();
    }
    if !parameters.is_empty() {
        said["parameters"] = parameters.into();
    }
    let schemes = (contract.credentials)();
    let security: Vec<Value> = match operation.scopes.as_slice() {
        [] => Vec::new(),
        _ => schemes.as_object().into_iter().flatten().map(|(name, _)| json!({ name: [] })).collect(),
    };
    said["security"] = security.into();
    if let Some(body) = &operation.body {
        let content: Map<String, Value> = body
            .content
            .iter()
            .map(|(media_type, shape)| {
                let mut said = json!({ "schema": shape.schema(taken) });
                if let Some(example) = examples.get(&format!("{} request", operation.name)) {
                    said["example"] = example.clone();
                }
                ((*media_type).to_owned(), said)
            })
            .collect();
        said["requestBody"] = json!({ "required": body.required, "content": content });
        if !body.about.is_empty() {
            said["requestBody"]["description"] = body.about.into();
        }
    }
    said
}

fn answer(
    status: u16,
    answer: &Answer,
    dialect: &Dialect,
    contract: &Contract,
    given: &mut SchemaGenerator,
    example: Option<&Value>,
) -> Value {
    let mut about = answer.about.clone();
    let mut headers = answer.headers.clone();
    let mut content = Map::new();
    if let Some((media_type, shape)) = &answer.body {
        content.insert((*media_type).to_owned(), json!({ "schema": shape.schema(given) }));
    }
    if !answer.codes.is_empty() {
        let codes: Vec<&'static str> = answer.codes.iter().copied().collect();
        let schema = (contract.error)(given, &codes);
        // In the dialect's words, where its errors have a code.
        let shown = words_in(&schema).unwrap_or_else(|| codes.iter().map(|code| (*code).to_owned()).collect());
        let listed: Vec<String> = shown.iter().map(|code| format!("`{code}`")).collect();
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        about = format!("{about} {title}: {}.", listed.join(", ")).trim_start().to_owned();
        content.insert(dialect.media_type.to_owned(), json!({ "schema": schema }));
        match status {
            401 => headers.push(("WWW-Authenticate", "How to name a key.")),
            429 | 503 => headers.push(("Retry-After", "Seconds after which to try again.")),
            _ => {}
        }
    }
    if let Some((_, body)) = content.iter_mut().next().filter(|_| example.is_some()) {
        body["example"] = example.cloned().unwrap_or_default();
    }
    let mut said = json!({ "description": about });
    if !content.is_empty() {
        said["content"] = content.into();
    }
    if !headers.is_empty() {
        let headers: Map<String, Value> = headers
            .into_iter()
            .map(|(name, about)| (name.to_owned(), json!({ "description": about, "schema": { "type": "string" } })))
            .collect();
        said["headers"] = headers.into();
    }
    if !answer.links.is_empty() {
        let link = |(name, parameters): &(&str, Vec<(&str, &str)>)| {
            let parameters: Map<String, Value> =
                parameters.iter().map(|(name, place)| ((*name).to_owned(), (*place).into())).collect();
            ((*name).to_owned(), json!({ "operationId": name, "parameters": parameters }))
        };
        said["links"] = answer.links.iter().map(link).collect::<Map<String, Value>>().into();
    }
    said
}

/// The words of the first enum in a schema.
fn words_in(schema: &Value) -> Option<Vec<String>> {
    match schema {
        Value::Object(members) => match members.get("enum").and_then(Value::as_array) {
            Some(words) => Some(words.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            None => members.values().find_map(words_in),
        },
        Value::Array(items) => items.iter().find_map(words_in),
        _ => None,
    }
}

/// Makes of a choice of constants an enum, whose description says what each means.
fn words(schema: &mut Value) {
    let Some(choices) = schema["oneOf"].as_array() else { return };
    let words: Vec<Value> = choices.iter().filter_map(|choice| choice.get("const").cloned()).collect();
    if words.len() != choices.len() {
        return;
    }
    let mut about = schema["description"].as_str().unwrap_or_default().to_owned();
    for choice in choices {
        let (word, means) = (choice["const"].as_str(), choice["description"].as_str());
        about += &format!(" `{}`: {}", word.unwrap_or_default(), means.unwrap_or_default());
    }
    *schema = json!({ "type": "string", "enum": words, "description": about.trim() });
}

fn without_defaults(schema: &mut Value) {
    match schema {
        Value::Object(words) => {
            words.remove("default");
            for (word, value) in words {
                match value {
                    // Its members are names, one of which may be `default`.
                    Value::Object(members) if word == "properties" => members.values_mut().for_each(without_defaults),
                    value => without_defaults(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}

/// The schema of problem details with one of these codes.
pub(crate) fn problem(given: &mut SchemaGenerator, codes: &[&'static str]) -> Value {
    let of = given.subschema_for::<views::ProblemBody>().to_value();
    json!({ "allOf": [of, { "type": "object", "properties": { "code": { "type": "string", "enum": codes } } }] })
}

/// Makes of descriptions for people who read the code such for people who read the document: a link of rustdoc is the
/// last word of what it links to.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = without_links(text);
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn without_links(text: &str) -> String {
    let link = regex::Regex::new(r"\[`(?:[A-Za-z_]+::)*([A-Za-z_]+)`\]").expect("a pattern");
    let text = link.replace_all(text, |found: &regex::Captures<'_>| {
        let word = &found[1];
        // A limit is said by its number elsewhere; a variant is a word of the wire.
        if word.chars().any(char::is_lowercase) { format!("`{}`", word.to_lowercase()) } else { format!("`{word}`") }
    });
    text.replace('\n', " ")
}
