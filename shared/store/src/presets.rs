//! Presets: one item each under their account, and one beside them with their names, by which they are counted.

use penstock_model::{AccountId, Preset, PresetName, limits};

use crate::{
    Backoff, Result, Store,
    change::Change,
    dynamo::{from_item, items, key, putting, to_item},
    names::Own,
    table::{account_pk, preset_key, preset_names_key},
};

/// What became of a preset that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresetPut {
    /// It is there, and was not before.
    New,
    /// It took the place of the one before.
    Changed,
    /// The account has as many presets as it may have; nothing is stored.
    TooMany,
}

impl Store {
    /// Stores a preset in place of the one of its name, if there is one. Of two that are put at once under a new name
    /// one is new, and the other one takes its place. A repeat stores the same.
    pub async fn put_preset(&self, account: &AccountId, preset: &Preset) -> Result<PresetPut> {
        let mut item = to_item("a preset", preset)?;
        item.extend(preset_key(account, &preset.name));
        let named = self.name_action(preset_names_key(account), preset.name.as_str(), limits::ACCOUNT_PRESETS);
        let mut pause = Backoff::default();
        loop {
            let (as_read, put) = match self.preset(account, &preset.name).await? {
                None => ("attribute_not_exists(pk)", PresetPut::New),
                Some(_) => ("attribute_exists(pk)", PresetPut::Changed),
            };
            let stored = self.put_action(item.clone()).condition_expression(as_read);
            let Some(reasons) = self.transact(vec![putting(stored), named.clone()]).await? else { return Ok(put) };
            if reasons[1] == "ConditionalCheckFailed" {
                return Ok(PresetPut::TooMany);
            }
            // It was put or deleted since it was read, or somebody else is at it: look again.
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }

    /// The account's preset of this name, read consistently.
    pub async fn preset(&self, account: &AccountId, name: &PresetName) -> Result<Option<Preset>> {
        self.get_item("a preset", preset_key(account, name)).await
    }

    /// The account's presets by name, at most `limit` of them, behind the one of the name `after`.
    pub async fn list_presets(
        &self,
        account: &AccountId,
        after: Option<&PresetName>,
        limit: usize,
    ) -> Result<Vec<Preset>> {
        let query = self.query(account_pk(account), Own::Preset.text());
        let after = after.map(|name| key(account_pk(account), Own::Preset.named(name)));
        let found = items(query.set_exclusive_start_key(after), Some(limit)).await?;
        found.into_iter().map(|item| from_item("a preset", item)).collect()
    }

    /// Removes a preset; whether it was there. Its imports keep their options. A repeat finds it gone.
    pub async fn delete_preset(&self, account: &AccountId, name: &PresetName) -> Result<bool> {
        let gone = Change::of_existing().in_deletion(self.imports_table(), preset_key(account, name));
        let unnamed = self.unname_action(preset_names_key(account), name.as_str());
        self.transact_unless_changed(vec![gone, unnamed]).await
    }
}
