//! What the removal of a replace asks of the table, beside what its rows ask as an upsert of the same file.

use penstock_local::Usage;
use penstock_model::{ImportOptions, Status};

use super::{
    file_of, replace, skus,
    support::{Stack, force},
};

const RECORDS: u64 = 10_000;
const REMOVED: u64 = 100;
const SHARDS: u64 = penstock_model::limits::RECORD_SHARDS as u64;

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_reads_the_kind_once_and_writes_what_goes() {
    let stack = Stack::counted().await;
    stack.import(&file_of(&skus(0..RECORDS))).await;
    let file = file_of(&skus(REMOVED..RECORDS));
    // Both read every record.
    let (_, upsert) = stack.used(force(), &file).await;
    let (replaced, replace) = stack.used(ImportOptions { force: true, ..replace(20) }, &file).await;
    assert_eq!((replaced.status, replaced.removed), (Status::Completed, REMOVED));
    let of = |usage: &Usage, name: &str| usage.total(|operation| operation.name == name);
    // One query for each shard: none of them has more than a page.
    assert_eq!(of(&replace, "Query").requests - of(&upsert, "Query").requests, SHARDS);
    // One write for each record that goes, and a part of two lists and two tallies for each shard at most.
    assert_eq!(of(&replace, "BatchExecuteStatement").items, REMOVED);
    assert!(of(&replace, "BatchExecuteStatement").requests <= REMOVED);
    let puts = of(&replace, "PutItem").requests - of(&upsert, "PutItem").requests;
    assert!((2 * SHARDS..=4 * SHARDS).contains(&puts), "{puts}");
    let (upsert, replace) = (upsert.of_service("dynamodb"), replace.of_service("dynamodb"));
    let requests = replace.requests - upsert.requests;
    let (reads, writes) = (replace.read_units - upsert.read_units, replace.write_units - upsert.write_units);
    println!("a removal of {REMOVED} of {RECORDS}: {requests} requests, {reads} read units, {writes} write units");
    assert!(requests <= 6 * SHARDS + 2 * REMOVED, "{requests}");
    // A query reads four KB a unit, and at least one; the tallies of each shard are read five times.
    assert!(reads <= (7 * SHARDS + RECORDS / 8 + 3 * REMOVED) as f64, "{reads}");
    assert!(writes <= (4 * SHARDS + 2 * REMOVED) as f64 + 40.0, "{writes}");
    stack.stop().await;
}
