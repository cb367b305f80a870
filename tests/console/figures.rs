//! What is shown is what is there: every digit, the rows of one error, and no row for imported that was not.

use penstock_client::NewImport;
use penstock_model::{ImportOptions, Mode};
use serde_json::json;

use super::{browser::Page, shop::named, support::Stack};

/// Requests for errors are held until the test lets them go.
const HOLD: &str = "
const real = window.fetch;
window.held = [];
window.fetch = async (url, how) => {
  if (String(url).includes('/errors?')) await new Promise((go) => window.held.push(go));
  return real(url, how);
};
";

/// A group shows its examples at once, and the rows of another one that was asked for before do not come into it.
#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_an_error_are_its_own_and_the_first_are_there_at_once() {
    let stack = Stack::start().await;
    let mut file = String::from("sku,name,brand,cost\n");
    (0..6).for_each(|row| file.push_str(&format!("C-{row},Lamp,Acme,dear\n")));
    (0..5).for_each(|row| file.push_str(&format!("N-{row},,Acme,1\n")));
    let import = stack.import(file.as_bytes()).await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit(&format!("import?id={}", import.id)).await;
    let group = page.sees("#groups tbody tr", "cost").await;
    assert!(group.contains("dear"), "{group}");
    page.run(HOLD, Vec::new()).await;
    page.click_in("#groups tbody tr", "cost", "button").await;
    assert_eq!(page.texts("#cells-list tbody tr").await.len(), 3);
    page.click_in("#groups tbody tr", "name", "button").await;
    page.until("both have asked", "window.held.length === 2").await;
    page.run("window.held.forEach((go) => go())", Vec::new()).await;
    page.is_ready().await;
    assert!(page.text("#cells-title").await.contains("name"));
    let rows = page.texts("#cells-list tbody tr").await;
    assert!(rows.len() == 5 && rows.iter().all(|row| row.contains("N-")), "{rows:#?}");
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_and_a_kind_show_every_digit() {
    let stack = Stack::start().await;
    let kind = json!({
        "name": "sums", "title": "Sums", "primaryKey": "sum_id",
        "fields": [
            { "name": "sum_id" },
            { "name": "sum", "type": "integer", "constraints": { "maximum": 1_234_567_890_123_456_789_u64 } },
            { "name": "price", "type": "number" },
        ],
    });
    stack.client.put_kind(&kind).await.expect("registered");
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.choose_file("sums.csv", "sum_id,sum,price\nA,1234567890123456789,12345678901234567.89\n").await;
    assert_eq!(page.run("return document.querySelector('#kind').value", Vec::new()).await, "sums");
    assert_eq!(
        page.texts("#rows tbody tr:first-child td").await,
        ["A", "1234567890123456789", "12345678901234567.89", ""]
    );
    page.visit("kind?name=sums").await;
    page.sees("#fields", "at most 1234567890123456789").await;
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_skipped_was_not_imported() {
    let stack = Stack::start().await;
    stack.import(b"sku,name,brand,cost\nA-1,Lamp,Acme,1\n").await;
    let options = ImportOptions { mode: Mode::Create, ..ImportOptions::default() };
    let file = "sku,name,brand,cost\nA-1,Desk,Acme,1\nA-2,Rug,Acme,2\nA-3,Bench,Acme,dear\n";
    let import = stack.import_as(NewImport { options, ..named("new.csv") }, file.as_bytes()).await;
    assert_eq!((import.rows.created, import.rows.skipped, import.rows.failed), (1, 1, 1));
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit(&format!("import?id={}", import.id)).await;
    let said = page.text("#outcome").await;
    assert_eq!(said, "1 row of 3 was rejected. 1 row was imported, 1 skipped.");
    page.close().await;
    stack.stop().await;
}
