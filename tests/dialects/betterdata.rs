//! Better Data, as far as it goes without rows in JSON: routing, credentials, the envelope, the status.

use super::{support::Stack, transcript::play};

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_is_checked_before_anything_else() {
    let stack = Stack::start().await;
    play(
        &stack,
        r#"
        > POST /api/import/catalog
        > Content-Type: application/json
        >
        > {"products": [{"externalId": "A"}]}
        < 401
        < {"error": "the API key is missing or wrong"}

        > POST /api/import/catalog
        > x-api-key: test.secret
        >
        > {"products": [
        < 400
        < {"error": "the body is not valid JSON"}

        > POST /api/import/catalog
        > x-api-key: test.secret
        >
        > {"products": []}
        < 400
        < {"error": "products[] is required"}

        > POST /api/import/purchase-orders
        > x-api-key: test.secret
        >
        > {"orders": [{}]}
        < 400
        < {"error": "purchaseOrders[] is required"}

        > POST /api/import/demand-history
        > x-api-key: test.secret
        >
        > {"records": {}}
        < 400
        < {"error": "records[] is required"}

        > POST /api/import/other
        > x-api-key: test.secret
        >
        > {}
        < 404
        < {"error": "there is nothing at this path"}

        > GET /api/import/status/imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
        > x-api-key: test.secret
        < 404
        < {"error": "Job not found"}
        "#,
    )
    .await;
    stack.stop().await;
}
