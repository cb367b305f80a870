//! What people come for: a file goes in, a bad one is mended, and what was not meant is stopped.

use penstock_client::NewImport;
use penstock_model::{ImportOptions, Status};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    browser::Page,
    shop::{catalogue, named},
    support::{Stack, TOKEN, held, http::send, until},
};

/// Two good rows, and two bad ones.
const BAD: &str = "sku,name,brand,cost\nA-1,Lamp,Acme,1\nA-2,,Acme,2\nA-3,Desk,Acme,dear\nA-4,Rug,Acme,4\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_good_file_goes_from_the_first_page_to_its_end() {
    let stack = Stack::start().await;
    let Some(page) = Page::of(&stack).await else { return };
    page.go("/").await;
    page.arrives("sign-in").await;
    page.fill("#key", TOKEN).await;
    page.click("main button[type=submit]").await;
    page.arrives("imports").await;
    page.sees("#empty", "No import yet").await;
    page.click("#empty a[href=new]").await;
    page.arrives("new").await;
    let path = page.file("spring.csv", catalogue(480));
    page.give("#file", &path).await;
    page.sees("#columns-sum", "").await;
    page.is_ready().await;
    let found = page.run(
        "return [kind.value, columns.open, missing.textContent, document.querySelectorAll('#mapping tbody tr').length]",
        Vec::new(),
    );
    assert_eq!(found.await, json!(["products", false, "", 5]));
    assert_eq!(page.texts("#rows tbody tr:first-child td").await[1], "Lamp in oak");
    page.click("#import-now").await;
    let id = page.import_is("completed").await;
    let import = stack.ended(&id).await;
    assert_eq!((import.status, import.rows.created, import.rows.failed), (Status::Completed, 480, 0));
    assert_eq!(import.filename.as_deref(), Some("spring.csv"));
    page.counts(&import).await;
    assert_eq!(page.text("#name").await, "spring.csv");
    page.click("nav[aria-label=Console] a[href=imports]").await;
    page.arrives("imports").await;
    let row = page.text("#list tbody tr").await;
    assert!(row.starts_with("spring.csv products") && row.contains("480"), "{row}");
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_can_be_dropped_anywhere_on_the_page() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit("new").await;
    page.drop(&page.file("dropped.csv", catalogue(20))).await;
    page.is_ready().await;
    page.click("#import-now").await;
    let import = stack.ended(&page.import_is("completed").await).await;
    assert_eq!((import.filename.as_deref(), import.rows.created), (Some("dropped.csv"), 20));
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_mended_and_sent_again_and_is_one_story() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.choose_file("prices.csv", BAD).await;
    page.click("#import-now").await;
    let first = page.import_is("completed_with_errors").await;
    page.sees("#outcome", "2").await;
    page.counts(&stack.ended(&first).await).await;
    page.sees("#groups", "required").await;
    let groups = page.texts("#groups tbody tr").await;
    assert_eq!(groups.len(), 2, "{groups:?}");
    // The rows of a group, with the cell as it stands in the file and what the API says of it.
    page.click_in("#groups tbody tr", "cost", "button").await;
    page.sees("#cells-list tbody", "dear").await;
    assert_eq!(page.texts("#cells-list mark").await, ["dear"]);
    let row = page.text("#cells-list tbody tr").await;
    assert!(row.starts_with("3 4 A-3 cost dear "), "{row}");
    let errors = stack.errors(&first).await;
    let said = &errors.iter().find(|error| error.field.as_deref() == Some("cost")).expect("its error").message;
    let plain = |text: &str| text.replace('`', "").to_lowercase();
    assert!(plain(&row).ends_with(&plain(said)), "{row}: {said}");
    // The rejected rows, mended.
    page.until("the rejected rows are there", "document.querySelector('#download').checkVisibility()").await;
    page.click("#download").await;
    let rejected = page.downloaded(|name| name.ends_with(".csv")).await;
    let rejected = String::from_utf8(rejected).expect("UTF-8");
    assert_eq!(rejected.lines().count(), 3, "{rejected}");
    let mended = rejected.replace("A-2,,", "A-2,Chair,").replace(",dear", ",3.50");
    let path = page.file("mended.csv", &mended);
    page.give("#mended", &path).await;
    page.until("another import", &format!("new URLSearchParams(location.search).get('id') !== '{first}'")).await;
    let second = page.import_is("completed").await;
    page.sees("#chain-sum", "4").await;
    assert_eq!(page.texts("#rounds tbody tr").await.len(), 2);
    let history = stack.client.history(&second).await.expect("a history");
    assert_eq!(history.rounds.iter().map(|round| round.id.as_str()).collect::<Vec<_>>(), [&first, &second]);
    assert_eq!((history.sum.total, history.sum.created, history.sum.failed), (4, 4, 0));
    // The first one tells the same story.
    page.visit(&format!("import?id={first}")).await;
    page.sees("#rounds tbody", "").await;
    assert_eq!(page.texts("#rounds tbody tr").await.len(), 2);
    page.close().await;
    stack.stop().await;
}

/// Columns that no field is called like are mapped by whoever imports; nothing is guessed.
#[tokio::test(flavor = "multi_thread")]
async fn columns_are_mapped_and_read_anew_when_an_option_changes() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.choose_file("stock.csv", "Item no;Title;Maker;Colour\nA-1;Lamp;Acme;red\nA-2;Desk;Acme;\n").await;
    page.choose("#kind", "products").await;
    page.is_ready().await;
    page.sees("#missing", "sku").await;
    let rows = page.texts("#mapping tbody tr").await;
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows[3].contains("Colour 50"), "a column's share of filled cells: {rows:?}");
    let selected = "return [...document.querySelectorAll('#mapping select')].map((select) => select.value)";
    assert_eq!(page.run(selected, Vec::new()).await, json!(["", "", "", ""]));
    for (row, field) in [(1, "sku"), (2, "name"), (3, "brand")] {
        page.choose(&format!("#mapping tbody tr:nth-child({row}) select"), field).await;
        page.is_ready().await;
    }
    page.until("nothing is missing", "missing.textContent === ''").await;
    // Another delimiter, and the sample is read again.
    page.run("reading.open = true", Vec::new()).await;
    page.choose("#delimiter", "|").await;
    page.until("one column", "document.querySelectorAll('#mapping tbody tr').length === 1").await;
    page.is_ready().await;
    page.choose("#delimiter", "").await;
    page.until("four columns", "document.querySelectorAll('#mapping tbody tr').length === 4").await;
    page.is_ready().await;
    let kept = page.run(selected, Vec::new()).await;
    if kept != json!(["sku", "name", "brand", ""]) {
        for (row, field) in [(1, "sku"), (2, "name"), (3, "brand")] {
            page.choose(&format!("#mapping tbody tr:nth-child({row}) select"), field).await;
            page.is_ready().await;
        }
    }
    // A name that cannot be one is refused at its field.
    page.fill("#remember", "Stock!").await;
    page.click("#import-now").await;
    let focused = page.until("the field is shown", "document.activeElement.id === 'remember' && remember.title").await;
    assert!(focused.as_str().expect("a hint").contains("a-z, 0-9 and -"), "{focused}");
    page.fill("#remember", "stock").await;
    page.click("#import-now").await;
    let id = page.import_is("completed").await;
    let import = stack.ended(&id).await;
    assert_eq!((import.rows.created, import.rows.failed), (2, 0));
    // What was chosen is remembered.
    let preset = stack.client.preset("stock").await.expect("remembered");
    let mapping = [("Item no", "sku"), ("Title", "name"), ("Maker", "brand")];
    let mapping = mapping.map(|(column, field)| (column.to_owned(), field.to_owned()));
    assert_eq!((preset.kind.as_str(), preset.options.mapping), ("products", mapping.into()));
    assert_eq!(import.preset.as_deref(), Some("stock"));
    page.sees("#details", "Preset").await;
    assert!(page.text("#details").await.contains("stock"));
    let record = stack.client.record("products", "A-1").await.expect("answers").expect("a record");
    assert_eq!(record["fields"]["name"], "Lamp", "{record}");
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_happen_is_shown_before_it_happens_and_the_file_is_sent_once() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.choose_file("prices.csv", BAD).await;
    page.click("#check").await;
    let check = page.import_is("completed_with_errors").await;
    let judged = stack.ended(&check).await;
    assert!(judged.options.dry_run);
    assert_eq!((judged.rows.created, judged.rows.failed), (2, 2));
    page.counts(&judged).await;
    assert!(stack.client.record("products", "A-1").await.expect("answers").is_none(), "a check writes nothing");
    page.click("#apply").await;
    page.until("another import", &format!("new URLSearchParams(location.search).get('id') !== '{check}'")).await;
    let real = page.import_is("completed_with_errors").await;
    let import = stack.ended(&real).await;
    assert_eq!((import.from.as_deref(), import.rows.created), (Some(check.as_str()), 2));
    assert!(stack.client.record("products", "A-1").await.expect("answers").is_some());
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_runs_is_cancelled() {
    let stack = held::held().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.choose_file("long.csv", catalogue(200)).await;
    page.click("#import-now").await;
    let id = page.import_is("processing").await;
    page.click("#cancel").await;
    page.says_yes().await;
    page.is_ready().await;
    stack.cloud.faults().clear();
    stack.pass(held::HELD).await;
    assert_eq!(page.import_is("cancelled").await, id);
    let import = stack.ended(&id).await;
    assert_eq!(import.rows.created + import.rows.unprocessed, 200);
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_shows_what_would_go_and_removes_it_when_that_is_confirmed() {
    let stack = Stack::start().await;
    stack.import(catalogue(20).as_bytes()).await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.choose_file("half.csv", catalogue(10)).await;
    page.choose("#mode", "replace").await;
    page.is_ready().await;
    page.click("#import-now").await;
    let id = page.import_is("awaiting_confirmation").await;
    page.sees("#confirm-it", "10").await;
    page.click("#removals-box summary").await;
    page.sees("#removals", "HW-1010").await;
    assert_eq!(page.texts("#removals li").await.len(), 10);
    assert!(stack.client.record("products", "HW-1010").await.expect("answers").is_some());
    page.click("#confirm-it").await;
    if page.run("return document.querySelector('#confirm').open", Vec::new()).await == true {
        page.says_yes().await;
    }
    assert_eq!(page.import_is("completed").await, id);
    page.sees("#removed", "10").await;
    assert!(stack.client.record("products", "HW-1010").await.expect("answers").is_none());
    assert_eq!(stack.ended(&id).await.removed, 10);

    // A review is applied when that is confirmed, by an import of its own.
    let review = NewImport { options: ImportOptions { review: true, ..ImportOptions::default() }, ..named("new.csv") };
    let review = stack.client.create(&review, None).await.expect("created");
    assert_eq!(crate::support::upload(&review, catalogue(12).as_bytes()).await, 200);
    page.visit(&format!("import?id={}", review.id)).await;
    page.import_is("awaiting_confirmation").await;
    page.click("#confirm-it").await;
    if page.run("return document.querySelector('#confirm').open", Vec::new()).await == true {
        page.says_yes().await;
    }
    page.until("another import", &format!("new URLSearchParams(location.search).get('id') !== '{}'", review.id)).await;
    let applied = page.import_is("completed").await;
    assert_eq!(stack.ended(&applied).await.rows.created, 2);
    page.close().await;
    stack.stop().await;
}

/// A preset fills the inputs, and what has none is kept besides; what is changed then is the import's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_preset_is_chosen_changed_and_remembered_anew() {
    let stack = Stack::start().await;
    let put = async |name: &str, kind: &str, options: Value| {
        let preset = json!({ "kind": kind, "options": options });
        let answer = stack.request(Method::PUT, &format!("/v1/presets/{name}")).bearer_auth(TOKEN).json(&preset);
        assert_eq!(send(answer).await.status, 201);
    };
    let mapping = json!({ "Item": "sku", "Title": "name", "Maker": "brand" });
    let options =
        json!({ "mapping": mapping, "delimiter": ";", "comment": "#", "mode": "fill", "empty_cells": "clear" });
    put("stock", "products", options.clone()).await;
    put("others", "suppliers", json!({})).await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.choose_file("stock.txt", "#a note\nItem;Title;Maker\nA-1;Lamp;Acme\n").await;
    let names = page.run("return [...preset.options].map(({ text }) => text)", Vec::new()).await;
    assert_eq!(names, json!(["none", "others", "stock"]));
    page.choose("#preset", "others").await;
    page.is_ready().await;
    let value = async |id: &str| page.run("return document.getElementById(arguments[0]).value", vec![json!(id)]).await;
    assert_eq!(value("kind").await, "suppliers");
    page.choose("#preset", "stock").await;
    page.is_ready().await;
    for (id, wanted) in [("kind", "products"), ("delimiter", ";"), ("mode", "fill"), ("empty-cells", "clear")] {
        assert_eq!(value(id).await, wanted, "{id}");
    }
    let selected = "return [...document.querySelectorAll('#mapping select')].map((select) => select.value)";
    assert_eq!(page.run(selected, Vec::new()).await, json!(["sku", "name", "brand"]));
    let folder = super::look::pictures();
    std::fs::create_dir_all(&folder).expect("a folder");
    page.look(1280, 800, "light").await;
    page.picture(&folder.join("preset.png")).await;

    // What is set back is not the preset's any more.
    page.choose("#mode", "upsert").await;
    page.choose("#empty-cells", "").await;
    page.click("#import-now").await;
    let import = stack.ended(&page.import_is("completed").await).await;
    assert_eq!((import.preset.as_deref(), import.rows.created), (Some("stock"), 1));
    let wanted = json!({
        "mapping": mapping, "delimiter": ";", "comment": "#", "mode": "upsert", "empty_cells": "keep", "dry_run": false,
    });
    assert_eq!(json!(import.options), wanted);
    // It is there again when the stored file is read once more.
    page.visit(&format!("new?from={}", import.id)).await;
    assert_eq!(value("delimiter").await, ";");

    // Another preset takes the place of one when that is confirmed, and as a replace asks before it removes.
    page.choose("#mode", "replace").await;
    page.fill("#remember", "stock").await;
    page.click("#import-now").await;
    page.until("a question is asked", "document.querySelector('#confirm').open").await;
    page.click("#confirm-no").await;
    page.is_ready().await;
    assert_eq!(json!(stack.client.preset("stock").await.expect("there").options)["mode"], "fill", "it stays");
    page.click("#import-now").await;
    page.says_yes().await;
    let replace = stack.ended(&page.import_is("completed").await).await;
    let wanted = json!({
        "mapping": mapping, "delimiter": ";", "comment": "#", "mode": "replace", "most_removed_percent": 0,
        "empty_cells": "keep", "dry_run": false,
    });
    let kept = stack.client.preset("stock").await.expect("remembered");
    assert_eq!((json!(kept.options), json!(replace.options)), (wanted.clone(), wanted));
    page.close().await;
    stack.stop().await;
}

/// The clock goes past the time of an upload that somebody has opened and not made.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_has_expired_says_so_and_what_to_do() {
    let stack = Stack::start().await;
    let import = stack.client.create(&named("late.csv"), None).await.expect("created");
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit(&format!("import?id={}", import.id)).await;
    page.import_is("awaiting_upload").await;
    page.sees("#waiting", "").await;
    stack
        .passes_until("it has expired", async || {
            stack.client.import(&import.id).await.expect("there").status == Status::Expired
        })
        .await;
    // The file comes too late, on a page that was opened in time.
    let path = page.file("late.csv", catalogue(3));
    page.will_be_refused(409, 1);
    page.give("#waiting-file", &path).await;
    let said = page.refusal().await;
    assert!(said.contains("import_expired") || said.contains("expired"), "{said}");
    page.reload().await;
    page.import_is("expired").await;
    page.sees("main", "expired").await;
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_filtered_in_the_address_and_tells_who_when_and_at_what_cost() {
    let stack = Stack::start().await;
    let good = stack.import_as(named("good.csv"), catalogue(3).as_bytes()).await;
    let bad = stack.import_as(named("bad.csv"), BAD.as_bytes()).await;
    let quotiza =
        json!({ "account_id": "1", "products": [{ "sku": "Q-1", "name": "Vase", "brand": "Acme", "cost": 4 }] });
    let post = stack.request(reqwest::Method::POST, "/api/v1/products/import");
    assert!(send(post.bearer_auth(TOKEN).json(&quotiza)).await.status < 300);
    stack.cloud.quiet().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    assert_eq!(page.texts("#list tbody tr").await.len(), 3);
    page.choose("#status-is", "completed_with_errors").await;
    page.click("#filter button[type=submit]").await;
    page.until("the filter in the address", "location.search.includes('status=completed_with_errors')").await;
    page.is_ready().await;
    page.until("one import", "document.querySelectorAll('#list tbody tr').length === 1").await;
    assert!(page.text("#list tbody tr").await.starts_with("bad.csv"));
    page.back().await;
    page.until("all imports", "document.querySelectorAll('#list tbody tr').length === 3").await;
    page.visit("imports?api=quotiza").await;
    assert_eq!(page.texts("#list tbody tr").await.len(), 1);
    page.visit("imports?status=failed").await;
    page.sees("#empty", "No import fits the filter").await;
    page.visit("imports").await;
    page.click(&format!("#list a[href*='{}']", good.id)).await;
    assert_eq!(page.import_is("completed").await, good.id);
    page.sees("#details", "Cost").await;
    assert!(page.texts("#times tbody tr").await.len() >= 4);
    page.visit(&format!("import?id={}", bad.id)).await;
    page.sees("#wrong", "").await;
    page.close().await;
    stack.stop().await;
}

/// A record tells of each field which row of which import set it.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_and_tell_where_they_come_from() {
    let stack = Stack::start().await;
    let first = stack.import(b"sku,name,brand,cost,description\nA-1,Lamp,Acme,1,red\nA-2,Desk,Acme,2,\n").await;
    let second = stack.import(b"sku,name,brand,cost\nA-3,Rug,Acme,9\nA-1,Lamp,Acme,7\n").await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit("records").await;
    page.choose("#kind", "products").await;
    page.is_ready().await;
    page.fill("#key", "A-1").await;
    page.click("main form button[type=submit]").await;
    page.sees("#values", "Lamp").await;
    let rows = page.texts("#values tbody tr").await;
    let field = |name: &str| rows.iter().find(|row| row.starts_with(name)).unwrap_or_else(|| panic!("{rows:?}"));
    assert!(field("cost").contains('7') && field("cost").contains("row 2"), "{rows:?}");
    assert!(field("description").contains("red") && field("description").contains("row 1"), "{rows:?}");
    let links =
        "return [...document.querySelectorAll('#values a')].map((link) => new URL(link.href).searchParams.get('id'))";
    let links = page.run(links, Vec::new()).await;
    for import in [&first, &second] {
        assert!(links.as_array().expect("links").contains(&json!(import.id)), "{links}");
    }
    page.visit("records?kind=products").await;
    assert_eq!(page.texts("#list tbody tr").await.len(), 3);
    page.will_be_refused(404, 1);
    page.go("/console/records?kind=products&key=none").await;
    page.refusal().await;
    // One is deleted, once that is confirmed.
    page.visit("records?kind=products&key=A-2").await;
    page.click("#delete").await;
    page.says_yes().await;
    until("the record is gone", async || stack.client.record("products", "A-2").await.expect("answers").is_none())
        .await;
    page.settled().await;
    page.close().await;
    stack.stop().await;
}

/// A file is the sample from which a kind is made, and another version tells what has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_is_made_from_a_sample_and_says_what_changed_since() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit("kinds").await;
    page.sees("#list", "products").await;
    let sample = page.file("parts.csv", "number,label,weight,stocked\n1,Bolt,0.5,true\n2,Nut,0.25,false\n");
    page.give("#sample", &sample).await;
    page.until("the fields are proposed", "document.querySelectorAll('#make #fields tbody tr').length === 4").await;
    page.is_ready().await;
    page.fill("#name", "parts").await;
    page.click("#make button[type=submit]").await;
    page.arrives("kind").await;
    let schema: serde_json::Value =
        serde_json::from_str(&stack.client.kind_text("parts").await.expect("a schema")).expect("JSON");
    let types: Vec<_> = schema["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .map(|field| (field["name"].clone(), field["type"].clone()))
        .collect();
    assert_eq!(
        types,
        [
            (json!("number"), json!("integer")),
            (json!("label"), json!("string")),
            (json!("weight"), json!("number")),
            (json!("stocked"), json!("boolean")),
        ]
    );
    let mut next = schema.clone();
    next["fields"].as_array_mut().expect("fields").push(json!({ "name": "colour" }));
    next["rules"] = json!([{ "rule": "weight == null || weight > 0", "message": "must weigh something" }]);
    stack.client.put_kind(&next).await.expect("registered");
    page.visit("kind?name=parts").await;
    page.sees("#fields", "colour").await;
    page.sees("#rules-list", "weight == null || weight > 0").await;
    page.sees("#rules-list", "must weigh something").await;
    page.visit("kind?name=parts&before=1&after=2").await;
    page.sees("#changes-list", "colour").await;
    page.sees("#changes-text", "rules").await;
    page.click("#template").await;
    let template = page.downloaded(|name| name.ends_with(".csv")).await;
    assert_eq!(String::from_utf8(template).expect("UTF-8").trim(), "number,label,weight,stocked,colour");
    page.close().await;
    stack.stop().await;
}
