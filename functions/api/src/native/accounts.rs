//! Listing and removing accounts. The operator's key has the scope `admin` for it.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{AccountId, AccountRemoval, limits, rfc3339, views};
use penstock_store::Store;

use crate::{
    auth::{Caller, Manage},
    named::Named,
    page::{self, Page},
    refusal::Refusal,
};

fn view(removal: AccountRemoval) -> views::AccountRemoval {
    views::AccountRemoval {
        status: removal.stage,
        ordered_at: rfc3339(removal.ordered_at),
        waits_until: removal.waits_until().map(rfc3339),
        removed_at: removal.removed_at.map(rfc3339),
        retained_until: removal.report_until().map(rfc3339),
        removed: removal.removed,
        account: removal.account.to_string(),
    }
}

fn no_account() -> Refusal {
    Refusal::not_found("there is no such account")
}

pub(super) async fn list(State(store): State<Store>, _: Caller<Manage>, page: Page) -> Result<Response, Refusal> {
    let limit = page.limit(limits::PAGE_DEFAULT)?;
    let found = store.list_accounts(page.after()?.as_ref(), limit + 1).await?;
    let (found, next_cursor) = page::cut(found, limit, |account| account.account.to_string());
    let mut accounts = Vec::with_capacity(found.len());
    for listed in found {
        let counts = store.account_counts(&listed.account).await?;
        accounts.push(views::Account {
            created_at: rfc3339(listed.created_at),
            removing: listed.removing,
            account: listed.account.to_string(),
            keys: counts.keys as u64,
            kinds: counts.kinds as u64,
            imports_unfinished: counts.imports_unfinished as u64,
            exports_unfinished: counts.exports_unfinished as u64,
        });
    }
    Ok(Json(views::AccountPage { accounts, next_cursor }).into_response())
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
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(view(removal))).into_response())
}

pub(super) async fn removal(
    State(store): State<Store>,
    _: Caller<Manage>,
    account: Named<AccountId>,
) -> Result<Response, Refusal> {
    let no_removal = || Refusal::not_found("no such account is being removed, or was within the last 90 days");
    let account = account.get().ok_or_else(no_removal)?;
    let removal = store.account_removal(account).await?.ok_or_else(no_removal)?;
    Ok(Json(view(removal)).into_response())
}
