//! The places that imports took in the order of their kind, so that a stamp tells its import.

use std::collections::{BTreeMap, BTreeSet};

use penstock_model::{AccountId, ImportId, KindName, limits::READ_BATCH};
use serde::Deserialize;

use crate::{
    Result, Store,
    dynamo::{Item, from_item, s},
    table::{place_key, place_of},
};

/// The attribute that names the import.
const IMPORT: &str = "import";

#[derive(Deserialize)]
struct Place {
    sk: String,
    import: ImportId,
}

/// The item that says which import took a place. It stays when the import is deleted, as its stamps in records do.
pub(crate) fn place(account: &AccountId, kind: &KindName, order: u64, import: &ImportId) -> Item {
    let mut item = place_key(account, kind, order);
    item.insert(IMPORT.to_owned(), s(import.as_str()));
    item
}

impl Store {
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
