//! The authorizer of Algure's upload on its way past Lambda.
//!
//! A feed may have 10 MB, and a function takes less than half of that. On AWS the route `PUT /v1/products/import/{id}` therefore hands the
//! body to S3 itself, and asks this function beforehand where to and what to answer:
//!
//! ```text
//! client ── PUT, up to 10 MB ──▶ API Gateway ── headers ──▶ authorizer ──▶ DynamoDB (key, import)
//!    ▲                              │  ◀── prefix, account, name, status, body
//!    │                              ├── the body, If-None-Match: * ──▶ S3 uploads/…  ── event ──▶ split
//!    └── status and body ───────────┘                               or S3 refused/… (nobody is told; gone in days)
//! ```
//!
//! API Gateway can only let a request through or answer 401, 403 or 500; so a body that the dialect answers with 404, 409, 410, 415 or 429
//! is let through to where it harms nobody, and answered as this function said. Who has no key stores nothing. Everywhere else, in the local
//! cloud as in a container, the dialect's own handler takes the upload; what both say is held together by a test.

use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest as Request;
use axum::http::StatusCode;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::AccountId;
use penstock_store::Store;
use serde_json::{Value, json};

use crate::{
    Refusal,
    auth::{self, Write},
    dialects::algure,
};

/// Where uploads are stored that are refused: a prefix that no notification looks at and that a lifecycle rule empties.
const REFUSED: &str = "refused";
/// Where imports' uploads are stored: the first part of [`penstock_store::uploads::upload_key`].
const UPLOADS: &str = "uploads";
/// The path that this stands before, for the limiter.
const PATH: &str = "/v1/products/import";

/// Serves invocations until the process is ended.
///
/// # Errors
/// When the environment is incomplete or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    lambda_runtime::run(service_fn(|event| handle(&store, event))).await
}

/// Answers one invocation with a policy for its method alone, and where the body goes (Amazon API Gateway Developer Guide, "Output from an
/// API Gateway Lambda authorizer"). Nothing is written but the counts of rate limits.
///
/// # Errors
/// `Unauthorized`, which API Gateway answers with 401, for a credential that is missing or wrong; anything else, its 503, when the store does
/// not answer.
pub async fn handle(store: &Store, event: LambdaEvent<Request>) -> Result<Value, Error> {
    let request = event.payload;
    let context = request.request_context;
    let source = context.identity.and_then(|identity| identity.source_ip);
    let method = request.method_arn.ok_or("a request without a method")?;
    let key = match auth::caller::<Write>(store, &request.headers, PATH, source).await {
        Ok(key) => key,
        Err((Some(account), refusal)) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
            return Ok(answer(&method, "Allow", &account, &refused(context.request_id.as_deref(), &refusal)));
        }
        Err((Some(account), refusal)) if refusal.status == StatusCode::FORBIDDEN => {
            return Ok(answer(&method, "Deny", &account, &json!({})));
        }
        // Whom no key is known of is not told why, nor let through.
        Err((_, refusal)) if refusal.status.is_client_error() => return Err("Unauthorized".into()),
        Err((_, refusal)) => return Err(refusal.message.into()),
    };
    let id = request.path_parameters.get("id").map(String::as_str).unwrap_or_default();
    let context = match algure::awaiting(store, &key, id, &request.headers).await {
        Ok(import) => {
            json!({ "prefix": UPLOADS, "account": key.as_str(), "name": import.id.as_str(), "status": "201" })
        }
        Err(refusal) if refusal.status.is_server_error() => return Err(refusal.message.into()),
        Err(refusal) => refused(context.request_id.as_deref(), &refusal),
    };
    Ok(answer(&method, "Allow", &key, &context))
}

/// Lets a body through to where nobody looks. Its name is the request's, so that no two meet.
fn refused(request_id: Option<&str>, refusal: &Refusal) -> Value {
    let body = algure::error(refusal).to_string();
    let name = request_id.map_or_else(|| penstock_store::sha256_hex(&penstock_store::random::<16>()), str::to_owned);
    json!({ "prefix": REFUSED, "name": name, "status": refusal.status.as_u16().to_string(), "body": body })
}

fn answer(method: &str, effect: &str, account: &AccountId, context: &Value) -> Value {
    let mut context = context.clone();
    context["account"] = account.as_str().into();
    json!({
        "principalId": account.as_str(),
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{ "Action": "execute-api:Invoke", "Effect": effect, "Resource": method }],
        },
        "context": context,
    })
}

#[cfg(test)]
mod tests {
    use penstock_model::ImportId;

    use super::*;

    #[test]
    fn an_uploads_key_is_the_stores() {
        let (account, import): (AccountId, _) = ("shop-1".parse().expect("an account"), ImportId::new(0, [0; 10]));
        let key = penstock_store::uploads::upload_key(&account, &import);
        assert_eq!(key, format!("{UPLOADS}/{account}/{import}"));
    }

    #[test]
    fn a_refused_body_has_a_name_of_its_own_and_its_answer() {
        let refusal = Refusal::not_found("there is no such import");
        let told = refused(Some("r-1"), &refusal);
        assert_eq!(
            (&told["prefix"], &told["name"], &told["status"]),
            (&json!("refused"), &json!("r-1"), &json!("404"))
        );
        assert_eq!(told["body"], r#"{"error":{"code":"not_found","message":"there is no such import"}}"#);
        assert_ne!(refused(None, &refusal)["name"], refused(None, &refusal)["name"]);
    }
}
