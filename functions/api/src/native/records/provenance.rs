//! Where a record's values come from: the import and the row of each.

use std::collections::{BTreeMap, BTreeSet};

use penstock_model::{AccountId, ImportId, KindName, Record, Stamp};
use penstock_store::{Result, Store};
use serde::Serialize;

/// Where a record and its fields come from.
#[derive(Debug, Serialize)]
pub(super) struct Provenance {
    /// The row that made it.
    made: Origin,
    /// The newest row that it has.
    changed: Origin,
    /// The row of each field that was ever set.
    fields: BTreeMap<String, Origin>,
}

/// The row that something comes from.
#[derive(Debug, Serialize)]
struct Origin {
    /// Its import, also one that was deleted since; none for an import that was accepted before places in the order
    /// were noted.
    import: Option<ImportId>,
    /// Its number in the import, from 1.
    row: u64,
    /// The value is a default, which the record got when that row made it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    /// The field holds nothing: the row cleared it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cleared: bool,
}

/// Reads which imports a record's stamps name. Costs a read for each import, a hundred to a request.
pub(super) async fn of(store: &Store, account: &AccountId, kind: &KindName, record: &Record) -> Result<Provenance> {
    let newest = record.changed();
    let stamps = record.stamps.values().copied().chain([record.made, newest]);
    let orders: BTreeSet<u64> = stamps.map(|stamp| row_of(stamp).0.order).collect();
    let imports = store.imports_of_places(account, kind, &orders).await?;
    let origin = |stamp: Stamp, holds: bool| {
        let (of, default) = row_of(stamp);
        Origin { import: imports.get(&of.order).cloned(), row: of.row, default: default && holds, cleared: !holds }
    };
    let fields = record.stamps.iter();
    Ok(Provenance {
        made: origin(record.made, true),
        changed: origin(newest, true),
        fields: fields.map(|(name, at)| (name.clone(), origin(*at, record.fields.contains_key(name)))).collect(),
    })
}

/// The row of a stamp, and whether the stamp is that of a default of the row.
fn row_of(stamp: Stamp) -> (Stamp, bool) {
    match stamp.default_of() {
        Some(row) => (row, true),
        None => (stamp, false),
    }
}
