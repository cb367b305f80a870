//! How often a client may ask.

use std::{net::SocketAddr, sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};

use axum::{extract::ConnectInfo, http::Extensions};
use lambda_http::request::RequestContext;
use penstock_model::AccountId;
use penstock_store::{
    Store,
    rate::{Judgement, Subject, What, Whom, Window},
};

use crate::{Refusal, form::Form};

/// How long the limiter may take. A table that does not answer by then does not hold the request up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests that were let through unjudged since the process began.
static UNJUDGED: AtomicU64 = AtomicU64::new(0);

/// The network address of the client: of API Gateway's peer, as it tells it, or of this process's own. Never what a header says, which
/// any client can write.
pub(crate) fn address(extensions: &Extensions) -> Option<String> {
    match extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.clone(),
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        Some(_) => None,
        None => extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_string()),
    }
}

/// Lets a request pass, or says when to come again. A repeat is another request.
///
/// A limiter that cannot reach its table lets the request pass and counts that: `limiter.unjudged` in the log.
///
/// # Errors
/// 429 with `Retry-After`.
pub(crate) async fn admit(
    store: &Store,
    form: Form,
    what: &[What],
    address: Option<String>,
    account: Option<&AccountId>,
) -> Result<(), Refusal> {
    admit_within(PATIENCE, store, form, what, address, account).await
}

async fn admit_within(
    patience: Duration,
    store: &Store,
    form: Form,
    what: &[What],
    address: Option<String>,
    account: Option<&AccountId>,
) -> Result<(), Refusal> {
    let limits = &store.settings().rate_limits;
    let policies = what.iter().flat_map(|what| limits.of(form.name(), *what));
    let windows: Vec<Window> = policies
        .filter_map(|(policy, whom, rate)| {
            let subject = match whom {
                Whom::Address => Subject::Address(address.clone()?),
                Whom::Account => Subject::Account(account?.clone()),
            };
            Some(Window { policy, rate, subject })
        })
        .collect();
    if windows.is_empty() {
        return Ok(());
    }
    let reason = match tokio::time::timeout(patience, store.admit(&windows)).await {
        Ok(Ok(Some(judgement @ Judgement { allowed: false, .. }))) => {
            return Err(Refusal::rate_limited(&judgement, store.now_ms()));
        }
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => penstock_runtime::chain(&error),
        Err(_) => "no answer in time".to_owned(),
    };
    let unjudged = UNJUDGED.fetch_add(1, Ordering::Relaxed) + 1;
    tracing::warn!(api = form.name(), limiter.unjudged = unjudged, error = reason, "a request passes unjudged");
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use penstock_store::Settings;

    use super::*;

    /// A store whose tables do not answer.
    pub(crate) fn store_without_tables() -> Store {
        // A port of this machine at which nothing listens any more.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let settings = Settings::from_vars(|name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(endpoint.clone()),
            _ if name.ends_with("SECONDS") || name.contains("_CHUNK_") || name.contains("_BLOCK_") => None,
            "PENSTOCK_RATE_LIMITS" | "PENSTOCK_CLOCK" => None,
            _ => Some("us-east-1".to_owned()),
        });
        Store::new(settings.expect("complete"))
    }

    #[tokio::test]
    async fn without_its_table_the_limiter_lets_requests_pass_and_counts_them() {
        let store = store_without_tables();
        let ask = |form| {
            admit_within(Duration::from_millis(50), &store, form, &[What::All], Some("192.0.2.1".to_owned()), None)
        };
        assert!(ask(Form::Quotiza).await.is_ok());
        assert_eq!(UNJUDGED.load(Ordering::Relaxed), 1);
        // An API without policies does not ask.
        assert!(ask(Form::Algure).await.is_ok());
        assert_eq!(UNJUDGED.load(Ordering::Relaxed), 1);
    }
}
