//! The accounts that there are. One exists from its first key on until it is removed; [`crate::account_removals`] tells
//! how that goes.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use penstock_model::AccountId;
use serde::Deserialize;

use crate::{
    Result, Store,
    change::Change,
    dynamo::{Item, from_item, items, n, s},
    exports::EXPORTS,
    names::{Own, Partition},
    quota::{ACCOUNT, IMPORTS},
    table::{account_pk, kind_names_key, listed_account_key, unfinished_key},
};

/// An account in the list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// The account.
    pub account: AccountId,
    /// When its first key was made, in Unix milliseconds.
    pub created_at: i64,
    /// Whether it is being removed.
    #[serde(default)]
    pub removing: bool,
}

/// What an account has, read consistently, each number by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountCounts {
    /// Keys that are not revoked.
    pub keys: usize,
    /// Kinds of its own.
    pub kinds: usize,
    /// Imports that have not ended.
    pub imports_unfinished: usize,
    /// Exports that have not ended.
    pub exports_unfinished: usize,
}

impl Store {
    /// That there is an account, as an action of the transaction that makes a key of it. The condition is not met while
    /// the account is being removed. A repeat changes nothing.
    pub(crate) fn account_action(&self, account: &AccountId) -> TransactWriteItem {
        let change = self.line(account).only_if("attribute_not_exists(removing)");
        change.in_action(self.update_action(listed_account_key(account)))
    }

    /// That an account is being removed, as an action of the transaction that orders it. A repeat changes nothing.
    pub(crate) fn removing_action(&self, account: &AccountId) -> TransactWriteItem {
        let change = self.line(account).set("removing", AttributeValue::Bool(true));
        change.in_action(self.update_action(listed_account_key(account)))
    }

    fn line(&self, account: &AccountId) -> Change {
        Change::default()
            .set("account", s(account.as_str()))
            .set_to("created_at = if_not_exists(created_at, :now)")
            .value("now", n(self.now_ms()))
    }

    /// The account of this name, if there is one.
    pub async fn account(&self, account: &AccountId) -> Result<Option<Account>> {
        self.get_item("an account", listed_account_key(account)).await
    }

    /// The accounts by name, at most `limit` of them, after the one that `after` names.
    pub async fn list_accounts(&self, after: Option<&AccountId>, limit: usize) -> Result<Vec<Account>> {
        let query = self.query_partition(self.imports_table(), Partition::Accounts.named(""));
        let query = query.set_exclusive_start_key(after.map(listed_account_key));
        items(query, Some(limit)).await?.into_iter().map(|item| from_item("an account", item)).collect()
    }

    /// What an account has: one query for its keys, and three reads.
    pub async fn account_counts(&self, account: &AccountId) -> Result<AccountCounts> {
        let keys = self.query(account_pk(account), Own::Key.text()).projection_expression("revoked");
        let keys = items(keys, None).await?;
        let is_active = |item: &&Item| !item.get("revoked").is_some_and(|revoked| revoked.as_bool() == Ok(&true));
        Ok(AccountCounts {
            keys: keys.iter().filter(is_active).count(),
            kinds: self.set(kind_names_key(account), "names").await?.len(),
            imports_unfinished: self.set(unfinished_key(account, ACCOUNT), IMPORTS).await?.len(),
            exports_unfinished: self.set(unfinished_key(account, EXPORTS), EXPORTS).await?.len(),
        })
    }

    /// The set that an item of the imports table holds under this name, empty where there is none.
    pub(crate) async fn set(&self, key: Item, name: &str) -> Result<BTreeSet<String>> {
        let item = self.read_item(key).await?.unwrap_or_default();
        let texts = item.get(name).and_then(|set| set.as_ss().ok());
        Ok(texts.into_iter().flatten().cloned().collect())
    }
}
