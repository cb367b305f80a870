//! Pages of lists: a number of items behind a cursor.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use penstock_model::{AccountId, Import, ImportId, limits};
use penstock_store::{Store, imports::Filter};
use serde::Deserialize;

use crate::refusal::Refusal;

/// The page of a list that the query asks for.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    limit: Option<usize>,
    pub(crate) cursor: Option<String>,
}

pub(crate) fn invalid_cursor() -> Refusal {
    Refusal::bad_request("invalid_cursor", "the cursor does not come from a page of this list")
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
    /// The greatest number of its items: the client's limit, or else `default`.
    ///
    /// # Errors
    /// 400 for a limit out of bounds.
    pub(crate) fn limit(&self, default: usize) -> Result<usize, Refusal> {
        let limit = self.limit.unwrap_or(default);
        if (1..=limits::PAGE_MAX).contains(&limit) {
            Ok(limit)
        } else {
            Err(Refusal::bad_request("invalid_limit", format!("limit is 1 to {}", limits::PAGE_MAX)))
        }
    }

    /// The page of an account's imports, newest first, and the cursor of the next page, if there is one.
    ///
    /// # Errors
    /// 400 for a limit out of bounds or an invalid cursor.
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
