//! Accounts, for a key that has the scope `admin`.

use penstock_model::views::{AccountPage, AccountRemoval};
use reqwest::Method;

use super::{Client, Result, encoded, page, read};

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
