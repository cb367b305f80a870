//! Listing and removing accounts. The operator's key has the scope `admin` for it.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{AccountId, AccountRemoval, AccountRemovalStage, RemovedCounts, limits, rfc3339};
use penstock_store::Store;
use serde::Serialize;
use serde_json::json;

use crate::{
    auth::{Caller, Manage},
    named::Named,
    page::{Page, invalid_cursor},
    refusal::Refusal,
};

/// The JSON of an account.
#[derive(Debug, Serialize)]
struct AccountView {
    account: AccountId,
    created_at: String,
    /// Whether it is being removed.
    removing: bool,
    keys: usize,
    kinds: usize,
    imports_unfinished: usize,
    exports_unfinished: usize,
}

/// The JSON of the removal of an account.
#[derive(Debug, Serialize)]
struct RemovalView {
    account: AccountId,
    status: AccountRemovalStage,
    ordered_at: String,
    /// When what was in flight cannot act any more.
    waits_until: Option<String>,
    removed_at: Option<String>,
    /// Until when this report is kept.
    retained_until: Option<String>,
    removed: RemovedCounts,
}

impl RemovalView {
    fn new(removal: AccountRemoval) -> Self {
        Self {
            status: removal.stage,
            ordered_at: rfc3339(removal.ordered_at),
            waits_until: removal.waits_until().map(rfc3339),
            removed_at: removal.removed_at.map(rfc3339),
            retained_until: removal.report_until().map(rfc3339),
            removed: removal.removed,
            account: removal.account,
        }
    }
}

fn no_account() -> Refusal {
    Refusal::not_found("there is no such account")
}

pub(super) async fn list(State(store): State<Store>, _: Caller<Manage>, page: Page) -> Result<Response, Refusal> {
    let limit = page.limit(limits::PAGE_DEFAULT)?;
    let after: Option<AccountId> =
        page.cursor.as_ref().map(|cursor| cursor.parse()).transpose().map_err(|_| invalid_cursor())?;
    let mut accounts = store.list_accounts(after.as_ref(), limit + 1).await?;
    let more = accounts.len() > limit;
    accounts.truncate(limit);
    let next_cursor = accounts.last().filter(|_| more).map(|account| account.account.clone());
    let mut views = Vec::with_capacity(accounts.len());
    for listed in accounts {
        let counts = store.account_counts(&listed.account).await?;
        views.push(AccountView {
            created_at: rfc3339(listed.created_at),
            removing: listed.removing,
            account: listed.account,
            keys: counts.keys,
            kinds: counts.kinds,
            imports_unfinished: counts.imports_unfinished,
            exports_unfinished: counts.exports_unfinished,
        });
    }
    Ok(Json(json!({ "accounts": views, "next_cursor": next_cursor })).into_response())
}

/// Orders the removal of an account. A repeat changes nothing, and tells how far it is.
pub(super) async fn remove(
    State(store): State<Store>,
    Caller { account: own, .. }: Caller<Manage>,
    account: Named<AccountId>,
) -> Result<Response, Refusal> {
    let account = account.get().ok_or_else(no_account)?;
    if *account == own {
        let message = "a key cannot remove its own account: nobody might be left to manage keys; ask with an admin key \
                       of another account";
        return Err(Refusal::conflict("own_account", message));
    }
    let removal = store.order_account_removal(account).await?.ok_or_else(no_account)?;
    tracing::info!(account = %account, "an account is being removed");
    // Relative to this request, so that it is right behind a stage too.
    let location = format!("{account}/removal");
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(RemovalView::new(removal))).into_response())
}

pub(super) async fn removal(
    State(store): State<Store>,
    _: Caller<Manage>,
    account: Named<AccountId>,
) -> Result<Response, Refusal> {
    let no_removal = || Refusal::not_found("no such account is being removed, or was within the last 90 days");
    let account = account.get().ok_or_else(no_removal)?;
    let removal = store.account_removal(account).await?.ok_or_else(no_removal)?;
    Ok(Json(RemovalView::new(removal)).into_response())
}
