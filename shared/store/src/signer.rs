//! Who signs URLs for clients, and until when: a URL works no longer than the credentials that signed it (Amazon S3
//! User Guide, "Download and upload objects with presigned URLs").
//!
//! What Lambda gives a function does not tell when it ends, and need not last as long as a session of its role. So the
//! api assumes a role that may do no more than what is signed, for an hour, whose end STS tells. Its credentials are
//! renewed while they outlive every URL that they may have to sign:
//!
//! ```text
//! assumed                 renewed by whoever signs next             they end
//! ├───────────────────────┼──────────────────────────────────────────┤
//!      signs              │ SIGNER_EARLY_SECONDS │ the longest URL   │
//!                         └ STS fails: they sign on ┴ and URLs end early, with them
//! ```
//!
//! Requests at the same time share one renewal, and how it went. Credentials that a process has for itself sign where
//! no role is named, by the same rules, as far as they tell when they end.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use penstock_model::limits;

use crate::{Result, Store, StoreError};

/// What the sessions of the role are called in CloudTrail.
const SESSION: &str = "penstock-signer";

/// Credentials are fresh when they come, and sign for a while before they are renewed.
const _: () = {
    let longest = limits::UPLOAD_TTL_MOST_SECONDS;
    assert!(longest + 2 * limits::SIGNER_EARLY_SECONDS <= limits::SIGNER_SECONDS);
    assert!(limits::UPLOAD_TTL_SECONDS <= longest && limits::EXPORT_URL_SECONDS as u64 <= longest);
    assert!(limits::REJECTED_URL_SECONDS as u64 <= longest);
};

/// How long those that fail are left alone while there are credentials to sign with, in milliseconds.
const PAUSE_MS: i64 = 10_000;

/// Credentials, and what signs with them.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) credentials: Credentials,
    /// S3 as clients reach it: it signs, and sends nothing.
    pub(crate) storage: aws_sdk_s3::Client,
    /// In Unix milliseconds; `None` if they do not tell.
    ends_at: Option<i64>,
}

impl Session {
    fn new(store: &Store, credentials: Credentials) -> Self {
        // URLs tell whole seconds.
        let seconds = |end: SystemTime| end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let ends_at = credentials.expiry().map(|end| ms(seconds(end)));
        let storage = store.clients().storage(SharedCredentialsProvider::new(credentials.clone()));
        Self { credentials, storage, ends_at }
    }

    /// Whether a URL that it signs works until this moment.
    fn keeps(&self, until: i64) -> bool {
        self.ends_at.is_none_or(|end| until <= end)
    }

    fn ends_before(&self, other: &Self) -> bool {
        other.ends_at.is_none_or(|end| !self.keeps(end))
    }
}

/// Why there are no credentials: the call, and what came of it.
type Failure = (&'static str, String);

#[derive(Debug, Clone, Default)]
struct State {
    session: Option<Arc<Session>>,
    /// Renewals that have come to an end, well or badly.
    renewals: u64,
    /// While there is a session, none is renewed before this moment.
    pause_until: i64,
    /// Why the last renewal brought nothing.
    failure: Option<Failure>,
}

/// Signs for the clients of a store.
#[derive(Debug, Default)]
pub(crate) struct Signer {
    state: Mutex<State>,
    /// Held by the request that renews.
    renewal: tokio::sync::Mutex<()>,
}

impl Signer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that keeps a URL until `wanted`, or for [`limits::SIGNED_LEAST_SECONDS`] where it cannot be renewed.
    async fn session(&self, store: &Store, wanted: i64) -> Result<Arc<Session>> {
        let now = store.now_ms();
        let longest = u64::max(store.settings().upload_ttl_seconds, limits::EXPORT_URL_SECONDS as u64);
        let fresh_until = now + ms(longest + limits::SIGNER_EARLY_SECONDS);
        let least = wanted.min(now + ms(limits::SIGNED_LEAST_SECONDS));
        let seen = self.state().clone();
        if let Some(session) = seen.session.filter(|session| session.keeps(least)) {
            let is_renewed_by_another = || self.renewal.try_lock().is_err();
            let signs_on = session.keeps(wanted) && (session.keeps(fresh_until) || is_renewed_by_another());
            if signs_on || now < seen.pause_until {
                return Ok(session);
            }
        }
        let renewing = self.renewal.lock().await;
        if self.state().renewals == seen.renewals {
            self.renew(store, least).await;
        }
        drop(renewing);
        let State { session, failure, .. } = self.state().clone();
        session.filter(|session| session.keeps(least)).ok_or_else(|| {
            let end_soon = || ("signing", "the credentials end within a minute".to_owned());
            let (call, reason) = failure.unwrap_or_else(end_soon);
            StoreError::Unavailable { call, reason }
        })
    }

    /// Takes other credentials if they live longer than the present ones.
    async fn renew(&self, store: &Store, least: i64) {
        let brought = credentials(store).await.map(|credentials| Session::new(store, credentials));
        let mut state = self.state();
        state.renewals += 1;
        state.pause_until = store.now_ms() + PAUSE_MS;
        state.failure = None;
        match brought {
            Ok(session) if state.session.as_ref().is_none_or(|present| present.ends_before(&session)) => {
                state.session = Some(Arc::new(session));
            }
            Ok(_) => {}
            Err((call, reason)) => {
                if state.session.as_ref().is_some_and(|present| present.keeps(least)) {
                    tracing::warn!(
                        call,
                        reason,
                        "the credentials that sign URLs are not renewed; the present ones sign on"
                    );
                }
                state.failure = Some((call, reason));
            }
        }
    }
}

/// Credentials of the signer's role for an hour, or the process's own. A repeat gives others; the earlier ones live on.
async fn credentials(store: &Store) -> Result<Credentials, Failure> {
    let settings = store.settings();
    let Some(role) = &settings.signer_role else {
        let own = settings.credentials.provide_credentials().await;
        return own.map_err(|error| ("signing", error.to_string()));
    };
    let sent = store
        .clients()
        .sts()
        .assume_role()
        .role_arn(role)
        .role_session_name(SESSION)
        .duration_seconds(limits::SIGNER_SECONDS as i32)
        .send()
        .await;
    const CALL: &str = "sts:AssumeRole";
    let output = sent.map_err(|error| match StoreError::unavailable(CALL)(error) {
        StoreError::Unavailable { call, reason } => (call, reason),
        other => (CALL, other.to_string()),
    })?;
    let Some(given) = output.credentials else { return Err((CALL, "no credentials in the answer".to_owned())) };
    let end = given.expiration.to_millis().ok().and_then(|end| u64::try_from(end).ok());
    let Some(end) = end else { return Err((CALL, "no moment at which they end".to_owned())) };
    let end = UNIX_EPOCH + Duration::from_millis(end);
    Ok(Credentials::new(given.access_key_id, given.secret_access_key, Some(given.session_token), Some(end), SESSION))
}

fn ms(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

impl Store {
    /// What signs a URL that is to work until `wanted`, and until when it works: earlier where the credentials end
    /// before and cannot be renewed, but for no less than [`limits::SIGNED_LEAST_SECONDS`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where there are no such credentials: it can be tried again.
    pub(crate) async fn signing(&self, wanted: i64) -> Result<(Arc<Session>, i64)> {
        let session = self.inner.signer.get_or_init(Signer::default).session(self, wanted).await?;
        let until = session.ends_at.map_or(wanted, |end| wanted.min(end));
        Ok((session, until))
    }

    /// What signs a URL that works until this very moment.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the credentials end before: it can be tried again.
    pub(crate) async fn signing_until(&self, wanted: i64) -> Result<Arc<Session>> {
        match self.signing(wanted).await? {
            (session, until) if until == wanted => Ok(session),
            _ => {
                let reason = "the credentials end before the URL would".to_owned();
                Err(StoreError::Unavailable { call: "signing", reason })
            }
        }
    }

    /// Until when a URL for an upload works that is signed now, in Unix milliseconds: as long as the deployment says,
    /// or as long as there are credentials for.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where there are none: it can be tried again.
    pub async fn uploads_until(&self) -> Result<i64> {
        Ok(self.signing(self.now_ms() + ms(self.settings().upload_ttl_seconds)).await?.1)
    }
}
