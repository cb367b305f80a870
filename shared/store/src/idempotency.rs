//! What an `Idempotency-Key` stands for: the import or the export that its first request made. It is stored in one
//! transaction with that, and lasts for [`IDEMPOTENCY_MS`].

use std::str::FromStr;

use aws_sdk_dynamodb::types::TransactWriteItem;
use penstock_model::{AccountId, ImportId, limits::IDEMPOTENCY_MS};
use serde::{Deserialize, Serialize};

use crate::{
    Result, Store,
    change::Change,
    dynamo::{n, putting, s, to_item},
    table::idempotency_key,
};

/// An `Idempotency-Key` and the request that it came with.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// SHA-256 of the request that it came with, in hexadecimal.
    pub request: String,
}

/// What a key stands for that could not be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen<T> {
    /// Nothing any more: it is to be tried again.
    Nothing,
    /// What was to be stored: the client repeated a call that had had its effect.
    Own,
    /// What the same request has made before.
    Earlier(T),
    /// Another request.
    Other,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    id: String,
    request: String,
    expires_at: i64,
}

impl Store {
    /// That a key stands for what is made now, as an action of the transaction that makes it. The condition is not met
    /// while it stands for something.
    pub(crate) fn remember_action(
        &self,
        account: &AccountId,
        idempotency: &Idempotency,
        id: impl ToString,
        now_ms: i64,
    ) -> Result<TransactWriteItem> {
        let expires_at = now_ms + IDEMPOTENCY_MS;
        let remembered = Remembered { id: id.to_string(), request: idempotency.request.clone(), expires_at };
        let mut item = to_item("a request", &remembered)?;
        item.extend(idempotency_key(account, &idempotency.key));
        item.insert("ttl".into(), n(expires_at / 1000));
        let put = self
            .put_action(item)
            .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
            .expression_attribute_values(":now", n(now_ms));
        Ok(putting(put))
    }

    /// Forgets what a key stands for, if that is `own`, whose making was refused after all. A repeat changes nothing.
    pub(crate) async fn forget(&self, account: &AccountId, idempotency: &Idempotency, own: &ImportId) -> Result<()> {
        let own_alone = Change::default().only_if("#id = :own").named("id", "id").value("own", s(own.as_str()));
        let key = idempotency_key(account, &idempotency.key);
        // Where the condition is not met, the key stands for something else by now.
        self.transact(vec![own_alone.in_deletion(self.imports_table(), key)]).await.map(drop)
    }

    /// What the same request has made before, if its key still stands for it.
    pub async fn made_before<T: FromStr>(&self, account: &AccountId, idempotency: &Idempotency) -> Result<Option<T>> {
        let found: Option<Remembered> = self.get_item("a request", idempotency_key(account, &idempotency.key)).await?;
        let now = self.now_ms();
        let same = found.filter(|found| found.request == idempotency.request && found.expires_at > now);
        Ok(same.and_then(|found| found.id.parse().ok()))
    }

    /// What a key stands for, to whom the making of `own` was refused for it. What is no `T` was made by a request of
    /// another sort.
    pub(crate) async fn seen<T: FromStr + PartialEq>(
        &self,
        account: &AccountId,
        idempotency: &Idempotency,
        own: &T,
    ) -> Result<Seen<T>> {
        let found: Option<Remembered> = self.get_item("a request", idempotency_key(account, &idempotency.key)).await?;
        let Some(first) = found else { return Ok(Seen::Nothing) };
        Ok(match first.id.parse::<T>() {
            Ok(id) if first.request == idempotency.request && id == *own => Seen::Own,
            Ok(id) if first.request == idempotency.request => Seen::Earlier(id),
            _ => Seen::Other,
        })
    }
}
