//! Which imports use a kind of an account's own, and the end of a kind, or of a version of it, that none uses.
//!
//! An import is stored in one transaction with a use of its kind. A deletion marks the kind before it looks at these,
//! and whoever made an import looks for the mark after that, and takes it away. Both read consistently, so at least one
//! of the two sees the other:
//!
//! ```text
//! creation                             deletion
//!  │ import, use ───────────────┐       │ mark ─────────────────┐
//!  │ does the kind have a mark? ◀───────┼───────────────────────┘
//!  │ yes: it goes               └───────┼─▶ does an unfinished import use it? Are there records?
//!  ▼                                    ▼ no; the mark is its own, and nothing has taken a place: the kind is removed
//! ```
//!
//! So a mark keeps nobody out. One that a dead process left does nothing, and a deletion that is refused is not noticed
//! by others. An import is refused only if its kind is gone.
//!
//! A kind of which very many records were deleted is looked through by several deletions, one after the other: the mark
//! says how far the last one came. As long as it stands, and the order of the kind has not moved, what was seen is so
//! still.
//!
//! The place of imports in the order of a kind ([`crate::accept`]) outlives the kind, so that it never starts again,
//! and so does the number of its last version: a process may still hold what it compiled of one.

use aws_sdk_dynamodb::types::TransactWriteItem;
use penstock_model::{AccountId, Halt, Import, ImportId, KindName, limits::TOMBSTONE_PAGES};
use serde::Deserialize;

use crate::{
    Backoff, Result, Store, StoreError,
    accept::KindOrder,
    crash,
    deletes::{Looked, RecordsLook},
    dynamo::{Item, from_item, is_made, items, n, putting, s, updating, value},
    kinds::LastVersion,
    table::{
        account_pk, kind_names_key, kind_number_key, kind_order_key, kind_use_key, kind_uses, newest_schema_key,
        schema_version_key, schema_versions, version_of,
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
    /// No record was found yet, among more tombstones than one deletion looks through. A repeat goes on behind them.
    Unfinished,
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

/// What of a schema's item tells of the kind, or the version, and of a deletion.
#[derive(Deserialize)]
struct Marked {
    version: u32,
    /// The mark of the deletion that looked last.
    #[serde(default)]
    deletion: Option<String>,
    /// How far it came.
    #[serde(default)]
    looked: Option<Looked>,
}

impl Store {
    /// The mark of a new import, as an action of the transaction that stores it; `None` for a bundled kind.
    pub(crate) fn use_action(&self, import: &Import) -> Option<TransactWriteItem> {
        let Import { id, account, kind, kind_version: version @ 1.., .. } = import else { return None };
        let mark = Item::from([("import".to_owned(), s(id.as_str())), ("version".to_owned(), n(version))]);
        let mark: Item = mark.into_iter().chain(kind_use_key(account, kind, id)).collect();
        Some(putting(self.put_action(mark)))
    }

    /// Looks whether the kind of an import that has just been stored is still there, takes away the mark of a deletion,
    /// and removes uses of older imports that have ended. An import whose kind is gone ends at once; then the answer is
    /// `false`.
    pub(crate) async fn has_kind(&self, import: &Import) -> Result<bool> {
        let Import { id, account, kind, kind_version: version @ 1.., .. } = import else { return Ok(true) };
        let newest = self.is_kept(newest_schema_key(account, kind)).await?;
        if newest && self.is_kept(schema_version_key(account, kind, *version)).await? {
            self.is_used(account, kind, None, TIDIED).await?;
            return Ok(true);
        }
        self.order_halt(account, id, &Halt::cancelled()).await?;
        self.settle(account, id).await?;
        self.delete_item(kind_use_key(account, kind, id)).await?;
        Ok(false)
    }

    /// Whether a schema's item is there. The mark of a deletion, where it has one, is taken away, so that this deletion
    /// is not made.
    async fn is_kept(&self, key: Item) -> Result<bool> {
        match self.get_item::<Marked>("a schema", key.clone()).await? {
            None => Ok(false),
            Some(Marked { deletion: None, .. }) => Ok(true),
            Some(_) => self.unmark_deletion(key, None).await,
        }
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
    /// it. It looks at [`TOMBSTONE_PAGES`] pages of tombstones, or a few more. A repeat goes on where the last one
    /// stopped.
    pub async fn delete_kind(&self, account: &AccountId, kind: &KindName) -> Result<Removal> {
        self.delete_kind_within(account, kind, TOMBSTONE_PAGES).await
    }

    /// The same, looking at so many pages.
    pub async fn delete_kind_within(&self, account: &AccountId, kind: &KindName, pages: usize) -> Result<Removal> {
        let newest = newest_schema_key(account, kind);
        let mut pause = Backoff::default();
        loop {
            let Some(Marked { version, looked, .. }) = self.get_item("a schema", newest.clone()).await? else {
                let last: Option<LastVersion> = self.get_item("a number", kind_number_key(account, kind)).await?;
                let left = self.delete_kind_versions(account, kind, last.unwrap_or_default().version).await?;
                return Ok(if left { Removal::Removed } else { Removal::Missing });
            };
            let next = self.next_place(account, kind).await?;
            let looked = looked.filter(|looked| looked.next == next).unwrap_or_else(|| Looked::before(next));
            let Some(mark) = self.mark_deletion(newest.clone(), version, Some(&looked)).await? else { continue };
            crash::point("kind.marked");
            if self.is_used(account, kind, None, LOOKED_AT).await? {
                self.unmark_deletion(newest, Some(&mark)).await?;
                return Ok(Removal::InUse);
            }
            match self.look_for_records(account, kind, looked, pages).await? {
                RecordsLook::None => {}
                RecordsLook::Found => {
                    self.unmark_deletion(newest, Some(&mark)).await?;
                    return Ok(Removal::HasRecords);
                }
                RecordsLook::Unfinished(looked) => {
                    self.note_looked(newest, &mark, &looked).await?;
                    return Ok(Removal::Unfinished);
                }
            }
            let removed = aws_sdk_dynamodb::types::Delete::builder()
                .table_name(self.imports_table())
                .set_key(Some(newest.clone()))
                .condition_expression("version = :version AND deletion = :deletion")
                .expression_attribute_values(":version", n(version))
                .expression_attribute_values(":deletion", s(&mark))
                .build()
                .expect("table, key and condition are set");
            let removed = TransactWriteItem::builder().delete(removed).build();
            let uncounted = self.unname_action(kind_names_key(account), kind.as_str());
            let numbered = self
                .update_action(kind_number_key(account, kind))
                .update_expression("SET version = :version")
                .expression_attribute_values(":version", n(version));
            // An import whose maker died before it could take the mark away has taken a place, if it has records.
            let in_order = self
                .update_action(kind_order_key(account, kind))
                .update_expression("SET #next = :next")
                .condition_expression("attribute_not_exists(#next) OR #next = :next")
                .expression_attribute_names("#next", "next")
                .expression_attribute_values(":next", n(next));
            let actions = vec![removed, uncounted, updating(numbered), updating(in_order)];
            match self.transact(actions).await? {
                None => {
                    crash::point("kind.removed");
                    self.delete_kind_versions(account, kind, version).await?;
                    return Ok(Removal::Removed);
                }
                // An import was made or a version registered meanwhile, or this call had had its effect: look again.
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
            let found = self.get_item::<Marked>("a schema", newest.clone()).await?;
            let is_there = self.get_item::<Marked>("a schema", own.clone()).await?.is_some();
            let Some(found) = found.filter(|_| is_there) else { return Ok(Removal::Missing) };
            if found.version == version {
                return Ok(Removal::Newest);
            }
            let Some(mark) = self.mark_deletion(own.clone(), version, None).await? else { continue };
            if self.is_used(account, kind, Some(version), LOOKED_AT).await? {
                self.unmark_deletion(own, Some(&mark)).await?;
                return Ok(Removal::InUse);
            }
            let removed = aws_sdk_dynamodb::types::Delete::builder()
                .table_name(self.imports_table())
                .set_key(Some(own.clone()))
                .condition_expression("deletion = :deletion")
                .expression_attribute_values(":deletion", s(&mark))
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

    /// The next place in the order of a kind. Whatever writes a record of it has taken one.
    async fn next_place(&self, account: &AccountId, kind: &KindName) -> Result<u64> {
        let order: Option<KindOrder> = self.get_item("an order", kind_order_key(account, kind)).await?;
        Ok(order.unwrap_or_default().next)
    }

    /// Marks a schema's item with a new mark, which is the answer, if it is still this version. The mark of another
    /// deletion goes. A repeat that finds its own mark has the same effect.
    async fn mark_deletion(&self, key: Item, version: u32, looked: Option<&Looked>) -> Result<Option<String>> {
        let mark = crate::hex(&crate::random::<8>());
        let set = match looked {
            None => "SET deletion = :deletion",
            Some(_) => "SET deletion = :deletion, looked = :looked",
        };
        let looked = looked.map(|looked| value("a place", looked)).transpose()?;
        let update = self.update(key).update_expression(set).condition_expression("version = :version");
        let update = update.expression_attribute_values(":deletion", s(&mark));
        let update = match looked {
            None => update,
            Some(looked) => update.expression_attribute_values(":looked", looked),
        };
        let is_made = is_made(update.expression_attribute_values(":version", n(version))).await?;
        Ok(is_made.then_some(mark))
    }

    /// Notes how far a deletion has come, if the mark is still its own. A repeat notes the same.
    async fn note_looked(&self, key: Item, mark: &str, looked: &Looked) -> Result<()> {
        let update = self.update(key).update_expression("SET looked = :looked");
        let update = update.expression_attribute_values(":looked", value("a place", looked)?);
        let update =
            update.condition_expression("deletion = :deletion").expression_attribute_values(":deletion", s(mark));
        is_made(update).await.map(drop)
    }

    /// Takes a mark away, or whichever stands there, with what it says; whether the item is there, and the mark was. A
    /// repeat changes nothing.
    async fn unmark_deletion(&self, key: Item, mark: Option<&str>) -> Result<bool> {
        let update = self.update(key).update_expression("REMOVE deletion, looked");
        is_made(match mark {
            None => update.condition_expression("attribute_exists(pk)"),
            Some(mark) => {
                update.condition_expression("deletion = :deletion").expression_attribute_values(":deletion", s(mark))
            }
        })
        .await
    }

    /// Removes the versions up to the last one of a kind that was removed; whether there was any. Later ones are those
    /// of a kind that was registered anew meanwhile.
    async fn delete_kind_versions(&self, account: &AccountId, kind: &KindName, last: u32) -> Result<bool> {
        let mut items = self.sort_keys(account, &schema_versions(kind)).await?;
        items.retain(|sk| version_of(sk).is_some_and(|version| version <= last));
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
