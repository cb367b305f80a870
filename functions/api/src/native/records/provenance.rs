//! Where a record's values come from: the import and the row of each.

use std::collections::BTreeSet;

use penstock_model::{
    AccountId, KindName, Record, Stamp,
    views::{Origin, Provenance},
};
use penstock_store::{Result, Store};

/// Reads which imports a record's stamps name. Costs a read for each import, a hundred to a request.
pub(super) async fn of(store: &Store, account: &AccountId, kind: &KindName, record: &Record) -> Result<Provenance> {
    let newest = record.changed();
    let stamps = record.stamps.values().copied().chain([record.made, newest]);
    let orders: BTreeSet<u64> = stamps.map(|stamp| row_of(stamp).0.order).collect();
    let imports = store.imports_of_places(account, kind, &orders).await?;
    let origin = |stamp: Stamp, holds: bool| {
        let (of, default) = row_of(stamp);
        Origin {
            import: imports.get(&of.order).map(ToString::to_string),
            row: of.row,
            default: default && holds,
            cleared: !holds,
        }
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
