//! How often a client may ask.

use std::{sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};

use penstock_model::AccountId;
use penstock_store::{
    Store,
    rate::{Judgement, Subject, Window},
};

use crate::{
    rate_limits::{Per, RateLimits, Requests},
    refusal::Refusal,
};

/// How long the limiter may take. A table that does not answer by then does not hold the request up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests that passed without a judgement since the process began.
static UNJUDGED: AtomicU64 = AtomicU64::new(0);

/// Who asks, and for what.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    /// The name of the API that is asked.
    pub(crate) api: &'static str,
    /// As what the request counts.
    pub(crate) requests: &'a [Requests],
    /// Its network ([`crate::client_address::network`]), where it is known.
    pub(crate) network: Option<String>,
    /// The account, where the credential is an account's.
    pub(crate) account: Option<&'a AccountId>,
}

impl Client<'_> {
    /// The windows that a request of this client has to pass.
    fn windows(&self, limits: &RateLimits) -> Vec<Window> {
        let policies = self.requests.iter().flat_map(|requests| limits.of(self.api, *requests));
        let window = |(policy, per, rate)| {
            let subject = match per {
                // A stranger must not use up the window of a customer behind the same address.
                Per::Address if self.account.is_none() => Subject::Stranger(self.network.clone()?),
                Per::Address => Subject::Address(self.network.clone()?),
                Per::Account => Subject::Account(self.account?.clone()),
            };
            Some(Window { policy, rate, subject })
        };
        policies.filter_map(window).collect()
    }
}

/// Lets a request pass, or refuses it and says when to try again. A repeat is another request.
///
/// If the table cannot be reached, the request passes, and the log counts it as `limiter.unjudged`.
///
/// # Errors
/// 429 with `Retry-After`.
pub(crate) async fn admit(store: &Store, limits: &RateLimits, client: &Client<'_>) -> Result<(), Refusal> {
    admit_within(PATIENCE, store, limits, client).await
}

async fn admit_within(
    patience: Duration,
    store: &Store,
    limits: &RateLimits,
    client: &Client<'_>,
) -> Result<(), Refusal> {
    let windows = client.windows(limits);
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
    tracing::warn!(api = client.api, limiter.unjudged = unjudged, error = reason, "a request passes unjudged");
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use penstock_store::{Settings, rate::Rate};

    use super::*;
    use crate::rate_limits::RateLimit;

    /// A store whose tables do not answer.
    pub(crate) fn store_without_tables() -> Store {
        // A port of this machine at which nothing listens any more.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let settings = Settings::from_vars(|name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" | "PENSTOCK_STORAGE_URL" => Some(endpoint.clone()),
            _ if name.ends_with("SECONDS") || name.contains("_CHUNK_") || name.contains("_BLOCK_") => None,
            _ if name.contains("_ACCOUNT_") || name.contains("_EXPORT_") || name.ends_with("_DAYS") => None,
            "PENSTOCK_CLOCK" | "PENSTOCK_WEBHOOK_PORTS" => None,
            _ => Some("us-east-1".to_owned()),
        });
        Store::new(settings.expect("complete"))
    }

    #[tokio::test]
    async fn without_its_table_the_limiter_lets_requests_pass_and_counts_them() {
        const LIMIT: RateLimit =
            RateLimit { requests: Requests::All, per: Per::Address, rate: Rate { limit: 1, seconds: 60 } };
        let store = store_without_tables();
        let limits = RateLimits::from_vars(|_| None, &[("limited", &[LIMIT]), ("open", &[])]).expect("the defaults");
        let ask = async |api| {
            let network = Some("192.0.2.1".to_owned());
            let client = Client { api, requests: &[Requests::All], network, account: None };
            admit_within(Duration::from_millis(50), &store, &limits, &client).await
        };
        assert!(ask("limited").await.is_ok());
        assert_eq!(UNJUDGED.load(Ordering::Relaxed), 1);
        // An API without policies does not ask the table.
        assert!(ask("open").await.is_ok());
        assert_eq!(UNJUDGED.load(Ordering::Relaxed), 1);
    }
}
