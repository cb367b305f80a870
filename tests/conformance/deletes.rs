//! Deletes of records: each at a place in the order of its kind, or not at all.

use std::collections::BTreeSet;

use penstock_engine::key::RecordName;
use penstock_model::{KindName, Record, Stamp};
use penstock_store::{deletes::Deleted, records::Written};

use super::{
    bench::{Bench, KIND, at_once},
    records::{name_of, named, write},
};

fn kind() -> KindName {
    KIND.parse().expect("a kind")
}

async fn item(bench: &Bench, sku: &str) -> Record {
    let name = name_of(bench, sku);
    bench.store.records(&[&name]).await.expect("answers").remove(&name).expect("an item")
}

async fn delete(bench: &Bench, skus: &[&str]) -> Deleted {
    let keys: Vec<String> = skus.iter().map(|sku| (*sku).to_owned()).collect();
    bench.store.delete_records(&bench.account, &kind(), &keys).await.expect("answers")
}

/// Makes records, beside an import that has the first place.
async fn make(bench: &Bench, skus: &[&str]) {
    assert_eq!(bench.accepted().await.order, 1);
    for sku in skus {
        assert_eq!(write(&bench.store, &name_of(bench, sku), &named(0, "made")).await, Written::Stored);
    }
}

pub(crate) async fn a_delete_takes_a_place_and_leaves_tombstones(bench: Bench) {
    make(&bench, &["A", "B", "stays"]).await;
    let made = item(&bench, "A").await;
    assert_eq!(delete(&bench, &["C"]).await, Deleted { missing: vec!["C".to_owned()], ..Deleted::default() });
    let gone = Deleted { deleted: 2, missing: vec!["C".to_owned()], left: 0 };
    assert_eq!(delete(&bench, &["A", "B", "C", "A"]).await, gone);
    let tombstone = item(&bench, "A").await;
    assert_eq!(tombstone, Record { rev: made.rev + 1, ..made.deleted(Stamp::of_delete(2)) });
    assert_eq!(item(&bench, "B").await.gone, tombstone.gone, "they share a place");
    assert_eq!(bench.store.record(&bench.account, &kind(), "A").await.expect("answers"), None);
    assert_eq!(delete(&bench, &["A"]).await, Deleted { missing: vec!["A".to_owned()], ..Deleted::default() });
    assert_eq!(bench.accepted().await.order, 3, "what finds nothing takes no place");
    // It is made anew in the place of its tombstone, and by nobody who has not read that.
    let anew = |rev| Record { rev, gone: tombstone.gone, ..named(0, "anew") };
    for rev in [0, made.rev] {
        assert_eq!(write(&bench.store, &name_of(&bench, "A"), &anew(rev)).await, Written::ReadAgain, "{rev}");
    }
    assert_eq!(write(&bench.store, &name_of(&bench, "A"), &anew(tombstone.rev)).await, Written::Stored);
    assert_eq!(item(&bench, "A").await, anew(tombstone.rev + 1));
    assert!(!item(&bench, "stays").await.is_gone());
}

pub(crate) async fn a_delete_that_was_overtaken_is_not_made(bench: Bench) {
    make(&bench, &["A"]).await;
    let name = name_of(&bench, "A");
    let sight = async || bench.store.sight_records(&bench.account, &kind(), &[&name]).await.expect("answers");
    // By an import, by a write of the record, by itself.
    let sighting = sight().await;
    bench.accepted().await;
    assert!(!bench.store.delete_sighted(&sighting).await.expect("answers"));
    let sighting = sight().await;
    let rev = sighting.records[0].1.rev;
    assert_eq!(write(&bench.store, &name, &named(rev, "newer")).await, Written::Stored);
    assert!(!bench.store.delete_sighted(&sighting).await.expect("answers"));
    assert!(!item(&bench, "A").await.is_gone());
    let sighting = sight().await;
    assert!(bench.store.delete_sighted(&sighting).await.expect("answers"));
    assert!(!bench.store.delete_sighted(&sighting).await.expect("answers"));
    let sighting = sight().await;
    assert_eq!((sighting.records.len(), sighting.absent), (0, vec![name.clone()]));
}

pub(crate) async fn deletes_at_once_have_different_places(bench: Bench) {
    let skus = ["A", "B", "C", "D", "E"];
    make(&bench, &skus).await;
    let deleted = at_once(skus.len(), |n| {
        let bench = bench.clone();
        async move { delete(&bench, &[skus[n]]).await.deleted }
    })
    .await;
    assert_eq!(deleted, [1; 5]);
    let names: Vec<RecordName> = skus.iter().map(|sku| name_of(&bench, sku)).collect();
    let items = bench.store.records(&names.iter().collect::<Vec<_>>()).await.expect("answers");
    let places: BTreeSet<Stamp> = items.values().filter_map(|record| record.gone).collect();
    assert_eq!(places, (2..7).map(Stamp::of_delete).collect());
}
