//! The dialects answer as their documents say, and the same answers are the examples of those.

use std::collections::BTreeMap;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::{Asking, compare, support::Stack};

/// `PENSTOCK_RENEW=1 cargo test --workspace --test suite contract::` renews the examples; then the documents are to be
/// renewed.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_dialects_are_what_their_documents_say() {
    let stack = Stack::start().await;
    for (name, base) in [
        ("algure", "/v1/products"),
        ("betterdata", "/api/import"),
        ("connectif", "/imports"),
        ("productsmanager", "/api/v1"),
        ("quotiza", "/api/v1/products"),
    ] {
        let mut asking = Asking::at(&stack, base, BTreeMap::new()).await;
        asking.ask("getContract", &format!("{base}/openapi.json"), None).await;
        asking.forget("getContract", 200);
        match name {
            "algure" => algure(&mut asking).await,
            "betterdata" => betterdata(&mut asking).await,
            "connectif" => connectif(&mut asking).await,
            "productsmanager" => productsmanager(&mut asking).await,
            _ => quotiza(&mut asking).await,
        }
        compare(name, asking.answers);
    }
    stack.stop().await;
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("a text")
}

async fn algure(asking: &mut Asking<'_>) {
    let made = asking.ask("createImport", "/v1/products/import", None).await.json();
    let path = format!("/v1/products/import/{}", text(&made, "id"));
    let feed = "code,description,stock,warehouseCode,locationCode,locationPriority,costPrice,packagingUnit,lot\n\
                A-1,Shirt,5,W1,L1,1,9.5,1,\n,No code,1,W1,L1,1,1,1,\n";
    let sent = asking.send("uploadFeed", &path, |request| request.header("content-type", "text/csv").body(feed)).await;
    assert_eq!(sent.status, 201);
    asking.stack.ended(text(&made, "id")).await;
    assert_eq!(asking.ask("getImport", &path, None).await.json()["totalErrors"], 1);
    asking.ask("listImports", "/v1/products/imports", None).await;
    assert_eq!(asking.ask("getImport", "/v1/products/import/none", None).await.status, 404);
    assert_eq!(asking.ask("listImports", "/v1/products/imports?limit=0", None).await.status, 400);
    let again = asking.send("uploadFeed", &path, |request| request.header("content-type", "text/csv").body(feed)).await;
    assert_eq!(again.status, 409);
}

async fn betterdata(asking: &mut Asking<'_>) {
    for (name, path, array, row) in [
        ("importCatalog", "catalog", "products", json!({ "skuId": "S-1", "name": "Shirt" })),
        ("importInventory", "inventory", "levels", json!({ "skuId": "S-1", "locationId": "L-1", "onHand": 5 })),
        ("importSuppliers", "suppliers", "suppliers", json!({ "supplierId": "P-1", "name": "Acme" })),
        ("importPurchaseOrders", "purchase-orders", "purchaseOrders", json!({ "poId": "PO-1", "supplierId": "P-1" })),
        ("importOrders", "orders", "orders", json!({ "orderId": "O-1" })),
        ("importDemandHistory", "demand-history", "records", json!({ "skuId": "S-1", "week": "2026-W01" })),
    ] {
        let path = format!("/api/import/{path}");
        let made = asking.ask(name, &path, Some(json!({ array: [row] }))).await.json();
        let job = text(&made, "jobId");
        asking.stack.ended(job).await;
        asking.ask("getJob", &format!("/api/import/status/{job}"), None).await;
        assert_eq!(asking.ask(name, &path, Some(json!({ array: [] }))).await.status, 400);
    }
    assert_eq!(asking.ask("getJob", "/api/import/status/none", None).await.status, 404);
}

async fn connectif(asking: &mut Asking<'_>) {
    let form = || {
        let file = Part::text("product_id,title\n1,Shirt\n,No id\n").file_name("products.csv");
        Form::new().text("type", "products").text("delimiter", ",").part("file", file)
    };
    let made = asking.send("createImport", "/imports", |request| request.multipart(form())).await.json();
    let path = format!("/imports/{}", text(&made, "id"));
    asking.stack.ended(text(&made, "id")).await;
    assert_eq!(asking.ask("getImport", &path, None).await.json()["status"], "finished");
    asking.ask("listImports", "/imports", None).await;
    assert_eq!(asking.ask("deleteImport", &path, None).await.status, 204);
    assert_eq!(asking.ask("getImport", &path, None).await.status, 404);
    let odd = Form::new().text("type", "stores");
    assert_eq!(asking.send("createImport", "/imports", |request| request.multipart(odd)).await.status, 400);
}

async fn productsmanager(asking: &mut Asking<'_>) {
    let file = Part::text("ean,name\n4006381333931,Pen\n1,No EAN\n").file_name("products.csv");
    let form = Form::new().part("file", file).text("format", "csv");
    let made = asking.send("createImport", "/api/v1/imports", |request| request.multipart(form)).await.json();
    let path = format!("/api/v1/imports/{}", text(&made, "id"));
    asking.stack.ended(text(&made, "id")).await;
    assert_eq!(asking.ask("getImport", &path, None).await.json()["status"], "completed_with_errors");
    assert_eq!(asking.ask("listErrors", &format!("{path}/errors"), None).await.json()["meta"]["total"], 1);
    assert_eq!(asking.ask("listErrors", &format!("{path}/errors?page=0"), None).await.status, 422);
    assert_eq!(asking.ask("getImport", "/api/v1/imports/none", None).await.status, 404);
}

async fn quotiza(asking: &mut Asking<'_>) {
    let products = json!([{ "sku": "Q-1", "name": "Shirt", "brand": "Acme" }, { "sku": "Q-2", "brand": "Acme" }]);
    let body = |account: &str, products: &Value| Some(json!({ "account_id": account, "products": products }));
    let made = asking.ask("importProducts", "/api/v1/products/import", body("1", &products)).await.json();
    let job = text(&made, "job_id");
    asking.stack.ended(job).await;
    let path = |job: &str| format!("/api/v1/products/import_status?account_id=1&job_id={job}");
    assert_eq!(asking.ask("getImportStatus", &path(job), None).await.json()["failures"], 1);
    assert_eq!(asking.ask("getImportStatus", &path("none"), None).await.status, 404);
    assert_eq!(asking.ask("importProducts", "/api/v1/products/import", body("2", &products)).await.status, 404);
}
