//! What the document of the dialect says beside its routes.

use serde_json::{Value, json};

use super::operations;
use crate::contract::{Body, Contract, Shape, count, list, no_webhooks, object, perhaps_text, text, word};

pub(super) static CONTRACT: Contract = Contract {
    title: "Connectif on Penstock",
    about: "Imports of a CSV file in a form, as Connectif documents it.",
    operations,
    paths: |_| ("The id of the import.", text()),
    error: |_, codes| object(json!({ "error": { "type": "string", "enum": codes }, "message": text() })),
    credentials: || {
        json!({ "apiKey": {
            "type": "apiKey", "in": "header", "name": "Authorization", "description": "`apiKey <token>`",
        } })
    },
    webhooks: no_webhooks,
    examples: include_str!("../../../openapi/examples/connectif.json"),
};

fn shown() -> Value {
    object(json!({
        "id": text(),
        "type": word(&["contacts", "products", "vouchers"]),
        "status": word(&["queued", "inProgress", "finished", "error", "cancelled"]),
        "total": count(),
        "success": count(),
        "errors": count(),
        "createdAt": text(),
        "finishedAt": perhaps_text(),
        "errorReportFileUrl": perhaps_text(),
    }))
}

pub(super) fn import() -> Shape {
    Shape::Written(shown())
}

pub(super) fn page() -> Shape {
    Shape::Written(object(json!({ "imports": list(shown()), "nextCursor": perhaps_text() })))
}

/// The form: the texts first, the file last.
pub(super) fn form() -> Body {
    let schema = json!({
        "type": "object",
        "properties": {
            "type": word(&["contacts", "products", "vouchers", "coupons"]),
            "delimiter": word(&[",", ";"]),
            "overrideExisting": word(&["true", "false"]),
            "updateOnlyEmptyFields": word(&["true", "false"]),
            "file": { "type": "string", "format": "binary", "description": "CSV in UTF-8, at most 50 MB." },
        },
        "required": ["type", "file"],
    });
    Body {
        required: true,
        about: "The file, and what it is.",
        content: vec![("multipart/form-data", Shape::Written(schema))],
    }
}
