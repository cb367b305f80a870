//! API keys: 256 random bits each, of which only the SHA-256 is stored.

use penstock_model::AccountId;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::{
    Result, Store, StoreError,
    dynamo::{self, Item},
};

#[derive(Serialize, Deserialize)]
struct StoredKey {
    account: AccountId,
    secret_sha256: String,
    created_at: i64,
}

fn key_item(id: &str) -> Item {
    dynamo::key(format!("key#{id}"), "key")
}

/// Whether a text can be a key's id: 1 to 64 of `A-Z a-z 0-9 _ -`, so that it never holds what separates it from the secret.
pub fn is_key_id(text: &str) -> bool {
    text.parse::<AccountId>().is_ok()
}

/// A new secret: 256 random bits in hexadecimal.
pub fn new_secret() -> String {
    crate::hex(&crate::random::<32>())
}

impl Store {
    /// Stores a key of an account under its id. A repeat replaces it: the last secret is the one that counts.
    pub async fn put_key(&self, account: &AccountId, id: &str, secret: &str) -> Result<()> {
        let stored = StoredKey {
            account: account.clone(),
            secret_sha256: crate::sha256_hex(secret.as_bytes()),
            created_at: self.now_ms(),
        };
        let mut item: Item = serde_dynamo::to_item(stored).map_err(StoreError::unreadable("a key"))?;
        item.extend(key_item(id));
        let sent = self.dynamodb().put_item().table_name(self.imports_table()).set_item(Some(item)).send().await;
        sent.map_err(StoreError::unavailable("dynamodb:PutItem"))?;
        Ok(())
    }

    /// The account whose key this is, if id and secret are right. The comparison takes the same time wherever they differ, and an unknown id
    /// is compared too.
    pub async fn authenticate(&self, id: &str, secret: &str) -> Result<Option<AccountId>> {
        if !is_key_id(id) {
            return Ok(None);
        }
        let stored: Option<StoredKey> = self.get_item("a key", key_item(id)).await?;
        let offered = crate::sha256_hex(secret.as_bytes());
        let wanted = stored.as_ref().map_or("", |key| key.secret_sha256.as_str());
        let padded = format!("{wanted:64}");
        let right: bool = offered.as_bytes().ct_eq(padded.as_bytes()).into();
        Ok(stored.filter(|_| right).map(|key| key.account))
    }
}
