//! ProductsManager: a form with a file, status, errors by page.

use super::{
    support::Stack,
    transcript::{play, play_on},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_by_a_form_and_its_errors_are_paged() {
    let stack = Stack::start().await;
    let names = play(
        &stack,
        r#"
        curl -F "file=@catalog.csv" -F "format=csv", the fields after the file:

        > POST /api/v1/imports
        > Authorization: Bearer test.secret
        > Content-Type: multipart/form-data; boundary=------------------------d74496d66958873e
        >
        > --------------------------d74496d66958873e
        > Content-Disposition: form-data; name="file"; filename="catalog.csv"
        > Content-Type: text/csv
        >
        > ean,title,price
        > 4006381333931,Pen,1.20
        > 42,Pencil,0.80
        > 5901234123457,Ruler,cheap
        > 96385074,Rubber,0.5
        > --------------------------d74496d66958873e
        > Content-Disposition: form-data; name="comment"
        >
        > unknown parts are ignored
        > --------------------------d74496d66958873e
        > Content-Disposition: form-data; name="format"
        >
        > csv
        > --------------------------d74496d66958873e--
        >
        < 201
        < {"id": "{id}", "status": "pending", "format": "csv", "total_rows": 0, "created_at": "{created}"}

        = ended {id}

        > GET /api/v1/imports/{id}
        > Authorization: Bearer test.secret
        < 200
        < {"id": "{id}", "status": "completed_with_errors", "total_rows": 4, "processed_rows": 4, "created_rows": 2, "updated_rows": 0,
        <  "error_rows": 2, "created_at": "{created}", "completed_at": "{completed}"}

        > GET /api/v1/imports/{id}/errors
        > Authorization: Bearer test.secret
        < 200
        < {"data": [{"row": 2, "ean": "42", "error": "validation_error", "message": "Invalid EAN format."},
        <           {"row": 3, "ean": null, "error": "validation_error", "message": "{price}"}],
        <  "meta": {"page": 1, "per_page": 20, "total": 2}}

        > GET /api/v1/imports/{id}/errors?page=2&per_page=1
        > Authorization: Bearer test.secret
        < 200
        < {"data": [{"row": 3, "ean": null, "error": "validation_error", "message": "{price}"}],
        <  "meta": {"page": 2, "per_page": 1, "total": 2}}

        > GET /api/v1/imports/{id}/errors?page=3&per_page=1
        > Authorization: Bearer test.secret
        < 200
        < {"data": [], "meta": {"page": 3, "per_page": 1, "total": 2}}
        "#,
    )
    .await;
    assert!(names["id"].starts_with("imp_"), "{names:?}");
    // The same rows again say what the products show already: updated, as their sender sees it; and left alone without update_existing.
    for (update_existing, updated) in [("true", "2"), ("false", "0")] {
        let again = names.clone().into_iter().filter(|(name, _)| name == "price");
        let again = again.chain([("update".to_owned(), update_existing.to_owned())]).collect();
        let names = play_on(
            &stack,
            r#"
            > POST /api/v1/imports
            > Authorization: Bearer test.secret
            > Content-Type: multipart/form-data; boundary=X
            >
            > --X
            > Content-Disposition: form-data; name="update_existing"
            >
            > {update}
            > --X
            > Content-Disposition: form-data; name="mapping"
            >
            > {"ean":"ean"}
            > --X
            > Content-Disposition: form-data; name="file"; filename="catalog.csv"
            >
            > ean,title,price
            > 4006381333931,Pen,1.20
            > 96385074,Rubber,0.5
            > --X--
            >
            < 201
            < {"id": "{id}", "status": "pending", "format": "csv", "total_rows": 0, "created_at": "{created}"}

            = ended {id}

            > GET /api/v1/imports/{id}
            > Authorization: Bearer test.secret
            < 200
            < {"id": "{id}", "status": "completed", "total_rows": 2, "processed_rows": 2, "created_rows": 0, "updated_rows": "{updated}",
            <  "error_rows": 0, "created_at": "{created}", "completed_at": "{completed}"}
            "#,
            again,
        )
        .await;
        assert_eq!(names["updated"], updated);
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
    let form = reqwest::multipart::Form::new().part("file", reqwest::multipart::Part::text(file).file_name("f.csv"));
    let request = stack.request(reqwest::Method::POST, "/api/v1/imports").bearer_auth(super::support::TOKEN);
    let created = super::support::http::send(request.multipart(form)).await.json();
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
    play(
        &stack,
        r#"
        > POST /api/v1/imports
        > Authorization: Bearer test.secret
        > Content-Type: application/json
        >
        > {}
        < 415
        < {"error": "unsupported_media_type", "message": "{sort}", "details": []}

        > POST /api/v1/imports
        > Authorization: Bearer test.secret
        > Content-Type: multipart/form-data; boundary=X
        >
        > --X
        > Content-Disposition: form-data; name="format"
        >
        > csv
        > --X--
        >
        < 422
        < {"error": "validation_error", "message": "The file field is required.", "details": [{"field": "file", "message": "The file field is required."}]}

        A form that breaks off:

        > POST /api/v1/imports
        > Authorization: Bearer test.secret
        > Content-Type: multipart/form-data; boundary=X
        >
        > --X
        > Content-Disposition: form-data; name="file"; filename="catalog.csv"
        >
        > ean,title
        < 400
        < {"error": "invalid_form", "message": "{broken}", "details": []}

        > POST /api/v1/imports
        > Authorization: Bearer test.secret
        > Content-Type: multipart/form-data; boundary=X
        >
        > --X
        > Content-Disposition: form-data; name="file"; filename="catalog.csv"
        >
        > ean,title
        > --X
        > Content-Disposition: form-data; name="update_existing"
        >
        > perhaps
        > --X--
        >
        < 422
        < {"error": "validation_error", "message": "{flag}", "details": [{"field": "update_existing", "message": "{flag}"}]}

        > GET /api/v1/imports/imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F/errors?page=0
        > Authorization: Bearer test.secret
        < 422
        < {"error": "validation_error", "message": "{page}", "details": [{"field": "page", "message": "{page}"}]}

        > GET /api/v1/imports/imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
        > Authorization: Bearer test.secret
        < 404
        < {"error": "not_found", "message": "there is no such import", "details": []}
        "#,
    )
    .await;
    // Nothing of what was refused is an import, or ever becomes one.
    stack.cloud.idle().await;
    assert_eq!(stack.get("/v1/imports").await.json()["imports"], serde_json::json!([]));
    stack.stop().await;
}

/// What a form may not have too much of.
#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_form_are_bounded() {
    use super::support::{TOKEN, http::send};
    let stack = Stack::start().await;
    let post = |body: String| {
        let request = stack.request(reqwest::Method::POST, "/api/v1/imports").bearer_auth(TOKEN);
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
