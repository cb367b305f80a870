//! Pages of lists: a number of items behind a cursor.

use std::str::FromStr;

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

/// The first `limit` of what was found when one more was asked for, and where there are more, what the last of them
/// names the next page by.
pub(crate) fn cut<T, C>(mut found: Vec<T>, limit: usize, cursor: impl Fn(&T) -> C) -> (Vec<T>, Option<C>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(cursor);
    (found, next)
}

/// The numbers of a cursor that is made of as many, with a point between two; none if it is not.
pub(crate) fn numbers<const N: usize>(cursor: &str) -> Option<[u32; N]> {
    let numbers: Option<Vec<u32>> = cursor.split('.').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
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
        let imports = store.list_imports(account, filter, self.after()?.as_ref(), limit + 1).await?;
        Ok(cut(imports, limit, |import| import.id.clone()))
    }

    /// What the page before ended with, where a cursor is the name of that.
    ///
    /// # Errors
    /// 400 for a cursor that is no such name.
    pub(crate) fn after<T: FromStr>(&self) -> Result<Option<T>, Refusal> {
        self.cursor.as_ref().map(|cursor| cursor.parse()).transpose().map_err(|_| invalid_cursor())
    }
}
