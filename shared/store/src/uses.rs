//! Which imports use a kind of an account's own, and the end of a kind, or of a version of it, that none uses.
//!
//! An import is stored in one transaction with a mark under its kind. A kind is closed before its marks are looked at,
//! and whoever made an import looks whether its kind is closed after that. Both read consistently, so at least one of
//! the two sees the other:
//!
//! ```text
//! creation                             deletion
//!  │ import, mark ──────────────┐       │ closed ───────────────┐
//!  │ is the kind closed? ◀──────┼───────┼───────────────────────┘
//!  │ yes: the import ends       └───────┼─▶ does a mark stand for an import that is unfinished?
//!  ▼                                    ▼ yes: open again, and refused; no: removed
//! ```
//!
//! A process that dies between the steps leaves a kind that is closed: the deletion, or a registration, is repeated.
//!
//! The place of imports in the order of a kind ([`crate::accept`]) outlives the kind, so that it never starts again,
//! and so does the number of its last version: a process may still hold what it compiled of one.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use penstock_model::{AccountId, Halt, Import, ImportId, KindName};
use serde::Deserialize;

use crate::{
    Backoff, Result, Store, StoreError,
    deletes::RecordsLook,
    dynamo::{Item, from_item, is_made, items, n, putting, s, updating},
    table::{
        account_pk, kind_names_key, kind_number_key, kind_use_key, kind_uses, newest_schema_key, schema_version_key,
        schema_versions,
    },
};

/// What became of a kind, or of a version, that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// There is none.
    Missing,
    /// An import of it is unfinished.
    InUse,
    /// It is the newest version, which goes with its kind.
    Newest,
    /// There are records of it.
    HasRecords,
    /// There are more tombstones of its records than one deletion looks at, and no record was found among them.
    TooManyTombstones,
}

/// Marks of ended imports that one creation removes, at most: more than it makes, so that they do not pile up.
const TIDIED: usize = 2;

/// Marks that one deletion looks at, at most. It removes those of ended imports, so that a repeat comes further.
const LOOKED_AT: usize = 1_000;

/// The mark that an import uses a version of a kind.
#[derive(Deserialize)]
struct Use {
    import: ImportId,
    version: u32,
}

/// What of a kind's newest version tells whether it takes imports.
#[derive(Deserialize)]
struct Open {
    #[serde(default)]
    closed: bool,
    version: u32,
}

impl Store {
    /// The mark of a new import, as an action of the transaction that stores it; `None` for a bundled kind.
    pub(crate) fn use_action(&self, import: &Import) -> Option<TransactWriteItem> {
        let Import { id, account, kind, kind_version: version @ 1.., .. } = import else { return None };
        let mark = Item::from([("import".to_owned(), s(id.as_str())), ("version".to_owned(), n(version))]);
        let mark: Item = mark.into_iter().chain(kind_use_key(account, kind, id)).collect();
        Some(putting(self.put_action(mark)))
    }

    /// Looks whether the kind of an import that has just been stored is still there, and removes marks of older imports
    /// that have ended. An import whose kind is gone, or is about to go, ends; then the answer is `false`.
    pub(crate) async fn has_kind(&self, import: &Import) -> Result<bool> {
        let Import { id, account, kind, kind_version: version @ 1.., .. } = import else { return Ok(true) };
        let newest = self.get_item::<Open>("a schema", newest_schema_key(account, kind)).await?;
        let own = self.get_item::<Open>("a schema", schema_version_key(account, kind, *version)).await?;
        let is_open = |found: Option<Open>| found.is_some_and(|found| !found.closed);
        if is_open(newest) && is_open(own) {
            self.is_used(account, kind, None, TIDIED).await?;
            return Ok(true);
        }
        self.order_halt(account, id, &Halt::cancelled()).await?;
        self.delete_item(kind_use_key(account, kind, id)).await?;
        Ok(false)
    }

    /// Whether an unfinished import uses a kind, or this version of it. Marks of imports that have ended are removed.
    /// It looks at `most` marks, the oldest first; where there are more, the answer is yes.
    async fn is_used(&self, account: &AccountId, kind: &KindName, version: Option<u32>, most: usize) -> Result<bool> {
        let mut start = None;
        let mut left = most;
        loop {
            let page = self
                .query(account_pk(account), &kind_uses(kind))
                .limit(left.min(100) as i32)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::unavailable("dynamodb:Query"))?;
            for item in page.items.unwrap_or_default() {
                let Use { import: id, version: of } = from_item("a mark", item)?;
                left -= 1;
                if version.is_some_and(|version| version != of) {
                    continue;
                }
                match self.import(account, &id).await? {
                    // The rejected rows are written as the kind reads the file.
                    Some(import)
                        if !import.status.is_final() || (import.has_rejected_rows() && import.report.is_none()) =>
                    {
                        return Ok(true);
                    }
                    _ => self.delete_item(kind_use_key(account, kind, &id)).await?,
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(false);
            }
            if left == 0 {
                return Ok(true);
            }
        }
    }

    /// Removes an account's kind with all its versions, unless an import of it is unfinished or there are records of
    /// it. A closed kind that no unfinished import uses gets no record any more, so the look at them comes last. A
    /// repeat goes on where the last one stopped.
    pub async fn delete_kind(&self, account: &AccountId, kind: &KindName) -> Result<Removal> {
        let newest = newest_schema_key(account, kind);
        let mut pause = Backoff::default();
        loop {
            let Some(Open { version, .. }) = self.get_item("a schema", newest.clone()).await? else {
                let left = self.delete_kind_versions(account, kind).await?;
                return Ok(if left { Removal::Removed } else { Removal::Missing });
            };
            if !self.set_closed(newest.clone(), version).await? {
                continue;
            }
            if self.is_used(account, kind, None, LOOKED_AT).await? {
                self.set_open(newest, version).await?;
                return Ok(Removal::InUse);
            }
            let refused = match self.look_for_records(account, kind).await? {
                RecordsLook::None => None,
                RecordsLook::Found => Some(Removal::HasRecords),
                RecordsLook::TooMany => Some(Removal::TooManyTombstones),
            };
            if let Some(refused) = refused {
                self.set_open(newest, version).await?;
                return Ok(refused);
            }
            let removed = aws_sdk_dynamodb::types::Delete::builder()
                .table_name(self.imports_table())
                .set_key(Some(newest.clone()))
                .condition_expression("version = :version AND attribute_exists(closed)")
                .expression_attribute_values(":version", n(version))
                .build()
                .expect("table, key and condition are set");
            let removed = TransactWriteItem::builder().delete(removed).build();
            let name = AttributeValue::Ss(vec![kind.as_str().to_owned()]);
            let uncounted = self
                .update_action(kind_names_key(account))
                .update_expression("DELETE #names :names")
                .expression_attribute_names("#names", "names")
                .expression_attribute_values(":names", name);
            let numbered = self
                .update_action(kind_number_key(account, kind))
                .update_expression("SET version = :version")
                .expression_attribute_values(":version", n(version));
            match self.transact(vec![removed, updating(uncounted), updating(numbered)]).await? {
                None => {
                    self.delete_kind_versions(account, kind).await?;
                    return Ok(Removal::Removed);
                }
                // A version was registered meanwhile, or this call had had its effect: look again.
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// Removes a version of an account's kind that is not the newest, unless an import of it is unfinished. A repeat
    /// finds it gone.
    pub async fn delete_kind_version(&self, account: &AccountId, kind: &KindName, version: u32) -> Result<Removal> {
        let (newest, own) = (newest_schema_key(account, kind), schema_version_key(account, kind, version));
        let mut pause = Backoff::default();
        loop {
            let found = self.get_item::<Open>("a schema", newest.clone()).await?;
            let is_there = self.get_item::<Open>("a schema", own.clone()).await?.is_some();
            let Some(found) = found.filter(|_| is_there) else { return Ok(Removal::Missing) };
            if found.version == version {
                return Ok(Removal::Newest);
            }
            if !self.set_closed(own.clone(), version).await? {
                continue;
            }
            if self.is_used(account, kind, Some(version), LOOKED_AT).await? {
                self.set_open(own, version).await?;
                return Ok(Removal::InUse);
            }
            let removed = aws_sdk_dynamodb::types::Delete::builder()
                .table_name(self.imports_table())
                .set_key(Some(own.clone()))
                .condition_expression("attribute_exists(closed)")
                .build()
                .expect("table, key and condition are set");
            let removed = TransactWriteItem::builder().delete(removed).build();
            let counted = self
                .update_action(newest.clone())
                .update_expression("SET kept = kept - :one")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":one", n(1));
            match self.transact(vec![removed, updating(counted)]).await? {
                None => return Ok(Removal::Removed),
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// Closes a schema's item to new imports, if it is still this version; whether it is closed now.
    async fn set_closed(&self, key: Item, version: u32) -> Result<bool> {
        let update =
            self.update(key).update_expression("SET closed = :closed").condition_expression("version = :version");
        let update = update.expression_attribute_values(":closed", AttributeValue::Bool(true));
        is_made(update.expression_attribute_values(":version", n(version))).await
    }

    async fn set_open(&self, key: Item, version: u32) -> Result<()> {
        let update = self.update(key).update_expression("REMOVE closed").condition_expression("version = :version");
        is_made(update.expression_attribute_values(":version", n(version))).await.map(drop)
    }

    /// Removes the versions of a kind that has no newest one any more; whether there was any.
    async fn delete_kind_versions(&self, account: &AccountId, kind: &KindName) -> Result<bool> {
        let items = self.sort_keys(account, &schema_versions(kind)).await?;
        for sk in &items {
            self.delete_item(crate::dynamo::key(account_pk(account), sk)).await?;
        }
        Ok(!items.is_empty())
    }

    /// The sort keys in an account's partition that begin so.
    async fn sort_keys(&self, account: &AccountId, prefix: &str) -> Result<Vec<String>> {
        let found = items(self.query(account_pk(account), prefix).projection_expression("sk"), None).await?;
        Ok(found.iter().filter_map(|item| Some(item.get("sk")?.as_s().ok()?.clone())).collect())
    }
}
