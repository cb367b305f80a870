//! The places that imports took in the order of their kind, so that a stamp tells its import. They outlive the imports:
//! a place tells whose it was, and of an import that is gone a small item tells which place it took.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::TransactWriteItem;
use penstock_model::{AccountId, Import, ImportId, KindName, limits::READ_BATCH};
use serde::Deserialize;

use crate::{
    Result, Store,
    dynamo::{Item, from_item, n, putting, s},
    table::{place_key, place_of, taken_key},
};

/// The attribute that names the import.
const IMPORT: &str = "import";

#[derive(Deserialize)]
struct Place {
    sk: String,
    import: ImportId,
}

/// The place that an import took which is gone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Taken {
    /// The kind in whose order it is.
    pub kind: KindName,
    /// The place.
    pub order: u64,
}

/// The item that says which import took a place. It stays when the import is deleted, as its stamps in records do.
pub(crate) fn place(account: &AccountId, kind: &KindName, order: u64, import: &ImportId) -> Item {
    let mut item = place_key(account, kind, order);
    item.insert(IMPORT.to_owned(), s(import.as_str()));
    item
}

impl Store {
    /// That an import which goes had taken a place, as an action of the transaction by which it goes; `None` for one
    /// that took none. A repeat puts the same.
    pub(crate) fn taken_action(&self, import: &Import) -> Option<TransactWriteItem> {
        let Import { id, account, kind, order: order @ 1.., .. } = import else { return None };
        let mut item = taken_key(account, id);
        item.extend([("kind".to_owned(), s(kind.as_str())), ("order".to_owned(), n(order))]);
        Some(putting(self.put_action(item)))
    }

    /// The place that an import took which is gone, read consistently; `None` for one that is there, never was, took no
    /// place, or was deleted by a version that did not note it.
    pub async fn place_taken(&self, account: &AccountId, id: &ImportId) -> Result<Option<Taken>> {
        self.get_item("the place of an import", taken_key(account, id)).await
    }

    /// The imports that took these places in the order of the account and kind, read consistently. A place that no
    /// import took, or one that was taken before places were noted, is left out.
    pub async fn imports_of_places(
        &self,
        account: &AccountId,
        kind: &KindName,
        orders: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, ImportId>> {
        let keys: Vec<Item> = orders.iter().map(|order| place_key(account, kind, *order)).collect();
        let mut imports = BTreeMap::new();
        for keys in keys.chunks(READ_BATCH) {
            for item in self.batch_get(self.imports_table(), keys.to_vec()).await? {
                let Place { sk, import } = from_item("a place in the order", item)?;
                imports.extend(place_of(&sk).map(|order| (order, import)));
            }
        }
        Ok(imports)
    }
}
