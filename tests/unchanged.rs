//! Rows that change nothing cost no write, and leave nothing behind that others need. What no digest drops is applied:
//! the imports here force that, where one would.

use std::time::Duration;

use penstock_client::NewImport;
use penstock_local::Faults;
use penstock_model::{ImportOptions, Mode, Record, Status};
use penstock_store::conditions::Condition;

use crate::support::{
    self, Stack, files, force,
    rules::{is_needed, switch_off},
    upload,
};

/// The revision of each record, which every write raises by one.
async fn revisions(stack: &Stack, rows: u64) -> Vec<u64> {
    let skus: Vec<String> = (0..rows).map(|row| format!("SKU-{row}")).collect();
    let records = stack.records("1", &skus).await;
    skus.iter().map(|sku| records[sku].rev).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_comes_again_writes_what_has_changed_and_nothing_else() {
    let stack = Stack::with(|options| options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "300".into()))).await;
    let rows = 2_000;
    stack.import(&files::plain(0, rows, "1")).await;
    let made = revisions(&stack, rows).await;
    let again = stack.import_with(&files::plain(0, rows, "1.00"), force()).await;
    assert_eq!((again.status, again.rows.unchanged), (Status::Completed, rows));
    assert_eq!(revisions(&stack, rows).await, made);
    // A column that no record has had, and cells that would clear what is not there.
    let mut wider = String::from("sku,name,brand,cost,description\n");
    (0..rows).for_each(|row| {
        let description = if row % 100 == 7 { "new" } else { "" };
        wider.push_str(&format!("SKU-{row},Product {row},Brand,1,{description}\n"));
    });
    let clear = ImportOptions { empty_cells: penstock_model::EmptyCells::Clear, ..ImportOptions::default() };
    let import = stack.import_with(wider.as_bytes(), clear).await;
    assert_eq!((import.rows.updated, import.rows.unchanged), (rows / 100, rows - rows / 100));
    let written = |(row, rev): (usize, &u64)| if row % 100 == 7 { rev + 1 } else { *rev };
    assert_eq!(revisions(&stack, rows).await, made.iter().enumerate().map(written).collect::<Vec<_>>());
    // A row that names its record again is written, whatever it says.
    let twice = [files::plain(0, 3, "1"), files::plain(1, 1, "1")[b"sku,name,brand,cost\n".len()..].to_vec()].concat();
    let import = stack.import(&twice).await;
    assert_eq!(import.rows.unchanged, 4);
    assert_eq!(revisions(&stack, 3).await, [made[0], made[1] + 1, made[2]]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_an_older_import_every_row_is_written() {
    let stack = Stack::with(|options| {
        // The sweeper would send again what is late, and a row that is sent again is always written.
        options.scheduled = false;
        options.faults = Faults { seed: 1, message_delayed: 1.0, delay: Duration::from_secs(3600), ..Faults::default() }
    })
    .await;
    stack.import(&files::plain(0, 50, "1")).await;
    let made = revisions(&stack, 50).await;
    let older = stack.create(force()).await;
    let newer = stack.create(force()).await;
    for import in [&older, &newer] {
        assert_eq!(upload(import, &files::plain(0, 50, "1")).await, 200);
        // It is accepted, and its rows are on their way.
        stack.cloud.quiet().await;
        assert_eq!(stack.client.import(&import.id).await.expect("there").status, Status::Processing);
    }
    assert_eq!(stack.ended(&older.id).await.rows.unchanged, 50);
    assert_eq!(stack.ended(&newer.id).await.rows.unchanged, 50);
    let written: Vec<u64> = made.iter().map(|rev| rev + 1).collect();
    assert_eq!(revisions(&stack, 50).await, written, "the older one was alone");
    stack.stop().await;
}

/// Two rows of an import for each record, and one of a newer import that says what the first of them says, whose
/// message comes before or after or between theirs. The record's default is taken from the value that the rows set:
/// that of the first row is to stand.
async fn defaults_by_a_newer_row(without: Option<Condition>) -> Vec<String> {
    const KEYS: u64 = 200;
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        switch_off(options, without);
        options.faults =
            Faults { seed: 35, message_delayed: 1.0, delay: Duration::from_secs(100), ..Faults::default() };
    })
    .await;
    // That week is 2026-W05.
    let header = "skuId,locationId,weekStarting,actualDemand\n";
    let rows = |demand: u64| (0..KEYS).map(|key| format!("S{key},L,2026-01-26,{demand}\n")).collect::<String>();
    let mut imports = Vec::new();
    for file in [format!("{header}{}{}", rows(5), rows(7)), format!("{header}{}", rows(5))] {
        let new = NewImport { kind: Some("demand-history".to_owned()), ..NewImport::default() };
        let import = stack.client.create(&new, None).await.expect("an import is created");
        assert_eq!(upload(&import, file.as_bytes()).await, 200);
        stack.cloud.quiet().await;
        imports.push(import);
    }
    // A second at a time, so that messages are taken in one after the other.
    for _ in 0..110 {
        stack.pass(Duration::from_secs(1)).await;
        stack.cloud.quiet().await;
    }
    for import in imports {
        stack.ended(&import.id).await;
    }
    let mut deviations = Vec::new();
    for key in 0..KEYS {
        let record = demand(&stack, key).await;
        let shown = ["actualDemand", "forecastedDemand"].map(|field| support::reference::shown(&record)[field].clone());
        if shown != ["5", "5"] {
            deviations.push(format!("S{key}: {shown:?}"));
        }
    }
    stack.stop().await;
    deviations
}

async fn demand(stack: &Stack, key: u64) -> Record {
    let (account, kind) = ("1".parse().expect("valid"), "demand-history".parse().expect("valid"));
    let found = stack.cloud.store().record(&account, &kind, &format!("S{key},L,2026-W05,ALL")).await;
    found.expect("answers").expect("is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_older_than_its_record_has_to_leave_its_stamps() {
    is_needed(Condition::Newest, defaults_by_a_newer_row).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_splitter_that_goes_on_elsewhere_takes_every_row_for_one_that_may_come_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = support::crashes::stack_with_crashes(folder.path()).await;
    let rows = 2_000;
    stack.import(&files::plain(0, rows, "1")).await;
    let made = revisions(&stack, rows).await;
    support::crashes::arm(folder.path(), "split.checkpoint");
    let import = stack.import_with(&files::plain(0, rows, "1"), force()).await;
    assert_eq!((import.rows.unchanged, import.status), (rows, Status::Completed));
    let writes: Vec<u64> = revisions(&stack, rows).await.iter().zip(&made).map(|(now, made)| now - made).collect();
    assert_eq!((writes[0], writes[rows as usize - 1]), (0, 1));
    assert!(writes.is_sorted());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_modes_write_what_they_wrote() {
    let stack = Stack::start().await;
    stack.import(&files::plain(0, 20, "1")).await;
    let mut before = revisions(&stack, 20).await;
    for mode in [Mode::Create, Mode::Fill] {
        let options = ImportOptions { mode, ..ImportOptions::default() };
        let import = stack.import_with(&files::plain(0, 25, "1"), options).await;
        assert_eq!(import.status, Status::Completed);
        let now = revisions(&stack, 25).await;
        assert_eq!(now[..before.len()], before);
        before = now;
    }
    stack.stop().await;
}
