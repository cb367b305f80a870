//! What the document of the dialect says beside its routes.

use serde_json::{Value, json};

use super::operations;
use crate::contract::{Body, Contract, Shape, count, list, no_webhooks, object, perhaps_text, text};

pub(super) static CONTRACT: Contract = Contract {
    title: "Algure on Penstock",
    about: "Imports of products by a feed in CSV, as Algure documents it: an id by POST, the feed by PUT.",
    operations,
    paths: |_| ("The id of the import.", text()),
    error: |_, codes| {
        object(json!({ "error": object(json!({ "code": { "type": "string", "enum": codes }, "message": text() })) }))
    },
    credentials: || json!({ "basic": { "type": "http", "scheme": "basic" } }),
    webhooks: no_webhooks,
    examples: include_str!("../../../openapi/examples/algure.json"),
};

pub(super) fn created() -> Shape {
    Shape::Written(object(json!({ "id": text(), "expiresAt": text() })))
}

fn shown() -> Value {
    object(json!({
        "id": text(),
        "createdAt": text(),
        "expiresAt": text(),
        "status": text(),
        "total": { "type": ["integer", "null"], "minimum": 0 },
        "totalCreated": count(),
        "totalUpdated": count(),
        "totalErrors": count(),
    }))
}

pub(super) fn import() -> Shape {
    Shape::Written(shown())
}

pub(super) fn page() -> Shape {
    Shape::Written(object(json!({ "imports": list(shown()), "nextCursor": perhaps_text() })))
}

/// The feed: lines of values between commas, without quotes.
pub(super) fn feed() -> Body {
    let columns = "A header line with code, description, stock, warehouseCode, locationCode, locationPriority, \
        costPrice, \
                   packagingUnit and lot, then a line for each product; at most 10 MB.";
    Body {
        required: true,
        about: columns,
        content: vec![("text/csv", Shape::Written(text())), ("text/plain", Shape::Written(text()))],
    }
}
