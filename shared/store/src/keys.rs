//! API keys: 256 random bits each, of which only the SHA-256 is stored.
//!
//! A key has an item of its own, where authentication finds it. What may be shown of it stands beside its account's
//! other keys, written in the same transaction, so that an account's keys are one query.

use penstock_model::{AccountId, Scope, limits};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::{
    Backoff, Result, Store,
    change::Change,
    dynamo::{deleting, from_item, items, n, putting, s, to_item},
    names::Own,
    table::{account_pk, api_key, listed_api_key},
};

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id: what comes before the secret in a token.
    pub id: String,
    /// Whose it is.
    pub account: AccountId,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// When it was used last, in Unix milliseconds, as [`Store::note_use`] notes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<i64>,
    /// What its maker called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it has been revoked.
    #[serde(default)]
    pub revoked: bool,
}

/// A key to be stored. It has no `Debug`: nothing may print a secret.
pub struct NewKey {
    /// Its id, see [`is_key_id`].
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Whose it is.
    pub account: AccountId,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// What its maker calls it.
    pub label: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    account: AccountId,
    secret_sha256: String,
    created_at: i64,
    scopes: Vec<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_used_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default)]
    revoked: bool,
}

impl StoredKey {
    fn shown(self, id: &str) -> Key {
        let Self { account, created_at, scopes, last_used_at, label, revoked, .. } = self;
        Key { id: id.to_owned(), account, scopes, created_at, last_used_at, label, revoked }
    }
}

/// Whether a text can be a key's id: 1 to 64 of `A-Z a-z 0-9 _ -`, so that it never holds what separates it from the
/// secret.
pub fn is_key_id(text: &str) -> bool {
    text.parse::<AccountId>().is_ok()
}

/// A new id: `key_` and 80 random bits in hexadecimal.
pub fn new_id() -> String {
    format!("key_{}", crate::hex(&crate::random::<10>()))
}

/// A new secret: 256 random bits in hexadecimal.
pub fn new_secret() -> String {
    crate::hex(&crate::random::<32>())
}

impl Store {
    /// Stores a key under its id. A repeat replaces it, a revoked one too: the last secret, account and scopes are
    /// those that count. `None`, with nothing stored, while the key's account is being removed.
    pub async fn put_key(&self, key: &NewKey) -> Result<Option<Key>> {
        let stored = |created_at| StoredKey {
            account: key.account.clone(),
            secret_sha256: crate::sha256_hex(key.secret.as_bytes()),
            created_at,
            scopes: key.scopes.clone(),
            last_used_at: None,
            label: key.label.clone(),
            revoked: false,
        };
        let now = self.now_ms();
        let mut pause = Backoff::default();
        loop {
            let before: Option<StoredKey> = self.get_item("a key", api_key(&key.id)).await?;
            let mut item = to_item("a key", &stored(now))?;
            item.extend(api_key(&key.id));
            let put = self.put_action(item);
            let put = match &before {
                None => put.condition_expression("attribute_not_exists(pk)"),
                Some(before) => put
                    .condition_expression("account = :account AND secret_sha256 = :secret")
                    .expression_attribute_values(":account", s(before.account.as_str()))
                    .expression_attribute_values(":secret", s(&before.secret_sha256)),
            };
            let shown = stored(now).shown(&key.id);
            let mut actions = vec![putting(put), self.listing(&shown)?, self.account_action(&key.account)];
            if let Some(other) = before.map(|before| before.account).filter(|account| *account != key.account) {
                actions.push(deleting(self.imports_table(), listed_api_key(&other, &key.id)));
            }
            match self.transact(actions).await? {
                None => return Ok(Some(shown)),
                Some(reasons) if reasons[2] == "ConditionalCheckFailed" => return Ok(None),
                Some(_) => {}
            }
            // The key was changed meanwhile, perhaps by this very call, repeated by the client.
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }

    /// The put of what may be shown of a key, beside its account's other keys.
    fn listing(&self, shown: &Key) -> Result<aws_sdk_dynamodb::types::TransactWriteItem> {
        let mut item = to_item("a key", shown)?;
        item.extend(listed_api_key(&shown.account, &shown.id));
        Ok(putting(self.put_action(item)))
    }

    /// The key with this id and secret, unless it has been revoked. The comparison takes the same time wherever secrets
    /// differ, and an unknown id is compared too.
    pub async fn authenticate(&self, id: &str, secret: &str) -> Result<Option<Key>> {
        if !is_key_id(id) {
            return Ok(None);
        }
        let stored: Option<StoredKey> = self.get_item("a key", api_key(id)).await?;
        let offered = crate::sha256_hex(secret.as_bytes());
        let wanted = stored.as_ref().map_or("", |key| key.secret_sha256.as_str());
        let padded = format!("{wanted:64}");
        let right: bool = offered.as_bytes().ct_eq(padded.as_bytes()).into();
        Ok(stored.filter(|key| right && !key.revoked).map(|key| key.shown(id)))
    }

    /// The key of this id, a revoked one too.
    pub(crate) async fn key(&self, id: &str) -> Result<Option<Key>> {
        let stored: Option<StoredKey> = self.get_item("a key", api_key(id)).await?;
        Ok(stored.map(|key| key.shown(id)))
    }

    /// Notes that a key is used, where the last use noted is [`limits::KEY_USE_NOTED_MS`] ago or longer. A repeat finds
    /// it noted. Where another request is at the key, nothing is noted: that request is a use as well, or it takes the
    /// key back.
    pub async fn note_use(&self, key: &Key) -> Result<()> {
        let now = self.now_ms();
        let long_ago = now - limits::KEY_USE_NOTED_MS;
        if key.last_used_at.is_some_and(|used| used > long_ago) {
            return Ok(());
        }
        let used = || {
            Change::of_existing()
                .only_if("account = :account")
                .value("account", s(key.account.as_str()))
                .only_if("(attribute_not_exists(last_used_at) OR last_used_at <= :long_ago)")
                .value("long_ago", n(long_ago))
                .set("last_used_at", n(now))
        };
        let of = |item| used().in_action(self.update_action(item));
        self.transact(vec![of(api_key(&key.id)), of(listed_api_key(&key.account, &key.id))]).await.map(drop)
    }

    /// An account's keys in the order of their ids, revoked ones too.
    pub async fn keys(&self, account: &AccountId) -> Result<Vec<Key>> {
        let items = items(self.query(account_pk(account), Own::Key.text()), None).await?;
        items.into_iter().map(|item| from_item("a key", item)).collect()
    }

    /// Revokes keys of an account, at most `most` of them; whether all of them are revoked now. A repeat revokes those
    /// that are left.
    pub async fn revoke_keys(&self, account: &AccountId, most: usize) -> Result<bool> {
        let mut left = self.keys(account).await?;
        left.retain(|key| !key.revoked);
        let is_all = left.len() <= most;
        for key in left.into_iter().take(most) {
            self.revoke_key(&key.id).await?;
        }
        Ok(is_all)
    }

    /// Removes a key of an account that is being removed. One that is another account's by now stays. A repeat finds it
    /// gone.
    pub(crate) async fn delete_key(&self, account: &AccountId, id: &str) -> Result<()> {
        let its = Change::default().only_if("account = :account").value("account", s(account.as_str()));
        let deleted = its.in_deletion(self.imports_table(), api_key(id));
        self.transact_unless_changed(vec![deleted]).await.map(drop)
    }

    /// Revokes a key: authentication refuses it from the answer on. Gives the key, or `None` if there is none of this
    /// id. A repeat changes nothing.
    pub async fn revoke_key(&self, id: &str) -> Result<Option<Key>> {
        let mut pause = Backoff::default();
        loop {
            let Some(mut stored) = self.get_item::<StoredKey>("a key", api_key(id)).await? else { return Ok(None) };
            if stored.revoked {
                return Ok(Some(stored.shown(id)));
            }
            let revoked = Change::default()
                .only_if("account = :account AND secret_sha256 = :secret")
                .value("account", s(stored.account.as_str()))
                .value("secret", s(&stored.secret_sha256))
                .set("revoked", aws_sdk_dynamodb::types::AttributeValue::Bool(true))
                .in_action(self.update_action(api_key(id)));
            stored.revoked = true;
            let shown = stored.shown(id);
            if self.transact(vec![revoked, self.listing(&shown)?]).await?.is_none() {
                return Ok(Some(shown));
            }
            // It was replaced meanwhile, or another transaction is at it: look again.
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }
}
