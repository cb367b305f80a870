//! What an import asks of the services: the requests and units that are its cost. They depend on the rows, never on the
//! clock.

use penstock_model::{ImportOptions, Status};

use crate::support::{Stack, force};

/// Rows of the file; the budgets are for a million, and are held in proportion.
const ROWS: u64 = 40_000;

/// A full export, 19 columns, some 260 bytes to a row, with a price of its own in every hundredth row.
fn export(first: u64, price: &str) -> Vec<u8> {
    let mut file = String::from(
        "sku,name,description,cost,upc,brand,msrp,base_price,category,active,custom1_name,custom1_value,custom2_name,custom2_value,\
         custom3_name,custom3_value,image_url,sales_unit,base_unit_of_measure\n",
    );
    for row in first..first + ROWS {
        let cost = if row % 100 == 0 { price } else { "12.50" };
        file.push_str(&format!(
            "SKU-{row:07},Product number {row},A description of more than a few words for product {row},{cost},{:013},Brand {},19.90,17.25,\
             Tools/Hand tools,true,colour,red,size,XL,material,steel and wood,https://images.example.com/products/{row:07}.jpg,box,piece\n",
            row * 7919,
            row % 50
        ));
    }
    file.into_bytes()
}

/// A budget for a million rows as one for the rows of the test, and a few requests that an import costs however small
/// it is.
fn within(what: &str, used: f64, for_a_million: f64, fixed: f64) {
    let budget = for_a_million * ROWS as f64 / 1e6 + fixed;
    println!("{what}: {used} of {budget} ({:.0} for a million rows)", used * 1e6 / ROWS as f64);
    assert!(used <= budget, "{what}: {used}, the budget is {budget}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_keeps_to_its_budget_and_a_second_one_of_the_same_reads_no_record() {
    let stack = Stack::counted().await;
    let file = export(0, "12.50");
    assert!(file.len() as u64 / ROWS >= 250, "rows of the size that the budgets are for: {}", file.len() as u64 / ROWS);

    let (import, new) = stack.used(ImportOptions::default(), &file).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, ROWS));
    let tables = new.of_service("dynamodb");
    within("new rows: requests", tables.requests as f64, 60_000.0, 40.0);
    within("new rows: write units", tables.write_units, 1_050_000.0, 40.0);
    within("new rows: read units", tables.read_units, 10_000.0, 100.0);
    within("new rows: billing units of queues", new.of_service("sqs").queue_units as f64, 10_000.0, 40.0);

    // A file that says the same in other words: nothing of it is sent.
    let records = &stack.cloud.store().settings().records_table;
    let file = export(0, "12.5");
    let (import, unchanged) = stack.used(ImportOptions::default(), &file).await;
    assert_eq!((import.status, import.rows.unchanged), (Status::Completed, ROWS));
    let tables = unchanged.of_service("dynamodb");
    within("unchanged rows: requests", tables.requests as f64, 2_500.0, 40.0);
    within("unchanged rows: write units", tables.write_units, 10_000.0, 60.0);
    within("unchanged rows: requests to S3", unchanged.of_service("s3").requests as f64, 20.0, 10.0);
    assert_eq!(unchanged.total(|operation| operation.resource == *records).requests, 0, "no record is read");
    assert_eq!(unchanged.total(|operation| operation.name == "SendMessageBatch").requests, 0, "no chunk is sent");

    // The same file again: it is not read, so it costs what an import costs that has no row.
    let (import, same) = stack.used(ImportOptions::default(), &file).await;
    assert_eq!((import.status, import.rows.unchanged), (Status::Completed, ROWS));
    within("the same file: requests", same.of_service("dynamodb").requests as f64, 0.0, 20.0);
    within("the same file: requests to S3", same.of_service("s3").requests as f64, 0.0, 6.0);
    assert_eq!(same.total(|operation| operation.resource == *records).requests, 0, "no record is read");

    // One row in a hundred has another price.
    let (import, nightly) = stack.used(ImportOptions::default(), &export(0, "12.75")).await;
    assert_eq!((import.rows.updated, import.rows.unchanged), (ROWS / 100, ROWS - ROWS / 100));
    let reads = nightly.total(|operation| operation.resource == *records && operation.name == "BatchGetItem");
    let writes = nightly.total(|operation| operation.name == "BatchExecuteStatement");
    assert_eq!((reads.items, writes.items), (ROWS / 100, ROWS / 100), "a read and a write for each row that changes");

    // Where its owner wants every row applied, each is read, and what changes nothing is not written.
    let (import, forced) = stack.used(force(), &export(0, "12.75")).await;
    assert_eq!((import.status, import.rows.unchanged), (Status::Completed, ROWS));
    within("forced rows: requests", forced.of_service("dynamodb").requests as f64, 15_000.0, 40.0);
    assert_eq!(forced.total(|operation| operation.name == "BatchExecuteStatement").requests, 0, "no record is written");
    stack.stop().await;
}

/// A file of bad rows alone costs no request for each of them.
#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_cost_hundreds_of_writes_not_millions() {
    let stack = Stack::counted().await;
    let file = String::from_utf8(export(0, "12.50")).expect("text").replace(",19.90,", ",dear,");
    let (import, used) = stack.used(ImportOptions::default(), file.as_bytes()).await;
    assert_eq!(import.rows.failed, ROWS);
    let tables = used.of_service("dynamodb");
    within("bad rows: requests", tables.requests as f64, 10_000.0, 60.0);
    assert_eq!(used.total(|operation| operation.name == "BatchExecuteStatement").requests, 0);
    stack.stop().await;
}
