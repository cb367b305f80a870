//! What the document of the native API says beside its routes.

use penstock_model::EventMessage;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use super::operations;
use crate::contract::{Body, Contract, Operation, Shape, problem};

pub(super) static CONTRACT: Contract = Contract {
    title: "Penstock",
    about: "Bulk imports: a file that is uploaded to a presigned URL becomes validated, counted records. \
            An error is a problem details document (RFC 9457) with a stable `code`. \
            Something that is going to change is announced by the headers `Deprecation` (RFC 9745) and `Sunset` \
            (RFC 8594).",
    operations,
    webhooks: events,
    paths,
    error: problem,
    credentials,
    examples: include_str!("../../openapi/examples/native.json"),
};

/// What can be done with an import that was created.
pub(super) const OF_AN_IMPORT: &[&str] = &[
    "getImport",
    "deleteImport",
    "listErrors",
    "getRejected",
    "getHistory",
    "cancelImport",
    "listRemovals",
    "confirmImport",
    "signParts",
    "removeParts",
    "completeParts",
    "previewImport",
];

/// What can be done with a kind that was registered.
pub(super) const OF_A_KIND: &[&str] =
    &["getKind", "deleteKind", "listKindVersions", "getTemplate", "previewKind", "listRecords", "removeAllRecords"];

/// What can be done with an endpoint that was made.
pub(super) const OF_A_WEBHOOK: &[&str] = &[
    "getWebhook",
    "changeWebhook",
    "deleteWebhook",
    "rotateWebhookSecret",
    "testWebhook",
    "listDeliveries",
    "resendDeliveries",
];

pub(super) fn idempotency_key() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": penstock_model::limits::IDEMPOTENCY_KEY_CHARS,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    })
}

pub(super) fn wait() -> Shape {
    let most = penstock_model::limits::WAIT_SECONDS;
    Shape::Written(json!({ "type": "integer", "minimum": 0, "maximum": most, "default": 0 }))
}

/// A file, or its first part.
pub(super) fn file() -> Body {
    let file = || Shape::Written(json!({ "type": "string", "format": "binary" }));
    Body {
        required: false,
        about: "The file, or its first part, of whatever media type.",
        content: vec![("application/octet-stream", file())],
    }
}

/// A kind's schema.
pub(super) fn table_schema() -> Body {
    Body {
        required: true,
        about: "A Table Schema.",
        content: vec![("application/json", Shape::Written(json!({ "type": "object" })))],
    }
}

/// A text that is no JSON.
pub(super) fn text() -> Shape {
    Shape::Written(json!({ "type": "string" }))
}

/// Answers with a kind's schema.
pub(super) fn schema(operation: Operation) -> Operation {
    operation
        .needs(penstock_model::Scope::ImportRead)
        .answers_with(200, "A Table Schema.", "application/json", Shape::Written(json!({ "type": "object" })))
        .with(200, "penstock-kind-version", "The version of an account's own kind, 0 for a bundled one.")
        .refuses(404, &["not_found"])
}

/// What is sent to an endpoint: one request, whatever has happened.
fn events(given: &mut SchemaGenerator, example: Option<&Value>) -> Value {
    let text = json!({ "type": "string" });
    let header = |name: &str, about: &str| {
        let (place, schema) = ("header", &text);
        json!({ "name": name, "in": place, "required": false, "description": about, "schema": schema })
    };
    let mut content = json!({ "schema": given.subschema_for::<EventMessage>() });
    if let Some(example) = example {
        content["example"] = example.clone();
    }
    json!({ "event": { "post": {
        "operationId": "receiveEvent",
        "summary": "Tells an endpoint that something has happened.",
        "description": "At least once, and in no order: an event that comes again has the same `id`. What is signed is \
            `<webhook-id>.<webhook-timestamp>.<body>`, by Standard Webhooks; with the signature `productsmanager` the \
            header `X-PM-Signature` stands instead of these three.",
        "parameters": [
            header("webhook-id", "The id of the event."),
            header("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
            header("webhook-signature", "`v1,` or `v1a,` and a signature in base64; a space between two."),
        ],
        "requestBody": { "required": true, "content": { "application/json": content } },
        "responses": {
            "2XX": { "description": "It has arrived. The answer is waited for up to 15 seconds." },
            "410": { "description": "The endpoint is gone: it is disabled." },
            "default": { "description": "It is sent again, up to ten times over three days, and not before the time \
                that `Retry-After` names. A redirect is not followed." },
        },
    } } })
}

fn paths(name: &str) -> (&'static str, Value) {
    let text = json!({ "type": "string", "minLength": 1 });
    match name {
        "id" => ("Its id.", text),
        "account" => ("The name of an account.", text),
        "kind" => ("The name of a kind.", json!({ "type": "string", "pattern": "^[a-z0-9-]{1,64}$" })),
        "preset" => ("The name of a preset.", json!({ "type": "string", "pattern": "^[a-z0-9-]{1,64}$" })),
        "event" => ("The id of an event.", text),
        "key" => ("The canonical key of a record, percent-encoded as a whole.", text),
        "version" => ("The number of a version, from 1.", json!({ "type": "integer", "minimum": 1 })),
        other => panic!("the parameter {other} of a path is not described"),
    }
}

fn credentials() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "An API key: `<id>.<secret>`." },
        "basic": { "type": "http", "scheme": "basic", "description": "An API key: its id, and its secret." },
        "header": { "type": "apiKey", "in": "header", "name": "x-api-key", "description": "An API key: \
            `<id>.<secret>`." },
    })
}
