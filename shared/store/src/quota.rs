//! Quotas: what an account may have under way, name, and upload in a day.
//!
//! Both are kept where a repeat does not count twice. The ids of unfinished imports stand in a set; an import enters it
//! in the transaction that makes it, and leaves it in the transaction that ends it. One that expired and whose upload
//! is accepted after all enters it again, whether there is room or not. So the set is exact, and a request that is
//! refused for it reads one item. A dialect's further quota is left when its set is full and looked through. The bytes
//! of a day are added in the transaction that accepts an upload, which is made once.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use penstock_model::{AccountId, Import, ImportId, limits::READ_BATCH};
use serde::Deserialize;

use crate::{
    Result, Store,
    dynamo::{Item, from_item, is_made, n, s, set_of, updating},
    table::{day_bytes_key, import_key, unfinished_key},
};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A bound on the imports of an account that are unfinished at once.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// The name: each quota counts the imports that were created under it.
    pub name: &'static str,
    /// Unfinished imports of an account, at most.
    pub max: usize,
}

/// The name of the quota that counts all imports of an account.
pub(crate) const ACCOUNT: &str = "account";

/// The set of imports that count against a quota.
pub(crate) const IMPORTS: &str = "imports";

/// The set of an account's names of a sort, such as those of its kinds.
const NAMES: &str = "names";

/// The imports of an account that count against a quota.
#[derive(Default, Deserialize)]
struct Unfinished {
    #[serde(default)]
    imports: BTreeSet<ImportId>,
}

#[derive(Default, Deserialize)]
struct DayBytes {
    #[serde(default)]
    bytes: u64,
}

/// What an account has uploaded today, against what it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Today {
    /// Bytes of the uploads that were accepted today.
    pub bytes: u64,
    /// Bytes that may be.
    pub most: u64,
    /// Whole seconds until the day is over, at least 1.
    pub left_seconds: u64,
}

impl Today {
    /// Whether the account gets another import, of a file of this many bytes where that is known. A file that is larger
    /// than what is left is refused; where its size is not known, the last one may go beyond.
    pub fn has_room(&self, bytes: Option<u64>) -> bool {
        self.bytes < self.most && self.bytes.saturating_add(bytes.unwrap_or(0)) <= self.most
    }
}

/// The day of a moment, and the whole seconds until it is over.
fn day_of(now_ms: i64) -> (i64, u64) {
    let (day, passed_ms) = (now_ms.div_euclid(DAY_MS), now_ms.rem_euclid(DAY_MS));
    (day, u64::try_from(DAY_MS - passed_ms).unwrap_or(0).div_ceil(1000).max(1))
}

impl Store {
    /// The quota that counts all imports of an account.
    pub fn account_quota(&self) -> Quota {
        Quota { name: ACCOUNT, max: self.settings().account_imports }
    }

    /// That something takes its place in a quota, as an action of the transaction that makes it: its id enters the set
    /// of this name. The condition is not met where there is no place left. A repeat adds to a set what is in it.
    pub(crate) fn take_place_action(
        &self,
        account: &AccountId,
        quota: Quota,
        set: &str,
        id: impl ToString,
    ) -> TransactWriteItem {
        updating(
            self.update_action(unfinished_key(account, quota.name))
                .update_expression("ADD #set :ids")
                .condition_expression("attribute_not_exists(#set) OR size(#set) < :max")
                .expression_attribute_names("#set", set)
                .expression_attribute_values(":ids", set_of(id))
                .expression_attribute_values(":max", n(quota.max)),
        )
    }

    /// That a name is among those of a set, at most `most` of them, as an action of the transaction that stores what
    /// has it. A repeat adds to the set what is in it.
    pub(crate) fn name_action(&self, key: Item, name: &str, most: usize) -> TransactWriteItem {
        updating(
            self.update_action(key)
                .update_expression("ADD #names :names")
                .condition_expression("attribute_not_exists(#names) OR size(#names) < :most OR contains(#names, :name)")
                .expression_attribute_names("#names", NAMES)
                .expression_attribute_values(":names", set_of(name))
                .expression_attribute_values(":name", s(name))
                .expression_attribute_values(":most", n(most)),
        )
    }

    /// That a name is no longer among those of a set, as an action of the transaction that removes what has it. What is
    /// not in the set changes nothing.
    pub(crate) fn unname_action(&self, key: Item, name: &str) -> TransactWriteItem {
        updating(
            self.update_action(key)
                .update_expression("DELETE #names :names")
                .expression_attribute_names("#names", NAMES)
                .expression_attribute_values(":names", set_of(name)),
        )
    }

    /// That an import which had ended runs after all, as an action of the transaction that accepts its upload: it
    /// counts against its account's quota again. A repeat adds to a set what is in it.
    pub(crate) fn retake_place_action(&self, account: &AccountId, id: &ImportId) -> TransactWriteItem {
        updating(
            self.update_action(unfinished_key(account, ACCOUNT))
                .update_expression("ADD #set :ids")
                .expression_attribute_names("#set", IMPORTS)
                .expression_attribute_values(":ids", set_of(id)),
        )
    }

    /// That something leaves a quota, as an action of the transaction that ends it. What is not in it changes nothing.
    pub(crate) fn leave_place_action(
        &self,
        account: &AccountId,
        quota: Quota,
        set: &str,
        id: impl ToString,
    ) -> TransactWriteItem {
        updating(
            self.update_action(unfinished_key(account, quota.name))
                .update_expression("DELETE #set :ids")
                .expression_attribute_names("#set", set)
                .expression_attribute_values(":ids", set_of(id)),
        )
    }

    /// That an account's upload counts today, as an action of the transaction that accepts it. A repeat adds nothing:
    /// the transaction's condition on the import is met once.
    pub(crate) fn count_bytes_action(&self, account: &AccountId, bytes: u64) -> TransactWriteItem {
        let (day, _) = day_of(self.now_ms());
        updating(
            self.update_action(day_bytes_key(account, day))
                .update_expression("ADD #bytes :bytes SET #ttl = :ttl")
                .expression_attribute_names("#bytes", "bytes")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":bytes", n(bytes))
                .expression_attribute_values(":ttl", n((day + 2) * DAY_MS / 1000)),
        )
    }

    /// What an account has uploaded today, read consistently.
    pub async fn today(&self, account: &AccountId) -> Result<Today> {
        let (day, left_seconds) = day_of(self.now_ms());
        let counted: Option<DayBytes> = self.get_item("the bytes of a day", day_bytes_key(account, day)).await?;
        let bytes = counted.unwrap_or_default().bytes;
        Ok(Today { bytes, most: self.settings().account_day_bytes, left_seconds })
    }

    /// Whether the account's quota has a place left for another unfinished import. If a dialect's seems used up, the
    /// imports that have ended are removed from it first; a repeat finds them removed. The answer can be outdated as
    /// soon as it is given: the transaction that makes an import decides.
    pub async fn has_place(&self, account: &AccountId, quota: Quota) -> Result<bool> {
        let key = unfinished_key(account, quota.name);
        let unfinished: Unfinished = self.get_item("unfinished imports", key.clone()).await?.unwrap_or_default();
        if unfinished.imports.len() < quota.max {
            return Ok(true);
        }
        if quota.name == ACCOUNT {
            return Ok(false);
        }
        // An import that is missing has been deleted: it was stored in one transaction with its place.
        let mut ended = unfinished.imports.clone();
        let ids: Vec<ImportId> = unfinished.imports.into_iter().collect();
        for group in ids.chunks(READ_BATCH) {
            let keys = group.iter().map(|id| import_key(account, id)).collect();
            for item in self.batch_get(self.imports_table(), keys).await? {
                let import: Import = from_item("an import", item)?;
                if !import.status.is_final() {
                    ended.remove(&import.id);
                }
            }
        }
        if ended.is_empty() {
            return Ok(false);
        }
        let update = self
            .update(key)
            .update_expression("DELETE imports :ended")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":ended", AttributeValue::Ss(ended.iter().map(ToString::to_string).collect()));
        is_made(update).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_at_midnight_utc() {
        assert_eq!(day_of(0), (0, 86_400));
        assert_eq!(day_of(DAY_MS - 1), (0, 1));
        assert_eq!(day_of(DAY_MS), (1, 86_400));
        assert_eq!(day_of(DAY_MS + 500), (1, 86_400));
    }

    #[test]
    fn a_day_has_room_until_its_bytes_are_used_up() {
        let today = |bytes| Today { bytes, most: 100, left_seconds: 1 };
        assert!(today(99).has_room(None) && today(99).has_room(Some(1)));
        assert!(!today(99).has_room(Some(2)) && !today(100).has_room(None) && !today(100).has_room(Some(0)));
        assert!(!today(1).has_room(Some(u64::MAX)));
    }
}
