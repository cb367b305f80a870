//! Accounts, for a key that has the scope `admin`.

use penstock_model::{AccountRemovalStage, RemovedCounts};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{Client, Result, encoded, page, read};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The account.
    pub account: String,
    /// When its first key was made, in RFC 3339.
    pub created_at: String,
    /// Whether it is being removed.
    pub removing: bool,
    /// Keys that are not revoked.
    pub keys: u64,
    /// Kinds of its own.
    pub kinds: u64,
    /// Imports that have not ended.
    pub imports_unfinished: u64,
    /// Exports that have not ended.
    pub exports_unfinished: u64,
}

/// A page of accounts.
#[derive(Debug, Clone, Deserialize)]
pub struct AccountPage {
    /// The accounts by name.
    pub accounts: Vec<Account>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

/// The removal of an account, in the end the report of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRemoval {
    /// The account.
    pub account: String,
    /// Where it stands.
    pub status: AccountRemovalStage,
    /// When it was ordered, in RFC 3339.
    pub ordered_at: String,
    /// When what was in flight cannot act any more, in RFC 3339; none before all imports and exports have ended.
    pub waits_until: Option<String>,
    /// When nothing was left, in RFC 3339.
    pub removed_at: Option<String>,
    /// Until when the report is kept, in RFC 3339.
    pub retained_until: Option<String>,
    /// What went so far.
    pub removed: RemovedCounts,
}

impl Client {
    /// A page of the accounts by name.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn accounts(&self, cursor: Option<&str>, limit: usize) -> Result<AccountPage> {
        page(self.request(Method::GET, "/v1/accounts"), cursor, limit).await
    }

    /// Orders the removal of an account with all that is stored of it. A repeat changes nothing.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn delete_account(&self, account: &str) -> Result<AccountRemoval> {
        read(self.request(Method::DELETE, &format!("/v1/accounts/{}", encoded(account))).send().await?).await
    }

    /// How far the removal of an account is, or the report of it.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn account_removal(&self, account: &str) -> Result<AccountRemoval> {
        read(self.request(Method::GET, &format!("/v1/accounts/{}/removal", encoded(account))).send().await?).await
    }
}
