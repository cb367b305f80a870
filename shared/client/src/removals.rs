//! What imports remove.

use reqwest::Method;
use serde_json::json;

use super::{Client, Confirm, Import, RemovalPage, Result, encoded, page, read};

impl Client {
    /// A page of the records that an import would remove, or once it has ended of those that it has removed.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn removals(&self, id: &str, cursor: Option<&str>, limit: usize) -> Result<RemovalPage> {
        page(self.request(Method::GET, &format!("/v1/imports/{}/removals", encoded(id))), cursor, limit).await
    }

    /// Confirms what a held replace removes, or what a review has judged: of that the answer is the import that applies
    /// it. A repeat gives the same import as it is then.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn confirm(&self, id: &str) -> Result<Import> {
        self.confirm_with(id, Confirm::default()).await
    }

    /// The same, with what is to be where the catalogue may have changed since a review.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn confirm_with(&self, id: &str, confirm: Confirm) -> Result<Import> {
        let request = self.request(Method::POST, &format!("/v1/imports/{}/confirm", encoded(id)));
        read(request.json(&confirm).send().await?).await
    }

    /// Orders the removal of every record of a kind; what is followed is an import. It waits to be confirmed unless
    /// `count` is how many records there are. A repeat orders another one.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn remove_all_records(&self, kind: &str, count: Option<u64>) -> Result<Import> {
        let path = format!("/v1/records/{}", encoded(kind));
        let body = match count {
            Some(count) => json!({ "kind": kind, "count": count }),
            None => json!({ "kind": kind }),
        };
        read(self.request(Method::DELETE, &path).json(&body).send().await?).await
    }
}
