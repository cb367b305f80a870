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

use penstock_model::{Import, Order};

use crate::{
    Backoff, Result, Store, crash,
    dynamo::putting,
    quota::{IMPORTS, Quota},
};

impl Store {
    /// Stores an import whose upload is stored already, counts it against its account's quota and against another one,
    /// if that is given, and orders the split of its upload. The import and its counts are one transaction, so no quota
    /// is ever exceeded.
    ///
    /// Returns whether the quotas had a place left. If not, nothing is stored, and the upload remains. A repeat with
    /// the same import orders the split again, which is harmless.
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
        let quotas: Vec<Quota> = [self.account_quota()].into_iter().chain(quota).collect();
        let mut actions = vec![putting(self.new_import_action(import)?)];
        actions.extend(quotas.iter().map(|quota| self.take_place_action(&import.account, *quota, IMPORTS, &import.id)));
        let mut pause = Backoff::default();
        loop {
            let Some(reasons) = self.transact(actions.clone()).await? else { return Ok(true) };
            if reasons[0] == "ConditionalCheckFailed" {
                // The client repeated a call that had had its effect.
                return Ok(true);
            }
            for (quota, reason) in quotas.iter().zip(&reasons[1..]) {
                if reason == "ConditionalCheckFailed" && !self.has_place(&import.account, *quota).await? {
                    return Ok(false);
                }
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }
}
