//! Records: read by key, written where they are what was read.

use std::collections::{BTreeMap, BTreeSet};

use penstock_engine::key;
use penstock_model::{Applied, Decimal, Record, Stamp, Value};
use penstock_store::{
    Store,
    records::{READ_BATCH, RecordKey, WRITE_BATCH, Write, Written},
};

use crate::bench::{Bench, KIND, at_once};

fn record(rev: u64, row: u64, fields: BTreeMap<String, Value>) -> Record {
    let stamp = Stamp { order: 1, row };
    let stamps = fields.keys().map(|name| (name.clone(), stamp)).collect();
    Record { rev, made: stamp, last: Applied { stamp, changed: true }, fields, stamps }
}

fn named(rev: u64, name: &str) -> Record {
    record(rev, 1, BTreeMap::from([("name".to_owned(), Value::Text(name.to_owned()))]))
}

fn key_of(bench: &Bench, sku: &str) -> RecordKey {
    key::hash(&bench.account, &KIND.parse().expect("a kind"), sku)
}

async fn write(store: &Store, key: RecordKey, record: &Record) -> Written {
    store.write_records(&[Write { key, record }]).await.expect("answers")[0]
}

async fn name(bench: &Bench, sku: &str) -> Option<(u64, Value)> {
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
    let key = key_of(&bench, "A");
    let made = record(0, 7, fields);
    assert_eq!(write(&bench.store, key, &made).await, Written::Stored);
    let found = bench.store.records(&[key]).await.expect("answers").remove(&key).expect("the record is there");
    assert_eq!(found, Record { rev: 1, ..made });
}

pub(crate) async fn a_write_is_stored_only_over_what_was_read(bench: Bench) {
    let Bench { store, .. } = &bench;
    let key = key_of(&bench, "A");
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(write(store, key, &named(1, "none")).await, Written::ReadAgain, "an update of what is not there");
    assert_eq!(name(&bench, "A").await, None);
    assert_eq!(write(store, key, &named(0, "one")).await, Written::Stored);
    assert_eq!(write(store, key, &named(0, "again")).await, Written::ReadAgain, "it has been made");
    assert_eq!(name(&bench, "A").await, Some((1, text("one"))));
    assert_eq!(write(store, key, &named(1, "two")).await, Written::Stored);
    assert_eq!(write(store, key, &named(1, "three")).await, Written::ReadAgain, "another one was stored since");
    assert_eq!(name(&bench, "A").await, Some((2, text("two"))));
}

pub(crate) async fn each_of_25_writes_is_answered_for_itself(bench: Bench) {
    let Bench { store, .. } = &bench;
    let skus: Vec<String> = (0..WRITE_BATCH).map(|n| format!("A-{n}")).collect();
    // Every third is there, every fifth as it was read.
    for (n, sku) in skus.iter().enumerate() {
        if n % 3 == 0 {
            assert_eq!(write(store, key_of(&bench, sku), &named(0, "before")).await, Written::Stored);
        }
    }
    let records: Vec<Record> = (0..WRITE_BATCH).map(|n| named(u64::from(n % 5 == 0), "after")).collect();
    let writes: Vec<Write<'_>> =
        skus.iter().zip(&records).map(|(sku, record)| Write { key: key_of(&bench, sku), record }).collect();
    let written = store.write_records(&writes).await.expect("answers");
    for (n, sku) in skus.iter().enumerate() {
        let (exists, update) = (n % 3 == 0, n % 5 == 0);
        let stored = exists == update;
        assert_eq!(written[n], if stored { Written::Stored } else { Written::ReadAgain }, "{n}");
        let shown = name(&bench, sku).await.map(|(_, name)| name);
        let wanted = if stored { Some("after") } else { exists.then_some("before") };
        assert_eq!(shown, wanted.map(|name| Value::Text(name.to_owned())), "{n}");
    }
}

pub(crate) async fn of_writes_at_once_one_is_stored(bench: Bench) {
    let key = key_of(&bench, "A");
    for rev in 0..3 {
        let written = at_once(6, |at| {
            let store = bench.store.clone();
            async move { write(&store, key, &named(rev, &at.to_string())).await }
        })
        .await;
        assert_eq!(written.iter().filter(|written| **written == Written::Stored).count(), 1, "{written:?}");
        let winner = written.iter().position(|written| *written == Written::Stored).expect("one");
        assert_eq!(name(&bench, "A").await, Some((rev + 1, Value::Text(winner.to_string()))));
    }
}

pub(crate) async fn a_hundred_records_are_read_at_once(bench: Bench) {
    let Bench { store, .. } = &bench;
    let keys: Vec<RecordKey> = (0..READ_BATCH).map(|n| key_of(&bench, &n.to_string())).collect();
    let large = named(0, &"x".repeat(100_000));
    for group in keys[..READ_BATCH - 10].chunks(WRITE_BATCH) {
        let writes: Vec<Write<'_>> = group.iter().map(|key| Write { key: *key, record: &large }).collect();
        assert_eq!(store.write_records(&writes).await.expect("answers"), vec![Written::Stored; writes.len()]);
    }
    let found: BTreeSet<RecordKey> = store.records(&keys).await.expect("answers").into_keys().collect();
    assert_eq!(found, keys[..READ_BATCH - 10].iter().copied().collect());
    let page = store.records_page(&keys[..5]).await.expect("answers");
    assert_eq!((page.records.len(), page.unread.len()), (5, 0));
}
