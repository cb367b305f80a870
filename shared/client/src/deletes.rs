//! Deletes of records.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Client, Deleted, Result, done, encoded, read};

impl Client {
    /// Deletes a record by kind and canonical key; whether there was one. A repeat finds none.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn delete_record(&self, kind: &str, key: &str) -> Result<bool> {
        let path = format!("/v1/records/{}/{}", encoded(kind), encoded(key));
        let answer = self.request(Method::DELETE, &path).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        done(answer).await.map(|()| true)
    }

    /// Deletes records by kind and canonical keys,
    /// [`RECORD_DELETE_BATCH`](penstock_model::limits::RECORD_DELETE_BATCH) at most. A repeat finds none of them.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn delete_records(&self, kind: &str, keys: &[String]) -> Result<Deleted> {
        let path = format!("/v1/records/{}/delete", encoded(kind));
        read(self.request(Method::POST, &path).json(&json!({ "keys": keys })).send().await?).await
    }
}
