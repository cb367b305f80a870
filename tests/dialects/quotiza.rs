//! Quotiza, as far as it goes without rows in JSON: routing, credentials, the envelope, the status, the limits.

use super::{
    support::{Stack, files},
    transcript::{named, play, play_on},
};

async fn unlimited() -> Stack {
    let off = "quotiza.all.address=off,quotiza.imports.address=off,quotiza.imports.account=off";
    Stack::with(|options| options.environment.push(("PENSTOCK_RATE_LIMITS".into(), off.into()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_of_the_document_has_its_answer() {
    let stack = unlimited().await;
    let products: Vec<String> = (0..1001).map(|n| format!("{{\"sku\":\"{n}\"}}")).collect();
    let names = named(&[("many", &products.join(","))]);
    play_on(
        &stack,
        r#"
        > POST /api/v1/products/import
        > Authorization: Bearer nothing
        < 401
        < {"error": {"code": "unauthorized", "message": "Authentication token is missing or invalid", "status": 401}}

        > POST /api/v1/products/import
        > Authorization: Bearer test.secret
        >
        > {"products": [{"sku": "A"}]}
        < 400
        < {"error": {"code": "missing_account_id", "message": "account_id is required", "status": 400}}

        > POST /api/v1/products/import
        > Authorization: Bearer test.secret
        >
        > {"account_id": "2", "products": [{"sku": "A"}]}
        < 404
        < {"error": {"code": "account_not_found", "message": "Account not found", "status": 404}}

        > POST /api/v1/products/import
        > Authorization: Bearer test.secret
        >
        > {"account_id": "1", "products": ["A"]}
        < 400
        < {"error": {"code": "invalid_products_data", "message": "Invalid products data", "status": 400}}

        > POST /api/v1/products/import
        > Authorization: Bearer test.secret
        >
        > not JSON
        < 400
        < {"error": {"code": "invalid_products_data", "message": "Invalid products data", "status": 400}}

        > POST /api/v1/products/import
        > Authorization: Bearer test.secret
        >
        > {"account_id": 1, "products": [{many}]}
        < 413
        < {"error": {"code": "too_many_products", "message": "Too many products. Maximum allowed is 1000.", "status": 413}}

        > GET /api/v1/products/import_status?account_id=1&job_id=123456
        > Authorization: Bearer test.secret
        < 404
        < {"error": {"code": "job_not_found", "message": "Job not found", "status": 404}}

        > GET /api/v1/products/import_status?job_id=123456
        > Authorization: Bearer test.secret
        < 400
        < {"error": {"code": "missing_account_id", "message": "account_id is required", "status": 400}}
        "#,
        names,
    )
    .await;
    stack.stop().await;
}

/// By query or in the body of a GET; for an import that was made elsewhere too.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_asked_for_by_query_or_body() {
    let stack = unlimited().await;
    let mut file = files::plain(0, 3, "1");
    file.extend(b"DEF456,,Brand,1\n");
    let import = stack.import(&file).await;
    let names = named(&[("id", &import.id)]);
    play_on(
        &stack,
        r#"
        > GET /api/v1/products/import_status?account_id=1&job_id={id}
        > Authorization: Bearer test.secret
        < 200
        < {"job_id": "{id}", "status": "completed", "total": 4, "processed": 4, "successes": 3, "failures": 1,
        <  "errors": [{"line": 4, "sku": null, "message": "Validation failed: Name can't be blank"}]}

        > GET /api/v1/products/import_status
        > Authorization: Bearer test.secret
        > Content-Type: application/json
        >
        > {"account_id": "1", "job_id": "{id}"}
        < 200
        < {"job_id": "{id}", "status": "completed", "total": 4, "processed": 4, "successes": 3, "failures": 1,
        <  "errors": [{"line": 4, "sku": null, "message": "Validation failed: Name can't be blank"}]}
        "#,
        names,
    )
    .await;
    stack.stop().await;
}

/// The sixth import in a minute is refused, the one after the window is not; a refusal counts for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn imports_are_limited_to_five_a_minute() {
    let stack = Stack::start().await;
    const ASK: &str = r#"
        > POST /api/v1/products/import
        > Authorization: Bearer test.secret
        >
        > {}
        "#;
    let missing = format!(
        "{ASK}< 400\n< {{\"error\": {{\"code\": \"missing_account_id\", \"message\": \"{{m}}\", \"status\": 400}}}}"
    );
    let limited = format!(
        "{ASK}< 429\n< Retry-After: {{seconds}}\n< X-RateLimit-Limit: 5\n< X-RateLimit-Remaining: 0\n< {{\"error\": {{\"code\": \
         \"throttle_limit_reached\", \"message\": \"{{message}}\", \"status\": 429}}}}"
    );
    for _ in 0..5 {
        play(&stack, &missing).await;
    }
    for _ in 0..8 {
        let names = play(&stack, &limited).await;
        let seconds: u64 = names["seconds"].parse().expect("seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(names["message"], format!("Rate limit exceeded. Try again in {seconds} seconds."));
    }
    // Five of the ten that an address has are left: the refused ones took none.
    for _ in 0..5 {
        assert_eq!(stack.get("/api/v1/products/import_status").await.status, 400);
    }
    assert_eq!(stack.get("/api/v1/products/import_status").await.status, 429);
    // Nor does another path of the host share them.
    assert_eq!(stack.get("/api/v1/imports/x").await.status, 404);
    stack.pass(std::time::Duration::from_secs(60)).await;
    play(&stack, &missing).await;
    stack.stop().await;
}
