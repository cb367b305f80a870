//! What the calls of a replace refuse, and how.

use penstock_client::NewImport;
use penstock_model::{ImportOptions, Mode};
use serde_json::json;

use super::{
    file_of, removals, replace, set, skus,
    support::{OTHER_TOKEN, Stack, TOKEN, refused},
};

#[tokio::test(flavor = "multi_thread")]
async fn options_that_cannot_be_are_refused() {
    let stack = Stack::start().await;
    let of = |options| NewImport { options, ..NewImport::default() };
    let upsert = ImportOptions { most_removed_percent: Some(20), ..ImportOptions::default() };
    for options in [replace(101), upsert, ImportOptions { dry_run: true, ..replace(20) }] {
        let answer = stack.client.create(&of(options.clone()), None).await;
        assert_eq!(refused(answer), (422, "invalid_option".into()), "{options:?}");
    }
    let made = stack.client.create(&of(replace(100)), None).await.expect("created");
    assert_eq!((made.options.mode, made.options.most_removed_percent), (Mode::Replace, Some(100)));
    assert_eq!((made.removed, made.to_remove, made.waiting_for), (0, None, None));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_confirmations_of_what_is_none_are_refused() {
    let stack = Stack::start().await;
    let upsert = stack.import(&file_of(&skus(0..3))).await;
    assert_eq!(removals(&stack, &upsert.id, 10).await, set([]));
    assert_eq!(refused(stack.client.confirm(&upsert.id).await), (409, "not_held".into()));
    let awaiting = stack.create(replace(20)).await;
    assert_eq!(refused(stack.client.removals(&awaiting.id, None, 10).await), (409, "not_ready".into()));
    assert_eq!(refused(stack.client.removals(&upsert.id, Some("x.1"), 10).await), (400, "invalid_cursor".into()));
    let other = stack.client_of(OTHER_TOKEN);
    assert_eq!(refused(other.removals(&upsert.id, None, 10).await), (404, "not_found".into()));
    assert_eq!(refused(other.confirm(&awaiting.id).await), (404, "not_found".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kind_is_named_twice_where_all_of_it_goes() {
    let stack = Stack::start().await;
    stack.import(&file_of(&skus(0..3))).await;
    let ask = async |kind: &str, body: serde_json::Value| {
        let url = format!("{}/v1/records/{kind}", stack.cloud.url());
        let answer = reqwest::Client::new().delete(url).bearer_auth(TOKEN).json(&body).send().await.expect("answers");
        let (status, body) = (answer.status().as_u16(), answer.json::<serde_json::Value>().await.expect("JSON"));
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let unconfirmed = (422, "unconfirmed".to_owned());
    assert_eq!(ask("products", json!({})).await, unconfirmed);
    assert_eq!(ask("products", json!({ "kind": "orders", "count": 3 })).await, unconfirmed);
    assert_eq!(ask("none", json!({ "kind": "none" })).await, (404, "not_found".into()));
    assert_eq!(ask("products", json!({ "kind": "products", "all": true })).await, (400, "invalid_body".into()));
    assert_eq!(ask("products", json!({ "kind": "products", "count": 3 })).await.0, 202);
    stack.stop().await;
}
