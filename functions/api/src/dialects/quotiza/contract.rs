//! What the document of the dialect says beside its routes.

use serde_json::json;

use super::operations;
use crate::contract::{Body, Contract, Shape, count, list, no_webhooks, object, perhaps_text, text, word};

pub(super) static CONTRACT: Contract = Contract {
    title: "Quotiza on Penstock",
    about: "Imports of up to 1,000 products in JSON, as Quotiza documents it.",
    operations,
    paths: |_| ("The id of the import.", text()),
    error: |_, codes| {
        let shown = |code: &&'static str| if *code == "rate_limited" { "throttle_limit_reached" } else { *code };
        let codes: Vec<&str> = codes.iter().map(shown).collect();
        let error =
            object(json!({ "code": { "type": "string", "enum": codes }, "message": text(), "status": count() }));
        object(json!({ "error": error }))
    },
    credentials: || json!({ "bearer": { "type": "http", "scheme": "bearer" } }),
    webhooks: no_webhooks,
    examples: include_str!("../../../openapi/examples/quotiza.json"),
};

pub(super) fn created() -> Shape {
    Shape::Written(object(json!({ "job_id": text() })))
}

pub(super) fn plain() -> Shape {
    Shape::Written(text())
}

pub(super) fn job() -> Shape {
    let error = object(json!({
        "line": { "type": ["integer", "null"], "minimum": 1 },
        "sku": perhaps_text(),
        "message": text(),
    }));
    Shape::Written(object(json!({
        "job_id": text(),
        "status": word(&["pending", "processing", "completed", "failed"]),
        "total": count(),
        "processed": count(),
        "successes": count(),
        "failures": count(),
        "errors": list(error),
    })))
}

/// The products of an account.
pub(super) fn products() -> Body {
    let products =
        json!({ "type": "array", "minItems": 1, "maxItems": super::PRODUCTS, "items": { "type": "object" } });
    let schema = object(json!({ "account_id": text(), "products": products }));
    Body { required: true, about: "The products.", content: vec![("application/json", Shape::Written(schema))] }
}
