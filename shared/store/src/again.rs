//! Imports that read the stored upload of another import: [`penstock_model::again`] says which may.
//!
//! ```text
//! api                       imports table                          splits queue     splitter
//!  │ create_import ───────▶ the import, which waits; and in the
//!  │                        same transaction its id among the
//!  │                        readers of the upload's import
//!  │ † again.made: the sweeper finds it waiting, and orders the split
//!  │ order_again ────────────────────────────────────────────────▶ Continue ──────▶ accepts it: pinned already
//!  │ † again.ordered: the client has no answer; its import runs
//!  ▼ answer
//! whoever ends it           the end, and its id off the readers, in one transaction; where rows were rejected, whose
//!                           file is read from the upload, not before
//! report                    that that file is written, and its id off the readers, in one transaction
//! ```
//!
//! - *The upload's import is deleted meanwhile.* It is deleted on the condition that nobody reads its upload, and made
//!   a source on the condition that it is there: one of the two comes first, and the other is refused.
//! - *A reader is deleted before its rejected rows are written.* The deletion takes its id off the readers.
//! - *A repeat after the upload's import was deleted.* An id is taken off on the condition that it is there, so no item
//!   is made anew.

use aws_sdk_dynamodb::types::TransactWriteItem;
use penstock_model::{Import, Order, limits::UPLOAD_READERS};

use crate::{
    Result, Store, crash,
    dynamo::{n, s, set_of, updating},
    imports::Creation,
    table::import_key,
};

impl Store {
    /// That an import reads another one's upload, as an action of the transaction that makes it: its id enters the
    /// readers. The condition is not met where the other import is gone, or is read by as many as it may be. A repeat
    /// adds to a set what is in it. One that is corrected as well gets the name of the story by the same action.
    pub(crate) fn read_upload_action(&self, import: &Import) -> Option<TransactWriteItem> {
        let source = import.from.as_ref()?;
        let story = import.story.as_ref().filter(|_| import.corrects.as_ref() == Some(&source.upload));
        let read = self.update_action(import_key(&import.account, &source.upload));
        let read = match story {
            None => read.update_expression("ADD readers :ids"),
            Some(first) => read
                .update_expression("SET story = :story ADD readers :ids")
                .expression_attribute_values(":story", s(first.as_str())),
        };
        let read = read
            .condition_expression(
                "attribute_exists(#object) AND (attribute_not_exists(readers) OR size(readers) < :most)",
            )
            .expression_attribute_names("#object", "object")
            .expression_attribute_values(":ids", set_of(&import.id))
            .expression_attribute_values(":most", n(UPLOAD_READERS));
        Some(updating(read))
    }

    /// That the import which applies a review reads the upload that the review reads, as an action of the transaction
    /// that makes it. Beyond the most that may read an upload there may be one for each review among them, until that
    /// leaves. A repeat adds to a set what is in it.
    pub(crate) fn read_also_action(&self, import: &Import) -> TransactWriteItem {
        let read = self
            .update_action(import_key(&import.account, import.upload_of()))
            .update_expression("ADD readers :ids")
            .condition_expression("attribute_exists(#object)")
            .expression_attribute_names("#object", "object")
            .expression_attribute_values(":ids", set_of(&import.id));
        updating(read)
    }

    /// Why a new import cannot read the upload that it names; `None` if it can now.
    pub(crate) async fn unreadable(&self, import: &Import) -> Result<Option<Creation>> {
        let Some(source) = &import.from else { return Ok(None) };
        Ok(match self.import(&import.account, &source.upload).await? {
            None => Some(Creation::NoUpload),
            Some(of) if of.object.is_none() => Some(Creation::NoUpload),
            Some(of) if of.readers.len() >= UPLOAD_READERS => Some(Creation::UploadBusy),
            Some(_) => None,
        })
    }

    /// That an import reads another one's upload no more, as an action of the transaction by which that is so; `None`
    /// for one that reads none, or has left it before. The condition is that it is still among the readers: where it is
    /// not met, this is to be asked again.
    pub(crate) async fn leave_upload_action(&self, import: &Import) -> Result<Option<TransactWriteItem>> {
        let Some(source) = &import.from else { return Ok(None) };
        let of = self.import(&import.account, &source.upload).await?;
        if of.is_none_or(|of| !of.readers.contains(&import.id)) {
            return Ok(None);
        }
        let left = self
            .update_action(import_key(&import.account, &source.upload))
            .update_expression("DELETE readers :ids")
            .condition_expression("contains(readers, :id)")
            .expression_attribute_values(":ids", set_of(&import.id))
            .expression_attribute_values(":id", s(import.id.as_str()));
        Ok(Some(updating(left)))
    }

    /// Orders the split of an import that reads a stored upload, of which no event will tell. A repeat orders it again,
    /// which is harmless.
    pub async fn order_again(&self, import: &Import) -> Result<()> {
        crash::point("again.made");
        self.send(&Order::to_continue(import, None)).await?;
        crash::point("again.ordered");
        Ok(())
    }
}
