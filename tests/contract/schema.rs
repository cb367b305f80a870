//! Whether a value is what a schema says: the words of JSON Schema that the document uses.

use serde_json::Value;

/// Checks a value.
///
/// # Errors
/// The place of the first fault and what is wrong there.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    at("", document, schema, value)
}

fn at(place: &str, document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let fault = |what: String| Err(format!("`{place}`: {what}"));
    if let Some(name) = schema["$ref"].as_str() {
        let of = document.pointer(name.trim_start_matches('#')).ok_or(format!("there is no {name}"))?;
        at(place, document, of, value)?;
    }
    for all in schema["allOf"].as_array().into_iter().flatten() {
        at(place, document, all, value)?;
    }
    for either in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[either].as_array()
            && !choices.iter().any(|choice| at(place, document, choice, value).is_ok())
        {
            return fault(format!("{value} is none of its choices"));
        }
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return fault(format!("{value} is none of {words:?}"));
    }
    if let Some(constant) = schema.get("const")
        && constant != value
    {
        return fault(format!("{value} is not {constant}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &&str| match *name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    };
    if !types.is_empty() && !types.iter().any(is) {
        return fault(format!("{value} is not {types:?}"));
    }
    for item in value.as_array().into_iter().flatten().filter(|_| schema["items"].is_object()) {
        at(&format!("{place}/-"), document, &schema["items"], item)?;
    }
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            return fault(format!("lacks {name}"));
        }
    }
    let Some(known) = schema["properties"].as_object() else {
        for (name, member) in members.iter().filter(|_| schema["additionalProperties"].is_object()) {
            at(&format!("{place}/{name}"), document, &schema["additionalProperties"], member)?;
        }
        return Ok(());
    };
    for (name, member) in members {
        match known.get(name) {
            Some(schema) => at(&format!("{place}/{name}"), document, schema, member)?,
            // The one member of an error that a further schema says more of.
            None if known.len() == 1 && known.contains_key("code") => {}
            None => return fault(format!("{name} is not in the document")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_refuses_what_it_does_not_say() {
        let document = json!({ "a": { "type": "object", "required": ["n"], "properties": { "n": { "type": ["integer", "null"] } } } });
        let schema = json!({ "type": "array", "items": { "$ref": "#/a" } });
        assert_eq!(check(&document, &schema, &json!([{ "n": 1 }, { "n": null }])), Ok(()));
        for wrong in [json!({}), json!([{}]), json!([{ "n": "1" }]), json!([{ "n": 1, "m": 1 }])] {
            assert!(check(&document, &schema, &wrong).is_err(), "{wrong}");
        }
        let words = json!({ "anyOf": [{ "enum": ["a"] }, { "type": "null" }] });
        assert_eq!(check(&document, &words, &json!("a")), Ok(()));
        assert!(check(&document, &words, &json!("b")).is_err());
    }
}
