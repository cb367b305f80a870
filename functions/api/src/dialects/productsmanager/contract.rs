//! What the document of the dialect says beside its routes.

use serde_json::json;

use super::operations;
use crate::contract::{Body, Contract, Shape, count, list, no_webhooks, object, perhaps_text, text, word};

pub(super) static CONTRACT: Contract = Contract {
    title: "ProductsManager on Penstock",
    about: "Imports of products by a file in a form, as ProductsManager documents it.",
    operations,
    paths: |_| ("The id of the import.", text()),
    error: |_, codes| {
        let details = list(object(json!({ "field": text(), "message": text() })));
        object(json!({ "error": { "type": "string", "enum": codes }, "message": text(), "details": details }))
    },
    credentials: || json!({ "bearer": { "type": "http", "scheme": "bearer" } }),
    webhooks: no_webhooks,
    examples: include_str!("../../../openapi/examples/productsmanager.json"),
};

pub(super) fn created() -> Shape {
    Shape::Written(object(json!({
        "id": text(),
        "status": word(&["pending"]),
        "format": word(&["csv", "xlsx", "json"]),
        "total_rows": count(),
        "created_at": text(),
    })))
}

pub(super) fn import() -> Shape {
    Shape::Written(object(json!({
        "id": text(),
        "status": word(&["pending", "processing", "completed", "completed_with_errors", "failed"]),
        "total_rows": count(),
        "processed_rows": count(),
        "created_rows": count(),
        "updated_rows": count(),
        "error_rows": count(),
        "created_at": text(),
        "completed_at": perhaps_text(),
    })))
}

pub(super) fn errors() -> Shape {
    let row = object(json!({
        "row": { "type": ["integer", "null"], "minimum": 1 },
        "ean": perhaps_text(),
        "error": word(&["validation_error"]),
        "message": text(),
    }));
    let meta = object(json!({ "page": count(), "per_page": count(), "total": count() }));
    Shape::Written(object(json!({ "data": list(row), "meta": meta })))
}

pub(super) fn number(least: usize, most: Option<usize>) -> Shape {
    let mut schema = json!({ "type": "integer", "minimum": least });
    if let Some(most) = most {
        schema["maximum"] = most.into();
    }
    Shape::Written(schema)
}

/// The form: the file, and how it is read.
pub(super) fn form() -> Body {
    let schema = json!({
        "type": "object",
        "properties": {
            "file": { "type": "string", "format": "binary" },
            "format": word(&["csv", "xlsx", "json"]),
            "mapping": { "type": "string", "description": "A JSON object of columns and their fields." },
            "update_existing": word(&["true", "false", "1", "0"]),
        },
        "required": ["file"],
    });
    Body {
        required: true,
        about: "The file, and how it is read.",
        content: vec![("multipart/form-data", Shape::Written(schema))],
    }
}
