//! Imports whose file came through the API before the import was made.
//!
//! In a form the options may come after the file, so the file is stored first, under the key of an import that does not exist yet. Nothing
//! can be accepted before the options are known, since accepting needs the import:
//!
//! ```text
//! api                                   S3            imports table       splits queue      splitter
//!  │ the body ─────────────────────────▶ object ── event ─────────────────────────────────▶ no such import: nothing to do
//!  │ † upload.stored: an object without an import; the bucket's lifecycle removes it
//!  │ create_uploaded_import ────────────────────────▶ import, due_at
//!  │ † upload.import_made: the sweeper finds the import due, finds its object, and orders the split
//!  │ send_split ───────────────────────────────────────────────────────▶ GoOn ───────────▶ finds the object, accepts it
//!  │ † upload.split_ordered: the client has no answer; its import runs
//!  ▼ answer
//! ```
//!
//! An event that comes late finds the import, and accepts the same object as the order does: whichever is second goes on at the checkpoint.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use penstock_model::{AccountId, Import, ImportId};
use serde::Deserialize;

use crate::{
    Backoff, Result, Store, crash,
    dynamo::{self, Item, is_made, n, putting, updating},
    imports::account_pk,
    queues::{SplitOrder, SplitTask},
};

/// A bound on an account's unfinished imports of one sort.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// The sort.
    pub of: &'static str,
    /// How many of them may be unfinished at once.
    pub most: usize,
}

/// The unfinished imports of one sort of an account, and some that have ended since: they are taken out when the room is full.
#[derive(Default, Deserialize)]
struct Unfinished {
    #[serde(default)]
    imports: BTreeSet<ImportId>,
}

fn room_key(account: &AccountId, room: Room) -> Item {
    dynamo::key(account_pk(account), format!("unfinished#{}", room.of))
}

impl Store {
    /// Stores an import whose upload is stored already, takes its place in the room, if there is one, and has the upload split; whether
    /// there was room. Import and place are one transaction, so that never more imports are unfinished than the room holds.
    ///
    /// A repeat with the same import orders the split again, which is harmless. Without room nothing is stored, and the upload remains.
    pub async fn create_uploaded_import(&self, import: &Import, room: Option<Room>) -> Result<bool> {
        if !self.take_place(import, room).await? {
            return Ok(false);
        }
        crash::point("upload.import_made");
        let task = SplitTask::GoOn { died_at: None };
        let order = SplitOrder { account: import.account.clone(), import: import.id.clone(), task };
        self.send_split(&order).await?;
        crash::point("upload.split_ordered");
        Ok(true)
    }

    async fn take_place(&self, import: &Import, room: Option<Room>) -> Result<bool> {
        let put = putting(self.new_import_action(import)?);
        let mut pause = Backoff::default();
        loop {
            let mut actions = vec![put.clone()];
            if let Some(room) = room {
                let taken = self
                    .update_action(room_key(&import.account, room))
                    .update_expression("ADD imports :imports")
                    .condition_expression("attribute_not_exists(imports) OR size(imports) < :most")
                    .expression_attribute_values(":imports", AttributeValue::Ss(vec![import.id.to_string()]))
                    .expression_attribute_values(":most", n(room.most));
                actions.push(updating(taken));
            }
            let Some(reasons) = self.transact(actions).await? else { return Ok(true) };
            if reasons[0] == "ConditionalCheckFailed" {
                // The client repeated a call that had had its effect.
                return Ok(true);
            }
            if let Some(room) = room.filter(|_| reasons[1] == "ConditionalCheckFailed")
                && !self.has_room(&import.account, room).await?
            {
                return Ok(false);
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }

    /// Whether the account has room for another unfinished import; takes those out that have ended where it seems to have none. The answer
    /// may be old when it comes: [`Store::create_uploaded_import`] decides. A repeat finds them taken out.
    pub async fn has_room(&self, account: &AccountId, room: Room) -> Result<bool> {
        let key = room_key(account, room);
        let unfinished: Unfinished = self.get_item("unfinished imports", key.clone()).await?.unwrap_or_default();
        if unfinished.imports.len() < room.most {
            return Ok(true);
        }
        let mut ended = Vec::new();
        for id in &unfinished.imports {
            // One that is not there was there, and has been deleted: it was stored together with its place.
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
