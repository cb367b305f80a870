//! Imports whose file came through the API before the import was made.
//!
//! In a form the options may come after the file, so the file is stored first, under the key of an import that does not
//! exist yet. Nothing can be accepted before the options are known, since accepting needs the import:
//!
//! ```text
//! api                                   S3            imports table       splits queue      splitter
//!  │ the body ─────────────────────────▶ object ── event ─────────────────────────────────▶ no such import: removed later
//!  │ † upload.stored: an object without an import; the sweeper removes it after a while ([`crate::removals`])
//!  │ create_uploaded_import ────────────────────────▶ import, due_at
//!  │ † upload.import_made: the sweeper finds the import due, finds its object, and orders the split
//!  │ send ─────────────────────────────────────────────────────────────▶ Continue ───────▶ finds the object, accepts it
//!  │ † upload.split_ordered: the client has no answer; its import runs
//!  ▼ answer
//! ```
//!
//! A late event finds the import and accepts the same object as the order does; the second of the two continues at the
//! checkpoint.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use penstock_model::{AccountId, Import, ImportId, Order};
use serde::Deserialize;

use crate::{
    Backoff, Result, Store, crash,
    dynamo::{is_made, n, putting, updating},
    table::unfinished_key,
};

/// A bound on the imports of an account that are unfinished at once.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// The name: each quota counts the imports that were created under it.
    pub name: &'static str,
    /// Unfinished imports of an account, at most.
    pub max: usize,
}

/// The imports of an account that count against a quota. Imports that have ended since are removed when the quota is
/// used up.
#[derive(Default, Deserialize)]
struct Unfinished {
    #[serde(default)]
    imports: BTreeSet<ImportId>,
}

impl Store {
    /// Stores an import whose upload is stored already, counts it against the quota, if one is given, and orders the split of its upload.
    /// The import and its count are one transaction, so the quota is never exceeded.
    ///
    /// Returns whether the quota had a place left. If not, nothing is stored, and the upload remains. A repeat with the same import orders
    /// the split again, which is harmless.
    pub async fn create_uploaded_import(&self, import: &Import, quota: Option<Quota>) -> Result<bool> {
        if !self.take_place(import, quota).await? {
            return Ok(false);
        }
        crash::point("upload.import_made");
        self.send(&Order::to_continue(import, None)).await?;
        crash::point("upload.split_ordered");
        Ok(true)
    }

    async fn take_place(&self, import: &Import, quota: Option<Quota>) -> Result<bool> {
        let put = putting(self.new_import_action(import)?);
        let mut pause = Backoff::default();
        loop {
            let mut actions = vec![put.clone()];
            if let Some(quota) = quota {
                let taken = self
                    .update_action(unfinished_key(&import.account, quota.name))
                    .update_expression("ADD imports :imports")
                    .condition_expression("attribute_not_exists(imports) OR size(imports) < :max")
                    .expression_attribute_values(":imports", AttributeValue::Ss(vec![import.id.to_string()]))
                    .expression_attribute_values(":max", n(quota.max));
                actions.push(updating(taken));
            }
            let Some(reasons) = self.transact(actions).await? else { return Ok(true) };
            if reasons[0] == "ConditionalCheckFailed" {
                // The client repeated a call that had had its effect.
                return Ok(true);
            }
            if let Some(quota) = quota.filter(|_| reasons[1] == "ConditionalCheckFailed")
                && !self.has_place(&import.account, quota).await?
            {
                return Ok(false);
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }

    /// Whether the account's quota has a place left for another unfinished import. If it seems used up, the imports that have ended are
    /// removed from it first; a repeat finds them removed. The answer can be outdated as soon as it is given:
    /// [`Store::create_uploaded_import`] decides.
    pub async fn has_place(&self, account: &AccountId, quota: Quota) -> Result<bool> {
        let key = unfinished_key(account, quota.name);
        let unfinished: Unfinished = self.get_item("unfinished imports", key.clone()).await?.unwrap_or_default();
        if unfinished.imports.len() < quota.max {
            return Ok(true);
        }
        let mut ended = Vec::new();
        for id in &unfinished.imports {
            // An import that is missing has been deleted: it was stored in one transaction with its place.
            if self.import(account, id).await?.is_none_or(|import| import.status.is_final()) {
                ended.push(id.to_string());
            }
        }
        if ended.is_empty() {
            return Ok(false);
        }
        let update = self
            .update(key)
            .update_expression("DELETE imports :ended")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":ended", AttributeValue::Ss(ended));
        is_made(update).await?;
        Ok(true)
    }
}
