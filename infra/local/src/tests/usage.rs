use std::collections::BTreeMap;
use std::path::PathBuf;

use penstock_model::{Applied, Record, Stamp, Value};
use penstock_store::records::{RecordName, Write, Written};

use crate::{LocalCloud, Options};

fn record(rev: u64, text_bytes: usize) -> Record {
    let at = Stamp { order: 1, row: 1 };
    Record {
        rev,
        made: at,
        last: Applied { stamp: at, changed: true },
        fields: BTreeMap::from([("text".into(), Value::Text("x".repeat(text_bytes)))]),
        stamps: BTreeMap::from([("text".into(), at)]),
    }
}

/// What the records table was used for by `work`: requests, items, read units, write units.
async fn used<T>(cloud: &LocalCloud, work: impl Future<Output = T>) -> (T, (u64, u64, f64, f64)) {
    let before = cloud.usage();
    let done = work.await;
    let counts = cloud.usage().since(&before).of_resource("dynamodb", &cloud.settings().records_table);
    (done, (counts.requests, counts.items, counts.read_units, counts.write_units))
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_records_are_counted_as_dynamodb_bills_them() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // No function is invoked: any program will do.
    let options = Options::new(PathBuf::from("true"));
    let cloud = LocalCloud::start(Options { proxy: true, scheduled: false, ..options }).await.unwrap();
    let store = cloud.store();
    let (small, large) = (record(0, 10), record(0, 5000));
    let name = |key| RecordName::of(&"shop".parse().unwrap(), &"products".parse().unwrap(), key);
    let [small_name, large_name, absent] = ["small", "large", "absent"].map(name);
    let writes = [Write { name: &small_name, record: &small }, Write { name: &large_name, record: &large }];

    let (written, counts) = used(&cloud, store.write_records(&writes)).await;
    assert_eq!(written.unwrap(), [Written::Stored, Written::Stored]);
    assert_eq!(counts, (1, 2, 0.0, 1.0 + 5.0));

    // One that does not exist costs as much as a small one.
    let (read, counts) = used(&cloud, store.records(&[&small_name, &large_name, &absent])).await;
    let read = read.unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(counts, (1, 3, 1.0 + 2.0 + 1.0, 0.0));

    // Nothing is written where the condition is not met, and it is paid for.
    let (written, counts) = used(&cloud, store.write_records(&writes[..1])).await;
    assert_eq!(written.unwrap(), [Written::ReadAgain]);
    assert_eq!(counts, (1, 1, 0.0, 1.0));

    // A write costs as much as the larger of what was there and what comes.
    let smaller = record(read[&large_name].rev, 10);
    let (written, counts) = used(&cloud, store.write_records(&[Write { name: &large_name, record: &smaller }])).await;
    assert_eq!(written.unwrap(), [Written::Stored]);
    assert_eq!(counts, (1, 1, 0.0, 5.0));
    cloud.stop().await;
}
