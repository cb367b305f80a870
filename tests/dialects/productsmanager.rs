//! ProductsManager: a form with a file, status, errors by page.

use penstock_model::Scope;
use reqwest::{Method, multipart};
use rust_xlsxwriter::Workbook;
use serde_json::json;

use super::{
    crowd::{Caller, Ended, ROWS},
    documents::{Body, Document, ErrorForm},
    key,
    support::{Stack, TOKEN, http::send},
    transcript::{named, play, play_on},
};

pub(crate) static DOCUMENT: Document = Document {
    dialect: "productsmanager",
    tests: include_str!("productsmanager.rs"),
    form: ErrorForm { code: Some("/error"), message: "/message", status: None },
    path: "/api/v1/imports/imp_x",
    upload: Some(("/api/v1/imports", Body::Form)),
    refusals: &[(400, "invalid_form"), (415, "unsupported_media_type"), (422, "validation_error")],
    client: |caller| Box::pin(client(caller)),
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_by_a_form_and_its_errors_are_paged() {
    let stack = Stack::start().await;
    let names = play(&stack, include_str!("productsmanager/catalog.txt")).await;
    assert!(names["id"].starts_with("imp_"), "{names:?}");
    // The same rows again say what the products show already: updated, as their sender sees it; and left alone without
    // update_existing.
    for (update_existing, updated) in [("true", "2"), ("false", "0")] {
        let again = names.clone().into_iter().filter(|(name, _)| name == "price");
        let again = again.chain([("update".to_owned(), update_existing.to_owned())]).collect();
        let names = play_on(&stack, include_str!("productsmanager/update_existing.txt"), again).await;
        assert_eq!(names["updated"], updated);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_says_what_columns_mean() {
    let stack = Stack::start().await;
    play(&stack, include_str!("productsmanager/mapping.txt")).await;
    let record = stack.client.record("productsmanager-products", "4006381333931").await.expect("answers");
    let wanted = json!({ "ean": "4006381333931", "title": "Crayon", "price": 0.8, "brand": "Plume" });
    assert_eq!(record.expect("there")["fields"], wanted);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_imported_declared_or_not() {
    let stack = Stack::start().await;
    for format in ["format", "unknown"] {
        play_on(&stack, include_str!("productsmanager/json.txt"), named(&[("format", format)])).await;
    }
    let record = stack.get("/v1/records/productsmanager-products/96385074").await;
    assert!(record.text().contains("\"price\":1.1000000000000000000000000000001"), "{}", record.text());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workbooks_are_imported_declared_or_not() {
    let stack = Stack::start().await;
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write_row(0, 0, ["EAN", "Titre", "Prix"]).expect("cells");
    // An EAN that is a number in the sheet, and one that is text since it begins with a zero.
    sheet.write(1, 0, 4_006_381_333_931_u64).and_then(|sheet| sheet.write(1, 1, "Stylo")).expect("cells");
    sheet.write(1, 2, 1.25).expect("a cell");
    sheet.write_row(2, 0, ["0000096385074", "Gomme"]).expect("cells");
    sheet.write_row(3, 0, ["invalid-ean", "Rien"]).expect("cells");
    let file = workbook.save_to_buffer().expect("in memory");
    for (declared, created) in [(Some("xlsx"), 2), (None, 0)] {
        let part = multipart::Part::bytes(file.clone()).file_name("catalog.xlsx");
        let form = multipart::Form::new()
            .part("file", part)
            .text("mapping", r#"{"EAN":"ean","Titre":"title","Prix":"price"}"#);
        let form = declared.into_iter().fold(form, |form, format| form.text("format", format));
        let answer = send(stack.request(Method::POST, "/api/v1/imports").bearer_auth(TOKEN).multipart(form)).await;
        assert_eq!((answer.status, answer.json()["format"].as_str()), (201, Some("xlsx")));
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        stack.ended(&id).await;
        let status = stack.get(&format!("/api/v1/imports/{id}")).await.json();
        assert_eq!(
            (&status["created_rows"], &status["updated_rows"]),
            (&json!(created), &json!(2 - created)),
            "{status}"
        );
        let errors = stack.get(&format!("/api/v1/imports/{id}/errors")).await.json();
        let wanted =
            json!({ "row": 3, "ean": "invalid-ean", "error": "validation_error", "message": "Invalid EAN format." });
        assert_eq!(errors["data"], json!([wanted]));
    }
    for (ean, title) in [("4006381333931", "Stylo"), ("0000096385074", "Gomme")] {
        let record = stack.client.record("productsmanager-products", ean).await.expect("answers").expect("there");
        assert_eq!(record["fields"]["title"], title);
    }
    stack.stop().await;
}

/// Many rejected rows over several chunks and blocks: every page holds what it has to, and each row once.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_errors_follow_one_another_over_chunks() {
    let stack = Stack::with(|options| {
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "4".into()));
    })
    .await;
    let mut file = String::from("ean,title,price\n");
    // Of every three rows one is bad, twice.
    (1..=300).for_each(|row| file.push_str(if row % 3 == 0 { "1,x,cheap\n" } else { "4006381333931,x,1\n" }));
    let form = multipart::Form::new().part("file", multipart::Part::text(file).file_name("f.csv"));
    let request = stack.request(Method::POST, "/api/v1/imports").bearer_auth(TOKEN);
    let created = send(request.multipart(form)).await.json();
    let id = created["id"].as_str().expect("an id");
    stack.ended(id).await;
    let mut rows = Vec::new();
    for page in 1.. {
        let answer = stack.get(&format!("/api/v1/imports/{id}/errors?page={page}&per_page=7")).await.json();
        assert_eq!(answer["meta"]["total"], 100);
        let data = answer["data"].as_array().expect("data");
        if data.is_empty() {
            break;
        }
        rows.extend(data.iter().map(|row| row["row"].as_u64().expect("a row")));
    }
    assert_eq!(rows, (1..=100).map(|row| row * 3).collect::<Vec<_>>());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_import_is_refused() {
    let stack = Stack::start().await;
    let reader = key(&stack, &[Scope::ImportRead]).await;
    let long = "x".repeat(64 * 1024 + 1);
    let names = named(&[("reader", &reader), ("a field that is too long", &long)]);
    play_on(&stack, include_str!("productsmanager/refusals.txt"), names).await;
    // Nothing of what was refused is an import, or ever becomes one.
    stack.cloud.idle().await;
    assert_eq!(stack.get("/v1/imports").await.json()["imports"], json!([]));
    stack.stop().await;
}

/// What a form may not have too much of.
#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_form_are_bounded() {
    let stack = Stack::start().await;
    let post = |body: String| {
        let request = stack.request(Method::POST, "/api/v1/imports").bearer_auth(TOKEN);
        send(request.header("content-type", "multipart/form-data; boundary=X").body(body))
    };
    let part =
        |name: &str, text: &str| format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
    for (status, code, body) in [
        (413, "body_too_large", part("mapping", &"x".repeat(64 * 1024 + 1)) + "--X--\r\n"),
        (400, "too_many_parts", (0..33).map(|n| part(&format!("p{n}"), "")).collect::<String>() + "--X--\r\n"),
        (400, "duplicate_field", part("file", "a") + &part("file", "b") + "--X--\r\n"),
        (400, "duplicate_field", part("format", "csv") + &part("format", "csv") + "--X--\r\n"),
        (400, "invalid_form", format!("--X\r\nX-Long: {}", "x".repeat(1 << 20))),
        (400, "invalid_form", "x".repeat(1 << 20)),
        (400, "invalid_form", String::new()),
    ] {
        let answer = post(body).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(code)));
    }
    stack.stop().await;
}

/// One account's client in the crowd: a form whose first row has no EAN.
async fn client(caller: &Caller<'_>) -> Ended {
    let mut file = String::from("EAN,Titre\n42,no product\n");
    for number in 0..ROWS as u64 {
        let digits = format!("{:012}", 400_000_000_000 + number);
        let weighted = |(at, digit): (usize, u8)| u64::from(digit - b'0') * if at % 2 == 0 { 1 } else { 3 };
        let check = (10 - digits.bytes().enumerate().map(weighted).sum::<u64>() % 10) % 10;
        file.push_str(&format!("{digits}{check},{}\n", caller.says()));
    }
    let form = multipart::Form::new().part("file", multipart::Part::text(file).file_name("catalog.csv"));
    let form = form.text("mapping", r#"{"EAN":"ean","Titre":"title"}"#);
    let created = send(caller.ask(Method::POST, "/api/v1/imports", caller.bearer()).multipart(form)).await.json();
    let id = created["id"].as_str().expect("an id");
    let path = format!("/api/v1/imports/{id}");
    let status = caller.ended(id, &path, caller.bearer(), &["completed", "completed_with_errors", "failed"]).await;
    assert_eq!((&status["created_rows"], &status["error_rows"]), (&json!(ROWS), &json!(1)), "{status}");
    Ended { path, imports: 1, record: ("productsmanager-products", "4000000000006", "title") }
}
