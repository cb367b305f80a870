//! What the document of the dialect says beside its routes.

use penstock_model::codes;
use serde_json::json;

use super::operations;
use crate::contract::{
    Body, Contract, Operation, Shape, count, list, no_webhooks, object, op, perhaps_text, text, word,
};

pub(super) static CONTRACT: Contract = Contract {
    title: "Better Data on Penstock",
    about: "Imports of JSON arrays, one path for each kind, as Better Data documents it.",
    operations,
    paths: |_| ("The id of the import.", text()),
    error: |_, codes| {
        let _ = codes;
        object(json!({ "error": text() }))
    },
    credentials: || json!({ "header": { "type": "apiKey", "in": "header", "name": "x-api-key" } }),
    webhooks: no_webhooks,
    examples: include_str!("../../../openapi/examples/betterdata.json"),
};

/// The import of an array of this name.
pub(super) fn create(name: &'static str, array: &'static str) -> Operation {
    let rows = json!({ "type": "array", "minItems": 1, "items": { "type": "object" } });
    let content = vec![("application/json", Shape::Written(object(json!({ array: rows }))))];
    op(name, "Imports the rows of an array.")
        .needs(penstock_model::Scope::ImportWrite)
        .body(Body { required: true, about: "An object with the array.", content })
        .answers_with(
            202,
            "The job.",
            "application/json",
            Shape::Written(object(json!({ "jobId": text(), "status": word(&["PENDING"]), "rowCount": count() }))),
        )
        .leads(202, &["getJob"], "id", "$response.body#/jobId")
        .refuses(400, &["invalid_body", "missing_array"])
        .refuses(422, &["too_much_memory"])
        .refuses(429, &["busy", "too_many_bytes", "too_many_imports"])
}

pub(super) fn job() -> Shape {
    let error =
        object(json!({ "row": count(), "field": perhaps_text(), "code": word(codes::ROWS), "message": text() }));
    Shape::Written(object(json!({
        "jobId": text(),
        "status": word(&["PENDING", "PROCESSING", "COMPLETED", "FAILED"]),
        "rowCount": count(),
        "processedCount": count(),
        "failedCount": count(),
        "errors": list(error),
        "completedAt": perhaps_text(),
    })))
}
