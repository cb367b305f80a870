//! Bad input gets a clear answer, and nothing is lost.

use std::time::Duration;

use penstock_client::{Import, NewImport};
use penstock_model::{Abort, ImportOptions, RowError, Status, limits};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    OTHER_TOKEN, Stack, TOKEN, adds_up, files,
    held::held_and,
    http::{self, post_form, send},
    refused, upload,
};

/// Imports a file of which no row can be trusted: the import's failure, as code and message.
async fn fails(file: &[u8]) -> (String, String) {
    fails_with(file, ImportOptions::default()).await
}

async fn fails_with(file: &[u8], options: ImportOptions) -> (String, String) {
    let stack = Stack::start().await;
    let import = stack.import_with(file, options).await;
    assert_eq!(import.status, Status::Failed, "{import:#?}");
    adds_up(&import);
    assert_eq!(import.rows.processed, 0);
    assert!(import.completed_at.is_some());
    assert!(import.rejected.is_none());
    assert!(stack.errors(&import.id).await.is_empty());
    stack.stop().await;
    let failure = import.failure.expect("a failed import says why");
    (failure.code, failure.message)
}

/// Imports a file with some bad rows; the import and all its errors. Every SKU in `good` and none in `bad` has a record
/// afterwards.
async fn rejects(file: &[u8], good: &[&str], bad: &[&str]) -> (Import, Vec<RowError>) {
    rejects_with(file, ImportOptions::default(), good, bad).await
}

async fn rejects_with(file: &[u8], options: ImportOptions, good: &[&str], bad: &[&str]) -> (Import, Vec<RowError>) {
    let stack = Stack::start().await;
    let import = stack.import_with(file, options).await;
    assert_eq!(import.status, Status::CompletedWithErrors, "{import:#?}");
    assert_eq!(import.failure, None);
    adds_up(&import);
    assert_eq!(import.rows.created, good.len() as u64, "{import:#?}");
    let errors = stack.errors(&import.id).await;
    let mut rejected: Vec<u64> = errors.iter().map(|error| error.row).collect();
    rejected.dedup();
    assert_eq!(import.rows.failed, rejected.len() as u64);
    assert_eq!(import.rejected.as_ref().map(|rejected| rejected.rows), Some(import.rows.failed));
    let names = |skus: &[&str]| skus.iter().map(|&sku| sku.to_owned()).collect::<Vec<_>>();
    assert_eq!(stack.records("1", &names(good)).await.len(), good.len());
    assert_eq!(stack.records("1", &names(bad)).await.len(), 0);
    stack.stop().await;
    (import, errors)
}

/// Row, line, field and code of an error.
fn place(error: &RowError) -> (u64, u64, Option<&str>, &str) {
    (error.row, error.line, error.field.as_deref(), error.code.as_str())
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

// The file as a whole.

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_fails_the_import() {
    let (code, message) = fails(b"").await;
    assert_eq!(code, "empty_file");
    contains(&message, &["no header"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_blank_lines_is_empty() {
    assert_eq!(fails(b"\xef\xbb\xbf\r\n\n\r\n").await.0, "empty_file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_rows_completes_with_no_row() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,name,brand\n").await;
    assert_eq!((import.status, import.rows.total), (Status::Completed, Some(0)));
    adds_up(&import);
    assert_eq!(import.columns.as_deref(), Some(&["sku", "name", "brand"].map(str::to_owned)[..]));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_column_fails_the_import_and_both_places_are_named() {
    let (code, message) = fails(b"sku,name,brand,name\nA,a,b,c\n").await;
    assert_eq!(code, "duplicate_column");
    contains(&message, &["2", "4", "`name`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_columns_that_mean_one_field_fail_the_import_and_both_are_named() {
    let (code, message) = fails(b"sku,name,SKU,brand\nA,a,x,b\n").await;
    assert_eq!(code, "duplicate_column");
    contains(&message, &["1 (`sku`)", "3 (`SKU`)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_columns_that_are_no_field_are_ignored() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,,name,brand,\nA,red,a,b,blue\n").await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 1));
    assert_eq!(import.ignored_columns, ["", ""]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_columns_are_ignored_and_listed() {
    let stack = Stack::start().await;
    let import = stack.import(b"colour,sku,Name,BRAND,size\nred,A,a,b,M\n").await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 1));
    assert_eq!(import.ignored_columns, ["colour", "size"]);
    adds_up(&import);
    let record = stack.client.record("products", "A").await.expect("answers").expect("is there");
    assert_eq!(record["fields"]["sku"], "A");
    assert_eq!(record["fields"]["colour"], Value::Null);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_required_columns_fail_the_import_and_are_named() {
    let (code, message) = fails(b"sku,description\nA,a\n").await;
    assert_eq!(code, "missing_column");
    contains(&message, &["products", "`name`", "`brand`", "the header is 2 columns: `sku`, `description`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_behind_blank_lines_is_still_the_header() {
    let (code, message) = fails(b"\n\r\nsku,description\nA,a\n").await;
    assert_eq!(code, "missing_column");
    assert!(!message.contains("line 1"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_delimiter_than_the_options_say_is_a_missing_column() {
    let comma = ImportOptions { delimiter: Some(','), ..ImportOptions::default() };
    let (code, message) = fails_with(b"sku;name;brand\nA;a;b\n", comma).await;
    assert_eq!(code, "missing_column");
    contains(&message, &["`sku`", "`name`", "`brand`", "1 column"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_columns_fail_the_import_and_the_limit_is_named() {
    let header: String = (0..=limits::COLUMNS).map(|column| format!("c{column},")).collect();
    let (code, message) = fails(format!("{}\nA\n", header.trim_end_matches(',')).as_bytes()).await;
    assert_eq!(code, "too_many_columns");
    contains(&message, &["1001", "1000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_over_the_size_limit_fails_the_import_and_the_limit_is_named() {
    let (code, message) =
        fails(&[b"sku,name,brand,".to_vec(), vec![b'x'; limits::RECORD_BYTES], b"\nA,a,b,c\n".to_vec()].concat()).await;
    assert_eq!(code, "header_too_large");
    contains(&message, &[&limits::RECORD_BYTES.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_in_the_header_that_is_never_closed_fails_the_import_and_its_line_is_named() {
    let (code, message) = fails(b"sku,\"long\nname\",\"brand\nA,a,b\n").await;
    assert_eq!(code, "unterminated_quote");
    contains(&message, &["header", "line 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_png_is_not_csv() {
    let (code, message) =
        fails(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89").await;
    assert_eq!(code, "unsupported_format");
    contains(&message, &["image", "CSV"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_that_is_cut_off_is_damaged() {
    // As an XLSX begins.
    assert_eq!(
        fails(b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0\x41\x37\x82\xcf\x6e\x01\0\0\x13[Content_Types].xml \xa2\x04")
            .await
            .0,
        "damaged_file"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_document_without_an_array_of_objects_fails() {
    let (code, message) = fails(b"{\n  \"error\": \"expired\",\n  \"codes\": [1]\n}\n").await;
    assert_eq!(code, "no_rows");
    contains(&message, &["no array of objects", "line 4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_object_alone_is_a_row() {
    let (_, errors) = rejects(b"{\n  \"sku\": \"A\",\n  \"name\": \"a\"\n}\n", &[], &["A"]).await;
    assert_eq!(errors.iter().map(place).collect::<Vec<_>>(), [(1, 1, Some("brand"), "required")]);
}

// Rows.

#[tokio::test(flavor = "multi_thread")]
async fn ragged_rows_are_rejected_and_say_how_many_cells_they_have() {
    let file = b"sku,name,brand\nA,a,b\nB,b\n\nC,c,d,e\nD\nE,e,f\n";
    let (_, errors) = rejects(file, &["A", "E"], &["B", "C", "D"]).await;
    let places: Vec<_> = errors.iter().map(place).collect();
    assert_eq!(places, [(2, 3, None, "ragged_row"), (3, 5, None, "ragged_row"), (4, 6, None, "ragged_row")]);
    contains(&errors[0].message, &["2 cells", "3 columns"]);
    contains(&errors[1].message, &["4 cells", "3 columns"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unterminated_quote_names_the_row_and_the_line_where_it_opened() {
    let file = b"sku,name,brand\nA,a,b\nB,\"two\nlines\",\"never closed\nC,c,d\nD,d,e\n";
    let (import, errors) = rejects(file, &["A"], &["B", "C", "D"]).await;
    assert_eq!(import.rows.total, Some(2));
    assert_eq!(errors.iter().map(place).collect::<Vec<_>>(), [(2, 3, None, "unterminated_quote")]);
    contains(&errors[0].message, &["line 4", "line 3", "end of the file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_over_the_size_limit_is_rejected_and_the_file_goes_on() {
    // The largest that fits, its terminator included; then one byte more; then one that is longer than several chunks.
    let record = |sku: &str, bytes: usize| {
        let frame = format!("{sku},,b\n").len();
        format!("{sku},{},b\n", "x".repeat(bytes - frame)).into_bytes()
    };
    let largest = limits::RECORD_BYTES;
    let file = [
        b"sku,name,brand\nA,a,b\n".to_vec(),
        record("B", largest),
        record("C", largest + 1),
        b"D,d,e\n".to_vec(),
        record("E", 5 * largest),
        b"F,f,g\n".to_vec(),
    ]
    .concat();
    let (import, errors) = rejects(&file, &["A", "B", "D", "F"], &["C", "E"]).await;
    assert_eq!(import.rows.total, Some(6));
    assert_eq!(
        errors.iter().map(place).collect::<Vec<_>>(),
        [(3, 4, None, "record_too_large"), (5, 6, None, "record_too_large")]
    );
    for (error, bytes) in errors.iter().zip([largest + 1, 5 * largest]) {
        contains(&error.message, &[&bytes.to_string(), &largest.to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_no_item_can_hold_is_rejected_as_a_row() {
    // Each fits a row; together they are more than a record can hold.
    let part = "x".repeat(limits::RECORD_BYTES - 1000);
    let file = format!("sku,name,brand,description\nA,{part},b,\nA,a,b,{part}\nA,{part},b,{part}\nB,b,c,\n");
    let stack = Stack::start().await;
    let import = stack.import(file.as_bytes()).await;
    adds_up(&import);
    assert_eq!(import.status, Status::CompletedWithErrors);
    let errors = stack.errors(&import.id).await;
    let codes: Vec<_> = errors.iter().map(|error| (error.row, error.code.as_str())).collect();
    // The third is no row at all; of the other two the second shortens the name again, so both may be applied.
    assert_eq!(codes, [(3, "record_too_large")]);
    let import = stack.import(format!("sku,name,brand,category\nA,a,b,{part}\n").as_bytes()).await;
    assert_eq!((import.status, import.rows.failed), (Status::CompletedWithErrors, 1));
    let errors = stack.errors(&import.id).await;
    assert_eq!(errors.iter().map(place).collect::<Vec<_>>(), [(1, 2, None, "record_item_too_large")]);
    contains(&errors[0].message, &[&limits::RECORD_ITEM_BYTES.to_string()]);
    let record = stack.client.record("products", "A").await.expect("answers").expect("is there");
    assert_eq!(record["fields"]["category"], Value::Null);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_utf_8_is_a_row_error_and_the_file_goes_on() {
    let file = b"sku,name,brand,colour\nA,a,b,\nB,abc\xff,b,\nC,\xc3\x28,\xf0\x9f,\nD,d,e,\xff\nE,\xc3\xa4,f,\n";
    let utf8 = ImportOptions { encoding: Some("utf-8".into()), ..ImportOptions::default() };
    let (_, errors) = rejects_with(file, utf8, &["A", "D", "E"], &["B", "C"]).await;
    let places: Vec<_> = errors.iter().map(place).collect();
    let code = "invalid_utf8";
    assert_eq!(places, [(2, 3, Some("name"), code), (3, 4, Some("name"), code), (3, 4, Some("brand"), code)]);
    contains(&errors[0].message, &["byte 4"]);
    assert_eq!(errors[0].value.as_deref(), Some("abc\u{fffd}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_byte_is_a_row_error_and_the_file_goes_on() {
    let file = b"sku,name,brand\nA,a,b\nB,ab\0c,b\nC\0,c,d\nD,d,e\n";
    let (_, errors) = rejects(file, &["A", "D"], &["B", "C", "C\0"]).await;
    let places: Vec<_> = errors.iter().map(place).collect();
    assert_eq!(places, [(2, 3, Some("name"), "nul_byte"), (3, 4, Some("sku"), "nul_byte")]);
    contains(&errors[0].message, &["byte 3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_byte_in_the_header_is_not_csv() {
    assert_eq!(fails(b"sku,na\0me,brand\nA,a,b\n").await.0, "not_csv");
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_that_are_no_value_of_their_field_are_all_named() {
    let file = b"sku,name,brand,cost,active,base_units_per_sales_unit\n,n,b,1,true,1\nB,,,\"9,90\",yes,1.5\nC,c,d,NaN,,\nD,d,e,1,true,1\n";
    let (_, errors) = rejects(file, &["D"], &["B", "C"]).await;
    let places: Vec<_> = errors.iter().map(place).collect();
    assert_eq!(
        places,
        [
            (1, 2, Some("sku"), "required"),
            (2, 3, Some("name"), "required"),
            (2, 3, Some("brand"), "required"),
            (2, 3, Some("cost"), "other_decimal_char"),
            (2, 3, Some("active"), "invalid_boolean"),
            (2, 3, Some("base_units_per_sales_unit"), "invalid_integer"),
            (3, 4, Some("cost"), "invalid_number"),
        ]
    );
    assert_eq!(errors[3].value.as_deref(), Some("9,90"));
    // A message names the field and never repeats the cell.
    assert!(errors[3].message.contains("cost") && !errors[3].message.contains("9,90"), "{}", errors[3].message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_cell_is_shown_cut() {
    let cost = "ü".repeat(limits::ERROR_VALUE_CHARS + 50);
    let (_, errors) = rejects(format!("sku,name,brand,cost\nA,a,b,{cost}\n").as_bytes(), &[], &["A"]).await;
    assert_eq!(errors[0].value.as_ref().map(|value| value.chars().count()), Some(limits::ERROR_VALUE_CHARS));
}

// Uploads.

#[tokio::test(flavor = "multi_thread")]
async fn a_second_upload_to_the_same_url_is_refused_and_changes_nothing() {
    let stack = Stack::start().await;
    let created = stack.uploaded(&files::plain(0, 10, "1")).await;
    // At once, before the import is done, and when it is.
    assert_eq!(upload(&created, &files::plain(100, 5, "2")).await, 412);
    let import = stack.ended(&created.id).await;
    assert_eq!(upload(&created, &files::plain(100, 5, "2")).await, 412);
    stack.cloud.idle().await;
    let again = stack.client.import(&created.id).await.expect("is there");
    assert_eq!((again.status, again.rows), (Status::Completed, import.rows));
    assert_eq!(again.completed_at, import.completed_at);
    assert_eq!(import.rows.created, 10);
    assert_eq!(stack.client.record("products", "SKU-100").await.expect("answers"), None);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_posted_after_the_upload_changes_nothing_of_the_import() {
    // Not for as long as the form lasts.
    let held = Duration::from_secs(600);
    let stack = held_and(|options| options.faults.delay = held).await;
    let created = stack.create(ImportOptions::default()).await;
    let form = created.form.as_ref().expect("a form");
    assert_eq!(upload(&created, &files::plain(0, 10, "1")).await, 200);
    // Which of two uploads an import is about is settled by the event that comes first; from then on another changes
    // nothing.
    stack.cloud.quiet().await;
    assert_eq!(stack.client.import(&created.id).await.expect("is there").status, Status::Processing);
    // A form cannot carry If-None-Match: the storage takes another version, of which no import is about.
    assert_eq!(post_form(form, &files::plain(100, 5, "2")).await.status, 204);
    stack.cloud.quiet().await;
    stack.pass(held).await;
    let import = stack.ended(&created.id).await;
    assert_eq!(post_form(form, &files::plain(200, 5, "2")).await.status, 204);
    stack.cloud.idle().await;
    let again = stack.client.import(&created.id).await.expect("is there");
    assert_eq!((again.status, again.rows), (Status::Completed, import.rows));
    assert_eq!(import.rows.created, 10);
    for sku in ["SKU-100", "SKU-200"] {
        assert_eq!(stack.client.record("products", sku).await.expect("answers"), None);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_after_expiry_is_refused_and_the_import_expires_after_the_grace_period() {
    let stack = Stack::with(|options| options.scheduled = false).await;
    let created = stack.create(ImportOptions::default()).await;
    stack.pass(Duration::from_secs(limits::UPLOAD_TTL_SECONDS + 1)).await;
    let file = files::plain(0, 10, "1");
    assert_eq!(upload(&created, &file).await, 403);
    let answer = post_form(created.form.as_ref().expect("a form"), &file).await;
    assert_eq!(answer.storage_refusal(), (403, "AccessDenied"));
    // Within the grace period an upload that the storage accepted in time may still be noticed.
    stack.cloud.sweep_now().await.expect("sweeps");
    assert_eq!(stack.client.import(&created.id).await.expect("is there").status, Status::AwaitingUpload);
    stack.pass(Duration::from_millis(limits::EXPIRY_GRACE_MS as u64 + 1000)).await;
    stack.cloud.sweep_now().await.expect("sweeps");
    let expired = stack.client.import(&created.id).await.expect("is there");
    assert_eq!(expired.status, Status::Expired);
    assert!(expired.completed_at.is_some());
    assert_eq!((expired.rows.total, expired.rows.processed), (None, 0));
    assert_eq!(refused(stack.client.cancel(&created.id).await), (409, "already_ended".into()));
    assert_eq!(stack.get(&format!("/v1/imports/{}/rejected", created.id)).await.refusal(), (404, "not_found".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_time_whose_event_was_lost_counts() {
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.faults.event_lost = 1.0;
    })
    .await;
    let created = stack.uploaded(&files::plain(0, 10, "1")).await;
    stack.pass(Duration::from_secs(limits::UPLOAD_TTL_SECONDS + 3600)).await;
    stack.cloud.sweep_now().await.expect("sweeps");
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 10));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_stores_nothing() {
    let stack = Stack::start().await;
    let created = stack.create(ImportOptions::default()).await;
    let other = stack.create(ImportOptions::default()).await;
    let right = created.upload.as_ref().expect("an upload URL");
    let (head, signature) = right.url.split_once("X-Amz-Signature=").expect("a signature");
    let first = if signature.starts_with('0') { '1' } else { '0' };
    let wrong = format!("{head}X-Amz-Signature={first}{}", &signature[1..]);
    let foreign = right.url.replace(&created.id, &other.id);
    let longer = right.url.replace("X-Amz-Expires=", "X-Amz-Expires=9");
    let unsigned = right.url.split_once('?').expect("a query").0.to_owned();
    assert!(foreign != right.url && longer != right.url, "{}", right.url);
    for url in [&wrong, &foreign, &longer, &unsigned] {
        let mut request = http::client().put(url).body("sku,name,brand\nA,a,b\n");
        for (name, value) in &right.headers {
            request = request.header(name, value);
        }
        assert_eq!(send(request).await.status, 403, "{url}");
    }
    // The condition is part of what is signed.
    assert_eq!(send(http::client().put(&right.url).body("sku,name,brand\nA,a,b\n")).await.status, 403);
    // And of the form the policy, and by it the key.
    let mut form = created.form.clone().expect("a form");
    form.fields.insert("key".into(), form.fields["key"].replace(&created.id, &other.id));
    let refusal = post_form(&form, b"sku,name,brand\nA,a,b\n").await;
    // S3 says the first, s3s the second.
    let said = refusal.storage_refusal();
    assert!([(403, "AccessDenied"), (400, "InvalidPolicyDocument")].contains(&said), "{said:?}");
    let mut form = created.form.clone().expect("a form");
    form.fields.insert("x-amz-signature".into(), "0".repeat(64));
    assert_eq!(post_form(&form, b"sku,name,brand\nA,a,b\n").await.status, 403);
    stack.cloud.idle().await;
    for import in [&created, &other] {
        assert_eq!(stack.client.import(&import.id).await.expect("is there").status, Status::AwaitingUpload);
    }
    assert_eq!(upload(&created, b"sku,name,brand\nA,a,b\n").await, 200, "nothing was stored before");
    assert_eq!(stack.ended(&created.id).await.rows.created, 1);
    stack.stop().await;
}

// Who asks, and for what.

/// Every call that needs a key, for an import.
fn calls(id: &str) -> Vec<(Method, String)> {
    vec![
        (Method::POST, "/v1/imports".into()),
        (Method::GET, "/v1/imports".into()),
        (Method::GET, format!("/v1/imports/{id}")),
        (Method::GET, format!("/v1/imports/{id}/errors")),
        (Method::GET, format!("/v1/imports/{id}/history")),
        (Method::GET, format!("/v1/imports/{id}/rejected")),
        (Method::POST, format!("/v1/imports/{id}/cancel")),
        (Method::DELETE, format!("/v1/imports/{id}")),
        (Method::GET, "/v1/records/products/A".into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_401_everywhere() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,name,brand\nA,a,b\nB,b\n").await;
    let wrong = [
        ("authorization", "Bearer test.wrong-".to_owned()),
        ("authorization", "Bearer nobody.secret".to_owned()),
        // One account's id with another's secret, which is the same here: keys have ids of their own.
        ("authorization", "Bearer 1.secret".to_owned()),
        ("authorization", "Bearer te/st.secret".to_owned()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", format!("Token {TOKEN}")),
        ("authorization", "Basic !!!".to_owned()),
        ("x-api-key", "test".to_owned()),
        ("x-api-key", String::new()),
    ];
    for (method, path) in calls(&import.id) {
        let answer = send(stack.request(method.clone(), &path)).await;
        assert_eq!(answer.refusal(), (401, "unauthorized".into()), "{method} {path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    for (name, value) in wrong {
        for (method, path) in calls(&import.id) {
            let answer = send(stack.request(method.clone(), &path).header(name, &value)).await;
            assert_eq!(answer.refusal(), (401, "unauthorized".into()), "{method} {path} {name}: {value}");
        }
    }
    assert_eq!(stack.client.import(&import.id).await.expect("is there").rows, import.rows);
    assert_eq!(stack.client.list(None, 100).await.expect("a list").imports.len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_import_and_record_look_like_missing_ones() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,name,brand\nA,a,b\nB,b\n").await;
    let unknown = "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F";
    for ((method, path), (_, unknown_path)) in calls(&import.id).into_iter().zip(calls(unknown)).skip(2) {
        let foreign = send(stack.request(method.clone(), &path).bearer_auth(OTHER_TOKEN)).await;
        assert_eq!(foreign.refusal(), (404, "not_found".into()), "{method} {path}");
        if path != unknown_path {
            let missing = send(stack.request(method.clone(), &unknown_path).bearer_auth(OTHER_TOKEN)).await;
            assert_eq!((foreign.status, &foreign.body), (missing.status, &missing.body), "{method} {path}");
        }
    }
    let other = stack.client_of(OTHER_TOKEN);
    assert!(other.list(None, 100).await.expect("a list").imports.is_empty());
    let again = stack.client.import(&import.id).await.expect("still there");
    assert_eq!((again.status, again.rows), (import.status, import.rows));
    assert!(stack.client.record("products", "A").await.expect("answers").is_some());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_id_is_404() {
    let stack = Stack::start().await;
    let ids =
        ["imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F", "imp_", "imp_01jd8zc4s2g9qj7v5n3m1k0h6f", "1", "%2e%2e%2fkey", "%00", "%FF"];
    for id in ids {
        for (method, path) in calls(id).into_iter().skip(2).filter(|(_, path)| path.contains(id)) {
            assert_eq!(stack.ask(method.clone(), &path).await.refusal(), (404, "not_found".into()), "{method} {path}");
        }
    }
    for path in
        ["/v1/records/products/nothing", "/v1/records/nothing/A", "/v1/records/%FF/A", "/v1/records/products/%FF"]
    {
        assert_eq!(stack.get(path).await.refusal(), (404, "not_found".into()), "{path}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body_is_400_and_the_place_is_named() {
    let stack = Stack::start().await;
    for (body, parts) in [
        (r#"{"kind": "products""#, &["line 1", "column 19"][..]),
        (r#"{"kind": "products",}"#, &["line 1", "column 21"]),
        ("kind=products", &["line 1"]),
        (r#"["products"]"#, &["array"]),
        (r#"{"options": []}"#, &["array", "/options"]),
        (r#"{"options": {"abort": [10, 5]}}"#, &["array", "/options/abort"]),
        (r#""products""#, &[]),
        (r#"{"kinds": "products"}"#, &["kinds", "kind"]),
        (r#"{"options": {"mood": "upsert"}}"#, &["mood", "mode"]),
        (r#"{"kind": 7}"#, &["7", "string"]),
        (r#"{"kind": "Products"}"#, &["a-z"]),
        (r#"{"size": "12"}"#, &["12"]),
        (r#"{"size": -1}"#, &["-1"]),
        (r#"{"options": "upsert"}"#, &["upsert"]),
        (r#"{"options": {"mode": "merge"}}"#, &["merge", "upsert"]),
        (r#"{"options": {"empty_cells": "drop"}}"#, &["drop", "clear"]),
        (r#"{"options": {"dry_run": "yes"}}"#, &["yes", "boolean"]),
        (r#"{"options": {"delimiter": ",,"}}"#, &["character"]),
        (r#"{"options": {"abort": {"rows": 10}}}"#, &["percent"]),
    ] {
        let (status, code, detail) = stack.post_import(body).await.problem();
        assert_eq!((status, code.as_str()), (400, "invalid_body"), "{body}");
        contains(&detail, parts);
    }
    for body in [&b"\xff\xfe{\0}\0"[..], b"{\"filename\": \"\xff\"}"] {
        assert_eq!(stack.post_import(body).await.refusal(), (400, "invalid_body".into()));
    }
    assert!(stack.client.list(None, 100).await.expect("a list").imports.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_413_and_the_limit_is_named() {
    let stack = Stack::start().await;
    let fits = format!("{}{{}}", " ".repeat(limits::REQUEST_BYTES - 2));
    assert_eq!(stack.post_import(fits.clone()).await.status, 201);
    let (status, code, detail) = stack.post_import(format!(" {fits}")).await.problem();
    assert_eq!((status, code.as_str()), (413, "body_too_large"));
    contains(&detail, &[&limits::REQUEST_BYTES.to_string(), "upload"]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_cannot_be_done_are_422_and_say_what_can() {
    let stack = Stack::start().await;
    let delimiter = |delimiter: &str| json!({ "options": { "delimiter": delimiter } });
    let abort = |rows: u64, percent: u8| json!({ "options": { "abort": { "rows": rows, "percent": percent } } });
    for (body, code, parts) in [
        (json!({ "kind": "unicorns" }), "unknown_kind", &["unicorns"][..]),
        (json!({ "format": "pdf" }), "unknown_format", &["pdf", "csv", "xlsx"]),
        (json!({ "size": limits::UPLOAD_BYTES + 1 }), "file_too_large", &["5368709121", "5368709120"]),
        (json!({ "filename": "x".repeat(256) }), "filename_too_long", &["255"]),
        (delimiter("\""), "invalid_delimiter", &["quote"]),
        (delimiter("\n"), "invalid_delimiter", &["line break"]),
        (delimiter("\0"), "invalid_delimiter", &["ASCII"]),
        (delimiter("ä"), "invalid_delimiter", &["ASCII"]),
        (delimiter("x"), "invalid_delimiter", &["letter"]),
        (delimiter("0"), "invalid_delimiter", &["digit"]),
        (abort(0, 10), "invalid_abort", &["1", "100000"]),
        (abort(limits::ABORT_ROWS + 1, 10), "invalid_abort", &["100000"]),
        (abort(10, 100), "invalid_abort", &["99"]),
    ] {
        let (status, found, detail) = stack.post_import(body.to_string()).await.problem();
        assert_eq!((status, found.as_str()), (422, code), "{body}");
        contains(&detail, parts);
    }
    for delimiter in [',', ';', '\t', '|', ' '] {
        let options = ImportOptions { delimiter: Some(delimiter), ..ImportOptions::default() };
        let cell = |text: &str| text.replace(',', &delimiter.to_string());
        let file = cell(&format!("sku,name,brand\n{},a,b\n", u32::from(delimiter)));
        assert_eq!(stack.import_with(file.as_bytes(), options).await.rows.created, 1, "{delimiter:?}");
    }
    let largest = Abort { rows: limits::ABORT_ROWS, percent: 99 };
    stack.create(ImportOptions { abort: Some(largest), ..ImportOptions::default() }).await;
    let largest =
        NewImport { size: Some(limits::UPLOAD_BYTES), filename: Some("ä".repeat(255)), ..NewImport::default() };
    stack.client.create(&largest, None).await.expect("the limits themselves are within the limits");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_query_is_400_and_names_the_bounds() {
    let stack = Stack::start().await;
    let import = stack.import(b"sku,name,brand\nA,a,b\nB,b\n").await;
    let lists = ["/v1/imports".to_owned(), format!("/v1/imports/{}/errors", import.id)];
    for list in &lists {
        for limit in ["0", "101", "100000000000000000000", "x", "-1", "1.5", ""] {
            let (status, code, detail) = stack.get(&format!("{list}?limit={limit}")).await.problem();
            let found = if ["0", "101"].contains(&limit) { "invalid_limit" } else { "invalid_query" };
            assert_eq!((status, code.as_str()), (400, found), "{list}?limit={limit}");
            if found == "invalid_limit" {
                contains(&detail, &["1", "100"]);
            }
        }
        for cursor in ["x", "imp_x", "1.2", "1.2.3.4", "-1.0.0", "4294967296.0.0", "%FF"] {
            let answer = stack.get(&format!("{list}?cursor={cursor}")).await;
            assert_eq!(answer.refusal(), (400, "invalid_cursor".into()), "{list}?cursor={cursor}");
        }
    }
    for query in ["status=done", "kind=No%20Kind"] {
        assert_eq!(
            stack.get(&format!("/v1/imports?{query}")).await.refusal(),
            (400, "invalid_query".into()),
            "{query}"
        );
    }
    // A cursor beyond the end is the end.
    let answer = stack.get(&format!("{}?cursor=4294967295.0.0", lists[1])).await.json();
    assert_eq!(answer, json!({ "errors": [], "next_cursor": null }));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_answer_with_problem_details() {
    let stack = Stack::start().await;
    for path in ["/x", "/v1", "/v1/import", "/v1/imports/", "/v2/imports", "/v1/records", "/v1/imports/a/b/c"] {
        assert_eq!(stack.get(path).await.refusal(), (404, "not_found".into()), "{path}");
    }
    for (method, path, allowed) in [
        (Method::PUT, "/v1/imports", ["GET", "POST"]),
        (Method::DELETE, "/v1/imports", ["GET", "POST"]),
        (Method::PATCH, "/v1/imports/imp_1", ["GET", "DELETE"]),
        (Method::GET, "/v1/imports/imp_1/cancel", ["POST", "POST"]),
        (Method::POST, "/health", ["GET", "HEAD"]),
    ] {
        let answer = stack.ask(method.clone(), path).await;
        assert_eq!(answer.refusal(), (405, "method_not_allowed".into()), "{method} {path}");
        // RFC 9110 §15.5.6
        contains(answer.header("allow").expect("what is allowed is told"), &allowed);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_idempotency_key_is_400() {
    let stack = Stack::start().await;
    for key in ["", &"x".repeat(256), "schlüssel"] {
        let request =
            stack.request(Method::POST, "/v1/imports").bearer_auth(TOKEN).header("idempotency-key", key.as_bytes());
        assert_eq!(send(request).await.refusal(), (400, "invalid_idempotency_key".into()), "{key}");
    }
    assert!(stack.client.list(None, 100).await.expect("a list").imports.is_empty());
    stack.stop().await;
}
