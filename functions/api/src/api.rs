//! The state of the router, which every handler works with.

use std::sync::Arc;

use axum::extract::FromRef;
use penstock_store::Store;

use crate::{intake::BodyLimits, rate_limits::RateLimits, work::Work};

/// The state of the router.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    /// How large a body may be.
    pub(crate) bodies: BodyLimits,
    /// How often a client may ask.
    pub(crate) rate_limits: Arc<RateLimits>,
    /// What may be computed at once.
    pub(crate) work: Work,
}

impl FromRef<Api> for Store {
    fn from_ref(api: &Api) -> Self {
        api.store.clone()
    }
}

impl FromRef<Api> for Work {
    fn from_ref(api: &Api) -> Self {
        api.work.clone()
    }
}
