//! Records: read by key, written where they are what was read.

use std::collections::{BTreeMap, HashSet};

use penstock_engine::key::RecordName;
use penstock_model::{Applied, Decimal, Record, Stamp, Value};
use penstock_store::{
    Store,
    records::{READ_BATCH, WRITE_BATCH, Write, Written},
};

use super::bench::{Bench, KIND, at_once};

fn record(rev: u64, row: u64, fields: BTreeMap<String, Value>) -> Record {
    let stamp = Stamp { order: 1, row };
    let stamps = fields.keys().map(|name| (name.clone(), stamp)).collect();
    Record { rev, made: stamp, last: Applied { stamp, changed: true }, fields, stamps, gone: None }
}

pub(crate) fn named(rev: u64, name: &str) -> Record {
    record(rev, 1, BTreeMap::from([("name".to_owned(), Value::Text(name.to_owned()))]))
}

pub(crate) fn name_of(bench: &Bench, sku: &str) -> RecordName {
    RecordName::of(&bench.account, &KIND.parse().expect("a kind"), sku)
}

pub(crate) async fn write(store: &Store, name: &RecordName, record: &Record) -> Written {
    store.write_records(&[Write { name, record }]).await.expect("answers")[0]
}

/// The record's `rev`, and the name that it shows.
async fn shown(bench: &Bench, sku: &str) -> Option<(u64, Value)> {
    let kind = KIND.parse().expect("a kind");
    let record = bench.store.record(&bench.account, &kind, sku).await.expect("answers");
    record.map(|record| (record.rev, record.fields["name"].clone()))
}

pub(crate) async fn values_come_back_with_every_digit(bench: Bench) {
    let number = |text: &str| Value::Number(Decimal::parse(text).expect("a number"));
    let line = BTreeMap::from([
        ("quantity".to_owned(), number("12345678901234567890.123456789012345678")),
        ("note".to_owned(), Value::Null),
        ("gift".to_owned(), Value::Boolean(true)),
        ("empty".to_owned(), Value::Text(String::new())),
    ]);
    let fields = BTreeMap::from([
        ("text".to_owned(), Value::Text("ä\u{1f600}\u{0}\n\"".to_owned())),
        ("größe".to_owned(), number("-0.10")),
        ("digits".to_owned(), number("99999999999999999999999999999999999999")),
        ("small".to_owned(), number("0.00000000000000000000000000000000000001")),
        ("flag".to_owned(), Value::Boolean(false)),
        ("lines".to_owned(), Value::List(vec![Value::Object(line), Value::List(Vec::new())])),
    ]);
    let at = name_of(&bench, "A");
    let made = record(0, 7, fields);
    assert_eq!(write(&bench.store, &at, &made).await, Written::Stored);
    let found = bench.store.records(&[&at]).await.expect("answers").remove(&at).expect("the record is there");
    assert_eq!(found, Record { rev: found.rev, ..made });
}

pub(crate) async fn a_write_is_stored_only_over_what_was_read(bench: Bench) {
    let Bench { store, .. } = &bench;
    let at = name_of(&bench, "A");
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(write(store, &at, &named(1, "none")).await, Written::ReadAgain, "an update of what is not there");
    assert_eq!(shown(&bench, "A").await, None);
    let began = store.now_ms() as u64;
    assert_eq!(write(store, &at, &named(0, "one")).await, Written::Stored);
    assert_eq!(write(store, &at, &named(0, "again")).await, Written::ReadAgain, "it has been made");
    let (rev, one) = shown(&bench, "A").await.expect("the record is there");
    assert_eq!(one, text("one"));
    assert!((began..=store.now_ms() as u64).contains(&rev), "a number that was never used before: {rev}");
    assert_eq!(write(store, &at, &named(rev, "two")).await, Written::Stored);
    assert_eq!(write(store, &at, &named(rev, "three")).await, Written::ReadAgain, "another one was stored since");
    assert_eq!(shown(&bench, "A").await, Some((rev + 1, text("two"))));
}

pub(crate) async fn each_of_25_writes_is_answered_for_itself(bench: Bench) {
    let Bench { store, .. } = &bench;
    let skus: Vec<String> = (0..WRITE_BATCH).map(|n| format!("A-{n}")).collect();
    // Every third is there, every fifth as it was read.
    let names: Vec<RecordName> = skus.iter().map(|sku| name_of(&bench, sku)).collect();
    let mut records = Vec::with_capacity(WRITE_BATCH);
    for (n, (sku, at)) in skus.iter().zip(&names).enumerate() {
        if n % 3 == 0 {
            assert_eq!(write(store, at, &named(0, "before")).await, Written::Stored);
        }
        let rev = shown(&bench, sku).await.map_or(1, |(rev, _)| rev);
        records.push(named(if n % 5 == 0 { rev } else { 0 }, "after"));
    }
    let writes: Vec<Write<'_>> = names.iter().zip(&records).map(|(name, record)| Write { name, record }).collect();
    let written = store.write_records(&writes).await.expect("answers");
    for (n, sku) in skus.iter().enumerate() {
        let (exists, update) = (n % 3 == 0, n % 5 == 0);
        let stored = exists == update;
        assert_eq!(written[n], if stored { Written::Stored } else { Written::ReadAgain }, "{n}");
        let found = shown(&bench, sku).await.map(|(_, name)| name);
        let wanted = if stored { Some("after") } else { exists.then_some("before") };
        assert_eq!(found, wanted.map(|name| Value::Text(name.to_owned())), "{n}");
    }
}

pub(crate) async fn of_writes_at_once_one_is_stored(bench: Bench) {
    let at = name_of(&bench, "A");
    let mut rev = 0;
    for _ in 0..3 {
        let written = at_once(6, |n| {
            let (store, at) = (bench.store.clone(), at.clone());
            async move { write(&store, &at, &named(rev, &n.to_string())).await }
        })
        .await;
        assert_eq!(written.iter().filter(|written| **written == Written::Stored).count(), 1, "{written:?}");
        let winner = written.iter().position(|written| *written == Written::Stored).expect("one");
        let (stored, name) = shown(&bench, "A").await.expect("the record is there");
        assert_eq!(name, Value::Text(winner.to_string()));
        assert!(rev == 0 || stored == rev + 1, "{stored} after {rev}");
        rev = stored;
    }
}

pub(crate) async fn a_hundred_records_are_read_at_once(bench: Bench) {
    let Bench { store, .. } = &bench;
    let names: Vec<RecordName> = (0..READ_BATCH).map(|n| name_of(&bench, &n.to_string())).collect();
    let large = named(0, &"x".repeat(100_000));
    for group in names[..READ_BATCH - 10].chunks(WRITE_BATCH) {
        let writes: Vec<Write<'_>> = group.iter().map(|name| Write { name, record: &large }).collect();
        assert_eq!(store.write_records(&writes).await.expect("answers"), vec![Written::Stored; writes.len()]);
    }
    let all: Vec<&RecordName> = names.iter().collect();
    let found: HashSet<RecordName> = store.records(&all).await.expect("answers").into_keys().collect();
    assert_eq!(found, names[..READ_BATCH - 10].iter().cloned().collect());
    let page = store.records_page(&all[..5]).await.expect("answers");
    assert_eq!((page.records.len(), page.unread.len()), (5, 0));
}

/// The shard of every record that is written, with its place among the records of the shard.
pub(crate) async fn shards_give_every_record_once_in_order(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let kind = KIND.parse().expect("a kind");
    // Keys of one shard: short ones, and one that no sort key can hold.
    let shard = "7f";
    let in_shard = |key: &String| name_of(&bench, key).partition.ends_with(shard);
    let long = (0..).map(|n| format!("SKU-1{}{n}", "ä".repeat(600))).find(in_shard).expect("one");
    let short = (0..).map(|n| format!("SKU-{n}")).filter(in_shard).take(4);
    let mut keys: Vec<String> = short.chain([long.clone()]).collect();
    let other = (0..).map(|n| format!("SKU-{n}")).find(|key| !in_shard(key)).expect("one");
    for key in keys.iter().chain([&other]) {
        assert_eq!(write(store, &name_of(&bench, key), &named(0, key)).await, Written::Stored);
    }
    assert_eq!(shown(&bench, &long).await.map(|(_, name)| name), Some(Value::Text(long)));
    keys.sort();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.shard_page(account, &kind, 0x7f, after.as_deref(), 2).await.expect("answers");
        assert!(page.records.len() <= 2);
        assert!(page.records.iter().all(|(key, record)| record.fields["name"] == Value::Text(key.clone())));
        found.extend(page.records.into_iter().map(|(key, _)| key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, keys);
    let empty = store.shard_page(account, &kind, 0x7f, keys.last().map(String::as_str), 2).await.expect("answers");
    assert!(empty.records.is_empty() && empty.next.is_none());
    // Another account's shard, and another kind's, whose names begin alike.
    let neighbour = format!("{account}-2").parse().expect("an account");
    let empty = store.shard_page(&neighbour, &kind, 0x7f, None, 9).await.expect("answers");
    assert!(empty.records.is_empty() && empty.next.is_none());
}
