//! Pages of lists: so many items, from where the page before says.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use penstock_model::{AccountId, Import, ImportId, limits};
use penstock_store::{Store, imports::Filter};
use serde::Deserialize;

use crate::Refusal;

/// Which page of a list is asked for, in the query.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    limit: Option<usize>,
    pub(crate) cursor: Option<String>,
}

pub(crate) fn invalid_cursor() -> Refusal {
    Refusal::bad_request("invalid_cursor", "the cursor is none that a page of this list gave")
}

impl<S: Sync> FromRequestParts<S> for Page {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let Query(page) = Query::try_from_uri(&parts.uri)
            .map_err(|_| Refusal::bad_request("invalid_query", "the query takes limit, a number, and cursor"))?;
        Ok(page)
    }
}

impl Page {
    /// The number of its items, at most: as many as the client says, or else `default`.
    ///
    /// # Errors
    /// 400 beyond the bounds.
    pub(crate) fn limit(&self, default: usize) -> Result<usize, Refusal> {
        let limit = self.limit.unwrap_or(default);
        if (1..=limits::PAGE_MAX).contains(&limit) {
            Ok(limit)
        } else {
            Err(Refusal::bad_request("invalid_limit", format!("limit is 1 to {}", limits::PAGE_MAX)))
        }
    }

    /// The page of an account's imports, newest first, and the cursor of the next one if there is one.
    ///
    /// # Errors
    /// 400 for a page that cannot be.
    pub(crate) async fn imports(
        &self,
        store: &Store,
        account: &AccountId,
        filter: &Filter,
        default: usize,
    ) -> Result<(Vec<Import>, Option<ImportId>), Refusal> {
        let limit = self.limit(default)?;
        let after: Option<ImportId> =
            self.cursor.as_ref().map(|cursor| cursor.parse()).transpose().map_err(|_| invalid_cursor())?;
        let mut imports = store.list_imports(account, filter, after.as_ref(), limit + 1).await?;
        let more = imports.len() > limit;
        imports.truncate(limit);
        let next = imports.last().filter(|_| more).map(|import| import.id.clone());
        Ok((imports, next))
    }
}
