//! Algure: an id by POST, a CSV by PUT, exactly 201.

use std::time::Duration;

use super::{
    support::{Stack, TOKEN, http::send},
    transcript::{play, play_on},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_created_uploaded_and_reported() {
    let stack = Stack::start().await;
    let names = play(
        &stack,
        r#"
        Step 1: an id.

        > POST /v1/products/import
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        < 201
        < {"id": "{id}", "expiresAt": "{expires}"}

        > GET /v1/products/import/{id}
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        < 200
        < {"id": "{id}", "createdAt": "{created}", "expiresAt": "{expires}", "status": "awaiting_upload", "total": null,
        <  "totalCreated": 0, "totalUpdated": 0, "totalErrors": 0}

        Steps 2 and 3: the client joins with commas and never quotes, so that the second row has a cell too many.

        > PUT /v1/products/import/{id}
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        > Content-Type: text/csv; charset=utf-8
        >
        > code,description,stock,warehouseCode,locationCode,locationPriority,costPrice,packagingUnit,lot
        > A-1,Bolt,10,W1,L1,,0.25,1,
        > A-2,Bolt, long,10,W1,L1,1,0.25,1,LOT1
        > A-3,Nut,5,W1,L1,2,0.1,1,
        < 201

        = ended {id}

        > GET /v1/products/import/{id}
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        < 200
        < {"id": "{id}", "createdAt": "{created}", "expiresAt": "{expires}", "status": "completed_with_errors", "total": 3,
        <  "totalCreated": 2, "totalUpdated": 0, "totalErrors": 1}

        Another upload to the same id:

        > PUT /v1/products/import/{id}
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        > Content-Type: text/plain
        >
        > code
        < 409
        < {"error": {"code": "already_uploaded", "message": "{already}"}}

        > GET /v1/products/imports?limit=1
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        < 200
        < {"imports": [{"id": "{id}", "createdAt": "{created}", "expiresAt": "{expires}", "status": "completed_with_errors", "total": 3,
        <  "totalCreated": 2, "totalUpdated": 0, "totalErrors": 1}], "nextCursor": null}

        Whatever dialect made it, it has one id; another account has none of it.

        > GET /v1/imports/{id}/errors
        > Authorization: Bearer test.secret
        < 200
        < {"errors": [{"row": 2, "line": 3, "field": null, "value": null, "code": "{code}", "message": "{message}"}], "next_cursor": null}

        > GET /v1/products/import/{id}
        > Authorization: Basic b3RoZXI6c2VjcmV0
        < 404
        < {"error": {"code": "not_found", "message": "there is no such import"}}
        "#,
    )
    .await;
    assert!(names["id"].starts_with("imp_"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_of_refusals_holds() {
    let stack = Stack::start().await;
    let names = play(
        &stack,
        r#"
        > POST /v1/products/import
        < 401
        < WWW-Authenticate: Bearer
        < {"error": {"code": "unauthorized", "message": "the API key is missing or wrong"}}

        > PUT /v1/products/import/imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        > Content-Type: text/csv
        >
        > code
        < 404
        < {"error": {"code": "not_found", "message": "there is no such import"}}

        > POST /v1/products/import
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        < 201
        < {"id": "{id}", "expiresAt": "{expires}"}

        > PUT /v1/products/import/{id}
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        > Content-Type: application/json
        >
        > []
        < 415
        < {"error": {"code": "unsupported_media_type", "message": "a feed is sent as text/csv or text/plain"}}

        > GET /v1/products/imports?limit=101
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        < 400
        < {"error": {"code": "invalid_query", "message": "limit is 1 to 100"}}
        "#,
    )
    .await;
    let put = |body: Vec<u8>, chunked: bool| {
        let request = stack.request(reqwest::Method::PUT, &format!("/v1/products/import/{}", names["id"]));
        let request = request.bearer_auth(TOKEN).header("content-type", "text/csv");
        let pieces = body.chunks(1 << 16).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
        send(if chunked {
            request.body(reqwest::Body::wrap_stream(futures::stream::iter(pieces)))
        } else {
            request.body(body)
        })
    };
    // A byte too many, told beforehand or not, stores nothing and spends nothing.
    let limit = 10 * 1024 * 1024;
    for chunked in [false, true] {
        let answer = put(vec![b'x'; limit + 1], chunked).await;
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (413, Some("body_too_large")));
    }
    let mut feed =
        b"code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\nA,d,1,W,L,1,1\n".to_vec();
    feed.resize(limit, b'\n');
    let answer = put(feed, true).await;
    assert_eq!((answer.status, answer.text()), (201, ""));
    assert_eq!(stack.ended(&names["id"]).await.rows.created, 1);

    let names = play(
        &stack,
        r#"
        > POST /v1/products/import
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        < 201
        < {"id": "{id}", "expiresAt": "{expires}"}
        "#,
    )
    .await;
    stack.pass(Duration::from_secs(30 * 60 + 1)).await;
    let expired = r#"
        > PUT /v1/products/import/{id}
        > Authorization: Basic dGVzdDpzZWNyZXQ=
        > Content-Type: text/csv
        >
        > code
        < 410
        < {"error": {"code": "import_expired", "message": "this import has expired; create another one"}}
        "#;
    play_on(&stack, expired, names.clone()).await;
    stack.ended(&names["id"]).await;
    play_on(&stack, expired, names).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_uploads_at_once_one_is_taken() {
    let stack = Stack::start().await;
    let created = stack.ask(reqwest::Method::POST, "/v1/products/import").await.json();
    let id = created["id"].as_str().expect("an id").to_owned();
    let put = |code: &'static str| {
        let feed = format!(
            "code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\n{code},d,1,W,L,1,1\n{}",
            "\n".repeat(9 << 20)
        );
        let request = stack.request(reqwest::Method::PUT, &format!("/v1/products/import/{id}")).bearer_auth(TOKEN);
        send(request.header("content-type", "text/csv").body(feed))
    };
    let (one, two) = tokio::join!(put("A"), put("B"));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let import = stack.ended(&id).await;
    assert_eq!(import.rows.created, 1);
    stack.stop().await;
}
