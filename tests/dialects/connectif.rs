//! Connectif: a form with the file last, `total` at once, ten at a time.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    support::{Stack, TOKEN, http::send},
    transcript::{named, play, play_on},
};

const IMPORT: &str = r#"
    > POST /imports
    > Authorization: apiKey test.secret
    > Content-Type: multipart/form-data; boundary=----X
    > Transfer-Encoding: chunked
    >
    > ------X
    > Content-Disposition: form-data; name="type"
    >
    > contacts
    > ------X
    > Content-Disposition: form-data; name="delimiter"
    >
    > ,
    > ------X
    > Content-Disposition: form-data; name="overrideExisting"
    >
    > {override}
    > ------X
    > Content-Disposition: form-data; name="updateOnlyEmptyFields"
    >
    > {fill}
    > ------X
    > Content-Disposition: form-data; name="file"; filename="contacts.csv"
    > Content-Type: text/csv
    >
    > _email,_name,_points
    > john@example.org,{john},10
    > micheal@example.org,Michael,many
    > steve@example.org,Steve,20
    > ------X--
    >
    < 201
    < {"id": "{id}", "type": "contacts", "status": "{early}", "total": 3, "success": "{s}", "errors": "{e}", "createdAt": "{created}",
    <  "finishedAt": "{f}", "errorReportFileUrl": "{u}"}

    = ended {id}

    > GET /imports/{id}
    > Authorization: apiKey test.secret
    < 200
    < {"id": "{id}", "type": "contacts", "status": "finished", "total": 3, "success": 2, "errors": 1, "createdAt": "{created}",
    <  "finishedAt": "{finished}", "errorReportFileUrl": "{url}"}
    "#;

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_imported_listed_and_deleted() {
    let stack = Stack::start().await;
    let first = play_on(&stack, IMPORT, named(&[("override", "true"), ("fill", "false"), ("john", "John")])).await;
    assert!(matches!(first["early"].as_str(), "queued" | "inProgress" | "finished"), "{first:?}");
    let report = send(reqwest::Client::new().get(&first["url"])).await;
    assert!(report.status == 200 && report.text().contains("micheal@example.org"), "{report:?}");

    let name = async || stack.client.record("contacts", "john@example.org").await.expect("answers").expect("there");
    for (overrides, fill, john, then) in
        [("false", "false", "Jack", "John"), ("true", "true", "Jim", "John"), ("true", "false", "Joe", "Joe")]
    {
        play_on(&stack, IMPORT, named(&[("override", overrides), ("fill", fill), ("john", john)])).await;
        assert_eq!(name().await["fields"]["_name"], then, "{overrides} {fill}");
    }
    let listed = stack.get("/imports?limit=3").await.json();
    assert_eq!(listed["imports"].as_array().map(Vec::len), Some(3));
    let rest = stack.get(&format!("/imports?cursor={}", listed["nextCursor"].as_str().expect("more"))).await.json();
    assert_eq!(rest["imports"][0]["id"], first["id"]);
    play_on(
        &stack,
        r#"
        > DELETE /imports/{id}
        > Authorization: apiKey other.secret
        < 404
        < {"error": "not_found", "message": "there is no such import"}

        > DELETE /imports/{id}
        > Authorization: apiKey test.secret
        < 204

        > GET /imports/{id}
        > Authorization: apiKey test.secret
        < 404
        < {"error": "not_found", "message": "there is no such import"}
        "#,
        first,
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_form_is_said_in_json() {
    let stack = Stack::start().await;
    for (field, value, said) in [
        ("type", "orders", "type is contacts, products or vouchers"),
        ("delimiter", "|", "delimiter is , or ;"),
        ("overrideExisting", "yes", "overrideExisting is true or false"),
        ("updateOnlyEmptyFields", "true", "updateOnlyEmptyFields needs overrideExisting"),
    ] {
        // The field in question after the file.
        let names = named(&[("field", field), ("value", value), ("type", if field == "type" { "x" } else { "type" })]);
        let names = play_on(
            &stack,
            r#"
            > POST /imports
            > Authorization: apiKey test.secret
            > Content-Type: multipart/form-data; boundary=X
            >
            > --X
            > Content-Disposition: form-data; name="{type}"
            >
            > coupons
            > --X
            > Content-Disposition: form-data; name="file"; filename="contacts.csv"
            >
            > code
            > A
            > --X
            > Content-Disposition: form-data; name="{field}"
            >
            > {value}
            > --X--
            >
            < 400
            < {"error": "invalid_parameter", "message": "{message}"}
            "#,
            names,
        )
        .await;
        assert_eq!(names["message"], said);
    }
    play(
        &stack,
        r#"
        > POST /imports
        > Authorization: apiKey test.wrong
        < 401
        < {"error": "unauthorized", "message": "the API key is missing or wrong"}

        A file that cannot be read at all is an error, and an error can be deleted.

        > POST /imports
        > Authorization: apiKey test.secret
        > Content-Type: multipart/form-data; boundary=X
        >
        > --X
        > Content-Disposition: form-data; name="file"; filename="contacts.csv"
        >
        > nothing;of;this
        > 1;2;3
        > --X
        > Content-Disposition: form-data; name="delimiter"
        >
        > ;
        > --X
        > Content-Disposition: form-data; name="type"
        >
        > coupons
        > --X--
        >
        < 201
        < {"id": "{id}", "type": "vouchers", "status": "{early}", "total": 1, "success": 0, "errors": 0, "createdAt": "{created}",
        <  "finishedAt": "{f}", "errorReportFileUrl": null}

        = ended {id}

        > GET /imports/{id}
        > Authorization: apiKey test.secret
        < 200
        < {"id": "{id}", "type": "vouchers", "status": "error", "total": "{total}", "success": 0, "errors": 0, "createdAt": "{created}",
        <  "finishedAt": "{finished}", "errorReportFileUrl": null}

        > DELETE /imports/{id}
        > Authorization: apiKey test.secret
        < 204
        "#,
    )
    .await;
    stack.stop().await;
}

fn form(file: String) -> reqwest::multipart::Form {
    let file = reqwest::multipart::Part::text(file).file_name("contacts.csv");
    reqwest::multipart::Form::new().text("type", "contacts").text("overrideExisting", "true").part("file", file)
}

/// Of many at once, exactly ten are taken; when one has ended there is room for another.
#[tokio::test(flavor = "multi_thread")]
async fn at_most_ten_imports_are_queued_or_running() {
    let stack = Stack::with(|options| {
        options.scheduled = false;
        options.faults.seed = 1;
        options.faults.message_delayed = 1.0;
        options.faults.delay = Duration::from_secs(3600);
        options.faults.event_lost = 1.0;
    })
    .await;
    let post = |token: &str| {
        let request = stack.request(Method::POST, "/imports").header("authorization", format!("apiKey {token}"));
        send(request.multipart(form("_email\na@example.org\n".to_owned())))
    };
    let mut posts = JoinSet::new();
    for _ in 0..14 {
        posts.spawn(post(TOKEN));
    }
    let answers = posts.join_all().await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 10);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((refused.status, refused.json()["error"].as_str()), (429, Some("too_many_imports")));
        assert_eq!(refused.header("retry-after"), Some("5"));
    }
    // Another account has room of its own.
    assert_eq!(post(super::support::OTHER_TOKEN).await.status, 201);
    let listed = stack.get("/imports").await.json();
    assert_eq!(listed["imports"].as_array().map(Vec::len), Some(10));
    let id = listed["imports"][0]["id"].as_str().expect("an id");
    let refused = stack.ask(Method::DELETE, &format!("/imports/{id}")).await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (409, Some("not_deletable")));
    stack.client.cancel(id).await.expect("cancelled");
    assert_eq!(stack.get(&format!("/imports/{id}")).await.json()["status"], json!("cancelled"));
    assert_eq!((post(TOKEN).await.status, post(TOKEN).await.status), (201, 429));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_megabytes_are_taken_and_a_byte_more_is_not() {
    let stack = Stack::start().await;
    let limit = 50 * 1024 * 1024;
    let head = "_email,_name\na@example.org,x\n";
    let file = format!("{head}{}", "\n".repeat(limit - head.len()));
    let post = |file| {
        let request = stack.request(Method::POST, "/imports").header("authorization", format!("apiKey {TOKEN}"));
        send(request.multipart(form(file)))
    };
    let refused = post(format!("{file}\n")).await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (413, Some("body_too_large")));
    let taken = post(file).await;
    assert_eq!((taken.status, taken.json()["total"].as_u64()), (201, Some(1)));
    assert_eq!(stack.ended(taken.json()["id"].as_str().expect("an id")).await.rows.created, 1);
    assert_eq!(stack.get("/imports").await.json()["imports"].as_array().map(Vec::len), Some(1));
    stack.stop().await;
}
