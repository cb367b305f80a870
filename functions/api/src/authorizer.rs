//! The authorizer of Algure's upload on its way past Lambda.
//!
//! A feed may have 10 MB, and a function takes less than half of that. On AWS the route `PUT /v1/products/import/{id}`
//! therefore hands the body to S3 itself. Beforehand it asks this function where the body goes and what the client is
//! told:
//!
//! ```text
//! client ── PUT, up to 10 MB ──▶ API Gateway ── headers ──▶ authorizer ──▶ DynamoDB (key, import)
//!    ▲                              │  ◀── prefix, account, name, status, body
//!    │                              ├── the body, If-None-Match: * ──▶ S3 uploads/…  ── event ──▶ split
//!    └── status and body ───────────┘                               or S3 refused/… (no event; deleted after days)
//! ```
//!
//! API Gateway can only let a request pass or answer 401, 403 or 500. A body that the dialect refuses with 404, 409,
//! 410, 415 or 429 therefore passes, is stored under `refused/`, and gets the answer that this function gave. Without a
//! valid key nothing is stored. A media type in other letters than API Gateway knows it by is refused too, since its
//! body might not arrive as it was sent. In the local cloud and in a container the dialect's own handler takes the
//! upload; a test holds the answers of both together.

use std::sync::Arc;

use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest as Request;
use axum::http::StatusCode;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use penstock_model::AccountId;
use penstock_store::names::Folder;
use serde_json::{Value, json};

use crate::{
    api::Api,
    auth::{self, Denied, Write},
    client_address,
    dialects::{self, algure},
    intake::BodyLimits,
    refusal::Refusal,
};

/// The prefix of refused uploads: no notification covers it, and a lifecycle rule empties it.
const REFUSED: &str = Folder::Refused.text();
/// The prefix of the uploads of imports: the first part of [`penstock_store::uploads::upload_key`].
const UPLOADS: &str = Folder::Uploads.text();

/// Serves invocations until the process is ended.
///
/// # Errors
/// The environment is incomplete, or the Runtime API is gone.
pub async fn serve() -> Result<(), Error> {
    let store = penstock_runtime::start()?;
    let rate_limits = Arc::new(dialects::rate_limits(|name| std::env::var(name).ok())?);
    let api = Api { store, bodies: BodyLimits::LAMBDA, rate_limits, work: crate::work::Work::new() };
    lambda_runtime::run(service_fn(|event| handle(&api, event))).await
}

/// Answers one invocation with a policy for its method alone, and with where the body goes (Amazon API Gateway
/// Developer Guide, "Output from an API Gateway Lambda authorizer"). It writes nothing but the counts of rate limits.
///
/// # Errors
/// `Unauthorized` for a credential that is missing or wrong: API Gateway answers 401. Any other error when the store
/// does not answer: API Gateway answers 503.
async fn handle(api: &Api, event: LambdaEvent<Request>) -> Result<Value, Error> {
    let request = event.payload;
    let context = request.request_context;
    let source = context.identity.and_then(|identity| identity.source_ip);
    let network = source.as_deref().and_then(client_address::network_named);
    let method = request.method_arn.ok_or("a request without a method")?;
    let account = match auth::authorize::<Write>(api, &algure::DIALECT, &request.headers, network).await {
        Ok(key) => key.account,
        Err(Denied { account: Some(account), refusal }) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
            return Ok(answer(&method, "Allow", &account, &refused(context.request_id.as_deref(), &refusal)));
        }
        Err(Denied { account: Some(account), refusal }) if refusal.status == StatusCode::FORBIDDEN => {
            return Ok(answer(&method, "Deny", &account, &json!({})));
        }
        // A client without a valid key does not learn why, and does not pass.
        Err(Denied { refusal, .. }) if refusal.status.is_client_error() => return Err("Unauthorized".into()),
        Err(Denied { refusal, .. }) => return Err(refusal.message.into()),
    };
    let id = request.path_parameters.get("id").and_then(|id| id.parse().ok());
    let awaiting = algure::awaiting(&api.store, &account, id.as_ref(), &request.headers).await;
    let context = match awaiting.and_then(|import| algure::passes_as_bytes(&request.headers).map(|()| import)) {
        Ok(import) => {
            json!({ "prefix": UPLOADS, "account": account.as_str(), "name": import.id.as_str(), "status": "201" })
        }
        Err(refusal) if refusal.status.is_server_error() => return Err(refusal.message.into()),
        Err(refusal) => refused(context.request_id.as_deref(), &refusal),
    };
    Ok(answer(&method, "Allow", &account, &context))
}

/// What API Gateway does with a refused body: it stores the body under [`REFUSED`], by the id of the request, so that
/// no two bodies meet.
fn refused(request_id: Option<&str>, refusal: &Refusal) -> Value {
    let body = (algure::DIALECT.error)(refusal).to_string();
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
