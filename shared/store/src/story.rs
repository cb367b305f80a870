//! Imports that correct one another: what is stored of a story beside them. [`penstock_model::story`] is its rules.
//!
//! ```text
//! api                       imports table
//!  │ create_import ───────▶ the import; the story with its id behind that of the one that it corrects; and that one,
//!  │                        which must be there, with the name of the story: one transaction
//!  │ † story.joined: the client has no answer; a repeat with the same Idempotency-Key gives it
//!  ▼ answer
//! delete                    the import goes, and the story keeps what became of its rows: one transaction
//! ```
//!
//! - *Two imports correct the same one.* Both write the story as they have read it, with one more import. One of them
//!   comes first, and the other one reads the story again and finds it corrected.
//! - *It is deleted meanwhile.* Its item is a condition of the transaction: one of the two comes first. Either the new
//!   import finds nothing to correct, or the story knows it when the deletion takes it away.
//! - *All imports of a story are deleted.* The last deletion removes the story with the import.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::TransactWriteItem;
use penstock_model::{
    AccountId, Import, ImportId,
    story::{NoCorrection, Story},
};

use crate::{
    Result, Store, StoreError,
    change::Change,
    dynamo::{Item, from_item, n, putting, s, value},
    table::{import_key, story_key},
};

/// A story, and those of its imports that are there.
#[derive(Debug, Clone)]
pub struct Told {
    /// Which imports it has.
    pub story: Story,
    /// Those that were not deleted, as they are now.
    pub imports: BTreeMap<ImportId, Import>,
}

impl Store {
    /// The story that an import belongs to, read consistently; its own alone, where it corrects none and none corrects
    /// it.
    ///
    /// # Errors
    /// An import of the story is neither there nor known to be deleted.
    pub async fn told(&self, import: &Import) -> Result<Told> {
        let mut before = None;
        loop {
            let story: Option<Story> = match &import.story {
                Some(first) => self.get_item("a story", story_key(&import.account, first)).await?,
                None => None,
            };
            let Some(story) = story else {
                let imports = BTreeMap::from([(import.id.clone(), import.clone())]);
                return Ok(Told { story: Story::of(import), imports });
            };
            let there: Vec<&ImportId> =
                story.rounds.iter().filter(|round| round.gone.is_none()).map(|round| &round.import).collect();
            let keys = there.iter().map(|id| import_key(&import.account, id)).collect();
            let mut imports = BTreeMap::new();
            for item in self.batch_get(self.imports_table(), keys).await? {
                let import: Import = from_item("an import", item)?;
                imports.insert(import.id.clone(), import);
            }
            if imports.len() == there.len() {
                return Ok(Told { story, imports });
            }
            // One was deleted between the two reads: the story says so by now.
            if before == Some(story.writes) {
                let source = "an import of it is missing".into();
                return Err(StoreError::Unreadable { what: "a story", source });
            }
            before = Some(story.writes);
        }
    }

    /// That an import corrects another one, as actions of the transaction that makes it; none for one that corrects
    /// nothing. An import that has ended stays as it is, so all that its item has to be is there. Where a condition is
    /// not met, this is to be asked again: a repeat finds the import corrected, by this one.
    pub(crate) async fn correct_actions(
        &self,
        import: &Import,
    ) -> Result<std::result::Result<Vec<TransactWriteItem>, NoCorrection>> {
        let (Some(id), Some(first)) = (&import.corrects, &import.story) else { return Ok(Ok(Vec::new())) };
        let Some(of) = self.import(&import.account, id).await? else { return Ok(Err(NoCorrection::Missing)) };
        let Told { story, imports } = self.told(&of).await?;
        let story = match story.correct(&of, &imports, import) {
            Ok(story) => story,
            Err(why) => return Ok(Err(why)),
        };
        let mut actions = vec![self.story_action(&import.account, first, &story)?];
        // A transaction changes an item by one action: where its upload is read as well, that one names the story.
        if import.from.as_ref().is_none_or(|source| source.upload != *id) {
            let named = Change::of_existing().set("story", s(first.as_str()));
            actions.push(named.in_action(self.update_action(import_key(&import.account, id))));
        }
        Ok(Ok(actions))
    }

    /// That an import is deleted, as an action of the transaction that removes it; `None` for one that is of no story.
    /// Where the condition is not met, this is to be asked again: a repeat finds the import gone.
    pub(crate) async fn leave_story_action(&self, import: &Import) -> Result<Option<TransactWriteItem>> {
        let Some(first) = &import.story else { return Ok(None) };
        let key = story_key(&import.account, first);
        let Some(story) = self.get_item::<Story>("a story", key.clone()).await? else { return Ok(None) };
        let Some(left) = story.without(import) else { return Ok(None) };
        Ok(Some(match left.is_over() {
            true => unchanged(&left).in_deletion(self.imports_table(), key),
            false => self.story_action(&import.account, first, &left)?,
        }))
    }

    /// The put of a story that was changed, on the condition that it is still the one that was read. A repeat finds
    /// that it is not.
    fn story_action(&self, account: &AccountId, first: &ImportId, story: &Story) -> Result<TransactWriteItem> {
        let rounds = value("a story", &story.rounds)?;
        let mut item = Item::from([("writes".to_owned(), n(story.writes + 1)), ("rounds".to_owned(), rounds)]);
        item.extend(story_key(account, first));
        let put = self.put_action(item);
        Ok(putting(match story.writes {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            writes => put.condition_expression("writes = :writes").expression_attribute_values(":writes", n(writes)),
        }))
    }
}

/// The condition that a story is still the one that was read.
fn unchanged(story: &Story) -> Change {
    Change::default().only_if("writes = :writes").value("writes", n(story.writes))
}
